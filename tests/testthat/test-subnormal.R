# Subnormal numbers: 0 while the engine computes, in every thread, and R's own are as they were.

# Numbers are subnormal below this in R, too.
least <- 2^-1074
has_subnormals <- function() least > 0 && least / 2 == 0 && 2^-1073 / 2 == least

test_that("R's subnormal numbers are there after the engine, in callbacks, and after errors and interrupts", {
  expect_true(has_subnormals())
  seen <- logical()
  watch <- function(epoch, row) {
    seen <<- c(seen, has_subnormals())
    epoch == 3
  }
  fit <- fit_nn(mpg ~ ., mtcars, epochs = 9, callback = watch)
  expect_identical(seen, rep(TRUE, 3))
  expect_true(has_subnormals())
  predict(fit, mtcars)
  expect_true(has_subnormals())
  try(fit_nn(mpg ~ ., mtcars, epochs = 9, callback = function(epoch, row) stop("no")), silent = TRUE)
  expect_true(has_subnormals())
  skip_on_os("windows")
  before <- options(varnn.interrupt = "stop")
  on.exit(options(before))
  interrupt <- function(epoch, row) {
    tools::pskill(Sys.getpid(), tools::SIGINT)
    FALSE
  }
  tryCatch(fit_nn(mpg ~ ., mtcars, epochs = 9, callback = interrupt), interrupt = identity)
  expect_true(has_subnormals())
})

test_that("subnormal numbers are 0 in products, whatever the threads", {
  skip_if_not(R.version$arch %in% c("x86_64", "aarch64"))
  a <- matrix(2^-1060, 1500, 40)
  b <- matrix(2^10, 40, 40)
  with_kernels({
    one <- engine_product(a, b, precision = "double", blas = FALSE)
    expect_identical(one, matrix(0, 1500, 40))
    expect_identical(engine_product(a, b, precision = "double", blas = FALSE, threads = 2), one)
  })
  expect_true(has_subnormals())
})

# The least time of the processor that f() takes, in a few runs: that of other work on the machine does not count.
least_seconds <- function(f, runs = 3) min(replicate(runs, system.time(f(), gcFirst = FALSE)[["user.self"]]))

# Noise makes a run slower, never faster: one within the limit is enough.
expect_within <- function(f, limit, label) {
  for (i in 1:10) if (least_seconds(f, 1) < limit) return(succeed())
  fail(paste(label, "takes more than", format(limit), "seconds"))
}

test_that("weights that a penalty makes subnormal cost no more time than others", {
  skip_on_cran()
  skip_if(is_watched())
  spec <- new_spec(64, c(hidden_layers(256, "relu"), list(layer("dense", 1, "bias"))),
                   list(list(family = "gaussian", n_responses = 1, noise = "fixed", fixed = 0)))
  data <- engine_data(matrix(1, 2000, 64), matrix(1, 2000, 1),
                      scaling = list(center = numeric(64), scale = rep(1, 64), is_constant = logical(64)))
  layout <- spec_layout(spec)
  for (precision in c("double", "single")) {
    control <- nn_control(epochs = 1, batch_size = 2000, precision = precision)
    control <- resolve_control(control, row_counts(2000), layout)
    least <- if (precision == "single") 2^-140 else 2^-1060
    work <- function(weight) {
      theta <- rep(weight, layout$n_par)
      function() for (i in 1:3) engine_gradient(spec, theta, data, control)
    }
    expect_within(work(least), 5 * least_seconds(work(0.01)) + 0.05, precision)
  }
})

test_that("activations far from 0 cost no more time than others", {
  skip_if_counted()
  skip_on_cran()
  skip_if(is_watched())
  data <- engine_data(matrix(1, 1000, 1), matrix(0, 1000, 1),
                      scaling = list(center = 0, scale = 1, is_constant = FALSE))
  for (name in activations()) for (precision in c("double", "single")) {
    spec <- new_spec(1, c(hidden_layers(100, name), list(layer("dense", 1, "bias"))),
                     list(list(family = "gaussian", n_responses = 1, noise = "fixed", fixed = 0)))
    layout <- spec_layout(spec)
    control <- nn_control(epochs = 1, batch_size = 1000, precision = precision)
    control <- resolve_control(control, row_counts(1000), layout)
    work <- function(at) {
      theta <- c(rep(at, 100), numeric(100), rep(0.01, 100), 0)
      function() for (i in 1:4) engine_gradient(spec, theta, data, control)
    }
    limit <- 5 * least_seconds(work(0.5)) + 0.05
    for (at in c(-10, -14, -30, -37, -100, 1e3, -1e30)) expect_within(work(at), limit, paste(name, at))
  }
})
