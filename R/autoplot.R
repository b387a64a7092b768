# Pictures as objects of ggplot2: autoplot() draws by ggplot2 what plot() draws by graphics. Both take what a picture
# computes (`prepare` of a row of plot_table), so that they show the same numbers; `gg` of the row makes the ggplot.

#' Pictures as ggplot objects
#'
#' Methods of `autoplot()` and `fortify()` of the package ggplot2: the pictures that `plot()` draws as objects, to which
#' scales, themes and layers are added with `+`. `plot()` itself does not need ggplot2.
#'
#' @param object a fit, or what [effects()][effects.varnn], [calibration()], [importance()], [cross_validate()],
#'   [tune_fit()], [compare_posteriors()], [compare_pca()] or [compare_simulated()] gave.
#' @param which one of the names that `which` of [plot()][plot.varnn] or, of `compare_pca()`,
#'   [plot()][plot.varnn_pca] has; the default is the first that applies.
#' @param ... not used: colours, limits and labels are those of scales, themes and layers.
#' @param group,dim,rows,dims,newdata,variables as in [plot()][plot.varnn].
#' @param model a fit.
#' @param data as `data` of [augment()][augment.varnn].
#' @details The numbers, their order, colours and notes (as the subtitle) are those of `plot()`. Several panels are
#'   facets of one plot; levels, dates and times stand at their numbers on a continuous axis that has their names, so
#'   that scales to add are continuous ones. Legends are replaced by names in the picture where each panel has levels of
#'   its own (`"grid"`).
#' @return `autoplot()`: a ggplot of one picture. `fortify()`: the data frame of [augment()][augment.varnn], as ggplot2
#'   has it of [lm()], so that `ggplot(fit, aes(...))` draws from `.fitted`, `.resid` and the columns of the data.
#' @seealso [plot.varnn()].
#' @examples
#' if (requireNamespace("ggplot2", quietly = TRUE)) {
#'   set.seed(1)
#'   fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 4, epochs = 50)
#'   print(ggplot2::autoplot(fit, "fit") + ggplot2::theme_minimal())
#'   ggplot2::ggplot(fit, ggplot2::aes(.fitted, .resid)) + ggplot2::geom_point()
#' }
#' @name autoplot.varnn
#' @exportS3Method ggplot2::autoplot
autoplot.varnn <- function(object, which = c("latent", "history", "network", "fit", "effects", "weights",
                                             "reconstruction", "grid", "simulation"), ..., group = NULL, dim = NULL,
                           rows = NULL, dims = NULL, newdata = NULL, variables = NULL) {
  check_fit(object)
  check_autoplot(..., known = c("which", "group", "dim", "rows", "dims", "newdata", "variables"))
  own <- list(group = group, group_label = group_label(substitute(group)), dim = dim, rows = rows, dims = dims,
              newdata = newdata, variables = variables)
  gg_picture(object, if (!missing(which)) which, parent.frame(), own, plot_table)
}

#' @rdname autoplot.varnn
#' @exportS3Method ggplot2::fortify
fortify.varnn <- function(model, data = NULL, ...) {
  check_dots_empty(..., known = "data")
  speaking_of("data", as.data.frame(augment.varnn(model, data)))
}

gg_picture <- function(x, which, envir, own, table) {
  which <- check_pictures(x, which, table)
  if (length(which) > 1)
    stop_user("`which` must be one picture, for autoplot() makes one ggplot, not %s.", quoted(which))
  check_own_arguments(own, which, table)
  get(table[[which]]$gg, mode = "function")(prepared_picture(table[[which]], x, envir, own))
}

check_autoplot <- function(..., known = character()) {
  check_dots_empty(..., known = known)
  check_package("ggplot2", "autoplot()")
}

# ---- what the pictures share

# Columns by their names.
aes_of <- function(...) do.call(ggplot2::aes, lapply(list(...), as.name))

# An empty plot with its words; the note is small print below the title.
gg_empty <- function(title, note = NULL, x = NULL, y = NULL) {
  note <- if (length(note)) paste(strwrap(paste(note, collapse = "; "), 100), collapse = "\n")
  ggplot2::ggplot() + ggplot2::labs(title = title, subtitle = note, x = x, y = y) + gg_theme()
}

