# A fit read from a file may be anything: what the methods rely on is checked before they start. The engine looks at
# the specification by itself; here it must go with the class, and each field with the specification.
check_fit <- function(fit) {
  if (is_mixture(fit)) return(check_mixture(fit))
  damaged <- function(...) stop_user("The fit is damaged: %s; fit the model anew.", sprintf(...))
  holds <- function(rule) isTRUE(tryCatch(rule, error = function(e) FALSE, warning = function(w) FALSE))
  if (!holds(is_record(fit, names(fit_rules)))) damaged("it is no list of fields with names of their own")
  if (!holds(is_class(fit))) damaged("its class, %s, is not as it was made", quoted(oldClass(fit)))
  layout <- tryCatch(spec_layout(fit$spec),
                     error = function(e) damaged("%s", sub("^the model is damaged: ", "", conditionMessage(e))))
  if (!holds(goes_with_class(fit))) damaged("its class is %s, and its specification is another one's", oldClass(fit)[1])
  for (field in names(fit_rules))
    if (!holds(fit_rules[[field]](fit[[field]], fit, layout))) damaged("`%s` is not as it was made", field)
  invisible(fit)
}

# A list whose fields `$` finds by their whole names: none is there twice, or in place of one that is absent.
is_record <- function(x, known) {
  names <- names(x)
  every(is.list(x), !isS4(x), is.character(names), !anyNA(names), !anyDuplicated(names),
        !any(vapply(setdiff(known, names), function(field) any(startsWith(names, field)), NA)))
}

# What models of each class are made of: whether their weights have a prior, the posterior of their codes (none: no
# latent layer), and how they read data.
class_rules <- list(
  varnn_nn = list(is_bayesian = FALSE, codes = character(), design = c("frame", "matrix")),
  varnn_bayes_nn = list(is_bayesian = TRUE, codes = character(), design = c("frame", "matrix")),
  varnn_ae = list(is_bayesian = FALSE, codes = "point", design = "columns"),
  varnn_vae = list(is_bayesian = FALSE, codes = "meanfield", design = "columns")
)

# One of these classes, "varnn" behind it; a user's own may stand in front.
is_class <- function(fit) {
  last <- utils::tail(oldClass(fit), 2)
  every(length(last) == 2, last[1] %in% names(class_rules), last[2] == "varnn",
        !any(utils::head(oldClass(fit), -2) %in% c(names(class_rules), "varnn")))
}

goes_with_class <- function(fit) {
  rule <- class_rules[[utils::tail(oldClass(fit), 2)[1]]]
  every(identical(names(attributes(fit$spec)), "names"), all(vapply(fit$spec, is_bare, NA)),
        all(vapply(fit$spec$programs, is_sound_program, NA)),
        identical(is_bayesian(fit$spec), rule$is_bayesian),
        identical(fit$spec$option[fit$spec$layer == "latent"], rule$codes), is_one_of(fit$design$kind, rule$design))
}

# No number of a fit is beyond 1e100: products of two are still finite. `with`: the attributes that it may have.
is_finite_vector <- function(x, length, with = NULL) {
  every(is.numeric(x), is_bare(x, with), length(x) == length, all(is.finite(x)), all(abs(x) <= 1e100))
}

is_bare <- function(x, with = NULL) all(names(attributes(x)) %in% with)
is_flag <- function(x) is_bare(x) && (isTRUE(x) || isFALSE(x))

is_finite_matrix <- function(x, rows, cols) {
  every(is_finite_vector(x, rows * cols, c("dim", "dimnames")), is_matrix_of(x, rows, cols))
}

is_matrix_of <- function(x, rows, cols) every(is.matrix(x), identical(dim(x), as.integer(c(rows, cols))))

# Standard deviations of numbers, whose squares are more than 0, or 1: quotients by them are still finite.
are_scales <- function(x, length) is_finite_vector(x, length) && all(x >= 1e-200)

