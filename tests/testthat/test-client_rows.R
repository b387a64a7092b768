# What clients give back for any rows of new data, against lm() and glm(): of each client in each situation the
# prediction of each row, in their order, missing where a predictor is.

cars_with_levels <- function() {
  # no row has the level 5 or none
  data.frame(mpg = mtcars$mpg, qsec = mtcars$qsec, wt = mtcars$wt, f = factor(mtcars$cyl, c(4, 5, 6, 8)),
             many = factor(ifelse(mtcars$gear > 3, "many", "few"), c("few", "none", "many")),
             row.names = row.names(mtcars))
}

# New data, made of six rows of cars; row names say which they are.
situations <- list(
  "some rows" = identity,
  "one row" = function(d) d[4, ],
  "no row" = function(d) d[0, ],
  "missing values" = function(d) transform(d, wt = replace(wt, 2, NA), f = replace(f, 5, NA)),
  "one row, missing" = function(d) transform(d[1, ], wt = NA_real_),
  "other columns" = function(d) cbind(extra = letters[1:6], d, more = 1),
  "another order of columns" = function(d) d[rev(names(d))],
  "fewer levels" = function(d) droplevels(d[d$f == "4", ]),
  "more levels" = function(d) transform(d, f = factor(f, c("2", rev(levels(f)), "16"))),
  "levels as words" = function(d) transform(d, f = as.character(f)),
  "no response" = function(d) d[c("wt", "f")]
)

six_cars <- function() cars_with_levels()[c(3, 1, 18, 5, 32, 2), ]

# Predictions of six_cars() by models of the data without levels that no row has, and what they are in a situation.
by_r <- list(
  number = function(d) cbind(predict(lm(mpg ~ wt + f, d), droplevels(six_cars()))),
  several = function(d) predict(lm(cbind(mpg, qsec) ~ wt + f, d), droplevels(six_cars())),
  classes = function(d) {
    p <- predict(glm(many ~ wt + f, binomial, d), droplevels(six_cars()), type = "response")
    cbind(1 - p, p)
  }
)
wanted <- function(all, d) {
  out <- unname(all[row.names(d), , drop = FALSE])
  out[is.na(d$wt) | is.na(d$f), ] <- NA
  out
}

linear_cars <- function(formula = mpg ~ wt + f) fit_nn(formula, cars_with_levels(), hidden = 0)
of_number <- function(predicted) function() predicted(linear_cars())
of_several <- function(predicted) function() predicted(linear_cars(cbind(mpg, qsec) ~ wt + f))
of_classes <- function(predicted) function() predicted(linear_cars(many ~ wt + f))

parsnip_spec <- function(mode = "regression") parsnip::mlp(mode, "varnn", hidden_units = 0)
without_none <- function(prob) {
  expect_true(all(prob[[2]] %in% c(0, NA)))
  prob[-2]
}
two_columns <- function(p) cbind(1 - p, p)

augmented <- function(columns) function(fit) function(d) generics::augment(fit, newdata = d)[columns]
# The package is no dependency: Debian 12 does not have it.
marginal_predictions <- function(fit, d) {
  getExportedValue("marginaleffects", "predictions")(fit, newdata = d, vcov = FALSE)$estimate
}

