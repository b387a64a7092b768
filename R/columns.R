# Data whose columns are both what a model reads and what it predicts: those of autoencoders.
#
# A column is a list: name, family, type (of the user's values), levels, is_ordered, center, scale, at (its columns in
# the engine's y: one, or of a factor with more than two levels one per level), fill (their means, for missing entries
# of the input) and has_indicator. The columns of a family make a block; a factor of several levels is one by itself.
#
# raw [rows, columns of y]: numbers as they are, FALSE and TRUE or the two levels as 0 and 1, a column of 0 and 1 per
# level; missing entries NA. y is raw with standardised numbers. x, the input, is raw without missing
# entries, counts as log(1 + count), and for each column with missing entries in training a column that is 1 where
# they are.

# ---- what the user gives

# model.frame() of a one-sided formula; na.pass unless the call says otherwise.
columns_frame_call <- function(call, envir, given = NULL) {
  action <- if (is.null(call$na.action)) quote(stats::na.pass)
  frame <- call_frame(call, envir, action)
  check_no_response(frame)
  frame
}

check_no_response <- function(frame) {
  terms <- attr(frame, "terms")
  if (attr(terms, "response"))
    stop_user("The formula has a response, `%s`: write all columns to the right, as in ~ %s.", names(frame)[1],
              paste(names(frame)[seq_len(min(3, length(frame)))], collapse = " + "))
  if (!is.null(stats::model.offset(frame))) stop_user("offset() has no meaning here: there is no response to shift.")
}

# Training data of a call by a one-sided formula, whose data may come in chunks.
columns_data <- function(call, envir) {
  call <- with_data(call, envir)
  if (is_chunks(call$data)) chunked_columns_data(call$data, call, envir)
  else columns_from_frame(columns_frame_call(call, envir))
}

# The columns that a formula names, its interactions refused.
formula_columns <- function(terms, frame) {
  factors <- attr(terms, "factors")
  if (!length(factors)) stop_user("The formula names no columns: it needs at least one.")
  if (any(attr(terms, "order") > 1))
    stop_user("The formula has the interaction `%s`: name the columns alone.",
              attr(terms, "term.labels")[attr(terms, "order") > 1][1])
  as.list(frame)[term_variables(terms)[rowSums(factors) > 0]]
}

# Training data from a model frame, or from a data frame or matrix and weights.
columns_from_frame <- function(frame) {
  terms <- attr(frame, "terms")
  data <- formula_columns(terms, frame)
  list(data = data, n = nrow(frame), terms = terms, rows = kept_rows(frame),
       integer64 = c(attr(frame, "integer64"), integer64_names(data)),
       weights = check_present(check_weights(stats::model.weights(frame), nrow(frame))),
       na.action = attr(frame, "na.action"))
}

columns_from_x <- function(x, weights = NULL, na.action = NULL) {
  if (inherits(x, "varnn_training")) return(unclass(x)) # training data of a fit
  x <- columns_of_x(x)
  integer64 <- integer64_names(x)
  weights <- check_present(check_weights(weights, nrow(x)), na.action)
  omitted <- omitted_rows(x, 0, weights, if (is.null(na.action)) stats::na.pass else na.action)
  if (length(omitted)) {
    x <- x[-omitted, , drop = FALSE]
    weights <- weights[-omitted]
    if (!nrow(x)) stop_user("Every row has a missing value: there is nothing to train on.")
  }
  list(data = if (is.matrix(x)) x else as.list(x), n = nrow(x), terms = NULL, weights = weights, na.action = omitted,
       integer64 = integer64,
       rows = named_rows(if (is.matrix(x) || .row_names_info(x) > 0) rownames(x)))
}

check_present <- function(weights, na.action = NULL) {
  if (is.null(na.action) && anyNA(weights)) stop_user("`weights` has missing values: row %d.", which(is.na(weights))[1])
  weights
}

