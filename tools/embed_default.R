# Is the default of `embed` right? Rscript tools/embed_default.R FOLDER [NAME ...]: on tables with factors of more than
# 32 levels, from packages of CRAN whose sources are downloaded to FOLDER and not installed, the error on held-out rows
# (a quarter, three times) of the default call against that with dummies, embed = 0: the root mean squared error in
# standard deviations of the response, or the log loss of two classes; and the ratio of the times. Rows with levels that
# the training rows lack are left out.
library(varnn)

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]

table_of <- function(package, name) {
  if (!dir.exists(file.path(folder, package))) {
    got <- utils::download.packages(package, folder, repos = "https://cloud.r-project.org", type = "source",
                                    quiet = TRUE)
    utils::untar(got[1, 2], exdir = folder)
  }
  file <- list.files(file.path(folder, package, "data"), paste0("^", name, "[.](rda|RData)$"), full.names = TRUE)
  into <- new.env()
  load(file[1], into)
  as.data.frame(into[[name]])
}

# At most n rows of these columns, of which the first is the response.
some <- function(d, columns, n) {
  d <- stats::na.omit(d[columns])
  set.seed(1)
  if (nrow(d) > n) d <- d[sample.int(nrow(d), n), ]
  d[] <- lapply(d, function(v) {
    if (is.character(v)) factor(v) else if (is.factor(v)) factor(as.character(v)) else v
  })
  names(d)[1] <- "y"
  d$y <- if (length(unique(d$y)) == 2) factor(d$y) else as.numeric(d$y)
  d
}

flights <- function(package, name) transform(table_of(package, name), late = arr_delay > 15)
logged <- function(package, name) transform(table_of(package, name), salary = log(salary + 1))

# Of each table the package, its name, how many rows, the response and the predictors; `from`: how it is read.
one <- function(package, name, rows, ..., from = table_of) {
  list(package = package, name = name, rows = rows, columns = c(...), from = from)
}
tables <- list(
  airtime = one("nycflights13", "flights", 10000, "air_time", "dest", "carrier", "hour", "month"),
  delay = one("nycflights13", "flights", 15000, "arr_delay", "dest", "carrier", "hour", "month", "origin"),
  mathachieve = one("nlme", "MathAchieve", 15000, "MathAch", "School", "Minority", "Sex", "SES"),
  verbagg = one("lme4", "VerbAgg", 15000, "r2", "id", "item", "Gender", "Anger"),
  bdf = one("nlme", "bdf", 15000, "langPOST", "schoolNR", "IQ.verb", "ses", "sex", "aritPRET"),
  egsingle = one("mlmRev", "egsingle", 15000, "math", "schoolid", "year", "grade", "retained", "female", "black",
                 "hispanic"),
  scots = one("mlmRev", "ScotsSec", 15000, "attain", "primary", "second", "verbal", "social", "sex"),
  exam = one("mlmRev", "Exam", 15000, "normexam", "school", "standLRT", "sex", "vr", "intake"),
  sacramento = one("modeldata", "Sacramento", 15000, "price", "city", "zip", "beds", "baths", "sqft", "type"),
  hotel = one("modeldata", "hotel_rates", 10000, "avg_price_per_room", "country", "agent", "company", "lead_time",
              "arrival_date_num", "adults", "market_segment", "assigned_room_type"),
  star = one("mlmRev", "star", 15000, "math", "sch", "gr", "cltype", "ses", "sx", "eth"),
  planes = one("nycflights13", "planes", 15000, "seats", "model", "manufacturer", "year", "engines"),
  loans = one("openintro", "loans_full_schema", 15000, "interest_rate", "state", "loan_purpose", "annual_income",
              "debt_to_income", "term", "loan_amount", "total_credit_lines"),
  resume = one("openintro", "resume", 15000, "received_callback", "firstname", "race", "gender", "years_experience",
               "honors", "job_city"),
  chem97 = one("mlmRev", "Chem97", 6000, "score", "lea", "school", "gender", "age", "gcsecnt"),
  salaries = one("Lahman", "Salaries", 5000, "salary", "playerID", "teamID", "yearID", from = logged),
  insteval = one("lme4", "InstEval", 5000, "y", "s", "d", "studage", "lectage", "service", "dept"),
  tail = one("nycflights13", "flights", 5000, "late", "tailnum", "hour", "month", "distance", from = flights)
)

# The error and the seconds of one way.
tried <- function(d, out, seed, embed) {
  is_known <- function(v) !is.factor(v) | v[out] %in% v[-out]
  test <- d[out[Reduce(`&`, lapply(d[-1], is_known))], ]
  set.seed(seed)
  seconds <- system.time(fit <- suppressWarnings(fit_nn(y ~ ., d[-out, ], embed = embed)))[[1]]
  p <- predict(fit, test, type = "response")
  error <- if (is.factor(d$y)) -mean(log(pmax(ifelse(test$y == levels(d$y)[2], p, 1 - p), 1e-12)))
  else sqrt(mean((test$y - p)^2)) / stats::sd(d$y)
  c(error = error, seconds = seconds)
}

ratios <- numeric()
for (name in if (length(arguments) > 1) arguments[-1] else names(tables)) {
  t <- tables[[name]]
  d <- some(t$from(t$package, t$name), t$columns, t$rows)
  found <- rowMeans(vapply(1:3, function(seed) {
    set.seed(seed)
    out <- sample.int(nrow(d), ceiling(nrow(d) / 4))
    c(tried(d, out, seed, "auto"), tried(d, out, seed, 0))
  }, numeric(4)))
  ratios[name] <- found[1] / found[3]
  levels <- vapply(d[-1], nlevels, 0L)
  cat(sprintf("%-12s %6d rows, levels %-12s error %.4f, of dummies %.4f, ratio %.3f; seconds %.1f and %.1f\n", name,
              nrow(d), paste(levels[levels > 32], collapse = ", "), found[1], found[3], ratios[name], found[2],
              found[4]))
}
cat(sprintf("mean ratio %.3f over %d tables\n", exp(mean(log(ratios))), length(ratios)))
