# Scales: how columns and responses are centred and scaled, and what a density loses by that.

column_moments <- function(x, weights = NULL) {
  m <- engine_moments(x, weights)
  of_rows <- function(w) if (any(m$n_missing > 0)) colSums(w * !is.na(x)) else sum(w)
  total <- if (is.null(weights)) m$n else of_rows(weights)
  moments_spread(m, total, if (is.null(weights)) m$n else of_rows(weights > 0))
}

# With the standard deviations of n rows, whose weights have this sum, and whether a column is constant. scale()'s n -
# 1; with weights the number of rows they stand for, where they stand for more than they are.
moments_spread <- function(m, total, n) {
  m$sd <- sqrt(m$squares / pmax(total - 1, total * (n - 1) / n, total / 2))
  m$is_constant <- m$min == m$max | m$sd <= 1e-12 * abs(m$mean) & m$sd > 0
  m
}

# Squares of larger numbers, and sums of many, are not finite.
largest_value <- 1e80

# An error where a value is too large in any row, those that moments leave out included.
check_largest <- function(v, name) {
  if (any(abs(v) > largest_value, na.rm = TRUE)) stop_user("Column `%s` has values too large: change its unit.", name)
}

# An error where a spread squares to 0 or to infinity.
check_spread <- function(m, names) {
  is_bad <- !m$is_constant & (m$sd == 0 | !is.finite(m$sd) | m$sd > largest_value)
  bad <- which(is_bad | !is.finite(m$mean) | abs(m$mean) > largest_value)
  if (length(bad)) stop_user("Column `%s` has values too %s to be standardised: change its unit.", names[bad[1]],
                             if (m$sd[bad[1]] %in% 0 && !m$is_constant[bad[1]]) "small" else "large")
}

check_finite_columns <- function(x, columns, where, moments = NULL) {
  m <- if (is.null(moments)) column_moments(x) else moments
  bad <- which(m$n + m$n_missing < nrow(x))
  if (length(bad)) stop_user("Column `%s`%s has infinite values.", columns[bad[1]], where)
  invisible(m)
}

# Centre and scale of each column of x, from the rows to train on: none for dummies and 0/1 columns; a constant column
# becomes 0. `order` tells later whether data found again are the same. With `rotate` also the principal components.
x_scaling <- function(train, standardize, rotate = FALSE) {
  m <- train$known$moments # of all the rows, where x is a sample of them
  if (is.null(m))
    m <- check_finite_columns(train$x, train$design$columns, "", column_moments(train$x, train$moment_weights))
  refuse_missing(train$design$columns, m$n_missing > 0)
  check_spread(m, train$design$columns)
  if (!is.null(train$moment_weights))
    for (j in seq_len(ncol(train$x))) check_largest(train$x[, j], train$design$columns[j])
  is_level <- rev(seq_len(ncol(train$x))) <= length(train$design$embed)
  m$is_constant[is_level] <- FALSE
  as_is <- !standardize | train$design$is_dummy | m$is_binary == 1 | is_level
  use_center <- standardize && train$design$intercept
  out <- list(center = ifelse(m$is_constant & use_center, m$mean, ifelse(as_is | !use_center, 0, m$mean)),
              scale = ifelse(as_is | m$is_constant, 1, m$sd), is_constant = m$is_constant, order = m$order)
  at <- which(!as_is & !m$is_constant)
  if (rotate && length(at) > 1) out$rotation <- principal_axes(standardised(train$x, out), train$moment_weights, at)
  out
}

standardised <- function(x, scaling) {
  n <- nrow(x)
  (x - rep(scaling$center, each = n)) / rep(scaling$scale, each = n)
}

# The orthogonal matrix whose columns `at` are the principal axes of these columns of z, and which leaves the others.
# Rounding errors decide neither on a sign nor on the axes of equal length.
principal_axes <- function(z, weights, at) {
  own <- z[, at, drop = FALSE]
  moments <- if (is.null(weights)) crossprod(own) / nrow(z) else crossprod(own, own * weights) / sum(weights)
  axes <- eigen(round(moments, 8), symmetric = TRUE)$vectors
  largest <- cbind(max.col(round(abs(t(axes)), 8), "first"), seq_along(at))
  out <- diag(ncol(z))
  out[at, at] <- axes * rep(sign(axes[largest]), each = length(at))
  out
}

check_scaled <- function(column, m, raw) {
  if (!is_scaled(column)) return(invisible())
  check_spread(lapply(m, `[`, column$at), column$name)
  check_largest(raw[, column$at], column$name)
}

scale_column <- function(column, m, raw, standardize, train) {
  at <- column$at
  check_scaled(column, m, raw)
  own <- raw[, at[1]]
  if (any(train$weights == 0)) own <- own[train$weights > 0]
  column$has_indicator <- m$n_missing[at[1]] > 0 && anyNA(own)
  column$fill <- m$mean[at]
  if (is_kind(column, "count"))
    column$fill <- weighted_means(log1p(raw[, at, drop = FALSE]), train$moment_weights)
  if (is_scaled(column) && m$is_constant[at]) {
    there <- own[!is.na(own)]
    column$is_constant <- all(there == there[1]) # of the rows held out, too
    if (column$is_constant) column$fill <- there[1]
  }
  if (!is_scaled(column) || !standardize) return(column)
  column$center <- m$mean[at]
  if (!m$is_constant[at]) column$scale <- m$sd[at]
  column
}

input_scaling <- function(train, columns, moments = NULL) {
  m <- if (is.null(moments)) column_moments(train$x, train$moment_weights) else moments
  center <- numeric(ncol(train$x))
  scale <- center + 1
  for (c in columns) {
    center[c$at[1]] <- c$center
    scale[c$at[1]] <- c$scale
  }
  list(center = center, scale = scale, is_constant = m$is_constant, order = m$order)
}

scale_block <- function(block, y, train) {
  y <- as.double(y) - if (is.null(train$offset)) 0 else train$offset
  m <- train$known$of_response[[block$columns]]
  if (is.null(m)) m <- column_moments(matrix(y[!is.na(y)]), train$moment_weights[!is.na(y)])
  check_spread(m, block$columns)
  if (train$design$intercept) block$center <- m$mean
  if (!m$is_constant) block$scale <- m$sd
  block
}

# ---- densities

# What standardising takes off the log-density of each row: the sum of log(scale) over its entries.
log_jacobian <- function(fit, y) {
  scale <- unlist(lapply(fit$blocks, function(b) rep_len(b$scale, b$n_responses)))
  if (all(scale == 1)) 0 else drop((!is.na(y)) %*% log(scale))
}

# What the density of each row loses by a response on a larger scale, for the entries that are there; NA of none.
row_jacobian <- function(fit, y) {
  first <- vapply(block_slices(fit$blocks, y_rows), function(s) s[1], 0)
  scale <- vapply(fit$blocks, function(b) log(b$scale), 0)
  there <- !is.na(y[, first, drop = FALSE])
  ifelse(rowSums(there) > 0, drop(there %*% scale), NA)
}
