# The engine's tables and their other half in R.

test_that("names come from the engine's registry alone", {
  r <- registry()
  expect_identical(activations(), r$activation)
  expect_identical(families(), r$family)
  expect_identical(optimizers(), r$optimizer)
  expect_true(all(lengths(r) > 0))
  for (table in r[!grepl("_", names(r))]) {
    expect_type(table, "character")
    expect_false(anyDuplicated(table) > 0)
  }
  promised <- list(
    activation = c("linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softplus"),
    family = c("gaussian", "gaussian_hetero", "huber", "bernoulli", "binomial", "categorical", "poisson",
               "negative_binomial", "ordinal", "quantile", "weibull", "lognormal", "loglogistic"),
    optimizer = c("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lbfgs"),
    schedule = c("constant", "step", "exponential", "cosine", "plateau"),
    posterior = c("point", "laplace", "meanfield", "last_layer", "full", "lowrank"),
    layer = c("dense", "dropout", "layer_norm")
  )
  for (table in names(promised)) expect_identical(setdiff(promised[[table]], r[[table]]), character())
})

test_that("every row of the engine has its other half in R", {
  expect_setequal(names(learn_rates), optimizers())
  expect_setequal(names(posterior_records), registry()$posterior)
})
