# How good are the defaults of fit_bayes_nn()?
# Rscript tools/bayes.R uci FOLDER [sets=boston,yacht splits=20 seeds=1 argument=value ...]
#   the published benchmark: one hidden layer of 50 relu units, the given 20 splits, one call per split (or the mean of
#   several, from other random starts), no tuning; a table of root mean squared error and mean log-likelihood on the
#   test rows beside what was published. FOLDER has uci-NAME.rds: list(x, y, test = list of row numbers,
#   mc_dropout = list(rmse, loglik) by split).
# Rscript tools/bayes.R gaps FOLDER [sets=boston,yacht argument=value ...]
#   the same data with the middle third of one sorted column held out, each column in turn: how honest the intervals are
#   far from the data, of the default and of posterior = "meanfield".
# Rscript tools/bayes.R posteriors [kind=number hidden=16 folds=2]
#   the experiment that chose the default posterior, members and noise: log-likelihood on held-out rows of the data sets
#   of tools/defaults.R whose response is a number (a count, a class), against posterior = "meanfield".
# Rscript tools/bayes.R priors [hidden=16 folds=3 start=random argument=value ...]
#   the experiment that chose the default prior and start of posterior = "meanfield": log-likelihood on held-out rows,
#   and error relative to the linear model, on the numeric responses of the data sets of tools/defaults.R; with
#   start=random from random weights in place of a plain network.
# Rscript tools/bayes.R rotate [hidden=50 folds=5]
#   the same of rotate = TRUE against FALSE, of posterior = "meanfield", on data sets of numeric columns alone.
suppressPackageStartupMessages(library(varnn))

arguments <- commandArgs(TRUE)
given <- list()
for (a in grep("=", arguments, value = TRUE, fixed = TRUE)) {
  name <- sub("=.*", "", a)
  value <- sub("^[^=]*=", "", a)
  given[[name]] <- if (name %in% c("sets", "start", "kind", "posterior")) value else eval(parse(text = value))
}
take <- function(name, default) {
  value <- if (is.null(given[[name]])) default else given[[name]]
  given[[name]] <<- NULL
  value
}

# Mean log of the predictive density of held-out rows.
log_score <- function(fit, x, y, draws = 1000) calibration(fit, x, y, draws = draws)$log_score

# ---- the benchmark

# Hernandez-Lobato and Adams (2015), table 3; Wu et al. (2019), table 1 (log-likelihood only).
published <- list(boston = c(pbp = 3.01, pbp_ll = -2.57, dvi_ll = -2.41), energy = c(1.80, -2.04, -1.01),
                  power = c(4.12, -2.84, -2.80), yacht = c(1.02, -1.63, -0.47))

one_split <- function(d, split, seed, given) {
  test <- d$test[[split]]
  set.seed(1000 * (seed - 1) + split)
  seconds <- system.time(
    fit <- do.call(fit_bayes_nn, c(list(d$x[-test, ], d$y[-test], hidden = 50, activation = "relu"), given))
  )[[3]]
  p <- predict(fit, d$x[test, ], interval = "prediction")
  c(rmse = sqrt(mean((p[, "fit"] - d$y[test])^2)), ll = log_score(fit, d$x[test, ], d$y[test]),
    cover = mean(d$y[test] >= p[, "lwr"] & d$y[test] <= p[, "upr"]), seconds = seconds)
}

run_uci <- function(folder, sets, splits, seeds, given) {
  mean_se <- function(x) sprintf("%7.3f (%.3f)", mean(x), stats::sd(x) / sqrt(length(x)))
  cat(sprintf("%-7s %-15s %-15s %5s %6s | PBP %13s | DVI %5s | minus MC dropout: %-8s %s\n", "", "RMSE", "log-lik.",
              "cover", "sec.", "", "", "RMSE", "log-lik."))
  for (name in sets) {
    d <- readRDS(file.path(folder, paste0("uci-", name, ".rds")))
    of_split <- function(k) rowMeans(vapply(seq_len(seeds), function(seed) one_split(d, k, seed, given), numeric(4)))
    r <- vapply(seq_len(splits), of_split, numeric(4))
    ref <- published[[name]]
    other <- lapply(d$mc_dropout, `[`, seq_len(splits))
    cat(sprintf("%-7s %s %s %5.3f %6.2f | %5.2f %11.2f | %9.2f | %s %s\n", name, mean_se(r["rmse", ]),
                mean_se(r["ll", ]), mean(r["cover", ]), mean(r["seconds", ]), ref[[1]], ref[[2]], ref[[3]],
                mean_se(r["rmse", ] - other$rmse), mean_se(r["ll", ] - other$loglik)))
  }
}

