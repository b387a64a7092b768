# The generics of stats that a fit answers.

training_predictions <- function(fit, envir, type = "response") {
  found <- training_eta(fit, envir)
  averaged <- if (averages_levels(fit)) averaged_levels(fit, found_rows(fit, NULL, envir))
  predicted(fit, found$eta, found$offset, type, averaged)
}

# What residuals, deviance and likelihood share: per block its y, eta, free scalars, and the case weights.
training_blocks <- function(fit, envir) {
  found <- training_eta(fit, envir)
  columns <- block_slices(fit$blocks, eta_rows)
  free <- block_free(fit)
  y <- Map(block_y, fit$blocks, block_pieces(fit$blocks, fit$response), list(found$offset))
  Map(function(b, y, s, f) list(block = b, y = y, eta = found$eta[, s, drop = FALSE], free = f), fit$blocks, y,
      columns, free)
}

# What each row counts in all that is said of the training data: its case weight, or 0 where it is held out or has no
# response.
case_weights <- function(fit) replace(observed_weights(fit), fit$held_out, 0)

# What each row counts, as case_weights() has it; NULL where all count as one.
counted_weights <- function(fit) {
  if (length(fit$held_out) || anyNA(fit$response, recursive = TRUE)) case_weights(fit) else fit$weights
}

# The case weights, 0 of rows none of whose responses was observed.
observed_weights <- function(fit) {
  w <- given_weights(fit)
  if (anyNA(fit$response, recursive = TRUE)) w * Reduce(`|`, responses_seen(fit)) else w
}

# The case weights that training had.
given_weights <- function(fit) {
  if (is_from_chunks(fit)) stop_no_rows()
  if (is.null(fit$weights)) rep(1, fit$n_obs) else fit$weights
}

# The free scalars of each block, learned or fixed, as its record's functions take them.
block_free <- function(fit) {
  if (is_mixture(fit)) return(mean_free(fit))
  lapply(seq_along(fit$blocks), function(i) {
    leaf <- noise_leaf(fit$layout, i)
    as_free(fit$blocks[[i]], if (nrow(leaf)) fit$theta[leaf_index(leaf)] else fit$blocks[[i]]$fixed)
  })
}

has_profiled_sigma <- function(block) {
  has_sigma(block) && block$noise == "fixed" && !isTRUE(block$knows_sigma)
}

#' @export
fitted.varnn <- function(object, ...) {
  check_fit(object)
  check_standard("fitted", ...)
  out <- training_predictions(object, NULL)
  as_trained(object, out)
}

#' Residuals of a network
#'
#' Observed less fitted values of the training data, to look for what the network has missed.
#'
#' @param object a fit.
#' @param type `"response"`: observed minus fitted on the response's scale (of a factor: 0/1 minus the probability);
#'   `"pearson"`: that, divided by the family's standard deviation; `"deviance"`: signed roots of the unit deviances
#'   (both as of [lm()] and [glm()]: of gaussian, gamma and inverse_gaussian responses the dispersion counts as 1);
#'   `"working"`: divided by the derivative of the mean by the linear output, as of [glm()] (not of factors of several
#'   levels); `"cox_snell"`: of survival times their cumulative hazard, \eqn{-\log P(T > t)}{-log P(T > t)}, a censored
#'   sample from the exponential distribution if the model is right. Survival times have no `"pearson"` residuals, those
#'   of type `"response"` compare them with `exp(eta)`, and the sign of `"deviance"` residuals of censored times is
#'   positive, as by `survival::survreg()`.
#' @param ... not used.
#' @return A vector, or a matrix when there are several columns (several responses; levels).
#' @seealso [residuals.varnn_ae()] of autoencoders, [predict.varnn_nn()], [plot.varnn()] with `which = "fit"`.
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt, mtcars, epochs = 50)
#' summary(residuals(fit))
#' @export
residuals.varnn <- function(object, type = c("response", "pearson", "deviance", "working", "cox_snell"), ...) {
  check_fit(object)
  check_dots_empty(..., known = "type")
  types <- c("response", "pearson", "deviance", "working", "cox_snell")
  if (identical(type, "partial")) stop_user("`type` = \"partial\" needs a model that is a sum over terms.")
  type <- check_choice(if (identical(type, types)) "response" else type, types, "type")
  if (type == "working" && any(vapply(object$blocks, has_levels, NA)))
    stop_user("`type` = \"working\" does not apply to a factor of several levels: a level's mean depends on all.")
  is_time <- vapply(object$blocks, is_kind, NA, "time")
  if (type == "pearson" && any(is_time))
    stop_user(paste("`type` = \"pearson\" does not apply to survival times, whose variance may be infinite: use",
                    "\"deviance\"."))
  if (type == "cox_snell" && !all(is_time)) stop_user("`type` = \"cox_snell\" is for survival times.")
  several <- length(object$blocks) > 1
  parts <- lapply(training_blocks(object, NULL), block_residuals, type, given_weights(object), several)
  out <- do.call(cbind, parts)
  if (ncol(out) == 1) out <- out[, 1]
  stats::naresid(object$na.action, with_rows(out, fit_rows(object)))
}

