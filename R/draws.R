# Draws from the posterior of a network, and what is averaged over them.

# The mean over the posterior is known without draws, or the weights are not random.
predicts_by_draws <- function(fit) !is_point(fit$spec) && !can_be_exact(fit$spec)

# The engine's data of complete rows, as design_rows() and training data have them.
row_data <- function(fit, rows, y = NULL) {
  data <- engine_data(rows$x, y, fit$scaling, NULL, engine_offset(fit$blocks, rows$offset))
  if (fit$spec$has_offset && is.null(data$offset)) data$offset <- matrix(0, nrow(rows$x),
                                                                         sum(vapply(fit$blocks, eta_rows, 0)))
  data
}

part_of_rows <- function(data, at) {
  for (field in c("x", "y", "offset"))
    if (!is.null(data[[field]])) data[[field]] <- data[[field]][at, , drop = FALSE]
  data$n <- as.double(length(at))
  data
}

# Numbers held at once while draws are made.
draws_at_once <- 2e6

# Calls visit(values [rows, columns, draws], at) for chunks of rows, all with the same draws of the weights, of which each
# is a function of the key and of its number.
over_chunks <- function(fit, data, draws, want, visit, key = weights_key(), at_once = draws_at_once) {
  if (data$n == 0) return(invisible())
  force(key)
  columns <- run_columns(fit$spec, want)
  check_draws_memory(2 * draws * columns, "That many draws of one row")
  size <- max(1, floor(at_once / (draws * columns)))
  for (first in seq(1, data$n, by = size)) {
    at <- first:min(data$n, first + size - 1)
    out <- fit_run(fit, part_of_rows(data, at), want, mode = "weights", draws = draws, key = key)
    check_finite_output(out)
    dim(out) <- c(length(at), columns, draws)
    visit(out, at)
  }
}

# What the draws of the weights are functions of: two numbers of R's generator.
weights_key <- function() floor(stats::runif(2) * 2^32)

check_draws <- function(draws) check_number(draws, "draws", 1, 1e8, whole = TRUE)

# Result and the copies on the way.
check_draws_memory <- function(numbers, what, argument = "draws") {
  if (24 * numbers > available_memory())
    stop_user("%s would need %s GB, more than there is (%s GB): ask for fewer `%s` or rows.", what,
              format(24 * numbers / 1e9, digits = 3), format(available_memory() / 1e9, digits = 3), argument)
}

# The engine's eta that stands for the mean of the response over the posterior: where that is not known, of draws.
link_of_mean <- list(
  gaussian = function(eta) means_over(eta),
  huber = function(eta) means_over(eta),
  gaussian_hetero = function(eta) {
    k <- seq_len(dim(eta)[2] / 2)
    cbind(means_over(eta[, k, , drop = FALSE]), log(means_over(exp(2 * eta[, -k, , drop = FALSE]))) / 2)
  },
  bernoulli = function(eta) stats::qlogis(means_over(stats::plogis(eta))),
  binomial = function(eta) stats::qlogis(means_over(stats::plogis(eta))),
  categorical = function(eta) log(means_over(softmax_draws(eta))),
  poisson = function(eta) log(means_over(exp(eta))),
  negative_binomial = function(eta) log(means_over(exp(eta)))
)

means_over <- function(x) rowMeans(x, dims = 2)

# Softmax over the columns of an array [rows, levels, draws].
softmax_draws <- function(eta) {
  d <- dim(eta)
  flat <- matrix(aperm(eta, c(1, 3, 2)), ncol = d[2])
  aperm(array(softmax(flat), d[c(1, 3, 2)]), c(1, 3, 2))
}

# Draws for a point prediction, where nothing else is asked for.
default_draws <- 1000

posterior_eta <- function(fit, data, draws = default_draws) {
  if (!predicts_by_draws(fit)) {
    spec <- utils::modifyList(fit$spec, list(estimator = "exact", kl_mc = 0L))
    return(engine_run(spec, fit$theta, data, precision = fit$control$precision))
  }
  columns <- block_slices(fit$blocks, eta_rows)
  out <- matrix(0, data$n, run_columns(fit$spec, "eta"))
  over_chunks(fit, data, draws, "eta", function(eta, at) {
    for (i in seq_along(columns))
      out[at, columns[[i]]] <<- link_of_mean[[fit$blocks[[i]]$family]](eta[, columns[[i]], , drop = FALSE])
  })
  out
}

