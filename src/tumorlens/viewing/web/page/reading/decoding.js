// One frame of a DICOM object becomes an array: a port of imaging/dicom/decoding.py, with decoders
// of free licence. Each is loaded when the first frame asks for it.
import { readNumbers, readText, has } from "./headers.js";
import { swapBytes } from "./nifti.js";
import { toLuma } from "./voxels.js";

const BIG_ENDIAN = "1.2.840.10008.1.2.2";
const NATIVE = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", BIG_ENDIAN];
const DECODERS = {
  "1.2.840.10008.1.2.5": decodeRle,
  "1.2.840.10008.1.2.4.50": decodeJpeg,
  "1.2.840.10008.1.2.4.51": decodeJpeg,
  "1.2.840.10008.1.2.4.57": decodeLossless,
  "1.2.840.10008.1.2.4.70": decodeLossless,
  "1.2.840.10008.1.2.4.80": (...given) => decodeByWasm(...given, "charls/charlswasm_decode", "CharLSWASM", "JpegLSDecoder"),
  "1.2.840.10008.1.2.4.81": (...given) => decodeByWasm(...given, "charls/charlswasm_decode", "CharLSWASM", "JpegLSDecoder"),
  "1.2.840.10008.1.2.4.90": (...given) => decodeByWasm(...given, "openjpeg/openjpegwasm_decode", "OpenJPEGWASM", "J2KDecoder"),
  "1.2.840.10008.1.2.4.91": (...given) => decodeByWasm(...given, "openjpeg/openjpegwasm_decode", "OpenJPEGWASM", "J2KDecoder"),
};
const ITEM = "254,255,0,224"; // the tag that begins compressed pixels
const VENDOR = new URL("../vendor/", import.meta.url);
const scripts = new Map();

/** Load a script of vendor/ that is no module; what it leaves under `name`. */
export function loadScript(file, name) {
  if (!scripts.has(file)) {
    scripts.set(file, new Promise((done, fail) => {
      const script = document.createElement("script");
      script.src = new URL(file, VENDOR);
      script.onload = () => done(globalThis[name]);
      script.onerror = () => fail(new Error(`${file} cannot be loaded`));
      document.head.append(script);
    }));
  }
  return scripts.get(file);
}

/** What of a data set its pixels need. */
function readFormat(set) {
  const number = (keyword, otherwise) => readNumbers(set, keyword, 1)?.[0] ?? otherwise;
  const bits = number("BitsAllocated", 16);
  return {
    rows: number("Rows", 0), columns: number("Columns", 0), samples: number("SamplesPerPixel", 1), bits,
    stored: number("BitsStored", bits), high: number("HighBit", bits - 1), signed: number("PixelRepresentation", 0) === 1,
    planar: number("PlanarConfiguration", 0) === 1,
    photometric: readText(set, "PhotometricInterpretation").toUpperCase().replace(/^MONOCHROME\W*/, "MONOCHROME"),
    syntax: (set.string("x00020010") ?? "1.2.840.10008.1.2").trim(),
  };
}

/**
 * A frame in the scanner's values, or luma of colors.
 * @param {FrameHeader} header
 * @returns {Promise<ArrayLike<number>>} row by row
 */
export async function decodeFrame(header) {
  const format = readFormat(header.set);
  const values = await readStored(header, format);
  if (format.photometric === "PALETTE COLOR") throw new Error("it has a palette of colors; use tumorlens itself");
  if (format.samples > 1) return mixColors(values, format);
  const grey = rescale(values, header, format), padding = findPadding(header, format);
  if (!padding) return grey;
  const outside = (i) => values[i] >= padding[0] && values[i] <= padding[1];
  const inside = grey.reduce((least, value, i) => (outside(i) ? least : Math.min(least, value)), Infinity);
  return Number.isFinite(inside) ? Float32Array.from(grey, (value, i) => (outside(i) ? Math.min(0, inside) : value)) : grey;
}

async function readStored(header, format) {
  const { set, index } = header, size = format.rows * format.columns * format.samples;
  for (const [tag, type] of [["x7fe00008", Float32Array], ["x7fe00009", Float64Array]]) {
    if (set.elements[tag]) return typed(readPlain(set, set.elements[tag], index, size * type.BYTES_PER_ELEMENT, format, type.BYTES_PER_ELEMENT), type);
  }
  const element = set.elements.x7fe00010;
  if (!element) throw new Error("it has no pixels");
  if (NATIVE.includes(format.syntax)) {
    const type = integerType(format.bits, format.signed);
    return pickBits(typed(readPlain(set, element, index, size * type.BYTES_PER_ELEMENT, format, type.BYTES_PER_ELEMENT), type), format);
  }
  const decode = DECODERS[format.syntax];
  if (!decode) throw new Error(`its pixels are compressed as ${format.syntax}, which this page cannot decode; use tumorlens itself`);
  const values = await decode(await readFragments(set, element, index), format);
  if (values.length !== size) throw new Error("its pixels are cut short, or of another size than stated");
  return cutBits(values, format);
}