gg_theme <- function() {
  blank <- ggplot2::element_blank()
  ggplot2::theme_bw(11) +
    ggplot2::theme(panel.grid.minor = blank, panel.grid.major = ggplot2::element_line(colour = "grey93"),
                   strip.background = blank, strip.text = ggplot2::element_text(face = "bold"),
                   plot.title = ggplot2::element_text(face = "bold", size = 13),
                   plot.subtitle = ggplot2::element_text(colour = "grey25", size = 9), legend.position = "top",
                   legend.margin = ggplot2::margin(0, 0, 0, 0), axis.text = ggplot2::element_text(colour = "grey25"))
}

# Without axes and grid.
gg_bare <- function() {
  blank <- ggplot2::element_blank()
  ggplot2::theme(panel.grid.major = blank, panel.border = blank, axis.ticks = blank, axis.text = blank)
}

# A layer of a frame with rows.
gg_layer <- function(geom, frame, mapping, ...) {
  if (!is.null(frame) && nrow(frame)) geom(mapping, frame, ...)
}

# Widths of lines as graphics has them (lwd), in the unit of ggplot2.
gg_width <- function(lwd) lwd / 2.845

# The frames that get() makes of panels, one below the other, with a column `panel`; NULL where there is none.
bind_panels <- function(panels, titles, get) {
  titles <- make.unique(titles, " ")
  frames <- Map(function(panel, title) {
    frame <- get(panel)
    if (!is.null(frame) && nrow(frame)) data.frame(frame, panel = factor(title, titles), row.names = NULL)
  }, panels, titles)
  do.call(rbind, unname(Filter(Negate(is.null), frames)))
}

# An axis of these values, which are drawn at their numbers: arguments of a continuous scale.
gg_axis <- function(values) {
  if (is.factor(values)) return(level_axis(levels(values)))
  if (inherits(values, c("Date", "POSIXct"))) {
    as_values <- function(x) {
      out <- values[1] + 0
      out[seq_along(x)] <- if (inherits(values, "Date")) as.Date(x, "1970-01-01") else
        as.POSIXct(x, origin = "1970-01-01")
      out
    }
    return(list(breaks = function(limits) as.double(pretty(as_values(limits))),
                labels = function(x) format(as_values(x))))
  }
  list()
}

level_axis <- function(levels, ...) {
  list(breaks = seq_along(levels), labels = levels, guide = ggplot2::guide_axis(check.overlap = TRUE), ...)
}

place_of <- function(values) if (is.factor(values)) as.integer(values) else as.double(values)

whole_breaks <- function(limits) {
  at <- pretty(limits)
  at[at == round(at)]
}

# Panels with axes of their own, x and y being lists of arguments of scales; one panel has no name above it.
gg_panels <- function(titles, x = NULL, y = NULL, scales = "free", several = length(titles) > 1) {
  make <- function(scale, axes) lapply(axes, function(axis) if (length(axis)) do.call(scale, axis))
  x <- make(ggplot2::scale_x_continuous, x)
  y <- make(ggplot2::scale_y_continuous, y)
  if (!several) return(c(x, y))
  wrap <- ggplot2::facet_wrap("panel", scales = scales, ncol = panel_grid(length(titles), c(7, 5))[2])
  with_own <- function(scales, own) {
    has_own <- which(!vapply(own, is.null, NA))
    if (length(scales)) scales[has_own] <- lapply(own[has_own], function(scale) scale$clone())
    scales
  }
  ggplot2::ggproto(NULL, wrap, init_scales = function(self, layout, x_scale = NULL, y_scale = NULL, params) {
    out <- ggplot2::ggproto_parent(wrap, self)$init_scales(layout, x_scale, y_scale, params)
    list(x = with_own(out$x, x), y = with_own(out$y, y))
  })
}

# Scales of a group's colours and shapes; those of levels are what level_looks() gives them.
gg_group <- function(group, label) {
  name <- if (label != "group") label
  if (is.null(group)) return(NULL)
  if (is.numeric(group))
    return(ggplot2::scale_colour_gradientn(name, colours = grDevices::hcl.colors(120, "viridis")[1:101],
                                           na.value = "#BBBBBB"))
  levels <- setdiff(levels(group), missing_word)
  shapes <- level_shapes(levels, group_shapes[1])
  colours <- c(rep_len(group_colours, length(levels)), "#999999")
  list(ggplot2::scale_colour_manual(name, values = stats::setNames(colours, c(levels, missing_word)), drop = FALSE),
       if (is.numeric(shapes) && length(shapes) > 1)
         ggplot2::scale_shape_manual(name, values = stats::setNames(c(shapes, 16), c(levels, missing_word))))
}

missing_word <- "missing"

