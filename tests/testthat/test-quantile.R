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

# ---- several quantiles in one fit

losses_of <- function(y, q, tau) vapply(seq_along(tau), function(k) check_loss(y - q[, k], tau[k]), 0)

test_that("several quantiles of groups are those of each group", {
  set.seed(11)
  tau <- c(0.1, 0.25, 0.5, 0.9)
  d <- data.frame(g = factor(rep(letters[1:4], c(31, 51, 43, 77))))
  d$y <- stats::rnorm(nrow(d), 3 * as.integer(d$g), as.integer(d$g))
  truth <- vapply(split(d$y, d$g), function(y) stats::quantile(y, tau, type = 1), tau)
  for (standardize in c(TRUE, FALSE)) {
    fit <- fit_nn(y ~ g, d, hidden = 0, family = "quantile", tau = tau, standardize = standardize)
    found <- predict(fit, data.frame(g = letters[1:4]), type = "quantile")
    expect_equal(found, t(truth), tolerance = 1e-8, ignore_attr = TRUE)
    expect_identical(colnames(found), c("10%", "25%", "50%", "90%"))
    expect_equal(unname(predict(fit, data.frame(g = letters[1:4]))), unname(truth[3, ]), tolerance = 1e-8)
  }
  w <- rep(1:3, length.out = nrow(d))
  again <- function(...) predict(fit_nn(y ~ g, ..., hidden = 0, family = "quantile", tau = tau), d, type = "quantile")
  expect_equal(losses_of(d$y[rep(seq_along(w), w)], again(d, weights = w)[rep(seq_along(w), w), ], tau),
               losses_of(d$y[rep(seq_along(w), w)], again(d[rep(seq_along(w), w), ])[rep(seq_along(w), w), ], tau),
               tolerance = 1e-8)
  skip_if_not_installed("quantreg")
  rq <- getExportedValue("quantreg", "rq")
  for (k in seq_along(tau))
    expect_equal(found[, k], coef(rq(y ~ g - 1, tau[k], d)), tolerance = 1e-6, ignore_attr = TRUE)
})

test_that("one quantile is that of quantreg", {
  skip_if_not_installed("quantreg")
  rq <- getExportedValue("quantreg", "rq")
  for (tau in c(0.1, 0.5, 0.85))
    expect_equal(coef(fit_nn(mpg ~ wt + qsec, mtcars, hidden = 0, family = "quantile", tau = tau)),
                 coef(rq(mpg ~ wt + qsec, tau, mtcars)), tolerance = 1e-6)
})

test_that("without hidden layers several quantiles are as good as each alone, and at an optimum", {
  set.seed(12)
  tau <- c(0.1, 0.5, 0.8)
  d <- data.frame(x = stats::runif(200, 0, 3), z = stats::rnorm(200))
  d$y <- 5 + 2 * d$x - d$z + stats::rnorm(200)
  fit <- fit_nn(y ~ x + z, d, hidden = 0, family = "quantile", tau = tau)
  expect_true(fit$converged)
  alone <- vapply(tau, function(t) fitted(fit_nn(y ~ x + z, d, hidden = 0, family = "quantile", tau = t)), d$x)
  losses <- losses_of(d$y, predict(fit, type = "quantile"), tau)
  expect_equal(losses, losses_of(d$y, alone, tau), tolerance = 3e-3)
  # coefficients are of the middle quantile, and of logs of distances, on the response's scale
  b <- coef(fit)
  expect_identical(colnames(b), c("y", "log_gap_10%.y", "log_gap_80%.y"))
  quantiles <- function(b) {
    eta <- cbind(1, d$x, d$z) %*% b
    cbind(eta[, 1] - exp(eta[, 2]), eta[, 1], eta[, 1] + exp(eta[, 3]))
  }
  expect_equal(quantiles(b), predict(fit, type = "quantile"), tolerance = 1e-10, ignore_attr = TRUE)
  expect_equal(predict(fit, type = "link"), cbind(1, d$x, d$z) %*% b, tolerance = 1e-10, ignore_attr = TRUE)
  for (k in 1:200) {
    other <- b + 10^stats::runif(1, -5, -1) * stats::rnorm(9)
    expect_gt(sum(losses_of(d$y, quantiles(other), tau)), sum(losses) * (1 - 1e-6))
  }
  expect_equal(c(logLik(fit)), -200 * (1 + log(sum(losses) / 600) - mean(log(tau * (1 - tau)))), tolerance = 1e-10)
  expect_error(vcov(fit), "no likelihood", class = "varnn_error")
  expect_error(predict(fit, se.fit = TRUE), "no likelihood", class = "varnn_error")
})

