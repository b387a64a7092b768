# Factors that enter a network by an embedding: of each level a few numbers, which are learned, in place of dummies. A
# design says in `embed` how many numbers, by the names of the variables; its last columns are the numbers of their
# levels, from 0, and the first layers of the specification pick the columns of matrices by these. The number after the
# last stands for a level that the training data had not: its numbers are 0, the mean of all rows.

least_embedded <- 33

# Near half as many as digits tell the levels apart in base 2: a power of 2, of whose columns none straddles two lines
# of the processor's memory.
default_width <- function(n_levels) 2^round(log2(log2(n_levels) / 2))

# list(auto, width): whether factors with many levels are embedded, and what is said of some by name. `has_hidden`: in
# a linear model there is no use for fewer numbers than levels.
check_embed <- function(embed, has_hidden = TRUE) {
  if (identical(embed, "auto")) return(list(auto = has_hidden, width = numeric()))
  width <- plain_numbers(if (is.numeric(embed)) unname(embed))
  names <- plain_names(embed)
  is_none <- identical(as.double(width), 0) && is.null(names)
  is_right <- every(!is.null(width), is_none || every(!is.null(names), !anyNA(names), all(nzchar(names))),
                    all(is.finite(width)), all(width >= 0 & width <= 1e4 & width == round(width)))
  if (!is_right)
    stop_user(paste("`embed` must be \"auto\", 0 for none, or how many numbers stand for a level of a factor, such as",
                    "c(zip = 4), not %s."), shown(embed))
  if (anyDuplicated(names)) stop_user("`embed` names \"%s\" twice.", names[duplicated(names)][1])
  if (any(width > 0) && !has_hidden)
    stop_user("`embed` needs a hidden layer: without one each level has its own coefficient.")
  list(auto = has_hidden && !is_none, width = if (is_none) numeric() else stats::setNames(width, names))
}

# Of which variables how many numbers; NULL where there are none. Only a factor that is a term by itself can be
# embedded.
embedded_widths <- function(embed, terms, xlevels, contrasts) {
  if (is.null(embed)) return(NULL)
  known <- names(xlevels)
  unknown <- setdiff(names(embed$width), known)
  if (length(unknown)) stop_user("`embed` names \"%s\", which is no factor among the predictors%s", unknown[1],
                                 if (nzchar(hint <- did_you_mean(unknown[1], known))) hint else ".")
  if (!length(known)) return(NULL)
  can_be <- is_alone(terms, known) & !known %in% names(contrasts)
  width <- ifelse(embed$auto & can_be & lengths(xlevels) >= least_embedded, default_width(lengths(xlevels)), 0)
  names(width) <- known
  width[names(embed$width)] <- embed$width
  bad <- known[width > 0 & !can_be]
  if (length(bad)) stop_user(paste("`embed` names `%s`, which has an interaction or contrasts: these are of dummies.",
                                   "Leave it out of one of the two."), bad[1])
  width <- width[width > 0]
  if (length(width)) stats::setNames(as.integer(width), names(width))
}

# Whether each of these variables makes one term and no interaction.
is_alone <- function(terms, names) {
  uses <- attr(terms, "factors")[match(names, term_variables(terms)), , drop = FALSE] > 0
  vapply(seq_along(names), function(i) sum(uses[i, ]) == 1 && attr(terms, "order")[uses[i, ]] == 1, NA)
}

# The terms without those of embedded variables; NULL where there are no others.
dense_terms <- function(terms, embed) {
  if (!length(embed)) return(terms)
  uses <- attr(terms, "factors")[match(names(embed), term_variables(terms)), , drop = FALSE] > 0
  of_embed <- colSums(uses) > 0
  if (!all(of_embed)) stats::drop.terms(terms, which(of_embed))
}

# The numbers of the levels, as columns.
level_columns <- function(frame, embed, xlevels) {
  out <- vapply(names(embed), function(name) {
    v <- frame[[name]]
    levels <- xlevels[[name]]
    at <- if (is.factor(v) && identical(levels(v), levels)) as.integer(v) else match(as.character(v), levels)
    as.double(at - 1L)
  }, numeric(nrow(frame)))
  matrix(out, nrow(frame), length(embed), dimnames = list(NULL, names(embed)))
}

