// The page: an image, a video or the camera in; an overlay with a legend out.

import { loadRuntime, selfTest } from "./network.js";
import { toInput } from "./resize.js";

/** @typedef {import("./network.js").Network} Network */
/** @typedef {HTMLImageElement | HTMLVideoElement | ImageBitmap} Source */

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${id}`);
  return found;
}

const canvas = element("view", HTMLCanvasElement);
const video = element("video", HTMLVideoElement);
const opacity = element("opacity", HTMLInputElement);
const status = element("status", HTMLElement);
const legend = element("legend", HTMLUListElement);
const scratch = document.createElement("canvas");
const painted = document.createElement("canvas");
/** @type {(() => void) | null} redraws what is shown, for another opacity */
let redraw = null;
let showing = 0;

/** @param {string} text */
const say = (text) => (status.textContent = text);

/**
 * Labels one frame and draws it.
 * @param {Network} network
 * @param {Source} source
 * @param {number} height of the source
 * @param {number} width of the source
 * @returns {Promise<number>} milliseconds
 */
async function show(network, source, height, width) {
  const start = performance.now();
  const { classes, width: stride } = network.description;
  [scratch.height, scratch.width] = [height, width];
  const context = /** @type {CanvasRenderingContext2D} */ (scratch.getContext("2d", { willReadFrequently: true }));
  context.drawImage(source, 0, 0, width, height);
  const input = toInput(context.getImageData(0, 0, width, height), network.description);
  const labels = await network.run(input.pixels);
  const overlay = new ImageData(input.width, input.height);
  const counts = new Array(classes.length).fill(0);
  for (let i = 0; i < input.width * input.height; i++) {
    const label = labels[Math.floor(i / input.width) * stride + (i % input.width)];
    counts[label]++;
    overlay.data.set(classes[label].colour, 4 * i);
    overlay.data[4 * i + 3] = 255;
  }
  [painted.height, painted.width] = [overlay.height, overlay.width];
  /** @type {CanvasRenderingContext2D} */ (painted.getContext("2d")).putImageData(overlay, 0, 0);
  redraw = draw;
  draw();
  [...legend.children].forEach((item, i) => {
    const share = counts[i] / (input.width * input.height);
    item.classList.toggle("absent", !counts[i]);
    /** @type {HTMLElement} */ (item.lastElementChild).textContent = counts[i] ? `${(100 * share).toFixed(1)} %` : "";
  });
  return performance.now() - start;
}

function draw() {
  [canvas.height, canvas.width] = [scratch.height, scratch.width];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(scratch, 0, 0);
  context.globalAlpha = Number(opacity.value) / 100;
  context.imageSmoothingEnabled = false;
  context.drawImage(painted, 0, 0, canvas.width, canvas.height);
}

/** Stops what is playing, and the camera with it. */
function stop() {
  showing++;
  video.pause();
  if (video.srcObject instanceof MediaStream) video.srcObject.getTracks().forEach((track) => track.stop());
  if (video.src) URL.revokeObjectURL(video.src);
  video.srcObject = null;
  video.removeAttribute("src");
}

/** Labels frames of the video element until another source is chosen. @param {Network} network */
async function play(network) {
  const turn = showing;
  await video.play();
  let smoothed = 0;
  while (turn === showing && !video.ended) {
    const milliseconds = await show(network, video, video.videoHeight, video.videoWidth);
    smoothed = smoothed ? 0.9 * smoothed + 0.1 * milliseconds : milliseconds;
    say(`${(1000 / smoothed).toFixed(1)} frames a second`);
    document.body.dataset.frames = String(Number(document.body.dataset.frames ?? 0) + 1);
    await new Promise(requestAnimationFrame);
  }
}

/** @param {Network} network @param {File} file */
async function open(network, file) {
  stop();
  say(`Opening ${file.name} …`);
  try {
    if (file.type.startsWith("video/")) {
      video.src = URL.createObjectURL(file);
      await play(network);
    } else {
      const image = await createImageBitmap(file, { imageOrientation: "from-image" });
      say(`${file.name}: ${(await show(network, image, image.height, image.width)).toFixed(0)} ms`);
    }
  } catch (error) {
    say(`${file.name} cannot be shown: ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {Network} network */
async function openCamera(network) {
  stop();
  if (!navigator.mediaDevices) {
    say("No camera here: browsers give one to pages from https or localhost only.");
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    await play(network);
  } catch (error) {
    say(`No camera: ${error instanceof Error ? error.message : error}`);
  }
}

/** Lets threads work on servers without the two headers: the service worker adds them from the next load on. */
async function isolate() {
  if (!("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register("service-worker.js");
  await navigator.serviceWorker.ready;
  if (self.crossOriginIsolated || sessionStorage.getItem("reloaded")) return;
  sessionStorage.setItem("reloaded", "yes");
  location.reload();
  await new Promise(() => {});
}

async function main() {
  document.body.dataset.selfTest = "running";
  const wanted = new URLSearchParams(location.search);
  try {
    await isolate();
    const response = await fetch("model.json");
    /** @type {import("./network.js").Description} */
    const description = await response.json();
    document.title = description.name;
    element("name", HTMLElement).textContent = description.name;
    for (const { name, colour } of description.classes) {
      const item = legend.appendChild(document.createElement("li"));
      const square = item.appendChild(document.createElement("i"));
      square.style.background = `rgb(${colour})`;
      item.append(name);
      item.appendChild(document.createElement("span"));
    }
    say("Loading the runtime …");
    const cpu = await loadRuntime(wanted.get("cpu"));
    const outcomes = [];
    const report = element("self-test", HTMLUListElement);
    for (const [kind, name] of /** @type {["cpu" | "gpu", string][]} */ ([["gpu", "GPU"], ["cpu", cpu]])) {
      if ((wanted.get("only") ?? kind) !== kind) continue;
      say(`Checking ${name} …`);
      const outcome = await selfTest(description, kind, name);
      outcomes.push(outcome);
      report.appendChild(document.createElement("li")).textContent = outcome.network
        ? `${name}: passed, ${outcome.milliseconds.toFixed(0)} ms a frame`
        : `${name}: refused, ${outcome.why}`;
    }
    const passed = outcomes.filter((outcome) => outcome.network).sort((a, b) => a.milliseconds - b.milliseconds);
    if (!passed.length) throw new Error("No accelerator of this device gives the right labels, so nothing is shown.");
    const network = /** @type {Network} */ (passed[0].network);
    const file = element("file", HTMLInputElement);
    const camera = element("camera", HTMLButtonElement);
    file.disabled = camera.disabled = false;
    file.addEventListener("change", () => file.files?.[0] && open(network, file.files[0]));
    camera.addEventListener("click", () => openCamera(network));
    opacity.addEventListener("input", () => redraw?.());
    say(`Ready, on ${passed[0].accelerator}.`);
    document.body.dataset.selfTest = "passed";
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    document.body.dataset.selfTest = "failed";
  }
}

await main();
