# Simulated rows against real ones.

#' Compare simulated rows with real ones
#'
#' Compares rows that a variational autoencoder simulates with the data: column by column, pair by pair, as a whole, in
#' what can be learned from them, and in what they give away of the training data.
#'
#' @param object a fit by [fit_vae()].
#' @param newdata real rows, best of all such that training has not seen; by default the training data.
#' @param nsim number of simulated rows; of a conditional model for each row of the real ones.
#' @param targets names of the columns to predict from the others, see `learning`; by default all, but ten at most.
#' @param folds parts of the rows in which classifier and predictions are cross-fitted.
#' @param x what `compare_simulated()` gives.
#' @param digits significant digits to print.
#' @param ... for `plot()`, graphical arguments as in [plot.varnn()]; else not used.
#' @details Distances of columns and associations are those of all rows, the rest is about at most 2,000 rows of each
#'   kind. With a missing entry a row takes no part where the column is needed, and simulated rows for the networks have
#'   the gaps of the real ones. Networks are those of [fit_nn()] with a fifth of their rows held out to end the
#'   training. Case weights of the training draw the real rows in proportion.
#' @return A list of class `varnn_comparison` with
#'   * `columns`, a data frame with a row for each column: the `distance` between real and simulated values, the
#'     largest difference of the distribution functions of numbers (Kolmogorov and Smirnov), half the sum of the
#'     differences of the shares of levels (total variation); and `expected`, what it would be on average were the real
#'     rows draws from the model;
#'   * `pairs`, a data frame with a row for each pair of columns: the association of `real` and of `simulated` values:
#'     Spearman's correlation of numbers; Cramer's V of levels; of numbers and levels the root of the share of the
#'     ranks' variance that the levels explain;
#'   * `auc`, with what probability a network tells which of two rows, one real and one simulated, is the real one, in
#'     cross-fitted rows, and its standard error (DeLong et al. 1988); 0.5 is perfect;
#'   * `learning`, a data frame with a row for each target: how well networks trained on as many `real` and on
#'     `simulated` rows predict the real ones, by cross-fitting: the share of explained variance of numbers, of right
#'     classes of levels (Esteban et al. 2017);
#'   * `privacy`, numbers between 0 and 1: `closer`, the probability that a simulated row is closer to the nearest
#'     training row than a training row is to the nearest other one, which is about 0.5 where nothing is memorised, and
#'     above that where much is; `copies`, the share of simulated rows that are training rows. The distance is that of
#'     Gower (1971);
#'   * `n`, the number of real and simulated rows.
#' @references DeLong, DeLong and Clarke-Pearson (1988) \doi{10.2307/2531595}. Esteban, Hyland and Raetsch (2017)
#'   \doi{10.48550/arXiv.1706.02633}. Gower (1971) \doi{10.2307/2528823}. Lopez-Paz and Oquab (2017) classifier
#'   two-sample tests, \doi{10.48550/arXiv.1610.06545}.
#' @seealso [simulate()][simulate.varnn_vae], [logLik()][logLik.varnn_vae].
#' @examples
#' set.seed(1)
#' fit <- fit_vae(iris, epochs = 300)
#' likeness <- compare_simulated(fit)
#' likeness
#' plot(likeness)
#' @export
compare_simulated <- function(object, ...) UseMethod("compare_simulated")

#' @rdname compare_simulated
#' @export
compare_simulated.varnn_vae <- function(object, newdata = NULL, nsim = NULL, targets = NULL, folds = 5, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("newdata", "nsim", "targets", "folds"))
  if (!is.null(nsim)) nsim <- check_number(nsim, "nsim", 2, 1e9, whole = TRUE)
  folds <- check_number(folds, "folds", 2, 100, whole = TRUE)
  envir <- parent.frame()
  train <- plain_rows(object, training_columns(object, envir))
  own <- if (is.null(newdata)) train[rows_by_weight(object), , drop = FALSE] else real_rows(object, newdata)
  real <- as_rows(object, own)
  if (nrow(real) < 2 * folds)
    stop_user("%s %d rows, too few to be divided into `folds` = %d parts of two or more.",
              if (is.null(newdata)) "There are" else "`newdata` has", nrow(real), folds)
  names <- modelled_names(object)
  targets <- check_targets(targets, names)
  simulated <- simulated_like(object, own, nsim, real)
  out <- list(columns = compared_columns(real, simulated), pairs = compared_pairs(real, simulated))
  of_both <- paired_rows(real, simulated)
  out$auc <- real_or_simulated(of_both, folds)
  out$learning <- compared_learning(of_both, targets, folds)
  out$privacy <- compared_neighbours(as_rows(object, train[case_weights(object) > 0, , drop = FALSE]), simulated)
  structure(c(out, list(n = c(real = nrow(real), simulated = nrow(simulated)))), class = "varnn_comparison")
}

