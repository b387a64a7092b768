# Networks without hidden layers: (generalised) linear models. Their training is a convex problem, solved in coordinates
# in which the columns are uncorrelated; at its optimum they have an information matrix, and with it standard errors.

is_linear <- function(spec) length(spec$layer) == 1 && spec$layer == "dense" && !is_bayesian(spec)

# How to train a linear model where the user has not said.
linear_control <- function(control, says_how, spec) {
  if (is_linear(spec) && !says_how) control$optimizer <- "lbfgs"
  control
}

# ---- the columns

# The pivoted QR decomposition of the centred and standardised columns z of training, W^(1/2) (z - mean) = Q R, its
# columns chosen as lm() does: list(rank, kept, r, mean). NULL where it would take too long.
linear_columns <- function(spec, data, has_intercept, feed = NULL) {
  n <- as.double(data$n)
  p <- spec$n_x
  if (length(spec$layer) > 1 || p > 1000) return(NULL)
  if (!is.null(feed)) return(chunked_columns(feed, p, has_intercept))
  if (n * p^2 > 2e10) return(NULL)
  z <- if (is.null(data$center)) data$x else standardised(data$x, data)
  w <- if (is.null(data$weight)) rep(1, n) else data$weight
  if (!is.null(data$row)) {
    z <- z[data$row, , drop = FALSE]
    w <- w[data$row]
  }
  mean <- if (has_intercept) colSums(z * w) / sum(w) else numeric(p)
  z <- (z - rep(mean, each = nrow(z))) * sqrt(w)
  chosen_columns(if (n * p^2 > 1e9) square_root(crossprod(z)) else z, mean, sum(w), has_intercept)
}

# Of the centred columns z, or of a matrix with the same products.
chosen_columns <- function(z, mean, total, has_intercept) {
  found <- qr(z)
  kept <- found$pivot[seq_len(found$rank)]
  list(rank = found$rank + has_intercept, kept = kept, mean = mean, total = total,
       r = qr.R(found)[seq_along(kept), seq_along(kept), drop = FALSE])
}

# What linear_columns() finds, by a pass over data in buffers: the products about the mean of two parts together are the
# sum of theirs and those of the difference between their means (Chan, Golub & LeVeque 1979).
chunked_columns <- function(feed, p, has_intercept) {
  feed$close()
  total <- seen <- 0
  mean <- numeric(p)
  products <- matrix(0, p, p)
  while (seen < feed$n) {
    data <- feed$fetch()
    z <- if (is.null(data$center)) data$x else standardised(data$x, data)
    own <- if (has_intercept) colSums(z * data$weight) / sum(data$weight) else numeric(p)
    z <- (z - rep(own, each = nrow(z))) * sqrt(data$weight)
    apart <- own - mean
    share <- sum(data$weight) / (total + sum(data$weight))
    products <- products + crossprod(z) + tcrossprod(apart) * total * share
    mean <- mean + apart * share
    total <- total + sum(data$weight)
    seen <- seen + nrow(z)
  }
  chosen_columns(square_root(products), mean, total, has_intercept)
}

# A matrix B with B'B = s.
square_root <- function(s) {
  e <- eigen(s, symmetric = TRUE)
  sqrt(pmax(e$values, 0)) * t(e$vectors)
}

# ---- training

# Trains where the kept columns are u = sqrt(n) (z - mean) R^-1, whose covariance is the identity: L-BFGS then takes few
# steps whatever their scales and correlations. With a penalty, which belongs to z, it trains on z itself.
train_linear <- function(columns, control, spec, layout, blocks, sets) {
  turns <- is_linear(spec) && !is.null(columns) && length(columns$kept) && control$optimizer == "lbfgs" &&
    !has_penalty(spec) && spec$n_x < set_counts(sets)$rows
  if (!turns) return(best_start(control, spec, layout, blocks, sets))
  axes <- matrix(0, spec$n_x, spec$n_x)
  at <- seq_along(columns$kept)
  axes[columns$kept, at] <- backsolve(columns$r, diag(length(at))) * sqrt(columns$total)
  trained <- best_start(control, spec, layout, blocks, lapply(sets, turned_data, columns$mean, axes))
  trained$theta <- turned_back(trained$theta, layout$leaves, axes, columns$mean)
  trained
}

# Data in these coordinates, also where they come in buffers.
turned_data <- function(data, mean, axes) {
  if (is.null(data)) return(NULL)
  if (!is.null(data$fetch)) {
    fetch <- data$fetch
    data$fetch <- function() turned_data(fetch(), mean, axes)
    return(data)
  }
  z <- standardised(data$x, data)
  data$x <- (z - rep(mean, each = nrow(z))) %*% axes
  data[c("center", "scale")] <- list(NULL)
  data
}

# eta = W u + b = (W axes') (z - mean) + b
turned_back <- function(theta, leaves, axes, mean) {
  weight <- leaves[leaves$role == "weight", ]
  bias <- leaves[leaves$role == "bias", ]
  w <- tcrossprod(matrix(theta[leaf_index(weight)], weight$rows), axes)
  theta[leaf_index(weight)] <- w
  if (nrow(bias)) theta[leaf_index(bias)] <- theta[leaf_index(bias)] - w %*% mean
  theta
}

