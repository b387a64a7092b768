# What the packages insight, performance and parameters ask of a model. Their own methods take the classes that they
# know, so what these would compute is given here.

#' @exportS3Method insight::model_info
model_info.varnn <- function(x, verbose = TRUE, ...) {
  check_fit(x)
  if (!has_response(x)) return(NULL)
  block <- x$blocks[[1]]
  record <- record_of(block)
  is_count <- is_kind(block, "count")
  kinds <- list(
    is_binomial = is_kind(block, c("binary", "trials")), is_bernoulli = is_kind(block, "binary"), is_count = is_count,
    is_poisson = is_count && !n_free(block), is_negbin = is_count && n_free(block) > 0,
    is_beta = is_kind(block, "share"), is_exponential = is_kind(block, "positive"),
    is_logit = identical(record$link, "logit"), is_censored = is_kind(block, "time"),
    is_survival = is_kind(block, "time"), is_linear = is_kind(block, "number") && !has_hidden(x),
    is_zeroinf = "zero" %in% record$parts, is_zero_inflated = "zero" %in% record$parts,
    is_dispersion = has_log_sd(block), is_ordinal = is_kind(block, "ordered"),
    is_cumulative = is_kind(block, "ordered"), is_multinomial = is_kind(block, "levels"),
    is_categorical = is_kind(block, "levels"), is_multivariate = length(x$blocks) > 1,
    is_trial = is_kind(block, "trials"), is_bayesian = is_bayesian(x$spec), is_mixture = is_mixture(x)
  )
  others <- lapply(stats::setNames(nm = no_such_models), function(name) FALSE)
  c(kinds, others, list(link_function = record$link, family = family_label(block), n_obs = x$n_obs))
}

# What a model of this package never is.
no_such_models <- paste0("is_", c(
  "betabinomial", "orderedbeta", "dirichlet", "probit", "truncated", "tweedie", "hurdle", "mixed", "gam", "anova",
  "timeseries", "ttest", "correlation", "onewaytest", "chi2test", "ranktest", "levenetest", "variancetest", "xtab",
  "proptest", "binomtest", "ftest", "meta", "wiener", "rtchoice"
))

# Coefficients of a linear model, or draws of them from a posterior.
#' @exportS3Method insight::get_parameters
get_parameters.varnn <- function(x, draws = default_draws, ...) {
  check_fit(x)
  if (!has_response(x) || has_hidden(x))
    stop_user("The weights of a network are no parameters to read: see importance(), effects() or coef().")
  estimate <- get_coef.varnn(x)
  if (!draws_posterior(x) || is_mixture(x))
    return(data.frame(Parameter = names(estimate), Estimate = unname(estimate)))
  drawn <- repeatable(draw_weights(weight_posterior(x), check_draws(draws)))
  by <- coef_matrix(x)
  mean <- weight_posterior(x)$mean
  out <- sweep(tcrossprod(sweep(drawn, 2, mean), unname(by)), 2, estimate, `+`)
  colnames(out) <- names(estimate)
  as.data.frame(out, check.names = FALSE)
}

#' @exportS3Method insight::get_statistic
get_statistic.varnn <- function(x, ...) {
  check_fit(x)
  table <- if (has_response(x)) coefficient_table(x, parent.frame())
  if (is.null(table)) return(NULL)
  structure(data.frame(Parameter = rownames(table), Statistic = unname(table[, 3])),
            statistic = paste0(substr(colnames(table)[3], 1, 1), "-statistic"))
}

#' @exportS3Method insight::get_predicted
get_predicted.varnn <- function(x, data = NULL, predict = "expectation", ci = NULL, ...) {
  check_fit(x)
  if (!has_response(x)) stop_user("get_predicted() is for models with a response: see predict().")
  kinds <- c(expectation = "response", response = "response", link = "link", classification = "class",
             prediction = "response")
  predict <- check_choice(if (is.null(predict)) "expectation" else predict, names(kinds), "predict")
  out <- if (is.null(data)) stats::predict(x, type = kinds[[predict]])
  else stats::predict(x, data, type = kinds[[predict]])
  if (is.null(ci) || !is.null(dim(out)) || is.factor(out)) return(out)
  level <- check_number(ci, "ci", 0, 1, above = TRUE, below = TRUE)
  limits <- predicted_limits(x, data, predict, level)
  structure(unname(out), ci_data = limits, ci = level, class = c("get_predicted", "numeric"))
}