function readPlain(set, element, index, size, { syntax }, each) {
  const from = element.dataOffset + index * size;
  if (index * size + size > element.length) throw new Error("its pixels are cut short");
  const first = set.byteArray.subarray(element.dataOffset, element.dataOffset + 4);
  if (element.encapsulatedPixelData || String(first) === ITEM) throw new Error("its pixels are compressed, though its header does not say so; use tumorlens itself");
  const bytes = set.byteArray.slice(from, from + size);
  if (syntax === BIG_ENDIAN) swapBytes(bytes, element.vr === "OW" ? Math.max(2, each) : each);
  return bytes;
}

const typed = (bytes, type) => new type(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / type.BYTES_PER_ELEMENT));

function integerType(bits, signed) {
  const types = { 8: [Uint8Array, Int8Array], 16: [Uint16Array, Int16Array], 32: [Uint32Array, Int32Array] }[bits];
  if (!types) throw new Error(`it has ${bits} bits a pixel, which this page cannot read; use tumorlens itself`);
  return types[Number(signed)];
}

// The bits of the values: above the lower ones of old files, and all where more are used than stated.
function pickBits(values, format) {
  const { bits, stored, high, columns } = format, below = stored > 0 && high >= stored && high < bits ? high + 1 - stored : 0;
  if (below) {
    const raised = cutBits(values, { ...format, stored: stored + below });
    if (!liesLow(raised, stored, below)) return raised.map((value) => (format.signed ? value >> below : value >>> below));
  }
  const kept = cutBits(values, format);
  return kept !== values && vary(values, columns) < vary(kept, columns) ? values : kept;
}

function liesLow(values, stored, below) {
  const fits = values.every((value) => value >= -(2 ** (stored - 1)) && value < 2 ** stored);
  return fits && values.some((value) => value & (2 ** below - 1));
}

// Sum of the steps between neighbours in a row.
const vary = (values, columns) => values.reduce((sum, value, i) => (i % columns ? sum + Math.abs(value - values[i - 1]) : sum), 0);

// Bits above those stored do not count; the highest one stored is the sign.
function cutBits(values, { bits, stored, signed }) {
  const exact = (values instanceof Int16Array || values instanceof Int8Array || values instanceof Int32Array) === signed;
  const shift = 32 - stored;
  if ((exact && stored >= bits) || !(shift > 0)) return values;
  const type = integerType(bits, signed);
  return type.from(values, (value) => (signed ? (value << shift) >> shift : (value << shift) >>> shift));
}

async function readFragments(set, element, index) {
  const parser = await loadScript("dicom-parser/dicomParser.min.js", "dicomParser");
  const frames = Math.max(1, readNumbers(set, "NumberOfFrames", 1)?.[0] ?? 1);
  if (frames === 1) return parser.readEncapsulatedPixelDataFromFragments(set, element, 0, element.fragments.length);
  if (element.fragments.length === frames) return parser.readEncapsulatedPixelDataFromFragments(set, element, index);
  const table = element.basicOffsetTable.length ? element.basicOffsetTable : parser.createJPEGBasicOffsetTable(set, element);
  return parser.readEncapsulatedImageFrame(set, element, index, table);
}

// PS3.5, annex G: a byte plane a segment, the highest first, run by run.
function decodeRle(bytes, { rows, columns, samples, bits, signed }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), count = view.getUint32(0, true);
  const each = bits / 8, size = rows * columns, output = new Uint8Array(size * samples * each);
  for (let segment = 0; segment < Math.min(count, samples * each); segment++) {
    let from = view.getUint32(4 + 4 * segment, true);
    const end = segment + 1 < count ? view.getUint32(8 + 4 * segment, true) : bytes.length;
    const sample = Math.floor(segment / each), byte = each - 1 - (segment % each);
    let to = sample * each + byte;
    const last = output.length, step = samples * each;
    while (from < end && to < last) {
      const run = view.getInt8(from++);
      if (run >= 0) for (let i = 0; i <= run && to < last && from < end; i++, to += step) output[to] = bytes[from++];
      else if (run > -128) {
        for (let i = 0; i <= -run && to < last; i++, to += step) output[to] = bytes[from];
        from++;
      }
    }
    if (to < last) throw new Error("its pixels are cut short");
  }
  return typed(output, integerType(bits, signed));
}

