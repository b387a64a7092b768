# What tools/checkpoints runs: trainings in children that are killed at random moments, and again when they go on.

args <- commandArgs(trailingOnly = TRUE)
lib <- args[1]
folder <- args[2]
n <- as.integer(args[3])
set.seed(as.integer(args[4]))

# Each takes some seconds.
trainings <- c(
  folds = "fit_nn(mpg ~ ., mtcars, hidden = 8, %s)",
  batches = "fit_nn(mpg ~ ., mtcars, hidden = 8, epochs = 1e5, batch_size = 8, %s)",
  single = "fit_nn(mpg ~ ., mtcars, hidden = 8, epochs = 1e5, batch_size = 8, precision = 'single', dropout = .1, %s)",
  plateau = paste("fit_nn(Species ~ ., iris, hidden = 16, epochs = 3e4, batch_size = 16, validation = .3,",
                  "patience = 3e4, schedule = 'plateau', optimizer = 'adamw', penalty = .01, %s)"),
  starts = "fit_nn(mpg ~ ., mtcars, hidden = 8, epochs = 2e4, batch_size = 8, starts = 4, %s)",
  lbfgs = "fit_nn(Species ~ ., iris[rep(1:150, 40), ], hidden = 32, optimizer = 'lbfgs', epochs = 200, %s)",
  members = "fit_nn(mpg ~ ., mtcars, hidden = 8, epochs = 2e3, members = 3, combine = 'stack', batch_size = 8, %s)",
  laplace = "fit_bayes_nn(Species ~ ., iris, hidden = 16, members = 4, %s)",
  meanfield = paste("fit_bayes_nn(mpg ~ ., mtcars, hidden = 8, posterior = 'meanfield', estimator = 'weight',",
                    "epochs = 2e4, batch_size = 8, %s)"),
  vae = "fit_vae(iris, epochs = 300, kl_warmup = 100, %s)",
  vae_fast = "fit_vae(iris, latent = 2, epochs = 1500, rng = 'fast', importance = 3, %s)",
  ae = "fit_ae(iris, epochs = 2000, noise = .1, %s)"
)

# Runs code in a child; after so many seconds it is killed. TRUE: it came to its end.
child <- function(code, seconds = Inf) {
  script <- tempfile(tmpdir = folder, fileext = ".R")
  done <- paste0(script, ".done")
  writeLines(c(sprintf("library(varnn, lib.loc = '%s')", lib), code, sprintf("file.create('%s')", done)), script)
  command <- sprintf("exec '%s' --vanilla --no-echo -f '%s' >'%s.log' 2>&1", file.path(R.home("bin"), "R"), script,
                     script)
  if (is.finite(seconds)) command <- sprintf("timeout -s KILL %.3f sh -c %s", seconds, shQuote(command))
  system(command)
  if (!file.exists(done) && is.infinite(seconds)) writeLines(readLines(paste0(script, ".log")))
  file.exists(done)
}

result <- "saveRDS(list(fit, runif(1)), '%s')"
alike <- function(file) {
  x <- readRDS(file)
  of_control <- c("checkpoint", "checkpoint_every")
  plain <- function(fit) {
    fit$call[of_control] <- NULL
    fit$control[of_control] <- NULL
    if (!is.null(fit$members)) fit$members <- lapply(fit$members, plain)
    fit
  }
  list(plain(x[[1]]), x[[2]])
}

bad <- killed <- 0
took <- numeric()
wholes <- file.path(folder, names(trainings))
while (killed < n) for (k in seq_along(trainings)) {
  if (killed >= n) break
  name <- names(trainings)[k]
  if (!file.exists(wholes[k])) {
    took[k] <- system.time(child(c("set.seed(1)", paste("fit <-", sprintf(trainings[k], "checkpoint = NULL")),
                                   sprintf(result, wholes[k]))))[["elapsed"]]
  }
  file <- tempfile(tmpdir = folder)
  kept <- sprintf("checkpoint = '%s', checkpoint_every = 0.02", file)
  out <- paste0(file, ".rds")
  code <- c("set.seed(1)", paste("fit <-", sprintf(trainings[k], kept)), sprintf(result, out))
  kills <- 0
  repeat {
    done <- child(code, if (kills < 3) 0.3 + stats::runif(1) * took[k] else Inf)
    if (done) break
    killed <- killed + 1
    kills <- kills + 1
    if (file.exists(file)) code <- c(sprintf("fit <- continue('%s')", file), sprintf(result, out))
    if (kills > 4) break
  }
  is_same <- file.exists(out) && identical(alike(out), alike(wholes[k]))
  if (!is_same) bad <- bad + 1
  cat(sprintf("%-10s killed %d times: %s\n", name, kills, if (is_same) "the same" else "DIFFERS"))
  unlink(c(file, out, paste0(file, c(".new", ".lock"))))
}
cat(sprintf("%d kills, %d trainings differ\n", killed, bad))
quit(status = bad > 0)
