# Programs: functions that users write, read into instructions that the engine runs and differentiates. A program is
# plain data: `arguments`, their names; of each instruction `op`, a name of the engine's primitives, `a`, `b` and `c`,
# the numbers of the earlier instructions that it reads (0: none; of an argument, `a` is which) and `number`; `text`, as
# the user wrote it. The value is that of the last instruction.

most_instructions <- 1000L
most_levels <- 100L

# A one-sided formula in these arguments, or a function of as many. Other variables are numbers that are found in
# `numbers`; `name` is the argument of the user's that this is.
as_program <- function(expression, arguments, name, numbers = environment(expression)) {
  if (is_long(if (is.function(expression)) body(expression) else expression))
    too_long(function(...) stop_user("`%s` is too long: %s", name, said(...)))
  source <- program_source(expression, arguments)
  fail <- function(...) stop_user("`%s` = %s: %s", name, shortened(source$text), said(...))
  if (is.null(source$body)) fail("it must be a function of %s alone.", words_of(arguments))
  s <- list2env(list(fail = fail, level = 0L, numbers = if (is.environment(numbers)) numbers else baseenv(),
                     source = expression, locals = list(), key = character(), op = character(), from = list(),
                     number = double()))
  for (i in seq_along(arguments)) s$locals[[source$names[i]]] <- instruct(s, "argument", i)
  last <- read_expression(source$body, s)
  program_of(s, last, arguments, source$text)
}

is_program_source <- function(x) is.function(x) || inherits(x, "formula") && is.call(x)
is_program <- function(x) is.list(x) && !is.null(x$op)

# What is read: the expression (NULL: there is none that can be), the names of its arguments, and its text.
program_source <- function(expression, arguments) {
  text <- source_text(expression)
  if (!is.function(expression))
    return(list(body = if (length(expression) == 2) expression[[2]], names = arguments, text = text))
  known <- Filter(function(f) identical(r_function(f), expression), primitives(length(arguments)))
  if (length(known)) {
    body <- as.call(lapply(c(known[1], arguments), as.name))
    return(list(body = body, names = arguments, text = known[1]))
  }
  formals <- formals(expression)
  without_default <- rep(as.list(formals(function(x) NULL)), length(arguments))
  fits <- identical(unname(as.list(formals)), unname(without_default)) && !"..." %in% names(formals)
  list(body = if (fits) body(expression), names = names(formals), text = text)
}

# As the user wrote it, its lines in one.
source_text <- function(expression) {
  if (inherits(expression, "formula")) expression <- `attributes<-`(expression, NULL)
  lines <- trimws(deparse(expression, width.cutoff = 500L, control = c("keepNA", "keepInteger")))
  lines <- sub("^~(?=\\S)", "~ ", sub("^function \\(", "function(", lines), perl = TRUE)
  text <- paste0(lines, ifelse(grepl("[{(,]$|[-+*/^]$", lines), " ", "; "), collapse = "")
  gsub("; }", " }", sub("; $", "", gsub("(function\\([^)]*\\)); ", "\\1 ", text)), fixed = TRUE)
}

# Whether an expression has more parts than any program, numbers in vectors counted: before it is written as text.
is_long <- function(e) {
  left <- 8 * most_instructions
  walk <- function(e) {
    left <<- left - length(e)
    if (is.call(e)) for (i in seq_along(e)) {
      if (left < 0) return()
      if (!is.symbol(e[[i]]) || nzchar(e[[i]])) walk(e[[i]]) # not an argument that is left out
    }
  }
  isTRUE(tryCatch({
    walk(e)
    left < 0
  }, error = function(e) TRUE)) # R's own limits
}

shortened <- function(text, most = 60) if (nchar(text) > most) paste0(substr(text, 1, most - 3), "...") else text

too_long <- function(fail) {
  fail("it has more than %s steps.", thousands(most_instructions))
}

words_of <- function(names) paste0("`", names, "`", collapse = ", ")

# ---- instructions

