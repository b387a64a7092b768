# Methods of the generics of rstantools, bayesplot and posterior, by which those who know rstanarm or brms ask a fit.

need_draws <- function(fit, what) {
  check_fit(fit)
  if (!inherits(fit, c("varnn_bayes_nn", "varnn_mixture")))
    stop_user("%s needs a fit by fit_bayes_nn(), or by fit_nn() with several `members`.", what)
}

need_bayes <- function(fit, what) {
  check_fit(fit)
  if (!inherits(fit, "varnn_bayes_nn")) stop_user("%s needs a fit by fit_bayes_nn().", what)
}

#' What users of Stan ask of a fit
#'
#' Methods of the generics of the packages rstantools, posterior and bayesplot, with which rstanarm and brms are used.
#' [posterior_epred()], [posterior_predict()] and [log_lik()] are methods of these generics, too.
#'
#' @param object,x a fit by [fit_bayes_nn()], or by [fit_nn()] with several `members` where no prior is asked for.
#' @param prob the probability of an interval.
#' @param newdata,draws,y as of [posterior_epred()].
#' @param pars names or numbers of parameters; all by default.
#' @param type the picture, a name of `bayesplot::available_ppc()` without `ppc_`; by default `"bars"` of counts and
#'   classes, `"dens_overlay"` of other numbers.
#' @param ... of `pp_check()` more arguments of the picture, as `group` or `x`; else not used.
#' @return `predictive_interval()`: a matrix of the bounds of [predict.varnn_bayes_nn()] with `interval = "prediction"`.
#'   `predictive_error()`: a matrix, draws x rows, of the response less its [posterior_predict()].
#'   `posterior_interval()`: the bounds of [confint()][confint.varnn_bayes_nn] at the probability `prob`.
#'
#'   `bayes_R2()`: for each draw the share of the variance of the response that the means of its rows explain,
#'   \eqn{V(\mu) / (V(\mu) + \sigma^2)}{V(mu) / (V(mu) + sigma^2)}, \eqn{\sigma^2}{sigma^2} being the mean over rows of
#'   the variance that the family has there (Gelman et al. 2019).
#'
#'   `prior_summary()`: a data frame with a row for each matrix of weights and vector of biases: the prior in words, and
#'   its standard deviation, as evidence has found it where it does. `nsamples()`: how many draws the methods make when
#'   nobody says.
#'
#'   `as_draws_matrix()` and its like: draws of the weights, as [as.matrix()][as.matrix.varnn_bayes_nn] has them, or,
#'   without hidden layers, of the coefficients. `pp_check()`: a ggplot of the response beside draws of it.
#' @references Gelman, Goodrich, Gabry and Vehtari (2019) R-squared for Bayesian regression models,
#'   \doi{10.1080/00031305.2018.1549100}.
#' @seealso [loo.varnn()], [predict.varnn_bayes_nn()], [calibration()].
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0)
#' if (requireNamespace("rstantools", quietly = TRUE)) {
#'   print(rstantools::predictive_interval(fit, newdata = mtcars[1:3, ]))
#'   print(summary(rstantools::bayes_R2(fit)))
#' }
#' if (requireNamespace("posterior", quietly = TRUE)) posterior::as_draws_df(fit, draws = 10)
#' @name predictive_interval.varnn
#' @exportS3Method rstantools::predictive_interval
predictive_interval.varnn <- function(object, prob = 0.9, newdata = NULL, draws = 1000, ...) {
  need_draws(object, "predictive_interval()")
  check_dots_empty(..., known = c("prob", "newdata", "draws"))
  prob <- check_number(prob, "prob", 0, 1, above = TRUE, below = TRUE)
  bounds <- stats::predict(object, newdata, interval = "prediction", level = prob, draws = draws)
  own <- function(b) with_bound_names(b[, c("lwr", "upr"), drop = FALSE], prob)
  if (is.list(bounds)) lapply(bounds, own) else own(bounds)
}

with_bound_names <- function(bounds, prob) {
  colnames(bounds) <- paste0(format(50 * c(1 - prob, 1 + prob), digits = 3, trim = TRUE), "%")
  bounds
}