# The largest number in single precision.
largest_single <- (2 - 2^-23) * 2^127

# Whether a fit's design is one of its kind, by kinds.
design_rules <- list(
  matrix = function(x, fit, layout) is.null(x$names) || is_words(x$names, fit$spec$n_x),
  frame = function(x, fit, layout) {
    is_named_list <- function(x) is.list(x) && is_bare(x, "names") && is_words(names(x), length(x))
    every(is_terms(x$terms), is.null(x$times) || are_words(x$times),
          is.null(x$contrasts) || is_named_list(x$contrasts),
          is.null(x$new_levels) || is_one_of(x$new_levels, new_level_choices), are_shares(x),
          is.null(x$assign) || is_assign(x$assign, x$terms, length(x$columns)),
          is.null(x$xlevels) || is_named_list(x$xlevels) && all(vapply(x$xlevels, are_words, NA)) &&
            all(names(x$xlevels) %in% discrete_variables(x$terms)))
  },
  columns = function(x, fit, layout) {
    every(is_columns_design(x, fit, layout), is.null(x$names) || is_words(x$names, length(x$variables)))
  }
)

# Of each column the number of its term; 0: the column is a learned number of a level. Fits of earlier versions have
# none.
is_assign <- function(x, terms, columns) {
  every(is.integer(x), is_bare(x), length(x) == columns, all(x %in% 0:length(attr(terms, "term.labels"))))
}

# Of each factor those of its levels; fits of earlier versions have none, and then no mean of levels.
are_shares <- function(design) {
  if (is.null(design$shares)) return(!identical(design$new_levels, "mean"))
  every(is.list(design$shares), is_bare(design$shares, "names"), identical(names(design$shares), names(design$xlevels)),
        all(mapply(function(p, levels) is_finite_vector(p, length(levels)) && all(p >= 0), design$shares,
                   design$xlevels)))
}

is_words <- function(x, length) every(are_words(x), length(x) == length)
are_words <- function(x) every(is.character(x), is_bare(x, "names"), !anyNA(x))

optional <- function(rule) function(x, fit, layout) is.null(x) || isTRUE(rule(x, fit, layout))
is_epoch <- function(x, fit, layout) every(is_finite_vector(x, 1), x >= 0, x <= .Machine$integer.max, x == round(x))

