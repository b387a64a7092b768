# What explore() puts into a page: a fit as lists that as_json() writes, and answers of R's by which the page checks
# itself.
#
# A network is its layers, each with the places of its leaves in `theta`, which has means alone, counted from 0. The
# posterior of its weights comes in one of four ways: "point", no posterior; "normal", the linearised network with the
# root of its covariance, of which every prediction has a closed form; "shifts", draws of the weights of the linearised
# network less their mean; "draws", draws of the weights.

# ---- networks

# The leaves that are no noise and no spread, with `first`, their places in a theta of their own.
mean_leaves <- function(fit) {
  leaves <- fit$layout[fit$layout$part == 0 & fit$layout$role != "noise", ]
  leaves$first <- cumsum(c(0, leaves$rows * leaves$cols))[seq_len(nrow(leaves))]
  leaves
}

leaf_places <- function(leaves) unlist(lapply(seq_len(nrow(leaves)), function(i) leaf_index(leaves[i, ])))

page_layers <- function(fit) {
  leaves <- mean_leaves(fit)
  at <- function(layer, roles, head = 0) {
    found <- leaves[leaves$layer == layer & leaves$role %in% roles & leaves$head == head, ]
    if (nrow(found)) found$first[1] else -1
  }
  units <- layer_units(fit$spec)
  one <- function(i) {
    own <- leaves[leaves$layer == i & leaves$role == "weight", ]
    size <- list(rows = units[i], cols = if (nrow(own)) own$cols[1] else c(fit$spec$n_x, units)[i])
    dense <- function(of = i, head = 0) {
      list(weight = at(of, c("weight", "log_sigma"), head), bias = at(i, "bias", head))
    }
    parts <- switch(fit$spec$layer[i],
      dense = dense(), latent = c(dense(), list(spread = dense(head = 1))), tied = dense(fit$spec$size[i]),
      activate = list(name = fit$spec$option[i]), program = page_activation(fit$spec$programs[[fit$spec$size[i]]]),
      layer_norm = list(gain = at(i, "gain"), shift = at(i, "shift")), given = list()
    )
    if (!is.null(parts)) utils::modifyList(c(list(kind = fit$spec$layer[i]), size), parts)
  }
  # layers that only noise, masks and penalties of the training make are none
  Filter(Negate(is.null), lapply(seq_along(fit$spec$layer), one))
}

page_activation <- function(program) {
  list(value = page_program(program), slope = page_program(slope_program(program, 1L)), text = program$text)
}

page_program <- function(p) {
  list(op = I(p$op), a = I(p$a), b = I(p$b), c = I(p$c), number = I(p$number))
}

page_scaling <- function(scaling) {
  turn <- scaling$rotation
  list(center = I(scaling$center), scale = I(scaling$scale), constant = I(scaling$is_constant),
       rotation = if (!is.null(turn)) packed(turn))
}

# ---- responses and columns

page_blocks <- function(fit) {
  Map(function(block, free) {
    custom <- block$custom
    list(family = block$family, kind = record_of(block)$kind, columns = I(block$columns), type = block$type,
         levels = if (!is.null(block$levels)) I(block$levels), center = I(rep_len(block$center, block$n_responses)),
         scale = I(rep_len(block$scale, block$n_responses)), size = block$n_responses,
         parts = I(record_of(block)$parts), scaled = is_scaled(block), constants = lapply(block$constants, I),
         custom = if (!is.null(custom))
           list(name = custom$name, mean = page_program(custom$mean),
                reads = I(match(custom$mean$arguments, c(custom$eta, custom$free)) - 1L)))
  }, fit$blocks, block_free(fit))
}

# The free scalars of each block: for each response, or once for all, a list of them.
page_free <- function(fit, free = block_free(fit)) {
  of_block <- function(f) {
    columns <- if (is.matrix(f)) f else matrix(f, 1)
    lapply(seq_len(ncol(columns)), function(j) I(unname(columns[, j])))
  }
  lapply(free, of_block)
}

# ---- predictors

# list(name, kind, ...) of each variable that the columns of a design are made of, from a frame or a matrix with them.
# `levels` are those of a factor, of characters and of a number that a formula makes a factor.
page_predictors <- function(design, frame) {
  names <- if (design$kind == "matrix") design$columns else intersect(all.vars(design$terms), colnames(frame))
  lapply(names, function(name) page_predictor(design, name, get_variable(frame, name)))
}

