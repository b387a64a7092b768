# Autoencoders against principal components, and what users may type.

# Mean square distance per row of the columns standardised by their own mean and sd, from the reconstruction.
standardised_sse <- function(fit, data) {
  sum(((as.matrix(reconstruct(fit, data)) - as.matrix(data)) %*% diag(1 / apply(data, 2, stats::sd)))^2)
}
linear_ae <- function(x, latent, ...) {
  fit_ae(x, hidden = 0, latent = latent, optimizer = "lbfgs", epochs = 3000, keep_data = TRUE, ...)
}

# The product of a linear autoencoder's weights: x is mapped to (decoder encoder) x.
linear_map <- function(fit) {
  w <- coef(fit)[fit$layout$role == "weight"]
  unname(if (length(w) == 1) crossprod(w[[1]]) else w[[2]] %*% w[[1]])
}

numeric_sets <- list(iris = iris[1:4], attitude = attitude, USArrests = USArrests)

test_that("a linear autoencoder is the fixture of principal components", {
  set.seed(1)
  for (q in 1:2) {
    truth <- c(161.1438253, 24.95328509)[q]
    expect_lt(standardised_sse(linear_ae(iris[1:4], q), iris[1:4]) / truth - 1, 1e-6)
    by_adam <- fit_ae(iris[1:4], hidden = 0, latent = q, epochs = repeats(1500, 30), learn_rate = 0.01,
                      schedule = "cosine")
    if (!is_watched()) expect_lt(standardised_sse(by_adam, iris[1:4]) / truth - 1, 1e-3)
  }
})

test_that("on other data too, by L-BFGS and by Adam: error, subspace, and the sum of the lost eigenvalues", {
  for (name in names(numeric_sets)) for (q in 1:3) {
    x <- as.matrix(numeric_sets[[name]])
    eigenvalues <- eigen(stats::cor(x))$values * (nrow(x) - 1)
    set.seed(q)
    fit <- linear_ae(x, q)
    expect_lt(standardised_sse(fit, x) / sum(eigenvalues[-(1:q)]) - 1, 1e-6, label = paste(name, q))
    compared <- compare_pca(fit)
    expect_lt(max(compared$angles), 0.01, label = paste(name, q))
    expect_equal(compared$table$ae_error, compared$table$pca_error, tolerance = 1e-6)
    if (is_watched()) next
    by_adam <- fit_ae(x, hidden = 0, latent = q, epochs = 3000, learn_rate = 0.01, schedule = "cosine")
    expect_lt(standardised_sse(by_adam, x) / sum(eigenvalues[-(1:q)]) - 1, 1e-3, label = paste(name, q))
    expect_lt(max(compare_pca(by_adam)$angles), 1, label = paste(name, q))
  }
})

test_that("from 20 random starts the subspace is the same, the decoder is another and not orthogonal", {
  truth <- eigen(stats::cor(iris[1:4]))$vectors[, 1:2]
  starts <- lapply(seq_len(repeats(20, 2)), function(seed) {
    set.seed(seed)
    fit <- linear_ae(iris[1:4], 2)
    list(map = linear_map(fit), decoder = coef(fit)$layer2.weight, cosine = compare_pca(fit)$cosine)
  })
  for (s in starts) expect_equal(s$map, tcrossprod(truth), tolerance = 1e-4)
  expect_gt(max(vapply(starts, function(s) max(abs(s$decoder - starts[[1]]$decoder)), 0)), 0.1)
  expect_gt(max(vapply(starts, function(s) s$cosine, 0)), 0.1)
})

