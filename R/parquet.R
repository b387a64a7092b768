# Chunks of Parquet files and of datasets of the package arrow.

# The rows of a Parquet file, a row group in memory at a time. The file is mapped, which is several times as fast as to
# read it, and mapped anew for each group: what was read of a mapped file counts as memory of the process.
parquet_pieces <- function(path, rows) {
  group <- -1
  n_groups <- Inf
  table <- NULL
  from <- 0
  next_group <- function() {
    file <- tryCatch(arrow::ParquetFileReader$create(path),
                     error = function(e) stop(sprintf("\"%s\": %s", path, conditionMessage(e)), call. = FALSE))
    n_groups <<- file$num_row_groups
    if (group < n_groups) table <<- file$ReadRowGroup(group)
  }
  piece <- function() {
    while (is.null(table) || from >= table$num_rows) {
      group <<- group + 1
      table <<- NULL
      from <<- 0
      if (group >= n_groups) return(NULL)
      next_group()
    }
    n <- min(rows, table$num_rows - from)
    data <- as.data.frame(table$Slice(from, n))
    from <<- from + n
    data
  }
  list(piece = piece, close = function() table <<- NULL)
}

of_parquet <- function(source, query, rows, more) {
  of_files(source, function(path) parquet_pieces(path, rows), "Parquet")
}

# A dataset whose columns are those of local Parquet files is read by these: a scanner reads several groups ahead.
of_dataset <- function(source, query, rows, more) {
  if (is_of_parquet(source)) return(of_parquet(source$files, query, rows, more))
  open <- function(i) {
    if (i > 1) return(NULL)
    # several threads may change the order of batches
    reader <- arrow::Scanner$create(source, batch_size = rows, use_threads = FALSE)$ToRecordBatchReader()
    list(piece = function() {
      batch <- reader$read_next_batch()
      if (!is.null(batch)) as.data.frame(batch)
    }, close = function() NULL)
  }
  list(open = open, n_units = 1, jumps = FALSE, words = "a dataset")
}

is_of_parquet <- function(source) {
  every(inherits(source, "FileSystemDataset"), identical(source$format$type, "parquet"), length(source$files) > 0,
        all(file.exists(source$files)),
        identical(arrow::ParquetFileReader$create(source$files[1], mmap = FALSE)$GetSchema()$names, names(source)))
}
