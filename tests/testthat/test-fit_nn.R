# With no hidden layer the answers are those of lm(), glm(), nnet::multinom() and MASS::glm.nb().

test_that("formulas mean what they mean to lm()", {
  cars <- cars_of_types()
  formulas <- list(
    mpg ~ wt + hp, mpg ~ ., mpg ~ . - when, mpg ~ cyl * wt, mpg ~ gear + many + manual, mpg ~ cyl / wt - 1,
    log(mpg) ~ I(wt^2) + wt:hp, mpg ~ poly(wt, 2) + splines::ns(hp, 3), mpg ~ poly(wt, 2, raw = TRUE) + scale(hp),
    mpg ~ splines::bs(wt, df = 4), mpg ~ wt + offset(hp / 100), mpg ~ wt + offset(hp / 100) + offset(wt),
    mpg ~ interaction(cyl, manual), mpg ~ (wt + hp + manual)^2, mpg ~ cyl - 1, mpg ~ sqrt(hp) + cut(wt, c(0, 2, 3, 9))
  )
  for (formula in formulas) {
    fit <- linear(formula, cars)
    ols <- lm(formula, cars)
    new <- cars[c(30, 3, 14), -1]
    label <- deparse(formula)
    expect_same(coef(fit), coef(ols), label = paste("coef", label))
    expect_same(predict(fit, new), predict(ols, new), label = paste("predict", label))
    expect_same(fitted(fit), fitted(ols), label = paste("fitted", label))
  }
})

test_that("one predictor without an intercept has a named coefficient", {
  expect_same(coef(linear(mpg ~ wt - 1, mtcars)), coef(lm(mpg ~ wt - 1, mtcars)))
  expect_same(coef(linear(mpg ~ wt + hp - 1, mtcars)), coef(lm(mpg ~ wt + hp - 1, mtcars)))
})

test_that("a network needs a predictor", {
  expect_error(linear(mpg ~ 1, mtcars), "no predictors")
})

test_that("the arguments of a call may come in any order", {
  expect_same(coef(linear(data = mtcars, mpg ~ wt)), coef(lm(mpg ~ wt, mtcars)))
  expect_same(coef(linear(data = mtcars, formula = mpg ~ wt)), coef(lm(mpg ~ wt, mtcars)))
})

test_that("the first argument has the generic's name and the method's", {
  expect_same(coef(linear(formula = mpg ~ wt, data = mtcars)), coef(lm(mpg ~ wt, mtcars)))
  expect_same(coef(linear(x = mpg ~ wt, data = mtcars)), coef(lm(mpg ~ wt, mtcars)))
})

test_that("weights and subset are found in the data, and else where the formula was written", {
  fit <- linear(mpg ~ wt, mtcars, weights = hp, subset = cyl > 4)
  ols <- lm(mpg ~ wt, mtcars, weights = hp, subset = cyl > 4)
  expect_same(coef(fit), coef(ols))
  expect_same(deviance(fit), deviance(ols))
  inside <- function(fitter, ...) {
    own <- mtcars$qsec
    fitter(mpg ~ poly(wt, 2) + offset(own), mtcars, weights = own, subset = own > 17, ...)
  }
  expect_same(coef(inside(fit_nn, hidden = 0, optimizer = "lbfgs")), coef(inside(lm)))
})

test_that("contrasts come from the argument, the factor and the options, as in lm()", {
  cars <- cars_of_types()
  sums <- list(cyl = "contr.sum")
  expect_same(coef(linear(mpg ~ cyl, cars, contrasts = sums)), coef(lm(mpg ~ cyl, cars, contrasts = sums)))
  old <- options(contrasts = c("contr.helmert", "contr.poly"))
  on.exit(options(old))
  fit <- linear(mpg ~ cyl, cars)
  ols <- lm(mpg ~ cyl, cars)
  expect_same(coef(fit), coef(ols))
  options(old)
  expect_same(predict(fit, cars[1:3, ]), predict(ols, cars[1:3, ]))
  contrasts(cars$cyl) <- contr.sum(3)
  expect_same(coef(linear(mpg ~ cyl, cars)), coef(lm(mpg ~ cyl, cars)))
})

test_that("missing rows are left out, and put back by na.exclude", {
  fit <- linear(Ozone ~ Wind + Solar.R, airquality)
  ols <- lm(Ozone ~ Wind + Solar.R, airquality)
  expect_same(fitted(fit), fitted(ols))
  expect_equal(nobs(fit), nobs(ols))
  fit <- linear(Ozone ~ Wind + Solar.R, airquality, na.action = na.exclude)
  ols <- lm(Ozone ~ Wind + Solar.R, airquality, na.action = na.exclude)
  expect_same(fitted(fit), fitted(ols))
  expect_same(predict(fit), predict(ols))
  expect_same(residuals(fit), residuals(ols))
  expect_equal(dim(simulate(fit, 2)), dim(simulate(ols, 2)))
  expect_error(linear(Ozone ~ Wind, airquality, na.action = na.fail), "missing values")
})

