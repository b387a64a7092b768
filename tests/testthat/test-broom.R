# tidy(), glance() and augment(), against those of broom for lm() and glm().

skip_if_not_installed("generics")

cars_frame <- function() transform(mtcars, cyl = factor(cyl), manual = am == 1)

# The columns that both tables have, as plain ones.
expect_table <- function(ours, theirs, columns = names(theirs), tolerance = 1e-6) {
  expect_true(all(columns %in% names(ours)), label = paste("columns", toString(setdiff(columns, names(ours)))))
  for (name in columns)
    expect_equal(unname(c(ours[[name]])), unname(c(theirs[[name]])), tolerance = tolerance, info = name)
}

test_that("without hidden layers the tables are those of broom for lm()", {
  skip_if_not_installed("broom")
  cars <- cars_frame()
  fit <- fit_nn(mpg ~ wt * hp + cyl, cars, hidden = 0)
  lm <- lm(mpg ~ wt * hp + cyl, cars)
  expect_named(generics::tidy(fit, conf.int = TRUE), names(broom::tidy(lm, conf.int = TRUE)))
  expect_table(generics::tidy(fit, conf.int = TRUE, conf.level = 0.9),
               broom::tidy(lm, conf.int = TRUE, conf.level = 0.9))
  expect_named(generics::glance(fit), names(broom::glance(lm)))
  expect_table(generics::glance(fit), broom::glance(lm))
  without <- fit_nn(mpg ~ 0 + wt + hp, cars, hidden = 0)
  expect_table(generics::glance(without), broom::glance(lm(mpg ~ 0 + wt + hp, cars)))
  expect_setequal(names(generics::augment(fit)), names(broom::augment(lm)))
  expect_table(generics::augment(fit), broom::augment(lm))
  expect_table(broom::augment(fit), broom::augment(lm)) # by broom's own name
  numbered <- generics::augment(fit_nn(Sepal.Length ~ ., iris, hidden = 0))
  expect_setequal(names(numbered), names(broom::augment(lm(Sepal.Length ~ ., iris))))
  for (interval in c("confidence", "prediction")) {
    theirs <- broom::augment(lm, newdata = cars[c(3, 1), ], interval = interval, se_fit = TRUE)
    ours <- generics::augment(fit, newdata = cars[c(3, 1), ], interval = interval, se_fit = TRUE)
    expect_setequal(names(ours), names(theirs))
    expect_table(ours, theirs)
  }
})

test_that("without hidden layers the tables are those of broom for glm()", {
  skip_if_not_installed("broom")
  cars <- cars_frame()
  cases <- list(list(manual ~ wt, binomial()), list(carb ~ wt + hp, poisson()),
                list(cbind(am, 3 - am) ~ hp + offset(wt), binomial()),
                list(carb ~ 0 + wt + offset(log(gear)), poisson()))
  for (case in cases) {
    glm <- glm(case[[1]], case[[2]], cars, epsilon = 1e-14)
    fit <- do.call(fit_nn, list(case[[1]], cars, hidden = 0, family = case[[2]]))
    label <- deparse(case[[1]])
    expect_table(generics::tidy(fit, exponentiate = TRUE), broom::tidy(glm, exponentiate = TRUE), tolerance = 1e-4)
    expect_named(generics::glance(fit), names(broom::glance(glm)), info = label)
    expect_table(generics::glance(fit), broom::glance(glm))
    for (type in c("link", "response")) {
      residuals <- c(link = "deviance", response = "pearson")[[type]]
      theirs <- broom::augment(glm, type.predict = type, type.residuals = residuals)
      ours <- generics::augment(fit, type.predict = type, type.residuals = residuals)
      theirs$.std.resid <- rstandard(glm, type = residuals) # broom 1.0.3 has that of the deviance always
      expect_table(ours, theirs, setdiff(names(theirs), names(model.frame(glm))), tolerance = 1e-4)
    }
    expect_table(generics::augment(fit, se_fit = TRUE),
                 broom::augment(glm, type.predict = "response", se_fit = TRUE), ".se.fit", tolerance = 1e-4)
  }
})

