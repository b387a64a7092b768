#' Autoencoders
#'
#' Fits an encoder \eqn{z = e(x)} and a decoder \eqn{\hat x = d(z)}{xhat = d(z)} whose composition reproduces the
#' columns of the data through a bottleneck of `latent` units: dimension reduction that contains principal components
#' (`hidden = 0`) and goes beyond them.
#'
#' @section What is minimised:
#' \deqn{\frac{1}{\sum w_i} \sum_i w_i \sum_j \ell_j(x_{ij}, d_j(e(x_i))) + \frac{\lambda}{2} \sum v^2}{(1 / sum(w))
#' sum_i w_i sum_j loss_j(x_ij, d_j(e(x_i))) + (lambda / 2) sum(weights^2)} with \eqn{\lambda}{lambda} = `penalty`.
#' The loss of a numeric column is half the squared error of its standardised values, so that with `hidden = 0` the
#' decoder spans the principal components (Bourlard and Kamp 1988, Baldi and Hornik 1989; their axes it does not find,
#' see [compare_pca()]), with a penalty the components with shrunken eigenvalues (Kunin et al. 2019); of a logical
#' column or a factor minus the log-likelihood of its probability or probabilities, of counts that of their mean. A
#' missing entry has no loss; in the input it is replaced by the column's mean, and when a column has missing entries
#' in training, one more input says where they are.
#'
#' @section Kinds of autoencoder:
#' * Denoising (Vincent et al. 2008): `noise = s` adds \eqn{s \epsilon}{s eps}, eps ~ N(0, 1), to every input in
#'   training, but not to what is to be reproduced; `noise = c(masking = r)` sets each input to 0 (for a numeric
#'   column its mean) with probability r. With `hidden = 0` noise shrinks the principal component with eigenvalue l by
#'   the factor \eqn{l / (l + s^2)}{l / (l + s^2)} (Bishop 1995).
#' * Sparse: `sparsity = k` adds \eqn{k \sum_j |z_j|}{k sum_j |z_j|}, averaged over rows.
#' * Contractive (Rifai et al. 2011): `contractive = k` adds \eqn{k \sum_{jm} (\partial z_j / \partial x_m)^2}{k sum
#'   (dz_j / dx_m)^2}, averaged over rows, by random directions: its expectation is exact.
#'
#'   Both of these penalties depend on the scale of the columns: the loss that they are added to is in the units of the
#'   columns as the network sees them (standardised, unless `standardize = FALSE`) and grows with their number, and
#'   that derivative has these units, too. So k must be chosen anew, by `validation`, for columns of another scale or
#'   number. And without `penalty` or `tied = TRUE` the decoder can undo small codes by large weights.
#' * Tied weights: with `tied = TRUE` each decoder layer has the transposed weights of its encoder layer (and biases
#'   of its own).
#' * Robust: `loss = "huber"` takes for numeric columns Huber's density with a learned scale, normal in the middle
#'   with exponential tails (Huber 1964), so that outlying entries have a bounded pull.
#'
#' @section Families:
#' `"auto"`: numeric columns `"gaussian"`, logical ones and factors of two levels `"bernoulli"`, other factors and
#' character columns `"categorical"`. On request, for all columns or by name: `"poisson"`, `"negative_binomial"`,
#' `"huber"`, `"bernoulli"` (also of numbers between 0 and 1).
#'
#' @param x a one-sided formula such as `~ .`, a numeric matrix, or a data frame.
#' @param formula,data,weights,subset,na.action as in [lm()], but that missing entries pass by default. `weights` are
#'   case weights: a row of weight 2 counts as two such rows, and a row of weight 0 as none. `data` may be larger than
#'   memory, see [chunks()].
#' @param hidden units of each hidden layer of the encoder; the decoder has them in reverse order. Or `list(encoder =
#'   , decoder = )`. `0`: none.
#' @param latent number of units of the bottleneck.
#' @param activation one of [activations()], or one for each hidden layer of the encoder. Also a function of your own,
#'   such as `~ x * plogis(x)` or `function(x) pmax(x, 0)`; several of them, or names and functions, are a list. See
#'   [activations()].
#' @param family see Families.
#' @param penalty L2 penalty \eqn{\lambda}{lambda} on the weights, not on the biases; or a function of one weight, as
#'   in [fit_nn()].
#' @param noise,sparsity,contractive,tied,loss see Kinds of autoencoder.
#' @param standardize centre and scale numeric columns? Undone in all output.
#' @param control how to train, see [nn_control()]; its arguments may also be given directly.
#' @param keep_data keep the training data in the fit? By default they are, for [summary()], [residuals()] and their
#'   like. With `FALSE` they are not, and such methods say so; methods that take `newdata` look for the data where the
#'   call found them, as [model.frame()] does.
#' @param ... arguments of [nn_control()].
#'
#' @return An object of class `c("varnn_ae", "varnn")`, a list as that of [fit_nn()], with the training data's `codes`
#'   (rows x latent) and `errors` (one per row). Its methods: [encode()], [decode()], [reconstruct()],
#'   [predict()][predict.varnn_ae], [anomaly()], [compare_pca()], [simulate()][simulate.varnn_ae],
#'   [plot()][plot.varnn], [summary()][summary.varnn_ae].
#'   Trouble in training is told by a warning, as [fit_nn()] does.
#' @references Bourlard and Kamp (1988) \doi{10.1007/BF00332918}. Baldi and Hornik (1989)
#'   \doi{10.1016/0893-6080(89)90014-2}. Kunin, Bloom, Goeva and Seed (2019) \doi{10.48550/arXiv.1901.08168}. Vincent,
#'   Larochelle, Bengio and Manzagol (2008) \doi{10.1145/1390156.1390294}. Bishop (1995)
#'   \doi{10.1162/neco.1995.7.1.108}. Rifai, Vincent, Muller, Glorot and Bengio (2011) Contractive auto-encoders, ICML
#'   28, 833-840. Huber (1964) \doi{10.1214/aoms/1177703732}.
#' @seealso [fit_vae()] for a model that can simulate, [nn_control()], [compare_pca()], [plot.varnn()]; the vignette
#'   `autoencoders`.
#' @examples
#' set.seed(1)
#' fit <- fit_ae(~ . - Species, iris, epochs = 50)
#' fit
#' head(encode(fit))
#' reconstruct(fit, iris[c(1, 51, 101), ])
#' compare_pca(fit)
#' @export
fit_ae <- function(x, ...) {
  call <- formula_call(match.call(), sys.call(), quote(fit_ae.formula))
  if (is.null(call)) UseMethod("fit_ae") else eval(call, list(fit_ae.formula = fit_ae.formula), parent.frame())
}

