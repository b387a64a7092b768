# Monte Carlo dropout: the posterior of a network whose hidden units are there or not ("dropout").

# ---- arguments

#' Dropout as a posterior
#'
#' How `fit_bayes_nn(posterior = "dropout")` makes a posterior of the dropout of hidden units (Gal and Ghahramani 2016):
#' a network is trained with dropout after each hidden layer and predicts with it, too. The draws of its weights are
#' those of the trained network with all weights that leave dropped units at 0.
#'
#' @param rate the probability with which a hidden unit is dropped, from 0.001 to below 1. `"auto"`: one of 0.005, 0.01,
#'   0.02, 0.05, 0.1 and 0.2, that with the greatest log-likelihood of rows held out from training. These are each half
#'   of the rows in turn, beyond 2,000 rows a fifth of them, and with `validation` the rows that it holds out. Several
#'   rates are tried in place of these. Where there is only one row the first of them is taken.
#' @param draws number of draws that the fit has; predictions are averages over all of them.
#' @details
#' The loss is that of `posterior = "point"`, whose prior takes the place of the penalty of weights in the paper; a
#' noise that is learned is that about the network with dropout. Units that are kept are divided by one less `rate`. All
#' rows share a draw, so that draws are functions, not noise about one. `elbo()` and `evidence()` do not apply: the
#' posterior has no density.
#' @return A list of class `varnn_posterior`, for the argument `posterior` of [fit_bayes_nn()].
#' @references Gal and Ghahramani (2016) Dropout as a Bayesian approximation, \doi{10.48550/arXiv.1506.02142}.
#' @seealso [fit_bayes_nn()], [posterior_hmc()], [posterior_swag()], [compare_posteriors()].
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, posterior = posterior_dropout(rate = 0.05), epochs = 300)
#' fit
#' predict(fit, head(mtcars), interval = "prediction")
#' @export
posterior_dropout <- function(rate = "auto", draws = 200) {
  if (!identical(rate, "auto")) {
    given <- plain_numbers(rate)
    if (!every(length(given) >= 1, length(given) <= 1000, all(is.finite(given)), all(given >= 0.001), all(given < 1)))
      stop_user("`rate` must be \"auto\", or up to 1000 numbers from 0.001 to below 1, not %s.", shown(rate))
    rate <- given
  }
  draws <- check_number(draws, "draws", 1, 1e7, whole = TRUE)
  structure(list(posterior = "dropout", rate = rate, draws = as.integer(draws)), class = "varnn_posterior")
}

dropout_rates <- c(0.005, 0.01, 0.02, 0.05, 0.1, 0.2)

check_masks <- function(model, spec) {
  if (length(spec$layer) == 1)
    stop_user("`posterior` = \"dropout\" drops hidden units, and there is no hidden layer: make `hidden` greater.")
  check_draws_memory(n_weights(spec) * model$posterior_options$draws, "That many draws of all weights")
}

# ---- training

train_dropout <- function(spec, layout, blocks, sets, control, arguments) {
  options <- arguments$posterior_options
  rates <- if (identical(options$rate, "auto")) dropout_rates else options$rate
  tried <- if (length(rates) > 1 && can_hold_out(sets)) kept_part(tried_rates(rates, spec, blocks, sets, control))
  rate <- if (NROW(tried)) tried$rate[which.max(tried$log_lik)] else rates[1]
  noisy <- with_dropout(spec, rate)
  trained <- best_start(control, noisy, spec_layout(noisy), blocks, sets)
  units <- sum(hidden_units(spec))
  kept <- matrix(stats::runif(units * options$draws) >= rate, units)
  list(c(trained, list(sampled = list(kept = kept, rate = rate, tried = tried))))
}

# The network as it is trained: weights are numbers, and layers of dropout follow the activations.
with_dropout <- function(spec, rate) {
  spec$posterior <- "point"
  after <- which(is_activation(spec))
  at <- sort(c(seq_along(spec$layer), after + 0.5))
  is_new <- at %% 1 != 0
  field <- function(name, new) replace(spec[[name]][floor(at)], is_new, new)
  spec[c("layer", "size", "option", "setting")] <- list(field("layer", "dropout"), field("size", 1L),
                                                        field("option", ""), field("setting", as.double(rate)))
  spec
}

hidden_units <- function(spec) {
  dense <- which(spec$layer == "dense")
  spec$size[dense[-length(dense)]]
}

most_halved <- 2000

can_hold_out <- function(sets) !is.null(sets$valid) || set_counts(sets)$rows > 1

