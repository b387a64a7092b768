// Elements. Texts of the data come in as text nodes alone, so that nothing in them is read as HTML.

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];

const put = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of [children].flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
  }
  return element;
};
const h = (tag, attributes, ...children) => put(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => put(document.createElementNS("http://www.w3.org/2000/svg", tag),
  attributes, children);
// A text of the data, whose direction of writing does not reach beyond it.
const name = (text) => h("bdi", {}, text);
const isolated = (text) => "\u2068" + text + "\u2069";

// Four significant digits, or more where `like` numbers need them.
const format = (x, digits = 4) => {
  if (x === null || x === undefined || x !== x) return "–";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size >= 1e7 || size < 1e-4 ? x.toExponential(digits - 2)
    : size >= 1000 ? String(Math.round(x)) : String(+x.toPrecision(digits));
  return text.replace("-", "−");
};
const percent = (p) => (100 * p).toFixed(p > 0.0005 && p < 0.9995 ? 1 : 0) + " %";
const shortened = (text, most) => {
  const letters = Array.from(String(text));
  return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : String(text);
};
const dateText = (kind, v) => {
  const date = new Date(kind === "Date" ? v * 864e5 : v * 1000);
  if (Number.isNaN(date.getTime())) return format(v);
  return kind === "Date" ? date.toISOString().slice(0, 10) : date.toISOString().slice(0, 16).replace("T", " ");
};
// A predictor's value in words.
const valueText = (p, v) => {
  if (v === null || v === undefined) return "missing";
  return p.kind === "Date" || p.kind === "POSIXct" ? dateText(p.kind, v) : typeof v === "number" ? format(v)
    : String(v);
};

const whenSized = (element, draw) => {
  let width = 0;
  const look = () => {
    if (element.clientWidth && element.clientWidth !== width) {
      width = element.clientWidth;
      draw();
    }
  };
  new ResizeObserver(() => requestAnimationFrame(look)).observe(element); // what it changes at once may resize again
};

// Calls f once before the next picture, however often it is asked for.
const soon = (f) => {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      f();
    });
  };
};

// What a screen reader hears.
let liveRegion = null;
let liveTimer = 0;
const say = (text) => {
  clearTimeout(liveTimer);
  liveTimer = setTimeout(() => {
    if (liveRegion) liveRegion.textContent = text;
  }, 300);
};

const button = (text, onclick, kind = "plain") => h("button", {type: "button", class: kind, onclick}, text);
const checkbox = (text, checked, change) => {
  const box = h("input", {type: "checkbox"});
  box.checked = checked;
  box.addEventListener("change", () => change(box.checked));
  return h("label", {class: "check"}, box, text);
};
// A choice among [value, text] pairs.
const choice = (label, options, value, change) => {
  const list = h("select", {}, options.map(([v, text]) => h("option", {value: v}, text)));
  list.value = String(value);
  list.addEventListener("change", () => change(list.value));
  return h("label", {class: "field"}, label ? h("span", {class: "soft"}, label) : null, list);
};

// Tabs: a list of [title, element]; arrow keys go from one to the next.
const tabs = (label, parts, onchange) => {
  const heads = parts.map(([title], i) => h("button", {
    type: "button", role: "tab", id: `${label}-tab-${i}`, "aria-controls": `${label}-panel-${i}`,
    onclick: () => show(i), onkeydown: (e) => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[e.key];
      if (!step) return;
      e.preventDefault();
      show((i + step + parts.length) % parts.length);
      heads[(i + step + parts.length) % parts.length].focus();
    }
  }, title));
  const panels = parts.map(([, element], i) => h("div", {
    role: "tabpanel", id: `${label}-panel-${i}`, "aria-labelledby": `${label}-tab-${i}`
  }, element));
  const show = (k) => {
    heads.forEach((head, i) => {
      head.setAttribute("aria-selected", i === k ? "true" : "false");
      head.tabIndex = i === k ? 0 : -1;
      panels[i].hidden = i !== k;
    });
    if (onchange) onchange(k);
  };
  const list = h("div", {role: "tablist", "aria-label": label}, heads);
  return {list, panels, show};
};

// Controls for predictors: one for each, with its value; change(index, value).
const predictorControls = (predictors, values, change) => {
  const setters = [];
  const element = h("div", {class: "controls"}, predictors.map((p, i) => {
    const id = `predictor-${i}`;
    const label = h("label", {class: "name", for: id}, name(p.name), p.offset ? " (offset)" : "");
    if (p.kind === "level" || p.kind === "logical") {
      const levels = p.kind === "level" ? p.levels : [false, true];
      const list = h("select", {id, class: "wide"}, levels.map((l, k) => h("option", {value: k}, String(l))));
      list.addEventListener("change", () => change(i, levels[+list.value]));
      setters[i] = (v) => list.value = String(levels.indexOf(v));
      return h("div", {class: "control"}, label, list);
    }
    const span = p.high - p.low || 1;
    const step = p.grid ? null : p.whole && span >= 8 ? 1 : span / 200;
    const last = p.grid ? p.grid.length - 1 : 0;
    const slider = h("input", {type: "range", id, min: p.grid ? 0 : p.low, max: p.grid ? last : p.high,
      step: p.grid ? 1 : step});
    const isTime = p.kind === "Date" || p.kind === "POSIXct";
    const box = isTime ? h("output", {class: "small"})
      : h("input", {type: "number", step: "any", "aria-label": `${p.name}, number`});
    slider.addEventListener("input", () => change(i, p.grid ? p.grid[+slider.value] : +slider.value));
    box.addEventListener("change", () => {
      const v = parseFloat(box.value);
      if (Number.isFinite(v)) change(i, onGridOf(p, v));
    });
    setters[i] = (v) => {
      slider.value = p.grid ? p.grid.indexOf(v) : v;
      slider.setAttribute("aria-valuetext", valueText(p, v));
      if (isTime) box.textContent = valueText(p, v);
      else if (document.activeElement !== box || parseFloat(box.value) !== v) box.value = +v.toPrecision(10);
    };
    return h("div", {class: "control"}, label, slider, box);
  }));
  const set = () => values.forEach((v, i) => setters[i](v));
  set();
  return {element, set};
};
const onGridOf = (p, v) => (p.grid ? p.grid.reduce((best, g) => (Math.abs(g - v) < Math.abs(best - v) ? g : best)) : v);
