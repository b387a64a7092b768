# Pictures of variational autoencoders: the ELBO's parts, what the prior's codes decode to, and simulated rows.

quick_vae <- function(..., epochs = 3) {
  set.seed(1)
  suppressWarnings(fit_vae(..., epochs = epochs, keep_data = TRUE))
}

kinds_of_vae <- function() {
  mixed <- data.frame(number = mtcars$mpg, count = as.integer(mtcars$carb), logical = mtcars$am == 1, one = mtcars$vs,
                      three = factor(mtcars$cyl), text = as.character(mtcars$gear), whole = as.integer(mtcars$hp))
  mixed$count[3] <- NA
  list(
    two = quick_vae(iris, latent = 2, margins = "normal"),
    one = quick_vae(iris[1:4], sigma = "hetero", latent = 1, validation = 0.2),
    given = quick_vae(Sepal.Length + Sepal.Width + Species ~ Petal.Length + Petal.Width, iris, latent = 3),
    mixed = quick_vae(mixed, latent = 2, family = c(count = "poisson", one = "bernoulli")),
    line = quick_vae(mixed, latent = 1),
    beta = quick_vae(mtcars, latent = 2, beta = 4, kl_warmup = 2, validation = 0.25),
    matrix = quick_vae(as.matrix(mtcars), latent = 5),
    counts = quick_vae(mixed["count"], family = "negative_binomial", latent = 1, weights = rep(0:1, 16))
  )
}

test_that("variational autoencoders, also conditional ones, have the same pictures", {
  skip_if_again()
  fits <- kinds_of_vae()
  for (fit in fits) {
    expect_identical(pictures_of(fit), c("latent", "history", "network", "reconstruction", "grid", "simulation"))
    newdata <- if (!is.null(fit$design$given)) iris[1, ]
    for (size in list(c(7, 5), c(4, 3), c(5, 5))) for (which in pictures_of(fit))
      expect_silent(drawn(plot(fit, which, newdata = if (which == "grid") newdata), size[1], size[2]))
    if (fit$n_obs == 150) expect_silent(drawn(plot(fit, group = iris$Species)))
    expect_identical(latent_picture(fit, environment(), NULL, "")$z, fit$codes)
  }
  expect_identical(network_of(fits$one)$outputs, c(names(iris)[1:4], paste("log sd of", names(iris)[1:4])))
  net <- network_of(fits$given)
  expect_equal(net$sizes, c(7, 32, 5, 32, 5)) # the codes and what is given are five units
  expect_equal(lapply(net$weights, dim), list(c(32L, 7L), c(5L, 32L), c(32L, 5L), c(5L, 32L)))
  expect_identical(which(rowSums(is.na(net$weights[[2]])) > 0), 4:5)
  expect_identical(net$captions[[3]], c("3 units", "latent means", "2 given"))
  expect_true(all(edges_between(net$weights[[2]], 1:2, 1:5)$to <= 3))
  picture <- reconstruction_picture(fits$given, environment(), NULL, NULL)
  length <- Filter(function(c) c$name == "Sepal.Length", picture$columns)[[1]]
  expect_equal(length$reconstructed, reconstruct(fits$given)$Sepal.Length)
})

test_that("graphical parameters and random numbers are as they were, also where there were none", {
  fits <- kinds_of_vae()[c("two", "one", "mixed", "beta")]
  set.seed(3)
  before <- .Random.seed
  drawn({
    graphics::par(mar = c(4, 5, 3, 2), las = 2)
    graphics::plot.new()
    settings <- c("mar", "mai", "oma", "mfrow", "xpd", "mgp", "las", "cex", "new", "tcl", "plt", "pin")
    par <- graphics::par(settings)
    for (fit in fits) for (which in pictures_of(fit)) {
      plot(fit, which)
      expect_equal(graphics::par(settings), par, label = which)
    }
    for (which in c("grid", "simulation")) {
      plot(fits$beta, which, dim = c(1, 11))
      expect_equal(graphics::par(settings), par)
    }
  })
  expect_identical(.Random.seed, before)
  rm(".Random.seed", envir = globalenv())
  drawn(plot(fits$two, "simulation"))
  expect_false(exists(".Random.seed", globalenv(), inherits = FALSE))
  assign(".Random.seed", before, envir = globalenv())
  expect_error(keep_random(stop(stats::runif(1))))
  expect_identical(.Random.seed, before)
})

