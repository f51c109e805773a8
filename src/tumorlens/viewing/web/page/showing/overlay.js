// One slice with its evidence, as report/pictures draws it: greys, heat, boxes, strongest point,
// sides. Evidence under the threshold is faint, and all of it is where the verdict is not tumor or
// uncertain: a color that leaps to the eye would contradict the word beside it.
import { outlineHead } from "../judging/prepare.js";
import { findRange } from "../reading/voxels.js";
import { resize, sample } from "./resample.js";

const LEAST_SIDE = 512, LARGEST_SIDE = 4096, ENLARGED = 16;
const NOTHING = 0.3, FAINT = 0.13, FULL = 0.55, RISE = 0.4, WHITE = 0.6;
const LEAST_INSIDE = 0.5; // share of a box that lies in the head
const SEEN = 5; // opacity of 255 from which on a hue is seen over grey
const INK = "rgb(236, 238, 242)";

export const speaks = ({ verdict }) => verdict === "tumor" || verdict === "uncertain";

/** How pixels of a slice become pixels of the drawing. */
export function fitView({ width, height, info }) {
  const [row, column] = info.spacing ?? [1, 1], finest = Math.min(row, column);
  const across = column / finest, down = row / finest, longest = Math.max(width * across, height * down);
  const zoom = Math.min(longest < LEAST_SIDE ? Math.ceil(LEAST_SIDE / longest) : 1, LARGEST_SIDE / longest);
  const scale = [across * zoom, down * zoom];
  const size = [Math.max(1, Math.round(width * scale[0])), Math.max(1, Math.round(height * scale[1]))];
  return { scale, size, unit: Math.max(16, Math.round(Math.max(...size) / 32)) };
}

/**
 * Draw a slice with its finding.
 * @param {HTMLCanvasElement} canvas
 * @param {object} slice
 * @param {object} finding
 * @param {{threshold: number, heat?: boolean, strength?: number, marks?: boolean}} how
 */
export function drawSlice(canvas, slice, finding, { threshold, heat = true, strength = 1, marks = true }) {
  const view = fitView(slice), [width, height] = view.size, context = canvas.getContext("2d");
  canvas.width = width;
  canvas.height = height;
  const outline = outlineHead(slice.pixels, slice.width, slice.height);
  const greys = enlarge(paintGreys(slice), slice, view);
  const evidence = heat ? spreadEvidence(finding, outline, view) : null;
  context.putImageData(blend(greys, evidence, opacities(finding, threshold), strength, view), 0, 0);
  const shown = { ...chooseMarks(finding, outline, slice), weak: isWeak(finding, threshold) };
  if (marks) {
    shown.boxes.forEach((box) => drawBox(context, box, view));
    if (shown.peak) drawPeak(context, shown.peak, view);
  }
  const { sidesKnown, plane } = slice.info;
  if (sidesKnown && ["axial", "coronal"].includes(plane)) drawSides(context, view);
  return shown;
}

/** Greys by the file's own window; by the middle of the values if it has none or a senseless one.
 * A slice that is dimmer than its series stays so: noise of an empty one is dark. */
function paintGreys({ pixels, width, height, info, contrast }) {
  let [low, high] = findRange(pixels, [height, width]);
  high = Math.max(high, low + (contrast ?? 0));
  if (low === high) return new Uint8ClampedArray(pixels.length).fill(128);
  if (info.window && fits(pixels, info.window, [low, high])) [low, high] = info.window;
  const factor = 255 / (high - low);
  const greys = new Uint8ClampedArray(pixels.length);
  for (let i = 0; i < greys.length; i++) greys[i] = Math.trunc(Math.min(Math.max((pixels[i] - low) * factor, 0), 255));
  return greys;
}

function fits(pixels, [first, last], [low, high]) {
  const reaches = first < high && last > low && last - first < 20 * (high - low);
  return reaches && pixels.reduce((count, value) => count + (value >= last), 0) <= WHITE * pixels.length;
}

