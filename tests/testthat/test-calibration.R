# Calibration against closed forms and simulation.

test_that("a right model is calibrated, and its scores are those of the normal distribution", {
  skip_if_counted()
  set.seed(1)
  d <- data.frame(x = stats::rnorm(400))
  d$y <- 1 + 2 * d$x + stats::rnorm(400, 0, 3)
  new <- data.frame(x = stats::rnorm(3000))
  new$y <- 1 + 2 * new$x + stats::rnorm(3000, 0, 3)
  linear <- fit_nn(y ~ x, d, hidden = 0, optimizer = "lbfgs")
  m <- predict(linear, new)
  s <- sigma(linear)
  z <- (new$y - m) / s
  crps <- s * (z * (2 * stats::pnorm(z) - 1) + 2 * stats::dnorm(z) - 1 / sqrt(pi))
  for (fit in list(linear, fit_bayes_nn(y ~ x, d, hidden = 0))) {
    k <- calibration(fit, new)
    expect_equal(k$crps, mean(crps), tolerance = 0.01)
    expect_equal(k$log_score, mean(stats::dnorm(new$y, m, s, log = TRUE)), tolerance = 0.01)
    covered <- vapply(k$coverage$level, function(level) mean(abs(z) < stats::qnorm((1 + level) / 2)), 0)
    expect_lt(max(abs(k$coverage$observed - covered)), 0.015)
    expect_lt(mean(abs(k$pit - stats::pnorm(z))), 0.02)
    expect_identical(length(k$pit), 3000L)
    expect_output(print(k), "CRPS")
  }
  expect_equal(calibration(linear, new)$log_score, mean(stats::dnorm(new$y, m, s, log = TRUE)), tolerance = 1e-10)
  # with a noise that is half of the truth, intervals cover by a known amount
  small <- calibration(fit_bayes_nn(y ~ x, d, hidden = 0, sigma = 1.5), new)
  expect_equal(small$coverage$observed[4], 2 * stats::pnorm(stats::qnorm(0.975) / 2) - 1, tolerance = 0.04)
})

test_that("the score of draws is unbiased for that of the distribution", {
  set.seed(2)
  draws <- matrix(stats::rnorm(200 * 500), 200)
  y <- rep(0.7, 200)
  truth <- 0.7 * (2 * stats::pnorm(0.7) - 1) + 2 * stats::dnorm(0.7) - 1 / sqrt(pi)
  expect_lt(standard_errors_off(sample_crps(y, draws), truth), 4)
})

test_that("classes have a reliability, numbers of counts a transform", {
  set.seed(3)
  d <- data.frame(x = stats::rnorm(3000))
  d$y <- stats::runif(3000) < stats::plogis(d$x)
  k <- calibration(fit_nn(y ~ x, d, hidden = 0, optimizer = "lbfgs"), d)
  expect_lt(k$error, 0.03)
  expect_equal(sum(k$reliability$n), 3000)
  expect_equal(k$brier, 2 * mean((stats::fitted(stats::glm(y ~ x, stats::binomial, d)) - d$y)^2), tolerance = 1e-5)
  k <- calibration(quick_bayes(Species ~ ., iris), iris, draws = 50)
  expect_identical(unique(k$reliability$class), levels(iris$Species))
  expect_equal(sum(k$reliability$n), 450)
  d$n <- stats::rpois(3000, exp(0.5 + 0.3 * d$x))
  k <- calibration(fit_nn(n ~ x, d, family = "poisson", hidden = 0, optimizer = "lbfgs"), draws = 200)
  expect_gt(suppressWarnings(stats::ks.test(k$pit, "punif"))$p.value, 1e-4)
  expect_length(drawn_by(expect_identical(plot(k), k), "C_rect"), 2)
})

test_that("reliability is drawn beside the shares of right probabilities", {
  fits <- list(fit_nn(type ~ ., MASS::Pima.tr, epochs = 10), fit_nn(Species ~ ., iris, epochs = 10),
               fit_nn(digit ~ ., digits[1:500, ], epochs = 2))
  for (fit in fits) for (mar in list(c(5, 4, 4, 2), c(3, 3, 1.5, 0.5))) {
    k <- calibration(fit)
    texts <- drawn_by({
      graphics::par(mar = mar)
      plot(k)
    }, "C_mtext")
    expect_true("grey: 95% of right shares" %in% unlist(texts))
  }
  bars <- drawn_by(plot(k), "C_segments")[[1]]
  r <- k$reliability
  expect_equal(bars[[1]], r$predicted)
  expect_equal(bars[[2]], stats::qbinom(0.025, r$n, r$predicted) / r$n)
  expect_equal(bars[[4]], stats::qbinom(0.975, r$n, r$predicted) / r$n)
})

test_that("mistakes are named", {
  fit <- quick(mpg ~ wt, mtcars)
  expect_refused(calibration(fit, mtcars["wt"]), "response")
  expect_refused(calibration(fit, draws = 0), "`draws`")
  expect_refused(calibration(quick(cbind(mpg, hp) ~ wt, mtcars)), "one response")
  expect_refused(calibration(fit, mtcars, bims = 3), "bins")
  expect_refused(plot(calibration(fit), colour = 1), "colour")
})
