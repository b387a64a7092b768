# Leave-one-out by importance sampling, as the package loo does it: draws of the posterior q are weighted as those of
# the posterior without a row.

# Draws of the weights with, but for constants, the logs of their densities under q and a priori.
weights_with_density <- function(fit, draws) {
  q <- weight_posterior(fit)
  w <- draw_weights(q, draws)
  list(mean = q$mean, weights = w, log_q = log_posterior_density(q, w), log_prior = log_prior_density(fit, q, w))
}

# log q of the rows of w, but for a constant.
log_posterior_density <- function(q, w) {
  e <- t(w) - q$mean
  z <- e / ifelse(q$sigma > 0, q$sigma, 1)
  if (!is.null(q$lower))
    z[q$at, ] <- forwardsolve(q$lower + diag(q$sigma[q$at], length(q$at)), e[q$at, , drop = FALSE])
  if (!is.null(q$root)) z[q$at, ] <- backsolve(q$root, e[q$at, , drop = FALSE])
  for (leaf in q$layers) z[leaf$at, ] <- leaf_normals(leaf, e[leaf$at, , drop = FALSE])
  out <- -colSums(z^2) / 2
  if (is.null(q$shared)) return(out)
  # (D + F F')^-1 = D^-1 - D^-1 F (I + F' D^-1 F)^-1 F' D^-1
  f <- q$shared / q$sigma
  across <- crossprod(f, z)
  out + colSums(across * solve(diag(ncol(f)) + crossprod(f), across)) / 2
}

# log p of the rows of w, but for a constant.
log_prior_density <- function(fit, q, w) {
  spec <- fit$spec
  if (spec$prior == "by_weight") {
    at <- which(is.finite(spec$precision))
    return(-drop((w[, at, drop = FALSE] - rep(spec$center[at], each = nrow(w)))^2 %*% spec$precision[at]) / 2)
  }
  of_leaf <- function(i) {
    at <- q$leaf == i
    leaf <- fit$layout[i, ]
    scale <- if (spec$fan_in && leaf$role == "weight") 1 / sqrt(leaf$cols) else 1
    own <- utils::modifyList(spec, list(empirical_sd = sqrt(mean(q$mean[at]^2 + q$sd[at]^2))))
    unit <- w[, at, drop = FALSE] / scale
    rowSums(array(prior_log_densities[[spec$prior]](unit, own), dim(unit)))
  }
  Reduce(`+`, lapply(unique(q$leaf), of_leaf))
}

prior_log_densities <- list(
  normal = function(w, spec) stats::dnorm(w, 0, spec$prior_sd, log = TRUE),
  empirical = function(w, spec) stats::dnorm(w, 0, spec$empirical_sd, log = TRUE),
  laplace = function(w, spec) -abs(w) / spec$prior_sd,
  mixture = function(w, spec) {
    log(spec$prior_share * stats::dnorm(w, 0, spec$prior_sd) +
          (1 - spec$prior_share) * stats::dnorm(w, 0, spec$prior_sd2))
  },
  program = function(w, spec) run_program(spec$programs[[spec$prior_program]], as.vector(w))$value
)

# Calls visit(eta [rows, columns, draws], at) for chunks of rows, at given draws of the weights: those of the linearised
# network where the posterior is of it, else of the network.
over_weights <- function(fit, data, drawn, visit) {
  shifts <- t(drawn$weights) - drawn$mean
  if (is_laplace(fit$spec))
    return(over_chunks(fit, data, ncol(shifts), "eta", visit, key = shifts[is.finite(fit$spec$precision), ,
                                                                          drop = FALSE]))
  network <- point_network(fit)
  places <- role_places(network$layout)
  columns <- run_columns(network$spec, "eta")
  for (at in row_chunks(data$n, ncol(shifts) * columns)) {
    part <- part_of_rows(data, at)
    one <- function(k) {
      network$theta[places] <- drawn$weights[k, ]
      fit_run(network, part, "eta")
    }
    eta <- vapply(seq_len(ncol(shifts)), one, matrix(0, length(at), columns))
    check_finite_output(eta)
    visit(array(eta, c(length(at), columns, ncol(shifts))), at)
  }
}

