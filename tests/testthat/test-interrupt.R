# Ctrl-C, time limits and errors: what was done is kept, and R goes on as before.

small <- function(...) fit_nn(mpg ~ wt + hp, mtcars, hidden = 3, ...)

# A callback that interrupts in one epoch.
interrupt_in <- function(at) {
  function(epoch, row) {
    if (epoch == at) tools::pskill(Sys.getpid(), tools::SIGINT)
    FALSE
  }
}

# What R does with an interrupt that nobody resumes.
or_interrupt <- function(expr) tryCatch(suppressMessages(expr), interrupt = function(e) "interrupt")

# All that a fit can be asked.
expect_whole <- function(fit) {
  expect_silent(asNamespace("varnn")$check_fit(fit))
  expect_true(all(is.finite(predict(fit))))
  expect_output(print(summary(fit)))
  expect_true(all(is.finite(suppressWarnings(continue(fit, 2, callback = NULL))$theta)))
}

test_that("the first interrupt keeps the fit, the second within two seconds ends the caller", {
  skip_on_os("windows")
  forget_interrupts()
  fits <- list()
  end <- or_interrupt(for (i in 1:3)
    fits[[i]] <- suppressWarnings(small(epochs = 20, callback = interrupt_in(5)), classes = "varnn_interrupted"))
  expect_identical(end, "interrupt")
  expect_length(fits, 1)
  expect_identical(fits[[1]]$stop_reason, "interrupted")
  expect_whole(fits[[1]])
  forget_interrupts()
  expect_message(expect_warning(small(epochs = 20, callback = interrupt_in(5)), "varnn.interrupt",
                                class = "varnn_interrupted"), "Interrupt again")
})

test_that("options(varnn.interrupt = \"stop\") ends the caller at once, and R's generator goes on", {
  skip_on_os("windows")
  forget_interrupts()
  before <- options(varnn.interrupt = "stop")
  on.exit(options(before))
  end_at <- function(at, epochs) {
    set.seed(1)
    end <- or_interrupt(small(epochs = epochs, batch_size = 8, callback = if (at) interrupt_in(at)))
    list(end, stats::runif(1))
  }
  stopped <- end_at(5, 20)
  expect_identical(stopped[[1]], "interrupt")
  expect_identical(stopped[[2]], end_at(0, 5)[[2]])
})

test_that("an interrupted choice of latent dimensions trains with what was chosen before", {
  skip_on_os("windows")
  train <- engine_fit
  runs <- 0
  forget_interrupts()
  in_run_2 <- function(spec, layout, data, valid, control, theta, ...) {
    runs <<- runs + 1
    if (runs == 2) control$callback <- interrupt_in(2)
    train(spec, layout, data, valid, control, theta, ...)
  }
  set.seed(1)
  expect_warning(fit <- suppressMessages(with_function("engine_fit", in_run_2, fit_vae(mtcars, epochs = 5))),
                 "choice of `latent` was interrupted: the network is trained with 2", class = "varnn_interrupted")
  expect_identical(c(runs, fit$n_epochs, fit$arguments$latent), c(3, 5, 2))
})

test_that("an interrupted choice of epochs trains with what the folds before say", {
  skip_on_os("windows")
  train <- engine_fit
  runs <- 0
  forget_interrupts()
  in_fold_3 <- function(spec, layout, data, valid, control, theta, ...) {
    is_network <- length(spec$layer) > 1
    runs <<- runs + is_network
    if (is_network && runs == 3) control$callback <- interrupt_in(4)
    train(spec, layout, data, valid, control, theta, ...)
  }
  set.seed(1)
  expect_warning(fit <- suppressMessages(with_function("engine_fit", in_fold_3, small())), "after 2 of 15 folds",
                 class = "varnn_interrupted")
  expect_identical(runs, 4)
  expect_identical(fit$stop_reason, "finished")
  expect_equal(nrow(fit$history), fit$control$epochs)
  expect_output(print(fit), "2 of 15 folds")
  expect_whole(fit)
})