# Points of rows in the colours of their group, in the order in which they are drawn.
gg_points <- function(frame, group, alpha, ...) {
  if (is.null(group)) return(ggplot2::geom_point(aes_of(...), frame, colour = okabe_ito[["blue"]], alpha = alpha,
                                                 shape = 16))
  if (is.numeric(group)) return(ggplot2::geom_point(aes_of(..., colour = "group"), frame, alpha = alpha, shape = 16))
  shapes <- level_shapes(setdiff(levels(group), missing_word), group_shapes[1])
  if (is.character(shapes))
    return(ggplot2::geom_text(aes_of(..., label = "group", colour = "group"), frame, size = 3,
                              alpha = min(1, 1.6 * alpha), show.legend = FALSE))
  if (length(shapes) == 1)
    return(ggplot2::geom_point(aes_of(..., colour = "group"), frame, alpha = alpha, shape = 16))
  ggplot2::geom_point(aes_of(..., colour = "group", shape = "group"), frame, alpha = alpha)
}

# A factor with its missing values as a level.
with_missing <- function(group) {
  if (!is.factor(group) || !anyNA(group)) return(group)
  codes <- ifelse(is.na(group), nlevels(group) + 1L, as.integer(group))
  factor(codes, seq_len(nlevels(group) + 1), c(levels(group), missing_word))
}

# Colours of cells (frame: x, y, width, height, colour) below contours of their values.
gg_map <- function(cells, contours) {
  if (is.null(cells)) return(NULL)
  list(gg_layer(ggplot2::geom_tile, cells, aes_of(x = "x", y = "y", width = "width", height = "height",
                                                  fill = "colour")),
       gg_layer(ggplot2::geom_path, contours, aes_of(x = "x", y = "y", group = "line"), colour = "grey10",
                linewidth = gg_width(0.8)),
       gg_label(contours[contours$is_middle, ], aes_of(x = "x", y = "y", label = "level"), size = 2.6,
                colour = "grey10", alpha = 0.6))
}

# Text on white, without a border.
gg_label <- function(frame, mapping, ...) {
  border <- if (utils::packageVersion("ggplot2") < "3.5.0") list(label.size = 0) else list(linewidth = 0)
  do.call(gg_layer, c(list(ggplot2::geom_label, frame, mapping, fill = "white",
                           label.padding = ggplot2::unit(0.08, "lines"), ...), border))
}

# Contours of a matrix of values: frame(x, y, line, level, is_middle), of each line one point where its value stands.
contour_frame <- function(x, y, values) {
  ends <- range(values)
  if (diff(ends) <= 1e-8 * max(abs(values), 1e-300)) return(NULL)
  lines <- grDevices::contourLines(x, y, values, levels = pretty(ends, 6))
  frames <- Map(function(l, i) {
    n <- length(l$x)
    data.frame(x = l$x, y = l$y, line = i, level = format(l$level),
               is_middle = seq_len(n) == ceiling(n / 2))
  }, lines, seq_along(lines))
  do.call(rbind, frames)
}

# ---- fit and reconstruction

gg_fit <- function(picture) {
  if (!is.null(picture$images)) return(gg_images(picture))
  panels <- picture$panels
  several <- picture$n > 1
  titles <- vapply(panels, function(p) paste0(p$name, p$tail), "")
  bind <- function(get) bind_panels(panels, titles, get)
  of_kind <- function(kinds, part) bind(function(p) if (p$kind %in% kinds) p[[part]])
  is_cells <- vapply(panels, function(p) p$kind == "cells", NA)
  words <- if (is_cells[1]) c(x = class_words(picture), y = "observed class", main = titles[[1]])
           else panel_words(panels[[1]], picture, several)
  if (several && !all(is_cells)) words["y"] <- "observed"
  title <- if (several) picture$words[["main"]] else paste0(words[["main"]], if (!is_cells[1]) panels[[1]]$tail)
  axes <- function(sign) {
    lapply(panels, function(p) if (p$kind == "cells") cell_axis(rownames(p$counts), sign) else list())
  }
  gg_empty(title, picture$note, words[["x"]], words[["y"]]) +
    gg_cells(bind(function(p) if (p$kind == "cells") cell_frame(p$counts))) +
    gg_bands(of_kind("curve", "band"), of_kind("points", "band")) +
    gg_layer(ggplot2::geom_point, of_kind(c("curve", "points"), "frame"), aes_of(x = "at", y = "observed"), shape = 16,
             colour = okabe_ito[["blue"]], size = if (is.null(panels[[1]]$band)) 1.8 else 1.4,
             alpha = point_alpha(max(0, unlist(lapply(panels, function(p) nrow(p$frame)))))) +
    gg_layer(ggplot2::geom_abline, bind(function(p) if (p$kind == "points") data.frame(slope = 1, intercept = 0)),
             aes_of(slope = "slope", intercept = "intercept"), linetype = 2, colour = "grey20") +
    gg_panels(titles, axes(1), axes(-1), several = several)
}

