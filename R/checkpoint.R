# Training that goes on where it was stopped: nn_control(checkpoint = ) and continue() of a file.
#
# A training is a program: it computes the same from the same arguments and the same state of R's generator. Its parts
# are numbered as they come, parts of a part too. The journal has the arguments, the state at the beginning, of each
# part that is done its value and the state of the generator after it, and of the engine's run under way where it is
# between two steps. To go on the program is run again: what is done is not done again but returned by the journal.

# The journal of the training under way; NULL: it keeps none. And the files that this process has open.
journals <- new.env(parent = emptyenv())

# The programs: functions of the arguments that a journal has, of which one is `control`.
training_programs <- c("trained_model", "trained_mixture", "trained_vae", "trained_further", "trained_members_further")

# The fit that a program makes; kept where its control says so. What runs inside of another training is a part of it.
kept_training <- function(program, arguments, control = arguments$control) {
  if (is.null(control$checkpoint) || !is.null(journals$now))
    return(keeping_work(fit_or_failure(run_training(program, arguments))))
  if (is_chunked(arguments$train))
    stop_user("`checkpoint` keeps trainings on data in memory, not on chunks(): leave it out.")
  check_generator()
  file <- check_new_checkpoint(control$checkpoint)
  with_journal(new_journal(file, control, list(program = program, arguments = arguments, seed = use_seed(NULL)$seed)))
}

run_training <- function(program, arguments) do.call(program, arguments, quote = TRUE)

# R does not tell all of the state of these.
check_generator <- function() {
  kind <- RNGkind()
  if (kind[1] == "user-supplied" || kind[2] %in% c("Box-Muller", "user-supplied"))
    stop_user(paste("`checkpoint` cannot keep the state of R's generator of random numbers of the kind \"%s\": choose",
                    "another one by RNGkind()."), if (kind[1] == "user-supplied") kind[1] else kind[2])
}

# ---- the journal

new_journal <- function(file, control, of, done = list(), partial = NULL, seen = NULL) {
  every <- if (is.null(control$checkpoint_every)) 60 else control$checkpoint_every
  # of the 16 bytes by which this process is known 8 are random, but not R's: its generator is the training's
  id <- sprintf("%08x%04x%04x", Sys.getpid(), as.integer(as.numeric(Sys.time()) %% 65536), next_number() %% 65536L)
  # packageVersion() answers an error, such as a time limit, by NA: asked here, not in the midst of a training
  head <- list(kind = "varnn checkpoint", version = package_version_words(), where = where_run())
  list2env(list(file = file, every = every, owner = charToRaw(id), seen = seen, head = head, of = of, done = done,
                partial = partial, path = "", n = 0, due_at = 0, is_cut = FALSE, is_warned = FALSE),
           parent = emptyenv())
}

next_number <- function() journals$count <- if (is.null(journals$count)) 1L else journals$count + 1L

seconds_now <- function() proc.time()[["elapsed"]]

is_due <- function(journal) !journal$is_cut && seconds_now() >= journal$due_at

# Runs the program of a journal, from the generator's state that it has.
with_journal <- function(journal) {
  lock <- lock_file(journal$file)
  journals$now <- journal
  on.exit({
    journals$now <- NULL
    unlock_file(lock)
  })
  problem <- keep_journal(journal)
  if (!is.null(problem)) stop_user("`checkpoint`: \"%s\" cannot be written: %s.", journal$file, problem)
  set_generator(journal$of$seed)
  keeping_work(fit_or_failure(kept_part(run_training(journal$of$program, journal$of$arguments))))
}

set_generator <- function(seed) assign(".Random.seed", seed, envir = globalenv())

# The value of an expression that is a part of the training; where the journal has it, that.
kept_part <- function(expr) {
  journal <- journals$now
  if (is.null(journal)) return(expr)
  journal$n <- journal$n + 1
  outside <- list(path = journal$path, n = journal$n)
  key <- paste0(journal$path, "/", journal$n)
  done <- journal$done[[key]]
  if (!is.null(done)) return(done_part(done))
  journal$path <- key
  journal$n <- 0
  on.exit(list2env(outside, journal))
  warnings <- list()
  value <- withCallingHandlers(expr, warning = function(w) warnings <<- c(warnings, list(w)))
  note_part(journal, key, list(value = value, seed = use_seed(NULL)$seed, warnings = warnings))
  value
}

