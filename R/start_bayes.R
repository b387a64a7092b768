# Where the training of random weights starts.

# Random weights start nearly as points, and a learned noise small: of a large one the network would learn little.
random_log_sigma <- -3

start_noise <- function(theta, layout, blocks, y, w) {
  columns <- block_slices(blocks, y_rows)
  for (i in which(vapply(blocks, function(b) has_sigma(b) && b$noise == "each", NA))) {
    own <- y[, columns[[i]], drop = FALSE]
    sd <- sqrt(mean(weighted_means((own - by_column(weighted_means(own, w), own))^2, w)))
    theta[leaf_index(noise_leaf(layout$leaves, i))] <- log(0.3 * if (sd > 0) sd else 1)
  }
  theta
}

# Trained without draws, they start where a simpler network ends: those of a constant noise at the plain network with a
# penalty of half its squared error, with little spread; those of a noise that depends on x at the network of a constant
# one. From random weights the objective leads to optima as high that predict worse, as tools/bayes.R shows.
mode_penalty <- 0.003
mode_epochs <- 300

start_at_simpler <- function(theta, spec, layout, blocks, data, control) {
  is_hetero <- any(vapply(blocks, has_log_sd, NA))
  is_simple <- length(spec$layer) == 1 && !is_hetero
  if (!is_deterministic(spec) || is_laplace(spec) || control$optimizer != "lbfgs" || is_simple) return(theta)
  simpler <- if (is_hetero) constant_noise(spec, blocks) else plain_network(spec, blocks)
  from <- spec_layout(simpler$spec)
  control <- utils::modifyList(control, list(epochs = min(control$epochs, mode_epochs), verbose = FALSE))
  control["callback"] <- list(NULL)
  if (!is_hetero) control["objective"] <- list(NULL)
  found <- train_from(start_of(simpler$spec, from, simpler$blocks, data, control), simpler$spec, from, data, NULL,
                      control)
  if (all(is.finite(found$theta))) theta <- with_network(theta, layout, found$theta, from, blocks)
  theta
}

# The network of `spec` without spread of its weights, for squared errors.
plain_network <- function(spec, blocks) {
  point <- list(posterior = "point", prior = "flat", estimator = "weight", penalty = mode_penalty)
  blocks <- lapply(blocks, utils::modifyList, list(noise = "fixed", fixed = 0))
  list(spec = utils::modifyList(spec, c(point, block_fields(blocks))), blocks = blocks)
}

# The network of `spec` with a constant noise for each response.
constant_noise <- function(spec, blocks) {
  constant <- function(b) utils::modifyList(b, list(family = record_of(b)$twin, noise = "each", fixed = 0))
  blocks <- lapply(blocks, function(b) if (has_log_sd(b)) constant(b) else b)
  spec <- utils::modifyList(spec, block_fields(blocks))
  spec$size[length(spec$size)] <- as.integer(sum(vapply(blocks, eta_rows, 0)))
  list(spec = spec, blocks = blocks)
}

# theta with the weights of `found`, whose network may lack the outputs that are the log of a noise: these start
# constant, at the noise that was found.
with_network <- function(theta, layout, found, from, blocks) {
  shared <- layout$leaves[layout$leaves$part < 2 & layout$leaves$role %in% c("weight", "bias"), ]
  for (i in which(shared$name %in% from$leaves$name)) {
    to <- shared[i, ]
    of <- from$leaves[from$leaves$name == to$name, ]
    lacks <- if (of$rows < to$rows) log_sd_columns(blocks)
    value <- matrix(theta[leaf_index(to)], to$rows)
    value[setdiff(seq_len(to$rows), lacks), ] <- found[leaf_index(of)]
    if (length(lacks) && to$role == "bias" && to$part == 0)
      value[lacks, ] <- unlist(lapply(which(vapply(blocks, has_log_sd, NA)),
                                      function(k) found[leaf_index(noise_leaf(from$leaves, k))]))
    theta[leaf_index(to)] <- value
  }
  theta
}
