# Sizes are 32-bit integers in R and C, and their products are not: none is taken without a double or a size_t in it.

# ---- R: a walk over the functions of the package

size_calls <- c("length", "nrow", "ncol", "NROW", "NCOL", "nlevels", "lengths")
size_fields <- c("n_x", "n_obs", "size", "n_responses")

is_size <- function(e) {
  if (is.call(e) && identical(e[[1]], quote(`(`))) return(is_size(e[[2]]))
  if (is.call(e) && as.character(e[[1]])[1] %in% c("[", "[[") && is.call(e[[2]]))
    return(identical(e[[2]][[1]], quote(dim)))
  if (is.call(e) && identical(e[[1]], quote(`$`))) return(as.character(e[[3]]) %in% size_fields)
  is.call(e) && as.character(e[[1]])[1] %in% size_calls
}

# The products of two sizes in an expression, as text.
size_products <- function(e) {
  if (is.function(e)) return(c(size_products(formals(e)), size_products(body(e))))
  if (is.pairlist(e) || is.expression(e)) return(unlist(lapply(as.list(e), size_products)))
  if (!is.call(e)) return(NULL)
  is_product <- identical(e[[1]], quote(`*`)) && length(e) == 3 && is_size(e[[2]]) && is_size(e[[3]])
  c(if (is_product) deparse1(e), unlist(lapply(as.list(e), function(part) if (!missing(part)) size_products(part))))
}

test_that("no function multiplies two sizes", {
  space <- asNamespace("varnn")
  functions <- Filter(is.function, mget(ls(space, all.names = TRUE), space))
  expect_gt(length(functions), 500)
  expect_identical(unlist(lapply(functions, size_products)), NULL)
})

test_that("the walk finds such products", {
  planted <- list(function(x) length(x) * ncol(x) > 1e9, function(x) if (nrow(x) * (ncol(x)) > 3) 1,
                  function(spec, x) spec$n_x * NROW(x), function(x) dim(x)[1] * dim(x)[2],
                  function(x, n = length(x) * nlevels(x)) n)
  for (f in planted) expect_length(size_products(f), 1)
  sound <- list(function(x) prod(dim(x), ncol(x)), function(x) 2 * length(x) * ncol(x), function(x) length(x)^2)
  for (f in sound) expect_null(size_products(f))
})

# ---- C: lines of the sources, where these are at hand

c_sizes <- "(rows|cols|size|n_x|n_y|n_eta|n_obs|n_par)"
c_product <- paste0("(?<![\\w.>])(?<!\\((?:size_t|double)\\))(?:\\w+(?:\\[\\w+\\])?(?:->|\\.))+", c_sizes, " \\* ",
                    "(?:\\w+(?:\\[\\w+\\])?(?:->|\\.))+", c_sizes, "\\b")
narrowed <- "\\(int\\)size\\b"

# Lines with a product of two fields that are sizes and int, or with a size_t made an int.
narrow_lines <- function(lines) {
  code <- sub("/[*].*", "", lines)
  lines[grepl(c_product, code, perl = TRUE) | grepl(narrowed, code)]
}

test_that("no line of C multiplies two sizes in int, or makes a size an int", {
  folder <- testthat::test_path("..", "..", "src")
  skip_if_not(dir.exists(file.path(folder, "engine")))
  for (file in list.files(folder, "[.][ch]$", recursive = TRUE, full.names = TRUE))
    expect_identical(narrow_lines(readLines(file)), character(), label = basename(file))
})

test_that("such lines are found", {
  planted <- c("m->joint.start += leaf.rows * leaf.cols;", "size_t n = l->rows * l->cols;",
               "  vmath_sqrt((int)size, sd, sd);", "x = s->n_x * m.n_obs;")
  expect_identical(narrow_lines(planted), planted)
  expect_length(narrow_lines(c("m->n_par += (size_t)leaf.rows * leaf.cols;", "double n = (double)l->rows * l->cols;",
                               "/* rows * cols */", "t += w.rows * by;")), 0)
})

# ---- what sizes of data that no test can hold do

test_that("the rank of many columns is left out, not overflown", {
  sizes <- list(list(1e5, 1001), list(2^31, 500), list(1e9, 1000))
  for (size in sizes) {
    expect_no_warning(found <- linear_columns(list(layer = "dense", n_x = size[[2]]), list(n = size[[1]]), TRUE))
    expect_null(found)
  }
})

test_that("covariances of many weights are refused, not overflown", {
  expect_no_warning(expect_refused(fit_bayes_nn(mpg ~ wt, mtcars, hidden = c(60000, 60000), posterior = "full"),
                                   "3,600,300,001 weights|fewer hidden units"))
})

test_that("sizes of a layout are doubles", {
  layout <- spec_layout(new_spec(3, list(layer("dense", 2, "bias")), list(a_block("gaussian", 2))))
  expect_type(layout$leaves$rows, "double")
  expect_type(layout$leaves$cols, "double")
  for (size in c("n_par", "n_eta", "n_y", "z_rows")) expect_type(layout[[size]], "double")
})

test_that("vectors longer than an integer can say are named in errors", {
  long <- 1:2^31 # no memory is taken
  expect_refused(nn_control(epochs = long), "a vector of length 2147483648")
  expect_refused(fit_nn(cars_x(), long), "`y` has 2147483648 rows and `x` has 32")
})
