# Run in an R of its own by test-damaged.R: Rscript damage.R LIB SHARE PART, PART "fits", "coders", "bayes", "engine" or
# a file to run.
# Damages fits and the arguments of the entry points, one field at a time, and calls what reads them: parameters in
# every way, other fields in a random SHARE of these. Each call may end in an error or in finite numbers and NA; what
# else happens is a line that starts with "BAD". The line before a crash says what was being done.

arguments <- commandArgs(TRUE)
library(varnn, lib.loc = arguments[1])
share <- as.numeric(arguments[2])
invisible(Sys.setlocale("LC_MESSAGES", "C"))
engine <- asNamespace("varnn")
options(warn = -1)

# All ways to damage a value, by name: type, length, sign, size. NULL removes it.
damages <- function(x) {
  first <- function(value) if (length(x)) replace(x, 1, value) else value
  of_type <- list(removed = NULL, a_string = "a", a_list = list(1, "b"), a_function = function(...) 1,
                  an_environment = new.env(), a_call = quote(f(x)), na = NA, true = TRUE, an_na_string = NA_character_)
  of_length <- if (is.vector(x) || is.factor(x) || is.data.frame(x) || is.matrix(x))
    list(empty = x[0], doubled = c(x, x), cut = utils::head(x, -1))
  of_size <- if (is.numeric(x)) {
    list(negative = -x - 1, first_na = first(NA), first_nan = first(NaN), first_inf = first(Inf),
         all_huge = x * 0 + 1e308, first_huge = first(1e308), first_minus = first(-1), zero = x * 0, half = x + 0.5,
         as_string = as.character(x), as_other = if (is.integer(x)) as.double(x) else as.integer(x),
         int_max = first(.Machine$integer.max))
  } else if (is.character(x)) {
    list(other = first("zz"), first_empty = first(""), first_na = first(NA), reversed = rev(x))
  } else if (is.list(x) && !is.data.frame(x)) {
    list(unnamed = unname(x), reversed = rev(x))
  }
  c(of_type, of_length, of_size)
}

# Places of all fields, three lists deep.
places <- function(x, depth = 3) {
  if (!is.list(x) || !depth) return(list())
  keys <- if (is.null(names(x))) seq_along(x) else which(nzchar(names(x)))
  within <- function(k) lapply(places(x[[k]], depth - 1), function(place) c(k, place))
  unlist(lapply(keys, function(k) c(list(k), within(k))), recursive = FALSE)
}

get_at <- function(x, place) {
  for (k in place) x <- x[[k]]
  x
}

set_at <- function(x, place, value) {
  if (length(place) > 1) value <- set_at(x[[place[1]]], place[-1], value)
  class <- oldClass(x)
  x <- unclass(x)
  if (is.null(value)) x[[place[1]]] <- NULL else x[[place[1]]] <- value
  class(x) <- class
  x
}

name_at <- function(x, place) {
  name <- character()
  for (k in place) {
    name <- c(name, if (is.null(names(x))) k else names(x)[k])
    x <- x[[k]]
  }
  paste(name, collapse = "$")
}

is_sound <- function(x) {
  if (is.list(x)) return(all(vapply(x, is_sound, NA)))
  !is.numeric(x) || !any(is.infinite(x))
}

n_calls <- 0
# Errors of the package have no call, those of R and of the engine have.
is_fit <- arguments[3] %in% c("fits", "coders", "bayes")
# Calls f() and looks at what comes back.
call_one <- function(what, f) {
  n_calls <<- n_calls + 1
  cat(what, "\n")
  setTimeLimit(elapsed = 20, transient = TRUE)
  result <- tryCatch(f(), error = function(e) {
    if (grepl("time limit", conditionMessage(e))) cat("BAD it hangs:", what, "\n")
    if (is_fit && !is.null(conditionCall(e)) && !grepl("model is damaged", conditionMessage(e)))
      cat("BAD not in the user's words:", what, conditionMessage(e), "\n")
    NULL
  })
  setTimeLimit()
  if (!is_sound(result)) cat("BAD not finite:", what, "\n")
}

