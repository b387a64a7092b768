# The contract of predict(): what comes back for what newdata.

test_that("newdata may be shuffled, shortened, widened and of one row", {
  fit <- quick(mpg ~ wt + hp, mtcars)
  all_rows <- predict(fit, mtcars)
  expect_equal(predict(fit, mtcars[c(9, 2, 2, 31), ]), all_rows[c(9, 2, 2, 31)], ignore_attr = TRUE)
  expect_equal(names(predict(fit, mtcars[c(9, 2, 31), ])), rownames(mtcars)[c(9, 2, 31)])
  expect_equal(predict(fit, mtcars[5, ]), all_rows[5])
  expect_equal(predict(fit, mtcars[c("hp", "wt")]), all_rows)
  expect_equal(predict(fit, cbind(mtcars, extra = I(as.list(1:32)))), all_rows)
  expect_equal(predict(fit, transform(mtcars, qsec = NA)), all_rows)
})

test_that("without newdata the predictions are those of the training data", {
  for (epochs in c(2, 6)) {
    fit <- quick(mpg ~ wt, mtcars, epochs = epochs)
    expect_equal(predict(fit), predict(fit, mtcars))
    expect_equal(predict(fit), fitted(fit))
    expect_equal(predict(fit, type = "link"), predict(fit, mtcars, type = "link"))
  }
})

test_that("no rows give no predictions, of the right kind", {
  expect_equal(length(predict(quick(mpg ~ wt, mtcars), mtcars[0, ])), 0)
  expect_type(predict(quick(mpg ~ wt, mtcars), mtcars[0, ]), "double")
  fit <- quick(Species ~ ., iris)
  expect_equal(unname(predict(fit, iris[0, ])), iris$Species[0])
  expect_equal(dim(predict(fit, iris[0, ], type = "prob")), c(0L, 3L))
  expect_equal(dim(predict(quick(cbind(mpg, qsec) ~ wt, mtcars), mtcars[0, ])), c(0L, 2L))
  expect_equal(length(predict(quick(cars_x(), mtcars$mpg), cars_x()[0, ])), 0)
  for (type in c("response", "link")) expect_length(predict(quick(vs == 1 ~ wt, mtcars), mtcars[0, ], type = type), 0)
  expect_equal(dim(predict(quick(factor(vs) ~ wt, mtcars), mtcars[0, ], type = "prob")), c(0L, 2L))
})

test_that("a missing value in a row makes its prediction missing and no other", {
  cars <- cars_of_types()
  fit <- quick(mpg ~ wt + cyl + many, cars)
  holes <- cars[1:5, ]
  holes$wt[2] <- NA
  holes$cyl[3] <- NA
  holes$many[4] <- NA
  expect_equal(predict(fit, holes), replace(predict(fit, cars[1:5, ]), 2:4, NA))
  expect_equal(unname(predict(fit, holes[2, ])), NA_real_)
  expect_equal(names(predict(fit, holes[2:4, ])), rownames(cars)[2:4])
  expect_equal(unname(is.na(predict(fit, holes[2:4, ]))), rep(TRUE, 3))
})

test_that("missing rows are missing in classes, probabilities, links and several responses", {
  fit <- quick(Species ~ ., iris)
  holes <- replace(iris[c(1, 51), ], "Petal.Width", c(NA, 1.5))
  expect_equal(unname(is.na(predict(fit, holes))), c(TRUE, FALSE))
  for (type in c("prob", "response", "link")) {
    expect_equal(unname(is.na(predict(fit, holes, type = type)[, 1])), c(TRUE, FALSE))
  }
  fit <- quick(cbind(mpg, qsec) ~ wt, mtcars)
  expect_equal(unname(is.na(predict(fit, data.frame(wt = c(NA, 3)))[, 2])), c(TRUE, FALSE))
  fit <- quick(cars_x(), mtcars$mpg)
  expect_equal(unname(is.na(predict(fit, rbind(cars_x()[1, ], NA)))), c(FALSE, TRUE))
  expect_equal(unname(is.na(predict(fit, rbind(NA, cars_x()[0, ], NA_real_)))), c(TRUE, TRUE))
})

test_that("a column that is wholly missing gives missing predictions", {
  fit <- quick(mpg ~ wt, mtcars)
  expect_equal(unname(predict(fit, data.frame(wt = c(NA_real_, NA)))), c(NA_real_, NA_real_))
  expect_equal(unname(predict(fit, data.frame(wt = c(NA, NA)))), c(NA_real_, NA_real_))
})

