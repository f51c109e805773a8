// How a slice is prepared, versions 1 and 2: a port of docs/preprocess.md, step by step.
// Floats are rounded to 32 bits (Math.fround) where the specification's arrays are float32.

const THUMBNAIL = { 1: 96, 2: 64 }; // by version
const FLAT = 0.08;
const SHARED = 0.06;
const CONTRAST = 0.12;
const LINE_GAP = 1 / 16; // of the thumbnail
const MARGIN = 1.08;
const OUTLINE = 128; // longest side of the outline, in its own pixels
const OUTLINE_CONTRAST = 0.1; // share of the head's range
const ORDINARY = [2 ** -10, 2 ** 100];

/**
 * @param {Float32Array} pixels H rows of W values
 * @param {number} width W
 * @param {number} height H
 * @param {number} size S, side of the prepared image
 * @param {[number, number]} spacing height and width of a pixel, in mm
 * @param {number} version of the procedure, as the model's card names it
 * @param {number | null} contrast typical range of intensities in the slice's series; null: alone
 * @returns {{image: Float32Array, toPixels: number[][], contrast: number}} S x S in [0, 1], the
 *   affine back, and the range of intensities in the slice
 */
export function prepare(pixels, width, height, size, spacing = [1, 1], version = 1, contrast = null) {
  const unit = findUnit(pixels);
  pixels = scaleBy(pixels, unit);
  const head = findHead(pixels, width, height, THUMBNAIL[version]);
  const aspect = spacing[0] / spacing[1];
  const [x0, y0, x1, y1] = head.box;
  const step = (Math.max(x1 - x0, (y1 - y0) * aspect) * MARGIN) / size;
  const across = fitAxis(x0, x1, step, width, size);
  const down = fitAxis(y0, y1, step / aspect, height, size);
  const image = new Float32Array(size * size).fill(head.background);
  const rows = resample(pixels, width, height, across, true);
  const wide = across.last - across.first;
  const both = resample(rows, wide, height, down, false);
  for (let y = down.first; y < down.last; y++) {
    for (let x = across.first; x < across.last; x++) {
      image[y * size + x] = both[(y - down.first) * wide + x - across.first];
    }
  }
  const spread = head.bright - head.dark;
  for (let i = 0; i < image.length; i++) {
    image[i] = Math.min(1, Math.max(0, Math.fround(image[i] - head.dark) / spread));
  }
  const own = spread / unit;
  const gain = version > 1 && contrast ? Math.min(1, own / contrast) : 1;
  if (gain < 1) for (let i = 0; i < image.length; i++) image[i] *= gain;
  const toPixels = [[step, 0, across.start], [0, step / aspect, down.start]];
  return { image, toPixels, contrast: own };
}

/** Range of intensities in a slice, in the unit of its pixels, as version 2 measures it. */
export function measureContrast(pixels, width, height) {
  const unit = findUnit(pixels);
  const { bright, dark } = findHead(scaleBy(pixels, unit), width, height, THUMBNAIL[2]);
  return (bright - dark) / unit;
}

/**
 * The head as a filled shape, outside of which no heat is drawn: a port of imaging/pixels/outline.py.
 * @returns {{values: Uint8Array, width: number, height: number}} it spans the slice
 */
export function outlineHead(pixels, width, height) {
  const values = scaleBy(pixels, findUnit(pixels));
  const factor = Math.max(1, Math.ceil(Math.max(width, height) / OUTLINE));
  const small = reduce(values, width, height, factor);
  const head = findHead(values, width, height, THUMBNAIL[2]);
  const [x0, y0, x1, y1] = head.box.map((edge) => roundHalfEven(edge / factor));
  const least = OUTLINE_CONTRAST * (head.bright - head.dark);
  const solid = grid(small, (i) => {
    const x = i % small.width, y = Math.floor(i / small.width);
    const inside = x >= x0 && x < Math.max(x1, x0 + 1) && y >= y0 && y < Math.max(y1, y0 + 1);
    return inside && Math.abs(small.values[i] - head.background) > least;
  });
  if (!solid.values.includes(1)) return grid(small, () => true);
  const rows = span(solid, false), columns = span(solid, true);
  return dilate(grid(small, (i) => rows[i] && columns[i]));
}

// Each row (or column) filled from its first to its last.
function span({ values, width, height }, upright) {
  const filled = new Uint8Array(values.length), [lines, cells] = upright ? [width, height] : [height, width];
  for (let line = 0; line < lines; line++) {
    const at = (k) => (upright ? k * width + line : line * width + k);
    let first = 0, last = cells - 1;
    while (first < cells && !values[at(first)]) first++;
    while (last > first && !values[at(last)]) last--;
    for (let k = first; k <= last; k++) filled[at(k)] = 1;
  }
  return filled;
}

const scaleBy = (pixels, unit) => (unit === 1 ? pixels : pixels.map((value) => value * unit));

