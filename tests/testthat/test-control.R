# nn_control(): what it takes, what it refuses and in what words, and who wins over whom.

test_that("every argument refuses what it cannot be, by name", {
  bad <- list(
    epochs = list(-1, 1.5, NA, Inf, "a", c(1, 2), TRUE, 1e10), batch_size = list(0, -1, 1.5, NA, "a", c(1, 2)),
    optimizer = list("zz", NULL, 3, NA, c("adam", "sgd")), learn_rate = list(0, -1, NA, Inf, "a", c(1, 2)),
    schedule = list("zz", NULL, 3), momentum = list(-0.1, 1, 2, NA, "a"), clip_norm = list(0, -1, NA, "a"),
    validation = list(-0.1, 1.5, NA, "a", NULL, TRUE), patience = list(0, -1, 1.5, NA, "a"),
    starts = list(0, -1, 1.5, NA, "a"), precision = list("half", NULL, 1), threads = list(0, -1, 1.5, NA, "a"),
    rng = list("zz", NULL, 1), verbose = list(NA, 1, "a", NULL), callback = list(1, "a")
  )
  for (name in names(bad)) {
    for (value in bad[[name]]) {
      arguments <- setNames(list(value), name)
      expect_refused(do.call(nn_control, arguments), paste0("`", name, "`"), label = paste(name, deparse(value)))
      expect_refused(do.call(fit_nn, c(list(mpg ~ wt, mtcars, hidden = 2), arguments)), paste0("`", name, "`"))
    }
  }
})

test_that("a message says what was given, and bounds are told right", {
  expect_refused(nn_control(epochs = 1.5), "1.5")
  expect_refused(nn_control(momentum = 1), "below 1")
  expect_refused(nn_control(precision = "float"), "\"double\", \"single\", not \"float\"")
})

test_that("numbers too large to use are refused by name", {
  expect_refused(quick(mpg ~ wt, mtcars, learn_rate = 1e308), "`learn_rate`")
  expect_refused(quick(mpg ~ wt, mtcars, penalty = 1e300), "`penalty`")
})

test_that("near misses are named", {
  expect_refused(nn_control(optimizer = "Adam"), "did you mean \"adam\"")
  expect_refused(nn_control(schedule = "cosin"), "cosine")
  expect_refused(quick(mpg ~ wt, mtcars, learning_rate = 0.1), "`learning_rate`.*learn_rate")
  expect_refused(quick(mpg ~ wt, mtcars, batchsize = 8), "`batchsize`.*batch_size")
  expect_refused(fit_nn(mpg ~ wt, mtcars, epoch = 8), "`epoch`.*epochs")
  expect_refused(fit_nn(mpg ~ wt, mtcars, Epochs = 8), "`Epochs`.*epochs")
  expect_refused(quick(mpg ~ wt, mtcars, lr = 0.1), "`lr`")
  message <- tryCatch(quick(mpg ~ wt, mtcars, lr = 0.1), error = conditionMessage)
  expect_no_match(message, "\"x\"")
})

test_that("arguments given directly win over control", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, control = nn_control(epochs = 9, optimizer = "sgd"), epochs = 4)
  expect_equal(nrow(fit$history), 4)
  expect_equal(fit$control$epochs, 4)
  expect_equal(fit$control$optimizer, "sgd")
})

test_that("control is nn_control() or a list of its arguments", {
  expect_equal(nrow(fit_nn(mpg ~ wt, mtcars, hidden = 2, control = nn_control(epochs = 3))$history), 3)
  expect_equal(nrow(fit_nn(mpg ~ wt, mtcars, hidden = 2, control = list(epochs = 3))$history), 3)
  expect_refused(fit_nn(mpg ~ wt, mtcars, control = 3), "`control`.*nn_control")
  expect_refused(fit_nn(mpg ~ wt, mtcars, control = nn_control), "`control`.*nn_control")
  expect_refused(fit_nn(mpg ~ wt, mtcars, control = list(epoch = 3)), "`epoch`.*epochs")
})

test_that("a control that was changed by hand is checked again", {
  changed <- nn_control(epochs = 3)
  changed$epochs <- -5
  expect_refused(fit_nn(mpg ~ wt, mtcars, control = changed), "`epochs`")
  changed <- nn_control(epochs = 3)
  changed$foo <- 3
  expect_refused(fit_nn(mpg ~ wt, mtcars, control = changed), "`foo`")
})

test_that("an argument given twice is an error", {
  expect_refused(fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 3, epochs = 4), "`epochs`|matched by multiple")
})

test_that("the defaults are the interface's", {
  defaults <- formals(nn_control)
  expect_equal(defaults$optimizer, "adam")
  expect_equal(defaults$schedule, "constant")
  expect_equal(defaults$validation, 0)
  expect_equal(defaults$starts, 1)
  expect_equal(defaults$precision, "double")
  expect_equal(defaults$threads, 1)
  expect_equal(defaults$rng, "R")
  expect_false(defaults$verbose)
  expect_s3_class(nn_control(), "varnn_control")
  expect_output(print(nn_control(epochs = 7)), "epochs +7")
})

