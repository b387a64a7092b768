# Bayesian networks against answers from outside: closed forms, quadrature, simulation.

# ---- linear regression by mean field (A = X'X / s2 + I / t2)

test_that("the exact estimator finds the mean-field posterior and its ELBO", {
  fit <- bayes_cars()
  q <- linear_posterior(fit)
  expect_equal(fit$spec$estimator, "exact")
  expect_lt(max(abs(q$mean - c(0, -0.7153428746, -0.2153869716, 0.02299661084, 0.1501649593))), 1e-5)
  expect_lt(max(abs(q$sd / c(0.07881104, rep(0.08006408, 4)) - 1)), 1e-4)
  e <- elbo(fit)
  expect_equal(sum(e) - attr(e, "kl") + 32 * log(stats::sd(mtcars$mpg)), -29.37500954, tolerance = 1e-8)
  expect_equal(utils::tail(fit$history$elbo, 1) * 32, sum(e) - attr(e, "kl"), tolerance = 1e-8)
})

test_that("draws of weights and of units find the same posterior", {
  skip_if_counted()
  set.seed(1)
  for (estimator in c("weight", "local")) {
    fit <- bayes_cars(estimator = estimator, mc_samples = repeats(200, 20), epochs = repeats(2000, 20), batch_size = 32,
                      learn_rate = 0.02, schedule = "cosine")
    fit <- suppressMessages(continue(fit, repeats(2000, 2), learn_rate = 0.001))
    q <- linear_posterior(fit)
    if (is_watched()) next
    expect_lt(max(abs(q$mean - c(0, -0.7153428746, -0.2153869716, 0.02299661084, 0.1501649593))), 1e-3)
    expect_lt(max(abs(q$sd / c(0.07881104, rep(0.08006408, 4)) - 1)), 0.02, label = estimator)
    e <- elbo(fit)
    expect_lt(abs(sum(e) - attr(e, "kl") + 32 * log(stats::sd(mtcars$mpg)) + 29.37500954), 0.01)
  }
})

test_that("every estimator has its optimum where the exact one has it, hidden units, noise and covariance included", {
  for (posterior in c("meanfield", "last_layer")) {
    set.seed(17)
    fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3, posterior = posterior, mc_samples = 50)
    rows <- rows_with_response(fit, NULL, NULL, environment())
    gradient <- function(estimator) {
      spec <- utils::modifyList(fit$spec, list(estimator = estimator))
      engine_gradient(spec, fit$theta, row_data(fit, rows, rows$y), fit$control)$gradient
    }
    expect_lt(max(abs(gradient("exact"))), 1e-4)
    before <- elbo(fit)
    for (estimator in c("weight", "local")) {
      off <- standard_errors_off(t(replicate(repeats(300, 30), gradient(estimator))), gradient("exact"))
      expect_lt(max(off), 4.5, label = paste(posterior, estimator))
      # training on with draws stays there: the sum is the exact ELBO of the parameters it ends at
      moved <- fit
      moved$spec$estimator <- estimator
      moved <- suppressMessages(continue(moved, repeats(1000, 2), optimizer = "adam", learn_rate = 0.002,
                                         schedule = "cosine"))
      if (is_watched()) next
      after <- elbo(moved)
      gained <- sum(after) - attr(after, "kl") - (sum(before) - attr(before, "kl"))
      expect_true(gained > -0.02 && gained < 0.002, label = paste(posterior, estimator, gained))
    }
  }
})

test_that("learned noise and the empirical prior are at their closed forms", {
  set.seed(18)
  fit <- fit_bayes_nn(mpg ~ wt + hp + disp + qsec, mtcars, hidden = 0, prior = prior_normal("auto"),
                      posterior = "meanfield")
  q <- weight_posterior(fit)
  x <- cbind(scale(mtcars[c("wt", "hp", "disp", "qsec")]), 1)
  y <- drop(scale(mtcars$mpg))
  s2 <- mean((y - x %*% q$mean)^2 + x^2 %*% q$sd^2)
  expect_equal(sigma(fit), sqrt(s2) * stats::sd(mtcars$mpg), tolerance = 1e-10)
  w <- q$leaf == q$leaf[1]
  t2 <- mean(q$mean[w]^2 + q$sd[w]^2)
  expect_equal(summary(fit)$layers$prior_sd[1], sqrt(t2), tolerance = 1e-10)
  # at this noise and prior it is the mean-field posterior; the bias has a prior of its own, whose variance goes to 0
  own <- sqrt(c(rep(t2, 4), sum(q$mean[!w]^2 + q$sd[!w]^2)))
  a <- crossprod(x) / s2
  m <- own * solve(own * t(own * a) + diag(5), own * crossprod(x, y)) / s2
  expect_lt(max(abs(q$mean - m)), 1e-4)
  expect_lt(max(abs(q$sd * sqrt(diag(a) + 1 / own^2) - 1)), 1e-3)
})

test_that("mean-field intervals cover by the known amount: too little for correlated weights", {
  set.seed(2)
  n <- 30
  x <- matrix(stats::rnorm(2 * n), n)
  x[, 2] <- 0.9 * x[, 1] + sqrt(0.19) * x[, 2]
  half <- stats::qnorm(0.975) * mean_field(x, stats::rnorm(n), 0.25, 1)$sd
  hits <- vapply(1:600, function(i) {
    w <- stats::rnorm(2)
    y <- drop(x %*% w) + stats::rnorm(n, 0, 0.5)
    m <- mean_field(x, y, 0.25, 1)$m
    if (i <= repeats(if (is_counted()) 10 else 50, 5)) { # those of the fit are the intervals of the closed form
      fit <- fit_bayes_nn(y ~ x - 1, hidden = 0, prior = prior_normal(0, 1), sigma = 0.5, standardize = FALSE,
                          posterior = "meanfield")
      expect_equal(confint(fit), cbind(m - half, m + half), tolerance = 1e-4, ignore_attr = TRUE)
    }
    abs(w - m) <= half
  }, NA[1:2])
  a <- mean_field(x, stats::rnorm(n), 0.25, 1)$a
  r <- 1 / sqrt(diag(a) * diag(solve(a)))
  truth <- 2 * stats::pnorm(stats::qnorm(0.975) * r) - 1
  expect_true(all(truth < 0.75))
  expect_true(all(abs(rowMeans(hits) - truth) < 4 * sqrt(truth * (1 - truth) / ncol(hits))))
})

test_that("prediction intervals of a well-specified model cover as the closed form says", {
  set.seed(3)
  x <- matrix(stats::rnorm(40 * 3), 40)
  beta <- c(1, -1, 0.5)
  y <- drop(x %*% beta) + stats::rnorm(40)
  fit <- fit_bayes_nn(x, y, hidden = 0, prior = prior_normal(0, 1), sigma = 1, standardize = FALSE,
                      posterior = "meanfield")
  new <- matrix(stats::rnorm(2000 * 3), 2000)
  p <- predict(fit, new, interval = "prediction", draws = repeats(4000, 200))
  q <- mean_field(cbind(1, x), y, 1, 1)
  z <- cbind(1, new)
  mean <- drop(z %*% q$m)
  expect_equal(p[, "fit"], mean, tolerance = 1e-4, ignore_attr = TRUE)
  if (is_watched()) return()
  sd <- sqrt(1 + drop(z^2 %*% q$sd^2))
  expect_lt(max(abs((p[, "upr"] - mean) / sd - stats::qnorm(0.975))), 0.04)
  expect_lt(max(abs((p[, "lwr"] - mean) / sd - stats::qnorm(0.025))), 0.04)
  covered <- 2 * stats::pnorm(stats::qnorm(0.975) * sd / sqrt(1 + rowSums(z %*% solve(q$a) * z))) - 1
  truth <- t(chol(solve(q$a)))
  inside <- replicate(20, {
    w <- q$m + drop(truth %*% stats::rnorm(4))
    new_y <- drop(z %*% w) + stats::rnorm(2000)
    mean(new_y >= p[, "lwr"] & new_y <= p[, "upr"])
  })
  expect_lt(abs(mean(inside) - mean(covered)), 0.01)
})

test_that("quantiles of mixtures of normal distributions are those of R's root finding", {
  set.seed(22)
  mean <- rbind(stats::rnorm(50), stats::rcauchy(50), rep(c(0, 1000), 25), rep(1, 50))
  sd <- rbind(stats::rexp(50), 0.01, 1e-4, 2)
  probs <- c(1e-9, 0.025, 0.3, 0.5, 0.975, 0.9999)
  solved <- function(i, p) {
    # between components that are far apart every number is a median
    if (i == 3 && p == 0.5) return(NA)
    cdf <- function(y) mean(stats::pnorm(y, mean[i, ], sd[i, ])) - p
    stats::uniroot(cdf, range(stats::qnorm(p, mean[i, ], sd[i, ])) + c(-1, 1) * 1e-6, tol = 1e-14)$root
  }
  truth <- outer(1:4, probs, Vectorize(solved))
  with_kernels({
    q <- engine_mixture(mean, sd, probs)
    expect_equal(q[!is.na(truth)], truth[!is.na(truth)], tolerance = 1e-9, label = Sys.getenv("VARNN_KERNEL"))
    expect_true(q[3, 4] > 0 && q[3, 4] < 1000)
  })
  expect_equal(engine_mixture(mean, 0.5, probs), engine_mixture(mean, matrix(0.5, 4, 50), probs))
})

test_that("prediction intervals are quantiles of the mixture over the draws: smooth", {
  set.seed(23)
  x <- stats::runif(60, -2, 2)
  d <- data.frame(x, y = sin(2 * x) + stats::rnorm(60, 0, exp(x / 2) / 3))
  for (sigma in list("learned", "hetero")) {
    fit <- quick_bayes(y ~ x, d, sigma = sigma, hidden = 5, posterior = "meanfield", epochs = 60)
    new <- data.frame(x = seq(-2, 2, length.out = 101))
    set.seed(24)
    p <- predict(fit, new, interval = "prediction", level = 0.9, draws = 50)
    set.seed(24)
    over_chunks(fit, row_data(fit, design_rows(fit$design, new)), 50, "eta", function(eta, at) eta <<- eta)
    scale <- fit$blocks[[1]]$scale
    sd <- if (sigma == "hetero") scale * exp(eta[, 2, ]) else sigma(fit)
    cdf <- function(y) rowMeans(stats::pnorm(y, fit$blocks[[1]]$center + scale * eta[, 1, ], sd))
    expect_equal(cdf(p[, "lwr"]), rep(0.05, 101), tolerance = 1e-8)
    expect_equal(cdf(p[, "upr"]), rep(0.95, 101), tolerance = 1e-8)
    expect_lt(max(abs(diff(p[, "upr"], differences = 2))), 0.02 * diff(range(p)))
  }
})