test_that("an interrupted choice of the rate of dropout trains with what was tried; before that it ends training", {
  skip_on_os("windows")
  train <- engine_fit
  for (at in c(1, 4)) { # each rate has two runs, on either half of the rows
    runs <- 0
    forget_interrupts()
    in_run <- function(spec, layout, data, valid, control, theta, ...) {
      runs <<- runs + 1
      if (runs == at) control$callback <- interrupt_in(2)
      train(spec, layout, data, valid, control, theta, ...)
    }
    seen <- character()
    set.seed(1)
    fit <- withCallingHandlers(
      suppressMessages(with_function("engine_fit", in_run, fit_bayes_nn(
        mpg ~ wt + hp, mtcars, hidden = 3, epochs = 5, posterior = posterior_dropout(c(0.1, 0.2, 0.4))
      ))),
      varnn_interrupted = function(w) {
        seen <<- c(seen, conditionMessage(w))
        tryInvokeRestart("muffleWarning")
      })
    expect_length(seen, 1)
    expect_match(seen, if (at == 1) "Training was interrupted" else "was interrupted after 1 of 3 rates")
    expect_identical(fit$stop_reason, if (at == 1) "interrupted" else "finished")
    expect_identical(fit$sampled$rate, 0.1)
    expect_true(all(is.finite(predict(fit, mtcars))))
  }
})

test_that("an error in a callback has the fit so far, and its own class and message", {
  boom <- structure(class = c("boom", "error", "condition"), list(message = "no more", call = NULL))
  fail_in <- function(at) function(epoch, row) if (epoch == at) stop(boom)
  caught <- tryCatch(small(epochs = 20, callback = fail_in(7)), error = identity)
  expect_s3_class(caught, c("varnn_error_in_training", "boom"))
  expect_match(conditionMessage(caught), "no more.*after epoch 7")
  expect_identical(caught$parent, boom)
  expect_identical(nrow(caught$fit$history), 7L)
  expect_identical(caught$fit$stop_reason, "error")
  expect_whole(caught$fit)
  on <- tryCatch(continue(small(epochs = 5), 9, callback = fail_in(2)), varnn_error_in_training = identity)
  expect_identical(nrow(on$fit$history), 7L)
  # a callback that trains, fails there and goes on
  inner <- function(epoch, row) is.null(try(small(epochs = 3, callback = fail_in(2)), silent = TRUE))
  expect_identical(small(epochs = 4, callback = inner)$stop_reason, "finished")
})

test_that("an error in a later start has the best start", {
  calls <- 0
  fail <- function(epoch, row) if ((calls <<- calls + 1) == 25) stop("enough")
  failed <- tryCatch(small(starts = 9, epochs = 10, callback = fail), varnn_error_in_training = identity)
  expect_identical(calls, 25)
  expect_identical(nrow(failed$fit$history), 10L)
  expect_whole(failed$fit)
})

test_that("a time limit has the fit so far, wherever in the training it strikes", {
  on.exit(setTimeLimit())
  limit_in_1 <- function(seconds) {
    function(epoch, row) {
      if (epoch == 1) setTimeLimit(elapsed = seconds, transient = TRUE)
      FALSE
    }
  }
  for (seconds in c(0.3, seq(0.02, 0.06, by = 0.001))) {
    limited <- tryCatch(fit_nn(mpg ~ ., mtcars, epochs = 1e5, callback = limit_in_1(seconds)), error = identity)
    setTimeLimit()
    expect_match(conditionMessage(limited), "time limit")
    expect_s3_class(limited, "varnn_error_in_training")
    expect_gt(nrow(limited$fit$history), 0)
  }
  expect_whole(limited$fit)
})

