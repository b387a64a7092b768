# Multiple imputation by mice, and of impute() by its pool().

skip_if_not_installed("mice")

test_that("mice() draws missing entries from a network", {
  set.seed(1)
  d <- data.frame(x = rnorm(60))
  d$y <- 1 + 2 * d$x + rnorm(60, sd = 0.4) # mice leaves out what is nearly collinear
  d$f <- factor(ifelse(d$x > 0, "up", "down"))
  d$y[1:10] <- NA
  d$f[11:15] <- NA
  varnn <- asNamespace("varnn")
  assign("mice.impute.varnn", varnn$mice.impute.varnn, globalenv()) # where mice looks, as library(varnn) is
  on.exit(rm("mice.impute.varnn", envir = globalenv()))
  imputed <- mice::mice(d, m = 2, maxit = 1, method = "varnn", printFlag = FALSE, hidden = 0)
  full <- mice::complete(imputed, 1)
  expect_false(anyNA(full))
  expect_lt(max(abs(full$y - 1 - 2 * full$x)), 2) # five standard deviations of the noise, and the slope is 2
  expect_identical(levels(full$f), levels(d$f))
  expect_false(identical(mice::complete(imputed, 2)$y, full$y))
})

test_that("pool() works on what impute() draws", {
  d <- iris
  d$Petal.Width[1:40] <- NA
  d$Species[50:52] <- NA
  set.seed(1)
  drawn <- impute(fit_vae(d, hidden = 4, epochs = 20), m = 3)
  mids <- as_mids(drawn)
  expect_s3_class(mids, "mids")
  expect_equal(mids$data, d, ignore_attr = TRUE)
  for (i in 1:3) expect_equal(mice::complete(mids, i), drawn[[i]], ignore_attr = TRUE)
  pooled <- summary(mice::pool(with(mids, lm(Petal.Width ~ Petal.Length))))
  each <- vapply(drawn, function(d) coef(lm(Petal.Width ~ Petal.Length, d)), numeric(2))
  expect_equal(pooled$estimate, unname(rowMeans(each))) # Rubin's rules
  expect_output(print(drawn), "3 imputations of 43 missing entries in 150 rows")
  expect_error(as_mids(drawn[[1]]), class = "varnn_error")
  expect_error(as_mids(unclass(drawn)[1:2]), class = "varnn_error")
  expect_equal(mice::complete(as_mids(drawn[1:2], d), 2)$Petal.Width, drawn[[2]]$Petal.Width)
})

test_that("rows of mice.impute.varnn() are TRUE or FALSE", {
  expect_error(mice.impute.varnn(1:3, list(1, 2, 3), matrix(1:3)), "`ry` must be TRUE or FALSE for each of the 3 rows",
               class = "varnn_error")
  expect_error(mice.impute.varnn(1:3, rep(TRUE, 3), matrix(1:3), wy = 1), "`wy` must be", class = "varnn_error")
})

test_that("levels of factors are drawn as their column has them", {
  set.seed(2)
  x <- matrix(rnorm(60), 60)
  there <- rep(c(TRUE, TRUE, FALSE), 20)
  for (levels in list(c("no", "yes"), c("low", "mid", "high"))) {
    y <- factor(levels[findInterval(x, quantile(x, seq_len(length(levels) - 1) / length(levels))) + 1], levels)
    drawn <- mice.impute.varnn(replace(y, !there, NA), there, x, hidden = 2)
    expect_identical(levels(drawn), levels)
    expect_gt(mean(drawn == y[!there]), 0.7) # y is known by x
  }
})
