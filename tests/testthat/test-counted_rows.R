# Which rows count in what is said of the training data: those with a response that are not held out.

cars_without <- function() {
  without <- function(v) replace(round(v), 1:8, NA)
  transform(mtcars, mpg = without(mpg), am = without(am), carb = without(carb), disp = without(disp))
}

# Fits to all rows, some without a response, and the same without these rows.
passed_and_whole <- function(formula, ...) {
  list(passed = fit_nn(formula, cars_without(), hidden = 0, na.action = stats::na.pass, ...),
       whole = fit_nn(formula, cars_without(), hidden = 0, na.action = stats::na.omit, ...))
}

cases_of_families <- list(
  list(mpg ~ wt + hp, family = "gaussian"), list(am ~ qsec, family = "bernoulli"), list(carb ~ wt, family = "poisson"),
  list(mpg ~ wt, family = "gamma"), list(cbind(carb, 8 - carb) ~ wt, family = "binomial"),
  list(disp ~ wt, family = "negative_binomial"), list(factor(carb > 2) ~ hp, family = "categorical")
)

test_that("rows without a response change nothing that is said of the training data", {
  for (case in cases_of_families) {
    fits <- do.call(passed_and_whole, case)
    expect_equal(summary(fits$passed)$responses, summary(fits$whole)$responses, tolerance = 1e-5)
    expect_equal(suppressWarnings(confint(fits$passed)), suppressWarnings(confint(fits$whole)), tolerance = 1e-4)
    if (requireNamespace("generics", quietly = TRUE))
      expect_equal(generics::glance(fits$passed), generics::glance(fits$whole), tolerance = 1e-5)
    expect_length(residuals(fits$passed), 32 * NCOL(residuals(fits$whole)))
  }
})

test_that("leverages, influence and tests of rows that have a response are those without the others", {
  for (case in cases_of_families[1:5]) {
    fits <- do.call(passed_and_whole, case)
    for (name in c("hatvalues", "rstandard", "cooks.distance", "rstudent")) {
      f <- get(name)
      expect_equal(f(fits$passed), f(fits$whole), tolerance = 1e-4, info = paste(name, case$family))
    }
    expect_equal(influence(fits$passed), influence(fits$whole), tolerance = 1e-4, info = case$family)
    expect_equal(anova(fits$passed), anova(fits$whole), tolerance = 1e-4, ignore_attr = TRUE)
    more <- do.call(passed_and_whole, replace(case, 1, list(update(case[[1]], . ~ . + drat))))
    expect_equal(anova(fits$passed, more$passed), anova(fits$whole, more$whole), tolerance = 1e-4, ignore_attr = TRUE)
    skip_if_not_installed("generics")
    described <- generics::augment(fits$passed)
    same <- c(".hat", ".cooksd", ".std.resid", ".sigma", ".resid")
    expect_equal(as.data.frame(described)[-(1:8), same], as.data.frame(generics::augment(fits$whole))[, same],
                 tolerance = 1e-4, ignore_attr = TRUE)
    expect_true(all(is.na(as.data.frame(described)[1:8, same])))
  }
})

test_that("a score of a row without a response is absent, not NaN", {
  part <- c(rep(1, 8), rep_len(1:4, 24))
  set.seed(2)
  for (case in cases_of_families) {
    fits <- do.call(passed_and_whole, case)
    set.seed(2)
    passed <- cross_validate(fits$passed, folds = part)
    set.seed(2)
    whole <- cross_validate(fits$whole, folds = part[-(1:8)])
    expect_equal(passed$scores, whole$scores, tolerance = 1e-3, info = case$family)
    expect_identical(passed$by_fold$n, whole$by_fold$n)
    expect_true(all(is.na(passed$fold[1:8])))
  }
  fit <- passed_and_whole(mpg ~ wt)$passed
  tuned <- tune_fit(fit, penalty = c(0, 1), folds = part)
  expect_true(all(is.finite(as.matrix(as.data.frame(tuned)[c("log_score", "se", "rmse")]))))
  both <- fit_nn(cbind(mpg, hp) ~ wt, cars_without(), hidden = 0, na.action = stats::na.pass)
  expect_true(all(is.finite(cross_validate(both, folds = 4)$scores$value)))
  bayes <- fit_bayes_nn(mpg ~ wt, cars_without(), hidden = 0, na.action = stats::na.pass)
  expect_true(all(is.finite(cross_validate(bayes, folds = 4)$scores$value)))
  compared <- as.data.frame(compare_posteriors(bayes, bayes, folds = 4))
  expect_true(all(is.finite(compared$log_score)))
})

test_that("rows held out need a response, and so do those that train", {
  held <- function(rows, ...) {
    fit_nn(..., data = cars_without(), hidden = 2, na.action = stats::na.pass, validation = rows)
  }
  none <- "^`validation` holds out no row that has a response"
  every <- "^`validation` holds out every row that has a response"
  for (f in list(mpg ~ wt, cbind(mpg, am) ~ wt)) {
    expect_refused(held(1:8, f), none)
    expect_refused(held(9:32, f), every)
  }
  expect_refused(held(1:8, cbind(carb, gear) ~ wt, family = "binomial"), none)
  expect_refused(fit_bayes_nn(mpg ~ wt, cars_without(), na.action = stats::na.pass, validation = 3:5), none)
  for (seed in 1:20) {
    set.seed(seed)
    expect_true(all(held(0.05, mpg ~ wt, epochs = 1)$held_out > 8))
  }
})

