// What a DICOM data set says of its frames, by dicom-parser: a port of imaging/dicom/headers.py and
// modality.py. Real files break every rule, so a value that makes no sense counts as absent.
import { gridOfSlice, length, scale } from "./geometry.js";
import { guessSequence } from "./sequences.js";
import { FAR_INTERCEPT, isOutOfReach } from "./voxels.js";

// Tags, and how their values are stored where that is not text: numbers of 16 or 32 bits, doubles.
const TAGS = {
  ImageType: "00080008", SOPClassUID: "00080016", Modality: "00080060", SeriesDescription: "0008103e",
  CodeMeaning: "00080104", AnatomicRegionSequence: "00082218", FrameType: "00089007", ComplexImageComponent: "00089208",
  Manufacturer: "00080070", AcquisitionTime: "00080032", SequenceName: "00180024", InversionTime: "00180082", FlipAngle: "00181314",
  DiffusionGradientOrientation: "00189089:d", DimensionIndexValues: "00209157:l", HighBit: "00280102:s",
  PatientID: "00100020", IssuerOfPatientID: "00100021", ContrastBolusAgent: "00180010", BodyPartExamined: "00180015", MRAcquisitionType: "00180023",
  EchoTime: "00180081", EchoNumbers: "00180086", ProtocolName: "00181030", TriggerTime: "00181060",
  ImagerPixelSpacing: "00181164", NominalScannedPixelSpacing: "00182010", EffectiveEchoTime: "00189082:d",
  DiffusionBValue: "00189087:d", MREchoSequence: "00189114", MRDiffusionSequence: "00189117",
  CardiacSynchronizationSequence: "00189118", MRImageFrameTypeSequence: "00189226",
  StudyInstanceUID: "0020000d", SeriesInstanceUID: "0020000e", SOPInstanceUID: "00080018", SeriesNumber: "00200011",
  AcquisitionNumber: "00200012", InstanceNumber: "00200013", PatientOrientation: "00200020",
  ImagePositionPatient: "00200032", ImageOrientationPatient: "00200037", FrameOfReferenceUID: "00200052",
  TemporalPositionIdentifier: "00200100", SliceLocation: "00201041", StackID: "00209056", FrameAnatomySequence: "00209071",
  FrameContentSequence: "00209111", PlanePositionSequence: "00209113", PlaneOrientationSequence: "00209116",
  TemporalPositionIndex: "00209128:l", NominalCardiacTriggerDelayTime: "00209153:d", FrameAcquisitionNumber: "00209156:s",
  SamplesPerPixel: "00280002:s", PhotometricInterpretation: "00280004", PlanarConfiguration: "00280006:s",
  NumberOfFrames: "00280008", Rows: "00280010:s", Columns: "00280011:s", PixelSpacing: "00280030", PixelAspectRatio: "00280034",
  BitsAllocated: "00280100:s", BitsStored: "00280101:s", PixelRepresentation: "00280103:s", PixelPaddingValue: "00280120:s",
  PixelPaddingRangeLimit: "00280121:s", WindowCenter: "00281050", WindowWidth: "00281051", RescaleIntercept: "00281052",
  RescaleSlope: "00281053", ModalityLUTSequence: "00283000", PixelMeasuresSequence: "00289110",
  FrameVOILUTSequence: "00289132", PixelValueTransformationSequence: "00289145", SharedFunctionalGroupsSequence: "52009229",
  PerFrameFunctionalGroupsSequence: "52009230",
};
const LETTERS = { L: [1, 0, 0], R: [-1, 0, 0], P: [0, 1, 0], A: [0, -1, 0], H: [0, 0, 1], F: [0, 0, -1] };
const FARTHEST = 1e6, LONGEST_PIXEL = 50, PIXELS = [1e-3, 1e3];
const COMPONENTS = ["M", "P", "R", "I"];
const HEAD = /head|brain|skull|neuro|crani|ceph|cereb|pituit|sella|orbit|face|temporal|hirn|kopf|sch[aä]e?del|cabeza|testa|capo|t[eê]te|cr[aâ]ne|\b(?:ear|eye|iac|jaw|nose|sinus|tmj)\b/i;
const NO_PART = /^(?:\W*|unknown|none|other|others|undefined|default|mri?|n\/?a)$/i;
const KINDS = {
  "a phase map": ["P", "PHASE", "PHASE MAP", "VELOCITY MAP", "VELOCITY"],
  "the real part of a complex image": ["R", "REAL"],
  "the imaginary part of a complex image": ["I", "IMAGINARY"],
  "an ADC map": ["ADC", "EADC", "ADC UNSPECIFIED"],
  "a diffusion map": ["FA", "TENSOR", "TRACEW", "TRACE", "DIFFUSION ANISO", "FRACTIONAL ANISO"],
  "a perfusion map": ["CBF", "CBV", "MTT", "TTP", "TMAX", "RCBF", "RCBV", "PERFUSION"],
  "a map of relaxation times": ["T1 MAP", "T2 MAP", "T2 STAR MAP", "R2 MAP", "R2 STAR MAP"],
  "a field map": ["B0 MAP", "B1 MAP", "FIELD MAP", "FIELDMAP"],
  "a projection": ["PROJECTION IMAGE", "MIP", "MAX IP", "MIN IP", "MINIP"],
  "a subtraction": ["SUB", "SUBTRACTION", "SUBTRACT"],
  "a localizer": ["LOCALIZER", "SCOUT"],
  "a screenshot": ["SCREEN SAVE", "SCREENSHOT", "SCREEN SHOT"],
};
const ADC = /apparent diffusion|(?<![a-z])e?adc(?![a-z])/i;
const STORAGE = "1.2.840.10008.5.1.4.1.1.";
const STORED = { 2: "CT", 128: "PET", 130: "PET", 20: "NM", 3: "US", 6: "US", 1: "X-ray", 12: "X-ray", 13: "X-ray", 77: "visible light" };
const WIDEST = 520, NARROWEST = 60, FINE = 0.25; // mm

