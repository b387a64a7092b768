# summary() of a Bayesian network.

#' Summarise a Bayesian network
#'
#' The parts of the ELBO, the noise, and what the data have determined in each layer.
#'
#' @param object,x a fit, its summary.
#' @param digits,... as of [summary.varnn_nn()].
#' @return A list of class `summary.varnn_bayes_nn`: `fit_lines` (what `print()` shows), `elbo` (its parts in nats, of
#'   the training data, as the history has them: of a network trained by draws those of the last epoch's, which
#'   [elbo()] takes anew and more of; of `posterior = "laplace"` the evidence and the log-likelihood at the mode),
#'   `sigma` (the noise's standard deviation, where there is one), `n_weights` (without those that are kept at
#'   one value), `n_effective`, and `layers`, a data
#'   frame with, for each matrix of weights and vector of biases, the standard deviation of the prior, the root mean
#'   squares of posterior means and standard deviations, the median signal-to-noise ratio \eqn{|\mu| / \sigma}{|mu| /
#'   sigma}, and the effective number; of rotated inputs those of the principal components' weights.
#' @details The effective number of weights is \eqn{\sum_j 1 - \sigma_j^2 / s_j^2}{sum(1 - sigma^2 / s^2)} with the
#'   standard deviation s of the prior (of the normal distribution nearest to it, where it is another), at least 0 each:
#'   how many the data determine (MacKay 1992). There are no effective numbers and no signal-to-noise ratios with
#'   `posterior = "point"`, which has no spread, and `"dropout"`, whose spread is that of its rate.
#' @references MacKay (1992) Bayesian interpolation, \doi{10.1162/neco.1992.4.3.415}.
#' @seealso [elbo()], [coef.varnn_bayes_nn()], [plot.varnn()] with `which = "weights"`.
#' @examples
#' set.seed(1)
#' summary(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 4))
#' @export
summary.varnn_bayes_nn <- function(object, ...) {
  check_fit(object)
  check_standard("summary", ...)
  q <- weight_posterior(object)
  layers <- layer_table(object, q)
  h <- object$history
  last <- h[kept_epoch(object), ]
  has_sigma <- any(vapply(object$blocks, has_sigma, NA))
  elbo <- c(elbo = last$elbo, log_lik = -last$nll, kl = last$kl_weights) * n_trained(object)
  if (is_laplace(object$spec)) elbo <- c(evidence = object$laplace$evidence, log_lik = -last$nll * n_trained(object))
  structure(list(fit_lines = fit_lines(object), elbo = elbo,
                 sigma = if (has_sigma) sigma.varnn_bayes_nn(object), n_weights = sum(layers$weights),
                 n_effective = if (!is.null(layers$effective)) sum(layers$effective), layers = layers),
            class = "summary.varnn_bayes_nn")
}

layer_table <- function(fit, q) {
  is_bound <- is_laplace(fit$spec) && prior_way(fit$spec, fit$arguments$prior) == "bound"
  kind <- if (is_bound) "laplace" else fit$spec$prior
  rows <- lapply(unique(q$leaf), function(i) {
    at <- q$leaf == i & !is_held(fit$spec, length(q$mean))
    sd <- leaf_prior_sd(fit$spec, fit$layout[i, ], q$mean[at], q$sd[at], kind)
    data.frame(name = fit$layout$name[i], weights = sum(at), prior_sd = sd, rms_mean = sqrt(mean(q$mean[at]^2)),
               rms_sd = sqrt(mean(q$sd[at]^2)), signal_to_noise = stats::median(abs(q$mean[at]) / q$sd[at]),
               effective = sum(pmax(0, 1 - variance_ratio(fit$spec, at, q$sd[at], sd))))
  })
  out <- do.call(rbind, rows)
  if (has_density(fit$spec$posterior)) return(out)
  # a point has no spread, and that of dropout is its rate's, not the data's
  out[setdiff(names(out), c(if (is_point(fit$spec)) "rms_sd", "signal_to_noise", "effective"))]
}

# Which of the weights are kept where they are, as those of a noise that is constant: the data determine nothing there.
is_held <- function(spec, n) if (is.null(spec$precision)) logical(n) else is.infinite(spec$precision)

# The variances of the weights `at` as shares of those a priori: of the normal distribution nearest to a prior with this
# sd, or of each weight its own.
variance_ratio <- function(spec, at, sd, prior_sd) {
  if (!is.null(spec$precision)) spec$precision[at] * sd^2 else (sd / (prior_sd * nearest_sd(spec)))^2
}

# The standard deviation a priori of a leaf's entries; of a user's density that of the nearest normal distribution.
leaf_prior_sd <- function(spec, leaf, mean, sd, kind = spec$prior) {
  scale <- if (spec$fan_in && leaf$role == "weight") 1 / sqrt(leaf$cols) else 1
  switch(kind, by_weight = by_weight_sd(spec, leaf), empirical = sqrt(mean(mean^2 + sd^2)),
         normal = spec$prior_sd * scale,
         laplace = sqrt(2) * spec$prior_sd * scale,
         program = scale * nearest_to_density(prior_program(spec)),
         mixture = scale * sqrt(spec$prior_share * spec$prior_sd^2 + (1 - spec$prior_share) * spec$prior_sd2^2))
}

# Of the leaf's weights that are not kept where they are, whose groups may differ, by the mean variance.
by_weight_sd <- function(spec, leaf) {
  precision <- spec$precision[leaf_index(leaf)]
  if (all(is.infinite(precision))) 0 else sqrt(mean(1 / precision[is.finite(precision)]))
}

# The standard deviation of the normal distribution nearest to the prior, of which q is one, as a share of the prior's:
# the s that minimises KL[N(0, s^2) || p].
nearest_sd <- function(spec) {
  if (spec$prior == "laplace") return(sqrt(pi) / 2)
  if (spec$prior != "mixture") return(1)
  sds <- c(spec$prior_sd, spec$prior_sd2)
  share <- c(spec$prior_share, 1 - spec$prior_share)
  xi <- seq(-8, 8, length.out = 2001)
  weight <- stats::dnorm(xi) / sum(stats::dnorm(xi))
  log_density <- function(w) log(share[1] * stats::dnorm(w, 0, sds[1]) + share[2] * stats::dnorm(w, 0, sds[2]))
  divergence <- function(log_s) -log_s - sum(weight * log_density(exp(log_s) * xi))
  exp(stats::optimize(divergence, log(range(sds)) + c(-0.1, 0.1))$minimum) / sqrt(sum(share * sds^2))
}

#' @rdname summary.varnn_bayes_nn
#' @export
print.summary.varnn_bayes_nn <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  few <- max(1, digits - 1)
  print_lines(c(x$fit_lines, ""))
  if (!is.null(x$n_effective))
    cat(sprintf("The data determine about %s of %s weights and biases.\n", format(x$n_effective, digits = few),
                thousands(x$n_weights)))
  print(x$layers, row.names = FALSE, digits = few)
  invisible(x)
}
