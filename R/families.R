# The families: a record for each, which is all that R knows of it beside the engine's row in family.c. A record has
# these slots; those in brackets have a value where it does not say. eta and y are matrices with a row for each
# observation, on the engine's scale. `free` has the free scalars. Of a family with one it is a vector, with a number
# for each response or one for all; of a family with several a matrix with such numbers in the row of each scalar, by
# name.
#   kind         of the response: "number", "positive" (numbers above 0), "share" (numbers between 0 and 1), "count"
#                (whole numbers), "binary" (y is 0 or 1, or a share), "levels" (of a factor: a column of eta and of y
#                for each), "ordered" (levels of an ordered factor: y is 0, 1, ..., and the mean has a column for
#                each), "trials" (successes and failures: y has successes, then trials) or "time" (right censored: y
#                has times, then 1 for events and 0 for censored times)
#   accepts, what  y -> whether a response, as the user has it, is right; and in words what it must be
#   link         a row of `links`. Of a number with the link "identity" eta has the unit: it is standardised
#   start        y, w -> the eta at which training starts, w being the rows' weights
#   draw         eta, free -> a random y; of trials the success of one
#   sd           eta, free -> of normal noise alone: its standard deviation, one number or one for each mean
#   variance     eta, free -> of any other: the variance of y; of trials that of one; NULL of times
#   deviance     y, eta, free -> unit deviances, twice the log-likelihood lost against a perfect fit; with the free
#                scalar "sigma" as if sigma were 1
#   [dispersion] eta, free -> what glm() estimates as the dispersion and leaves out of deviances and variances; NULL
#                where that is 1, or the squared sigma
#   information  list(eta, y, free), i, j -> the curvature of minus the log-likelihood of each row in the outputs i and
#                j of the block (expected Fisher information; of times, which may be censored, and of ordered levels as
#                observed), NULL where it is 0; with "sigma" as if sigma were 1
#   nll          y, eta, free -> minus the log-likelihood of each entry (of levels: of each observation)
#   [mean]       eta, or eta, free -> the mean of y (of levels: probabilities; of times exp(eta), the median or another
#                quantile), by default that of the link
#   [cdf]        q, eta, free -> P(Y <= q), q being one number or one for each mean; NULL where there is none
#   [quantile]   p, eta, free -> the least q with P(Y <= q) >= p, in the same way; NULL where there is none
#   [density]    y, eta, free -> the log density of the distribution that draw, cdf and quantile have, where nll is not
#                minus this; NULL where it is
#   [slope]      eta, or eta, free -> derivatives of the mean of each response by its outputs, in the shape of eta; by
#                default that of the link by the first, and 0 by the others
#   [over]       eta [rows, columns, draws], w -> the eta that stands for the mean of the distributions at these draws,
#                w being their weights or NULL, by default that of the mean over means. Where the mean depends on the
#                free scalars: eta, w, free, own -> the same, `free` being those at which it stands, and `own` NULL or a
#                list of those of each draw
#   [tau]        of a family that fits quantiles of y, and no other part of its distribution: their probabilities
#   [joins]      whether standard errors of the outputs depend on how well the free scalars are known
#   [parts]      what the outputs for a response are: "mean" first, then others; those that begin with "log_" are logs
#                of numbers in the unit of y, and start constant, "log_sd" of the standard deviation of normal noise
#   [free]       names of the free scalars, or NULL; or a function that gives them for a block, which has `levels`. Each
#                is the log of what it names. "sigma" is the standard deviation of normal noise, whose optimum is known
#                where the rest is
#   [start_free] y, w -> the free scalars at which training starts, a row for each and a column for each response; by
#                default 0
#   [with]       constants -> the record with these in its functions; its arguments name them, and NULL is one that is
#                not given. It checks them. NULL where there are none
#   [noise]      how the free scalars of several columns are learned where nobody says: "shared", "each"; or "fixed"
#   [twin]       the family of the same noise that is an output where here it is a free scalar, or the other way round
#   [binary]     of levels and trials: the family of a response that has only two levels, or one trial a row
#   [stats]      the function of stats that makes the family object of this likelihood
#   [aliases]    other names
#   [auto]       y -> whether "auto" takes this family
#   [for_columns]  whether a column of an autoencoder can have it
#   [separates]  whether its likelihood rises for ever where columns tell the values of y apart
#   [linearises]  whether the default posterior of a network with such a response is the linearised one