#' @rdname fit_ae
#' @export
fit_ae.default <- function(x, ...) {
  stop_user("The first argument must be a one-sided formula, a numeric matrix or a data frame, not %s%s.", shown(x),
            if (isS4(x)) ": use as.matrix(x)" else "")
}

#' @rdname fit_ae
#' @export
fit_ae.formula <- function(formula, data, weights, subset, na.action, hidden = 32, latent = 2, activation = "silu",
                           family = "auto", penalty = 0, noise = 0, sparsity = 0, contractive = 0, tied = FALSE,
                           loss = "squared", standardize = TRUE, control = nn_control(), keep_data = NULL, ...) {
  call <- match.call()
  call[[1]] <- quote(fit_ae)
  control <- control_with(control, ...names(), ...length(), list(...), names(formals(fit_ae.formula)))
  model <- ae_arguments(hidden, latent, activation, family, penalty, noise, sparsity, contractive, tied, loss,
                        standardize)
  ae_train(columns_data(call, parent.frame()), model, control, call, keep_data)
}

#' @rdname fit_ae
#' @export
fit_ae.data.frame <- function(x, weights = NULL, na.action = NULL, hidden = 32, latent = 2, activation = "silu",
                              family = "auto", penalty = 0, noise = 0, sparsity = 0, contractive = 0, tied = FALSE,
                              loss = "squared", standardize = TRUE, control = nn_control(), keep_data = NULL, ...) {
  call <- match.call()
  call[[1]] <- quote(fit_ae)
  control <- control_with(control, ...names(), ...length(), list(...), names(formals(fit_ae.data.frame)))
  model <- ae_arguments(hidden, latent, activation, family, penalty, noise, sparsity, contractive, tied, loss,
                        standardize)
  ae_train(columns_from_x(x, weights, na.action), model, control, call, keep_data)
}

#' @rdname fit_ae
#' @export
fit_ae.matrix <- fit_ae.data.frame

