"""`keras_segnet.predict`: what it writes, paints and says; and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

import keras_segnet
from keras_segnet.data import Classes
from keras_segnet.data.images import read_image, read_label, write_png
from keras_segnet.errors import InputError
from keras_segnet.inference import Segmenter
from keras_segnet.progress import Display

CLASSES = Classes(("road", "Background", "<sky>"), ((200, 0, 0), (0, 0, 0), (0, 0, 250)))


class Red(Segmenter):
    """Labels by red, at an input of 8x12 pixels."""

    num_classes = 3
    input_size = (8, 12)

    def run(self, images: np.ndarray) -> np.ndarray:
        return np.eye(3, dtype=np.float32)[images[..., 0] // 86]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    picture = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    write_png(tmp_path / "street.png", picture)
    return tmp_path / "street.png"


@pytest.mark.parametrize(("background", "left"), [("background", 1), ("none", None), ("ROAD", 0)])
@pytest.mark.parametrize("opacity", [0.25, 1.0])
def test_overlays_leave_the_background_as_it_is(
    background: str, left: int | None, opacity: float, image: Path, tmp_path: Path
) -> None:
    options = {"opacity": opacity, "background": background, "classes": CLASSES, "display": Display()}
    done = keras_segnet.predict(Red(), image, tmp_path / "out", **options)  # type: ignore[arg-type]
    pixels, label = read_image(image), read_image(image)[..., 0] // 86
    np.testing.assert_array_equal(read_label(tmp_path / "out" / "street_mask.png"), label)
    colours = np.array(CLASSES.colours)[label]
    expected = (1 - opacity) * pixels + opacity * colours
    if left is not None:
        expected[label == left] = pixels[label == left]
    assert np.abs(read_image(tmp_path / "out" / "street_overlay.png") - expected).max() <= 0.5
    legend = read_image(tmp_path / "out" / "legend.png").reshape(-1, 3)
    for name, colour in enumerate(CLASSES.colours):
        if name != 1:  # Black is the colour of the letters too.
            assert (legend == colour).all(axis=-1).any() == (name != left)
    assert done.names == ("street",) and done.squeezed == {} and "street" not in " ".join(done.lines())
    assert "&lt;sky&gt;" in done._repr_html_() and "<sky>" not in done._repr_html_()


def test_an_image_of_another_shape_is_said_to_be_squeezed(image: Path, tmp_path: Path) -> None:
    for name, size in (("wide", (8, 48)), ("high", (30, 20)), ("near", (10, 18))):
        write_png(tmp_path / f"{name}.png", np.zeros((*size, 3), np.uint8))
    paths = [image, *(tmp_path / f"{name}.png" for name in ("wide", "high", "near"))]
    done = keras_segnet.predict(Red(), paths, tmp_path / "out", write="masks", display=Display())
    assert done.squeezed == {"wide": pytest.approx(4), "high": pytest.approx(2.25)}
    assert "2 of them are not of the shape of the network's input, 8x12" in done.lines()[-1]
    assert "wide most, 4.0 times" in done.lines()[-1] and not (tmp_path / "out" / "legend.png").exists()


def test_what_is_done_already_is_said(image: Path, tmp_path: Path) -> None:
    keras_segnet.predict(Red(), image, tmp_path / "out", display=Display())
    again = keras_segnet.predict(Red(), [image], tmp_path / "out", resume=True, display=Display())
    assert again.names == () and again.done_before == 1 and again.lines()[0].endswith("left out: 1.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"write": "all"}, "`write` must be both, masks or overlays, not 'all'"),
        ({"samples": 3}, "`samples` is for `uncertainty`"),
        ({"opacity": 1.5}, "`opacity` must be from 0 to 1; not 1.5"),
        ({"background": "sea"}, "`background` must be one of road, Background, <sky>, none; not 'sea'"),
        ({"ray": "local"}, "`ray` needs a path or a name as model, not a Red"),
        ({"uncertainty": True}, "samples is for Keras models"),
        ({"model": 3}, "model must be a path, a name, a Keras model or a segmenter; not int"),
    ],
)
def test_what_is_refused(arguments: dict[str, object], message: str, image: Path, tmp_path: Path) -> None:
    good = {"model": Red(), "inputs": image, "output": tmp_path / "out", "classes": CLASSES, "display": Display()}
    with pytest.raises(InputError, match=message):
        keras_segnet.predict(**(good | arguments))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
