# Families that users write: minus the log-likelihood is a program, the other parts are functions of R. A block of such
# a family has them as `custom`: name, nll and mean (programs), eta and free (names), link, is_scaled, start, and of
# draw, deviance, quantile, cdf and variance those that were given.

#' A family of your own
#'
#' A likelihood that you write, for the argument `family` of [fit_nn()] and [fit_bayes_nn()] and, of numeric columns, of
#' [fit_ae()] and [fit_vae()]. The engine differentiates it, and trains as fast as with a family of its own.
#'
#' @param name what the family is called.
#' @param nll minus the log-likelihood of one observation, as a formula in y, the outputs and the free scalars, or a
#'   function of them in this order. What it may use is told in [activations()].
#' @param eta names of the network's outputs for a response, from the first.
#' @param free names of scalars that are learned and do not depend on x, such as the log of a scale; `NULL` for none.
#'   They may be any numbers: a scale that must be above 0 is written as `exp(log_scale)`.
#' @param mean the mean of y (or what else [predict()] is to give), as a formula in the outputs and the free scalars,
#'   such as `~ exp(mu + exp(2 * log_s) / 2)`, or a function of the outputs, or of these and then the free scalars; by
#'   default the first output.
#' @param draw,deviance,quantile,cdf,variance functions of vectors, whose arguments have the names of the outputs and
#'   the free scalars: `draw` of these gives a random y for each, `variance` the variance of y (like all parts, of the
#'   standardised y if `scaled`), `deviance` of `y` and these twice the log-likelihood lost against a perfect fit,
#'   `quantile` of `p` and these, `cdf` of `q` and these. What needs a part that is not given says so: [simulate()],
#'   [posterior_predict()] and intervals of predictions need `draw`, residuals of type `"deviance"` and autoencoders
#'   `deviance`.
#' @param start numbers at which the outputs and the free scalars start, by name. Those that are not given start where
#'   the likelihood of a constant is greatest.
#' @param scaled standardise y? Then `nll` and all other parts are of the standardised y, whose mean is 0 and standard
#'   deviation 1; the unit of y is that of the first output; predictions, the log-likelihood and the history are those
#'   of y itself. It suits families of any numbers with a location and a scale.
#' @details
#' `nll` must be minus the log of a density of y, or of the probability of whole numbers, constants included: the
#' log-likelihood and the evidence are made of it. Before training it is evaluated at the start, where it must be a
#' number for every y, and a warning says so where it is no density, because it does not integrate (or sum) to 1.
#'
#' With `posterior = "laplace"` the curvature of the likelihood is that of `nll` in the outputs; its negative parts
#' count as 0. Missing y add nothing, weights and offsets (of the first output) mean what they mean for other families.
#' @return A list of class `varnn_family`.
#' @seealso [families()] for those that are there, [prior_custom()] and `penalty` of [fit_nn()] for other programs.
#' @examples
#' laplace <- custom_family("laplace", nll = ~ log(2) + log_s + abs(y - mu) / exp(log_s),
#'                          eta = "mu", free = "log_s", scaled = TRUE)
#' laplace
#' set.seed(1)
#' fit_nn(mpg ~ wt + hp, mtcars, hidden = 4, family = laplace, epochs = 50)
#' @export
custom_family <- function(name, nll, eta = "mu", free = NULL, mean = NULL, draw = NULL, deviance = NULL,
                          quantile = NULL, cdf = NULL, variance = NULL, start = NULL, scaled = FALSE) {
  if (missing(name)) name <- NULL
  if (!every(is.character(name), length(name) == 1, !is.na(name), nzchar(name)))
    stop_user("`name` must be what the family is called, a string, not %s.", shown(name))
  if (missing(nll) || !is_program_source(nll))
    stop_user("`nll` must be a formula, as ~ (y - mu)^2 / 2 + log(2 * pi) / 2, or a function, not %s.",
              if (missing(nll)) "missing" else shown(nll))
  eta <- check_scalar_names(eta, "eta", "y")
  if (!length(eta)) stop_user("`eta` must have the name of an output.")
  free <- check_scalar_names(free, "free", c("y", eta))
  arguments <- c("y", eta, free)
  if (length(arguments) > 8) stop_user("`nll` has %d arguments, and a program has 8 at most.", length(arguments))
  nll <- as_program(nll, arguments, "nll")
  if (!all(seq_along(arguments)[-1] %in% nll$a[nll$op == "argument"]))
    stop_user("`nll` = %s: it does not depend on all of %s.", shortened(nll$text), words_of(arguments[-1]))
  if (is.null(mean)) mean <- stats::reformulate(eta[1], env = baseenv())
  if (!is_program_source(mean)) stop_user("`mean` must be a formula or a function, not %s.", shown(mean))
  is_of_eta <- is.function(mean) && length(formals(mean)) != length(eta) + length(free)
  mean <- as_program(mean, if (is_of_eta) eta else c(eta, free), "mean")
  if (!1L %in% mean$a[mean$op == "argument"]) stop_user("`mean` = %s: it does not depend on %s.", shortened(mean$text),
                                                       eta[1])
  parts <- list(draw = draw, deviance = deviance, quantile = quantile, cdf = cdf, variance = variance)
  parts <- parts[!vapply(parts, is.null, NA)]
  for (part in names(parts)) check_part(parts[[part]], part, c(eta, free))
  custom <- c(list(name = name, nll = nll, mean = mean, eta = eta, free = free, start = check_start(start, eta, free),
                   is_scaled = check_flag(scaled, "scaled")), parts)
  structure(list(name = "custom", constants = NULL, custom = custom), class = "varnn_family")
}

