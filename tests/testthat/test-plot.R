# Pictures: that each is drawn for each kind of fit, what they compute, and that nothing is left changed.

hush <- function(expr) suppressWarnings(expr, classes = c("varnn_no_progress", "varnn_diverged"))
# A call, so that its data are found again.
quick <- function(...) {
  call <- match.call()
  call[[1]] <- quote(fit_nn)
  call$epochs <- 6
  set.seed(1)
  hush(eval(call, parent.frame()))
}
y3 <- as.matrix(mtcars)

counts_data <- function() data.frame(x = 1:40, n = rep(c(0, 1, 3, 5), 10))

kinds_of_fit <- function() {
  is_four <- data.frame(four = mtcars$cyl == 4, zero_one = mtcars$am, wt = mtcars$wt, hp = mtcars$hp)
  list(
    gaussian = quick(mpg ~ wt + hp, mtcars), linear = quick(mpg ~ ., mtcars, hidden = 0),
    validated = quick(mpg ~ wt + hp, mtcars, validation = 0.25),
    hetero = quick(dist ~ speed, cars, family = "gaussian_hetero"),
    logical = quick(four ~ wt + hp, is_four), zero_one = quick(zero_one ~ wt, is_four, family = "bernoulli"),
    share = quick(I(zero_one / 3) ~ wt, is_four, family = "bernoulli"), binary = quick(case ~ age, data.frame(
      case = factor(infert$case, labels = c("control", "case")), age = infert$age)),
    binomial = quick(cbind(ncases, ncontrols) ~ agegp, esoph, family = "binomial"),
    categorical = hush(fit_nn(Species ~ ., iris, weights = rep(1:3, 50), epochs = 6)),
    poisson = quick(n ~ x, counts_data(), family = "poisson"),
    negative_binomial = quick(n ~ x, counts_data(), family = "negative_binomial"),
    deep = quick(as.matrix(iris[1:4]), iris$Species, hidden = c(70, 5), dropout = c(0.1, 0), layer_norm = TRUE),
    two = quick(cbind(mpg, disp) ~ wt, mtcars), mixed = quick(iris[1:2], iris[3:5]), eleven = quick(y3[, 1:3], y3),
    names = quick(y ~ ., stats::setNames(data.frame(1:20, sin(1:20)), c("y", strrep("long", 30))))
  )
}

test_that("every picture of every kind of fit is drawn, at both sizes, without a word", {
  fits <- kinds_of_fit()
  for (kind in names(fits)) for (which in pictures_of(fits[[kind]])) {
    expect_silent(drawn(plot(fits[[kind]], which = which)))
    expect_silent(drawn(plot(fits[[kind]], which), 4, 3))
  }
  expect_silent(drawn(plot(fits$mixed, which = c("history", "network", "fit"))))
})

test_that("the fit comes back invisibly, and the graphical parameters are as they were", {
  fit <- quick(cbind(mpg, disp) ~ wt, mtcars, validation = 0.2)
  expect_invisible(drawn(plot(fit)))
  expect_identical(drawn(plot(fit, "network")), fit)
  irises <- quick(Species ~ ., iris)
  drawn({
    graphics::par(mar = c(4, 5, 3, 2), las = 2)
    graphics::plot.new()
    settings <- c("mar", "mai", "oma", "mfrow", "mfcol", "xpd", "mgp", "las", "cex", "pty", "new", "ask", "ann", "bg")
    before <- graphics::par(settings)
    for (which in pictures_of(fit)) {
      plot(fit, which)
      expect_identical(graphics::par(settings), before)
      plot(irises, which)
      expect_identical(graphics::par(settings), before)
    }
  })
})

test_that("the panels of a user are filled one after the other", {
  fit <- quick(cbind(mpg, disp) ~ wt, mtcars)
  drawn({
    graphics::par(mfrow = c(2, 2))
    plot(fit, which = c("history", "network", "fit"))
    expect_identical(graphics::par("mfg")[1:2], c(2L, 2L))
  })
})

test_that("plots leave the random numbers alone", {
  fit <- quick(y ~ x, data.frame(x = sin(1:6000), y = cos(1:6000)), hidden = 2)
  set.seed(3)
  before <- .Random.seed
  drawn(for (which in pictures_of(fit)) plot(fit, which))
  expect_identical(.Random.seed, before)
})