test_that("what was chosen is printed", {
  printed <- paste(capture.output(print(quick(mpg ~ wt, mtcars, epochs = 3))), collapse = " ")
  expect_match(printed, "adam.*3 epochs.*batch size 32.*learning rate")
})

test_that("rows are held out by proportion, number or as data", {
  held <- function(...) quick(mpg ~ wt, mtcars, ...)$history$val_loss
  expect_true(all(is.finite(held(validation = 0.25))))
  expect_true(all(is.finite(held(validation = c(3, 9)))))
  expect_true(all(is.finite(held(validation = mtcars[1:9, ]))))
  fit <- quick(cars_x(), mtcars$mpg, validation = list(x = cars_x()[1:9, ], y = mtcars$mpg[1:9]))
  expect_true(all(is.finite(fit$history$val_loss)))
})

test_that("held-out rows are not trained on, by number or as data", {
  set.seed(1)
  reference <- lm(mpg ~ wt, mtcars[-(1:9), ])
  by_data <- linear(mpg ~ wt, mtcars[-(1:9), ], validation = mtcars[1:9, ])
  by_number <- linear(mpg ~ wt, mtcars, validation = 1:9)
  train_loss <- -as.numeric(logLik(reference)) / 23
  expect_same(tail(by_data$history$loss, 1), train_loss)
  expect_same(tail(by_number$history$loss, 1), train_loss)
  expect_same(tail(by_number$history$val_loss, 1), tail(by_data$history$val_loss, 1))
  expect_equal(by_number$best_epoch, which.min(by_number$history$val_loss))
})

test_that("the held-out loss is the negative log-likelihood of the rows held out", {
  reference <- glm(am ~ qsec, binomial, mtcars[-(1:9), ])
  fit <- linear(am ~ qsec, mtcars, family = "binomial", validation = 1:9)
  held <- predict(reference, mtcars[1:9, ], type = "response")
  expect_same(tail(fit$history$val_loss, 1), -mean(dbinom(mtcars$am[1:9], 1, held, log = TRUE)), tolerance = 1e-4)
  # of a gaussian with sigma at its closed form on these rows: the loss falls exactly when their mean square does
  reference <- lm(mpg ~ wt, mtcars[-(1:9), ])
  fit <- linear(mpg ~ wt, mtcars, validation = 1:9)
  error <- mtcars$mpg[1:9] - predict(reference, mtcars[1:9, ])
  expect_same(tail(fit$history$val_loss, 1), -mean(dnorm(error, 0, sqrt(mean(error^2)), log = TRUE)), tolerance = 1e-4)
})

test_that("rows that cannot be held out are refused", {
  expect_refused(quick(mpg ~ wt, mtcars, validation = 33), "`validation`.*33")
  expect_refused(quick(mpg ~ wt, mtcars, validation = 1:32), "`validation`")
  expect_refused(quick(mpg ~ wt, mtcars, validation = 0.999), "`validation`")
  expect_refused(quick(mpg ~ wt, mtcars, validation = c(1.5, 2)), "`validation`")
  expect_refused(quick(mpg ~ wt, mtcars, validation = c(1, 1)), "`validation`")
})

test_that("held-out data that do not fit the model are refused", {
  expect_refused(quick(mpg ~ wt, mtcars, validation = mtcars["mpg"]), "`wt`")
  expect_refused(quick(mpg ~ wt, mtcars, validation = mtcars["wt"]), "mpg")
  expect_refused(quick(mpg ~ wt, mtcars, validation = mtcars[0, ]), "`validation`|held-out")
  expect_refused(quick(mpg ~ wt, mtcars, validation = transform(mtcars, wt = NA_real_)), "`validation`|held-out")
  expect_refused(quick(mpg ~ wt, mtcars, validation = transform(mtcars, mpg = factor(mpg))), "mpg")
  expect_refused(quick(Species ~ ., iris_two(), validation = iris), "setosa")
})

test_that("held-out x and y must be of one length and finite", {
  held <- function(x, y) quick(cars_x(), mtcars$mpg, validation = list(x = x, y = y))
  expect_refused(held(cars_x(), mtcars$mpg[1:2]), "`validation`|`y`|held-out")
  expect_refused(held(cars_x()[1:2, ], mtcars$mpg), "2 rows|32")
  expect_refused(held(cars_x()[1:2, ], c(NA, NA)), "`validation`|`y`|held-out")
  expect_refused(held(cars_x()[1:2, ], c(Inf, 1)), "infinite")
  expect_refused(held(cars_x()[0, ], numeric()), "`validation`|held-out|no rows")
  expect_refused(quick(cars_x(), mtcars$mpg, validation = mtcars), "x = , y = ")
})

test_that("several starts keep one that is no worse", {
  set.seed(1)
  one <- quick(mpg ~ ., mtcars, epochs = 20)
  set.seed(1)
  four <- quick(mpg ~ ., mtcars, epochs = 20, starts = 4)
  expect_lte(tail(four$history$loss, 1), tail(one$history$loss, 1) + 1e-8)
})

