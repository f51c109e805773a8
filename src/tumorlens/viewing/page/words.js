// How verdicts, numbers and names are said, alike in all parts of the page.

export const sayVerdict = (verdict) => (verdict ?? "no verdict").replace("_", " ");

/** A sentence on what a verdict means. */
export const MEANING = {
  tumor: "The model sees evidence of a tumor.",
  no_tumor: "The model sees no evidence of a tumor. That says nothing of other disease.",
  uncertain: "The evidence lies between the two thresholds. A person must look.",
  unfamiliar: "This does not look like the scans the model was trained on. Its numbers say nothing here.",
  not_judged: "No slice shows brain, so there is nothing to judge.",
  null: "There is no verdict on the whole. Look at its slices.",
};

const sayShare = (share, digits) => `${(100 * share).toFixed(digits)}\u00a0%`;

/** A probability as Python prints it: 63.1 %, never rounded to a threshold or to a certainty. */
export function sayChance(chance, thresholds = []) {
  if (chance === null || chance === undefined) return "–";
  let told;
  for (let digits = 1; digits < 5; digits++) {
    told = sayShare(chance, digits);
    if (thresholds.includes(chance) || thresholds.every((one) => sayShare(one, digits) !== told)) break;
  }
  if (told === "0.0\u00a0%" && chance > 0) return "<0.1\u00a0%";
  return told === "100.0\u00a0%" && chance < 1 ? ">99.9\u00a0%" : told;
}

export const hasChance = (verdict) => !["unfamiliar", "not_judged", null].includes(verdict);

export const nameOf = (path) => path.split(/[/\\]/).filter(Boolean).at(-1) ?? path;

export const count = (number, one, many = `${one}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

// No line ends before the sign.
const keepTogether = (child) => (typeof child === "string" ? child.replace(/(\d) %/g, "$1\u00a0%") : child);

/** An element with attributes, and children that are elements or text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map(keepTogether));
  return element;
}

/** The colour that a token has here and now, as CSS. */
export function colorOf(token, element = document.body) {
  const probe = make("i");
  probe.style.color = `var(--${token})`;
  element.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}
