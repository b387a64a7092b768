# How long to train: the choice of epochs against small cases by hand, and against training done again.

test_that("the fewest epochs are those whose mean loss is within half a standard error of the least", {
  # The least mean is in the last row, 1. In the third row it is .05 more: the folds differ by 3, -2.5, .5, .5, -1.25 to
  # their last row, of standard deviation 2.09 and half a standard error .466; in the second by .5 each, of error 0.
  last <- c(1, 1, 1, 1, 1)
  third <- last + c(3, -2.5, 0.5, 0.5, -1.25)
  curves <- rbind(9, last + 0.5, third, last)
  expect_lt(stats::sd(third - last) / sqrt(5) / 2 - 0.4660774, 1e-6)
  expect_equal(mean(third - last), 0.05)
  expect_equal(fewest_epochs(curves), 3)
  # Where the third row is above the last in every fold, it is not within the error.
  expect_equal(fewest_epochs(rbind(9, last + 0.5, last + c(0.1, 0.1, 0.2, 0.1, 0.1), last)), 4)
  # At least two, also where one is best.
  expect_equal(fewest_epochs(rbind(last, last + 1, last + 2)), 2)
  # Of a single fold there is no error: the least.
  expect_equal(fewest_epochs(cbind(c(5, 4, 2, 1.99, 3))), 4)
  # Where a fold has diverged those epochs are not taken; where all have, all epochs.
  expect_equal(fewest_epochs(cbind(c(5, 4, 3, 2), c(5, 4, Inf, Inf))), 2)
  expect_equal(fewest_epochs(matrix(Inf, 7, 5)), 7)
})

test_that("folds, and what is said of them, depend on the rows; most epochs are about 6,000 steps", {
  expect_identical(most_epochs(c(10), 32), 500L)
  expect_identical(most_epochs(32000, 32), 20L)
  expect_identical(most_epochs(3200, 32), 60L)
  chosen <- function(n, layer = "dense", valid = NULL, ...) {
    folds <- NULL
    curves <- function(control, spec, layout, blocks, train, asked) {
      folds <<- asked
      rbind(rep(3, asked), 2, 1, 2)
    }
    control <- nn_control(batch_size = 32, ...)
    sets <- list(train = list(n = n), valid = valid)
    spec <- list(layer = layer, option = "")
    out <- with_function("held_out_curves", curves, choose_epochs(control, spec, NULL, NULL, sets))
    list(folds = folds, epochs = out$epochs, by = out$epochs_by, patience = out$patience)
  }
  five <- "5-fold cross-validation"
  for (case in list(list(2000, "dense", 15, five), list(2001, "dense", 5, five), list(1000, "latent", 5, five),
                    list(10001, "dense", 1, "holding out a fifth of the rows"),
                    list(1001, "latent", 1, "holding out a fifth of the rows"))) {
    of_case <- chosen(case[[1]], case[[2]])
    expect_equal(of_case[1:3], list(folds = case[[3]], epochs = 3, by = case[[4]]), label = case[[1]])
  }
  # nothing is chosen: epochs are given, patience is asked for, rows are too few, or held out anyway
  expect_equal(chosen(500, epochs = 7)[c("folds", "epochs")], list(folds = NULL, epochs = 7))
  expect_equal(chosen(9)[c("folds", "epochs")], list(folds = NULL, epochs = 500))
  expect_equal(chosen(6400, valid = list(n = 5)), list(folds = NULL, epochs = 30L, by = NULL, patience = 10))
  expect_equal(chosen(32, valid = list(n = 5))$patience, 50)
  expect_equal(chosen(32, valid = list(n = 5), patience = 12)$patience, 12)
})

