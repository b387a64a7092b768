# print() and summary(): what they show, how fast, and in a session with other options.

test_that("the call of a fit by do.call() is shown shortly, and at once", {
  n <- 1e6
  big <- data.frame(x = seq_len(n) / n, y = rep(c(0, 1.5, 0.2), length.out = n))
  shown <- NULL
  fit <- do.call(fit_nn, list(y ~ x, big, hidden = 0, epochs = 1, weights = rep(1, n), batch_size = 10000))
  time <- replicate(3, system.time(shown <<- utils::capture.output(print(fit)))[["user.self"]])
  expect_lt(min(time), 0.1)
  call <- gsub(" +", " ", paste(shown, collapse = " "))
  expect_match(call, "data = <a data frame of 1000000 rows and 2 columns>", fixed = TRUE)
  expect_match(call, "weights = <a vector of length 1000000>", fixed = TRUE)
  expect_match(call, "formula = y ~ x, ", fixed = TRUE)
  expect_lt(system.time(utils::capture.output(print(summary(fit))))[["user.self"]], 3)
})

test_that("a call is shown as it was typed, whatever is in it", {
  expect_equal(shown_call(quote(fit_nn(formula = mpg ~ `a b`, data = d[1:3, ], hidden = c(3, 2)))),
               "fit_nn(formula = mpg ~ `a b`, data = d[1:3, ], hidden = c(3, 2))")
  expect_equal(shown_call(quote(f(x[, 1], function(a, b) a, NULL))), "f(x[, 1], function(a, b) a, NULL)")
  expect_equal(shown_call(as.call(list(quote(f), x = matrix(0, 5, 2), k = 1:3, g = mean))),
               "f(x = <a double matrix of 5 rows and 2 columns>, k = 1:3, g = <a function>)")
  expect_equal(shown_call(as.call(list(quote(f), new.env(), list(1), factor("a")))),
               "f(<an environment>, <a list>, <a factor of length 1>)")
  long <- as.call(c(quote(c), as.list(seq_len(1e5))))
  expect_lt(system.time(text <- shown_call(as.call(list(quote(f), x = long))), gcFirst = FALSE)[["user.self"]], 0.1)
  expect_equal(text, "f(x = ...)")
})

test_that("`digits` are those of print.lm()", {
  set.seed(1)
  fit <- quick(mpg ~ wt, mtcars)
  loss <- fit$history$loss[nrow(fit$history)]
  shown <- function(...) paste(utils::capture.output(print(fit, ...)), collapse = " ")
  expect_match(shown(), paste("loss", format(loss, digits = 4), "nats"), fixed = TRUE)
  expect_match(shown(digits = 9), paste("loss", format(loss, digits = 9), "nats"), fixed = TRUE)
  expect_refused(print(fit, digits = -1), "^`digits`")
  old <- options(digits = 12)
  on.exit(options(old))
  expect_match(shown(), paste("loss", format(loss, digits = 9), "nats"), fixed = TRUE)
})

# ---- options of the session

kinds_of_fits <- function() {
  set.seed(1)
  list(fit_nn(mpg ~ wt + factor(cyl), mtcars, hidden = 2, epochs = 12, validation = 0.2),
       fit_nn(Species ~ ., iris, hidden = 2, epochs = 5),
       fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, posterior = "meanfield", epochs = 5),
       fit_ae(iris, hidden = 2, epochs = 5), fit_vae(iris, hidden = 2, epochs = 5),
       fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 2, members = 4, epochs = 5))
}

# Everything that a user sees of fits; numbers, and text apart.
seen_of <- function(fits) {
  set.seed(2)
  numbers <- lapply(fits, function(fit) {
    simulated <- simulate(fit, 2, seed = 1)
    list(lapply(members(fit), function(m) list(m$theta, m$history)), predict(fit), summary(fit)[["elbo"]], simulated)
  })
  text <- utils::capture.output({
    for (fit in fits) {
      print(fit)
      print(summary(fit))
    }
    print(calibration(fits[[1]], draws = 20))
    print(calibration(fits[[2]], draws = 20))
    print(compare_pca(fit_ae(iris[1:4], epochs = 3)))
    print(check_gradients(fits[[1]]))
    print(nn_control(learn_rate = 0.5))
    print(prior_normal(0, 0.5))
    print(confint(fits[[3]])[1:2, ])
  })
  drawn({
    for (fit in fits) for (which in pictures_of(fit)) plot(fit, which = which)
    plot(calibration(fits[[1]], draws = 20))
    plot(calibration(fits[[2]], draws = 20))
  })
  list(numbers = numbers, text = text)
}

