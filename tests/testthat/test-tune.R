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
  refused(tune_fit(fit, data = list(mtcars)), "`data` cannot be tried")
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

test_that("every argument of a fit and of nn_control() is tried, or it is said why not", {
  few <- transform(mtcars, gear = factor(gear))
  set.seed(6)
  fits <- list(fit_nn(mpg ~ wt + gear, few, hidden = 2, epochs = 2),
               fit_bayes_nn(mpg ~ wt + gear, few, hidden = 2, epochs = 2, posterior = "meanfield"))
  values <- list(hidden = 3, activation = "tanh", family = "huber", penalty = 0.1, dropout = 0.1, layer_norm = TRUE,
                 standardize = FALSE, members = 2, combine = "equal", df = 4, tau = 0.3, embed = list(c(gear = 2)),
                 prior = list(prior_normal(0, 1)), posterior = "last_layer", rank = 2, estimator = "local", kl = "mc",
                 mc_samples = 2, sigma = 2, rotate = FALSE, epochs = 1, batch_size = 8, optimizer = "sgd",
                 learn_rate = 0.01, schedule = "cosine", momentum = 0.5, clip_norm = 1, validation = 0.2, patience = 3,
                 starts = 2, precision = "single", threads = 1, rng = "fast", new_levels = "mean")
  with <- list(df = list(family = "student_t"), tau = list(family = "quantile"),
               momentum = list(optimizer = "momentum"), patience = list(validation = 0.2))
  for (fit in fits) {
    maker <- if (inherits(fit, "varnn_bayes_nn")) fit_bayes_nn.formula else fit_nn.formula
    for (name in setdiff(c(names(formals(maker)), names(formals(nn_control)), "x", "y"), "...")) {
      given <- if (name %in% names(never_tried)) stats::setNames(list(list(1)), name) else c(values[name], with[[name]])
      said <- tryCatch({
        tuned <- suppressWarnings(do.call(tune_fit, c(list(fit), given, folds = 2, draws = 5), quote = TRUE))
        identical(tuned$best[[name]], as.list(values[[name]])[[1]])
      }, error = conditionMessage)
      if (name %in% names(never_tried)) expect_match(said, sprintf("`%s` cannot be tried: ", name), label = name)
      else expect_true(said, label = paste(name, said))
    }
  }
})

test_that("embeddings are tried on the training data found again, with the scores of cross_validate()", {
  set.seed(7)
  d <- data.frame(z = factor(rep(letters[1:6], 20)), u = stats::rnorm(120))
  d$y <- as.integer(d$z) %% 3 + d$u + stats::rnorm(120, 0, 0.1)
  parts <- rep(1:2, each = 60)
  by_formula <- fit_nn(y ~ z + u, d, hidden = 3, epochs = 20)
  for (fit in list(by_formula, fit_nn(d[c("z", "u")], d$y, hidden = 3, epochs = 20))) {
    set.seed(8)
    tuned <- tune_fit(fit, embed = list("auto", c(z = 2)), hidden = c(2, 3), folds = parts, draws = 10)
    expect_setequal(tuned$table$embed, c("auto", "c(z = 2)"))
    expect_identical(is.null(tuned$fit$design$embed), tuned$table$embed[1] == "auto")
    expect_equal(tuned$fit$call$embed, tuned$best$embed)
    for (i in 1:4) {
      embed <- if (tuned$table$embed[i] == "c(z = 2)") c(z = 2) else "auto"
      again <- update(fit, embed = embed, hidden = tuned$table$hidden[i])
      set.seed(8)
      expect_equal(cross_validate(again, folds = parts, draws = 10)$scores$value[1], tuned$table$log_score[i])
    }
  }
  expect_error(tune_fit(by_formula, embed = list(c(u = 2))), "`embed` names \"u\", which is no factor",
               class = "varnn_error")
  expect_error(tune_fit(by_formula, embed = list(TRUE)), "`embed` must be", class = "varnn_error")
  kept <- update(by_formula, keep_data = TRUE)
  for (lost in list(d[-1, ], NULL)) {
    d <- lost
    expect_error(tune_fit(kept, embed = list(0)), "`embed` cannot be tried", class = "varnn_error")
  }
})

test_that("values that are options and families are called as they are typed", {
  words <- function(...) vapply(list(...), value_words, "")
  expect_identical(words(posterior_swag(), posterior_swag(4, 5), posterior_dropout(c(0.1, 0.2), draws = 9),
                         posterior_hmc(metric = "dense")),
                   c("posterior_swag()", "posterior_swag(rank = 4, epochs = 5)",
                     "posterior_dropout(rate = c(0.1, 0.2), draws = 9)", "posterior_hmc(metric = \"dense\")"))
  expect_identical(words(nn_family("student_t"), nn_family("student_t", df = 4), poisson, poisson(),
                         list(a = nn_family("huber"), b = "poisson"), c(z = 2), c(16, 16)),
                   c("student_t", "student_t(df = 4)", "poisson", "poisson", "list(a = huber, b = \"poisson\")",
                     "c(z = 2)", "c(16, 16)"))
  set.seed(9)
  fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 2, posterior = "point")
  tuned <- suppressWarnings(tune_fit(fit, posterior = list("point", posterior_swag(2, 2)), folds = 2, draws = 5))
  expect_setequal(tuned$table$posterior, c("point", "posterior_swag(rank = 2, epochs = 2)"))
})

test_that("what halving cannot train on, and quantiles that differ, are refused before any work", {
  refused <- function(expr, words) expect_error(expr, words, class = "varnn_error")
  set.seed(10)
  swag <- suppressWarnings(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5, posterior = posterior_swag(2, 2)))
  refused(tune_fit(swag, hidden = 2:3, search = "halving"), "`posterior` = \"swag\" cannot: take \"grid\"")
  point <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5, posterior = "point")
  refused(tune_fit(point, posterior = list("point", posterior_dropout()), search = "halving"), "\"dropout\" cannot")
  expect_s3_class(tune_fit(swag, posterior = list("point", "meanfield"), search = "halving", folds = 2, draws = 5),
                  "varnn_tuning")
  quantile <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5, family = "quantile")
  refused(tune_fit(quantile, tau = c(0.1, 0.5)), "`tau` has more than one `tau`")
  refused(tune_fit(quantile, family = list("quantile", nn_family("quantile", tau = 0.9))), "`family` has more than one")
  expect_s3_class(tune_fit(quantile, tau = 0.1, hidden = 2:3, folds = 2, draws = 5), "varnn_tuning")
  expect_s3_class(tune_fit(quantile, family = c("gaussian", "quantile"), folds = 2, draws = 5), "varnn_tuning")
})