check_scalar_names <- function(x, what, others) {
  if (is.null(x)) return(character())
  if (!every(is.character(x), !anyNA(x), all(validUTF8(x)), all(make.names(x) == x)))
    stop_user("`%s` must have names of variables, not %s.", what, shown(x))
  if (anyDuplicated(c(others, x))) stop_user("`%s` has `%s`, which is there already.", what,
                                             c(others, x)[anyDuplicated(c(others, x))])
  as.vector(x)
}

# What comes before the outputs and free scalars among the arguments of a part.
part_arguments <- list(draw = character(), deviance = "y", quantile = "p", cdf = "q", variance = character())

check_part <- function(f, part, scalars) {
  wanted <- c(part_arguments[[part]], scalars)
  if (!is.function(f) || !setequal(names(formals(f)), wanted))
    stop_user("`%s` must be a function of %s, not %s.", part, words_of(wanted), of_arguments(f))
}

# What was given in place of a function of other arguments.
of_arguments <- function(f) {
  if (!is.function(f)) return(shown(f))
  if (length(formals(f))) paste("of", words_of(names(formals(f)))) else "one without arguments"
}

check_start <- function(start, eta, free) {
  if (is.null(start)) return(NULL)
  names <- if (is.null(names(start)) && length(start) == length(eta)) eta else names(start)
  value <- plain_numbers(start)
  if (!every(length(value) == length(start), all(is.finite(value)), length(names) == length(value),
             all(names %in% c(eta, free)), !anyDuplicated(names)))
    stop_user("`start` must be numbers with names among %s, not %s.", words_of(c(eta, free)), shown(start))
  stats::setNames(as.double(value), names)
}

is_custom <- function(block) !is.null(block$custom)
family_label <- function(block) if (is_custom(block)) block$custom$name else block$family

# ---- the record

# A matrix for each output and free scalar, from those of a block; like the first.
custom_scalars <- function(custom, eta, free) {
  k <- ncol(eta) / length(custom$eta)
  of_eta <- if (k == ncol(eta)) list(eta)
  else lapply(seq_along(custom$eta), function(e) eta[, (e - 1) * k + seq_len(k), drop = FALSE])
  if (!is.matrix(free)) free <- matrix(if (length(custom$free)) free else numeric(), length(custom$free))
  of_free <- lapply(seq_along(custom$free), function(m) by_column(free[m, ], of_eta[[1]]))
  stats::setNames(c(of_eta, of_free), c(custom$eta, custom$free))
}

