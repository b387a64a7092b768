# Data in chunks: the fit is that of the data frame, bit for bit where the order of the rows is the same.

table_of <- function(n, seed = 1) {
  set.seed(seed)
  d <- data.frame(x = rnorm(n), z = rnorm(n, 5, 3), f = sample(letters[1:4], n, TRUE), w = sample(0:3, n, TRUE))
  d$y <- sin(d$x) + 0.1 * d$z + (d$f == "b") + rnorm(n, 0, 0.2)
  d$class <- factor(ifelse(d$y > 1, "high", ifelse(d$x > 0, "middle", "low")))
  d
}
pieces <- function(d, k) unname(split(d, cut(seq_len(nrow(d)), k, labels = FALSE)))
from_seed <- function(expr, seed = 3) {
  set.seed(seed)
  expr
}
same_fit <- function(a, b) {
  expect_identical(a$theta, b$theta)
  expect_identical(a$history, b$history)
}
unname_rows <- function(x) if (is.matrix(x)) `rownames<-`(x, NULL) else unname(x)
d <- table_of(1500)

test_that("training on one buffer is training on the data frame, bit for bit", {
  sources <- list(chunks(d), chunks(pieces(d, 4)), chunks(function(i) if (i <= 3) pieces(d, 3)[[i]]),
                  chunks(function(i) if (i <= 3) list(d[1:700, ], d[0, ], d[701:1500, ])[[i]]))
  whole <- from_seed(fit_nn(y ~ x + z + f, d, epochs = 3))
  for (s in sources) same_fit(whole, from_seed(fit_nn(y ~ x + z + f, s, epochs = 3)))
  some <- list(list(y ~ . - w - class, weights = quote(w), validation = 0.2, epochs = 3),
               list(class ~ x + z, subset = quote(x > -1), epochs = 3, precision = "single"),
               list(cbind(y, z) ~ x * f, epochs = 3, batch_size = 100), list(y ~ x + offset(z), epochs = 3))
  for (arguments in some) {
    fit <- function(data) from_seed(do.call("fit_nn", c(arguments[1], list(data = data), arguments[-1])))
    rows <- if (is.null(arguments$weights)) d else d[d$w > 0, ]
    same_fit(fit(rows), fit(chunks(d)))
  }
  bent <- y ~ poly(x, 2) + splines::ns(z, 3) + offset(x) # which is as it would be for new data, to rounding
  whole <- from_seed(fit_nn(bent, d, epochs = 2))
  expect_equal(from_seed(fit_nn(bent, chunks(pieces(d, 4)), epochs = 2))$theta, whole$theta, tolerance = 1e-8)
})

test_that("the engine trains on a buffer as on data at once, bit for bit", {
  d$w <- d$w + 0.5
  call <- quote(fit_nn(formula = y ~ x + z + f, weights = w))
  train <- varnn:::chunked_data(chunks(pieces(d, 3)), call, environment(), NULL, "auto")
  train <- varnn:::hold_out(train, 0)
  train$scaling <- varnn:::x_scaling(train, TRUE)
  blocks <- varnn:::response_blocks(train, "auto", TRUE)
  layers <- list(varnn:::layer("dense", 8, "bias"), varnn:::layer("activate", option = "tanh"),
                 varnn:::layer("dropout", setting = 0.2), varnn:::layer("dense", 1, "bias"))
  spec <- varnn:::new_spec(5, layers, blocks)
  layout <- varnn:::spec_layout(spec)
  sets <- varnn:::training_sets(train, blocks, 0)
  theta <- rnorm(layout$n_par) / 3
  for (precision in c("double", "single")) for (batch_size in c(32, 1000, 1500)) {
    control <- nn_control(epochs = 3, batch_size = batch_size, learn_rate = 0.01, precision = precision)
    feed <- varnn:::new_feed(train, blocks, control)
    run <- function(data) from_seed(varnn:::engine_fit(spec, layout, data, sets$train, control, theta))
    expect_identical(run(feed), run(sets$train))
  }
})