test_that("the panels of a user are filled one after the other", {
  fit <- quick_vae(iris[1:2])
  drawn({
    graphics::par(mfrow = c(3, 2))
    plot(fit, c("history", "latent"))
    expect_identical(graphics::par("mfg")[1:2], c(1L, 2L))
    plot(fit, "grid", dim = c(1, 2))
    plot(fit, "simulation", dim = c(1, 2))
    expect_identical(graphics::par("mfg")[1:2], c(2L, 2L))
    plot(fit, "grid")
    expect_identical(graphics::par("mfg")[1:2], c(3L, 2L))
  })
})

test_that("graphical arguments are taken", {
  fits <- list(quick_vae(iris[1:4]), quick_vae(iris[1:4], latent = 1))
  expect_silent(drawn(for (fit in fits) {
    plot(fit, "history", main = "m", col = c("black", "red"), lwd = 2, lty = 3, log = "x", xlim = c(1, 4), ylab = "y",
         xlab = "passes", ylim = c(-10, 0), cex = 2, las = 0, type = "b", pch = 3)
    plot(fit, "history", axes = FALSE)
    plot(fit, "grid", main = "m", col = c("white", "red", "black"), las = 0, xlab = "a", ylab = "b", xaxt = "n")
    plot(fit, "grid", dim = c(1, 4), col = c("navy", "white"), xlab = "a", cex.axis = 0.5, axes = FALSE)
    plot(fit, "simulation", main = NULL, col = c("black", "red"), lwd = 3, axes = FALSE)
  }))
})

test_that("the history has the ELBO's parts, in nats per row, and the loss where it is another", {
  fits <- kinds_of_vae()
  lines <- elbo_lines(fits$two)
  expect_identical(colnames(lines$above), c("log-likelihood", "ELBO"))
  expect_equal(lines$above[, "ELBO"], lines$above[, "log-likelihood"] - lines$kl[, "KL"])
  expect_equal(lines$above[, "ELBO"], -fits$two$history$loss)
  beta <- elbo_lines(fits$beta)
  expect_identical(colnames(beta$above), c("log-likelihood", "ELBO", "minus loss", "held out"))
  expect_equal(beta$above[, "minus loss"], beta$above[, "log-likelihood"] - 4 * beta$kl[, "KL"])
  expect_equal(beta$above[, "held out"], -fits$beta$history$val_loss)
  set.seed(1)
  bayes <- suppressWarnings(fit_bayes_nn(mpg ~ wt, mtcars, posterior = "meanfield", epochs = 5))
  expect_equal(elbo_lines(bayes)$kl[, "KL"], bayes$history$kl_weights)
  expect_silent(drawn(plot(bayes, "history"), 4, 3))
  linearised <- fit_bayes_nn(mpg ~ wt, mtcars, epochs = 5)
  expect_silent(drawn(plot(linearised, "history"), 4, 3))
  expect_silent(drawn(plot(members(linearised)[[1]], "history"), 4, 3))
  expect_false(has_elbo(fit_nn(mpg ~ wt, mtcars, epochs = 2)))
  looks <- elbo_looks(100, list(col = c("black", "red")))
  expect_identical(looks[c("ELBO", "minus loss", "held out", "KL"), "col"], c("black", "black", "red", "#CC79A7"))
  fit <- fits$beta
  fit$history$nll[1] <- Inf
  fit$history$val_loss[2] <- NaN
  expect_silent(drawn(plot(fit, "history")))
  drawn({
    plot(fits$two, "history")
    expect_true(all(graphics::par("usr")[1:2] - c(1, 3) < c(0.1, 0.1)))
  })
})