# ---- the optimum

# Why a fit is not at the maximum of the likelihood; NULL where it is.
why_no_maximum <- function(fit) {
  if (is_mixture(fit)) return("the fit is an average of members")
  if (has_hidden(fit)) return("hidden units can be exchanged, and training stops before the optimum")
  if (!is_linear(fit$spec)) return("the weights have a posterior, not a maximum")
  if (has_penalty(fit$spec)) return("the `penalty` shrinks the coefficients")
  if (any(vapply(fit$blocks, has_several_tau, NA)))
    return("what several quantiles of a response are fitted by is no likelihood of it")
  if (length(fit$held_out) || !is.null(fit$history$val_loss))
    return("the coefficients are those that are best on the rows held out (`validation`)")
  if (fit$stop_reason != "converged")
    return(sprintf("training did not end at the optimum (it was %s, %s): leave the arguments that control it out",
                   fit$control$optimizer, stop_words[[fit$stop_reason]]))
}

why_no_errors <- function(fit) {
  why <- why_no_maximum(fit)
  if (is.null(why) && is_from_chunks(fit)) why <- "they need all rows at once, and the fit was trained on chunks()"
  if (is.null(why) && isTRUE(fit$is_flat)) why <- flat_words
  why
}
flat_words <- paste("the likelihood has no curvature where it is greatest, as of abs(), or one without bound, and says",
                    "nothing of how sure the coefficients are")

stop_no_errors <- function(fit, what) {
  why <- why_no_errors(fit)
  if (!has_hidden(fit)) stop_user("%s does not apply: %s.", what, why)
  stop_user("%s does not apply: the parameters of a network have no standard errors (%s).%s", what, why,
            if (is_bayesian(fit$spec)) "" else " fit_bayes_nn() says how sure a network is.")
}

# The fit with its information matrix, where it has one; and the warning when it has a direction without information.
finish_linear <- function(fit, columns, train) {
  if (!is_linear(fit$spec) || is.null(columns) || !is.null(why_no_maximum(fit))) return(fit)
  if (fit$spec$n_x >= sum(case_weights(fit) > 0)) return(fit) # the least coefficients that fit, and no error
  fit$kept_columns <- columns$kept
  size <- (length(columns$kept) + 1) * sum(vapply(fit$blocks, eta_rows, 0))
  if (size > 1000 || fit$n_obs * size^2 > 2e10) return(fit)
  information <- linear_information(fit, train, columns$kept)
  fit$is_flat <- is_flat(information)
  if (fit$is_flat) return(fit)
  fit$information <- information
  fit$is_separated <- is_separated(fit, columns)
  if (fit$is_separated) warn_separated("are where training ended")
  fit
}

# sum_i w_i J_i' A_i J_i on standardised columns, in the order of theta: weights of the kept columns, then biases.
linear_information <- function(fit, train, kept) {
  z <- standardised(train$x, fit$scaling)[, kept, drop = FALSE]
  if (train$design$intercept) z <- cbind(z, rep(1, nrow(z)))
  if (is.null(fit$eta)) fit$eta <- model_eta(fit, train)
  fit$offset <- train$offset
  parts <- training_blocks(fit, NULL)
  n_eta <- ncol(fit$eta)
  out <- array(0, c(n_eta, ncol(z), n_eta, ncol(z)))
  for (b in seq_along(parts)) {
    at <- block_slices(fit$blocks, eta_rows)[[b]]
    w <- case_weights(fit) * !is.na(parts[[b]]$y[, 1])
    use <- which(w > 0)
    parts[[b]][c("y", "eta")] <- lapply(parts[[b]][c("y", "eta")], take_rows, use)
    out[at, , at, ] <- block_information(parts[[b]], z[use, , drop = FALSE], w[use],
                                         learns_free = nrow(noise_leaf(fit$layout, b)) > 0)
  }
  matrix(out, n_eta * ncol(z))
}

# Of one block [outputs, columns of z, outputs, columns of z]; not a number where a written likelihood has no curvature,
# but slopes.
block_information <- function(part, z, w, learns_free) {
  known <- if (is_custom(part$block)) custom_derivatives(part)
  k <- ncol(part$eta)
  out <- array(0, c(k, ncol(z), k, ncol(z)))
  for (i in seq_len(k)) for (j in seq_len(i)) {
    a <- if (is.null(known)) record_of(part$block)$information(part, i, j) else known$second[, i, j]
    s <- if (is.null(a)) 0 else crossprod(z, z * (w * a))
    out[i, , j, ] <- s
    out[j, , i, ] <- t(s)
  }
  if (!is.null(known) && !is_curved(out, known$first, z, w)) out[] <- NaN
  if (!record_of(part$block)$joins || !learns_free) return(out)
  out - of_free_scalars(if (is.null(known)) differences(part) else known, z, w, k)
}

