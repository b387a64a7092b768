# Fitting: a model's specification and data to an object of class "varnn".

# The common part of every fitting function. `arguments` are those that shape the model, kept for print() and
# continue().
fit_model <- function(class, spec, blocks, train, arguments, control, call, keep_data) {
  kept_training("trained_model", as.list(environment()))
}

trained_model <- function(...) trained_models(...)[[1]]

# The fits that one random start leads to: one, or of a linearised posterior one for each kind of noise.
trained_models <- function(class, spec, blocks, train, arguments, control, call, keep_data) {
  layout <- spec_layout(spec)
  control <- resolve_control(control, train_counts(train), layout)
  check_memory(layout, control)
  sets <- training_sets(train, blocks, control$validation, control$precision == "single")
  if (is_chunked(train) && train$known$n > train$known$chunks$rows) {
    sets$feed <- new_feed(train, blocks, control)
    on.exit(sets$feed$close())
  }
  control <- with_chosen_epochs(control, kept_part(choose_epochs(control, spec, layout, blocks, sets)[chosen_epochs]))
  columns <- linear_columns(spec, sets$train, train$design$intercept,
                            if (!isTRUE(train$known$is_whole)) sets$feed)
  trainer <- posterior_records[[spec$posterior]]$train
  trained <- kept_part(
    if (is.null(trainer)) list(train_linear(columns, control, spec, layout, blocks, sets))
    else get(trainer, mode = "function")(spec, layout, blocks, sets, control, arguments)
  )
  lapply(trained, trained_fit, class, spec, blocks, train, arguments, control, call, keep_data, layout, columns,
         sets$train)
}

trained_fit <- function(trained, class, spec, blocks, train, arguments, control, call, keep_data, layout, columns,
                        data) {
  if (!is.null(trained$spec)) spec <- trained$spec
  if (!is.null(trained$blocks)) blocks <- trained$blocks
  train$design <- with_new_levels(train$design, control$new_levels)
  fit <- list(call = call, terms = train$terms, family = fit_family(blocks), arguments = arguments, control = control,
              spec = spec, layout = layout$leaves, theta = trained$theta, state = trained$state, blocks = blocks,
              design = train$design, scaling = train$scaling, n_obs = nrow(train$x), n_par = layout$n_par,
              rank = columns$rank, weights = train$weights, offset = train$offset,
              na.action = train$na.action, rows = train$rows, held_out = train$held_out, response = train$response,
              version = fit_version)
  fit$laplace <- trained$laplace
  fit$sampled <- trained$sampled
  if (is_chunked(train)) fit <- without_rows(fit, train)
  fit <- centred_levels(add_training(structure(fit, class = c(class, "varnn")), trained))
  if (is_chunked(train)) {
    fit <- unless_interrupted(close_noise(fit, data), fit)
    return(unless_interrupted(with_totals(fit, train), fit))
  }
  if (if (is.null(keep_data)) needs_data(fit) else keep_data) fit$data <- train
  remembers <- is.null(fit$data) && !predicts_by_draws(fit) || is_cheap_to_run(fit)
  fit <- finished(fit, data, train, remembers)
  unless_interrupted(finish_linear(fit, columns, train), fit)
}

# What is done to a fit after its training, as far as nobody interrupts it.
finished <- function(fit, data, train, remembers) {
  closed <- unless_interrupted(close_noise(at_vertex(fit, data), data), fit)
  if (all(is.finite(closed$theta))) fit <- closed
  if (remembers) unless_interrupted(remember(fit, train), fit) else fit
}

check_keep_data <- function(keep_data) if (!is.null(keep_data)) check_flag(keep_data, "keep_data")

# The fit with its noise at the optimum, where that has a closed form given the rest.
close_noise <- function(fit, data) UseMethod("close_noise")

#' @exportS3Method
close_noise.varnn <- function(fit, data) fit

# The fit with what it keeps of a pass over its training data.
remember <- function(fit, train) UseMethod("remember")

