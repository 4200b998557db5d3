// The caption that a text tower reads: `Label: value; Label: value`, in the paper's order of fields.
// Values are text as people and tables write them: `gsd` as "10" or "11.45,9.13", `location` as "lon,lat".

/** The 15 fields in canonical order: label, unit, an example, and how a value is written in captions. */
export const FIELDS = {
  gsd: { label: "GSD", unit: "m", example: "10", show: (t) => pair(t, within(1e-4, 1e4), metres) },
  multispectral_gsd: { label: "Multispectral GSD", unit: "m", example: "2.4", show: (t) => metres(within(1e-4, 1e4)(number(t))) },
  pixel_size: { label: "Pixel size", unit: "degrees", example: "0.0001", show: (t) => pair(t, within(1e-10, 10), scientific) },
  timestamp: { label: "Timestamp", unit: "UTC", example: "2020-06-21T10:30:00Z", show: timestamp },
  location: { label: "Location", unit: "lon, lat", example: "2.35,48.85", show: location },
  utm_zone: { label: "UTM zone", unit: "", example: "31U", show: (t) => match(t.toUpperCase(), /^(?!3[246]X)([1-9]|[1-5]\d|60)[C-HJ-NP-X]$/, "a zone and a band, as 31U") },
  country_code: { label: "Country code", unit: "ISO alpha-3", example: "FRA", show: (t) => match(t.toUpperCase(), /^[A-Z]{3}$/, "three letters, as FRA") },
  cloud_cover: { label: "Cloud cover", unit: "%", example: "14", show: (t) => fixed(within(0, 100)(number(t)), 0) },
  scan_direction: { label: "Scan direction", unit: "", example: "Forward", show: (t) => match(t, /^(Forward|Reverse)$/, "Forward or Reverse") },
  wavelengths: { label: "Wavelengths", unit: "nm", example: "661,545,477", show: wavelengths },
  target_azimuth_angle: { label: "Target azimuth angle", unit: "degrees", example: "39.1", show: azimuth },
  sun_azimuth_angle: { label: "Sun azimuth angle", unit: "degrees", example: "151.2", show: azimuth },
  sun_elevation_angle: { label: "Sun elevation angle", unit: "degrees", example: "63.1", show: (t) => fixed(within(-90, 90)(number(t)), 2) },
  off_nadir_angle: { label: "Off-nadir angle", unit: "degrees", example: "12.4", show: (t) => fixed(within(0, 90)(number(t)), 2) },
  sensor_platform: { label: "Sensor platform", unit: "", example: "SENTINEL-2A", show: platform },
};

/**
 * The caption of a record.
 * @param {Object<string, string>} record text by name of field; empty text is "not known"
 * @param {string[]} fields the model's fields, from bundle.json
 * @throws {Error} with `field` where a value is none
 */
export function caption(record, fields) {
  const parts = Object.keys(FIELDS)
    .filter((name) => fields.includes(name) && record[name]?.trim())
    .map((name) => `${FIELDS[name].label}: ${value(name, record[name].trim())}`);
  return parts.join("; ");
}

/** A field's value as it stands in captions. Throws an error that says what was expected. */
export function value(name, text) {
  try {
    return FIELDS[name].show(text);
  } catch (error) {
    throw Object.assign(new Error(error.message), { field: name });
  }
}

/**
 * The record of a picture's file as that of the model's input pixels: gsd and pixel size scale with the picture, and the
 * location moves where cutting an odd rest moves the centre. What leaves its range is dropped.
 * @param {Object<string, string>} record text by name of field
 * @param {{width: number, height: number}} picture the file's size in pixels, upright
 * @param {{size: number, fit: string}} preprocessing of bundle.json
 */
export function fitted(record, { width, height }, { size, fit }) {
  const side = Math.min(width, height);
  const [across, down] = fit === "stretch" ? [width, height] : [side, side];
  const scale = [across / size, down / size];
  const moved = { ...record };
  const follow = (name, least, most, values) => {
    if (!values.every((x) => x >= least && x <= most)) delete moved[name];
    else moved[name] = values[0] === values[1] ? `${values[0]}` : values.join(",");
  };
  const axes = (text) => {
    const [x, y = x] = numbers(text);
    return [x, y];
  };
  const known = (name) => record[name]?.trim();
  if (known("gsd")) follow("gsd", 1e-4, 1e4, axes(known("gsd")).map((x, i) => x * scale[i]));
  if (known("pixel_size")) follow("pixel_size", 1e-10, 10, axes(known("pixel_size")).map((x, i) => x * scale[i]));
  if (known("multispectral_gsd")) {
    follow("multispectral_gsd", 1e-4, 1e4, [number(known("multispectral_gsd")) * Math.sqrt(scale[0] * scale[1])]);
  }
  if (known("location") && known("pixel_size")) {
    const half = (whole, part) => ((whole - part) % 2 ? -0.5 : 0);
    const [lon, lat] = lonLat(known("location"));
    const [x, y] = axes(known("pixel_size"));
    moved.location = `${lon + half(width, across) * x},${lat - half(height, down) * y}`;
  }
  return moved;
}