test_that("intervals are those of confint(), as in broom", {
  skip_if_not_installed("broom")
  fit <- fit_nn(carb ~ wt, mtcars, hidden = 0, family = "poisson")
  theirs <- broom::tidy(glm(carb ~ wt, poisson, mtcars, epsilon = 1e-14), conf.int = TRUE)
  expect_table(generics::tidy(fit, conf.int = TRUE), theirs, tolerance = 1e-3) # MASS interpolates the profile
})

test_that("levels, several responses, aliased columns and a penalty", {
  skip_if_not_installed("broom")
  flowers <- fit_nn(Species ~ Sepal.Width + Petal.Width, iris, hidden = 0, penalty = 1e-3)
  table <- generics::tidy(flowers)
  expect_identical(unique(table$y.level), levels(iris$Species))
  expect_equal(table$estimate, as.vector(coef(flowers)))
  expect_true(all(is.na(table$std.error)))
  expect_error(generics::tidy(flowers, conf.int = TRUE), "penalty", class = "varnn_error")
  both <- fit_nn(cbind(mpg, qsec) ~ wt, mtcars, hidden = 0)
  lm <- lm(cbind(mpg, qsec) ~ wt, mtcars)
  expect_table(generics::tidy(both), broom::tidy(lm), c("response", "term", "estimate", "std.error", "p.value"))
  bounds <- generics::augment(both, newdata = mtcars[1:2, ], interval = "prediction", se_fit = TRUE)
  theirs <- predict(lm(qsec ~ wt, mtcars), mtcars[1:2, ], interval = "prediction", se.fit = TRUE)
  expect_equal(cbind(bounds$.fitted.qsec, bounds$.lower.qsec, bounds$.upper.qsec), unname(theirs$fit), tolerance = 1e-6)
  expect_equal(bounds$.se.fit.qsec, unname(theirs$se.fit), tolerance = 1e-6)
  expect_equal(bounds$.resid.mpg, mtcars$mpg[1:2] - bounds$.fitted.mpg)
  expect_identical(nrow(generics::glance(both)), 1L)
  twice <- fit_nn(mpg ~ wt + I(2 * wt), mtcars, hidden = 0)
  expect_identical(is.na(generics::tidy(twice)$std.error), c(FALSE, FALSE, TRUE))
})

test_that("a row describes a network with several responses", {
  set.seed(1)
  fits <- list(quick(cbind(mpg, disp) ~ wt, mtcars), quick(mtcars["wt"], mtcars[c("mpg", "cyl")]),
               fit_bayes_nn(cbind(mpg, disp) ~ wt, mtcars, posterior = "dropout", epochs = 2))
  for (fit in fits) {
    one <- generics::glance(fit)
    expect_identical(nrow(one), 1L)
    expect_equal(c(one$logLik, one$nobs), c(c(logLik(fit)), 32))
  }
})

