# Methods of standard generics take the arguments that the generic documents, and those of its methods for lm and glm.

set.seed(1)
asked <- suppressWarnings(list(
  linear = fit_nn(mpg ~ wt + hp, mtcars, hidden = 0, optimizer = "lbfgs"),
  network = fit_nn(mpg ~ wt + hp, mtcars, hidden = 2, epochs = 5, weights = rep(1:2, 16)),
  classes = fit_nn(Species ~ Sepal.Length + Petal.Width, iris, hidden = 2, epochs = 5),
  bayes = fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0, epochs = 5),
  xy = fit_nn(as.matrix(mtcars[c("wt", "hp")]), mtcars$mpg, hidden = 2, epochs = 5),
  ae = fit_ae(~ mpg + wt + hp, mtcars, hidden = 2, latent = 1, epochs = 5),
  vae = fit_vae(~ mpg + wt + hp, mtcars, hidden = 2, latent = 1, epochs = 5)
))

standard <- c("coef", "vcov", "confint", "predict", "residuals", "fitted", "weights", "deviance", "logLik", "nobs",
              "df.residual", "formula", "terms", "model.frame", "model.matrix", "family", "sigma", "simulate",
              "summary",
              "variable.names", "case.names", "labels", "extractAIC", "anova", "add1", "drop1", "update", "print",
              "AIC", "BIC")

by_default <- c("add1", "drop1", "update", "AIC", "BIC") # that stats' own default does for all models

# The documented arguments of a generic: its own, and those of its methods for lm and glm, or by default where these
# have none. Their defaults, as values to call with.
documented <- function(generic) {
  classes <- if (!generic %in% by_default) c("lm", "glm")
  methods <- lapply(classes, function(class) utils::getS3method(generic, class, optional = TRUE))
  methods <- Filter(Negate(is.null), methods)
  if (!length(methods)) methods <- list(utils::getS3method(generic, "default", optional = TRUE))
  of <- function(f) as.list(formals(args(f))[-1])
  formals <- unlist(lapply(c(list(get(generic)), methods), of), recursive = FALSE)
  formals[!duplicated(names(formals)) & names(formals) != "..."]
}

# Values for arguments whose default is none, or is found within the method.
instead <- list(parm = "wt", newdata = mtcars[1:3, ], digits = 3, pred.var = NULL, symbolic.cor = FALSE,
                signif.stars = FALSE, scope = ~ wt, formula. = . ~ . - hp, scale = 0, x = NULL, env = globalenv(),
                data = mtcars, xlev = NULL, subset = 1:10, contrasts.arg = NULL)

value_of <- function(name, default) {
  if (name %in% names(instead)) return(instead[[name]])
  if (is.call(default) && identical(default[[1]], quote(c))) eval(default)[1] else eval(default, asNamespace("stats"))
}

# Choices of a vector default, each to be asked for.
choices_of <- function(default) {
  if (is.call(default) && identical(default[[1]], quote(c))) as.list(eval(default)) else NULL
}

outcome <- function(generic, fit, arguments) {
  tryCatch(suppressWarnings({
    utils::capture.output(out <- do.call(generic, c(list(fit), arguments), quote = TRUE))
    out
  }, classes = "varnn_no_criterion"), error = function(e) e)
}

# What the package says itself.
is_own <- function(e) {
  words <- "^`|does not apply|^The model was|needs|has no|argument"
  is.null(conditionCall(e)) && grepl(words, conditionMessage(e))
}

# Beside its default, what a generic is called with.
always <- list(add1 = list(scope = ~ . + qsec), update = list(evaluate = FALSE))

# Arguments that ask for another answer.
asks_for_other <- c("parm", "newdata", "type", "data", "subset", "formula.", "na.action", "digits", "evaluate")

expect_takes <- function(generic, kind, name, default, plain) {
  given <- always[[generic]]
  given[name] <- list(if (generic == "predict" && name == "scale") NULL else value_of(name, default))
  set.seed(2)
  out <- outcome(generic, asked[[kind]], given)
  label <- sprintf("%s(%s, %s = %s)", generic, kind, name, deparse(given[[name]])[1])
  if (inherits(out, "error")) {
    expect_true(is_own(out) || inherits(plain, "error"), label = paste(label, ":", conditionMessage(out)))
    expect_no_match(conditionMessage(out), "There is no argument", label = label)
  } else if (!name %in% asks_for_other) {
    expect_equal(out, plain, label = label)
  }
  for (choice in choices_of(default)) {
    given[name] <- list(choice)
    out <- outcome(generic, asked[[kind]], given)
    expect_true(!inherits(out, "error") || is_own(out) || inherits(plain, "error"), label = paste(label, choice))
  }
}

test_that("every method takes every documented argument at its default, and changes nothing by it", {
  seen <- 0
  for (generic in standard) for (kind in if (generic %in% by_default) c("linear", "ae") else names(asked)) {
    set.seed(2)
    plain <- outcome(generic, asked[[kind]], always[[generic]])
    formals <- documented(generic)
    for (name in setdiff(names(formals), "scope")) {
      expect_takes(generic, kind, name, formals[[name]], plain)
      seen <- seen + 1
    }
  }
  expect_gt(seen, 200)
})

test_that("an argument that no one documents is an error which names the closest known one", {
  for (generic in setdiff(standard, c(by_default, "anova"))) {
    for (kind in c("linear", "bayes")) {
      out <- outcome(generic, asked[[kind]], list(zzzz = 1))
      expect_s3_class(out, "error")
      expect_match(conditionMessage(out), "no argument `zzzz`", label = paste(generic, kind))
    }
  }
  expect_refused(coef(asked$linear, complet = TRUE), "did you mean \"complete\"")
  expect_refused(predict(asked$linear, se.fits = TRUE), "did you mean \"se.fit\"")
  expect_refused(summary(asked$vae, drws = 2), "did you mean \"draws\"")
})

