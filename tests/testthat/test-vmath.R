# The engine's elementary functions against libm, with every kernel.

truths <- list(
  exp = exp, log = log, log1p_unit = log1p, expm1 = expm1, tanh = tanh, sigmoid = stats::plogis,
  softplus = function(x) ifelse(x > 0, x + log1p(exp(-x)), log1p(exp(x))), normal_cdf = stats::pnorm,
  log1p = log1p, expm1_any = expm1, atan = atan, sin = sin, cos = cos, lgamma = lgamma,
  digamma = digamma, trigamma = trigamma
)
# Sums of terms that are larger than they: these have fewer digits.
sums <- c("lgamma", "digamma", "trigamma")

# Where a function is asked for, in both precisions: bounds of a range, and points around which its terms cancel.
ranges <- list(
  double = list(exp = c(-707, 709), log = c(1e-300, 1e300), log1p_unit = c(0, 1), expm1 = c(-40, 40), tanh = c(-40, 40),
                sigmoid = c(-707, 700), softplus = c(-707, 700), normal_cdf = c(-37, 9), log1p = c(-1, 1e300),
                expm1_any = c(-707, 709), atan = c(-1e300, 1e300), sin = c(-1e9, 1e9), cos = c(-1e9, 1e9)),
  single = list(exp = c(-86, 88), log = c(1e-37, 1e37), log1p_unit = c(0, 1), expm1 = c(-40, 40), tanh = c(-40, 40),
                sigmoid = c(-86, 86), softplus = c(-86, 86), normal_cdf = c(-12, 6), log1p = c(-1, 1e37),
                expm1_any = c(-86, 88), atan = c(-1e37, 1e37), sin = c(-1e9, 1e9), cos = c(-1e9, 1e9))
)

# Numbers of this precision over the range: evenly, by order of magnitude, and where log(x) and others pass 0.
points_in <- function(range, precision, n = 20000) {
  low <- if (precision == "single") 1e-35 else 1e-290
  magnitude <- exp(stats::runif(n, log(low), log(max(abs(range)))))
  x <- c(stats::runif(n, range[1], range[2]), magnitude, -magnitude, 1 + stats::rnorm(n) / 100)
  if (precision == "single") x <- readBin(writeBin(x, raw(), size = 4L), "double", length(x), size = 4L)
  x[x >= range[1] & x <= range[2]]
}

test_that("elementary functions are accurate to a few units in the last place over their range", {
  expect_setequal(registry()$`function`, names(truths))
  set.seed(1)
  with_kernels(for (precision in c("double", "single")) for (name in setdiff(names(truths), sums)) {
    x <- points_in(ranges[[precision]][[name]], precision, repeats(20000, 500))
    truth <- truths[[name]](x)
    ulp <- abs(truth) * if (precision == "single") 2^-23 else 2^-52
    worst <- max(abs(engine_math(x, name, precision = precision) - truth) / ulp)
    expect_lt(worst, 4, label = paste(name, precision, Sys.getenv("VARNN_KERNEL")))
  })
})

test_that("the gamma function's logarithm and its slopes are accurate beside 1", {
  set.seed(2)
  with_kernels(for (precision in c("double", "single")) for (name in sums) {
    x <- c(points_in(c(1e-3, 1e4), precision, repeats(5000, 200)), points_in(c(-20, 3), precision, repeats(5000, 200)))
    x <- x[abs(x - round(x)) > 1e-3 | x > 0.5] # poles
    truth <- truths[[name]](x)
    off <- abs(engine_math(x, name, precision = precision) - truth) / pmax(1, abs(truth))
    expect_lt(max(off), if (precision == "single") 1e-6 else 1e-12, label = paste(name, precision))
  })
})

test_that("elementary functions are right at infinity, zero, subnormal numbers and NaN", {
  x <- c(-Inf, -1e300, -1, 0, 5e-324, 1e-310, 1, 1e300, Inf, NaN)
  with_kernels(for (name in setdiff(names(truths), c("log1p_unit", "expm1", sums))) { # those have a range
    truth <- suppressWarnings(truths[[name]](x))
    if (name == "softplus") truth[c(1, 10)] <- c(0, NaN)
    y <- engine_math(x, name, precision = "double")
    expect_identical(is.nan(y), is.nan(truth), label = name)
    here <- !is.nan(truth) & is.finite(truth)
    expect_identical(y[!here], truth[!here], label = name)
    # exp() ends at the least normal number
    expect_lt(max(abs(y[here] - truth[here]) / pmax(abs(truth[here]), 1e-291)), 1e-15, label = name)
  })
})

test_that("a value that is not finite is found wherever it is", {
  x <- c(1e308, -1e308, stats::rnorm(40), 1e308) # whose sum is finite, too
  with_kernels(for (n in c(0, 1, 7, 43)) {
    v <- x[seq_len(n)]
    expect_true(engine_all_finite(v))
    for (i in seq_len(n)) for (bad in c(NA, NaN, Inf, -Inf)) expect_false(engine_all_finite(replace(v, i, bad)))
  })
})
