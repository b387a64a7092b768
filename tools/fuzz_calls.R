# Malformed calls: every exported function and every method a user can reach, every argument, one to three evil values
# at a time and sensible ones in the others.

# One row for each function or method: generic, class (of a method) and arguments.
call_targets <- function() {
  ns <- asNamespace("varnn")
  exported <- getNamespaceExports(ns)
  methods <- ns[[".__NAMESPACE__."]]$S3methods
  is_reached <- methods[, 1] %in% exported | !vapply(methods[, 1], exists, NA, envir = ns, inherits = FALSE)
  methods <- methods[is_reached & !grepl("::", methods[, 1]), , drop = FALSE]
  target <- function(generic, class, f) list(generic = generic, class = class, arguments = names(formals(f)))
  of_methods <- lapply(seq_len(nrow(methods)), function(i) {
    target(methods[i, 1], methods[i, 2], get(methods[i, 3], ns))
  })
  c(of_methods, lapply(sort(exported), function(name) target(name, "", get(name, ns))))
}

# Sensible values by the name of the argument; an argument that is not here is left out, or evil.
sensible <- list(
  formula = alist(mpg ~ wt, mpg ~ ., ~ wt + hp), hidden = list(0, 2, c(2, 2)), latent = list(1),
  activation = list("tanh"),
  epochs = list(1, 2), draws = list(2), n = list(2), level = list(0.9), type = list("response"), nsim = list(1),
  seed = list(1),
  interval = list("confidence"), which = list("history", "fit"), bins = list(3), rows = list(1:3), m = list(1),
  k = list(2),
  newdata = list(cars), data = list(cars), y = list(cars$mpg), z = list(matrix(0, 2, 2)), weights = list(rep(1, 9)),
  batch_size = list(4), validation = list(0.3), starts = list(2), sigma = list(2), prior = list("auto"),
  family = list("gaussian", "gamma", "quantile", "weibull", own_family, nn_family("student_t", df = 4)),
  nll = list(~ (y - mu)^2 / 2 + log(2 * pi) / 2), eta = list("mu"), name = list("own"), log_density = list(~ -abs(w)),
  new_levels = list("mean", "na"), times = list(1:3), probs = list(c(0.1, 0.9)), penalty = list(0.1, ~ abs(w)),
  rank = list(1), control = list(list(epochs = 1)), threads = list(1), parameters = list(2), sd = list(1),
  members = list(2),
  share = list(0.5),
  parm = list(1), verbose = list(FALSE), optimizer = list("sgd"), learn_rate = list(0.01)
)

# Arguments behind the dots that some method documents, and those that none does.
dots <- unique(c(names(formals(nn_control)), "newdata", "se.fit", "na.action", "terms", "type", "scale", "dispersion",
                 "complete",
                 "correlation", "test", "digits", "main", "xlab", "xlim", "col", "pch", "ask", "draws", "level",
                 "subset", "offset", "zz"))

is_maker <- function(target) startsWith(target$generic, "fit_")

# The first argument as it should be: a named list, with the name of the fit that it is.
first_argument <- function(target, objects) {
  name <- setdiff(target$arguments, "...")[1]
  if (target$class == "" || is.na(name)) return(structure(list(), of = ""))
  if (is_maker(target)) {
    formulas <- list(mpg ~ wt, mpg ~ ., ~ wt + hp, survival::Surv(mpg, manual) ~ wt)
    value <- switch(target$class, formula = one_of(formulas), matrix = numbers, cars)
    return(structure(stats::setNames(list(value), name), of = ""))
  }
  fitting <- Filter(function(o) inherits(o, target$class), objects)
  chosen <- sample(if (length(fitting) && chance(0.97)) fitting else objects, 1)
  structure(stats::setNames(chosen, name), of = names(chosen))
}

# Arguments of a call: a named list, of which some are evil.
call_arguments <- function(target, objects) {
  chosen <- setdiff(target$arguments, "...")
  arguments <- first_argument(target, objects)
  own_data <- data_of(attr(arguments, "of"))
  arguments <- c(arguments, needed_arguments(target))
  for (argument in setdiff(chosen, names(arguments))) {
    if (chance(0.3) && argument %in% names(sensible)) arguments[[argument]] <- one_of(sensible[[argument]])
    if (argument %in% c("newdata", "data") && !is_maker(target) && chance(0.5)) arguments[[argument]] <- own_data
  }
  for (i in seq_len(sample.int(3L, 1L, prob = c(0.6, 0.3, 0.1)))) arguments <- add_evil(arguments, target, chosen)
  arguments
}

