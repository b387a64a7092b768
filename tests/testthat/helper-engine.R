# Shared by the tests of the engine: small random models and data, a slow engine in plain loops, central differences.

# Loops are shorter where every instruction is watched.
is_watched <- function() nzchar(Sys.getenv("VARNN_SANITIZER")) || nzchar(Sys.getenv("VARNN_VALGRIND"))
is_counted <- function() nzchar(Sys.getenv("VARNN_COVERAGE")) # which lines are run
# A test that takes long and runs no line that others do not: it runs where lines are not counted.
skip_if_counted <- function() skip_if(is_counted(), "lines are counted without it")
# Of two runs of the tests by two R the one that counts lines has long tests that neither R nor another package decides.
skip_if_again <- function() skip_if(nzchar(Sys.getenv("VARNN_TEST_AGAIN")), "the run that counts lines has it")
repeats <- function(n, watched) if (is_watched()) watched else n

# Every combination of rows of tables; where every instruction is watched, or lines are counted, each row once.
row_combinations <- function(...) {
  rows <- list(...)
  if (!is_watched() && !is_counted()) return(expand.grid(rows, stringsAsFactors = FALSE))
  as.data.frame(lapply(rows, rep_len, max(lengths(rows))), stringsAsFactors = FALSE)
}

# Of the rows of a table those in which every two values meet that meet in any: a few of many. All, where
# VARNN_TEST_ALL is set.
row_pairs <- function(rows) {
  if (nzchar(Sys.getenv("VARNN_TEST_ALL"))) return(rows)
  set.seed(1)
  shuffled <- rows[sample(nrow(rows)), , drop = FALSE]
  meets <- utils::combn(ncol(rows), 2, function(two) {
    paste(two[1], two[2], shuffled[[two[1]]], shuffled[[two[2]]])
  })
  is_first <- matrix(!duplicated(as.vector(t(meets))), nrow(meets), byrow = TRUE)
  kept <- shuffled[rowSums(is_first) > 0, , drop = FALSE]
  kept[order(as.integer(rownames(kept))), , drop = FALSE]
}

# Evaluates `expr` with every kernel that this machine has.
with_kernels <- function(expr) {
  expr <- substitute(expr)
  caller <- parent.frame()
  before <- Sys.getenv("VARNN_KERNEL", NA)
  on.exit(if (is.na(before)) Sys.unsetenv("VARNN_KERNEL") else Sys.setenv(VARNN_KERNEL = before))
  for (kernel in engine_kernels()) {
    Sys.setenv(VARNN_KERNEL = kernel)
    eval(expr, caller)
  }
}

# ---- models and data

has_free <- function(family) registry()$family_max_free[match(family, registry()$family)] > 0

# `fixed` is the log of the family's first free scalar where that is not learned; a second one is more by 2.
a_block <- function(family, n_responses = if (family == "categorical") 3 else 2, noise = "each", fixed = 0) {
  if (family == "ordinal") n_responses <- 1
  list(family = family, n_responses = n_responses, levels = if (family == "ordinal") c("a", "b", "c"),
       noise = if (has_free(family)) noise else "fixed", fixed = fixed + if (family == "student_t") c(0, 2) else 0)
}

blocks_eta_rows <- function(blocks) sum(vapply(blocks, eta_rows, 0))

# A response [n, rows of y] that the family can have; a family that is added gets counts, which suit most.
a_response <- function(block, n) {
  k <- block$n_responses
  y <- switch(block$family,
              gaussian = , gaussian_hetero = , huber = , student_t = , quantile = stats::rnorm(n * k),
              gamma = , inverse_gaussian = stats::rgamma(n * k, 2), beta = stats::rbeta(n * k, 2, 2),
              zero_inflated_poisson = , zero_inflated_negative_binomial =
                stats::rpois(n * k, 3) * stats::rbinom(n * k, 1, 0.6),
              bernoulli = stats::rbinom(n * k, 1, 0.5),
              binomial = c(stats::rbinom(n * k, 6, 0.5), 6 + stats::rpois(n * k, 1)),
              ordinal = sample(rep(0:2, length.out = n)),
              categorical = t(stats::rmultinom(n, 1, rep(1, k))),
              weibull = , lognormal = , loglogistic = c(stats::rexp(n * k, 0.3), stats::rbinom(n * k, 1, 0.6)),
              stats::rpois(n * y_rows(block), 3))
  matrix(as.double(y), n)
}

