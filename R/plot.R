# Pictures of a fit: what plot() draws, and what each picture computes and draws. Colours are those of Okabe and Ito
# (2008). The table of the pictures is in plot_table.R.

okabe_ito <- c(blue = "#0072B2", vermillion = "#D55E00")
most_panels <- 9L # responses in one picture
most_points <- 5000L # points in one panel

#' Plot a fit: its network, training, codes and predictions
#'
#' One method draws all pictures of all models: `plot(fit)` the one to look at first, `which` the others.
#'
#' @param x a fit.
#' @param which one or several of
#'   * `"latent"` (autoencoders, also variational ones): the codes of the training data, coloured by `group`. Two latent
#'     units make a scatter plot; one a histogram or, with a `group`, a strip for each of its levels or the number
#'     against the code; of three or more, the first four are drawn against each other;
#'   * `"history"`: the loss per epoch, and where data were held out the validation loss, its best epoch marked. Of
#'     variational autoencoders and Bayesian networks the parts of the ELBO: the log-likelihood, the ELBO below it by
#'     the KL, and in a panel of its own the KL. What was held out is minus its loss. Where the loss is not the ELBO's
#'     negative (`beta`, `free_bits`, `importance`), minus the loss is there, too, dashed;
#'   * `"network"`: units as circles and weights as lines, blue where positive and orange where negative, wide and dark
#'     where large beside the others of the same layer. Biases are not drawn, nor what computes the standard deviations
#'     of a variational autoencoder's codes. Of a large layer the first few units and the last stand for all;
#'   * `"fit"` (supervised models): observed against fitted values on the response's own scale with the line on which
#'     they agree, or, for a response of classes, a confusion matrix: counts, shaded by their share of the observed
#'     class. A panel for each of the first nine responses. These are the data of the training, rows held out by
#'     `validation` included. Of a Bayesian fit with 95% intervals of the mean and of observations, as bands around the
#'     fitted curve where there is one predictor, else as lines;
#'   * `"effects"` (supervised models): the accumulated local effects of the predictors, or of `variables`, on the
#'     prediction, of Bayesian fits with their bands: see [effects()][effects.varnn];
#'   * `"weights"` (Bayesian fits): how many standard deviations the mean of each weight and bias is from 0;
#'   * `"reconstruction"` (autoencoders): the same for the columns of the training data and what is made of their
#'     codes, at most nine, those with the largest error (see [predict.varnn_ae()]) first. Or, with `dim`, some rows
#'     as images, the originals above their reconstructions, in shades of grey: white is the least value in these
#'     originals, black the greatest;
#'   * `"grid"` (variational autoencoders): what codes decode to, with two latent units over their plane, with one along
#'     its line; of more units over the first two, or those in `dims`, the others at 0. With `dim`, images of 15 codes
#'     per unit at the quantiles of the prior (Kingma and Welling 2014); white and black are the least and the greatest
#'     value in the training data or, where these are not found, in the images. Without it a panel for each of the
#'     first nine columns: of numbers the mean, shaded from the least to the greatest, with contours; of levels the
#'     likeliest, the paler the less it is above chance. Of one unit, curves of means and of probabilities;
#'   * `"simulation"` (autoencoders): rows by [simulate()][simulate.varnn_vae] beside the training data, as many (at
#'     most 5,000); of conditional models given the same values. For each of the first nine columns the shares of
#'     levels, of counts and of few whole numbers as bars, of other numbers densities with one bandwidth. Or, with
#'     `dim`, some rows as images: those of variational autoencoders have the model's noise. What is drawn depends on
#'     the generator's state, which is left as it was.
#'
#'   The default is the first that applies, of an autoencoder its codes; several are drawn one after the other.
#' @param ... graphical arguments, such as `main`, `xlab`, `ylab`, `xlim`, `ylim`, `log`, `cex`, `lwd` and `pch`, for
#'   those pictures in which they mean something. `col` is that of training and validation loss (`"history"`), of
#'   negative and positive weights (`"network"`), of points or of the darkest cell (`"fit"`, `"reconstruction"`), of
#'   low and high values (images, `"grid"`, `"latent"` with numbers as `group`), of levels (`"grid"`, those of `group`
#'   in `"latent"`), of training data and simulated rows (`"simulation"`), of the ELBO, what was held out, the
#'   log-likelihood and the KL (`"history"`; there `ylim` is for the upper panel).
#' @param group for `"latent"`: what to colour the codes by, a vector with a value per training row. Levels of a factor,
#'   characters and logicals have colours that colour-blind readers can tell apart, of more than seven also shapes (or
#'   their own letters or digits, where each is a single one); numbers have a continuous scale.
#' @param dim for `"reconstruction"`, `"grid"` and `"simulation"`: height and width in pixels of rows that are images,
#'   as in `c(8, 8)`. The columns are their pixels, row by row from the top left, as in [digits].
#' @param rows with `dim`: the rows to draw, numbers or names of training rows; by default twelve, for `"simulation"`
#'   twenty, evenly spread.
#' @param dims for `"grid"`: the numbers of one or two latent units.
#' @param newdata for `"grid"` of a conditional model: a data frame of one row, what all codes are decoded given. For
#'   `"effects"`: the data whose predictors are used.
#' @param variables for `"effects"`: names of predictors, or of two as in `"a:b"`.
#' @details With the codes of a variational autoencoder (their means) there is a circle within which are 95% of the
#'   prior, of one unit lines or the prior's curve.
#'
#'   Of 100 training rows or more, codes that are far out, by more than three interquartile ranges from the
#'   quartiles (Tukey 1977), are drawn at the edge of the picture, the farthest 2% of the rows at most, and their number
#'   is noted below: a few of them would press all others together. With one or two latent units, `xlim` and `ylim`
#'   show them in their places.
#' @return `x`, invisibly. Graphical parameters are left as they were.
#' @references
#' Kingma and Welling (2014) Auto-encoding variational Bayes, \doi{10.48550/arXiv.1312.6114}.
#'
#' Tukey (1977) Exploratory data analysis, Addison-Wesley.
#'
#' Okabe and Ito (2008) Color universal design: how to make figures and presentations that are friendly to colorblind
#' people.
#' @seealso [autoplot.varnn()] for ggplot2, [plot.varnn_pca()], [plot()][plot.varnn_calibration] of a [calibration()].
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt + hp + qsec, mtcars, hidden = 6, epochs = 100, validation = 0.25)
#' plot(fit)
#' plot(fit, which = "network")
#' plot(fit, which = "fit")
#' plot(fit, which = "effects")
#'
#' irises <- fit_nn(Species ~ ., iris, hidden = 4, epochs = 30)
#' plot(irises, which = "fit")
#'
#' digits_ae <- fit_ae(digits[-1], epochs = 10)
#' plot(digits_ae, group = digits$digit)
#' plot(digits_ae, which = "reconstruction", dim = c(8, 8))
#'
#' digits_vae <- fit_vae(digits[1:300, -1], latent = 2, epochs = 20)
#' plot(digits_vae, which = "history")
#' plot(digits_vae, which = "grid", dim = c(8, 8))
#'
#' irises <- fit_vae(iris, epochs = 100)
#' plot(irises, which = "grid")
#' plot(irises, which = "simulation")
#' @export
plot.varnn <- function(x, which = c("latent", "history", "network", "fit", "effects", "weights", "reconstruction",
                                    "grid", "simulation"), ..., group = NULL, dim = NULL, rows = NULL, dims = NULL,
                       newdata = NULL, variables = NULL) {
  check_fit(x)
  dots <- list(...)
  check_graphics(dots, c("group", "dim", "rows", "dims", "newdata", "variables"))
  envir <- parent.frame()
  own <- list(group = group, group_label = group_label(substitute(group)), dim = dim, rows = rows, dims = dims,
              newdata = newdata, variables = variables)
  draw_pictures(x, if (!missing(which)) which, dots, envir, own, plot_table)
  invisible(x)
}