test_that("L-BFGS sums over buffers as over all rows, bit for bit", {
  whole <- from_seed(fit_nn(y ~ x + z + f, d, optimizer = "lbfgs", epochs = 20, hidden = 4))
  for (rows in c(1024, 1300)) {
    source <- chunks(d, rows = rows)
    same_fit(whole, from_seed(fit_nn(y ~ x + z + f, source, optimizer = "lbfgs", epochs = 20, hidden = 4)))
  }
})

test_that("without hidden layers a sample and passes give the coefficients of lm() and glm()", {
  n <- 30000
  d <- table_of(n, 2)
  d$rare <- c("a", "b")[1 + (seq_len(n) %in% c(5, 29999, 777))]
  source <- chunks(pieces(d, 7), rows = 5000) # more than the sample of 20,000
  fit <- from_seed(fit_nn(y ~ x * f + z + rare, source, hidden = 0))
  lm <- lm(y ~ x * f + z + rare, d)
  expect_equal(coef(fit), coef(lm), tolerance = 1e-8)
  expect_equal(sigma(fit), sigma(lm), tolerance = 1e-8)
  expect_equal(c(logLik(fit)), c(logLik(lm)), tolerance = 1e-10)
  expect_equal(deviance(fit), deviance(lm), tolerance = 1e-10)
  expect_equal(nobs(fit), n)
  expect_equal(predict(fit, source), unname(fitted(lm)), tolerance = 1e-8)
  weighted <- from_seed(fit_nn(y > 1 ~ x + z, source, weights = w, hidden = 0))
  glm <- glm(y > 1 ~ x + z, "binomial", d, w)
  expect_equal(coef(weighted), coef(glm), tolerance = 1e-5)
  expect_equal(deviance(weighted), deviance(glm), tolerance = 1e-8)
  by_steps <- from_seed(fit_nn(y ~ x + z, source, hidden = 0, optimizer = "adam", schedule = "cosine",
                               learn_rate = 0.05, epochs = 10))
  expect_equal(coef(by_steps), coef(lm(y ~ x + z, d)), tolerance = 0.01)
})

test_that("moments of parts are those of the whole", {
  set.seed(5)
  x <- cbind(rnorm(5000, 1e6), rexp(5000), rbinom(5000, 1, 0.1), 7)
  w <- rpois(5000, 2) + 0.5
  for (weights in list(NULL, w)) {
    merged <- NULL
    for (at in split(1:5000, sort(rep_len(c(1, 1, 1, 2, 3, 3), 5000))))
      merged <- varnn:::merged_moments(merged, varnn:::weighted_moments(x[at, ], weights[at]))
    merged <- varnn:::with_spread(merged)
    whole <- varnn:::column_moments(x, weights)
    for (field in c("mean", "sd", "min", "max", "is_binary", "is_constant"))
      expect_equal(merged[[field]], whole[[field]], tolerance = 1e-12)
  }
})

test_that("a sample is one without replacement, each row as likely as the others", {
  set.seed(6)
  counts <- numeric(100)
  for (k in 1:400) {
    sample <- varnn:::new_sample(20)
    for (at in split(1:100, rep(1:4, c(10, 5, 50, 35)))) sample$add(data.frame(row = at), seq_along(at))
    expect_identical(as.double(sample$rows()$row), sample$numbers())
    counts[sample$numbers()] <- counts[sample$numbers()] + 1
  }
  expect_equal(sum(counts), 400 * 20)
  expect_gt(chisq.test(counts)$p.value, 1e-4)
})

