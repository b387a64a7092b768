# Vectors whose class says what their numbers mean: dates, times, 64-bit integers, units. What a model reads of them is
# decided here, the same for training and for new data; a class that is not known here is refused by its name.

# Of these the doubles, codes or words are what they show.
plain_classes <- c("AsIs", "numeric", "integer", "double", "logical", "character", "factor", "ordered", "matrix",
                   "array", "table", "ts", "zoo", "xts", "yearmon", "yearqtr", "roman", "noquote", "glue", "labelled",
                   "haven_labelled", "haven_labelled_spss", "vctrs_vctr")

# Matrices of other classes are bases, as of splines, but for these.
measured_classes <- c("Surv", "integer64", "units", "mixed_units", "Date", "POSIXct", "difftime", "errors",
                      "quantities")

is_plain_vector <- function(v) {
  class <- oldClass(v)
  if (is.null(class)) return(TRUE)
  if (has_value_labels(v)) return(FALSE)
  if (isS4(v) || typeof(v) == "list") return(FALSE)
  is_matrix <- length(attr(v, "dim")) == 2
  is.character(v) || all(class %in% plain_classes) || is_matrix && !any(class %in% measured_classes)
}

# A factor in disguise, or numbers among which some mean that they are missing.
has_value_labels <- function(v) {
  inherits(v, c("labelled", "haven_labelled")) &&
    (!is.null(attr(v, "labels")) || !is.null(attr(v, "na_values")) || !is.null(attr(v, "na_range")))
}

# The values of a vector or matrix as R's own types; `what` names it in an error.
plain_values <- function(v, what) {
  if (inherits(v, "integer64")) return(integer64_values(v))
  if (is_plain_vector(v)) return(with_plain_dim(bare(if (is.factor(v)) v else unclass(v))))
  stop_user("%s is of class \"%s\"%s.", what, class(v)[1], class_hint(v))
}

# Without attributes that vectors, matrices and factors have not: arithmetic would carry them along, however large.
bare <- function(v) {
  known <- intersect(names(attributes(v)), c("names", "dim", "dimnames", if (is.factor(v)) c("levels", "class")))
  if (length(known) == length(attributes(v))) v else `attributes<-`(v, attributes(v)[known])
}

# A value with plain numbers as its dimensions and words as its names: these may have names or a class themselves.
with_plain_dim <- function(v) {
  kept <- attributes(v)
  if (is.null(attributes(kept$dim)) && is.null(attributes(kept$names))) return(v)
  for (name in intersect(c("dim", "names"), names(kept))) kept[[name]] <- plain(kept[[name]])
  `attributes<-`(v, kept)
}

class_hint <- function(v) {
  if (inherits(v, "Surv")) return(": survival times are a response, alone on the left side of the formula")
  if (has_value_labels(v))
    return(" with value labels: make it a factor, as by haven::as_factor(), or a number, as by haven::zap_labels()")
  if (inherits(v, "POSIXlt")) return(": make it a time that is a number, by as.POSIXct()")
  ", whose numbers may mean something else: make it a number, as by as.numeric(), a factor or a character"
}

column_what <- function(name, where = "") sprintf("Column `%s`%s", name, where)

# bit64 keeps 64-bit integers in the bits of doubles; the least of them is NA. Exact up to 2^53.
integer64_values <- function(v) {
  if (!is.double(v)) return(unclass(v))
  piece <- 1e7
  bits <- as.vector(unclass(v))
  out <- v
  attributes(out) <- attributes(v)[setdiff(names(attributes(v)), "class")]
  for (first in piece * (seq_len(ceiling(length(bits) / piece)) - 1) + 1) {
    at <- seq(first, min(length(bits), first + piece - 1))
    bytes <- writeBin(bits[at], raw(), endian = "little")
    half <- matrix(readBin(bytes, "integer", 2 * length(at), endian = "little"), 2)
    low <- ifelse(is.na(half[1, ]), 2^31, half[1, ] %% 2^32) # the integer of these bits is R's NA
    high <- ifelse(is.na(half[2, ]), -2^31, half[2, ])
    out[at] <- ifelse(high == -2^31 & low == 0, NA, high * 2^32 + low)
  }
  out
}

