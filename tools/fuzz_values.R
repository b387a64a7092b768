# Evil values, and random changes of a value at any depth. Every choice comes from R's generator.

one_of <- function(x) x[[sample.int(length(x), 1L)]]
chance <- function(p) stats::runif(1) < p

# An error of the caller's own argument, and whether code of a value was run that nobody asked to run.
stop_own <- function() stop(errorCondition("the argument's own error", class = "fuzz_own"))

nested <- function(depth, x = list(1)) {
  for (i in seq_len(depth)) x <- list(x)
  x
}

latin1 <- function(x) {
  Encoding(x) <- "latin1"
  x
}

odd_frames <- function(n = 9) {
  x <- seq_len(n) / n
  of <- function(...) structure(list(...), row.names = .set_row_names(n), class = "data.frame")
  list(
    no_rows = of(a = x, b = x)[0, ], no_columns = of(a = x)[, 0], none = data.frame(), one_row = of(a = x, b = x)[1, ],
    duplicate = of(a = x, a = rev(x)), unnamed = unname(of(a = x, b = x)), na_names = stats::setNames(of(x, x), c(NA,
                                                                                                                  "")),
    list_column = of(a = x, b = I(as.list(x))), matrix_column = of(a = x, b = cbind(u = x, v = rev(x))),
    frame_column = of(a = x, b = of(u = x)), factor_column = of(a = factor(rep_len(letters[1:3], n)), b = x),
    na = of(a = replace(x, 1, NA), b = x), all_na = of(a = x * NA, b = x), inf = of(a = replace(x, 2, Inf), b = x),
    complex = of(a = x + 1i, b = x), raw = of(a = as.raw(seq_len(n)), b = x), date = of(a = Sys.Date() + seq_len(n),
                                                                                        b = x),
    time = of(a = as.POSIXlt(Sys.time() + x), b = x), constant = of(a = x * 0 + 1, b = x), huge = of(a = x * 1e300,
                                                                                                     b = x),
    tiny = of(a = x * 1e-300, b = x), strings = of(a = rep_len(c("u", "\u00fc", NA), n), b = x),
    long_names = stats::setNames(of(x, x), c(strrep("n", 1e4), "b")), ragged = of(a = x, b = x[-1]),
    many = as.data.frame(matrix(1, 2, 300)), logical = of(a = x > 0.5, b = x)
  )
}

odd_factors <- function() {
  list(
    factor(character()), factor(c("a", NA)), factor(c("a", "b"), levels = c("b", "a", "c")), addNA(factor(c("a", NA))),
    factor(c("", " ")), ordered(c("x", "y")), factor(1:9), factor(rep(1, 9)), factor(rep_len(c("a", "b"), 9)),
    structure(c(1L, 5L), levels = "a", class = "factor"), structure(c(1.5, 1), levels = c("a", "b"), class = "factor"),
    structure(1:2, class = "factor"), structure(1:9, levels = rep("a", 9), class = "factor")
  )
}

evil_numbers <- c(NA, NaN, Inf, -Inf, 0, -0, 1, -1, 2, 3, 9, 0.5, 2.5, 1 + 1e-9, 1e-320, 1e-300, 1e-9, 1e9, 1e10,
                  2^31 - 1,
                  2^31, -2^31, 2^32, 2^53, 1e100, 1e200, .Machine$double.xmax)

odd_numbers <- function() {
  c(as.list(evil_numbers), list(
    NA_integer_, .Machine$integer.max, -.Machine$integer.max, 0L, 3L, -7L, numeric(), integer(), c(1, NA), 1:2, 1:9,
    9:1, -1:3,
    c(1, 1), c(2, 1e9), seq(0, 1, 0.125), rep(0, 9), rep(1e-200, 9), rep(1e300, 9), rep(NA_real_, 9), rep(Inf, 9), 1:10,
    c(a = 1), c(a = 1, b = 2), c(masking = 0.2), structure(1, class = "fuzz"), structure(1:2, dim = 2L), 1:1e9,
    seq_len(1e5),
    1i, NA_complex_, as.raw(1), as.raw(1:9), Sys.Date(), Sys.time(), as.difftime(2, units = "mins"),
    as.POSIXlt(Sys.time()),
    structure(9.88131291682493e-324, class = "integer64"), structure(1, units = "m", class = "units"),
    structure(2, label = "two", class = c("haven_labelled", "vctrs_vctr", "double"))
  ))
}

