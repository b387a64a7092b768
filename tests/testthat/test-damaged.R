# A fit that was read from a file may be damaged in any way, and the entry points may be given anything: an error or a
# finite result, never a crash or a hang. In an R of its own, so that a crash is a failed test.

# Where lines are counted, more damage runs hardly any others.
damages <- function(n, watched) if (is_counted()) watched else repeats(n, watched)

test_that("damaged fits give errors or finite results", {
  skip_on_cran() # it takes long
  expect_survived(run_damage("fits", damages(0.12, 0.01)), damages(2500, 100))
})

test_that("damaged autoencoders, fits of another class and of other layers give errors or finite results", {
  skip_on_cran() # it takes long
  expect_survived(run_damage("coders", damages(0.01, 0.001)), damages(800, 300))
})

test_that("damaged Bayesian fits give errors or finite results", {
  skip_on_cran() # it takes long
  expect_survived(run_damage("bayes", damages(0.01, 0.001)), damages(1000, 50))
})

test_that("damaged arguments of the engine give errors or results", {
  skip_on_cran() # it takes long
  expect_survived(run_damage("engine", damages(0.7, 0.2)), damages(3000, 500))
})

test_that("a model without parameters has a loss and an empty gradient", {
  run <- run_script(
    "block <- list(family = \"gaussian\", n_responses = 1, noise = \"fixed\", fixed = 0)",
    "spec <- engine$new_spec(1, list(engine$layer(\"activate\", option = \"tanh\")), list(block))",
    "data <- engine$engine_data(matrix(c(1, 2, 3)), matrix(0, 3, 1))",
    "g <- engine$engine_gradient(spec, numeric(), data, nn_control(batch_size = 3))",
    "cat(\"loss\", format(g$loss, digits = 15), length(g$gradient), \"\\n\")",
    "fit <- engine$engine_fit(spec, engine$spec_layout(spec), data, NULL,",
    "                         nn_control(epochs = 2, batch_size = 2, learn_rate = 0.1), numeric())",
    "cat(fit$status, \"\\n\")"
  )
  expect_survived(run, 0)
  loss <- mean(tanh(1:3)^2) / 2 + log(2 * pi) / 2
  expect_true(any(grepl(paste("loss", format(loss, digits = 15), "0"), run$last, fixed = TRUE)))
})

test_that("responses of more rows than an integer counts are an error", {
  expect_survived(run_script(
    "block <- list(family = \"gaussian\", n_responses = 1e8, noise = \"fixed\", fixed = 0)",
    "size <- as.integer((43 * 1e8) %% 2^32)",
    "spec <- engine$new_spec(1, list(engine$layer(\"dense\", size, \"none\")), rep(list(block), 43))",
    "ended <- tryCatch(engine$engine_layout(spec), error = function(e) \"error\")",
    "if (!identical(ended, \"error\")) cat(\"BAD the layout overflows\\n\")"
  ), 0)
})

test_that("a fit keeps working after saveRDS() and readRDS()", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 6)
  file <- tempfile(fileext = ".rds")
  on.exit(unlink(file))
  saveRDS(fit, file)
  again <- readRDS(file)
  expect_identical(predict(again, mtcars), predict(fit, mtcars))
  set.seed(1)
  one <- continue(fit, 2)$theta
  set.seed(1)
  expect_identical(continue(again, 2, mtcars)$theta, one)
})
