# The names in the engine's tables: there is no second list of them.

registry <- function() .Call(C_registry)

#' Names of activations, families and optimizers
#'
#' What the arguments `activation`, `family` and `optimizer` accept, as the engine lists it.
#'
#' @return A character vector of names.
#' @examples
#' activations()
#' families()
#' optimizers()
#' @export
activations <- function() registry()$activation

#' @rdname activations
#' @export
families <- function() registry()$family

#' @rdname activations
#' @export
optimizers <- function() registry()$optimizer
