# Closed-form truths from outside the package. Linear models to 1e-6 with L-BFGS (linear() of the helpers) and to 1e-3
# with Adam; what is drawn to 4 standard errors.

relative_error <- function(x, truth) max(abs(unname(x) - unname(truth))) / max(abs(truth))

# ---- no hidden layer: the linear models

test_that("squared loss is lm()", {
  truth <- stats::lm(mpg ~ wt + factor(cyl) * hp + poly(qsec, 2), mtcars)
  fit <- linear(stats::formula(truth), mtcars)
  expect_lt(relative_error(predict(fit, mtcars), stats::fitted(truth)), 1e-6)
  expect_equal(-32 * min(fit$history$nll), as.numeric(stats::logLik(truth)), tolerance = 1e-6)
  truth <- stats::lm(mpg ~ wt + hp, mtcars)
  expect_lt(relative_error(predict(by_adam(mpg ~ wt + hp, mtcars), mtcars), stats::fitted(truth)), 1e-3)
})

test_that("squared loss without intercept, with weights and an offset is lm()", {
  truth <- stats::lm(mpg ~ wt + hp - 1 + offset(qsec), mtcars, weights = carb)
  fit <- linear(mpg ~ wt + hp - 1 + offset(qsec), mtcars, weights = carb)
  expect_lt(relative_error(predict(fit, mtcars), stats::fitted(truth)), 1e-6)
})

test_that("a penalty is ridge regression", {
  x <- scale(as.matrix(mtcars[, -1]))
  y <- scale(mtcars$mpg)
  for (lambda in c(0.01, 0.3, 10)) {
    beta <- solve(crossprod(x) / 32 + lambda * diag(10), crossprod(x, y) / 32)
    truth <- drop(x %*% beta) * stats::sd(mtcars$mpg) + mean(mtcars$mpg)
    fit <- linear(x, mtcars$mpg, penalty = lambda)
    expect_lt(relative_error(predict(fit, x), truth), 1e-6)
    expect_lt(relative_error(predict(by_adam(x, mtcars$mpg, penalty = lambda), x), truth), 1e-3)
  }
})

test_that("a logical response is glm(binomial)", {
  truth <- stats::glm(case ~ age + parity + spontaneous, stats::binomial, infert)
  fit <- linear(case ~ age + parity + spontaneous, transform(infert, case = case == 1))
  expect_lt(relative_error(predict(fit, infert), stats::fitted(truth)), 1e-6)
  expect_equal(-nrow(infert) * min(fit$history$nll), as.numeric(stats::logLik(truth)), tolerance = 1e-6)
  fit <- by_adam(case ~ age + parity + spontaneous, infert, family = "bernoulli")
  expect_lt(relative_error(predict(fit, infert), stats::fitted(truth)), 1e-3)
})

test_that("counts out of n are glm(binomial)", {
  truth <- stats::glm(cbind(ncases, ncontrols) ~ unclass(agegp) + unclass(alcgp), stats::binomial, esoph)
  fit <- linear(cbind(ncases, ncontrols) ~ unclass(agegp) + unclass(alcgp), esoph, family = "binomial")
  expect_lt(relative_error(predict(fit, esoph), stats::fitted(truth)), 1e-6)
  expect_equal(-nrow(esoph) * min(fit$history$nll), as.numeric(stats::logLik(truth)), tolerance = 1e-6)
})

test_that("counts are glm(poisson), the offset included", {
  skip_if_not_installed("MASS")
  insurance <- transform(MASS::Insurance, Group = factor(Group, ordered = FALSE), Age = factor(Age, ordered = FALSE))
  truth <- stats::glm(Claims ~ District + Group + Age + offset(log(Holders)), stats::poisson, insurance)
  fit <- linear(Claims ~ District + Group + Age + offset(log(Holders)), insurance, family = stats::poisson())
  expect_lt(relative_error(predict(fit, insurance), stats::fitted(truth)), 1e-6)
  expect_equal(-nrow(insurance) * min(fit$history$nll), as.numeric(stats::logLik(truth)), tolerance = 1e-6)
  fit <- by_adam(Claims ~ Group + Age + offset(log(Holders)), insurance, family = "poisson")
  expect_lt(relative_error(predict(fit, insurance), stats::fitted(stats::update(truth, . ~ . - District))), 1e-3)
})

