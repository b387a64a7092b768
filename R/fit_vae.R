#' Variational autoencoders
#'
#' Fits the latent-variable model \eqn{z \sim N(0, I)}{z ~ N(0, I)}, \eqn{x_j | z \sim}{x_j | z ~} the family of
#' column j with parameters \eqn{d_j(z)}, a decoder network, by maximising the evidence lower bound (ELBO) with an
#' encoder network for \eqn{q(z | x) = N(g(x), \mathrm{diag}(h(x)^2))}{q(z | x) = N(g(x), diag(h(x)^2))} (Kingma and
#' Welling 2014, Rezende et al. 2014). All numbers are in nats per row on the columns' own scales.
#'
#' @section What is maximised:
#' \deqn{\frac1n \sum_i \left[ E_{q(z|x_i)} \log p(x_i | z) - \beta \, KL(q(z | x_i) \| N(0, I)) \right]}{mean_i [
#' E_q(z|x_i) log p(x_i | z) - beta KL(q(z | x_i) || N(0, I)) ]} With `beta = 1` it is the ELBO, a lower bound of the
#' mean log-likelihood. The expectation is taken over `mc_samples` reparametrised draws \eqn{z = g(x) + h(x) \xi}{z =
#' g(x) + h(x) xi}, \eqn{\xi \sim N(0, I)}{xi ~ N(0, I)}; g and h share the hidden layers. The KL is exact, or with
#' `kl = "mc"` taken at the same draws, as \eqn{\log q(z | x) - \log p(z)}{log q(z | x) - log p(z)}. Whatever `beta`,
#' `kl_warmup`, `free_bits` or `importance` say, the history also has the ELBO (at `beta = 1`).
#'
#' With `importance = k` the bound \eqn{E \log \frac1k \sum_k p(x, z_k) / q(z_k | x)}{E log (1/k) sum_k p(x, z_k) /
#' q(z_k | x)} of Burda et al. (2016) is maximised, which is tighter. `free_bits = b` leaves each latent dimension of
#' each row b nats of KL that cost nothing (Kingma et al. 2016).
#'
#' Without hidden layers and with one learned sigma this is probabilistic principal component analysis (Tipping and
#' Bishop 1999, Lucas et al. 2019): the optimal ELBO is the log-likelihood, and dimensions whose eigenvalue is below
#' sigma^2 collapse. `summary()` says whether they should.
#'
#' @section Columns:
#' Numeric columns are `"gaussian"`, logical ones and factors of two levels `"bernoulli"`, other factors and character
#' columns `"categorical"`; on request (`family`, one for all or by name) `"poisson"`, `"negative_binomial"` (its size
#' is learned), `"bernoulli"` of numbers between 0 and 1, `"huber"`. A missing entry adds nothing to the likelihood;
#' see [fit_ae()] for how it enters the encoder, and [impute()]. A numeric column that is constant in the training data
#' is reconstructed and simulated as that constant; it counts among the columns from which one common sigma is learned.
#'
#' @section Defaults:
#' A model of standardised columns with hidden layers has by default `margins = "smooth"`, the noise of each column of
#' its own (`sigma = "each"`; a column that is constant has a noise of 1), and as many latent dimensions as rows held
#' out ask for: 2, 4, 8, ..., while more of them make a fifth of the rows, of 2,500 at most, more probable by more
#' than the standard error of that. `print()` says by what the number was chosen. Without hidden layers, or with
#' `standardize = FALSE`, it has what textbooks have: `margins = "normal"`, `sigma = "learned"` and two dimensions.
#'
#' Where `epochs` is not given training takes about 20,000 steps, 20 to 1,000 epochs, without cross-validation: the
#' noise of the codes does much of what fewer epochs would. On the tables of the script `vae.R` in the folder tools of
#' the sources, with four dimensions, the log-likelihood of rows held out is lower than its greatest by .52 nats on
#' average after 100 epochs, .20 after 400, .18 after 800 and .30 after 3,200. Most is lost by 800 on `survey` (.6)
#' and `airquality` (.4), where fewer are better.
#'
#' On all twenty of these tables a random forest tells simulated from real rows with an area under the curve of .57 on
#' average, where textbooks' settings have .80, and the log-likelihood of rows held out is greater by 3.0 nats. On the
#' five of them that epochs and dimensions were chosen without (`Carseats`, `College`, `infert`, `Pima.te`, `survey`)
#' the areas are .57 and .89, and the difference is 4.0 nats.
#'
#' @section Margins:
#' With `margins = "smooth"` each gaussian column is mapped to normal scores by a smooth increasing function, learned
#' from its distribution in the training data (a rational quadratic spline, Gregory and Delbourgo 1982), and the network
#' models the scores. What a column can be is found, printed, and kept by all that is simulated or imputed: a limit
#' (positive numbers; shares; the largest value, where many are cut off there), whole numbers and other steps, values
#' that occur often (as 0 does), few distinct values, and values that repeat (by a Dirichlet process, Blackwell and
#' MacQueen 1973). Likelihoods stay those of the columns: densities, and probabilities of the values that have one. A
#' column with a number as `sigma` has no such margin. New values that a column cannot have are taken as the nearest
#' that it can, with a warning.
#'
#' @section Conditional models:
#' `fit_vae(height + weight ~ sex + age, data)` models the columns on the left given those on the right (Sohn et al.
#' 2015): both networks read the latter too, coded as [lm()] does. Draws for any values: `simulate(fit, newdata = )`.
#'
#' @param x a formula (`~ .`, or `a + b ~ given`, also written `cbind(a, b) ~ given`), a numeric matrix, or a data
#'   frame.
#' @param formula,data,weights,subset,na.action,contrasts as in [lm()], but that missing entries of modelled columns
#'   pass by default. `weights` are case weights: a row of weight 2 counts as two such rows, and a row of weight 0
#'   as none. With a one-sided formula `data` may be larger than memory, see [chunks()].
#' @param hidden units of each hidden layer of the encoder; the decoder has them in reverse order. Or `list(encoder =
#'   , decoder = )`. `0`: none.
#' @param latent number of latent dimensions, or `"auto"`, see Defaults.
#' @param activation one of [activations()], or one for each hidden layer of the encoder. Also a function of your own,
#'   such as `~ x * plogis(x)` or `function(x) pmax(x, 0)`; several of them, or names and functions, are a list. See
#'   [activations()].
#' @param family see Columns.
#' @param sigma noise of the gaussian columns: `"learned"`, one for all (standardised) columns; `"each"`, one per
#'   column; `"auto"`, see Defaults; a positive number (or a vector of them with the columns' names), on the columns'
#'   own scale; `"hetero"`: it depends on z. Learned ones end at their closed-form optimum given the rest (but for
#'   `importance` above 1).
#' @param margins `"normal"`: gaussian columns are gaussian given z as they stand. `"smooth"`: the margin of each of
#'   them is learned first, see Margins. `"auto"`: see Defaults.
#' @param beta weight of the KL.
#' @param kl exact, or by Monte Carlo (`"mc"`).
#' @param mc_samples draws of z per row and gradient.
#' @param kl_warmup number of epochs over which the KL's weight grows to `beta`.
#' @param free_bits nats of KL per dimension and row that are free.
#' @param importance number of draws of the importance-weighted bound; 1: the ELBO.
#' @param standardize centre and scale numeric columns? Undone in all output, likelihoods included.
#' @param control how to train, see [nn_control()]; its arguments may also be given directly.
#' @param keep_data keep the training data in the fit? By default they are, for [summary()], [residuals()] and their
#'   like. With `FALSE` they are not, and such methods say so; methods that take `newdata` look for the data where the
#'   call found them, as [model.frame()] does.
#' @param ... arguments of [nn_control()].
#'
#' @return An object of class `c("varnn_vae", "varnn")`, a list as that of [fit_nn()]; `history` has `loss` (the
#'   objective's negative), `nll` and `kl_latent` (the ELBO's parts, negative), `elbo`, `learn_rate` and, where rows
#'   were held out, `val_loss`. Methods: [encode()], [decode()], [reconstruct()], [simulate()][simulate.varnn_vae],
#'   [elbo()], [logLik()][logLik.varnn_vae], [impute()], [predict()][predict.varnn_ae], [anomaly()],
#'   [plot()][plot.varnn], [summary()][summary.varnn_vae].
#' @references Kingma and Welling (2014) \doi{10.48550/arXiv.1312.6114}. Rezende, Mohamed and Wierstra (2014)
#'   \doi{10.48550/arXiv.1401.4082}. Burda, Grosse and Salakhutdinov (2016) \doi{10.48550/arXiv.1509.00519}. Kingma et
#'   al. (2016) free bits, \doi{10.48550/arXiv.1606.04934}. Higgins et al. (2017) beta, beta-VAE, ICLR. Sohn, Lee and
#'   Yan (2015) conditional models, NeurIPS 28. Tipping and Bishop (1999) \doi{10.1111/1467-9868.00196}. Lucas,
#'   Tucker, Grosse and Norouzi (2019) \doi{10.48550/arXiv.1911.02469}. Gregory and Delbourgo (1982)
#'   \doi{10.1093/imanum/2.2.123}. Blackwell and MacQueen (1973) \doi{10.1214/aos/1176342372}.
#' @seealso [fit_ae()], [nn_control()], [elbo()], [plot.varnn()]; the vignette `variational-autoencoders`.
#' @examples
#' set.seed(1)
#' fit <- fit_vae(iris, epochs = 100)
#' fit
#' simulate(fit, 3)
#' summary(fit)
#'
#' given <- fit_vae(Sepal.Length + Sepal.Width ~ Species, iris, latent = 1, epochs = 100)
#' simulate(given, newdata = data.frame(Species = levels(iris$Species)))
#' @export
fit_vae <- function(x, ...) {
  call <- formula_call(match.call(), sys.call(), quote(fit_vae.formula))
  if (is.null(call)) UseMethod("fit_vae") else eval(call, list(fit_vae.formula = fit_vae.formula), parent.frame())
}