#' @rdname predictive_interval.varnn
#' @exportS3Method rstantools::predictive_error
predictive_error.varnn <- function(object, newdata = NULL, draws = 1000, y = NULL, ...) {
  need_draws(object, "predictive_error()")
  check_dots_empty(..., known = c("newdata", "draws", "y"))
  for (b in object$blocks) check_is_number(b, "predictive_error()")
  rows <- rows_with_response(object, newdata, y, parent.frame())
  drawn <- drawn_responses(object, rows, check_draws(draws), predict_block)
  less <- function(drawn, block, at) {
    y <- rep(NA_real_, length(rows$ok))
    y[rows$ok] <- as_observed(block, rows$y[, at[1]], rows$offset)
    rep(y, each = nrow(drawn)) - drawn
  }
  if (!is.list(drawn)) return(less(drawn, object$blocks[[1]], 1))
  Map(less, drawn, object$blocks, block_slices(object$blocks, y_rows))
}

check_is_number <- function(block, what) {
  if (block$type == "factor" || is_kind(block, c("levels", "ordered", "trials", "time")))
    stop_user("%s needs a response of numbers; the family of `%s` is %s.", what, block$columns, quoted(block$family))
}

#' @rdname predictive_interval.varnn
#' @exportS3Method rstantools::posterior_interval
posterior_interval.varnn <- function(object, prob = 0.9, pars = NULL, ...) {
  need_bayes(object, "posterior_interval()")
  check_dots_empty(..., known = c("prob", "pars"))
  prob <- check_number(prob, "prob", 0, 1, above = TRUE, below = TRUE)
  bounds <- stats::confint(object, level = prob)
  if (!is.null(pars)) bounds <- bounds[chosen_parameters(pars, rownames(bounds), "pars"), , drop = FALSE]
  with_bound_names(bounds, prob)
}

#' @rdname predictive_interval.varnn
#' @exportS3Method rstantools::bayes_R2
bayes_R2.varnn <- function(object, newdata = NULL, draws = 1000, ...) {
  need_draws(object, "bayes_R2()")
  check_dots_empty(..., known = c("newdata", "draws"))
  draws <- check_draws(draws)
  if (length(object$blocks) > 1) stop_user("bayes_R2() is for a model with one response; this one has %d.",
                                           length(object$blocks))
  if (is_kind(object$blocks[[1]], c("levels", "ordered", "time")))
    stop_user("bayes_R2() needs a response with a mean and a variance; this fit's family is %s.", quoted(object$family))
  rows <- found_rows(object, newdata, parent.frame())
  w <- if (is.null(newdata)) case_weights(object) else rep(1, nrow(rows$x))
  if (sum(w > 0) < 2) stop_user("bayes_R2() needs two rows or more, in `newdata` if it is given.")
  sums <- drawn_moments(object, rows, w, draws)
  variance <- pmax(sums[, 2] - sums[, 1]^2, 0) * sum(w) / unbiased_total(w)
  variance / (variance + sums[, 3])
}

# Of each draw the weighted means over rows of the mean of the response, of its square and of the response's variance:
# [draws, 3]. The means are less one number, so that squares lose no digits.
drawn_moments <- function(fit, rows, w, draws, center = fit$blocks[[1]]$center) {
  if (has_parts(fit)) return(mixed_draws(fit, draws, function(m, n) drawn_moments(m, rows, w, n, center)))
  block <- fit$blocks[[1]]
  record <- record_of(block)
  free <- simulation_free(fit)[[1]]
  out <- matrix(0, draws, 3)
  over_chunks(fit, row_data(fit, rows), draws, "eta", function(eta, at) {
    flat <- draws_in_rows(eta)
    mean <- epred_block(block, eta, free, rows$offset[at]) - center
    variance <- if (is.null(record$sd)) record$variance(flat, free) else record$sd(flat, free)^2
    variance <- block$scale^2 * matrix(rep_len(variance, length(mean)), nrow(mean))
    over_rows <- function(v) colSums(w[at] * v) / sum(w)
    out <<- out + cbind(over_rows(mean), over_rows(mean^2), over_rows(variance))
  })
  out
}

#' @rdname predictive_interval.varnn
#' @exportS3Method rstantools::prior_summary
prior_summary.varnn <- function(object, ...) {
  need_bayes(object, "prior_summary()")
  check_dots_empty(...)
  of_member <- function(m) {
    layers <- layer_table(m, weight_posterior(m))
    data.frame(term = layers$name, weights = layers$weights, prior = m$arguments$prior$words, sd = layers$prior_sd)
  }
  if (!is_mixture(object)) return(of_member(object))
  parts <- lapply(member_fits(object), of_member)
  do.call(rbind, Map(function(k, p) data.frame(member = k, p), seq_along(parts), parts))
}

