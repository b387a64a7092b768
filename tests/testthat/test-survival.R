# Survival times against the package survival, which fits the same models.

skip_if_not_installed("survival")

lung_formula <- survival::Surv(time, status) ~ age + sex + ph.ecog
lung <- function() survival::lung

test_that("without hidden layers the fit is that of survreg()", {
  for (family in c("weibull", "lognormal", "loglogistic")) {
    fit <- fit_nn(lung_formula, lung(), hidden = 0, family = family)
    truth <- survival::survreg(lung_formula, lung(), dist = family)
    expect_equal(coef(fit), coef(truth), tolerance = 1e-7, label = family)
    expect_equal(c(logLik(fit)), c(logLik(truth)), tolerance = 1e-10, label = family)
    expect_identical(attr(logLik(fit), "df"), 5)
    expect_equal(summary(fit)$responses[[1]]$measures[["scale"]], truth$scale, tolerance = 1e-7, label = family)
    expect_equal(vcov(fit), vcov(truth)[1:4, 1:4], tolerance = 1e-5, label = family)
    expect_equal(residuals(fit), residuals(truth), tolerance = 1e-6, label = family)
    expect_equal(residuals(fit, "deviance"), residuals(truth, "deviance"), tolerance = 1e-6, label = family)
    expect_equal(predict(fit, lung()[1:20, ]), predict(truth, lung()[1:20, ]), tolerance = 1e-6, label = family)
    times <- c(0, 100, 365.25)
    alive <- predict(fit, lung()[1:20, ], type = "survival", times = times)
    expect_identical(dimnames(alive), list(as.character(1:20), c("0", "100", "365.25")))
    eta <- predict(truth, lung()[1:20, ], type = "lp")
    for (j in 1:3) expect_equal(alive[, j], 1 - survival::psurvreg(times[j], eta, truth$scale, family),
                                tolerance = 1e-6, label = family)
    expect_equal(unname(residuals(fit, "cox_snell")),
                 -log(1 - survival::psurvreg(truth$y[, 1], truth$linear.predictors, truth$scale, family)),
                 tolerance = 1e-6, ignore_attr = TRUE, label = family)
  }
})

test_that("weights, offsets, missing rows and subsets are those of survreg()", {
  d <- transform(lung(), w = rep(1:3, length.out = 228), o = age / 100)
  fit <- fit_nn(survival::Surv(time, status) ~ sex + offset(o), d, weights = w, subset = age > 50, hidden = 0)
  truth <- survival::survreg(survival::Surv(time, status) ~ sex + offset(o), d, weights = w, subset = age > 50)
  expect_equal(coef(fit), coef(truth), tolerance = 1e-7)
  expect_equal(c(logLik(fit)), c(logLik(truth)), tolerance = 1e-10)
  d$time[3] <- NA
  d$status[5] <- NA
  fit <- fit_nn(lung_formula, d, hidden = 0, na.action = na.exclude)
  expect_identical(which(is.na(residuals(fit, "deviance"))), c(`3` = 3L, `5` = 5L, `14` = 14L))
  expect_equal(coef(fit), coef(survival::survreg(lung_formula, d)), tolerance = 1e-7)
})

test_that("x and y, plain times and responses read without the package give the same fit", {
  d <- na.omit(lung()[c("time", "status", "age", "sex", "ph.ecog")])
  fit <- fit_nn(lung_formula, d, hidden = 0)
  y <- survival::Surv(d$time, d$status)
  by_frame <- fit_nn(d[3:5], y, hidden = 0)
  by_matrix <- fit_nn(as.matrix(d[3:5]), y, hidden = 0)
  expect_identical(unname(coef(by_frame)), unname(coef(fit)))
  expect_identical(unname(coef(by_matrix)), unname(coef(fit)))
  expect_equal(predict(by_frame, d[3:5], type = "survival", times = 200),
               predict(fit, d, type = "survival", times = 200))
  holed <- y
  holed[7] <- NA
  expect_identical(nobs(fit_nn(d[3:5], holed, hidden = 0)), nobs(fit) - 1L)
  expect_equal(unname(rowSums(log_lik(fit_bayes_nn(d[3:5], y, hidden = 0), d[3:5], y, draws = 3) < 0)), rep(227, 3))
  events <- d[d$status == 2, ]
  as_numbers <- fit_nn(time ~ age + sex, events, hidden = 0, family = "lognormal")
  expect_equal(coef(as_numbers), coef(lm(log(time) ~ age + sex, events)), tolerance = 1e-7)
  expect_identical(as_numbers$family, "lognormal")
})

test_that("a Bayesian fit averages the probability of surviving over the posterior", {
  set.seed(1)
  for (posterior in c("meanfield", "laplace")) {
    fit <- fit_bayes_nn(lung_formula, lung(), hidden = 3, posterior = posterior, members = 1)
    alive <- predict(fit, lung()[c(1, 14, 2), ], type = "survival", times = c(50, 500))
    expect_identical(unname(which(is.na(alive[, 1]))), 2L)
    drawn <- posterior_predict(fit, lung()[c(1, 2), ], draws = 20000)
    for (j in 1:2) expect_lt(max(standard_errors_off(1 * (drawn > c(50, 500)[j]), alive[c(1, 3), j])), 4)
  }
  expect_equal(unname(predict(fit, type = "survival", times = 10)[1:3, ]),
               unname(predict(fit, lung()[1:3, ], type = "survival", times = 10)[, 1]), tolerance = 1e-6)
})

