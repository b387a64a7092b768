# Shared by the tests of Bayesian networks: closed forms, and the fixture of one hidden relu layer.

# The fixture of linear regression by mean field: noise variance 0.2 and prior N(0, 1) on the standardised data.
bayes_cars <- function(..., posterior = "meanfield") {
  fit_bayes_nn(mpg ~ wt + hp + disp + qsec, mtcars, hidden = 0, prior = prior_normal(0, 1), posterior = posterior,
               sigma = sqrt(0.2) * stats::sd(mtcars$mpg), ...)
}

# Means and standard deviations of bias, then weights.
linear_posterior <- function(fit) {
  q <- weight_posterior(fit)
  bias <- grepl("bias", q$name)
  list(mean = c(q$mean[bias], q$mean[!bias]), sd = c(q$sd[bias], q$sd[!bias]))
}

# Mean-field posterior of linear regression y = X w + e in closed form; A = X'X / s2 + I / t2.
mean_field <- function(x, y, s2, t2) {
  a <- crossprod(x) / s2 + diag(ncol(x)) / t2
  m <- drop(solve(a, crossprod(x, y))) / s2
  evidence <- function() {
    v <- diag(nrow(x)) * s2 + t2 * tcrossprod(x)
    -(nrow(x) * log(2 * pi) + determinant(v)$modulus[1] + sum(y * solve(v, y))) / 2
  }
  log_evidence <- evidence()
  list(a = a, m = m, sd = 1 / sqrt(diag(a)), log_evidence = log_evidence,
       elbo = log_evidence - (sum(log(diag(a))) - determinant(a)$modulus[1]) / 2)
}

# One hidden relu layer of three units with random weights: variances, not standard deviations.
relu_fixture <- function(estimator, ...) {
  half_log <- function(variance) log(variance) / 2
  theta <- c(0.5, -0.3, 0.8, -0.6, 0.2, 0.1, half_log(c(0.04, 0.09, 0.01, 0.02, 0.05, 0.03)),
             0.1, -0.2, 0.3, half_log(c(0.01, 0.02, 0.03)),
             0.7, -0.4, 0.9, half_log(c(0.05, 0.02, 0.04)), 0.2, half_log(0.01))
  layers <- c(hidden_layers(3, "relu"), list(layer("dense", 1, "bias")))
  list(spec = gaussian_spec(2, layers, log(0.25) / 2, posterior = "meanfield", estimator = estimator, ...),
       theta = theta, x = rbind(c(1, -0.5), c(0.3, 2)), y = matrix(c(0.4, 1.1)))
}

# The moments of the fixture's output at x, by the formulas of the normal distribution.
relu_moments <- function(x) {
  m <- drop(matrix(c(0.5, -0.3, 0.8, -0.6, 0.2, 0.1), 3) %*% x) + c(0.1, -0.2, 0.3)
  v <- drop(matrix(c(0.04, 0.09, 0.01, 0.02, 0.05, 0.03), 3) %*% x^2) + c(0.01, 0.02, 0.03)
  u <- m / sqrt(v)
  h <- sqrt(v) * (stats::dnorm(u) + u * stats::pnorm(u))
  h2 <- v * ((1 + u^2) * stats::pnorm(u) + u * stats::dnorm(u))
  m2 <- c(0.7, -0.4, 0.9)
  c(mean = sum(m2 * h) + 0.2, variance = sum(c(0.05, 0.02, 0.04) * h2 + m2^2 * (h2 - h^2)) + 0.01)
}

# A Bayesian fit, hardly trained.
quick_bayes <- function(...) {
  call <- match.call()
  call[[1]] <- quote(fit_bayes_nn)
  if (is.null(call$hidden)) call$hidden <- 2
  if (is.null(call$epochs)) call$epochs <- 6
  suppressWarnings(eval(call, parent.frame()))
}
