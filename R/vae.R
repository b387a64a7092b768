# What a variational autoencoder can be asked.

# The verbs that it shares with autoencoders.
#' @rdname encode
#' @export
decode.varnn_vae <- function(object, z, newdata = NULL, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("z", "newdata"))
  if (missing(z)) stop_user("`z` is missing: give the codes to decode, as encode() returns them.")
  z <- check_codes(z, fit_latent(object))
  decoded(object, z, rownames(z), given = given_rows(object, newdata, nrow(z)))
}

#' @rdname encode
#' @param sd with `TRUE`, for a variational autoencoder, also the standard deviations of q(z | x), as columns `sd1`,
#'   ...
#' @export
encode.varnn_vae <- function(object, newdata = NULL, sd = FALSE, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "sd"))
  sd <- check_flag(sd, "sd")
  envir <- parent.frame()
  if (!sd) return(encoded(object, newdata, envir))
  rows <- latent_rows(object, newdata, envir, needs_data = TRUE)
  s <- code_sds(object, rows$x)
  colnames(s) <- paste0("sd", seq_len(ncol(s)))
  rows$finish(cbind(rows$z, s))
}

#' @rdname encode
#' @export
reconstruct.varnn_vae <- reconstruct.varnn_ae

#' @rdname predict.varnn_ae
#' @param target names of columns of a variational autoencoder: predicted are their means given the other columns, of
#'   logical columns and factors the probabilities of the levels, as a matrix. `newdata` may have them, or not. Up to
#'   three latent dimensions by quadrature, else by importance sampling.
#' @export
predict.varnn_vae <- function(object, newdata = NULL, type = "latent", per_variable = FALSE,
                              threads = object$control$threads, target = NULL, ...) {
  check_fit(object)
  check_standard("predict", ..., known = c("newdata", "type", "per_variable", "threads", "target"))
  if (is.null(target)) return(predict_coder(object, newdata, type, per_variable, threads, parent.frame()))
  object$control$threads <- check_number(threads, "threads", 1, 1024, whole = TRUE)
  predict_target(object, newdata, target, parent.frame())
}

#' @rdname anomaly
#' @export
anomaly.varnn_vae <- anomaly.varnn_ae

#' @rdname compare_pca
#' @export
compare_pca.varnn_vae <- compare_pca.varnn_ae

#' @export
fitted.varnn_vae <- fitted.varnn_ae

#' @rdname residuals.varnn_ae
#' @export
residuals.varnn_vae <- residuals.varnn_ae

#' @export
deviance.varnn_vae <- deviance.varnn_ae

#' @export
variable.names.varnn_vae <- variable.names.varnn_ae

# Standard deviations of q(z | x).
code_sds <- function(fit, x) {
  fit_run(fit, engine_data(x, scaling = fit$scaling), "sd")
}

# The given columns of new data [n, given], or NULL for a model that has none.
given_rows <- function(fit, newdata, n, x = NULL) {
  design <- fit$design$given
  if (is.null(design)) return(NULL)
  if (!is.null(x)) return(x[, ncol(x) + 1 - rev(seq_along(design$columns)), drop = FALSE])
  if (is.null(newdata))
    stop_user("The model is conditional: give `newdata` with %s.", quoted(all.vars(design$terms)))
  given <- given_values(design, newdata, "`newdata`")
  if (nrow(given) != n && nrow(given) != 1)
    stop_user("`newdata` has %d rows, and there are %d codes.", nrow(given), n)
  given[rep_len(seq_len(nrow(given)), n), , drop = FALSE]
}

