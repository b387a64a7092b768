# Analytic gradients against central differences, h = eps^(1/3) max(1, |t|), for every row of the engine's tables.

test_that("every family, activation and kind of weights has the gradient of its loss", {
  r <- registry()
  rows <- row_pairs(row_combinations(family = r$family, activation = r$activation,
                                     posterior = independent_posteriors()))
  errors <- vapply(seq_len(nrow(rows)), function(i) {
    set.seed(i)
    blocks <- list(a_block(rows$family[i]))
    layers <- c(hidden_layers(c(4, 3), rows$activation[i], c(0.3, 0), TRUE),
                list(layer("latent", 2, "meanfield"), layer("dense", blocks_eta_rows(blocks), "bias")))
    case_error(a_case(layers, blocks, posterior = rows$posterior[i]), a_control(4), mc_samples = 2)
  }, 0)
  wrong <- which(!(errors < 1e-6))
  expect_identical(paste(rows$family, rows$activation, rows$posterior, errors)[wrong], character())
})

test_that("200 random architectures have the gradients of their losses, in double and in single", {
  skip_if_again()
  kinds <- character()
  for (i in seq_len(repeats(200, 10))) {
    set.seed(i)
    case <- random_case()
    kinds <- union(kinds, case$kinds)
    batch_size <- sample(nrow(case$data$x), 1)
    arguments <- list(coefficient = c(kl_latent = 0.7, kl_weights = 0.1), mc_samples = sample(3, 1))
    error <- do.call(case_error, c(list(case, a_control(batch_size)), arguments))
    expect_lt(error, 1e-6)
    both <- lapply(c("double", "single"), function(precision) {
      set.seed(3)
      control <- a_control(batch_size, precision = precision)
      do.call(engine_gradient, c(list(case$spec, case$theta, case$data, control), arguments))
    })
    expect_lt(max(abs(both[[2]]$gradient - both[[1]]$gradient)) / max(abs(both[[1]]$gradient), 1e-3), 1e-4)
    expect_lt(abs(both[[2]]$loss / both[[1]]$loss - 1), 1e-4)
  }
  if (!is_watched()) expect_setequal(kinds, single_layers())
})

test_that("layers and batches wider than the blocks of the kernels have the same gradients in single", {
  set.seed(4)
  layers <- c(hidden_layers(c(290, 5), "silu"), list(layer("dense", 1, "bias")))
  case <- a_case(layers, list(a_block("gaussian", 1)), n_x = 263, n = 300, missing = 0)
  case$theta <- case$theta / 5
  both <- lapply(c("double", "single"), function(precision) {
    engine_gradient(case$spec, case$theta, case$data, a_control(300, precision = precision))
  })
  expect_equal(both[[2]], both[[1]], tolerance = 1e-4)
  # the double's, along a random direction
  along <- stats::rnorm(length(case$theta)) / sqrt(length(case$theta))
  loss <- function(t) engine_gradient(case$spec, case$theta + t * along, case$data, a_control(300))$loss
  expect_equal(central_difference(loss, 0, 1, 1e-3), sum(both[[1]]$gradient * along), tolerance = 1e-6)
})

test_that("the slopes of the activations are those of their formulas, far out too", {
  x <- c(-800, -50, -20, -3:3 + 0.25, 20, 50, 800, -1e-300, 1e-300)
  # with weight 1, sigma = 1 and y one below the value, the bias has the slope as its gradient
  for (activation in activations()) {
    expect_true(is.function(slow_slope[[activation]]), label = activation)
    for (one in x) {
      spec <- gaussian_spec(1, list(layer("dense", 1, "bias"), layer("activate", option = activation)))
      y <- engine_run(spec, c(1, 0), engine_data(matrix(one))) - 1
      slope <- engine_gradient(spec, c(1, 0), engine_data(matrix(one), y), a_control(1))$gradient[2]
      expect_lt(abs(slope - slow_slope[[activation]](one)), 1e-12, label = paste(activation, one))
    }
  }
})

test_that("the report of the derivatives names the worst", {
  checked <- check_gradients(quick(mpg ~ wt, mtcars))
  table <- attr(checked, "table")
  expect_output(print(checked), paste("of", nrow(table), "derivatives"))
  expect_output(print(checked), table$parameter[which.max(table$error)], fixed = TRUE)
})
