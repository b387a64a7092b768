# How a posterior is found: what posterior_hmc() and its like make.

#' @export
print.varnn_posterior <- function(x, ...) {
  check_dots_empty(...)
  shown <- Filter(Negate(is.null), unclass(x))
  cat("Posterior of the weights: ", x$posterior, ", ",
      paste(names(shown[-1]), vapply(shown[-1], function(v) paste(format(v), collapse = " "), ""), sep = " = ",
            collapse = ", "), "\n", sep = "")
  invisible(x)
}

# The call that makes it, without the arguments that are the default.
posterior_words <- function(x) {
  maker <- option_makers()[[x$posterior]]
  given <- unclass(x)[names(formals(maker))]
  given <- given[!mapply(identical, given, unclass(maker())[names(given)])]
  as_typed <- function(v) deparse1(if (is.numeric(v)) as.double(v) else v)
  sprintf("%s(%s)", option_names()[[x$posterior]],
          paste(names(given), "=", vapply(given, as_typed, ""), collapse = ", ", recycle0 = TRUE))
}

# The functions that make the options of posteriors, by posterior.
option_makers <- function() lapply(option_names(), get, mode = "function")

option_names <- function() Filter(Negate(is.null), lapply(posterior_records, `[[`, "options"))

# list(name, options) of the argument `posterior`: a name, or options.
split_posterior <- function(posterior) {
  makers <- option_makers()
  if (inherits(posterior, "varnn_posterior")) {
    if (!is_posterior_record(posterior)) stop_user("`posterior` is not as %s make it: call it anew.",
                                                   paste0(unlist(option_names()), "()", collapse = ", "))
    return(list(name = posterior$posterior, options = posterior))
  }
  same <- which(vapply(makers, identical, NA, posterior))
  if (length(same)) {
    maker <- posterior_records[[names(makers)[same[1]]]]$options
    stop_user("`posterior` must be what %s() returns, as in posterior = %s(%s = %s).", maker, maker,
              names(formals(makers[[same[1]]]))[1], deparse(formals(makers[[same[1]]])[[1]]))
  }
  name <- check_choice(posterior, c("auto", registry()$posterior), "posterior")
  list(name = name, options = if (!is.null(makers[[name]])) makers[[name]]())
}

is_posterior_record <- function(x) {
  maker <- if (is_words(x$posterior, 1)) option_makers()[[x$posterior]]
  if (is.null(maker)) return(FALSE)
  arguments <- unclass(x)[setdiff(names(x), "posterior")]
  made <- tryCatch(do.call(maker, arguments, quote = TRUE), error = function(e) NULL)
  identical(made, x)
}
