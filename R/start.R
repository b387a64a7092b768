# Where training starts: random weights, the link of the mean, and for plain networks the linear model.

start_of <- function(spec, layout, blocks, data, control) {
  rows <- if (is.null(data$row)) seq_len(nrow(data$x)) else data$row
  if (length(rows) > 10000) rows <- rows[round(seq(1, length(rows), length.out = 10000))]
  y <- if (length(rows) < nrow(data$y)) data$y[rows, , drop = FALSE] else data$y
  w <- if (is.null(data$weight)) rep(1, length(rows)) else data$weight[rows]
  slices <- block_slices(blocks, y_rows)
  of_block <- function(s) if (length(s) < ncol(y)) y[, s, drop = FALSE] else y
  eta <- unlist(Map(function(b, s) record_of(b)$start(of_block(s), w), blocks, slices))
  if (!is.null(data$offset)) eta <- eta - weighted_means(data$offset[rows, , drop = FALSE], w)
  theta <- start_theta(layout, eta, constant_x = which(data$is_constant), scale_rows = log_columns(blocks),
                       log_sigma = random_log_sigma, random = !(is_linear(spec) && control$optimizer == "lbfgs"))
  theta <- start_free(theta, layout, blocks, y, w)
  if ("latent" %in% spec$layer) return(coder_start(theta, layout$leaves))
  if (is_bayesian(spec))
    return(start_at_simpler(start_noise(theta, layout, blocks, y, w), spec, layout, blocks, data, control))
  n <- row_counts(data$n, data$weight)$rows
  if (is_quick(spec, layout, n, control)) linear_start(theta, spec, layout, data) else theta
}

# The free scalars where their family says; the others are 0.
start_free <- function(theta, layout, blocks, y, w) {
  columns <- block_slices(blocks, y_rows)
  for (i in seq_along(blocks)) {
    leaf <- noise_leaf(layout$leaves, i)
    start <- record_of(blocks[[i]])$start_free
    if (!nrow(leaf) || is.null(start)) next
    value <- start(y[, columns[[i]], drop = FALSE], w)
    theta[leaf_index(leaf)] <- if (blocks[[i]]$noise == "shared") rowMeans(value) else value
  }
  theta
}

# Networks with a bottleneck start with half as large weights, and hidden units with biases within 1 / sqrt(inputs), as
# the script defaults_ae.R in tools found best.
coder_start <- function(theta, leaves) {
  weight <- leaves[leaves$role == "weight" & leaves$part == 0, ]
  for (i in seq_len(nrow(weight))) {
    at <- leaf_index(weight[i, ])
    theta[at] <- theta[at] / 2
    bias <- leaves[leaves$role == "bias" & leaves$part == 0 & leaves$head == 0 & leaves$layer == weight$layer[i], ]
    if (nrow(bias) && bias$layer < max(leaves$layer))
      theta[leaf_index(bias)] <- stats::runif(bias$rows, -1, 1) / sqrt(weight$cols[i])
  }
  theta
}

# Whether the linear model costs little beside the training: at most a fifth, or what nobody feels.
is_quick <- function(spec, layout, n, control) {
  size <- spec$n_x * layout$n_eta
  100 * min(n, 10000) * size <= max(2e8, control$epochs * n * layout$n_par / 5)
}

