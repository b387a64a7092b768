# The diffs of the vignette on the engine: applied to a copy of the source, they build a package that has what they add.

# The lines of the blocks of diffs.
diffs_of <- function(file) {
  lines <- readLines(file)
  starts <- which(lines == "```diff")
  ends <- vapply(starts, function(i) i + which(lines[-seq_len(i)] == "```")[1], 0)
  unlist(Map(function(from, to) lines[seq(from + 1, to - 1)], starts, ends))
}

test_that("the engine's vignette tells the truth about adding an activation, a family, a posterior, an optimizer", {
  skip_on_cran()
  root <- source_root()
  if (is.null(root) || is_watched() || is_counted() || !nzchar(Sys.which("patch"))) skip("needs the source, and patch")
  copy <- tempfile("varnn")
  dir.create(copy)
  on.exit(unlink(copy, recursive = TRUE))
  file.copy(file.path(root, c("DESCRIPTION", "NAMESPACE", "R", "src", "data", "tests")), copy, recursive = TRUE)
  unlink(list.files(file.path(copy, "src"), "[.](o|so|dll)$", full.names = TRUE))
  diff <- file.path(copy, "all.diff")
  writeLines(diffs_of(file.path(root, "vignettes", "engine.Rmd")), diff)
  quiet <- function(command, arguments, env = character()) {
    suppressWarnings(system2(command, arguments, stdout = TRUE, stderr = TRUE, env = env))
  }
  patched <- quiet("patch", c("-p1", "-F0", "-d", shQuote(copy), "-i", shQuote(diff)))
  expect_identical(grep("FAILED|fuzz", patched, value = TRUE), character())

  library <- file.path(copy, "library")
  dir.create(library)
  writeLines("CFLAGS = -O0", file.path(copy, "Makevars"))
  script <- file.path(copy, "use.R")
  writeLines(c(
    sprintf(".libPaths(c(%s, .libPaths()))", deparse(library)),
    "library(varnn)",
    "stopifnot(\"softsign\" %in% activations(), \"exponential\" %in% families(), \"nadam\" %in% optimizers())",
    "set.seed(1)",
    "waits <- data.frame(a = rnorm(500), b = runif(500))",
    "waits$y <- rexp(500, exp(-(1 + 0.5 * waits$a - waits$b)))",
    "fit <- fit_nn(y ~ a + b, waits, family = \"exponential\", hidden = 0, optimizer = \"lbfgs\")",
    "truth <- coef(glm(y ~ a + b, Gamma(link = \"log\"), waits, control = list(epsilon = 1e-12)))",
    "stopifnot(max(abs(coef(fit) - truth)) < 1e-6)",
    "waits$y[7] <- NA",
    "for (posterior in c(\"meanfield\", \"laplace\")) {",
    "  bayes <- fit_bayes_nn(y ~ a + b, waits, family = \"exponential\", hidden = 3, posterior = posterior,",
    "                        epochs = 60)",
    "  at <- predict(bayes, waits[1:99, ], interval = \"prediction\")",
    "  mean <- predict(bayes, waits[1:99, ], interval = \"confidence\")",
    "  stopifnot(at[, \"lwr\"] < mean[, \"lwr\"], at[, \"upr\"] > mean[, \"upr\"], mean[, \"lwr\"] > 0)",
    "  stopifnot(cor(log(predict(bayes, waits)), 1 + 0.5 * waits$a - waits$b) > 0.8)",
    "  covers <- waits$y[1:99] > at[, \"lwr\"] & waits$y[1:99] < at[, \"upr\"]",
    "  stopifnot(mean(covers, na.rm = TRUE) > 0.85, is.finite(log_lik(bayes, waits[1:3, ])), simulate(bayes)[[1]] > 0)",
    "  stopifnot(calibration(bayes)$kind == \"number\", length(capture.output(summary(bayes))) > 5)",
    "}",
    "for (fit_coder in list(fit_ae, fit_vae)) {",
    "  coder <- fit_coder(waits, latent = 2, hidden = 4, family = c(y = \"exponential\"), epochs = 60)",
    "  stopifnot(\"exponential\" %in% coder$family, reconstruct(coder, waits)$y > 0)",
    "  stopifnot(is.finite(predict(coder, type = \"error\")))",
    "  stopifnot(cor(log(reconstruct(coder, waits)$y), log(waits$y), use = \"complete.obs\") > 0.1)",
    "}",
    "stopifnot(simulate(coder, 9)$y > 0, impute(coder)$y > 0)",
    "network <- fit_nn(mpg ~ wt, mtcars, hidden = 3, activation = \"softsign\", optimizer = \"nadam\", epochs = 300)",
    "stopifnot(check_gradients(network) < 1e-6, cor(predict(network), mtcars$mpg) > 0.8)",
    "both <- lapply(c(\"outputs\", \"full\"), function(posterior) {",
    "  set.seed(1)",
    "  fit_bayes_nn(cbind(mpg, qsec) ~ wt + hp, mtcars, hidden = 0, posterior = posterior, epochs = 50)",
    "})",
    "stopifnot(identical(both[[1]]$theta, both[[2]]$theta), identical(vcov(both[[1]]), vcov(both[[2]])))",
    "stopifnot(any(grepl(\"Posterior: outputs; estimator weight\", capture.output(print(both[[1]])))))",
    "deep <- fit_bayes_nn(cbind(mpg, qsec) ~ wt, mtcars, hidden = 3, posterior = \"outputs\", epochs = 20)",
    "stopifnot(check_gradients(deep) < 1e-5, sum(vcov(deep) != 0) == 6 + 8^2)",
    "cat(\"all is there\\n\")"
  ), script)
  r <- file.path(R.home("bin"), "R")
  built <- quiet(r, c("CMD", "INSTALL", "--no-docs", "--no-test-load", "--no-byte-compile", "-l", shQuote(library),
                      shQuote(copy)), paste0("R_MAKEVARS_USER=", shQuote(file.path(copy, "Makevars"))))
  expect_null(attr(built, "status"), label = paste(utils::tail(built, 20), collapse = "\n"))
  said <- quiet(r, c("--vanilla", "--no-echo", "-f", shQuote(script)))
  expect_true("all is there" %in% said, label = paste(utils::tail(said, 8), collapse = "\n"))
})

test_that("a doi in a vignette stands in the text of a link: alone it becomes an address that browsers do not know", {
  root <- source_root()
  if (is.null(root)) skip("needs the source")
  for (file in list.files(file.path(root, "vignettes"), "[.]Rmd$", full.names = TRUE)) {
    lines <- readLines(file)
    expect_identical(grep("(^|[^[])doi:10", lines, value = TRUE), character(), label = basename(file))
  }
})
