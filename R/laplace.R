# The linearised posterior ("laplace"): the mode of the weights, the covariance that the network's linearisation there
# has, and the precisions of normal priors and the noise that have the greatest evidence.
#
# With eta(x, w) ~ eta(x, mu) + J(x) (w - mu) and A the curvature of -log p(y | eta) (expected Fisher information) the
# covariance is Sigma = (sum_i w_i J_i' A_i J_i + P)^-1, P the precisions a priori (laplace_prior.R has those of priors
# that are not normal), and the evidence log p(y | mu) + log p(mu) + d / 2 log 2 pi + 1/2 log |Sigma|. The root T of
# Sigma = T T' is what is kept; laplace_layers.R has what there is in its place where the network is too large.

# Weights and biases in theta's order: of each its group, which has one precision a priori. A leaf is a group, but
# outputs that are means and outputs that are logs of a noise are two; without hidden layers the biases belong to the
# weights.
weight_groups <- function(leaves, blocks) {
  leaves <- leaves[leaves$role != "noise", ]
  of_leaf <- function(i) {
    is_log <- leaves$layer[i] == max(leaves$layer) & seq_len(leaves$rows[i]) %in% log_sd_columns(blocks)
    rep(paste0(leaves$name[i], ifelse(is_log, ".log_sd", "")), leaves$cols[i])
  }
  names <- unlist(lapply(seq_len(nrow(leaves)), of_leaf))
  if (sum(leaves$role == "weight") == 1) names <- sub(".bias", ".weight", names, fixed = TRUE)
  groups <- unique(names)
  leaf <- match(sub(".log_sd$", "", groups), leaves$name)
  list(names = groups, of = match(names, groups), is_log = endsWith(groups, ".log_sd"),
       is_bias = grepl(".bias", groups, fixed = TRUE), inputs = leaves$cols[leaf])
}

# ---- training

# Rounds of a search for the mode and an update of the precisions: of each kind of noise, where it may depend on x
# first with a constant one; and at most without hidden layers. A round has so many steps of L-BFGS, the last three
# times as many.
laplace_rounds <- 6L
constant_rounds <- 6L
linear_rounds <- 200L
laplace_steps <- 100L
first_sigma <- 0.5 # of the noise, where the search begins
precision_bounds <- c(1e-3, 1e6)
least_log_precision <- 0.1 # of outputs that are the log of a noise: three of the prior's sd are a factor of 10,000
sigma_bounds <- c(1e-4, 100) # of the noise, in standard deviations of the response

# Trains one member from a random start. A noise that may depend on x is constant in the first rounds: learned together
# with the mean from random weights it calls everything noise. The state that these end with is kept as `constant`.
laplace_train <- function(spec, layout, blocks, sets, control, prior) {
  state <- laplace_start(spec, layout, blocks, sets$train, control, prior)
  may_vary <- any(state$groups$is_log)
  state <- laplace_search(state, sets, control, if (may_vary) constant_rounds else laplace_rounds)
  if (!may_vary || state$is_over) return(state)
  constant <- state
  state <- laplace_search(let_noise_go(state), sets, control, laplace_rounds)
  state$constant <- constant
  state
}

laplace_start <- function(spec, layout, blocks, data, control, prior) {
  groups <- weight_groups(layout$leaves, blocks)
  theta <- laplace_theta(spec, layout, blocks, data, control)
  n_w <- length(groups$of)
  state <- list(theta = theta, spec = spec, layout = layout, blocks = blocks, groups = groups, history = NULL,
                is_over = FALSE, status = "finished", center = numeric(n_w), held = groups$is_log[groups$of],
                alpha = ifelse(groups$is_bias, 1, groups$inputs / 2), way = prior_way(spec, prior), prior = prior)
  state$precision <- laplace_ways[[state$way]]$first(state)
  for (i in which(vapply(blocks, finds_noise, NA))) state <- with_log_sd(state, i, log(first_sigma))
  state
}

