# Products: every kernel, precision and BLAS against base R.

integers <- function(rows, cols) matrix(as.double(sample(-4:4, rows * cols, TRUE)), rows)

# The product of matrices of these sizes in all the ways that the engine can be asked for it, less base R's.
product_errors <- function(m, n, k, make, ...) {
  a <- make(m, k)
  b <- make(k, n)
  start <- make(m, n)
  errors <- numeric()
  for (a_transposed in c(FALSE, TRUE)) for (b_transposed in c(FALSE, TRUE)) {
    a_given <- if (a_transposed) t(a) else a
    b_given <- if (b_transposed) t(b) else b
    product <- function(start) engine_product(a_given, b_given, start, a_transposed, b_transposed, ...)
    truth <- a %*% b
    errors <- c(errors, max(abs(product(NULL) - truth)), max(abs(product(start) - (truth + start))),
                max(abs(product(start[, 1, drop = FALSE]) - (truth + start[, 1]))))
  }
  max(errors)
}

test_that("products of whole numbers are exact, with every kernel, precision and BLAS, at all sizes of edges", {
  set.seed(1)
  expect_identical(utils::tail(engine_kernels(), 1), "base")
  edges <- c(1:5, 7:9, 15:17, 24:25, 31:33, 47:49, 57, 64)
  sizes <- rbind(expand.grid(m = edges, n = c(1:4, 7:9, 13), k = c(1:4, 15:17)),
                 expand.grid(m = c(1, 50, 100), n = c(1, 5, 40), k = c(319:321, 641)))
  sizes <- row_pairs(sizes)
  sizes <- sizes[seq(1, nrow(sizes), repeats(1, 4)), ]
  hows <- list(list(precision = "double", blas = FALSE), list(precision = "double", blas = TRUE),
               list(precision = "single"))
  with_kernels({
    for (i in seq_len(nrow(sizes))) for (how in hows) {
      s <- sizes[i, ]
      error <- do.call(product_errors, c(s$m, s$n, s$k, integers, how))
      if (error != 0) fail(paste(s$m, s$n, s$k, how[[1]], Sys.getenv("VARNN_KERNEL")))
    }
    succeed()
  })
})

test_that("products of any numbers are those of base R to rounding", {
  set.seed(2)
  normals <- function(rows, cols) matrix(stats::rnorm(rows * cols), rows)
  with_kernels(for (size in list(c(13, 37, 29), c(64, 32, 700), c(1, 100, 1000))) {
    k <- size[3]
    expect_lt(product_errors(size[1], size[2], k, normals, precision = "double", blas = FALSE), 1e-14 * k)
    expect_lt(product_errors(size[1], size[2], k, normals, precision = "single"), 1e-6 * k)
  })
})

test_that("what is not finite stays where it is", {
  a <- diag(20)
  b <- matrix(1, 20, 9)
  b[3, ] <- c(Inf, NaN, -Inf, 1, 1, 1, 1, 1, NaN)
  with_kernels(for (precision in c("double", "single")) {
    expect_identical(is.finite(colSums(engine_product(a, b, precision = precision))), is.finite(colSums(b)))
    rows <- diag(20)[1:5, ] # a row that does not exist must not reach the others
    expect_true(all(is.finite(engine_product(rows[c(1, 2, 4), -3], b[-3, ], precision = precision))))
  })
})

test_that("the BLAS is used where the option says, or from a size on where it is a fast one", {
  blas_from <- function(value) engine_compute("double", blas = value)$blas_from
  expect_identical(blas_from(TRUE), 0)
  expect_identical(blas_from(FALSE), Inf)
  expect_identical(blas_from(NULL), if (has_fast_blas()) fast_blas_from() else Inf)
  expect_true(all(diff(vapply(engine_kernels(), fast_blas_from, 0)) < 0))
  expect_true(grepl(fast_blas, "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3", TRUE))
  expect_true(grepl(fast_blas, "/Accelerate.framework/Versions/A/Frameworks/vecLib.framework/libBLAS.dylib", TRUE))
  for (reference in c("", "/usr/lib/R/lib/libRblas.so", "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0"))
    expect_false(grepl(fast_blas, reference, TRUE))
})

test_that("an unknown kernel is an error", {
  before <- Sys.getenv("VARNN_KERNEL", NA)
  on.exit(if (is.na(before)) Sys.unsetenv("VARNN_KERNEL") else Sys.setenv(VARNN_KERNEL = before))
  Sys.setenv(VARNN_KERNEL = "abacus")
  expect_error(engine_product(diag(2), diag(2), precision = "double"), "abacus")
})

test_that("fits are the same with every kernel, to rounding", {
  for (precision in c("double", "single")) {
    fits <- list()
    with_kernels({
      set.seed(3)
      fit <- fit_nn(mpg ~ ., mtcars, hidden = c(9, 5), epochs = 5, precision = precision)
      fits <- c(fits, list(predict(fit, mtcars)))
    })
    for (fit in fits[-1]) expect_equal(fit, fits[[1]], tolerance = if (precision == "single") 1e-4 else 1e-10)
  }
})
