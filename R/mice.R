# Multiple imputation by mice: a network as one of its methods, and what impute() draws as its class.

#' Multiple imputation with mice
#'
#' `mice.impute.varnn()` is a method of the package mice: with `library(varnn)`, `mice(data, method = "varnn")` draws
#' the missing entries of each column given the others from a Bayesian network. `as_mids()` turns the draws that
#' [impute()] makes of all columns at once into the class of mice, so that its `with()` and `pool()` work on them.
#'
#' @param y,ry,x,wy,type as mice gives them: a column, which of its entries are there, the columns that predict it as a
#'   matrix, and which entries are wanted.
#' @param hidden,posterior,members,... arguments of [fit_bayes_nn()].
#' @param object what [impute()] returns with `m` above 1.
#' @param data the data with missing entries, where `object` does not have them.
#' @details Each imputation of a column takes one draw of the weights and then the noise, so that what the model does
#'   not know is between the imputations. Numbers are drawn as such: whole numbers get decimals.
#' @return `mice.impute.varnn()`: the entries. `as_mids()`: an object of class `mids`.
#' @seealso [impute()], [posterior_predict()].
#' @examples
#' if (requireNamespace("mice", quietly = TRUE)) {
#'   holes <- iris
#'   holes$Petal.Width[1:40] <- NA
#'   set.seed(1)
#'   imputed <- as_mids(impute(fit_vae(holes, epochs = 50), m = 3))
#'   print(mice::pool(with(imputed, lm(Petal.Width ~ Petal.Length))))
#' }
#' @export
mice.impute.varnn <- function(y, ry, x, wy = NULL, type = NULL, hidden = 8, posterior = "laplace", members = 1, ...) {
  check_rows <- function(rows, name) {
    if (!every(is.logical(rows), length(rows) == length(y), !anyNA(rows)))
      stop_user("`%s` must be TRUE or FALSE for each of the %d rows, not %s.", name, length(y), shown(rows))
  }
  check_rows(ry, "ry")
  if (is.null(wy)) wy <- !ry
  check_rows(wy, "wy")
  x <- as.matrix(x)
  if (!ncol(x)) x <- matrix(1, length(y), 1)
  colnames(x) <- paste0("x", seq_len(ncol(x)))
  fit <- fit_bayes_nn(x[ry, , drop = FALSE], y[ry], hidden = hidden, posterior = posterior, members = members, ...)
  draw <- posterior_predict(fit, x[wy, , drop = FALSE], draws = 1)
  draw_like(y, draw[1, ], fit$blocks[[1]])
}

# A draw of the response as the user's column has it: of two levels it is 0 or 1, of more the level's number.
draw_like <- function(y, draw, block) {
  if (!is.factor(y)) return(if (is.logical(y)) draw == 1 else unname(draw))
  if (!is_kind(block, c("levels", "ordered"))) draw <- draw + 1
  factor(block$levels[draw], levels(y), ordered = is.ordered(y))
}

#' @rdname mice.impute.varnn
#' @export
as_mids <- function(object, data = attr(object, "data")) {
  if (missing(object)) stop_user("`object` is missing: give what impute() returns with `m` above 1.")
  is_rows <- function(x) is.data.frame(x) || is.matrix(x)
  if (!every(is.list(object), !is.data.frame(object), length(object) > 1, all(vapply(object, is_rows, NA))))
    stop_user("`object` must be what impute() returns with `m` above 1, not %s.", shown(object))
  if (!is_rows(data)) stop_user("`data` must be the data with the missing entries, not %s.", shown(data))
  check_package("mice", "as_mids()")
  frames <- lapply(c(list(data), object), function(d) {
    d <- as.data.frame(d)
    row.names(d) <- NULL
    d
  })
  sizes <- vapply(frames, nrow, 1L)
  if (any(sizes != sizes[1])) stop_user("`data` has %d rows, and the imputations have %d.", sizes[1], sizes[2])
  long <- do.call(rbind, frames)
  long$.imp <- rep(seq_along(frames) - 1, each = sizes[1])
  long$.id <- rep(seq_len(sizes[1]), length(frames))
  mice::as.mids(long)
}

#' @export
print.varnn_imputations <- function(x, ...) {
  check_dots_empty(...)
  data <- attr(x, "data")
  print_lines(sprintf("%d imputations of %d missing entries in %d rows, a list; the first begins with", length(x),
                      sum(is.na(data)), NROW(data)))
  print(utils::head(x[[1]]))
  invisible(x)
}
