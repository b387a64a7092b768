# What a mixture answers where an average over its members is asked for.

# How the weights of the members were found.
combine_words <- c(equal = "of equal weight", stack = "stacked by the density of rows they have not seen",
                   evidence = "weighted by evidence")

members_phrase <- function(fit) {
  sprintf("%s, %s", count(length(fit$members), "member"), combine_words[[fit$arguments$combine]])
}

#' @export
predict.varnn_mixture <- predict.varnn_bayes_nn

#' @export
#' @rawNamespace S3method(rstantools::posterior_epred, varnn_mixture)
posterior_epred.varnn_mixture <- posterior_epred.varnn_bayes_nn

#' @export
#' @rawNamespace S3method(rstantools::posterior_predict, varnn_mixture)
posterior_predict.varnn_mixture <- posterior_predict.varnn_bayes_nn

#' @export
#' @rawNamespace S3method(rstantools::log_lik, varnn_mixture)
log_lik.varnn_mixture <- log_lik.varnn_bayes_nn

#' @export
simulate.varnn_mixture <- simulate.varnn_bayes_nn

# The mean of coefficients; the weights of networks, in which hidden units have no order, are a list by member.
#' @export
coef.varnn_mixture <- function(object, ...) {
  check_fit(object)
  check_standard("coef", ...)
  parts <- lapply(member_fits(object), stats::coef)
  if (has_hidden(object)) return(stats::setNames(parts, paste0("member", seq_along(parts))))
  Reduce(`+`, Map(`*`, parts, object$member_weights))
}

# Means and covariances of the coefficients, or of all weights, by member.
member_moments <- function(fit) {
  lapply(member_fits(fit), function(m) {
    v <- stats::vcov(m)
    mean <- if (has_hidden(m)) of_columns(cbind(weight_posterior(m)$mean), m)[, 1] else as.vector(stats::coef(m))
    list(mean = mean, vcov = v)
  })
}

need_posterior <- function(fit, what, has_coefficients = FALSE) {
  if (inherits(fit, "varnn_nn") && (has_hidden(fit) || !has_coefficients))
    stop_user("%s needs a posterior of the weights: use fit_bayes_nn(), or ask one of members().", what)
}

#' @export
vcov.varnn_mixture <- function(object, ...) {
  check_fit(object)
  check_standard("vcov", ...)
  need_posterior(object, "vcov()", has_coefficients = TRUE)
  parts <- member_moments(object)
  w <- object$member_weights
  mean <- Reduce(`+`, Map(function(p, w) w * p$mean, parts, w))
  Reduce(`+`, Map(function(p, w) w * (p$vcov + tcrossprod(p$mean - mean)), parts, w))
}

#' @export
confint.varnn_mixture <- function(object, parm, level = 0.95, ...) {
  check_fit(object)
  check_standard("confint", ..., known = c("parm", "level"))
  need_posterior(object, "confint()")
  if (inherits(object, "varnn_bayes_nn")) check_has_spread(object$spec)
  level <- check_number(level, "level", 0, 1, above = TRUE, below = TRUE)
  if (is_sampled(object$spec)) return(sampled_intervals(object, if (!missing(parm)) parm, level))
  parts <- member_moments(object)
  tail <- (1 - level) / 2
  bind <- function(of) matrix(vapply(parts, of, numeric(length(parts[[1]]$mean))), ncol = length(parts))
  out <- engine_mixture(bind(function(p) p$mean), bind(function(p) sqrt(diag(p$vcov))), c(tail, 1 - tail),
                        object$member_weights)
  names <- rownames(parts[[1]]$vcov)
  dimnames(out) <- list(names, paste(format(100 * c(tail, 1 - tail), digits = 3, trim = TRUE), "%"))
  if (missing(parm)) out else out[chosen_parameters(parm, names), , drop = FALSE]
}

#' @export
as.matrix.varnn_mixture <- function(x, draws = 1000, ...) {
  check_fit(x)
  check_dots_empty(..., known = "draws")
  draws <- check_draws(draws)
  if (inherits(x, "varnn_nn")) stop_user("as.matrix() needs a posterior to draw from: use fit_bayes_nn(), or coef().")
  check_draws_memory(2 * draws * x$n_par / length(x$members), "That many draws")
  mixed_draws(x, draws, function(member, n) as.matrix(member, draws = n))
}

