# loo() and waic(), against leave-one-out in closed form.

# log p(y_i | the others) of linear regression with the prior N(0, 1) and a known noise, on the standardised scale of a
# fit. The likelihood of row i counts w_i times, and is left out as a whole.
exact_loo <- function(fit, x, y, sigma, w = rep(1, length(y))) {
  b <- fit$blocks[[1]]
  z <- cbind(1, standardised(as.matrix(x), fit$scaling))
  y <- (y - b$center) / b$scale
  s2 <- (sigma / b$scale)^2
  vapply(seq_along(y), function(i) {
    a <- crossprod(z[-i, ], w[-i] * z[-i, ]) / s2 + diag(ncol(z))
    m <- solve(a, crossprod(z[-i, ], w[-i] * y[-i])) / s2
    # N(y; f, s2)^w = N(y; f, s2 / w) (2 pi s2)^(-w / 2) (2 pi s2 / w)^(1 / 2)
    stats::dnorm(y[i], sum(z[i, ] * m), sqrt(s2 / w[i] + sum(z[i, ] * solve(a, z[i, ]))), log = TRUE) -
      w[i] * log(2 * pi * s2) / 2 + log(2 * pi * s2 / w[i]) / 2 - w[i] * log(b$scale)
  }, 0)
}

expect_near_exact <- function(found, exact, label) {
  off <- (found$pointwise[, "elpd_loo"] - exact) / found$pointwise[, "mcse_elpd_loo"]
  expect_lt(max(abs(off)), 4.5, label = label) # 32 of them, whose errors are estimated
  se <- sqrt(sum(found$pointwise[, "mcse_elpd_loo"]^2))
  expect_lt(abs(sum(found$pointwise[, "elpd_loo"]) - sum(exact)), 4 * se, label = label)
}

test_that("draws have the densities of the posterior and of the prior", {
  set.seed(1)
  density <- function(q, w) { # from the covariance
    e <- t(w) - q$mean
    at <- which(diag(weight_covariance(q)) > 0)
    -colSums(e[at, ] * solve(weight_covariance(q)[at, at], e[at, ])) / 2
  }
  fits <- lapply(c("meanfield", "lowrank", "last_layer", "full", "laplace"), function(posterior) {
    quick_bayes(mpg ~ wt + hp, mtcars, posterior = posterior, members = 1, epochs = 30)
  })
  sd <- function(rows, cols) matrix(runif(rows * cols, 0.1, 1), rows)
  basis <- function(n) qr.Q(qr(matrix(rnorm(n^2), n)))
  for (fit in fits) {
    q <- weight_posterior(fit)
    w <- draw_weights(q, 5)
    expect_equal(log_posterior_density(q, w), density(q, w), label = fit$spec$posterior)
  }
  q <- weight_posterior(fits[[1]])
  q$sigma[] <- 0
  q$layers <- list(list(at = which(q$leaf == q$leaf[1]), sd = sd(2, 2), out = basis(2), `in` = basis(2)),
                   list(at = which(q$leaf != q$leaf[1]), sd = sd(sum(q$leaf != q$leaf[1]), 1)))
  w <- draw_weights(q, 5)
  expect_equal(log_posterior_density(q, w), density(q, w))
  priors <- list(prior_normal(0, 2, fan_in = TRUE), prior_laplace(0, 0.5), prior_mixture(0.3, c(1, 0.1)),
                 prior_custom(~ -log(pi) - log1p(w^2)))
  densities <- list(function(w, d) dnorm(w, 0, 2 / sqrt(d), log = TRUE), function(w, d) -abs(w) / 0.5,
                    function(w, d) log(0.3 * dnorm(w) + 0.7 * dnorm(w, 0, 0.1)), function(w, d) dcauchy(w, log = TRUE))
  for (k in seq_along(priors)) {
    fit <- quick_bayes(mpg ~ wt + hp, mtcars, posterior = "meanfield", prior = priors[[k]])
    q <- weight_posterior(fit)
    w <- draw_weights(q, 5)
    inputs <- c(layer1.weight = 2, layer2.weight = 2)[sub("\\[.*", "", q$name)]
    inputs[is.na(inputs)] <- 1
    truth <- rowSums(densities[[k]](w, rep(inputs, each = 5)))
    found <- log_prior_density(fit, q, w)
    expect_equal(found - found[1], truth - truth[1], label = priors[[k]]$words)
  }
})

test_that("the leave-one-out of linear regression is the exact one, whatever q, where k is small", {
  skip_if_not_installed("loo")
  set.seed(1)
  x <- mtcars[c("wt", "hp", "disp", "qsec")]
  sigma <- sqrt(0.2) * sd(mtcars$mpg)
  for (posterior in c("last_layer", "laplace", "lowrank")) {
    fit <- suppressWarnings(bayes_cars(posterior = posterior))
    found <- suppressWarnings(loo::loo(fit, draws = 4000))
    expect_true(attr(found, "corrected"))
    expect_lt(max(found$diagnostics$pareto_k), 0.8)
    expect_near_exact(found, exact_loo(fit, x, mtcars$mpg, sigma), posterior)
  }
  expect_s3_class(found, "psis_loo")
  expect_identical(rownames(found$pointwise), rownames(mtcars))
  drawn <- loo_draws(bayes_cars(posterior = "last_layer"), rows_of_posterior(fit, environment()), 100)
  expect_lt(diff(range(drawn$log_p - drawn$log_q)), 1e-6) # q is the posterior
})