# Draws those of a table's pictures that are asked for, by default the first that applies. `own` are the arguments of
# plot() for some of them.
draw_pictures <- function(x, which, dots, envir, own, table) {
  which <- check_pictures(x, which, table)
  check_own_arguments(own, which, table)
  pictures <- lapply(table[which], prepared_picture, x, envir, own)
  if (length(which) > prod(graphics::par("mfrow")) && grDevices::dev.interactive()) {
    ask <- grDevices::devAskNewPage(TRUE)
    on.exit(grDevices::devAskNewPage(ask))
  }
  for (i in seq_along(which)) drawing(get(table[[which[i]]]$draw, mode = "function")(pictures[[i]], dots))
}

# What a row of a table draws of x.
prepared_picture <- function(row, x, envir, own) {
  do.call(row$prepare, c(list(x, envir), own[row$arguments]), quote = TRUE)
}

pictures_of <- function(x, table = plot_table) names(Filter(function(row) row$applies(x), table))

# The names of those that are asked for.
check_pictures <- function(x, which, table) {
  known <- pictures_of(x, table)
  if (is.null(which)) which <- known[1]
  if (!is.character(which)) check_choice(which, known, "which")
  which <- plain(which)
  if (!length(which)) check_choice(which, known, "which")
  for (name in which) check_choice(name, known, "which")
  which
}

# Arguments that none of the pictures has.
check_own_arguments <- function(own, which, table) {
  given <- setdiff(names(Filter(Negate(is.null), own)), "group_label")
  unused <- setdiff(given, unlist(lapply(table[which], function(row) row$arguments)))
  if (!length(unused)) return(invisible())
  has <- names(Filter(function(row) unused[1] %in% row$arguments, table))
  stop_user("`%s` does not apply to `which` = %s: it belongs to %s.", unused[1], quoted(which), quoted(has))
}

plot_arguments <- c("main", "sub", "xlab", "ylab", "xlim", "ylim", "log", "col", "pch", "lty", "lwd", "type", "cex",
                    "cex.main", "cex.lab", "cex.axis", "cex.sub", "col.main", "col.lab", "col.axis", "font.main",
                    "las", "bty", "ann", "axes", "xaxt", "yaxt", "xaxs", "yaxs", "asp", "frame.plot")

# `defaults` with what the user gave instead.
given_or <- function(given, defaults) utils::modifyList(defaults, given, keep.null = TRUE)