test_that("generalised linear models are those of glm()", {
  cases <- list(
    list(am ~ wt, mtcars, binomial()), list(breaks ~ wool * tension, warpbreaks, poisson()),
    list(carb ~ wt + offset(log(hp)), mtcars, poisson()),
    list(cbind(ncases, ncontrols) ~ agegp + alcgp, esoph, binomial()), list(mpg ~ wt, mtcars, gaussian())
  )
  for (case in cases) {
    reference <- glm(case[[1]], case[[3]], case[[2]])
    fit <- linear(case[[1]], case[[2]], family = case[[3]]$family)
    label <- deparse(case[[1]])
    expect_same(coef(fit), coef(reference), label = paste("coef", label))
    expect_same(fitted(fit), fitted(reference), label = paste("fitted", label))
    expect_same(predict(fit, type = "link"), predict(reference), label = paste("link", label))
    expect_same(deviance(fit), deviance(reference), label = paste("deviance", label))
    expect_same(AIC(fit), AIC(reference), label = paste("AIC", label))
    expect_same(BIC(fit), BIC(reference), label = paste("BIC", label))
    expect_equal(df.residual(fit), df.residual(reference), label = paste("df.residual", label))
    for (type in c("response", "pearson", "deviance")) {
      expect_same(residuals(fit, type), residuals(reference, type), label = paste(type, label), tolerance = 1e-4)
    }
  }
})

test_that("a family is a name, a function or an object", {
  counts <- coef(glm(carb ~ wt, poisson, mtcars))
  expect_same(coef(linear(carb ~ wt, mtcars, family = "poisson")), counts)
  expect_same(coef(linear(carb ~ wt, mtcars, family = poisson)), counts)
  expect_same(coef(linear(carb ~ wt, mtcars, family = poisson())), counts)
  expect_same(coef(linear(carb ~ wt, mtcars, family = c(carb = "poisson"))), counts)
  expect_equal(family(linear(am ~ wt, mtcars, family = binomial()))$link, "logit")
})

test_that("the family comes from the type of the response", {
  auto <- function(...) quick(...)$family
  expect_equal(auto(mpg ~ wt, mtcars), "gaussian", ignore_attr = TRUE)
  expect_equal(auto(am ~ wt, mtcars), "gaussian", ignore_attr = TRUE)
  expect_equal(auto(am == 1 ~ wt, mtcars), "bernoulli", ignore_attr = TRUE)
  expect_equal(auto(Species ~ ., iris_two()), "bernoulli", ignore_attr = TRUE)
  expect_equal(auto(Species ~ ., iris), "categorical", ignore_attr = TRUE)
  expect_equal(auto(as.character(Species) ~ ., iris), "categorical", ignore_attr = TRUE)
})

test_that("the second level is the success, as in glm()", {
  two <- iris_two()
  expect_same(coef(linear(Species ~ Sepal.Width, two)), coef(glm(Species ~ Sepal.Width, binomial, two)))
  expect_same(coef(linear(Species == "virginica" ~ Sepal.Width, two)),
              coef(glm(Species ~ Sepal.Width, binomial, two)))
})

test_that("a proportion with numbers of trials as weights is glm()'s binomial", {
  cases <- transform(esoph, n = ncases + ncontrols, share = ncases / (ncases + ncontrols))
  fit <- linear(share ~ agegp, cases, weights = n, family = "binomial")
  reference <- glm(share ~ agegp, binomial, cases, weights = n)
  expect_same(coef(fit), coef(reference))
  expect_same(deviance(fit), deviance(reference))
})

test_that("rows without a trial do no harm", {
  cases <- esoph
  cases[1, c("ncases", "ncontrols")] <- 0
  fit <- linear(cbind(ncases, ncontrols) ~ agegp, cases, family = "binomial")
  reference <- glm(cbind(ncases, ncontrols) ~ agegp, binomial, cases)
  expect_same(coef(fit), coef(reference))
  expect_false(anyNA(residuals(fit, "deviance")))
  expect_false(anyNA(residuals(fit)))
})

test_that("several levels are nnet::multinom()'s", {
  skip_if_not_installed("nnet")
  fit <- linear(Species ~ Sepal.Width, iris)
  reference <- nnet::multinom(Species ~ Sepal.Width, iris, trace = FALSE, maxit = 500, reltol = 1e-14)
  expect_same(predict(fit, type = "prob"), fitted(reference), tolerance = 1e-3)
  expect_same(as.numeric(logLik(fit)), as.numeric(logLik(reference)))
  expect_same(t(coef(fit)[, -1] - coef(fit)[, 1]), coef(reference), tolerance = 1e-3)
})