test_that("each epoch trains on every row once, however the rows come", {
  seen <- list()
  n <- 3000
  d <- data.frame(x = rnorm(n), y = seq_len(n))
  source <- chunks(pieces(d, 7), rows = 500)
  data <- varnn:::chunked_data(source, quote(fit_nn(formula = y ~ x)), environment(), NULL, "auto")
  data <- varnn:::hold_out(data, 0.1)
  data$scaling <- varnn:::x_scaling(data, TRUE)
  blocks <- varnn:::response_blocks(data, "auto", FALSE)
  feed <- varnn:::new_feed(data, blocks, nn_control(batch_size = 32))
  expect_identical(c(feed$n, feed$most), c(2700, 480))
  epoch <- function() {
    y <- list()
    while (length(unlist(y)) < 2700) y[[length(y) + 1]] <- feed$fetch()$y[, 1]
    y
  }
  passes <- lapply(1:3, function(k) epoch())
  for (y in passes) {
    expect_identical(lengths(y), c(rep(480L, 5), 300L))
    expect_identical(sort(unlist(y)), as.double(setdiff(seq_len(n), data$held_out)))
  }
  expect_false(identical(passes[[1]], passes[[2]]))
})

test_that("files and tables give the fit of the data frame", {
  folder <- tempfile()
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  file <- function(name) file.path(folder, name)
  whole <- from_seed(fit_nn(y ~ x + z + f, d, epochs = 2))
  small <- from_seed(fit_nn(y ~ x + z + f, chunks(d, rows = 512), epochs = 2))
  parts <- pieces(d, 2)
  paths <- file(c("1.rds", "2.rds"))
  Map(saveRDS, parts, paths)
  same_fit(whole, from_seed(fit_nn(y ~ x + z + f, chunks(paths), epochs = 2)))
  csv <- file(c("1.csv", "2.csv.gz"))
  con <- gzfile(csv[2], "w")
  write.csv(parts[[1]], csv[1], row.names = FALSE)
  write.csv(parts[[2]][6:1], con, row.names = FALSE)
  close(con)
  read <- rbind(read.csv(csv[1]), read.csv(csv[2])[6:1])
  same_fit(from_seed(fit_nn(y ~ x + z + f, read, epochs = 2)),
           from_seed(fit_nn(y ~ x + z + f, chunks(csv), epochs = 2)))
  write.table(d, file("a.csv"), sep = ";", na = "-", row.names = FALSE)
  read <- read.csv(file("a.csv"), sep = ";")
  same_fit(from_seed(fit_nn(y ~ x + z + f, chunks(read, rows = 512), epochs = 2)),
           from_seed(fit_nn(y ~ x + z + f, chunks(file("a.csv"), rows = 512, sep = ";", na.strings = "-"), epochs = 2)))
  skip_if_not_installed("RSQLite")
  con <- DBI::dbConnect(RSQLite::SQLite(), ":memory:")
  DBI::dbWriteTable(con, "d", d)
  same_fit(whole, from_seed(fit_nn(y ~ x + z + f, chunks(con, "d"), epochs = 2)))
  same_fit(small, from_seed(fit_nn(y ~ x + z + f, chunks(con, "SELECT y, x, z, f FROM d", rows = 512), epochs = 2)))
  expect_error(chunks(con, "e"), "`query`.*no table \"e\"")
  expect_error(chunks(con), "`query`")
  expect_error(fit_nn(y ~ nothing, chunks(con, "d")), "nothing")
  expect_error(fit_nn(y ~ x, chunks(con, "SELECT nothing FROM d")), "The source failed in chunk 1")
  source <- chunks(con, "d")
  DBI::dbDisconnect(con)
  expect_error(fit_nn(y ~ x, source), "`source` is a connection to a database that is closed")
})

test_that("CSV files are read in pieces as at once", {
  path <- tempfile(fileext = ".csv")
  on.exit(unlink(path))
  writeLines(c("a,b,c", "1,,\"two\nlines, and \"\"quotes\"\"\"", "2,,x", "3.5,7,y", "", "4,8,NA", ""), path)
  read <- function(...) do.call(rbind, each_chunk(chunks(path, ...), function(data) data))
  whole <- read.csv(path)
  for (rows in 1:5) expect_equal(read(rows = rows), whole, ignore_attr = "row.names")
  writeLines(c("a", "1", "2", "x"), path)
  expect_error(read(rows = 2), "The source failed in chunk 2")
})

