# Times varnn against nnet and, where Python has it, PyTorch, all in one thread:
#   Rscript -e 'source(system.file("bench", "bench.R", package = "varnn"))'
# Each is the whole call on data in memory; the medians of three rounds, in which they take turns. Then activations of
# varnn against the same functions as a user writes them. The environment variable PYTHON is the command of the Python
# to ask, with arguments if need be; PRECISION, of the training of plain networks, is "single" (the default) or
# "double".

precision <- Sys.getenv("PRECISION", "single")
python <- scan(text = Sys.getenv("PYTHON", "python3"), what = "", quiet = TRUE)
Sys.setenv(OMP_NUM_THREADS = "1", OPENBLAS_NUM_THREADS = "1") # of Python

elapsed <- function(expr) system.time(expr, gcFirst = TRUE)[["elapsed"]]

# Runs a script of Python, which is read from standard input: the numbers of the last line that it prints.
ask_python <- function(script, ...) {
  if (!length(python) || !nzchar(Sys.which(python[1]))) return(NA)
  out <- suppressWarnings(system2(python[1], c(python[-1], "-", ...), stdout = TRUE, stderr = FALSE, input = script))
  if (length(out)) scan(text = out[length(out)], quiet = TRUE) else NA
}

# ---- training of a plain network: random responses; the seconds

random_response <- function(x, classes) {
  if (classes > 1) factor(sample(classes, nrow(x), TRUE)) else stats::rnorm(nrow(x))
}

train_varnn <- function(x, y, shape, activation = "relu") {
  control <- varnn::nn_control(epochs = shape$epochs, batch_size = shape$batch, learn_rate = 1e-3,
                               precision = precision)
  elapsed(varnn::fit_nn(x, y, hidden = shape$hidden, activation = activation, control = control))
}

# nnet has one hidden layer and no batches: as many passes over the data, with as many weights as it can be given.
train_nnet <- function(x, y, shape) {
  if (!requireNamespace("nnet", quietly = TRUE) || ncol(x) * shape$hidden[1] > 20000) return(NA)
  target <- if (is.factor(y)) nnet::class.ind(y) else y
  elapsed(nnet::nnet(x, target, size = shape$hidden[1], maxit = shape$epochs, trace = FALSE, MaxNWts = 1e6,
                     linout = !is.factor(y), softmax = is.factor(y)))
}

train_script <- '
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

train_torch <- function(x, y, shape) {
  ask_python(train_script, nrow(x), ncol(x), shape$classes, shape$batch, shape$epochs, precision,
             paste(shape$hidden, collapse = ","))
}

# ---- one member of a linearised posterior, in double precision: a smooth response with noise; the seconds, and the
# evidence, which is to be alike

smooth_response <- function(x, classes) sin(3 * x[, 1]) + x[, 2] * x[, 3] + stats::rnorm(nrow(x), 0, 0.3)

laplace_varnn <- function(x, y, shape) {
  seconds <- elapsed(fit <- varnn::fit_bayes_nn(x, y, hidden = shape$hidden, activation = "relu", sigma = "learned",
                                                posterior = "laplace", members = 1))
  c(seconds, varnn::evidence(fit))
}

# Rounds of L-BFGS from the same kind of start, and between them MacKay's updates of a precision for the weights and
# the biases of each layer, and of the noise.
laplace_script <- '
import sys, time, torch
from math import pi
from torch.func import functional_call, jacrev, vmap
p, hidden, rounds, steps, seed = map(int, sys.argv[1:6])
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.manual_seed(seed)
x, y = torch.tensor(x).reshape(p, -1).T.contiguous(), torch.tensor(y)
n = len(y)
def member(rounds, steps):
    scale = y.std()
    u, v = (x - x.mean(0)) / x.std(0), (y - y.mean()) / scale
    model = torch.nn.Sequential(torch.nn.Linear(p, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))
    leaves = list(model.parameters())
    with torch.no_grad():
        for w, sd in zip(leaves, [(2 / p) ** .5, .5, (2 / (hidden + 1)) ** .5, 0]):
            w.normal_(0, 1).mul_(sd)
    sizes = torch.tensor([w.numel() for w in leaves])
    alpha, s2 = torch.tensor([p / 2, 1, hidden / 2, 1]), torch.tensor(.25)
    squares = lambda: torch.stack([w.square().sum() for w in leaves])
    errors = lambda: (model(u)[:, 0] - v).square().sum()
    predict = lambda theta, row: functional_call(model, theta, (row,))[0]
    for r in range(rounds):
        count = 3 * steps if r == rounds - 1 else steps
        search = torch.optim.LBFGS(leaves, max_iter=count, max_eval=20 * count, history_size=10, tolerance_grad=1e-10,
                                   tolerance_change=0, line_search_fn="strong_wolfe")
        def closure():
            search.zero_grad()
            loss = (errors() / s2 + alpha @ squares()) / (2 * n)
            loss.backward()
            return loss
        search.step(closure)
        theta = {k: w.detach() for k, w in model.named_parameters()}
        j = torch.cat([d.reshape(n, -1) for d in vmap(jacrev(predict), (None, 0))(theta, u).values()], 1)
        root = torch.linalg.cholesky(j.T @ j / s2 + torch.diag(alpha.repeat_interleave(sizes)))
        variance = torch.cholesky_inverse(root).diagonal()
        effective = sizes - alpha * torch.stack([d.sum() for d in variance.split(sizes.tolist())])
        with torch.no_grad():
            sse, off = errors(), squares()
        evidence = (sizes * alpha.log() - alpha * off).sum() - sse / s2 - n * (2 * pi * s2 * scale ** 2).log()
        evidence = evidence / 2 - root.diagonal().log().sum()
        alpha = (effective / off).clamp(1e-3, 1e6)
        s2 = sse / max(n - effective.sum(), n / 100)
    return float(evidence)
