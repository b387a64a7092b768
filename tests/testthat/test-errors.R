# A test for each kind of mistake: the message names the argument or column, what was given and what would be right.

test_that("the first argument", {
  for (first in list(NULL, 3, "mpg ~ wt", list(1), mtcars$wt, mean)) {
    expect_refused(fit_nn(first, mtcars$mpg), "must be a formula, a numeric matrix or a data frame")
  }
  expect_refused(fit_nn(), "formula")
  expect_refused(fit_nn(array(1, c(32, 2, 2)), mtcars$mpg), "array")
  skip_if_not_installed("Matrix")
  expect_refused(fit_nn(Matrix::Matrix(cars_x(), sparse = TRUE), mtcars$mpg), "as.matrix")
})

test_that("errors and warnings of the package have classes of their own, and no call", {
  error <- tryCatch(fit_nn(mpg ~ wt, mtcars, hidden = "a"), error = identity)
  expect_s3_class(error, "varnn_error")
  expect_null(conditionCall(error))
  warning <- tryCatch(fit_ae(cars_x(), hidden = 2, latent = 3, epochs = 1), warning = identity)
  expect_s3_class(warning, c("varnn_latent", "varnn_warning"), exact = FALSE)
  expect_null(conditionCall(warning))
  warned <- tryCatch(fit_nn(mpg ~ wt, mtcars, learn_rate = 1e99, optimizer = "sgd", epochs = 5), warning = identity)
  expect_s3_class(warned, c("varnn_diverged", "varnn_warning"), exact = FALSE)
})

test_that("`hidden`", {
  for (bad in list(-1, 1.5, "a", "16", 1e9, NA, Inf, c(3, 0), TRUE, list(3))) {
    expect_refused(fit_nn(mpg ~ wt, mtcars, hidden = bad), "`hidden`", label = deparse(bad))
  }
  expect_refused(fit_nn(mpg ~ wt, mtcars, hidden = 1.5), "0 for none, not 1.5")
  expect_no_warning(try(fit_nn(mpg ~ wt, mtcars, hidden = "a"), silent = TRUE))
  expect_refused(fit_nn(mpg ~ wt, mtcars, hidden = 1e9), "too large|too many|more than|smaller")
})

test_that("no hidden layer has several spellings", {
  for (none in list(0, 0L, integer(), numeric(), NULL)) {
    expect_equal(fit_nn(mpg ~ wt, mtcars, hidden = none, epochs = 1)$n_par, 2)
  }
})

test_that("a network larger than memory", {
  expect_refused(fit_nn(mpg ~ wt, mtcars, hidden = c(1e5, 1e5)), "parameters.*`hidden` smaller")
})

test_that("`activation`", {
  expect_refused(fit_nn(mpg ~ wt, mtcars, activation = "zz"), "`activation`.*\"relu\".*not \"zz\"")
  expect_refused(fit_nn(mpg ~ wt, mtcars, activation = "Relu"), "did you mean \"relu\"")
  for (bad in list(NULL, 3, NA, sum, c("relu", "tanh"), character())) {
    expect_refused(fit_nn(mpg ~ wt, mtcars, activation = bad), "`activation`")
  }
})

test_that("`penalty`, `dropout` and the switches", {
  for (bad in list(-1, NA, Inf, "a", c(1, 2), NULL)) {
    expect_refused(fit_nn(mpg ~ wt, mtcars, penalty = bad), "`penalty`")
  }
  for (bad in list(-1, 1, NA, "a", c(0.1, 0.2), NULL)) {
    expect_refused(fit_nn(mpg ~ wt, mtcars, dropout = bad), "`dropout`")
  }
  for (bad in list(NA, "a", 1, c(TRUE, FALSE), NULL)) {
    expect_refused(fit_nn(mpg ~ wt, mtcars, standardize = bad), "`standardize`")
    expect_refused(fit_nn(mpg ~ wt, mtcars, layer_norm = bad), "`layer_norm`")
  }
})

