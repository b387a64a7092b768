#' varnn: variational neural networks
#'
#' Neural networks, autoencoders, variational autoencoders and Bayesian networks for people who know [lm()] and
#' [predict()]: a formula in, a plain list out, and most of the generics that work on a `glm` work on it.
#'
#' @section Four models:
#' Every model is a stack of layers whose weights and whose bottleneck are numbers or have a distribution that is
#' learned by variational inference.
#'
#' | **you have** | **you want** | **function** | **its relative** |
#' |:-------------|:-------------|:-------------|:-----------------|
#' | a response | its mean, or its class | [fit_nn()] | [lm()], [glm()] |
#' | many columns | a few that carry the same | [fit_ae()] | [prcomp()] |
#' | many columns | their joint distribution | [fit_vae()] | [factanal()] |
#' | a response | its mean, and how sure that is | [fit_bayes_nn()] | Bayesian regression |
#'
#' @section What to do with a fit:
#' * Look at it: `print()`, [summary()][summary.varnn_nn], [plot()][plot.varnn], [coef()][coef.varnn],
#'   [residuals()][residuals.varnn], [sigma()][sigma.varnn], [logLik()][logLik.varnn], and `fitted()`, `nobs()`,
#'   `deviance()`, `formula()`, `family()`, `update()` as for [lm()].
#' * Predict: [predict()][predict.varnn_nn], with intervals of a [Bayesian network][predict.varnn_bayes_nn];
#'   [posterior_epred()], [posterior_predict()], [log_lik()] draw from its posterior, [calibration()] says whether the
#'   predicted distributions are right.
#' * Explain: [importance()] of the predictors, their [effects()][effects.varnn].
#' * Between data and codes: [encode()], [decode()], [reconstruct()]; [compare_pca()], [anomaly()].
#' * Of a distribution: [simulate()][simulate.varnn_vae], [compare_simulated()], [impute()], [elbo()].
#' * By other packages' generics: [tidy()][tidy.varnn], `glance()` and `augment()` of broom, [loo()][loo.varnn] and
#'   `waic()`, [predictive_interval()][predictive_interval.varnn], `bayes_R2()`, `pp_check()` and `as_draws_df()`.
#' * Train: [nn_control()], [continue()], [check_gradients()].
#' * Names to choose from: [activations()], [families()], [optimizers()]; priors: [prior_normal()].
#'
#' @section Where to begin:
#' `vignette("varnn")` fits the four models on one page. The course explains them, with every formula beside the lines
#' that run it: `vignette("neural-networks")`, `vignette("autoencoders")`, `vignette("variational-autoencoders")`,
#' `vignette("bayesian-neural-networks")`. `vignette("scale")` is about many fits, much data and long runs,
#' `vignette("tidyverse")` about other packages, `vignette("functions")` about functions of your own, and
#' `vignette("approximations")` compares posteriors. `vignette("engine")` is for those who want to change something.
#'
#' [set.seed()] reproduces a fit bit for bit, and a fit is a plain list that [saveRDS()] keeps. `citation("varnn")`
#' says how to cite the package.
#'
#' @references
#' Goodfellow, Bengio and Courville (2016) Deep learning, MIT Press.
#'
#' Kingma and Welling (2014) Auto-encoding variational Bayes, \doi{10.48550/arXiv.1312.6114}.
#'
#' Blundell et al. (2015) Weight uncertainty in neural networks, \doi{10.48550/arXiv.1505.05424}.
#'
#' Kingma and Ba (2015) Adam: a method for stochastic optimization, \doi{10.48550/arXiv.1412.6980}.
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ wt + hp, mtcars, epochs = 50)
#' predict(fit, data.frame(wt = 3, hp = 120))
#'
#' bayes <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 8)
#' predict(bayes, data.frame(wt = 3, hp = 120), interval = "prediction")
#'
#' fit <- fit_vae(iris, epochs = 50)
#' simulate(fit, 3)
#' @keywords internal
#' @importFrom stats AIC BIC anova coef confint deviance df.residual extractAIC family fitted formula logLik model.frame
#' @importFrom stats nobs predict residuals sigma simulate terms variable.names vcov weights
#' @useDynLib varnn, .registration = TRUE
"_PACKAGE"
