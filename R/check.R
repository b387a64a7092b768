# One wording per kind of mistake: the argument, what was given, what would be right.

# The package's own errors are of class "varnn_error", its own warnings of "varnn_warning" and a class of their kind.
stop_user <- function(...) stop(errorCondition(said(...), class = "varnn_error"))
warn_user <- function(class, ...) warning(warningCondition(said(...), class = c(class, "varnn_warning")))

# sprintf() of words and whole numbers, these of any size.
said <- function(format, ...) {
  as_words <- function(x) {
    x <- unclass(x)
    if (is.numeric(x)) base::format(x, scientific = FALSE, trim = TRUE) else x
  }
  do.call(sprintf, c(list(gsub("%d", "%s", format, fixed = TRUE)), lapply(list(...), as_words)))
}

# A value as a user would type it, shortened.
shown <- function(x) {
  for (kind in shown_kinds) if (kind$is(x)) return(kind$words(x))
  text <- tryCatch(paste(deparse(x, width.cutoff = 60L), collapse = " "), error = function(e) class(x)[1])
  if (nchar(text) > 60) paste0(substr(text, 1, 57), "...") else text
}

# Words for what is too long to be typed, or is not.
shown_kinds <- list(
  list(is = is.function, words = function(x) "a function"),
  list(is = is.environment, words = function(x) "an environment"),
  list(is = is.factor, words = function(x) said("a factor of length %d", length(x))),
  list(is = isS4, words = function(x) said("an object of class \"%s\"", class(x)[1])),
  list(is = is.data.frame,
       words = function(x) said("a data frame of %d rows and %d columns", nrow(x), ncol(x))),
  list(is = is.matrix, words = function(x) {
    said("%s %s matrix of %d rows and %d columns", if (is.integer(x)) "an" else "a", typeof(x), nrow(x), ncol(x))
  }),
  list(is = function(x) length(dim(x)) > 2, words = function(x) said("an array of %d dimensions", length(dim(x)))),
  list(is = is.list, words = function(x) "a list"),
  list(is = is.raw, words = function(x) "a raw vector"),
  list(is = function(x) is.atomic(x) && length(x) > 3, words = function(x) said("a vector of length %d", length(x)))
)

# The value of `expr`, whose errors and warnings name the user's argument `name` where they speak of `newdata`.
speaking_of <- function(name, expr) {
  renamed <- function(c) {
    c$message <- gsub("`newdata`", sprintf("`%s`", name), conditionMessage(c), fixed = TRUE)
    c
  }
  withCallingHandlers(tryCatch(expr, varnn_error = function(e) stop(renamed(e))), varnn_warning = function(w) {
    if (!grepl("`newdata`", conditionMessage(w), fixed = TRUE)) return()
    warning(renamed(w))
    tryInvokeRestart("muffleWarning")
  })
}

quoted <- function(x) paste0("\"", x, "\"", collapse = ", ")

# The first of them, and how many more there are.
quoted_some <- function(x, most = 30) {
  if (length(x) <= most) quoted(x) else said("%s and %d more", quoted(x[seq_len(most)]), length(x) - most)
}

# The name nearest to what was typed, or nothing when all are far.
closest <- function(name, known) {
  if (!length(known) || is.na(name) || !validUTF8(name)) return(character())
  begins <- startsWith(tolower(known), tolower(name))
  if (nzchar(name) && sum(begins) == 1) return(known[begins])
  distance <- utils::adist(name, known, ignore.case = TRUE)[1, ]
  known[distance == min(distance) & distance <= max(2, nchar(name) / 3)][1]
}

did_you_mean <- function(name, known) {
  near <- closest(name, known)
  if (length(near) && !is.na(near)) sprintf("; did you mean \"%s\"?", near) else ""
}

# An atomic vector without a class, dimensions and names.
plain <- function(x) {
  # as.vector() would copy the attributes first, however large
  if (is.null(attributes(x))) x else if (is.list(x)) as.vector(unclass(x)) else `attributes<-`(x, NULL)
}

