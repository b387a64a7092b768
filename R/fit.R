# Fitting: a model's specification and data to an object of class "varnn".

# The common part of every fitting function. `arguments` are those that shape the model, kept for print() and
# continue().
fit_model <- function(class, spec, blocks, train, arguments, control, call, keep_data) {
  layout <- spec_layout(spec)
  control <- resolve_control(control, nrow(train$x), layout)
  check_memory(layout$n_par, control)
  sets <- training_sets(train, blocks, control$validation)
  control <- choose_epochs(control, spec, layout, blocks, sets)
  trained <- best_start(control, spec, layout, blocks, sets)
  fit <- list(call = call, terms = train$terms, family = fit_family(blocks), arguments = arguments, control = control,
              spec = spec, layout = layout$leaves, theta = trained$theta, state = trained$state, blocks = blocks,
              design = train$design, scaling = train$scaling, n_obs = nrow(train$x), n_par = layout$n_par,
              rank = linear_rank(train, spec), weights = train$weights, offset = train$offset,
              na.action = train$na.action, rows = train$rows, held_out = train$held_out, response = train$response,
              version = fit_version)
  fit <- close_noise(add_training(structure(fit, class = c(class, "varnn")), trained), sets$train)
  if (keep_data) fit$data <- train
  if (keeps_outputs(fit)) remember(fit, train) else fit
}

# The fit with its noise at the optimum, where that has a closed form given the rest.
close_noise <- function(fit, data) UseMethod("close_noise")

#' @exportS3Method
close_noise.varnn <- function(fit, data) fit

# The fit with what it keeps of a pass over its training data.
remember <- function(fit, train) UseMethod("remember")

#' @exportS3Method
remember.varnn <- function(fit, train) {
  fit$eta <- model_eta(fit, train)
  fit
}

# Outputs are kept unless the pass over the data would cost a tenth of the training, and be felt.
keeps_outputs <- function(fit) !predicts_by_draws(fit) && (fit$n_epochs >= 5 || fit$n_obs * fit$n_par < 2e8)

# Of a model without hidden layers, the rank of its columns; NULL where that is too much work.
linear_rank <- function(train, spec) {
  if (length(spec$layer) > 1 || length(train$x) * ncol(train$x) > 1e9) return(NULL)
  scaled <- standardised(train$x, train$scaling)
  qr(if (train$design$intercept) cbind(1, scaled) else scaled)$rank
}

fit_version <- 1L

fit_family <- function(blocks) {
  family <- vapply(blocks, function(b) b$family, "")
  names(family) <- vapply(blocks, function(b) b$columns[1], "")
  if (length(family) == 1) unname(family) else family
}

