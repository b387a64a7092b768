# Fits the four kinds of model to the real data that varnn and R ship, and writes one page with the lines that did it,
# their pictures, and their numbers beside those to expect: Rscript tools/quickstart.R FOLDER writes varnn.html there.
library(varnn)
folder <- c(commandArgs(TRUE), ".")[1]
started <- proc.time()[["elapsed"]]

# ---- what is fitted: the last line of the code gives the numbers

# Rows held out, one in five.
split <- function(data) {
  out <- seq_len(nrow(data)) %% 5 == 0
  list(train = data[!out, ], test = data[out, ])
}
rmse <- function(observed, predicted) sqrt(mean((observed - predicted)^2))
poisson_deviance <- function(y, mu) mean(2 * (ifelse(y == 0, 0, y * log(y / mu)) - (y - mu)))
boston <- split(MASS::Boston)
digit <- split(digits)
quine <- split(MASS::quine)
gag <- split(MASS::GAGurine)

sections <- list(
  list(
    title = "Regression", of = "fit_nn()",
    words = "The median value of houses in 506 parts of Boston (in 1,000 $) by 13 predictors, against the linear
      model. How long to train is chosen by cross-validation within the training data.",
    code = r"-(fit <- fit_nn(medv ~ ., boston$train)
plot(fit, "fit")
c("RMSE of lm()" = rmse(boston$test$medv, predict(lm(medv ~ ., boston$train), boston$test)),
  "RMSE of the network" = rmse(boston$test$medv, predict(fit, boston$test))))-",
    expected = c(4.85, 3.87), pictures = "Observed against fitted values, close to the line on which they agree."),
  list(
    title = "Classification", of = "fit_nn()",
    words = "1,797 handwritten digits of 8 by 8 pixels, against multinomial regression, which is the same model without
      a hidden layer. A tenth of the rows is held out to stop in time.",
    code = r"-(fit <- fit_nn(digit ~ ., digit$train, hidden = 64, validation = 0.1)
linear <- fit_nn(digit ~ ., digit$train, hidden = 0, optimizer = "lbfgs", penalty = 1e-3)
plot(fit, c("history", "fit"))
c("accuracy of the linear model" = mean(predict(linear, digit$test) == digit$test$digit),
  "accuracy of the network" = mean(predict(fit, digit$test) == digit$test$digit)))-",
    expected = c(0.967, 0.972),
    pictures = c("The loss of training and held-out rows by epoch; the best epoch is marked.",
                 "Confusion matrix of observed and predicted digits: nearly all counts are on the diagonal.")),
  list(
    title = "Counts", of = "fit_nn()",
    words = "Days of absence of 146 school children by four factors, against the Poisson regression of glm().",
    code = r"-(fit <- fit_nn(Days ~ ., quine$train, family = poisson)
linear <- glm(Days ~ ., poisson, quine$train)
plot(fit, "network")
means <- list(glm = predict(linear, quine$test, type = "response"), network = predict(fit, quine$test))
c("mean deviance of glm()" = poisson_deviance(quine$test$Days, means$glm),
  "mean deviance of the network" = poisson_deviance(quine$test$Days, means$network)))-",
    expected = c(9.81, 8.78),
    pictures = "The network: six inputs, sixteen hidden units, one output; weights are lines."),
  list(
    title = "Autoencoder", of = "fit_ae()",
    words = "The digits again, their labels left out: 64 pixels through a bottleneck of two units, against two principal
      components. The labels only colour the picture.",
    code = r"-(fit <- fit_ae(digit$train[-1], hidden = c(64, 32), validation = 0.1)
plot(fit, group = digit$train$digit)
comparison <- compare_pca(fit, digit$test[-1])
plot(comparison)
with(comparison$table[2, ],
     c("error of two components" = pca_error_new, "error of two codes" = ae_error_new)))-",
    expected = c(0.734, 0.481),
    pictures = c("Scatter of the two codes, drawn as the digits that they belong to, which form groups.",
                 "Reconstruction error of principal components and of the autoencoder for one and two dimensions.")),
  list(
    title = "Variational autoencoder", of = "fit_vae()",
    words = "A distribution of such images: two latent variables with a normal prior, and a network that decodes them.
      It is trained by the evidence lower bound (ELBO), and can simulate.",
    code = r"-(fit <- fit_vae(digit$train[-1], hidden = c(64, 32), latent = 2)
plot(fit, "history")
plot(fit, c("grid", "simulation"), dim = c(8, 8))
c("ELBO, training rows" = mean(elbo(fit)),
  "ELBO, held out" = mean(suppressWarnings(elbo(fit, digit$test[-1]))), # rare values of pixels are new
  "nats of KL" = mean(attr(elbo(fit), "kl"))))-",
    expected = c(-92.8, -99.6, 5.56),
    pictures = c("Log-likelihood, ELBO and KL by epoch.",
                 "What 15 by 15 codes decode to: digits that change smoothly into one another.",
                 "Twenty digits of the data above twenty that were simulated.")),
  list(
    title = "Bayesian network", of = "fit_bayes_nn()",
    words = "A concentration in the urine of 314 children by their age, the noise depending on age, too. Every weight
      has a distribution, so that predictions have intervals; calibration() says whether these are right. The default
      call averages linearised networks from several starts.",
    code = r"-(fit <- fit_bayes_nn(GAG ~ Age, gag$train)
plot(fit, "fit")
checked <- calibration(fit, gag$test)
plot(checked)
with(checked, c("coverage of 95% intervals" = coverage$observed[4], "log score" = log_score)))-",
    expected = c(0.968, -2.56),
    pictures = c("Concentration against age with the fitted curve and two bands, wide for the youngest.",
                 "Histogram of the probability integral transform of the rows held out, most bars in the grey band."))
)

