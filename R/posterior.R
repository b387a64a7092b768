# What the posterior q of a network's weights is: its moments, draws, coefficients and words.

# Of each posterior in the engine's table: what print() and summary() call it; `train`, what trains it, where that is
# not the engine's optimizer alone; `options`, what makes its options; `is_point`, whether its training is that of a
# point; `draws`, the name of the function (fit, numbers of draws) that returns the draws [parameters, draws] where the
# posterior is draws.
posterior_records <- list(
  point = list(words = "point"),
  laplace = list(words = "laplace, {layers}", train = "train_laplace"),
  hmc = list(words = "draws by hmc", train = "train_hmc", options = "posterior_hmc", draws = "chain_draws"),
  dropout = list(words = "dropout of hidden units at rate {rate}", train = "train_dropout",
                 options = "posterior_dropout", is_point = TRUE, draws = "masked_theta"),
  meanfield = list(words = "meanfield"),
  ivon = list(words = "ivon, a mean field by natural gradients"),
  last_layer = list(words = "last_layer"),
  full = list(words = "full"),
  lowrank = list(words = "lowrank with {rank} factors"),
  swag = list(words = "swag with {rank} deviations", train = "train_swag", options = "posterior_swag", is_point = TRUE)
)

# Whether training is that of numbers, of which a random posterior is made when it is done.
is_trained_as_point <- function(spec) isTRUE(posterior_records[[spec$posterior]]$is_point)

# Whether training cannot go on: what was found is no state of it.
is_trained_once <- function(spec) is_hmc(spec) || is_trained_as_point(spec)

# Whether the weights are numbers, not random (is_point); are normal about the mode (is_laplace); are trained as
# numbers, of which the mode is sought (seeks_mode); have a prior (is_bayesian).
is_point <- function(spec) spec$posterior == "point"
is_laplace <- function(spec) spec$posterior == "laplace"
seeks_mode <- function(spec) is_point(spec) || is_laplace(spec)
# Whether the weights are numbers in the engine: a mode, or draws that it has made.
weights_are_numbers <- function(spec) seeks_mode(spec) || is_sampled(spec)
is_bayesian <- function(spec) spec$prior != "flat"

# Whether the units' means and variances are known: they are independent.
has_moments <- function(spec) row_property("posterior", spec$posterior, "moments") == 1

# On which weights those of a posterior depend, and whether only those of the last layer do.
dependence <- function(posterior) {
  c("none", "unit", "earlier", "shared")[row_property("posterior", posterior, "depends") + 1]
}
is_of_last <- function(posterior) row_property("posterior", posterior, "in_last") == 1

# Posteriors of independent weights, points included, which a bottleneck can have too.
independent_posteriors <- function() Filter(function(name) dependence(name) == "none", registry()$posterior)

# Whether the expected log-likelihood has a closed form, or one with moments matched layer by layer.
can_be_exact <- function(spec) {
  has_moments(spec) && !"custom" %in% spec$family && all(row_property("family", spec$family, "expected") == 1) &&
    all(spec$layer %in% c("dense", "activate")) &&
    all(row_property("activation", spec$option[spec$layer == "activate"], "moments") == 1)
}

# Whether what can be exact is no approximation.
is_closed <- function(spec) {
  n_dense <- sum(spec$layer == "dense")
  n_dense == 1 || n_dense == 2 && !"custom" %in% spec$family &&
    all(vapply(spec$family, function(f) has_sigma(list(family = f)), NA))
}

# Whether nothing is drawn in training: the objective is then a function.
is_deterministic <- function(spec) seeks_mode(spec) || spec$estimator == "exact" && !spec$kl_mc

# ---- moments and draws

