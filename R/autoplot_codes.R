# Pictures of codes, of what they decode to and of simulated rows as objects of ggplot2.

# ---- codes

gg_latent <- function(picture) {
  seen <- seen_codes(picture)
  k <- ncol(seen$z)
  if (k == 1 && is.null(seen$group)) return(gg_code_histogram(seen))
  seen$group <- with_missing(seen$group)
  (if (k == 1) gg_codes_1 else if (k == 2) gg_codes_2 else gg_codes_3)(seen) + gg_group(seen$group, seen$label)
}

code_note <- function(seen, what) c(prior_note(seen, what), seen$beyond)

# Pairs of codes of the drawn rows, with their group.
code_frame <- function(seen, x, y) {
  frame <- data.frame(x = seen$z[seen$drawn, x], y = if (is.numeric(y) && length(y) == 1) seen$z[seen$drawn, y] else
    y[seen$drawn], row.names = NULL)
  frame$group <- seen$group[seen$drawn]
  frame
}

prior_path <- function(seen) if (seen$has_prior) stats::setNames(as.data.frame(prior_circle()), c("x", "y"))

gg_codes_2 <- function(seen) {
  gg_empty(seen$main, code_note(seen, "line"), colnames(seen$z)[1], colnames(seen$z)[2]) +
    gg_layer(ggplot2::geom_path, prior_path(seen), aes_of(x = "x", y = "y"), colour = prior_colour) +
    gg_points(code_frame(seen, 1, 2), seen$group, point_alpha(length(seen$drawn)), x = "x", y = "y")
}

# A strip for each level, or against a number.
gg_codes_1 <- function(seen) {
  is_number <- is.numeric(seen$group)
  height <- if (is_number) seen$group else strip_heights(seen$group)
  gg_empty(seen$main, code_note(seen, "lines"), "z1", if (is_number) seen$label) +
    (if (seen$has_prior) ggplot2::geom_vline(xintercept = prior_ends(), colour = prior_colour)) +
    gg_points(code_frame(seen, 1, height), seen$group, point_alpha(length(seen$drawn)), x = "x", y = "y") +
    (if (!is_number) list(
      ggplot2::scale_y_continuous(breaks = rev(seq_len(nlevels(seen$group))), labels = levels(seen$group),
                                  minor_breaks = NULL), ggplot2::guides(colour = "none", shape = "none")))
}

# Each of the first few units against each other.
gg_codes_3 <- function(seen) {
  units <- colnames(seen$z)
  k <- length(units)
  pairs <- which(lower.tri(diag(k)), arr.ind = TRUE) # row, column
  panel <- function(frame, pair) {
    if (!is.null(frame)) data.frame(frame, column = factor(units[pair[2]], units), row = factor(units[pair[1]], units))
  }
  each <- function(make) do.call(rbind, lapply(seq_len(nrow(pairs)), function(i) panel(make(pairs[i, ]), pairs[i, ])))
  edge <- ggplot2::element_blank()
  gg_empty(seen$main, code_note(seen, "lines")) +
    gg_layer(ggplot2::geom_rect, each(function(pair) data.frame(low = -Inf, high = Inf)),
             aes_of(xmin = "low", xmax = "high", ymin = "low", ymax = "high"), fill = NA, colour = "grey40") +
    gg_layer(ggplot2::geom_path, each(function(pair) prior_path(seen)), aes_of(x = "x", y = "y"),
             colour = prior_colour) +
    gg_points(each(function(pair) code_frame(seen, pair[2], pair[1])), seen$group,
              point_alpha(length(seen$drawn)), x = "x", y = "y") +
    ggplot2::facet_grid(row ~ column, scales = "free", switch = "both") +
    ggplot2::theme(panel.border = edge, panel.grid.major = edge, strip.placement = "outside")
}

gg_code_histogram <- function(seen) {
  bars <- code_histogram(seen)
  n <- length(bars$counts)
  frame <- data.frame(left = bars$breaks[-(n + 1)], right = bars$breaks[-1], low = 0, high = bars$counts)
  gg_empty(seen$main, if (seen$has_prior) prior_line, "z1", "rows") +
    gg_layer(ggplot2::geom_rect, frame, aes_of(xmin = "left", xmax = "right", ymin = "low", ymax = "high"),
             fill = okabe_ito[["blue"]], colour = "white", linewidth = 0.2) +
    gg_layer(ggplot2::geom_line, if (seen$has_prior) as.data.frame(bars$prior), aes_of(x = "z", y = "counts"),
             colour = "grey40", linewidth = gg_width(1.4))
}

# ---- what codes decode to

