test_that("distances, associations and areas are those of their definitions", {
  set.seed(1)
  a <- data.frame(x = rnorm(50), f = factor(sample(c("u", "v"), 50, TRUE)), g = gl(2, 25))
  b <- data.frame(x = rnorm(80) + 0.3, f = factor(sample(c("u", "v"), 80, TRUE, c(0.8, 0.2))), g = gl(2, 40))
  columns <- varnn:::compared_columns(a, b)
  expect_equal(columns$distance[1], unname(suppressWarnings(ks.test(a$x, b$x))$statistic))
  expect_equal(columns$distance[2], abs(mean(a$f == "u") - mean(b$f == "u")))
  # what is expected of rows from the model itself
  same <- replicate(2000, {
    d <- data.frame(x = rnorm(50), f = factor(sample(c("u", "v"), 50, TRUE, c(0.8, 0.2)), c("u", "v")),
                    k = rbinom(50, 3, 0.3))
    c(max(abs(ppoints(50) - pnorm(sort(d$x)))) + 0.5 / 50, abs(mean(d$f == "u") - 0.8),
      max(abs(ecdf(d$k)(0:3) - pbinom(0:3, 3, 0.3))), abs(mean(d$f == "v") - 0.2))
  })
  model <- data.frame(x = qnorm(ppoints(10000)), f = factor(rep(c("u", "v"), c(80, 20))[1:100]),
                      k = qbinom(ppoints(10000), 3, 0.3), b = rep(0:1, c(8000, 2000)))
  d <- cbind(a[1:2], k = 0:1, b = 0:1)
  expect_equal(varnn:::compared_columns(d, model)$expected, rowMeans(same), tolerance = 0.06)

  expect_equal(varnn:::association(a$x, b$x[1:50]), cor(a$x, b$x[1:50], method = "spearman"))
  v <- sqrt(unname(suppressWarnings(chisq.test(a$f, a$g, correct = FALSE))$statistic) / 50)
  expect_equal(varnn:::association(a$f, a$g), v)
  expect_equal(varnn:::association(a$x, a$g), sqrt(summary(lm(rank(a$x) ~ a$g))$r.squared))
  expect_equal(varnn:::association(a$g, a$x), varnn:::association(a$x, a$g))

  score <- round(rnorm(60), 1)
  is_one <- rep(c(TRUE, FALSE), c(20, 40))
  pairs <- outer(score[is_one], score[!is_one], function(p, q) (p > q) + (p == q) / 2)
  auc <- varnn:::auc_of(score, is_one)
  expect_equal(auc[["auc"]], mean(pairs))
  expect_equal(auc[["se"]], sqrt(var(rowMeans(pairs)) / 20 + var(colMeans(pairs)) / 40)) # DeLong et al. (1988)
})

test_that("rows of one distribution are told apart by chance alone, however few there are", {
  set.seed(5)
  rows <- function() data.frame(a = rnorm(30), b = gl(2, 15))
  auc <- replicate(12, varnn:::real_or_simulated(list(real = rows(), simulated = rows()), 5)[["auc"]])
  expect_lt(abs(mean(auc) - 0.5), 3 * sd(auc) / sqrt(12))
  found <- varnn:::cross_fitted(rep(1:2, c(10, 20)), 5, function(train, test) {
    expect_identical(tabulate(rep(1:2, c(10, 20))[test], 2), c(2L, 4L))
    expect_identical(sort(c(train, test)), 1:30)
    test
  })
  expect_identical(drop(found), 1:30)
})

test_that("nearest neighbours are those of Gower's distance", {
  d <- na.omit(MASS::survey[c("Wr.Hnd", "Pulse", "Age", "Exer")])[1:40, ]
  names <- setdiff(names(d), "Exer")
  range <- vapply(d[names], function(v) diff(range(v)), 0)
  gower <- function(i, j) (sum(abs(unlist(d[i, names] - d[j, names])) / range) + (d$Exer[i] != d$Exer[j])) / 4
  nearest <- vapply(1:40, function(i) min(vapply(setdiff(1:40, i), function(j) gower(i, j), 0)), 0)
  expect_equal(varnn:::nearest_distance(d, d, TRUE), nearest)
  expect_equal(varnn:::nearest_distance(d, d, FALSE), rep(0, 40))
  expect_equal(varnn:::compared_neighbours(d, d)[["copies"]], 1)
  expect_gt(varnn:::compared_neighbours(d, d)[["closer"]], 0.9)
})

