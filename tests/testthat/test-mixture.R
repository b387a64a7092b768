# Mixtures of fits: their densities, means and quantiles are those of weighted sums, and their weights maximise what
# they say.

quick_mixture <- function(..., members = 3) {
  set.seed(1)
  fit_nn(mpg ~ wt + hp, mtcars, hidden = 4, epochs = 20, members = members, ...)
}

bayes_mixture <- function(..., members = 2, posterior = "meanfield") {
  set.seed(1)
  fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 30, members = members, posterior = posterior, ...)
}

test_that("one member is the fit itself", {
  set.seed(1)
  plain <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 4, epochs = 20)
  set.seed(1)
  one <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 4, epochs = 20, members = 1, combine = "stack")
  expect_identical(class(one), class(plain))
  one$arguments$combine <- plain$arguments$combine
  set.seed(1)
  expect_identical(fit_nn(mpg ~ wt + hp, mtcars, hidden = 4, epochs = 20, members = "auto")$theta, plain$theta)
  expect_identical(one[names(one) != "call"], plain[names(plain) != "call"])
  many <- members(plain)
  expect_identical(many, structure(list(plain), weights = 1))
})

test_that("the first member is the fit alone, the others are those of streams of L'Ecuyer's generator", {
  mixture <- quick_mixture()
  alone_fit <- function() fit_nn(mpg ~ wt + hp, mtcars, hidden = 4, epochs = 20)
  set.seed(1)
  alone <- list(alone_fit())
  kind <- RNGkind()
  set.seed(1)
  stream <- c(10407L, sample.int(.Machine$integer.max, 6, replace = TRUE))
  for (k in 2:3) {
    stream <- parallel::nextRNGStream(stream)
    assign(".Random.seed", stream, envir = globalenv())
    alone[[k]] <- alone_fit()
  }
  RNGkind(kind[1], kind[2], kind[3])
  parts <- members(mixture)
  # what is drawn later has nothing in common with the first member
  quick_mixture()
  after <- stats::runif(1)
  set.seed(1)
  alone_fit()
  expect_identical(stats::runif(1), after)
  for (k in 1:3) {
    expect_identical(parts[[k]]$theta, alone[[k]]$theta)
    expect_equal(predict(parts[[k]], mtcars), predict(alone[[k]], mtcars))
  }
  expect_equal(attr(parts, "weights"), rep(1 / 3, 3))
  expect_s3_class(mixture, c("varnn_mixture", "varnn_nn", "varnn"), exact = TRUE)
})

test_that("the first member chooses the epochs of all", {
  set.seed(2)
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 3, members = 2)
  parts <- members(fit)
  expect_identical(parts[[1]]$n_epochs, parts[[2]]$n_epochs)
  expect_identical(parts[[2]]$control$epochs_by, "5-fold cross-validation")
})

