# Pages of explore(): what is in the file, and, where node is there, their numbers against R's. tools/explore opens them
# in a browser.

page_of <- function(...) explore(...)$html
data_of <- function(html) {
  sub("</script>.*", "", sub(".*<script type=\"application/json\" id=\"page-data\">", "", html))
}
has_node <- function() nzchar(Sys.which("node"))
# A fit keeps its call, by which its data are found again: it must be one of the test.
fit_by <- function(f, ...) {
  more <- list(...)
  function(...) {
    set.seed(1)
    suppressWarnings(eval(as.call(c(as.name(f), as.list(sys.call())[-1], more)), parent.frame()))
  }
}
nn <- fit_by("fit_nn", hidden = 3, epochs = 5)

# The greatest difference between the page's numbers and those of R that it holds.
worst_in_node <- function(data) {
  parts <- vapply(c("math.js", "network.js", "families.js", "model.js", "code.js"), varnn:::page_part, "")
  script <- tempfile(fileext = ".js")
  on.exit(unlink(script))
  writeLines(c(parts, "const all = ", varnn:::as_json(data), ";",
               "for (const page of all) { const w = checkPage(page); console.log(w.n + ' ' + w.value); }"), script,
             useBytes = TRUE)
  found <- suppressWarnings(system2("node", shQuote(script), stdout = TRUE, stderr = TRUE))
  values <- do.call(rbind, lapply(strsplit(found, " "), function(v) suppressWarnings(as.double(v[1:2]))))
  expect_identical(nrow(values), length(data))
  expect_true(all(values[, 1] > 0))
  values[, 2]
}

test_that("JSON has every double to the last bit, and no text ends the script", {
  skip_if_not_installed("jsonlite")
  x <- c(0.1, 1 / 3, pi * 1e300, 5e-324, -2^53, 1e22, 123456789.123456789, .Machine$double.xmax)
  expect_identical(jsonlite::fromJSON(varnn:::as_json(x)), x)
  expect_identical(varnn:::as_json(c(NA, NaN, Inf, -Inf)), "[null,null,1e999,-1e999]")
  expect_identical(varnn:::as_json(list(a = 1, b = I(1), c = NULL, d = list(), e = TRUE, f = NA, g = NA_character_)),
                   "{\"a\":1,\"b\":[1],\"c\":null,\"d\":[],\"e\":true,\"f\":null,\"g\":null}")
  evil <- c("</script><!--", "a\"b\\c\n\t\u0001", "\u2028\u2029", "\U0001F600 \u05E9\u202E", "&amp; <b>", "")
  text <- varnn:::as_json(evil)
  expect_false(grepl("[<>&\n\u2028\u2029]", text))
  expect_identical(jsonlite::fromJSON(text), evil)
  named <- stats::setNames(list(1L), evil[1])
  expect_identical(jsonlite::fromJSON(varnn:::as_json(named)), named)
})

test_that("packed numbers are their bytes", {
  skip_if_not_installed("jsonlite")
  for (n in 0:7) {
    bytes <- as.raw((seq_len(n) * 67) %% 256)
    expect_identical(varnn:::base64(bytes), as.character(jsonlite::base64_enc(bytes)))
  }
  x <- c(pi, -1e-300, 1e10 + 1 / 3)
  back <- function(text, size) readBin(jsonlite::base64_dec(text), "double", 3, size = size, endian = "little")
  expect_identical(back(varnn:::packed(x)$f64, 8), x)
  expect_identical(back(varnn:::packed(c(0.5, -2, 3), 4)$f32, 4), c(0.5, -2, 3))
  expect_identical(varnn:::as_single(c(0.5, 1 / 3))[1], 0.5)
  expect_lt(abs(varnn:::as_single(1 / 3) * 3 - 1), 1e-7)
})

test_that("a page is one file, complete, and small", {
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 4, members = 2)
  set.seed(2)
  before <- .Random.seed
  file <- tempfile(fileext = ".html")
  page <- explore(fit, file = file)
  expect_identical(.Random.seed, before)
  expect_s3_class(page, "varnn_explorer")
  expect_identical(readChar(file, 1e7, useBytes = TRUE), page$html)
  expect_equal(file.size(file), page$size)
  expect_lt(page$size, 3e5)
  others <- "src=|href=\"[^d]|https?://(?!www.w3.org/2000/svg)|@import|url\\((?!#)"
  expect_false(grepl(others, page$html, perl = TRUE))
  expect_identical(explore(fit)$html, page$html)
  expect_output(print(page), "Page of a fit: Bayesian")
  expect_invisible(explore(fit, file = file))
  expect_visible(explore(fit))
  unlink(file)
})

