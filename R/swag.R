# Gaussian weights from the path of stochastic gradient descent ("swag").

# ---- arguments

#' The path of stochastic gradient descent as a posterior
#'
#' How `fit_bayes_nn(posterior = "swag")` makes a posterior of the path that stochastic gradient descent takes about a
#' mode (SWAG, Maddox et al. 2019): weights are normal about the mean of the path, with half the variances of its
#' points, and half their covariance as `rank` of them have it.
#'
#' @param rank number of points whose deviations from the mean make the covariance, at least 2 and at most `epochs`.
#' @param epochs passes over the data of the path, after a fifth as many that are left out; each ends at a point, and
#'   has 25 steps at least.
#' @param learn_rate of the path. `NULL`: the rate at which the points spread most nearly as a posterior does (Mandt,
#'   Hoffman and Blei 2017), \eqn{2 P / (n \, \mathrm{tr} C)}{2 P / (n tr C)} for P weights, n cases and the
#'   covariance C of the gradients of batches, but at most one over the greatest curvature of the loss, where steps are
#'   stable.
#' @details
#' First the mode is sought as by `posterior = "point"`, by what [nn_control()] says. Then steps of plain gradient
#' descent with a constant rate start there, on batches of rows that are drawn with replacement. Where they diverge they
#' are taken anew at half the rate, with a warning.
#'
#' A network has directions in which the curvature is a thousand times that in others. The rate that is stable in the
#' former moves little in the latter: there the path says less of the uncertainty than there is, and intervals are too
#' narrow. The mean of the path predicts better than the mode all the same.
#' @return A list of class `varnn_posterior`, for the argument `posterior` of [fit_bayes_nn()].
#' @references Maddox, Garipov, Izmailov, Vetrov and Wilson (2019) A simple baseline for Bayesian uncertainty in deep
#'   learning, \doi{10.48550/arXiv.1902.02476}. Mandt, Hoffman and Blei (2017) Stochastic gradient descent as
#'   approximate Bayesian inference, \doi{10.48550/arXiv.1704.04289}.
#' @seealso [fit_bayes_nn()], [posterior_hmc()], [posterior_dropout()], [compare_posteriors()].
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, posterior = posterior_swag(rank = 10), epochs = 300)
#' fit
#' predict(fit, head(mtcars), interval = "prediction")
#' @export
posterior_swag <- function(rank = 20, epochs = 100, learn_rate = NULL) {
  epochs <- check_number(epochs, "epochs", 2, 1e6, whole = TRUE)
  rank <- check_number(rank, "rank", 2, 1000, whole = TRUE)
  if (rank > epochs) stop_user("`rank` must be at most `epochs`, %d, the number of points of the path, not %d.",
                               as.integer(epochs), as.integer(rank))
  if (!is.null(learn_rate)) learn_rate <- check_number(learn_rate, "learn_rate", 0, 1e100, above = TRUE)
  structure(list(posterior = "swag", rank = as.integer(rank), epochs = as.integer(epochs), learn_rate = learn_rate),
            class = "varnn_posterior")
}

# ---- training

train_swag <- function(spec, layout, blocks, sets, control, arguments) {
  point <- utils::modifyList(spec, list(posterior = "point", kl_mc = 0L))
  from <- spec_layout(point)
  trained <- best_start(control, point, from, blocks, sets)
  path <- if (trained$status %in% c("finished", "converged", "patience"))
    sgd_path(trained, point, from, sets$train, control, arguments$posterior_options)
  if (!is.null(path) && path$status != "finished") trained$status <- path$status
  points <- if (!is.null(path) && ncol(path$points)) path$points else cbind(trained$theta)
  trained$theta <- swag_theta(points, from$leaves, layout, spec$rank)
  trained["state"] <- list(NULL)
  trained$history <- history_as(trained$history, from$terms, layout$terms)
  list(trained)
}

# list(points [parameters, points], status, where it ended early, rate). Steps that diverge are taken anew at half the
# rate.
sgd_path <- function(trained, spec, layout, data, control, options) {
  theta <- trained$theta
  loss <- if (trained$epochs) trained$history[trained$epochs, "loss"] else Inf
  rate <- if (is.null(options$learn_rate)) kept_part(sgd_rate(theta, spec, data, control)) else options$learn_rate
  control <- utils::modifyList(control, list(optimizer = "sgd", schedule = "constant", epochs = 1L, patience = Inf,
                                             callback = NULL, verbose = FALSE), keep.null = TRUE)
  first <- rate
  for (halved in 0:most_halvings) {
    control$learn_rate <- rate
    path <- path_at_rate(theta, spec, layout, data, control, options$epochs, loss + 10 * (1 + abs(loss)))
    if (path$status != "diverged") break
    rate <- rate / 2
  }
  if (halved && path$status != "diverged")
    warn_user("varnn_swag_rate", "The path of \"swag\" diverged at `learn_rate` = %s of posterior_swag(): it has %s.",
              format(first, digits = 3), format(rate, digits = 3))
  c(path, list(rate = rate))
}

