# How training goes: defaults that depend on the data, the rows held out, random starts, the choice of epochs.

# ---- defaults that depend on the data

learn_rates <- c(sgd = 0.05, momentum = 0.01, nesterov = 0.01, adagrad = 0.05, rmsprop = 0.003, adam = 0.005,
                 adamw = 0.005, ivon = 0.05, lbfgs = 1)

# How many rows there are, those of weight 0 being absent; how much they stand for: a row of weight 2 is two rows, but
# weights of a mean below 1 say how rows compare, not that there are fewer; and the cases by which defaults are chosen:
# weights that are whole numbers count rows that are the same, others may have any unit.
row_counts <- function(n, weights = NULL) {
  if (is.null(weights)) return(list(rows = n, total = n, cases = n))
  rows <- sum(weights > 0)
  total <- max(rows, sum(weights))
  list(rows = rows, total = total, cases = if (all(weights == round(weights))) total else rows)
}

# Of the rows to train on, those held out included.
train_counts <- function(train) {
  if (is_chunked(train)) train$known$counts else row_counts(nrow(train$x), train$weights)
}

# Of the rows that are not held out.
set_counts <- function(sets) {
  if (is.null(sets$feed)) row_counts(sets$train$n, sets$train$weight) else sets$feed$counts
}

resolve_control <- function(control, counts, layout) {
  full <- registry()$optimizer_full_batch[match(control$optimizer, registry()$optimizer)] == 1
  if (is.null(control$batch_size)) control$batch_size <- default_rows(counts)
  control$batch_size <- if (full) counts$rows else min(control$batch_size, counts$rows)
  is_vae <- "kl_latent" %in% layout$terms$term
  if (is.null(control$clip_norm)) control$clip_norm <- if (is_vae) 100 else Inf
  if (is.null(control$learn_rate)) control$learn_rate <- c(stats::na.omit(learn_rates[control$optimizer]), 0.005)[[1]] *
    if (is_vae) 0.4 else 1
  if (full && is.null(control$epochs)) control$epochs <- 1000
  control
}

# Between 32 and 256 rows, about 60 steps an epoch.
default_batch <- function(n) 2^min(8, max(5, floor(log2(n / 60))))

# As many rows as make the default batch of their cases, but 32 at least: fewer would make steps of much noise.
default_rows <- function(counts) {
  batch <- default_batch(counts$cases)
  min(counts$rows, max(32, round(batch * counts$rows / counts$cases)))
}

# Parameters, gradient, best and slots, the copies in R included, against what the machine has, where it tells; and the
# history, its copies included.
check_memory <- function(layout, control) {
  slots <- row_property("optimizer", control$optimizer, "slots")
  n_par <- layout$n_par
  needed <- n_par * 8 * (2 * slots + 6)
  available <- available_memory()
  history <- 24 * (3 + 2 * nrow(layout$terms)) * as.double(max(0, control$epochs))
  if (history > available)
    stop_user("The history of %s epochs would need %s GB, more than there is (%s GB): make `epochs` smaller.",
              format(control$epochs, big.mark = ",", scientific = FALSE), format(history / 1e9, digits = 3),
              format(available / 1e9, digits = 3))
  if (needed > available) stop_user(
    "The network has %s parameters and would need %s GB, more than there is (%s GB): make `hidden` smaller.",
    thousands(n_par), format(needed / 1e9, digits = 3), format(available / 1e9, digits = 3))
}

available_memory <- function() {
  info <- if (file.exists("/proc/meminfo")) readLines("/proc/meminfo") else character()
  line <- grep("^MemAvailable:", info, value = TRUE)
  free <- if (length(line)) 1024 * as.numeric(gsub("[^0-9]", "", line[1])) else 2^36
  min(free, 2^20 * mem.maxVSize()) # what R itself is allowed
}

# ---- training and validation data

# The rows held out, chosen before anything is learned from the data, with the moments' weights: none for these rows.
# A proportion is one of the rows that have a weight and some response.
hold_out <- function(train, validation, n = nrow(train$x), family = NULL) {
  train$moment_weights <- train$weights
  if (is_chunked(train)) return(hold_out_sample(train, validation))
  has_weight <- if (is.null(train$weights)) seq_len(n) else which(train$weights > 0)
  counts <- with_response(has_weight, train$response, family)
  is_share <- length(validation) == 1 && !is.list(validation) && validation < 1
  rows <- if (is_share) counts[held_out_rows(validation, length(counts))]
  else if (!is.list(validation)) held_out_rows(validation, n)
  if (!length(rows)) return(train)
  check_held_out(rows, has_weight, "a weight")
  check_held_out(rows, counts, "a response")
  train$held_out <- rows
  train$moment_weights <- replace(if (is.null(train$weights)) rep(1, n) else train$weights, rows, 0)
  train
}

