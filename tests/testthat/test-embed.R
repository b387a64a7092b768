# Factors with many levels: a column of a matrix for each level, against products of the same matrix with dummies.

# ---- the engine

# Two factors of 4 and 3 levels beside two numbers, as numbers of levels and as dummies; parameters of both models.
embedded_case <- function(n = 12, penalty = 0, posterior = "point", hidden = 3) {
  x <- matrix(stats::rnorm(2 * n), n)
  one <- sample(rep_len(1:4, n))
  two <- sample(rep_len(1:3, n))
  y <- matrix(stats::rnorm(n))
  weights <- stats::runif(n, 0.2, 2)
  after <- c(hidden_layers(hidden, "tanh"), list(layer("dense", 1, "bias")))
  spec <- gaussian_spec(4, c(list(layer("embed", 2, setting = 4), layer("embed", 3, setting = 3)), after),
                        penalty = penalty, posterior = posterior)
  layout <- spec_layout(spec)
  theta <- stats::rnorm(layout$n_par, 0, 0.5)
  list(spec = spec, layout = layout, theta = theta, x = x, one = one, two = two, after = after,
       dummies = cbind(x, diag(4)[one, ], diag(3)[two, ]), penalty = penalty,
       data = engine_data(cbind(x, one - 1, two - 1), y, weights = weights), y = y, weights = weights)
}

embedding <- function(case, i, theta = case$theta) {
  leaf <- case$layout$leaves[case$layout$leaves$role == "embedding", ][i, ]
  matrix(theta[leaf_index(leaf)], leaf$rows)
}

# The inputs of the first dense layer.
embedded_inputs <- function(case, theta = case$theta) {
  cbind(case$x, t(embedding(case, 1, theta))[case$one, ], t(embedding(case, 2, theta))[case$two, ])
}

dense_part <- function(case, theta = case$theta) {
  theta[-unlist(lapply(which(case$layout$leaves$role == "embedding"), function(i) leaf_index(case$layout$leaves[i, ])))]
}

test_that("a level's number gives way to its column of the matrix", {
  set.seed(1)
  case <- embedded_case()
  expect_equal(case$layout$leaves$name[1:3], c("embed1.embedding", "embed2.embedding", "layer1.weight"))
  expect_equal(case$layout$leaves[1:3, c("rows", "cols")], data.frame(rows = c(2, 3, 3), cols = c(4, 3, 7)))
  plain <- gaussian_spec(7, case$after)
  eta <- engine_run(plain, dense_part(case), engine_data(embedded_inputs(case)))
  with_kernels(expect_equal(engine_run(case$spec, case$theta, case$data), eta, tolerance = 1e-13))
  # a number that no level has: zeros
  for (bad in c(-1, 4, NaN, 1e9, -Inf)) {
    data <- case$data
    data$x[1, 3] <- bad
    inputs <- embedded_inputs(case)
    inputs[1, 3:4] <- 0
    expect_equal(engine_run(case$spec, case$theta, data),
                 engine_run(plain, dense_part(case), engine_data(inputs)), tolerance = 1e-13)
  }
})

test_that("its gradient is the difference of the loss", {
  set.seed(2)
  for (posterior in c("point", "meanfield")) for (penalty in c(0, 0.3)) for (batch in c(5, 12)) {
    case <- embedded_case(penalty = penalty, posterior = posterior)
    at <- function(theta) {
      set.seed(9)
      engine_gradient(case$spec, theta, case$data, nn_control(batch_size = batch), mc_samples = 2)
    }
    expect_lt(gradient_error(function(theta) at(theta)$loss, case$theta, at(case$theta)$gradient), 1e-6)
  }
})

# The same network on dummies: the first dense layer's columns of levels are its products with the embeddings.
trained_case <- function(case, ..., state = NULL, theta = case$theta) {
  engine_fit(case$spec, case$layout, case$data, NULL, a_control(...), theta, state)
}