columns_of_x <- function(x) {
  x <- if (is.data.frame(x)) plain_frame(x, "`x`") else if (is.matrix(x)) plain_values(x, "`x`") else x
  if (is.data.frame(x)) for (j in seq_along(x)) check_column_class(column_values(x, j), names(x)[j])
  if (!is.data.frame(x) && !(is.matrix(x) && (is.numeric(x) || is.logical(x))))
    stop_user("`x` must be a numeric matrix or a data frame, not %s.", shown(x))
  if (!ncol(x)) stop_user("`x` has no columns.")
  if (!nrow(x)) stop_user("There are no rows to train on: `x` has none.")
  names <- colnames(x)
  if (is.data.frame(x) && anyDuplicated(names)) stop_user("`x` has two columns named `%s`.",
                                                          names[duplicated(names)][1])
  x
}

column_names <- function(data) {
  names <- as.vector(if (is.matrix(data)) colnames(data) else names(data))
  if (is.matrix(data) && (is.null(names) || anyDuplicated(names) || anyNA(names) || any(names == "")))
    paste0("x", seq_len(ncol(data))) else names
}

column_values <- function(data, j) {
  v <- if (is.matrix(data)) data[, j] else data[[j]]
  if (inherits(v, "integer64")) v <- integer64_values(v)
  if (is_time_of_parts(v)) v <- as.POSIXct(v)
  if (is.character(v)) v <- unclass(v)
  if (is.numeric(v) && !is.object(v)) v <- bare(v)
  if (length(dim(v)) == 2 && ncol(v) == 1 && is.atomic(v)) v[, 1] else v
}

# ---- from training data to columns, blocks, x and y

# Adds to train: design, x, y, scaling and blocks. `numeric` is the family of numeric columns when it is not given;
# `sigma` the noise of gaussian columns: NULL (half squared error), "learned", "each" or a number, or one for each by
# name; "own" is "each", but 1 for columns that are constant.
add_columns <- function(train, family, standardize, numeric = auto_family(0), sigma = NULL, margins = "normal") {
  names <- column_names(train$data)
  if (is_by_name(family)) check_columns_known(names(family), names, "family")
  given <- if (is_by_name(family)) lapply(names, function(name) family_in(family, name)) else list(family)
  constants <- lapply(given, constants_of)
  custom <- lapply(given, custom_of)
  family <- vapply(given, family_name, "")
  if (has_log_sd(list(family = numeric))) family <- with_own_sigma(family)
  columns <- if (fits_as_whole(train$data, family, numeric)) {
    like_columns(names, train$data[0, 1], family, numeric, custom[[1]])
  } else {
    Map(function(j, family, custom) {
      new_column(column_values(train$data, j), names[j], family, numeric, custom, train$known$levels[[names[j]]])
    }, seq_along(names), unname(family), custom)
  }
  columns <- lapply(columns, function(c) if (c$name %in% train$integer64) as_whole_column(c) else c)
  columns <- Map(function(column, constants) c(column, list(constants = constants)), columns, constants)
  columns <- lapply(columns, with_sigma, if (identical(sigma, "own")) "each" else sigma)
  place <- place_columns(columns, train)
  constant <- if (identical(sigma, "own")) vapply(place$columns, is_noiseless, NA, place$moments)
  if (any(constant)) {
    columns[constant] <- lapply(columns[constant], with_sigma, 1)
    place <- place_columns(columns, train)
  }
  columns <- place$columns
  raw <- place$raw
  m <- place$moments
  if (margins == "smooth") {
    for (column in columns) {
      check_column_moments(column, m, n_rows(train))
      check_scaled(column, m, raw)
    }
    columns <- add_margins(columns, raw, train$moment_weights)
    raw <- as_scores(columns, raw)
    m <- column_moments(raw, train$moment_weights)
  }
  for (j in seq_along(columns)) {
    check_column_moments(columns[[j]], m, if (margins == "smooth") train$n else n_rows(train))
    columns[[j]] <- scale_column(columns[[j]], m, raw, standardize, train)
  }
  train$blocks <- lapply(place$blocks, columns_block, columns)
  inputs <- input_names(columns)
  train$design <- list(kind = "columns", columns = inputs, variables = columns,
                       terms = if (is.null(train$column_terms)) train$terms else train$column_terms,
                       is_matrix = is.matrix(train$data), names = matrix_names(train$data, names),
                       intercept = TRUE, is_dummy = rep(TRUE, length(inputs)))
  train <- utils::modifyList(train, input_output(columns, raw, any(m$n_missing > 0)))
  train$data <- NULL
  train$is_own_response <- identical(train$x, raw) && !length(margin_columns(train$design))
  train$scaling <- input_scaling(train, columns, if (identical(train$x, raw)) m)
  train
}