#' Noise of a variational autoencoder
#'
#' The standard deviation of each gaussian column around its decoded mean, in the unit of the column. It is what
#' balances reconstruction against the KL: with a small one the ELBO asks for close reconstructions, with a large one
#' for simple codes.
#'
#' @param object a fit by [fit_vae()].
#' @param ... not used.
#' @return The noise sigma of each gaussian column, on its own scale; of one with a margin (see [fit_vae()]) that of its
#'   normal scores.
#' @seealso [fit_vae()] with its argument `sigma`, [sigma.varnn()].
#' @examples
#' set.seed(1)
#' sigma(fit_vae(iris, sigma = "each", epochs = 50))
#' @export
sigma.varnn_vae <- function(object, ...) {
  check_fit(object)
  check_standard("sigma", ...)
  is_number <- vapply(object$blocks, has_sigma, NA)
  if (any(vapply(object$blocks, has_log_sd, NA))) stop_user("sigma() is no number here: it depends on z.")
  if (!any(is_number)) stop_user("sigma() needs gaussian columns; this fit's families are %s.",
                                 quoted(unique(object$family)))
  unlist(Map(function(b, free) stats::setNames(b$scale * exp(rep_len(free, b$n_responses)), b$columns),
             object$blocks[is_number], block_free(object)[is_number]))
}

# ---- likelihoods

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
  rows <- with_intervals(object, rows)
  sum <- squares <- numeric(nrow(rows$z))
  for (k in seq_len(draws)) {
    one <- log_lik_at(object, rows, draw_codes(rows$z, sd))
    sum <- sum + one
    squares <- squares + one^2
  }
  kl <- rowSums(gaussian_kl(rows$z, sd))
  variance <- pmax(0, squares / draws - (sum / draws)^2) / max(1, draws - 1)
  structure(rows$finish(sum / draws - kl), log_lik = sum / draws, kl = kl,
            se = if (draws > 1) sqrt(sum(variance)) else NA_real_)
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
  for (j in seq_len(k)) {
    z <- draw_codes(q$mu, q$sd)
    log_q <- log_normal(z, q$mu, q$sd)
    if (any(new)) {
      one <- wide_draws(q$mu[new, , drop = FALSE], q$sd[new, , drop = FALSE], spread)
      z[new, ] <- one$z
      log_q[new] <- one$log_q
    }
    use(log_lik_at(fit, rows, z) + log_normal(z, 0, 1) - log_q, z)
  }
}

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
    log_w <- vapply(draws, function(d) log_lik_at(fit, some, d$z) + log_normal(d$z, 0, 1) - d$log_q, numeric(nrow(mu)))
    w <- exp(matrix(log_w, nrow(mu)) - apply(matrix(log_w, nrow(mu)), 1, max))
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
  k <- if (is_exact) node_counts[fit_latent(object)]^fit_latent(object)
  else check_number(k, "k", 1, 1e6, whole = TRUE)
  rows <- latent_rows(object, newdata, NULL, needs_data = TRUE)
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
  if (is_exact) each_node(object, rows, add) else each_log_weight(object, rows, k, add)
  by_row <- top + log(sum / k)
  # var(log mean w) ~ (mean w^2 / (mean w)^2 - 1) / k
  variance <- pmax(0, squares * k / sum^2 - 1) / max(1, k - 1)
  w <- if (is.null(newdata)) case_weights(object) else 1
  structure(sum(w * by_row), class = "logLik", df = object$n_par, nobs = n, rows = rows$finish(by_row),
            se = if (is_exact) 0 else if (k > 1) sqrt(sum(w^2 * variance)) else NA_real_)
}

# ---- draws

