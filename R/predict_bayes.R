# What a Bayesian network predicts: means, intervals, draws of responses, the ELBO of rows.

#' Predict with a Bayesian network: means and intervals
#'
#' Predictions averaged over the posterior of the weights, with intervals for the mean of the response or for the
#' response itself.
#'
#' @param object a fit by [fit_bayes_nn()], or by [fit_nn()] with several `members`.
#' @param newdata a data frame (or, for a fit to a matrix, a matrix) with the predictors; columns that the model does
#'   not use are ignored. Without it, the predictions for the training data. Of [chunks()] the predictions of all rows,
#'   bound together without the names of rows.
#' @param type as in [predict.varnn_nn()], averaged over the posterior (of classes: their probabilities are);
#'   `"draws"`: [posterior_epred()].
#' @param interval `"none"`; `"confidence"`: of the mean of the response, for the weights are uncertain;
#'   `"prediction"`: of the response, noise included.
#' @param level of the interval.
#' @param draws number of draws from the posterior, of a mixture from that of each member.
#' @param times as in [predict.varnn_nn()]; the probabilities are averaged over the posterior.
#' @param probs as in [predict.varnn_nn()]. The quantiles are those of the predictive distribution, as the bounds of
#'   `interval = "prediction"` are.
#' @param na.action,new_levels as in [predict.varnn_nn()].
#' @param ... arguments that [predict.lm()] and [predict.glm()] have beside these, at values that leave the predictions
#'   as they are; others are an error.
#' @details The mean has a closed form where estimator `"exact"` applies; else, and for intervals, it is taken over
#'   `draws`, so that [set.seed()] makes it reproducible. Rows are predicted in chunks, all with the same draws of
#'   the weights, so that memory does not grow with them.
#'
#' The predictive distribution of a gaussian response is the mixture of the normal distributions that the draws give it,
#' and the bounds of a prediction interval are its quantiles; of other responses they are quantiles of one response per
#' draw, of the family `"quantile"` at probabilities that are spread evenly over the draws. Classes have no prediction
#' interval, and those with more than two levels none of their mean.
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
                                   na.action = stats::na.pass, new_levels = object$control$new_levels,
                                   times = NULL, probs = NULL, ...) {
  check_fit(object)
  check_standard("predict", ..., known = c("newdata", "type", "interval", "level", "draws", "na.action",
                                             "new_levels", "times", "probs"))
  is_new <- !missing(newdata) && !is.null(newdata)
  if (is_new && is_chunks(newdata)) {
    check_binds(type)
    return(predicted_chunks(newdata, function(data) {
      stats::predict(object, data, type, interval, level, draws, na.action, new_levels, times, probs, ...)
    }))
  }
  object <- with_predict_levels(object, new_levels)
  action <- na_name(na.action)
  interval <- check_choice(interval, c("none", "confidence", "prediction"), "interval")
  check_no_noise(list(...), interval, type)
  level <- check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  draws <- check_draws(draws)
  type <- check_type(type, interval)
  has_eta <- !is_new && uses_eta(object, interval, type)
  rows <- if (has_eta) list(offset = object$offset)
  else rows_by_action(object, if (is_new) newdata, action, parent.frame())
  if (identical(type, "draws")) return(drawn_responses(object, rows, draws, epred_block))
  type <- predict_type(object, type)
  times <- times_for(type, times)
  probs <- probs_for(object, type, probs, of_mixture = TRUE)
  if (interval != "none") return(checked_interval(object, rows, type, interval, level, draws, is_new))
  in_place <- function(x) if (is_new) with_rows(x, rows$rows) else as_trained(object, x)
  if (type == "quantile")
    return(each_response(object, bounds_of(object, rows, "prediction", probs, draws), in_place))
  out <- averaged_prediction(object, rows, type, draws, if (has_eta) object$eta, times)
  in_place(if (is_new) spread(out, rows$ok) else out)
}

