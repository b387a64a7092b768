# Training on data that are read in chunks.
#
# A sample of the rows, all of them where they are few, takes the place of the training data: `train` is made of it as
# of any data frame, and `train$known` says what passes over all the rows have found. Engine and passes read the rows
# by the design that the sample has.

least_sample <- 20000
most_held_rows <- 10000

# ---- the rows of a chunk

# The call's model frame of a chunk: rows that `na.action` keeps and that have a weight. Its row names are numbers of
# the chunk's rows.
chunk_frame <- function(plan, data, number) {
  attr(data, "row.names") <- .set_row_names(nrow(data))
  call <- plan$call
  call$data <- data
  call$formula <- plan$terms
  in_chunk(number, {
    check_chunk_columns(plan, data)
    frame <- call_frame(call, plan$envir, plan$action, plan$levels, is_part = TRUE)
    if (!is.null(attr(frame, "class_weights")))
      stop_user("`weights` of classes do not go with chunks(): make them a column, a number for each row.")
    w <- chunk_weights(stats::model.weights(frame))
    kept <- if (any(w == 0)) which(w > 0)
    list(frame = if (is.null(kept)) frame else frame_part(frame, kept), dropped = length(attr(frame, "na.action")),
         weights = if (is.null(kept)) w else w[kept])
  })
}

# Rows of a model frame, with what its columns and itself have as attributes.
frame_part <- function(frame, rows) structure(frame[rows, , drop = FALSE], terms = attr(frame, "terms"))

# An error of the package's, with the number of the chunk that it belongs to.
in_chunk <- function(number, expr) {
  tryCatch(expr, varnn_error = function(e) stop_user("Chunk %d of the data: %s", number, conditionMessage(e)))
}

check_chunk_columns <- function(plan, data) {
  missing <- setdiff(plan$needs, names(data))
  if (length(missing)) stop_user("there is no column `%s`, which the chunks before have.", missing[1])
}

chunk_weights <- function(w) {
  if (is.null(w)) return(NULL)
  w <- plain_values(w, "`weights`")
  if (!is.numeric(w) || length(dim(w)) > 1) stop_user("`weights` must be a number for each row.")
  if (!all(is.finite(w) & w >= 0)) stop_user("`weights` must be finite and not negative.")
  as.double(w)
}

# The predictors, the response, weights and offset of a chunk, by the design of the sample: x is a matrix.
chunk_rows <- function(plan, data, number) {
  rows <- chunk_values(plan, data, number)
  rows$x <- stacked_numbers(list(rows), list(seq_len(rows$n)))
  rows
}

# The predictors, the response, weights and offset of a chunk, x a matrix or the list of its columns.
chunk_values <- function(plan, data, number) {
  plain <- number_rows(plan, data)
  if (!is.null(plain)) return(plain)
  found <- chunk_frame(plan, data, number)
  in_chunk(number, {
    frame <- found$frame
    check_new_classes(attr(plan$terms, "dataClasses"), frame[setdiff(names(frame), names(plan$design$times))])
    is_predictor <- names(frame) %in% plan$predictors
    frame <- with_values(frame, names(frame)[is_predictor], plan$design$times)
    refuse_missing(plan$predictors, vapply(frame[is_predictor], anyNA, NA))
    x <- if (nrow(frame)) frame_columns(plan$design, frame) else matrix(0, 0, length(plan$design$columns))
    if (!engine_all_finite(x)) check_finite_columns(x, plan$design$columns, "")
    list(x = x, n = nrow(frame), weights = found$weights, offset = frame_offset(frame), dropped = found$dropped,
         response = response_values(stats::model.response(frame), plan$response_name))
  })
}

# The columns of a model that are numbers of the data as they are, and a response that is one, or a factor: list(x, y,
# weights) of names. NULL where there are others.
number_columns <- function(train, call, data) {
  terms <- train$terms
  names <- term_variables(terms)
  is_plain <- every(all(vapply(as.list(attr(terms, "variables"))[-1], is.name, NA)), all(attr(terms, "order") == 1),
                    all(attr(terms, "dataClasses")[names[-1]] == "numeric"),
                    attr(terms, "dataClasses")[[names[1]]] %in% c("numeric", "factor"),
                    identical(train$design$columns, names[-1]),
                    is.null(call$subset), is.null(attr(terms, "offset")),
                    is.null(call$weights) || is.name(call$weights))
  names <- c(names, as.character(call$weights))
  if (!is_plain || !all(names %in% names(data))) return(NULL)
  list(x = train$design$columns, y = names[1], weights = if (!is.null(call$weights)) names[length(names)])
}

