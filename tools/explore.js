// Does in a page what a reader does, and writes what is wrong into the document: an element "test". Runs before all
// else in the page to hear its errors, and when it has opened.

const wrong = [];
window.addEventListener("error", (e) => wrong.push(`error: ${e.message}`));
window.addEventListener("unhandledrejection", (e) => wrong.push(`error: ${e.reason}`));
document.addEventListener("securitypolicyviolation",
  (e) => wrong.push(`request: ${e.blockedURI} ${e.violatedDirective}`));
for (const kind of ["error", "warn"]) {
  const old = console[kind];
  console[kind] = (...words) => {
    wrong.push(`console: ${words.join(" ")}`);
    old(...words);
  };
}
Element.prototype.setPointerCapture = () => {}; // events made here have no pointer
const expect = (is, what) => {
  if (!is) wrong.push(what);
};
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
// A browser whose time is virtual draws few pictures: what is asked for before the next one is done at once.
window.requestAnimationFrame = (f) => setTimeout(() => f(performance.now()), 0);
const wait = () => new Promise((done) => setTimeout(done, 30));
const point = (element, type, x, y) => {
  const box = element.getBoundingClientRect();
  element.dispatchEvent(new PointerEvent(type, {bubbles: true, pointerId: 1, clientX: box.left + x * box.width,
    clientY: box.top + y * box.height}));
};
const drag = async (element, from, to) => {
  point(element, "pointerdown", ...from);
  point(element, "pointermove", (from[0] + to[0]) / 2, (from[1] + to[1]) / 2);
  point(element, "pointermove", ...to);
  point(element, "pointerup", ...to);
  await wait();
};
const press = async (element, key) => {
  element.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
  await wait();
};
const enter = async (element, value, type = "input") => {
  element.value = value;
  element.dispatchEvent(new Event(type, {bubbles: true}));
  await wait();
};
const changes = async (what, look, act) => {
  const before = look();
  await act();
  expect(look() !== before, `${what} changed nothing`);
};
const click = async (text) => {
  const found = all("button").find((b) => b.textContent === text);
  expect(found, `no button "${text}"`);
  if (found) found.click();
  await wait();
};
const picture = (canvas) => (canvas ? canvas.toDataURL() : "");

const testPredict = async () => {
  const answer = () => document.querySelector(".answer").textContent, chart = document.querySelector(".chart svg");
  if (chart.getAttribute("role") === "slider") {
    await changes("dragging in the curve", answer, () => drag(chart, [0.3, 0.5], [0.8, 0.5]));
    await changes("an arrow key on the curve", answer, async () => {
      for (let i = 0; i < 12; i++) await press(chart, "ArrowLeft");
    });
  }
  for (const mini of all(".mini .chart svg").slice(0, 3)) {
    await changes("dragging in an effect curve", () => mini.innerHTML, () => drag(mini, [0.35, 0.5], [0.9, 0.5]));
  }
  const slider = document.querySelector(".controls input[type=range]");
  if (slider) await changes("a slider", () => chart.innerHTML, () => enter(slider, slider.min));
  const by = all("select").filter((s) => s.parentElement.textContent.startsWith("by"))[0];
  if (by) {
    await changes("a second predictor", () => chart.innerHTML,
      () => enter(by, by.options[by.options.length - 1].value, "change"));
    await enter(by, "-1", "change");
  }
  const draw = all("button").find((b) => b.textContent === "Draw a function");
  if (draw) await changes("drawing a function", () => all("path", chart).length, () => click("Draw a function"));
  for (const box of all(".card input[type=checkbox]")) {
    await changes(`the box "${box.parentElement.textContent}"`, () => document.querySelector(".card").innerHTML,
      async () => {
      box.click();
      await wait();
    });
    box.click();
  }
  all("details").forEach((d) => d.open = true);
  await wait();
  expect(all("details tbody tr").length > 1, "the curve has no table");
};

const testCodes = async () => {
  const panel = all("[role=tabpanel] [role=tabpanel]"), plane = document.querySelector(".plane svg");
  const decoded = () => picture(panel[0].querySelector("canvas")) + panel[0].textContent;
  await changes("dragging on the plane", decoded, () => drag(plane, [0.5, 0.47], [0.2, 0.2]));
  await changes("an arrow key on the plane", decoded, async () => {
    for (let i = 0; i < 9; i++) await press(plane, "ArrowRight");
  });
  await changes("a slider of a code", decoded, () => enter(document.querySelector("#code-0"), "1.7"));
  expect(plane.getAttribute("aria-label").length > 20, "the plane has no words");
  const own = panel[1], look = () => own.textContent + all("canvas", own).map(picture).join("");
  all("[role=tab]").find((t) => /^A row|^An image/.test(t.textContent)).click();
  await wait();
  const canvas = own.querySelector("canvas.paint");
  if (canvas) {
    await changes("painting", look, () => drag(canvas, [0.3, 0.2], [0.6, 0.8]));
  } else {
    for (const input of all("tbody input, tbody select", own).slice(0, 3)) {
      const value = input.tagName === "SELECT" ? input.options[input.options.length - 1].value
        : String(2 * input.value + 1);
      await changes("an entry of the row", look, () =>
        enter(input, value, input.tagName === "SELECT" ? "change" : "input"));
    }
    const first = own.querySelector("tbody input, tbody select");
    await enter(first, "", first.tagName === "SELECT" ? "change" : "input");
    expect(own.textContent.includes("filled in"), "a missing entry is not filled in");
  }
  await changes("a row that is taken", look, () => enter(all("select", own).pop(), "3", "change"));
  await click("Simulate");
  await changes("simulating", () => panel[2].innerHTML, () => click("Simulate"));
  const behind = all("select").find((s) => s.parentElement.textContent.startsWith("Behind"));
  if (behind) {
    await enter(behind, behind.options[1].value, "change");
    expect(picture(document.querySelector(".plane canvas")).length > 500, "nothing is behind the points");
  }
};

const testPage = async () => {
  await wait();
  const foot = document.getElementById("check");
  expect(foot && +foot.dataset.worst < 1e-6, `numbers differ: ${foot ? foot.dataset.worst || foot.textContent : "no check"}`);
  const page = JSON.parse(document.getElementById("page-data").textContent);
  await (page.kind === "predict" ? testPredict() : testCodes());
  for (const svg of all("svg")) {
    if (svg.getAttribute("aria-hidden") !== "true") expect(svg.getAttribute("aria-label"), "a picture has no words");
  }
  for (const input of all("input, select")) {
    expect(input.getAttribute("aria-label") || input.labels && input.labels.length, "a control has no label");
  }
  for (const tab of all("[aria-label=View] [role=tab]").reverse()) {
    tab.click();
    await wait();
    expect(document.documentElement.scrollWidth <= window.innerWidth + 1,
      `"${tab.textContent}" is ${document.documentElement.scrollWidth} wide in a window of ${window.innerWidth}`);
  }
  expect(!window.injected, "a text of the data ran as a script");
  expect(!document.querySelector("img, iframe, object, b, i"), "a text of the data became an element");
  const out = document.createElement("pre");
  out.id = "test";
  out.hidden = true;
  out.textContent = JSON.stringify({wrong, worst: foot ? +foot.dataset.worst : null, n: foot ? +foot.dataset.n : 0});
  document.body.append(out);
};
window.addEventListener("load", testPage);
