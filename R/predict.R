# Prediction: new data to eta, eta to what was asked for.

# eta [rows, columns] of the engine, offset included unless y is standardised; of random weights that of the mean.
model_eta <- function(fit, rows, threads = fit$control$threads) {
  fit$control$threads <- threads
  eta <- posterior_eta(fit, row_data(fit, rows))
  check_finite_output(eta)
  eta
}

check_finite_output <- function(x) {
  if (!engine_all_finite(x))
    stop_user("The network's output is not finite: these data are too far from the training data.")
}

#' Predict with a network
#'
#' Means, classes or probabilities for new data, as [predict()] of [lm()] or [glm()] gives them.
#'
#' @param object a fit by [fit_nn()].
#' @param newdata a data frame (or, for a fit to a matrix, a matrix) with the predictors; columns that the model does
#'   not use are ignored. Without it, the predictions for the training data. Of [chunks()] the predictions of all rows,
#'   bound together without the names of rows.
#' @param type `"response"`: the mean of the response on its own scale; `"link"`: \eqn{\eta}{eta}, the network's
#'   linear output (of a gaussian: the mean); `"class"`: the most probable level; `"prob"`: the probability of each
#'   level; `"survival"`: of survival times the probability of surviving each of `times`; `"quantile"`: the quantiles of
#'   probabilities `probs` of the response's distribution. The default is `"class"` for a
#'   factor response, else `"response"` (of a [glm()] it is the link).
#' @param probs for `type = "quantile"`: probabilities between 0 and 1. By default 0.05, 0.5 and 0.95, of the family
#'   `"quantile"` its `tau`.
#' @param times for `type = "survival"`: the times at which to give the probability of surviving them.
#' @param threads threads to use at most; see [nn_control()].
#' @param se.fit also give standard errors, as [predict.glm()] does? They exist with `hidden = 0`; see
#'   [vcov.varnn_nn()]. Those of a response or a probability are by the delta method.
#' @param interval,level with `hidden = 0`, as [predict.lm()] has them: `"confidence"` for an interval of the mean, of
#'   other responses than gaussian ones that of the link by the normal distribution; `"prediction"` for one of a
#'   gaussian response. A network with hidden layers has none, see [predict.varnn_bayes_nn()].
#' @param na.action what to do with rows of `newdata` that have missing values: [na.pass()] predicts `NA`, [na.omit()]
#'   leaves them out, [na.fail()] is an error.
#' @param new_levels what is done with levels that the training data had not, see [nn_control()]: `"error"`, `"na"` or
#'   `"mean"`; by default what the fit's control says.
#' @param ... arguments that [predict.lm()] and [predict.glm()] have beside these. Of one gaussian response `scale` and
#'   `df`, of one of a family of [glm()] `dispersion`, are what these take for standard errors and intervals; the others
#'   must have values that leave the predictions as they are.
#' @return With `se.fit = TRUE` a list of `fit`, `se.fit`, `residual.scale` (of several responses one for each; 1 where
#'   the family has none) and, of gaussian responses, `df`. With `interval` a matrix with columns `fit`, `lwr` and
#'   `upr`, of several responses a list of these. Else as many values as rows in `newdata`, in their order and with
#'   their names; a row with a missing value gives `NA`.
#'   `"response"` and `"link"` give a vector, or a matrix when there are several columns (several responses; the
#'   levels of a categorical response); `"class"` a factor with the levels that rows of the training data have (a
#'   response loses its empty levels, as by [droplevels()]); `"prob"` a matrix with a column per level;
#'   `"survival"` a matrix with a column per time; `"quantile"` a matrix with a column per probability, named as "5%",
#'   of several responses a list of these. For `family = "gaussian_hetero"`, `"response"`
#'   is the mean; of the family `"quantile"` it is the quantile, of several `tau` that nearest to 0.5; of survival times
#'   it is `exp(eta)`, as of `survival::survreg()`: the median, of `"weibull"` the time that 63.2% do not survive.
#'   Several responses of which some are factors give a data frame. A missing column or a new factor level in `newdata`
#'   is an error that names it.
#' @seealso [vcov.varnn_nn()], [predict.varnn_bayes_nn()] for intervals, [simulate()][simulate.varnn_nn] for draws,
#'   [calibration()] for how good the predicted distributions are.
#' @examples
#' set.seed(1)
#' fit <- fit_nn(Species ~ ., iris, epochs = 50)
#' predict(fit, iris[c(1, 51, 101), ])
#' predict(fit, iris[c(1, 51, 101), ], type = "prob")
#' @export
predict.varnn_nn <- function(object, newdata, type = NULL, threads = object$control$threads, se.fit = FALSE,
                             na.action = stats::na.pass, new_levels = object$control$new_levels, times = NULL,
                             probs = NULL, interval = "none", level = 0.95, ...) {
  check_fit(object)
  check_standard("predict", ..., known = c("newdata", "type", "threads", "se.fit", "na.action", "new_levels",
                                          "times", "probs", "interval", "level"))
  if (!missing(newdata) && is_chunks(newdata)) return(predicted_chunks(newdata, function(data) {
    predict.varnn_nn(object, data, type, threads, se.fit, na.action, new_levels, times, probs, interval, level, ...)
  }))
  object <- with_predict_levels(object, new_levels)
  threads <- check_number(threads, "threads", 1, 1024, whole = TRUE)
  se.fit <- check_flag(se.fit, "se.fit")
  interval <- check_wald(object, interval, level, type)
  action <- na_name(na.action)
  type <- predict_type(object, type)
  times <- times_for(type, times)
  probs <- probs_for(object, type, probs)
  with_errors <- se.fit || interval != "none"
  noise <- if (with_errors) given_noise(object, list(...), parent.frame()) else check_no_noise(list(...), "none", type)
  rows <- if (missing(newdata) || is.null(newdata)) trained_rows(object, with_errors, parent.frame())
  else rows_of_new(object, newdata, action, threads)
  in_place <- rows$in_place
  if (type == "quantile" && !se.fit) return(each_response(object, quantiles_of(object, rows$eta, rows$offset, probs),
                                                                   in_place))
  out <- if (type == "survival") survivor_function(object$blocks[[1]], rows$eta, block_free(object)[[1]], times)
  else predicted(object, rows$eta, rows$offset, type)
  errors <- if (se.fit) prediction_errors(object, rows, type, out, parent.frame(), noise)
  out <- if (interval == "none") in_place(out)
  else each_response(object, wald_bounds(object, rows, interval, level, parent.frame(), noise), in_place)
  if (!se.fit) return(out)
  errors$fit <- out
  errors$se.fit <- in_place(errors$se.fit)
  errors
}