# A factor with these levels and no missing entry.
is_factor_of <- function(v, levels) {
  every(!is.null(levels), identical(oldClass(v), "factor"), identical(levels(v), levels),
        all(names(attributes(v)) %in% c("levels", "class")), !anyNA(v))
}

# What chunk_values() gives where the columns are plain numbers, all of them there; NULL where some are not.
number_rows <- function(plan, data) {
  own <- plan$plain
  names <- unlist(own)
  if (is.null(own) || !all(names %in% names(data))) return(NULL)
  is_number <- function(name) is.numeric(data[[name]]) && is.null(attributes(data[[name]]))
  has_levels <- is_factor_of(data[[own$y]], plan$levels[[own$y]])
  if (!all(vapply(if (has_levels) setdiff(names, own$y) else names, is_number, NA))) return(NULL)
  x <- lapply(own$x, function(name) data[[name]])
  is_finite <- function(v) if (is.integer(v)) !anyNA(v) else engine_all_finite(v)
  w <- if (!is.null(own$weights)) as.double(data[[own$weights]])
  y <- data[[own$y]]
  is_whole <- every(all(vapply(x, is_finite, NA)), has_levels || engine_all_finite(y),
                    is.null(w) || engine_all_finite(w) && all(w > 0))
  if (!is_whole) return(NULL)
  list(x = x, n = nrow(data), weights = w, offset = NULL, dropped = 0, response = y)
}

# ---- the passes before training

# Training data in chunks, for data_from_frame()'s.
chunked_data <- function(chunks, call, envir, contrasts, family, embed = NULL) {
  survey <- survey_chunks(chunks, call, envir)
  train <- with_known(data_from_frame(sample_frame(survey), contrasts, has_all_levels = TRUE, embed = embed), survey)
  more <- train[c("terms", "design", "response_name")]
  train$known[names(more)] <- more
  train$known$plain <- number_columns(train, call, survey$sample)
  train$known$predictors <- setdiff(term_variables(train$design$terms), offset_names(train$terms))
  if (is.null(train$response)) stop_user("The formula has no response: write it as y ~ x.")
  if (!identical(proportions_to_counts(train, family)$weights, train$weights))
    stop_user(paste("The shares of successes of `%s` do not go with chunks(): give the counts, as cbind(successes,",
                    "failures)."), train$response_name)
  if (!train$known$is_whole) train$known[c("moments", "of_response")] <- measure_chunks(train, family)
  train
}

# Training data in chunks whose columns are their own response, for columns_from_frame()'s.
chunked_columns_data <- function(chunks, call, envir) {
  action <- if (is.null(call$na.action)) quote(stats::na.pass)
  survey <- survey_chunks(chunks, call, envir, action)
  frame <- sample_frame(survey)
  check_no_response(frame)
  train <- with_known(columns_from_frame(frame), survey)
  train$known$terms <- train$terms
  train
}

# The model frame of the sample; what a formula learns from data it learns here.
sample_frame <- function(survey) {
  plan <- survey$plan
  call <- plan$call
  call$formula <- stats::formula(plan$terms)
  call$data <- survey$sample
  call_frame(call, plan$envir, plan$action, plan$levels)
}

# Training data of the sample, with what is known of all rows.
with_known <- function(train, survey) {
  train[c("rows", "na.action")] <- list(NULL)
  train$known <- c(survey$plan, survey[setdiff(names(survey), c("plan", "sample"))])
  train$known$is_whole <- survey$n == length(survey$numbers)
  train
}

is_chunked <- function(train) !is.null(train$known)

