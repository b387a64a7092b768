# Dropout as a posterior against sums over all masks, and against the engine's own layer of dropout.

dropout_cars <- function(..., hidden = 6) {
  set.seed(1)
  fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = hidden, epochs = 60, posterior = posterior_dropout(...))
}

test_that("draws have the moments and the density of all masks, each with its probability", {
  skip_if_counted()
  fit <- dropout_cars(rate = 0.3, draws = 4000)
  weights <- coef(fit)
  new <- mtcars[c(1, 20, 31), ]
  x <- standardised(as.matrix(new[c("wt", "hp")]), fit$scaling)
  h <- pmax(weights[[1]] %*% t(x) + as.vector(weights[[2]]), 0)
  masks <- t(as.matrix(expand.grid(rep(list(0:1), 6))))
  p <- 0.7^colSums(masks) * 0.3^(6 - colSums(masks))
  # coef() is of the trained network, whose units are all there
  eta <- t(h) %*% (as.vector(weights[[3]]) * masks / 0.7) + as.vector(weights[[4]])
  block <- fit$blocks[[1]]
  mean_of <- block$center + block$scale * drop(eta %*% p)
  sd_of <- block$scale * sqrt(drop((eta - drop(eta %*% p))^2 %*% p))
  drawn <- posterior_epred(fit, new, draws = 4000)
  expect_true(all(standard_errors_off(drawn, mean_of) < 4))
  expect_equal(apply(drawn, 2, stats::sd) / sd_of, rep(1, 3), tolerance = 0.05, ignore_attr = TRUE)
  density <- vapply(1:3, function(i) {
    sum(p * stats::dnorm(new$mpg[i], block$center + block$scale * eta[i, ], stats::sigma(fit)))
  }, 0)
  found <- log_lik(fit, new, draws = 4000)
  expect_equal(colMeans(exp(found)) / density, rep(1, 3), tolerance = 0.05, ignore_attr = TRUE)
  expect_equal(unname(predict(fit, new)), colMeans(drawn), tolerance = 1e-10, ignore_attr = TRUE)
})

test_that("draws of deeper networks have the moments of the engine's layers of dropout, and rows share a draw", {
  fit <- dropout_cars(rate = 0.2, draws = 3000, hidden = c(5, 4))
  data <- engine_data(standardised(as.matrix(mtcars[1:3, c("wt", "hp")]), fit$scaling))
  own <- engine_run(with_dropout(fit$spec, 0.2), fit$theta, data, mode = "training", draws = 6000)
  own <- fit$blocks[[1]]$center + fit$blocks[[1]]$scale * t(matrix(own, 3))
  drawn <- posterior_epred(fit, mtcars[c(1:3, 1), ], draws = 3000)
  expect_identical(drawn[, 1], drawn[, 4])
  for (of in list(identity, function(m) (m - rep(colMeans(own), each = nrow(m)))^2)) {
    a <- of(own)
    b <- of(drawn[, 1:3])
    error <- sqrt(apply(a, 2, stats::var) / nrow(a) + apply(b, 2, stats::var) / nrow(b))
    expect_true(all(abs(colMeans(a) - colMeans(b)) < 4 * error))
  }
})

test_that("the rate of the greatest held-out log-likelihood is taken", {
  set.seed(2)
  fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 8, epochs = 100, posterior = "dropout", validation = 0.3)
  tried <- fit$sampled$tried
  expect_identical(tried$rate, dropout_rates)
  expect_identical(fit$sampled$rate, tried$rate[which.max(tried$log_lik)])
  expect_output(print(fit), sprintf("Posterior: dropout of hidden units at rate %s;", format(fit$sampled$rate)))
  few <- fit_bayes_nn(factor(vs) ~ wt + hp, mtcars, hidden = 3, epochs = 5, weights = carb,
                      posterior = posterior_dropout(rate = c(0.1, 0.5), draws = 3))
  expect_identical(few$sampled$tried$rate, c(0.1, 0.5))
  expect_identical(dim(posterior_epred(few, mtcars[1:2, ], draws = 7)), c(7L, 2L))
})

