# Quantile regression against the optimum of its linear program.

check_loss <- function(e, tau) sum(e * (tau - (e < 0)))

# The least loss over all planes through two rows, where the optimum is (Koenker and Bassett 1978).
best_of_vertices <- function(x, y, tau) {
  planes <- utils::combn(length(y), 2, function(h) solve(cbind(1, x[h]), y[h]))
  losses <- apply(planes, 2, function(b) check_loss(y - b[1] - b[2] * x, tau))
  list(coef = planes[, which.min(losses)], loss = min(losses))
}

test_that("without hidden layers the fit is the optimum of the linear program", {
  set.seed(1)
  for (tau in c(0.1, 0.37, 0.5, 0.9)) {
    d <- data.frame(x = stats::rnorm(31, 5, 3))
    d$y <- 100 + 20 * d$x * stats::rexp(31)
    fit <- fit_nn(y ~ x, d, hidden = 0, family = "quantile", tau = tau)
    truth <- best_of_vertices(d$x, d$y, tau)
    expect_equal(unname(coef(fit)), truth$coef, tolerance = 1e-10, label = tau)
    expect_true(fit$converged)
    s <- truth$loss / 31
    expect_equal(c(logLik(fit)), -31 * (1 + log(s) - log(tau * (1 - tau))), tolerance = 1e-10, label = tau)
    expect_equal(unname(predict(fit, d)), truth$coef[1] + truth$coef[2] * d$x, tolerance = 1e-10)
    expect_lte(abs(sum(d$y < predict(fit, d) - 1e-9) - tau * 31), 2)
  }
})

test_that("weights are repeated rows, of several columns too", {
  set.seed(2)
  w <- rep(1:3, length.out = 32)
  low <- nn_family("quantile", tau = 0.3)
  of <- function(...) coef(fit_nn(mpg ~ wt + hp + factor(cyl), ..., hidden = 0, family = low))
  expect_equal(of(mtcars, weights = w), of(mtcars[rep(1:32, w), ]), tolerance = 1e-8)
})

test_that("a network's quantile has as many observations below as it says", {
  set.seed(3)
  d <- data.frame(x = stats::runif(1000, -2, 2))
  d$y <- sin(2 * d$x) + (1 + d$x^2) * stats::rexp(1000)
  for (tau in c(0.2, 0.8)) {
    fit <- fit_nn(y ~ x, d, family = "quantile", tau = tau, hidden = 8, activation = "tanh", epochs = 100)
    expect_lt(abs(mean(d$y < predict(fit, d)) - tau), 0.04)
    bayes <- fit_bayes_nn(y ~ x, d, family = "quantile", tau = tau, hidden = 4, posterior = "meanfield", epochs = 60)
    expect_lt(abs(mean(d$y < predict(bayes, d)) - tau), 0.06)
    interval <- predict(bayes, d[1:9, ], interval = "confidence")
    expect_true(all(interval[, "lwr"] <= interval[, "fit"] & interval[, "fit"] <= interval[, "upr"]))
  }
})

test_that("tau is a number between 0 and 1, of this family alone", {
  for (tau in list(0, 1, -0.5, NA, "a", NaN, c(0.5, 0.5)))
    expect_error(fit_nn(mpg ~ wt, mtcars, family = "quantile", tau = tau), "`tau`", class = "varnn_error")
  expect_error(fit_nn(mpg ~ wt, mtcars, tau = 0.5), "auto|tau", class = "varnn_error")
  expect_error(fit_nn(mpg ~ wt, mtcars, family = "gaussian", tau = 0.5), "tau", class = "varnn_error")
  expect_identical(coef(fit_nn(mpg ~ wt, mtcars, hidden = 0, family = "quantile")),
                   coef(fit_nn(mpg ~ wt, mtcars, hidden = 0, family = "quantile", tau = 0.5)))
})

test_that("the exchange of rows comes from anywhere to the best of all vertices", {
  set.seed(4)
  for (tau in c(0.1, 0.5, 0.8)) {
    z <- cbind(stats::rnorm(25), stats::rexp(25), 1)
    y <- stats::rt(25, 2)
    w <- stats::runif(25, 0.5, 2)
    loss <- function(b) {
      e <- y - drop(z %*% b)
      sum(w * e * (tau - (e < 0))) / sum(w)
    }
    best <- min(utils::combn(25, 3, function(h) loss(solve(z[h, ], y[h]))))
    found <- least_check_loss(z, y, w, tau, c(5, -5, 5))
    expect_equal(found$loss, best, tolerance = 1e-10)
    expect_equal(loss(found$coef), best, tolerance = 1e-10)
  }
})