test_that("densities, means, variances and quantiles are those of the weighted sum of normal distributions", {
  fit <- quick_mixture()
  w <- c(0.5, 0.3, 0.2)
  fit$member_weights <- w
  parts <- members(fit)
  new <- mtcars[1:6, ]
  m <- vapply(parts, function(p) predict(p, new), numeric(6))
  s <- vapply(parts, stats::sigma, 0)
  fit$eta <- NULL
  expect_equal(unname(predict(fit, new)), unname(drop(m %*% w)), tolerance = 1e-12)
  found <- predict(fit, new, interval = "prediction", level = 0.9)
  for (i in 1:6) for (k in 2:3) {
    p <- c(NA, 0.05, 0.95)[k]
    root <- stats::uniroot(function(y) sum(w * stats::pnorm(y, m[i, ], s)) - p, c(-100, 100), tol = 1e-13)$root
    expect_equal(unname(found[i, k]), root, tolerance = 1e-8)
  }
  y <- new$mpg
  density <- vapply(1:6, function(i) log(sum(w * stats::dnorm(y[i], m[i, ], s))), 0)
  rows <- rows_with_response(fit, new, NULL, environment())
  expect_equal(unname(row_log_density(fit, rows)), density, tolerance = 1e-10)
  set.seed(3)
  draws <- posterior_predict(fit, new, draws = 40000)
  mean <- drop(m %*% w)
  variance <- drop((m^2 + rep(s^2, each = 6)) %*% w) - mean^2
  expect_true(all(abs(colMeans(draws) - mean) < 5 * sqrt(variance / 40000)))
  expect_equal(unname(apply(draws, 2, stats::var)), unname(variance), tolerance = 0.05)
  at_draws <- log_lik(fit, new, draws = 1000)
  expect_equal(sort(unique(round(at_draws[, 1], 8))), sort(round(stats::dnorm(y[1], m[1, ], s, log = TRUE), 8)))
  expect_equal(as.vector(table(round(at_draws[, 1], 8)))[order(order(stats::dnorm(y[1], m[1, ], s)))], 1000 * w)
  all_rows <- vapply(parts, function(p) stats::dnorm(mtcars$mpg, fitted(p), stats::sigma(p)), numeric(32))
  expect_equal(as.numeric(logLik(fit)), sum(log(all_rows %*% w)), tolerance = 1e-10)
})

test_that("two equal members answer as one, and the order of members has no influence", {
  plain <- list(nn = members(quick_mixture(members = 1))[[1]], bayes = members(bayes_mixture(members = 1))[[1]],
                linearised = bayes_mixture(members = 1, posterior = "laplace", sigma = "learned", combine = "equal"),
               linear = fit_nn(mpg ~ wt, mtcars, hidden = 0))
  deterministic <- c("predict", "fitted", "residuals", "deviance", "nobs", "formula", "terms", "weights", "sigma",
                     "family", "variable.names", "case.names", "model.frame", "labels")
  for (name in names(plain)) {
    twice <- new_mixture(list(plain[[name]], plain[[name]]), c(0.3, 0.7))
    twice$arguments$combine <- "equal"
    for (f in deterministic)
      expect_equal(get(f)(twice), get(f)(plain[[name]]), tolerance = 1e-10, label = paste(name, f))
  }
  for (b in plain[c("bayes", "linearised")]) {
    twice <- new_mixture(list(b, b), c(0.3, 0.7))
    expect_equal(vcov(twice), vcov(b), tolerance = 1e-10)
    expect_equal(confint(twice), confint(b), tolerance = 1e-7)
    expect_equal(as.numeric(elbo(twice)), as.numeric(elbo(b)), tolerance = 1e-10)
  }
  expect_equal(evidence(twice), rep(evidence(b), 2))
  expect_equal(predict(twice, interval = "prediction"), predict(b, interval = "prediction"), tolerance = 1e-7)
  expect_equal(predict(twice, interval = "confidence"), predict(b, interval = "confidence"), tolerance = 1e-7)
  l <- new_mixture(list(plain$linear, plain$linear), c(0.5, 0.5))
  expect_equal(coef(l), coef(plain$linear))
  expect_equal(vcov(l), vcov(plain$linear))

  fit <- quick_mixture()
  fit$member_weights <- c(0.5, 0.3, 0.2)
  turned <- new_mixture(members(fit)[3:1], c(0.2, 0.3, 0.5))
  expect_equal(predict(turned, mtcars), predict(new_mixture(members(fit), c(0.5, 0.3, 0.2)), mtcars))
  expect_equal(predict(turned, mtcars, interval = "prediction"), predict(fit, mtcars, interval = "prediction"))
})

