// Groups of slices with one orientation, and the volumes that they hold: a port of
// imaging/series/clusters.py. Numbers are compared with a tolerance, never rounded.
import { add, arrange, dot, makeGrid } from "./geometry.js";

const DIRECTION = 0.02; // cosines
const SPACING = 0.01; // of the spacing
const JITTER = 0.05; // of a pixel
const NEAR = 0.2; // of a pixel
const GAP = 0.25; // of the usual distance
const WHOLE = 0.75; // of all places: a volume in which more slices are missing is told by no order
const APART = 4; // of the usual distance: stacks between which there is so much are no one volume
const ALWAYS = ["frameOfReference", "series", "kind", "echoTime", "bValue"];
const IF_NEEDED = [
  "timePoint", "echo", "imageType", "gradient", "sequenceName", "inversionTime", "flipAngle", "acquisition", "triggerTime",
  "acquisitionTime",
];
const ALIKE = { echoTime: 1e-2 }, EQUAL = 1e-3; // of the largest value: what differs by less is one

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Slices of one size, orientation and spacing, in the order of their numbers. */
export function findLayouts(places) {
  const order = places.map((_, i) => i).sort((a, b) => compareNumbers(places[a], places[b]));
  const stored = part(order, order.map((i) => describe(places[i])));
  const shown = stored.map(([first]) => show(places[first]));
  const features = stored.map(([first], i) => describeShown(places[first], shown[i]));
  const alike = part(stored.map((_, i) => i), features);
  return alike.map((group) => layOut(places, group.map((i) => [stored[i], shown[i]])));
}

const compareNumbers = (a, b) => (a.number ?? 0) - (b.number ?? 0) || compareLists(a.dimensions, b.dimensions) || a.frame - b.frame;

function compareLists(one, other) {
  const at = one.findIndex((value, i) => value !== other[i]);
  return at < 0 || at >= other.length ? one.length - other.length : one[at] - other[at];
}

// Items whose features lie within the tolerances of the first of theirs.
function part(items, features) {
  const parts = [];
  items.forEach((item, i) => {
    const home = parts.find(({ first }) => features[i].every(([value, tolerance], k) => Math.abs(value - first[k][0]) <= tolerance));
    if (home) home.members.push(item);
    else parts.push({ first: features[i], members: [item] });
  });
  return parts.map(({ members }) => members);
}

const exact = (...values) => values.map((value) => [Number(value), 0]);
const describe = ({ shape, samples, directions, spacing, origin, location }) => [
  ...exact(...shape, samples, directions !== null, origin !== null, location !== null),
  ...(directions?.flat() ?? [0, 0, 0, 0, 0, 0]).map((one) => [one, DIRECTION]),
  ...(spacing ?? [1, 1]).map((one) => [Math.log(one), SPACING]),
];

function describeShown(place, one) {
  if (!one) return describe({ ...place, directions: null });
  const { grid, height, width } = one;
  return [
    ...exact(height, width, place.samples, true, place.origin !== null, place.location !== null),
    ...[...grid.cosines[1], ...grid.cosines[2]].map((value) => [value, DIRECTION]),
    ...grid.spacing.slice(1).map((value) => [Math.log(value), SPACING]),
  ];
}

const show = ({ grid, shape: [rows, columns] }) =>
  grid && arrange({ data: [], shape: [1, rows, columns], strides: [rows * columns, columns, 1], start: 0 }, grid, 0);

function layOut(places, alike) {
  const slices = alike.flatMap(([members, shown]) => members.map((index) => {
    const first = places[members[0]].grid, { origin, location } = places[index];
    const turned = shown && origin && add(add(origin, shown.grid.origin), first.origin, -1);
    return { index, origin: turned, location, grid: shown && makeGrid(origin ?? [0, 0, 0], first.steps) };
  }));
  slices.sort((a, b) => compareNumbers(places[a.index], places[b.index]));
  const shown = alike[0][1];
  const measured = shown && slices.every(({ origin }) => origin) ? slices.map(({ origin }) => dot(origin, shown.normal)) : null;
  const located = slices.map(({ location }) => location), several = slices.length > 1;
  const stated = located.includes(null) || (several && located.every((one) => one === 0)) ? null : located;
  const at0 = slices.every(({ index }) => places[index].origin?.every((one) => one === 0)); // as anonymisers write
  const use = measured && !(several && span(measured) < JITTER && (at0 || (stated && span(stated) > JITTER)));
  return {
    members: slices.map(({ index }) => index),
    grids: slices.map(({ grid }) => grid),
    origins: measured && slices.map(({ origin }) => origin),
    positions: use ? measured : stated,
    measured: Boolean(use),
    shown,
    pixel: shown ? Math.min(...shown.spacing) : 1,
  };
}

