# The choice of a fit's arguments by cross-validation.

#' Choose arguments of a network by cross-validation
#'
#' Trains the model again with other values of any of its arguments, each time without a part of the rows, which are
#' then predicted, and returns a table of the scores and the fit with the best values, trained on all rows.
#'
#' @param object a fit by [fit_nn()] or [fit_bayes_nn()]. What is not varied stays as in its call.
#' @param ... arguments of its call, or of [nn_control()], each with the values to try: a vector, or a list where a
#'   value is a vector itself, such as `hidden = list(8, c(16, 16)), penalty = 10^(-4:0)`. All combinations are
#'   candidates.
#' @param search `"grid"` tries all candidates, `"random"` some of them (Bergstra and Bengio 2012). `"halving"` trains
#'   all of them for a part of the epochs, the better third of them three times as long, and so on, until the last ones
#'   have had all the epochs; training goes on, it is not repeated (Jamieson and Talwalkar 2016).
#' @param n number of candidates, drawn from all of them; by default 20 for `"random"` and all for the others.
#' @param folds,by parts of the rows and groups that stay together, as for [cross_validate()].
#' @param score by which candidates are judged: `"log_score"`, or one of the others that [cross_validate()] has of the
#'   response.
#' @param rule `"best"` takes the candidate with the best score. `"one_se"` takes the simplest of those whose score is
#'   within one standard error of it: that with the fewest parameters, and of these the one with the greatest `penalty`
#'   (Breiman et al. 1984).
#' @param draws as for [cross_validate()].
#' @param file where to keep what was done, one part of one candidate after the other. After an interrupt, or when R was
#'   killed, the same call goes on where the file ends. `NULL`: nowhere.
#' @param x a result of `tune_fit()`.
#' @param digits significant digits to print.
#' @param row.names,optional as of [as.data.frame()].
#' @details Data cannot be tried, nor several `tau` of the family `"quantile"`: the scores of different quantiles cannot
#'   be compared. Where `embed` is tried the data of the fit must still be found, as by [update()].
#'
#'   All candidates are judged on the same parts with the same random numbers. Candidates are trained in parallel
#'   where the package future is installed and a `future::plan()` says so, with the same results.
#'
#'   The score of the best candidate is a little too good, since it was chosen by it: new rows, or [cross_validate()]
#'   of the whole choice, have the honest one.
#'
#'   With `"halving"` the candidates have the epochs of `object` in the end. Give `epochs` to its call, or it is the
#'   number that was chosen for it.
#' @return A list of class `varnn_tuning`: `table`, a data frame with a row per candidate, the best first: the
#'   arguments, the scores as [cross_validate()] has them, `se` the standard error of that by which they are judged,
#'   `n_par` the number of parameters and, with `"halving"`, `epochs`; `best`, the arguments chosen, a list; `fit`, the
#'   fit with them, trained on all rows; `score`, `rule`, `folds`. `as.data.frame()` gives `table`.
#' @references Bergstra and Bengio (2012) Random search for hyper-parameter optimization,
#'   <https://www.jmlr.org/papers/v13/bergstra12a.html>. Jamieson and Talwalkar (2016) Non-stochastic best arm
#'   identification, <https://proceedings.mlr.press/v51/jamieson16.html>. Breiman, Friedman, Olshen and Stone (1984)
#'   Classification and regression trees, \doi{10.1201/9781315139470}.
#' @seealso [cross_validate()], [update()].
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 4, epochs = 100)
#' tuned <- tune_fit(fit, hidden = c(0, 4), penalty = c(0, 0.1), folds = 4)
#' tuned
#' predict(tuned$fit, data.frame(wt = 3, hp = 120))
#' @export
tune_fit <- function(object, ...) UseMethod("tune_fit")

