"""The web page, in a real browser: what it shows is what the files compute. `make browser web-runtime` fetches both."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from keras_segnet.cli.main import run
from keras_segnet.colours import distinct_colours
from keras_segnet.data.dataset import Classes
from keras_segnet.data.geometry import Fit
from keras_segnet.data.images import resize_image
from keras_segnet.errors import InputError
from keras_segnet.exporting import to_tflite
from keras_segnet.exporting.web import RUNTIME, to_web
from keras_segnet.inference import load_segmenter

BROWSER = Path(os.environ.get("BROWSER", "~/.cache/keras-segnet/browser")).expanduser()
CLASSES = Classes(tuple(f"thing <b>{i}</b>" for i in range(11)), distinct_colours(11))
ENVIRONMENT = {
    "LD_LIBRARY_PATH": f"{BROWSER}/lib:{BROWSER}",
    "FONTCONFIG_PATH": f"{BROWSER}/fonts",
    "VK_DRIVER_FILES": f"{BROWSER}/vk_swiftshader_icd.json",
    "VK_ICD_FILENAMES": f"{BROWSER}/vk_swiftshader_icd.json",
}
FLAGS = ("--no-sandbox", "--disable-quic", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
INSECURE = "--host-resolver-rules=MAP phone.test 127.0.0.1"
SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")


@pytest.fixture(scope="module", autouse=True)
def needed():
    missing = [str(path) for path in (BROWSER / "chromium", RUNTIME.expanduser() / "index.js") if not path.is_file()]
    if missing:
        reason = f"{missing[0]} is missing; make browser web-runtime fetches it"
        if "REQUIRE_BROWSER" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def folder(needed, trained, streets, tmp_path_factory):
    path = tmp_path_factory.mktemp("web") / "page"
    to_web(trained, path, representative_data=streets, classes=CLASSES)
    return path


class PlainHandler(SimpleHTTPRequestHandler):
    """Any web server: without the headers that threads need."""

    def log_message(self, *arguments):
        pass


@pytest.fixture
def serve():
    """A function that serves a folder and returns the address."""
    servers = []

    def start(folder):
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), partial(PlainHandler, directory=str(folder))))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def playwright(needed):
    with sync_playwright() as playwright:
        yield playwright


def launch(playwright, *flags):
    return playwright.chromium.launch(
        executable_path=BROWSER / "chromium", args=[*FLAGS, *flags], env={**os.environ, **ENVIRONMENT}
    )


@pytest.fixture(scope="module")
def browser(playwright):
    browser = launch(playwright, INSECURE)
    yield browser
    browser.close()


@pytest.fixture
def browser_with_gpu(playwright):
    browser = launch(playwright, *SOFTWARE_GPU)
    yield browser
    browser.close()


def opened(browser, address):
    """The page, once its self-test has ended, and how it ended."""
    page = browser.new_context().new_page()
    page.goto(address)
    page.wait_for_function("document.body && document.body.dataset.selfTest !== 'running'", timeout=60_000)
    return page, page.evaluate("document.body.dataset.selfTest")


def shown_labels(page, path):
    """The labels that the page paints over an image of the network's own size, read off its canvas."""
    page.evaluate("const o = document.getElementById('opacity'); o.value = 100; o.dispatchEvent(new Event('input'))")
    page.set_input_files("#file", path)
    page.wait_for_function("document.getElementById('status').textContent.includes(' ms')")
    return labels_on_canvas(page)


def labels_on_canvas(page):
    pixels, height, width = page.evaluate(
        "(() => { const c = document.getElementById('view');"
        " return [[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data], c.height, c.width] })()"
    )
    shown = np.array(pixels, np.uint8).reshape(height, width, 4)[..., :3]
    distance = np.abs(shown[:, :, None].astype(int) - np.array(CLASSES.colours)[None, None]).sum(axis=-1)
    assert distance.min(axis=-1).max() == 0
    return distance.argmin(axis=-1)


@pytest.mark.parametrize(
    ("query", "accelerator"),
    [
        ("?only=cpu", "CPU, threads"),
        ("?only=cpu&cpu=plain", "CPU, one thread"),
        ("?only=cpu&cpu=compat", "CPU, one thread, compatible build"),
    ],
)
def test_each_build_of_the_runtime_shows_the_files_labels(
    query, accelerator, folder, browser, serve, streets, tmp_path
):
    cv2.imwrite(str(tmp_path / "street.png"), streets[5][..., ::-1])
    page, ended = opened(browser, serve(folder) + query)
    assert ended == "passed", page.inner_text("body")
    assert page.inner_text("#status") == f"Ready, on {accelerator}."
    expected = load_segmenter(folder / "cpu.tflite").label(streets[5])
    assert np.array_equal(shown_labels(page, tmp_path / "street.png"), expected)
    shares = np.bincount(expected.ravel(), minlength=11) / expected.size
    legend = page.eval_on_selector_all("#legend li", "items => items.map(item => item.textContent)")
    assert legend == [name + (f"{100 * s:.1f} %" if s else "") for name, s in zip(CLASSES.names, shares, strict=True)]


