# Variational autoencoders against probabilistic principal components, closed forms, and what users may type.

scaled_iris <- function() as.data.frame(scale(iris[1:4]))

# A linear VAE trained near its optimum.
linear_vae <- function(x, latent, ..., epochs = 1500) {
  fit_vae(x, hidden = 0, latent = latent, epochs = repeats(epochs, 20), batch_size = 50, learn_rate = 0.02,
          schedule = "cosine", mc_samples = 5, keep_data = TRUE, ...)
}

# The weights W [columns, latent] of the decoder and the noise variance of a linear VAE.
decoder_of <- function(fit) {
  w <- coef(fit)
  unname(w[[utils::tail(which(fit$layout$role == "weight"), 1)]])
}
noise_of <- function(fit) exp(2 * block_free(fit)[[1]])[1]

# log N(x; mu, WW' + s2 I) of each row.
marginal_log_lik <- function(x, mu, w, s2) {
  v <- tcrossprod(w) + diag(s2, nrow(w))
  centred <- x - rep(mu, each = nrow(x))
  -(rowSums((centred %*% solve(v)) * centred) + determinant(v)$modulus[1] + ncol(x) * log(2 * pi)) / 2
}

test_that("a linear VAE is probabilistic PCA: ELBO, sigma, axes, and the codes' variances", {
  skip_if(is_watched())
  for (q in 1:2) {
    set.seed(q)
    x <- scaled_iris()
    fit <- linear_vae(x, q)
    expect_equal(mean(elbo(fit, draws = 400)), c(-700.127808, -550.9315477)[q] / 150, tolerance = 0.01 / 4)
    expect_lt(abs(mean(elbo(fit, draws = 400)) - c(-700.127808, -550.9315477)[q] / 150), 0.01)
    expect_equal(sigma(fit)[[1]]^2, c(0.3580973896, 0.08317761696)[q], tolerance = 0.02)
    e <- eigen(stats::cov(x) * 149 / 150)
    w <- decoder_of(fit)
    expect_lt(max(principal_angles(w, e$vectors[, 1:q, drop = FALSE])), 2)
    # the columns of W are the axes themselves, not a rotation of them
    along <- abs(crossprod(e$vectors[, 1:q, drop = FALSE], w)) / rep(sqrt(colSums(w^2)), each = q)
    expect_true(all(apply(along, 2, max) > cos(4 * pi / 180)))
    expect_equal(sort(colSums(w^2), decreasing = TRUE), e$values[1:q] - noise_of(fit), tolerance = 0.03)
    sd <- encode(fit, sd = TRUE)[, q + seq_len(q), drop = FALSE]
    expect_equal(sort(colMeans(sd^2)), noise_of(fit) / e$values[1:q], tolerance = 0.05, ignore_attr = TRUE)
    expect_equal(c(logLik(fit, k = 500)), c(-700.127808, -550.9315477)[q], tolerance = 1e-3)
  }
})

test_that("at a fixed sigma exactly the eigenvalues above sigma^2 are active, and summary() knows", {
  skip_if(is_watched())
  x <- scaled_iris()
  eigenvalues <- eigen(stats::cov(x) * 149 / 150)$values
  for (s2 in c(2, 0.5, 0.1)) {
    set.seed(3)
    fit <- linear_vae(x, 4, sigma = sqrt(s2), epochs = 500)
    active <- sum(eigenvalues > s2)
    d <- summary(fit)
    expect_identical(sum(d$dimensions$active), active, label = s2)
    expect_identical(d$expected$active, active, label = s2)
    expect_equal(sigma(fit), rep(sqrt(s2), 4), ignore_attr = TRUE)
    # a collapsed dimension is the prior
    expect_lt(max(d$dimensions$kl[!d$dimensions$active]), 0.01)
  }
})