# Whether the information about each coefficient is something against the squares of its slopes in the rows.
is_curved <- function(information, first, z, w) {
  k <- dim(information)[1]
  least <- crossprod(first[, seq_len(k), drop = FALSE]^2, w * z^2)
  all(matrix(diag(matrix(information, k * ncol(z))), k) >= 1e-6 * least)
}

# The places in a linear model's information of each block's coefficients.
information_places <- function(fit, size) {
  n_eta <- sum(vapply(fit$blocks, eta_rows, 0))
  lapply(block_slices(fit$blocks, eta_rows), function(at) as.vector(outer(at, seq(0, size - n_eta, n_eta), `+`)))
}

# Whether the likelihood says nothing of some coefficient, though the columns do not separate anything.
is_flat <- function(information) !all(is.finite(information)) || any(diag(information) < 0)

# What the information about coefficients loses where the free scalars are learned, too: I_bf I_ff^-1 I_fb, by the
# derivatives of minus the log-likelihood in k outputs and then these. Of scalars without effect there is none.
of_free_scalars <- function(derivatives, z, w, k) {
  free <- seq_len(ncol(derivatives$first))[-seq_len(k)]
  size <- sqrt(colSums(w * derivatives$first[, free, drop = FALSE]^2)) # their own unit, to be inverted in
  free <- free[which(size > 0)]
  size <- size[which(size > 0)]
  of_both <- array(0, c(k, ncol(z), length(free)))
  for (i in seq_len(k)) of_both[i, , ] <- crossprod(z, w * derivatives$second[, i, free])
  of_both <- matrix(of_both, ncol = length(free)) / rep(size, each = k * ncol(z))
  of_free <- apply(derivatives$second[, free, free, drop = FALSE], 2:3, function(v) sum(w * v)) / tcrossprod(size)
  if (!length(free) || !all(is.finite(of_free))) return(array(0, c(k, ncol(z), k, ncol(z))))
  e <- eigen((of_free + t(of_free)) / 2, symmetric = TRUE)
  use <- which(e$values > 1e-6)
  root <- of_both %*% e$vectors[, use, drop = FALSE]
  array(tcrossprod(root, root %*% diag(1 / e$values[use], length(use))), c(k, ncol(z), k, ncol(z)))
}

# The derivatives of minus the log-likelihood of each row in outputs and free scalars, by differences: list(first [rows,
# scalars], second [rows, scalars, scalars]).
differences <- function(part) {
  k <- ncol(part$eta)
  n <- k + length(part$free)
  h <- 3e-4
  unit <- function(i) replace(numeric(n), i, h)
  nll <- function(step) {
    rowSums(record_of(part$block)$nll(part$y, part$eta + rep(step[seq_len(k)], each = nrow(part$eta)),
                                      part$free + step[-seq_len(k)]))
  }
  first <- vapply(seq_len(n), function(i) (nll(unit(i)) - nll(-unit(i))) / (2 * h), numeric(nrow(part$eta)))
  second <- array(0, c(nrow(part$eta), n, n))
  for (i in seq_len(n)) for (j in seq_len(i)) {
    second[, i, j] <- second[, j, i] <- (nll(unit(i) + unit(j)) - nll(unit(i) - unit(j)) - nll(unit(j) - unit(i)) +
                                           nll(-unit(i) - unit(j))) / (4 * h^2)
  }
  list(first = matrix(first, nrow(part$eta)), second = second)
}

# Where a combination of columns tells classes apart without error, the likelihood rises for ever along it, and the
# information about it goes to 0.
is_separated <- function(fit, columns) {
  root <- backsolve(columns$r, diag(ncol(columns$r))) * sqrt(columns$total)
  turn <- rbind(root, if (fit$design$intercept) -colSums(columns$mean[columns$kept] * root))
  if (fit$design$intercept) turn <- cbind(turn, replace(numeric(nrow(turn)), nrow(turn), 1))
  of_block <- function(block, at) {
    if (!record_of(block)$separates) return(FALSE)
    by <- kronecker(turn, diag(eta_rows(block)))
    information <- fit$information[at, at, drop = FALSE]
    values <- eigen(crossprod(by, information %*% by) / n_cases(fit), TRUE, only.values = TRUE)$values
    values[length(values) - open_directions(block, length(values))] <= 1e-8
  }
  any(unlist(Map(of_block, fit$blocks, information_places(fit, nrow(fit$information)))))
}

# Directions of a block's coefficients that change no probability: those of softmax.
open_directions <- function(block, n) if (is_kind(block, "levels")) n / eta_rows(block) else 0

warn_separated <- function(what) {
  warn_user("varnn_separated", paste(
    "A combination of the columns separates the classes (or the zeros of counts) without error: the likelihood has no",
    "maximum at finite coefficients, and those of the fit %s. A `penalty` above 0 keeps them small."
  ), what)
}

# ---- standard errors

