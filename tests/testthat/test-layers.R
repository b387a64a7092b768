# The layers that autoencoders are made of: tied weights, noise and masks on the input, sparse and contractive codes.

four_columns <- list(list(family = "gaussian", n_responses = 4, noise = "shared", fixed = 0))
encoder <- list(layer("dense", 3, "bias"), layer("activate", option = "tanh"), layer("latent", 2, "point"))
decoder <- list(layer("dense", 4, "bias"))
stacks <- list(
  tied = c(encoder, list(layer("tied", 3), layer("activate", option = "elu"), layer("tied", 1))),
  noise = c(list(layer("noise", setting = 0.3)), encoder, decoder),
  mask = c(list(layer("mask", setting = 0.3)), encoder, decoder),
  sparse = c(encoder, list(layer("sparse", setting = 0.2)), decoder),
  contract = c(list(layer("dense", 3, "bias"), layer("layer_norm"), layer("activate", option = "tanh"),
                    layer("latent", 2, "point"), layer("contract", setting = 0.5)), decoder)
)

test_that("their gradients are the differences of the loss", {
  set.seed(1)
  x <- matrix(stats::rnorm(60), 15)
  for (name in names(stacks)) for (posterior in c("point", "meanfield")) {
    spec <- new_spec(4, stacks[[name]], four_columns, penalty = 0.1, posterior = posterior)
    theta <- stats::rnorm(spec_layout(spec)$n_par, 0, 0.4)
    at <- function(theta) {
      set.seed(9)
      engine_gradient(spec, theta, engine_data(x, x), nn_control(batch_size = 6), mc_samples = 2)
    }
    numerical <- vapply(seq_along(theta), function(i) {
      h <- 6e-6 * max(1, abs(theta[i]))
      (at(replace(theta, i, theta[i] + h))$loss - at(replace(theta, i, theta[i] - h))$loss) / (2 * h)
    }, 0)
    analytic <- at(theta)$gradient
    error <- abs(numerical - analytic) / (abs(numerical) + abs(analytic) + 1e-3 * max(abs(numerical)))
    expect_lt(max(error), 1e-6, label = paste(name, posterior))
  }
})

test_that("a tied layer is the transpose, with a bias of its own", {
  set.seed(2)
  x <- matrix(stats::rnorm(20), 5)
  spec <- new_spec(4, list(layer("latent", 2, "point"), layer("tied", 1)), four_columns)
  layout <- spec_layout(spec)$leaves
  expect_equal(layout$role, c("weight", "bias", "bias", "noise"))
  theta <- stats::rnorm(8 + 2 + 4 + 1)
  w <- matrix(theta[1:8], 2)
  code <- t(w %*% t(x) + theta[9:10])
  expect_equal(engine_run(spec, theta, engine_data(x), "z"), code, tolerance = 1e-13)
  expect_equal(engine_run(spec, theta, engine_data(x)), t(t(w) %*% t(code) + theta[11:14]), tolerance = 1e-13)
  expect_error(spec_layout(new_spec(4, list(layer("tied", 1), layer("dense", 4, "bias")), four_columns)), "tied")
})

# the loss with a term less the loss without it, at the same parameters of a linear autoencoder of 4, 2 and 4 units
added <- function(term, draws = 1, before = FALSE) {
  set.seed(3)
  x <- matrix(stats::rnorm(40), 10)
  theta <- stats::rnorm(8 + 2 + 8 + 4 + 1)
  loss <- function(term) {
    code <- list(layer("latent", 2, "point"))
    layers <- c(if (before) term, code, if (!before) term, decoder)
    engine_gradient(new_spec(4, layers, four_columns), theta, engine_data(x, x), nn_control(batch_size = 10))$loss
  }
  plain <- loss(NULL)
  list(x = x, w = matrix(theta[1:8], 2), b = theta[9:10], v = matrix(theta[11:18], 4), sigma = exp(theta[23]),
       more = replicate(draws, loss(list(term))) - plain)
}

test_that("the sparse term is the mean absolute sum of the code", {
  a <- added(layer("sparse", setting = 0.7))
  expect_equal(a$more, 0.7 * mean(colSums(abs(a$w %*% t(a$x) + a$b))), tolerance = 1e-12)
})

test_that("the contractive term is the squared norm of the Jacobian, of a linear code that of its weights", {
  a <- added(layer("contract", setting = 0.9), draws = if (is_watched()) 200 else 4000)
  expect_lt(abs(mean(a$more) - 0.9 * sum(a$w^2)), 4 * stats::sd(a$more) / sqrt(length(a$more)))
})

test_that("noise on the input of a linear autoencoder adds half its variance times ||VW||^2", {
  # Bishop (1995): E (x - VW(x + s e))^2 = (x - VWx)^2 + s^2 ||VW||^2
  a <- added(layer("noise", setting = 0.3), draws = if (is_watched()) 200 else 4000, before = TRUE)
  truth <- 0.3^2 * sum((a$v %*% a$w)^2) / (2 * a$sigma^2)
  expect_lt(abs(mean(a$more) - truth), 4 * stats::sd(a$more) / sqrt(length(a$more)))
})

test_that("in the mean there is neither noise nor mask", {
  x <- matrix(stats::rnorm(20), 5)
  theta <- stats::rnorm(8 + 2 + 8 + 4 + 1)
  plain <- engine_run(new_spec(4, c(list(layer("latent", 2, "point")), decoder), four_columns), theta, engine_data(x))
  for (first in list(layer("noise", setting = 0.5), layer("mask", setting = 0.5))) {
    spec <- new_spec(4, c(list(first, layer("latent", 2, "point")), decoder), four_columns)
    expect_identical(engine_run(spec, theta, engine_data(x)), plain)
    expect_gt(max(abs(engine_run(spec, theta, engine_data(x), mode = "training") - plain)), 0.01)
  }
})

test_that("decoding starts after the code, whatever stands behind on the tape", {
  set.seed(5)
  x <- matrix(stats::rnorm(60), 15)
  for (name in names(stacks)) {
    spec <- new_spec(4, stacks[[name]], four_columns)
    theta <- stats::rnorm(spec_layout(spec)$n_par, 0, 0.4)
    z <- engine_run(spec, theta, engine_data(x), "z")
    decoded <- engine_run(spec, theta, list(n = 15), z = z)
    expect_identical(decoded, engine_run(spec, theta, engine_data(x)), label = name)
  }
})
