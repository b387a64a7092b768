# A fit is checked as a whole before any method starts.

some_fits <- function(...) {
  set.seed(1)
  cars <- mtcars[1:15, c("mpg", "wt", "hp")]
  list(nn = fit_nn(mpg ~ ., cars, hidden = 2, epochs = 5, ...), ae = fit_ae(iris[1:20, 1:4], epochs = 5, ...),
       vae = fit_vae(iris[1:20, 1:4], epochs = 5, ...),
       bayes = fit_bayes_nn(mpg ~ ., cars, hidden = 2, posterior = "meanfield", epochs = 5, ...),
       linearised = fit_bayes_nn(mpg ~ ., cars, hidden = 2, posterior = "laplace", members = 1, epochs = 5, ...),
       mixture = fit_bayes_nn(mpg ~ ., cars, hidden = 2, members = 2, epochs = 5, ...))
}

# Every S3 method of the package for a fit of the class, or of one of several: a generic's name and the method.
fit_methods <- function(class) {
  registered <- readLines(system.file("NAMESPACE", package = "varnn"))
  pattern <- "^S3method\\((?:[a-z0-9]+::)?\"?([^,\"]+)\"?, *\"?([a-z_.]+)\"?\\)$"
  found <- regmatches(registered, regexec(pattern, registered, perl = TRUE))
  of_class <- Filter(function(m) length(m) && m[3] %in% union(class, "varnn"), found)
  stats::setNames(lapply(of_class, function(m) get(paste(m[2], m[3], sep = "."), asNamespace("varnn"))),
                  vapply(of_class, function(m) m[2], ""))
}

# Methods that say the same of any fit, and the steps of others, which have checked it.
say_no <- c("anova", "vcov", "confint", "logLik", "extractAIC")
steps <- c("close_noise", "remember", "model_title", "result_line", "handler_predict")

# Of a mixture its last member is damaged.
damages <- list(theta = function(f) {
  last <- length(f$members)
  if (last) f$members[[last]]$theta <- f$members[[last]]$theta[-1] else f$theta <- f$theta[-1]
  f
}, estimator = function(f) {
  f$spec$estimator <- "local"
  f
}, laplace = function(f) {
  last <- length(f$members)
  if (last) f$members[[last]]$laplace$root <- NULL else f$laplace$root <- NULL
  f
}, class = function(f) {
  class(f)[1] <- setdiff(c("varnn_nn", "varnn_ae", "varnn_vae", "varnn_bayes_nn"), class(f)[1])[1]
  f
})

# What the method `name` says of a fit, arguments without a default given.
said_of <- function(method, name, fit) {
  more <- list(decode = list(z = matrix(0, 1, 2)), continue = list(epochs = 1))[[name]]
  tryCatch({
    do.call(method, c(list(fit), more), quote = TRUE)
    "nothing"
  }, error = conditionMessage)
}

test_that("every method refuses a damaged fit in the package's words", {
  skip_if_again()
  for (fit in some_fits()) {
    own <- class(fit)[1]
    is_mixture <- own == "varnn_mixture"
    methods <- fit_methods(class(fit))
    methods <- methods[!names(methods) %in% steps]
    # Methods of a mixture call the next one: as a generic does.
    if (is_mixture) methods <- lapply(stats::setNames(nm = unique(names(methods))), function(name) {
      get0(name, asNamespace("varnn"), ifnotfound = methods[[name]]) # generics of other packages may not be there
    })
    expect_gt(length(methods), 20)
    # A Bayesian network may have that estimator, and has a root if it is linearised.
    is_linearised <- is_mixture || !is.null(fit$laplace)
    ways <- setdiff(names(damages), c(if (own == "varnn_bayes_nn" && !is_linearised) "estimator",
                                      if (!is_linearised) "laplace"))
    for (how in ways) for (name in names(methods)) {
      said <- said_of(methods[[name]], name, damages[[how]](fit))
      says_no <- name %in% say_no && grepl("does not apply", said)
      expect_true(says_no || grepl("^The fit is damaged", said), label = paste(own, name, how, said))
    }
  }
})