test_that("mistakes are named", {
  fit <- quick(mpg ~ wt, mtcars)
  expect_error(drawn(plot(fit, "histroy")),
               "`which` must be one of \"history\", \"network\", \"fit\", .*did you mean \"history\"")
  expect_error(drawn(plot(fit, c("fit", "net"))), "`which`")
  expect_error(drawn(plot(fit, character())), "`which`")
  expect_error(drawn(plot(fit, 1)), "`which` must be one of .*, not 1")
  expect_error(drawn(plot(fit, mian = "x")), "no argument `mian`; did you mean \"main\"")
  fit$theta <- fit$theta[-1]
  expect_error(drawn(plot(fit)), "damaged")
})

test_that("data that are not kept are found, or their absence is said", {
  # as after a short training on many rows
  without_eta <- function(fit) structure(utils::modifyList(unclass(fit), list(eta = NULL)), class = class(fit))
  local_fit <- function() {
    d <- data.frame(a = sin(1:30), b = cos(1:30))
    set.seed(1)
    fit_nn(b ~ a, d, epochs = 2)
  }
  fit <- without_eta(local_fit())
  expect_silent(drawn(plot(fit, "fit")))
  inputs <- as.matrix(mtcars[2:4])
  fit <- without_eta(fit_nn(inputs, mtcars$mpg, epochs = 2))
  expect_silent(drawn(plot(fit, "fit")))
  rm(inputs)
  expect_error(drawn(plot(fit, "fit")), "keep_data = TRUE")
})

test_that("graphical arguments are taken", {
  fit <- quick(mpg ~ wt, mtcars, validation = 0.2)
  irises <- quick(Species ~ ., iris)
  expect_silent(drawn({
    plot(fit, main = "A title", col = c("black", "red"), lwd = 2, lty = c("solid", "dashed"), log = "x", xlim = c(1, 4),
         xlab = "passes", ylab = "loss", cex = 2, las = 0, type = "b", pch = 3)
    plot(fit, "network", main = NULL, col = c("grey", "black"), lwd = 5, cex = 0.7)
    plot(fit, "fit", xlim = c(0, 40), ylim = c(0, 40), asp = 1, pch = 1, col = 2, xlab = "x", ylab = "y", main = "m")
    plot(irises, "fit", main = "A title", col = "black", xlab = "x", ylab = "y", cex = 0.5, cex.axis = 0.5,
         cex.main = 2)
  }))
  drawn({
    plot(fit, "fit", xlim = c(0, 40), xaxs = "i", log = "y")
    expect_equal(graphics::par("usr")[1:2], c(0, 40))
    expect_true(graphics::par("ylog"))
  })
})

test_that("the axes of the history hold both losses and are in their units", {
  fit <- quick(mpg ~ wt, mtcars, validation = 0.25)
  drawn({
    plot(fit)
    expect_equal(graphics::par("yaxp")[1:2] >= graphics::par("usr")[3], c(TRUE, TRUE))
    usr <- graphics::par("usr")
  })
  loss <- range(fit$history$loss, fit$history$val_loss)
  expect_equal(usr[3:4], loss + c(-0.04, 0.04) * diff(loss)) # R's own margin of 4 percent
  expect_equal(usr[1:2], c(1, 6) + c(-0.04, 0.04) * 5)
})

test_that("a history with values that are not finite is drawn, one without any is not offered", {
  fit <- quick(mpg ~ wt, mtcars, validation = 0.25)
  fit$history$loss[2] <- Inf
  fit$history$val_loss[3] <- NaN
  expect_silent(drawn(plot(fit)))
  fit$history <- fit$history[0, ]
  expect_silent(drawn(plot(fit)))
  expect_error(drawn(plot(fit, "history")), "must be one of \"network\", \"fit\"")
})

