# With no hidden layer a default call ends at the maximum of the likelihood, whatever the data look like: lm(), glm()
# and nnet::multinom() say where that is, and how sure they are of it.

same_table <- function(object, expected, tolerance = 1e-5) {
  expect_same(unname(as.matrix(object)), unname(as.matrix(expected)), tolerance = tolerance)
}

test_that("the default call is lm()", {
  for (formula in list(mpg ~ wt + hp, mpg ~ ., mpg ~ poly(wt, 5, raw = TRUE), mpg ~ factor(cyl) * wt - 1)) {
    fit <- fit_nn(formula, mtcars, hidden = 0)
    ols <- lm(formula, mtcars)
    expect_same(coef(fit), coef(ols), tolerance = 1e-6)
    expect_equal(fit$stop_reason, "converged")
  }
  expect_same(coef(fit_nn(Employed ~ ., longley, hidden = 0)), coef(lm(Employed ~ ., longley)), tolerance = 1e-6)
})

test_that("the default call is glm()", {
  cases <- list(
    list(case ~ age + parity + education + spontaneous + induced, infert, binomial),
    list(breaks ~ wool * tension, warpbreaks, poisson),
    list(cbind(ncases, ncontrols) ~ agegp + tobgp, esoph, binomial),
    list(stations ~ ., quakes, poisson)
  )
  for (case in cases) {
    fit <- fit_nn(case[[1]], case[[2]], hidden = 0, family = case[[3]]()$family)
    reference <- glm(case[[1]], case[[3]], case[[2]], epsilon = 1e-14)
    expect_same(coef(fit), coef(reference), tolerance = 1e-6)
    expect_same(deviance(fit), deviance(reference), tolerance = 1e-8)
  }
})

test_that("columns of very different scales do not keep it from the optimum", {
  set.seed(2)
  income <- rlnorm(4000, 10)
  balance <- rnorm(4000, 800, 500)
  default <- rbinom(4000, 1, plogis(-11 + 0.006 * balance + 2e-5 * income))
  data <- data.frame(default, income, balance, student = rbinom(4000, 1, plogis(income / 1e4 - 2)))
  fit <- fit_nn(default ~ ., data, hidden = 0, family = "binomial")
  expect_same(coef(fit), coef(glm(default ~ ., binomial, data, epsilon = 1e-14)), tolerance = 1e-6)
})

test_that("the default call is multinom(), but for what softmax cannot tell", {
  skip_if_not_installed("nnet")
  data <- MASS::birthwt
  data$race <- factor(data$race)
  fit <- fit_nn(race ~ age + lwt + smoke, data, hidden = 0)
  reference <- nnet::multinom(race ~ age + lwt + smoke, data, trace = FALSE, maxit = 1000, reltol = 1e-14, Hess = TRUE)
  expect_same(predict(fit, type = "prob"), fitted(reference), tolerance = 1e-4, ignore_attr = TRUE)
  expect_same(t(coef(fit)[, -1] - coef(fit)[, 1]), coef(reference), tolerance = 1e-3, ignore_attr = TRUE)
  contrast <- function(k) kronecker(replace(c(-1, 0, 0), k, 1), diag(4))
  both <- cbind(contrast(2), contrast(3))
  expect_same(t(both) %*% vcov(fit) %*% both, vcov(reference), tolerance = 1e-3, ignore_attr = TRUE)
})

test_that("no random number is drawn, and none matters", {
  set.seed(1)
  one <- fit_nn(mpg ~ ., mtcars, hidden = 0)
  before <- .Random.seed
  two <- fit_nn(mpg ~ ., mtcars, hidden = 0)
  expect_identical(.Random.seed, before)
  expect_identical(one$theta, two$theta)
})

test_that("who says how to train is heard", {
  for (given in list(list(optimizer = "adam"), list(batch_size = 8), list(control = nn_control(learn_rate = 0.1)))) {
    fit <- do.call(fit_nn, c(list(mpg ~ wt, mtcars, hidden = 0, epochs = 3), given))
    expect_equal(fit$control$optimizer, "adam")
  }
  expect_equal(fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 3)$control$optimizer, "adam")
})

