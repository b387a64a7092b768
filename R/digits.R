#' Handwritten digits, 8 by 8 pixels
#'
#' Images of 1,797 handwritten digits by 13 people: the test part of the UCI data set "Optical recognition of
#' handwritten digits". Bitmaps of 32 by 32 were divided into blocks of 4 by 4, and the dark pixels of each block
#' counted.
#'
#' @format A data frame of 1,797 rows and 65 columns: `digit`, a factor with levels 0 to 9, and `p01` to `p64`, the
#' pixels, row by row from the top left, each from 0 (white) to 16 (black).
#' @source Alpaydin and Kaynak (1998), UCI Machine Learning Repository, \doi{10.24432/C50P49}, licence CC BY 4.0.
#' @references Kaynak (1995) Methods of combining multiple classifiers and their applications to handwritten digit
#'   recognition, MSc thesis, Bogazici University.
#' @seealso [plot.varnn()], which draws rows as images (`dim = c(8, 8)`).
#' @examples
#' image(matrix(unlist(digits[1, -1]), 8)[, 8:1], col = gray(16:0 / 16), asp = 1, axes = FALSE)
#'
#' # Half of the images to learn from, half to be judged by.
#' set.seed(1)
#' odd <- seq(1, nrow(digits), 2)
#' fit <- fit_nn(digit ~ ., digits[odd, ], hidden = 32, epochs = 5)
#' mean(predict(fit, digits[-odd, ]) == digits$digit[-odd])
"digits"
