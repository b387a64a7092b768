# What codes decode to, over the plane of two latent units or along one: images, or a panel for each column.

grid_images <- 15L # images per side, at the quantiles of the prior
grid_steps <- 101L # codes per side of a panel
grid_reach <- 2.5 # their range, in standard deviations of the prior

# Is there a prior to take codes from?
has_prior <- function(fit) has_codes(fit) && inherits(fit, "varnn_vae")

grid_picture <- function(fit, envir, dim, dims, newdata) {
  k <- fit_latent(fit)
  dims <- check_dims(dims, k)
  columns <- fit$design$variables
  if (!is.null(dim)) dim <- check_image_dim(columns, dim)
  z <- if (is.null(dim)) seq(-grid_reach, grid_reach, length.out = grid_steps)
       else stats::qnorm(stats::ppoints(grid_images))
  codes <- grid_codes(z, dims, k)
  values <- eta_means(fit, codes_eta(fit, codes, grid_given(fit, newdata, nrow(codes))))
  picture <- list(z = z, names = latent_names(k)[dims], others = latent_names(k)[-dims], n = length(columns))
  if (!is.null(dim)) {
    pixels <- values[, vapply(columns, function(c) c$at[1], 1L), drop = FALSE]
    return(c(picture, list(mosaic = image_mosaic(pixels, dim, length(z)), dim = dim,
                           ends = pixel_ends(fit, envir, pixels))))
  }
  c(picture, list(columns = lapply(columns[seq_len(min(most_panels, length(columns)))], decoded_column, values)))
}

# Of the training data, or of what is decoded when they are gone.
pixel_ends <- function(fit, envir, pixels) {
  y <- tryCatch(on_user_scale_y(fit, training_data(fit, NULL, envir)$y), error = function(e) pixels)
  range(y, finite = TRUE)
}

# Rows of codes: the first of `dims` runs fastest, units that are not among them are 0, the mean of the prior.
grid_codes <- function(z, dims, k) {
  codes <- matrix(0, length(z)^length(dims), k)
  codes[, dims] <- as.matrix(expand.grid(rep(list(z), length(dims))))
  codes
}

check_dims <- function(dims, k) {
  if (is.null(dims)) return(seq_len(min(2, k)))
  units <- plain_numbers(dims)
  if (!every(length(units) %in% 1:2, all(units %in% seq_len(k)), !anyDuplicated(units)))
    stop_user("`dims` must be one or two of the latent units, from 1 to %d, not %s.", k, shown(dims))
  units
}

# What a conditional model is given, the same for all codes.
grid_given <- function(fit, newdata, n) {
  given <- fit$design$given
  if (is.null(given)) {
    if (is.null(newdata)) return(NULL)
    stop_user("`newdata` is for conditional models: this one is given nothing.")
  }
  if (!every(is.data.frame(newdata), nrow(newdata) == 1))
    stop_user("The model is conditional: give `newdata`, a data frame of one row with %s, not %s.",
              quoted(all.vars(given$terms)), shown(newdata))
  given_rows(fit, newdata, n)
}

# One image of all, that of the least codes at the lower left. `pixels` has a row per code.
image_mosaic <- function(pixels, dim, n) {
  images <- lapply(seq_len(nrow(pixels)), function(i) image_matrix(pixels[i, ], dim))
  line <- (seq_along(images) - 1) %/% n
  do.call(rbind, rev(lapply(split(images, line), function(of_line) do.call(cbind, of_line))))
}

# What a column decodes to: means, or with `levels` probabilities, a column per level.
decoded_column <- function(column, values) {
  values <- values[, column$at, drop = FALSE]
  if (!is.null(column$levels)) values <- by_level(values)
  list(name = if (is.null(column$levels) && is_kind(column, "binary")) paste("probability of", column$name)
              else column$name, levels = column$levels, values = values)
}

