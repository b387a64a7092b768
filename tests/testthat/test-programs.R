# Functions that users write: values against R's own evaluation, slopes against stats::D() and differences, fits against
# those of the engine's own activations.

program_of_x <- function(e) as_program(as_formula(e), "x", "activation")
as_formula <- function(e) eval(call("~", e), list(log1pexp = log1pexp))

# R's own value of an expression at each x.
truth_at <- function(e, x) rep_len(suppressWarnings(as.double(eval(e, list(x = x, log1pexp = log1pexp)))), length(x))

# The slope: stats::D() where it knows all functions of the expression, else central differences of R's value.
known_to_d <- c("+", "-", "*", "/", "^", "(", "x", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "atan",
                "pnorm", "dnorm", "lgamma", "digamma", "trigamma")
slope_at <- function(e, x) {
  if (all(all.names(e) %in% known_to_d)) return(truth_at(stats::D(e, "x"), x))
  h <- 1e-3 # of the fourth order
  (8 * (truth_at(e, x + h) - truth_at(e, x - h)) - (truth_at(e, x + 2 * h) - truth_at(e, x - 2 * h))) / (12 * h)
}

# How far numbers are from the truth, beside 1.
off <- function(found, truth) {
  here <- is.finite(truth) & abs(truth) < 1e6
  if (any(here)) max(abs(found - truth)[here] / pmax(1, abs(truth[here]))) else 0
}

# An expression for each primitive, in each of its arguments, and x where it is smooth.
of_primitive <- list(
  `+` = list(quote(x + 2), quote(2 + x)), `-` = list(quote(x - 2), quote(2 - x), quote(-x)),
  `*` = list(quote(x * 3), quote(3 * x), quote(x * x)),
  `/` = list(quote(x / 3), quote(3 / (x + 4.1)), quote(x / (x + 4))),
  `^` = list(quote((x + 4)^1.7), quote(1.7^x), quote((x + 4)^x), quote(x^2), quote(x^3), quote(x^4), quote(x^5),
             quote((x + 4)^-2), quote((x + 4)^0.5)),
  exp = quote(exp(x)), expm1 = quote(expm1(x)), log = list(quote(log(x + 4)), quote(log(1 + exp(x)))),
  log1p = list(quote(log1p(x / 4)), quote(log1p(exp(x)))), sqrt = quote(sqrt(x + 4)), abs = quote(abs(x)),
  sign = quote(sign(x)), tanh = quote(tanh(x)), plogis = quote(plogis(x)), qlogis = quote(qlogis((x + 4) / 9)),
  log1pexp = quote(log1pexp(x)), sin = quote(sin(x)), cos = quote(cos(x)), atan = quote(atan(x)),
  pnorm = quote(pnorm(x)),
  dnorm = quote(dnorm(x)), lgamma = quote(lgamma(x + 4.1)), digamma = quote(digamma(x + 4.1)),
  trigamma = quote(trigamma(x + 4.1)),
  pmin = list(quote(pmin(x, 0.07)), quote(pmin(0.0723, x * x)), quote(pmin(x, 1, -x))),
  pmax = list(quote(pmax(x, 0.07)), quote(pmax(0.0723, x * x))),
  ifelse = list(quote(ifelse(x > 0.07, x * x, -x)), quote(ifelse(x > 1 | !(x > -1) & TRUE == 1, x, 2 * x))),
  `<` = quote(x * (x < 0.07)), `<=` = quote(x * (x <= 0.07)), `>` = quote(x * (x > 0.07)),
  `>=` = quote(x * (x >= 0.07)), `==` = quote(x * (x == 0.07)), `!=` = quote(x * (x != 0.07)),
  `&` = quote(x * (x > -1 & x < 1)), `|` = quote(x * (x < -1 | x > 1)), `!` = quote(x * !(x > 0.07))
)
of_primitive$ifelse[[2]] <- quote(ifelse(x > 1 | !(x > -1), x, 2 * x))

test_that("every primitive has R's value and the slope of stats::D() or of differences, in every build", {
  expect_setequal(names(of_primitive), primitives())
  x <- seq(-3, 3, length.out = 601) + 0.0033 # no kink is within 2h of them
  with_kernels(for (e in unlist(of_primitive, use.names = FALSE)) {
    program <- program_of_x(e)
    value <- truth_at(e, x)
    slope <- slope_at(e, x)
    exact <- all(all.names(e) %in% known_to_d)
    found <- run_program(program, x)
    expect_lt(off(found$value, value), 1e-12, label = deparse(e))
    expect_lt(off(found$slope[, 1], slope), if (exact) 1e-12 else 1e-8, label = deparse(e))
    single <- run_program(program, x, "single")
    expect_lt(off(single$value, value), 1e-4, label = deparse(e))
    expect_lt(off(single$slope[, 1], slope), 1e-4, label = deparse(e))
  })
})

# A random expression: functions of bounded slope of smaller ones, so that rounding errors do not grow.
a_program <- function(depth, smooth) {
  if (depth == 0) return(if (stats::runif(1) < 0.7) quote(x) else round(stats::rnorm(1), 2))
  part <- function() a_program(sample(depth, 1) - 1, smooth)
  one <- list(quote(exp(-abs(U))), quote(expm1(-U^2)), quote(log(2 + U^2)), quote(log1p(U^2)), quote(sqrt(1 + U^2)),
              quote(sin(U)), quote(cos(U)), quote(atan(U)), quote(pnorm(U)), quote(dnorm(U)), quote(lgamma(3 + sin(U))),
              quote(digamma(3 + cos(U))), quote(U + V), quote(U - V), quote(-U), quote(U * V), quote(U / (2 + V^2)),
              quote((1.5 + sin(U))^cos(V)), quote((U / 3)^2), quote(sin(U)^3))
  if (smooth) one[[1]] <- quote(exp(-U^2))
  more <- list(quote(tanh(U)), quote(plogis(U)), quote(log1pexp(U)), quote(log1p(exp(U))),
               quote(qlogis(plogis(sin(U)))), quote(abs(U)), quote(sign(U) * V), quote(pmin(U, V)),
               quote(pmax(U, V)), quote(ifelse(U > V, U, V * 2)),
               quote(ifelse(U <= 0.1 & V > 0 | U > 1, sin(V), U)), quote(U * (V != 0)))
  form <- if (smooth) one else c(one, more)
  form <- form[[sample(length(form), 1)]]
  do.call(substitute, list(form, list(U = part(), V = part())))
}

test_that("500 random programs have R's values, and the slopes of stats::D() or of differences", {
  set.seed(1)
  x <- seq(-2, 2, length.out = 301)
  worst <- c(value = 0, single = 0, slope = 0, difference = 0)
  used <- character()
  for (i in seq_len(repeats(500, 100))) {
    smooth <- i %% 2 == 0
    e <- a_program(4, smooth)
    program <- program_of_x(e)
    used <- union(used, program$op)
    value <- truth_at(e, x)
    found <- run_program(program, x)
    if (off(found$value, value) > 1e-12) fail(deparse(e))
    single <- run_program(program, x, "single")$value
    kinks <- any(c("sign", "<", ">", "<=", "!=") %in% program$op) # which numbers of fewer digits pass elsewhere
    if (!kinks && off(single, value) > 1e-4) fail(deparse(e))
    slope <- slope_at(e, x)
    if (smooth) {
      if (off(found$slope[, 1], slope) > 1e-11) fail(deparse(e))
    } else { # differences are wrong at kinks, which few x are near
      bad <- abs(found$slope[, 1] - slope) > 1e-5 * pmax(1, abs(slope))
      if (mean(bad, na.rm = TRUE) > 0.05) fail(deparse(e))
    }
  }
  succeed()
  expect_setequal(intersect(used, primitives()), setdiff(primitives(), c("<", ">=", "==", "!", "trigamma")))
})