# The number of an instruction, that of an earlier one if there is one like it.
instruct <- function(s, op, from = integer(), number = 0) {
  key <- paste(c(op, from, sprintf("%a", number)), collapse = " ")
  at <- match(key, s$key)
  if (!is.na(at)) return(at)
  at <- length(s$op) + 1L
  s$key[at] <- key
  s$op[at] <- op
  s$from[[at]] <- c(as.integer(from), integer(3))[1:3]
  s$number[at] <- number
  at
}

# The number of the instruction that is this operation; of numbers alone its result is a number that stands there.
operate <- function(s, op, from) {
  force(from) # which may add instructions
  if (op == "*") for (k in 1:2) if (is_one(s, from[k])) return(from[3 - k])
  if (op == "/" && is_power_of_two(s, from[2]))
    return(operate(s, "*", c(from[1], instruct(s, "number", number = 1 / s$number[from[2]]))))
  if (!all(s$op[from] == "number")) return(instruct(s, op, from))
  value <- suppressWarnings(as.double(do.call(r_function(op), as.list(s$number[from]))))
  number_instruction(s, value, sprintf("a result of `%s` in it", op))
}

is_one <- function(s, at) s$op[at] == "number" && s$number[at] == 1

# By such a number a quotient is a product, to the last bit.
is_power_of_two <- function(s, at) s$op[at] == "number" && abs(s$number[at]) %in% 2^(-20:20)

number_instruction <- function(s, value, what) {
  if (!is.finite(value)) s$fail("%s is %s.", what, format(value))
  instruct(s, "number", number = as.double(value))
}

# The program of what instruction `last` needs.
program_of <- function(s, last, arguments, text) {
  from <- do.call(rbind, s$from)
  is_argument <- s$op == "argument"
  needed <- seq_along(s$op) == last
  for (i in rev(seq_len(last))) if (needed[i] && !is_argument[i]) needed[from[i, ]] <- TRUE
  if (sum(needed) > most_instructions) too_long(s$fail)
  place <- c(0L, cumsum(needed))
  from[!is_argument, ] <- place[from[!is_argument, ] + 1L]
  from <- from[needed, , drop = FALSE]
  list(arguments = arguments, op = s$op[needed], a = from[, 1], b = from[, 2], c = from[, 3],
       number = s$number[needed], text = text)
}

# ---- expressions

# The names of the functions that a program may use, or of those that read so many numbers.
primitives <- function(arity = 1:3) {
  r <- registry()
  r$primitive[r$primitive_arity %in% arity]
}

arity_of <- function(op) row_property("primitive", op, "arity")

# log(1 + exp(x)), which is finite wherever x is.
log1pexp <- function(x) ifelse(x > 0, x + log1p(exp(-x)), log1p(exp(x)))

# R's function of this name, NULL where it has none.
r_function <- function(name) {
  if (name == "log1pexp") log1pexp else get0(name, asNamespace("stats"), mode = "function")
}

# The instruction that makes the value of an expression.
read_expression <- function(e, s) {
  if (is.numeric(e) && length(e) == 1 && !is.object(e)) return(number_instruction(s, e, "a number in it"))
  if (is.name(e)) return(read_variable(as.character(e), s))
  if (!is.call(e)) s$fail("%s is no number.", shown(e))
  s$level <- s$level + 1L
  on.exit(s$level <- s$level - 1L)
  if (s$level > most_levels)
    s$fail("its calls are nested in more than %d levels; assign parts of it to names.", most_levels)
  if (!all(nzchar(as.character(e)))) s$fail("an argument is missing in %s.", shown(e))
  name <- function_name(e, s)
  for (form in program_forms[[name]]) {
    at <- form(e, s)
    if (!is.null(at)) return(at)
  }
  check_function(name, s)
  from <- read_arguments(e, name, s)
  operate(s, name, from)
}

# The name of what is called; pkg::name is name.
function_name <- function(e, s) {
  head <- e[[1]]
  if (is.call(head) && length(head) == 3 && as.character(head[[1]])[1] == "::") head <- head[[3]]
  if (!is.name(head)) s$fail("it calls %s, which is no function's name.", shown(head))
  as.character(head)
}