# As in glm(), pearson's and deviance residuals of a row are as large as its weight says.
block_residuals <- function(part, type, w, several = FALSE) {
  b <- part$block
  record <- record_of(b)
  mu <- mean_at(b, part$eta, part$free)
  y <- observed_mean(part)
  raw <- named_columns((y - mu) * b$scale, block_labels(b, several))
  if (type == "response") return(raw)
  if (type == "cox_snell") {
    raw[] <- record$nll(cbind(y, 0 * y), part$eta, part$free)
    return(raw)
  }
  if (type == "working") return(raw / pmax(mean_slope(part), .Machine$double.eps))
  if (type == "pearson") return(raw * sqrt(w / pmax(pearson_variance(part), .Machine$double.eps)))
  d <- sqrt(pmax(unit_deviances(part), 0) * w)
  if (ncol(d) != ncol(raw)) return(named_columns(d, b$columns))
  side <- sign(y - mu)
  if (is_kind(b, "time")) side[trials_half(part$y) == 0] <- 1
  raw[] <- side * d * if (has_sigma(b)) b$scale else 1
  raw
}

# Unit deviances without the dispersion, as glm() has them, on the engine's scale.
unit_deviances <- function(part) {
  record <- record_of(part$block)
  d <- record$deviance(part$y, part$eta, part$free)
  if (is.null(record$dispersion)) d else d * record$dispersion(part$eta, part$free)
}

# The derivative of the mean by eta.
mean_slope <- function(part) {
  slope_at(part$block, part$eta, part$free)[, seq_len(part$block$n_responses), drop = FALSE]
}

# The observed y on the scale of the mean: a proportion for counts out of n.
observed_mean <- function(part) {
  if (is_kind(part$block, "time")) return(part$y[, seq_len(part$block$n_responses), drop = FALSE])
  if (!is_kind(part$block, "trials")) return(observed_shares(part$block, part$y))
  part$y[, 1, drop = FALSE] / pmax(part$y[, 2, drop = FALSE], 1)
}

# The engine's y, of ordered levels with a column for each as other factors have it.
observed_shares <- function(block, y) {
  if (is_kind(block, "ordered")) diag(length(block$levels))[y[, 1] + 1, , drop = FALSE] else y
}

# Pearson's variance, without the dispersion as in glm(); of a noise that is the same for all rows as in lm(), 1.
pearson_variance <- function(part) {
  if (is_custom(part$block) && !is.null(part$block$custom$variance))
    return(part$block$scale^2 * record_of(part$block)$variance(part$eta, part$free))
  if (has_log_sd(part$block)) return((part$block$scale * record_of(part$block)$sd(part$eta, part$free))^2)
  if (is_scaled(part$block)) return(1)
  record <- record_of(part$block)
  v <- record$variance(part$eta, part$free)
  if (!is.null(record$dispersion)) v <- v / record$dispersion(part$eta, part$free)
  v / if (is_kind(part$block, "trials")) part$y[, 2] else 1
}

#' @export
nobs.varnn <- function(object, ...) {
  check_fit(object)
  check_standard("nobs", ...)
  n_cases(object)
}

# Observations as the case weights count them: a weight of 2 is two rows.
n_cases <- function(fit) {
  if (is_from_chunks(fit)) fit$source$total else row_counts(fit$n_obs, counted_weights(fit))$total
}

# Of each response whether a row has it, all columns of successes and failures or of times.
responses_seen <- function(fit) {
  lapply(if (length(fit$blocks) == 1) list(fit$response) else as.data.frame(fit$response), stats::complete.cases)
}

