# Damaged fits: one to three changes at any depth of a fit, then a method that reads it.

quietly <- function(expr) utils::capture.output(force(expr))

# Methods by the class of the fit that they are for; a fit whose class was changed may meet any.
fit_readers <- function() {
  of_any <- list(
    print = function(fit, data) quietly(print(fit)),
    summary = function(fit, data) quietly(print(summary(fit))),
    predict = function(fit, data) predict(fit, data),
    predicted = function(fit, data) predict(fit),
    coef = function(fit, data) stats::coef(fit),
    fitted = function(fit, data) stats::fitted(fit),
    residuals = function(fit, data) stats::residuals(fit),
    deviance = function(fit, data) stats::deviance(fit),
    logLik = function(fit, data) stats::logLik(fit),
    continue = function(fit, data) continue(fit, 1, data),
    family = function(fit, data) stats::family(fit),
    terms = function(fit, data) stats::terms(fit),
    formula = function(fit, data) stats::formula(fit),
    variable.names = function(fit, data) stats::variable.names(fit),
    df.residual = function(fit, data) stats::df.residual(fit),
    model.frame = function(fit, data) stats::model.frame(fit),
    nobs = function(fit, data) stats::nobs(fit),
    weights = function(fit, data) stats::weights(fit),
    sigma = function(fit, data) stats::sigma(fit),
    simulate = function(fit, data) stats::simulate(fit, 1),
    plot = function(fit, data) plot(fit),
    plot_history = function(fit, data) plot(fit, "history"),
    gradients = function(fit, data) check_gradients(fit, data, rows = 2, parameters = 2),
    AIC = function(fit, data) stats::AIC(fit)
  )
  of_coders <- list(
    encode = function(fit, data) encode(fit, data),
    encoded = function(fit, data) encode(fit),
    decode = function(fit, data) decode(fit, matrix(0.1, 2, 2)),
    decode_one = function(fit, data) decode(fit, matrix(0.1, 2, 1)),
    reconstruct = function(fit, data) reconstruct(fit, data),
    anomaly = function(fit, data) {
      if (inherits(fit, "varnn_vae")) anomaly(fit, data, folds = 1) else anomaly(fit, data)
    },
    compare_pca = function(fit, data) compare_pca(fit, data)
  )
  of_vae <- list(
    elbo = function(fit, data) elbo(fit, data, draws = 2),
    impute = function(fit, data) impute(fit, data, m = 1, k = 2),
    spread = function(fit, data) encode(fit, data, sd = TRUE),
    likelihood = function(fit, data) stats::logLik(fit, data, k = 2),
    plot_grid = function(fit, data) plot(fit, "grid"),
    given = function(fit, data) decode(fit, matrix(0.1, 2, 1), data[1:2, ])
  )
  of_network <- list(
    vcov = function(fit, data) stats::vcov(fit),
    confint = function(fit, data) stats::confint(fit),
    calibration = function(fit, data) calibration(fit),
    link = function(fit, data) predict(fit, data, type = "link")
  )
  of_bayes <- list(
    prediction = function(fit, data) predict(fit, data, interval = "prediction", draws = 3),
    confidence = function(fit, data) predict(fit, data, interval = "confidence", draws = 3),
    epred = function(fit, data) posterior_epred(fit, data, draws = 2),
    draws = function(fit, data) posterior_predict(fit, data, draws = 2),
    log_lik = function(fit, data) log_lik(fit, draws = 2),
    elbo = function(fit, data) elbo(fit, draws = 2),
    matrix = function(fit, data) as.matrix(fit, 2),
    scores = function(fit, data) calibration(fit, draws = 2)
  )
  list(varnn_nn = c(of_any, of_network), varnn_bayes_nn = c(of_any, of_network, of_bayes), varnn_ae = c(of_any,
                                                                                                        of_coders),
       varnn_vae = c(of_any, of_coders, of_vae), varnn_mixture = c(of_any, of_network, of_bayes))
}

fit_room <- function(fits) {
  force(fits)
  readers <- fit_readers()
  list(next_call = function() {
    name <- one_of(names(fits))
    fit <- damaged_fit(fits, name)
    known <- if (chance(0.95)) readers[[class(fits[[name]])[1]]] else unlist(unname(readers), recursive = FALSE)
    # plots take longer than all else
    reader <- sample(names(known), 1L, prob = ifelse(startsWith(names(known), "plot"), 0.2, 1))
    list(title = function() {
      sprintf("%s of a changed fit %s: %s", reader, name, toString(differences(fits[[name]], fit)))
    }, where = reader, run = function() known[[reader]](fit, data_of(name)))
  })
}

# One to three changes; mostly it stays a fit by its class.
damaged_fit <- function(fits, name) {
  fit <- fits[[name]]
  for (i in seq_len(sample.int(3L, 1L, prob = c(0.7, 0.2, 0.1)))) fit <- change(fit, fits)[[1]]
  if (!is.null(fit) && !is.symbol(fit) && !inherits(fit, "varnn") && chance(0.97)) class(fit) <- class(fits[[name]])
  fit
}

# The places where two objects differ.
differences <- function(a, b, at = "fit", depth = 6) {
  if (identical(a, b)) return(character())
  if (!depth || !is.list(a) || !is.list(b)) return(paste0(at, " = ", described(list(b))))
  if (length(a) != length(b) || !identical(names(a), names(b)))
    return(sprintf("%s has other names or length: %s", at, described(list(names(b)))))
  keys <- if (is.null(names(a))) paste0("[[", seq_along(a), "]]") else paste0("$", names(a))
  inner <- unlist(Map(differences, unclass(a), unclass(b), paste0(at, keys), depth - 1))
  if (length(inner)) unname(inner) else paste("attributes of", at)
}