test_that("quantiles of a network do not cross, wherever they are asked for", {
  skip_if_again()
  set.seed(13)
  d <- data.frame(x = stats::runif(4000, -2, 2))
  d$y <- sin(2 * d$x) + (1 + d$x^2) * stats::rexp(4000)
  tau <- c(0.1, 0.2, 0.5, 0.8, 0.9)
  far <- data.frame(x = c(-50, seq(-3, 3, 0.1), 50))
  fit <- fit_nn(y ~ x, d, hidden = 8, activation = "tanh", family = "quantile", tau = tau, optimizer = "lbfgs",
                epochs = 600)
  expect_true(all(diff(t(predict(fit, far, type = "quantile"))) > 0))
  expect_true(all(abs(colMeans(d$y < predict(fit, type = "quantile")) - tau) < 0.05))
  expect_equal(predict(fit, far), predict(fit, far, type = "quantile")[, "50%"])
  d <- d[1:400, ]
  bayes <- fit_bayes_nn(y ~ x, d, hidden = 4, family = "quantile", tau = tau, posterior = "meanfield", epochs = 40)
  found <- predict(bayes, far, type = "quantile", draws = 200)
  expect_true(all(diff(t(found)) > 0))
  expect_identical(colnames(found), c("10%", "20%", "50%", "80%", "90%"))
  within <- predict(bayes, d, interval = "prediction", level = 0.8, draws = 200)
  expect_lt(abs(mean(d$y > within[, "lwr"] & d$y < within[, "upr"]) - 0.8), 0.08)
  linear <- fit_bayes_nn(y ~ x, d[1:40, ], hidden = 2, family = "quantile", tau = c(0.2, 0.4, 0.8),
                         posterior = "laplace", epochs = 3)
  expect_true(all(diff(t(predict(linear, far, type = "quantile", draws = 100))) > 0))
})

test_that("what is drawn has the fitted quantiles, and is logistic where these are", {
  set.seed(14)
  for (tau in list(c(0.1, 0.5, 0.9), c(0.6, 0.7, 0.99), (1:19) / 20)) {
    record <- family_record("quantile", list(tau = tau))
    location <- matrix(stats::rnorm(6), 3)
    scale <- matrix(stats::rexp(6), 3)
    q <- vapply(stats::qlogis(tau), function(z) location + z * scale, location)
    eta <- matrix(outputs_at(matrix(q, 6), tau, 0), 3)
    expect_equal(quantiles_at(eta, tau), q, tolerance = 1e-10)
    expect_equal(record$mean(eta), q[, , which.min(abs(tau - 0.5))], tolerance = 1e-10)
    for (p in c(0.003, 0.3, tau)) {
      expect_equal(record$quantile(p, eta, 0), location + scale * stats::qlogis(p), tolerance = 1e-10)
      expect_equal(record$cdf(q[, , 2] + p - 0.5, eta, 0), stats::plogis(q[, , 2] + p - 0.5, location, scale))
    }
    y <- matrix(stats::rnorm(6), 3)
    expect_equal(record$density(y, eta, 0), stats::dlogis(y, location, scale, log = TRUE), tolerance = 1e-8)
    expect_equal(record$variance(eta, 0), scale^2 * pi^2 / 3, tolerance = 1e-7)
  }
  # quantiles that no logistic distribution has
  eta <- matrix(c(0, 1.5, -0.5), 1)
  record <- family_record("quantile", list(tau = c(0.2, 0.5, 0.9)))
  density <- function(y) exp(record$density(matrix(y), eta[rep(1, length(y)), ], 0))
  part <- function(from, to) stats::integrate(density, from, to, rel.tol = 1e-8)$value
  q <- quantiles_at(eta, c(0.2, 0.5, 0.9))[1, 1, ]
  expect_equal(q, c(-exp(1.5), 0, exp(-0.5)))
  expect_equal(c(part(-Inf, q[1]), part(q[1], 0), part(0, q[3]), part(q[3], Inf)), c(0.2, 0.3, 0.4, 0.1),
               tolerance = 1e-6)
  y <- record$draw(eta[rep(1, 1e4), ], 0)
  expect_true(all(abs(c(mean(y < q[1]), mean(y < 0), mean(y < q[3])) - c(0.2, 0.5, 0.9)) < 0.02))
  expect_equal(stats::var(y[, 1]), record$variance(eta, 0)[1], tolerance = 0.1)
})

