# Standard errors of models without hidden layers, where free scalars are learned, too, or nothing is known.

hessian_errors <- function(start, nll) {
  found <- optim(start, nll, method = "BFGS", hessian = TRUE, control = list(reltol = 1e-14, maxit = 1000))
  unname(sqrt(diag(solve(found$hessian))))
}
errors_of <- function(fit) unname(sqrt(diag(vcov(fit))))

test_that("beta: the expected information with the precision learned", {
  set.seed(1)
  x <- rnorm(200)
  m <- plogis(-2.5 + 0.5 * x)
  d <- data.frame(x, y = pmax(rbeta(200, m * 3, (1 - m) * 3), 1e-8))
  fit <- fit_nn(y ~ x, d, hidden = 0, family = "beta")
  # Ferrari and Cribari-Neto (2004), section 2
  mu <- predict(fit)
  phi <- exp(fit$theta[length(fit$theta)])
  star <- trigamma(mu * phi) + trigamma((1 - mu) * phi)
  slope <- mu * (1 - mu)
  z <- cbind(1, x)
  c_i <- phi * (trigamma(mu * phi) * mu - trigamma((1 - mu) * phi) * (1 - mu))
  d_i <- trigamma(mu * phi) * mu^2 + trigamma((1 - mu) * phi) * (1 - mu)^2 - trigamma(phi)
  information <- rbind(cbind(phi^2 * crossprod(z, z * star * slope^2), crossprod(z, slope * c_i)),
                       c(crossprod(z, slope * c_i), sum(d_i)))
  expect_equal(errors_of(fit), unname(sqrt(diag(solve(information))))[1:2], tolerance = 0.01)
})

test_that("a zero-inflated negative binomial: near the observed information, size included", {
  set.seed(2)
  x <- rnorm(2000)
  y <- rnbinom(2000, size = 2, mu = exp(0.8 + 0.5 * x)) * rbinom(2000, 1, plogis(1 - 0.8 * x))
  fit <- fit_nn(y ~ x, data.frame(x, y), hidden = 0, family = "zero_inflated_negative_binomial")
  nll <- function(p) {
    zero <- plogis(p[3] + p[4] * x)
    -sum(log(zero * (y == 0) + (1 - zero) * dnbinom(y, size = exp(p[5]), mu = exp(p[1] + p[2] * x))))
  }
  expect_equal(errors_of(fit), hessian_errors(c(0.8, 0.5, -1, 0.8, 0.7), nll)[1:4], tolerance = 0.1)
})

test_that("a written likelihood that is not convex: the observed information", {
  set.seed(3)
  x <- rnorm(200)
  y <- 1 + x + rt(200, 1)
  cauchy <- custom_family("cauchy", ~ log(pi) + s + log1p(((y - m) / exp(s))^2), eta = "m", free = "s")
  fit <- fit_nn(y ~ x, hidden = 0, family = cauchy)
  nll <- function(p) sum(log(pi) + p[3] + log1p(((y - p[1] - p[2] * x) / exp(p[3]))^2))
  expect_equal(errors_of(fit), hessian_errors(c(1, 1, 0), nll)[1:2], tolerance = 1e-4)
  y <- x + rnorm(200) * exp(0.3 * x)
  two <- custom_family("two", ~ (y - m)^2 * exp(-2 * s) / 2 + s + log(2 * pi) / 2, eta = c("m", "s"))
  fit <- fit_nn(y ~ x, hidden = 0, family = two)
  nll <- function(p) sum((y - p[1] - p[2] * x)^2 * exp(-2 * (p[3] + p[4] * x)) / 2 + p[3] + p[4] * x)
  expect_equal(errors_of(fit), hessian_errors(c(0, 1, 0, 0.3), nll), tolerance = 1e-4)
})

test_that("a likelihood without curvature has no standard errors, and everything else", {
  laplace <- custom_family("laplace", ~ log(2) + log_s + abs(y - mu) / exp(log_s), free = "log_s", scaled = TRUE)
  calls <- data.frame(year = MASS::phones$year, calls = MASS::phones$calls)
  fit <- fit_nn(calls ~ year, calls, hidden = 0, family = laplace)
  least <- min(combn(24, 2, function(i) {
    if (diff(calls$year[i]) == 0) return(Inf)
    sum(abs(calls$calls - cbind(1, calls$year) %*% solve(cbind(1, calls$year[i]), calls$calls[i])))
  }))
  expect_equal(sum(abs(calls$calls - predict(fit))), least, tolerance = 1e-4) # a line through two points
  expect_output(print(fit), "laplace")
  fit$stop_reason <- "converged" # as on some machines
  fit$kept_columns <- 1L
  fit[c("information", "is_flat")] <- NULL
  expect_error(vcov(fit), "no curvature where it is greatest", class = "varnn_error")
  fit$is_flat <- TRUE
  for (f in list(vcov, confint, function(fit) predict(fit, calls, se.fit = TRUE)))
    expect_error(f(fit), "no curvature where it is greatest", class = "varnn_error")
  known <- custom_family("laplace_1", ~ log(2) + abs(y - mu))
  expect_error(vcov(fit_nn(calls ~ year, calls, hidden = 0, family = known)), "no curvature where it is greatest")
  for (family in c("student_t", "gaussian_hetero", "gamma", "inverse_gaussian")) {
    fit <- suppressWarnings(fit_nn(y ~ x, data.frame(x = 1:30, y = 3), hidden = 0, family = family))
    expect_output(print(fit), "Data: 30 observations")
    expect_equal(unname(predict(fit)), rep(3, 30), tolerance = 1e-3)
  }
})

