# Importance of predictors: how much worse the predictions are when a predictor has another row's value.

#' Importance of the predictors
#'
#' How much worse the predictions of a model become when a predictor no longer belongs to its row: its values are
#' permuted, and the model's score of the observed responses is compared with that before (Breiman 2001; Fisher, Rudin
#' and Dominici 2019). Best on data that the fit has not seen.
#'
#' @param object a fit by [fit_nn()] or [fit_bayes_nn()].
#' @param newdata with the response; by default the training data.
#' @param y for a fit to `x` and `y`: the response of `newdata`.
#' @param variables names of the predictors to look at, by default all; or a list of such names, the predictors of an
#'   element being permuted together, as in `list("wt", engine = c("hp", "disp"))`.
#' @param score `"log"`: minus the log of the predictive density of the response, in nats, averaged over the posterior
#'   of a Bayesian fit and added up over several responses; `"deviance"`: the family's deviance at the predicted mean,
#'   for a gaussian response the squared error.
#' @param permutations how many permutations of each predictor are averaged.
#' @param draws from the posterior of a Bayesian fit, where the score has no closed form; the same for all permutations.
#' @param x what `importance()` gives.
#' @param digits significant digits to print.
#' @param ... for `plot()`, graphical arguments as in [plot.varnn()], `col` being that of the points; else not used.
#' @details A predictor is a variable as the user has it: a factor, or a variable of several terms of the formula, is
#'   one. Each row gets the value of another row, at random, never its own. So the importance of a predictor of a linear
#'   model is, on its training data, in squared error \eqn{2 \beta_j^2 s_j^2}{2 beta_j^2 var(x_j)}. Case weights of the
#'   training count a row of weight w as w rows.
#'
#'   Work of more than two seconds is shown: by a bar in an interactive session where the package cli is installed, and
#'   to the handlers of progressr.
#'
#'   Where predictors are correlated, a permuted row may be one that never occurs, and each of the predictors looks
#'   less important than all of them together: permute these together.
#' @return A data frame of class `varnn_importance`, the most important first, with the columns `variable`,
#'   `importance`, the mean increase of the score per row, and `se`, its Monte Carlo standard error: how much it changes
#'   with other permutations, not with other data. The attributes `"score"` and `"base"` have the score's name and value
#'   for the data as they are.
#' @references Breiman (2001) Random forests, \doi{10.1023/A:1010933404324}.
#'
#' Fisher, Rudin and Dominici (2019) All models are wrong, but many are useful, \doi{10.48550/arXiv.1801.01489}.
#' @seealso [effects()][effects.varnn] for how a predictor acts, [calibration()].
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt + hp + factor(cyl), mtcars, hidden = 4, epochs = 200)
#' found <- importance(fit)
#' found
#' plot(found)
#' @export
importance <- function(object, newdata = NULL, ...) UseMethod("importance")

#' @rdname importance
#' @export
importance.varnn <- function(object, newdata = NULL, y = NULL, variables = NULL, score = "log", permutations = 10,
                             draws = 200, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "y", "variables", "score", "permutations", "draws"))
  if (!has_response(object)) return(importance.default(object))
  score <- check_choice(score, names(row_scores), "score")
  permutations <- check_number(permutations, "permutations", 1, 1e6, whole = TRUE)
  draws <- check_draws(draws)
  envir <- parent.frame()
  rows <- rows_with_response(object, newdata, y, envir)
  found <- predictor_rows(object, newdata, envir)
  groups <- permuted_groups(variables, found$names)
  w <- if (is.null(newdata)) case_weights(object) else rep(1, nrow(rows$y))
  use <- which(w > 0 & rowSums(!is.na(rows$y)) > 0)
  if (length(use) < 2) stop_user("%s must have two or more rows with a response and no missing value.",
                                 if (is.null(newdata)) "The training data" else "`newdata`")
  scored <- list(frame = found$frame[use, , drop = FALSE], y = rows$y[use, , drop = FALSE], w = w[use])
  seed <- use_seed(NULL)$seed
  one <- function(frame) {
    force(frame) # which draws its permutation
    from_seed(seed, mean_score(object, frame, scored, row_scores[[score]]$of, draws))
  }
  base <- one(scored$frame)
  all <- rep(groups, each = permutations)
  rises <- unlist(lapply_shown(all, function(names) one(permuted(scored, names)) - base, "permutation"))
  new_importance(matrix(rises, permutations), names(groups), score, base, length(use), response_names(object))
}

new_importance <- function(rises, variables, score, base, n, response) {
  k <- nrow(rises)
  out <- data.frame(variable = variables, importance = colMeans(rises),
                    se = if (k > 1) apply(rises, 2, stats::sd) / sqrt(k) else NA_real_)
  out <- out[order(-out$importance), ]
  row.names(out) <- NULL
  structure(out, class = c("varnn_importance", "data.frame"), score = score, base = base, permutations = k, n = n,
            response = response)
}

has_response <- function(fit) inherits(fit, c("varnn_nn", "varnn_bayes_nn"))

response_names <- function(fit) vapply(fit$blocks, function(b) b$columns[1], "")

# What is permuted together, by name.
permuted_groups <- function(variables, known) {
  if (!is.list(variables)) variables <- as.list(check_variables(variables, known))
  groups <- lapply(variables, check_variables, known)
  if (!length(groups) || any(!lengths(groups))) stop_user("`variables` must name predictors, and it names none.")
  joined <- vapply(groups, paste, "", collapse = " + ")
  given <- names(groups)
  stats::setNames(groups, if (is.null(given)) joined else ifelse(nzchar(given), given, joined))
}

