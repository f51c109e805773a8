// Pictures by the browser's own decoders; see imaging/raster.py.
import { cleanPixels, isBlank, toLuma } from "./voxels.js";
import { SMALLEST } from "./geometry.js";

const MOST_PIXELS = 100_000_000;

/** A picture as a source of one slice: grey values as Pillow makes them, transparency over black. */
export async function openPicture(path, blob) {
  await checkDepth(blob);
  const picture = await createImageBitmap(blob, { colorSpaceConversion: "none" }).catch(() => {
    throw new Error("it cannot be decoded, as it is damaged, cut short or too large; save it again, or leave it out");
  });
  const { width, height } = picture;
  if (Math.min(width, height) < SMALLEST || width * height > MOST_PIXELS)
    throw new Error(`it has ${width} x ${height} pixels; at least ${SMALLEST} a side and at most ${MOST_PIXELS} in all can be judged`);
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const values = Float32Array.from({ length: width * height }, (_, i) => toLuma(data[4 * i], data[4 * i + 1], data[4 * i + 2]));
  if (isBlank(values)) throw new Error("all of its pixels are equal");
  const { pixels } = cleanPixels(values);
  const info = {
    path, frame: 0, series: null, study: null, instance: null, sequence: null, position: null, lps: null,
    spacing: null, plane: null, sidesKnown: false, window: null, notes: [],
  };
  return { path, count: 1, read: async () => ({ pixels, width, height, info, contrast: null }) };
}

async function checkDepth(blob) {
  const bytes = new Uint8Array(await blob.slice(0, 32).arrayBuffer());
  if (bytes[0] === 0x89 && bytes[24] === 16)
    throw new Error("it has 16 bits a value, of which a browser keeps 8; use tumorlens itself");
}
