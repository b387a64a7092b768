# Priors under a linearised posterior: how each gives the weights their precisions, the matrix P of laplace.R.
#
# A normal prior has them. Laplace's log density -|w| / b has no curvature, and is infinitely curved at 0; but for every
# s > 0 it is at least -w^2 / (2 b s) - s / (2 b), which is normal with the precision 1 / (b s) (Girolami 2001). The s
# with the greatest bound under the posterior is s^2 = E w^2. Of all others the precision is the curvature of -log p at
# the mode.

# What each kind of prior is there.
laplace_priors <- list(
  empirical = function(prior) new_prior("by_weight", "N(0, sd), sd of each layer by evidence"),
  normal = function(prior) {
    new_prior("by_weight", prior$words, given_sd = prior$sd, given_fan_in = isTRUE(prior$fan_in))
  },
  laplace = function(prior) new_prior("by_weight", prior$words, sd = prior$sd, fan_in = prior$fan_in, is_bound = TRUE),
  mixture = function(prior) {
    new_prior("program", prior$words, fan_in = prior$fan_in, program = mixture_program(prior), is_mc = TRUE)
  },
  program = function(prior) {
    check_curved(prior$program)
    prior
  }
)

laplace_prior <- function(prior) laplace_priors[[if (identical(prior, "auto")) "empirical" else prior$kind]](prior)

# The log density of share N(0, s1^2) + (1 - share) N(0, s2^2).
mixture_program <- function(prior) {
  numbers <- list2env(list(first = log(prior$share / prior$sd) - log(2 * pi) / 2, half = 1 / (2 * prior$sd^2),
                           odds = log((1 - prior$share) / prior$share) + log(prior$sd / prior$sd2),
                           more = 1 / (2 * prior$sd^2) - 1 / (2 * prior$sd2^2)), parent = baseenv())
  as_program(~ first - half * w^2 + log1pexp(odds + more * w^2), "w", "prior", numbers)
}

# A density of straight pieces has no curvature anywhere.
check_curved <- function(program) {
  if (any(density_curvature(program, seq(-3, 3, 0.125)) > 0)) return(invisible())
  stop_user(paste("`prior` = %s: `posterior` = \"laplace\" needs a log density that is curved downwards somewhere from",
                  "-3 to 3%s"), shortened(program$text), "; Laplace's is there as prior_laplace().")
}

# The second derivative of minus the log density.
density_curvature <- function(program, w) -second_slopes(program, cbind(w), 1)[, 1, 1]

# How a prior gives its precisions, by name in `laplace_ways`.
prior_way <- function(spec, prior) {
  if (spec$prior == "program") return("curvature")
  if (isTRUE(prior$is_bound)) return("bound")
  if (is.null(prior$given_sd)) "evidence" else "given"
}

# The units of all weights and biases in theta's order: with `fan_in` those of the weights are less.
prior_units <- function(spec, leaves) {
  leaves <- leaves[leaves$role != "noise", ]
  rep(ifelse(spec$fan_in & leaves$role == "weight", 1 / sqrt(leaves$cols), 1), leaves$rows * leaves$cols)
}

prior_program <- function(spec) spec$programs[[spec$prior_program]]

# ---- the ways

mode_of_weights <- function(state) state$theta[seq_along(state$held)]

# Normal priors. Of log p(mu) + d / 2 log 2 pi only what depends on the weights and precisions is left.
normal_log_density <- function(state) {
  precision <- weight_precisions(state)
  off <- mode_of_weights(state) - state$center
  sum((log(precision) - precision * off^2)[!state$held]) / 2
}

# Those that the user gave.
given_precisions <- function(state) {
  prior <- state$prior
  1 / (prior$given_sd * prior_units(list(fan_in = prior$given_fan_in), state$layout$leaves))^2
}

normal_cross_entropy <- function(spec, q, leaves) {
  sum(q$precision * (q$variance + (q$mean - q$center)^2) - log(q$precision)) / 2
}

# Laplace's, with the precision p = 1 / (b s): the bound at s, as it is of a normal density and a constant.
bound_scales <- function(spec, leaves) spec$prior_sd * prior_units(spec, leaves)

bound_update <- function(state) {
  b <- bound_scales(state$spec, state$layout$leaves)
  found <- 1 / (b * sqrt(mode_of_weights(state)^2 + state$curvature$variance))
  state$precision <- ifelse(state$held, state$precision, found)
  state
}

bound_log_density <- function(state) {
  b <- bound_scales(state$spec, state$layout$leaves)
  p <- weight_precisions(state)
  normal_log_density(state) + sum((log(2 * pi / p) / 2 - 1 / (2 * b^2 * p) - log(2 * b))[!state$held])
}

# E |w| / b + log 2b
bound_cross_entropy <- function(spec, q, leaves) {
  b <- bound_scales(spec, leaves)[q$at]
  sd <- sqrt(q$variance)
  u <- q$mean / sd
  sum((2 * sd * stats::dnorm(u) + q$mean * (2 * stats::pnorm(u) - 1)) / b + log(2 * b) - log(2 * pi) / 2)
}

# Densities that are programs, of w / unit.
curvature_at_mode <- function(state) {
  unit <- prior_units(state$spec, state$layout$leaves)
  found <- density_curvature(prior_program(state$spec), mode_of_weights(state) / unit) / unit^2
  found[!is.finite(found)] <- 0
  least <- least_precision(state$groups)[state$groups$of]
  state$precision <- ifelse(state$held, 1, pmin(pmax(found, least), 1e100))
  state
}

curvature_log_density <- function(state) {
  unit <- prior_units(state$spec, state$layout$leaves)
  density <- run_program(prior_program(state$spec), mode_of_weights(state) / unit)$value - log(unit)
  sum((density + log(2 * pi) / 2)[!state$held])
}

curvature_cross_entropy <- function(spec, q, leaves) {
  unit <- prior_units(spec, leaves)[q$at]
  z <- seq(-7, 7, length.out = 141)
  weight <- stats::dnorm(z) / sum(stats::dnorm(z))
  of_rows <- function(at) {
    w <- q$mean[at] / unit[at] + (sqrt(q$variance[at]) / unit[at]) %o% z
    sum(matrix(pmax(run_program(prior_program(spec), as.vector(w))$value, -1e100), length(at)) %*% weight)
  }
  -sum(vapply(row_chunks(length(q$mean), length(z)), of_rows, 0)) + sum(log(unit) - log(2 * pi) / 2)
}

# Of each way
#   first      state -> the precisions where the search begins, or NULL: those of the groups
#   at_mode    state -> the state with the precisions at the mode
#   update     state -> with those that the evidence finds, of the next round
#   log_density  state -> log p(mu) + d / 2 log 2 pi
#   cross_entropy  spec, q, leaves -> E[-log p(w)] - d / 2 log 2 pi under q, which has the weights `at`, their mean,
#              variance, and the precision and center a priori
laplace_ways <- list(
  evidence = list(first = function(state) NULL, at_mode = identity, update = mackay_update,
                  log_density = normal_log_density, cross_entropy = normal_cross_entropy),
  given = list(first = given_precisions, at_mode = identity, update = identity, log_density = normal_log_density,
               cross_entropy = normal_cross_entropy),
  bound = list(first = function(state) 1 / bound_scales(state$spec, state$layout$leaves)^2, at_mode = identity,
               update = bound_update, log_density = bound_log_density, cross_entropy = bound_cross_entropy),
  curvature = list(first = function(state) curvature_at_mode(state)$precision, at_mode = curvature_at_mode,
                   update = identity, log_density = curvature_log_density, cross_entropy = curvature_cross_entropy)
)