# What training found: history in the user's units, how it ended.
add_training <- function(fit, trained) {
  before <- NROW(fit$history)
  fit$history <- bind_history(fit$history, user_history(trained, fit, before))
  fit$stop_reason <- trained$status
  fit$converged <- trained$status %in% c("converged", "patience")
  fit$n_epochs <- before + trained$epochs
  is_last <- !trained$status %in% c("diverged", "patience") &&
    (is.null(fit$history$val_loss) || fit$spec$weights != "point")
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
    nll + if (is_gaussian(block)) sum(present[[k]] * log(block$scale)) else 0
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

warn_of_training <- function(fit, trained) {
  warn <- function(class, ...) {
    warning(structure(class = c(class, "warning", "condition"), list(message = sprintf(...), call = NULL)))
  }
  loss <- fit$history$loss
  last <- length(loss)
  rate <- format(fit$control$learn_rate)
  if (trained$status == "diverged")
    warn("varnn_diverged", paste("Training diverged in epoch %d: the loss was no longer finite. The fit has the best",
                                 "parameters before; try a smaller `learn_rate` (it was %s) or `clip_norm = 1`."),
         last + 1L, rate)
  if (trained$status == "interrupted")
    warn("varnn_interrupted", "Training was interrupted %s: the fit has %s parameters so far.",
         if (last) paste("after epoch", last) else "before its first epoch ended",
         if (fit$best_epoch < last) "the best" else "the")
  if (trained$status == "finished" && last >= 10 && loss[last] >= loss[1] && is.null(trained$continued))
    warn("varnn_no_progress", paste("The loss did not fall in %d epochs (%s to %s): try another `learn_rate` (it was",
                                    "%s) or more epochs."),
         last, format(loss[1], digits = 4), format(loss[last], digits = 4), rate)
}

# ---- defaults that depend on the data

learn_rates <- c(sgd = 0.05, momentum = 0.01, nesterov = 0.01, adagrad = 0.05, rmsprop = 0.003, adam = 0.005,
                 adamw = 0.005, lbfgs = 1)

resolve_control <- function(control, n, layout) {
  full <- registry()$optimizer_full_batch[match(control$optimizer, registry()$optimizer)] == 1
  if (is.null(control$batch_size)) control$batch_size <- default_batch(n)
  control$batch_size <- if (full) n else min(control$batch_size, n)
  is_vae <- "kl_latent" %in% layout$terms$term
  if (is.null(control$clip_norm)) control$clip_norm <- if (is_vae) 100 else Inf
  if (is.null(control$learn_rate)) control$learn_rate <- c(stats::na.omit(learn_rates[control$optimizer]), 0.005)[[1]] *
    if (is_vae) 0.4 else 1
  if (full && is.null(control$epochs)) control$epochs <- 1000
  control
}

# Between 32 and 256 rows, about 60 steps an epoch.
default_batch <- function(n) 2^min(8, max(5, floor(log2(n / 60))))

# Parameters, gradient, best and slots, the copies in R included, against what the machine has, where it tells.
check_memory <- function(n_par, control) {
  slots <- registry()$optimizer_slots[match(control$optimizer, registry()$optimizer)]
  needed <- n_par * 8 * (2 * slots + 6)
  available <- available_memory()
  if (needed > available) stop_user(
    "The network has %s parameters and would need %s GB, more than there is (%s GB): make `hidden` smaller.",
    format(n_par, big.mark = ","), format(needed / 1e9, digits = 3), format(available / 1e9, digits = 3))
}

available_memory <- function() {
  info <- if (file.exists("/proc/meminfo")) readLines("/proc/meminfo") else character()
  line <- grep("^MemAvailable:", info, value = TRUE)
  if (length(line)) 1024 * as.numeric(gsub("[^0-9]", "", line[1])) else 2^36
}

# ---- training and validation data

# The rows held out, chosen before anything is learned from the data, with the moments' weights: none for these rows.
hold_out <- function(train, validation, n = nrow(train$x)) {
  train$moment_weights <- train$weights
  rows <- if (is.list(validation)) NULL else held_out_rows(validation, n)
  if (!length(rows)) return(train)
  train$held_out <- rows
  train$moment_weights <- replace(if (is.null(train$weights)) rep(1, n) else train$weights, rows, 0)
  if (!sum(train$moment_weights) > 0) stop_user("`validation` holds out every row that has a weight.")
  train
}

# The engine's y: a response as its blocks have it, or columns that are their own response.
training_y <- function(train, blocks) {
  if (is.null(train$y)) blocks_y(blocks, train$response, train$offset) else train$y
}

# list(train, valid) for the engine; valid is NULL when nothing is held out.
training_sets <- function(train, blocks, validation) {
  y <- training_y(train, blocks)
  offset <- engine_offset(blocks, train$offset)
  same <- isTRUE(train$is_own_response)
  part <- function(row = NULL) engine_data(train$x, y, train$scaling, train$weights, offset, row, same)
  if (is.list(validation)) return(list(train = part(), valid = held_out_data(train, blocks, validation)))
  rows <- train$held_out
  if (!length(rows)) return(list(train = part(), valid = NULL))
  list(train = part(setdiff(seq_len(nrow(train$x)), rows)), valid = part(rows))
}

# What training found, with what it takes to read its history.
with_shares <- function(trained, blocks, sets) {
  c(trained, list(present = present_share(sets$train, blocks), valid_present = present_share(sets$valid, blocks)))
}

held_out_rows <- function(validation, n) {
  if (length(validation) == 1 && validation < 1) {
    k <- round(validation * n)
    if (validation > 0 && (k < 1 || k >= n))
      stop_user("`validation` = %s of %d rows leaves no rows to validate, or none to train.", format(validation), n)
    return(sort(sample.int(n, k)))
  }
  if (any(validation > n)) stop_user("`validation` has row %s, but %d rows are used.", format(max(validation)), n)
  if (anyDuplicated(validation)) stop_user("`validation` has row %s twice.",
                                           format(validation[duplicated(validation)][1]))
  if (length(validation) >= n) stop_user("`validation` holds out every row: none is left to train on.")
  as.integer(validation)
}

held_out_data <- function(train, blocks, validation) {
  if (train$design$kind == "columns") {
    if (!is.data.frame(validation) && !is.null(validation$x)) validation <- validation$x
    new <- columns_rows(train$design, validation, "`validation`")
    if (!new$n) stop_user("The held-out data have no rows.")
    return(engine_data(new$x, new$y, train$scaling))
  }
  new <- new_response(train$design, train$terms, validation)
  if (!nrow(new$x)) stop_user("The held-out data have no row without missing values.")
  check_like(blocks, new$response, nrow(new$x))
  if (all(is.na(new$response))) stop_user("The response of the held-out data has no value that is not missing.")
  engine_data(new$x, blocks_y(blocks, new$response, new$offset), train$scaling, NULL, engine_offset(blocks, new$offset))
}

# x and response of new data that have both: a data frame for a formula, list(x, y) otherwise.
new_response <- function(design, terms, newdata, what = "the held-out data") {
  if (is.null(terms)) {
    if (!is.list(newdata) || is.null(newdata$x) || is.null(newdata$y))
      stop_user("Held-out data for the interface with x and y must be list(x = , y = ).")
    rows <- design_rows(design, newdata$x)
    if (NROW(newdata$y) != length(rows$ok))
      stop_user("Held-out `y` has %d rows and `x` has %d: they must be the same.", NROW(newdata$y), length(rows$ok))
    return(list(x = rows$x, offset = rows$offset, response = take_rows(newdata$y, rows$ok)))
  }
  if (!is.data.frame(newdata)) stop_user("Held-out data must be a data frame, not %s.", shown(newdata))
  rows <- design_rows(design, newdata)
  frame <- tryCatch(stats::model.frame(terms, newdata, na.action = stats::na.pass),
                    error = function(e) stop_user("The response is not in %s: %s.", what, conditionMessage(e)))
  list(x = rows$x, offset = rows$offset, response = take_rows(stats::model.response(frame), rows$ok))
}

take_rows <- function(x, rows) if (length(dim(x)) == 2) x[rows, , drop = FALSE] else x[rows]

# ---- starts and epochs

# The best of several random starts.
best_start <- function(control, spec, layout, blocks, sets, epochs = control$epochs) {
  control$epochs <- epochs
  best <- NULL
  for (i in seq_len(control$starts)) {
    theta <- start_of(spec, layout, blocks, sets$train, control)
    one <- train_from(theta, spec, layout, sets$train, sets$valid, control)
    one$score <- start_score(one, spec, sets)
    if (is.null(best) || one$score < best$score) best <- one
    if (one$status %in% c("interrupted", "callback")) {
      best$status <- one$status
      break
    }
  }
  with_shares(best, blocks, sets)
}

# Trains from a start; not where the user has interrupted the way to it.
train_from <- function(theta, spec, layout, train, valid, control) {
  is_over <- isTRUE(control$is_interrupted) || isTRUE(attr(theta, "interrupted"))
  if (is_over) control$epochs <- 0L
  out <- engine_fit(spec, layout, train, valid, control, as.vector(theta))
  if (is_over) out$status <- "interrupted"
  out
}

start_score <- function(one, spec, sets) {
  if (one$epochs == 0) return(Inf)
  if (is.null(sets$valid)) return(one$history[one$epochs, "loss"])
  if (spec$weights == "point") min(one$history[, "val_loss"]) else one$history[one$epochs, "val_loss"]
}

# When rows are held out anyway, or patience was asked for, these decide how long to train, else cross-validation: in 5
# folds, three times over up to 2,000 rows, and beyond 10,000 rows one of the folds is enough.
choose_epochs <- function(control, spec, layout, blocks, sets) {
  if (!is.null(control$epochs)) return(control)
  n <- sets$train$n
  control$epochs <- most_epochs(n, control$batch_size)
  if (!is.null(sets$valid)) {
    if (is.infinite(control$patience)) control$patience <- max(10, control$epochs %/% 10)
    return(control)
  }
  if (is.finite(control$patience) || n < 10) return(control)
  folds <- if (n > 10000) 1 else if (n > 2000) 5 else 15
  if ("latent" %in% spec$layer) folds <- if (n > 1000) 1 else 5 # their losses differ less between folds
  curves <- held_out_curves(control, spec, layout, blocks, sets$train, folds)
  control$is_interrupted <- is.null(curves)
  if (control$is_interrupted) return(control)
  control$epochs <- fewest_epochs(curves)
  control$epochs_by <- if (folds > 1) "5-fold cross-validation" else "holding out a fifth of the rows"
  control
}

# About 6,000 steps, 20 to 500 epochs.
most_epochs <- function(n, batch_size) as.integer(min(500, max(20, round(6000 / ceiling(n / batch_size)))))

# Held-out loss [epochs, folds]; every five folds divide the rows anew. NULL when the user interrupts.
held_out_curves <- function(control, spec, layout, blocks, train, folds) {
  quiet <- utils::modifyList(control, list(verbose = FALSE, callback = NULL, patience = Inf), keep.null = TRUE)
  whole <- train[names(train) != "row"]
  fold <- replicate(ceiling(folds / 5), sample(rep_len(1:5, train$n)))
  curves <- matrix(Inf, control$epochs, folds)
  for (k in seq_len(folds)) {
    out <- fold[, (k - 1) %/% 5 + 1] == (k - 1) %% 5 + 1
    inside <- c(whole, list(row = as.double(which(!out))))
    one <- train_from(start_of(spec, layout, blocks, inside, quiet), spec, layout, inside,
                      c(whole, list(row = as.double(which(out)))), quiet)
    if (one$status == "interrupted") return(NULL)
    curves[seq_len(one$epochs), k] <- one$history[, "val_loss"]
  }
  curves
}

# The fewest epochs, at least two, whose mean loss is above the least by at most half the standard error of the
# difference (the folds of one division being the independent ones).
fewest_epochs <- function(curves) {
  mean_curve <- rowMeans(curves)
  if (!any(is.finite(mean_curve))) return(nrow(curves))
  least <- which.min(mean_curve)
  above <- sweep(curves, 2, curves[least, ])
  above[!is.finite(above)] <- 1e10
  margin <- if (ncol(curves) > 1) apply(above, 1, stats::sd) / sqrt(5) / 2 else 0
  max(2, which(rowMeans(above) <= margin)[1])
}

# ---- going on

#' Train a fit further
#'
#' Continues the training of a fit from its parameters and its optimizer's state, on the same data. [update()] in
#' contrast fits anew, as it does for `lm`.
#'
#' @param object a fit.
#' @param epochs number of further epochs.
#' @param data the training data, needed only where they cannot be found again: a data frame for a fit by formula,
#'   else `list(x = , y = )`.
#' @param ... arguments of [nn_control()] to change, such as `learn_rate`.
#' @return The fit after training on; its history goes on where it ended. L-BFGS starts with an empty memory.
#' @seealso [nn_control()], [plot.varnn()] with `which = "history"`.
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt + hp, mtcars, epochs = 20)
#' fit <- continue(fit, 30)
#' nrow(fit$history)
#' @export
continue <- function(object, epochs, data = NULL, ...) UseMethod("continue")