check_held_out <- function(rows, counts, what) {
  if (!any(rows %in% counts)) stop_user("`validation` holds out no row that has %s.", what)
  if (all(counts %in% rows)) stop_user("`validation` holds out every row that has %s.", what)
}

# Which of the rows have some response. Successes and failures, and times, are there where both columns are.
with_response <- function(rows, response, family) {
  if (!anyNA(response, recursive = TRUE)) return(rows)
  is_one <- is_trials(response, family) || is_times(response)
  seen <- lapply(if (is_one) list(response) else as.data.frame(response), stats::complete.cases)
  rows[Reduce(`|`, seen)[rows]]
}

# The engine's y: a response as its blocks have it, or columns that are their own response.
training_y <- function(train, blocks) {
  if (is.null(train$y)) blocks_y(blocks, train$response, train$offset) else train$y
}

# list(train, valid) for the engine, without the rows of weight 0; valid is NULL when nothing is held out.
training_sets <- function(train, blocks, validation, is_single = FALSE) {
  y <- with_drawn_scores(train$design, training_y(train, blocks))
  if (is_single) check_single(train, y, blocks[[1]]$columns)
  offset <- engine_offset(blocks, train$offset)
  same <- isTRUE(train$is_own_response)
  w <- relative_weights(train$weights)
  part <- function(row = NULL) engine_data(train$x, y, train$scaling, w, offset, row, same)
  has_weight <- if (is.null(w)) seq_len(nrow(train$x)) else which(w > 0)
  all <- if (length(has_weight) < nrow(train$x)) has_weight
  if (is.list(validation)) return(list(train = part(all), valid = held_out_data(train, blocks, validation)))
  rows <- train$held_out
  if (!length(rows)) return(list(train = part(all), valid = NULL))
  list(train = part(setdiff(has_weight, rows)), valid = part(intersect(rows, has_weight)))
}

# The weights, or where these are so large or small that sums of them or single precision would lose them, multiples
# that are not. Rows of less than 1e-30 of the largest are absent: they change no sum.
relative_weights <- function(w) {
  if (is.null(w)) return(NULL)
  w[w < 1e-30 * max(w)] <- 0
  if (max(w) > 1e6 || max(w) < 1e-6) w / mean(w[w > 0]) else w
}

# In single precision squares of numbers beyond 1e19 are infinite; `x` is standardised by its scaling.
check_single <- function(train, y, columns) {
  check <- function(m, center, scale, names) {
    largest <- pmax(abs(m$min - center), abs(m$max - center)) / scale
    bad <- which(is.finite(largest) & largest > 1e15)
    if (length(bad)) stop_user("%s values too large for `precision` = \"single\": use \"double\", or change the unit.",
                               names[bad[1]])
  }
  s <- train$scaling
  m <- if (is.null(train$known$moments)) engine_moments(train$x) else train$known$moments
  check(m, s$center, s$scale, sprintf("Column `%s` has", train$design$columns))
  check(engine_moments(y), 0, 1, rep(sprintf("The response `%s` has", columns[1]), ncol(y)))
}

# What training found, with what it takes to read its history.
with_shares <- function(trained, blocks, sets) {
  c(trained, list(present = present_share(sets$train, blocks), valid_present = present_share(sets$valid, blocks)))
}

held_out_rows <- function(validation, n) {
  if (length(validation) == 1 && validation < 1) {
    k <- round(validation * n)
    if (validation > 0 && (k < 1 || k >= n))
      stop_user("`validation` = %s of %d rows leaves no rows to validate, or none to train.", format(validation), n)
    return(sort(sample.int(n, k)))
  }
  if (any(validation > n)) stop_user("`validation` has row %s, but %d rows are used.", format(max(validation)), n)
  if (anyDuplicated(validation)) stop_user("`validation` has row %s twice.",
                                           format(validation[duplicated(validation)][1]))
  if (length(validation) >= n) stop_user("`validation` holds out every row: none is left to train on.")
  as.integer(validation)
}

held_out_data <- function(train, blocks, validation) {
  if (train$design$kind == "columns") {
    if (!is.data.frame(validation) && !is.null(validation$x)) validation <- validation$x
    new <- columns_rows(train$design, validation, "`validation`")
    if (!new$n) stop_user("`validation` has no rows.")
    return(engine_data(new$x, with_drawn_scores(train$design, new$y), train$scaling))
  }
  new <- tryCatch(new_response(train$design, train$terms, validation), error = function(e) {
    stop_user("%s", sub("`newdata`", "`validation`", conditionMessage(e), fixed = TRUE))
  })
  if (!nrow(new$x)) stop_user("`validation` has no row without missing values.")
  check_like(blocks, new$response, nrow(new$x))
  if (all(is.na(new$response))) stop_user("The response of the held-out data has no value that is not missing.")
  engine_data(new$x, blocks_y(blocks, new$response, new$offset), train$scaling, NULL, engine_offset(blocks, new$offset))
}