test_that("a penalty gives ridge regression by default", {
  y <- mtcars$mpg - mean(mtcars$mpg)
  z <- scale(cars_x())
  s <- sd(y)
  b <- solve(crossprod(z) / 32 + diag(0.1, 2), crossprod(z, y / s) / 32)
  fit <- fit_nn(cars_x(), mtcars$mpg, hidden = 0, penalty = 0.1)
  expect_same(coef(fit)[-1] * attr(z, "scaled:scale") / s, b[, 1], tolerance = 1e-6)
})

test_that("vcov(), confint() and summary() are those of lm()", {
  for (formula in list(mpg ~ wt + hp, mpg ~ factor(cyl) * wt - 1, mpg ~ I(wt^2) + offset(hp / 100))) {
    fit <- fit_nn(formula, mtcars, hidden = 0, weights = carb)
    ols <- lm(formula, mtcars, weights = carb)
    cases <- lm(formula, mtcars[rep(1:32, mtcars$carb), ])
    expect_same(vcov(fit), vcov(cases), tolerance = 1e-6)
    expect_same(confint(fit, level = 0.9), confint(cases, level = 0.9), tolerance = 1e-6)
    expect_equal(dimnames(confint(fit)), dimnames(confint(ols)))
  }
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  ols <- lm(mpg ~ wt + hp, mtcars)
  expect_same(confint(fit, "hp"), confint(ols, "hp"))
  expect_same(confint(fit, 2:3), confint(ols, 2:3))
  same_table(summary(fit)$coefficients, summary(ols)$coefficients)
  expect_equal(dimnames(summary(fit)$coefficients), dimnames(summary(ols)$coefficients))
  expect_output(print(summary(fit)), "Std. Error")
})

test_that("several responses have lm()'s covariances", {
  fit <- fit_nn(cbind(mpg, qsec) ~ wt + hp, mtcars, hidden = 0)
  reference <- lm(cbind(mpg, qsec) ~ wt + hp, mtcars)
  expect_same(vcov(fit), vcov(reference), tolerance = 1e-6)
})

test_that("vcov(), confint() and summary() are those of glm()", {
  cases <- list(
    list(am ~ wt, mtcars, binomial()), list(breaks ~ wool * tension, warpbreaks, poisson()),
    list(cbind(ncases, ncontrols) ~ agegp + tobgp, esoph, binomial()),
    list(carb ~ wt + offset(log(hp)), mtcars, poisson())
  )
  for (case in cases) {
    fit <- fit_nn(case[[1]], case[[2]], hidden = 0, family = case[[3]])
    reference <- glm(case[[1]], case[[3]], case[[2]], epsilon = 1e-14)
    expect_same(vcov(fit), vcov(reference), tolerance = 1e-5)
    same_table(summary(fit)$coefficients, summary(reference)$coefficients)
    expect_equal(dimnames(summary(fit)$coefficients), dimnames(summary(reference)$coefficients))
  }
})

test_that("intervals of glm() are by the profile of the likelihood", {
  skip_if_not_installed("MASS")
  for (case in list(list(am ~ wt, mtcars, binomial()), list(breaks ~ wool + tension, warpbreaks, poisson()))) {
    fit <- fit_nn(case[[1]], case[[2]], hidden = 0, family = case[[3]])
    reference <- suppressMessages(confint(glm(case[[1]], case[[3]], case[[2]])))
    expect_same(confint(fit), reference, tolerance = 2e-3)
    # exactly: the deviance there is higher by the quantile
    limit <- confint(fit, 2)[1, 2]
    held <- update(case[[1]], as.formula(paste("~ 1 + offset(", limit, "* m[, 2]) + m[, -(1:2)]")))
    m <- model.matrix(case[[1]], case[[2]])
    environment(held) <- environment()
    at <- glm(if (ncol(m) > 2) held else update(held, ~ . - m[, -(1:2)]), case[[3]], case[[2]], epsilon = 1e-14)
    expect_same(deviance(at) - deviance(fit), qchisq(0.95, 1), tolerance = 1e-5)
  }
})

