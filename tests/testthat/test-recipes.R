# Steps of recipes, against encode() and impute() of the fits that they hold.

skip_if_not_installed("recipes")

flower_recipe <- function(step, ...) {
  step(recipes::recipe(Species ~ ., flowers()), recipes::all_predictors(), hidden = 4, epochs = 3, ...)
}

# By print() or by messages, as the version of recipes has it.
shown_as <- function(x) {
  messages <- capture.output(lines <- capture.output(print(x)), type = "message")
  paste(c(lines, messages), collapse = " ")
}

flowers <- function() {
  d <- iris
  d$wide <- factor(ifelse(d$Sepal.Width > 3, "yes", "no"), c("no", "never", "yes"))
  d$Sepal.Length[c(3, 60)] <- NA
  d$wide[7] <- NA
  d$n <- as.integer(10 * d$Petal.Length)
  d
}

test_that("baked codes are those of encode()", {
  d <- flowers()
  for (step in c("step_ae", "step_vae")) {
    recipe <- flower_recipe(get(step), latent = 3)
    set.seed(1)
    trained <- recipes::prep(recipe, d)
    prefix <- c(step_ae = "AE", step_vae = "VAE")[[step]]
    names <- c("Species", paste0(prefix, 1:3))
    fit <- trained$steps[[1]]$fit
    expect_identical(class(fit)[1], sub("step", "varnn", step))
    columns <- setdiff(names(d), "Species")
    set.seed(1)
    again <- do.call(sub("step", "fit", step), list(d[columns], latent = 3, hidden = 4, epochs = 3))
    expect_identical(fit$theta, again$theta)
    some <- d[c(7, 60, 150, 3), rev(names(d))]
    some$extra <- 1
    baked <- recipes::bake(trained, some)
    expect_named(baked, names, ignore.order = TRUE)
    expect_identical(unname(as.matrix(as.data.frame(baked[names[-1]]))), unname(encode(fit, some)))
    one <- recipes::bake(trained, some[1, ])
    expect_equal(one, baked[1, ])
    expect_identical(dim(recipes::bake(trained, some[0, ])), c(0L, 4L))
    expect_error(recipes::bake(trained, some[names(some) != "n"]), "`?n`?")
    expect_equal(unname(as.matrix(as.data.frame(recipes::bake(trained, NULL)[names[-1]]))), unname(encode(fit, d)))
    roles <- summary(trained)
    expect_identical(roles$role[match(names, roles$variable)], c("outcome", rep("predictor", 3)))
    expect_match(shown_as(trained), "utoencoder codes of")
    expect_lt(length(serialize(fit$call, NULL)), 2000)
  }
})

test_that("what a step keeps, selects and is asked", {
  d <- flowers()
  recipe <- recipes::recipe(Species ~ ., d)
  step <- step_ae(recipe, Sepal.Width, n, latent = 1, hidden = 2, epochs = 2, role = "code", prefix = "z",
                  keep_original_cols = TRUE, options = list(activation = "tanh", noise = 0.1), id = "mine")
  expect_identical(generics::tidy(step, 1)$terms, c("Sepal.Width", "n"))
  trained <- recipes::prep(step, d)
  expect_setequal(names(recipes::bake(trained, d)), c(names(d), "z1"))
  expect_identical(summary(trained)$role[summary(trained)$variable == "z1"], "code")
  expect_match(deparse(trained$steps[[1]]$fit$call), "noise = 0.1", all = FALSE)
  expect_equal(as.data.frame(generics::tidy(trained, 1)), data.frame(terms = c("Sepal.Width", "n"), id = "mine"))
  expect_identical(generics::required_pkgs(trained$steps[[1]]), "varnn")
  tunable <- generics::tunable(trained$steps[[1]])
  expect_identical(tunable$name, c("latent", "hidden", "epochs"))
  expect_identical(unique(tunable$component), "step_ae")
  nothing <- recipes::prep(step_ae(recipe, tidyselect::starts_with("none")), d)
  expect_identical(names(recipes::bake(nothing, d)), names(recipes::bake(recipes::prep(recipe, d), d)))
  expect_error(step_ae(recipe, n, options = 3), class = "varnn_error")
  expect_error(recipes::prep(step_ae(recipe, n, latent = 1, options = list(noize = 1)), d), "noise")
  d$n1 <- d$n
  expect_error(recipes::prep(step_ae(recipes::recipe(d), Sepal.Width, n, latent = 1, hidden = 2, epochs = 2,
                                     prefix = "n"), d), "already exist|collision")
})

