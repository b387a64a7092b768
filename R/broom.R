# What tidy(), glance() and augment() say of a fit: the generics of the package generics, which broom and those who
# build on it call. Each gives a data frame whose columns have the names that the field gives them.

# A tibble where that package is there.
as_table <- function(frame) {
  if (requireNamespace("tibble", quietly = TRUE)) tibble::as_tibble(frame, .name_repair = "minimal") else frame
}

plain_table <- function(columns) {
  as_table(data.frame(columns, check.names = FALSE, stringsAsFactors = FALSE, row.names = NULL))
}

# ---- tidy

#' Tables of a fit: tidy, glance, augment
#'
#' Methods of the generics of the package generics, which broom, modelsummary and others call: `tidy()` has a row for
#' each parameter, `glance()` one row for the fit, `augment()` a row for each row of the data. `library(broom)` or
#' `library(generics)` brings the generics. The tables are tibbles where the package tibble is installed.
#'
#' @param x a fit.
#' @param conf.int,conf.level also give intervals, as [confint()] does?
#' @param exponentiate give the exponential of estimates and of the bounds of their intervals?
#' @param data the training data, by default as the fit has or finds them (of a fit to `x` and `y` the columns that
#'   the network reads). Rows that training left out are predicted, too.
#' @param newdata other data.
#' @param type.predict as `type` of [predict()][predict.varnn_nn]; by default the mean, of a factor its likeliest
#'   level.
#' @param type.residuals as `type` of [residuals()][residuals.varnn]; by default `"response"`, of classes
#'   `"deviance"`.
#' @param se_fit also give the standard errors of the fitted values? Of a Bayesian network they are the standard
#'   deviations of the mean over the posterior.
#' @param interval `"confidence"` or `"prediction"`: also give the bounds, as `predict()` does, at `conf.level`.
#' @param draws number of draws from the posterior, where what is asked for needs some.
#' @param ... not used.
#' @return
#' `tidy()`: `term`, `estimate` and, without hidden layers, `std.error`, `statistic` and `p.value` as of [lm()] and
#' [glm()], `NA` where there are none, as with a `penalty`. Several responses have a column `response`, the levels of
#' a factor `y.level`. With hidden layers the terms are weights and biases, named as by [as.matrix.varnn_bayes_nn()].
#' Of a Bayesian fit `estimate` and `std.error` are means and standard deviations of the posterior. A mixture of
#' networks has a column `member`.
#'
#' `glance()`: without hidden layers what broom has of [lm()] (`r.squared`, `adj.r.squared`, `sigma`, `statistic`,
#' `p.value`, `df`, ...) and [glm()] (`null.deviance`, `df.null`, ...). Of other fits measures of the training data
#' (`r.squared` or `accuracy`), `sigma`, `logLik`, `deviance`, `npar` (the number of parameters), `nobs`, `converged`
#' and `epochs`; and of Bayesian fits `elbo`, or `evidence` with `df`, the effective number of parameters; of
#' autoencoders `latent`, `error`, `explained`, and of variational ones `elbo`. `AIC` and `BIC` are there where they
#' mean something, at the maximum of the likelihood. With an `offset()` `statistic` is the F test of the columns, which
#' of one column is the square of its t value; [summary.lm()] counts the offset among what the columns explain.
#'
#' `augment()`: the data with `.fitted`, `.lower`, `.upper`, `.se.fit` and, where the data have the response,
#' `.resid`, and of training data without hidden layers `.hat`, `.sigma`, `.cooksd` and `.std.resid`, see
#' [hatvalues.varnn()]. Factors also have the probability of each level, as `.pred_setosa`. Of several responses the
#' columns have the names of these, as `.fitted.mpg`. Of autoencoders: the codes `.z1`, `.z2`, ... and the
#' reconstruction error `.error`. Row names become a column `.rownames`.
#' @seealso [coef.varnn()], [summary.varnn_nn()], [predict.varnn_nn()].
#' @examples
#' if (requireNamespace("generics", quietly = TRUE)) {
#'   fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
#'   print(generics::tidy(fit, conf.int = TRUE))
#'   print(generics::glance(fit))
#'   print(generics::augment(fit, newdata = mtcars[1:3, ], interval = "prediction"))
#' }
#' @name tidy.varnn
#' @exportS3Method generics::tidy
tidy.varnn <- function(x, conf.int = FALSE, conf.level = 0.95, exponentiate = FALSE, ...) {
  check_fit(x)
  check_table_dots(..., known = c("conf.int", "conf.level", "exponentiate"))
  level <- check_number(conf.level, "conf.level", 0, 1, above = TRUE, below = TRUE)
  level <- if (check_flag(conf.int, "conf.int")) level
  exponentiate <- check_flag(exponentiate, "exponentiate")
  out <- if (is_coder(x)) weight_rows(x, level) else parameter_rows(x, level)
  if (exponentiate) for (column in intersect(names(out), c("estimate", "conf.low", "conf.high")))
    out[[column]] <- exp(out[[column]])
  plain_table(out)
}

