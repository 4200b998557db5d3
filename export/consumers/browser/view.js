// Parts of the page, each made from plain data.

import { FIELDS } from "./caption.js";

/** An element with properties (`class` and `aria-*` as attributes) and children. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A radio button that looks like a picture. */
export function pictureChoice({ name, src }, checked, onChange) {
  const input = element("input", { type: "radio", name: "picture", value: name, checked, onchange: onChange });
  return element("label", { class: "choice", title: name }, input, element("img", { src, alt: name }));
}

/** A field of the form: label, input, what it adds to the match, and what is wrong with it. */
export function fieldRow(name, known, onInput) {
  const { label, unit, example } = FIELDS[name];
  const fault = element("span", { class: "fault", id: `${name}-fault` });
  const gain = element("span", { class: "gain" });
  const input = element("input", {
    id: name,
    name,
    placeholder: "not known",
    spellcheck: false,
    title: `For example ${example}`,
    "aria-describedby": `${name}-fault`,
    oninput: onInput,
  });
  const list = element("datalist", { id: `${name}-known` }, ...known.map((value) => element("option", { value })));
  if (known.length) input.setAttribute("list", list.id);
  const title = element("label", { htmlFor: name }, label, element("small", {}, unit));
  return {
    node: element("div", { class: "field" }, title, input, gain, fault, list),
    read: () => input.value.trim(),
    write: (text) => (input.value = text),
    fault(text) {
      fault.textContent = text && `Left out: ${text}.`;
      input.setAttribute("aria-invalid", text ? "true" : "false");
    },
    /** What the field adds to the cosine; null where it is not known. */
    gain(number) {
      gain.textContent = number === null ? "" : `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(3)}`;
      gain.dataset.sign = number === null ? "" : number < 0 ? "minus" : "plus";
      gain.title = number === null ? "" : "What this field adds to the cosine";
    },
  };
}

/** A picture of the ranking: its share as a bar, and its cosine. */
export function rankingRow({ name, src }, cosine, share, length, chosen) {
  const bar = element("span", { class: "bar" });
  bar.style.setProperty("--length", length);
  return element(
    "li",
    { class: chosen ? "chosen" : "", "aria-current": chosen ? "true" : "false" },
    element("img", { src, alt: "" }),
    element("span", { class: "name" }, name),
    element("span", { class: "share" }, `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`),
    bar,
    element("span", { class: "cosine" }, cosine.toFixed(3)),
  );
}

/** One of the nearest pictures. */
export function nearestRow({ picture: { name, src }, cosine }) {
  return element(
    "li",
    {},
    element("img", { src, alt: name }),
    element("span", { class: "name" }, name),
    element("span", { class: "cosine" }, cosine.toFixed(3)),
  );
}

/** The caption with its labels set apart from the values. */
export function showCaption(node, text) {
  const parts = text.split("; ").filter(Boolean);
  const shown = parts.map((part, i) => {
    const colon = part.indexOf(": ");
    const label = element("span", { class: "label" }, part.slice(0, colon + 1));
    return element("span", { class: "part" }, label, part.slice(colon + 1), i + 1 < parts.length ? "; " : "");
  });
  node.replaceChildren(...(shown.length ? shown : ["(nothing is known)"]));
}