# The state that a fit was left in.
laplace_state <- function(fit, layout) {
  groups <- weight_groups(fit$layout, fit$blocks)
  held <- is.infinite(fit$spec$precision)
  of_group <- function(g) {
    own <- fit$spec$precision[groups$of == g & !held]
    if (length(own)) own[1] else 1
  }
  way <- prior_way(fit$spec, fit$arguments$prior)
  list(theta = fit$theta, spec = fit$spec, layout = layout, blocks = fit$blocks, groups = groups, history = NULL,
       is_over = FALSE, status = "finished", center = fit$spec$center, held = held,
       alpha = vapply(seq_along(groups$names), of_group, 0), way = way,
       precision = if (way != "evidence") replace(fit$spec$precision, held, 1),
       noise_is_free = any(groups$is_log) && !any(held))
}

# Random weights; the biases of hidden units are random, too.
laplace_theta <- function(spec, layout, blocks, data, control) {
  theta <- start_of(spec, layout, blocks, data, control)
  leaves <- layout$leaves
  for (i in which(leaves$role == "bias" & leaves$layer < max(leaves$layer)))
    theta[leaf_index(leaves[i, ])] <- stats::rnorm(leaves$rows[i], 0, 0.5)
  theta
}

# A gaussian response whose noise is found by evidence.
finds_noise <- function(block) isTRUE(block$finds_sigma) || has_log_sd(block)

# The state with another log of the noise's standard deviation of block i: a fixed number, or a bias that is held.
with_log_sd <- function(state, i, value) {
  if (!has_log_sd(state$blocks[[i]])) {
    state$blocks[[i]]$fixed <- value
    state$spec$fixed <- block_fields(state$blocks)$fixed
    return(state)
  }
  at <- log_sd_biases(state)[[i]]
  state$theta[at] <- state$center[at] <- value
  state
}

# Of each block the places in theta of the biases that are logs of its noise.
log_sd_biases <- function(state) {
  leaves <- state$layout$leaves
  bias <- leaves[leaves$role == "bias" & leaves$layer == max(leaves$layer), ]
  Map(function(b, s) if (has_log_sd(b)) leaf_index(bias)[utils::tail(s, b$n_responses)], state$blocks,
      block_slices(state$blocks, eta_rows))
}

# From the constant noise on, the log of the noise may depend on x.
let_noise_go <- function(state) {
  is_log <- state$groups$is_log[state$groups$of]
  state$held[is_log] <- FALSE
  weights <- which(is_log & !state$groups$is_bias[state$groups$of])
  state$theta[weights] <- stats::rnorm(length(weights), 0, 0.01)
  state$alpha[state$groups$is_log] <- ifelse(state$groups$is_bias[state$groups$is_log], 0.01, 50)
  state$noise_is_free <- TRUE
  state
}

# Rounds of a search for the mode and an update of the hyperparameters at it. Without hidden layers, where the mode is
# found at once, until these settle.
laplace_search <- function(state, sets, control, rounds) {
  if (length(state$spec$layer) == 1) rounds <- linear_rounds
  for (round in seq_len(rounds)) {
    is_last <- round == rounds
    before <- state
    state <- laplace_mode(state, sets, control, if (is_last) 3L else 1L)
    state <- laplace_ways[[state$way]]$at_mode(state)
    state$curvature <- laplace_curvature(state, sets$train, control$threads, with_root = is_last)
    if (!is_sound(state) && !is.null(before$curvature)) {
      before$history <- state$history
      before$curvature <- NULL
      state <- before
      break
    }
    if (state$is_over || is_last) break
    found <- hyperparameters(state)
    state <- laplace_update(state, sets$train)
    if (max(abs(hyperparameters(state) - found)) < 1e-8) break
  }
  if (is.null(state$curvature$root)) state$curvature <- laplace_curvature(state, sets$train, control$threads)
  state
}

# Whether a mode was found: of rows without any error the log of a noise falls for ever.
is_sound <- function(state) {
  log_sd <- state$curvature$eta[, log_sd_columns(state$blocks)]
  all(is.finite(state$curvature$variance)) && all(log_sd > log(1e-20))
}

hyperparameters <- function(state) c(log(weight_precisions(state)), state$spec$fixed, state$center)

# Of each weight, those of a group or its own.
weight_precisions <- function(state) if (is.null(state$precision)) state$alpha[state$groups$of] else state$precision

