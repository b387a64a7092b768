# What the posterior of a network says: its generics beside prediction.

#' Predict with a Bayesian network: means and intervals
#'
#' Predictions averaged over the posterior of the weights, with intervals for the mean of the response or for the
#' response itself.
#'
#' @param object a fit by [fit_bayes_nn()].
#' @param newdata a data frame (or, for a fit to a matrix, a matrix) with the predictors; columns that the model does
#'   not use are ignored. Without it, the predictions for the training data.
#' @param type as in [predict.varnn_nn()], averaged over the posterior (of classes: their probabilities are);
#'   `"draws"`: [posterior_epred()].
#' @param interval `"none"`; `"confidence"`: of the mean of the response, for the weights are uncertain;
#'   `"prediction"`: of the response, noise included.
#' @param level of the interval.
#' @param draws from the posterior.
#' @param na.action,... as in [predict.varnn_nn()].
#' @details The mean has a closed form where estimator `"exact"` applies; else, and for intervals, it is taken over
#'   `draws`, so that [set.seed()] makes it reproducible. Rows are predicted in chunks, all with the same draws of
#'   the weights, so that memory does not grow with them.
#'
#' The predictive distribution of a gaussian response is the mixture of the normal distributions that the draws give
#' it, and the bounds of a prediction interval are its quantiles; of other responses they are quantiles of one response
#' per draw. Classes have no prediction interval, and those with more than two levels none of their mean.
#' @return As [predict.varnn_nn()]; with `interval` a matrix with columns `fit`, `lwr` and `upr`, or with several
#'   responses a list of these.
#' @seealso [posterior_epred()] and [posterior_predict()] for the draws themselves, [calibration()] for how often the
#'   intervals cover.
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 4)
#' predict(fit, mtcars[1:3, ], interval = "confidence")
#' predict(fit, mtcars[1:3, ], interval = "prediction", level = 0.8)
#' @export
predict.varnn_bayes_nn <- function(object, newdata, type = NULL, interval = "none", level = 0.95, draws = 1000,
                                   na.action = stats::na.pass, ...) {
  check_fit(object)
  check_standard("predict", ..., known = c("newdata", "type", "interval", "level", "draws", "na.action"))
  action <- na_name(na.action)
  check_choice(interval, c("none", "confidence", "prediction"), "interval")
  check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  draws <- check_draws(draws)
  is_new <- !missing(newdata) && !is.null(newdata)
  has_eta <- !is_new && interval == "none" && !identical(type, "draws") && !is.null(object$eta)
  rows <- if (has_eta) list(offset = object$offset) else found_rows(object, if (is_new) newdata, parent.frame())
  if (is_new) rows <- by_na_action(rows, action)
  check_type(type, interval)
  if (identical(type, "draws")) return(drawn_responses(object, rows, draws, epred_block))
  type <- predict_type(object, type)
  if (interval != "none") return(checked_interval(object, rows, type, interval, level, draws))
  eta <- if (has_eta) object$eta else posterior_eta(object, row_data(object, rows), draws)
  if (!"categorical" %in% object$family) check_finite_output(eta)
  out <- predicted(object, eta, rows$offset, type)
  if (is_new) with_rows(spread(out, rows$ok), rows$rows)
  else as_trained(object, out)
}

check_type <- function(type, interval) {
  if (is.null(type)) return(invisible())
  check_choice(type, c(predict_types, "draws"), "type")
  if (identical(type, "draws") && interval != "none") stop_user("`interval` does not apply to `type` = \"draws\".")
}

checked_interval <- function(object, rows, type, interval, level, draws) {
  if (type %in% c("link", "class", "prob") && !is_default_class(object))
    stop_user("`interval` is of the response: leave `type` out.")
  check_interval(object, interval)
  interval_of(object, rows, interval, level, draws)
}

# A factor's default is its class, for which nobody asked.
is_default_class <- function(fit) all(vapply(fit$blocks, function(b) b$type == "factor", NA))

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
#'   weights are correlated (of rotated inputs: those of the principal components).
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
  check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  q <- weight_posterior(object)
  if (has_hidden(object)) {
    q$mean <- of_columns(cbind(q$mean), object)[, 1]
    turn <- object$scaling$rotation
    q$sd <- sqrt(of_columns(cbind(q$sd^2), object, if (!is.null(turn)) turn^2)[, 1])
  } else {
    by <- coef_matrix(object)
    center <- coef.varnn_bayes_nn(object)
    q <- list(mean = as.vector(center), sd = sqrt(diag(vcov.varnn_bayes_nn(object))), name = rownames(by))
  }
  tail <- (1 - level) / 2
  out <- q$mean + q$sd %o% stats::qnorm(c(tail, 1 - tail))
  dimnames(out) <- list(q$name, paste(format(100 * c(tail, 1 - tail), digits = 3, trim = TRUE), "%"))
  if (missing(parm)) out else out[chosen_parameters(parm, q$name), , drop = FALSE]
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

