# Effects of predictors against the functions that an additive model is the sum of.

additive_data <- function(n = 300) {
  d <- data.frame(x = stats::runif(n, -2, 2))
  d$z <- d$x + stats::rnorm(n, 0, 0.3)
  d$g <- factor(sample(letters[1:4], n, TRUE), letters[1:5])
  d$flag <- d$x > 0.5
  d$day <- as.Date("2020-01-01") + sample(700, n, TRUE)
  d$y <- 2 * d$x - d$z + as.integer(d$g) + stats::rnorm(n)
  d
}

test_that("effects of an additive model are its functions", {
  set.seed(1)
  d <- additive_data()
  model <- stats::lm(y ~ x + z + g + flag + day, d)
  fit <- fit_nn(y ~ x + z + g + flag + day, d, hidden = 0)
  b <- stats::coef(model)
  ale <- effects(fit)
  expect_named(ale$effects, c("x", "z", "g", "flag", "day"))
  pd <- effects(fit, method = "pd")
  for (name in c("x", "z", "day")) {
    v <- as.double(d[[name]])
    e <- ale$effects[[name]]
    expect_equal(e$effect, b[[name]] * (as.double(e[[name]]) - mean(v)), tolerance = 1e-6)
    p <- pd$effects[[name]]
    expect_equal(p$effect, mean(stats::fitted(model)) + b[[name]] * (as.double(p[[name]]) - mean(v)), tolerance = 1e-6)
  }
  expect_s3_class(ale$effects$day$day, "Date")
  of_g <- c(0, b[c("gb", "gc", "gd")])
  expect_identical(ale$effects$g$g, factor(letters[1:4]))
  expect_equal(ale$effects$g$effect, unname(of_g - mean(of_g[as.integer(d$g)])), tolerance = 1e-6)
  expect_equal(diff(ale$effects$flag$effect), b[["flagTRUE"]], tolerance = 1e-5)
  expect_equal(diff(pd$effects$flag$effect), b[["flagTRUE"]], tolerance = 1e-5)
  # two predictors: nothing together beyond each, or the sum of both
  expect_lt(max(abs(effects(fit, "x:z")$effects[["x:z"]]$effect)), 1e-8)
  both <- effects(fit, "x:g", method = "pd")$effects[["x:g"]]
  at <- both$effect - b[["x"]] * both$x - of_g[as.integer(both$g)]
  expect_lt(diff(range(at)), 1e-6)
})

test_that("of any function of one predictor it is the function, centred", {
  set.seed(2)
  d <- additive_data(200)
  fit <- fit_nn(y ~ x, d, hidden = 5, epochs = 200)
  for (method in c("ale", "pd")) {
    e <- effects(fit, method = method)$effects$x
    expect_equal(e$effect - mean(e$effect), local({
      f <- unname(predict(fit, e))
      f - mean(f)
    }), tolerance = 1e-10)
  }
  # every row's own curve, too
  curves <- effects(fit, "x", method = "pd", individual = 3, points = 7)$individual$x
  expect_identical(dim(curves), c(21L, 3L))
  expect_equal(curves$effect, unname(predict(fit, curves["x"])), tolerance = 1e-10)
})

test_that("the joint effect of a product is its interaction", {
  set.seed(3)
  d <- data.frame(x = stats::runif(400), z = stats::rexp(400))
  d$y <- d$x * d$z
  fit <- fit_nn(y ~ x * z, d, hidden = 0)
  e <- effects(fit, "x:z")$effects[["x:z"]]
  x <- unique(e$x)
  z <- unique(e$z)
  m <- matrix(e$effect, length(x))
  expect_equal(diff(t(diff(m))), outer(diff(z), diff(x)), tolerance = 1e-6)
  # independent predictors: (x - mean) (z - mean), with cells' averages for means
  expect_equal(stats::cor(e$effect, (e$x - mean(d$x)) * (e$z - mean(d$z))), 1, tolerance = 0.01)
  both <- effects(fit, "x:z", method = "pd")$effects[["x:z"]]
  expect_equal(both$effect, both$x * both$z, tolerance = 1e-5)
  # cells without rows have the slope of their neighbours
  expect_identical(nearest_cells(matrix(c(TRUE, FALSE, FALSE, TRUE), 2), list(c(0, 1), c(0, 3))), c(1L, 1L, 4L, 4L))
})