def test_a_software_gpu_shows_the_files_labels(folder, browser_with_gpu, serve, streets, tmp_path):
    cv2.imwrite(str(tmp_path / "street.png"), streets[5][..., ::-1])
    page, ended = opened(browser_with_gpu, serve(folder) + "?only=gpu")
    assert ended == "passed", page.inner_text("body")
    assert page.inner_text("#status") == "Ready, on GPU."
    expected = load_segmenter(folder / "gpu.tflite").label(streets[5])
    assert (shown_labels(page, tmp_path / "street.png") == expected).mean() >= 0.999


@pytest.mark.parametrize("size", [(45, 61), (100, 150), (90, 122), (137, 62), (20, 30), (45, 200), (200, 61), (1, 1)])
def test_the_page_resizes_as_the_library_does(size, folder, browser, serve):
    page = browser.new_context().new_page()
    page.goto(serve(folder) + "model.json")
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    rgba = np.dstack([image, np.full(size, 255, np.uint8)])
    found = page.evaluate(
        "async ([data, height, width]) => { const { resize } = await import('./resize.js');"
        " return [...resize(new ImageData(Uint8ClampedArray.from(data), width, height), 45, 61)] }",
        [rgba.ravel().tolist(), *size],
    )
    expected = resize_image(image, (45, 61)).astype(int)
    assert np.abs(np.array(found).reshape(45, 61, 3) - expected).max() <= 1


@pytest.mark.parametrize("size", [(45, 61), (100, 150), (30, 300), (137, 20), (1, 1)])
def test_the_page_makes_inputs_as_the_library_does(size, folder, browser, serve):
    page = browser.new_context().new_page()
    page.goto(serve(folder) + "model.json")
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    rgba = np.dstack([image, np.full(size, 255, np.uint8)])
    for fit in ("stretch", "pad"):
        found, height, width = page.evaluate(
            "async ([data, height, width, fit]) => { const { toInput } = await import('./resize.js');"
            " const image = new ImageData(Uint8ClampedArray.from(data), width, height);"
            " const made = toInput(image, { height: 45, width: 61, fit });"
            " return [[...made.pixels], made.height, made.width] }",
            [rgba.ravel().tolist(), *size, fit],
        )
        (window,) = Fit(fit).layout(size, (45, 61)).windows
        assert (height, width) == window.content
        assert np.abs(np.array(found).reshape(45, 61, 3) - window.image(image).astype(int)).max() <= 1


def test_the_page_pads_where_the_model_was_trained_so(folder, browser, serve, streets, tmp_path):
    shutil.copytree(folder, tmp_path / "page")
    description = json.loads((folder / "model.json").read_text())
    assert description["fit"] == "stretch"
    (tmp_path / "page" / "model.json").write_text(json.dumps(description | {"fit": "pad"}))
    image = streets[5][:20]  # As wide as the input, so nothing is resized.
    cv2.imwrite(str(tmp_path / "street.png"), image[..., ::-1])
    page, _ = opened(browser, serve(tmp_path / "page") + "?only=cpu")
    segmenter = load_segmenter(folder / "cpu.tflite")
    segmenter.fit = Fit("pad")
    expected = segmenter.label(image)
    assert np.array_equal(shown_labels(page, tmp_path / "street.png"), expected)
    shares = np.bincount(expected.ravel(), minlength=11) / expected.size
    legend = page.eval_on_selector_all("#legend li", "items => items.map(item => item.textContent)")
    assert legend == [name + (f"{100 * s:.1f} %" if s else "") for name, s in zip(CLASSES.names, shares, strict=True)]


def test_camera_and_video_play(folder, browser, serve, tmp_path):
    page, _ = opened(browser, serve(folder))
    page.click("#camera")
    page.wait_for_function("Number(document.body.dataset.frames) >= 3")
    assert "frames a second" in page.inner_text("#status")
    # The browser itself records what the page shows, since OpenCV writes no WebM.
    recorded = page.evaluate(
        "new Promise((resolve) => {"
        " const recorder = new MediaRecorder(document.getElementById('view').captureStream());"
        " recorder.ondataavailable = async (event) => resolve([...new Uint8Array(await event.data.arrayBuffer())]);"
        " recorder.start(); setTimeout(() => recorder.stop(), 1500) })"
    )
    (tmp_path / "camera.webm").write_bytes(bytes(recorded))
    page.evaluate("document.body.dataset.frames = 0")
    page.set_input_files("#file", tmp_path / "camera.webm")
    page.wait_for_function("Number(document.body.dataset.frames) >= 2 && document.getElementById('video').src")
    assert page.evaluate("document.getElementById('video').srcObject") is None  # The camera is off.