# The standard deviation of the noise is the root of the weighted mean of the members' variances.
#' @export
sigma.varnn_mixture <- function(object, ...) {
  check_fit(object)
  check_standard("sigma", ...)
  if (inherits(object, "varnn_nn")) return(sigma.varnn(object))
  of_members <- vapply(member_fits(object), stats::sigma, stats::sigma(member_fits(object)[[1]]))
  out <- sqrt(drop(matrix(of_members, ncol = length(object$members))^2 %*% object$member_weights))
  if (length(out) > 1) stats::setNames(out, rownames(of_members)) else out
}

# The log density of the training responses under the mixture.
#' @export
logLik.varnn_mixture <- function(object, ...) {
  check_fit(object)
  check_standard("logLik", ...)
  if (!is_point(object$spec)) return(NextMethod())
  y <- blocks_y(object$blocks, object$response, object$offset)
  of_members <- vapply(member_fits(object), function(m) eta_log_lik(m, y, training_eta(m, NULL)$eta),
                       numeric(object$n_obs))
  rows <- log_mean_exp(matrix(of_members, object$n_obs), object$member_weights)
  structure(sum(case_weights(object) * rows, na.rm = TRUE), class = "logLik", nobs = n_cases(object),
            df = sum(vapply(member_fits(object), function(m) attr(stats::logLik(m), "df"), 0)) +
              length(object$members) - 1)
}

# The weighted mean of the members' ELBO: a lower bound of the mixture's, which is greater the more they differ.
#' @rdname elbo
#' @export
elbo.varnn_mixture <- function(object, newdata = NULL, y = NULL, draws = 100, ...) {
  check_fit(object)
  if (inherits(object, "varnn_nn")) return(elbo.default(object))
  check_dots_empty(..., known = c("newdata", "y", "draws"))
  envir <- parent.frame()
  if (is.null(newdata)) object$data <- training_data(object, NULL, envir)
  parts <- lapply(member_fits(object), elbo.varnn_bayes_nn, newdata, y, draws)
  out <- Reduce(`+`, Map(`*`, parts, object$member_weights))
  structure(out, kl = sum(vapply(parts, attr, 0, "kl") * object$member_weights))
}

#' @rdname continue
#' @export
continue.varnn_mixture <- function(object, epochs, data = NULL, ...) {
  check_fit(object)
  given <- list(...)
  epochs <- check_further(object$spec, !missing(epochs), epochs, given)
  train <- training_data(object, data, parent.frame())
  object$data <- train
  to <- if ("checkpoint" %in% names(given)) given else object$control
  to <- unclass(to)[intersect(names(to), c("checkpoint", "checkpoint_every"))]
  kept_training("trained_members_further", list(fit = object, epochs = epochs, train = train, control = given),
                do.call(nn_control, to, quote = TRUE))
}

# `control` are the arguments of nn_control() that change.
trained_members_further <- function(fit, epochs, train, control) {
  before <- member_fits(fit)
  tasks <- Map(list, number = seq_along(before), stream = task_seeds(length(before)))
  found <- kept_tasks(tasks, further_task(before, epochs, control), alone = is.function(control$callback))
  fits <- Map(function(after, member) if (is.null(after)) member else with_shared(after, member), found, before)
  weights <- fit$member_weights
  if (fit$arguments$combine == "stack" && length(weights) > 1)
    message("The members keep the weights of stacking, which held-out rows gave them before this training.")
  if (fit$arguments$combine == "evidence") weights <- softmax_weights(vapply(fits, total_elbo, 0, train))
  out <- new_mixture(fits, weights)
  if (is.null(fit$data)) out["data"] <- list(NULL)
  out
}

further_task <- function(members, epochs, control) {
  list(members, epochs, control) # evaluated, before it is sent
  function(task) {
    further <- do.call(continue.varnn, c(list(members[[task$number]], epochs), control), quote = TRUE)
    without_shared(from_seed(task$stream, quiet_member(further, first = task$number == 1)))
  }
}

