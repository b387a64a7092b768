# Families without hidden layers against stats' glm() and the optimum of stats' densities.

set.seed(40)
rows <- data.frame(x = stats::rnorm(300), z = stats::runif(300))
rows$mu <- exp(0.5 + 0.4 * rows$x - 0.3 * rows$z)
design <- cbind(1, rows$x, rows$z)

# The least value of f, and where, from a start of zeros.
least <- function(f, n) {
  p <- numeric(n)
  for (i in 1:6) p <- stats::optim(p, f, method = "BFGS", control = list(reltol = 1e-15, maxit = 2000))$par
  list(par = p, value = f(p))
}

expect_optimum <- function(family, y, f, n, n_coef = 3, ...) {
  fit <- fit_nn(y ~ x + z, cbind(rows, y = y), hidden = 0, family = family, ...)
  truth <- least(f, n)
  expect_identical(fit$stop_reason, "converged")
  expect_equal(c(coef(fit)), truth$par[seq_len(n_coef)], tolerance = 1e-5, ignore_attr = TRUE)
  expect_equal(as.numeric(logLik(fit)), -truth$value, tolerance = 1e-9)
  expect_identical(attr(logLik(fit), "df"), as.double(n))
  invisible(fit)
}

test_that("a response with Student's t distribution has the coefficients of its likelihood, with df learned or given", {
  set.seed(41)
  y <- 1 + rows$x - rows$z + 0.5 * stats::rt(300, 3)
  nll <- function(p, df) -sum(stats::dt((y - design %*% p[1:3]) / exp(p[4]), df, log = TRUE) - p[4])
  fit <- expect_optimum("student_t", y, function(p) nll(p, 0.5 + exp(p[5]) / (1 + exp(p[5]) / 1e6)), 5)
  known <- expect_optimum("student_t", y, function(p) nll(p, 4), 4, df = 4)
  expect_identical(known$theta, fit_nn(y ~ x + z, cbind(rows, y), hidden = 0, family = nn_family("t", df = 4))$theta)
  expect_output(print(nn_family("student_t", df = 4)), "student_t(df = 4)", fixed = TRUE)
  expect_identical(constants_of(family(known)), list(df = 4))
  for (df in list(0, -1, NA, "a", c(1, 2)))
    expect_error(nn_family("student_t", df = df), "`df`", class = "varnn_error")
  # the standard errors are those of the expected information of location and scale
  s <- exp(block_free(fit)[[1]]["scale", 1]) * fit$blocks[[1]]$scale
  n <- t_degrees(block_free(fit)[[1]]["df", 1])
  expect_equal(vcov(fit), solve(crossprod(design)) * s^2 * (n + 3) / (n + 1), tolerance = 1e-6, ignore_attr = TRUE)
})

test_that("one gross outlier moves a t response less than a gaussian one", {
  d <- data.frame(x = 1:50, y = 1:50 + sin(1:50))
  d$y[10] <- 1e4
  slope <- function(family) coef(fit_nn(y ~ x, d, hidden = 0, family = family))[["x"]]
  truth <- stats::coef(stats::lm(y ~ x, d[-10, ]))[["x"]]
  expect_lt(abs(slope("student_t") - truth), 0.02)
  expect_gt(abs(slope("gaussian") - truth), 1)
})

# The deviance, the residuals, and what is made of them.
expect_residuals_of <- function(fit, truth) {
  expect_equal(deviance(fit), stats::deviance(truth), tolerance = 1e-6)
  for (type in c("deviance", "pearson", "response", "working"))
    expect_equal(residuals(fit, type), stats::residuals(truth, type), tolerance = 1e-5, label = type)
  expect_equal(summary(fit)$deviance, stats::deviance(truth), tolerance = 1e-6)
  expect_equal(glance.varnn(fit)[["deviance"]], stats::deviance(truth), tolerance = 1e-6)
  expect_equal(glance.varnn(fit)[["null.deviance"]], truth$null.deviance, tolerance = 1e-6)
  base <- attr(importance(fit, score = "deviance", permutations = 1), "base")
  expect_equal(base, stats::deviance(truth) / stats::nobs(truth), tolerance = 1e-6)
  expect_equal(anova(fit)[["Resid. Dev"]], stats::anova(truth)[["Resid. Dev"]], tolerance = 1e-6)
}

