# Memory and time of training from a data set of Parquet files, and in memory. Rscript tools/parquet.R make FOLDER ROWS
# writes ROWS rows of the table network of tools/speed.R (50 columns, 5 classes), a million to a file. Rscript
# tools/parquet.R train FOLDER ROWS [EPOCHS [memory]] trains on them through arrow::open_dataset(), or on the same rows
# as a data frame, and tells the time of an epoch. Under /usr/bin/time -v the "Maximum resident set size" of training on
# files is to be the same for every number of rows.
library(varnn)

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[2]
n <- as.numeric(arguments[3])
size <- 1e6

one <- function(i) {
  set.seed(i)
  k <- min(size, n - (i - 1) * size)
  x <- matrix(runif(50 * k), k, dimnames = list(NULL, paste0("x", 1:50)))
  class <- pmin(floor(pmax(0, 2.5 * (x[, 1] + x[, 2] * x[, 3]) + 0.2 * rnorm(k))), 4)
  data.frame(x, y = factor(class, 0:4, letters[1:5]))
}

if (arguments[1] == "make") {
  dir.create(folder, showWarnings = FALSE)
  for (i in seq_len(ceiling(n / size)))
    arrow::write_parquet(one(i), file.path(folder, sprintf("part%05d.parquet", i)), compression = "uncompressed",
                         chunk_size = 1e5)
} else {
  epochs <- if (length(arguments) > 3) as.numeric(arguments[4]) else 2
  source <- arrow::open_dataset(folder)
  data <- if (length(arguments) > 4) as.data.frame(source) else chunks(source, rows = 1e5)
  ends <- numeric()
  note <- function(epoch, history) {
    ends[epoch] <<- sum(proc.time()[1:2])
    FALSE
  }
  set.seed(1)
  time <- system.time(fit <- fit_nn(y ~ ., data, hidden = c(128, 64), epochs = epochs, batch_size = 256,
                                    callback = note, keep_data = if (is.data.frame(data)) FALSE))
  per_row <- if (epochs > 1) (ends[epochs] - ends[1]) / (epochs - 1) / n * 1e9 else NA
  cat(sprintf("%s rows, %d epochs, %s: %.1f s of processor, %.1f s in all, %.0f ns a row and epoch; loss %.3f\n",
              format(n, big.mark = ",", scientific = FALSE), epochs, if (is.data.frame(data)) "memory" else "Parquet",
              time[[1]] + time[[2]], time[[3]], per_row, fit$history$loss[epochs]))
}