# A fit that holds these rows out, and one to the others that is given them as `validation`.
held_and_apart <- function(f, ..., rows = 21:32) {
  made <- function(data, validation) {
    set.seed(3)
    do.call(f, list(..., data = data, validation = validation), quote = TRUE)
  }
  list(held = made(mtcars, rows), apart = made(mtcars[-rows, ], mtcars[rows, ]), rows = rows)
}

test_that("rows held out are no part of what is said of the training data", {
  for (case in list(list(fit_nn, mpg ~ wt, hidden = 0), list(fit_nn, am ~ wt, hidden = 0, family = "bernoulli"),
                    list(fit_nn, mpg ~ wt + hp, hidden = 3, epochs = 20),
                    list(fit_nn, mpg ~ wt, hidden = 2, epochs = 20, members = 2),
                    list(fit_bayes_nn, mpg ~ wt, hidden = 0, epochs = 20))) {
    fits <- do.call(held_and_apart, case)
    expect_equal(coef(fits$held), coef(fits$apart))
    expect_equal(logLik(fits$held), logLik(fits$apart))
    for (f in list(nobs, df.residual, deviance)) expect_equal(f(fits$held), f(fits$apart))
    if (identical(fits$held$family, "gaussian")) expect_equal(sigma(fits$held), sigma(fits$apart))
    expect_equal(summary(fits$held)$responses, summary(fits$apart)$responses)
    if (requireNamespace("generics", quietly = TRUE))
      expect_equal(generics::glance(fits$held), generics::glance(fits$apart))
    for (f in list(fitted, residuals, predict)) expect_length(f(fits$held), 32)
    expect_equal(residuals(fits$held)[-fits$rows], residuals(fits$apart))
  }
  fit <- held_and_apart(fit_nn, mpg ~ wt, hidden = 0)$held
  expect_equal(nobs(fit), 20)
  expect_true(all(residuals(fit, "deviance")[21:32] != 0))
  expect_output(print(fit), "32 observations, 12 of them held out")
  expect_true(all(is.finite(cross_validate(update(fit, validation = 0.2), folds = 4)$predictions)))
})

logLik_of <- function(fit) if (inherits(fit, "varnn_vae")) c(logLik(fit, k = Inf))

test_that("rows held out are no part of what is said of the training data of autoencoders", {
  cars <- mtcars[1:4]
  for (f in list(fit_ae, fit_vae)) {
    set.seed(3)
    held <- f(cars, latent = 2, epochs = 10, validation = 21:32, keep_data = TRUE)
    same <- held
    same["held_out"] <- list(NULL)
    same$weights <- same$data$weights <- rep(c(1, 0), c(20, 12)) # of weight 0 in place of held out
    for (g in list(nobs, deviance, sigma, logLik_of)) expect_equal(g(held), g(same))
    expect_equal(summary(held)$variables, summary(same)$variables)
    expect_equal(summary(held)$expected, summary(same)$expected)
    if (requireNamespace("generics", quietly = TRUE)) expect_equal(generics::glance(held), generics::glance(same))
    expect_equal(nobs(held), 20)
    expect_equal(deviance(held), sum(predict(held, cars[1:20, ], type = "error") * 4), tolerance = 1e-6)
    expect_equal(nrow(residuals(held)), 32)
  }
  d <- mtcars[c("mpg", "disp", "hp", "wt")]
  linear <- fit_vae(d, hidden = 0, latent = 1, sigma = "learned", margins = "normal", epochs = 2, validation = 21:32)
  expect_equal(summary(linear)$expected$eigenvalues, eigen(stats::cor(d[1:20, ]) * 19 / 20)$values,
               tolerance = 1e-6)
  one <- logLik(held, k = Inf)
  expect_equal(c(one), sum(c(logLik(held, cars[1:20, ], k = Inf))), tolerance = 1e-6)
  expect_equal(attr(one, "nobs"), 20)
})

test_that("a fit to chunks says what one to a data frame does of rows held out", {
  set.seed(1)
  d <- data.frame(x = rnorm(400), w = rep(1:2, 200))
  d$y <- d$x + rnorm(400)
  for (weights in list(NULL, quote(w))) {
    fit <- eval(bquote(fit_nn(y ~ x, chunks(d, rows = 100), weights = .(weights), validation = 0.25, hidden = 0)))
    rows <- fit$history$val_loss
    expect_true(length(rows) > 0)
    total <- sum(if (is.null(weights)) rep(1, 400) else d$w)
    expect_lt(nobs(fit), 0.8 * total)
    expect_equal(nobs(fit), fit$source$totals[[1, "weight"]])
  }
})
