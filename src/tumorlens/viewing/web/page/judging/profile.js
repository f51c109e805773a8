// The evidence of a series along the head, millimetre by millimetre: a port of studies/profile.py.
import { quantile } from "../reading/voxels.js";

const NEAR_MM = 7.5, HEAD_MM = 160, UNKNOWN_GAP_MM = 5, LONGEST_MM = 3000, LIMIT = 7;
const SHORT_MM = 10, MOST_MM = 30, QUIET = 0.25; // the grid of a profile has steps of 1 mm

/** log(p / (1 - p)), kept finite. */
export function toLogit(chance) {
  const p = Math.min(Math.max(chance, 1e-7), 1 - 1e-7);
  return Math.log(p) - Math.log1p(-p);
}

/** Probability of log-odds. */
export const toChance = (logit) => 1 / (1 + Math.exp(-Math.min(Math.max(logit, -30), 30)));

/** Places of slices in mm, and whether their distances are known. */
export function placeSlices(positions) {
  const count = positions.length;
  if (positions.every(Number.isFinite)) {
    const span = Math.max(...positions) - Math.min(...positions);
    if (count === 1 || (span > 0 && span <= LONGEST_MM)) return { place: [...positions], known: count > 1 };
  }
  const gap = Math.min(UNKNOWN_GAP_MM, HEAD_MM / count);
  return { place: positions.map((_, i) => i * gap), known: false };
}

const sortPlaces = (place) => place.map((_, i) => i).sort((a, b) => place[a] - place[b] || a - b);

// How far the first and the last slice reach beyond themselves: half of the usual gap.
function halfGap(place) {
  const spots = [...new Set(place)].sort((a, b) => a - b);
  const gaps = spots.slice(1).map((spot, i) => spot - spots[i]).sort((a, b) => a - b);
  return Math.min((gaps.length ? quantile(gaps, 0.5) : UNKNOWN_GAP_MM) / 2, NEAR_MM);
}

/** Millimetres of tissue that each slice stands for. */
export function measureTissue(place) {
  const order = sortPlaces(place), beyond = halfGap(place), tissue = [];
  order.forEach((i, k) => {
    const before = k ? Math.min((place[i] - place[order[k - 1]]) / 2, NEAR_MM) : beyond;
    const after = k + 1 < order.length ? Math.min((place[order[k + 1]] - place[i]) / 2, NEAR_MM) : beyond;
    tissue[i] = before + after;
  });
  return tissue;
}

/** Tumor logits along one series, a value a millimetre. */
export class Profile {
  /** @param {number[]} logits of the slices @param {(number | null)[]} positions in mm along the normal */
  constructor(logits, positions) {
    const { place, known } = placeSlices(positions);
    this.spacingKnown = known;
    const [spots, values] = merge(place, logits.map((one) => Math.min(Math.max(one, -LIMIT), LIMIT)));
    const beyond = halfGap(place), start = spots[0] - beyond, end = spots.at(-1) + beyond + 0.5;
    this.at = Array.from({ length: Math.max(0, Math.ceil(end - start)) }, (_, i) => start + i);
    this.logit = [];
    this.covered = [];
    let after = 0;
    for (const at of this.at) {
      while (after < spots.length - 1 && spots[after] < at) after++;
      const before = Math.max(after - 1, 0), width = spots[after] - spots[before];
      const share = width ? Math.min(Math.max((at - spots[before]) / width, 0), 1) : 0;
      this.logit.push(values[before] + share * (values[after] - values[before]));
      this.covered.push(Math.min(Math.abs(at - spots[before]), Math.abs(at - spots[after])) <= NEAR_MM + 1e-6);
    }
    this.tissue = this.logit.filter((_, i) => this.covered[i]);
    this.mean = this.tissue.reduce((sum, one) => sum + one, 0) / this.tissue.length;
    this.ordered = [...this.tissue].sort((a, b) => a - b);
  }

  // Sums of the logit, and of covered places, in the window around each place.
  addUp(mm) {
    const total = [0], count = [0], m = this.at.length, cells = Math.max(1, Math.round(mm));
    this.logit.forEach((one, i) => {
      total.push(total[i] + (this.covered[i] ? one : 0));
      count.push(count[i] + Number(this.covered[i]));
    });
    const half = cells >> 1;
    return this.at.map((_, i) => {
      const first = Math.max(i - half, 0), last = Math.min(i - half + cells, m);
      return [total[last] - total[first], count[last] - count[first]];
    });
  }

  /** Mean logit over the tissue around each place; -Infinity where uncovered. */
  smooth(mm) {
    return this.addUp(mm).map(([total, count], i) => (this.covered[i] && count ? total / count : -Infinity));
  }

  /** The largest mean logit over contiguous tissue. */
  top(mm) {
    const sums = this.addUp(mm), wanted = Math.min(Math.max(...sums.map(([, count]) => count)), mm);
    const filled = sums.map(([total, count]) => (total + (wanted - count) * Math.min(this.mean, 0)) / wanted);
    return Math.max(...filled.filter((_, i) => this.covered[i]));
  }

  /** The stretch with the strongest evidence among those over a threshold: [start, end] in mm, or null. */
  findRun(threshold, mm = SHORT_MM) {
    const over = this.smooth(mm).map((one) => one >= threshold);
    let best = null, most = -Infinity;
    for (let start = 0; start < over.length; start++) {
      if (!over[start] || over[start - 1]) continue;
      let end = start, sum = 0;
      for (; over[end]; end++) sum += this.covered[end] ? this.logit[end] - threshold : 0;
      if (sum > most) [most, best] = [sum, [this.at[start], this.at[end - 1]]];
    }
    return best;
  }

  get features() {
    const most = this.ordered.slice(-MOST_MM);
    return {
      top_10mm: this.top(SHORT_MM),
      most_30mm: most.reduce((sum, one) => sum + one, 0) / most.length,
      quiet: -quantile(this.ordered, QUIET),
    };
  }
}

// Rising places; slices at one place are averaged.
function merge(place, values) {
  const sums = new Map();
  place.forEach((spot, i) => {
    const [sum, count] = sums.get(spot) ?? [0, 0];
    sums.set(spot, [sum + values[i], count + 1]);
  });
  const spots = [...sums.keys()].sort((a, b) => a - b);
  return [spots, spots.map((spot) => sums.get(spot)[0] / sums.get(spot)[1])];
}