test_that("the family that a fit was asked for is one that could be asked for", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 2)
  for (family in list(1:1e9, rep("gaussian", 1e3), list("gaussian"))) {
    fit$arguments$family <- family
    expect_error(check_fit(fit), "`arguments` is not as it was made")
  }
  for (family in list("gaussian", stats::gaussian, stats::gaussian(), c(mpg = "gaussian")))
    expect_silent(check_fit(fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 2, family = family)))
})

test_that("the class of a fit goes with its specification", {
  fits <- some_fits()
  for (name in names(fits)) for (class in setdiff(names(class_rules), class(fits[[name]]))) {
    changed <- fits[[name]]
    class(changed)[1] <- class
    says <- if (name == "mixture") "its class, .*, is not as it was made" else "its class is"
    expect_error(check_fit(changed), says, label = paste(name, class))
  }
  fit <- fits$nn
  own <- structure(fit, class = c("mine", class(fit)))
  expect_identical(predict(own), predict(fit))
  expect_error(nobs.varnn(structure(unclass(fit), class = "varnn")), "its class")
  expect_error(check_fit(structure(list(), class = class(fit))), "damaged")
  expect_error(check_fit(structure(function() 1, class = class(fit))), "damaged")
})

test_that("no field stands in for another one by its first letters", {
  fit <- some_fits()$nn
  names(fit)[names(fit) == "eta"] <- "etas"
  expect_error(summary(fit), "The fit is damaged")
  twice <- unclass(some_fits()$nn)
  expect_error(check_fit(structure(c(twice, twice["theta"]), class = c("varnn_nn", "varnn"))), "The fit is damaged")
})

test_that("nothing that stands in a fit is evaluated by what describes it", {
  skip_if_counted()
  for (fit in c(some_fits(), some_fits(keep_data = TRUE), some_fits(keep_data = FALSE))) {
    is_coder <- inherits(fit, c("varnn_ae", "varnn_vae"))
    fit$call <- quote(fit(data = stop("evaluated"), x = stop("evaluated"), y = stop("evaluated"),
                          formula = stop("evaluated"), weights = stop("evaluated"), na.action = stop("evaluated")))
    describe <- list(print = function(f) capture.output(print(f)), summary = summary, residuals = residuals,
                     deviance = deviance, sigma = sigma, fitted = fitted, nobs = nobs, weights = weights,
                     family = family, variable.names = variable.names,
                     logLik = if (!inherits(fit, "varnn_ae")) logLik,
                     predict = if (!is_coder) function(f) predict(f))
    for (name in names(Filter(Negate(is.null), describe))) {
      answer <- tryCatch(describe[[name]](fit), error = conditionMessage)
      no_data <- is_coder && is.null(fit$data) && identical(grepl("keep_data = TRUE", answer), TRUE)
      no_sigma <- name == "sigma" && identical(fit$family, "gaussian_hetero") &&
        identical(grepl("^sigma\\(\\) needs a gaussian response with constant noise", answer), TRUE)
      expect_true(no_data || no_sigma || !is.character(answer) || name %in% c("print", "variable.names"),
                  label = paste(class(fit)[1], name, answer[1]))
    }
  }
})

test_that("a control of expressions is damage, and is not evaluated", {
  fit <- some_fits(keep_data = TRUE)$nn
  for (field in names(formals(nn_control))) {
    changed <- fit
    changed$control[[field]] <- quote(stop("evaluated"))
    expect_error(print(changed), "`control` is not as it was made", label = field)
    expect_error(continue(changed, 1), "`control` is not as it was made", label = field)
    given <- c(list(fit, epochs = 1), stats::setNames(list(quote(stop("evaluated"))), field))
    if (field != "epochs") expect_error(do.call(continue, given, quote = TRUE), "`", label = field)
  }
})