# Whether all columns of a numeric matrix have the same family and are right for it: then they differ by name alone.
fits_as_whole <- function(data, family, numeric) {
  if (!is.matrix(data) || !is.numeric(data) || length(family) > 1) return(FALSE)
  family == "custom" || family_table[[if (family == "auto") numeric else family]]$accepts(data)
}

like_columns <- function(names, v, family, numeric, custom) {
  column <- new_column(v, names[1], family, numeric, custom)
  lapply(names, function(name) replace(column, "name", name))
}

# The column names of a matrix, where they tell its columns apart.
matrix_names <- function(data, names) if (is.matrix(data) && identical(names, colnames(data))) names

check_columns_known <- function(given, known, argument) {
  new <- setdiff(given, known)
  if (length(new)) stop_user("`%s` names `%s`, and there is no column `%s`%s", argument, new[1], new[1],
                             if (nzchar(hint <- did_you_mean(new[1], known))) hint else ".")
}

new_column <- function(v, name, family, numeric, custom = NULL, known_levels = NULL) {
  check_column_class(v, name)
  type <- if (is.factor(v)) "factor" else typeof(v)
  if (is.character(v)) v <- factor(as.vector(v))
  if (is.factor(v)) v <- if (is.null(known_levels)) droplevels(v) else factor(v, known_levels)
  check_column_levels(v, name)
  if (!is.null(custom) && is.numeric(v)) return(custom_column(name, type, custom))
  if (family %in% c("auto", "custom"))
    family <- if (is.numeric(v)) numeric else auto_family(if (is.ordered(v)) factor(v, ordered = FALSE) else v, name)
  if (family_table[[family]]$kind == "levels" && is.logical(v)) family <- family_table[[family]]$binary
  record <- family_table[[family]]
  if (!record$for_columns)
    stop_user("The family %s is not one for columns: use one of %s.", family, quoted(column_families()))
  if (!record$accepts(v)) stop_user("Column `%s` must be %s for the family %s.", name, record$what, family)
  levels <- if (is.logical(v)) c("FALSE", "TRUE") else if (is.factor(v)) levels(v)
  list(name = name, family = family, type = type, levels = levels, is_ordered = is.ordered(v),
       center = 0, scale = 1, at = 0L, fill = 0, has_indicator = FALSE)
}

# A column of 64-bit integers, which the model reads as doubles.
as_whole_column <- function(column) utils::modifyList(column, list(type = "integer", is_64 = TRUE))

# A numeric column whose family the user wrote.
custom_column <- function(name, type, custom) {
  if (is.null(custom$deviance))
    stop_user("A column needs the part `deviance` of custom_family(\"%s\"), by which rows are compared.", custom$name)
  list(name = name, family = "custom", type = type, levels = NULL, is_ordered = FALSE, center = 0, scale = 1, at = 0L,
       fill = 0, has_indicator = FALSE, custom = custom)
}

check_column_class <- function(v, name) {
  if (!every(is.atomic(v) || is.factor(v), length(dim(v)) < 2, !is.complex(v), !is.raw(v)))
    stop_user("Column `%s` is %s: columns must be numeric, logical, factor or character.", name, shown(v))
  plain_values(v, column_what(name))
}