test_that("rows held out at random end the training where epochs are not given", {
  fit <- from_seed(fit_nn(y ~ x + z + f, chunks(d, rows = 500)))
  expect_match(paste(capture.output(print(fit)), collapse = " "), "300 rows held out")
  expect_identical(fit$stop_reason, "patience")
  expect_identical(fit$best_epoch, which.min(fit$history$val_loss))
  expect_lt(mean((predict(fit, d) - d$y)^2), 1.2 * 0.2^2)
  expect_error(fit_nn(y ~ x, chunks(d), validation = 1:3), "`validation`")
  held <- data.frame(x = 0, y = d$y[1:50])
  new <- from_seed(fit_nn(y ~ x, chunks(d), validation = held, patience = 2))
  expect_identical(new$source[c("words", "dropped")], list(words = "a data frame", dropped = 0))
  expect_identical(new$control$validation, held)
})

test_that("the other models train on chunks", {
  whole <- from_seed(fit_ae(~ . - w, d, epochs = 3))
  same_fit(whole, from_seed(fit_ae(~ . - w, chunks(pieces(d, 2)), epochs = 3)))
  expect_identical(predict(whole, chunks(d, rows = 400), type = "error"), unname(predict(whole, d, type = "error")))
  expect_identical(predict(whole, chunks(d, rows = 400), type = "reconstruction"),
                   `rownames<-`(reconstruct(whole, d), NULL))
  small <- from_seed(fit_ae(~ . - w, chunks(pieces(d, 2), rows = 500)))
  expect_match(paste(capture.output(print(small)), collapse = " "), "300 rows held out")
  expect_equal(min(small$history$val_loss), min(from_seed(fit_ae(~ . - w, d, validation = 0.2))$history$val_loss),
               tolerance = 0.1)
  model <- list(~ x + z + y + f, latent = 2, epochs = 60, hidden = 8)
  on <- function(data) from_seed(do.call("fit_vae", c(model[1], list(data = data), model[-1])))
  whole <- on(d)
  same_fit(whole, on(chunks(pieces(d, 3))))
  small <- on(chunks(pieces(d, 3), rows = 500))
  expect_equal(mean(elbo(small, d)), mean(elbo(whole, d)), tolerance = 0.03)
  bayes <- list(y ~ x + z + f, epochs = 30, posterior = "meanfield", members = 1, hidden = 4)
  on <- function(data) from_seed(do.call("fit_bayes_nn", c(bayes[1], list(data = data), bayes[-1])))
  whole <- on(d)
  same_fit(whole, on(chunks(d)))
  small <- on(chunks(d, rows = 1024))
  expect_identical(small$theta[-small$n_par], whole$theta[-whole$n_par]) # the last is the noise, by a pass at the end
  expect_equal(small$theta, whole$theta, tolerance = 1e-8)
  expect_identical(dim(predict(small, chunks(d, rows = 400), interval = "prediction", draws = 10)), c(1500L, 3L))
  expect_error(predict(small, chunks(d), type = "draws"), "`type`")
  expect_error(fit_bayes_nn(y ~ x, chunks(d), posterior = "laplace"), "`posterior`")
  expect_error(fit_vae(x ~ z, chunks(d)), "`formula`")
  expect_error(fit_nn(y ~ x, chunks(d), members = 2, combine = "stack", epochs = 1), "`combine`")
  expect_s3_class(from_seed(fit_nn(y ~ x, chunks(d, rows = 500), members = 2, combine = "stack", epochs = 2,
                                   validation = 0.2)), "varnn_mixture")
})

