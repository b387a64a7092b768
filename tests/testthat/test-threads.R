# Threads share the work and change nothing. At most two are asked for.

test_that("products are the same bits with two threads, by rows and by columns, with every kernel", {
  set.seed(1)
  sizes <- list(c(1201, 70, 50), c(1201, 64, 50), c(33, 1030, 90))
  with_kernels(for (size in sizes) for (precision in c("double", "single")) {
    a <- matrix(stats::rnorm(size[1] * size[3]), size[1])
    b <- matrix(stats::rnorm(size[3] * size[2]), size[3])
    start <- matrix(stats::rnorm(size[1] * size[2]), size[1])
    one <- engine_product(a, b, start, precision = precision, blas = FALSE)
    expect_equal(one, a %*% b + start, tolerance = if (precision == "single") 1e-5 else 1e-13)
    expect_identical(engine_product(a, b, start, precision = precision, blas = FALSE, threads = 2), one)
    expect_identical(engine_product(a, t(b), start, FALSE, TRUE, precision = precision, blas = FALSE, threads = 2), one)
  })
})

test_that("training and prediction are the same bits with two threads, whatever the noise", {
  skip_if_counted()
  set.seed(2)
  x <- matrix(stats::rnorm(9000 * 20), 9000)
  y <- x[, 1] + stats::rnorm(9000)
  for (precision in c("double", "single")) for (rng in c("R", "fast")) {
    fit <- function(threads) {
      set.seed(3)
      control <- nn_control(epochs = 1, batch_size = 500, precision = precision, rng = rng, threads = threads)
      out <- fit_nn(x[1:2000, ], y[1:2000], hidden = c(400, 400), dropout = 0.1, control = control)
      out$control$threads <- 1
      out
    }
    one <- fit(1)
    expect_identical(fit(2), one)
    expect_identical(predict(one, x, threads = 2), predict(one, x))
    draws <- function(threads, n) {
      set.seed(4)
      data <- engine_data(x[seq_len(n), , drop = FALSE])
      engine_run(one$spec, one$theta, data, mode = "training", draws = 2, precision = precision,
                 rng = rng, threads = threads)
    }
    for (n in c(1, 511, 9000)) expect_identical(draws(2, n), draws(1, n))
  }
})

test_that("likelihoods and the norm of the gradient are the same bits when threads share the rows", {
  skip_if_counted()
  skip_if(is_counted(), "threads that count the same lines wait for each other")
  set.seed(1)
  n <- 1000
  y <- matrix(rexp(30 * n), n)
  y[sample(length(y), 50)] <- NA
  fits <- list(
    learned = list(y, hidden = c(300, 300), clip_norm = 0.1), each = list(y, sigma = "each"),
    hetero = list(y, sigma = "hetero"), given = list(y, sigma = 2), bernoulli = list(1 * (y > 1), family = "bernoulli"),
    poisson = list(round(y), family = "poisson"), negbin = list(round(y), family = "negative_binomial")
  )
  for (name in names(fits)) {
    theta <- lapply(1:2, function(threads) {
      set.seed(2)
      more <- list(latent = 2, epochs = 2, batch_size = n, threads = threads)
      do.call(fit_vae, c(fits[[name]], more))$theta
    })
    expect_true(all(is.finite(theta[[1]])))
    expect_identical(theta[[2]], theta[[1]], label = name)
  }
})

test_that("draws of a bottleneck, with the noise of layers or without, are the same bits with two threads", {
  set.seed(5)
  x <- matrix(stats::rnorm(40000 * 3), 40000)
  fit <- fit_vae(x, hidden = 64, epochs = 0)
  for (mode in c("training", rep("weights", 3))) for (rng in c("R", "fast")) {
    draws <- lapply(1:2, function(threads) {
      set.seed(6)
      engine_run(fit$spec, fit$theta, engine_data(x), mode = mode, rng = rng, threads = threads)
    })
    expect_identical(draws[[2]], draws[[1]])
  }
})

test_that("linearised posteriors and what they predict are the same bits with two threads", {
  set.seed(7)
  x <- matrix(stats::rnorm(3000 * 5), 3000)
  y <- x[, 1] * x[, 2] + stats::rnorm(3000)
  with_threads <- function(fit, threads) {
    for (k in 1:2) fit$members[[k]]$control$threads <- threads
    fit$control$threads <- threads
    fit
  }
  fit <- function(threads) {
    set.seed(8)
    with_threads(fit_bayes_nn(x[1:1500, ], y[1:1500], hidden = 30, posterior = "laplace", members = 2, epochs = 16,
                              threads = threads), 1)
  }
  one <- fit(1)
  expect_identical(fit(2)[names(one) != "call"], one[names(one) != "call"])
  two <- with_threads(one, 2)
  expect_identical(predict(two, x, interval = "prediction"), predict(one, x, interval = "prediction"))
})