# Minus the mean log-likelihood of asymmetric Laplace distributions, in plain loops.
slow_quantile_nll <- function(y, eta, tau, log_s) {
  m <- which.min(abs(tau - 0.5))
  q <- numeric(length(tau))
  q[m] <- eta[1]
  for (k in seq_along(tau)) if (k > m) q[k] <- q[k - 1] + exp(eta[k])
  for (k in rev(seq_along(tau))) if (k < m) q[k] <- q[k + 1] - exp(eta[k + 1])
  e <- (y - q) / exp(log_s)
  mean(ifelse(e > 0, tau * e, (tau - 1) * e) + log_s - log(tau * (1 - tau)))
}

test_that("the engine's likelihood of several quantiles and its slopes are those of plain loops", {
  set.seed(15)
  for (tau in list(c(0.1, 0.5, 0.9), c(0.7, 0.9), c(0.05, 0.2, 0.3))) {
    n <- length(tau)
    block <- list(family = "quantile", n_responses = 2, noise = "each", fixed = 0, constants = list(tau = tau))
    expect_identical(eta_rows(block), 2 * n)
    eta <- matrix(stats::rnorm(14 * n), 7)
    y <- matrix(stats::rnorm(14), 7)
    y[2, 1] <- NaN
    log_s <- c(0.3, -0.4)
    nll <- function(eta) {
      total <- 0
      for (i in 1:7) for (j in 1:2) if (!is.nan(y[i, j]))
        total <- total + slow_quantile_nll(y[i, j], eta[i, seq(j, 2 * n, 2)], tau, log_s[j])
      total / 7
    }
    spec <- new_spec(2 * n, list(layer("dense", 2 * n, "bias")), list(block))
    theta <- c(diag(2 * n), numeric(2 * n), log_s)
    found <- engine_run(spec, theta, engine_data(eta, y), "terms")
    expect_equal(mean(found), nll(eta), tolerance = 1e-12)
    expect_equal(rowSums(record_of(block)$nll(y, eta, log_s), na.rm = TRUE), found[, 1], tolerance = 1e-12)
    slope <- engine_gradient(spec, theta, engine_data(eta, y), a_control(7))$gradient
    numeric <- vapply(seq_len(2 * n), function(j) {
      h <- 1e-6 * (col(eta) == j)
      (nll(eta + h) - nll(eta - h)) / 2e-6
    }, 0)
    expect_equal(slope[4 * n^2 + seq_len(2 * n)], numeric, tolerance = 1e-6)
    # the information is the mean of that of each tau in its quantile
    information <- function(i, j) {
      k <- (c(i, j) - 1) %% 2 + 1
      if (k[1] != k[2]) return(numeric(7))
      moves <- lapply(c(i, j), function(j) {
        h <- 1e-6 * (col(eta) == j)
        ((quantiles_at(eta + h, tau) - quantiles_at(eta - h, tau)) / 2e-6)[, k[1], ]
      })
      drop((moves[[1]] * moves[[2]]) %*% (tau * (1 - tau))) / n * exp(-2 * log_s[k[1]])
    }
    part <- list(eta = eta, y = y, free = log_s)
    for (i in seq_len(2 * n)) for (j in seq_len(2 * n)) {
      own <- record_of(block)$information(part, i, j)
      expect_equal(if (is.null(own)) numeric(7) else rep_len(own, 7), information(i, j), tolerance = 1e-6)
    }
    expect_equal(unname(record_of(block)$deviance(y, eta, log_s)),
                 2 * (record_of(block)$nll(y, eta, log_s) - rep(log_s - mean(log(tau * (1 - tau))), each = 7)))
  }
})

