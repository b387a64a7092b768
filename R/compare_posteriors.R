# Posteriors of one model side by side, judged by rows that they have not seen.

#' Compare posteriors of Bayesian networks
#'
#' Judges several posteriors, or any fits by [fit_bayes_nn()] of one response, by their predictions of rows that they
#' have not seen: one row of a table each.
#'
#' @param formula a formula as of [fit_bayes_nn()], or a fit by it.
#' @param ... for a formula, arguments of [fit_bayes_nn()] that all of them have; for a fit, the fits to compare it
#'   with, with names if you like. Of `plot()`, graphical arguments as in [plot.varnn()].
#' @param data,newdata,y the data, and rows to judge by; `y` is the response of the latter, of fits to `x` and `y`.
#'   Without `newdata` it is cross-validation that judges.
#' @param posteriors values of `posterior`, see [fit_bayes_nn()]: names, or a list in which there may be also what
#'   [posterior_swag()] and its like make. The elements may have names, by which the table calls them.
#' @param folds,by parts of the rows and groups that stay together, as for [cross_validate()]; not used with `newdata`.
#' @param level of the prediction intervals whose coverage and width are told.
#' @param draws from the posterior and predictive distributions, for what has no closed form.
#' @param x a result of `compare_posteriors()`.
#' @param digits significant digits to print.
#' @param row.names,optional as of [as.data.frame()].
#' @details All fits are trained on the same parts with the same random numbers, in parallel where the package
#'   future is installed and a `future::plan()` says so.
#'
#'   The log score is the mean log predictive density of the rows, more is better; `difference` is that to the best
#'   one, and `se` its standard error: that over rows, which takes account of their being the same rows (Vehtari, Gelman
#'   and Gabry 2017), and that of the `draws`, which more of them make smaller. A difference of less than two of them
#'   says little. Of one numeric response there are the root mean squared error, the continuous ranked probability
#'   score, the share of responses within the central prediction intervals, `coverage`, which should be `level`, and
#'   their mean `width`; of right coverages the smaller width is the better. The intervals are those of
#'   `predict(interval = "prediction")`, with as many draws as that takes or more. Of a factor or logical response there
#'   are the Brier score and the share of right classes.
#'
#'   Where `"hmc"` is among them, which is exact but for Monte Carlo error, `distance` is how far the other posteriors
#'   of the mean of the response (of probabilities) are from its own: the Wasserstein distance of order 1 at a row,
#'   averaged over up to 500 rows of `newdata` or of the training data. Draws differ by chance, too: two runs of the
#'   same posterior have a distance that is not 0.
#' @return A list of class `varnn_posteriors`: `table`, a data frame with a row per fit, the best first: `posterior`,
#'   `log_score`, `difference`, `se`, the other scores, `distance`, and `seconds`, the time of training on all rows
#'   (`NA` of fits that are given); `fits`, trained on all rows, in the same order; `level`; `judged_by`.
#'   `as.data.frame()` gives `table`.
#' @references Vehtari, Gelman and Gabry (2017) Practical Bayesian model evaluation, \doi{10.1007/s11222-016-9696-4}.
#' @seealso [cross_validate()], [calibration()], [loo()][loo.varnn].
#' @examples
#' set.seed(1)
#' compared <- compare_posteriors(mpg ~ wt, mtcars, posteriors = c("laplace", "meanfield"),
#'                                hidden = 4, members = 1, folds = 3)
#' compared
#' plot(compared)
#' @export
compare_posteriors <- function(formula, ...) UseMethod("compare_posteriors")

