# Quantile regression without hidden layers is a linear program: training ends near its optimum, which is a plane
# through as many rows as there are coefficients, and finds it by exchanging rows (Barrodale and Roberts 1973).

has_tau <- function(block) !is.null(record_of(block)$tau)

at_vertex <- function(fit, data) {
  is_program <- every(is_linear(fit$spec), length(fit$blocks) == 1, has_tau(fit$blocks[[1]]), fit$spec$penalty == 0,
                      is.null(fit$history$val_loss), fit$stop_reason %in% c("converged", "finished"),
                      fit$control$optimizer == "lbfgs", fit$blocks[[1]]$n_responses == 1)
  if (!is_program) return(fit)
  rows <- if (is.null(data$row)) seq_len(nrow(data$y)) else data$row
  w <- if (is.null(data$weight)) rep(1, nrow(data$y)) else data$weight
  rows <- rows[!is.na(data$y[rows, 1]) & w[rows] > 0]
  x <- data$x[rows, , drop = FALSE]
  z <- if (is.null(data$center)) x else standardised(x, data)
  if (fit$design$intercept) z <- cbind(z, 1)
  y <- data$y[rows, 1] - if (is.null(data$offset)) 0 else data$offset[rows, 1]
  at <- c(leaf_index(fit$layout[fit$layout$role == "weight", ]),
          if (fit$design$intercept) leaf_index(fit$layout[fit$layout$role == "bias", ]))
  found <- least_check_loss(z, y, w[rows], record_of(fit$blocks[[1]])$tau, fit$theta[at])
  if (is.null(found)) return(fit)
  fit$theta[at] <- found$coef
  leaf <- noise_leaf(fit$layout, 1)
  if (nrow(leaf) && found$loss > 0) fit$theta[leaf_index(leaf)] <- log(found$loss)
  fit$stop_reason <- "converged"
  fit$converged <- TRUE
  fit
}

# list(coef, loss): of the coefficients where the weighted mean of e (tau - (e < 0)), e = y - z b, is least, near
# `coef`. NULL where there are too few rows, or too many steps.
least_check_loss <- function(z, y, w, tau, coef, most_steps = 1000) {
  own <- qr(z)
  kept <- own$pivot[seq_len(own$rank)]
  if (own$rank >= nrow(z)) return(NULL)
  near <- order(abs(y - drop(z %*% coef)))
  z <- z[, kept, drop = FALSE]
  h <- near[qr(t(z[near, , drop = FALSE]))$pivot[seq_along(kept)]]
  for (step in seq_len(most_steps)) {
    inverse <- solve(z[h, , drop = FALSE])
    b <- drop(inverse %*% y[h])
    r <- y - drop(z %*% b)
    r[abs(r) <= 1e-11 * max(abs(y))] <- 0
    r[h] <- 0
    move <- exchange(z %*% inverse, r, w, tau, h)
    if (is.null(move)) {
      coef[] <- 0
      coef[kept] <- b
      return(list(coef = coef, loss = sum(w * r * (tau - (r < 0))) / sum(w)))
    }
    h[move$out] <- move$into
  }
  NULL
}

# Of the rows h that the plane goes through, the one to let go and the one to take in its place: along the edge on which
# the loss falls most, where it begins to rise. NULL at the optimum. z: the change of each row's fit by that of each row
# of h.
exchange <- function(z, r, w, tau, h) {
  pull <- function(z) colSums(w * (r == 0) * z * (1 - tau - (z < 0)) - w * (r != 0) * (tau - (r < 0)) * z)
  along <- c(pull(z), pull(-z))
  j <- which.min(along)
  if (along[j] >= -1e-10 * sum(w)) return(NULL)
  out <- (j - 1) %% length(h) + 1
  d <- z[, out] * if (j > length(h)) -1 else 1
  t <- replace(r / d, h, NA)
  t[d == 0 | t <= 0] <- NA
  by <- order(t, na.last = NA)
  into <- by[which(along[j] + cumsum(w[by] * abs(d[by])) >= 0)[1]]
  if (is.na(into)) NULL else list(out = out, into = into)
}
