# Pictures as objects of ggplot2: that each is made of each kind of fit, and that they show the numbers of plot().

skip_if_not_installed("ggplot2")

quietly <- function(expr) suppressWarnings(expr, classes = c("varnn_no_progress", "varnn_diverged"))
once <- function(expr) {
  set.seed(1)
  quietly(expr)
}

# Whether a plot can be drawn, without a message or a warning; facets and scales are those of the drawing.
expect_draws <- function(plot) {
  testthat::expect_s3_class(plot, "ggplot")
  testthat::expect_silent(drawn(print(plot)))
}

# The data of the layer with this geom (its number among these), as ggplot2 has computed it.
layer_of <- function(plot, geom, number = 1) {
  is_geom <- vapply(plot$layers, function(l) inherits(l$geom, paste0("Geom", geom)), NA)
  ggplot2::layer_data(plot, which(is_geom)[number])
}

# What plot() drew as lines ("l", "o") or points ("p"): x and y, each.
drawn_xy <- function(expr, type) {
  calls <- Filter(function(call) call[[2]] %in% type, drawn_by(expr, "C_plotXY"))
  lapply(calls, function(call) list(x = as.double(call[[1]]$x), y = as.double(call[[1]]$y)))
}

expect_same_points <- function(plot, base, geom = "Point", ordered = FALSE) {
  layer <- layer_of(plot, geom)
  of <- list(x = unlist(lapply(base, `[[`, "x")), y = unlist(lapply(base, `[[`, "y")))
  testthat::expect_equal(nrow(layer), length(of$x))
  order_of <- function(x, y) if (ordered) seq_along(x) else order(x, y)
  for (part in c("x", "y"))
    testthat::expect_equal(as.double(layer[[part]])[order_of(layer$x, layer$y)], of[[part]][order_of(of$x, of$y)])
}

mixed_data <- function() {
  d <- transform(mtcars[c("mpg", "wt", "hp")], cyl = factor(mtcars$cyl))
  d$when <- as.Date("2020-01-01") + round(10 * mtcars$qsec)
  d$time <- as.POSIXct("2020-01-01", tz = "UTC") + 3600 * mtcars$qsec
  d
}

test_that("every picture of every kind of fit is a ggplot that draws without a word", {
  fits <- list(
    validated = once(fit_nn(mpg ~ wt + hp, mtcars, validation = 0.25, epochs = 12)),
    classes = once(fit_nn(Species ~ ., iris, epochs = 3)), several = once(fit_nn(iris[1:2], iris[3:5], epochs = 3)),
    trials = once(fit_nn(cbind(ncases, ncontrols) ~ agegp, esoph, family = "binomial", epochs = 3)),
    deep = once(fit_nn(mpg ~ ., mtcars, hidden = c(40, 5), epochs = 3)),
    members = once(fit_nn(mpg ~ wt, mtcars, hidden = 2, members = 2, epochs = 3)),
    bayes = once(fit_bayes_nn(dist ~ speed, cars, hidden = 3, posterior = "meanfield", members = 1, epochs = 12)),
    dates = once(fit_bayes_nn(mpg ~ cyl + when + time, mixed_data(), hidden = 2, posterior = "laplace", members = 1,
                              epochs = 5)),
    one = once(fit_ae(iris, latent = 1, epochs = 3)), vae = once(fit_vae(iris, latent = 2, epochs = 3)),
    four = once(fit_vae(iris, latent = 5, epochs = 3, beta = 2, validation = 0.2)),
    line = once(fit_vae(iris, latent = 1, epochs = 3)))
  for (kind in names(fits)) for (which in pictures_of(fits[[kind]]))
    expect_draws(ggplot2::autoplot(fits[[kind]], which))
  groups <- list(iris$Species, iris$Petal.Width, iris$Species == "setosa", rep(letters[1:10], 15),
                 replace(iris$Species, 1:9, NA), rep(sprintf("level %d", 1:10), 15))
  of_kind <- list(vae = 1:6, line = c(1, 2, 6), four = c(1, 2, 6))
  for (kind in names(of_kind)) for (group in groups[of_kind[[kind]]])
    expect_draws(ggplot2::autoplot(fits[[kind]], "latent", group = group))
})

test_that("rows are images", {
  fit <- once(fit_vae(digits[1:100, -1], latent = 3, epochs = 2))
  expect_draws(ggplot2::autoplot(fit, "grid", dim = c(8, 8), dims = c(1, 3)))
  expect_draws(ggplot2::autoplot(fit, "grid", dim = c(8, 8), dims = 2))
  expect_draws(ggplot2::autoplot(fit, "simulation", dim = c(8, 8), rows = 1:3))
  plot <- ggplot2::autoplot(fit, "reconstruction", dim = c(8, 8), rows = 7)
  expect_draws(plot)
  pixels <- plot$layers[[1]]$data
  original <- pixels[pixels$y > -8, ]
  expect_equal(original$value[order(-original$y, original$x)], unname(unlist(digits[7, -1])))
})

