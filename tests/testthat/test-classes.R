# Classes whose numbers are not their doubles: read rightly, the same in training and new data, or refused by name.

# 64-bit integers as bit64 makes them, from whole numbers below 2^31 and NA.
int64 <- function(x) {
  halves <- ifelse(is.na(x), 0L, as.integer(x))
  high <- ifelse(is.na(x), NA_integer_, ifelse(x < 0, -1L, 0L)) # NA is the least integer
  bits <- writeBin(as.integer(rbind(halves, high)), raw(), endian = "little")
  structure(readBin(bits, "double", length(x), endian = "little"), class = "integer64")
}

timed <- function() {
  data <- data.frame(x = cos(1:40), count = 3 * (1:40) - 50)
  data$day <- as.Date("2020-01-01") + c(1, 5, 2, 9) * (1:40)
  data$at <- as.POSIXct("2020-01-01", tz = "UTC") + 3600 * (1:40)^1.1
  data$wait <- as.difftime(sqrt(1:40), units = "hours")
  data$y <- sin(1:40) + data$x + (1:40) / 20
  data
}

test_that("64-bit integers have the values of bit64", {
  expect_identical(integer64_values(int64(c(5, -7, 0, NA, .Machine$integer.max))),
                   c(5, -7, 0, NA, .Machine$integer.max))
  # 2^32 + 2^31, 2^53, -(2^40) + 1, -2^63 + 2^31
  halves <- c(NA, 1L, 0L, 2097152L, 1L, -256L, NA, NA)
  bits <- readBin(writeBin(halves, raw(), endian = "little"), "double", 4, endian = "little")
  expect_identical(integer64_values(structure(bits, class = "integer64")),
                   c(2^32 + 2^31, 2^53, -2^40 + 1, -2^63 + 2^31))
  skip_if_not_installed("bit64")
  x <- getExportedValue("bit64", "as.integer64")(c("-9007199254740991", "123456789012", NA, "0"))
  expect_identical(integer64_values(x), as.double(x))
})

test_that("64-bit integers are the numbers that they show: predictor, response, weights, offset, new data", {
  data <- timed()
  wide <- data
  wide$count <- int64(data$count)
  wide$w <- int64(rep(1:2, 20))
  data$w <- rep(1:2, 20)
  expect_equal(predict(linear(y ~ count, wide), wide), predict(linear(y ~ count, data)))
  fit <- linear(y ~ count, data)
  expect_equal(predict(fit, wide), predict(fit))
  expect_equal(coef(linear(count ~ x, wide)), coef(linear(count ~ x, data)))
  expect_equal(coef(linear(y ~ x, wide, weights = w)), coef(linear(y ~ x, data, weights = w)))
  expect_equal(coef(linear(y ~ x + offset(count), wide)), coef(linear(y ~ x + offset(count), data)))
  expect_equal(coef(linear(wide["count"], data$y)), coef(linear(data["count"], data$y)))
  expect_equal(coef(linear(data["x"], int64(data$count))), coef(linear(data["x"], data$count)))
  by_matrix <- linear(as.matrix(data["count"]), data$y)
  expect_equal(unname(predict(by_matrix, wide)), unname(predict(by_matrix)))
  expect_equal(calibration(fit_nn(count ~ x, data, epochs = 2), wide, draws = 10)$n, 40)
})

test_that("missing 64-bit integers are missing", {
  data <- timed()
  wide <- data
  data$count[3] <- NA
  wide$count <- int64(data$count)
  expect_equal(coef(linear(y ~ count, wide)), coef(linear(y ~ count, data)))
  expect_equal(is.na(unname(predict(linear(y ~ count, data), wide))), seq_len(40) == 3)
})

test_that("64-bit integers are columns of autoencoders", {
  data <- timed()[c("x", "count", "y")]
  wide <- data
  wide$count <- int64(data$count)
  of <- function(data) {
    set.seed(1)
    fit_ae(data, hidden = 0, latent = 1, epochs = 5)
  }
  fit <- of(wide)
  expect_identical(fit$theta, of(data)$theta)
  expect_equal(encode(fit, wide), encode(fit, data))
  expect_equal(encode(fit_vae(~ x + count, wide, latent = 1, epochs = 2), wide)[, 1] * 0, numeric(40))
})