test_that("means of a mixture are the same in chunks of any size, and those of its members", {
  set.seed(2)
  classes <- fit_bayes_nn(Species ~ ., iris, hidden = 3, epochs = 30, members = 2, posterior = "laplace")
  expect_true(predicts_by_draws(members(classes)[[1]]))
  fits <- list(quick_mixture(), bayes_mixture(), bayes_mixture(posterior = "laplace"),
               bayes_mixture(posterior = "laplace", sigma = "hetero"), classes)
  for (fit in fits) {
    type <- if (identical(fit, classes)) "prob" else "response"
    new <- if (type == "prob") iris[seq(1, 150, 5), ] else mtcars
    seeded <- function(of) {
      set.seed(3)
      of()
    }
    whole <- seeded(function() predict(fit, new, type = type))
    of_members <- seeded(function() lapply(members(fit), predict, new, type = type))
    expect_equal(whole, Reduce(`+`, Map(`*`, of_members, fit$member_weights)), tolerance = 1e-12)
    for (most in c(20, 1)) with_function("draws_at_once", most, {
      expect_equal(seeded(function() predict(fit, new, type = type)), whole, tolerance = 1e-12)
    })
  }
})

test_that("moments of the weights are those of the mixture of normal distributions", {
  set.seed(4)
  fits <- lapply(c(0.5, 2), function(sd) {
    fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0, prior = prior_normal(0, sd), epochs = 300)
  })
  w <- c(0.4, 0.6)
  fit <- new_mixture(fits, w)
  m <- vapply(fits, coef, numeric(3))
  mean <- drop(m %*% w)
  expect_equal(coef(fit), mean)
  v <- w[1] * (vcov(fits[[1]]) + tcrossprod(m[, 1] - mean)) + w[2] * (vcov(fits[[2]]) + tcrossprod(m[, 2] - mean))
  expect_equal(vcov(fit), v)
  found <- confint(fit)
  sd <- vapply(fits, function(f) sqrt(diag(vcov(f))), numeric(3))
  for (j in 1:3) {
    root <- stats::uniroot(function(b) sum(w * stats::pnorm(b, m[j, ], sd[j, ])) - 0.025, mean[j] + c(-50, 50),
                           tol = 1e-13)$root
    expect_equal(unname(found[j, 1]), root, tolerance = 1e-8)
  }
})

test_that("stacking weights maximise the mean log density on the simplex", {
  set.seed(5)
  for (k in 2:4) {
    log_density <- matrix(stats::rnorm(60 * k), 60)
    case <- stats::rexp(60)
    w <- stacking_weights(log_density, case)
    loss <- function(a) -sum(case * log(exp(log_density) %*% softmax_weights(c(a, 0))))
    best <- stats::optim(numeric(k - 1), loss, method = "BFGS", control = list(reltol = 1e-14, maxit = 1000))
    expect_lt(loss(log(w[-k] / w[k])), best$value + 1e-6)
    expect_equal(sum(w), 1)
    expect_true(all(w >= 0))
  }
  expect_equal(stacking_weights(cbind(rep(-1, 5), rep(-3, 5))), c(1, 0), tolerance = 1e-8)
  expect_equal(stacking_weights(cbind(c(-Inf, -1), c(-1, -Inf))), c(0.5, 0.5))
})

