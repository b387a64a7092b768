# What ggplot2 drew of a plot, against numbers and words that the fit has: places, names of axes, colours, intervals.

skip_if_not_installed("ggplot2")

once <- function(expr) {
  set.seed(1)
  suppressWarnings(expr, classes = c("varnn_no_progress", "varnn_diverged"))
}

# The data of the layer with this geom (its number among these), as ggplot2 has computed it; as given to it.
layer_at <- function(plot, geom, number) {
  which(vapply(plot$layers, function(l) class(l$geom)[1] == paste0("Geom", geom), NA))[number]
}
seen <- function(plot, geom, number = 1) ggplot2::layer_data(plot, layer_at(plot, geom, number))
given <- function(plot, geom, number = 1) plot$layers[[layer_at(plot, geom, number)]]$data

# What is read off an axis: the names of its places, by the places.
axis_words <- function(plot, axis = "x", panel = 1) {
  scale <- ggplot2::ggplot_build(plot)$layout[[paste0("panel_scales_", axis)]][[panel]]
  at <- as.double(scale$get_breaks())
  stats::setNames(as.character(scale$get_labels()), at)[!is.na(at)]
}
expect_axis <- function(plot, at, words, ...) {
  found <- axis_words(plot, ...)
  testthat::expect_equal(sort(as.double(names(found))), sort(as.double(at)))
  testthat::expect_identical(unname(found[order(as.double(names(found)))]), as.character(words)[order(at)])
}

flowers_vae <- function(latent) once(fit_vae(iris, latent = latent, epochs = 3))

test_that("titles and axes are those of plot()", {
  words <- function(expr) unname(unlist(lapply(drawn_by(expr, "C_title"), `[`, c(1, 3, 4))))
  own <- function(plot) unname(unlist(plot$labels[c("title", "x", "y")]))
  fits <- list(once(fit_nn(mpg ~ wt, mtcars, validation = 0.25, epochs = 12)),
               once(fit_bayes_nn(dist ~ speed, cars, hidden = 3, posterior = "laplace", members = 1, epochs = 12)))
  for (fit in fits) for (which in c("history", "fit", "effects")) {
    base <- words(plot(fit, which))
    expect_setequal(own(ggplot2::autoplot(fit, which)), setdiff(base, c("", "KL"))) # KL is the name of a panel
  }
  expect_identical(ggplot2::autoplot(fits[[1]], "history")$labels$subtitle, paste("best epoch:", fits[[1]]$best_epoch))
  members <- once(fit_nn(mpg ~ wt, mtcars, hidden = 2, members = 2, epochs = 3))
  expect_match(ggplot2::autoplot(members, "history")$labels$subtitle, "2 members")
  lines <- seen(ggplot2::autoplot(members, "history"), "Line")
  for (k in 1:2) {
    expect_equal(lines$y[lines$group == k], members$members[[k]]$history$loss)
    expect_equal(lines$x[lines$group == k], members$members[[k]]$history$epoch)
  }
  several <- ggplot2::autoplot(once(fit_nn(iris[1:2], iris[3:5], epochs = 2)), "fit")
  expect_identical(own(several)[-1], c("fitted", "observed"))
  expect_match(levels(given(several, "Point")$panel), "^(Petal.Length|Petal.Width|Species: accuracy [.0-9]+)$")
  expect_axis(several, 1:3, levels(iris$Species), panel = 3)
  factors <- once(fit_nn(iris[1:2], data.frame(a = iris$Species, b = rev(iris$Species)), epochs = 2))
  expect_identical(own(ggplot2::autoplot(factors, "fit"))[-1], c("predicted class", "observed class"))
  expect_axis(several, -(1:3), levels(iris$Species), axis = "y", panel = 3)
})

