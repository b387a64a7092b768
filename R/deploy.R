# Predictions as R expressions of the columns of the data, which dbplyr turns into SQL: what tidypredict and orbital ask
# for. They are made in steps, each a name and an expression of columns and of earlier steps; `s` is an environment that
# holds them.

#' Predictions in a database: expressions and SQL
#'
#' Methods of `tidypredict::tidypredict_fit()` and `orbital::orbital()`, by which these packages predict where the data
#' are: in a data frame, or in a database by way of dbplyr. `tidypredict_fit()` gives one expression of the columns,
#' `orbital()` one for each unit of the network, in terms of those of the layer before, so that deep networks stay
#' small.
#'
#' @param model,x a fit by [fit_nn()] or [fit_bayes_nn()]; for `orbital()` also by way of parsnip.
#' @param ... not used.
#' @param prefix what the new columns are called: `.pred`, or of levels `.pred_class` and `.pred_setosa`; of several
#'   responses `.pred_mpg`.
#' @param type `"numeric"`; of a factor `"class"` (the default), `"prob"` or both.
#' @param mode,lvl,.from_parsnip what `orbital()` says of a fit by parsnip.
#' @details
#' The expressions give what [predict()][predict.varnn_nn] gives with `type = "response"`, to rounding in double
#' precision. Missing predictors give a missing prediction, and so do new levels of a factor, unless the fit has
#' `new_levels = "mean"` (see [nn_control()]).
#'
#' They use arithmetic, `exp()`, `log()`, `sqrt()`, `POWER` and comparisons, and no number leaves the range of `exp()`.
#' What databases have not is an error that names it: the activation `"gelu"` and others that need `pnorm()`; terms
#' such as `poly(x, 2)`, of which a column can be made before the fit; and Bayesian networks whose mean is taken over
#' draws of the weights or over their distribution. A mean that is that of one network has expressions: of
#' `posterior = "laplace"` and normal noise, of networks without hidden layers and normal noise, and of mixtures of
#' such.
#'
#' `tidypredict_fit()` refuses networks whose expression would be huge, as that of several hidden layers is.
#' `orbital()` has no such limit, but SQLite before version 3.46 reads some 13 levels of queries, which are 5 hidden
#' layers. Where there is more than one it adds columns with `row_number()`, that SQLite should compute layer after
#' layer.
#'
#' Files of the format ONNX are not written. What predicts without R are these expressions as SQL, and the page that
#' [explore()] writes.
#' @return `tidypredict_fit()`: an expression, of two levels the probability of the second; a list of them by name where
#'   there are more levels, or several responses. `orbital()`: an object of class `orbital_class`.
#' @examples
#' if (requireNamespace("tidypredict", quietly = TRUE)) {
#'   set.seed(1)
#'   fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 2, epochs = 50)
#'   expression <- tidypredict::tidypredict_fit(fit)
#'   print(eval(expression, mtcars[1:3, ]))
#'   predict(fit, mtcars[1:3, ])
#' }
#' @name tidypredict_fit.varnn
#' @exportS3Method tidypredict::tidypredict_fit
tidypredict_fit.varnn <- function(model) {
  check_fit(model)
  s <- list2env(list(steps = list()))
  means <- mean_steps(s, model, ".pred")
  values <- unlist(Map(one_or_levels, model$blocks, means), recursive = FALSE)
  size <- numeric()
  for (name in names(s$steps)) {
    words <- all.names(s$steps[[name]])
    size[name] <- sum(ifelse(words %in% names(size), size[words], 1))
  }
  if (sum(size[unlist(lapply(values, all.names))], na.rm = TRUE) > most_inlined)
    stop_user("The network is too large for one expression: use orbital::orbital(), which has one for each unit.")
  whole <- list2env(list(), parent = emptyenv())
  for (name in names(s$steps)) whole[[name]] <- call("(", inlined(s$steps[[name]], whole))
  values <- lapply(values, inlined, whole)
  if (length(values) == 1) values[[1]] else values
}
most_inlined <- 2e4

inlined <- function(e, steps) eval(call("substitute", e, as.list(steps, all.names = TRUE)))

