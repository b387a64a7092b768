# A network as caret's train() takes it.

#' A network for caret
#'
#' The list by which `train()` of the package caret knows a model: `train(x, y, method = caret_model())`. Its
#' parameters are the units of one hidden layer, `hidden`, and the `penalty` of [fit_nn()].
#'
#' @param bayes tune [fit_bayes_nn()] in place of [fit_nn()]; its parameter is `hidden` alone.
#' @return A list, as `caret::getModelInfo()` has them. `train()` passes further arguments on to the fit.
#' @seealso [fit_nn()], [details_mlp_varnn] for tidymodels.
#' @examples
#' if (requireNamespace("caret", quietly = TRUE)) {
#'   set.seed(1)
#'   caret::train(mpg ~ wt + hp, mtcars, method = caret_model(), epochs = 20,
#'                tuneGrid = data.frame(hidden = 4, penalty = 0),
#'                trControl = caret::trainControl("none"))
#' }
#' @export
caret_model <- function(bayes = FALSE) {
  bayes <- check_flag(bayes, "bayes")
  fit <- if (bayes) fit_bayes_nn else fit_nn
  parameters <- data.frame(parameter = c("hidden", "penalty"), class = "numeric", label = c("Hidden units", "Penalty"))
  parameters <- parameters[seq_len(if (bayes) 1 else 2), ]
  grid <- function(x, y, len = NULL, search = "grid") {
    units <- if (search == "random") sample.int(64, len, replace = TRUE) else 2^(1 + seq_len(len))
    if (bayes) return(data.frame(hidden = unique(units)))
    if (search == "random") return(data.frame(hidden = units, penalty = 10^stats::runif(len, -5, -1)))
    expand.grid(hidden = units, penalty = c(0, 10^-seq(5, 1, length.out = max(len - 1, 0))))
  }
  list(label = "Neural network", library = "varnn", loop = NULL, type = c("Regression", "Classification"),
       parameters = parameters, grid = grid,
       fit = function(x, y, wts, param, lev, last, weights, classProbs, ...) {
         do.call(fit, c(list(quote(x), quote(y), weights = quote(wts)), as.list(param), list(...)))
       },
       predict = function(modelFit, newdata, submodels = NULL) {
         is_class <- modelFit$problemType == "Classification"
         as.vector(stats::predict(modelFit, newdata, type = if (is_class) "class" else "response"))
       },
       prob = function(modelFit, newdata, submodels = NULL) {
         as.data.frame(stats::predict(modelFit, newdata, type = "prob"))
       },
       levels = function(x) x$obsLevels, predictors = function(x, ...) variable.names.varnn(x),
       tags = c("Neural Network", "Accepts Case Weights"), sort = function(x) x[do.call(order, unname(as.list(x))), ])
}