# Calls each of `readers` with x damaged in every way at every place, or with a random share of these.
damage_all <- function(x, label, readers) {
  for (place in places(x)) {
    damaged <- damages(get_at(x, place))
    always <- share > 0.1 && names(x)[place[1]] %in% c("theta", "eta")
    for (how in names(damaged)) {
      if (!always && stats::runif(1) > share) next
      changed <- tryCatch(set_at(x, place, damaged[[how]]), error = function(e) NULL)
      if (is.null(changed)) next
      for (reader in names(readers))
        call_one(paste(label, name_at(x, place), how, reader), function() readers[[reader]](changed))
    }
  }
}

# Fits of another class, and fits with layers that do not fit, or fit what they are no part of.
reshaped <- function(fit) {
  classes <- c("varnn_nn", "varnn_bayes_nn", "varnn_ae", "varnn_vae")
  of_class <- function(class) {
    class(fit)[1] <- class
    fit
  }
  with_layers <- function(at, kind, size = 1L, times = 1L, setting = 0.5, option = "") {
    fit$spec$layer <- append(fit$spec$layer, rep(kind, times), at)
    fit$spec$size <- append(fit$spec$size, rep(as.integer(size), times), at)
    fit$spec$option <- append(fit$spec$option, rep(option, times), at)
    fit$spec$setting <- append(fit$spec$setting, rep(setting, times), at)
    fit
  }
  last <- length(fit$spec$layer)
  out <- c(lapply(stats::setNames(classes, classes), of_class),
           list(class_twice = structure(fit, class = c("varnn_ae", class(fit)))))
  for (kind in engine$registry()$layer) for (at in unique(c(0, 1, last - 1, last))) for (size in c(1, 2, 3, 100))
    out[[paste(kind, at, size)]] <- with_layers(at, kind, size,
                                                option = switch(kind, activate = "relu", latent = "point", "bias"))
  for (times in c(2, 1000, 4294, 9000)) for (kind in c("given", "contract", "sparse", "layer_norm"))
    out[[paste(times, kind)]] <- with_layers(last - 1, kind, fit$spec$n_x, times)
  for (field in c("estimator", "posterior", "prior"))
    for (row in engine$registry()[[field]]) {
      changed <- fit
      changed$spec[[field]] <- row
      out[[paste(field, row)]] <- changed
    }
  out
}

# Calls a random share of the readers with fits of other shapes.
reshape_all <- function(fit, label, readers) {
  shapes <- reshaped(fit)
  for (how in names(shapes)) for (reader in names(readers))
    if (stats::runif(1) < max(share, 0.1))
      call_one(paste(label, how, reader), function() readers[[reader]](shapes[[how]]))
}

quietly <- function(expr) utils::capture.output(force(expr))

fit_readers <- function(data) {
  list(
    predict = function(fit) predict(fit, data),
    fitted = function(fit) predict(fit),
    print = function(fit) quietly(print(fit)),
    summary = function(fit) quietly(print(summary(fit))),
    coef = function(fit) stats::coef(fit),
    continue = function(fit) continue(fit, 1, data)$theta
  )
}