odd_matrices <- function() {
  list(
    matrix(0, 0, 0), matrix(0, 0, 2), matrix(0, 2, 0), matrix(NaN, 9, 2), matrix(c(Inf, 1:17), 9), matrix(1, 9, 2),
    matrix(1:18 / 7, 9), matrix(1:18, 9, dimnames = list(NULL, c("a", "a"))), matrix(1:18, 9, dimnames = list(NULL,
                                                                                                              c("wt",
                                                                                                                NA))),
    matrix("a", 9, 2), matrix(list(1), 9, 2), matrix(1:18 > 4, 9), matrix(1i, 9, 2), array(1:36, c(9, 2, 2)), array(1,
                                                                                                                    9),
    diag(9),
    matrix(1:2, 1), matrix(1, 9, 1), matrix(1e308, 9, 2), matrix(as.raw(1), 9, 2), stats::ts(matrix(1:18, 9)),
    table(1:9, 1:9),
    matrix(-(1:18), 9), matrix(rep_len(0:1, 18), 9)
  )
}

odd_strings <- function() {
  list(
    "", " ", "a", "zz", "NA", NA_character_, character(), c("a", "b"), rep("a", 9), letters, strrep("x", 1e5),
    "%s %d %", "\u00e4\u6f22",
    latin1("\xe4"), "\xff\xfe", "a\nb", "`", "\\", "\"", "1", "TRUE", "auto", "gaussian", "poisson", "binomial",
    "categorical", "relu",
    "mean", "response", "class", "normal", "fit", "history", "learned", "hetero", "each", "single", "R", "deviance",
    c(a = "gaussian"),
    c("gaussian", "poisson"), "wt", "mpg", c("wt", "wt"), c("gaussian", NA), "exact", "mc", "full", "lowrank", "lbfgs",
    "sgd",
    "prediction", "confidence", "latent", "elbo", "grid", "reconstruction", "weights", "residuals", "calibration",
    "terms"
  )
}

odd_language <- function() {
  list(
    quote(x), quote(f(x)), quote(stop("evaluated")), quote(`if`(TRUE, 1)), expression(a, b), y ~ x, ~ a, ~ 1, ~ 0, ~ .,
    a ~ 0, y ~ y,
    a + b ~ ., mpg ~ offset(wt), mpg ~ wt:hp, mpg ~ poly(wt, 2), cbind(mpg, wt) ~ hp, ~ wt | hp, mpg ~ wt + wt, . ~ .,
    quote(~ x),
    mpg ~ log(wt), log(mpg) ~ ., mpg ~ factor(wt), mpg ~ I(wt^2), mpg ~ nothing_of_this_name, mpg ~ stop_own(),
    ~ wt - wt, NULL ~ wt,
    mpg ~ wt - 1, mpg ~ "wt", "mpg" ~ wt, 1 ~ wt, mpg ~ 1, mpg ~ (wt + hp)^2, wt + hp ~ mpg, mpg ~ .^2, as.name("mpg"),
    ~ x * plogis(x), ~ pmax(x, 0), ~ ifelse(x > 0, x, expm1(x)), ~ x^2.5, ~ x * nowhere, ~ gamma(x), ~ log(1 + exp(x)),
    ~ x - x, ~ {
      a <- tanh(x)
      a / 2
    }
  )
}

