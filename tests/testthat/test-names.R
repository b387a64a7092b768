test_that("each name of the package is defined once", {
  root <- source_root()
  if (is.null(root)) skip("needs the source")
  files <- list.files(file.path(root, "R"), "[.]R$", full.names = TRUE)
  defined <- unlist(lapply(files, function(file) {
    lines <- Filter(function(e) is.call(e) && identical(e[[1]], quote(`<-`)) && is.name(e[[2]]), as.list(parse(file)))
    vapply(lines, function(e) as.character(e[[2]]), "")
  }))
  expect_gt(length(defined), 100)
  expect_identical(defined[duplicated(defined)], character())
})
