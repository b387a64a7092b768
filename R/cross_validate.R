# Cross-validation: the fit's own call, trained again without a part of the rows, which are then predicted.

#' Cross-validation of a network
#'
#' Trains the model again without a part of the rows, once for each part, and predicts these rows: what the error on new
#' data is, for any network, where information criteria have no meaning.
#'
#' @param object a fit by [fit_nn()] or [fit_bayes_nn()].
#' @param folds the number of parts, or for each row of the training data the part that it is in.
#' @param by for each row of the training data the group that it belongs to, such as a patient: the rows of a group are
#'   in one part. By default each row is a group.
#' @param draws from the posterior or predictive distribution, for scores without a closed form.
#' @param x a result of `cross_validate()`.
#' @param digits significant digits to print.
#' @param row.names,optional as of [as.data.frame()].
#' @param ... for `plot()`, graphical arguments as in [plot.varnn()]; else not used.
#' @details Each part is left out of everything that training looks at: scaling, moments and the choice of epochs are
#'   found anew. The levels of factors stay those of all rows. The arguments of the call are evaluated again, as
#'   [update()] does.
#'
#'   The log score is the mean log predictive density of the rows left out, more is better. Of one numeric response
#'   there are the root mean squared error and the continuous ranked probability score, of one factor or logical
#'   response the Brier score and the share of right classes; see [calibration()]. Each score is the mean over rows, by
#'   their weights. Its standard error is that of a mean of independent parts, which leaves out that their training
#'   rows overlap (Bengio and Grandvalet 2004).
#'
#'   Parts are trained in parallel where the package future is installed and a `future::plan()` says so. Each
#'   part has its own stream of random numbers, so that results are the same with any plan. Without a plan, work of more
#'   than two seconds is shown: by a bar in an interactive session where the package cli is installed, and to the
#'   handlers of progressr.
#' @return A list of class `varnn_cross_validation`: `scores`, a data frame of `score`, `value` and `se`; `by_fold`, a
#'   data frame of `fold`, `n` (rows) and the scores of each part; `predictions`, of each row what [predict()] gives
#'   without it, of type `"response"`; `fold`, the part of each row. Rows of weight 0 and rows without a response are in
#'   no part: their `predictions` and `fold` are `NA`. `as.data.frame()` gives `scores`.
#' @references Stone (1974) Cross-validatory choice and assessment of statistical predictions,
#'   \doi{10.1111/j.2517-6161.1974.tb00994.x}. Bengio and Grandvalet (2004) No unbiased estimator of the variance of
#'   k-fold cross-validation, <https://www.jmlr.org/papers/v5/grandvalet04a.html>.
#' @seealso [calibration()], [loo()][loo.varnn], [evidence()].
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 4)
#' cross_validate(fit, folds = 5)
#' cross_validate(update(fit, hidden = 0), folds = 5)
#' @export
cross_validate <- function(object, folds = 10, ...) UseMethod("cross_validate")

#' @rdname cross_validate
#' @export
cross_validate.varnn <- function(object, folds = 10, by = NULL, draws = 200, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("folds", "by", "draws"))
  if (!has_response(object)) return(cross_validate.default(object))
  draws <- check_draws(draws)
  envir <- parent.frame()
  w <- observed_weights(object)
  given <- given_weights(object)
  fold <- row_folds(folds, by, w > 0)
  train <- training_data(object, NULL, envir)
  train <- train[setdiff(names(train), "y")]
  arguments <- call_arguments(object, envir)
  parts <- levels(fold)
  seeds <- task_seeds(length(parts))
  one <- function(k) {
    out <- which(fold == parts[k])
    from_seed(seeds[[k]], judged_part(fit_without(object, train, arguments, given, out, parts[k]), train, out, draws))
  }
  found <- Filter(Negate(is.null), in_parallel(seq_along(parts), one, "part"))
  if (!length(found)) stop_user("cross_validate() was interrupted before a part was done.")
  new_cross_validation(object, found, fold, w)
}

