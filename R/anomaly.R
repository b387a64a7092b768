# Anomalies: rows that an autoencoder reproduces badly, or that a variational one thinks improbable.

#' Find anomalies
#'
#' Rows that an autoencoder reproduces badly, or that a variational autoencoder thinks improbable, against rows that it
#' has not seen.
#'
#' @param object a fit by [fit_ae()] or [fit_vae()].
#' @param newdata as in [encode()].
#' @param level rows are flagged whose score is above this quantile of the scores that they are compared with.
#' @param score of a variational autoencoder: `"likelihood"`, minus the log-likelihood of the row, or
#'   `"reconstruction"`, the error of its reconstruction.
#' @param folds of a variational autoencoder: the model is trained anew so many times, each time without a part of the
#'   rows, which are then scored. With 1 the fit's own training data are scored by the fit itself. By default 5, or 1
#'   for a fit with rows held out by `validation`, which new rows are compared with.
#' @param k of a variational autoencoder with more than three latent dimensions: draws per row for its log-likelihood,
#'   see [logLik.varnn_vae()]. Up to three the integral over z is done by quadrature.
#' @param per_variable of a variational autoencoder: with `TRUE`, the surprise of each entry, too.
#' @param ... not used.
#' @return A data frame with a row per row of the data: `score`, `flag` (is it above the threshold?), `p_value` (the
#'   share of the rows compared with whose score is as large or larger, a row of the training data being one of them)
#'   and `drivers` (the columns, at most three, that make up at least half of the error of the reconstruction, the
#'   largest first). With `per_variable` also the matrix
#'   `surprise`, of each entry \eqn{-\log p}{-log p} given the others of its row, in nats on the column's own scale. The
#'   attribute `"threshold"` is the quantile; one for each row where the rows lack entries in different columns.
#' @details Of an autoencoder the score is the error of [predict.varnn_ae()], and it is compared with those of the
#'   training data, or of the rows held out by `validation`. Errors of the training data are a little smaller than those
#'   of new rows, the more so the more the network has overfitted: with `validation` the threshold is an honest one.
#'
#'   Of a variational autoencoder scores are cross-fitted: each row of the training data is scored by a model that has
#'   not seen it, also where these rows are the ones that are judged. A share of `1 - level` of new rows like them is
#'   flagged. The training data are needed for that: those that the fit's call finds, or else those that it has kept
#'   (`keep_data`). The models have the fit's own number of latent dimensions, and the fit's arguments else. They are
#'   trained in parallel where the package future is installed and a `future::plan()` says so.
#'
#'   A row that lacks entries is scored by those that are there, and compared with scores of the same columns; where
#'   the rows that it is compared with have gaps in these, draws given their other columns fill them. A value that its
#'   column cannot have (see `margins` of [fit_vae()]) is scored as the nearest one that it can have, and `log(n + 1)`
#'   more: none of n rows has had it.
#' @references Nalisnick, Matsukawa, Teh, Gorur and Lakshminarayanan (2019) Do deep generative models know what they
#'   don't know? \doi{10.48550/arXiv.1810.09136}, for what likelihoods of images miss.
#' @seealso [predict.varnn_ae()] for errors of reconstruction, [logLik.varnn_vae()] for log-likelihoods by row,
#'   [reconstruct()] for what would be expected in a row's place.
#' @examples
#' set.seed(1)
#' fit <- fit_ae(~ . - Species, iris, epochs = 50)
#' odd <- iris[1:3, ]
#' odd$Petal.Width[2] <- 2.4
#' anomaly(fit, odd)
#'
#' vae <- fit_vae(iris, epochs = 50, latent = 2)
#' anomaly(vae, odd, folds = 3, per_variable = TRUE)
#' @export
anomaly <- function(object, ...) UseMethod("anomaly")

