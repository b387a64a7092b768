# Training starts at the link of the mean, and plain networks at the linear model.

start_of_fit <- function(...) {
  set.seed(1)
  fit_nn(..., epochs = 0)
}

test_that("a plain network starts as the penalised linear model", {
  # penalty p / n on the standardised data: the ridge estimate in closed form
  x <- scale(as.matrix(mtcars[c("wt", "hp", "qsec")]))
  y <- mtcars$mpg
  slopes <- solve(crossprod(x) / 32 + diag(3) * 3 / 32, crossprod(x, scale(y)) / 32) * sd(y)
  truth <- drop(mean(y) + x %*% slopes)
  for (activation in activations()) for (hidden in list(2, 16, c(8, 4))) {
    fit <- start_of_fit(mpg ~ wt + hp + qsec, mtcars, hidden = hidden, activation = activation)
    # exact where the activation's odd part is linear, else bent towards the ends
    if (activation %in% c("linear", "relu", "leaky_relu", "gelu", "silu", "softplus"))
      expect_equal(unname(predict(fit, mtcars)), unname(truth), tolerance = 1e-6, label = activation)
    else
      expect_gt(cor(predict(fit, mtcars), truth), 0.99, label = activation)
  }
})

test_that("the start of other families is their linear model, too", {
  p <- predict(start_of_fit(type ~ ., MASS::Pima.tr), MASS::Pima.tr, type = "prob")[, "Yes"]
  glm_p <- fitted(glm(type ~ ., binomial, MASS::Pima.tr))
  expect_gt(cor(p, glm_p), 0.99)
  classes <- predict(start_of_fit(Species ~ ., iris), iris)
  expect_gt(mean(classes == iris$Species), 0.9)
  mu <- predict(start_of_fit(Days ~ ., MASS::quine, family = poisson), MASS::quine)
  expect_gt(cor(log(mu), log(fitted(glm(Days ~ ., poisson, MASS::quine)))), 0.95)
})

test_that("units of an odd activation are no mirror images of each other", {
  for (activation in c("tanh", "linear")) {
    w <- matrix(start_of_fit(mpg ~ wt + hp + qsec, mtcars, hidden = 6, activation = activation)$theta[1:18], 6)
    expect_gt(min(stats::dist(rbind(w, -w))[stats::dist(rep(1:6, 2)) > 0]), 1e-6, label = activation)
  }
  one <- fit_nn(accel ~ times, MASS::mcycle, hidden = 1, activation = "tanh", optimizer = "lbfgs")
  two <- fit_nn(accel ~ times, MASS::mcycle, hidden = 2, activation = "tanh", optimizer = "lbfgs")
  expect_lt(deviance(two), 0.9 * deviance(one))
})

test_that("where a unit or a layer does not fit the construction the start is random", {
  expect_true(all(is.finite(start_of_fit(mpg ~ ., mtcars, hidden = 1)$theta)))
  fit <- start_of_fit(mpg ~ ., mtcars, layer_norm = TRUE)
  expect_gt(max(abs(predict(fit, mtcars) - fitted(lm(mpg ~ ., mtcars)))), 1)
})

test_that("random weights that are trained without draws start at a plain network, with little spread", {
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ ., mtcars, posterior = "meanfield", epochs = 0)
  expect_gt(cor(predict(fit, mtcars), fitted(lm(mpg ~ ., mtcars))), 0.98)
  expect_lt(max(sqrt(diag(vcov(fit)))), 0.1)
})

test_that("a noise that depends on x starts at the network with constant noise", {
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ ., mtcars, posterior = "meanfield", epochs = 0, sigma = "hetero")
  eta <- predict(fit, mtcars, type = "link")
  expect_gt(cor(eta[, 1], fitted(lm(mpg ~ ., mtcars))), 0.98)
  expect_lt(diff(range(eta[, 2])), 1e-12)
})

# A callback that interrupts.
interrupt <- function(epoch, row) {
  tools::pskill(Sys.getpid(), tools::SIGINT)
  FALSE
}

test_that("an interrupt on the way to training ends it, and keeps the work", {
  skip_on_os("windows")
  train <- engine_fit
  # After an interrupt in the engine's call number `stage`, before a fold has ended, at most the linear model is found.
  interrupted <- function(stage, call) {
    stages <- 0
    interrupted_at <- function(spec, layout, data, valid, control, theta) {
      stages <<- stages + 1
      if (stages == stage) control$callback <- interrupt
      if (stages > stage && length(spec$layer) > 1) expect_identical(control$epochs, 0L)
      train(spec, layout, data, valid, control, theta)
    }
    set.seed(1)
    forget_interrupts()
    expect_warning(fit <- suppressMessages(with_function("engine_fit", interrupted_at, call())),
                   "before its first epoch", class = "varnn_interrupted")
    expect_identical(fit$stop_reason, "interrupted")
    expect_identical(nrow(fit$history), 0L)
    expect_true(all(is.finite(predict(fit, mtcars))))
    expect_gt(nrow(suppressMessages(continue(fit, 3))$history), 0)
  }
  plain <- function() fit_nn(mpg ~ ., mtcars)
  bayes <- function() fit_bayes_nn(mpg ~ ., mtcars, posterior = "meanfield")
  hetero <- function() fit_bayes_nn(mpg ~ ., mtcars, posterior = "meanfield", sigma = "hetero")
  for (stage in 1:2) interrupted(stage, plain)
  for (stage in 1:2) interrupted(stage, bayes)
  for (stage in 1:3) interrupted(stage, hetero)
})

test_that("an interrupt in a round of the default keeps the members so far", {
  skip_on_os("windows")
  train <- engine_fit
  # of the first start the first round, and the last; the second start: two members are whole
  for (round in c(1, 12, 20)) {
    rounds <- 0
    interrupted_at <- function(spec, layout, data, valid, control, theta, ...) {
      rounds <<- rounds + 1
      if (rounds == round) control$callback <- interrupt
      train(spec, layout, data, valid, control, theta, ...)
    }
    set.seed(1)
    forget_interrupts()
    warned <- character()
    fit <- withCallingHandlers(
      suppressMessages(with_function("engine_fit", interrupted_at, fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3))),
      warning = function(w) {
        warned <<- c(warned, class(w)[1])
        tryInvokeRestart("muffleWarning")
      })
    # the second start is dropped, which has a warning of its own
    expect_setequal(warned, c("varnn_interrupted", if (round == 20) "varnn_diverged"))
    expect_equal(rounds, round)
    expect_length(members(fit), if (round == 1) 1 else 2)
    expect_equal(sum(attr(members(fit), "weights")), 1)
    expect_true(all(is.finite(predict(fit, mtcars, interval = "prediction"))))
    expect_true(all(is.finite(evidence(suppressMessages(continue(fit, 3))))))
  }
})

test_that("an interrupt in a later start is told, and the best start kept", {
  skip_on_os("windows")
  calls <- 0
  interrupt <- function(epoch, row) {
    calls <<- calls + 1
    if (calls == 25) tools::pskill(Sys.getpid(), tools::SIGINT)
    FALSE
  }
  set.seed(1)
  forget_interrupts()
  expect_warning(
    fit <- suppressMessages(fit_nn(mpg ~ wt + hp, mtcars, hidden = 3, starts = 9, epochs = 10, callback = interrupt)),
    "parameters so far", class = "varnn_interrupted"
  )
  expect_identical(fit$stop_reason, "interrupted")
  expect_lt(calls, 40)
})