check_targets <- function(targets, names) {
  if (is.null(targets)) return(utils::head(names, 10))
  if (!is.character(targets) || !length(targets) || anyNA(targets))
    stop_user("`targets` must be names of columns, not %s.", shown(targets))
  check_columns_known(targets, names, "targets")
  unique(plain(targets))
}

modelled_names <- function(fit) vapply(fit$design$variables, function(c) c$name, "")

plain_rows <- function(fit, data) {
  data <- as.data.frame(data)
  if (fit$design$is_matrix) names(data) <- modelled_names(fit)
  data
}

# Numbers, and factors with the levels of training.
as_rows <- function(fit, data) {
  for (c in fit$design$variables) {
    v <- data[[c$name]]
    is_factor <- c$type %in% c("logical", "character", "factor")
    levels <- if (c$type == "logical") c("FALSE", "TRUE") else c$levels
    data[[c$name]] <- if (is_factor) factor(as.character(v), levels) else as.double(v)
  }
  data[] <- lapply(data, function(v) if (is.character(v) || is.logical(v)) factor(v) else v)
  data
}

# Those of new data, with what the columns cannot be as an error.
real_rows <- function(fit, newdata) {
  data <- columns_as_given(fit$design, on_user_scale_y(fit, columns_rows(fit$design, newdata)$y), NULL, whole = TRUE)
  given <- all.vars(fit$design$given$terms)
  if (length(given)) data <- cbind(data, as_frame(newdata, "`newdata`")[given])
  plain_rows(fit, data)
}

rows_by_weight <- function(fit) {
  w <- case_weights(fit)
  use <- which(w > 0)
  if (all(w[use] == w[use[1]])) use else sample.int(length(w), length(use), TRUE, w)
}

# Simulated rows with the columns and levels of `real`, of a conditional model given those of `own`.
simulated_like <- function(fit, own, nsim, real) {
  given <- if (!is.null(fit$design$given)) own[all.vars(fit$design$given$terms)]
  if (is.null(nsim)) nsim <- if (is.null(given)) max(nrow(real), min(20 * nrow(real), 20000)) else 1
  out <- as_rows(fit, plain_rows(fit, stats::simulate(fit, nsim, newdata = given)))[names(real)]
  for (name in names(real)) if (is.factor(real[[name]])) out[[name]] <- factor(out[[name]], levels(real[[name]]))
  out
}

most_compared <- 2000 # rows of each kind, where the work grows with them

some_rows <- function(d) {
  if (nrow(d) > most_compared) d[sample.int(nrow(d), most_compared), , drop = FALSE] else d
}

# As many simulated rows as real ones, with the gaps of these.
paired_rows <- function(real, simulated) {
  real <- some_rows(real)
  n <- nrow(real)
  simulated <- simulated[sample.int(nrow(simulated), n, nrow(simulated) < n), , drop = FALSE]
  for (j in seq_along(real)) simulated[[j]][is.na(real[[j]])] <- NA
  list(real = real, simulated = simulated)
}

# ---- columns and pairs of them

level_proportions <- function(v) tabulate(v, nlevels(v)) / sum(!is.na(v))

compared_columns <- function(real, simulated) {
  of_column <- function(a, b) {
    n <- sum(!is.na(a))
    if (is.factor(a)) {
      p <- level_proportions(b)
      return(c(sum(abs(level_proportions(a) - p)) / 2, sum(sqrt(2 * p * (1 - p) / (pi * n))) / 2))
    }
    at <- c(a, b)
    share <- function(v) stats::ecdf(v)(at[!is.na(at)])
    c(max(abs(share(a) - share(b))), expected_kolmogorov(b, n))
  }
  has_values <- vapply(real, function(v) any(!is.na(v)), NA)
  d <- mapply(of_column, real[has_values], simulated[has_values])
  data.frame(column = names(real)[has_values],
             measure = ifelse(vapply(real[has_values], is.factor, NA), "total variation", "Kolmogorov"),
             distance = d[1, ], expected = d[2, ], row.names = NULL)
}

