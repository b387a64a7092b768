# Mistakes that are made more rarely, by the place where they are found.

test_that("a family of one's own that is not one", {
  own <- function(...) custom_family("own", ...)
  nll <- ~ (y - mu)^2 / 2 + log(2 * pi) / 2
  expect_refused(custom_family(nll = nll), "`name` must be what the family is called")
  expect_refused(custom_family(3, nll = nll), "`name` must be what the family is called, a string")
  expect_refused(own(), "`nll` must be a formula.*missing")
  expect_refused(own(nll = "mu"), "`nll` must be a formula.*\"mu\"")
  expect_refused(own(nll = nll, eta = character()), "`eta` must have the name of an output")
  expect_refused(own(nll = nll, eta = letters[1:8]), "9 arguments, and a program has 8 at most")
  expect_refused(own(nll = nll, free = "s"), "does not depend on all of")
  expect_refused(own(nll = nll, mean = ~ 3), "does not depend on mu")
  expect_refused(own(nll = nll, mean = 3), "`mean` must be a formula or a function, not 3")
  of_length <- own(nll = nll, draw = function(mu) 1:3)
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 0, family = of_length)
  expect_refused(simulate(fit), "`draw` of custom_family\\(\"own\"\\) must give a number for each row")
})

test_that("an expression that is no program", {
  program <- function(nll) custom_family("own", nll = nll)
  expect_refused(program(~ (y - mu)^2 + "a"), "\"a\" is no number")
  expect_refused(program(~ exp(, mu)), "an argument is missing")
  expect_refused(program(~ (function(x) x)(mu) + y), "which is no function's name")
  expect_refused(program(~ exp(y = mu) + y), "has the argument `x` alone here")
  expect_refused(program(function(y, mu) { }), "it has no value")
  expect_refused(program(function(y, mu) {
    mu
    y - mu
  }), "mu is no assignment to a name")
  size <- 1:2
  expect_refused(program(~ size * (y - mu)^2), "`size` has length 2")
  nested <- Reduce(function(e, i) call("exp", e), 1:300, quote(mu))
  expect_refused(program(eval(bquote(~ y + .(nested)))), "nested in more than")
  formula_of <- function(e) structure(call("~", e), class = "formula", .Environment = globalenv())
  doubled <- Reduce(function(e, i) call("+", e, e), 1:40, quote(mu))
  for (e in list(doubled, call("+", quote(mu), 1:1e10), as.call(c(as.name("max"), rep(list(1), 1e6)))))
    expect_refused(program(formula_of(e)), "`nll` is too long: it has more than 1,000 steps")
  twin <- program(function(y, mu) {
    e <- +y - mu
    return(base::log(2 * pi) / 2 + e^2 / 2)
  })
  expect_equal(coef(fit_nn(mpg ~ wt, mtcars, hidden = 0, family = twin)), coef(lm(mpg ~ wt, mtcars)), tolerance = 1e-6)
})

test_that("a prior of one's own that is none", {
  expect_refused(prior_custom(~ 3 + 0 * w), "does not depend on w")
  expect_refused(prior_custom(~ w), "the density is infinite, or its integral is")
})

test_that("responses and families that do not go together", {
  expect_refused(fit_nn(matrix(1:4 + 0, 4), complex(4)), "must be numeric, logical, a factor or character, not complex")
  expect_refused(fit_nn(am ~ wt, transform(mtcars, am = survival::Surv(mpg, am)), family = "gaussian"),
                 "is a survival time: its family must be one of")
  expect_refused(nn_family("student_t", df = 3, df = 4), "`df` is given twice")
  expect_refused(fit_nn(cbind(mpg, hp) ~ wt, mtcars, family = c(mpg = "gaussian", mpg = "huber")),
                 "`family` names `mpg` twice")
  expect_refused(fit_nn(mtcars["wt"], list(1, 2)), "`y` must be a vector, factor, matrix or data frame")
  expect_refused(fit_nn(mtcars["wt"], matrix("a", 32, 2)), "must be numeric, logical or a factor, not a matrix")
  expect_refused(fit_nn(mtcars["wt"], matrix(0, 32, 0)), "has no columns")
  expect_refused(fit_nn(mtcars["wt"], rep(1e200, 32)), "values too large: change its unit")
})

