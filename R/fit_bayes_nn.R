#' Bayesian neural networks by variational inference
#'
#' Fits the networks of [fit_nn()] with a normal distribution over every weight in place of a number: the one nearest
#' to the posterior (Graves 2011; Blundell et al. 2015). Predictions average over the weights and know how sure they
#' are.
#'
#' @section What is maximised:
#' The evidence lower bound (ELBO), with a normal distribution \eqn{q(\theta)}{q(theta)} of all weights:
#' \deqn{E_q \sum_i w_i \log p(y_i \mid x_i, \theta) - KL[q(\theta) \| p(\theta)] \le
#' \log p(y)}{E_q sum(w_i log p(y_i | x_i, theta)) - KL[q(theta) || p(theta)] <= log p(y)}
#' with case weights \eqn{w_i}{w_i}. The free scalars of the family (the noise's standard deviation) are part of what is
#' maximised.
#'
#' @section Posteriors:
#' \describe{
#'   \item{`"point"`}{one value of each weight, the mode of the posterior: the KL of a point is minus the log density of
#'     the prior there. Nothing is drawn, so that `estimator` does not apply. With `members` a deep ensemble.}
#'   \item{`"laplace"`}{all weights and biases have one covariance, that of the network linearised at the mode of the
#'     weights (MacKay 1992; Immer, Korzepa and Bauer 2021): \eqn{\Sigma = (\sum_i w_i J_i' A_i J_i + P)^{-1}}{Sigma =
#'     (sum w_i J_i' A_i J_i + P)^-1}, with the slopes \eqn{J_i}{J_i} of the outputs in the weights, the expected
#'     Fisher information \eqn{A_i}{A_i} of the family and the precisions \eqn{P}{P} a priori (of priors that are not
#'     normal see [prior_normal()]). With a normal prior and a constant gaussian noise it has the greatest ELBO of the
#'     linearised network among all normal distributions; else it is Laplace's approximation. Predictions are those of
#'     the linearised network, whose outputs are normal: means, intervals and densities need no draws. See Evidence.}
#'   \item{`"meanfield"`}{all weights independent (with `rotate`, those of the principal components of the inputs).}
#'   \item{`"ivon"`}{that of `"meanfield"`, found by steps along the natural gradient (Shen et al. 2024), see
#'     [optimizers()]. Its estimator is `"local"` where no other is given.}
#'   \item{`"last_layer"`}{the weights and the bias of each output have a full covariance, the others are independent.
#'     Given the hidden units this is Bayesian linear regression: with no hidden layer and gaussian noise the posterior
#'     and the log evidence are exact.}
#'   \item{`"full"`}{all weights and biases have one covariance, for small networks: of n weights n (n - 1) / 2
#'     numbers.}
#'   \item{`"hmc"`}{the posterior itself, by draws: Hamiltonian Monte Carlo in several chains, see [posterior_hmc()]. It
#'     takes seconds for hundreds of weights, and is what the others can be held against, see [compare_posteriors()].}
#'   \item{`"dropout"`}{Monte Carlo dropout: hidden units are there or not, in training and in prediction, see
#'     [posterior_dropout()].}
#'   \item{`"swag"`}{a normal distribution with the moments of the path of stochastic gradient descent about a mode, see
#'     [posterior_swag()].}
#'   \item{`"lowrank"`}{all have the covariance \eqn{\mathrm{diag}(\sigma^2) + F F'}{diag(sigma^2) + F F'}, F with
#'     `rank` columns.}
#' }
#' `"full"` and `"lowrank"` make units dependent: their estimator is `"weight"`.
#'
#' @section Evidence:
#' With `posterior = "laplace"` and `prior = "auto"` each matrix of weights and each vector of biases (of an output
#' that is the log of a noise, its own) has a precision a priori that is found by evidence, and so has a constant
#' noise. Rounds of at most 100 steps of L-BFGS, which seek the mode, alternate with MacKay's (1992) updates
#' \eqn{\alpha = \gamma / |\mu|^2}{alpha = gamma / |mu|^2} and \eqn{\sigma^2 = SSE / (n - \gamma)}{sigma^2 = SSE / (n -
#' gamma)}, with the effective number of parameters \eqn{\gamma}{gamma} of each group and of all. Precisions stay
#' between 0.001 (of outputs that are the log of a noise, 0.1) and 1e6 in units of the standardised data, so that
#' separated classes have finite weights. Without hidden layers all weights share one precision, and the updates go on
#' until they settle; a precision found from few weights is itself unsure, which their intervals do not know: give
#' `prior_normal(0, 2.5)`, or leave `posterior` out. A noise that depends on x is constant in the first rounds.
#'
#' The slopes of relu units jump. Where a kink lies between two rows, or past the last one, the linearised network is
#' unsure there, and intervals have steps; those of smooth units (`"gelu"`, `"tanh"`) have none.
#'
#' `epochs` is the number of steps in the rounds of one kind of noise, 800 by default. The covariance is that of all
#' weights up to 3,000, with a memory that grows with their square and a time that grows with their cube. Of more
#' weights those of the last layer have a full covariance, and those of each other layer are independent in a basis of
#' their own: the eigenvectors of its Kronecker factors (Martens and Grosse 2015, with the variances of George et al.
#' 2018) or the weights themselves, whichever has the greater evidence. `print()` says which.
#'
#' @section Rotated inputs:
#' Weights of correlated inputs depend on each other a posteriori. A posterior of independent weights cannot, and pays
#' for it by units that are switched off. With `rotate = TRUE` the first layer therefore sees the principal components
#' of the standardised columns in place of these: weights are independent there, and have the prior there. With no
#' hidden layer, gaussian noise, a normal prior and numeric columns the posterior is then exact. Dummies and 0/1
#' columns stay as they are. `coef()`, `vcov()`, `confint()` and `as.matrix()` speak of the columns' weights all the
#' same, which are then dependent. On 20 data sets of numeric columns the ELBO rose on 18 and the log-likelihood of
#' held-out rows on 15 (`tools/bayes.R`, as below).
#'
#' @section Estimators:
#' \describe{
#'   \item{`"weight"`}{draws \eqn{\theta = \mu + \sigma \xi}{theta = mu + sigma xi}, \eqn{\xi \sim N(0, 1)}{xi ~ N(0,
#'     1)}, one draw per weight and step (`mc_samples`: M of them): the textbook's estimator. Works for all models.}
#'   \item{`"local"`}{draws for each unit and observation from the normal distribution that the weights imply (Kingma,
#'     Salimans and Welling 2015): the same gradient on average, with less variance.}
#'   \item{`"exact"`}{no draws: for one hidden layer of `"relu"` or `"linear"` units and a gaussian response with
#'     constant noise the expectation is known. For deeper networks the units' means and variances are passed on layer
#'     by layer as if they were independent and normal (Wu et al. 2019), an approximation; so are, with `sigma =
#'     "hetero"`, the mean of the response and the log of its standard deviation, with the covariance that they
#'     have.}
#' }
#' `"auto"` takes `"exact"` where it can, else `"local"`, else `"weight"`. Without draws the objective is a smooth
#' function, which L-BFGS maximises: `"exact"` does so up to 20,000 rows, unless `optimizer`, `batch_size`,
#' `learn_rate`, `schedule` or `momentum` is given, directly or in [nn_control()]. L-BFGS takes 1,000 iterations, of
#' less than 1,500 rows more, up to 3,000; the others take 20,000 steps.
#'
#' Rows held out by `validation` are watched, and do not end training unless `patience` is given: weights predict best
#' on them before they know how uncertain they are.
#'
#' @section Defaults:
#' For a network with hidden layers and a response that is gaussian, a count (Poisson or negative binomial) or a time
#' (`"lognormal"`, `"weibull"`, `"loglogistic"`) `posterior = "auto"` is `"laplace"`, unless an argument says how to
#' train or belongs to another posterior, or it would take minutes; else, as of classes, shares, and gamma responses, it
#' is `"meanfield"`; for these `posterior = "laplace"` can be asked for. On the published benchmark of 20 splits (50
#' units, `tools/bayes.R uci`) one default call reaches these root mean squared errors, mean log-likelihoods and covers
#' of 95 % intervals, beside `"meanfield"`:
#' ```
#'                 default                 meanfield
#'   boston    2.64   -2.30   .97      2.86   -2.45   .96
#'   energy     .40    -.29   .97       .50    -.73   .93
#'   power     3.90   -2.73   .96      4.07   -2.83   .96
#'   yacht      .39     .33   .98       .67    -.90   .93
#' ```
#' On the 34 data sets named below, with 16 units, the log-likelihood of held-out rows is greater by .21 on average; it
#' is less on eight, by more than .05 on two of some hundred rows (`barley` by .18, `michelson` by .06; in repeated
#' five-fold cross-validation by .06 and .00). With 64 and 64 units, 4,600 weights and more, it is greater by .33, and
#' less by more than .05 on one (`IGF` by .10). On eight data sets of counts it is greater on each, by .32 on average.
#' Classes keep `"meanfield"`: the linearised posterior is too unsure of them where they are nearly separable (iris,
#' shuttle).
#'
#' The default prior of `"meanfield"` and the start of its training were chosen by predictive log-likelihood in cross-
#' validation over 34 data sets that ship with R, with 16 and 50 hidden units, by the script `tools/bayes.R` of the
#' package's repository; the prior with the greatest ELBO, `prior_normal("auto")`, switches off more units than
#' predictions like.
#'
#' Training by L-BFGS starts at a plain network, penalised and with little spread of its weights, and with `sigma =
#' "hetero"` at the network with constant noise: the ELBO has many optima, and those near a network that predicts well
#' do so, too, where those that random weights lead to have as high an ELBO but predict worse. A network whose noise
#' depends on x from the start also learns to call noise what it could have learned, which holds its mean back.
#'
#' @inheritParams fit_nn
#' @param activation one of [activations()], or one for each hidden layer. Also a function of your own, such
#'   as `~ x * plogis(x)` or `function(x) pmax(x, 0)`; several of them, or names and functions, are a list. See
#'   [activations()].
#' @param family as in [fit_nn()].
#' @param prior of the weights and biases, see [prior_normal()]. `"auto"` is `prior_laplace(0, 1, fan_in = TRUE)`
#'   where nothing is drawn in training (`estimator = "exact"`), else `prior_normal(0, 2, fan_in = TRUE)`; without
#'   hidden layers it is `prior_normal(0, 2.5)`, the scale of Gelman et al. (2008). Of `posterior = "laplace"` it is a
#'   normal prior whose standard deviations are found, see Evidence; the others are possible, too.
#' @param posterior the distributions among which the one nearest to the posterior is sought, see Posteriors, or
#'   [posterior_hmc()], [posterior_dropout()] or [posterior_swag()]. `"auto"` is `"last_layer"` without hidden layers
#'   (up to 5 million covariances), else as described in Defaults.
#' @param rank of `posterior = "lowrank"`: the number of factors.
#' @param estimator how the expectation over the weights is taken, see Estimators.
#' @param kl `"exact"`, the closed form, or `"mc"`, at the draws of the weights (\eqn{\log q(\theta) - \log
#'   p(\theta)}{log q(theta) - log p(theta)} in the textbook's estimate of the free energy).
#' @param mc_samples draws per step.
#' @param sigma of a gaussian response, the noise's standard deviation: `"learned"`; a number, on the scale of the
#'   response; or `"hetero"`: its log depends on x. `"auto"` is `"learned"`, but of one response with `posterior =
#'   "laplace"` and hidden layers both: each random start gives a member whose noise depends on x and one with a
#'   constant noise, see Mixtures.
#' @param rotate whether the first layer sees the principal components of the standardised columns, see Rotated inputs.
#'   `"auto"`: in networks with hidden layers that are trained by L-BFGS, with up to 500 columns. `TRUE` needs
#'   `standardize = TRUE` and `posterior = "meanfield"`, `"ivon"` or `"last_layer"`.
#' @param ... arguments of [nn_control()].
#' @param members number of posteriors, from 1 to 1000, that are trained from different random starts and averaged, see
#'   Mixtures. `"auto"` is 1, but of `posterior = "laplace"` with hidden layers as many as some seconds allow: 5 to 10
#'   starts, with `sigma = "auto"` of two members each; of `posterior = "hmc"` 4 chains.
#' @param combine weights of the members: `"equal"`, `"stack"` or `"evidence"`, see Mixtures. `"auto"` is `"stack"` for
#'   `posterior = "laplace"` of one response that is no class, else `"equal"`.
#' @param df degrees of freedom of a response of the family `"student_t"` where they are known: short for `family =
#'   nn_family("student_t", df = )`. `NULL`: they are learned.
#' @param tau of the family `"quantile"`: which quantile of the response, a probability between 0 and 1, or several that
#'   rise, at most 100 (see Families of [fit_nn()]); `NULL`: 0.5, the median.
#'
#' @section Mixtures:
#' The posterior of a network has many modes, and a normal distribution has one. With `members` = K, training from K
#' random starts gives \eqn{q_1, \ldots, q_K}{q_1, ..., q_K}, and the fit is their mixture \eqn{q = \sum_k w_k q_k}{q =
#' sum_k w_k q_k}. The weights are equal; or proportional to the exponential of the members' ELBO (`combine =
#' "evidence"`), which with many rows gives nearly all the weight to one member; or those of stacking (`"stack"`), as
#' described for [fit_nn()].
#'
#' Stacking of `posterior = "laplace"` trains nothing anew: the linearised network has its posterior without a row in
#' closed form, from its leverage, which is taken as .7 at most. Where one response has both kinds of noise, first the
#' two kinds are stacked as wholes, then their members, as if a fifth of the rows had been shared out by these weights.
#' A member whose evidence is less than the greatest by more than .4 nats per observation has weight 0, and so has one
#' whose effective number of parameters is above nine tenths of the observations: leverages say little of them. Rows
#' held out by `validation`, a share or row numbers, take the place of the rows left out.
#'
#' `vcov()` and `confint()` are those of the mixture. `coef()` is the mean of coefficients or, with hidden layers, a
#' list by member. [members()] gives the members as fits. They are trained by several processes where there is a plan
#' of the package future, see [nn_control()].
#'
#' @return An object of class `c("varnn_bayes_nn", "varnn")` or, with several members, `c("varnn_mixture",
#'   "varnn_bayes_nn", "varnn")`, as [fit_nn()] returns it. The history has columns `nll`,
#'   `kl_weights` and `elbo`, in nats per observation.
#' @references Blundell et al. (2015) Weight uncertainty in neural networks, \doi{10.48550/arXiv.1505.05424}. Graves
#'   (2011) Practical variational inference for neural networks, NIPS 24. Gelman, Jakulin, Pittau and Su (2008) A weakly
#'   informative default prior, \doi{10.1214/08-AOAS191}. MacKay (1992) Bayesian interpolation,
#'   \doi{10.1162/neco.1992.4.3.415}. Immer, Korzepa and Bauer (2021) Improving predictions of Bayesian neural nets via
#'   local linearization, \doi{10.48550/arXiv.2008.08400}. Martens and Grosse (2015) Optimizing neural networks with
#'   Kronecker-factored approximate curvature, \doi{10.48550/arXiv.1503.05671}. George et al. (2018) Fast approximate
#'   natural gradient descent in a Kronecker-factored eigenbasis, \doi{10.48550/arXiv.1806.03884}. Yao et al. (2018)
#'   stacking of distributions, \doi{10.1214/17-BA1091}. Kingma, Salimans and Welling (2015) Variational dropout
#'   and the local reparameterization trick, \doi{10.48550/arXiv.1506.02557}. Wu et al. (2019)
#'   Deterministic variational inference for robust Bayesian neural networks, \doi{10.48550/arXiv.1810.03958}. Shen et
#'   al. (2024) Variational learning is effective for large deep networks, \doi{10.48550/arXiv.2402.17641}. Lin, Schmidt
#'   and Khan (2020) Handling the positive-definite constraint in the Bayesian learning rule,
#'   \doi{10.48550/arXiv.2002.10060}.
#' @seealso [predict.varnn_bayes_nn()], [posterior_epred()], [elbo()], [evidence()], [calibration()], [prior_normal()],
#'   [nn_control()], [summary.varnn_bayes_nn()], [plot.varnn()], [coef.varnn_bayes_nn()]; the vignette
#'   `bayesian-neural-networks`.
#' @examples
#' set.seed(1)
#' fit <- fit_bayes_nn(mpg ~ wt + hp, mtcars, hidden = 8)
#' fit
#' predict(fit, head(mtcars), interval = "prediction")
#' @export
fit_bayes_nn <- function(x, ...) {
  call <- formula_call(match.call(), sys.call(), quote(fit_bayes_nn.formula))
  if (is.null(call)) return(UseMethod("fit_bayes_nn"))
  eval(call, list(fit_bayes_nn.formula = fit_bayes_nn.formula), parent.frame())
}

