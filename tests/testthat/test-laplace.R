# The linearised posterior: exact where the model is linear, and what the linearisation says where it is not.

fixture <- list(x = scale(as.matrix(mtcars[c("wt", "hp", "disp", "qsec")])), y = drop(scale(mtcars$mpg)))

linearised <- function(..., members = 1) {
  set.seed(1)
  fit_bayes_nn(..., posterior = "laplace", members = members)
}

test_that("slopes of eta are central differences, for every activation, layers, outputs and parts of the weights", {
  set.seed(1)
  n <- 11
  data <- varnn:::engine_data(matrix(rnorm(3 * n), n))
  blocks <- list(list(family = "gaussian_hetero", n_responses = 1, noise = "fixed", fixed = 0),
                 list(family = "categorical", n_responses = 3, noise = "fixed", fixed = 0))
  for (activation in activations()) {
    layers <- c(varnn:::hidden_layers(c(5, 4), activation), list(varnn:::layer("dense", 5, "bias")))
    spec <- varnn:::new_spec(3, layers, blocks)
    theta <- rnorm(varnn:::spec_layout(spec)$n_par)
    active <- seq_along(theta)[-c(3, 7)]
    eta <- function(theta) varnn:::engine_run(spec, theta, data)
    j <- varnn:::engine_jacobian(spec, theta, data, active, "images")
    expect_equal(varnn:::engine_jacobian(spec, theta, data, active, "images", by = diag(length(active))), j)
    by_difference <- array(0, dim(j))
    for (k in seq_along(active)) {
      step <- replace(numeric(length(theta)), active[k], 1e-6)
      by_difference[, , k] <- (eta(theta + step) - eta(theta - step)) / 2e-6
    }
    expect_equal(j, by_difference, tolerance = 1e-6)
    expect_equal(varnn:::engine_jacobian(spec, theta, data, active, "gram"), crossprod(matrix(j, 5 * n)),
                 tolerance = 1e-12)
    seed <- array(rnorm(10 * n), c(n, 5, 2))
    combined <- do.call(rbind, lapply(1:n, function(i) crossprod(seed[i, , ], j[i, , ])))
    gram <- varnn:::engine_jacobian(spec, theta, data, active, "gram", seed = seed)
    expect_equal(gram, crossprod(combined), tolerance = 1e-12)
    root <- varnn:::engine_root(gram, rep(0.3, length(active)))
    covariance <- varnn:::engine_jacobian(spec, theta, data, active, "covariances", by = root, upper = TRUE)
    for (i in c(1, n)) expect_equal(covariance[i, , ], j[i, , ] %*% tcrossprod(root) %*% t(j[i, , ]))
  }
})

test_that("a root of the inverse is one, of any size, in both precisions", {
  set.seed(2)
  for (n in c(1, 2, 47, 48, 49, 97, 200, 301)) {
    a <- crossprod(matrix(rnorm(n * (n + 2)), n + 2))
    precision <- runif(n)
    root <- varnn:::engine_root(a, precision)
    expect_true(all(root[lower.tri(root)] == 0))
    expect_equal(tcrossprod(root) %*% (a + diag(precision, n)), diag(n), tolerance = 1e-8)
  }
})

test_that("parts of matrices multiply as the whole ones do", {
  # A is read transposed or not, and more rows than a tile: by the factor's own use of them
  set.seed(3)
  a <- crossprod(matrix(rnorm(150 * 160), 160))
  old <- options(varnn.blas = NULL)
  on.exit(options(old))
  for (blas in list(TRUE, FALSE)) {
    options(varnn.blas = blas)
    expect_equal(tcrossprod(varnn:::engine_root(a)), solve(a), tolerance = 1e-8)
  }
})

