# Margins: which values a numeric column has, learned apart from how columns hang together.
#
# A margin maps the values v of a column to scores u that are standard normal over the training data. It is a list:
# x, values that do not decrease, u, their scores, slope, du/dv there; low and high, the limits of the column; step, of
# the grid that its values are on, or 0; sd, the standard deviation of v; shift, the mean over the training data of
# log phi(u) - log f(v), where phi is the standard normal density and f that of the column;
# repeats: are there values on the grid that are far more frequent than others near them?
# Between two knots u is a rational quadratic (Gregory and Delbourgo 1982), beyond the outer ones linear or a logarithm
# that ends at a limit. Two knots of the same x are a value with mass, whose scores are all between their u.
# A value on a grid, or with mass, has an interval of scores. f(v) is its probability (over the step of the grid).

# ---- a margin from data

# NULL where a column is constant. Rows of weight 0 do not count.
new_margin <- function(v, w = NULL) {
  w <- if (is.null(w)) rep(1, length(v)) else w
  there <- !is.na(v) & w > 0
  x <- sort(unique(v[there]))
  if (length(x) < 2) return(NULL)
  which <- match(v[there], x)
  table <- list(x = x, share = as.vector(rowsum(w[there], which)) / sum(w[there]), count = tabulate(which),
                n = sum(there))
  step <- grid_step(table)
  knots <- if (has_few_values(table)) few_knots(table) else if (step > 0) grid_knots(table, step) else
    smooth_knots(table)
  if (length(knots$x) < 2) return(NULL)
  m <- with_tails(with_slopes(knots), table)
  again <- if (m$step > 0) repeated_knots(table, m) else if (any(m$slope > 0)) tied_knots(table, m)
  if (!is.null(again)) m <- again
  m$repeats <- !is.null(again)
  m <- c(m, list(sd = sqrt(sum(table$share * (x - sum(table$share * x))^2)), shift = 0))
  i <- margin_interval(m, x)
  m$shift <- sum(table$share * ((log(2 * pi) + i$square) / -2 - margin_log_density(m, i)))
  m
}

has_few_values <- function(table) length(table$x) <= max(2, min(12, table$n / 4))

# The largest step that all values are multiples of, where it is not fine against their range.
grid_step <- function(table) {
  steps <- as.vector(outer(c(5, 2.5, 1), 10^(3:-4)))
  for (step in steps[steps * 2e4 > diff(range(table$x))]) {
    k <- table$x / step
    if (max(abs(k)) < 1e9 && all(abs(k - round(k)) < 1e-6) && !anyDuplicated(round(k))) return(step)
  }
  0
}

# Values that repeat far more often than their neighbours.
spikes <- function(table) {
  k <- table$count
  often <- which(k >= pmax(5, 0.015 * table$n))
  near <- vapply(often, function(i) stats::median(k[setdiff(max(1, i - 3):min(length(k), i + 3), i)]), 0)
  often[k[often] > 4 * near]
}

# No value of the column is beyond: 0, 1 of shares, and the largest where many are cut off there.
limits <- function(table, spike) {
  ends <- range(table$x)
  c(if (ends[1] >= 0) 0 else if (1 %in% spike) ends[1] else -Inf,
    if (length(table$x) %in% spike) ends[2] else if (ends[1] >= 0 && ends[2] <= 1) 1 else Inf)
}

# Probabilities of knots, evenly spread in their scores, the more the more rows there are.
knot_shares <- function(n) {
  end <- stats::qnorm(min(0.2, 3 / n))
  stats::pnorm(seq(end, -end, length.out = round(min(40, max(5, 2 * n^(1 / 3))))))
}

few_knots <- function(table) {
  u <- stats::qnorm(cumsum(table$share)[-length(table$x)])
  list(x = rep(table$x, each = 2), u = c(-Inf, rep(u, each = 2), Inf), low = table$x[1], high = max(table$x), step = 0)
}