# Graphical arguments that a user gave: names that are known, limits that are two numbers.
check_graphics <- function(dots, more = character()) {
  check_known(dots, c(plot_arguments, more))
  for (name in c("xlim", "ylim")) {
    limits <- dots[[name]]
    if (!is.null(limits) && !every(is.numeric(limits), length(limits) == 2, all(is.finite(limits))))
      stop_user("`%s` must be two numbers, the ends of the axis, not %s.", name, shown(limits))
  }
}

# Calls title(), plot(), ... with those of the graphical arguments that are not drawn by hand.
with_arguments <- function(f, dots, defaults = list(), not = character()) {
  do.call(f, given_or(dots[setdiff(names(dots), not)], defaults))
}

# Draws; what R's graphics say of colours, labels and small devices is the picture's error.
drawing <- function(expr) {
  tryCatch(expr, error = function(e) {
    if (inherits(e, "varnn_error")) stop(e)
    stop_user("The picture cannot be drawn: %s.", conditionMessage(e))
  })
}

# ---- history

# What a history is drawn by, of one of three kinds: losses (a matrix with a row per epoch, a column per line), those of
# a mixture's members (a list), or the parts of the ELBO.
history_picture <- function(fit, envir) {
  if (is_mixture(fit)) return(member_losses(fit))
  if (has_elbo(fit)) return(c(list(kind = "elbo", best = fit$best_epoch), elbo_lines(fit)))
  h <- fit$history
  list(kind = "losses", epoch = h$epoch, best = fit$best_epoch,
       loss = cbind(training = h$loss, validation = if (any(is.finite(h$val_loss))) h$val_loss))
}

# Of the members' histories the losses of held-out rows where there are some; lines are as wide as weights say.
member_losses <- function(fit) {
  histories <- lapply(fit$members, function(m) m$history)
  column <- if (any(is.finite(histories[[1]]$val_loss))) "val_loss" else "loss"
  list(kind = "members", epoch = lapply(histories, `[[`, "epoch"), loss = lapply(histories, `[[`, column),
       is_held_out = column == "val_loss", wide = pmax(0.5, pmin(6, 1.5 * fit$member_weights * length(histories))))
}

draw_history <- function(picture, dots) {
  switch(picture$kind, losses = draw_losses, members = draw_members, elbo = draw_elbo)(picture, dots)
}

loss_words <- function(picture) {
  paste0(if (isTRUE(picture$is_held_out)) "held-out ", "loss (nats per observation)")
}

draw_losses <- function(picture, dots) {
  loss <- picture$loss
  has_validation <- ncol(loss) > 1
  shape <- given_or(dots, list(col = unname(okabe_ito), lwd = 1.8, lty = 1, type = if (nrow(loss) < 10) "o" else "l",
                               pch = 20, cex = 1))
  shape <- lapply(shape[c("col", "lwd", "lty", "type", "pch", "cex")], rep_len, 2)
  limits <- range(loss, finite = TRUE)
  if (has_validation && !has_margin())
    limits[2] <- limits[2] + diff(limits) * 2 * graphics::par("csi") / graphics::par("pin")[2]
  with_arguments(graphics::plot.default, not = c("col", "lwd", "lty", "type", "pch", "cex"), dots, list(
    x = range(picture$epoch), y = limits, type = "n", main = "Training history", xlab = "epoch",
    ylab = loss_words(picture), las = tick_las(loss[is.finite(loss)]), xaxt = "n"))
  whole_axis(dots)
  for (j in seq_len(ncol(loss))) {
    s <- lapply(shape, `[`, j)
    graphics::lines(picture$epoch, loss[, j], col = s$col, lwd = s$lwd, lty = s$lty, type = s$type, pch = s$pch,
                    cex = s$cex)
  }
  if (has_validation) mark_best(picture, shape)
}

draw_members <- function(picture, dots) {
  shape <- given_or(dots, list(col = grDevices::adjustcolor(okabe_ito[[1]], 0.6), lty = 1))
  losses <- unlist(picture$loss)
  with_arguments(graphics::plot.default, not = c("col", "lty"), dots, list(
    x = range(unlist(picture$epoch)), y = range(losses, finite = TRUE), type = "n", main = "Training history",
    xlab = "epoch", ylab = loss_words(picture), las = tick_las(losses[is.finite(losses)]), xaxt = "n"))
  whole_axis(dots)
  for (k in seq_along(picture$loss))
    graphics::lines(picture$epoch[[k]], picture$loss[[k]], col = shape$col, lwd = picture$wide[k], lty = shape$lty)
  margin_note(members_note(picture))
}

members_note <- function(picture) sprintf("%d members, lines as wide as their weights", length(picture$loss))

# The best epoch on the line of the validation loss, and the key to both lines.
mark_best <- function(picture, shape) {
  at <- match(picture$best, picture$epoch)
  loss <- picture$loss[at, "validation"]
  key <- data.frame(text = c("training", "validation"), col = shape$col, lwd = shape$lwd, lty = shape$lty, pch = NA)
  if (is.finite(loss)) {
    graphics::points(picture$best, loss, pch = 21, cex = 1.4, lwd = 1.5, col = "black", bg = shape$col[2])
    key <- rbind(key, data.frame(text = best_words(picture), col = "black", lwd = 1.5, lty = shape$lty[1], pch = 21))
  }
  draw_key(key, shape$col[2])
}