#' @rdname elbo
#' @export
elbo.varnn_bayes_nn <- function(object, newdata = NULL, y = NULL, draws = 100, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "y", "draws"))
  draws <- check_draws(draws)
  rows <- rows_with_response(object, newdata, y, parent.frame())
  data <- row_data(object, rows, rows$y)
  out <- rep(NA_real_, length(rows$ok))
  names(out) <- rows$rows
  terms <- matrix(0, data$n, 1)
  if (!predicts_by_draws(object) && is_closed(object$spec) && data$n) {
    spec <- utils::modifyList(object$spec, list(estimator = "exact", kl_mc = 0L))
    terms <- engine_run(spec, object$theta, data, "terms", precision = object$control$precision)
  } else {
    over_chunks(object, data, draws, "terms", function(x, at) terms[at, 1] <<- rowSums(means_over(x)))
  }
  out[rows$ok] <- -rowSums(terms) - row_jacobian(object, rows$y)
  kl <- total_kl(object)
  check_finite_output(c(out[!is.na(out)], kl))
  structure(out, kl = kl)
}

# KL[q || p], by the closed form where there is one, else by draws of the engine.
total_kl <- function(fit, draws = 1000L) {
  spec <- utils::modifyList(fit$spec, list(kl_mc = 0L))
  alone <- stats::setNames(as.double(registry()$term == "kl_weights"), registry()$term)
  zeros <- function(columns) matrix(0, 1, columns)
  layout <- engine_layout(spec)
  data <- engine_data(zeros(spec$n_x), zeros(layout$n_y), offset = if (spec$has_offset) zeros(layout$n_eta))
  control <- nn_control(batch_size = 1)
  engine_gradient(spec, fit$theta, data, control, alone, if (isTRUE(fit$arguments$prior$is_mc)) draws else 1L)$loss
}

#' @export
sigma.varnn_bayes_nn <- function(object, ...) {
  check_fit(object)
  check_standard("sigma", ...)
  at <- which(vapply(object$blocks, function(b) b$family == "gaussian", NA))
  if (!length(at)) stop_user("sigma() needs a gaussian response with constant noise; this fit's family is %s.",
                             quoted(object$family))
  out <- vapply(at, function(i) object$blocks[[i]]$scale * exp(block_free(object)[[i]][1]), 0)
  if (length(at) > 1) stats::setNames(out, vapply(object$blocks[at], function(b) b$columns, "")) else out
}

#' @rdname simulate.varnn_nn
#' @export
simulate.varnn_bayes_nn <- function(object, nsim = 1, seed = NULL, newdata = NULL, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("nsim", "seed", "newdata"))
  nsim <- check_number(nsim, "nsim", 1, 1e8, whole = TRUE)
  if (!is.null(seed)) check_number(seed, "seed", -.Machine$integer.max, .Machine$integer.max, whole = TRUE)
  rows <- found_rows(object, newdata, parent.frame())
  state <- use_seed(seed)
  on.exit(state$restore())
  drawn <- drawn_responses(object, rows, nsim, predict_block, "nsim")
  drawn <- if (length(object$blocks) == 1) list(drawn) else drawn
  out <- Map(function(block, y) {
    sims <- lapply(seq_len(nsim), function(k) as_response(block, y[k, ]))
    names <- if (is.null(rows$rows)) as.character(seq_along(rows$ok)) else rows$rows
    simulation_frame(sims, names)
  }, object$blocks, drawn)
  out <- if (length(out) == 1) out[[1]] else stats::setNames(out, names(object$family))
  structure(out, seed = state$seed)
}

# Drawn numbers as the response was: a factor, a logical, a number.
as_response <- function(block, y) {
  y <- unname(y)
  if (block$type == "logical") return(y == 1)
  if (block$type != "factor") return(y)
  factor(block$levels[y + (block$family != "categorical")], levels = block$levels, ordered = isTRUE(block$is_ordered))
}

# ---- print and summary

posterior_lines <- function(fit, digits) {
  if (is_point(fit$spec)) return(NULL)
  a <- fit$arguments
  h <- fit$history
  last <- if (nrow(h)) h[kept_epoch(fit), ]
  c(paste("Prior:", a$prior$words),
    paste0("Posterior: ", posterior_table[[a$posterior]]$words(a$rank), "; estimator ", fit$spec$estimator,
           if (fit$spec$kl_mc) ", Monte Carlo KL", noise_words(fit, digits)),
    if (!is.null(last)) sprintf("ELBO: %s (expected log-likelihood %s, KL %s)",
                                format(last$elbo * n_trained(fit), digits = digits + 2),
                                format(-last$nll * n_trained(fit), digits = digits + 2),
                                format(last$kl_weights * n_trained(fit), digits = digits + 1)))
}

