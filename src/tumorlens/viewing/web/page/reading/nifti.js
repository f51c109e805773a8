// NIfTI-1 and NIfTI-2 volumes, by nifti-reader-js: a port of imaging/volumes/nifti.py and layout.py.
import { isNIFTI, readHeader } from "../vendor/nifti-reader-js/nifti.js";
import { arrange, chooseAxis, pick, SMALLEST } from "./geometry.js";
import { guessSequence } from "./sequences.js";
import { findSpace } from "./spaces.js";
import { cleanPixels, FAR_INTERCEPT, findRange, isOutOfReach, measureTypical, toLuma } from "./voxels.js";

const TYPES = {
  2: Uint8Array, 4: Int16Array, 8: Int32Array, 16: Float32Array, 64: Float64Array,
  256: Int8Array, 512: Uint16Array, 768: Uint32Array, 1024: BigInt64Array, 1280: BigUint64Array,
};
const COLORS = { 128: 3, 2304: 4 }; // bytes of a voxel
const NO_SCANS = [
  [[1002, 1003], "a label map"],
  [[1001, ...Array.from({ length: 23 }, (_, i) => i + 2)], "a map of statistics"],
  [[1004, 1005, 1006, 1007, 1008, 1009, 1010, 2006, 2007, 2008, 2009, 2016, 2017, 2018], "a field of vectors"],
];
const LABELS_NAMED = /(?<![a-z])(?:seg|dseg|probseg|segmentations?|labels?|labelmap|masks?|aseg|aparc|wmparc|parc|parcellation|atlas|rois?|lesions?)(?![a-z])/i;
const SHARES_NAMED = /(?<![a-z])(?:probseg|masks?|seg|labels?)\.[a-z.]+$/i;
const FEW = 8, LARGEST_LABEL = 255, MANY = 1024, PATCHES = 0.5;

/**
 * A volume file as a source of slices.
 * @param {string} path as shown
 * @param {ArrayBuffer} buffer the file, unzipped
 */
export async function openNifti(path, buffer) {
  if (!isNIFTI(buffer)) throw new Error("it is half of a NIfTI pair or an Analyze file; convert it to .nii");
  const header = readHeader(buffer);
  if (header.description.startsWith("tumorlens")) throw new Error("it is a result of tumorlens; give the scan itself");
  const shape = [1, 2, 3].map((axis) => Math.max(1, axis <= header.dims[0] ? header.dims[axis] : 1));
  const volumes = header.dims.slice(4, header.dims[0] + 1).reduce((product, one) => product * Math.max(1, one), 1);
  const voxels = readVoxels(header, buffer, shape, volumes);
  refuseContent(header, voxels.subarray(0, shape[0] * shape[1] * shape[2]), path);
  const space = findSpace(header, new DataView(buffer), shape);
  const through = chooseAxis(shape, space.grid);
  const size = shape[0] * shape[1] * shape[2], strides = [1, shape[0], shape[0] * shape[1]];
  const cut = (volume) => arrange({ data: voxels, shape, strides, start: volume * size }, space.grid, through);
  const first = cut(0);
  if (Math.min(first.width, first.height) < SMALLEST)
    throw new Error(`its slices have ${first.width} x ${first.height} pixels; at least ${SMALLEST} a side can be judged`);
  const scaling = readScale(header), known = new Map();
  const show = (volume, number) => {
    const one = cut(volume);
    return { one, ...cleanPixels(scaleValues(pick(one, number), scaling)), width: one.width, height: one.height };
  };
  async function tellVolume(volume) {
    const visible = (number) => {
      try {
        return show(volume, number);
      } catch {
        return null; // a slice without a finite value
      }
    };
    const [low, high] = findRange(voxels.subarray(volume * size, (volume + 1) * size), [...shape].reverse());
    const ends = [low, high].map((value) => value * scaling.slope + scaling.intercept).sort((a, b) => a - b);
    return { contrast: await measureTypical(first.count, visible), window: high > low ? ends : null };
  }
  const anew = space.used && space.grid.spacing[through] < 0.999 * Math.max(...space.grid.spacing);
  const notes = [...space.notes, ...(anew ? [`cut anew as ${first.plane} slices, not across its widest spacing`] : [])];
  const sequence = guessSequence(path.replaceAll("\\", "/").split("/").pop());
  return {
    path,
    series: null,
    study: null,
    count: first.count * volumes,
    async read(index) {
      const volume = Math.floor(index / first.count), number = index % first.count;
      if (!known.has(volume)) known.set(volume, await tellVolume(volume));
      const { one, pixels, notes: mended, width, height } = show(volume, number);
      const { contrast, window } = known.get(volume);
      const info = {
        path, frame: index, series: null, study: null, instance: null, sequence,
        position: space.used ? one.position(number) : null,
        lps: space.used ? one.lps(number) : null,
        spacing: one.spacing,
        plane: space.used ? one.plane : null,
        sidesKnown: one.sidesKnown && space.sure,
        window,
        notes: [...notes, ...scaling.notes, ...mended],
      };
      return { pixels, width, height, info, contrast };
    },
  };
}