def test_an_insecure_origin_has_neither_camera_nor_threads_and_says_so(folder, browser, serve):
    address = serve(folder).replace("127.0.0.1", "phone.test")
    page, ended = opened(browser, address)
    assert ended == "passed"
    assert page.inner_text("#status") == "Ready, on CPU, one thread."
    assert "GPU: refused" in page.inner_text("#self-test")
    page.click("#camera")
    assert "https or localhost only" in page.inner_text("#status")


def test_the_page_works_offline_once_it_was_open(folder, browser, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(PlainHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page, ended = opened(browser, f"http://127.0.0.1:{server.server_address[1]}/?only=cpu")
    assert ended == "passed"
    server.shutdown()
    server.server_close()
    page.reload()
    page.wait_for_function("document.body && document.body.dataset.selfTest === 'passed'", timeout=60_000)


@pytest.fixture
def broken(folder, tmp_path):
    """A copy of the page, to break."""
    shutil.copytree(folder, tmp_path / "broken")
    return tmp_path / "broken"


def test_a_file_with_other_labels_is_refused(broken, trained, streets, browser, serve):
    other = keras.models.clone_model(trained)
    other.set_weights(trained.get_weights())
    kernel, bias = other.get_layer("conv_classifier").get_weights()
    other.get_layer("conv_classifier").set_weights([kernel[..., ::-1], bias[::-1]])
    (broken / "cpu.tflite").unlink()
    to_tflite(
        other, broken / "cpu.tflite", precision="int8", interface="uint8", head="class_map",
        representative_data=streets,
    )  # fmt: skip
    page, ended = opened(browser, serve(broken) + "?only=cpu")
    assert ended == "failed"
    assert "refused, wrong labels: the Keras model's on" in page.inner_text("#self-test")
    assert "so nothing is shown" in page.inner_text("#status")
    assert page.is_disabled("#file") and page.is_disabled("#camera")


@pytest.mark.parametrize("name", ["cpu.tflite", "model.json", "check-labels.bin", "runtime/wasm"])
def test_a_missing_file_is_a_failed_self_test(name, broken, browser, serve):
    path = broken / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page, ended = opened(browser, serve(broken) + "?only=cpu")
    assert ended == "failed"
    assert page.is_disabled("#file")


def test_the_command_serves_with_threads_at_once(folder, browser):
    command = [sys.executable, "-m", "keras_segnet.cli", "serve", str(folder), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address, on_a_phone = (server.stdout.readline() for _ in range(2))
    assert "adb reverse tcp:" in on_a_phone
    page = browser.new_context(service_workers="block").new_page()
    page.goto(re.search(r"http://localhost:\d+/", address).group())
    assert page.evaluate("self.crossOriginIsolated")
    server.send_signal(signal.SIGINT)
    assert server.communicate(timeout=30)[0].endswith("Stopped.\n") and server.returncode == 0


def test_the_command_serves_web_exports_only(tmp_path, capsys):
    assert run(["serve", str(tmp_path)]) == 2
    assert "is no web export (model.json is missing)" in capsys.readouterr().err


def test_an_image_that_is_none_is_one_line(folder, browser, serve, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    page, _ = opened(browser, serve(folder) + "?only=cpu")
    page.set_input_files("#file", tmp_path / "notes.png")
    page.wait_for_function("document.getElementById('status').textContent.startsWith('notes.png cannot be shown')")


def test_what_the_folder_holds(folder):
    description = json.loads((folder / "model.json").read_text())
    assert [entry["name"] for entry in description["classes"]] == list(CLASSES.names)
    assert (description["height"], description["width"]) == (45, 61)
    labels = np.fromfile(folder / "check-labels.bin", np.uint8)
    check = np.fromfile(folder / "check-image.bin", np.uint8).reshape(45, 61, 3)
    sure = labels != 255
    assert 0.75 < sure.mean() < 0.85
    for file in description["files"].values():
        found = load_segmenter(folder / file["path"]).label(check).ravel()
        assert file["agreement"] == pytest.approx((found == labels)[sure].mean())
    assert (folder / "runtime" / "LICENSE").is_file()


def test_nothing_is_left_of_an_export_that_fails(trained, streets, tmp_path):
    with pytest.raises(InputError, match=r"does not hold LiteRT.js \(index.js is missing\)"):
        to_web(trained, tmp_path / "page", representative_data=streets, runtime=tmp_path)
    with pytest.raises(InputError, match="classes"):
        to_web(trained, tmp_path / "page", representative_data=streets, classes=["one"])
    assert list(tmp_path.iterdir()) == []
