// The pictures: niivue shows grey values and heat, and boxes are drawn over them.
//
// A scene's voxels are (column, row, slice) of the slices as they were judged. Its affine is straight:
// each voxel axis runs along one axis of the patient. So slices, points and boxes need no more than it.

import NiiVue from "./vendor/niivue.js";
import { colorOf } from "./words.js";

export const PLANES = ["axial", "coronal", "sagittal", "all planes", "3-D"];
const ALL = 3, RENDER = 4;

export class Volume {
  /** `heat`: 256 colours with opacity. `moved` hears the number of the slice that is shown. */
  constructor(canvas, overlay, heat, moved) {
    Object.assign(this, { canvas, overlay, moved, scene: null, showsBoxes: true, opacity: 0.6, number: 0 });
    this.nv = new NiiVue({
      backgroundColor: [0, 0, 0, 0], isRadiological: true, isColorbarVisible: false,
      isOrientCubeVisible: false, isDragDropEnabled: false, crosshairGap: 8,
      crosshairColor: [0.47, 0.86, 1, 0.4], isCrossLinesVisible: true, tileMargin: 4,
      secondaryDragMode: 9, logLevel: "warn",
    });
    this.colors = new Uint32Array(new Uint8Array(heat.flat()).buffer);
  }

  async open() {
    await this.nv.attachToCanvas(this.canvas);
    this.nv.addEventListener("locationChange", (event) => this.#follow(event.detail.mm));
    new ResizeObserver(() => this.#redraw()).observe(this.canvas);
    const render = this.nv.view.render.bind(this.nv.view);
    this.nv.view.render = () => { render(); this.#drawBoxes(); };
  }

  /** Shows a scene; `scan` and `heat` are the addresses of its volumes. */
  async show(scene, scan, heat) {
    this.scene = null;
    const levels = await (await fetch(heat)).arrayBuffer();
    await this.nv.loadVolumes([
      { url: scan, name: "scan.nii", colormap: "Gray", calMin: scene.window[0], calMax: scene.window[1] },
      { url: paintHeat(levels, this.colors), name: "heat.nii", opacity: this.opacity },
    ]);
    this.scene = scene;
    const axes = [0, 1, 2].map((row) => [0, 1, 2].findIndex((column) => scene.affine[row][column] !== 0));
    this.axis = axes.indexOf(2);  // the patient's axis along which the slices lie
    this.native = { 0: 2, 1: 1, 2: 0 }[this.axis];
    this.nv.isOrientationTextVisible = scene.sides_known;
    this.choosePlanes(this.preferred());
  }

  /** All planes where the slices are close enough to be cut in other planes; else their own. */
  preferred() {
    const [down, across, through] = this.#sizes();
    const thin = this.scene.shape[0] > 8 && through < 4 * Math.max(down, across);
    return thin && this.canvas.clientWidth > 560 ? ALL : this.native;
  }

  get planes() { return this.chosen; }

  /** The plane of the slices large, the others and the space smaller: beside it, or below it. */
  #lay() {
    const others = [0, 1, 2].filter((plane) => plane !== this.native);
    const wide = this.canvas.clientWidth > 1.2 * this.canvas.clientHeight;
    const places = wide ? [[0, 0, 0.5, 1], [0.5, 0, 0.25, 0.5], [0.75, 0, 0.25, 0.5], [0.5, 0.5, 0.5, 0.5]]
      : [[0, 0, 1, 0.62], [0, 0.62, 0.33, 0.38], [0.33, 0.62, 0.33, 0.38], [0.66, 0.62, 0.34, 0.38]];
    return [this.native, ...others, RENDER].map((sliceType, i) => ({ sliceType, position: places[i] }));
  }

  choosePlanes(planes) {
    this.chosen = planes;
    this.nv.customLayout = planes === ALL ? this.#lay() : null;
    if (planes !== ALL) this.nv.sliceType = planes;
    this.nv.crosshairWidth = planes === this.native ? 0 : 0.5;
    this.nv.drawScene();
  }

  /** Goes to a slice, and to a point of it. */
  go(number, point) {
    if (!this.scene) return;
    const [slices, rows, columns] = this.scene.shape;
    number = Math.min(Math.max(number, 0), slices - 1);
    const [x, y] = point ?? this.point ?? [columns / 2, rows / 2];
    this.point = [x, y];
    this.nv.setCrosshairPos(this.#toMm([x - 0.5, y - 0.5, number]));
    this.#tell(number);
    this.nv.drawScene();
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    if (this.scene) return this.nv.setVolume(1, { opacity });
  }

  setWindow([low, high]) {
    return this.nv.setVolume(0, { calMin: low, calMax: Math.max(high, low + 1e-6) });
  }

  get window() {
    const { calMin, calMax } = this.nv.volumes[0];
    return [calMin, calMax];
  }

  showBoxes(shown) {
    this.showsBoxes = shown;
    this.overlay.style.visibility = shown ? "visible" : "hidden";
    this.#drawBoxes();  // at once: the pictures below them stay as they are
  }

  #redraw() { if (this.scene) this.choosePlanes(this.chosen); }

  #sizes() {
    const { affine } = this.scene;
    return [1, 0, 2].map((column) => Math.hypot(...[0, 1, 2].map((row) => affine[row][column])));
  }

  #toMm(voxel) {
    return [0, 1, 2].map((row) =>
      this.scene.affine[row][3] + [0, 1, 2].reduce((sum, i) => sum + this.scene.affine[row][i] * voxel[i], 0));
  }

  #toVoxel(mm) {
    return [0, 1, 2].map((column) => {
      const row = [0, 1, 2].find((one) => this.scene.affine[one][column] !== 0);
      return (mm[row] - this.scene.affine[row][3]) / this.scene.affine[row][column];
    });
  }