# Knots halfway between values.
grid_knots <- function(table, step) {
  spike <- spikes(table)
  limit <- limits(table, spike)
  if (limit[1] == 0 && table$x[1] > 0) limit[1] <- step # positive
  below <- table$x - step / 2
  edge <- c(below, below + step)
  share <- c(c(0, cumsum(table$share))[seq_along(below)], cumsum(table$share)) # below the edges
  near <- findInterval(knot_shares(table$n), sort(share))
  by <- c(spike, spike + length(below), order(share)[near[near > 0]])
  by <- by[share[by] > 1e-12 & share[by] < 1 - 1e-12]
  by <- by[!duplicated(edge[by]) & !duplicated(share[by])]
  by <- by[order(edge[by])]
  list(x = edge[by], u = stats::qnorm(share[by]), low = limit[1] - step / 2, high = limit[2] + step / 2, step = step)
}

# Knots at both edges of every value on a grid, where some are more frequent than is likely under the margin `m` of
# neighbours that are alike; NULL where they are not. Probabilities of values are a Dirichlet process with the base m,
# of the concentration that makes the data most probable; those of the margin are their means given the data.
repeated_knots <- function(table, m) {
  if (length(table$x) > 2000) return(NULL)
  half <- round(table$x / m$step) * 2
  edge <- sort(unique(c(half - 1, half + 1)))
  of_base <- stats::pnorm(margin_scores(m, pmin(pmax(edge * m$step / 2, m$low), m$high)))
  base <- pmax(of_base[match(half + 1, edge)] - of_base[match(half - 1, edge)], 1e-12)
  count <- table$share * table$n
  gain <- function(log_a) {
    a <- exp(log_a)
    lgamma(a) - lgamma(a + table$n) + sum(lgamma(a * base + count) - lgamma(a * base) - count * log(base))
  }
  best <- stats::optimize(gain, log(c(0.1, 100) * table$n), maximum = TRUE)
  if (best$objective < least_gain) return(NULL)
  a <- exp(best$maximum)
  share <- (cumsum(c(0, count))[1 + findInterval(edge, half)] + a * of_base) / (table$n + a)
  keep <- share > 1e-12 & share < 1 - 1e-12 & !duplicated(share)
  with_base_tails(list(x = edge[keep] * m$step / 2, u = stats::qnorm(share[keep]), low = m$low, high = m$high,
                       step = m$step), m, a / (table$n + a))
}
least_gain <- 10 # nats

# Knots at every value, each with mass, where most rows that have no frequent value share theirs with another one; NULL
# where they do not. Of the Dirichlet process with base m as many new values as there are are expected.
tied_knots <- function(table, m) {
  rest <- setdiff(seq_along(table$x), spikes(table))
  is_tied <- sum(table$share[rest][table$count[rest] > 1]) > sum(table$share[rest]) / 2
  values <- length(table$x)
  if (!is_tied || values > 2000) return(NULL)
  a <- stats::uniroot(function(a) a * log1p(table$n / a) - values, c(1e-3, 1e3) * table$n, tol = 1e-6)$root
  of_base <- a * stats::pnorm(margin_scores(m, table$x))
  known <- table$n * cumsum(table$share)
  share <- rbind(known - table$n * table$share + of_base, known + of_base) / (table$n + a)
  with_base_tails(list(x = rep(table$x, each = 2), u = stats::qnorm(as.vector(share)), low = m$low, high = m$high,
                       step = 0), m, a / (table$n + a))
}

# Knots with slopes, such that the density beyond the outer ones is this share of the base's.
with_base_tails <- function(knots, m, share) {
  out <- with_slopes(knots)
  ends <- c(1, length(out$x))
  density <- stats::dnorm(margin_scores(m, out$x[ends])) * margin_scores(m, out$x[ends], slope = TRUE)
  out$slope[ends] <- ifelse(is.finite(out$u[ends]), share * density / stats::dnorm(out$u[ends]), 0)
  out
}

smooth_knots <- function(table) {
  x <- table$x
  before <- cumsum(table$share) - table$share
  middle <- before + table$share / 2
  limit <- limits(table, spikes(table))
  spike <- sort(union(spikes(table), which(x %in% limit)))
  share <- knot_shares(table$n)
  out <- list(x = NULL, u = NULL)
  for (i in seq_len(length(spike) + 1)) { # a piece between spikes, then the spike at its end
    from <- if (i > 1) spike[i - 1] + 1 else 1
    to <- if (i <= length(spike)) spike[i] - 1 else length(x)
    piece <- if (from <= to) from:to
    s <- share[share > middle[from] & share < middle[max(from, to)]]
    if (length(piece) > 1 && length(s)) {
      out$x <- c(out$x, stats::approx(middle[piece], x[piece], s)$y)
      out$u <- c(out$u, stats::qnorm(s))
    }
    if (i > length(spike)) break
    out$x <- c(out$x, rep(x[spike[i]], 2))
    out$u <- c(out$u, stats::qnorm(pmin(1, c(0, table$share[spike[i]]) + before[spike[i]])))
  }
  c(out, list(low = limit[1], high = limit[2], step = 0))
}