# One step of each optimizer in R, on the levels that the rows of a batch have.
slow_steps <- list(
  sgd = function(s, g, rate, t) list(step = rate * g),
  momentum = function(s, g, rate, t) list(m = s$m <- 0.9 * s$m + g, step = rate * s$m),
  adagrad = function(s, g, rate, t) list(m = s$m <- s$m + g^2, step = rate * g / (sqrt(s$m) + 1e-8)),
  adam = function(s, g, rate, t) {
    m <- 0.9 * s$m + 0.1 * g
    v <- 0.999 * s$v + 0.001 * g^2
    list(m = m, v = v, step = rate * m / (1 - 0.9^t) / (sqrt(v / (1 - 0.999^t)) + 1e-8))
  }
)

test_that("a step moves the levels that its batch has, each by its own number of steps", {
  set.seed(3)
  case <- embedded_case(n = 11)
  levels <- which(case$layout$leaves$role == "embedding")
  for (optimizer in names(slow_steps)) {
    set.seed(4)
    out <- trained_case(case, batch_size = 3, optimizer = optimizer)
    # the order of the rows, by the engine's own shuffle
    set.seed(4)
    u <- stats::runif(10)
    order <- 1:11
    for (i in 10:1) {
      j <- floor(u[i] * (i + 1)) + 1
      order[c(i + 1, j)] <- order[c(j, i + 1)]
    }
    theta <- case$theta
    state <- list(m = 0 * theta, v = 0 * theta)
    count <- 0 * theta
    total <- sum(case$weights)
    for (rows in split(order, ceiling(seq_along(order) / 3))) {
      part <- case$data
      part$x <- part$x[rows, , drop = FALSE]
      part$y <- part$y[rows, , drop = FALSE]
      part$weight <- NULL
      # weights are relative to the mean of all the data
      w <- case$weights[rows] * 11 / total
      gradient <- 0
      for (i in seq_along(rows)) {
        one <- engine_data(part$x[i, , drop = FALSE], part$y[i, , drop = FALSE])
        gradient <- gradient + w[i] / length(rows) * engine_gradient(case$spec, theta, one, a_control(1))$gradient
      }
      moved <- rep(TRUE, length(theta))
      for (k in seq_along(levels)) {
        leaf <- case$layout$leaves[levels[k], ]
        is_here <- (seq_len(leaf$cols) - 1) %in% part$x[, 2 + k]
        moved[leaf_index(leaf)] <- rep(is_here, each = leaf$rows)
      }
      count <- count + moved
      step <- slow_steps[[optimizer]](state, gradient, 0.1, count)
      theta <- ifelse(moved, theta - step$step, theta)
      for (slot in setdiff(names(step), "step")) state[[slot]] <- ifelse(moved, step[[slot]], state[[slot]])
    }
    expect_equal(out$theta, theta, tolerance = 1e-10, label = optimizer)
    expect_length(out$state, row_property("optimizer", optimizer, "slots") * length(theta) + 1 + 7)
    counts <- out$state[length(out$state) - 6:0]
    expect_equal(counts, c(count[seq(1, 8, by = 2)], count[seq(9, 17, by = 3)]))
  }
})

test_that("with all levels in each batch, or of a full batch, training is that on dummies", {
  set.seed(5)
  for (how in list(list(optimizer = "adam", batch_size = 12), list(optimizer = "adamw", batch_size = 12),
                   list(optimizer = "rmsprop", batch_size = 12), list(optimizer = "nesterov", batch_size = 12),
                   list(optimizer = "lbfgs", batch_size = 12), list(optimizer = "sgd", batch_size = 4),
                   list(optimizer = "adagrad", batch_size = 4))) for (penalty in c(0, 0.2)) {
    if (penalty > 0 && how$batch_size == 4) next # levels that a batch has not decay, too
    # a factor alone: a layer without bias of its dummies is its embedding
    n <- 12
    g <- sample(rep_len(1:4, n))
    y <- matrix(stats::rnorm(n))
    after <- c(hidden_layers(3, "tanh"), list(layer("dense", 1, "bias")))
    theta <- stats::rnorm(2 * 4 + 3 * 2 + 3 + 3 + 1, 0, 0.5)
    fit <- function(first, x) {
      spec <- gaussian_spec(ncol(x), c(list(first), after), penalty = penalty)
      control <- do.call(nn_control, c(list(epochs = 20, learn_rate = if (how$optimizer == "lbfgs") 1 else 0.05), how))
      set.seed(6)
      engine_fit(spec, spec_layout(spec), engine_data(x, y), NULL, control, theta)
    }
    a <- fit(layer("embed", 2, setting = 4), cbind(g - 1))
    b <- fit(layer("dense", 2, "none"), diag(4)[g, ])
    expect_equal(a$theta, b$theta, tolerance = 1e-8, label = paste(how$optimizer, penalty))
    expect_equal(a$history, b$history, tolerance = 1e-9)
  }
})

