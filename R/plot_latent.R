# Pictures of models with a bottleneck: the codes, and what is made of them.
#
# What is drawn is computed first (`prepare` of a row of plot_table), so that every mistake is found before the first
# line is drawn.

most_codes <- 4L # latent units in one picture
most_images <- 100L

# Is there a bottleneck between the data and themselves?
has_codes <- function(fit) "latent" %in% fit$spec$layer && fit$design$kind == "columns"

# ---- codes

latent_picture <- function(fit, envir, group, group_label) {
  group <- check_group(group, fit$n_obs, fit$na.action)
  list(z = latent_rows(fit, NULL, envir)$z, group = group, label = group_label, has_prior = has_prior(fit))
}

draw_latent <- function(picture, dots) {
  k <- ncol(picture$z)
  seen <- seen_codes(picture, if (k < 3) has_limits(dots) else FALSE)
  seen$look <- group_look(picture$group, dots, length(seen$drawn))
  if (k == 1 && is.null(picture$group)) return(draw_histogram(seen, dots))
  switch(min(3L, k), draw_codes_1, draw_codes_2, draw_codes_3)(seen, seen$drawn, dots)
}

# A picture with what is seen of its codes: those of the first few units, far ones at the edge, the `drawn` rows, and
# what is said of it.
seen_codes <- function(picture, has_limits = FALSE) {
  n <- nrow(picture$z)
  k <- ncol(picture$z)
  drawn <- mixed_rows(n)
  seen <- within_fences(picture$z[, seq_len(min(most_codes, k)), drop = FALSE], has_limits)
  main <- paste0(if (length(drawn) < n) paste("Codes of", sampled_note(length(drawn), n)) else "Latent codes",
                 if (!is.null(picture$group) && picture$label != "group") paste(" by", picture$label),
                 if (k > most_codes) sprintf(": the first %d of %d units", most_codes, k))
  utils::modifyList(picture, list(z = seen$z, raw = picture$z, drawn = drawn, main = main,
                                  beyond = beyond_words(sum(seen$beyond[drawn]), length(drawn))), keep.null = TRUE)
}

draw_codes_2 <- function(picture, drawn, dots) {
  z <- picture$z
  prior <- if (picture$has_prior) prior_circle()
  limits <- with_key_room(range(z[, 2], prior[, 2]), picture$look, picture$label)
  empty_plot(dots, list(x = range(z[, 1], prior[, 1]), y = limits, xlab = colnames(z)[1], ylab = colnames(z)[2],
                        las = tick_las(z[, 2])))
  if (picture$has_prior) graphics::lines(prior, col = prior_colour)
  draw_points(z[, 1], z[, 2], picture$look, drawn)
  draw_top(picture$look, picture$label, picture$main, dots)
  axis_notes(prior_note(picture, "line"), picture$beyond, dots)
}

prior_colour <- "grey60"

# Of two units: within are 95 percent of a standard normal distribution.
prior_circle <- function() {
  angle <- seq(0, 2 * pi, length.out = 181)
  sqrt(stats::qchisq(0.95, 2)) * cbind(cos(angle), sin(angle))
}

# Of one unit.
prior_ends <- function() stats::qnorm(c(0.025, 0.975))

prior_note <- function(picture, what) {
  if (picture$has_prior) sprintf("within the %s: 95%% of the prior", what)
}

# One unit: a histogram; a strip for each level; or against the number.
draw_codes_1 <- function(picture, drawn, dots) {
  z <- picture$z[, 1]
  is_number <- is.numeric(picture$group)
  y <- if (is_number) picture$group else strip_heights(picture$group)
  k <- if (!is_number) nrow(picture$look$key)
  ends <- if (picture$has_prior) prior_ends()
  empty_plot(dots, list(x = range(z, ends), y = if (is_number) range(y, na.rm = TRUE) else c(0.5, k + 0.5),
                        xlab = "z1", ylab = if (is_number) picture$label else "", yaxt = if (is_number) "s" else "n",
                        las = if (is_number) tick_las(y[!is.na(y)]) else 1))
  if (picture$has_prior) graphics::abline(v = ends, col = prior_colour)
  draw_points(z, y, picture$look, drawn)
  if (!is_number && !identical(dots$yaxt, "n") && !isFALSE(dots$axes)) draw_strip_names(picture$look$key$text)
  draw_main(picture$main, dots)
  axis_notes(prior_note(picture, "lines"), picture$beyond, dots)
}