test_that("negative binomial and robust regression have standard errors, too", {
  skip_if_not_installed("MASS")
  fit <- fit_nn(Days ~ Sex + Age + Lrn, MASS::quine, hidden = 0, family = "negative_binomial")
  reference <- MASS::glm.nb(Days ~ Sex + Age + Lrn, MASS::quine)
  expect_same(vcov(fit), vcov(reference), tolerance = 1e-4)
  set.seed(1)
  # the share of times that a 95 % interval has the true slope, of data with huber's own errors
  x <- rnorm(200)
  hits <- replicate(60, {
    y <- 1 + 2 * x + asNamespace("varnn")$random_huber(200)
    limits <- confint(fit_nn(y ~ x, hidden = 0, family = "huber"), "x")
    limits[1] < 2 && 2 < limits[2]
  })
  expect_gt(mean(hits), 0.85)
})

test_that("weighted least squares with variances that depend on x has the information's inverse", {
  set.seed(4)
  x <- runif(400)
  y <- 1 + x + exp(-1 + 1.5 * x) * rnorm(400)
  fit <- fit_nn(y ~ x, hidden = 0, family = "gaussian_hetero")
  b <- coef(fit)
  X <- cbind(1, x)
  expect_same(X %*% b, predict(fit, type = "link"), ignore_attr = TRUE)
  s <- drop(exp(X %*% b[, 2]))
  expect_same(vcov(fit)[1:2, 1:2], solve(crossprod(X / s)), tolerance = 1e-6, ignore_attr = TRUE)
  expect_same(vcov(fit)[3:4, 3:4], solve(2 * crossprod(X)), tolerance = 1e-6, ignore_attr = TRUE)
})

test_that("predictions have the standard errors of lm() and glm()", {
  new <- data.frame(wt = c(2, NA, 4), hp = c(100, 100, 250))
  fit <- predict(fit_nn(mpg ~ wt + hp, mtcars, hidden = 0), new, se.fit = TRUE)
  reference <- predict(lm(mpg ~ wt + hp, mtcars), new, se.fit = TRUE)
  expect_same(fit$fit, reference$fit)
  expect_same(fit$se.fit, reference$se.fit, ignore_attr = TRUE)
  expect_same(fit$residual.scale, reference$residual.scale)
  expect_equal(fit$df, reference$df)
  model <- fit_nn(am ~ wt, mtcars, hidden = 0, family = "binomial")
  glm_model <- glm(am ~ wt, binomial, mtcars, epsilon = 1e-14)
  for (type in c("link", "response")) {
    fit <- predict(model, new, type = type, se.fit = TRUE)
    reference <- predict(glm_model, new, type = type, se.fit = TRUE)
    expect_same(fit$fit, reference$fit)
    expect_same(fit$se.fit, reference$se.fit, ignore_attr = TRUE)
    expect_same(predict(model, type = type, se.fit = TRUE)$se.fit,
                predict(glm_model, type = type, se.fit = TRUE)$se.fit, ignore_attr = TRUE)
  }
  prob <- predict(fit_nn(Species ~ Sepal.Width, iris, hidden = 0), iris[c(1, 60), ], type = "prob", se.fit = TRUE)
  expect_equal(dim(prob$se.fit), c(2, 3))
  # the standard errors of shares that depend on nothing are those of shares
  set.seed(1)
  noise <- data.frame(y = gl(3, 40), x = rnorm(120))
  at_mean <- predict(fit_nn(y ~ x, noise, hidden = 0), data.frame(x = mean(noise$x)), type = "prob", se.fit = TRUE)
  expect_same(unname(at_mean$se.fit[1, ]), rep(sqrt(1 / 3 * 2 / 3 / 120), 3), tolerance = 0.02)
})

test_that("columns that others determine are told, and have no standard error", {
  cars <- transform(mtcars, again = 2 * wt - 3, hp2 = hp^2)
  fit <- fit_nn(mpg ~ wt + hp2 + again, cars, hidden = 0)
  ols <- lm(mpg ~ wt + hp2 + again, cars)
  expect_same(fitted(fit), fitted(ols))
  expect_equal(fit$stop_reason, "converged")
  expect_equal(df.residual(fit), df.residual(ols))
  expect_equal(is.na(diag(vcov(fit))), c("(Intercept)" = FALSE, wt = FALSE, hp2 = FALSE, again = TRUE))
  expect_same(vcov(fit), vcov(ols))
  expect_same(vcov(fit, complete = FALSE), vcov(ols, complete = FALSE))
  expect_same(coef(fit)[1:3], coef(ols)[1:3])
  expect_output(print(fit), "rank 3 of 4")
  new <- cars[3:5, ]
  expect_same(predict(fit, new, se.fit = TRUE)$se.fit, suppressWarnings(predict(ols, new, se.fit = TRUE))$se.fit,
              ignore_attr = TRUE)
})