test_that("networks, Bayesian networks and mixtures", {
  set.seed(1)
  network <- quick(mpg ~ wt + hp, mtcars)
  table <- generics::tidy(network)
  expect_identical(nrow(table), as.integer(network$n_par))
  expect_equal(table$estimate[table$term == "layer1.weight[2,1]"], coef(network)$layer1.weight[[2, 1]])
  one <- generics::glance(network)
  expect_equal(one$r.squared, 1 - sum(residuals(network)^2) / sum((mtcars$mpg - mean(mtcars$mpg))^2))
  expect_equal(one$sigma, sigma(network))
  expect_false("AIC" %in% names(one))
  bayes <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 3, members = 1, sigma = "learned")
  table <- generics::tidy(bayes, conf.int = TRUE)
  expect_identical(table$term, rownames(vcov(bayes)))
  expect_equal(table$std.error, unname(sqrt(diag(vcov(bayes)))))
  expect_equal(cbind(table$conf.low, table$conf.high), unname(confint(bayes)))
  expect_equal(generics::glance(bayes)[c("evidence", "df", "npar", "nobs")],
               list(evidence = evidence(bayes), df = sum(bayes$laplace$effective), npar = bayes$n_par, nobs = 32L),
               ignore_attr = TRUE)
  around <- generics::augment(bayes, interval = "prediction", conf.level = 0.8)
  expect_equal(cbind(around$.fitted, around$.lower, around$.upper),
               unname(predict(bayes, interval = "prediction", level = 0.8)))
  linear <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0)
  expect_equal(generics::tidy(linear)[["std.error"]], unname(sqrt(diag(vcov(linear)))))
  drawn <- generics::augment(linear, newdata = mtcars[1:2, ], se_fit = TRUE, draws = 4000)
  x <- cbind(1, mtcars$wt[1:2])
  expect_equal(drawn$.se.fit, sqrt(rowSums((x %*% vcov(linear)) * x)), tolerance = 0.05)
  mixed <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, members = 2, sigma = "learned")
  expect_identical(unique(generics::tidy(mixed)$member), 1:2)
  expect_equal(generics::glance(mixed)$evidence, sum(evidence(mixed) * mixed$member_weights))
  ensemble <- quick(mpg ~ wt, mtcars, members = 2)
  expect_identical(nrow(generics::tidy(ensemble)), as.integer(ensemble$n_par))
  expect_identical(nrow(generics::glance(ensemble)), 1L)
})

test_that("factors: the likeliest level, probabilities and deviance residuals", {
  set.seed(1)
  fit <- quick(Species ~ ., iris, epochs = 40)
  out <- generics::augment(fit)
  expect_identical(out$.fitted, unname(predict(fit)))
  expect_equal(cbind(out$.pred_setosa, out$.pred_versicolor, out$.pred_virginica),
               unname(predict(fit, type = "prob")))
  expect_equal(out$.resid, sqrt(-2 * log(predict(fit, type = "prob")[cbind(1:150, as.integer(iris$Species))])))
  expect_equal(generics::glance(fit)$accuracy, mean(out$.fitted == iris$Species))
  some <- droplevels(iris[1:20, ])
  expect_identical(levels(generics::augment(fit, newdata = some)$.fitted), levels(iris$Species))
  expect_equal(generics::augment(fit, newdata = some)$.resid, out$.resid[1:20])
})

test_that("rows: one, none, with missing values, of other columns and other orders", {
  set.seed(1)
  fits <- list(quick(mpg ~ wt + log(hp), mtcars), quick_bayes(mpg ~ wt + log(hp), mtcars),
               fit_nn(mpg ~ wt + log(hp), mtcars, hidden = 0))
  for (fit in fits) {
    new <- cbind(zoo = 1, mtcars[5:1, c("hp", "cyl", "wt", "mpg")])
    out <- generics::augment(fit, newdata = new)
    expect_named(out, c(".rownames", names(new), ".fitted", ".resid"))
    expect_equal(out$.fitted, unname(predict(fit, new)), tolerance = 0.05)
    expect_equal(out$.resid, new$mpg - out$.fitted)
    expect_identical(nrow(generics::augment(fit, newdata = new[1, ])), 1L)
    expect_named(generics::augment(fit, newdata = new[0, ]), c(names(new), ".fitted", ".resid"))
    expect_named(generics::augment(fit, newdata = new[c("wt", "hp")]), c(".rownames", "wt", "hp", ".fitted"))
    new$wt[2] <- NA
    new$mpg[3] <- NA
    gaps <- generics::augment(fit, newdata = new)
    expect_identical(is.na(gaps$.fitted), c(FALSE, TRUE, FALSE, FALSE, FALSE))
    expect_identical(is.na(gaps$.resid), c(FALSE, TRUE, TRUE, FALSE, FALSE))
  }
  air <- fit_nn(Ozone ~ Wind, airquality, hidden = 0)
  expect_identical(nrow(generics::augment(air)), 116L)
  whole <- generics::augment(air, data = airquality)
  expect_identical(nrow(whole), 153L)
  expect_equal(whole$.resid, airquality$Ozone - whole$.fitted)
  excluded <- fit_nn(Ozone ~ Wind, airquality, hidden = 0, na.action = na.exclude)
  expect_equal(generics::augment(excluded, interval = "confidence", se_fit = TRUE),
               generics::augment(air, interval = "confidence", se_fit = TRUE))
  by_xy <- fit_nn(as.matrix(mtcars[c("wt", "hp")]), mtcars$mpg, hidden = 0)
  expect_named(generics::augment(by_xy), c(".rownames", "wt", "hp", "y", ".fitted", ".resid", ".hat", ".sigma",
                                           ".cooksd", ".std.resid"))
  expect_named(generics::augment(by_xy, newdata = as.matrix(mtcars[1:2, c("hp", "wt")])),
               c(".rownames", "hp", "wt", ".fitted"))
})

