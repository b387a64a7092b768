#' Neural networks for regression and classification
#'
#' Fits a feed-forward network \eqn{\eta(x) = W_L \phi(\ldots \phi(W_1 x + b_1) \ldots) + b_L}{eta(x) = W_L phi(...
#' phi(W_1 x + b_1) ...) + b_L} by minimising the mean negative log-likelihood of a family whose link maps the mean of
#' the response to \eqn{\eta}{eta}. With `hidden = 0` it is the linear model, or the generalised linear model with the
#' link that [families()] names.
#'
#' @section What is minimised:
#' \deqn{\frac{1}{\sum w_i} \sum_i w_i \, \ell(y_i, \eta(x_i)) + \frac{\lambda}{2} \sum_j w_j^2}{(1 / sum(w)) sum_i
#' w_i nll(y_i, eta(x_i)) + (lambda / 2) sum(weights^2)} with case weights \eqn{w_i}{w_i} and \eqn{\lambda}{lambda} =
#' `penalty`. For a gaussian response \eqn{\ell}{nll} is half the squared error of the standardised response, so that
#' `hidden = 0` gives ridge regression \eqn{(X'X/n + \lambda I)^{-1} X'y/n}{(X'X/n + lambda I)^-1 X'y/n} on the
#' standardised data; the noise's standard deviation is then found in closed form (`sigma()`). The history shows the
#' loss in nats per observation with that closed form filled in, for the data held out that of their own errors.
#'
#' @section Families:
#' `"auto"` takes the family from the response: numeric `"gaussian"` (identity link); logical and two-level factors
#' `"bernoulli"` (logit; the second level is the success, as in [glm()]); ordered factors of more levels `"ordinal"`
#' (cumulative logits, as [MASS::polr()] has them: without hidden layers its coefficients, the intercept being minus its
#' first threshold); other factors and characters `"categorical"` (softmax); `survival::Surv(time, status)`, right
#' censored, `"weibull"`. On request: `"lognormal"` and `"loglogistic"` for survival times, as `survival::survreg()` has
#' them (of times that are plain numbers all are events), `"binomial"` with a two-column matrix of successes and
#' failures, `"poisson"` (log), `"negative_binomial"` (log; its size is learned), `"gaussian_hetero"` (mean and log
#' standard deviation both depend on x), `"huber"` (Huber's density, normal in the middle with exponential tails beyond
#' 1.345 times a scale that is learned: a robust regression). A response that is a matrix or a data frame has a family
#' for each column; a named `family` sets some. For their formulas see [families()].
#'
#' `"quantile"` is the quantile `tau` of the response, by default its median. Without hidden layers the coefficients are
#' those of the linear program of quantile regression (Koenker and Bassett 1978): training ends in an exchange of rows
#' that finds its optimum. Standard errors, intervals and the posterior of [fit_bayes_nn()] take the noise as asymmetric
#' Laplace, which it seldom is.
#'
#' Several `tau`, as `c(0.1, 0.5, 0.9)`, are fitted together, and their quantiles never cross, of new data neither. The
#' middle quantile, whose `tau` is nearest to 0.5 (of two the lower), is an output of the network. Each other quantile
#' has an output that is the log of its distance to the next one on the way to the middle. What is minimised is the mean
#' of the check losses of all `tau`. So without hidden layers the middle quantile is linear in the predictors, and the
#' distances are log-linear: where the coefficient of a predictor is b, a unit of it multiplies the distance by
#' \eqn{e^b}{exp(b)}. The other quantiles are linear only as far as the distances are constant, and differ from those of
#' fits of one `tau` each. [predict()][predict.varnn_nn] gives the middle quantile, and with `type = "quantile"` all of
#' them. For draws, other probabilities, prediction intervals and [calibration()] the log odds of \eqn{P(Y \le q)}{P(Y
#' <= q)} are a straight line between neighbouring quantiles, which goes on beyond the outermost two: exact where the
#' response is logistic, and there an extrapolation. The log-likelihood is the mean of those of the asymmetric Laplace
#' distributions, which compares fits with the same `tau` alone, and there are no standard errors. With hidden layers
#' training may end where two neighbouring quantiles nearly meet, and the share of the rows below one of them is then
#' some percent off its `tau`: look at these shares, and train from several `starts` or fit one `tau` at a time.
#'
#' The scale of `"huber"` is estimated by maximum likelihood, together with the network. Gross outliers therefore widen
#' it, and with it the part in which residuals count as those of a normal distribution: it is less robust than
#' [MASS::rlm()], which takes the scale from the median absolute residual.
#'
#' @section Classes of columns:
#' Predictors are numeric, logical, factors or characters. Dates and times (`Date`, `POSIXct`, and `POSIXlt` as what
#' [as.POSIXct()] makes of it) are read as the numbers that [lm()] reads, differences in time (`difftime`) in their unit
#' in the training data, whatever the unit of new data is, and 64-bit integers (of the package bit64) as their values.
#' Columns of other classes, whose numbers may mean something else (units, survival times, labelled values), are an
#' error that names them.
#'
#' @section Defaults that look at the data:
#' A network of dense layers alone starts as a linear model, so that training can only add to it: two units carry each
#' direction of the (generalised) linear model with penalty p / n (p predictors, n rows), the other units have random
#' weights that the output does not use yet. With dropout or layer normalisation, with a single unit, or where the
#' linear model would cost more than a fifth of the training, all weights start at random.
#'
#' With `hidden = 0` the problem is convex: `"lbfgs"` solves it to convergence, whatever the random seed, unless an
#' argument of [nn_control()] says how to train (`optimizer`, `batch_size`, `learn_rate`, `schedule`, `momentum`). The
#' coefficients are then those of [lm()] and [glm()], with their standard errors: see [vcov.varnn_nn()]. Of columns that
#' others determine, the last have coefficient 0; with as many columns as rows the coefficients are small ones of many
#' that fit, and have no standard errors. When a combination of columns separates the classes, so that no finite
#' coefficients maximise the likelihood, a warning of class `varnn_separated` says so.
#'
#' Otherwise, when `epochs` is not given, 5-fold cross-validation within the training data (three times over up to 2,000
#' rows; beyond 10,000 rows one fold) finds the fewest epochs whose held-out loss is within half a standard error of the
#' least, and the network is then trained on all rows for that long. `print()` says what was chosen. The choices were
#' made by cross-validation over 35 data sets that ship with R, by the script `tools/defaults.R` of the package's
#' repository.
#'
#' @param x a formula, a numeric matrix, or a data frame of predictors.
#' @param formula,data,weights,subset,na.action,contrasts as in [lm()]; `offset()` in the formula too. `weights` are
#'   case weights: a row of weight 2 counts as two such rows, in the defaults, too. A row of weight 0 has no part in
#'   training; the fit predicts for it, as [lm()] does. When some weights are not whole numbers, the defaults count
#'   rows. Weights that are inverse variances are not meant: they give other standard errors than those of [lm()]. Of a
#'   response with classes `weights` may also be numbers by the classes' names, such as `c(no = 1, yes = 5)`, or
#'   `"balanced"`: then the rows of each class have the same sum of weights, and the mean weight is 1. Probabilities are
#'   those of data with such weights. `data` may be larger than memory, see [chunks()].
#' @param y the response: a vector, factor, matrix (several responses) or data frame (several responses of any type).
#'   With `na.action = na.pass` missing entries are allowed in responses, and add nothing to the loss.
#'   What is said of the training data, and scores of [cross_validate()], leave rows without any response out.
#' @param hidden units of each hidden layer, from the first; `0` or `integer()` for none.
#' @param activation one of [activations()], or one for each hidden layer. Also a function of your own, such
#'   as `~ x * plogis(x)` or `function(x) pmax(x, 0)`; several of them, or names and functions, are a list. See
#'   [activations()].
#' @param family see Families.
#' @param penalty L2 penalty \eqn{\lambda}{lambda} on the weights, not on the biases. With `optimizer = "adamw"` it is
#'   that method's decoupled decay. Also a function of one weight, as `~ 0.01 * abs(w)`: its sum over the weights is
#'   added to the mean loss. What it may use is told in [activations()].
#' @param dropout rate of dropout after each hidden layer (Srivastava et al. 2014), one number or one per layer.
#' @param layer_norm normalise the units within each hidden layer (Ba et al. 2016)?
#' @param standardize centre and scale numeric predictors, but for 0/1 columns, and gaussian responses? Undone in all
#'   output.
#' @param control how to train, see [nn_control()]; its arguments may also be given directly.
#' @param keep_data keep the training data in the fit? `NULL`: only if [summary()], [residuals()] and similar methods
#'   need them. A fit usually has its outputs for the training data, and these methods use the outputs. The data are
#'   kept in place of the outputs when a pass over them would take long beside the training, and when predictions are
#'   means over draws. `FALSE`: never. A method that needs the data then says so or, if it takes `newdata`, looks for
#'   the data where the call found them, as [model.frame()] does.
#' @param ... arguments of [nn_control()].
#' @param members number of networks, from 1 to 1000, that are trained from different random starts and averaged:
#'   several are a deep ensemble, see Ensembles. `"auto"` is 1.
#' @param combine weights of the members: `"equal"` (which is `"auto"`) or `"stack"`, see Ensembles.
#' @param df degrees of freedom of a response of the family `"student_t"` where they are known: short for `family =
#'   nn_family("student_t", df = )`. `NULL`: they are learned.
#' @param tau of the family `"quantile"`: which quantile of the response, a probability between 0 and 1, or several that
#'   rise, at most 100 (see Families); `NULL`: 0.5, the median.
#' @param embed of factors with many levels how many numbers stand for a level, such as `c(zip = 4)`; `"auto"`: see
#'   Factors with many levels. 0 is none, and `c(zip = 0)` none for this factor.
#'
#' @section Ensembles:
#' With `members` the fit is a mixture of networks (Lakshminarayanan et al. 2017): what is predicted is the weighted
#' mean of the members' distributions. The first member chooses how long to train, and the others train as long. A
#' member whose training diverges is left out, and a warning says so. The weights are equal, or those that maximise the
#' mean log density of rows that the members have not seen (`combine = "stack"`, Wolpert 1992; Yao et al. 2018). These
#' are the rows held out by `validation` or, where none are, those of five folds: for each fold every member is trained
#' anew, from its own start, on the rows of the other four.
#'
#' [predict()][predict.varnn_bayes_nn] of an ensemble has intervals, of gaussian responses exact quantiles of the
#' mixture, and [posterior_epred()], [posterior_predict()], [log_lik()], [simulate()] and [calibration()] draw from it.
#' [members()] gives the members. They are trained by several processes where there is a plan of the
#' package future, see [nn_control()].
#'
#' @section Factors with many levels:
#' A factor of more than 32 levels enters by an embedding (Guo and Berkhahn 2016), where there is a hidden layer and the
#' factor is a term by itself: each level has a few numbers, which are learned, in place of a dummy. By default there
#' are 2 of them for up to 50 levels, 4 for up to about 2,500 and 8 for more. They start as small random numbers, and
#' their mean over the rows of training is 0 in the end, so that zeros stand for the mean level, which is what
#' `new_levels = "mean"` takes. Time and memory of a step are those of the levels in its batch: only these move, and
#' methods with memory, such as Adam, count for each level the steps that it was in. With a `penalty`, which these
#' numbers have, too, and with `"lbfgs"` each step moves all levels. On 18 tables with factors of 36 to 2,838 levels the
#' error on held-out rows was that of dummies on average, from 4 % below to 6 % above. The median time was six tenths of
#' theirs, and a twentieth with a thousand levels or more (script `tools/embed_default.R` of the package's repository).
#'
#' @return An object of class `c("varnn_nn", "varnn")` or, with several members, `c("varnn_mixture", "varnn_nn",
#'   "varnn")`, a list that can be saved with [saveRDS()]. Its elements include `call`, `terms`, `family`, `history` (a
#'   data frame with a row per epoch: `epoch`, `loss`, `nll`, `learn_rate`, and `val_loss` where data were held out, in
#'   nats per observation), `converged`, `stop_reason`, `best_epoch`, `n_obs`, `n_par`, `scaling`, `spec`, `theta` (all
#'   parameters) and `layout` (where each matrix is in `theta`). The response is kept, and the
#'   outputs for the training data or these data (see `keep_data`). What each member has of its own, such as `history`
#'   and `theta`, is in the fits that [members()] gives.
#'
#' Trouble in training is told by a warning of class `varnn_diverged`, `varnn_interrupted` or `varnn_no_progress`, and a
#' fit with the best parameters so far.
#' @references Glorot and Bengio (2010), PMLR 9, 249-256. He, Zhang, Ren and Sun (2015) initial weights,
#'   \doi{10.1109/ICCV.2015.123}. Srivastava et al. (2014) dropout, Journal of Machine Learning Research 15,
#'   1929-1958. Lakshminarayanan, Pritzel and Blundell (2017) deep ensembles, \doi{10.48550/arXiv.1612.01474}. Wolpert
#'   (1992) stacking, \doi{10.1016/S0893-6080(05)80023-1}. Yao, Vehtari, Simpson and Gelman (2018) stacking of
#'   distributions, \doi{10.1214/17-BA1091}. Huber (1964) robust location, \doi{10.1214/aoms/1177703732}.
#'   Koenker and Bassett (1978) regression quantiles, \doi{10.2307/1913643}.
#'   Guo and Berkhahn (2016) embeddings of factors, \doi{10.48550/arXiv.1604.06737}.
#'   Ba, Kiros and Hinton (2016) layer normalisation, \doi{10.48550/arXiv.1607.06450}.
#' @seealso [fit_bayes_nn()] for predictions that know how sure they are; [nn_control()], [predict.varnn_nn()],
#'   [summary.varnn_nn()], [plot.varnn()], [continue()], [calibration()], [check_gradients()]; the vignettes `varnn`
#'   and `neural-networks`.
#' @examples
#' set.seed(1)
#' fit <- fit_nn(mpg ~ ., mtcars, epochs = 100)
#' fit
#' predict(fit, head(mtcars))
#'
#' irises <- fit_nn(Species ~ ., iris, hidden = 8, epochs = 50)
#' table(predict(irises), iris$Species)
#' @export
fit_nn <- function(x, ...) {
  call <- formula_call(match.call(), sys.call(), quote(fit_nn.formula))
  if (is.null(call)) UseMethod("fit_nn") else eval(call, list(fit_nn.formula = fit_nn.formula), parent.frame())
}

