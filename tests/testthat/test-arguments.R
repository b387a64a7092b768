# Any value for any argument of any exported function or method works, or is an error in the package's own words that
# names the argument.

set.seed(1)
small_cars <- mtcars[1:12, c("mpg", "wt", "hp")]
small_x <- as.matrix(small_cars[-1])
small_y <- small_cars$mpg
kind_of_fit <- suppressWarnings(list(
  varnn_nn = fit_nn(mpg ~ wt + hp, small_cars, hidden = 2, epochs = 1),
  varnn_bayes_nn = fit_bayes_nn(mpg ~ wt + hp, small_cars, hidden = 2, epochs = 1),
  varnn_ae = fit_ae(small_cars, hidden = 2, latent = 1, epochs = 1),
  varnn_vae = fit_vae(small_cars, hidden = 2, latent = 1, epochs = 1)
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
working_calls <- list(
  fit_nn.formula = c(list(mpg ~ wt + hp, data = small_cars), few),
  fit_nn.data.frame = c(list(small_cars[-1], small_y), few), fit_nn.matrix = c(list(small_x, small_y), few),
  fit_bayes_nn.formula = c(list(mpg ~ wt + hp, data = small_cars), few),
  fit_bayes_nn.data.frame = c(list(small_cars[-1], small_y), few),
  fit_bayes_nn.matrix = c(list(small_x, small_y), few),
  fit_ae.formula = c(list(~ wt + hp, data = small_cars), few), fit_ae.data.frame = c(list(small_cars), few),
  fit_ae.matrix = c(list(small_x), few),
  fit_vae.formula = c(list(~ wt + hp, data = small_cars), few), fit_vae.data.frame = c(list(small_cars), few),
  fit_vae.matrix = c(list(small_x), few),
  continue = list(epochs = 1), decode = list(z = matrix(0, 2, 1)), calibration = list(draws = 5),
  log_lik = list(draws = 5), elbo = list(draws = 2), posterior_epred = list(draws = 5),
  posterior_predict = list(draws = 5), check_gradients = list(rows = 5, parameters = 2), impute = list(k = 2),
  summary = list(), as.matrix = list(draws = 5)
)

# By name of function: list(f, arguments that work).
callable <- function() {
  space <- asNamespace("varnn")
  out <- list()
  add <- function(name, f, given, generic = NULL) out[[name]] <<- list(f = f, given = given, generic = generic)
  for (name in getNamespaceExports(space)) {
    f <- get(name, space)
    is_generic <- any(grepl("UseMethod", deparse(body(f)), fixed = TRUE))
    if (!is_generic) add(name, f, list())
  }
  methods <- space$.__NAMESPACE__.$S3methods
  for (i in seq_len(nrow(methods))) {
    generic <- sub(".*::", "", methods[i, 1])
    class <- methods[i, 2]
    name <- paste(generic, class, sep = ".")
    f <- if (is.function(methods[[i, 3]])) methods[[i, 3]] else get(methods[[i, 3]], space)
    if (generic %in% c("close_noise", "remember", "result_line", "model_title", "print", "plot")) next
    if (grepl("^fit_", generic)) {
      if (class != "default") add(name, f, working_calls[[name]], generic)
    } else if (class == "default") {
      add(name, f, list(3), generic)
    } else {
      fits <- Filter(function(fit) inherits(fit, class), kind_of_fit)
      for (kind in names(fits)) {
        own <- utils::getS3method(generic, kind, optional = TRUE)
        if (is.null(own) || identical(own, f))
          add(paste0(name, "(", kind, ")"), f, c(fits[kind], working_calls[[generic]]), generic)
      }
    }
  }
  out
}

said_by <- function(f, given) {
  tryCatch(suppressWarnings({
    setTimeLimit(elapsed = 20, transient = TRUE)
    utils::capture.output(do.call(f, given, quote = TRUE))
    NULL
  }), error = identity, finally = setTimeLimit())
}

# In the package's own words and about this argument, or about what it holds.
is_in_own_words <- function(e, name) {
  said <- conditionMessage(e)
  if (grepl("inner|'trim'", said)) return(TRUE) # of the function that was given
  is.null(conditionCall(e)) && !grepl(internal_words, said) &&
    (grepl(paste0("`", name), said, fixed = TRUE) || grepl(of_object, said) || grepl(about[[name]], said) %in% TRUE)
}

# What R says of trouble within, or of work without end.
internal_words <- paste("cannot allocate|time limit|is of length zero|missing value where|invalid 'times'|non-numeric",
                        "non-function|invalid argument|invalid type|subscript|could not find function", sep = "|")
# What is wrong with the fit, whatever the argument.
of_object <- "needs a fit by|does not apply|is for models with"
# What is said of values that are not wrong as such.
of_data <- "^Column `|^The response|^There are no rows|^Every row|^The formula|^The model|^There is no|object '.*' not f"
about <- list(
  x = paste0(of_data, "|first argument"), formula = paste0(of_data, "|first argument"),
  data = paste0(of_data, "|^The data found"), y = of_data, newdata = of_data, subset = of_data, object = "first argument", weights = of_data,
  family = "^The response|^Column|^The family", contrasts = "^The predictors", na.action = "missing values",
  hidden = "parameters", z = "codes", control = "^There is no argument", sigma = "^There is no column",
  validation = "^The response"
)

test_that("each argument takes any value, or says what is wrong with it", {
  # All of them take two minutes; else some, others every day.
  share <- if (nzchar(Sys.getenv("VARNN_TEST_ALL"))) length(evil_values) else 4
  if (identical(Sys.getenv("NOT_CRAN"), "true")) set.seed(as.integer(Sys.Date()))
  wrong <- character()
  functions <- callable()
  for (name in names(functions)) {
    f <- functions[[name]]$f
    given <- functions[[name]]$given
    own <- setdiff(names(formals(f)), "...")
    if (length(given) && is.null(names(given))) names(given) <- own[seq_along(given)]
    names(given)[names(given) == "" | names(given) %in% names(kind_of_fit)] <-
      own[seq_len(sum(names(given) == "" | names(given) %in% names(kind_of_fit)))]
    tried <- if (length(given) && inherits(given[[1]], "varnn")) own[-1] else own
    if (grepl("^fit_", name)) tried <- c(tried, names(formals(nn_control)))
    if (!is.null(functions[[name]]$generic)) f <- get(functions[[name]]$generic) # by which a user reaches it
    for (argument in tried) for (value in sample(evil_values, share)) {
      call <- given
      call[argument] <- list(value)
      said <- said_by(f, call)
      if (!is.null(said) && !is_in_own_words(said, argument))
        wrong <- c(wrong, sprintf("%s(%s = %s): %s", name, argument, shown(value), conditionMessage(said)))
    }
  }
  expect_equal(wrong, character())
})
