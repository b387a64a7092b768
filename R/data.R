# From a data frame or a matrix to the columns that a network reads, and the same for new data.
#
# A design says how: `kind` "frame" (terms, factor levels, contrasts) or "matrix" (columns by name or by place).
# Training data are a list: design, x, response (as the user gave it), weights, offset, na.action, formula, call.

# ---- the formula interface

# Training data of a call by formula, whose data may come in chunks.
formula_data <- function(call, envir, contrasts, family, embed = NULL) {
  call <- with_data(call, envir)
  if (is_chunks(call$data)) chunked_data(call$data, call, envir, contrasts, family, embed)
  else data_from_frame(call_frame(call, envir), contrasts, embed = embed)
}

# The call with its data in place of what makes them, which may be slow, or draw random numbers.
with_data <- function(call, envir) {
  data <- if (!is.null(call$data)) tryCatch(eval(call$data, envir), error = function(e) NULL)
  if (is.list(data) || is.environment(data)) call$data <- data
  call
}

# model.frame() of a call to a fitting function, evaluated as lm() does. With `is_part` these rows are not all: there
# may be none, and factors keep the levels that have no row here.
call_frame <- function(call, envir, na.action = NULL, xlev = NULL, is_part = FALSE) {
  keep <- match(c("formula", "data", "subset", "weights", "na.action", "offset"), names(call), 0L)
  frame_call <- call[c(1L, keep)]
  names(frame_call)[2] <- "formula"
  frame_call$drop.unused.levels <- !is_part
  if (!is.null(na.action)) frame_call$na.action <- na.action
  if (!is.null(xlev)) frame_call$xlev <- xlev
  frame_call[[1L]] <- quote(stats::model.frame)
  class_weights <- integer64 <- NULL
  frame <- tryCatch({
    action <- eval(frame_call$na.action, envir)
    if (is.character(action)) na_name(action)
    formula <- eval(frame_call$formula, envir)
    if (is.character(formula) && length(formula) != 1)
      stop_user("`formula` must be a formula, not %s.", shown(formula))
    check_environment(formula)
    check_survival_terms(formula)
    if (!is.null(call$data)) {
      data <- eval(call$data, envir)
      integer64 <- integer64_names(data)
      frame_call["data"] <- list(frame_data(data))
    }
    class_weights <- given_class_weights(frame_call, formula, envir)
    if (!is.null(class_weights)) frame_call$weights <- NULL
    withCallingHandlers(eval(frame_call, envir), warning = function(w) check_row_numbers(frame_call, envir))
  }, error = function(e) {
    if (inherits(e, "varnn_error")) stop(e)
    check_frame_arguments(frame_call, envir)
    words <- sub("^invalid result from na.action", "`na.action` must return a data frame", conditionMessage(e))
    stop_user("%s%s", words, frame_hint(e))
  })
  if (!is.data.frame(frame)) stop_user("`na.action` must return a data frame, as na.omit() does.")
  if (!nrow(frame)) check_row_numbers(frame_call, envir)
  if (!nrow(frame) && !is_part) stop_user("There are no rows to train on (after `subset` and `na.action`).")
  structure(plain_frame(frame, "the data"), class_weights = class_weights, integer64 = integer64)
}

# A formula may be made by hand, or read from a file.
check_environment <- function(formula) {
  if (inherits(formula, "formula") && !is.environment(environment(formula)))
    stop_user("`formula` has no environment to find its variables in: write it anew.")
}

frame_data <- function(data) {
  if (is.data.frame(data)) data <- plain_frame(data, "`data`")
  else if (inherits(data, c("matrix", "array")) && is.null(dim(data)))
    stop_user("`data` is of class \"%s\" and has no rows and columns: make it anew with data.frame().", class(data)[1])
  readable_columns(data)
}

# R says "invalid type (list) for variable 'name'".
frame_hint <- function(e) {
  if (!grepl("invalid type (list)", conditionMessage(e), fixed = TRUE)) return("")
  ": it must be numeric, logical, a factor or character; a POSIXlt becomes a number by as.POSIXct()"
}

