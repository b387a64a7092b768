# Training that leaves the finite numbers, in whichever step, is told; the fit has the best parameters before.

# Fits of each kind that never end with what they were asked for: the last of few steps is far out.
wild <- list(
  nn = function(...) fit_nn(mpg ~ ., mtcars, hidden = 4, ...),
  glm = function(...) fit_nn(am ~ wt + hp, mtcars, hidden = 0, ...),
  counts = function(...) fit_nn(carb ~ ., mtcars, family = "poisson", hidden = 4, ...),
  classes = function(...) fit_nn(Species ~ ., iris, hidden = 4, ...),
  ae = function(...) fit_ae(iris[1:4], latent = 2, hidden = 4, ...),
  vae = function(...) fit_vae(iris, latent = 2, hidden = 4, ...),
  bayes = function(...) fit_bayes_nn(mpg ~ ., mtcars, hidden = 4, estimator = "local", ...)
)

outputs <- function(fit) {
  if (inherits(fit, c("varnn_ae", "varnn_vae"))) as.matrix(Filter(is.numeric, as.data.frame(reconstruct(fit))))
  else predict(fit, type = if (is.factor(fit$response)) "prob" else "response")
}

test_that("training ends with finite parameters and outputs, or says that it diverged", {
  skip_if_again()
  first_order <- setdiff(optimizers(), "lbfgs")
  cases <- row_combinations(kind = names(wild), optimizer = first_order, precision = c("double", "single"))
  for (i in seq_len(nrow(cases))) for (epochs in c(1, 3)) {
    case <- cases[i, ]
    set.seed(1)
    seen <- character()
    fit <- withCallingHandlers(
      wild[[case$kind]](optimizer = case$optimizer, precision = case$precision, epochs = epochs, learn_rate = 1e30,
                        clip_norm = Inf),
      warning = function(w) {
        seen <<- c(seen, class(w))
        tryInvokeRestart("muffleWarning")
      })
    label <- paste(c(case, epochs), collapse = " ")
    expect_identical("varnn_diverged" %in% seen, fit$stop_reason == "diverged", label = label)
    expect_true(all(abs(fit$theta) <= 1e100) && all(is.finite(outputs(fit))), label = label)
    # of a linear model the data of which are classes any weights are finite: the others have diverged
    if (!case$kind %in% c("glm", "classes")) expect_identical(fit$stop_reason, "diverged", label = label)
  }
})

test_that("a fit that diverged trains on", {
  for (precision in c("double", "single")) for (optimizer in c("momentum", "adam", "rmsprop")) {
    fit <- suppressWarnings(wild$nn(optimizer = optimizer, learn_rate = 1e30, epochs = 2, precision = precision))
    on <- continue(fit, 30, learn_rate = 0.001)
    expect_identical(on$stop_reason, "finished")
    expect_lt(utils::tail(on$history$loss, 1), on$history$loss[1])
  }
})

test_that("a last step far out is a divergence, however finite its loss", {
  set.seed(1)
  expect_warning(fit <- fit_nn(mpg ~ ., mtcars, optimizer = "sgd", learn_rate = 1e10, epochs = 1, batch_size = 32),
                 "in epoch 1:", class = "varnn_diverged")
  # whole batches: the best parameters are those at the start
  set.seed(1)
  start <- fit_nn(mpg ~ ., mtcars, optimizer = "sgd", epochs = 0, batch_size = 32)
  expect_identical(fit$theta, start$theta)
  expect_identical(nrow(fit$history), 1L)
})
