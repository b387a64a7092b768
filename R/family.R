# R's half of the family table: for each row of the engine's, what prediction needs. eta and y are matrices with one
# row per observation, on the engine's scale; `free` is the log of the free scalar (gaussian: of sigma), one per
# response.
#   mean      eta -> mean of y; categorical: probabilities
#   sd        eta, free -> standard deviation, of those families alone that are normal: one number, or like the mean
#   draw      eta, free -> a random y
#   start     y, weights -> the eta at which training starts
#   deviance  y, eta, free -> unit deviances, twice the log-likelihood lost against a perfect fit
#   information  list(eta, y, free), i, j -> the curvature of minus the log-likelihood of each row in the outputs i and
#             j of the block (expected Fisher information), NULL where it is 0; that of a gaussian with sigma 1
#   nll       y, eta, free -> minus the log-likelihood of each entry (categorical: of each observation)

weighted_means <- function(y, w) engine_moments(as_double(y), w)$mean
logit_within <- function(p) stats::qlogis(pmin(pmax(p, 0.005), 0.995))
by_column <- function(x, like) matrix(rep(x, length.out = ncol(like)), nrow(like), ncol(like), byrow = TRUE)
per_column <- function(x, like) if (ncol(like) == 1) x[[1]] else by_column(x, like)
means_half <- function(eta) eta[, seq_len(ncol(eta) %/% 2), drop = FALSE]
scales_half <- function(eta) exp(eta[, ncol(eta) %/% 2 + seq_len(ncol(eta) %/% 2), drop = FALSE])
logit_variance <- function(eta) stats::plogis(eta) * stats::plogis(-eta)
x_log_ratio <- function(y, mu) ifelse(y == 0, 0, y * log(y / mu))
softmax <- function(eta) {
  e <- exp(eta - do.call(pmax, c(lapply(seq_len(ncol(eta)), function(j) eta[, j]), na.rm = FALSE)))
  e / rowSums(e)
}
like_matrix <- function(x, m) array(x, dim(m))
normals_like <- function(m) engine_normals(nrow(m), ncol(m), 1)

# Huber's density e^-rho / its integral: normal in the middle, with exponential tails beyond k.
huber_k <- 1.345
huber_log_integral <- log(sqrt(2 * pi) * (2 * stats::pnorm(huber_k) - 1) + 2 * exp(-huber_k^2 / 2) / huber_k)
huber_rho <- function(e) ifelse(abs(e) <= huber_k, e^2 / 2, huber_k * abs(e) - huber_k^2 / 2)
random_huber <- function(n) {
  in_middle <- sqrt(2 * pi) * (2 * stats::pnorm(huber_k) - 1) / exp(huber_log_integral)
  u <- stats::runif(n)
  tail <- u > in_middle
  middle <- stats::qnorm(stats::pnorm(-huber_k) + stats::runif(n) * (1 - 2 * stats::pnorm(-huber_k)))
  ifelse(tail, sample(c(-1, 1), n, replace = TRUE) * (huber_k + stats::rexp(n, huber_k)), middle)
}

weighted_median <- function(y, w) {
  by <- order(y, na.last = NA)
  share <- cumsum(w[by]) / sum(w[by])
  y[by][which(share >= 0.5)[1]]
}

