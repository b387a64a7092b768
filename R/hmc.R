# Draws from the posterior by Hamiltonian Monte Carlo ("hmc"), in chains.

is_hmc <- function(spec) spec$posterior == "hmc"

# ---- arguments

#' Hamiltonian Monte Carlo for Bayesian networks
#'
#' How `fit_bayes_nn(posterior = "hmc")` draws from the posterior itself, without the approximation that the other
#' posteriors are: the reference to hold these against.
#'
#' @param draws number of draws that each chain keeps.
#' @param warmup number of iterations before them, which find the posterior, the step size and the metric.
#' @param accept the mean acceptance probability that the step size is adapted to, from .01 to .999: the greater, the
#'   smaller the steps. Greater ones help where transitions diverge.
#' @param max_depth trajectories end after `2^max_depth - 1` steps at the latest, from 1 to 12. `NULL`: what some 20
#'   seconds for all chains allow, from 4 to 10.
#' @param metric `"diagonal"`: momenta are independent, with variances that are adapted to those of the weights;
#'   `"dense"`: they have the inverse of the covariance of `posterior = "laplace"`, for up to 1,000 weights, which helps
#'   where weights are correlated and the posterior is nearly normal, as it is without hidden layers.
#' @details
#' `members` is the number of chains, 4 by default. Each starts at the mode that `posterior = "laplace"` finds from a
#' random start of its own, with the variances of its weights there as the first metric. An iteration is a transition
#' of the no-U-turn sampler (Hoffman and Gelman 2014), with a draw from the whole trajectory (Betancourt 2017). Warm-up
#' is that of Stan: the step size by dual averaging, the metric in windows that double.
#'
#' With `prior = "auto"` or `prior_normal("auto")` weights and biases of a network with hidden layers are normal with a
#' precision for each matrix and each vector, which has an exponential prior. Its mean is half the number of inputs for
#' matrices and 1 for biases; for outputs that are the log of a noise it is 50 and 0.01, about the constant noise that
#' is found first. The precision is drawn given the weights after each transition. Without hidden layers, and of other
#' priors, the scale is as given. A noise that is learned, and other free scalars of a family, are among the parameters;
#' on the scale on which these are free (of a noise, its log) they have normal priors of standard deviation 3 about
#' where training starts. `epochs` of [nn_control()] are steps of the search for the modes.
#'
#' The posterior of a network has many modes, and each chain knows those near its own. What matters is whether the
#' chains agree on predictions: weights are exchangeable between units and need not. `summary()` has, of the linear
#' predictor at up to 50 training rows, the greatest \eqn{\hat R}{R-hat} and the least effective number of draws
#' (Vehtari et al. 2021, without ranks), and of each chain the mean acceptance, its step size, the share of
#' trajectories that were cut at `max_depth`, and how many diverged. Activations with kinks (`"relu"`) are allowed:
#' trajectories lose some accuracy at them, which acceptance makes up for.
#'
#' Predictions are averages over all draws, without other random numbers. More draws than there are repeat some.
#' `elbo()` and `evidence()` do not apply: draws have no density. `loo()` takes them as draws of the posterior.
#' @return A list of class `varnn_posterior`, for the argument `posterior` of [fit_bayes_nn()].
#' @references Neal (1996) Bayesian Learning for Neural Networks, \doi{10.1007/978-1-4612-0745-0}. Hoffman and Gelman
#'   (2014) The no-U-turn sampler, \doi{10.48550/arXiv.1111.4246}. Betancourt (2017) A conceptual introduction to
#'   Hamiltonian Monte Carlo, \doi{10.48550/arXiv.1701.02434}. Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021)
#'   Rank-normalization, folding, and localization, \doi{10.1214/20-BA1221}.
#' @seealso [fit_bayes_nn()], [compare_posteriors()], [loo.varnn()]; the vignette `approximations`.
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0, members = 2,
#'                     posterior = posterior_hmc(draws = 200, warmup = 200))
#' fit
#' confint(fit)
#' @export
posterior_hmc <- function(draws = 500, warmup = 500, accept = 0.9, max_depth = NULL, metric = "diagonal") {
  draws <- check_number(draws, "draws", 1, 1e7, whole = TRUE)
  warmup <- check_number(warmup, "warmup", 0, 1e7, whole = TRUE)
  accept <- check_number(accept, "accept", 0.01, 0.999)
  if (!is.null(max_depth)) max_depth <- check_number(max_depth, "max_depth", 1, 12, whole = TRUE)
  metric <- check_choice(metric, c("diagonal", "dense"), "metric")
  structure(list(posterior = "hmc", draws = as.integer(draws), warmup = as.integer(warmup), accept = accept,
                 max_depth = max_depth, metric = metric), class = "varnn_posterior")
}