test_that("the ELBO is the marginal likelihood less the KL to the exact posterior, for any parameters", {
  set.seed(4)
  x <- as.data.frame(scale(attitude))
  fit <- linear_vae(x, 2, epochs = 10)
  w <- decoder_of(fit)
  s2 <- noise_of(fit)
  mu <- unname(utils::tail(coef(fit)[fit$layout$role == "bias"], 1)[[1]])[, 1]
  truth <- marginal_log_lik(as.matrix(x), mu, w, s2)
  code <- encode(fit, sd = TRUE)
  m <- crossprod(w) + diag(s2, 2)
  posterior <- t(solve(m, t(w) %*% t(as.matrix(x) - rep(mu, each = 30))))
  gap <- vapply(seq_len(30), function(i) {
    v <- diag(code[i, 3:4]^2)
    precision <- m / s2
    d <- posterior[i, ] - code[i, 1:2]
    (sum(diag(precision %*% v)) + drop(d %*% precision %*% d) - 2 - log(det(v)) - log(det(precision))) / 2
  }, 0)
  estimate <- elbo(fit, draws = repeats(1500, 200))
  expect_lt(abs(sum(estimate) - sum(truth - gap)), 4 * attr(estimate, "se"))
  expect_equal(attr(estimate, "kl"), rowSums((code[, 3:4]^2 + code[, 1:2]^2 - 1) / 2 - log(code[, 3:4])))
  # more draws come nearer, from below
  bound <- function(k, times) mean(replicate(times, c(logLik(fit, k = k))))
  expect_lt(bound(1, 60), bound(5, 60))
  expect_lt(bound(5, 60), bound(50, 20))
  last <- logLik(fit, k = repeats(1500, 100))
  if (!is_watched()) expect_lt(abs(c(last) - sum(truth)), 6 * attr(last, "se") + 0.05)
})

# A spec, parameters and data of a linear VAE whose encoder is the exact posterior, or of variance c times that.
exact_posterior <- function(c = 1) {
  w <- matrix(c(1, 0.5, -0.3, 0, 0.8, 0), 3)
  w[, 2] <- w[, 2] - w[, 1] * sum(w[, 1] * w[, 2]) / sum(w[, 1]^2) # orthogonal: then the posterior is diagonal
  s2 <- 0.4
  m <- crossprod(w) + diag(s2, 2)
  encoder <- solve(m, t(w))
  spec <- new_spec(3, list(layer("latent", 2, "meanfield"), layer("dense", 3, "bias")),
                   list(list(family = "gaussian", n_responses = 3, noise = "shared", fixed = 0)), latent_kl = "mc")
  theta <- c(encoder, 0, 0, rep(0, 6), log(c * s2 / diag(m)) / 2, w, 0, 0, 0, log(s2) / 2)
  set.seed(5)
  x <- matrix(stats::rnorm(24), 8)
  list(spec = spec, theta = theta, data = engine_data(x, x), truth = mean(marginal_log_lik(x, numeric(3), w, s2)))
}

objective_control <- function(...) {
  control <- nn_control(batch_size = 8)
  control$objective <- list(...)
  control
}

test_that("with the exact posterior every importance-weighted bound is log p(x), without variance", {
  p <- exact_posterior()
  for (k in c(1L, 2L, 7L)) {
    loss <- engine_gradient(p$spec, p$theta, p$data, objective_control(importance = k))$loss
    expect_equal(loss, -p$truth, tolerance = 1e-12)
  }
})

test_that("the importance-weighted bound rises with k, with the known bias, and its gradient is its own", {
  c2 <- 1.5
  p <- exact_posterior(c2)
  one <- function(k) -engine_gradient(p$spec, p$theta, p$data, objective_control(importance = k))$loss
  bound <- function(k, n) replicate(n, one(k))
  set.seed(6)
  n <- repeats(3000, 100)
  bounds <- lapply(c(1L, 4L, 16L), bound, n)
  means <- vapply(bounds, mean, 0)
  expect_true(all(diff(means) > 0))
  # the ELBO's gap is the KL to the posterior: (c - 1 - log c) / 2 per dimension
  expect_lt(standard_errors_off(bounds[[1]], p$truth - (c2 - 1 - log(c2))), 4)
  expect_equal(p$truth - means[3], ((c2^2 / (2 * c2 - 1)) - 1) / 32, tolerance = 0.25)
  case <- list(spec = p$spec, theta = p$theta + 0.1, data = p$data)
  expect_lt(case_error(case, objective_control(importance = 5L)), 1e-6)
  case$data$weight <- c(0.5, 2, 1, 1, 3, 0.1, 1, 1)
  control <- objective_control(importance = 5L, coefficient = c(kl_latent = 0.7))
  control$batch_size <- 3
  expect_lt(case_error(case, control), 1e-6)
})

