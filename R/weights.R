# Case weights: a number for each row, or for each class of the response.

check_weights <- function(w, n) {
  if (is.null(w)) return(NULL)
  w <- plain_values(w, "`weights`")
  if (!is.numeric(w) || length(w) != n) stop_user("`weights` must be a number for each of the %d rows.", n)
  if (any(w < 0, na.rm = TRUE)) stop_user("`weights` must not be negative: row %d has %s.", which(w < 0)[1],
                                          format(w[which(w < 0)[1]]))
  if (!isTRUE(sum(w, na.rm = TRUE) <= 1e90)) stop_user("`weights` must be finite, and their sum at most 1e90.")
  if (!sum(w, na.rm = TRUE) > 0) stop_user("`weights` are all zero.")
  if (!sum(w, na.rm = TRUE) >= 1e-90) stop_user("`weights` have a sum below 1e-90: multiply them by a number.")
  as.double(w)
}

# Of each row of this response, from weights as the user gave them. A row whose class is missing counts once, where
# `na.action` lets it pass.
row_weights <- function(w, y) {
  if (!are_class_weights(w, NROW(y), class_names(y))) return(check_weights(w, NROW(y)))
  classes <- class_names(y)
  if (is.null(classes))
    stop_user("`weights` of classes need one response that is a factor, character or logical: %s is none.", shown(y))
  y <- factor(as.character(y), classes)
  n <- tabulate(y, nlevels(y))
  w <- if (is_balanced(w)) ifelse(n > 0, sum(n) / (sum(n > 0) * n), 0) else named_weights(w, classes)
  of_rows <- w[as.integer(y)]
  check_weights(replace(of_rows, is.na(of_rows), 1), length(y))
}

is_balanced <- function(w) identical(w, "balanced")

# The case weights of training data without the rows `out`, which have no part in what balances classes.
weights_without <- function(train, w, out) {
  if (isTRUE(train$is_balanced)) w <- row_weights("balanced", replace(train$response, out, NA))
  replace(w, out, 0)
}

# The classes of a response, or NULL.
class_names <- function(y) {
  if (!is.null(dim(y))) return(NULL)
  if (is.factor(y)) levels(y) else if (is.logical(y)) c("FALSE", "TRUE") else if (is.character(y)) unique(y[!is.na(y)])
}

# "balanced", or numbers by the names of classes; names of rows are not meant.
are_class_weights <- function(w, n, classes) {
  if (is.character(w)) {
    if (!is_balanced(w)) stop_user("`weights` must be numbers or \"balanced\", not %s.", shown(w))
    return(TRUE)
  }
  every(is.numeric(w), !is.object(w), is.null(dim(w)), !is.null(names(w)), length(w) != n || all(names(w) %in% classes))
}

named_weights <- function(w, classes) {
  names <- plain_names(w)
  if (anyDuplicated(names)) stop_user("`weights` names the class \"%s\" twice.", names[duplicated(names)][1])
  new <- setdiff(names, classes)
  if (length(new)) stop_user("`weights` names \"%s\", which is no class of the response: these are %s.", new[1],
                             quoted(classes))
  missing <- setdiff(classes, names)
  if (length(missing)) stop_user("`weights` has no number for the class \"%s\" of the response.", missing[1])
  values <- plain_numbers(unname(w))
  if (!every(!is.null(values), all(is.finite(values) & values >= 0)))
    stop_user("`weights` of classes must be finite numbers of at least 0, not %s.", shown(w))
  values[match(classes, names)]
}

# Of a call to model.frame(): its `weights` where they are of classes, which model.frame() cannot take; else NULL.
given_class_weights <- function(call, formula, envir) {
  if (is.null(call$weights)) return(NULL)
  found <- function(what, data) tryCatch(eval(what, data, environment(formula)), error = function(e) NULL)
  data <- if (is.list(call$data) || is.environment(call$data)) call$data
  w <- found(call$weights, data)
  if (is.object(w) || !is.character(w) && (!is.numeric(w) || is.null(names(w)))) return(NULL)
  y <- if (length(formula) == 3) found(formula[[2]], data)
  if (are_class_weights(w, if (is.list(data)) nrow(data) else NROW(y), class_names(y))) w
}

frame_weights <- function(frame) {
  of_classes <- attr(frame, "class_weights")
  if (is.null(of_classes)) stats::model.weights(frame) else of_classes
}