# The arguments that shape the network, checked.
ae_arguments <- function(hidden, latent, activation, family, penalty, noise, sparsity, contractive, tied, loss,
                         standardize) {
  hidden <- check_coder_hidden(hidden)
  tied <- check_flag(tied, "tied")
  if (tied && !identical(hidden$decoder, rev(hidden$encoder)))
    stop_user("`tied` weights need a decoder that mirrors the encoder: give `hidden` as one vector.")
  list(hidden = hidden, latent = as.integer(check_number(latent, "latent", 1, 1e8, whole = TRUE)),
       activation = check_coder_activation(activation, hidden), family = plain_words(family),
       penalty = check_penalty(penalty), noise = check_noise(noise),
       sparsity = check_number(sparsity, "sparsity", 0, 1e99),
       contractive = check_number(contractive, "contractive", 0, 1e90), tied = tied,
       loss = check_choice(loss, names(loss_families), "loss"), standardize = check_flag(standardize, "standardize"))
}

# list(encoder, decoder): numbers of units of their hidden layers.
check_coder_hidden <- function(hidden) {
  if (!is.list(hidden)) {
    encoder <- check_hidden(hidden)
    return(list(encoder = encoder, decoder = rev(encoder)))
  }
  if (!setequal(names(hidden), c("encoder", "decoder")) || length(hidden) != 2)
    stop_user("`hidden` as a list must be list(encoder = , decoder = ), as in list(encoder = 9, decoder = 5).")
  lapply(hidden[c("encoder", "decoder")], check_hidden)
}

# Of the encoder as given, of the decoder in reverse, or the one for all.
check_coder_activation <- function(activation, hidden) {
  n <- length(hidden$encoder)
  activation <- check_activation(activation, n)
  if (length(activation) > 1 && length(hidden$decoder) != n)
    stop_user("`activation` must be one where the decoder does not mirror the encoder.")
  list(encoder = rep_len(activation, n), decoder = rev(rep_len(activation, length(hidden$decoder))))
}

noise_kinds <- c(gaussian = "noise", masking = "mask")

# A layer for the noise on the input, or NULL.
check_noise <- function(noise) {
  v <- plain_numbers(noise)
  kind <- if (is.null(plain_names(noise))) names(noise_kinds)[1] else plain_names(noise)[1]
  if (length(v) != 1 || !kind %in% names(noise_kinds))
    stop_user("`noise` must be a standard deviation such as 0.1, or a rate as in c(masking = 0.2), not %s.",
              shown(noise))
  what <- sprintf("noise%s", if (kind == "masking") "` = c(masking = ) of `noise" else "")
  noise <- check_number(v, what, 0, if (kind == "masking") 1 else 1e90, below = TRUE)
  if (noise > 0) list(layer(noise_kinds[[kind]], setting = noise))
}

# The stack of layers of an autoencoder or, with posterior = "meanfield", a variational one.
coder_layers <- function(model, blocks, posterior = "point", n_given = 0) {
  n_out <- sum(vapply(blocks, eta_rows, 0))
  given <- if (n_given) list(layer("given", n_given))
  encoder <- c(model$noise, hidden_layers(model$hidden$encoder, model$activation$encoder))
  code <- list(layer("latent", model$latent, posterior, setting = max(0, model$free_bits)))
  dense <- c(length(model$noise) + 2 * seq_along(model$hidden$encoder) - 1, length(encoder) + 1)
  decoder <- c(hidden_layers(model$hidden$decoder, model$activation$decoder), list(layer("dense", n_out, "bias")))
  if (isTRUE(model$tied)) decoder <- tied_layers(rev(dense), model$activation$decoder)
  c(encoder, code, if (isTRUE(model$contractive > 0)) list(layer("contract", setting = model$contractive)),
    if (isTRUE(model$sparsity > 0)) list(layer("sparse", setting = model$sparsity)), given, decoder)
}

# Layers with the weights of these, the last being the output.
tied_layers <- function(dense, activation) {
  unlist(lapply(seq_along(dense), function(i) {
    c(list(layer("tied", dense[i])), if (i < length(dense)) list(activation_layer(activation[[i]])))
  }), recursive = FALSE)
}

ae_train <- function(train, model, control, call, keep_data) {
  keep_data <- check_keep_data(keep_data)
  check_decay(model$penalty, control)
  control <- chunked_control(control, train, keep_data)
  train <- hold_out(train, control$validation, train$n)
  train <- add_columns(train, model$family, model$standardize, loss_families[[model$loss]])
  if (model$tied) train <- without_indicators(train)
  warn_of_latent(model$latent, length(train$design$variables))
  spec <- new_spec(ncol(train$x), coder_layers(model, train$blocks), train$blocks, penalty = model$penalty)
  fit_model("varnn_ae", spec, train$blocks, train, model, control, call, keep_data)
}

