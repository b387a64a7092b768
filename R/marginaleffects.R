# Predictions, comparisons and slopes by the package marginaleffects: it moves the coefficients of a linear network for
# the delta method, and takes draws of predictions of a Bayesian one.

# Its option names the classes that it takes beside its own.
register_marginaleffects <- function(...) {
  known <- getOption("marginaleffects_model_classes")
  if (!"varnn" %in% known) options(marginaleffects_model_classes = c(known, "varnn"))
}

# When it is loaded, which may have been before.
on_marginaleffects <- function() {
  if (isNamespaceLoaded("marginaleffects")) register_marginaleffects()
  setHook(packageEvent("marginaleffects", "onLoad"), register_marginaleffects)
}

#' @exportS3Method marginaleffects::get_coef
get_coef.varnn <- function(model, ...) {
  check_fit(model)
  if (!has_response(model)) stop_user("Marginal effects need a model with a response.")
  if (has_hidden(model)) return(NULL)
  coef <- stats::coef(model)
  names <- if (is.matrix(coef)) outer(rownames(coef), colnames(coef), function(a, b) paste(b, a, sep = ":"))
  else names(coef)
  stats::setNames(as.vector(coef), as.vector(names))
}

#' @exportS3Method marginaleffects::get_vcov
get_vcov.varnn <- function(model, vcov = NULL, ...) {
  check_fit(model)
  if (isFALSE(vcov) || draws_posterior(model)) return(NULL)
  if (is.matrix(vcov)) return(vcov)
  if (!is.null(vcov) && !isTRUE(vcov))
    stop_user("`vcov` must be TRUE, FALSE or a matrix, not %s: other variances are not there.", shown(vcov))
  why <- why_no_errors(model)
  if (is.null(why)) return(stats::vcov(model))
  warn_user("varnn_no_errors", "There are no standard errors: %s. fit_bayes_nn() says how sure a network is.", why)
  NULL
}

#' @exportS3Method marginaleffects::set_coef
set_coef.varnn <- function(model, coefs, ...) {
  check_fit(model)
  base <- get_coef.varnn(model)
  if (is.null(base) || is_mixture(model))
    stop_user("set_coef() does not apply to a model with hidden layers or several members.")
  values <- plain_numbers(if (is.null(names(coefs))) coefs else coefs[names(base)])
  if (!every(length(values) == length(base), all(is.finite(values))))
    stop_user("`coefs` must be %d numbers, the coefficients %s, not %s.", length(base), quoted(names(base)),
              shown(coefs))
  at <- role_places(model$layout)
  base <- get_coef.varnn(with_theta(model, at, 0))
  with_theta(model, at, qr.solve(coef_matrix(model), values - as.vector(base)))
}

# Other weights, and nothing that was kept of those before.
with_theta <- function(fit, at, values) {
  fit$theta[at] <- values
  fit[c("eta", "information")] <- NULL
  fit
}

#' @exportS3Method marginaleffects::get_predict
get_predict.varnn <- function(model, newdata, type = "response", ..., draws = default_draws) {
  check_fit(model)
  if (!draws_posterior(model) || !type %in% c("response", "link")) {
    default <- utils::getS3method("get_predict", "default", envir = asNamespace("marginaleffects"))
    of_predict <- function(..., numderiv) default(model, newdata = newdata, type = type, ...) # numderiv is not for it
    return(of_predict(...))
  }
  check_effect_type(model, type)
  rows <- design_rows(model$design, newdata)
  found <- repeatable(drawn_responses(model, rows, check_draws(draws),
                                      if (type == "link") link_block else epred_block))
  if (!is.list(found)) found <- list(found)
  drawn <- do.call(cbind, lapply(found, function(d) matrix(d, dim(d)[1])))
  several <- length(model$blocks) > 1
  groups <- unlist(lapply(model$blocks, block_labels, several))
  out <- data.frame(estimate = colMeans(drawn))
  if (length(groups) > 1) out <- cbind(group = factor(rep(groups, each = length(rows$ok)), groups), out)
  out$rowid <- rep(if (is.null(newdata[["rowid"]])) seq_along(rows$ok) else newdata[["rowid"]],
                   max(1, length(groups)))
  attr(out, "posterior_draws") <- t(drawn)
  out
}
