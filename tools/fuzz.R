# The worker of tools/fuzz, in an R of its own: fuzz.R TOOLS WORK ID KIND FROM TO SEED.
# Does the calls numbered FROM to TO of a kind. Call i depends on the seed SEED + i - 1 alone. Before each call its
# number is written to WORK/progress.ID; what is found is a line of WORK/findings.ID: key, seed, what was called.
# With TO = FROM it says what it does and shows where an error came from; with TO < FROM it only says what it would do.

arguments <- commandArgs(TRUE)
tools <- arguments[1]
kind <- arguments[4]
range <- as.integer(arguments[5:6])
seed <- as.integer(arguments[7])
progress <- file.path(arguments[2], paste0("progress.", arguments[3]))
findings <- file.path(arguments[2], paste0("findings.", arguments[3]))

library(varnn)
invisible(Sys.setlocale("LC_MESSAGES", "C"))
for (room in c("values", "objects", "calls", "fits")) source(file.path(tools, sprintf("fuzz_%s.R", room)))
for (client in c("mice", "recipes")) suppressWarnings(requireNamespace(client, quietly = TRUE)) # they set options
grDevices::pdf(NULL)

# ---- what may happen

# The innermost function of the package that is running; NULL: none is.
package_function <- function() {
  calls <- sys.calls()
  for (i in rev(seq_along(calls))) {
    f <- sys.function(i)
    if (!is.primitive(f) && identical(topenv(environment(f)), asNamespace("varnn"))) return(deparse(calls[[i]][[1]])[1])
  }
  NULL
}

# R's own words for a call that does not fit a function, and errors of code that the caller gave.
rs_own <- paste0("^(argument (\".*\" )?is missing, with no default|unused argument|formal argument|",
                 "argument .* matches multiple|attempt to use zero-length variable name|",
                 "restarting interrupted promise evaluation|class name too long in)")
of_caller <- function(e) {
  inherits(e, "fuzz_own") || grepl("the argument's own error", conditionMessage(e), fixed = TRUE) ||
    grepl(rs_own, conditionMessage(e)) || identical(conditionCall(e)[[1]], quote(mean.default)) ||
    inherits(e, "warning") && identical(conditionCall(e)[[1]], quote(eval)) # of an argument that stands in a call
}

is_own <- function(condition, class) {
  if (kind == "specs") return(!grepl("central differences", conditionMessage(condition)))
  # what graphics says of letters, colours and types of plot that it does not know
  of_graphics <- paste0("conversion failure on|supplied color is|plot type .* will be truncated|",
                        "pch value .* is invalid|font metrics unknown")
  if (grepl(of_graphics, conditionMessage(condition))) return(TRUE)
  runs_code <- kind == "fits" && grepl("evaluated", conditionMessage(condition), fixed = TRUE)
  inherits(condition, class) && !runs_code || of_caller(condition)
}

# Whether a function is running that formulas have: its warnings are the user's.
in_formula <- function() any(vapply(sys.calls(), function(call) identical(call[[1]], quote(survival::Surv)), NA))

# One line for all conditions of one cause.
key_of <- function(condition, what, f) {
  words <- iconv(substr(conditionMessage(condition), 1, 300), sub = "?")
  words <- gsub("[0-9]+([.][0-9]+)?(e[-+]?[0-9]+)?", "#", gsub("[[:space:]]+", " ", words))
  words <- gsub("argument_#", "argument", gsub("'[^']*'|\"[^\"]*\"", "'..'", words), fixed = TRUE)
  sprintf("%s in %s(): %s", what, f, substr(words, 1, 160))
}

session <- function() list(options = options(), folder = getwd(), sinks = sink.number(), device = grDevices::dev.list())
session_before <- session()

# Keys of what is wrong with a call.
observe <- function(run, shows) {
  found <- character()
  note <- function(what, class, condition) {
    f <- package_function()
    if (!is.null(f) && !is_own(condition, class) && !in_formula()) found <<- c(found, key_of(condition, what, f))
    if (shows) {
      frames <- vapply(sys.calls(), function(call) substr(deparse(call)[1], 1, 100), "")
      said <- c(frames, sprintf("%s: %s", what, conditionMessage(condition)))
      writeLines(utils::tail(said, 40), stderr())
    }
    if (what == "warning") invokeRestart("muffleWarning")
  }
  tryCatch(withCallingHandlers(run(), error = function(e) note("error", "varnn_error", e),
                               warning = function(w) note("warning", "varnn_warning", w),
                               message = function(m) invokeRestart("muffleMessage")),
           error = function(e) NULL, interrupt = function(i) found <<- c(found, "an interrupt"))
  after <- session()
  if (!identical(after, session_before)) {
    changed <- names(after)[!mapply(identical, after, session_before)]
    found <- c(found, sprintf("the session changed: %s", toString(changed)))
    options(session_before$options)
    session_before <<- session()
  }
  unique(found)
}

# ---- doing them

# The engine's room sees the helpers of the tests, and these the package's own functions.
engine_room <- function() {
  helpers <- new.env(parent = asNamespace("varnn"))
  sys.source(file.path(tools, "..", "tests", "testthat", "helper-engine.R"), helpers)
  sys.source(file.path(tools, "fuzz_specs.R"), helpers)
  helpers$spec_room()
}
room <- switch(kind, calls = call_room(fuzz_fits()), fits = fit_room(fuzz_fits()), specs = engine_room())
sink(nullfile())
session_before <- session()

one_line <- function(x) substr(gsub("[[:space:]]+", " ", iconv(x, sub = "?")), 1, 1000)

title_of <- function(call) tryCatch(one_line(call$title()), error = function(e) call$where)

# What cannot be prepared is a mistake of this script, not of the package. What needs too much memory is left out, and
# so is what methods of R for the class of a part make impossible.
prepare <- function(i) {
  set.seed(seed + i - 1L)
  tryCatch(suppressWarnings(room$next_call()), error = function(e) {
    if (grepl("memory exhausted|cannot allocate|argument is of length zero", conditionMessage(e)))
      return(list(title = function() "nothing: it needs too much memory", run = function() NULL))
    writeLines(sprintf("seed %d cannot be prepared: %s in %s", seed + i - 1L, conditionMessage(e),
                       deparse(conditionCall(e))[1]), stderr())
    quit(save = "no", status = 3)
  })
}

if (range[2] < range[1]) {
  writeLines(title_of(prepare(range[1])), stderr())
  quit(save = "no")
}
for (i in seq(range[1], range[2])) {
  cat(i, "\n", file = progress)
  call <- prepare(i)
  if (range[1] == range[2]) writeLines(title_of(call), stderr())
  found <- observe(call$run, range[1] == range[2])
  if (length(found)) cat(paste(found, seed + i - 1L, title_of(call), sep = "\t"), sep = "\n", file = findings,
                         append = TRUE)
}