# The rows of new data by this na.action; those of the training data are complete.
rows_by_action <- function(fit, newdata, action, envir) {
  by_na_action(found_rows(fit, newdata, envir), if (is.null(newdata)) "na.pass" else action)
}

# Whether what is predicted of the training data comes from the outputs that the fit has kept.
uses_eta <- function(fit, interval, type) {
  interval == "none" && !averages_levels(fit) && !any(type %in% c("draws", "survival", "quantile")) &&
    !is.null(fit$eta)
}

averaged_prediction <- function(fit, rows, type, draws, eta, times = NULL) {
  if (type == "survival") return(mean_survivor_function(fit, rows, times, draws))
  if (is.null(eta)) eta <- posterior_eta(fit, row_data(fit, rows), draws)
  if (!any(vapply(fit$blocks, is_kind, NA, "levels"))) check_finite_output(eta)
  predicted(fit, eta, rows$offset, type, if (averages_levels(fit)) averaged_levels(fit, rows, draws))
}

check_type <- function(type, interval) {
  if (is.null(type)) return(NULL)
  type <- check_choice(type, c(predict_types, "draws"), "type")
  if (type == "draws" && interval != "none") stop_user("`interval` does not apply to `type` = \"draws\".")
  type
}

checked_interval <- function(object, rows, type, interval, level, draws, is_new) {
  if (type %in% c("link", "class", "prob", "survival", "quantile") && !is_default_class(object))
    stop_user("`interval` is of the response: leave `type` out.")
  check_interval(object, interval)
  out <- interval_of(object, rows, interval, level, draws)
  if (is_new) return(out)
  if (is.list(out)) lapply(out, as_trained, fit = object) else as_trained(object, out)
}

# A factor's default is its class, for which nobody asked.
is_default_class <- function(fit) all(vapply(fit$blocks, function(b) b$type == "factor", NA))

# ---- posterior predictions, with rstantools' names

#' Draw from the posterior and the posterior predictive distribution
#'
#' `posterior_epred()` draws the expected response (of classes: probabilities), `posterior_predict()` the response,
#' noise included, and `log_lik()` the log-likelihood of each observation, at draws of the weights. All rows share
#' each draw. Also methods of the generics of these names in the package rstantools.
#'
#' @param object a fit by [fit_bayes_nn()], or by [fit_nn()] with several `members`.
#' @param newdata as in [predict.varnn_bayes_nn()]; by default the training data. For `log_lik()` with the response.
#' @param draws number of draws, of a mixture shared out among its members by their weights.
#' @param y for `log_lik()` of a fit to `x` and `y`: the response of `newdata`.
#' @param linearised of `posterior = "laplace"`: `TRUE` for draws of the network linearised in its weights, which is the
#'   model that the posterior is of; `FALSE` for the network itself at the drawn weights, which shows why: far from the
#'   mode it fits badly (Immer et al. 2021). Draws of other posteriors are always of the network.
#' @param ... not used.
#' @return A matrix with a row per draw and a column per row of `newdata` (`NA` where a predictor is missing), on the
#'   scale of the response. Of the training data it has a column per row that was trained on, as draws of rstanarm and
#'   brms have it, also with `na.action = "na.exclude"`; `predict()` and `residuals()` have `NA` for the others then.
#'   `posterior_epred()` of a categorical response gives an array draws x rows x levels. The `posterior_predict()` of a
#'   factor gives the levels' numbers, with the attribute `"levels"`; of a logical, 0 and 1; of successes and failures
#'   the proportion (`posterior_predict()` of one trial). With several responses a named list of these; `log_lik()` adds
#'   them up.
#' @references Immer, Korzepa and Bauer (2021) Improving predictions of Bayesian neural nets via local linearization,
#'   \doi{10.48550/arXiv.2008.08400}.
#' @seealso [predict.varnn_bayes_nn()] for means and intervals, [as.matrix.varnn_bayes_nn()] for draws of the weights,
#'   [calibration()].
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 4)
#' dim(posterior_epred(fit, mtcars, draws = 100))
#' rowMeans(log_lik(fit, draws = 5))
#' @export
posterior_epred <- function(object, newdata = NULL, draws = 1000, ...) UseMethod("posterior_epred")

