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
          if (is.null(band$lower_observed)) "" else ": light of observations, dark")
}

# The intervals at each place, in its order: of the mean, and of observations where there are such.
band_frame <- function(band) {
  out <- data.frame(at = if (is.null(band$x)) band$confidence[, "fit"] else as.vector(band$rows$x),
                    fit = band$confidence[, "fit"], lower = band$confidence[, "lwr"],
                    upper = band$confidence[, "upr"], row.names = NULL)
  if (!is.null(band$prediction)) {
    out$lower_observed <- unname(band$prediction[, "lwr"])
    out$upper_observed <- unname(band$prediction[, "upr"])
  }
  out[order(out$at), ]
}

band_ends <- c("lower", "upper", "lower_observed", "upper_observed")

# Areas along a predictor, else a line for each row.
draw_bands <- function(band, along, col) {
  wide <- if (nrow(band) > 60) 1.5 else 3
  draw <- function(lower, upper, col) {
    if (is.null(lower)) return(invisible())
    if (along) graphics::polygon(c(band$at, rev(band$at)), c(lower, rev(upper)), col = col, border = NA)
    else graphics::segments(band$at, lower, band$at, upper, col = col, lwd = wide, lend = 1)
  }
  draw(band$lower_observed, band$upper_observed, col[1])
  draw(band$lower, band$upper, col[2])
}

# ---- weights

# |mean| / sd of each weight and bias, a strip for each matrix and vector: list(frame, ends, names, medians). The frame
# has some of them (strip, place in height, ratio).
weights_picture <- function(fit, envir) {
  q <- weight_posterior(fit)
  ratio <- pmax(abs(q$mean) / q$sd, 1e-3)
  leaves <- unique(q$leaf)
  drawn <- lapply(seq_along(leaves), function(i) {
    own <- ratio[q$leaf == leaves[i]]
    own <- own[evenly(own, most_points)]
    data.frame(strip = i, place = i + 0.6 * (((seq_along(own) * (sqrt(5) - 1) / 2) %% 1) - 0.5), ratio = own)
  })
  list(frame = do.call(rbind, drawn), ends = range(ratio, 3), names = fit$layout$name[leaves],
       medians = vapply(leaves, function(leaf) stats::median(ratio[q$leaf == leaf]), 0))
}

weights_words <- list(main = "Signal and noise of the weights",
                      x = "signal-to-noise ratio, |mean| / standard deviation",
                      note = c("orange: medians", "dashed: beyond it the 95% interval excludes 0"))

# On a logarithmic axis.
draw_signal <- function(picture, dots) {
  k <- length(picture$names)
  style <- given_or(dots, point_style(max(table(picture$frame$strip))))[c("col", "pch", "cex", "lwd")]
  room <- max(graphics::strwidth(picture$names, "inches", cex = 0.9)) + 2 * graphics::par("csi")
  local_par(mai = replace(graphics::par("mai"), 2, min(room, 0.4 * graphics::par("fin")[1])))
  with_arguments(graphics::plot.default, dots, not = c(names(style), "main", "log"), list(
    x = picture$ends, y = c(k + 0.5, 0.5), ylim = c(k + 0.5, 0.5), type = "n", log = "x", main = "",
    xlab = weights_words$x, ylab = "", yaxt = "n", xaxt = "n"))
  if (is.null(dots$xaxt) && !isFALSE(dots$axes)) {
    tick <- 10^(-3:12)
    graphics::axis(1, tick, tens_words(tick), las = if (is.null(dots$las)) 1 else dots$las)
  }
  side_text(fitted_text(picture$names, room - graphics::par("csi"), 0.9), 2, 0.5, 0.9, 1, at = seq_len(k))
  graphics::abline(v = stats::qnorm(0.975), lty = 2, col = "grey20")
  do.call(graphics::points, c(list(picture$frame$ratio, picture$frame$place), style))
  graphics::segments(picture$medians, seq_len(k) - 0.38, y1 = seq_len(k) + 0.38, lwd = 3,
                     col = okabe_ito[["vermillion"]])
  draw_main(weights_words$main, dots)
  if (has_margin()) margin_note(weights_words$note)
}

# Powers of ten as they are read.
tens_words <- function(x) vapply(x, format, "", scientific = FALSE, drop0trailing = TRUE)