laplace_spec <- function(state) {
  precision <- weight_precisions(state)
  precision[state$held] <- Inf
  utils::modifyList(state$spec, list(precision = as.double(precision), center = as.double(state$center)))
}

laplace_mode <- function(state, sets, control, share) {
  control$epochs <- as.integer(ceiling(share * control$epochs / (laplace_rounds + 2)))
  found <- train_from(state$theta, laplace_spec(state), state$layout, sets$train, sets$valid, control)
  state$status <- found$status
  state$is_over <- found$status %in% c("interrupted", "callback", "diverged", "error")
  if (all(is.finite(found$theta))) state$theta <- found$theta
  state$history <- rbind(state$history, found$history)
  state
}

# The posterior's covariance: for each observation and output the seeds are the columns of a root of A. Its root may be
# left out (NULL) where it is not asked for: the variances cost less where there are fewer rows than weights.
laplace_curvature <- function(state, data, threads = 1, with_root = TRUE) {
  rows <- if (is.null(data$row)) seq_len(data$n) else data$row
  data$row <- as.double(rows)
  eta <- engine_run(laplace_spec(state), state$theta, data)
  seeds <- function(at) {
    information_roots(state, data$y[rows[at], , drop = FALSE], eta[at, , drop = FALSE], data$weight[rows[at]])
  }
  active <- full_weights(state$layout$leaves, state$held)
  precision <- weight_precisions(state)
  variance <- shrunk <- numeric(length(state$held)) # the latter is one less the precision times the former
  root <- NULL
  if (with_root || 2 * length(rows) * dim(seeds(1L))[3] > length(active)) {
    root <- full_root(state, data, active, seeds, threads)
    variance[active] <- rowSums(root * root)
    shrunk[active] <- 1 - precision[active] * variance[active]
  } else {
    shrunk[active] <- shrinkage(state, data, active, seeds, threads)
    variance[active] <- (1 - shrunk[active]) / precision[active]
  }
  layers <- layer_posteriors(state, data, seeds, active, threads)
  for (leaf in layers) {
    at <- leaf_index(state$layout$leaves[leaf$row, ])
    variance[at] <- leaf_variances(leaf)
    shrunk[at] <- 1 - precision[at] * variance[at]
  }
  effective <- group_sums(state, ifelse(state$held, 0, shrunk))
  list(root = root, active = active, layers = layers, variance = variance, effective = pmax(effective, 0), eta = eta,
       rows = rows)
}

# The root of the covariance of the `active` weights, given the others.
full_root <- function(state, data, active, seeds, threads) {
  if (!length(active)) return(matrix(0, 0, 0))
  gram <- 0
  over_rows(data, ncol(seeds(1L))^2, function(part, at) {
    gram <<- gram + engine_jacobian(laplace_spec(state), state$theta, part, active, "gram", seed = seeds(at),
                                    threads = threads)
  })
  engine_root(gram, weight_precisions(state)[active], threads)
}

# 1 - precision * variance of the `active` weights without their covariance (Woodbury): with K = R J P^-1/2, J being the
# slopes, R the seeds and P the precisions a priori, the diagonal of K' (I + K K')^-1 K.
shrinkage <- function(state, data, active, seeds, threads) {
  slopes <- engine_jacobian(laplace_spec(state), state$theta, data, active, "images",
                            seed = seeds(seq_along(data$row)), threads = threads)
  slopes <- matrix(slopes, ncol = length(active))
  slopes <- slopes / rep(sqrt(weight_precisions(state)[active]), each = nrow(slopes))
  gram <- tcrossprod(slopes)
  diag(gram) <- diag(gram) + 1
  if (!all(is.finite(gram))) return(rep(NaN, length(active)))
  colSums(backsolve(chol(gram), slopes, transpose = TRUE)^2)
}

# Calls visit(part, at) for chunks of the data's rows, `at` among those that count.
over_rows <- function(data, numbers_per_row, visit) {
  rows <- if (is.null(data$row)) seq_len(data$n) else data$row
  for (at in row_chunks(length(rows), numbers_per_row)) {
    data$row <- as.double(rows[at])
    visit(data, at)
  }
}

