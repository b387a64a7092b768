// The page of a network with a response: a curve, the answer for one row, and effect curves.

const LEVEL = 0.95;
const MOST_LINES = 7;

// What can be shown of the responses: a number, or the probability of a level.
const outputsOfPage = (page) => page.blocks.flatMap((block, b) => {
  const title = block.columns[0], several = page.blocks.length > 1;
  const of = (level) => (several ? `${title}: ${level}` : level);
  if (block.levels && block.kind !== "binary") return block.levels.map((l, k) =>
    ({b, k, text: of(l), probability: true, level: l}));
  if (block.levels) return [{b, k: 0, text: `probability of ${of(block.levels[1])}`, probability: true,
    level: block.levels[1]}];
  return [{b, k: 0, text: title, probability: block.kind === "binary" || block.kind === "trials"}];
});

const predictView = (page, model) => {
  const predictors = page.predictors, outputs = outputsOfPage(page);
  const values = predictors.map((p) => (p.levels ? p.levels.find((l) => l === p.start) ?? p.levels[0] : p.start));
  const hasAll = page.blocks.some((b) => b.levels && b.kind !== "binary");
  const movable = predictors.map((p, i) => i).filter((i) => !constantPredictor(predictors[i]));
  const state = {x: movable.length ? movable[0] : 0, by: -1, output: hasAll ? "all" : "0", data: true, mean: true,
    observations: true, functions: []};

  const choose = h("div", {class: "row"});
  const host = h("div", {class: "chart"});
  const chart = newChart(host, {height: (width) => Math.max(280, Math.min(430, width * 0.62))});
  const legend = h("div", {});
  const numbers = h("details", {}, h("summary", {}, "The curve as a table"));
  const answer = h("div", {class: "answer", "aria-live": "polite"});
  const effects = h("div", {class: "grid"});

  const shownOutputs = () => (state.output === "all" ? outputs.filter((o) => o.b === firstLevels(page))
    : [outputs[+state.output]]);
  const refresh = soon(() => {
    controls.set();
    drawMain();
    drawAnswer();
    drawEffects();
  });
  const change = (i, v) => {
    values[i] = v;
    refresh();
  };
  const controls = predictorControls(predictors, values, change);

  // ---- the curve

  const drawMain = () => {
    const p = predictors[state.x], xs = placesOf(p), axis = axisOf(p);
    const groups = state.by >= 0 ? someValues(page, state.by) : [values[state.by]];
    const shown = shownOutputs(), lines = [], bands = [], items = [], all = [];
    const rows = [];
    groups.forEach((g, gi) => {
      const found = xs.map((x) => {
        const at = values.slice();
        at[state.x] = valueAt(p, x);
        if (state.by >= 0) at[state.by] = g;
        return model.at(at);
      });
      shown.forEach((o, oi) => {
        const code = state.by >= 0 ? gi : oi, colour = COLOURS[code % COLOURS.length];
        const points = found.map((d, i) => [xs[i], d ? d[o.b].mean[o.k] : NaN]);
        const shift = p.levels || p.kind === "logical" ? (code - (Math.max(groups.length, shown.length) - 1) / 2) * 9
          : 0;
        lines.push({points, colour, shift, dash: code >= COLOURS.length ? "6 4" : null});
        all.push(...points.map((q) => q[1]));
        const wants = groups.length * shown.length <= 3;
        const band = (of, opacity, width) => {
          const at = found.map((d, i) => [xs[i], ...(d ? of(d[o.b]) || [NaN, NaN] : [NaN, NaN])]);
          if (!at.some((q) => q[1] === q[1])) return null;
          bands.push({points: at, colour, opacity, width, shift});
          all.push(...at.flatMap((q) => [q[1], q[2]]));
          return at;
        };
        const observations = state.observations && wants && !o.probability &&
          band((d) => model.observationBand(d, LEVEL), 0.12, 5);
        const means = state.mean && model.hasMeanBand && wants && band((d) => model.meanBand(d, LEVEL, o.k), 0.28, 12);
        if (!rows.length) points.forEach((q, i) => rows.push([q, means && means[i], observations && observations[i]]));
        if (groups.length * shown.length > 1) items.push([code,
          state.by >= 0 ? `${predictors[state.by].name}: ${valueText(predictors[state.by], g)}` : o.text]);
      });
    });
    const single = shown[0];
    state.functions.forEach((f) => {
      const points = xs.map((x) => {
        const at = values.slice();
        at[state.x] = valueAt(p, x);
        const y = f(at);
        return [x, y ? y[single.b][single.k] : NaN];
      });
      lines.push({points, colour: "#51606f", width: 1.1, opacity: 0.75});
      all.push(...points.map((q) => q[1]));
    });
    const dots = state.data ? dotsOf(page, state, single, shown.length > 1, groups) : [];
    const isProbability = shown.every((o) => o.probability);
    const range = isProbability ? [0, 1] : paddedRange([...all, ...dots.map((d) => d.y)]);
    const here = model.at(values), y = here && shown.length === 1 && state.by < 0 ? here[single.b].mean[single.k] : NaN;
    const text = isProbability && shown.length > 1 ? `probability of ${page.blocks[single.b].columns[0]}`
      : single.probability && !single.text.startsWith("probability") ? `probability of ${single.text}` : single.text;
    chart.draw({
      x: {...axis, label: p.name}, y: {low: range[0], high: range[1], label: text}, bands, lines, dots,
      marker: [placeOf(p, values[state.x]), y],
      valueText: `${p.name} ${valueText(p, values[state.x])}, ${text} ${format(y)}`,
      label: `${text} as ${p.name} goes from ${valueText(p, valueAt(p, xs[0]))} to ${valueText(p, valueAt(p, xs[xs.length - 1]))}: ` +
        `from ${format(rows[0][0][1])} to ${format(rows[rows.length - 1][0][1])}, the other predictors as in the row`,
      move: (x) => change(state.x, snapped(p, x))
    });
    legend.replaceChildren(items.length ? legendOf(items) : "",
      h("p", {class: "soft small", style: {margin: "8px 0 0"}},
      bandWords(page, model, state, bands.length, dots.length)));
    drawTable(p, text, rows);
  };
  const drawTable = (p, text, rows) => {
    if (!numbers.open) return;
    const at = rows.filter((_, i) => rows.length < 15 || i % Math.ceil(rows.length / 11) === 0);
    const cells = (band) => (band ? `${format(band[1])} to ${format(band[2])}` : "–");
    numbers.replaceChildren(numbers.firstChild, h("div", {class: "scroll"}, h("table", {},
      h("thead", {}, h("tr", {}, h("th", {scope: "col"}, name(p.name)),
        h("th", {scope: "col", class: "number"}, name(text)),
        h("th", {scope: "col", class: "number"}, "mean, 95 %"),
          h("th", {scope: "col", class: "number"}, "observations, 95 %"))),
      h("tbody", {}, at.map(([q, m, o]) => h("tr", {}, h("th", {scope: "row"}, valueText(p, valueAt(p, q[0]))),
        h("td", {class: "number"}, format(q[1])), h("td", {class: "number"}, cells(m)),
          h("td", {class: "number"}, cells(o))))))));
  };
  numbers.addEventListener("toggle", refresh);

  // ---- the answer

  const drawAnswer = () => {
    const found = model.at(values);
    answer.replaceChildren(...page.blocks.flatMap((block, b) => {
      const title = h("div", {class: "soft small"}, name(block.columns[0]));
      if (!found) return [title, h("div", {class: "value"}, "–")];
      const d = found[b];
      if (block.levels) {
        const p = d.mean.length === 1 ? [1 - d.mean[0], d.mean[0]] : d.mean;
        const best = p.indexOf(Math.max(...p));
        return [title, h("div", {class: "value"}, name(block.levels[best])), probabilityBars(block.levels, p)];
      }
      const mean = model.hasMeanBand ? model.meanBand(d, LEVEL) : null, y = model.observationBand(d, LEVEL);
      return [title, h("div", {class: "value", "data-answer": d.mean[0]}, format(d.mean[0])),
        h("div", {class: "bands small"}, mean ? h("div", {}, `mean, 95 %: ${format(mean[0])} to ${format(mean[1])}`)
          : null,
          y ? h("div", {}, `observations, 95 %: ${format(y[0])} to ${format(y[1])}`) : null)];
    }));
  };

  // ---- effect curves, one for each predictor

  const minis = [];
  const drawEffects = () => {
    const shown = state.output === "all" ? mostLikely() : outputs[+state.output];
    const curves = movable.map((i) => {
      const p = predictors[i], xs = placesOf(p, 33);
      return xs.map((x) => {
        const at = values.slice();
        at[i] = valueAt(p, x);
        const d = model.at(at, true);
        return [x, d ? d[shown.b].mean[shown.k] : NaN];
      });
    });
    const range = shown.probability ? [0, 1] : paddedRange(curves.flat().map((q) => q[1]));
    const here = model.at(values, true), y = here ? here[shown.b].mean[shown.k] : NaN;
    movable.forEach((i, k) => {
      const p = predictors[i];
      minis[k].now.textContent = isolated(valueText(p, values[i]));
      minis[k].chart.draw({
        x: {...axisOf(p), label: p.name}, y: {low: range[0], high: range[1], label: shown.text},
        lines: [{points: curves[k], colour: COLOURS[0], width: 2}], marker: [placeOf(p, values[i]), y],
        label: `${shown.text} as ${p.name} alone changes`,
          valueText: `${p.name} ${valueText(p, values[i])}, ${shown.text} ${format(y)}`,
        move: (x) => change(i, snapped(p, x))
      });
    });
  };
  const mostLikely = () => {
    const d = model.at(values, true), b = firstLevels(page);
    const k = d ? d[b].mean.indexOf(Math.max(...d[b].mean)) : 0;
    return outputs.find((o) => o.b === b && o.k === k) || outputs[0];
  };
  movable.forEach((i) => {
    const place = h("div", {class: "chart"}), now = h("span", {});
    minis.push({chart: newChart(place, {height: 108, small: true}), now});
    effects.append(h("div", {class: "mini"}, h("h3", {}, name(predictors[i].name), now), place));
  });

  // ---- choices

  const options = movable.map((i) => [i, predictors[i].name]);
  const outputOptions = [...(hasAll ? [["all", "all levels"]] : []), ...outputs.map((o, i) => [i, o.text])];
  put(choose, {}, [
    choice("Curve over", options, state.x, (v) => {
      state.x = +v;
      refresh();
    }),
    options.length > 1 ? choice("by", [[-1, "nothing"], ...options], state.by, (v) => {
      state.by = +v;
      refresh();
    }) : null,
    outputOptions.length > 1 ? choice("of", outputOptions, state.output, (v) => {
      state.output = v;
      state.functions = [];
      refresh();
    }) : null
  ]);
  const toggles = h("div", {class: "row", style: {margin: "10px 0 6px"}},
    page.rows.response && page.rows.names.length ? checkbox("data", true, (v) => {
      state.data = v;
      refresh();
    }) : null,
    model.hasMeanBand ? checkbox("band of the mean", true, (v) => {
      state.mean = v;
      refresh();
    }) : null,
    page.blocks.some((b) => !b.levels && familyOf(b).quantile && !familyOf(b).binary)
      ? checkbox("band of observations", true, (v) => {
      state.observations = v;
      refresh();
    }) : null,
    model.hasDraws ? button("Draw a function", () => {
      if (state.functions.length >= 40) state.functions.shift();
      state.functions.push(model.drawFunction());
      refresh();
      say(`${state.functions.length} functions drawn`);
    }) : null,
    model.hasDraws ? button("Clear", () => {
      state.functions = [];
      refresh();
    }) : null);
  const rowChoice = page.rows.names.length ? choice("Take the row",
    [["", "–"], ...page.rows.names.map((n, i) => [i, n])], "", (v) => {
    if (v === "") return;
    page.rows.values.forEach((column, i) => values[i] = column[+v]);
    refresh();
  }) : null;

  refresh();
  return h("div", {class: "stack"},
    h("div", {class: "two"},
      h("section", {class: "card", "aria-label": "Curve"}, choose, toggles, host, legend, numbers),
      h("section", {class: "card", "aria-label": "One row"}, answer,
        h("div", {style: {marginBottom: "10px"}}, rowChoice), controls.element)),
    movable.length ? h("section", {class: "card", "aria-label": "Effect of each predictor"},
      h("h2", {}, "One predictor at a time"),
      h("p", {class: "soft small"}, "What the prediction would be if this predictor alone had another value. Drag in a picture to change the row."), effects) : null);
};