draw_grid <- function(picture, dots) {
  if (!is.null(picture$mosaic)) return(draw_mosaic(picture, dots))
  columns <- picture$columns
  if (own_grid <- has_own_page()) local_par(mfrow = panel_grid(length(columns)), oma = c(0, 0, 1.5, 0))
  local_par(panel_look)
  has_levels <- lengths(lapply(columns, `[[`, "levels")) > 0
  is_plane <- length(picture$names) == 2
  for (i in seq_along(columns)) {
    graphics::par(mar = panel_look$mar + c(0, 0, has_levels[i] * key_inches / line_inches(), 0))
    (if (is_plane) draw_decoded_plane else draw_decoded_line)(columns[[i]], picture, dots)
  }
  if (own_grid) margin_note(grid_notes(picture), outer = TRUE)
}

grid_notes <- function(picture) {
  has_levels <- any(lengths(lapply(picture$columns, `[[`, "levels")))
  c("decoded columns", columns_note(picture),
    if (has_levels) paste("of levels the", if (length(picture$names) == 2) "likeliest" else "probabilities"),
    others_note(picture$others))
}

columns_note <- function(picture) {
  shown <- length(picture$columns)
  if (shown < picture$n) sprintf("the first %d of %d columns", shown, picture$n)
}

key_inches <- 0.2

others_note <- function(names) {
  if (length(names)) sprintf("%s = 0", if (length(names) > 3) "other units" else paste(names, collapse = ", "))
}

# A panel for its content, the name of the column above.
decoded_panel <- function(column, picture, dots, defaults) {
  empty_plot(dots, given_or(list(xlab = picture$names[1], las = 1, xaxs = "i"), defaults))
  draw_main(column$name, dots, graphics::par("mar")[3] - 1.2)
}

draw_decoded_plane <- function(column, picture, dots) {
  z <- picture$z
  decoded_panel(column, picture, dots, list(x = range(z), y = range(z), ylab = picture$names[2], yaxs = "i"))
  n <- length(z)
  square <- function(v) matrix(v, n)
  look <- if (!is.null(column$levels)) level_key(column$levels, dots)
  colours <- if (is.null(look)) shades_of(square(column$values), dots) else mixed_levels(column$values, look$key$col)
  graphics::rasterImage(grDevices::as.raster(t(square(colours))[n:1, ]), z[1], z[1], z[n], z[n], interpolate = FALSE)
  if (is.null(look)) draw_contours(z, square(column$values)) else key_above(look, column$name)
  graphics::box()
}

# Lines of a unit: the mean, or the probability of each level.
draw_decoded_line <- function(column, picture, dots) {
  look <- if (!is.null(column$levels)) level_key(column$levels, dots)
  decoded_panel(column, picture, dots, list(x = range(picture$z), ylab = "",
                                            y = if (is.null(look)) range(column$values) else c(0, 1)))
  shape <- given_or(dots, list(col = unname(okabe_ito["blue"]), lwd = 1.8))
  graphics::matlines(picture$z, column$values, lty = 1, lwd = shape$lwd,
                     col = if (is.null(look)) shape$col[1] else look$key$col)
  if (!is.null(look)) key_above(look, column$name)
}

level_key <- function(levels, dots) {
  k <- length(levels)
  col <- colour_names(rep_len(if (length(dots$col) > 1) dots$col else group_colours, k))
  list(key = data.frame(text = levels, col = col, pch = 15))
}

key_above <- function(look, label) {
  if (nrow(look$key) > most_groups) return(invisible())
  draw_group_key(look, label, c(0, graphics::par("pin")[2] + 0.02, graphics::par("pin")[1], key_inches))
}

shades_of <- function(values, dots) {
  palette <- grDevices::colorRampPalette(if (length(dots$col) > 1) dots$col else
    c("white", pale(if (is.null(dots$col)) okabe_ito[["blue"]] else dots$col, 0.75)))(256)
  as.matrix(image_raster(values, palette, range(values)))
}