# What predictions are made of, x only if it is asked for, and `in_place`, which puts them in the places of all rows: of
# the training data, and of new ones.
trained_rows <- function(fit, with_x, envir) {
  x <- if (with_x) training_data(fit, NULL, envir)$x
  c(list(x = x, in_place = function(values) as_trained(fit, values)), training_eta(fit, NULL))
}
rows_of_new <- function(fit, newdata, action, threads) {
  rows <- by_na_action(design_rows(fit$design, newdata), action)
  rows$eta <- model_eta(fit, rows, threads = threads)
  rows$in_place <- function(values) with_rows(spread(values, rows$ok), rows$rows)
  rows
}

# The noise that predict.lm() and predict.glm() can be given leaves means as they are, and nothing else.
check_no_noise <- function(given, interval, type) {
  needs_noise <- interval != "none" || identical(type, "quantile")
  given <- noise_arguments(given)
  if (needs_noise && length(given)) stop_user("`%s` must be left out here: the noise is the model's.", names(given)[1])
}

# The arguments about the noise that say something: `df` is Inf by default, which says nothing without a scale.
noise_arguments <- function(given) {
  given <- Filter(Negate(is.null), given[c("scale", "df", "dispersion")])
  if (identical(names(given), "df") && is.infinite(given$df)) list() else given
}

# Rows of new data as `action` has them; without those with missing values, or an error when there are some.
by_na_action <- function(rows, action) {
  if (action == "na.pass" || all(rows$ok)) return(rows)
  if (action == "na.fail")
    stop_user("`newdata` has missing values in %d rows, and `na.action` is na.fail.", sum(!rows$ok))
  rows$rows <- rows$rows[rows$ok]
  rows$ok <- rows$ok[rows$ok]
  rows
}

predict_types <- c("response", "link", "class", "prob", "survival", "quantile")

