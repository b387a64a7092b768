# R's random numbers: the seed of a call, and their state left as it was.

# As stats:::simulate.lm() treats its seed.
use_seed <- function(seed) {
  if (!exists(".Random.seed", envir = globalenv(), inherits = FALSE)) stats::runif(1)
  now <- get(".Random.seed", envir = globalenv())
  if (is.null(seed)) return(list(seed = now, restore = function() NULL))
  set.seed(seed)
  list(seed = structure(seed, kind = as.list(RNGkind())),
       restore = function() assign(".Random.seed", now, envir = globalenv()))
}

# The value of an expression that may draw random numbers, the generator left as it was.
keep_random <- function(expr) {
  before <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit(if (!is.null(before)) assign(".Random.seed", before, envir = globalenv())
          else if (exists(".Random.seed", globalenv(), inherits = FALSE)) rm(".Random.seed", envir = globalenv()))
  force(expr)
}

# The value of an expression that draws its numbers from this state of the generator, which is left as it was.
from_seed <- function(seed, expr) {
  keep_random({
    assign(".Random.seed", seed, envir = globalenv())
    expr
  })
}

# The value of an expression that draws its numbers from this state of the generator, or without one (NULL) from the
# generator as it is.
from_stream <- function(stream, expr) if (is.null(stream)) expr else from_seed(stream, expr)