test_that("members are weighted by evidence, by held-out rows and by folds", {
  fit <- bayes_mixture(combine = "evidence", members = 3)
  total <- function(m, ...) sum(elbo(m, ...)) - attr(elbo(m, ...), "kl")
  elbos <- vapply(members(fit), total, 0)
  expect_equal(fit$member_weights, exp(elbos - max(elbos)) / sum(exp(elbos - max(elbos))))
  linearised <- bayes_mixture(combine = "evidence", members = 3, posterior = "laplace")
  expect_equal(linearised$member_weights, exp(evidence(linearised)) / sum(exp(evidence(linearised))))

  held_out <- quick_mixture(combine = "stack", validation = 25:32)
  parts <- members(held_out)
  new <- mtcars[25:32, ]
  density <- vapply(parts, function(p) stats::dnorm(new$mpg, predict(p, new), stats::sigma(p), log = TRUE), numeric(8))
  expect_equal(held_out$member_weights, stacking_weights(density), tolerance = 1e-6)

  # two folds of Bayesian members: the KL has the weight of the fold's rows, and no callback is heard
  heard <- 0
  two <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 3, members = 2, posterior = "meanfield", combine = "stack",
                      callback = function(epoch, row) {
                        heard <<- heard + 1
                        FALSE
                      })
  expect_identical(heard, 6)
  control <- fold_control(members(two)[[1]]$control, list(x = matrix(0, 25, 1)))
  expect_equal(control$objective$coefficient[["kl_weights"]], 1 / 25)
  few <- fit_nn(mpg ~ wt, mtcars[1:3, ], hidden = 1, epochs = 2, members = 2, combine = "stack")
  expect_equal(sum(few$member_weights), 1)

  set.seed(6)
  folds <- fit_nn(mpg ~ wt, mtcars, hidden = 3, epochs = 10, members = 2, combine = "stack")
  after <- stats::runif(1)
  expect_equal(sum(folds$member_weights), 1)
  set.seed(6)
  again <- fit_nn(mpg ~ wt, mtcars, hidden = 3, epochs = 10, members = 2, combine = "stack")
  expect_identical(again$member_weights, folds$member_weights)
  expect_identical(stats::runif(1), after)
})

test_that("every family has draws, intervals and scores of a mixture", {
  set.seed(7)
  d <- data.frame(x = stats::rnorm(40), z = stats::rnorm(40))
  responses <- list(gaussian = d$x + stats::rnorm(40), huber = d$x + stats::rt(40, 2), bernoulli = d$x > 0,
                    categorical = factor(sample(c("a", "b", "c"), 40, TRUE)), poisson = stats::rpois(40, 3),
                    negative_binomial = stats::rnbinom(40, 2, mu = 3), gaussian_hetero = d$x + stats::rnorm(40))
  for (family in names(responses)) {
    d$y <- responses[[family]]
    fit <- fit_nn(y ~ ., d, hidden = 2, epochs = 5, members = 2, family = family)
    expect_identical(dim(posterior_predict(fit, draws = 7))[1:2], c(7L, 40L))
    expect_identical(dim(log_lik(fit, draws = 7)), c(7L, 40L))
    epred <- posterior_epred(fit, draws = 200)
    expect_equal(as.vector(apply(epred, seq_along(dim(epred))[-1], mean)),
                 as.vector(predict(fit, type = if (family == "categorical") "prob" else "response")), tolerance = 1e-6)
    expect_true(is.finite(calibration(fit, draws = 20)$log_score))
    if (!family %in% c("bernoulli", "categorical")) {
      q <- predict(fit, interval = "prediction", draws = 200)
      expect_true(all(q[, "lwr"] <= q[, "upr"]))
    }
    expect_s3_class(continue(fit, 2), "varnn_mixture")
    expect_output(print(summary(fit)), "2 members, of equal weight")
  }
})

test_that("continue() and update() go on with all members", {
  fit <- quick_mixture(members = 2)
  more <- continue(fit, 5)
  expect_identical(vapply(members(more), function(m) m$n_epochs, 0L), c(25L, 25L))
  set.seed(2)
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 3, members = 2)
  set.seed(2)
  expect_identical(members(update(fit, epochs = 3))[[2]]$theta, members(fit)[[2]]$theta)
})

test_that("what continue() cannot do of a mixture is said before any member is trained on", {
  for (posterior in list(posterior_dropout(0.1, 5), posterior_swag(2, 2))) {
    fit <- suppressWarnings(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5, posterior = posterior, members = 2))
    said <- tryCatch(continue(fit, 2), error = identity)
    expect_s3_class(said, "varnn_error")
    expect_false(inherits(said, "varnn_error_in_training"))
    expect_match(conditionMessage(said), "fit anew with more `epochs`[.]$")
  }
  fit <- quick_mixture(members = 2)
  for (call in list(quote(continue(fit)), quote(continue(fit, 0)), quote(continue(fit, 2, learn_rate = -1)),
                    quote(continue(fit, 2, hiden = 3)))) {
    said <- tryCatch(eval(call), error = identity)
    expect_s3_class(said, "varnn_error")
    expect_false(inherits(said, "varnn_error_in_training"))
  }
})