# The first pass: the terms, the levels of what is discrete, rows and weights; and the sample.
survey_chunks <- function(chunks, call, envir, action = NULL) {
  check_chunks(chunks, "data")
  plan <- list(chunks = chunks, call = call, envir = envir, terms = call$formula, action = action)
  levels <- list()
  n <- dropped <- 0
  w <- list(sum = 0, max = 0, is_whole = TRUE)
  unit_rows <- numeric()
  sample <- new_sample(max(least_sample, chunks$rows))
  reader <- new_reader(chunks)
  on.exit(reader$close())
  while (!is.null(piece <- reader$piece())) {
    found <- chunk_frame(plan, piece$data, piece$number)
    frame <- found$frame
    if (is.null(plan$needs)) {
      plan$terms <- attr(frame, "terms")
      plan$needs <- intersect(names(piece$data), all.vars(plan$terms))
      sampled <- intersect(names(piece$data), c(plan$needs, all.vars(call$weights), all.vars(call$subset),
                                                all.vars(call$offset)))
      check_terms_of_chunks(plan$terms, call)
      check_subset(call, piece$data, envir)
    } else if (nrow(frame)) {
      in_chunk(piece$number, check_new_classes(attr(plan$terms, "dataClasses"), frame))
    }
    levels <- in_chunk(piece$number, more_levels(levels, frame))
    sample$add(piece$data[sampled], as.integer(attr(frame, "row.names")))
    n <- n + nrow(frame)
    dropped <- dropped + found$dropped
    if (length(found$weights))
      w <- list(sum = w$sum + sum(found$weights), max = max(w$max, found$weights),
                is_whole = w$is_whole && all(found$weights == round(found$weights)))
    unit_rows[piece$unit] <- nrow(frame) + if (piece$unit <= length(unit_rows)) unit_rows[piece$unit] else 0
  }
  if (!n) stop_user("`data` has no rows to train on (after `subset` and `na.action`): the source is empty.")
  plan$levels <- all_levels(levels)
  unit_rows[is.na(unit_rows)] <- 0
  has_weights <- w$sum > 0
  if (has_weights && w$sum > 1e90) stop_user("The sum of `weights` must be at most 1e90.")
  total <- if (has_weights) max(n, w$sum) else n
  list(plan = plan, n = n, dropped = dropped, sample = sample$rows(), numbers = sample$numbers(), unit_rows = unit_rows,
       total_weight = w$sum,
       weight_unit = if (has_weights && (w$max > 1e6 || w$max < 1e-6)) w$sum / n else 1,
       counts = list(rows = n, total = total, cases = if (w$is_whole) total else n))
}

check_subset <- function(call, data, envir) {
  rows <- if (!is.null(call$subset)) eval(call$subset, data, envir)
  if (!is.null(rows) && !is.logical(rows))
    stop_user("`subset` must be a condition on the columns, which each row of chunks() meets or does not.")
}

check_terms_of_chunks <- function(terms, call) {
  check_survival_terms(terms)
  if (!is.null(call$offset)) stop_user("`offset` does not go with chunks(): write offset() in the formula.")
}

# The levels of each discrete variable so far, in order: `all` that a factor has, those `used`.
more_levels <- function(levels, frame) {
  for (name in names(frame)) {
    v <- frame[[name]]
    if (!is.factor(v) && !(is.character(v) && is.null(dim(v)))) next
    if (is.factor(v)) {
      all <- levels(v)
      used <- all[tabulate(v, length(all)) > 0]
      if (is.ordered(v) && !is.null(levels[[name]]) && !identical(levels[[name]]$all, all))
        stop_user("the ordered factor `%s` has other levels than in the chunks before.", name)
    } else {
      used <- unique(v[!is.na(v)])
      all <- character()
    }
    levels[[name]] <- list(all = merged_levels(levels[[name]]$all, all), used = union(levels[[name]]$used, used))
  }
  levels
}

# The levels of two factors in the order that both have. Those that factor() made of the rows it saw are ordered as it
# would order all; of others a new level comes before the first one that it precedes in `b`.
merged_levels <- function(a, b) {
  if (all(b %in% a)) return(a)
  if (all(a %in% b)) return(b)
  all <- union(a, b)
  numbers <- suppressWarnings(as.numeric(all))
  orders <- list(if (!anyNA(numbers)) all[order(numbers)], sort(all))
  is_kept <- function(order) !is.null(order) && !is.unsorted(match(a, order)) && !is.unsorted(match(b, order))
  for (order in orders) if (is_kept(order)) return(order)
  for (i in rev(which(!b %in% a))) {
    next_one <- match(b[-seq_len(i)], a, 0L)
    a <- append(a, b[i], if (any(next_one > 0)) next_one[next_one > 0][1] - 1L else length(a))
  }
  a
}

# As factor() orders them: of characters by name.
all_levels <- function(levels) {
  out <- lapply(levels, function(l) if (length(l$all)) l$all[l$all %in% l$used] else sort(l$used))
  for (name in names(out)) if (length(out[[name]]) == 1)
    stop_user("Column `%s` has a single level, \"%s\": leave it out.", name, out[[name]])
  out
}

