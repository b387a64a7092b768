# Whether analyses of imputed tables have honest intervals:
#   Rscript tools/impute.R N REPETITIONS [ARGUMENTS OF fit_vae(), such as 'importance = 20']
# A response with three predictors, all normal and correlated: two of the predictors and the response are missing at
# random, the more often the larger the third predictor is. Of 20 imputations each the regression is pooled by Rubin's
# rules, with Barnard's and Rubin's degrees of freedom: the share of 95 % intervals that cover each coefficient, the
# bias in standard errors, and the mean width relative to that of the complete data. Methods are fit_vae(), mice
# (predictive mean matching), the complete rows and the complete data.

suppressPackageStartupMessages(library(varnn))
words <- commandArgs(TRUE)
n <- as.integer(words[1])
times <- as.integer(words[2])
given <- eval(parse(text = sprintf("list(%s)", paste(words[-(1:2)], collapse = ", "))))
truth <- c(1, 1, 0.5, -0.5)

draw_table <- function(n) {
  z <- stats::rnorm(n)
  d <- data.frame(a = 0.7 * z + stats::rnorm(n), b = 0.7 * z + stats::rnorm(n), c = 0.7 * z + stats::rnorm(n))
  d$y <- drop(cbind(1, as.matrix(d)) %*% truth) + stats::rnorm(n)
  d
}
with_gaps <- function(d) {
  for (name in c("a", "b", "y")) d[[name]][stats::runif(nrow(d)) < stats::plogis(d$c - 1)] <- NA
  d
}

pooled <- function(tables) {
  fits <- lapply(tables, function(d) stats::lm(y ~ a + b + c, d))
  q <- vapply(fits, stats::coef, numeric(4))
  within <- rowMeans(vapply(fits, function(f) diag(stats::vcov(f)), numeric(4)))
  m <- length(fits)
  between <- if (m > 1) apply(q, 1, stats::var) else 0
  total <- within + (1 + 1 / m) * between
  old <- (m - 1) * (total / pmax((1 + 1 / m) * between, 1e-300))^2
  rest <- fits[[1]]$df.residual
  lambda <- (1 + 1 / m) * between / total
  observed <- (rest + 1) / (rest + 3) * rest * (1 - lambda)
  df <- if (m > 1) 1 / (1 / old + 1 / observed) else rest
  list(estimate = rowMeans(q), se = sqrt(total), half = stats::qt(0.975, df) * sqrt(total))
}

methods <- list(
  varnn = function(d) {
    fit <- do.call(fit_vae, c(list(d), given))
    impute(fit, m = 20)
  },
  mice = function(d) mice::complete(mice::mice(d, m = 20, printFlag = FALSE), "all"),
  rows = function(d) list(stats::na.omit(d))
)

found <- lapply(seq_len(times), function(i) {
  set.seed(i)
  whole <- draw_table(n)
  d <- with_gaps(whole)
  c(lapply(methods, function(f) pooled(f(d))), list(complete = pooled(list(whole))))
})
of <- function(f) vapply(found, function(one) vapply(one, f, numeric(4)), matrix(0, 4, 4))
covered <- apply(of(function(p) abs(p$estimate - truth) <= p$half), 1:2, mean)
bias <- apply(of(function(p) p$estimate - truth), 1:2, mean) / apply(of(function(p) p$se), 1:2, mean)
half <- apply(of(function(p) p$half), 1:2, mean)
cat(sprintf("n = %d, %d repetitions: coverage of 95 %% intervals\n", n, times))
print(round(covered, 3))
cat("bias in standard errors\n")
print(round(bias, 2))
cat("width relative to the complete data\n")
print(round(half / half[, "complete"], 2))