least_precision <- function(groups) ifelse(groups$is_log, least_log_precision, precision_bounds[1])

group_sums <- function(state, x) {
  vapply(seq_along(state$groups$names), function(g) sum(x[state$groups$of == g]), 0)
}

# eta for curvatures: logs of a noise are kept within the bounds of sigma, for where rows have no error they fall for
# ever.
bounded_eta <- function(block, eta) {
  if (!has_log_sd(block)) return(eta)
  at <- seq_len(ncol(eta)) > ncol(eta) / 2
  eta[, at] <- pmin(pmax(eta[, at], log(sigma_bounds[1])), log(sigma_bounds[2]))
  eta
}

# [rows, n_eta, seeds]: of each row the columns of a root of w A.
information_roots <- function(state, y, eta, w) {
  n <- nrow(eta)
  free <- block_free(list(blocks = state$blocks, layout = state$layout$leaves, theta = state$theta))
  in_eta <- block_slices(state$blocks, eta_rows)
  in_y <- block_slices(state$blocks, y_rows)
  root_w <- if (is.null(w)) rep(1, n) else sqrt(w)
  parts <- lapply(seq_along(state$blocks), function(b) {
    block <- state$blocks[[b]]
    part <- list(eta = bounded_eta(block, eta[, in_eta[[b]], drop = FALSE]), y = y[, in_y[[b]], drop = FALSE],
                 free = free[[b]])
    there <- root_w * !is.na(part$y[, 1])
    if (has_sigma(block)) there <- there * exp(-part$free[1])
    part$y[is.na(part$y)] <- 0
    k <- length(in_eta[[b]])
    seeds <- if (has_log_sd(block) && !isTRUE(state$noise_is_free)) seq_len(k / 2) else seq_len(k)
    out <- array(0, c(n, ncol(eta), length(seeds)))
    if (is_kind(block, "levels")) {
      p <- softmax(part$eta)
      for (j in seeds) {
        out[, in_eta[[b]], j] <- -p * sqrt(p[, j]) * there
        out[, in_eta[[b]][j], j] <- (1 - p[, j]) * sqrt(p[, j]) * there
      }
    } else {
      root <- information_root(record_of(block), part, seeds)
      for (i in seeds) for (j in seeds) if (!is.null(root[[i, j]])) out[, in_eta[[b]][i], j] <- root[[i, j]] * there
    }
    out
  })
  n_seeds <- vapply(parts, function(p) dim(p)[3], 0)
  array(unlist(parts), c(n, ncol(eta), sum(n_seeds)))
}

# The root L, lower triangular, of the information L L' of each row in these outputs: a list of matrices' entries, NULL
# being 0 (Cholesky's).
information_root <- function(record, part, at) {
  root <- matrix(list(), length(at), length(at))
  times <- function(a, b) if (is.null(a) || is.null(b)) 0 else a * b
  for (j in at) {
    known <- seq_len(j - 1)
    below <- Reduce(`+`, lapply(known, function(k) times(root[[j, k]], root[[j, k]])), 0)
    root[[j, j]] <- sqrt(pmax(record$information(part, j, j) - below, 0))
    for (i in at[at > j]) {
      a <- record$information(part, i, j)
      if (is.null(a) && !length(known)) next
      a <- Reduce(`-`, lapply(known, function(k) times(root[[i, k]], root[[j, k]])), if (is.null(a)) 0 else a)
      root[[i, j]] <- ifelse(root[[j, j]] > 0, a / root[[j, j]], 0)
    }
  }
  root
}

# What the evidence finds: precisions a priori, and sigma^2 = SSE / (n - gamma) of a constant noise.
laplace_update <- function(state, data) {
  state <- laplace_ways[[state$way]]$update(state)
  for (i in which(vapply(state$blocks, finds_noise, NA)))
    if (!has_log_sd(state$blocks[[i]]) || !isTRUE(state$noise_is_free))
      state <- with_log_sd(state, i, found_log_sd(state, data, i))
  state
}

