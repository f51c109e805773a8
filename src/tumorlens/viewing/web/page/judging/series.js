// From the findings of slices to the finding of their series: a port of studies/series_judging.py,
// key_slices.py, looks.py and of how assembling.py parts a series into volumes.
import { numberPasses } from "../reading/clusters.js";
import { judgeBy } from "./model.js";
import { Profile, measureTissue, placeSlices, toChance, toLogit } from "./profile.js";

const LEAST_SLICES = 5, MOSTLY = 0.5, SHORT_MM = 10;
const SAME_MM = 0.02, MOST_AGAIN = 0.5; // of positions that are another pass over the head
const KEY_SLICES = 3, APART_MM = 10;
const SURE = 0.5, CONTRADICTS = 0.9; // of what the pixels look like
const OF_SERIES = /^\d+ of \d+ slices? /;

/** Stacks of one plane, each pass over the head by itself, of the findings of one source. */
export function partVolumes(findings) {
  const stacks = [];
  for (const one of findings) {
    if (stacks.at(-1)?.[0].info.plane === one.info.plane) stacks.at(-1).push(one);
    else stacks.push([one]);
  }
  return stacks.flatMap(partPasses);
}

function partPasses(stack) {
  const place = stack.map(({ info }) => info.position);
  if (place.includes(null)) return [stack];
  const order = place.map((_, i) => i).sort((a, b) => place[a] - place[b] || a - b);
  const again = order.slice(1).map((i, k) => place[i] - place[order[k]] < SAME_MM);
  const count = again.filter(Boolean).length;
  if (count < MOST_AGAIN * (stack.length - count)) return [stack];
  const places = new Array(stack.length).fill(0), passes = [];
  order.slice(1).forEach((i, k) => (places[i] = places[order[k]] + (again[k] ? 0 : 1)));
  numberPasses(places).forEach((pass, i) => (passes[pass] ??= []).push(stack[i]));
  return passes;
}

/** Whether a finding is of a picture without a series and without a position. */
export const isLoose = ({ info }) => info.series === null && info.position === null && info.plane === null && info.frame === 0;

/**
 * @param {object[]} findings of the slices of one series, in their order
 * @param {object | null} studies numbers of the model file
 * @param {string} path
 */
export function judgeSeries(findings, studies, path) {
  const judged = findings.filter(({ verdict }) => verdict !== "not_judged"), looks = meanLooks(judged);
  const tell = (question) => findings.map(({ info }) => info[question]).find(Boolean) ?? null;
  const series = {
    path, findings, verdict: null, tumor: null, run: null, peak: null, keys: [], unfamiliarShare: null, extent: null,
    study: findings[0].info.study, patient: findings[0].info.patient ?? null, uid: findings[0].info.series, description: tell("description"),
    sequence: tell("sequence"), plane: tell("plane"), looks,
    notJudgedShare: 1 - judged.length / findings.length,
    notes: [...countNotes(findings), ...["sequence", "plane"].flatMap((question) => doubtLook(looks, question, tell(question)))],
  };
  const note = (words) => (series.notes.push(words), series);
  if (!studies) return note("this model file has no study model: it judges slices only");
  if (!judged.length) return note("no slice shows brain: nothing was judged") && { ...series, verdict: "not_judged" };
  if (judged.length < LEAST_SLICES)
    return findings.length === 1 ? series : note(`fewer than ${LEAST_SLICES} slices were judged: the series has no verdict, its slices do`);
  series.sequence ??= bestLook(looks, "sequence");
  series.plane ??= bestLook(looks, "plane");
  return weigh(series, judged, studies, note);
}

function weigh(series, judged, studies, note) {
  const positions = judged.map(({ info }) => info.position), { place } = placeSlices(positions);
  const profile = new Profile(judged.map(({ tumor }) => toLogit(tumor)), positions);
  const tissue = measureTissue(place), sum = (chosen) => tissue.reduce((all, mm, i) => all + (chosen(i) ? mm : 0), 0);
  const unfamiliarShare = sum((i) => judged[i].verdict === "unfamiliar") / sum(() => true);
  const terms = studies.series[series.sequence ?? "other"] ?? studies.series.other;
  const logit = Object.entries(terms.weights).reduce((all, [name, weight]) => all + weight * profile.features[name], terms.offset);
  const tumor = toChance(logit);
  const verdict = judgeBy(studies.series_points.balanced, tumor, unfamiliarShare > MOSTLY ? 2 : 0);
  const inside = findInside(profile, place, studies.slice_logit), shows = verdict !== "no_tumor" && inside.includes(true);
  if (!profile.spacingKnown) note("the distance of the slices is unknown: even spacing is assumed");
  const strongest = judged.reduce((best, one, i) => (inside[i] && (!best || one.tumor > best.tumor) ? one : best), null);
  const length = profile.spacingKnown ? sum((i) => inside[i]) : null;
  return {
    ...series, verdict, tumor, unfamiliarShare, profile, place, judged, inside: inside.map((one) => one && shows),
    run: shows ? describeRun(judged, place, inside, length) : null,
    extent: shows ? [length, ...measureSides(judged.filter((_, i) => inside[i]))] : null,
    peak: strongest && { finding: strongest, xy: strongest.peak, patient: toPatient(strongest) },
    keys: chooseKeys(judged, place, inside.map((one) => one && shows), toChance(studies.slice_logit)),
  };
}