#' @rdname tune_fit
#' @export
tune_fit.varnn <- function(object, ..., search = "grid", n = NULL, folds = 5, by = NULL, score = "log_score",
                           rule = "best", draws = 200, file = NULL) {
  check_fit(object)
  if (!has_response(object)) return(tune_fit.default(object))
  envir <- parent.frame()
  search <- check_choice(search, names(searches), "search")
  score <- check_choice(score, names(score_words), "score")
  rule <- check_choice(rule, c("best", "one_se"), "rule")
  values <- check_tried(list(...), object, search)
  n <- check_candidates(n, search, values)
  draws <- check_draws(draws)
  if (!is.null(file)) file <- check_folder(check_file_name(file, "file"), "file")
  w <- observed_weights(object)
  given_w <- given_weights(object)
  train <- training_data(object, NULL, envir)
  train <- train[setdiff(names(train), "y")]
  check_score(score, object)
  plan <- list(fit = object, train = train, trains = lapply(values$embed, embedded_again, object, envir),
               given = call_arguments(object, envir),
               keep_data = eval(object$call$keep_data, envir), values = values, w = w, given_w = given_w,
               draws = draws, file = file,
               score = score, rule = rule,
               # by which a file is known to be of this call
               settings = list(call = deparse(object$call), values = deparse(values), search = search, n = n,
                               score = if (search == "halving") score, # by which it drops candidates
                               folds = folds, by = by, draws = draws, w = given_w, response = train$response,
                               data = column_moments(train$x)$order))
  check_candidate_values(plan)
  keeping_work({
    plan <- with_progress_of(plan, function() {
      fold <- row_folds(folds, by, w > 0)
      list(fold = fold, seeds = task_seeds(as.double(nlevels(fold)) * length(rung_shares)),
           candidates = drawn_candidates(values, n))
    })
    new_tuning(plan, searches[[search]](plan), search)
  })
}

# ---- what is tried

# The values of each argument, a list of lists.
check_tried <- function(given, fit, search) {
  if (!length(given))
    stop_user("Give arguments with the values to try, such as `hidden = list(8, 16)` or `penalty = 10^(-4:0)`.")
  fixed <- intersect(names(given), names(never_tried))
  if (length(fixed)) stop_user("`%s` cannot be tried: %s.", fixed[1], never_tried[[fixed[1]]])
  check_known(given, setdiff(c(names(formals(maker_of(fit))), names(formals(nn_control))),
                             c(names(never_tried), "...")))
  values <- lapply(stats::setNames(names(given), names(given)), function(name) {
    v <- given[[name]]
    if (!length(v) || is.object(v) || !is.list(v) && !is.atomic(v))
      stop_user("`%s` must be the values to try, a vector or a list, not %s.", name, shown(v))
    if (length(v) > 1e6) stop_user("`%s` has %d values to try: give fewer.", name, length(v))
    unname(as.list(v))
  })
  if (search == "halving") check_halving(values, fit)
  values
}

# Arguments of a fit's call that are the same for all candidates, and why.
never_tried <- c(
  stats::setNames(rep("all candidates are fitted to the data of the fit", 8),
                  c("formula", "x", "y", "data", "weights", "subset", "na.action", "contrasts")),
  control = "give what nn_control() takes by itself, such as `learn_rate`",
  keep_data = "it changes no score", callback = "it is a function of one training", verbose = "it changes no score",
  checkpoint = "what was done is kept in `file`", checkpoint_every = "what was done is kept in `file`"
)

check_halving <- function(values, fit) {
  if ("epochs" %in% names(values))
    stop_user("With `search` = \"halving\" the epochs are those of the fit, in the end: `epochs` cannot be tried.")
  tried <- if ("posterior" %in% names(values)) values$posterior else list(fit$spec$posterior)
  for (one in tried) {
    name <- split_posterior(one)$name
    if (is_trained_once(list(posterior = name)))
      stop_user(paste("With `search` = \"halving\" training goes on after candidates were dropped, and that of",
                      "`posterior` = \"%s\" cannot: take \"grid\" or \"random\"."), name)
  }
}

check_candidates <- function(n, search, values) {
  all <- prod(lengths(values))
  if (is.null(n)) n <- if (search == "random") min(20, all) else all
  n <- min(all, check_number(n, "n", 1, 1e6, whole = TRUE))
  if (n > 1e5) stop_user("These are %d candidates: take `search` = \"random\", or fewer values.", all)
  n
}

