# Rows drawn from a fit beside those of the training data: as images, or the distributions of their columns.

most_simulated <- 5000L
shown_draws <- 20L # images of each kind
most_counted <- 20L # different whole numbers in one panel

simulation_picture <- function(fit, envir, dim, rows) {
  if (is.null(dim) && !is.null(rows)) stop_user("`rows` are those of images: give `dim`, too.")
  columns <- fit$design$variables
  if (!is.null(dim)) {
    dim <- check_image_dim(columns, dim)
    rows <- check_rows(rows, fit, shown_draws)
  }
  found <- latent_rows(fit, NULL, envir, needs_data = TRUE)
  drawn <- if (is.null(dim)) mixed_rows(fit$n_obs, most_simulated) else rows
  simulated <- keep_random(simulated_values(fit, found$x[drawn, , drop = FALSE], envir))
  observed <- on_user_scale_y(fit, found$y)
  if (!is.null(dim)) {
    at <- vapply(columns, function(c) c$at[1], 1L)
    images <- function(v) lapply(seq_len(nrow(v)), function(i) image_matrix(v[i, at], dim))
    observed <- observed[rows, , drop = FALSE]
    return(list(images = list(observed = images(observed), simulated = images(simulated)),
                ends = range(observed[, at], finite = TRUE)))
  }
  w <- case_weights(fit)
  weights <- list(training = w, simulated = if (is.null(fit$design$given)) rep(1, length(drawn)) else w[drawn])
  list(n = length(columns),
       columns = lapply(columns[seq_len(min(most_panels, length(columns)))], compared_column,
                        list(training = observed, simulated = simulated), weights))
}

# As many rows [rows, columns of y] by simulate() as there are of the input x, those of a conditional model given the
# same.
simulated_values <- function(fit, x, envir) {
  n <- nrow(x)
  rows <- if (is.null(fit$design$given)) {
    do.call(stats::simulate, list(fit, n), envir = envir)
  } else {
    z <- matrix(stats::rnorm(n * fit_latent(fit)), n)
    columns_as_given(fit$design, eta_draws(fit, codes_eta(fit, z, given_rows(fit, NULL, n, x))), whole = TRUE)
  }
  raw_values(fit$design$variables, rows, n)
}

# ---- distributions

# Of the values of both kinds, with weights: the shares of levels, of counts, or densities.
compared_column <- function(column, values, weights) {
  values <- lapply(values, function(v) v[, column$at, drop = FALSE])
  levels <- class_levels(column, values$training)
  if (!is.null(levels)) {
    values <- lapply(values, by_level)
    shares <- mapply(function(v, w) colSums(w * v, na.rm = TRUE) / sum(w * !is.na(v[, 1])), values, weights)
    return(list(name = column$name, labels = levels, shares = shares))
  }
  known <- lapply(values, function(v) !is.na(v[, 1]))
  values <- Map(function(v, k) v[k, 1], values, known)
  weights <- Map(function(w, k) w[k] / sum(w[k]), weights, known)
  if (is_counted(column, values$training)) return(c(list(name = column$name), count_shares(values, weights)))
  c(list(name = column$name), compared_densities(values, weights))
}

is_counted <- function(column, values) {
  is_kind(column, "count") || column$type == "integer" && length(unique(values)) <= most_counted
}

# Shares of whole numbers, or of intervals of them where there are many.
count_shares <- function(values, weights) {
  ends <- range(unlist(values))
  width <- if (diff(ends) < most_counted) 1 else ceiling(max(pretty(c(0, diff(ends) / (most_counted - 2)), 1)))
  bins <- (ends[1] %/% width):(ends[2] %/% width)
  shares <- function(v, w) as.vector(tapply(w, factor(v %/% width, bins), sum, default = 0))
  to <- if (ends[1] < 0) " to " else "-"
  list(labels = if (width == 1) paste(bins) else paste0(bins * width, to, (bins + 1) * width - 1), is_ordered = TRUE,
       shares = do.call(cbind, Map(shares, values, weights)))
}

# Kernel densities with one bandwidth, that of the training data, so that they differ by what the rows do. The few
# values drawn far out are beyond the picture.
compared_densities <- function(values, weights) {
  bw <- stats::bw.nrd0(values$training)
  ends <- range(values$training, stats::quantile(values$simulated, c(0.005, 0.995))) + c(-2, 2) * bw
  curve <- function(v, w) stats::density(v, bw = bw, weights = w, from = ends[1], to = ends[2])
  curves <- Map(curve, values, weights)
  list(x = curves$training$x, y = vapply(curves, function(d) d$y, curves$training$y))
}

