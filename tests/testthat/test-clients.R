# What packages that look into models of any kind ask of predict().

explained <- function() fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
predictors <- function() mtcars[c("hp", "wt")]

test_that("pdp has the partial dependence of a linear model", {
  skip_if_not_installed("pdp")
  part <- pdp::partial(explained(), "wt", train = predictors(), pred.fun = function(object, newdata) {
    mean(predict(object, newdata))
  })
  expect_equal(unname(coef(lm(yhat ~ wt, part))[2]), unname(coef(lm(mpg ~ wt + hp, mtcars))[2]), tolerance = 1e-6)
})

test_that("DALEX explains numbers and classes", {
  skip_if_not_installed("DALEX")
  fit <- explained()
  explainer <- DALEX::explain(fit, predictors(), mtcars$mpg, verbose = FALSE, predict_function = predict)
  expect_equal(explainer$y_hat, predict(fit, predictors()))
  broken <- as.data.frame(DALEX::predict_parts(explainer, mtcars[1, c("hp", "wt")]))
  lm <- lm(mpg ~ wt + hp, mtcars)
  expect_equal(broken$contribution[broken$variable_name == "wt"],
               unname(coef(lm)["wt"] * (mtcars$wt[1] - mean(mtcars$wt))), tolerance = 1e-6)
  flowers <- fit_nn(Species ~ ., iris, hidden = 3, epochs = 2)
  prob <- function(object, newdata) predict(object, newdata, type = "prob")
  explainer <- DALEX::explain(flowers, iris[1:4], iris$Species, verbose = FALSE, predict_function = prob,
                              model_info = list(type = "multiclass"))
  expect_identical(dim(explainer$y_hat), c(150L, 3L))
})

test_that("iml reads predictions", {
  skip_if_not_installed("iml")
  fit <- explained()
  predictor <- iml::Predictor$new(fit, predictors(), mtcars$mpg, predict.function = function(model, newdata) {
    predict(model, newdata)
  })
  expect_equal(predictor$predict(predictors()[1:3, ])[[1]], unname(predict(fit, mtcars[1:3, ])))
  ale <- iml::FeatureEffect$new(predictor, "wt", method = "ale", grid.size = 5)$results
  expect_equal(diff(range(ale$.value)), abs(coef(fit)[["wt"]]) * diff(range(ale$wt)), tolerance = 1e-6)
})

test_that("butcher leaves a fit that predicts as before", {
  skip_if_not_installed("butcher")
  for (fit in list(explained(), fit_nn(Species ~ ., iris, hidden = 3, epochs = 2))) {
    small <- butcher::butcher(fit)
    d <- if (identical(fit$family, "gaussian")) mtcars else iris
    expect_identical(predict(small, d[1:3, ]), predict(fit, d[1:3, ]))
  }
})

test_that("predict() keeps its contract for any rows and columns", {
  d <- transform(mtcars, f = factor(cyl, c(4, 5, 6, 8)), extra = 1)[c(3, 1, 2), ]
  d$wt[2] <- NA
  train <- transform(mtcars, f = factor(cyl, c(4, 5, 6, 8)))
  for (fit in list(fit_nn(mpg ~ wt + f, train, epochs = 1), fit_bayes_nn(mpg ~ wt + f, train, hidden = 2, epochs = 5,
                                                                         posterior = "laplace", members = 1))) {
    p <- predict(fit, d)
    expect_named(p, row.names(d))
    expect_identical(unname(is.na(p)), c(FALSE, TRUE, FALSE))
    expect_equal(predict(fit, d[3, ]), p[3])
    expect_length(predict(fit, d[0, ]), 0)
    expect_identical(predict(fit, d[rev(names(d))]), p)
    if (requireNamespace("tibble", quietly = TRUE))
      expect_identical(predict(fit, tibble::as_tibble(d)), stats::setNames(p, seq_along(p)))
    expect_error(predict(fit, transform(d, f = factor(5, c(4, 5, 6, 8)))), "5")
  }
})

test_that("modelsummary has a linear network beside lm()", {
  skip_if_not_installed("modelsummary")
  both <- modelsummary::modelsummary(list(explained(), lm(mpg ~ wt + hp, mtcars)), output = "data.frame")
  coefficients <- both$part == "estimates"
  expect_identical(sum(coefficients), 6L)
  expect_identical(both[coefficients, 4], both[coefficients, 5])
  expect_true(all(c("AIC", "BIC", "R2") %in% both$term))
})

test_that("gtsummary has a table of a linear network beside lm()", {
  skip_if_not_installed("gtsummary")
  skip_if_not_installed("broom.helpers")
  columns <- c("label", "estimate", "conf.low", "conf.high", "p.value")
  body <- function(model) {
    as.data.frame(gtsummary::tbl_regression(model, tidy_fun = function(x, ...) generics::tidy(x, ...))$table_body)
  }
  ours <- body(explained())
  theirs <- body(lm(mpg ~ wt + hp, mtcars))
  expect_equal(ours[columns], theirs[columns], tolerance = 1e-5)
})

test_that("a fit out of a bundle predicts in another session as before", {
  skip_if_not_installed("bundle")
  fit <- fit_nn(Species ~ ., iris, hidden = 3, epochs = 2)
  file <- tempfile(fileext = ".rds")
  saveRDS(bundle::bundle(fit), file)
  code <- sprintf("%s; library(varnn, lib.loc = %s); fit <- bundle::unbundle(readRDS(%s)); %s",
                  "suppressMessages(library(bundle))", deparse(dirname(find.package("varnn"))), deparse(file),
                  "cat(formatC(predict(fit, iris[1:2, ], type = 'prob'), digits = 12))")
  out <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(code)), stdout = TRUE)
  expect_identical(out, paste(formatC(predict(fit, iris[1:2, ], type = "prob"), digits = 12), collapse = " "))
})

test_that("vetiver serves a fit", {
  skip_if_not_installed("vetiver")
  fit <- explained()
  model <- vetiver::vetiver_model(fit, "cars")
  expect_named(model$prototype, c("wt", "hp"))
  expect_identical(model$metadata$required_pkgs, "varnn")
  answer <- vetiver::handler_predict(model)(list(body = mtcars[1:2, c("hp", "wt")]))
  expect_identical(answer$.pred, unname(predict(fit, mtcars[1:2, ])))
})
