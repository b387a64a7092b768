# Training goes on, and methods find the training data again.

#' Train a fit further
#'
#' Continues the training of a fit from its parameters and its optimizer's state, on the same data. [update()] in
#' contrast fits anew, as it does for `lm`.
#'
#' @param object a fit; or the name of a file in which a training is kept, see Checkpoints in [nn_control()]: it goes on
#'   to its end.
#' @param epochs number of further epochs.
#' @param data the training data, needed only where they cannot be found again: a data frame for a fit by formula,
#'   else `list(x = , y = )`.
#' @param ... arguments of [nn_control()] to change, such as `learn_rate`; of a file `checkpoint_every`, `threads`,
#'   `verbose` and `callback`.
#'
#' @details
#' Training in pieces is training in one run, bit for bit, where it uses all the rows in each step (`batch_size` at
#' least their number), draws nothing, holds nothing out and has a constant learning rate, with any optimizer but
#' `"lbfgs"`. Otherwise a piece is as good a training as the other, but not the same:
#' * batches are drawn anew, and so is the noise of dropout, random weights and latents;
#' * a schedule of the learning rate starts again and runs over the epochs of the piece, which a message says;
#' * where rows are held out a piece starts from the best parameters of the one before;
#' * `patience` counts from the start of the piece;
#' * L-BFGS starts with an empty memory.
#'
#' The warm-up of a variational autoencoder goes on where it was. The members of a mixture are trained on one by one.
#' Their weights stay as they are, but for those by evidence, which are computed anew.
#'
#' @return The fit after training on; its history goes on where it ended. Of a file the fit that its training
#'   comes to. When it is interrupted or fails, what it has so far, as described for [nn_control()].
#' @seealso [nn_control()], [plot.varnn()] with `which = "history"`.
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt + hp, mtcars, epochs = 20)
#' fit <- continue(fit, 30)
#' nrow(fit$history)
#'
#' # a training that is kept in a file
#' file <- tempfile()
#' fit <- fit_nn(mpg ~ wt + hp, mtcars, epochs = 20, checkpoint = file)
#' identical(predict(continue(file)), predict(fit))
#' unlink(file)
#' @export
continue <- function(object, epochs, data = NULL, ...) UseMethod("continue")

#' @rdname continue
#' @export
continue.varnn <- function(object, epochs, data = NULL, ...) {
  check_fit(object)
  given <- list(...)
  epochs <- check_further(object$spec, !missing(epochs), epochs, given)
  train <- training_data(object, data, parent.frame())
  control <- object$control
  control[names(given)] <- NULL
  control <- do.call(nn_control, c(unclass(control)[names(control) %in% names(formals(nn_control))], given),
                     quote = TRUE)
  control$epochs <- epochs
  if (is_laplace(object$spec)) control <- laplace_control(control, says_how = TRUE)
  control$objective <- object$control$objective
  train$held_out <- if (is.null(given$validation)) object$held_out
  else hold_out(train, control$validation, family = object$arguments$family)$held_out
  layout <- spec_layout(object$spec)
  if ("kl_latent" %in% layout$terms$term) check_stochastic(control, "A variational autoencoder")
  control <- resolve_control(control, row_counts(object$n_obs, object$weights), layout)
  train$scaling <- object$scaling
  sets <- training_sets(train, object$blocks, control$validation, control$precision == "single")
  if (control$schedule != "constant")
    message(sprintf("The schedule \"%s\" starts again: this is not the same as training in one run.", control$schedule))
  keeps_state <- identical(control$optimizer, object$control$optimizer) && control$optimizer != "lbfgs"
  object$held_out <- train$held_out
  kept_training("trained_further", list(fit = object, layout = layout, sets = sets, control = control,
                                        state = if (keeps_state) object$state, train = train))
}

# The number of epochs. `given` are the arguments of nn_control() that change.
check_further <- function(spec, has_epochs, epochs, given) {
  if (is_trained_once(spec))
    stop_user("continue() does not apply to `posterior` = \"%s\": fit anew with more `%s`.", spec$posterior,
              if (is_hmc(spec)) "draws` of `posterior_hmc()" else "epochs")
  if (!has_epochs) stop_user("`epochs` is missing: say for how many epochs to train on.")
  check_known(given, names(formals(nn_control)))
  do.call(nn_control, given, quote = TRUE)
  check_number(epochs, "epochs", 1, 1e8, whole = TRUE)
}

