# An autoencoder beside principal components of the same data.

#' Compare an autoencoder with principal component analysis
#'
#' Compares a fit by [fit_ae()] with [prcomp()] of the same columns, scaled as the network saw them, for 1 to `latent`
#' components: how well the data are reproduced, and whether both span the same space. A linear autoencoder must agree
#' with the components in both, though not in its axes.
#'
#' @param object a fit by [fit_ae()].
#' @param newdata data that were not used in training, for errors held out; by default the rows that `validation` held
#'   out, if any.
#' @param ... not used; an argument here is an error.
#' @details Columns are on the network's scale: numeric ones standardised, of others 0 and 1 for their levels, counts
#'   as log(1 + count); missing entries at their mean for `prcomp()`, and left out of the errors. Of a column that is
#'   not numeric the autoencoder reproduces the probabilities.
#'
#' For k below `latent` the autoencoder keeps the k directions in its codes that move the reconstruction most: with J
#' the decoder's Jacobian at the mean code and Z the centred codes, the leading directions of \eqn{Z J'} (with a
#' linear decoder, those of the reconstructed data). It is the same network with less of its code, not one that was
#' trained with k units: a share of variance below 0 says that what it reconstructs from that part alone is worse than
#' the columns' means.
#'
#' Principal angles (Bjorck and Golub 1973) are those between the span of the first k rotations of `prcomp()` and of
#' the k leading directions of \eqn{Z J'}: for a linear autoencoder the decoder's columns, for others the tangent at
#' the mean code.
#' @return A list of class `varnn_pca` with `table` (a data frame for 1 to `latent` components, `components`: mean
#'   squared errors per entry `pca_error`, `ae_error`, shares of variance explained `pca_share`, `ae_share`, for data
#'   held out `pca_error_new`, `ae_error_new`; and `angle`, the largest principal angle in degrees), `angles` (all
#'   principal angles at `latent` components), `cosine` (the largest absolute cosine between two columns of the
#'   decoder's Jacobian; 0 is orthogonal), `is_linear`, `scores` (a list of the matrices `pca` and `ae`, rows x
#'   latent), `scores_new` (for data held out), `prcomp`, and `rows` (those of the `n_obs` training rows that `scores`
#'   are of). See [plot.varnn_pca()] for pictures.
#' @references Bourlard and Kamp (1988) \doi{10.1007/BF00332918}. Baldi and Hornik (1989)
#'   \doi{10.1016/0893-6080(89)90014-2}. Bjorck and Golub (1973) \doi{10.1090/S0025-5718-1973-0348991-3}.
#' @seealso [plot.varnn_pca()], [fit_ae()], [prcomp()].
#' @examples
#' set.seed(1)
#' linear <- fit_ae(~ . - Species, iris, hidden = 0, optimizer = "lbfgs")
#' compare_pca(linear)
#' curved <- fit_ae(~ . - Species, iris, epochs = 100)
#' comparison <- compare_pca(curved)
#' comparison
#' plot(comparison)
#' plot(comparison, "scores", group = iris$Species)
#' @export
compare_pca <- function(object, newdata = NULL, ...) UseMethod("compare_pca")

