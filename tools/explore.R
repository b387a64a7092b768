# What tools/explore runs: fits of all kinds, their pages, and what the browser makes of them.
# Arguments: the browser, the folder for pages and pictures, the script that acts in a page; then names of pages, or
# "numbers", for these alone.

suppressMessages(library(varnn))
args <- commandArgs(trailingOnly = TRUE)
browser <- args[1]
folder <- normalizePath(args[2])
acts <- paste(readLines(args[3]), collapse = "\n")
space <- asNamespace("varnn")
only <- args[-(1:3)]
is_wanted <- function(name) !length(only) || name %in% only

# ---- the browser

browse <- function(path, ..., out = FALSE) {
  profile <- tempfile()
  on.exit(unlink(profile, recursive = TRUE))
  found <- suppressWarnings(system2(browser, c(
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    paste0("--user-data-dir=", profile), ...,
    shQuote(paste0("file://", path))
  ), stdout = TRUE, stderr = FALSE, timeout = 180))
  if (out) paste(found, collapse = "\n")
}

# The page with the script in it, opened in a window of this size: what was wrong.
act_in <- function(html, name, size) {
  script <- sprintf("<head>\n<script>\n%s\n</script>", acts)
  path <- file.path(folder, paste0(name, "-tested.html"))
  writeLines(sub("<head>", script, html, fixed = TRUE), path, useBytes = TRUE)
  dom <- browse(path, "--virtual-time-budget=20000", "--dump-dom", paste0("--window-size=", size), out = TRUE)
  found <- regmatches(dom, regexpr("<pre id=\"test\"[^>]*>[^<]*", dom))
  unlink(path)
  if (!length(found)) return("the page did not come to its end")
  found <- gsub("&gt;", ">", gsub("&lt;", "<", gsub("&amp;", "&", sub("^[^>]*>", "", found))))
  said <- sub(".*\"wrong\":\\[(.*)\\],\"worst.*", "\\1", found)
  if (nzchar(said)) said
}

# ---- numbers

cars <- transform(mtcars, g = factor(ifelse(carb > 2, "many", "few")), l = vs == 1, o = factor(gear, ordered = TRUE),
                  share = qsec / 30, cyl_f = factor(cyl), s = carb + 0.5)
# A fit keeps its call, by which its data are found again: it must be one of the global environment.
fit_by <- function(f, ...) {
  more <- list(...)
  function(...) {
    call <- as.call(c(as.name(f), as.list(sys.call())[-1], more))
    suppressWarnings(suppressMessages(eval(call, globalenv())))
  }
}
few <- fit_by("fit_nn", hidden = 5, epochs = 30)
bayes <- fit_by("fit_bayes_nn")
vae <- fit_by("fit_vae", epochs = 30)
holes <- replace(iris, cbind(c(1, 60, 120, 7), c(1, 2, 5, 4)), NA)
own <- custom_family("laplace", ~ log(2) + log_s + abs(y - mu) / exp(log_s), eta = "mu", free = "log_s", scaled = TRUE)
program <- ~ ifelse(x > 0 & x < 2, pmin(x, 1), expm1(x) * plogis(x)^2) - 0.5 + atan(x) * dnorm(x) + sin(x) / 3

