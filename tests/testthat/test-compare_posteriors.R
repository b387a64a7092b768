# compare_posteriors(): the scores of closed forms and of cross_validate().

test_that("new rows have the scores of the normal distribution that the posterior predictive is", {
  set.seed(3)
  d <- data.frame(x = rnorm(60))
  d$y <- 1 + 2 * d$x + rnorm(60, sd = 0.5)
  train <- d[1:40, ]
  new <- d[41:60, ]
  fit <- fit_bayes_nn(y ~ x, train, hidden = 0, posterior = "full", sigma = 0.5, prior = prior_normal(0, 10),
                      standardize = FALSE)
  wide <- update(fit, sigma = 2)
  found <- compare_posteriors(fit, wide = wide, newdata = new, draws = 4000, level = 0.8)
  x <- cbind(1, train$x)
  truth <- lapply(c(0.5, 2), function(sigma) {
    v <- solve(crossprod(x) / sigma^2 + diag(2) / 100)
    at <- cbind(1, new$x)
    list(mean = drop(at %*% v %*% crossprod(x, train$y)) / sigma^2, sd = sqrt(rowSums((at %*% v) * at) + sigma^2))
  })
  density <- vapply(truth, function(t) stats::dnorm(new$y, t$mean, t$sd, log = TRUE), numeric(20))
  expect_identical(found$table$posterior, c("last_layer", "wide"))
  expect_equal(found$table$log_score, colMeans(density), tolerance = 1e-2)
  gap <- density[, 2] - density[, 1]
  expect_equal(found$table$difference, c(0, mean(gap)), tolerance = 2e-2)
  expect_equal(found$table$se, c(0, sd(gap) * sqrt(19 / 20) / sqrt(20)), tolerance = 5e-2)
  expect_equal(found$table$rmse, vapply(truth, function(t) sqrt(mean((new$y - t$mean)^2)), 0), tolerance = 1e-2)
  expect_equal(found$table$width, vapply(truth, function(t) mean(2 * stats::qnorm(0.9) * t$sd), 0), tolerance = 2e-2)
  covered <- vapply(truth, function(t) mean(abs(new$y - t$mean) <= stats::qnorm(0.9) * t$sd), 0)
  expect_equal(found$table$coverage, covered, tolerance = 0.06)
})

test_that("a fit does not differ from itself, on new rows and by parts", {
  set.seed(3)
  d <- data.frame(x = rnorm(60))
  d$y <- d$x + rnorm(60)
  fits <- list(fit_bayes_nn(y ~ x, d[1:40, ], hidden = 4, posterior = "meanfield", epochs = 20, members = 1),
               fit_bayes_nn(y ~ x, d[1:40, ], hidden = 4, posterior = "meanfield", epochs = 20, members = 2),
               fit_bayes_nn(y > 0 ~ x, d[1:40, ], hidden = 0, posterior = "meanfield", epochs = 20))
  for (fit in fits) for (new in list(NULL, d[41:60, ])) {
    table <- compare_posteriors(fit, fit, newdata = new, folds = 2, draws = 20)$table
    expect_identical(table$difference, c(0, 0))
    expect_identical(table$se, c(0, 0))
    expect_equal(unlist(table[1, -1]), unlist(table[2, -1]))
  }
})

test_that("without random weights before the last layer the log score of a gaussian response takes no draws", {
  set.seed(3)
  d <- data.frame(x = rnorm(60))
  d$y <- 5 + 3 * d$x + rnorm(60)
  fits <- list(fit_bayes_nn(y ~ x, d[1:40, ], hidden = 0, posterior = "meanfield"),
               fit_bayes_nn(y ~ x, d[1:40, ], hidden = 0, posterior = "full"),
               fit_bayes_nn(y ~ x, d[1:40, ], hidden = 4, posterior = "last_layer", epochs = 50, members = 1))
  new <- d[41:60, ]
  for (fit in fits) {
    v <- apply(posterior_epred(fit, new, draws = 40000), 2, stats::var)
    truth <- stats::dnorm(new$y, predict(fit, new), sqrt(v + sigma(fit)^2), log = TRUE)
    found <- compare_posteriors(fit, newdata = new, draws = 2)$table
    expect_equal(found$log_score, mean(truth), tolerance = 1e-3)
    expect_identical(compare_posteriors(fit, newdata = new, draws = 2)$table$log_score, found$log_score)
  }
})