test_that("predictions of chunks are those of the data frame", {
  source <- chunks(d, rows = 400)
  fit <- from_seed(fit_nn(class ~ x + z + f, d, epochs = 2))
  for (type in c("class", "prob", "link"))
    expect_identical(predict(fit, source, type = type), unname_rows(predict(fit, d, type = type)))
  linear <- fit_nn(y ~ x, d, hidden = 0)
  expect_equal(predict(linear, source, se.fit = TRUE), lapply(predict(linear, d, se.fit = TRUE), unname))
  expect_equal(predict(linear, source, interval = "prediction"),
               unname_rows(predict(linear, d, interval = "prediction")))
  holes <- d
  holes$x[c(3, 900)] <- NA
  expect_identical(which(is.na(predict(fit, chunks(holes, rows = 400)))), c(3L, 900L))
  expect_error(predict(fit, chunks(d[c("x", "z")], rows = 400)), "Chunk 1.*`f`")
  expect_identical(unlist(each_chunk(source, function(data, i) i * nrow(data))), c(400, 800, 1200, 1200))
})

test_that("a fit to chunks describes itself, and says what it cannot", {
  fit <- from_seed(fit_nn(y ~ x + z, chunks(d), epochs = 2))
  whole <- from_seed(fit_nn(y ~ x + z, d, epochs = 2))
  expect_lt(length(serialize(fit, NULL)), length(serialize(whole, NULL)))
  expect_identical(summary(fit)$log_lik, summary(whole)$log_lik)
  expect_equal(summary(fit)$responses$y$measures[["rmse"]], summary(whole)$responses$y$measures[["rmse"]])
  expect_s3_class(update(fit, epochs = 1), "varnn_nn")
  says <- "keeps none of them"
  expect_error(residuals(fit), says)
  expect_error(fitted(fit), says)
  expect_error(predict(fit), says)
  expect_error(simulate(fit), says)
  expect_error(continue(fit, 2), says)
  expect_error(calibration(fit), says)
  for (of in list(effects, explore, importance)) expect_error(of(fit), says, class = "varnn_error")
  expect_error(plot(fit, "effects"), says, class = "varnn_error")
  expect_equal(effects(fit, newdata = d)$effects, effects(whole, newdata = d)$effects)
  expect_s3_class(explore(fit, newdata = d), "varnn_explorer")
  expect_s3_class(calibration(fit, d), "varnn_calibration")
  expect_error(vcov(fit_nn(y ~ x, chunks(d), hidden = 0)), "trained on chunks")
  saved <- unserialize(serialize(fit, NULL))
  expect_identical(predict(saved, d), predict(whole, d))
  saved$source$totals[] <- -1
  expect_error(print(saved), "damaged")
})

