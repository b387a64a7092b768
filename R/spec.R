# The engine's specification of a model, as a plain list, and the start of its parameters.

layer <- function(kind, size = 1L, option = "", setting = 0) {
  list(layer = kind, size = as.integer(size), option = option, setting = as.double(setting))
}

# A layer for an activation, the name of one or a program.
activation_layer <- function(activation) {
  if (is_program(activation)) c(layer("program"), list(program = activation))
  else layer("activate", option = activation)
}

# `penalty` is a number or a program; `posterior`, of the weights, is a row of the engine's table; `prior` is what
# prior_normal() and its like make.
new_spec <- function(n_x, layers, blocks, has_offset = FALSE, penalty = 0, posterior = "point", prior_sd = 1,
                     prior = list(kind = if (posterior == "point") "flat" else "normal", sd = prior_sd), rank = 1,
                     estimator = "weight", kl = "exact", latent_kl = "exact") {
  column <- function(of, name, type) vapply(of, function(l) l[[name]], type)
  programs <- unique(unlist(lapply(layers, function(l) list(l$program)[!is.null(l$program)]), recursive = FALSE))
  layers <- lapply(layers, function(l) {
    if (!is.null(l$program)) l$size <- match(list(l$program), programs)
    l
  })
  number <- if (is_program(penalty)) 0 else penalty
  spec <- c(
    list(n_x = as.integer(n_x), has_offset = as.integer(has_offset), posterior = posterior,
         rank = as.integer(rank), estimator = estimator), prior_fields(prior),
    list(kl_mc = as.integer(kl == "mc"), latent_mc = as.integer(latent_kl == "mc"), penalty = as.double(number),
         layer = column(layers, "layer", ""), size = column(layers, "size", 0L), option = column(layers, "option", ""),
         setting = column(layers, "setting", 0)),
    block_fields(blocks), if (length(programs)) list(programs = programs)
  )
  if (is_program(penalty)) spec <- with_program(spec, "penalty_program", penalty)
  with_likelihoods(spec, blocks)
}

# The specification with the programs of the blocks whose likelihood is one.
with_likelihoods <- function(spec, blocks) {
  for (i in which(vapply(blocks, is_custom, NA))) {
    spec$programs <- unique(c(spec$programs, list(blocks[[i]]$custom$nll)))
    if (is.null(spec$nll_program)) spec$nll_program <- integer(length(blocks))
    spec$nll_program[i] <- match(list(blocks[[i]]$custom$nll), spec$programs)
  }
  spec
}

# The blocks as the specification has them: of each so many fixed numbers and constants, one after the other.
block_fields <- function(blocks) {
  blocks <- unname(blocks)
  scalars <- vapply(blocks, n_free, 0L)
  constants <- lapply(blocks, function(b) as.double(unlist(b$constants)))
  fixed <- Map(rep_len, lapply(blocks, `[[`, "fixed"), scalars)
  list(family = vapply(blocks, function(b) b$family, ""),
       n_responses = vapply(blocks, function(b) as.integer(b$n_responses), 0L),
       noise = vapply(blocks, function(b) b$noise, ""), n_free = scalars, fixed = as.double(unlist(fixed)),
       n_constants = lengths(constants), constants = as.double(unlist(constants)))
}

# The specification with a program that `field` names by its number.
with_program <- function(spec, field, program) {
  spec$programs <- unique(c(spec$programs, list(program)))
  spec[[field]] <- match(list(program), spec$programs)
  spec
}

has_penalty <- function(spec) spec$penalty > 0 || !is.null(spec$penalty_program)

# Layers of activations; what each is, a name or a program; and its words.
is_activation <- function(spec) spec$layer %in% c("activate", "program")

spec_activations <- function(spec, at = which(is_activation(spec))) {
  lapply(at, function(i) if (spec$layer[i] == "program") spec$programs[[spec$size[i]]] else spec$option[i])
}

activation_words <- function(spec, at) {
  vapply(spec_activations(spec, at), function(a) if (is_program(a)) shortened(a$text) else a, "")
}

# A prior as the specification has it.
prior_fields <- function(prior) {
  number <- function(x, default) as.double(if (is.null(x)) default else x)
  list(prior = prior$kind, prior_sd = number(prior$sd, 1), prior_share = number(prior$share, 1),
       prior_sd2 = number(prior$sd2, 1), fan_in = as.integer(isTRUE(prior$fan_in)))
}