# The mean of Kolmogorov's distance between n draws from these values and the values, by 300 such draws. Values that
# repeat make it smaller. Values of together less than 1 / 2000 count as one.
expected_kolmogorov <- function(v, n) {
  v <- v[!is.na(v)]
  share <- unique(ceiling(cumsum(table(v)) / length(v) * 2000) / 2000)
  counts <- stats::rmultinom(300, n, diff(c(0, share)))
  mean(vapply(seq_len(ncol(counts)), function(k) max(abs(cumsum(counts[, k]) / n - share)), 0))
}

compared_pairs <- function(real, simulated) {
  if (length(real) < 2) return(data.frame(first = character(), second = character(), real = numeric(),
                                          simulated = numeric()))
  pair <- utils::combn(length(real), 2)
  of_pairs <- function(d) apply(pair, 2, function(j) association(d[[j[1]]], d[[j[2]]]))
  data.frame(first = names(real)[pair[1, ]], second = names(real)[pair[2, ]], real = of_pairs(real),
             simulated = of_pairs(simulated))
}

# Between -1 and 1 of two columns of numbers, else between 0 and 1; NA where one of them does not vary.
association <- function(a, b) {
  both <- !is.na(a) & !is.na(b)
  a <- a[both]
  b <- b[both]
  if (length(unique(a)) < 2 || length(unique(b)) < 2) return(NA_real_)
  if (!is.factor(a) && !is.factor(b)) return(stats::cor(rank(a), rank(b)))
  if (is.factor(a) && is.factor(b)) {
    n <- table(droplevels(a), droplevels(b))
    expected <- outer(rowSums(n), colSums(n)) / sum(n)
    return(sqrt(sum((n - expected)^2 / expected) / sum(n) / (min(dim(n)) - 1)))
  }
  r <- rank(if (is.factor(a)) b else a)
  sqrt(stats::var(stats::ave(r, if (is.factor(a)) a else b)) / stats::var(r))
}

# ---- networks that tell rows apart, or learn from them

# What `one` makes of the rows of each part by the rows of the other parts, a matrix, in the order of the rows. All
# parts have the same shares of `of`: the scores of a part would else be the lower the more of its rows are real.
cross_fitted <- function(of, folds, one) {
  fold <- stats::ave(seq_along(of), of, FUN = function(rows) sample(rep_len(seq_len(folds), length(rows))))
  out <- lapply(seq_len(folds), function(k) as.matrix(one(which(fold != k), which(fold == k))))
  do.call(rbind, out)[order(order(fold)), , drop = FALSE]
}

small_network <- function(x, y) {
  varies <- vapply(x, function(v) length(unique(v)) > 1, NA)
  x <- numbered(x, varies)
  fit <- suppressWarnings(fit_nn(y ~ ., cbind(x, y = y), validation = 0.2, keep_data = FALSE, new_levels = "mean"))
  list(columns = varies, fit = fit)
}

# Columns whose names are not that of the response.
numbered <- function(x, columns) stats::setNames(x[columns], paste0("x", which(columns)))

network_answer <- function(network, x, type) stats::predict(network$fit, numbered(x, network$columns), type = type)

real_or_simulated <- function(both, folds) {
  d <- rbind(both$real, both$simulated)
  is_real <- rep(c(TRUE, FALSE), c(nrow(both$real), nrow(both$simulated)))
  use <- stats::complete.cases(d)
  d <- d[use, , drop = FALSE]
  is_real <- is_real[use]
  if (min(sum(is_real), sum(!is_real)) < 10) return(c(auc = NA_real_, se = NA_real_))
  score <- cross_fitted(is_real, folds, function(train, test) {
    network_answer(small_network(d[train, , drop = FALSE], is_real[train]), d[test, , drop = FALSE], "response")
  })
  auc_of(drop(score), is_real)
}

