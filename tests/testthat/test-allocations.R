# Every entry point where R collects garbage at each allocation: what is not protected is then lost, and another value
# comes out. The arguments are made before; calls of R from C are among the calls. Each collection looks at all that R
# holds: these tests come first, before others load packages.

# The arguments of calls of every entry point, one or several of each.
entry_arguments <- function() {
  set.seed(1)
  case <- full_case(list(a_block("gaussian"), a_block("categorical")), posterior = "meanfield")
  spec <- case$spec
  data <- case$data
  of_rows <- utils::modifyList(data, list(row = c(1, 3, 5, 6)))
  control <- nn_control(epochs = 3, batch_size = 4, learn_rate = 0.01)
  job <- engine_job(control)
  lbfgs <- engine_job(utils::modifyList(control, list(optimizer = "lbfgs", batch_size = 9, precision = "single")))
  inversion <- list(compute = engine_compute("double"))
  box_muller <- list(compute = replace(engine_compute("double"), "inversion", 0L))
  run <- function(want, sample, draws, compute = engine_compute("double")) {
    list(want = wants[[want]], mode = as.integer(sample), draws = draws, compute = compute)
  }
  hooks <- list(poll = function() FALSE, epoch = function(epoch, row) epoch + sum(row) < 0)
  stopping <- list(poll = NULL, epoch = function(epoch, row) epoch == 2L)
  interrupted <- list(poll = function() TRUE, epoch = NULL)
  keeping <- c(hooks, list(is_due = function() TRUE, keep = function(kept) FALSE))
  sampled <- a_case(list(layer("dense", 2, "bias")), list(a_block("gaussian")), posterior = "hmc", missing = 0)
  sampling <- function(root, ...) {
    n <- length(sampled$theta)
    list(sampled$spec, utils::modifyList(job, list(batch_size = 9L)), sampled$data, sampled$theta,
         list(warmup = 2L, draws = 3L, max_depth = 2L, accept = 0.8, total = 9, variance = rep(1, n), root = root,
              precision = numeric(n), center = numeric(n), group = rep(0L, n), shape = 1, rate = 1, start = 2, ...),
         hooks)
  }
  weighted <- a_case(c(hidden_layers(3, "tanh"), list(layer("dense", 2, "bias"))), list(a_block("gaussian")),
                     posterior = "laplace")
  slopes <- function(want, by, upper = 0L) {
    list(weighted$spec, weighted$theta, c(1, 2, 5), array(c(1, 0, 0.5, 2), c(1, 2, 2)), by, weighted$data,
         list(want = match(want, c("gram", "images", "covariances")) - 1L, upper = upper, seed_rows = 1,
              compute = engine_compute("double")), list(poll = function() FALSE))
  }
  z <- matrix(stats::rnorm(18), 9)
  a <- matrix(stats::rnorm(6), 2)
  numbers <- list(rows = 3L, columns = 4L, sd = 2)
  places <- list(kind = 2L, n = 9L, key = c(1, 2), node = 3, pass = 4, first = c(5, 6))
  list(
    C_registry = list(list()), C_kernels = list(list()), C_layout = list(list(spec)),
    C_fit = list(list(spec, job, of_rows, data, case$theta, NULL, hooks, NULL),
                 list(spec, job, data, NULL, case$theta, NULL, stopping, NULL),
                 list(spec, job, data, NULL, case$theta, NULL, interrupted, NULL),
                 list(spec, lbfgs, data, NULL, case$theta, NULL, hooks, NULL),
                 list(spec, job, data, NULL, case$theta, NULL, keeping, list(each = 1L, from = NULL))),
    C_sample = list(sampling(NULL), sampling(diag(length(sampled$theta))),
                    sampling(NULL, momentum = rep(0.5, length(sampled$theta)), step = 0.1)),
    C_stack = list(list(list(list(1:3, c(0.5, 1, 2)), matrix(1:4 / 2, 2)), matrix(c(1, 2, 0, 2), 2), 2L, NULL),
                   list(list(matrix(1:4 / 2, 2)), matrix(c(0, 2), 2), 2L, matrix(0, 2, 2))),
    C_checksum = list(list(as.raw(1:20), NULL)), C_sync = list(list(tempdir())),
    C_run = list(list(spec, case$theta, data, NULL, run("eta", TRUE, 2L), list(poll = function() FALSE)),
                 list(spec, case$theta, of_rows, NULL, run("terms", FALSE, 1L), NULL),
                 list(spec, case$theta, data, z, run("eta", FALSE, 1L, engine_compute("single", rng = "fast")), NULL),
                 list(spec, case$theta, data, NULL, run("sd", TRUE, 2L), list(poll = function() TRUE))),
    C_gradient = list(list(spec, job, of_rows, case$theta), list(weighted$spec, job, weighted$data, weighted$theta)),
    C_jacobian = list(slopes("gram", NULL), slopes("images", diag(3)), slopes("images", NULL),
                      slopes("covariances", diag(3), 1L)),
    C_root = list(list(crossprod(a) + diag(3), c(1, 2, 0), inversion)),
    C_moments = list(list(data$x, data$weight, inversion), list(data$x, NULL, inversion)),
    C_call = list(list(activation_program(~ x * plogis(x)), matrix(c(-1, 0, 2)), inversion)),
    C_draw = list(list(c(places, inversion))),
    C_math = list(list(c(-1, 0, 2), c(list(`function` = registry()$`function`[1]), inversion))),
    C_product = list(list(a, t(a), matrix(1, 2, 2), list(a_transposed = 0L, b_transposed = 0L,
                                                         compute = inversion$compute))),
    C_mixture = list(list(a, abs(a), rep(1 / ncol(a), ncol(a)), c(0.1, 0.5), c(-1, 0), inversion),
                     list(a, 1, rep(1 / ncol(a), ncol(a)), 0.5, 0, inversion)),
    C_all_finite = list(list(c(1, 2), inversion), list(c(1, NA), inversion)),
    C_normals = list(list(c(numbers, inversion)), list(c(numbers, box_muller))),
    C_quantiles = list(list(c(0.01, 0.5))),
    C_poll = list(list()), C_threads = list(list(list(threads = 2L)))
  )
}