test_that("what has no work to keep is interrupted as all of R, soon", {
  skip_if_counted()
  skip_on_os("windows")
  skip_if(is_watched())
  forget_interrupts()
  set.seed(1)
  vae <- fit_vae(iris[rep(1:150, 20), ], epochs = 1)
  net <- small(epochs = 2)
  bayes <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 4, posterior = "meanfield", epochs = 2)
  default <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 4, epochs = 2)
  many <- mtcars[rep(1:32, 5000), ]
  calls <- list(
    elbo = function() elbo(vae, draws = 1e6), loglik = function() logLik(vae, k = 1e6),
    simulate = function() repeat simulate(vae, 1e4), predict = function() repeat predict(net, many),
    draws = function() repeat posterior_epred(bayes, mtcars, draws = 1e5),
    lpd = function() repeat log_lik(bayes, draws = 1e5),
    draws_by_default = function() repeat posterior_epred(default, mtcars, draws = 1e5),
    lpd_by_default = function() repeat log_lik(default, draws = 1e5),
    intervals_by_default = function() repeat predict(default, many, interval = "prediction")
  )
  for (name in names(calls)) {
    killer <- sprintf("(sleep 0.2; kill -INT %d) >/dev/null 2>&1 &", Sys.getpid())
    took <- system.time({
      system(killer)
      end <- or_interrupt(calls[[name]]())
    })
    expect_identical(end, "interrupt", label = name)
    expect_lt(took[["user.self"]], 5, label = name)
    expect_length(stats::runif(3), 3)
  }
})

test_that("L-BFGS is interrupted within an iteration, and keeps a point that it accepted", {
  skip_on_os("windows")
  skip_if(is_watched())
  forget_interrupts()
  set.seed(1)
  x <- matrix(stats::rnorm(2e5 * 20), 2e5)
  interrupt_soon <- function(epoch, row) {
    if (epoch == 1) system(sprintf("(sleep 0.2; kill -INT %d) >/dev/null 2>&1 &", Sys.getpid()))
    FALSE
  }
  expect_warning(expect_message(
    fit <- fit_nn(x, sin(x[, 1]), hidden = 200, optimizer = "lbfgs", precision = "single", callback = interrupt_soon),
    "Interrupt again"
  ), class = "varnn_interrupted")
  expect_lt(deviance(fit), sum((sin(x[, 1]) - mean(sin(x[, 1])))^2))
})

test_that("the warm-up of the bottleneck's KL goes on in continue()", {
  skip_if(is_watched())
  shares <- numeric()
  watch <- function(epoch, row) {
    nll <- sum(row[grepl("^nll", names(row))])
    shares <<- c(shares, (row[["loss"]] - nll) / sum(row[grepl("^kl_latent", names(row))]))
    FALSE
  }
  set.seed(1)
  continue(fit_vae(iris, latent = 2, kl_warmup = 40, epochs = 10, callback = watch), 40)
  expect_equal(shares, pmin(1, 1:50 / 41), tolerance = 1e-6)
})

test_that("continue() says that a schedule starts again", {
  fit <- small(epochs = 3, schedule = "cosine")
  expect_message(continue(fit, 2), "cosine.*starts again")
  expect_silent(continue(small(epochs = 3), 2))
})

test_that("an interrupt or an error keeps the members that are whole, or the first as far as it is", {
  skip_on_os("windows")
  forget_interrupts()
  in_call <- function(at, act) {
    calls <- 0
    function(epoch, row) {
      if ((calls <<- calls + 1) == at) act()
      FALSE
    }
  }
  interrupt <- function() tools::pskill(Sys.getpid(), tools::SIGINT)
  said <- character()
  note <- function(w) {
    said <<- c(said, conditionMessage(w))
    invokeRestart("muffleWarning")
  }
  mixture <- function(at, act) {
    withCallingHandlers(or_interrupt(small(members = 5, epochs = 10, callback = in_call(at, act))), warning = note)
  }
  fit <- mixture(25, interrupt)
  expect_length(members(fit), 2)
  expect_match(said, "2 members were not trained", all = FALSE)
  expect_whole(fit)
  forget_interrupts()
  first <- mixture(5, interrupt)
  expect_length(members(first), 1)
  expect_identical(members(first)[[1]]$stop_reason, "interrupted")
  expect_whole(first)
  forget_interrupts()
  failed <- tryCatch(mixture(25, function() stop("enough")), varnn_error_in_training = identity)
  expect_match(conditionMessage(failed), "enough")
  expect_length(members(failed$fit), 2)
})
