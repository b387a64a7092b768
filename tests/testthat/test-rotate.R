# Bayesian networks whose first layer sees the principal components of the columns.

test_that("without hidden layers independent weights of the principal components are the exact posterior", {
  fit <- function(...) {
    fit_bayes_nn(mpg ~ wt + hp + disp + qsec, mtcars, hidden = 0, prior = prior_normal(0, 1),
                 posterior = "meanfield", ...)
  }
  x <- cbind(1, scale(mtcars[c("wt", "hp", "disp", "qsec")]))
  y <- drop(scale(mtcars$mpg))
  s <- sd(mtcars$mpg)
  rotated <- fit(sigma = sqrt(0.2) * s, rotate = TRUE)
  bound <- function(fit) sum(elbo(fit)) - attr(elbo(fit), "kl")
  expect_equal(bound(rotated), -27.58326235 - 32 * log(s), tolerance = 1e-8) # the log evidence
  precision <- crossprod(x) / 0.2 + diag(5)
  mean <- solve(precision, crossprod(x, y) / 0.2)
  slopes <- mean[-1] * s / attr(scale(mtcars[c("wt", "hp", "disp", "qsec")]), "scaled:scale")
  expect_equal(coef(rotated)[-1], slopes, tolerance = 1e-6)
  to_slopes <- s / attr(scale(mtcars[c("wt", "hp", "disp", "qsec")]), "scaled:scale")
  expect_equal(vcov(rotated)[-1, -1], solve(precision)[-1, -1] * to_slopes %o% to_slopes, tolerance = 1e-5,
               ignore_attr = TRUE)
  plain <- fit(sigma = sqrt(0.2) * s)
  expect_null(plain$scaling$rotation)
  expect_equal(bound(plain), -29.37500954 - 32 * log(s), tolerance = 1e-8)
})

test_that("the axes are those of prcomp, of the standardised columns alone", {
  d <- transform(mtcars, cyl = factor(cyl), one = 1)
  fit <- fit_bayes_nn(mpg ~ wt + am + hp + one + cyl + disp, d, hidden = 3, posterior = "meanfield", epochs = 2)
  own <- c("wt", "hp", "disp")
  axes <- fit$scaling$rotation
  at <- match(own, fit$design$columns)
  expect_equal(crossprod(axes), diag(7), tolerance = 1e-12)
  expect_equal(axes[-at, -at], diag(4))
  expect_equal(abs(axes[at, at]), abs(unname(prcomp(d[own], scale. = TRUE)$rotation)), tolerance = 1e-7)
  expect_true(all(apply(axes, 2, function(a) max(a) >= -min(a) - 1e-7)))
  expect_output(print(fit), "3 inputs standardised and rotated")
  w <- rep(1:2, 16)
  weighted <- fit_bayes_nn(mpg ~ wt + hp + disp, d, weights = w, hidden = 3, posterior = "meanfield", epochs = 2)
  same <- fit_bayes_nn(mpg ~ wt + hp + disp, d[rep(1:32, w), ], hidden = 3, posterior = "meanfield", epochs = 2)
  expect_equal(weighted$scaling$rotation, same$scaling$rotation, tolerance = 1e-7)
  design <- expand.grid(a = 1:4, b = 1:3, c = 1:5) # uncorrelated: any axes are principal
  fit <- fit_bayes_nn(design, sin(design$a), hidden = 3, posterior = "meanfield", epochs = 2)
  expect_true(all(fit$scaling$rotation %in% 0:1))
})

coef_vector <- function(w) unlist(lapply(w[grepl("^layer", names(w))], as.vector), use.names = FALSE)