# Of two levels the second alone, as other packages have it.
one_or_levels <- function(block, mean) {
  if (block$type == "factor" && length(mean) == 2) mean <- mean[2]
  if (length(mean) == 1) stats::setNames(mean, block$columns) else mean
}

#' @rdname tidypredict_fit.varnn
#' @exportS3Method orbital::orbital
orbital.varnn <- function(x, ..., prefix = ".pred", type = NULL, mode = NULL, lvl = NULL, .from_parsnip = FALSE) {
  check_fit(x)
  if (!every(is.character(prefix), length(prefix) == 1, !is.na(prefix), nzchar(prefix)))
    stop_user("`prefix` must be a name of columns, not %s.", shown(prefix))
  types <- c("numeric", "class", "prob")
  if (.from_parsnip && !identical(mode, "classification")) type <- NULL
  if (!is.null(type)) for (one in type) check_choice(one, types, "type")
  s <- list2env(list(steps = list()))
  means <- mean_steps(s, x, prefix)
  several <- length(means) > 1
  if (several && .from_parsnip)
    stop_user("orbital() of a fit by parsnip needs one response; this fit has %d.", length(means))
  named <- if (.from_parsnip && identical(mode, "classification"))
    function(prefix, of) c(class = "orbital_tmp_class_name", prob = "orbital_tmp_prob_name")[[of]]
  else function(prefix, of) c(class = paste0(prefix, "_class"), prob = paste0(prefix, "_"), numeric = prefix)[[of]]
  wanted <- lapply(seq_along(means), function(i) {
    block <- x$blocks[[i]]
    own <- if (several) paste0(prefix, "_", block$columns) else prefix
    answer_steps(block, means[[i]], type, lvl, function(of) named(own, of), .from_parsnip)
  })
  wanted <- unlist(wanted, recursive = FALSE)
  steps <- c(needed_steps(s$steps, wanted, prefix), wanted)
  text <- vapply(steps, deparse1, "", control = "digits17", backtick = TRUE)
  if (.from_parsnip) text else structure(text, class = "orbital_class", pred_names = names(wanted))
}

# The answers of one block, by the names of their columns.
answer_steps <- function(block, mean, type, lvl, named, numbered) {
  if (block$type != "factor") {
    if (!all(type %in% "numeric")) stop_user("`type` must be \"numeric\", for the response `%s` is no factor.",
                                             block$columns)
    return(stats::setNames(mean, named("numeric")))
  }
  if (is.null(type)) type <- "class"
  if ("numeric" %in% type) stop_user("`type` must be \"class\" or \"prob\", for the response `%s` is a factor.",
                                     block$columns)
  levels <- if (is.null(lvl)) names(mean) else lvl
  none <- call("*", 0, mean[[1]]) # of a level that training had not
  probs <- lapply(levels, function(l) if (is.null(mean[[l]])) none else mean[[l]])
  names(probs) <- paste0(named("prob"), if (numbered) seq_along(levels) else levels)
  c(if ("class" %in% type) stats::setNames(list(likeliest(mean)), named("class")), if ("prob" %in% type) probs)
}

# The first of the levels that have the greatest probability.
likeliest <- function(mean) {
  levels <- names(mean)
  k <- length(mean)
  out <- levels[k]
  for (i in rev(seq_len(k - 1))) {
    beats <- lapply(seq(i + 1, k), function(j) call(">=", mean[[i]], mean[[j]]))
    out <- call("ifelse", Reduce(function(a, b) call("&", a, b), beats), levels[i], out)
  }
  out
}

# The steps that these expressions need, those first that need the fewest before them: a database nests a query for each
# level. SQLite would write nested queries as one, whose size is the product of those of the layers, but not where the
# inner one has a window function: of deep networks every other level has one, which nothing reads.
needed_steps <- function(steps, wanted, prefix) {
  need <- unique(unlist(lapply(wanted, all.vars)))
  for (name in rev(names(steps))) if (name %in% need) need <- union(need, all.vars(steps[[name]]))
  steps <- steps[names(steps) %in% need]
  depth <- integer()
  for (name in names(steps)) depth[name] <- 1L + max(0L, depth[all.vars(steps[[name]])], na.rm = TRUE)
  deepest <- max(0, depth)
  barriers <- if (deepest > 4) seq(2, deepest, by = 2)
  rows <- stats::setNames(rep(list(quote(dplyr::row_number())), length(barriers)), paste0(prefix, "_row", barriers,
                                                                                          recycle0 = TRUE))
  c(steps, rows)[order(c(depth, barriers))]
}

