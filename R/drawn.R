# A posterior that is draws: a mixture of points, the network at each of them.

is_sampled <- function(spec) !is.null(posterior_records[[spec$posterior]]$draws)

# The draws [parameters, draws] of a sampled posterior.
stored_draws <- function(fit, at = seq_len(n_stored(fit))) {
  get(posterior_records[[fit$spec$posterior]]$draws, mode = "function")(fit, at)
}

n_stored <- function(fit) ncol(if (is_hmc(fit$spec)) fit$sampled$draws else fit$sampled$kept)

# Whether a fit is an average over parts, each a fit: a mixture over its members, a sampled posterior over its draws.
has_parts <- function(fit) is_mixture(fit) || is_sampled(fit$spec)

# list(fits, weights) of the parts of a fit, of weight above 0.
parts_of <- function(fit) {
  if (is_mixture(fit)) {
    use <- fit$member_weights > 0
    return(list(fits = member_fits(fit)[use], weights = fit$member_weights[use]))
  }
  n <- n_stored(fit)
  list(fits = lapply(seq_len(n), function(k) drawn_point(fit, k)), weights = rep(1 / n, n))
}

# The network at the k'th draw of its weights.
drawn_point <- function(fit, k) {
  fit$theta <- stored_draws(fit, k)[, 1]
  fit$spec$posterior <- "point"
  fit$sampled <- NULL
  fit
}

# The parts of a fit, and those of sampled posteriors among them.
all_parts <- function(fit) {
  if (!has_parts(fit)) return(list(fits = list(fit), weights = 1, is_draw = FALSE))
  parts <- parts_of(fit)
  if (!is_mixture(fit)) return(c(parts, list(is_draw = rep(TRUE, length(parts$weights)))))
  inner <- lapply(parts$fits, all_parts)
  list(fits = unlist(lapply(inner, `[[`, "fits"), recursive = FALSE),
       weights = unlist(Map(function(p, w) w * p$weights, inner, parts$weights)),
       is_draw = unlist(lapply(inner, `[[`, "is_draw")))
}

# Numbers of draws, evenly spread over those there are, in random order; more than there are repeat some.
chosen_draws <- function(available, draws) {
  at <- rep(seq_len(available), shares_of_draws(rep(1 / available, available), draws))
  at[sample.int(draws)]
}

# The draws [draws, coefficients or weights and biases] of a sampled posterior, of all chains; as the columns of x have
# them.
sampled_coefficients <- function(fit) {
  if (is_mixture(fit)) return(do.call(rbind, lapply(chains_of(fit), sampled_coefficients)))
  q <- weight_posterior(fit)
  if (has_hidden(fit)) return(t(of_columns(t(q$draws), fit)))
  by <- coef_matrix(fit)
  shift <- tcrossprod(q$draws - rep(q$mean, each = nrow(q$draws)), by)
  rep(as.vector(coef.varnn_bayes_nn(fit)), each = nrow(shift)) + shift
}
