# How good are the defaults of fit_nn()? Cross-validated error of fit_nn(y ~ ., data) against the linear model and
# nnet on data that ship with R. Rscript tools/defaults.R [name=value ...]: arguments of fit_nn(), so that other
# choices can be tried, as in learn_rate=0.01; or repeats=2 (of 5-fold cross-validation), sets=REGEX (by name),
# list=main|repeated|all, nnet=FALSE.

# The list was drawn up before anything was fitted: of the packages that come with R, every data set with 100 to 5000
# complete rows, a response that its help page names and rows that stand for themselves (no series; repeated measures
# are the second list, without the subject's label, and served to confirm what was chosen on the first). Copies of the
# same data are used once; of the many sets with censored times two stand for all, with the event as response and no
# time. Left out are labels, and columns that give the response away.

# One data set: complete rows of what is left without `drop`, the response first, named y.
set_of <- function(data, y, kind, drop = NULL) {
  response <- eval(y, data)
  x <- as.data.frame(unclass(data), stringsAsFactors = TRUE)[setdiff(names(data), c(all.vars(y), drop))]
  x[] <- lapply(x, function(v) if (is.ordered(v)) factor(v, ordered = FALSE) else v)
  set <- stats::na.omit(data.frame(y = response, x))
  if (kind == "class") set$y <- droplevels(factor(set$y))
  if (kind == "number") set$y <- as.numeric(set$y)
  list(data = droplevels(set), kind = kind)
}

main_sets <- function() {
  number <- function(data, y, ...) set_of(data, substitute(y), "number", c(...))
  class <- function(data, y, ...) set_of(data, substitute(y), "class", c(...))
  count <- function(data, y, ...) set_of(data, substitute(y), "count", c(...))
  birthwt <- transform(MASS::birthwt, race = factor(race))
  synth <- rbind(MASS::synth.tr, MASS::synth.te)
  aids <- subset(boot::aids, dud == 0)
  list(
    airquality = number(datasets::airquality, Ozone),
    faithful = number(datasets::faithful, waiting),
    quakes = number(datasets::quakes, mag),
    Boston = number(MASS::Boston, medv),
    birthwt = number(birthwt, bwt, "low"),
    cats = number(MASS::cats, Hwt),
    coop = number(MASS::coop, Conc),
    cpus = number(MASS::cpus, perf, "name", "estperf"),
    "cpus (log)" = number(MASS::cpus, log(perf), "name", "estperf"),
    GAGurine = number(MASS::GAGurine, GAG),
    mcycle = number(MASS::mcycle, accel),
    michelson = number(MASS::michelson, Speed),
    nlschools = number(MASS::nlschools, lang, "class"),
    Wheat2 = number(nlme::Wheat2, yield),
    barley = number(lattice::barley, yield),
    singer = number(lattice::singer, height),
    USRegionalMortality = number(lattice::USRegionalMortality, Rate, "SE"),
    iris = class(datasets::iris, Species),
    infert = class(datasets::infert, case, "stratum", "pooled.stratum"),
    Pima = class(rbind(MASS::Pima.tr, MASS::Pima.te), type),
    biopsy = class(MASS::biopsy, class, "ID"),
    fgl = class(MASS::fgl, type),
    "birthwt (low)" = class(birthwt, low, "bwt"),
    crabs = class(MASS::crabs, interaction(sp, sex), "index"),
    shuttle = class(MASS::shuttle, use),
    synth = class(synth, yc),
    stagec = class(rpart::stagec, pgstat, "pgtime"),
    lung = class(survival::lung, status, "time", "inst"),
    logan = class(survival::logan, occupation),
    quine = count(MASS::quine, Days),
    Traffic = count(MASS::Traffic, y),
    minn38 = count(MASS::minn38, f),
    aids = count(aids, y, "dud", "time"),
    solder = count(rpart::solder, skips),
    "quakes (stations)" = count(datasets::quakes, stations)
  )
}