#' @rdname fit_vae
#' @export
fit_vae.default <- function(x, ...) {
  stop_user("The first argument must be a formula, a numeric matrix or a data frame, not %s%s.", shown(x),
            if (isS4(x)) ": use as.matrix(x)" else "")
}

#' @rdname fit_vae
#' @export
fit_vae.formula <- function(formula, data, weights, subset, na.action, contrasts = NULL, hidden = 32, latent = "auto",
                            activation = "silu", family = "auto", sigma = "auto", margins = "auto", beta = 1,
                            kl = "exact", mc_samples = 1, kl_warmup = 0, free_bits = 0, importance = 1,
                            standardize = TRUE, control = nn_control(), keep_data = NULL, ...) {
  call <- match.call()
  call[[1]] <- quote(fit_vae)
  control <- control_with(control, ...names(), ...length(), list(...), names(formals(fit_vae.formula)))
  model <- vae_arguments(hidden, latent, activation, family, sigma, margins, beta, kl, mc_samples, kl_warmup,
                         free_bits, importance, standardize)
  vae_train(conditional_data(call, parent.frame(), contrasts), model, control, call, keep_data)
}

#' @rdname fit_vae
#' @export
fit_vae.data.frame <- function(x, weights = NULL, na.action = NULL, hidden = 32, latent = "auto",
                               activation = "silu", family = "auto", sigma = "auto", margins = "auto", beta = 1,
                               kl = "exact", mc_samples = 1, kl_warmup = 0, free_bits = 0, importance = 1,
                               standardize = TRUE, control = nn_control(), keep_data = NULL, ...) {
  call <- match.call()
  call[[1]] <- quote(fit_vae)
  control <- control_with(control, ...names(), ...length(), list(...), names(formals(fit_vae.data.frame)))
  model <- vae_arguments(hidden, latent, activation, family, sigma, margins, beta, kl, mc_samples, kl_warmup,
                         free_bits, importance, standardize)
  vae_train(columns_from_x(x, weights, na.action), model, control, call, keep_data)
}