# For each field: whether x is right in this fit, whose specification has this layout.
fit_rules <- list(
  control = function(x, fit, layout) is_control(x, fit),
  theta = function(x, fit, layout) {
    every(is.double(x), is_finite_vector(x, layout$n_par),
          fit$control$precision == "double" || all(abs(x) <= largest_single))
  },
  n_par = function(x, fit, layout) is_finite_vector(x, 1) && x == layout$n_par,
  layout = function(x, fit, layout) identical(x, layout$leaves),
  blocks = function(x, fit, layout) {
    every(is.list(x), length(x) == length(fit$spec$family)) &&
      all(vapply(seq_along(x), function(i) is_block(x[[i]], fit$spec, i), NA)) && are_fields(block_fields(x), fit$spec)
  },
  scaling = function(x, fit, layout) {
    p <- fit$spec$n_x
    every(is.list(x), is.double(x$center), is.double(x$scale), is_finite_vector(x$center, p),
          are_scales(x$scale, p), is_finite_vector(x$order, p), is.logical(x$is_constant), is_bare(x$is_constant),
          length(x$is_constant) == p, !anyNA(x$is_constant),
          is.null(x$rotation) || is_finite_matrix(x$rotation, p, p))
  },
  design = function(x, fit, layout) {
    every(is.list(x), is_words(x$columns, fit$spec$n_x), is_flag(x$intercept),
          isTRUE(design_rules[[x$kind]](x, fit, layout)), is_embed(x, fit))
  },
  n_obs = function(x, fit, layout) is_finite_vector(x, 1) && x >= 1,
  arguments = function(x, fit, layout) {
    every(is.list(x), is_family_argument(x$family, layout), !is_bayesian(fit$spec) || are_bayes_arguments(x),
          !inherits(fit, "varnn_vae") || are_vae_arguments(x))
  },
  history = function(x, fit, layout) {
    of_class <- if (!is_bayesian(fit$spec)) character() else c("kl_weights", "elbo")
    if ("meanfield" %in% fit$spec$option[fit$spec$layer == "latent"]) of_class <- c("kl_latent", "elbo")
    every(is.data.frame(x), all(c("epoch", "loss", "nll", of_class) %in% names(x)), is_words(names(x), length(x)),
          all(nzchar(names(x))), all(vapply(x, is_history_column, NA)), all(lengths(x) == nrow(x)),
          all(is.finite(x$epoch)), nrow(x) <= fit$n_epochs)
  },
  n_epochs = is_epoch,
  best_epoch = function(x, fit, layout) every(is_epoch(x), x <= fit$n_epochs),
  rank = optional(function(x, fit, layout) every(is_finite_vector(x, 1), x >= 0, x <= fit$spec$n_x + 1, x == round(x))),
  kept_columns = optional(function(x, fit, layout) {
    every(is_linear(fit$spec), is.integer(x), all(x %in% seq_len(fit$spec$n_x)), !anyDuplicated(x))
  }),
  is_separated = optional(function(x, fit, layout) is_flag(x)),
  is_flat = optional(function(x, fit, layout) is_flag(x)),
  information = optional(function(x, fit, layout) {
    size <- (length(fit$kept_columns) + fit$design$intercept) * layout$n_eta
    every(!is.null(fit$kept_columns), is_finite_matrix(x, size, size), all(diag(x) >= 0))
  }),
  laplace = function(x, fit, layout) if (is_laplace(fit$spec)) is_laplace_record(x, fit) else is.null(x),
  sampled = function(x, fit, layout) if (is_sampled(fit$spec)) is_sampled_record(x, fit, layout) else is.null(x),
  family = function(x, fit, layout) identical(x, fit_family(fit$blocks)),
  rows = optional(function(x, fit, layout) is_words(x, fit$n_obs)),
  held_out = optional(function(x, fit, layout) {
    every(is.numeric(x), is_bare(x, "names"), length(x) >= 1, length(x) < fit$n_obs, !anyDuplicated(x),
          all(x %in% seq_len(fit$n_obs)))
  }),
  data = optional(function(x, fit, layout) is_training_data(x, fit, layout)),
  stop_reason = function(x, fit, layout) is_one_of(x, statuses),
  converged = function(x, fit, layout) is_flag(x),
  eta = optional(function(x, fit, layout) is_finite_matrix(x, fit$n_obs, layout$n_eta)),
  response = function(x, fit, layout) is_kept_response(x, fit),
  codes = optional(function(x, fit, layout) is_finite_matrix(x, fit$n_obs, layout$z_rows)),
  errors = optional(function(x, fit, layout) {
    every(is.numeric(x), is_bare(x), length(x) == fit$n_obs, any(is.finite(x)), all(abs(x) <= 1e100, na.rm = TRUE))
  }),
  weights = optional(function(x, fit, layout) {
    every(is_finite_vector(x, fit$n_obs), all(x >= 0), any(x > 0))
  }),
  offset = function(x, fit, layout) is_kept_offset(x, fit),
  na.action = optional(function(x, fit, layout) {
    every(inherits(x, c("omit", "exclude")), is.numeric(x), !anyNA(x), all(x >= 1), !anyDuplicated(x),
          all(x <= fit$n_obs + length(x)))
  }),
  call = function(x, fit, layout) is.call(x) && !is.object(x),
  terms = optional(function(x, fit, layout) is_terms(x)),
  state = optional(function(x, fit, layout) {
    slots <- row_property("optimizer", fit$control$optimizer, "slots")
    n_levels <- sum(layout$leaves$cols[layout$leaves$role == "embedding" & layout$leaves$part == 0])
    is.double(x) && is_finite_vector(x, slots * layout$n_par + 1 + n_levels)
  }),
  source = optional(function(x, fit, layout) is_source(x, fit)),
  version = function(x, fit, layout) is_finite_vector(x, 1)
)