test_that("the confusion counts are those of table(), weights count as repeated rows", {
  fit <- quick(Species ~ ., iris)
  predicted <- predict(fit, type = "class")
  levels <- levels(iris$Species)
  expect_identical(predicted_level(fit$blocks[[1]], fit$eta, levels), as.character(predicted))
  counts <- confusion(iris$Species, predicted, levels)
  table <- table(observed = iris$Species, predicted = predicted)
  expect_equal(unclass(table), counts, ignore_attr = "class")
  expect_equal(accuracy_of(counts), mean(predicted == iris$Species))
  expect_equal(row_shares(counts), unclass(prop.table(table, 1)), ignore_attr = TRUE)
  w <- rep(c(0, 1, 2), 50)
  again <- rep(seq_len(150), w)
  expect_equal(confusion(iris$Species, predicted, levels, w), confusion(iris$Species[again], predicted[again], levels))
  expect_equal(sum(confusion(c(NA, "setosa"), c("setosa", "setosa"), levels)), 1)
  expect_equal(row_shares(matrix(0, 2, 2)), matrix(0, 2, 2))
})

test_that("responses of classes are told from numbers", {
  levels_of <- function(fit) class_levels(fit$blocks[[1]], fit$response)
  fits <- kinds_of_fit()
  expect_null(levels_of(fits$gaussian))
  expect_null(levels_of(fits$share))
  expect_null(levels_of(fits$poisson))
  expect_null(levels_of(fits$binomial))
  expect_identical(levels_of(fits$logical), c("FALSE", "TRUE"))
  expect_identical(levels_of(fits$zero_one), c("0", "1"))
  expect_identical(levels_of(fits$binary), c("control", "case"))
  expect_identical(predicted_level(fits$logical$blocks[[1]], fits$logical$eta, c("FALSE", "TRUE")),
                   ifelse(unname(predict(fits$logical, type = "response")) > 0.5, "TRUE", "FALSE"))
  expect_equal(observed_values(cbind(c(1, 0, 3), c(1, 4, 0))), c(0.5, 0, 1))
})

test_that("the network's weights are those that a forward pass by hand needs", {
  fit <- quick(cbind(mpg, disp) ~ wt + hp, mtcars, hidden = c(5, 3), activation = c("tanh", "relu"), layer_norm = FALSE)
  net <- network_of(fit)
  expect_equal(net$sizes, c(2, 5, 3, 2))
  expect_equal(lapply(net$weights, dim), list(c(5L, 2L), c(3L, 5L), c(2L, 3L)))
  bias <- lapply(which(fit$layout$role == "bias"), function(i) fit$theta[leaf_index(fit$layout[i, ])])
  h <- t(scale(mtcars[c("wt", "hp")], fit$scaling$center, fit$scaling$scale))
  h <- tanh(net$weights[[1]] %*% h + bias[[1]])
  h <- pmax(net$weights[[2]] %*% h + bias[[2]], 0)
  expect_equal(t(net$weights[[3]] %*% h + bias[[3]]), fit$eta, ignore_attr = TRUE)
  expect_identical(net$inputs, c("wt", "hp"))
  expect_identical(net$outputs, c("mpg", "disp"))
})

test_that("captions say what a layer is", {
  fits <- kinds_of_fit()
  expect_identical(network_of(fits$deep)$captions,
                   list("4 inputs", c("70 units", "layer norm", "relu", "dropout 0.1"),
                        c("5 units", "layer norm", "relu"), c("3 outputs", "categorical")))
  expect_identical(network_of(fits$linear)$captions, list("10 inputs", c("1 output", "gaussian")))
  expect_identical(network_of(fits$hetero)$outputs, c("dist", "log sd of dist"))
  expect_identical(network_of(fits$categorical)$outputs, levels(iris$Species))
  expect_identical(count_of(12000, "unit"), "12,000 units")
})

test_that("of large layers the first and the last units are drawn", {
  expect_identical(shown_units(16L, 16), 1:16)
  expect_equal(shown_units(64, 24), c(1:8, NA, 64))
  expect_equal(shown_units(64, 5), c(1:3, NA, 64))
  expect_equal(shown_units(4, 3), c(1, NA, 4))
  expect_equal(unit_heights(1, 3), 1.5)
  expect_equal(unit_heights(3, 3), c(2.5, 1.5, 0.5))
})

