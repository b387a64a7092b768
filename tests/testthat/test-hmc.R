# Draws by Hamiltonian Monte Carlo against closed forms, quadrature and the prior.

hmc_options <- function(spec, total, ...) {
  n <- spec_layout(spec)$n_par
  utils::modifyList(list(warmup = 300L, draws = 2000L, max_depth = 10L, accept = 0.8, total = as.double(total),
                         variance = rep(1, n), precision = numeric(n), center = numeric(n), group = rep(-1L, n),
                         shape = numeric(), rate = numeric(), start = numeric()), list(...))
}

hmc_control <- function(n) {
  control <- a_control(n)
  control$objective <- list(coefficient = c(kl_weights = 1 / n))
  control
}

# Monte Carlo errors of the means of the rows of draws.
monte_carlo_error <- function(draws) {
  apply(draws, 1, function(x) {
    found <- agreement_of(matrix(x, ncol = 2))
    stats::sd(x) / sqrt(found[["ess"]])
  })
}

expect_moments <- function(draws, mean, sd) {
  expect_true(all(abs(rowMeans(draws) - mean) < 4 * monte_carlo_error(draws)))
  expect_equal(apply(draws, 1, stats::sd), sd, tolerance = 0.1, ignore_attr = TRUE)
}

# Correlated predictors.
hmc_data <- function(n) {
  x <- matrix(stats::rnorm(n * 3), n) %*% matrix(c(1, 0.9, 0, 0, 1, 0, 0.3, 0, 1), 3)
  list(x = x, y = drop(x %*% c(1, -1, 0.5)) + stats::rnorm(n, 0, 0.5))
}

test_that("draws of a linear model have the closed form's means and standard deviations, by either metric", {
  set.seed(1)
  n <- 60
  d <- hmc_data(n)
  spec <- gaussian_spec(3, list(layer("dense", 1, "bias")), log(0.5), posterior = "hmc", prior_sd = 0.7)
  X <- cbind(d$x, 1)
  covariance <- solve(crossprod(X) / 0.25 + diag(4) / 0.49)
  mean <- covariance %*% crossprod(X, d$y) / 0.25
  draw <- function(...) {
    engine_sample(spec, engine_data(d$x, matrix(d$y)), hmc_control(n), numeric(4), hmc_options(spec, n, ...))
  }
  diagonal <- draw()
  expect_moments(diagonal$theta, drop(mean), sqrt(diag(covariance)))
  dense <- draw(root = chol(covariance))
  expect_moments(dense$theta, drop(mean), sqrt(diag(covariance)))
  expect_lt(mean(dense$path["leapfrogs", ]), mean(diagonal$path["leapfrogs", ]))
  expect_equal(mean(diagonal$path["accept", ]), 0.8, tolerance = 0.2)
})

test_that("without data weights follow their prior, and precisions theirs", {
  set.seed(2)
  n <- 5
  spec <- gaussian_spec(3, list(layer("dense", 1, "bias")), 0)
  spec$prior <- "flat"
  data <- engine_data(matrix(stats::rnorm(3 * n), n), matrix(NaN, n, 1))
  options <- hmc_options(spec, n, group = c(0L, 0L, 0L, 1L), shape = c(2, 3), rate = c(3, 1), start = c(1, 1),
                         draws = 6000L)
  found <- engine_sample(spec, data, hmc_control(n), numeric(4), options)
  thin <- seq(1, 6000, 10)
  expect_gt(stats::ks.test(found$precision[1, thin], "pgamma", 2, 3)$p.value, 0.001)
  expect_gt(stats::ks.test(found$precision[2, thin], "pgamma", 3, 1)$p.value, 0.001)
  expect_gt(stats::ks.test(found$theta[1, thin] / sqrt(3 / 2), "pt", 4)$p.value, 0.001)
  expect_gt(stats::ks.test(found$theta[4, thin] / sqrt(1 / 3), "pt", 6)$p.value, 0.001)
})

