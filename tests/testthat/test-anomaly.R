# anomaly() of variational autoencoders: probabilistic principal component analysis has all answers in closed form.

# Rows of a normal distribution with two factors.
factor_rows <- function(n) {
  loadings <- matrix(c(2, 1, 0, -1, 0.5, 0, 1, 1, 1, -0.5), 5)
  x <- matrix(rnorm(2 * n), n) %*% t(loadings) + rnorm(5 * n, sd = 0.6)
  x <- x %*% diag(c(1, 10, 0.01, 1, 1)) + rep(c(5, 0, 1, -2, 3), each = n)
  stats::setNames(as.data.frame(x), letters[1:5])
}

# -log of a normal density of the columns `at` of each row.
normal_score <- function(d, mean, cov, at = seq_along(mean)) {
  e <- t(d[, at, drop = FALSE]) - mean[at]
  root <- chol(cov[at, at])
  as.vector(colSums(backsolve(root, e, transpose = TRUE)^2) / 2 + sum(log(diag(root))) + length(at) * log(2 * pi) / 2)
}

# What a fit without hidden layers says of the columns: their mean and covariance.
moments_of_fit <- function(fit) {
  base <- as.matrix(decode(fit, matrix(0, 1, 2)))
  loadings <- (as.matrix(decode(fit, diag(2))) - base[c(1, 1), ])
  list(mean = as.vector(base), cov = crossprod(loadings) + diag(as.vector(sigma(fit))^2))
}

own_scores_of <- function(fit) {
  score <- function(fit, rows) varnn:::minus_log_lik(fit, rows, 1)
  varnn:::own_scores(fit, score, matrix(FALSE, 1, length(fit$design$variables)), parent.frame())$scores[[1]]
}

test_that("scores and surprises are those of the normal distribution that the fit is", {
  set.seed(1)
  d <- factor_rows(200)
  fit <- fit_vae(d, hidden = 0, latent = 2, sigma = "each", epochs = 60)
  new <- factor_rows(40)
  new$a[1:10] <- NA
  new[5:15, c("c", "e")] <- NA
  new[20, ] <- NA
  truth <- moments_of_fit(fit)
  found <- anomaly(fit, new, folds = 1, per_variable = TRUE)
  there <- !is.na(as.matrix(new))
  score <- vapply(seq_len(40), function(i) {
    if (!any(there[i, ])) return(NA)
    normal_score(as.matrix(new)[i, , drop = FALSE], truth$mean, truth$cov, which(there[i, ]))
  }, 0)
  expect_equal(found$score, score, tolerance = 1e-6)
  i <- 30
  for (j in 1:5) {
    rest <- normal_score(as.matrix(new)[i, , drop = FALSE], truth$mean, truth$cov, setdiff(1:5, j))
    expect_equal(found$surprise[i, j], score[i] - rest, tolerance = 1e-5, ignore_attr = TRUE)
  }
  expect_identical(is.na(found$surprise), is.na(as.matrix(new)), ignore_attr = TRUE)
  # compared with the training rows as if they lacked the same columns
  groups <- list(30, 12, c(5, 7), 2)
  for (rows in groups) {
    at <- which(there[rows[1], ])
    all <- normal_score(as.matrix(d), truth$mean, truth$cov, at)
    expect_equal(attr(found, "threshold")[rows], rep(stats::quantile(all, 0.99, names = FALSE), length(rows)),
                 tolerance = 1e-4)
    expect_equal(found$p_value[rows], vapply(rows, function(i) mean(all > score[i]), 0), tolerance = 1e-8)
  }
  expect_identical(is.na(found$flag), seq_len(40) == 20)
})

test_that("of new rows like the training data the share that the level says is flagged, with gaps and without", {
  skip_if_counted()
  of_one_factor <- function(n) {
    z <- rnorm(n)
    data.frame(a = z + rnorm(n), b = exp(z + rnorm(n)), c = -2 * z + rnorm(n))
  }
  shares <- vapply(1:4, function(seed) {
    set.seed(seed)
    d <- of_one_factor(1000)
    fit <- fit_vae(d, latent = 1, epochs = 30)
    new <- of_one_factor(2000)
    found <- anomaly(fit, new)
    own <- anomaly(fit)
    expect_equal(mean(own$flag), 0.01, tolerance = 0.05)
    # training rows are scored by models that have not seen them
    expect_gt(stats::ks.test(found$score, own$score)$p.value, 1e-3)
    expect_gt(mean(own$score), mean(anomaly(fit, folds = 1)$score))
    new$b[1:1000] <- NA
    gaps <- anomaly(fit, new)
    expect_length(attr(gaps, "threshold"), 2000)
    c(mean(found$flag), mean(gaps$flag[1:1000]), mean(gaps$flag[-(1:1000)]))
  }, numeric(3))
  # a threshold from 1,000 rows has a standard error of 0.003
  expect_true(all(abs(rowMeans(shares) - 0.01) < 0.005))
})