#' @rdname continue
#' @export
continue.varnn <- function(object, epochs, data = NULL, ...) {
  check_fit(object)
  if (missing(epochs)) stop_user("`epochs` is missing: say for how many epochs to train on.")
  given <- list(...)
  check_known(given, names(formals(nn_control)))
  train <- training_data(object, data, parent.frame())
  control <- object$control
  control[names(given)] <- NULL
  control <- do.call(nn_control, c(unclass(control)[names(control) %in% names(formals(nn_control))], given))
  control$epochs <- check_number(epochs, "epochs", 1, 1e8, whole = TRUE)
  control$objective <- object$control$objective
  train$held_out <- if (is.null(given$validation)) object$held_out else hold_out(train, control$validation)$held_out
  layout <- spec_layout(object$spec)
  if ("kl_latent" %in% layout$terms$term) check_stochastic(control, "A variational autoencoder")
  control <- resolve_control(control, object$n_obs, layout)
  train$scaling <- object$scaling
  sets <- training_sets(train, object$blocks, control$validation)
  keeps_state <- identical(control$optimizer, object$control$optimizer) && control$optimizer != "lbfgs"
  trained <- engine_fit(object$spec, layout, sets$train, sets$valid, control, object$theta,
                        if (keeps_state) object$state)
  trained <- with_shares(trained, object$blocks, sets)
  trained$continued <- TRUE
  object$theta <- trained$theta
  object$state <- trained$state
  object$control <- control
  object <- close_noise(add_training(object, trained), sets$train)
  object$held_out <- train$held_out
  remember(object, train)
}