test_that("the norm of a gradient counts the levels of the batch alone", {
  set.seed(7)
  case <- embedded_case(n = 6)
  rows <- which(case$one %in% 1:2)
  case$data <- case_rows(case$data, rows)
  gradient <- engine_gradient(case$spec, case$theta, case$data, a_control(length(rows)))$gradient
  out <- engine_fit(case$spec, case$layout, case$data, NULL,
                    nn_control(epochs = 2, batch_size = length(rows), optimizer = "sgd", learn_rate = 1,
                               clip_norm = 1e-3), case$theta)
  first <- case$theta - gradient * 1e-3 / sqrt(sum(gradient^2))
  second <- engine_gradient(case$spec, first, case$data, a_control(length(rows)))$gradient
  expect_equal(out$theta, first - second * 1e-3 / sqrt(sum(second^2)), tolerance = 1e-12)
})

test_that("training goes on with its state, and layers that do not fit are an error", {
  set.seed(8)
  case <- embedded_case()
  steady <- function(epochs, ...) {
    engine_fit(case$spec, case$layout, case$data, NULL, nn_control(epochs = epochs, batch_size = 12, learn_rate = 0.1),
               ...)
  }
  half <- steady(3, case$theta)
  expect_identical(steady(3, half$theta, half$state)$theta, steady(6, case$theta)$theta)
  block <- list(a_block("gaussian", 1, "fixed"))
  bad <- list(list(layer("dense", 3, "bias"), layer("embed", 2, setting = 3)), list(layer("embed", 2, setting = 2.5)),
              list(layer("embed", 2, setting = 0)), rep(list(layer("embed", 2, setting = 3)), 3),
              list(layer("noise", setting = 1), layer("embed", 2, setting = 3)))
  for (layers in bad)
    expect_error(spec_layout(new_spec(2, c(layers, list(layer("dense", 1, "bias"))), block)), "do not fit")
  expect_error(spec_layout(new_spec(2, list(layer("embed", 2, setting = 3), layer("dense", 1, "bias")), block,
                                    posterior = "meanfield", estimator = "local")), "do not fit")
})

# ---- fits

# A response of 60 levels' own means and a number.
many_levels <- function(n = 600, n_levels = 60) {
  set.seed(11)
  zip <- factor(sprintf("z%03d", sample(rep_len(seq_len(n_levels), n))))
  x <- stats::rnorm(n)
  means <- stats::rnorm(n_levels)
  data.frame(y = sin(x) + means[zip] + stats::rnorm(n, 0, 0.1), x = x, zip = zip)
}
trained_small <- function(data, ..., formula = y ~ x + zip) {
  set.seed(12)
  fit_nn(formula, data, hidden = 4, epochs = 3, ...)
}