# n of the combinations of values, each a row: which value of each argument.
drawn_candidates <- function(values, n) {
  all <- prod(lengths(values))
  at <- if (n < all) sort(sample(all, n)) else seq_len(all)
  step <- c(1, cumprod(lengths(values)))
  out <- vapply(seq_along(values), function(j) ((at - 1) %/% step[j]) %% length(values[[j]]) + 1, numeric(n))
  matrix(out, n, dimnames = list(NULL, names(values)))
}

candidate <- function(plan, i) {
  at <- plan$candidates[i, ]
  stats::setNames(lapply(seq_along(at), function(j) plan$values[[j]][[at[j]]]), colnames(plan$candidates))
}

# The training data again, with these embeddings.
embedded_again <- function(embed, fit, envir) {
  embed <- check_embed(embed)
  contrasts <- eval(fit$call$contrasts, envir)
  train <- tryCatch(refound_data(fit, NULL, envir, embed, contrasts), error = function(e) {
    stop_user("The training data are no longer found (%s): `embed` cannot be tried.",
              sub("[.]$", "", conditionMessage(e)))
  })
  train <- proportions_to_counts(train, fit$arguments$family)
  if (!isTRUE(all.equal(train$response, fit$response, check.attributes = FALSE)))
    stop_user("The data found are not those the model was trained on: `embed` cannot be tried.")
  train[setdiff(names(train), "y")]
}

# The data that candidates with these values, of which `at` says the numbers, are trained on.
train_of <- function(plan, at) if ("embed" %in% names(at)) plan$trains[[at[["embed"]]]] else plan$train

check_score <- function(score, fit) {
  has <- score_names(fit)
  if (!score %in% has) stop_user("`score` must be one of %s for this response, not %s.", quoted(has), quoted(score))
}

# ---- searches: of each candidate the scores of rows that it has not seen

# What was done for each candidate: list(scores, n_par, epochs); NULL of one that was not finished.
searches <- list(
  grid = function(plan) judged_candidates(plan, seq_len(nrow(plan$candidates)), length(rung_shares)),
  random = function(plan) judged_candidates(plan, seq_len(nrow(plan$candidates)), length(rung_shares)),
  halving = function(plan) {
    last <- length(rung_shares)
    rungs <- seq(max(1, last - floor(log(nrow(plan$candidates), 3))), last)
    alive <- seq_len(nrow(plan$candidates))
    found <- vector("list", length(alive))
    for (rung in rungs) {
      judged <- judged_candidates(plan, alive, rung, rungs[1])
      is_done <- lengths(judged) > 0
      found[alive[is_done]] <- judged[is_done]
      if (rung == last || !all(is_done)) break
      alive <- alive[better_third(plan, judged)]
    }
    found
  }
)

# Which of them, by the score that the user has chosen.
better_third <- function(plan, judged) {
  value <- vapply(judged, function(one) mean_scores(one$scores, plan$fold, plan$w)$value[[plan$score]], 0)
  sort(order(-gain_by(value, plan$score))[seq_len(ceiling(length(judged) / 3))])
}

# Shares of the epochs after which "halving" drops candidates.
rung_shares <- c(1 / 27, 1 / 9, 1 / 3, 1)

rung_epochs <- function(plan, rung) max(1, round(plan$fit$n_epochs * rung_shares[rung]))

