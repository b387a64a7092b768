# Draws, at a size in inches, where nobody sees it.
drawn <- function(expr, width = 7, height = 5) {
  grDevices::pdf(NULL, width, height)
  on.exit(grDevices::dev.off())
  force(expr)
}

# What a picture was drawn by: the calls of one of graphics' C functions ("C_mtext", "C_title", ...) on its device, as
# lists of arguments.
drawn_by <- function(expr, name, width = 7, height = 5) {
  grDevices::pdf(NULL, width, height)
  on.exit(grDevices::dev.off())
  grDevices::dev.control("enable")
  force(expr)
  calls <- lapply(grDevices::recordPlot()[[1]], function(call) as.list(call[[2]]))
  lapply(Filter(function(call) identical(call[[1]]$name, name), calls), `[`, -1)
}

# The graphical parameters that a picture has to leave as they are.
settings_of <- function() {
  graphics::par("mar", "mai", "oma", "mfrow", "xpd", "mgp", "las", "cex", "pty", "new", "ann", "bg")
}