test_that("Monte Carlo and exact KL have the same mean, and gradients of their own", {
  set.seed(7)
  case <- full_case(list(a_block("gaussian"), a_block("bernoulli"), a_block("poisson")), n = 20)
  case$spec$setting[case$spec$layer == "dropout"] <- 0
  exact <- engine_gradient(case$spec, case$theta, case$data, a_control(20), term_alone("kl_latent"))$loss
  case$spec$latent_mc <- 1L
  estimates <- replicate(repeats(4000, 200),
                         engine_gradient(case$spec, case$theta, case$data, a_control(20), term_alone("kl_latent"))$loss)
  expect_lt(standard_errors_off(estimates, exact), 4)
  expect_lt(case_error(case, a_control(7)), 1e-6)
})

test_that("free bits floor the KL of each dimension in the objective, the report stays the ELBO", {
  set.seed(8)
  fit <- fit_vae(iris[1:4], epochs = 30, free_bits = 0.5)
  expect_equal(fit$history$elbo, -(fit$history$nll + fit$history$kl_latent))
  expect_true(all(fit$history$loss >= -fit$history$elbo - 1e-9))
  warm <- fit_vae(iris[1:4], epochs = 10, kl_warmup = 5, beta = 0.5)
  expect_equal(warm$history$loss, warm$history$nll + 0.5 * warm$history$kl_latent)
  # warm-up only matters while it lasts: the first epoch's KL has next to no weight
  set.seed(9)
  a <- fit_vae(iris[1:4], epochs = 3, kl_warmup = 1000)
  set.seed(9)
  b <- fit_vae(iris[1:4], epochs = 3, beta = 2 / 1001)
  expect_equal(a$history$nll, b$history$nll, tolerance = 1e-3)
})

test_that("with rows held out the validation loss is minus the ELBO of draws, not of means", {
  set.seed(10)
  case <- full_case(list(a_block("gaussian"), a_block("bernoulli")), n = 20)
  case$spec$setting[case$spec$layer == "dropout"] <- 0
  held_out <- case_rows(case$data, 11:20)
  n <- repeats(400, 20)
  fit <- engine_fit(case$spec, spec_layout(case$spec), case_rows(case$data, 1:10), held_out,
                    nn_control(epochs = n, batch_size = 10, learn_rate = 1e-12), case$theta)
  truth <- replicate(n, slow_engine(case$spec, case$theta, held_out, noise = TRUE, c(penalty = 0, kl_weights = 0))$loss)
  found <- fit$history[, "val_loss"]
  expect_lt(abs(mean(found) - mean(truth)), 4 * sqrt(stats::var(found) / n + stats::var(truth) / n))
})

test_that("simulated rows have the columns, types and levels, and the moments, of the data", {
  set.seed(11)
  d <- data.frame(a = stats::rnorm(400, 50, 10), n = stats::rpois(400, 4), yes = stats::runif(400) < 0.3,
                  g = factor(sample(c("u", "v", "w"), 400, TRUE, c(0.5, 0.3, 0.2))), whole = sample(1:9, 400, TRUE))
  d$b <- d$a / 10 + stats::rnorm(400)
  fit <- fit_vae(d, family = c(n = "poisson"), epochs = repeats(150, 5))
  sims <- simulate(fit, 2000, seed = 1)
  expect_identical(lapply(sims, class), lapply(d, class))
  expect_identical(lapply(sims, levels), lapply(d, levels))
  expect_identical(sims, simulate(fit, 2000, seed = 1))
  if (is_watched()) return(invisible())
  expect_equal(mean(sims$a), 50, tolerance = 0.05)
  expect_equal(stats::sd(sims$a), 10, tolerance = 0.15)
  expect_equal(mean(sims$n), 4, tolerance = 0.15)
  expect_equal(mean(sims$yes), 0.3, tolerance = 0.25)
  expect_gt(stats::cor(sims$a, sims$b), 0.4)
})