/** The power of two that tiny or huge values are multiplied by, so that the unit does not matter. */
function findUnit(pixels) {
  const largest = pixels.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest === 0 || (largest >= ORDINARY[0] && largest < ORDINARY[1])) return 1;
  let factor = 1;
  while (largest * factor >= 1) factor /= 2;
  while (largest * factor < 0.5) factor *= 2;
  return factor;
}

function findHead(pixels, width, height, thumbnail) {
  const factor = Math.max(1, roundHalfEven(Math.max(width, height) / thumbnail));
  const small = reduce(pixels, width, height, factor);
  const sorted = Float32Array.from(small.values).sort();
  let low = at(sorted, 0.01), high = at(sorted, 0.99);
  if (high <= low) [low, high] = [sorted[0], sorted[sorted.length - 1]];
  const spread = Math.max(high - low, 1e-6);
  const frame = trimFrame(small, FLAT * spread);
  const inside = cut(small, frame);
  const background = findBackground(inside, low, SHARED * spread);
  let mask = grid(inside, (i) => Math.abs(inside.values[i] - background) > CONTRAST * spread);
  mask = keepHead(mask);
  if (!mask.values.includes(1)) mask.values.fill(1);
  const [left, top, right, bottom] = boundsWithoutLines(mask, LINE_GAP * thumbnail);
  const held = inside.values.filter((_, i) => mask.values[i]).sort();
  const dark = Math.min(at(held, 0.01), background), bright = at(held, 0.99);
  return {
    box: [
      (frame[0] + left) * factor,
      (frame[1] + top) * factor,
      Math.min((frame[0] + right) * factor, width),
      Math.min((frame[1] + bottom) * factor, height),
    ],
    dark,
    bright: bright > dark ? bright : dark + Math.max(1, Math.abs(dark) * 2 ** -20),
    background,
  };
}

const at = (sorted, share) => sorted[Math.floor(share * (sorted.length - 1))];

function roundHalfEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 ? low + 1 : low;
}

function grid(like, value) {
  const values = Uint8Array.from({ length: like.width * like.height }, (_, i) => (value(i) ? 1 : 0));
  return { values, width: like.width, height: like.height };
}

function reduce(pixels, width, height, factor) {
  const w = Math.ceil(width / factor), h = Math.ceil(height / factor);
  const values = new Float32Array(w * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const bottom = Math.min((y + 1) * factor, height), right = Math.min((x + 1) * factor, width);
      let sum = 0;
      for (let j = y * factor; j < bottom; j++) {
        for (let i = x * factor; i < right; i++) sum += pixels[j * width + i];
      }
      values[y * w + x] = sum / ((bottom - y * factor) * (right - x * factor));
    }
  }
  return { values, width: w, height: h };
}

function trimFrame(small, tolerance) {
  let [x0, y0, x1, y1] = [0, 0, small.width, small.height];
  const leastY = Math.max(2, Math.floor(small.height / 4));
  const leastX = Math.max(2, Math.floor(small.width / 4));
  for (;;) {
    const [top, bottom] = findEnds(y1 - y0, (row) => line(small, x0, x1, y0 + row, 0), tolerance);
    if (bottom - top < leastY) return [x0, y0, x1, y1];
    const column = (k) => line(small, y0 + top, y0 + bottom, x0 + k, 1);
    const [left, right] = findEnds(x1 - x0, column, tolerance);
    if (right - left < leastX) return [x0, y0, x1, y1];
    if (bottom - top === y1 - y0 && right - left === x1 - x0) return [x0, y0, x1, y1];
    [x0, x1, y0, y1] = [x0 + left, x0 + right, y0 + top, y0 + bottom];
  }
}

function line(small, from, to, place, upright) {
  const values = new Float32Array(to - from);
  for (let k = from; k < to; k++) {
    values[k - from] = small.values[upright ? k * small.width + place : place * small.width + k];
  }
  return values;
}

function findEnds(count, get, tolerance) {
  const holds = (k) => {
    const sorted = get(k).sort();
    const tenth = Math.floor(sorted.length / 20);
    return Math.fround(sorted[sorted.length - 1 - tenth] - sorted[tenth]) > tolerance;
  };
  let first = 0;
  while (first < count && !holds(first)) first++;
  if (first === count) return [0, 0];
  let last = count;
  while (!holds(last - 1)) last--;
  return [first, last];
}

function cut(small, [x0, y0, x1, y1]) {
  const width = x1 - x0, height = y1 - y0;
  const values = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const start = (y0 + y) * small.width + x0;
    values.set(small.values.subarray(start, start + width), y * width);
  }
  return { values, width, height };
}