# Of each client how its predictions of a number, of classes and of several numbers are made. `own` are situations in
# which the client itself refuses new data, with its words.
clients <- list(
  "predict()" = list(
    number = of_number(function(fit) function(d) predict(fit, d)),
    several = of_several(function(fit) function(d) predict(fit, d)),
    classes = of_classes(function(fit) function(d) predict(fit, d, type = "prob"))),
  parsnip = list(
    there = function() skip_if_not_installed("parsnip"),
    number = function() {
      fit <- parsnip::fit(parsnip_spec(), mpg ~ wt + f, cars_with_levels())
      function(d) predict(fit, d)
    },
    several = function() {
      fit <- parsnip::fit_xy(parsnip_spec(), cars_with_levels()[c("wt", "f")], cars_with_levels()[c("mpg", "qsec")])
      function(d) predict(fit, d)
    },
    classes = function() {
      fit <- parsnip::fit(parsnip_spec("classification"), many ~ wt + f, cars_with_levels())
      function(d) without_none(predict(fit, d, type = "prob"))
    }),
  workflows = list(
    there = function() skip_if_not_installed("workflows"),
    number = function() {
      flow <- workflows::add_formula(workflows::workflow(), mpg ~ wt + f)
      fit <- parsnip::fit(workflows::add_model(flow, parsnip_spec()), cars_with_levels())
      function(d) predict(fit, d)
    },
    classes = function() {
      flow <- workflows::add_formula(workflows::workflow(), many ~ wt + f)
      fit <- parsnip::fit(workflows::add_model(flow, parsnip_spec("classification")), cars_with_levels())
      function(d) without_none(predict(fit, d, type = "prob"))
    }),
  broom = list(
    there = function() skip_if_not_installed("generics"),
    number = of_number(augmented(".fitted")),
    several = of_several(augmented(c(".fitted.mpg", ".fitted.qsec"))),
    classes = of_classes(augmented(c(".pred_few", ".pred_many")))),
  ggplot2 = list(
    there = function() skip_if_not_installed("ggplot2"),
    number = of_number(function(fit) function(d) ggplot2::fortify(fit, d)$.fitted)),
  marginaleffects = list(
    there = function() skip_if_not_installed("marginaleffects"),
    number = of_number(function(fit) function(d) marginal_predictions(fit, d)),
    # It also asks for predictions at levels that no row has, as of lm().
    own = c("some rows" = "level.*5", "one row" = "level.*5", "missing values" = "level.*5",
            "one row, missing" = "level.*5", "other columns" = "level.*5", "another order of columns" = "level.*5",
            "more levels" = "level.*2", "no response" = "level.*5")),
  "marginaleffects without such levels" = list(
    there = function() skip_if_not_installed("marginaleffects"),
    number = of_number(function(fit) function(d) marginal_predictions(fit, droplevels(d))),
    classes = of_classes(function(fit) function(d) two_columns(marginal_predictions(fit, droplevels(d))))),
  insight = list(
    there = function() skip_if_not_installed("insight"),
    number = of_number(function(fit) function(d) insight::get_predicted(fit, d)),
    several = of_several(function(fit) function(d) insight::get_predicted(fit, d))),
  DALEX = list(
    there = function() skip_if_not_installed("DALEX"),
    number = of_number(function(fit) {
      explainer <- DALEX::explain(fit, cars_with_levels()[c("f", "wt")], mtcars$mpg, verbose = FALSE,
                                  predict_function = predict)
      function(d) predict(explainer, d)
    })),
  iml = list(
    there = function() skip_if_not_installed("iml"),
    number = of_number(function(fit) {
      predictor <- iml::Predictor$new(fit, cars_with_levels()[c("f", "wt")], mtcars$mpg,
                                      predict.function = function(model, newdata) predict(model, newdata))
      function(d) predictor$predict(d)
    })),
  caret = list(
    there = function() skip_if_not_installed("caret"),
    number = function() {
      fit <- caret::train(cars_with_levels()[c("wt", "f")], mtcars$mpg, method = caret_model(),
                          tuneGrid = data.frame(hidden = 0, penalty = 0), trControl = caret::trainControl("none"))
      function(d) predict(fit, d)
    },
    classes = function() {
      fit <- caret::train(cars_with_levels()[c("wt", "f")], droplevels(cars_with_levels()$many), method = caret_model(),
                          tuneGrid = data.frame(hidden = 0, penalty = 0),
                          trControl = caret::trainControl("none", classProbs = TRUE))
      function(d) predict(fit, d, type = "prob")
    }),
  butcher = list(
    there = function() skip_if_not_installed("butcher"),
    number = of_number(function(fit) {
      fit <- butcher::butcher(fit)
      function(d) predict(fit, d)
    }),
    several = of_several(function(fit) {
      fit <- butcher::butcher(fit)
      function(d) predict(fit, d)
    })),
  bundle = list(
    there = function() skip_if_not_installed("bundle"),
    number = of_number(function(fit) {
      fit <- bundle::unbundle(bundle::bundle(fit))
      function(d) predict(fit, d)
    })),
  vetiver = list(
    there = function() skip_if_not_installed("vetiver"),
    number = of_number(function(fit) {
      serve <- vetiver::handler_predict(vetiver::vetiver_model(fit, "cars"))
      function(d) serve(list(body = d))$.pred
    })),
  tidypredict = list(
    there = function() skip_if_not_installed("tidypredict"),
    number = of_number(function(fit) {
      e <- tidypredict::tidypredict_fit(fit)
      function(d) eval(e, d)
    }),
    several = of_several(function(fit) {
      e <- tidypredict::tidypredict_fit(fit)
      function(d) lapply(e, eval, d)
    }),
    classes = of_classes(function(fit) {
      e <- tidypredict::tidypredict_fit(fit)
      function(d) two_columns(eval(e, d))
    })),
  SQLite = list(
    there = function() {
      skip_if_not_installed("tidypredict")
      skip_if_not_installed("dbplyr")
      skip_if_not_installed("RSQLite")
    },
    number = of_number(function(fit) {
      e <- tidypredict::tidypredict_fit(fit)
      function(d) {
        con <- DBI::dbConnect(RSQLite::SQLite(), ":memory:")
        on.exit(DBI::dbDisconnect(con))
        DBI::dbWriteTable(con, "cars", d)
        dplyr::pull(dplyr::transmute(dplyr::tbl(con, "cars"), found = !!e), "found")
      }
    })),
  orbital = list(
    there = function() skip_if_not_installed("orbital"),
    number = of_number(function(fit) {
      e <- orbital::orbital(fit)
      function(d) predict(e, d)
    })),
  mlr3 = list(
    there = function() skip_if_not_installed("mlr3"),
    number = function() {
      learner <- mlr3::lrn("regr.varnn", hidden = 0)
      learner$train(mlr3::as_task_regr(cars_with_levels()[c("mpg", "wt", "f")], "mpg", id = "cars"))
      function(d) learner$predict_newdata(d)$response
    },
    classes = function() {
      learner <- mlr3::lrn("classif.varnn", hidden = 0, predict_type = "prob")
      learner$train(mlr3::as_task_classif(cars_with_levels()[c("many", "wt", "f")], "many", id = "cars"))
      function(d) without_none(as.data.frame(learner$predict_newdata(d)$prob))
    },
    own = c("missing values" = "missing values", "one row, missing" = "missing values",
            "fewer levels" = "different column info", "more levels" = "different column info"))
)