# ---- gaps

run_gaps <- function(folder, sets, given) {
  force(sets) # which takes them out of what is given
  ways <- list(default = given, meanfield = c(given, list(posterior = "meanfield", sigma = "learned")))
  for (name in sets) {
    d <- readRDS(file.path(folder, paste0("uci-", name, ".rds")))
    columns <- which(apply(d$x, 2, function(v) length(unique(v)) > 2))
    one <- function(j, given) {
      rank <- rank(d$x[, j], ties.method = "first") / nrow(d$x)
      gap <- rank > 1 / 3 & rank <= 2 / 3
      set.seed(j)
      fit <- do.call(fit_bayes_nn, c(list(d$x[!gap, ], d$y[!gap], hidden = 50), given))
      p <- predict(fit, d$x[gap, ], interval = "prediction")
      c(rmse = sqrt(mean((p[, "fit"] - d$y[gap])^2)), ll = log_score(fit, d$x[gap, ], d$y[gap]),
        cover = mean(d$y[gap] >= p[, "lwr"] & d$y[gap] <= p[, "upr"]))
    }
    for (way in names(ways)) {
      r <- vapply(columns, one, numeric(3), ways[[way]])
      cat(sprintf("%-7s %-9s RMSE %.3f  log-lik. %.3f  cover %.3f\n", name, way, mean(r[1, ]), mean(r[2, ]),
                  mean(r[3, ])))
    }
  }
}

# ---- the default

run_posteriors <- function(kind, hidden, folds, given) {
  ways <- list(meanfield = list(posterior = "meanfield"), constant = list(posterior = "laplace", sigma = "learned"),
               varying = list(posterior = "laplace", sigma = "hetero"), both = list(posterior = "laplace"))
  if (kind != "number") ways <- ways[c("meanfield", "both")]
  sets <- responses(switch(kind, number = "number", count = "count", class = "class"))
  gain <- vapply(names(sets), function(name) {
    d <- sets[[name]]
    set.seed(9)
    fold <- sample(rep_len(1:5, nrow(d)))
    of_way <- function(way, k) {
      set.seed(k)
      fit <- do.call(fit_bayes_nn, c(list(y ~ ., d[fold != k, ], hidden = hidden), way, given))
      log_score(fit, d[fold == k, ], NULL, 400)
    }
    of_fold <- function(k) vapply(ways, of_way, 0, k)
    score <- rowMeans(vapply(seq_len(folds), of_fold, numeric(length(ways))))
    cat(sprintf("%-20s", name), sprintf("%s %7.3f", names(ways), score), "\n")
    score[-1] - score[1]
  }, numeric(length(ways) - 1))
  gain <- matrix(gain, length(ways) - 1, dimnames = list(names(ways)[-1], names(sets)))
  print(round(cbind(mean = rowMeans(gain), least = apply(gain, 1, min), worse = rowSums(gain < -0.05)), 3))
}

# ---- priors

# The data sets of tools/defaults.R by their kind of response.
responses <- function(kinds) {
  path <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
  lines <- readLines(file.path(dirname(path), "defaults.R"))
  eval(parse(text = lines[seq_len(grep("^# ---- the three methods", lines) - 1)]), globalenv())
  lapply(Filter(function(s) s$kind %in% kinds, c(main_sets(), repeated_sets())), `[[`, "data")
}

run_priors <- function(hidden, folds, start, given) {
  if (start == "random") utils::assignInNamespace("start_at_simpler", function(theta, ...) theta, "varnn")
  fan <- function(sd) prior_normal(0, sd, fan_in = TRUE)
  laplace <- function(scale) prior_laplace(0, scale, fan_in = TRUE)
  priors <- list(auto = prior_normal("auto"), "N(0,.3)" = prior_normal(0, 0.3), "N(0,1)" = prior_normal(0, 1),
                 fan1 = fan(1), fan1.4 = fan(sqrt(2)), fan2 = fan(2), fan4 = fan(4), laplace0.5 = laplace(0.5),
                 laplace1 = laplace(1), laplace1.4 = laplace(sqrt(2)), laplace2 = laplace(2))
  by_set <- compare(responses("number"), lapply(priors, function(p) {
    c(list(prior = p, hidden = hidden, posterior = "meanfield", sigma = "learned"), given)
  }), folds)
  print(round(apply(by_set, 1:2, mean), 4))
}

# ---- rotation