# For each candidate `who` its scores; with "halving" after the epochs of this rung, `first` being that it began with.
judged_candidates <- function(plan, who, rung, first = NULL) {
  parts <- levels(plan$fold)
  is_whole <- is.null(first)
  key <- function(rung, candidate, part) paste(rung, candidate, part)
  tasks <- Map(function(part, candidate) {
    before <- if (!is_whole && rung > first) plan$progress$done[[key(rung - 1, candidate, part)]]$fit
    list(part = part, candidate = candidate, key = key(rung, candidate, part), before = before)
  }, rep(seq_along(parts), length(who)), rep(who, each = length(parts)))
  # whatever the search, training starts from the same numbers
  seeds <- plan$seeds[if (is_whole) seq_along(parts) else (rung - first) * length(parts) + seq_along(parts)]
  light <- plan[setdiff(names(plan), "progress")]
  one <- function(task) {
    out <- which(light$fold == parts[task$part])
    from_seed(seeds[[task$part]], quiet_member(first = FALSE, {
      fit <- candidate_fit(light, task, out, parts[task$part], rung, is_whole)
      judged <- judged_part(fit, train_of(light, light$candidates[task$candidate, ]), out, light$draws)
      if (is.null(judged)) NULL
      else c(judged[c("rows", "scores")], list(n_par = fit$n_par, fit = if (!is_whole) fit))
    }))
  }
  todo <- Filter(function(task) is.null(plan$progress$done[[task$key]]), tasks)
  at_once <- if (is.null(plan$file)) length(tasks) else workers_at_once()
  for (some in split(todo, (seq_along(todo) - 1) %/% at_once)) {
    if (was_interrupted()) break
    found <- in_parallel(some, one, "training")
    for (i in seq_along(some)) plan$progress$done[[some[[i]]$key]] <- found[[i]]
    keep_progress(plan)
  }
  lapply(who, function(i) {
    of <- plan$progress$done[key(rung, i, seq_along(parts))]
    if (any(lengths(of) == 0)) return(NULL)
    list(scores = in_row_order(of, "scores", plan$fold), n_par = of[[1]]$n_par,
         epochs = if (!is_whole) rung_epochs(plan, rung))
  })
}

# Trained without the rows `out`; from the beginning, or on from the fit before.
candidate_fit <- function(plan, task, out, name, rung, is_whole) {
  if (!is.null(task$before)) {
    more <- rung_epochs(plan, rung) - rung_epochs(plan, rung - 1)
    return(if (more > 0) suppressMessages(continue(task$before, more)) else task$before)
  }
  given <- with_tried(plan$given, candidate(plan, task$candidate))
  if (!is_whole) given[c("epochs", "keep_data")] <- list(rung_epochs(plan, rung), TRUE)
  fit_without(plan$fit, train_of(plan, plan$candidates[task$candidate, ]), given, plan$given_w, out, name)
}

with_tried <- function(given, values) {
  given[names(values)] <- values
  given
}

# An error that a value gives, before any work: of each value beside the first ones of the other arguments.
check_candidate_values <- function(plan) {
  first <- lapply(plan$values, `[[`, 1)
  of_quantiles <- list()
  for (name in names(plan$values)) for (i in seq_along(plan$values[[name]])) {
    at <- replace(vapply(first, function(v) 1, 0), name, i)
    given <- with_tried(plan$given, with_tried(first, stats::setNames(plan$values[[name]][i], name)))
    if (name != "epochs") given$epochs <- 0
    fit <- keep_random(suppressWarnings(suppressMessages(made_again(plan$fit, train_of(plan, at), given))))
    tau <- lapply(Filter(fits_quantiles, fit$blocks), function(b) record_of(b)$tau)
    of_quantiles <- unique(c(of_quantiles, list(tau)[length(tau) > 0]))
    if (length(of_quantiles) > 1)
      stop_user(paste("`%s` has more than one `tau`, and the scores of different quantiles cannot be compared: tune a",
                      "fit for each."), name)
  }
}

# ---- what was done, in a file

# The plan with its parts, seeds and candidates, and what was done: as its file has them, or new ones.
with_progress_of <- function(plan, start) {
  progress <- new.env(parent = emptyenv())
  progress$done <- list()
  kept <- if (!is.null(plan$file) && file.exists(plan$file)) read_tuning(plan)
  if (!is.null(kept)) progress$done <- kept$done
  plan <- c(plan, if (is.null(kept)) start() else kept[c("fold", "seeds", "candidates")])
  plan$progress <- progress
  plan
}