# Mean, sd, name, leaf (row of the layout) of each weight and bias; and, with sigma, what makes their covariance:
# `lower`, the Cholesky factor of the weights `at` below its diagonal sigma; the factors `shared` by all; or `root`, a
# square root of that of the weights `at`.
weight_posterior <- function(fit) {
  layout <- fit$layout
  means <- which(layout$part == 0 & layout$role != "noise")
  same <- function(field, i) layout[[field]] == layout[[field]][i]
  part <- function(k) {
    lapply(means, function(i) which(layout$part == k & same("layer", i) & same("role", i) & same("head", i)))
  }
  value <- function(i) fit$theta[leaf_index(layout[i, ])]
  size <- (layout$rows * layout$cols)[means]
  q <- list(mean = unlist(lapply(means, value)), sigma = exp(as.numeric(unlist(lapply(unlist(part(1)), value)))),
            name = unlist(lapply(means, function(i) entry_names(layout[i, ]))), leaf = rep(means, size))
  on <- dependence(fit$spec$posterior)
  factor <- lapply(part(if (on == "shared") 3 else 2), function(i) unlist(lapply(i, value)))
  if (weights_are_numbers(fit$spec)) q$sigma <- numeric(length(q$mean))
  variance <- q$sigma^2
  if (is_sampled(fit$spec)) {
    q$draws <- t(stored_draws(fit)[unlist(lapply(means, function(i) leaf_index(layout[i, ]))), , drop = FALSE])
    variance <- colMeans((q$draws - rep(q$mean, each = nrow(q$draws)))^2)
  } else if (is_laplace(fit$spec)) {
    q$at <- fit$laplace$active
    q$root <- laplace_root(fit)
    q$layers <- lapply(fit$laplace$layers, function(leaf) c(leaf, list(at = leaf_index(layout[leaf$row, ]))))
    variance <- laplace_variances(fit)
  } else if (on == "shared") {
    q$shared <- matrix(unlist(factor), length(q$mean), byrow = TRUE)
    variance <- variance + rowSums(q$shared^2)
  } else if (on != "none") {
    q$at <- which(!is_of_last(fit$spec$posterior) | layout$layer[q$leaf] == max(layout$layer[means]))
    stride <- if (on == "unit") layout$rows[q$leaf[q$at[1]]] else 1
    q$lower <- lower_factor(unlist(factor), length(q$at), stride)
    variance[q$at] <- variance[q$at] + rowSums(q$lower^2)
  }
  q$sd <- sqrt(variance)
  q
}

# The n rows of packed factors: row g has those of g - stride, g - 2 stride, ..., the first weight's first.
lower_factor <- function(packed, n, stride) {
  count <- (seq_len(n) - 1) %/% stride
  row <- rep(seq_len(n), count)
  col <- (row - 1) %% stride + 1 + stride * (sequence(count) - 1)
  out <- matrix(0, n, n)
  out[cbind(row, col)] <- packed
  out
}

# m, with a row for each weight and bias, with those of the first layer for the columns of x in place of the network's
# inputs: w'z = w'R'x.
of_columns <- function(m, fit, rotation = fit$scaling$rotation) {
  if (is.null(rotation)) return(m)
  leaf <- fit$layout[fit$layout$part == 0 & is_first(fit$layout), ]
  at <- seq_len(leaf$rows * leaf$cols)
  own <- aperm(array(m[at, ], c(leaf$rows, leaf$cols, ncol(m))), c(1, 3, 2))
  own <- tcrossprod(matrix(own, ncol = leaf$cols), rotation)
  m[at, ] <- aperm(array(own, c(leaf$rows, ncol(m), leaf$cols)), c(1, 3, 2))
  m
}

weight_covariance <- function(q) {
  out <- diag(q$sigma^2, length(q$sigma))
  if (!is.null(q$draws)) out <- crossprod(q$draws - rep(q$mean, each = nrow(q$draws))) / nrow(q$draws)
  if (!is.null(q$shared)) out <- out + tcrossprod(q$shared)
  if (!is.null(q$root)) out[q$at, q$at] <- tcrossprod(q$root)
  for (leaf in q$layers) out[leaf$at, leaf$at] <- leaf_covariance(leaf)
  if (!is.null(q$lower)) out[q$at, q$at] <- tcrossprod(q$lower + diag(q$sigma[q$at], length(q$at)))
  dimnames(out) <- list(q$name, q$name)
  out
}