add_step <- function(s, name, e) {
  if (is.name(e)) return(e)
  s$steps[[name]] <- e
  as.name(name)
}

# ---- functions that databases have

# A program's operations and the activations, of x: never beyond the range of exp(), where databases stop with an error.
sql_functions <- list(
  exp = quote(ifelse(x < -700, 0, exp(x))),
  expm1 = quote(ifelse(x < -700, -1, exp(x) - 1)),
  plogis = quote(ifelse(abs(x) < 700, 1 / (1 + exp(-x)), ifelse(x > 0, 1, 0))),
  tanh = quote(ifelse(abs(x) < 300, 1 - 2 / (exp(2 * x) + 1), ifelse(x > 0, 1, -1))),
  log1pexp = quote(ifelse(abs(x) < 700, log(1 + exp(x)), ifelse(x > 0, x, 0))),
  log1p = quote(log(1 + x)), qlogis = quote(log(x / (1 - x))), sign = quote(ifelse(x > 0, 1, ifelse(x < 0, -1, 0))),
  log = quote(log(x)), sqrt = quote(sqrt(x)), abs = quote(abs(x)), sin = quote(sin(x)), cos = quote(cos(x)),
  atan = quote(atan(x)), "!" = quote(ifelse(x == 0, 1, 0)),
  "+" = quote(x + y), "-" = quote(x - y), "*" = quote(x * y), "/" = quote(x / y), "^" = quote(x^y),
  pmin = quote(ifelse(x < y, x, y)), pmax = quote(ifelse(x > y, x, y)), ifelse = quote(ifelse(x != 0, y, z)),
  "<" = quote(ifelse(x < y, 1, 0)), "<=" = quote(ifelse(x <= y, 1, 0)), ">" = quote(ifelse(x > y, 1, 0)),
  ">=" = quote(ifelse(x >= y, 1, 0)), "==" = quote(ifelse(x == y, 1, 0)), "!=" = quote(ifelse(x != y, 1, 0)),
  "&" = quote(ifelse(x != 0 & y != 0, 1, 0)), "|" = quote(ifelse(x != 0 | y != 0, 1, 0)),
  linear = quote(x), relu = quote(ifelse(x > 0, x, 0)), leaky_relu = quote(ifelse(x > 0, x, 0.01 * x)),
  elu = quote(ifelse(x > 0, x, ifelse(x < -700, -1, exp(x) - 1))),
  selu = quote(1.0507009873554805 * ifelse(x > 0, x, 1.6732632423543772 * ifelse(x < -700, -1, exp(x) - 1))),
  silu = quote(ifelse(abs(x) < 700, x / (1 + exp(-x)), ifelse(x > 0, x, 0)))
)
sql_functions$sigmoid <- sql_functions$plogis
sql_functions$softplus <- sql_functions$log1pexp

# One of them of expressions, which are parts of a product or a difference as they are.
sql_call <- function(name, x, y = NULL, z = NULL) {
  if (is.null(sql_functions[[name]])) stop_user("`%s` cannot be computed in a database.", name)
  part <- function(e) if (is.call(e) || is.numeric(e) && e < 0) call("(", e) else e
  eval(call("substitute", sql_functions[[name]], list(x = part(x), y = part(y), z = part(z))))
}

# A program of these arguments: long parts of it are steps.
program_steps <- function(s, program, arguments, name) {
  at <- list()
  one <- function(i) {
    from <- at[c(program$a[i], program$b[i], program$c[i])]
    e <- do.call(sql_call, c(program$op[i], from), quote = TRUE)
    if (length(all.names(e)) > 200) add_step(s, paste0(name, "p", length(s$steps)), e) else e
  }
  for (i in seq_along(program$op)) at[[i]] <- switch(program$op[i], number = program$number[i],
                                                     argument = arguments[[program$a[i]]], one(i))
  at[[length(at)]]
}