# As confidence intervals, or of `predict` = "prediction" those of a response.
predicted_limits <- function(fit, data, predict, level) {
  given <- list(fit, if (is.null(data)) NULL else data)
  if (draws_posterior(fit)) {
    found <- do.call(stats::predict, c(given, list(
      interval = if (predict == "prediction") "prediction" else "confidence", level = level)), quote = TRUE)
    return(data.frame(CI_low = unname(found[, "lwr"]), CI_high = unname(found[, "upr"])))
  }
  found <- do.call(stats::predict, c(given, list(type = if (predict == "link") "link" else "response",
                                                 se.fit = TRUE)), quote = TRUE)
  se <- found$se.fit
  if (predict == "prediction") se <- sqrt(se^2 + found$residual.scale^2)
  q <- stats::qt((1 + level) / 2, if (is.null(found$df)) Inf else found$df)
  data.frame(SE = unname(found$se.fit), CI_low = unname(found$fit - q * se), CI_high = unname(found$fit + q * se))
}

# The numbers of the training data that mean something for the model at hand: criteria where the parameters are those of
# the maximum of the likelihood, errors of numbers, probabilities of levels.
#' @exportS3Method performance::model_performance
model_performance.varnn <- function(model, metrics = "all", verbose = TRUE, ...) {
  check_fit(model)
  if (!has_response(model)) stop_user("model_performance() is for models with a response: see summary().")
  envir <- parent.frame()
  out <- list()
  if (is.null(why_no_maximum(model)))
    out <- list(AIC = stats::AIC(model), BIC = stats::BIC(model))
  if (length(model$blocks) == 1) out <- c(out, error_measures(model, envir))
  rows <- rows_with_response(model, NULL, NULL, envir)
  w <- case_weights(model)
  out$Score_log <- stats::weighted.mean(keep_random(row_log_density(model, rows)), w)
  if (!is_one_of(metrics, c("all", "common"))) {
    if (!is.character(metrics) || !length(metrics) || is.object(metrics))
      stop_user("`metrics` must be \"all\" or some of %s, not %s.", quoted(names(out)), shown(metrics))
    for (name in metrics) check_choice(name, names(out), "metrics")
    out <- out[plain(metrics)]
  }
  structure(as.data.frame(out), class = c("performance_model", "data.frame"))
}

error_measures <- function(fit, envir) {
  part <- training_blocks(fit, envir)[[1]]
  if (has_levels(part$block) || is_kind(part$block, c("time", "trials"))) return(NULL)
  raw <- (observed_mean(part) - mean_at(part$block, part$eta, part$free)) * part$block$scale
  w <- case_weights(fit)
  c(if (is.null(why_no_r_squared(part$block))) list(R2 = r_squared(part, w, fit$design$intercept)),
    list(RMSE = sqrt(sum(w * raw^2, na.rm = TRUE) / sum(w[!is.na(raw)]))),
    list(Sigma = if (has_sigma(part$block)) stats::sigma(fit))[has_sigma(part$block)])
}

# What a response is that has no R squared, and what says as much of it; NULL of one that has.
why_no_r_squared <- function(block) {
  kinds <- list(levels = c("levels", "ordered", "binary"), times = "time", trials = "trials")
  words <- c(levels = "levels: see the accuracy and the log loss of summary()",
             times = "survival times: see the concordance of summary()",
             trials = "counts of successes: see deviance()")
  of_kind <- vapply(kinds, function(kind) is_kind(block, kind), NA)
  if (any(of_kind)) words[[which(of_kind)]]
}

# What comes back has the shape that performance gives of lm(); adjusted R squared and F test are those of glance().
#' @exportS3Method performance::r2
r2.varnn <- function(model, ci = NULL, verbose = TRUE, ...) {
  check_fit(model)
  if (!is.null(ci) && !identical(is.na(ci), TRUE))
    stop_user("`ci` must be NULL: R squared of a network has no interval here. bayes_R2() has draws of it.")
  part <- squared_part(model)
  out <- list(R2 = c(R2 = r_squared(part, case_weights(model), model$design$intercept)))
  if (has_sigma(part$block) && is.null(why_no_maximum(model)))
    out <- with_f_test(out, gaussian_measures(with_eta(model)), stats::df.residual(model))
  structure(out, class = "r2_generic")
}