test_that("prediction intervals of counts are counts, and of classes there are none", {
  d <- data.frame(x = rep(1:3, 40))
  set.seed(25)
  d$n <- stats::rpois(120, exp(d$x))
  fit <- quick_bayes(n ~ x, d, family = "poisson", hidden = 0, epochs = repeats(200, 6))
  p <- predict(fit, data.frame(x = 1:3), interval = "prediction", draws = 4000)
  expect_identical(p[, -1], round(p[, -1]))
  if (!is_watched()) expect_lte(max(abs(p[, "upr"] - stats::qpois(0.975, exp(1:3)))), 3)
  classes <- quick_bayes(am == 1 ~ wt, mtcars)
  expect_refused(predict(classes, interval = "prediction"), "prediction interval does not apply.*\"confidence\"")
  p <- predict(classes, mtcars, interval = "confidence", draws = 50)
  expect_true(all(p >= 0 & p <= 1 & p[, "lwr"] <= p[, "upr"]))
  expect_refused(predict(quick_bayes(Species ~ ., iris), interval = "confidence"), "`Species`, a factor")
  trials <- quick_bayes(cbind(ncases, ncontrols) ~ agegp, esoph, family = "binomial")
  expect_refused(predict(trials, interval = "prediction"), "prediction interval does not apply")
})

# ---- one hidden relu layer (after Wu et al. 2019)

test_that("one hidden relu layer: the exact estimator has the closed form", {
  f <- relu_fixture("exact")
  moments <- t(apply(f$x, 1, relu_moments))
  expect_equal(moments, cbind(mean = c(1.7725299, 0.76964514), variance = c(0.16495147, 0.17328856)), tolerance = 1e-7)
  expect_equal(engine_run(f$spec, f$theta, engine_data(f$x))[, 1], unname(moments[, 1]), tolerance = 1e-10)
  truth <- -log(2 * pi * 0.25) / 2 - ((f$y - moments[, 1])^2 + moments[, 2]) / 0.5
  expect_equal(drop(truth), c(-4.323371, -0.79063714), tolerance = 1e-7)
  expect_equal(-engine_run(f$spec, f$theta, engine_data(f$x, f$y), "terms"), truth, tolerance = 1e-10)
  kl <- engine_gradient(f$spec, f$theta, engine_data(f$x, f$y), a_control(2), term_alone("kl_weights"))$loss
  expect_equal(kl, 18.925929, tolerance = 1e-7)
  mean <- f$theta[c(1:6, 13:15, 19:21, 25)]
  log_sd <- f$theta[-c(1:6, 13:15, 19:21, 25)]
  expect_equal(kl, sum(exp(2 * log_sd) + mean^2 - 1 - 2 * log_sd) / 2, tolerance = 1e-10)
})

test_that("a relu layer of weights from their prior has the covariance of the arc-cosine kernel", {
  sw <- 1.5
  sb <- 0.4
  units <- 5
  x <- rbind(c(1, -0.5), c(0.3, 2), c(-1, 0.2))
  layers <- c(hidden_layers(units, "relu"), list(layer("dense", 1, "bias")))
  spec <- gaussian_spec(2, layers, posterior = "meanfield")
  leaves <- spec_layout(spec)$leaves
  theta <- numeric(max(vapply(seq_len(nrow(leaves)), function(i) max(leaf_index(leaves[i, ])), 0)))
  for (i in which(leaves$part == 1)) {
    theta[leaf_index(leaves[i, ])] <- log(if (leaves$role[i] == "bias") sb else sw / leaves$cols[i]) / 2
  }
  k0 <- sb + sw * tcrossprod(x) / 2
  root <- sqrt(outer(diag(k0), diag(k0)))
  t <- acos(pmin(1, k0 / root))
  k1 <- sb + sw / (2 * pi) * root * (sin(t) + (pi - t) * cos(t))
  set.seed(26)
  f <- t(engine_run(spec, theta, engine_data(x), mode = "training", draws = repeats(1e5, 1000))[, 1, ])
  products <- f[, c(1, 1, 1, 2, 2, 3)] * f[, c(1, 2, 3, 2, 3, 3)]
  expect_lt(max(standard_errors_off(products, k1[lower.tri(k1, TRUE)])), 4)
})

test_that("draws of weights and of units are unbiased for the expected log-likelihood and its gradient", {
  exact <- relu_fixture("exact")
  data <- engine_data(exact$x, exact$y)
  at <- function(f, ...) engine_gradient(f$spec, f$theta, data, a_control(2), term_alone("nll"), ...)
  truth <- at(exact)
  for (estimator in c("weight", "local")) {
    set.seed(4)
    one <- replicate(repeats(400, 20), unlist(at(relu_fixture(estimator), mc_samples = 50)))
    off <- standard_errors_off(t(one), c(truth$loss, truth$gradient))
    expect_lt(max(off), 4.5, label = estimator)
  }
})

test_that("the moments are right far out, and in single precision", {
  spec <- gaussian_spec(1, list(layer("dense", 1, "bias"), layer("activate", option = "relu"),
                                layer("dense", 1, "bias")), posterior = "meanfield", estimator = "exact")
  for (m in c(-40, -9, -3, -0.5, 0, 0.5, 3, 9, 40)) for (s in c(1e-6, 0.1, 1, 30)) {
    theta <- c(0, -40, m, log(s), 1, -40, 0, -40)
    u <- m / s
    truth <- if (u < -30) 0 else s * (stats::dnorm(u) + u * stats::pnorm(u))
    e <- vapply(c("double", "single"), function(p) engine_run(spec, theta, engine_data(matrix(0)), precision = p)[1], 0)
    expect_lt(abs(e[1] - truth), 1e-13 * max(1, abs(m), s))
    expect_lt(abs(e[2] - truth), 1e-6 * max(1, abs(m), s))
  }
})

# ---- covariances

test_that("a full covariance is the posterior of linear regression, its ELBO the log evidence", {
  x <- cbind(scale(mtcars[c("wt", "hp", "disp", "qsec")]), 1)
  y <- drop(scale(mtcars$mpg))
  truth <- mean_field(x, y, 0.2, 1)
  v <- solve(truth$a)
  for (posterior in c("last_layer", "full")) {
    fit <- bayes_cars(posterior = posterior)
    q <- weight_posterior(fit)
    expect_lt(max(abs(q$mean - truth$m)), 1e-8)
    expect_lt(max(abs(weight_covariance(q) - v)), 1e-8)
    expect_equal(q$sd, unname(sqrt(diag(v))), tolerance = 1e-8)
    e <- elbo(fit)
    expect_equal(sum(e) - attr(e, "kl") + 32 * log(stats::sd(mtcars$mpg)), -27.58326235, tolerance = 1e-9)
    expect_equal(truth$log_evidence, -27.58326235, tolerance = 1e-9)
  }
  # on the original scale, as lm() has it with known noise and next to no prior
  flat <- fit_bayes_nn(mpg ~ wt + qsec, mtcars, hidden = 0, prior = prior_normal(0, 1000), sigma = 2,
                       posterior = "full")
  lm <- stats::lm(mpg ~ wt + qsec, mtcars)
  expect_equal(coef(flat), coef(lm), tolerance = 1e-4)
  expect_equal(vcov(flat), 4 * summary(lm)$cov.unscaled, tolerance = 1e-4)
  expect_equal(confint(flat)[, 2] - coef(flat), stats::qnorm(0.975) * 2 * sqrt(diag(summary(lm)$cov.unscaled)),
               tolerance = 1e-4, ignore_attr = TRUE)
  set.seed(30)
  draws <- as.matrix(fit, repeats(20000, 2000))
  expect_equal(stats::cov(draws), v, tolerance = 0.05, ignore_attr = TRUE)
  mean <- posterior_epred(fit, mtcars, draws = repeats(20000, 2000))
  expect_equal(apply(mean, 2, stats::sd), stats::sd(mtcars$mpg) * sqrt(rowSums(x %*% v * x)), tolerance = 0.05,
               ignore_attr = TRUE)
})

test_that("the full covariance of several outputs, found by draws, is their posterior, its ELBO the log evidence", {
  set.seed(29)
  fit <- fit_bayes_nn(cbind(mpg, qsec) ~ wt + hp, mtcars, hidden = 0, prior = prior_normal(0, 1), sigma = 2,
                      posterior = "full", mc_samples = repeats(100, 10), epochs = repeats(2000, 10), batch_size = 32,
                      learn_rate = 0.02, schedule = "cosine")
  fit <- suppressMessages(continue(fit, repeats(2000, 2), learn_rate = 0.001))
  expect_identical(c(fit$spec$posterior, fit$spec$estimator), c("full", "weight"))
  if (is_watched()) return()
  x <- cbind(scale(mtcars[c("wt", "hp")]), 1)
  truth <- lapply(mtcars[c("mpg", "qsec")], function(y) mean_field(x, drop(scale(y)), 4 / stats::var(y), 1))
  q <- weight_posterior(fit)
  expect_lt(max(abs(q$mean - c(rbind(truth$mpg$m, truth$qsec$m)))), 2e-3)
  v <- kronecker(solve(truth$mpg$a), diag(c(1, 0))) + kronecker(solve(truth$qsec$a), diag(c(0, 1)))
  expect_lt(max(abs(weight_covariance(q) - v)), 0.02 * max(v))
  e <- elbo(fit, draws = 4000)
  log_scale <- 32 * sum(log(vapply(mtcars[c("mpg", "qsec")], stats::sd, 0)))
  expect_equal(sum(e) - attr(e, "kl") + log_scale, truth$mpg$log_evidence + truth$qsec$log_evidence, tolerance = 2e-3)
})

# A random model with a covariance, as a fit has it.
covariance_case <- function(covariance, estimator = "weight", deep = 1, outputs = 2, bias = "bias") {
  layers <- c(hidden_layers(c(4, 3)[seq_len(deep)], "relu"), list(layer("dense", outputs, bias)))
  case <- a_case(layers, list(a_block("gaussian", outputs)), posterior = covariance)
  case$spec$estimator <- estimator
  case$spec$rank <- 2L
  case$theta <- a_theta(case$spec)
  case$layout <- spec_layout(case$spec)$leaves
  case
}