# What weighted squares are divided by for an unbiased variance that has lost so many degrees of freedom: the cases less
# these or, where weights only say how rows compare, the same share of the rows.
unbiased_total <- function(w, lost = 1) unbiased(sum(w), sum(w > 0), lost)
unbiased <- function(total, n, lost) max(total - lost, total * (n - lost) / max(1, n))

#' @export
weights.varnn <- function(object, type = "prior", ...) {
  check_fit(object)
  check_dots_empty(..., known = "type")
  if (identical(type, "working")) stop_user("`type` = \"working\" belongs to glm()'s algorithm: use \"prior\".")
  if (!identical(type, c("prior", "working"))) check_choice(type, "prior", "type")
  stats::naresid(object$na.action, object$weights)
}

#' @export
deviance.varnn <- function(object, ...) {
  check_fit(object)
  check_standard("deviance", ...)
  if (is_from_chunks(object)) return(totals_deviance(object))
  w <- case_weights(object)
  sum(vapply(training_blocks(object, NULL), function(part) {
    sum(w * unit_deviances(part), na.rm = TRUE) * if (has_sigma(part$block)) part$block$scale^2 else 1
  }, 0))
}

# Of a fit whose families have one; else `none`.
deviance_or <- function(fit, none) {
  lacks <- vapply(fit$blocks, function(b) is_custom(b) && is.null(b$custom$deviance), NA)
  if (any(lacks)) none else stats::deviance(fit)
}

#' Log-likelihood of a network
#'
#' The log-likelihood of the training data at the fitted parameters. [deviance()], [AIC()] and [BIC()] are built on it.
#'
#' @param object a fit.
#' @param ... not used.
#' @return The log-likelihood of the training data in nats, of class `logLik`, each row counted as often as its case
#'   weight says, and rows that `validation` holds out not at all. For a gaussian response, sigma is its maximum
#'   likelihood estimate. The deviance is as of [lm()] and [glm()]: of gaussian, gamma and inverse_gaussian responses
#'   the dispersion counts as 1. `df` is the number of parameters, one for each sigma included; it is no measure of a
#'   network's complexity when training stopped early.
#' @seealso [log_lik()] and [elbo()] of Bayesian networks, [logLik.varnn_vae()].
#' @examples
#' logLik(fit_nn(mpg ~ wt + hp, mtcars, hidden = 0))
#' logLik(lm(mpg ~ wt + hp, mtcars))
#' @export
logLik.varnn <- function(object, ...) {
  check_fit(object)
  check_standard("logLik", ...)
  value <- if (is_from_chunks(object)) totals_log_lik(object)
  else sum(vapply(training_blocks(object, NULL), block_log_lik, 0, case_weights(object)))
  structure(value, class = "logLik", nobs = n_cases(object),
            df = n_parameters(object) + sum(vapply(object$blocks, has_profiled_sigma, NA)))
}

# -log p of the entries of a block; NA where y is missing, and only there.
block_nll <- function(part) {
  out <- suppressWarnings(record_of(part$block)$nll(part$y, part$eta, part$free)) # of NaN, which the next line sees
  there <- rowSums(is.na(part$y)) == 0
  if (any(is.nan(as.matrix(out)[there, ])))
    stop_user("The likelihood is no number: the network's output is too far from the data.")
  out
}

block_log_lik <- function(part, w) {
  b <- part$block
  if (has_profiled_sigma(b)) {
    here <- !is.na(part$y[, 1])
    total <- sum(w[here])
    squared <- sum(w * (part$y - part$eta)^2, na.rm = TRUE) / total
    return(-total * (profile_nll(squared) + log(b$scale)))
  }
  -sum(w * (block_nll(part) + log(b$scale)), na.rm = TRUE)
}

#' Residual standard deviation of a network
#'
#' The standard deviation of a gaussian response around the network, in the unit of the response.
#'
#' @param object a fit with a gaussian response.
#' @param ... not used.
#' @return For `hidden = 0` as [lm()] gives it, \eqn{\sqrt{RSS / (n - p)}}{sqrt(RSS / (n - p))}. With hidden layers,
#'   where the parameters do not count degrees of freedom, \eqn{\sqrt{RSS / n}}{sqrt(RSS / n)}. On the scale of the
#'   response; one number per gaussian response.
#' @seealso [sigma.varnn_vae()], [summary.varnn_nn()].
#' @examples
#' sigma(fit_nn(mpg ~ wt + hp, mtcars, hidden = 0))
#' sigma(lm(mpg ~ wt + hp, mtcars))
#' @export
sigma.varnn <- function(object, ...) {
  check_fit(object)
  check_standard("sigma", ...)
  residual_sigma(object)
}