test_that("predictors that are none", {
  expect_refused(fit_nn(mpg ~ 1, mtcars), "has no predictors")
  expect_refused(fit_nn(mtcars[0], mtcars$mpg), "`x` has no columns")
  expect_refused(fit_nn(matrix(0, 32, 0), mtcars$mpg), "`x` has no columns")
  expect_refused(fit_nn(stats::setNames(mtcars[2:3], c("a", "a")), mtcars$mpg), "two columns named `a`")
  expect_refused(fit_nn(matrix(1e200 * 1:32), mtcars$mpg), "values too large.*change its unit")
})

test_that("a formula without an environment", {
  for (formula in list(mpg ~ wt, ~ wt)) for (without in list(NULL, integer())) {
    attr(formula, ".Environment") <- without
    for (f in if (length(formula) == 3) list(fit_nn, fit_bayes_nn, fit_vae) else list(fit_ae, fit_vae))
      expect_refused(f(formula, mtcars), "`formula` has no environment")
  }
})

test_that("rows that are held out and are not like the others", {
  like <- function(...) fit_nn(mpg ~ wt, mtcars, hidden = 2, epochs = 2, validation = transform(mtcars, ...))
  expect_refused(like(mpg = "a"), "must be numeric as in training")
  expect_refused(like(mpg = Inf), "has infinite values")
  expect_refused(fit_nn(mpg ~ wt, mtcars, hidden = 2, validation = mtcars["wt"]), "The response is not in")
  species <- function(y) fit_nn(Species ~ ., iris, hidden = 2, epochs = 2, validation = transform(iris, Species = y))
  expect_refused(species("rose"), "has a level that the training data had not: \"rose\"")
})

test_that("new data of autoencoders", {
  set.seed(1)
  fit <- fit_ae(iris, latent = 1, hidden = 0, epochs = 5)
  expect_refused(encode(fit, iris[-5]), "has no column `Species`")
  expect_refused(encode(fit, transform(iris, Species = "rose")), "has a level that the training data had not: \"rose\"")
  expect_refused(encode(fit, transform(iris, Species = 1)), "must be factor as in training, not numeric")
  expect_refused(encode(fit, transform(iris, Sepal.Length = Inf)), "has infinite values")
  wide <- iris
  wide$Sepal.Length <- I(as.matrix(iris[1:2]))
  expect_refused(encode(fit, wide), "must be a vector as in training")
  numbers <- fit_ae(as.matrix(iris[1:4]), latent = 1, hidden = 0, epochs = 5)
  expect_refused(encode(numbers, matrix("a", 2, 4)), "must be a numeric matrix of 4 columns")
  expect_refused(encode(numbers, matrix(0, 2, 3)), "has 3 columns, the model was trained on 4")
  expect_refused(encode(numbers, as.matrix(iris[2:4])), "has no column `Sepal.Length`")
  expect_equal(encode(numbers, as.matrix(iris[4:1])), encode(numbers))
  words <- fit_ae(iris["Species"], latent = 1, hidden = 0, epochs = 5)
  expect_refused(sigma(words), "sigma\\(\\) needs numeric columns")
  expect_refused(fit_ae(iris[1:4], hidden = list(encoder = c(4, 3), decoder = 4), activation = c("relu", "tanh")),
                 "`activation` must be one where the decoder does not mirror the encoder")
})

