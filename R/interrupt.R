# Ctrl-C, time limits and errors while there is work to keep.

# is_on: whether work is kept. Then asked: the user has interrupted, and it was not yet heeded; skips: what is being
# done may be left out; failure: the error that ended the work. And last: when the last interrupt was.
work <- new.env(parent = emptyenv())

# Seconds within which a second interrupt is one of all that runs.
second_within <- 2

# Evaluates `expr`, in which an interrupt does not jump: was_interrupted() tells of it. The second of two interrupts,
# and with options(varnn.interrupt = "stop") every one, is R's own: it ends the caller, too.
keeping_work <- function(expr) {
  before <- mget(c("is_on", "failure"), work, ifnotfound = list(FALSE, NULL))
  on.exit(list2env(before, work))
  work$failure <- NULL
  if (before$is_on) return(expr)
  work$is_on <- TRUE
  work$began <- seconds_now()
  work$asked <- work$skips <- FALSE
  if (identical(getOption("varnn.interrupt"), "stop")) return(expr)
  withCallingHandlers(expr, interrupt = function(c) {
    now <- proc.time()[["elapsed"]]
    is_second <- isTRUE(now - work$last < second_within)
    work$last <- now
    if (is_second) return()
    work$asked <- TRUE
    message("Interrupted: what was done so far is kept. Interrupt again within ", second_within,
            " seconds to end everything.")
    tryInvokeRestart("resume")
  })
}

was_interrupted <- function() isTRUE(work$is_on) && (work$asked || !is.null(work$failure))

# An interrupt is heeded: what follows it is done.
heed_interrupt <- function() {
  if (was_interrupted() && !is.null(journals$now)) journals$now$is_cut <- TRUE
  work$asked <- FALSE
}

# Keeps an error or a time limit, with which the work is over.
keep_failure <- function(e) work$failure <- e

# The value of `expr`; where an error or a time limit ends it `otherwise`.
caught <- function(expr, otherwise = NULL) {
  tryCatch(expr, error = function(e) {
    keep_failure(e)
    otherwise
  })
}

# The value of `expr`, the last touch to a fit; of one that is interrupted or fails the fit as it was.
unless_interrupted <- function(expr, otherwise) {
  heed_interrupt()
  work$skips <- TRUE
  on.exit(work$skips <- FALSE)
  tryCatch(caught(expr, otherwise), varnn_skipped = function(e) otherwise)
}

# Called where the engine's runs may be left out.
skip_if_interrupted <- function() {
  if (isTRUE(work$is_on) && work$skips && work$asked)
    signalCondition(structure(class = c("varnn_skipped", "condition"), list(message = "skipped", call = NULL)))
}

# The fit, where nothing went wrong; else the error that ended its training, with the fit so far.
fit_or_failure <- function(fit) {
  force(fit)
  failure <- work$failure
  if (is.null(failure)) return(fit)
  out <- list(message = sprintf("%s\nThis ended the training %s: the fit so far is `fit` of this condition.",
                                conditionMessage(failure),
                                if (is_mixture(fit)) paste("after", count(length(fit$members), "member"))
                                else after_epochs(nrow(fit$history))),
              call = conditionCall(failure), fit = fit, parent = failure)
  stop(structure(out, class = unique(c("varnn_error_in_training", class(failure)))))
}

after_epochs <- function(n) if (n) paste("after epoch", n) else "before its first epoch ended"
