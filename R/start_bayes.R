# Where the training of random weights starts.

# Random weights start nearly as points, and a learned noise small: of a large one the network would learn little.
random_log_sigma <- -3

start_noise <- function(theta, layout, blocks, y) {
  columns <- block_slices(blocks, y_rows)
  for (i in which(vapply(blocks, function(b) b$family == "gaussian" && b$noise == "each", NA))) {
    leaf <- layout$leaves[layout$leaves$role == "noise" & layout$leaves$layer == 1L - i, ]
    sd <- sqrt(mean((y[, columns[[i]]] - mean(y[, columns[[i]]], na.rm = TRUE))^2, na.rm = TRUE))
    theta[leaf_index(leaf)] <- log(0.3 * if (sd > 0) sd else 1)
  }
  theta
}

# Trained without draws, they start where a simpler network ends: those of a constant noise at the plain network with a
# penalty of half its squared error, with little spread; those of a noise that depends on x at the network of a constant
# one. From random weights the objective leads to optima as high that predict worse, as tools/bayes.R shows.
mode_penalty <- 0.003
mode_epochs <- 300

start_at_simpler <- function(theta, spec, layout, blocks, data, control) {
  is_hetero <- any(spec$family == "gaussian_hetero")
  if (!is_deterministic(spec) || control$optimizer != "lbfgs" || length(spec$layer) == 1 && !is_hetero) return(theta)
  simpler <- if (is_hetero) constant_noise(spec, blocks) else plain_network(spec, blocks)
  from <- spec_layout(simpler$spec)
  control <- utils::modifyList(control, list(epochs = min(control$epochs, mode_epochs), verbose = FALSE))
  control["callback"] <- list(NULL)
  if (!is_hetero) control["objective"] <- list(NULL)
  found <- engine_fit(simpler$spec, from, data, NULL, control,
                      start_of(simpler$spec, from, simpler$blocks, data, control))$theta
  if (!all(is.finite(found))) return(theta)
  with_network(theta, layout, found, from, blocks)
}

# The same network without spread, of squared errors.
plain_network <- function(spec, blocks) {
  n <- length(blocks)
  point <- list(weights = "point", covariance = "meanfield", estimator = "weight", penalty = mode_penalty,
                noise = rep("fixed", n), fixed = numeric(n))
  unit <- list(noise = "fixed", fixed = 0)
  list(spec = utils::modifyList(spec, point), blocks = lapply(blocks, utils::modifyList, unit))
}

# The same network with a constant noise for each response.
constant_noise <- function(spec, blocks) {
  constant <- list(family = "gaussian", noise = "each", fixed = 0)
  blocks <- lapply(blocks, function(b) if (has_log_sd(b)) utils::modifyList(b, constant) else b)
  spec$family <- vapply(blocks, function(b) b$family, "")
  spec$noise <- vapply(blocks, function(b) b$noise, "")
  spec$fixed <- vapply(blocks, function(b) as.double(b$fixed), 0)
  spec$size[length(spec$size)] <- as.integer(sum(vapply(blocks, eta_rows, 0)))
  list(spec = spec, blocks = blocks)
}

has_log_sd <- function(block) block$family == "gaussian_hetero"

# theta with the weights of `found`, whose network may lack the outputs that are the log of a noise: these start
# constant, at the noise that was found.
with_network <- function(theta, layout, found, from, blocks) {
  is_log_sd <- unlist(lapply(blocks, function(b) seq_len(eta_rows(b)) > if (has_log_sd(b)) b$n_responses else Inf))
  shared <- layout$leaves[layout$leaves$part < 2 & layout$leaves$role %in% c("weight", "bias"), ]
  for (i in which(shared$name %in% from$leaves$name)) {
    to <- shared[i, ]
    value <- matrix(theta[leaf_index(to)], to$rows)
    of <- from$leaves[from$leaves$name == to$name, ]
    value[if (of$rows < to$rows) !is_log_sd else TRUE, ] <- found[leaf_index(of)]
    if (of$rows < to$rows && to$role == "bias" && to$part == 0) value[is_log_sd, ] <- found_noise(found, from, blocks)
    theta[leaf_index(to)] <- value
  }
  theta
}

found_noise <- function(found, from, blocks) {
  noise <- from$leaves[from$leaves$role == "noise", ]
  unlist(lapply(which(vapply(blocks, has_log_sd, NA)), function(i) found[leaf_index(noise[noise$layer == 1L - i, ])]))
}