# R warns, in words of its own, of row numbers that no integer holds.
check_row_numbers <- function(call, envir) {
  rows <- tryCatch(eval(call$subset, eval(call$data, envir), envir), error = function(e) NULL)
  at <- if (is.numeric(rows)) which(abs(rows) > .Machine$integer.max)
  if (length(at)) stop_user("`subset` has the number %s, and there is no such row.", shown(rows[at[1]]))
}

# model.frame() has failed: which of its arguments cannot be right.
check_frame_arguments <- function(call, envir) {
  value <- function(name, data = NULL) {
    if (is.null(call[[name]])) return(NULL)
    tryCatch(with_plain_dim(eval(call[[name]], data, envir)),
             error = function(e) stop_user("`%s`: %s", name, conditionMessage(e)))
  }
  check <- function(is_right, name, what, given) {
    if (!is.null(given) && !is_right) stop_user("`%s` must be %s, not %s.", name, what, shown(given))
  }
  formula <- value("formula")
  if (!inherits(formula, "formula")) stop_user("`formula` must be a formula, not %s.", shown(formula))
  data <- value("data")
  check(is.list(data) || is.environment(data), "data", "a data frame", data)
  action <- value("na.action")
  known <- is.function(action) || is_one_of(action, c("na.omit", "na.exclude", "na.pass", "na.fail"))
  check(known, "na.action", "na.omit, na.exclude, na.pass or na.fail", action)
  rows <- value("subset", data)
  check(is.null(dim(rows)) && mode(rows) %in% c("logical", "numeric", "character"), "subset",
        "logical, or numbers or names of rows", rows)
  n <- if (is.data.frame(data)) nrow(data)
  for (name in c("weights", "offset")) {
    given <- value(name, data)
    check(is.numeric(given) && (is.null(n) || NROW(given) == n), name,
          if (is.null(n)) "numeric" else sprintf("a number for each of the %d rows", n), given)
  }
}

# `embed` is what check_embed() makes.
data_from_frame <- function(frame, contrasts = NULL, has_all_levels = FALSE, embed = NULL) {
  terms <- attr(frame, "terms")
  has_intercept <- attr(terms, "intercept") == 1
  check_one_side(terms)
  x_terms <- stats::delete.response(terms)
  is_predictor <- names(frame) %in% setdiff(term_variables(x_terms), offset_names(terms))
  times <- frame_times(frame[is_predictor])
  frame <- with_values(frame, names(frame)[is_predictor], times)
  predictors <- frame[is_predictor]
  check_frame_columns(predictors, levels = !has_all_levels)
  refuse_missing(names(predictors), vapply(predictors, anyNA, NA))
  xlevels <- stats::.getXlevels(terms, frame)
  embed <- embedded_widths(embed, x_terms, xlevels[setdiff(names(xlevels), response_variable(terms))], contrasts)
  x <- frame_matrix(x_terms, frame, contrasts, embed, xlevels)
  if (!ncol(x)) stop_user("The formula has no predictors: it needs at least one.")
  design <- list(kind = "frame", terms = x_terms, embed = embed, xlevels = xlevels, contrasts = attr(x, "contrasts"),
                 intercept = has_intercept, columns = colnames(x), is_dummy = attr(x, "is_dummy"), times = times,
                 assign = attr(x, "assign"), shares = level_shares(frame, xlevels, frame_weights(frame)))
  name <- response_variable(terms)
  response <- response_values(stats::model.response(frame), name)
  list(design = design, x = as_double(x), response = response,
       weights = row_weights(frame_weights(frame), response), is_balanced = is_balanced(frame_weights(frame)),
       offset = frame_offset(frame),
       na.action = attr(frame, "na.action"), terms = terms, rows = kept_rows(frame), response_name = name)
}

# The response as it is written; NULL: there is none.
response_variable <- function(terms) {
  if (attr(terms, "response")) deparse1(attr(terms, "variables")[[attr(terms, "response") + 1L]])
}