test_that("imputation is near the closed-form conditional mean, and its intervals cover", {
  skip_if(is_watched())
  set.seed(12)
  n <- 400
  z <- matrix(stats::rnorm(2 * n), n)
  w <- matrix(stats::rnorm(12), 6)
  x <- z %*% t(w) + matrix(stats::rnorm(6 * n, 0, 0.5), n)
  holes <- x
  holes[stats::runif(6 * n) < 0.5] <- NA
  colnames(holes) <- letters[1:6]
  sigma <- tcrossprod(w) + diag(0.25, 6)
  best <- holes
  for (i in seq_len(n)) {
    gap <- is.na(holes[i, ])
    if (!any(gap)) next
    best[i, gap] <- if (all(gap)) 0 else sigma[gap, !gap, drop = FALSE] %*% solve(sigma[!gap, !gap], holes[i, !gap])
  }
  fit <- fit_vae(holes, latent = 2, hidden = 16, epochs = 250)
  found <- impute(fit, holes, type = "mean")
  gaps <- is.na(holes)
  expect_identical(found[!gaps], holes[!gaps])
  rmse <- function(a) sqrt(mean((a[gaps] - x[gaps])^2))
  expect_lt(rmse(found) / rmse(best), 1.1)
  draws <- vapply(impute(fit, holes, m = 60), function(d) d[gaps], numeric(sum(gaps)))
  limits <- apply(draws, 1, stats::quantile, c(0.05, 0.95))
  coverage <- mean(x[gaps] >= limits[1, ] & x[gaps] <= limits[2, ])
  expect_gt(coverage, 0.85)
  expect_lt(coverage, 0.95)
})

test_that("imputations of one call are independent, however few the codes are", {
  set.seed(2)
  d <- data.frame(x = rnorm(300))
  d$y <- 0.8 * d$x + rnorm(300, sd = 0.6)
  fit <- fit_vae(d, latent = 1, hidden = 0, epochs = 100)
  same <- data.frame(x = rep(1, 1500), y = NA_real_)
  for (k in c(1, 10)) {
    drawn <- vapply(impute(fit, same, m = 30, k = k), function(d) d$y, numeric(1500))
    expect_equal(mean(apply(drawn, 1, stats::var)), stats::var(c(drawn)), tolerance = 0.03)
  }
})

test_that("gaps that training never had are imputed, and rows that have them judged, as the closed form says", {
  skip_if(is_watched())
  set.seed(21)
  x <- as.matrix(scaled_iris())
  fit <- linear_vae(x, 2, epochs = 600)
  w <- decoder_of(fit)
  mu <- unname(utils::tail(coef(fit)[fit$layout$role == "bias"], 1)[[1]])[, 1]
  s2 <- noise_of(fit)
  v <- tcrossprod(w) + diag(s2, 4)
  holes <- x
  holes[, 2] <- NA
  slope <- solve(v[-2, -2], v[-2, 2])
  truth <- mu[2] + drop((x[, -2] - rep(mu[-2], each = 150)) %*% slope)
  expect_lt(sqrt(mean((impute(fit, holes, type = "mean")[, 2] - truth)^2)), 0.1)
  draws <- vapply(impute(fit, holes, m = 40), function(d) d[, 2] - truth, numeric(150))
  expect_equal(sqrt(mean(draws^2)), sqrt(v[2, 2] - sum(v[2, -2] * slope)), tolerance = 0.05)
  found <- logLik(fit, holes, k = 300)
  expect_lt(abs(c(found) - sum(marginal_log_lik(x[, -2], mu[-2], w[-2, ], s2))), 5 * attr(found, "se") + 0.5)
})

test_that("impute() keeps the columns as they were", {
  set.seed(22)
  fit <- fit_vae(iris, epochs = 30)
  rows <- iris[c(1, 60, 120), ]
  unknown <- transform(rows, Species = NA)
  expect_s3_class(impute(fit, unknown)$Species, "factor")
  expect_identical(levels(impute(fit, unknown)$Species), levels(iris$Species))
  words <- transform(rows, Species = c(NA, "versicolor", "virginica"))
  expect_identical(impute(fit, words)$Species[2:3], c("versicolor", "virginica"))
  expect_true(impute(fit, words)$Species[1] %in% levels(iris$Species))
})

