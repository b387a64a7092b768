# What explore() puts into the page of an autoencoder: the network, its columns, some rows, and answers of R's to check
# them by. What pages of all fits share is in explore_page.R.

coder_page <- function(fit, newdata, envir, group, dim, rows, checks) {
  columns <- fit$design$variables
  if (!is.null(dim)) dim <- check_image_dim(columns, dim)
  found <- latent_rows(fit, newdata, envir, needs_data = TRUE)
  around <- if (is.null(newdata)) found
  else tryCatch(latent_rows(fit, NULL, envir, needs_data = TRUE), varnn_error = function(e) found)
  n <- nrow(found$y)
  group <- check_group(group, n, if (is.null(newdata)) fit$na.action)
  ok <- which(rowSums(!is.finite(found$z)) == 0)
  shown <- ok[mixed_rows(length(ok), rows)]
  given <- if (!is.null(fit$design$given)) given_page(fit, newdata, envir, found, shown)
  list(kind = "code", latent = fit_latent(fit), prior = has_prior(fit), dim = if (!is.null(dim)) I(dim),
       layers = page_layers(fit), theta = packed(fit$theta[leaf_places(mean_leaves(fit))]),
       free = page_free(fit), blocks = page_blocks(fit), scaling = page_scaling(fit$scaling),
       columns = Map(page_column, columns, seq_along(columns), list(fit), list(around)),
       predictors = given$predictors, design = given$design, matrix = fit$design$is_matrix,
       nodes = lapply(list(normal_nodes(15), normal_nodes(61)), function(q) lapply(q, I)),
       codes = code_moments(fit, around$z[is.finite(rowSums(around$z)), , drop = FALSE]),
       rows = list(values = coder_values(columns, on_user_scale_y(fit, found$y[shown, , drop = FALSE])),
                   given = given$values, group = page_group(group[shown]), names = I(coder_names(fit, newdata, shown))),
       checks = keep_random({
         set.seed(1)
         coder_checks(fit, found, given, checks)
       }))
}

coder_names <- function(fit, newdata, rows) {
  names <- if (is.null(newdata)) fit$rows else rownames(newdata)
  if (is.null(names)) as.character(rows) else names[rows]
}

page_group <- function(group) {
  if (is.null(group)) return(NULL)
  if (is.factor(group)) list(levels = I(levels(group)), code = I(as.integer(group) - 1L)) else list(number = I(group))
}

# Mean and root of the covariance of the codes, from which rows of an autoencoder without a prior are simulated.
code_moments <- function(fit, z) {
  moments <- stats::cov.wt(z, method = "ML")
  axes <- eigen(moments$cov, symmetric = TRUE)
  root <- axes$vectors %*% diag(sqrt(pmax(axes$values, 0)), ncol(z))
  list(center = I(unname(moments$center)), root = I(as.vector(root)),
       low = I(unname(apply(z, 2, min))), high = I(unname(apply(z, 2, max))))
}

page_column <- function(column, number, fit, found) {
  block <- which(vapply(fit$blocks, function(b) column$name %in% b$columns, NA))
  values <- on_user_scale_y(fit, found$y)[, column$at, drop = FALSE]
  margin <- column$margin
  has_numbers <- is.null(column$levels)
  ends <- if (has_numbers) suppressWarnings(range(values, na.rm = TRUE))
  list(name = column$name, type = column$type, levels = if (!has_numbers) I(column$levels), at = I(column$at - 1L),
       block = block - 1L, entry = match(column$name, fit$blocks[[block]]$columns) - 1L,
       hot = is_kind(column, "levels"), count = is_kind(column, "count"), fill = I(column$fill),
       indicator = if (column$has_indicator) indicator_place(fit, number) else -1,
       constant = if (isTRUE(column$is_constant)) column$fill[1], low = if (has_numbers) ends[1],
       high = if (has_numbers) ends[2],
       whole = column$type == "integer" || has_numbers && all(values == round(values), na.rm = TRUE),
       margin = if (!is.null(margin))
         c(lapply(margin[c("x", "u", "slope")], I), margin[c("low", "high", "step")], list(jumps = page_jumps(margin))))
}