# The colour of the likeliest level, the paler the less it is above chance.
mixed_levels <- function(probability, col) {
  k <- ncol(probability)
  level <- max.col(probability, ties.method = "first")
  top <- probability[cbind(seq_along(level), level)]
  share <- rep(0.15 + 0.75 * (top - 1 / k) / (1 - 1 / k), each = 3)
  mixed <- 255 - share * (255 - grDevices::col2rgb(col)[, level])
  grDevices::rgb(mixed[1, ], mixed[2, ], mixed[3, ], maxColorValue = 255)
}

draw_contours <- function(z, values) {
  if (diff(range(values)) <= 1e-8 * max(abs(values), 1e-300)) return(invisible())
  most <- max(2, min(6, round(graphics::par("pin")[2] / 0.2)))
  graphics::contour(z, z, values, add = TRUE, nlevels = most, col = "grey10", lwd = 0.8, labcex = 0.65,
                    vfont = NULL)
}

# ---- images

tile_half <- 0.47 # of the width of an image, the gaps between being 0.06

# Images with thin gaps, in a plot region of their shape; ticks are at their codes, as many as have room.
draw_mosaic <- function(picture, dots) {
  n <- c(length(picture$z), if (length(picture$names) == 2) length(picture$z) else 1)
  local_par(mar = c(3, 3.2, 2.6, 0.8))
  graphics::plot.new()
  shape <- n * rev(picture$dim)
  graphics::par(pin = shape * min(graphics::par("pin") / shape))
  graphics::plot.window(c(0.5, n[1] + 0.5), c(0.5, n[2] + 0.5), xaxs = "i", yaxs = "i")
  palette <- grDevices::colorRampPalette(if (length(dots$col) > 1) dots$col else c("white", "black"))(256)
  draw_tiles(image_raster(picture$mosaic, palette, picture$ends), picture$dim, n)
  for (side in seq_along(picture$names)) draw_code_axis(side, picture$z, dots)
  with_arguments(graphics::title, dots[names(dots) %in% c("xlab", "ylab", "cex.lab", "col.lab")],
                 list(xlab = picture$names[1], ylab = if (n[2] > 1) picture$names[2] else "", line = 1.8))
  draw_main("Decoded images", dots, if (length(picture$others)) 1.4 else NA)
  if (length(picture$others)) margin_note(others_note(picture$others))
}

# The n[1] x n[2] images of a mosaic, apart on grey.
draw_tiles <- function(raster, dim, n) {
  graphics::rect(0.5, 0.5, n[1] + 0.5, n[2] + 0.5, col = "grey80", border = NA)
  for (i in seq_len(n[1])) for (j in seq_len(n[2])) {
    tile <- raster[(n[2] - j) * dim[1] + seq_len(dim[1]), (i - 1) * dim[2] + seq_len(dim[2]), drop = FALSE]
    graphics::rasterImage(tile, i - tile_half, j - tile_half, i + tile_half, j + tile_half, interpolate = FALSE)
  }
}

draw_code_axis <- function(side, z, dots) {
  if (isFALSE(dots$axes) || identical(dots[[c("xaxt", "yaxt")[side]]], "n")) return(invisible())
  cex <- given_or(dots, list(cex.axis = 0.8))$cex.axis
  text <- formatC(z, format = "f", digits = 1)
  cell <- graphics::par("pin")[side] / length(z)
  size <- if (side == 1) max(graphics::strwidth(text, "inches", cex = cex)) * 1.15
          else graphics::strheight("0", "inches", cex = cex) * 1.4
  at <- labelled_places(length(z), size / cell)
  graphics::axis(side, at, text[at], las = 1, tcl = -0.2, mgp = c(1.8, 0.4, 0), cex.axis = cex, lwd = 0,
                 lwd.ticks = 0.8, gap.axis = 0)
}

# Of n places every one, second, ... so that the first and the last are among them, at least `apart` from each other.
labelled_places <- function(n, apart) {
  steps <- which((n - 1) %% seq_len(n - 1) == 0)
  step <- c(steps[steps >= apart], n - 1)[1]
  seq(1, n, by = step)
}