test_that("without a hidden layer the posterior, the noise and the evidence are those of the evidence framework", {
  fit <- fit_bayes_nn(fixture$x, fixture$y, hidden = 0, posterior = "laplace")
  expect_equal(unique(fit$spec$precision), 10.49875475, tolerance = 1e-6)
  expect_equal(sigma(fit)^2, 0.18910529, tolerance = 1e-6)
  expect_equal(evidence(fit), -24.38975813, tolerance = 1e-8)
  expect_equal(sum(fit$laplace$effective), 4.05193971, tolerance = 1e-6)
  expect_equal(fit$theta, c(-.55620919, -.22625659, -.12280426, .10150453, 0), tolerance = 1e-6)
  expect_equal(unname(sqrt(diag(varnn:::weight_covariance(varnn:::weight_posterior(fit))))),
               c(.1523883, .14612508, .16464859, .11425391, .07459433), tolerance = 1e-6)
})

test_that("the evidence is the density of the responses, whatever the prior and the noise", {
  for (sd in c(0.3, 2)) {
    fit <- fit_bayes_nn(fixture$x, fixture$y, hidden = 0, posterior = "laplace", prior = prior_normal(0, sd),
                        sigma = 0.5)
    z <- cbind(1, fixture$x)
    covariance <- 0.25 * diag(32) + sd^2 * tcrossprod(z)
    root <- chol(covariance)
    exact <- -sum(backsolve(root, fixture$y, transpose = TRUE)^2) / 2 - sum(log(diag(root))) - 16 * log(2 * pi)
    expect_equal(evidence(fit), exact, tolerance = 1e-9)
    expect_equal(sum(elbo(fit)) - attr(elbo(fit), "kl"), exact, tolerance = 1e-9)
    weights <- solve(crossprod(z) / 0.25 + diag(1 / sd^2, 5))
    expect_equal(unname(vcov(fit)), unname(weights), tolerance = 1e-8)
  }
})

test_that("a logistic regression has the mode, the covariance and the evidence of Laplace's method", {
  data <- data.frame(am = mtcars$am == 1, wt = drop(scale(mtcars$wt)), hp = drop(scale(mtcars$hp)))
  fit <- linearised(am ~ wt + hp, data, hidden = 0, prior = prior_normal(0, 1))
  expect_equal(fit$theta, c(-2.282927838, .534439920, -.559854442), tolerance = 1e-6)
  expect_equal(varnn:::weight_posterior(fit)$sd, c(.647758745, .443162881, .412812408), tolerance = 1e-6)
  expect_equal(evidence(fit), -14.78350529, tolerance = 1e-8)
})

test_that("under a flat prior the covariance is that of lm() and glm()", {
  flat <- prior_normal(0, 1e5)
  model <- lm(mpg ~ wt + factor(cyl), mtcars)
  fit <- linearised(mpg ~ wt + factor(cyl), mtcars, hidden = 0, prior = flat, sigma = summary(model)$sigma)
  expect_equal(vcov(fit), vcov(model), tolerance = 1e-5)
  expect_equal(coef(fit), coef(model), tolerance = 1e-5)
  for (family in list(poisson(), binomial())) {
    data <- if (family$family == "poisson") data.frame(y = warpbreaks$breaks, warpbreaks[-1])
    else data.frame(y = mtcars$vs, mtcars[c("wt", "disp")])
    data$w <- rep(1:3, length.out = nrow(data))
    model <- glm(y ~ . - w, family, data, weights = w)
    fit <- fit_bayes_nn(y ~ . - w, data, weights = w, hidden = 0, posterior = "laplace", prior = flat, family = family)
    expect_equal(vcov(fit), vcov(model), tolerance = 1e-4)
  }
})