test_that("what is drawn, imputed or simulated for a column of 64-bit integers are such integers, or whole numbers", {
  set.seed(2)
  data <- data.frame(n = int64(round(exp(rnorm(60, 9)))), z = rnorm(60))
  holes <- data
  holes$n[1:3] <- int64(rep(NA, 3)) # without bit64 the assignment is by bits, as these are
  fits <- list(fit_vae(data, epochs = 3, latent = 1), fit_vae(~ n + z, data, epochs = 3, latent = 1),
               fit_ae(data, epochs = 3, latent = 1), fit_ae(~ n + z, holes, epochs = 3, latent = 1))
  are_whole <- function(v) {
    if (has_bit64()) expect_s3_class(v, "integer64") else expect_false(is.object(v))
    values <- integer64_values(v)
    expect_true(all(values == round(values) & abs(values) < 1e6))
  }
  check <- function() {
    for (fit in fits) are_whole(simulate(fit, 4)$n)
    are_whole(simulate(fits[[1]], 4, given = data.frame(z = 1:2))$n)
    filled <- impute(fits[[1]], holes)
    are_whole(filled$n)
    expect_identical(integer64_values(filled$n[4:60]), integer64_values(data$n[4:60]))
    are_whole(impute(fits[[1]])$n)
    are_whole(impute(fits[[2]], data.frame(n = NA, z = 1:2))$n)
  }
  check()
  skip_if_not_installed("bit64")
  loadNamespace("bit64")
  check()
})

test_that("no rows of 64-bit integers are no numbers", {
  expect_identical(integer64_values(int64(numeric())), numeric())
  data <- timed()
  wide <- replace(data, "count", list(int64(data$count)))
  none <- wide[0, ]
  for (formula in list(y ~ count, y ~ x, count ~ x))
    for (fit in list(linear(formula, wide), fit_nn(formula, wide, epochs = 1), fit_bayes_nn(formula, wide, epochs = 1)))
      expect_length(predict(fit, none), 0)
  expect_length(predict(fit_nn(wide["count"], data$y, epochs = 1), none["count"]), 0)
  for (fit in list(fit_ae(wide[1:2], epochs = 1, latent = 1), fit_vae(wide[1:2], epochs = 1, latent = 1)))
    expect_identical(dim(encode(fit, none)), 0:1)
})

test_that("64-bit integers that have lost their class are seen", {
  data <- timed()
  fit <- linear(y ~ count, data)
  data$count <- unclass(int64(1:40))
  expect_refused(predict(fit, data), "`count` has no value above 2e-308.*bit64")
  expect_refused(linear(y ~ count, data), "`count` has no value above 2e-308.*bit64")
})

test_that("dates and times are predictors as in lm()", {
  data <- timed()
  for (formula in list(y ~ day, y ~ at, y ~ wait, y ~ x + day + wait)) {
    fit <- linear(formula, data)
    truth <- lm(formula, data)
    expect_equal(predict(fit, data), predict(truth, data), tolerance = 1e-6, label = deparse1(formula))
    expect_equal(predict(fit, data[5:7, ]), predict(truth, data[5:7, ]), tolerance = 1e-6)
    expect_equal(predict(fit), fitted(truth), tolerance = 1e-6)
  }
  x <- data[c("day", "wait")]
  expect_equal(unname(predict(linear(x, data$y), x)), unname(fitted(lm(y ~ day + wait, data))), tolerance = 1e-6)
})

test_that("differences in time are counted in the unit of training", {
  data <- timed()
  fit <- linear(y ~ wait, data)
  for (unit in c("secs", "mins", "days", "weeks")) {
    other <- data
    units(other$wait) <- unit
    expect_equal(predict(fit, other), predict(fit), label = unit)
  }
})