test_that("with a penalty lambda the eigenvalue l is shrunk by 1 - lambda / l", {
  # Kunin et al. (2019): ||X - XAB||^2 / 2n + lambda / 2 (||A||^2 + ||B||^2)
  s <- stats::cor(attitude) * 29 / 30
  e <- eigen(s)
  for (lambda in c(0.1, 0.5)) for (q in 2:3) {
    set.seed(2)
    shrunk <- pmax(0, 1 - lambda / e$values[1:q])
    truth <- e$vectors[, 1:q] %*% (shrunk * t(e$vectors[, 1:q]))
    fit <- linear_ae(attitude, q, penalty = lambda)
    expect_equal(linear_map(fit), truth, tolerance = 1e-4)
    # the two factors are transposes of each other
    expect_equal(coef(fit)$layer1.weight, t(coef(fit)$layer2.weight), tolerance = 1e-3, ignore_attr = TRUE)
  }
})

test_that("noise of variance v shrinks the eigenvalue l by l / (l + v)", {
  skip_if(is_watched())
  e <- eigen(stats::cor(attitude) * 29 / 30)
  set.seed(3)
  v <- 0.5
  fit <- fit_ae(attitude[rep(1:30, 40), ], hidden = 0, latent = 2, noise = sqrt(v), epochs = 800, batch_size = 300,
                learn_rate = 0.01, schedule = "cosine")
  e <- eigen(stats::cor(attitude[rep(1:30, 40), ]))
  truth <- e$vectors[, 1:2] %*% (e$values[1:2] / (e$values[1:2] + v) * t(e$vectors[, 1:2]))
  expect_equal(linear_map(fit), truth, tolerance = 0.03)
})

test_that("masking at rate r is what its expected loss says", {
  skip_if(is_watched())
  # E |x - C m x|^2 with m_j = 0 at rate r: C of full rank = k S (k^2 S + k r diag S)^-1, k = 1 - r
  set.seed(4)
  x <- attitude[rep(1:30, 40), ]
  r <- 0.3
  k <- 1 - r
  s <- stats::cor(x)
  fit <- fit_ae(x, hidden = 0, latent = 7, noise = c(masking = r), epochs = 800, batch_size = 300, learn_rate = 0.01,
                schedule = "cosine")
  expect_equal(linear_map(fit), k * s %*% solve(k^2 * s + k * r * diag(7)), tolerance = 0.05,
               ignore_attr = TRUE)
})

test_that("tied weights are transposes and give principal components", {
  set.seed(5)
  fit <- linear_ae(USArrests, 2, tied = TRUE)
  expect_identical(sum(fit$layout$role == "weight"), 1L)
  lost <- sum(eigen(stats::cor(USArrests))$values[3:4]) * 49
  expect_lt(standardised_sse(fit, USArrests) / lost - 1, 1e-6)
  # its weights are orthonormal
  w <- coef(fit)$layer1.weight
  expect_equal(tcrossprod(w), diag(2), tolerance = 1e-4)
  # decoding by hand, with hidden layers
  deep <- fit_ae(USArrests, hidden = c(5, 3), latent = 2, tied = TRUE, epochs = 20, activation = c("tanh", "elu"))
  m <- coef(deep)
  elu <- function(x) ifelse(x > 0, x, expm1(x))
  x <- t(scale(USArrests))
  z <- m$layer3.weight %*% elu(m$layer2.weight %*% tanh(m$layer1.weight %*% x + c(m$layer1.bias)) + c(m$layer2.bias)) +
    c(m$layer3.bias)
  expect_equal(t(z), encode(deep), tolerance = 1e-10, ignore_attr = TRUE)
  y <- t(m$layer1.weight) %*% tanh(t(m$layer2.weight) %*% elu(t(m$layer3.weight) %*% z + c(m$layer4.bias)) +
                                     c(m$layer5.bias)) + c(m$layer6.bias)
  by_hand <- t(y) %*% diag(apply(USArrests, 2, stats::sd)) + rep(colMeans(USArrests), each = 50)
  expect_equal(as.matrix(reconstruct(deep)), by_hand, tolerance = 1e-10, ignore_attr = TRUE)
})

