# The linearised posterior of large networks: the weights of the last layer depend on each other, those of each other
# layer are independent in a basis of their own.
#
# A layer with inputs x and slopes dy in its outputs has the slopes dy x'. With orthogonal V and U the entries of V'W U
# are independent, of the precisions sum_i (V'dy_i)^2 (U'x_i)^2' + p: of all normal distributions that are independent
# in this basis that is the one nearest to the posterior of the linearised network, and the ELBO of the linearised
# network is then log p(y | mu) + log p(mu) + d / 2 log 2 pi - 1/2 sum log precision. Of two bases each layer takes the
# one with the greater ELBO: that of the weights themselves, which is the mean field, or the eigenvectors of sum x x'
# and sum dy dy', the Kronecker factors.

most_laplace <- 3000 # weights with a full covariance

# Of the weights that are not held those with a full covariance: all, or those of the last layer, or none.
full_weights <- function(layout, held) {
  active <- which(!held)
  if (length(active) <= most_laplace) return(active)
  leaves <- layout[layout$role != "noise", ]
  last <- unlist(lapply(which(leaves$layer == max(leaves$layer)), function(i) leaf_index(leaves[i, ])))
  last <- as.integer(sort(last[!held[last]]))
  if (length(last) <= most_laplace) last else integer()
}

# The rows of the layout whose weights are independent in a basis.
layered_leaves <- function(layout, held, full) {
  is_layered <- function(i) {
    at <- leaf_index(layout[i, ])
    layout$role[i] != "noise" && any(!held[at]) && !any(at %in% full)
  }
  which(vapply(seq_len(nrow(layout)), is_layered, NA))
}

# Calls visit(x, dy, at) for chunks of rows, `at` being their places: of a leaf of weights x are the layer's inputs
# [rows, inputs], of biases a column of ones; dy are the slopes in its outputs, for each seed a matrix [rows, outputs].
# seeds(at): the seeds of these rows. `kept`, an environment, has what the engine gave of all rows at once, of the last
# layer that was asked for: its weights and biases are asked for one after the other.
over_sides <- function(spec, theta, data, layout, i, seeds, visit, threads = 1, kept = new.env()) {
  layer <- layout$layer[i]
  leaf <- layout[layout$layer == layer & layout$role == "weight" & layout$part == 0, ]
  n_seeds <- dim(seeds(1L))[3]
  n_rows <- if (is.null(data$row)) data$n else length(data$row)
  over_rows(data, leaf$cols + n_seeds * leaf$rows, function(part, at) {
    if (!identical(kept$layer, layer)) {
      sides <- engine_jacobian(spec, theta, part, leaf$offset + 1, "sides", seed = seeds(at), threads = threads)
      if (length(at) == n_rows) list2env(list(layer = layer, sides = sides), kept)
    } else {
      sides <- kept$sides
    }
    x <- if (layout$role[i] == "weight") sides[, seq_len(leaf$cols), drop = FALSE] else matrix(1, length(at), 1)
    visit(x, lapply(seq_len(n_seeds), function(s) {
      sides[, leaf$cols + (s - 1) * leaf$rows + seq_len(leaf$rows), drop = FALSE]
    }), at)
  })
}

# The posterior of each leaf that is in no full covariance.
layer_posteriors <- function(state, data, seeds, full, threads = 1) {
  spec <- laplace_spec(state)
  kept <- new.env()
  lapply(layered_leaves(state$layout$leaves, state$held, full), function(i) {
    layer_posterior(state, i, function(visit) {
      over_sides(spec, state$theta, data, state$layout$leaves, i, seeds, visit, threads, kept)
    })
  })
}

# The posterior of the i'th leaf of the layout: list(row = i, out (V), `in` (U), NULL where the basis is that of the
# weights, sd [outputs, inputs], 0 where a weight is held). visit_sides() is over_sides() of its layer.
layer_posterior <- function(state, i, visit_sides) {
  at <- leaf_index(state$layout$leaves[i, ])
  shape <- c(state$layout$leaves$rows[i], state$layout$leaves$cols[i])
  prior <- array(weight_precisions(state)[at], shape)
  held <- array(state$held[at], shape)
  squares <- function(x, dy, out = NULL, `in` = NULL) {
    x <- in_basis(x, `in`)^2
    Reduce(`+`, lapply(dy, function(d) crossprod(in_basis(d, out)^2, x)))
  }
  own <- kronecker <- prior
  inner <- product_sum()
  outer <- product_sum()
  visit_sides(function(x, dy, at) {
    own <<- own + squares(x, dy)
    inner$add(x)
    lapply(dy, outer$add)
  })
  # precisions a priori that differ by output forbid to mix the outputs
  out <- if (all(prior == prior[1]) && !any(held)) outer$vectors()
  `in` <- inner$vectors()
  if (!is.null(`in`) && any(prior != prior[, 1])) kronecker <- prior %*% `in`^2
  visit_sides(function(x, dy, at) kronecker <<- kronecker + squares(x, dy, out, `in`))
  of_precision <- function(p, ...) list(row = i, ..., sd = ifelse(held, 0, 1 / sqrt(p)))
  if (sum(log(kronecker[!held])) < sum(log(own[!held]))) of_precision(kronecker, out = out, `in` = `in`)
  else of_precision(own, out = NULL, `in` = NULL)
}

