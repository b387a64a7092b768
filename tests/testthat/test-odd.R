# What training accepts every method accepts: odd data and arguments are refused at the door in the package's words, or
# all methods answer. No input of a user is damage.

own_words <- function(e) is.null(conditionCall(e)) && !grepl("damaged", conditionMessage(e))

# The error of a call when it is not in the package's own words; NULL when all is well.
trouble <- function(expr) {
  tryCatch({
    utils::capture.output(suppressWarnings(suppressMessages(force(expr))))
    NULL
  }, error = function(e) if (!own_words(e)) paste(conditionMessage(e), "in", deparse1(conditionCall(e))))
}

network_methods <- list(
  print = print, summary = function(f) print(summary(f)), coef = coef, residuals = residuals, fitted = fitted,
  pearson = function(f) residuals(f, "pearson"), deviance_residuals = function(f) residuals(f, "deviance"),
  logLik = logLik, deviance = deviance, sigma = sigma, nobs = nobs, AIC = stats::AIC, df = df.residual,
  weights = weights, simulate = function(f) simulate(f, 2), predict = predict,
  link = function(f) predict(f, type = "link"), prob = function(f) predict(f, type = "prob"),
  class = function(f) predict(f, type = "class"), names = variable.names, family = family,
  calibration = function(f) {
    checked <- calibration(f, draws = 3)
    print(checked)
    plot(checked)
  },
  gradients = function(f) check_gradients(f, rows = 5, parameters = 3), plot = function(f) plot(f, "fit"),
  network = function(f) plot(f, "network"), history = function(f) plot(f, "history"),
  continue = function(f) continue(f, 1)
)

bayes_methods <- c(network_methods, list(
  vcov = vcov, confint = confint, epred = function(f) posterior_epred(f, draws = 2),
  draws = function(f) posterior_predict(f, draws = 2), log_lik = function(f) log_lik(f, draws = 2),
  elbo = function(f) elbo(f, draws = 2), matrix = function(f) as.matrix(f, 2),
  interval = function(f) predict(f, interval = "prediction", draws = 3),
  confidence = function(f) predict(f, interval = "confidence", draws = 3), picture = function(f) plot(f, "weights")
))

ae_methods <- list(
  print = print, summary = function(f) print(summary(f)), coef = coef, encode = encode,
  decode = function(f) decode(f, encode(f)), reconstruct = reconstruct, error = function(f) predict(f, type = "error"),
  anomaly = anomaly, residuals = residuals, deviance = deviance, sigma = sigma, fitted = fitted,
  simulate = function(f) simulate(f, 2), pca = function(f) print(compare_pca(f)), weights = weights, nobs = nobs,
  gradients = function(f) check_gradients(f, rows = 5, parameters = 3), latent = plot,
  history = function(f) plot(f, "history"), reconstruction = function(f) plot(f, "reconstruction"),
  network = function(f) plot(f, "network"), continue = function(f) continue(f, 1)
)

vae_methods <- c(ae_methods, list(elbo = function(f) elbo(f, draws = 2), logLik = function(f) logLik(f, k = 2),
                                  impute = function(f) impute(f), sds = function(f) encode(f, sd = TRUE)))

# Runs every method on a fit; what is not in the package's words.
all_troubles <- function(fit, methods) {
  out <- character()
  for (name in names(methods)) {
    said <- trouble(methods[[name]](fit))
    if (!is.null(said)) out <- c(out, paste0(name, ": ", said))
  }
  out
}

expect_no_trouble <- function(make, methods, label) {
  fit <- NULL
  said <- trouble(fit <- make())
  expect_identical(said, NULL, label = label)
  if (!is.null(fit)) expect_identical(all_troubles(fit, methods), character(), label = label)
}

of_null_device <- function(expr) {
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  force(expr)
}

# ---- inputs that were once called damage

small <- function() {
  set.seed(1)
  data <- data.frame(x = stats::rnorm(12), g = factor(rep(c("a", "b", "c"), 4)), k = stats::rpois(12, 3))
  data$y <- data$x + stats::rnorm(12)
  data
}