# R's own functions make a column of whatever is in memory of a response that is a predictor, too.
check_one_side <- function(terms) {
  at <- attr(terms, "response")
  factors <- attr(terms, "factors")
  if (at && length(factors) && any(factors[at, ] > 0))
    stop_user("The response `%s` is on the right side of the formula, too: leave it out there.", rownames(factors)[at])
}

# Row names, where they say more than the row's number.
kept_rows <- function(frame) if (.row_names_info(frame) > 0 || !is.null(attr(frame, "na.action"))) row.names(frame)

offset_names <- function(terms) term_variables(terms)[attr(terms, "offset")]

# The sum of a frame's offsets, or NULL; those of new data may be missing.
frame_offset <- function(frame, passes_missing = FALSE) {
  names <- offset_names(attr(frame, "terms"))
  if (!length(names)) return(NULL)
  Reduce(`+`, lapply(names, function(name) check_offset(frame[[name]], name, passes_missing)))
}

check_offset <- function(v, name, passes_missing) {
  v <- plain_values(v, sprintf("`%s`", name))
  if (length(dim(v)) == 1 || length(dim(v)) == 2 && isTRUE(ncol(v) == 1)) v <- as.vector(v)
  if (!is.null(dim(v)) || !is.numeric(v)) stop_user("`%s` must be a number for each row, not %s.", name, shown(v))
  v <- as.double(v)
  known <- if (passes_missing) v[!is.na(v)] else v
  if (!all(is.finite(known))) stop_user("`%s` has values that are not finite.", name)
  if (any(abs(known) > largest_value)) stop_user("`%s` has values too large: change its unit.", name)
  v
}

term_variables <- function(terms) vapply(as.list(attr(terms, "variables"))[-1L], deparse1, "")

coded <- function(terms, frame, contrasts) {
  refuse <- function(e) stop_user("The predictors cannot be coded: %s.", conditionMessage(e))
  tryCatch(stats::model.matrix(terms, frame, contrasts.arg = contrasts), error = refuse, warning = refuse)
}

# The columns of a model matrix without its intercept; a term made of factors alone gives dummies.
# Contrasts that would be passed over are mistakes.
check_contrasts <- function(contrasts, factors) {
  if (is.null(contrasts)) return(NULL)
  if (!is.list(contrasts) || is.null(names(contrasts)) || is.object(contrasts))
    stop_user("`contrasts` must be a list named by factors, such as list(x = \"contr.sum\"), not %s.", shown(contrasts))
  names <- plain_names(contrasts)
  unknown <- setdiff(names, factors)
  if (length(unknown)) stop_user("`contrasts` has `%s`, which is no factor of the formula%s", unknown[1],
                                 if (nzchar(hint <- did_you_mean(unknown[1], factors))) hint else ".")
  stats::setNames(as.list(contrasts), names)
}

discrete_variables <- function(terms) {
  classes <- attr(terms, "dataClasses")
  names(classes)[classes %in% c("factor", "ordered", "character", "logical")]
}

# Those of embedded factors are the numbers of their levels.
frame_matrix <- function(terms, frame, contrasts, embed = NULL, xlevels = NULL) {
  if (!length(attr(terms, "term.labels"))) stop_user("The formula has no predictors: it needs at least one.")
  is_factor <- discrete_variables(terms)
  contrasts <- check_contrasts(contrasts, is_factor)
  terms <- dense_terms(terms, embed)
  numbers <- level_columns(frame, embed, xlevels)
  if (is.null(terms)) return(structure(numbers, is_dummy = rep(TRUE, ncol(numbers)), assign = rep(0L, ncol(numbers))))
  x <- coded(terms, frame, contrasts)
  assign <- attr(x, "assign")
  factors <- attr(terms, "factors")
  of_factors <- apply(factors > 0, 2, function(uses) all(rownames(factors)[uses] %in% is_factor))
  keep <- assign > 0
  structure(with_numbers(x, keep, numbers), contrasts = attr(x, "contrasts"),
            is_dummy = c(unname(of_factors)[assign[keep]], rep(TRUE, length(embed))),
            assign = c(assign[keep], rep(0L, length(embed))))
}

