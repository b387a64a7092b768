# Effects of predictors on the predictions: partial dependence and accumulated local effects.
#
# Both are linear in the predictions: sums over rows of the data in which a predictor has been set to some of its
# values. A plan says which: `set` (a column for each variable: the number of its value, a row for each prediction),
# `row` (of the data), `group` and `weight` of the sum it goes into; and `finish`, which makes the effects of the sums.

#' Effects of the predictors
#'
#' How the predictions of a model depend on a predictor, or on two: accumulated local effects (Apley and Zhu 2020) or
#' partial dependence (Friedman 2001), of Bayesian fits with credible bands.
#'
#' @param object a fit by [fit_nn()] or [fit_bayes_nn()].
#' @param variables names of predictors, by default all; `"a:b"` is the joint effect of two.
#' @param newdata the data whose predictors are used; by default those of the training.
#' @param method `"ale"`: accumulated local effects; `"pd"`: partial dependence.
#' @param type `"response"`: of the mean of the response (of a factor the probability of a level), or `"link"`: of the
#'   linear output.
#' @param points how many values of a numeric predictor the effect is computed at, at most.
#' @param individual for `method = "pd"`: of how many rows, evenly spread, to keep the curves of their own (individual
#'   conditional expectations, Goldstein et al. 2015).
#' @param level of the bands.
#' @param draws from the posterior of a Bayesian fit, or of a mixture from its members, for the bands.
#' @param x what `effects()` gives.
#' @param row.names,optional as in [as.data.frame()].
#' @param digits significant digits to print.
#' @param ... for `plot()`, graphical arguments as in [plot.varnn()]; else not used.
#' @details The partial dependence on a predictor is the mean prediction of all rows when it is set to one value. Where
#'   predictors are correlated, most of these rows never occur. The accumulated local effect adds up, from the least
#'   value on, how the predictions change over short intervals, in each for those rows alone that are there, so that the
#'   model is only asked near the data; it is centred: its mean over the rows is 0. Intervals end at quantiles. The
#'   levels of a factor are ordered by how similar their rows are in the other predictors (those of an ordered factor
#'   are as they are). The accumulated local effect of two predictors is what both have together beyond the effects of
#'   each, 0 where they do not interact; the partial dependence on two includes these.
#'
#'   For an additive model both are its functions: the accumulated local effects centred, the partial dependence with
#'   the mean of the others added. Case weights of the training count a row of weight w as w rows. Of more than 1,000
#'   rows (or fewer, where two predictors have many values) partial dependence uses some, evenly spread.
#' @return A list of class `varnn_effects`. Its element `effects` has for each of `variables` a data frame with the
#'   values of the predictors, the `response` or level where there are several, the `effect`, and for Bayesian fits and
#'   mixtures the bounds `lower` and `upper` of the credible interval. `individual` has the curves of rows, a data frame
#'   in which they are named by `row`. `as.data.frame()` binds the effects of single predictors, with the columns
#'   `variable` and `value` (a character, where predictors are factors).
#' @references Apley and Zhu (2020) Visualizing the effects of predictor variables in black box supervised learning
#'   models, \doi{10.1111/rssb.12377}.
#'
#' Friedman (2001) Greedy function approximation: a gradient boosting machine, \doi{10.1214/aos/1013203451}.
#'
#' Goldstein, Kapelner, Bleich and Pitkin (2015) Peeking inside the black box, \doi{10.1080/10618600.2014.907095}.
#' @seealso [importance()], [plot.varnn()] with `which = "effects"`.
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 4)
#' found <- effects(fit)
#' head(as.data.frame(found))
#' plot(found)
#' plot(effects(fit, "wt", method = "pd", individual = 15))
#' plot(effects(fit, "wt:hp"))
#' @importFrom stats effects
#' @export
effects.varnn <- function(object, variables = NULL, newdata = NULL, method = "ale", type = "response", points = 40,
                          individual = 0, level = 0.95, draws = 400, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("variables", "newdata", "method", "type", "points", "individual", "level", "draws"))
  if (!has_response(object)) stop_user("effects() needs a fit by fit_nn() or fit_bayes_nn(): this one has no response.")
  method <- check_choice(method, names(effect_methods), "method")
  points <- check_number(points, "points", 2, 1000, whole = TRUE)
  individual <- check_number(individual, "individual", 0, 1e4, whole = TRUE)
  if (individual > 0 && method != "pd") stop_user("`individual` belongs to `method` = \"pd\".")
  level <- check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  draws <- check_draws(draws)
  found <- predictor_rows(object, newdata, parent.frame())
  data <- effect_data(object, found, is_training = is.null(newdata))
  effects_on(object, data, variables, method, check_effect_type(object, type), points, individual, level, draws)
}