# Random parameters of moderate size, standard deviations of random variables small.
a_theta <- function(spec, sd = 0.4) {
  layout <- spec_layout(spec)
  theta <- stats::rnorm(layout$n_par, 0, sd)
  for (i in which(layout$leaves$part == 1 | layout$leaves$head == 1 & layout$leaves$role == "bias")) {
    at <- leaf_index(layout$leaves[i, ])
    theta[at] <- theta[at] - 1.5
  }
  theta
}

# A model with its parameters and data: weights, an offset and missing entries of y included.
a_case <- function(layers, blocks, n_x = 3, n = 9, posterior = "point", penalty = 0.1, offset = TRUE, missing = 0.15) {
  spec <- new_spec(n_x, layers, blocks, has_offset = offset, penalty = penalty, posterior = posterior, prior_sd = 0.7)
  if (posterior == "laplace") spec <- with_prior(spec, "by_weight")
  x <- matrix(stats::rnorm(n * n_x), n)
  y <- do.call(cbind, lapply(blocks, a_response, n))
  y[stats::runif(length(y)) < missing] <- NaN
  shift <- if (offset) matrix(stats::rnorm(n * blocks_eta_rows(blocks), 0, 0.3), n)
  data <- engine_data(x, y, weights = stats::runif(n, 0.2, 2), offset = shift)
  list(spec = spec, theta = a_theta(spec), data = data)
}

# The specification with this prior; of each weight its own precision, some of them infinite, and its own center.
with_prior <- function(spec, prior) {
  spec$prior <- prior
  if (prior == "program") { # Student's t with four degrees of freedom
    spec <- with_program(spec, "prior_program", as_program(~ log(0.375) - 2.5 * log1p(w^2 / 4), "w", "prior"))
  }
  if (prior != "by_weight") return(spec)
  n <- weights_and_biases(spec)
  spec$precision <- as.double(ifelse(stats::runif(n) < 0.2, Inf, stats::rexp(n)))
  spec$center <- stats::rnorm(n, 0, 0.3)
  spec
}

# How many there are, in all layers: what theta has but for the scalars of the families.
weights_and_biases <- function(spec) {
  leaves <- spec_layout(utils::modifyList(spec, list(prior = "normal")))$leaves
  sum((leaves$rows * leaves$cols)[leaves$role != "noise"])
}

# Priors that weights with a spread can have, and those that points can have.
spread_priors <- function() setdiff(registry()$prior, c("flat", "by_weight"))
point_priors <- function() setdiff(registry()$prior, "flat")

# The part of a case's data in these rows.
case_rows <- function(data, rows) {
  part <- function(m) if (!is.null(m)) m[rows, , drop = FALSE]
  engine_data(part(data$x), part(data$y), weights = data$weight[rows], offset = part(data$offset))
}

# Coefficients of 0 for all terms of the loss but one.
term_alone <- function(term) replace(stats::setNames(numeric(length(registry()$term)), registry()$term), term, 1)

# Control for the entry points that need no more than a batch size and a precision.
a_control <- function(batch_size, ...) nn_control(epochs = 1, batch_size = batch_size, learn_rate = 0.1, ...)

# A model of one gaussian response of known noise.
gaussian_spec <- function(n_x, layers, log_sigma = 0, ...) {
  new_spec(n_x, layers, list(a_block("gaussian", 1, "fixed", log_sigma)), ...)
}

linear_spec <- function(n_x) gaussian_spec(n_x, list(layer("dense", 1, "bias")))

role_index <- function(leaves, role) unlist(lapply(which(leaves$role == role), function(i) leaf_index(leaves[i, ])))

# ---- the slow engine: every formula once more, in loops over single numbers

