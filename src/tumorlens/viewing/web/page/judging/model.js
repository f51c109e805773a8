// The same model and the same preparation as in Python, in a browser; nothing leaves the page.
import * as ort from "../runtime/ort.wasm.min.mjs";
import { readMetadata } from "./card.js";
import { prepare } from "./prepare.js";
import { findBoxes, findPeak } from "./regions.js";

ort.env.wasm.wasmPaths = new URL("../runtime/", import.meta.url).href;
ort.env.wasm.numThreads = 1;

const PREPROCESS = [1, 2];
const LEAST_BRAIN = 0.04; // share of cells that must show brain for a slice to be judged
const LOOKS = {
  plane: ["axial", "coronal", "sagittal"],
  sequence: ["T1", "T1c", "T2", "FLAIR", "other"],
  skull: ["on", "off"],
};

/** A model of the contract, loaded once. */
export class Model {
  /** @param {Uint8Array} bytes of the file */
  static async open(bytes) {
    const { card, studies } = readMetadata(bytes);
    if (!PREPROCESS.includes(card.preprocess.version))
      throw new Error(`the model wants preprocess version ${card.preprocess.version}, this page has ${PREPROCESS.join(" and ")}`);
    return new Model(card, studies, await ort.InferenceSession.create(bytes));
  }

  constructor(card, studies, session) {
    this.card = card;
    this.studies = studies;
    this.session = session;
    this.tumorColumns = card.tumor_classes.map((name) => card.classes.indexOf(name));
  }

  get name() {
    return `${this.card.name} ${this.card.version}`;
  }

  get thresholds() {
    return this.card.operating_points.balanced;
  }

  /**
   * @param {{pixels: Float32Array, width: number, height: number, info: object, contrast: number | null}} slice
   * @returns {Promise<object>} the finding: verdict, tumor, probabilities, boxes, peak, activation, …
   */
  async judge({ pixels, width, height, info, contrast }) {
    const { size, version } = this.card.preprocess;
    const { image, toPixels } = prepare(pixels, width, height, size, info?.spacing ?? [1, 1], version, contrast);
    const outputs = await this.session.run({ image: new ort.Tensor("float32", image, [1, 1, size, size]) });
    const { probabilities, activation, unfamiliarity, brain } = outputs;
    const [, rows, columns] = activation.dims;
    const evidence = { activation: activation.data, rows, columns, size, toPixels };
    const tumor = Math.min(1, this.tumorColumns.reduce((sum, i) => Math.fround(sum + probabilities.data[i]), 0));
    const brainShare = brain ? brain.data.filter((p) => p >= 0.5).length / brain.data.length : null;
    const outside = outputs.outside ? outputs.outside.data[0] : null;
    const shown = (brainShare === null || brainShare >= LEAST_BRAIN) && (outside === null || outside <= 1);
    return {
      ...evidence,
      info,
      verdict: shown ? judgeBy(this.thresholds, tumor, unfamiliarity.data[0]) : "not_judged",
      tumor,
      probabilities: Object.fromEntries(this.card.classes.map((name, i) => [name, probabilities.data[i]])),
      unfamiliarity: unfamiliarity.data[0],
      peak: findPeak(evidence, width, height),
      boxes: shown ? findBoxes(evidence, this.card.cell_threshold, width, height) : [],
      brain: brain?.data ?? null,
      brainShare,
      outside,
      looks: outputs.plane ? mapLooks(outputs) : null,
    };
  }
}

/** Verdict by an operating point: {low, high}. */
export const judgeBy = ({ low, high }, tumor, unfamiliarity) =>
  unfamiliarity > 1 ? "unfamiliar" : tumor >= high ? "tumor" : tumor < low ? "no_tumor" : "uncertain";

const mapLooks = (outputs) =>
  Object.fromEntries(Object.entries(LOOKS).map(([question, words]) =>
    [question, Object.fromEntries(words.map((word, i) => [word, outputs[question].data[i]]))]));
