// The test vectors of docs/preprocess.md against prepare.js, in Node and in browsers.
import { prepare } from "../../../src/tumorlens/viewing/web/page/judging/prepare.js";

function paint(width, height, value) {
  const pixels = new Float32Array(width * height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) pixels[y * width + x] = value(x, y);
  return { pixels, width, height, spacing: [1, 1] };
}

const radius = (x, y) => 25 * (2 * x - 79) ** 2 + 16 * (2 * y - 99) ** 2;
const head = (x, y) => {
  if (x < 0 || y < 0 || x >= 80 || y >= 100) return 0;
  return radius(x, y) < 100000 ? 100 + ((7 * x + 3 * y) % 50) : 0;
};
const within = (x, y) => x >= 12 && x < 92 && y >= 12 && y < 112;
const mark = (x, y) => y >= 108 && y <= 113 && x >= 2 && x <= 21;
const slices = {
  head: paint(80, 100, head),
  framed: paint(104, 124, (x, y) => (within(x, y) ? head(x - 12, y - 12) : 255)),
  labelled: paint(80, 120, (x, y) => (mark(x, y) ? 250 : head(x, y))),
  tall: { ...paint(80, 100, head), spacing: [2, 1] },
  large: paint(240, 300, (x, y) => head(Math.floor(x / 3), Math.floor(y / 3))),
  bright: paint(80, 100, (x, y) => 500 - 2 * head(x, y)),
  faint: paint(80, 100, (x, y) => head(x, y) * 1e-12),
  huge: paint(80, 100, (x, y) => head(x, y) * 1e36),
  soft: paint(80, 100, (x, y) => Math.max(0, 240 - Math.floor(radius(x, y) / 500))),
};

/** One line for each number of `vectors` (by the name of its slice) that prepare.js misses. */
export function findDifferences(vectors) {
  const missed = [];
  function compare(name, what, found, wanted, tolerance) {
    if (!(Math.abs(found - wanted) <= tolerance)) missed.push(`${name}: ${what} is ${found}, expected ${wanted}`);
  }
  for (const [name, wanted] of Object.entries(vectors)) {
    const { pixels, width, height, spacing } = slices[wanted.slice ?? name];
    const { version = 1, contrast = null } = wanted;
    const { image, toPixels } = prepare(pixels, width, height, 64, spacing, version, contrast);
    wanted.to_pixels.flat().forEach((value, i) => compare(name, `to_pixels[${i}]`, toPixels.flat()[i], value, 1e-9));
    compare(name, "mean", image.reduce((sum, value) => sum + value, 0) / image.length, wanted.mean, 2e-5);
    for (const [x, y, value] of wanted.values) compare(name, `(${x}, ${y})`, image[y * 64 + x], value, 2e-5);
  }
  return missed;
}