# The response of which there is an R squared, or an error that says why there is none.
squared_part <- function(fit) {
  if (!has_response(fit)) stop_user("r2() is for models with a response: see summary().")
  if (length(fit$blocks) > 1)
    stop_user("r2() is for a model with one response, and this one has %d: see `responses` of summary().",
              length(fit$blocks))
  why <- why_no_r_squared(fit$blocks[[1]])
  if (!is.null(why)) stop_user("r2() is for numbers, and the values of `%s` are %s.", fit$blocks[[1]]$columns[1], why)
  if (is_from_chunks(fit)) stop_no_rows()
  training_blocks(with_eta(fit), NULL)[[1]]
}

with_f_test <- function(out, measures, rest) {
  out$R2_adjusted <- c(`adjusted R2` = measures$adj.r.squared)
  structure(out, p = c(value = measures$p.value), F = c(value = measures$statistic), df = c(numdf = measures$df),
            df_residual = c(dendf = rest), model_type = "Linear")
}

#' @exportS3Method parameters::model_parameters
model_parameters.varnn <- function(model, ci = 0.95, exponentiate = FALSE, keep = NULL, drop = NULL, ...) {
  check_fit(model)
  check_standard("model_parameters", ..., known = c("ci", "exponentiate", "keep", "drop"))
  if (!identical(exponentiate, "nongaussian")) exponentiate <- check_flag(exponentiate, "exponentiate")
  ci <- check_number(ci, "ci", 0, 1, above = TRUE, below = TRUE)
  if (!has_response(model) || has_hidden(model))
    stop_user("model_parameters() is for models without hidden layers: see importance() and effects() of others.")
  table <- if (!draws_posterior(model)) coefficient_table(model, parent.frame())
  if (!draws_posterior(model) && is.null(table)) stop_no_errors(model, "model_parameters()")
  limits <- stats::confint(model, level = ci)
  out <- data.frame(Parameter = rownames(limits), Coefficient = unname(get_coef.varnn(model)),
                    SE = sqrt(diag(as.matrix(stats::vcov(model)))), CI = ci, CI_low = limits[, 1],
                    CI_high = limits[, 2], row.names = NULL)
  if (!is.null(table)) {
    at <- match(out$Parameter, rownames(table))
    out[[if (startsWith(colnames(table)[3], "t")) "t" else "z"]] <- unname(table[at, 3])
    out$df_error <- coefficient_df(model)
    out$p <- unname(table[at, 4])
  } else {
    out$pd <- stats::pnorm(abs(out$Coefficient) / out$SE)
  }
  is_linear <- all(vapply(model$blocks, has_sigma, NA))
  if (isTRUE(exponentiate) || identical(exponentiate, "nongaussian") && !is_linear) out <- exponentiated(out)
  structure(chosen_rows(out, keep, drop), ci = ci, exponentiate = exponentiate,
            class = c("parameters_model", "see_parameters_model", "data.frame"))
}

# Estimates and limits are exponentiated; standard errors follow by the delta method, as in the default method.
exponentiated <- function(table) {
  at <- c("Coefficient", "CI_low", "CI_high")
  table[at] <- exp(table[at])
  table$SE <- table$SE * table$Coefficient
  table
}

# The parameters whose names match a regular expression of `keep`, and none of `drop`.
chosen_rows <- function(table, keep, drop) {
  matches <- function(patterns, name) {
    if (!every(is.character(patterns), length(patterns) > 0, !anyNA(patterns)))
      stop_user("`%s` must be regular expressions for the names of parameters, not %s.", name, shown(patterns))
    grepl(paste0("(", patterns, ")", collapse = "|"), table$Parameter, perl = TRUE)
  }
  use <- rep(TRUE, nrow(table))
  if (!is.null(keep)) use <- use & matches(keep, "keep")
  if (!is.null(drop)) use <- use & !matches(drop, "drop")
  if (!any(use))
    stop_user("`keep` and `drop` leave no parameter: the names are %s.", quoted_some(table$Parameter))
  out <- table[use, ]
  row.names(out) <- NULL
  out
}