test_that("the standard error holds that of the draws", {
  skip_if_counted()
  set.seed(4)
  d <- data.frame(x = rnorm(30))
  d$y <- d$x + rnorm(30)
  one <- function(seed, ...) {
    set.seed(seed)
    fit_bayes_nn(y ~ x, d, hidden = 3, posterior = "meanfield", epochs = 100, ...)
  }
  of <- function(table) diff(table$log_score[order(table$posterior)])
  check <- function(a, b) {
    new <- data.frame(x = 2, y = 1)
    drawn <- lapply(1:200, function(i) compare_posteriors(a, b = b, newdata = new, draws = 30)$table)
    # of one row all error is that of the draws
    expect_equal(sqrt(mean(vapply(drawn, function(t) t$se[2], 0)^2)), stats::sd(vapply(drawn, of, 0)), tolerance = 0.25)
  }
  check(one(1, members = 1), one(2, members = 1))
  check(one(1, members = 2), one(2, members = 1))
})

test_that("coverage and width are those of predict(interval = \"prediction\")", {
  set.seed(5)
  d <- data.frame(x = rnorm(200))
  d$y <- d$x + rnorm(200)
  d$n <- rpois(200, exp(1 + d$x))
  new <- d[101:200, ]
  check <- function(fit, y, ...) {
    bounds <- predict(fit, new, interval = "prediction", level = 0.9)
    found <- compare_posteriors(fit, newdata = new, level = 0.9)$table
    expect_equal(found$width, mean(bounds[, 3] - bounds[, 2]), ...)
    expect_equal(found$coverage, mean(y >= bounds[, 2] & y <= bounds[, 3]), tolerance = 0.02)
  }
  point <- fit_bayes_nn(y ~ x, d[1:100, ], hidden = 0, posterior = "point")
  check(point, new$y, tolerance = 1e-10)
  expect_equal(compare_posteriors(point, newdata = new)$table$width, 2 * stats::qnorm(0.975) * sigma(point),
               tolerance = 1e-8)
  check(fit_bayes_nn(y ~ x, d[1:100, ], hidden = 0, posterior = "last_layer"), new$y, tolerance = 2e-3)
  check(fit_bayes_nn(n ~ x, d[1:100, ], hidden = 0, family = "poisson", posterior = "laplace"), new$n, tolerance = 2e-2)
})

test_that("parts are those of cross_validate(), and all fits have the same", {
  parts <- rep(1:4, 8)
  fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0, posterior = "laplace")
  other <- update(fit, . ~ hp)
  found <- compare_posteriors(fit, other, folds = parts)
  expect_identical(found$table$posterior, c("laplace", "laplace 1"))
  for (i in 1:2) {
    alone <- cross_validate(list(fit, other)[[i]], folds = parts)$scores
    expect_equal(unlist(found$table[i, c("log_score", "rmse")]), alone$value[1:2], ignore_attr = TRUE)
  }
  expect_true(all(is.na(found$table$seconds)))
  expect_identical(found$fits[[1]], fit)
})

test_that("posteriors of a formula are trained and judged, of numbers and of classes", {
  set.seed(1)
  found <- compare_posteriors(formula = mpg ~ wt, data = mtcars, posteriors = c("meanfield", "point"), hidden = 2,
                              epochs = 5, members = 1, folds = 2, draws = 20)
  expect_setequal(found$table$posterior, c("meanfield", "point"))
  expect_named(found$table, c("posterior", "log_score", "difference", "se", "rmse", "crps", "coverage", "width",
                              "seconds"))
  expect_identical(vapply(found$fits, function(fit) fit$spec$posterior, "", USE.NAMES = FALSE), found$table$posterior)
  expect_equal(found$fits[[1]]$call$formula, quote(mpg ~ wt))
  set.seed(1)
  again <- compare_posteriors(mpg ~ wt, mtcars, posteriors = c("meanfield", "point"), hidden = 2, epochs = 5,
                              members = 1, folds = 2, draws = 20)
  expect_identical(again$table[-9], found$table[-9])
  classes <- compare_posteriors(Species ~ ., iris, posteriors = "meanfield", hidden = 2, epochs = 3, members = 1,
                                newdata = iris[c(1, 70, 150), ], draws = 20)
  expect_match(classes$judged_by, "3 rows")
  expect_named(classes$table, c("posterior", "log_score", "difference", "se", "brier", "accuracy", "seconds"))
})

