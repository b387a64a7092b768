# The linearised posterior under priors that are not normal, or that a user writes.

linear_data <- function(n = 30) {
  set.seed(3)
  x <- matrix(rnorm(3 * n), n, dimnames = list(NULL, c("a", "b", "c")))
  data.frame(y = drop(x %*% c(1.5, -0.4, 0)) + rnorm(n, 0, 0.7), x)
}
linearised <- function(..., hidden = 0) {
  set.seed(1)
  fit_bayes_nn(..., hidden = hidden, posterior = "laplace", members = 1, standardize = FALSE, keep_data = TRUE)
}

test_that("a normal prior that is written down has the built-in's posterior", {
  data <- linear_data()
  for (fan_in in c(FALSE, TRUE)) {
    sigma <- if (fan_in) 0.7 else "learned"
    formula <- if (fan_in) y ~ a + b + c - 1 else y ~ a + b + c
    ours <- linearised(formula, data, sigma = sigma,
                       prior = prior_custom(~ -2 * w^2 + log(2) - log(2 * pi) / 2, fan_in = fan_in))
    theirs <- linearised(formula, data, sigma = sigma, prior = prior_normal(0, 0.5, fan_in = fan_in))
    expect_equal(coef(ours), coef(theirs), tolerance = 1e-8)
    expect_equal(vcov(ours), vcov(theirs), tolerance = 1e-8)
    expect_equal(evidence(ours), evidence(theirs), tolerance = 1e-8)
    expect_equal(sigma(ours), sigma(theirs), tolerance = 1e-8)
    expect_equal(attr(elbo(ours), "kl"), attr(elbo(theirs), "kl"), tolerance = 1e-8)
    expect_equal(summary(ours)$n_effective, summary(theirs)$n_effective, tolerance = 1e-8)
    expect_equal(sum(ours$laplace$effective), sum(theirs$laplace$effective), tolerance = 1e-8)
  }
})

# The joint density of one weight w of y = x w + e, e ~ N(0, s^2), and a prior.
one_weight <- function(x, y, s, log_prior) {
  function(w) vapply(w, function(v) sum(dnorm(y, x * v, s, log = TRUE)) + log_prior(v), 0)
}

test_that("of one weight the mode and the curvature are those of the joint density", {
  set.seed(2)
  x <- rnorm(8)
  densities <- list(student = function(w) dt(w / 0.4, 3, log = TRUE) - log(0.4),
                    logistic = function(w) dlogis(w, 0, 0.3, log = TRUE))
  programs <- list(student = ~ log(2 / (pi * sqrt(3) * 0.4)) - 2 * log1p(w^2 / (3 * 0.16)),
                   logistic = ~ -w / 0.3 - 2 * log1p(exp(-w / 0.3)) - log(0.3))
  # the greatest curvature of minus the log density, which is not curved that way everywhere
  curvature <- list(student = function(w) 4 * (0.48 - w^2) / (0.48 + w^2)^2,
                    logistic = function(w) 2 * dlogis(w / 0.3) / 0.09)
  for (prior in names(programs)) for (truth in c(0.2, 2)) {
    y <- truth * x + rnorm(8, 0, 0.5)
    fit <- linearised(y ~ x - 1, data.frame(x, y), sigma = 0.5, prior = prior_custom(programs[[prior]]))
    joint <- one_weight(x, y, 0.5, densities[[prior]])
    mode <- optimize(joint, c(-5, 5), maximum = TRUE, tol = 1e-12)$maximum
    expect_equal(unname(coef(fit)), mode, tolerance = 1e-6, label = prior)
    of_prior <- max(curvature[[prior]](mode), 0.001)
    expect_equal(1 / vcov(fit)[[1]], sum(x^2) / 0.25 + of_prior, tolerance = 1e-6, label = prior)
    expect_equal(evidence(fit), joint(mode) + log(2 * pi * vcov(fit)[[1]]) / 2, tolerance = 1e-6)
    top <- joint(mode)
    exact <- log(integrate(function(w) exp(joint(w) - top), -6, 8, rel.tol = 1e-10)$value) + top
    bound <- sum(elbo(fit)) - attr(elbo(fit), "kl")
    expect_lt(bound, exact)
    expect_gt(bound, exact - 0.05)
    q <- function(w) dnorm(w, mode, sqrt(vcov(fit)[[1]]))
    by_q <- integrate(function(w) q(w) * (joint(w) - log(q(w))), mode - 4, mode + 4)$value
    expect_equal(bound, by_q, tolerance = 1e-5)
  }
})