// Slices of the run: those over the threshold, else the strongest stretch.
function findInside(profile, place, threshold) {
  let run = profile.findRun(threshold);
  if (!run) {
    const smooth = profile.smooth(SHORT_MM), middle = profile.at[smooth.indexOf(Math.max(...smooth))];
    run = [middle - SHORT_MM / 2, middle + SHORT_MM / 2];
  }
  const inside = place.map((at) => at >= run[0] - 0.5 && at <= run[1] + 0.5);
  if (!inside.includes(true)) {
    const away = place.map((at) => Math.abs(at - (run[0] + run[1]) / 2));
    inside[away.indexOf(Math.min(...away))] = true;
  }
  return inside;
}

function describeRun(judged, place, inside, length) {
  const order = place.map((_, i) => i).filter((i) => inside[i]).sort((a, b) => place[a] - place[b] || a - b);
  return { first: judged[order[0]], last: judged[order.at(-1)], slices: order.length, length };
}

// Rows and columns in mm of the largest of the strongest regions; null where a spacing is unknown.
function measureSides(findings) {
  const known = findings.filter(({ info, boxes }) => info.spacing && boxes.length)
    .map(({ info: { spacing }, boxes: [[x0, y0, x1, y1]] }) => [(y1 - y0) * spacing[0], (x1 - x0) * spacing[1]]);
  return known.length ? [0, 1].map((axis) => Math.max(...known.map((side) => side[axis]))) : [null, null];
}

function toPatient({ info, peak: [x, y] }) {
  if (!info.lps) return null;
  const [origin, column, row] = info.lps;
  return origin.map((value, axis) => value + (x - 0.5) * column[axis] + (y - 0.5) * row[axis]);
}

// Up to three slices to open first, apart from each other, the strongest of the run first.
function chooseKeys(judged, place, inside, high) {
  const order = judged.map((_, i) => i).sort((a, b) => judged[b].tumor - judged[a].tumor || a - b);
  const first = order.find((i) => inside[i]) ?? order[0], chosen = [];
  for (const i of [first, ...order.filter((one) => one !== first)])
    if (chosen.length < KEY_SLICES && chosen.every((other) => Math.abs(place[i] - place[other]) >= APART_MM)) chosen.push(i);
  return chosen.map((i, rank) => ({ finding: judged[i], reason: wordReason(judged[i], rank, inside[i], high) }));
}

function wordReason({ tumor, verdict }, rank, inside, high) {
  const chance = `tumor probability ${Math.round(100 * tumor)}\u00a0%`;
  if (verdict === "unfamiliar") return `${chance}, but the slice is unlike the training data of the model`;
  if (inside) return rank ? `same run of slices: ${chance}` : `strongest evidence: ${chance}`;
  if (tumor >= high) return `evidence at another level: ${chance}`;
  return rank ? `next highest: ${chance}` : `highest of all slices, but low: ${chance}`;
}

function countNotes(findings) {
  const counts = new Map();
  for (const { info } of findings) for (const note of info.notes) counts.set(note, (counts.get(note) ?? 0) + 1);
  return [...counts].map(([note, count]) =>
    count === findings.length || OF_SERIES.test(note) ? note : `${note} (${count} of ${findings.length})`);
}

function meanLooks(findings) {
  const seen = findings.map(({ looks }) => looks).filter(Boolean);
  if (!seen.length) return {};
  return Object.fromEntries(Object.keys(seen[0]).map((question) => [question, Object.fromEntries(
    Object.keys(seen[0][question]).map((word) => [word, seen.reduce((sum, one) => sum + one[question][word], 0) / seen.length]))]));
}

/** The most probable word and its probability. */
export const rankLook = (looks, question) =>
  Object.entries(looks?.[question] ?? {}).reduce((best, one) => (one[1] > best[1] ? one : best), [null, 0]);

function bestLook(looks, question) {
  const [word, chance] = rankLook(looks, question);
  return chance >= SURE ? word : null;
}

function doubtLook(looks, question, said) {
  const [word, chance] = rankLook(looks, question);
  if ([null, word, "oblique"].includes(said) || chance < CONTRADICTS) return [];
  return [`the file says that the ${question} is ${said}, but the slices look like ${word}`];
}