most_dense <- 1000
n_chains <- 4 # where nobody says

check_hmc <- function(model, spec) {
  if (!model$combine %in% c("auto", "equal"))
    stop_user("`combine` = \"%s\" does not apply: the chains of `posterior` = \"hmc\" have equal weights.",
              model$combine)
  sampling <- model$posterior_options
  n <- n_weights(spec)
  if (sampling$metric == "dense" && n > most_dense)
    stop_user("`metric` = \"dense\" is for up to %s weights and biases, and the network has %s: use \"diagonal\".",
              thousands(most_dense), thousands(n))
  check_draws_memory(n * sampling$draws, "That many draws of all weights")
}

# Precisions of each matrix and vector that have a prior, or the prior that was given.
sampled_prior <- function(prior, spec) {
  is_auto <- identical(prior, "auto")
  if (is_auto && length(spec$layer) == 1) return(default_prior(spec))
  if (!is_auto && prior$kind != "empirical") return(prior)
  new_prior("by_weight", "N(0, sd), the precision of each layer with an exponential prior")
}

# ---- training

# Of how many steps trajectories are that 20 seconds allow: the multiplications of a gradient, and what it costs beside.
sampled_depth <- function(spec, rows, chains, sampling) {
  of_gradient <- 6 * rows * n_weights(spec) + 2e5
  iterations <- as.double(chains) * (sampling$draws + sampling$warmup)
  as.integer(min(10, max(4, floor(log2(3e11 / (iterations * of_gradient))))))
}

# One chain, from the mode that the linearised posterior has.
train_hmc <- function(spec, layout, blocks, sets, control, arguments) {
  start <- hmc_start(spec, blocks, sets, control, arguments$prior)
  chain <- hmc_chain(spec, layout, blocks, sets, control, arguments, start)
  if (!ncol(chain$theta)) chain$theta <- cbind(chain$from)
  steps <- NROW(start$history)
  if (spec$prior == "by_weight") spec$precision <- chain$weight_precision
  sampled <- list(draws = chain$theta, precision = chain$precision, path = chain$path, max_depth = chain$max_depth)
  trained <- list(theta = sampled_center(chain$theta, layout, blocks), state = NULL, history = start$history,
                  status = chain$status, epochs = steps, best_epoch = steps, spec = spec, sampled = sampled)
  trained$sampled$watched <- watched_eta(trained, sets$train)
  list(with_shares(trained, blocks, sets))
}

# The state in which the search for the mode ends, of the same network with the noise that the evidence finds. Densities
# that are programs may have no curvature, which the metric would need: a normal prior takes their place there.
hmc_start <- function(spec, blocks, sets, control, prior) {
  prior <- laplace_prior(if (prior$kind %in% c("by_weight", "empirical")) "auto"
                         else if (prior$kind %in% c("program", "mixture")) prior_normal(0, 1) else prior)
  blocks <- lapply(blocks, function(b) if (has_sigma(b) && b$noise == "each") noisy_block(b, "learned", TRUE) else b)
  from <- utils::modifyList(spec, c(list(posterior = "laplace"), prior_fields(prior), block_fields(blocks)))
  from <- with_precisions(from[setdiff(names(from), "prior_program")])
  layout <- spec_layout(from)
  laplace_train(from, layout, blocks, sets, utils::modifyList(control, list(callback = NULL), keep.null = TRUE), prior)
}