models <- c(
  sapply(activations(), function(a) bquote(few(mpg ~ wt + g + l, cars, activation = .(a)))),
  list(program = quote(few(mpg ~ wt + hp, cars, activation = program)),
       gamma_program = quote(few(mpg ~ wt, cars, activation = ~ lgamma(x^2 + 1) + digamma(abs(x) + 1) - pnorm(x)))),
  list(gaussian = quote(few(mpg ~ wt, cars)), gaussian_hetero = quote(few(mpg ~ wt, cars, family = "gaussian_hetero")),
       huber = quote(few(mpg ~ wt, cars, family = "huber")), quantile = quote(few(mpg ~ wt, cars, family = "quantile")),
       quantiles = quote(few(mpg ~ wt, cars, family = nn_family("quantile", tau = c(0.1, 0.5, 0.9)))),
       bernoulli = quote(few(am ~ wt, cars, family = "bernoulli")), two_levels = quote(few(g ~ wt, cars)),
       binomial = quote(few(cbind(carb, 8 - carb) ~ wt, cars, family = "binomial")),
       categorical = quote(few(cyl_f ~ wt + hp, cars)), ordinal = quote(few(o ~ wt + hp, cars)),
       poisson = quote(few(carb ~ wt + offset(log(hp)), cars, family = "poisson")),
       negative_binomial = quote(few(carb ~ wt, cars, family = "negative_binomial")),
       zero_inflated_poisson = quote(few(am ~ wt, cars, family = "zero_inflated_poisson")),
       zero_inflated_negative_binomial = quote(few(am ~ wt, cars, family = "zero_inflated_negative_binomial")),
       student_t = quote(few(mpg ~ wt, cars, family = "student_t")),
       student_4 = quote(few(mpg ~ wt, cars, family = nn_family("student_t", df = 4))),
       gamma = quote(few(s ~ wt, cars, family = "gamma")),
       inverse_gaussian = quote(few(s ~ wt, cars, family = "inverse_gaussian")),
       beta = quote(few(share ~ wt, cars, family = "beta")), weibull = quote(few(s ~ wt, cars, family = "weibull")),
       lognormal = quote(few(s ~ wt, cars, family = "lognormal")),
       loglogistic = quote(few(s ~ wt, cars, family = "loglogistic")),
       custom = quote(few(mpg ~ wt, cars, family = own))),
  list(columns = quote(few(mpg ~ wt * g + log(hp) + factor(cyl) + (qsec > 18) + l:wt + I(disp^2 / 1e4), cars)),
       tables = quote(few(mpg ~ splines::ns(wt, 3) * g + poly(hp, 2) + cut(qsec, c(0, 17, 19, 30)), cars)),
       offset = quote(few(mpg ~ wt + offset(qsec / 2), cars)), matrix = quote(few(as.matrix(cars[2:4]), cars$mpg)),
       several = quote(few(cbind(mpg, qsec) ~ wt + hp, cars)),
       norm = quote(few(mpg ~ wt + hp, cars, layer_norm = TRUE)),
       members = quote(few(mpg ~ wt + hp, cars, members = 3)),
       date = quote(few(mpg ~ d, transform(cars, d = as.Date("2020-01-01") + hp)))),
  list(laplace = quote(bayes(mpg ~ wt + hp, cars)),
       laplace_one = quote(bayes(mpg ~ wt + hp, cars, members = 1, sigma = "learned")),
       laplace_poisson = quote(bayes(carb ~ wt + hp, cars, family = "poisson", posterior = "laplace")),
       laplace_classes = quote(bayes(Species ~ ., iris, posterior = "laplace", members = 2)),
       laplace_two = quote(bayes(g ~ wt, cars, posterior = "laplace", members = 2)),
       meanfield = quote(bayes(mpg ~ wt + hp, cars, posterior = "meanfield", epochs = 200)),
       lowrank = quote(bayes(mpg ~ wt + hp, cars, posterior = "lowrank", epochs = 100)),
       full = quote(bayes(mpg ~ wt + hp, cars, posterior = "full", hidden = 3, epochs = 100)),
       last_layer = quote(bayes(mpg ~ wt + hp, cars, posterior = "last_layer", epochs = 100)),
       tanh_bayes = quote(bayes(mpg ~ wt, cars, posterior = "meanfield", activation = "tanh", epochs = 100)),
       linear_bayes = quote(bayes(mpg ~ wt + hp, cars, hidden = 0)),
       point = quote(bayes(mpg ~ wt, cars, posterior = "point")),
       hmc = quote(bayes(mpg ~ wt + hp, cars, hidden = 4, posterior = posterior_hmc(100, 100), members = 2)),
       hmc_classes = quote(bayes(g ~ wt, cars, hidden = 3, posterior = posterior_hmc(100, 100), members = 2)),
       swag = quote(bayes(mpg ~ wt + hp, cars, posterior = "swag")),
       dropout = quote(bayes(mpg ~ wt + hp, cars, posterior = posterior_dropout(rate = 0.1))),
       ivon = quote(bayes(carb ~ wt + hp, cars, family = "poisson", posterior = "ivon")),
       ordered_bayes = quote(bayes(o ~ wt, cars, members = 2))),
  list(vae = quote(vae(iris)), vae_textbook = quote(vae(iris, margins = "normal", sigma = "learned", latent = 3)),
       vae_holes = quote(vae(holes)), vae_hetero = quote(vae(iris[-5], sigma = "hetero")),
       vae_given = quote(vae(Sepal.Length + Petal.Length ~ Species + Sepal.Width, iris)),
       vae_families = quote(vae(cars[c("mpg", "carb", "l", "g", "o", "share", "s")],
                                family = c(carb = "poisson", share = "beta", s = "gamma"))),
       vae_cars = quote(vae(mtcars)), vae_digits = quote(vae(digits[1:300, 2:20])),
       ae = quote(fit_ae(iris, epochs = 30)), ae_tied = quote(fit_ae(iris[-5], tied = TRUE, epochs = 30)),
       ae_holes = quote(fit_ae(holes, epochs = 30, latent = 1)))
)

