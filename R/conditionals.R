# Any columns of a variational autoencoder given any others, and integrals over codes: up to three latent dimensions by
# quadrature, else by importance sampling.

most_exact <- 3 # latent dimensions of which there is a quadrature
node_counts <- c(40, 20, 12) # nodes in each dimension

# log p(x, z) - log q(z | x) at nodes of Gauss and Hermite for each row, one by one into `use` as each_log_weight() has
# it: the mean of their exponentials is p(x). The nodes follow the mean and the covariance of p(z | x).
each_node <- function(fit, rows, use) {
  state <- use_seed(1) # of the draws that look for a place to start
  on.exit(state$restore())
  d <- ncol(rows$z)
  q <- list(mu = rows$z, sd = code_sds(fit, rows$x))
  new <- new_gaps(fit, rows$y)
  if (any(new)) q <- adapted_codes(fit, rows, new, q, list(scale = c(1, 3), share = c(0.6, 0.2)))
  rows <- with_intervals(fit, rows)
  root <- array(0, c(nrow(q$mu), d, d))
  for (j in seq_len(d)) root[, j, j] <- 1.5 * q$sd[, j]
  for (round in 1:3) {
    moments <- node_moments(fit, rows, q$mu, root, 9)
    q$mu <- moments$mean
    root <- roots_of(1.4 * moments$cov)
  }
  at_nodes(fit, rows, q$mu, root, node_counts[d], use)
}

at_nodes <- function(fit, rows, mu, root, n, use) {
  d <- ncol(mu)
  nodes <- normal_nodes(n)
  log_root <- rowSums(log(vapply(seq_len(d), function(j) root[, j, j], numeric(nrow(mu)))) + array(0, dim(mu)))
  one_node <- function(k) {
    i <- (k - 1) %/% n^(seq_len(d) - 1) %% n + 1
    at <- nodes$at[i]
    z <- mu
    for (j in seq_len(d)) z <- z + root[, , j] * at[j]
    log_w <- sum(log(nodes$weight[i]) - stats::dnorm(at, log = TRUE)) + d * log(n)
    list(z = z, log_ratio = log_normal(z, 0, 1) + log_root + log_w)
  }
  each_weighted(fit, rows, n^d, one_node, use)
}

# The means and covariances [rows, latent, latent] of p(z | x), by n nodes in each dimension.
node_moments <- function(fit, rows, mu, root, n) {
  d <- ncol(mu)
  pair <- expand.grid(1:d, 1:d)
  products <- function(z) z[, pair[[1]], drop = FALSE] * z[, pair[[2]], drop = FALSE]
  sums <- weighted_sums(function(use) at_nodes(fit, rows, mu, root, n, use), function(z) cbind(z, products(z)))
  mean <- sums[, 1:d, drop = FALSE]
  cov <- sums[, -(1:d), drop = FALSE] - products(mean)
  list(mean = mean, cov = array(cov, c(nrow(mu), d, d)))
}

# Lower triangles L with L L' = cov, row by row.
roots_of <- function(cov) {
  d <- dim(cov)[2]
  out <- 0 * cov
  for (j in seq_len(d)) for (i in j:d) {
    rest <- cov[, i, j]
    for (k in seq_len(j - 1)) rest <- rest - out[, i, k] * out[, j, k]
    out[, i, j] <- if (i == j) sqrt(pmax(rest, 1e-12)) else rest / out[, j, j]
  }
  out
}

# The mean of f(z) by the weights that `each` gives, row by row.
weighted_sums <- function(each, f) {
  top <- -Inf
  total <- sum <- 0
  each(function(log_weight, z) {
    new_top <- pmax(top, log_weight)
    shrink <- exp(top - new_top)
    w <- exp(log_weight - new_top)
    sum <<- sum * shrink + w * f(z)
    total <<- total * shrink + w
    top <<- new_top
  })
  sum / total
}

# ---- columns given others