# ---- posterior predictions, with rstantools' names

#' Draw from the posterior and the posterior predictive distribution
#'
#' `posterior_epred()` draws the expected response (of classes: probabilities), `posterior_predict()` the response,
#' noise included, and `log_lik()` the log-likelihood of each observation, at draws of the weights. All rows share
#' each draw. Also methods of the generics of these names in the package rstantools.
#'
#' @param object a fit by [fit_bayes_nn()].
#' @param newdata as in [predict.varnn_bayes_nn()]; by default the training data. For `log_lik()` with the response.
#' @param draws number of draws.
#' @param y for `log_lik()` of a fit to `x` and `y`: the response of `newdata`.
#' @param ... not used.
#' @return A matrix with a row per draw and a column per row of `newdata` (`NA` where a predictor is missing), on the
#'   scale of the response; `posterior_epred()` of a categorical response an array draws x rows x levels. The
#'   `posterior_predict()` of a factor gives the levels' numbers, with the attribute `"levels"`; of a logical, 0 and
#'   1; of successes and failures the proportion (`posterior_predict()` of one trial). With several responses a named
#'   list of these; `log_lik()` adds them up.
#' @seealso [predict.varnn_bayes_nn()] for means and intervals, [as.matrix.varnn_bayes_nn()] for draws of the weights,
#'   [calibration()].
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 4)
#' dim(posterior_epred(fit, mtcars, draws = 100))
#' rowMeans(log_lik(fit, draws = 5))
#' @export
posterior_epred <- function(object, newdata = NULL, draws = 1000, ...) UseMethod("posterior_epred")

#' @rdname posterior_epred
#' @export
posterior_predict <- function(object, newdata = NULL, draws = 1000, ...) UseMethod("posterior_predict")

#' @rdname posterior_epred
#' @export
log_lik <- function(object, newdata = NULL, y = NULL, draws = 1000, ...) UseMethod("log_lik")

#' @rdname posterior_epred
#' @export
#' @rawNamespace S3method(rstantools::posterior_epred, varnn_bayes_nn)
posterior_epred.varnn_bayes_nn <- function(object, newdata = NULL, draws = 1000, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "draws"))
  drawn_responses(object, found_rows(object, newdata, parent.frame()), check_draws(draws), epred_block)
}

#' @rdname posterior_epred
#' @export
#' @rawNamespace S3method(rstantools::posterior_predict, varnn_bayes_nn)
posterior_predict.varnn_bayes_nn <- function(object, newdata = NULL, draws = 1000, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "draws"))
  out <- drawn_responses(object, found_rows(object, newdata, parent.frame()), check_draws(draws), predict_block)
  label <- function(x, block) if (block$type == "factor") structure(x, levels = block$levels) else x
  if (length(object$blocks) == 1) label(out, object$blocks[[1]]) else Map(label, out, object$blocks)
}

#' @rdname posterior_epred
#' @export
#' @rawNamespace S3method(rstantools::log_lik, varnn_bayes_nn)
log_lik.varnn_bayes_nn <- function(object, newdata = NULL, y = NULL, draws = 1000, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "y", "draws"))
  rows <- rows_with_response(object, newdata, y, parent.frame())
  draws <- check_draws(draws)
  check_draws_memory(draws * length(rows$ok), "That many draws")
  out <- matrix(NA_real_, draws, length(rows$ok), dimnames = list(NULL, rows$rows))
  place <- which(rows$ok)
  shift <- row_jacobian(object, rows$y)
  over_chunks(object, row_data(object, rows, rows$y), draws, "terms", function(terms, at) {
    out[, place[at]] <<- t(-rowSums(aperm(terms, c(1, 3, 2)), dims = 2) - shift[at])
  })
  out
}

# What the density of each row loses by a response on a larger scale, for the entries that are there; NA of none.
row_jacobian <- function(fit, y) {
  first <- vapply(block_slices(fit$blocks, y_rows), function(s) s[1], 0)
  scale <- vapply(fit$blocks, function(b) if (is_gaussian(b)) log(b$scale) else 0, 0)
  there <- !is.na(y[, first, drop = FALSE])
  ifelse(rowSums(there) > 0, drop(there %*% scale), NA)
}