# ---- what records share

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
# The share of draws in the middle, and the variance.
huber_middle <- sqrt(2 * pi) * (2 * stats::pnorm(huber_k) - 1) / exp(huber_log_integral)
huber_variance <- huber_middle + 4 * exp(-huber_k^2 / 2) * (1 / huber_k + 1 / huber_k^3) / exp(huber_log_integral)
huber_rho <- function(e) ifelse(abs(e) <= huber_k, e^2 / 2, huber_k * abs(e) - huber_k^2 / 2)
huber_tail <- (1 - huber_middle) / 2
huber_cdf <- function(e) {
  inside <- pmin(pmax(e, -huber_k), huber_k)
  middle <- huber_middle * (stats::pnorm(inside) - stats::pnorm(-huber_k)) / (2 * stats::pnorm(huber_k) - 1)
  ifelse(e < -huber_k, huber_tail * exp(huber_k * (pmin(e, 0) + huber_k)),
         ifelse(e > huber_k, 1 - huber_tail * exp(huber_k * (huber_k - pmax(e, 0))), huber_tail + middle))
}
huber_quantile <- function(p) {
  share <- pmin(pmax((p - huber_tail) / huber_middle, 0), 1)
  middle <- stats::qnorm(stats::pnorm(-huber_k) + share * (2 * stats::pnorm(huber_k) - 1))
  ifelse(p < huber_tail, log(pmin(p, 1) / huber_tail) / huber_k - huber_k,
         ifelse(p > 1 - huber_tail, huber_k - log((1 - p) / huber_tail) / huber_k, middle))
}
random_huber <- function(n) {
  u <- stats::runif(n)
  tail <- u > huber_middle
  middle <- stats::qnorm(stats::pnorm(-huber_k) + stats::runif(n) * (1 - 2 * stats::pnorm(-huber_k)))
  ifelse(tail, sample(c(-1, 1), n, replace = TRUE) * (huber_k + stats::rexp(n, huber_k)), middle)
}

# The columns of y that have the trials.
trials_half <- function(y) y[, ncol(y) %/% 2 + seq_len(ncol(y) %/% 2), drop = FALSE]
p_variance <- function(p) p * (1 - p)
draw_trial <- function(eta, free) like_matrix(stats::rbinom(length(eta), 1, stats::plogis(eta)), eta)
start_of_counts <- function(y, w) log(pmax(weighted_means(y, w), 0.01))

is_within <- function(y, low, high) min(y, low, na.rm = TRUE) >= low && max(y, high, na.rm = TRUE) <= high
is_count <- function(y) all(y >= 0 & y == round(y) & y <= largest_count, na.rm = TRUE)

# Whole numbers are exact up to 2^53.
largest_count <- 1e15
count_words <- "whole numbers of at least 0, at most 1e15,"

# Of each link the mean at eta, the eta of a mean, and the derivative of the mean by eta, where that is one number.
links <- list(
  identity = list(mean = function(eta) eta, eta = function(mean) mean, slope = function(eta) array(1, dim(eta))),
  logit = list(mean = function(eta) like_matrix(stats::plogis(eta), eta), eta = stats::qlogis, slope = logit_variance),
  log = list(mean = exp, eta = log, slope = exp),
  softmax = list(mean = softmax, eta = log, slope = NULL)
)

# ---- records, checked

takes <- function(...) {
  arguments <- c(...)
  function(x, f) is.function(x) && identical(names(formals(x)), arguments)
}
or_null <- function(rule) function(x, f) is.null(x) || rule(x, f)
is_word <- function(x, f) is.character(x) && length(x) == 1 && !is.na(x)
among <- function(...) {
  values <- c(...)
  function(x, f) is_one_of(x, values)
}
are_names <- function(x) every(is.character(x), length(x) >= 1, !anyNA(x), all(nzchar(x)), !anyDuplicated(x))
is_switch <- function(x, f) isTRUE(x) || isFALSE(x)
of_eta <- takes("eta", "free")
of_y <- takes("y", "eta", "free")

# What each slot must be, in a family f, and what it is where a record does not say.
family_slots <- list(
  kind = among("number", "positive", "share", "count", "binary", "levels", "ordered", "trials",
               "time"),
  accepts = takes("y"), what = is_word,
  link = function(x, f) among(names(links))(x), start = takes("y", "w"), draw = of_eta,
  sd = or_null(of_eta),
  variance = function(x, f) if (is.null(f$sd) && !identical(f$kind, "time")) of_eta(x) else is.null(x),
  deviance = of_y, dispersion = or_null(of_eta), information = takes("part", "i", "j"), nll = of_y,
  mean = function(x, f) takes("eta")(x) || of_eta(x),
  cdf = or_null(takes("q", "eta", "free")), density = or_null(of_y), quantile = or_null(takes("p", "eta", "free")),
  over = or_null(takes("eta", "w")), slope = or_null(takes("eta")), joins = is_switch,
  tau = or_null(function(x, f) is.numeric(x) && are_tau(x)),
  parts = function(x, f) are_names(x) && x[1] == "mean" && (!is.null(f$sd) || !"log_sd" %in% x),
  free = or_null(function(x, f) takes("block")(x) || are_names(x)), start_free = or_null(takes("y", "w")),
  with = or_null(function(x, f) {
    is.function(x) && length(formals(x)) && all(vapply(as.list(formals(x)), identical, NA, NULL))
  }),
  noise = function(x, f) among("fixed", if (!is.null(f$free)) c("shared", "each"))(x), twin = or_null(is_word),
  binary = function(x, f) is_word(x) || is.null(x) && !f$kind %in% c("levels", "trials"),
  stats = or_null(function(x, f) is.function(x)), aliases = function(x, f) is.character(x) && !anyNA(x),
  auto = takes("y"), for_columns = is_switch, separates = is_switch, linearises = is_switch
)
family_defaults <- list(
  sd = NULL, variance = NULL, dispersion = NULL, cdf = NULL, density = NULL, quantile = NULL,
  over = NULL, joins = FALSE, tau = NULL,
  parts = "mean", free = NULL, start_free = NULL, with = NULL, noise = "fixed", twin = NULL, binary = NULL,
  stats = NULL,
  aliases = character(), auto = function(y) FALSE, for_columns = TRUE, separates = FALSE, linearises = FALSE
)