# The call when it names the formula, as `formula =` after other arguments or as `x =`; NULL when it does not. Without
# a first argument it is an error.
formula_call <- function(call, typed, method) {
  has_x <- "x" %in% names(typed)
  if (is.null(call$x) && is.null(call$formula))
    stop_user("The first argument is missing: give a formula, a numeric matrix or a data frame.")
  # as lapply(parts, fit_nn, formula = y ~ x) calls it: what comes first are the data
  is_part <- !is.null(call$x) && !is.null(call$formula) && !has_x && is.null(call$data)
  if (is_part) names(call)[names(call) == "x"] <- "data"
  if (is.null(call$x)) {
    call <- as.call(c(method, list(formula = call$formula), as.list(call)[-1][names(call)[-1] != "formula"]))
    return(call)
  }
  if (!has_x || !is.call(call$x) || !identical(call$x[[1]], quote(`~`))) return(NULL)
  names(call)[names(call) == "x"] <- "formula"
  call[[1]] <- method
  call
}

#' @rdname fit_nn
#' @export
fit_nn.default <- function(x, ...) {
  stop_user("The first argument must be a formula, a numeric matrix or a data frame of predictors, not %s%s.", shown(x),
            if (isS4(x)) ": use as.matrix(x)" else "")
}

#' @rdname fit_nn
#' @export
fit_nn.formula <- function(formula, data, weights, subset, na.action, contrasts = NULL, hidden = 16,
                           activation = "relu", family = "auto", penalty = 0, dropout = 0, layer_norm = FALSE,
                           standardize = TRUE, control = nn_control(), keep_data = NULL, ...,
                           members = 1, combine = "auto", df = NULL, tau = NULL, embed = "auto") {
  call <- match.call()
  call[[1]] <- quote(fit_nn)
  says_how <- any(training_choices %in% c(given_in(control), ...names()))
  control <- control_with(control, ...names(), ...length(), list(...), names(formals(fit_nn.formula)))
  family <- family_with(family, df = df, tau = tau)
  model <- c(nn_arguments(hidden, activation, family, penalty, dropout, layer_norm, standardize),
             check_mixture_arguments(members, combine, has_evidence = FALSE))
  train <- formula_data(call, parent.frame(), contrasts, model$family, check_embed(embed, length(model$hidden) > 0))
  nn_train(train, model, control, says_how, call, keep_data)
}

