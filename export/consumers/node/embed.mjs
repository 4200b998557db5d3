// Embeds chips and captions with onnxruntime-node.
//
//     npm ci
//     node embed.mjs ../golden/bundle ../golden/chips/river.png "GSD: (10.00, 10.00)" "GSD: (0.50, 0.50)"
//
// Prints the cosine of the image with each caption, and how likely each caption is. A gsd or pixel size in a caption is
// that of the model's input pixels; `fitted` of ../browser/caption.js brings a file's record there.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { Tokenizer } from "@huggingface/tokenizers";
import ort from "onnxruntime-node";
import sharp from "sharp";

import { fit } from "../browser/fit.js";

/** A picture as RGB bytes of the model's size, upright, fitted as bundle.json says. Samples must have 8 bits. */
export async function read(path, preprocessing) {
  const { depth } = await sharp(path).metadata();
  if (depth !== "uchar") throw new Error(`${path}: its samples are ${depth}, not of 8 bits; scale them to 0 to 255 first`);
  const rgb = sharp(path).autoOrient().toColourspace("srgb").removeAlpha().raw();
  const { data, info } = await rgb.toBuffer({ resolveWithObject: true });
  return fit({ data, width: info.width, height: info.height }, preprocessing);
}

/** A bundle: two graphs, a tokenizer, and bundle.json, which says how to prepare inputs. */
export async function load(folder) {
  const json = async (name) => JSON.parse(await readFile(join(folder, name), "utf8"));
  const { arch, logit_scale } = await json("bundle.json");
  const imageTower = await ort.InferenceSession.create(join(folder, "image.onnx"));
  const metadataTower = await ort.InferenceSession.create(join(folder, "metadata.onnx"));
  const file = await json("tokenizer.json");
  const tokenizer = new Tokenizer(file, {});
  const ids = (caption) => tokenizer.encode(caption).ids;
  return {
    ids,

    /** Unit rows, one Float32Array for each path. */
    async embedImages(paths) {
      const { size } = arch.preprocessing;
      const pixels = new Uint8Array(paths.length * size * size * 3);
      for (const [i, path] of paths.entries()) {
        pixels.set(await read(path, arch.preprocessing), i * size * size * 3);
      }
      const image = new ort.Tensor("uint8", pixels, [paths.length, size, size, 3]);
      return rows((await imageTower.run({ image })).image_embeds);
    },

    /** Unit rows, one Float32Array for each caption. */
    async embedCaptions(captions) {
      const tokens = captions.map(ids);
      const length = Math.max(...tokens.map((t) => t.length));
      if (length > arch.metadata.tower.context) throw new Error("a caption is too long for the model");
      const padded = new BigInt64Array(captions.length * length).fill(BigInt(file.padding.pad_id));
      tokens.forEach((t, i) => padded.set(t.map(BigInt), i * length));
      const input_ids = new ort.Tensor("int64", padded, [captions.length, length]);
      return rows((await metadataTower.run({ input_ids })).metadata_embeds);
    },

    /** Softmax at the temperature that the model was trained with. */
    shares(cosines) {
      const most = Math.max(...cosines);
      const shares = cosines.map((c) => Math.exp(logit_scale * (c - most)));
      const sum = shares.reduce((a, b) => a + b);
      return shares.map((s) => s / sum);
    },
  };
}

const rows = ({ data, dims: [n, d] }) => Array.from({ length: n }, (_, i) => data.slice(i * d, (i + 1) * d));

/** The cosine of two unit rows. */
export const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [bundle, path, ...captions] = process.argv.slice(2);
  if (!captions.length) throw new Error("give a bundle, an image and captions");
  const model = await load(bundle);
  const [image] = await model.embedImages([path]);
  const cosines = (await model.embedCaptions(captions)).map((row) => cosine(image, row));
  const shares = model.shares(cosines);
  captions.forEach((c, i) => console.log(cosines[i].toFixed(4), `${(100 * shares[i]).toFixed(0)}%`, c));
}