page_jumps <- function(margin) {
  jumps <- margin_jumps(margin)
  if (!is.null(jumps)) list(first = jumps$first, last = jumps$last, at = I(jumps$at), size = I(jumps$size))
}

# Where the input says that an entry of this column is missing, behind all of y.
indicator_place <- function(fit, number) {
  watched <- which(vapply(fit$design$variables, function(c) c$has_indicator, NA))
  spec_layout(fit$spec)$n_y + match(number, watched) - 1
}

# Values [rows, columns of y] as the page has them: a vector for each column, of levels their number from 0.
coder_values <- function(columns, values) {
  lapply(columns, function(c) {
    v <- values[, c$at, drop = FALSE]
    if (is.null(c$levels)) return(I(v[, 1]))
    I(replace(level_of(replace(v, is.na(v), 0)), is.na(v[, 1]), NA) - 1)
  })
}

# What a conditional model is given: the predictors, their expressions and values.
given_page <- function(fit, newdata, envir, found, shown) {
  frame <- if (is.null(newdata)) given_columns(fit, envir) else as_frame(newdata, "`newdata`")
  frame <- frame[intersect(all.vars(fit$design$given$terms), names(frame))]
  made <- page_columns(fit$design$given, page_predictors(fit$design$given, frame), frame)
  list(predictors = made$predictors, design = list(columns = made$columns, names = I(fit$design$given$columns)),
       values = page_values(made$predictors, frame, shown), frame = frame)
}

# Codes at random with what they decode to, and rows of entries at random, some of them missing, with their codes.
coder_checks <- function(fit, found, given, n) {
  k <- fit_latent(fit)
  center <- colMeans(found$z, na.rm = TRUE)
  spread <- apply(found$z, 2, stats::sd, na.rm = TRUE)
  spread[!is.finite(spread) | spread == 0] <- 1
  z <- matrix(center + 1.5 * spread * stats::rnorm(n * k), n, k, byrow = TRUE)
  at <- if (!is.null(given)) sample.int(nrow(given$frame), n, replace = TRUE)
  rows <- if (!is.null(given)) given$frame[at, , drop = FALSE]
  means <- eta_means(fit, codes_eta(fit, z, if (!is.null(rows)) given_rows(fit, rows, n)))
  raw <- on_user_scale_y(fit, found$y)
  values <- coder_values(fit$design$variables, raw)
  drawn <- lapply(values, function(v) {
    v <- unclass(v)[sample.int(length(v), n, replace = TRUE)]
    I(replace(v, stats::runif(n) < 0.1, NA))
  })
  data <- checked_rows(fit, drawn, rows)
  codes <- model_codes(fit, data$x)
  sd <- if (inherits(fit, "varnn_vae")) code_sds(fit, data$x)
  by_column <- function(m) lapply(seq_len(ncol(m)), function(j) I(unname(m[, j])))
  list(z = by_column(z), given = if (!is.null(rows)) page_values(given$predictors, rows), mean = by_column(means),
       values = drawn, code = by_column(codes), sd = if (!is.null(sd)) by_column(sd))
}

# list(x, y) of rows of such values, as newdata would have them.
checked_rows <- function(fit, values, given) {
  columns <- fit$design$variables
  data <- Map(function(c, v) {
    v <- unclass(v)
    if (is.null(c$levels)) v else c$levels[v + 1]
  }, columns, values)
  n <- length(values[[1]])
  raw <- matrix(0, n, sum(lengths(lapply(columns, `[[`, "at"))))
  for (j in seq_along(columns)) raw[, columns[[j]]$at] <- raw_column(columns[[j]], data[[j]])
  out <- input_output(columns, as_scores(columns, raw))
  if (!is.null(given)) out$x <- cbind(out$x, given_values(fit$design$given, given, "`newdata`"))
  out
}