# x and response of new data that have both: a data frame for a formula, list(x, y) otherwise.
new_response <- function(design, terms, newdata, what = "the held-out data") {
  if (is.null(terms)) {
    if (!is.list(newdata) || is.null(newdata$x) || is.null(newdata$y))
      stop_user("`validation` must be list(x = , y = ) for the interface with x and y, not %s.", shown(newdata))
    rows <- design_rows(design, newdata$x)
    if (NROW(newdata$y) != length(rows$ok))
      stop_user("Held-out `y` has %d rows and `x` has %d: they must be the same.", NROW(newdata$y), length(rows$ok))
    return(list(x = rows$x, offset = rows$offset, response = take_rows(response_values(newdata$y, "y"), rows$ok)))
  }
  if (is.data.frame(newdata)) newdata <- plain_frame(newdata, what)
  if (!is.data.frame(newdata))
    stop_user("`validation` must be a proportion, row numbers or a data frame, not %s.", shown(newdata))
  rows <- design_rows(design, newdata)
  frame <- tryCatch(stats::model.frame(terms, readable_columns(newdata), na.action = stats::na.pass),
                    error = function(e) stop_user("The response is not in %s: %s.", what, conditionMessage(e)))
  response <- response_values(stats::model.response(frame), names(frame)[1])
  list(x = rows$x, offset = rows$offset, response = take_rows(response, rows$ok))
}

take_rows <- function(x, rows) {
  if (length(dim(x)) != 2) return(x[rows])
  out <- x[rows, , drop = FALSE]
  if (is_times(x)) as_times(out) else out
}

# ---- starts and epochs

# The best of several random starts. The first draws from R's generator as it is; the others are tasks, each with a
# stream of random numbers of its own.
best_start <- function(control, spec, layout, blocks, sets, epochs = control$epochs) {
  control$epochs <- epochs
  from_start <- start_task(control, spec, layout, blocks, sets)
  first <- from_start(NULL)
  all <- list(first)
  if (control$starts > 1 && !is_cut_short(first))
    all <- c(all, kept_tasks(task_seeds(control$starts - 1), from_start,
                             alone = !is.null(control$callback) || !is.null(sets$feed)))
  all <- Filter(Negate(is.null), all)
  score <- vapply(all, function(one) one$score, 0)
  best <- all[[which.min(ifelse(is.na(score), Inf, score))]]
  cut <- Filter(is_cut_short, all)
  if (length(cut)) best$status <- cut[[1]]$status
  with_shares(best, blocks, sets)
}

# Once a user's function has ended the training from one start, there are no others.
start_task <- function(control, spec, layout, blocks, sets) {
  list(control, spec, layout, blocks, sets) # evaluated, before it is sent
  is_over <- FALSE
  function(stream) {
    if (is_over) return(NULL)
    one <- from_stream(stream, {
      theta <- start_of(spec, layout, blocks, sets$train, control)
      train_from(theta, spec, layout, if (is.null(sets$feed)) sets$train else sets$feed, sets$valid, control)
    })
    is_over <<- is_cut_short(one)
    c(one, list(score = start_score(one, spec, sets)))
  }
}

is_cut_short <- function(trained) trained$status %in% c("interrupted", "callback")

# Trains from a start; not where the user has interrupted the way to it.
train_from <- function(theta, spec, layout, train, valid, control) {
  force(theta) # on the way to it the user may interrupt
  if (was_interrupted()) control$epochs <- 0L
  out <- engine_fit(spec, layout, train, valid, control, theta)
  if (was_interrupted()) out$status <- "interrupted"
  out
}

start_score <- function(one, spec, sets) {
  if (one$epochs == 0) return(Inf)
  if (is.null(sets$valid)) return(one$history[one$epochs, "loss"])
  if (!is_bayesian(spec)) min(one$history[, "val_loss"]) else one$history[one$epochs, "val_loss"]
}

# When rows are held out anyway, these decide how long to train, else cross-validation: in 5 folds, three times over up
# to 2,000 rows, and beyond 10,000 rows one of the folds is enough. Patience ends the folds: in the training on all rows
# there is nothing held out that it could watch.
choose_epochs <- function(control, spec, layout, blocks, sets) {
  if (!is.null(control$epochs)) return(control)
  counts <- set_counts(sets)
  control$epochs <- most_epochs_of(spec)(counts$rows, control$batch_size)
  if (!is.null(sets$valid)) {
    if (is.infinite(control$patience)) control$patience <- max(10, control$epochs %/% 10)
    return(control)
  }
  folds <- number_of_folds(spec, counts)
  if (!folds) return(control)
  curves <- held_out_curves(control, spec, layout, blocks, sets$train, folds)
  control$epochs_by <- if (folds > 1) "5-fold cross-validation" else "holding out a fifth of the rows"
  if (ncol(curves) < folds) {
    if (!ncol(curves) || !is.null(work$failure)) return(control)
    heed_interrupt()
    control$epochs_by <- sprintf("%d of %d folds of cross-validation", ncol(curves), folds)
    warn_user("varnn_interrupted", paste(
      "The choice of epochs was interrupted after %d of %d folds: the network is trained with what these say. Another",
      "interrupt ends the training, too, and keeps the fit."), ncol(curves), folds)
  }
  control$epochs <- fewest_epochs(curves)
  control$patience <- Inf
  control
}