#' @export
check_gradients.varnn_mixture <- function(object, ...) {
  check_fit(object)
  stop_user("`object` must be one network, not a mixture: give one of members().")
}

# ---- print, summary and pictures

#' @exportS3Method
model_title.varnn_mixture <- function(fit) {
  sprintf("%s, %s", NextMethod(), if (is_hmc(fit$spec)) "draws of several chains" else "a mixture")
}

#' @exportS3Method
result_line.varnn_mixture <- function(fit, digits) {
  lines <- vapply(member_fits(fit), result_line, "", digits)
  paste(unique(lines), collapse = "; ")
}

member_table <- function(fit) {
  if (is_hmc(fit$spec)) return(chain_table(fit))
  whole <- member_fits(fit)
  is_bayes <- inherits(fit, "varnn_bayes_nn")
  last <- function(m, column) if (nrow(m$history)) m$history[[column]][kept_epoch(m)] else NA_real_
  out <- data.frame(member = seq_along(whole), weight = fit$member_weights,
                    epochs = vapply(whole, function(m) as.double(m$n_epochs), 0),
                    nll = vapply(whole, last, 0, "nll"))
  if (is_laplace(fit$spec)) {
    if (any(vapply(fit$blocks, has_log_sd, NA)))
      out$noise <- vapply(whole, function(m) if (has_held_noise(m)) "constant" else "varying", "")
    out$evidence <- vapply(whole, function(m) m$laplace$evidence, 0)
    out$effective <- vapply(whole, function(m) sum(m$laplace$effective), 0)
  }
  # The history of a fit that is trained by draws has the ELBO at one of them, which is not that of the weights.
  if (is_bayes && is_deterministic(fit$spec) && !is_laplace(fit$spec))
    out$elbo <- vapply(whole, function(m) last(m, "elbo") * n_trained(m), 0)
  if (!is.null(whole[[1]]$history$val_loss)) out$val_loss <- vapply(whole, last, 0, "val_loss")
  if (any(vapply(fit$blocks, has_sigma, NA)))
    out$sigma <- vapply(whole, function(m) stats::sigma(m)[1], 0)
  out
}

#' @export
print.varnn_mixture <- function(x, digits = print_digits(), ...) {
  check_fit(x)
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  first <- member_fits(x)[[1]]
  print_lines(c(model_title(x), paste("Call:", shown_call(x$call)), "", paste("Network:", network_line(first)),
                paste("Data:", data_line(x)), if (inherits(x, "varnn_bayes_nn")) mixture_posterior(first, digits),
                if (is_hmc(x$spec)) agreement_line(x) else paste("Members:", members_phrase(x))))
  table <- member_table(x)
  if (is_hmc(x$spec)) {
    print(table, row.names = FALSE, digits = digits)
    return(invisible(x))
  }
  table$weight <- fixed(table$weight, 3)
  has_weight <- x$member_weights >= 5e-4
  print(table[has_weight, ], row.names = FALSE, digits = digits)
  if (!all(has_weight)) cat(sprintf("and %s with next to no weight\n", count(sum(!has_weight), "member")))
  invisible(x)
}

# The lines of print() on prior and posterior that hold for all members.
mixture_posterior <- function(first, digits) {
  lines <- posterior_lines(first, digits)[1]
  c(lines, if (is_laplace(first$spec) || is_hmc(first$spec)) paste("Posterior:", posterior_phrase(first)))
}

#' @export
summary.varnn_mixture <- function(object, ...) {
  check_fit(object)
  check_standard("summary", ...)
  structure(list(fit = object, members = member_table(object),
                 summaries = lapply(member_fits(object), summary)), class = "summary.varnn_mixture")
}

#' @export
print.summary.varnn_mixture <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  print(x$fit, digits = digits)
  best <- if (is_hmc(x$fit$spec)) 1 else which.max(x$members$weight)
  cat(if (is_hmc(x$fit$spec)) "\nChain 1:\n" else sprintf("\nMember %d, of the greatest weight:\n", best))
  print(x$summaries[[best]], digits = digits)
  invisible(x)
}