test_that("a conditional model is the regression of the left on the right", {
  skip_if(is_watched())
  set.seed(13)
  fit <- fit_vae(Sepal.Length + Sepal.Width ~ Species, iris, latent = 1, hidden = 8, epochs = 300)
  expect_identical(names(reconstruct(fit)), c("Sepal.Length", "Sepal.Width"))
  grid <- data.frame(Species = levels(iris$Species))
  sims <- simulate(fit, 2000, newdata = grid)
  expect_identical(names(sims), c("Species", "Sepal.Length", "Sepal.Width"))
  truth <- stats::aggregate(cbind(Sepal.Length, Sepal.Width) ~ Species, iris, mean)
  found <- stats::aggregate(cbind(Sepal.Length, Sepal.Width) ~ Species, sims, mean)
  expect_equal(found[-1], truth[-1], tolerance = 0.03)
  expect_equal(reconstruct(fit, iris), reconstruct(fit), ignore_attr = TRUE)
  expect_equal(decode(fit, encode(fit, iris), iris), reconstruct(fit, iris), ignore_attr = TRUE)
  expect_equal(mean(elbo(fit, iris, draws = 200)), mean(elbo(fit, draws = 200)), tolerance = 0.01)
  dots <- fit_vae(. ~ Species, iris, epochs = 2)
  expect_identical(variable.names(dots), names(iris)[1:4])
  expect_lt(check_gradients(dots), 1e-5)
  expect_identical(nrow(continue(dots, 2)$history), 4L)
  expect_refused(decode(fit, 0), "conditional: give `newdata`")
  expect_refused(simulate(fit, 2), "conditional: give `newdata`")
  expect_refused(encode(fit, iris[-5]), "no column `Species`")
  expect_refused(fit_vae(Sepal.Length ~ Species, transform(iris, Species = NA_character_)), "missing value")
  gap <- transform(iris, Species = replace(Species, 3, NA))
  expect_identical(fit_vae(Sepal.Length ~ Species, gap, latent = 1, epochs = 2)$n_obs, 149L)
  expect_refused(continue(fit, 2, optimizer = "lbfgs"), "trained with draws")
})

test_that("units do not matter: rescaled columns have the same fit, likelihoods shifted by log units", {
  one <- function(d) {
    set.seed(14)
    fit_vae(d, epochs = 5, latent = 2, margins = margins, keep_data = TRUE)
  }
  for (margins in c("normal", "smooth")) {
    a <- one(iris[1:4])
    d <- iris[1:4]
    d$Sepal.Length <- 1000 * d$Sepal.Length + if (margins == "normal") 5 else 0 # a margin has limits, as 0
    b <- one(d)
    expect_equal(a$theta, b$theta, tolerance = 1e-6)
    expect_equal(a$history$elbo - b$history$elbo, rep(log(1000), 5), tolerance = 1e-6)
    set.seed(15)
    e_a <- elbo(a)
    set.seed(15)
    expect_equal(mean(e_a) - mean(elbo(b)), log(1000), tolerance = 1e-5)
    unit <- if (margins == "normal") 1000 else 1 # scores have none
    expect_equal(sigma(b)[["Sepal.Length"]], unit * sigma(a)[["Sepal.Length"]], tolerance = 1e-5)
  }
})

test_that("each kind of sigma is what it says", {
  set.seed(16)
  shared <- fit_vae(iris[1:4], epochs = 40, sigma = "learned", margins = "normal")
  expect_equal(sigma(shared) / apply(iris[1:4], 2, stats::sd), rep(sigma(shared)[[1]] / stats::sd(iris[[1]]), 4),
               ignore_attr = TRUE)
  each <- fit_vae(iris[1:4], epochs = 40, sigma = "each")
  expect_gt(max(sigma(each) / apply(iris[1:4], 2, stats::sd)) / min(sigma(each) / apply(iris[1:4], 2, stats::sd)), 1.05)
  known <- fit_vae(iris[1:4], epochs = 5, sigma = c(Petal.Width = 0.2))
  expect_equal(sigma(known)[["Petal.Width"]], 0.2)
  hetero <- fit_vae(iris[1:4], epochs = 5, sigma = "hetero")
  expect_identical(unique(hetero$family), "gaussian_hetero")
  expect_identical(dim(reconstruct(hetero)), c(150L, 4L))
  expect_identical(dim(simulate(hetero, 7)), c(7L, 4L))
})

test_that("the noise is closed at the mean over rows and draws of the squared error, any number of draws at once", {
  set.seed(1)
  holes <- iris
  holes$Sepal.Length[1:20] <- NA
  fits <- list(each = fit_vae(holes, sigma = "each", epochs = 5), shared = fit_vae(holes, epochs = 5))
  for (fit in fits) {
    train <- training_data(fit, NULL, environment())
    data <- engine_data(train$x, train$y, fit$scaling, weights = stats::runif(150, 0.5, 2))
    squares <- matrix(0, 150, 4)
    set.seed(2)
    for (k in 1:200) squares <- squares + (data$y - fit_run(fit, data, "eta", mode = "weights"))[, 1:4]^2 / 200
    total <- colSums(data$weight * squares, na.rm = TRUE)
    n <- colSums(data$weight * !is.na(data$y[, 1:4]))
    sigma <- sqrt(if (fit$blocks[[1]]$noise == "each") total / n else sum(total) / sum(n))
    for (most in c(draws_at_once, 3000, 1)) {
      with_function("draws_at_once", most, {
        set.seed(2)
        expect_equal(exp(block_free(close_noise(fit, data))[[1]]), sigma, tolerance = 1e-12, ignore_attr = TRUE)
      })
    }
  }
})

