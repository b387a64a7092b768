# What the package asks of families: of a block of responses, or a column, its record; of an argument, a family's name.

record_of <- function(block) {
  if (is_custom(block)) custom_record(block$custom) else family_record(block$family, block$constants)
}
family_record <- function(family, constants = NULL) {
  record <- family_table[[family]]
  if (length(constants)) do.call(record$with, constants, quote = TRUE) else record
}
is_kind <- function(block, kinds) {
  if (is_custom(block)) "number" %in% kinds else isTRUE(record_of(block)$kind %in% kinds)
}

# Whether y is standardised, and eta has its unit.
is_scaled <- function(block) {
  if (is_custom(block)) block$custom$is_scaled else is_kind(block, "number") && record_of(block)$link == "identity"
}

# Which outputs of a block are logs of numbers in the unit of y.
is_log_output <- function(block) {
  rep(!is_custom(block) & startsWith(record_of(block)$parts, "log_"), each = block$n_responses)
}

# Families with two outputs for each response: its mean and the log of its standard deviation.
has_log_sd <- function(block) !is_custom(block) && "log_sd" %in% record_of(block)$parts

# Whether the response is a factor of which each level has a probability of its own.
has_levels <- function(block) is_kind(block, c("levels", "ordered"))

# The mean of y at eta, and its derivatives by the outputs: of some families they depend on the free scalars.
mean_at <- function(block, eta, free) at_free(record_of(block)$mean, eta, free)
slope_at <- function(block, eta, free) at_free(record_of(block)$slope, eta, free)
at_free <- function(f, eta, free) if (length(formals(f)) > 1) f(eta, free) else f(eta)
has_normal_noise <- function(block) !is_custom(block) && !is.null(record_of(block)$sd)
has_sigma <- function(block) !is_custom(block) && identical(record_of(block)$free, "sigma")

# The free scalars of a response of the block, by name, and how many they are.
free_names <- function(block) {
  if (is_custom(block)) return(block$custom$free)
  free <- record_of(block)$free
  if (is.function(free)) free(block) else free
}
n_free <- function(block) length(free_names(block))

# Free scalars as the records' functions take them, from all of a block's, response by response; and those of each.
as_free <- function(block, values) {
  n <- n_free(block)
  if (n < 2) values else matrix(values, n, dimnames = list(free_names(block), NULL))
}
free_of_each <- function(block, free) {
  if (!is.matrix(free)) return(rep_len(free, block$n_responses))
  free[, rep_len(seq_len(ncol(free)), block$n_responses), drop = FALSE]
}

# Of these families those with a sigma as the ones where it depends on x.
with_own_sigma <- function(families) {
  has <- vapply(families, function(f) has_sigma(list(family = f)), NA)
  replace(families, has, vapply(family_table[families[has]], function(r) r$twin, ""))
}

auto_family <- function(y, name = "y") {
  for (family in names(family_table)) if (family_table[[family]]$auto(y)) return(family)
  stop_user("The response `%s` is of class \"%s\": it must be numeric, logical, a factor or character.", name,
            class(y)[1])
}

families_of_kind <- function(kind) names(Filter(function(r) r$kind == kind, family_table))
column_families <- function() names(Filter(function(r) r$for_columns, family_table))

#' A family with numbers of its own
#'
#' Some families have numbers that are given, not learned, as the degrees of freedom of `"student_t"`. `nn_family()`
#' names such a family together with them, for the argument `family` of all models.
#'
#' @param name one of [families()].
#' @param ... numbers of the family, by name.
#' @return A list of class `varnn_family` with the elements `name` and `constants`.
#' @seealso [families()] for the numbers that each family has, [fit_nn()] for `family`.
#' @examples
#' nn_family("student_t", df = 4)
#' nn_family("quantile", tau = c(0.1, 0.5, 0.9))
#' @export
nn_family <- function(name, ...) {
  name <- tryCatch(family_name(name), error = function(e) stop_user("`name`: %s", conditionMessage(e)))
  constants <- list(...)
  if (name == "auto") stop_user("`name` must be the name of a family, and \"auto\" is none.")
  known <- constant_names(name)
  unknown <- if (length(constants)) setdiff(c(names(constants), if (is.null(names(constants))) ""), known)
  if (length(unknown))
    stop_user("The family %s has no number `%s`%s", name, unknown[1],
              if (length(known)) sprintf(": it has %s.", quoted(known)) else ".")
  if (anyDuplicated(names(constants)))
    stop_user("`%s` is given twice.", names(constants)[anyDuplicated(names(constants))])
  constants <- constants[!vapply(constants, is.null, NA)]
  family_record(name, constants)
  structure(list(name = name, constants = lapply(constants, function(x) as.double(plain_numbers(x)))),
            class = "varnn_family")
}

