# Mixtures: several fits of one model from different starts. Each is a component with a weight.

most_members <- 1000L
combinations <- c("auto", "equal", "stack", "evidence")

# The arguments of a mixture, checked; `has_evidence`: its members have a lower bound of the evidence.
check_mixture_arguments <- function(members, combine, has_evidence) {
  if (!identical(members, "auto")) members <- check_number(members, "members", 1, most_members, whole = TRUE)
  combine <- check_choice(combine, combinations, "combine")
  if (combine == "evidence" && !has_evidence)
    stop_user(paste("`combine` = \"evidence\" needs members whose posterior has a spread, as those of fit_bayes_nn()",
                    "have but for \"point\" and \"dropout\": use \"equal\" or \"stack\"."))
  list(members = members, combine = combine)
}

is_mixture <- function(fit) inherits(fit, "varnn_mixture")

# What the members of a mixture have in common, kept once.
shared_fields <- c("call", "terms", "design", "weights", "offset", "na.action", "rows", "held_out", "response", "data")

# ---- making one

# One fit, or the mixture of several. The other arguments are those of trained_model().
fit_members <- function(members, combine, ...) {
  check_can_combine(members, combine, ...elt(4))
  trained <- c("class", "spec", "blocks", "train", "arguments", "control", "call", "keep_data")
  told_divergent(if (members == 1) fit_model(...) else kept_training(
    "trained_mixture", c(list(members, combine), stats::setNames(list(...), trained))))
}

# Stacking looks at rows that members have not seen, which of chunks are those held out.
check_can_combine <- function(members, combine, train) {
  if (members > 1 && combine != "equal" && is_chunked(train) && !length(train$held_out))
    stop_user("`combine` = \"%s\" needs rows held out where the data come in chunks: give `validation`.", combine)
}

# The arguments of a model with what "auto" means in it: one member of equal weight, or as the model says.
with_members <- function(model, members = 1, combine = "equal") {
  if (identical(model$members, "auto")) model$members <- members
  if (model$combine == "auto") model$combine <- combine
  model
}

# The first start draws the random numbers that it would without others, and R's generator goes on after them; each of
# the others is a task with a stream of its own, whoever does it. Where the first has to choose how long to train, it
# comes before the others.
trained_mixture <- function(members, combine, class, spec, blocks, train, arguments, control, call, keep_data) {
  layout <- spec_layout(spec)
  check_members_memory(members, layout$n_par, row_property("optimizer", control$optimizer, "slots"))
  from_start <- starter(class, spec, blocks, arguments, call, keep_data)
  streams <- list(use_seed(NULL)$seed)
  each <- if (is_laplace(spec) && identical(arguments$sigma, "auto")) 2 else 1 # members of a start
  begins_alone <- is.null(resolve_control(control, train_counts(train), layout)$epochs)
  found <- list()
  repeat {
    n <- ceiling((members - sum(lengths(found))) / each)
    streams <- c(streams, task_seeds(if (length(found)) n else n - 1))
    tasks <- Map(list, stream = utils::tail(streams, n), number = sum(lengths(found)) + (seq_len(n) - 1) * each + 1)
    more <- started(tasks, from_start, train, control, members, begins_alone && !length(found))
    if (!length(found)) set_generator(attr(more[[1]], "after"))
    found <- c(found, more)
    control <- settled_control(control, found[[1]][[1]]$control)
    if (any(lengths(more) == 0) || stopped_early(found) || sum(lengths(found)) >= members) break
    each <- 1
  }
  mixture_of(found, members, combine, streams, train, control, from_start)
}

# Lists of fits, one for each start; NULL for those that an interrupt or an error has left out, but for the first.
started <- function(tasks, from_start, train, control, members, begins_alone) {
  task <- start_of_members(from_start, train, control, members)
  is_alone <- !is.null(control$callback)
  if (!begins_alone && !is_alone && workers_at_once() > 1) {
    found <- kept_tasks(tasks, task)
    if (is.null(found[[1]]) && tasks[[1]]$number == 1) found[[1]] <- task(tasks[[1]])
    return(found)
  }
  first <- kept_part(task(tasks[[1]]))
  control <- settled_control(control, first[[1]]$control)
  if (was_interrupted() || stopped_early(list(first))) return(c(list(first), vector("list", length(tasks) - 1)))
  c(list(first), kept_tasks(tasks[-1], start_of_members(from_start, train, control, members), is_alone))
}

