# Levels of factors that the training data had not. A design has `new_levels`, what is done with them, and `shares`, the
# shares of the levels that each factor had in training.

new_level_choices <- c("error", "na", "mean")

# The design, and that of what a model is given beside its columns, with this choice.
with_new_levels <- function(design, new_levels) {
  design$new_levels <- new_levels
  if (!is.null(design$given)) design$given$new_levels <- new_levels
  design
}

# A fit whose predictions do this with them; fits of earlier versions have no choice in them.
with_predict_levels <- function(fit, new_levels) {
  if (is.null(new_levels)) return(fit)
  fit$design <- with_new_levels(fit$design, check_choice(new_levels, new_level_choices, "new_levels"))
  fit
}

check_new_levels <- function(xlevels, newdata) {
  for (name in intersect(names(xlevels), names(newdata))) {
    new <- setdiff(unique(as.character(newdata[[name]])), c(xlevels[[name]], NA))
    if (length(new))
      stop_user("Column `%s` of `newdata` has a level that the training data had not: \"%s\"; known are %s.",
                name, new[1], quoted_some(xlevels[[name]]))
  }
}

# Of each factor of a frame, the shares of its levels among rows of these weights.
level_shares <- function(frame, xlevels, w) {
  numbers <- level_columns(frame, xlevels, xlevels)
  Map(function(name, levels) {
    at <- numbers[, name] + 1
    here <- which(!is.na(at) & !is.na(if (is.numeric(w)) w else 0))
    n <- if (!is.numeric(w)) as.double(tabulate(at[here], length(levels)))
    else drop(rowsum(c(w[here], numeric(length(levels))), c(at[here], seq_along(levels))))
    n <- unname(n)
    if (sum(n) > 0) n / sum(n) else rep(1 / length(n), length(n))
  }, names(xlevels), xlevels)
}

# A frame whose factors have the levels of training: others are missing or, where their mean is taken, the first one;
# then the attribute "unseen" says of each such factor which rows have them.
with_known_levels <- function(design, frame) {
  unseen <- list()
  for (name in intersect(names(design$xlevels), names(frame))) {
    given <- as.character(frame[[name]])
    frame[[name]] <- factor(given, design$xlevels[[name]])
    is_new <- is.na(frame[[name]]) & !is.na(given)
    if (!any(is_new)) next
    warn_of_new_levels(name, sum(is_new), unique(given[is_new]), if (design$new_levels == "na")
      "what is predicted there is missing" else "the mean of the known levels is taken")
    if (design$new_levels == "na") next
    frame[[name]][is_new] <- design$xlevels[[name]][1]
    unseen[[name]] <- is_new
  }
  structure(frame, unseen = unseen)
}

warn_of_new_levels <- function(name, n, levels, what) {
  warn_user("varnn_new_levels", "Column `%s` of `newdata` has levels that the training data had not, in %s (%s): %s.",
            name, count(n, "row"), paste0(quoted(utils::head(levels, 3)), if (length(levels) > 3) ", ..."), what)
}

most_coded_rows <- 20000
most_level_pairs <- 1e5

# The columns of complete rows; of rows with unseen levels their mean over the known ones, by the shares of training.
mean_coded <- function(design, frame, unseen) {
  if (!length(unseen)) return(frame_columns(design, frame))
  names <- names(unseen)
  has_it <- do.call(cbind, unseen)
  embedded <- intersect(names, names(design$embed))
  pattern <- apply(has_it, 1, function(r) paste(which(r), collapse = " "))
  x <- matrix(0, nrow(frame), length(design$columns))
  for (one in unique(pattern)) {
    at <- which(pattern == one)
    x[at, ] <- of_pattern(design, frame[at, , drop = FALSE], setdiff(names[has_it[at[1], ]], embedded))
  }
  for (name in embedded) x[unseen[[name]], match(name, design$columns)] <- length(design$xlevels[[name]])
  x
}

# Of rows in which these factors have unseen levels.
of_pattern <- function(design, frame, names) {
  if (!length(names)) return(frame_columns(design, frame))
  if (prod(lengths(design$xlevels[names])) > most_level_pairs)
    stop_user("The columns %s have unseen levels in one row, and too many known ones for their mean: use \"na\".",
              quoted(names))
  levels <- expand.grid(lapply(design$xlevels[names], seq_along))
  share <- Reduce(`*`, lapply(names, function(name) design$shares[[name]][levels[[name]]]))
  levels <- levels[share > 0, , drop = FALSE]
  share <- share[share > 0]
  x <- matrix(0, nrow(frame), length(design$columns))
  at_once <- max(1, most_coded_rows %/% length(share))
  for (first in seq(1, nrow(frame), by = at_once)) {
    at <- seq(first, min(nrow(frame), first + at_once - 1))
    every_level <- frame[rep(at, each = length(share)), , drop = FALSE]
    for (name in names) {
      every_level[[name]] <- factor(design$xlevels[[name]][rep(levels[[name]], length(at))], design$xlevels[[name]])
    }
    all <- frame_columns(design, every_level) * share
    x[at, ] <- rowsum(all, rep(seq_along(at), each = length(share)), reorder = FALSE)
  }
  x
}
