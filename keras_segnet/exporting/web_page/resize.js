// Resizing as the library resizes before training: the mean of the covered area where an image shrinks on both sides,
// bilinear interpolation elsewhere (cv2.INTER_AREA and cv2.INTER_LINEAR). A browser's own scaling depends on the
// browser, and other input means other labels.

/**
 * The source elements that one result element is made of, along one axis.
 * @typedef {{first: number, weights: Float32Array}} Taps
 */

/**
 * @param {number} from length of the source axis
 * @param {number} to length of the result axis
 * @param {boolean} shrinks whether both axes shrink
 * @returns {Taps[]} one entry for each result element; weights sum to 1
 */
function taps(from, to, shrinks) {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) =>
    shrinks ? areaTaps(i * scale, scale, from) : linearTaps((i + 0.5) * scale - 0.5, from),
  );
}

/** @param {number} start @param {number} scale @param {number} from @returns {Taps} */
function areaTaps(start, scale, from) {
  const end = Math.min(start + scale, from);
  const first = Math.floor(start + 1e-6);
  const last = Math.max(first, Math.ceil(end - 1e-6) - 1);
  const weights = new Float32Array(last - first + 1);
  for (let j = first; j <= last; j++) weights[j - first] = (Math.min(j + 1, end) - Math.max(j, start)) / (end - start);
  return { first, weights };
}

/** @param {number} centre @param {number} from @returns {Taps} */
function linearTaps(centre, from) {
  const clamped = Math.min(Math.max(centre, 0), from - 1);
  const first = Math.min(Math.floor(clamped), Math.max(from - 2, 0));
  return { first, weights: from === 1 ? Float32Array.of(1) : Float32Array.of(1 - (clamped - first), clamped - first) };
}

/**
 * The network input of an image: stretched to it, or resized with its aspect ratio and padded below and to the right.
 * @param {ImageData} image any size
 * @param {{height: number, width: number, fit: string}} input its size, and the rule
 * @returns {{pixels: Uint8Array<ArrayBuffer>, height: number, width: number}} RGB, `height * width * 3` bytes of the
 *   input, and the size of the image in it
 */
export function toInput(image, input) {
  if (input.fit !== "pad") return { ...input, pixels: resize(image, input.height, input.width) };
  const factor = Math.min(input.height / image.height, input.width / image.width);
  const height = Math.max(1, Math.round(image.height * factor));
  const width = Math.max(1, Math.round(image.width * factor));
  const content = resize(image, height, width);
  const pixels = new Uint8Array(input.height * input.width * 3);
  for (let y = 0; y < height; y++) {
    pixels.set(content.subarray(y * width * 3, (y + 1) * width * 3), y * input.width * 3);
  }
  return { pixels, height, width };
}

/**
 * @param {ImageData} image any size
 * @param {number} height of the result
 * @param {number} width of the result
 * @returns {Uint8Array<ArrayBuffer>} RGB, `height * width * 3` bytes
 */
export function resize(image, height, width) {
  const shrinks = height < image.height && width < image.width;
  const columns = taps(image.width, width, shrinks);
  const rows = taps(image.height, height, shrinks);
  const narrow = new Float32Array(image.height * width * 3);
  for (let y = 0, out = 0; y < image.height; y++) {
    for (const { first, weights } of columns) {
      let red = 0, green = 0, blue = 0;
      for (let k = 0, at = (y * image.width + first) * 4; k < weights.length; k++, at += 4) {
        red += weights[k] * image.data[at];
        green += weights[k] * image.data[at + 1];
        blue += weights[k] * image.data[at + 2];
      }
      narrow[out++] = red;
      narrow[out++] = green;
      narrow[out++] = blue;
    }
  }
  const stride = width * 3;
  const sums = new Float32Array(stride);
  const result = new Uint8Array(height * stride);
  rows.forEach(({ first, weights }, y) => {
    sums.fill(0);
    weights.forEach((weight, k) => {
      for (let x = 0, at = (first + k) * stride; x < stride; x++) sums[x] += weight * narrow[at + x];
    });
    for (let x = 0; x < stride; x++) result[y * stride + x] = Math.round(sums[x]);
  });
  return result;
}