# What a part that the user gave finds at n numbers, or one for all, of each of its arguments. It is a function of
# vectors, of which it gets pieces: what it makes of millions at a time costs more in fresh memory than in arithmetic.
part_values <- function(custom, part, at, n, piece = 2^15) {
  out <- numeric(n)
  for (first in seq(1, by = piece, length.out = ceiling(n / piece))) {
    i <- first:min(first + piece - 1, n)
    out[i] <- piece_values(custom, part, lapply(at, function(v) if (length(v) == 1) v else v[i]), length(i))
  }
  out
}

piece_values <- function(custom, part, at, n) {
  found <- do.call(custom[[part]], at)
  if (!is.numeric(found) || !length(found) %in% c(1, n))
    stop_user("`%s` of custom_family(\"%s\") must give a number for each row, not %s.", part, custom$name,
              shown(found))
  found <- as.double(found)
  if (part == "variance" && any(found <= 0, na.rm = TRUE))
    stop_user("`variance` of custom_family(\"%s\") must give numbers above 0, not %s.", custom$name,
              shown(found[which(found <= 0)[1]]))
  found
}

custom_record <- function(custom) {
  scalars <- function(eta, free) custom_scalars(custom, eta, free)
  of_part <- function(part, first = NULL) {
    if (is.null(custom[[part]])) return(function(eta, free) needs_part(custom, part))
    function(eta, free) {
      at <- scalars(eta, free)
      found <- part_values(custom, part, c(first, at), length(at[[1]]))
      dim(found) <- dim(at[[1]]) # without a copy
      found
    }
  }
  parts <- list(
    kind = "number", accepts = function(y) is.numeric(y) || is.logical(y), what = "numeric",
    link = if (custom$is_scaled) "identity" else "own",
    start = function(y, w) custom_start(custom, y, w)$eta,
    start_free = if (length(custom$free)) function(y, w) custom_start(custom, y, w)$free,
    draw = of_part("draw"), variance = of_part("variance"),
    deviance = function(y, eta, free) {
      if (is.null(custom$deviance)) needs_part(custom, "deviance")
      of_part("deviance", list(y = y))(eta, free)
    },
    nll = function(y, eta, free) like_matrix(custom_nll(custom, y, scalars(eta, free)), y),
    mean = function(eta, free) custom_mean(custom, eta, free),
    slope = function(eta, free) custom_slope(custom, eta, free),
    information = remembered_information(custom), joins = length(custom$free) > 0,
    cdf = if (!is.null(custom$cdf)) function(q, eta, free) of_part("cdf", list(q = q))(eta, free),
    quantile = if (!is.null(custom$quantile)) function(p, eta, free) of_part("quantile", list(p = p))(eta, free),
    over = function(eta, w, free, own) custom_over(custom, eta, w, free, own),
    parts = c("mean", custom$eta[-1]), free = if (length(custom$free)) custom$free,
    noise = if (length(custom$free)) "each" else "fixed"
  )
  missing <- setdiff(names(family_slots), names(parts))
  c(parts, family_defaults[missing])[names(family_slots)]
}

# What a user called that needs a part which the family has not.
needs_part <- function(custom, part) {
  known <- c(getNamespaceExports("varnn"), "simulate", "residuals", "predict", "summary", "plot", "deviance")
  head_of <- function(call) utils::tail(as.character(call[1]), 1)
  called <- sub("\\..*$", "", sub("^.*::", "", vapply(sys.calls(), head_of, "")))
  called <- called[called %in% known]
  stop_user("%s needs the part `%s` of custom_family(\"%s\").",
            if (length(called)) paste0(called[1], "()") else "This", part, custom$name)
}

custom_nll <- function(custom, y, scalars) {
  at <- do.call(cbind, lapply(c(list(y), scalars), as.vector))
  run_program(custom$nll, at)$value
}

