# Makes data/digits.rda from the UCI file kept as an RDS list(x, y): Rscript tools/data.R digits8x8.rds
d <- readRDS(commandArgs(TRUE)[1])
digits <- data.frame(digit = d$y, as.data.frame(d$x))
names(digits)[-1] <- sprintf("p%02d", 1:64)
save(digits, file = "data/digits.rda", compress = "xz", version = 3)
