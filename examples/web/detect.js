// The same model and the same preparation as in Python, in a browser; nothing leaves the page.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { readCard } from "./card.js";
import { prepare } from "./prepare.js";

ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;
ort.env.wasm.numThreads = 1;

const WARM_UP = 3; // runs before the first picture, which would otherwise wait for the compiler
const PREPROCESS = [1, 2];
const LEAST_BRAIN = 0.04; // share of cells that must show brain for a slice to be judged
const SMALLEST = 16, MOST_PIXELS = 100_000_000; // sides and pixels, as in Python

/** A model of the contract, loaded once. */
export class Detector {
  static async load(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status}; put a model there`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const card = readCard(bytes);
    if (!PREPROCESS.includes(card.preprocess.version))
      throw new Error(`${url}: wants preprocess version ${card.preprocess.version}, this page has ${PREPROCESS.join(" and ")}`);
    const detector = new Detector(card, await ort.InferenceSession.create(bytes));
    for (let i = 0; i < WARM_UP; i++) await detector.judge(paintSlope());
    return detector;
  }

  constructor(card, session) {
    this.card = card;
    this.session = session;
  }

  /** @param {{pixels: Float32Array, width: number, height: number}} slice */
  async judge({ pixels, width, height }) {
    const { size, version } = this.card.preprocess;
    const { image, toPixels } = prepare(pixels, width, height, size, [1, 1], version);
    const tensor = new ort.Tensor("float32", image, [1, 1, size, size]);
    const { probabilities, activation, unfamiliarity, brain } = await this.session.run({ image: tensor });
    const tumor = probabilities.data.slice(1).reduce((sum, value) => sum + value, 0);
    const far = unfamiliarity.data[0];
    const { low, high } = this.card.operating_points.balanced;
    const shown = !brain || brain.data.filter((p) => p >= 0.5).length >= LEAST_BRAIN * brain.data.length;
    const verdict = !shown ? "not_judged" : far > 1 ? "unfamiliar" : tumor >= high ? "tumor" : tumor < low ? "no_tumor" : "uncertain";
    const [, rows, columns] = activation.dims;
    return { verdict, tumor, unfamiliarity: far, activation: activation.data, rows, columns, size, toPixels };
  }
}

/** Something to judge before there is a picture. */
function paintSlope(side = 512) {
  return { pixels: Float32Array.from({ length: side * side }, (_, i) => i % side), width: side, height: side };
}

/** Grey values of a picture, as Pillow makes them: transparency lies over black. */
export async function readPicture(blob) {
  if (!blob) throw new Error("no file was given");
  await checkFormat(blob);
  const picture = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const { width, height } = picture;
  if (Math.min(width, height) < SMALLEST || width * height > MOST_PIXELS)
    throw new Error(`it has ${width} x ${height} pixels; at least ${SMALLEST} a side and at most ${MOST_PIXELS} in all can be judged`);
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Float32Array(width * height);
  for (let i = 0, at = 0; i < pixels.length; i++, at += 4)
    pixels[i] = (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 0x8000) >> 16;
  if (pixels.every((value) => value === pixels[0])) throw new Error("all of its pixels are equal");
  return { pixels, width, height, picture };
}

/** What Python reads too, and no 16 bits, of which a canvas keeps 8. */
async function checkFormat(blob) {
  const bytes = new Uint8Array(await blob.slice(0, 32).arrayBuffer());
  const text = String.fromCharCode(...bytes);
  const png = text.startsWith("\x89PNG");
  if (!(png || text.startsWith("\xff\xd8") || text.startsWith("BM") || text.slice(8, 12) === "WEBP"))
    throw new Error("it is no PNG, JPEG, WebP or BMP");
  if (png && bytes[24] === 16) throw new Error("it has 16 bits a value, of which a browser keeps 8; use tumorlens itself");
}

/** The picture with the activation over it, red where it passes the card's cell threshold. */
export function draw(canvas, picture, finding, threshold) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const [[sx, , left], [, sy, top]] = finding.toPixels;
  const wide = (finding.size / finding.columns) * sx, high = (finding.size / finding.rows) * sy;
  finding.activation.forEach((value, i) => {
    const x = left + (i % finding.columns) * wide, y = top + Math.floor(i / finding.columns) * high;
    context.fillStyle = value >= threshold ? `rgba(255, 40, 40, ${0.5 * value})` : `rgba(255, 200, 0, ${0.3 * value})`;
    context.fillRect(x, y, wide, high);
  });
}
