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
#'   logical columns and factors the probabilities of the levels, as a matrix. `newdata` may have them, or not. It may
#'   have any of the other columns: one that is not there is not known, as if it were `NA`. Up to three latent
#'   dimensions by quadrature, else by importance sampling.
#' @export
predict.varnn_vae <- function(object, newdata = NULL, type = "latent", per_variable = FALSE,
                              threads = object$control$threads, target = NULL, ...) {
  check_fit(object)
  check_standard("predict", ..., known = c("newdata", "type", "per_variable", "threads", "target"))
  if (!is.null(target) && is_chunks(newdata))
    return(predicted_chunks(newdata, function(data) {
      predict.varnn_vae(object, data, target = target, threads = threads)
    }))
  if (is.null(target)) return(predict_coder(object, newdata, type, per_variable, threads, parent.frame()))
  object$control$threads <- check_number(threads, "threads", 1, 1024, whole = TRUE)
  predict_target(object, newdata, target, parent.frame())
}

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
#'   the rows of `newdata`, `nsim` times over, the given columns beside the drawn ones. Columns of 64-bit integers are
#'   such integers where the package bit64 is loaded, else whole numbers.
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
    as_observed(b, block_draw(b, eta[, s, drop = FALSE], free_of_each(b, free)))
  }
  scores <- do.call(cbind, Map(draw, fit$blocks, block_free(fit), block_slices(fit$blocks, eta_rows)))
  with_constants(fit, as_values(fit$design, scores))
}

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
  log_lik <- expected_log_lik(object, rows, sd, draws)$mean
  kl <- colSums(w * gaussian_kl(rows$z, sd))
  variance <- colSums(w * rows$z^2) - colSums(w * rows$z)^2
  structure(list(fit_lines = fit_lines(object),
                 elbo = c(elbo = sum(w * log_lik) - sum(kl), log_lik = sum(w * log_lik), kl = sum(kl)),
                 dimensions = data.frame(kl = kl, mean_variance = variance, active = variance > 0.01,
                                         row.names = latent_names(length(kl))),
                 expected = expected_dimensions(object, rows$y, w),
                 sigma = if (any(vapply(object$blocks, has_sigma, NA))) sigma(object),
                 layers = data.frame(name = object$layout$name,
                                     size = paste(object$layout$rows, "x", object$layout$cols),
                                     norm = leaf_norms(object))), class = "summary.varnn_vae")
}

# With one sigma for all columns, all of them gaussian, and nothing missing.
expected_dimensions <- function(fit, y, w) {
  log_sigma <- unlist(block_free(fit))
  if (!all(vapply(fit$blocks, has_sigma, NA)) || diff(range(log_sigma)) > 1e-9 || anyNA(y) || nrow(y) < 2) return(NULL)
  eigenvalues <- eigen(stats::cov.wt(y, w, method = "ML")$cov, symmetric = TRUE, only.values = TRUE)$values
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
