# From a data frame or a matrix to the columns that a network reads, and the same for new data.
#
# A design says how: `kind` "frame" (terms, factor levels, contrasts) or "matrix" (columns by name or by place).
# Training data are a list: design, x, response (as the user gave it), weights, offset, na.action, formula, call.

# ---- the formula interface

# model.frame() of a call to a fitting function, evaluated as lm() does.
call_frame <- function(call, envir, na.action = NULL) {
  keep <- match(c("formula", "data", "subset", "weights", "na.action", "offset"), names(call), 0L)
  frame_call <- call[c(1L, keep)]
  names(frame_call)[2] <- "formula"
  frame_call$drop.unused.levels <- TRUE
  if (!is.null(na.action)) frame_call$na.action <- na.action
  frame_call[[1L]] <- quote(stats::model.frame)
  frame <- tryCatch(eval(frame_call, envir), error = function(e) stop_user("%s", conditionMessage(e)))
  if (!nrow(frame)) stop_user("There are no rows to train on (after `subset` and `na.action`).")
  frame
}

data_from_frame <- function(frame, contrasts = NULL) {
  terms <- attr(frame, "terms")
  has_intercept <- attr(terms, "intercept") == 1
  x_terms <- stats::delete.response(terms)
  check_frame_columns(frame[names(frame) %in% term_variables(x_terms)])
  if (!length(attr(x_terms, "term.labels"))) stop_user("The formula has no predictors: it needs at least one.")
  xlevels <- stats::.getXlevels(terms, frame)
  x <- frame_matrix(x_terms, frame, contrasts)
  design <- list(kind = "frame", terms = x_terms, xlevels = xlevels, contrasts = attr(x, "contrasts"),
                 intercept = has_intercept, columns = colnames(x), is_dummy = attr(x, "is_dummy"))
  list(design = design, x = as_double(x), response = stats::model.response(frame),
       weights = check_weights(stats::model.weights(frame), nrow(frame)), offset = stats::model.offset(frame),
       na.action = attr(frame, "na.action"), terms = terms, rows = row.names(frame),
       response_name = if (attr(terms, "response")) deparse1(attr(terms, "variables")[[attr(terms, "response") + 1L]]))
}

term_variables <- function(terms) vapply(as.list(attr(terms, "variables"))[-1L], deparse1, "")

# The columns of a model matrix without its intercept; a term made of factors alone gives dummies.
frame_matrix <- function(terms, frame, contrasts) {
  x <- tryCatch(stats::model.matrix(terms, frame, contrasts.arg = contrasts),
                error = function(e) stop_user("The predictors cannot be coded: %s.", conditionMessage(e)))
  assign <- attr(x, "assign")
  classes <- attr(terms, "dataClasses")
  is_factor <- names(classes)[classes %in% c("factor", "ordered", "character", "logical")]
  factors <- attr(terms, "factors")
  of_factors <- apply(factors > 0, 2, function(uses) all(rownames(factors)[uses] %in% is_factor))
  keep <- assign > 0
  structure(x[, keep, drop = FALSE], is_dummy = unname(of_factors)[assign[keep]], contrasts = attr(x, "contrasts"))
}

check_frame_columns <- function(frame) {
  for (name in names(frame)) {
    v <- frame[[name]]
    if (is.list(v) && !is.data.frame(v) || is.complex(v) || is.raw(v))
      stop_user("Column `%s` is of class \"%s\": predictors must be numeric, logical, factor or character.",
                name, class(v)[1])
    if ((is.factor(v) || is.character(v)) && length(unique(v[!is.na(v)])) < 2)
      stop_user("Column `%s` has a single level, \"%s\": leave it out.", name, as.character(v[!is.na(v)][1]))
  }
}

# ---- the interface with x and y

data_from_xy <- function(x, y, weights = NULL, subset = NULL, na.action = NULL) {
  design <- if (is.data.frame(x)) frame_design(x) else matrix_design(x)
  if (!nrow(x)) stop_user("There are no rows to train on: `x` has none.")
  if (NROW(y) != nrow(x)) stop_user("`y` has %d rows and `x` has %d: they must be the same.", NROW(y), nrow(x))
  weights <- check_weights(weights, nrow(x))
  omitted <- omitted_rows(x, y, weights, na.action)
  if (length(omitted)) {
    x <- x[-omitted, , drop = FALSE]
    y <- if (length(dim(y)) == 2) y[-omitted, , drop = FALSE] else y[-omitted]
    weights <- weights[-omitted]
    if (!nrow(x)) stop_user("Every row has a missing value: there is nothing to train on.")
  }
  rows <- rownames(x)
  if (is.data.frame(x)) {
    frame <- stats::model.frame(design$terms, x, na.action = stats::na.pass, drop.unused.levels = TRUE)
    check_frame_columns(frame)
    terms <- attr(frame, "terms")
    x <- frame_matrix(terms, frame, NULL)
    design <- utils::modifyList(design, list(terms = terms, xlevels = stats::.getXlevels(terms, frame),
                                             contrasts = attr(x, "contrasts"), columns = colnames(x),
                                             is_dummy = attr(x, "is_dummy")))
  }
  list(design = design, x = as_double(x), response = if (is.factor(y)) droplevels(y) else y, weights = weights,
       offset = NULL, na.action = omitted, terms = NULL, rows = rows, response_name = "y")
}

