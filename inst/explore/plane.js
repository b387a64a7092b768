// The page of an autoencoder: the plane of two codes, what a point there decodes to, simulated rows, and a row of one's
// own.

const planeView = (page, model) => {
  const k = page.latent, rows = rowsOfPage(page);
  const given = page.predictors ? page.predictors.map((p) =>
    (p.levels ? p.levels.find((l) => l === p.start) ?? p.levels[0] : p.start)) : [];
  const codes = rows.map((row) => model.encode(row.values, row.given || given).z);
  const state = {z: new Array(k).fill(0), dims: [0, Math.min(1, k - 1)], row: null, code: null, behind: page.dim &&
    k > 1 ? "images" : "none", hidden: new Set()};
  const refresh = soon(() => {
    draw();
    drawDecoded();
    drawRow();
    if (controls) controls.set();
  });
  const controls = given.length ? predictorControls(page.predictors, given, (i, v) => {
    given[i] = v;
    behindKey = "";
    refresh();
  }) : null;

  // ---- the plane

  const ends = (dim) => {
    const all = codes.map((z) => z[dim]);
    const [low, high] = paddedRange([...all, page.codes.low[dim], page.codes.high[dim],
      ...(page.prior ? [-2.7, 2.7] : [])], 0.06);
    return [low, high];
  };
  const plane = h("div", {class: "plane"});
  const canvas = h("canvas", {"aria-hidden": "true"});
  const svg = s("svg", {tabindex: 0, role: "application", "aria-roledescription": "plane of codes"});
  const tip = h("div", {class: "tip", hidden: true});
  plane.append(canvas, svg, tip);
  let frame = null, behindKey = "";
  const draw = () => {
    const width = plane.clientWidth;
    if (!width) return;
    const one = k === 1, tall = one ? 240 : Math.min(width * 0.92, 620);
    const box = {left: 46, right: 12, top: 12, bottom: 42},
      inner = [width - box.left - box.right, tall - box.top - box.bottom];
    let [x, y] = [ends(state.dims[0]), one ? [-1, 1] : ends(state.dims[1])];
    if (!one) [x, y] = equalUnits(x, y, inner);
    const px = (v) => box.left + (v - x[0]) / (x[1] - x[0]) * inner[0], py = (v) => box.top +
      (y[1] - v) / (y[1] - y[0]) * inner[1];
    frame = {box, inner, x, y, px, py, one};
    put(svg, {viewBox: `0 0 ${width} ${tall}`, height: tall});
    svg.replaceChildren();
    drawBehind();
    drawPlaneAxes(svg, frame, state.dims, page);
    codes.forEach((z, i) => {
      const code = page.rows.group && page.rows.group.code ? page.rows.group.code[i] : 0;
      if (state.hidden.has(code)) return;
      const mark = markOf(code === null ? 6 : code, px(z[state.dims[0]]), py(one ? heightOf(i) : z[state.dims[1]]),
        3.6, state.behind === "none" ? 0.72 : 0.9);
      const group = page.rows.group;
      if (group && group.number) mark.setAttribute("fill", scaleColour(group.number[i], group.ends));
      if (state.behind !== "none") put(mark, {stroke: "#fff", "stroke-width": 0.7});
      svg.append(mark);
    });
    if (state.code) drawCode(svg, frame, state);
    const at = [px(state.z[state.dims[0]]), py(one ? 0 : state.z[state.dims[1]])];
    svg.append(s("circle", {cx: at[0], cy: at[1], r: 10, fill: "#ffffffcc", stroke: "#1b2733", "stroke-width": 2.6,
      id: "handle"}),
      s("circle", {cx: at[0], cy: at[1], r: 2.6, fill: "#1b2733"}));
    put(svg, {"aria-label": planeWords(page, state, model.decode(state.z, given), model)});
  };
  const heightOf = (i) => (((i + 1) * 0.6180339887) % 1 - 0.5) * 1.5;
  // Decoded images, or the mean of a column, behind the points.
  const drawBehind = () => {
    const {box, inner, x, y} = frame;
    canvas.hidden = state.behind === "none" || frame.one;
    if (canvas.hidden) return;
    Object.assign(canvas.style, {left: `${box.left}px`, top: `${box.top}px`, width: `${inner[0]}px`,
      height: `${inner[1]}px`});
    const key = JSON.stringify([state.behind, x, y, state.dims, given,
      state.z.filter((_, i) => !state.dims.includes(i))]);
    if (key === behindKey) return;
    behindKey = key;
    const across = state.behind === "images" ? 13 : 44, down = Math.max(1, Math.round(across * inner[1] / inner[0]));
    const at = (i, j) => {
      const z = state.z.slice();
      z[state.dims[0]] = x[0] + (i + 0.5) / across * (x[1] - x[0]);
      z[state.dims[1]] = y[1] - (j + 0.5) / down * (y[1] - y[0]);
      return model.decode(z, given);
    };
    if (state.behind === "images") mosaic(canvas, page, at, across, down);
    else shades(canvas, page.columns[+state.behind], +state.behind, at, across, down);
  };
  const placeOfPointer = (e) => {
    const r = svg.getBoundingClientRect();
    const u = (e.clientX - r.left - frame.box.left) / frame.inner[0],
      v = (e.clientY - r.top - frame.box.top) / frame.inner[1];
    return [frame.x[0] + u * (frame.x[1] - frame.x[0]), frame.y[1] - v * (frame.y[1] - frame.y[0]),
      e.clientX - r.left, e.clientY - r.top];
  };
  const moveTo = (x, y) => {
    const within = (v, [low, high]) => Math.min(high, Math.max(low, v));
    state.z[state.dims[0]] = within(x, frame.x);
    if (!frame.one) state.z[state.dims[1]] = within(y, frame.y);
    sliders.forEach((set) => set());
    refresh();
  };
  const nearestRow = (x, y, most) => {
    let best = -1, least = most * most;
    codes.forEach((z, i) => {
      if (page.rows.group && page.rows.group.code && state.hidden.has(page.rows.group.code[i])) return;
      const d = (frame.px(z[state.dims[0]]) - x) ** 2 + (frame.py(frame.one ? heightOf(i) : z[state.dims[1]]) - y) ** 2;
      if (d < least) [best, least] = [i, d];
    });
    return best;
  };
  let press = null;
  svg.addEventListener("pointerdown", (e) => {
    if (!frame) return;
    svg.setPointerCapture(e.pointerId);
    const [x, y, left, top] = placeOfPointer(e);
    press = {left, top, moved: false};
    tip.hidden = true;
    if (nearestRow(left, top, 7) < 0) moveTo(x, y);
  });
  svg.addEventListener("pointermove", (e) => {
    if (!frame) return;
    const [x, y, left, top] = placeOfPointer(e);
    if (press) {
      if (Math.hypot(left - press.left, top - press.top) > 4) press.moved = true;
      if (press.moved) moveTo(x, y);
    } else {
      showTip(nearestRow(left, top, 12), left, top);
    }
  });
  svg.addEventListener("pointerup", (e) => {
    const [, , left, top] = placeOfPointer(e);
    const i = press && !press.moved ? nearestRow(left, top, 9) : -1;
    if (i >= 0) takeRow(i);
    press = null;
  });
  svg.addEventListener("pointercancel", () => press = null);
  svg.addEventListener("pointerleave", () => tip.hidden = true);
  svg.addEventListener("keydown", (e) => {
    const step = (frame.x[1] - frame.x[0]) / (e.shiftKey ? 12 : 60);
    const by = {ArrowRight: [step, 0], ArrowLeft: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step]}[e.key];
    if (!by) return;
    e.preventDefault();
    moveTo(state.z[state.dims[0]] + by[0], state.z[state.dims[1]] + by[1]);
    say(planeWords(page, state, model.decode(state.z, given), model));
  });
  const showTip = (i, left, top) => {
    tip.hidden = i < 0;
    if (i < 0) return;
    tip.replaceChildren(...tipOf(page, rows[i], i));
    Object.assign(tip.style, {left: `${Math.min(left + 14, plane.clientWidth - 170)}px`, top: `${top + 14}px`});
  };
  whenSized(plane, () => {
    behindKey = "";
    draw();
  });

  // ---- one slider for each code

  const sliders = [];
  const latentSliders = h("div", {class: "controls", style: {marginTop: "12px", maxHeight: "260px"}},
    state.z.map((_, i) => {
    const [low, high] = ends(i);
    const slider = h("input", {type: "range", min: low, max: high, step: (high - low) / 400, id: `code-${i}`});
    const box = h("output", {for: `code-${i}`});
    slider.addEventListener("input", () => {
      state.z[i] = +slider.value;
      sliders[i]();
      refresh();
    });
    sliders[i] = () => {
      slider.value = state.z[i];
      box.textContent = state.z[i].toFixed(2).replace("-", "−");
    };
    sliders[i]();
    return h("div", {class: "control"}, h("label", {class: "name", for: `code-${i}`}, `z${i + 1}`), slider, box);
  }));

  // ---- what the point decodes to

  const decoded = h("div", {});
  const thumb = page.dim ? h("canvas", {class: "pixels thumb", "aria-hidden": "true"}) : null;
  const drawDecoded = () => {
    const found = model.decode(state.z, given);
    if (thumb) paintedImage(page, found.map((f, j) => model.shownValue(j, f)), thumb);
    decoded.replaceChildren(page.dim ? imageOf(page, found.map((f, j) => model.shownValue(j, f)), "The decoded image")
      : columnTable(page, model, found));
  };

  // ---- simulated rows

  const simulated = h("div", {});
  const simulate = () => {
    const drawn = Array.from({length: page.dim ? 12 : 8}, () => model.draw(model.drawCode(), given));
    simulated.replaceChildren(page.dim ? h("div", {class: "gallery"},
      drawn.map((row) => imageOf(page, row, "A simulated image"))) : rowTable(page, drawn));
    say(`${drawn.length} rows simulated`);
  };

  // ---- a row of one's own

  const own = ownRow(page, model, (row) => {
    state.row = row;
    state.code = model.encode(row, given);
    refresh();
  });
  const drawRow = () => {
    if (state.row) {
      state.code = model.encode(state.row, given);
      own.show(state.row, state.code, model.decode(state.code.z, given));
    }
  };
  const goToCode = () => {
    if (!state.code) return;
    state.z = Array.from(state.code.z);
    sliders.forEach((set) => set());
    refresh();
  };
  const takeRow = (i) => {
    state.row = rows[i].values.slice();
    if (rows[i].given) rows[i].given.forEach((v, j) => given[j] = v);
    state.code = model.encode(state.row, given);
    own.set(state.row);
    goToCode();
    parts.show(1);
  };

  const parts = tabs("Panel", [
    ["Decoded", h("div", {}, h("p", {class: "soft small"},
      page.dim ? "What the decoder makes of the point on the plane."
      : "What the decoder makes of the point on the plane: the mean of each column, and 90 % of its distribution there."), decoded)],
    [page.dim ? "An image" : "A row", h("div", {}, own.element,
      h("div", {class: "row", style: {marginTop: "10px"}}, button("Move the point to its code", goToCode),
      rows.length ? choice("Take", [["", "a row…"], ...rows.map((r, i) => [i, r.name])], "", (v) => v !== "" &&
        takeRow(+v)) : null))],
    ["Simulated", h("div", {}, h("p", {class: "soft small"},
      page.prior ? "Codes drawn from the prior, decoded, with the noise of the columns."
      : "Codes drawn from a normal distribution like that of the rows, decoded. An autoencoder has no prior: between the rows anything may come."),
    h("div", {style: {marginBottom: "10px"}}, button("Simulate", simulate, "plain main")), simulated)]
  ]);
  parts.show(0);

  const dimOptions = state.z.map((_, i) => [i, `z${i + 1}`]);
  const chooser = h("div", {class: "row", style: {marginBottom: "8px"}},
    k > 2 ? [0, 1].map((side) => choice(side === 0 ? "Across" : "Up", dimOptions, state.dims[side], (v) => {
      if (state.dims[1 - side] === +v) state.dims[1 - side] = state.dims[side];
      state.dims[side] = +v;
      refresh();
    })) : null,
    k > 1 ? choice("Behind the points", [["none", "nothing"],
      ...(page.dim ? [["images", "decoded images"]] : page.columns.map((c, j) => [j, c.name]))], state.behind, (v) => {
      state.behind = v;
      refresh();
    }) : null, thumb);
  refresh();
  if (page.dim) {
    own.set(page.columns.map(() => pixelEnds(page)[0])); // the code of a blank image means nothing
  } else {
    state.row = rows.length ? rows[0].values.slice() : page.columns.map(() => null);
    own.set(state.row.slice());
  }
  return h("div", {class: "two"},
    h("section", {class: "card", "aria-label": "Plane of codes"}, chooser, plane, groupLegend(page, state, refresh),
      h("p", {class: "soft small", style: {margin: "8px 0 0"}}, planeHint(page)), latentSliders),
    h("section", {class: "card", "aria-label": "Rows"},
      controls ? h("div", {style: {marginBottom: "12px"}}, h("h2", {}, "Given"), controls.element) : null,
      parts.list, h("div", {style: {marginTop: "14px"}}, parts.panels)));
};