#' @rdname fit_bayes_nn
#' @export
fit_bayes_nn.default <- function(x, ...) {
  stop_user("The first argument must be a formula, a numeric matrix or a data frame of predictors, not %s%s.", shown(x),
            if (isS4(x)) ": use as.matrix(x)" else "")
}

#' @rdname fit_bayes_nn
#' @export
fit_bayes_nn.formula <- function(formula, data, weights, subset, na.action, contrasts = NULL, hidden = 16,
                                 activation = "relu", family = "auto", prior = "auto",
                                 posterior = "auto", rank = 5, estimator = "auto", kl = "exact",
                                 mc_samples = 1, sigma = "auto", standardize = TRUE, rotate = "auto",
                                 control = nn_control(), keep_data = NULL, ...,
                                 members = "auto", combine = "auto", df = NULL, tau = NULL) {
  call <- match.call()
  call[[1]] <- quote(fit_bayes_nn)
  says_how <- any(training_choices %in% c(given_in(control), ...names()))
  control <- control_with(control, ...names(), ...length(), list(...), names(formals(fit_bayes_nn.formula)))
  family <- family_with(family, df = df, tau = tau)
  model <- c(bayes_arguments(hidden, activation, family, prior, posterior, rank, estimator, kl,
                             mc_samples, sigma, standardize, rotate),
             check_mixture_arguments(members, combine, has_evidence = has_density(posterior)))
  train <- formula_data(call, parent.frame(), contrasts, model$family)
  bayes_train(train, model, control, says_how, call, keep_data)
}