test_that("a scalar that has run to its end does not take part", {
  set.seed(2)
  x <- rnorm(100)
  y <- rnorm(100, x)
  mixed <- custom_family("mixed", ~ -log(plogis(p) * dnorm(y - m) + (1 - plogis(p)) * dnorm((y - m) / 5) / 5),
                         eta = "m", free = "p")
  fit <- fit_nn(y ~ x, hidden = 0, family = mixed)
  expect_equal(unname(vcov(fit)), unname(summary(lm(y ~ x))$cov.unscaled), tolerance = 1e-4)
  idle <- custom_family("idle", ~ (y - m)^2 / 2 + log(2 * pi) / 2 + 0 * a, eta = "m", free = "a")
  expect_equal(unname(vcov(fit_nn(y ~ x, hidden = 0, family = idle))), unname(summary(lm(y ~ x))$cov.unscaled),
               tolerance = 1e-6)
})

test_that("separation is found in every response, and leaves the errors of others alone", {
  d <- data.frame(x = 1:20)
  d$level <- cut(d$x, c(0, 7, 14, 21), ordered_result = TRUE)
  expect_warning(fit_nn(level ~ x, d, hidden = 0), class = "varnn_separated")
  zeros <- data.frame(x = 1:10, z = rep(0:1, c(9, 1)), y = c(0, 1, 0, 2, 1, 0, 3, 1, 0, 1))
  expect_warning(fit <- fit_nn(y ~ x + z, zeros, hidden = 0, family = "zero_inflated_poisson"),
                 class = "varnn_separated")
  expect_true(all(errors_of(fit)[4:6] > 1e6))
  expect_warning(se <- predict(fit, zeros, se.fit = TRUE)$se.fit, "without a standard error")
  expect_true(anyNA(se))
  set.seed(10)
  counts <- data.frame(x = rnorm(300))
  counts$y <- rpois(300, exp(1 + counts$x / 2)) # no zeros but those of a Poisson
  expect_warning(fit <- fit_nn(y ~ x, counts, hidden = 0, family = "zero_inflated_poisson"), class = "varnn_separated")
  expect_equal(predict(fit, counts, se.fit = TRUE)$se.fit,
               predict(glm(y ~ x, poisson, counts), type = "response", se.fit = TRUE)$se.fit, tolerance = 0.01,
               ignore_attr = TRUE)
  m <- transform(mtcars, am = factor(am))
  expect_warning(fit <- fit_nn(m[c("wt", "qsec")], m[c("mpg", "am")], hidden = 0), class = "varnn_separated")
  v <- vcov(fit)
  expect_true(all(v[1:3, 4:6] == 0))
  expect_equal(unname(v[1:3, 1:3]), unname(vcov(lm(mpg ~ wt + qsec, mtcars))), tolerance = 1e-8)
})

test_that("Pearson's residuals of a written family know its variance", {
  set.seed(3)
  x <- rnorm(300)
  y <- 1 + 2 * x + rlogis(300)
  logistic <- function(scaled, ...) {
    custom_family("logistic", ~ (y - m) / exp(s) + s + 2 * log1p(exp(-(y - m) / exp(s))), eta = "m", free = "s",
                  scaled = scaled, ...)
  }
  variance <- function(m, s) exp(2 * s) * pi^2 / 3
  pearson <- lapply(c(TRUE, FALSE), function(scaled) {
    residuals(fit_nn(y ~ x, hidden = 0, family = logistic(scaled, variance = variance)), "pearson")
  })
  expect_equal(pearson[[1]], pearson[[2]], tolerance = 1e-4)
  expect_equal(sd(pearson[[1]]), 1, tolerance = 0.1)
  wrong <- fit_nn(y ~ x, hidden = 0, family = logistic(FALSE, variance = function(m, s) -1))
  expect_error(residuals(wrong, "pearson"), "`variance` .* must give numbers above 0, not -1", class = "varnn_error")
})

test_that("what counts as no curvature does not depend on the units of the response and of columns", {
  set.seed(4)
  x <- rnorm(100)
  y <- 1 + 2 * x + rnorm(100)
  own <- custom_family("own", ~ (y - mu)^2 * exp(-2 * s) / 2 + s + log(2 * pi) / 2, free = "s")
  for (unit in c(1e-4, 1, 1e6)) {
    d <- data.frame(x, y = unit * y)
    ols <- lm(y ~ x, d)
    for (family in list(own, "gaussian_hetero")) {
      fit <- fit_nn(y ~ x, d, hidden = 0, family = family, standardize = FALSE)
      expect_equal(errors_of(fit)[1:2] / unit, sqrt(diag(vcov(ols)))[1:2] / unit, tolerance = 0.05, ignore_attr = TRUE)
    }
  }
  tiny <- x * 1e-7
  expect_equal(vcov(fit_nn(y ~ tiny, hidden = 0, standardize = FALSE)), vcov(lm(y ~ tiny)), tolerance = 1e-6)
})