# A data frame with the columns of `given`, and NA in all others that the model has.
with_unknown <- function(fit, given) {
  given <- as_frame(given, "`given`")
  own <- own_names(fit)
  also <- conditioned_names(fit)
  check_columns_known(names(given), c(own, also), "given")
  missing <- setdiff(also, names(given))
  if (length(missing)) stop_user("`given` has no column `%s`, which the model needs.", missing[1])
  if (!nrow(given)) stop_user("`given` has no rows.")
  given[setdiff(own, names(given))] <- NA
  given[c(own, also)]
}

# The names in new data of what is modelled, and of what the model is conditional on.
own_names <- function(fit) {
  terms <- fit$design$terms
  if (is.null(terms)) vapply(fit$design$variables, function(c) c$name, "") else
    setdiff(all.vars(terms), ls_formula(terms))
}
conditioned_names <- function(fit) if (!is.null(fit$design$given)) all.vars(fit$design$given$terms)

# New data with NA in what they lack: the target, and columns that are not known. A column of another name may be one of
# these misspelt.
with_absent <- function(fit, newdata, target) {
  newdata <- as_frame(newdata, "`newdata`")
  absent <- setdiff(c(own_names(fit), target), names(newdata))
  if (length(setdiff(absent, target)))
    check_columns_known(names(newdata), c(own_names(fit), conditioned_names(fit), target), "newdata")
  newdata[absent] <- NA
  newdata
}

# nsim draws for each row of `given`.
simulate_given <- function(fit, given, nsim) {
  data <- with_unknown(fit, given)
  check_rows_memory(fit, nsim * nrow(data))
  data <- data[rep(seq_len(nrow(data)), nsim), , drop = FALSE]
  row.names(data) <- NULL
  speaking_of("given", impute(fit, data))
}

# The rows as they are without the entries of these columns.
without_entries <- function(fit, rows, columns) {
  for (c in columns) {
    rows$x[, c$at] <- rep(c$fill, each = nrow(rows$x))
    rows$x[, match(paste0(c$name, ".missing"), fit$design$columns)[c$has_indicator]] <- 1
    rows$y[, c$at] <- NA
    if (!is.null(rows$impossible))
      rows$impossible[, vapply(fit$design$variables, function(v) identical(v$name, c$name), NA)] <- FALSE
  }
  rows$z <- model_codes(fit, rows$x)
  rows
}

# The means of some columns given the others of new data.
predict_target <- function(fit, newdata, target, envir) {
  names <- vapply(fit$design$variables, function(c) c$name, "")
  if (!is.character(target) || !length(target) || anyNA(target))
    stop_user("`target` must be names of columns, not %s.", shown(target))
  check_columns_known(target, names, "target")
  rows <- if (is.null(newdata)) latent_rows(fit, NULL, envir, needs_data = TRUE) else
    latent_rows(fit, with_absent(fit, newdata, target), envir)
  columns <- fit$design$variables[match(target, names)]
  rows <- without_entries(fit, rows, columns)
  given <- given_rows(fit, NULL, nrow(rows$z), rows$x)
  each <- if (ncol(rows$z) <= most_exact) function(use) each_node(fit, rows, use)
  else function(use) each_log_weight(fit, rows, 500, use)
  means <- weighted_sums(each, means_at(fit, columns, given))
  rows$finish(target_columns(columns, means))
}

# A function of codes: the means there of these columns.
means_at <- function(fit, columns, given) {
  means <- score_means(fit, columns)
  function(z) {
    eta <- codes_eta(fit, z, given)
    eta_means(fit, eta, columns, if (is.null(means)) score_means(fit, columns, eta) else means)
  }
}

# Means of numbers, probabilities of levels: a matrix.
target_columns <- function(columns, means) {
  of_column <- function(c) {
    p <- means[, c$at, drop = FALSE]
    if (!is.null(c$levels)) p <- by_level(p)
    colnames(p) <- if (is.null(c$levels)) c$name else paste(c$name, c$levels, sep = ".")
    p
  }
  do.call(cbind, lapply(columns, of_column))
}