#' @rdname posterior_epred
#' @export
posterior_predict <- function(object, newdata = NULL, draws = 1000, ...) UseMethod("posterior_predict")

#' @rdname posterior_epred
#' @export
log_lik <- function(object, newdata = NULL, y = NULL, draws = 1000, ...) UseMethod("log_lik")

#' @rdname posterior_epred
#' @export
#' @rawNamespace S3method(rstantools::posterior_epred, varnn_bayes_nn)
posterior_epred.varnn_bayes_nn <- function(object, newdata = NULL, draws = 1000, linearised = TRUE, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "draws", "linearised"))
  object <- drawn_as(object, linearised)
  drawn_responses(object, found_rows(object, newdata, parent.frame()), check_draws(draws), epred_block)
}

#' @rdname posterior_epred
#' @export
#' @rawNamespace S3method(rstantools::posterior_predict, varnn_bayes_nn)
posterior_predict.varnn_bayes_nn <- function(object, newdata = NULL, draws = 1000, linearised = TRUE, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "draws", "linearised"))
  object <- drawn_as(object, linearised)
  out <- drawn_responses(object, found_rows(object, newdata, parent.frame()), check_draws(draws), predict_block)
  label <- function(x, block) if (block$type == "factor") structure(x, levels = block$levels) else x
  if (length(object$blocks) == 1) label(out, object$blocks[[1]]) else Map(label, out, object$blocks)
}

#' @rdname posterior_epred
#' @export
#' @rawNamespace S3method(rstantools::log_lik, varnn_bayes_nn)
log_lik.varnn_bayes_nn <- function(object, newdata = NULL, y = NULL, draws = 1000, linearised = TRUE, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "y", "draws", "linearised"))
  object <- drawn_as(object, linearised)
  rows <- rows_with_response(object, newdata, y, parent.frame())
  draws <- check_draws(draws)
  check_draws_memory(draws * length(rows$ok), "That many draws")
  out <- matrix(NA_real_, draws, length(rows$ok), dimnames = list(NULL, rows$rows))
  out[, rows$ok] <- drawn_log_lik(object, rows, draws)
  out
}

# The log-likelihood of each row of `rows`, which have x, y and offset, at draws of the weights: [draws, rows].
drawn_log_lik <- function(fit, rows, draws) {
  if (has_parts(fit)) return(mixed_draws(fit, draws, function(member, n) drawn_log_lik(member, rows, n)))
  if (!nrow(rows$x)) return(matrix(0, draws, 0))
  data <- row_data(fit, rows, rows$y)
  if (is_point(fit$spec)) # the engine knows no noise that is profiled
    return(matrix(eta_log_lik(fit, rows$y, posterior_eta(fit, data)), draws, nrow(rows$x), byrow = TRUE))
  shift <- row_jacobian(fit, rows$y)
  out <- matrix(0, draws, nrow(rows$x))
  if (is_laplace(fit$spec)) {
    over_chunks(fit, data, draws, "eta", function(eta, at) {
      out[, at] <<- t(drawn_eta_log_lik(fit, rows$y[at, , drop = FALSE], eta) - shift[at])
    })
    return(out)
  }
  over_chunks(fit, data, draws, "terms", function(terms, at) {
    out[, at] <<- t(-rowSums(aperm(terms, c(1, 3, 2)), dims = 2) - shift[at])
  })
  out
}

# The log-likelihood of each row of the engine's y at eta.
eta_log_lik <- function(fit, y, eta) {
  drawn_eta_log_lik(fit, y, array(eta, c(dim(eta), 1)))[, 1] - row_jacobian(fit, y)
}