test_that("levels are matched by name", {
  cars <- cars_of_types()
  fit <- quick(mpg ~ cyl + many + gear, cars)
  want <- predict(fit, cars[1:6, ])
  expect_equal(predict(fit, transform(cars[1:6, ], cyl = factor(cyl, c("8", "4", "6", "12")))), want)
  expect_equal(predict(fit, transform(cars[1:6, ], cyl = as.character(cyl), many = factor(many))), want)
  expect_equal(predict(fit, droplevels(cars[1, ])), want[1])
  expect_equal(predict(fit, transform(cars[1:6, ], gear = as.character(gear))), want)
})

test_that("unused levels of the training data are no obstacle", {
  some <- iris[iris$Species != "setosa", ]
  some$Species <- factor(some$Species, c("none", levels(iris$Species)))
  fit <- linear(Sepal.Width ~ Species, some)
  ols <- lm(Sepal.Width ~ Species, some)
  expect_same(coef(fit), coef(ols))
  expect_same(predict(fit, some[c(1, 70), ]), predict(ols, some[c(1, 70), ]))
})

test_that("a missing column and a new level are errors that name them", {
  cars <- cars_of_types()
  fit <- quick(mpg ~ wt + cyl + many, cars)
  expect_refused(predict(fit, cars[c("cyl", "many")]), "`wt`")
  expect_refused(predict(fit, transform(cars, cyl = "five")), "`cyl`.*five")
  expect_refused(predict(fit, transform(cars, many = "lots")), "`many`.*lots")
  fit <- quick(mpg ~ wt + offset(hp / 100), mtcars)
  expect_refused(predict(fit, mtcars["wt"]), "`hp`")
  expect_refused(predict(quick(cars_x(), mtcars$mpg), cars_x()[, 1, drop = FALSE]), "`hp`")
  expect_refused(predict(quick(cars[c("wt", "cyl")], cars$mpg), cars["wt"]), "`cyl`")
})

test_that("a column of another type is an error that names it", {
  cars <- cars_of_types()
  fit <- quick(mpg ~ wt + cyl + gear + manual + when, cars)
  expect_refused(predict(fit, transform(cars, wt = as.character(wt))), "`wt`")
  expect_refused(predict(fit, transform(cars, wt = factor(wt))), "`wt`")
  expect_refused(predict(fit, transform(cars, cyl = as.numeric(cyl))), "`cyl`")
  expect_refused(predict(fit, transform(cars, gear = as.integer(gear))), "`gear`")
  expect_refused(predict(fit, transform(cars, manual = as.integer(manual))), "`manual`")
  expect_refused(predict(fit, transform(cars, when = as.character(when))), "`when`")
  expect_no_warning(try(predict(fit, transform(cars, gear = as.integer(gear))), silent = TRUE))
})

test_that("newdata that is no data is an error", {
  fit <- quick(mpg ~ wt, mtcars)
  expect_refused(predict(fit, 3), "`newdata`")
  expect_refused(predict(fit, "mtcars"), "`newdata`")
  expect_equal(predict(fit, list(wt = 3)), predict(fit, data.frame(wt = 3)))
  fit <- quick(cars_x(), mtcars$mpg)
  expect_refused(predict(fit, cars_x()[1, ]), "`newdata`.*matrix")
  expect_refused(predict(fit, unname(cbind(cars_x(), 1))), "3 columns")
  expect_refused(predict(fit, matrix("a", 1, 2)), "numeric")
})

test_that("matrices are matched by name, and by position where they have none", {
  x <- cars_x()
  fit <- quick(x, mtcars$mpg)
  want <- predict(fit, x)
  expect_equal(names(want), rownames(x))
  expect_equal(predict(fit, x[, 2:1]), want)
  expect_equal(predict(fit, cbind(one = 1, x)), want)
  expect_equal(predict(fit, mtcars), want)
  expect_equal(predict(fit, unname(x)), unname(want))
  storage.mode(x) <- "integer"
  expect_same(predict(linear(x, mtcars$mpg), x), fitted(lm(mtcars$mpg ~ x)), ignore_attr = TRUE)
})

test_that("the types for a factor of several levels", {
  fit <- quick(Species ~ ., iris)
  new <- iris[c(1, 77, 140), 1:4]
  prob <- predict(fit, new, type = "prob")
  expect_equal(dimnames(prob), list(c("1", "77", "140"), levels(iris$Species)))
  expect_equal(unname(rowSums(prob)), rep(1, 3))
  classes <- predict(fit, new)
  expect_s3_class(classes, "factor")
  expect_equal(levels(classes), levels(iris$Species))
  expect_equal(predict(fit, new, type = "class"), classes)
  expect_equal(unname(as.character(classes)), colnames(prob)[max.col(prob)])
  link <- predict(fit, new, type = "link")
  expect_equal(exp(link) / rowSums(exp(link)), prob)
})