# The covariance of the estimates, on the scale of theta; of columns that others determine there is none.
estimate_covariance <- function(fit, envir) {
  if (!is.null(why_no_errors(fit))) stop_no_errors(fit, "vcov()")
  if (is.null(fit$kept_columns))
    stop_user("vcov() does not apply: there are %d columns, as many as rows, or too many to tell them apart.",
              fit$spec$n_x)
  if (is.null(fit$information)) {
    train <- training_data(fit, NULL, envir)
    fit$information <- linear_information(fit, train, fit$kept_columns)
    fit$is_flat <- is_flat(fit$information)
    if (fit$is_flat) stop_no_errors(fit, "vcov()")
  }
  warn_of_weights(fit)
  has_gaussian <- vapply(fit$blocks, has_profiled_sigma, NA)
  inverse <- 0 * fit$information
  places <- information_places(fit, nrow(inverse))
  for (b in seq_along(places)) {
    at <- places[[b]]
    inverse[at, at] <- symmetric_inverse(fit$information[at, at, drop = FALSE],
                                         open_directions(fit$blocks[[b]], length(at)))
  }
  has_dispersion <- vapply(fit$blocks, learns_dispersion, NA)
  if (!any(has_gaussian | has_dispersion)) return(inverse)
  n_eta <- sum(vapply(fit$blocks, eta_rows, 0))
  scale <- rep(1, n_eta)
  slices <- block_slices(fit$blocks, eta_rows)
  at <- unlist(slices[has_gaussian])
  if (any(has_gaussian)) scale[at] <- sigma.varnn(fit) / vapply(fit$blocks[has_gaussian], function(b) b$scale, 0)
  for (b in which(has_dispersion)) scale[slices[[b]]] <- sqrt(dispersion_rise(fit, b, envir))
  if (all(has_gaussian) && !anyNA(fit$response) && n_eta > 1) {
    # the errors of a row's responses are correlated, and so are their coefficients
    first <- inverse[seq(1, nrow(inverse), n_eta), seq(1, nrow(inverse), n_eta)]
    r <- do.call(cbind, lapply(training_blocks(fit, envir), function(part) part$y - part$eta))
    w <- case_weights(fit)
    share <- crossprod(r, r * w) / unbiased_total(w, fit$rank)
    return(kronecker(first, share))
  }
  inverse * tcrossprod(rep(scale, length.out = nrow(inverse)))
}

warn_of_weights <- function(fit) {
  w <- case_weights(fit)
  if (any(w != round(w))) warn_user("varnn_weights", paste(
    "The weights are not whole numbers: standard errors count a row of weight w as w rows. For weights that are",
    "inverse variances, use lm() or glm()."
  ))
}

# Whether a block has a dispersion that glm() estimates by Pearson's residuals, and the likelihood otherwise.
learns_dispersion <- function(block) !is.null(record_of(block)$dispersion)

# Whether a block's standard errors are by an estimated dispersion: t takes the place of the normal distribution.
is_by_t <- function(block) has_sigma(block) || learns_dispersion(block)

# Degrees of freedom of each block, by the rows that have its response, and of each coefficient as coef_matrix() has
# them.
block_df <- function(fit) {
  df <- stats::df.residual(fit)
  if (length(fit$blocks) > 1 && anyNA(fit$response, recursive = TRUE)) {
    cases <- vapply(responses_seen(fit), function(seen) row_counts(fit$n_obs, case_weights(fit) * seen)$total, 0)
    df <- df - n_cases(fit) + cases
  }
  ifelse(vapply(fit$blocks, is_by_t, NA), df, Inf)
}
coefficient_df <- function(fit) {
  rep(block_df(fit), vapply(fit$blocks, eta_rows, 0) * (length(fit$design$columns) + fit$design$intercept))
}

# Pearson's statistic by its degrees of freedom, the dispersion of summary.glm().
pearson_dispersion <- function(fit, part) {
  w <- case_weights(fit)
  squares <- (observed_mean(part) - mean_at(part$block, part$eta, part$free))[, 1]^2 / pearson_variance(part)
  sum(w * squares, na.rm = TRUE) / unbiased_total(w[!is.na(part$y[, 1])], fit$rank)
}

# By how much that of block b is above the one of the greatest likelihood.
dispersion_rise <- function(fit, b, envir) {
  part <- training_blocks(fit, envir)[[b]]
  pearson_dispersion(fit, part) / record_of(part$block)$dispersion(part$eta, part$free)[1]
}

# What predict.lm() and predict.glm() call the residual scale: of each response, 1 where it has none.
residual_scale <- function(fit, envir) {
  out <- rep(1, length(fit$blocks))
  is_gaussian <- vapply(fit$blocks, has_profiled_sigma, NA)
  if (any(is_gaussian)) out[is_gaussian] <- sigma.varnn(fit)
  parts <- training_blocks(fit, envir)
  for (b in which(vapply(fit$blocks, learns_dispersion, NA)))
    out[b] <- sqrt(pearson_dispersion(fit, parts[[b]]))
  if (length(out) > 1) names(out) <- vapply(fit$blocks, function(b) b$columns[1], "")
  out
}

