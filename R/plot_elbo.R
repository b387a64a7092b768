# The history of a fit by variational inference: the ELBO above, its KL below.

elbo_colours <- unname(c(okabe_ito, "#009E73", "#CC79A7")) # ELBO, held out, log-likelihood, KL

has_elbo <- function(fit) any(c("kl_latent", "kl_weights") %in% names(fit$history))

# list(epoch, above, kl), matrices with a column per line. Where the loss is not the ELBO's negative (by beta, free
# bits, importance weights), `above` has it, too.
elbo_lines <- function(fit) {
  h <- fit$history
  objective <- if (!isTRUE(all.equal(h$loss, -h$elbo))) -h$loss
  held_out <- if (any(is.finite(h$val_loss))) -h$val_loss
  kl <- as.matrix(h[intersect(c("kl_latent", "kl_weights"), names(h))])
  list(epoch = h$epoch,
       above = cbind(`log-likelihood` = -h$nll, ELBO = h$elbo, `minus loss` = objective, `held out` = held_out),
       kl = cbind(KL = rowSums(kl)))
}

# Colour and type of the lines, by their names.
elbo_looks <- function(n_epochs, dots) {
  shape <- given_or(dots, list(lwd = 1.8, lty = 1, type = if (n_epochs < 10) "o" else "l", pch = 20, cex = 1))
  shape <- lapply(shape[c("lwd", "lty", "type", "pch", "cex")], rep_len, 4)
  given <- seq_len(min(4, length(dots$col)))
  col <- replace(elbo_colours, given, colour_names(dots$col)[given])
  looks <- data.frame(col, shape)[c(1, 1:4), ]
  row.names(looks) <- c("ELBO", "minus loss", "held out", "log-likelihood", "KL")
  if (is.null(dots$lty)) looks["minus loss", "lty"] <- 2
  looks
}

# Both panels are in one figure, so that they fit in any layout.
draw_elbo <- function(lines, dots) {
  looks <- elbo_looks(length(lines$epoch), dots)
  local_par(mar = pmin(graphics::par("mar"), c(3.2, 9, 9, 9)),
            mgp = c(min(2.7, graphics::par("mar")[2] - 1.2), 0.6, 0))
  graphics::plot.new()
  plt <- graphics::par("plt")
  middle <- plt[3] + c(0.3, 0.35) * (plt[4] - plt[3])
  graphics::par(new = TRUE, plt = replace(plt, 4, middle[1]))
  draw_lines(lines$epoch, lines$kl, looks, dots[setdiff(names(dots), c("ylim", "xlab", "ylab"))],
             list(xlab = "", ylab = "KL", xaxt = "n", cex.lab = label_size("KL")))
  whole_axis(dots)
  with_arguments(graphics::title, dots[names(dots) %in% c("xlab", "cex.lab", "col.lab")],
                 list(xlab = "epoch", line = 1.9))
  graphics::par(new = TRUE, plt = replace(plt, 3, middle[2]))
  dots$log <- sub("y", "", paste0(dots$log, ""))
  draw_lines(lines$epoch, lines$above, looks, dots[setdiff(names(dots), c("xlab", "sub", "xaxt"))],
             list(xlab = "", ylab = "nats per row", xaxt = "n", cex.lab = label_size("nats per row")),
             room_for_key = TRUE)
  whole_axis(dots, labels = FALSE, tcl = -0.2)
  n_rows <- draw_elbo_key(lines, looks)
  draw_main("Training history", dots, if (n_rows > 1) 2.3 else NA)
}

# With which the name of the left axis is no longer than that.
label_size <- function(name) {
  min(graphics::par("cex.lab"), 0.98 * graphics::par("pin")[2] / graphics::strwidth(name, "inches"))
}

# The columns of y against the epochs.
draw_lines <- function(epoch, y, looks, dots, defaults, room_for_key = FALSE) {
  limits <- range(y, finite = TRUE)
  if (room_for_key && !has_margin())
    limits[2] <- limits[2] + diff(limits) * 2 * graphics::par("csi") / graphics::par("pin")[2]
  empty_plot(dots, given_or(defaults, list(x = range(epoch), y = limits, las = tick_las(y[is.finite(y)]))))
  for (name in colnames(y)) {
    s <- looks[name, ]
    graphics::lines(epoch, y[, name], col = s$col, lwd = s$lwd, lty = s$lty, type = s$type, pch = s$pch, cex = s$cex)
  }
}

# As they lie above each other, in two rows where one has no room; the best epoch is on the line of what was held out.
# Gives the number of rows.
draw_elbo_key <- function(lines, looks) {
  names <- colnames(lines$above)
  key <- data.frame(text = names, looks[names, c("col", "lwd", "lty")], pch = NA)
  at <- match(lines$best, lines$epoch)
  held_out <- if ("held out" %in% names) lines$above[at, "held out"] else NA
  if (is.finite(held_out)) {
    graphics::points(lines$best, held_out, pch = 21, cex = 1.4, lwd = 1.5, col = "black", bg = looks["held out", "col"])
    key <- rbind(key, data.frame(text = best_words(lines), col = "black", lwd = 1.5, lty = 1, pch = 21))
  }
  size <- place_key(graphics::strwidth(key$text, "inches"), graphics::par("pin")[1])$cex
  is_narrow <- size < 0.62 && graphics::par("mar")[3] > 4
  row <- if (is_narrow) 1 + (2 * seq_along(key$text) > nrow(key) + 1) else rep(1, nrow(key))
  for (i in unique(row)) draw_key(key[row == i, ], looks["held out", "col"], 0.7 + 0.9 * (max(row) - i))
  max(row)
}
