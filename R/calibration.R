# Calibration: are the predicted distributions those of the observations?

#' Calibration: are the predicted distributions those of the observations?
#'
#' Compares predicted distributions with what was observed, best on data that the fit has not seen: coverage of central
#' prediction intervals and the probability integral transform for numbers; reliability of probabilities for classes;
#' and proper scores for both.
#'
#' @param object a fit with one response: by [fit_bayes_nn()], whose predictive distribution averages over the
#'   posterior, or by [fit_nn()], where it is the family's distribution at the fitted parameters; of a mixture it
#'   averages over the members.
#' @param newdata with the response; by default the training data, on which predictions look better than they are.
#' @param y for a fit to `x` and `y`: the response of `newdata`.
#' @param draws from the predictive distribution.
#' @param bins of probabilities, for classes.
#' @param x a calibration.
#' @param digits significant digits to print.
#' @param ... for `plot()`, graphical arguments as in [plot.varnn()], `col` being that of the bars or of the classes;
#'   else not used.
#' @details The probability integral transform of an observation is the probability of a smaller one, \eqn{P(Y < y) + u
#'   P(Y = y)}{P(Y < y) + u P(Y = y)} with u uniform in (0, 1) for counts, by draws; it is uniform if the predictions
#'   are right. The central interval of a level covers the observations whose transform is within level / 2 of one half.
#'   The log score is the mean log predictive density; the continuous ranked probability score is \eqn{E|Y - y| - E|Y -
#'   Y'| / 2}{E|Y - y| - E|Y - Y'| / 2} (Gneiting and Raftery 2007), in the response's unit, less is better. Of a
#'   survival time that is censored at c the transform is drawn uniformly between \eqn{P(Y < c)}{P(Y < c)} and 1, the
#'   log score has \eqn{\log P(Y > c)}{log P(Y > c)}, and the ranked probability score has the smaller of Y and c in the
#'   place of Y (Avati et al. 2019). The Brier score is \eqn{\sum_k (p_k - o_k)^2}{sum_k (p_k - o_k)^2}, o 1 for the
#'   observed class, averaged over rows.
#'
#'   `plot()` draws the histogram of the transform, with a grey band in which 95% of the bars of a right prediction are;
#'   or for classes the observed shares against the predicted probabilities, with grey bars that hold 95% of the shares
#'   that right probabilities would give.
#' @return A list of class `varnn_calibration`: `kind` (`"number"` or `"class"`), `response`, `n`, `log_score`; for
#'   numbers `coverage` (a data frame of `level`, `observed` and its standard error `se`), `pit` (one per row) and
#'   `crps`; for classes `reliability` (a data frame by class and bin: `predicted`, `observed`, `n`), `brier`,
#'   `accuracy` and `error`, the mean distance of the reliability from its diagonal.
#' @references Gneiting and Raftery (2007) Strictly proper scoring rules, prediction, and estimation,
#'   \doi{10.1198/016214506000001437}. Avati, Duan, Zhou, Jung, Shah and Ng (2019) survival CRPS,
#'   \doi{10.48550/arXiv.1806.08324}.
#' @seealso [predict.varnn_bayes_nn()], [log_lik()], [simulate.varnn_nn()].
#' @examples
#' set.seed(1)
#' odd <- seq(1, 111, 2)
#' fit <- fit_bayes_nn(Ozone ~ Wind + Temp, na.omit(airquality)[odd, ], hidden = 8)
#' checked <- calibration(fit, na.omit(airquality)[-odd, ])
#' checked
#' plot(checked)
#' @export
calibration <- function(object, newdata = NULL, ...) UseMethod("calibration")

#' @rdname calibration
#' @export
calibration.varnn <- function(object, newdata = NULL, y = NULL, draws = 1000, bins = 10, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "y", "draws", "bins"))
  draws <- check_draws(draws)
  bins <- check_number(bins, "bins", 2, 1000, whole = TRUE)
  if (!inherits(object, c("varnn_nn", "varnn_bayes_nn"))) stop_user("calibration() is for models with a response.")
  if (length(object$blocks) > 1) stop_user("calibration() is for a model with one response; this one has %d.",
                                           length(object$blocks))
  rows <- rows_with_response(object, newdata, y, parent.frame())
  w <- if (is.null(newdata)) case_weights(object) else rep(1, nrow(rows$y))
  known <- stats::complete.cases(rows$y) & w > 0
  w <- w[known]
  if (!any(known)) stop_user("There is no row with a response and no missing value.")
  rows$x <- rows$x[known, , drop = FALSE]
  rows$y <- rows$y[known, , drop = FALSE]
  rows$offset <- rows$offset[known]
  check_draws_memory(draws * nrow(rows$x), "That many draws of each row")
  block <- object$blocks[[1]]
  is_class <- block$type %in% c("factor", "logical")
  p <- predictive_draws(object, rows, draws, if (is_class) class_values else number_values)
  if (has_closed_density(object) || has_normal_predictive(object)) p$log_score <- row_log_density(object, rows)
  out <- if (is_class) class_calibration(block, observed_shares(block, rows$y), p$values, bins, w)
  else number_calibration(observed_values_of(block, rows), p$values, w,
                          is_censored = is_kind(block, "time") & rows$y[, ncol(rows$y)] == 0)
  structure(c(list(kind = if (is_class) "class" else "number", response = block$columns, n = sum(known),
                   log_score = stats::weighted.mean(p$log_score, w)), out), class = "varnn_calibration")
}

