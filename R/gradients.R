#' Check a fit's gradients against differences
#'
#' Compares the gradient that the engine computes by backward differentiation with central differences of the loss, at
#' the fit's parameters and with the noise frozen. A teaching aid, and a test of the engine on your model.
#'
#' @param object a fit.
#' @param data the training data, needed only where they cannot be found again: a data frame for a fit by formula,
#'   else `list(x = , y = )`.
#' @param rows at most this many rows of the data are used.
#' @param parameters at most this many parameters, evenly spread, are checked.
#' @param ... not used.
#' @return The worst relative error, a number; its attribute `"table"` is a data frame with the `parameter`, its
#'   `analytic` and `numerical` derivative and their `error`.
#' @details The difference is taken over \eqn{\pm h}{+-h}, \eqn{h = \epsilon^{1/3} \max(1, |\theta|)}{h = eps^(1/3)
#'   max(1, |theta|)}, and over \eqn{\pm h / 100}{+-h / 100}, and the better counts, since a unit of `"relu"` may
#'   change its sign within h. Always in double precision.
#' @seealso [fit_nn()], [activations()], and the vignette `engine`.
#' @examples
#' set.seed(1)
#' check_gradients(fit_nn(mpg ~ wt + hp, mtcars, activation = "tanh", epochs = 20))
#' @export
check_gradients <- function(object, data = NULL, rows = 200, parameters = 500, ...) UseMethod("check_gradients")

#' @rdname check_gradients
#' @export
check_gradients.varnn <- function(object, data = NULL, rows = 200, parameters = 500, ...) {
  check_fit(object)
  check_dots_empty(..., known = c("data", "rows", "parameters"))
  rows <- check_number(rows, "rows", 1, whole = TRUE)
  parameters <- check_number(parameters, "parameters", 1, whole = TRUE)
  train <- training_data(object, data, parent.frame())
  use <- which(case_weights(object) > 0)
  use <- use[unique(round(seq(1, length(use), length.out = min(rows, length(use)))))]
  offset <- engine_offset(object$blocks, train$offset)
  source <- engine_data(train$x, training_y(train, object$blocks), object$scaling, train$weights,
                        offset, use)
  control <- nn_control(batch_size = length(use))
  control$objective <- object$control$objective
  seed <- use_seed(NULL)$seed
  on.exit(assign(".Random.seed", seed, envir = globalenv()))
  at <- function(theta) {
    assign(".Random.seed", seed, envir = globalenv())
    engine_gradient(object$spec, theta, source, control)
  }
  free <- setdiff(seq_len(object$n_par), which(is.infinite(object$spec$precision))) # the others are kept where they are
  at_most <- unique(round(seq(1, length(free), length.out = min(parameters, length(free)))))
  gradient_table(at, object$theta, free[at_most], object$layout)
}

gradient_table <- function(at, theta, which, layout) {
  here <- at(theta)
  if (!is.finite(here$loss)) stop_user("The loss is not finite at the fit's parameters: it has no derivatives there.")
  analytic <- here$gradient
  central <- function(i, shrink) {
    h <- .Machine$double.eps^(1 / 3) * max(1, abs(theta[i])) * shrink
    up <- replace(theta, i, theta[i] + h)
    down <- replace(theta, i, theta[i] - h)
    (at(up)$loss - at(down)$loss) / (up[i] - down[i])
  }
  size <- max(abs(analytic), abs(here$loss) / 10) # at an optimum the differences are rounding errors of the loss
  error_of <- function(numerical) {
    abs(numerical - analytic[which]) / (abs(numerical) + abs(analytic[which]) + 1e-3 * size)
  }
  numerical <- vapply(which, central, 0, 1)
  error <- error_of(numerical)
  kink <- is.finite(error) & error > 1e-6
  again <- vapply(which[kink], central, 0, 0.01)
  better <- which(error_of(replace(numerical, kink, again)) < error)
  numerical[better] <- replace(numerical, kink, again)[better]
  error <- error_of(numerical)
  leaf <- findInterval(which - 1, layout$offset)
  table <- data.frame(parameter = paste0(layout$name[leaf], "[", which - layout$offset[leaf], "]"),
                      analytic = analytic[which],
                      numerical = numerical, error = error)
  structure(max(error), table = table, class = "varnn_gradients")
}

#' @export
print.varnn_gradients <- function(x, digits = print_digits(), ...) {
  check_standard("print", ..., known = "digits")
  digits <- check_digits(digits)
  table <- attr(x, "table")
  print_lines(sprintf("Worst relative error of %d derivatives: %s (at %s)", nrow(table),
                      format(c(unclass(x)), digits = max(1, digits - 1)), table$parameter[which.max(table$error)]))
  invisible(x)
}
