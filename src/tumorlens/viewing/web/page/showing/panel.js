// The words beside the picture: verdict, how sure, where, what not, notes, and the list of all.
import { speaks } from "./overlay.js";
import { LIMITS, VERDICTS, baseName, listFacts, numberOf, percent, sayItem, sayPlace, saySlice, saySure } from "./words.js";

const find = (id) => document.getElementById(id);

function make(name, words = "", attributes = {}) {
  const part = document.createElement(name);
  part.textContent = words;
  for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, value);
  return part;
}

/** Verdict of the study or slice that is shown; `example` says what it is if it is one of the page's own. */
export function showAnswer(item, model, example) {
  const shown = item.kind === "slice" ? item.series[0].findings[0] : item;
  const limits = item.kind === "slice" ? model.thresholds : model.studies?.study_points.balanced ?? model.thresholds;
  const what = item.kind === "slice" ? "slice" : item.series.length > 1 ? "study" : "series";
  find("answer").dataset.verdict = shown.verdict ?? "not_judged";
  find("verdict").textContent = VERDICTS[shown.verdict];
  find("subject").textContent = example ? `Example, ${what}: ${example}` : `${{ slice: "This slice", series: "This series", study: "This study" }[what]}: ${baseName(item.path)}`;
  find("sure").textContent = saySure(shown, limits, what);
  find("limits").textContent = LIMITS[shown.verdict] ?? "";
  showMeter(shown, limits);
}

function showMeter({ verdict, tumor }, { low, high }) {
  const meter = find("meter"), speaks = ["tumor", "no_tumor", "uncertain"].includes(verdict);
  meter.hidden = !speaks;
  if (!speaks) return;
  const [span, at] = meter.children;
  span.style.left = `${100 * low}%`;
  span.style.right = `${100 - 100 * high}%`;
  at.style.left = `${100 * tumor}%`;
}

/** What changes from slice to slice; the same in words, for who does not see the picture. */
export function showSlice(item, series, finding, marks) {
  const several = series.findings.length > 1, words = saySlice(finding, marks, item);
  const name = several ? `Slice ${numberOf(series, finding)} of ${series.findings.length}: ` : "";
  const verdict = `${name}${VERDICTS[finding.verdict]}, ${percent(finding.tumor)}`;
  find("slice-says").hidden = !several && !words;
  find("slice-verdict").hidden = !several;
  find("slice-verdict").textContent = verdict;
  find("slice-verdict").dataset.verdict = finding.verdict;
  find("slice-words").textContent = words;
  find("facts").replaceChildren(...listFacts(item, series, finding).flatMap(([key, value]) => [make("dt", key), make("dd", value)]));
  return `${verdict}. ${words} ${speaks(finding) ? `Strongest point: ${sayPlace(finding)}.` : ""}`.trim();
}

export function showNotes(item, series, errors, skipped) {
  const notes = [...new Set([...item.notes, ...(series?.notes ?? [])])];
  if (skipped) notes.push(`${skipped} ${skipped === 1 ? "file is" : "files are"} no scan and left out`);
  find("notes").replaceChildren(...notes.map((note) => make("li", note)), ...errors.map(({ path, reason }) =>
    make("li", `${baseName(path)} cannot be read: ${reason}`, { class: "error" })));
}

/** @param {(finding: object) => void} open */
export function showKeys(series, open) {
  const buttons = series.keys.map(({ finding, reason }) => {
    const { path, instance } = finding.info, stored = findStored(finding);
    const file = stored ? `in ${baseName(stored.path)}${stored.instance === null ? "" : ` (instance ${stored.instance})`}` : instance !== null ? `instance ${instance}, ${baseName(path)}` : "";
    const button = make("button", "", { type: "button", "data-verdict": finding.verdict });
    button.append(make("b", `Slice ${numberOf(series, finding)}`), make("span", [reason, file].filter(Boolean).join("; ")));
    button.onclick = () => open(finding);
    return button;
  });
  find("keys").replaceChildren(...(buttons.length ? [make("h3", "Open first"), ...buttons] : []));
}

// Of a slice that was cut from a volume: the stored slice in which its strongest point lies.
function findStored({ info: { stored }, peak: [x, y] }) {
  if (!stored) return null;
  const index = Math.floor(stored.along === "columns" ? x : y);
  return stored.slices[Math.min(Math.max(index, 0), stored.slices.length - 1)];
}

/** @param {(item: object, series: object) => void} open */
export function showItems(items, chosen, open) {
  const rows = items.flatMap((item) => {
    if (item.series.length === 1) return [makeRow(item, null, item, chosen, open)];
    return item.series.map((series) => makeRow(item, series, series, chosen, open));
  });
  find("items").replaceChildren(...(rows.length > 1 ? [make("h3", "All that was given"), ...rows] : []));
}

function makeRow(item, series, { verdict, tumor }, chosen, open) {
  const { name, told } = sayItem(item, series), target = series ?? item.series[0];
  const button = make("button", "", { type: "button", "data-verdict": verdict ?? "not_judged", "aria-pressed": String(target === chosen) });
  const says = `${VERDICTS[verdict]}${tumor === null || verdict === "unfamiliar" || verdict === "not_judged" ? "" : ` ${percent(tumor)}`}`;
  button.append(make("b", name), make("span", [says, told].filter(Boolean).join("; ")));
  button.onclick = () => open(item, target);
  return button;
}

/** The card of the model, for people. */
export function showCard({ card, thresholds }) {
  const list = (title, values) => (values?.length ? [make("h3", title), make("ul")] : []).map((part) => {
    if (part.tagName === "UL") part.append(...[values].flat().map((value) => make("li", typeof value === "string" ? value : JSON.stringify(value))));
    return part;
  });
  find("card-words").replaceChildren(
    make("p", `${card.name} ${card.version}. ${thresholds.meaning ? `Thresholds: ${thresholds.meaning}.` : ""}`),
    ...list("For", card.intended_use), ...list("Known failures", card.known_failures), make("p", `Licence: ${card.license}`));
}