# The part of each row, a factor; rows of weight 0 are in none.
row_folds <- function(folds, by, use) {
  n <- length(use)
  are_groups <- function(x) {
    every(is.atomic(x), is.numeric(x) || is.character(x) || is.logical(x) || is.factor(x) && is_well_formed(x),
          is_plain_vector(x), length(x) == n, !anyNA(x))
  }
  levels_of <- function(x) factor(if (is.factor(x)) x else plain(x))
  if (length(folds) != 1) {
    if (!are_groups(folds))
      stop_user("`folds` must be a number, or the part of each of the %d rows of the training data, not %s.", n,
                shown(folds))
    if (!is.null(by)) stop_user("`by` is for a number of `folds`: rows that are given their parts have no groups.")
    fold <- replace(levels_of(folds), !use, NA)
  } else {
    if (!is.null(by) && !are_groups(by))
      stop_user("`by` must be the group of each of the %d rows of the training data, not %s.", n, shown(by))
    group <- if (is.null(by)) seq_len(n) else as.integer(levels_of(by))
    groups <- unique(group[use])
    folds <- check_number(folds, "folds", 2, max(2, length(groups)), whole = TRUE)
    fold <- factor(replace(sample(rep_len(seq_len(folds), length(groups)))[match(group, groups)], !use, NA))
  }
  fold <- droplevels(fold)
  if (nlevels(fold) < 2) stop_user("Cross-validation needs two parts or more: there are too few rows, or groups.")
  fold
}

data_arguments <- c("formula", "x", "y", "data", "weights", "subset", "na.action", "contrasts", "embed")

# The arguments of a fit's call but its data, evaluated.
call_arguments <- function(fit, envir) {
  given <- as.list(fit$call)[-1]
  given <- given[!names(given) %in% c(data_arguments, "keep_data", "checkpoint", "checkpoint_every")]
  # one file is of one training
  evaluated <- function(argument) {
    value <- eval(argument, envir)
    if (inherits(value, "varnn_control")) value["checkpoint"] <- list(NULL)
    value
  }
  tryCatch(c(lapply(given, evaluated), keep_data = FALSE), error = function(e) {
    stop_user("The arguments of the fit's call are no longer found (%s).", sub("[.]$", "", conditionMessage(e)))
  })
}

# A fit of the same kind, trained without these rows.
fit_without <- function(fit, train, arguments, w, out, name) {
  train$weights <- weights_without(train, w, out)
  tryCatch(made_again(fit, train, arguments),
           varnn_error = function(e) stop_user("Without part %s: %s", name, conditionMessage(e)))
}

# A fit of the same kind with these arguments.
made_again <- function(fit, train, arguments) {
  do.call(maker_of(fit), c(list(x = structure(train, class = "varnn_training"), y = NULL), arguments))
}

maker_of <- function(fit) if (is_bayesian(fit$spec)) fit_bayes_nn.data.frame else fit_nn.data.frame

is_unfinished <- function(fit) "interrupted" %in% c(fit$stop_reason, lapply(fit$members, `[[`, "stop_reason"))

# What a fit says of rows that it has not seen, list(rows, predictions, scores, noise), noise where there are weights w;
# NULL of one that was interrupted.
judged_part <- function(fit, train, out, draws, level = NULL, w = NULL) {
  if (is_unfinished(fit)) return(NULL)
  rows <- list(x = train$x[out, , drop = FALSE], offset = train$offset[out], w = w[out])
  response <- take_rows(train$response, out)
  rows$y <- blocks_y(fit$blocks, response, rows$offset)
  c(list(rows = out), judged_rows(fit, rows, draws, level))
}

# list(predictions, scores, noise) of rows; the noise is that of densities_of_rows(), where the rows have weights `w`.
judged_rows <- function(fit, rows, draws, level = NULL) {
  predictions <- predicted(fit, posterior_eta(fit, row_data(fit, rows), draws), rows$offset, "response")
  density <- densities_of_rows(fit, rows, draws, rows$w)
  scores <- cbind(log_score = density$log, more_scores(fit, rows, predictions, draws, level))
  list(predictions = predictions, scores = scores, noise = density$noise)
}