# Columns of a model matrix, and those behind them, by one copy.
with_numbers <- function(x, keep, numbers) {
  own <- x[, c(which(keep), rep(1L, ncol(numbers))), drop = FALSE]
  if (!ncol(numbers)) return(own)
  at <- sum(keep) + seq_len(ncol(numbers))
  own[, at] <- numbers
  colnames(own)[at] <- colnames(numbers)
  own
}

embed_layers <- function(design) {
  Map(function(width, levels) layer("embed", width, setting = length(levels)), unname(design$embed),
      unname(design$xlevels[names(design$embed)]))
}

# What a user has said of the training data is known by now.
embed_again <- function(design) list(auto = FALSE, width = design$embed)

# The specification and the data without numbers of levels, at most 10,000 rows; NULL where there are no other columns.
without_levels <- function(spec, data) {
  is_embed <- spec$layer == "embed"
  p <- spec$n_x - sum(is_embed)
  if (!any(is_embed)) return(list(spec = spec, data = data))
  if (p == 0) return(NULL)
  fields <- c("layer", "size", "option", "setting")
  spec[fields] <- lapply(spec[fields], `[`, !is_embed)
  spec$n_x <- as.integer(p)
  first <- seq_len(p)
  rows <- if (is.null(data$row)) seq_len(data$n) else data$row
  if (length(rows) > 10000) rows <- rows[sample.int(length(rows), 10000)]
  part <- function(m) if (!is.null(m)) m[rows, , drop = FALSE]
  data[c("x", "y", "offset")] <- list(data$x[rows, first, drop = FALSE], part(data$y), part(data$offset))
  data[c("weight", "row")] <- list(data$weight[rows], NULL)
  data$n <- as.double(length(rows))
  for (name in c("center", "scale", "is_constant")) data[[name]] <- data[[name]][first]
  list(spec = spec, data = data)
}

# The fit with embeddings whose mean over the rows of training is 0: the first dense layer's bias takes it. So the mean
# level is the one of zeros.
centred_levels <- function(fit) {
  embed <- fit$design$embed
  if (is.null(embed)) return(fit)
  leaves <- fit$layout
  theta <- fit$theta
  weight <- leaves[leaves$role == "weight", ][1, ]
  bias <- leaf_index(leaves[leaves$role == "bias" & leaves$layer == weight$layer, ])
  w <- matrix(theta[leaf_index(weight)], weight$rows)
  column <- fit$spec$n_x - length(embed)
  for (i in seq_along(embed)) {
    at <- leaf_index(leaves[leaves$role == "embedding", ][i, ])
    levels <- matrix(theta[at], embed[i])
    mean <- drop(levels %*% fit$design$shares[[names(embed)[i]]])
    theta[at] <- levels - mean
    theta[bias] <- theta[bias] + drop(w[, column + seq_len(embed[i]), drop = FALSE] %*% mean)
    column <- column + embed[i]
  }
  if (all(is.finite(theta)) && all(abs(theta) <= 1e100)) fit$theta <- theta
  fit
}

# Names of what the first dense layer reads.
first_inputs <- function(fit) {
  embed <- fit$design$embed
  columns <- fit$design$columns
  if (is.null(embed)) return(columns)
  c(columns[seq_len(length(columns) - length(embed))],
    paste0(rep(names(embed), embed), sequence(unname(embed))))
}

# Whether a design and a specification have the same embeddings.
is_embed <- function(design, fit) {
  at <- which(fit$spec$layer == "embed")
  embed <- design$embed
  if (is.null(embed)) return(!length(at))
  every(inherits(fit, "varnn_nn"), design$kind == "frame", is.integer(embed), is_bare(embed, "names"),
        is_words(names(embed), length(at)), all(names(embed) %in% names(design$xlevels)),
        identical(unname(embed), fit$spec$size[at]), !is.null(design$shares),
        identical(fit$spec$setting[at], as.double(lengths(design$xlevels[names(embed)], use.names = FALSE))),
        identical(utils::tail(design$columns, length(at)), names(embed)), all(is_alone(design$terms, names(embed))),
        all(utils::tail(fit$scaling$center, length(at)) == 0), all(utils::tail(fit$scaling$scale, length(at)) == 1))
}