# modelsummary hands on arguments of its own.
check_table_dots <- function(..., known = character()) {
  given <- list(...)
  names <- if (is.null(names(given))) rep("", length(given)) else names(given)
  is_its_own <- names %in% c("gof_map", "coef_rename") | names == "vcov" & vapply(given, is.null, NA)
  check_known(given[!is_its_own], known)
}

# Whether a fit is one of columns that it both reads and predicts.
is_coder <- function(fit) fit$design$kind == "columns"

parameter_rows <- function(fit, level) {
  if (!has_hidden(fit)) return(coefficient_rows(fit, level))
  if (!is_mixture(fit)) return(weight_rows(fit, level))
  parts <- lapply(member_fits(fit), weight_rows, level)
  do.call(rbind, Map(function(k, p) data.frame(member = k, p), seq_along(parts), parts))
}

coefficient_rows <- function(fit, level) {
  coef <- stats::coef(fit)
  is_of_levels <- length(fit$blocks) == 1 && is_kind(fit$blocks[[1]], "levels")
  term <- if (is.matrix(coef)) rep(rownames(coef), ncol(coef)) else names(coef)
  out <- data.frame(term = term, estimate = as.vector(coef))
  if (is.matrix(coef)) {
    group <- data.frame(rep(colnames(coef), each = nrow(coef)))
    out <- cbind(stats::setNames(group, if (is_of_levels) "y.level" else "response"), out)
  }
  variance <- tryCatch(diag(stats::vcov(fit)), varnn_error = function(e) NA_real_)
  out$std.error <- rep_len(sqrt(unname(variance)), nrow(out))
  if (!is_bayesian(fit$spec)) {
    out$statistic <- out$estimate / out$std.error
    out$p.value <- 2 * stats::pt(-abs(out$statistic), coefficient_df(fit))
  }
  with_limits(out, fit, level)
}

with_limits <- function(out, fit, level) {
  if (!is.null(level)) out[c("conf.low", "conf.high")] <- as.data.frame(unname(stats::confint(fit, level = level)))
  out
}

# Weights, biases and the like; of random ones the moments of the posterior.
weight_rows <- function(fit, level) {
  if (!is_coder(fit) && is_bayesian(fit$spec)) {
    q <- marginal_posterior(fit)
    return(with_limits(data.frame(term = q$name, estimate = q$mean, std.error = q$sd), fit, level))
  }
  if (!is.null(level)) stop_no_errors(fit, "`conf.int` = TRUE")
  leaves <- fit$layout[fit$layout$part == 0, ]
  each <- seq_len(nrow(leaves))
  data.frame(term = unlist(lapply(each, function(i) entry_names(leaves[i, ]))),
             estimate = unlist(lapply(each, function(i) as.vector(leaf_matrix(fit, leaves[i, ])))))
}

# ---- glance

#' @rdname tidy.varnn
#' @exportS3Method generics::glance
glance.varnn <- function(x, ...) {
  check_fit(x)
  check_table_dots(...)
  if (is_coder(x)) return(plain_table(coder_measures(x)))
  x <- with_eta(x)
  plain_table(if (is.null(why_no_maximum(x))) maximum_measures(x) else network_measures(x))
}

with_eta <- function(fit) {
  if (is.null(fit$eta)) fit$eta <- training_eta(fit, NULL)$eta
  fit
}

# Where training ended at the maximum of the likelihood: what broom has of lm() and glm().
maximum_measures <- function(fit) {
  is_one <- length(fit$blocks) == 1
  c(if (is_one && has_sigma(fit$blocks[[1]])) gaussian_measures(fit)
    else if (is_one && !is.null(record_of(fit$blocks[[1]])$stats)) null_measures(fit),
    list(logLik = c(stats::logLik(fit)), AIC = stats::AIC(fit), BIC = stats::BIC(fit),
         deviance = deviance_or(fit, NA_real_),
         df.residual = stats::df.residual(fit), nobs = stats::nobs(fit)))
}