# Whether a program may call this function, and it is R's own.
check_function <- function(name, s) {
  own <- get0(name, s$numbers, mode = "function")
  if (!name %in% primitives()) {
    if (identical(own, s$source)) s$fail("it calls itself.")
    s$fail("it calls %s(), which is not among the functions that can be differentiated: %s.%s", name,
           paste(primitives(), collapse = " "), if (name == "if") " Write ifelse() in its place." else "")
  }
  is_own <- is.null(own) || is.primitive(own) || isNamespace(environment(own))
  if (!is_own) s$fail("%s() is not R's own where it was written.", name)
}

read_arguments <- function(e, name, s) {
  n <- arity_of(name)
  if (!is.null(names(e)) && !name %in% c("pmin", "pmax")) e <- match_arguments(e, name, n, s)
  if (length(e) != n + 1 || any(nzchar(names(e))))
    s$fail("%s() has %d argument%s here, and in it is %s.", name, n, if (n == 1) "" else "s", shown(e))
  vapply(as.list(e)[-1], read_expression, 0L, s)
}

# Without the names of arguments that are among the first n of R's function, and in its order.
match_arguments <- function(e, name, n, s) {
  own <- r_function(name)
  matched <- if (is.primitive(own)) e else tryCatch(match.call(own, e), error = function(e) NULL)
  known <- names(formals(args(own)))[seq_len(n)]
  if (!identical(names(matched)[-1], known)) s$fail("%s() has the argument %s alone here.", name, words_of(known))
  unname(matched)
}

# An argument, a name that was assigned, or a number where the function was written.
read_variable <- function(name, s) {
  if (!is.null(s$locals[[name]])) return(s$locals[[name]])
  value <- get0(name, s$numbers)
  if (is.null(value)) s$fail("`%s` is neither an argument nor a number that is known where it was written.", name)
  if (!is.numeric(value) || is.object(value)) s$fail("`%s` is %s, and a number is meant.", name, shown(value))
  if (length(value) != 1) s$fail("`%s` has length %d, and a number is meant.", name, length(value))
  number_instruction(s, value, sprintf("`%s`", name))
}

# { }: assignments to names, then the value.
read_block <- function(e, s) {
  lines <- as.list(e)[-1]
  if (!length(lines)) s$fail("it has no value.")
  for (line in utils::head(lines, -1)) {
    is_assignment <- every(is.call(line), length(line) == 3, as.character(line[[1]])[1] %in% c("<-", "="),
                           is.name(line[[2]]))
    if (!is_assignment) s$fail("%s is no assignment to a name.", shown(line))
    s$locals[[as.character(line[[2]])]] <- read_expression(line[[3]], s)
  }
  last <- lines[[length(lines)]]
  if (every(is.call(last), identical(last[[1]], quote(return)), length(last) == 2)) last <- last[[2]]
  read_expression(last, s)
}

is_call_of <- function(e, name, n = 1) is.call(e) && identical(e[[1]], as.name(name)) && length(e) == n + 1
is_number <- function(e, value) is.numeric(e) && identical(as.double(e), value)

# Signs: +x is x, -x is 0 - x.
read_sign <- function(e, s) {
  if (length(e) != 2) return(NULL)
  at <- read_expression(e[[2]], s)
  if (is_call_of(e, "+")) at else operate(s, "-", c(instruct(s, "number"), at))
}

# Whole powers from 2 to 4 are products, that of 1/2 is a root.
read_power <- function(e, s) {
  if (length(e) != 3) return(NULL)
  from <- vapply(as.list(e)[-1], read_expression, 0L, s)
  power <- if (s$op[from[2]] == "number") s$number[from[2]] else NA
  if (power %in% 0.5) return(operate(s, "sqrt", from[1]))
  if (!power %in% 2:4) return(operate(s, "^", from))
  square <- operate(s, "*", from[c(1, 1)])
  if (power == 2) square else operate(s, "*", c(square, if (power == 3) from[1] else square))
}