# All fits' numbers in one page, computed by the browser.
check_numbers <- function(models, n = 200) {
  if (is.null(models)) return(data.frame())
  set.seed(1)
  data <- list()
  for (name in names(models)) {
    failed <- function(e) cat(sprintf("  %s: %s\n", name, conditionMessage(e)))
    data[[name]] <- tryCatch(space$page_data(eval(models[[name]]), NULL, globalenv(), rows = 3, checks = n),
                             error = failed)
  }
  scripts <- c("math.js", "network.js", "families.js", "model.js", "code.js")
  scripts <- paste(vapply(scripts, space$page_part, ""), collapse = "\n")
  path <- file.path(folder, "numbers.html")
  writeLines(paste0(
    "<!doctype html><meta charset='utf-8'><body><script type='application/json' id='data'>", space$as_json(data),
    "</script><script>", scripts,
    "const out = []; const data = JSON.parse(document.getElementById('data').textContent);",
    "for (const name in data) { let found; try { const w = checkPage(data[name]); found = w.n + ' ' + w.value; } ",
    "catch (e) { found = '0 ' + e.message; } out.push(name + ' ' + found); }",
    "document.body.innerHTML = '<pre id=test></pre>'; ",
    "document.getElementById('test').textContent = out.join('\\n');</script>"), path, useBytes = TRUE)
  dom <- browse(path, "--virtual-time-budget=100000", "--dump-dom", out = TRUE)
  lines <- strsplit(sub("</pre>.*", "", sub(".*<pre id=\"test\">", "", dom)), "\n")[[1]]
  found <- do.call(rbind, strsplit(lines, " "))[, 1:3, drop = FALSE]
  out <- data.frame(name = found[, 1], numbers = as.integer(found[, 2]),
                    worst = suppressWarnings(as.double(found[, 3])))
  missing <- setdiff(names(models), out$name)
  rbind(out, data.frame(name = missing, numbers = rep(0L, length(missing)), worst = rep(NA_real_, length(missing))))
}

# ---- pages

# Texts that would do harm if they were read as HTML, or turn the text around them.
evil <- c("</script><script>window.injected = 1</script>", "<img src=x onerror='window.injected = 1'>",
          "\"'><b>&amp; quotes",
          "\U0001F600 \u05E9\u05DC\u05D5\u05DD \u202E right to left", "<!-- <script>", "a\\b\n\u2028c")
evil_rows <- function() {
  n <- 60
  d <- data.frame(x = seq_len(n) / 10, level = factor(evil[rep(1:6, length.out = n)]), y = sin(seq_len(n) / 10))
  names(d)[1] <- "<i>x</i> \"'&"
  row.names(d) <- paste(evil[rep(1:6, 10)], seq_len(n))
  d
}
pages <- list(
  classes = quote(explore(few(Species ~ ., iris))), curve = quote(explore(bayes(mpg ~ wt + hp + g, cars))),
  draws = quote(explore(bayes(mpg ~ wt + hp, cars, posterior = "meanfield", epochs = 200))),
  tables = quote(explore(few(mpg ~ splines::ns(wt, 3) + l + factor(cyl), cars))),
  plane = quote(explore(vae(iris), group = iris$Species)),
  deep = quote(explore(vae(mtcars, latent = 3, margins = "normal", sigma = "learned"), group = mtcars$mpg)),
  image = quote(explore(vae(digits[1:400, -1], latent = 2), group = digits$digit[1:400], dim = c(8, 8))),
  ae = quote(explore(fit_ae(iris, epochs = 100), group = iris$Species)),
  given = quote(explore(vae(Sepal.Length + Petal.Length ~ Species, iris))),
  evil = quote(explore(few(y ~ ., evil_rows()))), evil_vae = quote({
    d <- evil_rows()
    explore(vae(d), group = d$level)
  })
)

# ---- all of it

windows <- c(wide = "1280,1000", phone = "400,860")

bad <- 0
if (is_wanted("numbers")) cat("Numbers: the largest difference from R's\n")
numbers <- check_numbers(if (is_wanted("numbers")) models)
for (i in seq_len(nrow(numbers))) {
  is_right <- isTRUE(numbers$worst[i] < 1e-6) && numbers$numbers[i] > 0
  bad <- bad + !is_right
  cat(sprintf("  %-32s %6d numbers %9.1e%s\n", numbers$name[i], numbers$numbers[i], numbers$worst[i],
              if (is_right) "" else "  WRONG"))
}
cat("Pages\n")
for (name in Filter(is_wanted, names(pages))) {
  set.seed(1)
  page <- eval(pages[[name]])
  path <- file.path(folder, paste0(name, ".html"))
  writeBin(charToRaw(enc2utf8(page$html)), path)
  for (window in names(windows)) {
    size <- windows[[window]]
    wrong <- act_in(page$html, name, size)
    browse(path, "--virtual-time-budget=5000", paste0("--window-size=", size),
           paste0("--screenshot=", file.path(folder, sprintf("%s-%s.png", name, window))))
    bad <- bad + !is.null(wrong)
    cat(sprintf("  %-10s %-6s %7d bytes%s\n", name, window, page$size,
                if (is.null(wrong)) "" else paste("  WRONG:", wrong)))
  }
}
cat(if (bad) paste(bad, "wrong\n") else "All is right.\n")
quit(status = bad > 0)