test_that("summary() and its like need neither the data nor the variable that held them", {
  skip_if_again()
  cars <- mtcars[1:20, ]
  set.seed(1)
  fits <- list(fit_nn(mpg ~ wt + hp, cars, hidden = 2, epochs = 5), fit_ae(cars[1:4], epochs = 5),
               fit_vae(~ mpg + wt, cars, epochs = 5),
               fit_bayes_nn(mpg ~ wt, cars, hidden = 2, activation = "tanh", posterior = "meanfield", epochs = 5),
               fit_bayes_nn(mpg ~ wt, cars, hidden = 2, activation = "tanh", epochs = 5))
  describe <- function(f) {
    list(stats::deviance(f), stats::residuals(f), if (!inherits(f, "varnn_mixture")) stats::sigma(f), stats::fitted(f),
         summary(f)$members)
  }
  kept <- lapply(fits, function(f) {
    set.seed(2)
    describe(f)
  })
  cars[] <- 0
  expect_identical(lapply(fits, function(f) {
    set.seed(2)
    describe(f)
  }), kept)
})

test_that("fields of which a part is right are damage", {
  set.seed(1)
  fit <- fit_vae(as.matrix(iris[1:20, 1:4]), epochs = 2, keep_data = TRUE, validation = 0.2)
  expect_no_error(check_fit(fit))
  named <- unclass(fit$history)
  named$nll <- stats::setNames(named$nll, rep("1", length(named$nll)))
  changes <- list(held_out = numeric(), held_out = c(1, 1), rows = structure(as.character(1:20), class = "Date"),
                  rank = 1e-320, history = stats::setNames(cbind(fit$history, 1), c(names(fit$history), "")),
                  history = structure(named, class = "data.frame"),
                  design = replace(fit$design, "names", list(letters)),
                  data = replace(fit$data, "y", list(fit$data$y[, 1, drop = FALSE])),
                  data = replace(fit$data, "y", list(NULL)), data = replace(fit$data, "x", list(fit$data$x[, 1:2])))
  for (i in seq_along(changes)) {
    changed <- fit
    changed[names(changes)[i]] <- changes[i]
    expect_error(check_fit(changed), sprintf("`%s` is not as it was made", names(changes)[i]), label = i)
  }
  network <- quick(cars_x(), mtcars$mpg)
  network$design$names <- character()
  expect_error(check_fit(network), "`design` is not as it was made")
})

test_that("matrices, responses, levels and counts of a fit are what its specification says", {
  fits <- some_fits()
  damaged <- function(fit, field) expect_error(check_fit(fit), sprintf("`%s` is not as it was made", field))
  odd <- fits$vae
  dim(odd$codes) <- structure(dim(odd$codes), class = "Date")
  expect_true(is.object(dim(odd$codes)))
  damaged(odd, "codes")
  odd <- fits$nn
  odd$eta <- t(odd$eta)
  damaged(odd, "eta")
  odd <- fits$bayes
  odd$design$xlevels <- list(wt = c("a", "b"))
  damaged(odd, "design")
  counts <- fit_nn(carb ~ wt, mtcars, family = "poisson", hidden = 2, epochs = 2)
  counts$response[3] <- 2.5
  damaged(counts, "response")
  counts$response <- structure(cbind(mtcars$carb, 1), is_times = TRUE) # of no time
  damaged(counts, "response")
  late <- fits$nn
  late$n_epochs <- .Machine$integer.max
  expect_s3_class(continue(late, 1), "varnn_nn")
})

test_that("families, weights, kept responses and information are those that training made", {
  fits <- some_fits(keep_data = TRUE)
  damaged <- function(fit, field) expect_error(check_fit(fit), sprintf("`%s` is not as it was made", field))
  odd <- fits$vae
  odd$family[1] <- NA
  damaged(odd, "family")
  odd <- fits$nn
  odd$data$response <- odd$data$response[-1]
  damaged(odd, "data")
  odd <- fit_nn(mpg ~ wt, mtcars, weights = cyl, hidden = 2, epochs = 2)
  odd$weights[] <- 0
  damaged(odd, "weights")
  odd <- fit_nn(mpg ~ wt, mtcars, hidden = 0)
  odd$information[1] <- -8
  damaged(odd, "information")
  odd <- fits$nn
  odd$design$terms <- stats::terms(mpg ~ wt)
  damaged(odd, "design") # it has the number of a second term
  odd$design$assign <- NULL
  attr(odd$design$terms, "dataClasses") <- c(mpg = "numeric", wt = "numeric")
  expect_error(predict(odd, mtcars), "The fit is damaged: its formula makes 1 columns, not 2")
})