new_family <- function(...) {
  f <- list(...)
  f <- c(f, family_defaults[setdiff(names(family_defaults), names(f))])
  if (!"mean" %in% names(f)) f$mean <- mean_of_link(f$link, length(f$parts))
  if (!"slope" %in% names(f)) f["slope"] <- list(slope_of_link(f$link, length(f$parts)))
  unknown <- setdiff(names(f), names(family_slots))
  missing <- setdiff(names(family_slots), names(f))
  if (length(unknown)) stop_user("A family has no slot `%s`.", unknown[1])
  if (length(missing)) stop_user("A family needs the slot `%s`.", missing[1])
  for (slot in names(family_slots))
    if (!isTRUE(family_slots[[slot]](f[[slot]], f))) stop_user("The slot `%s` of a family is not right.", slot)
  f[names(family_slots)]
}

slope_of_link <- function(link, n_parts) {
  force(link)
  slope <- if (is_word(link)) links[[link]]$slope
  if (is.null(slope)) return(NULL)
  if (n_parts == 1) return(function(eta) slope(eta))
  function(eta) {
    k <- seq_len(ncol(eta) %/% n_parts)
    eta[, k] <- slope(eta[, k, drop = FALSE])
    eta[, -k] <- 0
    eta
  }
}

mean_of_link <- function(link, n_parts) {
  force(link)
  function(eta) links[[link]]$mean(if (n_parts == 1) eta else eta[, seq_len(ncol(eta) %/% n_parts), drop = FALSE])
}

# ---- the records