# The first level on top; heights within a strip spread the points, without random numbers.
strip_heights <- function(group) {
  n <- nlevels(group) + anyNA(group)
  code <- ifelse(is.na(group), n, as.integer(group))
  n + 1 - code + 0.6 * ((seq_along(group) * (sqrt(5) - 1) / 2) %% 1 - 0.5)
}

draw_strip_names <- function(text) {
  k <- length(text)
  line <- graphics::par("csi")
  room <- graphics::par("mai")[2] - 0.6 * line
  wide <- max(graphics::strwidth(text, "inches"))
  cex <- min(0.9, 1.1 * graphics::par("pin")[2] / k / line, max(0.6, room / wide))
  text <- fitted_text(text, room, cex)
  side_text(text, 2, 0.4, cex, 1, at = rev(seq_len(k)))
}

# Of one unit: list(breaks, counts, prior).
code_histogram <- function(picture) {
  z <- picture$raw[, 1]
  n <- min(grDevices::nclass.FD(z), 101) # without a bound, hist() makes a million of far codes
  counts <- graphics::hist(z, breaks = if (n > 100) 100 else "FD", plot = FALSE)
  if (length(counts$counts) > 100) counts <- graphics::hist(z, breaks = 100, plot = FALSE)
  list(breaks = counts$breaks, counts = counts$counts,
       prior = if (picture$has_prior) prior_counts(counts$breaks, length(z)))
}

draw_histogram <- function(picture, dots) {
  shape <- given_or(dots, list(col = unname(okabe_ito["blue"])))
  bars <- code_histogram(picture)
  prior <- bars$prior
  empty_plot(dots, list(x = range(bars$breaks, prior$z), y = c(0, max(bars$counts, prior$counts)), xlab = "z1",
                        ylab = "rows", las = tick_las(bars$counts)))
  graphics::rect(bars$breaks[-length(bars$breaks)], 0, bars$breaks[-1], bars$counts, col = shape$col[1],
                 border = "white", lwd = 0.5)
  if (!is.null(prior)) graphics::lines(prior$z, prior$counts, col = "grey40", lwd = 1.4)
  draw_main(picture$main, dots)
  axis_notes(if (!is.null(prior)) prior_line, NULL, dots)
}

prior_line <- "line: the prior"

# Expected numbers of n codes, per bin of a histogram, were they draws from the prior.
prior_counts <- function(breaks, n) {
  z <- seq(min(breaks, -3), max(breaks, 3), length.out = 201)
  list(z = z, counts = n * (breaks[2] - breaks[1]) * stats::dnorm(z))
}

# Three units or more: each of the first few against each other, the key in the upper right, where no panels are.
draw_codes_3 <- function(picture, drawn, dots) {
  z <- picture$z
  m <- ncol(z) - 1
  local_par(mar = region_margins)
  inches <- open_region()
  room <- axis_room(z)
  cell <- (inches - room) / m
  for (row in seq_len(m)) for (column in seq_len(row)) {
    box <- c(room[1] + (column - 1) * cell[1], room[2] + (m - row) * cell[2], cell - 0.06)
    names <- c(if (row == m) colnames(z)[column] else NA, if (column == 1) colnames(z)[row + 1] else NA)
    draw_panel(z[, c(column, row + 1)], picture$look, drawn, box, names, if (picture$has_prior) prior_circle())
  }
  free <- m %/% 2
  if (has_key(picture$look))
    draw_group_key(picture$look, picture$label,
                   c(inches[1] - free * cell[1] + 0.1, inches[2] - free * cell[2], free * cell - c(0.1, 0)), TRUE)
  draw_main(picture$main, dots, 0.6)
  edge_note(prior_note(picture, "lines"), picture$beyond)
}

# ---- reconstruction

