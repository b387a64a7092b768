# Permutation importance against its closed form.

# Of a linear model with these coefficients, in squared error: each row has the value of another row, and its residual
# has no correlation with either.
linear_importance <- function(fit, names) 2 * stats::coef(fit)[names]^2 * vapply(fit$model[names], stats::var, 0)

of_variable <- function(found, column, names) found[[column]][match(names, found$variable)]

test_that("the importance of a linear model is its closed form", {
  set.seed(1)
  d <- data.frame(x = stats::rnorm(300), z = stats::runif(300, 0, 4), u = stats::rexp(300), none = stats::rnorm(300))
  d$y <- 3 * d$x - d$z + 0.5 * d$u + stats::rnorm(300)
  names <- c("x", "z", "u", "none")
  truth <- linear_importance(stats::lm(y ~ ., d), names)
  fit <- fit_nn(y ~ ., d, hidden = 0)
  found <- importance(fit, score = "deviance", permutations = 30)
  z <- (of_variable(found, "importance", names) - truth) / of_variable(found, "se", names)
  expect_lt(max(abs(z)), 4)
  expect_equal(of_variable(found, "importance", "x"), truth[["x"]], tolerance = 0.06)
  expect_identical(found$variable[1:2], c("x", "z"))
  expect_equal(attr(found, "base"), mean(stats::residuals(fit)^2))
  # with a known noise, the log score is half of the squared error in its unit
  half <- importance(fit, permutations = 30)
  s <- stats::sigma(fit)
  expect_lt(max(abs(of_variable(half, "importance", names) - truth / (2 * s^2)) / of_variable(half, "se", names)), 4)
  expect_equal(attr(half, "base"), mean(log(s) + log(2 * pi) / 2 + stats::residuals(fit)^2 / (2 * s^2)))
  # also of the exact posterior of a Bayesian one
  bayes <- importance(fit_bayes_nn(y ~ ., d, hidden = 0), score = "deviance", permutations = 30)
  expect_equal(of_variable(bayes, "importance", "x"), truth[["x"]], tolerance = 0.06)
})

test_that("every row has another row's value, all pairs alike", {
  set.seed(2)
  pairs <- table(unlist(replicate(3000, paste(1:4, donors(rep(1, 4))))))
  expect_length(pairs, 12)
  expect_gt(stats::chisq.test(pairs)$p.value, 1e-4)
  expect_true(all(donors(c(0, 2, 1)) != 1))
})

test_that("the Monte Carlo error is that of other permutations", {
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  set.seed(3)
  found <- replicate(60, unlist(importance(fit, variables = "wt", score = "deviance", permutations = 4)[2:3]))
  expect_equal(stats::sd(found[1, ]), sqrt(mean(found[2, ]^2)), tolerance = 0.3)
  expect_identical(importance(fit, permutations = 1)$se, c(NA_real_, NA_real_))
  set.seed(4)
  one <- importance(fit)
  set.seed(4)
  expect_identical(importance(fit), one)
})

test_that("a factor and a variable of several terms are one predictor, an offset is none", {
  cars <- cars_of_types()
  cars$none <- 0.1
  cars$wt[3] <- NA
  k <- 2
  fit <- quick(mpg ~ poly(hp, k) + log(hp) + wt * cyl + gear + manual + many + when + offset(none), cars,
               subset = hp < 300)
  found <- importance(fit, permutations = 2)
  expect_setequal(found$variable, c("hp", "wt", "cyl", "gear", "manual", "many", "when"))
  expect_identical(attr(found, "n"), fit$n_obs)
  together <- importance(fit, variables = list("hp", size = c("wt", "cyl"), c("gear", "many")), permutations = 2)
  expect_setequal(together$variable, c("hp", "size", "gear + many"))
  # the same rows given
  set.seed(5)
  a <- importance(fit, permutations = 2)
  set.seed(5)
  expect_equal(importance(fit, subset(cars, hp < 300), permutations = 2), a, tolerance = 1e-6, ignore_attr = "base")
})

test_that("matrices, classes, several responses, weights, mixtures and Bayesian fits have it", {
  x <- as.matrix(iris[1:3])
  fit <- quick(x, iris$Petal.Width)
  expect_setequal(importance(fit, permutations = 2)$variable, colnames(x))
  expect_identical(attr(importance(fit, x[1:9, ], y = iris[1:9, 4], permutations = 2), "n"), 9L)
  expect_setequal(importance(quick(unname(x), iris$Species))$variable, c("x1", "x2", "x3"))
  expect_setequal(importance(quick(iris[c(1, 5)], iris[2:3]), permutations = 2)$variable, names(iris)[c(1, 5)])
  expect_identical(nrow(importance(quick(cbind(mpg, qsec) ~ wt + hp, mtcars, members = 2), score = "deviance")), 2L)
  expect_identical(nrow(importance(quick_bayes(Species ~ ., iris), iris[1:20, ], permutations = 2, draws = 20)), 4L)
  # a weight of 0 is no row
  some <- rep(1:0, c(20, 12))
  set.seed(6)
  weighted <- importance(linear(mpg ~ wt + hp, mtcars, weights = some), score = "deviance", permutations = 40)
  alone <- importance(linear(mpg ~ wt + hp, mtcars[1:20, ]), score = "deviance", permutations = 40)
  expect_identical(attr(weighted, "n"), 20L)
  expect_equal(attr(weighted, "base"), attr(alone, "base"), tolerance = 1e-4)
})

test_that("it is printed and drawn", {
  found <- importance(quick(mpg ~ wt + hp, mtcars))
  expect_output(print(found), "importance for mpg .*32 rows.*log loss.*wt")
  expect_output(print(found["variable"]), "wt")
  expect_s3_class(as.data.frame(found), "data.frame", exact = TRUE)
  expect_length(drawn_by(expect_identical(plot(found, col = "red"), found), "C_segments"), 1)
  expect_silent(drawn(plot(importance(quick(mpg ~ wt, mtcars), permutations = 1)), 4, 3))
  drawn({
    before <- settings_of()
    plot(found)
    expect_identical(settings_of(), before)
  })
})

test_that("mistakes are named", {
  fit <- quick(mpg ~ wt + hp, mtcars)
  expect_refused(importance(fit, variables = "weight"), "`variables` must be one of \"wt\", \"hp\", not \"weight\"")
  expect_refused(importance(fit, variables = 1), "`variables` must be names of predictors")
  expect_refused(importance(fit, variables = list()), "names none")
  expect_refused(importance(fit, score = "auc"), "`score` must be one of \"log\", \"deviance\"")
  expect_refused(importance(fit, permutations = 0), "`permutations` must be a whole number")
  expect_refused(importance(fit, mtcars[1, ]), "two or more rows")
  expect_refused(importance(fit, mtcars[c("wt", "hp")]), "mpg")
  expect_refused(importance(fit, permutatoins = 3), "did you mean \"permutations\"")
  expect_refused(importance(fit_ae(iris, epochs = 2)), "needs a fit by fit_nn\\(\\) or fit_bayes_nn\\(\\)")
  gone <- mtcars
  fit <- quick(mpg ~ wt, gone)
  rm(gone)
  expect_refused(importance(fit), "no longer found")
  gone <- mtcars[c(2:32, 1), ]
  expect_refused(importance(fit), "not those the model was trained on")
})
