// The page: what was handed in, what is in view, and who hears what.

import { Curve } from "./curve.js";
import { describeFacts } from "./facts.js";
import { readChosen, readDrop } from "./intake.js";
import { describeJobs } from "./list.js";
import { deleteJob, judgeExamples, judgeFiles, placeOf, tellJob, tellResult, tellState } from "./server.js";
import { describeVerdict } from "./verdict.js";
import { PLANES, Volume } from "./volume.js";
import { hasChance, make, sayChance, sayVerdict } from "./words.js";

const find = (id) => document.getElementById(id);
const POLL = 150;  // milliseconds between questions after the progress

const page = { state: null, jobs: [], shown: null, volume: null, number: 0, curve: null, keys: [], turn: Promise.resolve() };

async function begin() {
  page.state = await tellState();
  find("model").append(make("span", { class: "long" }, page.state.model.name), make("span", { class: "short" }, "Model"));
  find("try-examples").hidden = !page.state.examples;
  page.curve = new Curve(find("curve"), go);
  bindButtons();
  bindKeys();
  bindDrop();
  for (const job of page.state.jobs) follow(job);
  if (!page.state.jobs.length) show("empty");
  document.body.dataset.ready = "";
}

function show(state) {
  document.body.dataset.state = state;
  find("scene").hidden = find("facts").hidden = state !== "scene";
}

// Jobs

async function hand(files) {
  if (!files.length) return;
  const title = files.length === 1 ? files[0].name : files[0].name.split("/")[0];
  const job = { key: "", title, state: "sending", taken: 0, total: files.length };
  page.jobs.unshift(job);
  listJobs();
  try {
    const told = await judgeFiles(files, (taken) => { job.taken = taken; listJobs(); });
    page.jobs.splice(page.jobs.indexOf(job), 1);
    await follow(told);
  } catch (error) {
    Object.assign(job, { state: "failed", error: error.message });
    listJobs();
  }
}

/** Asks for the progress of a job until it has ended, and shows what came of it. */
async function follow(job) {
  page.jobs.unshift(job);
  if (document.body.dataset.state === "empty") show("busy");
  while (["waiting", "judging"].includes(job.state)) {
    listJobs();
    await new Promise((done) => setTimeout(done, POLL));
    try {
      Object.assign(job, await tellJob(job.key));
    } catch (error) {
      Object.assign(job, { state: "failed", error: error.message });
    }
  }
  if (job.state === "done") {
    job.result = await tellResult(job.key);
    listJobs();
    if (job.result.scenes.length) await choose(job, ...firstOf(job));
    else show(page.shown ? "scene" : "busy");
  } else listJobs();
}

/** What to show first: the study or picture that asks loudest. */
function firstOf({ result: { studies, scenes } }) {
  const grouped = new Set(studies.flatMap((study) => study.scenes));
  const choices = studies.map((study, place) => [study, [place, study.scenes[study.leading ?? 0] ?? study.scenes[0]]]);
  for (const [number, scene] of scenes.entries()) if (!grouped.has(number)) choices.push([scene.slices[0], [null, number]]);
  const loud = ["tumor", "uncertain", "unfamiliar", null, "no_tumor", "not_judged"];
  const rank = ([told]) => loud.indexOf(told.verdict) - (told.tumor_probability ?? 0);
  return choices.sort((a, b) => rank(a) - rank(b))[0][1];
}

async function drop(job) {
  if (job.key) await deleteJob(job.key);
  page.jobs.splice(page.jobs.indexOf(job), 1);
  if (page.shown?.job === job) page.shown = null;
  const next = page.jobs.find((one) => one.result?.scenes.length);
  if (!page.shown && next) await choose(next, ...firstOf(next));
  else if (!page.shown) show(page.jobs.length ? "busy" : "empty");
  listJobs();
}

function listJobs() {
  find("list").replaceChildren(...describeJobs(page.jobs, { choose, drop }));
  markShown();
}

function markShown() {
  const shown = page.shown && `${page.shown.job.key} ${page.shown.place ?? "-"} ${page.shown.number}`;
  for (const row of find("list").querySelectorAll(".row"))
    row.setAttribute("aria-current", String(row.dataset.place === shown));
}

// What is in view

async function choose(job, place, number) {
  const scene = job.result.scenes[number];
  const study = place === null ? null : job.result.studies[place];
  page.shown = { job, place, number, study, scene };
  page.keys = findKeys(scene);
  show("scene");
  markShown();
  describe();
  await showVolume(scene, job.key, number);
}

function findKeys({ series, slices }) {
  const keys = (series?.first_slices ?? []).map(({ record: [path, frame], reason }) => ({
    number: slices.findIndex((one) => one.path === path && one.frame === frame), reason,
  }));
  return keys.filter((key) => key.number >= 0);
}

