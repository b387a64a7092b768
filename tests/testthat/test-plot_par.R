# Every picture leaves the session's graphical parameters as they were.

set.seed(1)
flowers <- iris[seq(1, 150, 3), ]
pictured <- suppressWarnings(list(
  fit_nn(mpg ~ wt + hp, mtcars, hidden = 2, epochs = 5, validation = 0.2),
  fit_nn(Species ~ ., flowers, hidden = 2, epochs = 5),
  fit_nn(cbind(mpg, qsec) ~ wt + hp, mtcars, hidden = 2, epochs = 5),
  fit_ae(flowers, hidden = 2, latent = 3, epochs = 5),
  fit_vae(flowers, hidden = 3, epochs = 5),
  fit_vae(as.matrix(flowers[1:4]), hidden = 3, latent = 1, epochs = 5),
  fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, posterior = "meanfield", epochs = 5),
  fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, members = 2, epochs = 5),
  fit_bayes_nn(cbind(mpg, qsec) ~ wt, mtcars, hidden = 2, epochs = 5)
))
draws <- unlist(lapply(pictured, function(fit) {
  lapply(pictures_of(fit), function(which) function() plot(fit, which = which))
}))
draws <- c(draws, function() plot(pictured[[6]], "grid", dim = c(2, 2)),
           function() plot(pictured[[6]], "reconstruction", dim = c(2, 2)),
           function() plot(pictured[[6]], "simulation", dim = c(2, 2)),
           function() plot(pictured[[4]], c("latent", "history"), group = flowers$Species),
           function() plot(calibration(pictured[[1]], draws = 20)), function() plot(calibration(pictured[[2]])))
set.seed(2)
draws <- c(draws, local({
  scored <- list(tune_fit(pictured[[1]], penalty = c(0, 1), folds = 2),
                 compare_posteriors(pictured[[7]], pictured[[7]], newdata = mtcars, draws = 20),
                 cross_validate(pictured[[1]], folds = 2), importance(pictured[[1]], permutations = 2),
                 compare_simulated(pictured[[5]], flowers), effects(pictured[[1]], "wt"))
  lapply(scored, function(x) function() plot(x))
}))
comparison <- compare_pca(fit_ae(flowers[1:4], hidden = 2, epochs = 5))
draws <- c(draws, function() plot(comparison), function() plot(comparison, "scores"))

# What a session may have set, and whether its panels differ in size.
sessions <- list(
  function() NULL,
  function() graphics::par(mai = c(1, 0.8, 0.7, 0.3)),
  function() graphics::par(mar = c(4, 5, 3, 2), las = 2, cex = 1.3, xpd = TRUE),
  function() graphics::par(omi = c(0.2, 0.2, 0.3, 0.1)),
  function() graphics::par(oma = c(1, 1, 2, 1), mex = 0.8),
  function() graphics::par(pty = "s"),
  function() graphics::par(plt = c(0.2, 0.9, 0.3, 0.8)),
  function() graphics::par(mfrow = c(2, 3)),
  function() graphics::par(mar = 1:4, mfrow = c(2, 3), cex = 0.7),
  function() graphics::par(mfcol = c(3, 1), mai = c(0.5, 0.5, 0.3, 0.1)),
  function() graphics::par(fig = c(0.1, 0.9, 0.2, 1)),
  function() graphics::layout(matrix(c(1, 1, 2, 3), 2), widths = c(2, 1)),
  function() graphics::layout(matrix(1), widths = graphics::lcm(12))
)

settings <- function(but = NULL) {
  moved <- c("usr", "xaxp", "yaxp", "xlog", "ylog", "mfg", but)
  p <- graphics::par(no.readonly = TRUE)
  c(p[setdiff(names(p), moved)], unit = list(margin_units()))
}

# In what margins are kept is seen by what a change of the lines' height does to them.
margin_units <- function() {
  old <- graphics::par("mex", "mai", "omi")
  graphics::par(mex = 2 * old$mex)
  on.exit(graphics::par(mex = old$mex))
  graphics::par("mai", "omi")
}

test_that("any sequence of pictures leaves par() as it was, in any session and layout", {
  skip_if_counted()
  for (session in sessions) {
    drawn(width = 9, height = 9, {
      session()
      in_panels <- prod(graphics::par("mfrow")) > 1 # of which each has a place of its own
      graphics::plot.new()
      before <- settings(if (in_panels) c("fig", "fin", "pin", "plt"))
      for (i in sample(length(draws), 12)) {
        try(draws[[i]](), silent = TRUE)
        expect_equal(settings(if (in_panels) c("fig", "fin", "pin", "plt")), before,
                     label = paste(deparse(session), i, collapse = " "))
      }
    })
  }
})

test_that("each picture leaves par() as it was, the first on its device, and after an error", {
  skip_if_counted()
  for (session in sessions[1:2]) for (i in seq_along(draws)) {
    drawn({
      session()
      before <- settings()
      draws[[i]]()
      expect_equal(settings(), before, label = i)
    })
    drawn(width = 1.2, height = 1.2, {
      session()
      before <- settings()
      try(draws[[i]](), silent = TRUE)
      expect_equal(settings(), before, label = paste(i, "without room"))
    })
  }
})

test_that("margins do not grow from picture to picture", {
  drawn({
    before <- graphics::par("mar", "mai", "cex")
    for (i in 1:4) for (which in c("history", "grid", "network", "simulation")) plot(pictured[[5]], which)
    expect_equal(graphics::par("mar", "mai", "cex"), before)
  })
})

test_that("a picture takes one place of a layout, and several panels as many", {
  drawn(width = 12, height = 12, {
    graphics::layout(matrix(1:6, 2))
    plot(pictured[[1]], "history")
    plot(pictured[[5]], "history")
    expect_equal(graphics::par("mfg"), c(2, 1, 2, 3))
    plot(pictured[[6]], "grid")
    expect_equal(graphics::par("mfg"), c(2, 3, 2, 3))
  })
  drawn({
    graphics::layout(matrix(1), widths = graphics::lcm(8))
    wide <- graphics::par("fin")
    plot(pictured[[5]], "simulation")
    expect_equal(graphics::par("fin"), wide)
  })
})

test_that("pictures of scores keep margins that were given in lines, in a layout with another size of text", {
  scored <- list(tune_fit(pictured[[1]], penalty = c(0, 1), folds = 2),
                 compare_posteriors(pictured[[7]], newdata = mtcars, draws = 20))
  drawn(width = 12, height = 9, {
    graphics::par(mar = 1:4, mfrow = c(2, 3), cex = 0.7)
    for (one in scored) {
      plot(one)
      expect_equal(graphics::par("mar"), 1:4)
    }
  })
})
