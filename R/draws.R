# Draws from the posterior of a network, and what is averaged over them.

# Whether the mean over the posterior takes draws: the weights are random, and it is not known without.
predicts_by_draws <- function(fit) {
  if (is_laplace(fit$spec)) return(!all(vapply(fit$blocks, has_nodes, NA)))
  !is_point(fit$spec) && !can_be_exact(fit$spec)
}

# The engine's data of complete rows, as design_rows() and training data have them.
row_data <- function(fit, rows, y = NULL) {
  data <- engine_data(rows$x, y, fit$scaling, NULL, engine_offset(fit$blocks, rows$offset))
  if (fit$spec$has_offset && is.null(data$offset)) data$offset <- matrix(0, nrow(rows$x),
                                                                         sum(vapply(fit$blocks, eta_rows, 0)))
  data
}

part_of_rows <- function(data, at) {
  for (field in c("x", "y", "offset"))
    if (!is.null(data[[field]])) data[[field]] <- data[[field]][at, , drop = FALSE]
  data$n <- as.double(length(at))
  data
}

# Numbers held at once while draws are made.
draws_at_once <- 2e6

# The rows from 1 to n in chunks, of each of which so many numbers are held.
row_chunks <- function(n, numbers_per_row, at_once = draws_at_once) {
  size <- max(1, min(n, floor(at_once / numbers_per_row)))
  lapply(seq(1, by = size, length.out = ceiling(n / size)), function(first) first:min(n, first + size - 1))
}

# What over_chunks() takes as the key of these draws of a fit's weights: two numbers, or the draws' shifts.
draws_key <- function(fit, draws) {
  if (is_laplace(fit$spec)) weight_shifts(fit, draws) else if (!is_point(fit$spec)) random_key()
}

# Calls visit(values [rows, columns, draws], at) for chunks of rows, all with the same draws of the weights: each is a
# function of the key and of its number. The draws of a point are all the same.
over_chunks <- function(fit, data, draws, want, visit, key = draws_key(fit, draws), at_once = draws_at_once) {
  if (data$n == 0) return(invisible())
  force(key)
  columns <- run_columns(fit$spec, want)
  check_draws_memory(2 * draws * columns, "That many draws of one row")
  different <- if (is_point(fit$spec)) 1 else draws
  for (at in row_chunks(data$n, draws * columns, at_once)) {
    part <- part_of_rows(data, at)
    out <- if (is_laplace(fit$spec)) (if (draws_network(fit)) network_eta else shifted_eta)(fit, part, key)
    else fit_run(fit, part, want, mode = "weights", draws = different, key = key)
    check_finite_output(out)
    shape <- c(length(at), columns, draws)
    if (different < draws) out <- array(out, shape) else dim(out) <- shape
    visit(out, at)
  }
}

check_draws <- function(draws) check_number(draws, "draws", 1, 1e8, whole = TRUE)

# Result and the copies on the way. What is small fits; to ask how much there is takes longer than a run.
check_draws_memory <- function(numbers, what, argument = "draws") {
  if (numbers > 1e6 && 24 * numbers > available_memory())
    stop_user("%s would need %s GB, more than there is (%s GB): ask for fewer `%s` or rows.", what,
              format(24 * numbers / 1e9, digits = 3), format(available_memory() / 1e9, digits = 3), argument)
}

# The engine's eta that stands for the mean of the response over draws [rows, columns, draws] of eta, given the free
# scalars; w: the draws' weights, where these are not equal; own: a list of the free scalars of each draw, where they
# differ.
mean_over <- function(block, eta, free, w = NULL, own = NULL) {
  record <- record_of(block)
  if (is.null(record$over)) return(links[[record$link]]$eta(means_over(mean_draws(block, eta, free), w)))
  if (length(formals(record$over)) > 2) record$over(eta, w, free, own) else record$over(eta, w)
}

means_over <- function(x, w = NULL) {
  if (is.null(w)) return(rowMeans(x, dims = 2))
  matrix(matrix(x, ncol = dim(x)[3]) %*% w, dim(x)[1])
}

# The mean of y [rows, responses or levels, draws] at draws of eta.
mean_draws <- function(block, eta, free) {
  d <- dim(eta)
  mean <- mean_at(block, draws_in_rows(eta), free)
  aperm(array(mean, c(d[1], d[3], ncol(mean))), c(1, 3, 2))
}

# Draws for a point prediction, where nothing else is asked for.
default_draws <- 1000

posterior_eta <- function(fit, data, draws = default_draws, key = draws_key(fit, draws)) {
  if (has_parts(fit)) return(mixture_eta(fit, data, draws))
  if (is_point(fit$spec)) return(fit_run(fit, data, "eta"))
  if (is_laplace(fit$spec) && !predicts_by_draws(fit)) return(linearised_eta(fit, data))
  if (!predicts_by_draws(fit)) {
    spec <- utils::modifyList(fit$spec, list(estimator = "exact", kl_mc = 0L))
    return(engine_run(spec, fit$theta, data, precision = fit$control$precision))
  }
  columns <- block_slices(fit$blocks, eta_rows)
  free <- block_free(fit)
  out <- matrix(0, data$n, run_columns(fit$spec, "eta"))
  over_chunks(fit, data, draws, "eta", key = key, visit = function(eta, at) {
    for (i in seq_along(columns))
      out[at, columns[[i]]] <<- mean_over(fit$blocks[[i]], eta[, columns[[i]], , drop = FALSE], free[[i]])
  })
  out
}

# The eta of all members take more memory than their mean: they are made in chunks of rows, all with the same draws.
mixture_eta <- function(fit, data, draws) {
  out <- matrix(0, data$n, run_columns(fit$spec, "eta"))
  parts <- parts_of(fit)
  members <- parts$fits
  keys <- lapply(members, function(m) if (predicts_by_draws(m)) draws_key(m, draws))
  for (at in row_chunks(data$n, as.double(length(members)) * ncol(out))) {
    part <- part_of_rows(data, at)
    etas <- Map(function(m, key) posterior_eta(m, part, draws, key), members, keys)
    out[at, ] <- mean_eta(members, etas, parts$weights)
  }
  out
}
