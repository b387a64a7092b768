# What pictures of codes share: points with the colours of groups, their keys, panels in one region.
#
# Several panels in one region are drawn in inches from its lower left: they fit in any layout.

# Okabe and Ito's without their yellow, which is too pale for points on white.
group_colours <- c("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
group_shapes <- c(16L, 17L, 15L, 18L, 4L)
most_groups <- length(group_colours) * length(group_shapes)

# ---- groups

# A factor or a number for each of the `rows` that are drawn of n, from one for each of these, of the n, or of all that
# were given when na.action left out the `omitted`.
check_group <- function(group, n, omitted = NULL, rows = seq_len(n)) {
  if (is.null(group)) return(NULL)
  is_kind <- is.numeric(group) || is.factor(group) || is.character(group) || is.logical(group)
  if (!every(is_kind, is.atomic(group), length(dim(group)) < 2))
    stop_user("`group` must be a vector (a factor, characters, logicals or numbers), not %s.",
              if (is_kind || is.list(group)) shown(group) else sprintf("of class \"%s\"", class(group)[1]))
  group <- if (is.factor(group)) plain_factor(with_plain_dim(group), "`group`") else plain(group)
  if (length(omitted) && length(group) == n + length(omitted)) group <- group[-omitted]
  if (length(group) == n) group <- group[rows]
  if (length(group) != length(rows))
    stop_user("`group` must have a value for each of the %s training rows, not %s.", thousands(n),
              thousands(length(group)))
  group_values(group)
}

group_values <- function(group) {
  if (is.numeric(group)) {
    group <- as.double(group)
    group[!is.finite(group)] <- NA
  } else {
    group <- droplevels(factor(group))
  }
  if (all(is.na(group))) stop_user("`group` has no value that is not missing.")
  if (nlevels(group) > most_groups)
    stop_user("`group` has %d levels, and no more than %d can be told apart: merge some, or give a number.",
              nlevels(group), most_groups)
  group
}

# What to call a group: the last name in an expression like data$name or data$name[rows].
group_label <- function(expr) {
  operator <- if (is.call(expr)) as.character(expr[[1]])[1] else ""
  if (operator == "[" && length(expr) == 3) return(group_label(expr[[2]]))
  if (operator == "$" || operator == "[[" && is.character(expr[[3]])) expr <- expr[[3]]
  if (is.name(expr) || is.character(expr)) as.character(expr)[1] else "group"
}

# The look of the points: col and pch for each row, and of a factor a table of its levels (text, col, pch), of a number
# the palette and its range. `n` points are drawn.
group_look <- function(group, dots, n) {
  own <- point_style(n)
  style <- given_or(dots, own)[c("col", "pch", "cex", "lwd")]
  if (is.null(group)) return(style)
  style$col <- own$col
  looks <- if (is.factor(group)) level_looks else number_looks
  look <- utils::modifyList(style, looks(group, dots, style))
  if (!is.null(dots$cex)) look$cex <- dots$cex
  look
}

level_looks <- function(group, dots, style) {
  k <- nlevels(group)
  col <- rep_len(if (is.null(dots$col)) group_colours else dots$col, k)
  pch <- rep_len(if (is.null(dots$pch)) level_shapes(levels(group), style$pch) else dots$pch, k)
  key <- data.frame(text = levels(group), col = colour_names(col), pch = pch)
  if (anyNA(group)) key <- rbind(key, data.frame(text = "missing", col = "#999999",
                                                 pch = if (is.character(pch)) "?" else style$pch[1]))
  code <- ifelse(is.na(group), k + 1L, as.integer(group))
  is_text <- is.character(pch)
  list(col = as_transparent(key$col[code], style, if (is_text) 1.6 else 1), pch = key$pch[code], key = key,
       cex = if (is_text) style$cex * 1.2 else style$cex)
}

# Levels beyond the number of colours differ in shape; where there are so many and each is one letter or digit, they
# are drawn as themselves.
level_shapes <- function(levels, first) {
  if (length(levels) <= length(group_colours)) return(first)
  if (all(nchar(levels) == 1)) return(levels)
  c(first, setdiff(group_shapes, first))[1 + (seq_along(levels) - 1) %/% length(group_colours)]
}

number_looks <- function(group, dots, style) {
  ends <- range(group, na.rm = TRUE)
  palette <- if (length(dots$col) > 1) grDevices::colorRampPalette(dots$col)(101)
             else grDevices::hcl.colors(120, "viridis")[1:101]
  share <- if (ends[1] < ends[2]) (group - ends[1]) / (ends[2] - ends[1]) else 0 * group
  col <- palette[1 + round(100 * share)]
  col[is.na(col)] <- "#BBBBBB"
  list(col = as_transparent(col, style), pch = rep_len(style$pch, length(group)), palette = palette, ends = ends)
}

colour_names <- function(col) {
  if (is.numeric(col)) rep_len(grDevices::palette(), max(col, 1))[col] else col
}

# These colours, as opaque as the style's own or more.
as_transparent <- function(col, style, more = 1) {
  alpha <- grDevices::col2rgb(style$col[1], alpha = TRUE)[4] / 255
  if (alpha == 1) col else grDevices::adjustcolor(col, min(1, more * alpha))
}

# At most `most` of n rows, spread evenly, in an order in which no part of the data is drawn over the others: that of
# multiples of the golden ratio, so that no random number is used.
mixed_rows <- function(n, most = most_points) {
  order((seq_len(n) * (sqrt(5) - 1) / 2) %% 1)[seq_len(min(n, most))]
}

# ---- keys of groups

# Rows and columns of a key, and its size, so that entries with texts of these widths fill room = c(width, height) as
# large as they can be; several ways being as good, the fewest rows or, `stacked`, the most.
place_entries <- function(width, room, stacked = FALSE) {
  k <- length(width)
  ways <- lapply(seq_len(k), function(rows) {
    column <- (seq_len(k) - 1) %/% rows + 1
    columns <- vapply(split(width, column), max, 0, USE.NAMES = FALSE) + 0.3
    list(rows = rows, row = (seq_len(k) - 1) %% rows + 1, left = (cumsum(columns) - columns)[column],
         wide = sum(columns), cex = min(0.9, room[1] / sum(columns), room[2] / (0.2 * rows)))
  })
  cex <- vapply(ways, function(w) w$cex, 0)
  best <- which(cex > max(cex) - 1e-9)
  ways[[if (!stacked) best[1] else ceiling(k / ceiling(k / max(best)))]]
}

# The key of a look in a box c(left, bottom, width, height), inches from the lower left of the plot region; its height
# when nothing is to be drawn.
draw_group_key <- function(look, label, box, stacked = FALSE, draw = TRUE) {
  if (!is.null(look$palette)) return(draw_scale(look, label, box, draw))
  key <- look$key
  key$text[key$text == key$pch] <- ""
  wide <- function() graphics::strwidth(key$text, "inches")
  place <- place_entries(wide(), box[3:4], stacked)
  if (place$cex < 0.6) {
    key$text <- shorten(key$text, 12)
    place <- place_entries(wide(), box[3:4], stacked)
  }
  if (!draw) return(0.2 * place$cex * place$rows)
  left <- box[1] + (box[3] - place$cex * place$wide) / 2 + place$cex * (place$left + 0.1)
  y <- box[2] + (box[4] + 0.2 * place$cex * (place$rows + 1)) / 2 - 0.2 * place$cex * place$row
  graphics::points(region_x(left), region_y(y), pch = key$pch, col = key$col, cex = 1.2 * place$cex, xpd = NA)
  graphics::text(region_x(left + 0.1 * place$cex), region_y(y), key$text, adj = c(0, 0.5), cex = place$cex, xpd = NA)
}

# The range of a number and the colours between.
draw_scale <- function(look, label, box, draw) {
  if (!draw) return(0.2)
  ends <- format(signif(look$ends, 3), trim = TRUE, drop0trailing = TRUE)
  label <- if (label != "group") paste0(fitted_text(label, 0.35 * box[3]), "  ")
  text <- c(paste0(label, ends[1]), ends[2])
  width <- graphics::strwidth(text, "inches")
  bar <- min(1.5, 0.35 * box[3])
  cex <- min(0.9, (box[3] - bar) / (sum(width) + 0.2))
  left <- box[1] + (box[3] - bar - cex * (sum(width) + 0.2)) / 2 + cex * (width[1] + 0.1)
  y <- box[2] + box[4] / 2
  steps <- seq(left, left + bar, length.out = length(look$palette) + 1)
  graphics::rect(region_x(steps[-length(steps)]), region_y(y - 0.06), region_x(steps[-1]), region_y(y + 0.06),
                 col = look$palette, border = NA, xpd = NA)
  graphics::text(region_x(left - 0.08), region_y(y), text[1], adj = c(1, 0.5), cex = cex, xpd = NA)
  graphics::text(region_x(left + bar + 0.08), region_y(y), text[2], adj = c(0, 0.5), cex = cex, xpd = NA)
}

# Inches from the lower left of the plot region in its coordinates, also logarithmic ones.
region_x <- function(at) graphics::grconvertX(at / graphics::par("pin")[1], "npc")
region_y <- function(at) graphics::grconvertY(at / graphics::par("pin")[2], "npc")

has_key <- function(look) !is.null(look$key) || !is.null(look$palette)

# Inches that the key takes above the plot region or, without a margin there, within.
key_height <- function(look, label) {
  if (!has_key(look)) return(0)
  draw_group_key(look, label, c(0, 0, graphics::par("pin")[1], key_room()), draw = FALSE)
}

key_room <- function() graphics::par("csi") * if (has_margin()) max(1, graphics::par("mar")[3] - 2) else 2

# The key above the plot region, or at its top, and the title above all.
draw_top <- function(look, label, main, dots) {
  line <- graphics::par("csi")
  height <- key_height(look, label)
  if (height > 0) {
    bottom <- graphics::par("pin")[2] + if (has_margin()) 0.35 * line else -height - 0.25 * line
    draw_group_key(look, label, c(0, bottom, graphics::par("pin")[1], height))
  }
  draw_main(main, dots, if (has_margin()) max(graphics::par("mar")[3] / 2 - 0.4, 0.6 + height / line) else NA)
}

# Limits of y with room for a key that has to be within.
with_key_room <- function(limits, look, label) {
  if (has_margin() || !has_key(look)) return(limits)
  share <- (key_height(look, label) + 0.4 * graphics::par("csi")) / graphics::par("pin")[2]
  limits[2] <- limits[2] + diff(limits) * min(0.5, share) / (1 - min(0.5, share))
  limits
}

# ---- points

# A plot that waits for its points and title.
empty_plot <- function(dots, defaults) {
  with_arguments(graphics::plot.default, dots, c(defaults, list(type = "n", main = "")),
                 c("col", "pch", "cex", "lwd", "lty", "main", "type"))
}

# The `drawn` rows of these points.
draw_points <- function(x, y, look, drawn) {
  of_rows <- function(v) if (length(v) > 1) v[drawn] else v
  graphics::points(x[drawn], y[drawn], pch = of_rows(look$pch), col = of_rows(look$col), cex = look$cex,
                   lwd = look$lwd)
}

# Rows of 100 or more that lie far out, by more than three interquartile ranges from the quartiles (Tukey 1977), are put
# at the edge that the others have, the farthest 2 % at most, so that no group is lost: list(z, beyond), beyond telling
# these rows. Not in columns with limits by the user.
within_fences <- function(z, has_limits = FALSE) {
  free <- setdiff(seq_len(ncol(z)), which(has_limits))
  quartiles <- apply(z, 2, stats::quantile, c(0.25, 0.75), names = FALSE)
  width <- quartiles[2, ] - quartiles[1, ]
  free <- free[width[free] > 0]
  out <- lapply(free, function(j) pmax(quartiles[1, j] - z[, j], z[, j] - quartiles[2, j]) / width[j])
  if (!length(out) || nrow(z) < 100) return(list(z = z, beyond = logical(nrow(z))))
  farthest <- do.call(pmax, out)
  reach <- max(3, sort(farthest, decreasing = TRUE)[floor(0.02 * nrow(z)) + 1])
  for (j in free) {
    fences <- quartiles[, j] + c(-reach, reach) * width[j]
    z[, j] <- pmin(pmax(z[, j], fences[1]), fences[2])
  }
  list(z = z, beyond = farthest > reach)
}

has_limits <- function(dots) c(!is.null(dots$xlim), !is.null(dots$ylim))

beyond_words <- function(n, of) {
  if (n) sprintf("%s of %s rows beyond the edges", thousands(n), thousands(of))
}

# Small print on the line of the horizontal axis's name, to the left and right of it, or below it in a narrow picture;
# none where it could not be read.
axis_notes <- function(left, right, dots) {
  notes <- list(left, right)
  shown <- lengths(notes) > 0
  if (!any(shown)) return(invisible())
  width <- graphics::par("pin")[1]
  name <- max(0, graphics::strwidth(if (is.null(dots$xlab)) "z1" else dots$xlab, "inches"))
  longest <- max(graphics::strwidth(unlist(notes), "inches"))
  line <- graphics::par("mgp")[1]
  size <- ((width - name) / 2 - 0.15) / longest
  if (size < 0.6 && graphics::par("mar")[1] > line + 1.8) {
    line <- line + 1.1
    size <- (width / sum(shown) - 0.1) / longest
  }
  if (size < 0.45) return(invisible())
  for (i in which(shown)) side_text(notes[[i]], 1, line, min(0.75, size), adj = i - 1, col = "grey25")
}

# Small print on the right of panels.
edge_note <- function(...) {
  note <- c(...)
  if (is.null(note)) return(invisible())
  note <- paste(note, collapse = "; ")
  size <- min(0.65, 0.95 * graphics::par("pin")[2] / graphics::strwidth(note, "inches"))
  side_text(note, 4, 0.1, size, col = "grey25")
}

# ---- panels

region_margins <- c(0.4, 0.4, 2.2, 1)

# A plot region with inches as coordinates; gives its width and height.
open_region <- function() {
  graphics::plot.new()
  inches <- graphics::par("pin")
  graphics::plot.window(c(0, inches[1]), c(0, inches[2]), xaxs = "i", yaxs = "i")
  inches
}

# Inches for ticks and names to the left and below.
axis_room <- function(values) {
  line <- graphics::par("csi")
  c(line * 1.3 + max(graphics::strwidth(format(pretty(values, 3)), "inches", cex = 0.75)), 2.3 * line)
}

# A scatter of two columns in a box c(left, bottom, width, height), with axes on the sides that have a name, not NA.
# Below the points is a line through `below`.
draw_panel <- function(xy, look, drawn, box, names, below = NULL) {
  x <- box_scale(c(xy[, 1], below[, 1]), box[1], box[3])
  y <- box_scale(c(xy[, 2], below[, 2]), box[2], box[4])
  if (!is.null(below)) graphics::lines(x$place(below[, 1]), y$place(below[, 2]), col = prior_colour)
  look$cex <- look$cex * max(0.6, min(1, box[3:4]))
  draw_points(x$place(xy[, 1]), y$place(xy[, 2]), look, drawn)
  graphics::rect(box[1], box[2], box[1] + box[3], box[2] + box[4], border = "grey40")
  if (!is.na(names[1])) draw_bottom_axis(x, box, names[1])
  if (!is.na(names[2])) draw_left_axis(y, box, names[2])
}

draw_bottom_axis <- function(scale, box, name) {
  at <- scale$place(scale$ticks)
  tick <- 0.3 * graphics::par("csi")
  graphics::segments(at, box[2], at, box[2] - tick / 2, col = "grey40", xpd = NA)
  graphics::text(at, box[2] - tick, scale$ticks, adj = c(0.5, 1), cex = 0.75, xpd = NA)
  graphics::text(box[1] + box[3] / 2, box[2] - 4 * tick, name, adj = c(0.5, 1), cex = 0.9, xpd = NA)
}

draw_left_axis <- function(scale, box, name) {
  at <- scale$place(scale$ticks)
  tick <- 0.3 * graphics::par("csi")
  wide <- max(graphics::strwidth(scale$ticks, "inches", cex = 0.75))
  graphics::segments(box[1], at, box[1] - tick / 2, at, col = "grey40", xpd = NA)
  graphics::text(box[1] - tick, at, scale$ticks, adj = c(1, 0.5), cex = 0.75, xpd = NA)
  graphics::text(box[1] - 1.6 * tick - wide, box[2] + box[4] / 2, name, adj = c(0.5, 0), srt = 90, cex = 0.9,
                 xpd = NA)
}

# Values to places in [from, from + size], a little apart from its ends, and ticks that have room.
box_scale <- function(values, from, size) {
  ends <- range(values, finite = TRUE)
  if (ends[1] == ends[2]) ends <- ends + c(-1, 1) * max(1, abs(ends[1]))
  ends <- ends + c(-0.04, 0.04) * diff(ends)
  ticks <- pretty(ends, max(3, min(5, floor(size / 0.45))))
  list(place = function(v) from + size * (v - ends[1]) / diff(ends), ticks = ticks[ticks > ends[1] & ticks < ends[2]])
}
