# Small data, fits of all kinds to them, and the objects that the package's other functions return.

cars <- datasets::mtcars[1:9, c("mpg", "wt", "hp")]
cars$cyl <- factor(datasets::mtcars$cyl[1:9])
cars$manual <- datasets::mtcars$am[1:9] == 1
flowers <- datasets::iris[c(1:3, 51:53, 101:103), ]
counts <- data.frame(n = c(0, 3, 1, 4, 0, 2, 9, 5, 1), good = c(1, 0, 2, 3, 1, 0, 2, 2, 1), bad = c(1, 1, 1, 0, 2, 2,
                                                                                                    0, 1, 0),
                     x = seq_len(9) / 9, z = rep_len(c("u", "v"), 9), stringsAsFactors = TRUE)
gaps <- datasets::airquality[1:9, 1:4]
lasting <- data.frame(time = c(5, 3, 9, 1, 4, 7, 2, 8, 6), died = c(1, 0, 1, 1, 1, 0, 1, 1, 0), x = seq_len(9) / 9,
                      pain = factor(rep_len(c("none", "some", "much"), 9), c("none", "some", "much"), ordered = TRUE))
own_family <- custom_family("own", nll = ~ (y - mu)^2 / exp(s) / 2 + s / 2 + log(2 * pi) / 2, free = "s",
                            draw = function(mu, s) stats::rnorm(length(mu), mu, exp(s / 2)))
numbers <- as.matrix(cars[c("wt", "hp")])

# A function that calls one of the package as a user types it, with more arguments.
typed <- function(name, ...) {
  more <- list(...)
  function(...) eval(as.call(c(as.name(name), as.list(substitute(list(...)))[-1], more)))
}

networks <- function() {
  fit <- typed("fit_nn", epochs = 2)
  list(
    nn = fit(mpg ~ ., cars, hidden = 2, layer_norm = TRUE, dropout = 0.1, validation = 0.3),
    nn_deep = fit(mpg ~ wt + hp, cars, hidden = c(3, 2), activation = c("tanh", "gelu"), penalty = 0.1,
                  weights = rep(1:3, 3)),
    nn_linear = fit_nn(mpg ~ wt + offset(hp / 100), cars, hidden = 0, optimizer = "lbfgs", epochs = 3),
    nn_none = fit_nn(mpg ~ wt - 1, cars, hidden = NULL, epochs = 2),
    nn_classes = fit(Species ~ ., flowers, hidden = 2),
    nn_logical = fit(manual ~ wt, cars, hidden = 2, family = "bernoulli"),
    nn_poisson = fit(n ~ x + z, counts, hidden = 2, family = "poisson", keep_data = TRUE),
    nn_binomial = fit(cbind(good, bad) ~ x, counts, hidden = 0),
    nn_several = fit(cbind(mpg, hp) ~ wt, cars, hidden = 2, precision = "single", optimizer = "momentum"),
    nn_matrix = fit(numbers, cars$mpg, hidden = 2, keep_data = TRUE, rng = "fast"),
    nn_frame = fit(cars[-1], cars$mpg, hidden = 1, optimizer = "adagrad", batch_size = 4),
    nn_time = fit(survival::Surv(time, died) ~ x, lasting, hidden = 2),
    nn_ordered = fit(pain ~ x, lasting, hidden = 2, new_levels = "mean"),
    nn_quantile = fit(mpg ~ cyl, cars, hidden = 0, family = nn_family("quantile", tau = 0.9), new_levels = "na"),
    nn_inflated = fit(n ~ x + z, counts, hidden = 2, family = "zero_inflated_negative_binomial"),
    nn_own = fit(mpg ~ wt, cars, hidden = 2, family = own_family, penalty = ~ abs(w)),
    nn_weighted = fit(Species ~ ., flowers, hidden = 2, weights = "balanced"),
    nn_mixture = fit(mpg ~ wt + hp, cars, hidden = 2, members = 2)
  )
}