most_halvings <- 20
least_steps <- 25 # from point to point

# Each stretch is over rows drawn anew. A loss above `highest` is a divergence.
path_at_rate <- function(theta, spec, layout, data, control, n_points, highest) {
  rows <- if (is.null(data$row)) as.double(seq_len(data$n)) else data$row
  skipped <- ceiling(n_points / 5)
  per_point <- max(length(rows), least_steps * min(control$batch_size, length(rows)))
  points <- matrix(0, length(theta), n_points)
  for (k in seq_len(skipped + n_points)) {
    data$row <- rows[sample.int(length(rows), per_point, replace = TRUE)]
    one <- train_from(theta, spec, layout, data, NULL, control)
    loss <- if (one$epochs) one$history[1, "loss"] else Inf
    if (one$status == "finished" && !isTRUE(loss <= highest)) one$status <- "diverged"
    if (one$status != "finished") break
    theta <- one$theta
    if (k > skipped) points[, k - skipped] <- theta
  }
  n <- if (one$status == "finished") n_points else max(0, k - 1 - skipped)
  list(points = points[, seq_len(n), drop = FALSE], status = one$status)
}

n_gradients <- 50
n_powers <- 20

# 2 P / (n tr C), at most one over the greatest curvature, which power iteration on differences of gradients finds.
sgd_rate <- function(theta, spec, data, control) {
  gradient <- function(theta, rows, size) {
    data$row <- rows
    control$batch_size <- size
    engine_gradient(spec, theta, data, control)$gradient
  }
  rows <- if (is.null(data$row)) as.double(seq_len(data$n)) else data$row
  all <- gradient(theta, rows, length(rows))
  batches <- vapply(seq_len(n_gradients), function(k) {
    at <- rows[sample.int(length(rows), control$batch_size, replace = TRUE)]
    sum((gradient(theta, at, length(at)) - all)^2)
  }, 0)
  v <- stats::rnorm(length(theta))
  curvature <- 0
  for (k in seq_len(n_powers)) {
    v <- v / sqrt(sum(v^2))
    step <- 1e-4 * max(1, sqrt(sum(theta^2)))
    v <- (gradient(theta + step * v, rows, length(rows)) - all) / step
    curvature <- max(curvature, sqrt(sum(v^2)))
  }
  n <- 1 / control$objective$coefficient[["kl_weights"]]
  min(2 * length(theta) / (n * mean(batches)), 1 / curvature)
}

# The parameters of the normal distribution: the means of the points; of weights and biases the logs of the square
# roots of half the variances, and the deviations of `rank` points, evenly spread, over sqrt(2 (rank - 1)).
swag_theta <- function(points, from, layout, rank) {
  mean <- rowMeans(points)
  away <- points - mean
  used <- away[, unique(round(seq(1, ncol(away), length.out = min(rank, ncol(away))))), drop = FALSE]
  factors <- matrix(0, nrow(points), rank)
  factors[, seq_len(ncol(used))] <- (used - rowMeans(used)) / sqrt(2 * max(1, ncol(used) - 1))
  log_sd <- log(pmax(rowMeans(away^2) / 2, least_variance)) / 2
  theta <- numeric(layout$n_par)
  for (i in seq_len(nrow(layout$leaves))) {
    leaf <- layout$leaves[i, ]
    at <- leaf_index(from[from$layer == leaf$layer & from$role == leaf$role & from$head == leaf$head, ])
    theta[leaf_index(leaf)] <- switch(leaf$part + 1, mean[at], log_sd[at], NULL, t(factors[at, , drop = FALSE]))
  }
  theta
}

least_variance <- 1e-20

# The history of a training whose loss has the terms `from`, for a model that has the terms `to`: each term of the data
# by itself, the sum of others of a kind in the first of that kind.
history_as <- function(h, from, to) {
  of <- function(first) {
    value <- h[, first + seq_len(nrow(from)), drop = FALSE]
    vapply(seq_len(nrow(to)), function(i) {
      same <- from$term == to$term[i]
      if (to$term[i] == "nll") return(value[, which(same & from$source == to$source[i])])
      if (match(to$term[i], to$term) != i) return(numeric(nrow(h)))
      rowSums(value[, same, drop = FALSE])
    }, numeric(nrow(h)))
  }
  terms <- make.unique(to$term)
  out <- cbind(h[, 1:3, drop = FALSE], matrix(of(3), nrow(h), nrow(to)),
               matrix(of(3 + nrow(from)), nrow(h), nrow(to)))
  colnames(out) <- c(colnames(h)[1:3], terms, paste0("val_", terms))
  out
}