test_that("slopes as programs are those of the engine, and theirs the second slopes of every primitive", {
  expect_setequal(c(names(slope_rules), "sign", "<", "<=", ">", ">=", "==", "!=", "&", "|", "!", "trigamma"),
                  primitives())
  x <- seq(-3, 3, length.out = 601) + 0.0033
  h <- 1e-3
  for (e in unlist(of_primitive[names(of_primitive) != "trigamma"], use.names = FALSE)) {
    program <- program_of_x(e)
    first <- slope_program(program, 1)
    expect_lt(off(run_program(first, x)$value, run_program(program, x)$slope[, 1]), 1e-12, label = deparse(e))
    exact <- all(all.names(e) %in% known_to_d)
    truth <- if (exact) truth_at(stats::D(stats::D(e, "x"), "x"), x)
    else (8 * (slope_at(e, x + h) - slope_at(e, x - h)) - (slope_at(e, x + 2 * h) - slope_at(e, x - 2 * h))) / (12 * h)
    second <- second_slopes(program, as.matrix(x), 1)[, 1, 1]
    near <- abs(abs(x) - 1) < 0.01 | abs(x) < 0.01 | abs(abs(x) - 0.07) < 0.01 | abs(abs(x) - sqrt(0.0723)) < 0.01
    expect_lt(off(second[exact | !near], truth[exact | !near]), if (exact) 1e-11 else 1e-5, label = deparse(e))
  }
})

test_that("500 random programs have slopes that are programs", {
  set.seed(11)
  x <- seq(-2, 2, length.out = 301)
  for (i in seq_len(repeats(500, 50))) {
    e <- a_program(4, i %% 2 == 0)
    program <- program_of_x(e)
    first <- slope_program(program, 1)
    if (off(run_program(first, x)$value, run_program(program, x)$slope[, 1]) > 1e-11) fail(deparse(e))
    if (i %% 2) next
    truth <- truth_at(stats::D(stats::D(e, "x"), "x"), x)
    if (off(second_slopes(program, as.matrix(x), 1)[, 1, 1], truth) > 1e-9) fail(deparse(e))
  }
  succeed()
})

test_that("second slopes of several arguments are those of stats::deriv()", {
  e <- ~ log_scale + abs(y - mu) / exp(log_scale) + (y - mu)^2 * exp(-2 * log_scale) - lgamma(mu^2 + 1)
  program <- as_program(e, c("y", "mu", "log_scale"), "nll")
  set.seed(3)
  at <- cbind(y = stats::rnorm(300), mu = stats::rnorm(300), log_scale = stats::rnorm(300) / 2)
  found <- second_slopes(program, at, 2:3)
  smooth <- quote(log_scale + s * (y - mu) / exp(log_scale) + (y - mu)^2 * exp(-2 * log_scale) - lgamma(mu^2 + 1))
  data <- c(as.list(as.data.frame(at)), list(s = sign(at[, 1] - at[, 2])))
  for (i in 1:2) for (j in 1:2) {
    d <- stats::D(stats::D(smooth, c("mu", "log_scale")[i]), c("mu", "log_scale")[j])
    expect_lt(off(found[, i, j], eval(d, data)), 1e-11)
  }
})

test_that("a program of several arguments, arrays or not, has the slopes in each", {
  program <- as_program(~ log_scale + abs(y - mu) / exp(log_scale), c("y", "mu", "log_scale"), "nll")
  at <- cbind(stats::rnorm(700), stats::rnorm(700), stats::rnorm(700) / 2)
  found <- run_program(program, at)
  s <- sign(at[, 1] - at[, 2]) / exp(at[, 3])
  expect_equal(found$value, at[, 3] + abs(at[, 1] - at[, 2]) / exp(at[, 3]), tolerance = 1e-14)
  expect_equal(found$slope, cbind(s, -s, 1 - s * (at[, 1] - at[, 2])), tolerance = 1e-13, ignore_attr = TRUE)
})

test_that("slopes meet in every way, over more numbers than a block has", {
  set.seed(6)
  at <- cbind(a = stats::rnorm(1300), b = stats::rnorm(1300))
  for (e in list(quote(a + b), quote(a - b), quote(a + a), quote((a + b) + (a + b) * a),
                 quote((a - b) * (a - b) + (a - b)), quote((a + b) - exp(a + b)),
                 quote(exp(a) + (exp(a) + b)), quote((a + 1) * (b - 2) + (a + 1)),
                 quote(a / 4 + b / 3), quote(sin(a) * 2 - (sin(a) - b)), quote(b))) {
    formula <- stats::as.formula(call("~", e))
    found <- run_program(as_program(formula, c("a", "b"), "nll"), at)
    data <- as.data.frame(at)
    truth <- function(e) rep_len(eval(e, data), 1300)
    expect_equal(found$value, truth(e), tolerance = 1e-13, label = deparse(e))
    for (k in 1:2)
      expect_equal(found$slope[, k], truth(stats::D(e, c("a", "b")[k])), tolerance = 1e-13, label = deparse(e))
  }
})

test_that("what is not chosen does not count, even where it is infinite", {
  program <- program_of_x(quote(ifelse(x > 0, x, exp(-x^3))))
  found <- run_program(program, c(-1, 30, 200))
  expect_equal(found$value, c(exp(1), 30, 200))
  expect_equal(found$slope[, 1], c(-3 * exp(1), 1, 1))
  mish <- run_program(program_of_x(quote(x * tanh(log(1 + exp(x))))), c(-1e4, 1e4))
  expect_equal(mish$value, c(0, 1e4))
  expect_equal(mish$slope[, 1], c(0, 1))
})

test_that("common parts are computed once, and numbers when they are read", {
  k <- 3
  e <- as_program(~ (x + k^2) * tanh(x + (2 * k + 3)) - exp(1), "x", "activation")
  expect_identical(e$op, c("argument", "number", "+", "tanh", "*", "number", "-"))
  expect_identical(e$number[c(2, 6)], c(9, exp(1)))
  unused <- as_program(function(x) {
    lost <- exp(x)
    twice <- 2 * x
    return(twice + twice)
  }, "x", "activation")
  expect_identical(unused$op, c("argument", "number", "*", "+"))
})

test_that("what is no program is an error that says why", {
  says <- function(e, words) expect_error(activation_program(e), words, class = "varnn_error")
  k <- 1:3
  word <- "a"
  calls_itself <- function(x) 1 + calls_itself(x / 2)
  own <- function(u) u
  says(~ gamma(x), "gamma\\(\\), which is not among .*: \\+ - \\* .* tanh .*")
  says(~ if (x > 0) x else 0, "Write ifelse\\(\\) in its place")
  says(~ own(x), "own\\(\\)")
  says(~ x * nowhere, "`nowhere` is neither an argument nor a number")
  says(~ x * k, "`k` has length 3")
  says(~ x * word, "`word` is \"a\"")
  says(~ x * c(1, 2), "c\\(\\)")
  says(calls_itself, "calls itself")
  says(~ 3, "does not depend on x")
  says(~ x - x, "does not depend on x")
  says(~ log(x^2), "-Inf at x = 0")
  says(~ sqrt(x), "NaN at x = -3")
  says(~ exp(exp(exp(exp(x)))), "Inf at x = ")
  says(~ log(x^2, 2), "log\\(\\) has 1 argument")
  says(~ dnorm(x, sd = 2), "dnorm\\(\\) has the argument `x` alone")
  says(~ x * (1 / 0), "Inf")
  says(eval(str2lang("~ pmax(x, )")), "an argument is missing")
  says(~ x["a"], "\\[")
  says(y ~ x, "function of `x` alone")
  says(function(x, y) x, "function of `x` alone")
  says(function(x, k = 2) x * k, "function of `x` alone")
  says(sum, "function of `x` alone")
  says(function(x) {
    x
    x
  }, "no assignment")
  tanh <- function(x) x
  says(~ tanh(x), "not R's own")
  nested <- function(n, f) eval(call("~", Reduce(f, seq_len(n), quote(x))))
  took <- system.time({
    says(nested(5000, function(e, i) call("+", e, quote(x))), "more than 1,000 steps")
    says(nested(5000, function(e, i) call("abs", e)), "more than 1,000 steps")
    says(nested(500, function(e, i) call("sin", e)), "nested in more than 100")
  })
  expect_lt(took[["elapsed"]], 5)
  expect_error(fit_nn(mpg ~ wt, mtcars, activation = list("relu", ~ x)), "one for each hidden layer")
  expect_error(fit_nn(mpg ~ wt, mtcars, activation = list("rel")), "relu")
  expect_error(fit_nn(mpg ~ wt, mtcars, activation = list(1)), "must be one of")
})