page_predictor <- function(design, name, v) {
  if (length(dim(v)) > 1)
    stop_user("The predictor `%s` is a matrix, for which a page has no control: give its columns as columns.", name)
  is_offset <- design$kind == "frame" && !name %in% term_names(design$terms)
  levels <- predictor_levels(design, name, v)
  if (!is.null(levels)) {
    often <- which.max(tabulate(match(as.character(v), as.character(levels)), length(levels)))
    return(list(name = name, kind = "level", levels = I(levels), start = levels[often], offset = is_offset))
  }
  if (is.logical(v)) return(list(name = name, kind = "logical", start = isTRUE(mean(v, na.rm = TRUE) > 0.5),
                                 offset = is_offset))
  time <- time_of(v)
  v <- as.double(unclass(v))
  ends <- range(v, na.rm = TRUE)
  whole <- all(v == round(v), na.rm = TRUE)
  list(name = name, kind = if (isTRUE(time %in% c("Date", "POSIXct"))) time else "number", low = ends[1],
       high = ends[2], start = stats::median(v, na.rm = TRUE), whole = whole, offset = is_offset)
}

predictor_levels <- function(design, name, v) {
  if (design$kind == "matrix") return(NULL)
  if (name %in% names(design$xlevels)) return(design$xlevels[[name]])
  for (term in names(design$xlevels)) {
    e <- tryCatch(factored_variable(str2lang(term), term), error = function(e) NULL)
    if (identical(e, as.name(name))) {
      levels <- unlist(level_numbers(design$xlevels[[term]]))
      return(if (is.numeric(v) == is.numeric(levels)) levels else design$xlevels[[term]])
    }
  }
  if (is.factor(v)) levels(v) else if (is.character(v)) sort(unique(v))
}

# The expressions of the columns and of the offset, in terms of the predictors by number. A variable of the terms that
# is no such expression, as of ns(x, 3), is a table: its columns at the levels of the one predictor that it reads, or at
# numbers on a grid, to which the page then moves that predictor: `grids`, by name.
page_columns <- function(design, predictors, frame) {
  names <- vapply(predictors, function(p) p$name, "")
  grids <- list()
  tabled <- function(e, term, all_levels) {
    if (term %in% names && is.name(e)) return(list(e)) # dates and times count as numbers
    found <- table_of_term(design, e, term, all_levels, predictors, frame)
    if (!is.null(found$grid)) grids[[found$name]] <<- found$grid
    lapply(seq_len(ncol(found$columns)), function(j) call(".table", as.name(found$name), found$columns[, j]))
  }
  columns <- lapply(column_expressions(design, tabled), page_expression, names)
  for (i in seq_along(predictors)) if (!is.null(grids[[names[i]]])) {
    grid <- grids[[names[i]]]
    predictors[[i]]$grid <- I(grid)
    predictors[[i]]$start <- grid[which.min(abs(grid - predictors[[i]]$start))]
  }
  list(columns = columns, predictors = predictors)
}

page_offset <- function(fit, predictors) {
  if (fit$design$kind != "frame" || is.null(attr(fit$design$terms, "offset"))) return(NULL)
  e <- tryCatch(offset_expression(fit), varnn_error = function(e) stop_no_page("offset()", "it calls functions of R"))
  page_expression(e, vapply(predictors, function(p) p$name, ""))
}

stop_no_page <- function(what, why = "it is made of more than one variable by functions of R") {
  stop_user("`%s` of the formula cannot be computed in a page, for %s: fit to columns that are made before.", what, why)
}

grid_points <- 201L

# list(name, grid, columns [values of the predictor, columns]) of a variable of the terms.
table_of_term <- function(design, e, term, all_levels, predictors, frame) {
  names <- vapply(predictors, function(p) p$name, "")
  own <- intersect(all.vars(e), names)
  if (length(own) != 1) stop_no_page(term)
  p <- predictors[[match(own, names)]]
  grid <- if (p$kind == "level") p$levels else if (p$kind == "logical") c(FALSE, TRUE)
  else seq(p$low, p$high, length.out = grid_points)
  rows <- frame[rep(1L, length(grid)), , drop = FALSE]
  v <- frame[[own]]
  rows[[own]] <- if (p$kind == "level") level_like(v, grid) else if (p$kind == "logical") grid else like_vector(v, grid)
  row.names(rows) <- NULL
  made <- tryCatch(with_values(new_frame(design, rows), term, design$times)[[term]], varnn_error = function(e) NULL)
  if (is.null(made)) stop_no_page(term, sprintf("R does not find its values for other values of `%s`", own))
  columns <- if (is.numeric(made)) as.matrix(made) else level_codes(design, term, made, all_levels)
  if (anyNA(columns)) stop_no_page(term, sprintf("it has no value for some values of `%s`", own))
  list(name = own, grid = if (!p$kind %in% c("level", "logical")) grid, columns = unname(columns))
}

