# Any value for any argument of any exported function or method works, or is an error in the package's own words that
# names the argument.

set.seed(1)
small_cars <- mtcars[1:12, c("mpg", "wt", "hp")]
small_x <- as.matrix(small_cars[-1])
small_y <- small_cars$mpg
kind_of_fit <- suppressWarnings(list(
  varnn_nn = fit_nn(mpg ~ wt + hp, small_cars, hidden = 2, epochs = 1),
  varnn_bayes_nn = fit_bayes_nn(mpg ~ wt + hp, small_cars, hidden = 2, posterior = "meanfield", epochs = 1),
  varnn_mixture = fit_bayes_nn(mpg ~ wt + hp, small_cars, hidden = 2, members = 2, epochs = 1),
  varnn_ae = fit_ae(small_cars, hidden = 2, latent = 1, epochs = 1),
  varnn_vae = fit_vae(small_cars, hidden = 2, latent = 1, epochs = 1, keep_data = TRUE)
))

evil_values <- list(
  NULL, NA, NaN, Inf, -Inf, -1, 0, 2.5, 1e10, -1e300, NA_integer_, 1L, "3", "zz", NA_character_, character(0), "",
  numeric(0), list(), list(1, "a"), list(a = NULL), mean, function(...) stop("inner"), TRUE, FALSE, c(1, 2), c(1, NA),
  c(a = 1, b = 2), 1:12, new.env(), quote(x), quote(f(x)), y ~ x, ~ wt, mtcars, mtcars[0, ], iris, data.frame(),
  matrix(1, 2, 2), matrix("a"), matrix(0, 0, 2), array(1, c(2, 2, 2)), factor(c("u", "v")), as.Date("2020-01-01"),
  1i, raw(2), expression(a), structure(1, class = "zz")
)

# Calls that work, which each argument in turn is put into. `of` are kinds of fits that a method or verb is tried on.
few <- list(epochs = 1)
few_members <- list(epochs = 1, members = 2)
working_calls <- list(
  fit_nn.formula = c(list(mpg ~ wt + hp, data = small_cars), few),
  fit_nn.data.frame = c(list(small_cars[-1], small_y), few), fit_nn.matrix = c(list(small_x, small_y), few),
  fit_bayes_nn.formula = c(list(mpg ~ wt + hp, data = small_cars), few_members),
  fit_bayes_nn.data.frame = c(list(small_cars[-1], small_y), few_members),
  fit_bayes_nn.matrix = c(list(small_x, small_y), few_members),
  fit_ae.formula = c(list(~ wt + hp, data = small_cars), few), fit_ae.data.frame = c(list(small_cars), few),
  fit_ae.matrix = c(list(small_x), few),
  fit_vae.formula = c(list(~ wt + hp, data = small_cars), few), fit_vae.data.frame = c(list(small_cars), few),
  fit_vae.matrix = c(list(small_x), few),
  continue = list(epochs = 1), decode = list(z = matrix(0, 2, 1)), calibration = list(draws = 5),
  log_lik = list(draws = 5), elbo = list(draws = 2), posterior_epred = list(draws = 5),
  posterior_predict = list(draws = 5), check_gradients = list(rows = 5, parameters = 2), impute = list(k = 2),
  compare_posteriors.formula = list(mpg ~ wt, data = small_cars, posteriors = "point", hidden = 0, folds = 2,
                                    draws = 5),
  compare_posteriors = list(folds = 2, draws = 5), tune_fit = list(hidden = 1, folds = 2, draws = 5),
  summary = list(), as.matrix = list(draws = 5),
  augment = list(newdata = small_cars, draws = 5),
  custom_family = list("own", ~ (y - mu)^2 / 2 + log(2 * pi) / 2), nn_family = list("student_t"),
  prior_custom = list(~ -abs(w) - log(2)), explore = list(kind_of_fit$varnn_nn, draws = 5),
  chunks = list(small_cars), each_chunk = list(chunks(small_cars), function(data, i) nrow(data))
)

# Functions that need another package, whose own tests try them.
of_clients <- c("step_ae", "step_vae", "step_impute_vae", "mice.impute.varnn", "as_mids", "vetiver_create_meta",
                "handler_predict", "orbital")

# list(name, f, given): a function or method, and arguments with which it works; a method is called by its generic.
functions_of <- function(space) {
  f <- lapply(stats::setNames(nm = setdiff(getNamespaceExports(space), of_clients)), get, space)
  is_generic <- vapply(f, function(f) any(grepl("UseMethod", deparse(body(f)), fixed = TRUE)), NA)
  call <- function(name, f) list(name = name, f = f, own = f, given = as.list(working_calls[[name]]))
  Map(call, names(f)[!is_generic], f[!is_generic])
}

