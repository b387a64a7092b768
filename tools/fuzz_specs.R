# Random specifications into the engine: mostly right ones, some damaged; parameters and data likewise. This is
# evaluated
# after the helpers of the tests of the engine, where the package's own functions are seen.

# A random number of layers of any kinds, then one that fits the responses.
random_layers <- function(n_eta) {
  r <- registry()
  layers <- list()
  for (kind in sample(r$layer, sample(0:5, 1), replace = TRUE)) {
    kinds <- vapply(layers, function(l) l$layer, "")
    if (kind == "latent" && "latent" %in% kinds && chance(0.95)) next
    dense <- which(kinds %in% c("dense", "latent"))
    layers <- c(layers, list(switch(kind, tied = layer("tied", if (length(dense)) one_of(dense) else 1),
                                    contract = layer("contract", setting = stats::runif(1)), random_layer(kind))))
  }
  c(layers, list(layer("dense", n_eta, one_of(c("bias", "none")))))
}

random_spec <- function() {
  r <- registry()
  blocks <- lapply(sample(r$family, sample(3, 1), replace = TRUE), function(family) {
    a_block(family, sample(3, 1) + (family == "categorical"), one_of(r$noise), stats::rnorm(1, 0, 0.5))
  })
  spec <- new_spec(sample(4, 1), random_layers(blocks_eta_rows(blocks)), blocks, has_offset = chance(0.3),
                     penalty = one_of(c(0, 0.2)), posterior = one_of(r$posterior),
                     rank = sample(3, 1), estimator = one_of(r$estimator), kl = one_of(c("exact", "mc")),
                     latent_kl = one_of(c("exact", "mc")),
                     prior = list(kind = "normal", sd = 0.7, share = 0.4, sd2 = 0.1, fan_in = chance(0.3)))
  list(spec = random_prior(spec), blocks = blocks)
}

# The specification with any prior: one of a precision for each weight mostly with weights that are points.
random_prior <- function(spec) {
  prior <- one_of(registry()$prior)
  is_sound <- !inherits(try(spec_layout(spec), silent = TRUE), "try-error")
  if (!is_sound || prior != "by_weight") return(utils::modifyList(spec, list(prior = prior)))
  if (chance(0.9)) spec[c("posterior", "estimator")] <- list(one_of(c("point", "laplace")), "weight")
  with_prior(spec, prior)
}

# A specification, perhaps damaged, and data for what it was before.
random_model <- function() {
  made <- random_spec()
  n <- sample(12, 1)
  n_eta <- blocks_eta_rows(made$blocks)
  y <- do.call(cbind, lapply(made$blocks, a_response, n))
  y[stats::runif(length(y)) < 0.1] <- NaN
  data <- engine_data(matrix(stats::rnorm(n * made$spec$n_x), n), y, weights = if (chance(0.5)) stats::runif(n, 0.2, 2),
                      offset = if (made$spec$has_offset) matrix(stats::rnorm(n * n_eta, 0, 0.3), n),
                      row = if (chance(0.3)) sample.int(n, n, TRUE))
  is_right <- chance(0.5)
  list(spec = if (is_right) made$spec else change(made$spec)[[1]], theta = NULL,
       z = if (chance(0.2)) matrix(stats::rnorm(2 * n), n),
       state = NULL, data = data, is_right = is_right)
}

# The model with parameters; now and then one part is damaged.
with_parameters <- function(model) {
  layout <- tryCatch(spec_layout(model$spec), error = function(e) NULL)
  model$is_right <- model$is_right && !is.null(layout)
  n_par <- if (is.null(layout)) 9 else min(1e6, layout$n_par)
  is_moderate <- !is.null(layout) && layout$n_par < 1e6 && chance(0.8)
  model$theta <- if (is_moderate) a_theta(model$spec) else stats::rnorm(n_par, 0, one_of(c(0, 1, 100, 1e5)))
  if (chance(0.7)) return(model)
  part <- one_of(c("data", "theta", "z"))
  model[part] <- change(model[[part]])
  model$is_right <- FALSE
  model
}

random_control <- function() {
  nn_control(epochs = sample(0:3, 1), batch_size = one_of(c(1, 3, 20)), learn_rate = one_of(c(0.01, 1, 1e5)),
             optimizer = one_of(optimizers()), schedule = one_of(registry()$schedule), precision = one_of(c("double",
                                                                                                            "single")),
             rng = one_of(c("R", "fast")), clip_norm = one_of(c(1, Inf)), threads = one_of(1:2))
}

# What goes into the engine; each is called with a model and a control.
entries <- list(
  layout = function(m, control) engine_layout(m$spec),
  run = function(m, control) {
    engine_run(m$spec, m$theta, m$data, one_of(names(wants)), z = m$z, mode = one_of(names(modes)),
               draws = sample(3, 1), precision = control$precision, rng = control$rng, threads = control$threads)
  },
  gradient = function(m, control) engine_gradient(m$spec, m$theta, m$data, control, mc_samples = sample(2, 1)),
  fit = function(m, control) {
    valid <- if (chance(0.3)) m$data
    engine_fit(m$spec, spec_layout(m$spec), m$data, valid, control, m$theta, m$state, mc_samples = sample(2, 1))
  },
  differences = function(m, control) {
    if (!m$is_right || length(m$theta) > 60 || max(abs(m$theta)) > 5) return(invisible())
    if (m$spec$prior == "empirical" && m$spec$kl_mc) return(invisible()) # the prior's sd is taken as given there
    error <- case_error(m, a_control(4, rng = control$rng))
    if (is.finite(error) && error > 0.01) stop("the gradient is not that of central differences")
  }
)

spec_room <- function() {
  list(next_call = function() {
    model <- random_model()
    control <- random_control()
    entry <- sample(names(entries), 1L, prob = c(1, 4, 3, 4, 0.3))
    fields <- vapply(model$spec, function(x) described(list(x)), "")
    list(title = function() paste0(entry, ": ", paste(names(fields), fields, sep = " = ", collapse = ", ")),
         where = entry, run = function() entries[[entry]](with_parameters(model), control))
  })
}
