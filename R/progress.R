# What a user sees of long work. Conditions of the package progressr, which shows them as its handlers say: whoever has
# loaded it. Or a bar of the package cli in an interactive session: of a training with `verbose = TRUE`, and of other
# work that takes long.

progress_from <- 2 # seconds of work
progress_every <- 1 / 4 # seconds, at least; the engine calls no more often than that of the processor's time

# A way to show has start(n) and, of what that returns, step(bar, by, words) and end(bar).
progress_ways <- list(
  progressr = list(
    is_used = function(control) "progressr" %in% loadedNamespaces(),
    start = function(n) progressr::progressor(n, label = "varnn", on_exit = FALSE, auto_finish = FALSE),
    step = function(bar, by, words) bar(words, amount = by),
    end = function(bar) bar(type = "finish")
  ),
  cli = list(
    is_used = function(control) {
      isTRUE(control$verbose) && interactive() && requireNamespace("cli", quietly = TRUE)
    },
    start = function(n) {
      cli::cli_progress_bar(format = "{cli::pb_bar} {cli::pb_percent} {cli::pb_status}", total = n,
                            .envir = progress_frame, .auto_close = FALSE)
    },
    step = function(bar, by, words) cli::cli_progress_update(by, status = words, id = bar, .envir = progress_frame),
    end = function(bar) cli::cli_progress_done(bar, .envir = progress_frame)
  )
)

# Where cli keeps its bars: they outlive the calls that make them.
progress_frame <- new.env(parent = baseenv())

# How this training is shown; NULL: not at all.
progress_way <- function(control) {
  for (way in names(progress_ways)) if (progress_ways[[way]]$is_used(control)) return(way)
  NULL
}

# list(show, end, has_bar): show(epoch, row) is called after some epochs of a training, of which row has these columns;
# NULL where nothing is shown. What fails here is not shown any more, and training goes on.
progress_of <- function(control, columns, name = progress_way(control), unit = "epoch", began = NULL) {
  no_bar <- function() FALSE
  if (is.null(name)) return(list(show = NULL, end = no_bar, has_bar = no_bar))
  way <- progress_ways[[name]]
  bar <- NULL
  from <- NULL # the first epoch seen, and when
  shown <- last <- 0
  safely <- function(expr) {
    tryCatch(keep_random(expr), error = function(e) if (is_time_limit(e)) stop(e) else last <<- Inf)
    FALSE
  }
  show <- function(epoch, row) {
    now <- seconds_now()
    if (is.null(from)) from <<- list(epoch = epoch, at = now)
    if (now - last < progress_every) return(FALSE)
    if (!isTRUE(now - (if (is.null(began)) work$began else began) >= progress_from)) return(FALSE)
    last <<- now
    safely({
      if (is.null(bar)) bar <<- way$start(control$epochs)
      words <- progress_words(epoch, control$epochs, stats::setNames(row, columns), now, from, unit)
      way$step(bar, epoch - shown, words)
      shown <<- epoch
    })
  }
  list(show = show, end = function() if (!is.null(bar)) safely(way$end(bar)),
       has_bar = if (name == "cli") function() !is.null(bar) else no_bar)
}

# The values of `f` for each element of x, a vector, while it is shown how many of them are done.
lapply_shown <- function(x, f, unit) {
  shown <- progress_of(list(epochs = length(x), verbose = TRUE), NULL, unit = unit, began = seconds_now())
  if (is.null(shown$show)) return(lapply(x, f))
  on.exit(shown$end())
  lapply(stats::setNames(seq_along(x), names(x)), function(i) {
    value <- f(x[[i]])
    shown$show(i, NULL)
    value
  })
}

progress_words <- function(epoch, epochs, row, now, from, unit = "epoch") {
  losses <- as.list(row)[c("loss", "val_loss")]
  losses <- unlist(losses[vapply(losses, function(loss) isTRUE(is.finite(loss)), NA)])
  left <- if (epoch > from$epoch) (epochs - epoch) * (now - from$at) / (epoch - from$epoch)
  paste(c(sprintf("%s %d of %d", unit, as.integer(epoch), as.integer(epochs)),
          if (length(losses)) paste(names(losses), signif(losses, 5)),
          if (!is.null(left)) paste(time_words(left), "left")), collapse = ", ")
}

# Seconds in words.
time_words <- function(seconds) {
  units <- c(s = 1, min = 60, h = 3600, d = 86400)
  unit <- max(1, which(seconds >= 2 * units & units > 1))
  sprintf("%.0f %s", seconds / units[[unit]], names(units)[unit])
}