test_that("no field of a specification has a class", {
  fit <- some_fits()$bayes
  class(fit$spec$posterior) <- "data.frame"
  expect_error(predict(fit, mtcars), "The fit is damaged")
})

# Expects that the field is found damaged where it is replaced by each of these values.
expect_refused <- function(fit, field, values) {
  for (i in seq_along(values)) {
    changed <- fit
    changed[field] <- values[i]
    expect_error(check_fit(changed), sprintf("`%s` is not as it was made", field), label = paste(field, i))
  }
}

test_that("words and numbers of a fit have no class and no other attributes", {
  fits <- some_fits()
  expect_refused(fits$nn, "stop_reason", list(structure("finished", class = "Date"),
                                              structure("finished", class = "data.frame")))
  n <- length(fits$nn$theta)
  expect_refused(fits$nn, "theta", list(stats::setNames(fits$nn$theta, rep(NA, n)), array(fits$nn$theta, n)))
  of_block <- function(field, value) list(list(replace(fits$nn$blocks[[1]], field, list(value))))
  expect_refused(fits$nn, "blocks", c(of_block("type", factor("numeric")), of_block("columns", NA_character_),
                                      of_block("center", c(a = 1))))
  expect_refused(fits$nn, "design", list(
    replace(fits$nn$design, "columns", list(structure(fits$nn$design$columns, class = "Date"))),
    replace(fits$nn$design, "contrasts", list(list("contr.sum"))),
    replace(fits$nn$design, "intercept", list(structure(TRUE, class = "Date")))))
  expect_refused(fits$vae, "design", list(
    replace(fits$vae$design, "is_matrix", list(structure(FALSE, class = "Date")))))
  expect_refused(fits$nn, "control", list(structure(fits$nn$control, class = "data.frame"),
                                          replace(fits$nn$control, "momentum", list(c(a = 0.9)))))
  named <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 2, posterior = "meanfield")
  names(named$spec$prior_sd) <- NA
  expect_error(check_fit(named), "damaged")
  kept <- some_fits(keep_data = TRUE)$ae
  expect_refused(kept, "data", list(replace(kept$data, "x", list(structure(kept$data$x, class = "Date")))))
  given <- fit_vae(mpg + wt ~ hp, mtcars, hidden = 2, latent = 1, epochs = 2)
  given$design$given$kind <- structure("frame", class = "data.frame")
  expect_error(check_fit(given), "`design` is not as it was made")
})

test_that("row names of a fit may have names of their own", {
  rows <- structure(as.matrix(mtcars[2:3]), dimnames = list(stats::setNames(rownames(mtcars), seq_len(32)), NULL))
  expect_silent(check_fit(fit_nn(rows, mtcars$mpg, hidden = 2, epochs = 2)))
})

test_that("scales of a fit have quotients and squares, and only a gaussian has some", {
  fits <- some_fits()
  for (name in names(fits)) {
    scaling <- fits[[name]]$scaling
    expect_refused(fits[[name]], "scaling", list(replace(scaling, "scale", list(scaling$scale * 1e-320))))
  }
  counts <- quick(carb ~ wt, mtcars, family = "poisson")
  block <- counts$blocks[[1]]
  expect_refused(counts, "blocks", list(list(replace(block, "center", 0.5)), list(replace(block, "scale", 2))))
  coder <- fit_ae(data.frame(a = mtcars$carb, b = mtcars$wt), family = c(a = "poisson"), hidden = 2, epochs = 2)
  coder$design$variables[[1]]$center <- 1
  expect_error(check_fit(coder), "`design` is not as it was made")
})

test_that("parameters in single precision are numbers of that precision", {
  fit <- quick(mpg ~ wt, mtcars, precision = "single")
  fit$theta <- fit$theta * 0 + 1e39
  expect_error(continue(fit, 1, mtcars), "`theta` is not as it was made")
})

test_that("noise whose closed form is no number stays as it was trained", {
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, epochs = 5, posterior = "meanfield")
  noise <- fit$layout$offset[fit$layout$role == "noise"] + 1
  fit$theta[noise] <- 50
  expect_true(all(is.finite(suppressWarnings(continue(fit, 1, mtcars))$theta)))
})