test_that("what cannot be done says so", {
  expect_refused(predict(asked$network, se.fit = TRUE), "^`se.fit` = TRUE does not apply")
  expect_refused(predict(asked$bayes, se.fit = TRUE), "^`se.fit`.*interval")
  expect_refused(predict(asked$network, interval = "prediction"), "^`interval` = \"prediction\" does not apply")
  expect_refused(predict(asked$linear, terms = "wt"), "^`terms`")
  expect_refused(summary(asked$linear, correlation = TRUE), "^`correlation`")
  expect_refused(logLik(asked$linear, REML = TRUE), "^`REML`")
  expect_refused(residuals(asked$linear, "partial"), "^`type` = \"partial\"")
  expect_refused(weights(asked$network, "working"), "^`type` = \"working\"")
  expect_refused(extractAIC(asked$linear, scale = 2), "^`scale`")
})

test_that("formulas: as.formula(), add1(), drop1() and upward step() as of lm()", {
  # found again by add1() and step() in the formula's environment
  small <- fit_nn(mpg ~ wt, mtcars, hidden = 0, optimizer = "lbfgs", epochs = 5000)
  like <- lm(mpg ~ wt, mtcars)
  expect_equal(as.formula(small), mpg ~ wt, ignore_attr = TRUE)
  expect_identical(environment(as.formula(small)), environment())
  scope <- mpg ~ wt + hp + qsec
  ours <- suppressWarnings(add1(small, scope))
  theirs <- add1(like, scope)
  expect_same(diff(ours$AIC), diff(theirs$AIC), tolerance = 1e-4)
  expect_equal(ours$Df, theirs$Df)
  up <- suppressWarnings(step(small, scope, direction = "forward", trace = 0))
  expect_equal(sort(labels(up)), sort(labels(step(like, scope, direction = "forward", trace = 0))))
  full <- fit_nn(mpg ~ wt + hp + qsec, mtcars, hidden = 0, optimizer = "lbfgs", epochs = 5000)
  expect_same(diff(suppressWarnings(drop1(full))$AIC), diff(drop1(lm(scope, mtcars))$AIC), tolerance = 1e-4)
  expect_equal(update(small, . ~ . + hp, evaluate = FALSE)$formula, mpg ~ wt + hp, ignore_attr = TRUE)
})

test_that("model.frame() and model.matrix() as of lm()", {
  cars <- cars_of_types()
  cars$wt[3] <- NA
  for (formula in list(mpg ~ wt + cyl, mpg ~ poly(hp, 2) + gear, mpg ~ 0 + wt:cyl + many)) {
    ours <- quick(formula, cars)
    theirs <- lm(formula, cars)
    expect_equal(model.matrix(ours), model.matrix(theirs))
    few <- cars[1:9, ]
    expect_equal(model.frame(ours, data = few), model.frame(theirs, data = few), ignore_attr = "terms")
    expect_equal(model.matrix(ours, data = few), model.matrix(theirs, data = few))
    expect_equal(model.frame(ours, subset = 1:20), model.frame(theirs, subset = 1:20), ignore_attr = "terms")
    expect_equal(nrow(model.frame(ours, na.action = na.exclude)), 31 + !"wt" %in% all.vars(formula))
    expect_equal(labels(ours), labels(theirs))
    expect_equal(case.names(ours), case.names(theirs))
  }
  coded <- quick(mpg ~ cyl, cars, contrasts = list(cyl = "contr.sum"))
  expect_equal(model.matrix(coded), model.matrix(lm(mpg ~ cyl, cars, contrasts = list(cyl = "contr.sum"))))
  x <- as.matrix(mtcars[c("wt", "hp")])
  expect_equal(model.matrix(asked$xy), cbind(`(Intercept)` = 1, x))
  expect_refused(model.matrix(asked$ae), "no model matrix")
})

test_that("weights() and case.names() with weights of 0", {
  w <- rep(c(0, 1, 2), length.out = 32)
  ours <- quick(mpg ~ wt, mtcars, weights = w)
  theirs <- lm(mpg ~ wt, mtcars, weights = w)
  expect_equal(case.names(ours), case.names(theirs))
  expect_equal(case.names(ours, full = TRUE), case.names(theirs, full = TRUE))
  expect_equal(weights(ours, type = "prior"), weights(theirs))
})

test_that("working residuals as of glm()", {
  for (case in list(list(am ~ wt, binomial()), list(carb ~ wt, poisson()), list(mpg ~ wt, gaussian()))) {
    ours <- fit_nn(case[[1]], mtcars, hidden = 0, optimizer = "lbfgs", epochs = 5000,
                   family = case[[2]], standardize = TRUE)
    theirs <- glm(case[[1]], case[[2]], mtcars)
    expect_same(residuals(ours, "working"), residuals(theirs, "working"), tolerance = 1e-3)
  }
  expect_refused(residuals(asked$classes, "working"), "^`type` = \"working\"")
})

test_that("predict(na.action =)", {
  new <- mtcars[1:4, ]
  new$hp[2] <- NA
  for (kind in c("linear", "bayes")) {
    whole <- predict(asked[[kind]], new[-2, ])
    expect_equal(predict(asked[[kind]], new, na.action = na.omit), whole)
    expect_equal(predict(asked[[kind]], new, na.action = "na.omit"), whole)
    expect_equal(predict(asked[[kind]], new, na.action = na.pass), predict(asked[[kind]], new))
    expect_refused(predict(asked[[kind]], new, na.action = na.fail), "^`newdata` has missing values in 1 rows")
    expect_refused(predict(asked[[kind]], new, na.action = mean), "^`na.action`")
  }
})