test_that("a callback sees each epoch and can stop", {
  seen <- NULL
  fit <- quick(mpg ~ wt, mtcars, callback = function(epoch, row) {
    seen <<- c(seen, epoch)
    epoch == 4
  })
  expect_equal(seen, 1:4)
  expect_equal(nrow(fit$history), 4)
  expect_equal(fit$stop_reason, "callback")
})

test_that("a callback that fails is heard, one that cannot be called is refused", {
  expect_refused(quick(mpg ~ wt, mtcars, callback = function(epoch, row) stop("boom")), "boom")
  expect_refused(quick(mpg ~ wt, mtcars, callback = function() 1), "`callback`")
})

test_that("patience stops early and the best parameters come back", {
  set.seed(2)
  fit <- fit_nn(mpg ~ ., mtcars, hidden = 8, epochs = 500, learn_rate = 0.05, validation = 1:8, patience = 5)
  expect_lt(nrow(fit$history), 500)
  expect_equal(fit$best_epoch, which.min(fit$history$val_loss))
  expect_equal(nrow(fit$history), fit$best_epoch + 5)
})

test_that("verbose reports, and else nothing is said", {
  said <- function(...) capture.output(capture.output(quick(mpg ~ wt, mtcars, ...), type = "message"))
  expect_match(said(verbose = TRUE), "epoch", all = FALSE)
  expect_silent(quick(mpg ~ wt, mtcars))
})

test_that("verbose speaks of what comes before the training, and of no term that the model has not", {
  lines <- function(expr) capture.output(capture.output(expr), type = "message")
  set.seed(1)
  said <- lines(fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, batch_size = 32, verbose = TRUE))
  of_folds <- grep("choice of epochs, fold [0-9]+ of 15: the least held-out loss, [0-9.]+, after epoch", said)
  expect_identical(of_folds, 1:15)
  epochs <- grep("^epoch", said, value = TRUE)
  expect_length(epochs, fit$n_epochs)
  expect_match(epochs, "^epoch [0-9]+  loss [0-9.]+  learn_rate 0.005  nll [0-9.]+$")
  said <- lines(fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 2, members = 2, combine = "stack", verbose = TRUE))
  expect_identical(grep("^member|^stacking", said, value = TRUE),
                   c("member 1 of 2", "member 2 of 2", sprintf("stacking, fold %d of 5", 1:5)))
  said <- lines(fit <- fit_vae(iris, epochs = 2, verbose = TRUE))
  expect_match(said[1:2], "choice of `latent`, [24] dimensions: log-likelihood of held-out rows")
})

# from random weights: where training starts at an optimum, adam's first steps are the signs of rounding errors
test_that("single precision is double to its accuracy", {
  set.seed(1)
  double <- quick(mpg ~ wt, mtcars, layer_norm = TRUE)
  set.seed(1)
  single <- quick(mpg ~ wt, mtcars, layer_norm = TRUE, precision = "single")
  expect_equal(predict(single, mtcars), predict(double, mtcars), tolerance = 1e-4)
})

test_that("training on that diverges at once keeps the history, whatever its columns", {
  set.seed(1)
  fit <- quick(mpg ~ wt, mtcars, validation = 0.2, batch_size = 8)
  expect_identical(row.names(continue(fit, 1)$history), as.character(1:7))
  fit$control$validation <- 0
  fit$held_out <- NULL
  expect_warning(after <- continue(fit, 2, learn_rate = 1e100), class = "varnn_diverged")
  expect_equal(after$history, fit$history)
})

test_that("patience alone watches the rows that cross-validation holds out", {
  set.seed(5)
  # noise alone: what is learned of it helps no new row, and the training loss falls for long
  noise <- data.frame(matrix(rnorm(80 * 20), 80), y = rnorm(80))
  set.seed(1)
  watched <- fit_nn(y ~ ., noise, patience = 5)
  expect_match(watched$control$epochs_by, "cross-validation")
  set.seed(1)
  chosen <- fit_nn(y ~ ., noise)
  expect_lte(watched$n_epochs, max(chosen$n_epochs, 20))
  expect_lt(watched$n_epochs, fit_nn(y ~ ., noise, patience = 5, epochs = 500)$n_epochs)
  # with rows held out it is these that decide
  held <- fit_nn(y ~ ., noise, patience = 3, validation = 0.3, epochs = 200)
  expect_lte(held$n_epochs - held$best_epoch, 3)
})

test_that("a fold that patience ended keeps its loss, and one that diverged has none", {
  curve <- asNamespace("varnn")$held_out_curve
  trained <- function(status) list(history = cbind(val_loss = c(3, 2, 2.5)), status = status)
  expect_equal(curve(trained("patience"), 5), c(3, 2, 2.5, 2.5, 2.5))
  expect_equal(curve(trained("diverged"), 5), c(3, 2, 2.5, Inf, Inf))
  expect_equal(curve(trained("finished"), 3), c(3, 2, 2.5))
})