# The area under the curve and its standard error.
auc_of <- function(score, is_one) {
  of_all <- rank(score)
  placed <- function(which, others) (of_all[which] - rank(score[which])) / sum(others)
  ones <- placed(is_one, !is_one) # the share of the others that each is above
  others <- placed(!is_one, is_one)
  c(auc = mean(ones), se = sqrt(stats::var(ones) / length(ones) + stats::var(others) / length(others)))
}

compared_learning <- function(both, targets, folds) {
  use <- lapply(both, function(d) d[stats::complete.cases(d), , drop = FALSE])
  n <- nrow(use$real)
  of_target <- function(name) {
    if (length(use$real) < 2 || n < 20 || length(unique(use$real[[name]])) < 2) return(c(NA_real_, NA_real_))
    right <- cross_fitted(rep(1, n), folds, function(train, test) {
      test_rows <- use$real[test, , drop = FALSE]
      cbind(answer_score(use$real[train, , drop = FALSE], test_rows, name),
            answer_score(use$simulated[sample.int(n, length(train)), , drop = FALSE], test_rows, name))
    })
    shares <- colMeans(right)
    if (is.factor(use$real[[name]])) return(shares)
    1 - shares / mean((use$real[[name]] - mean(use$real[[name]]))^2)
  }
  scores <- vapply(targets, of_target, c(0, 0))
  data.frame(target = targets, measure = ifelse(vapply(both$real[targets], is.factor, NA), "right classes",
                                                "explained variance"),
             real = scores[1, ], simulated = scores[2, ], row.names = NULL)
}

# Of each row to test on whether the class is right, or the squared error.
answer_score <- function(train, test, name) {
  x <- setdiff(names(train), name)
  y <- train[[name]]
  if (length(unique(y)) < 2) {
    guess <- y[1]
  } else {
    y <- if (is.factor(y)) droplevels(y) else y
    guess <- network_answer(small_network(train[x], y), test[x], if (is.factor(y)) "class" else "response")
  }
  if (is.factor(y)) as.character(guess) == as.character(test[[name]]) else (guess - test[[name]])^2
}

# ---- neighbours

compared_neighbours <- function(train, simulated) {
  whole <- function(d) d[stats::complete.cases(d), , drop = FALSE]
  train <- whole(train)
  simulated <- whole(simulated)
  if (nrow(train) < 2 || !nrow(simulated)) return(c(closer = NA_real_, copies = NA_real_))
  of_train <- nearest_distance(some_rows(train), train, TRUE)
  of_simulated <- nearest_distance(some_rows(simulated), train, FALSE)
  c(closer = 1 - mean(of_rank(of_simulated, of_train)), copies = mean(of_simulated < 1e-9))
}

# For each of `a` the share of `b` below it, ties half.
of_rank <- function(a, b) {
  b <- sort(b)
  (findInterval(a, b, left.open = TRUE) + findInterval(a, b)) / (2 * length(b))
}

# Gower's distance of each of the rows to the nearest of `train`, itself left out.
nearest_distance <- function(rows, train, are_own) {
  range <- vapply(train, function(v) if (is.factor(v)) 1 else max(diff(range(v)), .Machine$double.xmin), 0)
  own <- if (are_own) match(row.names(rows), row.names(train))
  as_words <- function(v) if (is.factor(v)) as.character(v) else v # whatever levels there are
  train <- lapply(train, as_words)
  rows <- lapply(rows, as_words)
  vapply(seq_along(rows[[1]]), function(i) {
    d <- numeric(length(train[[1]]))
    for (j in seq_along(train)) d <- d + if (is.character(train[[j]])) train[[j]] != rows[[j]][i] else
      pmin(abs(train[[j]] - rows[[j]][i]) / range[j], 1)
    if (are_own) d[own[i]] <- Inf
    min(d) / length(train)
  }, 0)
}

# ---- what it says

