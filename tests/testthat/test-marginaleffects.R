# Slopes and predictions by marginaleffects against those of lm() and glm().

skip_if_not_installed("marginaleffects")
# The present version of it uses R 4.4's own operator, and of draws the package collapse.
works <- function(call) {
  tryCatch(call, error = function(e) {
    is_theirs <- grepl("could not find function|required for this function", conditionMessage(e))
    if (is_theirs) testthat::skip(paste("marginaleffects:", conditionMessage(e))) else stop(e)
  })
}

# The package is no dependency: Debian 12 does not have it.
mfx <- function(name, ...) getExportedValue("marginaleffects", name)(...)

same_effects <- function(ours, theirs, tolerance = 1e-3) {
  columns <- c("estimate", "std.error", "conf.low", "conf.high")
  expect_equal(as.data.frame(ours)[columns], as.data.frame(theirs)[columns], tolerance = tolerance, ignore_attr = TRUE)
}

test_that("slopes, comparisons and predictions of a linear network are those of lm() and glm()", {
  d <- transform(mtcars, cyl = factor(cyl))
  fit <- fit_nn(mpg ~ wt * hp + cyl, d, hidden = 0)
  model <- stats::lm(mpg ~ wt * hp + cyl, d)
  works(mfx("avg_slopes", fit))
  same_effects(mfx("avg_slopes", fit), mfx("avg_slopes", model))
  same_effects(mfx("avg_comparisons", fit), mfx("avg_comparisons", model))
  same_effects(mfx("avg_predictions", fit, by = "cyl"), mfx("avg_predictions", model, by = "cyl"))
  same_effects(mfx("predictions", fit), mfx("predictions", model))
  fit <- fit_nn(am ~ wt + vs, d, hidden = 0, family = "binomial")
  same_effects(mfx("avg_slopes", fit), mfx("avg_slopes", stats::glm(am ~ wt + vs, stats::binomial,
                                                                                       d)))
})

test_that("a plain network has slopes without errors, a Bayesian one those of draws", {
  d <- transform(mtcars, cyl = factor(cyl))
  fit <- quick(mpg ~ wt + cyl, d)
  works(mfx("avg_slopes", fit, vcov = FALSE))
  expect_warning(found <- mfx("avg_slopes", fit, variables = "wt"), class = "varnn_no_errors")
  expect_equal(found$estimate, mean(predict(fit, transform(d, wt = wt + 1e-4)) - predict(fit, d)) / 1e-4,
               tolerance = 1e-3)
  bayes <- fit_bayes_nn(mpg ~ wt + cyl, d, hidden = 0)
  found <- works(mfx("avg_slopes", bayes, variables = "wt"))
  expect_equal(found$estimate, coef(bayes)[["wt"]], tolerance = 0.03)
  expect_equal(c(found$conf.low, found$conf.high), as.vector(confint(bayes, "wt")), tolerance = 0.08)
})

test_that("coefficients that are set are those that are read", {
  for (fit in list(fit_nn(mpg ~ wt + hp, mtcars, hidden = 0),
                   fit_nn(cbind(mpg, qsec) ~ wt + factor(cyl), mtcars, hidden = 0))) {
    b <- get_coef.varnn(fit)
    expect_identical(names(b), rownames(vcov(fit)))
    expect_equal(get_coef.varnn(set_coef.varnn(fit, b + seq_along(b))), b + seq_along(b), tolerance = 1e-8)
    expect_equal(predict(set_coef.varnn(fit, b), mtcars), predict(fit, mtcars), tolerance = 1e-8)
  }
})
