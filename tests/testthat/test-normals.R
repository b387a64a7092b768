# Normals made of R's uniforms against R's own.

test_that("normals are those of rnorm(), with every kernel and kind of generator", {
  on.exit(RNGkind("default", "default", "default"))
  n <- repeats(200000, 5000)
  with_kernels(for (kind in c("Mersenne-Twister", "Wichmann-Hill")) {
    RNGkind(kind)
    set.seed(1)
    ours <- engine_normals(n / 4, 4, 3)
    after <- stats::runif(1)
    set.seed(1)
    theirs <- matrix(stats::rnorm(n, 0, 3), n / 4)
    expect_lt(max(abs(ours - theirs) / abs(theirs)), 2e-15)
    expect_identical(after, stats::runif(1))
  })
  for (kind in c("Box-Muller", "Ahrens-Dieter", "Kinderman-Ramage")) {
    RNGkind(normal.kind = kind)
    set.seed(1)
    ours <- engine_normals(50, 20, 1)
    set.seed(1)
    expect_identical(ours, matrix(stats::rnorm(1000), 50))
  }
  expect_identical(dim(engine_normals(0, 3, 1)), c(0L, 3L))
})

test_that("quantiles are R's to a few units in the last place, in the far tails and where regions meet", {
  p <- c(stats::runif(1000), 10^-stats::runif(1000, 0, 18), 1 - 2^-(1:53), 0.075 + c(-1, 0, 1) * 1e-15,
         0.925 + c(-1, 0, 1) * 1e-15, exp(-25) * (1 + c(-1, 0, 1) * 1e-10), 0.5, 2^-59)
  truth <- stats::qnorm(p)
  with_kernels(expect_lt(max(abs(engine_quantiles(p) - truth) / pmax(abs(truth), 1e-290)), 2e-15))
})
