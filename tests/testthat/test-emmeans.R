# Estimated marginal means against those of lm() and glm().

cars_by_factor <- function() transform(mtcars, cyl = factor(cyl), gear = factor(gear), wt2 = 2 * wt)

same_means <- function(ours, theirs, tolerance = 1e-4) {
  expect_equal(as.data.frame(ours), as.data.frame(theirs), tolerance = tolerance, ignore_attr = TRUE)
}

test_that("emmeans of a linear network are those of lm() and glm()", {
  skip_if_not_installed("emmeans")
  d <- cars_by_factor()
  means <- function(...) suppressMessages(emmeans::emmeans(...))
  fit <- fit_nn(mpg ~ wt * cyl + log(hp), d, hidden = 0)
  model <- stats::lm(mpg ~ wt * cyl + log(hp), d)
  same_means(means(fit, "cyl"), means(model, "cyl"))
  same_means(emmeans::contrast(means(fit, "cyl"), "pairwise"), emmeans::contrast(means(model, "cyl"), "pairwise"))
  same_means(emmeans::emtrends(fit, "cyl", "wt"), emmeans::emtrends(model, "cyl", "wt"), 1e-3)
  fit <- fit_nn(am ~ wt + vs, d, hidden = 0, family = "binomial")
  model <- stats::glm(am ~ wt + vs, stats::binomial, d)
  expect_named(as.data.frame(means(fit, "vs", type = "response")),
               names(as.data.frame(means(model, "vs", type = "response"))))
  same_means(means(fit, "vs", type = "response"), means(model, "vs", type = "response"), 1e-3)
  fit <- fit_nn(carb ~ cyl + wt, d, hidden = 0, family = "poisson")
  same_means(means(fit, "cyl"), means(stats::glm(carb ~ cyl + wt, stats::poisson, d), "cyl"), 1e-3)
  fit <- fit_nn(cbind(mpg, qsec) ~ wt + cyl, d, hidden = 0)
  same_means(means(fit, ~ cyl | rep.meas), means(stats::lm(cbind(mpg, qsec) ~ wt + cyl, d), ~ cyl | rep.meas))
  # a column that another determines: what cannot be estimated is missing
  fit <- fit_nn(mpg ~ wt + wt2 + cyl, d, hidden = 0)
  model <- stats::lm(mpg ~ wt + wt2 + cyl, d)
  for (at in list(list(wt = 3, wt2 = 6), list(wt = 3, wt2 = 2)))
    expect_equal(as.data.frame(means(fit, "cyl", at = at))$emmean, as.data.frame(means(model, "cyl", at = at))$emmean,
                 tolerance = 1e-6)
})

test_that("emmeans of a Bayesian network average its predictions", {
  skip_if_not_installed("emmeans")
  d <- cars_by_factor()
  fit <- fit_bayes_nn(mpg ~ wt + cyl, d, hidden = 3, posterior = "laplace", members = 1)
  set.seed(1)
  found <- summary(emmeans::emmeans(fit, "cyl"), frequentist = TRUE)
  new <- data.frame(wt = mean(d$wt), cyl = levels(d$cyl))
  expect_equal(found$emmean, unname(predict(fit, new)), tolerance = 1e-6)
  sds <- unname(apply(posterior_epred(fit, new, draws = 4000), 2, stats::sd))
  expect_equal(found$SE, sds, tolerance = 0.12)
})

test_that("emmeans says why where it cannot be", {
  skip_if_not_installed("emmeans")
  d <- cars_by_factor()
  expect_error(emmeans::emmeans(quick(mpg ~ wt + cyl, d), "cyl"), "needs standard errors")
  expect_error(emmeans::emmeans(quick(cyl ~ wt + gear, d), "gear"), "does not apply to a factor of several levels")
  expect_error(emmeans::emmeans(quick(d[c("wt", "cyl")], d$mpg), "cyl"), "by a formula")
})