# Tied weights give back as many columns as they read.
without_indicators <- function(train) {
  k <- seq_len(ncol(train$y))
  train$design$variables <- lapply(train$design$variables, function(c) {
    c$has_indicator <- FALSE
    c
  })
  train$design$columns <- train$design$columns[k]
  train$x <- train$x[, k, drop = FALSE]
  train$scaling <- lapply(train$scaling, `[`, k)
  train
}

warn_of_latent <- function(latent, n_columns, why = paste(
  "the bottleneck can copy them and need not learn anything. Use fewer, or a kind that regularises (`noise`,",
  "`sparsity`, `contractive`).")) {
  if (latent == "auto" || latent <= n_columns) return(invisible())
  warn_user("varnn_latent", "`latent` = %d is more than the %d columns: %s", latent, n_columns, why)
}

# ---- what a fit keeps

#' @exportS3Method
remember.varnn_ae <- function(fit, train) {
  fit$codes <- model_codes(fit, train$x)
  fit$errors <- row_errors(entry_errors(fit, train$y, fit$codes, train$x))
  fit
}

# ---- print and summary

#' @exportS3Method
model_title.varnn_ae <- function(fit) {
  sprintf("%s (%s)", if (has_hidden_units(fit)) "Autoencoder" else "Linear autoencoder",
          paste(unique(fit$family), collapse = ", "))
}

has_hidden_units <- function(fit) length(unit_layers(fit$spec)) > 2

#' @exportS3Method
result_line.varnn_ae <- function(fit, digits) {
  line <- NextMethod()
  if (is.null(fit$errors)) return(line)
  w <- given_weights(fit)
  error <- function(rows) {
    format(sum(w[rows] * fit$errors[rows], na.rm = TRUE) / sum(w[rows]), digits = max(1, digits - 1))
  }
  out <- fit$held_out
  trained <- if (is.null(out)) seq_len(fit$n_obs) else -out
  paste0("error ", error(trained), " per entry", if (!is.null(out)) sprintf(" (held out %s)", error(out)), "; ", line)
}

#' Summarise an autoencoder
#'
#' Which columns an autoencoder reproduces well, which not, and how its codes are spread and correlated.
#'
#' @param object,x a fit by [fit_ae()], its summary.
#' @param digits,... as of [summary.varnn_nn()].
#' @return A list of class `summary.varnn_ae` with `fit_lines` (what `print()` shows), `variables` (a data frame: of
#'   each column its `family`, its mean `error` in the training data and `explained`, the share of the error of the
#'   best constant, its mean, that the reconstruction saves), `codes` (their standard deviations and correlations) and
#'   `layers` (a data frame of the parameters).
#' @seealso [compare_pca()], [predict.varnn_ae()] for the errors of rows, [summary.varnn_vae()].
#' @examples
#' set.seed(1)
#' summary(fit_ae(iris, epochs = 50))
#' @export
summary.varnn_ae <- function(object, ...) {
  check_fit(object)
  check_standard("summary", ...)
  rows <- latent_rows(object, NULL, NULL, needs_data = TRUE)
  errors <- entry_errors(object, rows$y, rows$z, rows$x)
  w <- case_weights(object)
  mean_of <- function(e) colSums(w * e, na.rm = TRUE) / colSums(w * !is.na(e))
  error <- mean_of(errors)
  constant <- mean_of(constant_errors(object, rows$y, w))[names(error)]
  moments <- stats::cov.wt(rows$z, w / sum(w), cor = all(apply(rows$z, 2, stats::sd) > 0), method = "ML")
  structure(list(
    fit_lines = fit_lines(object),
    variables = data.frame(family = vapply(object$design$variables, function(c) c$family, ""), error = error,
                           explained = ifelse(constant > 0, 1 - error / constant, NA), row.names = names(error)),
    codes = list(sd = sqrt(diag(moments$cov) * sum(w) / unbiased_total(w)), correlation = moments$cor),
    layers = data.frame(name = object$layout$name, size = paste(object$layout$rows, "x", object$layout$cols),
                        norm = leaf_norms(object))), class = "summary.varnn_ae")
}