expect_answers <- function(client, kind) {
  predicted <- client[[kind]]()
  all <- by_r[[kind]](droplevels(cars_with_levels()))
  for (situation in names(situations)) {
    d <- situations[[situation]](six_cars())
    found <- tryCatch(predicted(d), error = conditionMessage)
    if (is.character(found)) {
      own <- if (situation %in% names(client$own)) client$own[[situation]] else "no error at all"
      testthat::expect_match(found, own, label = paste0("of ", kind, ", ", situation, ": the error"))
      next
    }
    found <- unname(do.call(cbind, lapply(if (is.list(found)) found else as.data.frame(found), as.double)))
    testthat::expect_equal(found, wanted(all, d), tolerance = 1e-4, label = paste0(kind, ", ", situation))
  }
}

for (name in names(clients)) test_that(paste(name, "keeps the rows"), {
  client <- clients[[name]]
  if (!is.null(client$there)) client$there()
  for (kind in intersect(names(by_r), names(client))) expect_answers(client, kind)
})

test_that("draws keep the rows", {
  skip_if_not_installed("rstantools")
  set.seed(1)
  bayes <- function(formula) {
    fit_bayes_nn(formula, cars_with_levels(), hidden = 2, posterior = "laplace", members = 1, epochs = 5)
  }
  one <- bayes(mpg ~ wt + f)
  two <- bayes(cbind(mpg, qsec) ~ wt + f)
  seeded <- function(call) {
    set.seed(2)
    call
  }
  d <- six_cars()
  all <- seeded(posterior_epred(one, d, draws = 20))
  both <- seeded(posterior_epred(two, d, draws = 20))
  expect_named(both, c("mpg", "qsec"))
  for (situation in names(situations)) {
    new <- situations[[situation]](d)
    at <- match(row.names(new), row.names(d))
    at[is.na(new$wt) | is.na(new$f)] <- NA
    found <- seeded(posterior_epred(one, new, draws = 20))
    expect_equal(unname(found), unname(all[, at, drop = FALSE]), info = situation)
    found <- seeded(posterior_epred(two, new, draws = 20))
    for (name in names(both)) expect_equal(unname(found[[name]]), unname(both[[name]][, at, drop = FALSE]))
    bounds <- rstantools::predictive_interval(one, newdata = new, draws = 20)
    expect_identical(unname(is.na(bounds[, 1])), is.na(at))
    expect_identical(nrow(bounds), nrow(new))
    if (!"mpg" %in% names(new)) next
    errors <- rstantools::predictive_error(one, newdata = new, draws = 20)
    expect_identical(unname(is.na(errors[1, ])), is.na(at))
    expect_identical(lapply(rstantools::predictive_error(two, newdata = new, draws = 20), dim),
                     list(mpg = dim(errors), qsec = dim(errors)))
  }
})