test_that("a fit of several quantiles answers the generics", {
  set.seed(16)
  tau <- c(0.25, 0.5, 0.75)
  d <- data.frame(x = stats::rnorm(60), t = stats::runif(60))
  d$y <- d$x + stats::rexp(60)
  d$count <- stats::rpois(60, 2)
  fit <- fit_nn(y ~ x, d, hidden = 3, family = "quantile", tau = tau, epochs = 10)
  expect_output(print(fit), "quantile, tau = 0.25, 0.5, 0.75", fixed = TRUE)
  expect_output(print(summary(fit)), "Log-likelihood")
  expect_output(print(nn_family("quantile", tau = (1:9) / 10)), "tau = 0.1, 0.2, 0.3, ..., 0.9", fixed = TRUE)
  expect_equal(unname(residuals(fit)), d$y - unname(predict(fit)), tolerance = 1e-10)
  expect_identical(fitted(fit), predict(fit))
  expect_identical(predict(fit, d, type = "quantile", probs = tau), predict(fit, d, type = "quantile"))
  more <- predict(fit, d, type = "quantile", probs = c(0.01, 0.25, 0.6, 0.999))
  expect_true(all(diff(t(more)) > 0))
  expect_identical(more[, 2], predict(fit, d, type = "quantile")[, 1])
  expect_equal(mean(as.matrix(simulate(fit, 100, seed = 1)) < more[, 2]), 0.25, tolerance = 0.02)
  checked <- calibration(fit, draws = 20)
  density <- function(y, eta) record_of(fit$blocks[[1]])$density(matrix(y), eta, 0)
  b <- fit$blocks[[1]]
  expect_equal(checked$log_score, mean(density((d$y - b$center) / b$scale, fit$eta)) - log(b$scale), tolerance = 1e-8)
  expect_identical(colnames(predict(update(fit, tau = c(0.1, 0.6)), type = "quantile")), c("10%", "60%"))
  expect_identical(continue(fit, 2)$n_epochs, 12L)
  file <- tempfile()
  saveRDS(fit, file)
  expect_identical(predict(readRDS(file), d, type = "quantile"), predict(fit, d, type = "quantile"))
  both <- fit_nn(cbind(y, count) ~ x + offset(t), d, hidden = 0,
                 family = list(y = nn_family("quantile", tau = tau), count = "poisson"))
  found <- predict(both, d, type = "quantile")
  expect_identical(lapply(found, colnames), list(y = c("25%", "50%", "75%"), count = c("5%", "50%", "95%")))
  moved <- predict(both, transform(d, t = t + 1), type = "quantile")$y
  expect_equal(moved, found$y + 1, tolerance = 1e-10)
  members <- fit_nn(y ~ x, d, hidden = 2, family = "quantile", tau = tau, members = 2, epochs = 5)
  expect_true(all(diff(t(predict(members, type = "quantile"))) > 0))
  family <- family(fit)
  expect_identical(fit_nn(y ~ x, d, hidden = 0, family = family)$blocks[[1]]$constants, list(tau = tau))
  labels <- drawn_by(plot(fit, "network"), "C_text")
  expect_true(any(grepl("log gap 25% of y", unlist(labels), fixed = TRUE)))
  drawn(plot(fit, "fit"))
})

test_that("tau that do not rise, or are too many, are refused", {
  for (tau in list(c(0.5, 0.1), c(0.1, NA), c(0, 0.5), c(0.5, 1), (1:101) / 102, c("a", "b"), list(0.1, 0.2)))
    expect_error(fit_nn(mpg ~ wt, mtcars, family = "quantile", tau = tau), "`tau`.*rise", class = "varnn_error")
  expect_error(nn_family("quantile", tau = c(0.9, 0.1)), "rise", class = "varnn_error")
  damaged <- fit_nn(mpg ~ wt, mtcars, family = "quantile", tau = c(0.1, 0.5), hidden = 0)
  damaged$blocks[[1]]$constants$tau <- c(0.1, 0.5, 0.9)
  expect_error(predict(damaged), "damaged", class = "varnn_error")
})
