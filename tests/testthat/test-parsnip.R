# The engines of parsnip, against predict() of the same fit.

skip_if_not_installed("parsnip")

# What parsnip predicts, as a matrix without names, and what predict() does.
bare <- function(x) unname(as.matrix(as.data.frame(x)))

holed_cars <- function() {
  d <- mtcars[c(5, 3, 1), rev(names(mtcars))]
  d$wt[2] <- NA
  transform(d, unused = 1)
}

expect_contract <- function(fit, d, type, ...) {
  all <- as.data.frame(predict(fit, d, type = type, ...))
  expect_identical(nrow(all), nrow(d))
  expect_true(all(is.na(all[2, ])))
  one <- as.data.frame(predict(fit, d[3, ], type = type, ...))
  expect_equal(one, all[3, , drop = FALSE], ignore_attr = TRUE)
  none <- as.data.frame(predict(fit, d[0, ], type = type, ...))
  expect_identical(dim(none), c(0L, ncol(all)))
  expect_named(none, names(all))
  without <- tryCatch(predict(fit, d[names(d) != "wt"], type = type, ...), error = conditionMessage)
  expect_match(without, "wt|undefined columns") # the latter by parsnip, where it selects them itself
}

test_that("arguments of mlp() are those of fit_nn()", {
  spec <- parsnip::mlp("regression", "varnn", hidden_units = c(4, 3), penalty = 0.01, epochs = 5, activation = "tanh",
                       learn_rate = 0.01)
  set.seed(1)
  fit <- parsnip::fit(spec, mpg ~ wt + factor(cyl), mtcars)
  set.seed(1)
  ours <- fit_nn(mpg ~ wt + factor(cyl), mtcars, hidden = c(4, 3), penalty = 0.01, epochs = 5, activation = "tanh",
                 learn_rate = 0.01)
  expect_identical(parsnip::extract_fit_engine(fit)$theta, ours$theta)
  d <- holed_cars()
  expect_identical(bare(predict(fit, d))[, 1], unname(predict(ours, d)))
  expect_identical(predict(fit, d, type = "raw", opts = list(type = "link")), predict(ours, d, type = "link"))
  expect_contract(fit, d, "numeric")
  expect_error(predict(fit, d, type = "pred_int"), class = "varnn_error") # a network knows no intervals
  dropped <- parsnip::mlp("regression", "varnn", dropout = 0.3, epochs = 2)
  expect_output(print(parsnip::extract_fit_engine(parsnip::fit(dropped, mpg ~ wt, mtcars))), "dropout 0.3")
  by_engine <- parsnip::set_engine(parsnip::mlp("regression", epochs = 2), "varnn", family = "poisson")
  expect_identical(parsnip::extract_fit_engine(parsnip::fit(by_engine, carb ~ wt, mtcars))$family, "poisson")
  expect_error(parsnip::fit(parsnip::mlp("regression", "varnn", activation = "rellu"), mpg ~ wt, mtcars), "relu")
  expect_true("varnn" %in% parsnip::required_pkgs(spec))
})

test_that("case weights are weights, and without hidden layers intervals are those of lm()", {
  spec <- parsnip::mlp("regression", "varnn", hidden_units = 0)
  w <- rep(1:2, 16)
  fit <- parsnip::fit(spec, mpg ~ wt + hp, mtcars, case_weights = hardhat::frequency_weights(w))
  expect_equal(coef(parsnip::extract_fit_engine(fit)), coef(lm(mpg ~ wt + hp, mtcars, weights = w)), tolerance = 1e-6)
  fit <- parsnip::fit_xy(spec, mtcars[c("wt", "hp")], mtcars$mpg)
  lm <- lm(mpg ~ wt + hp, mtcars)
  d <- holed_cars()
  for (kind in c("confidence", "prediction")) {
    type <- c(confidence = "conf_int", prediction = "pred_int")[[kind]]
    expect_equal(bare(predict(fit, d, type = type, level = 0.8)),
                 unname(predict(lm, d, interval = kind, level = 0.8)[, -1]), tolerance = 1e-6)
    expect_contract(fit, d, type)
  }
  both <- parsnip::fit_xy(spec, mtcars[c("wt", "hp")], mtcars[c("mpg", "qsec")])
  expect_named(predict(both, d), c(".pred_mpg", ".pred_qsec"))
  expect_equal(predict(both, d, type = "conf_int")$.pred_upper_mpg,
               unname(predict(lm, d, interval = "confidence")[, "upr"]), tolerance = 1e-6)
})