#' @rdname fit_bayes_nn
#' @export
fit_bayes_nn.data.frame <- function(x, y, weights = NULL, na.action = NULL, hidden = 16, activation = "relu",
                                    family = "auto", prior = "auto",
                                    posterior = "auto", rank = 5, estimator = "auto", kl = "exact",
                                    mc_samples = 1, sigma = "auto", standardize = TRUE, rotate = "auto",
                                    control = nn_control(), keep_data = NULL, ...,
                                    members = "auto", combine = "auto", df = NULL, tau = NULL) {
  call <- match.call()
  call[[1]] <- quote(fit_bayes_nn)
  says_how <- any(training_choices %in% c(given_in(control), ...names()))
  control <- control_with(control, ...names(), ...length(), list(...), names(formals(fit_bayes_nn.data.frame)))
  family <- family_with(family, df = df, tau = tau)
  model <- c(bayes_arguments(hidden, activation, family, prior, posterior, rank, estimator, kl,
                             mc_samples, sigma, standardize, rotate),
             check_mixture_arguments(members, combine, has_evidence = has_density(posterior)))
  if (missing(y)) stop_user("`y` is missing: give the response, or use a formula.")
  bayes_train(data_from_xy(x, y, weights, na.action = na.action), model, control, says_how, call, keep_data)
}

