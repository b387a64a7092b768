# Data that are read in chunks. A source has `units` that are read one after the other: calls of a function, files, the
# result of a query. open(i) starts the i'th: list(piece, close), where piece() gives its next rows, NULL when there are
# no more; NULL when there is no i'th unit. n_units is NULL where it is not known. With `jumps` units may be read in any
# order.

#' Data larger than memory
#'
#' `chunks()` says where rows come from that are read a part at a time, and takes the place of `data` in a call of
#' [fit_nn()], [fit_ae()], [fit_vae()] or [fit_bayes_nn()] with a formula, and of `newdata` in [predict()]. Training and
#' prediction then need memory for a few chunks and the model, however many rows there are. `each_chunk()` calls a
#' function for each chunk.
#'
#' @param source where the rows are:
#'   * a function of a number `i` that returns the `i`'th part of the data as a data frame, and `NULL` after the last;
#'   * a connection to a database, made by `DBI::dbConnect()`; see `query`;
#'   * names of files, all of which are CSV (`.csv`, also compressed as `.csv.gz`), RDS (`.rds`, each a data frame) or
#'     Parquet (`.parquet`, read by the package arrow);
#'   * a dataset of the package arrow, as by `arrow::open_dataset()`;
#'   * a list of data frames, or a data frame.
#' @param query of a database: the name of a table, or a query in SQL.
#' @param rows how many rows are in memory and shuffled together, at most 1e8. From databases and CSV files as many are
#'   read at once. Of a Parquet file a row group is in memory, too: write it with groups that are not much larger (as by
#'   the argument `chunk_size` of `arrow::write_parquet()`). The parts that functions and other files give have the size
#'   that they have, and should not be much larger either.
#' @param ... for CSV files: arguments of [utils::read.csv()], such as `sep` or `na.strings`.
#'
#' @section How models are trained on chunks:
#' A first pass counts the rows, finds the levels of factors and draws a sample: all rows where there are no more than
#' `rows` (or 20,000, if that is more), else as many at random. From the sample come what a formula learns from data (as
#' `poly()` and `splines::ns()` do), the random start and the smooth margins of [fit_vae()]. Where the sample is not all
#' rows, a second pass finds means and standard deviations and looks at the values. Then each epoch reads the source
#' again. The source must give the same rows in the same order each time: a query of a database that does not promise
#' that needs `ORDER BY`.
#'
#' Rows are shuffled within buffers of `rows` rows, from which the batches are taken. Where a source can be read in any
#' order (functions, several files, lists), each epoch also takes its parts in a new order. Rows that are sorted, as by
#' class or by time, in a single file or table are not mixed beyond a buffer: store them in random order, or make `rows`
#' larger. All rows in one buffer are read once and stay there: the fit is then that of the data frame, bit for bit, if
#' `epochs` is given.
#'
#' When `epochs` is not given, a fifth of the rows, at most 10,000, is held out at random, and training ends when the
#' loss of these has not become smaller for some epochs; the parameters with the smallest one are kept. `validation`
#' holds out a proportion of the rows, at most half of the sample, or is a data frame. `optimizer = "lbfgs"` reads all
#' rows in each of its steps.
#'
#' Missing values are treated as `na.action` says. Rows of weight 0 are left out. `subset` must be a condition on the
#' columns. What needs all rows at once is an error that says so: `posterior` = `"laplace"`, `"hmc"`, `"dropout"` and
#' `"swag"`, `weights` that are `"balanced"` or numbers by classes, and for the fit what describes its training data, as
#' [residuals()] does. Members can be stacked by the rows that `validation` holds out, and need it. [predict()] takes
#' the chunks as its `newdata`, and `each_chunk()` does whatever else. The fit has no data and no connection in it.
#'
#' An error of the source ends the training as described for [nn_control()]: the fit so far is in the condition.
#'
#' @return `chunks()`: an object of class `varnn_chunks`. `each_chunk()`: what `f` returned for each chunk, as a list,
#'   invisibly.
#' @seealso [fit_nn()], [predict.varnn_nn()].
#' @references Chan, Golub and LeVeque (1979) on moments of parts, Technical Report STAN-CS-79-773, Stanford
#'   University. Vitter (1985) on sampling from a stream, \doi{10.1145/3147.3165}.
#' @examples
#' source <- chunks(function(i) if (i <= 4) mtcars[8 * i - 7:0, ])
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt + hp, source, epochs = 50)
#' predict(fit, source)
#'
#' # chunk by chunk, to a file
#' file <- tempfile(fileext = ".csv")
#' each_chunk(source, function(data, i) {
#'   out <- data.frame(car = rownames(data), mpg = predict(fit, data))
#'   write.table(out, file, sep = ",", append = i > 1, col.names = i == 1, row.names = FALSE)
#' })
#' head(read.csv(file), 3)
#' unlink(file)
#' @export
chunks <- function(source, query = NULL, rows = 1e5, ...) {
  if (missing(source)) stop_user("`source` is missing: give a function, a connection, names of files or data frames.")
  rows <- check_number(rows, "rows", 1, 1e8, whole = TRUE)
  kind <- names(chunk_sources)[vapply(chunk_sources, function(s) isTRUE(s$is(source)), NA)][1]
  if (is.na(kind)) {
    stop_user(paste("`source` must be a function, a connection to a database, names of files or data frames,",
                    "not %s."), shown(source))
  }
  known <- if (kind == "csv") csv_arguments else character()
  check_known(list(...), known)
  if (kind != "table" && !is.null(query)) stop_user("`query` is for a connection to a database, and `source` is none.")
  record <- chunk_sources[[kind]]
  if (!is.null(record$package)) check_package(record$package, "`source`")
  made <- record$make(source, query, rows, list(...))
  structure(c(made, list(kind = kind, rows = rows)), class = "varnn_chunks")
}