# Of the packages that come with R, data sets with 75 complete rows and three numeric predictors at least.
numeric_sets <- function() {
  set <- function(data, y, drop = NULL) {
    data <- stats::na.omit(data[vapply(data, is.numeric, NA) & !names(data) %in% drop])
    names(data)[names(data) == y] <- "y"
    data
  }
  pima <- rbind(MASS::Pima.tr, MASS::Pima.te)
  prices <- c("Min.Price", "Max.Price")
  pbc <- transform(survival::pbc, bili = log(bili))
  list(airquality = set(datasets::airquality, "Ozone", c("Month", "Day")), quakes = set(datasets::quakes, "mag"),
       "iris (sepal)" = set(datasets::iris, "Sepal.Length"), "iris (petal)" = set(datasets::iris, "Petal.Width"),
       Boston = set(MASS::Boston, "medv"), "Boston (nox)" = set(MASS::Boston, "nox"),
       cpus = set(MASS::cpus, "perf", "estperf"), "crabs (RW)" = set(MASS::crabs, "RW", "index"),
       "crabs (BD)" = set(MASS::crabs, "BD", "index"), "fgl (RI)" = set(MASS::fgl, "RI"),
       "fgl (Na)" = set(MASS::fgl, "Na"),
       "Pima (glu)" = set(pima, "glu"), "Pima (bmi)" = set(pima, "bmi"),
       "Cars93 (price)" = set(MASS::Cars93, "Price", prices), "Cars93 (MPG)" = set(MASS::Cars93, "MPG.highway", prices),
       environmental = set(lattice::environmental, "ozone"), "urine (calc)" = set(boot::urine, "calc", "r"),
       "urine (osmo)" = set(boot::urine, "osmo", "r"),
       pbc = set(pbc, "bili", c("id", "time", "status", "trt", "ascites", "hepato", "spiders", "edema", "stage")),
       flchain = set(survival::flchain[seq(1, 7874, 4), ], "kappa",
                     c("sample.yr", "futime", "death", "mgus", "flc.grp")))
}

run_rotate <- function(hidden, folds) {
  ways <- lapply(c(no = FALSE, yes = TRUE), function(rotate) {
    list(hidden = hidden, rotate = rotate, posterior = "meanfield", sigma = "learned")
  })
  by_set <- compare(numeric_sets(), ways, folds)
  gain <- by_set["yes", , ] - by_set["no", , ]
  print(rbind(mean = rowMeans(gain), se = apply(gain, 1, stats::sd) / sqrt(ncol(gain)), rises = rowMeans(gain > 0)),
        digits = 2)
}

# ---- held-out rows

# [ways, scores, sets]: the scores of fit_bayes_nn(y ~ ., data) with each of the lists of arguments, over folds.
compare <- function(sets, ways, folds) {
  all <- lapply(names(sets), function(name) {
    d <- sets[[name]]
    set.seed(9)
    fold <- sample(rep_len(1:5, nrow(d)))
    by_fold <- vapply(seq_len(folds), function(k) compare_ways(d[fold != k, ], d[fold == k, ], ways),
                      matrix(0, length(ways), 3))
    r <- apply(by_fold, 1:2, mean)
    cat(sprintf("%-20s", name), sprintf("%s %6.3f", names(ways), r[, 1]), "\n")
    r
  })
  out <- simplify2array(all)
  dimnames(out) <- list(names(ways), c("log_lik", "log_rmse_ratio", "elbo"), names(sets))
  out
}

# Log-likelihood beyond that of the linear model, log of the ratio of errors, ELBO per observation.
compare_ways <- function(train, test, ways) {
  linear <- stats::lm(y ~ ., train)
  mean <- suppressWarnings(stats::predict(linear, test))
  ll <- mean(stats::dnorm(test$y, mean, summary(linear)$sigma, log = TRUE))
  rmse <- sqrt(mean((test$y - mean)^2))
  t(vapply(ways, function(given) {
    set.seed(1)
    fit <- do.call(fit_bayes_nn, c(list(y ~ ., train), given))
    error <- sqrt(mean((test$y - predict(fit, test))^2))
    c(log_score(fit, test, NULL, 200) - ll, log(error / rmse), utils::tail(fit$history$elbo, 1))
  }, numeric(3)))
}

switch(arguments[1],
       uci = run_uci(arguments[2], strsplit(take("sets", "boston,energy,power,yacht"), ",")[[1]], take("splits", 20),
                     take("seeds", 1), given),
       gaps = run_gaps(arguments[2], strsplit(take("sets", "boston,energy,power,yacht"), ",")[[1]], given),
       posteriors = run_posteriors(take("kind", "number"), take("hidden", 16), take("folds", 2), given),
       priors = run_priors(take("hidden", 16), take("folds", 3), take("start", "plain"), given),
       rotate = run_rotate(take("hidden", 50), take("folds", 5)),
       stop("the first argument is uci, gaps, posteriors, priors or rotate"))