test_that("intervals and quantiles of a Bayesian engine are those of predict()", {
  skip_if_not_installed("parsnip", "1.3.0")
  spec <- parsnip::set_engine(parsnip::mlp("regression", hidden_units = 3, epochs = 20), "varnn_bayes", members = 1)
  set.seed(1)
  fit <- parsnip::fit(spec, mpg ~ wt, mtcars)
  ours <- parsnip::extract_fit_engine(fit)
  expect_s3_class(ours, "varnn_bayes_nn")
  d <- holed_cars()
  same_draws <- function(x) {
    set.seed(2)
    x
  }
  for (kind in c("confidence", "prediction")) {
    type <- c(confidence = "conf_int", prediction = "pred_int")[[kind]]
    expect_identical(bare(same_draws(predict(fit, d, type = type, level = 0.6))),
                     unname(same_draws(predict(ours, d, interval = kind, level = 0.6))[, -1]))
  }
  levels <- c(0.1, 0.5, 0.8)
  expect_identical(bare(as.matrix(same_draws(predict(fit, d, type = "quantile", quantile_levels = levels))[[1]])),
                   unname(same_draws(predict(ours, d, type = "quantile", probs = levels))))
  mode <- parsnip::set_mode(spec, "quantile regression", quantile_levels = levels)
  set.seed(1)
  fit <- parsnip::fit(mode, mpg ~ wt, mtcars)
  expect_identical(bare(as.matrix(same_draws(predict(fit, d))[[1]])),
                   unname(same_draws(predict(ours, d, type = "quantile", probs = levels))))
})

test_that("classes have all their levels, and two of them intervals", {
  flowers <- transform(iris, wt = Petal.Width,
                       Species = factor(Species, c("setosa", "none", "versicolor", "virginica")))
  fit <- parsnip::fit(parsnip::mlp("classification", "varnn", epochs = 5), Species ~ wt + Sepal.Width, flowers)
  ours <- parsnip::extract_fit_engine(fit)
  d <- flowers[c(1, 60, 120), ]
  d$wt[2] <- NA
  expect_identical(levels(predict(fit, d)[[1]]), levels(flowers$Species))
  expect_identical(as.character(predict(fit, d)[[1]]), unname(as.character(predict(ours, d))))
  prob <- predict(fit, d, type = "prob")
  expect_named(prob, paste0(".pred_", levels(flowers$Species)))
  expect_identical(bare(prob)[, -2], unname(predict(ours, d, type = "prob")))
  expect_identical(prob$.pred_none, c(0, NA, 0))
  expect_contract(fit, d, "prob")
  expect_contract(fit, d, "class")
  two <- parsnip::fit(parsnip::mlp("classification", "varnn", hidden_units = 0), factor(vs) ~ wt, mtcars)
  ours <- predict(parsnip::extract_fit_engine(two), mtcars, interval = "confidence")
  bounds <- predict(two, mtcars, type = "conf_int")
  expect_equal(bare(bounds[c(".pred_lower_1", ".pred_upper_1")]), unname(ours[, -1]))
  expect_equal(bounds$.pred_lower_0, 1 - bounds$.pred_upper_1)
})

test_that("parameters can be tuned, and workflows take the engine", {
  each <- parsnip::fit(parsnip::mlp("regression", "varnn", epochs = 3), mpg ~ wt, mtcars)
  expect_false(parsnip::has_multi_predict(each))
  expect_error(parsnip::multi_predict(each, mtcars, epochs = 1:2), "multi_predict")
  tunable <- getS3method("tunable", "model_spec", envir = asNamespace("parsnip"))
  info <- tunable(parsnip::mlp("regression", "varnn"))
  expect_setequal(info$name, c("hidden_units", "penalty", "dropout", "epochs", "activation", "learn_rate"))
  expect_identical(info$call_info[[which(info$name == "activation")]]$values, activations())
  expect_setequal(tunable(parsnip::mlp("regression", "varnn_bayes"))$name,
                  c("hidden_units", "epochs", "activation", "learn_rate"))
  skip_if_not_installed("workflows")
  spec <- parsnip::mlp("regression", "varnn", hidden_units = 0)
  flow <- workflows::add_model(workflows::add_formula(workflows::workflow(), mpg ~ wt + hp), spec)
  fit <- parsnip::fit(flow, mtcars)
  expect_equal(bare(predict(fit, mtcars[1:3, ], type = "pred_int")),
               unname(predict(lm(mpg ~ wt + hp, mtcars), mtcars[1:3, ], interval = "prediction")[, -1]),
               tolerance = 1e-6)
})

test_that("the engines are there whichever package comes first", {
  run <- function(...) {
    utils::tail(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(paste0(...))), stdout = TRUE,
                        env = paste0("R_LIBS=", paste(.libPaths(), collapse = .Platform$path.sep))), 1)
  }
  ask <- "all(c('varnn', 'varnn_bayes') %in% parsnip::get_from_env('mlp')$engine)"
  expect_identical(run("loadNamespace('varnn'); cat(isNamespaceLoaded('parsnip'), ", ask, ")"), "FALSE TRUE")
  expect_identical(run("loadNamespace('parsnip'); loadNamespace('varnn'); cat(", ask, ")"), "TRUE")
})
