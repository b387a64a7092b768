# The response as blocks: each has a family, the columns it models, how these become the engine's y, and the way back.
#   family, columns, type ("numeric", "logical", "factor", "counts", "time"), levels, n_responses (rows of eta / rows
#   per response), center, scale (one per column), noise ("fixed", "shared", "each"), fixed (the free scalars where they
#   are fixed), constants (the family's, by name)

response_blocks <- function(train, family, standardize) {
  if (is.null(train$response)) stop_user("The formula has no response: write it as y ~ x.")
  pieces <- response_pieces(train$response, family, train$response_name)
  unname(lapply(pieces, make_block, standardize, train))
}

# One piece per block: list(y, name, family), the family as the user gave it.
response_pieces <- function(response, family, response_name) {
  if (is_trials(response, family) || is_times(response))
    return(list(list(y = response, name = response_name, family = family_in(family, response_name))))
  if (is.matrix(response) && !is.numeric(response) && !is.logical(response))
    stop_user("The response `%s` must be numeric, logical or a factor, not a matrix of %s.", response_name,
              typeof(response))
  columns <- response_columns(response, response_name)
  if (is_by_name(family)) check_family_names(names(family), names(columns))
  Map(function(y, name) list(y = y, name = name, family = family_in(family, name)), columns, names(columns))
}

check_family_names <- function(given, known) {
  if (anyDuplicated(given)) stop_user("`family` names `%s` twice.", given[duplicated(given)][1])
  new <- setdiff(given, known)
  if (length(new)) stop_user("`family` names `%s`, which is no response%s", new[1],
                             if (nzchar(hint <- did_you_mean(new[1], known))) hint else ".")
}

# Successes and failures.
is_trials <- function(response, family) is.matrix(response) && ncol(response) == 2 && takes_trials(family)
takes_trials <- function(family) !is_by_name(family) && is_kind(list(family = family_name(family)), "trials")

response_columns <- function(response, name) {
  if (!NCOL(response)) stop_user("The response `%s` has no columns.", name)
  if (is.data.frame(response)) return(as.list(response))
  if (!is.matrix(response)) return(stats::setNames(list(response), name))
  if (ncol(response) == 1) return(stats::setNames(list(response[, 1]), name))
  names <- colnames(response)
  if (is.null(names)) names <- rep("", ncol(response))
  names[is.na(names)] <- ""
  names[names == ""] <- paste0("Y", seq_along(names))[names == ""]
  stats::setNames(lapply(seq_along(names), function(j) response[, j]), names)
}

is_by_name <- function(family) {
  (is.character(family) || is.list(family) && !is.object(family)) && !is.null(names(family))
}

# The family of one response, as the user gave it, where `family` may name some.
family_in <- function(family, name) {
  if (!is_by_name(family)) family else if (name %in% names(family)) family[[name]] else "auto"
}

# Responses of other data than those of training, against the blocks that training made.
check_like <- function(blocks, response, n, what = "the held-out data") {
  pieces <- block_pieces(blocks, response)
  if (length(pieces) != length(blocks)) stop_user("There are %d responses in %s, not %d.", length(pieces), what,
                                                  length(blocks))
  Map(check_like_block, blocks, pieces, n, what)
}

check_like_block <- function(block, y, n, what) {
  refuse <- function(...) stop_user("The response `%s` of %s %s.", block$columns, what, sprintf(...))
  if (NROW(y) != n) refuse("has %d values, not %d", NROW(y), n)
  if (all(is.na(y))) return(invisible())
  if (block$type == "time") check_times(y, block$columns, " of ", what)
  is_kind <- switch(block$type, factor = is.factor(y) || is.atomic(y) && !is.complex(y), logical = is.logical(y),
                    is.numeric(y))
  if (!is_kind) refuse("must be %s as in training", block$type)
  if (is.numeric(y) && any(is.infinite(y))) refuse("has infinite values")
  new <- if (block$type == "factor") setdiff(as.character(y), c(block$levels, NA))
  if (length(new)) refuse("has a level that the training data had not: \"%s\"", new[1])
}

