// The network on this device: one file for the CPU, one for the GPU, and the proof that each gives the right labels.

import { Tensor, getWebGpuDevice, loadAndCompile, loadLiteRt, supportsFeature } from "@litertjs/core";

/**
 * What `keras-segnet export --format web` writes into model.json.
 * @typedef {{name: string, height: number, width: number, fit: string, classes: {name: string, colour: number[]}[],
 *   files: Record<"cpu" | "gpu", {path: string, input: "uint8" | "float32", agreement: number}>}} Description
 */

/**
 * Outcome of the self-test of one accelerator.
 * @typedef {{accelerator: string, network: Network | null, why: string, milliseconds: number}} Outcome
 */

/** Labels may differ from the exporting machine's by rounding: in at most this share of the pixels. */
export const TOLERANCE = 0.005;

/** In check-labels.bin: rounding alone may change this pixel's label. */
const UNSURE = 255;

const TIMED_RUNS = 3;

/** A compiled file. */
export class Network {
  /**
   * @param {Description} description
   * @param {import("@litertjs/core").CompiledModel} model
   * @param {"uint8" | "float32"} input dtype of the image
   */
  constructor(description, model, input) {
    this.description = description;
    this.model = model;
    this.input = input;
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} pixels RGB, `height * width * 3` bytes
   * @returns {Promise<Int32Array>} class of each pixel, row by row
   */
  async run(pixels) {
    const { height, width } = this.description;
    const image = new Tensor(this.input === "uint8" ? pixels : Float32Array.from(pixels), [1, height, width, 3]);
    try {
      const [output] = await this.model.run(image);
      try {
        return Int32Array.from(/** @type {Int32Array} */ (await output.data()));
      } finally {
        output.delete();
      }
    } finally {
      image.delete();
    }
  }
}

/**
 * Loads the runtime: with threads where the page may share memory, in the "compat" build on old browsers.
 * @param {string | null} build "threaded", "plain" or "compat"; null for the best one
 * @returns {Promise<string>} what was loaded, in words
 */
export async function loadRuntime(build) {
  const relaxed = build !== "compat" && (await supportsFeature("relaxedSimd"));
  const threads = relaxed && (build ? build === "threaded" : self.crossOriginIsolated) && (await supportsFeature("threads"));
  await loadLiteRt(relaxed ? "runtime/wasm/" : "runtime/wasm/litert_wasm_compat_internal.js", { threads });
  return relaxed ? (threads ? "CPU, threads" : "CPU, one thread") : "CPU, one thread, compatible build";
}

/**
 * Runs the check image on one accelerator.
 * @param {Description} description
 * @param {"cpu" | "gpu"} kind
 * @param {string} name of the accelerator, in words
 * @returns {Promise<Outcome>}
 */
export async function selfTest(description, kind, name) {
  const file = description.files[kind];
  const refused = (/** @type {string} */ why) => ({ accelerator: name, network: null, why, milliseconds: NaN });
  if (kind === "gpu" && !getWebGpuDevice()) return refused("the browser gives this page no GPU (WebGPU)");
  try {
    const [image, labels] = await Promise.all([bytes("check-image.bin"), bytes("check-labels.bin")]);
    const accelerator = kind === "gpu" ? "webgpu" : "wasm";
    const model = await loadAndCompile(file.path, { accelerator });
    if (kind === "gpu" && !model.isFullyAccelerated) return refused("the GPU does not take the whole network");
    const network = new Network(description, model, file.input);
    const found = await network.run(image);
    const same = agreement(found, labels);
    if (!(same >= file.agreement - TOLERANCE)) {
      const [is, expected] = [same, file.agreement].map((share) => `${(100 * share).toFixed(1)} %`);
      return refused(`wrong labels: the Keras model's on ${is} of the check image, ${expected} are expected`);
    }
    return { accelerator: name, network, why: "", milliseconds: await medianTime(network, image) };
  } catch (error) {
    return refused(error instanceof Error ? error.message.split("\n")[0] : String(error));
  }
}

/**
 * @param {Int32Array} found
 * @param {Uint8Array} expected the Keras model's labels; UNSURE where its two best classes are close
 * @returns {number} share of the other pixels with the same label; NaN if the sizes differ
 */
function agreement(found, expected) {
  if (found.length !== expected.length) return NaN;
  let [same, sure] = [0, 0];
  expected.forEach((label, i) => {
    if (label === UNSURE) return;
    sure++;
    same += Number(found[i] === label);
  });
  return same / sure;
}

/** @param {Network} network @param {Uint8Array<ArrayBuffer>} image @returns {Promise<number>} milliseconds */
async function medianTime(network, image) {
  const times = [];
  for (let run = 0; run < TIMED_RUNS; run++) {
    const start = performance.now();
    await network.run(image);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[TIMED_RUNS >> 1];
}

/** @param {string} path @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function bytes(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} is missing (${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}