test_that("a source that fails or changes is a clear error, and the work so far is kept", {
  parts <- pieces(d, 4)
  calls <- 0
  with_change <- function(change, after) {
    calls <<- 0
    chunks(function(i) {
      calls <<- calls + 1
      if (calls > after) change(i) else if (i <= 4) parts[[i]]
    }, rows = 500)
  }
  fit <- function(source) fit_nn(y ~ x + f, source, epochs = 5)
  error <- tryCatch(fit(with_change(function(i) stop("no disk"), 15)), error = identity)
  expect_s3_class(error, "varnn_error_in_training")
  expect_match(conditionMessage(error), "The source failed in chunk [1-4]: no disk")
  expect_gte(nrow(error$fit$history), 1)
  expect_true(all(is.finite(predict(error$fit, d))))
  same <- "must give the same each time"
  expect_error(fit(with_change(function(i) if (i <= 3) parts[[i]], 8)), same)
  expect_error(fit(with_change(function(i) if (i <= 4) parts[[i]][-1, ], 8)), same)
  expect_error(fit(with_change(function(i) if (i <= 4) rbind(parts[[i]], parts[[i]]), 8)), same)
  expect_error(fit(with_change(function(i) transform(parts[[i]], f = "new"), 8)), "Chunk [1-4] of the data: .*f.*new")
  expect_error(fit(with_change(function(i) transform(parts[[i]], x = "a"), 8)), "Chunk [1-4] of the data: Column `x`")
  expect_error(fit(with_change(function(i) parts[[i]]["y"], 8)), "Chunk [1-4] of the data: there is no column `x`")
  expect_error(fit(chunks(list(parts[[1]], transform(parts[[2]], x = "a")))), "Chunk 2 of the data: Column `x`")
  expect_error(fit(chunks(list(parts[[1]], parts[[2]]["y"]))), "Chunk 2 of the data: there is no column `x`")
  expect_error(fit(chunks(function(i) if (i == 1) parts[[1]] else if (i == 2) 7)), "chunk 2: it must be a data frame")
  expect_error(fit(chunks(function(i) NULL)), "the source is empty")
  expect_error(fit(chunks(d[0, ])), "the source is empty")
  expect_error(fit_nn(y ~ x, chunks(d), subset = 1:3), "`subset`")
  expect_error(fit_nn(class ~ x, chunks(d), weights = "balanced"), "`weights`")
  for (posterior in c("laplace", "hmc", "dropout", "swag"))
    expect_error(fit_bayes_nn(y ~ x, chunks(d), posterior = posterior), "needs all rows at once")
  expect_error(fit_nn(y ~ x, chunks(d), members = 2, combine = "stack", epochs = 1), "give `validation`")
  expect_error(fit_nn(y ~ x, chunks(d), keep_data = TRUE), "`keep_data`")
  expect_error(fit_nn(chunks(d), d$y), "formula")
  later <- chunks(list(parts[[1]], transform(parts[[2]], f = "later")))
  expect_true("flater" %in% from_seed(fit(later))$design$columns)
  holes <- d
  holes$x[5:9] <- NA
  expect_match(paste(capture.output(print(fit(chunks(holes)))), collapse = " "), "5 with missing values left out")
  expect_error(fit_nn(y ~ x, chunks(holes), na.action = na.fail), "Chunk 1 of the data: .*missing")
  expect_error(fit_nn(y ~ x, chunks(holes), na.action = na.pass, epochs = 1), "`x` has missing values")
})

test_that("a factor beside plain numbers is read without a model frame, with the same fit", {
  source <- chunks(pieces(d, 4), rows = 500)
  fast <- from_seed(fit_nn(class ~ x + z, source, epochs = 2))
  slow <- with_function("number_rows", function(plan, data) NULL, from_seed(fit_nn(class ~ x + z, source, epochs = 2)))
  same_fit(fast, slow)
  same_fit(from_seed(fit_nn(class ~ x + z, chunks(pieces(d, 4)), epochs = 2)),
           from_seed(fit_nn(class ~ x + z, d, epochs = 2)))
  # words have no levels of their own
  words <- transform(d, class = as.character(class))
  same_fit(from_seed(fit_nn(class ~ x + z, chunks(pieces(words, 4)), epochs = 2)),
           from_seed(fit_nn(class ~ x + z, words, epochs = 2)))
})

