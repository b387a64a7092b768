# How well anomaly(fit_vae()) finds rows of other classes:
#   Rscript tools/anomaly.R [ARGUMENTS OF fit_vae(), such as 'latent = 2']
# Of each data set the largest class is normal. Half of its rows train; the other half and all rows of other classes are
# judged: the area under the ROC curve, of minus the log-likelihood and of the error of reconstruction, of an isolation
# forest (Liu et al. 2008: 200 trees of 256 rows), and of the error of principal components that have 90 % of the
# variance; the share of the normal rows that is flagged at level 0.99, and seconds. Means over three splits.

suppressPackageStartupMessages(library(varnn))
given <- eval(parse(text = sprintf("list(%s)", paste(commandArgs(TRUE), collapse = ", "))))

table_of <- function(name, package) {
  utils::data(list = name, package = package, envir = environment())
  as.data.frame(get(name, environment()))
}
numbers <- function(d) as.data.frame(lapply(d, function(v) as.numeric(as.character(v))))
data_sets <- list(
  BreastCancer = with(list(d = stats::na.omit(table_of("BreastCancer", "mlbench"))),
                      list(x = numbers(d[2:10]), class = d$Class)),
  Ionosphere = with(list(d = table_of("Ionosphere", "mlbench")), list(x = numbers(d[-c(2, 35)]), class = d$Class)),
  spam = with(list(d = table_of("spam", "kernlab")), list(x = d[1:57], class = d$type)),
  Satellite = with(list(d = table_of("Satellite", "mlbench")), list(x = d[1:36], class = d$classes)),
  Vowel = with(list(d = table_of("Vowel", "mlbench")), list(x = d[2:10], class = d$Class)),
  Glass = with(list(d = table_of("Glass", "mlbench")), list(x = d[1:9], class = d$Type))
)

auc <- function(score, is_odd) {
  r <- rank(score)
  (sum(r[is_odd]) - sum(is_odd) * (sum(is_odd) + 1) / 2) / sum(is_odd) / sum(!is_odd)
}

# ---- isolation forest

mean_depth <- function(n) if (n < 2) 0 else 2 * (log(n - 1) + 0.5772156649) - 2 * (n - 1) / n
grow <- function(x, depth) {
  spread <- if (nrow(x) > 1) which(apply(x, 2, function(v) diff(range(v))) > 0)
  if (depth == 0 || !length(spread)) return(list(depth = mean_depth(nrow(x))))
  j <- spread[sample.int(length(spread), 1)]
  at <- stats::runif(1, min(x[, j]), max(x[, j]))
  list(j = j, at = at, low = grow(x[x[, j] <= at, , drop = FALSE], depth - 1),
       high = grow(x[x[, j] > at, , drop = FALSE], depth - 1))
}
depths <- function(tree, x) {
  if (is.null(tree$j)) return(rep(tree$depth, nrow(x)))
  out <- numeric(nrow(x))
  is_low <- x[, tree$j] <= tree$at
  if (any(is_low)) out[is_low] <- 1 + depths(tree$low, x[is_low, , drop = FALSE])
  if (any(!is_low)) out[!is_low] <- 1 + depths(tree$high, x[!is_low, , drop = FALSE])
  out
}
isolation <- function(train, new, trees = 200) {
  size <- min(256, nrow(train))
  one <- function(k) depths(grow(train[sample(nrow(train), size), , drop = FALSE], ceiling(log2(size))), new)
  -Reduce(`+`, lapply(seq_len(trees), one)) / trees
}

component_error <- function(train, new) {
  use <- apply(train, 2, stats::sd) > 0
  p <- stats::prcomp(train[, use], scale. = TRUE)
  k <- which(cumsum(p$sdev^2) / sum(p$sdev^2) > 0.9)[1]
  z <- scale(new[, use], p$center, p$scale)
  rowSums((z - tcrossprod(z %*% p$rotation[, 1:k, drop = FALSE], p$rotation[, 1:k, drop = FALSE]))^2)
}

# ---- all of them on one split

one_split <- function(d, seed) {
  set.seed(seed)
  normal <- which(d$class == names(which.max(table(d$class))))
  train <- sample(normal, length(normal) %/% 2)
  is_odd <- !seq_along(d$class) %in% normal
  new <- d$x[-train, ]
  is_odd <- is_odd[-train]
  use <- vapply(d$x[train, ], function(v) length(unique(v)) > 1, NA)
  columns <- function(rows) suppressWarnings(rows[use])
  seconds <- system.time({
    fit <- suppressWarnings(do.call(fit_vae, c(list(columns(d$x[train, ])), given)))
    found <- suppressWarnings(anomaly(fit, columns(new)))
  })[["elapsed"]]
  by_error <- suppressWarnings(anomaly(fit, columns(new), score = "reconstruction", folds = 1))
  x <- as.matrix(d$x)
  c(likelihood = auc(found$score, is_odd), reconstruction = auc(by_error$score, is_odd),
    forest = auc(isolation(x[train, use], x[-train, use]), is_odd),
    components = auc(component_error(x[train, use], x[-train, use]), is_odd),
    flagged = mean(found$flag[!is_odd]), latent = fit$spec$size[fit$spec$layer == "latent"], seconds = seconds)
}

out <- t(vapply(names(data_sets), function(name) {
  one <- rowMeans(vapply(1:3, function(seed) one_split(data_sets[[name]], seed), numeric(7)))
  cat(sprintf("%-14s", name), sprintf("%9.3f", one), "\n")
  one
}, numeric(7)))
cat("\n")
print(round(rbind(out, mean = colMeans(out)), 3))
