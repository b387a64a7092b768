# Cross-validation: closed forms of models without hidden layers, and fits by hand.

test_that("one row left out of a linear model: residuals are e / (1 - h), of a logistic one those of glm()", {
  fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
  found <- cross_validate(fit, folds = seq_len(32), draws = 10)
  other <- lm(mpg ~ wt + hp, mtcars)
  left_out <- residuals(other) / (1 - hatvalues(other))
  expect_equal(found$predictions, mtcars$mpg - left_out, tolerance = 1e-8)
  expect_equal(found$scores$value[found$scores$score == "rmse"], sqrt(mean(left_out^2)), tolerance = 1e-8)
  expect_equal(as.data.frame(found), found$scores)

  fit <- fit_nn(am == 1 ~ hp, mtcars, hidden = 0)
  found <- cross_validate(fit, folds = rownames(mtcars))
  p <- vapply(1:32, function(i) {
    predict(glm(am ~ hp, binomial, mtcars[-i, ]), mtcars[i, ], type = "response")[[1]]
  }, 0)
  expect_equal(unname(found$predictions), p, tolerance = 1e-5)
  of_right <- ifelse(mtcars$am == 1, p, 1 - p)
  expect_equal(found$scores$value, c(mean(log(of_right)), mean(2 * (1 - of_right)^2), mean(of_right > 0.5)),
               tolerance = 1e-5)
})

test_that("weights count rows, rows of weight 0 are in no part, groups stay together", {
  d <- data.frame(x = c(1:9, 50), y = c(2, 3, 5, 4, 6, 8, 7, 9, 12, 0), w = c(rep(1:3, 3), 0))
  fit <- fit_nn(y ~ x, d, hidden = 0, weights = w)
  group <- c("a", "a", "b", "b", "c", "c", "d", "d", "d", "e")
  set.seed(1)
  found <- cross_validate(fit, folds = 4, by = group, draws = 10)
  expect_identical(is.na(found$fold), c(rep(FALSE, 9), TRUE), ignore_attr = TRUE)
  expect_true(all(tapply(as.integer(found$fold[1:9]), group[1:9], function(f) length(unique(f))) == 1))
  by_hand <- vapply(1:9, function(i) {
    inside <- group != group[i] & d$w > 0
    predict(lm(y ~ x, d[inside, ], weights = w), d[i, ])[[1]]
  }, 0)
  expect_equal(unname(found$predictions), c(by_hand, NA), tolerance = 1e-8)
  expect_equal(found$scores$value[2], sqrt(weighted.mean((d$y[1:9] - by_hand)^2, d$w[1:9])), tolerance = 1e-8)
  expect_equal(sum(found$by_fold$n), 9)
})

test_that("rows that na.exclude left out have their places, levels that a part lacks are there", {
  fit <- fit_nn(Ozone ~ Wind, airquality, hidden = 2, epochs = 3, na.action = na.exclude)
  found <- cross_validate(fit, folds = 2, draws = 10)
  expect_identical(is.na(found$predictions), is.na(airquality$Ozone), ignore_attr = TRUE)
  d <- iris[c(1:20, 51:70, 101), ]
  fit <- fit_nn(Species ~ ., d, hidden = 2, epochs = 3)
  found <- cross_validate(fit, folds = 3)
  expect_equal(rowSums(found$predictions), rep(1, 41), ignore_attr = TRUE)
  expect_true(all(is.finite(found$scores$value)))
  counts <- fit_bayes_nn(cbind(ncases, ncontrols) ~ as.numeric(agegp), esoph, hidden = 2, epochs = 3,
                         posterior = "meanfield")
  expect_identical(cross_validate(counts, 2, draws = 5)$scores$score, "log_score")
  mixture <- fit_bayes_nn(as.matrix(mtcars[2:3]), mtcars$mpg, hidden = 2, epochs = 3, members = 2)
  expect_identical(cross_validate(mixture, 2, draws = 5)$scores$score, c("log_score", "rmse", "crps"))
})

test_that("the same numbers with any plan of the package future", {
  skip_if_not_installed("future")
  skip_on_cran()
  skip_if_counted()
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5)
  run <- function() {
    set.seed(3)
    cross_validate(fit, folds = 3)
  }
  alone <- run()
  old <- future::plan("multisession", workers = 2)
  on.exit(future::plan(old))
  expect_identical(run(), alone)
})

test_that("what is printed and drawn, and what is refused", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 0)
  set.seed(1)
  found <- cross_validate(fit, 4)
  expect_output(print(found), "Cross-validation for mpg \\(32 rows in 4 parts\\).*root mean squared error")
  pdf(NULL)
  on.exit(dev.off())
  expect_invisible(plot(found))
  expect_error(cross_validate(fit, 1), "`folds` must be", class = "varnn_error")
  expect_error(cross_validate(fit, 33), "`folds` must be", class = "varnn_error")
  expect_error(cross_validate(fit, 1:3), "the part of each of the 32 rows", class = "varnn_error")
  expect_error(cross_validate(fit, as.raw(1:32)), "the part of each of the 32 rows", class = "varnn_error")
  expect_error(cross_validate(fit, rep(1, 32)), "two parts or more", class = "varnn_error")
  expect_error(cross_validate(fit, 2, by = 1:3), "`by` must be the group of each", class = "varnn_error")
  expect_error(cross_validate(fit, 1:32, by = 1:32), "have no groups", class = "varnn_error")
  expect_error(cross_validate(fit_ae(iris[1:4], latent = 1, epochs = 1)), "fit_nn\\(\\) or fit_bayes_nn\\(\\)",
               class = "varnn_error")
  found$scores$value <- "1"
  expect_error(print(found), "damaged", class = "varnn_error")
  one <- mtcars$mpg
  local <- fit_nn(one ~ wt, mtcars, hidden = 0)
  one <- rev(one)
  expect_error(cross_validate(local), "not those the model was trained on", class = "varnn_error")
})

test_that("words of any class are parts and groups", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 0)
  words <- rep(c("a", "b"), 16)
  odd <- structure(words, class = "Date")
  values <- function(folds) as.data.frame(cross_validate(fit, folds = folds))$value[1:2]
  expect_equal(values(odd), values(words))
  expect_s3_class(cross_validate(fit, folds = 2, by = odd), "varnn_cross_validation")
  expect_error(cross_validate(fit, folds = structure(rep(1:2, 16), class = "factor")), "`folds` must be",
               class = "varnn_error") # without levels
  frame <- structure(rep(list(1), 32), class = c("numeric", "data.frame"))
  expect_error(cross_validate(fit, folds = frame), "`folds` must be", class = "varnn_error")
})