test_that("`family`: what is no family", {
  for (bad in list(NULL, NA, 3, mean, c("poisson", "gaussian"))) {
    expect_refused(fit_nn(carb ~ wt, mtcars, family = bad), "`family`")
  }
  expect_refused(fit_nn(carb ~ wt, mtcars, family = "Poisson"), "did you mean \"poisson\"")
})

test_that("`family`: objects with a family or link that is not there", {
  expect_refused(fit_nn(mpg ~ wt, mtcars, family = Gamma()), "Gamma")
  expect_refused(fit_nn(carb ~ wt, mtcars, family = quasipoisson()), "quasipoisson")
  expect_refused(fit_nn(am ~ wt, mtcars, family = binomial("probit")), "probit")
  expect_refused(fit_nn(mpg ~ wt, mtcars, family = gaussian("log")), "log")
})

test_that("`family`: a name that is no response", {
  expect_refused(fit_nn(carb ~ wt, mtcars, family = c(crab = "poisson")), "crab")
  expect_refused(fit_nn(cbind(carb, mpg) ~ wt, mtcars, family = c(crab = "poisson")), "crab")
})

test_that("responses that the family cannot have", {
  expect_refused(fit_nn(mpg ~ wt, mtcars, family = "poisson"), "`mpg`.*whole numbers.*poisson")
  expect_refused(fit_nn(I(-carb) ~ wt, mtcars, family = "negative_binomial"), "whole numbers of at least 0")
  expect_refused(fit_nn(mpg ~ wt, mtcars, family = "bernoulli"), "`mpg`.*between 0 and 1")
  expect_refused(fit_nn(Species ~ ., iris, family = "gaussian"), "`Species`.*numeric")
  expect_refused(fit_nn(Species ~ ., iris, family = "bernoulli"), "`Species`.*two levels")
  expect_refused(fit_nn(cbind(carb, -gear) ~ wt, mtcars, family = "binomial"), "at least 0|negative")
  expect_refused(fit_nn(cbind(carb, mpg) ~ wt, mtcars, family = "binomial"), "whole numbers")
  expect_refused(fit_nn(cbind(carb, gear, cyl) ~ wt, mtcars, family = "binomial"),
                 "`carb` must be logical.*or part of a matrix of two columns.*for the family binomial")
  expect_refused(fit_nn(cbind(0 * carb, 0 * gear) ~ wt, mtcars, family = "binomial"), "cbind|response|trial")
})

test_that("responses that are none", {
  x <- cars_x()
  expect_refused(fit_nn(x), "`y` is missing")
  expect_refused(fit_nn(mtcars), "`y` is missing")
  expect_refused(fit_nn(x, NULL), "`y`")
  expect_refused(fit_nn(x, mtcars$mpg[1:3]), "`y` has 3 rows and `x` has 32")
  expect_refused(fit_nn(x, mtcars$mpg + 1i), "`y`.*complex")
  expect_refused(fit_nn(x, Sys.Date() + 1:32), "`y`.*Date")
  expect_refused(fit_nn(x, as.raw(1:32)), "`y`.*raw")
  expect_refused(fit_nn(x, mean), "`y`.*function")
  expect_refused(fit_nn(x, as.list(mtcars$mpg)), "`y`.*list")
  expect_refused(fit_nn(x, array(1:32, c(32, 1, 1))), "`y`")
  expect_refused(fit_nn(x, data.frame(a = 1:32, b = Sys.Date())), "`b`.*Date")
  expect_refused(fit_nn(~ wt, mtcars), "no response")
})

test_that("a one-dimensional table is a vector, as for glm()", {
  counts <- table(rep(1:9, 9:1))
  expect_same(coef(linear(cbind(a = 1:9), counts, family = "poisson"))[["a"]],
              coef(glm(counts ~ a, poisson, data.frame(a = 1:9)))[["a"]])
})