n_trained <- function(fit) 1 / fit$control$objective$coefficient[["kl_weights"]]

noise_words <- function(fit, digits) {
  own <- vapply(fit$blocks, function(b) b$family == "gaussian", NA)
  if (!any(own)) return(NULL)
  paste0("; noise sd ", paste(format(sigma.varnn_bayes_nn(fit), digits = digits), collapse = ", "),
         if (any(vapply(fit$blocks[own], function(b) isTRUE(b$knows_sigma), NA))) " (given)")
}

#' Summarise a Bayesian network
#'
#' The parts of the ELBO, the noise, and what the data have determined in each layer.
#'
#' @param object,x a fit, its summary.
#' @param digits,... as of [summary.varnn_nn()].
#' @return A list of class `summary.varnn_bayes_nn`: `fit_lines` (what `print()` shows), `elbo` (its parts in nats,
#'   of the training data, as the history has them: of a network trained by draws those of the last epoch's, which
#'   [elbo()] takes anew and more of), `sigma` (the noise's standard deviation, where there is one), `n_weights`,
#'   `n_effective`, and `layers`, a data frame with, for each matrix of weights and vector of biases, the standard
#'   deviation of the prior, the root mean squares of posterior means and standard deviations, the median
#'   signal-to-noise ratio \eqn{|\mu| / \sigma}{|mu| / sigma}, and the effective number; of rotated inputs those of
#'   the principal components' weights.
#' @details The effective number of weights is \eqn{\sum_j 1 - \sigma_j^2 / s_j^2}{sum(1 - sigma^2 / s^2)} with the
#'   standard deviation s of the prior (of the normal distribution nearest to it, where it is another), at least 0 each:
#'   how many the data determine (MacKay 1992).
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
  has_sigma <- any(vapply(object$blocks, function(b) b$family == "gaussian", NA))
  structure(list(fit_lines = fit_lines(object),
                 elbo = c(elbo = last$elbo, log_lik = -last$nll, kl = last$kl_weights) * n_trained(object),
                 sigma = if (has_sigma) sigma.varnn_bayes_nn(object), n_weights = length(q$mean),
                 n_effective = sum(layers$effective), layers = layers), class = "summary.varnn_bayes_nn")
}

layer_table <- function(fit, q) {
  rows <- lapply(unique(q$leaf), function(i) {
    at <- q$leaf == i
    sd <- leaf_prior_sd(fit$spec, fit$layout[i, ], q$mean[at], q$sd[at])
    data.frame(name = fit$layout$name[i], weights = sum(at), prior_sd = sd, rms_mean = sqrt(mean(q$mean[at]^2)),
               rms_sd = sqrt(mean(q$sd[at]^2)), signal_to_noise = stats::median(abs(q$mean[at]) / q$sd[at]),
               effective = sum(pmax(0, 1 - (q$sd[at] / (sd * nearest_sd(fit$spec)))^2)))
  })
  do.call(rbind, rows)
}

# The standard deviation a priori of a leaf's entries.
leaf_prior_sd <- function(spec, leaf, mean, sd) {
  scale <- if (spec$fan_in && leaf$role == "weight") 1 / sqrt(leaf$cols) else 1
  switch(spec$prior, empirical = sqrt(mean(mean^2 + sd^2)), normal = spec$prior_sd * scale,
         laplace = sqrt(2) * spec$prior_sd * scale,
         mixture = scale * sqrt(spec$prior_share * spec$prior_sd^2 + (1 - spec$prior_share) * spec$prior_sd2^2))
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
  cat(sprintf("The data determine about %s of %s weights and biases.\n", format(x$n_effective, digits = few),
              thousands(x$n_weights)))
  print(x$layers, row.names = FALSE, digits = few)
  invisible(x)
}

# ---- the end of training

# The noise at its closed form, the mean of (y - E f)^2 + Var f, where training is without draws.
#' @exportS3Method
close_noise.varnn_bayes_nn <- function(fit, data) {
  at <- which(fit$layout$role == "noise")
  if (!is_deterministic(fit$spec) || length(at) != 1 || length(fit$blocks) > 1) return(fit)
  nll <- engine_run(fit$spec, fit$theta, data[names(data) != "row"], "terms")[, 1]
  w <- if (is.null(data$weight)) rep(1, length(nll)) else data$weight
  use <- if (is.null(data$row)) seq_along(nll) else data$row
  use <- use[!is.na(data$y[use, 1])]
  log_sd <- fit$theta[leaf_index(fit$layout[at, ])]
  squares <- exp(2 * log_sd) * (2 * nll[use] - log(2 * pi) - 2 * log_sd)
  fit$theta[leaf_index(fit$layout[at, ])] <- log(sum(w[use] * squares) / sum(w[use])) / 2
  fit
}