#' @rdname anomaly
#' @export
anomaly.varnn_ae <- function(object, newdata = NULL, level = 0.99, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "level"))
  level <- check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  envir <- parent.frame()
  rows <- latent_rows(object, newdata, envir, needs_data = TRUE)
  errors <- entry_errors(object, rows$y, rows$z, rows$x)
  reference <- object$errors
  if (is.null(reference)) {
    train <- if (is.null(newdata)) rows else latent_rows(object, NULL, envir, needs_data = TRUE)
    reference <- row_errors(entry_errors(object, train$y, train$z, train$x))
  }
  of <- if (is.null(object$held_out)) seq_along(reference) else object$held_out
  judged(row_errors(errors), errors, list(reference[of]), given_weights(object)[of], level, rows$finish)
}

#' @rdname anomaly
#' @export
anomaly.varnn_vae <- function(object, newdata = NULL, level = 0.99, score = "likelihood", folds = NULL, k = 100,
                              per_variable = FALSE, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "level", "score", "folds", "k", "per_variable"))
  level <- check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  k <- check_number(k, "k", 1, 1e6, whole = TRUE)
  score <- row_scorer(check_choice(score, c("likelihood", "reconstruction"), "score"), k)
  per_variable <- check_flag(per_variable, "per_variable")
  envir <- parent.frame()
  n_used <- sum(given_weights(object) > 0)
  folds <- if (is.null(folds)) if (is.null(object$held_out)) min(5, n_used) else 1
  else check_number(folds, "folds", 1, max(1, n_used), whole = TRUE)
  rows <- withCallingHandlers(latent_rows(object, newdata, envir, needs_data = TRUE),
                              varnn_limits = function(w) tryInvokeRestart("muffleWarning"))
  gaps <- gap_patterns(object, rows$y)
  judge <- function(fit, rows) cbind(score(fit, rows), if (per_variable) entry_surprises(fit, rows, k))
  is_crossfitted <- is.null(newdata) && folds > 1
  reference <- if (folds > 1)
    crossfitted_scores(object, score, gaps$patterns, folds, envir, if (is_crossfitted) judge)
  else own_scores(object, score, gaps$patterns, envir)
  own <- if (is_crossfitted) reference$own else judge(object, rows)
  own[gaps$is_empty, 1] <- NA
  errors <- entry_errors(object, rows$y, rows$z, rows$x)
  if (!is.null(rows$impossible)) errors <- errors + 2 * log(n_used + 1) * rows$impossible
  judged(own[, 1], errors, reference$scores, reference$weights, level, rows$finish, gaps$of,
         if (per_variable) own[, -1, drop = FALSE])
}

# What anomaly() says of scores: each against those of its group, of rows that stand for w rows each.
judged <- function(score, errors, reference, w, level, finish, group = rep(1L, length(score)), surprise = NULL) {
  threshold <- p_value <- rep(NA_real_, length(score))
  for (g in seq_along(reference)) {
    by <- order(reference[[g]], na.last = NA)
    at <- which(group == g)
    sorted <- reference[[g]][by]
    threshold[at] <- weighted_quantile(sorted, w[by], level)
    p_value[at] <- 1 - c(0, cumsum(w[by]))[1 + findInterval(score[at], sorted, left.open = TRUE)] / sum(w[by])
  }
  out <- data.frame(score = score, flag = score > threshold, p_value = p_value,
                    drivers = ifelse(is.na(score), NA_character_, error_drivers(errors)))
  if (!is.null(surprise)) out$surprise <- surprise
  structure(finish(out), threshold = if (length(reference) == 1) weighted_quantile(sorted, w[by], level) else threshold)
}

# Of each row the columns that make up half of its error, at most three.
error_drivers <- function(errors) {
  errors[is.na(errors)] <- 0
  share <- errors / pmax(rowSums(errors), .Machine$double.xmin)
  vapply(seq_len(nrow(share)), function(i) {
    by <- order(share[i, ], decreasing = TRUE)[seq_len(min(3, ncol(share)))]
    enough <- which(cumsum(share[i, by]) >= 0.5)
    paste(colnames(share)[by[seq_len(if (length(enough)) enough[1] else length(by))]], collapse = ", ")
  }, "")
}

