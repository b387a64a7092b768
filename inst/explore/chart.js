// Charts of lines, bands and points in SVG, as wide as they have room.

const ticksOf = (low, high, n) => {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / n, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((k) => k >= rough);
  const out = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) out.push(+(k * step).toPrecision(12));
  return out;
};
const paddedRange = (values, share = 0.04) => {
  let low = Infinity, high = -Infinity;
  for (const v of values) {
    if (!Number.isFinite(v)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  if (!(low <= high)) return [0, 1];
  const pad = (high - low) * share || Math.abs(low) * 0.1 || 1;
  return [low - pad, high + pad];
};
const pathOf = (points) => {
  let out = "", pen = "M";
  for (const [x, y] of points) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      pen = "M";
      continue;
    }
    out += `${pen}${x.toFixed(2)},${y.toFixed(2)}`;
    pen = "L";
  }
  return out;
};

const SHAPES = [
  (x, y, r) => s("circle", {cx: x, cy: y, r}),
  (x, y, r) => s("path", {d: `M${x},${y - r * 1.25}L${x + r * 1.15},${y + r * 0.8}L${x - r * 1.15},${y + r * 0.8}Z`}),
  (x, y, r) => s("rect", {x: x - r * 0.9, y: y - r * 0.9, width: 1.8 * r, height: 1.8 * r}),
  (x, y, r) => s("path", {d: `M${x},${y - r * 1.35}L${x + r * 1.35},${y}L${x},${y + r * 1.35}L${x - r * 1.35},${y}Z`}),
  (x, y, r) => s("path", {d: `M${x - r},${y - r}L${x + r},${y + r}M${x - r},${y + r}L${x + r},${y - r}`,
    "stroke-width": 2})
];
const markOf = (code, x, y, r, opacity) => {
  const colour = COLOURS[code % COLOURS.length];
  const mark = SHAPES[Math.floor(code / COLOURS.length) % SHAPES.length](x, y, r);
  put(mark, {fill: colour, "fill-opacity": opacity, stroke: mark.getAttribute("stroke-width") ? colour : null});
  return mark;
};
const legendOf = (items) => h("ul", {class: "legend"}, items.map(([code, text]) => h("li", {},
  s("svg", {class: "swatch", viewBox: "0 0 14 14", "aria-hidden": "true"}, markOf(code, 7, 7, 5, 1)), name(text))));

// A chart within `host`. draw(spec) shows x and y {low, high, label, levels}, bands [{points: [x, low, high], colour}],
// lines [{points, colour, width, dash, opacity}], dots [{x, y, code}], marker [x, y], label (what it says, in words)
// and move(x), by which pointer and arrow keys move the marker.
const newChart = (host, {height = 360, small = false} = {}) => {
  let spec = null, frame = null;
  const svg = s("svg", {});
  host.append(svg);
  const draw = () => {
    if (!spec || !host.clientWidth) return;
    const width = host.clientWidth, tall = typeof height === "function" ? height(width) : height;
    const longest = Math.max(...ticksOf(spec.y.low, spec.y.high, small ? 3 : 5).map((t) => format(t).length));
    const box = {left: 12 + 7.2 * longest + (small ? 0 : 20), right: small ? 8 : 14, top: small ? 8 : 14,
      bottom: small ? 22 : 46};
    const inner = [width - box.left - box.right, tall - box.top - box.bottom];
    const px = (x) => box.left + (x - spec.x.low) / (spec.x.high - spec.x.low || 1) * inner[0];
    const py = (y) => box.top + (spec.y.high - y) / (spec.y.high - spec.y.low || 1) * inner[1];
    frame = {box, inner, px, py};
    svg.replaceChildren();
    put(svg, {viewBox: `0 0 ${width} ${tall}`, height: tall});
    drawAxes(svg, spec, frame, small, tall);
    const clip = `clip-${chartNumber()}`;
    svg.append(s("clipPath", {id: clip}, s("rect", {x: box.left - 1, y: box.top - 1, width: inner[0] + 2,
      height: inner[1] + 2})));
    const inside = s("g", {"clip-path": `url(#${clip})`});
    svg.append(inside);
    for (const dot of spec.dots || []) inside.append(markOf(dot.code || 0, px(dot.x), py(dot.y), small ? 2 : 3.2,
      dot.opacity || 0.45));
    for (const band of spec.bands || []) {
      const up = band.points.map(([x, , high]) => [px(x), py(high)]),
        down = band.points.map(([x, low]) => [px(x), py(low)]);
      if (spec.x.levels) {
        up.forEach(([x], i) => inside.append(s("line",
          {x1: x + (band.shift || 0), x2: x + (band.shift || 0), y1: up[i][1], y2: down[i][1],
          stroke: band.colour, "stroke-width": band.width || 8, "stroke-opacity": band.opacity || 0.25,
            "stroke-linecap": "round"})));
      } else {
        inside.append(s("path", {d: pathOf([...up, ...down.reverse()]) + "Z", fill: band.colour,
          "fill-opacity": band.opacity || 0.18}));
      }
    }
    for (const line of spec.lines || []) {
      const at = line.points.map(([x, y]) => [px(x) + (line.shift || 0), py(y)]);
      inside.append(s("path", {d: pathOf(at), fill: "none", stroke: line.colour, "stroke-width": line.width || 2.2,
        "stroke-dasharray": line.dash, "stroke-opacity": spec.x.levels ? 0.35 : line.opacity || 1,
          "stroke-linejoin": "round"}));
      if (spec.x.levels) at.forEach(([x, y]) => inside.append(s("circle",
        {cx: x, cy: y, r: small ? 3.5 : 5, fill: line.colour, "fill-opacity": line.opacity || 1})));
    }
    if (spec.marker) {
      const [x, y] = spec.marker;
      svg.append(s("line", {x1: px(x), x2: px(x), y1: box.top, y2: box.top + inner[1], stroke: "#1b2733",
        "stroke-dasharray": "3 4", "stroke-opacity": 0.6}));
      if (Number.isFinite(y)) svg.append(s("circle",
        {cx: px(x), cy: py(y), r: small ? 5 : 7, fill: "#fff", stroke: "#1b2733", "stroke-width": 2.2}));
    }
  };
  const ends = () => [spec.x.first ?? spec.x.low, spec.x.last ?? spec.x.high];
  const within = (x) => Math.min(ends()[1], Math.max(ends()[0], x));
  const moveTo = (event) => {
    if (!spec || !spec.move || !frame) return;
    const share = (event.clientX - svg.getBoundingClientRect().left - frame.box.left) / frame.inner[0];
    spec.move(within(spec.x.low + share * (spec.x.high - spec.x.low)));
  };
  let drags = false;
  svg.addEventListener("pointerdown", (e) => {
    if (!spec || !spec.move) return;
    drags = true;
    svg.setPointerCapture(e.pointerId);
    moveTo(e);
  });
  svg.addEventListener("pointermove", (e) => drags && moveTo(e));
  svg.addEventListener("pointerup", () => drags = false);
  svg.addEventListener("pointercancel", () => drags = false);
  svg.addEventListener("keydown", (e) => {
    if (!spec || !spec.move || !spec.marker) return;
    const span = spec.x.high - spec.x.low, step = spec.x.levels ? 1 : span / 100;
    const by = {ArrowRight: step, ArrowUp: step, ArrowLeft: -step, ArrowDown: -step, PageUp: 10 * step,
      PageDown: -10 * step}[e.key];
    const to = e.key === "Home" ? ends()[0] : e.key === "End" ? ends()[1] : by ? spec.marker[0] + by : null;
    if (to === null) return;
    e.preventDefault();
    spec.move(within(to));
  });
  whenSized(host, draw);
  return {draw: (next) => {
    spec = next;
    describeChart(svg, spec);
    draw();
  }, svg};
};
let chartsMade = 0;
const chartNumber = () => ++chartsMade;