/** The UTM zone of a place in degrees, with Norway's and Svalbard's exceptions; "" where UTM ends. */
export function utmZone(lon, lat) {
  if (!(lat >= -80 && lat <= 84 && lon >= -180 && lon <= 180)) return "";
  const band = "CDEFGHJKLMNPQRSTUVWX"[Math.min(19, Math.floor((lat + 80) / 8))];
  let zone = (Math.floor((lon + 180) / 6) % 60) + 1;
  if (band === "V" && lon >= 3 && lon < 6) zone = 32;
  if (band === "X" && lon >= 0 && lon < 42) zone = lon < 9 ? 31 : lon < 21 ? 33 : lon < 33 ? 35 : 37;
  return `${zone}${band}`;
}

/** Longitude and latitude of a location's text, in degrees. */
export function lonLat(text) {
  const [lon, lat, ...rest] = numbers(text);
  if (lat === undefined || rest.length) throw new Error("expected longitude, latitude");
  return [within(-180, 180)(lon), within(-90, 90)(lat)];
}

function number(text) {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim())) throw new Error("expected a number");
  return Number(text);
}

const numbers = (text) => text.replace(/^[([](.*)[)\]]$/, "$1").split(",").map(number);

const within = (least, most) => (x) => {
  if (!(x >= least && x <= most)) throw new Error(`expected ${least} to ${most}`);
  return x;
};

function match(text, pattern, expected) {
  if (!pattern.test(text)) throw new Error(`expected ${expected}`);
  return text;
}

function pair(text, check, show) {
  const [x, y = x, ...rest] = numbers(text).map(check);
  if (rest.length) throw new Error("expected one number or two");
  return `(${show(x)}, ${show(y)})`;
}

function location(text) {
  return `(${lonLat(text).map((degrees) => fixed(degrees, 4)).join(", ")})`;
}

function wavelengths(text) {
  const list = numbers(text).map(within(100, 100000));
  if (list.length > 16) throw new Error("expected 1 to 16 numbers");
  return `[${list.map((nm) => fixed(nm, 0)).join(", ")}]`;
}

function azimuth(text) {
  const shown = fixed(within(0, 360)(number(text)), 2);
  return shown === "360.00" ? "0.00" : shown;
}

function platform(text) {
  return match(text.toUpperCase(), /^(?!.*[<>|;])[\x20-\x7e]{1,64}$/, "printable ASCII without < > | ;");
}

/** UTC, as finely as it was given, a fraction of a second cut off; a day stays a day. */
function timestamp(text) {
  const expected = new Error("expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ");
  const found = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?:(:\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/i.exec(text);
  if (!found) throw expected;
  const [, day, minutes = "00:00", seconds, zone = "Z"] = found;
  const midnight = new Date(`${day}T00:00:00Z`);
  // JavaScript takes 31 February for 3 March.
  if (Number.isNaN(midnight.getTime()) || midnight.toISOString().slice(0, 10) !== day) throw expected;
  const moment = new Date(`${day}T${minutes}${seconds ?? ":00"}${zone.toUpperCase()}`);
  if (Number.isNaN(moment.getTime())) throw expected;
  const utc = moment.toISOString();
  within(1940, 2100)(moment.getUTCFullYear());
  if (!found[2]) return day;
  return `${utc.slice(0, seconds ? 19 : 16)}Z`;
}

// Numbers round as in Rust and Python: exactly, halves to the even digit. JavaScript rounds halves up.

/** A fixed number of decimals, without a sign on zero. */
function fixed(x, decimals) {
  let text = Math.abs(x).toFixed(decimals);
  const exact = Math.abs(x).toFixed(decimals + 40);
  if (/50{39}$/.test(exact) && "13579".includes(text.at(-1))) {
    text = exact.slice(0, -40).replace(/\.$/, "");
  }
  return x < 0 && /[1-9]/.test(text) ? `-${text}` : text;
}

/** At least 2 decimals and 3 significant digits, less the zeros at the end. */
function metres(x) {
  const more = Math.max(0, -exponent(x));
  let text = fixed(x, 2 + more);
  for (let i = 0; i < more && text.endsWith("0"); i++) text = text.slice(0, -1);
  return text;
}

/** 3 significant digits and an exponent of at least 2. */
function scientific(x) {
  const [digits, power] = rounded(x);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

const exponent = (x) => rounded(x)[1];

function rounded(x) {
  let [digits, power] = x.toExponential(2).split("e");
  const [exact] = x.toExponential(42).split("e");
  if (/50{39}$/.test(exact) && "13579".includes(digits.at(-1))) digits = exact.slice(0, -40);
  return [digits, Number(power)];
}