is_chunks <- function(x) inherits(x, "varnn_chunks")

# An object made by chunks(), which a user may have changed.
check_chunks <- function(x, name) {
  if (!every(is_chunks(x), is.list(x), is.function(x$open), is.numeric(x$rows), length(x$rows) == 1, x$rows >= 1,
             is.character(x$words)))
    stop_user("`%s` must be made by chunks(), not %s.", name, shown(x))
  x
}

#' @export
print.varnn_chunks <- function(x, ...) {
  check_dots_empty(..., known = "digits")
  check_chunks(x, "x")
  cat(sprintf("Data in chunks: %s, %s rows in memory\n", x$words, thousands(x$rows)))
  invisible(x)
}

#' @rdname chunks
#' @param chunks an object made by `chunks()`.
#' @param f a function of a data frame, the rows of a chunk, and the chunk's number.
#' @export
each_chunk <- function(chunks, f) {
  check_chunks(chunks, "chunks")
  if (!is.function(f)) stop_user("`f` must be a function of a data frame and a number, not %s.", shown(f))
  takes <- argument_names(f)
  is_short <- length(takes) == 1 && !identical(takes, "...")
  out <- list()
  over_pieces(chunks, function(data, i) {
    value <- if (is_short) f(data) else f(data, i)
    if (!is.null(value)) out[[i]] <<- value
  })
  invisible(out)
}

# Of a function; none of what is R's own syntax, such as `if`.
argument_names <- function(f) {
  f <- args(f)
  if (is.function(f)) names(formals(f))
}

# ---- kinds of sources

one_piece <- function(value) {
  list(piece = function() {
    now <- value
    value <<- NULL
    now
  }, close = function() NULL)
}

# Rows of a data frame, so many at a time.
pieces_of <- function(data, rows) {
  done <- 0
  list(piece = function() {
    if (done >= nrow(data)) return(NULL)
    at <- seq(done + 1, min(nrow(data), done + rows))
    done <<- at[length(at)]
    data[at, , drop = FALSE]
  }, close = function() NULL)
}

