# Likelihoods of variational autoencoders: at given codes, their lower bounds, and their integrals over codes by
# importance sampling.

# The log-likelihood of each row at given codes, on the users' scale. Entries with intervals of scores have their
# probability.
log_lik_at <- function(fit, rows, z) {
  if (is.null(rows$part)) rows <- with_intervals(fit, rows)
  data <- engine_data(rows$x, rows$y, scaling = fit$scaling)
  terms <- fit_run(fit, data, "terms", z = z)
  kinds <- spec_layout(fit$spec)$terms$term
  out <- rows$part - rowSums(terms[, kinds[!kinds %in% weight_terms] == "nll", drop = FALSE])
  if (!length(rows$intervals)) return(out)
  eta <- codes_eta(fit, z, given_rows(fit, NULL, nrow(z), rows$x))
  mean <- eta_scores(fit, eta)
  sd <- score_sds(fit, eta)
  for (i in rows$intervals) {
    at <- cbind(i$rows, i$at)
    out[i$rows] <- out[i$rows] + log_between((i$low - mean[at]) / sd[at], (i$high - mean[at]) / sd[at])
  }
  out
}

# The log-likelihood of each row at each of several matrices of codes [rows, matrices].
log_liks <- function(fit, rows, codes) {
  if (is.null(rows$part)) rows <- with_intervals(fit, rows)
  n <- nrow(codes[[1]])
  groups <- split(codes, (seq_along(codes) - 1) %/% codes_at_once(n))
  of_group <- function(z) {
    matrix(log_lik_at(fit, stacked_rows(rows, n, length(z)), do.call(rbind, z)), n, length(z))
  }
  do.call(cbind, lapply(groups, of_group))
}

# How many draws for each of n rows the network takes in one go: a call of it has a price of its own.
codes_at_once <- function(n) max(1, 4000 %/% max(1, n))

# The n rows with their intervals, `times` over.
stacked_rows <- function(rows, n, times) {
  if (times == 1) return(rows)
  again <- rep(seq_len(n), times)
  by <- n * (seq_len(times) - 1)
  list(x = rows$x[again, , drop = FALSE], y = rows$y[again, , drop = FALSE],
       part = if (length(rows$part) == n) rows$part[again] else rows$part,
       intervals = lapply(rows$intervals, function(i) {
         list(rows = rep(i$rows, times) + rep(by, each = length(i$rows)), at = i$at, low = rep(i$low, times),
              high = rep(i$high, times))
       }))
}

# The rows with what does not depend on codes, `part`, and the entries that have intervals of scores, which are taken
# out of y.
with_intervals <- function(fit, rows) {
  rows$intervals <- list()
  gain <- 0
  for (c in margin_columns(fit$design)) {
    v <- margin_values(c$margin, rows$y[, c$at] * c$scale + c$center)
    i <- margin_interval(c$margin, v)
    wide <- which(i$high > i$low)
    one <- margin_log_density(c$margin, i) - stats::dnorm(i$low, log = TRUE)
    one[wide] <- -log(if (c$margin$step > 0) c$margin$step else 1)
    gain <- gain + replace(one, is.na(v), 0)
    rows$y[wide, c$at] <- NA
    rows$intervals[[length(rows$intervals) + 1]] <- list(rows = wide, at = c$at, low = i$low[wide], high = i$high[wide])
  }
  rows$part <- gain - log_jacobian(fit, rows$y)
  rows
}

# n x latent reparametrised draws.
draw_codes <- function(mu, sd) mu + sd * stats::rnorm(length(mu))

gaussian_kl <- function(mu, sd) (sd^2 + mu^2 - 1) / 2 - log(sd)