# The same network with weights that are numbers, 0 as yet, and the fit's noise.
point_network <- function(fit) {
  noise <- function(layout) unlist(lapply(which(layout$role == "noise"), function(i) leaf_index(layout[i, ])))
  learned <- fit$theta[noise(fit$layout)]
  fit$spec <- utils::modifyList(fit$spec, list(posterior = "point", estimator = "weight", kl_mc = 0L))
  fit$layout <- spec_layout(fit$spec)$leaves
  fit$theta <- numeric(sum(fit$layout$rows * fit$layout$cols))
  fit$theta[noise(fit$layout)] <- learned
  fit
}

# What a leave-one-out takes: the log-likelihood [draws, rows], times the case weights, and the logs of the densities of
# draws, but for constants. `rows` are those whose likelihood the posterior has.
loo_draws <- function(fit, rows, draws) {
  if (is_sampled(fit$spec)) {
    log_lik <- drawn_log_lik(fit, rows, draws) * rep(rows$w, each = draws)
    return(list(log_lik = log_lik, log_p = numeric(draws), log_q = numeric(draws)))
  }
  drawn <- weights_with_density(fit, draws)
  out <- matrix(0, draws, nrow(rows$x))
  shift <- row_jacobian(fit, rows$y)
  over_weights(fit, row_data(fit, rows), drawn, function(eta, at) {
    out[, at] <<- t(rows$w[at] * (drawn_eta_log_lik(fit, rows$y[at, , drop = FALSE], eta) - shift[at]))
  })
  list(log_lik = out, log_p = rowSums(out) + drawn$log_prior, log_q = drawn$log_q)
}

# The training rows that the posterior is of: with a weight and a response, not held out.
rows_of_posterior <- function(fit, envir) {
  rows <- rows_with_response(fit, NULL, NULL, envir)
  w <- case_weights(fit)
  use <- w > 0 & rowSums(!is.na(rows$y)) > 0
  use[fit$held_out] <- FALSE
  list(x = rows$x[use, , drop = FALSE], y = rows$y[use, , drop = FALSE], offset = rows$offset[use], w = w[use],
       names = fit_rows(fit)[use])
}

# Those whose posterior has a spread.
need_spread <- function(fit, what) {
  need_draws(fit, what)
  if (is_point(fit$spec)) stop_user("%s needs a posterior with a spread: a point has none.", what)
}

