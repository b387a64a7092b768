# What the records of families compute with: distributions that stats has not, and the start of free scalars.

# Degrees of freedom from their free scalar: between 1/2 and 1e6, as the engine has them.
t_degrees <- function(free) {
  r <- exp(pmin(free, 500))
  0.5 + r / (1 + r / 1e6)
}

# The least y with at least the share p of the weights at it or below.
quantile_of <- function(y, w, p) {
  by <- order(y, na.last = NA)
  share <- cumsum(w[by]) / sum(w[by])
  y[by][which(share >= p)[1]]
}
weighted_median <- function(y, w) quantile_of(y, w, 0.5)

# The log of a robust standard deviation of each column, as it is of a normal distribution.
robust_log_sd <- function(y, w) {
  of_column <- function(j) weighted_median(abs(y[, j] - weighted_median(y[, j], w)), w) / stats::qnorm(0.75)
  log(pmax(vapply(seq_len(ncol(y)), of_column, 0), 0.05))
}

# Bounds of free scalars where training starts, which the spread of a column without spread has not.
start_within <- function(x) {
  x[is.nan(x)] <- 1
  log(pmin(pmax(x, 1e-3), 1e6))
}

# The shape of a gamma distribution from s = log of the mean - mean of the logs, to 1.5 % (Minka 2002).
start_of_gamma <- function(y, w) {
  s <- log(weighted_means(y, w)) - weighted_means(log(y), w)
  start_within((3 - s + sqrt((s - 3)^2 + 24 * s)) / (12 * s))
}
start_of_inverse_gaussian <- function(y, w) start_within(1 / (weighted_means(1 / y, w) - 1 / weighted_means(y, w)))
start_of_beta <- function(y, w) {
  m <- weighted_means(y, w)
  start_within(m * (1 - m) / weighted_means((y - by_column(m, y))^2, w) - 1)
}

# log gamma(a) - a log(a) + a, which is a small number between large ones: from a = 1e4 on by Stirling's series.
stirling_rest <- function(log_a) {
  a <- exp(log_a)
  out <- (log(2 * pi) - log_a) / 2 + 1 / (12 * a)
  few <- which(a < 1e4)
  replace(out, few, lgamma(a[few]) - a[few] * log_a[few] + a[few])
}

# ---- the inverse gaussian distribution with mean m and shape l, of matrices or numbers

# Takes the logs of mean and shape: y / m - 1 would have the rounding of m = exp(eta), and exp(log_l) may be infinite.
inverse_gaussian_nll <- function(y, eta, log_l) {
  exp(log_l + 2 * log(abs(expm1(log(y) - eta))) - log(2 * y)) + (log(2 * pi * y^3) - log_l) / 2
}

inverse_gaussian_cdf <- function(q, m, l) {
  y <- pmax(q, 1e-300)
  root <- sqrt(l / y)
  below <- stats::pnorm(root * (y / m - 1)) + exp(2 * l / m + stats::pnorm(-root * (y / m + 1), log.p = TRUE))
  ifelse(q > 0, pmin(below, 1), 0)
}

# Michael, Schucany and Haas (1976): the smaller root of a quadratic equation, or the other one.
random_inverse_gaussian <- function(m, l) {
  k <- m * stats::rnorm(length(m))^2 / (2 * l)
  x <- 1 / (1 + k + sqrt(2 * k + k^2))
  m * ifelse(stats::runif(length(m)) * (1 + x) <= 1, x, 1 / x)
}

# By bisection of log q about the mean, where the distribution function is p.
inverse_gaussian_quantile <- function(p, m, l) {
  p <- rep_len(p, length(m))
  low <- high <- log(m)
  known <- p <= 0 | p >= 1
  step <- 1
  while (step < 1e4 && any(todo <- !known & inverse_gaussian_cdf(exp(low), m, l) > p)) {
    low[todo] <- low[todo] - step
    step <- 2 * step
  }
  step <- 1
  while (step < 1e4 && any(todo <- !known & inverse_gaussian_cdf(exp(high), m, l) < p)) {
    high[todo] <- high[todo] + step
    step <- 2 * step
  }
  for (i in 1:70) {
    middle <- (low + high) / 2
    is_below <- inverse_gaussian_cdf(exp(middle), m, l) < p
    low[is_below] <- middle[is_below]
    high[!is_below] <- middle[!is_below]
  }
  ifelse(p <= 0, 0, ifelse(p >= 1, Inf, exp((low + high) / 2)))
}

# ---- the beta distribution with mean plogis(eta) and precision f

beta_nll <- function(y, eta, f) -stats::dbeta(y, stats::plogis(eta) * f, stats::plogis(-eta) * f, log = TRUE)

# The eta at which y is most likely: digamma(m f) - digamma((1 - m) f) = logit y, between logit y and 0.
best_beta_eta <- function(y, f) {
  logit <- stats::qlogis(y)
  low <- pmin(logit, 0)
  high <- pmax(logit, 0)
  for (i in 1:40) {
    eta <- (low + high) / 2
    is_below <- digamma(stats::plogis(eta) * f) - digamma(stats::plogis(-eta) * f) < logit
    is_below[is.na(is_below)] <- FALSE
    low[is_below] <- eta[is_below]
    high[!is_below] <- eta[!is_below]
  }
  (low + high) / 2
}

# ---- counts of which some are 0 for another reason

zeros_half <- function(eta) eta[, ncol(eta) %/% 2 + seq_len(ncol(eta) %/% 2), drop = FALSE]

# From the counts' own nll, with the logit z of the share of other zeros.
inflated_nll <- function(y, nll, z) {
  larger <- pmax(z, -nll)
  of_zero <- larger + log1p(exp(-abs(z + nll)))
  -stats::plogis(-z, log.p = TRUE) + ifelse(y == 0, -of_zero, nll)
}

# The expected outer product of the slopes in the log mean and in z, whose entries are "mean", "zero" and "both", of
# counts with mean mu, information mu q and a share `none` of zeros.
inflated_information <- function(mu, q, none, z, entry) {
  p <- stats::plogis(z)
  rest <- stats::plogis(-z)
  zero <- p + rest * none
  own <- rest * none / zero # of the zeros those that are counts
  own[zero == 0] <- 0
  switch(entry, mean = zero * (own * mu * q)^2 + rest * (mu * q - none * (mu * q)^2),
         zero = zero * (1 - own - p)^2 + rest * (1 - none) * p^2,
         both = -zero * own * mu * q * (1 - own - p) - p * rest * none * mu * q)
}

# Where training starts: counts above 0 have the mean mu / (1 - exp(-mu)), and what is missing at 0 is the share.
start_of_inflated <- function(y, w) {
  mean <- weighted_means(y, w)
  above <- mean / pmax(weighted_means(1 * (y > 0), w), 1e-6)
  mu <- pmax(above, 1.01)
  for (i in 1:50) mu <- mu - (mu / -expm1(-mu) - above) / pmax((1 - exp(-mu) * (1 + mu)) / expm1(-mu)^2, 1e-3)
  mu <- pmax(mu, 0.01)
  c(log(mu), logit_within(1 - mean / mu))
}