#' @rdname compare_posteriors
#' @export
compare_posteriors.formula <- function(formula, data, posteriors = c("laplace", "meanfield", "last_layer", "point"),
                                       newdata = NULL, folds = 5, by = NULL, level = 0.95, draws = 200, ...) {
  posteriors <- check_posteriors(posteriors)
  level <- check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  draws <- check_draws(draws)
  envir <- parent.frame()
  call <- match.call()
  call[[1]] <- quote(fit_bayes_nn)
  call[c("posteriors", "newdata", "folds", "by", "level", "draws")] <- NULL
  seed <- task_seeds(1)[[1]]
  seconds <- numeric()
  fits <- lapply(stats::setNames(nm = names(posteriors)), function(name) {
    call$posterior <- posteriors[[name]]
    start <- proc.time()[["elapsed"]]
    fit <- from_seed(seed, eval(call, list(fit_bayes_nn = fit_bayes_nn), envir))
    seconds[name] <<- proc.time()[["elapsed"]] - start
    fit
  })
  compared_fits(fits, seconds, newdata, NULL, folds, by, level, draws, envir)
}

# The posteriors as a list, by what the table calls them.
check_posteriors <- function(posteriors) {
  each <- if (inherits(posteriors, "varnn_posterior")) list(posteriors)
  else if (is.character(posteriors) && is.null(dim(posteriors))) as.list(posteriors)
  else if (is.list(posteriors) && !is.object(posteriors)) posteriors
  refuse <- function() {
    stop_user(paste("`posteriors` must be names, such as c(\"laplace\", \"meanfield\"), or a list of these and of what",
                    "posterior_swag() and its like make, each once, not %s."), shown(posteriors))
  }
  if (!length(each) || anyNA(each)) refuse()
  each <- lapply(each, function(one) {
    if (is.character(one)) check_choice(one, c("auto", registry()$posterior), "posteriors")
    else if (inherits(one, "varnn_posterior") && is_posterior_record(one)) one else refuse()
  })
  words <- vapply(each, function(one) if (is.character(one)) one else posterior_words(one), "")
  own <- plain_names(posteriors)
  if (length(own) == length(each)) words <- ifelse(is.na(own) | own == "", words, own)
  if (anyDuplicated(words)) refuse()
  stats::setNames(each, words)
}

#' @rdname compare_posteriors
#' @export
compare_posteriors.varnn_bayes_nn <- function(formula, ..., newdata = NULL, y = NULL, folds = 5, by = NULL,
                                              level = 0.95, draws = 200) {
  level <- check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  draws <- check_draws(draws)
  fits <- list(formula, ...)
  own <- if (is.null(names(fits))) rep("", length(fits)) else names(fits)
  for (i in seq_along(fits)) {
    if (inherits(fits[[i]], "varnn")) check_fit(fits[[i]])
    if (!inherits(fits[[i]], "varnn_bayes_nn"))
      stop_user("Fits by fit_bayes_nn() are compared, not %s%s.", shown(fits[[i]]),
                if (nzchar(own[i])) sprintf(" (`%s`)", own[i]) else "")
  }
  check_one_response(fits, is.null(newdata))
  words <- vapply(fits, function(fit) fit$spec$posterior, "")
  names(fits) <- make.unique(ifelse(nzchar(own), own, words), " ")
  compared_fits(fits, NULL, newdata, y, folds, by, level, draws, parent.frame())
}

check_one_response <- function(fits, same_rows) {
  first <- fits[[1]]
  for (fit in fits[-1]) {
    is_same <- every(identical(response_names(fit), response_names(first)),
                     identical(vapply(fit$blocks, `[[`, "", "type"), vapply(first$blocks, `[[`, "", "type")))
    if (!is_same) stop_user("The fits must have the same response: one has %s, another %s.",
                            quoted(response_names(first)), quoted(response_names(fit)))
    if (same_rows && !isTRUE(all.equal(fit$response, first$response, check.attributes = FALSE)))
      stop_user("The fits were trained on different rows: give `newdata` to compare them on.")
  }
}

# ---- scores of rows that a fit has not seen

