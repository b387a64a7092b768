# print() and summary().

#' @export
print.varnn <- function(x, digits = print_digits(), ...) {
  check_fit(x)
  check_standard("print", ..., known = "digits")
  print_lines(fit_lines(x, check_digits(digits)))
  invisible(x)
}

# As print.lm() has them.
print_digits <- function() max(3L, getOption("digits") - 3L)

check_digits <- function(digits) {
  if (is.null(digits)) print_digits() else check_number(digits, "digits", 1, 22, whole = TRUE)
}

# No wider than the console.
print_lines <- function(lines) writeLines(strwrap(lines, getOption("width") + 1, exdent = 2))

fit_lines <- function(fit, digits = print_digits()) {
  c(model_title(fit), paste("Call:", shown_call(fit$call)), "", paste("Network:", network_line(fit)),
    paste("Data:", data_line(fit)), margin_line(fit), latent_line(fit), posterior_lines(fit, digits),
    paste("Training:", training_line(fit)), paste0("Result: ", result_line(fit, digits), scale_words(fit, digits)))
}

# By what the number of latent dimensions was chosen.
latent_line <- function(fit) {
  scores <- fit$arguments$latent_scores
  if (is.null(scores)) return(NULL)
  sprintf(paste("Latent dimensions: %d, chosen by the log-likelihood of rows held out (%s nats per row; more",
                "dimensions must gain more than a standard error)"), fit_latent(fit),
          paste0(names(scores), ": ", formatC(scores, digits = 4, format = "fg", flag = "#"), collapse = ", "))
}

# A call as it was typed, at most 200 characters of it; values in it, as do.call() puts them there, in words.
shown_call <- function(call) {
  words <- character()
  in_words <- function(x) {
    if (is_whole(x)) return(x)
    if (is.call(x) && length(x) <= 200) {
      attributes(x) <- NULL # of terms, which step() puts in place of a formula
      parts <- as.list(x)
      given <- which(!vapply(parts, identical, NA, formals(function(a) NULL)$a)) # unlike those of x[, 1]
      parts[given] <- lapply(parts[given], in_words)
      return(as.call(parts))
    }
    words <<- c(words, if (is.call(x)) "..." else paste0("<", shown(x), ">"))
    as.name(paste0(".value", length(words), "."))
  }
  text <- paste(trimws(deparse(in_words(call), width.cutoff = 100L, nlines = 5L)), collapse = " ")
  for (i in seq_along(words)) text <- sub(paste0(".value", i, "."), words[i], text, fixed = TRUE)
  if (nchar(text) > 200) paste0(substr(text, 1, 197), "...") else text
}

# Typed as it is, and not long.
is_whole <- function(x) {
  if (is.call(x)) return(identical(x[[1]], quote(`function`)))
  is.null(x) || is.symbol(x) || is.atomic(x) && is.null(attributes(x)) && length(x) <= 3
}

model_title <- function(fit) UseMethod("model_title")

#' @exportS3Method
model_title.varnn <- function(fit) {
  classes <- vapply(fit$blocks, function(b) b$type %in% c("factor", "logical"), NA)
  kind <- paste0(if (is_bayesian(fit$spec)) "Bayesian ", if (has_hidden(fit)) "neural" else "linear", " network")
  sprintf("%s%s for %s (%s)", toupper(substr(kind, 1, 1)), substring(kind, 2),
          if (all(classes)) "classification" else "regression", paste(unique(family_words(fit)), collapse = ", "))
}

family_words <- function(fit) {
  of_block <- function(b) {
    paste(c(family_label(b), if (length(b$constants)) constant_words(b$constants)), collapse = ", ")
  }
  vapply(fit$blocks, of_block, "")
}

network_line <- function(fit) {
  s <- fit$spec
  units <- unit_layers(s)
  hidden <- units[-length(units)]
  layers <- c(count(length(first_inputs(fit)), "input"),
              if (length(hidden)) paste(layer_units(s)[hidden], what_follows(s, hidden)),
              count(layer_units(s)[units[length(units)]], "output"))
  paste(c(paste(layers, collapse = " -> "), count(fit$n_par, "parameter"), layer_words(s),
          if (s$penalty > 0) paste("penalty", format(s$penalty)),
          if (!is.null(s$penalty_program)) paste("penalty", shortened(s$programs[[s$penalty_program]]$text))),
        collapse = "; ")
}

# The activation of each hidden layer; "latent" for the bottleneck.
what_follows <- function(spec, hidden) {
  vapply(hidden, function(i) {
    after <- which(is_activation(spec) & seq_along(spec$layer) > i)[1]
    if (spec$layer[i] == "latent") "latent" else activation_words(spec, after)
  }, "")
}

