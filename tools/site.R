# The work of tools/site: site.R BROWSER SOURCE, the source being a copy that may be written to.

args <- commandArgs(trailingOnly = TRUE)
browser <- args[1]
source <- normalizePath(args[2])
docs <- file.path(source, "docs")
if (Sys.getenv("TZ") == "") Sys.setenv(TZ = "UTC")
options(pkgdown.internet = FALSE)

# ---- building

site <- pkgdown::as_pkgdown(source)
pkgdown::check_pkgdown(site)
invisible(utils::capture.output(suppressMessages({
  pkgdown::init_site(site)
  pkgdown::build_home(site, preview = FALSE)
  pkgdown::build_reference(site, preview = FALSE, lazy = FALSE, devel = FALSE)
  pkgdown::build_articles(site, preview = FALSE, lazy = FALSE)
  pkgdown::build_news(site, preview = FALSE)
  pkgdown::build_search(site)
})))
pages <- list.files(docs, "[.]html$", recursive = TRUE)
cat(length(pages), "pages\n")

# ---- links

documents <- stats::setNames(lapply(file.path(docs, pages), xml2::read_html), pages)
attributes_of <- function(document, path) xml2::xml_text(xml2::xml_find_all(document, path))
places <- lapply(documents, function(d) c(attributes_of(d, "//@id"), attributes_of(d, "//a/@name")))
# Addresses in a page but those on other hosts, of mail, and of images that are in it.
links_of <- function(page) {
  links <- unique(attributes_of(documents[[page]], "//@href | //@src"))
  links[!grepl("^([a-z]+:|//|#$|$)", links)]
}
# The file that a page's link leads to, from the site's folder on.
target_of <- function(page, link) {
  file <- utils::URLdecode(sub("[#?].*", "", link))
  target <- gsub("(^|/)[.]/", "\\1", if (nzchar(file)) file.path(dirname(page), file) else page)
  while (grepl("[^/]+/[.][.]/", target)) target <- sub("[^/]+/[.][.]/", "", target)
  if (dir.exists(file.path(docs, target))) file.path(sub("/$", "", target), "index.html") else target
}
# What is wrong with a link, in words; NULL: nothing.
wrong_with <- function(page, link) {
  target <- target_of(page, link)
  if (!file.exists(file.path(docs, target))) return(sprintf("%s leads to %s, which is not there", page, link))
  place <- if (grepl("#", link)) utils::URLdecode(sub(".*#", "", link)) else ""
  if (nzchar(place) && target %in% pages && !place %in% places[[target]])
    sprintf("%s leads to %s, and there is no such place in that page", page, link)
}
links <- lapply(stats::setNames(pages, pages), links_of)
wrong <- as.character(unlist(lapply(pages, function(page) lapply(links[[page]], wrong_with, page = page))))
cat(sum(lengths(links)), "links within the site\n")

# ---- the browser

# Scripts that pkgdown's pages take from other hosts, and what the browser says where it does not get one.
of_others <- "headroom|MathJax|mathjax|autocomplete|Fuse|ClipboardJS|Toc|net::ERR_"
console_of <- function(page) {
  profile <- tempfile()
  on.exit(unlink(profile, recursive = TRUE))
  said <- suppressWarnings(system2(browser, c(
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
    "--enable-logging=stderr", "--disable-background-networking", "--virtual-time-budget=5000", "--dump-dom",
    paste0("--user-data-dir=", profile),
    shQuote(paste0("file://", file.path(docs, page)))
  ), stdout = TRUE, stderr = TRUE, timeout = 120))
  if (!any(grepl("</html>", said, fixed = TRUE))) return("the page did not open")
  grep(of_others, grep("CONSOLE", said, value = TRUE), invert = TRUE, value = TRUE)
}
for (page in pages) {
  said <- sub(".*CONSOLE[^\"]*", "", console_of(page))
  if (length(said)) wrong <- c(wrong, sprintf("%s: %s", page, said))
}

writeLines(wrong)
cat(length(pages), "pages opened,", length(wrong), "found wrong\n")
quit(status = length(wrong) > 0)