test_that("gamma and inverse gaussian responses have the coefficients of glm(), and the shape of most likelihood", {
  set.seed(42)
  control <- list(epsilon = 1e-14, maxit = 100)
  y <- stats::rgamma(300, 3, scale = rows$mu / 3)
  truth <- stats::glm(y ~ x + z, stats::Gamma("log"), rows, control = control)
  of_shape <- function(s) -sum(stats::dgamma(y, s, scale = stats::fitted(truth) / s, log = TRUE))
  best <- stats::optimize(of_shape, c(0.1, 20), tol = 1e-10)
  fit <- fit_nn(y ~ x + z, cbind(rows, y), hidden = 0, family = stats::Gamma("log"))
  expect_equal(coef(fit), coef(truth), tolerance = 1e-6)
  expect_equal(as.numeric(logLik(fit)), -best$objective, tolerance = 1e-10)
  expect_equal(exp(block_free(fit)[[1]]), best$minimum, tolerance = 1e-5)
  expect_residuals_of(fit, truth)
  expect_equal(vcov(fit), vcov(truth), tolerance = 1e-5)
  expect_error(fit_nn(y ~ x, cbind(rows, y), family = stats::Gamma()), "link \"log\"", class = "varnn_error")

  y <- random_inverse_gaussian(rows$mu, rep(2, 300))
  truth <- stats::glm(y ~ x + z, stats::inverse.gaussian("log"), rows, control = control)
  fit <- fit_nn(y ~ x + z, cbind(rows, y), hidden = 0, family = "inverse_gaussian")
  expect_equal(coef(fit), coef(truth), tolerance = 1e-6)
  expect_residuals_of(fit, truth)
  shape <- 300 / stats::deviance(truth)
  expect_equal(exp(block_free(fit)[[1]]), shape, tolerance = 1e-6)
  expect_equal(as.numeric(logLik(fit)), sum(log(shape / (2 * pi * y^3)) / 2) - 150, tolerance = 1e-9)
  expect_error(fit_nn(y ~ x, data.frame(x = 1:3, y = 0:2), family = "gamma"), "above 0", class = "varnn_error")
})

test_that("responses that are all equal have the likelihood that training had, however large the shape", {
  constant <- data.frame(x = 1:20, y = 3)
  for (family in c("gamma", "inverse_gaussian")) {
    fit <- fit_nn(y ~ x, constant, hidden = 0, family = family)
    expect_equal(-as.numeric(logLik(fit)) / 20, fit$history$loss[length(fit$history$loss)], tolerance = 1e-6)
  }
  eta <- matrix(c(-1, 0.3, 2))
  for (a in c(1e-3, 0.5, 2, 300, 0.99e4, 1.01e4, 1e6)) {
    y <- exp(eta) * (1 + c(-2, 0.1, 1) / sqrt(a + 5))
    expect_equal(family_table$gamma$nll(y, eta, matrix(log(a))), -dgamma(y, a, scale = exp(eta) / a, log = TRUE),
                 tolerance = 1e-9)
  }
})

test_that("a proportion has the coefficients of the beta likelihood", {
  set.seed(43)
  m <- stats::plogis(0.3 + rows$x - rows$z)
  y <- stats::rbeta(300, 7 * m, 7 * (1 - m))
  expect_optimum("beta", y, function(p) {
    m <- stats::plogis(design %*% p[1:3])
    -sum(stats::dbeta(y, m * exp(p[4]), (1 - m) * exp(p[4]), log = TRUE))
  }, 4)
  expect_error(fit_nn(y ~ x, data.frame(x = 1:3, y = c(0, 0.5, 0.7)), family = "beta"), "above 0 and below 1",
               class = "varnn_error")
})

