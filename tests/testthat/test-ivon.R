# Steps along the natural gradient against their formula, and where they lead against closed forms.

# Shen et al. (2024), algorithm 1, with the momentum of the whole gradient, and both kinds of steps cut off. `grad` is
# that of the mean loss, n rows make the ELBO; mean and log_sd are places in theta, the others step by adam.
slow_ivon <- function(theta, grad, steps, rate, momentum, n, mean, log_sd) {
  m <- v <- 0
  for (t in seq_len(steps)) {
    g <- grad(theta)
    m <- momentum * m + (1 - momentum) * g
    v <- 0.999 * v + 0.001 * g^2
    precision <- exp(-2 * theta[log_sd])
    change <- pmin(pmax(0.001 * n * g[log_sd], -1), 1)
    precision <- precision * (1 + change + change^2 / 2)
    sd <- 1 / sqrt(precision)
    away <- rate * n * m[mean] / (1 - momentum^t) * sd
    others <- setdiff(seq_along(theta), c(mean, log_sd))
    theta[others] <- theta[others] - rate * (m / (1 - momentum^t) / (sqrt(v / (1 - 0.999^t)) + 1e-8))[others]
    theta[log_sd] <- log(sd)
    theta[mean] <- theta[mean] - pmin(pmax(away, -0.3), 0.3) * sd
  }
  theta
}

test_that("the first steps are those of the paper, cut off where they are long; a noise steps as by adam", {
  set.seed(1)
  n <- 30
  layers <- c(hidden_layers(5, "relu"), list(layer("dense", 1, "bias")))
  spec <- new_spec(2, layers, list(a_block("gaussian", 1, "each")), posterior = "ivon", estimator = "exact")
  layout <- spec_layout(spec)
  data <- engine_data(matrix(stats::rnorm(2 * n), n), matrix(stats::rnorm(n)))
  control <- nn_control(batch_size = n, optimizer = "ivon", learn_rate = 0.05)
  control$objective <- list(coefficient = c(kl_weights = 1 / n))
  is_mean <- layout$leaves$part == 0 & layout$leaves$role != "noise"
  at <- function(which) unlist(lapply(which, function(i) leaf_index(layout$leaves[i, ])))
  for (log_sigma in c(-3, 0)) for (steps in c(1, 2, 9)) {
    theta <- start_theta(layout, 0, log_sigma = log_sigma)
    grad <- function(theta) engine_gradient(spec, theta, data, control)$gradient
    truth <- slow_ivon(theta, grad, steps, 0.05, 0.9, n, at(which(is_mean)), at(which(layout$leaves$part == 1)))
    control$epochs <- steps
    expect_equal(engine_fit(spec, layout, data, NULL, control, theta)$theta, truth, tolerance = 1e-10)
  }
})

test_that("of linear regression it finds the exact mean field, by every estimator", {
  x <- cbind(1, scale(as.matrix(mtcars[c("wt", "hp", "disp", "qsec")])))
  truth <- mean_field(x, scale(mtcars$mpg), 0.2, 1)
  for (estimator in c("exact", "local", "weight")) {
    set.seed(1)
    fit <- bayes_cars(posterior = "ivon", estimator = estimator, epochs = 12000, learn_rate = 0.02,
                     schedule = "cosine")
    found <- linear_posterior(fit)
    expect_lt(max(abs(found$mean - truth$m) / truth$sd), 0.1)
    expect_equal(found$sd, unname(truth$sd), tolerance = 0.04, label = estimator)
  }
})

test_that("posterior = \"ivon\" is a mean field by that optimizer, and others are not", {
  set.seed(1)
  a <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3, posterior = "ivon", epochs = 5)
  set.seed(1)
  b <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3, posterior = "meanfield", estimator = "local", epochs = 5,
                    optimizer = "ivon")
  expect_identical(a$theta, b$theta)
  expect_identical(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, optimizer = "ivon", epochs = 2)$spec$posterior, "ivon")
  expect_output(print(a), "Posterior: ivon, a mean field by natural gradients; estimator local", fixed = TRUE)
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "lowrank", optimizer = "ivon"),
               "`optimizer` = \"ivon\" is for `posterior` = \"meanfield\", not \"lowrank\".", fixed = TRUE,
               class = "varnn_error")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "ivon", optimizer = "sgd"),
               "leave `optimizer` = \"sgd\" out", fixed = TRUE, class = "varnn_error")
})