# log1p(exp(x)) and log(1 + exp(x)), which overflow where log1pexp(x) does not.
read_log <- function(e, s) {
  inner <- if (length(e) == 2) e[[2]]
  if (is_call_of(e, "log")) {
    if (!is_call_of(inner, "+", 2)) return(NULL)
    is_one <- vapply(as.list(inner)[-1], is_number, NA, 1)
    inner <- if (sum(is_one) == 1) inner[-1][[which(!is_one)]]
  }
  if (is_call_of(inner, "exp")) operate(s, "log1pexp", read_expression(inner[[2]], s))
}

# pmin() and pmax() of several numbers, two by two.
read_extreme <- function(e, s) {
  if (length(e) < 4 || !is.null(names(e))) return(NULL)
  from <- vapply(as.list(e)[-1], read_expression, 0L, s)
  Reduce(function(a, b) operate(s, as.character(e[[1]]), c(a, b)), from)
}

# What is read in a way of its own: functions of a call that give the instruction, or NULL where they do not apply.
program_forms <- list(
  `(` = list(function(e, s) read_expression(e[[2]], s)), `{` = list(read_block), `+` = list(read_sign),
  `-` = list(read_sign), `^` = list(read_power), log = list(read_log), log1p = list(read_log),
  pmin = list(read_extreme), pmax = list(read_extreme)
)

# ---- slopes as programs

# Of each primitive what a slope d in its value y adds to those in the numbers a, b, c that it reads; of those that are
# not here nothing.
slope_rules <- list(
  `+` = list(quote(d), quote(d)), `-` = list(quote(d), quote(-d)), `*` = list(quote(d * b), quote(d * a)),
  `/` = list(quote(d / b), quote(-d * y / b)),
  `^` = list(quote(d * b * a^(b - 1)), quote(d * ifelse(a == 0, 0, y * log(a)))),
  exp = list(quote(d * y)), expm1 = list(quote(d * (y + 1))), log = list(quote(d / a)),
  log1p = list(quote(d / (1 + a))),
  sqrt = list(quote(d * 0.5 / y)), abs = list(quote(d * sign(a))), tanh = list(quote(d * (1 - y * y))),
  plogis = list(quote(d * y * (1 - y))), qlogis = list(quote(d / (a * (1 - a)))), log1pexp = list(quote(d * plogis(a))),
  sin = list(quote(d * cos(a))), cos = list(quote(-d * sin(a))), atan = list(quote(d / (1 + a * a))),
  pnorm = list(quote(d * dnorm(a))), dnorm = list(quote(-d * a * y)), lgamma = list(quote(d * digamma(a))),
  digamma = list(quote(d * trigamma(a))), trigamma = NULL,
  pmin = list(quote(ifelse(a < b, d, 0)), quote(ifelse(a < b, 0, d))),
  pmax = list(quote(ifelse(a > b, d, 0)), quote(ifelse(a > b, 0, d))),
  ifelse = list(NULL, quote(ifelse(a, d, 0)), quote(ifelse(a, 0, d)))
)
choosing <- c("ifelse", "pmin", "pmax")

# The slope of a program in argument k as a program, from the last instruction down. Where the value is one that was not
# chosen the slope is 0, even where what is multiplied by it is infinite.
slope_program <- function(program, k) {
  fail <- function(...) stop_user("%s: of its slope %s", shortened(program$text), said(...))
  s <- list2env(list(fail = fail, level = 0L, numbers = baseenv(), source = NULL, locals = list(), key = character(),
                     op = character(), from = list(), number = double()))
  n <- length(program$op)
  reads <- instructions_read(program)
  at <- integer(n) # where its instructions are among those of the slope
  depends <- logical(n)
  for (i in seq_len(n)) {
    is_argument <- program$op[i] == "argument"
    at[i] <- instruct(s, program$op[i], if (is_argument) program$a[i] else at[reads[[i]]], program$number[i])
    depends[i] <- if (is_argument) program$a[i] == k else any(depends[reads[[i]]])
  }
  slope <- slopes_passed(s, program, reads, at, depends)
  own <- slope[program$op == "argument" & program$a == k]
  last <- if (length(own) && own[1]) own[1] else instruct(s, "number")
  program_of(s, last, program$arguments, program$text)
}

