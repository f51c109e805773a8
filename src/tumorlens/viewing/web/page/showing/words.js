// What the page says of a finding, in plain sentences: what it is, how sure, where, what not.
import { speaks } from "./overlay.js";
import { rankLook } from "../judging/series.js";

export const VERDICTS = {
  tumor: "tumor", no_tumor: "no tumor", uncertain: "uncertain", unfamiliar: "unfamiliar", not_judged: "not judged", null: "no verdict",
};
const LOOKS = { on: "with skull", off: "skull removed" };

const share = (value, digits) => `${(100 * value).toFixed(digits)}\u00a0%`;

/** A probability as Python prints it: 63.1 %, never rounded to a threshold or to a certainty. */
export function percent(value, thresholds = []) {
  let told;
  for (let digits = 1; digits < 5; digits++) {
    told = share(value, digits);
    if (thresholds.includes(value) || thresholds.every((one) => share(one, digits) !== told)) break;
  }
  if (told === "0.0\u00a0%" && value > 0) return "<0.1\u00a0%";
  return told === "100.0\u00a0%" && value < 1 ? ">99.9\u00a0%" : told;
}

const many = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;
export const baseName = (path) => path.split("/").pop();

/** How sure: a sentence that names the thresholds. */
export function saySure({ verdict, tumor, unfamiliarity, outside }, { low, high }, what) {
  if (verdict === "not_judged" && outside > 1) return `The ${what} is no MRI of the brain as the model knows it, so there is nothing to judge.`;
  if (verdict === "not_judged") return `The ${what} shows no brain, so there is nothing to judge.`;
  if (verdict === "unfamiliar")
    return `The ${what} is unlike the pictures that the model was trained on, so its answer would mean nothing${unfamiliarity ? ` (unfamiliarity ${unfamiliarity.toFixed(2)}, over 1)` : ""}.`;
  if (tumor === null || verdict === null) return `The ${what} has no verdict; its slices have.`;
  const limits = low === high ? `tumor from ${percent(high)} on` : `tumor from ${percent(high)}, no tumor under ${percent(low)}`;
  return `Tumor probability ${percent(tumor, [low, high])}; ${limits}.`;
}

/** What a verdict does not say. */
export const LIMITS = {
  tumor: "A model can be wrong: look at the marked places yourself.",
  no_tumor: "This means that the evidence stays under the threshold, not that the head is healthy: the model misses some tumors.",
  uncertain: "The evidence lies between the thresholds: a person has to look.",
};

/** What has to be said of a slice, so that no color contradicts a word. */
export function saySlice(finding, marks, { kind, verdict }) {
  if (marks?.outside) return "The strongest evidence lies outside of the head: do not rely on it.";
  if (kind === "study" && verdict === "no_tumor" && speaks(finding))
    return "By itself this slice would be more than \u201cno tumor\u201d; along the whole head there is too little evidence. Look at the colored place yourself.";
  if (marks?.weak)
    return finding.boxes.length
      ? "Some places show evidence of a tumor, but the slice as a whole stays under the threshold, so the colors are kept faint. Look at these places yourself."
      : "Some evidence, below the threshold: the faint colors.";
  if (finding.verdict === "tumor" && !finding.boxes.length)
    return "The evidence is spread over the slice: no single place passes the threshold of a box.";
  return "";
}

/** What the colors mean, beside their scale. */
export function sayScale(finding) {
  if (speaks(finding)) return "evidence of a tumor: none to much";
  return finding.verdict === "no_tumor" ? "evidence, too weak for a tumor" : "evidence, not to be relied on";
}

/** Where the strongest point lies, for people and for screen readers. */
export function sayPlace({ info, peak: [x, y], size, toPixels: [[sx, , left], [, sy, top]] }) {
  const across = (x - left) / (sx * size), down = (y - top) / (sy * size); // of the head, which the model sees cut out
  const part = (share, [less, middle, more]) => (share < 0.45 ? less : share > 0.55 ? more : middle);
  const known = info.sidesKnown && ["axial", "coronal"].includes(info.plane);
  const side = part(across, known ? ["the patient's right", "near the midline", "the patient's left"] : ["left in the picture", "in the middle", "right in the picture"]);
  const level = part(down, info.sidesKnown && info.plane === "axial" ? ["in front", "", "at the back"] : ["above", "", "below"]);
  return [side, level].filter(Boolean).join(", ");
}

/** Pairs of (name, value) about a series or slice. */
export function listFacts(item, series, finding) {
  const { run, extent, peak, sequence, plane, unfamiliarShare, notJudgedShare, findings } = series, facts = [];
  if (run) facts.push(["Where", `slices ${numberOf(series, run.first)} to ${numberOf(series, run.last)} of ${findings.length}${run.length ? `, ${Math.round(run.length)} mm of the head` : ""}`]);
  if (extent && extent.some(Boolean)) facts.push(["Extent of the evidence", extent.map((mm) => (mm ? `${Math.round(mm)}` : "?")).join(" × ") + " mm"]);
  if (speaks(finding)) facts.push(["Strongest point here", sayPlace(finding)]);
  if (peak?.patient && run) facts.push(["In the patient (LPS)", peak.patient.map((mm) => Math.round(mm) || 0).join(", ") + " mm"]);
  const saw = ["plane", "sequence", "skull"].map((question) => {
    const [word, chance] = rankLook(finding.looks, question);
    return word && `${LOOKS[word] ?? word} (${Math.round(100 * chance)}\u00a0%)`;
  }).filter(Boolean);
  if (saw.length) facts.push(["What the model thinks it sees", saw.join(", ")]);
  const stated = [sequence, plane].filter(Boolean).join(", ");
  if (item.kind === "study" && stated) facts.push(["Series", stated]);
  if (unfamiliarShare) facts.push(["Unlike the training data", `${Math.round(100 * unfamiliarShare)}\u00a0% of the tissue`]);
  if (notJudgedShare) facts.push(["Not judged, shows no brain", `${Math.round(100 * notJudgedShare)}\u00a0% of the slices`]);
  return facts;
}

export const numberOf = (series, finding) => series.findings.indexOf(finding) + 1;

/** A series or study in a list. */
export function sayItem(item, series) {
  const name = series ? series.description || baseName(series.path) : baseName(item.path);
  const told = series ? [series.sequence, series.plane, many(series.findings.length, "slice")] : [item.kind === "study" ? many(item.series.length, "series").replace("seriess", "series") : ""];
  return { name, told: told.filter(Boolean).join(", ") };
}