test_that("a date stands for no number, a number for no date, nor a time for a date", {
  data <- timed()
  other <- function(name, value) replace(data, name, list(value))
  expect_refused(predict(linear(y ~ day, data), other("day", as.numeric(data$day))), "`day` of `newdata` .*\"Date\"")
  expect_refused(predict(linear(y ~ day, data), other("day", data$at)), "`day` of `newdata` .*\"Date\".*POSIXct")
  expect_refused(predict(linear(y ~ at, data), other("at", data$day)), "`at` of `newdata` .*\"POSIXct\".*Date")
  expect_refused(predict(linear(y ~ wait, data), other("wait", 1:40)), "`wait` of `newdata` .*\"difftime\"")
  expect_refused(predict(linear(y ~ x, data), other("x", data$wait)), "`x` of `newdata`.*numeric")
  expect_refused(predict(linear(y ~ x, data), other("x", data$day)), "`x` of `newdata`.*numeric")
  expect_true(all(is.na(predict(linear(y ~ day, data), other("day", NA)))))
})

# Doubles of classes that this package knows nothing of, or that are none of its numbers.
odd_classes <- function() {
  list(units = structure(1:40 + 0, units = "m", class = "units"),
       strange = structure(1:40 + 0, class = "strange"),
       haven_labelled = structure(rep(1:2, 20) + 0, labels = c(man = 1, woman = 2),
                                  class = c("haven_labelled", "vctrs_vctr", "double")))
}

test_that("other classes are refused by the name of the column, wherever they are", {
  odd <- odd_classes()
  for (class in names(odd)) {
    data <- timed()[c("x", "y")]
    data$v <- odd[[class]]
    says <- function(what) sprintf("%s.*class \"%s\"", what, class)
    plain <- replace(data, "v", list(as.numeric(1:40)))
    expect_refused(linear(y ~ v, data), says("`v`"))
    expect_refused(linear(data["v"], data$y), says("`v`"))
    expect_refused(linear(v ~ x, data), says("`v`"))
    expect_refused(linear(v ~ x, data, family = "gaussian"), says("`v`"))
    expect_refused(linear(data["x"], data$v), says("`y`"))
    expect_refused(linear(y ~ x, data, weights = v), says("`weights`"))
    expect_refused(linear(y ~ x + offset(v), data), says("`offset\\(v\\)`"))
    expect_refused(fit_bayes_nn(y ~ v, data, epochs = 1), says("`v`"))
    expect_refused(fit_ae(~ x + v, data), says("`v`"))
    expect_refused(fit_ae(data), says("`v`"))
    expect_refused(fit_vae(data), says("`v`"))
    expect_refused(fit_vae(x ~ v, data), says("`v`"))
    expect_refused(predict(linear(y ~ v, plain), data), says("`v`"))
    expect_refused(predict(linear(as.matrix(plain["v"]), data$y), data), says("`v`"))
    expect_refused(encode(fit_ae(plain, epochs = 1), data), says("`v`"))
    expect_refused(calibration(quick(v ~ x, plain), data), says("`v`"))
  }
})

test_that("numbers that are arguments have no class", {
  for (one in list(int64(1), structure(1, class = "units"))) {
    expect_refused(fit_nn(mpg ~ wt, mtcars, penalty = one), "`penalty`")
    expect_refused(nn_control(epochs = one), "`epochs`")
  }
})

test_that("dates and times are no responses, weights or offsets", {
  data <- timed()
  for (name in c("day", "at", "wait")) {
    data$v <- data[[name]]
    class <- class(data$v)[1]
    expect_refused(linear(v ~ x, data), paste0("`v`.*", class))
    expect_refused(linear(v ~ x, data, family = "poisson"), paste0("`v`.*", class))
    expect_refused(linear(y ~ x, data, weights = v), "weights")
    expect_refused(linear(y ~ x + offset(v), data), paste0("offset.*", class))
    expect_refused(fit_ae(~ x + v, data), paste0("`v`.*", class))
  }
})