# list(frame, w, names): rows that count, their weights and the names of predictors.
effect_data <- function(fit, found, is_training) {
  if (!nrow(found$frame)) stop_user("There is no row without missing values.")
  w <- if (is_training) case_weights(fit) else rep(1, nrow(found$frame))
  list(frame = found$frame[w > 0, , drop = FALSE], w = w[w > 0], names = found$names)
}

effects_on <- function(fit, data, variables, method = "ale", type = "response", points = 40, individual = 0,
                       level = 0.95, draws = 400) {
  asked <- asked_effects(variables, data$names)
  model <- effect_model(fit, type, draws)
  values <- list()
  for (name in unique(unlist(asked))) values[[name]] <- predictor_values_of(fit$design, name, data)
  out <- lapply_shown(asked, function(names) one_effect(names, model, data, values, method, points, level), "predictor")
  curves <- lapply(asked[lengths(asked) == 1 & individual > 0], individual_curves, model, data, values, points,
                   individual)
  structure(list(effects = out, individual = curves, variables = asked, method = method, type = type, level = level,
                 n = nrow(data$frame), labels = model$labels, rugs = lapply(values, function(v) v$rug)),
            class = "varnn_effects")
}

# Names of one or two predictors each, by what the user calls them.
asked_effects <- function(variables, known) {
  if (is.null(variables)) variables <- known
  if (!is.character(variables) || !length(variables) || anyNA(variables))
    stop_user("`variables` must be names of predictors, or of two as \"a:b\", not %s.", shown(variables))
  variables <- unique(plain(variables))
  stats::setNames(lapply(variables, asked_effect, known), variables)
}

asked_effect <- function(name, known) {
  if (name %in% known) return(name)
  pairs <- expand.grid(a = known, b = known, stringsAsFactors = FALSE)
  pairs <- pairs[pairs$a != pairs$b & paste0(pairs$a, ":", pairs$b) == name, ]
  if (nrow(pairs)) return(c(pairs$a[1], pairs$b[1]))
  parts <- strsplit(name, ":", fixed = TRUE, useBytes = TRUE)[[1]]
  if (length(parts) > 2) stop_user("`variables` may join two predictors, as \"a:b\", not \"%s\".", name)
  for (part in if (length(parts)) parts else name) check_choice(part, known, "variables")
  stop_user("`variables` joins \"%s\" with itself.", parts[1])
}

check_effect_type <- function(fit, type) {
  type <- check_choice(type, c("response", "link"), "type")
  if (type == "link" && any(vapply(fit$blocks, has_levels, NA)))
    stop_user("`type` = \"link\" does not apply to a factor of several levels: its probabilities depend on all.")
  type
}

# What a predictor is: list(v, at [one number for each row], name). Of a numeric one the number is its value; of
# others, and of one that the formula makes a factor, that of one of the `levels`.
predictor_values_of <- function(design, name, data) {
  v <- get_variable(data$frame, name)
  if (length(dim(v)) > 1) stop_user("The predictor `%s` is a matrix: it has no effect of its own.", name)
  is_coded <- any(vapply(names(design$xlevels), function(term) {
    name %in% all.vars(str2lang(if (term == name) paste0("`", term, "`") else term))
  }, NA))
  if (is.numeric(v) && !is_coded || !is.null(time_of(v))) {
    at <- as.double(unclass(v))
    return(list(name = name, at = at, rug = stats::quantile(at, seq(0, 1, 0.1), names = FALSE),
                value = function(z) like_vector(v, z), shown = function(z) like_vector(v, z)))
  }
  levels <- if (is.factor(v)) factor(levels(v)[levels(v) %in% v], levels(v)) else sort(unique(v))
  if (length(levels) < 2) stop_user("The predictor `%s` has only one value, \"%s\".", name, as.character(levels)[1])
  list(name = name, at = match(v, levels), levels = levels, is_ordered = is.ordered(v) || is.numeric(v),
       value = function(k) if (is.factor(v)) factor(levels[k], levels(v), ordered = is.ordered(v)) else levels[k],
       shown = function(k) factor(as.character(levels[k]), as.character(levels)))
}