# Written as the definitions have it.
slow_ale <- function(predict, d, name, edges) {
  n <- length(edges) - 1
  bin <- pmax(1, findInterval(d[[name]], edges, left.open = TRUE))
  steps <- vapply(seq_len(n), function(k) {
    own <- d[bin == k, ]
    at <- function(z) predict(replace(own, name, z))
    mean(at(edges[k + 1]) - at(edges[k]))
  }, 0)
  f <- c(0, cumsum(steps))
  f - mean(stats::approx(edges, f, d[[name]])$y)
}

test_that("effects of a network are those of the definitions", {
  set.seed(4)
  d <- additive_data(150)
  fit <- fit_nn(y ~ x + z + g, d, hidden = 4, epochs = 60)
  f <- function(new) unname(predict(fit, new))
  e <- effects(fit, "x")$effects$x
  expect_equal(e$effect, slow_ale(f, d, "x", e$x), tolerance = 1e-8)
  p <- effects(fit, c("z", "g", "z:g"), method = "pd", points = 9)
  expect_equal(p$effects$z$effect, vapply(p$effects$z$z, function(z) mean(f(replace(d, "z", z))), 0), tolerance = 1e-8)
  expect_equal(p$effects$g$effect, vapply(letters[1:4], function(g) mean(f(replace(d, "g", g))), 0),
               tolerance = 1e-8, ignore_attr = "names")
  two <- p$effects[["z:g"]][c(3, 20), ]
  expect_equal(two$effect, vapply(1:2, function(i) mean(f(replace(d, c("z", "g"), list(two$z[i], two$g[i])))), 0),
               tolerance = 1e-8)
  # weights are counts of rows
  w <- rep(1:2, 75)
  weighted <- effects(quick(y ~ x + z, d, weights = w, hidden = 0), "x", method = "pd")
  twice <- effects(quick(y ~ x + z, d, weights = w, hidden = 0), "x", d[rep(seq_len(150), w), ], method = "pd")
  expect_equal(weighted$effects$x$effect, twice$effects$x$effect, tolerance = 1e-6)
})

test_that("bands of a Bayesian linear model are those of its coefficients", {
  set.seed(5)
  d <- additive_data(100)
  fit <- fit_bayes_nn(y ~ x + z, d, hidden = 0)
  e <- effects(fit, "x", draws = 3000)$effects$x
  off <- e$x - mean(d$x)
  expect_equal(e$effect, coef(fit)[["x"]] * off, tolerance = 1e-6)
  expect_equal(e$upper - e$lower, 2 * stats::qnorm(0.975) * sqrt(vcov(fit)["x", "x"]) * abs(off), tolerance = 0.06)
  half <- effects(fit, "x", draws = 3000, level = 0.5)$effects$x
  expect_equal(half$upper - half$lower, 2 * stats::qnorm(0.75) * sqrt(vcov(fit)["x", "x"]) * abs(off), tolerance = 0.06)
  expect_null(effects(fit_bayes_nn(y ~ x + z, d, posterior = "point", hidden = 2, epochs = 5))$effects$x$lower)
  deep <- effects(quick(y ~ x + z, d, members = 3))$effects$x
  expect_true(all(deep$lower <= deep$effect + 1e-9 & deep$effect <= deep$upper + 1e-9))
  # the mean over draws, where there is no other
  e <- effects(quick_bayes(am ~ wt + hp, mtcars, family = "binomial"), draws = 50)$effects$wt
  expect_true(all(is.finite(as.matrix(e))))
})

test_that("levels, several responses, the link and matrices have effects", {
  set.seed(6)
  fit <- quick(Species ~ ., iris, epochs = 30)
  e <- effects(fit, "Petal.Width")$effects$Petal.Width
  expect_identical(levels(e$response), levels(iris$Species))
  expect_lt(max(abs(tapply(e$effect, e$Petal.Width, sum))), 1e-8)
  expect_identical(nrow(effects(fit, "Petal.Width", method = "pd", individual = 4, points = 5)$individual[[1]]), 60L)
  logit <- fit_nn(am ~ wt + hp, mtcars, hidden = 0, family = "binomial", penalty = 0.1)
  e <- effects(logit, "wt", type = "link")$effects$wt
  expect_equal(e$effect, coef(logit)[["wt"]] * (e$wt - mean(mtcars$wt)), tolerance = 1e-5)
  e <- effects(fit_bayes_nn(am ~ wt + hp, mtcars, hidden = 0, family = "binomial"), "wt", type = "link")
  expect_true(all(e$effects$wt$lower <= e$effects$wt$upper))
  two <- effects(quick(cbind(mpg, qsec) ~ wt + factor(cyl), mtcars))
  expect_identical(levels(two$effects$cyl$response), c("mpg", "qsec"))
  expect_identical(levels(two$effects$cyl$cyl), c("4", "6", "8"))
  x <- effects(quick(unname(as.matrix(iris[1:2])), iris[[3]]))
  expect_named(x$effects, c("x1", "x2"))
  long <- as.data.frame(two)
  expect_identical(unique(long$variable), c("wt", "cyl"))
  expect_type(long$value, "character")
  expect_type(as.data.frame(x)$value, "double")
})