# The sum of products x'x, whose vectors() are its eigenvectors (NULL: it is a number). Of fewer rows than half of the
# columns these are the right singular vectors of the rows, completed to a basis: all others have the eigenvalue 0.
product_sum <- function() {
  few <- NULL
  products <- 0
  list(
    add = function(x) {
      few <<- rbind(few, x)
      if (2 * nrow(few) < ncol(few)) return()
      products <<- products + crossprod(few)
      few <<- NULL
    },
    vectors = function() {
      if (!is.matrix(products)) return(qr.Q(qr(svd(few, nu = 0)$v, LAPACK = TRUE), complete = TRUE))
      if (!is.null(few)) products <<- products + crossprod(few)
      if (nrow(products) > 1) eigen(products, symmetric = TRUE)$vectors
    }
  )
}

in_basis <- function(x, basis) if (is.null(basis)) x else x %*% basis

# A matrix of weights from what it is in a leaf's basis: V a U'.
from_basis <- function(leaf, a) {
  if (!is.null(leaf$out)) a <- leaf$out %*% a
  if (is.null(leaf$`in`)) a else tcrossprod(a, leaf$`in`)
}

# The variances of a leaf's weights.
leaf_variances <- function(leaf) {
  squared <- list(out = if (!is.null(leaf$out)) leaf$out^2, `in` = if (!is.null(leaf$`in`)) leaf$`in`^2)
  as.vector(from_basis(squared, leaf$sd^2))
}

# The covariance of a leaf's weights.
leaf_covariance <- function(leaf) {
  basis <- function(b, n) if (is.null(b)) diag(n) else b
  root <- kronecker(basis(leaf$`in`, ncol(leaf$sd)), basis(leaf$out, nrow(leaf$sd)))
  tcrossprod(root * rep(as.vector(leaf$sd), each = nrow(root)))
}

# Draws of a leaf's weights less their mean from standard normal numbers [weights, draws].
leaf_draws <- function(leaf, normals) {
  if (is.null(leaf$out) && is.null(leaf$`in`)) return(as.vector(leaf$sd) * normals)
  shape <- dim(leaf$sd)
  apply(normals, 2, function(z) from_basis(leaf, leaf$sd * array(z, shape)))
}

# The standard normal numbers that these are draws of [weights, draws], 0 of weights that are held.
leaf_normals <- function(leaf, draws) {
  sd <- as.vector(leaf$sd)
  back <- list(out = if (!is.null(leaf$out)) t(leaf$out), `in` = if (!is.null(leaf$`in`)) t(leaf$`in`))
  turned <- apply(draws, 2, function(e) from_basis(back, array(e, dim(leaf$sd))))
  matrix(turned, length(sd)) / ifelse(sd > 0, sd, Inf)
}

# The covariances [rows, seeds, seeds] of combinations of eta, with what the layers' posteriors add to them.
add_leaf_covariances <- function(cov, fit, data, seeds) {
  kept <- new.env()
  for (leaf in fit$laplace$layers) {
    over_sides(fit$spec, fit$theta, data, fit$layout, leaf$row, function(at) seeds, function(x, dy, at) {
      spread <- tcrossprod(in_basis(x, leaf$`in`)^2, leaf$sd^2)
      dy <- lapply(dy, in_basis, leaf$out)
      for (a in seq_along(dy)) for (b in seq_len(a)) {
        cov[at, a, b] <<- cov[at, a, b] + rowSums(spread * dy[[a]] * dy[[b]])
        cov[at, b, a] <<- cov[at, a, b]
      }
    }, fit$control$threads, kept)
  }
  cov
}

# What the weights are, in words.
layers_words <- function(fit) {
  leaves <- fit$laplace$layers
  if (!length(leaves)) return("all weights dependent")
  has_basis <- vapply(leaves, function(l) !is.null(l$out) || !is.null(l$`in`), NA)
  names <- fit$layout$name[vapply(leaves, function(l) l$row, 0)]
  paste(c(if (length(fit$laplace$active)) "weights of the last layer dependent",
          if (any(has_basis)) paste(paste(names[has_basis], collapse = ", "), "independent in the Kronecker basis"),
          if (any(!has_basis)) paste(paste(names[!has_basis], collapse = ", "), "independent")), collapse = "; ")
}