# Slopes at the knots: weighted harmonic means of those at both sides (Fritsch and Butland 1984).
with_slopes <- function(m) {
  width <- diff(m$x)
  keep <- c(TRUE, !(width > 0 & width <= 1e-9 * diff(range(m$x)))) # no two knots at nearly one place
  m$x <- m$x[keep]
  m$u <- m$u[keep]
  width <- c(0, diff(m$x), 0)
  rise <- c(0, diff(m$u), 0) / width
  left <- utils::head(seq_along(width), -1)
  has <- width > 0 & is.finite(rise) & rise > 0
  a <- width[left] + 2 * width[left + 1]
  b <- 2 * width[left] + width[left + 1]
  m$slope <- ifelse(has[left] & has[left + 1], (a + b) / (a / rise[left] + b / rise[left + 1]),
                    ifelse(has[left], rise[left], ifelse(has[left + 1], rise[left + 1], 0)))
  m
}

# The slopes at the outer knots, such that the tails fit the values there, by least squares, but at most one and a half
# times the slope inside: few values that are close together would make it any number.
with_tails <- function(m, table) {
  u <- stats::qnorm(cumsum(table$share) - table$share / 2)
  for (end in 1:2) {
    k <- c(1, length(m$x))[end]
    beyond <- if (end == 1) table$x < m$x[1] else table$x > m$x[k]
    if (m$slope[k] == 0 || !any(beyond)) next
    away <- tail_log(m, end, table$x[beyond] - m$x[k])
    away <- away[is.finite(away)]
    own <- sum((u[beyond] - m$u[k]) * away) / sum(away^2)
    inside <- abs(diff(m$u[ends_of(m, end)]) / diff(m$x[ends_of(m, end)]))
    if (is.finite(own) && own > 0) m$slope[k] <- min(own, 1.5 * inside)
  }
  m
}

# An outer knot and the next one inside.
ends_of <- function(m, end) if (end == 1) 1:2 else length(m$x) - 0:1

# ---- the map and back

# What a tail's logarithm is measured by: the distance from a knot to a limit; Inf makes a line of it.
tail_size <- function(m, end) {
  s <- m$x[c(1, length(m$x))[end]] - c(m$low, m$high)
  known <- s[c(end, 3 - end)]
  known <- known[is.finite(known) & known != 0]
  if (length(known)) known[1] else Inf
}

# The scores of a limit itself are finite.
tail_share <- function(m, end, d) pmax(d / tail_size(m, end), -1 + 1e-14)
tail_log <- function(m, end, d) {
  s <- tail_size(m, end)
  if (is.finite(s)) s * log1p(tail_share(m, end, d)) else d
}

# Each value's place: the piece below which knot, and in the tails which of them.
pieces <- function(m, value, knots) {
  k <- findInterval(value, knots)
  list(inside = which(k > 0 & k < length(knots)), low = which(k == 0), high = which(k == length(knots)), k = k)
}

# The scores of values, or with `slope` du/dv there.
margin_scores <- function(m, v, slope = FALSE) {
  out <- v
  at <- pieces(m, v, m$x)
  for (end in 1:2) {
    rows <- list(at$low, at$high)[[end]]
    if (!length(rows)) next
    k <- c(1, length(m$x))[end]
    d <- v[rows] - m$x[k]
    out[rows] <- if (slope) m$slope[k] / (1 + tail_share(m, end, d)) else m$u[k] + m$slope[k] * tail_log(m, end, d)
  }
  k <- at$k[at$inside]
  width <- m$x[k + 1] - m$x[k]
  rise <- m$u[k + 1] - m$u[k]
  t <- (v[at$inside] - m$x[k]) / width
  s <- rise / width
  below <- s + (m$slope[k + 1] + m$slope[k] - 2 * s) * t * (1 - t)
  out[at$inside] <- if (slope) {
    s^2 * (m$slope[k + 1] * t^2 + 2 * s * t * (1 - t) + m$slope[k] * (1 - t)^2) / below^2
  } else {
    m$u[k] + ifelse(rise > 0, rise * (s * t^2 + m$slope[k] * t * (1 - t)) / below, 0)
  }
  out
}

