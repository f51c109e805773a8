// How a DICOM series is read: its slices as stacks, each in its own plane or cut into axial slices.
// A port of imaging/series/stacks.py.
import { add, chooseAxis, dot, length, makeGrid, scale } from "./geometry.js";
import { findLayouts, median, partVolumes } from "./clusters.js";

const UNEVEN = 0.15; // of their distance
const ASIDE = 0.5; // of a pixel
const UPRIGHT = 0.99; // cosine
const LONGEST_GAP = 3, LARGEST_GAPS = 0.1, SPARSE = 1.5, FEW = 0.1, MANY = 8;

/** Stacks of a series in the order of reading: members, grids, plane, volume (to be cut) and notes. */
export function planStacks(places) {
  const contents = places.map((place) => place.contents);
  const layouts = findLayouts(places);
  const most = Math.max(0, ...layouts.map(({ members }) => members.length));
  return layouts.flatMap((layout) =>
    planLayout(layout, contents).map((stack) => ({ ...stack, notes: [...stack.notes, ...tellOdd(layout, layouts, most)] })));
}

function planLayout(layout, contents) {
  const volumes = partVolumes(layout, contents), sizes = volumes.map((one) => one.length);
  if (volumes.length > 1 && Math.max(...sizes) === 1) {
    const note = `${volumes.length} slices at the same place, in the order of their numbers`;
    return [{ ...stackOf(layout, layout.members.map((_, i) => i)), notes: [note] }];
  }
  return volumes.map((volume) => {
    const stack = plan(layout, volume), largest = Math.max(...sizes);
    if (volumes.length === 1) return stack;
    const note = volume.length <= FEW * largest
      ? "at the place of another slice of its series: read by itself"
      : `one of ${volumes.length} volumes at the same place in the series`;
    return { ...stack, notes: [...stack.notes, note] };
  });
}

function tellOdd(layout, layouts, most) {
  if (most < MANY) {
    const planes = new Set(layouts.filter(({ shown }) => shown).map(({ shown }) => shown.plane));
    return planes.size > 1 ? [`one of ${planes.size} planes in its series, as of a localizer`] : [];
  }
  const large = layouts.filter(({ members }) => members.length > FEW * most);
  if (large.includes(layout))
    return large.length > 1 ? [`one of ${large.length} parts of its series, which differ in size, spacing or direction`] : [];
  return [`seems to be a localizer: its orientation differs from the ${most} slices of its series`];
}

const stackOf = (layout, chosen) => ({
  members: chosen.map((i) => layout.members[i]),
  grids: chosen.map((i) => layout.grids[i]),
  positions: layout.measured || !layout.origins ? null : chosen.map((i) => layout.positions?.[i] ?? null), // in place of the files'
  plane: layout.shown?.plane ?? null,
  volume: null,
  notes: [],
});

function plan(layout, chosen) {
  const stack = stackOf(layout, chosen);
  if (chosen.length < 2) return stack;
  if (!layout.shown) return { ...stack, notes: ["no valid orientation in the files: plane and sides are unknown"] };
  if (!layout.measured) return { ...stack, notes: tellUnplaced(layout) };
  const { volume, doubt } = fit(layout, chosen);
  const own = `read in its own plane, ${stack.plane}, not as axial slices`;
  if (doubt) return volume.through === 0 ? stack : { ...stack, notes: [`${doubt}: ${own}`] };
  const missing = countMissing(volume.slots), said = missing ? `${missing} slices are missing` : "";
  if (volume.through === 0) return { ...stack, notes: said ? [said] : [] };
  return mayBeFilled(volume.slots) ? { ...stack, volume } : { ...stack, notes: [`${said}: ${own}`] };
}

function tellUnplaced({ origins, positions }) {
  if (!origins) return positions ? [] : ["the files state no positions: read in the order of their numbers"];
  return [positions ? "the files state one position for all slices: their Slice Location is taken in its place"
    : "the files state the position 0 for all slices, which is none: read in the order of their numbers"];
}

const findGaps = (slots) => slots.slice(1).map((slot, i) => slot - slots[i] - 1).filter((gap) => gap > 0);
export const countMissing = (slots) => findGaps(slots).reduce((sum, gap) => sum + gap, 0);

/** Whether so few slices are missing that those between which they lie can stand for them. */
export function mayBeFilled(slots) {
  const gaps = findGaps(slots), whole = slots.at(-1) - slots[0] + 1;
  return !gaps.length || (Math.max(...gaps) <= LONGEST_GAP && countMissing(slots) <= LARGEST_GAPS * whole);
}

// The even grid nearest to the slices, and why it is not theirs, if it is not.
function fit(layout, chosen) {
  const origins = chosen.map((i) => layout.origins[i]), at = chosen.map((i) => layout.positions[i]);
  const gaps = at.slice(1).map((one, i) => one - at[i]);
  const least = Math.min(...gaps), mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const fits = [mean, median(gaps), least].map((distance) => tryGrid(origins, gaps, distance, layout));
  const even = fits.find(({ grid }) => grid);
  const { slots, grid } = even ?? {
    slots: chosen.map((_, i) => i),
    grid: makeGrid(origins[0], [scale(layout.shown.normal, least), ...layout.shown.grid.steps.slice(1)]),
  };
  const shape = [slots.at(-1) + 1, layout.shown.height, layout.shown.width];
  const through = grid ? chooseAxis(shape, grid, 0) : 0;
  return { volume: { grid, shape, slots, through }, doubt: even ? "" : fits[0].doubt };
}

function tryGrid(origins, gaps, distance, layout) {
  const uneven = { doubt: "slices are missing or lie unevenly" };
  const steps = gaps.map((gap) => Math.round(gap / distance));
  const total = steps.reduce((sum, one) => sum + one, 0);
  if (!(Math.min(...steps) >= 1) || total > SPARSE * origins.length) return uneven;
  const slots = [0];
  for (const one of steps) slots.push(slots.at(-1) + one);
  const { origin, step } = fitLine(slots, origins), { normal } = layout.shown, apart = dot(step, normal);
  for (const [i, slot] of slots.entries()) {
    const away = add(add(origins[i], origin, -1), step, -slot), through = dot(away, normal);
    if (Math.abs(through) > UNEVEN * apart || length(add(away, normal, -through)) > ASIDE * layout.pixel) return uneven;
  }
  if (apart < UPRIGHT * length(step))
    return { doubt: "its slices are shifted sideways against each other, as with a tilted gantry" };
  return { slots, grid: makeGrid(origin, [step, ...layout.shown.grid.steps.slice(1)]) };
}

// Least squares, coordinate by coordinate.
function fitLine(slots, origins) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const middle = mean(slots), spread = slots.reduce((sum, slot) => sum + (slot - middle) ** 2, 0);
  const centre = [0, 1, 2].map((axis) => mean(origins.map((one) => one[axis])));
  const step = [0, 1, 2].map((axis) =>
    slots.reduce((sum, slot, i) => sum + (slot - middle) * (origins[i][axis] - centre[axis]), 0) / spread);
  return { origin: add(centre, step, -middle), step };
}