test_that("unordered levels follow each other by similarity", {
  set.seed(7)
  g <- factor(sample(c("low", "high", "middle"), 300, TRUE))
  d <- data.frame(g, x = c(low = 0, middle = 2, high = 4)[as.character(g)] + stats::rnorm(300), other = 1:300 %% 7)
  v <- predictor_values_of(list(), "g", list(frame = d))
  order <- levels(g)[similar_levels(v, list(frame = d, names = names(d)))]
  expect_true(identical(order, c("low", "middle", "high")) || identical(order, c("high", "middle", "low")))
})

test_that("effects are printed and drawn, the parameters left as they were", {
  set.seed(8)
  d <- additive_data(80)
  fit <- fit_bayes_nn(y ~ x + z + g + flag + day, d, hidden = 2, posterior = "meanfield", epochs = 5)
  all <- effects(fit, c("x", "g", "day", "x:z"), draws = 20)
  expect_output(print(all), "Accumulated local effects of x, g, day, x:z on y .*80 rows")
  pd <- effects(fit, c("x", "flag", "x:g", "g:flag", "x:z"), method = "pd", points = 5, draws = 20, individual = 6)
  of_levels <- effects(quick(Species ~ ., iris), c("Petal.Width", "Petal.Width:Petal.Length"))
  for (found in list(all, pd, of_levels)) for (size in list(c(7, 5), c(4, 3))) drawn({
    before <- settings_of()
    expect_silent(plot(found))
    expect_silent(plot(found, col = c("red", "blue"), main = "mine", lwd = 1))
    expect_identical(settings_of(), before)
    graphics::par(mfrow = c(1, 2))
    expect_silent(plot(found))
  }, size[1], size[2])
  expect_length(drawn_by(plot(effects(fit, "x", draws = 20)), "C_polygon"), 1)
  expect_identical(drawn(plot(fit, "effects", variables = "x")), fit)
  expect_true("effects" %in% pictures_of(fit))
})

test_that("mistakes are named", {
  fit <- quick(mpg ~ wt + hp, mtcars)
  expect_refused(effects(fit, "weight"), "`variables` must be one of \"wt\", \"hp\"")
  expect_refused(effects(fit, "wt:hq"), "`variables` must be one of .*\"hq\"")
  expect_refused(effects(fit, "wt:wt"), "joins \"wt\" with itself")
  expect_refused(effects(fit, "wt:hp:wt"), "join two predictors")
  expect_refused(effects(fit, 3), "`variables` must be names")
  expect_refused(effects(fit, individual = 3), "belongs to `method` = \"pd\"")
  expect_refused(effects(fit, method = "ice"), "`method` must be one of \"ale\", \"pd\"")
  expect_refused(effects(fit, type = "class"), "`type` must be one of")
  expect_refused(effects(quick(Species ~ ., iris), type = "link"), "does not apply to a factor of several levels")
  expect_refused(effects(quick(mpg ~ factor(cyl) + wt, mtcars), "cyl:wt"), "use `method` = \"pd\"")
  expect_refused(effects(fit, newdata = mtcars[0, ]), "no row")
  expect_refused(effects(fit, newdata = mtcars["wt"]), "has no column `hp`")
  expect_refused(effects(fit_ae(iris, epochs = 2)), "has no response")
  expect_refused(effects(fit, set = 3), "There is no argument `set`")
  far <- fit_nn(carb ~ wt, mtcars, family = "poisson", hidden = 0)
  for (method in c("ale", "pd")) {
    expect_refused(effects(far, newdata = data.frame(wt = 1e5 + 1:9), method = method),
                   "not finite: .*`type` = \"link\"")
    on_link <- effects(far, newdata = data.frame(wt = 1e5 + 1:9), method = method, type = "link")
    expect_true(all(is.finite(on_link$effects$wt$effect)))
  }
  expect_refused(plot(fit, "fit", variables = "wt"), "`variables` does not apply to `which`")
})
