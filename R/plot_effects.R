# Pictures of effects: a panel for each predictor, or for two, their joint effect.

#' @rdname effects.varnn
#' @export
plot.varnn_effects <- function(x, ...) {
  dots <- list(...)
  check_graphics(dots)
  drawing(draw_effects(x, dots))
  invisible(x)
}

effects_picture <- function(fit, envir, variables, newdata) {
  data <- effect_data(fit, predictor_rows(fit, newdata, envir), is.null(newdata))
  keep_random(effects_on(fit, data, variables))
}

draw_effects <- function(x, dots) {
  panels <- effect_panels(x)
  shown <- panels[seq_len(min(most_panels, length(panels)))]
  several <- length(panels) > 1
  if (own_grid <- several && has_own_page()) local_par(mfrow = panel_grid(length(shown)), oma = c(0, 0, 1.5, 0))
  if (several) local_par(panel_look)
  limits <- unlist(lapply(shown, `[[`, "limits"))
  limits <- if (length(limits)) range(limits)
  for (panel in shown) {
    if (several && !is.null(panel$levels))
      graphics::par(mar = panel_look$mar + c(0, 0, key_inches / line_inches(), 0))
    effect_drawers[[panel$kind]](panel, limits, dots, several, x)
  }
  if (own_grid) margin_note(effect_notes(x, shown, length(panels)), outer = TRUE)
  else if (!several && has_margin() && is.null(shown[[1]]$levels)) margin_note(effect_notes(x, shown, 1))
}

effect_notes <- function(x, shown, n) {
  has_band <- any(vapply(shown, function(panel) panel$kind == "line" && !is.null(panel$frame$lower), NA))
  c(if (length(shown) < n) sprintf("the first %d of %d", length(shown), n), effect_words[[x$method]],
    if (x$type == "link") "on the scale of the link",
    if (has_band) sprintf("%g%% credible intervals", 100 * x$level), if (length(x$individual)) "grey: single rows")
}

# list(kind, name, frame, levels, rug, curves): a line for each level of a second factor or of the response, or a map of
# two numbers.
effect_panels <- function(x) {
  out <- lapply(names(x$effects), function(name) {
    frame <- x$effects[[name]]
    of <- x$variables[[name]]
    if (length(of) == 1)
      return(list(line_panel(name, frame, 1, if (!is.null(frame$response)) "response", x)))
    is_number <- vapply(frame[1:2], function(v) !is.factor(v), NA)
    per_response <- if (is.null(frame$response)) list(frame) else split(frame, frame$response)
    Map(function(frame, label) {
      title <- paste(c(name, if (length(per_response) > 1) label), collapse = ", ")
      if (all(is_number)) return(list(kind = "map", name = title, frame = frame))
      at <- if (is_number[2]) 2 else 1
      line_panel(title, frame, at, names(frame)[3 - at], NULL)
    }, per_response, x$labels)
  })
  unlist(lapply(out, unname), recursive = FALSE)
}

line_panel <- function(title, frame, at, by, x) {
  name <- names(frame)[at]
  list(kind = "line", name = title, along = name, frame = frame, by = by,
       levels = if (!is.null(by)) levels(frame[[by]]), rug = x$rugs[[name]], curves = x$individual[[title]],
       limits = range(unlist(c(frame[intersect(c("effect", "lower", "upper"), names(frame))],
                               x$individual[[title]]["effect"])), finite = TRUE))
}

effect_label <- function(x, in_panel) {
  what <- if (x$method == "ale") c("effect", "on")
  else c(if (x$type == "link") "mean link" else "mean prediction", "of")
  if (in_panel || length(x$labels) > 1) what[1] else paste(c(what, x$labels), collapse = " ")
}

draw_effect_lines <- function(panel, limits, dots, in_panel, x) {
  frame <- panel$frame
  at <- frame[[panel$along]]
  is_factor <- is.factor(at)
  place <- if (is_factor) as.integer(at) else as.double(at)
  ends <- if (is_factor) c(0.5, nlevels(at) + 0.5) else range(place)
  look <- if (!is.null(panel$levels)) level_key(panel$levels, dots)
  label <- effect_label(x, in_panel)
  empty_plot(dots, list(x = ends, y = limits, xlab = panel$along, ylab = label, xaxt = "n",
                        las = if (in_panel) 0 else tick_las(limits)))
  if (!isFALSE(dots$axes) && !identical(dots$xaxt, "n")) draw_effect_axis(at)
  if (x$method == "ale") graphics::abline(h = 0, lty = 2, col = "grey60")
  if (!is.null(panel$curves)) draw_curves(panel, is_factor)
  if (!is.null(panel$rug)) graphics::rug(panel$rug, col = "grey40", quiet = TRUE)
  col <- if (is.null(look)) given_or(dots, list(col = okabe_ito[["blue"]]))$col[1] else look$key$col
  parts <- if (is.null(panel$by)) list(seq_along(place)) else split(seq_along(place), frame[[panel$by]])
  for (k in seq_along(parts)) draw_effect(frame, place, parts[[k]], col[k], is_factor, dots, k, length(parts))
  if (!is.null(look)) key_above(look, panel$by)
  draw_main(paste0(if (!in_panel) "Effect of ", panel$name), dots,
            if (!is.null(look)) graphics::par("mar")[3] - 1.2 else if (in_panel) 0.4 else NA)
}