#' @rdname fit_bayes_nn
#' @export
fit_bayes_nn.matrix <- fit_bayes_nn.data.frame

# Whether the argument `posterior` is of one that has a density; chains of "hmc" are refused elsewhere.
has_density <- function(posterior) {
  name <- if (inherits(posterior, "varnn_posterior")) posterior$posterior else posterior
  !identical(name, "point") && !identical(name, "dropout")
}

# Arguments by which a user says how to train: then no other optimizer is chosen.
training_choices <- c("optimizer", "batch_size", "learn_rate", "schedule", "momentum")

bayes_arguments <- function(hidden, activation, family, prior, posterior, rank, estimator, kl, mc_samples,
                            sigma, standardize, rotate) {
  hidden <- check_hidden(hidden)
  wished <- split_posterior(posterior)
  posterior <- wished$name
  estimator <- check_choice(estimator, c("auto", registry()$estimator), "estimator")
  kl <- check_choice(kl, c("exact", "mc"), "kl")
  list(hidden = hidden, activation = check_activation(activation, length(hidden)), family = plain_words(family),
       prior = check_prior(prior), posterior = posterior,
       rank = check_number(rank, "rank", 1, 1000, whole = TRUE), estimator = estimator, kl = kl,
       mc_samples = check_number(mc_samples, "mc_samples", 1, 1e6, whole = TRUE), sigma = check_noise_sd(sigma),
       standardize = check_flag(standardize, "standardize"), rotate = check_rotate(rotate, standardize, posterior),
       posterior_options = wished$options)
}

