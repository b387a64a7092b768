# A linear decoder with its noise is a normal distribution, whose conditionals have a closed form (Tipping and Bishop).
set.seed(1)
linear <- fit_vae(iris[1:4], hidden = 0, latent = 2, epochs = 60, learn_rate = 0.02)
mu <- unlist(decode(linear, c(0, 0)))
w <- vapply(1:2, function(j) unlist(decode(linear, (1:2 == j) + 0)) - mu, mu)
covariance <- w %*% t(w) + diag(sigma(linear)^2)
off <- t(as.matrix(iris[1:4])) - mu

test_that("the likelihood of a linear decoder is exact by quadrature", {
  exact <- -(4 * log(2 * pi) + c(determinant(covariance)$modulus) + colSums(off * solve(covariance, off))) / 2
  log_lik <- logLik(linear, k = Inf)
  expect_equal(attr(log_lik, "rows"), exact, tolerance = 1e-8)
  expect_identical(attr(log_lik, "se"), 0)
  expect_equal(as.numeric(log_lik), sum(exact), tolerance = 1e-8)
})

test_that("means of columns given others have their closed form", {
  skip_if_counted()
  for (t in list(1, 4, 1:2, 3:4, c(1, 3), 2:4)) {
    g <- setdiff(1:4, t)
    exact <- t(mu[t] + covariance[t, g, drop = FALSE] %*% solve(covariance[g, g], off[g, 1:3, drop = FALSE]))
    mean <- predict(linear, iris[1:3, g, drop = FALSE], target = names(iris)[t])
    expect_equal(unname(mean), unname(exact), tolerance = 1e-8)
  }
  with_it <- predict(linear, iris[1:3, ], target = "Sepal.Width")
  expect_identical(predict(linear, iris[1:3, -2], target = "Sepal.Width"), with_it)
  expect_equal(predict(linear, target = "Sepal.Width")[1:3, ], with_it[, 1], tolerance = 1e-8, ignore_attr = TRUE)
})

test_that("columns that new data lack are not known, and misspelt ones are refused", {
  g <- c(1, 3)
  exact <- mu[4] + covariance[4, g] %*% solve(covariance[g, g], off[g, 1:3])
  p <- predict(linear, iris[1:3, g], target = "Petal.Width")
  expect_equal(unname(p[, 1]), c(exact), tolerance = 1e-8)
  nothing <- predict(linear, data.frame(row.names = 1:2), target = "Petal.Width")
  expect_equal(unname(nothing[, 1]), rep(unname(mu[4]), 2), tolerance = 1e-8)
  expect_error(predict(linear, data.frame(Petal.Lenght = 1), target = "Petal.Width"),
               "`newdata` names `Petal.Lenght`.*Petal.Length", class = "varnn_error")
  expect_identical(predict(linear, cbind(iris[1:3, ], also = 1), target = "Petal.Width"),
                   predict(linear, iris[1:3, ], target = "Petal.Width"))
  set.seed(1)
  conditional <- fit_vae(cbind(Sepal.Length, Sepal.Width, Petal.Length) ~ Species, iris, hidden = 2, epochs = 3)
  one <- predict(conditional, iris[c(1, 60), c(2, 5)], target = "Sepal.Length")
  both <- predict(conditional, iris[c(1, 60), c(2, 5)], target = c("Sepal.Length", "Petal.Length"))
  expect_identical(one, both[, 1, drop = FALSE])
  expect_error(predict(conditional, iris[1, 2, drop = FALSE], target = "Sepal.Length"), "Species",
               class = "varnn_error")
})

test_that("draws given some columns have the mean and covariance of the closed form", {
  skip_if_counted()
  g <- c(1, 4)
  s <- simulate(linear, 4000, seed = 1, given = iris[c(1, 100), g])
  expect_identical(dim(s), c(8000L, 4L))
  for (i in 1:2) {
    own <- as.matrix(s[rep(1:2, 4000) == i, -g])
    conditional <- covariance[-g, -g] - covariance[-g, g] %*% solve(covariance[g, g], covariance[g, -g])
    mean <- mu[-g] + c(covariance[-g, g] %*% solve(covariance[g, g], off[g, c(1, 100)[i]]))
    expect_true(all(abs(colMeans(own) - mean) < 4 * sqrt(diag(conditional) / 4000)))
    expect_equal(cov(own), conditional, tolerance = 0.1, ignore_attr = TRUE)
  }
  expect_identical(simulate(linear, 2, seed = 3, given = iris[1, 1, drop = FALSE]),
                   simulate(linear, 2, seed = 3, given = iris[1, 1, drop = FALSE]))
})

