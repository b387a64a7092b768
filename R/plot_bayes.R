# Pictures of Bayesian networks: fits with their intervals, and how sure the weights are.

plot_draws <- c(rows = 1000L, curve = 4000L) # of the posterior: a curve shows the noise of few
plot_level <- 0.95

is_bayes <- function(fit) inherits(fit, "varnn_bayes_nn")

# Where a picture shows the intervals of a fit: along its only predictor, or at training rows, `at`.
band_rows <- function(fit, envir) {
  train <- training_data(fit, NULL, envir)
  x <- train$x
  if (ncol(x) == 1 && is.null(train$offset) && length(unique(x[, 1])) > 2) {
    grid <- matrix(seq(min(x), max(x), length.out = 100), dimnames = list(NULL, colnames(x)))
    return(list(rows = list(x = grid, ok = rep(TRUE, 100)), x = as.vector(x)))
  }
  at <- mixed_rows(nrow(x), 1000L)
  list(rows = list(x = x[at, , drop = FALSE], offset = train$offset[at], ok = rep(TRUE, length(at))), at = at)
}

# The intervals there of each block, a list (confidence, prediction), NULL for classes; of a proportion no prediction.
fit_bands <- function(fit, envir) {
  observed <- block_pieces(fit$blocks, fit$response)
  is_number <- !lengths(Map(class_levels, fit$blocks, observed))
  if (!any(is_number)) return(NULL)
  found <- band_rows(fit, envir)
  draws <- plot_draws[[if (is.null(found$x)) "rows" else "curve"]]
  both <- keep_random(lapply(c(confidence = "confidence", prediction = "prediction"), function(interval) {
    out <- interval_of(fit, found$rows, interval, plot_level, draws)
    if (is.list(out)) out else list(out)
  }))
  lapply(seq_along(fit$blocks), function(i) {
    if (!is_number[i]) return(NULL)
    has_prediction <- has_interval(fit$blocks[[i]], "prediction")
    c(found, list(confidence = both$confidence[[i]], prediction = if (has_prediction) both$prediction[[i]]))
  })
}

band_colours <- function() {
  if (isFALSE(grDevices::dev.capabilities()$semiTransparency)) return(c("grey90", "grey75"))
  c(grDevices::adjustcolor(okabe_ito[["vermillion"]], 0.14), grDevices::adjustcolor(okabe_ito[["vermillion"]], 0.35))
}

note_bands <- function(band) {
  sprintf("%g%% intervals%s of the mean", 100 * plot_level,
          if (is.null(band$prediction)) "" else ": light of observations, dark")
}

# Observed against the only predictor, with the fitted curve and its bands; or against the fitted, with intervals.
plot_banded <- function(observed, fitted, band, block, dots, in_panel, label) {
  along <- !is.null(band$x)
  at <- if (along) band$x else fitted
  known <- which(is.finite(observed) & is.finite(at))
  drawn <- known[evenly(observed[known], most_points)]
  style <- point_style(length(drawn))
  if (!along) style$cex <- 0.6 * style$cex # the lines are seen beside them
  style <- given_or(dots, style)[c("col", "pch", "cex", "lwd")]
  if (in_panel) local_par(panel_look)
  where <- if (along) as.vector(band$rows$x) else band$confidence[, "fit"]
  limits <- range(observed[drawn], band$confidence[, -1], band$prediction[, -1], finite = TRUE)
  with_arguments(graphics::plot.default, dots, not = c(names(style), "main"), list(
    x = range(where, at[drawn], finite = TRUE), y = limits, type = "n", main = "", xlab = "", ylab = "",
    las = if (in_panel) 0 else tick_las(limits)))
  name <- function(text, side) if (in_panel) text else fitted_text(text, 0.95 * graphics::par("fin")[side])
  if (is.null(dots$xlab)) graphics::title(xlab = name(if (along) label else "fitted", 1))
  if (is.null(dots$ylab)) graphics::title(ylab = name(if (along && !in_panel) block$columns else "observed", 2))
  draw_main(if (in_panel) block$columns else if (along) "Fitted curve" else "Observed against fitted", dots,
            tail = paste0(block$tail, ""))
  draw_bands(where, band, along, band_colours())
  do.call(graphics::points, c(list(at[drawn], observed[drawn]), style))
  if (along) graphics::lines(where, band$confidence[, "fit"], col = okabe_ito[["vermillion"]], lwd = 2)
  else graphics::abline(0, 1, lty = 2, col = "grey20")
  if (!in_panel && has_margin())
    margin_note(c(sampled_note(length(drawn), length(known)), "training data", note_bands(band),
                  if (!along) note_line))
}