const firstLevels = (page) => page.blocks.findIndex((b) => b.levels && b.kind !== "binary");
const constantPredictor = (p) => (p.kind === "level" ? p.levels.length < 2 : p.kind !== "logical" && !(p.high > p.low));
const probabilityBars = (levels, p) => h("div", {class: "probabilities", style: {margin: "6px 0"}},
  levels.flatMap((l, k) => [
  h("span", {}, name(l)), h("div", {class: "bar", "aria-hidden": "true"},
    h("div", {style: {width: `${100 * p[k]}%`}})), h("span", {}, percent(p[k]))
]));

// Places of a predictor's values on an axis: levels have their number.
const levelsOf = (p) => (p.kind === "level" ? p.levels : p.kind === "logical" ? [false, true] : null);
const axisOf = (p) => {
  const levels = levelsOf(p);
  if (levels) return {low: -0.5, high: levels.length - 0.5, levels};
  const isTime = p.kind === "Date" || p.kind === "POSIXct";
  const pad = 0.02 * (p.high - p.low);
  return {low: p.low - pad, high: p.high + pad, first: p.low, last: p.high,
    text: isTime ? (v) => dateText(p.kind, v) : null};
};
const placesOf = (p, n = 81) => {
  const levels = levelsOf(p);
  if (levels) return levels.map((_, i) => i);
  if (p.grid) return p.grid.filter((_, i) => i % Math.ceil(p.grid.length / n) === 0 || i === p.grid.length - 1);
  return Array.from({length: n}, (_, i) => p.low + (p.high - p.low) * i / (n - 1));
};
const valueAt = (p, x) => (levelsOf(p) ? levelsOf(p)[Math.min(levelsOf(p).length - 1, Math.max(0, Math.round(x)))] : x);
const placeOf = (p, v) => (levelsOf(p) ? levelsOf(p).indexOf(v) : v);
const snapped = (p, x) => {
  if (levelsOf(p)) return valueAt(p, x);
  if (p.grid) return onGridOf(p, x);
  return p.whole && p.high - p.low >= 8 ? Math.round(x) : +x.toPrecision(8);
};