test_that("numbers do not depend on the session's options, and nothing warns", {
  skip_if_counted()
  usual <- seen_of(kinds_of_fits())
  for (setting in list(list(OutDec = ","), list(digits = 3, scipen = 100, useFancyQuotes = FALSE, width = 40),
                       list(digits = 15, scipen = -9, keep.source = TRUE, deparse.max.lines = 1),
                       list(warnPartialMatchDollar = TRUE, warnPartialMatchArgs = TRUE, warnPartialMatchAttr = TRUE))) {
    old <- options(c(setting, list(warn = 2)))
    now <- tryCatch(seen_of(kinds_of_fits()), error = conditionMessage, finally = options(old))
    expect_equal(if (is.list(now)) now$numbers else now, usual$numbers, label = deparse(setting)[1])
    if (identical(names(setting), "OutDec")) {
      expect_equal(gsub(",", ".", now$text, fixed = TRUE), gsub(",", ".", usual$text, fixed = TRUE))
      typed <- grep("^learn_rate|^momentum|validation = ", now$text) # as R reads it
      expect_equal(grep("[0-9][.][0-9]", now$text[-typed], value = TRUE), character())
    }
  }
})

test_that("large numbers are written out, with marks that are no decimal marks", {
  expect_equal(thousands(c(1e5)), "100,000")
  expect_equal(count(1e15, "row"), "1,000,000,000,000,000 rows")
  old <- options(OutDec = ",", warn = 2)
  on.exit(options(old))
  expect_equal(thousands(123456), "123.456")
  expect_equal(fixed(12.345, 1), "12,3")
})

test_that("options for contrasts and missing values may change between fit and methods", {
  cars <- cars_of_types()
  cars$wt[c(2, 9)] <- NA
  make <- function(...) {
    set.seed(1)
    list(suppressWarnings(fit_nn(mpg ~ wt + cyl + gear, cars, hidden = 2, epochs = 2, ...)),
         fit_bayes_nn(cars[c("wt", "cyl")], cars$mpg, hidden = 2, members = 2, epochs = 2, ...),
         fit_bayes_nn(cars[c("wt", "cyl")], cars$mpg, hidden = 2, posterior = "meanfield", epochs = 2, ...))
  }
  answers <- function(fit) {
    set.seed(3)
    list(predict(fit), predict(fit, if (is.null(fit$terms)) cars[c("wt", "cyl")] else cars), residuals(fit),
         deviance(fit), if (!is.null(fit$terms)) model.matrix(fit), nobs(continue(fit, 1)))
  }
  for (trained in c("na.omit", "na.exclude")) {
    old <- options(na.action = trained)
    fits <- make()
    usual <- lapply(fits, answers)
    for (setting in list(list(na.action = "na.fail"), list(na.action = "na.exclude"), list(na.action = "na.omit"),
                         list(contrasts = c(unordered = "contr.sum", ordered = "contr.helmert")), list(warn = 2))) {
      own <- options(setting)
      now <- tryCatch(lapply(fits, answers), error = conditionMessage, finally = options(own))
      expect_equal(now, usual, label = paste(trained, deparse(setting)[1]))
    }
    options(old)
  }
})

test_that("other locales: the same numbers, names and levels", {
  skip_if_counted()
  usual <- seen_of(kinds_of_fits())
  before <- c(Sys.getlocale("LC_CTYPE"), Sys.getlocale("LC_COLLATE"))
  on.exit({
    Sys.setlocale("LC_CTYPE", before[1])
    Sys.setlocale("LC_COLLATE", before[2])
  })
  for (name in c("C", "C.UTF-8", "tr_TR.UTF-8", "de_DE.UTF-8")) {
    set <- suppressWarnings(c(Sys.setlocale("LC_CTYPE", name), Sys.setlocale("LC_COLLATE", name)))
    if (!all(nzchar(set))) next
    expect_equal(seen_of(kinds_of_fits()), usual, label = name)
  }
})
