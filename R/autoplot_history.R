# Pictures of the training, the network and its weights as objects of ggplot2.

# ---- history

gg_history <- function(picture) {
  switch(picture$kind, losses = gg_losses, members = gg_members, elbo = gg_elbo)(picture) +
    ggplot2::scale_x_continuous(breaks = whole_breaks)
}

# The columns of a matrix as lines, one below the other: x, y, line.
line_frame <- function(x, y) {
  out <- data.frame(x = rep(x, ncol(y)), y = as.vector(y), line = factor(rep(colnames(y), each = nrow(y)), colnames(y)))
  out[is.finite(out$y), ]
}

gg_lines <- function(frame) {
  list(gg_layer(ggplot2::geom_line, frame, aes_of(x = "x", y = "y", colour = "line", linetype = "line"),
                linewidth = gg_width(1.8)),
       if (length(unique(frame$x)) < 10) gg_layer(ggplot2::geom_point, frame, aes_of(x = "x", y = "y",
                                                                                    colour = "line")))
}

# The best epoch on its line.
gg_best <- function(picture, y, ...) {
  at <- data.frame(x = picture$best, y = y, ...)
  gg_layer(ggplot2::geom_point, at[is.finite(at$y), ], aes_of(x = "x", y = "y"), shape = 21, size = 2.6, stroke = 1,
           fill = okabe_ito[["vermillion"]])
}

gg_losses <- function(picture) {
  has_validation <- ncol(picture$loss) > 1
  best <- if (has_validation) picture$loss[match(picture$best, picture$epoch), "validation"]
  colours <- stats::setNames(okabe_ito, c("training", "validation"))
  gg_empty("Training history", if (has_validation && is.finite(best)) best_words(picture), "epoch",
           loss_words(picture)) +
    gg_lines(line_frame(picture$epoch, picture$loss)) + (if (has_validation) gg_best(picture, best)) +
    ggplot2::scale_colour_manual(NULL, values = colours, guide = if (has_validation) "legend" else "none") +
    ggplot2::scale_linetype_manual(NULL, values = c(training = 1, validation = 1), guide = "none")
}

gg_members <- function(picture) {
  each <- lengths(picture$epoch)
  frame <- data.frame(x = unlist(picture$epoch), y = unlist(picture$loss), member = rep(seq_along(each), each),
                      wide = gg_width(rep(picture$wide, each)))
  gg_empty("Training history", members_note(picture), "epoch", loss_words(picture)) +
    gg_layer(ggplot2::geom_line, frame[is.finite(frame$y), ], aes_of(x = "x", y = "y", group = "member",
                                                                    linewidth = "wide"),
             colour = okabe_ito[["blue"]], alpha = 0.6) +
    ggplot2::scale_linewidth_identity()
}

# The ELBO above, its KL below.
gg_elbo <- function(picture) {
  panels <- c("ELBO", "KL")
  frame <- rbind(data.frame(line_frame(picture$epoch, picture$above), panel = factor(panels[1], panels)),
                 data.frame(line_frame(picture$epoch, picture$kl), panel = factor(panels[2], panels)))
  looks <- elbo_looks(nrow(frame), list())
  best <- if ("held out" %in% colnames(picture$above))
    picture$above[match(picture$best, picture$epoch), "held out"] else NA
  shown <- intersect(row.names(looks), frame$line)
  values <- function(column) stats::setNames(looks[shown, column], shown)
  gg_empty("Training history", if (is.finite(best)) best_words(picture), "epoch", "nats per row") +
    gg_lines(frame) + gg_best(picture, best, panel = factor(panels[1], panels)) +
    ggplot2::scale_colour_manual(NULL, values = values("col"), breaks = shown) +
    ggplot2::scale_linetype_manual(NULL, values = values("lty"), breaks = shown) +
    ggplot2::facet_grid(panel ~ ., scales = "free_y")
}

# ---- network