#' @rdname fit_vae
#' @export
fit_vae.matrix <- fit_vae.data.frame

vae_arguments <- function(hidden, latent, activation, family, sigma, margins, beta, kl, mc_samples, kl_warmup,
                          free_bits, importance, standardize) {
  hidden <- check_coder_hidden(hidden)
  kl <- check_choice(kl, c("exact", "mc"), "kl")
  whole <- function(x, name, low) as.integer(check_number(x, name, low, 1e6, whole = TRUE))
  model <- list(hidden = hidden, latent = check_latent(latent),
                activation = check_coder_activation(activation, hidden), family = plain_words(family),
                sigma = check_sigma(sigma), margins = check_choice(margins, c("auto", "smooth", "normal"), "margins"),
                beta = check_number(beta, "beta", 0, 1e6), kl = kl,
                mc_samples = whole(mc_samples, "mc_samples", 1),
                kl_warmup = whole(kl_warmup, "kl_warmup", 0), free_bits = check_number(free_bits, "free_bits", 0, 1e6),
                importance = whole(importance, "importance", 1),
                standardize = check_flag(standardize, "standardize"))
  if (model$importance > 1 && model$free_bits > 0)
    stop_user("`free_bits` belongs to the ELBO: with `importance` = %d there is no KL to leave free.",
              model$importance)
  model
}

