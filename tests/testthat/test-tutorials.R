# The tutorials' exercises without learnr: each solution is accepted by the code that checks it, other answers are not.

tutorial_files <- function() {
  list.files(system.file("tutorials", package = "varnn"), "[.]Rmd$", recursive = TRUE, full.names = TRUE)
}

# The chunks of a tutorial, named by their labels.
chunks_of <- function(file) {
  lines <- readLines(file)
  starts <- grep("^```\\{r ", lines)
  ends <- vapply(starts, function(i) i + which(lines[-seq_len(i)] == "```")[1], 0)
  code <- Map(function(from, to) lines[seq_len(to - from - 1) + from], starts, ends)
  names(code) <- sub("^```\\{r ([^,}]+).*", "\\1", lines[starts])
  code
}

# A room with what a tutorial prepares, and its function that checks answers.
prepared <- function(chunks) {
  room <- new.env(parent = globalenv())
  setup <- grep("learnr|tutorial_options|knitr::", chunks$setup, invert = TRUE, value = TRUE)
  eval(parse(text = setup), room)
  room
}

# What the tutorial says to an answer that these lines give.
said_to <- function(room, chunks, exercise, lines) {
  desk <- new.env(parent = room)
  value <- NULL
  for (line in parse(text = lines)) value <- eval(line, desk)
  room$check_answer(exercise, paste(chunks[[paste0(exercise, "-check")]], collapse = "\n"), desk, value)
}

test_that("every exercise accepts its solution and no other answer, and says why", {
  skip_if_counted()
  skip_on_cran()
  skip_if_not_installed("MASS")
  files <- tutorial_files()
  expect_length(files, 4)
  for (file in files) {
    chunks <- chunks_of(file)
    room <- prepared(chunks)
    exercises <- sub("-solution$", "", grep("-solution$", names(chunks), value = TRUE))
    expect_gte(length(exercises), 5)
    expect_setequal(exercises, sub("-check$", "", grep("-check$", names(chunks), value = TRUE)))
    for (exercise in exercises) {
      expect_true(exercise %in% names(chunks), label = exercise)
      right <- said_to(room, chunks, exercise, chunks[[paste0(exercise, "-solution")]])
      expect_true(right$correct, label = paste(basename(file), exercise, right$message))
      solution <- chunks[[paste0(exercise, "-solution")]]
      for (last in c("NULL", "\"a\"", "-1", "c(1, NA, 3)", "list()")) {
        wrong <- said_to(room, chunks, exercise, c(sub("^z <- ", "z <- 0 * ", solution), last))
        if (exercise == "trick" && last != "NULL") next # the answer is z, whatever the last line
        expect_false(wrong$correct, label = paste(basename(file), exercise, last))
        expect_true(is.character(wrong$message) && nzchar(wrong$message))
      }
    }
  }
})

test_that("the tutorials are pages of learnr", {
  skip_if_counted()
  skip_on_cran()
  skip_if_not_installed("learnr")
  skip_if_not_installed("rmarkdown")
  skip_if_not(rmarkdown::pandoc_available(), "pandoc is not there")
  found <- suppressMessages(learnr::available_tutorials("varnn"))
  expect_setequal(found$name, basename(dirname(tutorial_files())))
  expect_true(all(nzchar(found$title)) && all(nzchar(found$description)))
  folder <- tempfile("tutorial")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  for (file in tutorial_files()) {
    file.copy(file, folder)
    page <- rmarkdown::render(file.path(folder, basename(file)), quiet = TRUE, envir = new.env(parent = globalenv()))
    text <- paste(readLines(page, warn = FALSE), collapse = "\n")
    for (exercise in sub("-solution$", "", grep("-solution$", names(chunks_of(file)), value = TRUE)))
      expect_match(text, sprintf("data-label=\"%s\"", exercise), fixed = TRUE)
  }
})