slow_activation <- list(
  linear = function(x) x,
  relu = function(x) if (is.nan(x)) x else if (x > 0) x else 0,
  leaky_relu = function(x) if (is.nan(x)) x else if (x > 0) x else 0.01 * x,
  elu = function(x) if (is.nan(x)) x else if (x > 0) x else expm1(x),
  selu = function(x) 1.0507009873554804934 * if (is.nan(x)) x else if (x > 0) x else 1.6732632423543772848 * expm1(x),
  gelu = function(x) x * stats::pnorm(x),
  silu = function(x) x * stats::plogis(x),
  tanh = function(x) tanh(x),
  sigmoid = function(x) stats::plogis(x),
  softplus = function(x) if (is.nan(x)) x else if (x > 0) x + log1p(exp(-x)) else log1p(exp(x))
)

slow_slope <- list(
  linear = function(x) 1,
  relu = function(x) if (x > 0) 1 else 0,
  leaky_relu = function(x) if (x > 0) 1 else 0.01,
  elu = function(x) if (x > 0) 1 else exp(x),
  selu = function(x) 1.0507009873554804934 * if (x > 0) 1 else 1.6732632423543772848 * exp(x),
  gelu = function(x) stats::pnorm(x) + x * stats::dnorm(x),
  silu = function(x) stats::plogis(x) * (1 + x * stats::plogis(-x)),
  tanh = function(x) 1 / cosh(x)^2,
  sigmoid = function(x) stats::plogis(x) * stats::plogis(-x),
  softplus = function(x) stats::plogis(x)
)

# Minus the log-likelihood of response j of k of a block, from its rows of eta and y; categorical has one of k levels.
slow_nll <- list(
  gaussian = function(eta, y, j, k, free) -stats::dnorm(y[j], eta[j], exp(free[j]), log = TRUE),
  gaussian_hetero = function(eta, y, j, k, free) -stats::dnorm(y[j], eta[j], exp(eta[k + j]), log = TRUE),
  huber = function(eta, y, j, k, free) {
    e <- abs(y[j] - eta[j]) / exp(free[j])
    if (is.na(e)) return(NA)
    (if (e <= 1.345) e^2 / 2 else 1.345 * e - 1.345^2 / 2) + free[j] + 0.97859819457184116
  },
  bernoulli = function(eta, y, j, k, free) -stats::dbinom(y[j], 1, stats::plogis(eta[j]), log = TRUE),
  binomial = function(eta, y, j, k, free) -stats::dbinom(y[j], y[k + j], stats::plogis(eta[j]), log = TRUE),
  categorical = function(eta, y, j, k, free) {
    if (j == 1 && !anyNA(y)) -stats::dmultinom(y, prob = exp(eta) / sum(exp(eta)), log = TRUE) else NA
  },
  poisson = function(eta, y, j, k, free) -stats::dpois(y[j], exp(eta[j]), log = TRUE),
  negative_binomial = function(eta, y, j, k, free) {
    -stats::dnbinom(y[j], size = exp(free[j]), mu = exp(eta[j]), log = TRUE)
  },
  student_t = function(eta, y, j, k, free) {
    r <- exp(free[2, j])
    free[1, j] - stats::dt((y[j] - eta[j]) / exp(free[1, j]), 0.5 + 1e6 * r / (1e6 + r), log = TRUE)
  },
  gamma = function(eta, y, j, k, free) {
    -stats::dgamma(y[j], exp(free[j]), scale = exp(eta[j] - free[j]), log = TRUE)
  },
  inverse_gaussian = function(eta, y, j, k, free) {
    mu <- exp(eta[j])
    exp(free[j]) * (y[j] - mu)^2 / (2 * mu^2 * y[j]) - log(exp(free[j]) / (2 * pi * y[j]^3)) / 2
  },
  beta = function(eta, y, j, k, free) {
    m <- stats::plogis(eta[j])
    -stats::dbeta(y[j], m * exp(free[j]), (1 - m) * exp(free[j]), log = TRUE)
  },
  zero_inflated_poisson = function(eta, y, j, k, free) {
    p <- stats::plogis(eta[k + j])
    -log(p * (y[j] == 0) + (1 - p) * stats::dpois(y[j], exp(eta[j])))
  },
  zero_inflated_negative_binomial = function(eta, y, j, k, free) {
    p <- stats::plogis(eta[k + j])
    -log(p * (y[j] == 0) + (1 - p) * stats::dnbinom(y[j], size = exp(free[j]), mu = exp(eta[j])))
  },
  quantile = function(eta, y, j, k, free) abs(y[j] - eta[j]) / exp(free[j]) / 2 + free[j] + log(4),
  ordinal = function(eta, y, j, k, free) {
    cut <- c(-Inf, 0, exp(free[j]), Inf)
    -log(stats::plogis(cut[y[j] + 2] - eta[j]) - stats::plogis(cut[y[j] + 1] - eta[j]))
  },
  weibull = function(eta, y, j, k, free) {
    slow_time(y[j], y[k + j], stats::dweibull, stats::pweibull, exp(-free[j]), exp(eta[j]))
  },
  lognormal = function(eta, y, j, k, free) {
    slow_time(y[j], y[k + j], stats::dlnorm, stats::plnorm, eta[j], exp(free[j]))
  },
  loglogistic = function(eta, y, j, k, free) {
    density <- function(t, m, s, log) stats::dlogis(log(t), m, s, log = TRUE) - log(t)
    tail <- function(t, m, s, lower.tail, log.p) stats::plogis(log(t), m, s, FALSE, TRUE)
    slow_time(y[j], y[k + j], density, tail, eta[j], exp(free[j]))
  }
)