of_function <- function(source, query, rows, more) {
  takes <- argument_names(source)
  if (!length(takes)) stop_user("`source` must be a function of a number, the chunk's: it takes none.")
  list(open = function(i) if (!is.null(data <- source(i))) one_piece(data), n_units = NULL, jumps = TRUE,
       words = "a function")
}

of_frames <- function(source, query, rows, more) {
  if (is.data.frame(source))
    return(list(open = function(i) if (i == 1) pieces_of(source, rows), n_units = 1, jumps = FALSE,
                words = "a data frame"))
  list(open = function(i) if (i <= length(source)) pieces_of(source[[i]], rows), n_units = length(source), jumps = TRUE,
       words = count(length(source), "data frame"))
}

of_files <- function(source, open, what) {
  missing <- which(!file.exists(source))
  if (length(missing)) stop_user("`source` names the file \"%s\", which does not exist.", source[missing[1]])
  source <- normalizePath(source)
  list(open = function(i) if (i <= length(source)) open(source[i]), n_units = length(source), jumps = TRUE,
       words = count(length(source), paste(what, "file")))
}

# A table, or the result of a query.
of_table <- function(source, query, rows, more) {
  if (!every(is.character(query), length(query) == 1, !is.na(query), nzchar(query)))
    stop_user("`query` must be the name of a table or a query in SQL, not %s.", shown(query))
  check_open <- function() {
    if (!DBI::dbIsValid(source)) stop_user("`source` is a connection to a database that is closed: open it again.")
  }
  check_open()
  query <- as.character(query)
  is_table <- tryCatch(isTRUE(DBI::dbExistsTable(source, query)), error = function(e) FALSE)
  sql <- if (is_table) paste("SELECT * FROM", DBI::dbQuoteIdentifier(source, query)) else query
  if (!is_table && !grepl("[[:space:]]", query)) stop_user("`query`: the database has no table \"%s\".", query)
  open <- function(i) {
    if (i > 1) return(NULL)
    check_open()
    result <- DBI::dbSendQuery(source, sql)
    piece <- function() {
      data <- DBI::dbFetch(result, n = rows)
      if (nrow(data)) data
    }
    list(piece = piece, close = function() if (DBI::dbIsValid(result)) DBI::dbClearResult(result))
  }
  list(open = open, n_units = 1, jumps = FALSE,
       words = if (is_table) sprintf("the table \"%s\" of a database", query) else "a query of a database")
}

csv_arguments <- c(setdiff(names(formals(utils::read.csv)), c("file", "header", "...")), "na.strings", "colClasses",
                   "skip", "check.names", "strip.white", "stringsAsFactors", "fileEncoding", "encoding", "as.is",
                   "blank.lines.skip", "allowEscapes", "skipNul")

# The columns of all files have the classes of the first rows of the first one; a column without values there any.
of_csv <- function(source, query, rows, more) {
  classes <- more$colClasses
  more$colClasses <- NULL
  given <- !is.null(classes)
  open <- function(path) {
    con <- if (is.null(more$fileEncoding)) file(path, "rt") else file(path, "rt", encoding = more$fileEncoding)
    later <- more[setdiff(names(more), c("skip", "fileEncoding"))]
    names <- NULL
    first <- function() {
      own <- c(list(con, nrows = rows, header = TRUE), more[setdiff(names(more), "fileEncoding")])
      data <- do.call(utils::read.csv, c(own, if (!is.null(classes)) list(colClasses = classes)))
      names <<- names(data)
      if (!given && is.null(classes)) classes <<- read_classes(data)
      data
    }
    others <- function() {
      own <- list(con, nrows = rows, header = FALSE, col.names = names)
      of_names <- if (is.null(names(classes))) classes else unname(classes[names])
      do.call(utils::read.csv, c(own, later[setdiff(names(later), "check.names")], list(check.names = FALSE),
                                 if (!is.null(classes)) list(colClasses = of_names)))
    }
    piece <- function() if (has_lines(con)) if (is.null(names)) first() else others()
    list(piece = piece, close = function() close(con))
  }
  of_files(source, open, "CSV")
}