# The values that have these scores.
margin_values <- function(m, u) {
  out <- u
  at <- pieces(m, u, m$u)
  for (end in 1:2) {
    rows <- list(at$low, at$high)[[end]]
    if (!length(rows)) next
    k <- c(1, length(m$x))[end]
    s <- tail_size(m, end)
    d <- (u[rows] - m$u[k]) / m$slope[k]
    out[rows] <- m$x[k] + if (m$slope[k] == 0) 0 else if (is.finite(s)) s * expm1(pmin(d / s, 600)) else d
  }
  k <- at$k[at$inside]
  width <- m$x[k + 1] - m$x[k]
  rise <- m$u[k + 1] - m$u[k]
  q <- u[at$inside] - m$u[k]
  s <- rise / width
  bend <- m$slope[k + 1] + m$slope[k] - 2 * s
  b <- rise * m$slope[k] - q * bend
  t <- 2 * s * q / (b + sqrt(pmax(0, b^2 + 4 * s * q * (rise * (s - m$slope[k]) + q * bend))))
  out[at$inside] <- m$x[k] + ifelse(width > 0, width * t, 0)
  on_grid(m, out)
}

on_grid <- function(m, v) {
  if (m$step == 0) return(pmin(pmax(v, m$low), m$high))
  round(pmin(pmax(round(v / m$step) * m$step, m$low + m$step / 2), m$high - m$step / 2), 8)
}

# The value that the column can have nearest to v.
nearest_value <- function(m, v) {
  if (m$step == 0 && all(m$slope == 0)) {
    known <- unique(m$x)
    return(known[1 + findInterval(v, (known[-1] + known[-length(known)]) / 2)] + 0 * v)
  }
  ends <- c(m$low, m$high) + c(1, -1) * m$step / 2
  pmin(pmax(v, ends[1]), ends[2])
}

# The values [rows, columns] that their columns cannot have; NULL for none.
impossible_values <- function(columns, raw) {
  off <- lapply(columns, function(c) {
    if (!has_scores(c)) return(numeric())
    v <- unique(raw[, c$at])
    v[which(nearest_value(c$margin, v) != v)]
  })
  if (any(lengths(off) > 0))
    matrix(unlist(Map(function(c, off) raw[, c$at[1]] %in% off, columns, off)), nrow(raw))
}

# One warning for all columns with values that they cannot have.
warn_of_limits <- function(columns, raw, impossible, what) {
  off <- which(colSums(impossible) > 0)
  first <- lapply(off, function(j) raw[which(impossible[, j])[1], columns[[j]]$at])
  named <- sprintf("`%s` (such as %s)", vapply(columns[off], function(c) c$name, ""), vapply(first, format, ""))
  shown <- paste(utils::head(named, 4), collapse = ", ")
  if (length(off) > 4) shown <- paste(shown, "and", length(off) - 4, "more")
  warn_user("varnn_limits", "%s has values that its columns cannot have: %s. The nearest are taken.",
            what, shown)
}

# The scores that each value has: their ends, and the mean and mean square of a standard normal between them; v itself
# and, where both ends are one, the slope there.
margin_interval <- function(m, v) {
  if (m$step > 0) {
    low <- margin_scores(m, pmax(v - m$step / 2, m$low))
    high <- margin_scores(m, pmin(v + m$step / 2, m$high))
    low[v - m$step / 2 <= m$low] <- -Inf
    high[v + m$step / 2 >= m$high] <- Inf
  } else {
    low <- high <- margin_scores(m, v)
    mass <- which(diff(m$x) == 0)
    k <- match(v, m$x[mass])
    low[!is.na(k)] <- m$u[mass[stats::na.omit(k)]]
    high[!is.na(k)] <- m$u[mass[stats::na.omit(k)] + 1]
  }
  c(list(v = v, low = low, high = high), normal_between(low, high))
}

# log(Phi(high) - Phi(low)), without loss in the tails.
log_between <- function(low, high) {
  ends <- left_ends(low, high)
  top <- stats::pnorm(ends$high, log.p = TRUE)
  top + log(-expm1(pmin(stats::pnorm(ends$low, log.p = TRUE) - top, -1e-16)))
}

