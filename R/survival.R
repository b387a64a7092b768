# Survival times: a response of times, some of which are censored.

# Survival times as survival::Surv() has them, read without that package: a matrix of times and events that is marked.
surv_values <- function(y, name) {
  type <- attr(y, "type")
  if (!identical(type, "right"))
    stop_user("The response `%s` is a survival time of type %s: only right-censored times are fitted.", name,
              shown(type))
  is_right <- every(is.numeric(y), is_matrix_of(y, nrow(y), 2), all(unclass(y)[, 2] %in% c(0, 1, NA)))
  if (!is_right) stop_user("The response `%s` is of class \"Surv\", but is not made as that class has it.", name)
  as_times(matrix(as.double(unclass(y)), nrow(y), dimnames = list(rownames(y), c("time", "status"))))
}

as_times <- function(y) structure(y, is_times = TRUE)
is_times <- function(y) isTRUE(attr(y, "is_times"))

# The engine's y: times, and 1 for events, 0 for times that are censored; numbers alone are all events.
times_and_events <- function(y) {
  y <- if (is_times(y)) cbind(y[, 1], y[, 2]) else cbind(as.double(y), 1)
  y[rowSums(is.na(y)) > 0, ] <- NA
  unname(y)
}

# What the terms of the package survival ask of its fitting functions, and is not done here.
survival_terms <- c(
  cluster = "standard errors that are robust to clusters are not computed",
  strata = "no stratum gets a distribution of its own; as a predictor it is factor()",
  pspline = "splines are not penalised; fit_nn() bends by hidden units, or without penalty by splines::ns()",
  frailty = "random effects are not fitted",
  tt = "coefficients do not change over time",
  ridge = "no penalty belongs to a term; the argument `penalty` is for all coefficients"
)

# Such terms would be read as plain predictors. Functions of the user with these names are other ones.
check_survival_terms <- function(formula) {
  if (!inherits(formula, "formula") || !any(grepl(survival_pattern, all.names(formula)))) return(invisible())
  calls <- Filter(is.call, list(formula[[length(formula)]]))
  while (length(calls)) {
    x <- calls[[1]]
    calls <- c(calls[-1], Filter(is.call, as.list(x)[-1]))
    name <- utils::tail(as.character(x[[1]]), 1)
    if (grepl(survival_pattern, name) && is_of_survival(x[[1]], environment(formula)))
      stop_user("The term `%s` of the package survival does not apply: %s.", shortened(deparse1(x)),
                survival_terms[[sub("[.].*", "", name)]])
  }
}

survival_pattern <- sprintf("^(%s|frailty[.][a-z]+)$", paste(names(survival_terms), collapse = "|"))

# Whether a call's head is a function of that package, attached or not.
is_of_survival <- function(head, envir) {
  if (is.call(head))
    return(every(length(head) == 3, identical(head[[1]], as.name("::")), identical(head[[2]], as.name("survival"))))
  found <- get0(as.character(head), envir, mode = "function")
  is.null(found) || environmentName(environment(found)) == "survival"
}

# Times are above 0, and some of those that count in training are events.
check_events <- function(y, name, weights) {
  if (!is.numeric(y)) return(invisible())
  check_times(y, name)
  if (!is_times(y)) return(invisible())
  events <- y[, 2] %in% 1 & !is.na(y[, 1])
  if (!any(events & (if (is.null(weights)) TRUE else weights > 0)))
    stop_user("The response `%s` has no event: all its times are censored, and there is nothing to learn.", name)
}

check_times <- function(y, name, ...) {
  t <- if (is_times(y)) y[, 1] else y
  if (is.numeric(t) && any(t <= 0, na.rm = TRUE))
    stop_user("The response `%s`%s has times that are not above 0, such as %s.", name, paste0("", ...),
              format(t[which(t <= 0)[1]]))
}

# ---- what is predicted

# The argument `times` of predict(), which belongs to one type.
times_for <- function(type, times) {
  if (type == "survival") return(check_times_argument(times))
  if (!is.null(times)) stop_user("`times` belongs to `type` = \"survival\", not \"%s\".", type)
}

check_times_argument <- function(times) {
  t <- plain_numbers(times)
  if (!length(t) || !all(is.finite(t)) || any(t < 0))
    stop_user("`type` = \"survival\" needs `times`, numbers of at least 0, at which to give the survivor function%s.",
              if (is.null(times)) "" else paste(", not", shown(times)))
  as.double(t)
}

time_labels <- function(times) vapply(times, format, "", digits = 15)

# P(T > t) [rows, times] at eta: the likelihood of times that are censored there.
survivor_function <- function(block, eta, free, times) {
  record <- record_of(block)
  of_time <- function(t) exp(-record$nll(cbind(rep(t, nrow(eta)), 0), eta, free)[, 1])
  out <- vapply(times, function(t) if (t == 0) rep(1, nrow(eta)) else of_time(t), numeric(nrow(eta)))
  matrix(out, nrow(eta), dimnames = list(NULL, time_labels(times)))
}

# P(T > t) [rows, times] of rows of predictors, averaged over the posterior.
mean_survivor_function <- function(fit, rows, times, draws) {
  block <- fit$blocks[[1]]
  out <- matrix(0, nrow(rows$x), length(times))
  over_components(fit, rows, draws, TRUE, function(components, at) {
    for (c in components) {
      eta <- c$eta[[1]]
      n <- dim(eta)[3]
      weight <- c$weight * if (is.null(c$nodes)) rep(1 / n, n) else c$nodes[[1]]$weight
      s <- array(survivor_function(block, draws_in_rows(eta), c$free[[1]], times), c(length(at), n, length(times)))
      for (j in seq_along(times)) out[at, j] <<- out[at, j] + matrix(s[, , j], length(at)) %*% weight
    }
  })
  dimnames(out) <- list(NULL, time_labels(times))
  out
}

# The share of pairs of rows, of which it is known who lived longer, that the predictions order rightly (Harrell et al.
# 1982); of at most `most` rows.
concordance_of <- function(y, predicted, w, most = 5000) {
  use <- which(!is.na(y[, 1]) & w > 0)
  if (length(use) > most) use <- use[round(seq(1, length(use), length.out = most))]
  t <- y[use, 1]
  is_event <- y[use, 2] == 1
  w <- w[use]
  mu <- predicted[use]
  of_event <- function(i) {
    other <- w * (t > t[i] | t == t[i] & !is_event)
    w[i] * c(sum(other * ((mu > mu[i]) + (mu == mu[i]) / 2)), sum(other))
  }
  pairs <- rowSums(vapply(which(is_event), of_event, numeric(2)))
  if (pairs[2] > 0) pairs[1] / pairs[2] else NA_real_
}

# Words on the scales of such responses.
scale_words <- function(fit, digits) {
  is_time <- vapply(fit$blocks, is_kind, NA, "time")
  if (!any(is_time)) return("")
  paste("; scale", paste(format(exp(unlist(block_free(fit)[is_time])), digits = digits), collapse = ", "))
}