best_words <- function(picture) paste("best epoch:", thousands(picture$best))

# Text in a margin along its side, as the names of axes are, whatever direction the user's tick labels have (las).
side_text <- function(text, side, line, cex = 1, las = 0, ...) {
  graphics::mtext(text, side, line, cex = cex * graphics::par("cex"), las = las, ...)
}

# Is there room for a line between title and plot region?
has_margin <- function() graphics::par("mar")[3] >= 2.7

# A key in one row above the plot region, where it covers nothing, or within it at the top, where room was left for it.
draw_key <- function(key, bg = NA, line = 0.7) {
  inches <- graphics::par("pin")
  place <- place_key(graphics::strwidth(key$text, "inches"), inches[1])
  x <- function(at) graphics::grconvertX(at / inches[1], "npc")
  side <- if (has_margin()) line else -0.8
  y <- rep(graphics::grconvertY(1 + side * graphics::par("csi") / inches[2], "npc"), nrow(key))
  middle <- place$left + 0.15 * place$cex
  left <- x(place$left)
  right <- x(place$left + 0.3 * place$cex)
  line <- is.na(key$pch)
  graphics::segments(left[line], y[line], right[line], y[line], col = key$col[line], lwd = key$lwd[line],
                     lty = key$lty[line], xpd = NA)
  graphics::points(x(middle), y, pch = key$pch, col = key$col, bg = bg, cex = 1.2, lwd = 1.5, xpd = NA)
  graphics::text(x(place$left + 0.38 * place$cex), y, key$text, adj = c(0, 0.5), cex = place$cex, xpd = NA)
}

# Left ends of entries with texts of these widths, in the middle of a line, and the size with which they fit.
place_key <- function(width, line) {
  width <- width + 0.65
  cex <- min(0.9, line / sum(width))
  list(left = line / 2 + cex * (cumsum(width) - width - sum(width) / 2 + 0.12), cex = cex)
}

# ---- network

draw_network <- function(net, dots) {
  shape <- given_or(dots, list(col = unname(okabe_ito[c("vermillion", "blue")]), lwd = 3, cex = 1))
  local_par(mar = c(0.95 * max(lengths(net$captions)) + 0.6, 0.6, 3.1, 0.6), xpd = NA)
  graphics::plot.new()
  inches <- graphics::par("pin")
  place <- place_network(net, inches, shape$cex)
  graphics::plot.window(c(0, inches[1]), c(0, inches[2]), xaxs = "i", yaxs = "i")
  for (i in seq_along(net$weights)) draw_edges(net$weights[[i]], place, i, shape)
  for (i in seq_along(net$sizes)) draw_units(place, i, shape$cex)
  last <- length(net$sizes)
  draw_names(place, 1, 2)
  draw_names(place, last, 4)
  for (i in seq_len(last)) draw_caption(net$captions[[i]], place$x[i], place$caption_cex)
  draw_key(data.frame(text = c("negative weight", "positive weight"), col = rep_len(shape$col, 2), lwd = 3, lty = 1,
                      pch = NA))
  draw_main("Network", dots, 1.6)
}

# The layers of units, from input to output, and the weights [units, units of the layer before] between them. What a
# conditional model is given stands below the codes; no weights lead there (NA).
network_of <- function(fit, envir = NULL) {
  spec <- fit$spec
  own <- unit_layers(spec)
  n <- length(own)
  starts <- c(0, own)
  inputs <- first_inputs(fit)
  units <- c(length(inputs), layer_units(spec)[own])
  captions <- lapply(seq_len(n), function(i) layer_caption(spec, starts[i], starts[i + 1], units[i]))
  family <- unique(vapply(fit$blocks, function(b) b$family, ""))
  captions[[n + 1]] <- c(count_of(units[n + 1], "output"), if (length(family) < 3) family,
                         if (spec$layer[own[n]] == "tied") "tied")
  weights <- lapply(own, unit_weights, fit, spec_layout(spec)$leaves)
  for (layer in which(spec$layer == "given")) {
    i <- findInterval(layer, own)
    weights[[i]] <- rbind(weights[[i]], matrix(NA_real_, spec$size[layer], ncol(weights[[i]])))
  }
  list(sizes = c(length(inputs), vapply(weights, nrow, 0L)), weights = weights, captions = captions,
       inputs = inputs, outputs = unlist(lapply(fit$blocks, output_names, fit$design$kind == "columns")))
}

# The weights of a layer; a tied one has the transposed weights of another.
unit_weights <- function(layer, fit, leaves) {
  if (fit$spec$layer[layer] == "tied") return(t(unit_weights(fit$spec$size[layer], fit, leaves)))
  leaf <- leaves[leaves$layer == layer & leaves$role == "weight" & leaves$part == 0 & leaves$head == 0, ]
  leaf_matrix(fit, leaf)
}

count_of <- function(n, what) sprintf("%s %s%s", thousands(n), what, if (n == 1) "" else "s")

