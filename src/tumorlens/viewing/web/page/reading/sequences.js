// The MRI sequence from a description or a file name: a port of imaging/sequences.py.
const FLAIR = /flair|dark.?fluid|\btirm\b|\bt2f\b/;
const T1 = /(?<![a-z0-9])t1(?![0-9*])|mp.?rage|bravo|spgr/;
const T2 = /(?<![a-z0-9])t2(?![0-9*])/;
const OTHER = /t2[ -]?(\*|star)|\b(swi|adc|dwi|dti|perf|bold|fmri|asl|tof|dsc|dce)|diff|local|scout|survey|\bt[12] ?map\b/;
const CONTRAST =
  /\+ ?(c|gd|k)\b|\bc\+|(?<![a-z])(gd|gad\w*|post(?![ -]?op)|km|kontrast\w*|contrast\w*|ce)(?![a-z])|t1(c|ce|gd)\b/;
const WITHOUT = /\b(pre|vor|t1n)\b|\bc-(?!\w)|non[ -]?contrast|no contrast|without|\b(non|un)[ -]?enh|nativ|ohne/;

/** @returns {"FLAIR" | "T1" | "T1c" | "T2" | "other" | null} null where the words do not say */
export function guessSequence(text, contrast = false) {
  const words = text.toLowerCase().replaceAll("_", " ");
  if (OTHER.test(words)) return "other";
  const one = T1.test(words), two = T2.test(words);
  if (FLAIR.test(words)) return one ? null : "FLAIR";
  if (one === two) return null;
  if (two) return "T2";
  return (contrast || CONTRAST.test(words)) && !WITHOUT.test(words) ? "T1c" : "T1";
}
