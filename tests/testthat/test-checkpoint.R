# Training that is kept in a file: what comes of it is identical() to training that was never stopped.

# Without waiting for the disk.
in_memory <- function(expr) with_function("engine_sync", function(file) TRUE, expr)

# The file of a training as it was at some of the moments at which it could be kept: names of copies.
copies_at <- function(moments, expr) {
  n <- 0
  copies <- character()
  due <- function(journal) {
    n <<- n + 1
    n %in% moments
  }
  keep <- keep_in_file
  copying <- function(x, file, ...) {
    out <- keep(x, file, ...)
    if (n %in% moments && is.null(x$done[[whole_training]])) {
      copies <<- c(copies, tempfile())
      file.copy(file, copies[length(copies)])
    }
    out
  }
  in_memory(with_function("is_due", due, with_function("keep_in_file", copying, expr)))
  copies
}

# But for what says where it is kept.
alike <- function(fit) {
  of_control <- c("checkpoint", "checkpoint_every")
  fit$call[of_control] <- NULL
  fit$control[of_control] <- NULL
  if (!is.null(fit$members)) fit$members <- lapply(fit$members, alike)
  fit
}

formula <- local(mpg ~ wt + hp, globalenv()) # of an environment that is the same when it is read again

# A training with and without a file, and from its file as it was at some moments.
expect_goes_on <- function(call, moments, label = deparse(substitute(call))[1]) {
  call <- substitute(call)
  envir <- parent.frame()
  run <- function(...) {
    set.seed(1)
    fit <- suppressMessages(eval(as.call(c(as.list(call), list(...))), envir))
    list(alike(fit), stats::runif(1))
  }
  whole <- run()
  file <- tempfile()
  copies <- copies_at(moments, expect_identical(run(checkpoint = file, checkpoint_every = 0), whole, label = label))
  expect_length(copies, length(moments))
  for (k in seq_along(copies)) {
    expect_null(kept_in_file(copies[k])$value$done[[whole_training]])
    set.seed(99)
    fit <- in_memory(suppressMessages(continue(copies[k], checkpoint_every = 1e6)))
    expect_identical(list(alike(fit), stats::runif(1)), whole, label = paste(label, "from moment", moments[k]))
    expect_identical(alike(continue(copies[k])), whole[[1]])
  }
  unlink(c(file, copies))
}

test_that("training that goes on ends where it would have ended: batches, schedules, what is watched, precision", {
  expect_goes_on(fit_nn(formula, mtcars, hidden = 3, epochs = 6, batch_size = 8), c(2, 6, 9, 25))
  expect_goes_on(fit_nn(formula, mtcars, hidden = 3, epochs = 60, batch_size = 12, dropout = 0.2, validation = 0.3,
                        patience = 15, precision = "single", schedule = "plateau", rng = "fast"), c(3, 60))
  expect_goes_on(fit_nn(formula, mtcars, hidden = 3, epochs = 4, batch_size = 8, optimizer = "adamw", penalty = 0.1,
                        schedule = "cosine", starts = 2), c(4, 30))
  expect_goes_on(fit_ae(mtcars[1:4], latent = 1, epochs = 3, batch_size = 10, noise = 0.1), 5)
})

test_that("training that goes on ends where it would have ended: full batches, folds, members, rounds, dimensions", {
  expect_goes_on(fit_nn(formula, mtcars, hidden = 3, optimizer = "lbfgs", epochs = 40), c(2, 17, 30))
  expect_goes_on(fit_nn(formula, mtcars, hidden = 0), c(3, 5))
  expect_goes_on(fit_nn(formula, mtcars, hidden = 2, members = 2, combine = "stack", epochs = 2), c(9, 40))
  expect_goes_on(fit_bayes_nn(formula, mtcars, hidden = 2, members = 2, epochs = 24), c(12, 35))
  expect_goes_on(fit_bayes_nn(formula, mtcars, hidden = 2, posterior = "meanfield", epochs = 3, batch_size = 16), 4)
  expect_goes_on(fit_vae(mtcars[1:4], epochs = 3, kl_warmup = 2, importance = 2, rng = "fast"), c(4, 7))
  fit <- fit_nn(formula, mtcars, hidden = 2, epochs = 3)
  expect_goes_on(continue(fit, 4), 3)
  two <- fit_nn(formula, mtcars, hidden = 2, epochs = 3, members = 2)
  expect_goes_on(continue(two, 4), 9)
})

test_that("the choice of epochs goes on in its folds", {
  expect_goes_on(fit_nn(formula, mtcars[1:12, ], hidden = 1, batch_size = 12, learn_rate = 0.1), c(50, 5100))
})

# ---- what ends a training before its time

test_that("an interrupt, an error and a time limit leave the file as it was, and training goes on without them", {
  skip_on_os("windows")
  fit_with <- function(...) fit_nn(formula, mtcars, hidden = 3, epochs = 9, batch_size = 8, ...)
  set.seed(1)
  whole <- fit_with()
  interrupt <- function(epoch, row) {
    if (epoch == 5) tools::pskill(Sys.getpid(), tools::SIGINT)
    FALSE
  }
  fail <- function(epoch, row) if (epoch == 5) stop("no more")
  limit <- function(epoch, row) {
    if (epoch == 5) setTimeLimit(elapsed = 0.001, transient = TRUE)
    FALSE
  }
  on.exit(setTimeLimit())
  for (end in list(interrupt, fail, limit)) {
    forget_interrupts()
    file <- tempfile()
    set.seed(1)
    fit <- in_memory(tryCatch(suppressWarnings(suppressMessages(
      fit_with(callback = end, checkpoint = file, checkpoint_every = 0)
    )), varnn_error_in_training = function(e) e$fit))
    setTimeLimit()
    expect_lt(fit$n_epochs, 9)
    expect_identical(continue(file, callback = NULL, checkpoint_every = 1e6)[c("theta", "state", "history")],
                     whole[c("theta", "state", "history")])
    expect_identical(continue(file)$theta, whole$theta)
    expect_false(file.exists(paste0(file, ".lock")))
    unlink(file)
  }
})

test_that("a child that is killed, with nothing said, goes on in another process", {
  skip_on_os("windows")
  skip_on_cran()
  skip_if(is_watched())
  skip_if_counted()
  file <- tempfile()
  run <- "library(varnn); set.seed(1); fit_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 20000, batch_size = 8, %s)"
  code <- sprintf(run, sprintf("checkpoint = \"%s\", checkpoint_every = 0.01", file))
  child <- callr_process(code)
  while (length(kept_in_file(file)$value$partial$state$number) < 1) Sys.sleep(0.02)
  Sys.sleep(0.3)
  tools::pskill(child, tools::SIGKILL)
  expect_true(file.exists(paste0(file, ".lock")))
  set.seed(1)
  whole <- fit_nn(formula, mtcars, hidden = 3, epochs = 20000, batch_size = 8)
  expect_identical(continue(file)$history, whole$history)
  unlink(file)
})
