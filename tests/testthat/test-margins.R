margin_of <- function(v, w = NULL) varnn:::new_margin(v, w)
as_scores_of <- function(m, v, ...) varnn:::margin_scores(m, v, ...)
as_values_of <- function(m, u) varnn:::margin_values(m, u)
log_density_of <- function(m, v) varnn:::margin_log_density(m, varnn:::margin_interval(m, v))

set.seed(1)
kinds <- list(normal = rnorm(200), positive = rlnorm(300), share = rbeta(200, 0.5, 0.5),
              zeros = c(rep(0, 99), rexp(99)), cut_off = pmin(rexp(300), 2), spike = c(rnorm(200), rep(1.5, 30)),
              whole = rpois(300, 30), steps = iris$Sepal.Length, few = mtcars$carb + 0, cauchy = rcauchy(200),
              small = 1e-8 * rnorm(99), far = 1e6 + rnorm(99), outlier = c(rnorm(50), 1e6), three = 1:3 + 0,
              repeated = sample(round(rgamma(60, 3, 0.02)), 400, TRUE), tied = sample(rlnorm(60), 400, TRUE))

# Gauss and Legendre's rule of five points.
integral <- function(f, a, b) {
  x <- sqrt(5 + c(-1, 1) * 2 * sqrt(10 / 7)) / 3
  w <- (322 + c(1, -1) * 13 * sqrt(70)) / 900
  sum(f((a + b) / 2 + c(-x, 0, x) * (b - a) / 2) * c(w, 128 / 225, w)) * (b - a) / 2
}

test_that("densities of margins have a total of one, and slopes are differences", {
  for (name in names(kinds)) {
    m <- margin_of(kinds[[name]])
    expect_true(varnn:::is_margin(m))
    if (m$step > 0) {
      v <- seq(as_values_of(m, -8), as_values_of(m, 8), by = m$step)
      expect_equal(sum(exp(log_density_of(m, v))) * m$step, 1, tolerance = 1e-9, info = name)
      next
    }
    mass <- unique(m$x[which(diff(m$x) == 0)])
    total <- if (length(mass)) sum(exp(log_density_of(m, mass))) else 0
    ends <- sort(unique(c(as_values_of(m, seq(-6.5, 6.5, 0.1)), m$x)))
    inside <- function(v) exp(dnorm(as_scores_of(m, v), log = TRUE)) * as_scores_of(m, v, slope = TRUE)
    if (any(m$slope > 0)) for (k in seq_along(ends)[-1])
      total <- total + integral(inside, ends[k - 1], ends[k])
    expect_equal(total, 1, tolerance = 1e-8, info = name)
    u <- seq(-2.9, 2.9, length.out = 99)
    v <- as_values_of(m, u)
    v <- v[!v %in% mass]
    exact <- as_scores_of(m, v, slope = TRUE)
    h <- 1e-4 / exact
    is_away <- vapply(v, function(x) min(abs(x - m$x)), 0) > h
    slope <- (as_scores_of(m, v + h) - as_scores_of(m, v - h)) / (2 * h)
    if (any(is_away)) expect_equal(slope[is_away], exact[is_away], tolerance = 1e-5, info = name)
  }
})

test_that("margins map values to scores and back, and draws have the values' distribution", {
  for (name in names(kinds)) {
    v <- kinds[[name]]
    m <- margin_of(v)
    u <- varnn:::margin_interval(m, v)$mean
    expect_equal(as_values_of(m, u), v, tolerance = 1e-9, info = name)
    expect_identical(order(u), order(v), info = name)
    if (length(v) < 90) next
    draws <- as_values_of(m, qnorm(ppoints(5000)))
    expect_lt(max(abs(ecdf(draws)(v) - ecdf(v)(v))), 0.06)
    expect_identical(varnn:::nearest_value(m, draws), draws)
  }
})

test_that("limits, steps and values with mass are found", {
  words <- vapply(kinds, function(v) varnn:::margin_words(margin_of(v)), "")
  expect_identical(unname(words[1:9]),
                   c("smooth", "positive", "from 0 to 1", "from 0, often 0", "from 0 to 2, often 2", "often 1.5",
                     "whole, positive", "steps of 0.1, positive", "6 values"))
  expect_identical(unname(words[c("repeated", "tied")]), c("whole, positive, values that repeat",
                                                           "positive, values that repeat"))
  expect_null(margin_of(rep(2, 9)))
  v <- c(1, 2, 3, 5, 8, NA, 4)
  expect_identical(margin_of(c(v, 99), c(2, 1, 1, 1, 1, 1, 1, 0))$x, margin_of(c(1, v))$x) # weights repeat rows
})