test_that("functions that are written down are the same bits with two threads", {
  set.seed(9)
  x <- matrix(stats::rnorm(700 * 40), 700)
  x[3, 5] <- NA
  own <- custom_family("own", ~ (y - mu)^2 * exp(-2 * s) / 2 + s + log(2 * pi) / 2, free = "s", scaled = TRUE,
                       deviance = function(y, mu, s) (y - mu)^2)
  for (precision in c("double", "single")) {
    fit <- function(threads) {
      set.seed(10)
      out <- fit_ae(x, latent = 2, hidden = 40, activation = ~ x * plogis(x), family = own, epochs = 3,
                    batch_size = 600, precision = precision, threads = threads)
      out[c("theta", "history", "errors")]
    }
    expect_identical(fit(2), fit(1))
  }
})

test_that("a fork of a process that has used threads does not hang", {
  skip_if_counted()
  skip_on_os("windows")
  out <- run_script(
    "library(varnn, lib.loc = commandArgs(TRUE)[1])",
    "x <- matrix(rnorm(3e5), 1e4)",
    "fit <- function(i) { set.seed(1); fit_nn(x, x[, 1], hidden = c(400, 400), epochs = 1, batch_size = 500,",
    "  threads = 2, precision = 'single') }",
    "first <- predict(fit(1), x)",
    "forked <- parallel::mclapply(1:2, function(i) predict(fit(i), x), mc.cores = 2)",
    "if (!identical(forked, list(first, first))) cat('BAD: the results differ\n')"
  )
  expect_survived(out, 0)
})

test_that("threads are as many as there are processors and limits allow", {
  processors <- engine_threads(1024)
  expect_lte(usable_threads(1024), processors)
  expect_identical(usable_threads(NULL), 1L)
  with_limit <- function(name, value, wanted) {
    before <- Sys.getenv(name, NA)
    on.exit(if (is.na(before)) Sys.unsetenv(name) else do.call(Sys.setenv, stats::setNames(list(before), name)))
    do.call(Sys.setenv, stats::setNames(list(value), name))
    usable_threads(wanted)
  }
  expect_identical(with_limit("OMP_THREAD_LIMIT", "1", 8), 1L)
  expect_identical(with_limit("OMP_THREAD_LIMIT", "many", 2), usable_threads(2))
  expect_lte(with_limit("_R_CHECK_LIMIT_CORES_", "TRUE", 8), 2)
})

# An R in which no stack of another thread has room.
run_without_threads <- function(...) {
  script <- tempfile(fileext = ".R")
  on.exit(unlink(script))
  writeLines(c(...), script)
  limits <- "ulimit -s 4000000 && ulimit -v 3000000 || { echo no limits; exit; }"
  command <- sprintf("%s; %s --vanilla --no-echo -f %s 2>&1", limits, file.path(R.home("bin"), "R"), script)
  suppressWarnings(system(command, intern = TRUE))
}

test_that("a process that cannot start threads trains with one", {
  skip_on_os(c("windows", "mac", "solaris"))
  skip_if(is_watched() || engine_threads(2) < 2)
  out <- run_without_threads(
    sprintf("library(varnn, lib.loc = '%s')", dirname(system.file(package = "varnn"))),
    "x <- matrix(rnorm(2e5), 1e4)",
    "fit <- fit_nn(x, x[, 1], hidden = 400, epochs = 1, batch_size = 1000, threads = 2)",
    "cat('epochs:', fit$n_epochs, '\n')"
  )
  skip_if(any(out == "no limits"))
  expect_match(paste(out, collapse = "\n"), "epochs: 1")
})

# A shared object that uses OpenMP, as other packages do.
openmp_object <- function() {
  folder <- tempfile("openmp")
  dir.create(folder)
  writeLines(c("void use(int *n) {", "  int used = 0;", "#pragma omp parallel num_threads(2) reduction(+ : used)",
               "  used++;", "  *n = used;", "}"), file.path(folder, "use.c"))
  writeLines(c("PKG_CFLAGS = $(SHLIB_OPENMP_CFLAGS)", "PKG_LIBS = $(SHLIB_OPENMP_CFLAGS)"),
             file.path(folder, "Makevars"))
  here <- setwd(folder)
  on.exit(setwd(here))
  system2(file.path(R.home("bin"), "R"), c("CMD", "SHLIB", "use.c"), stdout = FALSE, stderr = FALSE)
  file.path(folder, paste0("use", .Platform$dynlib.ext))
}

test_that("a fork does not hang that loads the package after its parent has used threads for something else", {
  skip_if_counted()
  skip_on_os("windows")
  skip_if(is_watched())
  object <- openmp_object()
  on.exit(unlink(dirname(object), recursive = TRUE))
  skip_if_not(file.exists(object))
  out <- run_script(
    sprintf("dyn.load('%s')", object),
    "if (.C('use', n = 0L)$n < 2) cat('one thread\n')",
    "lib <- commandArgs(TRUE)[1]",
    "forked <- parallel::mclapply(1:2, mc.cores = 2, function(i) {",
    "  library(varnn, lib.loc = lib)",
    "  x <- matrix(rnorm(3e5), 1e4)",
    "  fit_nn(x, x[, 1], hidden = c(400, 400), epochs = 1, batch_size = 500, threads = 2)$n_epochs",
    "})",
    "if (!isTRUE(all.equal(forked, list(1, 1)))) cat('BAD: no fit\n')"
  )
  expect_survived(out, 0)
})