gg_grid <- function(picture) {
  if (!is.null(picture$mosaic)) return(gg_mosaic(picture))
  columns <- picture$columns
  titles <- vapply(columns, `[[`, "", "name")
  is_plane <- length(picture$names) == 2
  bind <- function(get) bind_panels(columns, titles, get)
  layers <- if (is_plane) gg_decoded_plane(bind, picture$z) else gg_decoded_lines(bind, picture$z)
  gg_empty("Decoded columns", grid_notes(picture), picture$names[1], if (is_plane) picture$names[2]) + layers +
    gg_panels(titles, scales = if (is_plane) "fixed" else "free_y", several = TRUE) +
    ggplot2::coord_cartesian(expand = !is_plane) + ggplot2::scale_fill_identity()
}

# Shades of numbers with contours, colours of levels with their names where they are likeliest.
gg_decoded_plane <- function(bind, z) {
  n <- length(z)
  width <- z[2] - z[1]
  square <- function(values) matrix(values, n)
  cells <- bind(function(column) {
    colours <- if (is.null(column$levels)) shades_of(square(column$values), NULL)
    else mixed_levels(column$values, rep_len(group_colours, length(column$levels)))
    data.frame(expand.grid(x = z, y = z), width = width, height = width, colour = as.vector(colours))
  })
  contours <- bind(function(column) if (is.null(column$levels)) contour_frame(z, z, square(column$values)))
  names <- bind(function(column) if (!is.null(column$levels)) level_places(column, z))
  c(gg_map(cells, contours),
    list(gg_layer(ggplot2::geom_text, names, aes_of(x = "x", y = "y", label = "level"), fontface = "bold", size = 3.4)))
}

# Where levels are likeliest: in the middle of the codes at which they are.
level_places <- function(column, z) {
  at <- expand.grid(x = z, y = z)
  level <- max.col(column$values, ties.method = "first")
  middle <- function(v) as.vector(tapply(v, factor(level, seq_along(column$levels)), mean))
  out <- data.frame(x = middle(at$x), y = middle(at$y), level = column$levels)
  out[!is.na(out$x), ]
}

# Means, or probabilities of levels with their names at the highest point.
gg_decoded_lines <- function(bind, z) {
  lines <- bind(function(column) {
    k <- ncol(column$values)
    levels <- if (is.null(column$levels)) "" else column$levels
    data.frame(x = rep(z, k), y = as.vector(column$values), level = rep(levels, each = length(z)),
               colour = rep(rep_len(group_colours, k), each = length(z)))
  })
  tops <- do.call(rbind, lapply(split(lines, list(lines$panel, lines$level), drop = TRUE), function(l) {
    l[which.max(l$y), ]
  }))
  list(gg_layer(ggplot2::geom_line, lines, aes_of(x = "x", y = "y", group = "level", colour = "colour"),
                linewidth = gg_width(1.8)),
       gg_label(tops[tops$level != "", ], aes_of(x = "x", y = "y", label = "level", colour = "colour"), size = 3,
                hjust = "inward", vjust = "inward", alpha = 0.7),
       ggplot2::scale_colour_identity())
}

# Images of codes, in pixels from the lower left, with ticks at their codes.
gg_mosaic <- function(picture) {
  size <- dim(picture$mosaic)
  n <- size / picture$dim # down, across
  frame <- pixel_frame(picture$mosaic, picture$ends)
  frame$y <- frame$y + size[1]
  axis <- function(n, pixels) {
    at <- labelled_places(n, if (n > 7) 2 else 1)
    list(breaks = (at - 0.5) * pixels, labels = formatC(picture$z[at], format = "f", digits = 1), expand = c(0, 0),
         minor_breaks = NULL)
  }
  gg_empty("Decoded images", others_note(picture$others), picture$names[1],
           if (length(picture$names) == 2) picture$names[2]) +
    gg_pixels(frame, ggplot2::geom_raster) +
    ggplot2::geom_hline(yintercept = (0:n[1]) * picture$dim[1], colour = "grey80") +
    ggplot2::geom_vline(xintercept = (0:n[2]) * picture$dim[2], colour = "grey80") +
    do.call(ggplot2::scale_x_continuous, axis(n[2], picture$dim[2])) +
    do.call(ggplot2::scale_y_continuous, if (n[1] > 1) axis(n[1], picture$dim[1]) else list(breaks = NULL,
                                                                                          expand = c(0, 0))) +
    ggplot2::coord_fixed() + ggplot2::theme(panel.grid.major = ggplot2::element_blank())
}

# Middles of the pixels of an image, from its top left at (x, y); values beyond the ends are at the ends.
pixel_frame <- function(image, ends, x = 0, y = 0) {
  at <- expand.grid(row = seq_len(nrow(image)), column = seq_len(ncol(image)))
  data.frame(x = x + at$column - 0.5, y = y - at$row + 0.5,
             value = pmin(pmax(as.vector(image), ends[1]), ends[2]))
}

gg_pixels <- function(frame, geom = ggplot2::geom_tile) {
  list(gg_layer(geom, frame, aes_of(x = "x", y = "y", fill = "value")),
       ggplot2::scale_fill_gradient(NULL, low = "white", high = "black", guide = "none"))
}