# ---- fits

# The engine's activations as users would write them.
twins <- list(
  linear = ~ x, relu = ~ pmax(x, 0), leaky_relu = ~ ifelse(x > 0, x, x * 0.01), elu = ~ ifelse(x > 0, x, expm1(x)),
  selu = ~ 1.05070098735548049342 * ifelse(x > 0, x, 1.67326324235437728481 * expm1(x)), gelu = ~ x * pnorm(x),
  silu = function(x) x * plogis(x), tanh = tanh, sigmoid = ~ 1 / (1 + exp(-x)), softplus = ~ log(1 + exp(x))
)

test_that("a twin of every activation trains to the same fit", {
  expect_setequal(names(twins), activations())
  set.seed(2)
  x <- scale(as.matrix(mtcars[, -1]))
  data <- engine_data(x, scale(as.matrix(mtcars$mpg)))
  block <- list(list(family = "gaussian", n_responses = 1, noise = "shared", fixed = 0))
  for (precision in c("double", "single")) for (name in names(twins)) {
    spec_of <- function(activation) {
      new_spec(10, c(hidden_layers(c(6, 5), list(activation)), list(layer("dense", 1, "bias"))), block)
    }
    spec <- spec_of(name)
    twin <- spec_of(activation_program(twins[[name]]))
    layout <- spec_layout(spec)
    expect_identical(spec_layout(twin)$n_par, layout$n_par)
    theta <- stats::rnorm(layout$n_par) / 3
    control <- resolve_control(nn_control(epochs = 30, batch_size = 32, precision = precision, optimizer = "momentum"),
                               row_counts(32, NULL), layout)
    trained <- function(spec) engine_fit(spec, layout, data, NULL, control, theta)$theta
    expect_equal(trained(twin), trained(spec), tolerance = if (precision == "single") 1e-4 else 1e-12, label = name)
  }
})

# The same fit of all kinds of models with an activation and with its twin.
twin_fits <- function(activation) {
  cars <- mtcars[, c("mpg", "wt", "hp")]
  fit <- function(f, ...) {
    set.seed(3)
    f(..., activation = activation, epochs = 6, keep_data = TRUE)
  }
  bayes <- function(...) fit(fit_bayes_nn, mpg ~ ., cars, hidden = 3, members = 1, ...)
  list(nn = fit(fit_nn, mpg ~ ., cars, hidden = c(4, 3)), ae = fit(fit_ae, iris[1:4], hidden = 3),
       contractive = fit(fit_ae, iris[1:4], hidden = 3, contractive = 0.1, tied = TRUE),
       single = fit(fit_nn, Species ~ ., iris, hidden = 3, precision = "single"),
       vae = fit(fit_vae, iris[1:4], hidden = 3), weight = bayes(posterior = "meanfield", estimator = "weight"),
       local = bayes(posterior = "meanfield", estimator = "local"), point = bayes(posterior = "point"),
       laplace = bayes(posterior = "laplace"), lowrank = bayes(posterior = "lowrank"))
}

test_that("all models take a program, and fit as with its twin", {
  ours <- twin_fits(~ x * plogis(x))
  built_in <- twin_fits("silu")
  for (kind in names(ours)) {
    expect_equal(ours[[kind]]$theta, built_in[[kind]]$theta, tolerance = if (kind == "single") 1e-4 else 1e-7,
                 label = kind)
    expect_output(print(ours[[kind]]), "~ x * plogis(x)", fixed = TRUE)
    expect_output(print(summary(ours[[kind]])), "~ x * plogis(x)", fixed = TRUE)
    expect_lt(c(check_gradients(ours[[kind]])), 1e-6, label = kind)
    predicted <- function(fit) {
      set.seed(7)
      predict(fit)
    }
    expect_identical(predicted(unserialize(serialize(ours[[kind]], NULL))), predicted(ours[[kind]]))
    expect_silent(check_fit(ours[[kind]]))
  }
  expect_equal(predict(ours$laplace, mtcars[1:3, ], interval = "prediction"),
               predict(built_in$laplace, mtcars[1:3, ], interval = "prediction"), tolerance = 1e-6)
})

test_that("\"auto\" draws where moments are not known, and \"exact\" says so", {
  fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, activation = ~ pmax(x, 0), posterior = "meanfield", epochs = 2)
  expect_identical(fit$spec$estimator, "local")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, activation = ~ pmax(x, 0), posterior = "meanfield",
                            estimator = "exact", epochs = 2), "estimator", class = "varnn_error")
})

test_that("programs and names can follow each other, layer by layer", {
  set.seed(4)
  k <- 0.2
  fit <- fit_nn(mpg ~ ., mtcars, hidden = c(4, 3, 4), epochs = 5,
                activation = list(~ ifelse(x > 0, x, k * x), "tanh", function(x) sin(x)))
  expect_output(print(fit), "4 ~ ifelse(x > 0, x, k * x) -> 3 tanh -> 4 function(x)", fixed = TRUE)
  expect_length(fit$spec$programs, 2)
  expect_lt(c(check_gradients(fit)), 1e-6)
  expect_no_error(drawn(plot(fit, which = "network")))
  again <- update(fit, epochs = 3)
  expect_identical(again$spec, fit$spec)
  expect_identical(nrow(continue(fit, 4)$history), 9L)
  by_hand <- function(x) {
    part <- function(i) {
      w <- fit$layout[fit$layout$name == sprintf("layer%d.weight", i), ]
      b <- fit$layout[fit$layout$name == sprintf("layer%d.bias", i), ]
      function(x) matrix(fit$theta[leaf_index(w)], w$rows) %*% x + fit$theta[leaf_index(b)]
    }
    a <- part(1)(x)
    part(4)(sin(part(3)(tanh(part(2)(ifelse(a > 0, a, k * a))))))
  }
  x <- (t(as.matrix(mtcars[-1])) - fit$scaling$center) / fit$scaling$scale
  y <- drop(by_hand(x)) * fit$blocks[[1]]$scale + fit$blocks[[1]]$center
  expect_equal(unname(predict(fit, mtcars)), unname(y), tolerance = 1e-12)
})

test_that("functions that carry nothing straight on start at random", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 4, activation = ~ dnorm(x), epochs = 5)
  expect_true(all(is.finite(fit$theta)))
})

