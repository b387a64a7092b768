# Pictures of autoencoders: that each is drawn, where and in which colours things are, and what is refused.

quick_ae <- function(...) {
  set.seed(1)
  suppressWarnings(fit_ae(..., epochs = 3, keep_data = TRUE))
}

mixed_columns <- function() {
  data.frame(number = mtcars$mpg, count = as.integer(mtcars$carb), logical = mtcars$am == 1,
             two = factor(mtcars$vs, labels = c("V", "straight")), three = factor(mtcars$cyl),
             text = as.character(mtcars$gear), row.names = rownames(mtcars))
}

few_digits <- function() digits[seq_len(300), ]

kinds_of_ae <- function() {
  list(
    two = quick_ae(~ . - Species, iris), one = quick_ae(iris[1:4], latent = 1), linear = quick_ae(mtcars, hidden = 0),
    three = quick_ae(iris, latent = 3, validation = 0.2), five = quick_ae(few_digits()[-1], latent = 5),
    mixed = quick_ae(mixed_columns(), family = c(count = "poisson")),
    tied = quick_ae(mtcars, hidden = c(5, 4), latent = 3, tied = TRUE, noise = 0.1, sparsity = 0.1, contractive = 0.1),
    gaps = quick_ae(airquality), matrix = quick_ae(as.matrix(iris[1:4]), hidden = list(encoder = 4, decoder = 9)),
    column = quick_ae(iris[1], latent = 1)
  )
}

test_that("every picture of every kind of autoencoder is drawn, at three sizes, without a word", {
  skip_if_again()
  fits <- kinds_of_ae()
  for (kind in names(fits)) for (which in pictures_of(fits[[kind]])) {
    expect_silent(drawn(plot(fits[[kind]], which = which)))
    expect_silent(drawn(plot(fits[[kind]], which), 4, 3))
    expect_silent(drawn(plot(fits[[kind]], which), 5, 5))
  }
  for (fit in fits) {
    n <- fit$n_obs
    letter <- rep_len(c(letters[1:8], NA), n)
    for (group in list(rep_len(c(TRUE, FALSE), n), letter, sqrt(seq_len(n)), rep(1, n), factor(letter),
                       paste("level", rep_len(1:30, n))))
      expect_silent(drawn(plot(fit, group = group), 4, 3))
  }
  expect_silent(drawn(plot(fits$two, which = c("latent", "history", "network", "reconstruction"),
                           group = iris$Species)))
})

test_that("the codes come first, for supervised fits the history", {
  fit <- quick_ae(iris)
  expect_identical(pictures_of(fit), c("latent", "history", "network", "reconstruction", "simulation"))
  expect_identical(pictures_of(fit_nn(mpg ~ wt, mtcars, epochs = 2)), c("history", "network", "fit", "effects"))
  expect_identical(drawn(plot(fit)), fit)
  expect_invisible(drawn(plot(fit)))
})

test_that("graphical parameters and random numbers are as they were", {
  fits <- c(kinds_of_ae()[c("two", "one", "three", "mixed")], list(compare_pca(quick_ae(iris))))
  set.seed(3)
  before <- .Random.seed
  drawn({
    graphics::par(mar = c(4, 5, 3, 2), las = 2)
    graphics::plot.new()
    settings <- c("mar", "mai", "oma", "mfrow", "xpd", "mgp", "las", "cex", "new")
    par <- graphics::par(settings)
    for (fit in fits) {
      for (which in if (inherits(fit, "varnn")) pictures_of(fit) else names(pca_plot_table)) plot(fit, which)
      expect_identical(graphics::par(settings), par)
    }
    plot(fits$two, "reconstruction", dim = c(2, 2))
    expect_identical(graphics::par(settings), par)
  })
  expect_identical(.Random.seed, before)
})