# The inverse, or where softmax leaves directions open the inverse orthogonal to these. Of a direction without
# information the variance is immense.
symmetric_inverse <- function(m, open = 0) {
  d <- sqrt(pmax(diag(m), 1e-100 * max(diag(m), 1e-200)))
  if (open > 0) d[] <- 1
  scaled <- m / tcrossprod(d)
  if (!all(is.finite(scaled))) stop_user("The fit is damaged: `information` is not as it was made; fit the model anew.")
  e <- eigen(scaled, symmetric = TRUE)
  use <- seq_len(length(d) - open)
  values <- pmax(e$values[use], 1e-24 * e$values[1])
  root <- e$vectors[, use, drop = FALSE] %*% diag(1 / sqrt(values), length(use))
  tcrossprod(root) / tcrossprod(d)
}

# Places in theta of the weights of the kept columns and of the biases.
estimate_places <- function(fit) {
  leaves <- fit$layout
  weight <- matrix(leaf_index(leaves[leaves$role == "weight", ]), leaves$rows[leaves$role == "weight"])
  bias <- leaves[leaves$role == "bias", ]
  c(weight[, fit$kept_columns], if (nrow(bias)) leaf_index(bias))
}

#' Standard errors of a network without hidden layers
#'
#' A network without hidden layers is a (generalised) linear model. By default its training ends at the maximum of the
#' likelihood, and its coefficients have the standard errors and intervals of [lm()] and [glm()]. The weights of a
#' network with hidden layers have none: [fit_bayes_nn()] says how sure a network is.
#'
#' @param object a fit by [fit_nn()] with `hidden = 0`, without `penalty`, whose training converged.
#' @param complete whether coefficients of columns that others determine are included, as `NA`.
#' @param parm names or numbers of the coefficients; by default all.
#' @param level the probability that an interval covers.
#' @param ... not used.
#' @return `vcov()`: the covariance matrix of the coefficients, as [coef()] names them (several responses, levels:
#'   `response:coefficient`), by the expected Fisher information, of survival times and written families by the observed
#'   one. Where the scalars that are learned beside the coefficients matter, as of survival times and of beta, ordered,
#'   zero-inflated and written families, it has what it loses by them. A likelihood without curvature where it is
#'   greatest, as of `abs()`, gives none. A row of weight w counts as w rows; weights that are
#'   not whole numbers are a warning of class `varnn_weights`, as inverse variances would mean something else. Of a
#'   categorical response it is that of coefficients which sum to 0 over the levels. `confint()`: a matrix with a row
#'   for each coefficient and its lower and upper limit: of gaussian responses by the t distribution as for [lm()]; of a
#'   bernoulli, binomial or poisson response by the profile of the likelihood as for [glm()], which fits the model
#'   several times to the training data; of gamma and inverse_gaussian responses by the t distribution and the
#'   dispersion of `summary.glm()`, Pearson's statistic by its degrees of freedom; of others, and of those that would
#'   have a profile where there are several responses, by the normal distribution.
#' @references Venables and Ripley (2002) on profiles of the likelihood, \doi{10.1007/978-0-387-21706-2}, section 7.2.
#' @seealso [summary.varnn_nn()] for a table of coefficients, [predict.varnn_nn()] with `se.fit = TRUE`,
#'   [vcov.varnn_bayes_nn()] for Bayesian networks.
#' @examples
#' fit <- fit_nn(am ~ wt, mtcars, hidden = 0, family = "binomial")
#' vcov(fit)
#' confint(fit)
#' @export
vcov.varnn_nn <- function(object, complete = TRUE, ...) {
  check_fit(object)
  check_standard("vcov", ..., known = "complete")
  complete <- check_flag(complete, "complete")
  inner <- estimate_covariance(object, parent.frame())
  by <- coef_matrix(object)
  at <- match(estimate_places(object), role_places(object$layout))
  out <- by[, at, drop = FALSE] %*% inner %*% t(by[, at, drop = FALSE])
  lost <- aliased_coefs(object)
  out[lost, ] <- NA
  out[, lost] <- NA
  if (complete || !any(lost)) out else out[!lost, !lost, drop = FALSE]
}

# Of models that have no standard errors by this or any other way.
#' @export
vcov.varnn <- function(object, ...) {
  check_fit(object)
  stop_no_errors(object, "vcov()")
}

#' @export
confint.varnn <- function(object, parm, level = 0.95, ...) {
  check_fit(object)
  stop_no_errors(object, "confint()")
}

# Of each coefficient as coef_matrix() has them, whether its column is one that others determine.
aliased_coefs <- function(fit) {
  is_lost <- !seq_along(fit$design$columns) %in% fit$kept_columns
  rep(c(if (fit$design$intercept) FALSE, is_lost), sum(vapply(fit$blocks, eta_rows, 0)))
}