# The sum of x by these weights, and the bias.
weighted_sum <- function(weights, x, bias = NULL) {
  add_up(c(if (!is.null(bias)) list(bias), unname(Map(function(w, e) call("*", w, e), weights, x))))
}

# The sum, in groups: databases limit the depth of an expression.
add_up <- function(terms) in_groups(terms, function(group) Reduce(function(a, b) call("+", a, b), group))
in_groups <- function(terms, join, most = 50) {
  if (length(terms) <= most) return(join(unname(terms)))
  groups <- split(terms, (seq_along(terms) - 1) %/% most)
  in_groups(lapply(groups, function(g) call("(", join(unname(g)))), join, most)
}

# ---- from columns to the mean

# The steps to the mean of each response: a list with an expression, of levels one for each by name.
mean_steps <- function(s, fit, prefix) {
  if (is_coder(fit)) stop_user("Expressions are of predictions, and this model has no response.")
  if (!is_mixture(fit)) return(network_steps(s, fit, prefix))
  weights <- fit$member_weights
  members <- member_fits(fit)
  means <- lapply(which(weights > 0), function(k) network_steps(s, members[[k]], paste0(prefix, "_m", k)))
  weights <- weights[weights > 0]
  lapply(seq_along(fit$blocks), function(i) {
    own <- lapply(means, `[[`, i)
    levels <- seq_along(own[[1]])
    out <- lapply(levels, function(l) {
      add_step(s, paste0(prefix, "_mean", i, "_", l), weighted_sum(weights, lapply(own, `[[`, l)))
    })
    stats::setNames(out, names(own[[1]]))
  })
}

network_steps <- function(s, fit, prefix) {
  check_one_network(fit)
  x <- column_steps(s, fit, prefix)
  spec <- fit$spec
  for (at in seq_along(spec$layer)) {
    leaf <- function(role, at) {
      found <- fit$layout[fit$layout$layer == at & fit$layout$role == role & fit$layout$part == 0, ]
      if (nrow(found)) leaf_matrix(fit, found[1, ])
    }
    name <- paste0(prefix, "_h", at, "_")
    named <- function(es) lapply(seq_along(es), function(j) add_step(s, paste0(name, j), es[[j]]))
    if (spec$layer[at] == "dense") before <- list(x = x, weight = leaf("weight", at), bias = leaf("bias", at))
    x <- switch(spec$layer[at], dense = named(units_of(before)), dropout = x,
                layer_norm = normed(s, x, before, leaf("gain", at), leaf("shift", at), name),
                activate = named(lapply(x, function(e) sql_call(spec$option[at], e))),
                program = named(lapply(x, function(e) program_steps(s, spec$programs[[spec$size[at]]], list(e), name))),
                stop_user("Layers \"%s\" have no expressions.", spec$layer[at]))
  }
  offset <- offset_expression(fit)
  Map(function(i, at) block_steps(s, fit$blocks[[i]], x[at], block_free(fit)[[i]], offset, paste0(prefix, "_r", i)),
      seq_along(fit$blocks), block_slices(fit$blocks, eta_rows))
}

units_of <- function(dense) {
  lapply(seq_len(nrow(dense$weight)), function(j) weighted_sum(dense$weight[j, ], dense$x, dense$bias[j]))
}

# Whether the mean is that of one network, at the means of its weights.
check_one_network <- function(fit) {
  spec <- fit$spec
  if (is_point(spec)) return(invisible())
  is_normal <- all(vapply(fit$blocks, function(b) has_sigma(b) || has_log_sd(b), NA))
  is_linear <- !any(is_activation(spec)) || all(vapply(spec_activations(spec), identical, NA, "linear"))
  if (is_normal && (is_laplace(spec) || is_linear && !predicts_by_draws(fit))) return(invisible())
  stop_user("The mean of this Bayesian network is taken over its weights' distribution, which has no expression: %s.",
            if (is_normal) "use `posterior` = \"laplace\", or fit_nn()" else "use fit_nn()")
}