test_that("every covariance is that of the engine's draws", {
  for (covariance in random_posteriors()) for (bias in c("bias", "none")) {
    set.seed(31)
    case <- covariance_case(covariance, deep = 0, bias = bias)
    # no inputs but one: the outputs are columns of weights and the bias
    x <- rbind(diag(3), 1)
    eta <- engine_run(case$spec, case$theta, engine_data(x, offset = matrix(0, 4, 2)), mode = "training",
                      draws = repeats(40000, 2000))
    q <- weight_posterior(case)
    by <- kronecker(cbind(x, if (bias == "bias") 1), diag(2)) # eta of each row, then of the next
    draws <- t(matrix(aperm(eta, c(2, 1, 3)), 8))
    expect_equal(stats::cov(draws), by %*% unname(weight_covariance(q)) %*% t(by), tolerance = 0.05, label = covariance)
    set.seed(32)
    expect_equal(stats::cov(draw_weights(q, 40000)), unname(weight_covariance(q)), tolerance = 0.05)
  }
})

test_that("the KL of every covariance from a normal prior is that of two normals, and Monte Carlo is unbiased for it", {
  skip_if_counted()
  for (covariance in random_posteriors()) {
    set.seed(33)
    case <- covariance_case(covariance)
    lower <- unlist(lapply(which(case$layout$part == 2), function(i) leaf_index(case$layout[i, ])))
    case$theta[lower] <- case$theta[lower] / 4 # or its product is too near singular for determinant()
    q <- weight_posterior(case)
    s <- unname(weight_covariance(q))
    expect_equal(q$sd, sqrt(diag(s)))
    truth <- (sum(diag(s)) / 0.49 + sum(q$mean^2) / 0.49 - nrow(s) + nrow(s) * log(0.49) -
                determinant(s)$modulus[1]) / 2
    kl <- function(case, ...) {
      engine_gradient(case$spec, case$theta, case$data, a_control(9), term_alone("kl_weights"), ...)$loss
    }
    expect_equal(kl(case), truth, tolerance = 1e-12, label = covariance)
    if (has_moments(case$spec)) for (estimator in c("local", "exact")) {
      case$spec$estimator <- estimator
      expect_equal(kl(case), truth, tolerance = 1e-12)
    }
    case$spec$estimator <- "weight"
    case$spec$kl_mc <- 1L
    expect_lt(standard_errors_off(replicate(repeats(200, 100), kl(case, mc_samples = 20)), truth), 4.5,
              label = covariance)
  }
})

test_that("a full covariance of the last layer keeps the closed form of one hidden layer, and its draws of units", {
  for (outputs in 1:2) {
    set.seed(34)
    case <- covariance_case("last_layer", outputs = outputs)
    nll <- function(estimator, ...) {
      case$spec$estimator <- estimator
      engine_gradient(case$spec, case$theta, case$data, a_control(9), term_alone("nll"), ...)$loss
    }
    exact <- nll("exact")
    for (estimator in c("weight", "local"))
      expect_lt(standard_errors_off(replicate(repeats(300, 20), nll(estimator, mc_samples = 50)), exact), 4.5)
    # what independent weights with the same standard deviations would have is another number
    case$theta[leaf_index(case$layout[case$layout$part == 2, ][1, ])] <- 0
    expect_gt(abs(nll("exact") - exact), 0.01)
  }
})

test_that("every covariance, estimator, prior and kl has the gradient of its objective", {
  r <- registry()
  rows <- row_combinations(posterior = random_posteriors()[-1], estimator = r$estimator,
                           prior = spread_priors(),
                           kl = c("exact", "mc"), deep = 0:2)
  rows <- rows[!(rows$prior == "empirical" & rows$kl == "mc"), ]
  rows <- row_pairs(rows[rows$estimator == "weight" | rows$posterior == "last_layer", ])
  errors <- vapply(seq_len(nrow(rows)), function(i) {
    set.seed(i)
    case <- covariance_case(rows$posterior[i], rows$estimator[i], rows$deep[i])
    case$spec <- with_prior(case$spec, rows$prior[i])
    case$spec$kl_mc <- as.integer(rows$kl[i] == "mc")
    case$spec$fan_in <- 1L
    case_error(case, a_control(4), mc_samples = 2)
  }, 0)
  wrong <- which(!(errors < 1e-6))
  expect_identical(paste(rows$posterior, rows$estimator, rows$prior, rows$kl, errors)[wrong], character())
})

test_that("covariances also work in bottlenecks' networks, normalised ones, and in single precision", {
  for (covariance in random_posteriors()[-1]) {
    set.seed(35)
    layers <- c(hidden_layers(4, "tanh", layer_norm = TRUE),
                list(layer("latent", 2, "meanfield"), layer("dense", 2, "bias")))
    case <- a_case(layers, list(a_block("gaussian", 2)), posterior = covariance)
    case$spec$rank <- 3L
    case$theta <- a_theta(case$spec)
    expect_lt(case_error(case, a_control(4)), 1e-6)
    both <- lapply(c("double", "single"), function(precision) {
      set.seed(3)
      engine_gradient(case$spec, case$theta, case$data, a_control(9, precision = precision))
    })
    expect_equal(both[[2]], both[[1]], tolerance = 1e-4)
  }
})

test_that("fits with every covariance answer what others do, and those that do not fit are refused", {
  for (posterior in random_posteriors()) {
    set.seed(36)
    fit <- quick_bayes(mpg ~ wt + hp, mtcars, posterior = posterior, rank = 2)
    estimator <- switch(posterior, meanfield = , last_layer = "exact", ivon = "local", "weight")
    expect_identical(fit$spec$estimator, estimator)
    expect_output(print(fit), paste("Posterior:", posterior))
    expect_output(print(summary(fit)), "9 weights and biases")
    expect_identical(dim(vcov(fit)), c(9L, 9L))
    expect_equal(confint(fit)[, 2] - confint(fit)[, 1], 2 * stats::qnorm(0.975) * sqrt(diag(vcov(fit))))
    expect_true(all(is.finite(predict(fit, mtcars, interval = "prediction", draws = 20))))
    expect_equal(nrow(continue(fit, 2)$history), nrow(fit$history) + 2)
    expect_lt(check_gradients(fit), 1e-5)
    classes <- quick_bayes(Species ~ ., iris, posterior = posterior, prior = prior_mixture())
    expect_true(all(is.finite(predict(classes, iris, type = "prob"))))
  }
  # the one that is found at the mode
  set.seed(36)
  fit <- quick_bayes(mpg ~ wt + hp, mtcars, posterior = "laplace", members = 1, sigma = "learned")
  expect_identical(fit$spec$estimator, "weight")
  expect_output(print(fit), "Posterior: laplace")
  expect_output(print(summary(fit)), "9 weights and biases")
  expect_identical(dim(vcov(fit)), c(9L, 9L))
  expect_equal(confint(fit)[, 2] - confint(fit)[, 1], 2 * stats::qnorm(0.975) * sqrt(diag(vcov(fit))))
  expect_true(all(is.finite(predict(fit, mtcars, interval = "prediction", draws = 20))))
  expect_gt(nrow(continue(fit, 2)$history), nrow(fit$history) + 2)
  expect_lt(check_gradients(fit), 1e-5)
  classes <- quick_bayes(Species ~ ., iris, posterior = "laplace", members = 2, prior = prior_normal(0, 1))
  expect_true(all(is.finite(predict(classes, iris, type = "prob"))))
  bad <- function(...) fit_bayes_nn(mpg ~ wt, mtcars, ...)
  expect_refused(bad(posterior = "full", estimator = "exact"), "makes units dependent")
  expect_refused(bad(posterior = "lowrank", estimator = "local"), "makes units dependent")
  expect_refused(bad(posterior = "full", hidden = c(60, 60)), "3,841 weights and biases would have 7,374,720 cov")
  expect_refused(bad(posterior = "last_layer", hidden = 4000), "8,002,000 covariances")
  expect_refused(bad(posterior = "lowrank", hidden = 4000, rank = 1000), "`rank` smaller")
  expect_refused(bad(posterior = "lowrank", rank = 0), "`rank`")
})

test_that("every estimator, prior and kl has the gradient of its objective", {
  r <- registry()
  rows <- row_combinations(estimator = r$estimator, prior = spread_priors(), kl = c("exact", "mc"), deep = 1:2)
  rows <- rows[!(rows$prior == "empirical" & rows$kl == "mc"), ] # there the prior's sd is taken as given
  errors <- vapply(seq_len(nrow(rows)), function(i) {
    set.seed(i)
    layers <- c(hidden_layers(c(4, 3)[seq_len(rows$deep[i])], "relu"), list(layer("dense", 2, "bias")))
    case <- a_case(layers, list(a_block("gaussian", 2)), posterior = "meanfield")
    case$spec <- with_prior(case$spec, rows$prior[i])
    case$spec$estimator <- rows$estimator[i]
    case$spec$kl_mc <- as.integer(rows$kl[i] == "mc")
    case$spec$fan_in <- 1L
    case_error(case, a_control(4), mc_samples = 2)
  }, 0)
  wrong <- which(!(errors < 1e-6))
  expect_identical(paste(rows$estimator, rows$prior, rows$kl, errors)[wrong], character())
})

test_that("every prior that points can have has the gradient of its density, that of each weight its own formula", {
  rows <- row_combinations(posterior = c("point", "laplace"), prior = setdiff(point_priors(), "empirical"), deep = 0:2)
  for (i in seq_len(nrow(rows))) {
    set.seed(i)
    layers <- c(hidden_layers(c(4, 3)[seq_len(rows$deep[i])], "tanh"), list(layer("dense", 2, "bias")))
    case <- a_case(layers, list(a_block("gaussian", 2)))
    case$spec$posterior <- rows$posterior[i]
    case$spec <- with_prior(case$spec, rows$prior[i])
    case$spec$fan_in <- as.integer(rows$prior[i] != "by_weight")
    expect_lt(case_error(case, a_control(4)), 1e-6, label = paste(rows[i, ], collapse = " "))
    if (rows$prior[i] != "by_weight") next
    expect_gt(length(held_weights(case$spec)), 0)
    a <- case$spec$precision
    w <- case$theta[seq_along(a)]
    density <- stats::dnorm(w, case$spec$center, 1 / sqrt(a), log = TRUE)[is.finite(a)]
    alone <- engine_gradient(case$spec, case$theta, case$data, a_control(9), term_alone("kl_weights"))
    expect_equal(alone$loss, -sum(density), tolerance = 1e-13)
    slope <- ifelse(is.finite(a), a * (w - case$spec$center), 0)
    expect_equal(alone$gradient[seq_along(a)], slope, tolerance = 1e-13)
  }
})