#' @rdname fit_nn
#' @export
fit_nn.data.frame <- function(x, y, weights = NULL, na.action = NULL, hidden = 16, activation = "relu",
                              family = "auto", penalty = 0, dropout = 0, layer_norm = FALSE, standardize = TRUE,
                              control = nn_control(), keep_data = NULL, ...,
                              members = 1, combine = "auto", df = NULL, tau = NULL, embed = "auto") {
  call <- match.call()
  call[[1]] <- quote(fit_nn)
  says_how <- any(training_choices %in% c(given_in(control), ...names()))
  control <- control_with(control, ...names(), ...length(), list(...), names(formals(fit_nn.data.frame)))
  family <- family_with(family, df = df, tau = tau)
  model <- c(nn_arguments(hidden, activation, family, penalty, dropout, layer_norm, standardize),
             check_mixture_arguments(members, combine, has_evidence = FALSE))
  if (missing(y)) stop_user("`y` is missing: give the response, or use a formula.")
  embed <- check_embed(embed, length(model$hidden) > 0)
  nn_train(data_from_xy(x, y, weights, na.action = na.action, embed = embed), model, control, says_how, call, keep_data)
}

#' @rdname fit_nn
#' @export
fit_nn.matrix <- fit_nn.data.frame

# The arguments that shape the network, checked.
nn_arguments <- function(hidden, activation, family, penalty, dropout, layer_norm, standardize) {
  hidden <- check_hidden(hidden)
  list(hidden = hidden, activation = check_activation(activation, length(hidden)), family = plain_words(family),
       penalty = check_penalty(penalty), dropout = check_dropout(dropout, length(hidden)),
       layer_norm = check_flag(layer_norm, "layer_norm"), standardize = check_flag(standardize, "standardize"))
}

