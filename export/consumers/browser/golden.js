// Compares what the page computes with the golden vectors.

import { caption, FIELDS, fitted } from "./caption.js";
import { fit } from "./fit.js";
import { cosine, decode, get } from "./model.js";

/**
 * Everything that differs, in words, and the largest difference of a number.
 * @param {Model} model
 * @param {object} golden golden.json
 * @param {URL} base where golden.json is
 * @param {{images: Float32Array[]}} found vectors of the golden file's chips
 */
export async function compare(model, golden, base, { images }) {
  const { chips, texts, values, records, fits, cosines, tolerance } = golden;
  const faults = [];
  for (const item of [...chips, ...texts]) {
    if (model.ids(item.caption).join() !== item.ids.join()) faults.push(`ids of ${item.caption}`);
  }
  for (const chip of chips) {
    if (caption(chip.metadata, Object.keys(FIELDS)) !== chip.caption) faults.push(`caption of ${chip.file}`);
  }
  for (const { field, text, caption: expected } of values) {
    const found = caption({ [field]: text }, [field]);
    if (found !== expected) faults.push(`caption ${found}`);
  }
  for (const { metadata, width, height, preprocessing, caption: expected } of records) {
    const found = caption(fitted(metadata, { width, height }, preprocessing), Object.keys(FIELDS));
    if (found !== expected) faults.push(`fitted to ${JSON.stringify(preprocessing)}: ${found}`);
  }
  for (const { file, preprocessing, sha256 } of fits) {
    const picture = await decode(await (await get(new URL(file, base))).blob());
    const hash = await crypto.subtle.digest("SHA-256", fit(picture, preprocessing));
    const hex = Array.from(new Uint8Array(hash), (b) => b.toString(16).padStart(2, "0")).join("");
    if (hex !== sha256) faults.push(`pixels of ${JSON.stringify(preprocessing)}`);
  }
  const metadata = await model.embedCaptions(chips.map((chip) => chip.caption));
  const norm = (row) => Math.sqrt(cosine(row, row));
  let [least, most] = [1, 0];
  for (const [name, rows] of [["image_embeds", images], ["metadata_embeds", metadata]]) {
    rows.forEach((row, i) => {
      const expected = chips[i][name];
      const near = cosine(row, expected) / norm(row) / norm(expected);
      const far = Math.max(...row.map((x, j) => Math.abs(x - expected[j])));
      if (!(near >= tolerance.cosine && far <= tolerance.absolute)) faults.push(`${name} of ${chips[i].file}`);
      [least, most] = [Math.min(least, near), Math.max(most, far)];
    });
  }
  cosines.forEach((row, i) =>
    row.forEach((expected, j) => {
      const far = Math.abs(cosine(images[i], metadata[j]) - expected);
      if (!(far <= tolerance.absolute)) faults.push(`cosine of image ${i} with record ${j}`);
      most = Math.max(most, far);
    }),
  );
  return { faults, least, most };
}
