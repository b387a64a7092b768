# Priors of a Bayesian network's weights: plain lists that new_spec() reads.

#' Priors of the weights of a Bayesian network
#'
#' What a Bayesian network's weights and biases are thought to be before the data are seen; all independent.
#'
#' @param mean the mean of all weights, which must be 0; or `"auto"`, for a standard deviation that is found from the
#'   data for each weight matrix and each bias vector.
#' @param sd the standard deviation, in units of the standardised data; of the mixture two, a wide and a narrow one.
#' @param scale the mean absolute value of the weights.
#' @param share the share of weights with the first standard deviation.
#' @param fan_in divide the standard deviation of a matrix of weights by the root of the number of its inputs, so
#'   that the variance a priori of a unit does not depend on how many inputs it has? That of biases stays.
#' @details
#' `prior_normal(0, sd)` is \eqn{N(0, s^2)}{N(0, sd^2)}, with `fan_in` \eqn{N(0, s^2 / d)}{N(0, sd^2 / d)} for weights
#' from d inputs (Neal 1996). `prior_normal("auto")` sets the variance of each matrix and vector of n weights to the one
#' with the greatest ELBO, \eqn{\sum_i (\mu_i^2 + \sigma_i^2) / n}{sum(mu^2 + sigma^2) / n}, in closed form in every
#' step (empirical Bayes, as in Wu et al. 2019, without their hyperprior).
#'
#' `prior_laplace(0, scale)` has density \eqn{e^{-|w| / b} / 2b}{exp(-|w| / b) / 2b}, b the scale, and favours weights
#' near 0. `prior_mixture(share, sd)` is Blundell et al.'s scale mixture \eqn{\pi N(0, s_1^2) + (1 - \pi) N(0,
#' s_2^2)}{share N(0, sd[1]^2) + (1 - share) N(0, sd[2]^2)}, whose KL has no closed form: it is taken at the draws, as
#' with `kl = "mc"`.
#'
#' `prior_custom()` takes any log density f of one weight, which must be finite from -3 to 3 and whose density
#' should integrate to 1: the ELBO is that of the density as it is written. It is differentiated by the engine. With
#' `fan_in` the density is that of \eqn{w \sqrt d}{w sqrt(d)} for weights from d inputs. The KL is taken at the draws;
#' with `posterior = "point"` the fit is the mode.
#'
#' With `posterior = "laplace"` the precision of a weight a priori is, for `prior_mixture()` and `prior_custom()`, the
#' curvature of minus the log density at the mode, \eqn{-\mathrm{d}^2 \log p / \mathrm{d} w^2}{-d^2 log p / d w^2}. In
#' heavy tails it is negative: then, and where it is less, 0.001 takes its place, the least that the evidence finds, too
#' (of outputs that are the log of a noise, 0.1). Laplace's density has no curvature, but every s > 0 gives it a normal
#' bound, \eqn{|w| \le w^2 / 2s + s / 2}{|w| <= w^2 / 2s + s / 2}, of precision \eqn{1 / bs}{1 / bs}. Rounds of the
#' search for the mode under the bounds alternate with \eqn{s^2 = \mathrm{E} w^2}{s^2 = E w^2}, for each weight the s
#' with the greatest evidence (Girolami 2001): the posterior is the best normal one under such bounds, the evidence a
#' lower bound, and no weight is 0. The scales of these priors are as given; a constant noise is found by evidence.
#' @return A list of class `varnn_prior`.
#' @references Neal (1996) Bayesian Learning for Neural Networks, \doi{10.1007/978-1-4612-0745-0}. Wu et al. (2019)
#'   Deterministic variational inference for robust Bayesian neural networks, \doi{10.48550/arXiv.1810.03958}. Blundell
#'   et al. (2015) Weight uncertainty in neural networks, \doi{10.48550/arXiv.1505.05424}. Girolami (2001) A variational
#'   method for learning sparse and overcomplete representations, \doi{10.1162/089976601753196003}.
#' @seealso [fit_bayes_nn()], [summary.varnn_bayes_nn()] for what the data made of it.
#' @examples
#' prior_normal(0, 2, fan_in = TRUE)
#' prior_normal("auto")
#' prior_custom(~ -log(pi) - log1p(w^2)) # Cauchy's
#' @export
prior_normal <- function(mean = 0, sd = 1, fan_in = FALSE) {
  if (identical(mean, "auto")) {
    if (!missing(sd) || !missing(fan_in)) stop_user("prior_normal(\"auto\") finds the standard deviations itself.")
    return(new_prior("empirical", "N(0, sd), sd of each layer by empirical Bayes"))
  }
  check_prior_mean(mean)
  sd <- check_prior_sd(sd, "sd")
  fan_in <- check_flag(fan_in, "fan_in")
  new_prior("normal", sprintf("N(0, sd = %s%s)", format(sd), if (fan_in) " / sqrt(inputs)" else ""), sd = sd,
            fan_in = fan_in)
}