read_tuning <- function(plan) {
  kept <- kept_in_file(plan$file)$value
  is_ours <- every(is.list(kept), identical(kept$kind, "varnn tuning"), is.list(kept$done), is.factor(kept$fold),
                   length(kept$fold) == length(plan$w), is.list(kept$seeds), is.matrix(kept$candidates))
  if (!is_ours)
    stop_user("The file \"%s\" was not written by tune_fit(), or is damaged: give another `file`.", plan$file)
  if (!identical(kept$settings, plan$settings))
    stop_user("The file \"%s\" is of another call of tune_fit(), or of other data: give another `file`.", plan$file)
  kept
}

keep_progress <- function(plan) {
  if (is.null(plan$file)) return(invisible())
  problem <- keep_in_file(c(list(kind = "varnn tuning", done = plan$progress$done),
                            plan[c("settings", "fold", "seeds", "candidates")]), plan$file)
  if (!is.null(problem)) warn_user("varnn_not_kept", "What was done is not kept in \"%s\": %s.", plan$file, problem)
}

# ---- the result

new_tuning <- function(plan, judged, search) {
  score <- plan$score
  done <- which(lengths(judged) > 0)
  if (!length(done)) stop_user("tune_fit() was interrupted before a candidate was done.")
  if (was_interrupted()) {
    heed_interrupt()
    warn_user("varnn_interrupted", "tune_fit() was interrupted after %d of %d candidates: the best of these is taken.",
              length(done), length(judged))
  }
  means <- lapply(judged[done], function(one) mean_scores(one$scores, plan$fold, plan$w))
  value <- do.call(rbind, lapply(means, `[[`, "value"))
  epochs <- unlist(lapply(judged[done], `[[`, "epochs"))
  table <- data.frame(tried_columns(plan, done), value[, score, drop = FALSE],
                      se = vapply(means, function(m) m$se[[score]], 0),
                      value[, colnames(value) != score, drop = FALSE],
                      n_par = vapply(judged[done], `[[`, 0, "n_par"), check.names = FALSE)
  if (!is.null(epochs)) table$epochs <- epochs
  # only those that have had all the epochs are compared in the end
  reached <- if (is.null(epochs)) numeric(length(done)) else epochs
  order <- order(-reached, -gain_by(table[[score]], score))
  best <- order[1]
  if (plan$rule == "one_se") best <- simplest_near(table, score, best, reached == reached[best])
  arguments <- candidate(plan, done[best])
  given <- with_tried(plan$given, arguments)
  if (!is.null(epochs)) given$epochs <- plan$fit$n_epochs
  given$keep_data <- plan$keep_data
  fit <- made_again(plan$fit, train_of(plan, plan$candidates[done[best], ]), given)
  fit$call <- with_tried(plan$fit$call, arguments)
  if (!is.null(epochs)) fit$call$epochs <- plan$fit$n_epochs
  table <- table[order, , drop = FALSE]
  row.names(table) <- NULL
  structure(list(table = table, best = arguments, fit = fit, score = score, rule = plan$rule, search = search,
                 folds = nlevels(plan$fold), response = response_names(plan$fit)), class = "varnn_tuning")
}

# More is better.
gain_by <- function(value, score) value * if (score %in% c("log_score", "accuracy")) 1 else -1

# Of the rows `among` the simplest within one standard error of the best.
simplest_near <- function(table, score, best, among = TRUE) {
  gain <- gain_by(table[[score]], score)
  near <- which(gain >= gain[best] - table$se[best] & among)
  penalty <- if (is.numeric(table$penalty)) table$penalty else numeric(nrow(table))
  near[order(table$n_par[near], -penalty[near])[1]]
}

# The values of each argument that was tried, as numbers or words.
tried_columns <- function(plan, who) {
  out <- lapply(seq_along(plan$values), function(j) {
    v <- plan$values[[j]]
    is_plain <- all(vapply(v, function(one) is.atomic(one) && length(one) == 1 && is.null(attributes(one)), NA))
    words <- if (is_plain) unlist(v) else vapply(v, function(one) if (is_word(one)) one else value_words(one), "")
    words[plan$candidates[who, j]]
  })
  as.data.frame(stats::setNames(out, names(plan$values)), optional = TRUE, stringsAsFactors = FALSE)
}