# Rows from the model itself cannot be told from it; such of columns that do not hang together can.
test_that("rows like the data are found to be so, and others not", {
  set.seed(2)
  f <- factor(sample(c("a", "b", "c"), 400, TRUE))
  x <- as.integer(f) + rnorm(400, 0, 0.5)
  d <- data.frame(f, x, y = 2 * x + rnorm(400, 0, 0.5))
  fit <- fit_vae(d, margins = "smooth", sigma = "each", epochs = 400)
  found <- compare_simulated(fit, folds = 3)
  expect_lt(found$auc[["auc"]], 0.65)
  expect_true(all(found$columns$distance < 0.1))
  expect_true(all(abs(found$pairs$real - found$pairs$simulated) < 0.15))
  expect_true(all(found$learning$real - found$learning$simulated < 0.1))
  expect_equal(found$learning$real[3], 1 - 0.25 / (4 * var(x) + 0.25), tolerance = 0.05) # of y by x
  expect_gt(found$privacy[["closer"]], 0.2)
  expect_lt(found$privacy[["closer"]], 0.6)
  expect_identical(found$n, c(real = 400L, simulated = 8000L))
  poor <- compare_simulated(fit_vae(d, latent = 1, hidden = 0, epochs = 2), targets = "f", folds = 2)
  expect_gt(poor$auc[["auc"]], 0.7)
  expect_output(print(found), "Simulated rows \\(8,000\\) against real ones \\(400\\).*right classes.*closer")
  expect_identical(drawn(plot(found)), found, ignore_attr = TRUE)
})

test_that("matrices, gaps, conditional models, new rows and weights are compared, and mistakes have words", {
  set.seed(3)
  m <- matrix(rnorm(120), 40)
  expect_identical(nrow(compare_simulated(fit_vae(m, epochs = 5), folds = 2)$pairs), 3L)
  d <- iris
  d$Petal.Width[sample(150, 50)] <- NA
  fit <- fit_vae(d, epochs = 20)
  found <- compare_simulated(fit, iris[1:30, ], nsim = 50, folds = 2, targets = c("Species", "Petal.Width"))
  expect_identical(found$n, c(real = 30L, simulated = 50L))
  expect_identical(found$learning$target, c("Species", "Petal.Width"))
  expect_true(is.na(found$learning$real[1])) # of one level
  given <- fit_vae(Sepal.Length + Sepal.Width ~ Species, iris, latent = 1, epochs = 20)
  expect_setequal(compare_simulated(given, folds = 2)$columns$column, c("Sepal.Length", "Sepal.Width", "Species"))
  cars <- transform(mtcars, am = am == 1, gear = as.character(gear))
  given <- fit_vae(mpg + vs ~ am + gear + wt, cars, latent = 1, epochs = 5)
  expect_length(compare_simulated(given, cars[1:20, ], folds = 2)$columns$column, 5)
  weighted <- fit_vae(iris, weights = rep(0:2, 50), epochs = 5)
  expect_identical(compare_simulated(weighted, folds = 2)$n[["real"]], 100L)
  expect_error(compare_simulated(fit, targets = "Width"), "Width", class = "varnn_error")
  expect_error(compare_simulated(fit, iris[1:5, ]), "`newdata` has 5 rows, too few", class = "varnn_error")
  expect_error(compare_simulated(fit, nsim = 1), "nsim", class = "varnn_error")
  expect_error(compare_simulated(lm(mpg ~ wt, mtcars)), "varnn|compare_simulated")
  found$columns$distance <- NULL
  expect_error(print(found), "damaged", class = "varnn_error")
})