# The mixture of what starts have led to, without members that diverged, or whose start was stopped: of the first, which
# may be all there is, these are kept.
mixture_of <- function(found, members, combine, streams, train, control, from_start) {
  fits <- unlist(found, recursive = FALSE)
  fits <- utils::head(c(fits[1], lapply(fits[-1], with_shared, fits[[1]])), members)
  of_start <- utils::head(rep(seq_along(found), lengths(found)), members)
  is_stopped <- vapply(found, function(of) stopped_early(list(of)), NA)
  is_good <- vapply(fits, function(fit) fit$stop_reason != "diverged", NA) & (!is_stopped[of_start] | of_start == 1)
  if (!any(is_good)) return(all_diverged(fits[[length(fits)]], members))
  tell_dropped(sum(!is_good), members - length(fits))
  fits <- fits[is_good]
  new_mixture(fits, member_weights(fits, combine, streams[of_start][is_good], train, control, from_start))
}

# The fits that one start leads to. What is sent to other processes is a function of these arguments alone.
starter <- function(class, spec, blocks, arguments, call, keep_data) {
  forced <- list(class = class, spec = spec, blocks = blocks, arguments = arguments, call = call, keep_data = keep_data)
  rm(class, spec, blocks, arguments, call, keep_data)
  function(train, control) {
    do.call(trained_models, c(forced, list(train = train, control = control)), quote = TRUE)
  }
}

# Only the first start's fits have what all have in common. `after` is the state of R's generator where they end.
start_of_members <- function(from_start, train, control, members) {
  list(from_start, train, control, members) # evaluated, before it is sent
  is_over <- FALSE
  function(start) {
    if (is_over) return(NULL)
    report(control, "member %d of %d", start$number, members)
    is_first <- start$number == 1
    found <- from_seed(start$stream, {
      fits <- quiet_member(from_start(train, control), first = is_first)
      structure(if (is_first) fits else lapply(fits, without_shared), after = use_seed(NULL)$seed)
    })
    is_over <<- stopped_early(list(found))
    found
  }
}

stopped_early <- function(starts) {
  any(vapply(unlist(starts, recursive = FALSE), function(fit) fit$stop_reason %in% c("interrupted", "error"), NA))
}

# A member without what all have in common, and with it.
without_shared <- function(fit) structure(unclass(fit)[setdiff(names(fit), shared_fields)], class = oldClass(fit))

with_shared <- function(member, fit) {
  shared <- intersect(shared_fields, names(fit))
  member[shared] <- unclass(fit)[shared]
  member
}

# An error where the parameters and the optimizer's slots of all members need more memory than there is.
check_members_memory <- function(members, n_par, slots) {
  needed <- 8 * members * n_par * (1 + slots)
  if (needed > available_memory())
    stop_user("%d members of %s parameters would need %s GB, more than there is (%s GB): make `members` smaller.",
              members, thousands(n_par), format(needed / 1e9, digits = 3), format(available_memory() / 1e9, digits = 3))
}

# The first member chooses how long to train; the others train as long.
settled_control <- function(control, chosen) {
  control[c("epochs", "epochs_by", "patience", "batch_size", "learn_rate", "clip_norm")] <-
    chosen[c("epochs", "epochs_by", "patience", "batch_size", "learn_rate", "clip_norm")]
  control
}

# A member, without the warnings that the mixture gives for all: of divergence, and those that the first gave.
quiet_member <- function(expr, first) {
  known <- c("varnn_diverged", if (!first) c("varnn_interrupted", "varnn_no_progress", "varnn_separated"))
  withCallingHandlers(expr, warning = function(w) if (inherits(w, known)) tryInvokeRestart("muffleWarning"))
}

# The last member, whose training has diverged like that of the others, is a fit of its own.
all_diverged <- function(fit, members) {
  warn_user("varnn_diverged", paste(
    "The training of all %d members diverged: the fit is the last of them, with its best parameters before. Try a",
    "smaller `learn_rate` or `clip_norm = 1`."), members)
  fit
}