# Of each rate the mean log-likelihood of rows held out: a data frame, with fewer rows where the user interrupts. An
# interrupt before the first one ends the training, too.
tried_rates <- function(rates, spec, blocks, sets, control) {
  quiet <- utils::modifyList(control, list(verbose = FALSE, callback = NULL, validation = 0), keep.null = TRUE)
  whole <- sets$train[names(sets$train) != "row"]
  rows <- if (is.null(sets$train$row)) as.double(seq_len(sets$train$n)) else sets$train$row
  parts <- if (!is.null(sets$valid)) list(NULL)
  else if (length(rows) > most_halved) list(sample(rows, length(rows) %/% 5))
  else split(rows, sample(rep_len(1:2, length(rows))))
  out <- data.frame(rate = rates, log_lik = NA_real_)
  for (k in seq_along(rates)) {
    found <- vapply(parts, function(part) {
      if (was_interrupted()) return(NA_real_)
      fit_rows <- if (is.null(part)) sets$train else c(whole, list(row = setdiff(rows, part)))
      judged <- if (is.null(part)) sets$valid else c(whole, list(row = part))
      held_out_score(rates[k], spec, blocks, fit_rows, judged, quiet)
    }, 0)
    if (was_interrupted()) break
    out$log_lik[k] <- mean(found)
    report(control, "dropout at rate %s: mean held-out log-likelihood %s", format(rates[k]),
           format(out$log_lik[k], digits = 5))
  }
  out <- out[is.finite(out$log_lik), ]
  if (was_interrupted() && nrow(out) && is.null(work$failure)) {
    heed_interrupt()
    warn_user("varnn_interrupted", paste(
      "The choice of the rate of dropout was interrupted after %d of %d rates: the network is trained with the best of",
      "these. Another interrupt ends the training, too, and keeps the fit."), nrow(out), length(rates))
  }
  out
}

n_judging <- 100

# The mean log-likelihood of the rows `judged`, averaged over draws, of a network trained on the rows of `data`.
held_out_score <- function(rate, spec, blocks, data, judged, control) {
  noisy <- with_dropout(spec, rate)
  layout <- spec_layout(noisy)
  trained <- train_from(start_of(noisy, layout, blocks, data, control), noisy, layout, data, NULL, control)
  kept <- matrix(stats::runif(sum(hidden_units(spec)) * n_judging) >= rate, ncol = n_judging)
  fit <- list(spec = spec, layout = spec_layout(spec)$leaves, theta = trained$theta,
              sampled = list(kept = kept, rate = rate))
  point <- utils::modifyList(spec, list(posterior = "point"))
  rows <- if (is.null(judged$row)) seq_len(judged$n) else judged$row
  log_lik <- vapply(seq_len(n_judging), function(k) {
    -rowSums(engine_run(point, masked_theta(fit, k)[, 1], judged, "terms"))
  }, numeric(length(rows)))
  w <- if (is.null(judged$weight)) rep(1, length(rows)) else judged$weight[rows]
  score <- log_mean_exp(matrix(log_lik, length(rows)), rep(1 / n_judging, n_judging))
  sum(w * score) / sum(w)
}

# theta [parameters, draws] of these draws: the weights that leave a unit are 0 where it is dropped, else divided by the
# probability of not being.
masked_theta <- function(fit, at) {
  out <- matrix(fit$theta, length(fit$theta), length(at))
  dense <- which(fit$spec$layer == "dense")
  units <- hidden_units(fit$spec)
  before <- cumsum(c(0, units))
  for (l in seq_along(units)) {
    leaf <- fit$layout[fit$layout$layer == dense[l + 1] & fit$layout$role == "weight", ]
    factor <- fit$sampled$kept[before[l] + seq_len(units[l]), at, drop = FALSE] / (1 - fit$sampled$rate)
    here <- leaf_index(leaf)
    out[here, ] <- out[here, , drop = FALSE] * factor[rep(seq_len(units[l]), each = leaf$rows), , drop = FALSE]
  }
  out
}

# What train_dropout() makes.
are_masks <- function(x, fit) {
  units <- sum(hidden_units(fit$spec))
  options <- fit$arguments$posterior_options
  every(is.list(x), is.logical(x$kept), is_bare(x$kept, "dim"), is.matrix(x$kept), nrow(x$kept) == units,
        ncol(x$kept) >= 1, !anyNA(x$kept), is_finite_vector(x$rate, 1), x$rate > 0, x$rate < 1,
        is.null(x$tried) || is.data.frame(x$tried), is_posterior_record(options))
}