# By rows: `values` of draws from the predictive distribution, and its log density at y.
predictive_draws <- function(fit, rows, draws, values) {
  if (has_parts(fit)) return(mixed_predictive_draws(fit, rows, draws, values))
  block <- fit$blocks[[1]]
  n <- nrow(rows$x)
  out <- list(values = NULL, log_score = numeric(n))
  free <- simulation_free(fit)[[1]]
  over_chunks(fit, row_data(fit, rows), draws, "eta", function(eta, at) {
    one <- values(block, eta, free, rows$offset[at])
    if (is.null(out$values)) out$values <<- matrix(0, n, ncol(one))
    out$values[at, ] <<- one
    out$log_score[at] <<- predictive_density(block, rows$y[at, , drop = FALSE], eta, free)
  })
  out
}

# The predictive distribution of a mixture: `values` are draws of its members, of each as many as its weight says, or
# for classes the weighted mean of probabilities.
mixed_predictive_draws <- function(fit, rows, draws, values) {
  whole <- parts_of(fit)
  of_each <- if (is_mixture(fit)) draws else ceiling(draws / length(whole$fits))
  parts <- lapply(whole$fits, predictive_draws, rows, of_each, values)
  log_scores <- vapply(parts, function(p) p$log_score, numeric(nrow(rows$x)))
  found <- lapply(parts, function(p) p$values)
  list(values = if (identical(values, class_values)) Reduce(`+`, Map(`*`, found, whole$weights))
       else do.call(cbind, Map(function(v, n) v[, seq_len(n), drop = FALSE], found,
                               shares_of_draws(whole$weights, draws))),
       log_score = log_mean_exp(matrix(log_scores, nrow(rows$x)), whole$weights))
}

number_values <- function(block, eta, free, offset) predict_block(block, eta, free, offset)

# The mean over draws of the probability of each level.
class_values <- function(block, eta, free, offset) {
  by_level(means_over(mean_draws(block, eta, free)))
}

# Log of the mean over draws of the density of y, on the response's scale.
predictive_density <- function(block, y, eta, free) {
  draws <- dim(eta)[3]
  record <- record_of(block)
  nll <- if (is.null(record$density)) record$nll else function(y, eta, free) -record$density(y, eta, free)
  log_mean_exp(-draw_nll(block, y, eta, free, nll), rep(1 / draws, draws)) - log(block$scale)
}

observed_values_of <- function(block, rows) {
  if (is_kind(block, "trials"))
    stop_user("calibration() is not for successes and failures: give a row for each trial, with a logical response.")
  as_observed(block, rows$y[, 1], rows$offset)
}

coverage_levels <- c(0.5, 0.8, 0.9, 0.95, 0.99)

# Of censored values the transform is anywhere above, and the score that of the smaller of a draw and the value.
number_calibration <- function(y, drawn, w, is_censored = FALSE) {
  pit <- rowMeans(drawn < y) + stats::runif(length(y)) * ifelse(is_censored, rowMeans(drawn >= y), rowMeans(drawn == y))
  if (any(is_censored)) drawn[is_censored, ] <- pmin(drawn[is_censored, ], y[is_censored])
  observed <- vapply(coverage_levels, function(level) stats::weighted.mean(abs(pit - 0.5) <= level / 2, w), 0)
  list(coverage = data.frame(level = coverage_levels, observed = observed,
                             se = sqrt(coverage_levels * (1 - coverage_levels) / length(y))),
       pit = pit, crps = stats::weighted.mean(sample_crps(y, drawn), w))
}

# E|Y - y| - E|Y - Y'| / 2 of each row of draws, from their order statistics.
sample_crps <- function(y, drawn) {
  d <- ncol(drawn)
  sorted <- t(apply(drawn, 1, sort))
  if (d == 1) sorted <- drawn
  rowMeans(abs(drawn - y)) - drop(sorted %*% (2 * seq_len(d) - d - 1)) / (d * max(1, d - 1))
}

class_calibration <- function(block, y, p, bins, w) {
  hit <- by_level(y)
  levels <- if (is.null(block$levels)) c("0", "1") else block$levels
  shown <- if (length(levels) == 2) 2L else seq_along(levels)
  reliability <- do.call(rbind, lapply(shown, function(k) {
    bin <- pmin(bins, 1 + floor(p[, k] * bins))
    by_bin <- function(x) as.vector(tapply(w * x, bin, sum) / tapply(w, bin, sum))
    data.frame(class = levels[k], predicted = by_bin(p[, k]), observed = by_bin(hit[, k]),
               n = as.vector(tapply(w, bin, sum)))
  }))
  list(reliability = reliability, brier = stats::weighted.mean(rowSums((p - hit)^2), w),
       accuracy = stats::weighted.mean(max.col(p, "first") == max.col(hit, "first"), w),
       error = stats::weighted.mean(abs(reliability$predicted - reliability$observed), reliability$n))
}

