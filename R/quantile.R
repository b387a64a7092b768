# Quantile regression without hidden layers is a linear program: training ends near its optimum, which is a plane
# through as many rows as there are coefficients, and finds it by exchanging rows (Barrodale and Roberts 1973). Of
# several quantiles, whose distances are exponentials, that is done for the planes that are tangents, until these stay.

fits_quantiles <- function(block) !is.null(record_of(block)$tau)
has_several_tau <- function(block) length(record_of(block)$tau) > 1

at_vertex <- function(fit, data) {
  is_program <- every(is_linear(fit$spec), all(vapply(fit$blocks, fits_quantiles, NA)), fit$spec$penalty == 0,
                      is.null(fit$history$val_loss), fit$stop_reason %in% c("converged", "finished"),
                      fit$control$optimizer == "lbfgs")
  if (!is_program) return(fit)
  z <- if (is.null(data$center)) data$x else standardised(data$x, data)
  if (fit$design$intercept) z <- cbind(z, 1)
  w <- if (is.null(data$weight)) rep(1, nrow(z)) else data$weight
  rows <- if (is.null(data$row)) seq_len(nrow(z)) else data$row
  coef <- matrix(linear_leaves(fit), run_columns(fit$spec, "eta"))
  is_best <- TRUE
  for (i in seq_along(fit$blocks)) {
    at <- coef[block_slices(fit$blocks, eta_rows)[[i]], , drop = FALSE]
    use <- rows[!is.na(data$y[rows, i]) & w[rows] > 0]
    found <- best_quantiles(z[use, , drop = FALSE], data$y[use, i], w[use], record_of(fit$blocks[[i]])$tau,
                            fit$theta[at])
    is_best <- is_best && isTRUE(found$is_best)
    if (is.null(found)) next
    fit$theta[at] <- found$coef
    leaf <- noise_leaf(fit$layout, i)
    if (nrow(leaf) && found$loss > 0) fit$theta[leaf_index(leaf)] <- log(found$loss)
  }
  if (is_best) {
    fit$stop_reason <- "converged"
    fit$converged <- TRUE
  }
  fit
}

# The places in theta of the weights and biases of a linear model, those of an output in a row.
linear_leaves <- function(fit) {
  of_role <- function(role) leaf_index(fit$layout[fit$layout$role == role, ])
  c(of_role("weight"), if (fit$design$intercept) of_role("bias"))
}

# From these coefficients [outputs * columns of z] the next where the mean check loss is least: list(coef, loss,
# is_best), is_best telling whether the search came to its end. NULL where it would take too long.
best_quantiles <- function(z, y, w, tau, coef, rounds = 30) {
  if (length(tau) == 1) return(least_check_loss(z, y, w, tau, coef))
  if (as.double(length(y)) * length(tau) * length(coef)^2 > most_of_tangents) return(NULL)
  here <- tangent(z, y, w, tau, coef)
  for (round in seq_len(rounds)) {
    to <- least_check_loss(here$z, here$y, rep(w, length(tau)), rep(tau, each = length(y)), coef)
    if (is.null(to)) break
    for (share in 2^-(0:20)) {
      there <- tangent(z, y, w, tau, coef + share * (to$coef - coef))
      if (is.finite(there$loss) && there$loss < here$loss - 1e-4 * share * (here$loss - to$loss)) break
    }
    gain <- here$loss - there$loss
    if (isTRUE(gain > 0)) {
      coef <- coef + share * (to$coef - coef)
      here <- there
    }
    if (!isTRUE(gain > 1e-7 * here$loss)) return(list(coef = coef, loss = here$loss, is_best = TRUE))
  }
  list(coef = coef, loss = here$loss, is_best = FALSE)
}
most_of_tangents <- 2e7

# The quantiles' tangents at these coefficients, as a linear model with a row for each y and tau: list(z, y, loss).
tangent <- function(z, y, w, tau, coef) {
  n <- length(tau)
  eta <- tcrossprod(z, matrix(coef, n))
  moved <- moved_by_outputs(tau)
  size <- cbind(1, exp(eta[, -1, drop = FALSE]))
  e <- y - matrix(quantiles_at(eta, tau), ncol = n)
  slopes <- matrix(0, length(e), length(coef))
  for (o in seq_len(n))
    slopes[, seq(o, length(coef), n)] <- kronecker(moved[, o], size[, o] * z)
  list(z = slopes, y = c(e) + drop(slopes %*% coef), loss = sum(w * e * (rep(tau, each = length(y)) - (e < 0))) /
         (sum(w) * n))
}