test_that("a factor response is nnet::multinom()", {
  skip_if_not_installed("nnet")
  data <- transform(infert, age = age / 10)
  truth <- nnet::multinom(education ~ age + parity + case, data, trace = FALSE, reltol = 1e-14, maxit = 10000)
  fit <- linear(education ~ age + parity + case, data)
  expect_lt(max(abs(predict(fit, data, type = "prob") - stats::fitted(truth))), 1e-6)
  expect_equal(nrow(data) * min(fit$history$nll), truth$value, tolerance = 1e-6)
  fit <- by_adam(education ~ age + parity + case, data)
  expect_lt(max(abs(predict(fit, data, type = "prob") - stats::fitted(truth))), 1e-3)
})

test_that("negative_binomial is MASS::glm.nb(), its size learned", {
  skip_if_not_installed("MASS")
  quine <- MASS::quine
  truth <- MASS::glm.nb(Days ~ Sex + Age + Lrn, quine, control = stats::glm.control(epsilon = 1e-14, maxit = 500))
  fit <- linear(Days ~ Sex + Age + Lrn, quine, family = "negative_binomial")
  expect_equal(-nrow(quine) * min(fit$history$nll), as.numeric(stats::logLik(truth)), tolerance = 1e-6)
  expect_lt(relative_error(predict(fit, quine), stats::fitted(truth)), 1e-5) # the likelihood is flat to its square root
  noise <- fit$theta[leaf_index(fit$layout[fit$layout$role == "noise", ])]
  expect_equal(exp(noise), truth$theta, tolerance = 1e-5)
})

test_that("case weights are repeated rows in every linear model", {
  times <- rep(c(1, 3, 2, 1), 8)
  for (formula in list(mpg ~ wt + hp, vs == 1 ~ wt + qsec, factor(gear) ~ mpg)) {
    by_weight <- linear(formula, mtcars, weights = times, penalty = 0.05)
    by_row <- linear(formula, mtcars[rep(1:32, times), ], penalty = 0.05)
    type <- if (by_weight$family == "categorical") "prob" else "response"
    expect_lt(relative_error(predict(by_weight, mtcars, type = type), predict(by_row, mtcars, type = type)), 1e-6)
    expect_equal(min(by_weight$history$loss), min(by_row$history$loss), tolerance = 1e-9)
  }
})

test_that("with missing entries the log-likelihood is that of the entries there are", {
  set.seed(2)
  x <- matrix(stats::rnorm(80), 40)
  y <- cbind(x[, 1] + stats::rnorm(40), x[, 2] + stats::rnorm(40) / 3)
  y[1:9, 1] <- NA
  y[30:40, 2] <- NA
  fit <- linear(x, y, na.action = "na.pass")
  truth <- stats::logLik(stats::lm(y[, 1] ~ x)) + stats::logLik(stats::lm(y[, 2] ~ x))
  expect_equal(-40 * min(fit$history$nll), as.numeric(truth), tolerance = 1e-6)
})

test_that("the end-to-end product of a deep linear network is the least-squares solution", {
  x <- scale(as.matrix(iris[, 2:4]))
  y <- scale(iris$Sepal.Length)
  set.seed(3)
  fit <- fit_nn(x, iris$Sepal.Length, hidden = c(5, 4), activation = "linear", optimizer = "lbfgs")
  weights <- lapply(which(fit$layout$role == "weight"), function(i) {
    matrix(fit$theta[leaf_index(fit$layout[i, ])], fit$layout$rows[i], fit$layout$cols[i])
  })
  expect_lt(relative_error(drop(weights[[3]] %*% weights[[2]] %*% weights[[1]]), drop(qr.solve(x, y))), 1e-6)
})

# ---- mean-field inference for linear regression with known noise (closed form: A = X'X / s2 + I / t2)

per_row <- c(kl_weights = 1 / 32) # the loss is -ELBO / n

