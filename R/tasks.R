# Work that is many independent tasks.

# f(k) for each k; by several processes where the user has set a plan of the package future, and in this one otherwise.
# What a worker has lost, as when it is killed, is done here: a task has its own random numbers, whoever does it.
# In this process it is shown how many are done, `unit` being one of them.
in_parallel <- function(x, f, unit = NULL) {
  if (!has_plan() || !length(x)) return(if (is.null(unit)) lapply(x, f) else lapply_shown(x, f, unit))
  n <- max(1, min(length(x), future::nbrOfWorkers(), 1e4))
  shares <- unname(split(seq_along(x), ceiling(seq_along(x) * n / length(x))))
  handed <- lapply(shares, function(at) lost_or(begun_share(x[at], f)))
  out <- vector("list", length(x))
  for (i in seq_along(shares)) {
    found <- if (inherits(handed[[i]], "Future")) lost_or(awaited(handed[[i]])) else handed[[i]]
    if (inherits(found, "FutureError")) found <- done_here(shares[[i]], x, f, first_line(found))
    if (!is.null(found)) out[shares[[i]]] <- found
  }
  stats::setNames(out, names(x))
}

has_plan <- function() "future" %in% loadedNamespaces() && !inherits(future::plan("next"), "sequential")

# What a share has found; NULL where the user interrupts before. Where no work is kept, an interrupt ends R's waiting.
awaited <- function(share) {
  while (isTRUE(work$is_on) && !future::resolved(share)) {
    if (was_interrupted()) return(NULL)
    Sys.sleep(seconds_between_looks)
  }
  future::value(share)
}

seconds_between_looks <- 0.01

begun_share <- function(some, f) {
  future::future(lapply(some, f), globals = list(some = some, f = f), packages = "varnn", seed = NULL, stdout = NA)
}

# The value of `expr`, or the condition that says that there is no worker any more. A worker that cannot load varnn is
# not lost: none of them can.
lost_or <- function(expr) {
  tryCatch(expr, FutureError = function(e) {
    if (!grepl(lacks_package, conditionMessage(e))) return(e)
    stop_user(paste("The workers of the plan of the package future cannot load varnn: install it in a library of",
                    "theirs, or give them this session's, as by plan(cluster, workers = n, rscript_libs = .libPaths())",
                    "(%s)."), first_line(e))
  })
}

lacks_package <- "no package called .varnn.|loadNamespace.*varnn"

first_line <- function(e) sub("[.]?[[:space:]]*\n.*", "", conditionMessage(e))

done_here <- function(at, x, f, why) {
  warn_user("varnn_lost_worker", "A worker was lost with the tasks %s of %d, which are done in this session (%s).",
            if (length(at) > 5) sprintf("%d to %d", at[1], at[length(at)]) else paste(at, collapse = ", "), length(x),
            why)
  lapply(x[at], f)
}

# How many tasks to hand out before what they found is kept.
workers_at_once <- function() {
  if (has_plan()) as.integer(max(1, min(64, future::nbrOfWorkers()))) else 1L
}

# A state of R's generator for each of n tasks: streams of L'Ecuyer's, the first by R's random numbers.
task_seeds <- function(n) {
  seed <- c(10407L, sample.int(.Machine$integer.max, 6, replace = TRUE)) # L'Ecuyer-CMRG, Inversion, Rejection
  out <- vector("list", n)
  for (k in seq_len(n)) out[[k]] <- seed <- parallel::nextRNGStream(seed)
  out
}