# Cells of counts, the first observed class on top.
cell_frame <- function(counts) {
  k <- nrow(counts)
  at <- expand.grid(observed = seq_len(k), predicted = seq_len(k))
  share <- as.vector(row_shares(counts))
  data.frame(at = at$predicted, observed = -at$observed, count = as.vector(counts), share = share,
             text = format(as.vector(counts), digits = 3, trim = TRUE, drop0trailing = TRUE),
             colour = ifelse(share > 0.65, "white", ifelse(counts > 0, "black", "grey55")))
}

cell_axis <- function(levels, sign) {
  list(breaks = sign * seq_along(levels), labels = levels, expand = c(0, 0),
       guide = ggplot2::guide_axis(check.overlap = TRUE))
}

gg_cells <- function(frame) {
  if (is.null(frame)) return(NULL)
  list(gg_layer(ggplot2::geom_tile, frame, aes_of(x = "at", y = "observed", fill = "share"), colour = "grey80"),
       ggplot2::scale_fill_gradient(low = "white", high = okabe_ito[["blue"]], limits = c(0, 1), guide = "none"),
       gg_layer(ggplot2::geom_text, frame, aes_of(x = "at", y = "observed", label = "text", colour = "colour"),
                size = if (max(abs(frame$observed)) > 12) 2.4 else 3.5),
       ggplot2::scale_colour_identity())
}

# Intervals along a predictor as areas around a curve, of rows as lines.
gg_bands <- function(curve, rows) {
  wide <- gg_width(if (NROW(rows) > 60) 1.5 else 3)
  area <- function(ends, alpha) {
    if (all(ends %in% names(curve))) gg_layer(
      ggplot2::geom_ribbon, curve, aes_of(x = "at", ymin = ends[1], ymax = ends[2]), fill = okabe_ito[["vermillion"]],
      alpha = alpha)
  }
  line <- function(ends, alpha) {
    if (all(ends %in% names(rows))) gg_layer(
      ggplot2::geom_linerange, rows, aes_of(x = "at", ymin = ends[1], ymax = ends[2]), linewidth = wide,
      colour = okabe_ito[["vermillion"]], alpha = alpha)
  }
  list(area(band_ends[3:4], 0.14), area(band_ends[1:2], 0.35), line(band_ends[3:4], 0.14), line(band_ends[1:2], 0.35),
       gg_layer(ggplot2::geom_line, curve, aes_of(x = "at", y = "fit"), colour = okabe_ito[["vermillion"]],
                linewidth = gg_width(2)))
}

# ---- effects

gg_effects <- function(x) {
  panels <- effect_panels(x)
  n <- length(panels)
  panels <- panels[seq_len(min(most_panels, n))]
  titles <- vapply(panels, `[[`, "", "name")
  several <- n > 1
  is_map <- vapply(panels, function(p) p$kind == "map", NA)
  lines <- bind_panels(panels, titles, effect_frame)
  words <- c(x = "predictor", y = effect_label(x, several))
  if (!several) words <- c(x = if (is_map) names(panels[[1]]$frame)[1] else panels[[1]]$along,
                           y = if (is_map) names(panels[[1]]$frame)[2] else words[["y"]])
  else if (all(is_map)) words[] <- ""
  map_of <- function(make) {
    bind_panels(panels, titles, function(p) if (p$kind == "map") make(effect_map(p$frame, x$method)))
  }
  gg_empty(if (several) "Effects" else paste("Effect of", titles), effect_notes(x, panels, n), words[["x"]],
           words[["y"]]) +
    gg_map(map_of(effect_cells), map_of(function(map) contour_frame(map$z[[1]], map$z[[2]], map$values))) +
    gg_effect_lines(lines, bind_panels(panels, titles, effect_curves), bind_panels(panels, titles, effect_rug),
                    x$method == "ale") +
    ggplot2::scale_fill_identity() +
    gg_panels(titles, lapply(panels, function(p) gg_axis(p$frame[[if (p$kind == "map") 1 else p$along]])), NULL,
              if (any(is_map)) "free" else "free_x", several)
}