/** One element of a data set as text on one line; empty where it is absent. */
export function readText(set, keyword) {
  const element = set.elements[`x${TAGS[keyword]}`];
  return element ? (set.string(element.tag) ?? "").replaceAll("\0", "").split(/\s+/).filter(Boolean).join(" ").slice(0, 64) : "";
}

/** Numbers of an element, `count` of them (all for 0); null where they are absent or make no sense. */
export function readNumbers(set, keyword, count) {
  const [tag, kind] = TAGS[keyword].split(":"), element = set.elements[`x${tag}`];
  if (!element || !element.length) return null;
  const read = { s: [2, "uint16"], l: [4, "uint32"], d: [8, "double"] }[kind];
  let values;
  try {
    values = read
      ? Array.from({ length: Math.floor(element.length / read[0]) }, (_, i) => set[read[1]](`x${tag}`, i))
      : (set.string(`x${tag}`) ?? "").replaceAll("\0", "").split("\\").map((word) => (word.trim() ? Number(word.replace(",", ".")) : NaN));
  } catch {
    return null;
  }
  values = values.slice(0, count || undefined);
  return values.length === (count || values.length) && values.every(Number.isFinite) ? values : null;
}

const readWords = (set, keyword) => {
  const element = set.elements[`x${TAGS[keyword]}`];
  return element ? (set.string(element.tag) ?? "").split("\\").map((word) => word.trim()).filter(Boolean) : [];
};
const readItem = (set, keyword, index) => set.elements[`x${TAGS[keyword]}`]?.items?.[index]?.dataSet ?? null;
export const has = (set, keyword) => Boolean(set.elements[`x${TAGS[keyword].slice(0, 8)}`]);
export const countFrames = (set) => Math.max(1, Math.trunc(readNumbers(set, "NumberOfFrames", 1)?.[0] ?? 1));

/** One frame: its own values come first, those shared by all frames next, the data set last. */
export class FrameHeader {
  constructor(set, index) {
    this.set = set;
    this.index = index;
  }