function readVoxels(header, buffer, shape, volumes) {
  const count = shape[0] * shape[1] * shape[2] * volumes, offset = Math.trunc(header.vox_offset);
  const type = TYPES[header.datatypeCode], bytes = COLORS[header.datatypeCode] ?? type?.BYTES_PER_ELEMENT;
  if (!bytes) throw new Error(`it holds voxels of NIfTI type ${header.datatypeCode}; store magnitudes as float32`);
  if (offset < header.getExtensionLocation()) throw new Error(`it has a broken NIfTI header (voxels at byte ${offset}); export it again`);
  if (offset + count * bytes > buffer.byteLength)
    throw new Error(`it is cut short: ${buffer.byteLength} bytes of ${offset + count * bytes}; copy it anew`);
  if (!type) return toLumas(new Uint8Array(buffer, offset, count * bytes), bytes);
  const aligned = offset % bytes === 0 && header.littleEndian;
  const part = aligned ? buffer : buffer.slice(offset, offset + count * bytes);
  if (!header.littleEndian) swapBytes(new Uint8Array(part), bytes);
  const values = new type(part, aligned ? offset : 0, count);
  return type === BigInt64Array || type === BigUint64Array ? Float64Array.from(values, Number) : values;
}

const toLumas = (bytes, each) =>
  Uint8Array.from({ length: bytes.length / each }, (_, i) => toLuma(bytes[i * each], bytes[i * each + 1], bytes[i * each + 2]));

/** Turn numbers of `size` bytes from one order of bytes to the other, in place. */
export function swapBytes(bytes, size) {
  for (let at = 0; at + size <= bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}

// The header's slope and intercept; by the standard, 0 scales nothing.
function readScale({ scl_slope: slope, scl_inter: intercept, numBitsPerVoxel: bits }) {
  if (slope === 0 || !Number.isFinite(slope)) return { slope: 1, intercept: 0, notes: [] };
  const notes = slope < 0 ? ["a negative scl_slope swaps dark and bright"] : [];
  if (isOutOfReach(slope, intercept, bits)) return { slope, intercept: 0, notes: [...notes, FAR_INTERCEPT] };
  return { slope, intercept: Number.isFinite(intercept) ? intercept : 0, notes };
}

function scaleValues(values, { slope, intercept }) {
  if (slope === 1 && intercept === 0) return values;
  const [by, plus] = [Math.fround(slope), Math.fround(intercept)];
  return Float32Array.from(values, (value) => Math.fround(Math.fround(value) * by) + plus);
}

// A label map, a map of statistics or vectors is no scan; port of imaging/volumes/content.py.
function refuseContent(header, voxels, path) {
  const stated = NO_SCANS.find(([codes]) => codes.includes(header.intent_code))?.[1];
  const what = stated ?? (isLabelMap(voxels, path) ? "a label map" : null);
  if (what) throw new Error(`it looks like ${what}, not a scan; leave it out`);
}

function isLabelMap(voxels, path) {
  const most = LABELS_NAMED.test(path.split("/").pop()) ? MANY : FEW;
  const seen = new Set();
  if (SHARES_NAMED.test(path) && voxels.every((value) => !(value < 0 || value > 1)) && voxels.some((value) => value > 0)) return true;
  let labelled = 0, equal = 0;
  for (let i = 0; i < voxels.length; i++) {
    const value = Number.isNaN(voxels[i]) ? 0 : voxels[i];
    if (i && value === voxels[i - 1]) {
      if (value) equal++, labelled++;
      continue;
    }
    if (value % 1) return false;
    seen.add(value);
    if (seen.size > most) return false;
    if (value) labelled++;
  }
  if (!labelled) return false;
  const values = [...seen];
  const few = values.length >= 2 && values.length <= FEW && Math.min(...values) >= -1 && Math.max(...values) <= LARGEST_LABEL;
  return few || (most > FEW && equal > PATCHES * labelled);
}