#' @rdname vcov.varnn_nn
#' @export
confint.varnn_nn <- function(object, parm, level = 0.95, ...) {
  check_fit(object)
  check_standard("confint", ..., known = c("parm", "level"))
  level <- check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  if (!is.null(why_no_errors(object))) stop_no_errors(object, "confint()")
  v <- vcov.varnn_nn(object)
  name <- rownames(v)
  at <- if (missing(parm)) seq_along(name) else chosen_parameters(parm, name)
  tail <- (1 - level) / 2
  estimate <- as.vector(stats::coef(object))
  se <- sqrt(diag(v))
  if (isTRUE(object$is_separated)) {
    warn_separated("have no interval")
    se[] <- NA
  }
  own <- object$blocks[[1]]
  is_profiled <- every(length(object$blocks) == 1, !n_free(own), !is.null(record_of(own)$stats),
                       !isTRUE(object$is_separated))
  out <- if (is_profiled) {
    profile_limits(object, at, estimate, se, level, parent.frame())
  } else {
    half <- se[at] * stats::qt(1 - tail, coefficient_df(object)[at])
    cbind(estimate[at] - half, estimate[at] + half)
  }
  dimnames(out) <- list(name[at], paste(format(100 * c(tail, 1 - tail), digits = 3, trim = TRUE), "%"))
  out
}

# Numbers of the parameters that `parm` names.
chosen_parameters <- function(parm, name, argument = "parm") {
  given <- parm
  parm <- if (is.character(parm)) plain(parm) else plain_numbers(parm)
  if (is.null(parm)) stop_user("`%s` must be names or numbers of parameters, not %s.", argument, shown(given))
  if (length(parm) > length(name))
    stop_user("`%s` names %d parameters, and there are %d.", argument, length(parm), length(name))
  if (is.numeric(parm) && length(parm) && all(parm %in% -seq_along(name))) parm <- seq_along(name)[parm]
  unknown <- setdiff(parm, if (is.character(parm)) name else seq_along(name))
  if (length(unknown)) stop_user("`%s` has %s, which is no parameter.", argument, shown(unknown[1]))
  if (is.character(parm)) match(parm, name) else as.integer(parm)
}

# Where the deviance, least over the other coefficients, is higher by the quantile of chi squared; NA where it never is.
profile_limits <- function(fit, at, estimate, se, level, envir) {
  train <- training_data(fit, NULL, envir)
  if (is.null(fit$eta)) fit$eta <- model_eta(fit, train)
  p <- glm_parts(fit)
  x <- if (fit$design$intercept) cbind(1, train$x) else train$x
  keep <- !aliased_coefs(fit)
  start <- p$family$linkfun(fitted_mean(fit))
  deviance_at <- function(j, value) {
    others <- setdiff(which(keep), j)
    suppressWarnings(stats::glm.fit(x[, others, drop = FALSE], p$y, p$w, offset = p$offset + value * x[, j],
                                    family = p$family, etastart = start, intercept = FALSE,
                                    control = list(epsilon = 1e-12, maxit = 100))$deviance)
  }
  least <- stats::deviance(fit)
  limit <- function(j, side) {
    rise <- function(step) deviance_at(j, estimate[j] + side * step * se[j]) - least - stats::qchisq(level, 1)
    reach <- stats::qnorm((1 + level) / 2)
    while (reach < 1e4 && !isTRUE(rise(reach) > 0)) reach <- 2 * reach
    if (reach >= 1e4) return(NA_real_)
    estimate[j] + side * se[j] * stats::uniroot(rise, c(0, reach), tol = 1e-7)$root
  }
  out <- vapply(at, function(j) if (keep[j]) c(limit(j, -1), limit(j, 1)) else c(NA_real_, NA_real_), numeric(2))
  t(out)
}

# What glm.fit() takes beside the columns: proportions, and weights that count their trials.
glm_parts <- function(fit) {
  y <- block_y(fit$blocks[[1]], fit$response)
  trials <- if (ncol(y) == 2) replace(y[, 2], is.na(y[, 2]), 0) else 1
  w <- case_weights(fit) * trials
  share <- y[, 1] / pmax(trials, 1)
  list(family = record_of(fit$blocks[[1]])$stats(), y = replace(share, is.na(share), 1), w = w, # 1 is of all families
       offset = if (is.null(fit$offset)) numeric(nrow(y)) else fit$offset)
}

# The fitted means, within the open range of the family.
fitted_mean <- function(fit) {
  mu <- pmax(mean_at(fit$blocks[[1]], fit$eta, block_free(fit)[[1]])[, 1], 1e-10)
  if (is_kind(fit$blocks[[1]], "count")) mu else pmin(mu, 1 - 1e-10)
}

# A table as that of summary.lm() and summary.glm(); NULL where there are no standard errors.
coefficient_table <- function(fit, envir) {
  if (!is.null(why_no_errors(fit)) || is.null(fit$kept_columns)) return(NULL)
  df <- coefficient_df(fit)
  lost <- aliased_coefs(fit)
  v <- vcov.varnn_nn(fit)
  estimate <- as.vector(stats::coef(fit))
  z <- estimate / sqrt(diag(v))
  out <- cbind(estimate, sqrt(diag(v)), z, 2 * stats::pt(-abs(z), df))
  letter <- if (all(is.infinite(df))) "z" else if (all(is.finite(df))) "t" else "t or z"
  dimnames(out) <- list(rownames(v), c("Estimate", "Std. Error", paste(letter, "value"), sprintf("Pr(>|%s|)", letter)))
  out[!lost, , drop = FALSE]
}