#' @rdname prior_normal
#' @export
prior_laplace <- function(mean = 0, scale = 1, fan_in = FALSE) {
  check_prior_mean(mean)
  scale <- check_prior_sd(scale, "scale")
  fan_in <- check_flag(fan_in, "fan_in")
  new_prior("laplace", sprintf("Laplace(0, scale = %s%s)", format(scale), if (fan_in) " / sqrt(inputs)" else ""),
            sd = scale, fan_in = fan_in)
}

#' @rdname prior_normal
#' @export
prior_mixture <- function(share = 0.5, sd = c(1, 0.1), fan_in = FALSE) {
  share <- check_number(share, "share", 0, 1, above = TRUE, below = TRUE)
  sds <- plain_numbers(sd)
  if (length(sds) != 2) stop_user("`sd` must be two standard deviations, not %s.", shown(sd))
  for (one in sds) check_prior_sd(one, "sd")
  fan_in <- check_flag(fan_in, "fan_in")
  new_prior("mixture", sprintf("%s N(0, sd = %s) + %s N(0, sd = %s)%s", format(share), format(sds[1]),
                               format(1 - share), format(sds[2]), if (fan_in) ", sd / sqrt(inputs)" else ""),
            sd = sds[1], sd2 = sds[2], share = share, fan_in = fan_in, is_mc = TRUE)
}

#' @rdname prior_normal
#' @param log_density the log of the density of one weight w, as a formula (`~ -abs(w) - log(2)`) or a function of one
#'   number; what it may use is told in [activations()].
#' @export
prior_custom <- function(log_density, fan_in = FALSE) {
  if (missing(log_density) || !is_program_source(log_density))
    stop_user("`log_density` must be a formula in w, as ~ -abs(w) - log(2), or a function of it, not %s.",
              if (missing(log_density)) "missing" else shown(log_density))
  program <- as_program(log_density, "w", "prior")
  check_density(program)
  fan_in <- check_flag(fan_in, "fan_in")
  new_prior("program", sprintf("log density %s%s", shortened(program$text), if (fan_in) " of w sqrt(inputs)" else ""),
            fan_in = fan_in, program = program, is_mc = TRUE)
}

# The log density of a weight must be finite where weights are, depend on it, and be one.
check_density <- function(program) {
  fail <- function(...) stop_user("`prior` = %s: %s", shortened(program$text), said(...))
  value <- check_values(program, fail, "w")
  if (all(value == value[1])) fail("it does not depend on w.")
  total <- density_total(program)
  if (!is.finite(total)) fail("it is improper: the density is infinite, or its integral is.")
  if (abs(total - 1) > 0.01)
    warn_user("varnn_density", "`prior` = %s: the density integrates to %s, not to 1.", shortened(program$text),
              format(total, digits = 3))
}

# The integral of the density of a prior's program, by w = sinh(t). A tail of 1 / (|w| log|w|), which has no integral,
# falls to half from t = 15 to t = 30, in t: a tail that falls by less is taken as improper, unless it is so small that
# rounding may have made it.
density_total <- function(program) {
  t <- seq(-30, 30, length.out = 240001)
  density <- exp(run_program(program, sinh(t))$value) * cosh(t)
  ends <- density[match(c(-30, 30), t)]
  middles <- density[c(60001, 180001)]
  if (any(ends > 1e-9 * max(density, na.rm = TRUE) & ends >= 0.5 * middles, na.rm = TRUE)) return(Inf)
  sum(density, na.rm = TRUE) * (t[2] - t[1])
}

# The normal distribution N(0, sd^2) that is nearest to the density of a prior's program, of least KL[N(0, sd^2) || p].
nearest_to_density <- function(program) {
  xi <- seq(-8, 8, length.out = 2001)
  weight <- stats::dnorm(xi) / sum(stats::dnorm(xi))
  divergence <- function(log_s) -log_s - sum(weight * pmax(run_program(program, exp(log_s) * xi)$value, -1e10))
  exp(stats::optimize(divergence, log(c(1e-4, 1e4)))$minimum)
}

new_prior <- function(kind, words, ...) structure(list(kind = kind, words = words, ...), class = "varnn_prior")

check_prior_mean <- function(mean) {
  if (!every(length(mean) == 1, plain_numbers(mean) == 0))
    stop_user("The prior's `mean` must be 0 (or \"auto\", for a standard deviation found from the data), not %s.",
              shown(mean))
}

check_prior_sd <- function(sd, name) check_positive(sd, name, 1e-100)

check_prior <- function(prior) {
  is_number <- function(x) is.null(x) || is_finite_vector(x, 1)
  is_made <- inherits(prior, "varnn_prior") &&
    every(is_one_of(prior$kind, setdiff(registry()$prior, c("flat", "by_weight"))), is.character(prior$words),
          length(prior$words) == 1,
          is_number(prior$sd), is_number(prior$share), is_number(prior$sd2),
          prior$kind != "program" || is_sound_program(prior$program))
  if (is_made || identical(prior, "auto")) return(prior)
  stop_user(paste("`prior` must be \"auto\" or made by prior_normal(), prior_laplace(), prior_mixture() or",
                  "prior_custom(), as in prior_normal(0, 1), not %s."), shown(prior))
}

#' @export
print.varnn_prior <- function(x, ...) {
  check_dots_empty(...)
  cat("Prior of the weights:", x$words, "\n")
  invisible(x)
}