# The numbers z in the class of v, as dates.
like_vector <- function(v, z) {
  kept <- attributes(v)[c("class", "units", "tzone")]
  attributes(z) <- kept[lengths(kept) > 0]
  z
}

# ---- the predictions and their sums

# What effects are taken of: `means` (rows -> predictions [rows, outputs]) and, where there are draws, `drawn` (rows ->
# [rows, outputs, draws], all rows with the same draws), `labels` of the outputs.
effect_model <- function(fit, type, draws) {
  several <- length(fit$blocks) > 1
  has_spread <- draws_posterior(fit)
  seed <- use_seed(NULL)$seed
  labels <- unlist(lapply(fit$blocks, function(b) if (type == "link") b$columns else block_labels(b, several)))
  first <- unlist(Map(function(b, at) at[seq_along(block_labels(b))], fit$blocks,
                      if (type == "link") block_slices(fit$blocks, function(b) length(eta_labels(b)))
                      else block_slices(fit$blocks, function(b) length(block_labels(b)))))
  means <- function(rows) as.matrix(averaged_prediction(fit, rows, type, draws, NULL))[, first, drop = FALSE]
  draw <- if (type == "link") link_block else epred_block
  drawn <- function(rows) {
    found <- from_seed(seed, drawn_responses(fit, rows, draws, draw))
    if (!is.list(found)) found <- list(found)
    n <- length(rows$ok)
    flat <- lapply(found, function(d) matrix(aperm(array(d, c(draws, n, length(d) / draws / n)), c(2, 3, 1)), n))
    each <- vapply(flat, ncol, 0) / draws
    out <- array(0, c(n, length(labels), draws))
    at <- block_slices(as.list(each), identity)
    for (i in seq_along(flat)) out[, at[[i]], ] <- flat[[i]]
    out
  }
  list(design = fit$design, type = type, labels = labels,
       means = if (!has_spread || !predicts_by_draws(fit)) means, drawn = if (has_spread) drawn,
       draws = if (has_spread) draws else 1)
}

# Draws of the first linear output, on the user's scale.
link_block <- function(block, eta, free, offset) {
  flat <- block_link(block, draws_in_rows(eta), rep_offset(offset, dim(eta)[3]), FALSE)
  matrix(flat[, 1], dim(eta)[1])
}

# Numbers held at once.
effect_numbers <- 2e6

# The sums of a plan: `mean` [groups, outputs] and, where there are draws, `drawn` [groups, outputs, draws].
plan_sums <- function(plan, model, data, values) {
  n_groups <- max(plan$group)
  k <- length(model$labels)
  out <- list(mean = matrix(0, n_groups, k), drawn = if (!is.null(model$drawn)) array(0, c(n_groups, k, model$draws)))
  for (at in row_chunks(length(plan$row), model$draws * k + 50, effect_numbers)) {
    frame <- data$frame[plan$row[at], , drop = FALSE]
    for (name in colnames(plan$set)) frame <- set_variable(frame, name, values[[name]]$value(plan$set[at, name]))
    if (is.data.frame(frame)) row.names(frame) <- NULL
    rows <- design_rows(model$design, frame)
    if (!all(rows$ok)) stop_user("The formula has no value for some values of %s.", quoted(colnames(plan$set)))
    add <- function(sums, v) {
      found <- rowsum(matrix(v, length(at)) * plan$weight[at], plan$group[at])
      flat <- matrix(sums, n_groups)
      to <- as.integer(rownames(found))
      flat[to, ] <- flat[to, ] + found
      array(flat, dim(sums))
    }
    if (!is.null(model$means)) out$mean <- add(out$mean, model$means(rows))
    if (!is.null(model$drawn)) out$drawn <- add(out$drawn, model$drawn(rows))
  }
  if (is.null(model$means)) out$mean <- means_over(out$drawn)
  if (!all(is.finite(out$mean)))
    stop_user("The predictions are not finite: `newdata` is too far from the training data%s.",
              if (model$type == "response") ", or try `type` = \"link\"" else "")
  out
}