#' Simulate rows like the data from a variational autoencoder
#'
#' Draws codes from the prior N(0, I), decodes them, and draws each column from its family, noise included.
#'
#' @param object a fit by [fit_vae()].
#' @param nsim number of rows; of a conditional model, of each row of `newdata`.
#' @param seed a seed, or `NULL` to go on with the present state of the generator.
#' @param newdata for a conditional model, the given columns.
#' @param given a data frame with values of some of the columns: the others are drawn given these (by importance
#'   resampling, as in [impute()]), `nsim` times for each of its rows. Of a conditional model with its given columns.
#' @param ... not used.
#' @return Rows with the columns, types, levels and units of the training data (whole numbers where those were), with
#'   the codes as attribute `"codes"` and the generator's state or seed as attribute `"seed"`. Of a conditional model
#'   the rows of `newdata`, `nsim` times over, the given columns beside the drawn ones.
#' @seealso [impute()], [decode()] without noise, [plot.varnn()] with `which = "simulation"`, [simulate.varnn_nn()] for
#'   responses.
#' @examples
#' set.seed(1)
#' fit <- fit_vae(iris, epochs = 100)
#' simulate(fit, 5)
#' simulate(fit, 3, given = data.frame(Species = "setosa", Petal.Width = 0.3))
#' @export
simulate.varnn_vae <- function(object, nsim = 1, seed = NULL, newdata = NULL, given = NULL, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("nsim", "seed", "newdata", "given"))
  nsim <- check_number(nsim, "nsim", 1, 1e9, whole = TRUE)
  seed <- check_seed(seed)
  if (!is.null(given)) {
    state <- use_seed(seed)
    on.exit(state$restore())
    return(structure(simulate_given(object, given, nsim), seed = state$seed))
  }
  given <- NULL
  n <- nsim
  if (!is.null(object$design$given)) {
    if (is.null(newdata)) given_rows(object, NULL, 1)
    newdata <- as_frame(newdata, "`newdata`")
    given_values(object$design$given, newdata, "`newdata`")
    check_rows_memory(object, nsim * nrow(newdata))
    newdata <- newdata[rep(seq_len(nrow(newdata)), nsim), all.vars(object$design$given$terms), drop = FALSE]
    row.names(newdata) <- NULL
    n <- nrow(newdata)
    given <- given_rows(object, newdata, n)
  }
  check_rows_memory(object, n)
  state <- use_seed(seed)
  on.exit(state$restore())
  size <- fit_latent(object)
  z <- matrix(stats::rnorm(n * size), n, size, dimnames = list(NULL, latent_names(size)))
  out <- columns_as_given(object$design, eta_draws(object, codes_eta(object, z, given)), NULL, whole = TRUE)
  if (!is.null(given)) out <- cbind(newdata, out)
  structure(out, codes = z, seed = state$seed)
}

# A draw from the families at eta, on the users' scale.
eta_draws <- function(fit, eta) {
  draw <- function(b, free, s) {
    as_observed(b, record_of(b)$draw(eta[, s, drop = FALSE], free_of_each(b, free)))
  }
  scores <- do.call(cbind, Map(draw, fit$blocks, block_free(fit), block_slices(fit$blocks, eta_rows)))
  with_constants(fit, as_values(fit$design, scores))
}

#' Fill in missing entries with a variational autoencoder
#'
#' Draws missing entries from the model given those that are there, by importance resampling: of `k` codes drawn from
#' q(z | x), one is taken with probabilities proportional to \eqn{p(x_{obs}, z) / q(z | x)}{p(x_obs, z) / q(z | x)}
#' (Rubin 1987), and the missing entries are drawn from their families given it.
#'
#' @param object a fit by [fit_vae()].
#' @param newdata as in [encode()], with missing entries; by default the training data.
#' @param m number of imputations.
#' @param k number of codes to choose from.
#' @param type `"draw"`: draws, as multiple imputation needs them; `"mean"`: means over all codes by their weights,
#'   the best single guess (of classes the likeliest one).
#' @param ... not used.
#' @return `newdata` with its missing entries filled in, all else as it was; with `m` above 1 a list of m of these,
#'   which [as_mids()] makes an object of mice.
#' @references Rubin (1987) The calculation of posterior distributions by data augmentation: comment,
#'   \doi{10.1080/01621459.1987.10478461}. Mattei and Frellsen (2019) MIWAE, \doi{10.48550/arXiv.1812.02633}.
#' @seealso [reconstruct()], which fills in one pass, [simulate.varnn_vae()].
#' @examples
#' set.seed(1)
#' holes <- iris
#' holes$Petal.Width[1:10] <- NA
#' fit <- fit_vae(holes, epochs = 100)
#' head(impute(fit))
#' @export
impute <- function(object, ...) UseMethod("impute")