test_that("codes keep the rows", {
  skip_if_not_installed("recipes")
  train <- cars_with_levels()
  recipe <- recipes::recipe(mpg ~ wt + f + qsec, train)
  for (step in c(step_ae, step_vae)) {
    set.seed(1)
    trained <- recipes::prep(step(recipe, recipes::all_predictors(), latent = 2, hidden = 3, epochs = 2), train)
    codes <- function(d) unname(do.call(cbind, as.list(recipes::bake(trained, d, recipes::all_predictors()))))
    all <- codes(six_cars())
    expect_identical(dim(all), c(6L, 2L))
    for (situation in c("one row", "no row", "other columns", "another order of columns", "fewer levels",
                        "more levels")) {
      new <- situations[[situation]](six_cars())
      expect_equal(codes(new), all[match(row.names(new), row.names(six_cars())), , drop = FALSE], info = situation)
    }
    holed <- situations[["missing values"]](six_cars()) # a code of what is there
    expect_equal(codes(holed)[-c(2, 5), ], all[-c(2, 5), ])
    expect_false(anyNA(codes(holed)))
  }
})

test_that("mice asks for one entry, none, or levels that no row has", {
  skip_if_not_installed("mice")
  d <- cars_with_levels()
  there <- rep(c(TRUE, FALSE), c(30, 2))
  set.seed(1)
  impute <- function(y, wy = NULL) mice.impute.varnn(replace(y, !there, NA), there, cbind(d$wt), wy, hidden = 0)
  expect_length(impute(d$mpg), 2)
  expect_length(impute(d$mpg, seq_len(32) == 31), 1)
  expect_length(impute(d$mpg, logical(32)), 0)
  expect_identical(levels(impute(d$f)), levels(d$f))
  expect_false("5" %in% impute(d$f, rep(TRUE, 32)))
  expect_identical(impute(d$f, logical(32)), d$f[0])
})

test_that("marginal means of a factor with a level that no row has are those of lm()", {
  skip_if_not_installed("emmeans")
  means <- function(model) as.data.frame(emmeans::emmeans(model, "f"))
  ours <- means(linear_cars())
  expect_equal(ours$emmean, means(lm(mpg ~ wt + f, droplevels(cars_with_levels())))$emmean, tolerance = 1e-5)
  expect_identical(as.character(ours$f), c("4", "6", "8"))
})

test_that("pictures of new data take any rows of them", {
  skip_if_not_installed("ggplot2")
  fit <- linear_cars()
  all <- six_cars()
  drawn_at <- function(new) {
    plot <- ggplot2::autoplot(fit, "effects", variables = "wt", newdata = new)
    is_line <- vapply(plot$layers, function(l) inherits(l$geom, "GeomLine"), NA)
    found <- ggplot2::layer_data(plot, which(is_line)[1])[c("x", "y")]
    found[order(found$x), ]
  }
  slope <- coef(lm(mpg ~ wt + f, droplevels(cars_with_levels())))[["wt"]]
  for (situation in c("some rows", "missing values", "other columns", "another order of columns", "more levels",
                      "levels as words", "no response")) {
    found <- drawn_at(situations[[situation]](all))
    expect_equal(diff(found$y) / diff(found$x), rep(slope, nrow(found) - 1), tolerance = 1e-4, info = situation)
  }
  expect_error(drawn_at(all[0, ]), "row", class = "varnn_error")
})