damage_fits <- function() {
  cars <- mtcars[1:12, 1:4]
  cars$cyl <- factor(cars$cyl)
  network <- fit_nn(mpg ~ ., cars, hidden = 2, layer_norm = TRUE, dropout = 0.1, epochs = 6, validation = 0.2)
  damage_all(network, "network", fit_readers(cars))
  reshape_all(network, "network", fit_readers(cars))
  damage_all(fit_nn(mpg ~ disp + hp, cars, hidden = 0, optimizer = "lbfgs"), "linear", fit_readers(cars))
  flowers <- iris[c(1:4, 51:54, 101:104), ]
  damage_all(fit_nn(Species ~ ., flowers, hidden = 2, epochs = 6), "classes", fit_readers(flowers))
  x <- as.matrix(cars[3:4])
  matrix <- fit_nn(x, cars$mpg, hidden = 2, activation = ~ x * plogis(x), epochs = 6, optimizer = "momentum",
                   keep_data = TRUE)
  damage_all(matrix, "matrix", fit_readers(list(x = x, y = cars$mpg))[-1])
  with_program <- function(reader) {
    function(program) {
      matrix$spec$programs[[1]] <- program
      reader(matrix)
    }
  }
  damage_all(matrix$spec$programs[[1]], "program", lapply(fit_readers(list(x = x, y = cars$mpg))[-1], with_program))
}

damage_coders <- function() {
  flowers <- iris[c(1:4, 51:54, 101:104), 2:5]
  scores <- function(fit) if (inherits(fit, "varnn_vae")) anomaly(fit, folds = 1) else anomaly(fit)
  readers <- list(
    encode = function(fit) encode(fit, flowers), kept_codes = function(fit) encode(fit),
    print = function(fit) quietly(print(fit)), summary = function(fit) quietly(print(summary(fit))),
    reconstruct = function(fit) reconstruct(fit, flowers), predict = function(fit) predict(fit, flowers),
    deviance = function(fit) stats::deviance(fit), residuals = function(fit) stats::residuals(fit),
    sigma = function(fit) stats::sigma(fit), anomaly = function(fit) scores(fit)$score,
    continue = function(fit) continue(fit, 1)$theta
  )
  of_vae <- list(sd = function(fit) encode(fit, sd = TRUE), elbo = function(fit) elbo(fit),
                 impute = function(fit) impute(fit, k = 2),
                 log_lik = function(fit) stats::logLik(fit, k = 2))
  coders <- list(ae = fit_ae(flowers, hidden = 3, epochs = 5),
                 tied = fit_ae(flowers[1:3], hidden = 3, tied = TRUE, contractive = 0.1, sparsity = 0.1, epochs = 5),
                 vae = fit_vae(flowers, hidden = 3, epochs = 5),
                 margins = fit_vae(flowers, margins = "smooth", hidden = 3, epochs = 5))
  for (name in names(coders)) {
    damage_all(coders[[name]], name, c(readers, of_vae))
    reshape_all(coders[[name]], name, c(readers, of_vae))
  }
}

damage_bayes <- function() {
  cars <- mtcars[1:12, c("mpg", "disp", "hp")]
  of <- function(formula, data, ...) fit_bayes_nn(formula, data, hidden = 2, epochs = 5, keep_data = TRUE, ...)
  fits <- list(exact = of(mpg ~ ., cars, posterior = "meanfield"),
               linearised = of(mpg ~ ., cars, posterior = "laplace", members = 1),
               by_default = of(mpg ~ ., cars, members = 2),
               lowrank = of(mpg > 20 ~ ., cars, posterior = "lowrank", rank = 1),
               last_layer = of(mpg ~ disp, cars, posterior = "last_layer", sigma = "hetero"),
               dropout = of(mpg ~ disp, cars, posterior = posterior_dropout(c(0.1, 0.2), draws = 3)),
               swag = of(mpg ~ disp, cars, posterior = posterior_swag(2, 3)),
               hmc = suppressWarnings(of(mpg ~ disp, cars, posterior = posterior_hmc(3, 3), members = 1)),
               full = of(cbind(mpg, hp) ~ disp, cars, posterior = "full", prior = prior_mixture()),
               classes = of(Species ~ Sepal.Width, iris[c(1:4, 51:54, 101:104), ]))
  for (name in names(fits)) {
    data <- if (name == "classes") iris[c(1, 60, 110), ] else cars[1:3, ]
    damage_all(fits[[name]], name, c(fit_readers(NULL)[c("fitted", "print", "summary", "coef", "continue")], list(
      interval = function(fit) predict(fit, data, interval = "prediction", draws = 4),
      confidence = function(fit) predict(fit, data, interval = "confidence", draws = 4),
      epred = function(fit) posterior_epred(fit, data, draws = 2),
      response = function(fit) posterior_predict(fit, data, draws = 2),
      log_lik = function(fit) log_lik(fit, data, draws = 2),
      elbo = function(fit) elbo(fit, draws = 2),
      covariance = function(fit) list(stats::vcov(fit), stats::confint(fit)),
      weights = function(fit) as.matrix(fit, 2),
      simulate = function(fit) simulate(fit, 1),
      calibration = function(fit) unlist(calibration(fit, draws = 2)[c("pit", "crps", "log_score", "brier")]),
      likelihood = function(fit) list(stats::logLik(fit), stats::residuals(fit), stats::deviance(fit)),
      plot = function(fit) plot(fit, "fit")$n_obs
    )))
  }
}

