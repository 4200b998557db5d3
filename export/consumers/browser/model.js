// A bundle in the browser: two graphs, a tokenizer, and bundle.json, which says how to prepare inputs.

import { Tokenizer } from "@huggingface/tokenizers";
import * as ort from "onnxruntime-web";

import { fit } from "./fit.js";

// One thread needs no special headers of the server.
ort.env.wasm.numThreads = 1;

/** A file beside the page; throws an error that names it. */
export async function get(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
  return answer;
}

/** A picture as RGB bytes, upright, as its file has them: no colour management. Samples must have 8 bits. */
export async function decode(blob) {
  // Of the formats that browsers read, PNG alone has 16 bits; its header says so.
  const header = new Uint8Array(await blob.slice(0, 25).arrayBuffer());
  const png = [0x89, 0x50, 0x4e, 0x47].every((byte, i) => header[i] === byte);
  if (png && header[24] === 16) throw new Error("its samples are not of 8 bits; scale them to 0 to 255 first");
  const bitmap = await createImageBitmap(blob, {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
    imageOrientation: "from-image",
  });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  canvas.drawImage(bitmap, 0, 0);
  const rgba = canvas.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data.set(rgba.subarray(i * 4, i * 4 + 3), i * 3);
  return { data, width, height };
}

export class Model {
  /** Loads a bundle from the folder at `base`, a URL that ends with a slash. */
  static async load(base) {
    const json = async (name) => (await get(new URL(name, base))).json();
    const graph = async (name) => {
      const bytes = await (await get(new URL(name, base))).arrayBuffer();
      return ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    };
    const manifest = await json("bundle.json");
    if (manifest.arch.metadata?.tower.kind !== "text") throw new Error(`${manifest.id} does not read captions`);
    const file = await json("tokenizer.json");
    return new Model(manifest, file, await graph("image.onnx"), await graph("metadata.onnx"));
  }

  constructor(manifest, tokenizer, imageTower, metadataTower) {
    this.manifest = manifest;
    this.tokenizer = new Tokenizer(tokenizer, {});
    this.pad = BigInt(tokenizer.padding.pad_id);
    this.imageTower = imageTower;
    this.metadataTower = metadataTower;
  }

  /** The fields that the model reads, in canonical order. */
  get fields() {
    return this.manifest.arch.metadata.fields;
  }

  /** Most tokens of a caption. */
  get context() {
    return this.manifest.arch.metadata.tower.context;
  }

  /** Token ids of a caption, start and end included. */
  ids(caption) {
    return this.tokenizer.encode(caption).ids;
  }

  /** Unit rows of pictures from `decode`. */
  async embedImages(pictures) {
    const { preprocessing } = this.manifest.arch;
    const { size } = preprocessing;
    const pixels = new Uint8Array(pictures.length * size * size * 3);
    pictures.forEach((picture, i) => pixels.set(fit(picture, preprocessing), i * size * size * 3));
    const image = new ort.Tensor("uint8", pixels, [pictures.length, size, size, 3]);
    return rows((await this.imageTower.run({ image })).image_embeds);
  }

  /** Unit rows of captions. */
  async embedCaptions(captions) {
    const tokens = captions.map((caption) => this.ids(caption));
    const length = Math.max(...tokens.map((t) => t.length));
    if (length > this.context) throw new Error(`the caption has ${length} tokens, the model reads ${this.context}`);
    const padded = new BigInt64Array(captions.length * length).fill(this.pad);
    tokens.forEach((t, i) => padded.set(t.map(BigInt), i * length));
    const input_ids = new ort.Tensor("int64", padded, [captions.length, length]);
    return rows((await this.metadataTower.run({ input_ids })).metadata_embeds);
  }

  /** Softmax of cosines at the temperature that the model was trained with. */
  shares(cosines) {
    const most = Math.max(...cosines);
    const shares = cosines.map((c) => Math.exp(this.manifest.logit_scale * (c - most)));
    const sum = shares.reduce((a, b) => a + b, 0);
    return shares.map((s) => s / sum);
  }
}

const rows = ({ data, dims: [n, d] }) => Array.from({ length: n }, (_, i) => data.slice(i * d, (i + 1) * d));

/** The cosine of two unit rows. */
export const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