test_that("cells of classes have their share, their names and the diagonal its line", {
  fit <- once(fit_nn(Species ~ ., iris, epochs = 2))
  plot <- ggplot2::autoplot(fit, "fit")
  expect_identical(unname(unlist(plot$labels[c("x", "y")])), c("predicted class", "observed class"))
  expect_axis(plot, 1:3, levels(iris$Species))
  expect_axis(plot, -(1:3), levels(iris$Species), axis = "y")
  shares <- prop.table(table(iris$Species, predict(fit, iris)), 1)
  tiles <- given(plot, "Tile")
  expect_equal(tiles$share, as.double(shares[cbind(-tiles$observed, tiles$at)]))
  numbers <- ggplot2::autoplot(once(fit_nn(mpg ~ wt + hp, mtcars, epochs = 2)), "fit")
  line <- seen(numbers, "Abline")
  expect_identical(c(line$slope, line$intercept), c(1, 0))
})

test_that("codes have the colours and the places of their levels and numbers", {
  fit <- flowers_vae(2)
  z <- within_fences(encode(fit))$z[mixed_rows(150), ] # far ones are drawn at the edge
  group <- replace(iris$Species, c(3, 99), NA)
  plot <- ggplot2::autoplot(fit, "latent", group = group)
  points <- seen(plot, "Point")
  expect_equal(unname(cbind(points$x, points$y)), unname(z))
  wanted <- c(group_colours[1:3], "#999999")[ifelse(is.na(group), 4, as.integer(group))[mixed_rows(150)]]
  expect_identical(unname(points$colour), unname(wanted))
  numbers <- ggplot2::ggplot_build(ggplot2::autoplot(fit, "latent", group = iris$Petal.Width))$data[[2]]
  ends <- range(iris$Petal.Width)
  at <- match(ends, iris$Petal.Width[mixed_rows(150)])
  viridis <- substr(grDevices::hcl.colors(120, "viridis")[c(1, 101)], 1, 7)
  expect_identical(toupper(substr(numbers$colour[at], 1, 7)), toupper(viridis))
  expect_identical(ggplot2::autoplot(fit, "latent", group = iris$Petal.Width)$scales$get_scales("colour")$name,
                   "Petal.Width")
  letters <- ggplot2::autoplot(fit, "latent", group = rep(letters[1:10], 15))
  expect_identical(as.character(seen(letters, "Text")$label), rep(base::letters[1:10], 15)[mixed_rows(150)])
})

test_that("one code is a strip of its level, a place beside its number, or one of the bars", {
  fit <- flowers_vae(1)
  z <- encode(fit)[, 1]
  drawn <- mixed_rows(150)
  group <- replace(iris$Species, 99, NA)
  strips <- ggplot2::autoplot(fit, "latent", group = group)
  points <- seen(strips, "Point")
  expect_equal(points$x, unname(z[drawn]))
  expect_equal(round(points$y), 5 - ifelse(is.na(group), 4, as.integer(group))[drawn]) # the first on top
  expect_axis(strips, 4:1, c(levels(iris$Species), "missing"), axis = "y")
  expect_equal(sort(seen(strips, "Vline")$xintercept), qnorm(c(0.025, 0.975)))
  numbers <- ggplot2::autoplot(fit, "latent", group = iris$Petal.Width)
  expect_equal(seen(numbers, "Point")$y, iris$Petal.Width[drawn])
  expect_identical(numbers$labels$y, "Petal.Width")
  bars <- given(ggplot2::autoplot(fit, "latent"), "Rect")
  expect_equal(bars$high, as.double(table(cut(z, c(bars$left, max(bars$right)), include.lowest = TRUE))))
  expect_equal(bars$right[-nrow(bars)], bars$left[-1])
  prior <- seen(ggplot2::autoplot(fit, "latent"), "Line")
  expect_equal(prior$y, 150 * (bars$right[1] - bars$left[1]) * dnorm(prior$x))
})

test_that("each pair of codes has its panel", {
  fit <- flowers_vae(3)
  z <- encode(fit)[mixed_rows(150), ]
  plot <- ggplot2::autoplot(fit, "latent")
  points <- seen(plot, "Point")
  panels <- ggplot2::ggplot_build(plot)$layout$layout
  for (row in c("z2", "z3")) for (column in c("z1", "z2")) {
    own <- points[points$PANEL == panels$PANEL[panels$row == row & panels$column == column], ]
    if (row == column) {
      expect_identical(nrow(own), 0L)
      next
    }
    expect_equal(sort(own$x), sort(unname(z[, column])))
    expect_equal(sort(own$y), sort(unname(z[, row])))
  }
  circle <- seen(plot, "Path")
  expect_equal(range(circle$x^2 + circle$y^2), rep(qchisq(0.95, 2), 2))
})