#' @rdname continue
#' @export
continue.character <- function(object, epochs, data = NULL, ...) {
  file <- check_file_name(object, "object")
  if (!missing(epochs))
    stop_user("`epochs` is not for a file: its training goes on to the end that it had. Continue the fit after that.")
  if (!is.null(data)) stop_user("`data` is not for a file, which has the data.")
  given <- list(...)
  check_known(given, goes_on_with)
  x <- read_checkpoint(file)
  if (!is.null(x$done[[whole_training]])) return(done_part(x$done[[whole_training]]))
  control <- do.call(nn_control, c(list(checkpoint = file), given), quote = TRUE)
  if (is.null(given$checkpoint_every)) control["checkpoint_every"] <- list(x$arguments$control$checkpoint_every)
  x$arguments$control[names(given)] <- unclass(control)[names(given)]
  check_generator_of(x$seed)
  differs <- names(where_run())[where_run() != x$where[names(where_run())]]
  if (length(differs))
    warn_user("varnn_checkpoint", paste("The training was begun with another %s: what it comes to may differ by",
                                        "rounding from what it would have come to."), paste(differs, collapse = ", "))
  of <- x[c("program", "arguments", "seed")]
  with_journal(new_journal(absolute_file(file), control, of, x$done, x$partial, x$owner))
}

trained_further <- function(fit, layout, sets, control, state, train) {
  if (is_laplace(fit$spec)) {
    trained <- laplace_trained(laplace_search(laplace_state(fit, layout), sets, control, laplace_rounds), sets)
    fit[c("spec", "blocks", "laplace")] <- trained[c("spec", "blocks", "laplace")]
  } else {
    trained <- engine_fit(fit$spec, layout, sets$train, sets$valid, control, fit$theta, state,
                          epochs_before = fit$n_epochs)
    trained <- with_shares(trained, fit$blocks, sets)
  }
  trained$continued <- TRUE
  kept <- c("eta", "codes", "errors") # of the parameters before
  fit[kept] <- NULL
  fit[c("theta", "state")] <- trained[c("theta", "state")]
  fit$control <- control
  fit <- centred_levels(fit)
  finished(add_training(fit, trained), sets$train, train, remembers = TRUE)
}

# The training data again: kept, given, or found as model.frame() finds them; then checked to be the same. Without
# `envir` they are not searched for: what only describes a fit evaluates nothing that stands in it.
training_data <- function(fit, data = NULL, envir = parent.frame()) {
  not_found <- function(e) {
    stop_user("The training data are no longer found (%s): give them, or fit with `keep_data = TRUE`.",
              sub("[.]$", "", conditionMessage(e)))
  }
  if (is_from_chunks(fit)) stop_no_rows()
  check_given_data(fit, data)
  train <- if (is.null(data)) fit$data else refound_data(fit, data, envir)
  if (!is.null(train)) train$design <- fit$design
  if (is.null(train) && is.null(envir))
    stop_user("The fit has not kept its training data, which this needs: fit with `keep_data = TRUE`.")
  if (is.null(train)) train <- tryCatch(refound_data(fit, NULL, envir), error = not_found)
  check_training_rows(fit, train)
}

# Training data as the engine needs them, if they are those of the fit.
check_training_rows <- function(fit, train) {
  if (is.null(train$y)) train <- proportions_to_counts(train, fit$arguments$family)
  is_same <- function(name) isTRUE(all.equal(train[[name]], fit[[name]], check.attributes = FALSE))
  same <- every(nrow(train$x) == fit$n_obs, has_training_columns(fit, train$x), is_same("response"),
                is_same("weights"), is_same("offset"), is.null(train$y) || !any(abs(train$y) > 1e100, na.rm = TRUE))
  if (!same)
    stop_user("The data found are not those the model was trained on: give them, or fit with `keep_data = TRUE`.")
  train
}

has_training_columns <- function(fit, x) {
  ncol(x) == length(fit$scaling$order) &&
    isTRUE(all.equal(column_moments(x)$order, fit$scaling$order, tolerance = 1e-8))
}

check_given_data <- function(fit, data) {
  if (is.null(data)) return(invisible())
  kind <- if (!is.null(fit$terms)) "a data frame"
  else if (fit$design$kind == "columns") "a data frame or a matrix" else "list(x = , y = )"
  is_right <- switch(kind, `a data frame` = is.data.frame(data),
                     `a data frame or a matrix` = is.data.frame(data) || is.matrix(data) && !is.character(data),
                     is.list(data) && !is.data.frame(data) && all(c("x", "y") %in% names(data)))
  if (!is_right || !length(data)) stop_user("`data` must be %s, as in training, not %s.", kind, shown(data))
}

refound_data <- function(fit, data, envir, embed = embed_again(fit$design), contrasts = fit$design$contrasts) {
  if (fit$design$kind == "columns") return(refound_columns(fit, data, envir))
  if (!is.null(fit$terms)) {
    call <- fit$call
    call$formula <- fit$terms
    if (!is.null(data)) call$data <- quote(data)
    envir <- if (is.null(data)) environment(fit$terms) else list2env(list(data = data), parent = environment(fit$terms))
    return(data_from_frame(call_frame(call, envir, frame_action(fit)), contrasts, embed = embed))
  }
  call <- fit$call
  part <- function(name) if (is.null(call[[name]])) NULL else eval(call[[name]], envir)
  if (is.null(data)) data <- list(x = part("x"), y = part("y"))
  action <- if (is.null(call$na.action)) eval(frame_action(fit)) else part("na.action")
  data_from_xy(data$x, data$y, part("weights"), na.action = action, contrasts = contrasts, embed = embed)
}
