# The records of the families, and who reads them.

is_time <- function(family) family_table[[family]]$kind == "time"
time_names <- function() Filter(is_time, families())

test_that("every family of the engine has a record that agrees with it and with the others", {
  r <- registry()
  expect_setequal(names(family_table), r$family)
  of <- function(slot) lapply(family_table[r$family], `[[`, slot)
  expect_equal(lengths(of("parts"), use.names = FALSE), r$family_eta)
  n_free <- lengths(of("free"), use.names = FALSE)
  expect_true(all(n_free >= r$family_min_free & n_free <= r$family_max_free))
  expect_equal(1 + (of("kind") %in% c("trials", "time")), r$family_y, ignore_attr = TRUE)
  aliases <- unlist(of("aliases"))
  expect_false(anyDuplicated(c(aliases, r$family)) > 0)
  for (family in r$family) {
    record <- family_table[[family]]
    for (alias in c(family, record$aliases)) expect_identical(family_name(alias), family)
    if (!is.null(record$twin)) {
      expect_identical(family_table[[record$twin]]$twin, family)
      expect_setequal(c(has_sigma(list(family = family)), has_log_sd(list(family = family))), c(TRUE, FALSE))
    }
    if (!is.null(record$binary)) expect_identical(family_table[[record$binary]]$kind, "binary")
    if (!is.null(record$stats)) expect_identical(record$stats()$link, record$link)
  }
  expect_true(all(loss_families %in% column_families()))
  for (y in list(1:3 / 2, 1:3, c(TRUE, FALSE), factor(1:2), factor(1:3), factor(1:3, ordered = TRUE),
                 as_times(cbind(1:3, 1))))
    expect_identical(sum(vapply(family_table, function(f) f$auto(y), NA)), 1L)
})

test_that("a record with a slot too few, too many, or of another kind is refused", {
  words <- function(record) { # of the error, without a backtrace: they are thousands
    tryCatch({
      do.call(new_family, record, quote = TRUE)
      "accepted"
    }, varnn_error = conditionMessage)
  }
  may_lack <- c(names(family_defaults), "mean", "slope")
  for (family in families()) {
    record <- family_table[[family]]
    expect_identical(do.call(new_family, record), record)
    expect_match(words(c(record, list(size = 1))), "no slot `size`")
    for (slot in names(family_slots)) {
      if (!slot %in% c(may_lack, "link"))
        expect_match(words(record[names(record) != slot]), slot)
      nonsense <- c(list(quote(x), 1i, list(), NA), if (slot != "stats") function(x) x,
                    if (!slot %in% may_lack) list(NULL))
      said <- vapply(nonsense, function(one) words(replace(record, slot, list(one))), "")
      expect_match(said, slot, info = paste(family, slot))
    }
  }
  several <- utils::modifyList(family_table$poisson, list(parts = c("mean", "log_sd")))
  expect_error(do.call(new_family, several), "`parts`", class = "varnn_error")
  both <- utils::modifyList(family_table$poisson, list(sd = function(eta, free) 1))
  expect_error(do.call(new_family, both), "`variance`", class = "varnn_error")
  expect_error(do.call(new_family, utils::modifyList(family_table$poisson, list(noise = "each"))), "`noise`",
               class = "varnn_error")
})

test_that("a family without numbers of its own is given none", {
  expect_output(print(nn_family("normal")), "^gaussian$")
  expect_identical(family_name(nn_family("poisson")), "poisson")
  expect_error(nn_family("gaussian", df = 4), "no number `df`", class = "varnn_error")
  expect_error(nn_family("gaussian", 4), "no number ``", class = "varnn_error")
  expect_error(nn_family("auto"), "\"auto\" is none", class = "varnn_error")
  for (family in list("auto", c(mpg = "huber"), custom_family("own", nll = ~ (y - mu)^2 / 2 + log(2 * pi) / 2)))
    expect_error(fit_nn(mpg ~ wt, mtcars, tau = 0.9, family = family),
                 "`tau` is a number of the family \"quantile\", which `family` does not name", class = "varnn_error")
  expect_error(fit_nn(mpg ~ wt, mtcars, df = 4, family = "gaussian"), "no number `df`", class = "varnn_error")
  of <- function(...) coef(fit_nn(cbind(mpg, hp) ~ wt, mtcars, hidden = 0, ...))
  expect_equal(of(family = list(mpg = nn_family("huber"))), of(family = c(mpg = "huber")))
})

