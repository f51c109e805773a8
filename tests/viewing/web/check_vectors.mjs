// Holds prepare.js to the test vectors of docs/preprocess.md:  node tests/viewing/web/check_vectors.mjs
import { readFileSync } from "node:fs";
import { findDifferences } from "./vectors.js";

const page = readFileSync(new URL("../../../docs/preprocess.md", import.meta.url), "utf8");
const vectors = JSON.parse(page.match(/```json\n([\s\S]*?)```/)[1]);
const missed = findDifferences(vectors);
missed.forEach((line) => console.log(line));
console.log(`${Object.keys(vectors).length} slices compared, ${missed.length} differences`);
process.exitCode = missed.length ? 1 : 0;
