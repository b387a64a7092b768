# What does not fit is refused when a model is built: in an R of its own, since what is let pass reads or writes beyond
# the engine's memory.

# Lines of a script that has `ask(spec)`, which says what the engine answers: an error, or numbers.
asking <- c(
  "block <- function(n) list(family = \"gaussian\", n_responses = n, noise = \"fixed\", fixed = 0)",
  "layer <- engine$layer",
  "ask <- function(what, spec, words, want = \"eta\") {",
  "  cat(what, \"\\n\")",
  "  answer <- tryCatch({",
  "    n_par <- engine$spec_layout(spec)$n_par",
  "    engine$engine_run(spec, rep(0.1, n_par), engine$engine_data(matrix(1, 20, spec$n_x)), want)",
  "    \"numbers\"",
  "  }, error = conditionMessage)",
  "  if (!grepl(words, answer)) cat(\"BAD\", what, answer, \"\\n\")",
  "}"
)

test_that("layers that do not fit each other are an error", {
  expect_survived(run_script(
    asking,
    "hidden <- list(layer(\"dense\", 3, \"bias\"), layer(\"activate\", option = \"tanh\"))",
    "code <- list(layer(\"latent\", 2, \"point\"))",
    "for (estimator in c(\"local\", \"exact\"))",
    "  ask(estimator, engine$new_spec(4, c(hidden, list(layer(\"dense\", 4, \"bias\"))), list(block(4)),",
    "                                 estimator = estimator), \"do not fit\")",
    "for (units in c(1, 3, 100000))",
    "  ask(paste(\"tied\", units), engine$new_spec(4, list(layer(\"dense\", 2, \"bias\"), layer(\"dense\", units),",
    "                                                     layer(\"tied\", 1)), list(block(4))), \"do not fit\")",
    "contract <- layer(\"contract\", setting = 1)",
    "for (between in list(NULL, hidden))",
    "  ask(\"contract\", engine$new_spec(4, c(code, list(contract), between, list(contract, layer(\"dense\", 4))),",
    "                                   list(block(4))), \"more than one layer 'contract'\")",
    "ask(\"random\", engine$new_spec(4, list(layer(\"latent\", 2, \"meanfield\"), contract, layer(\"dense\", 4)),",
    "                              list(block(4))), \"do not fit\")",
    "for (posterior in setdiff(engine$registry()$posterior, engine$independent_posteriors()))",
    "  ask(posterior, engine$new_spec(4, list(layer(\"latent\", 2, posterior), layer(\"dense\", 4)), list(block(4))),",
    "      \"do not fit\")",
    "ask(\"given\", engine$new_spec(4, list(layer(\"given\", 5), layer(\"dense\", 4)), list(block(4))),",
    "    \"do not fit\")",
    "ask(\"eta\", engine$new_spec(4, list(layer(\"dense\", 4)), list(block(2), block(3))), \"do not fit\")",
    "ask(\"family\", engine$new_spec(4, list(layer(\"dense\", 4)), list(block(4), block(1))), \"do not fit\")"
  ), 0)
})

test_that("sizes beyond what an integer counts are an error", {
  expect_survived(run_script(
    asking,
    "given <- rep(list(layer(\"given\", 1e6)), 4294)",
    "ask(\"given\", engine$new_spec(1e6, c(given, list(layer(\"dense\", 1))), list(block(1))), \"any memory\")",
    "wide <- rep(list(layer(\"dense\", 1e8)), 5000)",
    "ask(\"parameters\", engine$new_spec(1e8, c(wide, list(layer(\"dense\", 1))), list(block(1))), \"any memory\")",
    "for (posterior in c(\"full\", \"lowrank\", \"last_layer\")) for (estimator in c(\"weight\", \"local\"))",
    "  ask(posterior, engine$new_spec(5e4, list(layer(\"dense\", 5e4, \"bias\")), list(block(5e4)),",
    "                                  posterior = posterior, estimator = estimator),",
    "      \"any memory|do not fit\")"
  ), 0)
})

test_that("a code that is a point has no standard deviation", {
  expect_survived(run_script(
    asking,
    "spec <- function(kind) engine$new_spec(4, list(layer(\"latent\", 2, kind), layer(\"dense\", 4)), list(block(4)))",
    "ask(\"point\", spec(\"point\"), \"no standard deviation\", \"sd\")",
    "ask(\"meanfield\", spec(\"meanfield\"), \"numbers\", \"sd\")"
  ), 0)
})