test_that("predictions are those of the normal eta: means, intervals, densities", {
  fit <- linearised(mpg ~ wt + hp, mtcars, hidden = 6, sigma = "learned")
  new <- mtcars[c(1, 7, 20), ]
  moments <- varnn:::eta_moments(fit, varnn:::row_data(fit, varnn:::found_rows(fit, new, environment())))
  block <- fit$blocks[[1]]
  mean <- block$center + block$scale * moments$mean[, 1]
  sd <- block$scale * sqrt(moments$cov[, 1, 1])
  expect_equal(unname(predict(fit, new)), mean)
  expect_equal(unname(predict(fit, new, interval = "confidence")),
               cbind(mean, mean - 1.959964 * sd, mean + 1.959964 * sd), tolerance = 1e-6, ignore_attr = TRUE)
  all <- sqrt(sd^2 + sigma(fit)^2)
  expect_equal(unname(predict(fit, new, interval = "prediction", level = 0.8)),
               cbind(mean, mean - 1.281552 * all, mean + 1.281552 * all), tolerance = 1e-6, ignore_attr = TRUE)
  rows <- varnn:::rows_with_response(fit, new, NULL, environment())
  expect_equal(varnn:::row_log_density(fit, rows), dnorm(new$mpg, mean, all, log = TRUE), tolerance = 1e-8)
  set.seed(1)
  drawn <- posterior_epred(fit, new, draws = 4000)
  expect_lt(max(abs(colMeans(drawn) - mean) / sd), 4 / sqrt(4000))
  expect_equal(apply(drawn, 2, stats::sd), sd, tolerance = 0.05, ignore_attr = TRUE)
})

test_that("the leverages add up to the effective number of parameters", {
  fit <- linearised(mpg ~ wt + hp, mtcars, hidden = 6, sigma = "learned")
  moments <- varnn:::eta_moments(fit, varnn:::row_data(fit, varnn:::found_rows(fit, mtcars, environment())))
  expect_equal(sum(moments$cov) / exp(2 * fit$blocks[[1]]$fixed), sum(fit$laplace$effective), tolerance = 1e-8)
})

test_that("with fewer rows than weights the variances are those of the whole covariance", {
  set.seed(11)
  d <- data.frame(x = rnorm(9), z = rnorm(9), y = rnorm(9))
  d$w <- rep(c(1, 2, 3), 3)
  fit <- fit_bayes_nn(y ~ x + z, d, weights = w, hidden = 12, posterior = "laplace", members = 1, sigma = 0.5,
                      prior = prior_normal())
  state <- varnn:::laplace_state(fit, varnn:::engine_layout(fit$spec))
  state$layout <- list(leaves = fit$layout)
  state$alpha <- state$alpha * c(0.5, 1, 2, 4)
  data <- varnn:::engine_data(matrix(rnorm(18), 9), matrix(d$y, 9), weights = d$w)
  few <- varnn:::laplace_curvature(state, data, with_root = FALSE)
  all <- varnn:::laplace_curvature(state, data)
  expect_null(few$root)
  expect_equal(few$variance, all$variance, tolerance = 1e-9)
  expect_equal(few$effective, all$effective, tolerance = 1e-8)
})

test_that("leaving a row out is leaving it out where the model is linear and gaussian", {
  prior <- prior_normal(0, 1)
  fit <- fit_bayes_nn(fixture$x, fixture$y, hidden = 0, posterior = "laplace", prior = prior, sigma = 0.5,
                      standardize = FALSE)
  y <- cbind(fixture$y - fit$blocks[[1]]$center)
  found <- varnn:::loo_log_density(fit, y, varnn:::row_data(fit, list(x = fixture$x)))
  for (i in c(1, 17, 29)) {
    z <- cbind(1, fixture$x)
    precision <- crossprod(z[-i, ]) / 0.25 + diag(5)
    mean <- solve(precision, crossprod(z[-i, ], y[-i]) / 0.25)
    sd <- sqrt(0.25 + z[i, ] %*% solve(precision, z[i, ]))
    expect_equal(found[i], dnorm(y[i], sum(z[i, ] * mean), drop(sd), log = TRUE), tolerance = 1e-5)
  }
})

test_that("a noise that depends on x is found, and a constant one is a member of its own", {
  set.seed(4)
  x <- runif(400, -2, 2)
  d <- data.frame(x, y = sin(2 * x) + exp(x - 1) * rnorm(400))
  fit <- linearised(y ~ x, d, hidden = 12, sigma = "hetero")
  new <- data.frame(x = c(-1.5, 0, 1.5))
  width <- apply(predict(fit, new, interval = "prediction")[, 2:3], 1, diff) / 3.92
  expect_equal(unname(width), exp(new$x - 1), tolerance = 0.25)
  both <- linearised(y ~ x, d, hidden = 12, sigma = "auto", members = 4)
  is_constant <- vapply(members(both), function(m) any(is.infinite(m$spec$precision)), NA)
  expect_identical(is_constant, c(FALSE, TRUE, FALSE, TRUE))
  expect_gt(sum(attr(members(both), "weights")[!is_constant]), 0.9)
  expect_length(evidence(both), 4)
})

