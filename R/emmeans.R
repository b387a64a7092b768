# Estimated marginal means by the package emmeans. A linear network has the coefficients and covariance of lm() and
# glm(); of a Bayesian one it is given draws of the linear output at the rows of its grid.

#' Estimated marginal means and marginal effects of other packages
#'
#' The packages emmeans and marginaleffects work on fits by [fit_nn()] and [fit_bayes_nn()]. They find their methods
#' when they are loaded; nothing has to be called here.
#'
#' @details Without hidden layers `emmeans::emmeans()`, `marginaleffects::avg_slopes()` and their like give what they
#'   give of [lm()] and [glm()]. Of Bayesian fits they have credible intervals by draws from the posterior, 1,000 unless
#'   `draws` says otherwise, and the same for all rows; the state of R's generator decides which, and is left as it was.
#'   The highest density intervals of emmeans need the package coda.
#'
#'   A plain network with hidden layers has no standard errors: marginaleffects gives estimates alone, with a warning
#'   but for `vcov = FALSE`, and emmeans refuses it. Of classes marginaleffects has the probability of each level.
#'
#'   A draw of a linearised posterior (`posterior = "laplace"`) of a network with units that switch, as `"relu"` has,
#'   jumps where one switches. Slopes are differences over short distances, and their intervals are then far too wide:
#'   give `eps`, some tenths of the predictor's standard deviation, or ask for `avg_comparisons()`.
#'
#'   marginaleffects takes models whose class is in its option `marginaleffects_model_classes`. This package adds its
#'   own there when marginaleffects is loaded.
#' @examplesIf requireNamespace("emmeans", quietly = TRUE)
#' fit <- fit_nn(mpg ~ wt + factor(cyl), mtcars, hidden = 0)
#' emmeans::emmeans(fit, "cyl")
#' @seealso [effects()][effects.varnn], [importance()].
#' @name marginal
NULL

#' @exportS3Method emmeans::recover_data
recover_data.varnn <- function(object, ...) {
  check_fit(object)
  why <- why_no_basis(object)
  if (!is.null(why)) return(why)
  emmeans::recover_data(object$call, stats::delete.response(object$terms), object$na.action,
                        frame = stats::model.frame(object), ...)
}

# Words for emmeans, which says them as its own error.
why_no_basis <- function(fit) {
  if (!has_response(fit)) return("emmeans needs a model with a response")
  if (is.null(fit$terms)) return("emmeans needs a model that was fitted by a formula")
  if (any(vapply(fit$blocks, has_levels, NA)))
    return("emmeans does not apply to a factor of several levels: see marginaleffects, or predict(type = \"prob\")")
  if (draws_posterior(fit)) return(NULL)
  why <- why_no_errors(fit)
  if (!is.null(why)) paste0("emmeans needs standard errors, which this fit has not: ", why,
                            ". fit_bayes_nn() says how sure a network is")
}

# Whether the weights have a posterior to draw from, or members that differ.
draws_posterior <- function(fit) is_mixture(fit) || is_bayesian(fit$spec) && !is_point(fit$spec)

#' @exportS3Method emmeans::emm_basis
emm_basis.varnn <- function(object, trms, xlev, grid, draws = default_draws, ...) {
  check_fit(object)
  misc <- list()
  several <- length(object$blocks) > 1
  if (several) misc$ylevs <- list(rep.meas = names(object$family))
  else misc <- emmeans::.std.link.labels(link_record(object$blocks[[1]]), misc)
  out <- if (draws_posterior(object)) drawn_basis(object, grid, check_draws(draws))
  else linear_basis(object, trms, xlev, grid)
  c(out, list(misc = misc))
}

link_record <- function(block) {
  own <- record_of(block)
  if (is.null(own$stats)) list(family = family_label(block), link = own$link) else own$stats()
}

# As of lm() or mlm: the outputs that are means, one after the other. Coefficients that others determine are missing,
# and what they take part in is not estimable: `nbasis` spans the directions that the columns do not have.
linear_basis <- function(fit, trms, xlev, grid) {
  frame <- stats::model.frame(trms, grid, na.action = stats::na.pass, xlev = xlev)
  x <- stats::model.matrix(trms, frame, contrasts.arg = fit$design$contrasts)
  means <- unlist(Map(function(b, at) at[1], fit$blocks, block_slices(fit$blocks, eta_rows)))
  at <- unlist(lapply(means, function(j) (j - 1) * ncol(x) + seq_len(ncol(x))))
  v <- stats::vcov(fit)[at, at, drop = FALSE]
  lost <- is.na(diag(v))
  coef <- as.matrix(stats::coef(fit))[, means, drop = FALSE]
  df <- max(block_df(fit))
  list(X = kronecker(diag(length(means)), x), bhat = ifelse(lost, NA_real_, as.vector(coef)),
       V = unname(v[!lost, !lost, drop = FALSE]), nbasis = if (any(lost)) empty_directions(fit, length(means))
       else matrix(NA_real_), dffun = function(k, dfargs) dfargs$df, dfargs = list(df = df))
}

empty_directions <- function(fit, n_means) {
  r <- qr(stats::model.matrix(fit))
  inner <- qr(t(qr.R(r)[seq_len(r$rank), order(r$pivot), drop = FALSE]))
  q <- qr.Q(inner, complete = TRUE)[, -seq_len(r$rank), drop = FALSE]
  kronecker(diag(n_means), q)
}

# The linear output at the rows of the grid are parameters themselves.
drawn_basis <- function(fit, grid, draws) {
  rows <- design_rows(fit$design, grid)
  if (!all(rows$ok)) stop_user("The grid has rows with missing values.")
  drawn <- repeatable(drawn_responses(fit, rows, draws, link_block))
  drawn <- if (is.list(drawn)) do.call(cbind, drawn) else drawn
  center <- effect_center(fit, rows, drawn)
  list(X = diag(length(center)), bhat = center, V = stats::cov(drawn), nbasis = matrix(NA_real_),
       dffun = function(k, dfargs) Inf, dfargs = list(), post.beta = unname(drawn))
}

# The mean of the linear output, in closed form where there is one.
effect_center <- function(fit, rows, drawn) {
  is_closed <- !predicts_by_draws(fit) && all(vapply(fit$blocks, has_normal_noise, NA))
  if (!is_closed) return(unname(colMeans(drawn)))
  unname(as.vector(as.matrix(averaged_prediction(fit, rows, "response", 1, NULL))))
}

# The value of an expression that draws, the same each time until the state of the generator, which is left as it was,
# is another.
repeatable <- function(expr) from_seed(use_seed(NULL)$seed, expr)
