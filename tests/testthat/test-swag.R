# The normal distribution of a path against the path's own moments, and against the stationary covariance of stochastic
# gradient descent on a quadratic.

test_that("the posterior has the mean of the points, half their variances and half their covariance", {
  set.seed(1)
  layers <- list(layer("dense", 3, "bias"), activation_layer("tanh"), layer("dense", 1, "bias"))
  of <- function(posterior) {
    spec_layout(new_spec(2, layers, list(a_block("gaussian", 1, "each")), posterior = posterior, rank = 6))
  }
  from <- of("point")
  points <- matrix(stats::rnorm(from$n_par * 6), ncol = 6)
  theta <- swag_theta(points, from$leaves, of("swag"), 6)
  fit <- list(theta = theta, layout = of("swag")$leaves,
              spec = list(posterior = "swag", layer = vapply(layers, `[[`, "", "layer")))
  q <- weight_posterior(fit)
  own <- points[from$leaves$offset[from$leaves$role == "noise"] + 1, ]
  weights <- points[unlist(lapply(which(from$leaves$role != "noise"), function(i) leaf_index(from$leaves[i, ]))), ]
  expect_equal(q$mean, rowMeans(weights))
  expect_equal(unname(weight_covariance(q)),
               stats::cov(t(weights)) / 2 + diag(apply(weights, 1, stats::var) * 5 / 6 / 2))
  expect_equal(theta[leaf_index(noise_leaf(of("swag")$leaves, 1))], mean(own))
})

# Mandt, Hoffman and Blei (2017), in discrete time: S = (I - r A) S (I - r A) + r^2 C / B.
stationary <- function(a, c, rate, batch) {
  step <- diag(nrow(a)) - rate * a
  matrix(solve(diag(nrow(a)^2) - kronecker(step, step), as.vector(rate^2 * c / batch)), nrow(a))
}

test_that("of linear regression it is the stationary covariance of the path, about the mode", {
  skip_if_counted()
  set.seed(2)
  n <- 60
  x <- cbind(a = stats::rnorm(n), b = stats::rnorm(n, 0, 2))
  y <- drop(x %*% c(1, -1)) + stats::rnorm(n)
  rate <- 0.05
  fit <- fit_bayes_nn(x, y, hidden = 0, standardize = FALSE, sigma = 1, prior = prior_normal(0, 1), batch_size = 10,
                      epochs = 500, posterior = posterior_swag(rank = 1000, epochs = 3000, learn_rate = rate))
  wide <- cbind(1, x)
  scale <- fit$blocks[[1]]$scale
  a <- (crossprod(wide) / scale^-2 / scale^2 + diag(3)) / n
  mode <- solve(n * a, crossprod(wide, y))
  gradients <- wide * drop(wide %*% mode - y)
  c <- crossprod(gradients - rep(colMeans(gradients), each = n)) / n
  truth <- stationary(a, c, rate, 10)
  v <- vcov(fit)
  expect_lt(max(abs(coef(fit) - drop(mode)) / sqrt(diag(truth))), 0.25)
  expect_equal(diag(v) / diag(truth), rep(1, 3), tolerance = 0.12, ignore_attr = TRUE)
  off <- upper.tri(v)
  expect_lt(max(abs((2 * v - truth) / sqrt(diag(truth) %o% diag(truth)))[off]), 0.12)
  drawn <- posterior_epred(fit, x[1:4, ], draws = 4000)
  expect_equal(apply(drawn, 2, stats::var) / diag(wide[1:4, ] %*% v %*% t(wide[1:4, ])), rep(1, 4), tolerance = 0.1,
               ignore_attr = TRUE)
  expect_true(all(standard_errors_off(drawn, drop(wide[1:4, ] %*% coef(fit))) < 4))
})

test_that("the rate is that of the paper, or one over the greatest curvature", {
  set.seed(3)
  n <- 200
  x <- matrix(stats::rnorm(2 * n), n) %*% diag(c(1, 3))
  y <- drop(x %*% c(1, 1)) + stats::rnorm(n)
  spec <- gaussian_spec(2, list(layer("dense", 1, "none")), 0, posterior = "point",
                        prior = list(kind = "normal", sd = 1))
  control <- nn_control(batch_size = 200)
  control$objective <- list(coefficient = c(kl_weights = 1 / n))
  data <- engine_data(x, matrix(y))
  a <- (crossprod(x) + diag(2)) / n
  mode <- drop(solve(n * a, crossprod(x, y)))
  expect_equal(sgd_rate(mode, spec, data, control), 1 / max(eigen(a)$values), tolerance = 1e-4)
  # so many cases that a rate as small is the posterior's
  control$objective <- list(coefficient = c(kl_weights = 1e-6))
  gradients <- x * drop(x %*% solve(crossprod(x), crossprod(x, y)) - y)
  at <- drop(solve(crossprod(x), crossprod(x, y)))
  trace <- sum(diag(crossprod(gradients))) / n / 200
  expect_equal(sgd_rate(at, spec, data, control) * 1e6 * trace / (2 * 2), 1, tolerance = 0.5)
})

