# The engine against slow loops and formulas of its own tables, and what must not change what is computed.

# ---- the forward pass

# The layers up to the latent: what comes after draws nothing when z is wanted.
encoder_of <- function(spec) {
  fields <- c("layer", "size", "option", "setting")
  spec[fields] <- lapply(spec[fields], utils::head, which(spec$layer == "latent"))
  spec$has_offset <- 0L
  spec
}

test_that("the engine equals the slow engine: every family, activation, kind of weights and of latents, noise", {
  r <- registry()
  expect_length(setdiff(r$activation, names(slow_activation)), 0)
  expect_length(setdiff(r$family, names(slow_nll)), 0)
  cases <- row_combinations(family = r$family, posterior = independent_posteriors(), latent = independent_posteriors(),
                            noise_kind = r$noise)
  cases <- row_pairs(cases)
  cases$activation <- rep_len(r$activation, nrow(cases))
  for (i in seq_len(nrow(cases))) {
    set.seed(i)
    blocks <- list(a_block(cases$family[i], noise = cases$noise_kind[i], fixed = 0.3), a_block(sample(r$family, 1)))
    case <- full_case(blocks, cases$activation[i], cases$posterior[i], cases$latent[i])
    for (noise in c(FALSE, TRUE)) {
      for (want in c("eta", "z", "terms")) {
        set.seed(i)
        slow <- if (want == "z") slow_forward(encoder_of(case$spec), case$theta, case$data, noise)
                else slow_engine(case$spec, case$theta, case$data, noise)
        set.seed(i)
        fast <- engine_run(case$spec, case$theta, case$data, want, mode = if (noise) "training" else "mean")
        expect_equal(fast, slow[[want]], tolerance = 1e-11, label = paste(want, paste(cases[i, ], collapse = " ")))
      }
    }
  }
})

test_that("the loss of the engine is that of the slow engine, term by term", {
  set.seed(4)
  case <- full_case(list(a_block("gaussian"), a_block("poisson")), posterior = "meanfield")
  for (coefficient in list(term_alone("nll"), term_alone("kl_latent"), term_alone("kl_weights"),
                           c(nll = 0.5, kl_latent = 2, kl_weights = 0.1))) {
    set.seed(5)
    slow <- slow_engine(case$spec, case$theta, case$data, noise = TRUE, coefficient)
    set.seed(5)
    fast <- engine_gradient(case$spec, case$theta, case$data, a_control(9), coefficient = coefficient)
    expect_equal(fast$loss, slow$loss, tolerance = 1e-12)
  }
  case <- full_case(list(a_block("bernoulli")), latent = "point")
  set.seed(5)
  slow <- slow_engine(case$spec, case$theta, case$data, noise = TRUE, term_alone("penalty"))
  expect_gt(slow$loss, 0)
  fast <- engine_gradient(case$spec, case$theta, case$data, a_control(9), term_alone("penalty"))
  expect_equal(fast$loss, slow$loss, tolerance = 1e-12)
})

test_that("several draws of the noise are averaged", {
  set.seed(9)
  case <- full_case(list(a_block("gaussian")), posterior = "meanfield")
  gradient <- function(mc_samples) {
    engine_gradient(case$spec, case$theta, case$data, a_control(4), c(1, 0.5, 0.2, 1), mc_samples)
  }
  set.seed(10)
  together <- unlist(gradient(3))
  set.seed(10)
  expect_equal(together, rowMeans(replicate(3, unlist(gradient(1)))), tolerance = 1e-12)
})

test_that("decoding goes on from z", {
  set.seed(6)
  case <- full_case(list(a_block("gaussian")))
  z <- engine_run(case$spec, case$theta, case$data, "z")
  eta <- engine_run(case$spec, case$theta, list(n = 9, offset = case$data$offset), z = z)
  expect_equal(eta, slow_engine(case$spec, case$theta, case$data)$eta, tolerance = 1e-12)
})

test_that("x is centred and scaled, rows are picked", {
  set.seed(7)
  case <- full_case(list(a_block("gaussian")), n = 11)
  data <- case$data
  data$center <- c(1, -2, 0.5)
  data$scale <- c(2, 0.1, 3)
  by_hand <- data
  by_hand$x <- scale(data$x, data$center, data$scale)[, ]
  by_hand$center <- by_hand$scale <- NULL
  expect_equal(engine_run(case$spec, case$theta, data), engine_run(case$spec, case$theta, by_hand), tolerance = 1e-13)
  picked <- c(3, 3, 11, 1)
  data$row <- as.double(picked)
  set.seed(8)
  fast <- engine_gradient(case$spec, case$theta, data, a_control(4))
  set.seed(8)
  slow <- engine_gradient(case$spec, case$theta, case_rows(by_hand, picked), a_control(4))
  expect_equal(fast, slow, tolerance = 1e-13)
})