test_that("a row that breaks the dependence is found by its likelihood; a value that cannot be, too", {
  set.seed(3)
  d <- data.frame(x = rnorm(300), k = sample(c(1, 2, 4), 300, TRUE))
  d$y <- d$x + rnorm(300, sd = 0.1)
  fit <- fit_vae(d, latent = 1, epochs = 60)
  odd <- data.frame(x = c(0, 1.5, 0), k = c(1, 2, 3), y = c(0, -1.5, 0))
  expect_silent(found <- anomaly(fit, odd, per_variable = TRUE))
  expect_identical(found$flag, c(FALSE, TRUE, TRUE))
  expect_match(found$drivers[3], "^k")
  expect_match(found$drivers[2], "x|y")
  expect_warning(nearest <- -attr(logLik(fit, odd, k = Inf), "rows"), class = "varnn_limits")
  expect_equal(found$score, nearest + c(0, 0, log(301)), ignore_attr = TRUE)
  expect_gt(found$surprise[3, "k"], log(301))
  expect_true(all(found$surprise[2, c("x", "y")] > found$surprise[1, c("x", "y")] + 5))
  set.seed(4)
  a <- anomaly(fit, odd)
  set.seed(4)
  expect_identical(anomaly(fit, odd), a)
  by_error <- anomaly(fit, odd, score = "reconstruction", folds = 1)
  expect_equal(by_error$score[1:2], predict(fit, odd[1:2, ], type = "error"), ignore_attr = TRUE)
})

test_that("gaps of the rows compared with are filled, conditional models and rows held out judge, too", {
  set.seed(5)
  d <- factor_rows(150)
  d$a[1:50] <- NA
  fit <- fit_vae(d, latent = 2, epochs = 20)
  found <- anomaly(fit)
  expect_length(unique(attr(found, "threshold")), 2)
  expect_lt(abs(mean(found$p_value[1:50]) - 0.5), 0.1)
  expect_lt(abs(mean(found$p_value[-(1:50)]) - 0.5), 0.1)
  of_group <- fit_vae(Sepal.Length + Sepal.Width ~ Species, iris, latent = 1, epochs = 20)
  expect_identical(nrow(anomaly(of_group, folds = 2)), 150L)
  held <- fit_vae(iris[1:4], latent = 2, epochs = 20, validation = 1:50)
  found <- anomaly(held)
  rows <- attr(logLik(held, k = Inf), "rows")
  expect_equal(found$score, -rows, ignore_attr = TRUE, tolerance = 1e-8)
  expect_equal(attr(found, "threshold"), stats::quantile(-rows[1:50], 0.99, names = FALSE))
  # rows held out may have values that the others have not: these cost as much as in new rows
  d <- data.frame(k = c(rep(1:2, 40), 3, rep(1:2, 10)), y = (37 * 1:101) %% 101 / 7)
  held <- fit_vae(d, latent = 1, epochs = 5, validation = 81:101)
  found <- anomaly(held, d[81:101, ])
  expect_equal(sort(found$score), sort(own_scores_of(held)), tolerance = 1e-8)
  # data that the fit has kept need not be found again
  kept <- (function(own) fit_vae(own, latent = 1, epochs = 5, keep_data = TRUE))(iris)
  set.seed(7)
  a <- anomaly(kept, iris[1:9, ])
  found_again <- fit_vae(iris, latent = 1, epochs = 5)
  found_again[c("theta", "blocks", "spec")] <- kept[c("theta", "blocks", "spec")]
  set.seed(7)
  expect_equal(a, anomaly(found_again, iris[1:9, ]), tolerance = 1e-6)
  # of a single column the surprise is the score, of training rows, too
  alone <- fit_vae(mtcars["mpg"], latent = 1, epochs = 5)
  found <- anomaly(alone, per_variable = TRUE)
  expect_equal(found$surprise[, "mpg"], found$score, ignore_attr = TRUE)
  weighted <- fit_vae(iris[1:4], weights = rep(0:1, 75), latent = 1, epochs = 10)
  expect_false(anyNA(anomaly(weighted, folds = 2)$score))
})

test_that("what anomaly() refuses", {
  set.seed(6)
  d <- iris[1:3]
  fit <- fit_vae(d, latent = 1, epochs = 2)
  expect_refused(anomaly(fit, score = "elbo"), "`score` must be one of")
  expect_refused(anomaly(fit, folds = 0), "`folds`")
  expect_refused(anomaly(fit, folds = 200), "`folds`")
  expect_refused(anomaly(fit, per_variable = 3), "`per_variable`")
  expect_refused(anomaly(fit, k = 0), "`k`")
  x <- iris[1:3]
  lost <- fit_vae(x, latent = 1, epochs = 2, keep_data = FALSE)
  rm(x)
  expect_refused(anomaly(lost, iris[1:2, 1:3]), "no longer found")
})