frame_design <- function(x) {
  if (!ncol(x)) stop_user("`x` has no columns.")
  list(kind = "frame", terms = stats::terms(~ ., data = x), intercept = TRUE)
}

matrix_design <- function(x) {
  if (!is.numeric(x) && !is.logical(x)) stop_user("`x` must be a numeric matrix or a data frame, not %s.", shown(x))
  if (!ncol(x)) stop_user("`x` has no columns.")
  names <- colnames(x)
  if (anyDuplicated(names)) names <- NULL
  list(kind = "matrix", names = names, columns = if (is.null(names)) paste0("x", seq_len(ncol(x))) else names,
       is_dummy = rep(FALSE, ncol(x)), intercept = TRUE)
}

# Rows that na.action drops, with its class, as na.omit() and na.exclude() mark them.
omitted_rows <- function(x, y, weights, na.action) {
  action <- if (is.null(na.action)) getOption("na.action") else na.action
  if (is.function(action)) action <- deparse1(substitute(action, list(action = na_name(action))))
  missing_x <- if (is.data.frame(x)) !stats::complete.cases(x) else rows_with_missing(x)
  missing <- which(missing_x | !stats::complete.cases(y) | is.na(if (is.null(weights)) 0 else weights))
  if (!length(missing) || action == "na.pass") return(NULL)
  if (action == "na.fail") stop_user("There are missing values in %d rows, and `na.action` is na.fail.",
                                     length(missing))
  structure(missing, class = if (action == "na.exclude") "exclude" else "omit")
}

na_name <- function(f) {
  known <- list(na.omit = stats::na.omit, na.exclude = stats::na.exclude, na.pass = stats::na.pass,
                na.fail = stats::na.fail)
  found <- names(known)[vapply(known, identical, NA, f)]
  if (length(found)) found else stop_user("`na.action` must be na.omit, na.exclude, na.pass or na.fail.")
}

# rowSums() of a numeric matrix is missing where a row has a missing value, or infinities of both signs.
rows_with_missing <- function(x) {
  suspect <- is.na(rowSums(x))
  if (any(suspect)) suspect[suspect] <- !stats::complete.cases(x[suspect, , drop = FALSE])
  suspect
}

as_double <- function(x) {
  if (storage.mode(x) != "double") storage.mode(x) <- "double"
  x
}

check_weights <- function(w, n) {
  if (is.null(w)) return(NULL)
  if (!is.numeric(w) || length(w) != n) stop_user("`weights` must be a number for each of the %d rows.", n)
  if (any(w < 0, na.rm = TRUE)) stop_user("`weights` must not be negative: row %d has %s.", which(w < 0)[1],
                                          format(w[which(w < 0)[1]]))
  if (any(is.infinite(w))) stop_user("`weights` must be finite.")
  if (!sum(w, na.rm = TRUE) > 0) stop_user("`weights` are all zero.")
  as.double(w)
}

# ---- new data

# list(x, offset, ok, rows): x holds the rows without missing values, ok says which of newdata's these are.
design_rows <- function(design, newdata) {
  if (design$kind == "matrix") return(matrix_rows(design, newdata))
  if (is.matrix(newdata)) newdata <- as.data.frame(newdata)
  if (!is.data.frame(newdata)) stop_user("`newdata` must be a data frame, not %s.", shown(newdata))
  frame <- new_frame(design, newdata)
  offset <- stats::model.offset(frame)
  ok <- stats::complete.cases(frame)
  if (!nrow(frame)) return(list(x = matrix(0, 0, length(design$columns)), offset = offset, ok = ok,
                                rows = row.names(newdata)))
  frame <- frame[ok, , drop = FALSE]
  x <- if (any(ok)) stats::model.matrix(design$terms, frame, contrasts.arg = design$contrasts) else matrix(0, 0, 0)
  keep <- if (any(ok)) attr(x, "assign") > 0 else logical()
  x <- if (any(ok)) as_double(x[, keep, drop = FALSE]) else matrix(0, 0, length(design$columns))
  check_finite_columns(x, design$columns, "newdata")
  list(x = x, offset = offset[ok], ok = ok, rows = row.names(newdata))
}