test_that("a leverage beyond the bound counts as the bound", {
  fit <- linearised(mpg ~ wt + hp, mtcars, hidden = 6, sigma = "learned")
  y <- varnn:::training_y(list(response = mtcars$mpg), fit$blocks)
  block <- fit$blocks[[1]]
  of <- function(leverage) {
    variance <- leverage * exp(2 * block$fixed)
    moments <- list(mean = matrix(0.3, 32), cov = array(variance, c(32, 1, 1)))
    varnn:::cavity_moments(block, y, moments, block$fixed)$cov[1] / exp(2 * block$fixed)
  }
  expect_equal(of(0.5), 1)
  expect_equal(of(0.7), 7 / 3)
  expect_equal(of(0.95), 7 / 3)
})

test_that("a member whose evidence is far below the greatest has no weight, and kinds of noise are stacked as wholes", {
  both <- linearised(mpg ~ wt + hp, mtcars, hidden = 3, sigma = "auto", members = 4)
  fits <- unname(lapply(members(both), identity))
  train <- varnn:::training_data(both, mtcars)
  found <- varnn:::laplace_weights(fits, train)
  expect_equal(found, unname(attr(members(both), "weights")))
  best <- max(evidence(both)[-1])
  of_first <- function(lost) {
    fits[[1]]$laplace$evidence <- best - 32 * lost
    varnn:::laplace_weights(fits, train)[1]
  }
  expect_gt(of_first(0.39), 0)
  expect_identical(of_first(0.41), 0)
  of_many <- function(share) {
    fits[[2]]$laplace$effective <- 32 * share
    varnn:::trusted_members(fits, 32)
  }
  expect_identical(of_many(0.89), 1:4)
  expect_identical(of_many(0.91), c(1L, 3L, 4L))
  for (k in 1:4) fits[[k]]$laplace$effective <- 40
  expect_identical(varnn:::trusted_members(fits, 32), 1:4)
  # one kind alone: an independent maximum of the same function
  loo <- vapply(fits[c(1, 3)], function(f) {
    varnn:::loo_log_density(f, varnn:::training_y(train, f$blocks), varnn:::row_data(f, train))
  }, numeric(32))
  value <- function(w) mean(log(exp(loo) %*% c(w, 1 - w))) + 0.2 * mean(log(c(w, 1 - w)))
  expect_equal(varnn:::laplace_weights(fits[c(1, 3)], train)[1],
               stats::optimize(value, c(0, 1), maximum = TRUE, tol = 1e-9)$maximum, tolerance = 1e-5)
})

test_that("stacking with a prior is the mode of the Dirichlet posterior", {
  set.seed(5)
  log_density <- matrix(rnorm(90), 30)
  prior <- c(0.5, 0.3, 0.2)
  w <- varnn:::stacking_weights(log_density, NULL, prior, 0.5)
  value <- function(w) mean(log(exp(log_density) %*% w)) + 0.5 * sum(prior * log(w))
  found <- stats::optim(c(0, 0), function(p) -value(exp(c(p, 0)) / sum(exp(c(p, 0)))), control = list(reltol = 1e-14))
  expect_equal(w, exp(c(found$par, 0)) / sum(exp(c(found$par, 0))), tolerance = 1e-4)
})

test_that("units that are not needed cost nothing: the effective number does not grow with them", {
  effective <- vapply(c(8, 40), function(h) sum(linearised(mpg ~ wt + hp, mtcars, hidden = h)$laplace$effective), 0)
  expect_lt(effective[2], 1.5 * effective[1] + 2)
})

