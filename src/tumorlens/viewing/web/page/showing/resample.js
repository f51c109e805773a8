// Bicubic resampling as Pillow does it (a = -0.5), one channel.

const SUPPORT = 2;

function kernel(x) {
  const at = Math.abs(x);
  if (at < 1) return (1.5 * at - 2.5) * at * at + 1;
  return at < 2 ? ((-0.5 * at + 2.5) * at - 4) * at + 2 : 0;
}

// Of each place of an axis: the first value that counts, and the weights of those from there on.
function weigh(from, to) {
  const scale = from / to, wide = Math.max(1, scale);
  return Array.from({ length: to }, (_, k) => {
    const center = (k + 0.5) * scale;
    const first = Math.max(Math.trunc(center - SUPPORT * wide + 0.5), 0), end = Math.min(Math.trunc(center + SUPPORT * wide + 0.5), from);
    const weights = Float32Array.from({ length: end - first }, (_, i) => kernel((first + i - center + 0.5) / wide));
    const total = weights.reduce((sum, one) => sum + one, 0);
    return { first, weights: weights.map((one) => one / total) };
  });
}

const columns = new Map(); // weights by "from to": the slices of a series share theirs
const weightsOf = (from, to) => {
  const key = `${from} ${to}`;
  if (columns.size > 16) columns.clear();
  if (!columns.has(key)) columns.set(key, weigh(from, to));
  return columns.get(key);
};

/** Values of 0 to 255 in another size. @returns {Uint8ClampedArray} */
export function resize(values, width, height, newWidth, newHeight) {
  const wide = new Uint8ClampedArray(newWidth * height), output = new Uint8ClampedArray(newWidth * newHeight);
  const across = weightsOf(width, newWidth), sums = new Float32Array(newWidth);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const { first, weights } = across[x], from = y * width + first;
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * values[from + i];
      wide[y * newWidth + x] = sum;
    }
  }
  weightsOf(height, newHeight).forEach(({ first, weights }, y) => {
    sums.fill(0);
    weights.forEach((weight, i) => {
      const from = (first + i) * newWidth;
      for (let x = 0; x < newWidth; x++) sums[x] += weight * wide[from + x];
    });
    output.set(sums, y * newWidth);
  });
  return output;
}

/** One value between the centres of others; 0 outside of them. */
export function sample(values, width, height, x, y) {
  if (x < 0 || y < 0 || x >= width || y >= height) return 0;
  const left = Math.floor(x - 0.5), top = Math.floor(y - 0.5), dx = x - 0.5 - left, dy = y - 0.5 - top;
  let sum = 0;
  for (let j = -1; j <= 2; j++) {
    const row = Math.min(Math.max(top + j, 0), height - 1) * width;
    let line = 0;
    for (let i = -1; i <= 2; i++) line += kernel(i - dx) * values[row + Math.min(Math.max(left + i, 0), width - 1)];
    sum += kernel(j - dy) * line;
  }
  return sum;
}