function findBackground({ values, width, height }, low, tolerance) {
  const edge = [];
  for (let x = 0; x < width; x++) edge.push(values[x], values[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) edge.push(values[y * width], values[y * width + width - 1]);
  const middle = Float32Array.from(edge).sort()[Math.floor(edge.length / 2)];
  const shared = edge.filter((value) => Math.abs(Math.fround(value - middle)) < tolerance).length;
  return shared > 0.5 * edge.length ? middle : low;
}

function keepHead(mask) {
  const joined = dilate(mask);
  const { width, height } = mask;
  const seeds = densestSpot(mask);
  const reached = new Uint8Array(width * height);
  const open = [];
  for (let i = 0; i < reached.length; i++) {
    if (seeds.values[i] && joined.values[i]) open.push(i), (reached[i] = 1);
  }
  while (open.length) {
    const i = open.pop(), x = i % width;
    const around = [x > 0 && i - 1, x < width - 1 && i + 1, i - width, i + width];
    for (const j of around) {
      if (j !== false && j >= 0 && j < reached.length && joined.values[j] && !reached[j]) {
        reached[j] = 1;
        open.push(j);
      }
    }
  }
  return grid(mask, (i) => reached[i] && mask.values[i]);
}

function dilate(mask) {
  const { values, width, height } = mask;
  return grid(mask, (i) => {
    const x = i % width, y = Math.floor(i / width);
    for (let j = Math.max(0, y - 1); j <= Math.min(height - 1, y + 1); j++) {
      for (let k = Math.max(0, x - 1); k <= Math.min(width - 1, x + 1); k++) {
        if (values[j * width + k]) return true;
      }
    }
    return false;
  });
}

function densestSpot(mask) {
  const { values, width, height } = mask;
  const side = Math.max(1, Math.floor(Math.min(width, height) / 4));
  const sums = addUp(mask), wide = width + 1;
  let most = -1, places = [];
  for (let y = 0; y + side <= height; y++) {
    for (let x = 0; x + side <= width; x++) {
      const top = y * wide + x, bottom = top + side * wide;
      const count = sums[bottom + side] - sums[bottom] - sums[top + side] + sums[top];
      if (count > most) [most, places] = [count, []];
      if (count === most) places.push([y, x]);
    }
  }
  const mean = (axis) => places.reduce((sum, place) => sum + place[axis], 0) / places.length;
  const [my, mx] = [mean(0), mean(1)];
  let best = places[0], nearest = Infinity;
  for (const place of places) {
    const distance = (place[0] - my) ** 2 + (place[1] - mx) ** 2;
    if (distance < nearest) [nearest, best] = [distance, place];
  }
  return grid(mask, (i) => {
    const x = i % width, y = Math.floor(i / width);
    return y >= best[0] && y < best[0] + side && x >= best[1] && x < best[1] + side;
  });
}

// Sums over all that lies above and to the left of each corner.
function addUp({ values, width, height }) {
  const sums = new Int32Array((width + 1) * (height + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0, row = 0; x < width; x++) {
      row += values[y * width + x];
      sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
    }
  }
  return sums;
}

function boundsWithoutLines(mask, gap) {
  const outer = bounds(mask);
  const not = (one) => grid(one, (i) => !one.values[i]);
  const solid = dilate(not(dilate(not(mask))));
  if (!solid.values.includes(1)) return outer;
  const inner = bounds(solid);
  return [
    Math.max(outer[0], inner[0] - gap),
    Math.max(outer[1], inner[1] - gap),
    Math.min(outer[2], inner[2] + gap),
    Math.min(outer[3], inner[3] + gap),
  ];
}

function bounds({ values, width, height }) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let i = 0; i < values.length; i++) {
    if (!values[i]) continue;
    const x = i % width, y = Math.floor(i / width);
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + 1);
  }
  return [left, top, right, bottom];
}

function fitAxis(low, high, step, limit, size) {
  const start = (low + high) / 2 - (step * size) / 2;
  const first = Math.min(Math.max(Math.ceil(-start / step - 1e-9), 0), size - 1);
  const last = Math.min(Math.max(Math.floor((limit - start) / step + 1e-9), first + 1), size);
  const place = (edge) => Math.min(Math.max(start + edge * step, 0), limit);
  return { start, first, last, low: place(first), high: place(last) };
}

// A triangle filter along one axis, from the part of the slice that [axis.low, axis.high) covers.
function resample(values, width, height, axis, along) {
  const count = axis.last - axis.first;
  const scale = (axis.high - axis.low) / count;
  const reach = Math.max(1, scale);
  const limit = along ? width : height;
  const lines = along ? height : width;
  const output = new Float32Array(count * lines);
  for (let k = 0; k < count; k++) {
    const center = axis.low + (k + 0.5) * scale;
    const from = Math.max(Math.trunc(center - reach + 0.5), 0);
    const to = Math.min(Math.trunc(center + reach + 0.5), limit);
    const weights = [];
    for (let i = from; i < to; i++) weights.push(Math.max(0, 1 - Math.abs((i - center + 0.5) / reach)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let n = 0; n < lines; n++) {
      let sum = 0;
      for (let i = from; i < to; i++) {
        sum += (weights[i - from] / total) * values[along ? n * width + i : i * width + n];
      }
      output[along ? n * count + k : k * lines + n] = sum;
    }
  }
  return output;
}
