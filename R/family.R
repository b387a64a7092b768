# What the package asks of families: of a block of responses, or a column, its record; of an argument, a family's name.

record_of <- function(block) family_table[[block$family]]
link_of <- function(block) links[[record_of(block)$link]]
is_kind <- function(block, kinds) isTRUE(record_of(block)$kind %in% kinds)

# Whether y is standardised, and eta has its unit.
is_scaled <- function(block) is_kind(block, "number") && record_of(block)$link == "identity"

# Families with two outputs for each response: its mean and the log of its standard deviation.
has_log_sd <- function(block) "log_sd" %in% record_of(block)$parts
has_normal_noise <- function(block) !is.null(record_of(block)$sd)
has_sigma <- function(block) identical(record_of(block)$free, "sigma")

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

column_families <- function() names(Filter(function(r) r$for_columns, family_table))

# The engine's name for a string, a family object or a function that makes one; "auto" stays.
family_name <- function(family) {
  if (is.function(family)) family <- tryCatch(family(), error = function(e) stop_family(family))
  if (inherits(family, "family")) {
    if (!is_one_of(family$family, names(family_table)))
      stop_user("`family` %s is not one of varnn's: use one of %s.", shown(family$family), quoted(families()))
    link <- record_of(family)$link
    if (family$link != link)
      stop_user("`family` %s(link = \"%s\") is not available: varnn has it with the link \"%s\".",
                family$family, family$link, link)
    return(family$family)
  }
  if (!is.character(family) || length(family) != 1 || is.na(family)) stop_family(family)
  for (name in names(family_table)) if (family %in% family_table[[name]]$aliases) return(name)
  check_choice(family, c("auto", families()), "family")
}

stop_family <- function(family) {
  stop_user("`family` must be \"auto\", a name in families() or a family object such as poisson(), not %s.",
            shown(family))
}