test_that("inputs that training took and methods called damage", {
  skip_if_counted()
  data <- small()
  x <- as.matrix(data["x"])
  of_null_device({
    expect_refused(fit_nn(x, rep(2, 12), family = "categorical"), "single level, \"2\"")
    expect_refused(fit_nn(x, 1e120 * data$k, family = "poisson"), "values too large")
    expect_refused(fit_nn(x, 1e20 * data$k, family = "negative_binomial"), "whole numbers")
    expect_refused(fit_nn(x, 1e120 * data$y, standardize = FALSE), "`y` has values too large")
    expect_refused(fit_nn(x, cbind(a = data$y)[, 0]), "`y` has no columns")
    expect_refused(fit_nn(x, data.frame(row.names = 1:12)), "`y` has no columns")
    expect_refused(fit_bayes_nn(y ~ x, data, sigma = 5e-324), "`sigma`.*5e-324|`sigma`.*4.94")
    expect_refused(fit_vae(data, sigma = 5e-324), "`sigma`")
    expect_refused(fit_bayes_nn(y ~ x, data, prior = prior_normal(0, 1e-300)), "`sd`")
    expect_refused(fit_nn(y ~ x + offset(cbind(x, x)), data), "number for each row")
    expect_refused(fit_nn(k ~ x + offset(1e200 * x), data, family = "poisson"), "offset.*too large")
    expect_refused(fit_nn(y ~ x, data, weights = rep(1e-200, 12)), "`weights`")
    expect_refused(fit_nn(y ~ x, data, hidden = 2, epochs = 1e8, patience = 2), "`epochs`|no error")
    expect_no_trouble(function() fit_nn(y ~ x, data, hidden = 2, epochs = 2, patience = 1e10), network_methods,
                      "patience")
    expect_no_trouble(function() fit_nn(k ~ x + offset(array(x)), data, hidden = 2, epochs = 2, family = "poisson"),
                      network_methods, "an array as offset")
    expect_no_trouble(function() fit_nn(y ~ x + offset(cbind(x)), data, hidden = 2, epochs = 2), network_methods,
                      "a column as offset")
    expect_no_trouble(function() fit_bayes_nn(y ~ x, data, weights = 1e-80 * abs(x), hidden = 2, epochs = 2),
                      bayes_methods, "small weights")
    expect_no_trouble(function() fit_nn(x, data$k, family = "categorical", hidden = 2, epochs = 2), network_methods,
                      "numbers as classes")
    rownames(x) <- replace(letters[1:12], 3, NA)
    expect_no_trouble(function() fit_nn(x, data$y, hidden = 2, epochs = 2), network_methods, "a missing row name")
    expect_no_trouble(function() fit_ae(cbind(x, 1:12), latent = 1, hidden = 2, epochs = 2), ae_methods,
                      "a missing row name of columns")
  })
})

# ---- random odd inputs, seeded

one_of <- function(...) {
  choices <- list(...)
  choices[[sample(length(choices), 1)]]
}

odd_numbers <- function(n) {
  one_of(stats::rnorm(n), stats::rnorm(n) * one_of(1e-300, 1e-100, 1e-20, 1e20, 1e79, 1e100), rep(3, n),
         rep(c(0, 1), length.out = n), seq_len(n), 1e15 + seq_len(n), c(1e60, rep(0, n - 1)),
         replace(stats::rnorm(n), 1, NA), replace(stats::rnorm(n), 2, Inf), stats::rexp(n)^20,
         .Machine$double.xmin * seq_len(n),
         -seq_len(n), stats::rnorm(n) + 1e12)
}

odd_column <- function(n) {
  one_of(odd_numbers(n), odd_numbers(n), factor(sample(letters[1:3], n, TRUE)), sample(c("p", "q"), n, TRUE),
         sample(c(TRUE, FALSE), n, TRUE), ordered(sample(1:4, n, TRUE)), factor(seq_len(n)), rep(NA, n), rep("one", n),
         as.Date("2020-01-01") + seq_len(n), stats::rpois(n, 4))
}

odd_response <- function(n) {
  one_of(odd_column(n), odd_column(n), stats::rpois(n, 4), stats::rpois(n, 4) * 1e13, stats::rbinom(n, 1, 0.5),
         cbind(stats::rpois(n, 3), stats::rpois(n, 3)), matrix(stats::rnorm(2 * n), n), array(stats::rnorm(n)),
         data.frame(u = stats::rnorm(n), v = factor(rep_len(1:3, n))), stats::runif(n), rep(0, n))
}

