# JSON, written so that a reader has every double to the last bit, and that nothing in a text can end the script element
# that it stands in.

# Lists with names are objects, without names arrays; a vector of one value is that value, unless it is I(). Missing
# values and NaN are null. JSON has no infinity: 1e999 is read as it.
as_json <- function(x) {
  if (is.null(x)) return("null")
  if (is.list(x)) return(list_json(x))
  if (is.factor(x)) x <- as.character(x)
  values <- if (is.character(x)) text_json(x)
  else if (is.logical(x)) ifelse(is.na(x), "null", ifelse(x, "true", "false"))
  else number_json(x)
  if (length(values) == 1 && !inherits(x, "AsIs")) values else paste0("[", paste(values, collapse = ","), "]")
}

list_json <- function(x) {
  values <- vapply(x, as_json, "")
  if (is.null(names(x))) return(paste0("[", paste(values, collapse = ","), "]"))
  paste0("{", paste(text_json(names(x)), values, sep = ":", collapse = ","), "}")
}

# The shortest of 15 and 17 digits that are read as the same number.
number_json <- function(x) {
  x <- as.double(unclass(x))
  out <- sprintf("%.15g", x)
  known <- is.finite(x)
  long <- known & suppressWarnings(as.double(out)) != x
  out[long] <- sprintf("%.17g", x[long])
  out[!known] <- ifelse(is.na(x[!known]), "null", ifelse(x[!known] > 0, "1e999", "-1e999"))
  out
}

text_json <- function(x) {
  text <- enc2utf8(as.character(unclass(x)))
  text <- iconv(text, "UTF-8", "UTF-8", sub = "\uFFFD")
  is_missing <- is.na(text)
  text <- gsub("\\", "\\\\", text, fixed = TRUE)
  text <- gsub("\"", "\\\"", text, fixed = TRUE)
  special <- unique(unlist(regmatches(text, gregexpr("[\u0001-\u001f<>&\u007f\u2028\u2029]", text))))
  for (one in special) text <- gsub(one, sprintf("\\u%04x", utf8ToInt(one)), text, fixed = TRUE)
  ifelse(is_missing, "null", paste0("\"", text, "\""))
}

# Numbers as the base64 text of their bytes, the first byte the least: doubles, or with `size` 4 single precision.
packed <- function(x, size = 8L) {
  bytes <- writeBin(as.double(x), raw(), size = size, endian = "little")
  stats::setNames(list(base64(bytes)), if (size == 8) "f64" else "f32")
}

# The doubles nearest to x that single precision has.
as_single <- function(x) {
  x[] <- readBin(writeBin(as.double(x), raw(), size = 4), "double", length(x), size = 4)
  x
}

base64 <- function(bytes) {
  n <- length(bytes)
  left <- -n %% 3
  b <- matrix(as.integer(c(bytes, raw(left))), 3)
  code <- rbind(b[1, ] %/% 4L, b[1, ] %% 4L * 16L + b[2, ] %/% 16L, b[2, ] %% 16L * 4L + b[3, ] %/% 64L, b[3, ] %% 64L)
  text <- charToRaw(paste(c(LETTERS, letters, 0:9, "+", "/"), collapse = ""))[code + 1L]
  if (left) text[length(text) + 1 - seq_len(left)] <- charToRaw("=")
  rawToChar(text)
}