test_that("weights that are kept where they are add nothing, whatever the prior of the others", {
  for (prior in setdiff(point_priors(), c("empirical", "by_weight"))) {
    set.seed(4)
    layers <- c(hidden_layers(4, "tanh"), list(layer("dense", 2, "bias")))
    case <- a_case(layers, list(a_block("gaussian", 2)), posterior = "laplace")
    case$spec <- with_prior(case$spec, prior)
    held <- held_weights(case$spec)
    expect_gt(length(held), 0)
    expect_lt(case_error(case, a_control(4)), 1e-6, label = prior)
    alone <- function(theta, spec = case$spec) {
      engine_gradient(spec, theta, case$data, a_control(9), term_alone("kl_weights"))
    }
    here <- alone(case$theta)
    moved <- alone(replace(case$theta, held, rnorm(length(held))))
    expect_identical(moved$loss, here$loss)
    expect_identical(here$gradient[held], numeric(length(held)))
    free <- utils::modifyList(case$spec, list(precision = NULL, center = NULL))
    whole <- alone(case$theta, free)
    expect_equal(here$gradient[-held], whole$gradient[-held], tolerance = 1e-14)
    # what the others add is the density of all at two values of those that are kept, less what these differ by
    none <- alone(replace(case$theta, held, 0), free)$loss
    at_zero <- alone(0 * case$theta, free)$loss / weights_and_biases(case$spec)
    expect_equal(here$loss, none - length(held) * at_zero, tolerance = 1e-12)
  }
})

test_that("a precision of each weight goes with points alone, and each weight has one", {
  set.seed(1)
  layers <- c(hidden_layers(3, "relu"), list(layer("dense", 1, "bias")))
  spec <- new_spec(2, layers, list(a_block("gaussian", 1)), posterior = "laplace")
  sound <- with_prior(spec, "by_weight")
  expect_identical(spec_layout(sound)$n_par, 14)
  for (posterior in random_posteriors())
    expect_error(spec_layout(utils::modifyList(sound, list(posterior = posterior))), "do not fit")
  expect_error(spec_layout(utils::modifyList(spec, list(prior = "flat"))), "do not fit")
  for (field in c("precision", "center")) {
    wrong <- list(sound[[field]][-1], replace(sound[[field]], 2, NaN), as.character(sound[[field]]))
    for (value in wrong) expect_error(spec_layout(replace(sound, field, list(value))), "damaged")
    expect_error(spec_layout(sound[names(sound) != field]), "damaged")
  }
  for (value in c(0, -1)) {
    sound$precision[1] <- value
    expect_error(spec_layout(sound), "damaged: 'precision' has")
  }
})

test_that("draws of units have at least five times less gradient variance than draws of weights", {
  set.seed(5)
  n <- 100
  x <- matrix(stats::rnorm(n * 8), n)
  y <- matrix(sin(x[, 1]) + stats::rnorm(n, 0, 0.3))
  layers <- c(hidden_layers(20, "relu"), list(layer("dense", 1, "bias")))
  variance <- vapply(c("weight", "local"), function(estimator) {
    spec <- gaussian_spec(8, layers, log(0.3), posterior = "meanfield", estimator = estimator)
    layout <- spec_layout(spec)
    set.seed(6)
    theta <- start_theta(layout, 0, log_sigma = -2)
    g <- replicate(repeats(200, 20), engine_gradient(spec, theta, engine_data(x, y), a_control(n))$gradient)
    sum(apply(g, 1, stats::var))
  }, 0)
  expect_gt(variance[["weight"]] / variance[["local"]], 5)
})

test_that("units of a bottleneck are drawn as those of a dense layer: same moments, same gradient, less variance", {
  skip_if_counted()
  for (kind in independent_posteriors()) {
    set.seed(7)
    layers <- list(layer("latent", 2, kind), layer("dense", 1, "bias"))
    case <- a_case(layers, list(a_block("gaussian", 1, "fixed", log(0.5))), posterior = "meanfield", n = 20,
                   missing = 0)
    layout <- spec_layout(case$spec)$leaves
    leaf <- function(name) {
      at <- layout[layout$name == name, ]
      matrix(case$theta[leaf_index(at)], at$rows)
    }
    x <- case$data$x
    mean <- x %*% t(leaf("layer1.weight")) + rep(leaf("layer1.bias"), each = 20)
    variance <- x^2 %*% t(exp(2 * leaf("layer1.weight.log_sigma"))) + rep(exp(2 * leaf("layer1.bias.log_sigma")),
                                                                           each = 20)
    gradients <- lapply(c(weight = "weight", local = "local"), function(estimator) {
      case$spec$estimator <- estimator
      if (kind == "point") {
        z <- engine_run(case$spec, case$theta, case$data, "z", mode = "training", draws = repeats(10000, 500))
        z <- t(matrix(z, 40))
        expect_true(all(standard_errors_off(z, as.vector(mean)) < 4.5))
        expect_true(all(standard_errors_off(sweep(z, 2, as.vector(mean))^2, as.vector(variance)) < 4.5))
      }
      t(replicate(repeats(200, 100), {
        engine_gradient(case$spec, case$theta, case$data, a_control(20), mc_samples = 20)$gradient
      }))
    })
    spread <- lapply(gradients, function(g) apply(g, 2, stats::var))
    off <- (colMeans(gradients$weight) - colMeans(gradients$local)) / sqrt((spread$weight + spread$local) /
                                                                            nrow(gradients$weight))
    expect_lt(max(abs(off[spread$weight > 0])), 4.5)
    expect_gt(sum(spread$weight) / sum(spread$local), 3)
  }
})

test_that("tied weights are the same in both layers, so that their units cannot be drawn apart", {
  set.seed(8)
  layers <- list(layer("dense", 2, "none"), layer("tied", 1))
  spec <- new_spec(3, layers, list(a_block("gaussian", 3)), posterior = "meanfield")
  layout <- spec_layout(spec)$leaves
  theta <- a_theta(spec)
  leaf <- function(i) matrix(theta[leaf_index(layout[i, ])], layout$rows[i])
  x <- matrix(stats::rnorm(6), 2)
  truth <- x %*% (crossprod(leaf(1)) + diag(colSums(exp(2 * leaf(2))))) + rep(leaf(3), each = 2)
  eta <- t(matrix(engine_run(spec, theta, engine_data(x), mode = "training", draws = repeats(10000, 500)), 6))
  expect_true(all(standard_errors_off(eta, as.vector(truth)) < 4.5))
  for (estimator in c("local", "exact")) {
    spec$estimator <- estimator
    expect_error(spec_layout(spec), "do not fit")
  }
})

test_that("the KL from a Laplace prior has its closed form, that from a mixture is a Monte Carlo mean", {
  skip_if_counted()
  unit <- engine_data(matrix(1), matrix(0))
  kl <- function(spec, theta, ...) {
    engine_gradient(spec, theta, unit, a_control(1), term_alone("kl_weights"), ...)$loss
  }
  for (m in c(-2, 0, 0.3)) for (s in c(0.1, 1.5)) {
    spec <- one_weight(0.7)
    spec$prior <- "laplace"
    # erf(x) = 2 pnorm(x sqrt 2) - 1
    truth <- (sqrt(2 * s^2 / pi) * exp(-m^2 / (2 * s^2)) + m * (2 * stats::pnorm(m / s) - 1)) / 0.7 + log(2 * 0.7) -
      log(2 * pi * exp(1) * s^2) / 2
    expect_equal(kl(spec, c(m, log(s))), truth, tolerance = 1e-13)
    spec <- one_weight(1.2)
    spec[c("prior", "prior_sd2", "prior_share")] <- list("mixture", 0.2, 0.3)
    density <- function(w) 0.3 * stats::dnorm(w, 0, 1.2) + 0.7 * stats::dnorm(w, 0, 0.2)
    truth <- stats::integrate(function(w) stats::dnorm(w, m, s) * (stats::dnorm(w, m, s, log = TRUE) - log(density(w))),
                              m - 9 * s, m + 9 * s, subdivisions = 1000)$value
    set.seed(1)
    mc <- replicate(repeats(200, 100), kl(spec, c(m, log(s)), mc_samples = 20))
    expect_lt(standard_errors_off(mc, truth), 4.5)
  }
})

test_that("fits with other priors find their posterior", {
  # no data to speak of: the posterior is as near the prior as a normal can be
  for (prior in list(prior_laplace(0, 2), prior_mixture(0.5, c(2, 1)), prior_laplace(fan_in = TRUE))) {
    fit <- quick_bayes(mpg ~ wt, mtcars, prior = prior)
    expect_output(print(fit), "Prior: ")
    expect_output(print(summary(fit)), "determine")
    e <- elbo(fit)
    expect_true(is.finite(attr(e, "kl")) && attr(e, "kl") > 0)
  }
  expect_identical(fit$spec$estimator, "exact")
  expect_refused(fit_bayes_nn(mpg ~ wt, mtcars, prior = prior_mixture(), optimizer = "lbfgs"), "without noise")
  expect_refused(prior_mixture(1), "`share`")
  expect_refused(prior_mixture(sd = 1), "two standard deviations")
  expect_refused(prior_laplace(0, 0), "`scale` must be a number above 0")
})

test_that("the Monte Carlo KL is unbiased for the closed form", {
  theta <- c(0.4, log(0.3))
  for (prior_sd in c(0.5, 2)) {
    spec <- one_weight(prior_sd)
    data <- engine_data(matrix(1), matrix(0))
    kl <- function(...) engine_gradient(spec, theta, data, a_control(1), term_alone("kl_weights"), ...)$loss
    exact <- kl()
    spec$kl_mc <- 1L
    set.seed(7)
    mc <- replicate(repeats(2000, 100), kl(mc_samples = 50))
    expect_lt(standard_errors_off(mc, exact), 4)
  }
})