check_latent <- function(latent) {
  if (identical(plain_words(latent), "auto")) return("auto")
  if (is.character(latent)) stop_user("`latent` must be \"auto\" or a whole number above 0, not %s.", shown(latent))
  as.integer(check_number(latent, "latent", 1, 1e8, whole = TRUE))
}

check_sigma <- function(sigma) {
  v <- plain_numbers(sigma)
  if (length(v)) {
    if (length(v) > 1 && is.null(attr(sigma, "names")))
      stop_user("`sigma` of several numbers needs the names of their columns.")
    for (one in v) check_positive(one, "sigma", least_sigma)
    return(stats::setNames(v, plain_names(sigma)))
  }
  if (is.character(sigma)) return(check_choice(sigma, c("auto", "learned", "each", "hetero"), "sigma"))
  stop_user("`sigma` must be \"auto\", \"learned\", \"each\", \"hetero\" or a number above 0, not %s.", shown(sigma))
}

# What engine_job() reads beside the control.
vae_objective <- function(model) {
  of_kl <- c(kl_latent = model$beta, kl_free = model$beta)
  if (model$free_bits > 0) of_kl[["kl_latent"]] <- 0
  list(coefficient = of_kl, mc_samples = model$mc_samples, kl_warmup = model$kl_warmup, importance = model$importance)
}

vae_train <- function(train, model, control, call, keep_data) {
  keep_data <- check_keep_data(keep_data)
  check_stochastic(control, "A variational autoencoder")
  control <- chunked_control(control, train, keep_data, holds_out = FALSE)
  train <- hold_out(train, control$validation, train$n)
  given <- train$given
  model <- with_own_defaults(model)
  numeric <- auto_family(0)
  if (identical(model$sigma, "hetero")) numeric <- with_own_sigma(numeric)
  train <- add_columns(train, model$family, model$standardize, numeric, model$sigma, model$margins)
  if (identical(model$sigma, "own")) model$sigma <- "each" else check_sigma_columns(model$sigma, train$design$variables)
  check_varying(train, model$sigma)
  if (!is.null(given)) train <- add_given(train, given, model$standardize)
  warn_of_latent(model$latent, length(train$design$variables),
                 "the others have nothing to tell and fall back to the prior. Use fewer, or `latent` = \"auto\".")
  control$objective <- vae_objective(model)
  kept_training("trained_vae", list(train = train, model = model, control = control, call = call,
                                    keep_data = keep_data, n_given = length(given$design$columns)))
}

trained_vae <- function(train, model, control, call, keep_data, n_given) {
  fit_with <- function(model, train, control, keep_data) {
    spec <- new_spec(ncol(train$x), coder_layers(model, train$blocks, "meanfield", n_given), train$blocks,
                     latent_kl = if (model$importance > 1) "mc" else model$kl)
    trained_model("varnn_vae", spec, train$blocks, train, model, control, call, keep_data)
  }
  if (identical(model$latent, "auto"))
    model[c("latent", "latent_scores")] <- kept_part(choose_latent(train, control, function(latent, part, control) {
      fit_with(replace(model, "latent", latent), part, control, FALSE)
    }))
  fit_with(model, train, control, keep_data)
}