residual_sigma <- function(fit) {
  own <- Filter(has_sigma, fit$blocks)
  if (!length(own)) stop_user("sigma() needs a gaussian response; this fit's family is %s.", quoted(fit$family))
  out <- if (is_from_chunks(fit)) totals_sigma(fit) else training_sigma(fit)
  if (length(own) > 1) names(out) <- vapply(own, function(b) b$columns, "")
  out
}

training_sigma <- function(fit) {
  parts <- Filter(function(p) has_sigma(p$block), training_blocks(fit, NULL))
  w <- case_weights(fit)
  lost <- if (is.null(fit$rank)) 0 else fit$rank
  vapply(parts, function(p) {
    p$block$scale * sqrt(sum(w * (p$y - p$eta)^2, na.rm = TRUE) / unbiased_total(w[!is.na(p$y[, 1])], lost))
  }, 0)
}

has_hidden <- function(fit) length(unit_layers(fit$spec)) > 1

# Parameters that the data can tell: of a linear model the rank of its columns for each row of eta, but one of a
# softmax; of a network all.
n_parameters <- function(fit) {
  if (is.null(fit$rank)) return(sum((fit$layout$rows * fit$layout$cols)[fit$layout$part == 0]))
  free <- sum(fit$layout$rows[fit$layout$role == "noise"])
  fit$rank * sum(vapply(fit$blocks, function(b) eta_rows(b) - is_kind(b, "levels"), 0)) + free
}

#' @export
df.residual.varnn <- function(object, ...) {
  check_fit(object)
  check_standard("df.residual", ...)
  n_cases(object) - if (is.null(object$rank)) object$n_par else object$rank
}

#' @export
formula.varnn <- function(x, ...) {
  check_fit(x)
  check_standard("formula", ...)
  if (is.null(x$terms)) stop_user("The model was fitted to x and y: it has no formula.")
  stats::formula(x$terms)
}

#' @export
terms.varnn <- function(x, ...) {
  check_fit(x)
  check_standard("terms", ...)
  if (is.null(x$terms)) stop_user("The model was fitted to x and y: it has no terms.")
  x$terms
}

#' @export
model.frame.varnn <- function(formula, ...) {
  check_fit(formula)
  given <- list(...)
  check_known(given, frame_arguments)
  if (is.null(formula$terms)) stop_user("The model was fitted to x and y: it has no model frame.")
  call <- formula$call
  call$formula <- formula$terms
  values <- given[intersect(names(given), c("data", "subset", "na.action"))]
  call[names(values)] <- values
  is_other <- length(values) && formula$design$kind != "columns"
  frame <- call_frame(call, environment(formula$terms), if (!is_other) frame_action(formula),
                      if (length(values)) formula$design$xlevels)
  if (!length(values) && formula$design$kind == "frame")
    check_training_rows(formula, data_from_frame(frame, formula$design$contrasts, embed = embed_again(formula$design)))
  structure(frame, integer64 = NULL)
}

# As model.frame.default() has them; the last two are as in lm() whatever is given.
frame_arguments <- c("data", "subset", "na.action", "drop.unused.levels", "xlev")

# What was done about missing values in training, when the call does not say: the option may have changed since.
frame_action <- function(fit) {
  if (!is.null(fit$call$na.action)) return(NULL)
  if (fit$design$kind == "columns") return(quote(stats::na.pass))
  switch(class(fit$na.action)[1], omit = quote(stats::na.omit), exclude = quote(stats::na.exclude),
         quote(stats::na.pass))
}

#' @export
variable.names.varnn <- function(object, ...) {
  check_fit(object)
  check_standard("variable.names", ...)
  c(if (object$design$intercept) "(Intercept)", object$design$columns)
}

#' @export
family.varnn <- function(object, ...) {
  check_fit(object)
  check_standard("family", ...)
  families <- lapply(object$blocks, function(b) {
    own <- record_of(b)
    if (!is.null(own$stats)) return(own$stats())
    structure(c(list(family = b$family, link = own$link), list(constants = b$constants)[!is.null(b$constants)],
                list(custom = b$custom)[is_custom(b)]),
              class = "family")
  })
  if (length(families) == 1) families[[1]] else stats::setNames(families, names(object$family))
}