  #follow(mm) {
    if (!this.scene) return;
    const [x, y, z] = this.#toVoxel(mm);
    this.point = [x + 0.5, y + 0.5];
    this.#tell(Math.min(Math.max(Math.round(z), 0), this.scene.shape[0] - 1));
  }

  #tell(number) {
    if (number === this.number && this.told === this.scene) return;
    this.number = number;
    this.told = this.scene;
    this.moved(number);
  }

  /** Boxes of the slice in view, over each picture that shows it in its own plane. */
  #drawBoxes() {
    const { overlay, canvas } = this;
    const ratio = canvas.width / Math.max(canvas.clientWidth, 1);
    // A size empties a canvas. Chromium may go on showing what clearRect alone has emptied.
    Object.assign(overlay, { width: canvas.width, height: canvas.height });
    const pen = overlay.getContext("2d");
    const slice = this.scene?.slices[this.number];
    if (!slice || !this.showsBoxes) return;
    this.mark ??= colorOf("mark", overlay.parentElement);
    for (const tile of this.nv.view.screenSlices ?? []) {
      if (tile.axCorSag !== this.native || !tile.mvpMatrix) continue;
      const place = (x, y) => project(tile, this.#toMm([x - 0.5, y - 0.5, this.number]));
      for (const [x0, y0, x1, y1, score] of slice.shown_boxes)
        drawBox(pen, place(x0, y0), place(x1, y1), score, this.mark, ratio);
      if (slice.shown_peak) drawPeak(pen, place(...slice.shown_peak), this.mark, ratio);
    }
  }
}

/**
 * A volume of levels as one of colours with opacity. niivue would make each colour of a map either
 * opaque or nothing, and heat must let the anatomy through.
 */
function paintHeat(buffer, colors) {
  const start = 352, levels = new Uint8Array(buffer, start);
  const painted = new ArrayBuffer(start + 4 * levels.length);
  new Uint8Array(painted).set(new Uint8Array(buffer, 0, start));
  const header = new DataView(painted);
  header.setInt16(70, 2304, true);  // NIfTI-1: datatype RGBA32
  header.setInt16(72, 32, true);  // and its bits a voxel
  const voxels = new Uint32Array(painted, start);
  for (let i = 0; i < levels.length; i++) voxels[i] = colors[levels[i]];
  return new File([painted], "heat.nii");
}

/** Millimetres to pixels of the canvas, by the matrix that niivue drew a picture with. */
function project({ mvpMatrix: m, leftTopWidthHeight: [left, top, width, height] }, [x, y, z]) {
  const row = (i) => m[i] * x + m[4 + i] * y + m[8 + i] * z + m[12 + i];
  const w = row(3);
  return [left + (row(0) / w + 1) / 2 * width, top + (1 - row(1) / w) / 2 * height];
}

function drawBox(pen, [x0, y0], [x1, y1], score, color, ratio) {
  const corner = [Math.min(x0, x1), Math.min(y0, y1)], size = [Math.abs(x1 - x0), Math.abs(y1 - y0)];
  pen.lineWidth = 4 * ratio;
  pen.strokeStyle = "rgb(0 0 0 / 0.6)";
  pen.strokeRect(...corner, ...size);
  pen.lineWidth = 2 * ratio;
  pen.strokeStyle = color;
  pen.strokeRect(...corner, ...size);
  const words = score.toFixed(2);
  pen.font = `600 ${12 * ratio}px system-ui, sans-serif`;
  pen.textBaseline = "bottom";
  pen.lineWidth = 3 * ratio;
  pen.strokeStyle = "rgb(0 0 0 / 0.8)";
  pen.strokeText(words, corner[0], corner[1] - 3 * ratio);
  pen.fillStyle = color;
  pen.fillText(words, corner[0], corner[1] - 3 * ratio);
}

function drawPeak(pen, [x, y], color, ratio) {
  pen.beginPath();
  pen.arc(x, y, 5 * ratio, 0, 2 * Math.PI);
  pen.lineWidth = 2 * ratio;
  pen.strokeStyle = color;
  pen.stroke();
}
