# Memory and time of training on data in chunks: Rscript tools/chunks.R ROWS [EPOCHS], of a function that makes as many
# rows of ten columns. Under /usr/bin/time -v its "Maximum resident set size" is to be the same for every number of
# rows.
library(varnn)

arguments <- as.numeric(commandArgs(trailingOnly = TRUE))
n <- arguments[1]
epochs <- if (length(arguments) > 1) arguments[2] else 2
size <- 1e5

one <- function(i) {
  first <- (i - 1) * size
  if (first >= n) return(NULL)
  set.seed(i)
  k <- min(size, n - first)
  x <- matrix(rnorm(10 * k), k, dimnames = list(NULL, paste0("x", 1:10)))
  data.frame(x, y = sin(x[, 1]) + x[, 2] * x[, 3] + rnorm(k, 0, 0.1))
}

set.seed(1)
time <- system.time(fit <- fit_nn(y ~ ., chunks(one, rows = size), epochs = epochs))
of_source <- system.time(for (i in seq_len(ceiling(n / size))) one(i))
cat(sprintf("%s rows, %d epochs: %.1f s of processor, of which %.1f s made the rows; loss %.3f\n",
            format(n, big.mark = ",", scientific = FALSE), epochs, time[[1]], of_source[[1]] * (epochs + 3),
            fit$history$loss[epochs]))
