# How the tutorials check an answer, for learnr: the code of an exercise's chunk "-check" says what must hold.
#   answer             the value of the reader's last line; the reader's other objects are there, too
#   must(holds, hint)  where `holds` is not TRUE the reader is given the hint, and no later line is looked at
# The value of its last line, a text, is shown where all of it holds.
check_answer <- function(label, check_code, envir_result, last_value, ...) {
  room <- new.env(parent = envir_result)
  room$answer <- last_value
  room$must <- function(holds, hint) {
    if (!isTRUE(holds)) stop(errorCondition(hint, class = "wrong_answer"))
  }
  room$close <- function(x, y, tolerance = 1e-6) {
    is.numeric(x) && length(x) == length(y) &&
      isTRUE(all.equal(c(x), c(y), tolerance = tolerance, check.attributes = FALSE))
  }
  verdict <- function(correct, message) list(message = message, correct = correct, location = "append")
  tryCatch(verdict(TRUE, eval(parse(text = check_code), room)),
           wrong_answer = function(wrong) verdict(FALSE, conditionMessage(wrong)))
}