member(2, 3)
start = time.perf_counter()
evidence = member(rounds, steps)
print(time.perf_counter() - start, evidence)
'

laplace_torch <- function(x, y, shape) {
  python_list <- function(name, v) sprintf("%s = [%s]", name, paste(sprintf("%.17g", v), collapse = ", "))
  ask_python(c(python_list("x", x), python_list("y", y), laplace_script), ncol(x), shape$hidden,
             varnn:::laplace_rounds, varnn:::laplace_steps, sample(1e6, 1))
}

# ---- the table of workloads

# What each program's timer returns: the seconds, and where a kind has `also` the number of that name.
kinds <- list(
  train = list(response = random_response,
               timers = list(varnn = train_varnn, nnet = train_nnet, torch = train_torch)),
  laplace = list(response = smooth_response, also = "evidence",
                 timers = list(varnn = laplace_varnn, torch = laplace_torch))
)

# classes: 1 for regression
workload <- function(kind, rows, columns, hidden, classes = 1, batch = NA, epochs = NA) as.list(environment())
workloads <- list(small = workload("train", 1000, 10, c(32, 32), 1, 32, 20),
                  tabular = workload("train", 50000, 50, c(128, 64), 5, 256, 1),
                  wide = workload("train", 5000, 784, c(400, 400), 10, 128, 1),
                  laplace = workload("laplace", 506, 13, 50))

# The medians of what the timers return [programs, numbers].
medians <- function(timers, x, y, shape, n_numbers) {
  round <- function() t(vapply(timers, function(timer) rep_len(timer(x, y, shape), n_numbers), numeric(n_numbers)))
  rounds <- array(replicate(3, round()), c(length(timers), n_numbers, 3))
  apply(rounds, 1:2, stats::median)
}

set.seed(1)
for (name in names(workloads)) {
  shape <- workloads[[name]]
  kind <- kinds[[shape$kind]]
  x <- matrix(stats::runif(shape$rows * shape$columns), shape$rows)
  found <- medians(kind$timers, x, kind$response(x, shape$classes), shape, 1 + length(kind$also))
  also <- if (length(kind$also)) sprintf(" (%s %.1f)", kind$also, found[, 2])
  cat(sprintf("%-8s %s\n", name, paste0(names(kind$timers), sprintf(" %.3f s", found[, 1]), also, collapse = ", ")))
}

# ---- activations that a user writes, against varnn's own

written <- list(relu = ~ pmax(x, 0), silu = ~ x * plogis(x))
shape <- workloads$tabular
x <- matrix(stats::runif(shape$rows * shape$columns), shape$rows)
y <- random_response(x, shape$classes)
for (name in names(written)) {
  rounds <- replicate(5, c(train_varnn(x, y, shape, name), train_varnn(x, y, shape, written[[name]])))
  cat(sprintf("%-8s written by a user takes %.2f times as long\n", name, stats::median(rounds[2, ] / rounds[1, ])))
}

# ---- a likelihood that a user writes, against varnn's own: an autoencoder of 100 columns

half_square <- varnn::custom_family("normal", ~ (y - mu)^2 / 2 + log(2 * pi) / 2, scaled = TRUE,
                                    deviance = function(y, mu) (y - mu)^2)
x <- matrix(stats::runif(5e6), ncol = 100)
train_ae <- function(family, precision) {
  elapsed(varnn::fit_ae(x, latent = 8, hidden = 64, activation = "tanh", standardize = FALSE, family = family,
                        epochs = 12, batch_size = 256, learn_rate = 1e-3, precision = precision))
}
for (precision in c("single", "double")) {
  rounds <- replicate(5, c(train_ae("gaussian", precision), train_ae(half_square, precision)))
  cat(sprintf("gaussian written by a user takes %.2f times as long (%s)\n",
              stats::median(rounds[2, ] / rounds[1, ]), precision))
}