# The units of a layer (0: the input) and what follows it before the next layer of units, a line each.
layer_caption <- function(spec, layer, following, units) {
  name <- function(layer, kind, setting, size) {
    switch(kind, activate = , program = activation_words(spec, layer), given = paste(size, "given"), dropout = ,
           noise = , mask = , sparse = , contract = paste(kind, format(setting, digits = 2)), gsub("_", " ", kind))
  }
  between <- seq_len(following - layer - 1) + layer
  lines <- Map(name, between, spec$layer[between], spec$setting[between], spec$size[between])
  kind <- if (layer) spec$layer[layer] else "input"
  if (kind == "latent" && spec$option[layer] != "point") kind <- "latent means"
  c(count_of(units, if (layer) "unit" else "input"), if (kind %in% c("latent", "latent means", "tied")) kind,
    unlist(lines, use.names = FALSE))
}

output_names <- function(block, several = FALSE) {
  names <- if (is_kind(block, "ordered")) block$columns else block_labels(block, several)
  parts <- record_of(block)$parts[-1]
  if (!is_custom(block)) parts <- gsub("_", " ", parts)
  c(names, paste(rep(parts, each = length(names)), "of", rep(names, length(parts)), recycle0 = TRUE))
}

# The units of a layer that are drawn when there is room for `most`; NA is an ellipsis.
shown_units <- function(n, most) {
  if (n <= most) return(seq_len(n))
  c(seq_len(max(1, min(8, most - 2))), NA, n)
}

# Heights of k places in a column, from the top.
unit_heights <- function(k, height) height * (1 - (seq_len(k) - 0.5) / k)

# Where all is drawn, in inches from the lower left of the plot region.
place_network <- function(net, inches, cex) {
  most <- min(24, max(3, floor(inches[2] / 0.11)))
  units <- lapply(net$sizes, shown_units, most)
  y <- lapply(lengths(units), unit_heights, inches[2])
  spacing <- inches[2] / max(lengths(units))
  r <- min(0.11, 0.36 * spacing)
  last <- length(units)
  ends <- list(net$inputs, net$outputs)
  name_cex <- vapply(c(1, last), function(i) name_size(inches[2] / length(units[[i]]), cex), 0)
  names <- Map(function(text, size, i) fitted_text(text[units[[i]]], 0.28 * inches[1], size),
               ends, name_cex, c(1, last))
  room <- mapply(function(text, size) max(graphics::strwidth(text[!is.na(text)], "inches", cex = size)) + 2.2 * r,
                 names, name_cex)
  gap <- (inches[1] - sum(room)) / (last - 1)
  wide <- vapply(net$captions, function(lines) max(graphics::strwidth(lines, "inches")), 0)
  caption_cex <- cex * min(0.85, max(0.45, 0.93 * gap / max((wide[-1] + wide[-last]) / 2)))
  room <- pmax(room, caption_cex * wide[c(1, last)] / 2)
  list(x = seq(room[1], inches[1] - room[2], length.out = last), y = y, units = units, r = r, names = names,
       name_cex = name_cex, caption_cex = caption_cex)
}

# Names as large as their place allows.
name_size <- function(spacing, cex) cex * min(0.85, 0.95 * spacing / graphics::strheight("Ag", "inches"))

# Text shortened until it is at most `width` inches wide.
fitted_text <- function(text, width, cex = 1) {
  n <- max(nchar(text), 0, na.rm = TRUE)
  is_wide <- function(n) any(graphics::strwidth(shorten(text, n), "inches", cex = cex) > width, na.rm = TRUE)
  while (n > 5 && is_wide(n)) n <- n - 1
  shorten(text, n)
}

# At most n characters: what is left out is in the middle, for names often differ at their ends.
shorten <- function(text, n) {
  long <- !is.na(text) & nchar(text) > n
  tail <- max(0, (n - 3) %/% 2)
  end <- nchar(text[long])
  text[long] <- paste0(substr(text[long], 1, max(1, n - 3 - tail)), "...", substr(text[long], end - tail + 1, end))
  text
}

# The weights between units that are drawn, the small ones first: to, from (places in their columns), weight, and its
# size beside the largest of all in the layer.
edges_between <- function(weights, from, to) {
  edges <- expand.grid(to = which(!is.na(to)), from = which(!is.na(from)))
  edges$weight <- weights[cbind(to[edges$to], from[edges$from])]
  edges$size <- abs(edges$weight) / max(abs(weights), .Machine$double.xmin, na.rm = TRUE)
  edges[order(edges$size, na.last = NA), ]
}

draw_edges <- function(weights, place, i, shape) {
  edges <- edges_between(weights, place$units[[i]], place$units[[i + 1]])
  graphics::segments(place$x[i], place$y[[i]][edges$from], place$x[i + 1], place$y[[i + 1]][edges$to],
                     lwd = 0.3 + (max(shape$lwd) - 0.3) * edges$size, col = edge_colours(edges, rep_len(shape$col, 2)))
}

# From nearly white to the colour of the sign: opaque, for not all devices know transparency.
edge_colours <- function(edges, col) {
  full <- grDevices::col2rgb(col[1 + (edges$weight > 0)])
  share <- rep(0.12 + 0.88 * edges$size, each = 3)
  mixed <- 255 - share * (255 - full)
  grDevices::rgb(mixed[1, ], mixed[2, ], mixed[3, ], maxColorValue = 255)
}

