# Predictions as expressions and in SQLite, against predict().

skip_if_not_installed("tidypredict")
skip_if_not_installed("dbplyr")
skip_if_not_installed("RSQLite")

cars <- function() {
  set.seed(1)
  transform(mtcars, g = factor(sample(c("a", "b", "it's"), 32, TRUE)), l = vs == 1, o = factor(gear, ordered = TRUE),
            cy = factor(cyl), ch = as.character(gear), tr = factor(ifelse(am == 1, "yes", "no")))
}

# Rows with missing values, one for each kind of column, and some far away, where exp() overflows.
holed <- function(d = cars()) {
  d$wt[3] <- d$g[5] <- d$l[7] <- d$o[9] <- NA
  d$wt[11:12] <- c(500, -500)
  d
}

database <- function(d) {
  con <- DBI::dbConnect(RSQLite::SQLite(), ":memory:")
  do.call(on.exit, list(bquote(DBI::dbDisconnect(.(con))), add = TRUE), envir = parent.frame())
  DBI::dbWriteTable(con, "cars", d)
  dplyr::tbl(con, "cars")
}

# The expressions of tidypredict in R and in SQLite, [rows, expressions].
in_both <- function(fit, d, in_sql = TRUE) {
  e <- tidypredict::tidypredict_fit(fit)
  if (!is.list(e)) e <- list(e)
  names(e) <- paste0("p", seq_along(e))
  found <- if (in_sql) dplyr::collect(dplyr::transmute(database(d), !!!e))
  in_r <- as.data.frame(lapply(e, eval, d))
  list(r = unname(as.matrix(in_r)), sql = if (in_sql) unname(as.matrix(as.data.frame(found))))
}

# To make SQL takes long: families share functions, and a few stand for all.
expect_same <- function(fit, d = holed(), in_sql = TRUE) {
  want <- unname(as.matrix(as.data.frame(predict(fit, d, type = "response"))))
  found <- in_both(fit, d, in_sql)
  if (ncol(want) == 2 && ncol(found$r) == 1) want <- want[, 2, drop = FALSE]
  expect_equal(found$r, want, tolerance = 1e-9)
  if (in_sql) expect_equal(found$sql, want, tolerance = 1e-9)
  expect_true(anyNA(want) || !any(is.na(d)))
}

test_that("networks predict in SQLite as predict() does", {
  d <- cars()
  for (activation in setdiff(activations(), "gelu"))
    expect_same(fit_nn(mpg ~ wt, d, hidden = 1, activation = activation, epochs = 2))
  own <- ~ ifelse(x > 0 & x < 2, pmin(x, 1), expm1(x) * plogis(x)^2) - 0.5
  expect_same(fit_nn(mpg ~ wt, d, hidden = 2, activation = own, epochs = 2), cars())
  expect_same(fit_nn(cbind(mpg, qsec) ~ wt, d, hidden = 2, epochs = 2))
  expect_same(fit_nn(mpg ~ wt + hp, d, hidden = 2, layer_norm = TRUE, dropout = 0.1, epochs = 2))
  expect_same(fit_nn(d[c("wt", "g")], d$mpg, hidden = 2, epochs = 2))
  expect_same(fit_nn(as.matrix(d[c("wt", "hp")]), d$mpg, hidden = 0), holed()[c("wt", "hp")])
})

test_that("columns of all kinds, and offsets, are expressions", {
  d <- cars()
  near <- replace(holed(), "wt", pmin(pmax(holed()$wt, 1), 6))
  power <- 2
  for (formula in list(mpg ~ wt * g + l + o, mpg ~ g - 1 + l:wt + g:o, mpg ~ log(wt) + I(disp^power / 100) + g,
                       mpg ~ factor(cyl) + (wt > 3) + as.factor(ch), mpg ~ wt + offset(qsec / 2) + offset(drat)))
    expect_same(fit_nn(formula, d, hidden = 2, epochs = 2), near)
  expect_same(fit_nn(carb ~ wt + offset(log(hp)), d, family = "poisson", hidden = 2, epochs = 2), near)
  unseen <- transform(d[1:3, ], g = c("a", "new", NA))
  mean <- fit_nn(mpg ~ wt + g, d, hidden = 2, epochs = 2, control = nn_control(new_levels = "mean"))
  suppressWarnings(expect_same(mean, unseen))
  fit <- fit_nn(mpg ~ wt + g, d, hidden = 2, epochs = 2)
  expect_identical(is.na(in_both(fit, unseen)$sql[, 1]), c(FALSE, TRUE, TRUE))
})