test_that("a level that comes in the third chunk, types that change and connections that close are found", {
  parts <- pieces(d, 4)
  third <- parts
  third[[3]]$f[1] <- "late"
  fit <- from_seed(fit_nn(y ~ x + f, chunks(third, rows = 500), epochs = 1))
  expect_true("flate" %in% fit$design$columns)
  data <- do.call(rbind, third)
  same_fit(from_seed(fit_nn(y ~ x + f, chunks(third), epochs = 1)), from_seed(fit_nn(y ~ x + f, data, epochs = 1)))
  # what was a number is a word in the third chunk, or the other way round
  for (bad in list(list("x", "1"), list("f", 1), list("x", TRUE))) {
    worse <- parts
    worse[[3]][[bad[[1]]]] <- bad[[2]]
    expect_error(fit_nn(y ~ x + f, chunks(worse, rows = 500), epochs = 1),
                 sprintf("Chunk 3 of the data: .*`%s`", bad[[1]]))
  }
  worse <- parts
  worse[[3]]$y <- as.character(worse[[3]]$y)
  expect_error(fit_nn(y ~ x + f, chunks(worse, rows = 500), epochs = 1), "Chunk 3 of the data: .*y")
  skip_if_not_installed("RSQLite")
  con <- DBI::dbConnect(RSQLite::SQLite(), ":memory:")
  DBI::dbWriteTable(con, "d", d)
  source <- chunks(con, "d", rows = 500)
  closes <- function(epoch, row) {
    if (epoch == 2) DBI::dbDisconnect(con)
    FALSE
  }
  error <- tryCatch(suppressWarnings(fit_nn(y ~ x, source, epochs = 5, callback = closes)), error = identity)
  expect_s3_class(error, "varnn_error_in_training")
  expect_match(conditionMessage(error), "connection to a database that is closed|failed in chunk")
  expect_gte(nrow(error$fit$history), 1)
})

test_that("levels have the order that they have in the data frame, whatever rows come first", {
  same <- function(formula, data, rows, ...) {
    linear <- function(data) fit_nn(formula, data, hidden = 0, ...)
    expect_equal(coef(linear(chunks(data, rows = rows))), coef(linear(data)), tolerance = 1e-5)
  }
  pima <- MASS::Pima.tr[order(MASS::Pima.tr$type, decreasing = TRUE), ]
  same(type ~ glu + bmi, pima, 60)
  by_tension <- warpbreaks[order(warpbreaks$tension, decreasing = TRUE), ]
  same(breaks ~ tension, by_tension, 10)
  same(breaks ~ factor(as.integer(tension)) + as.character(wool), by_tension, 10)
  same(breaks ~ factor(c(2, 10, 9)[tension]), by_tension, 10)
  same(breaks ~ factor(tension, c("M", "H", "L")), by_tension, 10)
  same(ncases ~ agegp, esoph[order(esoph$agegp), ], 30, family = "poisson") # an ordered factor
  by_order <- transform(by_tension, tension = factor(tension, rev(levels(tension)), ordered = TRUE))
  order_of <- function(data) levels(predict(fit_nn(tension ~ breaks, data, epochs = 1), by_order, type = "class"))
  expect_identical(order_of(chunks(by_order, rows = 20)), order_of(by_order))
  expect_identical(varnn:::merged_levels(c("b", "d"), c("b", "c", "d")), c("b", "c", "d"))
  expect_identical(varnn:::merged_levels(c("z", "b"), c("y", "b", "a")), c("z", "y", "b", "a"))
  expect_identical(varnn:::merged_levels(c("9", "11"), c("10", "11")), c("9", "10", "11"))
})

test_that("a source that sets the seed does not disturb the training", {
  source <- chunks(function(i) {
    set.seed(i)
    if (i <= 2) pieces(d, 2)[[i]]
  })
  same_fit(from_seed(fit_nn(y ~ x, d, epochs = 2)), from_seed(fit_nn(y ~ x, source, epochs = 2)))
})

test_that("what makes the data is evaluated once", {
  calls <- 0
  make <- function(x) {
    calls <<- calls + 1
    x
  }
  fit_nn(y ~ x, make(d), epochs = 1)
  fit_nn(y ~ x, make(chunks(d)), epochs = 1)
  fit_ae(~ x + z, make(d), epochs = 1)
  fit_vae(cbind(x, z) ~ f, make(d), epochs = 1)
  expect_identical(calls, 4)
})

