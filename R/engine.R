# The only calls of the engine, beside the registry.

statuses <- c("finished", "converged", "patience", "callback", "interrupted", "diverged", "error")

# What the engine reads of training data; NULL where absent. `same`: y is the scaled x, of which one copy is enough.
engine_data <- function(x, y = NULL, scaling = NULL, weights = NULL, offset = NULL, row = NULL, same = FALSE) {
  if (!is.null(scaling$rotation)) {
    x <- standardised(x, scaling) %*% scaling$rotation
    scaling <- scaling["is_constant"]
  }
  list(n = as.double(nrow(x)), x = x, y = y, offset = offset, weight = weights, center = scaling$center,
       scale = scaling$scale,
       is_constant = scaling$is_constant,
       row = if (!is.null(row)) as.double(row), same = same)
}

# Whether R's BLAS is one of the fast ones, by the name of its file: the same answer each time on a machine.
fast_blas <- "openblas|goto|mkl|blis|atlas|accelerate|veclib|armpl|nvpl|essl|flexiblas"
has_fast_blas <- local({
  known <- NULL
  function() {
    if (is.null(known)) known <<- grepl(fast_blas, normalizePath(extSoftVersion()[["BLAS"]], mustWork = FALSE), TRUE)
    known
  }
})

# From how many multiplications on a fast BLAS is faster than the kernel of the engine.
fast_blas_from <- function(kernel = Sys.getenv("VARNN_KERNEL")) {
  switch(if (nzchar(kernel)) kernel else engine_kernels()[1], avx512 = 2^28, avx2 = 2^26, 2^15)
}

# How the engine computes. In double, R's BLAS does the large products if it is a fast one, or those that the option
# varnn.blas says: all (TRUE) or none (FALSE).
# Random numbers are R's; with a key, two whole numbers below 2^32, they are the engine's, functions of the key and of
# their place alone.
engine_compute <- function(precision, threads = 1, rng = "R", blas = getOption("varnn.blas"),
                           key = if (identical(rng, "fast")) random_key()) {
  blas_from <- if (isTRUE(blas)) 0 else if (isFALSE(blas) || !has_fast_blas()) Inf else fast_blas_from()
  list(single = as.integer(precision == "single"), threads = usable_threads(threads),
       inversion = as.integer(RNGkind()[2] == "Inversion"), blas_from = blas_from, key = key)
}

# A key of two of R's random numbers.
random_key <- function() floor(stats::runif(2) * 2^32)

# `coefficient` names terms of the loss; those it does not name have coefficient 1. A model whose objective has some
# keeps them in its control.
engine_job <- function(control, coefficient = control$objective$coefficient,
                       mc_samples = max(1L, control$objective$mc_samples), epochs_before = 0) {
  terms <- registry()$term
  of_terms <- stats::setNames(rep(1, length(terms)), terms)
  stopifnot(length(coefficient) == 0 || all(names(coefficient) %in% terms))
  of_terms[names(coefficient)] <- coefficient
  more <- control$objective
  list(compute = engine_compute(control$precision, control$threads, control$rng), coefficient = of_terms,
       mc_samples = as.integer(mc_samples), importance = max(1L, more$importance), kl_warmup = max(0L, more$kl_warmup),
       epochs_before = as.integer(min(epochs_before, 1e8)),
       batch_size = as.integer(min(control$batch_size, .Machine$integer.max)), optimizer = control$optimizer,
       schedule = control$schedule, epochs = as.integer(control$epochs),
       patience = if (is.finite(control$patience)) as.integer(min(control$patience, .Machine$integer.max)) else 0L,
       learn_rate = as.double(control$learn_rate), momentum = as.double(control$momentum),
       clip_norm = if (isTRUE(is.finite(control$clip_norm))) as.double(control$clip_norm) else 0,
       tolerance = if (control$precision == "single") 1e-4 else 1e-10)
}

# TRUE once training is to end with what it has.
poll_training <- function() {
  .Call(C_poll)
  was_interrupted()
}

# `has_bar`: whether lines for each epoch would be in its way.
epoch_hook <- function(control, columns, has_bar = function() FALSE) {
  if (!isTRUE(control$verbose) && is.null(control$callback)) return(NULL)
  always <- c("loss", "learn_rate", "val_loss")
  function(epoch, row) {
    names(row) <- columns
    shown <- row[is.finite(row) & (columns %in% always | row != 0)] # other terms are 0 where the model has them not
    if (!has_bar())
      report(control, "epoch %d  %s", epoch, paste(names(shown), signif(shown, 5), collapse = "  "))
    !is.null(control$callback) && isTRUE(control$callback(epoch, row))
  }
}