# Hidden layers start as the linear model eta = b + U D V'x of linear_fit(): for each column v of V two units of each
# layer carry a = size * sqrt(d) * v'x and -a, since phi(a) - phi(-a) = slope * a; where phi(-a) = -phi(a) these would
# stay each other's mirror images, and one unit does. The other units keep their random weights, and the output starts
# to use them in training. Only networks of dense layers alone start so.
linear_start <- function(theta, spec, layout, data) {
  weight <- layout$leaves[layout$leaves$role == "weight", ]
  bias <- layout$leaves[layout$leaves$role == "bias", ]
  last <- nrow(weight)
  dense <- without_levels(spec, data)
  linear <- if (!is.null(dense) && is_plain(dense$spec, last, nrow(bias)))
    linear_fit(theta, dense$spec, layout, dense$data)
  if (is.null(linear)) return(theta)
  direction <- svd(linear$weight)
  odd <- odd_part(spec_activations(spec))
  if (any(abs(odd$slope) < 0.01)) return(theta) # even functions carry nothing
  n <- min(weight$rows[-last] %/% ifelse(odd$is_odd, 1, 2), sum(direction$d > 1e-6 * max(1, direction$d)))
  if (n == 0) return(theta)
  root <- sqrt(direction$d[seq_len(n)])
  carried <- odd$size * root * t(direction$v[, seq_len(n), drop = FALSE])
  for (i in seq_len(last)) {
    w <- matrix(theta[leaf_index(weight[i, ])], weight$rows[i])
    if (i == last) carried <- direction$u[, seq_len(n), drop = FALSE] %*% (root / odd$size * carried)
    own <- if (i == last || odd$is_odd[i]) carried else rbind(carried, -carried)
    w[seq_len(nrow(own)), if (i == 1) seq_len(dense$spec$n_x) else TRUE] <- 0 # levels count from the start
    w[seq_len(nrow(own)), seq_len(ncol(own))] <- own
    theta[leaf_index(weight[i, ])] <- w
    if (i < last) carried <- (if (odd$is_odd[i]) 2 * diag(n) else cbind(diag(n), -diag(n))) / odd$slope[i]
  }
  c(utils::head(theta, -length(linear$after)), linear$after)
}

is_plain <- function(spec, n_weights, n_biases) {
  every(is_point(spec), n_weights > 1, n_biases == n_weights,
        identical(ifelse(is_activation(spec), "activate", spec$layer),
                  c(rep(c("dense", "activate"), n_weights - 1), "dense")))
}

# slope = (phi(a) - phi(-a)) / a of each activation; how large a may be: where the slope is not constant, small; and
# whether phi is odd.
odd_part <- function(activation) {
  slope_at <- function(a) vapply(activation, function(one) -diff(activated(one, a)) / a, 0)
  size <- if (isTRUE(all.equal(slope_at(0.25), slope_at(4)))) 1 else 0.25
  list(size = size, slope = slope_at(size),
       is_odd = vapply(activation, function(one) abs(sum(activated(one, size))) < 1e-12, NA))
}

# phi(a) and phi(-a)
activated <- function(activation, a) {
  spec <- new_spec(1, c(list(layer("dense", 1, "bias"), activation_layer(activation)), list(layer("dense", 1, "bias"))),
                   list(list(family = auto_family(0), n_responses = 1, noise = "fixed", fixed = 0)))
  x <- engine_data(matrix(c(a, -a)), scaling = list(center = 0, scale = 1, is_constant = FALSE))
  engine_run(spec, c(1, 0, 1, 0), x)[, 1]
}

# The penalised linear model of at most 10,000 rows: penalty p / n, as if eta had variance 1 a priori on standardised x.
linear_fit <- function(theta, spec, layout, data) {
  rows <- if (is.null(data$row)) seq_len(data$n) else data$row
  if (length(rows) > 10000) rows <- rows[sample.int(length(rows), 10000)]
  data$row <- as.double(rows)
  counts <- row_counts(length(rows), data$weight[rows])
  layers <- c("layer", "size", "option", "setting")
  spec[layers] <- lapply(spec[layers], utils::tail, 1)
  spec$penalty <- spec$penalty + spec$n_x / counts$total
  linear <- spec_layout(spec)
  weight <- linear$leaves[linear$leaves$role == "weight", ]
  if (prod(weight$rows, weight$cols, min(weight$rows, weight$cols)) > 1e8) return(NULL) # a slow svd()
  size <- weight$rows * weight$cols
  after <- linear$n_par - size # the last bias, and what the families need: the same as in theta, and last in both
  control <- resolve_control(nn_control(epochs = 100, optimizer = "lbfgs"), counts, linear)
  trained <- engine_fit(spec, linear, data, NULL, control, c(numeric(size), utils::tail(theta, after)))
  found <- trained$theta
  if (all(is.finite(found))) list(weight = matrix(found[seq_len(size)], weight$rows), after = utils::tail(found, after))
}