  places(macro) {
    const groups = macro
      ? [readItem(this.set, "PerFrameFunctionalGroupsSequence", this.index), readItem(this.set, "SharedFunctionalGroupsSequence", 0)]
      : [];
    return [...groups.map((group) => group && readItem(group, macro, 0)).filter(Boolean), this.set];
  }

  numbers(keyword, count, macro) {
    for (const place of this.places(macro)) {
      const values = readNumbers(place, keyword, count);
      if (values) return values;
    }
    return null;
  }

  number(keyword, macro) {
    return this.numbers(keyword, 1, macro)?.[0] ?? null;
  }

  words(keyword, macro) {
    return this.places(macro).map((place) => readWords(place, keyword)).find((words) => words.length) ?? [];
  }

  get rescale() {
    const [slope, intercept] = this.statedRescale;
    return [slope, this.isFar ? 0 : intercept];
  }

  get isFar() {
    return isOutOfReach(...this.statedRescale, this.number("BitsAllocated") ?? 16);
  }

  get statedRescale() {
    const macro = "PixelValueTransformationSequence";
    return [this.number("RescaleSlope", macro) ?? 1, this.number("RescaleIntercept", macro) ?? 0];
  }

  get spacing() {
    for (const keyword of ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"]) {
      const values = this.numbers(keyword, 2, "PixelMeasuresSequence");
      if (values && isSound(values)) return values;
    }
    const ratio = this.numbers("PixelAspectRatio", 2);
    return ratio && isSound(ratio) && ratio[0] !== ratio[1] ? [ratio[0] / ratio[1], 1] : null;
  }

  /** Ends of the first window, around the values that `rescale` gives. */
  get window() {
    const center = this.number("WindowCenter", "FrameVOILUTSequence"), width = this.number("WindowWidth", "FrameVOILUTSequence");
    if (center === null || !(width > 0)) return null;
    const middle = center - this.statedRescale[1] + this.rescale[1];
    return [middle - width / 2, middle + width / 2];
  }

  /** Unit vectors along a row and down a column; null where the file states no sensible ones. */
  get directions() {
    const stated = this.numbers("ImageOrientationPatient", 6, "PlaneOrientationSequence") ?? this.letters();
    if (!stated) return null;
    const [row, column] = [stated.slice(0, 3), stated.slice(3)];
    if (!(length(row) > 0) || !(length(column) > 0)) return null;
    const units = [scale(row, 1 / length(row)), scale(column, 1 / length(column))];
    return gridOfSlice([0, 0, 0], ...units, [1, 1]) && units;
  }

  letters() {
    const words = readText(this.set, "PatientOrientation").replaceAll("\\", " ").split(/\s+/).filter(Boolean);
    if (words.length !== 2 || !words.every((word) => LETTERS[word[0]])) return null;
    return words.flatMap((word) => LETTERS[word[0]]);
  }

  get origin() {
    const values = this.numbers("ImagePositionPatient", 3, "PlanePositionSequence");
    return values && values.every((value) => Math.abs(value) <= FARTHEST) ? values : null;
  }

  get location() {
    const value = this.number("SliceLocation");
    return value !== null && Math.abs(value) <= FARTHEST ? value : null;
  }

  get kinds() {
    return [...this.words("ImageType").slice(2), ...this.words("FrameType", "MRImageFrameTypeSequence").slice(2),
      ...this.words("ComplexImageComponent", "MRImageFrameTypeSequence")];
  }

  /** What tells volumes apart that lie at the same places; null where the file does not say. */
  get contents() {
    const content = "FrameContentSequence";
    return {
      frameOfReference: readText(this.set, "FrameOfReferenceUID") || null,
      series: this.number("SeriesNumber"),
      stack: this.words("StackID", content)[0] ?? null,
      kind: this.kinds.map((word) => word.toUpperCase()).find((word) => COMPONENTS.includes(word)) ?? null,
      echoTime: this.number("EffectiveEchoTime", "MREchoSequence") ?? this.number("EchoTime"),
      bValue: this.number("DiffusionBValue", "MRDiffusionSequence"),
      timePoint: this.number("TemporalPositionIndex", content) ?? this.number("TemporalPositionIdentifier"),
      echo: this.number("EchoNumbers"),
      acquisition: this.number("FrameAcquisitionNumber", content) ?? this.number("AcquisitionNumber"),
      triggerTime: this.number("NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence") ?? this.number("TriggerTime"),
      imageType: [...this.words("ImageType"), ...this.words("FrameType", "MRImageFrameTypeSequence")].join("\\") || null,
      sequenceName: this.words("SequenceName").join("\\") || null,
      gradient: this.numbers("DiffusionGradientOrientation", 0)?.join("\\") ?? null,
      inversionTime: this.number("InversionTime"),
      flipAngle: this.number("FlipAngle"),
      acquisitionTime: this.number("AcquisitionTime"),
    };
  }