# ---- the number of latent dimensions

# 2, 4, 8, ... as long as more of them make rows held out more probable, by more than the standard error of that: the
# number, and the log-likelihoods per row by which it was chosen, with the numbers as names. A fifth of the rows are
# held out, and no more than 2,500 take part.
choose_latent <- function(train, control, fit_with) {
  p <- length(train$design$variables)
  chosen <- min(2L, p)
  w <- if (is.null(train$weights)) rep(1, nrow(train$x)) else train$weights
  use <- setdiff(which(w > 0), train$held_out)
  sizes <- as.integer(2^(1:6))
  sizes <- sizes[sizes <= p]
  if (length(use) < 10 || length(sizes) < 2) return(list(chosen, NULL))
  if (length(use) > 2500) use <- sort(sample(use, 2500))
  out <- sort(sample(use, length(use) %/% 5))
  part <- train
  part$known <- NULL
  part$weights <- replace(numeric(length(w)), setdiff(use, out), w[setdiff(use, out)])
  quiet <- control
  quiet[c("verbose", "callback")] <- list(FALSE, NULL)
  scores <- best <- NULL
  for (size in sizes) {
    fit <- caught(quiet_member(fit_with(size, part, quiet), first = FALSE))
    is_over <- was_interrupted() || fit$stop_reason == "interrupted"
    if (is_over) break
    rows <- coded_rows(fit, train$x[out, , drop = FALSE], train$y[out, , drop = FALSE])
    own <- row_log_liks(fit, rows, 50)$mean
    scores[as.character(size)] <- sum(w[out] * own) / sum(w[out])
    report(control, "choice of `latent`, %s: log-likelihood of held-out rows %s", count(size, "dimension"),
           format(scores[[length(scores)]], digits = 5))
    if (!is.null(best) && !is_gain(own - best, w[out])) break
    best <- own
    chosen <- size
  }
  if (is_over && is.null(work$failure)) {
    heed_interrupt()
    warn_user("varnn_interrupted", paste(
      "The choice of `latent` was interrupted: the network is trained with %d dimensions. Another interrupt ends the",
      "training, too, and keeps the fit."), chosen)
  }
  list(chosen, scores)
}

# Is the weighted mean above its standard error?
is_gain <- function(x, w) {
  isTRUE(sum(w * x) / sum(w) > error_of_mean(x, w))
}

# A model of standardised columns with hidden layers learns margins, the noise of each column, and how many dimensions
# it needs; without hidden layers it is probabilistic principal component analysis.
with_own_defaults <- function(model) {
  is_table <- model$standardize && length(unlist(model$hidden)) > 0
  if (identical(model$margins, "auto")) model$margins <- if (is_table) "smooth" else "normal"
  if (identical(model$sigma, "auto")) model$sigma <- if (is_table) "own" else "learned"
  if (identical(model$latent, "auto") && !is_table) model$latent <- 2L
  model
}

check_stochastic <- function(control, what) {
  if (registry()$optimizer_full_batch[match(control$optimizer, registry()$optimizer)] == 1)
    stop_user("%s is trained with draws, which \"%s\" cannot use: take \"adam\".", what, control$optimizer)
}

check_sigma_columns <- function(sigma, columns) {
  if (identical(sigma, "learned")) return(invisible())
  of_numbers <- Filter(has_normal_noise, columns)
  if (!length(of_numbers)) stop_user("`sigma` is given, but no column is gaussian.")
  if (!is.null(names(sigma))) check_columns_known(names(sigma), vapply(of_numbers, function(c) c$name, ""), "sigma")
}

# A gaussian column without spread has no noise to learn: its density would grow without bound.
check_varying <- function(train, sigma) {
  learned <- Filter(function(c) has_sigma(c) && is.character(c$sigma), train$design$variables)
  is_constant <- vapply(learned, function(c) train$scaling$is_constant[c$at[1]], NA)
  if (!any(is_constant) || !identical(sigma, "each") && !all(is_constant)) return(invisible())
  stop_user("Column `%s` is constant: its noise would be 0. Leave it out, or give `sigma` a number.",
            learned[[which(is_constant)[1]]]$name)
}