# Areas along a predictor, else a line for each row.
draw_bands <- function(where, band, along, col) {
  rows <- order(where)
  draw <- function(interval, col, wide) {
    if (is.null(interval)) return(invisible())
    lower <- interval[rows, "lwr"]
    upper <- interval[rows, "upr"]
    if (along) graphics::polygon(c(where[rows], rev(where[rows])), c(lower, rev(upper)), col = col, border = NA)
    else graphics::segments(where[rows], lower, where[rows], upper, col = col, lwd = wide, lend = 1)
  }
  wide <- if (length(rows) > 60) 1.5 else 3
  draw(band$prediction, col[1], wide)
  draw(band$confidence, col[2], wide)
}

# ---- weights

# |mean| / sd of each weight and bias, on a logarithmic axis, a strip for each matrix and vector.
plot_weights <- function(fit, dots, envir) {
  q <- weight_posterior(fit)
  ratio <- pmax(abs(q$mean) / q$sd, 1e-3)
  leaves <- unique(q$leaf)
  drawn <- lapply(leaves, function(leaf) {
    own <- which(q$leaf == leaf)
    own[evenly(ratio[own], most_points)]
  })
  style <- given_or(dots, point_style(max(lengths(drawn))))[c("col", "pch", "cex", "lwd")]
  k <- length(leaves)
  names <- fit$layout$name[leaves]
  room <- max(graphics::strwidth(names, "inches", cex = 0.9)) + 2 * graphics::par("csi")
  local_par(mai = replace(graphics::par("mai"), 2, min(room, 0.4 * graphics::par("fin")[1])))
  with_arguments(graphics::plot.default, dots, not = c(names(style), "main", "log"), list(
    x = range(ratio, 3), y = c(k + 0.5, 0.5), ylim = c(k + 0.5, 0.5), type = "n", log = "x", main = "",
    xlab = "signal-to-noise ratio, |mean| / standard deviation", ylab = "", yaxt = "n",
    xaxt = "n"))
  if (is.null(dots$xaxt) && !isFALSE(dots$axes)) {
    tick <- 10^(-3:12)
    graphics::axis(1, tick, vapply(tick, format, "", scientific = FALSE, drop0trailing = TRUE),
                   las = if (is.null(dots$las)) 1 else dots$las)
  }
  side_text(fitted_text(names, room - graphics::par("csi"), 0.9), 2, 0.5, 0.9, 1, at = seq_len(k))
  graphics::abline(v = stats::qnorm(0.975), lty = 2, col = "grey20")
  for (i in seq_len(k)) {
    own <- drawn[[i]]
    place <- i + 0.6 * (((seq_along(own) * (sqrt(5) - 1) / 2) %% 1) - 0.5)
    do.call(graphics::points, c(list(ratio[own], place), style))
    graphics::segments(stats::median(ratio[q$leaf == leaves[i]]), i - 0.38, y1 = i + 0.38, lwd = 3,
                       col = okabe_ito[["vermillion"]])
  }
  draw_main("Signal and noise of the weights", dots)
  if (has_margin()) margin_note(c("orange: medians", "dashed: beyond it the 95% interval excludes 0"))
}
