# What the linearised posterior predicts. eta of each row is normal, and the mean of a function of one eta is a weighted
# sum over few values of it, the nodes.

# T of the covariance T T' of the active weights, and their places in theta.
laplace_root <- function(fit) {
  n <- length(fit$laplace$active)
  root <- matrix(0, n, n)
  root[upper_places(n)] <- fit$laplace$root
  root
}

# Where the upper triangle of an n by n matrix stands, with its diagonal: upper.tri() without matrices of their own.
upper_places <- function(n) sequence(seq_len(n), from = (seq_len(n) - 1) * n + 1)

# The columns of eta that are random: not those of a noise that is held at one number.
random_eta <- function(fit) {
  n_eta <- sum(vapply(fit$blocks, eta_rows, 0))
  if (has_held_noise(fit)) setdiff(seq_len(n_eta), log_sd_columns(fit$blocks)) else seq_len(n_eta)
}

# From this number of weights on, variances are sums in single precision, which takes half the time and leaves them six
# digits.
single_from <- 200

# Whether the noise of a network that has outputs for its log is held at one number.
has_held_noise <- function(fit) any(is.infinite(fit$spec$precision))

# Seeds that are these columns of eta.
unit_seeds <- function(at, n_eta) array(diag(n_eta)[, at], c(1, n_eta, length(at)))

# Means [rows, n_eta] and covariances [rows, n_eta, n_eta] of eta.
eta_moments <- function(fit, data) {
  mean <- fit_run(fit, data, "eta")
  k <- ncol(mean)
  at <- random_eta(fit)
  cov <- array(0, c(nrow(mean), k, k))
  if (nrow(mean)) cov[, at, at] <- eta_covariances(fit, data, unit_seeds(at, k))
  check_finite_output(cov)
  list(mean = mean, cov = cov)
}

eta_covariances <- function(fit, data, seeds) {
  cov <- array(0, c(data$n, dim(seeds)[3], dim(seeds)[3]))
  if (length(fit$laplace$active))
    cov <- engine_jacobian(fit$spec, fit$theta, data, fit$laplace$active, "covariances", seeds, laplace_root(fit),
                           upper = TRUE, threads = fit$control$threads,
                           precision = if (length(fit$laplace$active) < single_from) "double" else "single")
  add_leaf_covariances(cov, fit, data, seeds)
}

# Nodes and weights of Gauss-Hermite quadrature for N(0, 1) (Golub and Welsch 1969).
normal_nodes <- function(n) {
  off <- sqrt(seq_len(n - 1) / 2)
  m <- matrix(0, n, n)
  m[cbind(seq_len(n - 1), 2:n)] <- m[cbind(2:n, seq_len(n - 1))] <- off
  e <- eigen(m, symmetric = TRUE)
  list(at = sqrt(2) * e$values, weight = e$vectors[1, ]^2)
}
scale_nodes <- 9
link_nodes <- 20

# Families of which eta has nodes: all but those whose outputs belong together.
has_nodes <- function(block) {
  !is_kind(block, "levels") && (has_log_sd(block) || length(record_of(block)$parts) == 1)
}

# Nodes that stand for the normal eta of a block, with mean [rows, k] and cov [rows, k, k]: list(eta [rows, k, nodes],
# weight, variance [rows, nodes]), variance what is left of the mean of a response with normal noise.
eta_nodes <- function(block, mean, cov) {
  n <- nrow(mean)
  if (has_sigma(block))
    return(list(eta = array(mean, c(n, ncol(mean), 1)), weight = 1, variance = matrix(cov[, 1, 1], n)))
  if (has_log_sd(block)) return(scale_eta_nodes(mean, cov))
  nodes <- normal_nodes(link_nodes)
  list(eta = array(mean[, 1] + sqrt(cov[, 1, 1]) %o% nodes$at, c(n, 1, link_nodes)), weight = nodes$weight)
}

# The log of a noise counts as at most this, in size: so the noise has a square that is a number.
most_log_sd <- 100