check_rotate <- function(rotate, standardize, posterior) {
  way <- if (every(is.atomic(rotate), is_plain_vector(rotate))) plain(rotate)
  if (identical(way, "auto") || isFALSE(way)) return(way)
  if (!isTRUE(way)) stop_user("`rotate` must be TRUE, FALSE or \"auto\", not %s.", shown(rotate))
  if (!standardize) stop_user("`rotate` = TRUE is of standardised inputs: it needs `standardize` = TRUE.")
  if (posterior != "auto" && !has_moments(list(posterior = posterior)))
    stop_user("`rotate` = TRUE is for `posterior` = \"meanfield\", \"ivon\" or \"last_layer\", not \"%s\".", posterior)
  way
}

# Its square, and what it is divided by, are finite.
least_sigma <- 1e-80

check_noise_sd <- function(sigma) {
  if (is.character(sigma)) return(check_choice(sigma, c("auto", "learned", "hetero"), "sigma"))
  if (!is.numeric(sigma)) stop_user("`sigma` must be \"auto\", \"learned\", \"hetero\" or a number above 0, not %s.",
                                    shown(sigma))
  check_positive(sigma, "sigma", least_sigma)
}

# Training data and arguments to a fit.
bayes_train <- function(train, model, control, says_how, call, keep_data) {
  keep_data <- check_keep_data(keep_data)
  if (length(model$hidden)) train$design$intercept <- TRUE
  train <- proportions_to_counts(train, model$family)
  control <- chunked_control(control, train, keep_data, holds_out = FALSE)
  check_all_rows(train, model$posterior)
  train <- hold_out(train, control$validation, family = model$family)
  blocks <- response_blocks(train, model$family, model$standardize)
  model$posterior <- wished_posterior(model, says_how || is_chunked(train), ncol(train$x), blocks,
                                      train_counts(train)$rows)
  if (identical(model$sigma, "auto")) model$sigma <- auto_sigma(model, blocks)
  if (model$sigma %in% c("auto", "hetero")) blocks <- hetero_blocks(train, blocks, model)
  blocks <- lapply(blocks, noisy_block, model$sigma, by_evidence = model$posterior == "laplace")
  layers <- c(hidden_layers(model$hidden, model$activation),
              list(layer("dense", sum(vapply(blocks, eta_rows, 0)), if (train$design$intercept) "bias" else "none")))
  spec <- first_spec(train, layers, blocks, model)
  if (model$posterior == "auto")
    model$posterior <- spec$posterior <- if (control$optimizer == "ivon") "ivon" else auto_posterior(spec)
  spec$posterior <- bayes_posterior(spec)
  spec$estimator <- bayes_estimator(model, spec)
  if (is_hmc(spec)) check_hmc(model, spec)
  if (spec$posterior == "dropout") check_masks(model, spec)
  model$prior <- bayes_prior(model$prior, spec)
  spec <- utils::modifyList(spec, prior_fields(model$prior))
  if (!is.null(model$prior$program)) spec <- with_program(spec, "prior_program", model$prior$program)
  if (spec$prior == "by_weight") spec <- with_precisions(spec)
  control <- bayes_control(control, says_how, spec, train, model)
  if (identical(model$rotate, "auto")) model$rotate <- rotates(model, spec, control)
  train$scaling <- x_scaling(train, model$standardize, model$rotate)
  model <- if (is_laplace(spec)) laplace_mixture(model, spec, blocks, train_counts(train))
  else with_members(model, if (is_hmc(spec)) n_chains else 1)
  fit_members(model$members, model$combine, "varnn_bayes_nn", spec, blocks, train, model, control, call, keep_data)
}