test_that("lists in the shape of vectors are refused with what to do", {
  data <- timed()
  expect_refused(linear(y ~ as.POSIXlt(at), data), "as.POSIXlt\\(at\\).*as.POSIXct\\(\\)")
  expect_refused(linear(data.frame(at = I(as.POSIXlt(data$at))), data$y), "`at`.*as.POSIXct\\(\\)")
  data$v <- numeric_version(rep("1.2", 40))
  expect_refused(linear(y ~ v, data), "v.*numeric, logical, a factor or character")
})

test_that("times that are lists of their parts are read as the times that they are", {
  data <- timed()
  lists <- data
  lists$at <- as.POSIXlt(data$at)
  fits <- list(linear(y ~ at + x, data), linear(data[c("at", "x")], data$y))
  for (fit in fits) expect_identical(predict(fit, lists), predict(fit, data))
  expect_identical(coef(linear(y ~ at + x, lists)), coef(fits[[1]]))
  expect_identical(coef(linear(lists[c("at", "x")], data$y)), coef(fits[[2]]))
  expect_identical(predict(linear(y ~ at + x, lists)), predict(fits[[1]]))
  expect_identical(effects(fits[[1]], newdata = lists)$effects, effects(fits[[1]], newdata = data)$effects)
  validated <- quick(y ~ at + x, data, validation = lists[1:9, ])
  expect_true(all(is.finite(validated$history$val_loss)))
  expect_refused(predict(fits[[1]], data.frame(at = I(lists$at), x = 1)), "variable 'at'.*as.POSIXct\\(\\)")
  expect_refused(linear(at ~ x, lists), "`at` is of class \"POSIXct\"")
  expect_refused(fit_vae(lists[c("x", "at")]), "`at` is of class \"POSIXct\"")
})

test_that("survival times are refused where no family of theirs is", {
  skip_if_not_installed("survival")
  data <- timed()
  data$time <- getExportedValue("survival", "Surv")(data$x + 2, rep(0:1, 20))
  for (family in c("gaussian", "poisson", "ordinal")) {
    expect_refused(linear(time ~ x, data, family = family), "`time` is a survival time: its family must be")
    expect_refused(linear(data["x"], data$time, family = family), "`y` is a survival time: its family must be")
  }
  expect_refused(linear(y ~ time, data), "`time`.*\"Surv\"")
})

test_that("classes whose doubles are their numbers are taken as they are", {
  data <- timed()
  truth <- coef(linear(y ~ x, data))
  data$series <- stats::ts(data$x, start = 1990)
  data$label <- structure(data$x, label = "a label", class = c("labelled", "numeric"))
  data$kept <- I(data$x)
  for (name in c("series", "label", "kept"))
    expect_equal(unname(coef(linear(stats::reformulate(name, "y"), data))), unname(truth), label = name)
  expect_equal(predict(linear(y ~ splines::ns(x, 3), data), data),
               predict(lm(y ~ splines::ns(x, 3), data), data), tolerance = 1e-5)
})

# ---- malformed data frames

test_that("data frames and factors that R's own functions would not make are named", {
  short <- mtcars[1:6, c("mpg", "wt", "hp")]
  fits <- list(fit_nn(mpg ~ wt + hp, short, hidden = 0), fit_ae(short, epochs = 1, hidden = 2, latent = 1))
  uneven <- structure(list(mpg = 1:3, wt = c(1, 2, 3), hp = 1:2), row.names = 1:3, class = "data.frame")
  lacking <- structure(list(mpg = 1:3, wt = NULL, hp = 1:3), row.names = 1:3, class = "data.frame")
  lacking["wt"] <- list(NULL)
  for (fit in fits) {
    expect_refused(predict(fit, uneven), "Column `hp` of `newdata` has 2 values, and there are 3 rows")
    for (odd in list(nn_control(), fit, 3 ~ 4)) expect_refused(predict(fit, odd), "`newdata` must be a data frame")
  }
  expect_refused(fit_nn(uneven, 1:3), "Column `hp` of `x`")
  expect_refused(fit_vae(uneven), "Column `hp` of `x`")
  expect_refused(fit_nn(short, uneven), "Column `hp` of `y`")
  code <- structure(c(1L, 9L, 2L), levels = c("a", "b"), class = "factor")
  odd <- structure(list(x = code, z = 1:3), row.names = 1:3, class = "data.frame")
  expect_refused(fit_vae(odd), "Column `x` of `x` is a factor whose codes or levels are malformed")
  expect_refused(fit_nn(odd, 1:3), "Column `x` of `x` is a factor")
})