# The columns with the largest errors, or rows as images.
reconstruction_picture <- function(fit, envir, dim, rows) {
  if (is.null(dim) && !is.null(rows)) stop_user("`rows` are those of images: give `dim`, too.")
  if (!is.null(dim)) return(image_picture(fit, envir, dim, rows))
  found <- latent_rows(fit, NULL, envir, needs_data = TRUE)
  errors <- entry_errors(fit, found$y, found$z, found$x)
  w <- case_weights(fit)
  error <- colSums(w * errors, na.rm = TRUE) / colSums(w * !is.na(errors))
  shown <- order(-error)[seq_len(min(most_panels, length(error)))]
  columns <- Map(column_picture, fit$design$variables[shown], error[shown], list(on_user_scale(fit, found)))
  panels <- lapply(columns, function(c) {
    if (!is.null(c$levels))
      return(cells_panel(c$name, confusion(c$observed, c$reconstructed, c$levels, counted_weights(fit))))
    points_panel(list(columns = c$name, family = c$family, tail = c$tail), c$observed, c$reconstructed)
  })
  list(columns = columns, panels = panels, n = length(error), words = c(x = "reconstructed", main = "Reconstruction"),
       note = panel_notes(panels, length(error), line = "dashed: observed = reconstructed",
                          of = sprintf("the %d of %d columns with the largest errors", length(columns), length(error))))
}

# Observed and reconstructed [rows, columns of y] on the user's scale.
on_user_scale <- function(fit, rows) {
  list(observed = on_user_scale_y(fit, rows$y),
       reconstructed = eta_means(fit, codes_eta(fit, rows$z, given_rows(fit, NULL, nrow(rows$z), rows$x))))
}

on_user_scale_y <- function(fit, y) {
  each <- function(what) rep(y_units(fit, what), each = nrow(y))
  as_values(fit$design, y * each("scale") + each("center"))
}

# `center` or `scale` of each column of y.
y_units <- function(fit, what) unlist(lapply(fit$blocks, function(b) rep_len(b[[what]], b$n_responses)))

# A column's observed and reconstructed values: numbers, or levels of `levels`.
column_picture <- function(column, error, values) {
  part <- lapply(values, function(v) v[, column$at, drop = FALSE])
  levels <- class_levels(column, part$observed)
  if (is.null(levels)) return(list(name = column$name, tail = paste(": error", format(error, digits = 2)),
                                   family = column$family, observed = part$observed[, 1],
                                   reconstructed = part$reconstructed[, 1]))
  likeliest <- function(v) {
    levels[replace(level_of(replace(v, is.na(v), 0)), is.na(v[, 1]), NA)]
  }
  list(name = column$name, levels = levels, observed = likeliest(part$observed),
       reconstructed = likeliest(part$reconstructed))
}

draw_reconstruction <- function(picture, dots) {
  if (!is.null(picture$images)) return(draw_images(picture, dots))
  draw_fit(picture, dots)
}

# ---- rows as images

image_picture <- function(fit, envir, dim, rows) {
  columns <- fit$design$variables
  dim <- check_image_dim(columns, dim)
  rows <- check_rows(rows, fit)
  found <- latent_rows(fit, NULL, envir, needs_data = TRUE)
  found <- lapply(found[c("x", "y", "z")], function(m) m[rows, , drop = FALSE])
  at <- vapply(columns, function(c) c$at[1], 1L)
  values <- lapply(on_user_scale(fit, found), function(v) v[, at, drop = FALSE])
  list(images = lapply(values, function(v) lapply(seq_along(rows), function(i) image_matrix(v[i, ], dim))),
       ends = range(values$observed, finite = TRUE), rows = if (is.null(fit$rows)) rows else fit$rows[rows])
}

# Can these columns be the pixels of images of this height and width?
check_image_dim <- function(columns, dim) {
  size <- plain_numbers(dim)
  if (!every(length(size) == 2, all(is.finite(size)), all(size >= 1), all(size == round(size))))
    stop_user("`dim` must be the height and width of the images in pixels, as in c(8, 8), not %s.", shown(dim))
  dim <- size
  if (prod(dim) != length(columns))
    stop_user("`dim` = c(%s) makes %s pixels, but the model has %s columns.", paste(dim, collapse = ", "),
              thousands(prod(dim)), thousands(length(columns)))
  is_number <- vapply(columns, function(c) c$type %in% c("double", "integer", "logical"), NA)
  if (!all(is_number))
    stop_user("Images have numbers as pixels: column `%s` is none, leave `dim` out.", columns[!is_number][[1]]$name)
  dim
}

