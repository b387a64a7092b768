# How the defaults of fit_ae() were chosen: Rscript tools/defaults_ae.R [ACTIVATION...]
#
# Five-fold held-out reconstruction error of a default call with two latent units, as a ratio to that of two principal
# components of the same standardised columns, on numeric data sets that ship with R, per activation.

suppressPackageStartupMessages(library(varnn))

numeric_columns <- function(d) {
  d <- as.data.frame(d)
  d <- d[vapply(d, function(v) is.numeric(v) && length(unique(v)) > 2, NA)]
  d[stats::complete.cases(d), ]
}

data_sets <- list(
  digits = digits[seq(1, 1797, 3), -1], iris = iris, USArrests = USArrests, swiss = swiss, mtcars = mtcars,
  attitude = attitude, quakes = quakes, longley = longley, rock = rock, state = state.x77, airquality = airquality,
  Boston = MASS::Boston, crabs = MASS::crabs, fgl = MASS::fgl, Pima = MASS::Pima.tr, cereal = MASS::UScereal,
  Cars93 = MASS::Cars93, birthwt = MASS::birthwt, rotated = local({
    t <- seq(0, 3 * pi, length.out = 400)
    h <- rep_len(c(0.1, 0.5, 0.9), 400)
    cbind(t * cos(t), h, t * sin(t), t + h, t - h, h * t)
  })
)

# Mean squared error per standardised entry of the rows held out: autoencoder, components.
held_out_errors <- function(d, fold, ...) {
  train <- d[fold != 1, ]
  fit <- fit_ae(train, ...)
  table <- compare_pca(fit, d[fold == 1, ])$table
  unlist(table[nrow(table), c("ae_error_new", "pca_error_new")])
}

ratio <- function(d, ...) {
  d <- numeric_columns(d)
  set.seed(1)
  fold <- sample(rep_len(1:5, nrow(d)))
  errors <- vapply(1:5, function(k) held_out_errors(d, (fold - k) %% 5 + 1, ...), c(ae = 0, pca = 0))
  sum(errors["ae", ]) / sum(errors["pca", ])
}

activations_tried <- commandArgs(TRUE)
if (!length(activations_tried)) activations_tried <- c("relu", "leaky_relu", "elu", "silu", "tanh")
table <- t(vapply(names(data_sets), function(name) {
  row <- vapply(activations_tried, function(a) ratio(data_sets[[name]], activation = a), 0)
  cat(format(name, width = 12), format(row, digits = 3, width = 8), "\n")
  row
}, numeric(length(activations_tried))))
cat(format("mean log", width = 12), format(exp(colMeans(log(table))), digits = 3, width = 8), "\n")
cat(format("worse", width = 12), format(colSums(table > 1.02), width = 8), "\n")