test_that("contrasts that would be passed over are refused", {
  cars <- transform(mtcars, cyl = factor(cyl))
  for (bad in list(c(cyl = "contr.sum"), ~ cyl, "contr.sum", list("contr.sum")))
    expect_refused(fit_nn(mpg ~ cyl, cars, hidden = 0, contrasts = bad), "`contrasts` must be a list named by factors")
  sums <- function(...) fit_nn(mpg ~ cyl + wt, cars, hidden = 0, contrasts = list(...))
  expect_refused(sums(wt = "contr.sum"), "`wt`, which is no factor")
  expect_refused(sums(cy = "contr.sum"), "did you mean \"cyl\"")
})

# ---- names, levels and columns of a class that they cannot have

test_that("names and levels with a class or dimensions are words", {
  short <- transform(mtcars[1:9, c("mpg", "wt")], cyl = factor(mtcars$cyl[1:9]))
  fits <- list(quick(mpg ~ wt + cyl, short), fit_bayes_nn(mpg ~ wt + cyl, short, hidden = 2, members = 2, epochs = 1),
               fit_vae(short, hidden = 2, latent = 1, epochs = 1))
  as_odd <- list(function(x) structure(x, class = "matrix"), function(x) structure(x, class = "POSIXlt"),
                 function(x) structure(x, class = "Date"), function(x) structure(x, dim = length(x)))
  for (odd in as_odd) {
    names <- rows <- levels <- short
    attr(names, "names") <- odd(names(short))
    attr(rows, "row.names") <- odd(row.names(short))
    attr(levels$cyl, "levels") <- odd(levels(short$cyl))
    for (data in list(names, rows, levels)) {
      expect_identical(predict(fits[[1]], data), predict(fits[[1]], short))
      expect_identical(dim(posterior_epred(fits[[2]], data, draws = 2)), c(2L, 9L))
      expect_identical(encode(fits[[3]], data), encode(fits[[3]], short))
      expect_silent(fit_vae(data, hidden = 2, latent = 1, epochs = 1))
      expect_silent(fit_nn(data, 1:9, hidden = 2, epochs = 1))
    }
  }
})

test_that("columns that are not of their class are refused by name, whoever reads them", {
  columns <- list(
    short_time = structure(unclass(as.POSIXlt(Sys.time() + 1:3))[1:3], class = c("POSIXlt", "POSIXt")),
    no_time = structure(c(1, 2, 3), class = "POSIXlt"),
    no_frame = structure(c(1, 2, 3), class = "data.frame")
  )
  two <- mtcars[1:9, c("mpg", "wt")]
  by_frame <- quick(mpg ~ wt, two)
  by_matrix <- fit_nn(as.matrix(two["wt"]), two$mpg, hidden = 2, epochs = 1)
  ae <- fit_ae(two, hidden = 2, latent = 2, epochs = 1)
  for (column in columns) {
    odd <- structure(list(mpg = 1:3, wt = column), row.names = 1:3, class = "data.frame")
    says <- function(what) sprintf("Column `wt` of `%s` is of class \"[^\"]+\", but", what)
    for (fit in list(by_frame, by_matrix)) expect_refused(predict(fit, odd), says("newdata"))
    expect_refused(encode(ae, odd), says("newdata"))
    expect_refused(decode(ae, odd), says("z"))
    expect_refused(fit_vae(odd), says("x"))
    expect_refused(fit_nn(odd, 1:3), says("x"))
    expect_refused(fit_nn(mpg ~ wt, odd), says("data"))
  }
})