# Of a mean and the log of a noise: nodes of the log, and the mean given it.
scale_eta_nodes <- function(mean, cov) {
  n <- nrow(mean)
  nodes <- normal_nodes(scale_nodes)
  sd <- sqrt(cov[, 2, 2])
  slope <- ifelse(sd > 0, cov[, 1, 2] / pmax(sd, 1e-300), 0)
  eta <- array(0, c(n, 2, scale_nodes))
  eta[, 1, ] <- mean[, 1] + slope %o% nodes$at
  eta[, 2, ] <- pmin(pmax(mean[, 2] + sd %o% nodes$at, -most_log_sd), most_log_sd)
  list(eta = eta, weight = nodes$weight, variance = matrix(pmax(cov[, 1, 1] - slope^2, 0), n, scale_nodes))
}

# eta_nodes() of each block at what eta_moments() gives.
nodes_of_blocks <- function(blocks, moments) {
  Map(function(block, j) eta_nodes(block, moments$mean[, j, drop = FALSE], moments$cov[, j, j, drop = FALSE]), blocks,
      block_slices(blocks, eta_rows))
}

# Calls visit(nodes, at) for chunks of rows, nodes being eta_nodes() of each block.
over_nodes <- function(fit, data, visit) {
  for (at in row_chunks(data$n, max(link_nodes, run_columns(fit$spec, "eta")^2)))
    visit(nodes_of_blocks(fit$blocks, eta_moments(fit, part_of_rows(data, at))), at)
}

# The eta that stands for the mean of the response; of a gaussian one it is eta at the mode.
linearised_eta <- function(fit, data) {
  if (all(vapply(fit$blocks, has_sigma, NA))) return(fit_run(fit, data, "eta"))
  out <- matrix(0, data$n, run_columns(fit$spec, "eta"))
  columns <- block_slices(fit$blocks, eta_rows)
  free <- block_free(fit)
  over_nodes(fit, data, function(nodes, at) {
    for (i in seq_along(columns))
      out[at, columns[[i]]] <<- mean_over(fit$blocks[[i]], nodes[[i]]$eta, free[[i]], nodes[[i]]$weight)
  })
  out
}

# Over the nodes of one block: log-densities of the engine's y [rows, nodes]; `expected`: their mean given the node, of
# a mean with variance left, in place of the log of the mean density.
node_log_density <- function(block, y, nodes, free, expected = FALSE) {
  if (is.null(nodes$variance)) return(-draw_nll(block, y, nodes$eta, free))
  record <- record_of(block)
  flat <- draws_in_rows(nodes$eta)
  noise <- matrix(rep_len(record$sd(flat, free), nrow(flat)), nrow(y))
  mean <- matrix(mean_at(block, flat, free), nrow(y))
  out <- if (expected) stats::dnorm(y[, 1], mean, noise, log = TRUE) - nodes$variance / (2 * noise^2)
  else stats::dnorm(y[, 1], mean, sqrt(noise^2 + nodes$variance), log = TRUE)
  matrix(ifelse(is.na(out), 0, out), nrow(y))
}

# The expected log-likelihood of each row, or (of one response) the log of the mean density, on the engine's scale.
linearised_log_lik <- function(fit, y, data, expected) {
  free <- block_free(fit)
  in_y <- block_slices(fit$blocks, y_rows)
  out <- numeric(data$n)
  over_nodes(fit, data, function(nodes, at) {
    for (i in seq_along(fit$blocks)) {
      l <- node_log_density(fit$blocks[[i]], y[at, in_y[[i]], drop = FALSE], nodes[[i]], free[[i]], expected)
      out[at] <<- out[at] + if (expected) drop(l %*% nodes[[i]]$weight) else log_mean_exp(l, nodes[[i]]$weight)
    }
  })
  out
}

# Whether the predictive density of a response has a closed form, or nearly.
has_closed_density <- function(fit) is_laplace(fit$spec) && length(fit$blocks) == 1 && has_nodes(fit$blocks[[1]])

# Draws of the weights that are not held less their mean [weights, draws], functions of the key.
weight_shifts <- function(fit, draws, key = random_key()) {
  active <- which(is.finite(fit$spec$precision))
  centered_draws(fit, matrix(engine_draw("normal", length(active) * draws, key), length(active)), active)
}