test_that("activations are accurate to a few ulp, at special values too, and NaN stays NaN", {
  x <- c(0, 1e-300, -1e-300, 1e-10, -1e-10, 50, -50, 800, -800, seq(-30, 30, length.out = 601),
         seq(-700, 700, length.out = 101))
  for (activation in activations()) {
    spec <- gaussian_spec(1, list(layer("dense", 1, "none"), layer("activate", option = activation)))
    y <- function(x, ...) engine_run(spec, 1, engine_data(matrix(x)), ...)[, 1]
    truth <- vapply(x, slow_activation[[activation]], 0)
    # the relative condition of gelu at x < 0 is x^2: there its argument's own rounding shows
    condition <- if (activation == "gelu") pmax(1, ifelse(x < 0, x^2 / 10, 1)) else 1
    expect_true(all(abs(y(x) - truth) <= 1e-14 * condition * abs(truth) + 1e-300), label = activation)
    off <- abs(y(x, precision = "single") - truth) - 1e-6 * condition * abs(truth)
    expect_true(all(off <= 1e-37), label = paste(activation, "in single"))
    for (precision in c("double", "single"))
      expect_identical(is.nan(y(c(1, NaN, -1), precision = precision)), c(FALSE, TRUE, FALSE), label = activation)
  }
})

# That of counts with other zeros, from the counts' own.
inflated <- function(eta, y, nll) {
  rest <- stats::plogis(-eta[, 2], log.p = TRUE)
  of_zero <- vapply(seq_along(nll), function(i) {
    logs <- c(stats::plogis(eta[i, 2], log.p = TRUE), rest[i] - nll[i])
    max(logs) + log(sum(exp(logs - max(logs))))
  }, 0)
  matrix(ifelse(y == 0, -of_zero, nll - rest))
}

# Minus the log-likelihood where stats' functions of a mean would overflow: eta -> nll of y.
stable_nll <- list(
  gaussian = function(eta, y) (y - eta)^2 / 2 + log(2 * pi) / 2,
  gaussian_hetero = function(eta, y) {
    matrix((y[, 1] - eta[, 1])^2 * exp(-2 * eta[, 2]) / 2 + eta[, 2] + log(2 * pi) / 2)
  },
  huber = function(eta, y) {
    e <- abs(y - eta)
    ifelse(e <= 1.345, e^2 / 2, 1.345 * e - 1.345^2 / 2) + 0.97859819457184116
  },
  bernoulli = function(eta, y) -stats::plogis((2 * y - 1) * eta, log.p = TRUE),
  binomial = function(eta, y) {
    matrix(-lchoose(y[, 2], y[, 1]) - y[, 1] * stats::plogis(eta[, 1], log.p = TRUE) -
             (y[, 2] - y[, 1]) * stats::plogis(-eta[, 1], log.p = TRUE))
  },
  categorical = function(eta, y) {
    top <- apply(eta, 1, max)
    matrix(top + log(rowSums(exp(eta - top))) - rowSums(eta * y))
  },
  poisson = function(eta, y) exp(eta) - y * eta + lgamma(y + 1),
  # size 1: geometric
  negative_binomial = function(eta, y) -(stats::plogis(-eta, log.p = TRUE) + y * stats::plogis(eta, log.p = TRUE)),
  quantile = function(eta, y) abs(y - eta) / 2 + log(4),
  ordinal = function(eta, y) {
    p <- function(x) stats::plogis(x, log.p = TRUE)
    cbind(ifelse(y == 0, -p(-eta), ifelse(y == 2, -p(eta - 1), -p(1 - eta) - p(eta) - log(-expm1(-1)))))
  },
  # scale 1
  student_t = function(eta, y) -stats::dt(y - eta, 0.5 + 1 / (exp(-2) + 1e-6), log = TRUE),
  # shape 1: exponential
  gamma = function(eta, y) eta + y * exp(-eta),
  inverse_gaussian = function(eta, y) (y * exp(-eta) - 1)^2 / (2 * y) + log(2 * pi * y^3) / 2,
  # precision 1: Gamma(m) Gamma(1 - m) = pi / sin(pi m)
  beta = function(eta, y) {
    m <- stats::plogis(eta)
    log(pi / sinpi(pmin(m, stats::plogis(-eta)))) + stats::plogis(-eta) * log(y) + m * log1p(-y)
  },
  zero_inflated_poisson = function(eta, y) inflated(eta, y, exp(eta[, 1]) - y * eta[, 1] + lgamma(y + 1)),
  zero_inflated_negative_binomial = function(eta, y) {
    inflated(eta, y, -(stats::plogis(-eta[, 1], log.p = TRUE) + y * stats::plogis(eta[, 1], log.p = TRUE)))
  },
  # scale 1
  weibull = function(eta, y) exp(log(y[, 1]) - eta) + y[, 2] * eta,
  lognormal = function(eta, y) {
    z <- log(y[, 1]) - eta
    cbind(ifelse(y[, 2] == 1, log(y[, 1]) - stats::dnorm(z, log = TRUE), -stats::pnorm(-z, log.p = TRUE)))
  },
  loglogistic = function(eta, y) {
    z <- log(y[, 1]) - eta
    cbind(ifelse(y[, 2] == 1, log(y[, 1]) - stats::dlogis(z, log = TRUE), -stats::plogis(-z, log.p = TRUE)))
  }
)