test_that("a fit is saved, and predicts in another process and with threads", {
  set.seed(5)
  x <- matrix(stats::rnorm(9000), 3000)
  fit <- fit_nn(x, x[, 1]^2, hidden = 8, activation = ~ x * tanh(log1p(exp(x))), epochs = 2)
  file <- tempfile(fileext = ".rds")
  saveRDS(fit, file)
  code <- sprintf("fit <- readRDS('%s'); x <- matrix(%s, 3); cat(sprintf('%%a', predict(fit, x)), sep = ' ')", file,
                  "seq(-1, 1, length.out = 9)")
  run <- sprintf("library(varnn, lib.loc = '%s'); %s", dirname(find.package("varnn")), code)
  out <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(run)), stdout = TRUE,
                 env = "R_TESTS=") # R CMD check sets it to a file of its own
  expect_identical(as.double(strsplit(out, " ")[[1]]), unname(predict(fit, matrix(seq(-1, 1, length.out = 9), 3))))
  threaded <- fit
  threaded$control$threads <- 2
  expect_identical(predict(threaded, x), predict(fit, x))
})

test_that("a damaged program in a fit is told", {
  set.seed(6)
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 3, activation = ~ x * plogis(x), epochs = 2)
  said <- function(change) {
    damaged <- fit
    damaged$spec$programs[[1]] <- change(damaged$spec$programs[[1]])
    tryCatch({
      predict(damaged, mtcars)
      "nothing"
    }, error = conditionMessage)
  }
  set_field <- function(field, value) function(p) replace(p, field, list(value))
  p <- fit$spec$programs[[1]]
  n <- length(p$op)
  for (field in c("a", "b", "c")) for (at in c(-1L, n, n + 1L, NA, 1000L, .Machine$integer.max)) {
    values <- replace(p[[field]], n, at)
    words <- said(set_field(field, values))
    if (field == "c") next # which a product does not read
    expect_match(words, "damaged", label = paste(field, at))
  }
  changes <- list(op = rep("zz", n), op = p$op[-1], op = replace(p$op, 1, "argument "), op = NULL, a = as.double(p$a),
                  number = replace(p$number, 1, NaN), arguments = c("x", "y"), arguments = character(),
                  arguments = rep("x", 9), text = NULL, text = c("a", "b"), text = NA_character_, text = 1,
                  a = structure(p$a, class = "zz"), op = character())
  for (i in seq_along(changes)) expect_match(said(set_field(names(changes)[i], changes[[i]])), "damaged", label = i)
  expect_match(said(function(p) list()), "damaged")
  expect_match(said(function(p) 1), "damaged")
  expect_match(said(function(p) c(p, extra = 1)), "damaged")
  for (size in c(0L, 2L, NA, .Machine$integer.max)) {
    damaged <- fit
    damaged$spec$size[2] <- size
    expect_error(predict(damaged, mtcars), "damaged")
  }
  damaged <- fit
  damaged$spec$programs <- NULL
  expect_error(predict(damaged, mtcars), "damaged")
})

# ---- priors and penalties

test_that("a prior that is written down fits as its twin does", {
  skip_if_again()
  set.seed(8)
  cars <- mtcars[, c("mpg", "wt", "hp")]
  fit <- function(prior, ...) {
    set.seed(4)
    fit_bayes_nn(mpg ~ ., cars, hidden = 3, members = 1, epochs = 8, prior = prior, optimizer = "momentum",
                 learn_rate = 0.001, keep_data = TRUE, ...)
  }
  normal <- ~ -w^2 / 2 - log(2 * pi) / 2
  laplace <- function(u) -abs(u) - log(2)
  two <- ~ log(0.5 * dnorm(w) + 5 * dnorm(w / 0.1))
  for (posterior in c("meanfield", "lowrank", "full", "last_layer", "point")) for (precision in c("double", "single")) {
    kl <- if (posterior == "point") "exact" else "mc"
    same <- function(ours, theirs, ...) {
      a <- fit(ours, posterior = posterior, precision = precision, ...)
      b <- fit(theirs, posterior = posterior, precision = precision, kl = kl, ...)
      expect_equal(a$theta, b$theta, tolerance = if (precision == "single") 1e-4 else 1e-11, label = posterior)
      expect_equal(a$history$loss, b$history$loss, tolerance = if (precision == "single") 1e-4 else 1e-11)
    }
    same(prior_custom(normal), prior_normal(0, 1))
    same(prior_custom(normal, fan_in = TRUE), prior_normal(0, 1, fan_in = TRUE))
    same(prior_custom(laplace), prior_laplace(0, 1))
    same(prior_custom(two), prior_mixture(0.5, c(1, 0.1)))
  }
  ours <- fit(prior_custom(laplace), posterior = "meanfield")
  expect_output(print(ours), "Prior: log density function(u) -abs(u) - log(2)", fixed = TRUE)
  expect_output(print(summary(ours)), "prior_sd")
  twin <- fit(prior_laplace(0, 1), posterior = "meanfield", kl = "mc")
  # of the nearest normal distribution
  expect_equal(summary(ours)$layers$prior_sd, summary(twin)$layers$prior_sd * sqrt(pi) / 2, tolerance = 1e-3)
  expect_equal(summary(ours)$n_effective, summary(twin)$n_effective, tolerance = 1e-3)
  expect_lt(c(check_gradients(ours)), 1e-6)
  expect_silent(check_fit(ours))
  by_name <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, prior = prior_custom(laplace),
                          posterior = "meanfield", epochs = 2)
  expect_identical(update(by_name, epochs = 3)$spec, by_name$spec)
  expect_identical(nrow(continue(ours, 2)$history), 10L)
  for (bad in list(0L, 2L, NA, NULL)) {
    damaged <- ours
    damaged$spec$prior_program <- bad
    expect_error(predict(damaged, cars), "damaged")
  }
})

test_that("a penalty that is written down fits as its twin does", {
  fits <- function(penalty) {
    fit <- function(f, ...) {
      set.seed(9)
      f(..., penalty = penalty, keep_data = TRUE)
    }
    list(nn = fit(fit_nn, mpg ~ ., mtcars, hidden = 3, epochs = 10),
         linear = fit(fit_nn, mpg ~ ., mtcars, hidden = 0), glm = fit(fit_nn, Species ~ ., iris, hidden = 0),
         ensemble = fit(fit_nn, mpg ~ ., mtcars, hidden = 2, epochs = 5, members = 2),
         ae = fit(fit_ae, iris[1:4], hidden = 3, epochs = 10),
         tied = fit(fit_ae, iris[1:4], hidden = 3, epochs = 10, tied = TRUE),
         single = fit(fit_nn, mpg ~ ., mtcars, hidden = 3, epochs = 10, precision = "single"))
  }
  ours <- fits(~ 0.05 * w^2)
  theirs <- fits(0.1)
  for (kind in setdiff(names(ours), "ensemble")) {
    tolerance <- c(single = 1e-4, linear = 1e-6, glm = 1e-5)[kind]
    expect_equal(ours[[kind]]$theta, theirs[[kind]]$theta, tolerance = if (is.na(tolerance)) 1e-9 else tolerance,
                 label = kind)
    expect_equal(ours[[kind]]$history[nrow(ours[[kind]]$history), ],
                 theirs[[kind]]$history[nrow(theirs[[kind]]$history), ], tolerance = 1e-5, ignore_attr = TRUE)
    expect_output(print(ours[[kind]]), "penalty ~ 0.05 * w^2", fixed = TRUE)
    expect_lt(c(check_gradients(ours[[kind]])), 1e-6, label = kind)
    expect_silent(check_fit(ours[[kind]]))
  }
  expect_equal(predict(ours$ensemble), predict(theirs$ensemble), tolerance = 1e-9)
  expect_equal(coef(ours$linear), coef(theirs$linear), tolerance = 1e-6)
})