# Draws of the `active` weights, in this order, less their mean from standard normal numbers [weights, draws].
centered_draws <- function(fit, normals, active) {
  full <- match(fit$laplace$active, active)
  normals[full, ] <- laplace_root(fit) %*% normals[full, , drop = FALSE]
  for (leaf in fit$laplace$layers) {
    at <- match(leaf_index(fit$layout[leaf$row, ]), active)
    own <- matrix(0, length(at), ncol(normals))
    own[!is.na(at), ] <- normals[at[!is.na(at)], ]
    normals[at[!is.na(at)], ] <- leaf_draws(leaf, own)[!is.na(at), ]
  }
  normals
}

# A fit whose draws are those of the linearised network, or of the network itself.
drawn_as <- function(fit, linearised) {
  if (check_flag(linearised, "linearised") || !is_laplace(fit$spec)) return(fit)
  if (is_mixture(fit)) for (k in seq_along(fit$members)) fit$members[[k]]$laplace$draws_network <- TRUE
  else fit$laplace$draws_network <- TRUE
  fit
}

draws_network <- function(fit) isTRUE(fit$laplace$draws_network)

# Draws of eta [rows, n_eta, draws] at shifts of the weights, of the network itself.
network_eta <- function(fit, data, shifts) {
  at <- which(is.finite(fit$spec$precision))
  one <- function(k) {
    fit$theta[at] <- fit$theta[at] + shifts[, k]
    fit_run(fit, data, "eta")
  }
  out <- vapply(seq_len(ncol(shifts)), one, matrix(0, data$n, run_columns(fit$spec, "eta")))
  array(out, c(data$n, run_columns(fit$spec, "eta"), ncol(shifts)))
}

# Draws of eta [rows, n_eta, draws] at shifts of the weights, of the linearised network, whose functions the
# posterior describes.
shifted_eta <- function(fit, data, shifts) {
  mean <- fit_run(fit, data, "eta")
  k <- ncol(mean)
  at <- random_eta(fit)
  out <- array(mean, c(dim(mean), ncol(shifts)))
  out[, at, ] <- out[, at, , drop = FALSE] +
    engine_jacobian(fit$spec, fit$theta, data, which(is.finite(fit$spec$precision)), "images", unit_seeds(at, k),
                    shifts, threads = fit$control$threads)
  out
}

# KL[N(mu, Sigma) || prior] of the weights that are not held.
laplace_kl <- function(fit) {
  at <- which(is.finite(fit$spec$precision))
  q <- list(at = at, mean = fit$theta[at], variance = laplace_variances(fit)[at], precision = fit$spec$precision[at],
            center = fit$spec$center[at])
  way <- laplace_ways[[prior_way(fit$spec, fit$arguments$prior)]]
  way$cross_entropy(fit$spec, q, fit$layout) - length(at) / 2 -
    log_root_det(list(root = laplace_root(fit), layers = fit$laplace$layers))
}

# The variances of all weights, 0 of those that are held.
laplace_variances <- function(fit) {
  out <- numeric(length(fit$spec$precision))
  out[fit$laplace$active] <- rowSums(laplace_root(fit)^2)
  for (leaf in fit$laplace$layers) out[leaf_index(fit$layout[leaf$row, ])] <- leaf_variances(leaf)
  out
}

# log |Sigma| / 2
log_root_det <- function(posterior) {
  sds <- unlist(lapply(posterior$layers, function(leaf) leaf$sd[leaf$sd > 0]))
  sum(log(diag(posterior$root))) + sum(log(as.numeric(sds)))
}

# ---- leave one out

# How much of itself an observation may explain: beyond, the linearised network says little about the one without it.
most_leverage <- 0.7

# The log density of each training row under the posterior without it, of a model with one response whose eta has nodes.
# Without row i eta_i has the covariance (S^-1 - A)^-1 and the mean m + (S^-1 - A)^-1 g, A being the curvature and g the
# slope of -log p(y_i | eta) there.
loo_log_density <- function(fit, y, data) {
  block <- fit$blocks[[1]]
  free <- block_free(fit)[[1]]
  moments <- eta_moments(fit, data)
  cavity <- cavity_moments(block, y, moments, free)
  nodes <- eta_nodes(block, cavity$mean, cavity$cov)
  log_mean_exp(node_log_density(block, y, nodes, free), nodes$weight)
}