check_column_levels <- function(v, name) {
  if (!is.factor(v) || nlevels(v) > 1) return(invisible())
  stop_user("Column `%s` %s: leave it out.", name,
            if (nlevels(v)) sprintf("has a single level, \"%s\"", levels(v)) else "has no value that is not missing")
}

check_column_moments <- function(column, m, n) {
  at <- column$at[1]
  if (m$n[at] + m$n_missing[at] < n) stop_user("Column `%s` has infinite values.", column$name)
  if (!is.finite(m$min[at])) stop_user("Column `%s` has no value that is not missing: leave it out.", column$name)
}

# The columns with their places in y, block after block; blocks as numbers of their columns; the raw values and their
# moments.
place_columns <- function(columns, train) {
  family <- vapply(columns, function(c) c$family, "")
  is_alone <- vapply(columns, function(c) is_kind(c, "levels") || is.numeric(c$sigma), NA)
  of_constants <- vapply(columns, function(c) paste(unlist(c$constants), collapse = " "), "")
  own <- lapply(columns, `[[`, "custom")
  family <- paste0(family, match(own, unique(own)))
  key <- ifelse(is_alone, paste(family, seq_along(family)), trimws(paste(family, of_constants)))
  blocks <- unname(split(seq_along(columns), factor(key, unique(key))))
  last <- 0L
  for (j in unlist(blocks)) {
    size <- if (is_kind(columns[[j]], "levels")) length(columns[[j]]$levels) else 1L
    columns[[j]]$at <- last + seq_len(size)
    last <- max(columns[[j]]$at)
  }
  raw <- raw_values(columns, train$data, train$n)
  list(columns = columns, blocks = blocks, raw = raw, moments = raw_moments(train, columns, raw))
}

# Has this column a noise that could be learned, but no spread?
is_noiseless <- function(column, moments) has_sigma(column) && isTRUE(moments$is_constant[column$at[1]])

columns_block <- function(members, columns) {
  own <- columns[members]
  part <- function(name) vapply(own, function(c) c[[name]], own[[1]][[name]])
  levels <- if (is_kind(own[[1]], "levels")) own[[1]]$levels
  list(family = own[[1]]$family, columns = part("name"), type = if (is.null(levels)) "numeric" else "factor",
       levels = levels, center = part("center"), scale = part("scale"),
       n_responses = if (is.null(levels)) length(own) else length(levels),
       noise = column_noise(own[[1]]), knows_sigma = is.numeric(own[[1]]$sigma),
       fixed = if (is.numeric(own[[1]]$sigma)) log(own[[1]]$sigma / own[[1]]$scale) else numeric(n_free(own[[1]])),
       constants = own[[1]]$constants, is_ordered = FALSE, custom = own[[1]]$custom,
       shift = if (any(vapply(own, has_scores, NA)))
         vapply(own, function(c) if (has_scores(c)) c$margin$shift else 0, 0))
}

column_noise <- function(column) {
  if (is.character(column$sigma)) c(learned = "shared", each = "each")[[column$sigma]] else record_of(column)$noise
}

with_sigma <- function(column, sigma) {
  if (!has_sigma(column)) return(column)
  own <- if (column$name %in% names(sigma)) sigma[[column$name]] else "learned"
  column$sigma <- if (is.null(names(sigma))) sigma else own
  column
}

# raw [n, columns of y] of data that have these columns.
raw_values <- function(columns, data, n) {
  in_place <- is.matrix(data) && is.double(data) && identical(unlist(lapply(columns, `[[`, "at")), seq_len(ncol(data)))
  if (in_place) return(unname(data))
  raw <- matrix(0, n, sum(lengths(lapply(columns, `[[`, "at"))))
  for (j in seq_along(columns)) raw[, columns[[j]]$at] <- raw_column(columns[[j]], column_values(data, j))
  raw
}

raw_column <- function(column, v) {
  if (is.null(column$levels)) return(as.double(v))
  code <- match(as.character(v), column$levels)
  if (is_kind(column, "levels")) return(diag(length(column$levels))[code, , drop = FALSE])
  code - 1
}