tell_dropped <- function(n_bad, n_missing) {
  if (n_bad) warn_user("varnn_diverged", ngettext(n_bad,
    "The training of %d member diverged or was stopped: the mixture does without it.",
    "The training of %d members diverged or was stopped: the mixture does without them."), n_bad)
  if (n_missing) warn_user("varnn_interrupted", ngettext(n_missing,
    "Training was interrupted: %d member was not trained.",
    "Training was interrupted: %d members were not trained."), n_missing)
}

new_mixture <- function(fits, weights) {
  fit <- fits[[1]]
  own <- c("theta", "state", "history", "n_epochs", "best_epoch", "converged", "stop_reason", "information",
           "kept_columns", "is_separated", "is_flat", "eta", "laplace", "sampled")
  fit[own] <- NULL
  fit$n_par <- sum(vapply(fits, function(f) f$n_par, 0))
  fit$member_weights <- weights
  fit$source$totals <- NULL
  fit$members <- lapply(fits, without_shared)
  class(fit) <- c("varnn_mixture", class(fit))
  if (!any(vapply(fits, function(f) is.null(f$eta), NA)))
    fit$eta <- mean_eta(fits, lapply(fits, function(f) f$eta), weights)
  fit
}

# ---- the weights of members

member_weights <- function(fits, combine, seeds, train, control, from_start) {
  n <- length(fits)
  equal <- rep(1 / n, n)
  if (n == 1 || combine == "equal" || train_counts(train)$rows < 2) return(equal)
  if (combine == "evidence") return(softmax_weights(vapply(fits, total_elbo, 0, train)))
  heed_interrupt()
  if (all(vapply(fits, has_closed_density, NA)) && !length(train$held_out)) return(laplace_weights(fits, train))
  weights <- unless_interrupted(kept_part(stacked_weights(fits, seeds, train, control, from_start)), NULL)
  if (!is.null(weights)) return(weights)
  if (is.null(work$failure))
    warn_user("varnn_interrupted", "Stacking was interrupted: the members have equal weights.")
  equal
}

softmax_weights <- function(x) {
  w <- exp(x - max(x))
  w / sum(w)
}

# How many draws estimate the evidence lower bound of n rows where it has no closed form.
evidence_draws <- function(fit, n) floor(min(2000, max(100, 2e10 / (n * as.double(fit$n_par)))))

# The evidence lower bound of the training data, in nats.
total_elbo <- function(fit, train) {
  if (is_laplace(fit$spec)) return(fit$laplace$evidence)
  rows <- list(x = train$x, y = training_y(train, fit$blocks), offset = train$offset)
  part <- if (is.null(train$held_out)) seq_len(nrow(train$x)) else -train$held_out
  w <- if (is.null(train$weights)) rep(1, nrow(train$x)) else train$weights
  sum((w * row_elbo(fit, rows, evidence_draws(fit, nrow(train$x))))[part], na.rm = TRUE) - total_kl(fit)
}

most_folds <- 5

# The weights that maximise the mean log density of rows that members did not see: those held out, or of each member
# the same start trained on the other folds (Wolpert 1992; Yao et al. 2018).
stacked_weights <- function(fits, seeds, train, control, from_start) {
  if (length(train$held_out)) {
    held <- train$held_out
    log_density <- vapply(fits, held_out_density, numeric(length(held)), train, held)
    return(stacking_weights(matrix(log_density, length(held)), train$weights[held]))
  }
  n <- nrow(train$x)
  has_weight <- if (is.null(train$weights)) seq_len(n) else which(train$weights > 0)
  n_folds <- min(most_folds, length(has_weight))
  fold <- numeric(n)
  fold[has_weight] <- sample(rep_len(seq_len(n_folds), length(has_weight)))
  tasks <- Map(list, fold = rep(seq_len(n_folds), each = length(fits)), member = rep(seq_along(fits), n_folds),
               seed = rep(seeds, n_folds))
  found <- kept_tasks(tasks, fold_task(from_start, train, control, fold))
  skip_if_interrupted()
  if (any(lengths(found) == 0)) return(NULL)
  log_density <- matrix(-Inf, n, length(fits))
  for (i in seq_along(tasks)) log_density[fold == tasks[[i]]$fold, tasks[[i]]$member] <- found[[i]]
  stacking_weights(log_density, train$weights)
}