# Without which there is no work.
needed_arguments <- function(target) {
  if (target$generic == "tune_fit") return(if (chance(0.8)) list(hidden = c(0, 2)))
  if (target$generic == "compare_posteriors" && target$class == "formula")
    return(list(data = cars, hidden = 0, posteriors = "point", folds = 2))
  if (!is_maker(target)) return(NULL)
  more <- list(hidden = 2, epochs = 1)
  if (target$class == "formula") more$data <- cars
  if ("y" %in% target$arguments) more$y <- cars$mpg
  if ("latent" %in% target$arguments) more$latent <- 1
  more
}

# One more evil argument: a value of the library, a changed sensible one, one that stops, or an argument of the dots.
# Changed fits are the matter of fuzz_fits.R.
add_evil <- function(arguments, target, chosen) {
  from_dots <- "..." %in% target$arguments && (chance(0.15) || !length(chosen))
  first <- length(chosen) > 1 && chance(0.8)
  if (!from_dots && !length(chosen)) return(arguments)
  name <- one_of(if (from_dots) dots else if (first) chosen[-1] else chosen)
  given <- arguments[[name]]
  value <- if (chance(0.01)) list(quote(stop_own())) else if (!is.null(given) && !any(grepl("varnn", class(given))) &&
                                                              chance(0.6)) change(given) else evil_value()
  arguments[name] <- value
  if (from_dots && chance(0.05)) names(arguments)[match(name, names(arguments))] <- ""
  arguments
}

# The call in symbols, as a user types it, or now and then with the values in their places, as do.call() makes it.
as_typed <- function(target, arguments, frame) {
  symbols <- lapply(seq_along(arguments), function(i) as.name(paste0("argument_", i)))
  for (i in seq_along(arguments)) {
    if (identical(arguments[[i]], quote(stop_own()))) delayedAssign(paste0("argument_", i), stop_own(),
                                                                    assign.env = frame)
    else assign(paste0("argument_", i), arguments[[i]], frame)
  }
  as_values <- chance(0.1)
  if (as_values) symbols <- lapply(arguments, function(a) if (is.language(a)) call("quote", a) else a)
  if (length(symbols) && chance(0.01)) symbols[[sample.int(length(symbols), 1L)]] <- formals(mean)$x # missing
  as.call(c(as.name(target$generic), stats::setNames(symbols, names(arguments))))
}

call_room <- function(fits) {
  objects <- c(fits, fuzz_results(fits))
  targets <- call_targets()
  # plots take longer than all else
  weight <- vapply(targets,
                   function(t) if (t$generic == "plot") 2 else if (is_maker(t)) 5 else 1 + length(t$arguments) / 3, 0)
  list(targets = targets, next_call = function() {
    target <- one_of(targets[sample.int(length(targets), 1L, prob = weight)])
    frame <- new.env(parent = globalenv())
    arguments <- call_arguments(target, objects)
    typed <- as_typed(target, arguments, frame)
    list(title = function() sprintf("%s(%s)", target$generic, described(arguments)), where = target$generic,
         run = function() eval(typed, frame))
  })
}

# Arguments as text, each shortened.
described <- function(arguments) {
  one <- function(a) {
    if (inherits(a, "varnn") && is.list(a)) return(sprintf("<%s>", class(a)[1]))
    if (is.data.frame(a)) return(sprintf("<data frame %s>", paste(vapply(unclass(a), function(v) class(v)[1], ""),
                                                                  collapse = ",")))
    if (length(a) > 20) return(sprintf("<%s of length %d>", class(a)[1], length(a)))
    text <- tryCatch(paste(deparse(a, nlines = 2L), collapse = " "), error = function(e) class(a)[1])
    substr(enc2utf8(text), 1, 60)
  }
  values <- vapply(arguments, function(a) tryCatch(one(a), error = function(e) "<?>"), "")
  paste(ifelse(nzchar(names(arguments)), paste(names(arguments), "= "), ""), values, collapse = ", ", sep = "")
}