draw_simulation <- function(picture, dots) {
  if (!is.null(picture$images)) return(draw_simulated_images(picture, dots))
  columns <- picture$columns
  col <- rep_len(colour_names(given_or(dots, list(col = unname(okabe_ito)))$col), 2)
  if (own_grid <- has_own_page()) local_par(mfrow = panel_grid(length(columns)), oma = c(0, 0, 1.8, 0))
  local_par(mar = c(2.2, 2.6, 1.6, 0.6), mgp = c(1.5, 0.5, 0), las = 1)
  for (c in columns) {
    (if (is.null(c$shares)) draw_densities else draw_shares)(c, col, dots)
    draw_main(c$name, dots, 0.4)
    if (!own_grid) graphics::legend("topright", draws_text, col = col, lwd = 2, bty = "n", cex = 0.7)
  }
  if (own_grid)
    draw_outer_key(draws_text, col, columns_note(picture))
}

draws_text <- c("training data", "simulated")

draw_densities <- function(column, col, dots) {
  empty_plot(dots, list(x = range(column$x), y = c(0, max(column$y)), xlab = "", ylab = "", yaxt = "n"))
  graphics::polygon(c(column$x[1], column$x, column$x[length(column$x)]), c(0, column$y[, 1], 0), border = NA,
                    col = pale(col[1]))
  lwd <- given_or(dots, list(lwd = 1.8))$lwd
  for (j in 1:2) graphics::lines(column$x, column$y[, j], col = col[j], lwd = lwd)
}

# Bars of a label beside each other.
draw_shares <- function(column, col, dots) {
  k <- length(column$labels)
  empty_plot(dots, list(x = c(0.5, k + 0.5), y = c(0, 1.05 * max(column$shares)), xlab = "", ylab = "",
                        xaxt = "n", yaxs = "i", las = 1))
  for (j in 1:2) graphics::rect(seq_len(k) + c(-0.4, 0)[j], 0, seq_len(k) + c(0, 0.4)[j], column$shares[, j],
                                border = col[j], col = if (j == 1) pale(col[1]) else NA, lwd = 1.4)
  if (identical(dots$xaxt, "n") || isFALSE(dots$axes)) return(invisible())
  if (isTRUE(column$is_ordered)) {
    graphics::axis(1, seq_len(k), column$labels, tick = FALSE, line = -0.4)
  } else {
    room <- 0.95 * graphics::par("pin")[1] / k
    size <- max(0.6, min(1, room / graphics::strwidth(column$labels, "inches")))
    side_text(fitted_text(column$labels, room, size), 1, 0.2, size, at = seq_len(k))
  }
}

# Opaque, for not all devices know transparency.
pale <- function(col, share = 0.2) {
  grDevices::rgb(t(255 - share * (255 - grDevices::col2rgb(col))), maxColorValue = 255)
}

# In the outer margin above all panels, and small print.
draw_outer_key <- function(text, col, note = NULL) {
  inches <- graphics::par("din")
  text <- c(text, note)
  place <- place_key(graphics::strwidth(text, "inches", cex = 1) / graphics::par("cex"), inches[1])
  x <- function(at) graphics::grconvertX(at / inches[1], "ndc")
  y <- graphics::grconvertY(1 - graphics::par("omi")[3] / 2 / inches[2], "ndc")
  cex <- place$cex / graphics::par("cex")
  keyed <- seq_along(col)
  graphics::segments(x(place$left[keyed]), y, x(place$left[keyed] + 0.3 * place$cex), y, col = col, lwd = 2, xpd = NA)
  graphics::text(x(place$left + 0.38 * place$cex), y, text, adj = c(0, 0.5), cex = cex, xpd = NA,
                 col = ifelse(seq_along(text) > length(col), "grey25", "black"))
}

# ---- images

# Blocks of images above each other, with lines of `per_line` images, their pixels as large as they can be.
place_draws <- function(k, dim, room, label) {
  ways <- lapply(seq_len(k), function(per_line) {
    lines <- ceiling(k / per_line)
    list(per_line = per_line, lines = lines,
         pixel = min(room[1] / (per_line * dim[2] * 1.08), (room[2] / 2 - label) / (lines * dim[1] * 1.08)))
  })
  ways[[which.max(vapply(ways, function(w) w$pixel, 0))]]
}

draw_simulated_images <- function(picture, dots) {
  local_par(mar = c(0.4, 0.4, 2.2, 0.4))
  inches <- open_region()
  k <- length(picture$images$observed)
  dim <- dim(picture$images$observed[[1]])
  label <- 1.3 * graphics::par("csi")
  place <- place_draws(k, dim, inches, label)
  size <- place$pixel * rev(dim) # width, height
  start <- (inches[1] - 1.08 * place$per_line * size[1]) / 2
  palette <- grDevices::colorRampPalette(if (length(dots$col) > 1) dots$col else c("white", "black"))(256)
  for (block in 1:2) {
    top <- inches[2] - (block - 1) * inches[2] / 2 - label
    graphics::text(inches[1] / 2, top + 0.25 * label, draws_text[block], adj = c(0.5, 0), cex = 0.9)
    for (i in seq_len(k)) {
      at <- c((i - 1) %% place$per_line, (i - 1) %/% place$per_line) * 1.08 * size
      draw_image(picture$images[[block]][[i]], palette, picture$ends, start + at[1] + 0.04 * size[1], top - at[2], size)
    }
  }
  draw_main("Simulation", dots, 0.6)
}