test_that("stacks of any layers are an error or give numbers and gradients", {
  expect_survived(run_script(
    "set.seed(1)",
    "r <- engine$registry()",
    "one <- function(x) sample(x, 1)",
    "any_layer <- function(i) {",
    "  kind <- one(r$layer)",
    "  option <- switch(kind, activate = one(r$activation), latent = one(r$posterior),",
    "                   dense = one(c(\"bias\", \"\")), \"\")",
    "  if (kind == \"program\") return(engine$activation_layer(engine$activation_program(~ x * plogis(x))))",
    "  size <- if (kind == \"tied\") sample.int(max(i - 1, 1), 1) else one(4)",
    "  engine$layer(kind, size, option, if (kind == \"embed\") one(3) else stats::runif(1, 0, 0.9))",
    "}",
    "answers <- character()",
    sprintf("for (turn in seq_len(%d)) {", repeats(3000, 800)),
    "  blocks <- replicate(one(2), simplify = FALSE, list(family = one(r$family), n_responses = one(3),",
    "                                                     noise = one(r$noise), fixed = 0.1))",
    "  eta <- sum(vapply(blocks, engine$eta_rows, 0))",
    "  layers <- c(lapply(seq_len(one(7)), any_layer), if (stats::runif(1) < 0.95) list(engine$layer(\"dense\", eta)))",
    "  # layers of this kind are the first, and no more of them than there are inputs",
    "  n_x <- one(4)",
    "  is_embed <- vapply(layers, function(l) l$layer == \"embed\", NA)",
    "  if (one(8) > 1) layers <- c(utils::head(layers[is_embed], n_x), layers[!is_embed])",
    "  spec <- engine$new_spec(n_x, layers, blocks, stats::runif(1) < 0.2, penalty = one(c(0, 0.1)),",
    "                          posterior = one(r$posterior), prior = list(kind = one(r$prior), sd = 1, share = 0.5),",
    "                          rank = one(3), estimator = one(r$estimator),",
    "                          kl = one(c(\"exact\", \"mc\")), latent_kl = one(c(\"exact\", \"mc\")))",
    "  if (spec$prior == \"by_weight\") {",
    "    plain <- tryCatch(engine$spec_layout(utils::modifyList(spec, list(prior = \"normal\")))$n_par,",
    "                      error = function(e) 0)",
    "    spec$precision <- rep(c(1, Inf), length.out = plain)",
    "    spec$center <- numeric(plain)",
    "  }",
    "  cat(\"turn\", turn, \"\\n\")",
    "  answer <- tryCatch({",
    "    layout <- engine$spec_layout(spec)",
    "    n <- one(c(1, 5, 40))",
    "    theta <- stats::rnorm(layout$n_par, 0, 0.1)",
    "    x <- matrix(stats::rnorm(n * spec$n_x), n)",
    "    y <- matrix(as.double(stats::rbinom(n * layout$n_y, 1, 0.5)), n)",
    "    offset <- if (spec$has_offset) matrix(0, n, layout$n_eta)",
    "    data <- engine$engine_data(x, y, offset = offset)",
    "    precision <- one(c(\"double\", \"single\"))",
    "    for (want in c(\"eta\", \"terms\"))",
    "      engine$engine_run(spec, theta, data, want, mode = \"training\", draws = 2, precision = precision)",
    "    control <- nn_control(batch_size = 3, epochs = 1, learn_rate = 1e-3, precision = precision)",
    "    engine$engine_gradient(spec, theta, data, control)",
    "    engine$engine_fit(spec, layout, data, data, control, theta)$status",
    "  }, error = conditionMessage)",
    "  answers <- c(answers, answer)",
    "}",
    "runs <- answers %in% c(\"finished\", \"diverged\")",
    "words <- \"damaged: (its layers do not fit|it has more than one layer|layer [0-9]+ is tied)\"",
    "for (a in unique(answers[!runs & !grepl(words, answers)])) cat(\"BAD\", a, \"\\n\")",
    "cat(sum(runs), \"of\", length(runs), \"run\\n\")",
    "if (sum(runs) < length(runs) / 10) cat(\"BAD too few run\\n\")"
  ), 0)
})