check_frame_columns <- function(frame, levels = TRUE) {
  for (name in names(frame)) check_predictor(frame[[name]], name, levels)
}

refuse_missing <- function(names, has_missing) {
  if (any(has_missing))
    stop_user("Column `%s` has missing values, which `na.action` has let pass: drop these rows or fill them.",
              names[has_missing][1])
}

check_predictor <- function(v, name, levels) {
  if (!is.data.frame(v) && typeof(v) %in% c("list", "complex", "raw"))
    stop_user("Column `%s` is a %s: predictors must be numeric, logical, factor or character%s.", name,
              if (is.null(oldClass(v)) || inherits(v, "AsIs")) typeof(v) else class(v)[1],
              if (inherits(v, "POSIXlt")) "; as.POSIXct() makes a number of it" else "")
  is_discrete <- is.factor(v) || is.character(v)
  if (levels && is_discrete && length(unique(v[!is.na(v)])) < 2)
    stop_user("Column `%s` has a single level, \"%s\": leave it out.", name, as.character(v[!is.na(v)][1]))
}

# ---- the interface with x and y

data_from_xy <- function(x, y, weights = NULL, na.action = NULL, contrasts = NULL, embed = NULL) {
  if (inherits(x, "varnn_training")) return(unclass(x)) # training data of a fit
  y <- response_values(check_y(y), "y")
  if (is.data.frame(x)) x <- plain_frame(x, "`x`")
  x <- if (is.matrix(x)) plain_values(x, "`x`") else readable_columns(x)
  design <- if (is.data.frame(x)) frame_design(x) else matrix_design(x)
  if (!nrow(x)) stop_user("There are no rows to train on: `x` has none.")
  if (is.data.frame(x)) check_no_nesting(x[vapply(x, is.data.frame, NA)], "x")
  if (NROW(y) != nrow(x)) stop_user("`y` has %d rows and `x` has %d: they must be the same.", NROW(y), nrow(x))
  balances <- is_balanced(weights)
  weights <- row_weights(weights, y)
  omitted <- omitted_rows(x, y, weights, na.action)
  if (length(omitted)) {
    x <- x[-omitted, , drop = FALSE]
    y <- take_rows(y, -omitted)
    weights <- weights[-omitted]
    if (!nrow(x)) stop_user("Every row has a missing value: there is nothing to train on.")
  }
  rows <- named_rows(rownames(x))
  if (is.data.frame(x)) {
    frame <- stats::model.frame(design$terms, x, na.action = stats::na.pass, drop.unused.levels = TRUE)
    design$times <- frame_times(frame)
    frame <- with_values(frame, names(frame), design$times)
    check_frame_columns(frame)
    refuse_missing(names(frame), vapply(frame, anyNA, NA))
    terms <- attr(frame, "terms")
    xlevels <- stats::.getXlevels(terms, frame)
    embed <- embedded_widths(embed, terms, xlevels, contrasts)
    x <- frame_matrix(terms, frame, contrasts, embed, xlevels)
    design <- utils::modifyList(design, list(terms = terms, embed = embed, xlevels = xlevels,
                                             contrasts = attr(x, "contrasts"), columns = colnames(x),
                                             shares = level_shares(frame, xlevels, weights),
                                             is_dummy = attr(x, "is_dummy")))
  }
  list(design = design, x = as_double(x), response = used_levels(y), weights = weights,
       is_balanced = balances, offset = NULL, na.action = omitted, terms = NULL, rows = rows, response_name = "y")
}

check_y <- function(y) {
  ok <- is.data.frame(y) || (is.atomic(y) || is.factor(y)) && !is.null(y) && !is.raw(y) && length(dim(y)) <= 2
  if (!ok) stop_user("`y` must be a vector, factor, matrix or data frame, not %s.", shown(y))
  y
}

frame_design <- function(x) {
  if (!ncol(x)) stop_user("`x` has no columns.")
  if (anyDuplicated(names(x))) stop_user("`x` has two columns named `%s`.", names(x)[duplicated(names(x))][1])
  check_frame_columns(x, levels = FALSE)
  list(kind = "frame", terms = stats::terms(~ ., data = x), intercept = TRUE)
}