# What parts found of their rows, in the order of all rows.
in_row_order <- function(found, name, fold) {
  parts <- lapply(found, `[[`, name)
  all <- if (length(dim(parts[[1]])) == 2) do.call(rbind, parts) else unlist(parts, use.names = FALSE)
  in_places(all, match(seq_along(fold), unlist(lapply(found, `[[`, "rows"))))
}

# The scores that a response has.
score_names <- function(fit) {
  block <- fit$blocks[[1]]
  if (length(fit$blocks) > 1 || is_kind(block, c("trials", "time"))) return("log_score")
  c("log_score", if (block$type %in% c("factor", "logical")) c("brier", "accuracy") else c("rmse", "crps"))
}

# The scores of each row beside the log score, as columns; with a `level` of numbers also whether the central prediction
# interval covers them, and how wide it is.
more_scores <- function(fit, rows, predictions, draws, level = NULL) {
  block <- fit$blocks[[1]]
  more <- score_names(fit)[-1]
  if (!length(more)) return(NULL)
  is_class <- "brier" %in% more
  values <- predictive_draws(fit, rows, draws, if (is_class) class_values else number_values)$values
  if (is_class) {
    hit <- by_level(observed_shares(block, rows$y))
    return(cbind(brier = rowSums((values - hit)^2), accuracy = max.col(values, "first") == max.col(hit, "first")))
  }
  y <- observed_values_of(block, rows)
  out <- cbind(rmse = (y - as.vector(predictions))^2, crps = sample_crps(y, values))
  if (is.null(level)) return(out)
  ends <- predictive_ends(fit, rows, c((1 - level) / 2, (1 + level) / 2), draws, values)
  cbind(out, coverage = y >= ends[, 1] & y <= ends[, 2], width = ends[, 2] - ends[, 1])
}

# The bounds that predict(interval = "prediction") gives; where it gives none, those of draws of the response.
predictive_ends <- function(fit, rows, probs, draws, values) {
  if (!has_interval(fit$blocks[[1]], "prediction"))
    return(row_quantiles(values, probs, rep(1 / ncol(values), ncol(values)), is_discrete = TRUE))
  rows$ok <- rep(TRUE, nrow(rows$x))
  bounds_of(fit, rows, "prediction", list(c(lwr = probs[1], upr = probs[2])), max(draws, default_draws))[[1]]
}

# Of scores of rows, as columns, by their weights: the means over all rows and by part, and the standard errors of the
# former; roots of squares.
mean_scores <- function(scores, fold, w) {
  by_part <- vapply(split(seq_along(fold), fold), function(i) {
    colSums(w[i] * scores[i, , drop = FALSE]) / sum(w[i])
  }, numeric(ncol(scores)))
  by_part <- t(matrix(by_part, ncol(scores), dimnames = list(colnames(scores), levels(fold))))
  done <- stats::complete.cases(by_part)
  at <- which(fold %in% levels(fold)[done])
  value <- colSums(w[at] * scores[at, , drop = FALSE]) / sum(w[at])
  se <- apply(by_part[done, , drop = FALSE], 2, stats::sd) / sqrt(sum(done))
  is_root <- names(value) == "rmse"
  se[is_root] <- se[is_root] / (2 * sqrt(value[is_root]))
  value[is_root] <- sqrt(value[is_root])
  by_part[, is_root] <- sqrt(by_part[, is_root])
  list(value = value, se = se, by_part = by_part)
}

new_cross_validation <- function(fit, found, fold, w) {
  means <- mean_scores(in_row_order(found, "scores", fold), fold, w)
  predictions <- as_trained(fit, in_row_order(found, "predictions", fold))
  structure(list(scores = data.frame(score = names(means$value), value = unname(means$value), se = unname(means$se)),
                 by_fold = data.frame(fold = levels(fold), n = tabulate(fold, nlevels(fold)), means$by_part,
                                      row.names = NULL),
                 predictions = predictions, fold = as_trained(fit, fold), response = response_names(fit)),
            class = "varnn_cross_validation")
}

score_words <- c(log_score = "log score", rmse = "root mean squared error", crps = "CRPS", brier = "Brier score",
                 accuracy = "share of right classes")