# Minus the log density of an event, or log probability of a later one.
slow_time <- function(t, status, density, tail, ...) {
  if (is.na(t) || is.na(status)) return(NA)
  if (status == 1) -density(t, ..., log = TRUE) else -tail(t, ..., lower.tail = FALSE, log.p = TRUE)
}

slow_kl <- function(mu, sigma, prior_sd) {
  kl <- 0
  for (i in seq_along(mu)) {
    s <- sigma[i]^2 / prior_sd^2
    kl <- kl + (s + mu[i]^2 / prior_sd^2 - 1 - log(s)) / 2
  }
  kl
}

# Minus the log density of weights that are points, `first` being the place of the first in theta. An infinite precision
# keeps a weight where it is: it has none.
slow_nlp <- list(
  flat = function(w, first, spec) 0,
  normal = function(w, first, spec) {
    nlp <- 0
    for (i in seq_along(w)) nlp <- nlp - stats::dnorm(w[i], 0, spec$prior_sd, log = TRUE)
    nlp
  },
  by_weight = function(w, first, spec) {
    nlp <- 0
    for (i in seq_along(w)) {
      a <- spec$precision[first + i - 1]
      if (a < Inf) nlp <- nlp + (a * (w[i] - spec$center[first + i - 1])^2 - log(a) + log(2 * pi)) / 2
    }
    nlp
  }
)

# Reads theta leaf by leaf, in the order of the layers; with `noise` each random weight is drawn, else at its mean.
slow_reader <- function(spec, theta, noise) {
  at <- 0
  read <- list(kl = 0, penalty = 0)
  take <- function(rows, cols) {
    at <<- at + rows * cols
    matrix(theta[at - rows * cols + seq_len(rows * cols)], rows, cols)
  }
  read$weight <- function(rows, cols, is_penalized = FALSE) {
    mu <- take(rows, cols)
    if (weights_are_numbers(spec)) {
      if (spec$prior != "flat") read$kl <<- read$kl + slow_nlp[[spec$prior]](mu, at - rows * cols + 1, spec)
      else if (is_penalized) read$penalty <<- read$penalty + spec$penalty / 2 * sum(mu^2)
      return(mu)
    }
    sigma <- exp(take(rows, cols))
    read$kl <<- read$kl + slow_kl(mu, sigma, spec$prior_sd)
    mu + sigma * if (noise) matrix(stats::rnorm(rows * cols), rows, cols) else 0
  }
  read$take <- take
  read$used <- function() at
  read$totals <- function() list(kl_weights = read$kl, penalty = read$penalty)
  read
}

slow_dense_leaves <- function(read, size, cols, has_bias, is_penalized = TRUE) {
  w <- read$weight(size, cols, is_penalized)
  list(w = w, b = if (has_bias) read$weight(size, 1) else matrix(0, size, 1))
}