entry_names <- function(leaf) {
  if (leaf$cols == 1 && leaf$role != "weight") return(paste0(leaf$name, "[", seq_len(leaf$rows), "]"))
  paste0(leaf$name, "[", rep(seq_len(leaf$rows), leaf$cols), ",", rep(seq_len(leaf$cols), each = leaf$rows), "]")
}

draw_weights <- function(q, draws) {
  if (!is.null(q$draws)) return(q$draws[chosen_draws(nrow(q$draws), draws), , drop = FALSE])
  eps <- matrix(stats::rnorm(draws * length(q$mean)), draws)
  out <- rep(q$mean, each = draws) + eps * rep(q$sigma, each = draws)
  if (!is.null(q$lower)) out[, q$at] <- out[, q$at] + tcrossprod(eps[, q$at, drop = FALSE], q$lower)
  if (!is.null(q$root)) out[, q$at] <- out[, q$at] + tcrossprod(eps[, q$at, drop = FALSE], q$root)
  for (leaf in q$layers) out[, leaf$at] <- out[, leaf$at] + t(leaf_draws(leaf, t(eps[, leaf$at, drop = FALSE])))
  if (!is.null(q$shared))
    out <- out + matrix(stats::rnorm(draws * ncol(q$shared)), draws) %*% t(q$shared)
  out
}

#' Draw weights from the posterior
#'
#' Draws of all weights and biases of a Bayesian network, for a look at their distribution or for computations that no
#' method has.
#'
#' @param x a fit by [fit_bayes_nn()].
#' @param draws number of draws.
#' @param ... not used.
#' @return A matrix with a row per draw from the variational posterior and a column per weight and bias, on the scale
#'   of the standardised data.
#' @seealso [coef.varnn_bayes_nn()] for their means and covariance, [posterior_epred()] for draws of predictions,
#'   [plot.varnn()] with `which = "weights"`.
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2)
#' dim(as.matrix(fit, draws = 10))
#' @export
as.matrix.varnn_bayes_nn <- function(x, draws = 1000, ...) {
  check_fit(x)
  check_dots_empty(..., known = "draws")
  draws <- check_draws(draws)
  q <- weight_posterior(x)
  check_draws_memory(2 * draws * length(q$mean), "That many draws")
  out <- t(of_columns(t(draw_weights(q, draws)), x))
  dimnames(out) <- list(NULL, q$name)
  out
}

# KL[q || p], by the closed form where there is one, else by draws of the engine.
total_kl <- function(fit, draws = 1000L) {
  if (is_sampled(fit$spec))
    stop_user("elbo() needs the density of the posterior, and `posterior` = \"%s\" has draws alone: see log_lik().",
              fit$spec$posterior)
  if (is_laplace(fit$spec)) return(laplace_kl(fit))
  spec <- utils::modifyList(fit$spec, list(kl_mc = 0L))
  alone <- stats::setNames(as.double(registry()$term == "kl_weights"), registry()$term)
  zeros <- function(columns) matrix(0, 1, columns)
  layout <- engine_layout(spec)
  data <- engine_data(zeros(spec$n_x), NaN * zeros(layout$n_y), offset = if (spec$has_offset) zeros(layout$n_eta))
  control <- nn_control(batch_size = 1)
  engine_gradient(spec, fit$theta, data, control, alone, if (isTRUE(fit$arguments$prior$is_mc)) draws else 1L)$loss
}

# ---- coefficients