# Blackwell and MacQueen (1973): the next value is one of the n before with probability n / (n + a), of which each has
# its share, and a new one with a / (n + a).
test_that("values that repeat have the probabilities of a Dirichlet process", {
  for (name in c("repeated", "tied")) {
    v <- kinds[[name]]
    m <- margin_of(v)
    known <- sort(unique(v))
    p <- exp(log_density_of(m, known)) * max(m$step, 1)
    n <- tabulate(match(v, known))
    a <- length(v) * (1 / sum(p) - 1) # were the base without probability at known values
    if (name == "tied") {
      expect_equal(p, n / (length(v) + a), tolerance = 1e-6)
      expect_equal(sum(a / (a + seq_along(v) - 1)), length(known), tolerance = 0.01) # expected values of this a
    } else {
      expect_gt(cor(p, n), 0.999)
      expect_gt(sum(p), 0.9)
    }
  }
  # probabilities of values that were not seen
  half <- seq_along(kinds$repeated) <= 200
  m <- margin_of(kinds$repeated[half])
  held_out <- log_density_of(m, kinds$repeated[!half])
  expect_gt(mean(held_out), -log(60) - 0.5) # of 60 values
})

test_that("beyond values that repeat the density is the base's, times its share", {
  normal <- list(x = c(-1, 1), u = c(-1, 1), slope = c(1, 1), low = -Inf, high = Inf, step = 0)
  knots <- list(x = c(-2, -2, 2, 2), u = qnorm(c(0.01, 0.4, 0.6, 0.99)), low = -Inf, high = Inf, step = 0)
  m <- varnn:::with_base_tails(knots, normal, 0.2)
  expect_equal(dnorm(m$u[c(1, 4)]) * m$slope[c(1, 4)], 0.2 * dnorm(c(-2, 2)))
})

test_that("probabilities of intervals are those of numerical integration, in the tails, too", {
  low <- c(-Inf, -1, 0.5, 9, -30, 3)
  high <- c(-2, 1, Inf, 9.5, -29, 3.001)
  one <- mapply(function(a, b) {
    shift <- if (a > 0) a else if (b < 0) b else 0 # relative to the density there
    log(integrate(function(u) exp(dnorm(u, log = TRUE) - dnorm(shift, log = TRUE)), a, b, rel.tol = 1e-10)$value) +
      dnorm(shift, log = TRUE)
  }, pmax(low, -40), pmin(high, 40))
  expect_equal(varnn:::log_between(low, high), one, tolerance = 1e-7)
  between <- varnn:::normal_between(c(-1, 0.2), c(0.5, Inf))
  moment <- function(k, a, b) integrate(function(u) u^k * dnorm(u), a, b)$value / diff(pnorm(c(a, b)))
  expect_equal(between$mean, c(moment(1, -1, 0.5), moment(1, 0.2, Inf)), tolerance = 1e-6)
  expect_equal(between$square, c(moment(2, -1, 0.5), moment(2, 0.2, Inf)), tolerance = 1e-6)
})

# x = h^-1(u): with normal margins of the scores u the same model is that of u, less the map's slope.
test_that("the log-likelihood is that of the scores with the margins' densities", {
  set.seed(2)
  d <- data.frame(a = rlnorm(150), b = rnorm(150))
  d$b <- d$b + log(d$a)
  set.seed(3)
  fit <- fit_vae(d, margins = "smooth", latent = 1, hidden = 4, epochs = 30)
  rows <- varnn:::latent_rows(fit, d, NULL)
  z <- encode(fit, d)
  eta <- varnn:::eta_scores(fit, varnn:::codes_eta(fit, z))
  log_lik <- 0
  for (j in 1:2) {
    m <- fit$design$variables[[j]]$margin
    log_lik <- log_lik + dnorm(as_scores_of(m, d[[j]]), eta[, j], sigma(fit)[j], log = TRUE) +
      log(as_scores_of(m, d[[j]], slope = TRUE))
  }
  expect_equal(varnn:::log_lik_at(fit, rows, z), log_lik, tolerance = 1e-8)
  expect_equal(mean(elbo(fit)), fit$history$elbo[30], tolerance = 0.05)
  # the mean of a column given z
  draws <- as_values_of(fit$design$variables[[1]]$margin, eta[1, 1] + sigma(fit)[1] * qnorm(ppoints(1e5)))
  expect_equal(decode(fit, z)$a[1], mean(draws), tolerance = 1e-2)
})