test_that("autoencoders: codes, errors, measures", {
  set.seed(1)
  holes <- iris
  holes$Petal.Width[3] <- NA
  for (fit in list(fit_ae(holes, epochs = 5), fit_vae(holes, epochs = 5))) {
    expect_identical(nrow(generics::tidy(fit)), as.integer(fit$n_par))
    one <- generics::glance(fit)
    expect_identical(nrow(one), 1L)
    expect_equal(one$deviance, deviance(fit))
    expect_equal(one$latent, 2)
    out <- generics::augment(fit)
    expect_named(out, c(names(iris), ".z1", ".z2", ".error"))
    expect_equal(unname(cbind(out$.z1, out$.z2)), unname(encode(fit)))
    expect_equal(out$.error, unname(predict(fit, type = "error")))
    expect_equal(out[1:5], holes, ignore_attr = TRUE)
    expect_equal(generics::augment(fit, newdata = holes[3:1, 5:1])$.error, out$.error[3:1])
    expect_identical(nrow(generics::augment(fit, newdata = holes[0, ])), 0L)
    expect_error(generics::tidy(fit, conf.int = TRUE), class = "varnn_error")
  }
})

test_that("arguments that are not there, or not right", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 0)
  expect_refused(generics::tidy(fit, conf.lvl = 0.9), "did you mean \"conf.level\"")
  expect_refused(generics::tidy(fit, conf.level = 2), "`conf.level` must be")
  expect_refused(generics::glance(fit, 3), "argument without a name")
  expect_refused(generics::augment(fit, type.predict = "probability"), "`type.predict` must be")
  expect_refused(generics::augment(fit, newdata = mtcars["hp"]), "no column `wt`")
  expect_refused(generics::augment(quick(mpg ~ wt, mtcars), se_fit = TRUE), "`se.fit` = TRUE does not apply")
})

test_that("the F test of one column is the square of its t value, whatever the weights, and with an offset", {
  for (w in list(rep(1, 32), rep(1 / 32, 32), mtcars$carb, mtcars$carb / 10)) {
    for (formula in list(mpg ~ wt, mpg ~ 0 + wt, mpg ~ wt + offset(qsec))) {
      fit <- do.call(fit_nn, list(formula, mtcars, hidden = 0, weights = w))
      row <- suppressWarnings(summary(fit)$coefficients)["wt", ]
      one <- generics::glance(fit)
      expect_equal(one$statistic, row[["t value"]]^2, tolerance = 1e-5)
      expect_equal(one$p.value, row[["Pr(>|t|)"]], tolerance = 1e-4)
    }
  }
})

test_that("R squared is one number, without an intercept that about 0 as of lm()", {
  for (formula in list(mpg ~ 0 + wt, mpg ~ wt, mpg ~ 0 + factor(cyl))) {
    fit <- do.call(fit_nn, list(formula, mtcars, hidden = 0))
    theirs <- summary(do.call(lm, list(formula, mtcars)))$r.squared
    expect_equal(summary(fit)$responses[[1]]$measures[["r_squared"]], theirs, tolerance = 1e-6)
    expect_equal(generics::glance(fit)$r.squared, theirs, tolerance = 1e-6)
    if (requireNamespace("performance", quietly = TRUE))
      expect_equal(performance::model_performance(fit)$R2, theirs, tolerance = 1e-6)
  }
})
