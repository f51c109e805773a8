// DICOM files as series of slices: a port of imaging/dicom/datasets.py and imaging/series/cutting.py.
import { inflateSync } from "../vendor/fflate/fflate.js";
import { arrange, pick, SMALLEST } from "./geometry.js";
import { decodeFrame, loadScript } from "./decoding.js";
import { FrameHeader, countFrames, has, readNumbers, readText } from "./headers.js";
import { countMissing, mayBeFilled, planStacks } from "./stacks.js";
import { cleanPixels, findRange, measureTypical } from "./voxels.js";

const NO_PICTURES = {
  "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
  "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation",
  "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
};
const MOSAICS = ["MOSAIC", "GRID", "VFRAME"];
const MOST_PIXELS = 100_000_000;

/** A parsed file. Throws where it is no DICOM file, or shows no picture. */
export async function parseDicom(path, bytes) {
  const parser = await loadScript("dicom-parser/dicomParser.min.js", "dicomParser");
  const inflater = (all, position) => {
    const rest = inflateSync(all.subarray(position)), whole = new Uint8Array(position + rest.length);
    whole.set(all.subarray(0, position));
    whole.set(rest, position);
    return whole;
  };
  const set = parse(parser, bytes, inflater);
  const reason = explainNoPicture(set);
  if (reason) throw new Error(reason);
  return { path, set, frames: countFrames(set) };
}

function parse(parser, bytes, inflater) {
  const syntaxes = [undefined, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]; // the others: a set without its preamble
  let failure;
  for (const TransferSyntaxUID of syntaxes) {
    try {
      return parser.parseDicom(bytes, { inflater, TransferSyntaxUID });
    } catch (error) {
      failure ??= error;
    }
  }
  throw new Error(`it is a damaged DICOM file (${failure?.exception ?? failure?.message ?? failure})`);
}

function explainNoPicture(set) {
  const kind = NO_PICTURES[readText(set, "SOPClassUID")];
  if (readText(set, "Manufacturer") === "tumorlens") return "it is a result of tumorlens, no picture";
  if (kind || readNumbers(set, "BitsAllocated", 1)?.[0] === 1) return `it is ${kind ?? "a mask of one bit a pixel"}, no picture`;
  if (!has(set, "Rows") || !has(set, "Columns")) return "it is a DICOM object without a picture";
  const [rows, columns] = ["Rows", "Columns"].map((key) => readNumbers(set, key, 1)?.[0] ?? 0);
  if (Math.min(rows, columns) < SMALLEST || rows * columns > MOST_PIXELS) return `it has ${columns} x ${rows} pixels, which cannot be judged`;
  const words = (set.string("x00080008") ?? "").toUpperCase().split("\\").map((word) => word.trim());
  return countFrames(set) === 1 && words.some((word) => MOSAICS.includes(word)) ? "it is a mosaic of many slices in one picture" : "";
}

/** What no two files of one series differ in: UID of the series, else their folder, study and patient. */
export const nameSeries = ({ set, path }) =>
  [readText(set, "SeriesInstanceUID") || `in ${path.slice(0, path.lastIndexOf("/") + 1)}`, readText(set, "StudyInstanceUID"), namePatient(set)].join("\n");

// One name for one patient: an ID means something only to who gave it.
const namePatient = (set) => {
  const id = readText(set, "PatientID");
  return id && `${readText(set, "IssuerOfPatientID")}\n${id}`;
};

/**
 * The files of one series as a source of slices.
 * @param {string} path file, or folder of several
 * @param {{path: string, set: object, frames: number}[]} files parsed
 */
export async function openSeries(path, files) {
  const known = new Map(), notes = []; // files of one UID may differ, after a faulty anonymisation
  const own = files.filter(({ set }) => {
    const uid = readText(set, "SOPInstanceUID"), others = known.get(uid) ?? [];
    const again = uid && others.some((one) => isCopy(one, set.byteArray));
    known.set(uid, [...others, set.byteArray]);
    return !again;
  });
  if (own.length < files.length) notes.push(`${files.length - own.length} copies of files are left out`);
  const frames = own.flatMap((file) => Array.from({ length: file.frames }, (_, i) => ({ file, header: new FrameHeader(file.set, i) })));
  const places = frames.map(({ header }) => header.place);
  const parts = [];
  for (const stack of planStacks(places)) {
    const told = [...stack.notes, ...notes, ...tellAlone(stack, places)];
    const load = async (k) => {
      const slice = await show(frames[stack.members[k]], stack.grids[k], told);
      return stack.positions ? { ...slice, info: { ...slice.info, position: stack.positions[k], lps: null } } : slice;
    };
    parts.push(stack.volume ? await cut(stack, load, path, told) : await keep(stack.members.length, load));
  }
  return {
    path,
    count: parts.reduce((sum, part) => sum + part.count, 0),
    async read(index) {
      let first = 0;
      for (const part of parts) {
        if (index < first + part.count) return part.read(index - first);
        first += part.count;
      }
      throw new RangeError(`there is no slice ${index}`);
    },
  };
}