# ---- scores of a variational autoencoder

row_scorer <- function(kind, k) {
  if (kind == "reconstruction") return(function(fit, rows) row_errors(entry_errors(fit, rows$y, rows$z, rows$x)))
  function(fit, rows) minus_log_lik(fit, rows, k)
}

# A value that none of n rows has had, and that has a probability of its own, has one of about 1 / (n + 1).
minus_log_lik <- function(fit, rows, k) {
  surcharge <- if (is.null(rows$impossible)) 0 else rowSums(rows$impossible) * log(sum(case_weights(fit) > 0) + 1)
  surcharge - row_log_liks(fit, rows, if (fit_latent(fit) > most_exact) k else Inf)$mean
}

# -log p of each entry given the others of its row [rows, columns]: that of the row less that of the others.
entry_surprises <- function(fit, rows, k) {
  all <- minus_log_lik(fit, rows, k)
  columns <- fit$design$variables
  out <- vapply(columns, function(c) {
    one <- all - minus_log_lik(fit, without_entries(fit, rows, list(c)), k)
    replace(one, is.na(rows$y[, c$at[1]]), NA)
  }, numeric(length(all)))
  matrix(out, length(all), dimnames = list(NULL, vapply(columns, function(c) c$name, "")))
}

# Which columns rows lack: `patterns` [patterns, columns], and `of` each row its pattern. `is_empty`: all of them.
gap_patterns <- function(fit, y) {
  first <- vapply(fit$design$variables, function(c) c$at[1], 1L)
  gap <- is.na(y[, first, drop = FALSE])
  key <- apply(gap, 1, function(g) paste(which(g), collapse = " "))
  one <- !duplicated(key)
  list(patterns = gap[one, , drop = FALSE], of = match(key, key[one]), is_empty = rowSums(!gap) == 0)
}

# ---- what scores are compared with

# The scores of rows, for each pattern as if they lacked its columns; of few rows where there are many patterns. `known`
# are the scores of the rows as they are, NULL where they are not.
pattern_scores <- function(fit, rows, score, patterns, known = NULL) {
  most <- if (nrow(patterns) == 1) 5000 else max(200, 20000 %/% nrow(patterns))
  n <- nrow(rows$y)
  use <- if (n > most) sort(sample.int(n, most)) else seq_len(n)
  some <- lapply(rows[intersect(c("x", "y", "z", "impossible"), names(rows))], take_rows, use)
  whole <- with_drawn(fit, some)
  columns <- fit$design$variables
  one <- function(lacks) {
    if (any(lacks)) return(score(fit, without_entries(fit, whole, columns[lacks])))
    if (is.null(known) || anyNA(some$y)) score(fit, whole) else known[use]
  }
  list(scores = lapply(seq_len(nrow(patterns)), function(i) one(patterns[i, ])), use = use)
}

# Rows whose gaps are filled by draws given their other entries.
with_drawn <- function(fit, rows) {
  part <- which(rowSums(is.na(rows$y)) > 0)
  if (!length(part)) return(rows)
  some <- lapply(rows[c("x", "y", "z")], take_rows, part)
  given <- given_rows(fit, NULL, length(part), some$x)
  drawn <- eta_draws(fit, codes_eta(fit, resampled_codes(fit, some, 100, 1)[[1]], given))
  raw <- on_user_scale_y(fit, some$y)
  raw[is.na(some$y)] <- drawn[is.na(some$y)]
  columns <- fit$design$variables
  filled <- input_output(columns, as_scores(columns, raw))
  rows$y[part, ] <- filled$y
  rows$x[part, seq_len(ncol(filled$x))] <- filled$x
  rows$z <- model_codes(fit, rows$x)
  rows
}

