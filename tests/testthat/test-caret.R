# caret trains a network as it trains its own models.

skip_if_not_installed("caret")
attached <- search()

test_that("train() takes a network for numbers and classes", {
  set.seed(1)
  fit <- caret::train(mpg ~ wt + hp, mtcars, method = caret_model(), epochs = 3,
                      tuneGrid = data.frame(hidden = c(0, 2), penalty = 0),
                      trControl = caret::trainControl("cv", 2))
  expect_s3_class(fit$finalModel, "varnn_nn")
  d <- mtcars[3:1, rev(names(mtcars))]
  expect_equal(unname(predict(fit, d)), unname(predict(fit$finalModel, as.matrix(d[c("wt", "hp")]))))
  expect_length(predict(fit, d[1, ]), 1)
  one <- caret::trainControl("none")
  linear <- caret::train(mtcars[c("wt", "hp")], mtcars$mpg, method = caret_model(), weights = rep(1:2, 16),
                         tuneGrid = data.frame(hidden = 0, penalty = 0), trControl = one)
  expect_equal(coef(linear$finalModel), coef(lm(mpg ~ wt + hp, mtcars, weights = rep(1:2, 16))), tolerance = 1e-6)
  one$classProbs <- TRUE
  classes <- caret::train(iris[1:4], iris$Species, method = caret_model(bayes = TRUE), epochs = 20, trControl = one,
                          tuneGrid = data.frame(hidden = 3))
  expect_s3_class(classes$finalModel, "varnn_bayes_nn")
  expect_identical(levels(predict(classes, iris[1:2, 1:4])), levels(iris$Species))
  prob <- predict(classes, iris[1:2, 1:4], type = "prob")
  expect_named(prob, levels(iris$Species))
  expect_identical(dim(prob), c(2L, 3L))
})

test_that("the grids are data frames of the parameters", {
  for (bayes in c(FALSE, TRUE)) for (search in c("grid", "random")) {
    model <- caret_model(bayes)
    grid <- model$grid(iris[1:4], iris$Species, len = 3, search = search)
    expect_named(grid, model$parameters$parameter)
  }
})

# train() attaches packages.
for (name in setdiff(search(), attached)) detach(name, character.only = TRUE)