test_that("the fit with the products of its embedding as weights of dummies is the fit with dummies", {
  data <- many_levels()
  fit <- trained_small(data, embed = c(zip = 3))
  expect_equal(fit$design$embed, c(zip = 3L))
  expect_equal(fit$n_par, 3 * 60 + 4 * (1 + 3) + 4 + 4 + 1)
  own <- coef(fit)
  expect_equal(dim(own$zip), c(3, 60))
  expect_equal(colnames(own$zip), levels(data$zip))
  expect_equal(colnames(own$layer1.weight), c("x", "zip1", "zip2", "zip3"))
  # dummies of all levels but the first, whose numbers the bias takes
  dummies <- trained_small(data, embed = 0)
  expect_null(dummies$design$embed)
  products <- own$layer1.weight[, 2:4] %*% own$zip
  weight <- cbind(own$layer1.weight[, 1], products[, -1] - products[, 1])
  dummies$theta <- c(weight, own$layer1.bias + products[, 1], own$layer2.weight, own$layer2.bias,
                     utils::tail(dummies$theta, dummies$n_par - length(weight) - 4 - 4 - 1))
  new <- data[c(5, 1, 77), ]
  expect_equal(predict(fit, new), predict(dummies, new), tolerance = 1e-12)
  expect_equal(predict(fit), predict(fit, data), tolerance = 1e-12)
})

test_that("factors of more than 32 levels that are terms by themselves are embedded where there is a hidden layer", {
  data <- many_levels()
  data$few <- factor(sample(rep_len(letters, 600)))
  data$words <- paste0("w", sample(rep_len(1:40, 600)))
  width <- function(formula, ...) suppressMessages(trained_small(data, formula = formula, ...))$design$embed
  expect_equal(width(y ~ .), c(zip = 4L, words = 2L))
  expect_equal(width(y ~ ., embed = c(few = 2, words = 0)), c(zip = 4L, few = 2L))
  expect_equal(width(y ~ zip - 1), c(zip = 4L))
  expect_null(width(y ~ x:zip + words, embed = 0))
  expect_equal(width(y ~ x:few + zip:x + words), c(words = 2L))
  expect_null(width(y ~ x + zip, contrasts = list(zip = "contr.sum")))
  expect_null(fit_nn(y ~ x + zip, data, hidden = 0)$design$embed)
  set.seed(12)
  by_xy <- fit_nn(data[c("x", "zip")], data$y, hidden = 4, epochs = 3)
  expect_equal(predict(by_xy, data), unname(predict(trained_small(data))), ignore_attr = TRUE)
  for (bad in list("zip", c(zip = -1), c(zip = 1.5), 3, c(zip = NA), list(zip = 3), c(zip = 1e5), TRUE))
    expect_error(trained_small(data, embed = bad), "`embed` must be")
  expect_error(trained_small(data, embed = c(zap = 3)), "\"zap\", which is no factor.*did you mean \"zip\"")
  expect_error(trained_small(data, embed = c(x = 3)), "no factor")
  expect_error(trained_small(data, embed = c(y = 3)), "no factor")
  expect_error(trained_small(data, embed = c(zip = 3, zip = 2)), "twice")
  expect_error(trained_small(data, formula = y ~ x * zip, embed = c(zip = 3)), "interaction")
  expect_error(trained_small(data, embed = c(zip = 3), contrasts = list(zip = "contr.sum")), "contrasts")
  expect_error(fit_nn(y ~ x + zip, data, hidden = 0, embed = c(zip = 3)), "needs a hidden layer")
  expect_error(fit_bayes_nn(y ~ x + zip, data, embed = c(zip = 3)), "no argument `embed`")
  expect_error(tune_fit(trained_small(data), embed = list(0, 2)), "embed")
  expect_error(explore(trained_small(data), file = tempfile(fileext = ".html")), "embed = 0")
})