test_that("lasso by hand has its optimality conditions", {
  set.seed(1)
  x <- scale(as.matrix(mtcars[, -1]))
  fit <- fit_nn(x, mtcars$mpg, hidden = 0, penalty = ~ 0.2 * sqrt(w^2 + 1e-8), standardize = TRUE, epochs = 5000)
  w <- fit$theta[seq_len(10)]
  slope <- drop(crossprod(x, scale(mtcars$mpg) - x %*% w)) / 32 # of half the mean square
  expect_true(all(abs(slope) <= 0.2 + 1e-3))
  far <- abs(w) > 0.01
  expect_true(any(far) && !all(far))
  expect_equal(unname(slope[far]), 0.2 * sign(w[far]), tolerance = 1e-3)
})

test_that("what is no prior and no penalty is an error that says why", {
  says <- function(e, words) expect_error(e, words, class = "varnn_error")
  says(prior_custom(~ log(abs(w))), "`prior` = ~ log\\(abs\\(w\\)\\): it is -Inf at w = 0")
  says(prior_custom(~ -2), "does not depend on w")
  says(prior_custom(~ -abs(x)), "`x` is neither an argument nor a number")
  says(prior_custom(~ gamma(w)), "gamma\\(\\)")
  says(prior_custom(~ abs(w)), "infinite")
  # densities with no integral, with tails of 1 / |w|, and with tails that are less by little
  says(prior_custom(~ -log1p(abs(w))), "improper")
  says(prior_custom(~ -0.5 * log1p(w^2)), "improper")
  says(prior_custom(~ -2 - w^2 / (1 + w^2)), "improper")
  expect_warning(prior_custom(~ -1.5 * log1p(abs(w))), "integrates to 4,", class = "varnn_density")
  # gamma(3 / 4) / (sqrt(pi / 2) gamma(1 / 4)), the constant of half a degree of freedom
  expect_silent(prior_custom(~ lgamma(0.75) - lgamma(0.25) - 0.5 * log(0.5 * pi) - 0.75 * log1p(2 * w^2)))
  says(prior_custom(function(a, b) a), "function of `w` alone")
  says(prior_custom("normal"), "must be a formula")
  expect_warning(prior_custom(~ -abs(w)), "integrates to 2", class = "varnn_density")
  expect_silent(prior_custom(~ -log(pi) - log1p(w^2)))
  expect_silent(prior_custom(~ log(2 * dnorm(w) - dnorm(w))))
  says(fit_nn(mpg ~ wt, mtcars, penalty = ~ 1 / w), "`penalty` = ~ 1/w: it is Inf at w = 0")
  says(fit_nn(mpg ~ wt, mtcars, penalty = ~ 3), "does not depend on w")
  says(fit_nn(mpg ~ wt, mtcars, penalty = ~ nowhere * w), "nowhere")
  says(fit_nn(mpg ~ wt, mtcars, penalty = ~ abs(w), optimizer = "adamw"), "adamw")
  says(fit_ae(iris[1:4], penalty = ~ besselI(w, 1)), "besselI")
})

# ---- likelihoods

# Families as users would write them, at the starts of their twins on the engine's y.
written_families <- function(data) {
  sd_y <- stats::sd(data$y, na.rm = TRUE)
  scaled <- (data$y - mean(data$y, na.rm = TRUE)) / sd_y
  n <- sum(!is.na(scaled))
  list(
    gaussian_hetero = custom_family("hetero", ~ (y - mu)^2 * exp(-2 * s) / 2 + s + log(2 * pi) / 2, eta = c("mu", "s"),
                                    scaled = TRUE, start = c(mu = 0, s = log((n - 1) / n) / 2)),
    huber = custom_family("robust", ~ {
      e <- (y - mu) / exp(s)
      ifelse(abs(e) <= 1.345, e^2 / 2, 1.345 * abs(e) - 1.345^2 / 2) + s + 0.97859819457184116
    }, free = "s", scaled = TRUE, start = c(mu = weighted_median(scaled, rep(1, length(scaled))), s = 0)),
    bernoulli = custom_family("success", ~ log1pexp(eta) - y * eta, eta = "eta", mean = ~ plogis(eta)),
    poisson = custom_family("counts", function(y, eta) exp(eta) - y * eta + lgamma(y + 1), eta = "eta", mean = exp),
    negative_binomial = custom_family(
      "counts",
      ~ (exp(s) + y) * log1pexp(eta - s) - y * (eta - s) - lgamma(y + exp(s)) + lgamma(exp(s)) + lgamma(y + 1),
      eta = "eta", free = "s", mean = ~ exp(eta), start = c(eta = log(mean(data$n, na.rm = TRUE)), s = 0)
    )
  )
}

custom_data <- function(n = 200) {
  d <- data.frame(x = stats::rnorm(n), z = stats::rnorm(n))
  d$n <- stats::rnbinom(n, mu = exp(1 + d$x / 2), size = 3)
  d$b <- as.double(stats::runif(n) < stats::plogis(d$x))
  d$y <- 2 * d$x + stats::rt(n, 3)
  for (v in c("n", "b", "y")) d[[v]][match(v, names(d))] <- NA
  d
}

test_that("a likelihood that is written down fits as its twin does, in all models and both precisions", {
  set.seed(21)
  data <- custom_data()
  w <- stats::runif(200, 0.5, 2)
  own <- written_families(data)
  response <- c(gaussian_hetero = "y", huber = "y", bernoulli = "b", poisson = "n", negative_binomial = "n")
  for (name in names(own)) for (precision in c("double", "single")) {
    formula <- stats::reformulate(c("x", "z"), response[[name]])
    both <- function(f, ...) {
      one <- function(family) {
        set.seed(1)
        f(formula, data, family = family, precision = precision, na.action = stats::na.pass, ...)
      }
      list(ours = one(own[[name]]), theirs = one(name))
    }
    same <- function(fits, label) {
      tolerance <- if (precision == "single") 1e-4 else 1e-8
      expect_equal(fits$ours$theta, fits$theirs$theta, tolerance = tolerance, label = paste(name, label))
      said <- function(fit) { # by draws
        set.seed(5)
        list(c(logLik(fit)), predict(fit, data[1:9, ]))
      }
      expect_equal(said(fits$ours), said(fits$theirs), tolerance = tolerance, label = paste(name, label))
    }
    same(both(fit_nn, hidden = 3, epochs = 15), "nn")
    if (precision == "single" || name == "gaussian_hetero") next # which has a start of its own there
    bayes <- function(posterior, ...) {
      both(fit_bayes_nn, hidden = 3, epochs = 8, members = 1, posterior = posterior, ...)
    }
    same(bayes("meanfield", estimator = "weight"), "weight")
    same(bayes("meanfield", estimator = "local"), "local")
    same(bayes("point"), "point")
  }
})

# Densities of the built-in families as users would write them, with free scalars that are logs as those are.
written_densities <- list(
  gaussian = custom_family("own", ~ (y - mu)^2 * exp(-2 * s) / 2 + s + log(2 * pi) / 2, free = "s"),
  student_t = custom_family("own", ~ {
    df <- exp(d)
    lgamma(df / 2) - lgamma((df + 1) / 2) + log(df * pi) / 2 + s + (df + 1) / 2 * log1p(((y - mu) / exp(s))^2 / df)
  }, free = c("s", "d")),
  gamma = custom_family("own", ~ lgamma(exp(a)) - exp(a) * (a - eta - y * exp(-eta)) - (exp(a) - 1) * log(y),
                        eta = "eta", free = "a", mean = exp),
  inverse_gaussian = custom_family(
    "own", ~ (log(2 * pi) + 3 * log(y) - l + exp(l) * (y - exp(eta))^2 / (exp(2 * eta) * y)) / 2, eta = "eta",
    free = "l", mean = exp
  ),
  beta = custom_family("own", ~ {
    a <- plogis(eta) * exp(f)
    b <- plogis(-eta) * exp(f)
    lgamma(a) + lgamma(b) - lgamma(exp(f)) - (a - 1) * log(y) - (b - 1) * log1p(-y)
  }, eta = "eta", free = "f", mean = plogis),
  zero_inflated_poisson = custom_family(
    "own", ~ log1pexp(z) + ifelse(y == 0, -log(exp(z) + exp(-exp(eta))), exp(eta) - y * eta + lgamma(y + 1)),
    eta = c("eta", "z"), mean = ~ exp(eta) * plogis(-z)
  ),
  zero_inflated_negative_binomial = custom_family("own", ~ {
    rest <- (exp(r) + y) * log1pexp(eta - r) - y * (eta - r) - lgamma(y + exp(r)) + lgamma(exp(r)) + lgamma(y + 1)
    log1pexp(z) + ifelse(y == 0, -log(exp(z) + exp(-rest)), rest)
  }, eta = c("eta", "z"), free = "r", mean = ~ exp(eta) * plogis(-z)),
  quantile = custom_family("own", ~ {
    e <- (y - mu) / exp(s)
    e * (0.5 - (e < 0)) + s - log(0.25)
  }, free = "s")
)