# The same [rows, draws] at the draws [rows, columns, draws] of eta, on the engine's scale.
drawn_eta_log_lik <- function(fit, y, eta) {
  in_eta <- block_slices(fit$blocks, eta_rows)
  in_y <- block_slices(fit$blocks, y_rows)
  free <- simulation_free(fit)
  of_block <- function(i) {
    draw_nll(fit$blocks[[i]], y[, in_y[[i]], drop = FALSE], eta[, in_eta[[i]], , drop = FALSE], free[[i]])
  }
  -Reduce(`+`, lapply(seq_along(fit$blocks), of_block))
}

# Negative log-likelihoods [rows, draws] of the rows of y, on the engine's scale, at the draws [rows, columns, draws] of
# eta; 0 of a response that is missing.
draw_nll <- function(block, y, eta, free, nll = record_of(block)$nll) {
  draws <- dim(eta)[3]
  y_of_draws <- y[rep(seq_len(nrow(y)), draws), , drop = FALSE]
  of_draws <- suppressWarnings(nll(y_of_draws, draws_in_rows(eta), free)) # of NaN, which is Inf below
  is_known <- !is.na(y_of_draws)
  if (ncol(is_known) != ncol(of_draws)) is_known <- array(is_known[, 1], dim(of_draws)) # times and events, trials
  if (anyNA(of_draws)) of_draws[is.na(of_draws) & is_known] <- Inf # an output beyond what can be computed
  matrix(rowSums(of_draws, na.rm = TRUE), nrow(y))
}

# Predictors of newdata or of the training: list(x, offset, ok, rows).
found_rows <- function(fit, newdata, envir) {
  if (!is.null(newdata)) return(design_rows(fit$design, newdata))
  train <- training_data(fit, NULL, envir)
  list(x = train$x, offset = train$offset, ok = rep(TRUE, nrow(train$x)), rows = fit_rows(fit))
}

# Predictors and response of newdata or of the training: what found_rows() gives, the engine's y and the response.
rows_with_response <- function(fit, newdata, y, envir) {
  if (is.null(newdata)) {
    if (!is.null(y)) stop_user("`y` is the response of `newdata`, which is missing.")
    rows <- found_rows(fit, NULL, envir)
    response <- fit$response
  } else {
    if (is.null(fit$terms)) {
      if (is.null(y)) stop_user("`y` is missing: the model was fitted to x and y, so the response must be given.")
      rows <- design_rows(fit$design, newdata)
      if (NROW(y) != length(rows$ok))
        stop_user("`y` has %d rows and `newdata` has %d: they must be the same.", NROW(y), length(rows$ok))
      response <- take_rows(response_values(y, "y"), rows$ok)
    } else {
      if (!is.null(y)) stop_user("`y` is only for a model that was fitted to x and y: put the response in `newdata`.")
      rows <- design_rows(fit$design, newdata)
      response <- new_response(fit$design, fit$terms, newdata, "`newdata`")$response
    }
    check_like(fit$blocks, response, sum(rows$ok), "`newdata`")
  }
  rows$y <- blocks_y(fit$blocks, response, rows$offset)
  rows$response <- response
  rows
}

# Draws of a response [draws, rows], or [draws, rows, levels], of each block, by
# draw(block, eta [rows, columns, draws], free, offset) -> [rows, (levels,) draws].
drawn_responses <- function(fit, rows, draws, draw, argument = "draws") {
  if (has_parts(fit))
    return(mixed_draws(fit, draws, function(member, n) drawn_responses(member, rows, n, draw, argument)))
  columns <- block_slices(fit$blocks, eta_rows)
  free <- simulation_free(fit)
  levels <- lapply(fit$blocks, function(b) if (identical(draw, epred_block) && has_levels(b)) b$levels)
  n <- length(rows$ok)
  check_draws_memory(draws * n * sum(pmax(1, lengths(levels))), "That many draws", argument)
  out <- lapply(levels, function(l) {
    if (is.null(l)) matrix(NA_real_, draws, n, dimnames = list(NULL, rows$rows))
    else array(NA_real_, c(draws, n, length(l)), list(NULL, rows$rows, l))
  })
  place <- which(rows$ok)
  over_chunks(fit, row_data(fit, rows), draws, "eta", function(eta, at) {
    for (i in seq_along(columns)) {
      one <- draw(fit$blocks[[i]], eta[, columns[[i]], , drop = FALSE], free[[i]], rows$offset[at])
      if (is.null(levels[[i]])) out[[i]][, place[at]] <<- t(one)
      else out[[i]][, place[at], ] <<- aperm(one, c(3, 1, 2))
    }
  })
  if (length(out) == 1) out[[1]] else stats::setNames(out, names(fit$family))
}

