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
  expect_goes_on(fit_bayes_nn(formula, mtcars, hidden = 2, posterior = "ivon", epochs = 3, batch_size = 16), 4)
  expect_goes_on(fit_bayes_nn(formula, mtcars, hidden = 2, posterior = posterior_dropout(c(0.1, 0.2)), epochs = 3,
                              batch_size = 16), c(2, 9))
  expect_goes_on(fit_bayes_nn(formula, mtcars, hidden = 2, posterior = posterior_swag(2, 3), epochs = 3,
                              batch_size = 16), c(2, 7, 9))
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

test_that("what R answers by a try() is asked before the training, where no time limit can be lost in it", {
  calls <- 0
  version <- package_version_words
  count <- function() {
    calls <<- calls + 1
    version()
  }
  file <- tempfile()
  with_function("package_version_words", count, {
    fit_nn(formula, mtcars, hidden = 3, epochs = 9, batch_size = 8, checkpoint = file, checkpoint_every = 0)
  })
  expect_identical(calls, 1)
  unlink(file)
})

test_that("a child that is killed, with nothing said, goes on in another process", {
  skip_on_os("windows")
  skip_on_cran()
  skip_if(is_watched())
  skip_if_counted()
  file <- tempfile()
  code <- sprintf("library(varnn, lib.loc = '%s'); set.seed(1)
    fit_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 1000, batch_size = 8, checkpoint = '%s', checkpoint_every = 0)",
                  dirname(find.package("varnn")), file)
  system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(code)), stdout = FALSE, stderr = FALSE,
          wait = FALSE)
  for (i in 1:500) if (is.null(kept_in_file(file)$value$partial)) Sys.sleep(0.02) else break
  child <- as.integer(readLines(paste0(file, ".lock"))[1])
  tools::pskill(child, tools::SIGKILL)
  for (i in 1:200) if (is_alive(child)) Sys.sleep(0.01)
  set.seed(1)
  whole <- fit_nn(formula, mtcars, hidden = 3, epochs = 1000, batch_size = 8)
  expect_identical(continue(file, checkpoint_every = 1e6)$history, whole$history)
  unlink(file)
})

# ---- files that are not as they should be

small_checkpoint <- function(file = tempfile(), ..., moment = 5) {
  copies_at(moment, suppressMessages(fit_nn(formula, mtcars, hidden = 2, epochs = 5, batch_size = 8, checkpoint = file,
                                       checkpoint_every = 0, ...)))
}

test_that("a file that is damaged or something else is an error that says so", {
  file <- small_checkpoint()
  bytes <- readBin(file, "raw", file.size(file))
  changed <- tempfile()
  with_bytes <- function(b) {
    writeBin(b, changed)
    changed
  }
  for (n in c(20, 100, length(bytes) %/% 2, length(bytes) - 1))
    expect_error(continue(with_bytes(bytes[seq_len(n)])), "`object`: .* is damaged", class = "varnn_error")
  set.seed(1)
  for (at in c(30, sample(length(bytes) - 40, 20), length(bytes) - 20:1)) {
    other <- bytes
    other[at] <- xor(other[at], as.raw(2^(at %% 8)))
    expect_error(continue(with_bytes(other)), "is damaged", class = "varnn_error")
  }
  expect_error(continue(with_bytes(raw())), "is no checkpoint", class = "varnn_error")
  expect_error(continue(with_bytes(as.raw(sample(0:255, 5000, TRUE)))), "is no checkpoint", class = "varnn_error")
  saveRDS(mtcars, changed)
  expect_error(continue(changed), "is no checkpoint", class = "varnn_error")
  expect_null(keep_in_file(list(kind = "varnn tuning"), changed))
  expect_error(continue(changed), "is no checkpoint", class = "varnn_error")
  expect_error(continue(tempfile()), "`object`: there is no file", class = "varnn_error")
  expect_error(continue(tempdir()), "is no checkpoint", class = "varnn_error")
  expect_error(continue(c("a", "b")), "`object` must be the name of a file", class = "varnn_error")
  expect_error(continue(file, 10), "`epochs` is not for a file", class = "varnn_error")
  expect_error(continue(file, data = mtcars), "`data` is not for a file", class = "varnn_error")
  expect_error(continue(file, learn_rate = 1), "no argument `learn_rate`", class = "varnn_error")
  kept <- kept_in_file(file)$value
  kept$version <- "0.0.1"
  expect_null(keep_in_file(kept, changed))
  expect_error(continue(changed), "written by varnn 0.0.1", class = "varnn_error")
  unlink(c(file, changed))
})

