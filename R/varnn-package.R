#' varnn: variational neural networks
#'
#' Neural networks for applied statisticians: [fit_nn()] for regression and classification, with a formula interface
#' and the methods that users of [lm()] and [glm()] expect. One engine in plain C trains every model; all noise is
#' R's, so that [set.seed()] reproduces a fit bit for bit; a fit is a plain list that [saveRDS()] keeps.
#'
#' @keywords internal
#' @importFrom stats anova coef confint deviance df.residual extractAIC family fitted formula logLik model.frame nobs
#' @importFrom stats predict residuals sigma simulate terms variable.names vcov weights
#' @useDynLib varnn, .registration = TRUE
"_PACKAGE"
