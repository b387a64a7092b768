# Case weights count: a row of weight 2 is two rows, a row of weight 0 is absent, in every default and moment.

weighted_data <- function(n = sample(10:60, 1)) {
  data <- data.frame(a = stats::rnorm(n), b = stats::rexp(n), g = factor(rep_len(c("u", "v", "u"), n)))
  data$y <- data$a + stats::rnorm(n)
  data$k <- stats::rpois(n, exp(data$a / 2))
  data
}

# The data with rows that are nonsense and have weight 0 in between, and the place of the others.
with_absent <- function(data, more = sample(5:150, 1)) {
  wrong <- data[sample(nrow(data), more, replace = TRUE), ]
  wrong[c("a", "b", "y")] <- 100 * wrong[c("a", "b", "y")] + 7
  wrong$k <- wrong$k + 50
  all <- rbind(cbind(data, w = 1), cbind(wrong, w = 0))
  order <- sample(nrow(all))
  kept <- sort(order[order <= nrow(data)])
  all <- all[order, ]
  present <- all[all$w > 0, ]
  list(all = all, present = present)
}

resolved <- function(fit) fit$control[c("batch_size", "epochs", "learn_rate", "optimizer", "schedule", "patience")]

fit_either <- function(seed, f, ...) {
  set.seed(seed)
  suppressWarnings(do.call(f, list(...)))
}

test_that("rows of weight 0 are absent: the same linear model, whatever they hold", {
  set.seed(1)
  for (i in seq_len(repeats(6, 2))) {
    d <- with_absent(weighted_data())
    for (formula in list(y ~ a + b + g, k ~ a + offset(b))) {
      family <- if (formula[[2]] == "y") "gaussian" else "poisson"
      fit <- fit_either(i, fit_nn, formula, d$all, weights = d$all$w, hidden = 0, optimizer = "lbfgs", family = family)
      alone <- fit_either(i, fit_nn, formula, d$present, hidden = 0, optimizer = "lbfgs", family = family)
      expect_equal(coef(fit), coef(alone), tolerance = 1e-6)
      expect_equal(c(logLik(fit)), c(logLik(alone)), tolerance = 1e-8)
      expect_equal(attributes(logLik(fit))[c("df", "nobs")], attributes(logLik(alone))[c("df", "nobs")])
      expect_equal(nobs(fit), nobs(alone))
      expect_equal(df.residual(fit), df.residual(alone))
      expect_equal(deviance(fit), deviance(alone), tolerance = 1e-8)
      if (family == "gaussian") expect_equal(sigma(fit), sigma(alone), tolerance = 1e-8)
      expect_equal(summary(fit)$responses, summary(alone)$responses, tolerance = 1e-6)
      expect_length(fitted(fit), nrow(d$all))
      expect_length(residuals(fit), nrow(d$all))
      expect_identical(unname(weights(fit)), d$all$w)
    }
  }
})

test_that("rows of weight 0 change no default of a network, and no number drawn for it", {
  set.seed(2)
  for (i in seq_len(repeats(4, 1))) {
    d <- with_absent(weighted_data())
    fit <- fit_either(i, fit_nn, y ~ a + g, d$all, weights = d$all$w, hidden = 2)
    alone <- fit_either(i, fit_nn, y ~ a + g, d$present, hidden = 2)
    expect_equal(resolved(fit), resolved(alone))
    expect_equal(fit$theta, alone$theta, tolerance = 1e-6)
    held <- fit_either(i, fit_nn, y ~ a + g, d$all, weights = d$all$w, hidden = 2, validation = 0.3)
    expect_equal(held$theta, fit_either(i, fit_nn, y ~ a + g, d$present, hidden = 2, validation = 0.3)$theta,
                 tolerance = 1e-6)
  }
})

test_that("of ten rows with weight among 200 the epochs are those of the ten", {
  set.seed(3)
  data <- weighted_data(200)
  data$w <- rep(c(1, 0), c(10, 190))
  fit <- fit_either(1, fit_nn, y ~ a + b, data, weights = data$w)
  alone <- fit_either(1, fit_nn, y ~ a + b, data[1:10, ])
  expect_equal(resolved(fit), resolved(alone))
  expect_equal(fit$theta, alone$theta, tolerance = 1e-6)
})

