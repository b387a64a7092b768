# Ordered factors against polr() of the package MASS.

ordered_data <- function(n = 300) {
  d <- data.frame(x = stats::rnorm(n), z = stats::rnorm(n))
  d$y <- cut(d$x + stats::rlogis(n), c(-Inf, -2, -1, 0.3, 1, Inf), letters[1:5], ordered_result = TRUE)
  d
}

expect_like_polr <- function(fit, truth, data) {
  at <- seq_along(coef(truth))
  expect_equal(coef(fit)[-1], coef(truth), tolerance = 1e-5)
  expect_equal(c(logLik(fit)), c(logLik(truth)), tolerance = 1e-9)
  expect_equal(attr(logLik(fit), "df"), attr(logLik(truth), "df"))
  expect_equal(vcov(fit)[-1, -1], vcov(truth)[at, at], tolerance = 1e-5)
  expect_equal(unname(predict(fit, data, type = "prob")), unname(predict(truth, data, type = "probs")),
               tolerance = 1e-5)
  expect_identical(unname(predict(fit, data)), ordered(predict(truth, data), truth$lev))
}

test_that("without hidden layers the fit is that of polr()", {
  skip_if_not_installed("MASS")
  set.seed(1)
  d <- ordered_data()
  expect_like_polr(fit_nn(y ~ x + z, d, hidden = 0), MASS::polr(y ~ x + z, d, Hess = TRUE), d)
  housing <- MASS::housing
  fit <- fit_nn(Sat ~ Infl + Type + Cont, housing, weights = Freq, hidden = 0)
  truth <- MASS::polr(Sat ~ Infl + Type + Cont, housing, weights = Freq, Hess = TRUE)
  expect_like_polr(fit, truth, housing)
  expect_identical(fit$family, "ordinal")
})

test_that("gradients are right whatever the number of levels", {
  set.seed(2)
  d <- ordered_data(60)
  for (drop in 0:2) {
    some <- transform(d, y = droplevels(y, exclude = letters[seq_len(drop)]))
    fit <- fit_nn(y ~ x + z, some, hidden = 3, epochs = 2, na.action = na.omit)
    expect_lt(max(check_gradients(fit)), 1e-6)
    expect_identical(nlevels(predict(fit, some)), 5L - drop)
  }
  fit <- fit_nn(y ~ x + z, d, hidden = 3, epochs = 2)
  p <- predict(fit, data.frame(x = c(-1e3, 0, 1e3), z = 0), type = "prob")
  expect_true(all(is.finite(p)) && all(p >= 0))
  expect_equal(unname(rowSums(p)), rep(1, 3))
})

test_that("ordered factors choose the family by themselves, two levels the bernoulli, columns the categorical", {
  set.seed(3)
  d <- ordered_data(50)
  expect_identical(fit_nn(y ~ x, transform(d, y = ordered(y > "b")), epochs = 1)$family, "bernoulli")
  two <- fit_nn(y ~ x, transform(d, y = ordered(y > "b")), family = "ordinal", epochs = 1)
  expect_identical(two$family, "bernoulli")
  expect_identical(fit_nn(y ~ x, transform(d, y = factor(y, ordered = FALSE)), epochs = 1)$family, "categorical")
  expect_identical(fit_nn(y ~ x, d, family = "categorical", epochs = 1)$family, "categorical")
  expect_identical(fit_vae(d, latent = 1, epochs = 1)$family[["y"]], "categorical")
  expect_error(fit_vae(d, latent = 1, family = c(y = "ordinal")), "columns", class = "varnn_error")
  expect_error(fit_nn(x ~ z, d, family = "ordinal"), "three or more levels", class = "varnn_error")
  empty <- transform(d, y = factor(y, c(letters[1:5], "q"), ordered = TRUE))
  expect_identical(levels(predict(fit_nn(y ~ x, empty, epochs = 1))), letters[1:5])
})

test_that("Bayesian fits and ensembles average the probabilities of levels", {
  set.seed(4)
  d <- ordered_data(100)
  fits <- list(fit_bayes_nn(y ~ x + z, d, hidden = 2, posterior = "meanfield", epochs = 200),
               fit_bayes_nn(y ~ x + z, d, hidden = 2, posterior = "laplace", members = 2),
               fit_nn(y ~ x + z, d, hidden = 2, epochs = 20, members = 2))
  for (fit in fits) {
    p <- predict(fit, d[1:3, ], type = "prob", draws = 5000)
    drawn <- posterior_epred(fit, d[1:3, ], draws = 5000)
    expect_equal(unname(p), unname(apply(drawn, 2:3, mean)), tolerance = 0.02)
    expect_identical(dim(fitted(fit)), c(100L, 5L))
    expect_equal(colnames(p), letters[1:5])
    y <- posterior_predict(fit, d[1:3, ], draws = 4000)
    expect_equal(colMeans(y == 2), p[, 2], tolerance = 0.2, ignore_attr = TRUE)
    expect_identical(levels(simulate(fit, 1)$sim_1), letters[1:5])
    expect_true(is.ordered(predict(fit, d)) && is.finite(calibration(fit, draws = 50)$brier))
    expect_error(predict(fit, d, interval = "confidence"), "factor", class = "varnn_error")
  }
})