test_that("codes in a data frame are numbers, times among them none", {
  ae <- fit_ae(mtcars[1:9, c("mpg", "wt")], hidden = 2, latent = 2, epochs = 1)
  codes <- data.frame(a = 1:3)
  codes$b <- as.POSIXlt(Sys.time() + 1:3)
  codes$b$sec <- codes$b$sec * 1e100
  expect_refused(decode(ae, codes), "Column `b` of `z` is of class \"POSIXlt\"")
  codes$b <- Sys.Date()
  expect_refused(decode(ae, codes), "Column `b` of `z` is of class \"Date\"")
  codes$b <- 0
  expect_identical(decode(ae, codes), decode(ae, as.matrix(codes)))
})

test_that("columns of one name are read by their places where the model has no names", {
  x <- unname(as.matrix(mtcars[2:3]))
  fit <- fit_nn(x, mtcars$mpg, hidden = 0)
  twins <- stats::setNames(mtcars[2:3], c("a", "a"))
  expect_equal(unname(predict(fit, twins)), unname(predict(fit, x)))
})

test_that("factors and names that are malformed are seen without a data frame, too", {
  y <- cos(1:9)
  g <- structure(rep(1:3, 3), levels = "a", class = "factor")
  expect_refused(fit_nn(y ~ g, hidden = 1, epochs = 1), "malformed")
  expect_refused(fit_ae(~ y + g, hidden = 1, latent = 1, epochs = 1), "Column `g` of the data is a factor whose codes")
  g <- structure(factor(rep(1:3, 3)), names = structure(letters[1:9], class = "POSIXlt"))
  expect_silent(fit_ae(~ y + g, hidden = 1, latent = 1, epochs = 1))
  expect_silent(fit_nn(cbind(a = 1:9), g, hidden = 1, epochs = 1))
})

test_that("attributes of a response that vectors have not are left behind", {
  y <- structure(mtcars$mpg, note = 1:1e9)
  fit <- fit_nn(as.matrix(mtcars[2:3]), y, hidden = 2, epochs = 1)
  expect_null(attr(fit$response, "note"))
  d <- mtcars[2:3]
  d$disp <- structure(d$disp, note = 1:1e6)
  expect_identical(encode(ae <- fit_ae(mtcars[2:3], epochs = 2), d), encode(ae, mtcars[2:3]))
  attr(d$disp, "levels") <- 1:1e9 # numbers have none
  expect_identical(encode(ae, d), encode(ae, mtcars[2:3]))
  expect_error(fit_nn(mpg ~ wt, mtcars, family = "quantile", tau = 1:1e9), "`tau` must be", class = "varnn_error")
})

test_that("an array is a column where it has one number for each row, and refused where not", {
  fit <- fit_nn(mpg ~ wt + hp, mtcars, epochs = 2)
  with_array <- function(size) {
    data <- mtcars[1:9, c("mpg", "wt")]
    structure(c(as.list(data), list(hp = array(mtcars$hp[1:9], size))), row.names = 1:9, class = "data.frame")
  }
  one <- with_array(c(9, 1, 1))
  expect_equal(predict(fit, one), predict(fit, mtcars[1:9, ]), ignore_attr = TRUE)
  set.seed(1)
  by_array <- fit_nn(mpg ~ wt + hp, one, epochs = 2)
  set.seed(1)
  expect_identical(by_array$theta, fit_nn(mpg ~ wt + hp, mtcars[1:9, ], epochs = 2)$theta)
  for (size in list(c(9, 2, 2), c(9, 0), c(9, 1, 0))) {
    words <- sprintf("Column `hp` of .* is an array of size %s", paste(size, collapse = " x "))
    expect_refused(predict(fit, with_array(size)), words)
    expect_refused(fit_nn(mpg ~ wt + hp, with_array(size), epochs = 2), words)
  }
})
