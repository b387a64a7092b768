# The names in the engine's tables: there is no second list of them.

registry <- function() .Call(C_registry)

# A property of these rows of a table, as "slots" of "optimizer".
row_property <- function(table, rows, property) {
  r <- registry()
  r[[paste0(table, "_", property)]][match(rows, r[[table]])]
}

#' Activations, families and optimizers
#'
#' The names that the arguments `activation`, `family` and `optimizer` accept, as the engine lists them; their formulas
#' are below.
#'
#' @section Activations:
#' With \eqn{\sigma(x) = 1 / (1 + e^{-x})}{s(x) = 1 / (1 + exp(-x))}, elementwise:
#' * `"linear"`: \eqn{x}{x}
#' * `"relu"`: \eqn{\max(0, x)}{max(0, x)}
#' * `"leaky_relu"`: \eqn{x}{x} for x > 0, else \eqn{x / 100}{x / 100}
#' * `"elu"`: \eqn{x}{x} for x > 0, else \eqn{e^x - 1}{exp(x) - 1}
#' * `"selu"`: 1.0507 times \eqn{x}{x} for x > 0, else times \eqn{1.6733 (e^x - 1)}{1.6733 (exp(x) - 1)}
#' * `"gelu"`: \eqn{x \Phi(x)}{x pnorm(x)}
#' * `"silu"`: \eqn{x \sigma(x)}{x s(x)}
#' * `"tanh"`: \eqn{\tanh(x)}{tanh(x)}
#' * `"sigmoid"`: \eqn{\sigma(x)}{s(x)}
#' * `"softplus"`: \eqn{\log(1 + e^x)}{log(1 + exp(x))}
#'
#' Random initial weights have the variance 2 / (inputs + outputs) of Glorot and Bengio (2010) before `"linear"`,
#' `"tanh"`, `"sigmoid"` and `"softplus"`, 1 / inputs before `"selu"`, and 2 / inputs (He et al. 2015) before the
#' others.
#'
#' @section Your own:
#' `activation` may be any function of one number, as a formula in x (`~ x * tanh(log1p(exp(x)))`) or as a function
#' (`function(u) ifelse(u > 0, u, expm1(u))`). It is read, not called: training differentiates it and runs as fast as
#' with a name, and the fit prints it and can be saved. It may use
#' * numbers, and variables that are one number where it is written: their values are those at the time of the fit;
#' * `+ - * / ^`, `exp`, `expm1`, `log`, `log1p`, `sqrt`, `abs`, `sign`, `tanh`, `plogis`, `qlogis`, `log1pexp`
#'   (\eqn{\log(1 + e^x)}{log(1 + exp(x))}), `sin`, `cos`, `atan`, `pnorm`, `dnorm`, `lgamma`, `digamma`,
#'   `trigamma`, `pmin` and `pmax`, of numbers alone: `log()` has no base, and `dnorm()` no mean;
#' * `ifelse()`, `< <= > >= == !=`, `& | !`, which are 1 or 0;
#' * in `{ }`, assignments to names before the value.
#'
#' At a kink, as that of `abs()` at 0, the slope is that of one side or 0; what `ifelse()` does not choose has none,
#' even where it is infinite. `log(1 + exp(x))` is computed so that it does not overflow. The value must be finite from
#' -3 to 3, and depend on x. Moments at a random input are not known, so that the estimator `"exact"` of
#' [fit_bayes_nn()] does not apply. Random initial weights are those before `"relu"`.
#'
#' @section Families:
#' The negative log-likelihood of y at the network's output \eqn{\eta}{eta}, in nats:
#' * `"gaussian"`: \eqn{(y - \eta)^2 / 2 \sigma^2 + \log \sigma + \log(2 \pi) / 2}{(y - eta)^2 / (2 sigma^2) + log sigma
#'   + log(2 pi) / 2}, with a \eqn{\sigma}{sigma} that is learned or given
#' * `"gaussian_hetero"`: the same, \eqn{\log \sigma}{log sigma} being a second output
#' * `"huber"`: \eqn{\rho((y - \eta) / s) + \log s}{rho((y - eta) / s) + log s} and a constant; \eqn{\rho(e) = e^2 /
#'   2}{rho(e) = e^2 / 2} for |e| up to k = 1.345, \eqn{k |e| - k^2 / 2}{k |e| - k^2 / 2} beyond; s is learned
#' * `"bernoulli"`: \eqn{\log(1 + e^\eta) - y \eta}{log(1 + exp(eta)) - y eta}
#' * `"binomial"`, y successes in t trials: \eqn{t \log(1 + e^\eta) - y \eta - \log \frac{t!}{y! (t - y)!}}{t log(1 +
#'   exp(eta)) - y eta - log choose(t, y)}
#' * `"categorical"`: \eqn{\log \sum_k e^{\eta_k} - \eta_y}{log sum(exp(eta)) - eta[y]}
#' * `"poisson"`: \eqn{e^\eta - y \eta + \log y!}{exp(eta) - y eta + log y!}
#' * `"negative_binomial"`: of the distribution with mean \eqn{\mu = e^\eta}{mu = exp(eta)} and variance \eqn{\mu +
#'   \mu^2 / r}{mu + mu^2 / r}; r is learned
#' * `"student_t"`: \eqn{(\nu + 1) / 2 \log(1 + (y - \eta)^2 / \nu s^2) + \log s}{(nu + 1) / 2 log(1 + (y - eta)^2 /
#'   (nu s^2)) + log s} and a term in \eqn{\nu}{nu}; s is learned, and so are the degrees of freedom \eqn{\nu}{nu},
#'   between 1/2 and 1e6, unless `df` gives them. Up to 1 of them there is no mean, and the response is predicted by
#'   \eqn{\eta}{eta}
#' * `"gamma"`: of the gamma distribution with mean \eqn{\mu = e^\eta}{mu = exp(eta)} and variance \eqn{\mu^2 /
#'   a}{mu^2 / a}; a is learned
#' * `"inverse_gaussian"`: of the inverse gaussian distribution with mean \eqn{\mu = e^\eta}{mu = exp(eta)} and variance
#'   \eqn{\mu^3 / \lambda}{mu^3 / lambda}; \eqn{\lambda}{lambda} is learned
#' * `"beta"`, of proportions within 0 and 1: of the beta distribution with mean \eqn{m = 1 / (1 + e^{-\eta})}{m = 1 /
#'   (1 + exp(-eta))} and variance \eqn{m (1 - m) / (1 + \phi)}{m (1 - m) / (1 + phi)}; the precision
#'   \eqn{\phi}{phi} is learned
#' * `"zero_inflated_poisson"`, `"zero_inflated_negative_binomial"`: with the probability \eqn{1 / (1 + e^{-z})}{1 /
#'   (1 + exp(-z))}, z being a second output, y is 0, and else a count of that family (Lambert 1992)
#' * `"ordinal"`, of ordered levels 1 to K: minus the log of
#'   \eqn{P(y \le k) - P(y \le k - 1)}{P(y <= k) - P(y <= k - 1)}
#'   with \eqn{P(y \le k) = 1 / (1 + e^{\eta - c_k})}{P(y <= k) = 1 / (1 + exp(eta - c[k]))}, \eqn{c_1 = 0}{c[1] = 0},
#'   the gaps between the other cuts \eqn{c_k}{c[k]} being learned
#' * `"quantile"`: \eqn{\rho((y - \eta) / s) + \log s - \log \tau (1 - \tau)}{rho((y - eta) / s) + log s - log(tau (1 -
#'   tau))}, \eqn{\rho(e) = \tau e}{rho(e) = tau e} above 0 and \eqn{(\tau - 1) e}{(tau - 1) e} below: the asymmetric
#'   Laplace distribution, of which \eqn{\eta}{eta} is the quantile \eqn{\tau}{tau}; s is learned. Of several `tau` the
#'   mean of this, the first output being the middle quantile, the others logs of the distances between the quantiles
#' * `"weibull"`, `"lognormal"`, `"loglogistic"`, of times t above 0:
#'   \eqn{\log t = \eta + \sigma w}{log t = eta + sigma w}
#'   with a w of the extreme value, normal or logistic distribution, and \eqn{\sigma}{sigma} learned: minus the log
#'   density of t or, where the time is censored, \eqn{-\log P(T > t)}{-log P(T > t)}
#'
#' @section Optimizers:
#' With the gradient g, the rate r and `momentum` m, elementwise; v, h and a begin at 0:
#' * `"sgd"`: \eqn{\theta \leftarrow \theta - r g}{theta <- theta - r g}
#' * `"momentum"`: \eqn{v \leftarrow m v + g}{v <- m v + g}, \eqn{\theta \leftarrow \theta - r v}{theta <- theta - r v}
#' * `"nesterov"`: the same v, \eqn{\theta \leftarrow \theta - r (g + m v)}{theta <- theta - r (g + m v)}
#' * `"adagrad"`: \eqn{h \leftarrow h + g^2}{h <- h + g^2}, \eqn{\theta \leftarrow \theta - r g / (\sqrt h +
#'   10^{-8})}{theta <- theta - r g / (sqrt(h) + 1e-8)}
#' * `"rmsprop"`: the same with \eqn{h \leftarrow 0.9 h + 0.1 g^2}{h <- 0.9 h + 0.1 g^2}
#' * `"adam"`: \eqn{a \leftarrow m a + (1 - m) g}{a <- m a + (1 - m) g}, \eqn{h \leftarrow 0.999 h + 0.001 g^2}{h <-
#'   0.999 h + 0.001 g^2}, and at step t \eqn{\theta \leftarrow \theta - r \frac{a}{1 - m^t} / (\sqrt{h / (1 -
#'   0.999^t)} + 10^{-8})}{theta <- theta - r a / (1 - m^t) / (sqrt(h / (1 - 0.999^t)) + 1e-8)}
#' * `"adamw"`: `"adam"` that also shrinks the weights by r times `penalty`
#' * `"ivon"`: of random weights with means \eqn{\mu}{mu} and precisions s = 1 / sd^2, with g the gradient in the mean,
#'   d that in the log of the sd, n cases and c = 0.001 n d, between -1 and 1: \eqn{s \leftarrow s (1 + c + c^2 / 2)}{s
#'   <- s (1 + c + c^2 / 2)}, \eqn{a \leftarrow m a + (1 - m) g}{a <- m a + (1 - m) g}, \eqn{\mu \leftarrow \mu - r n /
#'   s \cdot a / (1 - m^t)}{mu <- mu - r n / s a / (1 - m^t)}, by 0.3 sd at most (Lin et al. 2020; Shen et al. 2024).
#'   Other parameters step as by `"adam"`
#' * `"lbfgs"`: limited memory BFGS on all rows at once, with steps that meet the weak Wolfe conditions
#'
#' @return A character vector of names.
#' @references Lambert (1992) zero-inflated counts, \doi{10.2307/1269547}. Lange, Little and Taylor (1989) the t
#'   distribution, \doi{10.1080/01621459.1989.10478852}. Ferrari and Cribari-Neto (2004) beta regression,
#'   \doi{10.1080/0266476042000214501}. Glorot and Bengio (2010), PMLR 9, 249-256. He, Zhang, Ren and Sun
#'   (2015), \doi{10.1109/ICCV.2015.123}. Lin, Schmidt and Khan (2020), \doi{10.48550/arXiv.2002.10060}. Shen et al.
#'   (2024), \doi{10.48550/arXiv.2402.17641}.
#' @seealso [fit_nn()] for `activation` and `family`, [nn_control()] for `optimizer`, with the references.
#' @examples
#' activations()
#' families()
#' optimizers()
#'
#' # your own
#' set.seed(1)
#' fit_nn(mpg ~ wt + hp, mtcars, activation = ~ x * tanh(log1p(exp(x))), epochs = 20)
#' @export
activations <- function() registry()$activation

#' @rdname activations
#' @export
families <- function() registry()$family

#' @rdname activations
#' @export
optimizers <- function() registry()$optimizer
