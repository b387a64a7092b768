# Shared by the tests of what users type: fits that must equal lm() and glm(), and quick ones.

# fit_nn() without hidden layers, trained to the optimum: the (generalised) linear model. A call, as weights and subset
# are found in the data.
linear <- function(...) {
  call <- match.call()
  call[[1]] <- quote(fit_nn)
  call$hidden <- 0
  call$optimizer <- "lbfgs"
  eval(call, parent.frame())
}

# A small network, hardly trained.
quick <- function(...) {
  call <- match.call()
  call[[1]] <- quote(fit_nn)
  if (is.null(call$hidden)) call$hidden <- 2
  if (is.null(call$epochs)) call$epochs <- 6
  eval(call, parent.frame())
}

# One column of each type.
cars_of_types <- function() {
  cars <- mtcars[c("mpg", "wt", "hp")]
  cars$cyl <- factor(mtcars$cyl)
  cars$gear <- ordered(mtcars$gear)
  cars$many <- ifelse(mtcars$carb > 2, "many", "few")
  cars$manual <- mtcars$am == 1
  cars$when <- as.Date("2020-01-01") + c(17, 3, 29, 11) * seq_len(32)
  cars
}

iris_two <- function() droplevels(iris[51:150, ])

cars_x <- function() as.matrix(mtcars[c("wt", "hp")])

# Values and names, as two fits to the same data by different optimizers can agree.
expect_same <- function(object, expected, tolerance = 1e-5, ...) {
  testthat::expect_equal(object, expected, tolerance = tolerance, ...)
}

# A fit to data that are gone: the function that had them has returned, and the fit was saved and read.
saved_fit <- function(...) {
  make <- function() {
    own <- mtcars
    fit_nn(mpg ~ wt, own, ...)
  }
  file <- tempfile(fileext = ".rds")
  on.exit(unlink(file))
  saveRDS(make(), file)
  readRDS(file)
}

# That the call is an error with such a message; a block goes on when it is not.
expect_refused <- function(call, regexp, label = deparse(substitute(call))[1]) {
  said <- tryCatch({
    force(call)
    "(no error)"
  }, error = conditionMessage)
  testthat::expect_match(said, regexp, label = paste("the error of", label))
}

source_root <- function() {
  root <- normalizePath(file.path("..", ".."))
  has <- file.exists(file.path(root, c("vignettes/engine.Rmd", "src/engine", "R", "DESCRIPTION")))
  if (all(has)) root
}