# list(fit, se.fit, residual.scale) as predict.lm() and predict.glm() give it, by the delta method. `noise` is what
# given_noise() finds.
prediction_errors <- function(fit, rows, type, predicted, envir, noise = NULL) {
  if (!is.null(why_no_errors(fit))) stop_no_errors(fit, "`se.fit` = TRUE")
  if (!type %in% c("link", "response", "prob"))
    stop_user("`se.fit` = TRUE is for `type` = \"link\", \"response\" or \"prob\", not \"%s\".", type)
  if (type != "link" && any(vapply(fit$blocks, function(b) is_kind(b, "ordered") || mean_needs_free(b), NA)))
    stop_user(paste("`se.fit` = TRUE of a mean that depends on free scalars, as of an ordered response, is for",
                    "`type` = \"link\", not \"%s\"."), type)
  inner <- estimate_covariance(fit, envir)
  z <- standardised(rows$x, fit$scaling)[, fit$kept_columns, drop = FALSE]
  if (fit$design$intercept) z <- cbind(z, rep(1, nrow(z)))
  eta <- rows$eta
  n_eta <- ncol(eta)
  covariance <- function(i, j) {
    v <- inner[seq(i, nrow(inner), n_eta), seq(j, nrow(inner), n_eta), drop = FALSE]
    rowSums((z %*% v) * z)
  }
  of_block <- function(block, at, free) {
    mean_errors(block, eta[, at, drop = FALSE], free, type, function(i, j) covariance(at[i], at[j]),
                isTRUE(fit$is_separated))
  }
  se <- do.call(cbind, Map(of_block, fit$blocks, block_slices(fit$blocks, eta_rows), block_free(fit)))
  if (is.matrix(predicted)) dimnames(se) <- list(NULL, colnames(predicted)) else se <- se[, ncol(se)]
  scale <- if (is.null(noise)) residual_scale(fit, envir) else noise$scale
  df <- if (is.null(noise)) stats::df.residual(fit) else noise$df
  if (!is.null(noise)) se <- se * noise$scale / noise$own
  c(list(fit = predicted, se.fit = se), if (all(is.finite(block_df(fit)))) list(df = df), list(residual.scale = scale))
}

# What predict.lm() makes of its `scale` and `df`, and predict.glm() of its `dispersion`, where these are `given`:
# list(scale, df, own), the last being the residual scale of the fit. NULL where none is.
given_noise <- function(fit, given, envir) {
  given <- noise_arguments(given)
  if (!length(given)) return(NULL)
  block <- fit$blocks[[1]]
  is_gaussian <- length(fit$blocks) == 1 && has_sigma(block)
  is_glm <- is_gaussian || length(fit$blocks) == 1 && (learns_dispersion(block) || !is.null(record_of(block)$stats))
  if (any(c("scale", "df") %in% names(given)) && !is_gaussian)
    stop_user("`%s` is for one gaussian response; the family of this fit is %s.", names(given)[1], quoted(fit$family))
  if (!is.null(given$dispersion) && !is_glm)
    stop_user("`dispersion` is for one response of a family that glm() has, not %s.", quoted(fit$family))
  if (all(c("scale", "dispersion") %in% names(given)))
    stop_user("`scale` and `dispersion` say the same: give one of them.")
  if (is.null(given$scale) && !is.null(given$df))
    stop_user("`df` is that of a `scale`, which is missing: without one it is the fit's own.")
  list(scale = if (is.null(given$scale)) sqrt(given$dispersion) else given$scale,
       df = if (is.null(given$df)) Inf else given$df,
       own = if (is_gaussian) stats::sigma(fit) else residual_scale(fit, envir))
}

# Standard errors of what is predicted of a block from the covariances of its outputs. Where zeros are separated from
# counts, rows have none but those of which the zeros' part is nothing.
mean_errors <- function(block, eta, free, type, covariance, is_separated = FALSE) {
  as_columns <- function(columns) matrix(as.double(unlist(columns)), nrow(eta), length(columns))
  if (is_kind(block, "levels") && type != "link") {
    p <- softmax(eta)
    slope <- function(k, i) p[, k] * ((i == k) - p[, i])
    variance <- function(k) {
      v <- 0
      for (i in seq_len(ncol(p))) for (j in seq_len(ncol(p))) v <- v + slope(k, i) * slope(k, j) * covariance(i, j)
      v
    }
    return(as_columns(lapply(seq_len(ncol(p)), function(k) sqrt(pmax(variance(k), 0)))))
  }
  if (type == "link") {
    scale <- c(block$scale, rep(1, ncol(eta) - 1))
    return(as_columns(lapply(seq_len(ncol(eta)), function(i) scale[i] * sqrt(covariance(i, i)))))
  }
  slope <- slope_at(block, eta, free) * block$scale
  if (is_separated) slope <- without_zeros(slope)
  used <- which(colSums(is.na(slope) | slope != 0) > 0)
  variance <- 0
  for (i in used) for (j in used) variance <- variance + slope[, i] * slope[, j] * covariance(i, j)
  out <- as_columns(list(sqrt(pmax(variance, 0))))
  if (type == "prob") cbind(out, out) else out
}

