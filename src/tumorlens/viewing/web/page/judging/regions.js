// Where the evidence lies, in pixels of the slice: a port of model/regions.py.
import { toLogit } from "./profile.js";

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Where the evidence is strongest: in the strongest cell, at the top of the parabolas through its neighbours. */
export function findPeak({ activation, rows, columns, size, toPixels: [[sx, , left], [, sy, top]] }, width, height) {
  let best = 0;
  for (let i = 1; i < activation.length; i++) if (activation[i] > activation[best]) best = i;
  const column = best % columns, row = Math.floor(best / columns), at = (v, u) => toLogit(activation[v * columns + u]);
  const right = inside(column, columns) ? findTop(at(row, column - 1), at(row, column), at(row, column + 1)) : 0;
  const down = inside(row, rows) ? findTop(at(row - 1, column), at(row, column), at(row + 1, column)) : 0;
  const x = ((column + 0.5 + right) * size) / columns, y = ((row + 0.5 + down) * size) / rows;
  return [clamp(x * sx + left, 0, width - 0.5), clamp(y * sy + top, 0, height - 0.5)];
}

const inside = (place, count) => 0 < place && place < count - 1;

function findTop(before, here, after) {
  const curvature = before - 2 * here + after;
  return curvature < 0 ? (before - after) / 2 / curvature : 0;
}

/** Connected regions (eight neighbours) of cells at or over `threshold`: [x0, y0, x1, y1, score], strongest first. */
export function findBoxes({ activation, rows, columns, size, toPixels: [[sx, , left], [, sy, top]] }, threshold, width, height) {
  const left_ = new Set(), boxes = [];
  activation.forEach((value, i) => value >= threshold && left_.add(i));
  for (const seed of left_) {
    const region = [seed];
    left_.delete(seed);
    for (const i of region) {
      for (const j of around(i, rows, columns)) if (left_.delete(j)) region.push(j);
    }
    const xs = region.map((i) => i % columns), ys = region.map((i) => Math.floor(i / columns));
    const [x0, x1] = [Math.min(...xs), Math.max(...xs) + 1].map((x) => clamp(((x * size) / columns) * sx + left, 0, width));
    const [y0, y1] = [Math.min(...ys), Math.max(...ys) + 1].map((y) => clamp(((y * size) / rows) * sy + top, 0, height));
    const score = Math.min(1, Math.max(...region.map((i) => activation[i])));
    if (x1 > x0 && y1 > y0) boxes.push([x0, y0, x1, y1, score]);
  }
  return boxes.sort((a, b) => b[4] - a[4]);
}

function* around(i, rows, columns) {
  const x = i % columns, y = Math.floor(i / columns);
  for (let v = Math.max(0, y - 1); v <= Math.min(rows - 1, y + 1); v++)
    for (let u = Math.max(0, x - 1); u <= Math.min(columns - 1, x + 1); u++) if (u !== x || v !== y) yield v * columns + u;
}