test_that("a logistic regression of two coefficients has the moments that quadrature finds", {
  set.seed(3)
  d <- data.frame(x = stats::rnorm(30))
  d$y <- stats::rbinom(30, 1, stats::plogis(0.5 + d$x)) == 1
  fit <- fit_bayes_nn(y ~ x, d, hidden = 0, prior = prior_normal(0, 1.5), standardize = FALSE, members = 2,
                      posterior = posterior_hmc(draws = 1500, warmup = 300))
  grid <- expand.grid(a = seq(-4, 5, 0.05), b = seq(-4, 6, 0.05))
  eta <- outer(grid$a, rep(1, 30)) + outer(grid$b, d$x)
  log_p <- drop(stats::plogis(eta, log.p = TRUE) %*% d$y + stats::plogis(-eta, log.p = TRUE) %*% !d$y) -
    (grid$a^2 + grid$b^2) / (2 * 1.5^2)
  p <- exp(log_p - max(log_p)) / sum(exp(log_p - max(log_p)))
  draws <- t(sampled_coefficients(fit))
  mean <- colSums(p * grid)
  expect_moments(draws, mean, sqrt(colSums(p * sweep(as.matrix(grid), 2, mean)^2)))
  # the mean of the probabilities
  new <- data.frame(x = c(-1, 2))
  exact <- vapply(new$x, function(x) sum(p * stats::plogis(grid$a + grid$b * x)), 0)
  expect_equal(predict(fit, new, type = "response"), exact, tolerance = 0.02, ignore_attr = TRUE)
})

test_that("a noise that is learned has its posterior", {
  set.seed(4)
  x <- cbind(x = stats::rnorm(25))
  y <- drop(1 + 2 * x) + stats::rnorm(25)
  fit <- fit_bayes_nn(x, y, hidden = 0, prior = prior_normal(0, 1), members = 2,
                      posterior = posterior_hmc(draws = 1500, warmup = 300))
  # marginal of log sigma: y standardised is N(0, sigma^2 I + X X') given it, with a normal prior about the start
  z <- drop(scale(y))
  X <- cbind(scale(x), 1)
  s <- seq(-3, 1.5, 0.01)
  log_p <- vapply(s, function(l) {
    v <- exp(2 * l) * diag(25) + tcrossprod(X)
    -determinant(v)$modulus / 2 - sum(z * solve(v, z)) / 2
  }, 0)
  drawn <- unlist(lapply(members(fit), function(m) m$sampled$draws[3, ]))
  p <- exp(log_p - max(log_p))
  p <- p / sum(p)
  expect_equal(mean(drawn), sum(p * s), tolerance = 0.03)
  expect_equal(stats::sd(drawn), sqrt(sum(p * (s - sum(p * s))^2)), tolerance = 0.1)
})

test_that("a step errs as the leapfrog scheme does, short trajectories draw from a normal distribution, seeds repeat", {
  set.seed(5)
  spec <- gaussian_spec(1, list(layer("dense", 1, "none")), 0, posterior = "hmc", prior_sd = 1)
  data <- engine_data(matrix(1), matrix(NaN))
  found <- engine_sample(spec, data, hmc_control(1), 0.3, hmc_options(spec, 1, draws = 4000L, max_depth = 3L))
  expect_gt(stats::ks.test(found$theta[1, seq(1, 4000, 5)], "pnorm")$p.value, 0.001)
  # trajectories of one step, beside steps in R from the distribution of (q, p)
  options <- hmc_options(spec, 1, warmup = 0L, draws = 20000L, max_depth = 1L)
  one <- engine_sample(spec, data, hmc_control(1), 0.3, options)
  step <- one$path["step", 1]
  q <- stats::rnorm(1e5)
  p <- stats::rnorm(1e5)
  half <- p - step / 2 * q
  to <- q + step * half
  error <- (to^2 + (half - step / 2 * to)^2 - q^2 - p^2) / 2
  expect_gt(step, 0.5)
  expect_equal(mean(one$path["accept", ]), mean(pmin(1, exp(-error))), tolerance = 0.01)
  again <- function() {
    set.seed(6)
    engine_sample(spec, data, hmc_control(1), 0.3, hmc_options(spec, 1))
  }
  expect_identical(again(), again())
})