test_that("a member that diverges is dropped, said", {
  set.seed(2)
  warned <- character()
  fit <- withCallingHandlers(
    fit_nn(mpg ~ wt, mtcars, hidden = 20, activation = "linear", members = 12, epochs = 15, optimizer = "sgd",
           learn_rate = 1, batch_size = 32),
    warning = function(w) {
      warned <<- c(warned, class(w)[1], conditionMessage(w))
      invokeRestart("muffleWarning")
    })
  bad <- 12 - length(members(fit))
  expect_true(bad > 0 && bad < 12)
  expect_match(warned, sprintf("%d member", bad), all = FALSE)
  expect_true(all(is.finite(predict(fit))))
  expect_true(all(vapply(members(fit), function(m) m$stop_reason, "") != "diverged") || length(members(fit)) == 1)
})

test_that("arguments that are none, and mixtures that are damaged, are refused", {
  for (bad in list(0, 1e6, -1, 1.5, NA, "three", c(1, 2), NULL))
    expect_error(fit_nn(mpg ~ wt, mtcars, members = bad), "`members` must be a whole number")
  expect_error(check_members_memory(1000, 1e9, 2), "1000 members of 1,000,000,000 parameters would need")
  expect_error(fit_nn(mpg ~ wt, mtcars, combine = "evidence", members = 2), "`combine` = \"evidence\" needs")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, combine = "evidence", posterior = "point", members = 2), "has a spread")
  expect_error(fit_nn(mpg ~ wt, mtcars, combine = "best"), "`combine`")
  expect_error(members(1), "`object` must be a fit")
  fit <- quick_mixture(members = 2)
  with_field <- function(...) utils::modifyList(fit, list(...), keep.null = TRUE)
  with_member <- function(k, m) {
    fit$members[[k]] <- m
    fit
  }
  second <- fit$members[[2]]
  damage <- list(
    with_field(member_weights = c(2, -1)), with_field(member_weights = 1), `[[<-`(fit, "members", list()),
    with_member(2, `[[<-`(second, "theta", second$theta[-1])), with_member(2, "nothing"),
    with_member(1, `[[<-`(second, "blocks", NULL)), with_member(2, fit),
    with_member(2, structure(second, class = "varnn")),
    `[[<-`(fit, "spec", utils::modifyList(fit$spec, list(n_x = 7L))), `[[<-`(fit, "eta", fit$eta[-1, , drop = FALSE]),
    `[[<-`(fit, "response", fit$response[-1]), `[[<-`(fit, "blocks", NULL), `[[<-`(fit, "n_par", "many")
  )
  for (i in seq_along(damage)) expect_error(predict(damage[[i]], mtcars), "The fit is damaged", label = i)
})

