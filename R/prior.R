# Priors of a Bayesian network's weights: plain lists that new_spec() reads.

#' Priors of a network's weights
#'
#' What a Bayesian network's weights and biases are thought to be before the data are seen; all independent.
#'
#' @param mean the mean of all weights, which must be 0; or `"auto"`, for a standard deviation that is found from the
#'   data for each weight matrix and each bias vector.
#' @param sd the standard deviation, in units of the standardised data.
#' @param fan_in divide the standard deviation of a matrix of weights by the root of the number of its inputs, so
#'   that the variance a priori of a unit does not depend on how many inputs it has? That of biases stays.
#' @details
#' `prior_normal(0, sd)` is \eqn{N(0, s^2)}{N(0, sd^2)}, with `fan_in` \eqn{N(0, s^2 / d)}{N(0, sd^2 / d)} for weights
#' from d inputs (Neal 1996). `prior_normal("auto")` sets the variance of each matrix and vector of n weights to the one
#' with the greatest ELBO, \eqn{\sum_i (\mu_i^2 + \sigma_i^2) / n}{sum(mu^2 + sigma^2) / n}, in closed form in every
#' step (empirical Bayes, as in Wu et al. 2019, without their hyperprior).
#' @return A list of class `varnn_prior`.
#' @references Neal (1996) Bayesian Learning for Neural Networks, \doi{10.1007/978-1-4612-0745-0}. Wu et al. (2019)
#'   Deterministic variational inference for robust Bayesian neural networks, \doi{10.48550/arXiv.1810.03958}.
#' @seealso [fit_bayes_nn()]
#' @examples
#' prior_normal(0, 2, fan_in = TRUE)
#' prior_normal("auto")
#' @export
prior_normal <- function(mean = 0, sd = 1, fan_in = FALSE) {
  if (identical(mean, "auto")) {
    if (!missing(sd) || !missing(fan_in)) stop_user("prior_normal(\"auto\") finds the standard deviations itself.")
    return(new_prior("empirical", "N(0, sd), sd of each layer by empirical Bayes"))
  }
  check_prior_mean(mean)
  check_prior_sd(sd, "sd")
  check_flag(fan_in, "fan_in")
  new_prior("normal", sprintf("N(0, sd = %s%s)", format(sd), if (fan_in) " / sqrt(inputs)" else ""), sd = sd,
            fan_in = fan_in)
}

new_prior <- function(kind, words, ...) structure(list(kind = kind, words = words, ...), class = "varnn_prior")

check_prior_mean <- function(mean) {
  if (!every(is.numeric(mean), length(mean) == 1, mean == 0))
    stop_user("The prior's `mean` must be 0 (or \"auto\", for a standard deviation found from the data), not %s.",
              shown(mean))
}

check_prior_sd <- function(sd, name) check_number(sd, name, 0, 1e100, above = TRUE)

check_prior <- function(prior) {
  if (inherits(prior, "varnn_prior")) return(prior)
  stop_user("`prior` must be made by prior_normal(), as in prior_normal(0, 1), not %s.", shown(prior))
}

#' @export
print.varnn_prior <- function(x, ...) {
  check_dots_empty(...)
  cat("Prior of the weights:", x$words, "\n")
  invisible(x)
}