test_that("a trajectory is reversible, keeps volumes, and nearly its energy", {
  set.seed(8)
  n <- 20
  spec <- gaussian_spec(2, c(hidden_layers(3, "tanh"), list(layer("dense", 1, "bias"))), log(0.5), posterior = "hmc",
                        prior_sd = 0.7)
  data <- engine_data(matrix(stats::rnorm(2 * n), n), matrix(stats::rnorm(n)))
  n_par <- spec_layout(spec)$n_par
  start <- list(theta = stats::rnorm(n_par), momentum = stats::rnorm(n_par))
  variance <- stats::runif(n_par, 0.2, 2)
  root <- chol(crossprod(matrix(stats::rnorm(n_par^2), n_par)) / n_par)
  along <- function(from, step, steps, root = NULL, origin = from$theta) {
    options <- hmc_options(spec, n, draws = steps, momentum = from$momentum, step = step, variance = variance)
    options$root <- root
    out <- .Call(C_sample, spec, engine_job(utils::modifyList(hmc_control(n), list(batch_size = n,
                 precision = "double"))), data, from$theta, options, list())
    list(theta = out$theta[, 1], momentum = out$momentum)
  }
  for (root in list(NULL, root)) {
    end <- along(start, 0.02, 50L, root)
    expect_gt(max(abs(end$theta - start$theta)), 0.1)
    end$momentum <- -end$momentum
    back <- along(end, 0.02, 50L, root)
    expect_lt(max(abs(back$theta - start$theta), abs(back$momentum + start$momentum)), 1e-10)
    # the other direction of time is another way back
    end$momentum <- -end$momentum
    back <- along(end, -0.02, 50L, root)
    expect_lt(max(abs(back$theta - start$theta), abs(back$momentum - start$momentum)), 1e-10)
  }
  # in coordinates theta and momenta the determinant of a step's derivative is 1
  moved <- function(x) unlist(along(list(theta = x[seq_len(n_par)], momentum = x[-seq_len(n_par)]), 0.1, 3L))
  at <- unlist(start)
  derivative <- vapply(seq_along(at), function(i) {
    h <- replace(numeric(2 * n_par), i, 1e-5)
    (moved(at + h) - moved(at - h)) / 2e-5
  }, at)
  expect_equal(det(derivative), 1, tolerance = 1e-6)
  # the error of the energy is of the square of the step
  energy <- function(x) {
    loss <- engine_gradient(utils::modifyList(spec, list(posterior = "point", prior = "flat")), x$theta, data,
                            a_control(n))$loss
    n * loss + sum(x$theta^2) / (2 * 0.7^2) + sum(variance * x$momentum^2) / 2
  }
  error <- vapply(c(0.02, 0.01), function(step) {
    abs(energy(along(start, step, as.integer(0.4 / step))) - energy(start))
  }, 0)
  expect_lt(error[1], 0.1)
  expect_equal(error[1] / error[2], 4, tolerance = 0.1)
})

hmc_fit <- function(...) {
  set.seed(7)
  fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3, activation = "tanh", members = 2,
               posterior = posterior_hmc(draws = 60, warmup = 60), ...)
}

