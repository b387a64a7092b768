# The way to many workers and many rows, on one machine; and what would limit it beyond, computed from what was
# measured.
# Rscript tools/scale.R workers [64]
#   cross-validation of a network in as many parts as there are workers of plan(cluster), all on this machine's
#   loopback: seconds to start them, bytes that a task is sent and returns, seconds of a task, memory of a worker;
#   whether the numbers are those without a plan; and the time for 1,000 workers on a network of 1 Gbit/s.
# Rscript tools/scale.R rows FOLDER ROWS
#   writes ROWS rows of ten numbers and a response to Parquet files in FOLDER, a million to a file, unless it has them;
#   trains on them for one epoch, and tells the time of a row and the greatest memory of the process; and what 1e10
#   rows would need.
library(varnn)

arguments <- commandArgs(trailingOnly = TRUE)
seconds_of <- function(expr) system.time(expr)[[3]]

many_workers <- function(fit, n) {
  force(fit)
  run <- function() {
    set.seed(2)
    cross_validate(fit, folds = n)
  }
  alone <- seconds_of(here <- run())
  start <- seconds_of(future::plan(future::cluster, workers = n))
  # bytes, the most of all workers
  memory <- function() {
    words <- vapply(seq_len(n), function(k) {
      future::value(future::future(grep("VmRSS", readLines("/proc/self/status"), value = TRUE)))
    }, "")
    max(as.numeric(gsub("[^0-9]", "", words))) * 1024
  }
  empty <- memory()
  sent <- returned <- 0
  package <- asNamespace("varnn")
  begun <- get("begun_share", package)
  watched <- function(some, f) {
    sent <<- sent + length(serialize(list(some = some, f = f), NULL))
    begun(some, f)
  }
  unlockBinding("begun_share", package)
  assign("begun_share", watched, package)
  first <- seconds_of(there <- run())
  again <- seconds_of(run())
  returned <- length(serialize(there$predictions, NULL))
  full <- memory()
  future::plan("sequential")
  task <- alone / n
  cat(sprintf(paste0(
    "%d workers on %d processors: started in %.1f s (%.2f s each); the same numbers: %s\n",
    "a task: %.2f MB sent, %.3f MB returned, %.2f s of work; all tasks %.1f s without workers, %.1f s the first time, ",
    "%.1f s again\nmemory of a worker: %.0f MB with the package not yet loaded, %.0f MB after\n"),
    n, parallel::detectCores(), start, start / n, identical(here$scores, there$scores), sent / 2 / n / 1e6,
    returned / n / 1e6, task, alone, first, again, empty / 1e6, full / 1e6))
  wire <- sent / 2 / n / (1e9 / 8)
  cat(sprintf(paste0(
    "1,000 workers, a task each, sent one after the other by this session at 1 Gbit/s: %.0f s to start them one by ",
    "one, %.1f s to send, %.0f s until the last has ended; all are busy where a task works for more than %.1f s\n"),
    1000 * start / n, 1000 * wire, 1000 * wire + task, 1000 * wire))
}

many_rows <- function(folder, n, size = 1e6) {
  dir.create(folder, showWarnings = FALSE)
  files <- file.path(folder, sprintf("part%05d.parquet", seq_len(ceiling(n / size))))
  one <- function(i) {
    set.seed(i)
    k <- min(size, n - (i - 1) * size)
    x <- matrix(stats::rnorm(10 * k), k, dimnames = list(NULL, paste0("x", 1:10)))
    data.frame(x, y = sin(x[, 1]) + x[, 2] * x[, 3] + stats::rnorm(k, 0, 0.1))
  }
  for (i in which(!file.exists(files)))
    arrow::write_parquet(one(i), files[i], compression = "uncompressed", chunk_size = 1e5, use_dictionary = FALSE)
  # writing has a memory of its own
  script <- tempfile(fileext = ".R")
  writeLines(sprintf(paste(
    "library(varnn); files <- sort(Sys.glob(file.path('%s', '*.parquet')))[1:%d]; set.seed(1)",
    "time <- system.time(fit <- fit_nn(y ~ ., chunks(files), hidden = 32, epochs = 1, batch_size = 256))",
    "memory <- grep('VmHWM', readLines('/proc/self/status'), value = TRUE)",
    "cat(fit$n_obs, sum(time[1:2]), time[3], gsub('[^0-9]', '', memory), fit$history$loss)", sep = "\n"),
    folder, length(files)), script)
  found <- as.numeric(strsplit(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = TRUE),
                               " ")[[1]])
  cat(sprintf(paste0("%s rows: one epoch and the passes before it took %.1f s of processor, %.1f s in all, %.0f ns a ",
                     "row; %.0f MB at most; loss %.3f\n"),
              format(n, big.mark = ",", scientific = FALSE), found[2], found[3], found[2] / found[1] * 1e9,
              found[4] / 1024, found[5]))
  cat(sprintf("1e10 rows would take %.1f hours of one core, and %.0f GB of disk\n", found[2] / found[1] * 1e10 / 3600,
              sum(file.size(files)) / n * 1e10 / 1e9))
}

if (arguments[1] == "workers") {
  # here, and not in a function: a formula has the environment that it is made in, with all that is there
  set.seed(1)
  x <- matrix(stats::rnorm(20 * 5000), 5000, dimnames = list(NULL, paste0("x", 1:20)))
  data <- data.frame(x, y = sin(x[, 1]) + x[, 2] * x[, 3] + stats::rnorm(5000, 0, 0.1))
  many_workers(fit_nn(y ~ ., data, epochs = 10), if (length(arguments) > 1) as.integer(arguments[2]) else 64L)
} else {
  many_rows(arguments[2], as.numeric(arguments[3]))
}