test_that("responses with nothing to learn from", {
  x <- cars_x()
  expect_refused(fit_nn(x, factor(rep("a", 32))), "single level, \"a\"")
  expect_refused(fit_nn(x, rep("a", 32)), "single level, \"a\"")
  expect_refused(fit_nn(x, rep(NA_real_, 32)), "missing")
  expect_refused(fit_nn(x, replace(mtcars$mpg, 3, Inf)), "`y`.*infinite")
  expect_refused(fit_nn(log(0 * mpg) ~ wt, mtcars), "log\\(0 \\* mpg\\).*infinite")
})

test_that("predictors that are none", {
  y <- mtcars$mpg
  expect_refused(fit_nn(matrix("a", 32, 2), y), "`x`.*character")
  expect_refused(fit_nn(matrix(1i, 32, 2), y), "`x`.*complex")
  expect_refused(fit_nn(cars_x()[, 0], y), "`x` has no columns")
  expect_refused(fit_nn(data.frame(), y), "`x` has no columns")
  expect_refused(fit_nn(cars_x()[0, ], y[0]), "no rows")
  expect_refused(fit_nn(data.frame(a = I(as.list(y))), y), "`a`.*list")
  expect_refused(fit_nn(data.frame(a = y + 1i), y), "`a`.*complex")
  expect_refused(fit_nn(mpg ~ ., mtcars["mpg"]), "no predictors")
  for (formula in list(wt ~ wt, wt ~ wt + hp, wt ~ hp + wt:hp))
    expect_refused(suppressWarnings(fit_nn(formula, mtcars)), "`wt` is on the right side of the formula, too")
})

test_that("predictors with infinite or missing values, or one level", {
  y <- mtcars$mpg
  x <- cars_x()
  expect_refused(fit_nn(replace(x, 3, Inf), y), "`wt`.*infinite")
  expect_refused(fit_nn(mpg ~ log(0 * wt), mtcars), "log\\(0 \\* wt\\).*infinite")
  message <- tryCatch(fit_nn(mpg ~ log(0 * wt), mtcars), error = conditionMessage)
  expect_no_match(message, "`x`")
  expect_refused(fit_nn(cbind(x, all = NA), y), "missing")
  expect_refused(fit_nn(data.frame(a = gl(1, 32), b = y), y), "`a`.*single level")
  expect_refused(fit_nn(mpg ~ a, cbind(mtcars, a = "one")), "`a`.*single level")
  expect_refused(fit_nn(Ozone ~ Solar.R, airquality, na.action = na.pass), "`Solar.R`.*missing")
})

test_that("numbers too large to standardise are no damage", {
  expect_refused(quick(mpg ~ wt, transform(mtcars, wt = wt * 1e200)), "`wt`")
  message <- tryCatch(AIC(quick(mpg ~ wt, transform(mtcars, mpg = mpg * 1e200))), error = conditionMessage)
  expect_no_match(as.character(message), "damaged")
})

test_that("data and variables that are not there", {
  expect_refused(fit_nn(mpg ~ nosuch, mtcars), "nosuch")
  expect_refused(fit_nn(nosuch ~ wt, mtcars), "nosuch")
  expect_refused(fit_nn(mpg ~ wt, mtcars, weights = nosuch), "nosuch")
  expect_refused(fit_nn(mpg ~ wt, mtcars, subset = nosuch), "nosuch")
  expect_refused(fit_nn(mpg ~ wt, "mtcars"), "data")
  expect_refused(fit_nn(mpg ~ wt, as.matrix(mtcars)), "data.*matrix")
  expect_refused(fit_nn(mpg ~ wt, mtcars[0, ]), "no rows")
  expect_refused(fit_nn(mpg ~ wt, mtcars, subset = wt > 99), "no rows.*subset")
})