input_names <- function(columns) {
  of_column <- function(c) if (is_kind(c, "levels")) paste0(c$name, ".", c$levels) else c$name
  names <- unlist(lapply(columns, of_column))
  names[unlist(lapply(columns, `[[`, "at"))] <- names
  c(names, paste0(unlist(lapply(Filter(function(c) c$has_indicator, columns), `[[`, "name")), ".missing",
                  recycle0 = TRUE))
}

# list(x, y) of raw.
input_output <- function(columns, raw, has_missing = anyNA(raw)) {
  x <- y <- raw
  for (c in columns) {
    first <- c$at[1]
    if (is_kind(c, "count")) x[, first] <- log1p(raw[, first])
    if (c$center != 0 || c$scale != 1) y[, first] <- (raw[, first] - c$center) / c$scale
    if (!has_missing) next
    is_missing <- is.na(raw[, first])
    if (any(is_missing)) x[is_missing, c$at] <- rep(c$fill, each = sum(is_missing))
  }
  watched <- vapply(Filter(function(c) c$has_indicator, columns), function(c) c$at[1], 1L)
  list(x = if (length(watched)) cbind(x, is.na(raw[, watched, drop = FALSE]) + 0) else x, y = y)
}

# ---- new data, and back

# list(x, y, rows, n, impossible) of data that have the columns of a design.
columns_rows <- function(design, newdata, what = "`newdata`") {
  found <- new_columns(design, newdata, what)
  columns <- design$variables
  check_draws_memory(found$n * length(design$columns), "That many rows", gsub("`", "", what))
  for (j in seq_along(columns)) check_new_column(columns[[j]], column_values(found$data, j), what, design$new_levels)
  raw <- raw_values(columns, found$data, found$n)
  impossible <- impossible_values(columns, raw)
  if (!is.null(impossible)) warn_of_limits(columns, raw, impossible, what)
  raw <- as_scores(columns, raw)
  out <- c(input_output(columns, raw), list(rows = found$rows, n = found$n, impossible = impossible))
  if (!is.null(design$given)) out$x <- cbind(out$x, given_values(design$given, newdata, what))
  out
}

new_columns <- function(design, newdata, what) {
  names <- vapply(design$variables, function(c) c$name, "")
  if (is.numeric(newdata) && is.null(dim(newdata)))
    stop_user("%s must be a %s of %d columns, not a vector; for one row: matrix(x, 1).", what,
              if (design$is_matrix) "matrix" else "data frame", length(names))
  if (is.matrix(newdata)) newdata <- plain_values(newdata, what)
  if (is.matrix(newdata) && is.null(design$terms)) return(new_matrix(design, names, newdata, what))
  newdata <- as_frame(newdata, what)
  list(data = if (is.null(design$terms)) named_part(newdata, names, what) else term_part(design, newdata, names, what),
       n = nrow(newdata), rows = if (.row_names_info(newdata) > 0) row.names(newdata))
}

named_part <- function(newdata, names, what) {
  missing <- setdiff(names, names(newdata))
  if (length(missing)) stop_user("%s has no column `%s`, which the model needs.", what, missing[1])
  as.list(newdata)[names]
}

# The columns of a fit by formula, which may be functions of those of newdata.
term_part <- function(design, newdata, names, what) {
  named_part(newdata, setdiff(all.vars(design$terms), ls_formula(design$terms)), what)
  frame <- tryCatch(stats::model.frame(design$terms, readable_columns(newdata), na.action = stats::na.pass),
                    error = function(e) stop_user("%s does not fit the model: %s.", what, conditionMessage(e)))
  missing <- setdiff(names, names(frame))
  if (length(missing)) stop_user("%s does not have the column `%s` that the model has.", what, missing[1])
  as.list(frame)[names]
}