odd_functions <- function() {
  list(mean, sum, function() NULL, function(x) x, function(x) x * plogis(x), function(x) sum(x), tanh,
       function(...) stop_own(), function(epoch, row) stop_own(),
       function(epoch, row) NA,
       function(epoch, row) TRUE, stats::binomial, stats::poisson(), stats::quasibinomial(), stats::Gamma("log"),
       stats::gaussian("log"),
       stats::na.omit, stats::na.exclude, stats::na.pass, stats::na.fail, `[[`, `if`, base::c)
}

evil_methods <- methods::setClass("fuzz_s4", representation(x = "numeric"), where = globalenv())

odd_objects <- function() {
  plain <- list(
    NULL, TRUE, FALSE, NA, c(TRUE, NA), logical(), rep(TRUE, 9), list(), list(1), list(a = 1), list(a = NULL),
    list(1, "a"), list(NULL), nested(5), nested(400), as.list(1:9), pairlist(a = 1), new.env(), globalenv(), emptyenv(),
    evil_methods(x = 1), stdin(), numeric_version("1.2"), list(encoder = 2, decoder = 2),
    list(encoder = "a", decoder = NULL), list(epochs = 1), list(epochs = 1, epochs = 2), list(zz = 1),
    list(x = matrix(1, 2, 2), y = 1:2), list(x = 1, y = "a"), list(x = NULL, y = NULL)
  )
  of_class <- lapply(c("varnn_nn", "varnn_control", "varnn_prior", "data.frame", "formula"), function(class) {
    structure(list(), class = class)
  })
  c(plain, of_class, list(
    structure(list(), class = c("varnn_vae", "varnn")), structure(list(1), class = "varnn_control"),
    structure(list(a = 1:9), class = "data.frame", row.names = 1:3), structure(1, class = "varnn_nn")
  ))
}

evil_library <- function() {
  lapply(list(number = odd_numbers(), string = odd_strings(), object = odd_objects(), matrix = odd_matrices(),
              frame = odd_frames(),
              factor = odd_factors(), language = odd_language(), `function` = odd_functions()), unname)
}

evil <- evil_library()
evil_weights <- c(number = 8, string = 4, object = 3, matrix = 2, frame = 2, factor = 1, language = 2, `function` = 1)

# list(value), since the value may be NULL.
evil_value <- function() list(one_of(evil[[sample(names(evil), 1L, prob = evil_weights[names(evil)])]]))

# ---- changes