test_that("what chunks() cannot read is an error in the user's words", {
  expect_no_warning(expect_refused(chunks(.Primitive("if")), "it takes none"))
  expect_error(chunks(), "`source` is missing")
  expect_error(chunks(3), "`source` must be")
  expect_error(chunks("a.txt"), "`source` must be")
  expect_error(chunks("none.csv"), "`source` names the file \"none.csv\"")
  expect_error(chunks(function() 1), "`source` must be a function of a number")
  expect_error(chunks(d, rows = 0), "`rows`")
  expect_error(chunks(d, sep = ";"), "`sep`")
  expect_error(chunks(d, query = "a"), "`query`")
  expect_error(each_chunk(d, print), "`chunks` must be made by chunks\\(\\)")
  expect_error(each_chunk(chunks(d), 1), "`f`")
  expect_output(print(chunks(pieces(d, 2))), "2 data frames, 100,000 rows")
  expect_error(encode(fit_ae(~ x + z, d, epochs = 1), chunks(d)), "each_chunk")
})

test_that("Parquet files and arrow's datasets are read by row groups, and give the fit of the data frame", {
  skip_if_not_installed("arrow")
  folder <- tempfile("parquet")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  parts <- pieces(d, 3)
  files <- file.path(folder, sprintf("part%d.parquet", 1:3))
  for (k in 1:3) arrow::write_parquet(parts[[k]], files[k], chunk_size = 200)
  whole <- from_seed(fit_nn(class ~ x + z + f, d, epochs = 3))
  dataset <- arrow::open_dataset(folder)
  for (source in list(files, dataset, arrow::arrow_table(d)))
    same_fit(whole, from_seed(fit_nn(class ~ x + z + f, chunks(source), epochs = 3)))
  # row groups of 200 rows, in parts of at most 150
  sizes <- function(source) unlist(each_chunk(chunks(source, rows = 150), function(data, i) nrow(data)))
  expect_identical(sizes(files[1]), c(150L, 50L, 150L, 50L, 100L))
  expect_identical(sizes(dataset), rep(c(150L, 50L, 150L, 50L, 100L), 3))
  # files with columns by folder, files that are not Parquet
  arrow::write_dataset(d, file.path(folder, "by"), partitioning = "f")
  by <- arrow::open_dataset(file.path(folder, "by"))
  rows <- do.call(rbind, each_chunk(chunks(by), function(data, i) data))
  expect_identical(sort(rows$x), sort(d$x))
  expect_identical(rows$f[match(d$x, rows$x)], d$f)
  unlink(files[2])
  expect_error(chunks(files), "part2.parquet.*does not exist", class = "varnn_error")
  writeLines("no parquet", files[2])
  expect_error(fit_nn(y ~ x, chunks(files), epochs = 1), "The source failed in chunk 4: .*part2.parquet\": ",
               class = "varnn_error")
})

test_that("rows of pieces are stacked, into a matrix that is there, too", {
  m <- matrix(stats::rnorm(12), 6)
  columns <- list(1:5, stats::rnorm(5))
  both <- rbind(m[2:4, ], do.call(cbind, columns)[5, ], m[1, ])
  ranges <- matrix(c(1, 3, 4, 1, 0, 0, 0, 1), 2)
  found <- engine_stack(list(m, columns, columns, m), ranges, 2)
  expect_identical(found, unname(both))
  into <- matrix(0, 5, 2)
  expect_identical(engine_stack(list(m, columns, columns, m), ranges, 2, into), found)
  expect_identical(into, found)
  expect_identical(engine_stack(list(m), matrix(c(0, 6), 2), 2, matrix(0, 5, 2)), m)
  for (bad in list(c(0, 7), c(4, 3), c(-1, 2), c(0, -1), c(NaN, 2), c(0, NaN)))
    expect_error(engine_stack(list(m), matrix(bad, 2), 2), "damaged")
  expect_error(engine_stack(list(m), matrix(c(0, 6), 2), 3), "damaged")
  expect_error(engine_stack(list(list(1:6, letters[1:6])), matrix(c(0, 6), 2), 2), "damaged")
  expect_error(engine_stack(list(list(1:6, 1:5)), matrix(c(0, 6), 2), 2), "damaged")
})