const span = (values) => Math.max(...values) - Math.min(...values);

/** Volumes that a layout holds: of each, indices into `layout.members` in order of position. */
export function partVolumes(layout, contents) {
  let groups = [layout.members.map((_, i) => i)];
  if (!layout.positions) return groups;
  const told = layout.members.map((index) => contents[index]);
  for (const key of ALWAYS) groups = groups.flatMap((group) => partBy(key, told, group));
  groups = groups.flatMap((group) => partStacks(told, group, layout));
  for (const key of IF_NEEDED) groups = groups.flatMap((group) => partIfNeeded(key, told, group, layout));
  return groups.flatMap((group) => countPasses(group, layout));
}

function partBy(key, told, group) {
  const parts = partAlike(key, told, group);
  return Math.min(...parts.map((one) => one.length)) > 1 ? parts : [group];
}

// Stacks of an enhanced object; as one where they lie one behind the other.
function partStacks(told, group, layout) {
  const at = group.map((i) => layout.positions[i]).sort((a, b) => a - b), gaps = at.slice(1).map((one, i) => one - at[i]);
  if (gaps.length && Math.max(...gaps) > APART * median(gaps)) return partBy("stack", told, group);
  return partIfNeeded("stack", told, group, layout);
}

function partIfNeeded(key, told, group, layout) {
  const most = mostAtOnePlace(group, layout);
  if (most === 1) return [group];
  const parts = partAlike(key, told, group);
  const fewer = Math.max(...parts.map((one) => mostAtOnePlace(one, layout))) < most;
  return parts.length <= most && fewer ? parts : [group];
}

function partAlike(key, told, group) {
  const values = group.map((i) => told[i][key]);
  if (values.includes(null)) return [group];
  if (typeof values[0] === "string") {
    const names = [...new Set(values)];
    return part(group, values.map((value) => [[names.indexOf(value), 0]]));
  }
  const tolerance = (ALIKE[key] ?? EQUAL) * Math.max(...values.map(Math.abs)) + EQUAL;
  return part(group, values.map((value) => [[value, tolerance]]));
}

// Which place each position is at, counted from the lowest.
function numberPlaces(positions, pixel) {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a] - positions[b] || a - b);
  const gaps = order.slice(1).map((i, k) => positions[i] - positions[order[k]]);
  const real = gaps.filter((gap) => gap > JITTER * pixel);
  const tolerance = Math.max(JITTER * pixel, Math.min(GAP * (real.length ? median(real) : 0), NEAR * pixel));
  const places = [];
  let place = 0;
  order.forEach((i, k) => (places[i] = place += k && gaps[k - 1] > tolerance ? 1 : 0));
  return places;
}

const placesOf = (group, layout) => numberPlaces(group.map((i) => layout.positions[i]), layout.pixel);

function mostAtOnePlace(group, layout) {
  const counts = [];
  for (const place of placesOf(group, layout)) counts[place] = (counts[place] ?? 0) + 1;
  return Math.max(...counts);
}

// Passes over the places of a group, each in order of position.
function countPasses(group, layout) {
  const places = placesOf(group, layout), passes = [];
  numberPasses(places).forEach((pass, k) => (passes[pass] ??= []).push({ index: group[k], place: places[k] }));
  return passes.map((pass) => pass.sort((a, b) => a.place - b.place).map(({ index }) => index));
}

/** Which pass over the places each slice is of: told by their order, else by counting the slices at each place. */
export function numberPasses(places) {
  const count = (values) => values.reduce((all, one) => ((all[one] = (all[one] ?? 0) + 1), all), []);
  const most = Math.max(...count(places)), all = Math.max(...places) + 1;
  for (const ends of [(one, before) => one <= before, (one, before) => one >= before, comesAgain()]) {
    let run = 0;
    const runs = places.map((place, k) => (k && ends(place, places[k - 1]) ? ++run : run));
    if (run + 1 === most && Math.min(...count(runs)) >= WHOLE * all) return runs;
  }
  const seen = [];
  return places.map((place) => (seen[place] = (seen[place] ?? -1) + 1));
}

// Whether a place came already since the last one of which that is true.
function comesAgain() {
  let met = new Set();
  return (place, before) => {
    const again = met.add(before).has(place);
    if (again) met = new Set();
    return again;
  };
}