test_that("what posterior_swag() and its like make is compared, each called by how it differs", {
  one <- function(posteriors) {
    set.seed(2)
    suppressWarnings(compare_posteriors(mpg ~ wt, mtcars, posteriors = posteriors, hidden = 2, epochs = 5, members = 1,
                                        newdata = mtcars, draws = 20))
  }
  found <- one(list("point", posterior_swag(4, 5), fine = posterior_swag(2, 9, learn_rate = 0.01)))
  expect_setequal(found$table$posterior, c("point", "posterior_swag(rank = 4, epochs = 5)", "fine"))
  expect_identical(names(found$fits), found$table$posterior)
  expect_identical(found$fits$fine$arguments$posterior_options, posterior_swag(2, 9, learn_rate = 0.01))
  expect_true(all(is.finite(found$table$seconds)))
  expect_identical(one(posterior_swag(4, 5))$table$posterior, "posterior_swag(rank = 4, epochs = 5)")
  refused <- function(x) expect_error(one(x), "`posteriors` must be", class = "varnn_error")
  for (bad in list(list(), list("point", "point"), list(posterior_swag(), posterior_swag()), list(1), list(NA),
                   list(posterior_swag), list("point", mtcars), NA_character_, list(a = "point", a = "meanfield")))
    refused(bad)
})

test_that("rows with gaps are left out of all fits", {
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0, posterior = "laplace")
  other <- update(fit, . ~ wt + hp)
  new <- mtcars
  new$hp[1:3] <- NA
  new$mpg[10] <- NA
  found <- compare_posteriors(fit, other = other, newdata = new)
  expect_match(found$judged_by, "^28 rows")
  whole <- compare_posteriors(fit, other = other, newdata = mtcars[-c(1:3, 10), ])
  expect_equal(found$table$log_score, whole$table$log_score)
})

test_that("what is printed and drawn, and what is refused", {
  fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5, posterior = "meanfield")
  found <- compare_posteriors(fit, folds = 2, draws = 20)
  expect_output(print(found), "Posteriors for mpg \\(2-fold.*those of 95% prediction intervals")
  expect_identical(as.data.frame(found), found$table)
  pdf(NULL)
  on.exit(dev.off())
  expect_invisible(plot(found))
  refused <- function(expr, words) expect_error(expr, words, class = "varnn_error")
  refused(compare_posteriors(mtcars), "must be a formula, or a fit by")
  refused(compare_posteriors(fit, mtcars), "Fits by fit_bayes_nn\\(\\) are compared, not a data frame")
  refused(compare_posteriors(fit, a = fit_nn(mpg ~ wt, mtcars, hidden = 0)), "\\(`a`\\)")
  refused(compare_posteriors(fit, update(fit, hp ~ wt)), "must have the same response")
  refused(compare_posteriors(fit, update(fit, data = mtcars[-1, ])), "different rows")
  refused(compare_posteriors(fit, newdata = mtcars[0, ]), "no row in `newdata`")
  refused(compare_posteriors(fit, level = 1), "`level` must be")
  refused(compare_posteriors(mpg ~ wt, mtcars, posteriors = "mean_field"), "`posteriors` must be one of")
  refused(compare_posteriors(mpg ~ wt, mtcars, posteriors = 1), "`posteriors` must be names")
  refused(compare_posteriors(mpg ~ wt, mtcars, hiden = 2), "did you mean \"hidden\"")
  found$table$se <- "1"
  refused(print(found), "damaged")
})

test_that("distances to hmc are those of the closed forms' means", {
  skip_if_counted()
  set.seed(4)
  prior <- prior_normal(0, 1)
  of <- function(posterior, ...) {
    fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0, sigma = 3, prior = prior, posterior = posterior, ...)
  }
  exact <- of("laplace")
  drawn <- of(posterior_hmc(draws = 1000, warmup = 200), members = 2)
  other <- of("laplace", weights = rep(0.25, 32)) # twice as wide
  found <- compare_posteriors(drawn, exact, other, newdata = mtcars)
  distance <- stats::setNames(found$table$distance, found$table$posterior)
  spread <- apply(posterior_epred(exact, mtcars, draws = 4000), 2, stats::sd)
  expect_identical(distance[["hmc"]], 0)
  expect_lt(distance[["laplace"]], 0.15 * mean(spread))
  # of N(m, s^2) and N(m', (2 s)^2): at least that of equal means, s sqrt(2 / pi)
  expect_gt(distance[["laplace 1"]], 0.8 * mean(spread) * sqrt(2 / pi))
  expect_null(compare_posteriors(exact, other, newdata = mtcars)$table$distance)
})