test_that("a VAE keeps the contract of its class", {
  set.seed(17)
  fit <- fit_vae(iris, latent = 2, epochs = 10, validation = 0.2)
  expect_s3_class(fit, c("varnn_vae", "varnn"), exact = TRUE)
  expect_true(all(c("epoch", "loss", "nll", "kl_latent", "elbo", "learn_rate", "val_loss") %in% names(fit$history)))
  expect_identical(decode(fit, encode(fit, iris)), reconstruct(fit, iris))
  expect_identical(colnames(encode(fit, iris, sd = TRUE)), c("z1", "z2", "sd1", "sd2"))
  expect_length(predict(fit, iris, type = "error"), 150)
  expect_output(print(fit), "Variational autoencoder")
  expect_output(print(summary(fit)), "dimensions are active")
  expect_identical(encode(unserialize(serialize(fit, NULL)), iris), encode(fit, iris))
  expect_identical(simulate(fit, 3, seed = 2), simulate(fit, 3, seed = 2))
  set.seed(18)
  a <- fit_vae(iris, epochs = 3)
  set.seed(18)
  expect_identical(a$theta, fit_vae(iris, epochs = 3)$theta)
  missing <- iris
  missing$Sepal.Width[1:3] <- NA
  expect_identical(impute(fit, iris), iris)
  expect_false(anyNA(impute(fit, missing)))
  expect_length(impute(fit, missing, m = 3), 3)
  expect_false(anyNA(impute(fit, transform(missing, Petal.Length = NA_real_)[1:4, ])))
  expect_false(anyNA(impute(fit_vae(missing, epochs = 2))))
})

test_that("mistakes are named before any training", {
  expect_refused(fit_vae(iris, sigma = 0), "`sigma` must be")
  expect_refused(fit_vae(iris, sigma = -1), "`sigma` must be")
  expect_refused(fit_vae(iris, sigma = "learnt"), "did you mean \"learned\"")
  expect_refused(fit_vae(iris, sigma = c(Species = 1)), "no argument `Species`|Species")
  expect_refused(fit_vae(iris, sigma = c(1, 2)), "needs the names")
  expect_refused(fit_vae(iris["Species"], sigma = 1), "no column is gaussian")
  expect_refused(fit_vae(iris, beta = -1), "`beta`")
  expect_refused(fit_vae(iris, kl = "both"), "`kl` must be one of")
  expect_refused(fit_vae(iris, mc_samples = 0), "`mc_samples`")
  expect_refused(fit_vae(iris, importance = 1.5), "`importance`")
  expect_refused(fit_vae(iris, importance = 2, free_bits = 1), "`free_bits` belongs to the ELBO")
  expect_refused(fit_vae(iris, optimizer = "lbfgs"), "trained with draws")
  expect_refused(fit_vae(mpg + hp ~ wt + offset(qsec), mtcars), "offset")
  expect_refused(fit_vae(iris["Species"], sigma = "each"), "no column is gaussian")
  expect_refused(fit_vae(iris, family = c(foo = "poisson")), "no column `foo`")
  expect_refused(fit_vae(iris, weights = c(NA, rep(1, 149))), "`weights` has missing values")
  expect_refused(fit_vae(iris, latent = 0), "`latent`")
  expect_refused(fit_vae(iris, kl_warmup = -1), "`kl_warmup`")
  expect_refused(fit_vae(transform(iris, gone = NA_real_)), "Column `gone` has no value")
  expect_refused(fit_vae(transform(iris, when = Sys.Date())), "Column `when`")
  expect_refused(fit_vae(cbind(iris[1:4], five = 5), sigma = "each"), "Column `five` is constant")
  expect_refused(fit_vae(iris, betta = 1), "did you mean \"beta\"")
  fit <- fit_vae(iris, epochs = 1)
  expect_refused(elbo(fit, draws = 0), "`draws`")
  expect_refused(logLik(fit, k = 0), "`k`")
  expect_refused(impute(fit, m = 0), "`m`")
  expect_refused(simulate(fit, 0), "`nsim`")
  expect_s3_class(suppressWarnings(fit_vae(iris["Sepal.Width"], epochs = 2)), "varnn_vae")
})