test_that("negative binomial is MASS::glm.nb()'s", {
  skip_if_not_installed("MASS")
  fit <- linear(Days ~ Sex + Age + Lrn, MASS::quine, family = "negative_binomial")
  reference <- MASS::glm.nb(Days ~ Sex + Age + Lrn, MASS::quine)
  expect_same(coef(fit), coef(reference), tolerance = 1e-4)
  expect_same(as.numeric(logLik(fit)), as.numeric(logLik(reference)))
  expect_same(deviance(fit), deviance(reference), tolerance = 1e-4)
})

test_that("several responses are lm()'s", {
  fit <- linear(cbind(mpg, qsec) ~ wt + hp, mtcars)
  ols <- lm(cbind(mpg, qsec) ~ wt + hp, mtcars)
  expect_same(coef(fit), coef(ols))
  expect_same(fitted(fit), fitted(ols))
  expect_same(residuals(fit), residuals(ols))
  expect_same(predict(fit, mtcars[3:1, ]), predict(ols, mtcars[3:1, ]))
  expect_same(sigma(fit), sigma(ols))
  expect_equal(df.residual(fit), df.residual(ols))
})

test_that("the interfaces with data frames and matrices equal the formula's", {
  cars <- cars_of_types()[c("mpg", "wt", "cyl", "gear", "many", "manual")]
  ols <- lm(mpg ~ ., cars)
  expect_same(coef(linear(cars[-1], cars$mpg)), coef(ols))
  expect_same(fitted(linear(cars[-1], cars$mpg)), fitted(ols))
  fit <- linear(cars_x(), mtcars$mpg, weights = mtcars$qsec)
  ols <- lm(mpg ~ wt + hp, mtcars, weights = qsec)
  expect_same(coef(fit), coef(ols))
  expect_same(coef(linear(unname(cars_x()), mtcars$mpg)), coef(lm(mpg ~ wt + hp, mtcars)), ignore_attr = TRUE)
})

test_that("na.action is heard by the interfaces with x and y", {
  x <- cars_x()
  y <- mtcars$mpg
  x[3, 1] <- NA
  y[5] <- NA
  expect_equal(nobs(quick(x, y)), 30)
  expect_refused(quick(x, y, na.action = na.fail), "missing")
  expect_length(fitted(quick(x, y, na.action = na.exclude)), 32)
  expect_refused(quick(x, y, na.action = "no such function"), "`na.action`|no such function")
  expect_refused(quick(x, y, na.action = 3), "`na.action`")
})

test_that("na.pass lets missing entries of responses stay, by name or function", {
  y <- cbind(a = mtcars$mpg, b = mtcars$qsec)
  y[3, 1] <- NA
  by_name <- linear(cars_x(), y, na.action = "na.pass")
  by_function <- linear(cars_x(), y, na.action = na.pass)
  expect_same(coef(by_function), coef(by_name))
  expect_same(coef(by_function)[, "b"], coef(lm(qsec ~ wt + hp, mtcars)))
  expect_same(coef(by_function)[, "a"], coef(lm(mpg ~ wt + hp, mtcars[-3, ])))
})