#' @export
print.varnn_family <- function(x, ...) {
  check_standard("print", ...)
  cat(own_family_words(x), if (is_custom(x)) c(": minus the log-likelihood ", x$custom$nll$text), "\n", sep = "")
  invisible(x)
}

# Of what nn_family(), custom_family() and R's own families make.
own_family_words <- function(x) {
  if (is_custom_family(x)) return(custom_of(x)$name)
  words <- constant_words(constants_of(x))
  paste0(family_name(x), if (nzchar(words)) sprintf("(%s)", words))
}

constant_words <- function(constants) {
  of_one <- function(v) {
    v <- vapply(v, format, "", digits = 7)
    paste(if (length(v) > 7) c(v[1:3], "...", v[length(v)]) else v, collapse = ", ")
  }
  paste(names(constants), "=", vapply(constants, of_one, ""), collapse = ", ", recycle0 = TRUE)
}

constant_names <- function(family) {
  with <- family_table[[family]]$with
  if (!is.null(with)) names(formals(with))
}

# The numbers of its own that a family was given, by name, or NULL.
constants_of <- function(family) {
  found <- if (inherits(family, c("varnn_family", "family"))) family$constants
  if (length(found)) found
}

# What a family that a user wrote is made of, or NULL.
is_custom_family <- function(family) {
  every(inherits(family, c("varnn_family", "family")),
        identical(family[[if (inherits(family, "family")) "family" else "name"]], "custom"),
        is_custom_part(family$custom))
}
custom_of <- function(family) if (is_custom_family(family)) family$custom

# The family with these numbers; where `family` names several, those that have such numbers.
family_with <- function(family, ...) {
  given <- list(...)
  given <- given[!vapply(given, is.null, NA)]
  if (!length(given)) return(family)
  refuse <- function() {
    owners <- Filter(function(f) names(given)[1] %in% constant_names(f), families())
    stop_user("`%s` is a number of the family %s, which `family` does not name.", names(given)[1], quoted(owners))
  }
  if (is_custom_family(family) || identical(family, "auto")) refuse()
  with <- function(f) do.call(nn_family, c(list(f), constants_of(f), given), quote = TRUE)
  if (!is_by_name(family)) return(with(family))
  has <- function(f) {
    name <- family_name(f)
    name != "auto" && all(names(given) %in% constant_names(name))
  }
  use <- vapply(family, has, NA)
  if (!any(use)) refuse()
  family <- as.list(family)
  family[use] <- lapply(family[use], with)
  family
}

# The engine's name for a string, a family object or a function that makes one; "auto" stays.
family_name <- function(family) {
  if (is_custom_family(family)) return("custom")
  if (inherits(family, "varnn_family")) family <- family$name
  if (is.function(family)) family <- tryCatch(family(), error = function(e) stop_family(family))
  if (inherits(family, "family")) {
    name <- if (is_word(family$family)) without_alias(family$family)
    if (!is_one_of(name, names(family_table)))
      stop_user("`family` %s is not one of varnn's: use one of %s.", shown(family$family), quoted(families()))
    link <- family_table[[name]]$link
    if (family$link != link)
      stop_user("`family` %s(link = \"%s\") is not available: varnn has it with the link \"%s\".",
                family$family, family$link, link)
    return(name)
  }
  if (!is.character(family) || length(family) != 1 || is.na(family)) stop_family(family)
  check_choice(without_alias(family), c("auto", families()), "family")
}

without_alias <- function(family) {
  for (name in names(family_table)) if (family %in% family_table[[name]]$aliases) return(name)
  family
}

stop_family <- function(family) {
  stop_user("`family` must be \"auto\", a name in families() or a family object such as poisson(), not %s.",
            shown(family))
}