# The leaves of every layer, weights drawn before any observation is seen.
slow_leaves <- function(spec, read) {
  leaves <- list()
  cols <- spec$n_x
  for (i in seq_along(spec$layer)) {
    size <- spec$size[i]
    leaves[[i]] <- switch(
      spec$layer[i],
      dense = slow_dense_leaves(read, size, cols, spec$option[i] == "bias"),
      layer_norm = list(gain = read$weight(cols, 1), shift = read$weight(cols, 1)),
      latent = list(mu = slow_dense_leaves(read, size, cols, TRUE),
                    log_sigma = if (spec$option[i] %in% c("meanfield", "ivon"))
                      slow_dense_leaves(read, size, cols, TRUE, FALSE)),
      list()
    )
    if (spec$layer[i] %in% c("dense", "latent")) cols <- size
    if (spec$layer[i] == "given") cols <- cols + size
  }
  leaves
}

slow_dense <- function(h, leaf) {
  out <- matrix(0, nrow(h), nrow(leaf$w))
  for (i in seq_len(nrow(out))) for (j in seq_len(ncol(out))) {
    out[i, j] <- leaf$b[j]
    for (k in seq_len(ncol(h))) out[i, j] <- out[i, j] + leaf$w[j, k] * h[i, k]
  }
  out
}

slow_layer_norm <- function(h, leaf) {
  for (i in seq_len(nrow(h))) {
    m <- mean(h[i, ])
    v <- mean((h[i, ] - m)^2)
    for (j in seq_len(ncol(h))) h[i, j] <- leaf$gain[j] * (h[i, j] - m) / sqrt(v + 1e-5) + leaf$shift[j]
  }
  h
}

# Noise is drawn unit by unit within an observation.
slow_dropout <- function(h, rate, noise, keep = 1 / (1 - rate)) {
  if (!noise) return(h)
  for (i in seq_len(nrow(h))) for (j in seq_len(ncol(h)))
    h[i, j] <- if (stats::runif(1) < rate) 0 else h[i, j] * keep
  h
}

slow_noise <- function(h, sd, noise) {
  if (!noise || sd == 0) return(h)
  for (i in seq_len(nrow(h))) for (j in seq_len(ncol(h))) h[i, j] <- h[i, j] + sd * stats::rnorm(1)
  h
}

slow_latent <- function(h, leaf, noise, free) {
  mu <- slow_dense(h, leaf$mu)
  if (is.null(leaf$log_sigma)) return(list(z = mu))
  sigma <- exp(slow_dense(h, leaf$log_sigma))
  z <- mu
  kl <- kl_free <- numeric(nrow(h))
  for (i in seq_len(nrow(z))) {
    kl[i] <- slow_kl(mu[i, ], sigma[i, ], 1)
    for (j in seq_len(ncol(z))) kl_free[i] <- kl_free[i] + max(free, slow_kl(mu[i, j], sigma[i, j], 1))
    for (j in seq_len(ncol(z))) if (noise) z[i, j] <- mu[i, j] + sigma[i, j] * stats::rnorm(1)
  }
  list(z = z, kl = kl, kl_free = if (free > 0) kl_free)
}

# A forward pass: z, eta, the kl of the latents, and what the reader has gathered.
slow_forward <- function(spec, theta, data, noise = FALSE) {
  read <- slow_reader(spec, theta, noise)
  leaves <- slow_leaves(spec, read)
  h <- data$x
  out <- list(read = read)
  for (i in seq_along(spec$layer)) {
    if (spec$layer[i] == "activate") {
      for (k in seq_along(h)) h[k] <- slow_activation[[spec$option[i]]](h[k])
      next
    }
    if (spec$layer[i] == "program") { # by R's own reading of its text
      h[] <- eval(str2lang(spec$programs[[spec$size[i]]]$text)[[2]], list(x = h))
      next
    }
    if (spec$layer[i] == "given") {
      h <- cbind(h, data$x[, utils::tail(seq_len(ncol(data$x)), spec$size[i]), drop = FALSE])
      next
    }
    if (spec$layer[i] == "sparse") {
      out$sparsity <- rowSums(cbind(out$sparsity, spec$setting[i] * rowSums(abs(h))))
      next
    }
    if (spec$layer[i] == "latent") {
      latent <- slow_latent(h, leaves[[i]], noise, spec$setting[i])
      h <- out$z <- latent$z
      out$kl_latent <- latent$kl
      out$kl_free <- latent$kl_free
      next
    }
    h <- switch(spec$layer[i], dense = slow_dense(h, leaves[[i]]), layer_norm = slow_layer_norm(h, leaves[[i]]),
                dropout = slow_dropout(h, spec$setting[i], noise),
                mask = slow_dropout(h, spec$setting[i], noise, 1), noise = slow_noise(h, spec$setting[i], noise),
                stop("this layer has no reference"))
  }
  out$eta <- if (spec$has_offset) h + data$offset else h
  out
}