test_that("quadrature and importance sampling agree where the decoder is not linear", {
  skip_if_counted()
  set.seed(2)
  fit <- fit_vae(iris, latent = 1, sigma = "learned", hidden = 8, epochs = 40)
  exact <- logLik(fit, k = Inf)
  drawn <- logLik(fit, k = 500)
  expect_lt(abs(exact - drawn), 4 * attr(drawn, "se"))
  # of joint draws those near the given value
  joint <- simulate(fit, 20000)
  near <- joint[joint$Petal.Length == 5, ]
  p <- predict(fit, data.frame(iris[1, ], row.names = NULL)[0, ], target = "Species")
  expect_identical(dim(p), c(0L, 3L))
  given <- data.frame(Petal.Length = 5)
  others <- setdiff(names(iris), "Petal.Length")
  p <- predict(fit, given, target = others)[1, ]
  share <- mean(near$Species == "virginica")
  expect_lt(abs(p[["Species.virginica"]] - share), 4 * sqrt(share * (1 - share) / nrow(near)))
  drawn <- simulate(fit, 2000, given = given)
  expect_true(all(drawn$Petal.Length == 5))
  expect_equal(mean(drawn$Sepal.Length), p[["Sepal.Length"]], tolerance = 0.02)
  expect_equal(mean(near$Sepal.Length), p[["Sepal.Length"]], tolerance = 0.02)
})

test_that("conditional models, all columns given, and mistakes", {
  set.seed(3)
  fit <- fit_vae(cbind(Sepal.Length, Petal.Length) ~ Species, iris, latent = 1, hidden = 2, epochs = 5)
  set.seed(3)
  same <- fit_vae(Sepal.Length + Petal.Length ~ Species, iris, latent = 1, hidden = 2, epochs = 5)
  expect_identical(fit$theta, same$theta)
  s <- simulate(fit, 2, given = data.frame(Species = "setosa", Sepal.Length = 5))
  expect_true(all(s$Sepal.Length == 5 & s$Species == "setosa"))
  expect_error(simulate(fit, given = data.frame(Sepal.Length = 5)), "`given` has no column `Species`",
               class = "varnn_error")
  expect_equal(simulate(linear, given = iris[3, 1:4])[1, ], iris[3, 1:4], ignore_attr = TRUE)
  expect_error(simulate(linear, given = data.frame(Sepal = 1)), "no column `Sepal`", class = "varnn_error")
  for (level in list("rose", "setosa")) {
    given <- data.frame(Species = level, Sepal.Length = if (level == "setosa") Inf else 1)
    expect_error(simulate(fit, given = given), "`given`.*\"rose\"|`given`.*infinite", class = "varnn_error")
  }
  expect_error(simulate(linear, given = data.frame(Sepal.Length = "a")),
               "Column `Sepal.Length` of `given` must be numeric", class = "varnn_error")
  lenient <- fit_vae(iris, latent = 1, hidden = 2, epochs = 2, new_levels = "mean")
  expect_warning(simulate(lenient, given = data.frame(Species = "rose")), "of `given` has", class = "varnn_new_levels")
  expect_error(predict(linear, iris, target = "Species"), "no column `Species`", class = "varnn_error")
  expect_error(predict(linear, iris, target = 1), "`target` must be names", class = "varnn_error")
  wide <- fit_vae(iris, latent = 4, hidden = 2, epochs = 2)
  expect_error(logLik(wide, k = Inf), "at most 3", class = "varnn_error")
  expect_identical(dim(predict(wide, iris[1:2, ], target = "Species")), c(2L, 3L))
})

test_that("many draws for few rows are the same draws one by one", {
  set.seed(1)
  d <- iris
  d$Sepal.Width[3] <- NA
  fit <- fit_vae(d, latent = 2, epochs = 20)
  rows <- varnn:::latent_rows(fit, d[1:5, ], NULL)
  codes <- replicate(7, matrix(rnorm(10), 5), simplify = FALSE)
  all <- varnn:::log_liks(fit, rows, codes)
  each <- vapply(codes, function(z) varnn:::log_lik_at(fit, rows, z), numeric(5))
  expect_equal(all, each, tolerance = 1e-12)
})

test_that("a row alone is the same as among others", {
  skip_if_counted()
  for (latent in 1:3) {
    set.seed(21)
    fit <- fit_vae(iris, latent = latent, epochs = 5)
    rows <- attr(logLik(fit, iris[c(1, 60, 110), ], k = Inf), "rows")
    p <- predict(fit, iris[c(1, 60, 110), ], target = c("Petal.Width", "Species"))
    for (i in 1:3) {
      one <- iris[c(1, 60, 110)[i], ]
      expect_equal(as.numeric(logLik(fit, one, k = Inf)), rows[[i]], tolerance = 1e-8)
      expect_equal(predict(fit, one, target = c("Petal.Width", "Species")), p[i, , drop = FALSE], tolerance = 1e-8)
    }
  }
})

test_that("means of columns with few values or steps are those of their probabilities", {
  set.seed(22)
  z <- rnorm(300)
  d <- data.frame(x = z + rnorm(300) / 2, k = rpois(300, exp(0.3 * z)), b = as.numeric(z + rnorm(300) > 1),
                  m = rpois(300, exp(2 + 0.4 * z)))
  fit <- fit_vae(d, margins = "smooth", sigma = "each", latent = 1, hidden = 8, epochs = 30)
  for (target in c("k", "b", "m")) {
    values <- if (target == "m") 0:120 else sort(unique(d[[target]]))
    all <- d[rep(1:5, each = length(values)), ]
    all[[target]] <- values
    p <- exp(matrix(attr(logLik(fit, all, k = Inf), "rows"), length(values)))
    expect_equal(predict(fit, d[1:5, ], target = target)[, 1], colSums(p * values) / colSums(p), tolerance = 1e-4,
                 ignore_attr = TRUE)
  }
})