test_that("classes that a line separates are told", {
  data <- data.frame(x = c(1:10, 21:30), y = rep(0:1, each = 10) == 1)
  expect_warning(fit <- fit_nn(y ~ x, data, hidden = 0), class = "varnn_separated", "separate")
  expect_true(all(is.finite(coef(fit))))
  expect_equal(predict(fit, data) > 0.5, data$y, ignore_attr = TRUE)
  expect_no_warning(fit_nn(y ~ x, data, hidden = 0, penalty = 0.01))
  expect_no_warning(fit_nn(y ~ x, transform(data, y = replace(y, 3, TRUE)), hidden = 0))
  expect_warning(fit_nn(Species ~ ., iris, hidden = 0), class = "varnn_separated")
})

test_that("standard errors that there are not are refused in words that fit", {
  expect_refused(vcov(quick(mpg ~ wt, mtcars)), "hidden units")
  expect_refused(confint(quick(mpg ~ wt, mtcars)), "hidden units")
  expect_refused(predict(quick(mpg ~ wt, mtcars), se.fit = TRUE), "hidden units.*fit_bayes_nn")
  expect_refused(vcov(fit_nn(mpg ~ wt, mtcars, hidden = 0, penalty = 1)), "penalty")
  stopped <- fit_nn(mpg ~ wt, mtcars, hidden = 0, optimizer = "adam", epochs = 3)
  expect_refused(vcov(stopped), "did not end at the optimum")
  for (fit in list(fit_nn(mpg ~ wt, mtcars, hidden = 0, penalty = 1), stopped)) {
    said <- tryCatch(vcov(fit), error = conditionMessage)
    expect_no_match(said, "hidden units can be exchanged")
  }
  expect_refused(predict(fit_nn(am == 1 ~ wt, mtcars, hidden = 0), type = "class", se.fit = TRUE), "se.fit")
})

test_that("information criteria are given for maximum likelihood alone", {
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  ols <- lm(mpg ~ wt + hp, mtcars)
  expect_no_warning(criteria <- c(AIC(fit), BIC(fit), extractAIC(fit)))
  expect_same(criteria[1:2], c(AIC(ols), BIC(ols)))
  expect_same(AIC(fit, k = 3), AIC(ols, k = 3))
  stopped <- list(quick(mpg ~ wt + hp, mtcars), fit_nn(mpg ~ wt + hp, mtcars, hidden = 0, penalty = 0.1))
  for (fit in stopped) {
    expect_warning(AIC(fit), class = "varnn_no_criterion")
    expect_warning(BIC(fit), class = "varnn_no_criterion")
    expect_warning(extractAIC(fit), class = "varnn_no_criterion")
    said <- capture_warnings(drop1(fit))
    expect_match(said, "maximum of the likelihood")
  }
  expect_warning(AIC(fit_vae(iris[1:4], epochs = 2)), class = "varnn_no_criterion")
  said <- capture_warnings(both <- AIC(stopped[[1]], fit))
  expect_match(said, "held-out")
  expect_equal(dim(both), c(2L, 2L))
})

test_that("step() and drop1() are those of lm()", {
  fit <- fit_nn(mpg ~ wt + hp + qsec, mtcars, hidden = 0)
  ols <- lm(mpg ~ wt + hp + qsec, mtcars)
  ours <- drop1(fit)
  # lm()'s criterion lacks a constant
  expect_same(ours$AIC - ours$AIC[1], drop1(ols)$AIC - drop1(ols)$AIC[1])
  expect_equal(formula(step(fit, trace = 0)), formula(step(ols, trace = 0)), ignore_attr = TRUE)
})

