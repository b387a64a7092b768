# The engine's tables and their other half in R.

test_that("names come from the engine's registry alone", {
  r <- registry()
  expect_identical(activations(), r$activation)
  expect_identical(families(), r$family)
  expect_identical(optimizers(), r$optimizer)
  expect_true(all(lengths(r) > 0))
  for (table in r[!grepl("_", names(r))]) {
    expect_type(table, "character")
    expect_false(anyDuplicated(table) > 0)
  }
  promised <- list(
    activation = c("linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softplus"),
    family = c("gaussian", "gaussian_hetero", "huber", "bernoulli", "binomial", "categorical", "poisson",
               "negative_binomial"),
    optimizer = c("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lbfgs"),
    schedule = c("constant", "step", "exponential", "cosine", "plateau"),
    posterior = c("point", "laplace", "meanfield", "last_layer", "full", "lowrank"),
    layer = c("dense", "dropout", "layer_norm")
  )
  for (table in names(promised)) expect_identical(setdiff(promised[[table]], r[[table]]), character())
})

test_that("every row of the engine has its other half in R", {
  expect_setequal(names(family_table), families())
  for (family in families()) {
    of_normal <- if (family %in% c("gaussian", "gaussian_hetero")) "sd"
    expect_setequal(names(family_table[[family]]),
                    c("mean", "draw", "start", "deviance", "information", "nll", of_normal))
    expect_true(all(vapply(family_table[[family]], is.function, NA)))
  }
  expect_setequal(names(response_rules), families())
  expect_setequal(names(learn_rates), optimizers())
  expect_setequal(names(posterior_words), registry()$posterior)
})

test_that("R's nll of every family is the engine's", {
  set.seed(1)
  for (family in families()) {
    case <- family_case(family)
    of_engine <- engine_run(eta_is_x(case$block), numeric(), engine_data(case$eta, case$y), "terms")
    of_r <- family_table[[family]]$nll(case$y, case$eta, case$free)
    expect_equal(dim(of_r), if (family == "categorical") c(40L, 1L) else c(40L, 2L), label = family)
    expect_equal(rowSums(of_r), of_engine[, 1], tolerance = 1e-12, label = family)
  }
})

test_that("the information of every family whose nll is linear in y is its second difference at the mean", {
  set.seed(3)
  for (family in setdiff(families(), c("gaussian_hetero", "huber"))) {
    case <- family_case(family)
    twin <- family_table[[family]]
    mean <- twin$mean(case$eta)
    y <- if (family == "binomial") cbind(mean * 7, array(7, dim(mean))) else mean
    h <- 1e-4
    for (j in seq_len(ncol(case$eta))) {
      step <- array(rep(h * (seq_len(ncol(case$eta)) == j), each = nrow(case$eta)), dim(case$eta))
      nll <- function(eta) engine_run(eta_is_x(case$block), numeric(), engine_data(eta, y), "terms")[, 1]
      second <- (nll(case$eta + step) - 2 * nll(case$eta) + nll(case$eta - step)) / h^2
      part <- list(eta = case$eta, y = cbind(0, rep(7, nrow(y))), free = case$free)
      found <- twin$information(part, j, j)
      if (family == "gaussian") found <- exp(-2 * rep_len(case$free, j)[j])
      expect_equal(rep_len(found, nrow(y)), second, tolerance = 1e-4, label = paste(family, j))
    }
  }
})

test_that("R's mean of every family is where the engine's expected slope is zero", {
  # the nll at y = mean(eta) is least, over eta, at that eta: for families with a canonical or log link
  set.seed(2)
  for (family in setdiff(families(), c("gaussian_hetero", "binomial"))) {
    case <- family_case(family)
    y <- family_table[[family]]$mean(case$eta)
    expect_equal(dim(y), c(40L, case$block$n_responses), label = family)
    k <- eta_rows(case$block)
    spec <- new_spec(k, list(layer("dense", k, "bias")), list(case$block))
    for (i in 1:5) {
      data <- engine_data(case$eta[i, , drop = FALSE], y[i, , drop = FALSE])
      slope <- engine_gradient(spec, c(diag(k), rep(0, k)), data, a_control(1))$gradient
      expect_lt(max(abs(slope)), 1e-13, label = family)
    }
  }
})

