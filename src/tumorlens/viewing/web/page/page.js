// What the page does: it loads the model, takes scans, shows what the model says of them.
import { download } from "./judging/download.js";
import { judgeAll } from "./judging/run.js";
import { listChosen, listDropped } from "./reading/files.js";
import { drawCurve, markSlice } from "./showing/curve.js";
import { drawSlice } from "./showing/overlay.js";
import { showAnswer, showCard, showItems, showKeys, showNotes, showSlice } from "./showing/panel.js";
import { VERDICTS, percent, sayScale } from "./showing/words.js";

const find = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const shown = { model: null, items: [], item: null, series: null, finding: null, errors: [], skipped: 0, given: null, example: "" };
let latest = 0; // of several things given the last one counts

function tell(words, share = null) {
  if (words) find("status").textContent = words;
  const bar = find("progress");
  bar.hidden = !words || share === true;
  if (typeof share === "number") bar.value = share;
  else bar.removeAttribute("value");
}

async function take(given, example = "") {
  const number = ++latest, start = performance.now();
  delete document.body.dataset.finding;
  document.body.dataset.state = "working";
  find("stop").hidden = false;
  find("result").setAttribute("aria-busy", "true");
  try {
    const files = (shown.given = await given);
    shown.example = example;
    if (number !== latest || !files.length) return;
    const found = await judgeAll(files, await loading, { tell, stale: () => number !== latest });
    if (!found || number !== latest) return;
    finish(found, performance.now() - start);
  } catch (error) {
    if (number === latest) fail(`That cannot be read: ${error.message}`);
  } finally {
    if (number === latest) find("stop").hidden = true;
    find("result").removeAttribute("aria-busy");
  }
}

function fail(words) {
  document.body.dataset.state = "failed";
  find("result").hidden = true;
  tell(words, true);
}

function finish({ items, errors, skipped }, milliseconds) {
  Object.assign(shown, { items, errors, skipped });
  if (!items.length) {
    const [{ path, reason }] = errors.length ? errors : [{ path: "", reason: "nothing given is a scan" }];
    return fail(`That cannot be read: ${path && `${path}: `}${reason}`);
  }
  const [item] = items, { verdict, tumor } = item;
  const chance = tumor === null || ["unfamiliar", "not_judged"].includes(verdict) ? "" : `, tumor probability ${percent(tumor)}`;
  tell(`${VERDICTS[verdict]}${chance}. ${items.length > 1 ? `${items.length} results. ` : ""}Took ${(milliseconds / 1000).toFixed(1)} s.`, true);
  open(item, item.leading ?? item.series[0]);
  document.body.dataset.finding = JSON.stringify({ ...summarize(item), milliseconds, items: items.map(summarize) });
  document.body.dataset.state = "done";
}

// What programs read: the numbers, unrounded.
function summarize(item) {
  const [first] = item.series[0].findings, one = item.kind === "slice";
  return {
    kind: item.kind, path: item.path, verdict: item.verdict, tumor: item.tumor, unfamiliarity: one ? first.unfamiliarity : null,
    series: one ? [] : item.series.map(({ path, verdict, tumor, sequence, plane, findings, run, extent, peak, unfamiliarShare }) => ({
      path, verdict, tumor, sequence, plane, extent, unfamiliarShare, peak: peak?.patient ?? null,
      run: run && { slices: run.slices, length: run.length },
      slices: findings.map((finding) => ({ verdict: finding.verdict, tumor: finding.tumor, position: finding.info.position })),
    })),
    notes: item.notes,
  };
}

function open(item, series) {
  const start = series.keys[0]?.finding ?? series.findings.reduce((best, one) => (one.tumor > best.tumor ? one : best));
  Object.assign(shown, { item, series });
  find("result").hidden = false;
  showAnswer(item, shown.model, shown.example);
  showKeys(series, show);
  showItems(shown.items, series, open);
  showNotes(item, series, shown.errors, shown.skipped);
  const slider = find("slider"), several = series.findings.length > 1;
  find("along").hidden = !several;
  slider.max = series.findings.length - 1;
  if (several) drawCurve(find("curve"), series.findings, shown.model.thresholds);
  return show(start);
}

/** Show one slice; of several calls the last one draws. */
async function show(finding) {
  shown.finding = finding;
  const { item, series, model } = shown, index = series.findings.indexOf(finding);
  const slice = await finding.source.read(finding.index);
  if (shown.finding !== finding) return;
  const marks = drawSlice(find("canvas"), slice, finding, {
    threshold: model.card.cell_threshold, heat: find("heat").checked, marks: find("marks").checked, strength: Number(find("strength").value),
  });
  find("canvas").setAttribute("aria-label", showSlice(item, series, finding, marks));
  find("slider").value = index;
  find("slider").setAttribute("aria-valuetext", `slice ${index + 1}, ${VERDICTS[finding.verdict]}, ${percent(finding.tumor)}`);
  find("where-slice").textContent = `${index + 1} / ${series.findings.length}`;
  find("legend").querySelector("figcaption").textContent = sayScale(finding);
  markSlice(find("curve"), index);
}

