# What R knows of the posteriors in the engine's table: what print() and summary() call them, and the number of their
# covariances of weights in layers of so many units (rows) and inputs, the bias among these (cols).
posterior_table <- list(
  point = list(words = function(rank) "point", covariances = function(rows, cols, rank) 0),
  meanfield = list(words = function(rank) "meanfield", covariances = function(rows, cols, rank) 0),
  last_layer = list(
    words = function(rank) "last_layer",
    covariances = function(rows, cols, rank) pairs(utils::tail(cols, 1)) * utils::tail(rows, 1)
  ),
  full = list(words = function(rank) "full", covariances = function(rows, cols, rank) pairs(sum(rows * cols))),
  lowrank = list(
    words = function(rank) paste("lowrank with", rank, "factors"),
    covariances = function(rows, cols, rank) sum(rows * cols) * rank
  )
)

pairs <- function(n) n * (n - 1) / 2

# Weights are numbers, not random.
is_point <- function(spec) spec$posterior == "point"

# Whether the units' means and variances are known: they are independent.
has_moments <- function(spec) registry()$posterior_moments[match(spec$posterior, registry()$posterior)] == 1

# Posteriors of random weights; those of independent ones, points included, which a bottleneck can have too.
random_posteriors <- function() setdiff(registry()$posterior, "point")
independent_posteriors <- function() registry()$posterior[registry()$posterior_independent == 1]