# What is said of layers without units, once for each kind.
layer_phrases <- c(layer_norm = "layer norm", dropout = "dropout %s", noise = "input noise %s",
                   mask = "masking noise %s", sparse = "sparsity %s", contract = "contractive %s",
                   tied = "tied weights", embed = "embedded levels %s")

layer_words <- function(spec) {
  kinds <- intersect(names(layer_phrases), spec$layer)
  vapply(kinds, function(kind) {
    setting <- paste(format(unique(spec$setting[spec$layer == kind]), trim = TRUE), collapse = ", ")
    if (grepl("%s", layer_phrases[[kind]])) sprintf(layer_phrases[[kind]], setting) else layer_phrases[[kind]]
  }, "", USE.NAMES = FALSE)
}

count <- function(n, what) paste0(thousands(n), " ", what, if (n != 1) "s")

data_line <- function(fit) {
  s <- fit$scaling
  scaled <- sum((s$scale != 1 | s$center != 0) & !s$is_constant)
  dropped <- if (is_from_chunks(fit)) fit$source$dropped else length(fit$na.action)
  constant <- sum(s$is_constant)
  paste(c(count(fit$n_obs, "observation"), if (length(fit$held_out)) paste(length(fit$held_out), "of them held out"),
          if (dropped) paste(dropped, "with missing values left out"),
          if (scaled) paste0(count(scaled, "input"), " standardised", if (!is.null(s$rotation)) " and rotated"),
          if (constant) paste(constant, "constant"), rank_words(fit),
          if (!is.null(fit$weights) || isTRUE(fit$source$has_weights)) "case weights",
          if (is_from_chunks(fit)) paste("in chunks from", fit$source$words)),
        collapse = ", ")
}

# What a linear model's columns can tell, where that is less than there are coefficients.
rank_words <- function(fit) {
  size <- fit$spec$n_x + fit$design$intercept
  if (!is.null(fit$rank) && fit$rank < size) sprintf("rank %d of %d", fit$rank, size)
}

training_line <- function(fit) {
  control <- fit$control
  full <- control$optimizer == "lbfgs"
  paste0(control$optimizer, ", ", count(fit$n_epochs, if (full) "iteration" else "epoch"),
         if (!is.null(control$epochs_by)) paste0(" (chosen by ", control$epochs_by, ")"),
         if (!full) paste0(", batch size ", control$batch_size, ", learning rate ", format(control$learn_rate)),
         if (control$schedule != "constant") paste0(" (", control$schedule, ")"), "; ", stop_words[[fit$stop_reason]])
}

stop_words <- c(finished = "all epochs done", converged = "converged", patience = "stopped early",
                callback = "stopped by the callback",
                interrupted = "interrupted", diverged = "diverged", error = "an error")

result_line <- function(fit, digits) UseMethod("result_line")

# The row of the history that belongs to the parameters.
kept_epoch <- function(fit) if (fit$best_epoch > 0) min(fit$best_epoch, nrow(fit$history)) else nrow(fit$history)

#' @exportS3Method
result_line.varnn <- function(fit, digits) {
  h <- fit$history
  if (!nrow(h)) return("not trained")
  watched <- !is.null(h$val_loss)
  at <- kept_epoch(fit)
  paste0("loss ", format(h$loss[at], digits = digits), " nats per observation",
         if (watched) paste0(", ", format(h$val_loss[at], digits = digits), " held out",
                             if (at < nrow(h)) sprintf(" (best: epoch %d)", at)))
}

#' Summarise a network
#'
#' How well a network fits its training data: the error or the accuracy, residuals or a confusion matrix, the
#' log-likelihood, and the size of its layers.
#'
#' @param object,x a fit, its summary.
#' @param digits significant digits to print, by default three fewer than `getOption("digits")`, as for [lm()].
#' @param ... arguments that [summary.lm()] and [summary.glm()] have beside these, at values that leave the summary as
#'   it is; others are an error.
#' @return A list of class `summary.varnn_nn` with `fit_lines` (what `print()` shows), `layers` (a data frame of the
#'   parameters), `responses` (for each response a list of `measures`, named numbers: error and R-squared, or accuracy
#'   and log loss, or of survival times the number of events, the scale and the concordance of at most 5,000 rows; and
#'   of `residuals`, their quantiles, or for classes of `confusion`, a table), `log_lik`, `deviance` (`NULL` of a
#'   [custom_family()] without that part) and, with `hidden = 0`, `coefficients`: the table that `summary()` of [lm()]
#'   and [glm()] has, or `NULL` where [vcov.varnn_nn()] does not apply.
#' @seealso [plot.varnn()], [residuals.varnn()], [logLik.varnn()].
#' @examples
#' set.seed(1)
#' summary(fit_nn(mpg ~ wt, mtcars, epochs = 50))
#' @export
summary.varnn_nn <- function(object, ...) {
  check_fit(object)
  check_standard("summary", ...)
  leaves <- object$layout
  structure(list(
    fit_lines = fit_lines(object),
    layers = data.frame(name = leaves$name, size = paste(leaves$rows, "x", leaves$cols), norm = leaf_norms(object)),
    responses = response_summaries(object), log_lik = stats::logLik(object),
    deviance = deviance_or(object, NULL), coefficients = coefficient_table(object, NULL)), class = "summary.varnn_nn")
}