test_that("rows that are not asked for are not in the page", {
  skip_if_not_installed("jsonlite")
  d <- transform(mtcars[c("mpg", "wt")], wt = wt + 0.000123)
  fit <- nn(mpg ~ wt, d)
  known <- function(rows) jsonlite::fromJSON(data_of(page_of(fit, rows = rows)))$rows
  expect_length(known(0)$names, 0)
  expect_length(known(5)$names, 5)
  expect_setequal(known(100)$values, d$wt)
  expect_equal(known(100)$response[1, ], d[known(100)$names, "mpg"])
})

test_that("texts of the data stay texts", {
  levels <- c("</script><script>alert(1)</script>", "<!--", "\"'&\u2028")
  d <- data.frame(x = 1:40 / 7, g = factor(rep(levels, length.out = 40)), y = sin(1:40))
  names(d)[1] <- "<img src=x onerror=alert(1)>"
  row.names(d) <- paste0("<b>", 1:40)
  for (html in list(page_of(nn(y ~ ., d)), page_of(fit_ae(d, epochs = 2), group = d$g))) {
    expect_identical(lengths(regmatches(html, gregexpr("<script", html, fixed = TRUE))), 2L)
    expect_identical(lengths(regmatches(html, gregexpr("</script", html, fixed = TRUE))), 2L)
    expect_false(grepl("<img|<b>|<!--", html))
  }
})

test_that("in documents a page stands in a frame", {
  skip_if_not_installed("knitr")
  page <- explore(nn(mpg ~ wt, mtcars))
  frame <- as.character(knitr::knit_print(page))
  expect_match(frame, "<iframe [^>]*srcdoc=\"[^\"]*\"></iframe>")
  expect_false(grepl("\n[^`]*\n[^`]*</iframe>", frame))
  inside <- sub("\"></iframe>.*", "", sub(".*srcdoc=\"", "", frame))
  for (one in list(c("&#10;", "\n"), c("&quot;", "\""), c("&lt;", "<"), c("&gt;", ">"), c("&amp;", "&")))
    inside <- gsub(one[1], one[2], inside, fixed = TRUE)
  expect_identical(inside, page$html)
})

test_that("what is no HTML has a word in place of the page", {
  skip_if_not_installed("knitr")
  set.seed(1)
  page <- explore(fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5))
  before <- knitr::opts_knit$get("rmarkdown.pandoc.to")
  on.exit(knitr::opts_knit$set(rmarkdown.pandoc.to = before))
  knitr::opts_knit$set(rmarkdown.pandoc.to = "latex")
  expect_match(as.character(knit_print.varnn_explorer(page)), "shown in HTML documents")
  knitr::opts_knit$set(rmarkdown.pandoc.to = "html")
  expect_match(as.character(knit_print.varnn_explorer(page)), "srcdoc", fixed = TRUE)
})

test_that("the viewer is given a file in the session's folder", {
  set.seed(1)
  page <- explore(fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5))
  seen <- NULL
  before <- options(viewer = function(path) seen <<- path)
  on.exit(options(before))
  open_page(page)
  expect_true(startsWith(normalizePath(seen), normalizePath(tempdir())))
  expect_identical(readChar(seen, page$size, useBytes = TRUE), page$html)
  expect_output(print(page), "Page of a fit")
})

test_that("mistakes are told in the user's words", {
  fit <- nn(mpg ~ wt, mtcars)
  ae <- fit_ae(iris[1:4], epochs = 2)
  expect_error(explore(3), "`fit` must be a fit")
  expect_error(explore(fit, file = "a.pdf"), "`file` must be the name of a file that ends in .html")
  expect_error(explore(fit, file = file.path(tempdir(), "none", "a.html")), "`file`: there is no folder")
  expect_error(explore(fit, max_size = 1e5), "0.1[0-9]* MB, more than `max_size` = 100000")
  expect_error(explore(fit, group = 1), "`group` is for autoencoders")
  expect_error(explore(ae, dim = c(2, 3)), "`dim` = c\\(2, 3\\) makes 6 pixels")
  expect_error(explore(ae, group = 1:3), "`group` must have a value for each of the 150")
  expect_error(explore(fit, drawz = 3), "no argument `drawz`; did you mean \"draws\"")
  both <- nn(mpg ~ pmax(wt, hp / 100) + qsec, mtcars)
  expect_error(explore(both), "`pmax\\(wt, hp/100\\)` of the formula cannot be computed in a page")
  shifted <- nn(mpg ~ wt + offset(pmax(hp, 100)), mtcars)
  expect_error(explore(shifted), "`offset\\(\\)` of the formula")
  skip_on_os("windows")
  folder <- tempfile()
  dir.create(folder)
  locked <- file.path(folder, "page.html")
  dir.create(locked)
  expect_error(explore(fit, file = locked), "`file` = .* is a folder")
  expect_error(varnn:::write_page("x", file.path(folder, "none", "x.html")), "`file` = .*x.html\" cannot be written")
  unlink(folder, recursive = TRUE)
})