test_that("weights", {
  expect_refused(fit_nn(mpg ~ wt, mtcars, weights = -hp), "`weights`.*negative.*row 1 has -110")
  expect_refused(fit_nn(mpg ~ wt, mtcars, weights = 0 * hp), "`weights`.*zero")
  expect_refused(fit_nn(mpg ~ wt, mtcars, weights = hp / 0), "`weights`.*finite")
  expect_refused(fit_nn(mpg ~ wt, mtcars, weights = 1:3), "weights")
  expect_refused(fit_nn(mpg ~ wt, mtcars, weights = cbind(hp, hp)), "`weights`.*each of the 32 rows")
  expect_refused(fit_nn(cars_x(), mtcars$mpg, weights = "a"), "`weights`")
  expect_refused(fit_nn(cars_x(), mtcars$mpg, weights = -mtcars$hp), "`weights`.*negative")
})

test_that("offsets", {
  expect_refused(fit_nn(mpg ~ wt + offset(log(0 * wt)), mtcars), "[Oo]ffset")
  expect_refused(fit_nn(Species ~ Petal.Width + offset(Sepal.Width), iris), "offset")
})

test_that("unknown arguments, whatever they hold", {
  expect_refused(fit_nn(mpg ~ wt, mtcars, hiden = 3), "`hiden`.*hidden")
  expect_refused(fit_nn(mpg ~ wt, mtcars, wieghts = hp), "`wieghts`.*weights")
  expect_refused(fit_nn(mpg ~ wt, mtcars, offset = hp), "`offset`")
  expect_refused(fit_nn(mpg ~ wt, mtcars, seed = 1), "`seed`")
  expect_refused(fit_nn(cars_x(), mtcars$mpg, data = mtcars), "`data`")
  expect_refused(fit_nn(mpg ~ wt, mtcars, NULL, NULL, na.omit, NULL, 2, "relu", "auto", 0, 0, FALSE, TRUE, nn_control(),
                      FALSE, 7), "without a name")
})

test_that("no method swallows an argument", {
  fit <- quick(mpg ~ wt, mtcars)
  generics <- list(predict = predict, coef = coef, fitted = fitted, residuals = residuals, nobs = nobs, logLik = logLik,
                   deviance = deviance, simulate = simulate, sigma = sigma, summary = summary, print = print,
                   weights = weights, formula = formula, terms = terms, family = family, df.residual = df.residual,
                   variable.names = variable.names)
  for (name in names(generics)) expect_refused(generics[[name]](fit, nosuch = 1), "`nosuch`", label = name)
})

test_that("types and numbers of the methods", {
  fit <- quick(mpg ~ wt, mtcars)
  expect_refused(residuals(fit, "nosuch"), "`type`.*\"pearson\"")
  expect_refused(simulate(fit, 0), "`nsim`")
  expect_refused(simulate(fit, "a"), "`nsim`")
  expect_refused(simulate(fit, seed = "a"), "seed")
  expect_refused(plot(fit, which = "nosuch"), "`which`.*\"history\"")
  expect_refused(continue(fit), "`epochs`")
  expect_refused(continue(fit, -1), "`epochs`")
  expect_refused(continue(3, 2), "continue")
})

test_that("no mistake of a user is called damage", {
  mistakes <- expression(
    fit_nn(mpg ~ wt, mtcars, penalty = 1e300), fit_nn(mpg ~ wt, mtcars, learn_rate = 1e300),
    suppressWarnings(fit_nn(mpg ~ mpg, mtcars)), fit_nn(mpg ~ wt + offset(log(0 * wt)), mtcars),
    fit_nn(cbind(0 * carb, 0 * gear) ~ wt, mtcars, family = "binomial"),
    suppressWarnings(quick(mpg ~ wt, mtcars, weights = hp * 1e300))
  )
  for (mistake in mistakes) {
    said <- tryCatch(class(eval(mistake)), error = conditionMessage)
    expect_no_match(said[1], "damaged", label = deparse(mistake))
  }
})