# Predictors of newdata or of the training: list(x, offset, ok, rows).
found_rows <- function(fit, newdata, envir) {
  if (!is.null(newdata)) return(design_rows(fit$design, newdata))
  train <- training_data(fit, NULL, envir)
  list(x = train$x, offset = train$offset, ok = rep(TRUE, nrow(train$x)), rows = fit_rows(fit))
}

# The same with the engine's y.
rows_with_response <- function(fit, newdata, y, envir) {
  if (is.null(newdata)) {
    if (!is.null(y)) stop_user("`y` is the response of `newdata`, which is missing.")
    rows <- found_rows(fit, NULL, envir)
    response <- fit$response
  } else {
    if (is.null(fit$terms)) {
      if (is.null(y)) stop_user("`y` is missing: the model was fitted to x and y, so the response must be given.")
      rows <- design_rows(fit$design, newdata)
      if (NROW(y) != length(rows$ok))
        stop_user("`y` has %d rows and `newdata` has %d: they must be the same.", NROW(y), length(rows$ok))
      response <- take_rows(response_values(y, "y"), rows$ok)
    } else {
      if (!is.null(y)) stop_user("`y` is only for a model that was fitted to x and y: put the response in `newdata`.")
      rows <- design_rows(fit$design, newdata)
      response <- new_response(fit$design, fit$terms, newdata, "`newdata`")$response
    }
    check_like(fit$blocks, response, sum(rows$ok), "`newdata`")
  }
  rows$y <- blocks_y(fit$blocks, response, rows$offset)
  rows$response <- response
  rows
}

# Draws of a response [draws, rows], or [draws, rows, levels], of each block, by
# draw(block, eta [rows, columns, draws], free, offset) -> [rows, (levels,) draws].
drawn_responses <- function(fit, rows, draws, draw, argument = "draws") {
  columns <- block_slices(fit$blocks, eta_rows)
  free <- block_free(fit)
  levels <- lapply(fit$blocks, function(b) if (identical(draw, epred_block) && b$family == "categorical") b$levels)
  n <- length(rows$ok)
  check_draws_memory(draws * n * sum(pmax(1, lengths(levels))), "That many draws", argument)
  out <- lapply(levels, function(l) {
    if (is.null(l)) matrix(NA_real_, draws, n, dimnames = list(NULL, rows$rows))
    else array(NA_real_, c(draws, n, length(l)), list(NULL, rows$rows, l))
  })
  place <- which(rows$ok)
  over_chunks(fit, row_data(fit, rows), draws, "eta", function(eta, at) {
    for (i in seq_along(columns)) {
      one <- draw(fit$blocks[[i]], eta[, columns[[i]], , drop = FALSE], free[[i]], rows$offset[at])
      if (is.null(levels[[i]])) out[[i]][, place[at]] <<- t(one)
      else out[[i]][, place[at], ] <<- aperm(one, c(3, 1, 2))
    }
  })
  if (length(out) == 1) out[[1]] else stats::setNames(out, names(fit$family))
}

epred_block <- function(block, eta, free, offset) {
  if (block$family == "categorical") return(softmax_draws(eta))
  block_mean(block, draws_in_rows(eta), rep_offset(offset, dim(eta)[3]), dim(eta)[c(1, 3)])
}

# One response per row and draw; of a factor the level's number, of successes and failures one trial.
predict_block <- function(block, eta, free, offset) {
  y <- family_table[[block$family]]$draw(draws_in_rows(eta), free)
  if (is_gaussian(block)) y <- y * block$scale + block$center
  if (is_gaussian(block) && !is.null(offset)) y <- y + rep_offset(offset, dim(eta)[3])
  if (block$family == "categorical") y <- max.col(y, ties.method = "first")
  matrix(y, dim(eta)[1])
}

# An array [rows, columns, draws] as a matrix [rows * draws, columns].
draws_in_rows <- function(eta) {
  d <- dim(eta)
  if (d[2] == 1) return(matrix(eta))
  matrix(aperm(eta, c(1, 3, 2)), ncol = d[2])
}

rep_offset <- function(offset, draws) if (!is.null(offset)) rep(offset, draws)

# ---- intervals

