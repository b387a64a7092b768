# insight, performance and parameters against what they say of lm() and glm().

test_that("insight reads the formula, the data and the family", {
  skip_if_not_installed("insight")
  fit <- fit_nn(mpg ~ wt + log(hp), mtcars, hidden = 0)
  model <- stats::lm(mpg ~ wt + log(hp), mtcars)
  for (f in c("find_formula", "find_predictors", "find_response", "find_parameters", "n_obs")) {
    f <- getExportedValue("insight", f)
    expect_equal(f(fit), f(model), ignore_attr = TRUE)
  }
  expect_equal(insight::get_parameters(fit), insight::get_parameters(model), tolerance = 1e-5, ignore_attr = TRUE)
  expect_equal(insight::get_statistic(fit), insight::get_statistic(model), tolerance = 1e-4, ignore_attr = TRUE)
  expect_identical(attr(insight::get_statistic(fit), "statistic"), "t-statistic")
  expect_setequal(names(insight::get_data(fit)), c("mpg", "wt", "hp"))
  expect_equal(as.numeric(insight::get_predicted(fit)), unname(stats::fitted(model)), tolerance = 1e-5)
  for (kind in c("expectation", "prediction")) {
    ours <- attr(insight::get_predicted(fit, mtcars[1:4, ], predict = kind, ci = 0.9), "ci_data")
    theirs <- stats::predict(model, mtcars[1:4, ], level = 0.9,
                             interval = if (kind == "prediction") "prediction" else "confidence")
    expect_equal(ours$CI_low, unname(theirs[, "lwr"]), tolerance = 1e-5)
  }
  kinds <- c("is_linear", "is_binomial", "is_count", "is_poisson", "is_bayesian", "is_logit", "link_function")
  for (pair in list(list(fit, model), list(quick(am ~ wt, mtcars, family = "binomial"),
                                           stats::glm(am ~ wt, stats::binomial, mtcars)),
                    list(quick(carb ~ wt, mtcars, family = "poisson"), stats::glm(carb ~ wt, stats::poisson, mtcars))))
    expect_identical(insight::model_info(pair[[1]])[kinds], unclass(insight::model_info(pair[[2]]))[kinds])
  bayes <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  expect_true(insight::model_info(bayes)$is_bayesian)
  drawn <- insight::get_parameters(bayes, draws = 3000)
  expect_equal(stats::cov(drawn), vcov(bayes), tolerance = 0.1)
  expect_equal(colMeans(drawn), coef(bayes), tolerance = 0.02)
  expect_refused(insight::get_parameters(quick(mpg ~ wt, mtcars)), "no parameters to read")
})