epred_block <- function(block, eta, free, offset) {
  if (has_levels(block)) return(mean_draws(block, eta, free))
  block_mean(block, draws_in_rows(eta), free, rep_offset(offset, dim(eta)[3]), dim(eta)[c(1, 3)])
}

# One response per row and draw; of a factor the level's number, of successes and failures one trial.
predict_block <- function(block, eta, free, offset) {
  y <- block_draw(block, draws_in_rows(eta), free)
  y <- if (has_levels(block)) drawn_number(block, y) else as_observed(block, y, rep_offset(offset, dim(eta)[3]))
  matrix(y, dim(eta)[1])
}

# The same of a number with quantiles, a row's at probabilities that are spread evenly, in random order.
spread_block <- function(block, eta, free, offset) {
  d <- dim(eta)
  p <- (vapply(seq_len(d[1]), function(i) sample.int(d[3]), integer(d[3])) - 0.5) / d[3]
  y <- record_of(block)$quantile(c(t(matrix(p, d[3]))), draws_in_rows(eta), free)
  check_finite_output(y)
  matrix(as_observed(block, y, rep_offset(offset, d[3])), d[1])
}

# An array [rows, columns, draws] as a matrix [rows * draws, columns].
draws_in_rows <- function(eta) {
  d <- dim(eta)
  if (d[2] == 1) return(matrix(eta))
  matrix(aperm(eta, c(1, 3, 2)), ncol = d[2])
}

rep_offset <- function(offset, draws) if (!is.null(offset)) rep(offset, draws)

#' @rdname elbo
#' @export
elbo.varnn_bayes_nn <- function(object, newdata = NULL, y = NULL, draws = 100, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "y", "draws"))
  draws <- check_draws(draws)
  rows <- rows_with_response(object, newdata, y, parent.frame())
  out <- rep(NA_real_, length(rows$ok))
  names(out) <- rows$rows
  out[rows$ok] <- row_elbo(object, rows, draws)
  kl <- total_kl(object)
  check_finite_output(c(out[!is.na(out)], kl))
  structure(out, kl = kl)
}

# The expected log-likelihood of each row of `rows`, which have x, y and offset.
row_elbo <- function(fit, rows, draws) {
  if (is_sampled(fit$spec)) return(colMeans(drawn_log_lik(fit, rows, draws)))
  data <- row_data(fit, rows, rows$y)
  terms <- matrix(0, data$n, 1)
  if (is_laplace(fit$spec) && !predicts_by_draws(fit)) {
    terms[, 1] <- -linearised_log_lik(fit, rows$y, data, expected = TRUE)
  } else if (is_laplace(fit$spec)) {
    over_chunks(fit, data, draws, "eta", function(eta, at) {
      terms[at, 1] <<- -rowMeans(drawn_eta_log_lik(fit, rows$y[at, , drop = FALSE], eta))
    })
  } else if (is_point(fit$spec) || !predicts_by_draws(fit) && is_closed(fit$spec) && data$n) {
    estimator <- if (is_point(fit$spec)) "weight" else "exact"
    spec <- utils::modifyList(fit$spec, list(estimator = estimator, kl_mc = 0L))
    terms <- engine_run(spec, fit$theta, data, "terms", precision = fit$control$precision)
  } else {
    over_chunks(fit, data, draws, "terms", function(x, at) terms[at, 1] <<- rowSums(means_over(x)))
  }
  -rowSums(terms) - row_jacobian(fit, rows$y)
}

