# Analytic gradients against central differences, h = eps^(1/3) max(1, |t|), for every row of the engine's tables.

test_that("every family, activation and kind of weights has the gradient of its loss", {
  r <- registry()
  rows <- row_combinations(family = r$family, activation = r$activation, weights = r$variational)
  errors <- vapply(seq_len(nrow(rows)), function(i) {
    set.seed(i)
    blocks <- list(a_block(rows$family[i]))
    layers <- c(hidden_layers(c(4, 3), rows$activation[i], c(0.3, 0), TRUE),
                list(layer("latent", 2, "gaussian"), layer("dense", blocks_eta_rows(blocks), "bias")))
    case_error(a_case(layers, blocks, weights = rows$weights[i]), a_control(4), mc_samples = 2)
  }, 0)
  wrong <- which(!(errors < 1e-6))
  expect_identical(paste(rows$family, rows$activation, rows$weights, errors)[wrong], character())
})

# A layer of any kind that the registry has, of random size and option.
random_layer <- function(kind) {
  r <- registry()
  size <- sample(6, 1)
  switch(kind,
         dense = layer("dense", size, sample(c("bias", "none"), 1)),
         activate = layer("activate", option = sample(r$activation, 1)),
         dropout = layer("dropout", setting = stats::runif(1, 0.1, 0.6)),
         latent = layer("latent", size, sample(r$variational, 1)),
         layer(kind, size))
}

random_case <- function() {
  r <- registry()
  blocks <- lapply(sample(r$family, sample(3, 1), replace = TRUE), function(family) {
    a_block(family, sample(3, 1) + (family == "categorical"), sample(r$noise, 1), stats::rnorm(1, 0, 0.5))
  })
  kinds <- sample(r$layer, sample(0:6, 1), replace = TRUE)
  kinds <- kinds[kinds != "latent" | !duplicated(kinds)]
  layers <- c(lapply(kinds, random_layer), list(layer("dense", blocks_eta_rows(blocks), sample(c("bias", "none"), 1))))
  case <- a_case(layers, blocks, n_x = sample(4, 1), n = sample(12, 1), weights = sample(r$variational, 1),
                 penalty = sample(c(0, 0.2), 1), offset = stats::runif(1) < 0.3, missing = stats::runif(1, 0, 0.3))
  # with eta so large that its exponential is no single precision number, there is nothing to compare
  sd <- 0.4
  while (max(abs(engine_run(case$spec, case$theta, case$data, sample = TRUE, draws = 50))) > 10)
    case$theta <- a_theta(case$spec, sd <- sd * 0.9)
  case$kinds <- kinds
  case
}

test_that("200 random architectures have the gradients of their losses, in double and in single", {
  kinds <- character()
  for (i in seq_len(repeats(200, 10))) {
    set.seed(i)
    case <- random_case()
    kinds <- union(kinds, case$kinds)
    batch_size <- sample(nrow(case$data$x), 1)
    arguments <- list(coefficient = c(1, 0.7, 0.1, 1), mc_samples = sample(3, 1))
    error <- do.call(case_error, c(list(case, a_control(batch_size)), arguments))
    expect_lt(error, 1e-6)
    both <- lapply(c("double", "single"), function(precision) {
      set.seed(3)
      do.call(engine_gradient, c(list(case$spec, case$theta, case$data, a_control(batch_size, precision = precision)), arguments))
    })
    expect_lt(max(abs(both[[2]]$gradient - both[[1]]$gradient)) / max(abs(both[[1]]$gradient), 1e-3), 1e-4)
    expect_lt(abs(both[[2]]$loss / both[[1]]$loss - 1), 1e-4)
  }
  if (!is_watched()) expect_setequal(kinds, registry()$layer)
})

test_that("the slopes of the activations are those of their formulas, far out too", {
  x <- c(-800, -50, -20, -3:3 + 0.25, 20, 50, 800, -1e-300, 1e-300)
  # with weight 1, sigma = 1 and y one below the value, the bias has the slope as its gradient
  spec_of <- function(activation) {
    new_spec(1, list(layer("dense", 1, "bias"), layer("activate", option = activation)), list(a_block("gaussian", 1, "fixed")))
  }
  for (activation in activations()) {
    expect_true(is.function(slow_slope[[activation]]), label = activation)
    for (one in x) {
      spec <- spec_of(activation)
      y <- engine_run(spec, c(1, 0), engine_data(matrix(one))) - 1
      slope <- engine_gradient(spec, c(1, 0), engine_data(matrix(one), y), a_control(1))$gradient[2]
      expect_lt(abs(slope - slow_slope[[activation]](one)), 1e-12, label = paste(activation, one))
    }
  }
})