level_like <- function(v, levels) {
  if (is.factor(v)) factor(levels, levels(v), ordered = is.ordered(v)) else if (is.numeric(v)) levels
  else as.character(levels)
}

level_codes <- function(design, term, made, all_levels) {
  levels <- if (is.logical(made)) c("FALSE", "TRUE") else design$xlevels[[term]]
  f <- factor(levels, levels)
  if (!all_levels && !is.null(design$contrasts[[term]])) stats::contrasts(f) <- design$contrasts[[term]]
  codes <- if (all_levels) diag(length(levels)) else unname(stats::contrasts(f))
  codes[match(as.character(made), levels), , drop = FALSE]
}

# An expression as nested arrays of operators and their arguments: "v", a predictor, "s", a text, "t", a table.
page_expression <- function(e, names) {
  if (is.name(e)) return(list("v", match(as.character(e), names) - 1L))
  if (is.character(e)) return(list("s", e))
  if (!is.call(e)) return(as.double(e))
  head <- as.character(e[[1]])
  argument <- function(k) page_expression(e[[k]], names)
  if (head == "(") return(argument(2))
  if (head == ".table") return(list("t", match(as.character(e[[2]]), names) - 1L, I(e[[3]])))
  if (head == "%in%") return(list("in", argument(2), lapply(as.list(e[[3]])[-1], page_expression, names)))
  c(list(head), lapply(seq_along(e)[-1], argument))
}

# The values of the predictors in rows of a frame, as the page has them: a vector for each.
page_values <- function(predictors, frame, rows = seq_len(nrow(frame))) {
  lapply(predictors, function(p) {
    v <- get_variable(frame, p$name)[rows]
    if (p$kind == "level") I(if (is.numeric(p$levels)) as.double(as.character(v)) else as.character(v))
    else if (p$kind == "logical") I(as.logical(v))
    else if (is.null(p$grid)) I(as.double(unclass(v)))
    else I(p$grid[vapply(as.double(unclass(v)), function(one) which.min(abs(p$grid - one)), 1L)])
  })
}

# ---- a network with a response

most_root <- 4e5 # numbers of the roots of covariances in a page

# How the posterior of a fit's weights comes into a page.
page_way <- function(fit, members) {
  if (is_point(fit$spec)) return("point")
  if (!is_laplace(fit$spec)) return("draws")
  n <- vapply(members, function(m) length(m$laplace$active), 0)
  has_layers <- any(vapply(members, function(m) length(m$laplace$layers) > 0, NA))
  if (!predicts_by_draws(fit) && !has_layers && sum(n * (n + 1) / 2) <= most_root) "normal" else "shifts"
}

# The members that count, with their weights: those of others change no digit that is shown.
page_members <- function(fit) {
  if (!is_mixture(fit)) return(list(fits = list(fit), weights = 1))
  use <- fit$member_weights > least_weight
  list(fits = member_fits(fit)[use], weights = fit$member_weights[use] / sum(fit$member_weights[use]))
}
least_weight <- 1e-9

# What a page has of each member; `reference` is what R needs to predict by the same draws.
page_networks <- function(fit, draws) {
  found <- page_members(fit)
  way <- page_way(fit, found$fits)
  n <- pmax(1, round(draws * found$weights / sum(found$weights)))
  members <- Map(function(m, weight, n) {
    leaves <- mean_leaves(m)
    places <- leaf_places(leaves)
    free <- tryCatch(simulation_free(m), varnn_error = function(e) block_free(m))
    out <- list(weight = weight, theta = packed(m$theta[places]), free = page_free(m, free))
    own <- switch(way, normal = page_root(m, places), shifts = page_shifts(m, places, n), draws = page_draws(m, n))
    list(page = c(out, own$page), weight = weight, fit = m, places = places, draws = own$draws, free = free)
  }, found$fits, found$weights, n)
  list(way = way, members = unname(members), center = page_center(fit, way))
}