test_that("the nll is right and has finite gradients at extreme eta", {
  far <- c(0, 1e-300, -1e-300, 0.5, -0.5, 50, -50, 690, -690, 800, -800)
  for (family in families()) {
    expect_true(is.function(stable_nll[[family]]), label = family)
    k <- if (family == "categorical") 3 else 1
    block <- a_block(family, k, "fixed", 0)
    rows <- eta_rows(block)
    eta <- if (rows == 1) matrix(far) else cbind(far, rev(far), if (rows == 3) far / 2)
    if (family == "poisson") eta <- eta[eta < 700, , drop = FALSE]
    if (family == "zero_inflated_poisson") eta[, 1] <- pmin(690, eta[, 1])
    if (family == "gamma") eta <- eta[eta > -700, , drop = FALSE]
    if (family == "inverse_gaussian") eta <- eta[eta > -300, , drop = FALSE]
    if (family == "beta") eta <- eta[abs(eta) < 700, , drop = FALSE]
    if (family == "weibull") eta <- eta[eta > -700, , drop = FALSE]
    if (family == "gaussian_hetero") eta[, 2] <- pmax(-300, eta[, 2])
    set.seed(1)
    y <- a_response(block, nrow(eta))
    identity <- new_spec(rows, list(layer("dense", rows, "bias")), list(block))
    theta <- c(diag(rows), rep(0, rows))
    terms <- engine_run(identity, theta, engine_data(unname(eta), y), "terms")
    expect_true(all(is.finite(terms)), label = family)
    truth <- rowSums(stable_nll[[family]](unname(eta), y))
    expect_equal(terms[, 1], truth, tolerance = 1e-12, label = family)
    for (i in seq_len(nrow(eta))) {
      one <- engine_data(unname(eta[i, , drop = FALSE]), y[i, , drop = FALSE])
      gradient <- engine_gradient(identity, theta, one, a_control(1))$gradient
      expect_true(all(is.finite(gradient)), label = paste(family, far[i]))
    }
  }
})

# ---- what must not change what is computed

test_that("case weights equal repeated rows", {
  set.seed(10)
  case <- a_case(hidden_layers(4, "tanh"), list(a_block("gaussian", 4)), n = 12)
  times <- sample(0:3, 12, replace = TRUE)
  weighted <- case$data
  weighted$weight <- as.double(times)
  repeated <- case_rows(case$data, rep(1:12, times))
  repeated$weight <- NULL
  expect_equal(engine_gradient(case$spec, case$theta, weighted, a_control(5)),
               engine_gradient(case$spec, case$theta, repeated, a_control(5)), tolerance = 1e-13)
  data <- data.frame(x = stats::rnorm(40), u = stats::runif(40))
  data$y <- stats::rpois(40, exp(data$x))
  times <- rep(1:4, 10)
  fit <- function(...) {
    set.seed(11)
    fit_nn(y ~ x + u, family = "poisson", hidden = 3, activation = "tanh", penalty = 0.1, optimizer = "lbfgs", ...)
  }
  by_weight <- fit(data, weights = times)
  by_row <- fit(data[rep(1:40, times), ])
  expect_equal(predict(by_weight, data), predict(by_row, data), tolerance = 1e-6)
  expect_equal(min(by_weight$history$loss), min(by_row$history$loss), tolerance = 1e-8)
})