# A list of matrices, or one; a block without such an interval has missing values.
interval_of <- function(fit, rows, interval, level, draws) {
  probs <- c((1 - level) / 2, (1 + level) / 2)
  columns <- block_slices(fit$blocks, eta_rows)
  free <- block_free(fit)
  n <- length(rows$ok)
  out <- lapply(fit$blocks, function(b) matrix(NA_real_, n, 3, dimnames = list(rows$rows, c("fit", "lwr", "upr"))))
  place <- which(rows$ok)
  center <- if (!predicts_by_draws(fit)) posterior_eta(fit, row_data(fit, rows))
  check_finite_output(center)
  over_chunks(fit, row_data(fit, rows), draws, "eta", function(eta, at) {
    for (i in which(vapply(fit$blocks, has_interval, NA, interval))) {
      block <- fit$blocks[[i]]
      own <- eta[, columns[[i]], , drop = FALSE]
      mean <- epred_block(block, own, free[[i]], rows$offset[at])
      bounds <- if (interval == "confidence") row_quantiles(mean, probs)
      else predictive_quantiles(block, own, free[[i]], rows$offset[at], probs)
      known <- if (!is.null(center)) block_mean(block, center[at, columns[[i]], drop = FALSE], rows$offset[at])
      out[[i]][place[at], ] <<- cbind(if (is.null(known)) rowMeans(mean) else known, bounds)
    }
  })
  if (length(out) == 1) out[[1]] else stats::setNames(out, names(fit$family))
}

has_interval <- function(block, interval) {
  block$family != "categorical" && (interval == "confidence" || !block$family %in% c("bernoulli", "binomial"))
}

check_interval <- function(fit, interval) {
  for (b in Filter(function(b) !has_interval(b, interval), fit$blocks)) {
    if (b$family == "categorical")
      stop_user("`interval` does not apply to the response `%s`, a factor: see type = \"prob\" or posterior_epred().",
                b$columns)
    stop_user(paste("A prediction interval does not apply to the response `%s`, of which each trial is 0 or 1: use",
                    "\"confidence\", for that of its probability."), b$columns)
  }
}

# Quantiles of the predictive distribution: where the family is normal, of the mixture of its distributions over the
# draws; of other families, of a draw from each.
predictive_quantiles <- function(block, eta, free, offset, probs) {
  twin <- family_table[[block$family]]
  if (is.null(twin$sd))
    return(row_quantiles(predict_block(block, eta, free, offset), probs, is_count = is_count_family(block$family)))
  flat <- draws_in_rows(eta)
  q <- engine_mixture(matrix(twin$mean(flat), dim(eta)[1]), as.vector(twin$sd(flat, free)), probs)
  check_finite_output(q)
  q * block$scale + block$center + if (is.null(offset)) 0 else offset
}

# quantile() of each row; of counts one of them (the inverse of the distribution function).
row_quantiles <- function(x, probs, is_count = FALSE) {
  n <- ncol(x)
  rank <- if (is_count) pmax(1, ceiling(n * probs - 1e-9)) else 1 + (n - 1) * probs
  low <- floor(rank)
  needed <- unique(c(low, ceiling(rank)))
  by_row <- t(x)
  sorted <- vapply(seq_len(nrow(x)), function(i) sort.int(by_row[, i], partial = needed)[needed], needed)
  at <- function(rank) t(matrix(sorted, length(needed))[match(rank, needed), , drop = FALSE])
  share <- rep(rank - low, each = nrow(x))
  at(low) * (1 - share) + at(ceiling(rank)) * share
}

#' Draw weights from the posterior
#'
#' Draws of all weights and biases of a Bayesian network, for a look at their distribution or for computations that no
#' method has.
#'
#' @param x a fit by [fit_bayes_nn()].
#' @param draws number of draws.
#' @param ... not used.
#' @return A matrix with a row per draw from the variational posterior and a column per weight and bias, on the scale
#'   of the standardised data.
#' @seealso [coef.varnn_bayes_nn()] for their means and covariance, [posterior_epred()] for draws of predictions,
#'   [plot.varnn()] with `which = "weights"`.
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2)
#' dim(as.matrix(fit, draws = 10))
#' @export
as.matrix.varnn_bayes_nn <- function(x, draws = 1000, ...) {
  check_fit(x)
  check_dots_empty(..., known = "draws")
  draws <- check_draws(draws)
  q <- weight_posterior(x)
  check_draws_memory(2 * draws * length(q$mean), "That many draws")
  out <- t(of_columns(t(draw_weights(q, draws)), x))
  dimnames(out) <- list(NULL, q$name)
  out
}