# Numbers as plain ones; NULL of what are none, or mean something else.
plain_numbers <- function(x) if (every(is.numeric(x), is_plain_vector(x))) plain(x)

# The names of a value, plain; NULL: it has none.
plain_names <- function(x) {
  names <- attr(x, "names")
  if (!is.null(names)) plain(names)
}

# Words, as of a family, and their names; more than there can be are no words.
plain_words <- function(x) if (is.character(x) && length(x) <= 1e6) stats::setNames(plain(x), plain_names(x)) else x

# Whether all hold, looking no further than the first that does not.
every <- function(...) {
  for (i in seq_len(...length())) if (!isTRUE(...elt(i))) return(FALSE)
  TRUE
}

check_number <- function(x, name, low = -Inf, high = Inf, whole = FALSE, above = FALSE, below = FALSE) {
  v <- plain_numbers(x)
  v <- if (length(v) == 1) as.double(v) else NA
  is_right <- every(is.finite(v), if (above) v > low else v >= low, if (below) v < high else v <= high,
                    !whole || v == round(v))
  if (is_right) return(v)
  what <- paste(if (whole) "a whole number" else "a number", range_words(low, high, above, below))
  stop_user("`%s` must be %s, not %s.", name, trimws(what), shown(x))
}

# A number above 0 that is neither so small nor so large that what is made of it would not be finite.
check_positive <- function(x, name, least) {
  check_number(x, name, 0, above = TRUE)
  check_number(x, name, least, 1 / least)
}

range_words <- function(low, high, above, below) {
  from <- if (is.finite(low)) paste(if (above) "above" else "at least", format(low))
  to <- if (is.finite(high)) paste(if (below) "below" else "at most", format(high))
  paste(c(from, to), collapse = " and ")
}

check_flag <- function(x, name) {
  v <- if (is.logical(x) && is_plain_vector(x)) plain(x)
  if (length(v) == 1 && !is.na(v)) return(v)
  stop_user("`%s` must be TRUE or FALSE, not %s.", name, shown(x))
}

check_choice <- function(x, choices, name) {
  is_word <- every(is.character(x), !is.object(x), length(x) == 1, !is.na(x))
  if (is_word && x %in% choices) return(plain(x))
  hint <- if (is_word) did_you_mean(plain(x), choices) else ""
  stop_user("`%s` must be one of %s, not %s%s", name, quoted(choices), shown(x), if (nzchar(hint)) hint else ".")
}

# A number that set.seed() takes, or NULL.
check_seed <- function(seed) {
  if (!is.null(seed)) check_number(seed, "seed", -.Machine$integer.max, .Machine$integer.max, whole = TRUE)
}

# Arguments that no parameter took: an error that names the closest known one.
check_known <- function(given, known) {
  check_known_names(names(given), length(given), known)
}

# By name alone, before what was given is evaluated.
check_known_names <- function(names, n, known) {
  names <- as.vector(names)
  if (n && (is.null(names) || anyNA(names) || any(names == "")))
    stop_user("There is an argument without a name beyond those that the function has.")
  if (anyDuplicated(names)) stop_user("The argument `%s` is given twice.", names[duplicated(names)][1])
  name <- setdiff(names, known)
  if (length(name)) stop_user("There is no argument `%s`%s", name[1],
                              if (nzchar(hint <- did_you_mean(name[1], known))) hint else ".")
}

# Generics' dots: nothing is swallowed.
check_dots_empty <- function(..., known = character()) check_known(list(...), known)

# Numbers in words: whole ones with a mark between thousands that is not the session's decimal mark, and others with a
# fixed number of decimals.
thousands <- function(n) format(n, big.mark = if (identical(getOption("OutDec"), ",")) "." else ",", scientific = FALSE)
fixed <- function(x, decimals) formatC(x, decimals, format = "f", decimal.mark = getOption("OutDec"))
