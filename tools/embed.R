# Time and memory of a factor of many levels beside ten numbers: Rscript tools/embed.R LEVELS [ROWS [EPOCHS]], of 1e6
# rows when ROWS is not given; with 0 levels there is no factor. Under /usr/bin/time -v the difference of the "Maximum
# resident set size" is what the factor needs.
library(varnn)

arguments <- c(as.numeric(commandArgs(trailingOnly = TRUE)), NA, NA)
levels <- arguments[1]
n <- if (is.na(arguments[2])) 1e6 else arguments[2]
epochs <- if (is.na(arguments[3])) 2 else arguments[3]

set.seed(1)
x <- matrix(rnorm(10 * n), n, dimnames = list(NULL, paste0("x", 1:10)))
data <- data.frame(x, y = sin(x[, 1]) + x[, 2] * x[, 3] + rnorm(n, 0, 0.1))
rm(x)
if (levels > 0) {
  at <- sample(rep_len(seq_len(levels), n))
  data$zip <- factor(at, labels = sprintf("z%06d", seq_len(levels)))
  data$y <- data$y + rnorm(levels)[at]
  rm(at)
}
time <- system.time(fit <- fit_nn(y ~ ., data, epochs = epochs, keep_data = FALSE))
cat(sprintf("%g rows, %g levels, %g epochs: %.2f s of processor, %.2f s in all; loss %.3f, %g parameters\n", n, levels,
            epochs, time[[1]] + time[[2]], time[[3]], fit$history$loss[epochs], fit$n_par))