damage_engine <- function() {
  block <- function(family, n, noise) list(family = family, n_responses = n, noise = noise, fixed = 0)
  blocks <- list(block("gaussian", 2, "each"), block("categorical", 3, "fixed"), block("binomial", 1, "fixed"))
  layers <- c(engine$hidden_layers(3, list(engine$activation_program(~ x * plogis(x))), 0.1, TRUE),
              list(engine$layer("latent", 2, "meanfield"), engine$layer("dense", 6, "bias")))
  spec <- engine$new_spec(2, layers, blocks, has_offset = TRUE, penalty = 0.1, posterior = "meanfield")
  layout <- engine$spec_layout(spec)
  n <- 5
  y <- cbind(matrix(stats::rnorm(2 * n), n), diag(3)[rep_len(1:3, n), ], 1, 2)
  data <- engine$engine_data(matrix(stats::rnorm(2 * n), n), y, list(center = c(0, 1), scale = c(1, 2)), rep(1, n),
                             matrix(0, n, 6), c(1, 3, 5))
  control <- nn_control(epochs = 2, batch_size = 2, learn_rate = 0.1)
  whole <- utils::modifyList(data, list(row = NULL))
  given <- list(spec = spec, theta = stats::rnorm(layout$n_par, 0, 0.1), data = data, whole = whole, valid = data,
                program = spec$programs[[1]], control = unclass(control), state = numeric(2 * layout$n_par + 1),
                z = matrix(0, n, 2))
  damage_all(given, "engine", list(
    layout = function(g) engine$engine_layout(g$spec),
    eta = function(g) {
      engine$engine_run(g$spec, g$theta, g$whole, mode = "training", draws = 2)
      NULL
    },
    terms = function(g) {
      engine$engine_run(g$spec, g$theta, g$whole, "terms", precision = "single")
      NULL
    },
    decode = function(g) {
      engine$engine_run(g$spec, g$theta, g$whole, z = g$z)
      NULL
    },
    gradient = function(g) {
      engine$engine_gradient(g$spec, g$theta, g$data, g$control)
      NULL
    },
    fit = function(g) {
      engine$engine_fit(g$spec, layout, g$data, g$valid, g$control, g$theta, g$state)
      NULL
    },
    program = function(g) {
      engine$engine_call(g$program, matrix(0, n, 1))
      g$spec$programs[[1]] <- g$program
      engine$engine_run(g$spec, g$theta, g$whole)
      NULL
    },
    moments = function(g) {
      engine$engine_moments(g$whole$x, g$whole$weight)
      NULL
    }
  ))
}

set.seed(1)
switch(arguments[3], fits = damage_fits(), coders = damage_coders(), bayes = damage_bayes(), engine = damage_engine(),
       eval(parse(text = readLines(arguments[3]))))
cat("DONE", n_calls, "\n")