# The training data again: kept, given, or found as model.frame() finds them; then checked to be the same.
training_data <- function(fit, data = NULL, envir = parent.frame()) {
  not_found <- function(e) {
    stop_user("The training data are no longer found (%s): give them, or fit with `keep_data = TRUE`.",
              sub("[.]$", "", conditionMessage(e)))
  }
  train <- if (is.null(data)) fit$data else refound_data(fit, data, envir)
  if (is.null(train)) train <- tryCatch(refound_data(fit, NULL, envir), error = not_found)
  if (is.null(train$y)) train <- proportions_to_counts(train, fit$arguments$family)
  same <- nrow(train$x) == fit$n_obs && ncol(train$x) == length(fit$scaling$order) &&
    isTRUE(all.equal(column_moments(train$x)$order, fit$scaling$order, tolerance = 1e-8)) &&
    isTRUE(all.equal(train$response, fit$response, check.attributes = FALSE))
  if (!same)
    stop_user("The data found are not those the model was trained on: give them, or fit with `keep_data = TRUE`.")
  train
}

refound_data <- function(fit, data, envir) {
  if (fit$design$kind == "columns") return(refound_columns(fit, data, envir))
  if (!is.null(fit$terms)) {
    call <- fit$call
    call$formula <- fit$terms
    if (!is.null(data)) call$data <- quote(data)
    envir <- if (is.null(data)) environment(fit$terms) else list2env(list(data = data), parent = environment(fit$terms))
    return(data_from_frame(call_frame(call, envir), fit$design$contrasts))
  }
  call <- fit$call
  part <- function(name) if (is.null(call[[name]])) NULL else eval(call[[name]], envir)
  if (is.null(data)) data <- list(x = part("x"), y = part("y"))
  data_from_xy(data$x, data$y, part("weights"), na.action = part("na.action"))
}