check_hidden <- function(hidden) {
  if (length(hidden) > 1000) stop_user("`hidden` has %d layers, and a model has 1000 at most.", length(hidden))
  is_number <- is.null(hidden) || is.numeric(hidden) && !is.object(hidden)
  if (is_number) hidden <- plain(hidden)
  if (is_number && (!length(hidden) || identical(as.double(hidden), 0))) return(integer())
  if (!is_number || !all(is_size(hidden)))
    stop_user("`hidden` must be the numbers of units of the hidden layers, such as c(32, 16), or 0 for none, not %s%s.",
              shown(hidden), if (is_number && any(hidden > 1e8, na.rm = TRUE)) ", which is too large" else "")
  as.integer(hidden)
}

# Numbers of units that a layer can have.
is_size <- function(x) !is.na(x) & x >= 1 & x <= 1e8 & x == round(x)

check_activation <- function(activation, n_layers) {
  each <- if (is.character(activation)) as.list(plain(activation))
  else if (is_program_source(activation)) list(activation)
  else if (is.list(activation) && !is.object(activation)) unname(activation)
  if (is.null(each) || !length(each) %in% c(1, n_layers))
    stop_user(paste("`activation` must be one name from activations() or function of x, or one for each hidden layer,",
                    "not %s."), shown(activation))
  each <- lapply(each, function(one) {
    if (is_program_source(one)) activation_program(one) else check_choice(one, activations(), "activation")
  })
  if (all(vapply(each, is.character, NA))) unlist(each) else each
}

