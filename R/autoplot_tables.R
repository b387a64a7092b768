# Pictures of what is computed of a fit (calibration, scores, importance, comparisons) as objects of ggplot2.

#' @rdname autoplot.varnn
#' @exportS3Method ggplot2::autoplot
autoplot.varnn_effects <- function(object, ...) {
  check_autoplot(...)
  gg_effects(object)
}

#' @rdname autoplot.varnn
#' @exportS3Method ggplot2::autoplot
autoplot.varnn_calibration <- function(object, ...) {
  check_autoplot(...)
  words <- calibration_words(object)
  gg_empty(words$main, words$note, words$x, words$y) + (if (object$kind == "number") gg_pit else gg_reliability)(object)
}

gg_pit <- function(x) {
  pit <- pit_bars(x)
  band <- data.frame(left = 0, right = 1, low = pit$band[1], high = pit$band[2])
  list(gg_layer(ggplot2::geom_rect, band, aes_of(xmin = "left", xmax = "right", ymin = "low", ymax = "high"),
                fill = "grey90"),
       gg_layer(ggplot2::geom_rect, data.frame(pit$bars, low = 0),
                aes_of(xmin = "left", xmax = "right", ymin = "low", ymax = "density"), fill = okabe_ito[["blue"]],
                alpha = 0.6, colour = "white"),
       ggplot2::geom_hline(yintercept = 1, linetype = 2, colour = "grey45"),
       ggplot2::scale_x_continuous(expand = c(0.01, 0)), ggplot2::scale_y_continuous(expand = c(0, 0, 0.05, 0)))
}

gg_reliability <- function(x) {
  r <- reliability_points(x)
  classes <- unique(r$class)
  is_one <- length(classes) == 1
  r$group <- factor(r$class, classes)
  colour <- if (is_one) list(colour = okabe_ito[["blue"]])
  layer <- function(geom, ...) do.call(gg_layer, c(list(geom, r, ...), colour))
  of_class <- function(...) do.call(aes_of, c(list(...), if (!is_one) list(colour = "group")))
  list(ggplot2::geom_abline(slope = 1, intercept = 0, linetype = 2, colour = "grey45"),
       gg_layer(ggplot2::geom_linerange, r, aes_of(x = "predicted", ymin = "lower", ymax = "upper"), colour = "grey80",
                linewidth = gg_width(3)),
       if (is_one) layer(ggplot2::geom_line, of_class(x = "predicted", y = "observed")),
       layer(ggplot2::geom_point, of_class(x = "predicted", y = "observed", size = "n")),
       ggplot2::scale_size_area(max_size = 4, guide = "none"), if (!is_one) gg_group(r$group, x$response),
       ggplot2::coord_cartesian(xlim = c(0, 1), ylim = c(0, 1)))
}

#' @rdname autoplot.varnn
#' @exportS3Method ggplot2::autoplot
autoplot.varnn_importance <- function(object, ...) {
  check_autoplot(...)
  check_importance(object, "autoplot()")
  n <- nrow(object)
  object <- object[seq_len(min(n, most_bars)), ]
  words <- importance_words(object, nrow(object) < n, n)
  frame <- data.frame(label = object$variable, value = object$importance, se = 2 * object$se)
  gg_rows(c(list(frame = frame), words), okabe_ito[["blue"]]) +
    ggplot2::geom_vline(xintercept = 0, linetype = 2, colour = "grey45")
}

# Values with errors, a row for each label, the first on top.
gg_rows <- function(rows, colour = "grey70") {
  frame <- rows$frame
  k <- nrow(frame)
  frame <- data.frame(y = -seq_len(k), value = frame$value, low = frame$value - frame$se,
                      high = frame$value + frame$se)
  gg_empty(rows$main, rows$note, rows$x) +
    gg_layer(ggplot2::geom_linerange, frame[is.finite(frame$low), ], aes_of(y = "y", xmin = "low", xmax = "high"),
             colour = colour, linewidth = gg_width(2)) +
    gg_layer(ggplot2::geom_point, frame[is.finite(frame$value), ], aes_of(x = "value", y = "y"), size = 2.2,
             colour = okabe_ito[["blue"]]) +
    ggplot2::scale_y_continuous(breaks = -seq_len(k), labels = shorten(as.character(rows$frame$label), 40),
                                minor_breaks = NULL, expand = c(0, 0.6))
}

#' @rdname autoplot.varnn
#' @exportS3Method ggplot2::autoplot
autoplot.varnn_tuning <- function(object, ...) {
  check_autoplot(...)
  check_tuning(object)
  gg_rows(tuning_rows(object))
}

#' @rdname autoplot.varnn
#' @exportS3Method ggplot2::autoplot
autoplot.varnn_posteriors <- function(object, ...) {
  check_autoplot(...)
  check_compared(object)
  gg_rows(posterior_rows(object))
}

#' @rdname autoplot.varnn
#' @exportS3Method ggplot2::autoplot
autoplot.varnn_cross_validation <- function(object, ...) {
  check_autoplot(...)
  check_cross_validation(object)
  words <- folds_words(object)
  mean <- mean_and_error(object)
  band <- data.frame(left = -Inf, right = Inf, low = mean[1], mean = mean[2], high = mean[3])[all(is.finite(mean)), ]
  folds <- object$by_fold
  frame <- data.frame(x = seq_len(nrow(folds)), y = folds$log_score)
  gg_empty(words$main, words$note, words$x, words$y) +
    gg_layer(ggplot2::geom_rect, band, aes_of(xmin = "left", xmax = "right", ymin = "low", ymax = "high"),
             fill = "grey92") +
    gg_layer(ggplot2::geom_hline, band, aes_of(yintercept = "mean"), linetype = 2, colour = "grey45") +
    gg_layer(ggplot2::geom_point, frame[is.finite(frame$y), ], aes_of(x = "x", y = "y"), size = 2.2,
             colour = okabe_ito[["blue"]]) +
    ggplot2::scale_x_continuous(breaks = frame$x, labels = as.character(folds$fold), minor_breaks = NULL)
}