#' @rdname simulate.varnn_nn
#' @export
simulate.varnn_bayes_nn <- function(object, nsim = 1, seed = NULL, newdata = NULL, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("nsim", "seed", "newdata"))
  nsim <- check_number(nsim, "nsim", 1, 1e8, whole = TRUE)
  seed <- check_seed(seed)
  rows <- found_rows(object, newdata, parent.frame())
  state <- use_seed(seed)
  on.exit(state$restore())
  places <- if (is.null(newdata)) training_places(object)
  else list(place = identity, names = if (is.null(rows$rows)) as.character(seq_along(rows$ok)) else rows$rows)
  as_frame <- function(one) simulation_frame(lapply(seq_len(nsim), function(k) places$place(one(k))), places$names)
  if (is_kind(object$blocks[[1]], "trials")) {
    counts <- drawn_counts(object, rows, nsim, simulated_trials(object, newdata))
    return(structure(as_frame(function(k) matrix(counts[k, , ], ncol = 2)), seed = state$seed))
  }
  drawn <- drawn_responses(object, rows, nsim, predict_block, "nsim")
  drawn <- if (length(object$blocks) == 1) list(drawn) else drawn
  out <- Map(function(block, y) as_frame(function(k) as_response(block, y[k, ])), object$blocks, drawn)
  out <- if (length(out) == 1) out[[1]] else stats::setNames(out, names(object$family))
  structure(out, seed = state$seed)
}

# Successes and failures [draws, rows, 2] of so many trials of each complete row.
drawn_counts <- function(fit, rows, draws, trials) {
  share <- drawn_responses(fit, rows, draws, epred_block, "nsim")
  n <- length(rows$ok)
  of_row <- replace(rep(NA_real_, n), which(rows$ok), trials)
  of_row <- rep(of_row, each = draws)
  known <- which(!is.na(share))
  y <- replace(rep(NA_real_, length(share)), known, stats::rbinom(length(known), of_row[known], share[known]))
  array(c(y, of_row - y), c(draws, n, 2))
}

# Drawn numbers as the response was: a factor, a logical, a number.
as_response <- function(block, y) {
  y <- unname(y)
  if (block$type == "logical") return(y == 1)
  if (block$type != "factor") return(y)
  factor(block$levels[y + !has_levels(block)], levels = block$levels, ordered = isTRUE(block$is_ordered))
}

# ---- intervals

# A list of matrices, or one; a block without such an interval has missing values.
interval_of <- function(fit, rows, interval, level, draws) {
  probs <- c(lwr = (1 - level) / 2, upr = (1 + level) / 2)
  each_response(fit, bounds_of(fit, rows, interval, rep(list(probs), length(fit$blocks)), draws, has_fit = TRUE))
}