test_that("of several weights the precision is the curvature of minus the log joint density", {
  set.seed(5)
  x <- matrix(rnorm(120), 40)
  data <- data.frame(n = rpois(40, exp(drop(x %*% c(0.5, -0.3, 0)))), b = runif(40) < plogis(x[, 1]), x)
  priors <- list(logistic = prior_custom(~ w - 2 * log1pexp(w), fan_in = TRUE), mixture = prior_mixture(0.4, c(1, 0.5)))
  log_prior <- list(logistic = function(w) {
    unit <- c(rep(1 / sqrt(3), 3), 1)
    sum(dlogis(w / unit, log = TRUE) - log(unit))
  }, mixture = function(w) sum(log(0.4 * dnorm(w) + 0.6 * dnorm(w, 0, 0.5))))
  for (prior in names(priors)) for (response in c("n", "b")) {
    fit <- linearised(reformulate(c("X1", "X2", "X3"), response), data, prior = priors[[prior]],
                      family = if (response == "n") "poisson" else "bernoulli")
    joint <- function(w) {
      eta <- drop(x %*% w[1:3]) + w[4]
      log_prior[[prior]](w) +
        sum(if (response == "n") dpois(data$n, exp(eta), log = TRUE) else dbinom(data$b, 1, plogis(eta), log = TRUE))
    }
    best <- optim(numeric(4), joint, method = "BFGS", control = list(fnscale = -1, reltol = 1e-15, maxit = 1000))
    w <- unname(coef(fit))[c(2:4, 1)]
    expect_equal(w, best$par, tolerance = 1e-4)
    expect_gte(joint(w), best$value - 1e-8)
    hessian <- -optimHess(w, joint, control = list(ndeps = rep(1e-3, 4)))
    expect_equal(unname(solve(vcov(fit)))[c(2:4, 1), c(2:4, 1)], hessian, tolerance = 1e-5)
    expect_equal(evidence(fit), joint(w) + 2 * log(2 * pi) - determinant(hessian)$modulus[[1]] / 2, tolerance = 1e-5)
  }
})

test_that("Laplace's prior has the normal bound that is best under the posterior", {
  data <- linear_data()
  z <- cbind(as.matrix(data[-1]), 1)
  for (fan_in in c(FALSE, TRUE)) {
    fit <- linearised(y ~ a + b + c, data, sigma = 0.7, prior = prior_laplace(0, 0.3, fan_in = fan_in))
    b <- 0.3 / if (fan_in) sqrt(c(3, 3, 3, 1)) else 1
    s <- rep(1, 4)
    for (i in 1:500) {
      covariance <- solve(crossprod(z) / 0.49 + diag(1 / (b * s)))
      mean <- drop(covariance %*% crossprod(z, data$y)) / 0.49
      s <- sqrt(mean^2 + diag(covariance))
    }
    expect_equal(fit$theta[1:4], unname(mean), tolerance = 1e-6)
    expect_equal(unname(vcov(fit))[c(2:4, 1), c(2:4, 1)], unname(covariance), tolerance = 1e-6)
    # the evidence is the marginal likelihood under the bound
    marginal <- 0.49 * diag(30) + z %*% diag(b * s) %*% t(z)
    likelihood <- -(30 * log(2 * pi) + determinant(marginal)$modulus[[1]] + sum(data$y * solve(marginal, data$y))) / 2
    constant <- sum(log(2 * pi * b * s) / 2 - s / (2 * b) - log(2 * b))
    expect_equal(evidence(fit), likelihood + constant, tolerance = 1e-7)
    expect_lt(evidence(fit), sum(elbo(fit)) - attr(elbo(fit), "kl"))
  }
  x <- data$c
  y <- 0.1 * x + data$y / 3
  fit <- linearised(y ~ x - 1, data.frame(x, y), sigma = 0.6, prior = prior_laplace(0, 0.05))
  joint <- one_weight(x, y, 0.6, function(w) -abs(w) / 0.05 - log(0.1))
  exact <- integrate(function(w) exp(joint(w) + 20), -1, 0, rel.tol = 1e-10)$value +
    integrate(function(w) exp(joint(w) + 20), 0, 1, rel.tol = 1e-10)$value
  bound <- sum(elbo(fit)) - attr(elbo(fit), "kl")
  expect_lt(evidence(fit), bound)
  expect_lt(bound, log(exact) - 20)
  expect_gt(evidence(fit), log(exact) - 20 - 0.3)
  expect_equal(summary(fit)$layers$prior_sd, sqrt(2) * 0.05)
})