new_matrix <- function(design, names, newdata, what) {
  if (!is.numeric(newdata) && !is.logical(newdata))
    stop_user("%s must be a numeric matrix of %d columns, not %s.", what, length(names), shown(newdata))
  by_name <- !is.null(colnames(newdata)) && (!design$is_matrix || !is.null(design$names))
  if (by_name) {
    missing <- setdiff(names, colnames(newdata))
    if (length(missing)) stop_user("%s has no column `%s`, which the model needs.", what, missing[1])
    if (!identical(names, colnames(newdata))) newdata <- newdata[, names, drop = FALSE]
  } else if (ncol(newdata) != length(names)) {
    stop_user("%s has %d columns, the model was trained on %d.", what, ncol(newdata), length(names))
  }
  list(data = newdata, n = nrow(newdata), rows = rownames(newdata))
}

check_new_column <- function(column, v, what, new_levels = NULL) {
  refuse <- function(...) stop_user("Column `%s` of %s %s", column$name, what, sprintf(...))
  if (!is.atomic(v) || length(dim(v)) > 1) refuse("must be a vector as in training, not %s.", shown(v))
  if (all(is.na(v))) return(invisible())
  plain_values(v, sprintf("Column `%s` of %s", column$name, what))
  kind <- if (column$type %in% c("double", "integer")) "numeric" else column$type
  is_kind <- switch(kind, numeric = is.numeric(v), logical = is.logical(v), is.factor(v) || is.character(v))
  if (!is_kind) refuse("must be %s as in training, not %s.", kind, class(v)[1])
  if (kind %in% c("factor", "character")) return(check_known_levels(column, v, refuse, new_levels))
  if (any(is.infinite(v))) refuse("has infinite values.")
  record <- record_of(column)
  if (!record$accepts(v)) refuse("must have %s.", record$what)
}

check_known_levels <- function(column, v, refuse, new_levels) {
  new <- setdiff(unique(as.character(v)), c(column$levels, NA))
  if (!length(new)) return(invisible())
  if (!is.null(new_levels) && new_levels != "error")
    return(warn_of_new_levels(column$name, sum(v %in% new), new, "the entries there are missing"))
  refuse("has a level that the training data had not: \"%s\"; known are %s.", new[1],
                          quoted(column$levels))
}

# Values [rows, columns of y] on the user's scale, as the training data have them: probabilities become the likelier
# level; with `whole` columns that were integer are rounded.
columns_as_given <- function(design, values, rows = NULL, whole = FALSE) {
  columns <- design$variables
  if (design$is_matrix) {
    at <- vapply(columns, function(c) c$at[1], 1L)
    out <- if (identical(at, seq_len(ncol(values)))) values else values[, at, drop = FALSE]
    dimnames(out) <- if (!is.null(rows) || !is.null(design$names)) list(rows, design$names)
    if (all(vapply(columns, function(c) c$type == "logical", NA))) out <- out > 0.5
    return(out)
  }
  out <- lapply(columns, function(c) column_as_given(c, values[, c$at, drop = FALSE], whole))
  names(out) <- vapply(columns, function(c) c$name, "")
  structure(out, class = "data.frame",
            row.names = if (is.null(rows)) .set_row_names(nrow(values)) else as.character(rows))
}

column_as_given <- function(column, values, whole) {
  if (is.null(column$levels)) {
    v <- values[, 1]
    if (!whole || column$type != "integer") return(v)
    return(if (isTRUE(column$is_64)) as_integer64(round(v)) else whole_numbers(v))
  }
  values <- by_level(values)
  level <- if (nrow(values)) max.col(values, ties.method = "first") else integer()
  level[is.na(values[, 1])] <- NA
  switch(column$type, logical = level == 2L, character = column$levels[level],
         factor = factor(column$levels[level], levels = column$levels, ordered = column$is_ordered),
         as.double(level - 1))
}

whole_numbers <- function(v) if (all(abs(v) < .Machine$integer.max, na.rm = TRUE)) as.integer(round(v)) else round(v)