test_that("every family of one number, written down, has the values of the built-in and its fit", {
  known <- c(names(written_densities), "gaussian_hetero", "huber", "bernoulli", "poisson", "negative_binomial")
  is_other <- function(name) family_table[[name]]$kind %in% c("levels", "ordered", "trials", "time")
  of_numbers <- Filter(Negate(is_other), families())
  expect_setequal(known, of_numbers)
  set.seed(23)
  x <- cbind(1, stats::rnorm(150)) %*% rbind(c(0.5, -1), c(0.8, 0.6))
  for (name in names(written_densities)) {
    own <- written_densities[[name]]$custom
    case <- family_case(name)
    free <- if (length(own$free)) matrix(case$free, length(own$free))[, 1] else numeric()
    if (name == "student_t") free[2] <- log(t_degrees(free[2]))
    of_response <- function(j) {
      eta <- case$eta[, seq(j, ncol(case$eta), 2)]
      run_program(own$nll, cbind(case$y[, j], eta, matrix(free, 40, length(free), byrow = TRUE)))$value
    }
    of_engine <- engine_run(eta_is_x(case$block), numeric(), engine_data(case$eta, case$y), "terms")
    expect_equal(of_response(1) + of_response(2), of_engine[, 1], tolerance = 1e-10, label = name)
    record <- family_table[[name]]
    noise <- matrix(c(1, 1.5)[seq_along(record$free)], dimnames = list(record$free, NULL))
    d <- data.frame(x = x[, 1], y = c(record$draw(x[, seq_along(own$eta), drop = FALSE], noise)))
    one <- function(family) fit_nn(y ~ x, d, hidden = 0, family = family, standardize = FALSE, epochs = 2000)
    ours <- one(written_densities[[name]])
    theirs <- one(name)
    expect_equal(c(logLik(ours)), c(logLik(theirs)), tolerance = 1e-7, label = name)
    expect_equal(unname(coef(ours)), unname(coef(theirs)), tolerance = 1e-3, label = name)
  }
})

test_that("with observed curvature that is the expected one the linearised posterior is the twin's", {
  set.seed(22)
  data <- custom_data()
  for (name in c("bernoulli", "poisson")) {
    formula <- stats::reformulate(c("x", "z"), if (name == "poisson") "n" else "b")
    fit <- function(family) {
      set.seed(1)
      fit_bayes_nn(formula, stats::na.omit(data), hidden = 0, members = 1, posterior = "laplace", family = family)
    }
    ours <- fit(written_families(data)[[name]])
    theirs <- fit(name)
    expect_equal(ours$laplace$evidence, theirs$laplace$evidence, tolerance = 1e-5)
    expect_equal(vcov(ours), vcov(theirs), tolerance = 1e-3)
  }
})

test_that("autoencoders take a written likelihood for their numeric columns", {
  half_square <- custom_family("normal", ~ (y - mu)^2 / 2 + log(2 * pi) / 2, scaled = TRUE,
                               deviance = function(y, mu) (y - mu)^2)
  fit <- function(f, ...) {
    set.seed(2)
    f(iris[1:4], hidden = 3, epochs = 10, ...)
  }
  for (precision in c("double", "single")) {
    ours <- fit(fit_ae, family = half_square, precision = precision)
    theirs <- fit(fit_ae, precision = precision)
    expect_equal(ours$theta, theirs$theta, tolerance = if (precision == "single") 1e-4 else 1e-9)
    expect_equal(reconstruct(ours), reconstruct(theirs), tolerance = 1e-4)
  }
  mixed <- fit_ae(iris, hidden = 3, epochs = 3, family = half_square)
  expect_identical(unname(mixed$family[[length(mixed$family)]]), "categorical")
  expect_error(fit_ae(iris[1:4], family = custom_family("normal", ~ (y - mu)^2 / 2 + log(2 * pi) / 2), epochs = 2),
               "`deviance` of custom_family\\(\"normal\"\\)", class = "varnn_error")
})

laplace_family <- function(...) {
  custom_family("laplace", nll = ~ log(2) + log_scale + abs(y - mu) / exp(log_scale), eta = "mu", free = "log_scale",
                mean = ~ mu, ...)
}

test_that("least absolute deviations by hand are those of the best of all lines through points", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 0, family = laplace_family(scaled = TRUE))
  loss <- function(b) mean(abs(mtcars$mpg - b[1] - b[2] * mtcars$wt))
  pairs <- utils::combn(32, 2)
  best <- min(apply(pairs, 2, function(i) {
    b <- diff(mtcars$mpg[i]) / diff(mtcars$wt[i])
    if (is.finite(b)) loss(c(mtcars$mpg[i[1]] - b * mtcars$wt[i[1]], b)) else Inf
  }))
  expect_equal(loss(coef(fit)), best, tolerance = 1e-4)
  expect_equal(c(logLik(fit)), -32 * (log(2 * best) + 1), tolerance = 1e-4)
})

test_that("a written family has what its parts say, and asks for those that it has not", {
  set.seed(23)
  random <- function(mu, log_scale) mu + exp(log_scale) * (stats::rexp(length(mu)) - stats::rexp(length(mu)))
  whole <- laplace_family(scaled = TRUE, draw = random, variance = function(mu, log_scale) 2 * exp(2 * log_scale),
                          deviance = function(y, mu, log_scale) 2 * abs(y - mu) / exp(log_scale))
  bare <- laplace_family()
  expect_output(print(bare), "laplace: minus the log-likelihood ~ log(2) + log_scale", fixed = TRUE)
  for (fitted in list(fit_nn(mpg ~ wt, mtcars, hidden = 2, family = whole, epochs = 20),
                      fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, family = whole, epochs = 20, members = 1,
                                   posterior = "meanfield"))) {
    expect_output(print(fitted), "laplace")
    for (type in c("response", "pearson", "deviance")) expect_true(all(is.finite(residuals(fitted, type = type))))
    expect_identical(dim(simulate(fitted, 3)), c(32L, 3L))
    expect_silent(check_fit(fitted))
    again <- unserialize(serialize(fitted, NULL))
    expect_identical({
      set.seed(1)
      predict(again, mtcars)
    }, {
      set.seed(1)
      predict(fitted, mtcars)
    })
    expect_identical(nrow(continue(again, 2)$history), 22L)
    threaded <- again
    threaded$control$threads <- 2
    expect_identical(nrow(continue(threaded, 2)$history), 22L)
    expect_identical(fit_nn(mpg ~ wt, mtcars, hidden = 2, family = family(fitted), epochs = 2)$family, "laplace")
  }
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, family = bare, epochs = 5)
  expect_error(simulate(fit), "simulate() needs the part `draw` of custom_family(\"laplace\")", fixed = TRUE)
  expect_error(residuals(fit, type = "deviance"), "residuals() needs the part `deviance`", fixed = TRUE)
  smooth <- custom_family("normal", ~ (y - mu)^2 * exp(-2 * s) / 2 + s + log(2 * pi) / 2, free = "s")
  expect_lt(c(check_gradients(fit_nn(mpg ~ wt, mtcars, hidden = 2, family = smooth, epochs = 5))), 1e-6)
  for (change in list(function(f) replace(f, "nll", list(fit$blocks[[1]]$custom$mean)),
                      function(f) replace(f, "eta", "zz"), function(f) replace(f, "free", list(character())),
                      function(f) replace(f, "draw", 3), function(f) NULL)) {
    damaged <- fit
    damaged$blocks[[1]]$custom <- change(damaged$blocks[[1]]$custom)
    expect_error(predict(damaged, mtcars), "damaged")
  }
  for (bad in list(0L, 2L, NA_integer_, NULL, 1.5, c(1L, 1L))) {
    damaged <- fit
    damaged$spec$nll_program <- bad
    expect_error(predict(damaged, mtcars), "damaged")
  }
})