test_that("lines of a network go from unit to unit, in the colour of their sign", {
  fit <- once(fit_nn(cbind(mpg, qsec) ~ wt + hp + disp, mtcars, hidden = 2, epochs = 3))
  plot <- ggplot2::autoplot(fit, "network")
  edges <- given(plot, "Segment")
  weights <- network_of(fit)$weights # [to, from]
  at <- function(k) 1 - (seq_len(k) - 0.5) / k # the first unit on top
  for (i in 1:2) {
    own <- edges[edges$x == i, ]
    expect_true(all(own$xend == i + 1))
    to <- match(own$yend, at(nrow(weights[[i]])))
    from <- match(own$y, at(ncol(weights[[i]])))
    expect_setequal(paste(to, from), outer(seq_len(nrow(weights[[i]])), seq_len(ncol(weights[[i]])), paste))
    expect_equal(own$weight, weights[[i]][cbind(to, from)])
    expect_equal(own$size, abs(own$weight) / max(abs(weights[[i]])))
  }
  drawn <- ggplot2::ggplot_build(plot)$data[[1]]
  wide <- order(abs(drawn$linewidth))
  expect_identical(drawn$linewidth[wide], sort(drawn$linewidth))
  expect_identical(unique(drawn$colour[edges$weight < 0]), okabe_ito[["vermillion"]])
  expect_identical(unique(drawn$colour[edges$weight > 0]), okabe_ito[["blue"]])
  names <- given(plot, "Text")
  expect_equal(names$y[match(c("wt", "hp", "disp"), names$text)], at(3))
  expect_equal(names$y[match(c("mpg", "qsec"), names$text)], at(2))
  expect_true(all(names$x[1:3] < 1, names$x[4:5] > 3))
  expect_identical(dim(given(plot, "Point")), c(7L, 3L))
})

test_that("contours are where the decoded value is theirs, names of levels where these are likeliest", {
  fit <- flowers_vae(2)
  plot <- ggplot2::autoplot(fit, "grid")
  lines <- given(plot, "Path")
  lines <- lines[lines$panel == "Sepal.Length", ]
  expect_equal(decode(fit, as.matrix(lines[c("x", "y")]))$Sepal.Length, as.double(lines$level), tolerance = 1e-3)
  labels <- given(plot, "Label")
  expect_true(all(table(paste(labels$panel, labels$line)) == 1)) # one of each line
  tiles <- given(plot, "Tile")
  expect_equal(unique(tiles$width), 5 / 100)
  tiles <- tiles[tiles$panel == "Species", ]
  likeliest <- decode(fit, as.matrix(tiles[c("x", "y")]))$Species
  names <- given(plot, "Text")
  for (level in names$level) {
    of <- which(likeliest == level)
    expect_equal(unlist(names[names$level == level, c("x", "y")]), colMeans(tiles[of, c("x", "y")]))
  }
  expect_setequal(names$level, unique(as.character(likeliest)))
  line <- flowers_vae(1)
  curves <- given(ggplot2::autoplot(line, "grid"), "Line")
  curve <- curves[curves$panel == "Petal.Width", ]
  expect_equal(curve$y, decode(line, cbind(curve$x))$Petal.Width)
  tops <- given(ggplot2::autoplot(line, "grid"), "Label")
  expect_identical(tops$level, levels(iris$Species))
  of_species <- curves[curves$panel == "Species", ]
  expect_equal(tops$y, as.double(tapply(of_species$y, factor(of_species$level, tops$level), max)))
})

