// The column beside the pictures: notes, what the model thinks it saw, and what one can take along.

import { placeOf } from "./server.js";
import { count, make, nameOf, sayChance } from "./words.js";

export function describeFacts({ job, study, scene, number, keys, go, extras }) {
  return [
    ...describeNotes(study, scene),
    ...describeKeys(scene, keys, go),
    ...describeSeen(scene),
    ...describeSeries(scene),
    ...describeExports(job, study, scene, number, extras),
  ];
}

function* describeNotes(study, scene) {
  const notes = [...new Set([...(scene.series?.notes ?? scene.slices[0].notes), ...(study?.notes ?? [])])];
  if (!notes.length) return;
  yield make("h3", {}, "Notes");
  yield make("ul", { class: "notes" }, ...notes.map((note) => make("li", {}, `${note[0].toUpperCase()}${note.slice(1)}.`)));
}

function* describeKeys(scene, keys, go) {
  if (!keys.length) return;
  yield make("h3", {}, "Slices to open first");
  yield make("ul", { class: "keys" }, ...keys.map(({ number, reason }) => make("li", {},
    make("button", { type: "button", onclick: () => go(number, scene.slices[number].shown_peak ?? undefined) }, `Slice ${number + 1}`),
    make("span", {}, reason))));
}

function* describeSeen({ seen }) {
  const rows = Object.entries(seen);
  if (!rows.length) return;
  yield make("h3", {}, "What it thinks it saw");
  yield make("table", {},
    make("thead", {}, make("tr", {}, ...["", "seen", "file says"].map((word) => make("th", { scope: "col" }, word)))),
    make("tbody", {}, ...rows.map(([question, { said, seen: word, probability }]) => {
      const differs = said && said !== word && said !== "oblique";
      return make("tr", { class: differs ? "differs" : null }, make("th", { scope: "row" }, question),
        make("td", {}, `${word === "on" ? "present" : word === "off" ? "stripped" : word} `, make("small", {}, sayChance(probability))),
        make("td", {}, question === "skull" ? "–" : said ?? "nothing", differs ? make("b", {}, " differs") : null));
    })));
}

function* describeSeries(scene) {
  const { shape, spacing_mm: spacing, series } = scene;
  const extent = series?.extent_mm;
  const mm = (value) => (value === null || value === undefined ? "?" : value.toFixed(value < 10 ? 1 : 0));
  const rows = [
    ["file", nameOf(scene.path)],
    ["size", `${shape[2]} × ${shape[1]} pixels, ${count(shape[0], "slice")}`],
    ["pixel", spacing ? `${mm(spacing[1])} × ${mm(spacing[0])} mm` : "unknown"],
    ["plane", scene.plane ?? "unknown"],
    ["sequence", scene.sequence ?? "unknown"],
    ["evidence", extent ? `${extent.map(mm).join(" × ")} mm` : null],
    ["place", scene.reason ? `slices in a row: ${scene.reason}` : null],
  ];
  yield make("details", {}, make("summary", {}, "This series"),
    make("dl", {}, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
}

function* describeExports(job, study, scene, number, extras) {
  const link = (href, words, hint) => make("a", { class: "button", href, download: "", title: hint }, words);
  yield make("h3", {}, "Take along");
  yield make("p", { class: "exports" },
    study ? link(`api/jobs/${job}/report.html?download`, "Report", "A page for people, as one HTML file") : null,
    scene.series && !scene.reason ? link(placeOf(job, number, "evidence.nii.gz"), "Heat map as NIfTI", "Percent a voxel, where the patient lay") : null,
    extras.dicom && scene.series?.series_instance_uid
      ? link(`api/jobs/${job}/dicom.zip`, "DICOM objects", "Report, segmentation and picture for a PACS. They bear the patient's name") : null,
    make("a", { class: "button slice-picture", download: "", title: "This slice with heat map, boxes and verdict, as PNG" }, "This slice"),
    link(`api/jobs/${job}/records.jsonl`, "Records", "What tumorlens predict --summary writes, as JSON lines"));
}