test_that("what a conditional model is given", {
  set.seed(1)
  fit <- fit_vae(. ~ Species, iris, latent = 1, hidden = 2, epochs = 3)
  z <- matrix(0, 3, 1)
  expect_refused(decode(fit, z), "The model is conditional: give `newdata` with \"Species\"")
  expect_refused(decode(fit, z, newdata = iris[1:2, ]), "`newdata` has 2 rows, and there are 3 codes")
  expect_refused(decode(fit, z, newdata = data.frame(Species = factor(c("setosa", NA, NA)))),
                 "has missing values in \"Species\"")
  expect_refused(compare_pca(fit), "does not apply to a conditional model")
  expect_refused(fit_vae(. ~ Sepal.Length + Sepal.Width, iris[1:2]), "all columns are on the right")
  with_gap <- replace(iris, cbind(3, 1), NA)
  expect_refused(fit_vae(. ~ Species, with_gap, na.action = na.fail), "in 1 rows, and `na.action` is na.fail")
  expect_refused(fit_vae(. ~ Species, transform(iris, Species = NA_character_)), "missing value|no value")
  dropped <- fit_vae(. ~ Species, with_gap, latent = 1, hidden = 2, epochs = 2, na.action = na.omit)
  expect_equal(nobs(dropped), 149)
  expect_identical(class(dropped$na.action), "omit")
  excluded <- fit_vae(. ~ Species, with_gap, latent = 1, hidden = 2, epochs = 2, na.action = na.exclude)
  expect_true(all(is.na(encode(excluded)[3, ])))
})

test_that("methods of Bayesian networks", {
  set.seed(1)
  fit <- fit_bayes_nn(mpg ~ wt, mtcars, hidden = 2, posterior = "meanfield", epochs = 5)
  expect_refused(predict(fit, type = "draws", interval = "confidence"), "does not apply to `type` = \"draws\"")
  expect_refused(predict(fit, type = "link", interval = "confidence"), "`interval` is of the response")
  of_matrix <- fit_bayes_nn(as.matrix(mtcars["wt"]), mtcars$mpg, hidden = 2, posterior = "meanfield", epochs = 5)
  expect_refused(elbo(of_matrix, as.matrix(mtcars["wt"])), "`y` is missing")
  expect_refused(elbo(of_matrix, as.matrix(mtcars["wt"]), y = 1:3), "`y` has 3 rows and `newdata` has 32")
  ci <- predict(fit, interval = "confidence")
  expect_identical(rownames(ci), rownames(mtcars))
  plain <- fit_nn(mpg ~ wt, mtcars, hidden = 2, members = 2, epochs = 3)
  expect_refused(as.matrix(plain), "needs a posterior to draw from")
  expect_refused(elbo(plain), "fit_bayes_nn")
  expect_refused(check_gradients(plain), "must be one network, not a mixture")
  trials <- fit_nn(cbind(ncases, ncontrols) ~ agegp, esoph, hidden = 0, family = "binomial")
  expect_refused(calibration(trials), "not for successes and failures")
})

test_that("quantiles of draws are those of quantile(), or of the weighted draws", {
  set.seed(2)
  x <- matrix(stats::rnorm(60), 4)
  probs <- c(0, 0.1, 0.5, 0.95, 1)
  of_rows <- function(x, type) unname(t(apply(x, 1, stats::quantile, probs, type = type)))
  equal <- rep(1 / 15, 15)
  expect_equal(varnn:::row_quantiles(x, probs, equal), of_rows(x, 7))
  counts <- matrix(stats::rpois(60, 3), 4)
  expect_equal(varnn:::row_quantiles(counts, probs, equal, TRUE), of_rows(counts, 1))
  times <- rep(1:3, 5)
  repeated <- x[, rep(1:15, times)]
  expect_equal(varnn:::row_quantiles(x, probs, times / sum(times)), of_rows(repeated, 1))
})

test_that("limits of a picture, row numbers and names of predictors that are none: R does not warn in its own words", {
  fit <- fit_nn(mpg ~ wt, mtcars, hidden = 0)
  pdf(NULL)
  on.exit(dev.off())
  for (limits in list(c(TRUE, NA), 1, c(0, Inf), "a", c(NA, 1)))
    expect_no_warning(expect_refused(plot(fit, "fit", xlim = limits), "`xlim` must be two numbers"))
  expect_error(plot(effects(fit, "wt"), ylim = NA), "`ylim` must be two numbers", class = "varnn_error")
  expect_no_warning({
    expect_refused(fit_nn(mpg ~ wt, mtcars, subset = 1e10), "`subset` has the number 1e")
    expect_error(model.frame(fit, subset = 1e200), "no such row", class = "varnn_error")
    expect_error(effects(fit, "\xff\xfe"), "must be one of", class = "varnn_error")
  })
})