const redraw = () => shown.finding && show(shown.finding);

function step(by) {
  const { series, finding } = shown, next = series?.findings[series.findings.indexOf(finding) + by];
  if (next) show(next);
}

/** Milliseconds a slice while leafing through what is shown, for benchmarks. */
export async function timeLeafing(most) {
  const { findings } = shown.series, count = Math.min(most, findings.length), start = performance.now();
  for (const finding of findings.slice(0, count)) await show(finding);
  return (performance.now() - start) / count;
}

function listen() {
  const place = document.documentElement, files = find("files"), folder = find("folder");
  find("choose-files").onclick = () => files.click();
  find("choose-folder").onclick = () => folder.click();
  for (const input of [files, folder]) input.onchange = () => (take(listChosen(input.files)), (input.value = ""));
  place.ondragover = (event) => (event.preventDefault(), place.classList.add("dropping"));
  place.ondragleave = (event) => event.relatedTarget || place.classList.remove("dropping");
  place.ondrop = (event) => {
    event.preventDefault();
    place.classList.remove("dropping");
    const { items, files: dropped } = event.dataTransfer;
    take(items.length ? listDropped(items) : listChosen(dropped));
  };
  find("stop").onclick = () => (latest++, (find("stop").hidden = true), tell("Stopped.", true));
  find("slider").oninput = (event) => show(shown.series.findings[event.target.value]);
  for (const id of ["heat", "marks", "strength"]) find(id).oninput = redraw;
  find("canvas").onwheel = (event) => (event.preventDefault(), step(Math.sign(event.deltaY)));
  document.onkeydown = (event) => {
    if (event.target.matches("input, summary") || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { ArrowRight: () => step(1), ArrowLeft: () => step(-1), h: () => find("heat").click(), b: () => find("marks").click() };
    keys[event.key]?.();
  };
}

async function fetchBlob(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.blob();
}

const takeUrl = (url, example) => take(fetchBlob(url).then((file) => [{ path: url.split("/").pop(), file }]), example);

function listExamples(examples) {
  find("examples").replaceChildren(...examples.map(({ file, words }) => {
    const button = document.createElement("button"), picture = document.createElement("img"), name = document.createElement("span");
    button.type = "button";
    picture.src = /\.png$/.test(file) ? file : file.replace(/\.[^/]*$/, ".png").replace(/\.nii\.png$/, ".png");
    picture.alt = "";
    name.textContent = words;
    button.append(picture, name);
    button.onclick = () => takeUrl(file, words);
    return button;
  }));
}

async function load(url) {
  const coming = download(url, (share) => tell("Loading the model…", share));
  const [{ Model }, bytes] = await Promise.all([import("./judging/model.js"), coming]);
  const model = await Model.open(bytes);
  shown.model = model;
  showCard(model);
  find("version").textContent = `Model: ${model.name}.`;
  return model;
}

function offerFull({ models }) {
  const full = models.find(({ file }) => file.endsWith("full.onnx"));
  if (!full) return;
  find("full").hidden = false;
  find("full-size").textContent = `${(full.bytes / 1e6).toFixed(0)} MB`;
  find("use-full").onchange = async (event) => {
    loading = load((event.target.checked ? full : models[0]).file);
    await loading.then(() => tell("Ready.", true), (error) => fail(error.message));
    if (shown.given) take(shown.given, shown.example);
  };
}

async function keepForOffline() {
  if (!("serviceWorker" in navigator) || !isSecureContext) return;
  await navigator.serviceWorker.register("service-worker.js");
  await navigator.serviceWorker.ready;
  find("offline").textContent = "Kept for use without a network.";
}

const settings = await fetchBlob("settings.json").then((blob) => blob.text()).then(JSON.parse);
let loading = load(asked.get("model") ?? settings.models[0].file);
listen();
listExamples(settings.examples);
offerFull(settings);
try {
  await loading;
  if (latest === 0) (tell("Ready.", true), (document.body.dataset.state = "ready"));
  if (asked.has("picture")) await takeUrl(asked.get("picture"));
  else if (latest === 0 && settings.examples.length && !asked.has("blank")) await takeUrl(settings.examples[0].file, settings.examples[0].words);
  keepForOffline().catch(() => {});
} catch (error) {
  fail(`Nothing can be judged: ${error.message}`);
}