# The nll of every block and observation.
slow_block_nll <- function(spec, eta, y, read) {
  nll <- matrix(0, nrow(eta), length(spec$family))
  eta_row <- y_row <- 0
  for (b in seq_along(spec$family)) {
    family <- spec$family[b]
    k <- spec$n_responses[b]
    block <- list(family = family, n_responses = k)
    m <- spec$n_free[b]
    constants <- spec$constants[sum(spec$n_constants[seq_len(b - 1)]) + seq_len(spec$n_constants[b])]
    values <- if (!m || spec$noise[b] == "fixed") spec$fixed[sum(spec$n_free[seq_len(b - 1)]) + seq_len(m)]
    else read$take(m * if (spec$noise[b] == "each") k else 1, 1)
    free <- matrix(rep_len(values, m * k), m, k)
    free <- structure(if (m < 2) c(free) else free, constants = constants)
    for (i in seq_len(nrow(eta))) for (j in seq_len(k)) {
      own_eta <- eta[i, eta_row + seq_len(eta_rows(block))]
      own_y <- y[i, y_row + seq_len(y_rows(block))]
      one <- slow_nll[[family]](own_eta, own_y, j, k, free)
      if (!is.na(one)) nll[i, b] <- nll[i, b] + one
    }
    eta_row <- eta_row + eta_rows(block)
    y_row <- y_row + y_rows(block)
  }
  nll
}

# All that one pass gives: eta, z, the terms [n, (kl_latent,) one nll per block], and the loss.
slow_engine <- function(spec, theta, data, noise = FALSE, coefficient = NULL) {
  out <- slow_forward(spec, theta, data, noise)
  nll <- slow_block_nll(spec, out$eta, data$y, out$read)
  stopifnot(out$read$used() == length(theta))
  out$terms <- cbind(out$kl_latent, out$kl_free, out$sparsity, nll, deparse.level = 0)
  weight <- if (is.null(data$weight)) rep(1, nrow(nll)) else data$weight
  totals <- out$read$totals()
  of_rows <- function(term) if (is.null(term)) 0 else sum(weight * term) / sum(weight)
  parts <- c(list(nll = of_rows(nll), kl_latent = of_rows(out$kl_latent), kl_free = of_rows(out$kl_free),
                sparsity = of_rows(out$sparsity)), totals)
  parts[names(coefficient)] <- Map(`*`, parts[names(coefficient)], coefficient)
  out$loss <- sum(unlist(parts))
  out
}

# ---- central differences

central_difference <- function(loss, theta, i, h) {
  up <- down <- theta
  up[i] <- theta[i] + h
  down[i] <- theta[i] - h
  (loss(up) - loss(down)) / (up[i] - down[i])
}

# The worst relative error of a gradient. Where it is large the step is made smaller: it may hold a kink of a relu.
gradient_error <- function(loss, theta, gradient) {
  h <- .Machine$double.eps^(1 / 3) * pmax(1, abs(theta))
  numeric <- vapply(seq_along(theta), function(i) central_difference(loss, theta, i, h[i]), 0)
  error <- function(i, numeric) {
    abs(numeric - gradient[i]) / (abs(numeric) + abs(gradient[i]) + 1e-3 * largest)
  }
  largest <- max(abs(numeric))
  errors <- error(seq_along(theta), numeric)
  for (i in which(!(errors < 1e-6))) for (shrink in c(10, 100, 1000))
    errors[i] <- min(errors[i], error(i, central_difference(loss, theta, i, h[i] / shrink)))
  max(errors)
}