# Units x of the layer `dense` normalised: their mean is found of what they are found of.
normed <- function(s, x, dense, gain, shift, name) {
  dense[c("weight", "bias")] <- list(matrix(colMeans(dense$weight), 1), mean(dense$bias))
  mean <- add_step(s, paste0(name, "mean"), units_of(dense)[[1]])
  squares <- lapply(x, function(e) bquote((.(e) - .(mean)) * (.(e) - .(mean))))
  variance <- add_step(s, paste0(name, "var"), weighted_sum(rep(1 / length(x), length(x)), squares, 1e-5))
  lapply(seq_along(x), function(j) bquote(.(gain[j]) * (.(x[[j]]) - .(mean)) / sqrt(.(variance)) + .(shift[j])))
}

# The mean of a response at its outputs.
block_steps <- function(s, block, eta, free, offset, name) {
  if (!is.null(offset) && !is_scaled(block)) eta[[1]] <- add_step(s, paste0(name, "_eta"), call("+", eta[[1]], offset))
  of <- function(f, x, more = "") add_step(s, paste0(name, more), sql_call(f, x))
  if (is_custom(block)) {
    scalars <- stats::setNames(c(eta, as.list(c(free))), c(block$custom$eta, block$custom$free))
    mean <- program_steps(s, block$custom$mean, unname(scalars[block$custom$mean$arguments]), name)
  } else if (is_kind(block, "levels")) {
    return(stats::setNames(softmax_steps(s, eta, name), block$levels))
  } else if (is_kind(block, "ordered")) {
    return(stats::setNames(ordered_steps(s, eta[[1]], cuts_of(free), name), block$levels))
  } else {
    mean <- switch(record_of(block)$link, identity = eta[[1]], log = of("exp", eta[[1]]),
                   logit = of("plogis", eta[[1]]))
  }
  if ("zero" %in% record_of(block)$parts)
    mean <- call("*", mean, of("plogis", add_step(s, paste0(name, "_minus"), call("-", eta[[2]])), "_some"))
  if (is_scaled(block)) mean <- observed_expression(block, mean, offset)
  mean <- add_step(s, paste0(name, "_mean"), mean)
  if (block$type != "factor") return(list(mean))
  stats::setNames(list(add_step(s, paste0(name, "_first"), call("-", 1, mean)), mean), block$levels)
}

observed_expression <- function(block, y, offset) {
  if (block$scale[1] != 1) y <- call("*", block$scale[1], y)
  if (block$center[1] != 0) y <- call("+", block$center[1], y)
  if (is.null(offset)) y else call("+", y, offset)
}

# All outputs are there or none is, so that the greatest of those that are there is honest.
softmax_steps <- function(s, eta, name) {
  most <- in_groups(eta, function(group) as.call(c(list(as.name("pmax")), group, na.rm = TRUE)))
  most <- add_step(s, paste0(name, "_most"), most)
  e <- lapply(seq_along(eta), function(k) {
    add_step(s, paste0(name, "_e", k),
         sql_call("exp", add_step(s, paste0(name, "_d", k), call("-", eta[[k]], most))))
  })
  sum <- add_step(s, paste0(name, "_sum"), add_up(e))
  lapply(seq_along(eta), function(k) add_step(s, paste0(name, "_p", k), call("/", e[[k]], sum)))
}

ordered_steps <- function(s, eta, cuts, name) {
  below <- lapply(seq_along(cuts), function(k) {
    add_step(s, paste0(name, "_b", k), sql_call("plogis", add_step(s, paste0(name, "_c", k), call("-", cuts[k], eta))))
  })
  k <- length(cuts)
  between <- lapply(seq_len(k - 1), function(j) call("-", below[[j + 1]], below[[j]]))
  p <- c(below[1], between, list(call("-", 1, below[[k]])))
  lapply(seq_along(p), function(j) add_step(s, paste0(name, "_p", j), p[[j]]))
}

# ---- columns