# What read.csv() is to make of columns, from what it has made: numbers may have decimals further down.
read_classes <- function(data) {
  vapply(data, function(v) if (all(is.na(v))) NA_character_ else if (is.numeric(v)) "numeric" else class(v)[1], "")
}

# Whether a connection has another line that is not empty, which is then the next to be read.
has_lines <- function(con) {
  repeat {
    line <- readLines(con, 1, warn = FALSE)
    if (!length(line)) return(FALSE)
    if (nzchar(trimws(line))) break
  }
  pushBack(line, con)
  TRUE
}

has_extension <- function(x, pattern) {
  every(is.character(x), !is.object(x), length(x) >= 1, !anyNA(x), all(grepl(pattern, x, ignore.case = TRUE)))
}

chunk_sources <- list(
  `function` = list(is = is.function, make = of_function),
  frames = list(is = function(x) {
    is.data.frame(x) || is.list(x) && !is.object(x) && length(x) >= 1 && all(vapply(x, is.data.frame, NA))
  }, make = of_frames),
  table = list(is = function(x) inherits(x, "DBIConnection"), make = of_table, package = "DBI"),
  csv = list(is = function(x) has_extension(x, "[.]csv([.](gz|bz2|xz))?$"), make = of_csv),
  rds = list(is = function(x) has_extension(x, "[.]rds$"),
             make = function(source, query, rows, more) {
               of_files(source, function(path) pieces_of(check_piece(readRDS(path), path), rows), "RDS")
             }),
  parquet = list(is = function(x) has_extension(x, "[.]parquet$"), package = "arrow",
                 make = function(...) of_parquet(...)),
  dataset = list(is = function(x) inherits(x, c("Dataset", "ArrowTabular")), package = "arrow",
                 make = function(...) of_dataset(...))
)

check_piece <- function(data, where) {
  if (!is.data.frame(data)) stop_user("The source gave %s in %s: it must be a data frame.", shown(data), where)
  data
}

# ---- reading

# list(piece, close): piece() gives the next rows as list(data, unit, number), or NULL; `order` says in which order the
# units are read, NULL as they come. The source does not change the state of R's generator.
new_reader <- function(chunks, order = NULL) {
  at <- number <- 0
  now <- NULL
  unit <- NULL
  own <- function(expr) {
    where <- sprintf("chunk %d", number + 1)
    tryCatch(keep_random(expr), error = function(e) {
      if (inherits(e, "varnn_error")) stop(e)
      stop_user("The source failed in %s: %s", where, conditionMessage(e))
    })
  }
  close <- function() {
    if (!is.null(now)) now$close()
    now <<- NULL
  }
  start_next <- function() {
    close()
    at <<- at + 1
    unit <<- if (is.null(order)) at else order[at]
    if (!is.null(order) && at > length(order)) return(FALSE)
    now <<- own(chunks$open(unit))
    !is.null(now)
  }
  piece <- function() {
    repeat {
      if (is.null(now) && !start_next()) return(NULL)
      data <- own(now$piece())
      if (is.null(data)) {
        close()
        next
      }
      number <<- number + 1
      check_piece(data, sprintf("chunk %d", number))
      if (nrow(data)) return(list(data = plain_frame(data, sprintf("Chunk %d", number)), unit = unit, number = number))
    }
  }
  list(piece = piece, close = close)
}

# f(data, number) for each chunk.
over_pieces <- function(chunks, f) {
  reader <- new_reader(chunks)
  on.exit(reader$close())
  while (!is.null(piece <- reader$piece())) f(piece$data, piece$number)
}