# That of a case, its noise frozen.
case_error <- function(case, control, ...) {
  evaluate <- function(theta) {
    set.seed(7)
    engine_gradient(case$spec, theta, case$data, control, ...)
  }
  held <- held_weights(case$spec) # a case that is made in the call draws before the seed is set
  gradient <- evaluate(case$theta)$gradient
  if (any(gradient[held] != 0)) return(Inf)
  free <- setdiff(seq_along(case$theta), held)
  gradient_error(function(theta) evaluate(replace(case$theta, free, theta))$loss, case$theta[free], gradient[free])
}

# The places in theta of weights that are kept where they are: their slope is 0, whatever the data say.
held_weights <- function(spec) which(is.infinite(spec$precision))

# ---- Monte Carlo

# How many standard errors the mean of x is away from the truth.
standard_errors_off <- function(x, truth) {
  if (!is.matrix(x)) return(abs(mean(x) - truth) / (stats::sd(x) / sqrt(length(x))))
  truth <- rep_len(truth, ncol(x))
  vapply(seq_len(ncol(x)), function(j) standard_errors_off(x[, j], truth[j]), 0)
}

# ---- the models and scripts of single files

some_programs <- list(~ x * plogis(x), ~ sin(2 * x) + x / 2, ~ ifelse(x > 0.1, atan(x), expm1(x)))

# A layer of any kind that the registry has, of random size and option.
random_layer <- function(kind) {
  r <- registry()
  size <- sample(6, 1)
  switch(kind,
         dense = layer("dense", size, sample(c("bias", "none"), 1)),
         activate = layer("activate", option = sample(r$activation, 1)),
         latent = layer("latent", size, sample(independent_posteriors(), 1), sample(c(0, 0.3), 1)),
         given = layer("given", 1),
         program = activation_layer(activation_program(sample(some_programs, 1)[[1]])),
         layer(kind, size, setting = stats::runif(1, 0.1, 0.6)))
}

# Kinds of layers that stand for themselves: layers that need another one are in test-layers.R, layers that read numbers
# of levels in test-embed.R.
single_layers <- function() setdiff(registry()$layer, c("tied", "contract", "embed"))

random_case <- function() {
  r <- registry()
  blocks <- lapply(sample(r$family, sample(3, 1), replace = TRUE), function(family) {
    a_block(family, sample(3, 1) + (family == "categorical"), sample(r$noise, 1), stats::rnorm(1, 0, 0.5))
  })
  kinds <- sample(single_layers(), sample(0:6, 1), replace = TRUE)
  kinds <- kinds[kinds != "latent" | !duplicated(kinds)]
  layers <- c(lapply(kinds, random_layer), list(layer("dense", blocks_eta_rows(blocks), sample(c("bias", "none"), 1))))
  case <- a_case(layers, blocks, n_x = sample(4, 1), n = sample(12, 1), posterior = sample(independent_posteriors(), 1),
                 penalty = sample(c(0, 0.2), 1), offset = stats::runif(1) < 0.3, missing = stats::runif(1, 0, 0.3))
  # with eta so large that its exponential is no single precision number, there is nothing to compare
  sd <- 0.4
  while (max(abs(engine_run(case$spec, case$theta, case$data, mode = "training", draws = 50))) > 10)
    case$theta <- a_theta(case$spec, sd <- sd * 0.9)
  case$kinds <- kinds
  case
}

# A model with every kind of layer.
full_case <- function(blocks, activation = "tanh", posterior = "point", latent = "meanfield", ...) {
  layers <- c(hidden_layers(c(5, 4), activation, c(0.3, 0), TRUE),
              list(layer("latent", 2, latent), layer("dropout", setting = 0.4), layer("dense", 3, "none"),
                   layer("activate", option = activation), layer("dense", blocks_eta_rows(blocks), "bias")))
  a_case(layers, blocks, posterior = posterior, ...)
}

# A random weight seen alone: eta = w x with x = 1.
one_weight <- function(prior_sd) {
  gaussian_spec(1, list(layer("dense", 1, "none")), posterior = "meanfield", prior_sd = prior_sd)
}

