# explore(): a fit as one HTML page. The page is put together from the files in inst/explore, and explore_page.R makes
# what it holds of the fit.

#' Explore a fit in the browser
#'
#' Writes a fit into one HTML page that computes its predictions itself: it needs no server, no R and no network. Its
#' reader moves predictors and sees the prediction change, or drags a point over the plane of two codes and sees what it
#' decodes to.
#'
#' @param fit a fit by [fit_nn()], [fit_bayes_nn()], [fit_ae()] or [fit_vae()].
#' @param newdata data whose rows are shown; by default the training data.
#' @param file the name of the file to write, which ends in `.html`; `NULL` for a temporary one that is opened when the
#'   result is printed.
#' @param group for autoencoders: the colours of the rows, as in [plot.varnn()]: a factor, characters, logicals or
#'   numbers, one for each row.
#' @param dim for autoencoders whose columns are the pixels of images: their height and width, as `c(8, 8)`.
#' @param draws of posteriors whose bands have no closed form: how many draws of the weights the page holds.
#' @param rows how many rows of the data the page holds and shows, at most; 0 for none.
#' @param max_size the most bytes that the page may have.
#' @param ... not used; an argument here is an error.
#' @details
#' The page of a network with a response has a curve of the prediction as one predictor moves, by the levels or some
#' values of a second one, with the data; bands of the mean and of observations, where the fit has them; functions drawn
#' from the posterior, one by one; and a table in which all predictors of a row can be changed, with an effect curve for
#' each. The page of an autoencoder has the plane of two codes with the rows, coloured by `group`; what a point there
#' decodes to, as an image or as a table of the columns' distributions; rows simulated from the prior; and a row whose
#' entries can be changed, or left out, with its code and its reconstruction. Both have the history of the training.
#' Everything can be done by keyboard and by touch.
#'
#' **What it shows is what R says.** The page has the weights to the last bit, and the answers of [predict()],
#' [decode()] and [encode()] to some inputs drawn at random. It computes these when it is opened, and says below how far
#' it is from R's. Bands of a Bayesian network with `posterior = "laplace"` are those of
#' [predict()][predict.varnn_bayes_nn] where these have a closed form and the covariance of the weights is not large;
#' else, and with other posteriors, they come from `draws` draws of the weights in place of R's 1,000, and the page says
#' so.
#'
#' **What it cannot.** Terms of the formula such as `ns(x, 3)` or `poly(x, 2)` are tables in the page: `x` then moves in
#' 200 steps. A term that R alone can compute of several variables is an error that names it. Of families of your own
#' ([custom_family()]) the page has the mean, and no bands.
#'
#' **What is in it.** The page holds `rows` rows of the data, so who has it has these. Texts of the data are shown as
#' texts, whatever is in them.
#' @return An object of class `varnn_explorer`, a list with `html`, the page; `title`; `size` in bytes; and `file`. With
#'   `file` invisibly. Printing it opens the page in RStudio's viewer or the browser, and in a document of knitr it
#'   becomes part of the page.
#' @seealso [plot.varnn()], [effects()][effects.varnn], [decode()].
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 4, members = 2)
#' page <- explore(fit, file = tempfile(fileext = ".html"))
#' page$size
#' if (interactive()) {
#'   digits_vae <- fit_vae(digits[-1], latent = 2, epochs = 20)
#'   explore(digits_vae, group = digits$digit, dim = c(8, 8))
#' }
#' @export
explore <- function(fit, newdata = NULL, file = NULL, group = NULL, dim = NULL, draws = 50, rows = 500, max_size = 5e6,
                    ...) {
  if (!inherits(fit, "varnn")) stop_user("`fit` must be a fit of this package, not %s.", shown(fit))
  check_fit(fit)
  envir <- parent.frame()
  check_dots_empty(..., known = c("newdata", "file", "group", "dim", "draws", "rows", "max_size"))
  file <- check_page_file(file)
  draws <- check_number(draws, "draws", 1, 1000, whole = TRUE)
  rows <- check_number(rows, "rows", 0, 1e5, whole = TRUE)
  max_size <- check_number(max_size, "max_size", 1e5, 1e9)
  if (has_response(fit)) for (name in c("group", "dim")) if (!is.null(get(name)))
    stop_user("`%s` is for autoencoders, and this fit has a response.", name)
  check_page_size(page_bytes(fit, draws), max_size)
  data <- page_data(fit, newdata, envir, group, dim, draws, rows)
  html <- page_html(data)
  check_page_size(nchar(html, "bytes"), max_size)
  out <- structure(list(html = html, title = data$title, size = nchar(html, "bytes"), file = file),
                   class = "varnn_explorer")
  if (is.null(file)) return(out)
  write_page(html, file)
  invisible(out)
}

check_page_file <- function(file) {
  if (is.null(file)) return(NULL)
  is_name <- every(is.character(file), length(file) == 1, !is.na(file))
  if (!is_name || !grepl("[.]html?$", file, ignore.case = TRUE))
    stop_user("`file` must be the name of a file that ends in .html, or NULL, not %s.", shown(file))
  if (!dir.exists(dirname(file))) stop_user("`file`: there is no folder \"%s\".", dirname(file))
  if (dir.exists(file)) stop_user("`file` = \"%s\" is a folder.", file)
  plain(file)
}