test_that("texts in the margins do not turn with the user's tick labels", {
  fits <- c(kinds_of_ae()[c("two", "one", "three", "mixed")],
            list(fit_nn(Species ~ ., iris, epochs = 2), fit_bayes_nn(mpg ~ wt, mtcars, epochs = 2)))
  for (fit in fits) for (which in pictures_of(fit)) {
    texts <- drawn_by({
      graphics::par(las = 1)
      plot(fit, which)
    }, "C_mtext")
    expect_true(all(vapply(texts, function(text) is.numeric(text$las), NA)))
  }
})

test_that("codes are drawn where encode() says, in the order of no group", {
  fit <- quick_ae(iris[1:4])
  z <- encode(fit)
  look <- group_look(iris$Species, list(), 150)
  drawn({
    plot(fit, group = iris$Species)
    usr <- graphics::par("usr")
    seen <- within_fences(z)$z
    expect_true(all(seen[, 1] > usr[1] & seen[, 1] < usr[2] & seen[, 2] > usr[3] & seen[, 2] < usr[4]))
    plot(fit, xlim = c(-99, 99), xaxs = "i")
    expect_equal(graphics::par("usr")[1:2], c(-99, 99))
  })
  expect_identical(substr(look$col, 1, 7), group_colours[as.integer(iris$Species)])
  rows <- mixed_rows(150)
  expect_identical(sort(rows), 1:150)
  expect_gt(mean(diff(as.integer(iris$Species)[rows]) != 0), 0.5)
  expect_length(unique(mixed_rows(20000)), most_points)
  expect_lt(max(diff(sort(mixed_rows(20000)))), 20000 / most_points * 3)
})

test_that("far codes are put at the edge, and counted; not where the user set limits", {
  set.seed(1)
  z <- cbind(stats::rnorm(200), stats::runif(200))
  expect_identical(within_fences(z), list(z = z, beyond = logical(200)))
  far <- replace(z, c(1, 2), c(50, -50))
  seen <- within_fences(far)
  expect_identical(which(seen$beyond), 1:2)
  q <- stats::quantile(far[, 1], c(0.25, 0.75), names = FALSE)
  expect_equal(seen$z[1:2, 1], c(q[2] + 3 * diff(q), q[1] - 3 * diff(q)))
  expect_identical(seen$z[-(1:2), ], far[-(1:2), ])
  expect_identical(within_fences(far, c(TRUE, FALSE))$z, far)
  expect_identical(within_fences(far[1:99, ])$z, far[1:99, ])
  expect_identical(within_fences(cbind(c(rep(0, 160), 1:40)))$beyond, logical(200))
})

test_that("a group far out is not put at the edge: 2 % of the rows are at most, and they are counted", {
  set.seed(1)
  cluster <- seq_len(30) # 10 % of the rows, far out in z1, and three rows farther still in z2
  z <- cbind(stats::rnorm(300), stats::rnorm(300))
  z[cluster, 1] <- 40 + stats::rnorm(30)
  z[31:33, 2] <- c(200, 300, -400)
  seen <- within_fences(z)
  expect_lte(sum(seen$beyond), 0.02 * 300)
  expect_true(all(seen$beyond[31:33]))
  expect_gt(min(seen$z[cluster, 1]), 35)
  expect_identical(seen$z[!seen$beyond, ], z[!seen$beyond, ])
  picture <- list(z = structure(z, dimnames = list(NULL, c("z1", "z2"))), group = NULL, has_prior = TRUE)
  texts <- drawn_by({
    graphics::par(mar = c(3, 3, 1, 0.5), las = 1)
    draw_latent(picture, list())
  }, "C_mtext")
  expect_true(sprintf("%d of 300 rows beyond the edges", sum(seen$beyond)) %in% unlist(texts))
  expect_true("within the line: 95% of the prior" %in% unlist(texts))
})