test_that("weights are numbers of rows, and rows of weight 0 are absent", {
  d <- mtcars[c("mpg", "wt", "hp")]
  twice <- linearised(mpg ~ wt + hp, rbind(d, d), hidden = 0)
  weighted <- fit_bayes_nn(mpg ~ wt + hp, d, hidden = 0, weights = rep(2, 32), posterior = "laplace")
  expect_equal(evidence(twice), evidence(weighted), tolerance = 1e-6)
  expect_equal(vcov(twice), vcov(weighted), tolerance = 1e-5)
  set.seed(1)
  absent <- fit_bayes_nn(mpg ~ wt + hp, d, hidden = 4, weights = rep(c(1, 0), c(25, 7)), posterior = "laplace",
                         members = 1)
  there <- linearised(mpg ~ wt + hp, d[1:25, ], hidden = 4)
  expect_equal(evidence(absent), evidence(there), tolerance = 1e-6)
})

test_that("what the posterior cannot have is refused in words", {
  expect_error(linearised(mpg ~ wt, mtcars, optimizer = "adam"), "seeks the mode by L-BFGS")
  expect_error(linearised(mpg ~ wt, mtcars, estimator = "local"), "nothing to draw")
  expect_error(linearised(mpg ~ ., mtcars, hidden = c(1e5, 1e5)), "needs .* GB, more than there is")
  expect_error(evidence(fit_nn(mpg ~ wt, mtcars, hidden = 0)), "posterior` = \"laplace\"")
  expect_error(evidence(1), "must be a fit")
})

test_that("a linearised fit that was damaged is refused", {
  fit <- linearised(mpg ~ wt, mtcars, hidden = 3)
  within_field <- function(f, name, value) {
    f$laplace[[name]] <- value
    f
  }
  broken <- list(function(f) within_field(f, "root", -f$laplace$root), function(f) within_field(f, "root", 1:3),
                 function(f) within_field(f, "active", rev(f$laplace$active)),
                 function(f) within_field(f, "evidence", NA),
                 function(f) {
                   f$spec$precision <- f$spec$precision[-1]
                   f
                 })
  for (change in broken) expect_error(predict(change(fit), mtcars), "damaged")
})

test_that("training goes on from where it was", {
  fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0, posterior = "laplace")
  more <- continue(fit, 80)
  expect_equal(evidence(more), evidence(fit), tolerance = 1e-6)
  expect_gt(nrow(more$history), nrow(fit$history))
  expect_error(continue(fit, 3, optimizer = "adam"), "seeks the mode by L-BFGS")
  mixture <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, members = 2, epochs = 5)
  expect_error(continue(mixture, 3, optimizer = "sgd"), "seeks the mode by L-BFGS")
})

test_that("the summary's effective numbers are those of the evidence, and weights that are kept where they are none", {
  of <- function(...) linearised(..., data = mtcars, activation = "tanh", keep_data = TRUE)
  both <- members(of(mpg ~ wt + hp, hidden = 3, members = 2))
  for (fit in c(both, list(of(mpg ~ wt + hp, hidden = 0), of(cbind(mpg, qsec) ~ wt, hidden = 2),
                           of(mpg ~ wt, hidden = 2, prior = prior_normal(0, 2, fan_in = TRUE))))) {
    s <- summary(fit)
    expect_equal(s$n_effective, sum(fit$laplace$effective), tolerance = 1e-6)
    expect_equal(s$n_weights, length(fit$laplace$active))
    expect_false(anyNA(s$layers))
    expect_true(all(s$layers$effective <= s$layers$weights))
    expect_lt(check_gradients(fit), 1e-5)
  }
  expect_identical(vapply(both, function(m) summary(m)$n_weights, 0), c(17, 13))
  expect_output(print(summary(both[[2]])), "of 13 weights and biases")
})

test_that("the size of a negative binomial distribution is at the mode, not where the noise of a normal one would be", {
  set.seed(1)
  d <- data.frame(x = 1:200 / 20)
  d$n <- stats::rnbinom(200, 2, mu = exp(1 + sin(d$x)))
  fit <- linearised(n ~ sin(x), d, hidden = 0, family = "negative_binomial")
  own <- varnn:::block_free(fit)[[1]]
  # of the network at the mode
  at_mode <- varnn:::engine_run(fit$spec, fit$theta, varnn:::row_data(fit, varnn:::found_rows(fit, d, environment())))
  nll <- function(log_size) -sum(stats::dnbinom(d$n, exp(log_size), mu = exp(at_mode[, 1]), log = TRUE))
  expect_equal(own, stats::optimize(nll, c(-3, 5))$minimum, tolerance = 1e-3)
  # without overdispersion there is none, and the fit is whole
  whole <- linearised(carb ~ wt, mtcars, hidden = 2, family = "negative_binomial")
  expect_true(all(is.finite(whole$theta)))
  expect_true(all(is.finite(predict(whole, mtcars, interval = "prediction"))))
})

