# The packages that varnn uses where they are installed, and how old they may be.

# The first versions with what is called of them; of other packages any version will do.
oldest_packages <- c(
  ggplot2 = "3.4.0", # widths of lines
  loo = "2.2.0", # draws that are not of the posterior
  mlr3 = "1.0.0", # weights that are a learner's
  parsnip = "1.3.0", # quantiles; the engines do with older ones
  recipes = "1.0.0" # case weights
)

# That a package is there, and not too old for `what`.
check_package <- function(package, what, version = installed_version(package)) {
  if (is.null(version)) stop_user("%s needs the package %s.", what, package)
  oldest <- oldest_packages[package]
  if (!is.na(oldest) && version < oldest)
    stop_user("%s needs %s %s or later; %s is installed.", what, package, oldest, format(version))
}

installed_version <- function(package) {
  if (requireNamespace(package, quietly = TRUE)) utils::packageVersion(package)
}