# The log density of the rows of a fold, of the member that is trained from its own start without them.
fold_task <- function(from_start, train, control, fold) {
  list(from_start, train, control, fold) # evaluated, before it is sent
  function(task) {
    if (task$member == 1) report(control, "stacking, fold %d of %d", task$fold, max(fold))
    part <- part_of_train(train, fold != task$fold)
    fit <- from_seed(task$seed, quiet_member(from_start(part, fold_control(control, part))[[1]], first = FALSE))
    held_out_density(fit, train, which(fold == task$fold))
  }
}

# How a part of the data is trained: without a word, and with the KL of fewer rows.
fold_control <- function(control, part) {
  control[c("verbose", "validation")] <- list(FALSE, 0)
  control["callback"] <- list(NULL)
  total <- if (is.null(part$weights)) nrow(part$x) else sum(part$weights)
  if ("kl_weights" %in% names(control$objective$coefficient)) control$objective$coefficient[["kl_weights"]] <- 1 / total
  control
}

# Training data of some rows.
part_of_train <- function(train, rows) {
  if (is.logical(rows)) rows <- which(rows)
  train$x <- train$x[rows, , drop = FALSE]
  if (!is.null(train$y)) train$y <- train$y[rows, , drop = FALSE]
  train$response <- take_rows(train$response, rows)
  for (field in c("weights", "offset", "rows", "moment_weights")) train[[field]] <- train[[field]][rows]
  train["na.action"] <- list(NULL)
  train
}

held_out_density <- function(fit, train, rows) {
  part <- part_of_train(train, rows)
  part$y <- blocks_y(fit$blocks, part$response, part$offset)
  row_log_density(fit, part)
}

# The weights w of the simplex that maximise the mean of log(sum_k w_k p_k), p [rows, members] given by its log, by the
# EM algorithm, w_k <- w_k g_k with the slopes g_k = mean(p_k / sum_j w_j p_j). The function is concave: no w is better
# by more than max(g) - 1.
# With a prior these are the mode under a Dirichlet distribution, as if `count` times the rows had been shared out by
# it.
stacking_weights <- function(log_density, case_weights = NULL, prior = NULL, count = 0) {
  most_steps <- 10000
  enough <- 1e-10
  top <- do.call(pmax, lapply(seq_len(ncol(log_density)), function(k) log_density[, k]))
  use <- is.finite(top)
  case <- if (is.null(case_weights)) rep(1, sum(use)) else case_weights[use]
  w <- if (is.null(prior)) rep(1 / ncol(log_density), ncol(log_density)) else prior
  if (!any(case > 0)) return(w)
  p <- exp(log_density[use, , drop = FALSE] - top[use])
  for (step in seq_len(most_steps)) {
    slope <- drop(crossprod(p, case / drop(p %*% w))) / sum(case)
    new <- if (count > 0) (w * slope + count * prior) / (1 + count) else w * slope
    if (if (count > 0) max(abs(new - w)) < enough else max(slope) - 1 < enough) break
    w <- new
  }
  w / sum(w)
}

# ---- what a mixture is made of

#' Members of a mixture
#'
#' The fits that a mixture averages: each is a fit like one without `members`, and every method applies to it.
#'
#' @param object a fit by [fit_nn()] or [fit_bayes_nn()] with `members`; of another fit it is the only member.
#' @return A list of fits, with their weights in the mixture as the attribute `"weights"`.
#' @seealso [fit_bayes_nn()], [fit_nn()].
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt, mtcars, members = 2, epochs = 50)
#' attr(members(fit), "weights")
#' coef(members(fit)[[1]])$layer1.weight[1:3]
#' @export
members <- function(object) {
  if (!inherits(object, "varnn")) stop_user("`object` must be a fit of this package, not %s.", shown(object))
  check_fit(object)
  if (!is_mixture(object)) return(structure(list(object), weights = 1))
  structure(member_fits(object), weights = object$member_weights)
}

member_fits <- function(fit) {
  fit$call[c("members", "combine")] <- NULL
  lapply(fit$members, with_shared, fit)
}

# Whether a fit is a list with members, each a list of its own.
has_members <- function(fit) {
  parts <- if (is.list(fit)) fit$members
  every(is_record(fit, c(names(fit_rules), "members", "member_weights")), is.list(parts), is_bare(parts),
        length(parts) >= 1, length(parts) <= most_members,
        all(vapply(parts, function(m) is.list(m) && inherits(m, "varnn"), NA)))
}

is_mixture_class <- function(class, inner) {
  length(inner) >= 2 && identical(class, append(inner, "varnn_mixture", length(inner) - 2))
}