test_that("networks have them, with a noise that depends on x, by members, in pieces and from files", {
  cars <- mtcars[c("mpg", "wt", "hp")]
  heavy <- prior_custom(~ -log(pi) - log1p(w^2))
  for (prior in list(heavy, prior_laplace(0, 1, fan_in = TRUE), prior_mixture())) {
    set.seed(1)
    fit <- fit_bayes_nn(mpg ~ ., cars, hidden = 3, activation = "tanh", posterior = "laplace", prior = prior,
                        members = 2, epochs = 40, keep_data = TRUE)
    expect_silent(check_fit(fit))
    held <- vapply(member_fits(fit), function(m) any(is.infinite(m$spec$precision)), NA)
    expect_identical(sort(held), c(FALSE, TRUE))
    for (m in member_fits(fit)) {
      expect_lt(c(check_gradients(m)), 1e-6)
      least <- least_precision(weight_groups(m$layout, m$blocks))[1]
      expect_true(all(m$spec$precision >= least))
    }
    p <- predict(fit, cars[1:4, ], interval = "prediction")
    expect_true(all(p[, "lwr"] < p[, "fit"] & p[, "fit"] < p[, "upr"]))
    expect_output(print(fit), prior$words, fixed = TRUE)
    file <- tempfile()
    saveRDS(fit, file)
    expect_identical(predict(readRDS(file), cars[1:4, ], interval = "prediction"), p)
    again <- continue(members(fit)[[1]], 20)
    expect_silent(check_fit(again))
    expect_true(is.finite(evidence(again)))
  }
  by_name <- fit_bayes_nn(mpg ~ wt, cars, hidden = 2, posterior = "laplace", prior = heavy, members = 1, epochs = 9,
                          sigma = "learned")
  expect_identical(update(by_name, epochs = 10)$spec$programs, by_name$spec$programs)
  damaged <- by_name
  damaged$spec$precision <- damaged$spec$precision[-1]
  expect_error(predict(damaged, cars), "damaged")
  damaged$spec$precision <- NULL
  expect_error(predict(damaged, cars), "damaged")
})

test_that("the precision of each weight of a large network is that of the curvature there, in the basis of its layer", {
  set.seed(1)
  fit <- quick_bayes(mpg ~ wt + hp, mtcars, hidden = 3, posterior = "laplace", members = 1, sigma = "learned",
                     prior = prior_custom(~ -log(pi) - log1p(w^2)))
  state <- laplace_state(fit, spec_layout(fit$spec))
  i <- which(fit$layout$name == "layer1.weight")
  at <- leaf_index(fit$layout[i, ])
  prior <- matrix(state$precision[at], 3)
  expect_gt(stats::sd(prior), 0)
  x <- matrix(rnorm(40), 20)
  dy <- matrix(rnorm(60), 20)
  leaf <- layer_posterior(state, i, function(visit) visit(x, list(dy), 1:20))
  jacobian <- t(vapply(1:20, function(r) as.vector(dy[r, ] %o% x[r, ]), numeric(6)))
  precision <- crossprod(jacobian) + diag(as.vector(prior))
  basis <- kronecker(if (is.null(leaf$`in`)) diag(2) else leaf$`in`, if (is.null(leaf$out)) diag(3) else leaf$out)
  expect_equal(as.vector(1 / leaf$sd^2), diag(crossprod(basis, precision %*% basis)), tolerance = 1e-10)
})

test_that("a prior without curvature says so", {
  straight <- prior_custom(~ -abs(w) - log(2))
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, posterior = "laplace", prior = straight),
               "log density that is curved downwards somewhere.*prior_laplace", class = "varnn_error")
})

test_that("a given normal prior is that of each weight and bias, whatever the noise", {
  set.seed(1)
  prior <- prior_normal(0, 2, fan_in = TRUE)
  linear <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0, posterior = "laplace", prior = prior, sigma = 0.4)
  expect_equal(linear$spec$precision, c(2, 2, 1) / 4)
  network <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 3, posterior = "laplace", prior = prior, sigma = "hetero",
                          members = 1)
  expect_equal(network$spec$precision, rep(c(1, 1, 3, 1) / 4, c(3, 3, 6, 2)))
})