test_that("performance and parameters of a linear network are those of lm() and glm()", {
  skip_if_not_installed("performance")
  skip_if_not_installed("parameters")
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  model <- stats::lm(mpg ~ wt + hp, mtcars)
  ours <- performance::model_performance(fit)
  theirs <- performance::model_performance(model)
  same <- c("AIC", "BIC", "R2", "RMSE", "Sigma")
  expect_equal(unlist(ours[same]), unlist(as.data.frame(theirs)[same]), tolerance = 1e-5)
  expect_equal(ours$Score_log, mean(stats::dnorm(mtcars$mpg, stats::fitted(model), stats::sigma(model), log = TRUE)),
               tolerance = 1e-5)
  ours <- parameters::model_parameters(fit, ci = 0.9)
  theirs <- as.data.frame(parameters::model_parameters(model, ci = 0.9))
  columns <- c("Parameter", "Coefficient", "SE", "CI_low", "CI_high", "t", "df_error", "p")
  expect_equal(as.data.frame(ours)[columns], theirs[columns], tolerance = 1e-4, ignore_attr = TRUE)
  expect_output(print(ours), "wt")
  odds <- fit_nn(vs ~ drat + wt, mtcars, hidden = 0, family = "binomial")
  like <- stats::glm(vs ~ drat + wt, binomial, mtcars, epsilon = 1e-12)
  of_log <- c("Parameter", "Coefficient", "SE", "z", "p")
  for (given in list(list(exponentiate = TRUE), list(exponentiate = "nongaussian", keep = "wt"), list(drop = "wt|dr"),
                     list(keep = c("wt", "dr"), drop = "^d"))) {
    theirs <- do.call(parameters::model_parameters, c(list(like), given, verbose = FALSE), quote = TRUE)
    expect_equal(as.data.frame(do.call(parameters::model_parameters, c(list(odds), given)))[of_log],
                 as.data.frame(theirs)[of_log], tolerance = 1e-3, ignore_attr = TRUE)
  }
  # the limits of glm() are interpolated
  expect_equal(as.matrix(parameters::model_parameters(odds, exponentiate = TRUE)[c("CI_low", "CI_high")]),
               exp(confint(odds)), ignore_attr = TRUE)
  expect_equal(parameters::model_parameters(fit, exponentiate = "nongaussian")$Coefficient, unname(coef(fit)))
  expect_refused(parameters::model_parameters(odds, exponentiatee = TRUE), "did you mean \"exponentiate\"")
  expect_refused(parameters::model_parameters(odds, standardize = "refit"), "`standardize` must be NULL")
  expect_refused(parameters::model_parameters(odds, keep = "hp"), "leave no parameter")
  expect_refused(parameters::model_parameters(odds, exponentiate = 2), "`exponentiate` must be TRUE or FALSE")
  expect_output(print(performance::model_performance(fit)), "AIC")
  # a network has no criteria, classes no R2
  expect_named(performance::model_performance(quick(mpg ~ wt, mtcars)), c("R2", "RMSE", "Sigma", "Score_log"))
  expect_named(performance::model_performance(quick(Species ~ ., iris)), "Score_log")
  bayes <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  expect_equal(parameters::model_parameters(bayes)$CI_low, unname(confint(bayes)[, 1]))
  expect_refused(parameters::model_parameters(quick(mpg ~ wt, mtcars)), "without hidden layers")
  expect_named(performance::model_performance(fit, "RMSE"), "RMSE")
  expect_refused(performance::model_performance(fit, "AUC"), "`metrics` must be one of")
  expect_refused(performance::model_performance(fit_ae(iris, epochs = 2)), "with a response")
})

test_that("r2() of performance has the shape and the numbers of that of lm()", {
  skip_if_not_installed("performance")
  cars <- transform(mtcars, wt = replace(wt, 3, NA))
  times <- mtcars$carb
  pairs <- list(
    list(fit_nn(log(mpg) ~ wt, mtcars, hidden = 0), lm(log(mpg) ~ wt, mtcars)),
    list(fit_nn(mpg ~ 0 + wt + hp, mtcars, hidden = 0), lm(mpg ~ 0 + wt + hp, mtcars)),
    list(fit_nn(mpg ~ wt, mtcars, hidden = 0, weights = times), lm(mpg ~ wt, mtcars[rep(1:32, times), ])),
    list(fit_nn(mpg ~ wt, cars, hidden = 0, na.action = stats::na.exclude), lm(mpg ~ wt, cars))
  )
  for (pair in pairs)
    expect_equal(performance::r2(pair[[1]]), performance::r2(pair[[2]]), tolerance = 1e-5)
  network <- quick(mpg ~ wt, mtcars)
  expect_equal(performance::r2(network)$R2, c(R2 = summary(network)$responses[[1]]$measures[["r_squared"]]))
  expect_output(print(performance::r2(network)), "R2")
  bayes <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0)
  expect_equal(performance::r2(bayes)$R2, c(R2 = performance::model_performance(bayes)$R2))
  expect_refused(performance::r2(quick(Species ~ ., iris)), "`Species` are levels: see the accuracy")
  expect_refused(performance::r2(quick(am ~ wt, mtcars, family = "bernoulli")), "`am` are levels")
  expect_refused(performance::r2(quick(cbind(carb, 8 - carb) ~ wt, mtcars, family = "binomial")), "counts of successes")
  expect_refused(performance::r2(quick(cbind(mpg, qsec) ~ wt, mtcars)), "one response, and this one has 2")
  expect_refused(performance::r2(fit_ae(iris, epochs = 2)), "with a response")
  expect_refused(performance::r2(network, ci = 0.9), "`ci` must be NULL")
})
