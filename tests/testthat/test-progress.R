# What a user sees of long work: conditions of progressr, a bar of cli, nothing else.

with_value <- function(name, value, expr) with_function(name, value, expr)

# The conditions that progressr's handlers would see.
signalled <- function(expr) {
  seen <- list()
  withCallingHandlers(expr, progression = function(p) seen <<- c(seen, list(p)))
  seen
}

long_fit <- function(...) fit_nn(mpg ~ wt + hp, mtcars, hidden = 8, epochs = 2e5, batch_size = 8, ...)

test_that("progressr hears of a long training, its epochs and losses, no more often than four times a second", {
  skip_if_not_installed("progressr")
  skip_if_counted()
  loadNamespace("progressr")
  before <- options(progressr.enable = TRUE)
  on.exit(options(before))
  set.seed(1)
  alone <- with_value("progress_ways", list(), long_fit(validation = 0.2))
  set.seed(1)
  took <- system.time(
    seen <- with_value("progress_from", 0.1, signalled(fit <- long_fit(validation = 0.2)))
  )[["elapsed"]]
  expect_identical(fit, alone)
  type <- vapply(seen, function(p) p$type, "")
  expect_identical(type[1], "initiate")
  expect_identical(type[length(type)], "finish")
  updates <- seen[type == "update"]
  expect_gt(length(updates), 0)
  expect_lte(length(updates), 4 * took + 1)
  amount <- sum(vapply(updates, function(p) p$amount, 0))
  expect_true(amount > 0 && amount <= 2e5)
  expect_match(updates[[length(updates)]]$message,
               "^epoch [0-9]+ of 200000, loss [-0-9.e]+, val_loss [-0-9.e]+(, [0-9]+ s left)?$")
})

test_that("short work, and work that nobody listens to, says nothing; what fails is not shown, and training goes on", {
  expect_silent(fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 20))
  expect_null(progress_of(list(verbose = FALSE), "loss", NULL)$show)
  expect_false(progress_ways$cli$is_used(list(verbose = FALSE)))
  tried <- 0
  broken <- list(none = list(is_used = function(control) TRUE, step = identity, end = identity, start = function(n) {
    tried <<- tried + 1
    stop("no bar")
  }))
  with_value("progress_ways", broken, with_value("progress_from", 0, {
    assign("began", 0, work)
    shown <- progress_of(list(epochs = 9), c("loss", "val_loss"))
    for (epoch in 1:9) expect_false(shown$show(epoch, c(1, NaN)))
    shown$end()
  }))
  expect_identical(tried, 1)
})

test_that("words of progress: what was, what is left", {
  row <- c(loss = 1.23456789, learn_rate = 1, val_loss = NaN)
  expect_identical(progress_words(30, 100, row, 12, list(epoch = 10, at = 2)),
                   "epoch 30 of 100, loss 1.2346, 35 s left")
  expect_identical(progress_words(1, 9, c(loss = 1, val_loss = 2), 0, list(epoch = 1, at = 0)),
                   "epoch 1 of 9, loss 1, val_loss 2")
  expect_identical(vapply(c(0.4, 119, 120, 7199, 7200, 172800), time_words, ""),
                   c("0 s", "119 s", "2 min", "120 min", "2 h", "2 d"))
})

test_that("work of many steps that takes long shows how many are done, and gives what it gives unseen", {
  said <- character()
  recorder <- list(way = list(is_used = function(control) isTRUE(control$verbose), start = identity,
                              step = function(bar, by, words) said <<- c(said, words), end = identity))
  set.seed(1)
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  unseen <- lapply(list(importance, cross_validate, effects), function(f) {
    set.seed(2)
    f(fit)
  })
  seen <- with_value("progress_ways", recorder, with_value("progress_from", -1, with_value("progress_every", -1, {
    lapply(list(importance, cross_validate, effects), function(f) {
      set.seed(2)
      f(fit)
    })
  })))
  expect_identical(seen, unseen)
  for (words in c("^permutation 20 of 20$", "^part 10 of 10$", "^predictor 2 of 2$"))
    expect_match(sub(", .*", "", said), words, all = FALSE)
})
