// From a picture of any size to the image tower's input, with Pillow's bytes.

const FILTERS = {
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, at: (x) => cubic(Math.abs(x)) },
  lanczos: { support: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

// Keys' cubic convolution with a = -0.5.
function cubic(x) {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

// Pillow's fixed point: weights times 2^22.
const BITS = 22;

/** For each place of the output its first input place and integer weights. */
function windows(input, output, filter) {
  const scale = input / output;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  return Array.from({ length: output }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(input, Math.trunc(centre + support + 0.5));
    const weights = Array.from({ length: end - first }, (_, j) => filter.at((j + first - centre + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    const fixed = weights.map((w) => Math.trunc((w / sum) * 2 ** BITS + (w < 0 ? -0.5 : 0.5)));
    return { first, weights: fixed };
  });
}

/** Resizes one axis: `lines` runs of `input` places that are `step` apart, each run starting at `start(line)`. */
function resizeAxis(pixels, lines, input, output, filter, index) {
  if (input === output) return pixels;
  const resized = new Uint8Array(lines * output * 3);
  windows(input, output, filter).forEach(({ first, weights }, place) => {
    for (let line = 0; line < lines; line++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 2 ** (BITS - 1);
        weights.forEach((w, j) => (sum += w * pixels[index(line, first + j, input) + channel]));
        const value = Math.floor(sum / 2 ** BITS);
        resized[index(line, place, output) + channel] = Math.min(255, Math.max(0, value));
      }
    }
  });
  return resized;
}

/**
 * Cuts and resizes a picture as `preprocessing` of bundle.json says.
 * @param {{data: Uint8Array, width: number, height: number}} picture RGB, row by row
 * @param {{size: number, fit: string, filter: string}} preprocessing
 * @returns {Uint8Array} RGB, size * size * 3 bytes
 */
export function fit({ data, width, height }, { size, fit, filter }) {
  if (!(filter in FILTERS)) throw new Error(`the filter ${filter} is not known`);
  if (fit === "crop") {
    const side = Math.min(width, height);
    data = crop(data, width, (width - side) >> 1, (height - side) >> 1, side);
    width = height = side;
  } else if (fit !== "stretch") {
    throw new Error(`the fit ${fit} is not known`);
  }
  // Columns first, then rows, as Pillow does.
  const kernel = FILTERS[filter];
  data = resizeAxis(data, height, width, size, kernel, (line, place, length) => (line * length + place) * 3);
  return resizeAxis(data, size, height, size, kernel, (line, place) => (place * size + line) * 3);
}

function crop(data, width, left, top, side) {
  const cut = new Uint8Array(side * side * 3);
  for (let row = 0; row < side; row++) {
    const start = ((top + row) * width + left) * 3;
    cut.set(data.subarray(start, start + side * 3), row * side * 3);
  }
  return cut;
}
