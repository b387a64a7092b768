# How good fit_vae() is as a model of a table:
#   Rscript tools/vae.R [ARGUMENTS OF fit_vae(), such as 'margins = "smooth"']
#   Rscript tools/vae.R epochs [ARGUMENTS]
# The second gives the held-out log-likelihood per row after more and more epochs. The first:
#
# Of each data set: the AUC by which a random forest (ranger) tells simulated from real rows (0.5 is perfect) and the
# mean Kolmogorov distance of the numeric columns; of entries deleted at random the error of impute(type = "mean"),
# relative to the standard deviation, and the share of wrong classes; the held-out log-likelihood per row.

suppressPackageStartupMessages(library(varnn))

# Margins and noise were chosen by the first ten, epochs and dimensions by these and by airquality, birthwt, faithful,
# Hitters and swiss.
data_sets <- list(
  penguins = as.data.frame(na.omit(palmerpenguins::penguins)), Auto = ISLR2::Auto[names(ISLR2::Auto) != "name"],
  Credit = ISLR2::Credit, Wage = ISLR2::Wage[setdiff(names(ISLR2::Wage), c("logwage", "region"))],
  iris = iris, Boston = MASS::Boston, crabs = MASS::crabs[-3], quakes = quakes, warpbreaks = warpbreaks,
  chickwts = chickwts,
  airquality = na.omit(airquality), birthwt = MASS::birthwt, Carseats = ISLR2::Carseats, College = ISLR2::College,
  Hitters = na.omit(ISLR2::Hitters), infert = infert, Pima = MASS::Pima.te, faithful = faithful, swiss = swiss,
  survey = na.omit(MASS::survey)
)
data_sets <- lapply(data_sets, function(d) {
  d <- droplevels(d)
  d[vapply(d, function(v) length(unique(v)) > 1, NA)]
})

auc <- function(score, is_real) {
  r <- rank(score)
  (sum(r[is_real]) - sum(is_real) * (sum(is_real) + 1) / 2) / sum(is_real) / sum(!is_real)
}

# Out of bag.
real_or_simulated <- function(real, simulated) {
  both <- rbind(real, simulated)
  is_real <- rep(c(TRUE, FALSE), c(nrow(real), nrow(simulated)))
  forest <- ranger::ranger(x = both, y = factor(is_real), probability = TRUE, num.trees = 300, num.threads = 1)
  auc(forest$predictions[, "TRUE"], is_real)
}

ks_distance <- function(real, simulated) {
  is_number <- vapply(real, is.numeric, NA)
  distance <- function(a, b) max(abs(stats::ecdf(a)(c(a, b)) - stats::ecdf(b)(c(a, b))))
  mean(mapply(distance, real[is_number], simulated[is_number]))
}

with_holes <- function(d, share) {
  for (j in seq_along(d)) d[stats::runif(nrow(d)) < share, j] <- NA
  d
}

fill_errors <- function(d, ...) {
  holes <- with_holes(d, 0.3)
  full <- impute(fit_vae(holes, ...), type = "mean")
  is_number <- vapply(d, is.numeric, NA)
  gap <- is.na(holes)
  number <- vapply(which(is_number), function(j) {
    mean((full[gap[, j], j] - d[gap[, j], j])^2) / stats::var(d[[j]])
  }, 0)
  class <- vapply(which(!is_number), function(j) mean((as.character(full[[j]]) != as.character(d[[j]]))[gap[, j]]), 0)
  c(nrmse = sqrt(mean(number)), class = if (length(class)) mean(class) else NA)
}

measures <- function(d, ...) {
  set.seed(1)
  time <- system.time(fit <- fit_vae(d, ...))[["elapsed"]]
  s <- simulate(fit, nrow(d))
  test <- sample(nrow(d), round(nrow(d) / 5))
  on_rest <- fit_vae(d[-test, ], ...)
  held_out <- suppressWarnings(as.numeric(logLik(on_rest, newdata = d[test, ])) / length(test))
  c(auc = real_or_simulated(d, s), ks = ks_distance(d, simulate(fit, 20 * nrow(d))), fill_errors(d, ...),
    log_lik = held_out, seconds = time)
}

counts <- c(50, 100, 200, 400, 800, 1600, 3200)

by_epochs <- function(d, ...) {
  set.seed(2)
  test <- sample(nrow(d), round(nrow(d) / 4))
  fit <- fit_vae(d[-test, ], epochs = counts[1], ...)
  after <- function(k) {
    if (k > 1) fit <<- suppressWarnings(continue(fit, epochs = counts[k] - counts[k - 1]))
    suppressWarnings(as.numeric(logLik(fit, newdata = d[test, ], k = 200)) / length(test))
  }
  stats::setNames(vapply(seq_along(counts), after, 0), counts)
}

if (!interactive()) {
  words <- commandArgs(TRUE)
  of_epochs <- identical(words[1], "epochs")
  given <- eval(parse(text = sprintf("list(%s)", paste(if (of_epochs) words[-1] else words, collapse = ", "))))
  if (of_epochs) {
    table <- t(vapply(data_sets, function(d) do.call(by_epochs, c(list(d), given)), counts + 0))
    print(round(rbind(table, "below the best, mean" = colMeans(apply(table, 1, max) - table)), 3))
    quit()
  }
  table <- t(vapply(data_sets, function(d) do.call(measures, c(list(d), given)), numeric(6)))
  print(round(rbind(table, mean = colMeans(table, na.rm = TRUE)), 3))
}
