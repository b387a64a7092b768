# Models with a bottleneck: data to codes, codes to data, and how well these agree.

# ---- the engine's side

# z [rows, latent] of the input.
model_codes <- function(fit, x) {
  z <- fit_run(fit, engine_data(x, scaling = fit$scaling), "z")
  if (!all(is.finite(z))) stop_user("The codes are not finite: these data are too far from the training data.")
  colnames(z) <- latent_names(ncol(z))
  z
}

latent_names <- function(n) paste0("z", seq_len(n))

# eta [rows, rows of eta] of codes, and of what a conditional model is given.
codes_eta <- function(fit, z, given = NULL) {
  data <- list(n = as.double(nrow(z)))
  if (!is.null(given)) data <- engine_data(cbind(matrix(0, nrow(z), fit$spec$n_x - ncol(given)), given),
                                           scaling = fit$scaling)
  eta <- fit_run(fit, data, "eta", z = as_double(unname(z)))
  if (!all(is.finite(eta)))
    stop_user("What the codes decode to is not finite: they are too far from those of the data.")
  eta
}

# The means [rows, columns of y] on the user's scale, probabilities of levels; of columns other than these maybe scores.
eta_means <- function(fit, eta, columns = fit$design$variables, means = score_means(fit, columns, eta)) {
  with_constants(fit, mean_values(columns, eta_scores(fit, eta), score_sds(fit, eta), means))
}

# The functions from scores to means of these columns, for any eta or, where the noise depends on it, for this one.
score_means <- function(fit, columns, eta = NULL) {
  is_free <- any(vapply(fit$blocks, has_log_sd, NA))
  if (is_free && is.null(eta)) return(NULL)
  if (!is_free) eta <- matrix(0, 1, sum(vapply(fit$blocks, eta_rows, 0)))
  mean_functions(columns, score_sds(fit, eta))
}

# The means [rows, columns of y] on the user's scale; of the columns with a margin those of the scores.
eta_scores <- function(fit, eta) {
  of_block <- function(b, s, free) block_mean(b, eta[, s, drop = FALSE], free)
  do.call(cbind, Map(of_block, fit$blocks, block_slices(fit$blocks, eta_rows), block_free(fit)))
}

# The standard deviations [rows, columns of y] of scores.
score_sds <- function(fit, eta) {
  if (!length(margin_columns(fit$design))) return(NULL)
  of_block <- function(b, s, free) {
    sd <- matrix(0, nrow(eta), y_rows(b))
    own <- if (has_normal_noise(b)) record_of(b)$sd(eta[, s, drop = FALSE], free)
    if (!is.null(own) && !is.matrix(own)) own <- rep(rep_len(own, ncol(sd)), each = nrow(eta))
    if (!is.null(own)) sd[] <- own * rep(b$scale, each = nrow(eta))
    check_finite_output(sd)
    sd
  }
  do.call(cbind, Map(of_block, fit$blocks, block_slices(fit$blocks, eta_rows), block_free(fit)))
}

# A column that was constant in training has no other value, whatever its noise.
with_constants <- function(fit, values) {
  for (c in fit$design$variables) if (isTRUE(c$is_constant)) values[, c$at] <- c$fill
  values
}

# The error of each entry [rows, columns], its unit deviance: of a numeric column the squared error of its
# standardised value, of others twice the log-likelihood lost against a perfect reconstruction. NA where the entry is
# missing.
entry_errors <- function(fit, y, z, x = NULL) {
  eta <- codes_eta(fit, z, given_rows(fit, NULL, nrow(z), x))
  of_block <- function(b, free, in_eta, in_y) {
    record_of(b)$deviance(y[, in_y, drop = FALSE], eta[, in_eta, drop = FALSE], free_of_each(b, free))
  }
  errors <- do.call(cbind, Map(of_block, fit$blocks, block_free(fit), block_slices(fit$blocks, eta_rows),
                               block_slices(fit$blocks, y_rows)))
  if (any(is.infinite(errors)))
    stop_user("What the codes decode to is not finite: they are too far from those of the data.")
  of_blocks <- unlist(lapply(fit$blocks, function(b) b$columns))
  names <- vapply(fit$design$variables, function(c) c$name, "")
  colnames(errors) <- of_blocks
  if (identical(names, of_blocks)) errors else errors[, names, drop = FALSE]
}

