# What happens when the package is loaded, and how many threads are used.

# The process that loaded the package, and the threads that it was found to be able to have. A fork must not use
# threads: those that its parent has started, for whatever package, are gone, and OpenMP would wait for them for ever.
own_process <- new.env(parent = emptyenv())
.onLoad <- function(libname, pkgname) { # nolint: object_name_linter.
  if (!is_fork()) own_process$id <- Sys.getpid()
  on_marginaleffects()
  when_loaded("parsnip", register_parsnip)
  when_loaded("mlr3", register_mlr3)
}

# Calls `f` when the package `name` is there: at once, or as soon as it is loaded.
when_loaded <- function(name, f) {
  if (isNamespaceLoaded(name)) f()
  setHook(packageEvent(name, "onLoad"), function(...) f())
}

# Whether this process is a fork that runs no other program: Linux has it in the flags of the process.
is_fork <- function() {
  forked_no_exec <- 64L
  stat <- tryCatch(suppressWarnings(readLines("/proc/self/stat", 1)), error = function(e) "")
  flags <- suppressWarnings(as.double(strsplit(sub(".*\\) ", "", stat), " ")[[1]][7]))
  if (isTRUE(flags %/% forked_no_exec %% 2 == 1)) return(TRUE)
  tryCatch("parallel" %in% loadedNamespaces() && get("isChild", asNamespace("parallel"))(), error = function(e) FALSE)
}

# As many of the threads that are wanted as there are processors, as the user or the checks of CRAN allow, and as the
# system starts.
usable_threads <- function(wanted) {
  if (is.null(wanted) || !identical(own_process$id, Sys.getpid())) return(1L)
  limit <- suppressWarnings(as.integer(Sys.getenv("OMP_THREAD_LIMIT")))
  wanted <- max(1L, min(as.integer(wanted), limit, if (is_checked_by_cran()) 2L, na.rm = TRUE))
  if (wanted <= 1) return(1L)
  if (!identical(wanted, own_process$wanted)) {
    own_process$usable <- engine_threads(wanted)
    own_process$wanted <- wanted
  }
  own_process$usable
}

is_checked_by_cran <- function() !tolower(Sys.getenv("_R_CHECK_LIMIT_CORES_")) %in% c("", "false")