# A sample of `size` rows without replacement of data that come in parts (algorithm R): all that come, as long as there
# is room. add(data, at) takes part in rows `at`.
new_sample <- function(size) {
  parts <- list()
  slot_part <- slot_row <- number <- numeric()
  n <- 0
  add <- function(data, at) {
    free <- seq_len(min(length(at), max(0, size - n)))
    later <- setdiff(seq_along(at), free)
    taken <- later[stats::runif(length(later)) < size / (n + later)]
    slot <- c(n + free, if (length(taken)) sample.int(size, length(taken), replace = TRUE))
    taken <- c(free, taken)
    if (length(taken)) {
      parts[[length(parts) + 1]] <<- data[at[taken], , drop = FALSE]
      slot_part[slot] <<- length(parts)
      slot_row[slot] <<- seq_along(taken)
      number[slot] <<- n + taken
    }
    n <<- n + length(at)
    if (sum(vapply(parts, nrow, 0L)) > 2 * size) compact()
  }
  compact <- function() {
    for (k in seq_along(parts)) {
      slots <- which(slot_part == k)
      parts[[k]] <<- parts[[k]][slot_row[slots], , drop = FALSE]
      slot_row[slots] <<- seq_along(slots)
    }
  }
  rows <- function() {
    compact()
    all <- do.call(rbind, lapply(parts, like_first, parts[[1]]))
    place <- c(0, cumsum(vapply(parts, nrow, 0L)))[slot_part] + slot_row
    out <- all[place[order(number)], , drop = FALSE]
    row.names(out) <- NULL
    out
  }
  list(add = add, rows = rows, numbers = function() sort(number))
}

# Columns of parts, that rbind() can join them: a factor in one may be words in another.
like_first <- function(part, first) {
  for (name in names(part)) {
    if (is.factor(part[[name]]) && !is.factor(first[[name]])) part[[name]] <- as.character(part[[name]])
  }
  part[names(first)]
}

# The second pass: moments of the predictors' columns and of each number among the responses, less its offset.
measure_chunks <- function(train, family) {
  plan <- train$known
  blocks <- response_blocks(train, family, FALSE)
  moments <- NULL
  of_response <- list()
  reader <- new_reader(plan$chunks)
  on.exit(reader$close())
  while (!is.null(piece <- reader$piece())) {
    rows <- chunk_rows(plan, piece$data, piece$number)
    if (!rows$n) next
    in_chunk(piece$number, check_chunk_response(blocks, rows))
    moments <- merged_moments(moments, weighted_moments(rows$x, rows$weights))
    for (k in which(vapply(blocks, is_scaled, NA))) {
      y <- as.double(block_pieces(blocks, rows$response)[[k]]) - if (is.null(rows$offset)) 0 else rows$offset
      here <- !is.na(y)
      if (any(here)) of_response[[blocks[[k]]$columns]] <-
        merged_moments(of_response[[blocks[[k]]$columns]], weighted_moments(matrix(y[here]), rows$weights[here]))
    }
  }
  list(moments = with_spread(moments), of_response = lapply(of_response, with_spread))
}

check_chunk_response <- function(blocks, rows) {
  pieces <- block_pieces(blocks, rows$response)
  Map(function(block, y) {
    check_like_block(block, y, rows$n, "the chunk")
    if (is.numeric(y) && any(abs(y) > largest_value, na.rm = TRUE))
      stop_user("the response `%s` has values too large: change its unit.", block$columns)
    is_number <- !block$type %in% c("factor", "logical", "time") && !all(is.na(y))
    if (is_number && !record_of(block)$accepts(y))
      stop_user("the response `%s` must be %s for the family %s.", block$columns, record_of(block)$what, block$family)
  }, blocks, pieces)
}

# The columns of a chunk as those of the sample: x, y and, for the passes before there are these, raw values.
chunk_columns <- function(train, data, number, variables = train$design$variables, raw_only = FALSE) {
  found <- chunk_frame(train$known, data, number)
  in_chunk(number, {
    own <- formula_columns(train$terms, found$frame)
    for (j in seq_along(variables)) check_new_column(variables[[j]], column_values(own, j), "the data")
    n <- nrow(found$frame)
    raw <- raw_values(variables, own, n)
    out <- if (raw_only) list(raw = raw) else input_output(variables, as_scores(variables, raw))
    if (!raw_only) out$y <- with_drawn_scores(train$design, out$y)
    c(out, list(n = n, weights = found$weights))
  })
}