check_all_rows <- function(train, posterior) {
  if (is_chunked(train) && !is.null(posterior_records[[posterior]]$train))
    stop_user("`posterior` = \"%s\" needs all rows at once: take \"meanfield\", or a data frame, not chunks().",
              posterior)
}

# The specification before the posterior's form, the estimator and the prior are settled.
first_spec <- function(train, layers, blocks, model) {
  spec <- new_spec(ncol(train$x), layers, blocks, !is.null(engine_offset(blocks, train$offset)),
                   posterior = if (model$posterior == "auto") "meanfield" else model$posterior,
                   rank = if (model$posterior == "swag") model$posterior_options$rank else model$rank,
                   kl = if (is.list(model$prior) && isTRUE(model$prior$is_mc)) "mc" else model$kl)
  if (weights_are_numbers(spec)) spec$kl_mc <- 0L
  spec
}

# The prior of a model, or its default, where it suits the posterior.
bayes_prior <- function(prior, spec) {
  if (is_laplace(spec)) {
    check_laplace(spec)
    return(laplace_prior(prior))
  }
  if (is_hmc(spec)) {
    check_laplace(spec)
    return(sampled_prior(prior, spec))
  }
  if (identical(prior, "auto")) return(default_prior(spec))
  if ((is_point(spec) || is_trained_as_point(spec)) && prior$kind == "empirical")
    stop_user(paste("`prior` = prior_normal(\"auto\") needs weights with a spread in training, where `posterior` =",
                    "\"%s\" has none: give its standard deviation, as in prior_normal(0, 1)."), spec$posterior)
  prior
}

# "auto" is the linearised posterior where hidden layers make the others poor, it does not take minutes, and no argument
# is that of another posterior.
wished_posterior <- function(model, says_how, n_x, blocks, rows) {
  if (model$posterior != "auto" || !length(model$hidden) || says_how) return(model$posterior)
  units <- c(n_x, model$hidden, sum(vapply(blocks, eta_rows, 0)))
  suits <- every(model$estimator == "auto", model$kl == "exact", model$mc_samples == 1, identical(model$rotate, "auto"),
                 identical(model$prior, "auto") || model$prior$kind %in% c("normal", "empirical"),
                 all(vapply(blocks, function(b) record_of(b)$linearises, NA)),
                 laplace_work(list(rows = units[-1], cols = utils::head(units + 1, -1)), rows) <= much_work)
  if (suits) "laplace" else "auto"
}