test_that("the KL is 0 from a prior that is the posterior, and else above 0", {
  kl <- function(prior, theta) {
    spec <- one_weight(0.7)
    spec$prior <- prior
    engine_gradient(spec, theta, engine_data(matrix(1), matrix(0)), a_control(1), term_alone("kl_weights"))$loss
  }
  expect_lt(abs(kl("normal", c(0, log(0.7)))), 1e-15)
  expect_lt(abs(kl("empirical", c(0, 1))), 1e-15)
  for (prior in c("normal", "laplace", "empirical")) for (m in c(-1, 0, 1e-3)) for (s in c(0.1, 0.69, 3)) {
    if (prior != "empirical" || m != 0) expect_gt(kl(prior, c(m, log(s))), 0)
  }
})

# ---- noise that depends on x

# A network whose outputs f and s are jointly normal: linear units, and an output layer that is known.
joint_fixture <- function(estimator) {
  layers <- c(hidden_layers(3, "linear"), list(layer("dense", 2, "bias")))
  spec <- new_spec(2, layers, list(a_block("gaussian_hetero", 1)), posterior = "meanfield", estimator = estimator)
  m1 <- c(0.5, -0.3, 0.8, -0.6, 0.2, 0.1)
  v1 <- c(0.04, 0.09, 0.01, 0.02, 0.05, 0.03)
  m2 <- rbind(c(0.7, -0.4, 0.9), c(0.5, 0.3, -0.8))
  theta <- c(m1, log(v1) / 2, 0.1, -0.2, 0.3, log(c(0.01, 0.02, 0.03)) / 2, m2, rep(-40, 6), 0.2, -0.1, -40, -40)
  x <- rbind(c(1, -0.5), c(0.3, 2), c(-1, 1))
  h <- x %*% t(matrix(m1, 3)) + rep(c(0.1, -0.2, 0.3), each = 3)
  c <- x^2 %*% t(matrix(v1, 3)) + rep(c(0.01, 0.02, 0.03), each = 3)
  list(spec = spec, theta = theta, x = x, y = matrix(c(0.4, 1.1, -2)), mean = h %*% t(m2) + rep(c(0.2, -0.1), each = 3),
       covariance = lapply(1:3, function(i) m2 %*% (c[i, ] * t(m2))))
}

test_that("the expected log-likelihood with random noise is that of jointly normal mean and log sd", {
  f <- joint_fixture("exact")
  exact <- drop(engine_run(f$spec, f$theta, engine_data(f$x, f$y), "terms"))
  expect_equal(engine_run(f$spec, f$theta, engine_data(f$x)), f$mean, tolerance = 1e-12)
  for (i in 1:3) {
    v <- f$covariance[[i]]
    expect_gt(abs(v[1, 2]), 0.01)
    # by quadrature over s, given which f is normal
    truth <- stats::integrate(function(s) {
      mean <- f$mean[i, 1] + v[1, 2] / v[2, 2] * (s - f$mean[i, 2])
      square <- (f$y[i] - mean)^2 + v[1, 1] - v[1, 2]^2 / v[2, 2]
      stats::dnorm(s, f$mean[i, 2], sqrt(v[2, 2])) * (s + log(2 * pi) / 2 + square * exp(-2 * s) / 2)
    }, f$mean[i, 2] - 12 * sqrt(v[2, 2]), f$mean[i, 2] + 12 * sqrt(v[2, 2]), rel.tol = 1e-12)$value
    expect_equal(exact[i], truth, tolerance = 1e-9)
  }
  set.seed(20)
  draws <- engine_run(joint_fixture("weight")$spec, f$theta, engine_data(f$x, f$y), "terms", mode = "training",
                      draws = repeats(40000, 400))
  expect_true(all(standard_errors_off(t(draws[, 1, ]), exact) < 4.5))
})

test_that("with random noise every kind of network has the gradient of its objective, missing responses included", {
  for (hidden in list(integer(), 4, c(4, 3))) for (offset in c(TRUE, FALSE)) {
    set.seed(21)
    blocks <- list(a_block("gaussian", 2), a_block("gaussian_hetero", 2), a_block("gaussian_hetero", 1))
    layers <- c(hidden_layers(hidden, "relu"), list(layer("dense", 8, "bias")))
    case <- a_case(layers, blocks, posterior = "meanfield", offset = offset)
    case$spec$estimator <- "exact"
    expect_lt(case_error(case, a_control(4)), 1e-6)
  }
})

# ---- logistic regression by quadrature

test_that("Bayesian logistic regression is that of Gauss-Hermite quadrature", {
  set.seed(8)
  d <- data.frame(x = stats::rnorm(60))
  d$y <- stats::runif(60) < stats::plogis(1.5 * d$x)
  node <- seq(-8, 8, length.out = 400)
  mass <- stats::dnorm(node) / sum(stats::dnorm(node))
  minus_elbo <- function(p) {
    w <- p[1] + exp(p[2]) * node
    ll <- vapply(w, function(w) sum(stats::plogis(ifelse(d$y, 1, -1) * w * d$x, log.p = TRUE)), 0)
    -sum(mass * ll) + (exp(2 * p[2]) + p[1]^2 - 1 - 2 * p[2]) / 2
  }
  best <- stats::optim(c(1, -1), minus_elbo, method = "BFGS", control = list(reltol = 1e-12))
  for (estimator in c("weight", "local")) {
    fit <- fit_bayes_nn(y ~ x - 1, d, hidden = 0, prior = prior_normal(0, 1), standardize = FALSE,
                        estimator = estimator, mc_samples = 10, epochs = repeats(2000, 20), learn_rate = 0.02,
                        batch_size = 60, schedule = "cosine")
    if (is_watched()) next
    q <- weight_posterior(fit)
    expect_lt(abs(q$mean - best$par[1]), 0.01)
    expect_lt(abs(q$sd / exp(best$par[2]) - 1), 0.03)
    e <- elbo(fit, draws = 4000)
    expect_lt(abs(sum(e) - attr(e, "kl") + best$value), 0.1)
    p <- predict(fit, data.frame(x = 1), draws = 20000)
    expect_lt(abs(p - sum(mass * stats::plogis(q$mean + q$sd * node))), 0.005)
  }
})

# ---- what users see

test_that("fits of the mean-field posterior are reproducible, print in 15 lines, and go on", {
  for (family in list(list(mpg ~ wt + hp, "exact"), list(am == 1 ~ wt, "local"), list(carb ~ wt, "exact"))) {
    one <- function() {
      set.seed(9)
      quick_bayes(family[[1]], mtcars, posterior = "meanfield")
    }
    fit <- one()
    expect_identical(fit, one())
    expect_identical(fit$spec$estimator, family[[2]])
    expect_lte(length(utils::capture.output(print(fit))), 15)
    expect_output(print(summary(fit)), "weights and biases")
    expect_identical(class(fit), c("varnn_bayes_nn", "varnn"))
    expect_true(all(c("nll", "kl_weights", "elbo") %in% names(fit$history)))
    expect_equal(fit$history$loss, -fit$history$elbo)
    expect_equal(nrow(continue(fit, 2)$history), nrow(fit$history) + 2)
    expect_lt(check_gradients(fit), 1e-5)
  }
})

test_that("fits by default are reproducible, print in few lines and one for each member, and go on", {
  skip_if_counted()
  for (formula in list(mpg ~ wt + hp, carb ~ wt, cbind(mpg, qsec) ~ wt)) {
    one <- function() {
      set.seed(9)
      # relus may have their kinks at the mode
      fit_bayes_nn(formula, mtcars, hidden = 2, activation = "tanh", epochs = 8)
    }
    fit <- one()
    expect_identical(fit, one())
    expect_identical(fit$spec[c("posterior", "prior")], list(posterior = "laplace", prior = "by_weight"))
    expect_length(members(fit), if (length(fit$family) == 1) 20 else 10)
    expect_lte(length(utils::capture.output(print(fit))), 15 + length(members(fit)))
    expect_output(print(summary(fit)), "weights and biases")
    expect_identical(class(fit), c("varnn_mixture", "varnn_bayes_nn", "varnn"))
    for (member in members(fit)[1:2]) {
      expect_lte(length(utils::capture.output(print(member))), 15)
      expect_identical(class(member), c("varnn_bayes_nn", "varnn"))
      expect_true(all(c("nll", "kl_weights", "elbo") %in% names(member$history)))
      expect_equal(member$history$loss, -member$history$elbo)
      expect_gt(nrow(continue(member, 2)$history), nrow(member$history) + 1)
      expect_lt(check_gradients(member), 1e-5)
    }
    expect_length(members(continue(fit, 2)), length(members(fit)))
  }
})

test_that("the default is linearised where an argument does not say another way, and the responses are numbers", {
  posterior <- function(...) quick_bayes(..., members = 1)$arguments$posterior
  linearised <- list(list(mpg ~ wt), list(carb ~ wt, family = "poisson"), list(carb ~ wt, family = "negative_binomial"),
                     list(mpg ~ wt, sigma = "hetero"), list(mpg ~ wt, sigma = 2), list(mpg ~ wt, standardize = FALSE),
                     list(mpg ~ wt, prior = prior_normal(0, 1)), list(mpg ~ wt, prior = prior_normal("auto")),
                     list(cbind(mpg, qsec) ~ wt), list(mpg ~ wt, validation = 0.2), list(mpg ~ wt, hidden = c(60, 60)))
  for (call in linearised) expect_identical(do.call(posterior, c(call, list(data = mtcars))), "laplace")
  others <- list(list(am == 1 ~ wt), list(factor(gear) ~ wt), list(mpg ~ wt, family = "huber"),
                 list(mpg ~ wt, estimator = "local"), list(mpg ~ wt, kl = "mc"), list(mpg ~ wt, rotate = FALSE),
                 list(mpg ~ wt, prior = prior_laplace()), list(mpg ~ wt, optimizer = "adam"),
                 list(mpg ~ wt, batch_size = 8), list(mpg ~ wt, control = nn_control(learn_rate = 0.1)),
                 list(mpg ~ wt, mc_samples = 2))
  for (call in others) expect_identical(do.call(posterior, c(call, list(data = mtcars))), "meanfield")
})