# The program of the mean at outputs and free scalars, which are a list of matrices.
run_mean <- function(custom, scalars) {
  run_program(custom$mean, do.call(cbind, lapply(scalars[custom$mean$arguments], as.vector)))
}

custom_mean <- function(custom, eta, free) {
  at <- custom_scalars(custom, eta, free)
  like_matrix(run_mean(custom, at)$value, at[[1]])
}

# The derivatives of each mean by its outputs, in the shape of eta.
custom_slope <- function(custom, eta, free) {
  slope <- run_mean(custom, custom_scalars(custom, eta, free))$slope
  like_matrix(slope[, seq_along(custom$eta)], eta)
}

# Whether the mean of y at given outputs depends on free scalars.
mean_needs_free <- function(block) {
  mean <- block$custom$mean
  any(mean$a[mean$op == "argument"] > length(block$custom$eta))
}

# The eta whose mean is the mean over draws, of the free scalars `own` of each draw or of `free`: of the mean eta the
# first output is moved, by Newton's method.
custom_over <- function(custom, eta, w, free, own = NULL) {
  d <- dim(eta)
  k <- d[2] / length(custom$eta)
  mean <- if (is.null(own)) custom_mean(custom, draws_in_rows(eta), free)
  else do.call(rbind, lapply(seq_len(d[3]), function(j) custom_mean(custom, matrix(eta[, , j], d[1]), own[[j]])))
  target <- means_over(aperm(array(mean, c(d[1], d[3], k)), c(1, 3, 2)), w)
  out <- means_over(eta, w)
  for (step in 1:50) {
    found <- run_mean(custom, custom_scalars(custom, out, free))
    move <- (as.vector(target) - found$value) / found$slope[, 1]
    move[!is.finite(move)] <- 0
    before <- out[, seq_len(k)]
    out[, seq_len(k)] <- before + pmin(pmax(move, -2), 2)
    if (all(abs(move) < 1e-13 * (1 + abs(before)))) break
  }
  out
}

# The record's `information`; of a part it is found once, and asked for output by output.
remembered_information <- function(custom) {
  last <- NULL
  found <- NULL
  function(part, i, j) {
    if (!identical(last, part)) {
      last <<- part
      found <<- custom_information(custom, part, custom_scalars(custom, part$eta, part$free))
    }
    k <- ncol(part$eta) / length(custom$eta)
    if ((i - j) %% k == 0) found[[(i - 1) %% k + 1]][, (i - 1) %/% k + 1, (j - 1) %/% k + 1]
  }
}

# The derivatives of `nll` at each row in the outputs and free scalars, as differences() has them.
custom_derivatives <- function(part) {
  custom <- part$block$custom
  at <- cbind(part$y, do.call(cbind, custom_scalars(custom, part$eta, part$free)))
  of <- seq_along(c(custom$eta, custom$free))
  second <- second_slopes(custom$nll, at, 1 + of)
  second[!is.finite(second)] <- 0
  first <- run_program(custom$nll, at)$slope[, 1 + of, drop = FALSE]
  first[!is.finite(first)] <- 0
  list(first = first, second = second)
}

# Of each response the curvature in the outputs [rows, outputs, outputs], its negative parts 0.
custom_information <- function(custom, part, scalars) {
  k <- length(custom$eta)
  lapply(seq_len(ncol(scalars[[1]])), function(j) {
    at <- cbind(part$y[, j], do.call(cbind, lapply(scalars, function(s) s[, j])))
    a <- second_slopes(custom$nll, at, 1 + seq_len(k))
    a[!is.finite(a)] <- 0
    if (k == 1) return(pmax(a, 0))
    for (i in seq_len(nrow(at))) {
      e <- eigen((a[i, , ] + t(a[i, , ])) / 2, symmetric = TRUE)
      if (any(e$values < 0)) a[i, , ] <- e$vectors %*% (pmax(e$values, 0) * t(e$vectors))
    }
    a
  })
}

# ---- the start

