// What the page does: it loads the model, takes a picture and says what the model says.
import { Detector, draw, readPicture } from "./detect.js";

const find = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const say = (words) => (find("verdict").textContent = words);

let latest = 0; // of several pictures the last one counts

async function show(detector, blob, number) {
  delete document.body.dataset.finding;
  find("canvas").width = find("canvas").height = 0;
  say("Judging…");
  const start = performance.now();
  const slice = await readPicture(blob);
  const finding = await detector.judge(slice);
  if (number !== latest) return;
  draw(find("canvas"), slice.picture, finding, detector.card.cell_threshold);
  const taken = performance.now() - start;
  document.body.dataset.finding = JSON.stringify({
    verdict: finding.verdict, tumor: finding.tumor, unfamiliarity: finding.unfamiliarity, milliseconds: taken,
  });
  const chance = `${(100 * finding.tumor).toFixed(1)} %`;
  say(`${finding.verdict.replace("_", " ")}: tumor probability ${chance}, unfamiliarity ` +
    `${finding.unfamiliarity.toFixed(2)}; ${taken.toFixed(0)} ms. Model: ${detector.card.name} ${detector.card.version}.`);
}

try {
  const detector = await Detector.load(asked.get("model") ?? "model.onnx");
  say("Ready.");
  const guard = (blob) => {
    const number = ++latest;
    const tell = (error) => number === latest && say(`That cannot be read: ${error.message}`);
    return show(detector, blob, number).catch(tell);
  };
  find("file").onchange = (event) => guard(event.target.files[0]);
  find("place").ondragover = (event) => event.preventDefault();
  find("place").ondrop = (event) => (event.preventDefault(), guard(event.dataTransfer.files[0]));
  if (asked.has("picture")) {
    const answer = await fetch(asked.get("picture"));
    if (!answer.ok) throw new Error(`${asked.get("picture")}: ${answer.status}`);
    const blob = await answer.blob();
    await guard(blob);
  }
} catch (error) {
  say(`Nothing can be judged: ${error.message}`);
}