#' @rdname calibration
#' @export
print.varnn_calibration <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  few <- max(1, digits - 1)
  cat(sprintf("Calibration of %s (%s)\n\n", x$response, count(x$n, "row")))
  if (x$kind == "number") {
    print(x$coverage, row.names = FALSE, digits = few)
    cat(sprintf("\nlog score %s, CRPS %s\n", format(x$log_score, digits = digits), format(x$crps, digits = digits)))
  } else {
    print(x$reliability, row.names = FALSE, digits = max(1, digits - 2))
    print_lines(c("", sprintf("log score %s, Brier score %s, accuracy %s, calibration error %s",
                              format(x$log_score, digits = digits), format(x$brier, digits = digits),
                              format(x$accuracy, digits = digits), format(x$error, digits = few))))
  }
  invisible(x)
}

#' @rdname calibration
#' @export
plot.varnn_calibration <- function(x, ...) {
  dots <- list(...)
  check_graphics(dots)
  drawing((if (x$kind == "number") draw_pit else draw_reliability)(x, dots))
  invisible(x)
}

# Of the transform a histogram, with the band in which 95 % of the bars of a right prediction are: list(bars, band).
pit_bars <- function(x) {
  k <- max(5, min(20, round(x$n / 15)))
  counts <- graphics::hist(x$pit, seq(0, 1, length.out = k + 1), plot = FALSE)$counts
  list(bars = data.frame(left = (seq_len(k) - 1) / k, right = seq_len(k) / k, density = counts / x$n * k),
       band = stats::qbinom(c(0.025, 0.975), x$n, 1 / k) / x$n * k)
}

# What a picture of a calibration says.
calibration_words <- function(x) {
  if (x$kind == "number")
    return(list(main = paste("Calibration of", x$response), x = "probability integral transform", y = "density",
                note = c(sprintf("95%% intervals cover %s%%", fixed(100 * x$coverage$observed[4], 1)),
                         "grey: 95% of right bars")))
  list(main = sprintf("Calibration of %s: Brier score %s", x$response, fixed(x$brier, 3)), x = "predicted probability",
       y = "observed share", note = c("area of points: rows", "grey: 95% of right shares"))
}

draw_pit <- function(x, dots) {
  pit <- pit_bars(x)
  words <- calibration_words(x)
  shape <- given_or(dots, list(col = grDevices::adjustcolor(okabe_ito[["blue"]], 0.6)))
  with_arguments(graphics::plot.default, dots, not = c("col", "main"), list(
    x = c(0, 1), y = c(0, max(pit$bars$density, pit$band) * 1.05), type = "n", xaxs = "i", yaxs = "i", las = 1,
    main = "", xlab = words$x, ylab = words$y))
  draw_main(words$main, dots)
  graphics::rect(0, pit$band[1], 1, pit$band[2], col = "grey90", border = NA)
  graphics::rect(pit$bars$left, 0, pit$bars$right, pit$bars$density, col = shape$col, border = "white")
  graphics::abline(h = 1, lty = 2, col = "grey45")
  graphics::box()
  if (has_margin()) margin_note(words$note)
}

# Observed shares by class and bin, with the bounds between which 95 % of right shares are.
reliability_points <- function(x) {
  r <- x$reliability
  cases <- pmax(1, round(r$n))
  bound <- function(p) stats::qbinom(p, cases, r$predicted) / cases
  data.frame(r, lower = bound(0.025), upper = bound(0.975))
}

# Of the points of right probabilities 95 % are on the grey bars, as wide as the number of rows allows.
draw_reliability <- function(x, dots) {
  r <- reliability_points(x)
  words <- calibration_words(x)
  classes <- unique(r$class)
  is_one <- length(classes) == 1
  look <- group_look(if (!is_one) factor(r$class, classes), dots, nrow(r))
  label <- x$response
  empty_plot(dots, list(x = c(0, 1), y = with_key_room(c(0, 1), look, label), las = 1, xlab = words$x, ylab = words$y))
  graphics::abline(0, 1, lty = 2, col = "grey45")
  graphics::segments(r$predicted, r$lower, r$predicted, r$upper, col = "grey80", lwd = 3, lend = 1)
  if (is_one) graphics::lines(r$predicted, r$observed, col = look$col, lwd = given_or(dots, list(lwd = 1.8))$lwd)
  graphics::points(r$predicted, r$observed, col = look$col, pch = look$pch, cex = 0.5 + 1.5 * sqrt(r$n / max(r$n)))
  draw_top(look, label, words$main, dots)
  axis_notes(words$note[1], words$note[2], given_or(dots, list(xlab = words$x)))
}
