// The page: which picture is chosen, what its record says, and what the model makes of both.

import { caption, fitted, lonLat, utmZone } from "./caption.js";
import { compare } from "./golden.js";
import { cosine, decode, get, Model } from "./model.js";
import { element, fieldRow, rankingRow, nearestRow, pictureChoice, showCaption } from "./view.js";

const at = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const folder = (path) => new URL(path.endsWith("/") ? path : `${path}/`, location.href);
const bundleUrl = folder(query.get("bundle") ?? "../../../zoo/satmip-lite/");
const listUrl = new URL(query.get("chips") ?? "chips.json", location.href);

let model;
/** `{ name, src, metadata, vector }` of each picture offered. */
let pictures = [];
let chosen = 0;
/** The field rows by name, each with `read()`, `write(text)`, `fault(text)` and `gain(number)`. */
const rows = {};

async function start() {
  const list = await (await get(listUrl)).json();
  model = await Model.load(bundleUrl);
  const blobs = await Promise.all(list.chips.map(async ({ file }) => (await get(new URL(file, listUrl))).blob()));
  const decoded = await Promise.all(blobs.map(decode));
  const vectors = await model.embedImages(decoded);
  pictures = list.chips.map(({ file, metadata }, i) => ({
    name: file.split("/").at(-1).replace(/\.\w+$/, "").replaceAll("_", " "),
    src: URL.createObjectURL(blobs[i]),
    metadata: fitted(metadata, decoded[i], model.manifest.arch.preprocessing),
    vector: vectors[i],
  }));
  build();
  at("hint").textContent = list.hint ?? "";
  at("hint").hidden = !list.hint;
  await choose(0);
  at("status").hidden = true;
  document.querySelector("main").hidden = false;
  if (list.cosines) await checkGolden(list, vectors);
  document.body.dataset.ready = "yes";
}

function build() {
  const { id, version, licence, precision, arch, logit_scale } = model.manifest;
  at("about").textContent =
    `${id} ${version}, weights ${licence} (${precision}), ${arch.embed_dim} numbers to a vector; ONNX Runtime Web, one thread.`;
  at("softmax").textContent = `Bars: softmax of ${logit_scale.toFixed(1)} × cosine over the ${pictures.length} pictures offered.`;
  const choices = pictures.map((picture, i) => pictureChoice(picture, i === chosen, () => choose(i)));
  at("pictures").replaceChildren(...choices);
  const known = (name) => [...new Set(pictures.map((p) => p.metadata[name]).filter(Boolean))].sort();
  for (const name of model.fields) {
    rows[name] = fieldRow(name, known(name), () => {
      follow(name);
      update();
    });
    at("fields").append(rows[name].node);
  }
  at("fields").addEventListener("submit", (event) => event.preventDefault());
  at("reset").addEventListener("click", () => write(pictures[chosen].metadata));
  at("clear").addEventListener("click", () => write({}));
  for (const link of document.querySelectorAll("nav a")) {
    const bundle = new URLSearchParams(link.search).get("bundle");
    if (bundle === query.get("bundle")) link.setAttribute("aria-current", "page");
  }
}

/** A UTM zone follows from the location, as it did in training. */
function follow(name) {
  if (name !== "location" || !rows.utm_zone) return;
  try {
    rows.utm_zone.write(utmZone(...lonLat(rows.location.read())));
  } catch {
    // What is wrong with the location is said beside it.
    rows.utm_zone.write("");
  }
}

async function choose(index) {
  chosen = index;
  const { src, name, vector, metadata } = pictures[index];
  Object.assign(at("chosen"), { src, alt: name });
  const near = pictures
    .map((picture, i) => ({ picture, i, cosine: cosine(vector, picture.vector) }))
    .filter(({ i }) => i !== index)
    .sort((a, b) => b.cosine - a.cosine)
    .slice(0, 3);
  at("nearest").replaceChildren(...near.map(nearestRow));
  await write(metadata);
}

function write(metadata) {
  for (const [name, row] of Object.entries(rows)) row.write(metadata[name] ?? "");
  return update();
}

/** Reads the form; faults are shown beside their fields and those fields are left out. */
function read() {
  const record = {};
  for (const [name, row] of Object.entries(rows)) {
    const text = row.read();
    try {
      caption({ [name]: text }, [name]);
      row.fault("");
      record[name] = text;
    } catch (error) {
      row.fault(error.message);
    }
  }
  return record;
}

let running = false;
let again = false;

/** Embeds the record and shows what it fits. Edits that come meanwhile are taken together afterwards. */
async function update() {
  again = true;
  if (running) return;
  running = true;
  try {
    while (again) {
      again = false;
      await show(read());
    }
  } catch (error) {
    fail(error);
  } finally {
    running = false;
  }
}

async function show(record) {
  const text = caption(record, model.fields);
  const given = model.fields.filter((name) => record[name]?.trim());
  // The record, and the record without each of its fields: what a field adds is the difference.
  const without = given.map((name) => caption({ ...record, [name]: "" }, model.fields));
  const [vector, ...others] = await model.embedCaptions([text, ...without]);
  const own = pictures[chosen].vector;
  const cosines = pictures.map((picture) => cosine(vector, picture.vector));
  const shares = model.shares(cosines);

  showCaption(at("caption"), text);
  at("tokens").textContent = `${model.ids(text).length} of at most ${model.context} tokens.`;
  at("cosine").textContent = cosines[chosen].toFixed(3);
  for (const name of model.fields) rows[name].gain(null);
  given.forEach((name, i) => rows[name].gain(cosines[chosen] - cosine(others[i], own)));

  const order = pictures.map((_, i) => i).sort((a, b) => cosines[b] - cosines[a]);
  const rank = order.indexOf(chosen) + 1;
  at("verdict").replaceChildren(
    rank === 1
      ? "No other picture fits this record better."
      : element("span", {}, element("b", {}, `${rank - 1} of ${pictures.length - 1}`), " others fit this record better."),
  );
  const most = Math.max(...shares);
  at("ranking").replaceChildren(
    ...order.map((i) => rankingRow(pictures[i], cosines[i], shares[i], shares[i] / most, i === chosen)),
  );
}

async function checkGolden(golden, images) {
  const { faults, least, most } = await compare(model, golden, listUrl, { images });
  at("golden").hidden = false;
  at("golden").dataset.faults = faults.length;
  at("golden").textContent = faults.length
    ? `Golden vectors differ: ${faults.join("; ")}`
    : `Golden vectors agree: least cosine ${least.toFixed(8)}, largest difference ${most.toExponential(1)}.`;
}

function fail(error) {
  const status = at("status");
  status.hidden = false;
  status.setAttribute("role", "alert");
  status.textContent = `That did not work: ${error.message}`;
}

start().catch(fail);