test_that("every method of a fit takes draws, and predictions are averages over them", {
  fit <- suppressWarnings(hmc_fit())
  expect_s3_class(fit, c("varnn_mixture", "varnn_bayes_nn", "varnn"))
  expect_identical(suppressWarnings(hmc_fit()), fit)
  mean <- predict(fit, mtcars)
  expect_identical(predict(fit, mtcars), mean)
  expect_equal(mean, fitted(fit), ignore_attr = TRUE)
  by_hand <- rowMeans(vapply(members(fit), function(m) {
    rowMeans(vapply(seq_len(60), function(k) {
      w <- m$sampled$draws[, k]
      h <- tanh(sweep(scale(as.matrix(mtcars[c("wt", "hp")])) %*% t(matrix(w[1:6], 3)), 2, w[7:9], `+`))
      drop(h %*% w[10:12]) + w[13]
    }, numeric(32)))
  }, numeric(32)))
  expect_equal(unname(mean), mean(mtcars$mpg) + stats::sd(mtcars$mpg) * by_hand, ignore_attr = TRUE)
  band <- predict(fit, mtcars, interval = "prediction")
  expect_true(all(band[, "lwr"] < band[, "fit"] & band[, "fit"] < band[, "upr"]))
  expect_equal(band[, "fit"], mean, ignore_attr = TRUE)
  expect_identical(dim(posterior_epred(fit, mtcars[1:3, ], draws = 150)), c(150L, 3L))
  expect_equal(colMeans(posterior_epred(fit, mtcars, draws = 120)), mean, ignore_attr = TRUE)
  expect_identical(dim(log_lik(fit, draws = 20)), c(20L, 32L))
  expect_identical(dim(as.matrix(fit, draws = 30)), c(30L, 13L))
  expect_equal(vcov(members(fit)[[1]]), stats::cov(t(members(fit)[[1]]$sampled$draws[1:13, ])) * 59 / 60,
               ignore_attr = TRUE)
  expect_identical(dim(confint(fit)), c(13L, 2L))
  expect_output(print(fit), "R-hat")
  expect_output(print(summary(fit)), "Chain 1")
  expect_output(print(members(fit)[[1]]), "Chain: 60 draws")
  expect_s3_class(calibration(fit), "varnn_calibration")
  expect_true(is.finite(logLik(fit)))
  for (which in c("history", "fit", "effects")) expect_silent(plot(fit, which))
  expect_error(elbo(fit), "has draws alone")
  expect_error(evidence(fit), "laplace")
  expect_error(continue(fit, 10), "posterior_hmc")
})

test_that("the draws are those of the network's posterior: its importance weights know no better", {
  skip_if_counted()
  # a network of one unit on five rows, against self-normalised importance sampling from the prior
  set.seed(8)
  x <- cbind(x = c(-1, -0.5, 0, 0.5, 1))
  y <- c(-1, -0.8, 0.1, 0.7, 1.1)
  fit <- suppressWarnings(fit_bayes_nn(
    x, y, hidden = 1, activation = "tanh", sigma = 0.5, standardize = FALSE, prior = prior_normal(0, 1), members = 4,
    posterior = posterior_hmc(draws = 1000, warmup = 300)))
  n <- 4e5
  w <- matrix(stats::rnorm(4 * n), n)
  eta <- function(w, x) w[, 4] + w[, 3] * tanh(w[, 1] * x + w[, 2])
  log_p <- Reduce(`+`, lapply(1:5, function(i) stats::dnorm(y[i], eta(w, x[i]), 0.5, log = TRUE)))
  p <- exp(log_p - max(log_p))
  at <- c(-2, 0.25, 2)
  exact <- vapply(at, function(a) sum(p * eta(w, a)) / sum(p), 0)
  second <- vapply(at, function(a) sum(p * eta(w, a)^2) / sum(p), 0)
  drawn <- posterior_epred(fit, cbind(x = at), draws = 4000)
  expect_equal(colMeans(drawn), exact, tolerance = 0.05, ignore_attr = TRUE)
  expect_equal(apply(drawn, 2, stats::sd), sqrt(second - exact^2), tolerance = 0.07, ignore_attr = TRUE)
})

test_that("families with free scalars, levels, several responses and a noise that depends on x have draws", {
  skip_if_again()
  small <- posterior_hmc(draws = 20, warmup = 20)
  of <- function(formula, data, ...) {
    suppressWarnings(fit_bayes_nn(formula, data, hidden = 2, posterior = small, members = 2, epochs = 20, ...))
  }
  fits <- list(of(Species ~ ., iris), of(am == 1 ~ wt, mtcars), of(carb ~ wt, mtcars, family = "negative_binomial"),
               of(mpg ~ wt, mtcars, sigma = "hetero"), of(cbind(mpg, hp) ~ wt, mtcars), of(mpg ~ wt, mtcars, sigma = 2),
               of(ordered(gear) ~ wt, mtcars), of(mpg ~ wt, mtcars, prior = prior_laplace(0, 1)),
               of(mpg ~ wt, mtcars, prior = prior_mixture()), of(mpg ~ wt, mtcars, family = "student_t"))
  for (fit in fits) {
    expect_silent(check_fit(fit))
    expect_output(print(fit))
    expect_false(anyNA(unlist(predict(fit))))
    drawn <- posterior_predict(fit, draws = 7)
    expect_identical(dim(if (is.list(drawn)) drawn[[1]] else drawn)[1], 7L)
    expect_true(all(is.finite(log_lik(fit, draws = 5))))
  }
})