test_that("arguments that are none are refused in words", {
  recipe <- recipes::recipe(iris)
  for (value in list(NULL, 1i, mtcars, mean, c("a", "b"), NA_character_, structure(1, class = "zz"))) {
    wrong <- function(...) expect_error(step_impute_vae(recipe, ...), class = "varnn_error")
    expect_error(step_ae(value), "`recipe`", class = "varnn_error")
    wrong(trained = value)
    wrong(skip = value)
    wrong(id = value)
    wrong(type = value)
    if (!is.null(value)) wrong(options = value)
    if (!is.null(value)) wrong(role = if (identical(value, NA_character_)) 3 else value)
    expect_error(recipes::prep(step_ae(recipe, recipes::all_numeric(), hidden = if (is.null(value)) "a" else value),
                               iris), "hidden")
  }
})

test_that("frequency weights are weights", {
  skip_if_not_installed("hardhat")
  d <- iris[1:4]
  d$w <- hardhat::frequency_weights(rep(1:2, 75))
  recipe <- step_ae(recipes::recipe(d), recipes::all_numeric(), -w, hidden = 3, epochs = 2)
  set.seed(1)
  step <- recipes::prep(recipe, d)$steps[[1]]
  set.seed(1)
  expect_identical(step$fit$theta, fit_ae(iris[1:4], hidden = 3, epochs = 2, weights = rep(1:2, 75))$theta)
  expect_true(step$case_weights)
})

test_that("step_impute_vae() fills in as impute() does, and nothing else", {
  d <- flowers()
  for (type in c("mean", "draw")) {
    set.seed(1)
    recipe <- step_impute_vae(recipes::recipe(Species ~ ., d), Sepal.Length, wide, hidden = 4, epochs = 3, type = type,
                              seed = 5)
    trained <- recipes::prep(recipe, d)
    fit <- trained$steps[[1]]$fit
    expect_setequal(vapply(fit$design$variables, function(c) c$name, ""), setdiff(names(d), "Species"))
    before <- .Random.seed
    some <- d[c(3, 7, 60, 100), ]
    some$n[2] <- NA # not one that is filled in
    baked <- as.data.frame(recipes::bake(trained, some))
    expect_identical(.Random.seed, before)
    set.seed(5)
    ours <- impute(fit, some[names(some) != "Species"], type = type)
    expect_identical(baked$Sepal.Length, ours$Sepal.Length)
    expect_identical(as.character(baked$wide), as.character(ours$wide))
    expect_identical(baked$n, some$n)
    expect_identical(baked$wide[-2], some$wide[-2])
    expect_identical(as.data.frame(recipes::bake(trained, some)), baked)
    expect_false(anyNA(recipes::bake(trained, some[1, ])))
    expect_identical(nrow(recipes::bake(trained, some[0, ])), 0L)
    expect_match(shown_as(trained), "imputation")
  }
  few <- recipes::prep(step_impute_vae(recipes::recipe(Species ~ ., d), Sepal.Length, impute_with = c(Sepal.Width, n),
                                       hidden = 2, epochs = 2), d)
  expect_setequal(vapply(few$steps[[1]]$fit$design$variables, function(c) c$name, ""),
                  c("Sepal.Length", "Sepal.Width", "n"))
})

test_that("parsnip, recipes and workflows work together", {
  skip_if_not_installed("workflows")
  spec <- parsnip::mlp("classification", "varnn", hidden_units = 3, epochs = 3)
  flow <- workflows::workflow(flower_recipe(step_vae), spec)
  set.seed(1)
  fit <- parsnip::fit(flow, flowers())
  p <- predict(fit, flowers()[c(1, 7, 150), ], type = "prob")
  expect_named(p, paste0(".pred_", levels(iris$Species)))
  expect_false(anyNA(p))
})
