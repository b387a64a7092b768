# The generics of rstantools, posterior and bayesplot.

linear_bayes <- function(...) {
  fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0, sigma = 2.5, prior = prior_normal(0, 1), ...)
}

test_that("predictive_interval() and posterior_interval() are the intervals of predict() and confint()", {
  skip_if_not_installed("rstantools")
  set.seed(1)
  fit <- linear_bayes()
  new <- mtcars[c(2, 5, 1), c("hp", "wt")]
  found <- rstantools::predictive_interval(fit, prob = 0.8, newdata = new)
  expect_identical(dimnames(found), list(rownames(new), c("10%", "90%")))
  # y ~ N(x m, x V x' + sigma^2), m and V being known
  x <- cbind(1, as.matrix(new[c("wt", "hp")]))
  mean <- drop(x %*% coef(fit))
  sd <- sqrt(rowSums((x %*% vcov(fit)) * x) + 2.5^2)
  expect_equal(unname(found), unname(cbind(mean - sd * qnorm(0.9), mean + sd * qnorm(0.9))), tolerance = 0.01)
  expect_identical(dim(rstantools::predictive_interval(fit, newdata = new[1, ])), c(1L, 2L))
  expect_identical(dim(rstantools::predictive_interval(fit, newdata = new[0, ])), c(0L, 2L))
  new$wt[2] <- NA
  expect_identical(is.na(rstantools::predictive_interval(fit, newdata = new)[, 1]), c(FALSE, TRUE, FALSE),
                   ignore_attr = TRUE)
  interval <- rstantools::posterior_interval(fit, prob = 0.5, pars = c("hp", "wt"))
  expect_identical(dimnames(interval), list(c("hp", "wt"), c("25%", "75%")))
  expect_equal(unname(interval), unname(confint(fit, c("hp", "wt"), level = 0.5)))
})

test_that("predictive_error() is the response less draws of it", {
  skip_if_not_installed("rstantools")
  fit <- linear_bayes()
  set.seed(1)
  found <- rstantools::predictive_error(fit, draws = 20)
  set.seed(1)
  expect_equal(found, rep(mtcars$mpg, each = 20) - posterior_predict(fit, draws = 20))
  new <- cbind(zoo = 1, mtcars[3:1, ])
  new$hp[1] <- NA
  new$mpg[2] <- NA
  gaps <- rstantools::predictive_error(fit, newdata = new, draws = 5)
  expect_identical(is.na(gaps[1, ]), c(TRUE, TRUE, FALSE), ignore_attr = TRUE)
  expect_identical(dim(rstantools::predictive_error(fit, newdata = new[0, ], draws = 5)), c(5L, 0L))
  both <- quick_bayes(cbind(mpg, qsec) ~ wt, mtcars)
  errors <- rstantools::predictive_error(both, draws = 5)
  expect_named(errors, c("mpg", "qsec"))
  expect_lt(abs(mean(errors$qsec)), 4)
  expect_refused(rstantools::predictive_error(quick_bayes(factor(am) ~ wt, mtcars)), "needs a response of numbers")
})

test_that("bayes_R2() is that of draws of the exact posterior", {
  skip_if_not_installed("rstantools")
  set.seed(1)
  fit <- linear_bayes()
  x <- cbind(1, mtcars$wt, mtcars$hp)
  w <- matrix(rnorm(3 * 4000), 4000) %*% chol(vcov(fit)) + rep(coef(fit), each = 4000)
  explained <- apply(w %*% t(x), 1, var)
  truth <- explained / (explained + 2.5^2)
  found <- rstantools::bayes_R2(fit, draws = 4000)
  expect_length(found, 4000)
  expect_equal(quantile(found, c(0.1, 0.5, 0.9)), quantile(truth, c(0.1, 0.5, 0.9)), tolerance = 0.005)
  # of trials the variance of each, p (1 - p), averaged; rows count as their weights say
  yes <- fit_bayes_nn(am == 1 ~ wt, mtcars, hidden = 0, posterior = "meanfield", epochs = 300)
  set.seed(2)
  r2 <- rstantools::bayes_R2(yes, draws = 50)
  set.seed(2)
  p <- posterior_epred(yes, draws = 50)
  expect_equal(r2, apply(p, 1, var) / (apply(p, 1, var) + rowMeans(p * (1 - p))))
  heavy <- fit
  heavy$weights <- rep(c(2, 1), 16)
  heavy$call$weights <- heavy$weights
  each <- mtcars[rep(1:32, heavy$weights), ]
  set.seed(3)
  weighted <- rstantools::bayes_R2(heavy, draws = 20)
  set.seed(3)
  expect_equal(weighted, rstantools::bayes_R2(fit, newdata = each, draws = 20))
  ensemble <- quick(mpg ~ wt, mtcars, members = 2)
  expect_length(rstantools::bayes_R2(ensemble, draws = 10), 10)
  expect_refused(rstantools::bayes_R2(quick_bayes(Species ~ ., iris)), "with a mean and a variance")
})