function describe() {
  const { job, study, scene, number } = page.shown;
  const { model, research_use: researchUse } = page.state;
  const { keys } = page;
  find("verdict").replaceChildren(...describeVerdict({ study, scene, model, keys, go, researchUse }));
  find("facts").replaceChildren(...describeFacts({ job: job.key, study, scene, number, keys, go, extras: page.state.extras }));
  page.curve.show(scene, model.thresholds.slice, keys);
  find("sides").hidden = scene.sides_known;
}

async function showVolume(scene, job, number) {
  // The volumes take a while to load. One slice, drawn by the server, is there at once.
  const waiting = [find("loading"), find("first")];
  find("first").src = placeOf(job, number, "small.jpg?large");
  for (const one of waiting) one.hidden = false;
  // One after the other: results that end together would open the pictures twice.
  const turn = page.turn.catch(() => {}).then(() => loadVolume(scene, job, number));
  page.turn = turn;
  try {
    await turn;
  } catch (error) {
    page.volume = null;
    say(`Three planes and 3-D cannot be shown here (${error.message}). You see one slice at a time.`);
  }
  if (page.shown?.scene !== scene) return;
  for (const one of waiting) one.hidden = true;
  document.body.classList.toggle("flat", !page.volume);
  if (page.volume) showPlanes();
  if (page.volume) showWindow(scene.window);
  const first = page.keys[0]?.number ?? Math.floor(scene.slices.length / 2);
  go(first, scene.slices[first].shown_peak ?? [scene.shape[2] / 2, scene.shape[1] / 2]);
  document.body.dataset.shown = `${job} ${number}`;
}

async function loadVolume(scene, job, number) {
  if (page.shown?.scene !== scene) return;
  if (!page.volume) {
    const volume = new Volume(find("canvas"), find("overlay"), page.state.model.heat, tellSlice);
    await volume.open();
    page.volume = volume;
    applyHeat();
    applyBoxes();
  }
  await page.volume.show(scene, placeOf(job, number, "scan.nii"), placeOf(job, number, "heat.nii"));
}

/** Goes to a slice, and to a point of it. */
function go(number, point) {
  if (page.volume) return page.volume.go(number, point);
  if (!page.shown) return undefined;
  // Without WebGL2 the server draws each slice.
  const { job, number: place, scene } = page.shown;
  page.number = Math.min(Math.max(number, 0), scene.slices.length - 1);
  find("first").src = placeOf(job.key, place, `slices/${page.number}.png`);
  find("first").hidden = false;
  return tellSlice(page.number);
}

const numberShown = () => page.volume?.number ?? page.number;

function tellSlice(number) {
  const { scene, job, number: place } = page.shown;
  const slice = scene.slices[number];
  if (!slice) return;
  const chance = hasChance(slice.verdict) ? ` ${sayChance(slice.tumor_probability, page.state.model.thresholds.slice)}` : "";
  const where = slice.position_mm === null ? "" : `, ${slice.position_mm.toFixed(0)} mm`;
  find("slice").replaceChildren(
    ...(scene.slices.length > 1 ? [`Slice ${number + 1} of ${scene.slices.length}${where}`] : ["One slice"]),
    make("b", { "data-verdict": slice.verdict }, `${sayVerdict(slice.verdict)}${chance}`));
  const silent = { not_judged: "Not judged: it shows no brain, or is no MRI of it", unfamiliar: "Unfamiliar: its numbers say nothing" }[slice.verdict];
  find("unjudged").hidden = !silent;
  find("unjudged").textContent = silent ?? "";
  find("canvas").classList.toggle("grey", slice.verdict === "not_judged");
  find("facts").querySelector(".slice-picture").href = placeOf(job.key, place, `slices/${number}.png`);
  page.curve.move(number);
}

// Tools

function applyHeat() {
  find("scale").hidden = !find("heat").checked;
  page.volume?.setOpacity(find("heat").checked ? Number(find("opacity").value) : 0);
}

function applyBoxes() {
  page.volume?.showBoxes(find("boxes").checked);
}

function showPlanes() {
  const one = page.shown.scene.slices.length === 1;
  find("planes").replaceChildren(...PLANES.map((name, planes) => make("button", {
    type: "button", role: "radio", "aria-checked": String(page.volume.planes === planes), hidden: one && planes !== page.volume.native,
    onclick: () => { page.volume.choosePlanes(planes); showPlanes(); },
  }, one ? "slice" : name)));
}

function showWindow([low, high]) {
  const [least, most] = page.shown.scene.span;
  const step = (most - least) / 500 || 1;
  Object.assign(find("level"), { min: least, max: most, step });
  Object.assign(find("width"), { min: step, max: Math.max(most - least, high - low), step });
  find("level").value = (low + high) / 2;
  find("width").value = high - low;
  tellWindow();
}