family_table <- list(
  gaussian = list(
    mean = function(eta) eta,
    sd = function(eta, free) exp(free),
    draw = function(eta, free) eta + per_column(exp(free), eta) * normals_like(eta),
    start = function(y, w) weighted_means(y, w),
    deviance = function(y, eta, free) (y - eta)^2,
    information = function(part, i, j) if (i == j) 1,
    nll = function(y, eta, free) -stats::dnorm(y, eta, per_column(exp(free), eta), log = TRUE)
  ),
  gaussian_hetero = list(
    mean = means_half,
    sd = function(eta, free) scales_half(eta),
    draw = function(eta, free) {
      mean <- means_half(eta)
      mean + scales_half(eta) * normals_like(mean)
    },
    start = function(y, w) {
      m <- weighted_means(y, w)
      c(m, log(pmax(sqrt(weighted_means((y - by_column(m, y))^2, w)), 1e-3)))
    },
    deviance = function(y, eta, free) ((y - means_half(eta)) / scales_half(eta))^2,
    information = function(part, i, j) {
      half <- ncol(part$eta) / 2
      if (i != j) NULL else if (i <= half) exp(-2 * part$eta[, half + i]) else 2
    },
    nll = function(y, eta, free) -stats::dnorm(y, means_half(eta), scales_half(eta), log = TRUE)
  ),
  huber = list(
    mean = function(eta) eta,
    draw = function(eta, free) eta + per_column(exp(free), eta) * like_matrix(random_huber(length(eta)), eta),
    start = function(y, w) apply(y, 2, weighted_median, w),
    deviance = function(y, eta, free) 2 * huber_rho((y - eta) / per_column(exp(free), eta)),
    information = function(part, i, j) {
      in_middle <- (2 * stats::pnorm(huber_k) - 1) * sqrt(2 * pi) / exp(huber_log_integral)
      if (i == j) in_middle * exp(-2 * part$free[min(i, length(part$free))])
    },
    nll = function(y, eta, free) {
      s <- by_column(free, eta)
      huber_rho((y - eta) / exp(s)) + s + huber_log_integral
    }
  ),
  bernoulli = list(
    mean = stats::plogis,
    draw = function(eta, free) like_matrix(stats::rbinom(length(eta), 1, stats::plogis(eta)), eta),
    start = function(y, w) logit_within(weighted_means(y, w)),
    deviance = function(y, eta, free) {
      2 * (x_log_ratio(y, stats::plogis(eta)) + x_log_ratio(1 - y, stats::plogis(-eta)))
    },
    information = function(part, i, j) if (i == j) logit_variance(part$eta[, i]),
    nll = function(y, eta, free) -(y * stats::plogis(eta, log.p = TRUE) + (1 - y) * stats::plogis(-eta, log.p = TRUE))
  ),
  # y: successes, then trials
  binomial = list(
    mean = stats::plogis,
    draw = function(eta, free) like_matrix(stats::rbinom(length(eta), 1, stats::plogis(eta)), eta),
    start = function(y, w) {
      k <- seq_len(ncol(y) %/% 2)
      logit_within(colSums(y[, k, drop = FALSE] * w, na.rm = TRUE) / colSums(y[, -k, drop = FALSE] * w, na.rm = TRUE))
    },
    deviance = function(y, eta, free) {
      s <- means_half(y)
      t <- y[, ncol(y) %/% 2 + seq_len(ncol(s)), drop = FALSE]
      2 * (x_log_ratio(s, t * stats::plogis(eta)) + x_log_ratio(t - s, t * stats::plogis(-eta)))
    },
    information = function(part, i, j) if (i == j) part$y[, 2] * logit_variance(part$eta[, i]),
    nll = function(y, eta, free) {
      s <- means_half(y)
      t <- y[, ncol(y) %/% 2 + seq_len(ncol(s)), drop = FALSE]
      -lchoose(t, s) - s * stats::plogis(eta, log.p = TRUE) - (t - s) * stats::plogis(-eta, log.p = TRUE)
    }
  ),
  categorical = list(
    mean = softmax,
    draw = function(eta, free) {
      p <- softmax(eta)
      u <- stats::runif(nrow(p))
      level <- 1L + rowSums(u > t(apply(p, 1, cumsum))[, -ncol(p), drop = FALSE])
      diag(ncol(p))[level, , drop = FALSE]
    },
    start = function(y, w) {
      p <- pmax(weighted_means(y, w), 0.005)
      log(p) - mean(log(p))
    },
    deviance = function(y, eta, free) 2 * matrix(-log(rowSums(y * softmax(eta)))),
    information = function(part, i, j) {
      p <- softmax(part$eta)
      p[, i] * ((i == j) - p[, j])
    },
    nll = function(y, eta, free) matrix(-log(rowSums(y * softmax(eta))))
  ),
  poisson = list(
    mean = exp,
    draw = function(eta, free) like_matrix(stats::rpois(length(eta), exp(eta)), eta),
    start = function(y, w) log(pmax(weighted_means(y, w), 0.01)),
    deviance = function(y, eta, free) 2 * (x_log_ratio(y, exp(eta)) - (y - exp(eta))),
    information = function(part, i, j) if (i == j) exp(part$eta[, i]),
    nll = function(y, eta, free) -stats::dpois(y, exp(eta), log = TRUE)
  ),
  negative_binomial = list(
    mean = exp,
    draw = function(eta, free) {
      like_matrix(stats::rnbinom(length(eta), size = per_column(exp(free), eta), mu = exp(eta)), eta)
    },
    start = function(y, w) log(pmax(weighted_means(y, w), 0.01)),
    deviance = function(y, eta, free) {
      size <- per_column(exp(free), eta)
      2 * (x_log_ratio(y, exp(eta)) - (y + size) * log((y + size) / (exp(eta) + size)))
    },
    information = function(part, i, j) {
      mu <- exp(part$eta[, i])
      if (i == j) mu / (1 + mu / exp(part$free[min(i, length(part$free))]))
    },
    nll = function(y, eta, free) -stats::dnbinom(y, size = per_column(exp(free), eta), mu = exp(eta), log = TRUE)
  )
)

# What users may call a family, and the links.
family_aliases <- c(normal = "gaussian", multinomial = "categorical", negbin = "negative_binomial",
                    nb = "negative_binomial", softmax = "categorical", logistic = "bernoulli")
family_links <- c(gaussian = "identity", gaussian_hetero = "identity", huber = "identity", binomial = "logit",
                  poisson = "log", negative_binomial = "log", categorical = "softmax")

# The engine's name for a string, a family object or a function that makes one; "auto" stays.
family_name <- function(family) {
  if (is.function(family)) family <- tryCatch(family(), error = function(e) stop_family(family))
  if (inherits(family, "family")) {
    link <- family_links[family$family]
    if (is.na(link)) stop_user("`family` %s is not one of varnn's: use one of %s.", shown(family$family),
                               quoted(families()))
    if (family$link != link)
      stop_user("`family` %s(link = \"%s\") is not available: varnn has it with the link \"%s\".",
                family$family, family$link, link)
    return(family$family)
  }
  if (!is.character(family) || length(family) != 1 || is.na(family)) stop_family(family)
  if (family %in% names(family_aliases)) return(family_aliases[[family]])
  check_choice(family, c("auto", families()), "family")
}

stop_family <- function(family) {
  stop_user("`family` must be \"auto\", a name in families() or a family object such as poisson(), not %s.",
            shown(family))
}