# Changes of a value at its top: list(value), or NULL where the change is not possible.
changes_of_value <- list(
  evil = function(x) evil_value(),
  null = function(x) list(NULL),
  entry = function(x) {
    if (!is.atomic(x) || !length(x)) return(NULL)
    value <- if (is.numeric(x)) one_of(evil_numbers) else if (is.character(x)) one_of(c("", "zz", NA)) else NA
    list(replace(x, sample.int(length(x), 1L), if (is.integer(x)) suppressWarnings(as.integer(value)) else value))
  },
  all = function(x) if (is.numeric(x)) list(x * 0 + one_of(evil_numbers)),
  scaled = function(x) if (is.numeric(x)) list(x * one_of(c(-1, 0, 0.5, 2, 1e10, 1e100, 1e-100))),
  moved = function(x) if (is.numeric(x)) list(x + one_of(c(-1, 1, 0.5, 1e3)))
)
changes_of_length <- list(
  cut = function(x) if (is.vector(x) && length(x)) list(x[-length(x)]),
  doubled = function(x) if (is.vector(x)) list(c(x, x)),
  empty = function(x) if (is.vector(x) || is.factor(x)) list(x[0]),
  first = function(x) if (length(x) > 1 && is.vector(x)) list(x[1]),
  recycled = function(x) if (is.atomic(x) && length(x)) list(rep_len(x, one_of(1:12))),
  shuffled = function(x) if (is.vector(x) && length(x) > 1) list(x[sample.int(length(x))])
)
changes_of_type <- list(
  integer = function(x) if (is.numeric(x)) list(suppressWarnings(as.integer(x))),
  double = function(x) if (is.atomic(x)) list(suppressWarnings(as.double(x))),
  string = function(x) if (is.atomic(x)) list(as.character(x)),
  logical = function(x) if (is.atomic(x)) list(suppressWarnings(as.logical(x))),
  list = function(x) if (is.vector(x)) list(as.list(x)),
  wrapped = function(x) list(list(x)),
  plain = function(x) list(unclass(x)),
  bare = function(x) {
    attributes(x) <- NULL
    list(x)
  }
)
changes_of_structure <- list(
  transposed = function(x) if (is.matrix(x)) list(t(x)),
  matrix = function(x) if (is.atomic(x) && length(x)) list(matrix(rep_len(x, 6), one_of(1:3))),
  swapped = function(x) {
    if (!is.list(x) || length(x) < 2) return(NULL)
    k <- sample.int(length(x), 2L)
    x <- unclass(x)
    x[k] <- x[rev(k)]
    list(x)
  },
  renamed = function(x) {
    if (is.null(names(x)) || !length(x)) return(NULL)
    names(x)[sample.int(length(x), 1L)] <- one_of(c("", "zz", NA, names(x)))
    list(x)
  },
  unnamed = function(x) if (!is.null(names(x))) list(unname(x)),
  more = function(x) if (is.list(x)) list(c(unclass(x), evil_value())),
  class = function(x) {
    models <- lapply(c("varnn_nn", "varnn_bayes_nn", "varnn_ae", "varnn_vae"), c, "varnn")
    others <- list(NULL, "zz", "data.frame", "factor", "matrix", "formula", "Date", class(x)[-1], rev(class(x)))
    list(structure(x, class = one_of(c(models, others))))
  },
  attribute = function(x) {
    name <- one_of(c(names(attributes(x)), "dim", "names", "class", "levels", "row.names", "zz"))
    attr(x, name) <- evil_value()[[1]]
    list(x)
  }
)
changes <- c(changes_of_value, changes_of_length, changes_of_type, changes_of_structure)

# list(value): x with one change at the top; of another one where a change does not suit it.
change_here <- function(x) {
  size <- tryCatch(length(x), error = function(e) Inf) # of an S4 object whose class has no name
  if (size > 1e6 || is.environment(x) || typeof(x) %in% c("symbol", "builtin", "special",
                                                               "externalptr")) return(evil_value())
  for (trial in 1:20) {
    value <- tryCatch(suppressWarnings(one_of(changes)(x)), error = function(e) NULL)
    if (!is.null(value)) return(value)
  }
  evil_value()
}

# list(value): x with one change at a random place of any depth. `others` are values to transplant parts of.
change <- function(x, others = NULL, down = 0.85) {
  if (is.language(x) && !is.symbol(x) && chance(down)) return(change_language(x, others))
  if (is.list(x) && length(unclass(x)) && chance(down)) return(list(change_element(x, others, down)))
  if (length(attributes(x)) && chance(0.15)) return(change_attributes(x, others))
  change_here(x)
}

change_language <- function(x, others) {
  tryCatch({
    parts <- change(as.list(x), others, 1)[[1]]
    if (!is.call(x)) return(list(as.expression(parts)))
    list(`attributes<-`(as.call(parts), attributes(x)))
  }, error = function(e) change_here(x))
}

change_attributes <- function(x, others) {
  tryCatch(list(`attributes<-`(x, change(attributes(x), others, 1)[[1]])), error = function(e) change_here(x))
}

change_element <- function(x, others, down) {
  kept <- attributes(x)
  x <- unclass(x) # whose class may be any
  k <- sample.int(length(x), 1L)
  name <- names(x)[k]
  donors <- if (length(name) && !is.na(name)) Filter(function(o) is.list(o) && name %in% names(o), others)
  donors <- lapply(donors, function(o) unclass(o)[[name]])
  new <- if (length(donors) && chance(0.15)) list(one_of(donors)) else change(x[[k]], donors, down)
  x[k] <- new
  attributes(x) <- kept
  x
}
