# A fit read from a file may be anything: what the methods rely on is checked before they start.
check_fit <- function(fit) {
  layout <- tryCatch(spec_layout(fit$spec),
                     error = function(e) stop_user("The fit is damaged: %s.", conditionMessage(e)))
  for (field in names(fit_rules))
    if (!isTRUE(tryCatch(fit_rules[[field]](fit[[field]], fit, layout), error = function(e) FALSE)))
      stop_user("The fit is damaged: `%s` is not as it was made.", field)
  invisible(fit)
}

# No number of a fit is beyond 1e100: products of two are still finite.
is_finite_vector <- function(x, length) {
  every(is.numeric(x), length(x) == length, all(is.finite(x)), all(abs(x) <= 1e100))
}

# The same for each kind of design.
design_rules <- list(
  matrix = function(x, fit, layout) TRUE,
  frame = function(x, fit, layout) {
    inherits(x$terms, "terms") && (is.null(x$times) || is.character(x$times)) &&
      (is.null(x$xlevels) || is.list(x$xlevels) && all(vapply(x$xlevels, is.character, NA)))
  },
  columns = function(x, fit, layout) is_columns_design(x, fit, layout)
)

optional <- function(rule) function(x, fit, layout) is.null(x) || isTRUE(rule(x, fit, layout))
is_epoch <- function(x, fit, layout) is_finite_vector(x, 1) && x >= 0

# For each field: whether x is right in this fit, whose specification has this layout.
fit_rules <- list(
  theta = function(x, fit, layout) is_finite_vector(x, layout$n_par),
  n_par = function(x, fit, layout) identical(as.double(x), as.double(layout$n_par)),
  layout = function(x, fit, layout) identical(x, layout$leaves),
  blocks = function(x, fit, layout) {
    every(is.list(x), length(x) == length(fit$spec$family)) &&
      all(vapply(seq_along(x), function(i) is_block(x[[i]], fit$spec, i), NA))
  },
  scaling = function(x, fit, layout) {
    p <- fit$spec$n_x
    every(is.list(x), is.double(x$center), is.double(x$scale), is_finite_vector(x$center, p),
          is_finite_vector(x$scale, p), is_finite_vector(x$order, p), all(x$scale > 0), is.logical(x$is_constant),
          length(x$is_constant) == p, !anyNA(x$is_constant),
          is.null(x$rotation) || is_finite_vector(x$rotation, p^2) && identical(dim(x$rotation), c(p, p)))
  },
  design = function(x, fit, layout) {
    every(is.list(x), is.character(x$columns), length(x$columns) == fit$spec$n_x,
          is.logical(x$intercept), length(x$intercept) == 1, !is.na(x$intercept), length(x$kind) == 1,
          isTRUE(design_rules[[x$kind]](x, fit, layout)))
  },
  n_obs = function(x, fit, layout) is_finite_vector(x, 1) && x >= 1,
  control = function(x, fit, layout) is_control(x, fit),
  arguments = function(x, fit, layout) is.list(x) && (fit$spec$weights == "point" || are_bayes_arguments(x)),
  history = function(x, fit, layout) {
    every(is.data.frame(x), all(c("epoch", "loss") %in% names(x)), all(vapply(x, is.numeric, NA)))
  },
  n_epochs = is_epoch,
  best_epoch = is_epoch,
  rank = optional(function(x, fit, layout) is_finite_vector(x, 1)),
  kept_columns = optional(function(x, fit, layout) {
    every(is_linear(fit$spec), is.integer(x), all(x %in% seq_len(fit$spec$n_x)), !anyDuplicated(x))
  }),
  information = optional(function(x, fit, layout) {
    size <- (length(fit$kept_columns) + fit$design$intercept) * layout$n_eta
    every(!is.null(fit$kept_columns), is.matrix(x), identical(dim(x), as.integer(c(size, size))),
          is_finite_vector(x, size^2))
  }),
  family = function(x, fit, layout) is.character(x) && length(x) == length(fit$blocks),
  rows = optional(function(x, fit, layout) every(is.character(x), length(x) == fit$n_obs, !anyNA(x))),
  held_out = optional(function(x, fit, layout) every(is.numeric(x), all(x %in% seq_len(fit$n_obs)))),
  data = optional(function(x, fit, layout) is_training_data(x, fit)),
  stop_reason = function(x, fit, layout) length(x) == 1 && x %in% statuses,
  eta = optional(function(x, fit, layout) {
    every(is.matrix(x), nrow(x) == fit$n_obs, is_finite_vector(x, fit$n_obs * layout$n_eta))
  }),
  response = function(x, fit, layout) {
    NROW(x) == (if (fit$design$kind == "columns") 0 else fit$n_obs) &&
      (!is.numeric(x) || all(abs(x) <= 1e100, na.rm = TRUE))
  },
  codes = optional(function(x, fit, layout) {
    every(is.matrix(x), nrow(x) == fit$n_obs, is_finite_vector(x, fit$n_obs * layout$z_rows))
  }),
  errors = optional(function(x, fit, layout) every(is.numeric(x), length(x) == fit$n_obs)),
  weights = optional(function(x, fit, layout) every(is_finite_vector(x, fit$n_obs), all(x >= 0))),
  offset = optional(function(x, fit, layout) every(is.numeric(x), length(x) == fit$n_obs)),
  call = function(x, fit, layout) is.call(x),
  terms = function(x, fit, layout) is.null(x) || inherits(x, "terms")
)

# A control that nn_control() makes again, with what depends on the data.
is_control <- function(x, fit) {
  known <- intersect(names(x), names(formals(nn_control)))
  do.call(nn_control, unclass(x)[known], quote = TRUE)
  every(all(c("precision", "optimizer", "schedule") %in% known), is_finite_vector(x$batch_size, 1),
        is_finite_vector(x$learn_rate, 1), is_objective(x$objective, fit))
}

are_bayes_arguments <- function(x) {
  every(is_one_of(x$posterior, registry()$covariance), is.character(x$prior$words), length(x$prior$words) == 1,
        is_finite_vector(x$rank, 1))
}

# What a model's objective is, where it has one of its own.
is_objective <- function(x, fit) {
  weighs <- names(x$coefficient)
  if (is.null(x)) return(fit$spec$weights == "point")
  every(is.list(x), all(weighs %in% registry()$term), is_finite_vector(x$coefficient, length(weighs)),
        fit$spec$weights == "point" || every("kl_weights" %in% weighs, x$coefficient[["kl_weights"]] > 0),
        is.null(x$mc_samples) || is_finite_vector(x$mc_samples, 1))
}

# Training data that are kept in a fit.
is_training_data <- function(x, fit) {
  is_vector <- function(v) is.null(v) || is_finite_vector(v, fit$n_obs)
  every(is.list(x), is.matrix(x$x), is.double(x$x), nrow(x$x) == fit$n_obs, is_vector(x$weights), is_vector(x$offset))
}

block_types <- c("numeric", "logical", "factor", "counts")

is_block <- function(b, spec, i) {
  every(is.list(b), identical(b$family, spec$family[i]), is_finite_vector(b$n_responses, 1),
        b$n_responses == spec$n_responses[i], identical(b$noise, spec$noise[i]), is_finite_vector(b$fixed, 1),
        is.character(b$columns), length(b$columns) %in% c(1, b$n_responses),
        is_finite_vector(b$center, length(b$columns)), is_finite_vector(b$scale, length(b$columns)), all(b$scale > 0),
        b$type %in% block_types, is.null(b$levels) || is.character(b$levels),
        b$type != "factor" || is.character(b$levels) && length(b$levels) == max(2, b$n_responses))
}