# A panel of lines: at, effect, lower, upper, whether it is of levels, the level of another factor
# (`key`) and its colour.
effect_frame <- function(panel) {
  if (panel$kind != "line") return(NULL)
  frame <- panel$frame
  at <- frame[[panel$along]]
  k <- length(panel$levels)
  code <- if (k) as.integer(frame[[panel$by]]) else 1L
  shift <- if (is.factor(at) && k > 1) 0.5 * ((code - 0.5) / k - 0.5) else 0
  of <- function(name) if (is.null(frame[[name]])) NA_real_ else frame[[name]]
  data.frame(at = place_of(at) + shift, effect = frame$effect, lower = of("lower"), upper = of("upper"),
             of_levels = is.factor(at), key = if (k) panel$levels[code] else NA_character_,
             colour = rep_len(group_colours, max(1, k))[code])
}

effect_curves <- function(panel) {
  curves <- panel$curves
  if (is.null(curves)) return(NULL)
  data.frame(at = place_of(curves[[1]]), effect = curves$effect, curve = paste(curves$row, curves$response))
}

effect_rug <- function(panel) if (!is.null(panel$rug)) data.frame(at = place_of(panel$rug))

gg_effect_lines <- function(lines, curves, rugs, is_ale) {
  if (is.null(lines)) return(NULL)
  keys <- unique(lines[!is.na(lines$key), c("key", "colour")])
  zero <- if (is_ale) data.frame(unique(lines["panel"]), effect = 0)
  limits <- range(unlist(c(lines[c("effect", "lower", "upper")], curves$effect)), na.rm = TRUE)
  ends <- merge(unique(lines["panel"]), data.frame(effect = limits))
  is_keyed <- !is.na(lines$key)
  list(gg_layer(ggplot2::geom_hline, zero, aes_of(yintercept = "effect"), linetype = 2, colour = "grey60"),
       gg_layer(ggplot2::geom_line, curves, aes_of(x = "at", y = "effect", group = "curve"), colour = "grey75",
                linewidth = gg_width(0.7)),
       gg_layer(ggplot2::geom_rug, rugs, aes_of(x = "at"), sides = "b", colour = "grey40"),
       gg_one_effect(lines[!is_keyed, ], list(), list(colour = okabe_ito[["blue"]])),
       gg_one_effect(lines[is_keyed, ], list(colour = "key", group = "key"), list()),
       gg_layer(ggplot2::geom_blank, ends, aes_of(y = "effect")),
       if (nrow(keys)) ggplot2::scale_colour_manual(NULL, values = stats::setNames(keys$colour, keys$key),
                                                    breaks = keys$key))
}

# Lines with their bands of numbers, points with intervals of levels; the colour is a column's, or one `fixed`.
gg_one_effect <- function(lines, colour, fixed) {
  layer <- function(geom, frame, mapping, fixed) {
    do.call(gg_layer, c(list(geom, frame, do.call(aes_of, Filter(Negate(is.null), mapping))), fixed))
  }
  bounds <- list(x = "at", ymin = "lower", ymax = "upper")
  curve <- lines[!lines$of_levels, ]
  points <- lines[lines$of_levels, ]
  has_bounds <- function(frame) frame[!is.na(frame$lower), ]
  wide <- c(fixed, linewidth = gg_width(2))
  list(layer(ggplot2::geom_ribbon, has_bounds(curve), c(bounds, colour["group"], fill = "colour"), list(alpha = 0.22)),
       layer(ggplot2::geom_line, curve, c(list(x = "at", y = "effect"), colour), wide),
       layer(ggplot2::geom_linerange, has_bounds(points), c(bounds, colour), wide),
       layer(ggplot2::geom_point, points, c(list(x = "at", y = "effect"), colour), c(fixed, size = 2.4)))
}

# Cells between the values of two numbers, each in the colour of the mean of its corners.
effect_cells <- function(map) {
  middle <- function(z) (z[-1] + z[-length(z)]) / 2
  at <- expand.grid(x = middle(map$z[[1]]), y = middle(map$z[[2]]))
  size <- expand.grid(width = diff(map$z[[1]]), height = diff(map$z[[2]]))
  data.frame(at, size, value = as.vector(map$middle),
             colour = as.vector(as.matrix(image_raster(map$middle, map$palette, map$reach)))) # a raster is by rows
}