test_that("groups have colours, and where these do not suffice, shapes or their letters", {
  look <- group_look(factor(rep(c("b", "a"), 3), c("b", "a")), list(), 6)
  expect_identical(look$key$text, c("b", "a"))
  expect_identical(look$key$col, group_colours[1:2])
  expect_equal(unique(look$pch), 16)
  ten <- factor(rep(0:9, 2))
  look <- group_look(ten, list(), 20)
  expect_identical(look$pch, as.character(ten))
  expect_identical(look$key$col, group_colours[c(1:7, 1:3)])
  words <- factor(paste("level", 10:19))
  look <- group_look(words, list(), 10)
  expect_equal(look$key$pch, rep(c(16, 17), c(7, 3)))
  expect_identical(anyDuplicated(look$key[c("col", "pch")]), 0L)
  most <- group_values(sprintf("level %02d", seq_len(most_groups)))
  expect_identical(anyDuplicated(group_look(most, list(), 35)$key[c("col", "pch")]), 0L)
  own <- group_look(factor(c("a", "b", NA)), list(col = c("red", "blue"), pch = c(3, 4), cex = 2), 3)
  expect_identical(own$key$col, c("red", "blue", "#999999"))
  expect_equal(own$pch[1:2], c(3, 4))
  expect_equal(own$cex, 2)
  expect_identical(own$key$text[3], "missing")
  expect_identical(group_look(factor(1:2), list(col = 2:3), 2)$key$col, grDevices::palette()[2:3])
})

test_that("numbers have a scale, the ends of which are theirs", {
  look <- group_look(c(3, 1, NA, 2), list(), 4)
  expect_equal(look$ends, c(1, 3))
  expect_identical(substr(look$col, 1, 7), c(look$palette[c(101, 1)], "#BBBBBB", look$palette[51]))
  light <- grDevices::convertColor(t(grDevices::col2rgb(look$palette)) / 255, "sRGB", "Lab")[, 1]
  expect_true(all(diff(light) > 0)) # also without colours
  ends <- group_look(1:3 + 0, list(col = c("#FFFFFF", "#000000")), 3)
  expect_identical(substr(ends$col[c(1, 3)], 1, 7), c("#FFFFFF", "#000000"))
  expect_silent(group_look(c(2, 2), list(), 2))
})

test_that("a group may have the rows that were omitted, too", {
  fit <- quick_ae(~ Ozone + Solar.R + Wind, airquality, na.action = na.omit)
  expect_lt(fit$n_obs, 153)
  expect_identical(latent_picture(fit, environment(), airquality$Month, "x")$group,
                   as.double(airquality$Month[-fit$na.action]))
  expect_length(latent_picture(fit, environment(), airquality$Month[-fit$na.action], "x")$group, fit$n_obs)
  expect_identical(group_label(quote(iris$Species)), "Species")
  expect_identical(group_label(quote(iris[["Species"]])), "Species")
  expect_identical(group_label(quote(iris$Species[rows])), "Species")
  expect_identical(group_label(quote(iris[, 5])), "group")
  expect_identical(group_label(quote(groups[[name]])), "group")
  expect_identical(group_label(quote(kind)), "kind")
  expect_identical(group_label(quote(rowSums(x))), "group")
})

test_that("mistakes with a group are named before anything is drawn", {
  fit <- quick_ae(iris)
  untouched <- function(call, words) {
    drawn({
      expect_error(call, words)
      expect_error(graphics::lines(1, 1), "plot.new")
    })
  }
  untouched(plot(fit, group = iris$Species[-1]), "`group` must have a value for each of the 150 training rows, not 149")
  untouched(plot(fit, c("history", "latent"), group = 1), "`group` must have a value")
  untouched(plot(fit, group = iris["Species"]), "`group` must be a vector .* not a data frame of 150 rows")
  bad <- structure(rep(1:3, 50), levels = "a", class = "factor")
  untouched(plot(fit, group = bad), "`group` is a factor whose codes or levels are malformed")
  untouched(plot(fit, group = Sys.Date() + 1:150), "`group` must be a vector .*\"Date\"")
  untouched(plot(fit, group = sum), "`group` must be a vector .*\"function\"")
  untouched(plot(fit, group = rep(NA, 150)), "no value that is not missing")
  untouched(plot(fit, group = paste(1:150)), "150 levels, and no more than 35")
  untouched(plot(fit, "history", group = iris$Species),
            "`group` does not apply to `which` = \"history\": it belongs to \"latent\"")
  untouched(plot(fit, "latent", dim = c(8, 8)),
            "`dim` does not apply .* belongs to \"reconstruction\", \"grid\", \"simulation\"")
  untouched(plot(fit, grup = 1), "no argument `grup`; did you mean \"group\"")
  untouched(plot(fit, "fit"),
            "`which` must be one of \"latent\", \"history\", \"network\", \"reconstruction\", \"simulation\"")
  nn <- fit_nn(mpg ~ wt, mtcars, epochs = 2)
  untouched(plot(nn, "latent"), "`which` must be one of \"history\", \"network\", \"fit\"")
  untouched(plot(nn, group = 1:32), "`group` does not apply to `which` = \"history\"")
})

