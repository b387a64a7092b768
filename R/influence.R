# Leverages, influence and analyses of variance of networks without hidden layers: at the maximum of the likelihood such
# a network is the model of lm() or glm(), whose methods then say them.

# The fit as lm() or glm() would give it, for `what`.
as_glm <- function(fit, what, envir) {
  check_fit(fit)
  if (!is.null(why_no_maximum(fit))) stop_no_errors(fit, what)
  block <- fit$blocks[[1]]
  if (length(fit$blocks) > 1) stop_user("%s is for a model with one response; this one has %d.", what,
                                        length(fit$blocks))
  if (is.null(record_of(block)$stats))
    stop_user("%s is for the families of glm(); this fit's family is %s.", what, quoted(block$family))
  if (any(!case_weights(fit) %in% c(0, 1)))
    stop_user("%s is for rows of weight 1: a row of weight w counts as w rows here, and as one row there.", what)
  frame <- glm_frame(fit, envir)
  p <- glm_parts(fit)
  seen <- which(responses_seen(fit)[[1]])
  if (length(seen) < fit$n_obs) {
    frame <- frame_of_rows(frame, seen)
    p[c("y", "w", "offset")] <- lapply(p[c("y", "w", "offset")], `[`, seen)
  }
  made <- if (has_sigma(block)) lm_of_parts(fit, frame$x, p, seen) else glm_of_parts(fit, frame$x, p)
  structure(c(made, list(call = fit$call, terms = frame$terms, model = frame$frame, x = frame$x,
                         na.action = fit$na.action, offset = if (!is.null(fit$offset)) p$offset,
                         xlevels = fit$design$xlevels, contrasts = attr(frame$x, "contrasts"))),
            class = if (has_sigma(block)) "lm" else c("glm", "lm"))
}

# What glm_frame() gives, of these rows alone.
frame_of_rows <- function(frame, rows) {
  x <- frame$x[rows, , drop = FALSE]
  frame$x <- structure(x, assign = attr(frame$x, "assign"), contrasts = attr(frame$x, "contrasts"))
  if (!is.null(frame$frame)) frame$frame <- structure(frame$frame[rows, , drop = FALSE], terms = frame$terms)
  frame
}

lm_of_parts <- function(fit, x, p, seen) {
  y <- stats::setNames(as.double(fit$response)[seen], rownames(x))
  made <- if (is.null(fit$weights)) stats::lm.fit(x, y, offset = p$offset)
  else stats::lm.wfit(x, y, p$w, offset = p$offset)
  c(made, list(assign = attr(x, "assign")))
}

glm_of_parts <- function(fit, x, p) {
  control <- list(epsilon = 1e-14, maxit = 100)
  made <- suppressWarnings(stats::glm.fit(x, stats::setNames(p$y, rownames(x)), p$w, offset = p$offset,
                                          family = p$family, intercept = fit$design$intercept, control = control))
  made$null.deviance <- null_measures(fit)$null.deviance
  c(made, list(method = "glm.fit", control = control))
}

# The terms, the matrix and, where the data were not kept, the model frame; of a fit to x and y those of y ~ . with the
# columns that the network reads.
glm_frame <- function(fit, envir) {
  if (!is.null(fit$terms) && (is.null(fit$data) || is.null(fit$design$assign))) {
    frame <- stats::model.frame(fit)
    return(list(frame = frame, terms = fit$terms, x = coded(fit$design$terms, frame, fit$design$contrasts)))
  }
  x <- training_data(fit, NULL, envir)$x
  if (!is.null(fit$terms)) {
    has_intercept <- fit$design$intercept
    x <- structure(if (has_intercept) cbind(1, x) else x, dimnames = list(fit_rows(fit), variable.names.varnn(fit)))
    return(list(terms = fit$terms, x = structure(x, assign = c(if (has_intercept) 0L, fit$design$assign),
                                                 contrasts = fit$design$contrasts)))
  }
  frame <- xy_frame(fit, x)
  terms <- stats::terms(y ~ ., data = frame)
  list(frame = frame, terms = terms, x = stats::model.matrix(terms, frame))
}

# What lm() or glm() make of it, who may fail where the fit did not.
said_by_glm <- function(what, value) {
  fail <- function(e) {
    if (inherits(e, "varnn_error")) stop(e)
    stop_user("%s is that of lm() or glm(), which fail here: %s.", what, sub("[.]?$", "", conditionMessage(e)))
  }
  tryCatch(value, error = fail)
}

# A method by that of lm() or glm() for a fit as these give it: it takes the arguments that they have.
by_glm <- function(generic, name) {
  force(generic)
  function(model, ...) answer_by_glm(model, generic, name, parent.frame(), ...)
}