// Eight bits a pixel, by the browser's own decoder.
async function decodeJpeg(bytes, { stored, samples, rows, columns }) {
  if (stored > 8) throw new Error("it is a 12-bit JPEG, which no freely licensed decoder reads; convert it to an uncompressed DICOM file");
  const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }), { colorSpaceConversion: "none" });
  checkSize(picture, rows, columns);
  const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, picture.width, picture.height), size = picture.width * picture.height;
  return Uint8Array.from({ length: size * samples }, (_, i) => data[4 * Math.floor(i / samples) + (i % samples)]);
}

function checkSize({ width, height }, rows, columns) {
  if (width !== columns || height !== rows) throw new Error(`it holds ${width} x ${height} pixels where ${columns} x ${rows} are stated; export it anew`);
}

async function decodeLossless(bytes, { bits, signed }) {
  const { Decoder } = await import(new URL("jpeg-lossless-decoder-js/lossless-min.js", VENDOR).href);
  const values = new Decoder().decode(bytes.buffer, bytes.byteOffset, bytes.byteLength, bits / 8);
  return typed(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), integerType(bits, signed));
}

const modules = new Map();

async function decodeByWasm(bytes, { rows, columns }, file, name, kind) {
  if (!modules.has(file)) {
    const open = await loadScript(`${file}.js`, name);
    modules.set(file, open({ locateFile: () => new URL(`${file}.wasm`, VENDOR).href, print: () => {} }));
  }
  const module = await modules.get(file), decoder = new module[kind]();
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const { bitsPerSample, isSigned, width, height } = decoder.getFrameInfo();
    checkSize({ width, height }, rows, columns);
    if (kind === "J2KDecoder" && isSigned && bitsPerSample <= 8) // it makes negative values 0
      throw new Error("it holds JPEG 2000 of 8 bits with a sign, which this page cannot read; use tumorlens itself");
    return typed(decoder.getDecodedBuffer().slice(), integerType(bitsPerSample > 8 ? 16 : 8, Boolean(isSigned)));
  } finally {
    decoder.delete();
  }
}

// Modality rescale (PS3.3, C.11.1), then MONOCHROME1 turned to larger = brighter.
function rescale(values, header, { photometric, stored, signed }) {
  if (has(header.set, "ModalityLUTSequence")) throw new Error("it has a Modality LUT, which this page cannot apply; use tumorlens itself");
  const [slope, intercept] = header.rescale;
  if (slope === 0 && values.some((value) => value !== values[0]))
    throw new Error("it states a Rescale Slope of 0, which makes all its pixels one value; mend the Rescale Slope (0028,1053)");
  const by = Math.fround(slope), plus = Math.fround(intercept);
  const grey = slope === 1 && intercept === 0 ? values : Float32Array.from(values, (value) => Math.fround(Math.fround(value) * by) + plus);
  if (photometric !== "MONOCHROME1") return grey;
  const ends = Math.fround(slope * (signed ? -1 : 2 ** stored - 1) + 2 * intercept);
  return Float32Array.from(grey, (value) => ends - Math.fround(value));
}

// Range of stored values outside of the picture, taken modulo the size of a stored pixel.
function findPadding(header, { bits, signed }) {
  const value = header.number("PixelPaddingValue");
  if (value === null) return null;
  const least = signed ? -(2 ** (bits - 1)) : 0, size = 2 ** bits;
  const wrap = (one) => ((((one - least) % size) + size) % size) + least;
  return [value, header.number("PixelPaddingRangeLimit") ?? value].map(wrap).sort((a, b) => a - b);
}

function mixColors(values, { rows, columns, samples, planar, photometric, syntax }) {
  const size = rows * columns, plain = NATIVE.includes(syntax);
  if (!(values instanceof Uint8Array) || samples < 3 || photometric.includes("422") && plain)
    throw new Error("it has colors of a kind that this page cannot read; use tumorlens itself");
  const at = (i, k) => (planar && plain ? values[k * size + i] : values[i * samples + k]);
  const full = photometric === "YBR_FULL" && syntax !== "1.2.840.10008.1.2.4.50";
  return Uint8Array.from({ length: size }, (_, i) => (full ? at(i, 0) : toLuma(at(i, 0), at(i, 1), at(i, 2))));
}
