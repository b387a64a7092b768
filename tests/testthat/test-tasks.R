# Work by the workers of a plan of the package future: a worker that is killed, and workers without the package.

with_cluster <- function(workers, expr, ...) {
  # more workers than processors have a warning
  made <- suppressWarnings(future::makeClusterPSOCK(workers, ...))
  old <- future::plan(future::cluster, workers = made)
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

# Trainings that are several tasks, each after set.seed(1).
many_trainings <- list(
  members = quote(fit_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 5, members = 5, combine = "stack")),
  default = quote(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, members = 5)),
  chains = quote(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, members = 3,
                              posterior = posterior_hmc(draws = 20, warmup = 30))),
  starts = quote(fit_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 5, starts = 5)),
  further = quote(continue(fit_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 5, members = 3), 4))
)

run_training <- function(training, ...) {
  training <- as.call(c(as.list(training), ...))
  set.seed(1)
  fit <- suppressWarnings(eval(training))
  list(theta = lapply(members(fit), `[[`, "theta"), weights = attr(members(fit), "weights"),
       predict = predict(fit, mtcars), after = stats::runif(1))
}

test_that("members, chains, starts and stacking have the same numbers by any plan", {
  skip_on_cran()
  skip_if_counted()
  skip_if_not_installed("future")
  alone <- lapply(many_trainings, run_training)
  expect_equal(lengths(lapply(alone, `[[`, "theta")), c(members = 5, default = 5, chains = 3, starts = 1, further = 3))
  # a task for each member, and one for each fold and member; the first start is trained here
  handed <- 0
  count <- function(x, f) {
    handed <<- handed + length(x)
    lapply(x, f)
  }
  with_cluster(2, {
    for (name in names(many_trainings))
      expect_identical(run_training(many_trainings[[name]]), alone[[name]], label = name)
    with_function("in_parallel", count, run_training(many_trainings$members))
    expect_equal(handed, 5 + 5 * 5)
    handed <- 0
    with_function("in_parallel", count, run_training(many_trainings$starts))
    expect_equal(handed, 4)
    # a first member that chooses its epochs is not handed out
    handed <- 0
    set.seed(1)
    with_function("in_parallel", count, fit_nn(mpg ~ wt, mtcars, hidden = 2, members = 3))
    expect_equal(handed, 2)
    handed <- 0
    # a function of the user's runs where the user is
    seen <- 0
    note <- function(epoch, row) {
      seen <<- seen + 1
      FALSE
    }
    with_function("in_parallel", count, run_training(many_trainings$starts, callback = note))
    expect_equal(c(handed, seen), c(0, 25))
  })
})

test_that("a worker that is killed while it trains members loses none", {
  skip_if_counted()
  skip_on_cran()
  skip_on_os("windows")
  skip_if_not_installed("future")
  training <- quote(fit_nn(mpg ~ wt + hp, mtcars, hidden = 30, epochs = 60000, members = 4))
  alone <- run_training(training)
  with_cluster(2, {
    worker <- future::value(future::future(Sys.getpid()))
    wait <- awaited
    kills <- function(share) {
      if (!is.null(worker)) tools::pskill(worker, tools::SIGKILL)
      worker <<- NULL
      wait(share)
    }
    set.seed(1)
    warned <- character()
    fit <- withCallingHandlers(with_function("awaited", kills, eval(training)), warning = function(w) {
      warned <<- c(warned, class(w)[1])
      tryInvokeRestart("muffleWarning")
    })
    expect_identical(warned, "varnn_lost_worker")
    expect_identical(lapply(members(fit), `[[`, "theta"), alone$theta)
  })
})

test_that("an error in a worker keeps the members that are whole, an interrupt those that are there", {
  skip_on_cran()
  skip_on_os("windows")
  skip_if_not_installed("future")
  train <- function(...) {
    set.seed(1)
    fit_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 5, members = 4, ...)
  }
  whole <- train()
  main <- Sys.getpid()
  parallel_tasks <- in_parallel
  with_cluster(2, {
    fails <- function(x, f) {
      parallel_tasks(x, function(start) {
        if (start$number == 3) simpleError("no memory") else f(start)
      })
    }
    failed <- tryCatch(suppressWarnings(with_function("in_parallel", fails, train())),
                       varnn_error_in_training = identity)
    expect_match(conditionMessage(failed), "no memory.*after 3 members")
    expect_identical(lapply(members(failed$fit), `[[`, "theta"), lapply(members(whole), `[[`, "theta")[c(1, 2, 4)])
    slow <- function(x, f) {
      parallel_tasks(x, function(start) {
        if (start$number == 4) Sys.sleep(20)
        f(start)
      })
    }
    wait <- awaited
    shares <- 0
    interrupted <- function(share) {
      shares <<- shares + 1
      if (shares == 2) {
        tools::pskill(main, tools::SIGINT)
        Sys.sleep(0.05)
      }
      wait(share)
    }
    forget_interrupts()
    took <- system.time(expect_warning(
      fit <- suppressMessages(with_function("in_parallel", slow, with_function("awaited", interrupted, train()))),
      "2 members were not trained", class = "varnn_interrupted"))[[3]]
    expect_lt(took, 15)
    expect_identical(lapply(members(fit), `[[`, "theta"), lapply(members(whole), `[[`, "theta")[1:2])
  })
})

test_that("a training by workers goes on from its file, in this process, too", {
  training <- quote(fit_nn(mpg ~ wt + hp, mtcars, hidden = 3, epochs = 5, members = 5))
  alone <- run_training(training)
  file <- tempfile()
  on.exit(unlink(file))
  with_two <- function(expr) with_function("workers_at_once", function() 2L, expr)
  second_fails <- function(x, f) {
    batches <<- batches + 1
    if (batches == 2) stop("a power cut")
    lapply(x, f)
  }
  theta_of <- function(fit) lapply(members(fit), `[[`, "theta")
  for (goes_on in list(identity, with_two)) {
    batches <- 0
    unlink(file)
    expect_error(with_two(with_function("in_parallel", second_fails, {
      run_training(training, checkpoint = file, checkpoint_every = 0)
    })), "a power cut")
    expect_identical(theta_of(goes_on(continue(file))), alone$theta)
  }
})
