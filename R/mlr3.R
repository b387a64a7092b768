# Learners of mlr3: what it calls of varnn, and how it reads the answer. Their classes are made when a learner is asked
# for, as those that they inherit from are mlr3's.

#' Learners of mlr3: `"regr.varnn"` and others
#'
#' With `library(varnn)` the package mlr3 has the learners `"regr.varnn"` and `"classif.varnn"`, which are [fit_nn()],
#' and `"regr.varnn_bayes"` and `"classif.varnn_bayes"`, which are [fit_bayes_nn()], as in `lrn("regr.varnn", hidden =
#' 8)`. They need mlr3 1.0.0 or later.
#'
#' @section Arguments:
#' The parameters are the arguments of the fitting function and of [nn_control()]; what is not given has their defaults.
#' `epochs`, `learn_rate` and `penalty` have a type, so that they can be tuned by their range. The weights of the task
#' are `weights`.
#'
#' @section Predictions:
#' Of numbers `predict_type` is `"response"`, `"se"` (the standard error of the mean, of a Bayesian network its
#' posterior standard deviation; other networks have it without hidden layers alone) or `"quantiles"` (of the predictive
#' distribution); of classes `"response"` or `"prob"`. They are those of `predict()` and [augment()][augment.varnn] of
#' the fit itself, which is `learner$model`.
#'
#' As of `"regr.lm"`, mlr3 refuses missing values and levels in another order than those of training before the learner
#' sees them; mlr3pipelines can impute and fix these. Dates and times are predictors as in [fit_nn()]. A task has one
#' response.
#' @seealso [predict.varnn_bayes_nn()], [details_mlp_varnn] for tidymodels, [caret_model()].
#' @examples
#' if (requireNamespace("mlr3", quietly = TRUE)) {
#'   learner <- mlr3::lrn("regr.varnn", hidden = 4, epochs = 20)
#'   task <- mlr3::as_task_regr(mtcars[c("mpg", "wt", "hp")], "mpg")
#'   set.seed(1)
#'   learner$train(task)
#'   learner$predict(task)
#' }
#' @name mlr3_learners
NULL

mlr3_fits <- c(varnn = "fit_nn", varnn_bayes = "fit_bayes_nn")

register_mlr3 <- function() {
  for (task in c("regr", "classif")) for (engine in names(mlr3_fits)) {
    make <- substitute(function() mlr3_learner(task, engine), list(task = task, engine = engine))
    mlr3::mlr_learners$add(paste(task, engine, sep = "."), eval(make))
  }
}

mlr3_learner <- function(task, engine) {
  check_package("mlr3", sprintf("lrn(\"%s.%s\")", task, engine))
  mlr3_class(task, mlr3_fits[[engine]], paste(task, engine, sep = "."))$new()
}

utils::globalVariables(c("self", "private", "super")) # which R6 has for the methods of a class

mlr3_class <- function(task, fit, id) {
  own <- mlr3_tasks()[[task]]
  parent <- own$parent
  R6::R6Class(id, inherit = parent, public = list(initialize = function() {
    super$initialize(id = id, param_set = mlr3_parameters(fit), predict_types = own$predict_types,
                     feature_types = c("logical", "integer", "numeric", "character", "factor", "ordered", "POSIXct",
                                       "Date"),
                     properties = own$properties, packages = c("mlr3", "varnn"), label = "Neural network",
                     man = "varnn::mlr3_learners")
  }), private = list(.train = function(task) {
    data <- list2env(c(mlr3_data(task), list(w = private$.get_weights(task))))
    do.call(fit, c(list(quote(x), quote(y), weights = quote(w)), self$param_set$get_values(tags = "train")),
            envir = data)
  }, .predict = function(task) {
    own$predictions[[self$predict_type]](self$model, mlr3_data(task)$x, self, private)
  }))
}

mlr3_data <- function(task) {
  frame <- as.data.frame(task$data())
  list(x = frame[task$feature_names], y = frame[[task$target_names]])
}

# Of each task what a learner can, and its predictions: functions of the fit, the data, and the learner with its
# private part.
mlr3_tasks <- function() {
  regr <- list(response = function(fit, x, self, private) list(response = unname(stats::predict(fit, x))),
               se = function(fit, x, self, private) {
                 found <- augment.varnn(fit, newdata = x, se_fit = TRUE)
                 list(response = found$.fitted, se = found$.se.fit)
               }, quantiles = function(fit, x, self, private) {
                 q <- unname(stats::predict(fit, x, type = "quantile", probs = private$.quantiles))
                 list(quantiles = structure(q, probs = private$.quantiles, response = private$.quantile_response))
               })
  classif <- list(response = function(fit, x, self, private) list(response = stats::predict(fit, x, type = "class")),
                  prob = function(fit, x, self, private) {
                    list(prob = with_levels(stats::predict(fit, x, type = "prob"), self$state$train_task$class_names))
                  })
  list(regr = list(parent = mlr3::LearnerRegr, predictions = regr, predict_types = names(regr),
                   properties = "weights"),
       classif = list(parent = mlr3::LearnerClassif, predictions = classif, predict_types = names(classif),
                      properties = c("weights", "twoclass", "multiclass")))
}

# The arguments of the fit and of nn_control(): numbers by their range, the others as they are.
mlr3_parameters <- function(fit) {
  names <- setdiff(c(names(formals(paste0(fit, ".data.frame"))), names(formals(nn_control))),
                   c("x", "y", "...", "weights", "control"))
  typed <- list(epochs = paradox::p_int(1, tags = "train"), learn_rate = paradox::p_dbl(0, tags = "train"),
                penalty = paradox::p_dbl(0, tags = "train"))
  other <- sapply(names, function(name) paradox::p_uty(tags = "train"), simplify = FALSE)
  do.call(paradox::ps, c(typed[names(typed) %in% names], other[!names %in% names(typed)]))
}