cavity_moments <- function(block, y, moments, free) {
  n <- nrow(y)
  k <- ncol(moments$mean)
  part <- list(eta = bounded_eta(block, moments$mean), y = replace(y, is.na(y), 0), free = free)
  a <- g <- matrix(0, n, k)
  for (j in seq_len(k)) {
    a[, j] <- record_of(block)$information(part, j, j)
    if (has_sigma(block)) a[, j] <- exp(-2 * free[1])
    step <- replace(numeric(k), j, 1e-4)
    nll <- function(sign) draw_nll(block, y, array(moments$mean + rep(sign * step, each = n), c(n, k, 1)), free)[, 1]
    g[, j] <- (nll(1) - nll(-1)) / 2e-4
  }
  s <- moments$cov
  leverage <- Reduce(`+`, lapply(seq_len(k), function(j) s[, j, j] * a[, j]))
  s <- s * pmin(1, most_leverage / pmax(leverage, 1e-300))
  if (k == 1) s[, 1, 1] <- s[, 1, 1] / (1 - s[, 1, 1] * a[, 1])
  else s <- two_cavity(s, a)
  mean <- moments$mean
  for (j in seq_len(k)) for (l in seq_len(k)) mean[, j] <- mean[, j] + s[, j, l] * g[, l]
  list(mean = mean, cov = s)
}

# (I - S A)^-1 S of pairs.
two_cavity <- function(s, a) {
  b <- array(0, dim(s))
  for (j in 1:2) for (l in 1:2) b[, j, l] <- (j == l) - s[, j, l] * a[, l]
  det <- b[, 1, 1] * b[, 2, 2] - b[, 1, 2] * b[, 2, 1]
  out <- s
  for (l in 1:2) {
    out[, 1, l] <- (b[, 2, 2] * s[, 1, l] - b[, 1, 2] * s[, 2, l]) / det
    out[, 2, l] <- (b[, 1, 1] * s[, 2, l] - b[, 2, 1] * s[, 1, l]) / det
  }
  out
}

# ---- the weights of members

# Leverages say little of a member whose evidence is less than the greatest by more than this in nats per observation,
# or whose effective number of parameters is a greater share of the observations: it interpolates.
most_evidence_lost <- 0.4
most_effective <- 0.9
# As what share of the rows the weights of the kinds of noise count where their members are weighted.
kinds_count <- 0.2

# Weights that maximise the mean log density of the training rows, each left out of the posterior: first of the two
# kinds of noise as wholes, then of the members, whose weights are drawn to equal ones within each kind.
laplace_weights <- function(fits, train) {
  y <- training_y(train, fits[[1]]$blocks)
  rows <- list(x = train$x, offset = train$offset)
  loo <- vapply(fits, function(f) loo_log_density(f, y, row_data(f, rows)), numeric(nrow(train$x)))
  use <- if (is.null(train$weights)) rep(TRUE, nrow(loo)) else train$weights > 0
  use <- use & rowSums(is.na(y)) == 0 & rowSums(!is.finite(loo)) == 0
  n <- if (is.null(train$weights)) sum(use) else sum(train$weights[use])
  if (!any(use)) return(rep(1 / length(fits), length(fits)))
  loo <- pmax(loo[use, , drop = FALSE], least_log_density)
  case <- train$weights[use]
  good <- trusted_members(fits, n)
  kind <- vapply(fits[good], has_held_noise, NA)
  of_kind <- function(k) log_mean_exp(loo[, good[kind == k], drop = FALSE], rep(1 / sum(kind == k), sum(kind == k)))
  share <- c(mean(kind), mean(!kind))
  if (all(share > 0)) share <- stacking_weights(cbind(of_kind(TRUE), of_kind(FALSE)), case)
  prior <- ifelse(kind, share[1] / max(1, sum(kind)), share[2] / max(1, sum(!kind)))
  out <- numeric(length(fits))
  out[good] <- stacking_weights(loo[, good, drop = FALSE], case, prior, kinds_count)
  out
}

# Which members stacking looks at, of n observations.
trusted_members <- function(fits, n) {
  evidence <- vapply(fits, function(f) f$laplace$evidence, 0)
  effective <- vapply(fits, function(f) sum(f$laplace$effective), 0)
  few <- effective <= most_effective * n
  if (!any(few)) few[] <- TRUE
  which(few & evidence >= max(evidence[few]) - most_evidence_lost * n)
}
least_log_density <- -60 # so that no single row decides alone