draw_units <- function(place, i, cex) {
  y <- place$y[[i]]
  is_dots <- is.na(place$units[[i]])
  n <- sum(!is_dots)
  graphics::symbols(rep(place$x[i], n), y[!is_dots], circles = rep(place$r, n), inches = FALSE, add = TRUE,
                    bg = "white", fg = "grey25")
  if (any(is_dots))
    graphics::points(rep(place$x[i], 3), y[is_dots] + place$r * c(-0.9, 0, 0.9), pch = 16, cex = 0.4 * cex,
                     col = "grey25")
}

# Beside the circles: to the left of the first layer (side 2), to the right of the last (side 4).
draw_names <- function(place, i, side) {
  end <- side / 2
  names <- place$names[[end]]
  graphics::text(place$x[i] + (side - 3) * 1.6 * place$r, place$y[[i]], ifelse(is.na(names), "", names),
                 adj = c(if (side == 2) 1 else 0, 0.5), cex = place$name_cex[end])
}

draw_caption <- function(lines, x, cex) {
  side_text(lines, 1, 1.15 * cex * seq_along(lines) - 0.75, cex, at = x, col = "grey25")
}

# ---- fit

# list(panels, n, note): a panel for each of the first of n responses, and what holds for all. A panel is a list(kind,
# name, what, tail), with the counts of "cells", or of "points" or a "curve" a frame (at, observed) of some of its `of`
# rows and, where the model has intervals, a frame of them, `band`.
fit_picture <- function(fit, envir) {
  found <- if (is_bayes(fit)) keep_random(training_eta(fit, envir)) else training_eta(fit, envir)
  bands <- if (is_bayes(fit) || is_mixture(fit)) fit_bands(fit, envir)
  n <- length(fit$blocks)
  shown <- seq_len(min(n, most_panels))
  panels <- Map(function(block, y, at, free, band) {
    eta <- found$eta[, at, drop = FALSE]
    if (length(levels <- class_levels(block, y))) {
      predicted <- predicted_level(block, eta, levels, free)
      return(cells_panel(block$columns, confusion(y, predicted, levels, counted_weights(fit))))
    }
    fitted <- as.vector(block_mean(block, eta, free, found$offset))
    points_panel(block, observed_values(y), fitted, band, fit$design$columns)
  }, fit$blocks, block_pieces(fit$blocks, fit$response), block_slices(fit$blocks, eta_rows), block_free(fit),
  if (is.null(bands)) vector("list", n) else bands)[shown]
  list(panels = panels, n = n, words = c(x = "fitted", main = "Observed against fitted"),
       note = panel_notes(panels, n, "responses"))
}

cells_panel <- function(name, counts) {
  list(kind = "cells", name = name, counts = counts, tail = paste(": accuracy", fixed(accuracy_of(counts), 3)))
}

points_panel <- function(block, observed, fitted, band = NULL, predictor = NULL) {
  along <- !is.null(band$x)
  at <- if (along) band$x else fitted
  known <- which(is.finite(observed) & is.finite(at))
  drawn <- known[evenly(observed[known], most_points)]
  list(kind = if (along) "curve" else "points", name = block$columns, tail = paste0(block$tail, ""),
       what = switch(record_of(block)$kind, binary = "probability of ", trials = "proportion of ", ""),
       along = if (along) predictor, frame = data.frame(at = at[drawn], observed = observed[drawn]),
       of = length(known), band = if (!is.null(band)) band_frame(band))
}

# What holds for all panels, of n columns of the response or of the data.
panel_notes <- function(panels, n, what, of = sprintf("the first %d of %d %s", length(panels), n, what),
                        line = note_line) {
  is_class <- vapply(panels, function(p) p$kind == "cells", NA)
  numbers <- panels[!is_class]
  c(if (length(panels) < n) of,
    if (length(numbers)) sampled_note(nrow(numbers[[1]]$frame), numbers[[1]]$of), "training data",
    if (length(numbers)) c(if (!is.null(numbers[[1]]$band)) note_bands(numbers[[1]]$band),
                           if (numbers[[1]]$kind == "points") line),
    if (any(is_class)) note_cells)
}

draw_fit <- function(picture, dots) {
  several <- picture$n > 1
  if (own_grid <- several && has_own_page())
    local_par(mfrow = panel_grid(length(picture$panels)), oma = c(0, 0, 1.5, 0))
  for (panel in picture$panels)
    (if (panel$kind == "cells") draw_confusion else draw_observed)(panel, picture, dots, several)
  if (own_grid) margin_note(picture$note, outer = TRUE)
}

# Rows and columns of n panels in a picture c(width, height), the panels a little wider than high.
panel_grid <- function(n, picture = graphics::par("din")) {
  rows <- min(ceiling(sqrt(n)), max(1, round(sqrt(1.4 * n * picture[2] / picture[1]))))
  rows <- ceiling(n / ceiling(n / rows))
  c(rows, ceiling(n / rows))
}

# Of one of several panels.
panel_look <- list(mar = c(2.5, 2.7, 1.6, 0.6), mgp = c(1.4, 0.4, 0), tcl = -0.3)

# The classes of a response, or NULL when its values are numbers.
class_levels <- function(block, y) {
  if (!is.null(block$levels)) return(block$levels)
  if (block$type == "logical") return(c("FALSE", "TRUE"))
  if (is_kind(block, "binary") && all(y %in% c(0, 1, NA))) c("0", "1")
}