# A number, or the program of a function of one weight.
check_penalty <- function(penalty) {
  if (is_program_source(penalty)) penalty_program(penalty) else check_number(penalty, "penalty", 0, 1e100)
}

# The decay of "adamw" is a multiple of the weights.
check_decay <- function(penalty, control) {
  if (is_program(penalty) && control$optimizer == "adamw")
    stop_user("`optimizer` = \"adamw\" needs a `penalty` that is a number, not a function.")
}

check_dropout <- function(dropout, n_layers) {
  rates <- plain_numbers(dropout)
  if (!every(!is.null(rates), length(rates) %in% c(1, n_layers), all(rates >= 0 & rates < 1)))
    stop_user("`dropout` must be a rate of at least 0 and below 1, or one for each hidden layer, not %s.",
              shown(dropout))
  rates
}

# Training data and arguments to a fit.
nn_train <- function(train, model, control, says_how, call, keep_data) {
  keep_data <- check_keep_data(keep_data)
  check_decay(model$penalty, control)
  if (!length(model$hidden) && any(model$dropout > 0)) stop_user("`dropout` needs a hidden layer.")
  if (length(model$hidden)) train$design$intercept <- TRUE
  else if (!is.null(train$design$embed))
    stop_user("`hidden` must have a layer where factors are embedded: see `embed`.")
  train <- proportions_to_counts(train, model$family)
  control <- chunked_control(control, train, keep_data, says_how, is_linear = !length(model$hidden))
  train <- hold_out(train, control$validation, family = model$family)
  train$scaling <- x_scaling(train, model$standardize)
  blocks <- response_blocks(train, model$family, model$standardize)
  layers <- c(embed_layers(train$design),
              hidden_layers(model$hidden, model$activation, model$dropout, model$layer_norm),
              list(layer("dense", sum(vapply(blocks, eta_rows, 0)), if (train$design$intercept) "bias" else "none")))
  spec <- new_spec(ncol(train$x), layers, blocks, !is.null(engine_offset(blocks, train$offset)), model$penalty)
  model <- with_members(model)
  fit_members(model$members, model$combine, "varnn_nn", spec, blocks, train, model,
              linear_control(control, says_how, spec), call, keep_data)
}

# glm()'s other way to write counts: the share of successes, with the numbers of trials as weights.
proportions_to_counts <- function(train, family) {
  y <- train$response
  w <- train$weights
  is_share <- every(takes_trials(family), is.numeric(y), length(dim(y)) < 2, !is.null(w), all(y >= 0 & y <= 1),
                    any(y > 0 & y < 1), all(w == round(w)), all(abs(w * y - round(w * y)) < 1e-6))
  if (!is_share) return(train)
  train$response <- cbind(round(w * y), w - round(w * y))
  train$weights <- if (any(w == 0)) as.double(w > 0) # rows without trials are absent
  train
}
