# Leverages, influence and analyses of variance of networks without hidden layers, which are those of lm() and glm().

influence_generics <- list(hatvalues = hatvalues, rstandard = rstandard, rstudent = rstudent,
                           cooks.distance = cooks.distance, influence = influence, dfbeta = dfbeta, dfbetas = dfbetas,
                           anova = anova)

expect_as_glm <- function(fit, glm, generics = influence_generics, tolerance = 1e-5) {
  for (name in names(generics))
    expect_equal(generics[[name]](fit), generics[[name]](glm), tolerance = tolerance, ignore_attr = name == "anova",
                 info = paste(name, deparse(formula(glm))[1]))
}

test_that("aliases, coefficients of levels, projections, condition numbers and the decomposition are those of lm()", {
  generics <- list(alias = alias, dummy.coef = dummy.coef, proj = proj, kappa = kappa, qr = qr)
  for (formula in list(mpg ~ wt * cyl, mpg ~ wt + hp)) {
    cars <- transform(mtcars, cyl = factor(cyl))
    expect_no_warning(expect_as_glm(do.call(fit_nn, list(formula, cars, hidden = 0)), do.call(lm, list(formula, cars)),
                                    generics))
  }
})

test_that("models without a response, and those with hidden layers, say why the generics of lm() do not apply", {
  quick <- list(fit_ae(mtcars[1:4], epochs = 1, latent = 1), fit_vae(mtcars[1:4], epochs = 1, latent = 1),
                fit_nn(mpg ~ wt, mtcars, epochs = 1))
  generics <- c(influence_generics, list(vcov = vcov, confint = confint, alias = alias, dummy.coef = dummy.coef,
                                         proj = proj, kappa = kappa, qr = qr))
  for (fit in quick) for (name in names(generics))
    expect_refused(generics[[name]](fit), paste0(name, "\\(\\) does not apply"))
})

test_that("all are those of lm()", {
  cars <- transform(mtcars, cyl = factor(cyl))
  for (formula in list(mpg ~ wt * cyl, mpg ~ 0 + wt + hp, log(mpg) ~ poly(hp, 2) + offset(qsec / 100)))
    expect_as_glm(do.call(fit_nn, list(formula, cars, hidden = 0)), do.call(lm, list(formula, cars)))
  for (action in c("na.omit", "na.exclude"))
    expect_as_glm(fit_nn(Ozone ~ Wind + Temp, airquality, hidden = 0, na.action = action),
                  lm(Ozone ~ Wind + Temp, airquality, na.action = action))
  some <- rep(c(1, 1, 0, 1), 8)
  expect_as_glm(fit_nn(mpg ~ wt, mtcars, hidden = 0, weights = some), lm(mpg ~ wt, mtcars, weights = some))
  frame <- mtcars[c("wt", "hp")]
  by_xy <- lm(y ~ ., cbind(frame, y = mtcars$mpg))
  expect_as_glm(fit_nn(frame, mtcars$mpg, hidden = 0, keep_data = TRUE), by_xy)
  expect_as_glm(fit_nn(as.matrix(frame), mtcars$mpg, hidden = 0, keep_data = TRUE), by_xy)
  expect_identical(attr(anova(fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)), "heading"),
                   attr(anova(lm(mpg ~ wt + hp, mtcars)), "heading"))
})

test_that("all are those of glm()", {
  cases <- list(list(am == 1 ~ wt, binomial()), list(cbind(carb, 8 - carb) ~ wt + hp, binomial()),
                list(carb ~ wt + factor(cyl) + offset(log(gear)), poisson()))
  for (case in cases) {
    glm <- glm(case[[1]], case[[2]], mtcars, epsilon = 1e-14)
    fit <- do.call(fit_nn, list(case[[1]], mtcars, hidden = 0, family = case[[2]]))
    expect_as_glm(fit, glm)
    expect_equal(rstandard(fit, type = "pearson"), rstandard(glm, type = "pearson"), tolerance = 1e-5)
    expect_equal(anova(fit, test = "Chisq"), anova(glm, test = "Chisq"), tolerance = 1e-5, ignore_attr = TRUE)
  }
})