# The interval, or where its middle is above 0 its mirror image, of which probabilities keep their digits.
left_ends <- function(low, high) {
  side <- ifelse(!is.na(low + high) & low + high > 0, -1, 1)
  list(low = ifelse(side < 0, -high, low), high = ifelse(side < 0, -low, high), side = side)
}

normal_between <- function(low, high) {
  narrow <- is.finite(low) & is.finite(high) & high - low < 0.01
  log_mass <- log_between(low, high)
  part <- function(x, power) ifelse(is.finite(x), x^power * exp(stats::dnorm(x, log = TRUE) - log_mass), 0)
  middle <- (low + high) / 2
  list(mean = ifelse(narrow, middle, pmin(pmax(part(low, 0) - part(high, 0), low), high)),
       square = ifelse(narrow, middle^2 + (high - low)^2 / 12, 1 + part(low, 1) - part(high, 1)))
}

# log f(v) of values by their intervals.
margin_log_density <- function(m, i) {
  width <- if (m$step > 0) m$step else 1
  ifelse(is.finite(i$low) & i$high == i$low,
         stats::dnorm(i$low, log = TRUE) + log(margin_scores(m, i$v, slope = TRUE)),
         log_between(i$low, i$high) - log(width))
}

# ---- columns with margins, in the matrices of a fit

has_scores <- function(column) !is.null(column$margin)
margin_columns <- function(design) Filter(has_scores, design$variables)

# Margins of the columns that may have them.
add_margins <- function(columns, raw, weights) {
  lapply(columns, function(c) {
    if (has_normal_noise(c) && !is.numeric(c$sigma)) c$margin <- new_margin(raw[, c$at], weights)
    c
  })
}

# raw [n, columns of y] with scores for values; of intervals their means.
as_scores <- function(columns, raw) {
  for (c in Filter(has_scores, columns)) {
    v <- unique(raw[, c$at])
    raw[, c$at] <- margin_interval(c$margin, nearest_value(c$margin, v))$mean[match(raw[, c$at], v)]
  }
  raw
}

# And values for scores.
as_values <- function(design, scores) {
  for (c in margin_columns(design)) scores[, c$at] <- margin_values(c$margin, scores[, c$at])
  scores
}

# Means of values whose scores are normal [n, columns of y], of these columns; `means` are the functions by which
# mean_functions() finds them.
mean_values <- function(columns, mean, sd, means = mean_functions(columns, sd)) {
  for (c in Filter(has_scores, columns)) mean[, c$at] <- means[[c$name]](mean[, c$at], sd[, c$at])
  mean
}

# Of each column with a margin a function of means and standard deviations of scores: where all of these have one
# standard deviation, a cubic spline through a table.
mean_functions <- function(columns, sd) {
  own <- Filter(has_scores, columns)
  names(own) <- vapply(own, function(c) c$name, "")
  lapply(own, function(c) {
    s <- if (nrow(sd)) sd[1, c$at]
    direct <- function(mean, sd) exact_means(c$margin, mean, sd)
    if (!isTRUE(s > 0.02 && s < 24) || any(sd[, c$at] != s)) return(direct)
    at <- seq(-12, 12, length.out = ceiling(240 / s))
    spline <- stats::splinefun(at, direct(at, s))
    function(mean, sd) {
      out <- spline(mean)
      beyond <- which(abs(mean) > 12)
      if (length(beyond)) out[beyond] <- direct(mean[beyond], s)
      out
    }
  })
}

# The mean of each value by sums over steps, which are exact, and by quadrature of all else: rare values beyond the
# steps, and margins that have none. Values with mass make corners, which need more nodes.
exact_means <- function(m, mean, sd) {
  jumps <- margin_jumps(m)
  nodes <- normal_nodes(if (!is.null(jumps) || any(diff(m$x) == 0)) 61 else 15)
  out <- 0 * mean + if (is.null(jumps)) 0 else jumps$first
  for (i in seq_along(jumps$at)) out <- out + jumps$size[i] * stats::pnorm(jumps$at[i], mean, sd, lower.tail = FALSE)
  if (!is.null(jumps) && m$step == 0) return(out)
  for (i in seq_along(nodes$at)) {
    v <- margin_values(m, mean + sd * nodes$at[i])
    if (!is.null(jumps)) v <- v - pmin(pmax(v, jumps$first), jumps$last)
    out <- out + nodes$weight[i] * v
  }
  out
}

