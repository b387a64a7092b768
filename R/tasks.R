# Work that is many independent tasks.

# f(k) for each k; by several processes where the user has set a plan of the package future, and in this one otherwise.
in_parallel <- function(x, f) {
  has_plan <- every("future" %in% loadedNamespaces(), !inherits(future::plan("next"), "sequential"),
                    requireNamespace("future.apply", quietly = TRUE))
  if (!has_plan) return(lapply(x, f))
  future.apply::future_lapply(x, f, future.seed = NULL, future.packages = "varnn", future.stdout = NA)
}

# How many tasks to hand out before what they found is kept.
workers_at_once <- function() {
  if ("future" %in% loadedNamespaces()) as.integer(min(64, future::nbrOfWorkers())) else 1L
}

# A state of R's generator for each of n tasks: streams of L'Ecuyer's, the first by R's random numbers.
task_seeds <- function(n) {
  seed <- c(10407L, sample.int(.Machine$integer.max, 6, replace = TRUE)) # L'Ecuyer-CMRG, Inversion, Rejection
  out <- vector("list", n)
  for (k in seq_len(n)) out[[k]] <- seed <- parallel::nextRNGStream(seed)
  out
}