test_that("no element of a file that somebody has changed and signed again crashes R", {
  file <- small_checkpoint(tempfile(), validation = 0.2, moment = 20)
  changed <- tempfile()
  whole <- kept_in_file(file)$value
  expect_length(whole$partial$state$order, 26)
  refused <- function(name, value) {
    kept <- whole
    kept$partial$state[[name]] <- value
    keep_in_file(kept, changed)
    expect_error(in_memory(continue(changed)), name, label = name)
  }
  for (name in c("theta", "start", "best", "state", "sum", "part", "order")) {
    x <- whole$partial$state[[name]]
    for (value in list(x[-1], c(x, 1), replace(x, 1, NaN), replace(x, 1, Inf), as.character(x), NULL))
      refused(name, value)
  }
  for (value in list(-1, 26, 1e9)) refused("order", replace(whole$partial$state$order, 3, value))
  for (at in 1:5) for (value in c(-1, NaN, 1e300)) {
    if (at == 1) next # the number of epochs, by which the history is read
    refused("number", replace(whole$partial$state$number, at, value))
  }
  refused("number", replace(whole$partial$state$number, 1, 6))
  refused("history", whole$partial$state$history[, 0])
  for (seed in list(1L, c(10403L, 1:3), integer())) {
    kept <- whole
    kept$seed <- seed
    keep_in_file(kept, changed)
    expect_error(continue(changed), "generator")
  }
  stats::runif(1)
  unlink(c(file, changed))
})

test_that("a name that cannot be is an error before training, a file that is not done is not written over", {
  fit_to <- function(file, ...) fit_nn(formula, mtcars, hidden = 2, epochs = 2, checkpoint = file, ...)
  expect_error(fit_to(1), "`checkpoint` must be the name of a file", class = "varnn_error")
  long <- strrep("x", 5000)
  expect_no_warning(expect_error(fit_to(long), "`checkpoint` .* of at most 4,000 bytes", class = "varnn_error"))
  expect_error(fit_to(file.path(tempfile(), "a")), "`checkpoint`: there is no folder", class = "varnn_error")
  expect_error(fit_to(tempdir()), "`checkpoint`: .* is a folder", class = "varnn_error")
  expect_error(fit_to(tempfile(), checkpoint_every = -1), "`checkpoint_every` must be", class = "varnn_error")
  other <- tempfile()
  saveRDS(1, other)
  expect_error(fit_to(other), "`checkpoint`: .* is no checkpoint", class = "varnn_error")
  expect_identical(readRDS(other), 1)
  if (file.exists("/dev/full")) {
    expect_error(fit_to("/dev/full"), "`checkpoint`: .* is no checkpoint", class = "varnn_error")
    full <- tempfile()
    file.symlink("/dev/full", paste0(full, ".new"))
    expect_error(fit_to(full), "`checkpoint`: .* cannot be written", class = "varnn_error")
    unlink(paste0(full, ".new"))
  }
  file <- small_checkpoint()
  expect_error(fit_to(file), "has a training that is not done", class = "varnn_error")
  expect_identical(continue(file)$n_epochs, 5L)
  expect_identical(fit_to(file)$n_epochs, 2L) # of one that is done
  expect_identical(continue(file)$n_epochs, 2L)
  before <- RNGkind(normal.kind = "Box-Muller")
  on.exit(RNGkind(before[1], before[2], before[3]))
  expect_error(fit_to(tempfile()), "`checkpoint` cannot keep the state .*Box-Muller", class = "varnn_error")
  unlink(c(other, file))
})

# ---- trouble while it is written, and other processes

test_that("what cannot be written is told once, training goes on, and what was kept stays", {
  fit_with <- function(...) fit_nn(formula, mtcars, hidden = 2, epochs = 8, batch_size = 8, ...)
  set.seed(1)
  whole <- fit_with()
  file <- tempfile()
  block <- function(epoch, row) {
    if (epoch == 3) dir.create(paste0(file, ".new"))
    FALSE
  }
  said <- list()
  set.seed(1)
  fit <- in_memory(withCallingHandlers(
    fit_with(callback = block, checkpoint = file, checkpoint_every = 0),
    warning = function(w) {
      said <<- c(said, list(w))
      tryInvokeRestart("muffleWarning")
    }
  ))
  expect_length(said, 1)
  expect_s3_class(said[[1]], "varnn_checkpoint")
  expect_match(conditionMessage(said[[1]]), "is not kept in .*what was kept there before stays", ignore.case = TRUE)
  expect_identical(fit$theta, whole$theta)
  unlink(paste0(file, ".new"), recursive = TRUE)
  expect_identical(kept_in_file(file)$value$partial$state$number[1], 2)
  expect_identical(continue(file, callback = NULL, checkpoint_every = 1e6)$theta, whole$theta)
  unlink(file)
})