# The steps of a margin that has nothing else, or those of them with scores between -4 and 4: the first and the last
# value, and at which score and by how much each other one is above the one before. NULL for more than 300 steps, and
# for a margin that is smooth somewhere.
margin_jumps <- function(m) {
  if (m$step == 0) {
    if (any(m$slope > 0)) return(NULL)
    first <- seq(1, length(m$x), 2)
    return(list(first = m$x[1], at = m$u[first[-1]], size = diff(m$x[first])))
  }
  ends <- margin_values(m, c(-4, 4))
  n <- round(diff(ends) / m$step)
  if (n > 300) return(NULL)
  list(first = ends[1], last = ends[2], at = margin_scores(m, ends[1] + (seq_len(n) - 0.5) * m$step),
       size = rep(m$step, n))
}

# y with a draw of the scores of each interval for their mean: the expected log-density of these is a lower bound of
# the log-probability.
with_drawn_scores <- function(design, y) {
  for (c in margin_columns(design)) {
    i <- margin_interval(c$margin, margin_values(c$margin, y[, c$at] * c$scale + c$center))
    wide <- which(i$high > i$low)
    ends <- left_ends(i$low[wide], i$high[wide])
    p <- lapply(ends[c("low", "high")], stats::pnorm)
    u <- ends$side * stats::qnorm(p$low + stats::runif(length(wide)) * (p$high - p$low))
    u <- pmin(pmax(u, i$low[wide]), i$high[wide])
    y[wide, c$at] <- (ifelse(is.finite(u), u, i$mean[wide]) - c$center) / c$scale
  }
  y
}

# ---- what print() says

margin_line <- function(fit) {
  columns <- margin_columns(fit$design)
  if (!length(columns)) return(NULL)
  kind <- vapply(columns, function(c) margin_words(c$margin), "")
  names <- split(vapply(columns, function(c) c$name, ""), factor(kind, unique(kind)))
  shown <- function(n) c(utils::head(n, 4), if (length(n) > 4) paste(length(n) - 4, "more"))
  of <- vapply(names, function(n) paste(shown(n), collapse = ", "), "")
  line <- paste("Margins:", paste0(of, ": ", names(names), collapse = "; "))
  if (nchar(line) > 300) paste0(substr(line, 1, 297), "...") else line
}

margin_words <- function(m) {
  mass <- unique(m$x[which(diff(m$x) == 0)])
  if (m$step == 0 && all(m$slope == 0)) return(sprintf("%d values", length(mass)))
  words <- c(if (m$step == 1) "whole" else if (m$step > 0) paste("steps of", format(m$step)), limit_words(m, mass),
             if (m$repeats) "values that repeat"
             else if (length(mass)) paste("often", toString(format(utils::head(mass, 3), digits = 4))))
  if (length(words)) paste(words, collapse = ", ") else "smooth"
}

limit_words <- function(m, mass) {
  ends <- c(m$low, m$high) + c(1, -1) * m$step / 2
  known <- is.finite(ends)
  if (!any(known)) return(NULL)
  if (!known[2] && ends[1] == m$step && !ends[1] %in% mass) return("positive")
  paste(c("from", "to")[known], vapply(ends[known], format, "", digits = 4), collapse = " ")
}

# ---- of a fit that was read from a file

is_margin <- function(m) {
  n <- length(m$x)
  is_end <- function(x) every(is.numeric(x), is_bare(x), length(x) == 1, !is.na(x))
  every(is.list(m), n >= 2, is_finite_vector(m$x, n), is.numeric(m$u), is_bare(m$u), length(m$u) == n, !anyNA(m$u),
        !is.unsorted(m$x), !is.unsorted(m$u), all(is.finite(m$u[-c(1, n)])), is_finite_vector(m$slope, n),
        all(m$slope >= 0), is_end(m$low), is_end(m$high), m$low <= m$x[1], m$high >= m$x[n],
        is_flag(m$repeats), is_finite_vector(m$step, 1), m$step >= 0, is_finite_vector(m$sd, 1), m$sd > 0,
        is_finite_vector(m$shift, 1))
}