#' @rdname impute
#' @export
impute.varnn_vae <- function(object, newdata = NULL, m = 1, k = 100, type = "draw", ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "m", "k", "type"))
  m <- check_number(m, "m", 1, 1e6, whole = TRUE)
  k <- check_number(k, "k", 1, 1e6, whole = TRUE)
  type <- check_choice(type, c("draw", "mean"), "type")
  envir <- parent.frame()
  newdata <- if (is.null(newdata)) training_columns(object, envir)
  else if (is.data.frame(newdata)) plain_frame(newdata, "`newdata`") else with_plain_dim(newdata)
  rows <- latent_rows(object, newdata, envir)
  part <- which(rowSums(is.na(rows$y)) > 0)
  some <- list(x = rows$x[part, , drop = FALSE], y = rows$y[part, , drop = FALSE], z = rows$z[part, , drop = FALSE])
  given <- given_rows(object, NULL, length(part), some$x)
  fill <- function(values) filled(object, newdata, part, some$y, values)
  check_rows_memory(object, m * nrow(rows$x), "m")
  several <- function(out) if (m == 1) out[[1]] else structure(out, class = "varnn_imputations", data = newdata)
  if (!length(part)) return(several(rep(list(newdata), m)))
  if (type == "mean") return(fill(weighted_fill(object, some, k, given)))
  out <- lapply(resampled_codes(object, some, k, m), function(z) {
    fill(eta_draws(object, codes_eta(object, z, given)))
  })
  several(out)
}

# m times one code per row, of the same k, drawn with probability proportional to its weight, in one pass: the next of
# weight w replaces the one that is held with probability w / (sum of weights so far).
resampled_codes <- function(fit, rows, k, m) {
  held <- rep(list(rows$z), m)
  total <- rep(-Inf, nrow(rows$z))
  each_log_weight(fit, rows, k, function(log_weight, z) {
    total <<- pmax(total, log_weight) + log1p(exp(-abs(total - log_weight)))
    for (i in seq_len(m)) {
      takes <- log(stats::runif(length(total))) < log_weight - total
      held[[i]][takes, ] <<- z[takes, ]
    }
  })
  held
}

# The mean of what the codes decode to, by their weights.
weighted_fill <- function(fit, rows, k, given) {
  weighted_sums(function(use) each_log_weight(fit, rows, k, use), function(z) eta_means(fit, codes_eta(fit, z, given)))
}

# The columns of the training data as the user has them.
training_columns <- function(fit, envir) {
  train <- training_data(fit, NULL, envir)
  out <- columns_as_given(fit$design, on_user_scale_y(fit, train$y), fit$rows, whole = TRUE)
  if (is.null(fit$design$given)) out else cbind(out, given_columns(fit, envir))
}

given_columns <- function(fit, envir) {
  frame <- stats::get_all_vars(stats::delete.response(fit$design$given$terms),
                               eval(fit$call$data, environment(fit$terms)))
  if (nrow(frame) != fit$n_obs) stop_user("Give `newdata`: the given columns of the training data are not found again.")
  frame
}

# newdata with `values` [rows `part`, columns of y] where y is missing.
filled <- function(fit, newdata, part, y, values) {
  new <- columns_as_given(fit$design, values, NULL, whole = TRUE)
  columns <- fit$design$variables
  for (j in seq_along(columns)) {
    gap <- is.na(y[, columns[[j]]$at[1]])
    if (!any(gap)) next
    name <- if (is.matrix(newdata) && is.null(colnames(newdata))) j else columns[[j]]$name
    v <- column_values(new, j)[gap]
    if (is.matrix(newdata)) newdata[part[gap], name] <- v
    else newdata[[name]] <- replace(like_column(columns[[j]], newdata[[name]]), part[gap], as_type(v, newdata[[name]]))
  }
  newdata
}

# A column of new data that can take the levels of training: characters stay, all else becomes the factor that it was.
like_column <- function(column, v) {
  if (column$type != "factor" || is.character(v)) return(v)
  factor(as.character(v), levels = column$levels, ordered = column$is_ordered)
}

as_type <- function(v, like) if (is.character(like)) as.character(v) else v

# ---- summary

