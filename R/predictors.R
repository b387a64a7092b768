# The predictors as the user has them, before they are coded: the columns of a data frame, or of a matrix where a matrix
# was fitted.

# list(frame, names): rows without missing values with the variables that the model reads, and the names of the
# predictors among these (an offset is none); of `newdata`, or of the training.
predictor_rows <- function(fit, newdata, envir) {
  frame <- if (is.null(newdata)) training_predictors(fit, envir) else given_predictors(fit, newdata)
  list(frame = frame, names = predictor_names(fit$design, colnames(frame)))
}

given_predictors <- function(fit, newdata) {
  rows <- design_rows(fit$design, newdata)
  if (fit$design$kind == "matrix") return(named_columns(rows$x, fit$design$columns))
  frame <- readable_columns(as_frame(newdata, "`newdata`"))
  frame[rows$ok, intersect(all.vars(fit$design$terms), names(frame)), drop = FALSE]
}

# The variables of `known` in those terms of a design that are no offset.
predictor_names <- function(design, known) {
  if (design$kind == "matrix") return(design$columns)
  intersect(term_names(design$terms), known)
}

term_names <- function(terms) {
  parts <- as.list(attr(terms, "variables"))[-1L]
  offsets <- attr(terms, "offset")
  unique(unlist(lapply(if (length(offsets)) parts[-offsets] else parts, all.vars)))
}

# Found again as training_data() finds the columns that are made of them.
training_predictors <- function(fit, envir) {
  if (is_from_chunks(fit)) stop_no_rows()
  if (fit$design$kind == "matrix")
    return(named_columns(training_data(fit, NULL, envir)$x, fit$design$columns))
  lost <- function(e) {
    stop_user("The training data are no longer found (%s): give `newdata`.", sub("[.]$", "", conditionMessage(e)))
  }
  tryCatch({
    frame <- if (is.null(fit$terms)) plain_frame(eval(fit$call$x, envir), "`x`") else variables_frame(fit)
    frame <- readable_columns(frame)
    if (length(fit$na.action)) frame <- frame[-fit$na.action, , drop = FALSE]
    x <- design_rows(fit$design, frame)$x
  }, error = lost)
  if (nrow(x) != fit$n_obs || !has_training_columns(fit, x))
    stop_user("The data found are not those the model was trained on: give `newdata`.")
  frame
}

# A model frame of the variables themselves, rows with missing values included.
variables_frame <- function(fit) {
  envir <- environment(fit$terms)
  data <- if (!is.null(fit$call$data)) eval(fit$call$data, envir)
  names <- all.vars(fit$design$terms)
  others <- setdiff(names, names(data))
  size <- vapply(others, function(name) NROW(get0(name, envir)), 0L)
  n <- if (is.data.frame(data)) nrow(data) else max(size)
  names <- setdiff(names, others[size != n]) # numbers as `k` in poly(x, k) are no variables
  call <- fit$call
  call$formula <- stats::as.formula(call("~", Reduce(function(a, b) call("+", a, b), lapply(names, as.name))), envir)
  call$weights <- NULL
  call$na.action <- quote(stats::na.pass)
  frame <- call_frame(call, envir)
  attr(frame, "terms") <- NULL
  frame
}

set_variable <- function(frame, name, values) {
  if (is.matrix(frame)) frame[, name] <- values
  else frame[[name]] <- values
  frame
}

get_variable <- function(frame, name) if (is.matrix(frame)) frame[, name] else frame[[name]]

some_of <- function(v, rows) if (length(dim(v)) == 2) v[rows, , drop = FALSE] else v[rows]

# Names of predictors that a user asks for.
check_variables <- function(variables, known) {
  if (is.null(variables)) return(known)
  if (!is.character(variables) || !length(variables) || anyNA(variables))
    stop_user("`variables` must be names of predictors, not %s.", shown(variables))
  for (name in variables) check_choice(name, known, "variables")
  unique(plain(variables))
}