# f(k) for each k, each a part of the training, by several processes as in_parallel() does; NULL for tasks that an
# interrupt or an error has left undone. `alone`: in this process, as callbacks of the user must be.
kept_tasks <- function(x, f, alone = FALSE) {
  safely <- function(k) tryCatch(f(k), error = identity)
  settled <- function(found) {
    if (!inherits(found, "error")) return(found)
    keep_failure(found)
    NULL
  }
  if (alone || workers_at_once() == 1)
    return(lapply(x, function(k) kept_part(if (!was_interrupted()) settled(safely(k)))))
  journal <- journals$now
  at_once <- if (is.null(journal)) length(x) else workers_at_once()
  found <- vector("list", length(x))
  for (some in split(seq_along(x), (seq_along(x) - 1) %/% at_once)) {
    keys <- paste0(journal$path, "/", journal$n + seq_along(some))
    todo <- some[!keys %in% names(journal$done)]
    if (!was_interrupted()) found[todo] <- without_journal(in_parallel(x[todo], safely))
    for (i in some) found[i] <- list(kept_part(settled(found[[i]])))
  }
  stats::setNames(found, names(x))
}

# What is evaluated here is no part of the training by itself, as in a worker, which has no journal.
without_journal <- function(expr) {
  journal <- journals$now
  journals$now <- NULL
  on.exit(journals$now <- journal)
  expr
}

done_part <- function(done) {
  for (w in done$warnings) warning(w)
  set_generator(done$seed)
  done$value
}

# What a user or an error has cut short is not what training would have come to: nothing more is kept. The parts of a
# part that is done are needed no more; of the training that is done not even its arguments.
note_part <- function(journal, key, part) {
  if (was_interrupted()) journal$is_cut <- TRUE
  if (journal$is_cut) return(invisible())
  journal$done[startsWith(as.character(names(journal$done)), paste0(key, "/"))] <- NULL
  journal$done[[key]] <- part
  is_whole <- key == whole_training
  if (is_whole) journal$of["arguments"] <- list(NULL)
  if (is_whole || is_due(journal)) tell_problem(journal, keep_journal(journal))
}

whole_training <- "/1"

# The value of run(keeping, hooks), a call of the engine, which is begun where the journal says.
kept_run <- function(run) {
  journal <- journals$now
  if (is.null(journal)) return(run(NULL, NULL))
  kept_part({
    from <- if (identical(journal$partial$key, journal$path)) journal$partial
    engine_part(journal, run, from)
  })
}

# What the engine calls, as a callback, may train on its own: it is no part of this training.
engine_part <- function(journal, run, from) {
  if (!is.null(from)) {
    set_generator(from$seed)
    journal$partial <- NULL
  }
  key <- journal$path
  keep <- function(kept) {
    kept$history <- kept$history[, seq_len(kept$number[1]), drop = FALSE]
    tell_problem(journal, keep_journal(journal, list(key = key, state = kept, seed = use_seed(NULL)$seed)))
    FALSE
  }
  without_journal(run(list(each = as.integer(journal$every == 0), from = from$state),
                      list(is_due = function() is_due(journal), keep = keep)))
}

# ---- its file

# How long writing may take, as a share of the time.
write_share <- 1 / 20

# NULL, or what went wrong. Nothing is written over what another process has written since.
keep_journal <- function(journal, partial = journal$partial) {
  started <- seconds_now()
  owner <- file_owner(journal$file)
  if (!is.null(owner) && !is.null(journal$seen) && !identical(owner, journal$seen)) {
    journal$is_cut <- TRUE
    return("another process has gone on with it, and this one writes no more to it")
  }
  problem <- keep_in_file(c(journal$head, journal$of, list(done = journal$done, partial = partial)), journal$file,
                          journal$owner)
  if (is.null(problem)) journal$seen <- journal$owner
  if (journal$every > 0) journal$due_at <- seconds_now() + max(journal$every, (seconds_now() - started) / write_share)
  problem
}

tell_problem <- function(journal, problem) {
  if (is.null(problem)) {
    journal$is_warned <- FALSE
  } else if (!journal$is_warned) {
    journal$is_warned <- TRUE
    warn_user("varnn_checkpoint", paste("The training goes on, but is not kept in \"%s\": %s. What was kept there",
                                        "before stays."), journal$file, problem)
  }
}

package_version_words <- function() as.character(utils::packageVersion("varnn"))

# On what results depend by their last digits.
where_run <- function() {
  kernel <- Sys.getenv("VARNN_KERNEL")
  c(R = R.version.string, platform = R.version$platform, kernel = if (nzchar(kernel)) kernel else engine_kernels()[1],
    BLAS = basename(extSoftVersion()[["BLAS"]]), LAPACK = La_version())
}

