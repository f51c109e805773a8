// From the findings of series to the finding of their study: a port of studies/study_judging.py and
// of how assembling.py gathers the series of one study.
import { judgeBy } from "./model.js";
import { toChance, toLogit } from "./profile.js";

const BIDS = /(?<=^|[/\\_])(sub-[A-Za-z0-9]+)|(?<=[/\\_])(ses-[A-Za-z0-9]+)/g;

const NO_PLAIN_MRI = /, not MR: its verdict means nothing$|, no plain MR picture: its verdict means little$/;

/** Studies in the order in which their first series came. */
export function gatherStudies(series, studies) {
  const found = new Map(), patients = new Map();
  for (const { study, patient } of series) if (patient) patients.set(study, (patients.get(study) ?? new Set()).add(patient));
  series.forEach((one, number) => {
    const own = one.study && patients.get(one.study)?.size > 1 ? ` ${one.patient}` : ""; // one UID, as some anonymisers give to all
    const key = findStudy(one) ? findStudy(one) + own : `series ${number}`;
    found.set(key, [...(found.get(key) ?? []), one]);
  });
  return [...found.values()].map((members) => judgeStudy(members, studies));
}

function findStudy({ study, path }) {
  if (study) return `uid ${study}`;
  const words = [...path.matchAll(BIDS)], subject = words.findLast((one) => one[1])?.[1];
  if (!subject) return null;
  const first = words.findIndex((one) => one[1] === subject);
  const session = words.slice(first).findLast((one) => one[2])?.[2] ?? "";
  return `bids ${path.slice(0, words[first].index)} ${subject} ${session}`;
}

/** @param {object[]} series of one study @param {object | null} studies numbers of the model file */
export function judgeStudy(series, studies) {
  const judged = series.filter(({ tumor }) => tumor !== null);
  const notes = countNotes(series);
  if (!studies || !judged.length) {
    const silent = !studies || series.some(({ verdict }) => verdict === null);
    return { series, leading: series[0], verdict: silent ? null : "not_judged", tumor: null, notes };
  }
  const some = (these, others) => (these.length ? these : others);
  const plain = some(judged.filter((one) => !one.notes.some((note) => NO_PLAIN_MRI.test(note))), judged);
  const familiar = plain.filter(({ verdict }) => verdict !== "unfamiliar"), counted = some(familiar, plain);
  const { offset, weights, alike } = studies.study;
  const sum = counted.reduce((all, { sequence, tumor }) => all + (weights[sequence ?? "other"] ?? weights.other) * toLogit(tumor), 0);
  const tumor = toChance(offset + sum / counted.length ** alike);
  const verdict = judgeBy(studies.study_points.balanced, tumor, familiar.length ? 0 : 2);
  if (counted.length < series.length)
    notes.push(`${series.length - counted.length} of ${series.length} series do not count in the verdict of the study: no plain MRI, unfamiliar, not judged or unreadable`);
  if (counted.length === 1 && counted[0].verdict !== verdict)
    notes.push(`its only series is '${counted[0].verdict.replace("_", " ")}' by itself; the study has its own thresholds, and they decide`);
  const alarming = counted.filter((one) => one.verdict === "tumor").length;
  if (counted.length > 1 && verdict === "no_tumor" && alarming)
    notes.push(`${alarming} of ${counted.length} series ${alarming === 1 ? "says" : "say"} 'tumor' alone; the study weighs them together`);
  const leading = counted.reduce((best, one) => (one.tumor > best.tumor ? one : best));
  return { series, leading, verdict, tumor, notes };
}

function countNotes(series) {
  const counts = new Map();
  for (const { notes } of series) for (const note of notes) counts.set(note, (counts.get(note) ?? 0) + 1);
  return [...counts].map(([note, count]) => (count === series.length ? note : `${note} (${count} of ${series.length} series)`));
}
