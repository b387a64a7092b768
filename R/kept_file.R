# Values kept in files that are always whole: written beside the file, checked, and renamed over it.
#
# A file has the words of `file_head`, the value as serialize() writes it, who wrote it, a checksum of all before, and
# the words of `file_end`.

file_head <- charToRaw("varnn kept 1\n")
file_end <- charToRaw("varnn.\n")
no_owner <- raw(16)
checksum_bytes <- 8

# The name of a file for an argument; whether its folder is there.
check_file_name <- function(file, name) {
  if (!every(is.character(file), is_plain_vector(file), length(file) == 1, !is.na(file), nzchar(file)))
    stop_user("`%s` must be the name of a file, or NULL, not %s.", name, shown(file))
  if (nchar(file, "bytes") > longest_path)
    stop_user("`%s` must be the name of a file, of at most %s bytes, not of %s.", name, thousands(longest_path),
              thousands(nchar(file, "bytes")))
  plain(file)
}

longest_path <- 4000 # beyond it R itself warns, in words of its own

check_folder <- function(file, name) {
  folder <- dirname(file)
  if (!dir.exists(folder)) stop_user("`%s`: there is no folder \"%s\".", name, folder)
  if (dir.exists(file)) stop_user("`%s`: \"%s\" is a folder, not a file.", name, file)
  invisible(file)
}

# Keeps x; NULL, or in words what went wrong: then the file is as it was.
keep_in_file <- function(x, file, owner = no_owner) {
  beside <- paste0(file, ".new")
  why <- NULL
  tryCatch(withCallingHandlers({
    write_whole(x, beside, owner)
    if (!file.rename(beside, file)) stop("it cannot be renamed")
    NULL
  }, warning = function(w) { # it has the reason of the error that follows
    why <<- conditionMessage(w)
    tryInvokeRestart("muffleWarning")
  }), error = function(e) {
    unlink(beside)
    if (is_time_limit(e)) stop(e)
    if (is.null(why)) conditionMessage(e) else why
  })
}

is_time_limit <- function(e) {
  any(vapply(c("reached elapsed time limit", "reached CPU time limit", "reached session elapsed time limit",
               "reached session CPU time limit"), function(words) {
                 grepl(gettext(words, domain = "R"), conditionMessage(e), fixed = TRUE)
               }, NA))
}

write_whole <- function(x, file, owner) {
  written <- function(mode, write) {
    con <- file(file, mode)
    open <- TRUE
    on.exit(if (open) close(con))
    write(con)
    open <- FALSE
    # what is left in memory is written now
    if (!identical(close(con), 0L)) stop("the disk may be full")
  }
  written("wb", function(con) {
    writeBin(file_head, con)
    serialize(x, con)
    writeBin(owner, con)
  })
  # read again, so that it is the checksum of what the disk has
  sum <- file_checksum(file, file.size(file))
  written("ab", function(con) writeBin(c(sum, file_end), con))
  if (!engine_sync(file)) stop("it cannot be brought onto the disk")
}

# The checksum of the first bytes of a file.
file_checksum <- function(file, bytes) {
  con <- file(file, "rb")
  on.exit(close(con))
  sum <- NULL
  while (bytes > 0) {
    part <- readBin(con, "raw", min(bytes, 2^22))
    if (!length(part)) break
    sum <- engine_checksum(part, sum)
    bytes <- bytes - length(part)
  }
  sum
}

# Who wrote a file; NULL where it has no such end.
file_owner <- function(file) {
  n_end <- length(no_owner) + checksum_bytes + length(file_end)
  size <- file.size(file)
  if (!isTRUE(size > length(file_head) + n_end)) return(NULL)
  con <- file(file, "rb")
  on.exit(close(con))
  seek(con, size - n_end)
  end <- readBin(con, "raw", n_end)
  if (identical(utils::tail(end, length(file_end)), file_end)) utils::head(end, length(no_owner))
}

# list(value, owner) of a file; of one that is not whole list(is_ours), whether it begins as ours do.
kept_in_file <- function(file) {
  failed <- function(e) list(is_ours = FALSE)
  tryCatch(suppressWarnings({
    size <- file.size(file)
    if (!isTRUE(size > length(file_head))) return(list(is_ours = FALSE))
    con <- file(file, "rb")
    on.exit(close(con))
    if (!identical(readBin(con, "raw", length(file_head)), file_head)) return(list(is_ours = FALSE))
    failed <- function(e) list(is_ours = TRUE)
    owner <- file_owner(file)
    if (is.null(owner) || !has_checksum(file, size)) return(list(is_ours = TRUE))
    list(value = unserialize(con), owner = owner)
  }), error = function(e) failed(e))
}

has_checksum <- function(file, size) {
  before <- size - checksum_bytes - length(file_end)
  con <- file(file, "rb")
  on.exit(close(con))
  seek(con, before)
  identical(readBin(con, "raw", checksum_bytes), file_checksum(file, before))
}