# Whether each member, with what all share, is a fit, and the mixture's own fields belong to them.
check_mixture <- function(fit) {
  damaged <- function(what) stop_user("The fit is damaged: %s; fit the model anew.", what)
  holds <- function(rule) isTRUE(tryCatch(rule, error = function(e) FALSE, warning = function(w) FALSE))
  if (!holds(has_members(fit))) damaged("its members are not as they were made")
  inner <- setdiff(oldClass(fit), "varnn_mixture")
  if (!is_mixture_class(oldClass(fit), inner))
    damaged(sprintf("its class, %s, is not as it was made", quoted(oldClass(fit))))
  w <- fit$member_weights
  if (!holds(every(is_finite_vector(w, length(fit$members)), all(w >= 0), abs(sum(w) - 1) < 1e-6)))
    damaged("`member_weights` is not as it was made")
  if (!holds(fit_rules$call(fit$call))) damaged("`call` is not as it was made")
  whole <- member_fits(fit)
  for (m in whole) {
    if (!identical(oldClass(m), inner) || is_mixture(m)) damaged("its members are not as they were made")
    check_fit(m)
    if (!holds(every(identical(m$family, fit$family), identical(m$n_obs, fit$n_obs),
                     identical(m$design$columns, fit$design$columns), length(m$spec$layer) == length(fit$spec$layer))))
      damaged("its members are fits of different models")
  }
  first <- whole[[1]]
  same <- c("spec", "blocks", "scaling", "layout", "arguments", "control", "version", "rank")
  for (field in same)
    if (!identical(fit[[field]], first[[field]])) damaged(sprintf("`%s` is not as it was made", field))
  if (!is.null(fit$eta) && !holds(is_finite_matrix(fit$eta, fit$n_obs, spec_layout(fit$spec)$n_eta)))
    damaged("`eta` is not as it was made")
  if (!is_finite_vector(fit$n_par, 1)) damaged("`n_par` is not as it was made")
  invisible(fit)
}

# ---- averages over members

# The eta that stands for the weighted mean of responses, of the eta of the members, at the mean free scalars.
mean_eta <- function(members, etas, weights) {
  if (!nrow(etas[[1]])) return(etas[[1]])
  use <- weights > 0
  blocks <- members[[1]]$blocks
  columns <- block_slices(blocks, eta_rows)
  free <- averaged_free(members, weights)
  own <- lapply(members[use], block_free)
  all <- array(unlist(etas[use]), c(dim(etas[[1]]), sum(use)))
  out <- etas[[1]]
  for (i in seq_along(columns))
    out[, columns[[i]]] <- mean_over(blocks[[i]], all[, columns[[i]], , drop = FALSE], free[[i]], weights[use],
                                     lapply(own, `[[`, i))
  out
}

# The free scalars of each block: of a sigma that of the mean variance, else the mean.
mean_free <- function(fit) averaged_free(member_fits(fit), fit$member_weights)

averaged_free <- function(members, weights) {
  of_members <- lapply(members, block_free)
  blocks <- members[[1]]$blocks
  lapply(seq_along(blocks), function(i) {
    values <- do.call(cbind, lapply(of_members, function(free) c(free[[i]])))
    if (has_sigma(blocks[[i]])) log(drop(exp(2 * values) %*% weights)) / 2
    else as_free(blocks[[i]], drop(values %*% weights))
  })
}

# How many of `draws` draws are each member's, at random: on average its weight times `draws`, from which each is less
# than one away.
shares_of_draws <- function(weights, draws) {
  diff(c(0, floor(cumsum(weights[-length(weights)]) * draws + stats::runif(1)), draws))
}

# Draws of the parts of a fit, of each as many as its share, in random order. draw(member, n) gives an array whose rows
# are draws, or a list of these.
mixed_draws <- function(fit, draws, draw) {
  whole <- parts_of(fit)
  n <- shares_of_draws(whole$weights, draws)
  parts <- Map(draw, whole$fits[n > 0], n[n > 0])
  order <- sample.int(draws)
  bind <- function(parts) {
    first <- parts[[1]]
    flat <- do.call(rbind, lapply(parts, function(p) matrix(p, nrow(p))))[order, , drop = FALSE]
    array(flat, c(draws, dim(first)[-1]), c(list(NULL), dimnames(first)[-1]))
  }
  if (!is.list(parts[[1]])) return(bind(parts))
  stats::setNames(lapply(seq_along(parts[[1]]), function(i) bind(lapply(parts, `[[`, i))), names(parts[[1]]))
}