#' Leave-one-out and information criteria of a Bayesian network
#'
#' Methods of the generics of the package loo: the expected log predictive density of new rows, estimated by
#' leave-one-out with Pareto-smoothed importance sampling, or by WAIC; to compare Bayesian networks and linear models
#' of the same data by `loo::loo_compare()`.
#'
#' @param x a fit by [fit_bayes_nn()] whose posterior has a spread.
#' @param draws number of draws from the posterior, of a mixture from that of each member.
#' @param correct weigh the draws of q as draws of the posterior? `"auto"`: where they can be, by the k of all of them.
#' @param save_psis,cores as of `loo::loo()`; of a mixture the first is `FALSE`.
#' @param ... not used.
#' @details The fit has a distribution q in place of the posterior \eqn{p(\theta \mid y)}{p(theta | y)}. With `correct =
#'   TRUE` a draw \eqn{\theta}{theta} of q has, for row i, the weight
#'   \eqn{p(y \mid \theta) p(\theta) / (q(\theta) p(y_i \mid \theta))}{p(y | theta) p(theta) / (q(theta) p(y_i |
#'   theta))} (Magnusson et al. 2019), smoothed where it is large (Vehtari et al. 2024). Then the estimate is that of
#'   the exact posterior without row i, if Pareto's k, which is estimated for each row, is below .7. A greater k of one
#'   row says that the posterior without it is elsewhere; a greater k of most rows that q is far from the posterior to
#'   begin with, as that of a mean field of a network's weights is, whose draws no weights can mend. With `correct =
#'   FALSE` the weight is \eqn{1 / p(y_i \mid \theta)}{1 / p(y_i | theta)}: q is taken for the posterior, k says how
#'   much each row matters to it, and the estimate is the better the nearer q is to the posterior. `"auto"` corrects
#'   where \eqn{p(y \mid \theta) p(\theta) / q(\theta)}{p(y | theta) p(theta) / q(theta)}, the weights of draws as those
#'   of the posterior of all rows, has a k below .7, and warns where it has not.
#'
#'   What is a model's posterior depends on the model. That of `posterior = "laplace"` is of the network linearised at
#'   its mode, and so are the draws; with a gaussian response of constant noise q is that posterior, as near as training
#'   came to the mode, and so it is without hidden layers by default. The noise and the precisions that evidence has
#'   found are those of all rows. A mixture has the leave-one-out densities of its members, averaged with their weights,
#'   which have seen all rows, too; its k is the greatest among members that give at least a tenth of the density.
#'
#'   Rows of weight w count as w rows, which are left out together. Rows held out, of weight 0 or without a response are
#'   not part of the posterior, and not of the estimate. `waic()` takes q for the posterior.
#'
#'   Where the data determine nearly as many weights as there are rows, most rows have a k above .7: then
#'   [calibration()] of rows held out says more.
#' @return As of `loo::loo()` and `loo::waic()`, of `loo()` with an attribute `"corrected"`: whether the draws were
#'   weighted as those of the posterior, of a mixture by member. Of k above .7 there is a warning of class
#'   `varnn_pareto`.
#' @references Vehtari, Gelman and Gabry (2017) Practical Bayesian model evaluation using leave-one-out
#'   cross-validation and WAIC, \doi{10.1007/s11222-016-9696-4}. Vehtari, Simpson, Gelman, Yao and Gabry (2024) Pareto
#'   smoothed importance sampling, \doi{10.48550/arXiv.1507.02646}. Magnusson, Andersen, Jonasson and Vehtari (2019)
#'   Bayesian leave-one-out cross-validation for large data, \doi{10.48550/arXiv.1904.10679}.
#' @seealso [log_lik()], [elbo()], [evidence()], [calibration()] of new data.
#' @examples
#' if (requireNamespace("loo", quietly = TRUE)) {
#'   set.seed(1)
#'   fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 0)
#'   loo::loo(fit)
#' }
#' @name loo.varnn
#' @exportS3Method loo::loo
loo.varnn <- function(x, draws = 1000, correct = "auto", save_psis = FALSE, cores = 1, ...) {
  check_package("loo", "loo()")
  need_spread(x, "loo()")
  check_dots_empty(..., known = c("draws", "correct", "save_psis", "cores"))
  draws <- check_number(draws, "draws", 100, 1e8, whole = TRUE)
  if (!identical(correct, "auto")) correct <- check_flag(correct, "correct")
  save_psis <- check_flag(save_psis, "save_psis")
  cores <- check_number(cores, "cores", 1, 1024, whole = TRUE)
  rows <- rows_of_posterior(x, parent.frame())
  if (nrow(rows$x) < 2) stop_user("loo() needs two rows or more.")
  check_draws_memory(4 * draws * nrow(rows$x), "That many draws")
  of_members <- is_mixture(x) && !is_hmc(x$spec) # chains have one posterior
  use <- if (of_members) x$member_weights > 0 else TRUE
  members <- if (of_members) member_fits(x)[use] else list(x)
  parts <- lapply(members, function(m) quiet_loo(loo_draws(m, rows, draws), correct, save_psis, cores))
  out <- if (length(parts) == 1) parts[[1]] else mixed_loo(parts, x$member_weights[use])
  rownames(out$pointwise) <- rows$names
  k <- vapply(parts, attr, 0, "k")
  attr(out, "k") <- NULL
  corrected <- if (identical(correct, "auto")) k <= most_pareto else rep(correct, length(parts))
  warn_of_pareto(out$diagnostics$pareto_k, k[!corrected & identical(correct, "auto")])
  structure(out, corrected = corrected,
            yhash = paste(signif(c(nrow(rows$y), sum(rows$w), response_sums(x, rows)), 10), collapse = " "))
}

# Sums of the responses and of their squares: loo_compare() warns when they differ.
response_sums <- function(fit, rows) {
  y <- do.call(cbind, Map(function(b, at) as_observed(b, rows$y[, at, drop = FALSE], rows$offset), fit$blocks,
                          block_slices(fit$blocks, y_rows)))
  c(sum(y, na.rm = TRUE), sum(y^2, na.rm = TRUE))
}