# Of each block a matrix with a column for each of its `probs`, the quantiles of the mean or, for `interval` =
# "prediction", of the response; with `has_fit` the mean first.
bounds_of <- function(fit, rows, interval, probs, draws, has_fit = FALSE) {
  n <- length(rows$ok)
  out <- lapply(probs, function(p) {
    of <- c(if (has_fit) "fit", names(p))
    matrix(NA_real_, n, length(of), dimnames = list(rows$rows, of))
  })
  place <- which(rows$ok)
  columns <- block_slices(fit$blocks, eta_rows)
  is_known <- interval == "confidence" || all(vapply(fit$blocks, has_normal_noise, NA))
  free <- block_free(fit)
  from_nodes <- has_closed_means(fit, is_known) # whose mean is the mean of the response
  center <- if (!predicts_by_draws(fit) && !from_nodes) posterior_eta(fit, row_data(fit, rows))
  check_finite_output(center)
  over_components(fit, rows, draws, is_known, function(components, at) {
    for (i in which(vapply(fit$blocks, has_interval, NA, interval))) {
      block <- fit$blocks[[i]]
      means <- lapply(components, function(c) epred_block(block, c$eta[[i]], c$free[[i]], rows$offset[at]))
      share <- function(c, m) c$weight * if (is.null(c$nodes)) rep(1 / ncol(m), ncol(m)) else c$nodes[[i]]$weight
      weight <- unlist(Map(share, components, means))
      known <- if (!is.null(center))
        block_mean(block, center[at, columns[[i]], drop = FALSE], free[[i]], rows$offset[at])
      else do.call(cbind, means) %*% weight
      bounds <- if (interval == "prediction")
        predictive_quantiles(block, components, i, rows$offset[at], probs[[i]], weight)
      else if (is.null(components[[1]]$nodes))
        row_quantiles(do.call(cbind, means), probs[[i]], weight, is_point(fit$spec))
      else mean_quantiles(block, components, i, free[[i]], rows$offset[at], probs[[i]])
      out[[i]][place[at], ] <<- cbind(if (has_fit) known, bounds)
    }
  })
  out
}

# Quantiles of the mean of the response, a function of eta that grows, where eta's first column is normal.
mean_quantiles <- function(block, components, i, free, offset, probs) {
  of_each <- function(what) do.call(cbind, lapply(components, function(c) c[[what]][[i]]))
  q <- engine_mixture(of_each("mean"), of_each("sd"), probs, vapply(components, function(c) c$weight, 0))
  check_finite_output(q)
  of_bound <- function(j) {
    block_mean(block, cbind(q[, j], if (has_log_sd(block)) 0, deparse.level = 0), free, offset)[, 1]
  }
  matrix(vapply(seq_along(probs), of_bound, numeric(nrow(q))), nrow(q))
}

# Whether what is asked for, which needs no draws of the response if `is_known`, is a function of a normal eta that all
# members of a mixture share.
has_closed_means <- function(fit, is_known) {
  is_known && is_laplace(fit$spec) && !(is_mixture(fit) && any(vapply(fit$blocks, mean_needs_free, NA)))
}

# Calls visit(components, at) for chunks of rows: a component for each member of a mixture, for each draw of a sampled
# posterior, or one, with draws of each
# block's eta [rows, columns, draws], its free scalars and its weight. All chunks have the same draws. Of a point one
# draw is enough where what is asked for needs no draws of the response (`is_known`). Of a linearised posterior the
# draws are then nodes with weights of their own, and mean and sd those of the first column of eta.
over_components <- function(fit, rows, draws, is_known, visit) {
  data <- row_data(fit, rows)
  if (data$n == 0) return(invisible())
  parts <- all_parts(fit)
  members <- parts$fits
  weights <- parts$weights
  has_closed <- has_closed_means(fit, is_known) && !predicts_by_draws(fit)
  n_draws <- vapply(members, function(m) if (is_point(m$spec) && is_known) 1 else draws, 0)
  n_draws[parts$is_draw & n_draws > 1] <- ceiling(draws / max(1, sum(parts$is_draw)))
  if (has_closed) n_draws[] <- link_nodes
  columns <- block_slices(fit$blocks, eta_rows)
  free <- lapply(members, simulation_free)
  keys <- if (!has_closed) Map(draws_key, members, n_draws)
  for (at in row_chunks(data$n, sum(n_draws) * run_columns(fit$spec, "eta"))) {
    visit(lapply(seq_along(members), function(k) {
      if (has_closed) return(closed_component(members[[k]], part_of_rows(data, at), columns, free[[k]], weights[k]))
      parts <- NULL
      over_chunks(members[[k]], part_of_rows(data, at), n_draws[k], "eta", at_once = Inf, key = keys[[k]],
                  visit = function(eta, at) parts <<- lapply(columns, function(j) eta[, j, , drop = FALSE]))
      list(eta = parts, free = free[[k]], weight = weights[k])
    }), at)
  }
}

