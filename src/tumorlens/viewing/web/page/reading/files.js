// From what a person drops to sources of slices. The first bytes of a file tell what it is.
import { gunzipSync, unzipSync } from "../vendor/fflate/fflate.js";
import { findEnd, listSums, sum } from "./checksums.js";
import { nameSeries, openSeries, parseDicom } from "./dicom.js";
import { openNifti } from "./nifti.js";
import { openPicture } from "./picture.js";

const READ = "pictures (PNG, JPEG, WebP, BMP), DICOM, NIfTI and zip archives of them are read";
const DRAWN = "tumorlens";

/** @typedef {{path: string, file: Blob}} Given a file and its name, with folders where they are known */

/**
 * Sources, each with `path` and `open()`, and what could not be read.
 * @param {Given[]} given
 * @param {(words: string) => void} tell progress
 * @returns {Promise<{sources: object[], errors: {path: string, reason: string}[], skipped: number}>}
 */
export async function findSources(given, tell = () => {}) {
  const found = { sources: [], errors: [], skipped: 0, dicom: new Map(), alone: given.length === 1 };
  for (const [i, one] of given.entries()) {
    if (i % 20 === 0) tell(`Reading file ${i + 1} of ${given.length}…`);
    await take(one, found);
  }
  for (const files of found.dicom.values()) {
    const path = files.length === 1 ? files[0].path : nameFolder(files.map((file) => file.path));
    found.sources.push({ path, open: () => openSeries(path, files) });
  }
  return found;
}

async function take({ path, file }, found) {
  try {
    const head = new Uint8Array(await file.slice(0, 1024).arrayBuffer()), kind = sniff(head);
    if (kind === "picture") found.sources.push({ path, open: () => openPicture(path, file) });
    else if (kind === "gzip" || kind === "nifti") found.sources.push({ path, open: async () => openNifti(path, await unpack(file, kind)) });
    else if (kind === "zip") await takeArchive(path, file, found);
    else if (kind === "dicom") await takeDicom(path, file, found);
    else if (found.alone) throw new Error(kind === "ours" ? "it is a result of tumorlens; give the scan itself" : `it is ${describe(head)}; ${READ}`);
    else found.skipped++;
  } catch (error) {
    found.errors.push({ path, reason: error.message });
  }
}

async function takeArchive(path, file, found) {
  const archive = new Uint8Array(await file.arrayBuffer()), members = Object.entries(unzipSync(archive)), sums = listSums(archive);
  const files = members.filter(([name, bytes]) => bytes.length && !name.endsWith("/") && !name.startsWith("__MACOSX/"));
  if (!files.length) throw new Error("it is an empty archive");
  found.alone = files.length === 1;
  for (const [name, bytes] of files) {
    const member = `${path}/${name}`, wanted = sums.get(name);
    if (wanted !== undefined && sum(bytes) !== wanted) found.errors.push({ path: member, reason: "it is damaged; pack the archive anew" });
    else await take({ path: member, file: new Blob([bytes]) }, found);
  }
}

async function takeDicom(path, file, found) {
  let one;
  try {
    one = await parseDicom(path, new Uint8Array(await file.arrayBuffer()));
  } catch (error) {
    if (!found.alone && /no picture|without a picture/.test(error.message)) return void found.skipped++;
    throw error;
  }
  const name = nameSeries(one);
  found.dicom.set(name, [...(found.dicom.get(name) ?? []), one]);
}

async function unpack(file, kind) {
  if (kind === "nifti") return file.arrayBuffer();
  try {
    return await new Response(file.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  } catch {
    const packed = new Uint8Array(await file.arrayBuffer()), bytes = gunzipSync(packed); // forgives bytes after the end
    const end = findEnd(packed, bytes);
    if (end < 0) throw new Error("it is a damaged gzip file; copy it anew");
    if (packed[end] === 0x1f && packed[end + 1] === 0x8b) throw new Error("it is a gzip file of several members; unpack it first");
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  }
}

const text = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));

/** What a file is by its first bytes; null for others. */
export function sniff(head) {
  if (text(head, 128, 132) === "DICM") return "dicom";
  const start = text(head, 0, 12);
  if (start.startsWith("\x89PNG") || start.startsWith("\xff\xd8\xff")) {
    const drawn = text(head, 0, 1024);
    const ours = drawn.includes(`tEXtSoftware\0${DRAWN}`) || /\xff\xfe[\s\S]{2}tumorlens overlay/.test(drawn);
    return ours ? "ours" : "picture";
  }
  if (start.startsWith("BM") || (start.startsWith("RIFF") && start.slice(8) === "WEBP")) return "picture";
  if (start.startsWith("PK\x03\x04")) return "zip";
  if (start.startsWith("\x1f\x8b")) return "gzip";
  if (["n+1", "ni1"].includes(text(head, 344, 347)) || ["n+2", "ni2"].includes(text(head, 4, 7))) return "nifti";
  const group = start.slice(0, 2), length = head[4] | (head[5] << 8) | (head[6] << 16) | (head[7] << 24);
  const begins = group === "\x08\0" || group === "\x02\0";
  return begins && (/^[A-Z]{2}$/.test(start.slice(4, 6)) || (length >= 0 && length <= 128 && length % 2 === 0)) ? "dicom" : null;
}

function describe(head) {
  const start = text(head, 0, 8);
  const known = { GIF8: "a GIF picture", "%PDF": "a PDF document", "II*\0": "a TIFF picture", "MM\0*": "a TIFF picture", NRRD: "an NRRD volume" };
  return known[start.slice(0, 4)] ?? (head.length ? "a file of another kind" : "an empty file");
}

// The deepest folder that holds all of them.
function nameFolder(paths) {
  const parts = paths.map((path) => path.split("/").slice(0, -1));
  const shared = parts[0].filter((_, i) => parts.every((one) => one.slice(0, i + 1).join("/") === parts[0].slice(0, i + 1).join("/")));
  return shared.join("/") || `${paths.length} files`;
}

/** Files of a drop, folders walked through. */
export async function listDropped(items) {
  const entries = [...items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found.sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));
}

async function walk(entry, found) {
  if (entry instanceof Blob) found.push({ path: entry.name, file: entry });
  else if (entry?.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    found.push({ path: entry.fullPath.replace(/^\//, ""), file });
  } else if (entry?.isDirectory) {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return;
      for (const one of some) await walk(one, found);
    }
  }
}

/** Files of an input, with their folders. */
export const listChosen = (files) => [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