# log(sum_k w_k exp(x_k)) of the rows of x [rows, members].
log_mean_exp <- function(x, weights) {
  top <- do.call(pmax, lapply(seq_len(ncol(x)), function(k) x[, k]))
  ifelse(is.finite(top), top + log(drop(exp(x - top) %*% weights)), top)
}

# The log density of the response at each row of `rows`, which have x, y and offset, averaged over draws of the weights.
row_log_density <- function(fit, rows, draws = default_draws) densities_of_rows(fit, rows, draws)$log

# list(log, noise): the log densities of row_log_density(), and with weights `w` of the rows by how much each draw, to
# first order, makes their weighted sum larger, times the number of draws. The variance of `noise`, divided by that
# number, is the variance of the sum over draws.
densities_of_rows <- function(fit, rows, draws, w = NULL) {
  parts <- all_parts(fit)
  n <- nrow(rows$x)
  n_draws <- vapply(parts$fits, function(part) if (takes_draws(part)) draws else 1, 0)
  out <- list(log = numeric(n), noise = numeric(draws))
  for (at in row_chunks(n, sum(n_draws), max(draws_at_once, least_rows_at_once * sum(n_draws)))) {
    chunk <- list(x = rows$x[at, , drop = FALSE], y = rows$y[at, , drop = FALSE], offset = rows$offset[at])
    each <- lapply(parts$fits, drawn_densities, chunk, draws)
    means <- vapply(each, function(l) log_mean_exp(t(l), rep(1 / nrow(l), nrow(l))), numeric(length(at)))
    out$log[at] <- log_mean_exp(matrix(means, length(at)), parts$weights)
    if (is.null(w)) next
    known <- is.finite(out$log[at])
    for (k in which(n_draws > 1)) {
      shares <- exp(each[[k]][, known, drop = FALSE] - rep(out$log[at][known], each = draws))
      added <- drop(shares %*% (w[at][known] * parts$weights[k]))
      out$noise <- out$noise + added - mean(added)
    }
  }
  out
}
least_rows_at_once <- 1000

# Whether the predictive density of a part without parts of its own takes draws of the weights.
takes_draws <- function(fit) !is_point(fit$spec) && !has_closed_density(fit) && !has_normal_predictive(fit)

# The log densities [draws, rows] of a part, of which one that takes no draws has one.
drawn_densities <- function(fit, rows, draws) {
  if (takes_draws(fit)) return(drawn_log_lik(fit, rows, draws))
  if (is_point(fit$spec)) return(drawn_log_lik(fit, rows, 1))
  data <- row_data(fit, rows, rows$y)
  density <- if (has_closed_density(fit)) linearised_log_lik(fit, rows$y, data, expected = FALSE)
  else normal_predictive_density(fit, rows$y, data)
  matrix(density - row_jacobian(fit, rows$y), 1)
}

# Whether the output of one gaussian response is normal: no random weights come before those of the last layer.
has_normal_predictive <- function(fit) {
  spec <- fit$spec
  every(!weights_are_numbers(spec), length(fit$blocks) == 1, has_sigma(fit$blocks[[1]]), can_be_exact(spec),
        sum(spec$layer == "dense") == 1 || is_of_last(spec$posterior))
}

# The log of the normal density with the variances of output and noise. That of the output is what makes the expected
# log-likelihood of the mean smaller, by v / (2 s^2).
normal_predictive_density <- function(fit, y, data) {
  mean <- posterior_eta(fit, data)
  data$y <- mean
  spec <- utils::modifyList(fit$spec, list(estimator = "exact", kl_mc = 0L))
  nll <- rowSums(engine_run(spec, fit$theta, data, "terms", precision = fit$control$precision))
  s <- exp(block_free(fit)[[1]][1])
  v <- pmax(0, 2 * s^2 * (nll - log(2 * pi) / 2 - log(s)))
  out <- stats::dnorm(y[, 1], mean[, 1], sqrt(v + exp(2 * simulation_free(fit)[[1]][1])), log = TRUE)
  ifelse(is.na(out), 0, out)
}