#' @rdname predictive_interval.varnn
#' @exportS3Method rstantools::nsamples
nsamples.varnn <- function(object, ...) {
  need_draws(object, "nsamples()")
  check_dots_empty(...)
  default_draws
}

# ---- posterior

# Draws of the weights or, without hidden layers, of the coefficients.
drawn_parameters <- function(fit, draws) {
  need_bayes(fit, "as_draws()")
  if (has_hidden(fit)) return(as.matrix(fit, draws = draws))
  draws <- check_draws(draws)
  if (is_mixture(fit)) return(mixed_draws(fit, draws, drawn_parameters))
  by <- coef_matrix(fit)
  q <- weight_posterior(fit)
  check_draws_memory(2 * draws * length(q$mean), "That many draws")
  shift <- draw_weights(q, draws) - rep(q$mean, each = draws)
  out <- rep(as.vector(coef.varnn_bayes_nn(fit)), each = draws) + tcrossprod(shift, by)
  dimnames(out) <- list(NULL, rownames(by))
  out
}

# The fit is looked at before the package is.
draws_as <- function(kind) {
  force(kind)
  function(x, draws = 1000, ...) {
    check_dots_empty(..., known = "draws")
    drawn <- drawn_parameters(x, draws)
    getExportedValue("posterior", kind)(posterior::as_draws_matrix(drawn))
  }
}

#' @rdname predictive_interval.varnn
#' @exportS3Method posterior::as_draws_matrix
as_draws_matrix.varnn <- draws_as("as_draws_matrix")

#' @rdname predictive_interval.varnn
#' @exportS3Method posterior::as_draws
as_draws.varnn <- draws_as("as_draws_matrix")

#' @rdname predictive_interval.varnn
#' @exportS3Method posterior::as_draws_df
as_draws_df.varnn <- draws_as("as_draws_df")

#' @rdname predictive_interval.varnn
#' @exportS3Method posterior::as_draws_array
as_draws_array.varnn <- draws_as("as_draws_array")

#' @rdname predictive_interval.varnn
#' @exportS3Method posterior::as_draws_list
as_draws_list.varnn <- draws_as("as_draws_list")

#' @rdname predictive_interval.varnn
#' @exportS3Method posterior::as_draws_rvars
as_draws_rvars.varnn <- draws_as("as_draws_rvars")

# ---- bayesplot

#' @rdname predictive_interval.varnn
#' @exportS3Method bayesplot::pp_check
pp_check.varnn <- function(object, type = NULL, draws = 50, newdata = NULL, y = NULL, ...) {
  need_draws(object, "pp_check()")
  draws <- check_draws(draws)
  if (length(object$blocks) > 1) stop_user("pp_check() is for a model with one response; this one has %d.",
                                           length(object$blocks))
  block <- object$blocks[[1]]
  if (is_kind(block, c("trials", "time")))
    stop_user("pp_check() is not for %s.", if (is_kind(block, "time")) "survival times" else "successes and failures")
  rows <- rows_with_response(object, newdata, y, parent.frame())
  known <- stats::complete.cases(rows$y)
  if (!any(known)) stop_user("There is no row with a response and no missing value.")
  rows <- list(x = rows$x[known, , drop = FALSE], y = rows$y[known, , drop = FALSE], offset = rows$offset[known],
               ok = rep(TRUE, sum(known)))
  is_class <- block$type %in% c("factor", "logical")
  observed <- if (has_levels(block)) drawn_number(block, rows$y) else as_observed(block, rows$y[, 1], rows$offset)
  type <- ppc_name(if (is.null(type)) (if (is_class || is_kind(block, "count")) "bars" else "dens_overlay") else type)
  picture <- getExportedValue("bayesplot", paste0("ppc_", type))
  picture(observed, unname(drawn_responses(object, rows, draws, predict_block)), ...)
}

ppc_name <- function(type) {
  known <- sub("^ppc_", "", as.character(bayesplot::available_ppc()))
  check_choice(if (every(is.character(type), length(type) == 1)) sub("^ppc_", "", type) else type, known, "type")
}