test_that("a rate that diverges is halved and said; the same seed gives the same fit", {
  set.seed(4)
  expect_warning(fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 50,
                                     posterior = posterior_swag(rank = 3, epochs = 5, learn_rate = 1e3)),
                 "diverged at `learn_rate` = 1000 of posterior_swag", class = "varnn_swag_rate")
  expect_true(all(is.finite(predict(fit, mtcars))))
  one <- function() {
    set.seed(5)
    fit_bayes_nn(factor(cyl) ~ wt + hp, mtcars, hidden = 3, epochs = 20, members = 2, weights = carb,
                 posterior = posterior_swag(rank = 3, epochs = 5), validation = 0.2)
  }
  fit <- one()
  expect_identical(fit, one())
  expect_true(all(c("val_loss", "kl_weights") %in% names(member_fits(fit)[[1]]$history)))
  point <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 0, posterior = posterior_swag(2, 2))
  expect_true(all(is.finite(predict(point, mtcars))))
})

test_that("where training ends while the mode is sought the fit is at that point", {
  one <- function(callback) {
    set.seed(7)
    fit_bayes_nn(mpg ~ wt, mtcars, hidden = 3, epochs = 10, posterior = posterior_swag(2, 3), optimizer = "adam",
                 callback = callback)
  }
  stopped <- one(function(epoch, row) epoch >= 3)
  expect_identical(c(stopped$stop_reason, nrow(stopped$history)), c("callback", "3"))
  expect_true(all(is.finite(predict(stopped, mtcars, interval = "prediction"))))
  set.seed(7)
  point <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 3, epochs = 3, posterior = "point", optimizer = "adam")
  expect_equal(predict(stopped, mtcars), predict(point, mtcars), tolerance = 1e-3)
  for (at in c(1, 4)) {
    failed <- tryCatch(one(function(epoch, row) if (epoch == at) stop("boom")), varnn_error_in_training = identity)
    expect_match(conditionMessage(failed), "^boom\nThis ended the training after epoch")
    expect_identical(failed$fit$stop_reason, "error")
    expect_true(all(is.finite(predict(failed$fit, mtcars))))
  }
  on.exit(setTimeLimit())
  limited <- tryCatch(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 3, epochs = 1e6, posterior = "swag",
                                   callback = function(epoch, row) {
                                     if (epoch == 1) setTimeLimit(elapsed = 0.1, transient = TRUE)
                                     FALSE
                                   }), error = identity)
  setTimeLimit()
  expect_s3_class(limited, "varnn_error_in_training")
  expect_match(conditionMessage(limited), "time limit")
})

test_that("the history is that of the point, term by term", {
  one <- function(posterior) {
    set.seed(6)
    fit_bayes_nn(cbind(mpg, qsec) ~ wt + hp, mtcars, hidden = 3, epochs = 20, posterior = posterior,
                 schedule = "cosine",
                 validation = 0.2, optimizer = "adam")$history
  }
  expect_equal(one(posterior_swag(2, 3)), one("point"), tolerance = 1e-12)
})

test_that("what is wrong with options of the path is said", {
  expect_error(posterior_swag(rank = 30, epochs = 20), "`rank` must be at most `epochs`, 20", class = "varnn_error")
  expect_error(posterior_swag(rank = 1), "`rank`", class = "varnn_error")
  expect_error(posterior_swag(learn_rate = -1), "`learn_rate`", class = "varnn_error")
  fit <- suppressWarnings(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5, posterior = posterior_swag(2, 3)))
  expect_error(continue(fit, 2), "`posterior` = \"swag\": fit anew with more `epochs`", fixed = TRUE,
               class = "varnn_error")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "swag", estimator = "weight"), "`estimator`",
               class = "varnn_error")
  expect_output(print(fit), "Posterior: swag with 2 deviations; noise sd", fixed = TRUE)
})
