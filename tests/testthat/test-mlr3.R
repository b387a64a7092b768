# Learners of mlr3, against predict() of the same fit.

skip_if_not_installed("mlr3")
getExportedValue("lgr", "get_logger")("mlr3")$set_threshold("warn")

numbers <- function(d = mtcars) mlr3::as_task_regr(d[c("mpg", "wt", "hp")], "mpg", id = "cars")
flowers <- function(d = iris) mlr3::as_task_classif(d, "Species", id = "flowers")

test_that("a learner trains what fit_nn() does, and predicts what predict() does", {
  learner <- mlr3::lrn("regr.varnn", hidden = c(3, 2), epochs = 5, activation = "tanh", penalty = 0.01,
                       learn_rate = 0.02)
  set.seed(1)
  learner$train(numbers())
  set.seed(1)
  ours <- fit_nn(mtcars[c("hp", "wt")], mtcars$mpg, hidden = c(3, 2), epochs = 5, activation = "tanh", penalty = 0.01,
                 learn_rate = 0.02)
  expect_identical(learner$model$theta, ours$theta)
  expect_equal(learner$predict(numbers())$response, unname(predict(ours, mtcars)))
  one <- learner$predict_newdata(transform(mtcars[3, c("wt", "mpg", "hp")], extra = 1)) # other columns, other order
  expect_equal(one$response, unname(predict(ours, mtcars[3, ])))
  expect_length(learner$predict_newdata(mtcars[0, ])$response, 0)
  expect_error(mlr3::lrn("regr.varnn", epoch = 5), "epoch")
})

test_that("without hidden layers standard errors are those of lm(), weights those of the task", {
  task <- mlr3::as_task_regr(transform(mtcars[c("mpg", "wt", "hp")], w = rep(1:2, 16)), "mpg")
  task$set_col_roles("w", "weights_learner")
  learner <- mlr3::lrn("regr.varnn", hidden = 0, predict_type = "se")
  learner$train(task)
  lm <- lm(mpg ~ hp + wt, mtcars[rep(1:32, rep(1:2, 16)), ]) # a row of weight 2 counts as two rows
  expect_equal(coef(learner$model), coef(lm), tolerance = 1e-6)
  found <- learner$predict_newdata(mtcars[1:3, ])
  expected <- predict(lm, mtcars[1:3, ], se.fit = TRUE)
  expect_equal(found$response, unname(expected$fit), tolerance = 1e-6)
  expect_equal(found$se, unname(expected$se.fit), tolerance = 1e-6)
  plain <- mlr3::lrn("regr.varnn", hidden = 2, epochs = 1, predict_type = "se")
  plain$train(numbers())
  expect_error(plain$predict(numbers()), "standard error|se.fit")
})

test_that("quantiles and standard errors of a Bayesian learner are those of predict() and augment()", {
  learner <- mlr3::lrn("regr.varnn_bayes", hidden = 2, posterior = "laplace", members = 1, epochs = 5,
                       predict_type = "quantiles")
  learner$quantiles <- c(0.1, 0.5, 0.9)
  learner$quantile_response <- 0.5
  set.seed(1)
  learner$train(numbers())
  set.seed(2)
  found <- learner$predict_newdata(mtcars[1:4, ])
  set.seed(2)
  expect_equal(unname(found$quantiles[, 1:3]), unname(predict(learner$model, mtcars[1:4, ], type = "quantile",
                                                            probs = c(0.1, 0.5, 0.9))), ignore_attr = TRUE)
  learner$predict_type <- "se"
  set.seed(2)
  se <- learner$predict_newdata(mtcars[1:4, ])$se
  set.seed(2)
  expect_equal(se, apply(posterior_epred(learner$model, mtcars[1:4, ], draws = 1000), 2, sd), ignore_attr = TRUE)
})

test_that("dates, times and words are predictors as of fit_nn()", {
  d <- cars_of_types()
  d$time <- as.POSIXct("2020-01-01", tz = "UTC") + 3600 * mtcars$qsec
  task <- mlr3::as_task_regr(d, "mpg", id = "cars")
  learner <- mlr3::lrn("regr.varnn", hidden = 2, epochs = 3)
  set.seed(1)
  learner$train(task)
  set.seed(1)
  ours <- fit_nn(d[task$feature_names], d$mpg, hidden = 2, epochs = 3)
  expect_identical(learner$model$theta, ours$theta)
  new <- d[c(9, 2), rev(names(d))]
  expect_equal(learner$predict_newdata(new)$response, unname(predict(ours, new)))
})

test_that("classes have probabilities of all levels, and measures and resampling take them", {
  for (id in c("classif.varnn", "classif.varnn_bayes")) {
    learner <- mlr3::lrn(id, hidden = 2, epochs = 3, predict_type = "prob")
    if (id == "classif.varnn_bayes") learner$param_set$set_values(posterior = "laplace", members = 1)
    learner$train(flowers())
    set.seed(2)
    found <- learner$predict_newdata(iris[c(1, 99, 150), ])
    set.seed(2)
    expect_equal(found$prob, predict(learner$model, iris[c(1, 99, 150), ], type = "prob"), ignore_attr = TRUE)
    expect_identical(levels(found$response), levels(iris$Species))
  }
  learner <- mlr3::lrn("classif.varnn", hidden = 2, epochs = 3)
  scored <- mlr3::resample(flowers(), learner, mlr3::rsmp("cv", folds = 2))
  expect_true(all(is.finite(scored$score(mlr3::msr("classif.acc"))$classif.acc)))
})
