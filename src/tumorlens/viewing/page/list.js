// The list of what was judged: jobs, their studies, these with their series.

import { placeOf } from "./server.js";
import { count, hasChance, make, nameOf, sayChance, sayVerdict } from "./words.js";

/** `choose(job, study, scene)` hears what somebody wants to see; `drop(job)` what to forget. */
export function describeJobs(jobs, { choose, drop }) {
  return jobs.flatMap((job) => describeJob(job, choose, drop));
}

function describeJob(job, choose, drop) {
  const head = make("div", { class: "job" }, make("span", { title: job.title }, job.title),
    make("button", { type: "button", "aria-label": `Forget ${job.title}`, title: "Forget", onclick: () => drop(job) }, "×"));
  if (job.state === "failed") return [head, make("p", { class: "failed" }, job.error)];
  if (!job.result) return [head, describeProgress(job)];
  const { studies, scenes, errors, skipped } = job.result;
  const grouped = new Set(studies.flatMap((study) => study.scenes));
  const rows = studies.flatMap((study, place) => describeStudy(job, study, place, choose));
  for (const [number, scene] of scenes.entries())
    if (!grouped.has(number)) rows.push(describeScene(job, null, number, scene.slices[0], nameOf(scene.path), "slice", choose));
  const left = Object.values(skipped).reduce((sum, one) => sum + one, 0);
  return [head, make("ul", {}, ...rows.map((row) => make("li", {}, row))), ...describeRest(errors, left, skipped)];
}

function describeProgress(job) {
  const told = job.state === "sending" ? `handing in file ${job.taken} of ${job.total}`
    : job.state === "waiting" ? "waiting" : `judging: ${count(job.slices, "slice")}`;
  const bar = job.state === "sending" ? make("progress", { max: job.total, value: job.taken }) : make("progress", {});
  return make("p", { class: "progress", role: "status" }, bar, told);
}

function describeStudy(job, study, place, choose) {
  const { scenes } = job.result;
  const name = nameOf(study.path);
  if (study.scenes.length === 1) {
    const scene = scenes[study.scenes[0]];
    const lone = study.verdict === null && scene.slices.length === 1;
    return [describeScene(job, place, study.scenes[0], lone ? scene.slices[0] : study, name,
      [scene.sequence ?? scene.series.sequence, scene.plane ?? scene.series.plane, count(scene.slices.length, "slice")].filter(Boolean).join(", "), choose)];
  }
  const lead = study.scenes[study.leading ?? 0] ?? study.scenes[0];
  const head = describeScene(job, place, lead, study, name, `study, ${count(study.scenes.length, "series", "series")}`, choose, "study");
  return [head, ...study.scenes.map((number) => {
    const { series, slices } = scenes[number];
    const told = [series.sequence, series.plane, count(slices.length, "slice")].filter(Boolean).join(", ");
    const spoken = series.verdict === null && slices.length === 1 ? slices[0] : series;
    return describeScene(job, null, number, spoken, nameOf(series.path) === name ? told : nameOf(series.path), told, choose, "member");
  })];
}

function describeScene(job, study, number, told, name, words, choose, kind = "") {
  const chance = hasChance(told.verdict) && told.tumor_probability !== null ? sayChance(told.tumor_probability) : "";
  return make("button", {
    type: "button", class: `row ${kind}`, "data-place": `${job.key} ${study ?? "-"} ${number}`,
    onclick: () => choose(job, study, number),
  },
  make("img", { src: placeOf(job.key, number, "small.jpg"), alt: "", width: 48, height: 48, loading: "lazy" }),
  make("span", { class: "name", title: told.path ?? name }, name),
  make("span", { class: "words" }, words === name ? "" : words === "slice" ? "picture" : words),
  make("span", { class: "told" }, make("b", { "data-verdict": told.verdict ?? "not_judged" }, sayVerdict(told.verdict)), chance && ` ${chance}`));
}

function* describeRest(errors, left, skipped) {
  if (errors.length)
    yield make("details", { class: "failed" }, make("summary", {}, `${count(errors.length, "input")} could not be read`),
      make("ul", {}, ...errors.map((one) => make("li", {}, make("b", {}, nameOf(one.path)), `: ${one.error}`))));
  if (left)
    yield make("details", { class: "quiet" }, make("summary", {}, `${count(left, "file")} left out`),
      make("ul", {}, ...Object.entries(skipped).map(([reason, number]) => make("li", {}, `${number} × ${reason}`))));
}