compared_fits <- function(fits, seconds, newdata, y, folds, by, level, draws, envir) {
  judged <- if (is.null(newdata)) scores_by_folds(fits, folds, by, level, draws, envir)
  else scores_of_new(fits, newdata, y, level, draws, envir)
  value <- do.call(rbind, lapply(judged$scores, function(s) mean_scores(s, judged$fold, judged$w)$value))
  best <- which.max(replace(value[, "log_score"], is.na(value[, "log_score"]), -Inf))
  gap <- lapply(judged$scores, function(s) s[, "log_score"] - judged$scores[[best]][, "log_score"])
  table <- data.frame(posterior = names(fits), log_score = value[, "log_score"],
                      difference = value[, "log_score"] - value[best, "log_score"],
                      se = sqrt(vapply(gap, error_of_mean, 0, judged$w)^2 +
                                  vapply(judged$noise, error_of_draws, 0, judged$noise[[best]], judged$w)^2),
                      value[, -1, drop = FALSE], row.names = NULL)
  table$distance <- distances(fits, newdata, draws, envir)
  table$seconds <- if (is.null(seconds)) NA_real_ else seconds[names(fits)]
  order <- order(-table$log_score)
  table <- table[order, ]
  row.names(table) <- NULL
  structure(list(table = table, fits = fits[order], level = level, judged_by = judged$by,
                 response = response_names(fits[[1]])), class = "varnn_posteriors")
}

# The standard error of a weighted mean of independent values; of no row that counts NA.
error_of_mean <- function(x, w) {
  use <- which(w > 0 & !is.na(x))
  share <- w[use] / sum(w[use])
  sqrt(sum(share^2 * (x[use] - sum(share * x[use]))^2))
}

# The Monte Carlo error of the difference of two weighted means of log densities, by their `noise` [draws, parts]: the
# fits have the same random numbers, and the parts their own.
error_of_draws <- function(noise, other, w) {
  draws <- nrow(noise)
  sqrt(sum((noise - other)^2) / (draws * max(1, draws - 1))) / sum(w)
}

scores_by_folds <- function(fits, folds, by, level, draws, envir) {
  w <- observed_weights(fits[[1]])
  fold <- row_folds(folds, by, w > 0)
  parts <- levels(fold)
  trains <- lapply(fits, function(fit) {
    train <- training_data(fit, NULL, envir)
    train[setdiff(names(train), "y")]
  })
  arguments <- lapply(fits, call_arguments, envir)
  seeds <- task_seeds(length(parts))
  one <- function(task) {
    i <- task[[1]]
    out <- which(fold == parts[task[[2]]])
    from_seed(seeds[[task[[2]]]], quiet_member(first = FALSE, {
      fit <- fit_without(fits[[i]], trains[[i]], arguments[[i]], given_weights(fits[[i]]), out,
                         parts[task[[2]]])
      judged_part(fit, trains[[i]], out, draws, level, w)
    }))
  }
  tasks <- expand.grid(fit = seq_along(fits), part = seq_along(parts))
  found <- in_parallel(Map(list, tasks$fit, tasks$part), one, "training")
  if (any(lengths(found) == 0)) stop_user("compare_posteriors() was interrupted before all parts were done.")
  of <- lapply(seq_along(fits), function(i) in_row_order(found[tasks$fit == i], "scores", fold))
  noise <- lapply(seq_along(fits), function(i) do.call(cbind, lapply(found[tasks$fit == i], `[[`, "noise")))
  list(scores = of, noise = noise, fold = fold, w = w, by = sprintf("%d-fold cross-validation", nlevels(fold)))
}