  /** Where the frame stands in its series. */
  get place() {
    const { set, index, directions, spacing, origin, location, contents } = this;
    return {
      shape: [this.number("Rows"), this.number("Columns")], directions, spacing, origin, location, contents,
      number: this.number("InstanceNumber"), frame: index, samples: this.number("SamplesPerPixel") ?? 1,
      dimensions: this.numbers("DimensionIndexValues", 0, "FrameContentSequence") ?? [],
      grid: directions && gridOfSlice(origin ?? [0, 0, 0], ...directions, spacing ?? [1, 1]),
      alone: readText(set, "MRAcquisitionType") === "3D",
    };
  }

  get sequence() {
    if (!["", "MR"].includes(readText(this.set, "Modality"))) return null;
    const agent = readText(this.set, "ContrastBolusAgent").toLowerCase();
    const contrast = agent !== "" && !["no", "none", "without"].includes(agent);
    const words = [readText(this.set, "SeriesDescription"), readText(this.set, "ProtocolName")].filter(Boolean);
    return words.map((text) => guessSequence(text, contrast)).find(Boolean) ?? null;
  }

  /** Reasons against a plain MRI of the head, a sentence each. */
  get doubts() {
    const modality = this.modality, part = this.bodyPart, [rows, columns] = this.place.shape;
    const plain = this.kinds.map((word) => word.split(/[\W_]+/).filter(Boolean).join(" ").toUpperCase());
    const kind = Object.keys(KINDS).find((name) => KINDS[name].some((word) => plain.includes(word)))
      ?? (ADC.test(readText(this.set, "SeriesDescription")) ? "an ADC map" : null);
    const [down, across] = this.spacing ?? [0, 0];
    return [
      !["", "MR"].includes(modality) && `modality ${modality}, not MR: its verdict means nothing`,
      this.rescale[0] < 0 && "a negative Rescale Slope swaps dark and bright",
      this.isFar && FAR_INTERCEPT,
      kind && `${kind}, no plain MR picture: its verdict means little`,
      !NO_PART.test(part) && !HEAD.test(part) && `body part ${part}, not the head: its verdict means nothing`,
      Math.min(rows * down, columns * across) > WIDEST && "wider than a head: perhaps many slices in one picture",
      down > 0 && Math.max(rows * down, columns * across) < NARROWEST && Math.max(down, across) < FINE
        && "smaller than a head: perhaps an animal, or sizes in another unit",
    ].filter(Boolean);
  }

  /** Modality as the file states it; where it says MR or nothing, what its storage class is of. */
  get modality() {
    const stated = readText(this.set, "Modality"), storage = readText(this.set, "SOPClassUID");
    const first = storage.startsWith(STORAGE) ? storage.slice(STORAGE.length).split(".")[0] : "";
    return ["", "MR"].includes(stated) ? STORED[first] ?? stated : stated;
  }

  get bodyPart() {
    for (const place of this.places("FrameAnatomySequence")) {
      const region = readItem(place, "AnatomicRegionSequence", 0);
      if (region && readText(region, "CodeMeaning")) return readText(region, "CodeMeaning");
    }
    return readText(this.set, "BodyPartExamined");
  }
}

function isSound(spacing) {
  const least = Math.min(...spacing), most = Math.max(...spacing);
  return PIXELS[0] <= least && most <= Math.min(PIXELS[1], LONGEST_PIXEL * least);
}