# do.call(), and no function of our own: R would compile that meanwhile.
plainly <- function(call) do.call(.Call, call)
tortured <- function(call) {
  on.exit(gctorture2(0))
  gctorture2(1)
  do.call(.Call, call)
}

# The history has columns for all epochs that were asked for; what is in those that were not run means nothing.
of_epochs_run <- function(out) {
  if (is.list(out) && !is.null(out$history)) out$history <- out$history[, seq_len(out$epochs)]
  out
}

test_that("every entry point gives the same values where R collects garbage at every allocation", {
  skip_if_counted()
  arguments <- entry_arguments()
  entries <- getDLLRegisteredRoutines("varnn")$.Call
  expect_setequal(names(arguments), names(entries))
  for (name in names(entries)) for (call in arguments[[name]]) {
    call <- c(list(entries[[name]]), call)
    value <- function(how) {
      set.seed(1)
      of_epochs_run(how(call))
    }
    expect_identical(value(tortured), value(plainly), label = name)
  }
})

test_that("an error where R collects garbage at every allocation is the one without", {
  skip_if_counted()
  entries <- getDLLRegisteredRoutines("varnn")$.Call
  for (name in setdiff(names(entries), c("C_registry", "C_kernels", "C_poll", "C_sync"))) { # "a" is a file to C_sync()
    call <- c(list(entries[[name]]), rep(list("a"), entries[[name]]$numParameters))
    message_of <- function(how) tryCatch(how(call), error = conditionMessage)
    expect_match(message_of(plainly), "must be|damaged", label = name)
    expect_identical(message_of(tortured), message_of(plainly), label = name)
  }
})