odd_arguments <- function(n, of_model) {
  pick <- function(...) if (stats::runif(1) < 0.3) one_of(...)
  arguments <- list(
    weights = pick(rep(1e-60, n), rep(2, n), c(1, rep(0, n - 1)), stats::rexp(n)^9, rep(1e70, n), rep(1e200, n),
                   replace(rep(0, n), 1:2, c(1, 1e-200))),
    hidden = one_of(0, 1, 2, c(2, 2)), epochs = one_of(0, 1, 2, 3), batch_size = pick(1, 3, 1e9, 1e300),
    learn_rate = pick(1e-300, 0.1, 3), clip_norm = pick(1e-200, 1, 1e300), patience = pick(1, 1e10, 1e300),
    precision = one_of("double", "double", "single"), validation = pick(0.2, 1:2, n, 0.99), starts = pick(2),
    optimizer = pick("lbfgs", "sgd", "adamw", "momentum"), standardize = pick(FALSE), momentum = pick(0, 0.999999),
    schedule = pick("cosine", "plateau"), na.action = pick("na.exclude", "na.pass", "na.omit")
  )
  more <- lapply(of_model, function(values) if (stats::runif(1) < 0.25) one_of(values[[sample(length(values), 1)]]))
  Filter(Negate(is.null), c(arguments, more))
}

penalties <- list(0, 1e-300, 1, 1e90)
kinds <- list(
  network = list(fit = fit_nn, methods = network_methods, has_y = TRUE, of = list(
    penalty = penalties, activation = list("relu", "tanh", "selu"), layer_norm = list(TRUE, FALSE),
    family = as.list(families()))),
  bayes = list(fit = fit_bayes_nn, methods = bayes_methods, has_y = TRUE, of = list(
    family = as.list(families()), sigma = list(1e-80, 1, 1e80, "hetero"),
    posterior = list("lowrank", "last_layer", "full"),
    prior = list(prior_normal(0, 1e-90), prior_normal(0, 1e90), prior_laplace(0, 2), prior_mixture(),
                 prior_normal("auto")), estimator = list("weight", "local"), kl = list("mc"))),
  autoencoder = list(fit = fit_ae, methods = ae_methods, has_y = FALSE, of = list(
    penalty = penalties, latent = list(1, 3), noise = list(0.1, c(masking = 0.5), 1e80), sparsity = list(0.1, 1e80),
    contractive = list(0.1, 1e60), tied = list(TRUE), loss = list("huber"), family = list("poisson", "huber"))),
  vae = list(fit = fit_vae, methods = vae_methods, has_y = FALSE, of = list(
    latent = list(1, 3), sigma = list("each", "hetero", 1e-80, 1, 1e80), beta = list(0, 1e6), kl = list("mc"),
    importance = list(3), free_bits = list(1, 1e6), kl_warmup = list(5), family = list("poisson")))
)

# A call with odd data and arguments, from a seed.
odd_call <- function(kind, seed) {
  set.seed(seed)
  n <- one_of(2, 3, 12, 12, 12, 30)
  x <- one_of(data.frame(a = odd_column(n), b = stats::rnorm(n)), data.frame(a = odd_column(n), b = odd_column(n)),
              matrix(odd_numbers(2 * n), n), cbind(a = odd_numbers(n), b = odd_numbers(n)),
              data.frame(a = stats::rnorm(n), b = factor(rep_len(1:2, n))))
  c(list(x), if (kind$has_y) list(odd_response(n)), odd_arguments(n, kind$of))
}

test_that("random odd inputs are refused in words of the package, or every method answers", {
  skip_if_counted()
  calls <- as.integer(Sys.getenv("VARNN_ODD_CALLS", repeats(25, 4))) # of each kind
  from <- as.integer(Sys.getenv("VARNN_ODD_SEED", 0))
  of_null_device(for (name in names(kinds)) for (i in from + seq_len(calls)) {
    arguments <- odd_call(kinds[[name]], 1000 * match(name, names(kinds)) + i)
    expect_no_trouble(function() do.call(kinds[[name]]$fit, arguments), kinds[[name]]$methods, paste(name, i))
  })
})