test_that("anova() compares fits, also with those of lm()", {
  small <- fit_nn(mpg ~ wt, mtcars, hidden = 0)
  large <- fit_nn(mpg ~ wt + hp + qsec, mtcars, hidden = 0)
  truth <- anova(lm(mpg ~ wt, mtcars), lm(mpg ~ wt + hp + qsec, mtcars))
  expect_equal(anova(small, large), truth, tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(anova(small, lm(mpg ~ wt + hp + qsec, mtcars)), truth, tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(anova(small, test = "F"), anova(small))
  expect_refused(anova(small, test = "Chisq"), "which has F tests")
  expect_refused(anova(small, tst = "F"), "did you mean \"test\"")
})

test_that("data that have changed since are refused, and those that the fit has kept are taken", {
  d <- MASS::Boston
  formula <- medv ~ lstat + factor(rad)
  fit <- fit_nn(formula, d, hidden = 0)
  kept <- fit_nn(formula, d, hidden = 0, keep_data = TRUE)
  two <- fit_nn(factor(chas) ~ lstat + rm, d, hidden = 0, keep_data = TRUE)
  old <- kept
  old$design$assign <- NULL # as fits of earlier versions
  straight <- lm(formula, d)
  logistic <- glm(factor(chas) ~ lstat + rm, binomial, d)
  d$lstat <- rev(d$lstat)
  for (f in list(anova, hatvalues, cooks.distance, rstandard, rstudent, dfbeta, model.frame, model.matrix)) {
    expect_error(f(fit), "not those the model was trained on", class = "varnn_error")
    expect_error(f(old), "not those the model was trained on", class = "varnn_error")
  }
  expect_equal(anova(kept)$F, anova(straight)$F, tolerance = 1e-6)
  expect_equal(hatvalues(kept), hatvalues(straight), tolerance = 1e-6)
  expect_equal(dfbeta(kept), dfbeta(straight), tolerance = 1e-5, ignore_attr = TRUE)
  expect_equal(anova(two)$Deviance, anova(logistic)$Deviance, tolerance = 1e-5)
})

test_that("what has none says why", {
  set.seed(1)
  network <- quick(mpg ~ wt, mtcars)
  expect_refused(hatvalues(network), "hatvalues\\(\\) does not apply")
  expect_refused(cooks.distance(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0)), "does not apply: the weights have")
  expect_refused(rstandard(fit_nn(mpg ~ wt, mtcars, hidden = 0, penalty = 1)), "`penalty` shrinks")
  expect_refused(anova(fit_nn(cbind(mpg, qsec) ~ wt, mtcars, hidden = 0)), "one response")
  expect_refused(hatvalues(fit_nn(mpg ~ wt, mtcars, hidden = 0, family = "huber")), "families of glm")
  expect_refused(hatvalues(fit_nn(mpg ~ wt, mtcars, hidden = 0, weights = rep(1:2, 16))), "rows of weight 1")
  expect_refused(hatvalues(fit_ae(mtcars, epochs = 1)), "does not apply")
  expect_refused(rstandard(fit_nn(mpg ~ wt, mtcars, hidden = 0), tpye = "predictive"), "did you mean \"type\"")
})

test_that("families with a dispersion are those of glm(), whose failures are in the package's words", {
  set.seed(1)
  d <- data.frame(x = rnorm(40), z = rnorm(40))
  d$y <- rgamma(40, 2, 1 / exp(d$x))
  for (family in list(Gamma("log"), inverse.gaussian("log"))) {
    fit <- fit_nn(y ~ x + z, d, hidden = 0, family = family)
    glm <- glm(y ~ x + z, family, d, control = list(epsilon = 1e-14, maxit = 100))
    expect_as_glm(fit, glm, tolerance = 1e-4)
    expect_equal(anova(fit, test = "F"), anova(glm, test = "F"), tolerance = 1e-4, ignore_attr = TRUE)
  }
  d <- data.frame(x = 1:6, y = c(1e-30, 1e30, 1e-20, 1e25, 1, 1e-5))
  fit <- fit_nn(y ~ x, d, hidden = 0, family = "gamma")
  for (name in names(influence_generics))
    expect_refused(influence_generics[[name]](fit), paste0("^", name, "\\(\\) is that of lm\\(\\) or glm"))
  fit <- fit_nn(am ~ wt, mtcars, hidden = 0, family = "binomial")
  expect_refused(anova(fit, test = "foo"), "^anova\\(\\) is that of lm\\(\\) or glm\\(\\), which fail here")
  expect_refused(rstandard(fit, type = "foo"), "^rstandard\\(\\) is that of")
})
