# Times varnn against nnet and, where Python has it, PyTorch, all in one thread:
#   Rscript -e 'source(system.file("bench", "bench.R", package = "varnn"))'
# Each is the whole call on data in memory; the median of three rounds, in which they take turns. The environment
# variable PYTHON names the Python to ask; PRECISION is "single" (the default) or "double".

precision <- Sys.getenv("PRECISION", "single")
python <- Sys.which(Sys.getenv("PYTHON", "python3"))
Sys.setenv(OMP_NUM_THREADS = "1", OPENBLAS_NUM_THREADS = "1") # of Python

# rows, columns, hidden units, classes (1: regression), batch, epochs
shapes <- list(small = list(1000, 10, c(32, 32), 1, 32, 20), tabular = list(50000, 50, c(128, 64), 5, 256, 1),
               wide = list(5000, 784, c(400, 400), 10, 128, 1))

elapsed <- function(expr) system.time(expr, gcFirst = TRUE)[["elapsed"]]

by_varnn <- function(x, y, shape) {
  control <- varnn::nn_control(epochs = shape[[6]], batch_size = shape[[5]], learn_rate = 1e-3, precision = precision)
  elapsed(varnn::fit_nn(x, y, hidden = shape[[3]], activation = "relu", control = control))
}

# nnet has one hidden layer and no batches: as many passes over the data, with as many weights as it can be given.
by_nnet <- function(x, y, shape) {
  if (!requireNamespace("nnet", quietly = TRUE) || ncol(x) * shape[[3]][1] > 20000) return(NA)
  target <- if (is.factor(y)) nnet::class.ind(y) else y
  elapsed(nnet::nnet(x, target, size = shape[[3]][1], maxit = shape[[6]], trace = FALSE, MaxNWts = 1e6,
                     linout = !is.factor(y), softmax = is.factor(y)))
}

torch_script <- '
import sys, time, torch
n, p, classes, batch, epochs = map(int, sys.argv[1:6])
sizes = [p] + [int(h) for h in sys.argv[7].split(",")] + [classes]
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64 if sys.argv[6] == "double" else torch.float32)
x = torch.rand(n, p)
y = torch.randint(0, classes, (n,)) if classes > 1 else torch.randn(n, 1)
layers = []
for i in range(len(sizes) - 1):
    layers += [torch.nn.Linear(sizes[i], sizes[i + 1])] + ([torch.nn.ReLU()] if i < len(sizes) - 2 else [])
model = torch.nn.Sequential(*layers)
loss = torch.nn.functional.cross_entropy if classes > 1 else torch.nn.functional.mse_loss
step = torch.optim.Adam(model.parameters(), lr=1e-3)
def train(epochs, n):
    for _ in range(epochs):
        order = torch.randperm(n)
        for i in range(0, n, batch):
            b = order[i:i + batch]
            step.zero_grad(set_to_none=True)
            loss(model(x[b]), y[b]).backward()
            step.step()
train(1, min(n, 4 * batch))
start = time.perf_counter()
train(epochs, n)
print(time.perf_counter() - start)
'

by_torch <- function(x, y, shape) {
  if (!nzchar(python)) return(NA)
  file <- tempfile(fileext = ".py")
  on.exit(unlink(file))
  writeLines(torch_script, file)
  hidden <- paste(shape[[3]], collapse = ",")
  arguments <- c(file, nrow(x), ncol(x), shape[[4]], shape[[5]], shape[[6]], precision, hidden)
  out <- suppressWarnings(system2(python, arguments, stdout = TRUE, stderr = FALSE))
  if (length(out)) as.numeric(out[length(out)]) else NA
}

timers <- list(varnn = by_varnn, nnet = by_nnet, torch = by_torch)
set.seed(1)
for (name in names(shapes)) {
  shape <- shapes[[name]]
  x <- matrix(stats::runif(shape[[1]] * shape[[2]]), shape[[1]])
  y <- if (shape[[4]] > 1) factor(sample(shape[[4]], shape[[1]], TRUE)) else stats::rnorm(shape[[1]])
  rounds <- replicate(3, vapply(timers, function(timer) timer(x, y, shape), 0))
  seconds <- apply(rounds, 1, stats::median)
  cat(sprintf("%-8s %s\n", name, paste(sprintf("%s %.3f s", names(seconds), seconds), collapse = ", ")))
}