# A small smooth problem: weights and biases, tanh.
smooth_problem <- function(penalty = 0.3, hidden = 3) {
  set.seed(22)
  layers <- c(hidden_layers(hidden, "tanh"), list(layer("dense", 1, "bias")))
  case <- a_case(layers, list(a_block("gaussian", 1)), penalty = penalty, missing = 0)
  case$layout <- spec_layout(case$spec)
  case$train <- function(epochs, ..., batch_size = 9, learn_rate = 0.05) {
    control <- nn_control(epochs = epochs, batch_size = batch_size, learn_rate = learn_rate, ...)
    engine_fit(case$spec, case$layout, case$data, NULL, control, case$theta)
  }
  case
}

# Adam on all the data at once, its rate let down.
by_adam <- function(...) {
  set.seed(1)
  fit_nn(..., hidden = 0, optimizer = "adam", epochs = repeats(4000, 2000), batch_size = 1e4, learn_rate = 0.05,
         schedule = "cosine")
}

# Bayesian linear regression with known noise, variance 0.2, and prior N(0, 1): A = X'X / s2 + I / t2.
bayes_problem <- function() {
  x <- unname(cbind(1, scale(mtcars[c("wt", "hp", "disp", "qsec")])))
  y <- matrix(scale(mtcars$mpg))
  a <- crossprod(x) / 0.2 + diag(5)
  spec <- gaussian_spec(5, list(layer("dense", 1, "none")), log(0.2) / 2, posterior = "meanfield")
  list(spec = spec, x = x, y = y, data = engine_data(x, y), a = a, m = drop(solve(a, crossprod(x, y))) / 0.2,
       sd = 1 / sqrt(diag(a)))
}

# A model whose eta is its x.
eta_is_x <- function(block) new_spec(eta_rows(block), list(layer("activate", option = "linear")), list(block))

# eta and a response of the family, 40 observations.
family_case <- function(family) {
  block <- a_block(family, if (family == "categorical") 4 else 2, "fixed", 0.4)
  list(block = block, eta = matrix(stats::rnorm(40 * eta_rows(block)), 40), y = a_response(block, 40),
       free = as_free(block, rep(block$fixed, block$n_responses)))
}

# What `part` of damage.R prints: its last lines, what went wrong, and whether it came to its end.
run_damage <- function(part, share) {
  out <- suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"),
    c("--vanilla", shQuote(c(testthat::test_path("damage.R"), dirname(find.package("varnn")), share, part))),
    stdout = TRUE, stderr = TRUE, timeout = if (is_watched()) 600 else 120
  ))
  list(last = utils::tail(out, 8), bad = grep("^BAD", out, value = TRUE), status = attr(out, "status"),
       calls = as.numeric(sub("DONE ", "", grep("^DONE", out, value = TRUE))))
}

expect_survived <- function(run, at_least) {
  came_to_its_end <- length(run$calls) == 1 && is.null(run$status)
  testthat::expect_true(came_to_its_end, label = paste(c("the end after", run$last), collapse = "\n"))
  testthat::expect_gte(sum(run$calls), at_least)
  testthat::expect_identical(run$bad, character())
}

# Evaluates with another function in the package's place of one.
with_function <- function(name, with, expr) {
  package <- asNamespace("varnn")
  of <- get(name, package)
  put <- function(f) {
    unlockBinding(name, package)
    assign(name, f, package)
    lockBinding(name, package)
  }
  on.exit(put(of))
  put(with)
  expr
}

# The next interrupt is the first.
forget_interrupts <- function() assign("last", NULL, asNamespace("varnn")$work)

# A script in an R of its own.
run_script <- function(...) {
  file <- tempfile(fileext = ".R")
  on.exit(unlink(file))
  writeLines(c(...), file)
  run_damage(file, 1)
}

# Posteriors whose weights are drawn in training; the others are trained as points.
random_posteriors <- function() setdiff(registry()$posterior, c("point", "laplace", "hmc", "dropout", "swag"))

# Families with an output for the share of other zeros.
inflated_names <- function() Filter(function(f) "zero" %in% family_table[[f]]$parts, families())