#' Summarise a variational autoencoder
#'
#' The parts of the ELBO, the latent dimensions that are in use, and the noise.
#'
#' @param object,x a fit by [fit_vae()], its summary.
#' @param draws draws per row for the ELBO.
#' @param digits,... as of [summary.varnn_nn()].
#' @return A list of class `summary.varnn_vae` with `fit_lines` (what `print()` shows), `elbo` (its parts in nats per
#'   row), `dimensions` (a data frame: `kl`, mean KL of each latent dimension; `mean_variance`, the variance of E(z |
#'   x) over rows; `active`: is that above 0.01, Burda et al. 2016), `expected` (with gaussian columns alone: how many
#'   dimensions probabilistic principal component analysis has at this sigma, the eigenvalues of the standardised
#'   columns above sigma^2, and these `eigenvalues`), `sigma` and `layers`.
#' @references Burda, Grosse and Salakhutdinov (2016) \doi{10.48550/arXiv.1509.00519}. Lucas, Tucker, Grosse and
#'   Norouzi (2019) \doi{10.48550/arXiv.1911.02469}.
#' @seealso [elbo()], [sigma.varnn_vae()], [plot.varnn()].
#' @examples
#' set.seed(1)
#' summary(fit_vae(iris, epochs = 50))
#' @export
summary.varnn_vae <- function(object, draws = 20, ...) {
  check_fit(object)
  check_standard("summary", ..., known = "draws")
  draws <- check_draws(draws)
  rows <- latent_rows(object, NULL, NULL, needs_data = TRUE)
  sd <- code_sds(object, rows$x)
  w <- case_weights(object) / sum(case_weights(object))
  log_lik <- 0
  for (k in seq_len(draws)) log_lik <- log_lik + log_lik_at(object, rows, draw_codes(rows$z, sd)) / draws
  kl <- colSums(w * gaussian_kl(rows$z, sd))
  variance <- colSums(w * rows$z^2) - colSums(w * rows$z)^2
  structure(list(fit_lines = fit_lines(object),
                 elbo = c(elbo = sum(w * log_lik) - sum(kl), log_lik = sum(w * log_lik), kl = sum(kl)),
                 dimensions = data.frame(kl = kl, mean_variance = variance, active = variance > 0.01,
                                         row.names = latent_names(length(kl))),
                 expected = expected_dimensions(object, rows$y),
                 sigma = if (any(vapply(object$blocks, has_sigma, NA))) sigma(object),
                 layers = data.frame(name = object$layout$name,
                                     size = paste(object$layout$rows, "x", object$layout$cols),
                                     norm = leaf_norms(object))), class = "summary.varnn_vae")
}

# With one sigma for all columns, all of them gaussian, and nothing missing.
expected_dimensions <- function(fit, y) {
  log_sigma <- unlist(block_free(fit))
  if (!all(vapply(fit$blocks, has_sigma, NA)) || diff(range(log_sigma)) > 1e-9 || anyNA(y) || nrow(y) < 2) return(NULL)
  eigenvalues <- eigen(stats::cov.wt(y, method = "ML")$cov, symmetric = TRUE, only.values = TRUE)$values
  variance <- exp(2 * log_sigma[1])
  list(active = min(fit_latent(fit), sum(eigenvalues > variance)), variance = variance, eigenvalues = eigenvalues)
}

#' @rdname summary.varnn_vae
#' @export
print.summary.varnn_vae <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  few <- max(1, digits - 1)
  print_lines(c(x$fit_lines, ""))
  e <- format(x$elbo, digits = digits, trim = TRUE)
  cat(sprintf("ELBO %s nats per row: log-likelihood %s, KL %s\n\n", e[1], e[2], e[3]))
  print(x$dimensions, digits = few)
  print_lines(c("", paste(sprintf("%d of %d dimensions are active.", sum(x$dimensions$active), nrow(x$dimensions)),
                          collapse_words(x))))
  if (!is.null(x$sigma)) {
    cat("\nNoise (sigma):\n")
    print(utils::head(x$sigma, 12), digits = few)
    if (length(x$sigma) > 12) cat("... and", length(x$sigma) - 12, "more\n")
  }
  cat("\n")
  print(x$layers, row.names = FALSE, digits = digits)
  invisible(x)
}

collapse_words <- function(x) {
  lost <- sum(!x$dimensions$active)
  if (is.null(x$expected) || lost == 0) return("")
  sprintf("Of the standardised columns %d eigenvalues are above sigma^2 = %s: %s", x$expected$active,
          format(x$expected$variance, digits = 3),
          if (x$expected$active <= sum(x$dimensions$active)) "the others have nothing to tell, and should collapse."
          else "probabilistic PCA would use more; try more epochs, `kl_warmup` or a smaller `sigma`.")
}