# The probabilities of quantiles of each response, checked, where `type` asks for them of a fit whose responses have
# quantiles: those of a mixture are found without the family's own.
probs_for <- function(fit, type, probs, of_mixture = FALSE) {
  if (type != "quantile") return(NULL)
  p <- plain_numbers(probs)
  if (!is.null(probs) && !every(length(p) >= 1, length(p) <= 1e4, all(p > 0 & p < 1)))
    stop_user("`probs` must be probabilities above 0 and below 1, such as c(0.05, 0.95), not %s.", shown(probs))
  has <- function(b) if (of_mixture) has_interval(b, "prediction") else !is.null(record_of(b)$quantile)
  for (b in fit$blocks) if (!has(b))
    stop_user("`type` = \"quantile\" does not apply to the response `%s`: the family %s has no quantiles.", b$columns,
              b$family)
  lapply(fit$blocks, function(b) {
    p <- if (!is.null(probs)) p else if (is.null(record_of(b)$tau)) default_probs else record_of(b)$tau
    stats::setNames(as.double(p), percent(p))
  })
}
default_probs <- c(0.05, 0.5, 0.95)
percent <- function(p) paste0(format(100 * p, digits = 7, trim = TRUE, drop0trailing = TRUE), "%")

# Of each response a matrix with a column for each probability.
quantiles_of <- function(fit, eta, offset, probs) {
  of_block <- function(block, at, free, probs) {
    at_p <- function(p) as_observed(block, record_of(block)$quantile(p, eta[, at, drop = FALSE], free), offset)
    q <- lapply(probs, at_p)
    named_columns(do.call(cbind, unname(q)), names(probs))
  }
  Map(of_block, fit$blocks, block_slices(fit$blocks, eta_rows), simulation_free(fit), probs)
}

# What f makes of each response's matrix: of several a list, by name.
each_response <- function(fit, parts, f = identity) {
  parts <- lapply(parts, f)
  if (length(parts) == 1) parts[[1]] else stats::setNames(parts, names(fit$family))
}

predict_type <- function(fit, type) {
  is_class <- vapply(fit$blocks, function(b) b$type %in% c("factor", "logical"), NA)
  is_factor <- vapply(fit$blocks, function(b) b$type == "factor", NA)
  if (is.null(type)) return(if (all(is_factor)) "class" else if (any(is_factor)) "default" else "response")
  type <- check_choice(type, predict_types, "type")
  if (type %in% c("class", "prob") && !all(is_class))
    stop_user("`type` = \"%s\" needs a factor response; this one is %s. Use \"response\".", type, quoted(fit$family))
  if (type == "survival" && !every(length(fit$blocks) == 1, is_kind(fit$blocks[[1]], "time")))
    stop_user("`type` = \"survival\" needs one response of survival times; this fit's family is %s.",
              quoted(fit$family))
  type
}

# eta of the training data: kept, or computed from data found again.
training_eta <- function(fit, envir) {
  if (!is.null(fit$eta)) return(list(eta = fit$eta, offset = fit$offset))
  train <- training_data(fit, NULL, envir)
  list(eta = model_eta(fit, train), offset = train$offset)
}

# One value, or row of values, per row of eta.
predicted <- function(fit, eta, offset, type, averaged = NULL) {
  several <- length(fit$blocks) > 1
  free <- block_free(fit)
  one <- function(i, columns) {
    block <- fit$blocks[[i]]
    prob <- function(e) if (is.null(averaged[[i]])) block_prob(block, e, free[[i]]) else averaged[[i]]
    e <- if (length(columns) < ncol(eta)) eta[, columns, drop = FALSE] else eta
    if (type == "default") type <- if (block$type == "factor") "class" else "response"
    switch(type,
           response = named_columns(if (has_levels(block)) prob(e) else block_mean(block, e, free[[i]], offset),
                                    block_labels(block, several)),
           link = block_link(block, e, offset, several),
           prob = named_columns(prob(e), block$levels),
           class = block_class(block, prob(e)))
  }
  parts <- Map(one, seq_along(fit$blocks), block_slices(fit$blocks, eta_rows))
  if (length(parts) == 1) return(without_dim(parts[[1]]))
  names(parts) <- vapply(fit$blocks, function(b) b$columns, "")
  if (type == "default") parts <- lapply(parts, function(p) if (is.matrix(p)) p[, 1] else p)
  if (type %in% c("class", "default")) return(data.frame(parts, check.names = FALSE))
  if (type == "prob") return(do.call(cbind, Map(function(p, n) {
    colnames(p) <- paste(n, colnames(p), sep = ".")
    p
  }, parts, names(parts))))
  do.call(cbind, unname(parts))
}

