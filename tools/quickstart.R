# Fits networks to the real data that varnn and R ship, prints a table, and writes a picture for each into a folder:
# Rscript tools/quickstart.R FOLDER. The numbers to expect are in README.md.
library(varnn)
folder <- c(commandArgs(TRUE), ".")[1]
started <- proc.time()[["elapsed"]]
rows <- list()

# Rows held out, one in five.
split <- function(data) {
  out <- seq_len(nrow(data)) %% 5 == 0
  list(train = data[!out, ], test = data[out, ])
}
report <- function(data, measure, linear, network, fit) {
  rows[[length(rows) + 1]] <<- data.frame(data = data, measure = measure, linear = signif(linear, 3),
                                          network = signif(network, 3), epochs = nrow(fit$history))
}
picture <- function(name, fit, which) {
  png(file.path(folder, paste0("varnn-", name, ".png")), 1050, 750, res = 150)
  on.exit(dev.off())
  plot(fit, which)
}
rmse <- function(observed, predicted) sqrt(mean((observed - predicted)^2))
poisson_deviance <- function(y, mu) mean(2 * (ifelse(y == 0, 0, y * log(y / mu)) - (y - mu)))

set.seed(1)
boston <- split(MASS::Boston)
fit <- fit_nn(medv ~ ., boston$train)
print(fit)
report("Boston housing", "held-out RMSE", rmse(boston$test$medv, predict(lm(medv ~ ., boston$train), boston$test)),
       rmse(boston$test$medv, predict(fit, boston$test)), fit)
picture("regression", fit, "fit")

digit <- split(digits)
fit <- fit_nn(digit ~ ., digit$train, hidden = 64, validation = 0.1)
linear <- fit_nn(digit ~ ., digit$train, hidden = 0, optimizer = "lbfgs", penalty = 1e-3)
report("digits", "held-out accuracy", mean(predict(linear, digit$test) == digit$test$digit),
       mean(predict(fit, digit$test) == digit$test$digit), fit)
picture("digits", fit, "fit")
picture("training", fit, "history")

quine <- split(MASS::quine)
fit <- fit_nn(Days ~ ., quine$train, family = poisson)
linear <- glm(Days ~ ., poisson, quine$train)
report("quine absences", "held-out deviance",
       poisson_deviance(quine$test$Days, predict(linear, quine$test, type = "response")),
       poisson_deviance(quine$test$Days, predict(fit, quine$test)), fit)
picture("network", fit, "network")

cat("\n")
print(do.call(rbind, rows), row.names = FALSE)
cat(sprintf("\n%.1f seconds. Pictures: %s\n", proc.time()[["elapsed"]] - started,
            paste(list.files(folder, "^varnn-.*png$"), collapse = ", ")))