test_that("odd but possible data give a fit", {
  expect_equal(nobs(quick(mpg ~ wt, mtcars[1, ])), 1)
  expect_equal(nobs(quick(cars_x()[, 1, drop = FALSE], mtcars$mpg)), 32)
  expect_true(all(is.finite(predict(quick(mpg ~ I(0 * wt), mtcars), mtcars))))
  expect_true(all(is.finite(predict(quick(I(0 * mpg) ~ wt, mtcars), mtcars))))
  expect_true(all(is.finite(predict(quick(I(carb * 1e9) ~ wt, mtcars, family = "poisson"), mtcars))))
  expect_true(all(predict(quick(mpg > 0 ~ wt, mtcars), mtcars) > 0))
  expect_equal(nobs(quick(mpg ~ ., replace(mtcars, 2:5, NA_real_ * 1:32)[-(2:5)])), 32)
})

test_that("missing values that `na.action` lets pass are named by the user's column, not by its codes", {
  people <- transform(mtcars, sex = factor(rep(c("m", "f"), 16)))
  people$sex[3] <- NA
  expect_refused(fit_nn(mpg ~ wt + sex, people, na.action = na.pass), "Column `sex` has missing values")
  expect_refused(fit_nn(mpg ~ wt:sex, people, na.action = na.pass), "Column `sex` has missing values")
  expect_refused(fit_nn(people[c("wt", "sex")], people$mpg, na.action = "na.pass"), "Column `sex` has missing values")
  x <- replace(cars_x(), 2, NA)
  expect_refused(fit_nn(x, mtcars$mpg, na.action = "na.pass"), "Column `wt` has missing values")
})

test_that("what is longer than it can be is refused by its length", {
  long <- 1:1e9
  expect_refused(fit_nn(mpg ~ wt, mtcars, hidden = long), "`hidden` has 1000000000 layers")
  expect_refused(posterior_dropout(rate = long), "up to 1000 numbers")
  expect_refused(tune_fit(quick(mpg ~ wt, mtcars), threads = long), "`threads` has 1000000000 values to try")
  expect_refused(confint(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0, epochs = 1), long),
                 "`parm` names 1000000000 parameters")
  fit <- fit_vae(iris[1:20, 1:3], latent = 1, hidden = 2, epochs = 1)
  expect_refused(logLik(fit, k = 1e9), "`k` must be a whole number")
  with_function("available_memory", function() 1e9, expect_refused(decode(fit, long), "fewer `z`"))
})

test_that("columns that R's own functions do not make", {
  fit <- fit_vae(iris[1:20, 1:3], hidden = 2, epochs = 1)
  expect_refused(reconstruct(fit, transform(iris, Sepal.Length = I(matrix(1, 150, 2)))), "must be a vector as in train")
  expect_refused(fit_vae(structure(letters, class = "matrix")), "`x` must be a numeric matrix or a data frame")
  expect_no_error(fit_vae(data.frame(a = structure(as.numeric(1:10), levels = sum), b = 1:10), hidden = 2, epochs = 1))
  inner <- structure(list(c = 1:2, d = 1), class = "data.frame", row.names = 1:2)
  outer <- structure(list(a = 1:2, b = inner), class = "data.frame", row.names = 1:2)
  expect_refused(fit_nn(outer, 1:2), "Column `d` of column `b` of `x` has 1 values, and there are 2 rows")
  expect_refused(fit_nn(c ~ d, inner), "Column `d` of `data` has 1 values")
})

test_that("new data say nothing that R would say of them", {
  fit <- quick(mpg ~ wt + am, transform(mtcars, am = factor(am)))
  expect_no_warning(missing <- predict(fit, transform(mtcars, am = NA)))
  expect_true(all(is.na(missing)))
  expect_no_warning(predict(fit, list(wt = c(a = 1, b = 2), am = "0")))
})