# What methods give of a fit of mpg to mtcars with so many weights.
expect_shapes <- function(fit, n_weights) {
  expect_identical(dim(predict(fit, mtcars[1:3, ], type = "draws", draws = 7)), c(7L, 3L))
  confidence <- predict(fit, mtcars, interval = "confidence")
  prediction <- predict(fit, mtcars, interval = "prediction")
  expect_identical(dimnames(confidence), list(rownames(mtcars), c("fit", "lwr", "upr")))
  expect_true(all(prediction[, 2] < confidence[, 2] & prediction[, 3] > confidence[, 3]))
  expect_equal(confidence[, "fit"], fitted(fit))
  with_gap <- mtcars[1:3, ]
  with_gap$wt[2] <- NA
  expect_identical(unname(is.na(predict(fit, with_gap, interval = "prediction")[, 2])), c(FALSE, TRUE, FALSE))
  expect_identical(dim(as.matrix(fit, draws = 11)), c(11L, n_weights))
  expect_identical(dim(vcov(fit)), c(n_weights, n_weights))
  expect_identical(dim(confint(fit, parm = 1:2)), c(2L, 2L))
  expect_identical(names(simulate(fit, 2, seed = 1)), c("sim_1", "sim_2"))
}

test_that("posterior draws have their shapes and agree with predict()", {
  set.seed(10)
  fit <- quick_bayes(mpg ~ wt + hp, mtcars, posterior = "meanfield", epochs = 50)
  epred <- posterior_epred(fit, mtcars[1:5, ], draws = 4000)
  expect_identical(dim(epred), c(4000L, 5L))
  expect_true(all(standard_errors_off(epred, predict(fit, mtcars[1:5, ])) < 4))
  y <- posterior_predict(fit, mtcars[1:5, ], draws = 4000)
  noise <- apply(y, 2, stats::var) - apply(epred, 2, stats::var)
  expect_equal(mean(noise), sigma(fit)^2, tolerance = 0.1)
  ll <- log_lik(fit, mtcars[1:5, ], draws = 4000)
  expect_true(all(standard_errors_off(ll, elbo(fit, mtcars[1:5, ])) < 4))
  expect_shapes(fit, 9L)
})

test_that("draws by default have their shapes and agree with predict()", {
  set.seed(10)
  fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2)
  new <- mtcars[1:5, ]
  epred <- posterior_epred(fit, new, draws = 4000)
  expect_identical(dim(epred), c(4000L, 5L))
  expect_true(all(standard_errors_off(epred, predict(fit, new)) < 4))
  y <- posterior_predict(fit, new, draws = 40000)
  expect_true(all(standard_errors_off(y, predict(fit, new)) < 4))
  interval <- predict(fit, new, interval = "prediction", level = 0.8)
  expect_true(all(standard_errors_off(1 * (y < rep(interval[, "lwr"], each = 40000)), 0.1) < 4))
  expect_true(all(standard_errors_off(1 * (y > rep(interval[, "upr"], each = 40000)), 0.1) < 4))
  # of the linearised network log_lik() has draws, of which elbo() is the mean
  ll <- log_lik(fit, new, draws = 4000)
  expect_true(all(standard_errors_off(ll, elbo(fit, new)) < 4))
  expect_shapes(fit, 12L)
  expect_refused(sigma(fit), "constant noise")
})

test_that("draws are the same in chunks of any size, with any number of threads, in any order of the rows", {
  set.seed(11)
  n <- 700
  many <- data.frame(x = stats::rnorm(n), z = stats::rnorm(n))
  many$y <- many$x + stats::rnorm(n)
  for (posterior in c(random_posteriors(), "laplace")) for (precision in c("double", "single")) {
    fit <- fit_bayes_nn(y ~ ., many, hidden = 3, posterior = posterior, members = 1, sigma = "learned", epochs = 3,
                        precision = precision)
    rows <- row_data(fit, design_rows(fit$design, many))
    draw <- function(rows, threads = 1, ...) {
      set.seed(12)
      fit$control$threads <- threads
      out <- array(NA_real_, c(rows$n, 1, 20))
      over_chunks(fit, rows, 20, "eta", function(eta, at) out[at, , ] <<- eta, ...)
      out
    }
    whole <- draw(rows)
    expect_false(anyNA(whole))
    accuracy <- if (precision == "single") 1e-5 else 1e-12
    for (at_once in c(20, 999, 2000)) expect_equal(draw(rows, at_once = at_once), whole, tolerance = accuracy)
    for (threads in 2:3) expect_identical(draw(rows, threads), whole)
    order <- sample(n)
    expect_equal(draw(part_of_rows(rows, order)), whole[order, , , drop = FALSE], tolerance = accuracy)
  }
})

test_that("two processes with a key share the draws", {
  set.seed(13)
  fit <- quick_bayes(Species ~ ., iris)
  rows <- row_data(fit, design_rows(fit$design, iris))
  draw <- function(at) {
    out <- NULL
    over_chunks(fit, part_of_rows(rows, at), 20, "eta", function(eta, at) out <<- eta, key = c(1, 4294967295))
    out
  }
  skip_on_os("windows")
  parts <- parallel::mclapply(list(1:70, 71:150), draw, mc.cores = 2)
  whole <- draw(1:150)
  expect_equal(whole[1:70, , ], parts[[1]], tolerance = 1e-12)
  expect_equal(whole[71:150, , ], parts[[2]], tolerance = 1e-12)
  expect_false(identical(draw(1:70), draw(71:140)))
})

test_that("classes average probabilities over draws", {
  set.seed(13)
  fit <- quick_bayes(Species ~ ., iris, epochs = 30)
  set.seed(14)
  p <- predict(fit, iris[c(1, 51), ], type = "prob", draws = 50)
  set.seed(14)
  expect_equal(p, apply(posterior_epred(fit, iris[c(1, 51), ], draws = 50), 2:3, mean))
  y <- posterior_predict(fit, iris[1:4, ], draws = 10)
  expect_true(all(y %in% 1:3))
  expect_identical(attr(y, "levels"), levels(iris$Species))
  expect_s3_class(simulate(fit, 1)$sim_1, "factor")
  both <- quick_bayes(cbind(mpg, qsec) ~ wt, mtcars)
  expect_named(posterior_epred(both, draws = 3), c("mpg", "qsec"))
  expect_named(predict(both, mtcars, interval = "confidence", draws = 20), c("mpg", "qsec"))
})

test_that("coefficients without hidden layers are on the original scale", {
  fit <- bayes_cars()
  truth <- stats::lm(mpg ~ wt + hp + disp + qsec, mtcars)
  expect_equal(coef(fit), coef(truth), tolerance = 0.1)
  draws <- function(n) {
    w <- as.matrix(fit, n) # bias last
    s <- scale(mtcars[c("wt", "hp", "disp", "qsec")])
    slopes <- t(t(w[, 1:4]) / attr(s, "scaled:scale")) * stats::sd(mtcars$mpg)
    cbind(w[, 5] * stats::sd(mtcars$mpg) + mean(mtcars$mpg) - slopes %*% attr(s, "scaled:center"), slopes)
  }
  set.seed(15)
  v <- stats::cov(draws(2e4))
  expect_equal(vcov(fit), v, tolerance = 0.05, ignore_attr = TRUE)
  expect_equal(unname(confint(fit)[, 2] - coef(fit)), unname(stats::qnorm(0.975) * sqrt(diag(vcov(fit)))))
})

test_that("noise may be known, or depend on x", {
  set.seed(16)
  x <- stats::runif(400, -1, 1)
  y <- stats::rnorm(400, 0, exp(x))
  fit <- fit_bayes_nn(matrix(x), y, hidden = 0, sigma = "hetero", epochs = repeats(300, 5))
  expect_identical(fit$family, "gaussian_hetero")
  expect_identical(fit$spec$estimator, "exact")
  if (!is_watched()) expect_equal(predict(fit, matrix(c(-0.5, 0.5)), type = "link")[, 2], c(-0.5, 0.5), tolerance = 0.3,
                                  ignore_attr = TRUE)
  expect_lt(check_gradients(fit), 1e-6)
  relu <- quick_bayes(dist ~ speed, cars, sigma = "hetero", posterior = "meanfield", epochs = repeats(300, 5))
  expect_identical(relu$spec$estimator, "exact")
  e <- elbo(fit)
  expect_equal(utils::tail(fit$history$elbo, 1) * 400, sum(e) - attr(e, "kl"), tolerance = 1e-8)
  expect_equal(sum(elbo(relu, draws = 8000)), sum(colMeans(log_lik(relu, draws = 8000))), tolerance = 0.01)
  expect_equal(sigma(quick_bayes(mpg ~ wt, mtcars, sigma = 2, posterior = "meanfield")), 2)
  expect_equal(sigma(quick_bayes(mpg ~ wt, mtcars, sigma = 2, members = 2)), 2)
  expect_error(sigma(fit), "constant noise")
})

test_that("mistakes are named before any training", {
  bad <- function(...) fit_bayes_nn(mpg ~ wt, mtcars, ...)
  expect_refused(bad(sigma = 0), "`sigma` must be a number above 0")
  expect_refused(bad(sigma = -1), "`sigma` must be a number above 0")
  expect_refused(bad(sigma = "learnt"), "did you mean \"learned\"")
  expect_refused(bad(prior = prior_normal(0, 0)), "`sd` must be a number above 0")
  expect_refused(bad(prior = prior_normal(1, 1)), "must be 0")
  expect_refused(bad(prior = prior_normal("auto", 2)), "itself")
  expect_refused(bad(prior = 3), "`prior` must be \"auto\" or made by prior_normal\\(\\), prior_laplace")
  expect_refused(bad(estimator = "exacd"), "did you mean \"exact\"")
  expect_refused(bad(estimator = "exact", activation = "tanh"), "relu or linear units")
  expect_refused(bad(estimator = "weight", optimizer = "lbfgs"), "needs an objective without noise")
  expect_refused(bad(mc_samples = 0), "`mc_samples` must be a whole number at least 1")
  expect_refused(bad(posterior = "meanfeld"), "did you mean \"meanfield\"")
  expect_refused(bad(epocs = 3), "did you mean \"epochs\"")
  expect_refused(fit_bayes_nn(Species ~ ., iris, sigma = 1), "categorical")
  expect_refused(fit_bayes_nn(Species ~ ., iris, sigma = "hetero"), "categorical")
  expect_refused(fit_bayes_nn(), "first argument is missing")
  fit <- quick_bayes(Species ~ ., iris)
  expect_refused(predict(fit, iris, interval = "confidence"), "posterior_epred")
  expect_refused(predict(fit, iris, interval = "both"), "`interval` must be one of")
  expect_refused(predict(fit, iris, level = 1), "`level`")
  expect_refused(posterior_epred(fit, iris, draws = 0), "`draws`")
  expect_refused(posterior_predict(fit, iris[rep(1:150, 100), ], draws = 1e8), "fewer `draws`")
  expect_refused(log_lik(fit, iris, y = 1), "only for a model that was fitted to x and y")
  fit <- quick_bayes(as.matrix(mtcars[2:4]), mtcars$mpg)
  expect_refused(log_lik(fit, as.matrix(mtcars[2:4])), "`y` is missing")
  expect_identical(dim(log_lik(fit, as.matrix(mtcars[2:4]), mtcars$mpg, draws = 4)), c(4L, 32L))
})