# What the mean is taken at or over: the mode of the linearised weights, means of moments from layer to layer, the nodes
# of a normal output, or draws.
page_center <- function(fit, way) {
  is_normal <- all(vapply(fit$blocks, has_normal_noise, NA))
  if (way == "normal") return("nodes")
  if (way == "draws") return(if (predicts_by_draws(fit)) "draws" else "moments")
  if (way == "shifts" && !(is_normal && !predicts_by_draws(fit))) "draws" else "mode"
}

page_root <- function(m, places) {
  list(page = list(active = I(match(m$laplace$active, places) - 1L), random = I(random_eta(m) - 1L),
                   root = packed(m$laplace$root, 4)))
}

page_shifts <- function(m, places, n) {
  shifts <- as_single(weight_shifts(m, n))
  at <- which(is.finite(m$spec$precision))
  list(page = list(active = I(match(at, places) - 1L), random = I(random_eta(m) - 1L), draws = n,
                   shifts = packed(shifts, 4)), draws = shifts)
}

# The sds of independent weights are what moments need.
page_draws <- function(m, n) {
  q <- weight_posterior(m)
  drawn <- as_single(t(draw_weights(q, n)))
  list(page = list(draws = n, drawn = packed(drawn, 4), sd = if (has_moments(m$spec)) packed(q$sd)), draws = drawn)
}

predict_page <- function(fit, newdata, envir, draws, rows, checks) {
  found <- predictor_rows(fit, newdata, envir)
  frame <- found$frame
  if (!nrow(frame)) stop_user("There is no row without missing values.")
  # controls go as far as the training data, where these are found, however few the new ones are
  around <- if (is.null(newdata)) frame
  else tryCatch(predictor_rows(fit, NULL, envir)$frame, varnn_error = function(e) frame)
  made <- page_columns(fit$design, page_predictors(fit$design, around), around)
  networks <- page_networks(fit, draws)
  shown <- mixed_rows(nrow(frame), rows)
  response <- page_response(fit, newdata, shown)
  c(list(kind = "predict", predictors = made$predictors,
         design = list(columns = made$columns, offset = page_offset(fit, made$predictors),
                       names = I(fit$design$columns)),
         scaling = page_scaling(fit$scaling), layers = page_layers(networks$members[[1]]$fit),
         blocks = page_blocks(fit),
         way = networks$way, center = networks$center, members = lapply(networks$members, `[[`, "page"),
         nodes = lapply(normal_nodes(if (any(vapply(fit$blocks, has_log_sd, NA))) scale_nodes else link_nodes), I),
         # nothing of rows that are not shown is in the page
         rows = list(values = page_values(made$predictors, frame, shown), response = response,
                     names = I(page_row_names(frame, shown)))),
    list(checks = predict_checks(fit, networks, made$predictors, around, checks)))
}

page_row_names <- function(frame, rows) {
  if (is.null(rownames(frame))) as.character(rows) else rownames(frame)[rows]
}

# The observed response of each block at these rows: numbers, of factors the number of the level; NULL where new data
# have none.
page_response <- function(fit, newdata, rows) {
  response <- if (is.null(newdata)) fit$response
  else tryCatch(rows_with_response(fit, newdata, NULL, NULL)$response, varnn_error = function(e) NULL)
  if (is.null(response)) return(NULL)
  lapply(seq_along(fit$blocks), function(i) {
    y <- block_pieces(fit$blocks, response)[[i]]
    y <- switch(fit$blocks[[i]]$type, factor = , logical = match(as.character(y), fit$blocks[[i]]$levels) - 1,
                counts = y[, 1] / rowSums(y), time = times_and_events(y)[, 1], y)
    I(as.double(y)[rows])
  })
}

# ---- answers of R's to check a page by

# Rows of predictors at random, and what predict() says there.
predict_checks <- function(fit, networks, predictors, frame, n) {
  keep_random({
    set.seed(1)
    rows <- frame[sample.int(nrow(frame), n, replace = TRUE), , drop = FALSE]
    for (p in predictors) {
      v <- get_variable(frame, p$name)
      drawn <- if (p$kind == "level") level_like(v, sample(p$levels, n, replace = TRUE))
      else if (p$kind == "logical") stats::runif(n) < 0.5
      else if (!is.null(p$grid)) like_vector(v, sample(p$grid, n, replace = TRUE))
      else like_vector(v, random_numbers(p, n))
      rows <- set_variable(rows, p$name, drawn)
    }
    if (is.data.frame(rows)) row.names(rows) <- NULL
    at <- design_rows(fit$design, rows)
    c(list(values = page_values(predictors, rows)), reference_answers(fit, networks, at))
  })
}