test_that("keys fill their room and cover nothing", {
  place <- place_entries(rep(0.5, 3), c(5, 0.2))
  expect_equal(place$rows, 1)
  expect_equal(place$cex, 0.9)
  expect_equal(place$left, c(0, 0.8, 1.6))
  stacked <- place_entries(rep(0.5, 3), c(5, 5), stacked = TRUE)
  expect_equal(stacked$row, 1:3)
  expect_equal(place_entries(rep(0.1, 10), c(5, 1.4), TRUE)$rows, 5)
  for (k in c(1, 7, 35)) for (room in list(c(5, 0.4), c(2, 0.2), c(1, 3))) {
    place <- place_entries(rep(0.7, k), room)
    expect_lte(place$cex * place$wide, room[1] + 1e-9)
    expect_lte(place$cex * place$rows * 0.2, room[2] + 1e-9)
  }
  look <- group_look(iris$Species, list(), 150)
  drawn({
    graphics::par(mar = c(3, 3, 1, 1))
    graphics::plot.new()
    limits <- with_key_room(c(0, 1), look, "Species")
    key <- key_height(look, "Species") / graphics::par("pin")[2]
    expect_gt((limits[2] - 1) / limits[2], key)
    graphics::par(mar = c(3, 3, 4, 1))
    expect_identical(with_key_room(c(0, 1), look, "Species"), c(0, 1))
  })
})

test_that("strips are apart, the first level on top", {
  y <- strip_heights(iris$Species)
  expect_true(all(abs(y - rep(3:1, each = 50)) <= 0.3))
  expect_equal(round(strip_heights(factor(c("a", NA, "b")))), c(3, 1, 2))
})

test_that("panels have their data within, ticks at their values", {
  scale <- box_scale(c(-3, 10), 1, 2)
  expect_equal(scale$place(3.5), 2)
  expect_true(all(scale$place(c(-3, 10)) > 1 & scale$place(c(-3, 10)) < 3))
  expect_true(all(scale$place(scale$ticks) > 1 & scale$place(scale$ticks) < 3))
  expect_gte(length(scale$ticks), 2)
  expect_true(all(is.finite(box_scale(c(2, 2), 0, 1)$place(2))))
})

test_that("columns are reconstructed as reconstruct() does, the worst first, at most nine", {
  data <- mixed_columns()
  fit <- quick_ae(data, family = c(count = "poisson"))
  picture <- reconstruction_picture(fit, environment(), NULL, NULL)
  errors <- colMeans(predict(fit, data, type = "error", per_variable = TRUE))
  names <- vapply(picture$columns, function(c) c$name, "")
  expect_identical(names, names(sort(-errors)))
  columns <- stats::setNames(picture$columns, names)
  again <- reconstruct(fit)
  for (name in c("number", "count")) {
    expect_equal(columns[[name]]$observed, as.double(data[[name]]))
    expect_equal(columns[[name]]$reconstructed, again[[name]])
  }
  for (name in c("logical", "two", "three", "text")) {
    expect_identical(columns[[name]]$observed, as.character(data[[name]]))
    expect_identical(columns[[name]]$reconstructed, as.character(again[[name]]))
  }
  gaps <- reconstruction_picture(quick_ae(airquality), environment(), NULL, NULL)
  ozone <- Filter(function(c) c$name == "Ozone", gaps$columns)[[1]]
  expect_equal(ozone$observed, as.double(airquality$Ozone))
  eleven <- reconstruction_picture(quick_ae(mtcars), environment(), NULL, NULL)
  expect_length(eleven$columns, 9)
  expect_equal(eleven$n, 11)
})

