# The linearised posterior of networks that are too large for a full covariance, on networks that are not: dense algebra
# gives the same numbers.

# As if a full covariance could be that of the last layer's weights alone, or of none.
of_layers <- function(..., full = "last") {
  last_weights <- function(layout, held) {
    leaves <- layout[layout$role != "noise" & layout$layer == max(layout$layer), ]
    at <- as.integer(unlist(lapply(seq_len(nrow(leaves)), function(i) leaf_index(leaves[i, ]))))
    if (full == "last") sort(at[!held[at]]) else integer()
  }
  set.seed(1)
  arguments <- list(..., data = cars, posterior = "laplace", members = 1)
  with_function("full_weights", last_weights, do.call(fit_bayes_nn, arguments))
}

cars <- transform(mtcars, gear = factor(gear))
layered_fits <- function(full = "last") {
  list(constant = of_layers(mpg ~ wt + hp, hidden = c(5, 4), sigma = "learned", full = full),
       varying = of_layers(mpg ~ wt + hp, hidden = c(5, 4), sigma = "hetero", full = full),
       weighted = of_layers(carb ~ wt + hp, hidden = 4, family = "poisson", weights = rep(1:2, 16), full = full),
       classes = of_layers(gear ~ wt + hp + qsec, hidden = 4, full = full))
}

# The curvature of the linearised network, J'AJ + P, of all its weights.
dense_curvature <- function(fit) {
  state <- varnn:::laplace_state(fit, varnn:::spec_layout(fit$spec))
  train <- varnn:::training_data(fit, cars)
  data <- varnn:::row_data(fit, train, varnn:::training_y(train, fit$blocks))
  eta <- varnn:::engine_run(fit$spec, fit$theta, data)
  seeds <- varnn:::information_roots(state, data$y, eta, fit$weights)
  varnn:::engine_jacobian(fit$spec, fit$theta, data, seq_along(fit$theta), "gram", seed = seeds) +
    diag(fit$spec$precision)
}

test_that("the sides of a layer's slopes are its inputs and the slopes in its biases", {
  fit <- of_layers(mpg ~ wt + hp, hidden = c(5, 4), sigma = "hetero")
  data <- varnn:::row_data(fit, list(x = as.matrix(cars[c("wt", "hp")])))
  leaves <- fit$layout
  for (layer in unique(leaves$layer)) {
    weight <- leaves[leaves$layer == layer & leaves$role == "weight", ]
    bias <- leaves[leaves$layer == layer & leaves$role == "bias", ]
    sides <- varnn:::engine_jacobian(fit$spec, fit$theta, data, weight$offset + 1, "sides")
    slopes <- function(at) varnn:::engine_jacobian(fit$spec, fit$theta, data, at, "images")
    x <- sides[, seq_len(weight$cols), drop = FALSE]
    in_bias <- slopes(leaf_index(bias))
    for (k in 1:2) {
      dy <- sides[, weight$cols + (k - 1) * weight$rows + seq_len(weight$rows), drop = FALSE]
      expect_equal(dy, matrix(in_bias[, k, ], 32))
      of_entry <- vapply(seq_len(weight$rows * weight$cols), function(e) {
        dy[, (e - 1) %% weight$rows + 1] * x[, (e - 1) %/% weight$rows + 1]
      }, numeric(32))
      expect_equal(of_entry, matrix(slopes(leaf_index(weight))[, k, ], 32))
    }
  }
  expect_error(varnn:::engine_jacobian(fit$spec, fit$theta, data, 2, "sides"), "first weight of a layer")
})

test_that("each layer's posterior is the best of independent weights in its basis", {
  for (full in c("last", "none")) for (fit in layered_fits(full)) {
    h <- dense_curvature(fit)
    v <- vcov(fit)
    active <- fit$laplace$active
    if (length(active)) expect_equal(solve(v[active, active]), h[active, active], tolerance = 1e-6, ignore_attr = TRUE)
    for (leaf in fit$laplace$layers) {
      at <- leaf_index(fit$layout[leaf$row, ])
      own <- function(basis, n) if (is.null(basis)) diag(n) else basis
      basis <- kronecker(own(leaf$`in`, ncol(leaf$sd)), own(leaf$out, nrow(leaf$sd)))
      expect_equal(crossprod(basis), diag(length(at)))
      expect_equal(1 / as.vector(leaf$sd)^2, diag(crossprod(basis, h[at, at] %*% basis)), tolerance = 1e-6)
      expect_equal(unname(v[at, at, drop = FALSE]), basis %*% (as.vector(leaf$sd)^2 * t(basis)))
      # the basis that was taken is at least as good as that of the weights themselves
      expect_lte(sum(log(1 / leaf$sd^2)), sum(log(diag(h)[at])) + 1e-8)
      expect_true(all(v[at, -at] == 0))
    }
    off <- fit$theta - fit$spec$center
    root <- chol(v)
    p <- fit$spec$precision
    kl <- sum(p * (diag(v) + off^2) - 1 - log(p)) / 2 - sum(log(diag(root)))
    expect_equal(varnn:::total_kl(fit), kl, tolerance = 1e-8)
    log_joint <- summary(fit)$elbo[["log_lik"]] + sum(log(p) - p * off^2) / 2
    expect_equal(evidence(fit), log_joint + sum(log(diag(root))), tolerance = 1e-8)
  }
})