#' @rdname compare_simulated
#' @export
print.varnn_comparison <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- max(1, check_digits(digits) - 1)
  check_comparison(x)
  number <- function(v) format(v, digits = digits)
  cat(sprintf("Simulated rows (%s) against real ones (%s)\n\n", thousands(x$n[["simulated"]]),
              thousands(x$n[["real"]])))
  print(x$columns, digits = digits, row.names = FALSE)
  gap <- abs(x$pairs$real - x$pairs$simulated)
  if (any(!is.na(gap))) {
    worst <- x$pairs[which.max(gap), ]
    cat(sprintf("\nAssociations of pairs differ by %s on average, most of all %s and %s: %s real, %s simulated\n",
                number(mean(gap, na.rm = TRUE)), worst$first, worst$second, number(worst$real),
                number(worst$simulated)))
  }
  if (!is.na(x$auc[["auc"]]))
    cat(sprintf("A network tells real from simulated rows with AUC %s (standard error %s); 0.5 is perfect\n",
                number(x$auc[["auc"]]), number(x$auc[["se"]])))
  if (any(!is.na(x$learning$real))) {
    cat("\nPredicting real rows, by networks trained on real and on simulated rows:\n")
    print(x$learning, digits = digits, row.names = FALSE)
  }
  if (!is.na(x$privacy[["closer"]]))
    cat("\n", whole_percent(x$privacy[["closer"]]), " of simulated rows are closer to a training row than training ",
        "rows are to each other, ", whole_percent(x$privacy[["copies"]]), " are copies\n", sep = "")
  invisible(x)
}

whole_percent <- function(share) paste0(format(100 * share, digits = 2), "%")

check_comparison <- function(x) {
  are_numbers <- function(d, of) every(is.data.frame(d), all(of %in% names(d)), all(vapply(d[of], is.numeric, NA)))
  is_named <- function(v, names) every(is.numeric(v), identical(names(v), names))
  is_whole <- every(is.list(x), are_numbers(x$columns, c("distance", "expected")),
                    are_numbers(x$pairs, c("real", "simulated")), all(c("first", "second") %in% names(x$pairs)),
                    are_numbers(x$learning, c("real", "simulated")), "column" %in% names(x$columns),
                    is_named(x$auc, c("auc", "se")), is_named(x$privacy, c("closer", "copies")),
                    is_named(x$n, c("real", "simulated")))
  if (!is_whole) stop_user("The result of compare_simulated() is damaged: make it anew.")
}

#' @rdname compare_simulated
#' @export
plot.varnn_comparison <- function(x, ...) {
  dots <- list(...)
  check_graphics(dots)
  check_comparison(x)
  drawing(draw_comparison(x, dots))
  invisible(x)
}

# Beside each other, unless the page is the user's: the distance of each column, and the associations.
draw_comparison <- function(x, dots) {
  has_pairs <- nrow(known_pairs(x)) > 0
  if (has_pairs && has_own_page()) local_par(mfrow = c(1, 2))
  draw_distances(x, dots)
  if (has_pairs) draw_associations(x, dots)
}

known_pairs <- function(x) x$pairs[!is.na(x$pairs$real + x$pairs$simulated), ]

# The columns with the largest distances first.
far_columns <- function(x) utils::head(x$columns[order(-x$columns$distance), ], most_bars)

draw_distances <- function(x, dots) {
  d <- far_columns(x)
  k <- nrow(d)
  labels <- row_labels(d$column)
  local_par(mai = labels$mai)
  style <- given_or(dots, list(col = okabe_ito[["blue"]], pch = 16, cex = 1.1))
  empty_rows(labels$text, range(0, d$distance, d$expected), "distance of real and simulated values", dots)
  graphics::segments(d$expected, seq_len(k) - 0.3, d$expected, seq_len(k) + 0.3, col = "grey45", lwd = 1.5)
  graphics::points(d$distance, seq_len(k), pch = style$pch, col = style$col, cex = style$cex)
  draw_main("Columns", dots)
  if (has_margin()) margin_note("lines: what chance alone gives")
}

draw_associations <- function(x, dots) {
  style <- given_or(dots, list(col = okabe_ito[["blue"]], pch = 16, cex = 0.9))
  p <- known_pairs(x)
  reach <- range(0, p$real, p$simulated)
  empty_plot(dots[setdiff(names(dots), c("xlab", "xlim"))],
             list(x = reach, y = reach, las = 1, xlab = "association, real", ylab = "association, simulated"))
  graphics::abline(0, 1, lty = 2, col = "grey45")
  graphics::points(p$real, p$simulated, pch = style$pch, col = style$col, cex = style$cex)
  draw_main("Pairs of columns", dots[names(dots) != "main"])
}