test_that("rows of weight 0 are absent from Bayesian networks", {
  set.seed(4)
  d <- with_absent(weighted_data(20), 300)
  for (more in list(list(posterior = "meanfield"), list(posterior = "laplace", members = 1),
                    list(estimator = "local", mc_samples = 1))) {
    of <- function(...) do.call(fit_either, c(list(1, fit_bayes_nn, ..., hidden = 2, epochs = 4), more))
    fit <- of(y ~ a + b, d$all, weights = d$all$w)
    alone <- of(y ~ a + b, d$present)
    expect_equal(fit$control[c("batch_size", "optimizer", "schedule", "objective")],
                 alone$control[c("batch_size", "optimizer", "schedule", "objective")])
    expect_equal(fit$theta, alone$theta, tolerance = 1e-5)
  }
})

test_that("rows of weight 0 are absent from autoencoders, their missing entries too", {
  set.seed(5)
  d <- with_absent(weighted_data(30))
  d$all$a[d$all$w == 0][1:3] <- NA
  columns <- c("a", "b", "g", "k")
  for (f in list(fit_ae, fit_vae)) {
    of <- function(data, ...) fit_either(1, f, data[columns], hidden = 2, family = c(k = "poisson"), ...)
    fit <- of(d$all, weights = d$all$w)
    alone <- of(d$present)
    expect_equal(fit$n_par, alone$n_par)
    expect_equal(resolved(fit), resolved(alone))
    expect_equal(fit$theta, alone$theta, tolerance = 1e-5)
    expect_equal(fit$scaling[c("center", "scale")], alone$scaling[c("center", "scale")])
  }
  fit <- fit_either(1, fit_ae, d$all[columns], hidden = 0, weights = d$all$w, epochs = 3)
  alone <- fit_either(1, fit_ae, d$present[columns], hidden = 0, epochs = 3)
  expect_equal(sigma(fit), sigma(alone), tolerance = 1e-6)
  expect_equal(summary(fit)$codes, summary(alone)$codes, tolerance = 1e-6)
  expect_equal(compare_pca(fit)$prcomp$sdev, compare_pca(alone)$prcomp$sdev, tolerance = 1e-6)
})

test_that("weights are duplicates: moments, likelihoods, degrees of freedom, defaults", {
  set.seed(6)
  for (i in seq_len(repeats(4, 1))) {
    data <- weighted_data(40)
    w <- sample(0:3, 40, replace = TRUE)
    twice <- data[rep(1:40, w), ]
    fit <- fit_either(i, fit_nn, y ~ a + b + g, data, weights = w, hidden = 0, optimizer = "lbfgs")
    copies <- fit_either(i, fit_nn, y ~ a + b + g, twice, hidden = 0, optimizer = "lbfgs")
    expect_equal(coef(fit), coef(copies), tolerance = 1e-6)
    expect_equal(sigma(fit), sigma(copies), tolerance = 1e-7)
    expect_equal(c(logLik(fit)), c(logLik(copies)), tolerance = 1e-7)
    expect_equal(df.residual(fit), df.residual(copies))
    expect_equal(summary(fit)$responses, summary(copies)$responses, tolerance = 1e-6)
    ae <- fit_either(i, fit_ae, data[1:2], hidden = 0, weights = w, epochs = 0)
    of_copies <- fit_either(i, fit_ae, twice[1:2], hidden = 0, epochs = 0)
    expect_equal(summary(ae)$codes, summary(of_copies)$codes, tolerance = 1e-6)
    expect_equal(sigma(ae), sigma(of_copies), tolerance = 1e-6)
    expect_equal(compare_pca(ae)$prcomp$sdev, compare_pca(of_copies)$prcomp$sdev, tolerance = 1e-6)
  }
})

test_that("weights of 2 make the steps of twice the rows, in batches of 32 rows at least", {
  for (n in c(2000, 5000, 20000)) {
    layout <- list(terms = data.frame(term = "nll"))
    of <- function(counts) resolve_control(nn_control(), counts, layout)$batch_size
    twice <- row_counts(2 * n)
    weighted <- row_counts(n, rep(2, n))
    expect_equal(weighted$cases, twice$cases)
    expect_equal(of(weighted), of(twice) / 2)
    expect_equal(most_epochs(n, of(weighted)), most_epochs(2 * n, of(twice)))
    expect_equal(bayes_epochs(weighted, NULL), bayes_epochs(twice, NULL))
  }
  expect_equal(default_rows(row_counts(100, rep(2, 100))), 32)
  expect_equal(default_rows(row_counts(100, rep(1e6, 100))), 32)
  expect_equal(default_rows(row_counts(10, rep(1e6, 10))), 10)
  expect_equal(row_counts(10, rep(0.01, 10)), list(rows = 10, total = 10, cases = 10))
  expect_equal(row_counts(10, rep(123.4, 10)), list(rows = 10, total = 1234, cases = 10))
  expect_equal(row_counts(4, c(0, 2, 3, 0)), list(rows = 2, total = 5, cases = 5))
})