# The F test of all columns, as that of summary.lm().
gaussian_measures <- function(fit) {
  w <- case_weights(fit)
  fitted <- block_mean(fit$blocks[[1]], fit$eta, NULL)[, 1]
  has_intercept <- fit$design$intercept
  explained <- sum(w * (fitted - if (has_intercept) stats::weighted.mean(fitted, w) else 0)^2)
  rest <- stats::df.residual(fit)
  df <- fit$rank - has_intercept
  r_squared <- r_squared(training_blocks(fit, NULL)[[1]], w, has_intercept)
  sigma <- sigma.varnn(fit)
  f <- explained / df / sigma^2
  list(r.squared = r_squared, adj.r.squared = 1 - (1 - r_squared) * (n_cases(fit) - has_intercept) / rest,
       sigma = sigma, statistic = f, p.value = stats::pf(f, df, rest, lower.tail = FALSE),
       df = as.double(df))
}

null_measures <- function(fit) {
  p <- glm_parts(fit)
  null <- if (fit$design$intercept)
    stats::glm.fit(cbind(rep(1, length(p$y))), p$y, p$w, offset = p$offset, family = p$family)$deviance
  else sum(p$family$dev.resids(p$y, p$family$linkinv(p$offset), p$w))
  list(null.deviance = null, df.null = n_cases(fit) - fit$design$intercept)
}

network_measures <- function(fit) {
  parts <- training_blocks(fit, NULL)
  is_one <- length(parts) == 1
  measures <- if (is_one) as.list(response_summaries(fit)[[1]]$measures) else list()
  named <- c(r.squared = "r_squared", accuracy = "accuracy", concordance = "concordance")
  named <- named[named %in% names(measures)]
  c(stats::setNames(measures[named], names(named)),
    if (is_one && has_sigma(fit$blocks[[1]])) list(sigma = stats::sigma(fit)),
    posterior_measures(fit),
    list(logLik = c(stats::logLik(fit)), deviance = deviance_or(fit, NA_real_), npar = fit$n_par,
         nobs = stats::nobs(fit)),
    training_measures(fit))
}

# Of a Bayesian fit. What differs between the members of a mixture is averaged by their weights.
posterior_measures <- function(fit) {
  if (!is_bayesian(fit$spec)) return(NULL)
  of_member <- function(m) {
    if (is_laplace(m$spec)) c(evidence = m$laplace$evidence, df = sum(m$laplace$effective))
    else c(elbo = m$history$elbo[kept_epoch(m)] * n_trained(m))
  }
  if (!is_mixture(fit)) return(as.list(of_member(fit)))
  values <- vapply(member_fits(fit), of_member, of_member(member_fits(fit)[[1]]))
  values <- matrix(values, ncol = length(fit$members), dimnames = list(rownames(values), NULL))
  as.list(stats::setNames(drop(values %*% fit$member_weights), names(of_member(member_fits(fit)[[1]]))))
}

training_measures <- function(fit) {
  parts <- if (is_mixture(fit)) member_fits(fit) else list(fit)
  list(converged = all(vapply(parts, function(m) m$converged, NA)),
       epochs = sum(vapply(parts, function(m) as.double(m$n_epochs), 0)))
}

coder_measures <- function(fit) {
  rows <- latent_rows(fit, NULL, NULL, needs_data = TRUE)
  errors <- entry_errors(fit, rows$y, rows$z, rows$x)
  w <- case_weights(fit)
  total <- function(e) sum(w * e, na.rm = TRUE)
  has_elbo <- inherits(fit, "varnn_vae") && nrow(fit$history) > 0
  c(list(latent = fit_latent(fit), error = total(errors) / total(!is.na(errors)),
         explained = share_explained(total(errors), total(constant_errors(fit, rows$y, w)))),
    if (has_elbo) list(elbo = fit$history$elbo[kept_epoch(fit)] * sum(w)),
    list(deviance = total(errors), npar = fit$n_par, nobs = stats::nobs(fit)), training_measures(fit))
}

# ---- augment

