// Positions of voxels in the patient, and cutting a volume into slices for display: a port of
// imaging/geometry.py. Coordinates are DICOM's patient system in mm (LPS).

export const SMALLEST = 16; // rows and columns of a slice
const THICK = 2; // spacing through the plane, at most so many times that in plane, for axial slices
const SLACK = 1.01;
const OBLIQUE = 0.8;
const PLANES = ["sagittal", "coronal", "axial"];
const ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
// Patient axis through the plane -> [patient axis, sign] of slices, rows and columns in order.
const DISPLAY = {
  2: [[2, 1], [1, 1], [0, 1]],
  1: [[1, 1], [2, -1], [0, 1]],
  0: [[0, -1], [2, -1], [1, 1]],
};

export const add = (a, b, times = 1) => a.map((value, i) => value + times * b[i]);
export const scale = (a, by) => a.map((value) => value * by);
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const length = (a) => Math.hypot(...a);
export const cross = ([x, y, z], [u, v, w]) => [y * w - z * v, z * u - x * w, x * v - y * u];

/** Places of the voxels of an array: `steps[a]` is the step along array axis a, in mm.
 * @returns {object | null} null where the directions do not span space */
export function makeGrid(origin, steps) {
  const spacing = steps.map(length);
  const cosines = steps.map((step, i) => scale(step, 1 / spacing[i]));
  const spans = Math.abs(dot(cosines[0], cross(cosines[1], cosines[2]))) >= 0.01;
  if (!origin.every(Number.isFinite) || !spacing.every((one) => one > 0 && one < Infinity) || !spans) return null;
  return { origin, steps, spacing, cosines, patientAxes: nameAxes(cosines) };
}

/** Grid of one (1, rows, columns) slice, from the Image Plane module of DICOM. */
export function gridOfSlice(origin, alongRow, downColumn, [row, column]) {
  return makeGrid(origin, [cross(alongRow, downColumn), scale(downColumn, row), scale(alongRow, column)]);
}

// The patient axis (0 x, 1 y, 2 z) nearest to each array axis, each used once.
function nameAxes(cosines) {
  const fit = (order) => order.reduce((sum, patient, axis) => sum + Math.abs(cosines[axis][patient]), 0);
  return ORDERS.reduce((best, order) => (fit(order) > fit(best) ? order : best));
}

/**
 * Cut an array across one of its axes, turned for display: radiological, as in Python.
 * @param {{data: ArrayLike<number>, shape: number[], strides: number[], start: number}} array
 * @param {object} grid of its voxels
 * @param {number} through array axis from slice to slice
 */
export function arrange(array, grid, through) {
  const axes = grid.patientAxes, wanted = DISPLAY[axes[through]];
  const order = wanted.map(([patient]) => axes.indexOf(patient));
  const [shape, strides, steps] = [array.shape, array.strides, grid.steps].map((all) => order.map((axis) => all[axis]));
  let { start } = array, { origin } = grid;
  wanted.forEach(([patient, sign], axis) => {
    if (steps[axis][patient] * sign >= 0) return;
    start += (shape[axis] - 1) * strides[axis];
    origin = add(origin, steps[axis], shape[axis] - 1);
    strides[axis] = -strides[axis];
    steps[axis] = scale(steps[axis], -1);
  });
  const placed = makeGrid(origin, steps);
  const across = cross(placed.cosines[2], placed.cosines[1]);
  const normal = scale(across, 1 / length(across));
  const upright = Math.abs(normal[axes[through]]) >= OBLIQUE;
  return {
    array: { data: array.data, shape, strides, start },
    grid: placed,
    normal,
    count: shape[0],
    height: shape[1],
    width: shape[2],
    plane: upright ? PLANES[axes[through]] : "oblique",
    sidesKnown: Math.abs(placed.cosines[2][wanted[2][0]]) >= OBLIQUE,
    spacing: [placed.spacing[1], placed.spacing[2]],
    position: (index) => dot(add(placed.origin, placed.steps[0], index), normal),
    lps: (index) => [add(placed.origin, placed.steps[0], index), placed.steps[2], placed.steps[1]],
  };
}

/** The stored numbers of slice `index` of what `arrange` gave, row by row. */
export function pick({ array, height, width }, index) {
  const { data, strides: [through, down, across], start } = array;
  const values = new (data.constructor)(height * width);
  for (let y = 0, at = 0; y < height; y++) {
    let from = start + index * through + y * down;
    for (let x = 0; x < width; x++, from += across) values[at++] = data[from];
  }
  return values;
}

/** The array axis across which a volume is cut: the axial one where spacing allows. */
export function chooseAxis(shape, grid, acquired = null) {
  const axial = grid.patientAxes.indexOf(2);
  const short = [0, 1, 2].filter((axis) => shape[axis] < SMALLEST);
  acquired ??= short.length === 1 ? short[0] : widest(grid.spacing);
  const inPlane = Math.sqrt(grid.spacing.reduce((product, one, axis) => (axis === acquired ? product : product * one), 1));
  const thin = grid.spacing[acquired] <= THICK * inPlane * SLACK;
  return thin && short.every((axis) => axis === axial) ? axial : acquired;
}

function widest(spacing) {
  const rounded = spacing.map((one) => Math.round(one * 1000));
  return [0, 1, 2].reduce((best, axis) => (rounded[axis] >= rounded[best] ? axis : best));
}