# eta on the user's scale: of what is standardised the first output, and logs of numbers in the unit of y.
block_link <- function(block, eta, offset, several) {
  if (is_scaled(block)) {
    at <- seq_len(block$n_responses)
    is_log <- is_log_output(block)
    eta[, is_log] <- eta[, is_log] + log(block$scale)
    eta[, at] <- as_observed(block, eta[, at, drop = FALSE], offset)
  }
  named_columns(eta, eta_labels(block, several))
}

# R's functions take the dimensions from a matrix without rows.
named_columns <- function(m, names) {
  dim(m) <- c(length(m) %/% length(names), length(names))
  dimnames(m) <- list(NULL, names)
  m
}

# A matrix of one column as a vector, and what else there is as it is.
without_dim <- function(x) {
  if (is.matrix(x) && ncol(x) == 1) dim(x) <- NULL
  x
}

# Probabilities of a block's levels.
block_prob <- function(block, eta, free) by_level(mean_at(block, eta, free))

# Whether probabilities are means that no output stands for: those of ordered levels, over random weights or members.
averages_levels <- function(fit) {
  (is_mixture(fit) || !is_point(fit$spec)) && any(vapply(fit$blocks, is_kind, NA, "ordered"))
}

# These probabilities [rows, levels] of each block, NULL of the others.
averaged_levels <- function(fit, rows, draws = default_draws) {
  is_own <- vapply(fit$blocks, is_kind, NA, "ordered")
  out <- lapply(fit$blocks, function(b) if (is_kind(b, "ordered")) matrix(0, nrow(rows$x), length(b$levels)))
  over_components(fit, rows, draws, TRUE, function(components, at) {
    for (i in which(is_own)) for (c in components) {
      p <- mean_draws(fit$blocks[[i]], c$eta[[i]], c$free[[i]])
      weight <- if (!is.null(c$nodes)) c$nodes[[i]]$weight
      out[[i]][at, ] <<- out[[i]][at, ] + c$weight * means_over(p, weight)
    }
  })
  out
}

# Of levels, or of the second of two, shares or probabilities [rows, levels]; and the level that has the most.
by_level <- function(x) if (ncol(x) == 1) cbind(1 - x, x) else x
drawn_number <- function(block, y) if (is_kind(block, "ordered")) y[, 1] + 1 else level_of(y)
level_of <- function(x) max.col(by_level(x), ties.method = "first")

block_class <- function(block, prob) {
  best <- if (nrow(prob)) max.col(prob, ties.method = "first") else integer()
  best[rowSums(is.na(prob)) > 0] <- NA
  factor(block$levels[best], levels = block$levels, ordered = isTRUE(block$is_ordered))
}

# Puts values of the complete rows in their places among all rows.
spread <- function(x, ok) {
  if (all(ok)) return(x)
  place <- rep(NA_integer_, length(ok))
  place[ok] <- seq_len(sum(ok))
  in_places(x, place)
}

# Values or rows of x; NA where place is.
in_places <- function(x, place) {
  if (length(dim(x)) != 2) return(x[place])
  x <- x[place, , drop = FALSE]
  if (is.data.frame(x)) row.names(x) <- NULL
  x
}

# Names of the training rows; by formula, rows without names have their numbers, as in lm().
fit_rows <- function(fit) {
  if (is.null(fit$rows) && !is.null(fit$terms)) as.character(seq_len(fit$n_obs)) else fit$rows
}

# Row names must differ in a data frame, as those of a matrix need not.
with_rows <- function(x, rows) {
  if (is.null(rows)) return(x)
  if (is.data.frame(x)) row.names(x) <- if (!anyDuplicated(rows)) rows
  if (is.matrix(x)) rownames(x) <- rows
  if (is.null(dim(x))) names(x) <- rows
  x
}

# What belongs to the rows of training, with their names; NA for the rows that na.exclude left out.
as_trained <- function(fit, x) {
  rows <- fit_rows(fit)
  if (!is.data.frame(x)) return(stats::napredict(fit$na.action, with_rows(x, rows)))
  place <- stats::napredict(fit$na.action, with_rows(seq_len(nrow(x)), rows))
  with_rows(in_places(x, place), names(place))
}

# Probabilities with a column for each of these levels: 0 for one that no row of training has.
with_levels <- function(prob, levels) {
  out <- matrix(0, nrow(prob), length(levels), dimnames = list(NULL, levels))
  out[, colnames(prob)] <- prob
  out[is.na(prob[, 1]), ] <- NA
  out
}