test_that("what stats::terms() says of a formula is of the formula's size", {
  fit <- some_fits()$nn
  with_attribute <- function(name, value) {
    attr(fit$terms, name) <- value
    fit$terms
  }
  odd <- list(factors = 1L, factors = attr(fit$terms, "factors")[-1, ], order = 1L, variables = quote(list(mpg)),
              response = "1", response = 2, intercept = factor(1), offset = 7L, specials = list(s = 9), predvars = 1,
              term.labels = structure(c("wt", "hp"), class = "Date"), dataClasses = c(mpg = NA),
              class = c("terms", "data.frame", "formula"))
  for (i in seq_along(odd)) expect_refused(fit, "terms", list(with_attribute(names(odd)[i], odd[[i]])))
  formulas <- list(mpg ~ wt * hp - 1, log(mpg) ~ offset(wt) + poly(hp, 2), mpg ~ factor(cyl) %in% gear,
                   stats::terms(mpg ~ wt:hp + s(wt), specials = "s", keep.order = TRUE))
  s <- identity
  for (formula in formulas) {
    environment(formula) <- environment()
    expect_silent(check_fit(suppressWarnings(quick(formula, mtcars))))
  }
})

test_that("the fields of a mixture are damaged in the package's words", {
  fit <- quick(mpg ~ wt, mtcars, members = 2)
  expect_silent(check_fit(fit))
  expect_refused(fit, "call", list(NA_real_, NULL, 1:3))
  expect_refused(fit, "member_weights", list(c(a = 0.5, 0.5), stats::setNames(c(0.5, 0.5), c(NA, "b")), array(0.5, 2)))
  odd <- list(stats::setNames(fit$members, c("a", NA)), structure(fit$members, class = "data.frame"),
              list(structure(1, class = class(fit$members[[1]])), fit$members[[1]]),
              list(structure(function() 1, class = class(fit$members[[1]])), fit$members[[1]]))
  for (members in odd) {
    fit$members <- members
    expect_error(check_fit(fit), "its members are not as they were made")
  }
})

test_that("histories, rows held out, offsets and classes are as training makes them", {
  fit <- quick(mpg ~ wt, mtcars, validation = 0.2)
  changed <- function(column, value) {
    h <- fit$history
    h[[column]] <- value
    h
  }
  n <- nrow(fit$history)
  expect_refused(fit, "history", list(changed("loss", rep(1e-310, n)), changed("epoch", rep(Inf, n)),
                                      stats::setNames(fit$history, replace(names(fit$history), 4, NA))))
  expect_refused(fit, "held_out", list(seq_len(32)))
  fit$spec$has_offset <- 1L
  expect_error(check_fit(fit), "damaged")
  mixture <- quick(mpg ~ wt, mtcars, members = 2)
  class(mixture) <- c("varnn_nn", "varnn", "varnn_mixture")
  expect_error(check_fit(mixture), "its class")
})

test_that("a response of frames, or with more in its attributes than in its values, and odd objectives are damage", {
  several <- fit_nn(cbind(mpg, wt) ~ hp, mtcars, hidden = 1, epochs = 1)
  several$response <- data.frame(mpg = mtcars$mpg)
  several$response$wt <- matrix(1, 32, 2)
  expect_error(AIC(several), "damaged", class = "varnn_error")
  one <- fit_nn(mpg ~ hp, mtcars, hidden = 1, epochs = 1)
  attr(one$response, "more") <- numeric(5000)
  expect_error(calibration(one), "damaged", class = "varnn_error")
  vae <- fit_vae(mtcars[1:3], latent = 1, epochs = 1)
  for (wrong in list(1e9, 2, -1L)) {
    vae$control$objective$importance <- wrong
    expect_error(check_gradients(vae), "damaged", class = "varnn_error")
  }
})