method_calls <- function(generic, class, f) {
  if (generic %in% of_clients) return(NULL)
  call <- function(name, given) {
    list(name = name, f = get0(generic, asNamespace("varnn"), ifnotfound = f), own = f, given = given)
  }
  name <- paste(generic, class, sep = ".")
  if (name %in% names(working_calls)) return(list(call(name, working_calls[[name]])))
  if (grepl("^fit_", generic)) return(NULL)
  if (class == "default") return(list(call(name, list(3))))
  kinds <- names(Filter(function(fit) inherits(fit, class), kind_of_fit))
  is_known <- exists(generic, asNamespace("varnn")) # generics of other packages may not be there
  is_own <- vapply(kinds, function(kind) {
    if (!is_known) return(TRUE)
    of_kind <- utils::getS3method(generic, kind, optional = TRUE)
    is.null(of_kind) || identical(of_kind, f)
  }, NA)
  lapply(kinds[is_own], function(kind) {
    call(sprintf("%s(%s)", name, kind), c(list(kind_of_fit[[kind]]), working_calls[[generic]]))
  })
}

no_verbs <- c("close_noise", "remember", "result_line", "model_title", "print", "plot")
# What other packages call, with what they have made.
no_verbs <- c(no_verbs, "recover_data", "emm_basis", "get_coef", "get_vcov", "set_coef", "get_predict", "get_predicted",
              "get_parameters", "get_statistic", "model_info")

callable <- function() {
  space <- asNamespace("varnn")
  methods <- space$.__NAMESPACE__.$S3methods
  methods[, 1] <- sub(".*::", "", methods[, 1])
  methods <- methods[!methods[, 1] %in% no_verbs, ]
  of_methods <- lapply(seq_len(nrow(methods)), function(i) {
    f <- methods[[i, 3]]
    method_calls(methods[i, 1], methods[i, 2], if (is.function(f)) f else get(f, space))
  })
  c(functions_of(space), unlist(of_methods, recursive = FALSE))
}

said_by <- function(f, given) {
  tryCatch(suppressMessages(suppressWarnings({
    setTimeLimit(elapsed = 20, transient = TRUE)
    utils::capture.output(do.call(f, given, quote = TRUE))
    NULL
  })), error = identity, finally = setTimeLimit())
}

# In the package's own words and about this argument, or about what it holds.
is_in_own_words <- function(e, name) {
  said <- conditionMessage(e)
  if (grepl("inner|'trim'", said)) return(TRUE) # of the function that was given
  is.null(conditionCall(e)) && !grepl(internal_words, said) &&
    (grepl(paste0("`", name), said, fixed = TRUE) || grepl(paste(c(of_object, about[[name]]), collapse = "|"), said))
}

# What R says of trouble within, or of work without end.
internal_words <- paste("cannot allocate|time limit|is of length zero|missing value where|invalid 'times'|non-numeric",
                        "non-function|invalid argument|invalid type|subscript|could not find function", sep = "|")
# What is wrong with the fit, whatever the argument.
of_object <- "needs a fit by|does not apply|is for models with"
# What is said of values that are not wrong as such.
of_data <- paste("^Column `|^The response|^There are no rows|^Every row|^The formula|^The model|^There is no",
                 "object '.*' not found", sep = "|")
about <- list(
  x = paste0(of_data, "|first argument"),
  formula = paste0(of_data, "|first argument"),
  data = paste0(of_data, "|^The data found"), y = of_data, newdata = of_data, subset = of_data,
  object = "first argument", weights = of_data,
  family = "^The response|^Column|^The family", contrasts = "^The predictors", na.action = "missing values",
  hidden = "parameters", z = "codes", control = "^There is no argument",
  validation = "^The response", eta = "^`nll` = ", free = "^`nll` = ", log_density = "^`prior` = "
)

# n of the values, others every day. All of them take minutes: where VARNN_TEST_ALL is set.
some_of <- function(values, n) sample(values, if (nzchar(Sys.getenv("VARNN_TEST_ALL"))) length(values) else n)
seed_of_day <- function() if (identical(Sys.getenv("NOT_CRAN"), "true")) set.seed(as.integer(Sys.Date()))

# What is wrong of one function's answers to some of the values.
wrong_answers <- function(case) {
  own <- setdiff(names(formals(case$own)), "...")
  given <- case$given
  unnamed <- if (is.null(names(given))) rep(TRUE, length(given)) else names(given) == ""
  names(given)[unnamed] <- own[seq_len(sum(unnamed))]
  tried <- if (length(given) && inherits(given[[1]], "varnn")) own[-1] else own
  if (grepl("^fit_", case$name)) tried <- c(tried, names(formals(nn_control)))
  wrong <- character()
  for (argument in tried) for (value in some_of(evil_values, 4)) {
    call <- given
    call[argument] <- list(value)
    said <- said_by(case$f, call)
    if (!is.null(said) && !is_in_own_words(said, argument))
      wrong <- c(wrong, sprintf("%s(%s = %s): %s", case$name, argument, shown(value), conditionMessage(said)))
  }
  wrong
}

test_that("each argument takes any value, or says what is wrong with it", {
  skip_if_counted()
  skip_on_cran() # it takes long
  seed_of_day()
  cases <- callable()
  expect_gt(length(cases), 100)
  expect_equal(unname(as.character(unlist(lapply(cases, wrong_answers)))), character())
})