matrix_design <- function(x) {
  if (!is.matrix(x) || !is.numeric(x) && !is.logical(x))
    stop_user("`x` must be a numeric matrix or a data frame, not %s.", shown(x))
  if (!ncol(x)) stop_user("`x` has no columns.")
  names <- colnames(x)
  if (anyDuplicated(names)) names <- NULL
  list(kind = "matrix", names = names, columns = if (is.null(names)) paste0("x", seq_len(ncol(x))) else names,
       is_dummy = rep(FALSE, ncol(x)), intercept = TRUE)
}

# Rows that na.action drops, with its class, as na.omit() and na.exclude() mark them.
omitted_rows <- function(x, y, weights, na.action) {
  action <- na_name(if (is.null(na.action)) getOption("na.action") else na.action)
  if (action == "na.pass") return(NULL)
  missing_x <- if (is.data.frame(x)) !stats::complete.cases(x) else if (anyNA(x)) rows_with_missing(x) else FALSE
  missing <- which(missing_x | !stats::complete.cases(y) | is.na(if (is.null(weights)) 0 else weights))
  if (!length(missing)) return(NULL)
  if (action == "na.fail") stop_user("There are missing values in %d rows, and `na.action` is na.fail.",
                                     length(missing))
  names <- if (is.null(rownames(x))) as.character(missing) else named_rows(rownames(x))[missing]
  structure(missing, names = names, class = if (action == "na.exclude") "exclude" else "omit")
}

na_name <- function(f) {
  known <- list(na.omit = stats::na.omit, na.exclude = stats::na.exclude, na.pass = stats::na.pass,
                na.fail = stats::na.fail)
  if (is_one_of(f, names(known))) return(plain(f))
  found <- names(known)[vapply(known, identical, NA, f)]
  if (length(found)) found else stop_user("`na.action` must be na.omit, na.exclude, na.pass or na.fail.")
}

# rowSums() of a numeric matrix is missing where a row has a missing value, or infinities of both signs.
rows_with_missing <- function(x) {
  suspect <- is.na(rowSums(x))
  if (any(suspect)) suspect[suspect] <- !stats::complete.cases(x[suspect, , drop = FALSE])
  suspect
}

# A factor without the levels that it does not use.
used_levels <- function(y) if (is.factor(y) && any(tabulate(y, nlevels(y)) == 0)) droplevels(y) else y

as_double <- function(x) {
  if (storage.mode(x) != "double") storage.mode(x) <- "double"
  x
}

# ---- new data

# list(x, offset, ok, rows): x holds the rows without missing values, ok says which of newdata's these are.
design_rows <- function(design, newdata) {
  if (design$kind == "matrix") return(matrix_rows(design, newdata))
  newdata <- as_frame(newdata, "`newdata`")
  frame <- new_frame(design, newdata)
  unseen <- attr(frame, "unseen")
  offset <- frame_offset(frame, passes_missing = TRUE)
  frame <- with_values(frame, setdiff(names(frame), offset_names(design$terms)), design$times, " of `newdata`")
  ok <- stats::complete.cases(frame)
  x <- if (any(ok)) mean_coded(design, frame[ok, , drop = FALSE], lapply(unseen, function(u) u[ok]))
  else matrix(0, 0, length(design$columns))
  check_finite_columns(x, design$columns, " of `newdata`")
  list(x = x, offset = offset[ok], ok = ok, rows = row.names(newdata))
}

# The columns of complete rows.
frame_columns <- function(design, frame) {
  terms <- dense_terms(design$terms, design$embed)
  numbers <- level_columns(frame, design$embed, design$xlevels)
  x <- if (!is.null(terms)) coded(terms, frame, design$contrasts)
  x <- if (is.null(x)) numbers else as_double(with_numbers(x, attr(x, "assign") > 0, numbers))
  if (ncol(x) != length(design$columns))
    stop_user("The fit is damaged: its formula makes %d columns, not %d; fit the model anew.", ncol(x),
              length(design$columns))
  x
}

