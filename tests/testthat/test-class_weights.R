# Weights of classes are the case weights of their rows: glm() and a fit with these weights are the truth.

set.seed(1)
data <- data.frame(x = rnorm(120), f = sample(c("u", "v", "w"), 120, TRUE))
data$y <- factor(ifelse(data$x + rnorm(120) > 1, "b", "a"))
by_row <- ifelse(data$y == "b", 3, 1)

test_that("weights by the names of classes are those of their rows, as glm() has them", {
  fit <- fit_nn(y ~ x, data, weights = c(b = 3, a = 1), hidden = 0)
  expect_equal(weights(fit), by_row)
  truth <- suppressWarnings(glm(y ~ x, binomial, data, weights = by_row))
  expect_equal(coef(fit), coef(truth), tolerance = 1e-5)
  expect_equal(coef(update(fit)), coef(fit))
  expect_equal(coef(fit_nn(data["x"], data$y, weights = c(a = 1, b = 3), hidden = 0)), coef(fit))
  expect_equal(weights(fit_nn(y ~ x, data, weights = c(a = 1, b = 3), subset = x > 0, hidden = 0)),
               by_row[data$x > 0])
})

test_that("balanced classes have equal sums of weights, the mean weight being 1", {
  for (y in list(data$y, data$y == "b", as.character(data$y), factor(data$f))) {
    data$y <- y
    fit <- fit_nn(y ~ x, data, weights = "balanced", hidden = 0)
    expect_equal(mean(weights(fit)), 1)
    sums <- tapply(weights(fit), data$y, sum)
    expect_equal(as.vector(sums), rep(120 / length(sums), length(sums)))
  }
  way <- "balanced"
  expect_equal(weights(fit_bayes_nn(y ~ x, data, weights = way, hidden = 2, epochs = 2)), weights(fit))
})

test_that("rows that a part leaves out have no say in what balances the others", {
  fold <- rep(1:3, 40)
  fit <- fit_nn(y ~ x, data, weights = "balanced", hidden = 0)
  found <- cross_validate(fit, folds = fold)
  by_hand <- numeric(120)
  for (k in 1:3) {
    out <- fold == k
    n <- table(data$y[!out])
    w <- as.vector(sum(n) / (2 * n))[as.integer(data$y[!out])]
    part <- suppressWarnings(glm(y ~ x, binomial, data[!out, ], weights = w))
    by_hand[out] <- predict(part, data[out, ], type = "response")
  }
  expect_equal(as.vector(found$predictions), by_hand, tolerance = 1e-5)
  kept <- cross_validate(fit_nn(data["x"], data$y, weights = "balanced", hidden = 0, keep_data = TRUE), folds = fold)
  expect_equal(as.vector(kept$predictions), by_hand, tolerance = 1e-5)
})

test_that("a class without rows has no part, and a row without a class counts once", {
  y <- factor(data$y, c("a", "b", "c"))
  expect_equal(varnn:::row_weights("balanced", y), varnn:::row_weights("balanced", data$y))
  expect_equal(varnn:::row_weights(c(a = 2, b = 3), replace(data$y, 1, NA))[1], 1)
})

test_that("wrong weights of classes are told before training", {
  refused <- function(w, words) expect_refused(fit_nn(data["x"], data$y, weights = w), words)
  refused(c(a = 1, c = 2), "`weights` names \"c\", which is no class of the response")
  refused(c(a = 1), "no number for the class \"b\"")
  refused(c(a = 1, a = 2), "names the class \"a\" twice")
  refused(c(a = 1, b = -2), "at least 0")
  refused(c(a = 1, b = Inf), "finite")
  refused(c(a = 0, b = 0), "all zero")
  refused("equal", "must be numbers or \"balanced\"")
  expect_refused(fit_nn(x ~ y, data, weights = "balanced"), "one response that is a factor")
  expect_refused(fit_nn(cbind(x, x) ~ y, data, weights = "balanced"), "one response that is a factor")
})

test_that("weights of rows may have the rows' names", {
  w <- stats::setNames(by_row, rownames(data))
  expect_equal(weights(fit_nn(y ~ x, data, weights = w, hidden = 0)), by_row)
  expect_equal(weights(fit_nn(data["x"], data$y, weights = w, hidden = 0)), by_row)
})
