// The page: what its data say, its views, and whether its numbers are R's.

const historyView = (page) => {
  const host = h("div", {class: "stack"});
  if (!page.history.length) return h("section", {class: "card"},
    h("p", {}, "This fit has no history: it was found without steps of training."));
  const first = page.history[0].columns;
  const line = (column, sign = 1, of = first) => (of[column]
    ? of[column].map((v, i) => [of.epoch ? of.epoch[i] : i + 1, v === null ? NaN : sign * v]) : null);
  const panel = (title, words, series) => {
    const known = series.filter(([, points]) => points && points.some((q) => Number.isFinite(q[1])));
    if (!known.length) return;
    const place = h("div", {class: "chart"}), chart = newChart(place, {height: 300});
    const all = known.flatMap(([, points]) => points), last = (points) => points[points.length - 1][1];
    const [low, high] = paddedRange(robust(all.map((q) => q[1])));
    const xs = paddedRange(all.map((q) => q[0]), 0.01);
    chart.draw({x: {low: xs[0], high: xs[1], label: "epoch"}, y: {low, high, label: words},
      lines: known.map(([, points], i) => ({points, colour: COLOURS[i % COLOURS.length], dash: i % 2 ? "7 3" : null})),
      label: `${title}. ${known.map(([text, points]) => `${text}: from ${format(points[0][1])} to ${format(last(points))}`).join("; ")}`});
    host.append(h("section", {class: "card"}, h("h2", {}, title), place,
      h("ul", {class: "legend"}, known.map(([text], i) => h("li", {},
      s("svg", {width: 26, height: 10, "aria-hidden": "true"},
        s("line", {x1: 0, x2: 26, y1: 5, y2: 5, stroke: COLOURS[i % COLOURS.length], "stroke-width": 3,
        "stroke-dasharray": i % 2 ? "7 3" : null})), text)))));
  };
  if (page.history.length > 1) {
    panel("Training of the members", "loss (nats per row)",
      page.history.map((m, i) => [`member ${i + 1}, weight ${format(m.weight, 2)}`, line("loss", 1, m.columns)]));
  } else if (first.elbo) {
    panel("Training", "nats per row", [["ELBO", line("elbo")], ["log-likelihood", line("nll", -1)],
      ["held out", line("val_loss", -1)]]);
    panel("The KL in it", "nats per row", [["KL of the codes", line("kl_latent")],
      ["KL of the weights", line("kl_weights")]]);
  } else {
    panel("Training", "loss (nats per row)", [["training", line("loss")], ["held out", line("val_loss")]]);
  }
  return host;
};
// Without the first epochs, where they are far from all others.
const robust = (values) => {
  const known = values.filter(Number.isFinite);
  if (known.length < 20) return known;
  const low = drawQuantile(known, 0.02), high = drawQuantile(known, 0.98), far = 1.5 * (high - low);
  return known.filter((v) => v >= low - far && v <= high + far);
};

const aboutView = (page, check) => h("section", {class: "card"}, h("h2", {}, "The model"),
  page.lines.map((text) => h("p", {}, name(text))),
  h("h2", {style: {marginTop: "18px"}}, "This page"),
  h("p", {}, "It was written by explore() of the R package varnn, and is complete: it asks nothing of R, of a server or of the network. It holds the model and " +
    `${page.rows.names.length} rows of data, and computes everything here.`),
  h("p", {}, `When it was opened it computed ${check.n} numbers that R had computed before, at inputs drawn at random. The largest difference is ${check.value.toExponential(1)}, relative to the number or to the scale of the response.`),
  page.way === "draws" || page.way === "shifts" ? h("p", {},
    "Means and bands of this posterior have no closed form: they come from draws of the weights that the page holds. R draws others, and more of them.") : null);

const checkWords = (check, failure) => {
  if (failure) return h("span", {class: "bad"}, `This page does not work: ${failure}`);
  if (check.value < 1e-6) return h("span", {}, h("span", {class: "good"}, "✓ Checked: "),
    `${check.n} numbers agree with R's (largest difference ${check.value === 0 ? "0" : check.value.toExponential(1)}).`);
  return h("span", {class: "bad"}, `Numbers of this page differ from R's by up to ${check.value.toExponential(1)}: do not trust them.`);
};

const openPage = (page, root) => {
  liveRegion = h("div", {class: "away", role: "status", "aria-live": "polite"});
  const foot = h("footer", {class: "foot", id: "check"});
  const fail = (e) => {
    foot.replaceChildren(checkWords(null, e.message));
    foot.dataset.failure = e.message;
    root.append(foot);
  };
  try {
    const isPredict = page.kind === "predict", model = isPredict ? predictModel(page) : codeModel(page);
    const check = isPredict ? checkPredictions(page, model) : checkCodes(page, model);
    const parts = tabs("View", [["Explore", isPredict ? predictView(page, model) : planeView(page, model)],
      ["Training", historyView(page)], ["About", aboutView(page, check)]]);
    put(root, {}, [h("header", {class: "head"}, h("div", {}, h("h1", {}, name(page.title)),
      h("div", {class: "soft small"}, name(page.lines[1]))), parts.list),
      h("main", {}, parts.panels), foot, liveRegion]);
    parts.show(0);
    foot.replaceChildren(checkWords(check));
    Object.assign(foot.dataset, {worst: check.value, n: check.n});
  } catch (e) {
    fail(e);
    throw e;
  }
};

openPage(JSON.parse(document.getElementById("page-data").textContent), document.getElementById("page"));