# ---- conditional models: columns ~ given

# What a model is given, of new data.
given_values <- function(design, newdata, what) {
  rows <- design_rows(design, newdata)
  if (!all(rows$ok)) {
    names <- all.vars(design$terms)
    has_missing <- vapply(names, function(name) anyNA(as.data.frame(newdata)[[name]]), NA)
    stop_user("%s has missing values in %s, which the other columns are modelled given.", what,
              quoted(names[has_missing]))
  }
  unname(rows$x)
}

# Training data of `~ columns` or of `columns ~ given`, the latter with the data of the right side as `given`.
conditional_data <- function(call, envir, contrasts) {
  formula <- eval(call$formula, envir)
  if (!inherits(formula, "formula")) stop_user("`formula` must be a formula, not %s.", shown(formula))
  if (length(formula) == 2) return(columns_data(call, envir))
  call <- with_data(call, envir)
  if (is_chunks(call$data))
    stop_user("`formula` must be one-sided where the data come in chunks, such as ~ a + b.")
  left <- left_names(formula, call, envir)
  check_environment(formula)
  side <- function(expression) {
    call$formula <- stats::as.formula(call("~", expression), environment(formula))
    call_frame(call, envir, quote(stats::na.pass))
  }
  right <- side(formula[[3]])
  if (!is.null(stats::model.offset(right))) stop_user("offset() has no meaning here: there is no response to shift.")
  modelled <- side(left)
  drop <- incomplete_rows(modelled, right, call$na.action, envir)
  train <- columns_from_frame(frame_rows(modelled, drop))
  train$given <- data_from_frame(frame_rows(right, drop), contrasts)
  train$na.action <- drop
  train$column_terms <- train$terms
  both <- call("~", left, stats::formula(attr(right, "terms"))[[2]])
  train$terms <- stats::terms(stats::as.formula(both, environment(formula)))
  check_given(train$given)
  train
}

# The left side as a sum of columns, as cbind() may name them, too; "." is all columns of the data that the right side
# does not use.
left_names <- function(formula, call, envir) {
  left <- formula[[2]]
  if (is.call(left) && identical(left[[1]], quote(cbind)) && length(left) > 1 && is.null(names(left)))
    return(Reduce(function(a, b) call("+", a, b), as.list(left)[-1]))
  if (!"." %in% all.vars(formula[[2]])) return(formula[[2]])
  rest <- setdiff(names(eval(call$data, envir)), all.vars(formula[[3]]))
  if (!length(rest)) stop_user("The left side of the formula is empty: all columns are on the right.")
  Reduce(function(a, b) call("+", a, b), lapply(rest, as.name))
}

# Rows with missing values on the right side, and where `na.action` says so on the left, as na.omit() marks them.
incomplete_rows <- function(modelled, right, na.action, envir) {
  action <- if (is.null(na.action)) "na.pass" else na_name(eval(na.action, envir))
  missing <- !stats::complete.cases(right)
  if (action != "na.pass") missing <- missing | !stats::complete.cases(modelled)
  if (!any(missing)) return(NULL)
  if (action == "na.fail") stop_user("There are missing values in %d rows, and `na.action` is na.fail.", sum(missing))
  if (all(missing)) stop_user("Every row has a missing value: there is nothing to train on.")
  structure(stats::setNames(which(missing), row.names(right)[missing]),
            class = if (action == "na.exclude") "exclude" else "omit")
}

frame_rows <- function(frame, drop) {
  if (is.null(drop)) return(frame)
  out <- frame[-drop, , drop = FALSE]
  structure(droplevels(out), terms = attr(frame, "terms"))
}

check_given <- function(given) {
  m <- check_finite_columns(given$x, given$design$columns, "")
  bad <- which(m$n_missing > 0)
  if (length(bad)) stop_user("Column `%s`, which the others are modelled given, has missing values: drop these rows.",
                             given$design$columns[bad[1]])
}

