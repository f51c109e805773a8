// The tumor probability along the slices: a curve that one can drag along.

import { count, hasChance, make, sayChance, sayVerdict } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000, HEIGHT = 132, TOP = 8, BOTTOM = 20;

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export class Curve {
  /** `go` hears the number of a slice that somebody points at. */
  constructor(place, go) {
    Object.assign(this, { place, go });
    place.addEventListener("pointerdown", (event) => {
      if (!this.slices || event.button || event.target.closest("button")) return;  // a key slice's
      place.setPointerCapture?.(event.pointerId);
      this.#point(event);
    });
    place.addEventListener("pointermove", (event) => event.buttons & 1 && this.slices && this.#point(event));
  }

  show(scene, thresholds, keys) {
    this.slices = scene.slices;
    this.keys = keys;
    this.thresholds = thresholds;
    this.place.hidden = this.slices.length < 2;
    const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(...this.#shade(), ...this.#lines(thresholds), this.#run(scene), this.#path(), ...this.#dots());
    this.cursor = draw("line", { class: "cursor", y1: 0, y2: HEIGHT - BOTTOM + 4 });
    svg.append(this.cursor);
    this.handle = make("span", {
      class: "handle", role: "slider", tabindex: "0", "aria-label": "Slice", "aria-valuemin": 1,
      "aria-valuemax": this.slices.length,
    });
    const [low, high] = thresholds;
    this.place.replaceChildren(
      make("p", { class: "head" }, make("b", {}, "Tumor probability along the slices"),
        ...(keys.length ? [make("span", { class: "chips" }, "Open first: ", ...keys.map((key) => this.#chip(key)))] : [])),
      make("div", { class: "plot" }, svg, this.handle,
        ...[[high, "tumor from here"], [low, "no tumor below"]].map(([level, words]) => label(level, words, high - low < 0.12))),
      make("p", { class: "legend" }, ...this.#legend(scene)));
    this.plot = this.place.querySelector(".plot");
  }

  move(number) {
    if (!this.cursor || !this.slices[number]) return;
    const x = this.#x(number);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.handle.style.left = `${x / WIDTH * 100}%`;
    const { verdict, tumor_probability: chance } = this.slices[number];
    this.handle.setAttribute("aria-valuenow", number + 1);
    this.handle.setAttribute("aria-valuetext", `slice ${number + 1} of ${this.slices.length}, ${sayVerdict(verdict)}`
      + (hasChance(verdict) ? ` ${sayChance(chance, this.thresholds)}` : ""));
    for (const chip of this.place.querySelectorAll(".chips button"))
      chip.setAttribute("aria-pressed", String(Number(chip.dataset.slice) === number));
  }

  #chip({ number, reason }) {
    return make("button", { type: "button", title: reason, "data-slice": number,
      onclick: () => this.go(number, this.slices[number].shown_peak ?? undefined) }, `slice ${number + 1}`);
  }

  #x(number) {
    return this.slices.length < 2 ? WIDTH / 2 : (number + 0.5) / this.slices.length * WIDTH;
  }

  #y(chance) { return TOP + (1 - chance) * (HEIGHT - TOP - BOTTOM); }

  /** Bands behind slices that have no probability, one for all that lie side by side. */
  *#shade() {
    const step = WIDTH / this.slices.length;
    for (let first = 0, next; first < this.slices.length; first = next) {
      const { verdict } = this.slices[first];
      next = this.slices.findIndex((one, number) => number > first && one.verdict !== verdict);
      if (next < 0) next = this.slices.length;
      if (!hasChance(verdict))
        yield draw("rect", { class: `band ${verdict}`, x: first * step, y: TOP, width: (next - first) * step, height: HEIGHT - TOP - BOTTOM });
    }
  }

  *#lines(thresholds) {
    for (const level of thresholds)
      yield draw("line", { class: "threshold", x1: 0, x2: WIDTH, y1: this.#y(level), y2: this.#y(level) });
    yield draw("line", { class: "base", x1: 0, x2: WIDTH, y1: this.#y(0), y2: this.#y(0) });
  }

  #run({ series, slices }) {
    const find = (end) => slices.findIndex((one) => one.path === end.path && one.frame === end.frame);
    if (!series?.run) return draw("g", {});
    const [first, last] = [find(series.run.first), find(series.run.last)].sort((a, b) => a - b);
    if (first < 0) return draw("g", {});
    const step = WIDTH / slices.length;
    return draw("rect", { class: "run", x: first * step, width: (last - first + 1) * step, y: HEIGHT - BOTTOM + 3, height: 5 });
  }

  #path() {
    let words = "", drawing = false;
    for (const [number, { verdict, tumor_probability: chance }] of this.slices.entries()) {
      const shown = hasChance(verdict);
      if (shown) words += `${drawing ? "L" : "M"}${this.#x(number).toFixed(1)},${this.#y(chance).toFixed(1)}`;
      drawing = shown;
    }
    return draw("path", { class: "line", d: words });
  }

  *#dots() {
    for (const { number } of this.keys) {
      const chance = this.slices[number].tumor_probability;
      yield draw("line", { class: "key", x1: this.#x(number), x2: this.#x(number), y1: this.#y(chance), y2: this.#y(0) });
    }
  }

  *#legend({ series }) {
    yield make("span", {}, "slice 1");
    const verdicts = new Set(this.slices.map((one) => one.verdict));
    if (series?.run) yield make("span", { class: "sample run" }, "evidence of the series");
    if (verdicts.has("not_judged")) yield make("span", { class: "sample not_judged" }, "not judged");
    if (verdicts.has("unfamiliar")) yield make("span", { class: "sample unfamiliar" }, "unfamiliar");
    yield make("span", {}, count(this.slices.length, "slice"));
  }

  #point(event) {
    const { left, width } = this.plot.getBoundingClientRect();
    if (!event.target.closest(".plot") && event.type === "pointerdown") return;
    this.go(Math.floor((event.clientX - left) / width * this.slices.length));
  }
}

/** The name of a threshold, above the higher line and below the lower one. */
function label(level, words, close) {
  const element = make("span", { class: `level${close && words.startsWith("no") ? " under" : ""}` }, words);
  element.style.top = `${(TOP + (1 - level) * (HEIGHT - TOP - BOTTOM)) / HEIGHT * 100}%`;
  return element;
}