test_that("a contractive code has a smaller Jacobian, a sparse one a smaller mean absolute value", {
  size <- function(...) {
    set.seed(6)
    fit <- fit_ae(iris[1:4], hidden = 8, latent = 2, epochs = 60, ...)
    h <- 1e-5
    x <- as.matrix(iris[1:4])
    slopes <- lapply(1:4, function(j) {
      up <- x
      up[, j] <- x[, j] + h * stats::sd(x[, j])
      (encode(fit, as.data.frame(up)) - encode(fit)) / h
    })
    c(jacobian = sum(unlist(slopes)^2), absolute = sum(abs(encode(fit))))
  }
  plain <- size()
  expect_lt(size(contractive = 0.1)[["jacobian"]], plain[["jacobian"]] / 2)
  expect_lt(size(sparsity = 0.1)[["absolute"]], plain[["absolute"]] / 2)
})

test_that("the robust loss is not drawn by outlying entries", {
  set.seed(7)
  x <- as.matrix(iris[1:4])
  bad <- sample(150, 8)
  x[bad, 2] <- x[bad, 2] + 25
  truth <- eigen(stats::cor(iris[1:4]))$vectors[, 1]
  angle <- function(...) {
    fit <- fit_ae(x, hidden = 0, latent = 1, optimizer = "lbfgs", epochs = 2000, ...)
    direction <- coef(fit)$layer2.weight * fit$blocks[[1]]$scale / apply(iris[1:4], 2, stats::sd)
    acos(min(1, abs(sum(direction * truth)) / sqrt(sum(direction^2)))) * 180 / pi
  }
  expect_lt(angle(loss = "huber"), angle() / 2)
  expect_lt(angle(loss = "huber"), 15)
})

test_that("decode(encode()) is reconstruct() exactly, in both precisions, and of the training data too", {
  for (precision in c("double", "single")) {
    set.seed(8)
    fit <- fit_ae(iris, epochs = 10, precision = precision)
    expect_identical(decode(fit, encode(fit, iris)), reconstruct(fit, iris))
    expect_identical(reconstruct(fit), reconstruct(fit, iris))
    expect_identical(predict(fit), encode(fit, iris))
    expect_identical(predict(fit, type = "reconstruction"), reconstruct(fit))
    expect_identical(fitted(fit), reconstruct(fit))
    expect_equal(predict(fit, type = "error"), predict(fit, iris, type = "error"), tolerance = 1e-12)
    expect_equal(rowMeans(predict(fit, type = "error", per_variable = TRUE)), predict(fit, type = "error"))
  }
})

test_that("mixed columns come back with their types, levels and units", {
  d <- data.frame(number = c(1.5, 2, 9, 4, 3, 8), count = c(0L, 3L, 9L, 1L, 2L, 4L),
                  yes = c(TRUE, FALSE)[c(1, 2, 2, 1, 2, 1)],
                  two = factor(c("b", "a", "b", "b", "a", "a")), many = factor(c("x", "y", "z", "x", "y", "z")),
                  word = c("p", "q", "r", "p", "q", "r"), grade = factor(c(1, 2, 3, 3, 2, 1), ordered = TRUE))
  set.seed(9)
  fit <- fit_ae(d, family = c(count = "poisson"), epochs = 1500, latent = 3, learn_rate = 0.01)
  expect_identical(fit$family, c(number = "gaussian", count = "poisson", yes = "bernoulli", many = "categorical",
                                 word = "categorical", grade = "categorical"))
  back <- reconstruct(fit)
  expect_identical(names(back), names(d))
  expect_identical(lapply(back[-2], class), lapply(d[-2], class))
  expect_identical(lapply(back, levels), lapply(d, levels))
  expect_identical(back[3:7], d[3:7])
  expect_equal(back$number, d$number, tolerance = 0.05)
  expect_equal(back$count, d$count, tolerance = 0.15)
  sims <- simulate(fit, 20, seed = 1)
  expect_identical(lapply(sims, class), lapply(d, class))
  expect_identical(sims, simulate(fit, 20, seed = 1))
  expect_identical(dim(attr(sims, "codes")), c(20L, 3L))
  # errors are the families' deviances
  e <- predict(fit, d, type = "error", per_variable = TRUE)
  expect_identical(colnames(e), names(d))
  expect_equal(e[, "number"], ((back$number - d$number) / stats::sd(d$number))^2, ignore_attr = TRUE)
  expect_equal(e[, "count"], stats::poisson()$dev.resids(d$count, back$count, rep(1, 6)), ignore_attr = TRUE)
})

