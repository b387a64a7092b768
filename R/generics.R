# What the methods of standard generics take beside their own arguments: those that the generic, or its method for lm
# or glm, documents.

# At values for which `is` holds an argument leaves the answer as it is; other values ask for what `what` rules out.
rule <- function(is, what) list(is = is, what = what)
rule_flag <- rule(function(v) isTRUE(v) || isFALSE(v), "TRUE or FALSE")
rule_null <- function(why) rule(is.null, paste("NULL:", why))
rule_false <- function(why) rule(isFALSE, paste("FALSE:", why))
rule_positive <- rule(function(v) is.null(v) || every(is.numeric(v), length(v) == 1, v > 0), "NULL or a number above 0")

standard_arguments <- list(
  coef = list(complete = rule_flag),
  vcov = list(complete = rule_flag),
  # of glm(), since R 4.4 with the test that is inverted: profiles are of the likelihood ratio
  confint = list(trace = rule_flag, test = rule(function(v) identical(v[1], "LRT"), "\"LRT\"")),
  formula = list(env = rule(is.environment, "an environment")),
  logLik = list(REML = rule_false("there are no random effects")),
  nobs = list(use.fallback = rule_flag),
  sigma = list(use.fallback = rule_flag),
  variable.names = list(full = rule_flag),
  extractAIC = list(),
  predict = list(
    se.fit = rule_false("see `interval` or posterior_epred() of a fit by fit_bayes_nn()"),
    interval = rule(function(v) identical(v[1], "none"), "\"none\""),
    level = rule(function(v) every(is.numeric(v), length(v) == 1, v > 0, v < 1), "a number above 0 and below 1"),
    scale = rule_positive, df = rule_positive, dispersion = rule_positive,
    terms = rule_null("predictions are not a sum over terms"),
    na.action = rule(function(v) identical(na_name(v), "na.pass"), "na.pass: missing entries are filled in"),
    pred.var = rule_null("the noise is the model's"),
    weights = rule(function(v) identical(as.numeric(v), 1), "1: the noise is the model's"),
    # of predict.lm() since R 4.3: columns that others determine have coefficient 0 here, and every row a prediction
    rankdeficient = rule(function(v) is.character(v) && all(v %in% c("warnif", "simple", "non-estim", "NA", "NAwarn")),
                         "as in predict.lm()"),
    tol = rule_positive, verbose = rule_flag
  ),
  summary = list(
    correlation = rule_false("see vcov(), where there are standard errors"), symbolic.cor = rule_flag,
    dispersion = rule_null("it is estimated or known, see sigma()")
  ),
  # of the package parameters
  model_parameters = list(
    ci_method = rule_null("the intervals are those of confint()"),
    bootstrap = rule_false("the intervals are those of confint()"),
    iterations = rule_positive, standardize = rule_null("fit to standardised columns for that"),
    p_adjust = rule_null("see p.adjust()"), vcov = rule_null("see vcov()"), vcov_args = rule_null("see vcov()"),
    effects = rule(function(v) v %in% c("fixed", "all"), "\"fixed\" or \"all\""),
    component = rule(function(v) v %in% c("conditional", "all"), "\"conditional\" or \"all\""),
    include_info = rule_flag, wb_component = rule_flag, summary = rule_flag, verbose = rule_flag
  ),
  print = list(symbolic.cor = rule(function(v) is.null(v) || rule_flag$is(v), "TRUE or FALSE"),
               signif.stars = rule_flag)
)

# The arguments in a method's dots: nothing is swallowed. `known` are the method's own, for the hint to a misspelt one.
check_standard <- function(generic, ..., known = character()) {
  given <- list(...)
  rules <- standard_arguments[[generic]]
  check_known(given, c(known, names(rules)))
  for (name in names(given)) {
    if (!isTRUE(tryCatch(rules[[name]]$is(given[[name]]), error = function(e) FALSE)))
      stop_user("`%s` must be %s (not %s).", name, rules[[name]]$what, shown(given[[name]]))
  }
}

#' @importFrom stats model.matrix
#' @export
model.matrix.varnn <- function(object, ...) {
  check_fit(object)
  if (object$design$kind == "columns") stop_user("An autoencoder has no model matrix: it has columns, see encode().")
  if (!is.null(object$terms)) {
    given <- list(...)
    check_known(given, c(frame_arguments, "contrasts.arg"))
    frame <- do.call(model.frame.varnn, c(list(object), given[names(given) != "contrasts.arg"]), quote = TRUE)
    by <- if (is.null(given$contrasts.arg)) object$design$contrasts else given$contrasts.arg
    return(coded(object$design$terms, frame, by))
  }
  check_dots_empty(...)
  train <- training_data(object, NULL, parent.frame())
  x <- if (object$design$intercept) cbind(1, train$x) else train$x
  dimnames(x) <- list(fit_rows(object), variable.names.varnn(object))
  x
}

#' @importFrom stats case.names
#' @export
case.names.varnn <- function(object, full = FALSE, ...) {
  check_fit(object)
  check_dots_empty(..., known = "full")
  full <- check_flag(full, "full")
  rows <- if (is.null(fit_rows(object))) as.character(seq_len(object$n_obs)) else fit_rows(object)
  if (full || is.null(object$weights)) rows else rows[object$weights != 0]
}

#' @export
labels.varnn <- function(object, ...) {
  check_dots_empty(...)
  attr(terms.varnn(object), "term.labels")
}