test_that("what is said of the columns' weights is what the network computes", {
  for (posterior in c("meanfield", "last_layer")) {
    set.seed(1)
    fit <- fit_bayes_nn(mpg ~ wt + hp + disp + am, mtcars, hidden = 5, posterior = posterior)
    expect_false(is.null(fit$scaling$rotation))
    z <- cbind(scale(mtcars[c("wt", "hp", "disp")]), mtcars$am)
    w <- coef(fit)
    s <- sd(mtcars$mpg)
    cov <- vcov(fit)
    of <- function(unit) paste0(names(w)[1], "[", unit, ",", 1:4, "]")
    mean <- t(w[[1]] %*% t(z) + drop(w[[2]]))
    variance <- vapply(1:5, function(k) {
      rowSums((z %*% cov[of(k), of(k)]) * z) + cov[paste0(names(w)[2], "[", k, "]"), paste0(names(w)[2], "[", k, "]")]
    }, numeric(32))
    u <- mean / sqrt(variance)
    relu <- sqrt(variance) * (dnorm(u) + u * pnorm(u))
    expect_equal(predict(fit), mean(mtcars$mpg) + s * drop(relu %*% t(w[[3]]) + drop(w[[4]])), tolerance = 1e-6,
                 ignore_attr = TRUE)
    expect_identical(colnames(w[[1]]), c("wt", "hp", "disp", "am"))
    expect_equal(confint(fit), coef_vector(w) + sqrt(diag(cov)) %o% qnorm(c(0.025, 0.975)), tolerance = 1e-8,
                 ignore_attr = TRUE)
    set.seed(2)
    theta <- as.matrix(fit, draws = 20000)
    expect_identical(colnames(theta), rownames(cov))
    error <- (cov(theta) - cov) / sqrt((diag(cov) %o% diag(cov) + cov^2) / 20000)
    expect_lt(max(abs(error)), 5)
    expect_lt(max(abs(colMeans(theta) - coef_vector(w)) / sqrt(diag(cov) / 20000)), 4.5)
    response <- function(row) {
      h <- pmax(theta[, 1:20] %*% kronecker(z[row, ], diag(5)) + theta[, 21:25], 0)
      mean(mtcars$mpg) + s * (rowSums(h * theta[, 26:30]) + theta[, 31])
    }
    drawn <- posterior_epred(fit, mtcars[1:2, ], draws = 20000)
    for (row in 1:2) expect_gt(ks.test(drawn[, row], response(row))$p.value, 1e-3)
  }
})

test_that("inputs are rotated by default where nothing is drawn and L-BFGS trains, else on demand", {
  has <- function(..., posterior = "meanfield") {
    fit <- fit_bayes_nn(mpg ~ wt + hp + disp, mtcars, hidden = 2, posterior = posterior, epochs = 1, ...)
    !is.null(fit$scaling$rotation)
  }
  expect_true(has())
  expect_true(has(sigma = "hetero", posterior = "last_layer"))
  for (how in list(list(rotate = FALSE), list(standardize = FALSE), list(estimator = "local"), list(posterior = "full"),
                   list(posterior = "point"), list(posterior = "laplace", members = 1),
                   list(optimizer = "adam"), list(kl = "mc")))
    expect_false(do.call(has, how))
  expect_true(has(rotate = TRUE, estimator = "local"))
  expect_null(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, rotate = TRUE, epochs = 1)$scaling$rotation)
  expect_refused(has(rotate = NA), "`rotate` must be TRUE, FALSE or \"auto\", not NA")
  expect_refused(has(rotate = TRUE, standardize = FALSE), "it needs `standardize` = TRUE")
  expect_true(has(rotate = TRUE, posterior = "ivon"))
  expect_refused(has(rotate = TRUE, posterior = "lowrank"), "\"ivon\" or \"last_layer\", not \"lowrank\"")
  expect_refused(has(rotate = TRUE, posterior = "laplace"), "not \"laplace\"")
})

test_that("a fit with rotated inputs is found again, goes on, and its damage is named", {
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ wt + hp + disp, mtcars, hidden = 4, posterior = "meanfield", epochs = 20)
  again <- unserialize(serialize(fit, NULL))
  expect_equal(predict(again, mtcars), predict(fit, mtcars))
  expect_equal(predict(fit, mtcars[5, ]), predict(fit, mtcars)[5], tolerance = 1e-12)
  expect_gt(tail(continue(fit, 20)$history$elbo, 1), tail(fit$history$elbo, 1))
  expect_lt(check_gradients(fit), 1e-5)
  for (bad in list(diag(2), replace(diag(3), 2, NA), "a")) {
    damaged <- fit
    damaged$scaling$rotation <- bad
    expect_refused(predict(damaged, mtcars), "damaged: `scaling`")
  }
})
