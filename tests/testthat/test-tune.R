# tune_fit(): closed forms of models without hidden layers, cross_validate(), and candidates trained in one run.

test_that("each row left out of ridge regressions: the errors of the closed form, and the best of them is fitted", {
  penalties <- c(0, 0.1, 1)
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  tuned <- tune_fit(fit, penalty = penalties, folds = seq_len(32), score = "rmse", draws = 10)
  x <- as.matrix(mtcars[c("wt", "hp")])
  moments <- function(v) list(mean = mean(v), sd = stats::sd(v))
  left_out <- function(lambda) {
    vapply(1:32, function(i) {
      of_x <- apply(x[-i, ], 2, moments)
      z <- vapply(1:2, function(j) (x[, j] - of_x[[j]]$mean) / of_x[[j]]$sd, numeric(32))
      of_y <- moments(mtcars$mpg[-i])
      b <- solve(crossprod(z[-i, ]) + 31 * lambda * diag(2), crossprod(z[-i, ], (mtcars$mpg[-i] - of_y$mean) / of_y$sd))
      of_y$mean + of_y$sd * sum(z[i, ] * b) - mtcars$mpg[i]
    }, 0)
  }
  rmse <- vapply(penalties, function(lambda) sqrt(mean(left_out(lambda)^2)), 0)
  expect_equal(tuned$table$rmse, sort(rmse), tolerance = 1e-5)
  expect_equal(tuned$table$penalty, penalties[order(rmse)])
  expect_identical(tuned$best, list(penalty = penalties[which.min(rmse)]))
  again <- update(fit, penalty = tuned$best$penalty)
  expect_equal(coef(tuned$fit), coef(again))
  expect_identical(tuned$fit$call$penalty, tuned$best$penalty)
  expect_equal(predict(update(tuned$fit), mtcars), predict(tuned$fit, mtcars))
})

test_that("candidates have the scores that cross_validate() finds, of numbers, classes and Bayesian networks", {
  parts <- rep(1:3, length.out = 150)
  fit <- fit_nn(Species ~ ., iris, hidden = 0, penalty = 1)
  tuned <- tune_fit(fit, penalty = c(0.01, 0.1), folds = parts, score = "brier")
  for (i in 1:2) {
    alone <- cross_validate(update(fit, penalty = tuned$table$penalty[i]), folds = parts)
    expect_equal(unlist(tuned$table[i, alone$scores$score]), alone$scores$value, ignore_attr = TRUE)
    expect_equal(tuned$table$se[i], alone$scores$se[2])
  }
  expect_false(is.unsorted(tuned$table$brier))
  bayes <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5, posterior = "meanfield")
  tuned <- tune_fit(bayes, prior = list(prior_normal(0, 1), prior_laplace(0, 1)), folds = 2, draws = 10)
  expect_setequal(tuned$table$prior, c(prior_normal(0, 1)$words, prior_laplace(0, 1)$words))
  expect_s3_class(tuned$fit, "varnn_bayes_nn")
})

test_that("by halves the last ones have the scores of training in one run, which is continued", {
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 4, epochs = 54, batch_size = 32)
  try_all <- function(search) {
    set.seed(7)
    tune_fit(fit, penalty = c(0, 0.01, 1), learn_rate = c(0.0001, 0.01, 0.1), folds = 2, draws = 10, search = search)
  }
  whole <- try_all("grid")$table
  halved <- try_all("halving")
  expect_equal(sort(unique(halved$table$epochs)), c(6, 18, 54))
  expect_equal(as.vector(table(halved$table$epochs)), c(6, 2, 1))
  last <- merge(halved$table[1, c("penalty", "learn_rate")], whole)
  expect_equal(last$log_score, halved$table$log_score[1])
  expect_equal(last$rmse, halved$table$rmse[1])
  expect_identical(halved$fit$n_epochs, fit$n_epochs)
})

test_that("halving drops candidates by the score that is asked for", {
  judged <- function(log_score, rmse) list(scores = cbind(log_score = rep(log_score, 4), rmse = rmse^2))
  plan <- list(fold = factor(c(1, 1, 2, 2)), w = rep(1, 4))
  all <- list(judged(-1, 3), judged(-2, 1), judged(-3, 2))
  expect_identical(better_third(c(plan, score = "log_score"), all), 1L)
  expect_identical(better_third(c(plan, score = "rmse"), all), 2L)
})

test_that("epochs are tried like any argument, and the best score comes first", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5)
  tuned <- tune_fit(fit, epochs = c(1, 40, 400), learn_rate = c(0.3, 0.01), folds = 2, draws = 10, rule = "one_se")
  expect_setequal(tuned$table$epochs, c(1, 40, 400))
  expect_false(is.unsorted(-tuned$table$log_score))
  expect_identical(tuned$fit$n_epochs, as.integer(tuned$best$epochs))
  expect_output(print(tuned), "epochs")
  words <- tune_fit(fit, activation = list(~ x * plogis(x), "relu"), folds = 2, draws = 10)
  expect_setequal(words$table$activation, c("~x * plogis(x)", "relu"))
})