test_that("what is held out is judged by the average over draws", {
  set.seed(3)
  fit <- dropout_cars(rate = 0.2, draws = n_judging)
  data <- training_data(fit, mtcars)
  sets <- training_sets(utils::modifyList(data, list(scaling = fit$scaling)), fit$blocks, 0)
  control <- resolve_control(utils::modifyList(fit$control, list(epochs = 0L)), row_counts(32), spec_layout(fit$spec))
  set.seed(4)
  found <- held_out_score(0.2, fit$spec, fit$blocks, sets$train, sets$train, control)
  set.seed(4)
  noisy <- with_dropout(fit$spec, 0.2)
  fit$theta <- start_of(noisy, spec_layout(noisy), fit$blocks, sets$train, control)
  fit$sampled$kept <- matrix(stats::runif(6 * n_judging) >= 0.2, 6)
  fit <- fit[names(fit) != "eta"]
  fit <- structure(fit, class = c("varnn_bayes_nn", "varnn"))
  truth <- log_lik(fit, mtcars, draws = n_judging)
  expect_equal(found, mean(log(colMeans(exp(truth)))) + log(fit$blocks[[1]]$scale), tolerance = 1e-10)
})

test_that("of a single row the first rate is taken, for nothing can be held out", {
  fit <- fit_bayes_nn(mpg ~ wt, mtcars[1, ], posterior = "dropout", hidden = 2, epochs = 5)
  expect_identical(fit$sampled$rate, dropout_rates[1])
  weighted <- fit_bayes_nn(mpg ~ wt, mtcars, weights = as.numeric(seq_len(32) == 1), hidden = 2, epochs = 5,
                           posterior = posterior_dropout(c(0.2, 0.1)))
  expect_identical(weighted$sampled$rate, 0.2)
  two <- fit_bayes_nn(mpg ~ wt, mtcars[1:2, ], posterior = "dropout", hidden = 2, epochs = 5)
  expect_identical(nrow(two$sampled$tried), length(dropout_rates))
})

test_that("summary() says nothing of what the data determine, for the spread is that of the rate", {
  summary <- summary(dropout_cars(rate = 0.2, draws = 5))
  expect_null(summary$n_effective)
  expect_named(summary$layers, c("name", "weights", "prior_sd", "rms_mean", "rms_sd"))
  expect_false(any(grepl("determine", utils::capture.output(print(summary)))))
  point <- summary(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 2, posterior = "point"))
  expect_null(point$n_effective)
  expect_named(point$layers, c("name", "weights", "prior_sd", "rms_mean"))
  expect_false(any(grepl("determine", utils::capture.output(print(point)))))
})

test_that("what dropout cannot do is said before any work", {
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0, posterior = "dropout"), "there is no hidden layer",
               class = "varnn_error")
  expect_error(posterior_dropout(rate = 1), "`rate` must be", class = "varnn_error")
  expect_error(posterior_dropout(rate = "no"), "`rate` must be", class = "varnn_error")
  expect_error(posterior_dropout(draws = 0), "`draws`", class = "varnn_error")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = posterior_dropout), "posterior_dropout() returns",
                     fixed = TRUE, class = "varnn_error")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "dropout", members = 2, combine = "evidence"),
                     "`combine` = \"evidence\"", class = "varnn_error")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "dropout", estimator = "local"), "`estimator`",
               class = "varnn_error")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "dropout", prior = prior_normal("auto")),
                     "where `posterior` = \"dropout\" has none", fixed = TRUE, class = "varnn_error")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "dropout", optimizer = "lbfgs"),
               "`posterior` = \"dropout\" is trained by batches", class = "varnn_error")
  fit <- dropout_cars(rate = 0.2, draws = 5)
  expect_error(elbo(fit), "\"dropout\" has draws alone", fixed = TRUE, class = "varnn_error")
  expect_error(continue(fit, 2), "fit anew with more `epochs`", fixed = TRUE, class = "varnn_error")
  expect_output(print(posterior_dropout(c(0.1, 0.2))), "rate = 0.1 0.2, draws = 200", fixed = TRUE)
})