make_block <- function(piece, standardize, train) {
  y <- piece$y
  levels <- train$known$levels[[piece$name]]
  if (is.character(y)) y <- if (is.null(levels)) factor(y) else factor(y, levels)
  if (is.null(levels)) y <- used_levels(y)
  check_response(y, piece$name)
  custom <- custom_of(piece$family)
  constants <- constants_of(piece$family)
  family <- if (is.null(custom)) family_of_response(y, piece) else family_name(piece$family)
  record <- record_of(list(family = family, constants = constants, custom = custom))
  if (record$kind == "time") check_events(y, piece$name, train$weights)
  else if (is_times(y)) stop_user("The response `%s` is a survival time: its family must be one of %s, not \"%s\".",
                                  piece$name, quoted(families_of_kind("time")), family)
  if (record$kind == "levels" && !is.factor(y)) {
    y <- factor(y)
    check_response(y, piece$name)
  }
  if (!record$accepts(y)) stop_response(piece, record, family)
  block <- list(family = family, columns = piece$name, type = block_type(y, record$kind),
                levels = if (is.logical(y)) c("FALSE", "TRUE") else levels(y), center = 0, scale = 1,
                n_responses = if (record$kind == "levels") nlevels(y) else 1L, noise = record$noise,
                constants = constants, is_ordered = is.ordered(y))
  block$custom <- custom
  block$fixed <- numeric(n_free(block))
  if (is_scaled(block) && standardize) block <- scale_block(block, y, train)
  if (!is.null(custom)) {
    w <- if (is.null(train$moment_weights)) rep(1, NROW(y)) else train$moment_weights
    check_likelihood(block, block_y(block, y, train$offset)[, 1], w)
  }
  block
}

# A family of several columns that was asked for stands for that of one of them.
stop_response <- function(piece, record, family) {
  asked <- family_name(piece$family)
  is_other <- asked != family && isTRUE(family_table[[asked]]$kind == "trials")
  stop_user("The response `%s` must be %s for the family %s.", piece$name,
            if (is_other) sprintf("%s, or part of %s", record$what, family_table[[asked]]$what)
            else record$what, if (is_other) asked else family)
}

# The name of a family of the package that this response has; of only two levels, or one trial a row, that of these.
family_of_response <- function(y, piece) {
  family <- family_name(piece$family)
  if (family == "auto") family <- auto_family(y, piece$name)
  record <- family_table[[family]]
  is_binary <- record$kind == "trials" && !is.matrix(y) || record$kind == "ordered" && nlevels(y) == 2
  if (is_binary) record$binary else family
}

check_response <- function(y, name) {
  if (!(is.atomic(y) || is.factor(y)))
    stop_user("The response `%s` is %s: it must be numeric, logical, a factor or character.", name, shown(y))
  if (is.numeric(y) && any(is.infinite(y))) stop_user("The response `%s` has infinite values.", name)
  if (is.numeric(y) && any(abs(y) > largest_value, na.rm = TRUE))
    stop_user("The response `%s` has values too large: change its unit.", name)
  if (all(is.na(y))) stop_user("The response `%s` has no value that is not missing.", name)
  if (is.factor(y) && nlevels(y) < 2)
    stop_user("The response `%s` has a single level, \"%s\": there is nothing to learn.", name, levels(y))
}

block_type <- function(y, kind) {
  if (kind == "time") "time" else if (kind == "trials") "counts" else if (is.factor(y)) "factor"
  else if (is.logical(y)) "logical" else "numeric"
}