new_frame <- function(design, newdata) {
  needed <- all.vars(design$terms)
  missing <- setdiff(needed, c(names(newdata), ls_formula(design$terms)))
  if (length(missing)) stop_user("`newdata` has no column `%s`, which the model needs.", missing[1])
  takes_unseen <- !is.null(design$new_levels) && design$new_levels != "error"
  if (!takes_unseen) check_new_levels(design$xlevels, newdata)
  newdata <- readable_columns(newdata)
  newdata[] <- lapply(newdata, function(v) if (is.logical(v) && all(is.na(v))) as.numeric(v) else v)
  for (name in intersect(names(design$xlevels), names(newdata))) {
    v <- newdata[[name]]
    if (is.atomic(v) && is.null(dim(v)) && all(is.na(v))) newdata[[name]] <- factor(v, design$xlevels[[name]])
  }
  fail <- function(e) stop_user("`newdata` does not fit the model: %s%s.", conditionMessage(e), frame_hint(e))
  frame <- tryCatch(stats::model.frame(design$terms, newdata, na.action = stats::na.pass,
                                       xlev = if (!takes_unseen) design$xlevels), error = fail)
  check_new_classes(attr(design$terms, "dataClasses"), frame[setdiff(names(frame), names(design$times))])
  if (takes_unseen) with_known_levels(design, frame) else frame
}

# Factors and characters may stand for each other; a column that is all missing may be of any class.
check_new_classes <- function(classes, frame) {
  discrete <- c("factor", "ordered", "character")
  for (name in intersect(names(frame), names(classes))) {
    now <- stats::.MFclass(frame[[name]])
    then <- classes[[name]]
    if (now != then && !(now %in% discrete && then %in% discrete) && !all(is.na(frame[[name]])))
      stop_user("Column `%s` of `newdata` must be %s as in training, not %s.", name, then, class(frame[[name]])[1])
  }
}

# Variables that the formula finds in its own environment (as `k` in poly(x, k)), not in the data.
ls_formula <- function(terms) {
  envir <- environment(terms)
  if (is.null(envir)) return(character())
  used_as_data <- names(attr(terms, "dataClasses"))
  Filter(function(v) !v %in% used_as_data && exists(v, envir) && !is.function(get(v, envir)), all.vars(terms))
}

matrix_rows <- function(design, newdata) {
  p <- length(design$columns)
  if (is.data.frame(newdata)) newdata <- matrix_of_frame(newdata, "`newdata`", design$names)
  if (is.numeric(newdata) && is.null(dim(newdata)))
    stop_user("`newdata` must be a matrix of %d columns, not a vector; for one row: matrix(x, 1).", p)
  if (is.matrix(newdata)) newdata <- plain_values(newdata, "`newdata`")
  if (!is.matrix(newdata) || !(is.numeric(newdata) || is.logical(newdata)))
    stop_user("`newdata` must be a numeric matrix of %d columns, not %s.", p, shown(newdata))
  if (!is.null(design$names) && !is.null(colnames(newdata))) {
    missing <- setdiff(design$names, colnames(newdata))
    if (length(missing)) stop_user("`newdata` has no column `%s`, which the model needs.", missing[1])
    if (!identical(design$names, colnames(newdata))) newdata <- newdata[, design$names, drop = FALSE]
  } else if (ncol(newdata) != p) {
    stop_user("`newdata` has %d columns, the model was trained on %d.", ncol(newdata), p)
  }
  c(whole_rows(newdata, design$columns), list(offset = NULL, rows = rownames(newdata)))
}

# list(x, ok): x has the rows without missing values.
whole_rows <- function(x, columns) {
  if (is.double(x) && engine_all_finite(x)) return(list(x = x, ok = rep(TRUE, nrow(x))))
  ok <- !rows_with_missing(x)
  x <- as_double(x[ok, , drop = FALSE])
  check_finite_columns(x, columns, " of `newdata`")
  list(x = x, ok = ok)
}

# Row names of a matrix may be missing.
named_rows <- function(rows) if (anyNA(rows)) replace(rows, is.na(rows), "NA") else rows