test_that("the optimum and its ELBO are the known numbers", {
  p <- bayes_problem()
  expect_equal(p$m, c(0, -0.7153428746, -0.2153869716, 0.02299661084, 0.1501649593), tolerance = 1e-9)
  expect_equal(p$sd, c(0.07881104, rep(0.08006408, 4)), tolerance = 1e-6)
  theta <- c(p$m, log(p$sd))
  kl <- engine_gradient(p$spec, theta, p$data, a_control(32), term_alone("kl_weights"))$loss
  expect_equal(kl, sum(p$sd^2 + p$m^2 - 1 - log(p$sd^2)) / 2, tolerance = 1e-14)
  set.seed(4)
  elbo <- replicate(repeats(4000, 200), -32 * engine_gradient(p$spec, theta, p$data, a_control(32), per_row)$loss)
  expect_lt(standard_errors_off(elbo, -29.37500954), 4)
})

test_that("the gradient is zero on average at the closed-form optimum, and right beside it", {
  p <- bayes_problem()
  for (away in list(numeric(10), c(0.1, -0.2, 0, 0.1, 0.1, 0.3, -0.5, 0, 1, -1))) {
    sd <- p$sd * exp(away[6:10])
    set.seed(5)
    theta <- c(p$m, log(p$sd)) + away
    one <- function() engine_gradient(p$spec, theta, p$data, a_control(32), per_row, mc_samples = 50)$gradient
    gradient <- t(replicate(repeats(300, 30), one()))
    truth <- c(p$a %*% away[1:5], diag(p$a) * sd^2 - 1) / 32
    expect_true(all(standard_errors_off(gradient, truth) < 4))
  }
})

test_that("training finds the mean-field posterior", {
  p <- bayes_problem()
  set.seed(6)
  control <- nn_control(epochs = repeats(3000, 50), batch_size = 32, learn_rate = 0.02, schedule = "cosine")
  fit <- engine_fit(p$spec, spec_layout(p$spec), p$data, NULL, control, c(p$m, log(p$sd)) + stats::rnorm(10, 0, 0.3),
                    coefficient = per_row, mc_samples = 10)
  if (is_watched()) return(expect_true(all(is.finite(fit$theta))))
  expect_lt(max(abs(fit$theta[1:5] - p$m)), 0.01)
  expect_lt(max(abs(exp(fit$theta[6:10]) / p$sd - 1)), 0.05)
})

test_that("a predictive draw has mean x'm and variance sum x_i^2 v_i", {
  p <- bayes_problem()
  set.seed(7)
  n_draws <- repeats(20000, 500)
  draws <- engine_run(p$spec, c(p$m, log(p$sd)), engine_data(p$x[1:3, ]), mode = "training", draws = n_draws)[, 1, ]
  mean_truth <- drop(p$x[1:3, ] %*% p$m)
  expect_true(all(standard_errors_off(t(draws), mean_truth) < 4))
  expect_true(all(standard_errors_off(t((draws - mean_truth)^2), drop(p$x[1:3, ]^2 %*% p$sd^2)) < 4))
})

# ---- one hidden relu layer with random weights (after Wu et al. 2019): moments of f, expected log-likelihood, KL

test_that("a network of random weights has the closed-form moments", {
  layers <- list(layer("dense", 3, "bias"), layer("activate", option = "relu"), layer("dense", 1, "bias"))
  spec <- gaussian_spec(2, layers, log(0.25) / 2, posterior = "meanfield")
  half_log <- function(variance) log(variance) / 2
  theta <- c(0.5, -0.3, 0.8, -0.6, 0.2, 0.1, half_log(c(0.04, 0.09, 0.01, 0.02, 0.05, 0.03)),
             0.1, -0.2, 0.3, half_log(c(0.01, 0.02, 0.03)),
             0.7, -0.4, 0.9, half_log(c(0.05, 0.02, 0.04)), 0.2, half_log(0.01))
  x <- rbind(c(1, -0.5), c(0.3, 2))
  y <- matrix(c(0.4, 1.1))
  kl <- engine_gradient(spec, theta, engine_data(x, y), a_control(2), term_alone("kl_weights"))$loss
  expect_equal(kl, 18.925929, tolerance = 1e-7)
  set.seed(8)
  f <- t(engine_run(spec, theta, engine_data(x), mode = "training", draws = repeats(40000, 1000))[, 1, ])
  expect_true(all(standard_errors_off(f, c(1.7725299, 0.76964514)) < 4))
  squares <- sweep(f, 2, c(1.7725299, 0.76964514))^2
  expect_true(all(standard_errors_off(squares, c(0.16495147, 0.17328856)) < 4))
  nll <- t(engine_run(spec, theta, engine_data(x, y), "terms", mode = "training", draws = repeats(40000, 1000))[, 1, ])
  expect_true(all(standard_errors_off(nll, c(4.323371, 0.79063714)) < 4))
})