test_that("a missing response entry equals a smaller data set", {
  for (family in families()) {
    set.seed(12)
    blocks <- list(a_block(family, if (family == "categorical") 2 else 1))
    layers <- c(hidden_layers(3, "tanh"), list(layer("dense", blocks_eta_rows(blocks), "bias")))
    case <- a_case(layers, blocks, n = 10, penalty = 0, missing = 0)
    case$data$weight <- NULL
    some <- case$data
    for (one in seq_len(ncol(some$y))) { # any of the rows of y that a response has makes it missing
      some$y <- case$data$y
      some$y[c(2, 5, 10), one] <- NaN
      holed <- engine_gradient(case$spec, case$theta, some, a_control(4))
      smaller <- engine_gradient(case$spec, case$theta, case_rows(case$data, c(1, 3, 4, 6:9)), a_control(4))
      expect_equal(10 * holed$loss, 7 * smaller$loss, tolerance = 1e-13, label = family)
      expect_equal(10 * holed$gradient, 7 * smaller$gradient, tolerance = 1e-13, label = family)
    }
  }
  # trained: two responses, each with its own rows, are two regressions
  set.seed(13)
  x <- matrix(stats::rnorm(60), 30)
  y <- matrix(stats::rnorm(60), 30)
  y[1:5, 1] <- NA
  y[20:30, 2] <- NA
  both <- fit_nn(x, y, hidden = 0, optimizer = "lbfgs", standardize = FALSE, na.action = stats::na.pass)
  for (j in 1:2) expect_equal(unname(predict(both, x)[, j]), drop(cbind(1, x) %*% stats::coef(stats::lm(y[, j] ~ x))),
                              tolerance = 1e-6)
})

test_that("chunks and batch sizes do not change loss, gradient or eta", {
  set.seed(14)
  blocks <- list(a_block("gaussian", 1), a_block("negative_binomial", 2))
  layers <- c(hidden_layers(c(4, 3), "gelu", layer_norm = TRUE), list(layer("dense", 3, "bias")))
  for (n in c(1, 2, 511:513, 1023:1025, 2049)) {
    case <- a_case(layers, blocks, n = n)
    whole <- engine_gradient(case$spec, case$theta, case$data, a_control(n))
    for (batch_size in c(1, 7, 64, 1024)) {
      chunked <- engine_gradient(case$spec, case$theta, case$data, a_control(batch_size))
      expect_equal(chunked, whole, tolerance = 1e-12, label = paste(n, batch_size))
    }
    eta <- engine_run(case$spec, case$theta, case$data)
    last <- engine_run(case$spec, case$theta, case_rows(case$data, n))
    expect_equal(eta[n, , drop = FALSE], last, tolerance = 1e-13)
    terms <- engine_run(case$spec, case$theta, case$data, "terms")
    nll <- sum(terms * case$data$weight) / sum(case$data$weight)
    layout <- spec_layout(case$spec)
    squares <- sum(case$theta[role_index(layout$leaves, "weight")]^2)
    expect_equal(nll + 0.1 / 2 * squares, whole$loss, tolerance = 1e-12)
    one_epoch <- engine_fit(case$spec, layout, case$data, NULL, a_control(n, optimizer = "sgd"), case$theta)
    expect_equal(one_epoch$theta, case$theta - 0.1 * whole$gradient, tolerance = 1e-12, label = n)
  }
})

# The order of the rows after a pass that shuffles it: one uniform for each swap, from the last row down, asked for 128
# at a time and used from the last.
slow_shuffle <- function(order) {
  left <- 0
  for (i in seq(length(order) - 1, 1)) {
    if (left == 0) u <- stats::runif(left <- min(i, 128))
    j <- floor(u[left] * (i + 1))
    left <- left - 1
    order[c(j, i) + 1] <- order[c(i, j) + 1]
  }
  order
}

test_that("every epoch takes every row once, in random batches, with what is left over as the last", {
  for (n in c(9, 150)) for (batch_size in c(4, 5, n - 1)) {
    set.seed(15)
    spec <- linear_spec(2)
    data <- engine_data(matrix(stats::rnorm(2 * n), n), matrix(stats::rnorm(n)))
    control <- nn_control(epochs = 3, batch_size = batch_size, optimizer = "sgd", learn_rate = 0.1)
    set.seed(16)
    fast <- engine_fit(spec, spec_layout(spec), data, NULL, control, c(0.1, 0.2, 0.3))
    set.seed(16)
    theta <- c(0.1, 0.2, 0.3)
    order <- seq_len(n)
    losses <- numeric(3)
    for (epoch in 1:3) {
      order <- slow_shuffle(order)
      for (batch in split(order, (seq_len(n) - 1) %/% batch_size)) {
        g <- engine_gradient(spec, theta, case_rows(data, batch), a_control(length(batch)))
        theta <- theta - 0.1 * g$gradient
        losses[epoch] <- losses[epoch] + g$loss * length(batch) / n
      }
    }
    expect_equal(fast$theta, theta, tolerance = 1e-12)
    expect_equal(unname(fast$history[, "loss"]), losses, tolerance = 1e-12)
  }
})

test_that("one row can be trained on and predicted", {
  set.seed(17)
  for (family in c("gaussian", "poisson", "bernoulli")) {
    fit <- suppressWarnings(fit_nn(y ~ x, data.frame(x = 1, y = 1), family = family, hidden = 2, epochs = 12))
    expect_true(is.finite(predict(fit, data.frame(x = 1))))
  }
})