# The response and the offset of the training rows, of which fits to chunks keep none.
is_kept_response <- function(x, fit) {
  if (fit$design$kind == "columns" || is_from_chunks(fit)) return(is.null(x))
  NROW(x) == fit$n_obs && is_response(x, fit$blocks)
}

is_kept_offset <- function(x, fit) {
  if (is.null(x)) return(!fit$spec$has_offset || isTRUE(fit$source$has_offset))
  every(is.numeric(x), is_bare(x), length(x) == fit$n_obs)
}

# Numbers of training may be infinite or missing; the engine makes none that is subnormal.
is_history_column <- function(v) {
  size <- abs(v[is.finite(v)])
  every(is.numeric(v), is.null(attributes(v)), all(size == 0 | size >= .Machine$double.xmin))
}

# What laplace_record() makes.
is_laplace_record <- function(x, fit) {
  if (!is.list(x) || length(fit$spec$precision) != n_weights(fit$spec)) return(FALSE)
  held <- is.infinite(fit$spec$precision)
  active <- x$active
  if (!is.integer(active) || !is_bare(active) || !all(active %in% which(!held))) return(FALSE)
  rows <- layered_leaves(fit$layout, held, active)
  layered <- unlist(lapply(rows, function(i) leaf_index(fit$layout[i, ])))
  n <- length(active)
  every(identical(active, setdiff(which(!held), layered)), is.double(x$root),
        is_finite_vector(x$root, n * (n + 1) / 2), all(x$root[cumsum(seq_len(n))] > 0),
        is_finite_vector(x$effective, length(x$effective), "names"), is_finite_vector(x$evidence, 1),
        are_layer_posteriors(x$layers, fit$layout, held, rows))
}

# What train_hmc() makes, or train_dropout().
is_sampled_record <- function(x, fit, layout) {
  if (!is_hmc(fit$spec)) return(are_masks(x, fit))
  n <- ncol(x$draws)
  every(is.list(x), is_finite_matrix(x$draws, layout$n_par, n), n >= 1,
        is_finite_matrix(x$precision, nrow(x$precision), ncol(x$precision)), all(x$precision > 0),
        is_finite_matrix(x$path, nrow(x$path), ncol(x$path)),
        identical(rownames(x$path), path_columns), is_finite_vector(x$max_depth, 1),
        is_finite_matrix(x$watched, n, ncol(x$watched)), is_posterior_record(fit$arguments$posterior_options))
}

# What layer_posteriors() makes, of these rows of the layout.
are_layer_posteriors <- function(x, layout, held, rows) {
  is_basis <- function(b, n) is.null(b) || is_finite_matrix(b, n, n) && all(abs(crossprod(b) - diag(n)) < 1e-8)
  is_one <- function(k) {
    leaf <- x[[k]]
    i <- rows[k]
    shape <- c(layout$rows[i], layout$cols[i])
    every(is.list(leaf), identical(leaf$row, i), is_basis(leaf$out, shape[1]), is_basis(leaf$`in`, shape[2]),
          is_finite_matrix(leaf$sd, shape[1], shape[2]), all((leaf$sd > 0) == !held[leaf_index(layout[i, ])]),
          all(leaf$sd >= 0))
  }
  every(is.list(x), length(x) == length(rows), all(vapply(seq_along(rows), is_one, NA)))
}

# A formula that stats::terms() has read.
is_terms <- function(x) {
  every(is.call(x), identical(oldClass(x), c("terms", "formula")), identical(x[[1]], quote(`~`)),
        length(x) %in% 2:3, is.environment(environment(x)), are_terms_parts(attributes(x), length(x) == 3))
}

