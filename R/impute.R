#' Fill in missing entries with a variational autoencoder
#'
#' Draws missing entries from the model given those that are there, by importance resampling: of `k` codes drawn from
#' q(z | x), one is taken with probabilities proportional to \eqn{p(x_{obs}, z) / q(z | x)}{p(x_obs, z) / q(z | x)}
#' (Rubin 1987), and the missing entries are drawn from their families given it.
#'
#' @param object a fit by [fit_vae()].
#' @param newdata as in [encode()], with missing entries; by default the training data.
#' @param m number of imputations.
#' @param k number of codes to choose from. Up to k / 5 imputations choose from the same ones, the next have k others.
#' @param type `"draw"`: draws, as multiple imputation needs them; `"mean"`: means over all codes by their weights,
#'   the best single guess (of classes the likeliest one).
#' @param ... not used.
#' @return `newdata` with its missing entries filled in, all else as it was; with `m` above 1 a list of m of these,
#'   which [as_mids()] makes an object of mice.
#' @details Coefficients of regressions of the filled-in columns are nearer to 0 than they should be where the model has
#'   learned their dependence too weak. The ELBO does so: its q(z | x) has independent dimensions. A fit by
#'   `fit_vae(importance = 20)` has less of that bias, and takes some ten times as long. The model's parameters are
#'   taken as known, so that intervals by Rubin's rules are too narrow.
#' @references Rubin (1987) The calculation of posterior distributions by data augmentation: comment,
#'   \doi{10.1080/01621459.1987.10478461}. Mattei and Frellsen (2019) MIWAE, \doi{10.48550/arXiv.1812.02633}.
#' @seealso [reconstruct()], which fills in one pass, [simulate.varnn_vae()].
#' @examples
#' set.seed(1)
#' holes <- iris
#' holes$Petal.Width[1:10] <- NA
#' fit <- fit_vae(holes, epochs = 100)
#' head(impute(fit))
#' @export
impute <- function(object, ...) UseMethod("impute")

#' @rdname impute
#' @export
impute.varnn_vae <- function(object, newdata = NULL, m = 1, k = 100, type = "draw", ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "m", "k", "type"))
  m <- check_number(m, "m", 1, 1e6, whole = TRUE)
  k <- check_number(k, "k", 1, 1e6, whole = TRUE)
  type <- check_choice(type, c("draw", "mean"), "type")
  envir <- parent.frame()
  newdata <- if (is.null(newdata)) training_columns(object, envir)
  else if (is.data.frame(newdata)) plain_frame(newdata, "`newdata`") else with_plain_dim(newdata)
  rows <- latent_rows(object, newdata, envir)
  part <- which(rowSums(is.na(rows$y)) > 0)
  some <- list(x = rows$x[part, , drop = FALSE], y = rows$y[part, , drop = FALSE], z = rows$z[part, , drop = FALSE])
  given <- given_rows(object, NULL, length(part), some$x)
  fill <- function(values) filled(object, newdata, part, some$y, values)
  check_rows_memory(object, m * nrow(rows$x), "m")
  several <- function(out) if (m == 1) out[[1]] else structure(out, class = "varnn_imputations", data = newdata)
  if (!length(part)) return(several(rep(list(newdata), m)))
  if (type == "mean") return(fill(weighted_fill(object, some, k, given)))
  out <- lapply(resampled_codes(object, some, k, m), function(z) {
    fill(eta_draws(object, codes_eta(object, z, given)))
  })
  several(out)
}

# Imputations that choose from the same codes are dependent: each has so many codes of its own.
codes_of_each <- 5

# m times one code per row of k, drawn with probability proportional to its weight, in one pass: the next of weight w
# replaces the one that is held with probability w / (sum of weights so far). Of every k codes there are as many choices
# as leave each of them `codes_of_each`.
resampled_codes <- function(fit, rows, k, m) {
  held <- rep(list(rows$z), m)
  total <- none <- rep(-Inf, nrow(rows$z))
  at_once <- min(m, max(1, k %/% codes_of_each))
  seen <- 0
  each_log_weight(fit, rows, k * ceiling(m / at_once), function(log_weight, z) {
    first <- (seen %/% k) * at_once + 1
    if (seen %% k == 0) total <<- none
    seen <<- seen + 1
    total <<- pmax(total, log_weight) + log1p(exp(-abs(total - log_weight)))
    for (i in first:min(m, first + at_once - 1)) {
      takes <- log(stats::runif(length(total))) < log_weight - total
      held[[i]][takes, ] <<- z[takes, ]
    }
  })
  held
}

# The mean of what the codes decode to, by their weights.
weighted_fill <- function(fit, rows, k, given) {
  is_wanted <- vapply(fit$design$variables, function(c) anyNA(rows$y[, c$at[1]]), NA)
  weighted_sums(function(use) each_log_weight(fit, rows, k, use),
                means_at(fit, fit$design$variables[is_wanted], given))
}

# The columns of the training data as the user has them.
training_columns <- function(fit, envir) {
  train <- training_data(fit, NULL, envir)
  out <- columns_as_given(fit$design, on_user_scale_y(fit, train$y), fit$rows, whole = TRUE)
  if (is.null(fit$design$given)) out else cbind(out, given_columns(fit, envir))
}

given_columns <- function(fit, envir) {
  frame <- stats::get_all_vars(stats::delete.response(fit$design$given$terms),
                               eval(fit$call$data, environment(fit$terms)))
  if (nrow(frame) != fit$n_obs) stop_user("Give `newdata`: the given columns of the training data are not found again.")
  frame
}

# newdata with `values` [rows `part`, columns of y] where y is missing.
filled <- function(fit, newdata, part, y, values) {
  new <- columns_as_given(fit$design, values, NULL, whole = TRUE)
  columns <- fit$design$variables
  for (j in seq_along(columns)) {
    gap <- is.na(y[, columns[[j]]$at[1]])
    if (!any(gap)) next
    name <- if (is.matrix(newdata) && is.null(colnames(newdata))) j else columns[[j]]$name
    v <- (if (is.matrix(new)) new[, j] else new[[j]])[gap]
    if (is.matrix(newdata)) {
      newdata[part[gap], name] <- as_type(v, newdata)
    } else {
      like <- like_column(columns[[j]], newdata[[name]])
      newdata[[name]] <- replace(like, part[gap], as_type(v, like))
    }
  }
  newdata
}

# A column of new data that can take what training had: characters stay, all else becomes the factor that it was; of
# 64-bit integers a column that is all missing becomes one, and others are numbers where they can take no such integer.
like_column <- function(column, v) {
  if (column$type == "factor" && !is.character(v))
    return(factor(as.character(v), levels = column$levels, ordered = column$is_ordered))
  is_64 <- isTRUE(column$is_64)
  if (is_64 && is.logical(v)) return(as_integer64(as.double(v)))
  if (inherits(v, "integer64") && !(is_64 && has_bit64())) integer64_values(v) else v
}

as_type <- function(v, like) {
  if (is.character(like)) return(as.character(v))
  if (inherits(v, "integer64") && !inherits(like, "integer64")) integer64_values(v) else v
}