test_that("images are as one looks at them, originals as given and reconstructions as reconstructed", {
  data <- few_digits()
  fit <- quick_ae(data[-1])
  rows <- c(3, 100)
  picture <- reconstruction_picture(fit, environment(), c(8, 8), rows)
  expect_equal(picture$images$observed[[2]][1, ], unlist(data[100, 1 + 1:8], use.names = FALSE)) # the top row
  expect_equal(picture$images$observed[[1]][, 8], unlist(data[3, 1 + 8 * 1:8], use.names = FALSE)) # the right column
  again <- unlist(reconstruct(fit, data[3, -1]), use.names = FALSE)
  expect_equal(picture$images$reconstructed[[1]], matrix(again, 8, 8, byrow = TRUE))
  expect_equal(picture$ends, range(data[rows, -1]))
  wide <- reconstruction_picture(fit, environment(), c(4, 16), NULL)
  expect_equal(dim(wide$images$observed[[1]]), c(4, 16))
  expect_length(wide$images$observed, 12)
  expect_equal(range(as.integer(wide$rows)), c(1, 300))
  raster <- as.matrix(image_raster(rbind(c(0, 16), c(8, 99)), grDevices::grey(16:0 / 16), c(0, 16)))
  expect_identical(raster, rbind(c("#FFFFFF", "#000000"), c(grDevices::grey(0.5), "#000000")))
  expect_silent(drawn(plot(fit, "reconstruction", dim = c(8, 8), rows = 1:40, col = c("navy", "white"), main = "m")))
  expect_silent(drawn(plot(fit, "reconstruction", dim = c(64, 1), rows = 5), 4, 3))
})

test_that("images are as large as they can be", {
  place <- place_images(12, c(8, 8), c(6.5, 3.3), 0.15)
  expect_equal(place$per_line * place$lines, 12)
  expect_lte(place$per_line * 8 * place$pixel, 6.5)
  expect_lte(place$lines * (2 * 8 * place$pixel + 0.15), 3.3)
  expect_equal(place_images(1, c(8, 8), c(6, 3), 0)$per_line, 1)
  expect_equal(place_images(4, c(1, 100), c(6, 6), 0.1)$per_line, 1)
})

test_that("mistakes with images are named", {
  fit <- quick_ae(few_digits()[-1])
  refused <- function(words, ...) expect_error(drawn(plot(fit, "reconstruction", ...)), words)
  refused("`dim` = c\\(8, 9\\) makes 72 pixels, but the model has 64 columns", dim = c(8, 9))
  refused("`dim` must be the height and width", dim = 64)
  refused("`dim` must be the height and width", dim = c(-8, -8))
  refused("`dim` must be the height and width", dim = "8x8")
  refused("`rows` must be numbers of training rows, from 1 to 300", dim = c(8, 8), rows = 301)
  refused("`rows` must be numbers", dim = c(8, 8), rows = c(1, NA))
  refused("no training row named \"x\"", dim = c(8, 8), rows = "x")
  refused("`rows` are 101", dim = c(8, 8), rows = 1:101)
  refused("give `dim`, too", rows = 1)
  expect_error(drawn(plot(quick_ae(iris), "reconstruction", dim = c(1, 5))), "column `Species` is none")
  cars <- quick_ae(mtcars)
  expect_identical(reconstruction_picture(cars, environment(), c(1, 11), "Fiat 128")$images$observed[[1]][1, 1],
                   mtcars["Fiat 128", "mpg"])
})