// Values of a second predictor: some of its levels, or its quantiles.
const someValues = (page, i) => {
  const p = page.predictors[i], levels = levelsOf(p);
  if (levels) return levels.slice(0, MOST_LINES);
  const known = page.rows.values[i].length > 4 ? page.rows.values[i] : [p.low, p.start, p.high];
  return [...new Set([0.1, 0.5, 0.9].map((q) => snapped(p, drawQuantile(known, q))))];
};

// The rows of the data in a picture of a response by one predictor.
const dotsOf = (page, state, output, several, groups) => {
  if (!page.rows.response || several) return [];
  const block = page.blocks[output.b], y = page.rows.response[output.b], p = page.predictors[state.x];
  const jitter = (i) => ((i * 0.6180339887) % 1 - 0.5) * 0.3;
  return page.rows.values[state.x].flatMap((v, i) => {
    if (y[i] === null || v === null) return [];
    const code = state.by < 0 ? 0 : groupOf(page.rows.values[state.by][i], groups);
    if (code < 0) return [];
    const height = block.levels ? Math.abs((y[i] === (block.kind === "binary" ? 1 : output.k) ? 1
      : 0) - 0.03 - jitter(i) * 0.1) : y[i];
    return [{x: levelsOf(p) ? placeOf(p, v) + jitter(i) : v, y: height, code}];
  });
};
const groupOf = (v, groups) => (typeof v === "number"
  ? groups.reduce((best, g, i) => (Math.abs(g - v) < Math.abs(groups[best] - v) ? i : best), 0) : groups.indexOf(v));

const bandWords = (page, model, state, hasBands, hasDots) => {
  const words = [];
  if (hasBands && model.hasMeanBand && state.mean) words.push("Dark band: 95 % of the mean");
  if (hasBands && state.observations && page.blocks.some((b) =>
    !b.levels)) words.push("light band: 95 % of observations");
  if (hasBands && (page.way === "draws" || page.way === "shifts")) words.push(`bands and means from ${page.members.reduce((n, m) => n + m.draws, 0)} draws of the weights`);
  if (hasDots) words.push(`points: ${page.rows.names.length} rows of the data`);
  if (state.functions.length) words.push(`thin lines: ${state.functions.length} functions drawn from the posterior`);
  const text = words.join("; ");
  return text ? `${text[0].toUpperCase()}${text.slice(1)}. The other predictors are as in the row.`
    : "The other predictors are as in the row.";
};