#' Evidence lower bound
#'
#' The lower bound of the log-likelihood that variational autoencoders and Bayesian networks maximise, row by row: to
#' compare models of the same data, or to find rows that a model thinks unlikely.
#'
#' @param object a fit by [fit_vae()] or [fit_bayes_nn()].
#' @param newdata as in [encode()], of a Bayesian network with the response; by default the training data.
#' @param y of a Bayesian network fitted to `x` and `y`: the response of `newdata`.
#' @param draws number of draws of z per row, or of the weights (none where the expectation has a closed form: one
#'   hidden layer of relu or linear units, gaussian noise that is constant; of deeper networks `estimator = "exact"`
#'   maximises an approximation, which may be above the bound).
#' @param ... not used.
#' @return A number per row, in nats on the columns' own scales. Of an autoencoder the ELBO (at `beta = 1`): `E log
#'   p(x | z)` by Monte Carlo less the exact KL; attributes `"log_lik"` and `"kl"` are these parts, `"se"` the Monte
#'   Carlo standard error of the sum. Of a Bayesian network \eqn{E_q \log p(y_i | x_i, \theta)}{E_q log p(y_i | x_i,
#'   theta)}; the attribute `"kl"` is \eqn{KL[q(\theta) \| p(\theta)]}{KL[q(theta) || p(theta)]}, which all rows
#'   share: the sum over the training rows (times their case weights, and without rows held out) minus that is the ELBO.
#'   Of a mixture both are weighted means over the members: the ELBO of the mixture is at least theirs.
#' @seealso [logLik.varnn_vae()] for a tighter bound, [log_lik()] for the log-likelihood of a Bayesian network draw by
#'   draw, [plot.varnn()] with `which = "history"` for the parts of the ELBO while training.
#' @examples
#' set.seed(1)
#' fit <- fit_vae(iris, epochs = 50)
#' mean(elbo(fit))
#'
#' network <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 4)
#' e <- elbo(network)
#' sum(e) - attr(e, "kl")
#' @export
elbo <- function(object, newdata = NULL, ...) UseMethod("elbo")

#' @rdname elbo
#' @export
elbo.varnn_vae <- function(object, newdata = NULL, draws = 100, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "draws"))
  draws <- check_draws(draws)
  rows <- latent_rows(object, newdata, parent.frame(), needs_data = TRUE)
  sd <- code_sds(object, rows$x)
  log_lik <- expected_log_lik(object, rows, sd, draws)
  kl <- rowSums(gaussian_kl(rows$z, sd))
  structure(rows$finish(log_lik$mean - kl), log_lik = log_lik$mean, kl = kl,
            se = if (draws > 1) sqrt(sum(log_lik$variance)) else NA_real_)
}

# E_q log p(x | z) of each row by so many draws, and the variance of that mean.
expected_log_lik <- function(fit, rows, sd, draws) {
  rows <- with_intervals(fit, rows)
  sum <- squares <- numeric(nrow(rows$z))
  size <- codes_at_once(nrow(rows$z))
  for (turn in turns(draws, size)) {
    each <- log_liks(fit, rows, lapply(in_turn(turn, draws, size), function(k) draw_codes(rows$z, sd)))
    sum <- sum + rowSums(each)
    squares <- squares + rowSums(each^2)
  }
  list(mean = sum / draws, variance = pmax(0, squares / draws - (sum / draws)^2) / max(1, draws - 1))
}

# log p(x, z) - log q(z | x) of `k` draws of z for each row, one by one into `use`. Where entries are missing that
# never were in training, q has not learned what that means: its place is found from x filled in, and the draws are
# spread wider.
each_log_weight <- function(fit, rows, k, use) {
  q <- list(mu = rows$z, sd = code_sds(fit, rows$x))
  new <- new_gaps(fit, rows$y)
  spread <- list(scale = c(1, 3), share = c(0.6, 0.2)) # and the prior for the rest
  if (any(new)) q <- adapted_codes(fit, rows, new, q, spread)
  rows <- with_intervals(fit, rows)
  one_draw <- function(j) {
    z <- draw_codes(q$mu, q$sd)
    log_q <- log_normal(z, q$mu, q$sd)
    if (any(new)) {
      one <- wide_draws(q$mu[new, , drop = FALSE], q$sd[new, , drop = FALSE], spread)
      z[new, ] <- one$z
      log_q[new] <- one$log_q
    }
    list(z = z, log_ratio = log_normal(z, 0, 1) - log_q)
  }
  each_weighted(fit, rows, k, one_draw, use)
}