# The moments of the raw values of all rows; of the sample `raw` where that is all.
raw_moments <- function(train, columns, raw) {
  if (!is_chunked(train) || train$known$is_whole) return(column_moments(raw, train$moment_weights))
  moments <- NULL
  reader <- new_reader(train$known$chunks)
  on.exit(reader$close())
  while (!is.null(piece <- reader$piece())) {
    rows <- chunk_columns(train, piece$data, piece$number, columns, raw_only = TRUE)
    if (!rows$n) next
    for (column in columns) in_chunk(piece$number, check_scaled_values(column, rows$raw))
    moments <- merged_moments(moments, weighted_moments(rows$raw, rows$weights))
  }
  with_spread(moments)
}

check_scaled_values <- function(column, raw) if (is_scaled(column)) check_largest(raw[, column$at], column$name)

# How many rows there are in all.
n_rows <- function(train) if (is_chunked(train)) train$known$n else train$n

# ---- moments of parts

# The engine's moments, with the sums of weights, and how many of these are above 0, of what is not missing.
weighted_moments <- function(x, w) {
  m <- engine_moments(x, w)
  of_rows <- function(w) if (any(m$n_missing > 0)) colSums(w * !is.na(x)) else rep(sum(w), ncol(x))
  m$total <- if (is.null(w)) m$n else of_rows(w)
  m$positive <- if (is.null(w)) m$n else of_rows(w > 0)
  m
}

# Moments of two parts together, from the sums of squares about the mean of each (Chan, Golub & LeVeque 1979).
merged_moments <- function(a, b) {
  if (is.null(a)) return(b)
  out <- a
  for (field in c("n", "n_missing", "total", "positive", "order")) out[[field]] <- a[[field]] + b[[field]]
  apart <- b$mean - a$mean
  share <- ifelse(out$total > 0, b$total / out$total, 0)
  out$mean <- a$mean + apart * share
  out$squares <- a$squares + b$squares + apart^2 * a$total * share
  out$min <- pmin(a$min, b$min)
  out$max <- pmax(a$max, b$max)
  out$is_binary <- a$is_binary * b$is_binary
  out
}

with_spread <- function(m) moments_spread(m, m$total, m$positive)

# ---- rows held out

# As hold_out() does, from the sample.
hold_out_sample <- function(train, validation) {
  n <- length(train$known$numbers)
  if (is.list(validation) || identical(as.double(validation), 0)) return(train)
  if (length(validation) != 1 || validation >= 1)
    stop_user("`validation` must be a proportion or a data frame where the data come in chunks, not row numbers.")
  k <- if (train$known$is_whole) validation else min(round(validation * train$known$n), n %/% 2) / n
  train$held_out <- held_out_rows(k, n)
  train$moment_weights <- replace(if (is.null(train$weights)) rep(1, n) else train$weights, train$held_out, 0)
  train
}

# How chunks are trained on where the user has not said for how long: until rows held out get no better.
chunked_control <- function(control, train, keep_data, says_how = FALSE, is_linear = FALSE, holds_out = TRUE) {
  if (!is_chunked(train)) return(control)
  if (isTRUE(keep_data)) stop_user("`keep_data` = TRUE does not go with chunks(): a fit does not keep them.")
  if (is_linear && !says_how) control$optimizer <- "lbfgs"
  if (!holds_out) return(control)
  is_given <- is.list(control$validation) || !identical(as.double(control$validation), 0)
  if (!is.null(control$epochs) || takes_all_rows(control) || is_given) return(control)
  n <- train$known$n
  k <- min(most_held_rows, round(n / 5))
  if (k < 1) return(control)
  control$validation <- k / n
  control$epochs_by <- sprintf("%s held out", count(k, "row"))
  control
}

# ---- buffers for the engine