draw_effect_axis <- function(at) {
  if (is.factor(at)) {
    room <- graphics::par("pin")[1] / nlevels(at)
    graphics::axis(1, seq_len(nlevels(at)), fitted_text(levels(at), 0.95 * room, graphics::par("cex.axis")))
  } else if (inherits(at, "Date")) {
    graphics::axis.Date(1, at)
  } else if (inherits(at, "POSIXct")) {
    graphics::axis.POSIXct(1, at)
  } else {
    graphics::axis(1)
  }
}

# A line with its band, or points with intervals, a little beside each other.
draw_effect <- function(frame, place, rows, col, is_factor, dots, k, of) {
  wide <- given_or(dots, list(lwd = 2))$lwd
  rows <- rows[order(place[rows])]
  z <- place[rows] + if (is_factor && of > 1) 0.5 * ((k - 0.5) / of - 0.5) else 0
  has_band <- !is.null(frame$lower)
  if (!is_factor) {
    if (has_band) graphics::polygon(c(z, rev(z)), c(frame$lower[rows], rev(frame$upper[rows])), border = NA,
                                    col = band_colour(col))
    graphics::lines(z, frame$effect[rows], col = col, lwd = wide)
    return(invisible())
  }
  if (has_band) graphics::segments(z, frame$lower[rows], y1 = frame$upper[rows], col = col, lwd = wide)
  graphics::points(z, frame$effect[rows], col = col, pch = given_or(dots, list(pch = 16))$pch, cex = 1.2)
}

band_colour <- function(col) {
  if (isFALSE(grDevices::dev.capabilities()$semiTransparency)) return("grey85")
  grDevices::adjustcolor(col, 0.22)
}

draw_curves <- function(panel, is_factor) {
  curves <- panel$curves
  rows <- paste(curves$row, curves$response)
  for (one in split(seq_len(nrow(curves)), rows)) {
    z <- curves[[1]][one]
    graphics::lines(if (is_factor) as.integer(z) else as.double(z), curves$effect[one], col = "grey75", lwd = 0.7)
  }
}

# What a map over two numbers shows: their values z, the effect there, its mean in the middle of each cell, and the
# colours between the ends of `reach`.
effect_map <- function(frame, method, col = NULL) {
  z <- lapply(frame[1:2], function(v) sort(unique(as.double(v))))
  values <- matrix(frame$effect, length(z[[1]]))
  is_signed <- method == "ale"
  palette <- grDevices::colorRampPalette(if (length(col) > 1) col else if (is_signed)
    c(pale(okabe_ito[["vermillion"]], 0.75), "white", pale(okabe_ito[["blue"]], 0.75)) else
    c("white", pale(okabe_ito[["blue"]], 0.75)))(255)
  middle <- (values[-1, -1, drop = FALSE] + values[-nrow(values), -1, drop = FALSE] +
               values[-1, -ncol(values), drop = FALSE] + values[-nrow(values), -ncol(values), drop = FALSE]) / 4
  list(z = z, values = values, middle = middle, palette = palette,
       reach = if (is_signed) max(abs(values), 1e-300) * c(-1, 1) else range(values))
}

# Shades with contours.
draw_effect_map <- function(panel, limits, dots, in_panel, x) {
  frame <- panel$frame
  map <- effect_map(frame, x$method, dots$col)
  z <- map$z
  ends <- lapply(z, range)
  empty_plot(dots, list(x = ends[[1]], y = ends[[2]], xlab = names(frame)[1], ylab = names(frame)[2], xaxs = "i",
                        yaxs = "i", las = if (in_panel) 0 else tick_las(z[[2]])))
  graphics::image(z[[1]], z[[2]], map$middle, zlim = map$reach, col = map$palette, add = TRUE)
  if (diff(range(map$values)) > 1e-8 * max(abs(map$values), 1e-300))
    graphics::contour(z[[1]], z[[2]], map$values, add = TRUE, nlevels = 6, col = "grey10", lwd = 0.8, labcex = 0.65,
                      vfont = NULL)
  graphics::box()
  draw_main(paste0(if (!in_panel) "Effect of ", panel$name), dots, if (in_panel) 0.4 else NA)
}

effect_drawers <- list(line = draw_effect_lines, map = draw_effect_map)