one_effect <- function(names, model, data, values, method, points, level) {
  plan <- effect_methods[[method]](values[names], data, points)
  sums <- plan_sums(plan, model, data, values)
  finish <- function(m) vapply(seq_len(ncol(m)), function(j) plan$finish(m[, j]), numeric(nrow(plan$cells)))
  n <- nrow(plan$cells)
  out <- plan$cells[rep(seq_len(n), length(model$labels)), , drop = FALSE]
  row.names(out) <- NULL
  if (length(model$labels) > 1) out$response <- factor(rep(model$labels, each = n), model$labels)
  out$effect <- as.vector(finish(sums$mean))
  if (is.null(sums$drawn)) return(out)
  drawn <- finish(matrix(sums$drawn, nrow(sums$mean)))
  bounds <- row_quantiles(matrix(drawn, ncol = model$draws), c((1 - level) / 2, (1 + level) / 2),
                          rep(1 / model$draws, model$draws))
  out$lower <- bounds[, 1]
  out$upper <- bounds[, 2]
  out
}

# ---- partial dependence

most_rows_averaged <- 1000
most_predictions <- 1e5 # of one effect

# Values of a predictor, as numbers: all, or an even grid.
pd_grid <- function(v, points) {
  if (!is.null(v$levels)) return(seq_along(v$levels))
  z <- sort(unique(v$at))
  if (length(z) <= points) z else seq(z[1], z[length(z)], length.out = points)
}

pd_plan <- function(values, data, points) {
  if (length(values) == 2) points <- min(points, 20)
  grids <- lapply(values, pd_grid, points)
  cells <- as.matrix(expand.grid(grids, KEEP.OUT.ATTRS = FALSE))
  rows <- mixed_rows(nrow(data$frame), max(50, min(most_rows_averaged, most_predictions %/% nrow(cells))))
  plan <- pd_rows(cells, rows)
  plan$weight <- (data$w[rows] / sum(data$w[rows]))[match(plan$row, rows)]
  plan$cells <- shown_cells(values, cells)
  plan$finish <- identity
  plan
}

# Each of the rows set to each of the cells.
pd_rows <- function(cells, rows) {
  cell <- rep(seq_len(nrow(cells)), each = length(rows))
  list(set = cells[cell, , drop = FALSE], row = rep(rows, nrow(cells)), group = cell)
}

shown_cells <- function(values, cells) {
  out <- lapply(seq_along(values), function(j) values[[j]]$shown(unname(cells[, j])))
  structure(stats::setNames(out, names(values)), class = "data.frame", row.names = .set_row_names(nrow(cells)))
}

# The curves of single rows, evenly spread.
individual_curves <- function(name, model, data, values, points, n) {
  values <- values[name]
  cells <- as.matrix(expand.grid(lapply(values, pd_grid, points), KEEP.OUT.ATTRS = FALSE))
  rows <- sort(mixed_rows(nrow(data$frame), n))
  plan <- pd_rows(cells, rows)
  plan$group <- seq_along(plan$row)
  plan$weight <- rep(1, length(plan$row))
  model$drawn <- if (is.null(model$means)) model$drawn
  sums <- plan_sums(plan, model, data, values)$mean
  of_row <- rep(rows, nrow(cells))
  names <- rownames(data$frame)
  out <- shown_cells(values, plan$set)[rep(seq_along(of_row), length(model$labels)), , drop = FALSE]
  row.names(out) <- NULL
  if (length(model$labels) > 1) out$response <- factor(rep(model$labels, each = length(of_row)), model$labels)
  out$row <- rep(if (is.null(names)) of_row else names[of_row], length(model$labels))
  out$effect <- as.vector(sums)
  out
}

# ---- accumulated local effects