test_that("instructions that are none, a mixture without a class below, and noise beyond all numbers are named", {
  own <- custom_family("own", ~ (y - mu)^2 / 2 + 0.9, mean = ~ exp(mu))
  fit <- quick(mpg ~ wt, mtcars, family = own)
  wrong <- fit
  wrong$blocks[[1]]$custom$mean$a[2] <- 0L
  expect_error(logLik(wrong), "damaged", class = "varnn_error")
  wrong <- fit
  wrong$blocks[[1]]$custom$nll$op[1] <- "no function"
  expect_error(logLik(wrong), "damaged", class = "varnn_error")
  mixture <- quick(mpg ~ wt, mtcars, members = 2)
  class(mixture) <- "varnn_mixture"
  expect_error(posterior_predict(mixture), "its class", class = "varnn_error")
  vae <- fit_vae(mtcars[1:3], latent = 1, epochs = 2, margins = "smooth", sigma = "each")
  vae$theta[vae$layout$offset[vae$layout$role == "noise"] + 1] <- 800
  expect_error(decode(vae, matrix(0.1, 2, 1)), "not finite", class = "varnn_error")
  block <- quick(mpg ~ wt, mtcars, family = "gamma")$blocks[[1]]
  far <- list(block = block, y = matrix(c(1, NA)), eta = matrix(0, 2), free = NaN)
  expect_error(varnn:::block_nll(far), "no number", class = "varnn_error")
  far$free <- 1
  expect_identical(is.na(varnn:::block_nll(far)), matrix(c(FALSE, TRUE)))
  expect_silent(nll <- varnn:::draw_nll(block, matrix(1), array(1, c(1, 1, 1)), 1e100))
  expect_identical(nll, matrix(Inf))
  counts <- quick(carb ~ wt, mtcars, family = "poisson")
  block <- counts$blocks[[1]]
  expect_refused(counts, "blocks", list(list(replace(block, "center", 0.5)), list(replace(block, "scale", 2))))
  coder <- fit_ae(data.frame(a = mtcars$carb, b = mtcars$wt), family = c(a = "poisson"), hidden = 2, epochs = 2)
  coder$design$variables[[1]]$center <- 1
  expect_error(check_fit(coder), "`design` is not as it was made")
})

test_that("parameters in single precision are numbers of that precision", {
  fit <- quick(mpg ~ wt, mtcars, precision = "single")
  fit$theta <- fit$theta * 0 + 1e39
  expect_error(continue(fit, 1, mtcars), "`theta` is not as it was made")
})

test_that("noise whose closed form is no number stays as it was trained", {
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, epochs = 5, posterior = "meanfield")
  noise <- fit$layout$offset[fit$layout$role == "noise"] + 1
  fit$theta[noise] <- 50
  expect_true(all(is.finite(suppressWarnings(continue(fit, 1, mtcars))$theta)))
})

test_that("what stats::terms() says of a formula is of the formula's size", {
  fit <- some_fits()$nn
  with_attribute <- function(name, value) {
    attr(fit$terms, name) <- value
    fit$terms
  }
  odd <- list(factors = 1L, factors = attr(fit$terms, "factors")[-1, ], order = 1L, variables = quote(list(mpg)),
              response = "1", response = 2, intercept = factor(1), offset = 7L, specials = list(s = 9), predvars = 1,
              term.labels = structure(c("wt", "hp"), class = "Date"), dataClasses = c(mpg = NA),
              class = c("terms", "data.frame", "formula"))
  for (i in seq_along(odd)) expect_refused(fit, "terms", list(with_attribute(names(odd)[i], odd[[i]])))
  formulas <- list(mpg ~ wt * hp - 1, log(mpg) ~ offset(wt) + poly(hp, 2), mpg ~ factor(cyl) %in% gear,
                   stats::terms(mpg ~ wt:hp + s(wt), specials = "s", keep.order = TRUE))
  s <- identity
  for (formula in formulas) {
    environment(formula) <- environment()
    expect_silent(check_fit(suppressWarnings(quick(formula, mtcars))))
  }
})

test_that("the fields of a mixture are damaged in the package's words", {
  fit <- quick(mpg ~ wt, mtcars, members = 2)
  expect_silent(check_fit(fit))
  expect_refused(fit, "call", list(NA_real_, NULL, 1:3))
  expect_refused(fit, "member_weights", list(c(a = 0.5, 0.5), stats::setNames(c(0.5, 0.5), c(NA, "b")), array(0.5, 2)))
  odd <- list(stats::setNames(fit$members, c("a", NA)), structure(fit$members, class = "data.frame"),
              list(structure(1, class = class(fit$members[[1]])), fit$members[[1]]),
              list(structure(function() 1, class = class(fit$members[[1]])), fit$members[[1]]))
  for (members in odd) {
    fit$members <- members
    expect_error(check_fit(fit), "its members are not as they were made")
  }
})

