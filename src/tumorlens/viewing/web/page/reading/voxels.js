// From stored values to the pixels of a slice, and what is typical of a series: ports of
// imaging/pixels/voxels.py and contrast.py.
import { measureContrast } from "../judging/prepare.js";

const SAMPLED = 9; // slices of a series whose contrast is measured
const FRACTION = 24; // bits of a number in single precision
export const FAR_INTERCEPT = "the rescale intercept is too large beside the slope: it is left out";

/** Whether single precision cannot tell neighbours of stored values apart after the rescale. */
export function isOutOfReach(slope, intercept, bits) {
  const reach = Math.abs(slope) * 2 ** Math.max(bits, FRACTION);
  return 0 < reach && reach < Math.abs(intercept);
}

/** Finite float32 pixels and notes on what was mended. Throws where no value is finite. */
export function cleanPixels(values) {
  const pixels = values instanceof Float32Array ? values : Float32Array.from(values);
  let bad = 0, least = Infinity;
  for (const value of pixels) {
    if (!Number.isFinite(value)) bad++;
    else if (value < least) least = value;
  }
  if (bad === pixels.length) throw new Error("no voxel is finite (all NaN or infinite)");
  if (!bad) return { pixels, notes: [] };
  const background = Math.min(0, least);
  const mended = pixels.map((value) => (Number.isFinite(value) ? value : background));
  return { pixels: mended, notes: [`${bad} non-finite voxels set to background`] };
}

/** Whether one value fills the slice. */
export const isBlank = (pixels) => pixels.every((value) => value === pixels[0]);

/** Grey of a color, as Pillow's mode L. */
export const toLuma = (r, g, b) => (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;

/** Places of at most nine of `count` slices, spread evenly. */
export function chooseEvenly(count) {
  const number = Math.min(count, SAMPLED);
  return Array.from({ length: number }, (_, place) => Math.floor(((place + 0.5) * count) / number));
}

/** The typical contrast of a series: the third quartile of some of its slices; null for one alone.
 * @param {number} count slices
 * @param {(index: number) => Promise<{pixels: Float32Array, width: number, height: number} | null>} read */
export async function measureTypical(count, read) {
  if (count < 2) return null;
  const contrasts = [];
  for (const place of chooseEvenly(count)) {
    const slice = await read(place);
    if (slice) contrasts.push(measureContrast(slice.pixels, slice.width, slice.height));
  }
  const ordered = Float64Array.from(contrasts).sort();
  return ordered.length ? ordered[Math.floor(0.75 * (ordered.length - 1))] : null;
}

/** The middle 99.4 % of some 250,000 of the values; their ends, where those are equal.
 * @param {ArrayLike<number>} data
 * @param {number[]} shape of an array whose last axis is the fastest */
export function findRange(data, shape) {
  const size = shape.reduce((product, one) => product * one, 1);
  const step = Math.max(1, Math.round((size / 250000) ** (1 / shape.length)));
  const sample = new Float64Array(shape.reduce((product, one) => product * Math.ceil(one / step), 1));
  let count = 0;
  const walk = (axis, from) => {
    for (let i = 0; i < shape[axis]; i += step) {
      const at = from * shape[axis] + i;
      if (axis + 1 < shape.length) walk(axis + 1, at);
      else if (Number.isFinite(data[at])) sample[count++] = data[at];
    }
  };
  walk(0, 0);
  const ordered = sample.subarray(0, count).sort();
  const low = quantile(ordered, 0.003), high = quantile(ordered, 0.997);
  if (high > low) return [low, high];
  return data.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
}

/** A quantile of sorted values, linear between them. */
export function quantile(ordered, share) {
  if (!ordered.length) return 0;
  const at = share * (ordered.length - 1), low = Math.floor(at), rest = at - low;
  const high = Math.min(low + 1, ordered.length - 1);
  return ordered[low] + rest * (ordered[high] - ordered[low]);
}