test_that("a fold counts by its weight", {
  curves <- cbind(c(5, 3, 1, 0.5), c(2, 1, 3, 9))
  expect_equal(fewest_epochs(structure(curves, weight = c(1, 1e-9))), 4)
  expect_equal(fewest_epochs(curves[, c(1, 1, 2)]), fewest_epochs(structure(curves[, c(1, 1, 2)], weight = c(7, 7, 7))))
})

test_that("small and large weights do what their ratios say", {
  set.seed(7)
  data <- weighted_data(40)
  w <- stats::runif(40, 0.5, 2)
  of <- function(w, ...) fit_either(1, fit_nn, y ~ a + b, data, weights = w, hidden = 2, epochs = 5, ...)
  truth <- of(w)$theta
  for (size in c(1e-80, 1e-20, 1e20, 1e80))
    for (precision in c("double", "single"))
      expect_equal(of(w * size, precision = precision)$theta, truth, tolerance = 0.05, label = paste(size, precision))
  few <- replace(w, 5:40, 1e-200)
  expect_equal(sigma(of(w * 1e-30)), sigma(of(w / mean(w))), tolerance = 1e-4)
  for (precision in c("double", "single")) expect_true(all(is.finite(fitted(of(few, precision = precision)))))
  expect_refused(of(rep(1e-200, 40)), "`weights` have a sum below")
})

test_that("a proportion is held out of the rows with weight, and rows without weight are not enough", {
  data <- weighted_data(40)
  data$w <- rep(c(1, 0), 20)
  fit <- fit_nn(y ~ a, data, weights = w, hidden = 2, epochs = 2, validation = 0.5)
  expect_length(fit$held_out, 10)
  expect_true(all(data$w[fit$held_out] == 1))
  expect_refused(fit_nn(y ~ a, data, weights = w, validation = c(2, 4)), "`validation` holds out no row")
  expect_refused(fit_nn(y ~ a, data, weights = w, validation = seq(1, 39, 2)), "`validation` holds out every row")
})

test_that("observations are those of the rows that weights stand for, in all models", {
  set.seed(1)
  d <- data.frame(a = rnorm(50), b = rnorm(50))
  times <- rep(c(0, 1, 2, 2, 2), 10)
  more <- d[rep(1:50, times), ]
  fits <- function(d, times) {
    list(fit_nn(a ~ b, d, weights = times, epochs = 1), fit_bayes_nn(a ~ b, d, weights = times, epochs = 1),
         fit_bayes_nn(a ~ b, d, weights = times, epochs = 1, members = 2),
         fit_ae(d, weights = times, epochs = 1, latent = 1), fit_vae(d, weights = times, epochs = 1, latent = 1))
  }
  for (fit in fits(d, times)) expect_equal(nobs(fit), 70)
  for (fit in fits(more, NULL)) expect_equal(nobs(fit), 70)
  vae <- fits(d, times)[[5]]
  expect_equal(attr(logLik(vae, k = 2), "nobs"), 70)
  expect_equal(attr(logLik(vae, d[1:5, ], k = 2), "nobs"), 5)
})

test_that("the start of a learned noise knows the weights", {
  blocks <- list(a_block("gaussian", 1, "each"))
  layout <- spec_layout(new_spec(1, list(layer("dense", 1, "bias")), blocks))
  y <- matrix(c(1, 2, 4, 100))
  of <- function(y, w) start_noise(numeric(layout$n_par), layout, blocks, y, w)
  expect_equal(of(y, c(1, 2, 1, 0)), of(y[c(1, 2, 2, 3), , drop = FALSE], rep(1, 4)))
})

test_that("glm's proportions out of 0 trials are absent", {
  d <- data.frame(x = c(1:6, 100), s = c(1, 2, 2, 4, 3, 5, 0) / 6, t = c(rep(6, 6), 0))
  fit <- linear(s ~ x, d, weights = t, family = "binomial")
  expect_equal(coef(fit), coef(glm(s ~ x, binomial, d[1:6, ], weights = t)), tolerance = 1e-4)
  expect_equal(nobs(fit), 6)
})