// ---- rows and columns

const rowsOfPage = (page) => page.rows.names.map((text, i) => ({
  name: text, values: page.rows.values.map((v) => v[i]),
    given: page.rows.given ? page.rows.given.map((v) => v[i]) : null
}));
const cellText = (c, v) => (v === null || v === undefined ? "missing" : c.levels ? c.levels[v] : format(v));

const tipOf = (page, row, i) => {
  const group = page.rows.group, title = h("strong", {}, "Row ", name(row.name));
  const of = group ? (group.levels ? group.levels[group.code[i]] : format(group.number[i])) : null;
  const lines = page.dim ? [] : page.columns.slice(0,
    6).map((c, j) => h("div", {}, name(shortened(c.name, 18)), ": ", name(shortened(cellText(c, row.values[j]), 18))));
  const more = !page.dim && page.columns.length > 6 ? h("div", {}, `and ${page.columns.length - 6} more`) : null;
  const image = page.dim ? paintedImage(page, row.values,
    h("canvas", {style: {width: "72px", height: `${72 * page.dim[0] / page.dim[1]}px`, imageRendering: "pixelated"}}))
    : null;
  return [image, title, of !== null && of !== undefined ? h("div", {}, name(of)) : null, ...lines,
    more].filter(Boolean);
};

// Each column's mean and 90 % of its distribution, or the probabilities of its levels.
const columnTable = (page, model, found) => h("div", {class: "scroll"}, h("table", {}, h("thead", {}, h("tr", {},
  h("th", {scope: "col"}, "column"), h("th", {scope: "col", class: "number"}, "mean"),
    h("th", {scope: "col"}, "distribution"))),
h("tbody", {}, page.columns.map((c, j) => {
  const f = found[j];
  if (f.prob) {
    return h("tr", {}, h("th", {scope: "row"}, name(c.name)),
      h("td", {class: "number"}, name(shortened(c.levels[model.shownValue(j, f)], 16))),
      h("td", {}, probabilityBars(c.levels, f.prob)));
  }
  const ends = [model.quantile(j, f, 0.05), model.quantile(j, f, 0.95)];
  return h("tr", {}, h("th", {scope: "row"}, name(c.name)),
    h("td", {class: "number", "data-column": j, "data-value": f.mean}, format(f.mean)),
    h("td", {}, spanBar(c, f.mean, ends)));
}))));
const spanBar = (c, mean, [low, high]) => {
  const from = Math.min(c.low, mean), to = Math.max(c.high, mean), at = (v) => 4 +
    132 * Math.min(1, Math.max(0, (v - from) / (to - from || 1)));
  const known = low !== null && high !== null;
  return s("svg", {viewBox: "0 0 140 18", width: 140, height: 18, role: "img",
    "aria-label": known ? `90 % between ${format(low)} and ${format(high)}` : `mean ${format(mean)}`},
  s("line", {x1: 4, x2: 136, y1: 9, y2: 9, stroke: "#d5dce3", "stroke-width": 2}),
  known ? s("line", {x1: at(low), x2: at(high), y1: 9, y2: 9, stroke: COLOURS[0], "stroke-width": 7,
    "stroke-opacity": 0.35, "stroke-linecap": "round"}) : null,
  s("circle", {cx: at(mean), cy: 9, r: 4.5, fill: COLOURS[0]}));
};
const rowTable = (page, rows) => h("div", {class: "scroll"}, h("table", {}, h("thead", {}, h("tr", {},
  page.columns.map((c) => h("th", {scope: "col", class: c.levels ? null : "number"}, name(c.name))))),
h("tbody", {}, rows.map((row) => h("tr", {}, page.columns.map((c, j) =>
  h("td", {class: c.levels ? null : "number"}, name(cellText(c, row[j])))))))));