test_that("the numbers are those that plot() draws", {
  fit <- once(fit_nn(mpg ~ wt + hp, mtcars, validation = 0.25, epochs = 12))
  history <- ggplot2::autoplot(fit, "history")
  expect_same_points(history, drawn_xy(plot(fit, "history"), "l"), "Line")
  expect_equal(sort(layer_of(history, "Line")$y), sort(c(fit$history$loss, fit$history$val_loss)))
  expect_equal(layer_of(history, "Point")$x, fit$best_epoch)
  observed <- ggplot2::autoplot(fit, "fit")
  expect_same_points(observed, drawn_xy(plot(fit, "fit"), "p"))
  expect_equal(sort(layer_of(observed, "Point")$x), sort(unname(fitted(fit))))
  expect_same_points(ggplot2::autoplot(fit, "effects"), drawn_xy(plot(fit, "effects"), "l"), "Line", TRUE)
  bayes <- once(fit_bayes_nn(dist ~ speed, cars, hidden = 3, posterior = "meanfield", members = 1, epochs = 12))
  weights <- layer_of(ggplot2::autoplot(bayes, "weights"), "Point")
  base <- drawn_xy(plot(bayes, "weights"), "p")[[1]]
  expect_equal(10^weights$x, base$x)
  expect_equal(-weights$y, base$y) # the first strip is on top of both
  set.seed(4)
  found <- effects(bayes, "speed")
  bounds <- layer_of(ggplot2::autoplot(found), "Ribbon")
  expect_equal(bounds[c("ymin", "ymax")], as.data.frame(found$effects[[1]])[c("lower", "upper")],
               ignore_attr = TRUE)
  set.seed(4)
  curve <- ggplot2::autoplot(bayes, "fit")
  set.seed(4)
  bands <- drawn_by(plot(bayes, "fit"), "C_polygon")
  for (i in 1:2) {
    band <- layer_of(curve, "Ribbon", i)
    expect_equal(c(band$ymin, rev(band$ymax)), bands[[i]][[2]])
  }
  lines <- elbo_lines(bayes)
  expect_equal(sort(layer_of(ggplot2::autoplot(bayes, "history"), "Line")$y), sort(c(lines$above, lines$kl)))
})

test_that("codes, cells, shades and bars are those of plot()", {
  fit <- once(fit_vae(iris, latent = 2, epochs = 3))
  latent <- ggplot2::autoplot(fit, "latent", group = iris$Species)
  expect_same_points(latent, drawn_xy(plot(fit, "latent", group = iris$Species), "p")[1], ordered = TRUE)
  expect_equal(ggplot2::ggplot_build(latent)$data[[2]]$colour[1], # of the first row that is drawn
               unname(group_colours[iris$Species[mixed_rows(150)[1]]]))
  grid <- grid_picture(fit, environment(), NULL, NULL, NULL)
  contours <- layer_of(ggplot2::autoplot(fit, "grid"), "Path")
  first <- contours[contours$PANEL == 1, ]
  expect_equal(range(first$x) >= -grid_reach, c(TRUE, TRUE))
  tiles <- layer_of(ggplot2::autoplot(fit, "grid"), "Tile")
  shades <- shades_of(matrix(grid$columns[[1]]$values, grid_steps), NULL)
  expect_identical(tiles$fill[tiles$PANEL == 1], as.vector(shades))
  flowers <- once(fit_nn(Species ~ ., iris, epochs = 3))
  counts <- layer_of(ggplot2::autoplot(flowers, "fit"), "Text")
  table <- table(iris$Species, predict(flowers, iris))
  expect_equal(as.double(counts$label), as.double(table[cbind(-counts$y, counts$x)]))
  set.seed(9)
  bars <- layer_of(ggplot2::autoplot(fit, "simulation"), "Rect")
  set.seed(9)
  rects <- drawn_by(plot(fit, "simulation"), "C_rect")
  expect_equal(bars$ymax, unlist(lapply(rects, `[[`, 4)))
})

test_that("effects of levels, pairs and single rows stand in one plot, with axes of their own", {
  fit <- once(fit_bayes_nn(mpg ~ wt + cyl + when + hp, mixed_data(), hidden = 2, posterior = "laplace", members = 1,
                           epochs = 5))
  several <- ggplot2::autoplot(fit, "effects", variables = c("wt", "cyl", "when", "wt:hp"))
  expect_draws(several)
  scales <- ggplot2::ggplot_build(several)$layout$panel_scales_x
  expect_equal(scales[[2]]$get_labels(), c("4", "6", "8"))
  expect_match(stats::na.omit(scales[[3]]$get_labels()), "^2020-0[5-9]-01$", all = TRUE)
  x <- effects(fit, c("wt:cyl", "wt:hp"), method = "pd")
  expect_draws(ggplot2::autoplot(x))
  lines <- layer_of(ggplot2::autoplot(effects(fit, "wt:cyl", method = "pd")), "Line")
  expect_equal(lines$y[order(lines$group, lines$x)],
               x$effects[[1]]$effect[order(x$effects[[1]]$cyl, x$effects[[1]]$wt)])
  rows <- effects(fit, "wt", method = "pd", individual = 3)
  expect_equal(sort(layer_of(ggplot2::autoplot(rows), "Line")$y), sort(rows$individual$wt$effect))
  expect_draws(ggplot2::autoplot(effects(fit, "cyl")))
  expect_draws(ggplot2::autoplot(effects(fit, "wt:hp")))
})