# The chain, with where it starts and the precisions of weights whose precision was drawn.
hmc_chain <- function(spec, layout, blocks, sets, control, arguments, start) {
  sampling <- arguments$posterior_options
  leaves <- layout$leaves
  is_noise <- rep(leaves$role == "noise", leaves$rows * leaves$cols)
  is_drawn <- spec$prior == "by_weight"
  from <- hmc_theta(leaves, start)
  of_weights <- function(x, other) replace(rep(as.double(other), layout$n_par), !is_noise, x)
  variance <- start$curvature$variance
  variance[!is.finite(variance) | variance <= 0] <- 1
  rate <- if (is_drawn) group_rates(start)
  options <- list(
    warmup = sampling$warmup, draws = sampling$draws, accept = as.double(sampling$accept),
    max_depth = if (is.null(sampling$max_depth)) sampled_depth(spec, sets$train$n, arguments$members, sampling)
                else as.integer(sampling$max_depth),
    total = 1 / control$objective$coefficient[["kl_weights"]],
    variance = of_weights(variance, 0.01), precision = of_weights(0, 1 / free_scalar_sd^2),
    center = replace(from, !is_noise, if (is_drawn) start$center else 0),
    group = if (is_drawn) as.integer(of_weights(start$groups$of - 1, -1)) else rep(-1L, layout$n_par),
    shape = rep(1, length(rate)), rate = as.double(rate), start = if (is_drawn) as.double(start$alpha) else numeric())
  if (sampling$metric == "dense") options <- with_root(options, start, which(!is_noise))
  if (is_drawn) spec <- utils::modifyList(spec, list(posterior = "point", prior = "flat"))
  is_over <- start$is_over || was_interrupted()
  chain <- if (is_over) no_chain(layout$n_par, length(rate), start$status)
  else kept_part(engine_sample(spec, sets$train, control, from, options))
  if (was_interrupted()) chain$status <- "interrupted"
  drawn <- if (ncol(chain$precision)) 1 / rowMeans(1 / chain$precision) else start$alpha
  c(chain, list(from = from, max_depth = options$max_depth, weight_precision = drawn[start$groups$of]))
}

# The standard deviation of the prior of a noise's log and of other free scalars.
free_scalar_sd <- 3

# The rates of the exponential priors of precisions: one over their means.
group_rates <- function(state) {
  g <- state$groups
  ifelse(g$is_log, ifelse(g$is_bias, 100, 1 / 50), ifelse(g$is_bias, 1, 2 / g$inputs))
}

no_chain <- function(n_par, n_groups, status) {
  list(theta = matrix(0, n_par, 0), precision = matrix(0, n_groups, 0),
       path = matrix(0, length(path_columns), 0, dimnames = list(path_columns, NULL)), status = status)
}

# The parameters where the search ended, those of a noise among them.
hmc_theta <- function(leaves, start) {
  from <- start$layout$leaves
  theta <- numeric(sum(leaves$rows * leaves$cols))
  for (i in seq_len(nrow(leaves))) {
    same <- which(from$name == leaves$name[i])
    theta[leaf_index(leaves[i, ])] <- if (length(same)) start$theta[leaf_index(from[same, ])]
    else start$blocks[[1 - leaves$layer[i]]]$fixed
  }
  theta
}

with_root <- function(options, start, at) {
  n <- length(options$variance)
  root <- diag(sqrt(options$variance), n)
  if (NROW(start$curvature$root) == length(at)) root[at, at] <- start$curvature$root
  options$root <- root
  options$variance <- rep(1, n)
  options
}

# The means of the draws; of a noise's standard deviation that of its square.
sampled_center <- function(draws, layout, blocks) {
  theta <- rowMeans(draws)
  for (i in which(vapply(blocks, has_sigma, NA))) {
    leaf <- noise_leaf(layout$leaves, i)
    at <- if (nrow(leaf)) leaf_index(leaf)
    theta[at] <- log(rowMeans(exp(2 * draws[at, , drop = FALSE]))) / 2
  }
  theta
}

chain_draws <- function(fit, at) fit$sampled$draws[, at, drop = FALSE]

most_watched <- 50

# The linear predictor [draws, rows and outputs] at some training rows.
watched_eta <- function(trained, data) {
  rows <- if (is.null(data$row)) seq_len(data$n) else data$row
  data$row <- as.double(rows[unique(round(seq(1, length(rows), length.out = min(length(rows), most_watched))))])
  spec <- utils::modifyList(trained$spec, list(posterior = "point"))
  draws <- trained$sampled$draws
  eta <- lapply(seq_len(ncol(draws)), function(k) as.vector(engine_run(spec, draws[, k], data)))
  do.call(rbind, eta)
}

# The fit, of which it is said where more than one in a hundred transitions diverged.
told_divergent <- function(fit) {
  if (!is_hmc(fit$spec)) return(fit)
  table <- chain_table(fit)
  if (sum(table$divergent) > 0.01 * sum(table$draws))
    warn_user("varnn_divergent", paste(
      "%d of %d transitions diverged: the draws may miss a part of the posterior. Make `accept` of posterior_hmc()",
      "greater (it was %s), use a smooth activation, or a narrower prior."), sum(table$divergent), sum(table$draws),
      format(fit$arguments$posterior_options$accept))
  fit
}