# Of one member, with the k of its draws as those of the posterior. The warnings are given for all members at once.
quiet_loo <- function(drawn, correct, save_psis, cores) {
  suppressWarnings({
    k <- loo::psis(matrix(drawn$log_p - drawn$log_q), r_eff = 1)$diagnostics$pareto_k
    if (max(abs(drawn$log_p - drawn$log_q - mean(drawn$log_p - drawn$log_q))) < 1e-6) k <- 0 # q is the posterior
    if (identical(correct, "auto")) correct <- k <= most_pareto
    out <- if (correct) loo::loo_approximate_posterior(drawn$log_lik, drawn$log_p, drawn$log_q, save_psis = save_psis,
                                                       cores = cores)
    else loo::loo(drawn$log_lik, r_eff = rep(1, ncol(drawn$log_lik)), save_psis = save_psis, cores = cores)
  })
  structure(out, k = k)
}

# The leave-one-out of a mixture from those of its members.
mixed_loo <- function(parts, weights) {
  of_each <- function(what) vapply(parts, function(p) p$pointwise[, what], numeric(nrow(parts[[1]]$pointwise)))
  elpd <- of_each("elpd_loo")
  point <- parts[[1]]$pointwise
  point[, "elpd_loo"] <- log_mean_exp(elpd, weights)
  point[, "p_loo"] <- log_mean_exp(elpd + of_each("p_loo"), weights) - point[, "elpd_loo"]
  point[, "looic"] <- -2 * point[, "elpd_loo"]
  share <- exp(elpd - point[, "elpd_loo"]) * rep(weights, each = nrow(point))
  point[, "mcse_elpd_loo"] <- sqrt(rowSums((share * of_each("mcse_elpd_loo"))^2))
  of_diagnostic <- function(what) vapply(parts, function(p) p$diagnostics[[what]], numeric(nrow(point)))
  k <- of_diagnostic("pareto_k")
  k[share < 0.1] <- -Inf
  point[, "influence_pareto_k"] <- apply(k, 1, max)
  out <- parts[[1]]
  out$pointwise <- point
  out$diagnostics <- list(pareto_k = point[, "influence_pareto_k"],
                          n_eff = 1 / rowSums(share^2 / of_diagnostic("n_eff")))
  measures <- rownames(out$estimates)
  out$estimates[] <- cbind(colSums(point[, measures]), sqrt(nrow(point) * apply(point[, measures], 2, stats::var)))
  out[c(measures, paste0("se_", measures))] <- as.list(out$estimates)
  out$approximate_posterior <- NULL
  structure(out, class = setdiff(class(out), "psis_loo_ap"), dims = attr(out, "dims") * c(length(parts), 1L))
}

most_pareto <- 0.7

# `k` of rows, and of those members whose draws could not be weighted as those of the posterior.
warn_of_pareto <- function(k, of_members) {
  bad <- sum(k > most_pareto)
  if (!bad && !length(of_members)) return(invisible())
  warn_user("varnn_pareto", "%s.", paste(c(
    if (length(of_members))
      said(paste("The fit's posterior is too far from the model's to be corrected (Pareto's k %s):",
                 "its draws are taken as they are"),
           paste(unique(format(range(of_members), digits = 2)), collapse = " to ")),
    if (bad) said("Pareto's k is above %s for %d of %d rows, whose leave-one-out is not reliable", most_pareto, bad,
                  length(k)), "See ?loo.varnn"), collapse = ". "))
}

#' @rdname loo.varnn
#' @exportS3Method loo::waic
waic.varnn <- function(x, draws = 1000, ...) {
  need_spread(x, "waic()")
  check_dots_empty(..., known = "draws")
  draws <- check_number(draws, "draws", 100, 1e8, whole = TRUE)
  rows <- rows_of_posterior(x, parent.frame())
  check_draws_memory(2 * draws * nrow(rows$x), "That many draws")
  loo::waic(drawn_log_lik(x, rows, draws) * rep(rows$w, each = draws))
}