test_that("the types for a factor of two levels", {
  two <- iris_two()
  fit <- quick(Species ~ ., two)
  prob <- predict(fit, two, type = "prob")
  expect_equal(colnames(prob), levels(two$Species))
  expect_equal(prob[, 2], predict(fit, two, type = "response"))
  expect_equal(plogis(predict(fit, two, type = "link")), prob[, 2])
  classes <- predict(fit, two)
  expect_equal(levels(classes), levels(two$Species))
  expect_equal(unname(as.character(classes)), levels(two$Species)[1 + (prob[, 2] > 0.5)])
})

test_that("the types for a logical response", {
  fit <- quick(am == 1 ~ wt, mtcars)
  prob <- predict(fit, mtcars, type = "prob")
  expect_equal(colnames(prob), c("FALSE", "TRUE"))
  expect_equal(prob[, "TRUE"], predict(fit, mtcars, type = "response"))
  classes <- predict(fit, mtcars, type = "class")
  expect_s3_class(classes, "factor")
  expect_equal(levels(classes), c("FALSE", "TRUE"))
})

test_that("characters and ordered factors come back as factors with their levels", {
  fit <- quick(as.character(Species) ~ ., iris)
  expect_equal(levels(predict(fit, iris[1:2, ])), levels(iris$Species))
  fit <- quick(gear ~ wt, cars_of_types())
  expect_equal(levels(predict(fit, mtcars)), c("3", "4", "5"))
})

test_that("types that have no meaning are errors that say which have one", {
  fit <- quick(mpg ~ wt, mtcars)
  expect_refused(predict(fit, type = "class"), "factor.*\"response\"")
  expect_refused(predict(fit, type = "prob"), "factor.*\"response\"")
  expect_refused(predict(fit, type = "terms"), "`type`.*\"link\"")
  expect_refused(predict(fit, type = NA), "`type`")
  expect_refused(predict(fit, se.fit = TRUE), "`se.fit`")
  expect_refused(predict(fit, new_data = mtcars), "`new_data`.*newdata")
})

test_that("responses and links of the families", {
  fit <- quick(carb ~ wt, mtcars, family = "poisson")
  expect_equal(log(predict(fit, mtcars)), predict(fit, mtcars, type = "link"))
  fit <- quick(cbind(ncases, ncontrols) ~ agegp, esoph, family = "binomial")
  expect_equal(qlogis(predict(fit, esoph)), predict(fit, esoph, type = "link"))
  fit <- quick(mpg ~ wt, mtcars)
  expect_equal(predict(fit, mtcars), predict(fit, mtcars, type = "link"))
})

test_that("several responses give a matrix with their names", {
  fit <- quick(cbind(mpg, qsec) ~ wt, mtcars)
  expect_equal(dimnames(predict(fit, mtcars[3:1, ])), list(rownames(mtcars)[3:1], c("mpg", "qsec")))
  expect_equal(dim(predict(fit, mtcars[1, ])), c(1L, 2L))
})

test_that("offsets are added, missing offsets make missing predictions", {
  fit <- quick(carb ~ wt + offset(log(hp)), mtcars, family = "poisson")
  new <- mtcars[1:2, ]
  expect_equal(predict(fit, transform(new, hp = 2 * hp)), 2 * predict(fit, new))
  expect_equal(unname(is.na(predict(fit, transform(new, hp = c(NA, 90))))), c(TRUE, FALSE))
})

test_that("predictions draw no random numbers and need no option", {
  fit <- quick(mpg ~ wt, mtcars, dropout = 0.5)
  set.seed(3)
  before <- .Random.seed
  first <- predict(fit, mtcars)
  expect_identical(.Random.seed, before)
  expect_identical(predict(fit, mtcars), first)
})

test_that("data frames of predictions have the rows that na.exclude left out, and any row names of a matrix", {
  x <- as.matrix(iris[3:4])
  x[2, 1] <- NA
  y <- iris[c("Sepal.Length", "Species")]
  drawn <- function(...) {
    set.seed(2)
    predict(...)
  }
  for (fit in list(fit_nn, fit_bayes_nn)) {
    set.seed(1)
    excluded <- fit(x, y, na.action = na.exclude, epochs = 2, hidden = 3)
    set.seed(1)
    omitted <- fit(x, y, na.action = na.omit, epochs = 2, hidden = 3)
    p <- drawn(excluded)
    expect_equal(p[-2, ], drawn(omitted), ignore_attr = "row.names")
    expect_true(all(is.na(p[2, ])))
    expect_identical(row.names(p), as.character(1:150))
    expect_equal(drawn(omitted, x), p)
    named <- x[-2, ]
    rownames(named) <- rep(c("a", "b"), length.out = 149)
    set.seed(1)
    again <- fit(named, y[-2, ], epochs = 2, hidden = 3)
    expect_equal(drawn(again), drawn(omitted), ignore_attr = "row.names")
    expect_equal(drawn(again, named), drawn(again))
    set.seed(1)
    single <- fit(named, y[-2, 1], epochs = 2, hidden = 3)
    expect_named(drawn(single, named), rownames(named))
    expect_identical(anyDuplicated(rownames(simulate(single, 2))), 0L)
  }
})