function tellWindow() {
  for (const name of ["level", "width"]) find(`${name}-value`).textContent = Number(Number(find(name).value).toPrecision(4));
}

async function applyWindow() {
  const level = Number(find("level").value), width = Number(find("width").value);
  tellWindow();
  await page.volume.setWindow([level - width / 2, level + width / 2]);
}

function bindButtons() {
  for (const id of ["heat", "opacity"]) find(id).addEventListener("input", applyHeat);
  find("boxes").addEventListener("input", applyBoxes);
  for (const id of ["level", "width"]) find(id).addEventListener("input", applyWindow);
  find("window-reset").addEventListener("click", () => { showWindow(page.shown.scene.window); applyWindow(); });
  find("canvas").addEventListener("pointerup", (event) => event.button === 2 && page.shown && showWindow(page.volume.window));
  find("canvas").addEventListener("contextmenu", (event) => event.preventDefault());
  for (const [button, input] of [["add", "files"], ["choose-files", "files"], ["choose-folder", "folder"], ["add-folder", "folder"]])
    find(button).addEventListener("click", () => find(input).click());
  for (const id of ["files", "folder"])
    find(id).addEventListener("change", ({ target }) => { hand(readChosen(target)); target.value = ""; });
  find("try-examples").addEventListener("click", () => judgeExamples().then(follow, (error) => say(error.message)));
  find("help").addEventListener("click", () => find("keys").showModal());
  find("model").addEventListener("click", showCard);
  find("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
      || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });
}

function showCard() {
  const { model, research_use: researchUse } = page.state;
  find("card").replaceChildren(
    make("h2", { id: "card-title" }, model.name),
    make("p", { class: "research" }, researchUse),
    make("h3", {}, "What it is for"), make("p", {}, model.intended_use || "The card does not say."),
    make("h3", {}, "Known failures"),
    make("ul", {}, ...(model.known_failures.length ? model.known_failures : ["The card does not say."]).map((one) => make("li", {}, one))),
    make("p", { class: "buttons" }, make("a", { class: "button", href: "card.html", target: "_blank", rel: "noopener" }, "The whole card, with figures"),
      make("form", { method: "dialog" }, make("button", {}, "Close"))));
  find("card").showModal();
}

function say(words) {
  find("said").textContent = words;
  setTimeout(() => { if (find("said").textContent === words) find("said").textContent = ""; }, 12000);
}

// Keyboard

function step(by) {
  go(numberShown() + by);
}

function nextKey() {
  const { keys } = page;
  if (!keys.length) return;
  const at = keys.findIndex((key) => key.number === numberShown());
  const { number } = keys[(at + 1) % keys.length];
  go(number, page.shown.scene.slices[number].shown_peak ?? undefined);
}

function nextSeries(by) {
  const rows = [...find("list").querySelectorAll(".row")];
  const at = rows.findIndex((row) => row.getAttribute("aria-current") === "true");
  rows[(at + by + rows.length) % rows.length]?.click();
}

function toggle(id) {
  find(id).checked = !find(id).checked;
  find(id).dispatchEvent(new Event("input"));
}

function bindKeys() {
  const act = {
    ...Object.fromEntries(["ArrowDown", "ArrowRight"].map((key) => [key, (event) => step(event.shiftKey ? 10 : 1)])),
    ...Object.fromEntries(["ArrowUp", "ArrowLeft"].map((key) => [key, (event) => step(event.shiftKey ? -10 : -1)])),
    Home: () => step(-Infinity), End: () => step(Infinity),
    k: nextKey, h: () => toggle("heat"), b: () => toggle("boxes"), n: () => nextSeries(1), p: () => nextSeries(-1),
    w: () => { find("windowing").open = !find("windowing").open; }, a: () => find("add").click(), "?": () => find("keys").showModal(),
  };
  // niivue listens to keys of its own, which say other things: they are not passed on.
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.matches("input[type=range], select, textarea") && event.key.startsWith("Arrow");
    const planes = Number(event.key) - 1;
    const doing = typing ? null : act[event.key] ?? act[event.key.toLowerCase()];
    if (doing && (page.shown || ["a", "?"].includes(event.key))) {
      doing(event);
      event.preventDefault();
    } else if (page.volume && page.shown?.scene.slices.length > 1 && PLANES[planes]) {
      page.volume.choosePlanes(planes);
      showPlanes();
    }
    if (doing || event.key.length === 1) event.stopImmediatePropagation();
  }, { capture: true });
}

// Dropping files

function bindDrop() {
  let depth = 0;
  const over = (shown) => document.body.classList.toggle("dropping", shown);
  addEventListener("dragenter", (event) => { event.preventDefault(); depth++; over(true); });
  addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); over(depth > 0); });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    await hand(await readDrop(event.dataTransfer));
  });
}

begin().catch((error) => say(`The viewer could not begin: ${error.message}`));
