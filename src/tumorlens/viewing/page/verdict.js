// What one reads first: what it is, how sure, where, and what was not said.

import { MEANING, count, hasChance, make, nameOf, sayChance, sayVerdict } from "./words.js";

/** What is in view: a study, a series of it, or one picture. */
export function describeVerdict({ study, scene, model, keys, go, researchUse }) {
  const spoken = study ?? scene.series ?? scene.slices[0];
  const alone = !study && !scene.series;
  const lone = scene.slices.length === 1;
  // A slice that is alone in its series speaks for itself.
  const told = spoken.verdict === null && lone ? scene.slices[0] : spoken;
  const kind = told === scene.slices[0] ? "slice" : study ? "study" : "series";
  const thresholds = model.thresholds[kind] ?? model.thresholds.slice;
  return [
    make("div", { class: "what" },
      make("p", { class: "of" }, describeSubject(study, scene, alone)),
      make("p", { class: "word", "data-verdict": told.verdict ?? "not_judged" }, sayVerdict(told.verdict)),
      make("p", {}, MEANING[String(told.verdict)])),
    make("div", { class: "sure" }, ...describeChance(told, thresholds)),
    make("div", { class: "where" }, ...describePlace(told, scene, keys, go)),
    make("div", { class: "not" }, ...describeLimits(scene, researchUse)),
  ];
}

function describeSubject(study, scene, alone) {
  const name = nameOf(study?.path ?? scene.path);
  if (alone) return `Picture ${name}`;
  if (study && study.series.length > 1) return `Study ${name}, ${count(study.series.length, "series", "series")}`;
  return `${study ? "Study" : "Series"} ${name}`;
}

function* describeChance(told, [low, high]) {
  const shown = hasChance(told.verdict) && told.tumor_probability !== null;
  yield make("h3", {}, "How sure");
  if (!shown) {
    yield make("p", { class: "number" }, "–");
    yield make("p", {}, "No number: the model gives no answer here.");
    return;
  }
  const chance = told.tumor_probability;
  yield make("p", { class: "number" }, sayChance(chance, [low, high]), " ", make("small", {}, "tumor probability"));
  const meter = make("div", { class: "meter", role: "img",
    "aria-label": `${sayChance(chance, [low, high])}; ${sayThresholds(low, high)}` },
  make("i", { class: "no" }), make("i", { class: "between" }), make("i", { class: "yes" }), make("b", {}));
  meter.style.setProperty("--low", low);
  meter.style.setProperty("--high", high);
  meter.style.setProperty("--chance", chance);
  yield meter;
  yield make("p", { class: "quiet" }, sayThresholds(low, high));
}

const sayThresholds = (low, high) =>
  (low === high ? `tumor from ${sayChance(high)}` : `no tumor below ${sayChance(low)}, tumor from ${sayChance(high)}`);

function* describePlace(told, scene, keys, go) {
  yield make("h3", {}, "Where");
  const asks = ["tumor", "uncertain"].includes(told.verdict);
  const find = (end) => scene.slices.findIndex((one) => one.path === end.path && one.frame === end.frame) + 1;
  const run = told.run ?? null;
  if (run && find(run.first)) {
    const [first, last] = [find(run.first), find(run.last)].sort((a, b) => a - b);
    const length = run.length_mm === null ? "" : `, ${run.length_mm.toFixed(0)} mm`;
    yield make("p", {}, first === last ? `Slice ${first} of ${scene.slices.length}${length}.`
      : `Slices ${first} to ${last} of ${scene.slices.length}${length}.`);
  } else if (asks && told.shown_boxes) {
    yield make("p", {}, told.shown_boxes.length ? `${count(told.shown_boxes.length, "box", "boxes")} in the picture.` : "No box in the picture.");
  } else {
    yield make("p", {}, asks ? "The evidence is in single slices." : "Nowhere in particular.");
  }
  if (keys.length && asks)
    yield make("button", { type: "button", onclick: () => go(keys[0].number, scene.slices[keys[0].number].shown_peak ?? undefined) },
      `Open slice ${keys[0].number + 1}`);
}

function* describeLimits(scene, researchUse) {
  yield make("h3", {}, "What not");
  const verdicts = scene.slices.map((one) => one.verdict);
  const [blind, strange] = ["not_judged", "unfamiliar"].map((word) => verdicts.filter((one) => one === word).length);
  if (blind) yield make("p", {}, `${blind} of ${count(scene.slices.length, "slice")} ${blind === 1 ? "is" : "are"} not judged.`);
  if (strange) yield make("p", {}, `${strange} of ${count(scene.slices.length, "slice")} ${strange === 1 ? "is" : "are"} unfamiliar.`);
  yield make("p", {}, "It says nothing of other disease.");
  yield make("p", { class: "research" }, researchUse);
}