#' Parameters of a network
#'
#' The coefficients of a network without hidden layers, which is a (generalised) linear model, or the matrices of
#' weights and vectors of biases of one with hidden layers.
#'
#' @param object a fit.
#' @param ... not used.
#' @return With no hidden layer, the coefficients on the original scale as [lm()] and [glm()] give them: a named
#'   vector, or a matrix with a column per response (of a categorical response: per level; only their differences
#'   matter). A constant column has coefficient 0. Else a list of the network's matrices, units in rows and inputs in
#'   columns, on the scale of the standardised data; of a factor with an embedding a column of numbers for each level,
#'   under the factor's name.
#' @seealso [coef.varnn_bayes_nn()], [plot.varnn()] with `which = "network"`.
#' @examples
#' coef(fit_nn(mpg ~ wt + hp, mtcars, hidden = 0))
#' coef(lm(mpg ~ wt + hp, mtcars))
#' @export
coef.varnn <- function(object, ...) {
  check_fit(object)
  check_standard("coef", ...)
  if (!has_hidden(object)) return(linear_coef(object))
  coef_matrices(object)
}

coef_matrices <- function(object) {
  layout <- object$layout
  inputs <- first_inputs(object)
  first <- 1 + length(object$design$embed)
  out <- lapply(seq_len(nrow(layout)), function(i) {
    m <- leaf_matrix(object, layout[i, ])
    if (layout$role[i] == "embedding") colnames(m) <- object$design$xlevels[[names(object$design$embed)[i]]]
    else if (layout$role[i] == "weight" && layout$layer[i] == first && layout$cols[i] == length(inputs))
      colnames(m) <- inputs
    m
  })
  names <- layout$name
  names[layout$role == "embedding"] <- names(object$design$embed)
  stats::setNames(out, names)
}

# A leaf of theta, its weights of the inputs as those of the standardised columns of x.
leaf_matrix <- function(fit, leaf) {
  m <- matrix(fit$theta[leaf_index(leaf)], leaf$rows, leaf$cols)
  if (is.null(fit$scaling$rotation) || !is_first(leaf)) m else tcrossprod(m, fit$scaling$rotation)
}

is_first <- function(leaf) leaf$role == "weight" & leaf$layer == 1

linear_coef <- function(fit) {
  value <- function(role) {
    leaf <- fit$layout[fit$layout$role == role, ]
    if (nrow(leaf)) leaf_matrix(fit, leaf) else NULL
  }
  # an output that is a log has no unit, and the log of the response's scale added
  others <- function(b, value) rep_len(value, eta_rows(b) - b$n_responses)
  log_scale <- function(b) (is_log_output(b) * log(b$scale))[-seq_len(b$n_responses)]
  scale <- unlist(lapply(fit$blocks, function(b) c(rep(b$scale, b$n_responses), others(b, 1))))
  center <- unlist(lapply(fit$blocks, function(b) c(rep(b$center, b$n_responses), log_scale(b))))
  w <- value("weight")
  slopes <- t(w * scale) / fit$scaling$scale
  bias <- value("bias")
  intercept <- if (!is.null(bias)) bias[, 1] * scale + center - colSums(slopes * fit$scaling$center)
  out <- rbind(intercept, slopes)
  dimnames(out) <- list(c(if (!is.null(bias)) "(Intercept)", fit$design$columns),
                        unlist(lapply(fit$blocks, eta_labels, length(fit$blocks) > 1)))
  if (ncol(out) == 1) stats::setNames(out[, 1], rownames(out)) else out
}

