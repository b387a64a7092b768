# What the labs' vignette expects: its own code is run, and held against theory that is written out again here.

# The environment that a reader has after the visible code of each section, by the section's number.
labs_of <- function(file) {
  lines <- readLines(file)
  room <- new.env(parent = globalenv())
  evalq(library(varnn), room)
  section <- cumsum(grepl("^## [0-9]+[.] ", lines))
  starts <- grep("^```\\{r(, eval.*)?\\}$", lines)
  for (start in starts[section[starts] > 0]) {
    if (grepl("ISLR2", lines[start]) && !requireNamespace("ISLR2", quietly = TRUE)) next
    code <- lines[seq(start + 1, start + which(lines[-seq_len(start)] == "```")[1] - 1)]
    eval(parse(text = code), room)
    changed <- mget(ls(room), room)
    at <- as.character(section[start])
    room[[".labs"]][[at]] <- utils::modifyList(as.list(room[[".labs"]][[at]]), changed)
  }
  room[[".labs"]]
}

test_that("each lab gives the number that theory says beforehand", {
  skip_on_cran()
  root <- source_root()
  if (is.null(root) || is_watched() || is_counted()) skip("needs the source, and half a minute")
  skip_if_not_installed("MASS")
  labs <- labs_of(file.path(root, "vignettes", "labs.Rmd"))
  expect_setequal(names(labs), c(1:10, if (requireNamespace("ISLR2", quietly = TRUE)) 11))

  # pieces: second differences of the curve are zero but at the kinks
  grid <- data.frame(times = seq(-40, 100, 0.01))
  bent <- abs(diff(predict(labs[["1"]]$fit, grid), differences = 2)) > 1e-6
  expect_lte(sum(diff(which(bent)) > 1) + 1, 6)
  expect_length(labs[["1"]]$kinks, 6)
  expect_true(all(vapply(grid$times[which(bent) + 1], function(t) min(abs(labs[["1"]]$kinks - t)) < 0.02, NA)))

  # the log of a layer's factor has a standard deviation of 0.11, and so has the mean over 20 draws of that of 20 layers
  size <- log(labs[["2"]]$size[21, ])
  expect_lt(max(abs(size - 10 * log(c(1, 2, 4) / 2))), 0.6)
  zeros <- labs[["2"]]$zeros
  expect_identical(max(abs(unlist(coef(zeros)[1:3]))), 0)
  expect_equal(unname(predict(zeros)[1]), mean(MASS::Boston$medv), tolerance = 0.01)

  # the distance to the optimum along the steepest direction is multiplied by 1 - 2 rate / limit in each step
  steepest <- eigen(crossprod(labs[["3"]]$inputs))$vectors[, 1]
  best <- coef(lm(scale(mtcars$mpg) ~ labs[["3"]]$inputs))[-1]
  for (k in 2:3) {
    along <- (labs[["3"]]$paths[[k]][1:9, 1:2] - rep(best, each = 9)) %*% steepest
    expect_equal(along[-1] / along[-9], rep(1 - 2 * c(0.5, 0.95, 1.02)[k], 8), tolerance = 1e-3)
  }
  to_best <- labs[["3"]]$paths[[1]][2, 1:2] - best # half the limit is a Newton step along that direction
  expect_lt(abs(sum(to_best * steepest)), 1e-10)

  error <- labs[["4"]]$error
  expect_identical(unname(labs[["4"]]$p[apply(error, 1, which.max)] + 1), c(40, 40))
  expect_true(all(error["average", ] < error["one", ]))
  expect_true(all(error["one", labs[["4"]]$p > 43] < error["one", labs[["4"]]$p == 35]))

  x <- cbind(1, labs[["5"]]$x)
  s <- svd(x)
  least <- s$v %*% (crossprod(s$u, labs[["5"]]$y) / s$d)
  expect_lt(max(abs(labs[["5"]]$found - c(least))), 1e-10)

  l <- eigen(cov(scale(iris[1:4])))$values
  expect_lt(max(abs(labs[["6"]]$shrinkage - l / (l + 1))), 0.02)

  expect_identical(colSums(labs[["7"]]$nats > 0.005), c(3, 2, 1, 0))
  for (k in 1:3) expect_lt(max(abs(labs[["7"]]$nats[, k] - log(pmax(1, l / labs[["7"]]$sigma[k]^2)) / 2)), 0.06)

  ratio <- labs[["8"]]$width[1, ] / labs[["8"]]$width[2, ]
  expect_true(all(ratio[c("hmc", "laplace", "point")] > 4))
  expect_true(all(ratio[c("full", "meanfield", "ivon", "dropout", "swag")] < 2))
  expect_lt(labs[["8"]]$width[1, "point"], labs[["8"]]$width[1, "hmc"] / 5)

  calibrated <- vapply(labs[["9"]]$tables, function(table) table$error, 0)
  expect_gt(calibrated[["before"]], 0.2)
  expect_lt(calibrated[["after"]], 0.1)

  f <- labs[["10"]]$f
  expect_lt(max(abs(apply(f, 2, var) - 0.5)), 0.03)
  kurtosis <- colMeans(f^4) / colMeans(f^2)^2 - 3
  expect_lt(max(abs(kurtosis / (15 / c(1, 5, 50)) - 1)), 0.3)

  skip_if_not_installed("ISLR2") # the number of the book, from its own lab
  expect_equal(labs[["11"]]$errors[["lm"]], 254.6687, tolerance = 1e-6)
  expect_true(all(labs[["11"]]$errors[2:3] < 252.2994))
})