# What stats::terms() says of a formula: of its variables and of the terms that these make.
are_terms_parts <- function(a, is_two_sided) {
  is_list_call <- function(x, n) is.call(x) && !is.object(x) && identical(x[[1]], quote(list)) && length(x) == n + 1
  n <- length(a$variables) - 1
  are_places <- function(x) is.null(x) || every(is.numeric(x), is_bare(x), all(x %in% seq_len(n)), !anyDuplicated(x))
  every(is_list_call(a$variables, n), is.null(a$predvars) || is_list_call(a$predvars, n),
        are_words(a$term.labels), are_factors(a$factors, n, a$term.labels, a$order),
        is_finite_vector(a$intercept, 1), a$intercept %in% 0:1, is_finite_vector(a$response, 1),
        a$response %in% c(0, is_two_sided), a$response <= n, are_places(a$offset), are_specials(a$specials, n),
        is.null(a$dataClasses) || are_data_classes(a$dataClasses))
}

# The variables (rows) of each term (columns), and its order.
are_factors <- function(x, n, labels, order) {
  if (!length(labels)) return(length(x) == 0 && length(order) == 0)
  every(is.integer(x), is_bare(x, c("dim", "dimnames")), is_matrix_of(x, n, length(labels)), min(x) >= 0, max(x) <= 2,
        is_words(rownames(x), n), identical(colnames(x), labels), is_finite_vector(order, length(labels)))
}

are_specials <- function(x, n) {
  is.null(x) || every(is.list(x), all(vapply(x, function(at) is.null(at) || all(at %in% seq_len(n)), NA)))
}

are_data_classes <- function(x) every(are_words(x), is_words(names(x), length(x)), !anyDuplicated(names(x)))

# A response with a piece of the right kind for each block.
is_response <- function(x, blocks) {
  if (is.data.frame(x)) plain_frame(x, "the response")
  if (is_times(x) && !all(vapply(blocks, is_kind, NA, "time"))) return(FALSE)
  pieces <- block_pieces(blocks, x)
  length(pieces) == length(blocks) && all(mapply(is_piece, blocks, pieces, is.data.frame(x)))
}

is_piece <- function(block, y, of_frame) {
  is_kind <- switch(block$type, factor = if (is.factor(y)) is_well_formed(y) else is.character(y) || is.numeric(y),
                    logical = is.logical(y), is.numeric(y))
  if (!is_kind || of_frame && length(dim(y)) > 1) return(FALSE)
  if (any(lengths(attributes(y)) > max(1000, length(y)))) return(FALSE)
  if (!is.numeric(y)) return(TRUE)
  all(abs(y) <= 1e100, na.rm = TRUE) && (block$type == "factor" || record_of(block)$accepts(y))
}

# A control that nn_control() makes again, with what depends on the data: of values alone, none is an expression.
is_control <- function(x, fit) {
  arguments <- unclass(x)[intersect(names(x), names(formals(nn_control)))]
  known <- names(arguments)
  if (!all(vapply(arguments, is_value, NA))) return(FALSE)
  do.call(nn_control, arguments, quote = TRUE)
  every(identical(oldClass(x), "varnn_control"), all(vapply(arguments, function(v) !is.atomic(v) || is_bare(v), NA)),
        all(c("precision", "optimizer", "schedule") %in% known), is_finite_vector(x$batch_size, 1),
        is_finite_vector(x$learn_rate, 1), is.null(x$epochs_by) || is_words(x$epochs_by, 1),
        is_objective(x$objective, fit))
}

# Numbers, strings, a data frame or list of these, a callback.
is_value <- function(x) {
  if (is.list(x)) all(vapply(unclass(x), is_value, NA)) else is.null(x) || is.atomic(x) || is.function(x)
}