test_that("means of all families are expressions", {
  d <- cars()
  near <- replace(holed(), "wt", pmin(pmax(holed()$wt, -5), 9))
  of <- function(formula, ..., in_sql = FALSE) {
    expect_same(fit_nn(formula, d, hidden = 1, epochs = 2, ...), near, in_sql)
  }
  for (family in setdiff(families(), c("binomial", "categorical", "ordinal", "bernoulli", "beta")))
    of(carb ~ wt, family = family, in_sql = family == "zero_inflated_poisson")
  of(cy ~ wt, in_sql = TRUE)
  of(tr ~ wt)
  of(l ~ wt)
  of(o ~ wt, family = "ordinal", in_sql = TRUE)
  of(cbind(carb, gear) ~ wt, family = "binomial")
  of(I(mpg / 40) ~ wt, family = "beta")
  of(mpg ~ wt, family = nn_family("quantile", tau = c(0.1, 0.5, 0.9)))
  of(carb ~ wt, family = custom_family("counts", ~ exp(eta) - y * eta + lgamma(y + 1), "eta", mean = ~ exp(eta)))
  of(cy ~ wt, members = 2)
})

test_that("Bayesian means are expressions where they are those of one network", {
  d <- cars()
  fit <- function(...) fit_bayes_nn(..., data = d, epochs = 5)
  expect_same(fit(mpg ~ wt, hidden = 2, members = 2, posterior = "laplace"))
  expect_same(fit(mpg ~ wt, hidden = 0, posterior = "meanfield"))
  refused <- list(fit(tr ~ wt, hidden = 2, members = 1, posterior = "laplace"),
                  fit(mpg ~ wt, hidden = 2, posterior = "meanfield"))
  for (one in refused) expect_error(tidypredict::tidypredict_fit(one), "mean of this Bayesian", class = "varnn_error")
  expect_error(tidypredict::tidypredict_fit(fit_ae(iris[1:4], epochs = 1)), "no response", class = "varnn_error")
})

test_that("what a database has not is named", {
  refused <- list("gelu" = fit_nn(mpg ~ wt, mtcars, activation = "gelu", epochs = 1),
                  "poly(wt, 2)" = fit_nn(mpg ~ poly(wt, 2), mtcars, epochs = 1),
                  "log(wt, 2)" = fit_nn(mpg ~ log(wt, 2), mtcars, epochs = 1),
                  "too large" = fit_nn(mpg ~ wt, mtcars, hidden = c(20, 20, 20), activation = "tanh", epochs = 1))
  for (words in names(refused))
    expect_error(tidypredict::tidypredict_fit(refused[[words]]), words, fixed = TRUE, class = "varnn_error")
})

test_that("orbital has a column for each unit, also of deep networks", {
  skip_if_not_installed("orbital")
  d <- holed()
  fit <- fit_nn(mpg ~ wt + hp + g, cars(), hidden = c(6, 5, 4), activation = "tanh", epochs = 2, layer_norm = TRUE)
  o <- orbital::orbital(fit)
  expect_lt(sum(nchar(o)), 2e4)
  expect_equal(dplyr::collect(predict(o, database(d)))$.pred, unname(predict(fit, d)), tolerance = 1e-9)
  expect_equal(predict(o, d)$.pred, unname(predict(fit, d)), tolerance = 1e-9)
  flowers <- fit_nn(Species ~ ., iris, hidden = 2, epochs = 5)
  names(iris) <- make.names(names(iris))
  found <- as.data.frame(dplyr::collect(predict(orbital::orbital(flowers, type = c("class", "prob")), database(iris))))
  expect_identical(found$.pred_class, as.character(predict(flowers, iris)))
  expect_equal(unname(as.matrix(found[-1])), unname(predict(flowers, iris, type = "prob")), tolerance = 1e-9)
  expect_error(orbital::orbital(flowers, type = "numeric"), "is a factor", class = "varnn_error")
})

test_that("orbital takes a workflow of parsnip, scaled by a recipe", {
  for (package in c("orbital", "workflows", "parsnip")) skip_if_not_installed(package)
  d <- holed()[c("mpg", "wt", "hp", "tr")]
  spec <- function(mode) parsnip::mlp(mode, "varnn", hidden_units = 2, epochs = 5)
  steps <- recipes::step_normalize(recipes::recipe(mpg ~ wt + hp, cars()), recipes::all_numeric_predictors())
  fit <- parsnip::fit(workflows::workflow(steps, spec("regression")), cars())
  expect_equal(dplyr::collect(predict(orbital::orbital(fit), database(d)))$.pred, predict(fit, d)$.pred,
               tolerance = 1e-9)
  fit <- parsnip::fit(spec("classification"), tr ~ wt + hp, cars())
  found <- dplyr::collect(predict(orbital::orbital(fit, type = c("class", "prob")), database(d)))
  expect_identical(found$.pred_class, as.character(predict(fit, d)$.pred_class))
  expect_equal(as.data.frame(found[-1]), as.data.frame(predict(fit, d, type = "prob")), tolerance = 1e-9)
})