test_that("outputs whose precisions a priori differ are not mixed, and what is held has no variance", {
  fit <- of_layers(mpg ~ wt + hp, hidden = 4, sigma = "hetero", full = "none")
  state <- varnn:::laplace_state(fit, varnn:::spec_layout(fit$spec))
  state$alpha <- ifelse(state$groups$is_log, 100, 0.1)
  last <- which(fit$layout$name == "layer2.weight")
  set.seed(4)
  x <- matrix(rnorm(80), 20) %*% matrix(rnorm(16), 4)
  dy <- matrix(rnorm(40), 20) %*% matrix(c(1, 2, 2, 1), 2)
  leaf <- varnn:::layer_posterior(state, last, function(visit) visit(x, list(dy), 1:20))
  slopes <- vapply(1:8, function(e) dy[, (e - 1) %% 2 + 1] * x[, (e - 1) %/% 2 + 1], numeric(20))
  own <- function(basis, n) if (is.null(basis)) diag(n) else basis
  basis <- kronecker(own(leaf$`in`, 4), own(leaf$out, 2))
  prior <- state$alpha[state$groups$of[leaf_index(fit$layout[last, ])]]
  expect_equal(1 / as.vector(leaf$sd)^2, diag(crossprod(basis, (crossprod(slopes) + diag(prior)) %*% basis)))
  both <- with_function("full_weights", function(layout, held) integer(), {
    set.seed(1)
    fit_bayes_nn(mpg ~ wt + hp, cars, hidden = 4, posterior = "laplace", members = 2)
  })
  constant <- Filter(varnn:::has_held_noise, members(both))[[1]]
  held <- is.infinite(constant$spec$precision)
  v <- vcov(constant)
  expect_true(all(v[held, ] == 0))
  expect_true(all(diag(v)[!held] > 0))
  expect_true(all(is.finite(predict(both, cars, interval = "prediction"))))
})

test_that("predictions and draws are those of that covariance", {
  for (fit in layered_fits()) {
    rows <- varnn:::training_data(fit, cars)
    rows <- list(x = rows$x[1:6, , drop = FALSE])
    data <- varnn:::row_data(fit, rows)
    v <- vcov(fit)
    moments <- varnn:::eta_moments(fit, data)
    k <- ncol(moments$mean)
    j <- varnn:::engine_jacobian(fit$spec, fit$theta, data, seq_along(fit$theta), "images")
    for (i in 1:6) expect_equal(moments$cov[i, , ], drop(matrix(j[i, , ], k) %*% v %*% t(matrix(j[i, , ], k))),
                                ignore_attr = TRUE)
    set.seed(3)
    draws <- as.matrix(fit, draws = 20000)
    expect_lt(max(abs(apply(draws, 2, stats::sd) / sqrt(diag(v)) - 1)), 0.03)
    z <- (draws - rep(colMeans(draws), each = 20000)) %*% solve(chol(v))
    expect_lt(max(abs(crossprod(z) / 20000 - diag(ncol(z)))), 0.05)
    eta <- varnn:::shifted_eta(fit, data, varnn:::weight_shifts(fit, 4000, c(1, 2)))
    for (i in 1:6) expect_equal(stats::cov(t(matrix(eta[i, , ], k))), matrix(moments$cov[i, , ], k), tolerance = 0.1)
  }
})

test_that("networks of more weights than a full covariance takes are fitted, say what they are, and are kept", {
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ ., mtcars, hidden = c(50, 50), posterior = "laplace", members = 1, sigma = "learned",
                      epochs = 400)
  expect_output(print(fit), "laplace, weights of the last layer dependent; .*layer2.weight")
  expect_length(fit$laplace$active, 51)
  expect_true(all(is.finite(predict(fit, mtcars, interval = "prediction"))))
  file <- tempfile()
  on.exit(unlink(file))
  saveRDS(fit, file)
  expect_identical(predict(readRDS(file), mtcars), predict(fit, mtcars))
  expect_identical(dim(summary(fit)$layers), c(6L, 7L))
  more <- continue(fit, 20)
  expect_gt(evidence(more), evidence(fit) - 5)
  damage <- function(field, value) {
    bad <- fit
    bad$laplace[[field]] <- value
    expect_refused(predict(bad, mtcars), "damaged")
  }
  layers <- fit$laplace$layers
  damage("layers", layers[-1])
  damage("layers", replace(layers, 1, list(replace(layers[[1]], "sd", list(-layers[[1]]$sd)))))
  damage("layers", replace(layers, 2, layers[1]))
  damage("active", fit$laplace$active[-1])
  rotated <- of_layers(mpg ~ wt + hp + qsec, hidden = c(5, 4), sigma = "learned")
  has_basis <- which(vapply(rotated$laplace$layers, function(l) !is.null(l$`in`), NA))
  rotated$laplace$layers[[has_basis[1]]]$`in`[1] <- 2
  expect_refused(predict(rotated, mtcars), "damaged")
})

test_that("the basis of few rows diagonalises their products as eigenvectors do, and is orthogonal", {
  set.seed(1)
  x <- matrix(rnorm(5 * 40), 5)
  x[3, ] <- x[1, ] # dependent rows
  of_parts <- function(parts) {
    sum <- varnn:::product_sum()
    for (part in parts) sum$add(part)
    sum$vectors()
  }
  truth <- eigen(crossprod(x), symmetric = TRUE)$values
  for (parts in list(list(x), list(x[1:2, ], x[3:5, ]), list(x, matrix(0, 30, 40)), list(matrix(0, 30, 40), x))) {
    v <- of_parts(parts)
    expect_equal(crossprod(v), diag(40), tolerance = 1e-12)
    turned <- crossprod(x %*% v)
    expect_lt(max(abs(turned[upper.tri(turned)])), 1e-10)
    expect_equal(sort(diag(turned), decreasing = TRUE), pmax(truth, 0), tolerance = 1e-10)
  }
  expect_null(of_parts(list(matrix(1, 3, 1))))
})