test_that("prior_summary() and nsamples()", {
  skip_if_not_installed("rstantools")
  set.seed(1)
  found <- rstantools::prior_summary(quick_bayes(mpg ~ wt + hp, mtcars, posterior = "meanfield",
                                                 prior = prior_normal(0, 3, fan_in = TRUE)))
  expect_identical(found$term, c("layer1.weight", "layer1.bias", "layer2.weight", "layer2.bias"))
  expect_equal(found$sd, c(3 / sqrt(2), 3, 3 / sqrt(2), 3))
  expect_equal(found$weights, c(4, 2, 2, 1))
  mixed <- quick_bayes(mpg ~ wt, mtcars, members = 2, posterior = "meanfield")
  expect_identical(rstantools::prior_summary(mixed)$member, rep(1:2, each = 4))
  expect_equal(rstantools::nsamples(mixed), nrow(posterior_epred(mixed, mtcars[1, ])))
})

test_that("as_draws_df() and its like", {
  skip_if_not_installed("posterior")
  set.seed(1)
  fit <- linear_bayes()
  draws <- posterior::as_draws_df(fit, draws = 4000)
  expect_identical(posterior::variables(draws), names(coef(fit)))
  expect_equal(posterior::ndraws(draws), 4000)
  found <- posterior::summarise_draws(draws, "mean", "sd")
  expect_equal(as.double(found$mean), unname(coef(fit)), tolerance = 0.01)
  expect_equal(as.double(found$sd), unname(sqrt(diag(vcov(fit)))), tolerance = 0.05)
  expect_equal(cor(as.matrix(posterior::as_draws_matrix(fit, draws = 4000))), cov2cor(vcov(fit)), tolerance = 0.1)
  network <- quick_bayes(mpg ~ wt, mtcars, posterior = "meanfield")
  set.seed(2)
  expected <- as.matrix(network, draws = 7)
  set.seed(2)
  expect_equal(unclass(posterior::as_draws_matrix(network, draws = 7)), expected, ignore_attr = TRUE)
  expect_s3_class(posterior::as_draws(network, draws = 7), "draws_matrix")
  expect_s3_class(posterior::as_draws_array(network, draws = 7), "draws_array")
  expect_s3_class(posterior::as_draws_list(network, draws = 7), "draws_list")
  rvars <- posterior::as_draws_rvars(network, draws = 7)
  expect_equal(dim(rvars$layer1.weight), c(2L, 1L))
  mixed <- quick_bayes(mpg ~ wt, mtcars, hidden = 0, members = 2)
  expect_equal(posterior::ndraws(posterior::as_draws_matrix(mixed, draws = 9)), 9)
  expect_refused(posterior::as_draws_df(fit, n = 3), "no argument `n`")
})

test_that("pp_check() draws the response beside draws of it", {
  skip_if_not_installed("bayesplot")
  set.seed(1)
  fit <- linear_bayes()
  picture <- bayesplot::pp_check(fit, draws = 7)
  expect_s3_class(picture, "ggplot")
  expect_equal(nrow(bayesplot::ppc_data(mtcars$mpg, posterior_predict(fit, draws = 7))), nrow(picture$data))
  expect_s3_class(bayesplot::pp_check(fit, "ppc_intervals_grouped", newdata = mtcars[1:9, ],
                                      group = mtcars$am[1:9], x = mtcars$wt[1:9]), "ggplot")
  expect_s3_class(bayesplot::pp_check(quick_bayes(carb ~ wt, mtcars, family = "poisson")), "ggplot")
  expect_refused(bayesplot::pp_check(fit, "dens_overlap"), "did you mean \"dens_overlay\"")
})

test_that("fits that are not Bayesian say so", {
  skip_if_not_installed("rstantools")
  set.seed(1)
  for (fit in list(quick(mpg ~ wt, mtcars), fit_ae(mtcars, epochs = 1))) {
    expect_refused(rstantools::predictive_interval(fit), "predictive_interval\\(\\) needs a fit by fit_bayes_nn")
    expect_refused(rstantools::bayes_R2(fit), "bayes_R2\\(\\) needs a fit by fit_bayes_nn")
    expect_refused(rstantools::prior_summary(fit), "prior_summary\\(\\) needs a fit by fit_bayes_nn")
  }
  ensemble <- quick(mpg ~ wt, mtcars, members = 2)
  expect_refused(rstantools::prior_summary(ensemble), "needs a fit by fit_bayes_nn")
  expect_identical(dim(rstantools::predictive_interval(ensemble, newdata = mtcars[1:3, ], draws = 50)), c(3L, 2L))
})