# Whole numbers as 64-bit integers where bit64 is loaded, without which these show other numbers; else as they are.
as_integer64 <- function(v) {
  if (!has_bit64() || any(abs(v) >= 2^63, na.rm = TRUE)) return(v)
  getExportedValue("bit64", "as.integer64")(v)
}

has_bit64 <- function() "bit64" %in% loadedNamespaces()

# The names of the columns that are 64-bit integers; NULL: there are none.
integer64_names <- function(data) {
  is_64 <- if (is.list(data)) vapply(data, inherits, NA, "integer64")
  if (any(is_64)) names(data)[is_64]
}

# A data frame or list whose 64-bit integers are numbers: R's own functions drop their class.
without_integer64 <- function(data) {
  if (!is.list(data)) return(data)
  for (j in which(vapply(data, inherits, NA, "integer64"))) data[[j]] <- integer64_values(data[[j]])
  for (j in which(vapply(data, has_lost_class, NA)))
    stop_user(paste("Column `%s` has no value above 2e-308: if these are 64-bit integers that have lost their class,",
                    "load the package bit64 before rows are taken; else change the unit."), names(data)[j])
  data
}

# Small 64-bit integers are subnormal as doubles.
has_lost_class <- function(v) {
  if (!is.double(v) || is.object(v)) return(FALSE)
  largest <- max(abs(range(0, v, na.rm = TRUE)))
  largest > 0 && largest < .Machine$double.xmin
}

# A data frame or list as R's own functions read it: they drop the class of 64-bit integers, and take no times that are
# lists of their parts.
readable_columns <- function(data) {
  data <- without_integer64(data)
  if (is.list(data)) for (j in which(vapply(data, is_time_of_parts, NA))) data[[j]] <- as.POSIXct(data[[j]])
  data
}

is_time_of_parts <- function(v) inherits(v, "POSIXlt") && !inherits(v, "AsIs")

# ---- dates and times, which are predictors by what they count

span_units <- c("secs", "mins", "hours", "days", "weeks")

# What a column counts: "Date", "POSIXct" or the unit of a difference in time; NULL of others.
time_of <- function(v) {
  if (length(dim(v)) > 1) return(NULL)
  if (inherits(v, "Date")) return("Date")
  if (inherits(v, "POSIXct")) return("POSIXct")
  if (inherits(v, "difftime") && isTRUE(attr(v, "units") %in% span_units)) attr(v, "units")
}

# The times among the columns of a frame, by name.
frame_times <- function(frame) unlist(lapply(as.list(frame), time_of))

# A predictor as numbers, factor or words; `time` is what it counted in training.
predictor_values <- function(v, name, time, where = "") {
  if (is.null(time)) return(plain_values(v, column_what(name, where)))
  if (all(is.na(v))) return(rep(NA_real_, length(v)))
  if (time %in% span_units && inherits(v, "difftime")) return(as.double(v, units = time))
  if (!identical(time_of(v), time))
    stop_user("%s must be of class \"%s\" as in training, not %s.", column_what(name, where),
              if (time %in% span_units) "difftime" else time, class(v)[1])
  as.double(unclass(v))
}

# A model frame with these of its columns as predictor_values() has them.
with_values <- function(frame, names, times, where = "") {
  for (name in names) {
    v <- frame[[name]]
    time <- if (name %in% names(times)) times[[name]]
    if (is.object(v) && !is.factor(v) || !is.null(time)) frame[[name]] <- predictor_values(v, name, time, where)
  }
  frame
}

# ---- data frames

# The data frame that a user gave, or that a matrix or a list stands for; `what` names it.
as_frame <- function(x, what) {
  if (is_chunks(x)) stop_user("%s must be a data frame: each_chunk() calls a function with those of chunks().", what)
  refuse <- function(...) stop_user("%s must be a data frame, not %s.", what, shown(x))
  is_like <- is.matrix(x) || is.list(x) && is.null(oldClass(x))
  if (!is.data.frame(x)) x <- if (is_like) tryCatch(suppressWarnings(as.data.frame(x)), error = refuse) else refuse()
  plain_frame(x, what)
}