test_that("a block has as many free scalars and constants as its family's row says", {
  spec <- new_spec(1, list(layer("dense", 1, "bias")), list(a_block("huber", 1, "each")))
  expect_identical(spec_layout(spec)$n_par, 3)
  for (n in c(0L, 2L, -1L, NA, 2000L)) {
    other <- utils::modifyList(spec, list(n_free = n, fixed = numeric(max(0, n, na.rm = TRUE))))
    expect_error(spec_layout(other), "damaged")
  }
  expect_error(spec_layout(utils::modifyList(spec, list(fixed = numeric()))), "damaged")
  expect_error(spec_layout(utils::modifyList(spec, list(n_constants = 1L, constants = 1))), "damaged")
  expect_error(spec_layout(utils::modifyList(spec, list(n_constants = 1L))), "damaged")
  fit <- fit_nn(mpg ~ wt, mtcars, family = "huber", hidden = 0)
  for (change in list(list(fixed = c(1, 2)), list(constants = list(df = 4)), list(constants = 4), list(fixed = NA))) {
    damaged <- fit
    damaged$blocks[[1]] <- utils::modifyList(fit$blocks[[1]], change)
    expect_error(predict(damaged), "damaged", class = "varnn_error")
  }
})

# Differences of the distribution function are the density, or the probability of a count.
expect_density <- function(family, record, case) {
  y <- a_response(case$block, 40)
  if (is_time(family)) y <- cbind(y[, 1:2], array(1, c(40, 2)))
  density <- exp(-record$nll(y, case$eta, case$free))
  if (is_time(family)) y <- y[, 1:2]
  cdf <- function(q) record$cdf(q, case$eta, case$free)
  if (record$kind == "count") return(expect_equal(cdf(y) - cdf(y - 1), density, tolerance = 1e-10, label = family))
  kink <- if (family == "huber") abs(abs(y - case$eta) - huber_k * exp(0.4)) < 1e-3 else FALSE
  found <- (cdf(y + 1e-5) - cdf(y - 1e-5)) / 2e-5
  expect_equal(found[!kink], density[!kink], tolerance = 1e-6, label = family)
}

test_that("quantiles invert the distribution function, which is the density's integral", {
  set.seed(12)
  for (family in families()) {
    record <- family_table[[family]]
    if (is.null(record$cdf)) next
    case <- family_case(family)
    mean <- record$mean(case$eta)
    for (p in c(0.01, 0.4, 0.5, 0.97)) {
      q <- record$quantile(p, case$eta, case$free)
      expect_identical(dim(q), dim(mean), label = family)
      at <- record$cdf(q, case$eta, case$free)
      if (record$kind %in% c("number", "positive", "share", "time")) {
        if (record$kind == "share") { # near 1 the distribution function is steep between numbers
          near <- function(side) record$cdf(q + side * 2.3e-16, case$eta, case$free) + side * 1e-9
          at[near(-1) <= p & near(1) >= p] <- p
        }
        expect_equal(at, array(p, dim(mean)), tolerance = 1e-9, label = paste(family, p))
      } else {
        expect_true(all(at >= p - 1e-12 & record$cdf(q - 1, case$eta, case$free) < p), label = paste(family, p))
      }
    }
    expect_density(family, record, case)
  }
})

# The names, strings and names of arguments in code or in data.
words_in <- function(x) {
  if (is.function(x)) return(c(words_in(as.list(formals(x))), words_in(body(x))))
  if (is.character(x)) return(c(x, names(x)))
  if (!is.call(x) && !is.list(x) && !is.expression(x)) return(names(x))
  of_dollar <- if (is.call(x) && identical(x[[1]], quote(`$`)) && is.name(x[[3]])) as.character(x[[3]])
  parts <- lapply(as.list(x), function(part) if (!identical(part, formals(function(x) NULL)$x)) words_in(part))
  c(names(x), of_dollar, unlist(parts, use.names = FALSE))
}