test_that("offsets and weights of a written family are those of its twin", {
  set.seed(24)
  data <- stats::na.omit(custom_data())
  fit <- function(family) {
    fit_nn(n ~ x + offset(z / 2), data, weights = b + 1, hidden = 0, family = family)
  }
  ours <- fit(written_families(data)$poisson)
  expect_equal(coef(ours), coef(stats::glm(n ~ x + offset(z / 2), poisson, data, weights = b + 1)), tolerance = 1e-6)
})

test_that("what is no likelihood is told before training", {
  says <- function(e, words) expect_error(e, words, class = "varnn_error")
  says(custom_family("a", ~ nowhere + y - mu), "`nll` = .*: `nowhere` is neither an argument nor a number")
  says(custom_family("a", ~ gamma(y - mu)), "gamma\\(\\)")
  says(custom_family("a", ~ y^2), "does not depend on all of `mu`")
  says(custom_family("a", ~ (y - mu)^2, free = "s"), "does not depend on all of `mu`, `s`")
  says(custom_family("a", ~ (y - mu)^2, eta = "y"), "`eta` has `y`")
  says(custom_family("a", ~ (y - mu)^2, mean = ~ s), "`s` is neither")
  says(custom_family("a", ~ (y - mu)^2, draw = function(x) x), "`draw` must be a function of `mu`, not of `x`\\.$")
  says(custom_family("a", ~ (y - mu)^2, draw = function() 1), "of `mu`, not one without arguments")
  says(custom_family("a", ~ (y - mu)^2, draw = 1), "of `mu`, not ")
  says(custom_family("a", "y"), "`nll` must be a formula")
  says(custom_family("a", ~ (y - mu)^2, start = c(zz = 1)), "`start`")
  k <- 1:2
  says(custom_family("a", ~ k * (y - mu)^2), "`k` has length 2")
  own <- function(y, mu) own(y, mu) + 1
  says(custom_family("a", own), "calls itself")
  fit <- function(...) fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 2, family = custom_family("a", ...))
  says(fit(~ log(mu) + y - mu), "`nll` = ~ log\\(mu\\) \\+ y - mu: it is .* at y = 21, mu = 0")
  expect_warning(fit(~ (y - mu)^2 / 2), "integrates to 2.51", class = "varnn_density")
  expect_warning(fit_nn(carb ~ wt, mtcars, hidden = 2, epochs = 2, family = custom_family("a", ~ exp(mu) - y * mu)),
                 "no likelihood", class = "varnn_density")
  expect_silent(fit(~ (y - mu)^2 / 2 + log(2 * pi) / 2))
})

test_that("of whole numbers a probability must sum to 1, or a density integrate to it", {
  fit <- function(y, nll, ...) {
    fit_nn(y ~ x, data.frame(x = seq_along(y), y = y), hidden = 0, epochs = 2, family = custom_family("a", nll, ...))
  }
  set.seed(12)
  k <- rpois(100, 1.26)
  poisson <- function(constant) {
    stats::as.formula(bquote(~ exp(e) - y * e + lgamma(y + 1) - log(.(constant))))
  }
  for (constant in c(2, 1.14, 0.9))
    expect_warning(fit(k, poisson(constant), "e", mean = ~ exp(e)), sprintf("sums to %s over whole", constant),
                   class = "varnn_density")
  expect_silent(fit(k, poisson(1), "e", mean = ~ exp(e)))
  expect_silent(fit(rgeom(100, 0.3), ~ log1p(exp(-e)) + y * log1p(exp(e)), "e", mean = ~ exp(-e)))
  # densities of rounded numbers, whose sums over whole numbers are .58 to 1.6
  normal <- ~ (y - m)^2 * exp(-2 * s) / 2 + s + log(2 * pi) / 2
  waits <- ceiling(rexp(200))
  expect_silent(fit(round(rnorm(200, 3, 0.3)), normal, "m", free = "s"))
  expect_silent(fit(round(rnorm(200, 50, 10)), normal, "m", free = "s"))
  expect_silent(fit(waits, ~ y * exp(-e) + e, "e", mean = ~ exp(e)))
  expect_silent(fit(waits, ~ (log(y) - m)^2 * exp(-2 * s) / 2 + s + log(y) + log(2 * pi) / 2, "m", free = "s"))
  expect_silent(fit(round(rcauchy(200)), ~ log(pi) + s + log1p((y - m)^2 * exp(-2 * s)), "m", free = "s"))
  expect_silent(fit(round(rnorm(200)), ~ log(2) + s + abs(y - m) * exp(-s), "m", free = "s"))
  expect_warning(fit(waits, ~ y * exp(-e) + e - log(2), "e", mean = ~ exp(e)), "and integrates to 2 over",
                 class = "varnn_density")
})

test_that("a written family without a deviance has a summary, with the coefficients of glm()", {
  counts <- custom_family("counts", ~ exp(e) - y * e + lgamma(y + 1), eta = "e", mean = ~ exp(e))
  glm <- glm(carb ~ wt, stats::poisson(), mtcars, epsilon = 1e-14)
  for (hidden in c(0, 2)) {
    fit <- fit_nn(carb ~ wt, mtcars, hidden = hidden, family = counts)
    found <- summary(fit)
    expect_null(found$deviance)
    expect_match(capture.output(print(found)), "no deviance: the family", all = FALSE)
    expect_identical(glance.varnn(fit)$deviance, NA_real_)
    if (hidden == 0) expect_equal(found$coefficients, summary(glm)$coefficients, tolerance = 1e-5)
  }
})