test_that("a missing entry has no loss, enters as its mean with an indicator, and is filled", {
  d <- iris
  set.seed(10)
  holes <- cbind(sample(150, 40), sample(5, 40, TRUE))
  for (i in seq_len(40)) d[holes[i, 1], holes[i, 2]] <- NA
  d$Sepal.Width[1] <- iris$Sepal.Width[1]
  fit <- fit_ae(d, epochs = 40)
  expect_identical(fit$n_obs, 150L)
  expect_identical(fit$spec$n_x, 7L + sum(colSums(is.na(d)) > 0))
  expect_false(anyNA(reconstruct(fit)))
  # by hand: the mean and the indicator
  one <- d[which(is.na(d$Sepal.Width))[1], ]
  x <- columns_rows(fit$design, one)$x
  expect_equal(x[1, 2], mean(d$Sepal.Width, na.rm = TRUE))
  expect_identical(x[1, match("Sepal.Width.missing", fit$design$columns)], 1)
  # the gradient knows no missing entry: its value in the data cannot matter
  other <- d
  expect_identical(reconstruct(fit, other), reconstruct(fit, d))
  expect_true(is.na(predict(fit, one, type = "error", per_variable = TRUE)[1, "Sepal.Width"]))
  expect_false(anyNA(predict(fit, d, type = "error")))
  # complete training data have no indicator; a missing entry of new data is then its mean
  whole <- fit_ae(iris, epochs = 5)
  at_mean <- replace(iris[3, ], 2, mean(iris$Sepal.Width))
  expect_equal(encode(whole, replace(iris[3, ], 2, NA)), encode(whole, at_mean))
  # and filling recovers what linear regression of the same rank would
  omitted <- fit_ae(~ ., d, na.action = na.omit, epochs = 5)
  expect_identical(omitted$n_obs, sum(stats::complete.cases(d)))
  excluded <- fit_ae(~ ., d, na.action = na.exclude, epochs = 5)
  expect_identical(nrow(encode(excluded)), 150L)
  expect_identical(is.na(encode(excluded)[, 1]), !stats::complete.cases(d), ignore_attr = TRUE)
})

test_that("formula, data frame and matrix agree; weights are repeated rows", {
  same <- function(...) {
    set.seed(11)
    fit_ae(..., hidden = 3, epochs = 5, batch_size = 1000)
  }
  a <- same(~ . - Species, iris)
  b <- same(iris[1:4])
  c <- same(as.matrix(iris[1:4]))
  expect_equal(a$theta, b$theta)
  expect_equal(a$theta, c$theta)
  expect_true(is.matrix(reconstruct(c)))
  expect_equal(as.matrix(reconstruct(b)), reconstruct(c), ignore_attr = TRUE)
  expect_equal(encode(c, iris), encode(a, iris), ignore_attr = TRUE)
  weighted <- same(iris[1:4], weights = rep(1:2, 75))
  repeated <- same(iris[rep(1:150, rep(1:2, 75)), 1:4])
  expect_equal(weighted$scaling$center, repeated$scaling$center)
  expect_equal(weighted$theta, repeated$theta, tolerance = 1e-8)
  logs <- same(~ log(Sepal.Length) + Species, iris)
  expect_identical(names(reconstruct(logs)), c("log(Sepal.Length)", "Species"))
  expect_equal(nrow(encode(logs, iris[1:3, ])), 3)
})