random_numbers <- function(p, n) {
  v <- stats::runif(n, p$low, p$high)
  if (p$whole) round(v) else v
}

# Means [rows, outputs], and where they have a closed form the bounds of 95% intervals.
reference_answers <- function(fit, networks, at) {
  if (networks$center == "draws") {
    means <- drawn_means(fit, networks, at)
  } else {
    eta <- posterior_eta(fit, row_data(fit, at))
    means <- predicted_means(fit, eta, at$offset, if (averages_levels(fit)) averaged_levels(fit, at))
  }
  out <- list(mean = lapply(seq_len(ncol(means)), function(j) I(means[, j])))
  of <- function(interval) {
    found <- interval_of(fit, at, interval, 0.95, 2)
    if (!is.list(found)) found <- list(found)
    lapply(found, function(b) list(lower = I(b[, "lwr"]), upper = I(b[, "upr"])))
  }
  if (networks$way == "normal" && has_closed_means(fit, TRUE)) {
    out$confidence <- of("confidence")
    if (all(vapply(fit$blocks, has_normal_noise, NA))) out$prediction <- of("prediction")
  }
  if (networks$way == "point" && !is_mixture(fit)) {
    free <- networks$members[[1]]$free
    out$prediction <- Map(function(block, s, f) {
      record <- record_of(block)
      if (is.null(record$quantile) || is_custom(block)) return(NULL)
      bound <- function(p) I(as_observed(block, record$quantile(p, eta[, s, drop = FALSE], f), at$offset)[, 1])
      list(lower = bound(0.025), upper = bound(0.975))
    }, fit$blocks, block_slices(fit$blocks, eta_rows), free)
  }
  out
}

# The mean of each response, or the probability of each of its levels but those of two.
predicted_means <- function(fit, eta, offset, averaged = NULL) {
  free <- block_free(fit)
  do.call(cbind, Map(function(block, s, i) {
    if (!is.null(averaged[[i]])) averaged[[i]] else block_mean(block, eta[, s, drop = FALSE], free[[i]], offset)
  }, fit$blocks, block_slices(fit$blocks, eta_rows), seq_along(fit$blocks)))
}

# Means over the draws that the page has.
drawn_means <- function(fit, networks, at) {
  data <- row_data(fit, at)
  means <- 0
  for (m in networks$members) {
    one <- m$fit
    free <- if (is_mixture(fit)) m$free else block_free(fit)
    shape <- c(data$n, run_columns(one$spec, "eta"))
    at_draw <- function(k) {
      one$theta[m$places] <- m$draws[, k]
      fit_run(one, data, "eta")
    }
    eta <- if (networks$way == "shifts") shifted_eta(one, data, m$draws)
    else array(vapply(seq_len(ncol(m$draws)), at_draw, matrix(0, shape[1], shape[2])), c(shape, ncol(m$draws)))
    own <- do.call(cbind, Map(function(block, s, f) {
      found <- mean_draws(block, eta[, s, , drop = FALSE], f)
      as_observed(block, means_over(found), at$offset)
    }, fit$blocks, block_slices(fit$blocks, eta_rows), free))
    means <- means + m$weight * own
  }
  means
}

# ---- training

most_epochs_shown <- 600 # of all members together
most_histories <- 6

# Columns of the history by member, some epochs of many.
page_history <- function(fit) {
  found <- page_members(fit)
  found <- lapply(found, function(part) part[utils::head(order(-found$weights), most_histories)])
  most <- most_epochs_shown / length(found$fits)
  of_fit <- function(m, weight) {
    h <- m$history
    if (is.null(h) || !nrow(h)) return(NULL)
    at <- unique(round(seq(1, nrow(h), length.out = min(nrow(h), most))))
    numbers <- Filter(function(v) is.numeric(v) && any(is.finite(v)), h[at, , drop = FALSE])
    list(weight = weight, best = m$best_epoch, columns = lapply(numbers, function(v) I(signif(v, 7))))
  }
  Filter(Negate(is.null), unname(Map(of_fit, found$fits, found$weights)))
}
