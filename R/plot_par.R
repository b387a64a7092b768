# The session's graphical parameters: set for a picture, and afterwards as they were, in any layout and also after an
# error.

# Sets parameters until the function that calls it ends.
local_par <- function(...) {
  restore <- par_restorer()
  do.call(on.exit, list(as.call(list(restore)), add = TRUE, after = FALSE), envir = parent.frame())
  graphics::par(...)
}

# What plotting itself moves on, and what restore_region() sees to.
moved_par <- c("usr", "xaxp", "yaxp", "xlog", "ylog", "mfg", "fig", "fin", "pin", "plt", "mfrow", "mfcol", "mar", "mai",
               "oma", "omi", "new", "page")

par_restorer <- function() {
  old <- graphics::par(no.readonly = TRUE)
  region <- region_of(old)
  function() {
    now <- graphics::par(no.readonly = TRUE)
    if (!identical(now$mfrow, old$mfrow)) graphics::par(mfrow = old$mfrow) # which sets cex, too
    now$cex <- graphics::par("cex")
    names <- setdiff(names(old), moved_par)
    changed <- names[!mapply(identical, old[names], now[names])]
    if (length(changed)) graphics::par(old[changed])
    if (now$new && !old$new) graphics::par(new = FALSE)
    restore_region(region, now)
  }
}

# Margins are kept in the unit that they were given in: lines follow cex and mex, inches do not. A region that was set
# by itself (plt, pin) has no margins.
region_of <- function(old) {
  graphics::par(mex = 2 * old$mex)
  is_inner <- isTRUE(all.equal(graphics::par("mai"), old$mai)) && any(old$mai > 0)
  is_outer <- isTRUE(all.equal(graphics::par("omi"), old$omi)) && any(old$omi > 0)
  graphics::par(mex = old$mex)
  by_margins <- c(old$mai[2], old$fin[1] - old$mai[4], old$mai[1], old$fin[2] - old$mai[3]) / old$fin[c(1, 1, 2, 2)]
  list(margins = old[if (is_inner) "mai" else "mar"], outer = old[if (is_outer) "omi" else "oma"],
       plt = if (old$pty == "m" && !isTRUE(all.equal(old$plt, by_margins, tolerance = 1e-6))) old["plt"])
}

# Setting outer margins ends a page: only where they have changed.
restore_region <- function(region, now) {
  if (!identical(region$outer[[1]], now[[names(region$outer)]])) graphics::par(region$outer)
  graphics::par(region$margins)
  if (!is.null(region$plt)) graphics::par(region$plt)
}

# May a picture of several panels have the page for itself? Not in a layout of the user's.
has_own_page <- function() {
  p <- graphics::par("mfrow", "fig", "din", "omi")
  whole <- c(p$omi[2], p$din[1] - p$omi[4], p$omi[1], p$din[2] - p$omi[3]) / p$din[c(1, 1, 2, 2)]
  prod(p$mfrow) == 1 && isTRUE(all.equal(p$fig, whole, tolerance = 1e-6))
}