test_that("some of the candidates are drawn, and the simplest near the best is found", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5)
  set.seed(1)
  tuned <- tune_fit(fit, hidden = list(2, 3, c(2, 2)), penalty = c(0, 0.1, 0.2), search = "random", n = 4, folds = 2,
                    draws = 10)
  expect_identical(nrow(tuned$table), 4L)
  expect_false(anyDuplicated(tuned$table[c("hidden", "penalty")]) > 0)
  table <- data.frame(penalty = c(0, 0.1, 0.1, 1), log_score = c(-1, -1.1, -1.15, -3), se = 0.2, n_par = c(9, 4, 4, 1))
  expect_identical(simplest_near(table, "log_score", 1L), 2L)
  expect_identical(simplest_near(transform(table, penalty = c(0, 0.1, 0.2, 1)), "log_score", 1L), 3L)
})

test_that("a search goes on where its file ends, with the same result, and knows files of others", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5)
  file <- tempfile()
  on.exit(unlink(file))
  for (search in c("grid", "halving")) {
    unlink(file)
    run <- function(...) tune_fit(fit, penalty = c(0, 0.1, 1), folds = 2, draws = 10, search = search, ...)
    set.seed(4)
    whole <- run()
    set.seed(4)
    expect_identical(run(file = file)$table, whole$table)
    kept <- kept_in_file(file)$value
    kept$done <- kept$done[1:3]
    expect_null(keep_in_file(kept, file))
    expect_identical(run(file = file)$table, whole$table)
    expect_length(kept_in_file(file)$value$done, length(kept$done) + if (search == "grid") 3 else 5)
  }
  expect_error(tune_fit(fit, penalty = c(0, 2), folds = 2, file = file), "another call", class = "varnn_error")
  writeLines("a", file)
  expect_error(run(file = file), "not written by tune_fit", class = "varnn_error")
  expect_error(run(file = 1), "the name of a file", class = "varnn_error")
  expect_error(run(file = file.path(file, "a")), "there is no folder", class = "varnn_error")
  plan <- list(file = file.path(tempfile(), "a"), progress = new.env())
  expect_warning(keep_progress(plan), "not kept", class = "varnn_not_kept")
})

test_that("the same choice with any plan of the package future", {
  skip_if_not_installed("future")
  skip_on_cran()
  skip_if_counted()
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 9)
  run <- function() {
    set.seed(3)
    tune_fit(fit, hidden = c(2, 4), penalty = c(0, 0.1), folds = 2, search = "halving")$table
  }
  alone <- run()
  old <- future::plan("multisession", workers = 2)
  on.exit(future::plan(old))
  expect_identical(run(), alone)
})

test_that("an interrupt leaves the candidates that are done, or says that none is", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5)
  plan <- list(fit = fit, train = fit$data, given = list(hidden = 2, epochs = 5), values = list(penalty = list(0, 1)),
               w = rep(1, 32), score = "log_score", rule = "best", fold = factor(rep(1:2, 16)),
               candidates = cbind(penalty = 1:2))
  expect_error(new_tuning(plan, list(NULL, NULL), "grid"), "before a candidate was done",
               class = "varnn_error")
  done <- list(scores = cbind(log_score = rep(-1, 32)), n_par = 7)
  plan$train <- training_data(fit)
  plan$train$y <- NULL
  keeping_work({
    work$asked <- TRUE
    expect_warning(tuned <- new_tuning(plan, list(NULL, done), "grid"), "after 1 of 2 candidates",
                   class = "varnn_interrupted")
  })
  expect_identical(tuned$best, list(penalty = 1))
  expect_identical(nrow(tuned$fit$history), 5L)
})

test_that("what is printed and drawn, and what is refused", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5)
  set.seed(1)
  tuned <- tune_fit(fit, hidden = list(2, c(2, 2)), penalty = seq(0, 1, 0.1), folds = 2, rule = "one_se", draws = 10)
  expect_output(print(tuned), "Tuning for mpg \\(22 candidates, 2-fold.*and 12 more.*Simplest within one")
  expect_identical(as.data.frame(tuned), tuned$table)
  pdf(NULL)
  on.exit(dev.off())
  expect_invisible(plot(tuned))
  refused <- function(expr, words) expect_error(expr, words, class = "varnn_error")
  refused(tune_fit(fit), "Give arguments with the values")
  refused(tune_fit(fit, hiden = 3), "did you mean \"hidden\"")
  refused(tune_fit(fit, 3), "without a name")
  refused(tune_fit(fit, data = list(mtcars)), "There is no argument `data`")
  refused(tune_fit(fit, penalty = c(0, -1)), "`penalty` must be a number at least 0")
  refused(tune_fit(fit, hidden = list()), "must be the values to try")
  refused(tune_fit(fit, hidden = mean), "must be the values to try")
  refused(tune_fit(fit, epochs = 1:3, search = "halving"), "`epochs` cannot be tried")
  refused(tune_fit(fit, hidden = 2, score = "brier"), "`score` must be one of \"log_score\", \"rmse\"")
  refused(tune_fit(fit, hidden = 2, search = "all"), "`search` must be one of")
  refused(tune_fit(fit, hidden = 1:1000, penalty = 1:1000, folds = 2), "These are 1000000 candidates")
  refused(tune_fit(fit, hidden = 2, folds = 1), "`folds` must be")
  refused(tune_fit(fit_ae(iris[1:4], latent = 1, epochs = 1)), "fit_nn\\(\\) or fit_bayes_nn\\(\\)")
  refused(tune_fit(mtcars), "needs a fit by")
  tuned$table$log_score <- "1"
  refused(print(tuned), "damaged")
})