test_that("columns of the data come to the network as in R", {
  d <- transform(mtcars, g = factor(ifelse(carb > 2, "many", "few")), l = vs == 1, o = factor(gear, ordered = TRUE),
                 d = as.Date("2020-01-01") + hp)
  names(d)[names(d) == "g"] <- "a b"
  formulas <- list(mpg ~ wt * `a b` + log(hp) + factor(cyl) + (qsec > 18) + l:wt + I(disp^2 / 1e4), mpg ~ `a b` - 1 + o,
                   mpg ~ stats::poly(hp, 2) + splines::ns(wt, 3):l + cut(qsec, c(0, 17, 19, 30)),
                   mpg ~ d + offset(qsec / 2))
  data <- lapply(formulas, function(f) varnn:::page_data(nn(f, d), NULL, environment(), checks = 50))
  skip_if_not(has_node(), "node is not there")
  expect_true(all(worst_in_node(data) < 1e-9))
})

test_that("posteriors, families and programs predict as predict() does", {
  d <- transform(mtcars, o = factor(gear, ordered = TRUE), s = qsec / 10)
  own <- custom_family("laplace", ~ log(2) + log_s + abs(y - mu) / exp(log_s), eta = "mu", free = "log_s",
                       scaled = TRUE)
  bayes <- fit_by("fit_bayes_nn", epochs = 30, hidden = 3)
  set.seed(1)
  fits <- list(
    fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 4, members = 3), bayes(mpg ~ wt, mtcars, posterior = "meanfield"),
    bayes(mpg ~ wt, mtcars, posterior = "meanfield", activation = "tanh"),
    bayes(mpg ~ wt, mtcars, posterior = "lowrank"),
    fit_bayes_nn(carb ~ wt, mtcars, family = "poisson", posterior = "laplace", hidden = 3),
    fit_bayes_nn(Species ~ ., iris, posterior = "laplace", hidden = 3, members = 1), nn(mpg ~ wt, d, members = 2),
    nn(mpg ~ wt, d, family = "gaussian_hetero", layer_norm = TRUE), nn(o ~ wt, d),
    nn(carb ~ wt, d, family = "negative_binomial"),
    nn(s ~ wt, d, family = "gamma"), nn(s ~ wt, d, family = "weibull"), nn(mpg ~ wt, d, family = "student_t"),
    nn(mpg ~ wt, d, family = nn_family("quantile", tau = c(0.1, 0.5, 0.9))), nn(mpg ~ wt, d, family = own),
    nn(mpg ~ wt, d, activation = ~ x * pnorm(x) + lgamma(x^2 + 1))
  )
  data <- lapply(fits, function(f) varnn:::page_data(f, NULL, environment(), checks = 20))
  ways <- vapply(data, function(p) paste(p$way, p$center), "")
  expect_setequal(unique(ways), c("normal nodes", "draws moments", "draws draws", "shifts draws", "point mode"))
  expect_false(is.null(data[[1]]$checks$prediction))
  skip_if_not(has_node(), "node is not there")
  expect_true(all(worst_in_node(data) < 1e-6))
  skip_if_counted()
  # a page whose weights are not those of the fit says so
  data[[7]]$members[[1]]$theta <- varnn:::packed(fits[[7]]$members[[1]]$theta + 1e-4)
  expect_gt(worst_in_node(data[7]), 1e-6)
})

test_that("autoencoders encode and decode as encode() and decode() do", {
  holes <- replace(iris, cbind(c(1, 60, 120, 7), c(1, 2, 5, 4)), NA)
  cars <- transform(mtcars, l = vs == 1, share = qsec / 30)[c("mpg", "carb", "l", "share", "drat")]
  vae <- fit_by("fit_vae", epochs = 5, hidden = 4)
  set.seed(1)
  fits <- list(vae(holes), vae(iris, margins = "normal", sigma = "learned", latent = 3),
               vae(iris[-5], sigma = "hetero", latent = 1),
               vae(Sepal.Length + Petal.Length ~ Species + Sepal.Width, iris),
               vae(cars, family = c(carb = "poisson", share = "beta")),
               fit_ae(holes, epochs = 5), fit_ae(iris[-5], tied = TRUE, epochs = 5))
  data <- lapply(fits, function(f) varnn:::page_data(f, NULL, environment(), checks = 50))
  skip_if_not(has_node(), "node is not there")
  expect_true(all(worst_in_node(data) < 1e-9))
})