# Trains once from theta; list(theta, state, history, status, epochs, best_epoch).
engine_fit <- function(spec, layout, data, valid, control, theta, state = NULL, ...) {
  job <- engine_job(control, ...) # before a training goes on: it may draw
  out <- kept_run(function(keeping, more) {
    trained_once(spec, layout, data, valid, control, theta, state, keeping, more, job)
  })
  if (length(out$theta) != length(theta)) stop_user("The checkpoint is of another training: it cannot be gone on with.")
  out
}

# `keeping` and the hooks `more` are those of a training that is kept.
trained_once <- function(spec, layout, data, valid, control, theta, state, keeping, more, job) {
  terms <- make.unique(layout$terms$term)
  columns <- c("loss", "learn_rate", "val_loss", terms, paste0("val_", terms))
  progress <- progress_of(control, columns)
  on.exit(progress$end())
  hooks <- c(list(epoch = epoch_hook(control, columns, progress$has_bar), progress = progress$show), more)
  if (isTRUE(work$is_on)) hooks[c("poll", "failed")] <- list(poll_training, keep_failure)
  if (!is.null(data$fetch)) { # the data come in buffers
    data$close()
    hooks$fetch <- data$fetch
  }
  out <- .Call(C_fit, spec, job, data, valid, theta, state, hooks, keeping)
  history <- t(out$history[, seq_len(out$epochs), drop = FALSE])
  colnames(history) <- columns
  out$history <- history
  out$status <- statuses[out$status + 1L]
  # The state of a divergence leads to the next one: training goes on with a fresh one.
  if (out$status == "diverged" || !engine_all_finite(out$state)) out["state"] <- list(NULL)
  out
}

# A chain of draws from the posterior of theta, from `theta` on: list(theta [parameters, draws], precision [groups,
# draws], path [columns, draws], status). `options` as C_sample() takes them.
engine_sample <- function(spec, data, control, theta, options) {
  hooks <- list(epoch = sample_hook(control, options))
  if (isTRUE(work$is_on)) hooks[c("poll", "failed")] <- list(poll_training, keep_failure)
  control$batch_size <- max(1, if (is.null(data$row)) data$n else length(data$row))
  control$precision <- "double"
  out <- .Call(C_sample, spec, engine_job(control), data, theta, options, hooks)
  kept <- seq_len(out$status[2])
  parts <- lapply(out[c("theta", "precision", "path")], function(m) m[, kept, drop = FALSE])
  rownames(parts$path) <- path_columns
  c(parts, list(status = statuses[out$status[1] + 1L]))
}

# Jumps where a run is interrupted that a fit can do without.
poll_run <- function() {
  .Call(C_poll)
  skip_if_interrupted()
  FALSE
}

# Hears an interrupt, for which was_interrupted() is asked later.
poll_on <- function() {
  .Call(C_poll)
  FALSE
}

wants <- c(z = 0L, eta = 1L, terms = 2L, sd = 3L)

# What a run makes of random variables. mean: their means. training: draws as in training, noise of layers included.
# weights: draws of the weights, by whatever estimator they were trained.
modes <- c(mean = 0L, training = 1L, weights = 2L)

# A forward run [rows, columns] or, with several draws, [rows, columns, draws].
engine_run <- function(spec, theta, data, want = "eta", z = NULL, mode = "mean", draws = 1L, precision = "double",
                       rng = "R", threads = 1, ...) {
  options <- list(want = wants[[want]], mode = modes[[mode]], draws = as.integer(draws),
                  compute = engine_compute(precision, threads, rng, ...))
  skip_if_interrupted()
  out <- .Call(C_run, spec, theta, data, z, options, if (isTRUE(work$skips)) list(poll = poll_run))
  if (draws == 1) dim(out) <- dim(out)[1:2]
  out
}

# engine_run() with the parameters of a fit, computed as it was trained.
fit_run <- function(fit, data, want, ...) {
  engine_run(fit$spec, fit$theta, data, want, ..., precision = fit$control$precision, rng = fit$control$rng,
             threads = fit$control$threads)
}

# Terms that are one number per draw of the weights; the others are one per observation.
weight_terms <- c("kl_weights", "penalty")

run_columns <- function(spec, want) {
  l <- engine_layout(spec)
  switch(want, z = , sd = l$z_rows, eta = l$n_eta, terms = sum(!l$term %in% weight_terms))
}