test_that("the grid has the images of its codes, upright, the least codes at the lower left", {
  skip_if_again()
  fit <- quick_vae(digits[seq_len(300), -1], latent = 3)
  picture <- grid_picture(fit, environment(), c(8, 8), NULL, NULL)
  z <- stats::qnorm(stats::ppoints(15))
  expect_equal(picture$z, z)
  expect_identical(picture$names, c("z1", "z2"))
  expect_identical(picture$others, "z3")
  expect_equal(dim(picture$mosaic), c(120, 120))
  image_at <- function(i, j) picture$mosaic[8 * (15 - j) + 1:8, 8 * (i - 1) + 1:8]
  for (at in list(c(1, 1), c(15, 1), c(4, 11))) {
    row <- unlist(decode(fit, c(z[at], 0)), use.names = FALSE)
    expect_equal(image_at(at[1], at[2]), matrix(row, 8, 8, byrow = TRUE))
  }
  expect_equal(picture$ends, c(0, 16))
  turned <- grid_picture(fit, environment(), c(8, 8), c(3, 1), NULL)
  expect_identical(turned$names, c("z3", "z1"))
  expect_equal(turned$mosaic[113:120, 113:120],
               matrix(unlist(decode(fit, c(z[1], 0, z[15]))), 8, 8, byrow = TRUE))
  row <- grid_picture(fit, environment(), c(8, 8), 2, NULL)
  expect_equal(dim(row$mosaic), c(8, 120))
  expect_equal(row$mosaic[, 1:8], matrix(unlist(decode(fit, c(0, z[1], 0))), 8, 8, byrow = TRUE))
  expect_silent(drawn(plot(fit, "grid", dim = c(8, 8), dims = 2:3)))
  expect_silent(drawn(plot(fit, "grid", dim = c(2, 32), dims = 2), 4, 3))
  drawn({
    plot(fit, "grid", dim = c(4, 16))
    expect_equal(graphics::par("usr"), c(0.5, 15.5, 0.5, 15.5))
  })
  tiles <- drawn_by(plot(fit, "grid", dim = c(8, 8)), "C_raster")
  expect_length(tiles, 225)
  shades <- image_raster(picture$mosaic, grDevices::colorRampPalette(c("white", "black"))(256), c(0, 16))
  expect_identical(as.matrix(tiles[[1]][[1]]), as.matrix(shades)[113:120, 1:8]) # the least codes
  ends <- vapply(tiles, function(tile) unlist(tile[2:5]), numeric(4)) # left, bottom, right, top
  expect_true(all(ends[3:4, ] - ends[1:2, ] < 1)) # gaps, for images are 1 apart
})

test_that("columns are decoded where decode() says, numbers and levels", {
  fit <- kinds_of_vae()$mixed
  picture <- grid_picture(fit, environment(), NULL, NULL, NULL)
  codes <- grid_codes(picture$z, 1:2, 2)
  expect_equal(codes[2, ], picture$z[c(2, 1)])
  out <- decode(fit, codes[c(1, 101, 5000, 10201), ])
  columns <- stats::setNames(picture$columns, names(out))
  at <- c(1, 101, 5000, 10201)
  expect_equal(columns$number$values[at, 1], out$number)
  expect_equal(columns$count$values[at, 1], out$count)
  expect_identical(columns$one$name, "probability of one")
  for (name in c("logical", "three", "text")) {
    level <- columns[[name]]$levels[max.col(columns[[name]]$values[at, ], ties.method = "first")]
    expect_identical(level, as.character(out[[name]]))
  }
  expect_length(grid_picture(quick_vae(mtcars), environment(), NULL, NULL, NULL)$columns, 9)
  colours <- mixed_levels(rbind(c(1, 0), c(0, 1), c(0.5, 0.5)), c("#000000", "#FF0000"))
  dark <- grDevices::col2rgb(colours)
  expect_true(dark["green", 1] < 30 && dark["red", 2] == 255 && all(dark[, 3] > 210))
  expect_equal(labelled_places(15, 0.9), 1:15)
  expect_equal(labelled_places(15, 1.5), seq(1, 15, 2))
  expect_equal(labelled_places(15, 5), c(1, 8, 15))
  expect_equal(labelled_places(15, 50), c(1, 15))
})

test_that("conditional models are decoded given one row", {
  fit <- kinds_of_vae()$given
  given <- data.frame(Petal.Length = 4, Petal.Width = 1.5)
  picture <- grid_picture(fit, environment(), NULL, NULL, given)
  out <- decode(fit, cbind(picture$z[1:2], picture$z[1], 0), newdata = given)
  expect_equal(picture$columns[[1]]$values[1:2, 1], out$Sepal.Length)
})