test_that("no code but the records names a family", {
  expect_true(all(c("a", "b", "c", "d") %in% words_in(function(x) switch(x, a = 1, y$b == "c" || list(d = 2)))))
  package <- asNamespace("varnn")
  of_users <- "noise_kinds" # the argument `noise` of fit_ae(), whose gaussian noise is on the input
  records <- c("family_table", "student_t_family", "zero_inflated", grep("_families$", ls(package), value = TRUE))
  known <- setdiff(families(), c("beta", "quantile")) # also an argument, a slot and a type of predictions
  others <- setdiff(ls(package, all.names = TRUE), c(records, of_users))
  naming <- Filter(function(name) any(known %in% words_in(get(name, package))), others)
  expect_identical(naming, character(), label = "functions that name a family")
})

test_that("links lead back, and have the slope of their mean", {
  set.seed(8)
  eta <- matrix(stats::rnorm(12), 6)
  for (name in names(links)) {
    link <- links[[name]]
    back <- link$eta(link$mean(eta))
    expect_equal(link$mean(back), link$mean(eta), tolerance = 1e-12, label = name)
    if (!is.null(link$slope))
      expect_equal(link$slope(eta), (link$mean(eta + 1e-5) - link$mean(eta - 1e-5)) / 2e-5, tolerance = 1e-9,
                   label = name)
  }
})

test_that("R's nll of every family is the engine's", {
  set.seed(1)
  for (family in families()) {
    case <- family_case(family)
    of_engine <- engine_run(eta_is_x(case$block), numeric(), engine_data(case$eta, case$y), "terms")
    of_r <- family_table[[family]]$nll(case$y, case$eta, case$free)
    expect_equal(dim(of_r), if (family %in% c("categorical", "ordinal")) c(40L, 1L) else c(40L, 2L), label = family)
    expect_equal(rowSums(of_r), of_engine[, 1], tolerance = 1e-12, label = family)
  }
})

