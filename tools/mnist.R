# Test ELBO of variational autoencoders on handwritten digits, binarised at half: Rscript tools/mnist.R FILE [NAME...]
#
# FILE is an RDS list of `pixels` (raw matrix, a row per image of 28 x 28) and `test` (rows held out). 784-400-20,
# batches of 100, single precision. "plain": Adam at 1e-3 for 30 epochs, relu, no more (at least -97.5 nats); "best":
# the default activation, 40 epochs down a cosine from 2e-3 (at least -94).

suppressPackageStartupMessages(library(varnn))
arguments <- commandArgs(TRUE)
data <- readRDS(arguments[1])
x <- matrix(as.double(as.integer(data$pixels) > 127), nrow(data$pixels))

settings <- list(
  plain = list(activation = "relu", epochs = 30, learn_rate = 1e-3),
  warm = list(epochs = 30, learn_rate = 1e-3, kl_warmup = 10),
  longer = list(epochs = 40, learn_rate = 1e-3),
  best = list(epochs = 40, learn_rate = 2e-3, schedule = "cosine")
)
for (name in if (length(arguments) > 1) arguments[-1] else names(settings)) {
  set.seed(1)
  call <- c(list(x[-data$test, ], hidden = 400, latent = 20, family = "bernoulli", batch_size = 100,
                 precision = "single"), settings[[name]])
  seconds <- system.time(fit <- do.call(fit_vae, call))[["elapsed"]]
  bound <- elbo(fit, x[data$test, ], draws = 10)
  cat(sprintf("%-7s test ELBO %.2f (KL %.2f), training %.2f, %.0f s\n", name, mean(bound), mean(attr(bound, "kl")),
              utils::tail(fit$history$elbo, 1), seconds))
}