# What the engine reads the training rows by: list(n, most, total_weight, counts, fetch, close). fetch() gives the next
# buffer, after the last one the first; none but the last is smaller than `most`.
new_feed <- function(train, blocks, control) {
  plan <- train$known
  counts <- trained_counts(train)
  n <- counts$rows
  is_full <- takes_all_rows(control)
  most <- buffer_rows(n, plan$chunks$rows, if (is_full) 1024 else control$batch_size)
  mixes <- plan$chunks$jumps && !is_full && n > most && length(plan$unit_rows) > 1
  parts <- training_parts(train, blocks, mixes)
  waiting <- list() # parts, of whose first these rows were given
  used <- 0
  buffer <- NULL # memory that is used again, since the system takes long to give new one
  given <- n
  fetch <- function() {
    if (given == n) {
      parts$start()
      given <<- 0
    }
    size <- min(most, n - given)
    while (sum(part_sizes(waiting)) - used < size) {
      part <- parts$part()
      if (is.null(part)) changed_source(plan$n)
      waiting <<- c(waiting, list(part))
    }
    sizes <- part_sizes(waiting)
    ends <- pmin(cumsum(sizes), used + size)
    from <- c(used, rep(0, length(sizes) - 1))
    to <- ends - cumsum(sizes) + sizes
    out <- stacked_parts(waiting, Map(function(from, to) seq(from + 1, length.out = to - from), from, to), buffer)
    if (size == most) buffer <<- out$x
    is_left <- to < sizes
    used <<- if (any(is_left)) to[length(to)] else 0
    waiting <<- waiting[is_left]
    given <<- given + size
    if (given == n) check_end()
    engine_data(out$x, out$y, train$scaling, out$weight, out$offset)
  }
  check_end <- function() {
    if (length(waiting)) changed_source(plan$n)
    while (!is.null(rest <- parts$part())) if (rest$n) changed_source(plan$n)
    parts$close()
  }
  close <- function() {
    parts$close()
    waiting <<- list()
    used <<- 0
    given <<- n
  }
  list(n = n, most = most, total_weight = counts$sum / plan$weight_unit, counts = counts, fetch = fetch, close = close)
}

takes_all_rows <- function(control) row_property("optimizer", control$optimizer, "full_batch") == 1

# Whole batches, or chunks of the engine.
buffer_rows <- function(n, rows, step) if (n <= rows) n else min(n, max(step, rows %/% step * step))

# The rows to train on, in parts: start() begins a pass, with `mixes` in a new order of units, and part() gives what the
# next chunk has of them as the engine reads it, NULL after the last one.
training_parts <- function(train, blocks, mixes) {
  plan <- train$known
  held <- plan$numbers[train$held_out]
  first <- c(0, cumsum(plan$unit_rows))
  reader <- NULL
  seen <- numeric()
  close <- function() {
    if (!is.null(reader)) reader$close()
    reader <<- NULL
  }
  start <- function() {
    close()
    reader <<- new_reader(plan$chunks, if (mixes) sample.int(length(plan$unit_rows)))
    seen <<- numeric(length(plan$unit_rows))
  }
  part <- function() {
    piece <- reader$piece()
    if (is.null(piece)) return(NULL)
    rows <- engine_rows(train, blocks, piece)
    unit <- piece$unit
    if (unit > length(seen) || seen[unit] + rows$n > plan$unit_rows[unit]) changed_source(plan$n)
    number <- first[unit] + seen[unit] + seq_len(rows$n)
    seen[unit] <<- seen[unit] + rows$n
    if (length(held)) take_parts(rows, which(!number %in% held)) else rows
  }
  list(start = start, part = part, close = close)
}

# A chunk's rows as the engine reads them.
engine_rows <- function(train, blocks, piece) {
  if (train$design$kind == "columns") {
    rows <- chunk_columns(train, piece$data, piece$number)
  } else {
    rows <- chunk_values(train$known, piece$data, piece$number)
    rows$y <- in_chunk(piece$number, blocks_y(blocks, rows$response, rows$offset))
  }
  list(x = rows$x, y = rows$y, offset = engine_offset(blocks, rows$offset), n = rows$n,
       weight = if (is.null(rows$weights)) rep(1, rows$n) else rows$weights / train$known$weight_unit)
}

# Rows, weights and cases of the rows to train on, and the sum of their weights.
trained_counts <- function(train) {
  if (!is_chunked(train)) {
    w <- train$moment_weights
    n <- nrow(train$x)
    return(c(row_counts(n, w), list(sum = if (is.null(w)) n else sum(w))))
  }
  plan <- train$known
  n <- plan$n - length(train$held_out)
  if (is.null(train$weights)) return(c(row_counts(n), list(sum = n)))
  sum <- plan$total_weight - sum(train$weights[train$held_out])
  total <- max(n, sum)
  list(rows = n, total = total, cases = if (plan$counts$cases == plan$counts$total) total else n, sum = sum)
}