#' @rdname cross_validate
#' @export
print.varnn_cross_validation <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  check_cross_validation(x)
  cat(sprintf("Cross-validation for %s (%s in %d parts)\n\n", paste(x$response, collapse = ", "),
              count(sum(x$by_fold$n), "row"), nrow(x$by_fold)))
  out <- x$scores
  out$score <- unname(score_words[out$score])
  print(out, digits = digits, row.names = FALSE)
  invisible(x)
}

check_cross_validation <- function(x) {
  is_whole <- every(is.list(x), is.data.frame(x$scores), is.data.frame(x$by_fold), is.character(x$response),
                    identical(names(x$scores), c("score", "value", "se")), all(x$scores$score %in% names(score_words)),
                    all(c("fold", "n", "log_score") %in% names(x$by_fold)), nrow(x$by_fold) > 0,
                    all(vapply(c(x$scores[-1], x$by_fold[-1]), is.numeric, NA)))
  if (!is_whole) stop_user("The result of cross_validate() is damaged: make it anew.")
}

#' @rdname cross_validate
#' @export
as.data.frame.varnn_cross_validation <- function(x, row.names = NULL, optional = FALSE, ...) {
  check_standard("as.data.frame", ..., known = c("row.names", "optional"))
  check_cross_validation(x)
  as.data.frame(x$scores, row.names = row.names, optional = optional)
}

#' @rdname cross_validate
#' @export
plot.varnn_cross_validation <- function(x, ...) {
  dots <- list(...)
  check_graphics(dots)
  check_cross_validation(x)
  drawing(draw_folds(x, dots))
  invisible(x)
}

# The log score of each part, their mean and its standard error.
draw_folds <- function(x, dots) {
  style <- given_or(dots, list(col = okabe_ito[["blue"]], pch = 16, cex = 1.1))
  y <- x$by_fold$log_score
  mean <- mean_and_error(x)
  words <- folds_words(x)
  empty_plot(dots, list(x = c(0.5, nrow(x$by_fold) + 0.5), y = range(y, mean, finite = TRUE), las = 1, xaxt = "n",
                        xlab = words$x, ylab = words$y))
  graphics::axis(1, seq_len(nrow(x$by_fold)), x$by_fold$fold)
  if (all(is.finite(mean))) {
    ends <- graphics::par("usr")[1:2]
    graphics::rect(ends[1], mean[1], ends[2], mean[3], col = "grey92", border = NA)
    graphics::abline(h = mean[2], lty = 2, col = "grey45")
    graphics::box()
  }
  graphics::points(seq_len(nrow(x$by_fold)), y, pch = style$pch, col = style$col, cex = style$cex)
  draw_main(words$main, dots)
  if (has_margin()) margin_note(words$note)
}

mean_and_error <- function(x) x$scores$value[1] + c(-1, 0, 1) * x$scores$se[1]

folds_words <- function(x) {
  list(main = paste("Cross-validation for", paste(x$response, collapse = ", ")), x = "part left out",
       y = "log score (nats per row)", note = "band: the mean and one standard error")
}

# Scores one below the other, the first at the top, with one standard error to both sides. `rows`: list(frame of
# label, value and se, x, main, note).
draw_score_rows <- function(rows, dots) {
  labels <- rows$frame$label
  value <- rows$frame$value
  style <- given_or(dots, list(col = okabe_ito[["blue"]], pch = 16, cex = 1.1))
  at <- rev(seq_along(value))
  ends <- value + outer(rows$frame$se, c(-1, 1))
  ends[!is.finite(ends)] <- NA
  widest <- max(graphics::strwidth(labels, "inches", cex = 0.8))
  local_par(mai = replace(graphics::par("mai"), 2, min(0.5 * graphics::par("din")[1], widest + 0.3)))
  empty_plot(dots, list(x = range(ends, value, finite = TRUE), y = c(0.5, length(value) + 0.5), yaxt = "n", ylab = "",
                        xlab = rows$x))
  graphics::axis(2, at, labels, las = 1, cex.axis = 0.8)
  graphics::segments(ends[, 1], at, ends[, 2], at, col = "grey70", lwd = 2)
  graphics::points(value, at, pch = style$pch, col = style$col, cex = style$cex)
  draw_main(rows$main, dots)
  if (has_margin()) margin_note(rows$note)
}