test_that("a model that step() leaves as it is prints and has a summary, as of lm()", {
  fit <- step(fit_nn(mpg ~ wt + hp, mtcars, hidden = 0), trace = 0)
  expect_s3_class(fit$call$formula, "terms")
  said <- capture.output(print(fit), print(summary(fit)))
  expect_identical(said[2], "Call: fit_nn(formula = mpg ~ wt + hp, data = mtcars, hidden = 0)")
  expect_same(summary(fit)$coefficients, summary(step(lm(mpg ~ wt + hp, mtcars), trace = 0))$coefficients)
})

test_that("standard errors of one row, of no row and of several responses are those of lm()", {
  for (formula in list(mpg ~ wt, mpg ~ poly(wt, 2), cbind(mpg, qsec) ~ wt)) {
    fit <- fit_nn(formula, mtcars, hidden = 0)
    one <- predict(fit, data.frame(wt = c(3, NA)), se.fit = TRUE)
    if (is.matrix(one$fit)) {
      expect_equal(dimnames(one$se.fit), dimnames(one$fit))
      expect_same(one$se.fit[1, "qsec"], predict(lm(qsec ~ wt, mtcars), data.frame(wt = 3), se.fit = TRUE)$se.fit,
                  ignore_attr = TRUE)
    } else {
      expect_same(one$se.fit[[1]], predict(lm(formula, mtcars), data.frame(wt = 3), se.fit = TRUE)$se.fit,
                  ignore_attr = TRUE)
    }
    for (none in list(mtcars[0, ], data.frame(wt = NA_real_))) {
      none <- predict(fit, none, se.fit = TRUE)
      expect_equal(dim(none$se.fit), dim(none$fit))
      expect_equal(length(none$se.fit), length(none$fit))
    }
  }
  for (family in c("huber", "gaussian_hetero")) {
    fit <- fit_nn(mpg ~ wt, mtcars, hidden = 0, family = family)
    expect_length(predict(fit, data.frame(wt = 3), se.fit = TRUE)$se.fit, 1)
    all <- predict(fit, mtcars, type = "link", se.fit = TRUE)$se.fit
    expect_same(as.matrix(all)[7, ], as.matrix(predict(fit, mtcars[7, ], type = "link", se.fit = TRUE)$se.fit)[1, ],
                ignore_attr = TRUE)
  }
})

test_that("separated coefficients have no interval, and that is said", {
  fit <- suppressWarnings(fit_nn(am ~ wt + hp + disp + qsec, mtcars, hidden = 0, family = "binomial"))
  expect_warning(limits <- confint(fit), class = "varnn_separated", "have no interval")
  expect_true(all(is.na(limits)))
  zeros <- data.frame(g = gl(3, 5), y = c(rep(0, 5), 1:10))
  fit <- suppressWarnings(fit_nn(y ~ g, zeros, hidden = 0, family = "poisson"))
  expect_warning(expect_true(all(is.na(confint(fit)))), class = "varnn_separated")
})

test_that("with as many columns as rows there are no standard errors", {
  set.seed(1)
  wide <- data.frame(y = rnorm(10), matrix(rnorm(200), 10))
  fit <- fit_nn(y ~ ., wide, hidden = 0)
  expect_same(unname(fitted(fit)), wide$y, tolerance = 1e-4)
  expect_refused(vcov(fit), "20 columns")
  expect_refused(confint(fit), "20 columns")
  expect_null(summary(fit)$coefficients)
})

test_that("a time limit ends confint()", {
  skip_on_cran()
  set.seed(1)
  d <- data.frame(matrix(rnorm(2e4 * 12), 2e4))
  d$y <- runif(2e4) < plogis(d$X1)
  fit <- fit_nn(y ~ ., d, hidden = 0)
  expect_error({
    setTimeLimit(elapsed = 0.2, transient = TRUE)
    confint(fit)
  }, "time limit")
  setTimeLimit()
})

test_that("weights that are no counts are told where they matter", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 0, weights = 1 / hp)
  expect_warning(vcov(fit), class = "varnn_weights")
  expect_no_warning(vcov(fit_nn(mpg ~ wt, mtcars, hidden = 0, weights = carb)))
  for (interval in c("confidence", "prediction"))
    expect_warning(predict(fit, mtcars, interval = interval), class = "varnn_weights")
  expect_warning(predict(fit, mtcars, se.fit = TRUE), class = "varnn_weights")
  expect_no_warning(predict(fit_nn(mpg ~ wt, mtcars, hidden = 0, weights = carb), mtcars, interval = "prediction"))
})