response_summaries <- function(fit) {
  if (is_from_chunks(fit)) return(totals_summary(fit))
  parts <- training_blocks(with_eta(fit), NULL)
  names(parts) <- vapply(fit$blocks, function(b) b$columns, "")
  lapply(parts, block_summary, case_weights(fit), fit$design$intercept)
}

leaf_norms <- function(fit) {
  vapply(seq_len(nrow(fit$layout)), function(i) sqrt(sum(fit$theta[leaf_index(fit$layout[i, ])]^2)), 0)
}

block_summary <- function(part, w, has_intercept) {
  b <- part$block
  r <- block_residuals(part, "response", w)
  if (b$type %in% c("factor", "logical")) {
    p <- block_prob(b, part$eta, part$free)
    predicted <- block_class(b, p)
    levels <- if (b$type == "logical") c(FALSE, TRUE) else b$levels
    observed <- factor(levels[replace(level_of(observed_mean(part)), is.na(part$y[, 1]), NA)], levels = levels)
    here <- !is.na(observed)
    hit <- as.character(observed) == as.character(predicted)
    nll <- rowSums(block_nll(part))
    return(list(measures = c(accuracy = sum((w * hit)[here]) / sum(w[here]),
                             log_loss = sum((w * nll)[here]) / sum(w[here])),
                confusion = confusion_table(w, observed, factor(predicted, levels = levels))))
  }
  if (is_kind(b, "time"))
    return(list(measures = c(events = sum(w * part$y[, 2], na.rm = TRUE), scale = exp(part$free[1]),
                             concordance = concordance_of(part$y, part$eta[, 1], w)),
                residuals = weighted_quantiles(r, w, seq(0, 1, 0.25))))
  list(measures = c(rmse = sqrt(sum(w * r^2, na.rm = TRUE) / sum(w[!is.na(r)])),
                    r_squared = r_squared(part, w, has_intercept)),
       residuals = weighted_quantiles(r, w, seq(0, 1, 0.25)))
}

# The share of the squares that the model explains, about the mean, or as of lm() about 0 where there is no intercept
# and the mean is linear.
r_squared <- function(part, w, has_intercept) {
  y <- observed_mean(part)
  center <- if (has_intercept || !is_scaled(part$block)) sum(w * y, na.rm = TRUE) / sum(w[!is.na(y)]) else 0
  squares <- function(v) sum(w * v^2, na.rm = TRUE)
  share_explained(squares(y - mean_at(part$block, part$eta, part$free)), squares(y - center))
}

# How often each level was observed and predicted, each row as often as its weight says.
confusion_table <- function(w, observed, predicted) {
  out <- stats::xtabs(w ~ observed + predicted)
  structure(unclass(out), class = "table", call = NULL)
}

share_explained <- function(ss, total) if (total > 0) 1 - ss / total else NA_real_

#' @rdname summary.varnn_nn
#' @export
print.summary.varnn_nn <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  print_lines(c(x$fit_lines, ""))
  for (name in names(x$responses)) {
    one <- x$responses[[name]]
    if (length(x$responses) > 1) cat("Response ", name, ":\n", sep = "")
    cat(paste(gsub("_", " ", names(one$measures)), format(one$measures, digits = digits, trim = TRUE), collapse = ", "),
        "\n", sep = "")
    if (!is.null(one$residuals)) {
      q <- stats::setNames(one$residuals, c("Min", "1Q", "Median", "3Q", "Max"))
      cat("Residuals:\n")
      print(signif(q, digits), digits = digits)
    }
    if (!is.null(one$confusion) && nrow(one$confusion) <= 12) print(one$confusion)
  }
  deviance <- if (is.null(x$deviance)) "no deviance: the family has no such part"
  else paste("deviance", format(x$deviance, digits = digits + 1))
  cat("\nLog-likelihood ", format(c(x$log_lik), digits = digits + 2), " (", attr(x$log_lik, "df"), " parameters), ",
      deviance, "\n\n", sep = "")
  if (is.null(x$coefficients)) print(x$layers, row.names = FALSE, digits = digits)
  else stats::printCoefmat(x$coefficients, digits = digits, has.Pvalue = TRUE, ...)
  invisible(x)
}