repeated_sets <- function() {
  number <- function(data, y, ...) set_of(data, substitute(y), "number", c(...))
  class <- function(data, y, ...) set_of(data, substitute(y), "class", c(...))
  count <- function(data, y, ...) set_of(data, substitute(y), "count", c(...))
  epil <- unique(MASS::epil)
  list(
    attenu = number(datasets::attenu, accel, "event", "station"),
    ChickWeight = number(datasets::ChickWeight, weight, "Chick"),
    DNase = number(datasets::DNase, density, "Run"),
    Theoph = number(datasets::Theoph, conc, "Subject"),
    Sitka = number(MASS::Sitka, size, "tree"),
    BodyWeight = number(nlme::BodyWeight, weight, "Rat"),
    Dialyzer = number(nlme::Dialyzer, rate, "Subject", "index"),
    Fatigue = number(nlme::Fatigue, relLength, "Path"),
    Glucose2 = number(nlme::Glucose2, glucose, "Subject"),
    IGF = number(nlme::IGF, conc, "Lot"),
    Milk = number(nlme::Milk, protein, "Cow"),
    Orthodont = number(nlme::Orthodont, distance, "Subject"),
    Pixel = number(nlme::Pixel, pixel, "Dog"),
    RatPupWeight = number(nlme::RatPupWeight, weight, "Litter"),
    Soybean = number(nlme::Soybean, weight, "Plot"),
    Spruce = number(nlme::Spruce, logSize, "Tree"),
    Wafer = number(nlme::Wafer, current, "Wafer"),
    bacteria = class(MASS::bacteria, y, "ID"),
    diabetic = class(survival::diabetic, status, "id", "time"),
    epil = count(epil, y, "subject", "lbase", "lage"),
    Ovary = count(nlme::Ovary, follicles, "Mare")
  )
}

# ---- the three methods: each trains and predicts (means; probabilities as a matrix with a column per level)

as_probabilities <- function(p, levels) {
  if (length(levels) == 2 && is.null(dim(p)) || NCOL(p) == 1) p <- cbind(1 - p, p)
  matrix(p, ncol = length(levels), dimnames = list(NULL, levels))
}

fit_linear <- function(train, test, kind) {
  if (kind == "number") return(stats::predict(stats::lm(y ~ ., train), test))
  if (kind == "count") return(stats::predict(stats::glm(y ~ ., stats::poisson, train), test, type = "response"))
  levels <- levels(train$y)
  if (length(levels) == 2)
    return(as_probabilities(stats::predict(stats::glm(y ~ ., stats::binomial, train), test, type = "response"), levels))
  as_probabilities(stats::predict(nnet::multinom(y ~ ., train, trace = FALSE), test, type = "probs"), levels)
}

# nnet's defaults, with as many hidden units. It has no counts: there it is fitted to log(y + 1/2), and the
# predictions are scaled to the mean of the response in training.
fit_nnet <- function(train, test, kind) {
  one <- function(...) nnet::nnet(y ~ ., train, size = 16, trace = FALSE, MaxNWts = 1e5, ...)
  if (kind == "number") return(drop(stats::predict(one(linout = TRUE), test)))
  if (kind == "class") return(as_probabilities(stats::predict(one(), test, type = "raw"), levels(train$y)))
  counts <- train$y
  train$y <- log(counts + 0.5)
  net <- one(linout = TRUE)
  drop(exp(stats::predict(net, test)) * sum(counts) / sum(exp(stats::fitted(net))))
}

fit_varnn <- function(train, test, kind, arguments) {
  family <- if (kind == "count") "poisson" else "auto"
  fit <- do.call(varnn::fit_nn, c(list(quote(y ~ .), quote(train), family = family), arguments))
  if (kind != "class") return(stats::predict(fit, test))
  as_probabilities(stats::predict(fit, test, type = "prob"), levels(train$y))
}

# The mean of these is the error: squares of errors, log loss, Poisson deviance.
losses <- function(y, prediction, kind) {
  if (kind == "number") return((y - prediction)^2)
  if (kind == "class") return(-log(pmax(prediction[cbind(seq_along(y), as.integer(y))], 1e-15)))
  2 * (ifelse(y == 0, 0, y * log(y / prediction)) - y + prediction)
}

wrong <- function(y, prediction, kind) if (kind == "class") max.col(prediction, "first") != as.integer(y) else NA