answer_by_glm <- function(model, generic, name, envir, ...) {
  what <- paste0(name, "()")
  as <- said_by_glm(what, as_glm(model, what, envir))
  own <- unique(unlist(lapply(c("lm", "glm"), function(class) {
    method <- utils::getS3method(name, class, optional = TRUE)
    if (!is.null(method)) names(formals(method))[-1]
  })))
  check_dots_empty(..., known = setdiff(own, "..."))
  said_by_glm(what, generic(as, ...))
}

#' Leverages, influence and analysis of variance without hidden layers
#'
#' By default a network without hidden layers ends training at the maximum of the likelihood, where it is the model of
#' [lm()] or [glm()]: these are the methods that such a model has.
#'
#' @param model,object,x,z a fit by [fit_nn()] with `hidden = 0`, without `penalty`, whose training converged, with one
#'   response of the families gaussian, bernoulli, binomial, poisson, gamma or inverse_gaussian, and rows of weight 1.
#' @param ... as of the methods of [lm()] and [glm()]: `type` of `rstandard()`; `test`, `dispersion` and other fits,
#'   also by these functions, of `anova()`.
#' @return As of a fit by [lm()] or [glm()], which find them; where their iterations fail, an error that says so. Of a
#'   network with hidden layers they are an error that says why.
#' @seealso [vcov.varnn_nn()], [tidy.varnn()], [residuals.varnn()].
#' @examples
#' fit <- fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
#' anova(fit)
#' head(cooks.distance(fit))
#' @importFrom stats hatvalues rstandard rstudent cooks.distance influence dfbeta dfbetas
#' @export
hatvalues.varnn <- by_glm(stats::hatvalues, "hatvalues")

#' @rdname hatvalues.varnn
#' @export
rstandard.varnn <- by_glm(stats::rstandard, "rstandard")

#' @rdname hatvalues.varnn
#' @export
rstudent.varnn <- by_glm(stats::rstudent, "rstudent")

#' @rdname hatvalues.varnn
#' @export
cooks.distance.varnn <- by_glm(stats::cooks.distance, "cooks.distance")

#' @rdname hatvalues.varnn
#' @export
influence.varnn <- by_glm(stats::influence, "influence")

#' @rdname hatvalues.varnn
#' @export
dfbeta.varnn <- by_glm(stats::dfbeta, "dfbeta")

#' @rdname hatvalues.varnn
#' @export
dfbetas.varnn <- by_glm(stats::dfbetas, "dfbetas")

#' @rdname hatvalues.varnn
#' @importFrom stats alias dummy.coef proj
#' @export
alias.varnn <- function(object, ...) answer_by_glm(object, stats::alias, "alias", parent.frame(), ...)

#' @rdname hatvalues.varnn
#' @export
dummy.coef.varnn <- function(object, ...) answer_by_glm(object, stats::dummy.coef, "dummy.coef", parent.frame(), ...)

#' @rdname hatvalues.varnn
#' @export
proj.varnn <- function(object, ...) answer_by_glm(object, stats::proj, "proj", parent.frame(), ...)

#' @rdname hatvalues.varnn
#' @export
kappa.varnn <- function(z, ...) answer_by_glm(z, base::kappa, "kappa", parent.frame(), ...)

#' @rdname hatvalues.varnn
#' @export
qr.varnn <- function(x, ...) answer_by_glm(x, base::qr, "qr", parent.frame(), ...)

#' @rdname hatvalues.varnn
#' @export
anova.varnn <- function(object, ...) {
  check_fit(object)
  if (has_hidden(object))
    stop_user("anova() does not apply: training does not end at the optimum that its tests need. %s compares models.",
              "cross_validate()")
  envir <- parent.frame()
  as <- function(fit) said_by_glm("anova()", as_glm(fit, "anova()", envir))
  first <- as(object)
  others <- lapply(list(...), function(v) if (inherits(v, "varnn")) as(v) else v)
  is_fit <- vapply(others, inherits, NA, "lm")
  named <- if (is.null(names(others))) rep(FALSE, length(others)) else nzchar(names(others))
  check_known(others[!is_fit | named], c("dispersion", "test", "scale"))
  named <- named & !vapply(others, is.null, NA)
  # of one fit by lm() there is the F test alone
  if (!inherits(first, "glm") && !any(is_fit)) {
    if (any(named) && !identical(others[named], list(test = "F")))
      stop_user("`%s` does not apply to anova() of one gaussian model, which has F tests.", names(others)[named][1])
    named[] <- FALSE
  }
  arguments <- c(list(first), unname(others[is_fit & !named]), others[named])
  said_by_glm("anova()", do.call(stats::anova, arguments, quote = TRUE))
}