# The engine's y of a block [n, rows of y], from the response as the user has it. The offset of a number that is
# standardised is taken off.
block_y <- function(block, y, offset = NULL) {
  if (is_kind(block, "trials")) return(cbind(y[, 1], rowSums(y)))
  if (is_kind(block, "time")) return(times_and_events(y))
  if (block$type %in% c("factor", "logical")) {
    is_coded <- is.factor(y) && identical(levels(y), block$levels)
    code <- if (is_coded) as.integer(y) else match(as.character(y), block$levels)
    if (!is_kind(block, "levels")) return(matrix(as.double(code - 1)))
    hot <- matrix(0, length(code), length(block$levels))
    hot[cbind(seq_along(code), code)[!is.na(code), , drop = FALSE]] <- 1
    hot[is.na(code), ] <- NA
    return(hot)
  }
  if (is.null(offset) || !is_scaled(block)) offset <- 0
  matrix((as.double(y) - offset - block$center) / block$scale)
}

# The pieces of a response, in the order of the blocks.
block_pieces <- function(blocks, response) {
  if (is_times(response) || length(blocks) == 1 && (is_kind(blocks[[1]], "trials") || is.null(dim(response))))
    return(list(response))
  if (is.data.frame(response)) return(unname(as.list(response)))
  lapply(seq_len(ncol(response)), function(j) response[, j])
}

blocks_y <- function(blocks, response, offset = NULL) {
  do.call(cbind, Map(block_y, blocks, block_pieces(blocks, response), list(offset)))
}

# The offset on eta [n, rows of eta] for all but what is standardised, or NULL.
engine_offset <- function(blocks, offset) {
  if (is.null(offset) || all(vapply(blocks, is_scaled, NA))) return(NULL)
  for (b in blocks) if (is_kind(b, "levels"))
    stop_user("An offset has no meaning for the family %s: it would be the same for all levels.", b$family)
  of_block <- function(b) { # of the means, which come first among the outputs
    out <- matrix(0, length(offset), eta_rows(b))
    if (!is_scaled(b)) out[, seq_len(b$n_responses)] <- offset
    out
  }
  do.call(cbind, lapply(blocks, of_block))
}

eta_rows <- function(block) as.double(block$n_responses) * length(record_of(block)$parts)
y_rows <- function(block) block$n_responses * if (is_custom(block)) 1 else family_property(block$family, "family_y")
family_property <- function(family, property) {
  r <- registry()
  r[[property]][match(family, r$family)]
}

# The columns of a matrix (of eta, of y) that belong to each block.
block_slices <- function(blocks, rows) {
  n <- vapply(blocks, rows, 0)
  Map(function(last, k) seq.int(last - k + 1, last), cumsum(n), n)
}

# The columns of eta that are logs, and those that are logs of a standard deviation.
log_columns <- function(blocks) unlist(Map(function(b, s) s[is_log_output(b)], blocks, block_slices(blocks, eta_rows)))
log_sd_columns <- function(blocks) {
  unlist(Map(function(b, s) if (has_log_sd(b)) utils::tail(s, b$n_responses), blocks, block_slices(blocks, eta_rows)))
}

# Names of the columns that predictions of several numbers have.
block_labels <- function(block, several = FALSE) {
  if (!has_levels(block)) return(block$columns)
  if (several) paste(block$columns, block$levels, sep = ".") else block$levels
}

eta_labels <- function(block, several = FALSE) {
  parts <- record_of(block)$parts[-1]
  if (is_kind(block, "ordered")) return(block$columns)
  if (!length(parts)) return(block_labels(block, several))
  parts[parts == "log_sd"] <- "log_sigma"
  c(block$columns, paste(rep(parts, each = length(block$columns)), block$columns, sep = "."))
}

# The mean of y on the user's scale, from the engine's eta, in an array of dimension `dim`.
block_mean <- function(block, eta, free, offset = NULL, dim = NULL) {
  mu <- as_observed(block, mean_at(block, eta, free), offset)
  array(mu, if (is.null(dim)) c(nrow(eta), length(block_labels(block))) else dim) # also of no rows
}

# The engine's y, or its mean, on the user's scale.
as_observed <- function(block, y, offset = NULL) {
  if (!is_scaled(block)) return(y)
  each <- function(v) if (length(v) == 1) v else rep(v, each = nrow(y))
  each(block$center) + each(block$scale) * y + if (is.null(offset)) 0 else offset
}