scores_of_new <- function(fits, newdata, y, level, draws, envir) {
  found <- lapply(fits, rows_with_response, newdata, y, envir)
  known <- Reduce(`&`, lapply(found, function(rows) {
    rows$ok[rows$ok] <- stats::complete.cases(rows$y)
    rows$ok
  }))
  if (!any(known)) stop_user("There is no row in `newdata` with a response and no missing value.")
  w <- rep(1, sum(known))
  seed <- task_seeds(1)[[1]]
  judged <- unname(Map(function(fit, rows) {
    use <- known[rows$ok]
    rows <- list(x = rows$x[use, , drop = FALSE], y = rows$y[use, , drop = FALSE], offset = rows$offset[use], w = w)
    from_seed(seed, judged_rows(fit, rows, draws, level))
  }, fits, found))
  list(scores = lapply(judged, `[[`, "scores"), noise = lapply(judged, function(j) matrix(j$noise, draws)),
       fold = factor(rep(1, sum(known))), w = w, by = sprintf("%s of `newdata`", count(sum(known), "row")))
}

most_distant_rows <- 500
least_distant_draws <- 1000

# The mean over rows of the distances of posteriors of means to those of the first fit that is draws; NULL without one.
distances <- function(fits, newdata, draws, envir) {
  exact <- which(vapply(fits, function(fit) is_hmc(fit$spec), NA))
  if (!length(exact)) return(NULL)
  draws <- max(draws, least_distant_draws)
  drawn <- lapply(fits, function(fit) {
    rows <- found_rows(fit, newdata, envir)
    use <- which(rows$ok)
    at <- use[unique(round(seq(1, length(use), length.out = min(length(use), most_distant_rows))))]
    own <- match(at, use)
    part <- list(x = rows$x[own, , drop = FALSE], offset = rows$offset[own], ok = rep(TRUE, length(at)))
    means <- drawn_responses(fit, part, draws, epred_block)
    do.call(cbind, lapply(if (is.list(means)) means else list(means), function(m) apply(matrix(m, draws), 2, sort)))
  })
  vapply(drawn, function(m) mean(abs(m - drawn[[exact[1]]])), 0)
}

# ---- what is shown

#' @rdname compare_posteriors
#' @export
print.varnn_posteriors <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  check_compared(x)
  cat(sprintf("Posteriors for %s (%s)\n\n", paste(x$response, collapse = ", "), x$judged_by))
  out <- x$table
  if (all(is.na(out$seconds))) out$seconds <- NULL
  print(out, digits = digits, row.names = FALSE)
  if (!is.null(out$coverage))
    cat(sprintf("\ncoverage and mean width are those of %s%% prediction intervals\n", format(100 * x$level)))
  invisible(x)
}

check_compared <- function(x) {
  is_whole <- every(is.list(x), is.data.frame(x$table), nrow(x$table) > 0, is.character(x$response),
                    all(c("posterior", "log_score", "difference", "se", "seconds") %in% names(x$table)),
                    all(vapply(x$table[-1], is.numeric, NA)), is.list(x$fits), length(x$fits) == nrow(x$table),
                    is.character(x$judged_by), length(x$judged_by) == 1,
                    is.numeric(x$level), length(x$level) == 1)
  if (!is_whole) stop_user("The result of compare_posteriors() is damaged: make it anew.")
}

#' @rdname compare_posteriors
#' @export
as.data.frame.varnn_posteriors <- function(x, row.names = NULL, optional = FALSE, ...) {
  check_standard("as.data.frame", ..., known = c("row.names", "optional"))
  check_compared(x)
  as.data.frame(x$table, row.names = row.names, optional = optional)
}

#' @rdname compare_posteriors
#' @export
plot.varnn_posteriors <- function(x, ...) {
  dots <- list(...)
  check_graphics(dots)
  check_compared(x)
  drawing(draw_score_rows(posterior_rows(x), dots))
  invisible(x)
}

posterior_rows <- function(x) {
  shown <- utils::head(x$table, 20)
  list(frame = data.frame(label = shown$posterior, value = shown$difference, se = shown$se),
       x = "log score less the best one's (nats per row)",
       main = paste("Posteriors for", paste(x$response, collapse = ", ")),
       note = "bars: one standard error of the difference")
}