# The codes list(z, log_ratio) that `draw` makes for each of 1 to k, with their log-weights, one by one into `use`.
each_weighted <- function(fit, rows, k, draw, use) {
  size <- codes_at_once(nrow(rows$x))
  for (turn in turns(k, size)) {
    draws <- lapply(in_turn(turn, k, size), draw)
    log_lik <- log_liks(fit, rows, lapply(draws, function(d) d$z))
    for (j in seq_along(draws)) use(log_lik[, j] + draws[[j]]$log_ratio, draws[[j]]$z)
  }
}

# The numbers 1 to n in turns of one size, the last one smaller; however large n is, they are not made all at once.
turns <- function(n, size) seq_len(ceiling(n / size))
in_turn <- function(turn, n, size) seq.int((turn - 1) * size + 1, min(n, turn * size))

log_normal <- function(z, mu, sd) rowSums(array(stats::dnorm(z, mu, sd, log = TRUE), dim(z)))

# Rows with a gap in a column that had none in training.
new_gaps <- function(fit, y) {
  had_none <- !vapply(fit$design$variables, function(c) c$has_indicator, NA)
  at <- vapply(fit$design$variables[had_none], function(c) c$at[1], 1L)
  rowSums(is.na(y[, at, drop = FALSE])) > 0
}

# q(z | x) with the gaps of these rows filled by what the codes decode to, time and again.
filled_codes <- function(fit, rows, which, q) {
  x <- rows$x[which, , drop = FALSE]
  gap <- is.na(rows$y[which, , drop = FALSE])
  columns <- seq_len(ncol(gap))
  given <- given_rows(fit, NULL, nrow(x), x)
  is_count <- unlist(lapply(fit$blocks, function(b) rep(is_kind(b, "count"), b$n_responses)))
  for (i in 1:10) {
    means <- eta_scores(fit, codes_eta(fit, model_codes(fit, x), given))
    means[, is_count] <- log1p(means[, is_count])
    x[, columns][gap] <- means[gap]
  }
  q$mu[which, ] <- model_codes(fit, x)
  q$sd[which, ] <- code_sds(fit, x)
  q
}

# The moments of these rows' codes by adaptive importance sampling, from those of filled_codes(). Cappe et al. (2004).
adapted_codes <- function(fit, rows, which, q, spread) {
  q <- filled_codes(fit, rows, which, q)
  some <- with_intervals(fit, lapply(rows[c("x", "y")], take_rows, which))
  mu <- q$mu[which, , drop = FALSE]
  sd <- q$sd[which, , drop = FALSE]
  for (round in 1:4) {
    draws <- lapply(1:60, function(k) wide_draws(mu, sd, spread))
    log_w <- log_liks(fit, some, lapply(draws, function(d) d$z)) +
      vapply(draws, function(d) log_normal(d$z, 0, 1) - d$log_q, numeric(nrow(mu)))
    w <- exp(log_w - apply(log_w, 1, max))
    w <- w / rowSums(w)
    mean_of <- function(f) Reduce(`+`, lapply(seq_along(draws), function(k) w[, k] * f(draws[[k]]$z)))
    mu <- mean_of(identity)
    sd <- pmax(sqrt(mean_of(function(z) (z - mu)^2)), sd / 3, 1e-6)
  }
  q$mu[which, ] <- mu
  q$sd[which, ] <- sd
  q
}