#' Posterior mean, covariance and intervals of the weights
#'
#' What the posterior of a Bayesian network says about its weights. With no hidden layer they are the coefficients of a
#' Bayesian linear model; of a network with hidden layers no single weight means much, its predictions do.
#'
#' @param object a fit by [fit_bayes_nn()].
#' @param parm names or numbers of parameters; all by default.
#' @param level of the interval.
#' @param ... not used.
#' @return `coef()`: posterior means, with no hidden layer on the original scale, as [lm()] gives them, else a list of
#'   the network's matrices on the scale of the standardised data (`family.noise` is the log of the noise's standard
#'   deviation there, which has no posterior). `vcov()`: the covariance under the variational
#'   posterior, with hidden layers of all weights and biases as one vector (column by column, named as in
#'   [as.matrix()]). `confint()`: central intervals. Under `posterior = "meanfield"` the true posterior is wider where
#'   weights are correlated (of rotated inputs: those of the principal components). A point has a covariance of 0, and
#'   `confint()` of it is an error.
#' @seealso [as.matrix.varnn_bayes_nn()] for draws, [summary.varnn_bayes_nn()] for the layers as a whole,
#'   [predict.varnn_bayes_nn()].
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0)
#' coef(fit)
#' confint(fit)
#' @export
coef.varnn_bayes_nn <- function(object, ...) {
  check_fit(object)
  check_standard("coef", ...)
  object$layout <- object$layout[object$layout$part == 0, ]
  if (!has_hidden(object)) linear_coef(object) else coef_matrices(object)
}

#' @rdname coef.varnn_bayes_nn
#' @export
vcov.varnn_bayes_nn <- function(object, ...) {
  check_fit(object)
  check_standard("vcov", ...)
  q <- weight_posterior(object)
  if (has_hidden(object)) {
    check_draws_memory(length(q$mean)^2, "The covariance of all weights")
    return(of_columns(t(of_columns(weight_covariance(q), object)), object))
  }
  by <- coef_matrix(object)
  by %*% unname(weight_covariance(q)) %*% t(by)
}

#' @rdname coef.varnn_bayes_nn
#' @export
confint.varnn_bayes_nn <- function(object, parm, level = 0.95, ...) {
  check_fit(object)
  check_standard("confint", ..., known = c("parm", "level"))
  level <- check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  check_has_spread(object$spec)
  if (is_sampled(object$spec)) return(sampled_intervals(object, if (!missing(parm)) parm, level))
  q <- marginal_posterior(object)
  tail <- (1 - level) / 2
  out <- q$mean + q$sd %o% stats::qnorm(c(tail, 1 - tail))
  dimnames(out) <- list(q$name, paste(format(100 * c(tail, 1 - tail), digits = 3, trim = TRUE), "%"))
  if (missing(parm)) out else out[chosen_parameters(parm, q$name), , drop = FALSE]
}

# Mean, sd and name of each weight and bias, those of inputs as weights of the columns of x, or of each coefficient.
marginal_posterior <- function(fit) {
  if (!has_hidden(fit)) {
    v <- vcov.varnn_bayes_nn(fit)
    return(list(mean = as.vector(coef.varnn_bayes_nn(fit)), sd = sqrt(diag(v)), name = rownames(v)))
  }
  q <- weight_posterior(fit)
  turn <- fit$scaling$rotation
  list(mean = of_columns(cbind(q$mean), fit)[, 1], name = q$name,
       sd = sqrt(of_columns(cbind(q$sd^2), fit, if (!is.null(turn)) turn^2)[, 1]))
}

# Quantiles of the draws.
sampled_intervals <- function(fit, parm, level) {
  probs <- c((1 - level) / 2, (1 + level) / 2)
  drawn <- sampled_coefficients(fit)
  first <- if (is_mixture(fit)) member_fits(fit)[[1]] else fit
  out <- t(apply(drawn, 2, stats::quantile, probs, names = FALSE))
  names <- marginal_posterior(first)$name
  dimnames(out) <- list(names, paste(format(100 * probs, digits = 3, trim = TRUE), "%"))
  if (is.null(parm)) out else out[chosen_parameters(parm, names), , drop = FALSE]
}

check_has_spread <- function(spec) {
  if (is_point(spec)) stop_user("confint() needs a posterior with a spread: `posterior` = \"point\" has none.")
}

# Of a linear model: the coefficients on the original scale are this matrix times the weights, and a constant.
coef_matrix <- function(fit) {
  fit$layout <- fit$layout[fit$layout$part == 0, ]
  at <- role_places(fit$layout)
  value <- function(theta) as.vector(linear_coef(utils::modifyList(unclass(fit), list(theta = theta))))
  zero <- numeric(length(fit$theta))
  base <- value(zero)
  by <- vapply(at, function(i) value(replace(zero, i, 1)) - base, base)
  coef <- linear_coef(fit)
  names <- if (is.matrix(coef)) outer(rownames(coef), colnames(coef), function(a, b) paste(b, a, sep = ":"))
  else names(coef)
  matrix(by, length(base), dimnames = list(as.vector(names), NULL))
}