# Pixels row by row from the top left, as they are looked at.
image_matrix <- function(pixels, dim) matrix(pixels, dim[1], dim[2], byrow = TRUE)

# Numbers of the rows to show: those given, by number or name, or some spread evenly.
check_rows <- function(rows, fit, most = 12) {
  n <- fit$n_obs
  if (is.null(rows)) return(unique(round(seq(1, n, length.out = min(n, most)))))
  if (is.character(rows)) {
    rows <- plain(rows)
    unknown <- setdiff(rows, fit$rows)
    if (length(unknown)) stop_user("`rows`: there is no training row named \"%s\".", unknown[1])
    rows <- match(rows, fit$rows)
  }
  at <- plain_numbers(rows)
  if (!every(length(at) >= 1, all(is.finite(at)), all(at == round(at)), all(at >= 1), all(at <= n)))
    stop_user("`rows` must be numbers of training rows, from 1 to %s, not %s.", thousands(n), shown(rows))
  if (length(at) > most_images) stop_user("`rows` are %d: no more than %d are drawn at once.", length(at),
                                          most_images)
  at
}

# Pairs of images per line, and the size of a pixel, so that k pairs of h x w pixels fill the room as large as they can.
# Pairs are half an image's height apart.
place_images <- function(k, dim, room, label) {
  ways <- lapply(seq_len(k), function(per_line) {
    lines <- ceiling(k / per_line)
    pixel <- min(room[1] / (per_line * dim[2] * 1.12), (room[2] / lines - label) / (dim[1] * 2.12))
    list(per_line = per_line, lines = lines, pixel = pixel)
  })
  ways[[which.max(vapply(ways, function(w) w$pixel, 0))]]
}

draw_images <- function(picture, dots) {
  local_par(mar = c(0.4, 0.4, 3.2, 0.4))
  inches <- open_region()
  observed <- picture$images$observed
  dim <- dim(observed[[1]])
  label <- 0.9 * graphics::par("csi")
  place <- place_images(length(observed), dim, inches, label)
  size <- place$pixel * rev(dim) # width, height
  step <- c(inches[1] / place$per_line, inches[2] / place$lines)
  palette <- grDevices::colorRampPalette(if (length(dots$col) > 1) dots$col else c("white", "black"))(256)
  for (i in seq_along(observed)) {
    left <- ((i - 1) %% place$per_line + 0.5) * step[1] - size[1] / 2
    top <- inches[2] - (i - 1) %/% place$per_line * step[2] - label
    graphics::text(left + size[1] / 2, top + 0.15 * label, picture$rows[i], adj = c(0.5, 0), cex = 0.65,
                   col = "grey40")
    draw_image(observed[[i]], palette, picture$ends, left, top, size)
    draw_image(picture$images$reconstructed[[i]], palette, picture$ends, left, top - 1.06 * size[2], size)
  }
  draw_main("Reconstruction", dots, 1.5)
  margin_note(c("originals above, reconstructions below", "training data"))
}

draw_image <- function(pixels, palette, ends, left, top, size) {
  graphics::rasterImage(image_raster(pixels, palette, ends), left, top - size[2], left + size[1], top,
                        interpolate = FALSE)
  graphics::rect(left, top - size[2], left + size[1], top, border = "grey75", lwd = 0.6)
}

# Colours of pixels, the first row on top; values beyond the ends have the colour of the end.
image_raster <- function(pixels, palette, ends) {
  share <- if (ends[1] < ends[2]) (pixels - ends[1]) / (ends[2] - ends[1]) else 0 * pixels
  colours <- palette[1 + round((length(palette) - 1) * pmin(1, pmax(0, share)))]
  grDevices::as.raster(matrix(colours, nrow(pixels)))
}