# Draws from a mixture of q, q with wider sd, and the prior; and the log of its density.
wide_draws <- function(mu, sd, spread) {
  kind <- findInterval(stats::runif(nrow(mu)), cumsum(spread$share)) + 1
  is_prior <- kind > length(spread$scale)
  wide <- c(spread$scale, 1)[kind] * sd
  wide[is_prior, ] <- 1
  z <- draw_codes(mu * !is_prior, wide)
  parts <- c(Map(function(s, p) log(p) + log_normal(z, mu, s * sd), spread$scale, spread$share),
             list(log(1 - sum(spread$share)) + log_normal(z, 0, 1)))
  parts <- do.call(cbind, parts)
  top <- apply(parts, 1, max)
  list(z = z, log_q = top + log(rowSums(exp(parts - top))))
}

#' Log-likelihood of a variational autoencoder
#'
#' The importance-weighted estimate \eqn{\sum_i \log \frac1k \sum_k p(x_i, z_{ik}) / q(z_{ik} | x_i)}{sum_i log (1/k)
#' sum_k p(x_i, z_ik) / q(z_ik | x_i)}: a lower bound of the log-likelihood on average, which it approaches as k
#' grows.
#'
#' @param object a fit by [fit_vae()].
#' @param newdata as in [encode()]; by default the training data.
#' @param k draws per row; 1 gives an estimate of the ELBO. `Inf`, for up to three latent dimensions: the log-likelihood
#'   itself, by quadrature over z.
#' @param ... not used.
#' @return A number of class `logLik` with attributes `df`, `nobs`, `"se"`, its Monte Carlo standard error (by the
#'   delta method; `NA` for k = 1) and `"rows"`, the estimates by row.
#' @references Burda, Grosse and Salakhutdinov (2016) \doi{10.48550/arXiv.1509.00519}.
#' @seealso [elbo()], [logLik.varnn()].
#' @examples
#' set.seed(1)
#' fit <- fit_vae(iris, epochs = 50)
#' logLik(fit, k = 50)
#' @export
logLik.varnn_vae <- function(object, newdata = NULL, k = 100, ...) {
  check_fit(object)
  check_standard("logLik", ..., known = c("newdata", "k"))
  is_exact <- identical(k, Inf)
  if (is_exact && fit_latent(object) > most_exact)
    stop_user("`k` = Inf needs at most %d latent dimensions, and the fit has %d: give a number.", most_exact,
              fit_latent(object))
  if (!is_exact) k <- check_number(k, "k", 1, 1e6, whole = TRUE)
  rows <- latent_rows(object, newdata, NULL, needs_data = TRUE)
  found <- row_log_liks(object, rows, k)
  by_row <- found$mean
  w <- if (is.null(newdata)) case_weights(object) else 1
  structure(sum(w * by_row), class = "logLik", df = object$n_par,
            nobs = if (is.null(newdata)) n_cases(object) else length(by_row), rows = rows$finish(by_row),
            se = if (is_exact) 0 else if (k > 1) sqrt(sum(w^2 * found$variance)) else NA_real_)
}

# The log of the mean of k weights of each row, and its variance by the delta method: var(log mean w) ~ (mean w^2 /
# (mean w)^2 - 1) / k. With `k` = Inf, for up to three latent dimensions, the weights are those of a quadrature.
row_log_liks <- function(fit, rows, k) {
  n <- nrow(rows$z)
  top <- rep(-Inf, n)
  sum <- squares <- numeric(n)
  add <- function(log_weight, z) {
    new_top <- pmax(top, log_weight)
    shrink <- exp(top - new_top)
    w <- exp(log_weight - new_top)
    sum <<- sum * shrink + w
    squares <<- squares * shrink^2 + w^2
    top <<- new_top
  }
  if (is.finite(k)) {
    each_log_weight(fit, rows, k, add)
  } else {
    each_node(fit, rows, add)
    k <- node_counts[fit_latent(fit)]^fit_latent(fit)
  }
  list(mean = top + log(sum / k), variance = pmax(0, squares * k / sum^2 - 1) / max(1, k - 1))
}