# The errors of the best constants, as those of an eta that is the same for all rows.
constant_errors <- function(fit, y, w) {
  of_block <- function(b, free, s) {
    y <- y[, s, drop = FALSE]
    eta <- by_column(record_of(b)$start(y, w), y)
    named_columns(record_of(b)$deviance(y, eta, free_of_each(b, free)), b$columns)
  }
  do.call(cbind, Map(of_block, fit$blocks, block_free(fit), block_slices(fit$blocks, y_rows)))
}

#' @rdname summary.varnn_ae
#' @export
print.summary.varnn_ae <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  few <- max(1, digits - 1)
  print_lines(c(x$fit_lines, "", "Reconstruction by column (error of the training data, share explained):"))
  shown <- x$variables[order(-x$variables$error), ]
  print(utils::head(shown, 12), digits = few)
  if (nrow(shown) > 12) cat("... and", nrow(shown) - 12, "columns with smaller errors\n")
  print_lines(c("", paste("Codes: standard deviations", paste(format(x$codes$sd, digits = few), collapse = ", "))))
  if (length(x$codes$sd) > 1 && !is.null(x$codes$correlation)) {
    cat("Correlations:\n")
    print(x$codes$correlation, digits = max(1, digits - 2))
  }
  cat("\n")
  print(x$layers, row.names = FALSE, digits = digits)
  invisible(x)
}

# ---- generics of stats

#' @export
fitted.varnn_ae <- function(object, ...) {
  check_fit(object)
  check_standard("fitted", ...)
  reconstructed(object, NULL, NULL)
}

#' Residuals of an autoencoder
#'
#' Observed less reconstructed values of the training data, entry by entry.
#'
#' @param object a fit by [fit_ae()] or [fit_vae()].
#' @param type `"response"`: observed minus reconstructed, on the columns' own scales; `"standardized"`: numeric
#'   columns divided by their standard deviation.
#' @param ... not used.
#' @return A matrix, rows x columns. Of a logical column or factor of two levels: 0 or 1 minus the probability; of
#'   another factor a column per level. `NA` where an entry is missing.
#' @seealso [predict.varnn_ae()] with `type = "error"`, [anomaly()], [residuals.varnn()].
#' @examples
#' set.seed(1)
#' head(residuals(fit_ae(~ . - Species, iris, epochs = 50)))
#' @export
residuals.varnn_ae <- function(object, type = "response", ...) {
  check_fit(object)
  check_dots_empty(..., known = "type")
  type <- check_choice(type, c("response", "standardized"), "type")
  coder_residuals(object, type, NULL)
}

coder_residuals <- function(object, type, envir) {
  rows <- latent_rows(object, NULL, envir, needs_data = TRUE)
  values <- on_user_scale(object, rows)
  out <- values$observed - values$reconstructed
  scale <- y_units(object, "scale")
  for (c in margin_columns(object$design)) scale[c$at] <- c$margin$sd
  if (type == "standardized") out <- out / rep(scale, each = nrow(out))
  rows$finish(named_columns(out, object$design$columns[seq_len(ncol(out))]))
}

#' @export
deviance.varnn_ae <- function(object, ...) {
  check_fit(object)
  check_standard("deviance", ...)
  rows <- latent_rows(object, NULL, NULL, needs_data = TRUE)
  sum(case_weights(object) * entry_errors(object, rows$y, rows$z, rows$x), na.rm = TRUE)
}

#' @export
logLik.varnn_ae <- function(object, ...) {
  stop_user("logLik() does not apply: an autoencoder is no probability model of the data. See deviance().")
}

#' @export
sigma.varnn_ae <- function(object, ...) {
  check_standard("sigma", ...)
  check_fit(object)
  r <- coder_residuals(object, "response", NULL)
  is_number <- vapply(object$design$variables, is_scaled, NA)
  if (!any(is_number)) stop_user("sigma() needs numeric columns.")
  names <- vapply(object$design$variables[is_number], function(c) c$name, "")
  r <- r[, names, drop = FALSE]
  w <- stats::naresid(object$na.action, case_weights(object))
  sqrt(colSums(w * r^2, na.rm = TRUE) / colSums(w * !is.na(r), na.rm = TRUE))
}

#' @export
variable.names.varnn_ae <- function(object, ...) {
  check_fit(object)
  check_standard("variable.names", ...)
  vapply(object$design$variables, function(c) c$name, "")
}