#' Simulate responses from a network
#'
#' Draws responses from the fitted distribution, as [stats::simulate()] does for `lm` and `glm`.
#'
#' @param object a fit.
#' @param nsim number of responses to simulate for each row.
#' @param seed a seed, or `NULL` to go on with the present state of the generator.
#' @param newdata predictors; by default those of the training data.
#' @param ... not used.
#' @return A data frame with a row per observation and columns `sim_1`, ..., and the attribute `"seed"`; factors have
#'   the levels of the training data, and rows that `na.exclude` left out are `NA`. Of successes and failures a column
#'   is a matrix of these, of as many trials as the row's response has, or one where new data are without the response.
#'   With several responses a list of such data frames.
#' @seealso [posterior_predict()], [simulate.varnn_vae()] for rows in place of responses.
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt, mtcars, epochs = 50)
#' head(simulate(fit, 3))
#' @export
simulate.varnn_nn <- function(object, nsim = 1, seed = NULL, newdata = NULL, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("nsim", "seed", "newdata"))
  nsim <- check_number(nsim, "nsim", 1, 1e8, whole = TRUE)
  seed <- check_seed(seed)
  rows <- simulation_rows(object, newdata, parent.frame())
  check_draws_memory(nsim * length(rows$names) * length(object$blocks), "That many simulations", "nsim")
  free <- simulation_free(object)
  trials <- simulated_trials(object, newdata)
  state <- use_seed(seed)
  on.exit(state$restore())
  draw <- function(block, columns, free) {
    sims <- lapply(seq_len(nsim), function(k) {
      rows$place(simulated(block, rows$eta[, columns, drop = FALSE], free, rows$offset, trials))
    })
    simulation_frame(sims, rows$names)
  }
  out <- Map(draw, object$blocks, block_slices(object$blocks, eta_rows), free)
  out <- if (length(out) == 1) out[[1]] else stats::setNames(out, names(object$family))
  structure(out, seed = state$seed)
}

# As of simulate.lm(): a column per simulation.
simulation_frame <- function(sims, rows) {
  structure(stats::setNames(sims, paste0("sim_", seq_along(sims))), class = "data.frame",
            row.names = if (anyDuplicated(rows)) seq_along(rows) else rows)
}

# eta of the rows to simulate for, their names, and how to put a draw in their places.
simulation_rows <- function(fit, newdata, envir) {
  if (is.null(newdata)) {
    rows <- training_eta(fit, envir)
    return(c(list(eta = rows$eta, offset = rows$offset), training_places(fit)))
  }
  rows <- design_rows(fit$design, newdata)
  list(eta = model_eta(fit, rows), offset = rows$offset, place = function(x) spread(x, rows$ok),
       names = if (is.null(rows$rows)) as.character(seq_along(rows$ok)) else rows$rows)
}

# How to put values of the rows of training in the places of all rows, and the names of these.
training_places <- function(fit) {
  place <- function(x) stats::napredict(fit$na.action, x)
  names <- fit_rows(fit)
  if (is.null(names)) names <- as.character(seq_len(fit$n_obs))
  list(place = place, names = names(place(stats::setNames(seq_len(fit$n_obs), names))))
}

# The trials of each row, of which a response of successes and failures is drawn: one where the row has no response.
simulated_trials <- function(fit, newdata) {
  if (!is_kind(fit$blocks[[1]], "trials")) return(1)
  y <- if (is.null(newdata)) fit$response else new_counts(fit, newdata)
  if (is.null(y)) return(1)
  trials <- unname(rowSums(y))
  replace(trials, is.na(trials), 1)
}

# The successes and failures in new data; NULL where they are not there.
new_counts <- function(fit, newdata) {
  if (is.null(fit$terms) || !is.data.frame(newdata)) return(NULL)
  if (!all(all.vars(stats::formula(fit$terms)[[2]]) %in% names(newdata))) return(NULL)
  y <- new_response(fit$design, fit$terms, newdata, "`newdata`")$response
  if (length(dim(y)) == 2) y
}

# The free scalars; a profiled sigma is put in, on the engine's scale.
simulation_free <- function(fit) {
  free <- block_free(fit)
  profiled <- vapply(fit$blocks, has_profiled_sigma, NA)
  if (any(profiled)) {
    s <- residual_sigma(fit)
    if (!all(is.finite(s)))
      stop_user("The noise is not known: there are no more rows than coefficients, or no response is there.")
    free[profiled] <- Map(function(b, s) log(s / b$scale), fit$blocks[profiled], s)
  }
  free
}

# A draw at each eta.
block_draw <- function(block, eta, free) {
  y <- suppressWarnings(record_of(block)$draw(eta, free)) # R's of counts beyond all numbers
  check_finite_output(y)
  y
}

simulated <- function(block, eta, free, offset, trials) {
  if (is_kind(block, "trials")) {
    y <- stats::rbinom(nrow(eta), trials, mean_at(block, eta, free))
    return(cbind(y, trials - y, deparse.level = 0))
  }
  y <- as_observed(block, block_draw(block, eta, free), offset)
  as_response(block, if (has_levels(block)) drawn_number(block, y) else y[, 1])
}