test_that("edges belong to the units that are drawn and are as wide as their weights", {
  w <- matrix(c(1, -2, 3, 0, 5, -10), 2) # [2 units, from 3]
  edges <- edges_between(w, c(1, NA, 3), 1:2)
  expect_equal(edges$weight, c(1, -2, 5, -10))
  expect_equal(edges$size, c(0.1, 0.2, 0.5, 1))
  expect_equal(w[cbind(edges$to, edges$from)], edges$weight)
  expect_equal(unique(edges$from), c(1, 3))
  expect_equal(edges_between(0 * w, 1:3, 1:2)$size, rep(0, 6))
  strong <- edge_colours(data.frame(weight = c(-1, 1, -1), size = c(1, 1, 0)), c("#D55E00", "#0072B2"))
  expect_identical(strong[1:2], c("#D55E00", "#0072B2"))
  expect_true(all(grDevices::col2rgb(strong[3]) > 220))
})

test_that("the network stays within its region, names and captions apart from each other", {
  for (fit in kinds_of_fit()[c("deep", "names", "linear", "eleven")]) drawn({
    graphics::plot.new()
    inches <- graphics::par("pin")
    net <- network_of(fit)
    place <- place_network(net, inches, 1)
    ends <- c(1, length(place$x))
    width <- mapply(function(text, cex) max(graphics::strwidth(text[!is.na(text)], "inches", cex = cex)),
                    place$names, place$name_cex)
    expect_gte(place$x[1] - width[1] - 1.6 * place$r, 0)
    expect_lte(place$x[ends[2]] + width[2] + 1.6 * place$r, inches[1])
    height <- place$name_cex * graphics::strheight("Ag", "inches")
    for (e in 1:2) expect_lte(height[e], inches[2] / length(place$y[[ends[e]]]))
    expect_true(all(2 * place$r < inches[2] / lengths(place$y)))
    caption <- vapply(net$captions, function(s) max(graphics::strwidth(s, "inches", cex = place$caption_cex)), 0)
    n <- length(caption)
    expect_true(all((caption[-1] + caption[-n]) / 2 < diff(place$x)))
  }, 4, 3)
})

test_that("long names lose their middle", {
  expect_identical(shorten(c("abc", "poly(displacement, 3)1", NA), 11), c("abc", "poly... 3)1", NA))
  expect_lte(max(nchar(shorten(strrep("x", 1:40), 9))), 9)
  expect_identical(shorten("abc", 3), "abc")
  drawn({
    graphics::plot.new()
    text <- fitted_text(c(strrep("wide", 20), "b"), 1)
    expect_lte(max(graphics::strwidth(text, "inches")), 1)
    expect_identical(text[2], "b")
  })
})

test_that("many rows are thinned evenly, the extremes kept", {
  expect_identical(evenly(c(3, 1, 2), 5), 1:3)
  y <- sin(1:10000)^3
  drawn <- evenly(y, 100)
  expect_length(unique(drawn), 100)
  expect_equal(range(y[drawn]), range(y))
  expect_equal(unname(quantile(y[drawn], 1:9 / 10)), unname(quantile(y, 1:9 / 10)), tolerance = 0.02)
  expect_null(sampled_note(10, 10))
  expect_identical(sampled_note(5000, 20000), "5,000 of 20,000 rows")
})

test_that("keys and panels have their places", {
  place <- place_key(c(1, 1), 6)
  expect_equal(place$cex, 0.9)
  expect_equal(mean(place$left) + 0.9 * (1.65 / 2 - 0.12), 3) # the middle of both entries
  expect_lte(place_key(rep(2, 3), 4)$cex * 3 * 2.65, 4)
  for (picture in list(c(7, 3.6), c(7, 7), c(4, 9))) for (n in 1:9) {
    grid <- panel_grid(n, picture)
    expect_gte(prod(grid), n)
    expect_lt(prod(grid - c(1, 0)), n) # no row is empty, no column
    expect_lt(prod(grid - c(0, 1)), n)
  }
  expect_equal(panel_grid(7, c(7, 3.6)), c(2, 4))
  expect_equal(panel_grid(9, c(7, 3.6)), c(3, 3))
  drawn({
    expect_equal(tick_las(c(0, 1)), 1)
    expect_equal(tick_las(c(0, 50000)), 0)
    graphics::par(mgp = c(2.3, 0.7, 0)) # the name of the axis is nearer
    expect_equal(tick_las(c(0, 0.15)), 0)
  })
})

