# Run by tools/interrupts: FILE LIB N SEED starts N processes, each with KIND FOLDER SECOND in place of N SEED, and
# interrupts them. A process makes what it needs, writes the file "ready", works, and writes how that ended to "end":
# a fit that was kept, an interrupt, or what is bad. The time from the interrupt to that end is limited, too.

arguments <- commandArgs(TRUE)
lib <- arguments[2]
library(varnn, lib.loc = lib)

set.seed(1)
x <- matrix(rnorm(4000 * 8), 4000)
y <- sin(x[, 1]) + x[, 2] + rnorm(4000) / 4
many <- 1e6 # epochs: none ends before the interrupt
gaps <- iris
for (j in 1:4) gaps[sample(150, 15), j] <- NA

# Work that has a fit to keep.
trainings <- c(
  stats::setNames(lapply(setdiff(optimizers(), "lbfgs"), function(optimizer) {
    function() fit_nn(x, y, optimizer = optimizer, epochs = many, learn_rate = 1e-4)
  }), setdiff(optimizers(), "lbfgs")),
  list(
    lbfgs = function() fit_nn(x, y, hidden = 200, optimizer = "lbfgs", epochs = many),
    single = function() fit_nn(x, y, hidden = c(300, 300), precision = "single", threads = 2, epochs = many),
    tiny = function() fit_nn(mpg ~ wt, mtcars[1:10, ], hidden = 1, epochs = many),
    wide = function() fit_nn(x, y, hidden = c(2000, 2000), epochs = many, batch_size = 4000),
    folds = function() fit_nn(x[1:1500, ], y[1:1500]),
    starts = function() fit_nn(mpg ~ ., mtcars, epochs = 60, starts = 1e5),
    callback = function() fit_nn(x, y, epochs = many, callback = function(epoch, row) sum(runif(1e4)) < 0),
    held_out = function() fit_nn(x, y, validation = 0.2, epochs = many),
    ae = function() fit_ae(iris, epochs = many),
    vae = function() fit_vae(gaps, epochs = many),
    bayes = function() fit_bayes_nn(x, y, estimator = "local", optimizer = "adam", epochs = many),
    exact = function() fit_bayes_nn(x, y, hidden = 100, epochs = many),
    hetero = function() fit_bayes_nn(x, y, sigma = "hetero", epochs = many),
    continue = function() continue(net(), many)
  )
)

net <- function() fit_nn(mpg ~ ., mtcars, hidden = 8, epochs = 20)
deep <- function() fit_bayes_nn(mpg ~ ., mtcars, hidden = c(8, 8), epochs = 20)
plots <- function(fit, which) for (one in which) plot(fit, which = one)
coder <- function() fit_vae(gaps, latent = 2, epochs = 20)

# Work that has none: made once, then done until the interrupt.
others <- list(
  predict = list(net, function(f) predict(f, mtcars[rep(1:32, 3000), ])),
  interval = list(deep, function(f) predict(f, mtcars, interval = "prediction", draws = 20000)),
  epred = list(deep, function(f) posterior_epred(f, mtcars, draws = 50000)),
  log_lik = list(deep, function(f) log_lik(f, draws = 50000)),
  weights = list(deep, function(f) as.matrix(f, draws = 20000)),
  network_elbo = list(deep, function(f) elbo(f, draws = 50000)),
  calibration = list(deep, function(f) calibration(f, mtcars, draws = 20000)),
  summary = list(deep, summary),
  elbo = list(coder, function(f) elbo(f, draws = 1e6)),
  likelihood = list(coder, function(f) logLik(f, k = 1e6)),
  simulate = list(coder, function(f) simulate(f, 2e5)),
  impute = list(coder, function(f) impute(f, m = 100)),
  anomaly = list(coder, anomaly),
  pictures = list(coder, function(f) plots(f, c("latent", "history", "grid", "simulation"))),
  surfaces = list(deep, function(f) plots(f, c("fit", "network", "weights", "history"))),
  gradients = list(net, check_gradients)
)

# Everything that a fit can be asked, of which nothing may be an error.
check_whole <- function(fit) {
  asNamespace("varnn")$check_fit(fit)
  utils::capture.output(print(fit), print(summary(fit)))
  is_coder <- inherits(fit, c("varnn_ae", "varnn_vae"))
  values <- if (is_coder) encode(fit) else predict(fit)
  if (!all(is.finite(as.matrix(values)))) stop("an output is not finite")
  for (ask in list(coef, nobs, deviance, residuals, fitted)) ask(fit)
  plot(fit)
  more <- suppressMessages(suppressWarnings(continue(fit, 1, callback = NULL)))
  if (!all(is.finite(more$theta))) stop("a parameter is not finite")
}