test_that("intervals of the default hold their share of the density that log_lik() has of the response", {
  set.seed(6)
  x <- runif(60, -2, 2)
  d <- data.frame(x, y = sin(2 * x) + exp(x / 2) / 3 * rnorm(60))
  fit <- fit_bayes_nn(y ~ x, d, hidden = 5, members = 4)
  expect_s3_class(fit, c("varnn_mixture", "varnn_bayes_nn", "varnn"), exact = TRUE)
  new <- data.frame(x = c(-1.7, 0.1, 2.5))
  found <- predict(fit, new, interval = "prediction", level = 0.9)
  for (i in 1:3) {
    density <- function(y) {
      rows <- varnn:::rows_with_response(fit, data.frame(x = new$x[i], y = y), NULL, environment())
      exp(varnn:::row_log_density(fit, rows))
    }
    below <- function(q) integrate(density, found[i, "fit"] - 40, q, subdivisions = 2000, rel.tol = 1e-7)$value
    expect_equal(c(below(found[i, "lwr"]), below(found[i, "upr"])), c(0.05, 0.95), tolerance = 1e-3)
    mean <- integrate(function(y) y * density(y), found[i, "fit"] - 40, found[i, "fit"] + 40, subdivisions = 2000,
                      rel.tol = 1e-7)$value
    expect_equal(mean, found[[i, "fit"]], tolerance = 1e-3)
  }
})

test_that("draws of the network itself are on request", {
  fit <- linearised(mpg ~ wt + hp, mtcars, hidden = 3, sigma = "learned")
  set.seed(2)
  network <- posterior_epred(fit, mtcars, draws = 50, linearised = FALSE)
  set.seed(2)
  shifts <- varnn:::weight_shifts(fit, 50)
  z <- scale(as.matrix(mtcars[c("wt", "hp")]), fit$scaling$center, fit$scaling$scale)
  of <- function(k) {
    theta <- fit$theta + shifts[, k]
    leaf <- function(i) array(theta[leaf_index(fit$layout[i, ])], unlist(fit$layout[i, c("rows", "cols")]))
    w <- lapply(seq_len(4), leaf)
    a <- tcrossprod(z, w[[1]]) + rep(w[[2]], each = 32)
    h <- if (identical(fit$spec$option[2], "tanh")) tanh(a) else pmax(a, 0)
    fit$blocks[[1]]$center + fit$blocks[[1]]$scale * drop(tcrossprod(h, w[[3]]) + c(w[[4]]))
  }
  expect_equal(unname(network), t(unname(vapply(seq_len(50), of, numeric(32)))))
  of_members <- linearised(mpg ~ wt + hp, mtcars, hidden = 3, members = 2)
  expect_identical(dim(posterior_predict(of_members, mtcars, draws = 30, linearised = FALSE)), c(30L, 32L))
  in_network <- mean(log_lik(fit, mtcars, draws = 500, linearised = FALSE))
  expect_lt(in_network, mean(log_lik(fit, mtcars, draws = 500)))
  expect_refused(posterior_epred(fit, linearised = NA), "linearised")
})

test_that("a noise that depends on x does not vanish where there is no error, as of one row", {
  for (n in 1:2) for (seed in 1:8) {
    set.seed(seed)
    fit <- fit_bayes_nn(mpg ~ wt, mtcars[seq_len(n), ], sigma = "hetero", posterior = "laplace", members = 1)
    expect_true(all(is.finite(predict(fit, mtcars, interval = "prediction"))))
    expect_true(is.finite(evidence(fit)))
  }
})