predicted_level <- function(block, eta, levels, free) {
  levels[max.col(block_prob(block, eta, free), ties.method = "first")]
}

# Counts [observed, predicted] of the rows in which both are known, a row of weight w counting as w rows.
confusion <- function(observed, predicted, levels, weights = NULL) {
  observed <- factor(as.character(observed), levels)
  predicted <- factor(as.character(predicted), levels)
  if (is.null(weights)) weights <- rep(1, length(observed))
  counts <- tapply(weights, list(observed = observed, predicted = predicted), sum)
  counts[is.na(counts)] <- 0
  counts
}

accuracy_of <- function(counts) sum(diag(counts)) / sum(counts)

# Shares of each row; an empty row has none.
row_shares <- function(counts) counts / pmax(rowSums(counts), .Machine$double.xmin)

draw_confusion <- function(panel, picture, dots, in_panel) {
  counts <- panel$counts
  shape <- given_or(dots, list(col = unname(okabe_ito["blue"]), cex = 1, cex.axis = 0.9))
  k <- nrow(counts)
  local_par(mar = c(0, 0, 0, 0))
  graphics::plot.new()
  axes <- class_axes(rownames(counts), shape$cex.axis, top = if (in_panel) 1.6 else 2.8)
  graphics::par(mai = axes$mai)
  graphics::plot.window(c(0.5, k + 0.5), c(k + 0.5, 0.5), xaxs = "i", yaxs = "i")
  draw_cells(counts, shape)
  draw_class_axes(axes, k, given_or(dots, list(xlab = class_words(picture), ylab = "observed class")))
  draw_main(panel$name, dots, if (in_panel) 0.4 else 1.4, panel$tail)
  if (!in_panel) margin_note(picture$note)
}

class_words <- function(picture) if (picture$words[["x"]] == "fitted") "predicted class" else picture$words[["x"]]

note_cells <- "shade: share of the observed class"
note_line <- "dashed: observed = fitted"

# The title, main and tail, small enough for the picture and `main` short enough; what the user gave is not cut.
draw_main <- function(main, dots, line = NA, tail = "") {
  given <- dots[names(dots) %in% c("main", "cex.main", "col.main", "font.main")]
  if ("main" %in% names(given)) return(with_arguments(graphics::title, given, list(line = line)))
  width <- graphics::par("pin")[1] + 2 * min(graphics::par("mai")[c(2, 4)])
  size <- given_or(dots, list(cex.main = graphics::par("cex.main")))$cex.main
  wide <- function(text) graphics::strwidth(text, "inches", cex = size, font = 2)
  size <- size * max(0.65, min(1, width / wide(paste0(main, tail))))
  main <- paste0(fitted_text(main, width - wide(tail), 1.08 * size), tail)
  with_arguments(graphics::title, given[names(given) != "cex.main"], list(main = main, line = line, cex.main = size))
}

line_inches <- function() max(graphics::par("mai")) / max(graphics::par("mar"))

# Tick labels on the left stand upright when they are too long to lie beside the axis's name.
tick_las <- function(y) {
  room <- (graphics::par("mgp")[1] - graphics::par("mgp")[2] - 0.25) * line_inches()
  if (max(graphics::strwidth(format(pretty(y)), "inches", cex = graphics::par("cex.axis"))) > room) 0 else 1
}

# A horizontal axis of whole numbers only, as of epochs; also a logarithmic one.
whole_axis <- function(dots, ...) {
  if (identical(dots$xaxt, "n") || isFALSE(dots$axes)) return(invisible())
  at <- graphics::axTicks(1)
  with_arguments(graphics::axis, dots[names(dots) %in% c("las", "cex.axis", "col.axis")],
                 list(side = 1, at = at[at == round(at)], las = 1, ...))
}

# Labels of the classes that fit beside a matrix of k rows and below its k columns, and the margins they need in inches.
class_axes <- function(labels, cex, top) {
  line <- graphics::par("csi")
  inches <- graphics::par("fin")
  cell <- (inches[2] - (top + 2.8) * line) / length(labels)
  cex <- cex * max(0.3, min(1, 0.95 * cell / (line * cex)))
  width <- function(text) max(graphics::strwidth(text, "inches", cex = cex))
  rows <- fitted_text(labels, 0.28 * inches[1], cex)
  left <- width(rows) + 2 * line
  level <- 0.95 * (inches[1] - left - 0.5 * line) / length(labels) / width(labels)
  is_level <- level > 0.55
  if (is_level) cex <- cex * min(1, level)
  columns <- if (is_level) labels else fitted_text(labels, 0.25 * inches[2], cex)
  bottom <- 2 * line + if (is_level) line * cex else width(columns)
  list(rows = rows, columns = columns, las = if (is_level) 1 else 2, cex = cex,
       mai = c(bottom, left, top * line, 0.5 * line))
}

draw_class_axes <- function(axes, k, words) {
  side_text(axes$columns, 1, if (axes$las == 1) 0.1 else 0.3, axes$cex, axes$las, at = seq_len(k))
  side_text(axes$rows, 2, 0.3, axes$cex, 1, at = seq_len(k))
  lines <- axes$mai / graphics::par("csi")
  side_text(words$xlab, 1, lines[1] - 1.3)
  side_text(words$ylab, 2, lines[2] - 1.3)
}