# list(coef, loss, is_best): of the coefficients where the weighted mean of e (tau - (e < 0)), e = y - z b, is least,
# near `coef`; `tau` is one number or one for each row. NULL where there are too few rows, or too many steps.
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
      return(list(coef = coef, loss = sum(w * r * (tau - (r < 0))) / sum(w), is_best = TRUE))
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

# ---- several quantiles of a response

# The first output is the quantile whose tau is nearest to 1/2, the middle one; the others, in the order of tau, are
# logs of the distance to the next quantile on the way to it. So they never cross. The engine has the same order.
middle_of <- function(tau) which.min(abs(tau - 0.5))
output_of_tau <- function(tau) {
  k <- seq_along(tau)
  m <- middle_of(tau)
  ifelse(k == m, 1, k + (k < m))
}

# The quantiles [rows, responses, tau] at the outputs eta [rows, responses * tau].
quantiles_at <- function(eta, tau) {
  n <- length(tau)
  m <- middle_of(tau)
  q <- array(eta, c(nrow(eta), ncol(eta) %/% n, n))[, , output_of_tau(tau), drop = FALSE]
  for (k in seq_len(n)[-seq_len(m)]) q[, , k] <- q[, , k - 1] + exp(q[, , k])
  for (k in rev(seq_len(m - 1))) q[, , k] <- q[, , k + 1] - exp(q[, , k])
  q
}

# The outputs of constant quantiles [responses, tau], the distances being at least `least` of a response.
outputs_at <- function(q, tau, least) {
  m <- middle_of(tau)
  gap <- log(pmax(q[, -1, drop = FALSE] - q[, -length(tau), drop = FALSE], least))
  cbind(q[, m], gap)
}

# What is minimised is the mean of the nll of asymmetric Laplace distributions, one for each tau. What is drawn is of
# the distribution that has these quantiles and log odds of P(Y <= q) that are a line between two of them; beyond the
# outermost ones the line goes on.
several_quantiles <- function(tau) {
  n <- length(tau)
  losses <- function(y, eta, free) {
    q <- quantiles_at(eta, tau)
    s <- per_column(exp(free), y)
    rho <- function(e, tau) e * (tau - (e < 0))
    Reduce(`+`, lapply(seq_len(n), function(k) rho((y - q[, , k]) / s, tau[k]))) / n
  }
  new_family(
    kind = "number", accepts = function(y) is.numeric(y), what = "numeric", link = "identity", tau = tau,
    parts = c("mean", paste0("log_gap_", percent(tau[-middle_of(tau)]))),
    free = "scale", noise = "shared", for_columns = FALSE,
    variance = function(eta, free) {
      q <- quantiles_at(eta, tau)
      moments <- line_moments(stats::qlogis(tau))
      from_middle <- matrix(q - c(q[, , middle_of(tau)]), ncol = n)
      v <- rowSums((from_middle %*% moments$second) * from_middle) - drop(from_middle %*% moments$first)^2
      array(pmax(v, 0), dim(q)[1:2])
    },
    draw = function(eta, free) {
      array(line_quantile(stats::runif(length(eta) / n), quantiles_at(eta, tau), tau), c(nrow(eta), ncol(eta) %/% n))
    },
    cdf = function(q, eta, free) array(line_cdf(q, quantiles_at(eta, tau), tau), c(nrow(eta), ncol(eta) %/% n)),
    quantile = function(p, eta, free) {
      array(line_quantile(p, quantiles_at(eta, tau), tau), c(nrow(eta), ncol(eta) %/% n))
    },
    density = function(y, eta, free) like_matrix(line_density(c(y), quantiles_at(eta, tau), tau), y),
    over = function(eta, w) {
      first <- seq_len(dim(eta)[2] %/% n)
      cbind(means_over(eta[, first, , drop = FALSE], w), log(means_over(exp(eta[, -first, , drop = FALSE]), w)))
    },
    start = function(y, w) {
      q <- t(apply(y, 2, function(y) vapply(tau, function(p) quantile_of(y, w, p), 0)))
      spread <- sqrt(weighted_means((y - by_column(weighted_means(y, w), y))^2, w))
      c(outputs_at(q, tau, 0.01 * ifelse(spread > 0, spread, 1)))
    },
    deviance = function(y, eta, free) 2 * losses(y, eta, free),
    information = function(part, i, j) {
      k <- ncol(part$eta) %/% n
      if ((i - j) %% k != 0) return(NULL)
      outputs <- (c(i, j) - 1) %/% k + 1
      moved <- moved_by_outputs(tau)[, outputs]
      known <- sum(tau * (1 - tau) * moved[, 1] * moved[, 2]) / n
      if (known == 0) return(NULL)
      size <- function(i, output) if (output == 1) 1 else exp(part$eta[, i])
      known * size(i, outputs[1]) * size(j, outputs[2]) * exp(-2 * part$free[min((i - 1) %% k + 1, length(part$free))])
    },
    nll = function(y, eta, free) losses(y, eta, free) + by_column(free, y) - mean(log(tau * (1 - tau)))
  )
}