test_that("a disk that is full is told, training goes on, and what was kept stays", {
  skip_if_not(file.exists("/dev/full"), "there is no /dev/full")
  file <- tempfile()
  beside <- paste0(file, ".new")
  full <- function(epoch, row) {
    if (epoch %in% 3:5 && !file.exists(beside)) file.symlink("/dev/full", beside)
    FALSE
  }
  said <- 0
  set.seed(1)
  fit <- in_memory(withCallingHandlers(
    fit_nn(formula, mtcars, hidden = 2, epochs = 8, batch_size = 8, callback = full, checkpoint = file,
           checkpoint_every = 0),
    varnn_checkpoint = function(w) {
      said <<- said + 1
      expect_match(conditionMessage(w), "not kept in .* kept there before stays")
      tryInvokeRestart("muffleWarning")
    }
  ))
  expect_gte(said, 1)
  expect_identical(fit$n_epochs, 8L)
  expect_true(file.exists("/dev/full"))
  unlink(beside)
  # a training that is done says again what it has said
  again <- suppressWarnings(continue(file), "varnn_checkpoint")
  expect_identical(again$theta, fit$theta)
  unlink(file)
})

test_that("a file is of one process at a time, and a lock of a dead one is taken over", {
  skip_on_os("windows")
  file <- small_checkpoint()
  lock <- paste0(file, ".lock")
  other <- as.integer(system("sleep 60 >/dev/null 2>&1 & echo $!", intern = TRUE))
  writeLines(c(other, Sys.info()[["nodename"]]), lock)
  expect_error(continue(file), "another training uses .* process", class = "varnn_error")
  expect_true(file.exists(lock))
  tools::pskill(other, tools::SIGKILL)
  for (i in 1:200) if (is_alive(other)) Sys.sleep(0.01)
  expect_identical(continue(file)$n_epochs, 5L)
  expect_false(file.exists(lock))
  # in this process
  inner <- NULL
  again <- function(epoch, row) {
    if (is.null(inner))
      inner <<- tryCatch(fit_nn(formula, mtcars, epochs = 1, checkpoint = file), error = identity)
    FALSE
  }
  fit_nn(formula, mtcars, hidden = 2, epochs = 3, checkpoint = file, callback = again)
  expect_match(conditionMessage(inner), "is not done|another training uses")
  unlink(file)
})

test_that("a process on another machine that has taken a file over is not written over", {
  file <- tempfile()
  taken <- function(epoch, row) {
    if (epoch == 3) keep_in_file(kept_in_file(file)$value, file, as.raw(1:16))
    FALSE
  }
  expect_warning(
    fit <- in_memory(fit_nn(formula, mtcars, hidden = 2, epochs = 8, checkpoint = file, checkpoint_every = 0,
                            callback = taken)),
    "another process has gone on with it", class = "varnn_checkpoint"
  )
  expect_identical(fit$n_epochs, 8L)
  expect_identical(file_owner(file), as.raw(1:16))
  unlink(file)
})

test_that("fits that a callback, cross-validation or update() makes have files of their own, or none", {
  file <- tempfile()
  fit <- fit_nn(formula, mtcars, hidden = 0, epochs = 3, optimizer = "adam", checkpoint = file)
  expect_identical(update(fit)$control$checkpoint, file)
  scores <- cross_validate(fit, folds = 2, draws = 5)
  expect_identical(continue(file)$n_obs, 32L)
  expect_s3_class(scores, "varnn_cross_validation")
  tuned <- tune_fit(update(fit, control = nn_control(checkpoint = file)), penalty = c(0, 1), folds = 2, draws = 5)
  expect_null(tuned$fit$control$checkpoint)
  expect_identical(continue(fit, 2)$n_epochs, 5L)
  expect_identical(continue(file)$n_epochs, 5L)
  expect_output(print(nn_control()), "checkpoint +none")
  # of a training inside of another
  set.seed(1)
  whole <- fit_nn(formula, mtcars, hidden = 2, epochs = 4)
  own <- tempfile()
  unlink(file)
  inside <- function(epoch, row) {
    if (epoch == 2) keep_random(fit_nn(formula, mtcars, hidden = 1, epochs = 2, checkpoint = own))
    FALSE
  }
  set.seed(1)
  copies <- copies_at(6:9, fit_nn(formula, mtcars, hidden = 2, epochs = 4, checkpoint = file, checkpoint_every = 0,
                                  callback = inside))
  for (copy in copies) expect_identical(continue(copy, checkpoint_every = 1e6)$theta, whole$theta)
  expect_identical(continue(own)$n_epochs, 2L)
  unlink(c(file, own, copies))
})