# What goes wrong after training, with fits by `of`.
mistakes_after_training <- function(of) {
  fit <- of(mpg ~ wt + hp, mtcars)
  expect_refused(predict(fit, mtcars, type = "draws", interval = "confidence"), "`interval` does not apply")
  expect_refused(predict(fit, mtcars, type = "drows"), "did you mean \"draws\"")
  far <- transform(mtcars, wt = c(-1, 1) * 1e300) # of a point of the weights a relu is off on one of the sides
  expect_refused(predict(fit, far, interval = "prediction"), "too far from the training data")
  expect_refused(confint(fit, list(1)), "`parm` must be names or numbers")
  expect_refused(confint(fit, "zz"), "\"zz\", which is no parameter")
  expect_refused(log_lik(fit, mtcars[c("wt", "hp")]), "response is not in `newdata`: object 'mpg' not found")
  expect_refused(log_lik(fit, transform(mtcars, mpg = "a")), "response `mpg` of `newdata` must be numeric")
  gaps <- mtcars[1:4, ]
  gaps$mpg[2] <- NA
  gaps$wt[3] <- NA
  missing <- c(FALSE, TRUE, TRUE, FALSE)
  expect_identical(unname(is.na(log_lik(fit, gaps, draws = 2)[2, ])), missing)
  expect_identical(unname(is.na(elbo(fit, gaps))), missing)
  expect_true(all(is.na(log_lik(fit, transform(gaps, mpg = NA), draws = 2))))
  none <- mtcars[0, ]
  expect_identical(dim(log_lik(fit, none, draws = 3)), c(3L, 0L))
  expect_length(elbo(fit, none), 0)
  expect_identical(dim(predict(fit, none, interval = "prediction")), c(0L, 3L))
  expect_refused(calibration(fit, none), "no row with a response")
  expect_equal(nobs(fit, use.fallback = TRUE), 32)
  by_place <- of(as.matrix(mtcars[2:4]), mtcars$mpg)
  x <- as.matrix(mtcars[1:4, 2:4])
  expect_identical(unname(is.na(log_lik(by_place, x, c(1, NA, 1, 1), draws = 2)[1, ])), c(FALSE, TRUE, FALSE, FALSE))
  expect_true(all(is.na(log_lik(by_place, x, rep(NA, 4), draws = 2))))
  # of several responses those that there are count
  both <- of(cbind(mpg, qsec) ~ wt, mtcars)
  gaps$qsec[2] <- NA
  gaps$mpg[1] <- NA
  partly <- elbo(both, gaps)
  expect_identical(unname(is.na(partly)), missing)
  expect_equal(partly[[4]], elbo(both, mtcars[4, ])[[1]])
  expect_gt(partly[[1]], elbo(both, mtcars[1, ])[[1]])
}

test_that("mistakes after training are named, and rows without a response have no likelihood", {
  mistakes_after_training(function(...) quick_bayes(..., posterior = "meanfield"))
  mistakes_after_training(function(...) quick_bayes(..., members = 2))
})

test_that("a weight about which the data say nothing is none that they determine, whatever the prior", {
  # where x is 0 nothing depends on its weight, and q is the normal distribution nearest to the prior: for Laplace's
  # density with scale b that of sd b sqrt(pi / 2), for a mixture that of the least divergence, found by integrate()
  set.seed(1)
  x <- cbind(rnorm(50), 0, 0, 0)
  y <- x[, 1] + rnorm(50)
  fit <- fit_bayes_nn(x, y, hidden = 0, prior = prior_laplace(0, 0.7), standardize = FALSE)
  expect_equal(unname(sqrt(diag(vcov(fit)))[3:5]), rep(0.7 * sqrt(pi / 2), 3), tolerance = 1e-4)
  expect_lt(summary(fit)$n_effective, 2)
  mixture <- function(w) log(0.5 * dnorm(w) + 0.5 * dnorm(w, 0, 0.1))
  divergence <- function(s) {
    integrate(function(w) dnorm(w, 0, s) * (dnorm(w, 0, s, TRUE) - mixture(w)), -20, 20, subdivisions = 1e4,
              rel.tol = 1e-8)$value
  }
  nearest <- optimize(divergence, c(0.1, 1), tol = 1e-6)$minimum
  spec <- fit_bayes_nn(x, y, hidden = 0, prior = prior_mixture(0.5, c(1, 0.1)), epochs = 1)$spec
  expect_equal(nearest_sd(spec) * sqrt((1 + 0.01) / 2), nearest, tolerance = 1e-3)
})

test_that("the default prior is Laplace's where nothing is drawn, else normal", {
  expect_identical(quick_bayes(mpg ~ wt, mtcars, posterior = "meanfield")$arguments$prior,
                   prior_laplace(0, 1, fan_in = TRUE))
  drawn <- list(list(mpg ~ wt, estimator = "local"), list(mpg ~ wt, posterior = "full"), list(factor(vs) ~ wt))
  for (how in drawn) {
    fit <- do.call(quick_bayes, c(how, list(data = mtcars)))
    expect_identical(fit$arguments$prior, prior_normal(0, 2, fan_in = TRUE))
    given <- do.call(quick_bayes, c(how, list(data = mtcars, prior = prior_normal(0, 2, fan_in = TRUE))))
    expect_identical(given$spec, fit$spec)
  }
})

test_that("what is damaged in a fit is named", {
  set.seed(1)
  fit <- quick_bayes(mpg ~ factor(cyl) + wt, mtcars, posterior = "meanfield")
  mixture <- quick_bayes(mpg ~ factor(cyl) + wt, mtcars, members = 2)
  damaged <- list(design = list("design", "xlevels", emptyenv()), scaling = list("scaling", "is_constant", NA),
                  scaling = list("scaling", "center", 1:3), response = list("response", 1, 1e300),
                  blocks = list("blocks", list(utils::modifyList(fit$blocks[[1]], list(levels = quote(f(x)))))))
  for (i in seq_along(damaged)) for (bad in list(fit, mixture)) {
    at <- damaged[[i]]
    bad[[unlist(at[-length(at)])]] <- at[[length(at)]]
    for (call in c(predict, summary, residuals))
      expect_refused(call(bad), sprintf("The fit is damaged: `%s`", names(damaged)[i]))
  }
  bad <- fit
  bad$theta[] <- 1e9 # standard deviations beyond any number
  expect_refused(elbo(bad), "not finite")
})

test_that("rows held out are watched and do not end training early", {
  set.seed(1)
  d <- data.frame(x1 = rnorm(80), x2 = rnorm(80))
  d$y <- sin(2 * d$x1) + d$x2 / 2 + rnorm(80, 0, 0.3)
  for (how in list(list(posterior = "meanfield"), list(estimator = "local", epochs = 300))) {
    fit <- function(...) {
      set.seed(2)
      do.call(fit_bayes_nn, c(list(y ~ x1 + x2, hidden = 8, ...), how))
    }
    watched <- fit(data = d[1:60, ], validation = d[61:80, ])
    alone <- fit(data = d[1:60, ])
    expect_identical(watched$best_epoch, nrow(watched$history))
    expect_identical(watched$theta, alone$theta)
    expect_false(is.null(watched$history$val_loss))
  }
  expect_output(print(watched), "held out$")
  stopped <- fit(data = d[1:60, ], validation = d[61:80, ], patience = 5)
  expect_identical(stopped$stop_reason, "patience")
  expect_equal(stopped$best_epoch, which.min(stopped$history$val_loss))
  # of the default they are watched; those that are rows of the data weigh the members
  how <- list(members = 4)
  watched <- fit(data = d[1:60, ], validation = d[61:80, ])
  alone <- fit(data = d[1:60, ])
  for (k in 1:4) {
    expect_equal(members(watched)[[k]]$theta, members(alone)[[k]]$theta)
    expect_false(is.null(members(watched)[[k]]$history$val_loss))
  }
  watched <- fit(data = d, validation = 61:80)
  held_out <- rows_with_response(watched, d[61:80, ], NULL, environment())
  density <- vapply(members(watched), row_log_density, numeric(20), held_out)
  expect_equal(attr(members(watched), "weights"), stacking_weights(density), tolerance = 1e-5)
})

test_that("a control that says nothing of how to train leaves the choice", {
  with_control <- function(...) {
    fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, members = 1, control = nn_control(epochs = 2, ...))
  }
  expect_identical(with_control()$control$optimizer, "lbfgs")
  expect_identical(with_control()$arguments$posterior, "laplace")
  expect_identical(with_control(threads = 1, verbose = FALSE)$control$optimizer, "lbfgs")
  expect_identical(with_control(optimizer = "adam")$control$optimizer, "adam")
  expect_identical(with_control(batch_size = 8)$control$optimizer, "adam")
  listed <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, control = list(epochs = 2, learn_rate = 0.01))
  expect_identical(listed$control$optimizer, "adam")
  expect_identical(listed$arguments$posterior, "meanfield")
  plain <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, posterior = "meanfield", control = nn_control(epochs = 2))
  expect_identical(plain$control$optimizer, "lbfgs")
})

test_that("the elbo of a network whose moments are matched is that of its draws", {
  set.seed(1)
  d <- data.frame(x1 = rnorm(80), x2 = rnorm(80), x3 = rnorm(80))
  d$y <- sin(2 * d$x1) + d$x2 + rnorm(80, 0, 0.8)
  set.seed(1)
  fit <- fit_bayes_nn(y ~ ., d, hidden = c(4, 4, 4), posterior = "meanfield")
  draws <- rowSums(log_lik(fit, draws = 8000))
  error <- sqrt(2 / 8000) * sd(draws)
  bound <- elbo(fit, draws = 8000)
  expect_lt(abs(sum(bound) - mean(draws)), 5 * error)
  matched <- fit$history$elbo[fit$best_epoch] * 80 + attr(bound, "kl")
  expect_gt(abs(matched - mean(draws)), 10 * error) # or this shows nothing
})