test_that("a verb says what it is for", {
  fit <- fit_nn(mpg ~ wt, mtcars, epochs = 1)
  for (verb in c("encode", "decode", "reconstruct", "anomaly", "compare_pca"))
    expect_refused(do.call(verb, list(fit)), "needs a fit by fit_ae\\(\\) or fit_vae\\(\\), not one by fit_nn", verb)
  expect_refused(impute(fit_ae(iris, epochs = 1)), "reconstruct\\(\\) of one by fit_ae")
  expect_refused(elbo(1), "fit_vae\\(\\) or fit_bayes_nn\\(\\), not 1")
})

test_that("constant columns come back as they were, in data frames and matrices", {
  set.seed(1)
  d <- data.frame(iris[1:2], k = 0.1, whole = 3L)
  d$k[4] <- NA
  for (fit in list(fit_vae(d, epochs = 3), fit_ae(d, epochs = 3))) {
    expect_identical(unique(simulate(fit, 20)$k), 0.1)
    expect_identical(unique(simulate(fit, 20)$whole), 3L)
    expect_identical(unique(reconstruct(fit, transform(d, k = 7))$k), 0.1)
    expect_output(print(fit), "2 constant")
  }
  fit <- fit_vae(as.matrix(d[-4]), epochs = 3)
  expect_identical(unname(unique(simulate(fit, 20)[, "k"])), 0.1)
  # what is constant among the rows to train on alone is not
  d$k <- c(1, rep(2, 149))
  fit <- fit_vae(d, validation = 1, epochs = 3)
  expect_gt(length(unique(simulate(fit, 20)$k)), 1)
})

test_that("the history of an importance-weighted fit is the bound, above the ELBO and below log p(x)", {
  x <- scaled_iris()
  set.seed(31)
  fit <- linear_vae(x, 2, importance = 5, sigma = 0.6, epochs = 30)
  still <- continue(fit, repeats(200, 20), learn_rate = 1e-12, schedule = "constant")
  h <- utils::tail(still$history, repeats(200, 20))
  mu <- unname(utils::tail(coef(fit)[fit$layout$role == "bias"], 1)[[1]])[, 1]
  truth <- marginal_log_lik(as.matrix(x), mu, decoder_of(still), 0.36)
  bound <- replicate(repeats(40, 4), c(logLik(still, k = 5)) / 150)
  if (!is_watched()) {
    expect_lt(standard_errors_off(-h$loss, mean(bound)), 5)
    expect_lt(standard_errors_off(h$elbo, mean(elbo(still, draws = 500))), 5)
  }
  expect_lt(mean(h$elbo), mean(-h$loss))
  expect_lt(mean(-h$loss), mean(truth))
})

test_that("a conditional fit fills its own gaps in, given columns that it finds again", {
  set.seed(32)
  d <- data.frame(g = factor(rep(c("low", "high"), each = 40)))
  d$a <- ifelse(d$g == "low", 0, 10) + stats::rnorm(80, 0, 0.1)
  d$b <- stats::rnorm(80)
  d$a[c(3, 50)] <- NA
  fit <- fit_vae(a + b ~ g, d, latent = 1, hidden = 0, learn_rate = 0.03, epochs = repeats(400, 20), keep_data = TRUE)
  filled <- impute(fit, type = "mean")
  expect_identical(names(filled), c("a", "b", "g"))
  expect_equal(filled[-c(3, 50), ], d[-c(3, 50), c("a", "b", "g")], ignore_attr = TRUE)
  if (!is_watched()) expect_lt(max(abs(filled$a[c(3, 50)] - c(0, 10))), 1)
  d <- d[-1, ]
  expect_refused(impute(fit), "given columns of the training data are not found")
})

test_that("what is imputed keeps what else a column has", {
  d <- iris
  attr(d$Sepal.Length, "label") <- "length of the sepal"
  d$Sepal.Length[3] <- NA
  expect_identical(attr(impute(fit_vae(d, epochs = 2), d)$Sepal.Length, "label"), "length of the sepal")
})

