# The engine's own generator: known answers, the law of what it draws, and what must not change it.

test_that("Philox gives the known answers of its authors, with every kernel", {
  halves <- function(hex) strtoi(substring(hex, c(1, 5), c(4, 8)), 16)
  word <- function(hex) {
    vapply(strsplit(hex, " ")[[1]], function(h) sum(halves(h) * c(65536, 1)), 0, USE.NAMES = FALSE)
  }
  # kat_vectors of Random123, philox4x32 10; its counter is our block (two words), node and pass
  with_kernels({
    expect_identical(engine_draw("words", 1, c(0, 0)), word("6627e8d5 e169c58d bc57ac4c 9b00dbd8"))
    counters <- c("ffffffff ffffffff ffffffff ffffffff", "243f6a88 85a308d3 13198a2e 03707344")
    keys <- c("ffffffff ffffffff", "a4093822 299f31d0")
    answers <- c("408f276d 41c83b0e a20bc7c6 6d5451fd", "d16cfe09 94fdcceb 5001e420 24126ea1")
    for (i in 1:2) {
      at <- word(counters[i])
      expect_identical(engine_draw("words", 1, word(keys[i]), at[3], at[4], first = at[1:2]), word(answers[i]))
    }
  })
  words <- list()
  with_kernels(words <- c(words, list(engine_draw("words", 200, c(2^32 - 1, 7), 2^32 - 1, 3, first = c(17, 256)))))
  for (w in words) expect_identical(w, words[[1]])
})

test_that("the fast normals and uniforms have their law, in both precisions", {
  n <- repeats(4e5, 2e4)
  with_kernels(for (precision in c("double", "single")) {
    z <- engine_draw("normal", n, precision = precision)
    u <- engine_draw("uniform", n, node = 3, precision = precision)
    expect_true(all(u > 0 & u < 1))
    for (x in list(stats::pnorm(z), u)) {
      counts <- tabulate(ceiling(x * 1000), 1000)
      expect_gt(stats::pchisq(sum((counts - n / 1000)^2) / (n / 1000), 999, lower.tail = FALSE), 1e-4)
    }
    for (k in 1:4) expect_lt(standard_errors_off(z^k, c(0, 1, 0, 3)[k]), 4)
    for (lag in c(1, 64, 128)) expect_lt(standard_errors_off(z[-seq_len(lag)] * z[seq_len(n - lag)], 0), 4)
    tail <- mean(abs(z) > 3)
    expect_lt(abs(tail - 2 * stats::pnorm(-3)) / sqrt(2 * stats::pnorm(-3) / n), 4)
  })
})

test_that("a number depends on its key, node, pass and place alone", {
  for (kind in c("normal", "uniform")) for (precision in c("double", "single")) {
    draw <- function(...) engine_draw(kind, ..., precision = precision)
    all <- draw(1000)
    expect_identical(draw(300, first = 100), all[101:400])
    expect_identical(c(draw(1), draw(999, first = 1)), all)
    for (other in list(draw(1000, c(1, 3)), draw(1000, c(0, 2)), draw(1000, node = 1), draw(1000, pass = 1)))
      expect_lt(abs(stats::cor(other, all)), 0.15)
  }
})

test_that("fast noise does not depend on chunks, and R's stream gives only its key", {
  set.seed(1)
  case <- full_case(list(a_block("gaussian")), posterior = "meanfield", n = 50)
  gradient <- function(chunk) {
    set.seed(2)
    engine_gradient(case$spec, case$theta, case$data, a_control(chunk, rng = "fast"), mc_samples = 3)
  }
  whole <- gradient(50)
  after <- stats::runif(1)
  for (chunk in c(1, 7, 49)) expect_equal(gradient(chunk), whole, tolerance = 1e-11)
  set.seed(2)
  stats::runif(2)
  expect_identical(after, stats::runif(1))
  set.seed(3)
  expect_false(identical(engine_gradient(case$spec, case$theta, case$data, a_control(50, rng = "fast"), mc_samples = 3),
                         whole))
  # draws of predictions: as for one chunk of their rows, whatever comes before
  run <- function(rows) {
    set.seed(4)
    engine_run(case$spec, case$theta, case_rows(case$data, rows), mode = "training", draws = 3, rng = "fast")
  }
  many <- run(rep(1:50, 30))
  expect_equal(many[1:50, , ], run(1:50), tolerance = 1e-13)
  expect_false(isTRUE(all.equal(many[1:50, , ], many[1:50 + 1050, , ])))
})

test_that("gradients are those of the loss with fast noise, and fits are reproducible", {
  set.seed(5)
  case <- full_case(list(a_block("poisson")), posterior = "meanfield")
  expect_lt(case_error(case, a_control(9, rng = "fast")), 1e-6)
  fit <- function(seed) {
    set.seed(seed)
    fit_nn(mpg ~ ., mtcars, hidden = 5, dropout = 0.2, epochs = 5, rng = "fast")
  }
  expect_identical(fit(6), fit(6))
  expect_false(identical(fit(6)$theta, fit(7)$theta))
})