test_that("the prior has its place among the codes", {
  expect_equal(unique(round(rowSums(prior_circle()^2), 9)), round(stats::qchisq(0.95, 2), 9))
  expect_equal(stats::pnorm(prior_ends()), c(0.025, 0.975))
  prior <- prior_counts(seq(-1, 1, 0.5), 100)
  expect_equal(sum(prior$counts) * diff(prior$z[1:2]) / 0.5, 100, tolerance = 0.01)
  expect_true(latent_picture(quick_vae(iris), environment(), NULL, "")$has_prior)
  drawn({
    plot(quick_vae(iris, latent = 2))
    expect_true(all(abs(graphics::par("usr")) > sqrt(stats::qchisq(0.95, 2))))
  })
})

test_that("simulated rows are those of simulate(), real ones the training data", {
  fits <- kinds_of_vae()
  set.seed(5)
  picture <- simulation_picture(fits$two, environment(), NULL, NULL)
  rows <- simulate(fits$two, 150)
  shares <- picture$columns[[5]]$shares
  expect_equal(shares[, "training"], rep(1 / 3, 3))
  expect_equal(shares[, "simulated"], as.vector(table(rows$Species)) / 150)
  length <- picture$columns[[1]]
  again <- stats::density(iris$Sepal.Length, from = length$x[1], to = length$x[512])
  expect_equal(length$y[, "training"], again$y)
  again <- stats::density(rows$Sepal.Length, bw = again$bw, from = length$x[1], to = length$x[512])
  expect_equal(length$y[, "simulated"], again$y)
  columns <- simulation_picture(fits$mixed, environment(), NULL, NULL)$columns
  names(columns) <- vapply(columns, function(c) c$name, "")
  expect_equal(columns$count$shares[match("4", columns$count$labels), "training"][[1]],
               mean(mtcars$carb[-3] == 4))
  expect_identical(columns$one$labels, c("0", "1"))
  expect_equal(columns$one$shares[2, "training"][[1]], mean(mtcars$vs))
  expect_identical(columns$logical$labels, c("FALSE", "TRUE"))
  expect_null(columns$whole$shares)
  for (c in columns) if (!is.null(c$shares)) expect_equal(unname(colSums(c$shares)), c(1, 1))
  weighted <- simulation_picture(fits$counts, environment(), NULL, NULL)$columns[[1]]
  expect_equal(weighted$shares[match("4", weighted$labels), "training"][[1]], mean(mtcars$carb[2 * 1:16] == 4))
})

test_that("simulated images stand beside the rows that are asked for", {
  data <- digits[seq_len(200), -1]
  fit <- quick_vae(data)
  set.seed(4)
  picture <- simulation_picture(fit, environment(), c(8, 8), c(7, 9))
  simulated <- as.matrix(simulate(fit, 2))
  expect_equal(picture$images$observed[[2]], matrix(unlist(data[9, ]), 8, 8, byrow = TRUE))
  expect_equal(picture$images$simulated[[2]], matrix(simulated[2, ], 8, 8, byrow = TRUE), ignore_attr = TRUE)
  expect_length(simulation_picture(fit, environment(), c(8, 8), NULL)$images$observed, 20)
  expect_silent(drawn(plot(fit, "simulation", dim = c(8, 8), rows = 1:7), 4, 3))
  set.seed(1)
  ae <- suppressWarnings(fit_ae(data, epochs = 2))
  expect_silent(drawn(plot(ae, "simulation", dim = c(8, 8))))
  place <- place_draws(20, c(8, 8), c(6.5, 3.3), 0.2)
  expect_equal(place$per_line * place$lines, 20)
  expect_lte(place$per_line * 8 * place$pixel, 6.5)
  expect_lte(2 * (place$lines * 8 * place$pixel + 0.2), 3.3)
})