changed_source <- function(n) {
  stop_user("The source does not give the %s rows of its first pass any more: it must give the same each time.",
            thousands(n))
}

# Some rows of a part.
take_parts <- function(part, at) {
  list(x = if (is.list(part$x)) lapply(part$x, `[`, at) else part$x[at, , drop = FALSE], n = length(at),
       y = part$y[at, , drop = FALSE], weight = part$weight[at], offset = part$offset[at, , drop = FALSE])
}

part_sizes <- function(parts) vapply(parts, function(p) as.double(p$n), 0)

# Rows of parts below one another, of each part a range of rows.
stacked_parts <- function(parts, rows, into = NULL) {
  of <- function(name) {
    do.call(rbind, Map(function(part, at) {
      if (length(at) == part$n) part[[name]] else part[[name]][at, , drop = FALSE]
    }, parts, rows))
  }
  list(x = stacked_numbers(parts, rows, into), y = of("y"), offset = of("offset"),
       weight = unlist(Map(function(part, at) part$weight[at], parts, rows)))
}

# The predictors of these rows as a matrix: `into`, written over, where that has as many rows.
stacked_numbers <- function(parts, rows, into = NULL) {
  x <- parts[[1]]$x
  if (is.matrix(x) && length(parts) == 1 && length(rows[[1]]) == parts[[1]]$n) return(x)
  engine_stack(lapply(parts, `[[`, "x"), vapply(rows, function(at) c(at[1] - 1, length(at)), c(0, 0)),
               if (is.matrix(x)) ncol(x) else length(x), into)
}

# ---- what a fit keeps

# A fit to chunks keeps none of their rows: `source` says where they came from.
without_rows <- function(fit, train) {
  plan <- train$known
  whole <- function(n) if (n <= .Machine$integer.max) as.integer(n) else n
  fit$n_obs <- whole(plan$n)
  fit[c("weights", "offset", "na.action", "rows", "held_out", "response")] <- NULL
  counts <- trained_counts(train)
  fit$source <- list(words = plan$chunks$words, dropped = plan$dropped, rows = counts$rows,
                     total = if (is.null(train$weights)) whole(counts$total) else counts$total,
                     has_weights = !is.null(train$weights), has_offset = !is.null(train$offset))
  fit
}

# Adds what a last pass finds in the rows that are not held out: of each block the sum of weights of the rows that have
# it, and the sums of squared errors, of minus log-likelihoods and of deviances, by which logLik(), deviance() and
# sigma() answer.
with_totals <- function(fit, train) {
  if (fit$design$kind == "columns" || predicts_by_draws(fit)) return(fit)
  plan <- train$known
  held <- plan$numbers[train$held_out]
  totals <- seen <- 0
  reader <- new_reader(plan$chunks)
  on.exit(reader$close())
  while (!is.null(piece <- reader$piece())) {
    rows <- chunk_rows(plan, piece$data, piece$number)
    if (rows$n) totals <- totals + chunk_totals(fit, rows, (seen + seq_len(rows$n)) %in% held)
    seen <- seen + rows$n
  }
  fit$source$totals <- totals
  fit
}

# [blocks, sums] of the rows of a chunk that are not held out.
chunk_totals <- function(fit, rows, is_held) {
  eta <- model_eta(fit, rows)
  w <- replace(if (is.null(rows$weights)) rep(1, rows$n) else rows$weights, is_held, 0)
  y <- blocks_y(fit$blocks, rows$response, rows$offset)
  free <- block_free(fit)
  of_block <- function(block, in_y, in_eta, free) {
    part <- list(block = block, y = y[, in_y, drop = FALSE], eta = eta[, in_eta, drop = FALSE], free = free)
    has_deviance <- !is_custom(block) || !is.null(block$custom$deviance)
    c(sum(w[!is.na(part$y[, 1])]),
      if (has_sigma(block)) sum(w * (part$y[, 1] - part$eta[, 1])^2, na.rm = TRUE) else 0,
      if (has_profiled_sigma(block)) 0 else sum(w * block_nll(part), na.rm = TRUE),
      if (has_deviance) sum(w * unit_deviances(part), na.rm = TRUE) else NA)
  }
  out <- mapply(of_block, fit$blocks, block_slices(fit$blocks, y_rows), block_slices(fit$blocks, eta_rows), free)
  matrix(t(out), ncol = length(total_names), dimnames = list(NULL, total_names))
}

