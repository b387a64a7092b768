#' Control how a network is trained
#'
#' Collects what decides how a network is trained. Every argument may also be given directly to a fitting function, as
#' in `fit_nn(y ~ ., data, epochs = 50)`. What is left `NULL` is chosen from the data, and `print()` of the fit says
#' what was chosen.
#'
#' @param epochs passes over the data (of `"lbfgs"`: iterations, at most). `NULL`: chosen by cross-validation within
#'   the training data (see [fit_nn()]), 1000 for `"lbfgs"`; for Bayesian networks see [fit_bayes_nn()], for variational
#'   autoencoders [fit_vae()].
#' @param batch_size observations per step. `NULL`: a power of 2 from 32 to 256 that makes about 60 steps an epoch; with
#'   case weights that are whole numbers as many rows as stand for these observations, but 32 at least.
#' @param optimizer one of [optimizers()]. `"lbfgs"` uses all the data in each iteration, with a line search; all
#'   others use random batches. [fit_nn()] without hidden layers and [fit_bayes_nn()] take `"lbfgs"` by themselves where
#'   it is the better one.
#' @param learn_rate the learning rate; not used by `"lbfgs"`. `NULL`: 0.05 for `"sgd"` and `"adagrad"`, 0.01 for
#'   `"momentum"` and `"nesterov"`, 0.003 for `"rmsprop"`, 0.005 for `"adam"` and `"adamw"`; of variational
#'   autoencoders 0.4 times these.
#' @param schedule the learning rate over epochs: `"constant"`; `"step"`, a tenth after each third of the epochs;
#'   `"exponential"` and `"cosine"`, down to a hundredth; `"plateau"`, a half after 10 epochs without improvement.
#' @param momentum momentum of `"momentum"` and `"nesterov"`, decay of the mean gradient of `"adam"` and `"adamw"`.
#' @param clip_norm gradients longer than this are shortened to it; `Inf`: none is. `NULL`: 100 for variational
#'   autoencoders, whose draws can throw one row far out, else none.
#' @param validation what is held out to watch the training: a proportion in (0, 1), row numbers of the data used, or
#'   a data frame (for the matrix interface a list of `x` and `y`). The best parameters on it are returned. 0:
#'   nothing. A proportion is one of the rows that have a weight and a response. Rows held out are no training data: as
#'   rows of weight 0 they count neither in [logLik()], [deviance()], [sigma()], [nobs()] and degrees of freedom nor in
#'   what `summary()`, `effects()` and their like say of the training data, while [fitted()], [residuals()] and
#'   [predict()] have a value for each.
#' @param patience epochs without improvement after which training stops; `Inf`: never. What is watched are the rows
#'   held out by `validation`; without these, where cross-validation chooses `epochs`, the rows held out there (all rows
#'   are then trained on for the epochs chosen); and where `epochs` is given, the loss.
#' @param starts random starts; the best, by the validation loss or else by the loss, is kept.
#' @param precision `"double"` or `"single"`; see below.
#' @param threads threads to use at most, where the package was compiled with OpenMP; never more than there are
#'   processors, than the environment variable `OMP_THREAD_LIMIT` allows or than the system can start. Results do not
#'   depend on it. In training they share large products, likelihoods and batches, and long optimizer steps, in
#'   predictions the rows. They wait for each other after each product: more of them than there are idle processors
#'   make training slower than one. Only one is used in a process that was forked, as by `parallel::mclapply()`. R's
#'   BLAS has threads of its own.
#' @param rng `"R"`: all noise is drawn from R's generator, normals as by [rnorm()] (to rounding). `"fast"`: the noise
#'   of dropout and of random weights, layers and latents comes from Philox (Salmon et al., 2011), which takes its key
#'   from R's generator at the start of each training and prediction, and costs an eighth in single precision and a
#'   quarter in double. With both [set.seed()] reproduces a fit bit for bit.
#' @param verbose report each epoch, and what comes before and after the training: each fold of the choice of epochs,
#'   each number of latent dimensions that is tried, each member, each fold of stacking. In an interactive session with
#'   the package cli a bar takes the place of the epochs' lines once the work has taken two seconds. With any
#'   `verbose`, training of more than two seconds signals its epochs, losses and the time left as conditions of the
#'   package progressr, where that is loaded. They are shown as its handlers say, by default not at all.
#' @param callback a function of the epoch's number and its row of the history (a named vector, on the engine's
#'   scale); when it returns `TRUE` training stops. See below for errors in it.
#' @param new_levels what predictions do with levels of a factor (or words of a character column) that the training
#'   data had not: `"error"`; `"na"` predicts `NA`; `"mean"` takes the mean of the columns that code the known levels,
#'   by their shares in training. The last two warn, with class `varnn_new_levels`. For an autoencoder, which reads
#'   missing entries, both make the entry a missing one.
#'
#' @param checkpoint the name of a file in which the training is kept, so that [continue()] of it goes on after R was
#'   killed; see below. `NULL`: it is not kept.
#' @param checkpoint_every seconds from one writing of that file to the next; 0: it is written after every step, however
#'   long that takes.
#'
#' @section Checkpoints:
#' With `checkpoint = "fit.ckpt"` what was done so far is kept in that file every `checkpoint_every` seconds. When R is
#' killed, the machine goes down or the disk is full, `continue("fit.ckpt")` goes on where the file ends and returns
#' the fit, which is `identical()` to that of a training which was never stopped, and so is what R's generator draws
#' next. (An environment, as of a formula that a function made, is a copy when it is read from a file.) At most the time
#' since the last writing is lost. That holds for all that trains a fit: folds that choose epochs, random starts,
#' members, rounds of evidence, dimensions of codes, stacking, and for [continue()] of a fit. What is computed between
#' two trainings, such as a covariance, is computed again. Another processor, BLAS or R than the one that began may
#' round otherwise; a warning of class `varnn_checkpoint` says so.
#'
#' The file has the data and all arguments, the callback included, of whose own state nothing is kept. It is written
#' beside, as a file whose name ends with `.new`, checked, brought to the disk, and renamed, so that it is always whole;
#' a checksum finds what was changed in it later. When writing takes long, the next one waits for 20 times as long. When
#' the training is done the file has the fit, which `continue("fit.ckpt")` returns at once. Such a file may be written
#' over by another training. One that is not done, and a file that is no checkpoint, is an error.
#'
#' While a training uses a file, there is a second one with `.lock` behind its name, and another training with it is an
#' error; a lock that a killed R has left behind is taken over. Where the two run on different machines, or on Windows,
#' that cannot be told: then the first one stops to write. When the file cannot be written while training goes on, a
#' warning of class `varnn_checkpoint` says so once, and what was kept before stays. After an interrupt, a time limit or
#' an error in `callback` nothing more is written: `continue()` of the file goes on as if it had not been.
#' [cross_validate()], [tune_fit()] and others that fit anew do so without a checkpoint; `tune_fit()` has a `file` of
#' its own.
#'
#' @section Several processes:
#' The members of a mixture, the chains of Hamiltonian Monte Carlo, random `starts` and the trainings of stacking are
#' tasks. Where the package future has a plan with several workers, as `future::plan("multisession", workers = 4)`
#' makes one, these do the tasks, and the results are the same as without it: each task but the first has a stream of
#' random numbers of its own (L'Ecuyer et al. 2002). The first is done before the others where it chooses `epochs`, and
#' the first of several `starts` is always. With a `callback` all are done in this session, in which it is to be called.
#' What a killed worker has lost is done again here, with a warning of class `varnn_lost_worker`. After an interrupt
#' what the workers have not done by then is left out.
#'
#' @section Interrupts, time limits and errors:
#' An interrupt (Ctrl-C, Esc or the stop button) ends the training, and the fit with what it found is returned, with a
#' warning of class `varnn_interrupted`. Of several `starts` it is the best so far. During the choice of epochs it ends
#' the choice, and the network is trained for as many epochs as the folds before say. Before the first fold has ended
#' the fit is not trained: it is where training starts.
#'
#' So in a loop such as `for (i in 1:100) fits[[i]] <- fit_nn(...)` one interrupt ends the training of one fit, and the
#' loop goes on. A second one within two seconds ends all that runs, as an interrupt does elsewhere in R, without the
#' fit that is being trained. With `options(varnn.interrupt = "stop")` the first one does. What has no training to
#' keep, such as [predict()], [elbo()] or [plot()], is interrupted as all of R.
#'
#' A time limit, as by [setTimeLimit()], and an error in `callback` end the training with an error of class
#' `varnn_error_in_training`, which has the classes and the message of the error that ended it, too. The condition has
#' the fit so far as `fit` and that error as `parent`: `tryCatch(fit_nn(...), varnn_error_in_training = function(e)
#' e$fit)` returns the fit.
#'
#' @section Precision:
#' Single precision finds as good networks and is faster the larger they are. On the 35 data sets of the script
#' `defaults.R` in the folder tools of the sources (100 to 2,300 rows) the cross-validated errors by the two differed
#' by less than 0.8 per cent but once, when single's was 8 per cent lower, and single took 0.8 to 0.9 of the time; of
#' networks with more than 10,000 parameters it takes half the time, and 0.9 times the memory of the data beside them
#' instead of 1.4. Double is the default since it also agrees to all digits with what has a closed form, such as
#' [lm()] and [glm()], as single does to about four.
#'
#' @section Processor and BLAS:
#' The engine is compiled for several kinds of processors and uses the fastest that this one is: with AVX-512, with
#' AVX2, or any. The environment variable `VARNN_KERNEL`, set to `"avx512"`, `"avx2"` or `"base"`, chooses another one.
#' Matrix products are its own, but in double precision, where R's BLAS is an optimised one (by the name of its file:
#' OpenBLAS, MKL, BLIS, ATLAS, Accelerate and others), it computes the large ones: from 2^28 multiplications on with
#' AVX-512, 2^26 with AVX2, 2^15 with any other processor.
#' `options(varnn.blas = FALSE)` keeps R's BLAS out, `TRUE` gives it every product in double precision. On one machine,
#' with one setting, results are reproducible bit for bit; between them they differ by rounding.
#'
#' @return A list of class `varnn_control`.
#' @references Kingma and Ba (2015) Adam, \doi{10.48550/arXiv.1412.6980}. Liu and Nocedal (1989) L-BFGS,
#'   \doi{10.1007/BF01589116}. Loshchilov and Hutter (2019) AdamW, \doi{10.48550/arXiv.1711.05101}; (2017) the cosine
#'   schedule, \doi{10.48550/arXiv.1608.03983}. Duchi, Hazan and Singer (2011) Adagrad, Journal of Machine Learning
#'   Research 12, 2121-2159. Salmon et al. (2011) Philox, \doi{10.1145/2063384.2063405}. Sutskever et al. (2013)
#'   momentum and Nesterov's, PMLR 28(3), 1139-1147. L'Ecuyer, Simard, Chen and Kelton (2002) streams of random
#'   numbers, \doi{10.1287/opre.50.6.1073.358}.
#' @seealso [activations()] for the formulas of the optimizers, [continue()] to train further, [plot.varnn()] with
#'   `which = "history"` for the result.
#' @examples
#' nn_control(optimizer = "lbfgs", epochs = 200)
#' fit_nn(mpg ~ wt + hp, mtcars, hidden = 0)
#' @export
nn_control <- function(epochs = NULL, batch_size = NULL, optimizer = "adam", learn_rate = NULL, schedule = "constant",
                       momentum = 0.9, clip_norm = NULL, validation = 0, patience = Inf, starts = 1,
                       precision = "double", threads = 1, rng = "R", verbose = FALSE, callback = NULL,
                       new_levels = "error", checkpoint = NULL, checkpoint_every = 60) {
  optimizer <- check_choice(optimizer, optimizers(), "optimizer")
  schedule <- check_choice(schedule, registry()$schedule, "schedule")
  precision <- check_choice(precision, c("double", "single"), "precision")
  rng <- check_choice(rng, c("R", "fast"), "rng")
  new_levels <- check_choice(new_levels, new_level_choices, "new_levels")
  verbose <- check_flag(verbose, "verbose")
  epochs <- check_unless(NULL, epochs, "epochs", 0, 1e8, whole = TRUE)
  batch_size <- check_unless(NULL, batch_size, "batch_size", 1, whole = TRUE)
  learn_rate <- check_unless(NULL, learn_rate, "learn_rate", 0, 1e100, above = TRUE)
  momentum <- check_number(momentum, "momentum", 0, 1, below = TRUE)
  if (!is.null(clip_norm)) clip_norm <- check_unless(Inf, clip_norm, "clip_norm", 0, 1e300, above = TRUE)
  patience <- check_unless(Inf, patience, "patience", 1, whole = TRUE)
  starts <- check_number(starts, "starts", 1, 1e6, whole = TRUE)
  threads <- check_number(threads, "threads", 1, 1024, whole = TRUE)
  validation <- check_validation(validation)
  check_callback(callback)
  if (!is.null(checkpoint)) checkpoint <- check_file_name(checkpoint, "checkpoint")
  checkpoint_every <- check_number(checkpoint_every, "checkpoint_every", 0, 1e9)
  structure(list(epochs = epochs, batch_size = batch_size, optimizer = optimizer, learn_rate = learn_rate,
                 schedule = schedule, momentum = momentum, clip_norm = clip_norm, validation = validation,
                 patience = patience, starts = starts, precision = precision, threads = threads, rng = rng,
                 verbose = verbose, callback = callback, new_levels = new_levels, checkpoint = checkpoint,
                 checkpoint_every = checkpoint_every), class = "varnn_control",
            given = setdiff(names(match.call()), ""))
}