new_frame <- function(design, newdata) {
  needed <- all.vars(design$terms)
  missing <- setdiff(needed, c(names(newdata), ls_formula(design$terms)))
  if (length(missing)) stop_user("`newdata` has no column `%s`, which the model needs.", missing[1])
  check_new_levels(design$xlevels, newdata)
  frame <- tryCatch(stats::model.frame(design$terms, newdata, na.action = stats::na.pass, xlev = design$xlevels),
                    error = function(e) stop_user("`newdata` does not fit the model: %s.", conditionMessage(e)))
  classes <- attr(design$terms, "dataClasses")
  for (name in intersect(names(frame), names(classes)))
    if (classes[[name]] == "numeric" && !is.numeric(frame[[name]]))
      stop_user("Column `%s` of `newdata` must be numeric as in training, not %s.", name, class(frame[[name]])[1])
  frame
}

# Variables that the formula finds in its own environment (as `k` in poly(x, k)), not in the data.
ls_formula <- function(terms) {
  envir <- environment(terms)
  if (is.null(envir)) return(character())
  used_as_data <- names(attr(terms, "dataClasses"))
  Filter(function(v) !v %in% used_as_data && exists(v, envir) && !is.function(get(v, envir)), all.vars(terms))
}

check_new_levels <- function(xlevels, newdata) {
  for (name in intersect(names(xlevels), names(newdata))) {
    new <- setdiff(unique(as.character(newdata[[name]])), c(xlevels[[name]], NA))
    if (length(new))
      stop_user("Column `%s` of `newdata` has a level that the training data had not: \"%s\"; known are %s.",
                name, new[1], quoted(xlevels[[name]]))
  }
}

matrix_rows <- function(design, newdata) {
  p <- length(design$columns)
  if (is.data.frame(newdata)) {
    columns <- if (is.null(design$names)) names(newdata) else intersect(design$names, names(newdata))
    newdata <- as.matrix(newdata[columns])
  }
  if (is.numeric(newdata) && is.null(dim(newdata)))
    stop_user("`newdata` must be a matrix of %d columns, not a vector; for one row: matrix(x, 1).", p)
  if (!is.matrix(newdata) || !(is.numeric(newdata) || is.logical(newdata)))
    stop_user("`newdata` must be a numeric matrix of %d columns, not %s.", p, shown(newdata))
  if (!is.null(design$names) && !is.null(colnames(newdata))) {
    missing <- setdiff(design$names, colnames(newdata))
    if (length(missing)) stop_user("`newdata` has no column `%s`, which the model needs.", missing[1])
    if (!identical(design$names, colnames(newdata))) newdata <- newdata[, design$names, drop = FALSE]
  } else if (ncol(newdata) != p) stop_user("`newdata` has %d columns, the model was trained on %d.", ncol(newdata), p)
  rows <- rownames(newdata)
  ok <- !rows_with_missing(newdata)
  x <- as_double(if (all(ok)) newdata else newdata[ok, , drop = FALSE])
  check_finite_columns(x, design$columns, "newdata")
  list(x = x, offset = NULL, ok = ok, rows = rows)
}

# ---- scaling

column_moments <- function(x, weights = NULL) {
  m <- engine_moments(x, weights)
  total <- if (is.null(weights)) nrow(x) else sum(weights)
  n <- if (is.null(weights)) nrow(x) else sum(weights > 0)
  # scale()'s n - 1; with weights the number of rows they stand for, where they stand for more than they are
  m$sd <- sqrt(m$squares / max(total - 1, total * (n - 1) / n, total / 2))
  m$is_constant <- m$min == m$max | m$sd <= 1e-12 * abs(m$mean)
  m
}

check_finite_columns <- function(x, columns, where, moments = NULL) {
  m <- if (is.null(moments)) column_moments(x) else moments
  bad <- which(m$n + m$n_missing < nrow(x))
  if (length(bad)) stop_user("Column `%s` of `%s` has infinite values.", columns[bad[1]], where)
  invisible(m)
}

# Centre and scale of each column of x: none for dummies and 0/1 columns; a constant column becomes 0.
x_scaling <- function(train, standardize) {
  m <- check_finite_columns(train$x, train$design$columns, "x", column_moments(train$x, train$weights))
  if (any(m$n_missing > 0))
    stop_user("Column `%s` has missing values, which `na.action` has let pass: drop these rows or fill them.",
              train$design$columns[m$n_missing > 0][1])
  as_is <- !standardize | train$design$is_dummy | m$is_binary == 1
  use_center <- standardize && train$design$intercept
  list(center = ifelse(m$is_constant & use_center, m$mean, ifelse(as_is | !use_center, 0, m$mean)),
       scale = ifelse(as_is | m$is_constant, 1, m$sd), is_constant = m$is_constant, mean = m$mean)
}