test_that("held-out curves are those of training without each fold, which divide the rows", {
  set.seed(1)
  case <- smooth_problem(hidden = 2)
  twice <- c(1:9, 1:9)
  part <- function(rows) {
    engine_data(case$data$x[twice[rows], ], case$data$y[twice[rows], , drop = FALSE],
                offset = case$data$offset[twice[rows], , drop = FALSE])
  }
  data <- part(1:18)
  block <- list(a_block("gaussian", 1))
  control <- nn_control(epochs = 4, batch_size = 5, learn_rate = 0.01, verbose = TRUE, patience = 1,
                        callback = function(epoch, row) TRUE)
  rows <- list()
  train <- engine_fit
  recorded <- function(spec, layout, data, valid, control, theta) {
    expect_setequal(c(data$row, valid$row), 1:18)
    rows[[length(rows) + 1]] <<- valid$row
    train(spec, layout, data, valid, control, theta)
  }
  seen <- list()
  start <- function(...) seen[[length(seen) + 1]] <<- stats::rnorm(length(case$theta), 0, 0.3)
  said <- capture_messages(curves <- with_function("engine_fit", recorded, with_function("start_of", start, {
    set.seed(2)
    held_out_curves(control, case$spec, case$layout, block, data, 10)
  })))
  expect_identical(dim(curves), c(4L, 10L))
  expect_match(said, "^choice of epochs, fold [0-9]+ of 10")
  expect_length(said, 10)
  for (division in list(1:5, 6:10)) {
    expect_setequal(unlist(rows[division]), 1:18)
    expect_identical(anyDuplicated(unlist(rows[division])), 0L)
    expect_true(all(lengths(rows[division]) %in% 3:4))
  }
  expect_false(identical(rows[1:5], rows[6:10]))
  # Without steps the loss is that of the start, by the engine in plain loops.
  still <- utils::modifyList(control, list(learn_rate = 1e-300))
  seen <- rows <- list()
  curves <- with_function("engine_fit", recorded, with_function("start_of", start, {
    suppressMessages(held_out_curves(still, case$spec, case$layout, block, data, 5))
  }))
  for (k in 1:5) {
    nll <- mean(slow_engine(case$spec, seen[[k]], part(rows[[k]]))$terms)
    expect_equal(curves[, k], rep(nll, 4), tolerance = 1e-10)
  }
})

test_that("a fold that diverges has infinite losses from then on", {
  diverging <- function(theta, spec, layout, inside, out, control) {
    list(status = "diverged", epochs = 2, history = cbind(val_loss = c(3, 2)))
  }
  curves <- with_function("train_from", diverging, with_function("start_of", function(...) 0, {
    held_out_curves(list(epochs = 4), NULL, NULL, NULL, list(n = 10), 5)
  }))
  expect_equal(curves, matrix(c(3, 2, Inf, Inf), 4, 5), ignore_attr = TRUE)
})

test_that("without epochs the rows held out decide when to stop, and the best parameters are kept", {
  set.seed(3)
  fit <- fit_nn(mpg ~ ., mtcars, hidden = 20, learn_rate = 0.03, validation = c(1, 5, 9, 13, 17, 21, 25, 29))
  h <- fit$history
  best <- which.min(h$val_loss)
  expect_identical(fit$stop_reason, "patience")
  expect_identical(fit$best_epoch, best)
  expect_identical(nrow(h), best + 50L)
  expect_null(fit$control$epochs_by)
  # The loss of the kept parameters on these rows, with the noise at its optimum for them, is the least of the history.
  out <- mtcars[c(1, 5, 9, 13, 17, 21, 25, 29), ]
  squared <- mean((out$mpg - predict(fit, out))^2)
  expect_equal(min(h$val_loss), log(2 * pi * squared) / 2 + 0.5, tolerance = 1e-6)
})

test_that("cross-validation trains long where there is much to learn, and hardly where there is nothing", {
  set.seed(4)
  x <- stats::runif(200, -3, 3)
  epochs <- function(y) fit_nn(y ~ x, data.frame(x, y), hidden = 8)$n_epochs
  expect_gt(epochs(sin(2 * x) + stats::rnorm(200, 0, 0.05)), 4 * epochs(stats::rnorm(200)))
})

test_that("training does not go on with other weights or another offset than it began with", {
  w <- rep(1:2, 16)
  o <- mtcars$hp / 100
  fit <- fit_nn(mpg ~ wt + offset(o), mtcars, weights = w, epochs = 2)
  expect_equal(continue(fit, 1)$n_epochs, 3)
  w <- rev(w)
  expect_error(continue(fit, 1), "not those the model was trained on", class = "varnn_error")
  w <- rev(w)
  o <- rev(o)
  expect_error(continue(fit, 1), "not those the model was trained on", class = "varnn_error")
})