#' @rdname tidy.varnn
#' @exportS3Method generics::augment
augment.varnn <- function(x, data = NULL, newdata = NULL, type.predict = NULL, type.residuals = NULL, se_fit = FALSE,
                          interval = "none", conf.level = 0.95, draws = 1000, ...) {
  check_fit(x)
  check_dots_empty(..., known = c("data", "newdata", "type.predict", "type.residuals", "se_fit", "interval",
                                  "conf.level", "draws"))
  newdata <- if (is.null(newdata)) described_data(data, "`data`") else described_data(newdata, "`newdata`")
  interval <- check_choice(interval, c("none", "confidence", "prediction"), "interval")
  check_number(conf.level, "conf.level", 0, 1, above = TRUE, below = TRUE)
  se_fit <- check_flag(se_fit, "se_fit")
  draws <- check_draws(draws)
  if (is_coder(x)) return(augmented_coder(x, newdata, parent.frame()))
  rows <- augmented_rows(x, newdata, parent.frame())
  in_place <- function(columns) lapply(columns, spread, rows$ok)
  out <- c(rows$frame, in_place(fitted_columns(x, rows, type.predict, draws)))
  if (interval != "none") out <- c(out, interval_columns(x, rows, newdata, interval, conf.level, draws))
  if (se_fit) out <- c(out, error_columns(x, rows, newdata, draws))
  residuals <- in_place(residual_columns(x, rows, type.residuals))
  plain_table(c(out, residuals, if (isTRUE(rows$is_training)) influence_columns(x, type.residuals, parent.frame())))
}

# Where a fit is that of lm() or glm() its training rows have a leverage, and an influence.
influence_columns <- function(fit, type, envir) {
  if (!is.null(why_no_maximum(fit))) return(NULL)
  as <- tryCatch(as_glm(fit, "augment()", envir), varnn_error = function(e) NULL)
  if (is.null(as)) return(NULL)
  as$na.action <- NULL
  found <- stats::influence(as, do.coef = FALSE)
  kinds <- intersect(type, c("deviance", "pearson"))
  std <- if (inherits(as, "glm") && length(kinds)) stats::rstandard(as, infl = found, type = kinds)
  else stats::rstandard(as, infl = found)
  counted <- which(glm_parts(fit)$w > 0)
  # the methods of lm() and glm() leave out rows that count nothing
  place <- function(x) if (length(x) < fit$n_obs) unname(x)[match(seq_len(fit$n_obs), counted)] else unname(x)
  lapply(list(.hat = found$hat, .sigma = found$sigma, .cooksd = stats::cooks.distance(as, infl = found),
              .std.resid = std), place)
}

described_data <- function(data, what) {
  if (is.null(data)) NULL else if (is.matrix(data)) with_plain_dim(data) else as_frame(data, what)
}

# A data frame or matrix with its row names, where it has some, as a column.
with_rownames <- function(frame, columns = NULL) {
  if (is.matrix(frame) && is.null(colnames(frame)) && !is.null(columns)) colnames(frame) <- columns
  names <- rownames(frame)
  if (identical(names, as.character(seq_len(nrow(frame))))) names <- NULL
  frame <- as.data.frame(frame, stringsAsFactors = FALSE)
  c(if (!is.null(names)) list(.rownames = names), as.list(frame))
}

# The rows to describe: list(frame, x, offset, ok, eta, y), of the training or of new data; y is NULL where there is
# no response. The training data are those of the fit, without rows that were left out.
augmented_rows <- function(fit, newdata, envir) {
  if (is.null(newdata)) {
    rows <- found_rows(fit, NULL, envir)
    rows$y <- blocks_y(fit$blocks, fit$response, rows$offset)
    rows$eta <- training_eta(fit, envir)$eta
    rows$frame <- with_rownames(if (is.null(fit$terms)) xy_frame(fit, rows$x) else stats::model.frame(fit))
    rows$is_training <- TRUE
    return(rows)
  }
  response <- if (!is.null(fit$terms)) all.vars(stats::formula(fit$terms)[[2]])
  has_response <- length(response) && all(response %in% colnames(newdata))
  rows <- if (has_response) rows_with_response(fit, newdata, NULL, envir) else design_rows(fit$design, newdata)
  rows$eta <- model_eta(fit, rows)
  rows$frame <- with_rownames(newdata, fit$design$columns)
  rows
}

xy_frame <- function(fit, x) {
  response <- if (is.null(dim(fit$response))) list(y = fit$response) else as.data.frame(fit$response)
  data.frame(named_columns(x, fit$design$columns), response, check.names = FALSE, row.names = fit$rows)
}

# A vector, or the columns of a matrix or a data frame, as columns of this name.
as_columns_named <- function(x, name) {
  if (is.null(dim(x))) return(stats::setNames(list(unname(x)), name))
  stats::setNames(lapply(seq_len(ncol(x)), function(j) unname(x[, j])), paste(name, colnames(x), sep = "."))
}

