// Compares embed.mjs, and the modules of the page, with the golden vectors. `node check.mjs [FOLDER]`;
// exits with 1 where they differ.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { caption, FIELDS, fitted, utmZone, lonLat } from "../browser/caption.js";
import { cosine, load, read } from "./embed.mjs";

const folder = process.argv[2] ?? fileURLToPath(new URL("../golden", import.meta.url));
const golden = JSON.parse(await readFile(join(folder, "golden.json"), "utf8"));
const { chips, texts, values, records, fits, cosines, tolerance } = golden;
let failed = false;
function compare(what, good) {
  if (!good) console.log(`${what}: not as in the golden file`);
  failed ||= !good;
}

const model = await load(join(folder, "bundle"));
for (const item of [...chips, ...texts]) {
  compare(`ids of ${JSON.stringify(item.caption)}`, model.ids(item.caption).join() === item.ids.join());
}
for (const { metadata, caption: expected } of chips) {
  const found = caption(metadata, Object.keys(FIELDS));
  compare(`caption ${found}`, found === expected);
  if (metadata.location) compare(metadata.location, utmZone(...lonLat(metadata.location)) === metadata.utm_zone);
}
for (const { field, text, caption: expected } of values) {
  const found = caption({ [field]: text }, [field]);
  compare(`caption ${found}`, found === expected);
}
for (const { metadata, width, height, preprocessing, caption: expected } of records) {
  const found = caption(fitted(metadata, { width, height }, preprocessing), Object.keys(FIELDS));
  compare(`record of ${width} x ${height} pixels: ${found}`, found === expected);
}
for (const { file, preprocessing, sha256 } of fits) {
  const pixels = await read(join(folder, file), preprocessing);
  compare(`pixels of ${JSON.stringify(preprocessing)}`, createHash("sha256").update(pixels).digest("hex") === sha256);
}

const found = {
  image_embeds: await model.embedImages(chips.map((chip) => join(folder, chip.file))),
  metadata_embeds: await model.embedCaptions(chips.map((chip) => chip.caption)),
};
for (const [name, rows] of Object.entries(found)) {
  const expected = chips.map((chip) => chip[name]);
  const norm = (row) => Math.sqrt(cosine(row, row));
  const least = Math.min(...rows.map((row, i) => cosine(row, expected[i]) / norm(row) / norm(expected[i])));
  const most = Math.max(...rows.flatMap((row, i) => Array.from(row, (x, j) => Math.abs(x - expected[i][j]))));
  console.log(`${name}: least cosine ${least.toFixed(8)}, largest difference ${most.toExponential(1)}`);
  compare(name, least >= tolerance.cosine && most <= tolerance.absolute);
}
const differences = found.image_embeds.flatMap((image, i) =>
  found.metadata_embeds.map((row, j) => Math.abs(cosine(image, row) - cosines[i][j])),
);
console.log(`cosines: largest difference ${Math.max(...differences).toExponential(1)}`);
compare("cosines", Math.max(...differences) <= tolerance.absolute);
console.log(`ids of ${chips.length + texts.length} captions, ${values.length} values, ${records.length} fitted records and pixels of ${fits.length} fits compared`);
process.exitCode = failed ? 1 : 0;