write_page <- function(html, file) {
  refuse <- function(e) stop_user("`file` = \"%s\" cannot be written: %s.", file, sub("[.]$", "", conditionMessage(e)))
  tryCatch({
    to <- file(file, "wb")
    on.exit(close(to))
    writeBin(charToRaw(enc2utf8(html)), to)
  }, error = refuse, warning = refuse)
}

# The bytes of the numbers alone, before they are made.
page_bytes <- function(fit, draws) {
  found <- page_members(fit)
  n <- as.double(length(leaf_places(mean_leaves(found$fits[[1]])))) * length(found$fits)
  way <- if (has_response(fit)) page_way(fit, found$fits) else "point"
  4 / 3 * (8 * n + if (way %in% c("shifts", "draws")) 4 * draws * n / length(found$fits) else 0)
}

check_page_size <- function(size, max_size) {
  if (size <= max_size) return(invisible())
  mb <- function(x) format(x / 1e6, digits = 3)
  stop_user(paste("The page would have %s MB, more than `max_size` = %s (%s MB): raise it, or ask for fewer `rows` or",
                  "`draws`."), mb(size), format(max_size, scientific = FALSE), mb(max_size))
}

page_checks <- 20 # inputs by which a page checks itself

page_data <- function(fit, newdata, envir, group = NULL, dim = NULL, draws = 50, rows = 500, checks = page_checks) {
  data <- if (has_response(fit)) predict_page(fit, newdata, envir, draws, rows, checks)
  else coder_page(fit, newdata, envir, group, dim, rows, checks)
  c(list(title = model_title(fit), lines = I(page_lines(fit)), version = as.character(fit$version),
         history = page_history(fit)), data)
}

page_lines <- function(fit) {
  first <- page_members(fit)$fits[[1]]
  c(paste("Call:", shown_call(fit$call)), paste("Network:", network_line(first)), paste("Data:", data_line(fit)),
    if (is_mixture(fit)) paste("Members:", members_phrase(fit)))
}

# ---- the page

explore_scripts <- c("math.js", "network.js", "families.js", "model.js", "code.js", "dom.js", "chart.js", "predict.js",
                     "plane.js", "main.js")

page_part <- function(name) {
  path <- system.file("explore", name, package = "varnn", mustWork = TRUE)
  paste(readLines(path, encoding = "UTF-8", warn = FALSE), collapse = "\n")
}

page_html <- function(data) {
  parts <- list(title = html_text(data$title), style = page_part("page.css"), data = as_json(data),
                script = paste(vapply(explore_scripts, page_part, ""), collapse = "\n"))
  pieces <- strsplit(page_part("page.html"), "{{", fixed = TRUE)[[1]]
  names <- sub("}}.*", "", pieces[-1])
  paste0(pieces[1], paste0(unlist(parts[names]), sub("^.*?}}", "", pieces[-1], perl = TRUE), collapse = ""))
}

html_text <- function(x) {
  x <- gsub("&", "&amp;", x, fixed = TRUE)
  x <- gsub("<", "&lt;", x, fixed = TRUE)
  x <- gsub(">", "&gt;", x, fixed = TRUE)
  gsub("\"", "&quot;", x, fixed = TRUE)
}

#' @rdname explore
#' @param x what `explore()` gives.
#' @export
print.varnn_explorer <- function(x, ...) {
  check_standard("print", ...)
  cat(sprintf("Page of a fit: %s, %s kB\n", x$title, format(round(x$size / 1000))))
  if (!is.null(x$file)) cat("File: ", x$file, "\n", sep = "")
  if (interactive()) open_page(x)
  invisible(x)
}

# The viewer takes files in the session's own folder alone.
open_page <- function(x) {
  folder <- tempfile("varnn")
  dir.create(folder)
  path <- file.path(folder, "index.html")
  write_page(x$html, path)
  viewer <- getOption("viewer")
  if (is.function(viewer)) viewer(path) else utils::browseURL(path)
}

# Within a document the page stands in a frame, of whose text line ends are written out: a blank line would end a block
# of markdown.
#' @exportS3Method knitr::knit_print
knit_print.varnn_explorer <- function(x, ...) {
  if (!isTRUE(knitr::is_html_output()) && !is.null(knitr::pandoc_to()))
    return(knitr::asis_output(sprintf("Page of a fit: %s. It is shown in HTML documents.", x$title)))
  source <- gsub("\n", "&#10;", html_text(x$html), fixed = TRUE)
  frame <- sprintf("<iframe title=\"%s\" style=\"%s\" loading=\"lazy\" srcdoc=\"%s\"></iframe>", html_text(x$title),
                   "width:100%;height:760px;border:0", source)
  if (is.null(knitr::pandoc_to())) knitr::asis_output(frame) else knitr::raw_html(frame)
}