test_that("rows without a response count no more than in lm() and glm(), which leave them out", {
  cars <- mtcars
  cars$mpg[1:25] <- NA
  cars$am[3:20] <- NA
  passed <- function(...) fit_nn(..., data = cars, hidden = 0, na.action = stats::na.pass)
  fit <- passed(mpg ~ wt)
  m <- lm(mpg ~ wt, cars)
  expect_equal(summary(fit)$coefficients, coef(summary(m)), tolerance = 1e-6)
  expect_equal(confint(fit), confint(m), tolerance = 1e-6)
  expect_equal(predict(fit, mtcars, interval = "prediction"), predict(m, mtcars, interval = "prediction"),
               tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(c(nobs(fit), df.residual(fit), BIC(fit)), c(nobs(m), df.residual(m), BIC(m)), tolerance = 1e-6)
  two <- passed(am ~ wt, family = "bernoulli")
  g <- glm(am ~ wt, binomial, cars)
  expect_equal(c(nobs(two), df.residual(two), BIC(two)), c(nobs(g), df.residual(g), BIC(g)), tolerance = 1e-6)
  half <- transform(esoph, ncases = replace(ncases, 3, NA)) # successes alone are no response
  trials <- fit_nn(cbind(ncases, ncontrols) ~ agegp, half, family = "binomial", hidden = 0, na.action = stats::na.pass)
  b <- glm(cbind(ncases, ncontrols) ~ agegp, binomial, half)
  expect_equal(c(nobs(trials), df.residual(trials), BIC(trials)), c(nobs(b), df.residual(b), BIC(b)), tolerance = 1e-5)
  several <- passed(cbind(mpg, disp) ~ wt)
  expect_equal(confint(several), rbind(confint(m), confint(lm(disp ~ wt, cars))), tolerance = 1e-5, ignore_attr = TRUE)
  weighted <- fit_nn(mpg ~ wt, cars, rep(1:2, 16), hidden = 0, na.action = stats::na.pass)
  twice <- lm(mpg ~ wt, cars[rep(1:32, rep(1:2, 16)), ])
  expect_equal(summary(weighted)$coefficients, coef(summary(twice)), tolerance = 1e-6)
})

test_that("responses of several types have a family each", {
  y <- with(mtcars, data.frame(mpg, cyl = factor(cyl), manual = am == 1, carb))
  fit <- linear(cars_x(), y, family = c(carb = "poisson"))
  expect_equal(fit$family, c(mpg = "gaussian", cyl = "categorical", manual = "bernoulli", carb = "poisson"))
  expect_same(coef(fit)[, "mpg"], coef(lm(mpg ~ wt + hp, mtcars)), tolerance = 1e-3)
  expect_same(coef(fit)[, "carb"], coef(glm(carb ~ wt + hp, poisson, mtcars)), tolerance = 1e-3)
  expect_same(coef(fit)[, "manual"], coef(glm(am ~ wt + hp, binomial, mtcars)), tolerance = 1e-2)
  classes <- predict(fit)
  expect_equal(levels(classes$cyl), c("4", "6", "8"))
})

test_that("the generics that lm() has give what lm() gives", {
  fit <- linear(mpg ~ wt + factor(cyl), mtcars)
  ols <- lm(mpg ~ wt + factor(cyl), mtcars)
  expect_same(residuals(fit), residuals(ols))
  expect_same(resid(fit), resid(ols))
  expect_same(fitted.values(fit), fitted.values(ols))
  expect_equal(nobs(fit), nobs(ols))
  expect_s3_class(logLik(fit), "logLik")
  expect_same(as.numeric(logLik(fit)), as.numeric(logLik(ols)))
  expect_equal(attr(logLik(fit), "df"), attr(logLik(ols), "df"))
  expect_same(deviance(fit), deviance(ols))
  expect_same(sigma(fit), sigma(ols))
  expect_equal(df.residual(fit), df.residual(ols))
  expect_same(AIC(fit), AIC(ols))
  expect_same(BIC(fit), BIC(ols))
  expect_null(weights(fit))
  expect_equal(variable.names(fit), variable.names(ols))
})

test_that("formula, terms, model frame and family are lm()'s", {
  fit <- linear(mpg ~ wt + factor(cyl), mtcars, weights = qsec)
  ols <- lm(mpg ~ wt + factor(cyl), mtcars, weights = qsec)
  expect_equal(formula(fit), formula(ols))
  expect_equal(attr(terms(fit), "term.labels"), attr(terms(ols), "term.labels"))
  expect_equal(model.frame(fit), model.frame(ols), ignore_attr = TRUE)
  expect_equal(weights(fit), weights(ols))
  expect_s3_class(family(fit), "family")
  expect_equal(family(fit)$link, "identity")
  expect_equal(family(linear(am ~ wt, mtcars, family = "bernoulli"))$link, "logit")
})

test_that("a weighted fit agrees with itself", {
  fit <- linear(mpg ~ wt, mtcars, weights = carb)
  expect_same(sum(residuals(fit, "deviance")^2), deviance(fit))
  expect_same(sum(residuals(fit, "pearson")^2), deviance(fit))
  expect_same(sigma(fit)^2 * df.residual(fit), deviance(fit))
  fit <- linear(am ~ wt, mtcars, weights = carb, family = "bernoulli")
  reference <- glm(am ~ wt, binomial, mtcars, weights = carb)
  expect_same(deviance(fit), deviance(reference))
  expect_same(residuals(fit, "deviance"), residuals(reference, "deviance"), tolerance = 1e-4)
})

test_that("a weight of 2 is two rows, and one of 0 none", {
  twice <- mtcars[rep(1:32, mtcars$carb - 1), ]
  fit <- linear(mpg ~ wt, mtcars, weights = carb - 1)
  ols <- lm(mpg ~ wt, twice)
  expect_same(coef(fit), coef(ols))
  expect_same(as.numeric(logLik(fit)), as.numeric(logLik(ols)))
  expect_same(deviance(fit), deviance(ols))
})

test_that("simulate() has the form that simulate.lm() and simulate.glm() have", {
  fit <- linear(mpg ~ wt, mtcars)
  expect_same(simulate(fit, 2, seed = 3), simulate(lm(mpg ~ wt, mtcars), 2, seed = 3), ignore_attr = "seed")
  expect_false(is.null(attr(simulate(fit), "seed")))
  expect_identical(simulate(fit, 2, seed = 3), simulate(fit, 2, seed = 3))
  before <- {
    set.seed(8)
    .Random.seed
  }
  simulate(fit, seed = 3)
  expect_identical(.Random.seed, before)
  expect_true(all(levels(simulate(quick(Species ~ ., iris))[[1]]) == levels(iris$Species)))
  expect_type(simulate(quick(carb ~ wt, mtcars, family = "poisson"))[[1]], "integer")
  fit <- linear(cbind(ncases, ncontrols) ~ agegp, esoph, family = "binomial")
  reference <- glm(cbind(ncases, ncontrols) ~ agegp, binomial, esoph)
  expect_equal(dim(simulate(fit, 1)[[1]]), dim(simulate(reference, 1)[[1]]))
})

test_that("successes and failures are simulated of as many trials as the rows have, of every kind of fit", {
  d <- data.frame(z = 1:6 / 6, s = c(3, 5, 8, 9, 12, 15), t = c(10, 20, 20, 20, 30, 1000))
  form <- cbind(s, t - s) ~ z
  d$s[6] <- 800
  fits <- list(fit_nn(form, d, hidden = 0, family = "binomial"),
               fit_nn(form, d, hidden = 2, epochs = 5, family = "binomial", members = 2),
               fit_bayes_nn(form, d, hidden = 0, family = "binomial"),
               fit_bayes_nn(form, d, hidden = 0, family = "binomial", posterior = "meanfield"))
  wide <- rbind(d[c(2, 1), ], transform(d[3, ], z = NA), transform(d[6, ], s = NA))
  for (fit in fits) {
    own <- simulate(fit, 300, seed = 1)
    expect_identical(dim(own$sim_1), c(6L, 2L))
    expect_true(all(vapply(own, function(m) identical(rowSums(m), d$t), NA)))
    expect_equal(rowMeans(vapply(own, function(m) m[, 1], numeric(6))) / d$t, unname(predict(fit, type = "response")),
                 tolerance = 0.06)
    expect_identical(simulate(fit, 300, seed = 1, newdata = d)$sim_7, own$sim_7)
    expect_equal(rowSums(simulate(fit, 1, newdata = wide)$sim_1), c(20, 10, NA, 1))
    expect_equal(rowSums(simulate(fit, 1, newdata = d["z"])$sim_1), rep(1, 6))
    expect_identical(dim(simulate(fit, 2, newdata = d[1, ])$sim_2), c(1L, 2L))
  }
})

test_that("rows that na.exclude left out are simulated as missing, of every kind of fit", {
  d <- transform(mtcars, wt = replace(wt, 3, NA), vs = factor(vs))
  for (fit in list(fit_nn(mpg ~ wt, d, hidden = 0, na.action = na.exclude),
                   fit_nn(mpg ~ wt, d, hidden = 2, epochs = 5, members = 2, na.action = na.exclude),
                   fit_bayes_nn(mpg ~ wt, d, hidden = 0, na.action = na.exclude),
                   fit_bayes_nn(vs ~ wt, d, hidden = 0, na.action = na.exclude))) {
    found <- simulate(fit, 2)
    expect_identical(row.names(found), row.names(d))
    expect_identical(which(is.na(found$sim_2)), 3L)
  }
})

test_that("a row of newdata that is missing is simulated as missing", {
  fit <- linear(mpg ~ wt, mtcars)
  drawn <- simulate(fit, newdata = data.frame(wt = c(2, NA, 3)))
  expect_equal(is.na(drawn$sim_1), c(FALSE, TRUE, FALSE))
})

test_that("update() refits, and finds what it should", {
  fit <- linear(mpg ~ wt, mtcars)
  expect_same(coef(update(fit, . ~ . + hp)), coef(lm(mpg ~ wt + hp, mtcars)))
  expect_same(coef(update(fit, subset = cyl == 4)), coef(lm(mpg ~ wt, mtcars, subset = cyl == 4)))
  expect_same(coef(update(fit, weights = hp)), coef(lm(mpg ~ wt, mtcars, weights = hp)))
  expect_equal(nrow(update(fit, hidden = 2, optimizer = "adam", epochs = 3)$history), 3)
  expect_true(is.call(update(fit, evaluate = FALSE)))
  made <- do.call(fit_nn, list(mpg ~ wt, mtcars, hidden = 0, optimizer = "lbfgs"))
  expect_same(coef(update(made, . ~ . + hp)), coef(lm(mpg ~ wt + hp, mtcars)))
  expect_lte(length(capture.output(print(made))), 15)
})

test_that("nothing printed is wider than the console, and a fit has at most 15 lines of 80", {
  set.seed(1)
  fits <- list(
    fit_nn(Days ~ ., MASS::quine, family = poisson, hidden = c(20, 10), dropout = 0.1, layer_norm = TRUE,
           validation = 0.2, schedule = "cosine", epochs = 5),
    fit_nn(cbind(mpg, disp, hp, drat) ~ wt + qsec + vs + am + gear + carb, mtcars, penalty = 0.01, epochs = 20),
    fit_ae(~ . - Species, iris, noise = 0.1, sparsity = 0.1, contractive = 0.1, validation = 0.2, epochs = 5),
    fit_vae(iris, latent = 3, beta = 2, free_bits = 0.1, kl_warmup = 2, validation = 0.2, epochs = 5),
    fit_bayes_nn(mpg ~ ., mtcars, prior = prior_normal("auto"), posterior = "last_layer", validation = 0.2, epochs = 5),
    fit_bayes_nn(mpg ~ ., mtcars, posterior = "laplace", members = 1, validation = 0.2, epochs = 5))
  of_members <- list(fit_bayes_nn(mpg ~ ., mtcars, validation = 0.2, epochs = 5),
                     fit_bayes_nn(carb ~ ., mtcars, family = "poisson", members = 10, epochs = 5))
  fits <- c(fits, of_members, list(compare_pca(fits[[3]]), calibration(fit_nn(Species ~ ., iris, epochs = 5))))
  for (width in c(80, 60)) {
    old <- options(width = width)
    for (fit in fits) for (x in list(fit, if (inherits(fit, "varnn")) summary(fit) else fit)) {
      lines <- capture.output(print(x))
      expect_lte(max(nchar(lines)), width)
      most <- if (inherits(fit, "varnn_mixture")) 15 + length(members(fit)) else 15 # a line for each member
      if (width == 80 && inherits(x, "varnn")) expect_lte(length(lines), most)
    }
    options(old)
  }
})

test_that("vcov() and confint() say why there is none", {
  fit <- quick(mpg ~ wt, mtcars)
  expect_refused(vcov(fit), "parameters of a network")
  expect_refused(confint(fit), "parameters of a network")
  expect_error(formula(quick(cars_x(), mtcars$mpg)), "no formula")
  expect_error(terms(quick(cars_x(), mtcars$mpg)), "no terms")
  expect_error(sigma(quick(Species ~ ., iris)), "gaussian")
})

test_that("coef() of a network is a list of matrices", {
  fit <- quick(mpg ~ wt + hp, mtcars, hidden = c(4, 3))
  expect_type(coef(fit), "list")
  expect_true(all(vapply(coef(fit), is.matrix, NA)))
  expect_equal(unname(lapply(coef(fit)[c(1, 3, 5)], dim)), list(c(4L, 2L), c(3L, 4L), c(1L, 3L)))
  expect_equal(sum(lengths(coef(fit))), fit$n_par)
})

test_that("a fit has what the interface names", {
  fit <- quick(mpg ~ wt, mtcars)
  expect_s3_class(fit, c("varnn_nn", "varnn"), exact = TRUE)
  parts <- c("call", "terms", "family", "history", "converged", "stop_reason", "best_epoch", "n_obs", "n_par",
             "scaling", "spec", "theta", "layout", "control", "version")
  expect_equal(setdiff(parts, names(fit)), character())
  expect_s3_class(fit$history, "data.frame")
  expect_equal(fit$history$epoch, 1:6)
  expect_true(all(c("loss", "learn_rate") %in% names(fit$history)))
  expect_lte(length(capture.output(print(fit))), 15)
  expect_s3_class(summary(fit), "summary.varnn_nn")
})

test_that("the history has a held-out loss only where rows were held out", {
  expect_null(quick(mpg ~ wt, mtcars)$history$val_loss)
  expect_true(all(is.finite(quick(mpg ~ wt, mtcars, validation = 0.25)$history$val_loss)))
})

test_that("the last loss of a linear fit is the mean negative log-likelihood", {
  fit <- linear(mpg ~ wt, mtcars)
  expect_same(tail(fit$history$loss, 1), -as.numeric(logLik(lm(mpg ~ wt, mtcars))) / 32)
  fit <- linear(am ~ wt, mtcars, family = "binomial")
  expect_same(tail(fit$history$loss, 1), -as.numeric(logLik(glm(am ~ wt, binomial, mtcars))) / 32)
})

test_that("the same seed gives the same fit", {
  make <- function() {
    set.seed(4)
    fit_nn(mpg ~ ., mtcars, hidden = 3, epochs = 8, validation = 0.2, starts = 2, dropout = 0.2)
  }
  expect_identical(make(), make())
})

test_that("a fit does not need its data any more", {
  for (epochs in c(2, 8)) {
    fit <- saved_fit(hidden = 2, epochs = epochs)
    old <- predict(fit, mtcars)
    expect_equal(fitted(fit), old)
    expect_equal(predict(fit), old)
    expect_equal(residuals(fit), mtcars$mpg - old)
    expect_s3_class(logLik(fit), "logLik")
    expect_output(print(summary(fit)), "mpg")
  }
  fit <- saved_fit(hidden = 0, optimizer = "lbfgs")
  ols <- lm(mpg ~ wt, mtcars)
  expect_same(fitted(fit), fitted(ols))
  expect_same(AIC(fit), AIC(ols))
})

test_that("a fit does not change when its data do", {
  own <- mtcars
  fit <- quick(mpg ~ wt, own, epochs = 2)
  before <- predict(fit, mtcars)
  own$wt <- rev(own$wt)
  own$mpg <- 0
  expect_equal(predict(fit), before)
  expect_equal(fitted(fit), before)
  expect_equal(residuals(fit), mtcars$mpg - before)
})

test_that("fits can be made in loops, functions and lists", {
  parts <- split(mtcars, mtcars$cyl)
  fits <- lapply(parts, function(part) linear(mpg ~ wt, part))
  expect_same(lapply(fits, coef), lapply(parts, function(part) coef(lm(mpg ~ wt, part))))
  expect_same(lapply(fits, fitted), lapply(parts, function(part) fitted(lm(mpg ~ wt, part))))
  outer <- function(formula, data, ...) fit_nn(formula, data, hidden = 0, optimizer = "lbfgs", ...)
  expect_same(residuals(outer(mpg ~ wt, mtcars)), residuals(lm(mpg ~ wt, mtcars)))
  expect_same(coef(with(mtcars, linear(mpg ~ wt))), coef(lm(mpg ~ wt, mtcars)))
})

test_that("names need not be syntactic", {
  odd <- setNames(mtcars[c("mpg", "wt", "hp")], c("miles per gallon", "a b", "if"))
  fit <- linear(`miles per gallon` ~ ., odd)
  ols <- lm(`miles per gallon` ~ ., odd)
  expect_same(coef(fit), coef(ols))
  expect_same(predict(fit, odd[4:2, 3:2]), predict(ols, odd[4:2, 3:2]))
})

test_that("odd scales, constants and collinear columns do not hurt the fit", {
  cars <- transform(mtcars, far = wt * 1e6 + 1e9, tiny = hp * 1e-12, one = 1, again = 2 * wt)
  reference <- fitted(lm(mpg ~ wt + hp, mtcars))
  expect_same(fitted(linear(mpg ~ far + tiny, cars)), reference)
  expect_same(fitted(linear(mpg ~ wt + hp + one, cars)), reference)
  expect_same(fitted(linear(mpg ~ wt + hp + again, cars)), reference)
  expect_same(sigma(linear(mpg ~ wt + hp + again, cars)), sigma(lm(mpg ~ wt + hp + again, cars)))
  expect_same(unname(fitted(linear(I(0 * mpg + 7) ~ wt, cars))), rep(7, 32))
  expect_same(unname(fitted(linear(mpg ~ wt, mtcars[1, ]))), 21)
})

test_that("only numeric columns that are no 0/1 columns are standardised", {
  cars <- cars_of_types()
  printed <- capture.output(print(quick(mpg ~ wt + hp + cyl + manual + I(1 * manual), cars)))
  expect_match(printed, "2 inputs standardised", all = FALSE)
})

test_that("penalty is ridge regression on the standardised data", {
  scale_n <- function(x) (x - mean(x)) / sqrt(mean((x - mean(x))^2))
  x <- apply(cars_x(), 2, scale_n)
  y <- scale_n(mtcars$mpg)
  beta <- solve(crossprod(x) / 32 + diag(0.3, 2), crossprod(x, y) / 32)
  eta <- mean(mtcars$mpg) + (x %*% beta)[, 1] * sqrt(mean((mtcars$mpg - mean(mtcars$mpg))^2))
  expect_same(fitted(linear(mpg ~ wt + hp, mtcars, penalty = 0.3)), eta, tolerance = 1e-2)
})

test_that("only training that did not lower what it minimises is told to", {
  set.seed(1)
  expect_warning(fit_nn(mpg ~ wt, mtcars, hidden = 0, optimizer = "sgd", learn_rate = 2.5, epochs = 12,
                        batch_size = 32), class = "varnn_no_progress")
  # nearly as many columns as rows: the penalty divided by a noise that falls to nothing rises
  x <- matrix(rnorm(30 * 29), 30)
  expect_no_warning(fit <- fit_nn(x, rnorm(30), hidden = 0, penalty = 1e-6, epochs = 300))
  expect_gt(diff(range(fit$history$penalty)), diff(range(fit$history$nll)))
})

test_that("family huber is the maximum likelihood of Huber's density, and outliers do not move it", {
  d <- stats::setNames(stackloss, c("a", "b", "c", "y"))
  fit <- linear(y ~ ., d, family = "huber")
  x <- cbind(1, as.matrix(d[1:3]))
  nll <- function(p) {
    e <- abs(d$y - x %*% p[1:4]) / exp(p[5])
    sum(ifelse(e <= 1.345, e^2 / 2, 1.345 * e - 1.345^2 / 2) + p[5])
  }
  found <- c(coef(fit), block_free(fit)[[1]] + log(fit$blocks[[1]]$scale))
  truth <- stats::nlm(nll, found, typsize = abs(found), fscale = 50, gradtol = 1e-9, steptol = 1e-12)
  expect_lt(nll(found), truth$minimum + 1e-6)
  expect_equal(found, truth$estimate, tolerance = 1e-3, ignore_attr = TRUE)
  expect_equal(predict(fit, type = "link"), predict(fit))
  cars2 <- rbind(cars, data.frame(speed = c(10, 12), dist = c(200, 300)))
  moved <- function(fitted) sum(abs(fitted - stats::fitted(stats::lm(dist ~ speed, cars))))
  robust <- linear(dist ~ speed, cars2, family = "huber")
  expect_lt(moved(predict(robust, cars)), moved(stats::predict(stats::lm(dist ~ speed, cars2), cars)) / 3)
})

test_that("Pearson residuals are divided by the root of the family's variance, as those of glm() and MASS", {
  skip_if_not_installed("MASS")
  set.seed(41)
  d <- data.frame(x = stats::rnorm(60))
  d$yes <- stats::runif(60) < stats::plogis(d$x)
  d$n <- stats::rnbinom(60, 2, mu = exp(1 + d$x / 2))
  d$wins <- stats::rbinom(60, 5, stats::plogis(d$x))
  d$class <- factor(sample(c("a", "b", "c"), 60, TRUE))
  pearson <- function(fit) unname(c(stats::residuals(fit, "pearson")))
  expect_same(pearson(linear(yes ~ x, d)), pearson(stats::glm(yes ~ x, stats::binomial, d)), 1e-4)
  trials <- linear(cbind(wins, 5 - wins) ~ x, d, family = "binomial")
  expect_same(pearson(trials), pearson(stats::glm(cbind(wins, 5 - wins) ~ x, stats::binomial, d)), 1e-4)
  expect_same(pearson(linear(n ~ x, d, family = "negative_binomial")), pearson(MASS::glm.nb(n ~ x, d)), 1e-3)
  robust <- linear(x ~ n, d, family = "huber")
  expect_equal(pearson(robust), d$x - unname(predict(robust)))
  classes <- linear(class ~ x, d)
  p <- predict(classes, type = "prob")
  expect_equal(stats::residuals(classes, "pearson"), (nnet::class.ind(d$class) - p) / sqrt(p * (1 - p)),
               ignore_attr = TRUE)
})

test_that("probabilities of several responses have the names of both", {
  y <- data.frame(cyl = factor(mtcars$cyl), gear = factor(mtcars$gear))
  p <- predict(quick(cars_x(), y), type = "prob")
  expect_identical(colnames(p), c("cyl.4", "cyl.6", "cyl.8", "gear.3", "gear.4", "gear.5"))
  expect_equal(rowSums(p[, 1:3]), rep(1, 32), ignore_attr = TRUE)
  expect_equal(rowSums(p[, 4:6]), rep(1, 32), ignore_attr = TRUE)
})

test_that("extractAIC() is AIC with its own number of parameters and k, anova() of a network a refusal", {
  fit <- linear(mpg ~ wt + hp, mtcars)
  ll <- stats::logLik(stats::lm(mpg ~ wt + hp, mtcars))
  expect_equal(stats::extractAIC(fit, k = 3), c(4, -2 * c(ll) + 3 * 4), tolerance = 1e-6)
  expect_refused(stats::anova(quick(mpg ~ wt, mtcars)), "cross_validate")
})

test_that("lapply() over parts of the data takes a formula by name", {
  parts <- split(mtcars, mtcars$cyl)
  fits <- lapply(parts, fit_nn, formula = mpg ~ wt, hidden = 0)
  for (part in names(parts)) expect_same(coef(fits[[part]]), coef(lm(mpg ~ wt, parts[[part]])))
  bayes <- lapply(parts[1], fit_bayes_nn, formula = mpg ~ wt, hidden = 2, members = 2, epochs = 3)
  expect_s3_class(bayes[[1]], "varnn_bayes_nn")
})

test_that("the confusion of weighted classes is that of repeated rows", {
  weighted <- summary(fit_nn(factor(gear) ~ wt, mtcars, weights = rep(1:4, 8), hidden = 0))$responses[[1]]
  repeated <- summary(fit_nn(factor(gear) ~ wt, mtcars[rep(1:32, rep(1:4, 8)), ], hidden = 0))$responses[[1]]
  expect_equal(weighted$confusion, repeated$confusion, ignore_attr = "call")
  expect_equal(sum(diag(weighted$confusion)) / 80, weighted$measures[["accuracy"]])
})