test_that("where q is far from the posterior its draws are not weighted as draws of that", {
  skip_if_not_installed("loo")
  set.seed(1)
  fit <- quick_bayes(mpg ~ wt + hp, mtcars, hidden = 4, posterior = "meanfield")
  expect_warning(found <- loo::loo(fit, draws = 500, correct = TRUE), "Pareto's k is", class = "varnn_pareto")
  expect_gt(median(found$diagnostics$pareto_k), 0.7)
  expect_warning(found <- loo::loo(fit, draws = 500), "its draws are taken as they are", class = "varnn_pareto")
  expect_false(attr(found, "corrected"))
  expect_equal(attr(suppressWarnings(loo::loo(fit, draws = 500, correct = FALSE)), "corrected"), FALSE)
})

test_that("rows with weights, held out, or without a response", {
  skip_if_not_installed("loo")
  set.seed(1)
  w <- rep(c(1, 2, 3, 1), 8)
  fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 0, weights = w, sigma = 3, prior = prior_normal(0, 1))
  expect_near_exact(loo::loo(fit, draws = 4000), exact_loo(fit, mtcars["wt"], mtcars$mpg, 3, w), "weights")
  fit$held_out <- c(3L, 9L)
  w[5] <- 0
  fit$weights <- w
  expect_identical(rows_of_posterior(fit, environment())$names, rownames(mtcars)[-c(3, 5, 9)])
  both <- quick_bayes(cbind(mpg, qsec) ~ wt, within(mtcars, qsec[4] <- NA), hidden = 0, na.action = na.pass)
  expect_identical(nrow(suppressWarnings(loo::loo(both, draws = 200))$pointwise), 32L)
})

test_that("a mixture has the densities of its members, averaged", {
  skip_if_not_installed("loo")
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, members = 2, sigma = "learned", combine = "equal")
  fit$member_weights <- c(0.3, 0.7)
  mixed <- suppressWarnings(loo::loo(fit, draws = 2000))
  alone <- lapply(member_fits(fit), function(m) suppressWarnings(loo::loo(m, draws = 2000))$pointwise)
  elpd <- log(0.3 * exp(alone[[1]][, "elpd_loo"]) + 0.7 * exp(alone[[2]][, "elpd_loo"]))
  expect_equal(mixed$pointwise[, "elpd_loo"], elpd, tolerance = 0.05)
  expect_equal(mixed$estimates["elpd_loo", ], c(sum(mixed$pointwise[, "elpd_loo"]),
                                                sqrt(32 * var(mixed$pointwise[, "elpd_loo"]))), ignore_attr = TRUE)
  expect_length(attr(mixed, "corrected"), 2)
  linear <- loo::loo(fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0))
  expect_silent(compared <- loo::loo_compare(list(network = mixed, linear = linear)))
  names <- if (is.data.frame(compared)) compared$model else rownames(compared) # newer versions and older ones
  expect_setequal(names, c("network", "linear"))
  expect_output(print(mixed), "elpd_loo")
  expect_warning(loo::loo_compare(linear, loo::loo(fit_bayes_nn(log(mpg) ~ wt, mtcars, hidden = 0))), "same y")
})

test_that("other families, and waic()", {
  skip_if_not_installed("loo")
  set.seed(1)
  # of a poisson mean with one dummy the posterior is known: nearly gamma, and leave-one-out nearly negative binomial
  counts <- data.frame(y = rpois(40, 5), group = rep(0:1, 20))
  fit <- fit_bayes_nn(y ~ group, counts, hidden = 0, family = "poisson", posterior = "laplace",
                      prior = prior_normal(0, 30))
  others <- tapply(counts$y, counts$group, sum)[as.character(counts$group)] - counts$y
  exact <- dnbinom(counts$y, others, mu = others / 19, log = TRUE)
  found <- loo::loo(fit, draws = 4000)
  expect_equal(found$pointwise[, "elpd_loo"], exact, tolerance = 0.01, ignore_attr = TRUE)
  expect_equal(suppressWarnings(loo::waic(fit, draws = 4000))$estimates["elpd_waic", 1], sum(exact), tolerance = 0.01)
  flowers <- quick_bayes(Species ~ Petal.Width, iris, hidden = 0)
  expect_identical(nrow(suppressWarnings(loo::loo(flowers, draws = 100))$pointwise), 150L)
})

test_that("what has no leave-one-out says so", {
  skip_if_not_installed("loo")
  set.seed(1)
  expect_refused(loo::loo(quick(mpg ~ wt, mtcars)), "loo\\(\\) needs a fit by fit_bayes_nn")
  expect_refused(loo::loo(quick(mpg ~ wt, mtcars, members = 2)), "needs a posterior with a spread")
  expect_refused(loo::waic(quick_bayes(mpg ~ wt, mtcars, posterior = "point")), "a point has none")
  expect_refused(loo::loo(fit_ae(mtcars, epochs = 1)), "needs a fit by fit_bayes_nn")
  fit <- quick_bayes(mpg ~ wt, mtcars, hidden = 0)
  expect_refused(loo::loo(fit, draws = 5), "`draws` must be")
  expect_refused(loo::loo(fit, correct = "yes"), "`correct` must be")
  expect_refused(loo::loo(fit, newdata = mtcars), "no argument `newdata`")
})
