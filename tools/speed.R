# How time and memory grow: Rscript tools/speed.R [rows=1e7] [precision=double|single] [threads=2]. Each measurement is
# a process of its own, the table network of inst/bench (50 columns, hidden layers of 128 and 64, 5 classes, batches of
# 256), one epoch.
#   seconds    of the processor that the call took
#   ns/row     the same by row
#   memory     the most that the call took beyond what was there before, over the size of the data (Linux)
# Then a network and a variational autoencoder on 784 columns with one thread and with several, in turns: the best times
# of each on the clock, and of the thread that had most to do, which other work on the machine changes least.
# Threads share products, the optimizer's step, likelihoods and the reading of data; the rest is R's (random weights of
# the start, checks, memory) and its generator's. By perf the shared part of one thread's time is, in single precision,
# 88 % for the network (products 78, optimizer 9) and 83 % for the autoencoder (70, 7), and 92 and 91 % in double: two
# threads can be 1.79, 1.71, 1.86 and 1.83 times as fast. They halve the products; the optimizer's step waits for
# memory, and is 1.5 times as fast on the network's 2.4 million weights; and threads wait for each other in a twentieth
# of the time.

Sys.setenv(OMP_WAIT_POLICY = "passive", GOMP_SPINCOUNT = "0") # threads that wait take no time

given <- strsplit(commandArgs(TRUE), "=", fixed = TRUE)
option <- function(name, default) {
  value <- Filter(function(g) g[1] == name, given)
  if (length(value)) utils::type.convert(value[[1]][2], as.is = TRUE) else default
}

# One call of `fit` in a new process that has first made `data`: seconds of all its threads, of the first, on the clock;
# memory.
measured <- function(data, fit) {
  script <- tempfile(fileext = ".R")
  on.exit(unlink(script))
  body <- substitute({
    of_process <- function(file, what) {
      lines <- if (file.exists(file)) readLines(file)
      as.numeric(strsplit(grep(what, lines, value = TRUE), "[^0-9]+")[[1]])
    }
    memory <- function(what) 1024 * of_process("/proc/self/status", what)[2]
    first_thread <- function() sum(of_process(sprintf("/proc/self/task/%d/stat", Sys.getpid()), ".")[12:13]) / 100
    set.seed(1)
    data
    library(varnn)
    gc(FALSE)
    before <- c(memory("VmRSS"), first_thread())
    seconds <- system.time(fit, gcFirst = FALSE)
    cat("\n", sum(seconds[1:2]), first_thread() - before[2], seconds[["elapsed"]],
        (memory("VmHWM") - before[1]) / as.numeric(utils::object.size(x)), "\n")
  }, list(data = data, fit = fit))
  writeLines(deparse(body), script)
  out <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = TRUE)
  as.numeric(strsplit(trimws(utils::tail(out, 1)), " +")[[1]])
}

table_data <- function(n) {
  bquote({
    x <- stats::runif(.(n) * 50)
    dim(x) <- c(.(n), 50)
    y <- factor(sample(5L, .(n), TRUE))
  })
}
table_fit <- function(precision) {
  bquote(fit_nn(x, y, hidden = c(128, 64), activation = "relu", precision = .(precision), epochs = 1, batch_size = 256,
                learn_rate = 1e-3))
}

wide_data <- quote(x <- matrix(stats::runif(7840000), 1e4))
wide_fits <- function(precision, threads) {
  list(network = bquote(fit_nn(x, x[, 1], hidden = c(1200, 1200), activation = "relu", precision = .(precision),
                               threads = .(threads), epochs = 2, batch_size = 128)),
       vae = bquote(fit_vae(x, latent = 20, hidden = 400, activation = "relu", family = "bernoulli",
                            standardize = FALSE, precision = .(precision), threads = .(threads), epochs = 4,
                            batch_size = 128)))
}

precisions <- option("precision", c("double", "single"))
cat(sprintf("%-9s %9s %9s %9s %9s\n", "", "rows", "seconds", "ns/row", "memory"))
for (precision in precisions) for (n in 10^(4:log10(option("rows", 1e6)))) {
  m <- measured(table_data(n), table_fit(precision))
  cat(sprintf("%-9s %9.0f %9.3f %9.0f %9.2f\n", precision, n, m[1], 1e9 * m[1] / n, m[4]))
}

threads <- option("threads", 1)
if (threads > 1) for (precision in precisions) for (name in c("network", "vae")) {
  times <- replicate(3, vapply(c(1, threads), function(k) measured(wide_data, wide_fits(precision, k)[[name]])[2:3],
                               numeric(2)))
  best <- apply(times, 1:2, min)
  cat(sprintf("%-9s %-9s %d threads: %.2f times as fast on the clock, %.2f by the thread with most to do\n", precision,
              name, threads, best[2, 1] / best[2, 2], best[1, 1] / best[1, 2]))
}