test_that("zeros are the mean level, and levels that are new are what `new_levels` says", {
  data <- many_levels()
  data$w <- stats::runif(600)
  set.seed(12)
  fit <- fit_nn(y ~ x + zip, data, weights = w, hidden = 4, epochs = 3, members = 1)
  share <- tapply(data$w, data$zip, sum) / sum(data$w)
  expect_equal(drop(coef(fit)$zip %*% share), numeric(4), tolerance = 1e-12)
  new <- data[1:3, ]
  new$zip <- factor(c("z001", "other", "z002"))
  expect_error(predict(fit, new), "\"other\".*and 30 more")
  expect_warning(out <- predict(fit, new, new_levels = "na"), class = "varnn_new_levels")
  expect_equal(is.na(unname(out)), c(FALSE, TRUE, FALSE))
  expect_warning(out <- predict(fit, new, new_levels = "mean"), class = "varnn_new_levels")
  expect_equal(out[c(1, 3)], predict(fit, new[c(1, 3), ]))
  own <- coef(fit)
  x <- (data$x[2] - fit$scaling$center[1]) / fit$scaling$scale[1]
  eta <- own$layer2.weight %*% pmax(0, own$layer1.weight[, 1] * x + own$layer1.bias) + own$layer2.bias
  expect_equal(out[[2]], drop(eta) * fit$blocks[[1]]$scale + fit$blocks[[1]]$center, tolerance = 1e-12)
  # with a factor of dummies that is new in the same row
  data$few <- factor(sample(rep_len(letters[1:3], 600)))
  both <- trained_small(data, formula = y ~ x + zip + few)
  new <- data[1:2, ]
  new$zip <- factor(c("other", "z002"))
  new$few <- factor(c("d", "d"))
  suppressWarnings(out <- predict(both, new, new_levels = "mean"), "varnn_new_levels")
  expect_true(all(is.finite(out)))
})

test_that("embedded factors go through chunks, files, checkpoints, cross-validation and what describes a fit", {
  data <- many_levels()
  fit <- trained_small(data)
  in_chunks <- trained_small(chunks(data, rows = 1000))
  expect_identical(in_chunks$theta, fit$theta)
  buffered <- trained_small(chunks(data, rows = 100), penalty = 0.01)
  expect_equal(predict(buffered, chunks(data, rows = 100)), unname(predict(buffered, data)))
  file <- tempfile()
  saveRDS(fit, file)
  expect_identical(predict(readRDS(file), data), predict(fit, data))
  unlink(file)
  kept <- trained_small(data, checkpoint = file, checkpoint_every = 0)
  expect_identical(continue(file)$theta, fit$theta)
  unlink(file)
  more <- continue(fit, 2)
  expect_equal(length(more$state), 2 * more$n_par + 1 + 60)
  expect_lt(utils::tail(more$history$loss, 1), fit$history$loss[1])
  expect_lt(check_gradients(fit), 1e-5)
  cv <- cross_validate(fit, folds = 3)
  expect_true(all(is.finite(cv$scores$value)))
  expect_output(print(fit), "5 inputs.*embedded levels 60")
  grDevices::pdf(NULL)
  expect_silent(plot(fit, "network"))
  grDevices::dev.off()
  expect_true(all(is.finite(importance(fit, data)$importance)))
  expect_equal(nobs(fit), 600L)
  together <- trained_small(data, members = 2)
  expect_equal(dim(as.matrix(predict(together, data))), c(600, 1))
  singles <- trained_small(data, precision = "single")
  expect_equal(predict(singles), predict(fit), tolerance = 1e-2)
  alone <- trained_small(data, formula = y ~ zip)
  expect_equal(alone$spec$n_x, 1L)
  expect_gt(stats::cor(predict(trained_small(data, formula = y ~ zip, learn_rate = 0.1)), data$y), 0.5)
  two <- fit_nn(y ~ zip, data, validation = which(data$zip != "z001"), hidden = 2, epochs = 1)
  expect_true(all(is.finite(predict(two))))
})

test_that("fits whose embedding is damaged are refused", {
  fit <- trained_small(many_levels())
  damaged <- alist(
    f$design$embed <- NULL,
    f$design$embed <- c(zip = 3L),
    f$design$embed <- c(x = 4L),
    f$design$embed <- c(zip = 4),
    f$design$xlevels$zip <- f$design$xlevels$zip[-1],
    f$design$columns <- rev(f$design$columns),
    f$scaling$scale[2] <- 2,
    f$spec$setting[1] <- 61,
    f$spec$size[1] <- 2L,
    f$state <- f$state[-1],
    f$design$shares <- NULL,
    f$design$terms <- stats::delete.response(stats::terms(y ~ x * zip))
  )
  for (damage in damaged) {
    f <- fit
    eval(damage)
    expect_error(predict(f, many_levels()), "damaged", label = deparse(damage))
  }
})
