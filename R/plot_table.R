# The table of pictures, last, for `applies` has functions of the files before.
#
# A row has `applies` (fit -> can it be drawn?) and the names of the functions `prepare` (fit, where to find data,
# arguments -> what is drawn, all of it computed), `draw` (that, graphical arguments) and `gg` (that -> a ggplot).
# `arguments` names the arguments of plot() that are for it.

plot_table <- list(
  latent = list(applies = has_codes, arguments = c("group", "group_label"), prepare = "latent_picture",
                draw = "draw_latent", gg = "gg_latent"),
  history = list(applies = function(fit) is_mixture(fit) || any(is.finite(fit$history$loss)),
                 prepare = "history_picture", draw = "draw_history", gg = "gg_history"),
  network = list(applies = function(fit) !is_mixture(fit), prepare = "network_of", draw = "draw_network",
                 gg = "gg_network"),
  fit = list(applies = has_response, prepare = "fit_picture", draw = "draw_fit", gg = "gg_fit"),
  effects = list(applies = has_response, arguments = c("variables", "newdata"), prepare = "effects_picture",
                 draw = "draw_effects", gg = "gg_effects"),
  weights = list(applies = function(fit) is_bayes(fit) && !is_mixture(fit) && !is_point(fit$spec),
                 prepare = "weights_picture", draw = "draw_signal", gg = "gg_weights"),
  reconstruction = list(applies = has_codes, arguments = c("dim", "rows"), prepare = "reconstruction_picture",
                        draw = "draw_reconstruction", gg = "gg_fit"),
  grid = list(applies = has_prior, arguments = c("dim", "dims", "newdata"), prepare = "grid_picture",
              draw = "draw_grid", gg = "gg_grid"),
  simulation = list(applies = has_codes, arguments = c("dim", "rows"), prepare = "simulation_picture",
                    draw = "draw_simulation", gg = "gg_simulation")
)