test_that("ticks of epochs and components are whole numbers", {
  ticks <- function(expr) {
    axes <- drawn_by(expr, "C_axis")
    unlist(lapply(Filter(function(axis) axis[[1]] == 1 && !identical(axis$xaxt, "n"), axes), `[[`, 2))
  }
  set.seed(1)
  for (epochs in c(2, 3, 30)) {
    fit <- hush(fit_nn(mpg ~ wt, mtcars, epochs = epochs))
    at <- ticks(plot(fit))
    expect_identical(at, round(at))
    expect_gte(length(at), 2)
  }
  expect_null(ticks(plot(fit, xaxt = "n")))
  expect_null(ticks(plot(fit, axes = FALSE)))
})

# ---- Bayesian networks

test_that("pictures of Bayesian fits are drawn at both sizes, and leave the random numbers alone", {
  skip_if_again()
  quick_bayes <- function(...) hush(fit_bayes_nn(..., hidden = 3, epochs = 5, keep_data = TRUE))
  set.seed(40)
  counts <- counts_data()
  fits <- list(quick_bayes(dist ~ speed, cars, posterior = "meanfield"),
               quick_bayes(dist ~ speed, cars, posterior = "meanfield", sigma = "hetero"),
               quick_bayes(mpg ~ wt + hp, mtcars, posterior = "last_layer"),
               quick_bayes(n ~ x, counts, posterior = "meanfield"),
               quick_bayes(Species ~ ., iris, posterior = "lowrank"), quick_bayes(iris[1:2], iris[3:5]),
               quick_bayes(cbind(ncases, ncontrols) ~ agegp, esoph, family = "binomial"),
               quick_bayes(am == 1 ~ wt, mtcars),
               quick_bayes(dist ~ speed, transform(cars, w = speed), posterior = "full"),
               quick_bayes(n ~ x + offset(log(x)), counts, posterior = "meanfield"),
               quick_bayes(dist ~ speed, cars, posterior = "laplace", members = 1),
               quick_bayes(dist ~ speed, cars, posterior = "laplace", members = 1, sigma = "learned"))
  by_default <- list(quick_bayes(dist ~ speed, cars), quick_bayes(mpg ~ wt + hp, mtcars), quick_bayes(n ~ x, counts),
                     quick_bayes(iris[1:2], iris[3:4]), quick_bayes(n ~ x + offset(log(x)), counts))
  for (fit in c(fits, by_default)) {
    own <- c("fit", if (!inherits(fit, "varnn_mixture")) "weights")
    expect_true(all(own %in% pictures_of(fit)))
    set.seed(41)
    before <- get(".Random.seed", envir = globalenv())
    for (which in own) {
      expect_silent(drawn(plot(fit, which)))
      expect_silent(drawn(plot(fit, which), 4, 3))
    }
    expect_identical(get(".Random.seed", envir = globalenv()), before)
  }
  expect_false("weights" %in% pictures_of(quick(dist ~ speed, cars)))
  for (fit in by_default) expect_s3_class(fit, "varnn_mixture")
  expect_refused(plot(by_default[[1]], "weights"), "`which` must be one of \"history\", \"fit\"")
  expect_silent(drawn(plot(fits[[1]], "fit", main = "A title", col = "red", pch = 1, ylim = c(0, 100), xlab = "x")))
  expect_silent(drawn(plot(fits[[1]], "weights", main = "A title", col = "red", xlim = c(0.1, 10), xaxt = "n")))
})

test_that("the bands are those that predict() gives", {
  fit <- fit_bayes_nn(dist ~ speed, cars, hidden = 0, posterior = "last_layer")
  band <- fit_bands(fit, environment())[[1]]
  expect_identical(band$x, as.double(cars$speed))
  expect_equal(range(band$rows$x), range(cars$speed))
  new <- data.frame(speed = as.vector(band$rows$x))
  expect_equal(band$confidence[, "fit"], predict(fit, new), ignore_attr = TRUE, tolerance = 1e-10)
  for (interval in c("confidence", "prediction")) {
    set.seed(42)
    truth <- predict(fit, new, interval = interval, draws = 4000)
    expect_lt(max(abs(band[[interval]][, -1] - truth[, -1])) / stats::sd(cars$dist), 0.2)
    expect_lt(mean(abs(band[[interval]][, -1] - truth[, -1])) / stats::sd(cars$dist), 0.05)
  }
  several <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2)
  band <- fit_bands(several, environment())[[1]]
  expect_equal(band$confidence[, "fit"], fitted(several)[band$at], ignore_attr = TRUE)
})