# The instructions that are the slopes in each instruction, 0 where there is none.
slopes_passed <- function(s, program, reads, at, depends) {
  n <- length(at)
  slope <- replace(integer(n), n, instruct(s, "number", number = 1))
  is_chosen <- logical(n)
  for (i in rev(which(depends))) for (j in seq_along(reads[[i]])) {
    to <- reads[[i]][j]
    rule <- slope_rule(program$op[i], j)
    if (!slope[i] || !depends[to] || is.null(rule)) next
    s$locals <- c(list(d = slope[i], y = at[i]),
                  stats::setNames(as.list(at[reads[[i]]]), letters[seq_along(reads[[i]])]))
    slope[to] <- added(s, slope[to], read_expression(where_chosen(rule, is_chosen[i]), s))
    is_chosen[to] <- is_chosen[to] || is_chosen[i] || program$op[i] %in% choosing
  }
  slope
}

where_chosen <- function(rule, is_chosen) if (is_chosen) call("ifelse", quote(d), rule, 0) else rule
added <- function(s, slope, more) if (slope) operate(s, "+", c(slope, more)) else more
slope_rule <- function(op, j) if (j <= length(slope_rules[[op]])) slope_rules[[op]][[j]]

# Of each instruction those that it reads.
instructions_read <- function(program) {
  from <- cbind(program$a, program$b, program$c)
  is_primitive <- program$op %in% primitives()
  lapply(seq_along(program$op), function(i) if (is_primitive[i]) from[i, seq_len(arity_of(program$op[i]))])
}

# The second slopes of a program in its arguments `k` at the rows of `at`: an array [rows, k, k].
second_slopes <- function(program, at, k) {
  out <- vapply(k, function(j) run_program(slope_program(program, j), at)$slope[, k, drop = FALSE],
                matrix(0, nrow(at), length(k)))
  array(out, c(nrow(at), length(k), length(k)))
}

# ---- what a program is for

# The value and the slopes of a program at the rows of `at`, which has a column for each argument.
run_program <- function(program, at, precision = "double") engine_call(program, as.matrix(at), precision)

# A function of x that can follow a layer: finite about 0, and not constant.
activation_program <- function(activation) {
  program <- as_program(activation, "x", "activation")
  check_values(program, function(...) stop_user("`activation` = %s: %s", shortened(program$text), said(...)))
  program
}

# A penalty on one weight.
penalty_program <- function(penalty) {
  program <- as_program(penalty, "w", "penalty")
  check_values(program, function(...) stop_user("`penalty` = %s: %s", shortened(program$text), said(...)), "w")
  program
}

# The values of a program of one argument, which must be finite about 0, and not all the same.
check_values <- function(program, fail, argument = "x") {
  x <- c(0, setdiff(seq(-3, 3, 0.125), 0))
  value <- run_program(program, x)$value
  if (!"argument" %in% program$op || all(value == value[1]) && all(is.finite(value)))
    fail("it does not depend on %s.", argument)
  if (!all(is.finite(value))) {
    bad <- which(!is.finite(value))[1]
    fail("it is %s at %s = %s; it must be finite from -3 to 3.", format(value[bad]), argument, format(x[bad]))
  }
  value
}

# Whether a program of a fit is as it was made, so far as the engine does not look at it.
is_sound_program <- function(x) {
  every(is.list(x), identical(names(x), c("arguments", "op", "a", "b", "c", "number", "text")),
        all(vapply(x, is_bare, NA)), is_words(x$text, 1), are_words(x$arguments),
        is.numeric(run_program(x, matrix(0, 1, length(x$arguments)))$value)) # the engine knows its instructions
}