# By the fit itself: the rows held out by `validation`, or those it was trained on.
own_scores <- function(fit, score, patterns, envir) {
  train <- training_data(fit, NULL, envir)
  of <- if (is.null(fit$held_out)) seq_len(fit$n_obs) else fit$held_out
  rows <- coded_rows(fit, take_rows(train$x, of), take_rows(train$y, of))
  if (!is.null(fit$held_out))
    rows$impossible <- impossible_values(fit$design$variables, take_rows(raw_again(fit, columns_again(fit, envir)), of))
  found <- pattern_scores(fit, rows, score, patterns)
  list(scores = found$scores, weights = given_weights(fit)[of][found$use])
}

# Each row by a fit that has not seen it; with judge(fit, rows) its matrix for all rows, too, as `own`.
crossfitted_scores <- function(fit, score, patterns, folds, envir, judge) {
  w <- given_weights(fit)
  fold <- row_folds(folds, NULL, w > 0)
  found <- refitted(fit, fold, envir, function(one, raw, out) {
    rows <- coded_rows(one, take_rows(one$data$x, out), take_rows(one$data$y, out))
    rows$impossible <- impossible_values(one$design$variables, take_rows(raw, out))
    own <- if (!is.null(judge)) judge(one, rows)
    c(list(rows = out, own = own), pattern_scores(one, rows, score, patterns, own[, 1]))
  })
  list(own = if (!is.null(judge)) own_in_order(fit, found, judge, envir),
       weights = unlist(lapply(found, function(f) w[f$rows[f$use]])),
       scores = lapply(seq_len(nrow(patterns)), function(i) unlist(lapply(found, function(f) f$scores[[i]]))))
}

# The rows in the order of training. No fit has seen those of weight 0: they are judged by the fit itself.
own_in_order <- function(fit, found, judge, envir) {
  seen <- unlist(lapply(found, `[[`, "rows"))
  rest <- setdiff(seq_len(fit$n_obs), seen)
  out <- do.call(rbind, lapply(found, `[[`, "own"))
  if (length(rest)) {
    train <- training_data(fit, NULL, envir)
    out <- rbind(out, judge(fit, coded_rows(fit, take_rows(train$x, rest), take_rows(train$y, rest))))
  }
  out[order(c(seen, rest)), , drop = FALSE]
}

# visit(one, raw, out) for fits `one` of the same model without the rows `out` of each part. They keep the data of all
# rows, of which `raw` are the numbers as they are.
refitted <- function(fit, fold, envir, visit) {
  train <- columns_again(fit, envir)
  w <- given_weights(fit)
  arguments <- call_arguments(fit, envir)
  arguments[c("keep_data", "latent", "verbose", "callback")] <- list(TRUE, fit_latent(fit), FALSE, NULL)
  seeds <- task_seeds(nlevels(fold))
  one <- function(k) {
    out <- which(fold == levels(fold)[k])
    part <- train
    part$weights <- replace(w, out, 0)
    from_seed(seeds[[k]], {
      one <- quiet_member(do.call(fit_vae.data.frame, c(list(x = structure(part, class = "varnn_training")),
                                                        arguments)), first = FALSE)
      if (one$stop_reason != "interrupted") visit(one, raw_again(one, train), out)
    })
  }
  found <- Filter(Negate(is.null), in_parallel(seq_len(nlevels(fold)), one, "part"))
  if (!length(found)) stop_user("anomaly() was interrupted before a part was done.")
  found
}

# The columns of the training data, to train with them again: those that the fit's call finds, or else the kept ones, of
# which values that their columns cannot have are the nearest.
columns_again <- function(fit, envir) {
  if (is.null(fit$data) || !is.null(fit$design$given)) {
    training_data(fit, NULL, envir) # says what is wrong where they are not the same
    return(raw_columns(fit, NULL, envir))
  }
  found <- tryCatch(if (has_training_columns(fit, refound_columns(fit, NULL, envir)$x)) raw_columns(fit, NULL, envir),
                    error = function(e) NULL)
  if (identical(found$n, fit$n_obs)) found else columns_from_x(training_columns(fit, envir))
}

raw_again <- function(fit, train) raw_values(fit$design$variables, train$data, train$n)