const drawAxes = (svg, spec, {box, inner, px, py}, small, tall) => {
  const bottom = box.top + inner[1];
  for (const t of ticksOf(spec.y.low, spec.y.high, small ? 3 : 5)) {
    svg.append(s("line", {class: "gridline", x1: box.left, x2: box.left + inner[0], y1: py(t), y2: py(t)}),
      s("text", {x: box.left - 6, y: py(t) + 4, "text-anchor": "end"}, format(t)));
  }
  svg.append(s("line", {class: "axis", x1: box.left, x2: box.left + inner[0], y1: bottom, y2: bottom}));
  if (spec.x.levels) {
    const n = spec.x.levels.length, room = inner[0] / n / 7;
    const every = Math.ceil(n / Math.max(1, Math.floor(inner[0] / 34)));
    spec.x.levels.forEach((l, i) => {
      if (i % every === 0) svg.append(s("text", {x: px(i), y: bottom + 17, "text-anchor": "middle"},
        isolated(shortened(l, Math.max(3, Math.floor(room * every))))));
    });
  } else {
    const text = spec.x.text || format;
    const n = small ? 2 : Math.max(2, Math.floor(inner[0] / (spec.x.text ? 110 : 75)));
    for (const t of ticksOf(spec.x.low, spec.x.high, n)) {
      svg.append(s("line", {class: "axis", x1: px(t), x2: px(t), y1: bottom, y2: bottom + 4}),
        s("text", {x: px(t), y: bottom + 17, "text-anchor": "middle"}, text(t)));
    }
  }
  if (small) return;
  svg.append(s("text", {class: "title", x: box.left + inner[0] / 2, y: tall - 6, "text-anchor": "middle"},
    isolated(shortened(spec.x.label, 60))),
    s("text", {class: "title", transform: `translate(13 ${box.top + inner[1] / 2}) rotate(-90)`,
      "text-anchor": "middle"}, isolated(shortened(spec.y.label, 44))));
};

// In words for those who do not see it.
const describeChart = (svg, spec) => {
  const movable = spec.move && spec.marker;
  put(svg, {role: movable ? "slider" : "img", "aria-label": spec.label});
  svg.style.cursor = movable ? "ew-resize" : "default";
  svg.style.touchAction = movable ? "pan-y" : "auto";
  if (!movable) return;
  put(svg, {tabindex: 0, "aria-valuemin": spec.x.low, "aria-valuemax": spec.x.high, "aria-valuenow": spec.marker[0],
    "aria-valuetext": spec.valueText});
};
