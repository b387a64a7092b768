# Steps of recipes: codes of autoencoders, and missing entries filled in. All are of class "step_varnn", and differ by
# the rows of recipe_steps.

#' Steps of a recipe: codes of autoencoders, and imputation
#'
#' For the package recipes: `step_ae()` and `step_vae()` replace columns by their codes, as `recipes::step_pca()` does
#' by principal components; `step_impute_vae()` fills missing entries in from their joint distribution.
#'
#' @param recipe a recipe.
#' @param ... selectors of columns, such as `recipes::all_numeric_predictors()`. They may be numeric, logical or
#'   factors, with missing entries.
#' @param role the role of the new columns.
#' @param trained,fit,columns,case_weights what `prep()` fills in.
#' @param latent,hidden,epochs arguments of [fit_ae()] and [fit_vae()]. They can be tuned.
#' @param options a list of more of their arguments, also of those of [nn_control()].
#' @param prefix the new columns have this name and a number.
#' @param keep_original_cols keep the columns that the codes are of?
#' @param skip leave the step out when other data than those of training are baked?
#' @param id a name of the step.
#' @param impute_with selectors of the columns that the model knows beside those that are to be filled in.
#' @param type `"mean"` for the best single guess, or `"draw"` for a draw, as in [impute()].
#' @param seed of the draws that [impute()] takes, so that the same data are filled in alike whenever they are baked.
#' @details `prep()` draws random starts, so that [set.seed()] before it makes a recipe reproducible. Frequency weights
#'   are the `weights` of the fit, importance weights are not used, as in other steps without an outcome. `tidy()` names
#'   the columns. The fit of a prepared recipe is the element `fit` of its step.
#' @return The recipe with one more step. Baked codes are those of [encode()] of that fit.
#' @seealso [encode()], [impute()], [details_mlp_varnn] for networks by parsnip.
#' @examples
#' if (requireNamespace("recipes", quietly = TRUE)) {
#'   recipe <- recipes::recipe(Species ~ ., iris)
#'   recipe <- step_ae(recipe, recipes::all_numeric_predictors(), latent = 2, epochs = 20)
#'   set.seed(1)
#'   recipes::bake(recipes::prep(recipe), iris[1:3, ])
#' }
#' @export
step_ae <- function(recipe, ..., role = "predictor", trained = FALSE, latent = 2, hidden = 32, epochs = NULL,
                    options = list(), prefix = "AE", fit = NULL, columns = NULL, keep_original_cols = FALSE,
                    case_weights = NULL, skip = FALSE, id = recipes::rand_id("ae")) {
  add_varnn_step("ae", as.list(environment()), ...)
}

#' @rdname step_ae
#' @export
step_vae <- function(recipe, ..., role = "predictor", trained = FALSE, latent = 2, hidden = 32, epochs = NULL,
                     options = list(), prefix = "VAE", fit = NULL, columns = NULL, keep_original_cols = FALSE,
                     case_weights = NULL, skip = FALSE, id = recipes::rand_id("vae")) {
  add_varnn_step("vae", as.list(environment()), ...)
}

#' @rdname step_ae
#' @export
step_impute_vae <- function(recipe, ..., role = NA, trained = FALSE, impute_with = recipes::all_predictors(),
                            latent = 2, hidden = 32, epochs = NULL, options = list(), type = "mean",
                            seed = sample.int(1e4, 1), fit = NULL, columns = NULL, case_weights = NULL, skip = FALSE,
                            id = recipes::rand_id("impute_vae")) {
  check_recipe("impute_vae", recipe)
  type <- check_choice(type, c("mean", "draw"), "type")
  seed <- check_seed(seed)
  impute_with <- rlang::enquos(impute_with)
  add_varnn_step("impute_vae", as.list(environment()), ...)
}

# `given` are the arguments of one of these functions, the selectors are in the dots.
add_varnn_step <- function(kind, given, ...) {
  check_step(kind, given)
  step <- c(list(terms = rlang::enquos(...)), given[names(given) != "recipe"])
  step <- do.call(recipes::step, c(list(subclass = kind), step), quote = TRUE)
  recipes::add_step(given$recipe, structure(step, class = append(class(step), "step_varnn", 1)))
}

check_recipe <- function(kind, recipe) {
  check_package("recipes", sprintf("step_%s()", kind))
  if (missing(recipe)) stop_user("`recipe` must be made by recipes::recipe(): it is missing.")
  if (!inherits(recipe, "recipe")) stop_user("`recipe` must be made by recipes::recipe(), not %s.", shown(recipe))
}