number_families <- list(
  gaussian = new_family(
    kind = "number", accepts = function(y) is.numeric(y), what = "numeric", link = "identity",
    auto = function(y) is.numeric(y) && !is_times(y), aliases = "normal", stats = stats::gaussian, linearises = TRUE,
    free = "sigma", twin = "gaussian_hetero",
    sd = function(eta, free) exp(free),
    cdf = function(q, eta, free) like_matrix(stats::pnorm(q, eta, per_column(exp(free), eta)), eta),
    quantile = function(p, eta, free) like_matrix(stats::qnorm(p, eta, per_column(exp(free), eta)), eta),
    draw = function(eta, free) eta + per_column(exp(free), eta) * normals_like(eta),
    start = function(y, w) weighted_means(y, w),
    deviance = function(y, eta, free) (y - eta)^2,
    information = function(part, i, j) if (i == j) 1,
    nll = function(y, eta, free) -stats::dnorm(y, eta, per_column(exp(free), eta), log = TRUE)
  ),
  gaussian_hetero = new_family(
    kind = "number", accepts = function(y) is.numeric(y), what = "numeric", link = "identity", linearises = TRUE,
    parts = c("mean", "log_sd"), twin = "gaussian",
    sd = function(eta, free) scales_half(eta),
    cdf = function(q, eta, free) like_matrix(stats::pnorm(q, means_half(eta), scales_half(eta)), means_half(eta)),
    quantile = function(p, eta, free) like_matrix(stats::qnorm(p, means_half(eta), scales_half(eta)), means_half(eta)),
    over = function(eta, w) {
      k <- seq_len(dim(eta)[2] %/% 2)
      cbind(means_over(eta[, k, , drop = FALSE], w), log(means_over(exp(2 * eta[, -k, , drop = FALSE]), w)) / 2)
    },
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
  huber = new_family(
    kind = "number", accepts = function(y) is.numeric(y), what = "numeric", link = "identity",
    free = "scale", noise = "shared",
    cdf = function(q, eta, free) like_matrix(huber_cdf((q - eta) / per_column(exp(free), eta)), eta),
    quantile = function(p, eta, free) like_matrix(eta + per_column(exp(free), eta) * huber_quantile(p), eta),
    variance = function(eta, free) by_column(huber_variance * exp(2 * free), eta),
    draw = function(eta, free) eta + per_column(exp(free), eta) * like_matrix(random_huber(length(eta)), eta),
    start = function(y, w) apply(y, 2, weighted_median, w),
    deviance = function(y, eta, free) 2 * huber_rho((y - eta) / per_column(exp(free), eta)),
    information = function(part, i, j) {
      if (i == j) huber_middle * exp(-2 * part$free[min(i, length(part$free))])
    },
    nll = function(y, eta, free) {
      s <- by_column(free, eta)
      huber_rho((y - eta) / exp(s)) + s + huber_log_integral
    }
  )
)

other_families <- list(
  bernoulli = new_family(
    kind = "binary", link = "logit", what = "logical, a factor of two levels, or numbers between 0 and 1",
    accepts = function(y) {
      if (is.factor(y)) nlevels(y) == 2 else is.logical(y) || is.numeric(y) && is_within(y, 0, 1)
    },
    auto = function(y) is.logical(y) || is.factor(y) && nlevels(y) == 2,
    aliases = "logistic", stats = stats::binomial, separates = TRUE,
    variance = function(eta, free) p_variance(stats::plogis(eta)),
    draw = draw_trial,
    start = function(y, w) logit_within(weighted_means(y, w)),
    deviance = function(y, eta, free) {
      2 * (x_log_ratio(y, stats::plogis(eta)) + x_log_ratio(1 - y, stats::plogis(-eta)))
    },
    information = function(part, i, j) if (i == j) logit_variance(part$eta[, i]),
    nll = function(y, eta, free) -(y * stats::plogis(eta, log.p = TRUE) + (1 - y) * stats::plogis(-eta, log.p = TRUE))
  ),
  binomial = new_family(
    kind = "trials", link = "logit", what = paste("a matrix of two columns, successes and failures, whole numbers of",
                                                  "at least 0, at most 1e15, not all 0,"),
    accepts = function(y) is.matrix(y) && ncol(y) == 2 && is_count(y) && any(y > 0, na.rm = TRUE),
    binary = "bernoulli", stats = stats::binomial, for_columns = FALSE, separates = TRUE,
    variance = function(eta, free) p_variance(stats::plogis(eta)),
    draw = draw_trial,
    start = function(y, w) {
      logit_within(colSums(means_half(y) * w, na.rm = TRUE) / colSums(trials_half(y) * w, na.rm = TRUE))
    },
    deviance = function(y, eta, free) {
      s <- means_half(y)
      t <- trials_half(y)
      2 * (x_log_ratio(s, t * stats::plogis(eta)) + x_log_ratio(t - s, t * stats::plogis(-eta)))
    },
    information = function(part, i, j) if (i == j) part$y[, 2] * logit_variance(part$eta[, i]),
    nll = function(y, eta, free) {
      s <- means_half(y)
      t <- trials_half(y)
      -lchoose(t, s) - s * stats::plogis(eta, log.p = TRUE) - (t - s) * stats::plogis(-eta, log.p = TRUE)
    }
  ),
  poisson = new_family(
    kind = "count", accepts = function(y) is.numeric(y) && is_count(y), what = count_words, link = "log",
    stats = stats::poisson, separates = TRUE, linearises = TRUE,
    variance = function(eta, free) exp(eta),
    cdf = function(q, eta, free) like_matrix(stats::ppois(q, exp(eta)), eta),
    quantile = function(p, eta, free) like_matrix(stats::qpois(p, exp(eta)), eta),
    draw = function(eta, free) like_matrix(stats::rpois(length(eta), exp(eta)), eta),
    start = start_of_counts,
    deviance = function(y, eta, free) 2 * (x_log_ratio(y, exp(eta)) - (y - exp(eta))),
    information = function(part, i, j) if (i == j) exp(part$eta[, i]),
    nll = function(y, eta, free) -stats::dpois(y, exp(eta), log = TRUE)
  ),
  negative_binomial = new_family(
    kind = "count", accepts = function(y) is.numeric(y) && is_count(y), what = count_words, link = "log",
    aliases = c("negbin", "nb"), linearises = TRUE, free = "size", noise = "each",
    variance = function(eta, free) exp(eta) + exp(eta)^2 / exp(by_column(free, eta)),
    cdf = function(q, eta, free) {
      like_matrix(stats::pnbinom(q, size = per_column(exp(free), eta), mu = exp(eta)), eta)
    },
    quantile = function(p, eta, free) {
      like_matrix(stats::qnbinom(p, size = per_column(exp(free), eta), mu = exp(eta)), eta)
    },
    draw = function(eta, free) {
      like_matrix(stats::rnbinom(length(eta), size = per_column(exp(free), eta), mu = exp(eta)), eta)
    },
    start = start_of_counts,
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

# ---- quantiles

# The asymmetric Laplace distribution, whose tau quantile is eta.
quantile_family <- function(tau = 0.5, ...) {
  rho <- function(e) e * (tau - (e < 0))
  scale <- function(eta, free) per_column(exp(free), eta)
  new_family(
    kind = "number", accepts = function(y) is.numeric(y), what = "numeric", link = "identity", tau = tau,
    free = "scale", noise = "shared", for_columns = FALSE,
    variance = function(eta, free) by_column((1 - 2 * tau + 2 * tau^2) / (tau * (1 - tau))^2 * exp(2 * free), eta),
    draw = function(eta, free) {
      e <- stats::rexp(length(eta), tau) - stats::rexp(length(eta), 1 - tau)
      eta + scale(eta, free) * like_matrix(e, eta)
    },
    cdf = function(q, eta, free) {
      e <- (q - eta) / scale(eta, free)
      like_matrix(ifelse(e < 0, tau * exp((1 - tau) * pmin(e, 0)), 1 - (1 - tau) * exp(-tau * pmax(e, 0))), eta)
    },
    quantile = function(p, eta, free) {
      e <- ifelse(p < tau, log(pmin(p / tau, 1)) / (1 - tau), -log(pmin((1 - p) / (1 - tau), 1)) / tau)
      like_matrix(eta + scale(eta, free) * e, eta)
    },
    start = function(y, w) apply(y, 2, quantile_of, w, tau),
    deviance = function(y, eta, free) 2 * rho((y - eta) / scale(eta, free)),
    information = function(part, i, j) {
      if (i == j) tau * (1 - tau) * exp(-2 * part$free[min(i, length(part$free))])
    },
    nll = function(y, eta, free) {
      s <- by_column(free, eta)
      rho((y - eta) / exp(s)) + s - log(tau * (1 - tau))
    }, ...
  )
}

are_tau <- function(x) {
  every(length(x) >= 1, length(x) <= most_tau, !anyNA(x), all(x > 0 & x < 1), !is.unsorted(x, strictly = TRUE))
}
most_tau <- 100 # the engine's most constants

check_tau <- function(tau) {
  if (is.null(tau)) return(0.5)
  if (length(tau) == 1) return(check_number(tau, "tau", 0, 1, above = TRUE, below = TRUE))
  value <- plain_numbers(tau)
  if (!are_tau(value))
    stop_user("`tau` must be probabilities above 0 and below 1 that rise, at most %d, as c(0.1, 0.5, 0.9), not %s.",
              most_tau, shown(tau))
  value
}

quantile_families <- list(quantile = quantile_family(with = function(tau = NULL) {
  tau <- check_tau(tau)
  if (length(tau) == 1) quantile_family(tau) else several_quantiles(tau)
}))

# ---- levels

# Two levels have one, too: that of any factor.
has_order <- function(y) is.ordered(y) && nlevels(y) > 2

# The probabilities [rows, levels] of ordered levels, and the places of these in y.
cuts_of <- function(free) cumsum(c(0, exp(c(free))))
ordered_probabilities <- function(eta, free) {
  cut <- cuts_of(free)
  logit <- function(c) c - eta[, 1]
  of_level <- function(k) {
    if (k == 1) return(stats::plogis(logit(cut[1])))
    if (k > length(cut)) return(stats::plogis(-logit(cut[length(cut)])))
    a <- logit(cut[k])
    b <- logit(cut[k - 1])
    stats::plogis(a) * stats::plogis(-b) * -expm1(b - a)
  }
  out <- vapply(seq_len(length(cut) + 1), of_level, numeric(nrow(eta)))
  matrix(out, nrow(eta))
}
ordered_nll <- function(y, eta, free) {
  cut <- cuts_of(free)
  a <- c(cut, Inf)[y[, 1] + 1] - eta[, 1]
  b <- c(-Inf, cut)[y[, 1] + 1] - eta[, 1]
  gap <- c(Inf, diff(cut), Inf)[y[, 1] + 1]
  matrix(-stats::plogis(a, log.p = TRUE) - stats::plogis(-b, log.p = TRUE) - log(-expm1(-gap)))
}
# The number of a level drawn with the probabilities p [rows, levels].
drawn_level <- function(p) {
  1L + rowSums(stats::runif(nrow(p)) > t(apply(p, 1, cumsum))[, -ncol(p), drop = FALSE])
}

level_families <- list(
  categorical = new_family(
    kind = "levels", link = "softmax", accepts = function(y) is.factor(y), what = "a factor",
    auto = function(y) is.factor(y) && nlevels(y) != 2 && !has_order(y),
    aliases = c("multinomial", "softmax"), binary = "bernoulli",
    separates = TRUE,
    variance = function(eta, free) p_variance(softmax(eta)),
    draw = function(eta, free) {
      p <- softmax(eta)
      diag(ncol(p))[drawn_level(p), , drop = FALSE]
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
  ordinal = new_family(
    kind = "ordered", link = "logit", what = "an ordered factor, or a factor, of three or more levels",
    accepts = function(y) is.factor(y) && nlevels(y) > 2, auto = has_order, aliases = c("ordered", "cumulative"),
    binary = "bernoulli", for_columns = FALSE, joins = TRUE, separates = TRUE, noise = "shared",
    free = function(block) paste0("gap", seq_len(max(1, length(block$levels) - 2))),
    mean = ordered_probabilities,
    over = function(eta, w) means_over(eta, w),
    variance = function(eta, free) p_variance(ordered_probabilities(eta, free)),
    draw = function(eta, free) matrix(drawn_level(ordered_probabilities(eta, free)) - 1),
    start = function(y, w) -logit_within(weighted_means(1 * (y == 0), w)),
    deviance = function(y, eta, free) 2 * ordered_nll(y, eta, free),
    information = function(part, i, j) {
      cut <- cuts_of(part$free)
      logit_variance(c(cut, Inf)[part$y[, 1] + 1] - part$eta[, 1]) +
        logit_variance(c(-Inf, cut)[part$y[, 1] + 1] - part$eta[, 1])
    },
    nll = ordered_nll
  )
)

# ---- survival times

# Right-censored times as log t = eta + exp(free) w, for a noise w.
#   draw        n -> draws of w
#   cdf, log_tail, at   w -> P(W < w); w -> log P(W > w); p -> the w with P(W < w) = p
#   density     w -> its log density, highest at 0
#   curvature   w, events -> of minus the log-likelihood: of the density where events is 1, of the tail where it is 0
#   start       the mean of an exponential distribution times this is where training starts
time_family <- function(draw, cdf, log_tail, at, density, curvature, start, auto = function(y) FALSE) {
  times <- function(y) y[, seq_len(ncol(y) %/% 2), drop = FALSE]
  w_of <- function(t, eta, free) like_matrix((log(t) - eta) / per_column(exp(free), eta), eta)
  nll <- function(y, eta, free) {
    w <- w_of(times(y), eta, free)
    events <- trials_half(y)
    of_event <- per_column(free, eta) + log(times(y)) - density(w)
    of_event[is.na(events) | events == 0] <- 0
    of_event - (1 - events) * log_tail(w)
  }
  new_family(
    kind = "time", link = "log", free = "scale", noise = "shared", for_columns = FALSE, joins = TRUE, linearises = TRUE,
    accepts = function(y) is.numeric(y), auto = auto,
    what = "times above 0, as numbers or by survival::Surv(time, status),",
    draw = function(eta, free) like_matrix(exp(eta + per_column(exp(free), eta) * draw(length(eta))), eta),
    start = function(y, w) {
      known <- !is.na(times(y))
      t <- replace(times(y), !known, 0)
      events <- replace(trials_half(y), !known, 0)
      top <- apply(t, 2, max)
      log(colSums(w * t / by_column(top, t)) / colSums(w * events)) + log(top) + log(start)
    },
    deviance = function(y, eta, free) {
      best <- trials_half(y) * (by_column(free, eta) + log(times(y)) - density(0))
      2 * (nll(y, eta, free) - best)
    },
    information = function(part, i, j) {
      if (i != j) return(NULL)
      free <- part$free[min(i, length(part$free))]
      k <- ncol(part$eta)
      curvature((log(part$y[, i]) - part$eta[, i]) / exp(free), part$y[, k + i]) * exp(-2 * free)
    },
    nll = nll,
    cdf = function(q, eta, free) like_matrix(cdf(w_of(q, eta, free)), eta),
    quantile = function(p, eta, free) like_matrix(exp(eta + per_column(exp(free), eta) * at(p)), eta)
  )
}

time_families <- list(
  weibull = time_family(
    auto = function(y) is_times(y), start = 1,
    draw = function(n) log(stats::rexp(n)), cdf = function(w) -expm1(-exp(w)), log_tail = function(w) -exp(w),
    at = function(p) log(-log1p(-p)), density = function(w) w - exp(w), curvature = function(w, events) exp(w)
  ),
  lognormal = time_family(
    start = log(2), draw = stats::rnorm, cdf = stats::pnorm, at = stats::qnorm,
    log_tail = function(w) stats::pnorm(w, lower.tail = FALSE, log.p = TRUE),
    density = function(w) stats::dnorm(w, log = TRUE),
    curvature = function(w, events) {
      hazard <- exp(stats::dnorm(w, log = TRUE) - stats::pnorm(w, lower.tail = FALSE, log.p = TRUE))
      ifelse(events == 1, 1, pmax(hazard * (hazard - w), 0))
    }
  ),
  loglogistic = time_family(
    start = log(2), draw = stats::rlogis, cdf = stats::plogis, at = stats::qlogis,
    log_tail = function(w) stats::plogis(w, lower.tail = FALSE, log.p = TRUE),
    density = function(w) stats::dlogis(w, log = TRUE),
    curvature = function(w, events) (1 + events) * stats::plogis(w) * stats::plogis(-w)
  )
)

# Student's t distribution about eta, with degrees of freedom that are learned or given.
student_t_family <- function(df = NULL) {
  if (!is.null(df)) df <- check_number(df, "df", 0.1, 1e6)
  scale <- function(free, eta) by_column(exp(if (is.null(df)) free["scale", ] else free), eta)
  degrees <- function(free, eta) if (is.null(df)) by_column(t_degrees(free["df", ]), eta) else array(df, dim(eta))
  new_family(
    kind = "number", accepts = function(y) is.numeric(y), what = "numeric", link = "identity", aliases = "t",
    free = c("scale", if (is.null(df)) "df"), noise = "shared", with = student_t_family,
    cdf = function(q, eta, free) like_matrix(stats::pt((q - eta) / scale(free, eta), degrees(free, eta)), eta),
    quantile = function(p, eta, free) {
      like_matrix(eta + scale(free, eta) * stats::qt(p, degrees(free, eta)), eta)
    },
    variance = function(eta, free) {
      n <- degrees(free, eta)
      scale(free, eta)^2 * ifelse(n > 2, n / (n - 2), Inf)
    },
    draw = function(eta, free) {
      like_matrix(eta + scale(free, eta) * stats::rt(length(eta), degrees(free, eta)), eta)
    },
    start = function(y, w) apply(y, 2, weighted_median, w),
    start_free = function(y, w) rbind(robust_log_sd(y, w), if (is.null(df)) log(4.5)),
    deviance = function(y, eta, free) {
      n <- degrees(free, eta)
      (n + 1) * log1p(((y - eta) / scale(free, eta))^2 / n)
    },
    information = function(part, i, j) {
      if (i != j) return(NULL)
      n <- degrees(part$free, part$eta)[, i]
      (n + 1) / (n + 3) / scale(part$free, part$eta)[, i]^2
    },
    nll = function(y, eta, free) {
      s <- scale(free, eta)
      log(s) - stats::dt((y - eta) / s, degrees(free, eta), log = TRUE)
    }
  )
}

# Numbers above 0, and between 0 and 1.
positive_families <- list(
  gamma = new_family(
    kind = "positive", accepts = function(y) is.numeric(y) && all(y > 0, na.rm = TRUE), what = "numbers above 0",
    link = "log", aliases = "Gamma", stats = function() stats::Gamma("log"), free = "shape", noise = "each",
    cdf = function(q, eta, free) {
      a <- by_column(exp(free), eta)
      like_matrix(stats::pgamma(q, a, scale = exp(eta) / a), eta)
    },
    quantile = function(p, eta, free) {
      a <- by_column(exp(free), eta)
      like_matrix(stats::qgamma(p, a, scale = exp(eta) / a), eta)
    },
    variance = function(eta, free) exp(2 * eta) / by_column(exp(free), eta),
    dispersion = function(eta, free) by_column(exp(-free), eta),
    draw = function(eta, free) {
      a <- by_column(exp(free), eta)
      like_matrix(stats::rgamma(length(eta), a, scale = exp(eta) / a), eta)
    },
    start = function(y, w) log(weighted_means(y, w)),
    start_free = function(y, w) rbind(start_of_gamma(y, w)),
    deviance = function(y, eta, free) {
      d <- log(y) - eta
      2 * by_column(exp(free), eta) * (expm1(d) - d)
    },
    information = function(part, i, j) if (i == j) exp(part$free[min(i, length(part$free))]),
    nll = function(y, eta, free) {
      d <- log(y) - eta
      log_a <- by_column(free, eta)
      exp(log_a + log(pmax(expm1(d) - d, 0))) + log(y) + stirling_rest(log_a)
    }
  ),
  inverse_gaussian = new_family(
    kind = "positive", accepts = function(y) is.numeric(y) && all(y > 0, na.rm = TRUE), what = "numbers above 0",
    link = "log", aliases = "inverse.gaussian", stats = function() stats::inverse.gaussian("log"), free = "shape",
    noise = "each",
    cdf = function(q, eta, free) like_matrix(inverse_gaussian_cdf(q, exp(eta), by_column(exp(free), eta)), eta),
    quantile = function(p, eta, free) {
      like_matrix(inverse_gaussian_quantile(p, exp(eta), by_column(exp(free), eta)), eta)
    },
    variance = function(eta, free) exp(3 * eta) / by_column(exp(free), eta),
    dispersion = function(eta, free) by_column(exp(-free), eta),
    draw = function(eta, free) like_matrix(random_inverse_gaussian(exp(eta), by_column(exp(free), eta)), eta),
    start = function(y, w) log(weighted_means(y, w)),
    start_free = function(y, w) rbind(start_of_inverse_gaussian(y, w)),
    deviance = function(y, eta, free) by_column(exp(free), eta) * expm1(log(y) - eta)^2 / y,
    information = function(part, i, j) if (i == j) exp(part$free[min(i, length(part$free))] - part$eta[, i]),
    nll = function(y, eta, free) inverse_gaussian_nll(y, eta, by_column(free, eta))
  ),
  beta = new_family(
    kind = "share", accepts = function(y) is.numeric(y) && all(y > 0 & y < 1, na.rm = TRUE),
    what = "numbers above 0 and below 1", link = "logit", free = "precision", noise = "each", joins = TRUE,
    cdf = function(q, eta, free) {
      f <- by_column(exp(free), eta)
      like_matrix(stats::pbeta(q, stats::plogis(eta) * f, stats::plogis(-eta) * f), eta)
    },
    quantile = function(p, eta, free) {
      f <- by_column(exp(free), eta)
      like_matrix(stats::qbeta(p, stats::plogis(eta) * f, stats::plogis(-eta) * f), eta)
    },
    variance = function(eta, free) logit_variance(eta) / (1 + by_column(exp(free), eta)),
    draw = function(eta, free) {
      f <- by_column(exp(free), eta)
      like_matrix(stats::rbeta(length(eta), stats::plogis(eta) * f, stats::plogis(-eta) * f), eta)
    },
    start = function(y, w) logit_within(weighted_means(y, w)),
    start_free = function(y, w) rbind(start_of_beta(y, w)),
    deviance = function(y, eta, free) {
      f <- by_column(exp(free), eta)
      pmax(2 * (beta_nll(y, eta, f) - beta_nll(y, best_beta_eta(y, f), f)), 0)
    },
    information = function(part, i, j) {
      if (i != j) return(NULL)
      a <- exp(part$free[min(i, length(part$free))] + stats::plogis(part$eta[, i], log.p = TRUE))
      b <- exp(part$free[min(i, length(part$free))] + stats::plogis(-part$eta[, i], log.p = TRUE))
      both <- pmax(a * b / (a + b), 1e-150)
      (trigamma(pmax(a, 1e-150)) + trigamma(pmax(b, 1e-150))) * both^2
    },
    nll = function(y, eta, free) beta_nll(y, eta, by_column(exp(free), eta))
  )
)

# The counts of a family, or with a probability that has an output of its own 0 whatever they are (Lambert 1992). A
# perfect fit has probability 1 for the zeros, and no other zeros where y is above 0.
zero_inflated <- function(counts) {
  new_family(
    kind = "count", accepts = counts$accepts, what = count_words, link = "log", parts = c("mean", "zero"),
    free = counts$free, noise = counts$noise, joins = !is.null(counts$free), separates = TRUE,
    mean = function(eta) exp(means_half(eta)) * stats::plogis(-zeros_half(eta)),
    slope = function(eta) {
      mean <- exp(means_half(eta)) * stats::plogis(-zeros_half(eta))
      cbind(mean, -mean * stats::plogis(zeros_half(eta)))
    },
    over = function(eta, w) {
      k <- seq_len(dim(eta)[2] %/% 2)
      rest <- means_over(stats::plogis(-eta[, -k, , drop = FALSE]), w)
      mean <- means_over(exp(eta[, k, , drop = FALSE]) * stats::plogis(-eta[, -k, , drop = FALSE]), w)
      cbind(log(mean / rest), stats::qlogis(rest, lower.tail = FALSE))
    },
    cdf = function(q, eta, free) {
      p <- stats::plogis(zeros_half(eta))
      ifelse(q < 0, 0, p + (1 - p) * counts$cdf(q, means_half(eta), free))
    },
    quantile = function(p, eta, free) {
      rest <- stats::plogis(-zeros_half(eta))
      counts$quantile(pmin(pmax((p - 1 + rest) / rest, 0), 1), means_half(eta), free)
    },
    variance = function(eta, free) {
      p <- stats::plogis(zeros_half(eta))
      (1 - p) * (counts$variance(means_half(eta), free) + p * exp(2 * means_half(eta)))
    },
    draw = function(eta, free) {
      y <- counts$draw(means_half(eta), free)
      y * stats::rbinom(length(y), 1, stats::plogis(-zeros_half(eta)))
    },
    start = start_of_inflated,
    deviance = function(y, eta, free) {
      best <- counts$nll(y, log(pmax(y, 0.5)), free)
      nll <- inflated_nll(y, counts$nll(y, means_half(eta), free), zeros_half(eta))
      pmax(2 * (nll - ifelse(y == 0, 0, best)), 0)
    },
    information = function(part, i, j) {
      k <- ncol(part$eta) %/% 2
      if ((i - j) %% k != 0) return(NULL)
      at <- (i - 1) %% k + 1
      eta <- part$eta[, at, drop = FALSE]
      free <- if (length(part$free)) part$free[min(at, length(part$free))]
      mu <- exp(eta[, 1])
      q <- counts$information(list(eta = eta, free = free), 1, 1) / mu
      none <- exp(-counts$nll(0 * eta, eta, free))[, 1]
      inflated_information(mu, q, none, part$eta[, k + at], if (i != j) "both" else if (i > k) "zero" else "mean")
    },
    nll = function(y, eta, free) inflated_nll(y, counts$nll(y, means_half(eta), free), zeros_half(eta))
  )
}

inflated_families <- list(
  zero_inflated_poisson = zero_inflated(other_families$poisson),
  zero_inflated_negative_binomial = zero_inflated(other_families$negative_binomial)
)
inflated_families$zero_inflated_poisson$aliases <- "zip"
inflated_families$zero_inflated_negative_binomial$aliases <- "zinb"

family_table <- c(number_families, quantile_families, other_families, level_families, time_families,
                  list(student_t = student_t_family()), positive_families, inflated_families)
rm(number_families, quantile_families, other_families, level_families, time_families, positive_families,
   inflated_families)

# The families of the losses of numeric columns that fit_ae() offers.
loss_families <- c(squared = "gaussian", huber = "huber")