// ---- images

const pixelEnds = (page) => {
  if (!page.pixelEnds) page.pixelEnds = [Math.min(...page.columns.map((c) => (c.levels ? 0 : c.low))),
    Math.max(...page.columns.map((c) => (c.levels ? 1 : c.high)))];
  return page.pixelEnds;
};
// The least value is white, the greatest black; a missing pixel is orange.
const inkOf = (page, v) => {
  if (v === null || v === undefined || v !== v) return [230, 159, 0];
  const [low, high] = pixelEnds(page), shade = 255 - Math.round(255 * Math.min(1,
    Math.max(0, (v - low) / (high - low || 1))));
  return [shade, shade, shade];
};
const paintedImage = (page, pixels, canvas) => {
  const [tall, wide] = page.dim;
  canvas.width = wide;
  canvas.height = tall;
  const context = canvas.getContext("2d"), image = context.createImageData(wide, tall);
  pixels.forEach((v, i) => image.data.set([...inkOf(page, v), 255], 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
};
const imageOf = (page, pixels, label) => paintedImage(page, pixels,
  h("canvas", {class: "pixels", role: "img", "aria-label": `${label}, ${imageWords(page, pixels)}`}));
const imageWords = (page, pixels) => {
  const [low, high] = pixelEnds(page), n = pixels.filter((v) => v > (low + high) / 2).length;
  return `${page.dim[0]} by ${page.dim[1]} pixels, ${n} of them dark`;
};
const mosaic = (canvas, page, at, across, down) => {
  const [tall, wide] = page.dim;
  canvas.width = across * (wide + 2);
  canvas.height = down * (tall + 2);
  const context = canvas.getContext("2d");
  for (let j = 0; j < down; j++) for (let i = 0; i < across; i++) {
    const image = context.createImageData(wide, tall);
    at(i, j).forEach((f, p) => {
      const shade = inkOf(page, f.prob ? f.prob[1] : f.mean).map((v) => 255 - (255 - v) * 0.5);
      image.data.set([...shade, 255], 4 * p);
    });
    context.putImageData(image, i * (wide + 2) + 1, j * (tall + 2) + 1);
  }
};
// A column's mean as a shade, or the colour of its likeliest level, the paler the less likely.
const shades = (canvas, c, j, at, across, down) => {
  canvas.width = across;
  canvas.height = down;
  const found = [];
  for (let y = 0; y < down; y++) for (let x = 0; x < across; x++) found.push(at(x, y)[j]);
  const means = found.map((f) => f.mean), ends = [Math.min(...means), Math.max(...means)];
  const context = canvas.getContext("2d"), image = context.createImageData(across, down);
  found.forEach((f, i) => {
    let rgb;
    if (f.prob) {
      const most = Math.max(...f.prob), hex = COLOURS[f.prob.indexOf(most) % COLOURS.length];
      rgb = [1, 3, 5].map((p) => 255 - (255 - parseInt(hex.slice(p, p + 2), 16)) * 0.5 * most);
    } else {
      rgb = scaleRgb((f.mean - ends[0]) / (ends[1] - ends[0] || 1)).map((v) => 255 - (255 - v) * 0.55);
    }
    image.data.set([...rgb, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
};
// From dark blue to yellow, of which lightness alone tells the order.
const SCALE = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const scaleRgb = (share) => {
  const at = Math.min(0.9999, Math.max(0, share)) * (SCALE.length - 1), k = Math.floor(at);
  return SCALE[k].map((v, i) => Math.round(v + (at - k) * (SCALE[k + 1][i] - v)));
};
const scaleColour = (v, ends) => (v === null ? "#999999"
  : `rgb(${scaleRgb((v - ends[0]) / (ends[1] - ends[0] || 1)).join(",")})`);

// ---- a row that the reader makes

const ownRow = (page, model, changed) => {
  if (page.dim) return ownImage(page, changed);
  const inputs = [], back = [];
  let row = [];
  const read = () => changed(row.slice());
  const body = h("tbody", {}, page.columns.map((c, j) => {
    const label = {"aria-label": c.name};
    inputs[j] = c.levels ? h("select", label, h("option", {value: ""}, "missing"),
      c.levels.map((l, i) => h("option", {value: i}, l)))
      : h("input", {...label, type: "number", step: "any", placeholder: "missing", style: {width: "120px"}});
    inputs[j].addEventListener(c.levels ? "change" : "input", () => {
      const v = inputs[j].value === "" ? null : +inputs[j].value;
      row[j] = v !== null && !allowed(page.blocks[c.block], v) ? null : v;
      read();
    });
    back[j] = h("td", {class: "number"});
    return h("tr", {}, h("th", {scope: "row"}, name(c.name)), h("td", {}, inputs[j]), back[j]);
  }));
  const where = h("p", {class: "soft small", style: {margin: "8px 0 0"}});
  return {
    element: h("div", {}, h("p", {class: "soft small"},
      "Change entries, or leave them empty: the encoder finds the row's code, the decoder what it makes of it, and missing entries are filled in."),
      h("div", {class: "scroll"}, h("table", {}, h("thead", {},
        h("tr", {}, h("th", {scope: "col"}, "column"), h("th", {scope: "col"}, "row"),
        h("th", {scope: "col", class: "number"}, "reconstruction"))), body)), where),
    set: (values) => {
      row = values;
      inputs.forEach((input, j) => input.value = row[j] === null ? "" : String(row[j]));
    },
    show: (values, code, found) => {
      page.columns.forEach((c, j) => {
        const v = model.shownValue(j, found[j]), missing = values[j] === null;
        back[j].replaceChildren(h("span", {class: missing ? "filled" : null}, name(cellText(c, v)),
          missing ? " (filled in)" : ""));
      });
      where.textContent = "Code: " + Array.from(code.z).map((z, i) => `z${i + 1} = ${format(z, 3)}` +
        (code.sd ? ` ± ${format(code.sd[i], 2)}` : "")).join(", ");
    }
  };
};
// What a family's values may be.
const allowed = (block, v) => {
  if (!Number.isFinite(v)) return false;
  if (block.kind === "count") return v >= 0 && Number.isInteger(v);
  if (block.kind === "positive" || block.kind === "time") return v > 0;
  if (block.kind === "share") return v > 0 && v < 1;
  return block.kind !== "binary" || v >= 0 && v <= 1;
};

// An image to paint on, by pointer, or by arrow keys and the space bar.
const ownImage = (page, changed) => {
  const [tall, wide] = page.dim, ends = pixelEnds(page);
  const canvas = h("canvas", {class: "pixels paint", tabindex: 0, role: "application"});
  const back = h("div", {}), where = h("p", {class: "soft small", style: {margin: "8px 0 0"}});
  let row = page.columns.map(() => ends[0]), brush = "ink", at = 0, paints = false;
  const repaint = () => {
    paintedImage(page, row, canvas);
    put(canvas, {"aria-label": `Your image, ${imageWords(page, row)}; pixel in row ${Math.floor(at / wide) + 1}, column ${at % wide + 1}. Arrow keys move, the space bar paints.`});
  };
  const paint = (i, strength = 1) => {
    if (i < 0 || i >= row.length) return;
    const now = row[i] === null ? ends[0] : row[i];
    row[i] = brush === "missing" ? null : brush === "ink" ? Math.max(now, ends[0] + strength * (ends[1] - ends[0]))
      : ends[0];
    if (page.columns[i].levels) row[i] = row[i] === null ? null : Math.round(row[i]);
  };
  const stroke = (e) => {
    const r = canvas.getBoundingClientRect();
    const x = Math.floor((e.clientX - r.left) / r.width * wide), y = Math.floor((e.clientY - r.top) / r.height * tall);
    if (x < 0 || y < 0 || x >= wide || y >= tall) return;
    at = y * wide + x;
    paint(at);
    if (brush === "ink" && wide > 12) {
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) if (x + dx >= 0 && x + dx < wide) paint(at + dx +
        dy * wide, 0.6);
    }
    repaint();
    changed(row.slice());
  };
  canvas.addEventListener("pointerdown", (e) => {
    paints = true;
    canvas.setPointerCapture(e.pointerId);
    stroke(e);
  });
  canvas.addEventListener("pointermove", (e) => paints && stroke(e));
  canvas.addEventListener("pointerup", () => paints = false);
  canvas.addEventListener("pointercancel", () => paints = false);
  canvas.addEventListener("keydown", (e) => {
    const by = {ArrowRight: 1, ArrowLeft: -1, ArrowUp: -wide, ArrowDown: wide}[e.key];
    if (by !== undefined) at = Math.min(row.length - 1, Math.max(0, at + by));
    else if (e.key === " ") paint(at);
    else return;
    e.preventDefault();
    repaint();
    if (e.key === " ") changed(row.slice());
    say(`row ${Math.floor(at / wide) + 1}, column ${at % wide + 1}`);
  });
  return {
    element: h("div", {}, h("p", {class: "soft small"},
      "Paint an image, or take a row: the encoder finds its code, and the decoder what it makes of it. Missing pixels are filled in."),
      h("div", {class: "row", style: {marginBottom: "8px"}},
        choice("Brush", [["ink", "dark"], ["erase", "light"], ["missing", "missing"]], brush, (v) => brush = v),
        button("Clear", () => {
          row = row.map(() => ends[0]);
          repaint();
          changed(row.slice());
        })),
      h("div", {class: "two", style: {gridTemplateColumns: "1fr 1fr", gap: "10px"}},
        h("div", {}, h("div", {class: "soft small"}, "yours"), canvas),
        h("div", {}, h("div", {class: "soft small"}, "reconstruction"), back)), where),
    set: (values) => {
      row = values;
      repaint();
    },
    show: (values, code, found) => {
      back.replaceChildren(imageOf(page, found.map((f) => (f.prob ? f.prob[1] : f.mean)), "The reconstruction"));
      where.textContent = "Code: " + Array.from(code.z).map((z, i) => `z${i + 1} = ${format(z, 3)}`).join(", ");
    }
  };
};

// ---- what the plane is drawn of

const equalUnits = (x, y, inner) => {
  const per = Math.max((x[1] - x[0]) / inner[0], (y[1] - y[0]) / inner[1]);
  const wide = (range, n) => {
    const middle = (range[0] + range[1]) / 2;
    return [middle - per * n / 2, middle + per * n / 2];
  };
  return [wide(x, inner[0]), wide(y, inner[1])];
};
const drawPlaneAxes = (svg, {box, inner, x, y, px, py, one}, dims, page) => {
  const bottom = box.top + inner[1];
  svg.append(s("rect", {x: box.left, y: box.top, width: inner[0], height: inner[1], fill: "none", stroke: "#d5dce3",
    rx: 4}));
  for (const t of ticksOf(x[0], x[1], 6)) svg.append(s("text", {x: px(t), y: bottom + 17, "text-anchor": "middle"},
    format(t)));
  svg.append(s("text", {class: "title", x: box.left + inner[0] / 2, y: bottom + 36, "text-anchor": "middle"},
    `z${dims[0] + 1}`));
  if (one) return;
  for (const t of ticksOf(y[0], y[1], 6)) svg.append(s("text", {x: box.left - 6, y: py(t) + 4, "text-anchor": "end"},
    format(t)));
  svg.append(s("text", {class: "title", transform: `translate(12 ${box.top + inner[1] / 2}) rotate(-90)`,
    "text-anchor": "middle"}, `z${dims[1] + 1}`));
  if (!page.prior) return;
  const clip = "plane-clip";
  svg.append(s("clipPath", {id: clip}, s("rect", {x: box.left, y: box.top, width: inner[0], height: inner[1]})));
  // within a circle of this radius are the shares p of a standard normal distribution in two dimensions
  for (const p of [0.5, 0.8, 0.95]) {
    const r = Math.sqrt(-2 * Math.log(1 - p)), radius = Math.abs(px(r) - px(0));
    svg.append(s("circle", {"clip-path": `url(#${clip})`, cx: px(0), cy: py(0), r: radius, fill: "none",
      stroke: "#8794a1", "stroke-dasharray": "4 4"}),
      s("text", {x: px(0), y: py(0) - radius - 3, "text-anchor": "middle", style: {fontSize: "10.5px"}},
        `${100 * p} %`));
  }
};
const drawCode = (svg, {px, py, one}, state) => {
  const {z, sd} = state.code, [a, b] = state.dims, x = px(z[a]), y = py(one ? 0 : z[b]);
  if (sd && !one) {
    svg.append(s("ellipse", {cx: x, cy: y, rx: Math.abs(px(2 * sd[a]) - px(0)), ry: Math.abs(py(2 * sd[b]) - py(0)),
      fill: "#d55e0014", stroke: "#D55E00", "stroke-width": 1.5}));
  }
  svg.append(s("path", {d: `M${x},${y - 9}L${x + 9},${y}L${x},${y + 9}L${x - 9},${y}Z`, fill: "#D55E00",
    stroke: "#fff", "stroke-width": 2}));
};
const groupLegend = (page, state, refresh) => {
  const group = page.rows.group;
  if (!group) return null;
  if (group.levels) {
    return h("ul", {class: "legend"}, group.levels.map((l, i) => {
      const label = checkbox("", true, (v) => {
        if (v) state.hidden.delete(i);
        else state.hidden.add(i);
        refresh();
      });
      label.append(s("svg", {class: "swatch", viewBox: "0 0 14 14", "aria-hidden": "true"}, markOf(i, 7, 7, 5, 1)),
        name(l));
      return h("li", {}, label);
    }));
  }
  const known = group.number.filter((v) => v !== null);
  group.ends = [Math.min(...known), Math.max(...known)];
  return h("div", {class: "legend"}, format(group.ends[0]),
    h("div", {role: "img", "aria-label": "colours from dark to light",
    style: {width: "140px", height: "14px", borderRadius: "4px",
    background: `linear-gradient(90deg, ${SCALE.map((c) => `rgb(${c.join(",")})`).join(",")})`}}),
      format(group.ends[1]));
};
const planeHint = (page) => "Drag the ring, or use the arrow keys, and see what it decodes to. " +
  "Points are rows; choose one to see it as a row. " +
  (page.prior ? "Dashed: the shares of the prior within. " : "") + "Orange: the code of the row" +
    (page.prior ? ", and two standard deviations of it." : ".");
const planeWords = (page, state, found, model) => {
  const at = state.z.map((z, i) => `z${i + 1} ${format(z, 3)}`).join(", ");
  const values = found.map((f, j) => model.shownValue(j, f));
  const what = page.dim ? imageWords(page, values)
    : page.columns.slice(0, 8).map((c, j) => `${c.name} ${cellText(c, values[j])}`).join(", ");
  return `At ${at}: ${what}`;
};