# The arguments that a user has given to nn_control(), or in a list in its place.
given_in <- function(control) if (inherits(control, "varnn_control")) attr(control, "given") else plain_names(control)

check_unless <- function(value, x, ...) if (identical(x, value)) x else check_number(x, ...)

check_callback <- function(callback) {
  if (is.null(callback)) return(invisible())
  takes <- if (is.function(callback)) names(suppressWarnings(formals(args(callback)))) else character()
  if (length(takes) < 2 && !"..." %in% takes)
    stop_user("`callback` must be a function of two arguments, the epoch and its row of the history, not %s.",
              if (is.function(callback)) sprintf("of %d", length(takes)) else shown(callback))
}

most_held_out <- 1e8

check_validation <- function(x) {
  if (is.list(x)) return(x)
  v <- plain_numbers(x)
  is_share <- every(length(v) == 1, is.finite(v), v >= 0, v < 1)
  is_rows <- every(length(v) >= 1, length(v) <= most_held_out, !anyNA(v), all(v >= 1 & v == round(v)))
  if (is_share || is_rows) return(v)
  stop_user("`validation` must be a proportion below 1, row numbers, or a data frame, not %s.", shown(x))
}

# A line for a user who wants to see the work.
report <- function(control, ...) if (isTRUE(control$verbose)) message(said(...))