check_step <- function(kind, given) {
  check_recipe(kind, given$recipe)
  is_word <- function(x) every(is.character(x), is_plain_vector(x), length(x) == 1, !is.na(x))
  if (!is_word(given$role) && !is.null(given$role) && !identical(given$role, NA))
    stop_user("`role` must be one word or NA, not %s.", shown(given$role))
  for (name in intersect(c("trained", "skip", "keep_original_cols"), names(given))) check_flag(given[[name]], name)
  for (name in intersect(c("prefix", "id"), names(given)))
    if (!is_word(given[[name]])) stop_user("`%s` must be one word, not %s.", name, shown(given[[name]]))
  if (!is.list(given$options) || is.object(given$options))
    stop_user("`options` must be a list of arguments of fit_%s(), not %s.", sub("impute_", "", kind),
              shown(given$options))
}

# ---- what the steps are, by their class

recipe_steps <- list(
  step_ae = list(fit = "fit_ae", title = "Autoencoder codes of ", bake = function(step, new) with_codes(step, new)),
  step_vae = list(fit = "fit_vae", title = "Variational autoencoder codes of ",
                  bake = function(step, new) with_codes(step, new)),
  step_impute_vae = list(fit = "fit_vae", title = "Variational autoencoder imputation of ",
                         bake = function(step, new) with_imputed(step, new))
)

step_record <- function(x) recipe_steps[[class(x)[1]]]

#' @exportS3Method recipes::prep
prep.step_varnn <- function(x, training, info = NULL, ...) {
  x$columns <- unname(recipes::recipes_eval_select(x$terms, training, info))
  weights <- recipes::get_case_weights(info, training)
  x$case_weights <- recipes::are_weights_used(weights, unsupervised = TRUE)
  if (length(x$columns)) {
    with <- if (!is.null(x$impute_with)) unname(recipes::recipes_eval_select(x$impute_with, training, info))
    x$fit <- step_fit(x, as.data.frame(training[union(x$columns, with)]), if (isTRUE(x$case_weights)) weights)
  }
  x$trained <- TRUE
  x
}

# The call of the fit has names in place of the data, so that it stays small.
step_fit <- function(step, columns, weights) {
  given <- step[c("latent", "hidden", "epochs")]
  given <- utils::modifyList(c(given[lengths(given) > 0], list(keep_data = FALSE)), step$options)
  if (!is.null(weights)) weights <- as.double(weights)
  do.call(step_record(step)$fit, c(list(quote(columns), weights = quote(weights)), given))
}

#' @exportS3Method recipes::bake
bake.step_varnn <- function(object, new_data, ...) {
  if (!length(object$columns)) return(new_data)
  step_record(object)$bake(object, new_data)
}

with_codes <- function(step, new) {
  codes <- as.data.frame(encode(step$fit, as.data.frame(new[step_columns(step, new)])))
  codes <- recipes::check_name(codes, new, step) # by the prefix
  if (!step$keep_original_cols) new <- new[setdiff(names(new), step$columns)]
  new[names(codes)] <- codes
  new
}

with_imputed <- function(step, new) {
  state <- use_seed(step$seed)
  on.exit(state$restore())
  filled <- impute(step$fit, as.data.frame(new[step_columns(step, new)]), type = step$type)
  for (name in step$columns) { # a factor keeps the levels that training had not
    gap <- is.na(new[[name]])
    new[[name]][gap] <- if (is.factor(new[[name]])) as.character(filled[[name]][gap]) else filled[[name]][gap]
  }
  new
}

# The columns that the fit reads.
step_columns <- function(step, new) {
  columns <- vapply(step$fit$design$variables, function(c) c$name, "")
  lost <- setdiff(columns, names(new))
  if (length(lost)) stop_user("The data have no column `%s`, which %s() needs.", lost[1], class(step)[1])
  columns
}

#' @export
print.step_varnn <- function(x, width = max(20, options()$width - 30), ...) {
  recipes::print_step(x$columns, x$terms, x$trained, step_record(x)$title, width, case_weights = x$case_weights)
  invisible(x)
}

#' @exportS3Method generics::tidy
tidy.step_varnn <- function(x, ...) {
  terms <- if (x$trained) x$columns else recipes::sel2char(x$terms)
  plain_table(list(terms = terms, id = rep_len(x$id, length(terms))))
}

#' @exportS3Method generics::required_pkgs
required_pkgs.step_varnn <- function(x, ...) "varnn"

#' @exportS3Method generics::tunable
tunable.step_varnn <- function(x, ...) {
  call <- function(fun, ...) list(pkg = "dials", fun = fun, ...)
  tibble::tibble(name = c("latent", "hidden", "epochs"),
                 call_info = list(call("num_comp", range = c(1L, 4L)), call("hidden_units", range = c(4L, 64L)),
                                  call("epochs")),
                 source = "recipe", component = class(x)[1], component_id = x$id)
}