# Values in disguises that R's own functions do not make: with dimensions, names or a class of another kind.
disguises <- c(
  lapply(c(class_of_dim = "varnn_nn", factor_of_dim = "factor"), function(class) {
    function(x) structure(x, dim = structure(length(x), class = class))
  }),
  lapply(c("Date", "POSIXlt", "ordered", "numeric_version", "data.frame", "difftime", "ts", "roman"),
         function(class) function(x) `attr<-`(x, "class", class)),
  list(row = function(x) matrix(x, 1), names = function(x) structure(x, names = rep(NA_character_, length(x))),
       class_of_names = function(x) structure(x, names = structure(rep("a", length(x)), class = "POSIXlt")))
)

test_that("numbers, flags and words with dimensions, names or a class are what they are, or are refused", {
  skip_if_counted()
  given <- list(
    hidden = 2, penalty = 0.1, dropout = 0.1, layer_norm = TRUE, standardize = TRUE, keep_data = TRUE,
    activation = "tanh", family = "gaussian", members = 1, combine = "equal", epochs = 1, batch_size = 4,
    optimizer = "sgd", learn_rate = 0.01, schedule = "cosine", momentum = 0.5, clip_norm = 1, validation = 0.3,
    patience = 2, starts = 1, precision = "single", threads = 1, rng = "fast", verbose = FALSE, weights = rep(1, 12),
    na.action = "na.omit"
  )
  of_bayes <- list(posterior = "meanfield", rank = 1, estimator = "weight", kl = "mc", mc_samples = 2, sigma = 2,
                   rotate = FALSE)
  of_ae <- list(latent = 1, noise = 0.1, sparsity = 0.1, contractive = 0.1, tied = TRUE, loss = "huber")
  of_vae <- list(latent = 1, beta = 1, kl_warmup = 1, free_bits = 0.1, importance = 2, sigma = 2)
  of_fit <- function(kind, ...) list(kind_of_fit[[kind]], ...)
  calls <- list(
    list(fit_nn, list(small_x, small_y, hidden = 1, epochs = 1), given),
    list(fit_bayes_nn, list(small_x, small_y, hidden = 1, epochs = 1, members = 2), of_bayes),
    list(fit_ae, list(small_x, hidden = 1, epochs = 1), of_ae),
    list(fit_vae, list(small_x, hidden = 1, epochs = 1), of_vae),
    list(prior_mixture, list(), list(share = 0.5, sd = c(1, 2), fan_in = TRUE)),
    list(prior_normal, list(), list(mean = 0, sd = 1, fan_in = TRUE)),
    list(anomaly, of_fit("varnn_ae"), list(level = 0.9)),
    list(anomaly, of_fit("varnn_vae"), list(level = 0.9, score = "likelihood", folds = 1, k = 2, per_variable = TRUE)),
    list(predict, of_fit("varnn_ae"), list(type = "error", per_variable = TRUE, threads = 1)),
    list(predict, of_fit("varnn_nn"), list(type = "response", se.fit = FALSE)),
    list(predict, of_fit("varnn_bayes_nn"), list(interval = "confidence", level = 0.9, draws = 3, type = "draws")),
    list(predict, of_fit("varnn_mixture"), list(interval = "confidence", level = 0.9, draws = 3, type = "draws")),
    list(confint, of_fit("varnn_bayes_nn"), list(level = 0.9, parm = 1)),
    list(confint, of_fit("varnn_mixture"), list(level = 0.9, parm = 1)),
    list(simulate, of_fit("varnn_nn"), list(nsim = 2, seed = 1)),
    list(check_gradients, of_fit("varnn_nn"), list(rows = 3, parameters = 2)),
    list(encode, of_fit("varnn_vae"), list(sd = TRUE))
  )
  seed_of_day()
  wrong <- character()
  for (call in calls) for (name in names(call[[3]])) for (disguise in some_of(disguises, 5)) {
    value <- disguise(call[[3]][[name]])
    arguments <- call[[2]]
    arguments[[name]] <- value
    said <- said_by(call[[1]], arguments)
    if (!is.null(said) && !is_in_own_words(said, name))
      wrong <- c(wrong, sprintf("%s = %s: %s", name, paste(deparse(value), collapse = ""), conditionMessage(said)))
  }
  expect_equal(wrong, character())
})

test_that("a number means the same with dimensions as without", {
  odd <- structure(0.9, dim = structure(1L, class = "varnn_nn"))
  ae <- kind_of_fit$varnn_ae
  expect_identical(anomaly(ae, level = odd), anomaly(ae, level = 0.9))
  bayes <- kind_of_fit$varnn_bayes_nn
  expect_identical(confint(bayes, level = odd), confint(bayes, level = 0.9))
  expect_identical(prior_normal(sd = odd), prior_normal(sd = 0.9))
  expect_identical(unclass(nn_control(momentum = odd))$momentum, 0.9)
  expect_identical(attr(simulate(kind_of_fit$varnn_nn, seed = c(a = 1)), "seed"),
                   attr(simulate(kind_of_fit$varnn_nn, seed = 1), "seed"))
})