# What `family` may be. Its names are those of responses, of which some may have been left out of the model.
is_family_argument <- function(x, layout) {
  every(is.null(x) || is.function(x) || is.character(x) || inherits(x, c("family", "varnn_family")) || is_by_name(x),
        length(x) <= 100 + layout$n_y)
}

are_vae_arguments <- function(x) {
  scores <- x$latent_scores
  every(is_finite_vector(x$beta, 1), is_whole_number(x$importance),
        is.null(scores) || is_finite_vector(unname(scores), length(scores)) && is_words(names(scores), length(scores)))
}

are_bayes_arguments <- function(x) {
  every(is_one_of(x$posterior, registry()$posterior), is_words(x$prior$words, 1),
        is.null(x$prior$is_bound) || is_flag(x$prior$is_bound),
        is_finite_vector(x$rank, 1))
}

# What a model's objective is, where it has one of its own.
is_objective <- function(x, fit) {
  weighs <- names(x$coefficient)
  if (is.null(x)) return(!is_bayesian(fit$spec))
  every(is.list(x), all(weighs %in% registry()$term), is_finite_vector(x$coefficient, length(weighs), "names"),
        !is_bayesian(fit$spec) || every("kl_weights" %in% weighs, x$coefficient[["kl_weights"]] > 0),
        all(vapply(x[intersect(c("mc_samples", "importance", "kl_warmup"), names(x))], is_whole_number, NA)),
        is.null(x$importance) || is.integer(x$importance))
}

is_whole_number <- function(x) every(is_finite_vector(x, 1), x >= 0, x <= 1e6, x == round(x))

# Training data that are kept in a fit.
is_training_data <- function(x, fit, layout) {
  is_vector <- function(v) is.null(v) || is_finite_vector(v, fit$n_obs)
  is_y <- function(y) {
    if (fit$design$kind != "columns" && is.null(y)) return(TRUE)
    every(is.double(y), !is.object(y), is_matrix_of(y, fit$n_obs, layout$n_y))
  }
  every(is.list(x), is.double(x$x), !is.object(x$x), is_matrix_of(x$x, fit$n_obs, fit$spec$n_x), is_y(x$y),
        is_vector(x$weights), is_vector(x$offset), is.null(x$response) || identical(x$response, fit$response))
}

# What the specification has of the blocks.
are_fields <- function(fields, spec) all(vapply(names(fields), function(n) identical(fields[[n]], spec[[n]]), NA))

are_constants <- function(x) {
  is_one <- function(v) is_finite_vector(v, length(v)) && length(v) >= 1
  is.null(x) || every(is.list(x), is_bare(x, "names"), is_words(names(x), length(x)), all(vapply(x, is_one, NA)))
}

# A likelihood that a user wrote is that of the specification.
is_custom_block <- function(b, spec, i) {
  if (b$family != "custom") return(is.null(b$custom))
  every(is_custom_part(b$custom), identical(spec$programs[[spec$nll_program[i]]], b$custom$nll))
}

block_types <- c("numeric", "logical", "factor", "counts", "time")

is_block <- function(b, spec, i) {
  every(is.list(b), identical(b$family, spec$family[i]), is_finite_vector(b$n_responses, 1),
        b$n_responses == spec$n_responses[i], identical(b$noise, spec$noise[i]), are_constants(b$constants),
        is_custom_block(b, spec, i),
        is_finite_vector(b$fixed, n_free(b)),
        are_words(b$columns), length(b$columns) %in% c(1, b$n_responses),
        is_finite_vector(b$center, length(b$columns)), are_scales(b$scale, length(b$columns)),
        is_scaled(b) || all(b$center == 0) && all(b$scale == 1),
        is.null(b$shift) || is_finite_vector(b$shift, length(b$columns)),
        is_one_of(b$type, block_types), is.null(b$levels) || is.character(b$levels) && is_bare(b$levels),
        b$type != "factor" || length(b$levels) == max(2, b$n_responses) ||
          is_kind(b, "ordered") && length(b$levels) > 2)
}