ale_plan <- function(values, data, points) {
  if (length(values) == 1) return((if (is.null(values[[1]]$levels)) ale_number else ale_levels)(values, data, points))
  if (any(lengths(lapply(values, `[[`, "levels")) > 0))
    stop_user("Accumulated local effects of two predictors are for numbers: use `method` = \"pd\" (`%s`).",
              paste(names(values), collapse = ":"))
  ale_pair(values, data, points)
}

# Ends of intervals that hold about as many rows each, at least `least` of them.
ale_edges <- function(v, points, least = 4) {
  intervals <- max(1, min(points, length(v$at) %/% least))
  edges <- unique(stats::quantile(v$at, seq(0, 1, length.out = intervals + 1), names = FALSE, type = 1))
  if (length(edges) < 2) stop_user("The predictor `%s` has only one value, %s.", v$name, format(v$shown(edges)))
  edges
}

# The interval of each number, the least in the first.
interval_of_each <- function(x, edges) pmax(1L, findInterval(x, edges, left.open = TRUE))

# The share of each row in the total of its group.
shares_within <- function(w, group) w / as.vector(rowsum(w, group)[match(group, sort(unique(group)))])

ale_number <- function(values, data, points) {
  v <- values[[1]]
  edges <- ale_edges(v, points)
  bin <- interval_of_each(v$at, edges)
  share <- shares_within(data$w, bin)
  n <- length(bin)
  list(set = matrix(edges[c(bin + 1, bin)], ncol = 1, dimnames = list(NULL, v$name)), row = rep(seq_len(n), 2),
       group = rep(bin, 2), weight = c(share, -share), cells = shown_cells(values, cbind(edges)),
       finish = function(steps) {
         f <- c(0, cumsum(steps))
         f - stats::weighted.mean(stats::approx(edges, f, v$at)$y, data$w)
       })
}

# Each step between neighbouring levels is that of the rows of both.
ale_levels <- function(values, data, points) {
  v <- values[[1]]
  n_levels <- length(v$levels)
  order <- if (v$is_ordered || n_levels < 3) seq_len(n_levels) else similar_levels(v, data)
  place <- match(v$at, order)
  up <- which(place < n_levels)
  down <- which(place > 1)
  step <- c(place[up], place[down] - 1)
  row <- c(up, down)
  share <- shares_within(data$w[row], step)
  list(set = matrix(order[c(step + 1, step)], ncol = 1, dimnames = list(NULL, v$name)), row = rep(row, 2),
       group = rep(step, 2), weight = c(share, -share), cells = shown_cells(values, cbind(seq_len(n_levels))),
       finish = function(steps) {
         f <- c(0, cumsum(steps))
         (f - stats::weighted.mean(f[place], data$w))[match(seq_len(n_levels), order)]
       })
}

# An order of levels in which those follow each other whose rows are similar in the other predictors: the first
# coordinate of the distances between their distributions, of each predictor the Kolmogorov distance, or of levels half
# the sum of differences of shares.
similar_levels <- function(v, data) {
  k <- length(v$levels)
  distance <- matrix(0, k, k)
  for (name in setdiff(data$names, v$name)) {
    x <- get_variable(data$frame, name)
    if (length(dim(x)) > 1) next
    is_number <- is.numeric(x) || !is.null(time_of(x))
    x <- if (is_number) as.double(unclass(x)) else as.character(x)
    all <- sort(unique(x))
    by_level <- prop.table(table(factor(v$at, seq_len(k)), factor(x, all)), 1)
    if (is_number) by_level <- t(apply(by_level, 1, cumsum))
    between <- as.matrix(stats::dist(by_level, if (is_number) "maximum" else "manhattan"))
    distance <- distance + between / if (is_number) 1 else 2
  }
  if (all(distance == 0)) return(seq_len(k))
  order(suppressWarnings(stats::cmdscale(distance, 1))[, 1])
}

most_pair_intervals <- 20