test_that("a fit is saved, continued, updated, checked, and found damaged", {
  set.seed(12)
  fit <- fit_ae(~ . - Species, iris, epochs = 5)
  expect_identical(encode(unserialize(serialize(fit, NULL)), iris), encode(fit, iris))
  more <- continue(fit, 5)
  expect_identical(nrow(more$history), 10L)
  expect_false(identical(more$codes, fit$codes))
  expect_lt(check_gradients(fit), 1e-5)
  expect_identical(fit_latent(update(fit, latent = 1)), 1L)
  expect_identical(nobs(fit), 150L)
  expect_equal(dim(residuals(fit)), c(150, 4))
  expect_equal(residuals(fit), as.matrix(iris[1:4]) - as.matrix(reconstruct(fit)), ignore_attr = TRUE)
  expect_equal(deviance(fit), sum(residuals(fit, type = "standardized")^2))
  expect_equal(sigma(fit), sqrt(colMeans(residuals(fit)^2)))
  for (field in c("codes", "errors", "design", "blocks")) {
    bad <- fit
    bad[[field]] <- if (is.list(bad[[field]])) bad[[field]][-1] else bad[[field]][-1]
    expect_error(encode(bad, iris), "damaged")
  }
  # the history is the profile likelihood of the standardised squared error
  set.seed(13)
  full <- fit_ae(~ . - Species, iris, epochs = 8, optimizer = "lbfgs")
  m <- mean(((residuals(full)) %*% diag(1 / apply(iris[1:4], 2, stats::sd)))^2)
  expect_equal(utils::tail(full$history$loss, 1),
               4 * (log(2 * pi * m) + 1) / 2 + sum(log(apply(iris[1:4], 2, stats::sd))), tolerance = 1e-10)
})

test_that("anomaly() flags what is above the threshold and names the columns", {
  set.seed(14)
  fit <- fit_ae(~ . - Species, iris, hidden = 0, optimizer = "lbfgs")
  odd <- iris[c(1, 51, 150), ]
  odd$Petal.Width[2] <- 4
  found <- anomaly(fit, odd)
  expect_identical(found$flag, c(FALSE, TRUE, FALSE))
  expect_match(found$drivers[2], "^Petal")
  expect_equal(found$score, predict(fit, odd, type = "error"), ignore_attr = TRUE)
  expect_equal(mean(anomaly(fit, level = 0.9)$flag), 0.1, tolerance = 0.01)
  expect_equal(attr(found, "threshold"), stats::quantile(predict(fit, type = "error"), 0.99, names = FALSE))
  held <- fit_ae(iris[1:4], epochs = 20, validation = 1:50)
  expect_equal(attr(anomaly(held), "threshold"), stats::quantile(held$errors[1:50], 0.99, names = FALSE))
})

test_that("compare_pca() has prcomp()'s errors, shares and scores", {
  set.seed(15)
  fit <- fit_ae(iris[1:100, 1:4], latent = 3, epochs = 30)
  compared <- compare_pca(fit, iris[101:150, ])
  p <- stats::prcomp(iris[1:100, 1:4], scale. = TRUE)
  expect_equal(abs(compared$scores$pca), abs(p$x[, 1:3]), ignore_attr = TRUE)
  expect_equal(compared$table$pca_share, summary(p)$importance[3, 1:3], ignore_attr = TRUE, tolerance = 1e-4)
  new <- scale(iris[101:150, 1:4], p$center, p$scale)
  left <- new - new %*% tcrossprod(p$rotation[, 1:2])
  expect_equal(compared$table$pca_error_new[2], mean(left^2))
  expect_equal(compared$table$ae_error[3], mean(predict(fit, type = "error")))
  expect_equal(compared$scores_new$ae, encode(fit, iris[101:150, ]), ignore_attr = TRUE)
  expect_output(print(compared), "beside principal components")
  # principal angles: of two lines, and of equal planes
  expect_equal(principal_angles(cbind(c(1, 0, 0)), cbind(c(1, 1, 0))), 45)
  expect_lt(max(principal_angles(diag(3)[, 1:2], cbind(c(1, 1, 0), c(1, -1, 0)))), 1e-6)
  expect_equal(principal_angles(diag(3)[, 1:2], diag(3)[, 2:3]), c(0, 90))
})