#' @exportS3Method
remember.varnn <- function(fit, train) {
  eta <- model_eta(fit, train)
  if (is_finite_matrix(eta, nrow(eta), ncol(eta))) fit$eta <- eta
  fit
}

# What summary(), residuals() and their like ask of the training data is kept in the fit: its outputs, or the data,
# where these are what is described, or the outputs are draws, or are not cheap.
needs_data <- function(fit) {
  fit$design$kind == "columns" || any(vapply(fit$blocks, is_kind, NA, "ordered")) || !is_cheap_to_run(fit)
}

# Outputs are computed unless they are draws, or the pass over the data would cost a tenth of the training, and be felt.
is_cheap_to_run <- function(fit) {
  !predicts_by_draws(fit) && (fit$n_epochs >= 5 || is_linear(fit$spec) || fit$n_obs * fit$n_par < 2e8)
}

fit_version <- 2L

fit_family <- function(blocks) {
  family <- vapply(blocks, family_label, "")
  names(family) <- vapply(blocks, function(b) b$columns[1], "")
  if (length(family) == 1) unname(family) else family
}

# What training found: history in the user's units, how it ended.
add_training <- function(fit, trained) {
  before <- NROW(fit$history)
  fit$history <- bind_history(fit$history, user_history(trained, fit, before))
  if (!is.null(work$failure)) trained$status <- "error"
  fit$stop_reason <- trained$status
  fit$converged <- trained$status %in% c("converged", "patience")
  fit$n_epochs <- before + trained$epochs
  is_last <- !trained$status %in% c("diverged", "patience") &&
    (is.null(fit$history$val_loss) || is_bayesian(fit$spec))
  fit$best_epoch <- if (is_last) fit$n_epochs else before + trained$best_epoch
  warn_of_training(fit, trained)
  fit
}

bind_history <- function(before, after) {
  if (is.null(before)) return(after)
  before[setdiff(names(after), names(before))] <- rep(NA_real_, nrow(before))
  after[setdiff(names(before), names(after))] <- rep(NA_real_, nrow(after))
  rbind(before, after)
}

# The engine's loss is that of standardised gaussian responses with sigma = 1; the user sees sigma at its closed form
# and the response's own scale: with mean squared error m, log(2 pi m) / 2 + 1/2 + log(scale), for the share of entries
# that are not missing; the penalty follows as / m. The same for the terms of the validation data, with their own m.
user_history <- function(trained, fit, epochs_before) {
  h <- trained$history
  terms <- spec_layout(fit$spec)$terms
  value <- h[, 3 + seq_len(nrow(terms)), drop = FALSE]
  held_out <- h[, 3 + nrow(terms) + seq_len(nrow(terms)), drop = FALSE]
  nll <- user_nll(value, fit, terms, trained$present)
  out <- data.frame(epoch = epochs_before + seq_len(nrow(h)), loss = nll, nll = nll,
                    learn_rate = unname(h[, "learn_rate"]))
  for (kind in setdiff(terms$term, "nll")) {
    in_loss <- rowSums(value[, terms$term == kind, drop = FALSE]) * term_coefficient(fit, kind)
    if (kind %in% squared_scale_terms) in_loss <- in_loss / penalty_divisor(value, fit, terms, trained$present)
    out$loss <- out$loss + in_loss
    out[[kind]] <- if (kind == "kl_latent") rowSums(value[, terms$term == kind, drop = FALSE]) else in_loss
  }
  of_terms <- vapply(terms$term, function(kind) term_coefficient(fit, kind), 0)
  of_kl <- intersect(c("kl_latent", "kl_weights"), names(out))
  if (length(of_kl)) out$elbo <- -rowSums(out[c("nll", of_kl)])
  if (isTRUE(fit$control$objective$importance > 1)) {
    out$loss <- out$loss + h[, "loss"] - drop(value %*% of_terms)
  }
  of_weights <- terms$term %in% c("nll", weight_terms)
  if (any(is.finite(h[, "val_loss"])))
    out$val_loss <- user_nll(held_out, fit, terms, trained$valid_present) +
      drop(held_out[, !of_weights, drop = FALSE] %*% of_terms[!of_weights])
  out
}