# The mean over the entries that are there; NA for a row without any.
row_errors <- function(errors) {
  out <- rowMeans(errors, na.rm = TRUE)
  out[is.nan(out)] <- NA
  out
}

# Codes, eta and columns of so many rows that are made anew.
check_rows_memory <- function(fit, n, argument = "nsim") {
  if (n >= 2^31) stop_user("`%s` asks for %s rows, more than a data frame has room for.", argument, thousands(n))
  numbers <- fit_latent(fit) + sum(vapply(fit$blocks, function(b) eta_rows(b) + y_rows(b), 0))
  check_draws_memory(n * numbers, "That many rows", argument)
}

# ---- the user's side

# The rows that a verb is about: list(x, y, z, impossible, finish), where finish() names results and puts them in their
# places, and `impossible` [rows, variables] marks values that their columns cannot have, NULL for none. Of the training
# data x and y are only found again when they are needed.
latent_rows <- function(fit, newdata, envir, needs_data = FALSE) {
  if (!is.null(newdata)) {
    rows <- columns_rows(fit$design, newdata)
    return(c(coded_rows(fit, rows$x, rows$y), list(impossible = rows$impossible),
             finish = function(x) with_rows(x, rows$rows)))
  }
  train <- if (needs_data || is.null(fit$codes)) training_data(fit, NULL, envir)
  is_excluded <- inherits(fit$na.action, "exclude")
  ok <- rep(TRUE, fit$n_obs + if (is_excluded) length(fit$na.action) else 0)
  if (is_excluded) ok[fit$na.action] <- FALSE
  list(x = train$x, y = train$y, z = if (is.null(fit$codes)) model_codes(fit, train$x) else fit$codes,
       finish = function(x) with_rows(spread(x, ok), all_names(fit, ok)))
}

coded_rows <- function(fit, x, y) list(x = x, y = y, z = model_codes(fit, x))

# The names of the training rows, of those that na.exclude() left out too.
all_names <- function(fit, ok) {
  if (is.null(fit$rows) || all(ok)) return(fit$rows)
  names <- character(length(ok))
  names[ok] <- fit$rows
  names[!ok] <- if (is.null(names(fit$na.action))) fit$na.action else names(fit$na.action)
  names
}

#' Encode and decode: codes, decoding and reconstruction
#'
#' `encode()` gives the codes z of data, `decode()` the data that belong to codes, and `reconstruct()` what the data
#' look like after both: `reconstruct(fit, newdata)` equals `decode(fit, encode(fit, newdata))` exactly.
#'
#' @param object a fit by [fit_ae()], or by [fit_vae()], of which the codes are the means of q(z | x).
#' @param newdata a data frame (or, for a fit to a matrix, a matrix) with the columns of the training data. Entries
#'   may be missing. Without it, the training data.
#' @param z a matrix of codes with a column per latent unit, or a vector that is one row of it.
#' @param ... not used; an argument here is an error.
#' @return `encode()`: a matrix, rows x latent, with columns `z1`, `z2`, ... `decode()` and `reconstruct()`: rows like
#'   the training data, with the same columns, types, units and levels. Numeric columns have their means (also those
#'   of counts), logical columns and factors the likeliest value. Missing entries are filled in. A missing column or
#'   a new level is an error that names it.
#' @seealso [predict.varnn_ae()] for errors, [anomaly()] for rows that are reconstructed badly, [plot.varnn()] for
#'   pictures of the codes, [simulate()][simulate.varnn_vae] for new rows.
#' @examples
#' set.seed(1)
#' fit <- fit_ae(iris, epochs = 50)
#' z <- encode(fit, iris[c(1, 51), ])
#' z
#' decode(fit, z)
#' holes <- iris[c(1, 51), ]
#' holes$Petal.Width <- NA
#' reconstruct(fit, holes)
#' @export
encode <- function(object, ...) UseMethod("encode")

#' @rdname encode
#' @export
decode <- function(object, ...) UseMethod("decode")

#' @rdname encode
#' @export
reconstruct <- function(object, ...) UseMethod("reconstruct")