# ---- damaged fits

# A fit read from a file may be anything: what the methods rely on is checked before they start.
check_fit <- function(fit) {
  layout <- tryCatch(spec_layout(fit$spec),
                     error = function(e) stop_user("The fit is damaged: %s.", conditionMessage(e)))
  for (field in names(fit_rules))
    if (!isTRUE(tryCatch(fit_rules[[field]](fit[[field]], fit, layout), error = function(e) FALSE)))
      stop_user("The fit is damaged: `%s` is not as it was made.", field)
  invisible(fit)
}

# No number of a fit is beyond 1e100: products of two are still finite.
is_finite_vector <- function(x, length) {
  every(is.numeric(x), length(x) == length, all(is.finite(x)), all(abs(x) <= 1e100))
}

# The same for each kind of design.
design_rules <- list(
  matrix = function(x, fit, layout) TRUE,
  frame = function(x, fit, layout) {
    inherits(x$terms, "terms") && (is.null(x$xlevels) || is.list(x$xlevels) && all(vapply(x$xlevels, is.character, NA)))
  },
  columns = function(x, fit, layout) is_columns_design(x, fit, layout)
)

optional <- function(rule) function(x, fit, layout) is.null(x) || isTRUE(rule(x, fit, layout))
is_epoch <- function(x, fit, layout) is_finite_vector(x, 1) && x >= 0

