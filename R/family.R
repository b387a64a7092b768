# R's half of the family table: for each row of the engine's, what prediction needs. eta and y are matrices with one
# row per observation, on the engine's scale; `free` is the log of the free scalar (gaussian: of sigma), one per
# response.
#   mean      eta -> mean of y; categorical: probabilities
#   draw      eta, free -> a random y
#   start     y, weights -> the eta at which training starts
#   deviance  y, eta, free -> unit deviances, twice the log-likelihood lost against a perfect fit
#   nll       y, eta, free -> minus the log-likelihood of each entry (categorical: of each observation)

weighted_means <- function(y, w) colSums(y * w, na.rm = TRUE) / pmax(colSums((!is.na(y)) * w), .Machine$double.xmin)
logit_within <- function(p) stats::qlogis(pmin(pmax(p, 0.005), 0.995))
by_column <- function(x, like) matrix(rep(x, length.out = ncol(like)), nrow(like), ncol(like), byrow = TRUE)
means_half <- function(eta) eta[, seq_len(ncol(eta) %/% 2), drop = FALSE]
scales_half <- function(eta) exp(eta[, ncol(eta) %/% 2 + seq_len(ncol(eta) %/% 2), drop = FALSE])
x_log_ratio <- function(y, mu) ifelse(y == 0, 0, y * log(y / mu))
softmax <- function(eta) {
  e <- exp(eta - do.call(pmax, c(lapply(seq_len(ncol(eta)), function(j) eta[, j]), na.rm = FALSE)))
  e / rowSums(e)
}
like_matrix <- function(x, m) array(x, dim(m))

family_table <- list(
  gaussian = list(
    mean = function(eta) eta,
    draw = function(eta, free) eta + exp(by_column(free, eta)) * like_matrix(stats::rnorm(length(eta)), eta),
    start = function(y, w) weighted_means(y, w),
    deviance = function(y, eta, free) (y - eta)^2,
    nll = function(y, eta, free) -stats::dnorm(y, eta, exp(by_column(free, eta)), log = TRUE)
  ),
  gaussian_hetero = list(
    mean = means_half,
    draw = function(eta, free) {
      means_half(eta) + scales_half(eta) * like_matrix(stats::rnorm(length(eta) %/% 2), means_half(eta))
    },
    start = function(y, w) {
      m <- weighted_means(y, w)
      c(m, log(pmax(sqrt(weighted_means((y - by_column(m, y))^2, w)), 1e-3)))
    },
    deviance = function(y, eta, free) ((y - means_half(eta)) / scales_half(eta))^2,
    nll = function(y, eta, free) -stats::dnorm(y, means_half(eta), scales_half(eta), log = TRUE)
  ),
  bernoulli = list(
    mean = stats::plogis,
    draw = function(eta, free) like_matrix(stats::rbinom(length(eta), 1, stats::plogis(eta)), eta),
    start = function(y, w) logit_within(weighted_means(y, w)),
    deviance = function(y, eta, free) {
      2 * (x_log_ratio(y, stats::plogis(eta)) + x_log_ratio(1 - y, stats::plogis(-eta)))
    },
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
    nll = function(y, eta, free) matrix(-log(rowSums(y * softmax(eta))))
  ),
  poisson = list(
    mean = exp,
    draw = function(eta, free) like_matrix(stats::rpois(length(eta), exp(eta)), eta),
    start = function(y, w) log(pmax(weighted_means(y, w), 0.01)),
    deviance = function(y, eta, free) 2 * (x_log_ratio(y, exp(eta)) - (y - exp(eta))),
    nll = function(y, eta, free) -stats::dpois(y, exp(eta), log = TRUE)
  ),
  negative_binomial = list(
    mean = exp,
    draw = function(eta, free) {
      like_matrix(stats::rnbinom(length(eta), size = exp(by_column(free, eta)), mu = exp(eta)), eta)
    },
    start = function(y, w) log(pmax(weighted_means(y, w), 0.01)),
    deviance = function(y, eta, free) {
      size <- exp(by_column(free, eta))
      2 * (x_log_ratio(y, exp(eta)) - (y + size) * log((y + size) / (exp(eta) + size)))
    },
    nll = function(y, eta, free) -stats::dnbinom(y, size = exp(by_column(free, eta)), mu = exp(eta), log = TRUE)
  )
)

# What users may call a family; NULL in the link is one that no family of the engine has.
family_aliases <- c(normal = "gaussian", multinomial = "categorical", negbin = "negative_binomial",
                    nb = "negative_binomial", softmax = "categorical", logistic = "bernoulli")
family_links <- c(gaussian = "identity", binomial = "logit", poisson = "log")

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