test_that("the information of every family whose nll is linear in y is its second difference at the mean", {
  set.seed(3)
  others <- c("gaussian_hetero", "huber", "quantile", "ordinal", "student_t", "beta", inflated_names(), time_names())
  for (family in setdiff(families(), others)) {
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
  others <- c("gaussian_hetero", "binomial", "ordinal", "lognormal", "loglogistic", "beta", inflated_names())
  for (family in setdiff(families(), others)) {
    case <- family_case(family)
    y <- family_table[[family]]$mean(case$eta)
    expect_equal(dim(y), c(40L, case$block$n_responses), label = family)
    if (is_time(family)) y <- cbind(y, array(1, dim(y)))
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

# The eta at which the beta distribution has the greatest density at y.
best_beta <- function(y) {
  density <- function(eta) stats::dbeta(y, stats::plogis(eta) * exp(0.4), stats::plogis(-eta) * exp(0.4), log = TRUE)
  stats::optimize(density, c(-30, 30), maximum = TRUE, tol = 1e-8)$maximum
}

test_that("the deviance is twice the log-likelihood lost against the best eta", {
  set.seed(4)
  for (family in setdiff(families(), c("gaussian", "gaussian_hetero", "ordinal"))) { # theirs leaves the noise out
    case <- family_case(family)
    row <- family_table[[family]]
    y <- case$y
    best <- if (is_time(family)) log(y[, 1:2]) + 40 * (1 - y[, 3:4]) * exp(case$free[1]) else
      switch(family, bernoulli = (2 * y - 1) * 40, categorical = y * 40, huber = , quantile = , student_t = y,
                   beta = apply(y, 1:2, best_beta), zero_inflated_poisson = , zero_inflated_negative_binomial =
                     cbind(log(pmax(y, 1e-17)), ifelse(y == 0, 40, -40)),
                   binomial = stats::qlogis(pmin(pmax(y[, 1:2] / y[, 3:4], 1e-17), 1 - 1e-16)), log(pmax(y, 1e-17)))
    lost <- row$nll(y, case$eta, case$free) - row$nll(y, best, case$free)
    expect_equal(c(row$deviance(y, case$eta, case$free)), 2 * c(lost), tolerance = 1e-7, label = family)
  }
})

# The information is the expectation of second differences of nll(eta, free).
expect_information <- function(family, record, eta, y, given_free, nll) {
  n <- nrow(eta)
  for (i in seq_len(ncol(eta))) for (j in seq_len(i)) {
    h <- 1e-3 * (col(eta) == i)
    k <- 1e-3 * (col(eta) == j)
    free <- if (identical(record$free, "sigma")) 0 * given_free else given_free
    up <- nll(eta + h + k, free) - nll(eta + h - k, free)
    second <- (up - nll(eta - h + k, free) + nll(eta - h - k, free)) / 4e-6
    part <- list(eta = eta, y = if (family == "binomial") cbind(0, 1) else y, free = free)
    found <- record$information(part, i, j)
    if (is.null(found)) found <- 0
    off <- second - found
    expect_lt(abs(mean(off)), 4 * stats::sd(off) / sqrt(n) + 1e-5, label = paste(family, i, j))
  }
}

# E d nll / d eta = 0 and E d nll / d free = 0 under the family's own draws, by central differences.
expect_draws_of_nll <- function(family, record, eta, y, free) {
  nll <- function(eta, free) rowSums(record$nll(y, eta, free))
  for (j in seq_len(ncol(eta))) {
    h <- 1e-4 * (col(eta) == j)
    slope <- (nll(eta + h, free) - nll(eta - h, free)) / 2e-4
    expect_lt(standard_errors_off(slope, 0), 4, label = paste(family, j))
  }
  expect_information(family, record, eta, y, free, nll)
  n_scalars <- if (!has_free(family)) 0 else if (is.matrix(free)) nrow(free) else 1
  for (i in seq_len(n_scalars)) {
    h <- if (is.matrix(free)) 1e-4 * (row(free) == i) else 1e-4
    slope <- (nll(eta, free + h) - nll(eta, free - h)) / 2e-4
    expect_lt(standard_errors_off(slope, 0), 4, label = paste(family, "free", i))
  }
}

test_that("what is drawn has the mean, the variance and the information of the family, and the nll its expectation", {
  set.seed(5)
  n <- 20000
  for (family in families()) {
    case <- family_case(family)
    eta <- case$eta[rep(1, n), , drop = FALSE]
    y <- family_table[[family]]$draw(eta, case$free)
    record <- family_table[[family]]
    if (record$kind == "ordered") {
      expect_true(all(standard_errors_off(diag(3)[y + 1, ], record$mean(case$eta, case$free)[1, ]) < 4))
      expect_draws_of_nll(family, record, eta, y, case$free)
      next
    }
    truth <- record$mean(case$eta)[1, ]
    expect_identical(dim(y), c(as.integer(n), length(truth)))
    if (is_time(family)) { # whose mean and variance may be infinite
      for (p in c(0.05, 0.3, 0.9))
        expect_true(all(standard_errors_off(1 * (y < record$quantile(p, eta, case$free)), p) < 4), label = family)
      expect_draws_of_nll(family, record, eta, cbind(y, array(1, dim(y))), case$free)
      next
    }
    expect_true(all(standard_errors_off(y, truth) < 4), label = family)
    sd <- if (is.null(record$sd)) sqrt(record$variance(case$eta, case$free)[1, ]) else record$sd(case$eta, case$free)
    sd <- rep_len(if (is.matrix(sd)) sd[1, ] else sd, length(truth))
    off <- y - rep(truth, each = n)
    expect_true(all(standard_errors_off(off^2, sd^2) < 4), label = family)
    if (!is.null(record$sd)) for (p in c(0.05, 0.3, 0.9))
      expect_true(all(standard_errors_off(1 * (off < rep(stats::qnorm(p, 0, sd), each = n)), p) < 4), label = family)
    if (family == "binomial") y <- cbind(y, array(1, dim(y)))
    expect_draws_of_nll(family, record, eta, y, case$free)
  }
})

test_that("the deviance is at least 0, and 0 where the fit is perfect", {
  set.seed(9)
  for (family in families()) {
    case <- family_case(family)
    record <- family_table[[family]]
    expect_true(all(record$deviance(case$y, case$eta, case$free) >= -1e-12), label = family)
    # a perfect fit has no finite eta, or another one than the mean's: in the test above
    if (family %in% c("categorical", "ordinal", "beta", inflated_names())) next
    y <- record$mean(case$eta)
    if (family == "binomial") y <- cbind(y * 1e6, array(1e6, dim(y)))
    if (is_time(family)) y <- cbind(y, array(1, dim(y)))
    expect_lt(max(abs(record$deviance(y, case$eta, case$free))), 1e-8, label = family)
  }
})

test_that("the slopes of the engine's nll are those of R's", {
  set.seed(10)
  for (family in families()) {
    case <- family_case(family)
    k <- ncol(case$eta)
    spec <- new_spec(k, list(layer("dense", k, "bias")), list(case$block))
    slope <- engine_gradient(spec, c(diag(k), rep(0, k)), engine_data(case$eta, case$y), a_control(40))$gradient
    loss <- function(j, step) {
      eta <- case$eta + step * (col(case$eta) == j)
      mean(rowSums(family_table[[family]]$nll(case$y, eta, case$free)))
    }
    numeric <- vapply(seq_len(k), function(j) (loss(j, 1e-5) - loss(j, -1e-5)) / 2e-5, 0)
    expect_equal(utils::tail(slope, k), numeric, tolerance = 1e-7, label = family)
  }
})

test_that("training starts where a constant eta is best", {
  set.seed(6)
  w <- stats::runif(40, 0.5, 2)
  # theirs depends on free scalars
  of_free <- c("huber", "quantile", "ordinal", "student_t", "beta", inflated_names(), time_names())
  for (family in setdiff(families(), of_free)) {
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

test_that("of exponential times training starts at the best constant eta", {
  set.seed(6)
  y <- cbind(stats::rexp(40), stats::rbinom(40, 1, 0.7))
  y[3, ] <- NA
  w <- stats::runif(40, 0.5, 2)
  loss <- function(eta) sum(w * family_table$weibull$nll(y, matrix(eta, 40, 1), 0), na.rm = TRUE)
  best <- stats::optimize(loss, c(-3, 3), tol = 1e-10)$minimum
  expect_equal(family_table$weibull$start(y, w), best, tolerance = 1e-6)
  for (family in time_names())
    expect_equal(exp(family_table[[family]]$start(y, w)), exp(best) * if (family == "weibull") 1 else log(2),
                 tolerance = 1e-6)
})

# A data frame with a response of the family.
family_data <- function(family, n = 40) {
  data <- data.frame(x = stats::rnorm(n))
  y <- a_response(a_block(family, if (family == "categorical") 3 else 1), n)
  data$y <- switch(family_table[[family]]$kind, levels = factor(letters[max.col(y)]),
                   ordered = factor(letters[y + 1], ordered = TRUE), binary = y[, 1] == 1,
                   trials = cbind(y[, 1], y[, 2] - y[, 1]), time = survival::Surv(y[, 1], y[, 2]),
                   replace(y[, 1], 5, NA))
  data
}

expect_methods <- function(fit, family, data) {
  expect_identical(unname(fit$family), family)
  expect_true(all(is.finite(as.matrix(predict(fit, data, type = "response")))), label = family)
  for (type in c("response", if (!is_time(family)) "pearson", "deviance"))
    expect_true(any(is.finite(residuals(fit, type = type))), label = paste(family, type))
  expect_identical(nrow(simulate(fit, 2, newdata = data)), nrow(data), label = family)
  expect_identical(family_name(family(fit)), if (family == "bernoulli") "binomial" else family)
  expect_true(is.finite(logLik(fit)) && length(capture.output(print(summary(fit)))) > 3, label = family)
}

expect_intervals <- function(fit, family, data) {
  for (interval in c("confidence", "prediction"))
    if (has_interval(fit$blocks[[1]], interval)) {
      found <- predict(fit, data, interval = interval, draws = 40)
      expect_true(all(found[, "lwr"] <= found[, "upr"]), label = paste(family, interval))
    }
}

test_that("every family trains, predicts and simulates in each model that takes it", {
  skip_if_again()
  skip_if_not_installed("survival")
  set.seed(11)
  for (family in families()) {
    data <- family_data(family)
    fits <- list(fit_nn(y ~ x, data, hidden = 2, family = family, epochs = 3))
    for (posterior in c("meanfield", "laplace"))
      fits <- c(fits, list(fit_bayes_nn(y ~ x, data, hidden = 2, family = family, posterior = posterior, epochs = 3,
                                        sigma = "learned", members = 1)))
    for (fit in fits) expect_methods(fit, family, data)
    for (fit in fits[-1]) expect_intervals(fit, family, data)
    if (!family %in% column_families()) next
    for (fit_coder in list(fit_ae, fit_vae)) {
      coder <- fit_coder(data, latent = 1, hidden = 2, family = c(y = family), epochs = 3)
      expect_true(family %in% coder$family)
      expect_false(anyNA(reconstruct(coder, data)), label = family)
    }
    expect_identical(nrow(simulate(coder, 3)), 3L, label = family)
  }
})