test_that("the transform of right predictions is uniform, whatever is censored", {
  set.seed(2)
  n <- 4000
  d <- data.frame(x = stats::rnorm(n))
  t <- exp(1 + d$x / 2 + 0.7 * log(stats::rexp(n)))
  censored <- stats::rexp(n, 0.2)
  d$y <- survival::Surv(pmin(t, censored), as.numeric(t <= censored))
  fit <- fit_nn(y ~ x, d, hidden = 0)
  checked <- calibration(fit)
  expect_true(all(abs(checked$coverage$observed - checked$coverage$level) < 4 * checked$coverage$se))
  expect_gt(stats::chisq.test(tabulate(1 + floor(10 * checked$pit), 10))$p.value, 1e-3)
  expect_equal(checked$log_score, c(logLik(fit)) / n, tolerance = 1e-8)
  expect_equal(summary(fit)$responses$y$measures[["concordance"]],
               survival::concordance(survival::survreg(y ~ x, d))$concordance, tolerance = 1e-12)
  expect_equal(mean(residuals(fit, "cox_snell")), mean(d$y[, 2]), tolerance = 1e-5)
})

test_that("a response that is no right-censored time above 0 is refused in clear words", {
  d <- data.frame(t = c(1, 2, 3, 4), s = c(1, 0, 1, 1), x = c(1, 3, 2, 5))
  surv <- survival::Surv
  expect_error(fit_nn(surv(t, 0 * s) ~ x, d), "no event: all its times are censored", class = "varnn_error")
  expect_error(fit_nn(surv(t, s) ~ x, d, weights = 1 - s), "no event", class = "varnn_error")
  expect_error(fit_nn(surv(t - 1, s) ~ x, d), "not above 0, such as 0", class = "varnn_error")
  expect_error(fit_nn(t - 2 ~ x, d, family = "weibull"), "not above 0", class = "varnn_error")
  expect_error(fit_nn(surv(t, t + 1, s) ~ x, d), "\"counting\": only right", class = "varnn_error")
  expect_error(fit_nn(surv(t, s, type = "left") ~ x, d), "\"left\": only right", class = "varnn_error")
  expect_error(fit_nn(surv(t, t + s, type = "interval2") ~ x, d), "only right", class = "varnn_error")
  expect_error(fit_nn(surv(t, s) ~ x, d, family = "gaussian"), "must be one of \"weibull\"", class = "varnn_error")
  expect_error(fit_nn(factor(s) ~ x, d, family = "weibull"), "times above 0", class = "varnn_error")
  expect_error(fit_nn(t ~ surv(t, s), d), "left side", class = "varnn_error")
  expect_error(fit_vae(d["t"], family = "weibull", latent = 1), "columns", class = "varnn_error")
  fit <- fit_nn(surv(t, s) ~ x, d, hidden = 0)
  expect_error(predict(fit, d, type = "survival"), "needs `times`", class = "varnn_error")
  for (times in list(-1, NA, "a", Inf, numeric()))
    expect_error(predict(fit, d, type = "survival", times = times), "`times`", class = "varnn_error")
  expect_error(predict(fit, d, times = 3), "`times` belongs", class = "varnn_error")
  expect_error(predict(fit_nn(t ~ x, d, hidden = 0), d, type = "survival", times = 3), "survival times",
               class = "varnn_error")
  expect_error(residuals(fit, "pearson"), "does not apply", class = "varnn_error")
  expect_error(residuals(fit_nn(t ~ x, d, hidden = 0), "cox_snell"), "survival times", class = "varnn_error")
  expect_error(log_lik(fit_bayes_nn(surv(t, s) ~ x, d, hidden = 0, epochs = 2), transform(d, t = -t)), "not above 0",
               class = "varnn_error")
})

test_that("terms by which survreg() is asked for more than predictors are refused, by name", {
  d <- lung()
  cluster <- survival::cluster
  for (term in c("cluster(inst)", "survival::strata(sex)", "survival::pspline(age)", "strata(sex)", "frailty(inst)",
                 "survival::frailty.gamma(inst)", "tt(age)", "survival::ridge(age, ph.ecog)", "sex:cluster(inst)"))
    for (left in c("survival::Surv(time, status)", "time")) {
      formula <- stats::as.formula(paste(left, "~ age +", term))
      what <- sub("sex:", "", term, fixed = TRUE)
      expect_error(fit_nn(formula, d, hidden = 0), sprintf("The term `%s` of the package survival does not", what),
                   fixed = TRUE, class = "varnn_error")
    }
  expect_error(fit_bayes_nn(lung_formula, d, subset = age > 60, epochs = 1), NA)
  # a function of the user
  strata <- function(x) x
  expect_identical(names(coef(fit_nn(time ~ strata(sex), d, hidden = 0)))[2], "strata(sex)")
})