test_that("R-hat and effective draws are those of the package posterior", {
  skip_if_not_installed("posterior")
  set.seed(9)
  x <- vapply(1:4, function(k) as.vector(stats::arima.sim(list(ar = 0.6), 200)) + 0.2 * k, numeric(200))
  halves <- cbind(x[1:100, ], x[101:200, ])
  found <- agreement_of(halves)
  expect_equal(found[["rhat"]], posterior::rhat_basic(x), tolerance = 1e-10)
  expect_equal(found[["ess"]], posterior::ess_basic(x), tolerance = 0.02)
})

test_that("arguments are checked, and what cannot be drawn says why", {
  expect_error(posterior_hmc(draws = 0), "draws")
  expect_error(posterior_hmc(accept = 1), "accept")
  expect_error(posterior_hmc(max_depth = 13), "max_depth")
  expect_error(posterior_hmc(metric = "full"), "metric")
  expect_output(print(posterior_hmc(max_depth = 5)), "max_depth = 5")
  fit <- function(...) fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, members = 1, ...)
  damaged <- posterior_hmc()
  damaged$draws <- -1L
  expect_error(fit(posterior = damaged), "posterior_hmc")
  expect_error(fit(posterior = posterior_hmc), "what posterior_hmc() returns", fixed = TRUE)
  for (combine in c("stack", "evidence")) expect_error(fit(posterior = "hmc", combine = combine), "equal weights")
  expect_error(fit(posterior = "hmc", estimator = "local"), "estimator")
  expect_error(fit(posterior = "hmc", optimizer = "adam"), "L-BFGS")
  expect_error(fit_bayes_nn(mpg ~ ., mtcars, hidden = c(50, 50), posterior = posterior_hmc(metric = "dense")), "metric")
  said <- character()
  dense <- withCallingHandlers(
    suppressWarnings(fit(posterior = posterior_hmc(draws = 20, warmup = 20, metric = "dense"), epochs = 5,
                         verbose = TRUE)),
    message = function(m) {
      said <<- c(said, conditionMessage(m))
      tryInvokeRestart("muffleMessage")
    })
  expect_match(said, "iteration 4 of 40 (warm-up)", fixed = TRUE, all = FALSE)
  expect_output(print(dense), "R-hat")
  one <- suppressWarnings(fit(posterior = posterior_hmc(draws = 1, warmup = 0, max_depth = 1), epochs = 5))
  expect_identical(ncol(one$sampled$draws), 1L)
  expect_output(print(one), "Chain: 1 draw,")
  linear <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0, members = 1, posterior = posterior_hmc(draws = 20, warmup = 20))
  expect_output(print(linear), "Prior: N(0, sd = 2.5)", fixed = TRUE)
  expect_null(chain_agreement(list(matrix(1, 2, 1))))
  expect_null(chain_agreement(list(matrix(1, 8, 2))))
  expect_identical(dim(no_chain(3, 2, "interrupted")$theta), c(3L, 0L))
  expect_true(all(is.finite(predict(one, mtcars))))
  stopped <- suppressWarnings(fit(posterior = posterior_hmc(draws = 50, warmup = 20), epochs = 5,
                                  callback = function(epoch, row) epoch >= 30))
  expect_identical(ncol(stopped$sampled$draws), 10L)
  expect_identical(stopped$stop_reason, "callback")
  stopped$sampled$path["divergent", ] <- 1
  expect_warning(told_divergent(stopped), "10 of 10 transitions diverged", class = "varnn_divergent")
})