#' @rdname compare_pca
#' @export
compare_pca.varnn_ae <- function(object, newdata = NULL, ...) {
  check_fit(object)
  check_dots_empty(..., known = "newdata")
  if (!is.null(object$design$given))
    stop_user("compare_pca() does not apply to a conditional model: components are given nothing.")
  rows <- latent_rows(object, NULL, parent.frame(), needs_data = TRUE)
  held_out <- if (is.null(newdata)) object$held_out
  all <- comparison_data(object, rows)
  train <- if (is.null(held_out)) all else comparison_rows(all, -held_out)
  new <- if (!is.null(held_out)) comparison_rows(all, held_out)
  if (!is.null(newdata)) new <- comparison_data(object, latent_rows(object, newdata), FALSE)
  if (nrow(train$x) < 2) stop_user("There are too few rows for principal components.")
  q <- fit_latent(object)
  k <- min(q, dim(train$x))
  pca <- weighted_pca(train$x, train$w, k)
  codes <- code_axes(object, train$z, train$w)
  table <- data.frame(components = seq_len(k))
  table$pca_error <- pca_errors(pca, train)
  table$ae_error <- ae_errors(object, codes, train, k)
  center <- weighted_means(train$y, train$w)
  total <- mean_squared(train$y, rep(center, each = nrow(train$y)), train$w)
  table$pca_share <- 1 - table$pca_error / total
  table$ae_share <- 1 - table$ae_error / total
  if (!is.null(new)) {
    table$pca_error_new <- pca_errors(pca, new)
    table$ae_error_new <- ae_errors(object, codes, new, k)
  }
  angles <- lapply(seq_len(k), function(j) {
    principal_angles(pca$rotation[, seq_len(j), drop = FALSE], codes$directions[, seq_len(j), drop = FALSE])
  })
  table$angle <- vapply(angles, max, 0)
  structure(list(table = table, angles = angles[[k]], cosine = largest_cosine(codes$jacobian),
                 is_linear = !has_hidden_units(object), scores = list(pca = stats::predict(pca, train$x), ae = train$z),
                 scores_new = if (!is.null(new)) list(pca = stats::predict(pca, new$x), ae = new$z), prcomp = pca,
                 rows = setdiff(seq_len(object$n_obs), held_out), n_obs = object$n_obs, na.action = object$na.action),
            class = "varnn_pca")
}

# x (without gaps) and y as both methods see them, and the codes.
comparison_data <- function(fit, rows, is_training = TRUE) {
  k <- seq_len(ncol(rows$y))
  x <- standardised(rows$x[, k, drop = FALSE], lapply(fit$scaling[c("center", "scale")], `[`, k))
  y <- replace(x, is.na(rows$y), NA)
  dimnames(x) <- dimnames(y) <- list(NULL, fit$design$columns[k])
  list(x = x, y = y, z = rows$z, w = if (is_training) given_weights(fit) else rep(1, nrow(x)))
}

comparison_rows <- function(data, rows) lapply(data, take_rows, rows)

# Over the entries that are there, of rows that count as their case weights say.
mean_squared <- function(a, b, w) {
  squares <- (a - b)^2
  sum(w * squares, na.rm = TRUE) / sum(w * !is.na(squares))
}

# prcomp() of rows with case weights: the eigenvectors of their covariance matrix.
weighted_pca <- function(x, w, k) {
  if (all(w == 1)) return(stats::prcomp(x, center = TRUE, rank. = k))
  moments <- stats::cov.wt(x, w / sum(w), method = "ML")
  axes <- eigen(moments$cov, symmetric = TRUE)
  rotation <- axes$vectors[, seq_len(k), drop = FALSE]
  dimnames(rotation) <- list(colnames(x), paste0("PC", seq_len(k)))
  sdev <- sqrt(pmax(axes$values, 0) * sum(w) / unbiased_total(w))
  scores <- sweep(x, 2, moments$center) %*% rotation
  structure(list(sdev = sdev, rotation = rotation, center = moments$center, scale = FALSE, x = scores),
            class = "prcomp")
}

# Mean squared error per entry of 1, 2, ... components.
pca_errors <- function(pca, data) {
  scores <- stats::predict(pca, data$x)
  vapply(seq_len(ncol(scores)), function(k) {
    first <- seq_len(k)
    fitted <- tcrossprod(scores[, first, drop = FALSE], pca$rotation[, first, drop = FALSE])
    mean_squared(data$y, fitted + rep(pca$center, each = nrow(fitted)), data$w)
  }, 0)
}

# What the codes decode to on the network's scale; counts again as log(1 + count).
network_scale <- function(fit, z) {
  eta <- codes_eta(fit, z)
  do.call(cbind, Map(function(b, s, free) {
    mean <- mean_at(b, eta[, s, drop = FALSE], free)
    if (is_kind(b, "count")) log1p(mean) else mean
  }, fit$blocks, block_slices(fit$blocks, eta_rows), block_free(fit)))
}