test_that("case weights are repeated rows in comparisons and thresholds too", {
  w <- rep(1:2, 75)
  set.seed(19)
  a <- fit_ae(iris[1:4], weights = w, hidden = 0, optimizer = "lbfgs")
  b <- fit_ae(iris[rep(1:150, w), 1:4], hidden = 0, optimizer = "lbfgs")
  compared <- compare_pca(a)
  expect_equal(compared$table, compare_pca(b)$table, tolerance = 1e-6)
  expect_equal(compared$prcomp$sdev, stats::prcomp(iris[rep(1:150, w), 1:4], scale. = TRUE)$sdev, tolerance = 1e-3)
  expect_equal(attr(anomaly(a), "threshold"), attr(anomaly(b), "threshold"), tolerance = 1e-6)
  expect_equal(decode(a, cbind(z2 = 0, z1 = 3)), decode(a, cbind(z1 = 3, z2 = 0)))
})

test_that("on digits half a network's error is a third less than that of two components", {
  skip_if_counted()
  skip_if(is_watched())
  out <- seq_len(nrow(digits)) %% 5 == 0
  set.seed(16)
  fit <- fit_ae(digits[!out, -1], hidden = c(128, 64), activation = "relu", epochs = 100, batch_size = 32,
                learn_rate = 1e-3, standardize = FALSE)
  last <- compare_pca(fit, digits[out, -1])$table[2, ]
  expect_lt(last$ae_error_new / last$pca_error_new, 0.66)
})

test_that("mistakes are named before any training", {
  expect_refused(fit_ae(~ ., iris, latent = 0), "`latent` must be a whole number at least 1")
  expect_warning(fit_ae(iris[1:4], latent = 5, epochs = 1), "more than the 4 columns")
  expect_refused(fit_ae(Species ~ ., iris), "has a response, `Species`")
  expect_refused(fit_ae(~ Sepal.Length * Species, iris), "interaction `Sepal.Length:Species`")
  expect_refused(fit_ae(~ Sepal.Length + nothing, iris), "nothing")
  expect_refused(fit_ae("iris"), "one-sided formula, a numeric matrix or a data frame")
  expect_refused(fit_ae(), "first argument is missing")
  expect_refused(fit_ae(iris, latnt = 2), "did you mean \"latent\"")
  expect_refused(fit_ae(iris, noise = c(salt = 0.1)), "`noise` must be")
  expect_refused(fit_ae(iris, noise = c(masking = 1)), "below 1")
  expect_refused(fit_ae(iris, noise = -1), "`noise` must be")
  expect_refused(fit_ae(iris, sparsity = -1), "`sparsity`")
  expect_refused(fit_ae(iris, contractive = NA), "`contractive`")
  expect_refused(fit_ae(iris, loss = "l1"), "`loss` must be one of")
  expect_refused(fit_ae(iris, tied = TRUE, hidden = list(encoder = 4, decoder = 3)), "mirrors the encoder")
  expect_refused(fit_ae(iris, hidden = list(4, 3)), "list\\(encoder = , decoder = \\)")
  expect_refused(fit_ae(iris, family = c(Specie = "poisson")), "did you mean \"Species\"")
  expect_refused(fit_ae(iris, family = c(Species = "poisson")), "Column `Species` must be whole numbers")
  expect_refused(fit_ae(iris, family = "binomial"), "not one for columns")
  expect_refused(fit_ae(transform(iris, when = Sys.Date())), "Column `when` is of class \"Date\"")
  expect_refused(fit_ae(transform(iris, gone = NA_real_)), "Column `gone` has no value")
  expect_refused(fit_ae(transform(iris, one = "a")), "Column `one` has a single level")
  expect_refused(fit_ae(transform(iris, Sepal.Width = Inf)), "Column `Sepal.Width` has infinite")
  expect_refused(fit_ae(iris[0, ]), "no rows")
  expect_refused(fit_ae(matrix("a", 3, 3)), "numeric matrix")
  fit <- fit_ae(iris, epochs = 1)
  expect_refused(encode(fit, iris[-2]), "no column `Sepal.Width`")
  expect_refused(encode(fit, transform(iris, Species = "rosa")), "level that the training data had not: \"rosa\"")
  expect_refused(encode(fit, transform(iris, Sepal.Width = "2")), "must be numeric")
  expect_refused(encode(fit, transform(iris, Sepal.Width = -Inf)), "infinite")
  expect_refused(decode(fit, matrix(0, 2, 3)), "`z` must be a numeric matrix of 2 columns")
  expect_refused(decode(fit, cbind(1, NA)), "missing or not finite")
  expect_refused(decode(fit), "`z` is missing")
  expect_refused(predict(fit, type = "scores"), "`type` must be one of")
  expect_refused(predict(fit, per_variable = TRUE), "belongs to")
  expect_refused(anomaly(fit, level = 1), "`level`")
  expect_refused(logLik(fit), "no probability model")
  expect_refused(fit_ae(iris, validation = data.frame(a = 1)), "has no column")
  # a constant column, one row, one column
  expect_s3_class(fit_ae(cbind(iris[1:4], five = 5), epochs = 2), "varnn_ae")
  expect_s3_class(fit_ae(iris["Sepal.Width"], latent = 1, epochs = 2), "varnn_ae")
  expect_s3_class(fit_ae(iris[1, 1:4], epochs = 2), "varnn_ae")
  expect_identical(nrow(encode(fit, iris[0, ])), 0L)
})