role_places <- function(layout) {
  unlist(lapply(which(layout$role != "noise"), function(i) leaf_index(layout[i, ])))
}

# ---- words

posterior_lines <- function(fit, digits) {
  if (!is_bayesian(fit$spec)) return(NULL)
  a <- fit$arguments
  h <- fit$history
  last <- if (nrow(h)) h[kept_epoch(fit), ]
  c(paste0("Prior: ", a$prior$words, wide_words(fit)),
    paste0("Posterior: ", posterior_phrase(fit),
           if (!weights_are_numbers(fit$spec) && !is_trained_as_point(fit$spec))
             paste("; estimator", fit$spec$estimator),
           if (fit$spec$kl_mc) ", Monte Carlo KL", noise_words(fit, digits)),
    if (is_laplace(fit$spec)) evidence_line(fit, digits)
    else if (is_hmc(fit$spec)) chain_lines(fit, digits)
    else if (!is.null(last) && !is_trained_as_point(fit$spec)) sprintf("ELBO: %s (expected log-likelihood %s, KL %s)",
                                format(last$elbo * n_trained(fit), digits = digits + 2),
                                format(-last$nll * n_trained(fit), digits = digits + 2),
                                format(last$kl_weights * n_trained(fit), digits = digits + 1)))
}

posterior_phrase <- function(fit) {
  words <- posterior_records[[fit$spec$posterior]]$words
  words <- sub("{rank}", fit$spec$rank, words, fixed = TRUE)
  words <- sub("{rate}", format(fit$sampled$rate), words, fixed = TRUE)
  if (is_laplace(fit$spec)) sub("{layers}", layers_words(fit), words, fixed = TRUE) else words
}

# The groups of weights whose precision fell to its bound, as those of separated classes do.
wide_words <- function(fit) {
  if (!is_laplace(fit$spec) || prior_way(fit$spec, fit$arguments$prior) != "evidence") return(NULL)
  groups <- weight_groups(fit$layout, fit$blocks)
  wide <- unique(groups$of[fit$spec$precision <= least_precision(groups)[groups$of]])
  if (length(wide)) sprintf("; of %s at its bound, %s", paste(groups$names[wide], collapse = ", "),
                            paste(unique(format(1 / sqrt(least_precision(groups)[wide]), digits = 3)), collapse = ", "))
}

evidence_line <- function(fit, digits) {
  if (is.null(fit$laplace)) return(NULL)
  sprintf("Evidence: %s; effective number of parameters %s of %s", format(fit$laplace$evidence, digits = digits + 2),
          format(sum(fit$laplace$effective), digits = digits), thousands(sum(is.finite(fit$spec$precision))))
}

n_trained <- function(fit) 1 / fit$control$objective$coefficient[["kl_weights"]]

noise_words <- function(fit, digits) {
  own <- vapply(fit$blocks, has_sigma, NA)
  if (!any(own)) return(NULL)
  paste0("; noise sd ", paste(format(sigma.varnn_bayes_nn(fit), digits = digits), collapse = ", "),
         if (any(vapply(fit$blocks[own], function(b) isTRUE(b$knows_sigma) && !finds_noise(b), NA))) " (given)")
}

#' @export
sigma.varnn_bayes_nn <- function(object, ...) {
  check_fit(object)
  check_standard("sigma", ...)
  at <- which(vapply(object$blocks, has_sigma, NA))
  if (!length(at)) stop_user("sigma() needs a gaussian response with constant noise; this fit's family is %s.",
                             quoted(object$family))
  out <- vapply(at, function(i) object$blocks[[i]]$scale * exp(block_free(object)[[i]][1]), 0)
  if (length(at) > 1) stats::setNames(out, vapply(object$blocks[at], function(b) b$columns, "")) else out
}