test_that("every method of a fit answers of a mixture, or says why not", {
  skip_if_counted()
  fits <- list(varnn_nn = quick_mixture(members = 2), varnn_bayes_nn = bayes_mixture(),
               varnn_bayes_nn = bayes_mixture(posterior = "auto", members = 3))
  own <- function(e) inherits(e, "varnn_error") && !grepl("damaged", conditionMessage(e))
  more <- list(continue = list(epochs = 1), update = list(), plot = list())
  for (i in seq_along(fits)) {
    class <- names(fits)[i]
    registered <- readLines(system.file("NAMESPACE", package = "varnn"))
    pattern <- sprintf("^S3method\\(\"?([a-zA-Z_.]+)\"?,(varnn|%s)\\)$", class)
    generics <- unique(sub(pattern, "\\1", grep(pattern, registered, value = TRUE)))
    expect_gt(length(generics), 20)
    for (name in setdiff(generics, c("close_noise", "remember", "model_title", "result_line"))) {
      said <- tryCatch({
        utils::capture.output(suppressMessages(suppressWarnings(
          do.call(name, c(list(fits[[i]]), more[[name]]), quote = TRUE))))
        TRUE
      }, error = function(e) if (own(e)) TRUE else conditionMessage(e))
      expect_true(isTRUE(said), label = paste(class, name, said))
    }
  }
  for (fit in fits) for (which in c("fit", "history")) expect_silent(plot(fit, which))
  expect_error(plot(fits$varnn_nn, "network"), "which")
})

test_that("weights by evidence are those of many draws, where training has a few", {
  set.seed(9)
  fit <- fit_bayes_nn(am == 1 ~ wt, mtcars, hidden = 2, members = 3, epochs = 300, combine = "evidence")
  elbos <- vapply(members(fit), function(m) sum(e <- elbo(m, draws = 20000)) - attr(e, "kl"), 0)
  expect_lt(max(abs(log(fit$member_weights) - log(softmax_weights(elbos)))), 0.3)
  expect_false("elbo" %in% names(summary(fit)$members))
  expect_true("elbo" %in% names(summary(bayes_mixture())$members))
  expect_true("evidence" %in% names(summary(bayes_mixture(posterior = "laplace"))$members))
  expect_identical(dim(as.matrix(fit, draws = 4)), c(4L, 7L))
})

test_that("bounds of the mean of points are members, with at least the probability asked for", {
  fit <- quick_mixture(members = 2)
  new <- mtcars[1:5, ]
  m <- vapply(members(fit), function(p) predict(p, new), numeric(5))
  found <- predict(fit, new, interval = "confidence", level = 0.5)
  expect_equal(unname(found[, 2:3]), unname(t(apply(m, 1, range))))
})

test_that("mixtures of few rows, of members that all diverge, without rows and with rows left out answer", {
  air <- airquality
  fit <- fit_nn(Ozone ~ Wind, air, na.action = na.exclude, members = 2, epochs = 3, hidden = 2)
  expect_identical(nrow(predict(fit, interval = "prediction")), nrow(air))
  expect_identical(dim(log_lik(fit, air[0, ], draws = 3)), c(3L, 0L))
  one <- fit_nn(Ozone ~ Wind, na.omit(air), members = 2, epochs = 3, hidden = 2, combine = "stack", validation = 1)
  expect_equal(sum(one$member_weights), 1)
  w <- c(1, rep(0, 110))
  alone <- fit_nn(Ozone ~ Wind, na.omit(air), members = 2, epochs = 3, hidden = 2, combine = "stack", weights = w)
  expect_equal(alone$member_weights, c(0.5, 0.5))
  wild <- nn_control(epochs = 30, learn_rate = 1e6, optimizer = "sgd")
  expect_warning(bad <- fit_nn(Ozone ~ Wind, na.omit(air), members = 3, control = wild), "all 3 members diverged")
  expect_output(print(bad), "Neural network")
  linear <- fit_nn(Ozone ~ Wind, na.omit(air), hidden = 0, members = 2)
  expect_warning(AIC(linear), "an average of members")
  expect_error(confint(linear), "members\\(\\)")
  expect_error(encode(linear), "not one by fit_nn")
  several <- data.frame(n = stats::rnorm(20), k = gl(4, 5))
  x <- data.frame(a = stats::rnorm(20))
  expect_identical(dim(predict(fit_nn(x, several, members = 2, epochs = 2), x[0, , drop = FALSE])), c(0L, 2L))
  expect_null(members(fit)[[1]]$call$members)
  expect_message(continue(one, 1), "keep the weights of stacking")
})
