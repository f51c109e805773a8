// Where the voxels of a volume lie, of the orientations that a header states: a port of
// imaging/volumes/spaces.py and of what nifti.py takes from a NIfTI header.
import { length, makeGrid, scale } from "./geometry.js";

const SAME_SIZE = 1.3; // ratio of two sizes of a voxel
const SAME_DIRECTION = 0.5; // cosine between an axis of two orientations
const FARTHEST = 1e5; // mm
const ORDER = [[1, 0, 0], [0, -1, 0], [0, 0, 1]]; // directions where no orientation makes sense
const UNITS = { 1: [1000, "metres"], 3: [0.001, "micrometres"] };
const VOXELS = [0.05, 30]; // mm
const SINGLE = 1.1920929e-7; // precision of float32

/** @typedef {{origin: number[], steps: number[][]}} Affine in LPS and mm */

/**
 * The first orientation that makes sense and, if one does, agrees with the sizes.
 * @param {object} header as nifti-reader-js gives it
 * @param {DataView} view of the file
 * @param {number[]} shape X, Y, Z
 * @returns {{grid: object, used: string | null, sure: boolean, notes: string[]}}
 */
export function findSpace(header, view, shape) {
  const signed = header.pixDims.slice(1, 4), sizes = signed.map(Math.abs);
  const stated = Object.entries({
    sform: header.sform_code > 0 && readSform(header, view),
    qform: header.qform_code > 0 && readQform(header),
  }).filter(([, affine]) => affine);
  const space = choose(stated, sizes, shape);
  const notes = [...space.notes];
  if (space.used !== "sform") {
    const missing = [0, 1, 2].filter((axis) => !isSize(sizes[axis]) && shape[axis] > 1);
    if (missing.length) notes.push(`no voxel size along axis ${missing.map((axis) => axis + 1).join(", ")}: 1 mm is assumed`);
    if (signed.some((size) => size < 0)) {
      space.sure = false;
      notes.push("voxel sizes are negative: their sign is ignored, and left and right are not sure");
    }
  }
  return toMillimetres({ ...space, notes }, header.xyzt_units & 7);
}

function choose(stated, sizes, shape) {
  const usable = stated.filter(([, { origin, steps }]) => makeGrid(origin.map((one) => (Number.isFinite(one) ? one : 0)), steps));
  if (!usable.length) {
    const known = sizes.map((size) => (isSize(size) ? size : 1));
    const grid = makeGrid([0, 0, 0], ORDER.map((step, axis) => scale(step, known[axis])));
    const what = stated.map(([name]) => name).join(" and the ");
    const note = what ? `the ${what} make${stated.length > 1 ? "" : "s"} no sense` : "the header states no orientation";
    return { grid, used: null, sure: false, notes: [`${note}: left and right unknown`] };
  }
  const agreeing = usable.filter(([, affine]) => agrees(affine, sizes, shape));
  const [used, affine] = (agreeing.length ? agreeing : usable)[0];
  const notes = [];
  for (const [name] of stated.slice(0, stated.findIndex(([one]) => one === used))) {
    const fault = usable.some(([one]) => one === name) ? "has other voxel sizes than the header" : "makes no sense";
    notes.push(`the ${name} ${fault}: the ${used} is used`);
  }
  let { origin, steps } = affine;
  if (!agreeing.length) {
    const lengths = steps.map(length);
    const known = sizes.map((size, axis) => (shape[axis] > 1 ? size : lengths[axis]));
    steps = steps.map((step, axis) => scale(step, known[axis] / lengths[axis]));
    notes.push(`the ${used} and the voxel sizes differ: the sizes are used`);
  }
  if (!origin.every((one) => Math.abs(one) <= FARTHEST)) {
    origin = [0, 0, 0];
    notes.push("the place of the first voxel makes no sense: positions count from it");
  }
  const sure = usable.length < 2 || areAlike(usable[0][1].steps, usable[1][1].steps);
  if (!sure) notes.push(`sform and qform disagree: the ${used} is used, left and right are not sure`);
  return { grid: makeGrid(origin, steps), used, sure, notes };
}

function agrees({ steps }, sizes, shape) {
  const several = [0, 1, 2].filter((axis) => shape[axis] > 1);
  if (!several.every((axis) => isSize(sizes[axis])) || several.every((axis) => sizes[axis] === 1)) return true;
  return several.every((axis) => Math.abs(Math.log(sizes[axis] / length(steps[axis]))) <= Math.log(SAME_SIZE));
}

const areAlike = (some, others) =>
  some.every((step, axis) => {
    const product = step.reduce((sum, one, i) => sum + one * others[axis][i], 0);
    return product / (length(step) * length(others[axis])) >= SAME_DIRECTION;
  });

const isSize = (size) => Number.isFinite(size) && size > 0;
const areVoxels = (sizes) => Math.min(...sizes) >= VOXELS[0] && Math.max(...sizes) <= VOXELS[1];

// NIfTI's x runs to the right and y to the front, DICOM's to the left and to the back.
const toLps = ([x, y, z]) => [-x, -y, z];

// The library overwrites the sform where the qform has the larger code, so it is read here.
function readSform(header, view) {
  const second = view.getInt32(0, header.littleEndian) === 540;
  const read = (i) => (second ? view.getFloat64(400 + 8 * i, header.littleEndian) : view.getFloat32(280 + 4 * i, header.littleEndian));
  const column = (axis) => toLps([read(axis), read(4 + axis), read(8 + axis)]);
  return { origin: column(3), steps: [column(0), column(1), column(2)] };
}

function readQform(header) {
  const [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d];
  const rest = 1 - b * b - c * c - d * d;
  const a = rest < -3 * SINGLE ? NaN : Math.sqrt(Math.max(0, rest));
  const sizes = header.pixDims.slice(1, 4).map(Math.abs).map((size) => (isSize(size) ? size : 1));
  const handed = header.pixDims[0] === -1 ? -1 : 1;
  const columns = [
    [a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c)],
    [2 * (b * c - a * d), a * a + c * c - b * b - d * d, 2 * (c * d + a * b)],
    [2 * (b * d + a * c), 2 * (c * d - a * b), a * a + d * d - b * b - c * c].map((one) => one * handed),
  ];
  const steps = columns.map((column, axis) => toLps(scale(column, sizes[axis])));
  return { origin: toLps([header.qoffset_x, header.qoffset_y, header.qoffset_z]), steps };
}

// Lengths that are stated in another unit; not where they make sense in mm alone.
function toMillimetres(space, unit) {
  const [factor, name] = UNITS[unit] ?? [1, ""];
  const sizes = space.grid.spacing;
  if (factor === 1 || !areVoxels(scale(sizes, factor)) || areVoxels(sizes)) return space;
  const grid = makeGrid(scale(space.grid.origin, factor), space.grid.steps.map((step) => scale(step, factor)));
  return { ...space, grid, notes: [...space.notes, `voxel sizes are stated in ${name}: converted to mm`] };
}
