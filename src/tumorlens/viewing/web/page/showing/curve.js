// The tumor probability along a series, as a small picture that follows the slider.

const HEIGHT = 40, SVG = "http://www.w3.org/2000/svg";

function draw(name, attributes) {
  const part = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, value);
  return part;
}

/** @param {SVGElement} svg @param {object[]} findings @param {{low: number, high: number}} limits of a slice */
export function drawCurve(svg, findings, { high }) {
  const wide = findings.length, y = (chance) => HEIGHT - 2 - chance * (HEIGHT - 4);
  svg.setAttribute("viewBox", `0 0 ${wide} ${HEIGHT}`);
  const bars = findings.map(({ tumor, verdict }, i) =>
    draw("rect", { x: i + 0.1, width: 0.8, y: y(tumor), height: HEIGHT - y(tumor), class: `bar ${verdict}` }));
  const limit = draw("line", { x1: 0, x2: wide, y1: y(high), y2: y(high), class: "limit" });
  svg.replaceChildren(draw("rect", { x: 0, y: 0, width: 1, height: HEIGHT, class: "here" }), ...bars, limit);
}

/** Move the mark of the slice that is shown. */
export const markSlice = (svg, index) => svg.querySelector(".here")?.setAttribute("x", index);