# ---- the generator

test_that("set.seed() makes fits identical, with every optimizer, noise and precision", {
  for (optimizer in optimizers()) for (precision in c("double", "single")) {
    fit <- function() {
      set.seed(18)
      suppressWarnings(fit_nn(mpg ~ ., mtcars, hidden = c(4, 3), dropout = 0.2, layer_norm = TRUE, validation = 0.25,
                              starts = 2, epochs = 6, batch_size = 10, optimizer = optimizer, precision = precision))
    }
    first <- fit()
    expect_identical(first, fit(), label = optimizer)
    set.seed(19)
    expect_false(identical(first$theta, suppressWarnings(stats::update(first))$theta))
  }
})

test_that("random weights and latents train to identical results after set.seed()", {
  case <- full_case(list(a_block("gaussian")), posterior = "meanfield")
  train <- function() {
    set.seed(20)
    engine_fit(case$spec, spec_layout(case$spec), case$data, NULL,
               nn_control(epochs = 4, batch_size = 2, learn_rate = 0.01), case$theta, mc_samples = 2)
  }
  expect_identical(train(), train())
})

test_that("draws have their mean and variance; the KL is the mean of the log ratio", {
  unit <- engine_data(matrix(1), matrix(0))
  for (case in list(c(0.7, 0.3, 1), c(-2, 1.5, 0.5), c(0, 1, 1))) {
    mu <- case[1]
    sigma <- case[2]
    prior_sd <- case[3]
    theta <- c(mu, log(sigma))
    set.seed(21)
    w <- engine_run(one_weight(prior_sd), theta, unit, mode = "training", draws = 1e5)[1, 1, ]
    expect_lt(standard_errors_off(w, mu), 4)
    expect_lt(standard_errors_off((w - mu)^2, sigma^2), 4)
    kl <- engine_gradient(one_weight(prior_sd), theta, unit, a_control(1), term_alone("kl_weights"))$loss
    expect_equal(kl, (sigma^2 / prior_sd^2 + mu^2 / prior_sd^2 - 1 + 2 * log(prior_sd / sigma)) / 2, tolerance = 1e-14)
    log_ratio <- stats::dnorm(w, mu, sigma, log = TRUE) - stats::dnorm(w, 0, prior_sd, log = TRUE)
    if (kl > 0) expect_lt(standard_errors_off(log_ratio, kl), 4) else expect_equal(log_ratio, rep(0, 1e5))
    expect_gte(kl, 0)
  }
  expect_identical(engine_run(one_weight(1), c(0.7, -1), unit)[1], 0.7) # the mean mode draws nothing
})

# ---- optimizers