# Of the slopes J of eta in the `active` parameters (increasing numbers), by observation, the rows being seeds: what is
# made of them. gram: the sum of J'J; images: J by, an array [n, seeds, columns of by]; covariances: (J by)(J by)', an
# array [n, seeds, seeds]; sides, of the layer whose first weight is the active parameter: its inputs, then for each
# seed the slopes in its outputs, a matrix [n, columns]. `seed` [rows, n_eta, seeds] are the combinations of eta, of
# every observation or, with one row, the same for all; `by` [active, columns], NULL for J itself; `upper`: a triangle.
engine_jacobian <- function(spec, theta, data, active, want, seed = NULL, by = NULL, upper = FALSE, threads = 1,
                            precision = "double") {
  if (is.null(seed)) {
    k <- engine_layout(spec)$n_eta
    seed <- array(diag(k), c(1, k, k))
  }
  options <- list(want = match(want, c("gram", "images", "covariances", "sides")) - 1L, upper = as.integer(upper),
                  seed_rows = as.double(dim(seed)[1]), compute = engine_compute(precision, threads))
  skip_if_interrupted()
  poll <- if (isTRUE(work$skips)) poll_run else if (isTRUE(work$is_on)) poll_on
  out <- .Call(C_jacobian, spec, theta, as.double(active), as_double(seed), by, data, options,
               if (!is.null(poll)) list(poll = poll))
  if (want %in% c("gram", "sides")) dim(out) <- dim(out)[1:2]
  out
}

# The root T, upper triangular, of the inverse of a symmetric positive definite matrix: (a + diag(precision))^-1 = T T'.
engine_root <- function(a, precision = numeric(nrow(a)), threads = 1) {
  .Call(C_root, a, as.double(precision), list(compute = engine_compute("double", threads)))
}

engine_gradient <- function(spec, theta, data, control, ...) {
  .Call(C_gradient, spec, engine_job(control, ...), data, theta)
}

engine_layout <- function(spec) .Call(C_layout, spec)
engine_moments <- function(x, weights = NULL) .Call(C_moments, x, weights, list(compute = engine_compute("double")))
# Quantiles [rows, probs] of the mixtures of normal distributions in the rows of mean [rows, draws] and sd; `weight` of
# the draws sums to 1.
engine_mixture <- function(mean, sd, probs, weight = rep(1 / ncol(mean), ncol(mean))) {
  .Call(C_mixture, mean, sd, weight, as.double(probs), stats::qnorm(probs), list(compute = engine_compute("double")))
}
# A matrix with this many columns, of rows of pieces below one another: `ranges` has for each piece the number of rows
# to leave out before, and of those to take. A piece is a matrix or the list of its columns, in doubles or integers. A
# matrix `into` of these dimensions is written over: only a matrix that nothing else has may be given.
engine_stack <- function(pieces, ranges, n_columns, into = NULL) {
  .Call(C_stack, pieces, matrix(as.double(ranges), 2), as.integer(n_columns), into)
}

engine_all_finite <- function(x) .Call(C_all_finite, as_double(x), list(compute = engine_compute("double")))
# The checksum of bytes that follow others, whose checksum is `before`; and whether a file is on the disk.
engine_checksum <- function(bytes, before = NULL) .Call(C_checksum, bytes, before)
engine_sync <- function(file) .Call(C_sync, enc2native(file))
engine_threads <- function(wanted) .Call(C_threads, list(threads = as.integer(wanted)))
engine_kernels <- function() .Call(C_kernels)
# matrix(rnorm(rows * columns, 0, sd), rows), to rounding, in less than half the time.
engine_normals <- function(rows, columns, sd) {
  .Call(C_normals, list(rows = as.integer(rows), columns = as.integer(columns), sd = as.double(sd),
                        compute = engine_compute("double")))
}

# op(a) op(b) + start, as the engine computes it; start has all columns, one or none. For tests.
engine_product <- function(a, b, start = NULL, a_transposed = FALSE, b_transposed = FALSE, ...) {
  if (is.null(start)) start <- matrix(0, dim(a)[1 + a_transposed], 0)
  .Call(C_product, a, b, start, list(a_transposed = as.integer(a_transposed), b_transposed = as.integer(b_transposed),
                                     compute = engine_compute(...)))
}

# An elementary function of the engine at x. For tests.
engine_math <- function(x, name, ...) .Call(C_math, x, list(`function` = name, compute = engine_compute(...)))

# A program at the rows of a matrix: list(value, slope), where `slope` has a column for each argument.
engine_call <- function(program, at, ...) {
  .Call(C_call, program, as_double(at), list(compute = engine_compute(...)))
}

# Standard normal quantiles of p in (0, 1). For tests.
engine_quantiles <- function(p) .Call(C_quantiles, p)

# Numbers of the engine's generator: "words" of blocks, "uniform" or "normal"; `first` is a number of 32 or, as two, of
# 64 bits. For tests.
engine_draw <- function(kind, n, key = c(1, 2), node = 0, pass = 0, first = 0, precision = "double") {
  kind <- match(kind, c("words", "uniform", "normal")) - 1L
  .Call(C_draw, list(kind = kind, n = as.integer(n), key = as.double(key), node = node, pass = pass,
                     first = as.double(c(first, 0)[1:2]), compute = engine_compute(precision)))
}
