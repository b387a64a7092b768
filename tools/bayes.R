# How good are the defaults of fit_bayes_nn()?
# Rscript tools/bayes.R uci FOLDER [sets=boston,yacht splits=20 argument=value ...]
#   the published benchmark: one hidden layer of 50 relu units, the given 20 splits, one call per split, no tuning; a
#   table of root mean squared error and mean log-likelihood on the test rows beside what was published. FOLDER has
#   uci-NAME.rds: list(x, y, test = list of row numbers, mc_dropout = list(rmse, loglik) by split).
# Rscript tools/bayes.R priors [hidden=16 folds=3 start=random]
#   the experiment that chose the default prior and start: log-likelihood on held-out rows, and error relative to the
#   linear model, on the numeric responses of the data sets of tools/defaults.R; with start=random from random weights
#   in place of a plain network.
suppressPackageStartupMessages(library(varnn))

arguments <- commandArgs(TRUE)
given <- list()
for (a in grep("=", arguments, value = TRUE, fixed = TRUE)) {
  name <- sub("=.*", "", a)
  value <- sub("^[^=]*=", "", a)
  given[[name]] <- if (name %in% c("sets", "start")) value else eval(parse(text = value))
}
take <- function(name, default) {
  value <- if (is.null(given[[name]])) default else given[[name]]
  given[[name]] <<- NULL
  value
}

# Log of the mean over draws of the density of each row.
log_score <- function(fit, x, y, draws = 1000) {
  ll <- log_lik(fit, x, y, draws = draws)
  top <- apply(ll, 2, max)
  top + log(colMeans(exp(ll - rep(top, each = nrow(ll)))))
}

# ---- the benchmark

# Hernandez-Lobato and Adams (2015), table 3; Wu et al. (2019), table 1 (log-likelihood only).
published <- list(boston = c(pbp = 3.01, pbp_ll = -2.57, dvi_ll = -2.41), energy = c(1.80, -2.04, -1.01),
                  power = c(4.12, -2.84, -2.80), yacht = c(1.02, -1.63, -0.47))

one_split <- function(d, split, given) {
  test <- d$test[[split]]
  set.seed(split)
  seconds <- system.time(
    fit <- do.call(fit_bayes_nn, c(list(d$x[-test, ], d$y[-test], hidden = 50, activation = "relu"), given))
  )[[3]]
  p <- predict(fit, d$x[test, ], interval = "prediction")
  c(rmse = sqrt(mean((p[, "fit"] - d$y[test])^2)), ll = mean(log_score(fit, d$x[test, ], d$y[test])),
    cover = mean(d$y[test] >= p[, "lwr"] & d$y[test] <= p[, "upr"]), seconds = seconds)
}

run_uci <- function(folder, sets, splits, given) {
  mean_se <- function(x) sprintf("%7.3f (%.3f)", mean(x), stats::sd(x) / sqrt(length(x)))
  cat(sprintf("%-7s %-15s %-15s %5s %6s | PBP %13s | DVI %5s | minus MC dropout: %-8s %s\n", "", "RMSE", "log-lik.",
              "cover", "sec.", "", "", "RMSE", "log-lik."))
  for (name in sets) {
    d <- readRDS(file.path(folder, paste0("uci-", name, ".rds")))
    r <- vapply(seq_len(splits), function(k) one_split(d, k, given), numeric(4))
    ref <- published[[name]]
    other <- lapply(d$mc_dropout, `[`, seq_len(splits))
    cat(sprintf("%-7s %s %s %5.3f %6.2f | %5.2f %11.2f | %9.2f | %s %s\n", name, mean_se(r["rmse", ]),
                mean_se(r["ll", ]), mean(r["cover", ]), mean(r["seconds", ]), ref[[1]], ref[[2]], ref[[3]],
                mean_se(r["rmse", ] - other$rmse), mean_se(r["ll", ] - other$loglik)))
  }
}

# ---- priors

run_priors <- function(hidden, folds, start) {
  if (start == "random") utils::assignInNamespace("start_at_simpler", function(theta, ...) theta, "varnn")
  path <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
  lines <- readLines(file.path(dirname(path), "defaults.R"))
  eval(parse(text = lines[seq_len(grep("^# ---- the three methods", lines) - 1)]), globalenv())
  sets <- Filter(function(s) s$kind == "number", c(main_sets(), repeated_sets()))
  fan <- function(sd) prior_normal(0, sd, fan_in = TRUE)
  laplace <- function(scale) prior_laplace(0, scale, fan_in = TRUE)
  priors <- list(auto = prior_normal("auto"), "N(0,.3)" = prior_normal(0, 0.3), "N(0,1)" = prior_normal(0, 1),
                 fan1 = fan(1), fan1.4 = fan(sqrt(2)), fan2 = fan(2), fan4 = fan(4), laplace0.5 = laplace(0.5),
                 laplace1 = laplace(1), laplace1.4 = laplace(sqrt(2)), laplace2 = laplace(2))
  all <- lapply(names(sets), function(name) {
    d <- sets[[name]]$data
    set.seed(9)
    fold <- sample(rep_len(1:5, nrow(d)))
    by_fold <- vapply(seq_len(folds), function(k) compare_priors(d[fold != k, ], d[fold == k, ], priors, hidden),
                      matrix(0, length(priors), 3))
    r <- apply(by_fold, 1:2, mean)
    cat(sprintf("%-20s", name), sprintf("%s %6.3f", names(priors), r[, 1]), "\n")
    r
  })
  mean_of <- apply(simplify2array(all), 1:2, mean)
  dimnames(mean_of) <- list(names(priors), c("log_lik", "log_rmse_ratio", "elbo"))
  print(round(mean_of, 4))
}

# Log-likelihood beyond that of the linear model, log of the ratio of errors, ELBO per observation.
compare_priors <- function(train, test, priors, hidden) {
  linear <- stats::lm(y ~ ., train)
  mean <- suppressWarnings(stats::predict(linear, test))
  ll <- mean(stats::dnorm(test$y, mean, summary(linear)$sigma, log = TRUE))
  rmse <- sqrt(mean((test$y - mean)^2))
  t(vapply(priors, function(prior) {
    set.seed(1)
    fit <- fit_bayes_nn(y ~ ., train, hidden = hidden, prior = prior)
    error <- sqrt(mean((test$y - predict(fit, test))^2))
    c(mean(log_score(fit, test, NULL, 200)) - ll, log(error / rmse), utils::tail(fit$history$elbo, 1))
  }, numeric(3)))
}

switch(arguments[1],
       uci = run_uci(arguments[2], strsplit(take("sets", "boston,energy,power,yacht"), ",")[[1]], take("splits", 20),
                     given),
       priors = run_priors(take("hidden", 16), take("folds", 3), take("start", "plain")),
       stop("the first argument is uci or priors"))