path_columns <- c("accept", "step", "depth", "leapfrogs", "divergent", "energy")

# Tells of the chain, and asks the callback, after each iteration.
sample_hook <- function(control, options) {
  if (!isTRUE(control$verbose) && is.null(control$callback)) return(NULL)
  all <- options$warmup + options$draws
  function(iteration, row) {
    names(row) <- c("energy", "step", "accept")
    if (iteration %% max(1, all %/% 10) == 0)
      report(control, "iteration %d of %d%s  %s", iteration, all, if (iteration <= options$warmup) " (warm-up)" else "",
             paste(names(row), signif(row, 4), collapse = "  "))
    !is.null(control$callback) && isTRUE(control$callback(iteration, row))
  }
}

# ---- whether chains agree

# R-hat and the effective number of draws of quantities watched in several chains, a list of [draws, quantities]: of
# each chain halved (Gelman et al. 2013, section 11.4, with Geyer's initial monotone sequence).
chain_agreement <- function(chains) {
  chains <- Filter(function(m) NROW(m) >= 4, chains)
  if (!length(chains)) return(NULL)
  n <- min(vapply(chains, nrow, 0L)) %/% 2
  halves_of <- function(m) list(m[seq_len(n), , drop = FALSE], m[nrow(m) - n + seq_len(n), , drop = FALSE])
  halves <- unlist(lapply(chains, halves_of), recursive = FALSE)
  found <- vapply(seq_len(ncol(halves[[1]])), function(j) {
    agreement_of(vapply(halves, function(m) m[, j], numeric(n)))
  }, c(rhat = 0, ess = 0))
  if (all(is.na(found))) return(NULL)
  c(rhat = max(found["rhat", ], na.rm = TRUE), ess = min(found["ess", ], na.rm = TRUE))
}

# Of one quantity [draws, chains].
agreement_of <- function(x) {
  n <- nrow(x)
  within <- mean(apply(x, 2, stats::var))
  if (!is.finite(within) || within <= 0) return(c(rhat = NA_real_, ess = NA_real_))
  total <- (n - 1) / n * within + stats::var(colMeans(x))
  covariance <- rowMeans(apply(x, 2, function(v) {
    stats::acf(v, lag.max = n - 1, type = "covariance", plot = FALSE)$acf[, 1, 1]
  })) * n / (n - 1)
  rho <- 1 - (within - covariance) / total
  rho[1] <- 1
  pairs <- rho[seq(1, n - 1, 2)] + rho[seq(2, n, 2)]
  last <- which(pairs < 0)
  pairs <- cummin(if (length(last)) pairs[seq_len(last[1] - 1)] else pairs)
  time <- max(-1 + 2 * sum(pairs), 1 / log10(n * ncol(x)))
  c(rhat = sqrt(total / within), ess = n * ncol(x) / time)
}

chains_of <- function(fit) if (is_mixture(fit)) member_fits(fit) else list(fit)

# A row for each chain.
chain_table <- function(fit) {
  chains <- chains_of(fit)
  of_chain <- function(k) {
    s <- chains[[k]]$sampled
    data.frame(chain = k, draws = ncol(s$draws), accept = mean(s$path["accept", ]), step = mean(s$path["step", ]),
               steps = mean(s$path["leapfrogs", ]), cut = mean(s$path["depth", ] >= s$max_depth),
               divergent = sum(s$path["divergent", ]))
  }
  do.call(rbind, lapply(seq_along(chains), of_chain))
}

agreement_of_fit <- function(fit) chain_agreement(lapply(chains_of(fit), function(m) m$sampled$watched))

# From this R-hat on chains do not agree on predictions.
most_rhat <- 1.05

chain_lines <- function(fit, digits) {
  table <- chain_table(fit)
  c(sprintf("Chain: %s, of trajectories of %s steps on average; %s divergent", count(table$draws, "draw"),
            format(table$steps, digits = digits), if (table$divergent) table$divergent else "none"),
    agreement_line(fit))
}

agreement_line <- function(fit) {
  found <- agreement_of_fit(fit)
  if (is.null(found)) return(NULL)
  what <- if (is_mixture(fit)) "chains" else "halves of the chain"
  sprintf("Predictions of the %s: R-hat up to %s, at least %s effective draws%s", what, fixed(found[["rhat"]], 2),
          round(found[["ess"]]), if (found[["rhat"]] > most_rhat) sprintf(
            "; the %s do not agree yet: give more `warmup`, or a greater `max_depth`", what) else "")
}