test_that("the mean of a written family may depend on its free scalars, wherever it is read", {
  set.seed(31)
  data <- data.frame(x = rnorm(80))
  data$y <- exp(0.5 + 0.6 * data$x + rnorm(80, 0, 0.8))
  lognormal <- function(mean = ~ exp(mu + exp(2 * s) / 2), ...) {
    custom_family("lognormal", ~ (log(y) - mu)^2 * exp(-2 * s) / 2 + s + log(y) + log(2 * pi) / 2, free = "s",
                  mean = mean, draw = function(mu, s) exp(mu + exp(s) * rnorm(length(mu))),
                  variance = function(mu, s) expm1(exp(2 * s)) * exp(2 * mu + exp(2 * s)),
                  deviance = function(y, mu, s) ((log(y) - mu) / exp(s))^2, ...)
  }
  model <- lm(log(y) ~ x, data)
  sigma <- sqrt(mean(residuals(model)^2))
  fit <- fit_nn(y ~ x, data, hidden = 0, family = lognormal())
  truth <- unname(exp(fitted(model) + sigma^2 / 2))
  expect_equal(unname(predict(fit)), truth, tolerance = 1e-6)
  expect_equal(unname(fitted(fit)), truth, tolerance = 1e-6)
  expect_equal(unname(predict(fit, data[3:1, ])), truth[3:1], tolerance = 1e-6)
  expect_equal(unname(predict(fit, type = "link")), unname(fitted(model)), tolerance = 1e-6)
  expect_equal(unname(residuals(fit)), data$y - truth, tolerance = 1e-6)
  expect_equal(unname(residuals(fit, type = "working")), data$y / truth - 1, tolerance = 1e-6)
  expect_equal(unname(residuals(fit, type = "pearson")), (data$y / truth - 1) / sqrt(expm1(sigma^2)), tolerance = 1e-6)
  by_function <- fit_nn(y ~ x, data, hidden = 0, family = lognormal(function(mu, s) exp(mu + exp(2 * s) / 2)))
  expect_identical(predict(by_function), predict(fit))
  of_eta <- fit_nn(y ~ x, data, hidden = 0, family = lognormal(exp))
  expect_equal(unname(predict(of_eta)), unname(exp(fitted(model))), tolerance = 1e-6)
  errors <- predict(fit, data[1:3, ], type = "link", se.fit = TRUE)$se.fit
  by_lm <- unname(predict(model, data[1:3, ], se.fit = TRUE)$se.fit) * sqrt(78 / 80)
  expect_equal(unname(errors), by_lm, tolerance = 1e-5)
  bounds <- predict(of_eta, data[1:3, ], interval = "confidence")
  expect_equal(unname(bounds[, "upr"]), unname(exp(fitted(model)[1:3] + qnorm(0.975) * by_lm)), tolerance = 1e-5)
  expect_error(predict(fit, data[1:3, ], interval = "confidence"), "free scalars", class = "varnn_error")
  expect_error(predict(fit, data[1:3, ], se.fit = TRUE), "depends on free scalars", class = "varnn_error")
  expect_silent(check_fit(unserialize(serialize(fit, NULL))))
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_no_error(plot(fit, "fit"))

  # over a normal eta the mean is exp(m + v / 2 + sigma^2 / 2)
  bayes <- function(...) {
    set.seed(1)
    fit_bayes_nn(y ~ x, data, hidden = 0, family = lognormal(), posterior = "laplace", keep_data = TRUE, ...)
  }
  one <- bayes()
  s2 <- exp(2 * block_free(one)[[1]][1])
  mean_of <- function(fit, s2) {
    moments <- eta_moments(fit, row_data(fit, found_rows(fit, data, environment())))
    exp(moments$mean[, 1] + moments$cov[, 1, 1] / 2 + s2 / 2)
  }
  expect_equal(unname(predict(one, data)), mean_of(one, s2), tolerance = 1e-8)
  moments <- eta_moments(one, row_data(one, found_rows(one, data, environment())))
  bounds <- exp(moments$mean[, 1] + sqrt(moments$cov[, 1, 1]) %o% qnorm(c(0.05, 0.95)) + s2 / 2)
  expect_equal(unname(predict(one, data, interval = "confidence", level = 0.9)[, 2:3]), bounds, tolerance = 1e-8)
  expect_equal(colMeans(posterior_epred(one, data[1:5, , drop = FALSE], draws = 1000)), mean_of(one, s2)[1:5],
               tolerance = 0.05, ignore_attr = TRUE)
  # of members that differ in their free scalars: the mean of their means
  for (posterior in c("laplace", "point")) {
    set.seed(1)
    mixed <- fit_bayes_nn(y ~ x, data, hidden = 4, family = lognormal(), posterior = posterior, members = 2, epochs = 9,
                          combine = "equal")
    each <- vapply(members(mixed), function(m) predict(m, data), numeric(80))
    expect_gt(stats::sd(vapply(members(mixed), function(m) block_free(m)[[1]][1], 0)), 0)
    expect_equal(unname(predict(mixed, data)), unname(rowMeans(each)), tolerance = 1e-10)
    interval <- predict(mixed, data, interval = "confidence", draws = 200)
    expect_equal(unname(interval[, "fit"]), unname(rowMeans(each)),
                 tolerance = if (posterior == "point") 1e-10 else 0.05)
  }
  # and columns of an autoencoder
  set.seed(1)
  both <- data.frame(y = data$y, z = exp(data$x + rnorm(80)))
  code <- fit_ae(both, hidden = 3, latent = 1, family = lognormal(), epochs = 20)
  free <- block_free(code)
  eta <- codes_eta(code, encode(code, both))
  at <- cumsum(vapply(code$blocks, function(b) b$n_responses, 0))
  expect_true(all(as.matrix(reconstruct(code, both)) > exp(eta)))
  expect_equal(unname(as.matrix(reconstruct(code, both))), unname(exp(eta + rep(exp(2 * unlist(free)) / 2, each = 80))),
               tolerance = 1e-10)
})

test_that("outputs of a standardised written family are told as they are", {
  two <- custom_family("hetero", ~ (y - mu)^2 * exp(-2 * s) / 2 + s + log(2 * pi) / 2, eta = c("mu", "s"),
                       scaled = TRUE)
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, family = two, epochs = 20)
  link <- predict(fit, mtcars, type = "link")
  expect_identical(colnames(link), c("mpg", "s.mpg"))
  expect_equal(link[, 1], predict(fit, mtcars), tolerance = 1e-12)
  expect_equal(unname(link[, 2]), unname(model_eta(fit, design_rows(fit$design, mtcars))[, 2]))
})

test_that("standard errors of a written family know that its free scalars are learned, too: those of survreg()", {
  skip_if_not_installed("survival")
  set.seed(41)
  x <- rnorm(300)
  y <- exp(1 + 0.5 * x + 0.7 * log(rexp(300)))
  y <- cbind(a = y, b = rev(y))
  y[3:9, "b"] <- NA
  log_time <- custom_family("log_time", ~ log(y) + log_s - (log(y) - mu) / exp(log_s) + exp((log(y) - mu) / exp(log_s)),
                            free = "log_s")
  fit <- fit_nn(y ~ x, hidden = 0, family = log_time, na.action = na.pass)
  covariance <- function(y) vcov(survival::survreg(survival::Surv(y) ~ x))[1:2, 1:2]
  expect_equal(unname(vcov(fit)[1:2, 1:2]), unname(covariance(y[, "a"])), tolerance = 1e-5)
  expect_equal(unname(vcov(fit)[3:4, 3:4]), unname(covariance(y[, "b"])), tolerance = 1e-5)
})

test_that("parts of a family get some thousand numbers at a time, and the results are those of all at once", {
  sizes <- NULL
  own <- custom_family("own", ~ (y - mu)^2 / 2, scaled = TRUE, variance = function(mu) 2,
                       draw = function(mu) stats::rnorm(length(mu), mu),
                       deviance = function(y, mu) {
                         sizes <<- c(sizes, length(mu))
                         (y - mu)^2
                       })
  record <- varnn:::custom_record(own$custom)
  y <- matrix(seq(-2, 3, length.out = 1e5), ncol = 2)
  mu <- y^2 / 3
  expect_identical(record$deviance(y, mu, numeric()), (y - mu)^2)
  expect_true(length(sizes) > 1 && sum(sizes) == 1e5)
  set.seed(1)
  all_at_once <- stats::rnorm(1e5, mu)
  set.seed(1)
  expect_identical(record$draw(mu, numeric()), matrix(all_at_once, ncol = 2))
  expect_identical(record$variance(mu, numeric()), matrix(2, 5e4, 2))
  expect_identical(record$deviance(y[0, ], mu[0, ], numeric()), matrix(0, 0, 2))
})