# Hidden layers: dense, activation, then what is asked for.
hidden_layers <- function(hidden, activation, dropout = 0, layer_norm = FALSE) {
  activation <- rep_len(activation, length(hidden))
  dropout <- rep_len(dropout, length(hidden))
  unlist(lapply(seq_along(hidden), function(i) {
    c(list(layer("dense", hidden[i], "bias")), if (layer_norm) list(layer("layer_norm")),
      list(activation_layer(activation[[i]])), if (dropout[i] > 0) list(layer("dropout", setting = dropout[i])))
  }), recursive = FALSE)
}

# Layers that have units of their own, and the number of units after every layer.
unit_layers <- function(spec) which(spec$layer %in% c("dense", "latent", "tied"))

layer_units <- function(spec) {
  units <- integer()
  for (i in seq_along(spec$layer)) {
    before <- c(spec$n_x, units)
    units[i] <- switch(spec$layer[i], dense = , latent = spec$size[i], tied = before[spec$size[i]],
                       embed = before[i] - 1L + spec$size[i], before[i])
  }
  units
}

# The leaves of theta, with names: "layer1.weight", "layer1.bias", ..., "noise".
spec_layout <- function(spec) {
  l <- engine_layout(spec)
  dense <- unit_layers(spec)
  number <- match(l$layer + 1L, dense)
  base <- ifelse(l$layer < 0, "family", ifelse(is.na(number), paste0("norm", l$layer + 1L), paste0("layer", number)))
  base <- ifelse(l$role == "embedding", paste0("embed", l$layer + 1L), base)
  head <- ifelse(l$head > 0, ".log_sigma", "")
  part <- c("", ".log_sigma", ".factor", ".factor")[l$part + 1L]
  role <- ifelse(l$role == "log_sigma", "weight", l$role)
  # sizes are doubles: products of integers end at 2^31
  leaves <- data.frame(name = make.unique(paste0(base, head, ".", role, part, recycle0 = TRUE)),
                       rows = as.double(l$rows), cols = as.double(l$cols), offset = l$offset, role = l$role,
                       layer = l$layer + 1L, part = l$part, head = l$head, init = l$init)
  list(leaves = leaves, n_par = l$n_par, n_eta = as.double(l$n_eta), n_y = as.double(l$n_y),
       z_rows = as.double(l$z_rows),
       terms = data.frame(term = l$term, source = l$source))
}

leaf_index <- function(leaf) leaf$offset + seq_len(leaf$rows * leaf$cols)

# The leaf of the free scalars of block i.
noise_leaf <- function(leaves, i) leaves[leaves$role == "noise" & leaves$layer == 1L - i, ]

# Random weights by the initialisation that suits the activation which follows (0 Glorot & Bengio 2010, 1 He et al.
# 2015, 2 LeCun et al. 1998); biases 0; weights independent, or nearly; a head of log_sigma starts
# constant; the last bias at `eta`, the link of the mean. Weights that are not random are 0.
start_theta <- function(layout, eta, constant_x = NULL, scale_rows = integer(), free = 0, log_sigma = -4,
                        random = TRUE) {
  dense <- layout$leaves[layout$leaves$role %in% c("weight", "bias") & layout$leaves$part == 0, ]
  first <- dense$layer == min(dense$layer)
  last <- dense$layer == max(dense$layer)
  of_leaf <- function(i) {
    leaf <- layout$leaves[i, ]
    value <- start_leaf(leaf, log_sigma, free, random)
    if (leaf$role == "weight" && leaf$part == 0) {
      if (leaf$layer == dense$layer[which(first)[1]] && length(constant_x)) value[, constant_x] <- 0
      if (leaf$layer == dense$layer[which(last)[1]] && length(scale_rows)) value[scale_rows, ] <- 0
    }
    if (leaf$role == "bias" && leaf$part == 0 && leaf$layer == dense$layer[which(last)[1]]) value[] <- eta
    value
  }
  unlist(lapply(seq_len(nrow(layout$leaves)), of_leaf)) # in the order of their offsets
}

start_leaf <- function(leaf, log_sigma, free, random) {
  n <- leaf$rows * leaf$cols
  if (leaf$part == 1) return(rep(log_sigma, n))
  if (leaf$part == 2) return(numeric(n))
  normals <- function(sd) if (random) engine_normals(leaf$rows, leaf$cols, sd) else matrix(0, leaf$rows, leaf$cols)
  if (leaf$part == 3) return(normals(exp(log_sigma) / sqrt(leaf$rows))) # at 0 their slope is 0
  variance <- c(2 / (leaf$rows + leaf$cols), 2 / leaf$cols, 1 / leaf$cols)[leaf$init + 1L]
  # where they are the only inputs, units of levels that start at 0 would have no slope
  switch(leaf$role, weight = normals(sqrt(variance)), embedding = normals(0.05), gain = rep(1, n),
         noise = rep(free, length.out = n), numeric(n))
}