test_that("calibrations, scores, importance and comparisons have pictures", {
  fit <- once(fit_nn(mpg ~ wt + hp, mtcars, hidden = 2, epochs = 5))
  checked <- calibration(fit)
  expect_equal(layer_of(ggplot2::autoplot(checked), "Rect", 2)$ymax,
               unlist(lapply(drawn_by(plot(checked), "C_rect")[2], `[[`, 4)))
  expect_draws(ggplot2::autoplot(checked))
  classes <- calibration(once(fit_nn(Species ~ ., iris, epochs = 3)))
  expect_draws(ggplot2::autoplot(classes))
  expect_same_points(ggplot2::autoplot(classes), drawn_xy(plot(classes), "p")[1])
  two <- calibration(once(fit_nn(I(am == 1) ~ wt, mtcars, hidden = 2, epochs = 3)))
  expect_draws(ggplot2::autoplot(two))
  important <- once(importance(fit, mtcars))
  expect_equal(layer_of(ggplot2::autoplot(important), "Point")$x, important$importance)
  folds <- once(cross_validate(fit, 3))
  expect_equal(layer_of(ggplot2::autoplot(folds), "Point")$y, folds$by_fold$log_score)
  tuned <- once(tune_fit(fit, hidden = list(1, 2), folds = 2))
  expect_equal(layer_of(ggplot2::autoplot(tuned), "Point")$x, tuned$table$log_score)
  expect_draws(ggplot2::autoplot(tuned))
  compared <- once(compare_posteriors(mpg ~ wt, mtcars, posteriors = c("laplace", "point"), folds = 2, hidden = 2,
                                      epochs = 5))
  expect_equal(layer_of(ggplot2::autoplot(compared), "Point")$x, compared$table$difference)
  codes <- once(compare_pca(fit_ae(~ . - Species, iris, epochs = 5, validation = 0.2)))
  expect_draws(ggplot2::autoplot(codes))
  expect_same_points(ggplot2::autoplot(codes), drawn_xy(plot(codes), "b"))
  expect_draws(ggplot2::autoplot(codes, "scores", group = iris$Species))
  expect_draws(ggplot2::autoplot(once(compare_pca(fit_ae(iris[1:4], latent = 1, epochs = 3))), "scores"))
  simulated <- once(compare_simulated(fit_vae(iris, latent = 2, epochs = 5)))
  expect_draws(ggplot2::autoplot(simulated))
  expect_setequal(layer_of(ggplot2::autoplot(simulated), "Point")$x, simulated$columns$distance)
})

test_that("fortify() gives the data of augment(), which ggplot() takes", {
  fit <- once(fit_nn(mpg ~ wt + hp, mtcars, hidden = 2, epochs = 5))
  frame <- ggplot2::fortify(fit)
  expect_s3_class(frame, "data.frame", exact = TRUE)
  expect_equal(frame$.fitted, unname(fitted(fit)))
  expect_equal(ggplot2::fortify(fit, mtcars[3:1, ])$.fitted, unname(predict(fit, mtcars[3:1, ])))
  plot <- ggplot2::ggplot(fit, ggplot2::aes(.fitted, .resid)) + ggplot2::geom_point()
  expect_equal(ggplot2::layer_data(plot)$y, unname(residuals(fit)))
})

test_that("no device is opened, no random number is drawn, and mistakes are named", {
  fit <- once(fit_bayes_nn(dist ~ speed, cars, hidden = 2, posterior = "meanfield", members = 1, epochs = 5))
  coder <- once(fit_vae(iris, latent = 2, epochs = 3))
  devices <- grDevices::dev.list()
  set.seed(2)
  before <- .Random.seed
  for (which in pictures_of(fit)) ggplot2::autoplot(fit, which)
  for (which in pictures_of(coder)) ggplot2::autoplot(coder, which)
  expect_identical(.Random.seed, before)
  expect_identical(grDevices::dev.list(), devices)
  expect_error(ggplot2::autoplot(fit, c("history", "fit")), "one picture.*\"history\", \"fit\"", class = "varnn_error")
  expect_error(ggplot2::autoplot(fit, "latent"), "`which`", class = "varnn_error")
  expect_error(ggplot2::autoplot(fit, "fit", group = 1), "`group` does not apply", class = "varnn_error")
  expect_error(ggplot2::autoplot(fit, "fit", col = 2), "`col`", class = "varnn_error")
})