# The rows with the values of other rows in these variables.
permuted <- function(scored, names) {
  from <- donors(scored$w)
  frame <- scored$frame
  for (name in names) frame <- set_variable(frame, name, some_of(get_variable(frame, name), from))
  frame
}

# For each row another one, all pairs being as likely: rows in a cycle of random order. Of different weights, rows drawn
# by these.
donors <- function(w) {
  n <- length(w)
  if (any(w != w[1])) return(sample.int(n, n, TRUE, w))
  cycle <- sample.int(n)
  from <- integer(n)
  from[cycle] <- cycle[c(seq_len(n)[-1], 1)]
  from
}

# By name: what a score is called and the unit it has, and its values for rows that have x, y and offset, less is
# better.
row_scores <- list(
  log = list(words = "log loss", of = function(fit, rows, draws) -row_log_density(fit, rows, draws)),
  deviance = list(words = "deviance", of = function(fit, rows, draws) row_deviance(fit, rows, draws))
)

row_deviance <- function(fit, rows, draws) {
  eta <- posterior_eta(fit, row_data(fit, rows), draws)
  of_block <- function(block, in_eta, in_y, free) {
    part <- list(block = block, y = rows$y[, in_y, drop = FALSE], eta = eta[, in_eta, drop = FALSE], free = free)
    rowSums(as.matrix(unit_deviances(part)), na.rm = TRUE) * if (has_sigma(block)) block$scale^2 else 1
  }
  Reduce(`+`, Map(of_block, fit$blocks, block_slices(fit$blocks, eta_rows), block_slices(fit$blocks, y_rows),
                  block_free(fit)))
}

mean_score <- function(fit, frame, scored, of, draws) {
  rows <- design_rows(fit$design, frame)
  rows$y <- scored$y[rows$ok, , drop = FALSE]
  stats::weighted.mean(of(fit, rows, draws), scored$w[rows$ok])
}

#' @rdname importance
#' @export
print.varnn_importance <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  if (!is_whole_importance(x)) return(print(as.data.frame(x), digits = digits))
  cat(sprintf("Permutation importance for %s (%s, %s)\n", paste(attr(x, "response"), collapse = ", "),
              count(attr(x, "n"), "row"), count(attr(x, "permutations"), "permutation")),
      sprintf("Increase of the mean %s, which is %s\n\n", row_scores[[attr(x, "score")]]$words,
              format(attr(x, "base"), digits = digits)), sep = "")
  print(as.data.frame(x), digits = max(1, digits - 1), row.names = FALSE)
  invisible(x)
}

# A part of it may have lost columns or attributes.
is_whole_importance <- function(x) {
  every(all(c("variable", "importance", "se") %in% names(x)), is_one_of(attr(x, "score"), names(row_scores)))
}

#' @rdname importance
#' @export
plot.varnn_importance <- function(x, ...) {
  dots <- list(...)
  check_graphics(dots)
  check_importance(x, "plot()")
  drawing(draw_importance(x, dots))
  invisible(x)
}

check_importance <- function(x, what) {
  if (!is_whole_importance(x) || !nrow(x)) stop_user("%s needs what importance() gives, as it was made.", what)
}

most_bars <- 40L # variables in one picture

# A picture with a row for each of some names: the names as there is room for them, with the margins that they need,
# and the empty picture with a line for each.
row_labels <- function(names) {
  room <- 0.4 * graphics::par("fin")[1]
  text <- fitted_text(names, room - graphics::par("csi"), 0.9)
  wide <- max(graphics::strwidth(text, "inches", cex = 0.9)) + 1.2 * graphics::par("csi")
  list(text = text, mai = replace(graphics::par("mai"), 2, min(room, wide)))
}

empty_rows <- function(text, x, xlab, dots) {
  ends <- c(length(text) + 0.5, 0.5)
  empty_plot(dots, list(x = x, y = ends, ylim = ends, yaxt = "n", ylab = "", las = 1, xlab = xlab))
  side_text(text, 2, 0.4, 0.9, 1, at = seq_along(text))
  graphics::abline(h = seq_along(text), col = "grey90")
}

draw_importance <- function(x, dots) {
  n <- nrow(x)
  x <- x[seq_len(min(n, most_bars)), ]
  k <- nrow(x)
  labels <- row_labels(x$variable)
  local_par(mai = labels$mai)
  style <- given_or(dots, list(col = okabe_ito[["blue"]], pch = 16, cex = 1.1, lwd = 1.8))
  reach <- ifelse(is.na(x$se), 0, 2 * x$se)
  words <- importance_words(x, k < n, n)
  empty_rows(labels$text, range(0, x$importance - reach, x$importance + reach), words$x, dots)
  graphics::abline(v = 0, lty = 2, col = "grey45")
  graphics::segments(x$importance - reach, seq_len(k), x$importance + reach, lwd = style$lwd, col = style$col)
  graphics::points(x$importance, seq_len(k), pch = style$pch, col = style$col, cex = style$cex)
  draw_main(words$main, dots)
  if (has_margin()) margin_note(words$note)
}

# What a picture of the first of n variables says.
importance_words <- function(x, is_part, n) {
  list(main = paste("Importance for", paste(attr(x, "response"), collapse = ", ")),
       x = paste("increase of the mean", row_scores[[attr(x, "score")]]$words),
       note = c(if (is_part) sprintf("the first %d of %d variables", nrow(x), n),
                sprintf("%s of %s", count(attr(x, "permutations"), "permutation"), count(attr(x, "n"), "row")),
                if (!anyNA(x$se)) "lines: two Monte Carlo standard errors"))
}