# A value as it is typed.
value_words <- function(v) {
  for (kind in value_kinds) if (kind$is(v)) return(kind$words(v))
  paste(deparse(v, width.cutoff = 60L), collapse = " ")
}

value_kinds <- list(
  list(is = function(v) inherits(v, "varnn_prior"), words = function(v) v$words),
  list(is = function(v) inherits(v, "varnn_posterior"), words = function(v) posterior_words(v)),
  list(is = function(v) inherits(v, c("varnn_family", "family")), words = function(v) own_family_words(v)),
  list(is = function(v) is.function(v) && any(vapply(family_table, function(r) identical(r$stats, v), NA)),
       words = function(v) family_name(v)),
  list(is = function(v) is.list(v) && !is.object(v), words = function(v) {
    each <- vapply(v, value_words, "")
    sprintf("list(%s)", paste0(if (!is.null(names(v))) paste(names(v), "= "), each, collapse = ", "))
  })
)

#' @rdname tune_fit
#' @export
print.varnn_tuning <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  check_tuning(x)
  cat(sprintf("Tuning for %s (%s, %d-fold cross-validation)\n\n", paste(x$response, collapse = ", "),
              count(nrow(x$table), "candidate"), x$folds))
  print(utils::head(x$table, 10), digits = digits, row.names = FALSE)
  if (nrow(x$table) > 10) cat(sprintf("... and %d more\n", nrow(x$table) - 10))
  words <- paste(names(x$best), vapply(x$best, value_words, ""), sep = " = ", collapse = ", ")
  how <- if (x$rule == "best") sprintf("Best by %s", score_words[[x$score]])
  else sprintf("Simplest within one standard error by %s", score_words[[x$score]])
  print_lines(c("", sprintf("%s: %s. The fit with it is `fit`.", how, words)))
  invisible(x)
}

check_tuning <- function(x) {
  is_whole <- every(is.list(x), is.data.frame(x$table), nrow(x$table) > 0, is.list(x$best), is.character(x$response),
                    every(is.character(x$score), length(x$score) == 1, x$score %in% names(score_words)),
                    all(c(x$score, "se") %in% names(x$table)), is.numeric(x$table[[x$score]]), is.numeric(x$table$se),
                    all(names(x$best) %in% names(x$table)), is.character(x$rule), is.numeric(x$folds),
                    x$search %in% names(searches))
  if (!is_whole) stop_user("The result of tune_fit() is damaged: make it anew.")
}

#' @rdname tune_fit
#' @export
as.data.frame.varnn_tuning <- function(x, row.names = NULL, optional = FALSE, ...) {
  check_standard("as.data.frame", ..., known = c("row.names", "optional"))
  check_tuning(x)
  as.data.frame(x$table, row.names = row.names, optional = optional)
}

#' @rdname tune_fit
#' @export
plot.varnn_tuning <- function(x, ...) {
  dots <- list(...)
  check_graphics(dots)
  check_tuning(x)
  drawing(draw_score_rows(tuning_rows(x), dots))
  invisible(x)
}

# The scores of the best candidates.
tuning_rows <- function(x) {
  shown <- utils::head(x$table, 20)
  named <- function(v, name) paste(name, if (is.numeric(v)) vapply(v, format, "", digits = 3) else v)
  labels <- do.call(paste, c(unname(Map(named, shown[names(x$best)], names(x$best))), sep = ", "))
  if (x$search == "halving") labels <- sprintf("%s (%d epochs)", labels, as.integer(shown$epochs))
  rest <- if (nrow(x$table) > nrow(shown)) sprintf("the first %d of %d", nrow(shown), nrow(x$table))
  list(frame = data.frame(label = labels, value = shown[[x$score]], se = shown$se), x = score_words[[x$score]],
       main = paste("Tuning for", paste(x$response, collapse = ", ")), note = c("bars: one standard error", rest))
}