# MacKay's updates: alpha = gamma / |w - c|^2 of each group.
mackay_update <- function(state) {
  off <- group_sums(state, ifelse(state$held, 0, (state$theta[seq_along(state$held)] - state$center)^2))
  use <- state$curvature$effective > 0 | off > 0
  alpha <- state$curvature$effective / pmax(off, 1e-10)
  state$alpha[use] <- pmin(pmax(alpha, least_precision(state$groups)), precision_bounds[2])[use]
  state
}

found_log_sd <- function(state, data, i) {
  at <- block_slices(state$blocks, eta_rows)[[i]][1]
  rows <- state$curvature$rows
  e <- state$curvature$eta[, at] - data$y[rows, block_slices(state$blocks, y_rows)[[i]][1]]
  w <- if (is.null(data$weight)) rep(1, length(e)) else data$weight[rows]
  w <- w * !is.na(e)
  n <- sum(w)
  effective <- sum(state$curvature$effective)
  sigma <- sqrt(sum(w * e^2, na.rm = TRUE) / max(n - effective, n / 100))
  log(min(max(sigma, sigma_bounds[1]), sigma_bounds[2]))
}

# The evidence of the linearised model, in nats, of the response on its own scale.
laplace_evidence <- function(state, data) {
  terms <- engine_run(laplace_spec(state), state$theta, data, "terms")
  w <- if (is.null(data$weight)) 1 else data$weight[state$curvature$rows]
  shift <- row_jacobian(list(blocks = state$blocks), data$y[state$curvature$rows, , drop = FALSE])
  shift[is.na(shift)] <- 0 # of rows without a response
  -sum(w * (rowSums(terms) + shift)) + laplace_ways[[state$way]]$log_density(state) + log_root_det(state$curvature)
}

#' Evidence of a Bayesian network
#'
#' The log of the marginal likelihood of a fit by [fit_bayes_nn()] with `posterior = "laplace"`, of the network
#' linearised at its mode.
#'
#' @param object a fit by [fit_bayes_nn()] with `posterior = "laplace"`.
#' @param ... not used.
#' @details With \eqn{\mu}{mu} the mode of d weights and \eqn{\Sigma}{Sigma} their covariance it is \eqn{\log p(y \mid
#'   \mu) + \log p(\mu) + \frac d 2 \log 2\pi + \frac 1 2 \log |\Sigma|}{log p(y | mu) + log p(mu) + d / 2 log(2 pi) +
#'   log|Sigma| / 2}. With a constant gaussian noise that is the ELBO of the linearised network, the greatest over all
#'   normal distributions; else it is Laplace's approximation. It is no bound for the network itself. Without hidden
#'   layers and with a gaussian response it is the log of the marginal likelihood, exactly. Of more than 3,000 weights,
#'   where not all depend on each other, \eqn{\Sigma}{Sigma} is that of the posterior, and the ELBO is the greatest over
#'   distributions like it. Of [prior_laplace()] \eqn{p(\mu)}{p(mu)} is the normal bound of that prior, and the evidence
#'   a lower bound. The density is that of the response on its own scale.
#' @return One number, in nats; of a mixture one for each member.
#' @references MacKay (1992) Bayesian interpolation, \doi{10.1162/neco.1992.4.3.415}. Immer, Korzepa and Bauer (2021)
#'   Improving predictions of Bayesian neural nets via local linearization, \doi{10.48550/arXiv.2008.08400}.
#' @seealso [elbo()], the lower bound that the other posteriors have; [logLik()], the likelihood.
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 4, posterior = "laplace")
#' evidence(fit)
#' @export
evidence <- function(object, ...) UseMethod("evidence")

#' @rdname evidence
#' @export
evidence.default <- function(object, ...) {
  stop_user("`object` must be a fit by fit_bayes_nn() with `posterior` = \"laplace\", not %s.", shown(object))
}

#' @rdname evidence
#' @export
evidence.varnn <- function(object, ...) {
  check_fit(object)
  check_dots_empty(...)
  if (!is_laplace(object$spec))
    stop_user("evidence() needs a fit by fit_bayes_nn() with `posterior` = \"laplace\": see elbo() and logLik().")
  if (is_mixture(object)) return(vapply(member_fits(object), function(m) m$laplace$evidence, 0))
  object$laplace$evidence
}

# ---- from arguments to a fit