# Where the likelihood of constant outputs and free scalars is greatest, or as the family says: list(eta, free), of each
# response, as theta has them. Of many columns some rows are enough.
custom_start <- function(custom, y, w) {
  most <- max(200, round(20000 / ncol(y)))
  if (ncol(y) > 1 && nrow(y) > most) {
    rows <- round(seq(1, nrow(y), length.out = most))
    y <- y[rows, , drop = FALSE]
    w <- w[rows]
  }
  found <- constant_models(custom, y, w)
  of_eta <- seq_along(custom$eta)
  list(eta = as.vector(t(found[of_eta, , drop = FALSE])), free = found[-of_eta, , drop = FALSE])
}

# The same of each column of y [scalars, columns]: Newton's method from 0, with steps that are shortened until the
# likelihood rises. A missing y counts as another one without weight.
constant_models <- function(custom, y, w) {
  names <- c(custom$eta, custom$free)
  x <- matrix(0, length(names), ncol(y), dimnames = list(names, NULL))
  x[names(custom$start), ] <- custom$start
  open <- which(!names %in% names(custom$start))
  share <- matrix(w, nrow(y), ncol(y)) * !is.na(y)
  share <- share / by_column(pmax(colSums(share), 1e-300), share)
  present <- apply(y, 2, function(v) v[!is.na(v)][1])
  y[is.na(y)] <- by_column(present, y)[is.na(y)]
  run <- function(program, x) {
    run_program(program, cbind(as.vector(y), t(x)[rep(seq_len(ncol(y)), each = nrow(y)), , drop = FALSE]))
  }
  sums <- function(v) colSums(share * v)
  slope_of <- function(program, x) {
    slope <- run(program, x)$slope
    matrix(vapply(1 + open, function(k) sums(slope[, k]), numeric(ncol(y))), ncol(y))
  }
  model <- list(value = function(x) sums(run(custom$nll, x)$value), slope = function(x) slope_of(custom$nll, x))
  seconds <- tryCatch(lapply(1 + open, function(k) slope_program(custom$nll, k)), varnn_error = function(e) NULL)
  if (!is.null(seconds))
    model$curvature <- function(x) array(unlist(lapply(seconds, slope_of, x)), c(ncol(y), length(open), length(open)))
  if (length(open)) newton(x, open, model) else x
}

# The least value of a model of each column of x, in its rows `open`.
newton <- function(x, open, model) {
  now <- model$value(x)
  for (step in 1:200) {
    slope <- model$slope(x)
    curvature <- if (!is.null(model$curvature)) model$curvature(x)
    move <- matrix(vapply(seq_len(ncol(x)), function(j) newton_step(slope[j, ], curvature[j, , ]),
                          numeric(length(open))), length(open))
    downhill <- colSums(t(slope) * move)
    is_open <- is.finite(downhill) & downhill < 0 & is.finite(now)
    before <- x
    share <- pmin(1, 5 / apply(abs(move), 2, max))
    for (half in 1:30) {
      if (!any(is_open)) break
      to <- x
      to[open, is_open] <- x[open, is_open] + by_column(share, move)[, is_open] * move[, is_open]
      then <- model$value(to)
      takes <- is_open & is.finite(then) & then <= now + 1e-4 * share * downhill
      x[, takes] <- to[, takes]
      now[takes] <- then[takes]
      is_open <- is_open & !takes
      share <- share / 2
    }
    if (max(abs(x - before)) < 1e-13) break
  }
  x
}

newton_step <- function(slope, curvature) {
  if (is.null(curvature) || !all(is.finite(c(slope, curvature)))) return(-slope)
  if (length(slope) == 1) return(-slope / max(abs(curvature), 1e-8))
  e <- eigen(matrix(curvature, length(slope)), symmetric = TRUE)
  -drop(e$vectors %*% (crossprod(e$vectors, slope) / pmax(abs(e$values), 1e-8)))
}