function enlarge(greys, { width, height }, { scale, size: [wide, high] }) {
  if (Math.min(...scale) <= ENLARGED) return resize(greys, width, height, wide, high);
  const at = (i, from, to) => Math.min(from - 1, Math.floor(((i + 0.5) * from) / to));
  return Uint8ClampedArray.from({ length: wide * high }, (_, i) =>
    greys[at(Math.floor(i / wide), height, high) * width + at(i % wide, width, wide)]);
}

// Evidence of 0 to 255, smooth between the centres of cells, inside of the head.
function spreadEvidence({ activation, rows, columns, size, toPixels: [[sx, , left], [, sy, top]] }, outline, { scale, size: [width, height] }) {
  const [w, h] = [width, height].map((side) => Math.max(1, Math.floor(side / 4)));
  const cells = activation.map((value) => value * 255);
  const shape = resize(soften(outline), outline.width, outline.height, w, h);
  const small = new Uint8ClampedArray(w * h);
  for (let y = 0; y < h; y++) {
    const v = (((((y + 0.5) * height) / h / scale[1] - top) / sy) * rows) / size;
    for (let x = 0; x < w; x++) {
      if (!shape[y * w + x]) continue;
      const u = (((((x + 0.5) * width) / w / scale[0] - left) / sx) * columns) / size;
      small[y * w + x] = (Math.min(Math.max(sample(cells, columns, rows, u, v), 0), 255) * shape[y * w + x]) / 255;
    }
  }
  return resize(small, w, h, width, height);
}

// The shape with a soft rim: a Gaussian of one pixel.
function soften({ values, width, height }) {
  const weights = [-3, -2, -1, 0, 1, 2, 3].map((at) => Math.exp(-(at * at) / 2)), total = weights.reduce((a, b) => a + b);
  const pass = (from, step, count, at) => Float32Array.from(from, (_, i) =>
    weights.reduce((sum, weight, k) => sum + weight * from[i + (Math.min(Math.max(at(i) + k - 3, 0), count - 1) - at(i)) * step], 0) / total);
  const across = pass(Float32Array.from(values, (one) => 255 * one), 1, width, (i) => i % width);
  return pass(across, width, height, (i) => Math.floor(i / width));
}

// Opacity, 0 to 1, of each of 256 levels of evidence.
export function opacities(finding, cellThreshold) {
  const threshold = Math.min(Math.max(cellThreshold, 0.05), 0.95);
  const step = (value, low, high) => {
    const along = Math.min(Math.max((value - low) / (high - low), 0), 1);
    return along * along * (3 - 2 * along);
  };
  return Array.from({ length: 256 }, (_, i) => {
    const faint = FAINT * step(i / 255, NOTHING * threshold, threshold);
    return faint + (speaks(finding) ? (FULL - FAINT) * step(i / 255, threshold, threshold + RISE * (1 - threshold)) : 0);
  });
}

/** Whether heat is seen where the verdict sees no tumor: the two need a word between them. */
export const isWeak = (finding, cellThreshold) =>
  finding.verdict === "no_tumor" && opacities(finding, cellThreshold)[Math.round(255 * Math.min(1, Math.max(...finding.activation)))] * 255 >= SEEN;

let colors = null;

/** 256 colors of evidence, from the tokens of the design. */
export function heatColors() {
  if (colors) return colors;
  const stops = getComputedStyle(document.documentElement).getPropertyValue("--heat-scale").match(/#[0-9a-f]{6}/gi)
    .map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  colors = Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
    return stops[low].map((value, k) => Math.round(value + (at - low) * (stops[low + 1][k] - value)));
  });
  return colors;
}

function blend(greys, evidence, opacity, strength, { size: [width, height] }) {
  const image = new ImageData(width, height), { data } = image, table = heatColors();
  for (let i = 0, at = 0; i < greys.length; i++, at += 4) {
    const grey = greys[i], level = evidence ? evidence[i] : 0, share = opacity[level] * strength;
    data[at] = data[at + 1] = data[at + 2] = grey;
    data[at + 3] = 255;
    if (level && share) for (let k = 0; k < 3; k++) data[at + k] = grey + share * (table[level][k] - grey);
  }
  return image;
}