test_that("entries with mass have their probability: over all values of two columns it is one", {
  set.seed(4)
  d <- data.frame(a = rbinom(200, 2, 0.4), b = rpois(200, 1.3))
  d$b <- pmin(d$b + d$a, 6)
  fit <- fit_vae(d, margins = "smooth", latent = 1, hidden = 4, epochs = 20)
  all <- expand.grid(a = sort(unique(d$a)), b = sort(unique(d$b)))
  z <- matrix(0.3, nrow(all), 1)
  rows <- varnn:::latent_rows(fit, all, NULL)
  expect_equal(sum(exp(varnn:::log_lik_at(fit, rows, z))), 1, tolerance = 1e-9)
  bound <- fit$history$elbo[20] # of drawn scores
  expect_gt(mean(elbo(fit)) - bound, -0.02)
})

test_that("no row has a value that its column cannot have", {
  set.seed(5)
  d <- data.frame(a = rlnorm(150), b = rpois(150, 20), c = c(rep(0, 50), rexp(100)), e = sample(c(1, 5, 7), 150, TRUE),
                  g = gl(3, 50), k = rep(3, 150))
  d$a[1:20] <- NA
  d$b[15:30] <- NA
  fit <- fit_vae(d, margins = "smooth", epochs = 20)
  s <- simulate(fit, 1000)
  full <- impute(fit)
  for (new in list(s, full)) {
    expect_true(all(new$a > 0 & new$b >= 0 & new$c >= 0 & new$e %in% c(1, 5, 7) & new$k == 3))
    expect_type(new$b, "integer")
  }
  expect_equal(mean(s$c == 0), 1 / 3, tolerance = 0.3)
  expect_equal(full[!is.na(d$a), c("a", "c")], d[!is.na(d$a), c("a", "c")])
  expect_identical(reconstruct(fit, d), reconstruct(fit))
  expect_output(print(fit), "a: positive")
  expect_warning(encode(fit, transform(d[1:3, ], b = -1)), "`newdata` has values .*: `b` \\(such as -1\\)[.]",
                 class = "varnn_limits")
  column <- function(name) list(name = name, at = 1, margin = varnn:::new_margin(d$e))
  columns <- lapply(letters[1:6], column)
  impossible <- varnn:::impossible_values(columns, cbind(c(1, 9)))
  expect_identical(impossible, matrix(c(FALSE, TRUE), 2, 6))
  six <- tryCatch(varnn:::warn_of_limits(columns, cbind(c(1, 9)), impossible, "x"), varnn_limits = identity)
  expect_match(conditionMessage(six), "`a` \\(such as 9\\), `b` .*, `c` .*, `d` .* and 2 more[.] The nearest")
  again <- unserialize(serialize(fit, NULL))
  expect_identical(encode(again, d), encode(fit, d))
  expect_s3_class(continue(fit, 2), "varnn_vae")
  expect_length(predict(fit, type = "error"), 150)
  expect_true(all(is.finite(residuals(fit, type = "standardized")[-(1:30), ])))
  again$design$variables[[1]]$margin$x[1] <- NA
  expect_error(encode(again, d), class = "varnn_error")
  expect_error(fit_vae(d, margins = "none"), "margins", class = "varnn_error")
})

test_that("simulated margins are those of the data", {
  set.seed(6)
  d <- MASS::Boston[c("crim", "nox", "rm", "lstat", "medv")]
  s <- simulate(fit_vae(d, margins = "smooth", latent = 3, sigma = "each"), 2000)
  distance <- mapply(function(a, b) suppressWarnings(ks.test(a, b)$statistic), d, s)
  expect_lt(mean(distance), 0.07)
})

test_that("no codes and no rows are decoded to no rows, whatever the noise", {
  for (sigma in c("each", "hetero", "learned")) {
    set.seed(1)
    fit <- suppressWarnings(fit_vae(iris, epochs = 2, latent = 1, sigma = sigma))
    expect_identical(dim(decode(fit, matrix(0, 0, 1))), c(0L, 5L))
    expect_identical(dim(reconstruct(fit, iris[0, ])), c(0L, 5L))
    expect_identical(dim(impute(fit, iris[0, ])), c(0L, 5L))
  }
})