test_that("what print() and summary() say of training belongs to the parameters", {
  set.seed(1)
  stopped <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, estimator = "local", epochs = 500, patience = 5)
  expect_identical(stopped$stop_reason, "patience")
  expect_lt(stopped$best_epoch, nrow(stopped$history))
  kept <- stopped$history[stopped$best_epoch, ]
  expect_output(print(stopped), paste("loss", format(kept$loss, digits = 4)))
  expect_output(print(stopped), paste("ELBO:", format(32 * kept$elbo, digits = 6)))
  expect_equal(summary(stopped)$elbo[["elbo"]], 32 * kept$elbo)
  ended <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, estimator = "local", epochs = 50,
                        callback = function(epoch, row) epoch == 30)
  expect_identical(ended$best_epoch, 30L)
})

test_that("with draws a fit trains for about 20,000 steps, 20 to 5,000 epochs", {
  expect_identical(bayes_epochs(row_counts(100), 32), 5000L) # 4 steps an epoch
  expect_identical(bayes_epochs(row_counts(2560), 64), 500L)
  expect_identical(bayes_epochs(row_counts(1e6), 100), 20L)
  # batches of 64, as 2^6 < 6400 / 60 < 2^7: 100 steps an epoch
  expect_identical(bayes_epochs(row_counts(6400), NULL), 200L)
  spec <- list(posterior = "meanfield", estimator = "weight", kl_mc = 0)
  chosen <- bayes_training(nn_control(), FALSE, spec, row_counts(2560))
  expect_identical(chosen[c("optimizer", "schedule")], list(optimizer = "adam", schedule = "cosine"))
  expect_identical(bayes_training(nn_control(), TRUE, spec, row_counts(2560))$schedule, "constant")
})

test_that("a prior is printed in words", {
  expect_output(print(prior_normal(0, 2)), "^Prior of the weights: .*2")
})

test_that("the interface with x and y refuses what is no predictor and no response", {
  x <- cars_x()
  expect_refused(fit_bayes_nn("mpg ~ wt", mtcars), "first argument")
  expect_refused(fit_bayes_nn(x), "`y` is missing")
  expect_refused(fit_bayes_nn(x, mtcars$mpg, sigma = TRUE), "`sigma` must be")
})

test_that("without hidden layers the posterior of a gaussian response is exact by default", {
  x <- scale(as.matrix(mtcars[c("wt", "hp", "disp", "qsec")]))
  y <- as.vector(scale(mtcars$mpg))
  fit <- fit_bayes_nn(x, y, hidden = 0, sigma = sqrt(0.2), standardize = FALSE, prior = prior_normal(0, 1))
  design <- cbind(1, x)
  covariance <- solve(crossprod(design) / 0.2 + diag(5))
  expect_equal(unname(coef(fit)), as.vector(covariance %*% crossprod(design, y) / 0.2), tolerance = 1e-8)
  expect_equal(vcov(fit), covariance, tolerance = 1e-8, ignore_attr = TRUE)
  marginal <- 0.2 * diag(32) + tcrossprod(design)
  evidence <- -(32 * log(2 * pi) + determinant(marginal)$modulus + y %*% solve(marginal, y)) / 2
  expect_equal(utils::tail(fit$history$elbo, 1) * 32, as.numeric(evidence), tolerance = 1e-8)
  # next to lm(), whose noise has lost as many degrees of freedom
  flat <- fit_bayes_nn(Sepal.Length ~ Species, iris, hidden = 0, prior = prior_normal(0, 100))
  lm <- stats::lm(Sepal.Length ~ Species, iris)
  expect_equal(sqrt(diag(vcov(flat))), sqrt(diag(stats::vcov(lm))), tolerance = 1e-3)
  expect_equal(sigma(flat), stats::sigma(lm), tolerance = 1e-3)
  default <- fit_bayes_nn(Sepal.Length ~ Species, iris, hidden = 0)
  expect_identical(c(default$spec$posterior, default$arguments$posterior), rep("last_layer", 2))
  expect_equal(sqrt(diag(vcov(default))), sqrt(diag(stats::vcov(lm))), tolerance = 0.01)
  wide <- matrix(stats::rnorm(20 * 3000), 20)
  expect_identical(fit_bayes_nn(wide, wide[, 1:3], hidden = 0, epochs = 1)$spec$posterior, "meanfield")
})

test_that("intervals of coefficients cover as they say, those of a factor too", {
  skip_on_cran() # it takes long
  set.seed(31)
  truth <- c(1, 2, 0.5, -1)
  holds <- function(center, half) abs(truth - center) < half
  # The intervals of lm() with quantiles of the normal distribution hold the truth with a known probability. How much
  # more often those of the fit do has a far smaller error, for few data are in the one and not in the other.
  of_lm <- 2 * stats::pt(stats::qnorm(0.975), 56) - 1
  n <- repeats(if (is_counted()) 30 else 250, 30)
  more <- replicate(n, {
    x <- stats::rnorm(60)
    g <- factor(sample(letters[1:3], 60, TRUE))
    y <- 1 + 2 * x + 0.5 * (g == "b") - (g == "c") + stats::rnorm(60)
    ci <- confint(fit_bayes_nn(y ~ x + g, hidden = 0))
    lm <- summary(stats::lm(y ~ x + g))$coefficients
    holds(rowMeans(ci), (ci[, 2] - ci[, 1]) / 2) - holds(lm[, 1], stats::qnorm(0.975) * lm[, 2])
  })
  if (n == 250) expect_lt(max(apply(more, 1, stats::sd)) / sqrt(n), 0.005) # as that of 2,000 fits alone
  expect_true(all(of_lm + rowMeans(more) > if (n < 250) 0.8 else 0.93))
  expect_true(all(of_lm + rowMeans(more) < if (n < 250) 1.01 else 0.97))
})

test_that("a point's scalar of a family is that of the greatest likelihood, of any family", {
  set.seed(1)
  d <- data.frame(x = stats::rnorm(100))
  d$n <- stats::rnbinom(100, 3, mu = exp(1 + d$x))
  fit <- fit_bayes_nn(n ~ x, d, hidden = 0, family = "negative_binomial", posterior = "point")
  eta <- predict(fit, type = "link")
  nll <- function(log_size) -sum(stats::dnbinom(d$n, exp(log_size), mu = exp(eta), log = TRUE))
  expect_equal(block_free(fit)[[1]], stats::optimize(nll, c(-3, 5), tol = 1e-8)$minimum, tolerance = 1e-4)
})

test_that("a point is the mode of the posterior, its KL minus the log density of its weights", {
  # logistic regression with prior N(0, 1): its mode to nine digits
  d <- data.frame(am = mtcars$am == 1, scale(mtcars[c("wt", "hp")]))
  fit <- fit_bayes_nn(am ~ wt + hp, d, hidden = 0, posterior = "point", prior = prior_normal(0, 1), standardize = FALSE)
  expect_equal(unname(coef(fit)), c(-0.559854442, -2.282927838, 0.534439920), tolerance = 1e-6)
  e <- elbo(fit)
  w <- coef(fit)
  expect_equal(attr(e, "kl"), -sum(stats::dnorm(w, log = TRUE)), tolerance = 1e-10)
  eta <- drop(cbind(1, as.matrix(d[2:3])) %*% w)
  expect_equal(unname(c(e)), stats::dbinom(d$am, 1, stats::plogis(eta), log = TRUE), tolerance = 1e-8)

  # gaussian, known noise: the mean of the exact posterior
  x <- scale(as.matrix(mtcars[c("wt", "hp")]))
  y <- as.vector(scale(mtcars$mpg))
  mode <- fit_bayes_nn(x, y, hidden = 0, posterior = "point", sigma = 0.5, standardize = FALSE,
                       prior = prior_normal(0, 1))
  design <- cbind(1, x)
  expect_equal(unname(coef(mode)), as.vector(solve(crossprod(design) / 0.25 + diag(3), crossprod(design, y) / 0.25)),
               tolerance = 1e-7)

  priors <- list(prior_normal(0, 0.7, fan_in = TRUE), prior_laplace(0, 0.6), prior_mixture(0.4, c(1, 0.1)))
  log_density <- list(function(w, cols) stats::dnorm(w, 0, 0.7 / sqrt(cols), log = TRUE),
                      function(w, cols) -abs(w) / 0.6 - log(1.2),
                      function(w, cols) log(0.4 * stats::dnorm(w) + 0.6 * stats::dnorm(w, 0, 0.1)))
  for (i in seq_along(priors)) {
    set.seed(32)
    net <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3, posterior = "point", prior = priors[[i]], epochs = 20)
    at <- coef(net)
    at <- at[grepl("weight|bias", names(at))]
    kl <- -sum(unlist(Map(function(w, name) log_density[[i]](w, if (grepl("weight", name)) ncol(w) else 1), at,
                          names(at))))
    expect_equal(attr(elbo(net), "kl"), kl, tolerance = 1e-8)
    expect_lt(check_gradients(net), 1e-5)
    expect_s3_class(net, c("varnn_bayes_nn", "varnn"), exact = TRUE)
    expect_identical(net$control$optimizer, "lbfgs")
  }
  expect_output(print(net), "Posterior: point; noise sd")
  expect_error(confint(net), "needs a posterior with a spread")
  expect_true(all(vcov(net) == 0))
  expect_equal(unique(as.matrix(net, draws = 3)), as.matrix(net, draws = 1), ignore_attr = TRUE)
  found <- predict(net, mtcars[1:2, ], interval = "prediction")
  expect_equal(unname(found[, "upr"] - found[, "fit"]), rep(stats::qnorm(0.975) * sigma(net), 2), tolerance = 1e-6)
  expect_output(print(summary(net)), "point")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "point", estimator = "local"), "nothing to draw")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "point", prior = prior_normal("auto")), "has none")
  ensemble <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 8, posterior = "point", members = 2, epochs = 10)
  expect_true(all(is.finite(predict(ensemble, interval = "prediction"))))
  expect_gt(max(diag(vcov(ensemble))), 0)
})