# The columns that the network reads, standardised; the principal components are in its first weights.
column_steps <- function(s, fit, prefix) {
  x <- column_expressions(fit$design)
  center <- fit$scaling$center
  scale <- fit$scaling$scale
  lapply(seq_along(x), function(j) {
    e <- x[[j]]
    if (center[j] != 0) e <- call("-", if (is.call(e)) call("(", e) else e, center[j])
    if (scale[j] != 1) e <- call("/", if (is.call(e)) call("(", e) else e, scale[j])
    add_step(s, paste0(prefix, "_x", j), e)
  })
}

# An expression for each column of a design. What has none is an error, unless other(expression, name, all_levels) gives
# a list of what stands for the columns of this variable of the terms.
column_expressions <- function(design, other = NULL) {
  if (design$kind == "matrix") return(lapply(design$columns, as.name))
  if (!is.null(design$embed))
    stop_user("The embedding of `%s` has no expression: fit with `embed = 0`.", names(design$embed)[1])
  factors <- attr(design$terms, "factors")
  classes <- attr(design$terms, "dataClasses")
  variables <- term_variables(design$terms) # the names of the factors' rows have backticks where they need them
  is_discrete <- variables %in% discrete_variables(design$terms)
  if (!attr(design$terms, "intercept")) { # then the first factor has all its levels
    first <- which(is_discrete & factors > 0)[1]
    if (!is.na(first)) factors[first] <- 2
  }
  parsed <- as.list(attr(design$terms, "variables"))[-1L]
  known <- function(i, coding) {
    name <- variables[i]
    if (name %in% names(design$times) || !classes[[name]] %in% c("numeric", "logical", discrete_classes))
      stop_no_expression(name)
    if (!is_discrete[i]) list(plain_expression(parsed[[i]], name, design$terms))
    else level_expressions(design, parsed[[i]], name, coding == 2)
  }
  of_variable <- function(i, coding) {
    if (is.null(other)) return(known(i, coding))
    tryCatch(known(i, coding), varnn_error = function(e) other(parsed[[i]], variables[i], coding == 2))
  }
  times <- function(a, b) {
    pair <- function(i, j) call("*", call("(", a[[i]]), call("(", b[[j]]))
    unlist(lapply(seq_along(b), function(j) lapply(seq_along(a), pair, j)))
  }
  out <- unlist(lapply(seq_len(ncol(factors)), function(t) {
    use <- which(factors[, t] > 0)
    Reduce(times, Map(of_variable, use, factors[use, t]))
  }))
  if (length(out) != length(design$columns)) stop_no_expression(deparse1(design$terms))
  out
}

stop_no_expression <- function(what) {
  stop_user("`%s` of the formula cannot be computed in a database: fit to columns that are made before.", what)
}

discrete_classes <- c("factor", "ordered", "character")
plain_functions <- c("+", "-", "*", "/", "^", "(", "exp", "log", "sqrt", "abs", "sin", "cos")

# A number made of variables by functions that databases have; numbers of the formula's environment are put in.
plain_expression <- function(e, name, terms) {
  if (is.name(e)) return(e)
  if (is.call(e) && identical(e[[1]], quote(I))) e <- e[[2]]
  used <- setdiff(all.names(e), all.vars(e))
  if (!all(used %in% plain_functions) || grepl("log(", name, fixed = TRUE) && grepl("log\\([^()]*,", name))
    stop_no_expression(name)
  constants <- lapply(stats::setNames(nm = intersect(ls_formula(terms), all.vars(e))), get, environment(terms))
  if (!all(vapply(constants, function(v) is.numeric(v) && length(v) == 1, NA))) stop_no_expression(name)
  eval(call("substitute", e, constants))
}