test_that("several gaussian responses have the standard errors of each, also with weights that are no counts", {
  for (w in list(rep(1 / 32, 32), mtcars$carb, mtcars$carb / 10)) {
    both <- fit_nn(cbind(mpg, qsec) ~ wt, mtcars, hidden = 0, weights = w)
    one <- fit_nn(qsec ~ wt, mtcars, hidden = 0, weights = w)
    expect_equal(suppressWarnings(vcov(both))[3:4, 3:4], suppressWarnings(vcov(one)), tolerance = 1e-6,
                 ignore_attr = TRUE)
  }
})

test_that("coefficients of several factors have names of their own", {
  two <- data.frame(b = factor(mtcars$gear), d = factor(mtcars$cyl))
  fit <- suppressWarnings(fit_nn(mtcars["qsec"], two, hidden = 0))
  expect_equal(anyDuplicated(rownames(vcov(fit))), 0L)
  expect_true("d.4:qsec" %in% rownames(vcov(fit)))
})

test_that("rows held out are the reason why there are no standard errors", {
  expect_refused(vcov(fit_nn(mpg ~ wt, mtcars, hidden = 0, validation = 0.25)), "rows held out")
})

test_that("standard errors and residual scales of gamma and inverse_gaussian responses are those of glm()", {
  births <- transform(MASS::birthwt, race = factor(race))
  families <- list(gamma = stats::Gamma("log"), inverse_gaussian = stats::inverse.gaussian("log"))
  for (name in names(families)) {
    fit <- fit_nn(bwt ~ age + lwt + race + smoke, births, hidden = 0, family = name)
    glm <- glm(bwt ~ age + lwt + race + smoke, families[[name]], births, control = list(epsilon = 1e-14, maxit = 100))
    expect_equal(vcov(fit), vcov(glm), tolerance = 1e-5)
    expect_equal(summary(fit)$coefficients, summary(glm)$coefficients, tolerance = 1e-5)
    by_t <- coef(glm) + sqrt(diag(vcov(glm))) %o% (c(-1, 1) * qt(0.975, df.residual(glm)))
    expect_equal(confint(fit), by_t, tolerance = 1e-5, ignore_attr = TRUE)
    for (type in c("link", "response")) {
      theirs <- predict(glm, births, type, se.fit = TRUE)
      mine <- predict(fit, births, type = type, se.fit = TRUE)
      expect_equal(mine[c("se.fit", "residual.scale")], theirs[c("se.fit", "residual.scale")], tolerance = 1e-5,
                   ignore_attr = TRUE)
    }
  }
  double <- births[rep(1:189, 2), ]
  weighted <- fit_nn(bwt ~ age, births, hidden = 0, family = "gamma", weights = rep(2, 189))
  expect_equal(vcov(weighted), vcov(fit_nn(bwt ~ age, double, hidden = 0, family = "gamma")), tolerance = 1e-5)
})

test_that("each of several responses has the distribution of its family", {
  y <- with(mtcars, data.frame(a = mpg, b = carb, c = factor(am)))
  fit <- fit_nn(mtcars["wt"], y, family = c(b = "poisson"), hidden = 0)
  ols <- lm(mpg ~ wt, mtcars)
  expect_equal(confint(fit)[1:2, ], confint(ols), tolerance = 1e-5, ignore_attr = TRUE)
  table <- summary(fit)$coefficients
  expect_equal(table[1:2, ], summary(ols)$coefficients, tolerance = 1e-5, ignore_attr = TRUE)
  expect_equal(table[3:6, 4], 2 * pnorm(-abs(table[3:6, 3])))
  limits <- predict(fit, mtcars, interval = "confidence")
  expect_equal(limits$a, predict(ols, mtcars, interval = "confidence"), tolerance = 1e-5, ignore_attr = TRUE)
  expect_equal(predict(fit, mtcars, se.fit = TRUE, type = "link")$residual.scale, c(a = sigma(ols), b = 1, c = 1),
               tolerance = 1e-6)
})