test_that("means and deviances are those of stats and MASS", {
  skip_if_not_installed("MASS")
  truth <- list(gaussian = stats::gaussian(), bernoulli = stats::binomial(), poisson = stats::poisson(),
                negative_binomial = MASS::negative.binomial(exp(0.4)))
  set.seed(3)
  for (family in names(truth)) {
    case <- family_case(family)
    link <- if (family == "negative_binomial") exp else truth[[family]]$linkinv
    mu <- link(case$eta)
    expect_equal(family_table[[family]]$mean(case$eta), array(mu, dim(case$eta)), tolerance = 1e-14, label = family)
    deviance <- family_table[[family]]$deviance(case$y, case$eta, case$free)
    expect_equal(c(deviance), truth[[family]]$dev.resids(c(case$y), c(mu), rep(1, length(mu))), tolerance = 1e-12,
                 label = family)
  }
  case <- family_case("binomial")
  trials <- case$y[, 3:4]
  p <- stats::plogis(case$eta)
  expect_equal(family_table$binomial$mean(case$eta), p)
  expect_equal(c(family_table$binomial$deviance(case$y, case$eta, case$free)),
               stats::binomial()$dev.resids(c(case$y[, 1:2] / trials), c(p), c(trials)), tolerance = 1e-12)
  case <- family_case("gaussian_hetero")
  expect_identical(family_table$gaussian_hetero$mean(case$eta), case$eta[, 1:2])
  expect_equal(family_table$gaussian_hetero$deviance(case$y, case$eta, NULL),
               ((case$y - case$eta[, 1:2]) / exp(case$eta[, 3:4]))^2)
  case <- family_case("categorical")
  p <- exp(case$eta) / rowSums(exp(case$eta))
  expect_equal(family_table$categorical$mean(case$eta), p, tolerance = 1e-14)
  deviance <- family_table$categorical$deviance(case$y, case$eta, NULL)
  expect_equal(deviance[, 1], -2 * log(rowSums(p * case$y)), tolerance = 1e-12)
})

test_that("the deviance is twice the log-likelihood lost against the best eta", {
  set.seed(4)
  for (family in setdiff(families(), c("gaussian", "gaussian_hetero"))) { # theirs leaves the noise out
    case <- family_case(family)
    row <- family_table[[family]]
    y <- case$y
    best <- switch(family, bernoulli = (2 * y - 1) * 40, categorical = y * 40, huber = y,
                   binomial = stats::qlogis(pmin(pmax(y[, 1:2] / y[, 3:4], 1e-17), 1 - 1e-16)), log(pmax(y, 1e-17)))
    lost <- row$nll(y, case$eta, case$free) - row$nll(y, best, case$free)
    expect_equal(c(row$deviance(y, case$eta, case$free)), 2 * c(lost), tolerance = 1e-7, label = family)
  }
})

test_that("what is drawn has the mean, and the nll its expectation, of the family", {
  set.seed(5)
  n <- 20000
  for (family in families()) {
    case <- family_case(family)
    eta <- case$eta[rep(1, n), , drop = FALSE]
    y <- family_table[[family]]$draw(eta, case$free)
    truth <- family_table[[family]]$mean(case$eta)[1, ]
    expect_identical(dim(y), c(as.integer(n), length(truth)))
    expect_true(all(standard_errors_off(y, truth) < 4), label = family)
    # E d nll / d eta = 0 and E d nll / d free = 0 under the family's own draws, by central differences
    if (family == "binomial") y <- cbind(y, array(1, dim(y)))
    nll <- function(eta, free) rowSums(family_table[[family]]$nll(y, eta, free))
    for (j in seq_len(ncol(eta))) {
      h <- 1e-4 * (col(eta) == j)
      slope <- (nll(eta + h, case$free) - nll(eta - h, case$free)) / 2e-4
      expect_lt(standard_errors_off(slope, 0), 4, label = paste(family, j))
    }
    slope <- (nll(eta, case$free + 1e-4) - nll(eta, case$free - 1e-4)) / 2e-4
    if (has_free(family)) expect_lt(standard_errors_off(slope, 0), 4, label = family)
  }
})

test_that("training starts where a constant eta is best", {
  set.seed(6)
  w <- stats::runif(40, 0.5, 2)
  for (family in setdiff(families(), "huber")) { # the best depends on its scale: next test
    case <- family_case(family)
    case$y[3, ] <- NA
    start <- family_table[[family]]$start(case$y, w)
    expect_length(start, eta_rows(case$block))
    spec <- new_spec(1, list(layer("dense", length(start), "bias")), list(case$block))
    data <- engine_data(matrix(0, 40, 1), case$y, weights = w)
    slope <- engine_gradient(spec, c(rep(0, length(start)), start), data, a_control(40))$gradient
    expect_lt(max(abs(slope)), 1e-12, label = family)
  }
})

test_that("huber's density is the one with integral 1, its start the weighted median, its deviance up to 2 rho", {
  row <- family_table$huber
  at <- function(y) matrix(y, ncol = 1)
  density <- function(y) exp(-row$nll(at(y), 0 * at(y) + 0.3, log(2)))[, 1]
  expect_equal(stats::integrate(density, -Inf, Inf, rel.tol = 1e-10)$value, 1, tolerance = 1e-9)
  expect_equal(row$start(at(c(1, 5, NA, 9)), c(1, 1, 1, 1)), 5)
  expect_equal(row$start(at(c(1, 5, NA, 9)), c(5, 1, 1, 1)), 1)
  expect_equal(c(row$deviance(at(c(0, 1, 3)), at(c(0, 0, 0)), 0)), c(0, 1, 2 * 1.345 * 3 - 1.345^2))
  # half the draws are nearer than the density's own quartile
  set.seed(7)
  e <- row$draw(matrix(0, 1e5, 1), 0)
  for (q in c(0.5, 1.345, 2.5)) {
    inside <- stats::integrate(function(y) exp(-row$nll(at(y), 0 * at(y), 0))[, 1], -q, q)$value
    expect_lt(standard_errors_off(as.numeric(abs(e) < q), inside), 4)
  }
})
