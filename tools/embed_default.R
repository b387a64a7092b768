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
some <- function(d, columns, n = 15000) {
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

flights <- function() {
  d <- table_of("nycflights13", "flights")
  transform(d, late = arr_delay > 15)
}
tables <- list(
  airtime = function() some(flights(), c("air_time", "dest", "carrier", "hour", "month"), 10000),
  delay = function() some(flights(), c("arr_delay", "dest", "carrier", "hour", "month", "origin")),
  mathachieve = function() some(table_of("nlme", "MathAchieve"), c("MathAch", "School", "Minority", "Sex", "SES")),
  verbagg = function() some(table_of("lme4", "VerbAgg"), c("r2", "id", "item", "Gender", "Anger")),
  bdf = function() some(table_of("nlme", "bdf"), c("langPOST", "schoolNR", "IQ.verb", "ses", "sex", "aritPRET")),
  egsingle = function() some(table_of("mlmRev", "egsingle"), c("math", "schoolid", "year", "grade", "retained",
                                                               "female", "black", "hispanic")),
  scots = function() some(table_of("mlmRev", "ScotsSec"), c("attain", "primary", "second", "verbal", "social", "sex")),
  exam = function() some(table_of("mlmRev", "Exam"), c("normexam", "school", "standLRT", "sex", "vr", "intake")),
  sacramento = function() some(table_of("modeldata", "Sacramento"), c("price", "city", "zip", "beds", "baths", "sqft",
                                                                      "type")),
  hotel = function() some(table_of("modeldata", "hotel_rates"),
                          c("avg_price_per_room", "country", "agent", "company", "lead_time", "arrival_date_num",
                            "adults", "market_segment", "assigned_room_type"), 10000),
  star = function() some(table_of("mlmRev", "star"), c("math", "sch", "gr", "cltype", "ses", "sx", "eth")),
  planes = function() some(table_of("nycflights13", "planes"), c("seats", "model", "manufacturer", "year", "engines")),
  loans = function() some(table_of("openintro", "loans_full_schema"),
                          c("interest_rate", "state", "loan_purpose", "annual_income", "debt_to_income", "term",
                            "loan_amount", "total_credit_lines")),
  resume = function() some(table_of("openintro", "resume"), c("received_callback", "firstname", "race", "gender",
                                                              "years_experience", "honors", "job_city")),
  chem97 = function() some(table_of("mlmRev", "Chem97"), c("score", "lea", "school", "gender", "age", "gcsecnt"),
                           6000),
  salaries = function() some(transform(table_of("Lahman", "Salaries"), salary = log(salary + 1)),
                             c("salary", "playerID", "teamID", "yearID"), 5000),
  insteval = function() some(table_of("lme4", "InstEval"), c("y", "s", "d", "studage", "lectage", "service", "dept"),
                             5000),
  tail = function() some(flights(), c("late", "tailnum", "hour", "month", "distance"), 5000)
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
  d <- tables[[name]]()
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