# Whether the likelihood is a number at the start, and is one.
check_likelihood <- function(block, y, w) {
  custom <- block$custom
  fail <- function(...) stop_user("`nll` = %s: %s", shortened(custom$nll$text), said(...))
  use <- !is.na(y) & w > 0
  if (sum(use) > 10000) use[which(use)[-round(seq(1, sum(use), length.out = 10000))]] <- FALSE
  y <- y[use]
  x <- constant_models(custom, matrix(y), w[use])[, 1]
  at <- function(y) by_column(x, matrix(0, length(y), length(x)))
  density <- function(y) exp(-run_program(custom$nll, cbind(y, at(y)))$value)
  nll <- -log(density(y))
  bad <- which(!is.finite(nll))[1]
  where <- paste(c(custom$eta, custom$free), "=", format(x, digits = 3), collapse = ", ")
  if (!is.na(bad)) fail("it is %s at y = %s, %s.", format(nll[bad]), format(y[bad]), where)
  found <- likelihood_totals(density, y)
  if (!is_likelihood(found))
    warn_user("varnn_density", paste("`nll` = %s: exp(-nll) %s at %s, not to 1: it is no likelihood, and the",
                                     "log-likelihood means nothing."),
              shortened(custom$nll$text), totals_words(found), where)
}

# A density of whole numbers integrates to 1 as exactly as it is computed. The integral of a probability, which has no
# meaning, is near 1 by chance.
is_likelihood <- function(found) {
  is_one <- function(total, tolerance) any(abs(total - 1) <= tolerance)
  is_one(found$sums, 0.02) || is_one(found$integrals, if (length(found$sums)) 0.002 else 0.02)
}

totals_words <- function(found) {
  number <- function(total) if (length(total)) format(total, digits = 3) else "no number"
  nearest <- found$integrals[which.min(abs(found$integrals - 1))]
  if (!length(found$sums)) return(sprintf("integrates to %s over y", number(nearest)))
  sprintf("sums to %s over whole numbers, and integrates to %s over y", number(found$sums[1]), number(nearest))
}

# What a density of y integrates to over all numbers, those above 0, or within 0 and 1, as y has them; of whole numbers
# also the sums, that over all of them first.
likelihood_totals <- function(density, y) {
  value <- function(y) replace(d <- density(y), is.nan(d), 0)
  unit <- max(stats::sd(y), 1e-8 * abs(mean(y)), 1e-100, na.rm = TRUE)
  t <- seq(-20, 20, length.out = 40001)
  whole <- value(mean(y) + unit * sinh(t)) * unit * cosh(t)
  out <- sum(whole) * 1e-3
  if (all(y >= 0)) out <- c(out, sum(value(unit * exp(2 * t)) * unit * exp(2 * t)) * 2e-3)
  if (all(y >= 0 & y <= 1)) out <- c(out, sum(value((seq_len(1e5) - 0.5) / 1e5)) / 1e5)
  sums <- if (all(y == round(y)) && max(abs(y)) < 1e6) {
    most <- max(abs(y)) + ceiling(100 * unit) + 1000
    all <- c(sum(value(0:most)), sum(value(-most:most)))
    c(if (all(y >= 0)) all else rev(all), sum(value(0:max(y))), sum(value(sort(unique(y)))))
  }
  list(integrals = out[is.finite(out)], sums = sums[is.finite(sums)])
}

# ---- whether a fit has it as it was made

is_custom_part <- function(x) {
  known <- c("name", "nll", "mean", "eta", "free", "start", "is_scaled", names(part_arguments))
  every(is.list(x), is_bare(x, "names"), all(names(x) %in% known), !anyDuplicated(names(x)), is_words(x$name, 1),
        is_sound_program(x$nll), is_sound_program(x$mean), are_words(x$eta), length(x$eta) >= 1, are_words(x$free),
        identical(x$nll$arguments, c("y", x$eta, x$free)), is_flag(x$is_scaled),
        identical(x$mean$arguments, x$eta) || identical(x$mean$arguments, c(x$eta, x$free)),
        is.null(x$start) || is_finite_vector(x$start, length(x$start), "names"),
        all(names(x$start) %in% c(x$eta, x$free)),
        all(vapply(x[intersect(names(x), names(part_arguments))], is.function, NA)))
}