# Whether the covariance of the weights fits in memory.
check_laplace <- function(spec) {
  size <- dense_sizes(spec)
  needed <- 8 * (2 * full_count(size)^2 + max(size$rows^2 + size$cols^2 + 4 * size$rows * size$cols))
  if (needed > available_memory())
    stop_user("`posterior` = \"%s\" of %s weights and biases needs %s GB, more than there is (%s GB): %s.",
              spec$posterior, thousands(n_weights(spec)), format(needed / 1e9, digits = 3),
              format(available_memory() / 1e9, digits = 3), "use fewer hidden units, or another `posterior`")
}

# Members and their weights where "auto" leaves them to the posterior.
laplace_mixture <- function(model, spec, blocks, counts) {
  members <- if (length(model$hidden)) laplace_members(spec, counts, model$sigma) else 1
  with_members(model, members, if (length(blocks) == 1 && has_nodes(blocks[[1]])) "stack" else "equal")
}

# As many members as some seconds allow, of 5 to 10 starts, and fewer, at least 2, where these take minutes.
laplace_members <- function(spec, counts, sigma) {
  of_start <- laplace_work(dense_sizes(spec), counts$rows)
  starts <- if (5 * of_start <= much_work) min(max(round(7e10 / of_start), 5), 10) else max(2, much_work %/% of_start)
  if (identical(sigma, "auto")) 2 * starts else starts
}

# Multiplications of one start: the search, and the sums of squares and roots of all rounds, or what the time for each
# layer is worth.
laplace_work <- function(size, rows) {
  full <- full_count(size)
  of_layers <- if (full < sum(size$rows * size$cols)) 6e7 * length(size$rows) else 0
  1e4 * rows * sum(size$rows * size$cols) +
    (laplace_rounds + constant_rounds) * (rows * utils::tail(size$rows, 1) * full^2 + full^3 + of_layers)
}
much_work <- 2.5e12

# How many weights have a full covariance.
full_count <- function(size) {
  n <- size$rows * size$cols
  if (sum(n) <= most_laplace) sum(n) else if (utils::tail(n, 1) <= most_laplace) utils::tail(n, 1) else 0
}
n_weights <- function(spec) sum(dense_sizes(spec)$rows * dense_sizes(spec)$cols)

with_precisions <- function(spec) {
  n <- n_weights(spec)
  utils::modifyList(spec, list(precision = rep(1, n), center = numeric(n)))
}

# The mode is sought by L-BFGS; `epochs` is its number of steps in the rounds of one kind of noise.
laplace_control <- function(control, says_how, posterior = "laplace") {
  if (says_how && control$optimizer != "lbfgs")
    stop_user("`posterior` = \"%s\" seeks the mode by L-BFGS: leave `optimizer` and its like out.", posterior)
  control$optimizer <- "lbfgs"
  if (is.null(control$epochs)) control$epochs <- laplace_steps * (laplace_rounds + 2L)
  control
}

# What one start leads to: one member, or with `sigma` = "auto" two, whose noise depends on x and is constant.
train_laplace <- function(spec, layout, blocks, sets, control, arguments) {
  state <- laplace_train(spec, layout, blocks, sets, control, arguments$prior)
  both <- identical(arguments$sigma, "auto") && any(state$groups$is_log) && isTRUE(state$noise_is_free)
  lapply(c(list(state), if (both) list(state$constant)), laplace_trained, sets)
}

laplace_trained <- function(state, sets) {
  steps <- NROW(state$history)
  trained <- list(theta = state$theta, state = NULL, history = state$history, status = state$status, epochs = steps,
                  best_epoch = steps, spec = laplace_spec(state), blocks = state$blocks,
                  laplace = laplace_record(state, sets$train))
  with_shares(trained, state$blocks, sets)
}

# What a fit keeps of its posterior: the root, packed by columns, of which weights; those of other layers; and what the
# evidence found.
laplace_record <- function(state, data) {
  root <- state$curvature$root
  list(root = root[upper_places(NROW(root))], active = state$curvature$active, layers = state$curvature$layers,
       effective = stats::setNames(state$curvature$effective, state$groups$names),
       evidence = laplace_evidence(state, data))
}