# For each field: whether x is right in this fit, whose specification has this layout.
fit_rules <- list(
  theta = function(x, fit, layout) is_finite_vector(x, layout$n_par),
  n_par = function(x, fit, layout) identical(as.double(x), as.double(layout$n_par)),
  layout = function(x, fit, layout) identical(x, layout$leaves),
  blocks = function(x, fit, layout) {
    every(is.list(x), length(x) == length(fit$spec$family)) &&
      all(vapply(seq_along(x), function(i) is_block(x[[i]], fit$spec, i), NA))
  },
  scaling = function(x, fit, layout) {
    p <- fit$spec$n_x
    every(is.list(x), is.double(x$center), is.double(x$scale), is_finite_vector(x$center, p),
          is_finite_vector(x$scale, p), is_finite_vector(x$order, p), all(x$scale > 0), is.logical(x$is_constant),
          length(x$is_constant) == p, !anyNA(x$is_constant),
          is.null(x$rotation) || is_finite_vector(x$rotation, p^2) && identical(dim(x$rotation), c(p, p)))
  },
  design = function(x, fit, layout) {
    every(is.list(x), is.character(x$columns), length(x$columns) == fit$spec$n_x,
          length(x$kind) == 1, isTRUE(design_rules[[x$kind]](x, fit, layout)))
  },
  n_obs = function(x, fit, layout) is_finite_vector(x, 1) && x >= 1,
  control = function(x, fit, layout) is_control(x, fit),
  arguments = function(x, fit, layout) is.list(x) && (fit$spec$weights == "point" || are_bayes_arguments(x)),
  history = function(x, fit, layout) {
    every(is.data.frame(x), all(c("epoch", "loss") %in% names(x)), all(vapply(x, is.numeric, NA)))
  },
  n_epochs = is_epoch,
  best_epoch = is_epoch,
  rank = optional(function(x, fit, layout) is_finite_vector(x, 1)),
  family = function(x, fit, layout) is.character(x) && length(x) == length(fit$blocks),
  rows = optional(function(x, fit, layout) every(is.character(x), length(x) == fit$n_obs, !anyNA(x))),
  held_out = optional(function(x, fit, layout) every(is.numeric(x), all(x %in% seq_len(fit$n_obs)))),
  data = optional(function(x, fit, layout) is_training_data(x, fit)),
  stop_reason = function(x, fit, layout) length(x) == 1 && x %in% statuses,
  eta = optional(function(x, fit, layout) {
    every(is.matrix(x), nrow(x) == fit$n_obs, is_finite_vector(x, fit$n_obs * layout$n_eta))
  }),
  response = function(x, fit, layout) {
    NROW(x) == (if (fit$design$kind == "columns") 0 else fit$n_obs) &&
      (!is.numeric(x) || all(abs(x) <= 1e100, na.rm = TRUE))
  },
  codes = optional(function(x, fit, layout) {
    every(is.matrix(x), nrow(x) == fit$n_obs, is_finite_vector(x, fit$n_obs * layout$z_rows))
  }),
  errors = optional(function(x, fit, layout) every(is.numeric(x), length(x) == fit$n_obs)),
  weights = optional(function(x, fit, layout) every(is_finite_vector(x, fit$n_obs), all(x >= 0))),
  offset = optional(function(x, fit, layout) every(is.numeric(x), length(x) == fit$n_obs)),
  call = function(x, fit, layout) is.call(x),
  terms = function(x, fit, layout) is.null(x) || inherits(x, "terms")
)

# A control that nn_control() makes again, with what depends on the data.
is_control <- function(x, fit) {
  known <- intersect(names(x), names(formals(nn_control)))
  do.call(nn_control, unclass(x)[known], quote = TRUE)
  every(all(c("precision", "optimizer", "schedule") %in% known), is_finite_vector(x$batch_size, 1),
        is_finite_vector(x$learn_rate, 1), is_objective(x$objective, fit))
}

are_bayes_arguments <- function(x) {
  every(is_one_of(x$posterior, registry()$covariance), is.character(x$prior$words), length(x$prior$words) == 1,
        is_finite_vector(x$rank, 1))
}

# What a model's objective is, where it has one of its own.
is_objective <- function(x, fit) {
  weighs <- names(x$coefficient)
  if (is.null(x)) return(fit$spec$weights == "point")
  every(is.list(x), all(weighs %in% registry()$term), is_finite_vector(x$coefficient, length(weighs)),
        fit$spec$weights == "point" || every("kl_weights" %in% weighs, x$coefficient[["kl_weights"]] > 0),
        is.null(x$mc_samples) || is_finite_vector(x$mc_samples, 1))
}

# Training data that are kept in a fit.
is_training_data <- function(x, fit) {
  is_vector <- function(v) is.null(v) || is_finite_vector(v, fit$n_obs)
  every(is.list(x), is.matrix(x$x), is.double(x$x), nrow(x$x) == fit$n_obs, is_vector(x$weights), is_vector(x$offset))
}

block_types <- c("numeric", "logical", "factor", "counts")

is_block <- function(b, spec, i) {
  every(is.list(b), identical(b$family, spec$family[i]), is_finite_vector(b$n_responses, 1),
        b$n_responses == spec$n_responses[i], identical(b$noise, spec$noise[i]), is_finite_vector(b$fixed, 1),
        is.character(b$columns), length(b$columns) %in% c(1, b$n_responses),
        is_finite_vector(b$center, length(b$columns)), is_finite_vector(b$scale, length(b$columns)), all(b$scale > 0),
        b$type %in% block_types, is.null(b$levels) || is.character(b$levels),
        b$type != "factor" || is.character(b$levels) && length(b$levels) == max(2, b$n_responses))
}