# ---- autoencoders beside principal components, simulated rows beside real ones

#' @rdname autoplot.varnn
#' @exportS3Method ggplot2::autoplot
autoplot.varnn_pca <- function(object, which = c("scree", "scores"), ..., group = NULL) {
  check_autoplot(..., known = c("which", "group"))
  own <- list(group = group, group_label = group_label(substitute(group)))
  gg_picture(object, if (!missing(which)) which, parent.frame(), own, pca_plot_table)
}

gg_scree <- function(x) {
  errors <- scree_errors(x)
  k <- x$table$components
  names <- c("PCA", "autoencoder")
  rows <- c("training", "held out")
  frame <- data.frame(x = rep(k, ncol(errors)), y = as.vector(errors),
                      of = rep(rep_len(names, ncol(errors)), each = length(k)),
                      rows = rep(rep(rows, each = 2)[seq_len(ncol(errors))], each = length(k)))
  gg_empty("Error of reconstruction", NULL, "components", "mean squared error per entry") +
    gg_layer(ggplot2::geom_line, frame, aes_of(x = "x", y = "y", colour = "of", linetype = "rows"),
             linewidth = gg_width(1.8)) +
    gg_layer(ggplot2::geom_point, frame, aes_of(x = "x", y = "y", colour = "of", shape = "rows"), size = 2.2) +
    ggplot2::scale_colour_manual(NULL, values = stats::setNames(okabe_ito, names), breaks = names) +
    ggplot2::scale_linetype_manual(NULL, values = stats::setNames(1:2, rows), breaks = rows) +
    ggplot2::scale_shape_manual(NULL, values = stats::setNames(c(16, 1), rows), breaks = rows) +
    ggplot2::scale_x_continuous(breaks = whole_breaks) + ggplot2::expand_limits(y = 0) +
    (if (ncol(errors) < 3) ggplot2::guides(linetype = "none", shape = "none"))
}

gg_scores <- function(picture) {
  seen <- seen_scores(picture)
  drawn <- mixed_rows(nrow(seen$z))
  is_pair <- is_pair_of_scores(picture)
  group <- with_missing(picture$group)
  part <- function(columns, name) {
    frame <- data.frame(x = seen$z[drawn, columns[1]], y = seen$z[drawn, columns[2]], row.names = NULL)
    frame$group <- group[drawn]
    data.frame(frame, panel = name)
  }
  names <- c(sprintf("principal components: %s", paste(picture$names[1:2], collapse = ", ")), "codes: z1, z2")
  frame <- if (is_pair) rbind(part(1:2, names[1]), part(3:4, names[2])) else part(1:2, "")
  frame$panel <- factor(frame$panel, unique(frame$panel))
  gg_empty("Principal components and codes", beyond_words(sum(seen$beyond[drawn]), length(drawn)),
           if (!is_pair) picture$names[1], if (!is_pair) "z1") +
    gg_points(frame, group, point_alpha(length(drawn)), x = "x", y = "y") + gg_group(group, picture$label) +
    (if (is_pair) ggplot2::facet_wrap("panel", scales = "free"))
}

#' @rdname autoplot.varnn
#' @exportS3Method ggplot2::autoplot
autoplot.varnn_comparison <- function(object, ...) {
  check_autoplot(...)
  check_comparison(object)
  far <- far_columns(object)
  pairs <- known_pairs(object)
  titles <- c("distance of columns, real and simulated", "association of pairs, real (x) and simulated (y)")
  panel <- function(i, frame) if (nrow(frame)) data.frame(frame, panel = factor(titles[i], titles), row.names = NULL)
  k <- nrow(far)
  rows <- panel(1, data.frame(y = -seq_len(k), distance = far$distance, low = -seq_len(k) - 0.3,
                              high = -seq_len(k) + 0.3, expected = far$expected))
  pairs <- panel(2, pairs[c("real", "simulated")])
  line <- panel(2, data.frame(slope = 1, intercept = 0)[!is.null(pairs), ])
  reach <- range(0, unlist(pairs[c("real", "simulated")]))
  corners <- if (!is.null(pairs)) panel(2, data.frame(x = reach, y = reach))
  ends <- rbind(panel(1, data.frame(x = 0, y = -1)), corners)
  gg_empty("Simulated and real rows", "lines: what chance alone gives") +
    gg_layer(ggplot2::geom_blank, ends, aes_of(x = "x", y = "y")) +
    gg_layer(ggplot2::geom_segment, rows, aes_of(x = "expected", xend = "expected", y = "low", yend = "high"),
             colour = "grey45", linewidth = gg_width(1.5)) +
    gg_layer(ggplot2::geom_point, rows, aes_of(x = "distance", y = "y"), colour = okabe_ito[["blue"]], size = 2.2) +
    gg_layer(ggplot2::geom_abline, line, aes_of(slope = "slope", intercept = "intercept"), linetype = 2,
             colour = "grey45") +
    gg_layer(ggplot2::geom_point, pairs, aes_of(x = "real", y = "simulated"), colour = okabe_ito[["blue"]]) +
    gg_panels(titles[c(TRUE, !is.null(pairs))], NULL, list(list(breaks = -seq_len(k), labels = as.character(far$column),
                                                               minor_breaks = NULL), list()), several = TRUE)
}
