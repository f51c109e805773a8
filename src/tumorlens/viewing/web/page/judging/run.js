// From what a person gives to findings of slices, series and studies.
import { findSources } from "../reading/files.js";
import { isBlank } from "../reading/voxels.js";
import { isLoose, judgeSeries, partVolumes } from "./series.js";
import { gatherStudies } from "./study.js";

const PAUSE_MS = 40; // work between two moments at which the page can answer

/**
 * @param {{path: string, file: Blob}[]} given
 * @param {Model} model
 * @param {{tell: (words: string, share?: number) => void, stale: () => boolean}} how `stale` ends the run
 * @returns {Promise<{items: object[], errors: object[], skipped: number} | null>} null if it became stale
 */
export async function judgeAll(given, model, { tell, stale }) {
  const { sources, errors, skipped } = await findSources(given, tell);
  const series = [], slices = [];
  for (const [i, source] of sources.entries()) {
    const name = sources.length > 1 ? ` ${i + 1} of ${sources.length}` : "";
    try {
      const findings = await judgeSource(source, model, (words, share) => tell(`${words}${name && ` (series${name})`}`, share), stale);
      if (!findings) return null;
      if (findings.length === 1 && isLoose(findings[0])) slices.push(findings[0]);
      else series.push(...nameVolumes(partVolumes(findings).map((one) => judgeSeries(one, model.studies, source.path))));
    } catch (error) {
      errors.push({ path: source.path, reason: error.message });
    }
  }
  return { items: [...gatherStudies(series, model.studies).map(fromStudy), ...slices.map(fromSlice)], errors, skipped };
}

async function judgeSource(source, model, tell, stale) {
  tell("Reading…");
  const opened = await source.open(), findings = [];
  let blank = 0, failure = null, rested = performance.now();
  for (let index = 0; index < opened.count; index++) {
    if (stale()) return null;
    try {
      const slice = await opened.read(index);
      if (isBlank(slice.pixels)) blank++;
      else findings.push({ ...(await model.judge(slice)), source: opened, index });
    } catch (error) {
      failure = error;
    }
    if (performance.now() - rested > PAUSE_MS) {
      tell(`Judging slice ${index + 1} of ${opened.count}`, (index + 1) / opened.count);
      await new Promise((done) => setTimeout(done));
      rested = performance.now();
    }
  }
  if (!findings.length) throw failure ?? new Error("it shows one value throughout");
  const last = findings.at(-1), more = [];
  if (blank) more.push(`${blank} of ${opened.count} slices ${blank === 1 ? "is" : "are"} blank and left out`);
  if (failure) more.push(`${opened.count - blank - findings.length} of ${opened.count} slices could not be read: ${failure.message}`);
  last.info = { ...last.info, notes: [...last.info.notes, ...more] };
  return findings;
}

const nameVolumes = (series) => (series.length > 1 ? series.map((one, volume) => ({ ...one, volume })) : series);

const fromSlice = (finding) => ({
  kind: "slice", path: finding.info.path, verdict: finding.verdict, tumor: finding.tumor, notes: finding.info.notes,
  series: [{ path: finding.info.path, findings: [finding], keys: [], run: null, peak: null, verdict: null, tumor: null, notes: [] }],
});

function fromStudy(study) {
  const [{ path, findings, notes }, ...others] = study.series;
  if (!others.length && findings.length === 1) return { ...fromSlice(findings[0]), notes };
  return { kind: "study", path: others.length ? nameTogether(study.series) : path, ...study };
}

function nameTogether(series) {
  const parts = series.map(({ path }) => path.split("/"));
  const shared = parts[0].filter((_, i) => parts.every((one) => one.slice(0, i + 1).join("/") === parts[0].slice(0, i + 1).join("/")));
  return shared.join("/") || `${series.length} series of one study`;
}