# The control that a fit uses: `control` with what was given directly. `names` are those of `given`, which is not
# evaluated before they are known to be right.
control_with <- function(control, names, n_given, given, fit_arguments) {
  known <- c(names(formals(nn_control)), setdiff(fit_arguments, c("...", "x")))
  check_known_names(names, n_given, known)
  if (!inherits(control, "varnn_control")) {
    if (!is.list(control) || is.object(control) || length(control) && is.null(names(control)))
      stop_user("`control` must be made by nn_control(), not %s.", shown(control))
    control <- stats::setNames(as.list(control), plain_names(control))
    check_known(control, names(formals(nn_control)))
    control <- do.call(nn_control, control, quote = TRUE)
  }
  check_known(unclass(control), names(formals(nn_control)))
  given <- utils::modifyList(unclass(control), given, keep.null = TRUE)
  structure(do.call(nn_control, given, quote = TRUE), given = NULL)
}

#' @export
print.varnn_control <- function(x, ...) {
  check_dots_empty(..., known = "digits")
  shown_value <- function(v, name) {
    if (!is.null(v)) shown(v) else if (name %in% c("callback", "checkpoint")) "none" else "chosen from the data"
  }
  cat(paste0(format(names(x)), "  ", mapply(shown_value, x, names(x)), "\n"), sep = "")
  invisible(x)
}