closed_component <- function(fit, data, columns, free, weight) {
  moments <- eta_moments(fit, data)
  nodes <- nodes_of_blocks(fit$blocks, moments)
  list(eta = lapply(nodes, `[[`, "eta"), free = free, weight = weight, nodes = nodes,
       mean = lapply(columns, function(j) moments$mean[, j[1]]),
       sd = lapply(columns, function(j) sqrt(moments$cov[, j[1], j[1]])))
}

has_interval <- function(block, interval) {
  !is_kind(block, c("levels", "ordered", if (interval == "prediction") c("binary", "trials")))
}

check_interval <- function(fit, interval) {
  for (b in Filter(function(b) !has_interval(b, interval), fit$blocks)) {
    if (has_levels(b))
      stop_user("`interval` does not apply to the response `%s`, a factor: see type = \"prob\" or posterior_epred().",
                b$columns)
    stop_user(paste("A prediction interval does not apply to the response `%s`, of which each trial is 0 or 1: use",
                    "\"confidence\", for that of its probability."), b$columns)
  }
}

# Quantiles of the predictive distribution: where the family is normal, of the mixture of its distributions over the
# draws, which have these weights; of other families, of a draw from each, which of families of quantiles are spread
# evenly over the probabilities.
predictive_quantiles <- function(block, components, i, offset, probs, weight) {
  record <- record_of(block)
  n <- dim(components[[1]]$eta[[i]])[1]
  if (!has_normal_noise(block)) {
    draw <- if (is.null(record$tau)) predict_block else spread_block
    y <- lapply(components, function(c) draw(block, c$eta[[i]], c$free[[i]], offset))
    return(row_quantiles(do.call(cbind, y), probs, weight, is_kind(block, "count")))
  }
  of_each <- function(what) {
    do.call(cbind, lapply(components, function(c) {
      flat <- draws_in_rows(c$eta[[i]])
      value <- if (what == "mean") mean_at(block, flat, c$free[[i]]) else record$sd(flat, c$free[[i]])
      out <- matrix(value, n, nrow(flat) / n)
      left <- c$nodes[[i]]$variance
      if (what == "mean" || is.null(left)) out else sqrt(out^2 + left)
    }))
  }
  q <- engine_mixture(of_each("mean"), of_each("sd"), probs, weight)
  check_finite_output(q)
  as_observed(block, q, offset)
}

# Quantiles of each row: of equal weights as quantile(); where all possible values are there, as of counts, and of other
# weights, one of the numbers (the inverse of the distribution function).
row_quantiles <- function(x, probs, weight, is_discrete = FALSE) {
  n <- ncol(x)
  if (n == 1) return(matrix(x, nrow(x), length(probs)))
  if (max(weight) - min(weight) > 1e-12) return(weighted_row_quantiles(x, probs, weight))
  rank <- if (is_discrete) pmax(1, ceiling(n * probs - 1e-9)) else 1 + (n - 1) * probs
  low <- floor(rank)
  needed <- unique(c(low, ceiling(rank)))
  by_row <- t(x)
  sorted <- vapply(seq_len(nrow(x)), function(i) sort.int(by_row[, i], partial = needed)[needed], needed)
  at <- function(rank) t(matrix(sorted, length(needed))[match(rank, needed), , drop = FALSE])
  share <- rep(rank - low, each = nrow(x))
  at(low) * (1 - share) + at(ceiling(rank)) * share
}

weighted_row_quantiles <- function(x, probs, weight) {
  of_row <- function(i) {
    order <- order(x[i, ])
    below <- cumsum(weight[order])
    x[i, order[vapply(probs, function(p) which(below >= p * below[length(below)] - 1e-12)[1], 1L)]]
  }
  t(matrix(vapply(seq_len(nrow(x)), of_row, probs), length(probs)))
}
