# The engines "varnn" and "varnn_bayes" of parsnip's mlp(): what parsnip calls of varnn, and how it reads the answer.

#' Engines of parsnip: `"varnn"` and `"varnn_bayes"`
#'
#' With `library(varnn)` the function `mlp()` of the package parsnip has the engines `"varnn"`, which is [fit_nn()], and
#' `"varnn_bayes"`, which is [fit_bayes_nn()], for regression, classification and, from parsnip 1.3.0 on, quantile
#' regression.
#'
#' @section Arguments:
#' `hidden_units` is `hidden`, of several layers a vector; `epochs`, `activation` (one of [activations()] or more) and
#' `learn_rate` are those of [nn_control()] and [fit_nn()]. `penalty` and `dropout` belong to `"varnn"` alone: parsnip
#' does not pass them on to `"varnn_bayes"`. What `mlp()` leaves out has the defaults of varnn. `set_engine()` takes
#' every other argument, as in `set_engine("varnn_bayes", posterior = "laplace", members = 3)` or `set_engine("varnn",
#' family = "poisson")`. Factors are coded by varnn, and case weights are its `weights`. All these arguments of `mlp()`
#' can be tuned.
#'
#' @section Predictions:
#' `type = "numeric"`, `"class"`, `"prob"`, `"conf_int"`, `"pred_int"`, `"quantile"` and `"raw"` (with `opts = list(type
#' = )` of [predict()][predict.varnn_nn]) are what `predict()` gives of the fit itself, which is
#' `parsnip::extract_fit_engine()`. Intervals exist where `predict()` has them: of `"varnn_bayes"`, and of `"varnn"`
#' with several `members` or without hidden layers (`hidden_units = 0`). Two classes have confidence intervals of their
#' probabilities. In the mode `"quantile regression"` the network has the family that its response has elsewhere, and
#' its predictive distribution gives all quantiles, so that these never cross.
#'
#' `multi_predict()` has no method. A fit keeps the weights of one epoch, and those of fewer epochs are another
#' training: the learning rate, the best epoch and the members of a mixture may depend on all epochs. Each number of
#' `epochs` of a grid is therefore trained by itself; [continue()] trains a fit for more epochs.
#' @seealso [predict.varnn_bayes_nn()], [step_ae()], [tidy.varnn()].
#' @examples
#' if (requireNamespace("parsnip", quietly = TRUE)) {
#'   spec <- parsnip::mlp("regression", "varnn_bayes", hidden_units = 4)
#'   set.seed(1)
#'   fit <- parsnip::fit(spec, mpg ~ wt + hp, mtcars)
#'   predict(fit, mtcars[1:3, ], type = "pred_int", level = 0.9)
#' }
#' @name details_mlp_varnn
#' @aliases details_mlp_varnn_bayes
NULL

# Of each engine the function that fits, and its names of the arguments of mlp().
parsnip_engines <- list(
  varnn = list(fit = "fit_nn", arguments = c(hidden_units = "hidden", penalty = "penalty", dropout = "dropout",
                                             epochs = "epochs", activation = "activation",
                                             learn_rate = "learn_rate")),
  varnn_bayes = list(fit = "fit_bayes_nn", arguments = c(hidden_units = "hidden", epochs = "epochs",
                                                         activation = "activation", learn_rate = "learn_rate"))
)

# How dials makes the parameters of a grid, where its own ranges are not for these networks.
parsnip_dials <- function() list(activation = list(values = activations()), learn_rate = list(range = c(-4, -1)))

# Of each mode and type of prediction the arguments of predict() beside the fit and the data, and what makes of its
# value what parsnip expects: a function of it and of parsnip's fit.
parsnip_predictions <- function() {
  one <- function(post, ...) list(post = post, args = list(...))
  raw <- one(NULL)
  at_levels <- one(parsnip_quantiles, type = "quantile", probs = quote(object$spec$quantile_levels))
  interval <- function(kind) one(parsnip_bounds, interval = kind, level = quote(level))
  list(regression = list(numeric = one(NULL, type = "response"), conf_int = interval("confidence"),
                         pred_int = interval("prediction"), quantile = at_levels, raw = raw),
       classification = list(class = one(NULL, type = "class"), prob = one(parsnip_probabilities, type = "prob"),
                             conf_int = interval("confidence"), raw = raw),
       "quantile regression" = list(quantile = at_levels, raw = raw))
}

register_parsnip <- function() {
  if ("varnn" %in% parsnip::get_from_env("mlp")$engine) return(invisible())
  predictions <- parsnip_predictions()
  for (engine in names(parsnip_engines)) {
    for (mode in intersect(names(predictions), parsnip::get_from_env("mlp_modes")))
      register_parsnip_mode(engine, mode, predictions[[mode]])
    own <- parsnip_engines[[engine]]$arguments
    for (argument in names(own))
      parsnip::set_model_arg("mlp", engine, argument, own[[argument]], has_submodel = FALSE,
                             func = c(list(pkg = "dials", fun = argument), parsnip_dials()[[argument]]))
  }
}

register_parsnip_mode <- function(engine, mode, predictions) {
  parsnip::set_model_engine("mlp", mode, engine)
  parsnip::set_dependency("mlp", engine, "varnn", mode = mode)
  parsnip::set_fit("mlp", mode, engine, list(interface = "formula", protect = c("formula", "data", "weights"),
                                             func = c(pkg = "varnn", fun = parsnip_engines[[engine]]$fit),
                                             defaults = list()))
  parsnip::set_encoding("mlp", mode, engine, list(predictor_indicators = "none", compute_intercept = FALSE,
                                                  remove_intercept = FALSE, allow_sparse_x = FALSE))
  for (type in names(predictions)) {
    one <- predictions[[type]]
    args <- c(list(object = quote(object$fit), newdata = quote(new_data)), one$args)
    parsnip::set_pred("mlp", mode, engine, type, list(pre = NULL, post = one$post, func = c(fun = "predict"),
                                                      args = args))
  }
}

# ---- values of predict() as parsnip has them

parsnip_probabilities <- function(x, object) {
  plain_table(as.data.frame(with_levels(x, object$lvl)))
}

# Bounds have the names of responses where there are several, and of the two levels of a factor.
parsnip_bounds <- function(x, object) {
  if (is.list(x)) return(plain_table(unlist(unname(Map(named_bounds, x, names(x))), recursive = FALSE)))
  if (is.null(object$lvl)) return(plain_table(named_bounds(x)))
  levels <- object$fit$blocks[[1]]$levels
  of_first <- cbind(lwr = 1 - x[, "upr"], upr = 1 - x[, "lwr"])
  plain_table(c(named_bounds(of_first, levels[1]), named_bounds(x, levels[2])))
}

named_bounds <- function(x, of = NULL) {
  stats::setNames(list(x[, "lwr"], x[, "upr"]), paste0(c(".pred_lower", ".pred_upper"), if (!is.null(of)) "_", of))
}

parsnip_quantiles <- function(x, object) {
  check_package("parsnip", "`type` = \"quantile\"")
  if (is.list(x)) stop_user("Quantiles by parsnip need one response; this fit has %d.", length(x))
  parsnip::matrix_to_quantile_pred(unname(x), object)
}