/** Boxes and peak where the verdict is tumor or uncertain, and in the head alone. */
function chooseMarks(finding, outline, { width, height }) {
  if (!speaks(finding)) return { boxes: [], peak: null, outside: false };
  const boxes = finding.boxes.map((box) => clip(box, outline, width, height)).filter(Boolean);
  const at = (value, count, side) => Math.min(Math.max(Math.floor((value * count) / side), 0), count - 1);
  const [x, y] = finding.peak;
  const inside = outline.values[at(y, outline.height, height) * outline.width + at(x, outline.width, width)];
  return { boxes, peak: inside ? finding.peak : null, outside: !inside };
}

// The part of a box around what it holds of the head; null if most of it lies outside.
function clip([x0, y0, x1, y1, score], outline, width, height) {
  const down = height / outline.height, across = width / outline.width;
  const top = Math.floor(y0 / down), left = Math.floor(x0 / across);
  const bottom = Math.min(Math.ceil(y1 / down), outline.height), right = Math.min(Math.ceil(x1 / across), outline.width);
  let [count, least, most, first, last] = [0, Infinity, -1, Infinity, -1];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (!outline.values[y * outline.width + x]) continue;
      count++;
      [least, most, first, last] = [Math.min(least, x), Math.max(most, x), Math.min(first, y), Math.max(last, y)];
    }
  }
  if (!(count >= LEAST_INSIDE * (bottom - top) * (right - left)) || !count) return null;
  return [Math.max(x0, least * across), Math.max(y0, first * down), Math.min(x1, (most + 1) * across), Math.min(y1, (last + 1) * down), score];
}

const mark = () => getComputedStyle(document.documentElement).getPropertyValue("--mark").trim();

function stroke(context, color, width, path) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.beginPath();
  path();
  context.stroke();
}

function drawBox(context, [x0, y0, x1, y1, score], { scale: [sx, sy], unit }) {
  const line = Math.max(2, Math.floor(unit / 10)), [x, y, w, h] = [x0 * sx, y0 * sy, (x1 - x0) * sx, (y1 - y0) * sy];
  stroke(context, "#000", line * 2, () => context.rect(x, y, w, h));
  stroke(context, mark(), line, () => context.rect(x + line / 2, y + line / 2, w - line, h - line));
  write(context, score.toFixed(2), x, y - unit >= 0 ? y - unit * 0.25 : y + line * 2 + unit * 0.7, unit * 0.75, mark());
}

function drawPeak(context, [px, py], { scale: [sx, sy], unit }) {
  const x = px * sx, y = py * sy, arm = unit * 0.5;
  const cross = () => (context.moveTo(x - arm, y), context.lineTo(x + arm, y), context.moveTo(x, y - arm), context.lineTo(x, y + arm));
  stroke(context, "#000", Math.max(4, Math.floor(unit / 5)), cross);
  stroke(context, mark(), Math.max(2, Math.floor(unit / 10)), cross);
}

// Radiological display: the patient's right is on the viewer's left.
function drawSides(context, { size: [width, height], unit }) {
  write(context, "R", unit * 0.4, height / 2 + unit * 0.5, unit * 1.4, INK);
  context.textAlign = "right";
  write(context, "L", width - unit * 0.4, height / 2 + unit * 0.5, unit * 1.4, INK);
  context.textAlign = "left";
}

function write(context, words, x, y, size, ink) {
  context.font = `${Math.round(size)}px system-ui, sans-serif`;
  context.lineJoin = "round";
  context.strokeStyle = "#000";
  context.lineWidth = Math.max(2, size / 5);
  context.strokeText(words, x, y);
  context.fillStyle = ink;
  context.fillText(words, x, y);
}