# From theta, steps by the formulas of the papers. `grad` is the gradient of a smooth function, `decay` the weight decay
# of each parameter.
slow_optimizer <- list(
  sgd = function(theta, grad, steps, rate, momentum, decay) {
    for (t in seq_len(steps)) theta <- theta - rate * grad(theta)
    theta
  },
  # Polyak (1964): a step and a share of the last one
  momentum = function(theta, grad, steps, rate, momentum, decay) {
    before <- theta
    for (t in seq_len(steps)) {
      after <- theta - rate * grad(theta) + momentum * (theta - before)
      before <- theta
      theta <- after
    }
    theta
  },
  # Sutskever et al. (2013), equations 3 and 4: the gradient where the velocity leads. The engine keeps that point.
  nesterov = function(theta, grad, steps, rate, momentum, decay) {
    v <- 0
    for (t in seq_len(steps)) {
      v <- momentum * v - rate * grad(theta + momentum * v)
      theta <- theta + v
    }
    theta + momentum * v
  },
  # Duchi et al. (2011), the diagonal version
  adagrad = function(theta, grad, steps, rate, momentum, decay) {
    squares <- 0
    for (t in seq_len(steps)) {
      g <- grad(theta)
      squares <- squares + g^2
      theta <- theta - rate * g / (sqrt(squares) + 1e-8)
    }
    theta
  },
  # Tieleman and Hinton (2012), lecture 6.5
  rmsprop = function(theta, grad, steps, rate, momentum, decay) {
    mean_square <- 0
    for (t in seq_len(steps)) {
      g <- grad(theta)
      mean_square <- 0.9 * mean_square + 0.1 * g^2
      theta <- theta - rate * g / (sqrt(mean_square) + 1e-8)
    }
    theta
  },
  # Kingma and Ba (2015), algorithm 1
  adam = function(theta, grad, steps, rate, momentum, decay) {
    slow_optimizer$adamw(theta, grad, steps, rate, momentum, 0)
  },
  # Loshchilov and Hutter (2019), algorithm 2, with the decay in units of the rate
  adamw = function(theta, grad, steps, rate, momentum, decay) {
    m <- v <- 0
    for (t in seq_len(steps)) {
      g <- grad(theta)
      m <- momentum * m + (1 - momentum) * g
      v <- 0.999 * v + 0.001 * g^2
      theta <- theta - rate * ((m / (1 - momentum^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8) + decay * theta)
    }
    theta
  },
  # of parameters that are not means of normal weights
  ivon = function(...) slow_optimizer$adam(...)
)

test_that("the first steps of every optimizer are those of its paper", {
  expect_identical(setdiff(optimizers(), c(names(slow_optimizer), "lbfgs")), character())
  case <- smooth_problem()
  plain <- smooth_problem(0)
  decay <- replace(0 * case$theta, role_index(case$layout$leaves, "weight"), 0.3)
  for (optimizer in setdiff(optimizers(), "lbfgs")) for (momentum in c(0.9, 0.5)) {
    spec <- if (optimizer == "adamw") plain$spec else case$spec # its penalty is no part of the loss
    grad <- function(theta) engine_gradient(spec, theta, case$data, a_control(9))$gradient
    for (steps in c(1, 2, 7)) {
      truth <- slow_optimizer[[optimizer]](case$theta, grad, steps, 0.05, momentum, decay)
      fast <- case$train(steps, optimizer = optimizer, momentum = momentum)
      expect_equal(fast$theta, truth, tolerance = 1e-11, label = paste(optimizer, steps))
    }
  }
})

test_that("steps are the same in leaves longer than the blocks of a kernel", {
  case <- smooth_problem(0, hidden = 175) # 525 weights
  grad <- function(theta) engine_gradient(case$spec, theta, case$data, a_control(9))$gradient
  for (optimizer in setdiff(optimizers(), "lbfgs")) {
    truth <- slow_optimizer[[optimizer]](case$theta, grad, 3, 0.05, 0.9, 0)
    expect_equal(case$train(3, optimizer = optimizer)$theta, truth, tolerance = 1e-11, label = optimizer)
  }
})

# Liu and Nocedal (1989): the inverse BFGS matrix from the pairs s, y, begun with s'y / y'y I of the last pair.
inverse_bfgs <- function(s, y, n) {
  h <- diag(n)
  for (j in seq_along(s)) {
    if (j == 1) h <- h * sum(s[[length(s)]] * y[[length(s)]]) / sum(y[[length(s)]]^2)
    left <- diag(n) - s[[j]] %*% t(y[[j]]) / sum(s[[j]] * y[[j]])
    h <- left %*% h %*% t(left) + s[[j]] %*% t(s[[j]]) / sum(s[[j]] * y[[j]])
  }
  h
}

test_that("L-BFGS goes along the direction of the BFGS matrix, to the weak Wolfe conditions", {
  case <- smooth_problem()
  at <- function(theta) engine_gradient(case$spec, theta, case$data, a_control(9))
  theta <- lapply(0:8, function(epochs) if (epochs) case$train(epochs, optimizer = "lbfgs")$theta else case$theta)
  g <- lapply(theta, function(t) at(t)$gradient)
  for (k in 1:8) {
    pairs <- seq_len(k - 1)
    s <- lapply(pairs, function(j) theta[[j + 1]] - theta[[j]])
    y <- lapply(pairs, function(j) g[[j + 1]] - g[[j]])
    direction <- -drop(inverse_bfgs(s, y, length(case$theta)) %*% g[[k]])
    step <- theta[[k + 1]] - theta[[k]]
    expect_equal(step / sqrt(sum(step^2)), direction / sqrt(sum(direction^2)), tolerance = 1e-7, label = k)
    slope <- sum(g[[k]] * step)
    expect_lte(at(theta[[k + 1]])$loss, at(theta[[k]])$loss + 1e-4 * slope)
    expect_gte(sum(g[[k + 1]] * step), 0.9 * slope)
  }
})

test_that("the decoupled decay is that of a penalty, and random weights have none", {
  spec <- gaussian_spec(1, list(layer("dense", 1, "none")), posterior = "meanfield", penalty = 0.5)
  data <- engine_data(matrix(c(1, 2, 3)), matrix(0, 3, 1))
  trained <- lapply(c("adam", "adamw"), function(optimizer) {
    set.seed(1)
    control <- nn_control(epochs = 5, batch_size = 3, optimizer = optimizer, learn_rate = 0.1)
    engine_fit(spec, spec_layout(spec), data, NULL, control, c(1, -3))$theta
  })
  expect_identical(trained[[1]], trained[[2]])
})

test_that("every optimizer lowers the loss of a regression", {
  for (optimizer in optimizers()) {
    set.seed(23)
    fit <- fit_nn(mpg ~ ., mtcars, hidden = 6, layer_norm = TRUE, optimizer = optimizer, epochs = 60) # random weights
    expect_lt(fit$history$loss[nrow(fit$history)], fit$history$loss[1] - 0.3)
  }
})

test_that("gradients longer than clip_norm are shortened to it", {
  case <- smooth_problem()
  g <- engine_gradient(case$spec, case$theta, case$data, a_control(9))$gradient
  length_of <- sqrt(sum(g^2))
  for (clip_norm in length_of * c(0.1, 0.99, 1.01)) {
    moved <- case$theta - case$train(1, optimizer = "sgd", clip_norm = clip_norm)$theta
    expect_equal(moved, 0.05 * g * min(1, clip_norm / length_of), tolerance = 1e-12)
  }
})

# ---- schedules

slow_schedule <- list(
  constant = function(epoch, n) 1,
  step = function(epoch, n) c(1, 0.1, 0.01)[1 + (epoch >= n / 3) + (epoch >= 2 * n / 3)],
  exponential = function(epoch, n) 0.01^(epoch / (n - 1)),
  cosine = function(epoch, n) 0.01 + 0.99 * (1 + cos(pi * epoch / (n - 1))) / 2,
  plateau = NULL
)

test_that("the learning rate follows its schedule, in the history and in the steps", {
  expect_length(setdiff(registry()$schedule, c(names(slow_schedule), "plateau")), 0)
  case <- smooth_problem()
  for (schedule in setdiff(registry()$schedule, "plateau")) for (n in c(2, 9, 10)) {
    rates <- 0.2 * vapply(seq_len(n) - 1, slow_schedule[[schedule]], 0, n = n)
    fast <- case$train(n, schedule = schedule, optimizer = "sgd", learn_rate = 0.2)
    expect_equal(unname(fast$history[, "learn_rate"]), rates, tolerance = 1e-12, label = paste(schedule, n))
    theta <- case$theta
    for (rate in rates) theta <- theta - rate * engine_gradient(case$spec, theta, case$data, a_control(9))$gradient
    expect_equal(fast$theta, theta, tolerance = 1e-11, label = schedule)
  }
})

test_that("plateau halves the rate after every 10 epochs without improvement", {
  set.seed(24)
  case <- smooth_problem()
  h <- case$train(150, schedule = "plateau", optimizer = "sgd", learn_rate = 3, batch_size = 2)$history
  rate <- 3
  stale <- 0
  best <- Inf
  rates <- numeric(150)
  for (epoch in 1:150) {
    if (stale > 0 && stale %% 10 == 0) rate <- rate / 2
    rates[epoch] <- rate
    stale <- if (h[epoch, "loss"] < best) 0 else stale + 1
    best <- min(best, h[epoch, "loss"])
  }
  expect_lt(rates[150], 1)
  expect_identical(unname(h[, "learn_rate"]), rates)
})

# ---- ends of training

test_that("early stopping returns the parameters that were best on the validation data", {
  set.seed(25)
  layers <- c(hidden_layers(8, "tanh"), list(layer("dense", 1, "bias")))
  case <- a_case(layers, list(a_block("gaussian", 1, "fixed")), n = 30, penalty = 0, missing = 0)
  train <- function(patience) {
    set.seed(26)
    engine_fit(case$spec, spec_layout(case$spec), case_rows(case$data, 1:15), case_rows(case$data, 16:30),
               nn_control(epochs = 200, batch_size = 5, learn_rate = 0.05, patience = patience), case$theta)
  }
  all <- train(Inf)
  held_out <- slow_engine(case$spec, all$theta, case_rows(case$data, 16:30))$loss
  expect_equal(held_out, min(all$history[, "val_loss"]), tolerance = 1e-12)
  expect_identical(all$best_epoch, which.min(all$history[, "val_loss"]))
  expect_lt(all$best_epoch, 190) # it overfits, or this shows nothing
  stopped <- train(10)
  expect_identical(stopped$status, "patience")
  best <- which.min(stopped$history[, "val_loss"])
  expect_identical(stopped$epochs, best + 10L)
  expect_identical(stopped$history, all$history[seq_len(best + 10), ])
  held_out <- slow_engine(case$spec, stopped$theta, case_rows(case$data, 16:30))$loss
  expect_equal(held_out, min(stopped$history[, "val_loss"]), tolerance = 1e-12)
})

test_that("without a random bottleneck the validation loss is that of the means of weights and dropout", {
  for (posterior in independent_posteriors()) {
    set.seed(32)
    case <- full_case(list(a_block("gaussian"), a_block("bernoulli")), posterior = posterior, latent = "point", n = 20)
    held_out <- case_rows(case$data, 11:20)
    fit <- engine_fit(case$spec, spec_layout(case$spec), case_rows(case$data, 1:10), held_out,
                      nn_control(epochs = 1, batch_size = 3, learn_rate = 0.01), case$theta)
    truth <- slow_engine(case$spec, fit$theta, held_out, coefficient = c(kl_weights = 0, penalty = 0))$loss
    expect_equal(fit$history[[1, "val_loss"]], truth, tolerance = 1e-11, label = posterior)
  }
})

test_that("a fit predicts with its best parameters: its validation loss is the least of its history", {
  set.seed(27)
  rows <- sample(150, 50)
  fit <- fit_nn(Species ~ ., iris, hidden = 10, validation = rows, epochs = 60, learn_rate = 0.1)
  p <- predict(fit, iris[rows, ], type = "prob")
  expect_equal(mean(-log(p[cbind(1:50, as.integer(iris$Species[rows]))])), min(fit$history$val_loss), tolerance = 1e-9)
  expect_identical(fit$best_epoch, which.min(fit$history$val_loss))
})

test_that("of several starts the best is kept", {
  last <- numeric()
  watch <- function(epoch, row) {
    if (epoch == 1) last[length(last) + 1] <<- NA
    last[length(last)] <<- row[["loss"]]
    FALSE
  }
  set.seed(29)
  fit <- fit_nn(am ~ ., mtcars, family = "bernoulli", hidden = 3, epochs = 15, starts = 5, callback = watch)
  expect_length(last, 5)
  expect_identical(fit$history$loss[15], min(last))
  expect_gt(which.min(last), 1)
})

test_that("continue() equals a longer fit", {
  for (optimizer in setdiff(optimizers(), "lbfgs")) {
    fit <- function(epochs) {
      set.seed(29)
      fit_nn(mpg ~ ., mtcars, hidden = 4, optimizer = optimizer, epochs = epochs, batch_size = 32, learn_rate = 0.01)
    }
    longer <- fit(15)
    continued <- continue(fit(6), 9)
    expect_identical(continued$theta, longer$theta, label = optimizer)
    expect_identical(continued$state, longer$state, label = optimizer)
    expect_equal(continued$history, longer$history, label = optimizer)
    expect_identical(predict(continued), predict(longer))
  }
  fit <- fit_nn(mpg ~ ., mtcars, hidden = 4, optimizer = "lbfgs", epochs = 5)
  expect_lt(continue(fit, 30)$history$loss[nrow(fit$history) + 5], min(fit$history$loss))
})

test_that("a callback ends training", {
  fit <- fit_nn(mpg ~ ., mtcars, epochs = 50, callback = function(epoch, row) epoch == 7)
  expect_identical(fit$stop_reason, "callback")
  expect_identical(nrow(fit$history), 7L)
})

test_that("an interrupt keeps the work", {
  skip_on_os("windows")
  interrupt <- function(epoch, row) {
    if (epoch == 7) tools::pskill(Sys.getpid(), tools::SIGINT)
    FALSE
  }
  set.seed(30)
  forget_interrupts()
  expect_warning(expect_message(fit <- fit_nn(mpg ~ ., mtcars, epochs = 40, callback = interrupt), "Interrupted"),
                 class = "varnn_interrupted")
  expect_identical(fit$stop_reason, "interrupted")
  expect_true(nrow(fit$history) >= 7 && nrow(fit$history) < 40)
  expect_true(all(is.finite(predict(fit, mtcars))))
  expect_true(all(is.finite(continue(fit, 3, callback = NULL)$theta)))
})

test_that("a time limit ends training", {
  on.exit(setTimeLimit())
  took <- system.time(expect_error({
    setTimeLimit(elapsed = 0.5, transient = TRUE)
    fit_nn(mpg ~ ., mtcars, epochs = 1e6)
  }, "time limit"))
  expect_lt(took[["elapsed"]], if (is_watched()) 60 else 10)
})

test_that("training that diverges warns and returns finite parameters, no worse than the start's", {
  for (optimizer in c("sgd", "momentum", "nesterov")) {
    set.seed(31)
    expect_warning(
      fit <- fit_nn(mpg ~ ., mtcars, optimizer = optimizer, learn_rate = 1e10, epochs = 50, batch_size = 32),
      class = "varnn_diverged"
    )
    expect_identical(fit$stop_reason, "diverged")
    expect_true(all(is.finite(fit$theta)))
    # batches are whole: the first row of the history is the loss at the start
    mean_square <- mean((predict(fit, mtcars) - mtcars$mpg)^2)
    expect_lte(log(2 * pi * mean_square) / 2 + 0.5, fit$history$loss[1] + 1e-9)
  }
})