# What choose_epochs() changes in a control.
chosen_epochs <- c("epochs", "epochs_by", "patience")

with_chosen_epochs <- function(control, chosen) {
  control[chosen_epochs] <- unclass(chosen)[chosen_epochs]
  control
}

# 0 where nothing is chosen: there are too few rows, or the noise of codes does what fewer epochs would.
number_of_folds <- function(spec, counts) {
  n <- counts$cases
  if (has_random_code(spec) || n < 10 || counts$rows < 5) return(0)
  if ("latent" %in% spec$layer) return(if (n > 1000) 1 else 5) # their losses differ less between folds
  if (n > 10000) 1 else if (n > 2000) 5 else 15
}

has_random_code <- function(spec) any(spec$layer == "latent" & spec$option == "meanfield")

most_epochs_of <- function(spec) if (has_random_code(spec)) vae_epochs else most_epochs

# About 6,000 steps, 20 to 500 epochs.
most_epochs <- function(n, batch_size) as.integer(min(500, max(20, round(6000 / ceiling(n / batch_size)))))

# About 20,000 steps, 20 to 1,000 epochs. The noise of its codes keeps a variational autoencoder from learning rows by
# heart: fewer epochs lose more than they gain, on average over tables.
vae_epochs <- function(n, batch_size) as.integer(min(1000, max(20, round(20000 / ceiling(n / batch_size)))))

# Held-out loss [epochs, folds], with the weight of each fold; every five folds divide the rows anew. Fewer
# folds when the user interrupts.
held_out_curves <- function(control, spec, layout, blocks, train, folds) {
  quiet <- utils::modifyList(control, list(verbose = FALSE, callback = NULL), keep.null = TRUE)
  whole <- train[names(train) != "row"]
  rows <- if (is.null(train$row)) as.double(seq_len(train$n)) else train$row
  fold <- replicate(ceiling(folds / 5), sample(rep_len(1:5, length(rows))))
  curves <- matrix(Inf, control$epochs, folds)
  weight <- numeric(folds)
  for (k in seq_len(folds)) {
    out <- fold[, (k - 1) %/% 5 + 1] == (k - 1) %% 5 + 1
    inside <- c(whole, list(row = rows[!out]))
    one <- train_from(start_of(spec, layout, blocks, inside, quiet), spec, layout, inside,
                      c(whole, list(row = rows[out])), quiet)
    if (one$status == "interrupted") {
      k <- k - 1
      break
    }
    curves[, k] <- held_out_curve(one, nrow(curves))
    report(control, "choice of epochs, fold %d of %d: the least held-out loss, %s, after epoch %d", k, folds,
           format(min(curves[, k]), digits = 5), which.min(curves[, k]))
    weight[k] <- if (is.null(train$weight)) sum(out) else sum(train$weight[rows[out]])
  }
  structure(curves[, seq_len(k), drop = FALSE], weight = weight[seq_len(k)])
}

# Held-out losses of a fold by epoch: after patience ended its training it stays what it was, after it diverged
# infinite.
held_out_curve <- function(trained, n_epochs) {
  loss <- trained$history[, "val_loss"]
  after <- if (trained$status == "patience") loss[length(loss)] else Inf
  c(loss, rep(after, n_epochs - length(loss)))
}

# The fewest epochs, at least two, whose mean loss is above the least by at most half the standard error of the
# difference (the folds of one division being the independent ones). Each fold counts by the cases in it.
fewest_epochs <- function(curves) {
  weight <- if (is.null(attr(curves, "weight"))) rep(1, ncol(curves)) else attr(curves, "weight")
  share <- weight / sum(weight)
  mean_curve <- drop(curves %*% share)
  if (!any(is.finite(mean_curve))) return(nrow(curves))
  least <- which.min(mean_curve)
  above <- sweep(curves, 2, curves[least, ])
  above[!is.finite(above)] <- 1e10
  mean_above <- drop(above %*% share)
  k <- ncol(curves)
  margin <- if (k > 1) sqrt(drop((above - mean_above)^2 %*% share) * k / (k - 1)) / sqrt(5) / 2 else 0
  max(2, which(mean_above <= margin)[1])
}
