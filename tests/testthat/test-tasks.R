# Work by the workers of a plan of the package future: a worker that is killed, and workers without the package.

with_cluster <- function(workers, expr, ...) {
  old <- future::plan(future::cluster, workers = future::makeClusterPSOCK(workers, ...))
  on.exit(future::plan(old))
  expr
}

test_that("a task whose worker is killed is done again, with the same numbers", {
  skip_on_cran()
  skip_if_counted()
  skip_if_not_installed("future")
  main <- Sys.getpid()
  f <- function(k) {
    if (k == 4 && Sys.getpid() != main) tools::pskill(Sys.getpid(), tools::SIGKILL)
    k^2
  }
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 5, callback = function(epoch, row) FALSE)
  run <- function() {
    set.seed(3)
    cross_validate(fit, folds = 3)
  }
  alone <- run()
  killed <- tempfile()
  kills <- function(epoch, row) {
    if (epoch == 3 && Sys.getpid() != main && file.create(paste0(killed, Sys.getpid())) &&
        length(Sys.glob(paste0(killed, "*"))) == 1)
      tools::pskill(Sys.getpid(), tools::SIGKILL)
    FALSE
  }
  with_cluster(3, {
    expect_warning(found <- in_parallel(1:7, f), "lost with the tasks .*4.* of 7", class = "varnn_lost_worker")
    expect_identical(found, as.list((1:7)^2))
  })
  with_cluster(3, {
    expect_identical(run(), alone)
    fit$call$callback <- kills
    expect_warning(again <- run(), class = "varnn_lost_worker")
    expect_identical(again$scores, alone$scores)
    expect_identical(again$predictions, alone$predictions)
    expect_error(in_parallel(1:3, function(k) stop("its own words")), "its own words")
  })
  unlink(Sys.glob(paste0(killed, "*")))
})

test_that("workers that lack the package are told", {
  skip_on_cran()
  skip_if_counted()
  skip_if_not_installed("future")
  lib <- tempfile()
  dir.create(lib)
  on.exit(unlink(lib, recursive = TRUE))
  # of all packages these find future and what it needs alone
  needed <- c("future", "globals", "listenv", "parallelly", "digest")
  where <- dirname(find.package(needed, quiet = TRUE))
  for (k in seq_along(needed)) file.symlink(file.path(where[k], needed[k]), file.path(lib, needed[k]))
  with_cluster(2, {
    expect_error(in_parallel(1:3, sqrt), "workers .*cannot load varnn: install it", class = "varnn_error")
  }, rscript_envs = c(R_LIBS = "", R_LIBS_SITE = lib, R_LIBS_USER = lib), rscript_startup = sprintf(
    ".libPaths(\"%s\", include.site = FALSE)", lib))
})