# ---- a linear VAE at its optimum is probabilistic PCA (Tipping & Bishop 1999; Lucas et al. 2019)

test_that("at the optimum of a linear VAE the ELBO is the log-likelihood of probabilistic PCA", {
  x <- unname(scale(as.matrix(iris[, 1:4])))
  e <- eigen(crossprod(x) / 150)
  for (q in 1:2) {
    s2 <- mean(e$values[(q + 1):4])
    w <- e$vectors[, 1:q, drop = FALSE] %*% diag(sqrt(e$values[1:q] - s2), q)
    v <- solve(crossprod(w) + s2 * diag(q), t(w))
    layers <- list(layer("latent", q, "meanfield"), layer("dense", 4, "bias"))
    spec <- new_spec(4, layers, list(a_block("gaussian", 4, "shared")))
    theta <- c(v, rep(0, q), rep(0, 4 * q), log(s2 / e$values[1:q]) / 2, w, rep(0, 4), log(s2) / 2)
    set.seed(9)
    elbo <- replicate(repeats(2000, 100), -150 * engine_gradient(spec, theta, engine_data(x, x), a_control(150))$loss)
    expect_lt(standard_errors_off(elbo, c(-700.127808, -550.9315477)[q]), 4)
    one <- function() engine_gradient(spec, theta, engine_data(x, x), a_control(150))$gradient
    gradient <- t(replicate(repeats(500, 50), one()))
    expect_true(all(standard_errors_off(gradient, 0) < 4.5 | abs(colMeans(gradient)) < 1e-12))
  }
})

# ---- noise

test_that("dropout on the inputs is a ridge penalty on average", {
  skip_if_counted()
  set.seed(10)
  x <- matrix(stats::rnorm(60), 20)
  y <- matrix(stats::rnorm(20))
  w <- c(0.5, -1, 2)
  for (rate in c(0.2, 0.5)) {
    keep <- 1 - rate
    spec <- gaussian_spec(3, list(layer("dropout", setting = rate), layer("dense", 1, "none")))
    one <- function() engine_gradient(spec, w, engine_data(x, y), a_control(20))
    draws <- replicate(repeats(4000, 200), unlist(one()))
    ridge <- (1 - keep) / keep * colSums(x^2)
    loss <- (sum((y - x %*% w)^2) + sum(ridge * w^2)) / 40 + log(2 * pi) / 2
    gradient <- drop(-crossprod(x, y - x %*% w) + ridge * w) / 20
    expect_true(all(standard_errors_off(t(draws), c(loss, gradient)) < 4))
    # predictions have none
    expect_equal(engine_run(spec, w, engine_data(x)), x %*% w, tolerance = 1e-14)
  }
})

test_that("gaussian noise of variance v on the inputs is a ridge penalty n v on average", {
  # a latent layer with an identity head adds it
  set.seed(11)
  x <- matrix(stats::rnorm(40), 20)
  y <- matrix(stats::rnorm(20))
  w <- c(1, -2)
  spec <- gaussian_spec(2, list(layer("latent", 2, "meanfield"), layer("dense", 1, "none")))
  theta <- c(diag(2), 0, 0, rep(0, 4), rep(log(0.3) / 2, 2), w)
  one <- function() engine_gradient(spec, theta, engine_data(x, y), a_control(20), term_alone("nll"))$loss
  loss <- replicate(repeats(4000, 200), one())
  expect_lt(standard_errors_off(loss, (sum((y - x %*% w)^2) + 20 * 0.3 * sum(w^2)) / 40 + log(2 * pi) / 2), 4)
})