#' @rdname encode
#' @export
encode.varnn_ae <- function(object, newdata = NULL, ...) {
  check_fit(object)
  check_dots_empty(..., known = "newdata")
  encoded(object, newdata, parent.frame())
}

#' @rdname encode
#' @export
decode.varnn_ae <- function(object, z, ...) {
  check_fit(object)
  check_dots_empty(..., known = "z")
  if (missing(z)) stop_user("`z` is missing: give the codes to decode, as encode() returns them.")
  z <- check_codes(z, fit_latent(object))
  decoded(object, z, rownames(z))
}

#' @rdname encode
#' @export
reconstruct.varnn_ae <- function(object, newdata = NULL, ...) {
  check_fit(object)
  check_dots_empty(..., known = "newdata")
  reconstructed(object, newdata, parent.frame())
}

encoded <- function(fit, newdata, envir) {
  rows <- latent_rows(fit, newdata, envir)
  rows$finish(rows$z)
}

reconstructed <- function(fit, newdata, envir) {
  rows <- latent_rows(fit, newdata, envir, needs_data = !is.null(fit$design$given))
  z <- rows$finish(rows$z)
  here <- !is.na(z[, 1])
  out <- decoded(fit, z[here, , drop = FALSE], rownames(z)[here], given = given_rows(fit, NULL, nrow(z), rows$x))
  if (all(here)) out else with_rows(spread(out, here), rownames(z))
}

fit_latent <- function(fit) fit$spec$size[fit$spec$layer == "latent"]

decoded <- function(fit, z, rows, whole = FALSE, given = NULL) {
  columns_as_given(fit$design, eta_means(fit, codes_eta(fit, z, given)), rows, whole)
}

check_codes <- function(z, latent) {
  if (is.data.frame(z)) z <- matrix_of_frame(z, "`z`")
  if (is.numeric(z)) z <- plain_values(z, "`z`")
  check_draws_memory(length(z), "That many codes", "z")
  if (is.numeric(z) && is.null(dim(z)))
    z <- if (length(z) == latent) matrix(z, 1) else if (latent == 1) matrix(z) else z
  if (!is.matrix(z) || !is.numeric(z) || ncol(z) != latent)
    stop_user("`z` must be a numeric matrix of %d columns, one per latent unit, not %s.", latent, shown(z))
  if (setequal(colnames(z), latent_names(latent))) z <- z[, latent_names(latent), drop = FALSE]
  if (!all(is.finite(z))) stop_user("`z` has values that are missing or not finite.")
  z
}

#' Predict with an autoencoder: codes, reconstructions and errors
#'
#' What an autoencoder, also a variational one, makes of data: their codes, as [predict()] of a [prcomp()] gives
#' scores, their reconstruction, or how far that is from them.
#'
#' @param object a fit by [fit_ae()] or [fit_vae()].
#' @param newdata as in [encode()]; or [chunks()], of which the results are bound together without the names of rows.
#' @param type `"latent"`: the codes, as [encode()]; `"reconstruction"`: as [reconstruct()]; `"error"`: the
#'   reconstruction error.
#' @param threads threads to use at most; see [nn_control()].
#' @param per_variable with `type = "error"`: the error of each entry?
#' @param ... not used; an argument here is an error.
#' @return For `"error"` a number per row, or with `per_variable = TRUE` a matrix, rows x columns of the data. The
#'   error of an entry is its unit deviance: of a numeric column the squared error of the standardised value (so that
#'   no column dominates by its units), of other columns twice the log-likelihood that the reconstruction loses
#'   against certainty. That of a row is the mean over its entries that are not missing.
#' @seealso [encode()], [reconstruct()], [anomaly()], which judges the errors, [residuals()][residuals.varnn_ae] with
#'   their signs.
#' @examples
#' set.seed(1)
#' fit <- fit_ae(~ . - Species, iris, epochs = 50)
#' head(predict(fit))
#' head(predict(fit, type = "error"))
#' predict(fit, iris[1:3, ], type = "error", per_variable = TRUE)
#' @export
predict.varnn_ae <- function(object, newdata = NULL, type = "latent", per_variable = FALSE,
                             threads = object$control$threads, ...) {
  check_fit(object)
  check_standard("predict", ..., known = c("newdata", "type", "per_variable", "threads"))
  predict_coder(object, newdata, type, per_variable, threads, parent.frame())
}