# Cross-validated errors of one data set: a row per method. Test rows with a level that training has not seen are left
# out.
compare <- function(set, methods, repeats) {
  found <- lapply(methods, function(m) NULL)
  seconds <- 0
  for (r in seq_len(repeats)) {
    set.seed(r)
    fold <- sample(rep_len(1:5, nrow(set$data)))
    for (k in 1:5) {
      train <- set$data[fold != k, ]
      test <- set$data[fold == k, ]
      known <- Map(function(a, b) !is.factor(a) | as.character(b) %in% as.character(a), train[-1], test[-1])
      test <- test[Reduce(`&`, known), ]
      for (m in names(methods)) {
        set.seed(100 * r + k)
        start <- proc.time()[["elapsed"]]
        p <- suppressWarnings(methods[[m]](train, test, set$kind))
        if (m == "varnn") seconds <- seconds + proc.time()[["elapsed"]] - start
        found[[m]] <- rbind(found[[m]], cbind(losses(test$y, p, set$kind), wrong(test$y, p, set$kind)))
      }
    }
  }
  error <- vapply(found, function(f) mean(f[, 1]), 0)
  list(error = if (set$kind == "number") sqrt(error) else error,
       wrong = vapply(found, function(f) mean(f[, 2]), 0), seconds = seconds / (5 * repeats))
}

# ---- the table

print_table <- function(sets, methods, repeats) {
  metric <- c(number = "RMSE", class = "log loss", count = "deviance")
  cat(sprintf("%-20s %5s %3s  %-8s %10s %10s %10s %6s %6s  %s\n", "data", "n", "p", "metric", "linear", "nnet",
              "varnn", "ratio", "s/fit", "error rates of the three"))
  rows <- lapply(names(sets), function(name) {
    set <- sets[[name]]
    p <- ncol(stats::model.matrix(y ~ ., set$data)) - 1
    one <- compare(set, methods, repeats)
    number <- function(m) {
      if (!m %in% names(methods)) return(format("-", width = 10))
      formatC(one$error[[m]], digits = 4, width = 10, flag = "#")
    }
    ratio <- one$error[["varnn"]] / one$error[["linear"]]
    rates <- if (set$kind == "class") paste(sprintf("%.3f", one$wrong), collapse = " ") else ""
    cat(sprintf("%-20s %5d %3d  %-8s %s %s %s %6.3f %6.2f  %s\n", name, nrow(set$data), p, metric[[set$kind]],
                number("linear"), number("nnet"), number("varnn"), ratio, one$seconds, rates))
    c(ratio = ratio, better = if ("nnet" %in% names(methods)) one$error[["varnn"]] < one$error[["nnet"]] else NA)
  })
  rows <- do.call(rbind, rows)
  cat(sprintf("\nNot worse than the linear model by more than 2 %%: %d of %d (mean log ratio %.4f, worst ratio %.3f)\n",
              sum(rows[, "ratio"] <= 1.02), nrow(rows), mean(log(rows[, "ratio"])), max(rows[, "ratio"])))
  cat(sprintf("Better than nnet's default: %d of %d\n", sum(rows[, "better"]), nrow(rows)))
}

main <- function(given) {
  given <- strsplit(given, "=", fixed = TRUE)
  arguments <- lapply(given, function(g) utils::type.convert(paste(g[-1], collapse = "="), as.is = TRUE))
  names(arguments) <- vapply(given, `[`, "", 1)
  own <- utils::modifyList(list(repeats = 2, sets = ".", list = "main", nnet = TRUE),
                           arguments)[c("repeats", "sets", "list", "nnet")]
  arguments <- arguments[setdiff(names(arguments), names(own))]
  sets <- c(if (own$list != "repeated") main_sets(), if (own$list != "main") repeated_sets())
  sets <- sets[grepl(own$sets, names(sets))]
  methods <- list(linear = fit_linear, nnet = fit_nnet, varnn = function(...) fit_varnn(..., arguments))
  print_table(sets, if (own$nnet) methods else methods[-2], own$repeats)
}

if (sys.nframe() == 0) main(commandArgs(TRUE))