test_that("the network of an autoencoder has its latent and tied layers", {
  fit <- kinds_of_ae()$tied
  net <- network_of(fit)
  expect_equal(net$sizes, c(11, 5, 4, 3, 4, 5, 11))
  expect_equal(net$weights[4:6], lapply(net$weights[3:1], t))
  expect_identical(net$captions, list(
    c("11 inputs", "noise 0.1"), c("5 units", "silu"), c("4 units", "silu"),
    c("3 units", "latent", "contract 0.1", "sparse 0.1"), c("4 units", "tied", "silu"), c("5 units", "tied", "silu"),
    c("11 outputs", "gaussian", "tied")))
  expect_identical(net$outputs, names(mtcars))
  mixed <- network_of(kinds_of_ae()$gaps)
  expect_identical(mixed$outputs, names(airquality))
  expect_identical(mixed$inputs, c(names(airquality), "Ozone.missing", "Solar.R.missing"))
  classes <- network_of(quick_ae(iris, hidden = 0))
  expect_identical(classes$outputs, c(names(iris)[1:4], paste0("Species.", levels(iris$Species))))
  expect_identical(classes$captions[[2]], c("2 units", "latent"))
})

test_that("an autoencoder's network decodes as it does", {
  fit <- quick_ae(iris[1:4], hidden = 5)
  net <- network_of(fit)
  bias <- lapply(which(fit$layout$role == "bias"), function(i) fit$theta[leaf_index(fit$layout[i, ])])
  silu <- function(x) x / (1 + exp(-x))
  h <- net$weights[[1]] %*% t(scale(iris[1:4])) + bias[[1]]
  z <- net$weights[[2]] %*% silu(h) + bias[[2]]
  expect_equal(t(z), encode(fit), ignore_attr = TRUE)
  x <- net$weights[[4]] %*% silu(net$weights[[3]] %*% z + bias[[3]]) + bias[[4]]
  expect_equal(t(x) %*% diag(apply(iris[1:4], 2, stats::sd)) + rep(colMeans(iris[1:4]), each = 150),
               as.matrix(reconstruct(fit)), ignore_attr = TRUE)
})

test_that("principal components are beside the codes, with their shares of variance", {
  fits <- kinds_of_ae()
  comparisons <- lapply(fits[c("two", "one", "three", "five", "column", "mixed")], compare_pca)
  for (x in comparisons) for (which in names(pca_plot_table)) {
    expect_silent(drawn(plot(x, which)))
    expect_silent(drawn(plot(x, which), 4, 3))
  }
  expect_invisible(drawn(plot(comparisons$two)))
  expect_identical(drawn(plot(comparisons$two, c("scree", "scores"), group = iris$Species)), comparisons$two)
  x <- comparisons$two
  picture <- scores_picture(x, environment(), iris$Species, "Species")
  share <- summary(stats::prcomp(iris[1:4], scale. = TRUE))$importance[2, ]
  expect_identical(picture$names[1:2], sprintf("PC%d (%.0f%%)", 1:2, 100 * share[1:2]))
  expect_equal(picture$ae, encode(fits$two), ignore_attr = TRUE)
  expect_silent(drawn(plot(compare_pca(fits$two, iris[1:20, ]))))
  drawn({
    plot(x, xlim = c(0, 5), xaxs = "i")
    expect_equal(graphics::par("usr")[1:2], c(0, 5))
  })
})

test_that("where rows were held out, the group is that of all or of the others", {
  fit <- kinds_of_ae()$three
  x <- compare_pca(fit)
  expect_length(fit$held_out, 30)
  expect_equal(x$scores$ae, encode(fit)[x$rows, ])
  group <- scores_picture(x, environment(), iris$Species, "Species")$group
  expect_identical(group, iris$Species[-fit$held_out])
  expect_identical(scores_picture(x, environment(), iris$Species[x$rows], "Species")$group, group)
  expect_error(drawn(plot(x, "scores", group = 1:100)), "for each of the 150 training rows, not 100")
  expect_error(drawn(plot(x, group = iris$Species)), "`group` does not apply to `which` = \"scree\"")
  expect_error(drawn(plot(x, "score")), "`which` must be one of \"scree\", \"scores\".*did you mean \"scores\"")
  expect_error(drawn(plot(x, "scores", gruop = 1)), "no argument `gruop`; did you mean \"group\"")
})