# A data frame, named `what` in an error, as R's own functions make it: its names, those of its rows and the levels of
# its factors are words and no more, each of its columns has a value for each row, and each code a level.
plain_frame <- function(x, what) {
  if (!is.list(x)) stop_user("%s must be a data frame, not %s.", what, shown(unclass(x)))
  kept <- attributes(x)
  kept$names <- plain_names(x)
  kept$row.names <- plain(.row_names_info(x, 0L)) # as they are kept, where they are numbers
  if (length(kept$names) != length(x) || anyNA(kept$names)) stop_user("The columns of %s must have names.", what)
  columns <- lapply(seq_along(x), function(j) plain_column(.subset2(x, j), kept$names[j], what, nrow(x)))
  `attributes<-`(columns, kept)
}

plain_column <- function(v, name, what, n) {
  v <- with_plain_dim(v)
  if (!is_what_it_says(v))
    stop_user("Column `%s` of %s is of class \"%s\", but is not made as that class has it: make it anew.", name, what,
              class(v)[1])
  if (is.null(v) || NROW(v) != n)
    stop_user("Column `%s` of %s has %d values, and there are %d rows.", name, what, NROW(v), n)
  if (is.data.frame(v)) return(plain_frame(v, sprintf("column `%s` of %s", name, what)))
  size <- dim(v)
  if (length(size) > 2 && length(v) == n) return(as.vector(v))
  if (length(size) > 2 || any(size[-1] == 0))
    stop_user("Column `%s` of %s is an array of size %s: a column is a vector, or a matrix with columns of its own.",
              name, what, paste(size, collapse = " x "))
  if (is.factor(v)) plain_factor(v, sprintf("Column `%s` of %s", name, what)) else v
}

plain_factor <- function(f, what) {
  levels <- attr(f, "levels")
  if (!is.null(attributes(levels))) attr(f, "levels") <- plain(levels)
  if (is_well_formed(f)) return(f)
  stop_user("%s is a factor whose codes or levels are malformed: make it anew with factor().", what)
}

# Whether the methods of a vector's class can tell its length and which of its values are missing.
is_what_it_says <- function(v) {
  if (is.data.frame(v)) return(is.list(v))
  if (!is.object(v) || is.factor(v)) return(TRUE)
  answers <- function() is.numeric(length(v)) && is.logical(anyNA(v))
  tryCatch(answers(), error = function(e) FALSE, warning = function(w) FALSE)
}

is_well_formed <- function(f) {
  codes <- unclass(f)
  every(is.integer(codes), is.character(levels(f)), !anyDuplicated(levels(f)), !anyNA(levels(f)),
        all(is.na(codes)) || min(codes, na.rm = TRUE) >= 1 && max(codes, na.rm = TRUE) <= nlevels(f))
}

# The matrix of a data frame's columns, or of those that are among `names`; each is what R's own types have.
matrix_of_frame <- function(x, what, names = NULL) {
  x <- plain_frame(x, what)
  if (!is.null(names)) x <- x[intersect(names, names(x))]
  check_no_nesting(x, gsub("`", "", what))
  x <- without_integer64(x)
  for (j in seq_along(x)) plain_values(.subset2(x, j), column_what(names(x)[j], paste(" of", what)))
  as.matrix(x)
}

# An error where a column is itself a matrix or a data frame; `name` is the argument's.
check_no_nesting <- function(x, name) {
  for (j in seq_along(x)) if (length(dim(.subset2(x, j))) > 1)
    stop_user("Column `%s` of `%s` is %s: give its columns as columns of `%s`.", names(x)[j], name,
              shown(.subset2(x, j)), name)
}

# ---- responses

# A response as training has it: each column of R's own types, an array of one dimension as a vector.
response_values <- function(y, name) {
  if (is.data.frame(y)) {
    y <- plain_frame(y, sprintf("`%s`", name))
    check_no_nesting(y, name)
    y[] <- Map(response_values, as.list(y), names(y))
    return(y)
  }
  if (inherits(y, "Surv")) return(surv_values(y, name))
  y <- plain_values(y, sprintf("The response `%s`", name))
  if (is.raw(y) || is.complex(y) || is.list(y))
    stop_user("The response `%s` must be numeric, logical, a factor or character, not %s.", name, typeof(y))
  if (length(dim(y)) == 1) stats::setNames(as.vector(y), names(y)) else y
}