# ---- rows as images

# Places of n images of h x w pixels, `per_line` beside each other, `below` lines being a line's height: their top left.
image_places <- function(n, dim, per_line, below = 1) {
  i <- seq_len(n) - 1
  data.frame(x = (i %% per_line) * (dim[2] + gap_of(dim)),
             y = -(i %/% per_line) * (below * dim[1] + 2 * gap_of(dim)))
}

gap_of <- function(dim) max(1, round(max(dim) / 10)) # pixels between images

images_frame <- function(images, places, ends) {
  do.call(rbind, Map(function(image, x, y) pixel_frame(image, ends, x, y), images, places$x, places$y))
}

# Frames of images.
image_frames <- function(places, dim) {
  data.frame(left = places$x, right = places$x + dim[2], low = places$y - dim[1], high = places$y)
}

gg_frames <- function(frame) {
  gg_layer(ggplot2::geom_rect, frame, aes_of(xmin = "left", xmax = "right", ymin = "low", ymax = "high"), fill = NA,
           colour = "grey75", linewidth = 0.2)
}

# Originals with their reconstructions below.
gg_images <- function(picture) {
  images <- picture$images
  dim <- dim(images$observed[[1]])
  above <- image_places(length(images$observed), dim, 6, 2.4)
  below <- transform(above, y = above$y - 1.06 * dim[1])
  below$y <- above$y - dim[1] - 1
  places <- rbind(above, below)
  names <- data.frame(x = above$x + dim[2] / 2, y = above$y, label = picture$rows)
  gg_empty("Reconstruction", c("originals above, reconstructions below", "training data")) +
    gg_pixels(images_frame(c(images$observed, images$reconstructed), places, picture$ends)) +
    gg_frames(image_frames(places, dim)) +
    gg_layer(ggplot2::geom_text, names, aes_of(x = "x", y = "y", label = "label"), size = 2.6, vjust = -0.4,
             colour = "grey40") +
    ggplot2::coord_fixed() + gg_bare()
}

# ---- simulated rows

gg_simulation <- function(picture) {
  if (!is.null(picture$images)) return(gg_simulated_images(picture))
  columns <- picture$columns
  titles <- vapply(columns, `[[`, "", "name")
  bind <- function(get) bind_panels(columns, titles, get)
  kinds <- factor(draws_text, draws_text)
  curves <- bind(function(column) {
    if (is.null(column$shares)) data.frame(x = column$x, y = as.vector(column$y),
                                           kind = rep(kinds, each = length(column$x)))
  })
  bars <- bind(function(column) if (!is.null(column$shares)) share_bars(column$shares, kinds))
  colours <- stats::setNames(unname(okabe_ito), draws_text)
  fills <- stats::setNames(c(grDevices::adjustcolor(okabe_ito[["blue"]], 0.2), "transparent"), draws_text)
  blank <- ggplot2::element_blank()
  axes <- lapply(columns, function(column) if (!is.null(column$shares)) level_axis(column$labels) else list())
  gg_empty("Simulation", columns_note(picture)) +
    gg_layer(ggplot2::geom_area, curves[curves$kind == draws_text[1], ], aes_of(x = "x", y = "y", fill = "kind"),
             show.legend = FALSE) +
    gg_layer(ggplot2::geom_line, curves, aes_of(x = "x", y = "y", colour = "kind"), linewidth = gg_width(1.8)) +
    gg_layer(ggplot2::geom_rect, bars,
             aes_of(xmin = "left", xmax = "right", ymin = "low", ymax = "high", fill = "kind", colour = "kind"),
             linewidth = gg_width(1.4), show.legend = is.null(curves)) +
    ggplot2::scale_colour_manual(NULL, values = colours) + ggplot2::scale_fill_manual(NULL, values = fills) +
    gg_panels(titles, axes, several = TRUE) +
    ggplot2::theme(axis.text.y = blank, axis.ticks.y = blank, panel.grid.major = blank,
                   axis.text.x = ggplot2::element_text(size = 7.5))
}

# Of each label a bar of the training data and one of simulated rows.
share_bars <- function(shares, kinds) {
  k <- nrow(shares)
  data.frame(left = c(seq_len(k) - 0.4, seq_len(k)), right = c(seq_len(k), seq_len(k) + 0.4), low = 0,
             high = as.vector(shares), kind = rep(kinds, each = k))
}

gg_simulated_images <- function(picture) {
  images <- picture$images
  dim <- dim(images$observed[[1]])
  places <- image_places(length(images$observed), dim, 10)
  titles <- c(observed = draws_text[1], simulated = draws_text[2])
  gg_empty("Simulation") +
    gg_pixels(bind_panels(images, titles, function(of_kind) images_frame(of_kind, places, picture$ends))) +
    gg_frames(image_frames(places, dim)) + ggplot2::facet_wrap("panel", ncol = 1) + ggplot2::coord_fixed() + gg_bare()
}