test_that("vectors without end, classes of names alone and raw bytes are refused in the package's words", {
  expect_error(nn_control(validation = 1:1e9), "`validation` must be a proportion")
  expect_error(nn_control(validation = structure(1:3, class = "data.frame")), "`validation` must be a proportion")
  expect_error(fit_vae(iris, sigma = 1:1e9), "needs the names of their columns")
  bytes <- data.frame(a = as.raw(1:32))
  expect_error(fit_nn(mtcars[2:3], bytes), "The response `a` must be numeric, logical, a factor or character")
  lists <- data.frame(a = I(as.list(1:32)))
  class(lists$a) <- NULL
  expect_error(fit_nn(mtcars[2:3], lists), "The response `a` must be numeric, logical, a factor or character, not list")
  letters <- data.frame(x = 1:9)
  letters$y <- structure(rep(c("a", "b", "c"), 3), class = "matrix")
  fit <- suppressWarnings(fit_vae(letters, hidden = 2, latent = 1, epochs = 1))
  expect_identical(fit$family[["y"]], "categorical")
})

test_that("gaussian columns of a vae have the noise that was asked for", {
  fit <- fit_vae(iris[1:4], hidden = 2, latent = 1, epochs = 1, family = "gaussian", sigma = "hetero")
  expect_identical(unique(unname(fit$family)), "gaussian_hetero")
})

test_that("columns inside columns, strings that are no formula and lists that are no prior are refused by name", {
  nested <- data.frame(a = 1:9)
  nested$b <- data.frame(u = 1:9)
  expect_error(fit_nn(nested, 1:9), "Column `b` of `x` is .*: give its columns as columns of `x`")
  nested$b <- matrix(1:18, 9)
  expect_error(fit_nn(mtcars[1:9, 2:3], nested), "Column `b` of `y` is .*: give its columns as columns of `y`")
  expect_error(fit_nn(formula = c("mpg ~ wt", NA), data = mtcars), "`formula` must be a formula")
  expect_error(fit_bayes_nn(mpg ~ wt, mtcars, prior = structure(list(), class = "varnn_prior")), "`prior` must be")
})

test_that("dimensions with names or a class, and numbers near the largest, are read as what they are", {
  x <- matrix(stats::rnorm(18), 9)
  dim(x) <- c(a = 9L, b = 2L)
  expect_named(dim(x), c("a", "b"))
  expect_silent(fit_bayes_nn(x, 1:9, hidden = 2, epochs = 1))
  expect_silent(fit_ae(x, hidden = 2, latent = 1, epochs = 1))
  expect_error(fit_vae(data.frame(a = 1:9 * 1e299, b = 1:9)), "`a`")
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 1)
  expect_error(predict(fit, mtcars, interval = quote(x)), "`interval` must be one of")
})

test_that("values that are not what their class says, or are huge, are refused in words", {
  expect_refused(prior_laplace(mean = seq_len(1e9)), "`mean` must be 0")
  expect_refused(nn_control(epochs = seq_len(1e9)), "`epochs`")
  disguised <- structure(unclass(mtcars), class = "matrix")
  expect_refused(fit_vae(mpg ~ wt, disguised, hidden = 2), "`data` is of class \"matrix\"")
  fit <- fit_bayes_nn(as.matrix(mtcars["wt"]), mtcars$mpg, hidden = 2, epochs = 2, posterior = "meanfield")
  expect_refused(continue(fit, 1, data = list(x = 1, y = "a")), "`x` must be a numeric matrix")
})

test_that("columns whose sum is not finite are told by name, and frames within frames", {
  x <- cbind(a = rep(1e308, 9), b = 1:9)
  expect_refused(fit_nn(x, 1:9, hidden = 2), "Column `a` has values too large")
  ae <- fit_ae(mtcars[1:4], latent = 2, epochs = 1)
  z <- data.frame(z1 = 1:2)
  z$z2 <- matrix(1:4, 2)
  expect_refused(decode(ae, z), "Column `z2` of `z`")
})