draw_weights <- function(q, draws) {
  eps <- matrix(stats::rnorm(draws * length(q$mean)), draws)
  out <- rep(q$mean, each = draws) + eps * rep(q$sigma, each = draws)
  if (!is.null(q$lower)) out[, q$at] <- out[, q$at] + tcrossprod(eps[, q$at, drop = FALSE], q$lower)
  if (!is.null(q$shared))
    out <- out + matrix(stats::rnorm(draws * ncol(q$shared)), draws) %*% t(q$shared)
  out
}

# Mean, sd, name, leaf (row of the layout) of each weight and bias; and, with sigma, what makes their covariance:
# `lower`, the Cholesky factor of the weights `at` below its diagonal sigma; or the factors `shared` by all.
weight_posterior <- function(fit) {
  layout <- fit$layout
  means <- which(layout$part == 0 & layout$role != "noise")
  same <- function(field, i) layout[[field]] == layout[[field]][i]
  part <- function(k) {
    lapply(means, function(i) which(layout$part == k & same("layer", i) & same("role", i) & same("head", i)))
  }
  value <- function(i) fit$theta[leaf_index(layout[i, ])]
  size <- (layout$rows * layout$cols)[means]
  q <- list(mean = unlist(lapply(means, value)), sigma = exp(unlist(lapply(unlist(part(1)), value))),
            name = unlist(lapply(means, function(i) entry_names(layout[i, ]))), leaf = rep(means, size))
  factor <- lapply(part(if (fit$spec$posterior == "lowrank") 3 else 2), function(i) unlist(lapply(i, value)))
  variance <- q$sigma^2
  if (fit$spec$posterior == "lowrank") {
    q$shared <- matrix(unlist(factor), length(q$mean), byrow = TRUE)
    variance <- variance + rowSums(q$shared^2)
  } else if (fit$spec$posterior != "meanfield") {
    is_in <- fit$spec$posterior == "full" | layout$layer[q$leaf] == max(layout$layer[means])
    q$at <- which(is_in)
    stride <- if (fit$spec$posterior == "full") 1 else layout$rows[q$leaf[q$at[1]]]
    q$lower <- lower_factor(unlist(factor), length(q$at), stride)
    variance[q$at] <- variance[q$at] + rowSums(q$lower^2)
  }
  q$sd <- sqrt(variance)
  q
}

# The n rows of packed factors: row g has those of g - stride, g - 2 stride, ..., the first weight's first.
lower_factor <- function(packed, n, stride) {
  count <- (seq_len(n) - 1) %/% stride
  row <- rep(seq_len(n), count)
  col <- (row - 1) %% stride + 1 + stride * (sequence(count) - 1)
  out <- matrix(0, n, n)
  out[cbind(row, col)] <- packed
  out
}

# m, with a row for each weight and bias, with those of the first layer for the columns of x in place of the network's
# inputs: w'z = w'R'x.
of_columns <- function(m, fit, rotation = fit$scaling$rotation) {
  if (is.null(rotation)) return(m)
  leaf <- fit$layout[fit$layout$part == 0 & is_first(fit$layout), ]
  at <- seq_len(leaf$rows * leaf$cols)
  own <- aperm(array(m[at, ], c(leaf$rows, leaf$cols, ncol(m))), c(1, 3, 2))
  own <- tcrossprod(matrix(own, ncol = leaf$cols), rotation)
  m[at, ] <- aperm(array(own, c(leaf$rows, ncol(m), leaf$cols)), c(1, 3, 2))
  m
}

weight_covariance <- function(q) {
  out <- diag(q$sigma^2, length(q$sigma))
  if (!is.null(q$shared)) out <- out + tcrossprod(q$shared)
  if (!is.null(q$lower)) out[q$at, q$at] <- tcrossprod(q$lower + diag(q$sigma[q$at], length(q$at)))
  dimnames(out) <- list(q$name, q$name)
  out
}

entry_names <- function(leaf) {
  if (leaf$cols == 1 && leaf$role != "weight") return(paste0(leaf$name, "[", seq_len(leaf$rows), "]"))
  paste0(leaf$name, "[", rep(seq_len(leaf$rows), leaf$cols), ",", rep(seq_len(leaf$cols), each = leaf$rows), "]")
}