fitted_columns <- function(fit, rows, type, draws) {
  averaged <- if (averages_levels(fit)) averaged_levels(fit, rows, draws)
  value <- function(type) predicted(fit, rows$eta, rows$offset, type, averaged)
  if (!is.null(type)) {
    type <- check_choice(type, c("response", "link", "class", "prob"), "type.predict")
    return(as_columns_named(value(predict_type(fit, type)), ".fitted"))
  }
  out <- as_columns_named(value(predict_type(fit, NULL)), ".fitted")
  if (!is_default_class(fit)) return(out)
  prob <- value("prob")
  c(out, stats::setNames(as.list(as.data.frame(prob)), paste0(".pred_", colnames(prob))))
}

# Bounds of several responses have their names.
interval_columns <- function(fit, rows, newdata, interval, level, draws) {
  arguments <- list(fit, newdata, interval = interval, level = level)
  if (!inherits(fit, "varnn_nn") || is_mixture(fit)) arguments$draws <- draws
  found <- do.call(stats::predict, arguments, quote = TRUE)
  parts <- if (is.list(found)) found else list(found)
  name <- if (is.list(found)) paste0(".", names(found)) else ""
  unlist(Map(function(p, name) {
    p <- of_training(rows, fit, p)
    stats::setNames(list(unname(p[, "lwr"]), unname(p[, "upr"])), paste0(c(".lower", ".upper"), name))
  }, unname(parts), name), recursive = FALSE)
}

error_columns <- function(fit, rows, newdata, draws) {
  if (inherits(fit, "varnn_nn") && !is_mixture(fit)) {
    is_prob <- all(vapply(fit$blocks, has_levels, NA))
    found <- stats::predict(fit, newdata, se.fit = TRUE, type = if (is_prob) "prob" else "response")$se.fit
    return(as_columns_named(of_training(rows, fit, found), ".se.fit"))
  }
  drawn <- posterior_epred(fit, newdata, draws = draws)
  sd_of <- function(d) {
    out <- apply(d, seq_along(dim(d))[-1], stats::sd)
    array(out, dim(d)[-1], dimnames(d)[-1])
  }
  if (!is.list(drawn)) return(as_columns_named(without_single(sd_of(drawn)), ".se.fit"))
  unlist(Map(function(d, name) as_columns_named(without_single(sd_of(d)), paste0(".se.fit.", name)), unname(drawn),
             names(drawn)), recursive = FALSE)
}

without_single <- function(x) if (length(dim(x)) == 1) as.vector(x) else x

# What predict() gives of the training data, without the rows that na.exclude() left out.
of_training <- function(rows, fit, x) {
  if (!isTRUE(rows$is_training) || !inherits(fit$na.action, "exclude")) return(x)
  kept <- !is.na(stats::napredict(fit$na.action, seq_len(fit$n_obs)))
  if (is.null(dim(x))) x[kept] else x[kept, , drop = FALSE]
}

residual_columns <- function(fit, rows, type) {
  if (is.null(rows$y)) return(NULL)
  choices <- c("response", "pearson", "deviance", "working", "cox_snell")
  if (!is.null(type)) type <- check_choice(type, choices, "type.residuals")
  several <- length(fit$blocks) > 1
  free <- block_free(fit)
  w <- if (isTRUE(rows$is_training)) given_weights(fit) else rep(1, nrow(rows$y))
  of_block <- function(block, in_y, in_eta, free) {
    is_class <- block$type %in% c("factor", "logical")
    part <- list(block = block, y = rows$y[, in_y, drop = FALSE], eta = rows$eta[, in_eta, drop = FALSE], free = free)
    block_residuals(part, if (!is.null(type)) type else if (is_class) "deviance" else "response", w, several)
  }
  parts <- Map(of_block, fit$blocks, block_slices(fit$blocks, y_rows), block_slices(fit$blocks, eta_rows), free)
  as_columns_named(without_dim(do.call(cbind, parts)), ".resid")
}

augmented_coder <- function(fit, newdata, envir) {
  rows <- latent_rows(fit, newdata, envir, needs_data = TRUE)
  frame <- if (is.null(newdata)) training_columns(fit, envir) else newdata
  error <- row_errors(entry_errors(fit, rows$y, rows$z, rows$x))
  codes <- lapply(seq_len(ncol(rows$z)), function(j) unname(rows$z[, j]))
  names(codes) <- paste0(".", colnames(rows$z))
  plain_table(c(with_rownames(frame, variable.names.varnn_ae(fit)), codes, list(.error = error)))
}
