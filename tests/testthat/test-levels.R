# Levels that the training data had not: their mean is that of lm()'s predictions over the known levels.

set.seed(1)
data <- data.frame(x = rnorm(90), f = sample(c("u", "v", "w"), 90, TRUE, c(3, 2, 1)),
                   g = factor(sample(c("p", "q"), 90, TRUE)))
data$y <- data$x + match(data$f, c("u", "v", "w")) * (data$g == "q") + rnorm(90) / 10
fresh <- data.frame(x = c(0.5, 1, -1), f = c("u", "new", "w"), g = c("p", "q", "r"))
truth <- lm(y ~ x * f * g, data)
share <- function(name) table(data[[name]]) / nrow(data)
mean_over <- function(row, ...) { # of lm()'s predictions of this row, these factors taking all their levels
  levels <- expand.grid(lapply(list(...), function(name) names(share(name))), stringsAsFactors = FALSE)
  names(levels) <- c(...)
  weight <- Reduce(`*`, lapply(c(...), function(name) as.vector(share(name)[levels[[name]]])))
  row <- row[rep(1, nrow(levels)), ]
  row[names(levels)] <- levels
  sum(weight * predict(truth, row))
}

test_that("the mean of the known levels is taken, one unseen factor or two, interactions too", {
  fit <- fit_nn(y ~ x * f * g, data, hidden = 0, new_levels = "mean")
  out <- suppressWarnings(predict(fit, fresh))
  expect_warning(predict(fit, fresh[1:2, ]), "Column `f` of `newdata` has levels .* in 1 row \\(\"new\"\\)",
                 class = "varnn_new_levels")
  right <- c(predict(truth, fresh[1, ]), mean_over(fresh[2, ], "f"), mean_over(fresh[3, ], "g"))
  expect_equal(unname(out), unname(right), tolerance = 1e-5)
  both <- data.frame(x = 1, f = "new", g = "r")
  expect_equal(unname(suppressWarnings(predict(fit, both))), mean_over(both, "f", "g"), tolerance = 1e-5)
  many <- both[rep(1, 5000), ]
  expect_equal(unname(suppressWarnings(predict(fit, many))), rep(mean_over(both, "f", "g"), 5000), tolerance = 1e-5)
})

test_that("shares are those of the case weights", {
  w <- ifelse(data$f == "u", 5, 1)
  fit <- fit_nn(y ~ f, data, weights = w, hidden = 0, new_levels = "mean")
  expect_equal(fit$design$shares$f, as.vector(tapply(w, data$f, sum)) / sum(w))
  expect_equal(unname(suppressWarnings(predict(fit, data.frame(f = "new")))), weighted.mean(data$y, w),
               tolerance = 1e-5)
})

test_that("missing predictions, the fit's choice and predict()'s, functions of factors", {
  fit <- fit_nn(y ~ x + factor(f) + g, data, hidden = 2, epochs = 2, new_levels = "na")
  expect_warning(predict(fit, fresh[1:2, ]), class = "varnn_new_levels")
  out <- suppressWarnings(predict(fit, fresh))
  expect_identical(is.na(unname(out)), c(FALSE, TRUE, TRUE))
  expect_equal(out[1], predict(fit, fresh[1, ]))
  expect_refused(predict(fit, fresh, new_levels = "error"), "level that the training data had not")
  expect_refused(predict(fit, fresh, new_levels = "drop"), "new_levels")
  expect_refused(nn_control(new_levels = "skip"), "new_levels")
  fit <- fit_bayes_nn(y ~ f, data, hidden = 0)
  expect_refused(predict(fit, fresh), "level that the training data had not")
  out <- suppressWarnings(predict(fit, fresh, interval = "prediction", new_levels = "na"))
  expect_identical(unname(is.na(out[, "lwr"])), c(FALSE, TRUE, FALSE))
})

test_that("an autoencoder takes an unseen level for a missing entry", {
  fit <- fit_ae(data, latent = 1, epochs = 2, new_levels = "na")
  expect_warning(out <- encode(fit, transform(data[1:2, ], f = c("new", "v"))), class = "varnn_new_levels")
  expect_equal(out[1, ], encode(fit, transform(data[1:2, ], f = c(NA, "v")))[1, ])
})

test_that("too many levels for their mean are told", {
  wide <- data.frame(y = rnorm(800), f = factor(rep(1:400, 2)), g = factor(rep(400:1, each = 2)))
  fit <- fit_nn(y ~ f + g, wide, hidden = 1, epochs = 1, new_levels = "mean", embed = 0)
  expect_refused(suppressWarnings(predict(fit, data.frame(f = "a", g = "b"))), "use \"na\"")
})