# ---- the page

base64 <- function(file) {
  bytes <- as.integer(readBin(file, "raw", file.size(file)))
  pad <- -length(bytes) %% 3
  b <- matrix(c(bytes, integer(pad)), 3)
  six <- rbind(b[1, ] %/% 4, b[1, ] %% 4 * 16 + b[2, ] %/% 16, b[2, ] %% 16 * 4 + b[3, ] %/% 64, b[3, ] %% 64)
  code <- c(LETTERS, letters, 0:9, "+", "/")[six + 1]
  paste(c(utils::head(code, length(code) - pad), rep("=", pad)), collapse = "")
}
escaped <- function(text) gsub(">", "&gt;", gsub("<", "&lt;", gsub("&", "&amp;", text)))

# Runs the code of a section: its numbers, pictures and seconds.
run <- function(section) {
  files <- file.path(tempdir(), paste0(make.names(section$title), "-%02d.png"))
  png(files, 7, 3.6, "in", res = 120)
  par(mar = c(3.6, 3.8, 3.2, 1), mgp = c(2.4, 0.7, 0), las = 1)
  set.seed(1)
  seconds <- system.time(numbers <- eval(parse(text = section$code), globalenv()))[["elapsed"]]
  dev.off()
  close <- abs(numbers - section$expected) <= 0.1 * abs(section$expected)
  table <- data.frame(number = names(numbers), obtained = signif(numbers, 3), expected = section$expected,
                      verdict = ifelse(close, "as expected", "differs"), row.names = NULL)
  c(section, list(table = table, seconds = seconds, files = sprintf(files, seq_along(section$pictures))))
}
figure <- function(file, alt) {
  sprintf('<img src="data:image/png;base64,%s" alt="%s" width="840" height="432">', base64(file), escaped(alt))
}
row <- function(cells, tag = "td") paste0("<tr>", paste0("<", tag, ">", cells, "</", tag, ">", collapse = ""), "</tr>")
html <- function(done) {
  c(sprintf('<section id="%s">', make.names(done$title)),
    sprintf("<h2>%s <code>%s</code></h2>", done$title, done$of),
    sprintf("<p>%s</p>", escaped(gsub("\\s+", " ", done$words))),
    sprintf("<pre><code>%s</code></pre>", escaped(done$code)),
    unlist(Map(figure, done$files, done$pictures), use.names = FALSE),
    "<table>", row(c("number", "obtained", "expected", ""), "th"),
    apply(format(done$table, digits = 3, drop0trailing = TRUE), 1, function(r) row(escaped(trimws(r)))), "</table>",
    sprintf('<p class="small">%.1f seconds</p>', done$seconds), "</section>")
}
style <- "
body { max-width: 860px; margin: 2em auto; padding: 0 1em; font: 16px/1.5 system-ui, sans-serif; color: #222; }
h1 { margin-bottom: 0; }
h2 { margin-top: 2.2em; border-top: 1px solid #ccc; padding-top: 0.8em; }
h2 code { font-size: 0.75em; color: #0072b2; font-weight: normal; margin-left: 0.5em; }
pre { background: #f5f5f3; border-left: 3px solid #0072b2; padding: 0.7em 1em; overflow-x: auto; font-size: 13px; }
img { max-width: 100%; height: auto; display: block; margin: 0.5em 0; }
table { border-collapse: collapse; }
th { text-align: left; border-bottom: 1px solid #888; }
td, th { padding: 0.2em 1.6em 0.2em 0; font-variant-numeric: tabular-nums; }
.small, footer { color: #666; font-size: 14px; }"

done <- lapply(sections, run)
seconds <- proc.time()[["elapsed"]] - started
numbers <- do.call(rbind, lapply(done, function(d) data.frame(model = d$title, d$table)))
as_expected <- sum(numbers$verdict == "as expected")
verdict <- sprintf("%d of %d numbers are as expected (within 10%%)", as_expected, nrow(numbers))
about <- sprintf("varnn %s, %s, %s, %.0f seconds", packageVersion("varnn"), R.version.string, R.version$platform,
                 seconds)
file <- file.path(folder, "varnn.html")
writeLines(c(
  "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
  '<meta name="viewport" content="width=device-width, initial-scale=1">', "<title>varnn: quick start</title>",
  "<style>", style, "</style>", "</head>", "<body>", "<h1>varnn: quick start</h1>",
  sprintf('<p class="small">%s</p>', about),
  "<p>Four kinds of neural network on real data, in about five lines each. One row in five was held out;",
  "<code>$train</code> and <code>$test</code> are the two parts. Each section begins at <code>set.seed(1)</code>, so",
  sprintf("that its numbers can be compared with those of another machine: %s.</p>", verdict),
  unlist(lapply(done, html)),
  "<footer><p>Written by <code>tools/quickstart.R</code>, where <code>rmse()</code> and",
  "<code>poisson_deviance()</code> are defined, too. Where to go next: <code>library(varnn)</code> and",
  "<code>?varnn</code>.</p></footer>",
  "</body>", "</html>"), file)

options(width = 120)
print(format(numbers, digits = 3, drop0trailing = TRUE), row.names = FALSE)
cat(sprintf("\n%s.\n%s. The page with the pictures: %s\n", verdict, about, normalizePath(file)))