# Counts on shades of the row's shares.
draw_cells <- function(counts, shape) {
  k <- nrow(counts)
  share <- row_shares(counts)
  at <- expand.grid(y = seq_len(k), x = seq_len(k))
  shade <- grDevices::colorRampPalette(c("white", shape$col[1]))(101)[1 + round(100 * share)]
  graphics::rect(at$x - 0.5, at$y - 0.5, at$x + 0.5, at$y + 0.5, col = shade, border = "grey80")
  graphics::box(col = "grey40")
  text <- format(as.vector(counts), digits = 3, trim = TRUE, drop0trailing = TRUE)
  cell <- graphics::par("pin") / k
  size <- min(1.1, 0.8 * cell[1] / max(graphics::strwidth(text, "inches")),
              0.7 * cell[2] / graphics::strheight("0", "inches")) * shape$cex
  if (size > 0.38)
    graphics::text(at$x, at$y, text, cex = size,
                   col = ifelse(share > 0.65, "white", ifelse(counts > 0, "black", "grey55")))
}

# The numbers that a response of numbers is compared by: of counts out of n the proportion, of survival times the times.
observed_values <- function(y) {
  if (is.matrix(y) && !is_times(y)) y[, 1] / rowSums(y) else as.double(if (is_times(y)) y[, 1] else y)
}

# Observed against the only predictor, with the fitted curve and its bands; or against the fitted, with intervals where
# the model has them.
draw_observed <- function(panel, picture, dots, in_panel) {
  is_curve <- panel$kind == "curve"
  style <- point_style(nrow(panel$frame))
  if (!is_curve && !is.null(panel$band)) style$cex <- 0.6 * style$cex # the lines are seen beside them
  style <- given_or(dots, style)[c("col", "pch", "cex", "lwd")]
  if (in_panel) local_par(panel_look)
  limits <- range(panel$frame$observed, unlist(panel$band[names(panel$band) %in% band_ends]), finite = TRUE)
  with_arguments(graphics::plot.default, dots, not = c(names(style), "main"), list(
    x = range(panel$frame$at, panel$band$at, finite = TRUE), y = limits, type = "n", main = "", xlab = "", ylab = "",
    las = if (in_panel) 0 else tick_las(limits)))
  words <- panel_words(panel, picture, in_panel)
  name <- function(text, side) if (in_panel) text else fitted_text(text, 0.95 * graphics::par("fin")[side])
  if (is.null(dots$xlab)) graphics::title(xlab = name(words[["x"]], 1))
  if (is.null(dots$ylab)) graphics::title(ylab = name(words[["y"]], 2))
  draw_main(words[["main"]], dots, tail = panel$tail)
  if (!is.null(panel$band)) draw_bands(panel$band, is_curve, band_colours())
  do.call(graphics::points, c(list(panel$frame$at, panel$frame$observed), style))
  if (is_curve) graphics::lines(panel$band$at, panel$band$fit, col = okabe_ito[["vermillion"]], lwd = 2)
  else graphics::abline(0, 1, lty = 2, col = "grey20")
  if (!in_panel && has_margin()) margin_note(picture$note)
}

# What the axes and the panel are called.
panel_words <- function(panel, picture, in_panel) {
  is_curve <- panel$kind == "curve"
  x <- if (is_curve) panel$along else picture$words[["x"]]
  if (in_panel) return(c(x = x, y = "observed", main = panel$name))
  if (is_curve) return(c(x = x, y = panel$name, main = "Fitted curve"))
  of <- if (is.null(panel$band)) paste0(" ", panel$what, panel$name)
  c(x = paste0(x, of), y = paste0("observed", of), main = picture$words[["main"]])
}

sampled_note <- function(drawn, known) {
  if (drawn < known) sprintf("%s of %s rows", thousands(drawn), thousands(known))
}

# Places of at most `most` values, evenly by rank, the least and the greatest among them.
evenly <- function(y, most) {
  if (length(y) <= most) seq_along(y) else order(y)[round(seq(1, length(y), length.out = most))]
}

# Points the more transparent the more there are; circles where the device knows no transparency.
point_style <- function(n) {
  blue <- okabe_ito[["blue"]]
  if (isFALSE(grDevices::dev.capabilities()$semiTransparency)) return(list(col = blue, pch = 1, cex = 0.9, lwd = 1))
  list(col = grDevices::adjustcolor(blue, point_alpha(n)), pch = 16, cex = if (n > 1000) 0.6 else 0.9, lwd = 1)
}

point_alpha <- function(n) if (n <= 200) 0.8 else max(0.15, 0.8 * sqrt(200 / n))

# A line of small print above the plot region.
margin_note <- function(parts, outer = FALSE) {
  note <- paste(parts, collapse = "; ")
  inches <- if (outer) graphics::par("din") else graphics::par("pin")
  size <- min(0.8, 0.95 * inches[1] / (graphics::strwidth(note, "inches") / graphics::par("cex")))
  side_text(note, 3, 0.25, size / if (outer) graphics::par("cex") else 1, col = "grey25", outer = outer)
}