# Slopes [rows, outputs] of means where zeros are separated from counts: 0 of the zeros' part where it is nothing, else
# NA.
without_zeros <- function(slope) {
  if (ncol(slope) == 1) return(slope)
  is_nothing <- abs(slope) < 1e-6 * abs(slope[, 1])
  slope[is_nothing] <- 0
  lost <- rowSums(!is_nothing[, -1, drop = FALSE]) > 0
  if (any(lost)) warn_separated(sprintf("leave %d rows without a standard error", sum(lost)))
  slope[lost, ] <- NA
  slope
}

# The kind of interval that is asked for, where such a fit has one.
check_wald <- function(fit, interval, level, type) {
  interval <- check_choice(interval, c("none", "confidence", "prediction"), "interval")
  check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  if (interval == "none") return(interval)
  if (!is.null(why_no_errors(fit))) stop_no_errors(fit, sprintf("`interval` = \"%s\"", interval))
  if (!is.null(type) && !identical(type, "response")) stop_user("`interval` is of the response: leave `type` out.")
  check_interval(fit, interval)
  for (block in fit$blocks) check_wald_block(block, interval)
  interval
}

check_wald_block <- function(block, interval) {
  if (interval == "prediction" && !has_sigma(block))
    stop_user(paste("A prediction interval needs a gaussian response; the family of `%s` is %s. fit_bayes_nn() has",
                    "one."), block$columns, quoted(block$family))
  if (is_kind(block, "ordered") || mean_needs_free(block) || eta_rows(block) > block$n_responses && !has_log_sd(block))
    stop_user("`interval` does not apply to the response `%s`: its mean depends on several outputs or free scalars.",
              block$columns)
}

# Of each response a matrix with columns fit, lwr and upr: intervals of the link, which the mean follows.
wald_bounds <- function(fit, rows, interval, level, envir, noise = NULL) {
  link <- prediction_errors(fit, rows, "link", predicted(fit, rows$eta, rows$offset, "link"), envir, noise)
  q <- stats::qt((1 + level) / 2, if (is.null(noise)) block_df(fit) else noise$df)
  sigma <- if (interval == "prediction") if (is.null(noise)) sigma.varnn(fit) else noise$scale
  center <- as.matrix(link$fit)
  se <- as.matrix(link$se.fit)
  first <- vapply(block_slices(fit$blocks, eta_rows), `[`, 0, 1)
  free <- block_free(fit)
  of_block <- function(i) {
    block <- fit$blocks[[i]]
    s <- se[, first[i]]
    if (interval == "prediction") s <- sqrt(s^2 + sigma[i]^2)
    bound <- center[, first[i]] + s %o% c(fit = 0, lwr = -q[i], upr = q[i])
    if (!is_scaled(block)) bound[] <- block_mean(block, matrix(bound), free[[i]], dim = dim(bound))
    bound
  }
  lapply(seq_along(fit$blocks), of_block)
}

# ---- information criteria

# Criteria that count parameters hold at the maximum of the likelihood alone.
warn_no_criterion <- function(fit, what) {
  why <- why_no_maximum(fit)
  if (is.null(why)) return(invisible())
  warn_user("varnn_no_criterion", paste(
    "%s counts parameters, which holds at the maximum of the likelihood alone; here %s. Another seed gives another",
    "number. Compare models by their scores of held-out rows, as cross_validate() finds them%s."
  ), what, why, if (is_bayesian(fit$spec)) " or by elbo()" else "")
}

# Several fits, of this package or others, are compared as by the default method.
check_criterion <- function(object, ..., what) {
  check_fit(object)
  if (length(...names()) && any(nzchar(...names()))) check_known_names(...names(), ...length(), character())
  fits <- Filter(function(f) inherits(f, "varnn"), list(object, ...))
  lapply(fits, check_fit)
  for (other in list(...)) {
    is_fit <- tryCatch(inherits(stats::logLik(other), "logLik"), error = function(e) FALSE)
    if (!is_fit) stop_user("%s compares fits that have a logLik(), not %s.", what, shown(other))
  }
  for (fit in fits) warn_no_criterion(fit, what)
}

#' @export
AIC.varnn <- function(object, ..., k = 2) {
  k <- check_number(k, "k")
  check_criterion(object, ..., what = "AIC()")
  NextMethod()
}

#' @export
BIC.varnn <- function(object, ...) {
  check_criterion(object, ..., what = "BIC()")
  NextMethod()
}

#' @export
extractAIC.varnn <- function(fit, scale = 0, k = 2, ...) {
  check_fit(fit)
  check_standard("extractAIC", ...)
  k <- check_number(k, "k")
  if (check_number(scale, "scale") != 0)
    stop_user("`scale` must be 0, for the scale is estimated, not %s.", shown(scale))
  warn_no_criterion(fit, "AIC()")
  ll <- stats::logLik(fit)
  c(attr(ll, "df"), -2 * c(ll) + k * attr(ll, "df"))
}