ale_pair <- function(values, data, points) {
  most <- min(points, most_pair_intervals, max(2, floor(sqrt(length(data$w) / 4))))
  edges <- lapply(values, ale_edges, most, 1)
  bins <- Map(function(v, e) interval_of_each(v$at, e), values, edges)
  k <- lengths(edges) - 1
  cell <- bins[[1]] + k[1] * (bins[[2]] - 1)
  share <- shares_within(data$w, cell)
  n <- length(cell)
  corner <- function(a, b) cbind(edges[[1]][bins[[1]] + a], edges[[2]][bins[[2]] + b])
  set <- rbind(corner(1, 1), corner(1, 0), corner(0, 1), corner(0, 0))
  colnames(set) <- names(values)
  count <- matrix(0, k[1], k[2])
  found <- rowsum(data$w, cell)
  count[as.integer(rownames(found))] <- found
  nearest <- nearest_cells(count > 0, lapply(edges, function(e) (e[-1] + e[-length(e)]) / 2 / diff(range(e))))
  area <- outer(diff(edges[[1]]), diff(edges[[2]]))
  cells <- as.matrix(expand.grid(edges, KEEP.OUT.ATTRS = FALSE))
  list(set = set, row = rep(seq_len(n), 4), group = rep(cell, 4), weight = c(share, -share, -share, share),
       cells = shown_cells(values, cells), finish = function(steps) {
         slopes <- c(steps, numeric(length(count) - length(steps))) / area
         as.vector(centred_pair(matrix(slopes[nearest] * area, k[1], k[2]), count))
       })
}

# For each cell the nearest one that has rows, whose slope stands for its own.
nearest_cells <- function(is_full, middles) {
  at <- expand.grid(middles)
  full <- which(is_full)
  out <- seq_along(is_full)
  for (i in which(!is_full)) out[i] <- full[which.min((at[full, 1] - at[i, 1])^2 + (at[full, 2] - at[i, 2])^2)]
  out
}

# The second differences accumulated, less the effects of each predictor that this sum has, and its mean.
centred_pair <- function(steps, count) {
  f <- rbind(0, cbind(0, steps))
  f <- apply(f, 2, cumsum)
  f <- t(apply(f, 1, cumsum))
  along <- function(f, count) {
    d <- f[-1, , drop = FALSE] - f[-nrow(f), , drop = FALSE]
    d <- (d[, -1, drop = FALSE] + d[, -ncol(d), drop = FALSE]) / 2
    c(0, cumsum(rowSums(count * d) / rowSums(count)))
  }
  f <- f - outer(along(f, count), along(t(f), t(count)), `+`)
  at <- function(a, b) f[seq_len(nrow(count)) + a, seq_len(ncol(count)) + b]
  f - sum(count * (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4) / sum(count)
}

effect_methods <- list(ale = ale_plan, pd = pd_plan)
effect_words <- c(ale = "accumulated local effects", pd = "partial dependence")

# ---- print

#' @rdname effects.varnn
#' @export
print.varnn_effects <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  words <- effect_words[[x$method]]
  cat(sprintf("%s%s of %s on %s (%s, %s)\n\n", toupper(substr(words, 1, 1)), substring(words, 2),
              paste(names(x$effects), collapse = ", "), paste(x$labels, collapse = ", "), x$type,
              count(x$n, "row")))
  range_of <- function(e, f) format(f(e$effect), digits = digits)
  print(data.frame(variable = names(x$effects), values = vapply(x$effects, function(e) {
    as.double(nrow(e)) / length(x$labels)
  }, 0), least = vapply(x$effects, range_of, "", min), greatest = vapply(x$effects, range_of, "", max)),
  row.names = FALSE)
  cat("\nas.data.frame() and the element `effects` have the numbers, plot() the curves.\n")
  invisible(x)
}

#' @rdname effects.varnn
#' @export
as.data.frame.varnn_effects <- function(x, row.names = NULL, optional = FALSE, ...) {
  check_dots_empty(...)
  single <- x$effects[lengths(x$variables) == 1]
  if (!length(single)) stop_user("These are effects of two predictors: see the element `effects`.")
  is_number <- all(vapply(single, function(e) is.numeric(e[[1]]), NA))
  parts <- Map(function(e, name) {
    value <- if (is_number) e[[1]] else as.character(e[[1]])
    cbind(data.frame(variable = name, value = value), e[-1])
  }, single, names(single))
  out <- do.call(rbind, unname(parts))
  if (!is.null(row.names)) row.names(out) <- row.names
  out
}