bayes_networks <- function() {
  fit <- typed("fit_bayes_nn", epochs = 2, keep_data = TRUE)
  list(
    bayes = fit(mpg ~ ., cars, hidden = 2, posterior = "meanfield"),
    bayes_default = fit(mpg ~ ., cars, hidden = 2, members = 2),
    bayes_linearised = fit(mpg ~ wt, cars, hidden = 2, posterior = "laplace", members = 1),
    bayes_draws = fit(mpg ~ wt, cars, hidden = 2, activation = "tanh", estimator = "weight", mc_samples = 2, kl = "mc"),
    bayes_lowrank = fit(manual ~ wt + hp, cars, hidden = 2, posterior = "lowrank", rank = 2),
    bayes_last = fit(mpg ~ wt, cars, hidden = 2, posterior = "last_layer", sigma = "hetero"),
    bayes_full = fit(cbind(mpg, hp) ~ wt, cars, hidden = 2, posterior = "full", prior = prior_mixture()),
    bayes_classes = fit(Species ~ Sepal.Width, flowers, hidden = 2, prior = prior_laplace()),
    bayes_linear = fit_bayes_nn(numbers, cars$mpg, hidden = 0, posterior = "full", epochs = 2, sigma = 2),
    bayes_rotated = fit(mpg ~ wt + hp, cars, hidden = 0, rotate = TRUE, prior = prior_normal(sd = 2)),
    bayes_time = fit(survival::Surv(time, died) ~ x, lasting, hidden = 2, family = "lognormal", members = 1),
    bayes_ordered = fit(pain ~ x, lasting, hidden = 2),
    bayes_student = fit(mpg ~ wt, cars, hidden = 2, family = nn_family("student_t", df = 4)),
    bayes_gamma = fit(mpg ~ wt, cars, hidden = 2, family = "gamma", posterior = "laplace", members = 1),
    bayes_own = fit(mpg ~ wt, cars, hidden = 2, family = own_family, prior = prior_custom(~ -abs(w) - log(2))),
    bayes_mixture = fit(Species ~ ., flowers, hidden = 2, members = 2, combine = "evidence"),
    bayes_hmc = fit(mpg ~ wt, cars, hidden = 2, posterior = posterior_hmc(draws = 4, warmup = 4), members = 2),
    bayes_dropout = fit(mpg ~ wt, cars, hidden = c(2, 2), posterior = posterior_dropout(0.2, draws = 3)),
    bayes_swag = fit(Species ~ Sepal.Width, flowers, hidden = 2, posterior = posterior_swag(2, 3), members = 2),
    bayes_ivon = fit(mpg ~ wt, cars, hidden = 2, posterior = "ivon")
  )
}

autoencoders <- function() {
  fit <- typed("fit_ae", epochs = 2)
  list(
    ae = fit(~ ., cars, hidden = 3, latent = 2),
    ae_tied = fit(numbers, hidden = c(3, 2), latent = 1, tied = TRUE, noise = 0.1),
    ae_contractive = fit(flowers, hidden = 2, latent = 1, contractive = 0.1, sparsity = 0.1, noise = c(masking = 0.2)),
    ae_linear = fit(numbers, hidden = 0, latent = 1, keep_data = TRUE, validation = 0.3),
    ae_gaps = fit(gaps, hidden = list(encoder = 3, decoder = 2), latent = 1, loss = "huber"),
    ae_counts = fit(counts, hidden = 2, latent = 1, penalty = 0.1, precision = "single")
  )
}

variational_autoencoders <- function() {
  fit <- typed("fit_vae", hidden = 2, epochs = 2)
  list(
    vae = fit(cars, latent = 2, keep_data = TRUE),
    vae_given = fit(mpg + wt ~ cyl + hp, cars, latent = 1),
    vae_each = fit(gaps, latent = 2, sigma = "each", kl = "mc", mc_samples = 2),
    vae_hetero = fit(numbers, latent = 1, sigma = "hetero", free_bits = 0.1, kl_warmup = 1),
    vae_importance = fit(counts, latent = 1, importance = 3, rng = "fast", validation = 0.3),
    vae_fixed = fit(~ wt + hp, cars, latent = 1, sigma = 0.5, beta = 2)
  )
}

fuzz_fits <- function() {
  set.seed(1)
  suppressWarnings(c(networks(), bayes_networks(), autoencoders(), variational_autoencoders()))
}

# Data that suit a fit of this name.
data_of <- function(name) {
  switch(sub("^[^_]*_?", "", name), classes = flowers, poisson = , binomial = , counts = , importance = counts,
         matrix = , tied = , hetero = numbers, contractive = , weighted = flowers, gaps = , each = gaps,
         time = , ordered = lasting, inflated = counts,
         linear = if (startsWith(name, "nn")) cars else numbers,
         mixture = if (startsWith(name, "bayes")) flowers else cars, cars)
}

of_class <- function(fits, class) if (class == "varnn") fits else Filter(function(fit) inherits(fit, class), fits)

# What print() and plot() have methods for, beside fits.
fuzz_results <- function(fits) {
  results <- c(lapply(fits[c("nn", "bayes", "ae", "vae")], summary), list(
    calibration(fits$bayes, draws = 2), compare_pca(fits$ae), check_gradients(fits$nn, cars), nn_control(),
    prior_mixture()))
  stats::setNames(results, rep("", length(results)))
}
