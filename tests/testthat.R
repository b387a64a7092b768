library(testthat)
library(varnn)

test_check("varnn")