is_from_chunks <- function(fit) !is.null(fit$source)

stop_no_rows <- function() {
  stop_user(paste("This needs the rows that the model was trained on, and a fit to chunks() keeps none of them: give",
                  "`newdata` where there is such an argument, or fit to a data frame."))
}

# The sums over the rows trained on, [blocks, sums].
source_totals <- function(fit) if (is.null(fit$source$totals)) stop_no_rows() else fit$source$totals

totals_log_lik <- function(fit) {
  of_block <- function(b, t) {
    if (has_profiled_sigma(b)) return(-t[["weight"]] * (profile_nll(t[["squares"]] / t[["weight"]]) + log(b$scale)))
    -t[["nll"]] - t[["weight"]] * log(b$scale)
  }
  totals <- source_totals(fit)
  sum(mapply(of_block, fit$blocks, split_rows(totals)))
}

totals_deviance <- function(fit) {
  scale <- vapply(fit$blocks, function(b) if (has_sigma(b)) b$scale^2 else 1, 0)
  sum(source_totals(fit)[, "deviance"] * scale)
}

totals_sigma <- function(fit) {
  at <- which(vapply(fit$blocks, has_sigma, NA))
  totals <- source_totals(fit)
  lost <- if (is.null(fit$rank)) 0 else fit$rank
  vapply(at, function(i) {
    weight <- totals[i, "weight"]
    rows <- if (fit$source$has_weights) min(fit$source$rows, fit$n_obs, weight) else weight
    fit$blocks[[i]]$scale * sqrt(totals[[i, "squares"]] / unbiased(weight, rows, lost))
  }, 0)
}

# What summary() says of each response.
totals_summary <- function(fit) {
  of_block <- function(b, t) {
    error <- if (has_sigma(b)) c(rmse = b$scale * sqrt(t[["squares"]] / t[["weight"]]))
    list(measures = c(error, log_loss = if (!has_sigma(b)) t[["nll"]] / t[["weight"]]))
  }
  stats::setNames(Map(of_block, fit$blocks, split_rows(source_totals(fit))),
                  vapply(fit$blocks, function(b) b$columns[1], ""))
}

split_rows <- function(m) lapply(seq_len(nrow(m)), function(i) m[i, ])

is_source <- function(x, fit) {
  is_count <- function(v) every(is_finite_vector(v, 1), v >= 0)
  every(is.list(x), is_bare(x, "names"), is_words(x$words, 1), is_count(x$dropped), is_count(x$total), x$total > 0,
        is.null(x$rows) || is_count(x$rows), is_flag(x$has_weights), is_flag(x$has_offset),
        is.null(x$totals) || every(is.numeric(x$totals), is_bare(x$totals, c("dim", "dimnames")),
                                   is_matrix_of(x$totals, length(fit$blocks), length(total_names)),
                                   identical(colnames(x$totals), total_names), all(x$totals[, "weight"] >= 0)))
}

total_names <- c("weight", "squares", "nll", "deviance")

# ---- predictions

# What f makes of each chunk, bound together as of one data frame. Row names are those of single chunks: they are left
# out.
predicted_chunks <- function(chunks, f) {
  check_chunks(chunks, "newdata")
  parts <- list()
  over_pieces(chunks, function(data, i) parts[[i]] <<- in_chunk(i, f(data)))
  if (!length(parts)) stop_user("`newdata` has no rows: the source is empty.")
  bind_results(parts)
}

# Numbers that belong to all rows are in every part.
of_all_rows <- c("residual.scale", "df")

bind_results <- function(parts) {
  first <- parts[[1]]
  if (is.data.frame(first)) {
    out <- do.call(rbind, parts)
    row.names(out) <- NULL
    return(out)
  }
  if (is.list(first)) {
    each <- lapply(names(first), function(name) {
      if (name %in% of_all_rows) first[[name]] else bind_results(lapply(parts, `[[`, name))
    })
    return(stats::setNames(each, names(first)))
  }
  if (!is.matrix(first)) return(unname(do.call(c, parts)))
  out <- do.call(rbind, parts)
  rownames(out) <- NULL
  out
}

# Draws of the weights are others for each chunk.
check_binds <- function(type) {
  if (identical(type, "draws"))
    stop_user("`type` = \"draws\" does not go with chunks(): the draws of different chunks do not belong together.")
}