# The codes of a factor or a logical, an expression for each of its columns.
level_expressions <- function(design, e, name, all_levels) {
  levels <- design$xlevels[[name]]
  is_logical <- is.null(levels)
  if (is_logical) levels <- c("FALSE", "TRUE")
  f <- factor(levels, levels)
  if (!all_levels && !is.null(design$contrasts[[name]])) stats::contrasts(f) <- design$contrasts[[name]]
  codes <- if (all_levels) diag(length(levels)) else unname(stats::contrasts(f))
  if (is_logical) {
    e <- plain_condition(e, name, design$terms)
    return(lapply(seq_len(ncol(codes)), function(j) call("ifelse", e, codes[2, j], codes[1, j])))
  }
  values <- as.list(levels)
  if (is.call(e)) {
    e <- factored_variable(e, name)
    values <- level_numbers(levels)
  }
  other <- if (identical(design$new_levels, "mean")) design$shares[[name]]
  lapply(seq_len(ncol(codes)), function(j) code_expression(e, values, codes[, j], other))
}

# The variable x of factor(x), whose levels are numbers where they may be.
factored_variable <- function(e, name) {
  is_known <- is.name(e[[1]]) && as.character(e[[1]]) %in% c("factor", "as.factor", "as.character")
  if (!every(is_known, length(e) == 2, is.name(e[[2]]))) stop_no_expression(name)
  e[[2]]
}

# Whole numbers are integers, which databases also compare with texts.
level_numbers <- function(levels) {
  numbers <- suppressWarnings(as.double(levels))
  if (anyNA(numbers) || !identical(as.character(numbers), levels)) return(as.list(levels))
  if (all(numbers == round(numbers) & abs(numbers) < 1e9)) numbers <- as.integer(numbers)
  as.list(numbers)
}

plain_condition <- function(e, name, terms) {
  if (is.name(e)) return(e)
  if (!is.call(e) || !as.character(e[[1]]) %in% c("<", "<=", ">", ">=", "==", "!=", "I")) stop_no_expression(name)
  if (identical(e[[1]], quote(I))) return(plain_condition(e[[2]], name, terms))
  for (k in 2:3) if (is.call(e[[k]])) e[[k]] <- plain_expression(e[[k]], name, terms)
  e
}

# The code of the level that `e` is, groups of levels with the same code together; of another level it is missing, or
# the mean by `shares`.
code_expression <- function(e, values, codes, shares) {
  last <- if (is.null(shares)) NA else call("ifelse", call("is.na", e), NA, sum(shares * codes))
  groups <- split(seq_along(codes), match(codes, unique(codes)))
  for (group in groups[order(-lengths(groups))]) {
    is_in <- if (length(group) == 1) call("==", e, values[[group]])
    else call("%in%", e, as.call(c(list(as.name("c")), values[group])))
    last <- call("ifelse", is_in, codes[group[1]], last)
  }
  last
}

# The sum of the offsets of a formula.
offset_expression <- function(fit) {
  terms <- fit$design$terms
  at <- attr(terms, "offset")
  if (fit$design$kind != "frame" || !length(at)) return(NULL)
  one <- function(e) {
    own <- plain_expression(e[[2]], deparse1(e), terms)
    if (is.call(own)) call("(", own) else own
  }
  Reduce(function(a, b) call("+", a, b), lapply(as.list(attr(terms, "variables"))[-1L][at], one))
}

# ---- vetiver

#' @exportS3Method vetiver::vetiver_create_description
vetiver_create_description.varnn <- function(model) {
  check_fit(model)
  sprintf("%s by varnn", model_title(model))
}

#' @exportS3Method vetiver::vetiver_create_meta
vetiver_create_meta.varnn <- function(model, metadata) {
  check_fit(model)
  vetiver::vetiver_meta(metadata, required_pkgs = "varnn")
}

# The predictors without rows: of which types data must be that come by the web.
#' @exportS3Method vetiver::vetiver_ptype
vetiver_ptype.varnn <- function(model, ...) {
  check_fit(model)
  if (!has_response(model)) stop_user("vetiver needs a model with a response; codes of this one are by encode().")
  as_table(as.data.frame(predictor_rows(model, NULL, parent.frame())$frame)[0, , drop = FALSE])
}

#' @exportS3Method vetiver::handler_predict
handler_predict.varnn <- function(vetiver_model, ...) {
  function(req) {
    newdata <- vetiver::vetiver_type_convert(req$body, vetiver_model$prototype)
    list(.pred = unname(stats::predict(vetiver_model$model, newdata, ...)))
  }
}