test_that("rows with gaps are left out by na.omit, with their weights", {
  set.seed(51)
  x <- iris[1:4]
  x[c(2, 5), 1] <- NA
  w <- seq_len(150)
  of <- function(x, ...) {
    set.seed(1)
    fit_ae(x, latent = 1, epochs = 3, ...)
  }
  expect_equal(of(x, weights = w, na.action = stats::na.omit)$theta, of(x[-c(2, 5), ], weights = w[-c(2, 5)])$theta)
  expect_refused(of(transform(x, Sepal.Length = NA_real_), na.action = stats::na.omit), "[Ee]very row|no value|missing")
})

test_that("columns that an autoencoder cannot have are named", {
  expect_refused(fit_ae(~ Sepal.Length + offset(Sepal.Width), iris), "offset")
  expect_refused(fit_ae(~ 1, iris), "names no columns|no columns")
  expect_refused(fit_ae(matrix(0, 5, 0)), "no columns")
  expect_refused(fit_ae(data.frame(a = 1:5, a = 5:1, check.names = FALSE)), "two columns named `a`")
  expect_refused(fit_ae(data.frame(a = 1:5, b = I(as.list(1:5)))), "`b`")
  fit <- fit_ae(as.matrix(iris[1:4]), latent = 1, epochs = 2)
  expect_refused(encode(fit, 1:4), "matrix\\(x, 1\\)")
  expect_refused(encode(fit, as.matrix(iris[1:3])), "no column `Petal.Width`")
  expect_refused(encode(fit, unname(as.matrix(iris[1:3]))), "3 columns.*4")
  expect_refused(encode(fit, "a"), "must be a|matrix")
  turned <- as.matrix(iris[4:1])
  expect_equal(encode(fit, turned), encode(fit, as.matrix(iris[1:4])))
  expect_equal(encode(fit, iris[1:4]), encode(fit, as.matrix(iris[1:4])), ignore_attr = TRUE)
})

test_that("held-out rows of an autoencoder may be a matrix, a data frame, or in a list", {
  x <- as.matrix(iris[1:100, 1:4])
  out <- as.matrix(iris[101:150, 1:4])
  of <- function(validation) {
    set.seed(1)
    fit_ae(x, latent = 1, epochs = 4, validation = validation)$history$val_loss
  }
  expect_equal(of(list(x = out)), of(as.data.frame(out)))
  expect_refused(of(list(x = out[0, ])), "no rows")
})