# What the loss multiplies a term by.
term_coefficient <- function(fit, kind) {
  coefficient <- fit$control$objective$coefficient
  if (kind %in% names(coefficient)) coefficient[[kind]] else 1
}

# Terms that belong to half the squared error.
squared_scale_terms <- c("penalty", "sparsity", "contraction")

profile_nll <- function(squared) log(2 * pi * squared) / 2 + 0.5

# From the engine's nll of a unit gaussian, of which this share is present, back to the mean square of that share.
mean_square <- function(nll, present) pmax(2 * nll / present - log(2 * pi), .Machine$double.xmin)

user_nll <- function(value, fit, terms, present) {
  of_block <- function(i) {
    k <- terms$source[i] + 1L
    block <- fit$blocks[[k]]
    nll <- value[, i]
    n <- sum(present[[k]])
    if (has_profiled_sigma(block)) nll <- n * profile_nll(mean_square(nll, n))
    nll + sum(present[[k]] * (log(block$scale) + if (is.null(block$shift)) 0 else block$shift))
  }
  rowSums(matrix(vapply(which(terms$term == "nll"), of_block, numeric(nrow(value))), nrow(value)))
}

# lambda / 2 sum(w^2) belongs to half the squared error; beside the likelihood of one gaussian it is divided by sigma^2.
penalty_divisor <- function(value, fit, terms, present) {
  k <- which(vapply(fit$blocks, has_profiled_sigma, NA))
  if (length(k) != 1) return(1)
  mean_square(value[, which(terms$term == "nll" & terms$source == k - 1L)], sum(present[[k]]))
}

# Of each response of each block, the share of the observations that have it.
present_share <- function(data, blocks) {
  if (is.null(data)) return(NULL)
  if (!anyNA(data$y)) return(lapply(blocks, function(b) rep(1, length(b$columns))))
  rows <- if (is.null(data$row)) seq_len(nrow(data$y)) else data$row
  w <- if (is.null(data$weight)) rep(1, length(rows)) else data$weight[rows]
  share <- function(j) sum(w[!is.na(data$y[rows, j])]) / sum(w)
  Map(function(b, s) vapply(s[seq_along(b$columns)], share, 0), blocks, block_slices(blocks, y_rows))
}

# By what was minimised: the loss in the user's units may rise while that falls, for it divides a penalty by the noise.
makes_no_progress <- function(fit, trained) {
  loss <- trained$history[, "loss"]
  last <- length(loss)
  every(trained$status == "finished", last >= 10, loss[last] >= loss[1], is.null(trained$continued),
        !is_laplace(fit$spec), !is_hmc(fit$spec))
}

warn_of_training <- function(fit, trained) {
  loss <- fit$history$loss
  last <- length(loss)
  rate <- format(fit$control$learn_rate)
  if (trained$status == "diverged")
    warn_user("varnn_diverged", paste(
      "Training diverged in epoch %d: the loss grew beyond all bounds. The fit has the best parameters before; try a",
      "smaller `learn_rate` (it was %s) or `clip_norm = 1`."),
      as.integer(last + (trained$epochs < fit$control$epochs)), rate)
  if (trained$status == "interrupted")
    warn_user("varnn_interrupted", paste(
      "Training was interrupted %s: the fit has %s parameters so far. To end what calls it, too, interrupt twice",
      "within %d seconds, or set options(varnn.interrupt = \"stop\")."),
      after_epochs(last), if (fit$best_epoch < last) "the best" else "the", second_within)
  if (makes_no_progress(fit, trained))
    warn_user("varnn_no_progress", paste(
      "The loss did not fall in %d epochs (%s to %s): try another `learn_rate` (it was %s) or more epochs."),
      last, format(loss[1], digits = 4), format(loss[last], digits = 4), rate)
}