test_that("histories, rows held out, offsets and classes are as training makes them", {
  fit <- quick(mpg ~ wt, mtcars, validation = 0.2)
  changed <- function(column, value) {
    h <- fit$history
    h[[column]] <- value
    h
  }
  n <- nrow(fit$history)
  expect_refused(fit, "history", list(changed("loss", rep(1e-310, n)), changed("epoch", rep(Inf, n)),
                                      stats::setNames(fit$history, replace(names(fit$history), 4, NA))))
  expect_refused(fit, "held_out", list(seq_len(32)))
  fit$spec$has_offset <- 1L
  expect_error(check_fit(fit), "damaged")
  mixture <- quick(mpg ~ wt, mtcars, members = 2)
  class(mixture) <- c("varnn_nn", "varnn", "varnn_mixture")
  expect_error(check_fit(mixture), "its class")
})

test_that("a response of frames, or with more in its attributes than in its values, and odd objectives are damage", {
  several <- fit_nn(cbind(mpg, wt) ~ hp, mtcars, hidden = 1, epochs = 1)
  several$response <- data.frame(mpg = mtcars$mpg)
  several$response$wt <- matrix(1, 32, 2)
  expect_error(AIC(several), "damaged", class = "varnn_error")
  one <- fit_nn(mpg ~ hp, mtcars, hidden = 1, epochs = 1)
  attr(one$response, "more") <- numeric(5000)
  expect_error(calibration(one), "damaged", class = "varnn_error")
  vae <- fit_vae(mtcars[1:3], latent = 1, epochs = 1)
  for (wrong in list(1e9, 2, -1L)) {
    vae$control$objective$importance <- wrong
    expect_error(check_gradients(vae), "damaged", class = "varnn_error")
  }
})

test_that("instructions that are none, a mixture without a class below, and noise beyond all numbers are named", {
  own <- custom_family("own", ~ (y - mu)^2 / 2 + 0.9, mean = ~ exp(mu))
  fit <- quick(mpg ~ wt, mtcars, family = own)
  wrong <- fit
  wrong$blocks[[1]]$custom$mean$a[2] <- 0L
  expect_error(logLik(wrong), "damaged", class = "varnn_error")
  wrong <- fit
  wrong$blocks[[1]]$custom$nll$op[1] <- "no function"
  expect_error(logLik(wrong), "damaged", class = "varnn_error")
  mixture <- quick(mpg ~ wt, mtcars, members = 2)
  class(mixture) <- "varnn_mixture"
  expect_error(posterior_predict(mixture), "its class", class = "varnn_error")
  vae <- fit_vae(mtcars[1:3], latent = 1, epochs = 2, margins = "smooth", sigma = "each")
  vae$theta[vae$layout$offset[vae$layout$role == "noise"] + 1] <- 800
  expect_error(decode(vae, matrix(0.1, 2, 1)), "not finite", class = "varnn_error")
  for (family in c("gamma", "beta", "negative_binomial")) {
    y <- switch(family, gamma = mtcars$mpg, beta = mtcars$qsec / 30, mtcars$carb)
    far <- fit_bayes_nn(mtcars["wt"], y, family = family, hidden = 1, epochs = 1, posterior = "meanfield")
    far$theta[] <- 1e100
    expect_silent(tryCatch(logLik(far), varnn_error = identity))
    expect_silent(tryCatch(log_lik(far, draws = 2), varnn_error = identity))
  }
  counts <- quick(carb ~ wt, mtcars, family = "poisson")
  counts$eta <- matrix(1000, 32, 1)
  expect_error(simulate(counts), "not finite", class = "varnn_error")
  vae$arguments[c("beta", "importance")] <- list(c(1, 1), integer())
  expect_error(print(vae), "damaged", class = "varnn_error")
})