test_that("zero-inflated counts have the coefficients of their likelihood, and its standard errors", {
  set.seed(44)
  inflated <- function(density, n) {
    function(p) {
      share <- stats::plogis(design %*% p[4:6])
      -sum(log(share * (y == 0) + (1 - share) * density(y, exp(design %*% p[1:3]), exp(p[n]))))
    }
  }
  y <- stats::rpois(300, 2 * rows$mu) * stats::rbinom(300, 1, stats::plogis(1 + rows$x))
  nll <- inflated(function(y, mu, size) stats::dpois(y, mu), 6)
  fit <- expect_optimum("zero_inflated_poisson", y, nll, 6, 6)
  p <- c(coef(fit))
  expect_equal(predict(fit), c(exp(design %*% p[1:3]) * stats::plogis(-design %*% p[4:6])), tolerance = 1e-9,
               ignore_attr = TRUE)
  # the expected information, by sums over the counts
  info <- 0
  for (i in 1:300) {
    log_p <- function(p, y) {
      share <- stats::plogis(sum(design[i, ] * p[4:6]))
      log(share * (y == 0) + (1 - share) * stats::dpois(y, exp(sum(design[i, ] * p[1:3]))))
    }
    slope <- vapply(1:6, function(k) {
      h <- replace(numeric(6), k, 1e-5)
      (log_p(p + h, 0:60) - log_p(p - h, 0:60)) / 2e-5
    }, numeric(61))
    info <- info + crossprod(slope, slope * exp(log_p(p, 0:60)))
  }
  expect_equal(vcov(fit), solve(info), tolerance = 1e-5, ignore_attr = TRUE)

  y <- stats::rnbinom(300, size = 3, mu = 2 * rows$mu) * stats::rbinom(300, 1, stats::plogis(1 + rows$x))
  expect_optimum("zero_inflated_negative_binomial", y,
                 inflated(function(y, mu, size) stats::dnbinom(y, size = size, mu = mu), 7), 7, 6)
})

test_that("training of zero-inflated counts starts at the best constants", {
  set.seed(45)
  y <- matrix(stats::rpois(200, 3) * stats::rbinom(200, 1, 0.6))
  w <- stats::runif(200, 0.5, 2)
  loss <- function(p) sum(w * family_table$zero_inflated_poisson$nll(y, matrix(p, 200, 2, byrow = TRUE), NULL))
  start <- family_table$zero_inflated_poisson$start(y, w)
  for (j in 1:2) {
    h <- 1e-5 * (1:2 == j)
    expect_lt(abs(loss(start + h) - loss(start - h)) / 2e-5, 1e-5)
  }
})

test_that("an offset belongs to the mean of the counts, not to the share of other zeros", {
  set.seed(46)
  d <- data.frame(x = stats::rnorm(400), time = stats::runif(400, 1, 5))
  d$y <- stats::rpois(400, d$time * exp(0.3 + 0.5 * d$x)) * stats::rbinom(400, 1, stats::plogis(1 - 0.7 * d$x))
  nll <- function(p) {
    share <- stats::plogis(p[3] + p[4] * d$x)
    -sum(log(share * (d$y == 0) + (1 - share) * stats::dpois(d$y, d$time * exp(p[1] + p[2] * d$x))))
  }
  truth <- stats::optim(numeric(4), nll, method = "BFGS", control = list(reltol = 1e-15))
  fit <- fit_nn(y ~ x + offset(log(time)), d, hidden = 0, family = "zero_inflated_poisson")
  expect_equal(as.vector(coef(fit)), truth$par, tolerance = 1e-4)
  expect_equal(as.numeric(logLik(fit)), -truth$value, tolerance = 1e-8)
})

test_that("likelihoods are finite far out, in both precisions", {
  far <- c(-30, -5, 0, 5, 30)
  for (family in c("student_t", "gamma", "inverse_gaussian", "beta", inflated_names())) {
    block <- a_block(family, 1, "each")
    k <- eta_rows(block)
    y <- switch(family_table[[family]]$kind, number = c(-1e6, 0, 1e6), positive = c(1e-20, 1, 1e6),
                share = c(1e-12, 0.5, 1 - 1e-7), c(0, 1, 1e6))
    spec <- new_spec(k, list(layer("dense", k, "bias")), list(block))
    for (eta in far) for (one in y) for (precision in c("double", "single")) {
      data <- engine_data(matrix(eta, 1, k), matrix(one))
      theta <- c(diag(k), rep(0, k), block$fixed[seq_len(n_free(block))])
      found <- engine_gradient(spec, theta, data, a_control(1, precision = precision))
      expect_true(all(is.finite(c(found$loss, found$gradient))), label = paste(family, eta, one, precision))
    }
  }
})