# The given columns come last in the input.
add_given <- function(train, given, standardize) {
  given$moment_weights <- train$moment_weights
  scaling <- x_scaling(given, standardize)
  train$x <- cbind(train$x, given$x)
  dimnames(train$x) <- NULL
  train$scaling <- Map(c, train$scaling, scaling)
  train$design$given <- given$design
  train$design$columns <- c(train$design$columns, given$design$columns)
  train$is_own_response <- FALSE
  train
}

# ---- after training

# sigma^2 given the rest: the mean over rows and draws of z of the squared error.
#' @exportS3Method
close_noise.varnn_vae <- function(fit, data) {
  learned <- which(vapply(fit$blocks, function(b) has_sigma(b) && b$noise != "fixed", NA))
  # the importance-weighted bound has another optimum, which training has found
  if (!length(learned) || fit$n_epochs == 0 || isTRUE(fit$control$objective$importance > 1)) return(fit)
  rows <- if (is.null(data$row)) seq_len(data$n) else data$row
  if (length(rows) > 10000) rows <- rows[round(seq(1, length(rows), length.out = 10000))]
  y <- data$y[rows, , drop = FALSE]
  w <- if (is.null(data$weight)) rep(1, length(rows)) else data$weight[rows]
  squares <- drawn_squares(fit, learned, data$x[rows, , drop = FALSE], y, w, data[c("center", "scale")])
  if (!all(is.finite(squares))) return(fit)
  present <- colSums(w * !is.na(y))
  at <- block_slices(fit$blocks, y_rows)
  for (i in learned) {
    leaf <- noise_leaf(fit$layout, i)
    s <- at[[i]]
    variance <- if (fit$blocks[[i]]$noise == "shared") sum(squares[s]) / sum(present[s]) else squares[s] / present[s]
    fit$theta[leaf_index(leaf)] <- log(pmax(variance, 1e-30)) / 2
  }
  fit
}

# Of each column of y in these gaussian blocks the sum of w (y - eta)^2 over the rows, its mean over draws of z.
drawn_squares <- function(fit, blocks, x, y, w, scaling) {
  n <- nrow(x)
  n_eta <- run_columns(fit$spec, "eta")
  draws <- max(2, min(200, round(2e5 / n)))
  in_y <- block_slices(fit$blocks, y_rows)
  in_eta <- block_slices(fit$blocks, eta_rows)
  squares <- numeric(ncol(y))
  done <- 0
  while (done < draws) {
    some <- min(draws - done, max(1, floor(draws_at_once / (n * n_eta))))
    eta <- fit_run(fit, engine_data(x, scaling = scaling), "eta", mode = "weights", draws = some)
    dim(eta) <- c(n, n_eta, some)
    for (i in blocks) {
      error <- as.vector(y[, in_y[[i]]]) - eta[, in_eta[[i]], , drop = FALSE]
      squares[in_y[[i]]] <- squares[in_y[[i]]] + rowSums(colSums(w * error^2, na.rm = TRUE)) / draws
    }
    done <- done + some
  }
  squares
}

#' @exportS3Method
remember.varnn_vae <- remember.varnn_ae

#' @exportS3Method
model_title.varnn_vae <- function(fit) {
  sprintf("%s%s (%s)", if (is.null(fit$design$given)) "Variational autoencoder" else
    "Conditional variational autoencoder", if (has_hidden_units(fit)) "" else ", linear",
    paste(unique(fit$family), collapse = ", "))
}

#' @exportS3Method
result_line.varnn_vae <- function(fit, digits) {
  h <- fit$history
  if (!nrow(h)) return("not trained")
  at <- kept_epoch(fit)
  a <- fit$arguments
  number <- function(x) format(x, digits = digits)
  paste0("ELBO ", number(h$elbo[at]), " nats per row (log-likelihood ", number(-h$nll[at]), ", KL ",
         number(h$kl_latent[at]), ")",
         if (a$beta != 1) sprintf("; trained with beta = %s", format(a$beta)),
         if (a$importance > 1) sprintf("; importance-weighted with %d draws", a$importance),
         if (!is.null(h$val_loss)) sprintf("; loss held out %s (best: epoch %d)", number(h$val_loss[at]),
                                           fit$best_epoch))
}