test_that("as many latent dimensions are chosen as the data have, and print() says by what", {
  set.seed(31)
  factors <- function(k) matrix(rnorm(400 * k), 400) %*% matrix(rnorm(k * 8), k) + rnorm(3200) / 4
  for (k in c(2, 4)) {
    fit <- fit_vae(factors(k), hidden = 8, epochs = 200, learn_rate = 0.01)
    expect_identical(fit$arguments$latent, as.integer(k))
    scores <- fit$arguments$latent_scores
    expect_identical(names(scores), as.character(2^(1:(k / 2 + 1))))
  }
  expect_output(print(fit), "Latent dimensions: 4, chosen by the log-likelihood of rows")
  expect_match(varnn:::latent_line(fit), sprintf("4: %s", formatC(scores[["4"]], digits = 4, format = "fg")))
  damaged <- fit
  damaged$arguments$latent_scores <- list("a")
  expect_error(print(damaged), "damaged", class = "varnn_error")
  expect_warning(fit_vae(iris, latent = 6, epochs = 1), "more than the 5 columns: the others have nothing to tell",
                 class = "varnn_latent")
  expect_error(fit_vae(iris, latent = "many"), "`latent` must be \"auto\" or a whole number above 0",
               class = "varnn_error")
})

test_that("rows without weight, held out or beyond 2,500 take no part in the choice of dimensions", {
  set.seed(32)
  seen <- NULL
  train <- list(x = matrix(0, 4000, 3), y = matrix(0, 4000, 3), weights = rep(0:1, c(1000, 3000)),
                held_out = 1001:1400, design = list(variables = list(1, 2, 3, 4)))
  fit_with <- function(size, part, control) {
    seen <<- c(seen, list(which(part$weights > 0)))
    expect_false(control$verbose)
    list(size = size, stop_reason = "finished")
  }
  scores <- c("2" = -3, "4" = -2)
  with_function("coded_rows", function(fit, x, y) fit, {
    of_size <- function(fit, rows, k) list(mean = scores[[as.character(rows$size)]] + rnorm(500) / 100)
    with_function("row_log_liks", of_size, {
      chosen <- choose_latent(train, nn_control(), fit_with)
      expect_identical(chosen[[1]], 4L)
      expect_equal(chosen[[2]], scores, tolerance = 0.01)
      expect_length(seen[[1]], 2000)
      expect_identical(seen[[1]], seen[[2]])
      expect_true(all(seen[[1]] > 1400))
      scores[["4"]] <- -3.1
      expect_identical(choose_latent(train, nn_control(), fit_with)[[1]], 2L)
    })
  })
  train$weights <- rep(0:1, c(3991, 9))
  expect_identical(choose_latent(train, nn_control(), NULL), list(2L, NULL)) # too few
})

test_that("the defaults are those of a table with hidden layers, else those of textbooks", {
  of <- function(...) fit_vae(..., epochs = 2)$arguments[c("margins", "sigma")]
  table <- list(margins = "smooth", sigma = "each")
  expect_identical(of(iris), table)
  textbook <- list(margins = "normal", sigma = "learned")
  for (fit in list(fit_vae(iris, hidden = 0, epochs = 2), fit_vae(iris, standardize = FALSE, epochs = 2)))
    expect_identical(fit$arguments[c("margins", "sigma", "latent")], c(textbook, list(latent = 2L)))
  expect_identical(of(iris, sigma = "learned", margins = "normal"), textbook)
  # columns that cannot have these are no mistake
  expect_identical(unique(fit_vae(data.frame(a = iris$Species, b = iris$Sepal.Length > 6), epochs = 2)$family),
                   c("categorical", "bernoulli"))
  constant <- fit_vae(cbind(iris[1:4], five = 5), epochs = 2)
  expect_identical(sigma(constant)[["five"]], 1)
  expect_identical(unique(simulate(constant, 5)$five), 5)
  expect_identical(of(mtcars[c("carb", "gear")], family = "poisson"), table)
})

test_that("training is as long as a number of steps, without folds", {
  expect_identical(vae_epochs(300, 32), 1000L)
  expect_identical(vae_epochs(10000, 128), 253L)
  expect_identical(vae_epochs(1e7, 256), 20L)
  fit <- fit_vae(iris[1:20, 1:2], hidden = 2)
  expect_identical(fit$n_epochs, 1000L)
  expect_null(fit$control$epochs_by)
})