# "auto" of one gaussian response: members of both noises, which need the density of rows without themselves.
auto_sigma <- function(model, blocks) {
  if (model$posterior == "laplace" && length(blocks) == 1 && has_sigma(blocks[[1]]) && length(model$hidden))
    "auto" else "learned"
}

# The response's family with a standard deviation that depends on x.
hetero_blocks <- function(train, blocks, model) {
  family <- vapply(blocks, function(b) b$family, "")
  if (!any(vapply(blocks, has_normal_noise, NA)))
    stop_user("`sigma` = \"hetero\" needs a gaussian response; this one's family is %s.", quoted(unique(family)))
  family <- with_own_sigma(family)
  names(family) <- vapply(blocks, function(b) b$columns, "")
  response_blocks(train, if (length(family) > 1) family else unname(family), model$standardize)
}

# A gaussian's sigma: learned, or known on the response's scale.
noisy_block <- function(block, sigma, by_evidence = FALSE) {
  if (!has_sigma(block)) {
    if (is.numeric(sigma)) stop_user("`sigma` is the noise of a gaussian response; the family of `%s` is %s.",
                                     block$columns, block$family)
    return(block)
  }
  if (!is.numeric(sigma) && by_evidence)
    return(utils::modifyList(block, list(noise = "fixed", fixed = 0, knows_sigma = TRUE, finds_sigma = TRUE)))
  if (!is.numeric(sigma)) return(utils::modifyList(block, list(noise = "each")))
  utils::modifyList(block, list(noise = "fixed", fixed = log(sigma / block$scale), knows_sigma = TRUE))
}

# Without hidden layers the posterior is one of coefficients, which depend on each other.
auto_posterior <- function(spec) {
  if (length(spec$layer) == 1 && n_covariances("last_layer", spec) <= most_covariances) "last_layer" else "meanfield"
}

# Of one unit's weights alone a full covariance is that of its last layer, whose moments are known.
bayes_posterior <- function(spec) {
  is_one <- spec$posterior == "full" && length(spec$layer) == 1 && spec$size == 1
  found <- if (is_one) "last_layer" else spec$posterior
  check_covariances(found, spec)
  found
}

most_covariances <- 5e6

# Of each dense layer its units (`rows`) and the weights of each unit, its bias among them (`cols`).
dense_sizes <- function(spec) {
  rows <- as.double(layer_units(spec)[spec$layer == "dense"])
  list(rows = rows, cols = c(spec$n_x, rows)[seq_along(rows)] + (spec$option[spec$layer == "dense"] == "bias"))
}

n_covariances <- function(posterior, spec) {
  size <- dense_sizes(spec)
  if (is_of_last(posterior)) size <- lapply(size, utils::tail, 1)
  n <- size$rows * size$cols
  pairs <- function(n) n * (n - 1) / 2
  switch(dependence(posterior), none = 0, unit = sum(size$rows * pairs(size$cols)), earlier = pairs(sum(n)),
         shared = sum(n) * spec$rank)
}

check_covariances <- function(posterior, spec) {
  n <- n_covariances(posterior, spec)
  if (n <= most_covariances) return(invisible())
  weights <- sum(dense_sizes(spec)$rows * dense_sizes(spec)$cols)
  stop_user("`posterior` = \"%s\" of %s weights and biases would have %s covariances, more than the %s that fit: %s.",
            spec$posterior, thousands(weights), thousands(n), thousands(most_covariances),
            if (dependence(posterior) == "shared") "make `rank` smaller, or use \"meanfield\""
            else "use fewer hidden units, or \"lowrank\" or \"meanfield\"")
}

# The KL of Laplace's takes longer than a draw of the weights, and with draws it predicts no better. Coefficients of
# standardised columns have the scale of Gelman et al. (2008).
default_prior <- function(spec) {
  if (length(spec$layer) == 1) return(prior_normal(0, 2.5))
  if (spec$estimator == "exact") prior_laplace(0, 1, fan_in = TRUE) else prior_normal(0, 2, fan_in = TRUE)
}

bayes_estimator <- function(model, spec) {
  if (weights_are_numbers(spec) || is_trained_as_point(spec)) {
    if (model$estimator != "auto")
      stop_user(paste("`estimator` = \"%s\" does not apply: `posterior` = \"%s\" has nothing to draw in training.",
                      "Leave `estimator` out."), model$estimator, spec$posterior)
    return("weight")
  }
  if (model$estimator == "auto")
    return(if (can_be_exact(spec) && spec$posterior != "ivon") "exact"
           else if (has_moments(spec)) "local" else "weight")
  if (model$estimator != "weight" && !has_moments(spec))
    stop_user(paste("`posterior` = \"%s\" makes units dependent, which `estimator` = \"%s\" cannot have: use",
                    "\"weight\", or posterior = \"last_layer\"."), spec$posterior, model$estimator)
  if (model$estimator == "exact" && !can_be_exact(spec))
    stop_user(paste("`estimator` = \"exact\" needs relu or linear units and a gaussian response: use \"local\" or",
                    "\"weight\"."))
  model$estimator
}