predict_coder <- function(object, newdata, type, per_variable, threads, envir) {
  if (is_chunks(newdata))
    return(predicted_chunks(newdata, function(data) predict_coder(object, data, type, per_variable, threads, envir)))
  object$control$threads <- check_number(threads, "threads", 1, 1024, whole = TRUE)
  type <- check_choice(type, c("latent", "reconstruction", "error"), "type")
  per_variable <- check_flag(per_variable, "per_variable")
  if (per_variable && type != "error") stop_user("`per_variable` belongs to `type` = \"error\".")
  if (type == "reconstruction") return(reconstructed(object, newdata, envir))
  if (type == "latent") return(encoded(object, newdata, envir))
  if (is.null(newdata) && !per_variable && !is.null(object$errors)) {
    rows <- latent_rows(object, NULL, envir)
    return(rows$finish(object$errors))
  }
  rows <- latent_rows(object, newdata, envir, needs_data = TRUE)
  errors <- entry_errors(object, rows$y, rows$z, rows$x)
  rows$finish(if (per_variable) errors else row_errors(errors))
}

# quantile() of values, without those that are missing, that stand for w rows each.
weighted_quantiles <- function(x, w, probs) {
  by <- order(x, na.last = NA)
  vapply(probs, function(p) weighted_quantile(x[by], w[by], p), 0)
}

# A quantile of sorted values that stand for w rows each.
weighted_quantile <- function(x, w, p) {
  x <- x[w > 0]
  w <- w[w > 0]
  w <- w * (row_counts(length(w), w)$total / sum(w))
  rank <- (sum(w) - 1) * p
  at <- function(rank) x[min(length(x), 1 + findInterval(rank, cumsum(w)))]
  at(floor(rank)) + (rank - floor(rank)) * (at(floor(rank) + 1) - at(floor(rank)))
}

#' Simulate from an autoencoder's latent space
#'
#' Draws codes from a normal distribution with the mean and covariance of the training data's codes, and decodes them.
#'
#' @section What is wrong with that:
#' Nothing in an autoencoder's training makes its codes normal, or of any known distribution: draws fall between and
#' beyond the codes of the data, where the decoder was never asked for anything, and give rows like none that was
#' seen. And a decoded row is a mean: it has none of the noise of the data around it. A variational autoencoder mends
#' both: its codes are trained to fill a standard normal distribution, and its noise is part of the model. That is
#' what to simulate from.
#'
#' @param object a fit by [fit_ae()].
#' @param nsim number of rows.
#' @param seed a seed, or `NULL` to go on with the present state of the generator.
#' @param ... not used.
#' @return `nsim` rows with the columns, types, units and levels of the training data, with the codes as attribute
#'   `"codes"` and the generator's state or seed as attribute `"seed"`.
#' @seealso [simulate.varnn_vae()] for the model to simulate from, [decode()], [plot.varnn()] with `which =
#'   "simulation"`.
#' @examples
#' set.seed(1)
#' fit <- fit_ae(iris, epochs = 50)
#' simulate(fit, 3)
#' @export
simulate.varnn_ae <- function(object, nsim = 1, seed = NULL, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("nsim", "seed"))
  nsim <- check_number(nsim, "nsim", 1, 1e9, whole = TRUE)
  seed <- check_seed(seed)
  check_rows_memory(object, nsim)
  codes <- latent_rows(object, NULL, parent.frame())$z
  state <- use_seed(seed)
  on.exit(state$restore())
  w <- case_weights(object)
  moments <- stats::cov.wt(codes, w / sum(w), method = "ML")
  axes <- eigen(moments$cov, symmetric = TRUE)
  root <- axes$vectors %*% diag(sqrt(pmax(axes$values, 0)), ncol(codes))
  z <- matrix(stats::rnorm(nsim * ncol(codes)), nsim) %*% t(root) + rep(moments$center, each = nsim)
  colnames(z) <- colnames(codes)
  structure(decoded(object, z, NULL, whole = TRUE), codes = z, seed = state$seed)
}
