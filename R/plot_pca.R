# Pictures of an autoencoder beside principal components.

#' Plot an autoencoder beside principal components
#'
#' The errors of both against the number of components, or the scores of the one beside the codes of the other.
#'
#' @param x a comparison by [compare_pca()].
#' @param which one or both of
#'   * `"scree"`: the mean squared error per entry against the number of components, of principal components and of the
#'     autoencoder; that of data held out, where there were some, dashed;
#'   * `"scores"`: the first two principal components and the first two codes of the training data, side by side. With
#'     one latent unit, the codes against the first principal component. The percentages are shares of variance.
#'
#'   The default is the first; both are drawn one after the other.
#' @param ... graphical arguments, as in [plot.varnn()]. `col` is that of principal components and autoencoder
#'   (`"scree"`), of points or groups (`"scores"`).
#' @param group for `"scores"`: what to colour the points by, as in [plot.varnn()]. A value for each row of the training
#'   data or, when some were held out, for each that was not.
#' @return `x`, invisibly. Graphical parameters are left as they were.
#' @seealso [compare_pca()], [plot.varnn()].
#' @examples
#' set.seed(1)
#' comparison <- compare_pca(fit_ae(~ . - Species, iris, epochs = 100, validation = 0.2))
#' plot(comparison)
#' plot(comparison, "scores", group = iris$Species)
#' @export
plot.varnn_pca <- function(x, which = c("scree", "scores"), ..., group = NULL) {
  dots <- list(...)
  check_graphics(dots, "group")
  envir <- parent.frame()
  draw_pictures(x, if (!missing(which)) which, dots, envir,
                list(group = group, group_label = group_label(substitute(group))), pca_plot_table)
  invisible(x)
}

# Errors by components, of the training data and of those held out.
scree_errors <- function(x) {
  as.matrix(x$table[intersect(c("pca_error", "ae_error", "pca_error_new", "ae_error_new"), names(x$table))])
}

draw_scree <- function(x, dots) {
  errors <- scree_errors(x)
  shape <- given_or(dots, list(col = unname(okabe_ito), lwd = 1.8, cex = 1.1))
  col <- rep_len(shape$col, 2)[c(1, 2, 1, 2)]
  lty <- c(1, 1, 2, 2)
  key <- data.frame(text = c("PCA", "autoencoder", "held out"), col = c(col[1:2], "grey25"), lwd = shape$lwd[1],
                    lty = lty[1:3], pch = NA)[seq_len(min(3, ncol(errors))), ]
  k <- x$table$components
  top <- max(errors)
  if (!has_margin()) top <- top * (1 + 2 * graphics::par("csi") / graphics::par("pin")[2])
  empty_plot(dots, list(x = range(k) + if (length(k) == 1) c(-0.5, 0.5) else 0, y = c(0, top),
                        xlab = "components", ylab = "mean squared error per entry", las = tick_las(c(0, top)),
                        xaxt = "n"))
  whole_axis(dots)
  symbols <- rep_len(if (is.null(dots$pch)) c(16, 17, 1, 2) else dots$pch, 4)
  for (j in rev(seq_len(ncol(errors))))
    graphics::lines(k, errors[, j], type = "b", col = col[j], lty = lty[j], lwd = shape$lwd[1], pch = symbols[j],
                    cex = shape$cex)
  draw_key(key)
  draw_main("Error of reconstruction", dots)
}

scores_picture <- function(x, envir, group, group_label) {
  n <- if (is.null(x$n_obs)) nrow(x$scores$ae) else x$n_obs
  group <- check_group(group, n, x$na.action, if (is.null(x$rows)) seq_len(n) else x$rows)
  share <- x$prcomp$sdev^2 / sum(x$prcomp$sdev^2)
  list(pca = x$scores$pca, ae = x$scores$ae, group = group, label = group_label,
       names = sprintf("PC%d (%.0f%%)", seq_along(share), 100 * share))
}

is_pair_of_scores <- function(picture) ncol(picture$ae) > 1 && ncol(picture$pca) > 1

# The first two components and codes, or the first one of each.
seen_scores <- function(picture, has_limits = FALSE) {
  k <- if (is_pair_of_scores(picture)) 1:2 else 1
  within_fences(cbind(picture$pca[, k], picture$ae[, k], deparse.level = 0), has_limits)
}

draw_scores <- function(picture, dots) {
  is_pair <- is_pair_of_scores(picture)
  seen <- seen_scores(picture, if (is_pair) FALSE else has_limits(dots))
  drawn <- mixed_rows(nrow(seen$z))
  picture$look <- group_look(picture$group, dots, length(drawn))
  if (is_pair) {
    local_par(mar = replace(region_margins, 3, if (has_key(picture$look)) 3.6 else 2.2))
    draw_score_pair(seen$z, picture, drawn)
  } else {
    draw_score(seen$z, picture, drawn, dots)
  }
  draw_top(picture$look, picture$label, "Principal components and codes", dots)
  beyond <- beyond_words(sum(seen$beyond[drawn]), length(drawn))
  if (is_pair) edge_note(beyond) else axis_notes(NULL, beyond, given_or(dots, list(xlab = picture$names[1])))
}

draw_score <- function(z, picture, drawn, dots) {
  limits <- with_key_room(range(z[, 2]), picture$look, picture$label)
  empty_plot(dots, list(x = range(z[, 1]), y = limits, xlab = picture$names[1], ylab = "z1", las = tick_las(z[, 2])))
  draw_points(z[, 1], z[, 2], picture$look, drawn)
}

# Of z the first two columns on the left, the last two on the right.
draw_score_pair <- function(z, picture, drawn) {
  inches <- open_region()
  gap <- 0.15
  width <- inches[1] / 2 - gap / 2
  names <- c(picture$names[1:2], colnames(picture$ae)[1:2])
  for (left in c(1, 3)) {
    xy <- z[, left + 0:1]
    room <- axis_room(xy)
    box <- c((left == 3) * (width + gap) + room[1], room[2], width - room[1], inches[2] - room[2])
    draw_panel(xy, picture$look, drawn, box, names[left + 0:1])
  }
}

pca_plot_table <- list(
  scree = list(applies = function(x) TRUE, prepare = function(x, envir) x, draw = "draw_scree", gg = "gg_scree"),
  scores = list(applies = function(x) TRUE, arguments = c("group", "group_label"), prepare = "scores_picture",
                draw = "draw_scores", gg = "gg_scores")
)