# Inputs are rotated where experiments have shown that it helps, and finding the axes costs little.
rotates <- function(model, spec, control) {
  model$standardize && length(model$hidden) > 0 && spec$n_x <= 500 && is_deterministic(spec) &&
    !seeks_mode(spec) && control$optimizer == "lbfgs"
}

# How to train where the user has not said, of so many rows and cases.
bayes_training <- function(control, says_how, spec, counts) {
  n <- counts$cases
  if (is_laplace(spec) || is_hmc(spec)) return(laplace_control(control, says_how, spec$posterior))
  if (spec$posterior == "ivon") control$optimizer <- "ivon"
  else if (!says_how && is_deterministic(spec) && n <= 20000) control$optimizer <- "lbfgs"
  if (!is.null(control$epochs)) return(control)
  if (control$optimizer == "lbfgs") {
    control$epochs <- lbfgs_epochs(n)
  } else {
    control$epochs <- bayes_epochs(counts, control$batch_size)
    if (!says_how) control$schedule <- "cosine"
  }
  control
}

# Steps along the natural gradient are those of independent normal weights, and "ivon" takes no others.
check_natural <- function(optimizer, spec) {
  is_natural <- has_moments(spec) && dependence(spec$posterior) == "none"
  if (optimizer == "ivon" && !is_natural)
    stop_user("`optimizer` = \"ivon\" is for `posterior` = \"meanfield\", not \"%s\".", spec$posterior)
  if (spec$posterior == "ivon" && !optimizer %in% c("adam", "ivon"))
    stop_user("`posterior` = \"ivon\" is trained by the optimizer of that name: leave `optimizer` = \"%s\" out.",
              optimizer)
}

# How to train, checked, and the objective: the weight of the KL and the number of draws.
bayes_control <- function(control, says_how, spec, train, model) {
  check_natural(control$optimizer, spec)
  if (control$optimizer == "lbfgs" && is_trained_as_point(spec))
    stop_user("`posterior` = \"%s\" is trained by batches of rows: leave `optimizer` = \"lbfgs\" out.", spec$posterior)
  if (control$optimizer == "lbfgs" && !is_deterministic(spec) && !is_hmc(spec))
    stop_user(paste("`optimizer` = \"lbfgs\" needs an objective without noise: estimator = \"exact\" with kl =",
                    "\"exact\", not \"%s\" and \"%s\"."), spec$estimator, if (spec$kl_mc) "mc" else "exact")
  counts <- trained_counts(train)
  control <- bayes_training(control, says_how, spec, counts)
  control$objective <- list(coefficient = c(kl_weights = 1 / counts$sum), mc_samples = model$mc_samples)
  control
}

# Where there is little noise the ELBO rises for long, and predictions with it.
lbfgs_epochs <- function(n) as.integer(min(3000, max(1000, 1.5e6 / n)))

# About 20,000 steps, 20 to 5,000 epochs.
bayes_epochs <- function(counts, batch_size) {
  batch_size <- min(counts$rows, if (is.null(batch_size)) default_rows(counts) else batch_size)
  as.integer(min(5000, max(20, ceiling(20000 / ceiling(counts$rows / batch_size)))))
}

# ---- the end of training

# The noise of a gaussian response at its closed form, the mean of (y - E f)^2 + Var f, where training is without draws.
#' @exportS3Method
close_noise.varnn_bayes_nn <- function(fit, data) {
  at <- which(fit$layout$role == "noise")
  if (!is_deterministic(fit$spec) || length(at) != 1 || !all(vapply(fit$blocks, has_sigma, NA))) return(fit)
  nll <- engine_run(fit$spec, fit$theta, data[names(data) != "row"], "terms")[, 1]
  w <- if (is.null(data$weight)) rep(1, length(nll)) else data$weight
  use <- if (is.null(data$row)) seq_along(nll) else data$row
  use <- use[!is.na(data$y[use, 1])]
  log_sd <- fit$theta[leaf_index(fit$layout[at, ])]
  squares <- exp(2 * log_sd) * (2 * nll[use] - log(2 * pi) - 2 * log_sd)
  fit$theta[leaf_index(fit$layout[at, ])] <- log(sum(w[use] * squares) / sum(w[use])) / 2
  fit
}