# R as it should be: its generator, its arithmetic, its graphics.
check_session <- function() {
  if (!all(is.finite(runif(3))) || !identical(length(.Random.seed), 626L)) stop("R's generator does not work")
  if (!(2^-1074 > 0)) stop("R's subnormal numbers are 0")
  if (!identical(graphics::par("mfrow"), c(1L, 1L))) stop("the layout of the graphics has changed")
}

silent <- "BAD: the fit does not tell"

child <- function(kind, folder, is_second) {
  grDevices::pdf(NULL)
  graphics::par(mar = c(4, 4, 2, 1))
  trains <- kind %in% names(trainings)
  made <- if (!trains) suppressWarnings(others[[kind]][[1]]())
  said <- character()
  note <- function(c) said <<- c(said, class(c)[1])
  at <- function(name) file.path(folder, name)
  file.create(at("ready"))
  do <- function() if (trains) trainings[[kind]]() else repeat others[[kind]][[2]](made)
  # An interrupt that is late comes while this sleeps.
  suspendInterrupts({
    out <- tryCatch(withCallingHandlers(allowInterrupts(do()), warning = note),
                    interrupt = function(e) "interrupt", error = function(e) paste("BAD:", conditionMessage(e)))
    file.create(at("over"))
    tryCatch(allowInterrupts(Sys.sleep(if (is_second) 1 else 0.1)), interrupt = function(e) NULL)
  })
  ok <- function(expr) {
    tryCatch({
      expr
      NULL
    }, error = function(e) paste("BAD:", conditionMessage(e)))
  }
  bad <- ok(check_session())
  if (inherits(out, "varnn") && is.null(bad)) bad <- ok(check_whole(out))
  if (inherits(out, "varnn") && !"varnn_interrupted" %in% said) bad <- c(bad, silent)
  end <- if (inherits(out, "varnn")) paste("fit", out$stop_reason, out$n_epochs, "epochs") else out
  writeLines(c(end, bad), at("end.part"))
  file.rename(at("end.part"), at("end"))
}

wait_for <- function(file, seconds, from = Sys.time()) {
  since <- function() as.numeric(Sys.time() - from, units = "secs")
  while (!file.exists(file) && since() < seconds) Sys.sleep(0.01)
  if (file.exists(file)) since() else Inf
}

most_seconds <- 20 # to the end of the work, on a machine that has other work, too

# One moment of one kind of work: what is bad, or how it ended.
moment <- function(file, kind) {
  folder <- tempfile("moment")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  at <- function(name) file.path(folder, name)
  is_second <- runif(1) < 0.3
  delay <- c(rexp(1, 2), runif(1, 0, 0.7))
  command <- sprintf("exec %s --vanilla --no-echo -f %s --args %s %s %s %s %d >%s 2>&1 & echo $!",
                     file.path(R.home("bin"), "R"), file, file, lib, kind, folder, is_second, at("log"))
  id <- as.integer(system(command, intern = TRUE))
  if (!is.finite(wait_for(at("ready"), 120))) return(c("BAD: did not start", readLines(at("log"))))
  Sys.sleep(delay[1])
  tools::pskill(id, tools::SIGINT)
  from <- Sys.time()
  if (is_second && !file.exists(at("over"))) {
    Sys.sleep(delay[2])
    if (!file.exists(at("over"))) tools::pskill(id, tools::SIGINT)
  }
  took <- wait_for(at("over"), if (kind == "folds") 3 * most_seconds else most_seconds, from)
  if (is.finite(took)) wait_for(at("end"), 120)
  if (!file.exists(at("end"))) {
    tools::pskill(id, tools::SIGKILL)
    return(c(sprintf("BAD: %s", if (is.finite(took)) "crashed" else "goes on"), utils::tail(readLines(at("log")), 5)))
  }
  found <- readLines(at("end"))
  # what had ended before the interrupt came has nothing to tell
  if (took < 0.05 && grepl("^fit finished", found[1])) found <- setdiff(found, silent)
  c(sprintf("%.2f s, %s%.2f s later", delay[1], if (is_second) "twice, " else "", took), found)
}

parent <- function(file, n, seed) {
  cat("seed", seed, "\n")
  set.seed(seed)
  kinds <- sample(rep_len(sample(c(names(trainings), names(others))), n))
  n_bad <- 0
  for (kind in kinds) {
    found <- moment(file, kind)
    is_bad <- any(grepl("^BAD|internal error|stack imbalance", found))
    n_bad <- n_bad + is_bad
    cat(sprintf("%-12s %s\n", kind, paste(found, collapse = " | ")))
  }
  cat(n, "moments,", n_bad, "bad\n")
  quit(status = n_bad > 0)
}

if (length(arguments) == 4) {
  parent(arguments[1], as.integer(arguments[3]), as.integer(arguments[4]))
} else {
  child(arguments[3], arguments[4], arguments[5] == "1")
}