# Units at whole places along, layers of the same height, the lines between them as in the base picture.
gg_network <- function(net) {
  units <- lapply(net$sizes, shown_units, 24)
  y <- lapply(lengths(units), unit_heights, 1)
  n <- length(units)
  edges <- do.call(rbind, lapply(seq_along(net$weights), function(i) {
    e <- edges_between(net$weights[[i]], units[[i]], units[[i + 1]])
    data.frame(x = i, xend = i + 1, y = y[[i]][e$from], yend = y[[i + 1]][e$to], weight = e$weight, size = e$size,
               wide = gg_width(0.3 + 2.7 * e$size), alpha = 0.12 + 0.88 * e$size,
               sign = ifelse(e$weight > 0, "positive weight", "negative weight"))
  }))
  places <- data.frame(x = rep(seq_len(n), lengths(units)), y = unlist(y), unit = unlist(units))
  colours <- c("negative weight" = okabe_ito[["vermillion"]], "positive weight" = okabe_ito[["blue"]])
  names <- unit_names(net, units, y)
  gg_empty("Network") +
    gg_layer(ggplot2::geom_segment, edges[order(edges$size), ],
             aes_of(x = "x", y = "y", xend = "xend", yend = "yend", colour = "sign", linewidth = "wide",
                    alpha = "alpha")) +
    gg_layer(ggplot2::geom_point, places[!is.na(places$unit), ], aes_of(x = "x", y = "y"), shape = 21, fill = "white",
             colour = "grey25", size = if (max(lengths(units)) > 12) 2.5 else 5) +
    gg_layer(ggplot2::geom_text, places[is.na(places$unit), ], aes_of(x = "x", y = "y"), label = "...", angle = 90) +
    gg_layer(ggplot2::geom_text, names, aes_of(x = "x", y = "y", label = "text", hjust = "side"), size = 3) +
    ggplot2::scale_colour_manual(NULL, values = colours) + ggplot2::scale_alpha_identity() +
    ggplot2::scale_linewidth_identity() +
    ggplot2::scale_x_continuous(breaks = seq_len(n), expand = c(0.02 * n, 0.5),
                                labels = vapply(net$captions, paste, "", collapse = "\n")) +
    gg_bare() + ggplot2::theme(axis.text.x = ggplot2::element_text(colour = "grey25"),
                               axis.title = ggplot2::element_blank())
}

# Names of inputs to the left of the first layer, of outputs to the right of the last.
unit_names <- function(net, units, y) {
  last <- length(units)
  out <- data.frame(x = rep(c(1, last) + 0.03 * last * c(-1, 1), lengths(units[c(1, last)])), y = c(y[[1]], y[[last]]),
                    text = c(net$inputs[units[[1]]], net$outputs[units[[last]]]),
                    side = rep(c(1, 0), lengths(units[c(1, last)])))
  out$text <- shorten(out$text, 20)
  out[!is.na(out$text), ]
}

# ---- weights

gg_weights <- function(picture) {
  k <- length(picture$names)
  frame <- transform(picture$frame, place = -picture$frame$place)
  medians <- data.frame(x = picture$medians, low = -seq_len(k) - 0.38, high = -seq_len(k) + 0.38)
  gg_empty(weights_words$main, weights_words$note, weights_words$x) +
    ggplot2::geom_vline(xintercept = stats::qnorm(0.975), linetype = 2, colour = "grey20") +
    gg_layer(ggplot2::geom_point, frame, aes_of(x = "ratio", y = "place"), colour = okabe_ito[["blue"]], shape = 16,
             alpha = point_alpha(max(table(frame$strip)))) +
    gg_layer(ggplot2::geom_segment, medians, aes_of(x = "x", xend = "x", y = "low", yend = "high"), linewidth = 1.2,
             colour = okabe_ito[["vermillion"]]) +
    ggplot2::scale_x_log10(breaks = 10^(-3:12), labels = tens_words) + ggplot2::expand_limits(x = picture$ends) +
    ggplot2::scale_y_continuous(breaks = -seq_len(k), labels = picture$names, minor_breaks = NULL)
}