test_that("counts are counted, many of them in intervals", {
  one <- list(a = 1, b = 1)
  few <- count_shares(list(a = c(0, 0, 2, 3), b = c(3, 4, 4, 5)), lapply(one, function(w) rep(0.25, 4)))
  expect_identical(few$labels, paste(0:5))
  expect_equal(few$shares, cbind(a = c(2, 0, 1, 1, 0, 0), b = c(0, 0, 0, 1, 2, 1)) / 4)
  many <- count_shares(list(a = 0:99, b = 50:149), list(a = rep(0.01, 100), b = rep(0.01, 100)))
  expect_lte(length(many$labels), most_counted)
  expect_equal(unname(colSums(many$shares)), c(1, 1))
  expect_match(many$labels[1], "^0-[0-9]+$")
  negative <- count_shares(list(a = c(-3, 0), b = c(1, 2)), list(a = c(0.5, 0.5), b = c(0.5, 0.5)))
  expect_identical(negative$labels, paste(-3:2))
})

test_that("conditional models simulate given the training rows' values", {
  set.seed(1)
  data <- data.frame(g = factor(rep(c("a", "b"), each = 100)), y = rep(c(0, 100), each = 100) + stats::rnorm(200))
  fit <- suppressWarnings(fit_vae(y ~ g, data, latent = 1, epochs = 60, subset = y < 101, keep_data = FALSE))
  columns <- simulation_picture(fit, environment(), NULL, NULL)$columns
  expect_gt(stats::cor(columns[[1]]$y)[2], 0.9) # both have the two peaks
  expect_silent(drawn(plot(fit, "simulation")))
  rm(data)
  expect_error(drawn(plot(fit, "simulation")), "keep_data = TRUE")
})

test_that("mistakes are named before anything is drawn", {
  fits <- kinds_of_vae()
  refused <- function(words, fit, ...) {
    drawn({
      expect_error(plot(fit, ...), words)
      expect_error(graphics::lines(1, 1), "plot.new")
    })
  }
  refused("The model is conditional: give `newdata`, a data frame of one row with \"Petal.Length\", \"Petal.Width\"",
          fits$given, "grid")
  refused("of one row with .*, not a data frame of 150 rows", fits$given, "grid", newdata = iris)
  refused("Petal.Width", fits$given, "grid", newdata = iris[1, 1:3])
  refused("`newdata` is for conditional models", fits$two, "grid", newdata = iris[1, ])
  refused("`dims` must be one or two of the latent units, from 1 to 2, not 3", fits$two, "grid", dims = 3)
  refused("`dims` must be", fits$two, "grid", dims = c(1, 1))
  refused("`dims` must be", fits$matrix, "grid", dims = 1:3)
  refused("`dims` must be", fits$two, "grid", dims = "z1")
  refused("`dims` does not apply .* belongs to \"grid\"", fits$two, "latent", dims = 1)
  refused("column `Species` is none", fits$two, "grid", dim = c(1, 5))
  refused("makes 10 pixels, but the model has 11 columns", fits$beta, "simulation", dim = c(2, 5))
  refused("give `dim`, too", fits$beta, "simulation", rows = 1)
  refused("`rows` must be numbers", fits$beta, "simulation", dim = c(1, 11), rows = 99)
  set.seed(1)
  ae <- suppressWarnings(fit_ae(iris, epochs = 1))
  refused("`which` must be one of", ae, "grid")
})

test_that("the network of a variational autoencoder has the means of its codes", {
  fit <- kinds_of_vae()$two
  net <- network_of(fit)
  expect_identical(net$captions[[3]], c("2 units", "latent means"))
  bias <- lapply(which(fit$layout$role == "bias" & fit$layout$head == 0),
                 function(i) fit$theta[leaf_index(fit$layout[i, ])])
  silu <- function(x) x / (1 + exp(-x))
  x <- cbind(scale(iris[1:4]), diag(3)[iris$Species, ])
  z <- net$weights[[2]] %*% silu(net$weights[[1]] %*% t(x) + bias[[1]]) + bias[[2]]
  expect_equal(t(z), encode(fit), ignore_attr = TRUE)
})

test_that("a name of an axis may have several lines of its own", {
  fit <- fit_vae(iris, epochs = 5)
  expect_no_warning(drawn(plot(fit, "latent", xlab = c(1, 1))))
})