test_that("type = \"quantile\" gives the quantiles of the fitted distribution, on the response's scale", {
  p <- c(0.05, 0.5, 0.975)
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  truth <- outer(fitted(fit), stats::qnorm(p) * sigma(fit), `+`)
  found <- predict(fit, mtcars, type = "quantile", probs = p)
  expect_equal(found, truth, tolerance = 1e-10, ignore_attr = TRUE)
  expect_identical(dimnames(found), list(rownames(mtcars), c("5%", "50%", "97.5%")))
  expect_equal(predict(fit, type = "quantile", probs = p), found, tolerance = 1e-10)
  counts <- fit_nn(carb ~ wt, mtcars, hidden = 0, family = "poisson")
  expect_equal(predict(counts, type = "quantile", probs = 0.9)[, 1], stats::qpois(0.9, fitted(counts)),
               ignore_attr = TRUE)
  two <- fit_nn(cbind(mpg, qsec) ~ wt, mtcars, hidden = 0)
  expect_identical(names(predict(two, type = "quantile")), c("mpg", "qsec"))
  with_na <- predict(fit, rbind(mtcars[1:2, ], replace(mtcars[3, ], "wt", NA)), type = "quantile")
  expect_identical(is.na(with_na[, 2]), c(FALSE, FALSE, TRUE), ignore_attr = TRUE)
  classes <- fit_nn(am ~ wt, transform(mtcars, am = am == 1), hidden = 0)
  expect_error(predict(classes, type = "quantile"), "has no quantiles", class = "varnn_error")
  for (p in list(0, 1, NA, "a", numeric()))
    expect_error(predict(fit, type = "quantile", probs = p), "`probs`", class = "varnn_error")
})

test_that("quantiles of a Bayesian network are the bounds of its prediction interval", {
  for (posterior in c("laplace", "meanfield", "point")) for (family in c("gaussian", "gamma")) {
    set.seed(46)
    fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, posterior = posterior, family = family, epochs = 20,
                        sigma = "learned", members = 1)
    set.seed(1)
    bounds <- predict(fit, mtcars[1:4, ], interval = "prediction", level = 0.8, draws = 200)
    set.seed(1)
    found <- predict(fit, mtcars[1:4, ], type = "quantile", probs = c(0.1, 0.9), draws = 200)
    expect_identical(colnames(found), c("10%", "90%"))
    expect_equal(found, bounds[, 2:3], ignore_attr = TRUE)
  }
  set.seed(1)
  both <- fit_nn(mpg ~ wt, mtcars, hidden = 2, members = 2, epochs = 20)
  expect_true(all(diff(t(predict(both, type = "quantile"))) > 0))
})

test_that("densities far from the data are those of the limit, not those of nothing", {
  gamma <- varnn:::family_table$gamma
  nll <- function(y, eta) gamma$nll(matrix(y), matrix(eta), log(2))
  expect_equal(nll(3, 1)[1], -dgamma(3, 2, scale = exp(1) / 2, log = TRUE))
  far <- 1e10 # -log y^(a - 1) a^a exp(-a eta) / gamma(a), y exp(-eta) being nothing
  expect_equal(nll(3, far)[1], 2 * far - log(3) - 2 * log(2))
  eta <- array(c(far, 1), c(1, 1, 2))
  undefined <- function(y, eta, free) replace(eta, eta > 1e9, NaN)
  expect_equal(drop(varnn:::draw_nll(NULL, matrix(3), eta, log(2), undefined)), c(Inf, 1))
  expect_equal(drop(varnn:::draw_nll(NULL, cbind(3, 1), eta, log(2), undefined)), c(Inf, 1)) # a time and an event
  expect_equal(drop(varnn:::draw_nll(NULL, matrix(NA_real_), eta, log(2), undefined)), c(0, 1))
})