# The decoder's Jacobian [columns of y, latent] at the mean code, and the directions that the codes move along most:
# those of Z J' in the data, and what each is among the codes (project: codes to their part in the first k).
code_axes <- function(fit, z, w) {
  center <- colSums(w * z) / sum(w)
  step <- 1e-4 * pmax(apply(z, 2, stats::sd), 1e-8)
  at <- function(sign) network_scale(fit, rep(center, each = ncol(z)) + diag(sign * step, ncol(z)))
  jacobian <- t((at(1) - at(-1)) / (2 * step))
  moved <- tcrossprod(sqrt(w) * sweep(z, 2, center), jacobian)
  directions <- svd(moved, 0, min(ncol(z), dim(moved)))$v
  back <- svd(jacobian)
  is_used <- back$d > 1e-10 * max(back$d, 1e-300)
  inverse <- back$v[, is_used, drop = FALSE] %*% (t(back$u[, is_used, drop = FALSE]) / back$d[is_used])
  project <- function(z, k) {
    first <- directions[, seq_len(k), drop = FALSE]
    rep(center, each = nrow(z)) + sweep(z, 2, center) %*% t(inverse %*% first %*% t(first) %*% jacobian)
  }
  list(jacobian = jacobian, directions = directions, project = project)
}

ae_errors <- function(fit, codes, data, k) {
  vapply(seq_len(k), function(j) {
    z <- if (j == ncol(data$z)) data$z else codes$project(data$z, j)
    mean_squared(data$y, network_scale(fit, z), data$w)
  }, 0)
}

# Degrees between two subspaces, from the sines where the angles are small: an arc cosine cannot tell these from 0.
principal_angles <- function(a, b) {
  a <- qr.Q(qr(a))
  b <- qr.Q(qr(b))
  cosine <- svd(crossprod(a, b), 0, 0)$d
  sine <- rev(svd(b - a %*% crossprod(a, b), 0, 0)$d)
  180 / pi * ifelse(cosine > 0.7, asin(pmin(1, sine)), acos(pmin(1, cosine)))
}

largest_cosine <- function(m) {
  if (ncol(m) < 2) return(0)
  length <- sqrt(colSums(m^2))
  cosine <- crossprod(m) / pmax(tcrossprod(length), .Machine$double.xmin)
  max(abs(cosine[upper.tri(cosine)]))
}

#' @rdname compare_pca
#' @param x a comparison.
#' @param digits significant digits to print.
#' @export
print.varnn_pca <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  t <- x$table
  cat(if (x$is_linear) "Linear autoencoder" else "Autoencoder", "beside principal components\n\n")
  cat("Mean squared error per entry (share of variance explained):\n")
  cell <- function(error, share) sprintf("%s (%s%%)", format(signif(error, digits)), fixed(100 * share, 1))
  shown <- data.frame(components = t$components, PCA = cell(t$pca_error, t$pca_share),
                      autoencoder = cell(t$ae_error, t$ae_share))
  if (!is.null(t$pca_error_new)) {
    shown[["PCA held out"]] <- signif(t$pca_error_new, digits)
    shown[["autoencoder held out"]] <- signif(t$ae_error_new, digits)
  }
  shown[["largest angle"]] <- fixed(t$angle, 2)
  print(shown, row.names = FALSE)
  print_lines(c("", sprintf("Angles in degrees between the subspaces of PCA and of the decoder%s: %s",
                            if (x$is_linear) "" else " (its tangent at the mean code)",
                            paste(fixed(x$angles, 2), collapse = ", ")),
                sprintf("Largest cosine between two columns of the decoder%s: %s%s",
                        if (x$is_linear) "" else "'s Jacobian", fixed(x$cosine, 3), orthogonal_words(x))))
  invisible(x)
}

orthogonal_words <- function(x) {
  if (!x$is_linear || x$cosine < 0.01) return("")
  "; they need not be orthogonal: only the space that they span is determined, any basis gives the same reconstruction"
}
