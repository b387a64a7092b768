# Packages that are not there, or too old, and what they ask of models that have it not.

test_that("a package that is too old, or not there, is named with the version that is needed", {
  for (name in names(oldest_packages)) {
    words <- sprintf("this() needs %s %s or later; 0.0.9 is installed.", name, oldest_packages[[name]])
    expect_error(check_package(name, "this()", package_version("0.0.9")), words, fixed = TRUE, class = "varnn_error")
    expect_silent(check_package(name, "this()", package_version(oldest_packages[[name]])))
  }
  expect_silent(check_package("stats", "this()"))
  expect_error(check_package("no.such.package", "this()"), "this() needs the package no.such.package.", fixed = TRUE,
               class = "varnn_error")
})

test_that("DESCRIPTION names the same versions", {
  fields <- utils::packageDescription("varnn", dirname(find.package("varnn")), c("Suggests", "Enhances"))
  entries <- trimws(unlist(strsplit(unlist(fields), ",")))
  versioned <- regmatches(entries, regexec("^([A-Za-z0-9.]+)\\s*\\(>=\\s*([0-9.]+)\\)$", entries))
  versioned <- do.call(rbind, versioned[lengths(versioned) == 3])
  stated <- stats::setNames(versioned[, 3], versioned[, 2])
  known <- setdiff(names(oldest_packages), "parsnip") # an older one has the engines, without quantiles
  expect_identical(stated[known], oldest_packages[known])
})

test_that("a model without a response says so to what needs one", {
  fit <- fit_ae(iris, hidden = 2, epochs = 1)
  expect_refused(get_coef.varnn(fit), "Marginal effects need a model with a response")
  expect_refused(get_predicted.varnn(fit), "is for models with a response: see predict")
  expect_refused(get_parameters.varnn(fit), "no parameters to read")
  expect_refused(vetiver_ptype.varnn(fit), "needs a model with a response.*encode")
  expect_match(recover_data.varnn(fit), "needs a model with a response") # which emmeans says as its own error
  expect_null(model_info.varnn(fit))
})