absolute_file <- function(file) file.path(normalizePath(dirname(file)), basename(file))

# The file of a new training. One that is there already is written over only when its training is done.
check_new_checkpoint <- function(file) {
  file <- absolute_file(check_folder(file, "checkpoint"))
  if (!file.exists(file)) return(file)
  kept <- kept_in_file(file)
  if (!is_checkpoint(kept$value))
    stop_user("`checkpoint`: \"%s\" is there already, and is no checkpoint%s: give another name, or delete it.", file,
              if (isTRUE(kept$is_ours)) ", or is damaged" else "")
  if (is.null(kept$value$done[[whole_training]]))
    stop_user(paste("`checkpoint`: \"%s\" has a training that is not done: go on with it by continue(\"%s\"), or give",
                    "another name, or delete the file."), file, file)
  file
}

# What a file keeps, checked.
read_checkpoint <- function(file) {
  if (!file.exists(file)) stop_user("`object`: there is no file \"%s\".", file)
  kept <- kept_in_file(file)
  x <- kept$value
  if (isTRUE(kept$is_ours))
    stop_user("`object`: the file \"%s\" is damaged: it was cut short or changed after it was written.", file)
  if (!is_checkpoint(x))
    stop_user("`object`: the file \"%s\" is no checkpoint, as nn_control(checkpoint = ) makes them.", file)
  if (!identical(x$version, package_version_words()))
    stop_user("`object`: the file \"%s\" was written by varnn %s, and this is varnn %s: go on with that.", file,
              x$version, package_version_words())
  c(x, list(owner = kept$owner))
}

is_checkpoint <- function(x) {
  is_part <- function(p) every(is.list(p), all(c("value", "seed", "warnings") %in% names(p)), is.integer(p$seed))
  is_run <- function(p) every(is.list(p), is_words(p$key, 1), is.list(p$state), is.integer(p$seed))
  every(is.list(x), identical(x$kind, "varnn checkpoint"), is_words(x$version, 1), are_words(x$where),
        is_words(x$program, 1), x$program %in% training_programs, is.integer(x$seed), is.list(x$done),
        all(vapply(x$done, is_part, NA)), is.null(x$partial) || is_run(x$partial),
        is.list(x$arguments) || !is.null(x$done[[whole_training]]))
}

# ---- one process at a time

# The lock of a file: another file with the number of the process and the name of the machine. The lock of a process
# that is known to be dead, or that nothing is known of, is taken over.
lock_file <- function(file) {
  lock <- paste0(file, ".lock")
  mine <- c(as.character(Sys.getpid()), Sys.info()[["nodename"]])
  now <- tryCatch(suppressWarnings(readLines(lock, 2)), error = function(e) character())
  is_used <- if (identical(now, mine)) lock %in% journals$open
  else length(now) == 2 && now[2] == mine[2] && is_alive(now[1])
  if (is_used)
    stop_user(paste("`checkpoint`: another training uses \"%s\", that of process %s. If there is none, delete the file",
                    "\"%s\"."), file, now[1], lock)
  tryCatch(suppressWarnings(writeLines(mine, lock)), error = function(e) {
    stop_user("`checkpoint`: the folder of \"%s\" cannot be written to.", file)
  })
  journals$open <- c(journals$open, lock)
  lock
}

unlock_file <- function(lock) {
  journals$open <- setdiff(journals$open, lock)
  unlink(lock)
}

# FALSE also where that cannot be told.
is_alive <- function(process) {
  number <- suppressWarnings(as.integer(process))
  if (.Platform$OS.type != "unix" || is.na(number) || number <= 0 || !isTRUE(tools::pskill(number, 0L))) return(FALSE)
  # on Linux: it may be dead, and its parent has not asked how it ended
  stat <- tryCatch(suppressWarnings(readLines(sprintf("/proc/%d/stat", number), 1)), error = function(e) "")
  !any(grepl("\\) [ZX] ", stat))
}

# ---- going on

# What may change while a training is stopped.
goes_on_with <- c("checkpoint_every", "threads", "verbose", "callback")

check_generator_of <- function(seed) {
  # of one number alone R makes a state by the time
  is_right <- length(seed) > 1 && tryCatch(keep_random({
    set_generator(seed)
    stats::runif(1)
    identical(utils::head(use_seed(NULL)$seed, 1), utils::head(seed, 1))
  }), error = function(e) FALSE, warning = function(w) FALSE)
  if (!is_right) stop_user("`object`: the file is damaged: its state of R's generator is none.")
}