# The training data of a fit again, as its own columns have them.
refound_columns <- function(fit, data, envir) {
  found <- raw_columns(fit, data, envir)
  columns <- fit$design$variables
  if (length(column_names(found$data)) != length(columns)) return(list(x = matrix(0, found$n, 0)))
  for (j in seq_along(columns)) check_new_column(columns[[j]], column_values(found$data, j), "the training data")
  out <- c(found[setdiff(names(found), c("data", "given"))], list(design = fit$design),
           input_output(columns, as_scores(columns, raw_values(columns, found$data, found$n))))
  if (!is.null(found$given)) out$x <- cbind(out$x, unname(found$given$x))
  out
}

# The columns of the training data as training begins with them.
raw_columns <- function(fit, data, envir) {
  call <- fit$call
  if (!is.null(fit$terms)) {
    call$formula <- fit$terms
    if (!is.null(data)) call$data <- quote(data)
    envir <- if (is.null(data)) environment(fit$terms) else list2env(list(data = data), parent = environment(fit$terms))
    return(conditional_data(call, envir, fit$design$given$contrasts))
  }
  part <- function(name) if (is.null(call[[name]])) NULL else eval(call[[name]], envir)
  columns_from_x(if (is.null(data)) part("x") else data, part("weights"), part("na.action"))
}

# Whether the columns of a fit's design have their places in its y and its input.
is_columns_design <- function(design, fit, layout) {
  columns <- design$variables
  every(is.list(columns), length(columns) >= 1, all(vapply(columns, is_column, NA)),
        are_column_names(columns, design, fit$blocks),
        identical(sort(as.integer(unlist(lapply(columns, function(c) c$at)))), seq_len(layout$n_y)),
        layout$n_y + sum(vapply(columns, function(c) c$has_indicator,
                                NA)) + length(design$given$columns) == fit$spec$n_x,
        is.null(design$given) || is_given_design(design$given),
        is_flag(design$is_matrix), is.null(design$terms) || is_terms(design$terms))
}

is_given_design <- function(x) {
  every(is_one_of(x$kind, "frame"), is_words(x$columns, length(x$columns)), design_rules$frame(x))
}

# Of its blocks and of its design, where a factor of several levels has a column per level.
are_column_names <- function(columns, design, blocks) {
  names <- vapply(columns, function(c) c$name, "")
  several <- vapply(columns, is_kind, NA, "levels")
  every(!anyDuplicated(names), setequal(names, unlist(lapply(blocks, function(b) b$columns))),
        all(names[!several] %in% design$columns))
}

column_types <- c("double", "integer", "logical", "factor", "character")

is_one_of <- function(x, known) every(is.character(x), !is.object(x), length(x) == 1, x %in% known)

column_rules <- list(
  name = function(x, c) is_one_of(x, x),
  family = function(x, c) if (is.null(c$custom)) is_one_of(x, column_families()) else identical(x, "custom"),
  custom = function(x, c) is.null(x) || is_custom_part(x),
  type = function(x, c) is_one_of(x, column_types),
  is_64 = function(x, c) is.null(x) || is_flag(x),
  at = function(x, c) every(is.numeric(x), is_bare(x), length(x) >= 1),
  levels = function(x, c) {
    every(is.null(x) || are_words(x), length(x) %in% list(c(0, 2), length(c$at))[[1 + is_kind(c, "levels")]])
  },
  center = function(x, c) every(is_finite_vector(x, 1), is_scaled(c) || x == 0),
  scale = function(x, c) every(are_scales(x, 1), is_scaled(c) || x == 1),
  fill = function(x, c) is_finite_vector(x, length(c$at)),
  has_indicator = function(x, c) is_flag(x),
  is_ordered = function(x, c) is_flag(x),
  is_constant = function(x, c) is.null(x) || is_flag(x),
  margin = function(x, c) is.null(x) || every(has_normal_noise(c), is_margin(x))
)

is_column <- function(c) {
  is.list(c) && all(vapply(names(column_rules), function(field) isTRUE(column_rules[[field]](c[[field]], c)), NA))
}