# How many distances of each output [tau, outputs] a quantile is from zero: -1, 0 or 1 of them.
moved_by_outputs <- function(tau) {
  k <- seq_along(tau)
  m <- middle_of(tau)
  by_tau <- (col(diag(k)) > m & row(diag(k)) >= col(diag(k))) - (col(diag(k)) < m & row(diag(k)) <= col(diag(k)))
  by_tau[, m] <- 1
  by_tau[, order(output_of_tau(tau))]
}


# The lines through quantiles q [rows * responses, tau] and their log odds, of each row that which is number `at`: where
# it begins, and its slope.
line_of <- function(q, tau, at) {
  at <- pmin(pmax(at, 1), length(tau) - 1)
  odds <- stats::qlogis(tau)
  low <- q[cbind(seq_along(at), at)]
  width <- pmax(q[cbind(seq_along(at), at + 1)] - low, 1e-300)
  list(low = low, odds = odds[at], slope = diff(odds)[at] / width)
}
line_from <- function(x, q, tau) {
  q <- matrix(q, ncol = length(tau))
  x <- rep_len(x, nrow(q))
  line <- line_of(q, tau, rowSums(q <= x))
  list(odds = line$odds + (x - line$low) * line$slope, slope = line$slope)
}

# Of x or p, one number or one for each of the quantiles q [rows, responses, tau].
line_cdf <- function(x, q, tau) stats::plogis(line_from(x, q, tau)$odds)
line_density <- function(x, q, tau) {
  at <- line_from(x, q, tau)
  stats::dlogis(at$odds, log = TRUE) + log(at$slope)
}
line_quantile <- function(p, q, tau) {
  q <- matrix(q, ncol = length(tau))
  p <- rep_len(p, nrow(q))
  line <- line_of(q, tau, findInterval(p, tau))
  line$low + (stats::qlogis(p) - line$odds) / line$slope
}

# The function that is line by line between knots, of a logistic variable t, is sum(value at knot * h(t)): the means of
# the h, and of their products.
line_moments <- function(knots) {
  n <- length(knots)
  first <- numeric(n)
  second <- matrix(0, n, n)
  for (j in seq_len(n - 1)) {
    from <- if (j == 1) -Inf else knots[j]
    to <- if (j == n - 1) Inf else knots[j + 1]
    moment <- function(r) stats::integrate(function(t) t^r * stats::dlogis(t), from, to, rel.tol = 1e-9)$value
    lines <- rbind(c(knots[j + 1], -1), c(-knots[j], 1)) / (knots[j + 1] - knots[j])
    m <- c(moment(0), moment(1), moment(2))
    at <- c(j, j + 1)
    first[at] <- first[at] + lines %*% m[1:2]
    second[at, at] <- second[at, at] + lines %*% matrix(m[c(1, 2, 2, 3)], 2) %*% t(lines)
  }
  list(first = first, second = second)
}