test_that("simulated and training rows have their own lines and bars", {
  fit <- flowers_vae(2)
  set.seed(9)
  plot <- ggplot2::autoplot(fit, "simulation")
  curves <- given(plot, "Line")
  for (column in names(iris)[1:4]) {
    own <- curves[curves$panel == column & curves$kind == "training data", ]
    d <- density(iris[[column]], from = min(own$x), to = max(own$x))
    expect_equal(own$y, d$y, tolerance = 1e-6)
  }
  area <- given(plot, "Area")
  expect_identical(unique(as.character(area$kind)), "training data")
  bars <- given(plot, "Rect")
  of_training <- bars$kind == "training data"
  expect_equal(bars$high[of_training], rep(1 / 3, 3))
  expect_equal(sum(bars$high[!of_training]), 1)
  expect_equal(c(bars$left[of_training], bars$right[of_training]), c(1:3 - 0.4, 1:3)) # beside each other
  expect_equal(c(bars$left[!of_training], bars$right[!of_training]), c(1:3, 1:3 + 0.4))
  expect_axis(plot, 1:3, levels(iris$Species), panel = 5)
})

test_that("images stand where their codes are, and each has its own pixels", {
  fit <- once(fit_vae(digits[1:60, -1], latent = 2, epochs = 2))
  mosaic <- ggplot2::autoplot(fit, "grid", dim = c(8, 8))
  pixels <- given(mosaic, "Raster")
  z <- qnorm(ppoints(15))
  ends <- range(digits[1:60, -1])
  image <- function(across, up) { # its pixels in lines from the top
    own <- pixels[ceiling(pixels$x / 8) == across & ceiling(pixels$y / 8) == up, ]
    own$value[order(-own$y, own$x)]
  }
  for (at in list(c(1, 1), c(15, 1), c(3, 14))) {
    wanted <- unlist(decode(fit, cbind(z[at[1]], z[at[2]])))
    expect_equal(image(at[1], at[2]), unname(pmin(pmax(wanted, ends[1]), ends[2])))
  }
  for (axis in c("x", "y"))
    expect_axis(mosaic, 8 * (seq(1, 15, 2) - 0.5), formatC(z[seq(1, 15, 2)], format = "f", digits = 1), axis = axis)
  rows <- c(4, 9, 2)
  plot <- ggplot2::autoplot(fit, "reconstruction", dim = c(8, 8), rows = rows)
  shown <- given(plot, "Tile")
  frames <- given(plot, "Rect")
  expect_equal(unique(frames[c("right", "high")] - frames[c("left", "low")]), data.frame(right = 8, high = 8),
               ignore_attr = TRUE)
  inside <- function(frame) {
    own <- shown[shown$x > frame$left & shown$x < frame$right & shown$y > frame$low & shown$y < frame$high, ]
    own$value[order(-own$y, own$x)]
  }
  rebuilt <- reconstruct(fit, digits[rows, -1])
  for (i in 1:3) {
    expect_equal(inside(frames[i, ]), unname(unlist(digits[rows[i], -1])))
    expect_equal(inside(frames[3 + i, ]), pmin(pmax(unname(unlist(rebuilt[i, ])), ends[1]), ends[2]))
  }
  expect_true(all(frames$high[4:6] < frames$low[1:3]))
  names <- given(plot, "Text")
  expect_equal(as.integer(names$label), rows, ignore_attr = TRUE)
  expect_equal(names$x, (frames$left + frames$right)[1:3] / 2)
  simulated <- given(ggplot2::autoplot(fit, "simulation", dim = c(8, 8), rows = rows), "Tile")
  own <- simulated[simulated$panel == "training data" & simulated$x < 8, ]
  expect_equal(own$value[order(-own$y, own$x)], unname(unlist(digits[rows[1], -1])))
})

