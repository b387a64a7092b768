# What a verb says of an object that it is not for.

verb_default <- function(generic, verb, makers) {
  f <- function(object, ...) {
    maker <- sub("varnn_", "fit_", setdiff(utils::head(class(object), 3), "varnn_mixture")[1])
    what <- if (inherits(object, "varnn")) sprintf("one by %s()", maker) else shown(object)
    stop_user("%s() needs a fit by %s, not %s.", verb, makers, what)
  }
  formals(f) <- formals(generic)
  f
}

#' @export
encode.default <- verb_default(encode, "encode", "fit_ae() or fit_vae()")
#' @export
decode.default <- verb_default(decode, "decode", "fit_ae() or fit_vae()")
#' @export
reconstruct.default <- verb_default(reconstruct, "reconstruct", "fit_ae() or fit_vae()")
#' @export
anomaly.default <- verb_default(anomaly, "anomaly", "fit_ae() or fit_vae()")
#' @export
compare_pca.default <- verb_default(compare_pca, "compare_pca", "fit_ae() or fit_vae()")
#' @export
compare_simulated.default <- verb_default(compare_simulated, "compare_simulated", "fit_vae()")
#' @export
impute.default <- verb_default(impute, "impute", "fit_vae() (reconstruct() of one by fit_ae() fills gaps, too)")
#' @export
elbo.default <- verb_default(elbo, "elbo", "fit_vae() or fit_bayes_nn()")
#' @export
calibration.default <- verb_default(calibration, "calibration", "fit_nn() or fit_bayes_nn()")
#' @export
posterior_epred.default <- verb_default(posterior_epred, "posterior_epred", "fit_bayes_nn()")
#' @export
posterior_predict.default <- verb_default(posterior_predict, "posterior_predict", "fit_bayes_nn()")
#' @export
log_lik.default <- verb_default(log_lik, "log_lik", "fit_bayes_nn()")
#' @export
continue.default <- verb_default(continue, "continue", "one of the fit_ functions of varnn")
#' @export
check_gradients.default <- verb_default(check_gradients, "check_gradients", "one of the fit_ functions of varnn")
#' @export
cross_validate.default <- verb_default(cross_validate, "cross_validate", "fit_nn() or fit_bayes_nn()")
#' @export
compare_posteriors.default <- function(formula, ...) {
  stop_user("`formula` must be a formula, or a fit by fit_bayes_nn(), not %s.", shown(formula))
}
#' @export
tune_fit.default <- verb_default(tune_fit, "tune_fit", "fit_nn() or fit_bayes_nn()")
#' @export
importance.default <- verb_default(importance, "importance", "fit_nn() or fit_bayes_nn()")