const isCopy = (one, other) => one.length === other.length && one.every((byte, i) => byte === other[i]);

// Of a volume that would be cut into axial slices there is but one slice here.
function tellAlone({ members, plane }, places) {
  if (places.length > 1 || !places[members[0]].alone || [null, "axial"].includes(plane)) return [];
  return [`one ${plane} slice of a 3-D volume: give all files of its folder to have axial slices cut`];
}

const attempt = (promise) => promise.catch(() => null);

async function keep(count, load) {
  const contrast = await measureTypical(count, (k) => attempt(load(k)));
  return { count, read: async (k) => ({ ...(await load(k)), contrast }) };
}

// A frame turned for display, where the file tells how it lies.
async function show({ file, header }, grid, told) {
  const { set, index } = header, [rows, columns] = header.place.shape;
  const { pixels, notes } = cleanPixels(await decodeFrame(header));
  const one = grid && arrange({ data: pixels, shape: [1, rows, columns], strides: [rows * columns, columns, 1], start: 0 }, grid, 0);
  const placed = one && header.origin;
  const info = {
    path: file.path, frame: index, instance: header.number("InstanceNumber"), sequence: header.sequence,
    series: readText(set, "SeriesInstanceUID") || null, study: readText(set, "StudyInstanceUID") || null,
    patient: namePatient(set) || null,
    description: readText(set, "SeriesDescription"),
    position: placed ? one.position(0) : header.location,
    lps: placed ? one.lps(0) : null,
    spacing: one && header.spacing ? one.spacing : header.spacing,
    plane: one?.plane ?? null,
    sidesKnown: one?.sidesKnown ?? false,
    window: header.window,
    notes: [...header.doubts, ...notes, ...told],
  };
  return one
    ? { pixels: pick(one, 0), width: one.width, height: one.height, info }
    : { pixels, width: columns, height: rows, info };
}

// Axial slices of the volume that a stack makes; what cannot be read is filled in from beside.
async function cut(stack, load, path, told) {
  const { volume, members } = stack, [depth, height, width] = volume.shape, size = height * width;
  const data = new Float32Array(depth * size), slots = [], infos = [];
  for (let k = 0; k < members.length; k++) {
    const slice = await attempt(load(k));
    if (!slice) continue;
    data.set(slice.pixels, volume.slots[k] * size);
    slots.push(volume.slots[k]);
    infos.push(slice.info);
  }
  if (slots.length < 2 || !mayBeFilled([0, ...slots, depth - 1].filter((slot, i, all) => i === 0 || slot > all[i - 1])))
    throw new Error("too many of its slices cannot be decoded");
  fillGaps(data, slots, size);
  const one = arrange({ data, shape: volume.shape, strides: [size, width, 1], start: 0 }, volume.grid, volume.through);
  const missing = countMissing(slots);
  const notes = [...new Set([...infos.flatMap((info) => info.notes), ...(missing ? [`${missing} missing slices are filled in from those beside`] : []),
    `cut anew as ${one.plane} slices, from ${slots.length} ${stack.plane} ones`, ...told])];
  const windows = new Set(infos.map(({ window }) => String(window)));
  const shared = {
    ...infos[0], path, instance: null, notes, plane: one.plane, sidesKnown: one.sidesKnown, spacing: one.spacing,
    sequence: infos.map(({ sequence }) => sequence).find(Boolean) ?? null,
    window: (windows.size === 1 && infos[0].window) || findRange(data, volume.shape),
    stored: traceStored(one, volume, slots, infos, size),
  };
  const read = async (k) => ({
    pixels: pick(one, k), width: one.width, height: one.height,
    info: { ...shared, frame: k, position: one.position(k), lps: one.lps(k) },
  });
  const contrast = await measureTypical(one.count, read);
  return { count: one.count, read: async (k) => ({ ...(await read(k)), contrast }) };
}

function fillGaps(data, slots, size) {
  slots.slice(1).forEach((high, i) => {
    const low = slots[i];
    for (let slot = low + 1; slot < high; slot++) {
      const share = Math.fround((slot - low) / (high - low));
      for (let k = 0; k < size; k++) data[slot * size + k] = (1 - share) * data[low * size + k] + share * data[high * size + k];
    }
  });
}

// Which stored slice each column or row of a cut slice lies in.
function traceStored(one, { shape }, slots, infos, size) {
  const { strides: [, down, across], start } = one.array;
  const along = Math.abs(across) === size ? "columns" : "rows", step = along === "columns" ? across : down;
  const line = Array.from({ length: shape[0] }, (_, k) => Math.floor((start + k * step) / size));
  const nearest = line.map((slot) => slots.reduce((best, other, i) => (Math.abs(other - slot) < Math.abs(slots[best] - slot) ? i : best), 0));
  return { along, slices: nearest.map((i) => ({ path: infos[i].path, frame: infos[i].frame, instance: infos[i].instance })) };
}