test_that("intervals and marks are at their numbers", {
  bayes <- once(fit_bayes_nn(dist ~ speed, cars, hidden = 3, posterior = "meanfield", members = 1, epochs = 12,
                             validation = 0.2))
  best <- seen(ggplot2::autoplot(bayes, "history"), "Point")
  expect_equal(c(best$x, best$y), c(bayes$best_epoch, -bayes$history$val_loss[bayes$best_epoch]))
  weights <- ggplot2::autoplot(bayes, "weights")
  q <- weight_posterior(bayes)
  medians <- given(weights, "Segment")
  expect_equal(medians$x, as.double(tapply(abs(q$mean) / q$sd, q$leaf, median)))
  expect_equal((medians$low + medians$high) / 2, -seq_len(nrow(medians)))
  expect_axis(weights, -seq_len(nrow(medians)), unique(bayes$layout$name[q$leaf]), axis = "y")
  expect_equal(10^seen(weights, "Vline")$xintercept, qnorm(0.975))
  fit <- once(fit_nn(mpg ~ wt + hp, mtcars, hidden = 2, epochs = 5))
  pit <- calibration(fit)
  band <- seen(ggplot2::autoplot(pit), "Rect")
  k <- nrow(seen(ggplot2::autoplot(pit), "Rect", 2))
  expect_equal(c(band$ymin, band$ymax), qbinom(c(0.025, 0.975), 32, 1 / k) / 32 * k)
  expect_equal(sum(seen(ggplot2::autoplot(pit), "Rect", 2)$ymax) / k, 1)
  classes <- calibration(once(fit_nn(Species ~ ., iris, epochs = 3)))
  r <- classes$reliability
  ranges <- seen(ggplot2::autoplot(classes), "Linerange")
  expect_equal(ranges$ymax, qbinom(0.975, pmax(1, round(r$n)), r$predicted) / pmax(1, round(r$n)))
  expect_equal(ranges$ymin, qbinom(0.025, pmax(1, round(r$n)), r$predicted) / pmax(1, round(r$n)))
  points <- seen(ggplot2::autoplot(classes), "Point")
  expect_identical(order(points$size), order(r$n))
  expect_identical(unname(points$colour), unname(group_colours[match(r$class, unique(r$class))]))
  rows <- once(fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, posterior = "laplace", members = 1, epochs = 5))
  plot <- once(ggplot2::autoplot(rows, "fit"))
  base <- once(drawn_by(plot(rows, "fit"), "C_segments")) # of observations, then of the mean
  for (i in 1:2) expect_equal(as.list(seen(plot, "Linerange", i)[c("x", "ymin", "ymax")]), base[[i]][c(1, 2, 4)],
                              ignore_attr = TRUE)
  expect_true(all(base[[1]][[2]] < base[[2]][[2]]))
  important <- once(importance(fit, mtcars))
  plot <- ggplot2::autoplot(important)
  ends <- seen(plot, "Linerange")
  expect_equal(cbind(ends$xmin, ends$xmax), important$importance + outer(2 * important$se, c(-1, 1)))
  expect_axis(plot, -(1:2), important$variable, axis = "y")
})

test_that("scores of folds, of arguments and of posteriors have their errors", {
  fit <- once(fit_nn(mpg ~ wt + hp, mtcars, hidden = 2, epochs = 5))
  folds <- once(cross_validate(fit, 3))
  plot <- ggplot2::autoplot(folds)
  band <- seen(plot, "Rect")
  expect_equal(c(band$ymin, band$ymax), folds$scores$value[1] + c(-1, 1) * folds$scores$se[1])
  expect_equal(seen(plot, "Hline")$yintercept, folds$scores$value[1])
  expect_axis(plot, 1:3, folds$by_fold$fold)
  tuned <- once(tune_fit(fit, hidden = list(1, 2), folds = 2))
  ends <- seen(ggplot2::autoplot(tuned), "Linerange")
  expect_equal(cbind(ends$xmin, ends$xmax), tuned$table$log_score + outer(tuned$table$se, c(-1, 1)))
  expect_axis(ggplot2::autoplot(tuned), -(1:2), paste("hidden", tuned$table$hidden), axis = "y")
  compared <- once(compare_posteriors(mpg ~ wt, mtcars, posteriors = c("laplace", "point"), folds = 2, hidden = 2,
                                      epochs = 5))
  expect_axis(ggplot2::autoplot(compared), -(1:2), compared$table$posterior, axis = "y")
})