test_that("predict() has the intervals of predict.lm(), and of the link of other families", {
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  lm <- lm(mpg ~ wt + hp, mtcars)
  new <- mtcars[c(4, 2), ]
  for (interval in c("confidence", "prediction")) {
    expect_equal(predict(fit, new, interval = interval, level = 0.8),
                 predict(lm, new, interval = interval, level = 0.8), tolerance = 1e-6)
    expect_equal(predict(fit, interval = interval), suppressWarnings(predict(lm, interval = interval)),
                 tolerance = 1e-6)
  }
  expect_equal(predict(fit, new, interval = "confidence", se.fit = TRUE),
               predict(lm, new, interval = "confidence", se.fit = TRUE), tolerance = 1e-6, ignore_attr = TRUE)
  counts <- fit_nn(carb ~ wt, mtcars, hidden = 0, family = "poisson")
  link <- predict(glm(carb ~ wt, poisson, mtcars, epsilon = 1e-14), new, se.fit = TRUE)
  expect_equal(predict(counts, new, interval = "confidence"),
               exp(link$fit + link$se.fit %o% c(fit = 0, lwr = -1, upr = 1) * qnorm(0.975)), tolerance = 1e-5)
  expect_refused(predict(counts, new, interval = "prediction"), "needs a gaussian response")
  expect_refused(predict(quick(mpg ~ wt, mtcars), new, interval = "confidence"), "fit_bayes_nn")
  expect_identical(dim(predict(fit, new[0, ], interval = "confidence")), c(0L, 3L))
})

test_that("a scale, its df and a dispersion are those of predict.lm() and predict.glm(), or refused", {
  new <- data.frame(wt = c(2, 3))
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 0)
  truth <- lm(mpg ~ wt, mtcars)
  for (interval in c("confidence", "prediction")) for (df in list(NULL, 7, Inf)) {
    given <- c(list(newdata = new, interval = interval, scale = 10), if (!is.null(df)) list(df = df))
    expect_equal(do.call(predict, c(list(fit), given)), suppressWarnings(do.call(predict, c(list(truth), given))),
                 tolerance = 1e-6)
  }
  expect_equal(predict(fit, new, se.fit = TRUE, scale = 10, df = 7),
               predict(truth, new, se.fit = TRUE, scale = 10, df = 7), tolerance = 1e-6)
  families <- list(poisson = poisson(), gamma = Gamma("log"), gaussian = gaussian())
  for (name in names(families)) {
    fit <- fit_nn(carb ~ wt, mtcars, hidden = 0, family = name)
    truth <- glm(carb ~ wt, families[[name]], mtcars)
    for (type in c("link", "response")) {
      found <- predict(fit, new, type = type, se.fit = TRUE, dispersion = 4)
      expect_equal(found[c("fit", "se.fit", "residual.scale")],
                   predict(truth, new, type = type, se.fit = TRUE, dispersion = 4), tolerance = 1e-4)
    }
  }
  expect_identical(predict(fit, new, scale = 10, dispersion = 3), predict(fit, new))
  refused <- function(expr, words) expect_error(expr, words, class = "varnn_error")
  count <- fit_nn(carb ~ wt, mtcars, hidden = 0, family = "poisson")
  refused(predict(count, new, se.fit = TRUE, scale = 2), "`scale` is for one gaussian response.*\"poisson\"")
  refused(predict(fit, new, se.fit = TRUE, df = 2), "`df` is that of a `scale`, which is missing")
  refused(predict(fit, new, se.fit = TRUE, scale = 2, dispersion = 4), "say the same")
  refused(predict(fit, new, type = "quantile", scale = 2), "`scale` must be left out")
  both <- fit_nn(cbind(mpg, qsec) ~ wt, mtcars, hidden = 0)
  refused(predict(both, new, se.fit = TRUE, scale = 2), "`scale` is for one gaussian response")
  several <- fit_nn(factor(gear) ~ wt, mtcars, hidden = 0)
  refused(predict(several, new, type = "prob", se.fit = TRUE, dispersion = 2), "`dispersion` is for one response of a")
  bayes <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0)
  refused(predict(bayes, new, interval = "confidence", scale = 2), "`scale` must be left out")
  expect_identical(predict(bayes, new, scale = 2), predict(bayes, new))
  expect_identical(predict(fit, new, interval = "confidence", df = Inf), predict(fit, new, interval = "confidence"))
})