test_that("autoencoders beside principal components, simulated rows beside real ones", {
  codes <- once(compare_pca(fit_ae(~ . - Species, iris, epochs = 5, validation = 0.2)))
  scree <- given(ggplot2::autoplot(codes), "Line")
  columns <- c("PCA training" = "pca_error", "autoencoder training" = "ae_error", "PCA held out" = "pca_error_new",
               "autoencoder held out" = "ae_error_new")
  for (line in names(columns)) {
    own <- scree[paste(scree$of, scree$rows) == line, ]
    expect_equal(own$x, codes$table$components)
    expect_equal(own$y, codes$table[[columns[[line]]]])
  }
  one <- once(compare_pca(fit_ae(iris[1:4], latent = 1, epochs = 3)))
  points <- seen(ggplot2::autoplot(one, "scores"), "Point")
  z <- unname(encode(once(fit_ae(iris[1:4], latent = 1, epochs = 3)))[mixed_rows(150), 1])
  pca <- unname(prcomp(iris[1:4], scale. = TRUE)$x[mixed_rows(150), 1])
  expect_equal(points$y, z)
  expect_equal(abs(cor(points$x, pca)), 1)
  pair <- seen(ggplot2::autoplot(codes, "scores", group = iris$Species), "Point")
  expect_identical(as.integer(table(pair$PANEL)), c(120L, 120L)) # those trained on
  simulated <- once(compare_simulated(fit_vae(iris, latent = 2, epochs = 5)))
  plot <- ggplot2::autoplot(simulated)
  points <- given(plot, "Point")
  far <- simulated$columns[order(-simulated$columns$distance), ]
  expect_equal(points$distance, far$distance)
  expect_equal(given(plot, "Segment")$expected, far$expected)
  expect_axis(plot, -(1:5), far$column, axis = "y")
  pairs <- given(plot, "Point", 2)
  expect_equal(unname(as.matrix(pairs[c("real", "simulated")])),
               unname(as.matrix(simulated$pairs[!is.na(simulated$pairs$real + simulated$pairs$simulated),
                                                c("real", "simulated")])))
})

test_that("effects of levels have intervals, keys and shades, and zero is marked where it means something", {
  cars <- transform(mtcars, cyl = factor(cyl))
  fit <- once(fit_bayes_nn(mpg ~ wt + cyl + hp, cars, hidden = 2, posterior = "laplace", members = 1, epochs = 5))
  x <- once(effects(fit, "cyl"))
  plot <- ggplot2::autoplot(x)
  ends <- seen(plot, "Linerange")
  frame <- x$effects[[1]]
  expect_equal(cbind(ends$x, ends$ymin, ends$ymax), cbind(1:3, frame$lower, frame$upper), ignore_attr = TRUE)
  expect_equal(seen(plot, "Point")$y, frame$effect)
  expect_identical(plot$labels$y, "effect on mpg")
  expect_identical(seen(plot, "Hline")$yintercept, 0)
  pd <- once(effects(fit, c("wt:cyl", "wt:hp"), method = "pd"))
  expect_false(any(vapply(ggplot2::autoplot(pd)$layers, function(l) inherits(l$geom, "GeomHline"), NA)))
  key <- ggplot2::autoplot(once(effects(fit, "wt:cyl", method = "pd")))
  lines <- given(key, "Line")
  frame <- pd$effects[["wt:cyl"]]
  for (level in levels(cars$cyl)) {
    expect_equal(lines$effect[lines$key == level], frame$effect[frame$cyl == level])
    expect_equal(lines$at[lines$key == level], frame$wt[frame$cyl == level])
  }
  expect_identical(unname(seen(key, "Line")$colour[match(levels(cars$cyl), lines$key)]), unname(group_colours[1:3]))
  map <- given(ggplot2::autoplot(pd), "Tile")
  frame <- pd$effects[["wt:hp"]]
  corners <- function(cell) {
    at <- abs(frame$wt - cell$x) < 0.51 * cell$width & abs(frame$hp - cell$y) < 0.51 * cell$height
    frame$effect[at]
  }
  for (i in c(1, 17, nrow(map))) expect_equal(map$value[i], mean(corners(map[i, ])))
  light <- colSums(grDevices::col2rgb(map$colour))
  expect_lt(cor(map$value, light), -0.999) # the greater the darker
})
