"""Writes files, images and what the model says of them into a folder, for clients that have no TensorFlow."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
from batch_statistics import settle

from keras_segnet import build_segnet_basic
from keras_segnet.data.dataset import Classes
from keras_segnet.exporting import to_tflite
from keras_segnet.inference import load_segmenter
from keras_segnet.inference.segmenters import KerasSegmenter
from keras_segnet.streets import draw_street_scene

SIZE = (45, 61)
CLASSES = Classes(("sky", "rue étroite", "car", "tree"), ((1, 2, 3), (40, 50, 60), (70, 0, 90), (0, 200, 0)))
FILES = {
    "float32": {},
    "logits": {"head": "logits"},
    "float16": {"precision": "float16"},
    "uint8": {"precision": "int8", "interface": "uint8"},
    "int8": {"precision": "int8", "interface": "int8"},
    "class_map": {"head": "class_map"},
}


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(0)
    model = settle(build_segnet_basic(len(CLASSES), (*SIZE, 3), width=0.125, preprocessing="imagenet"))
    images = np.stack([draw_street_scene(seed, SIZE)[0] for seed in range(2)])
    large = cv2.resize(images[0], (3 * SIZE[1], 3 * SIZE[0]), interpolation=cv2.INTER_CUBIC)
    expected = {"images": images, "large": large}
    for name, options in FILES.items():
        path = folder / f"{name}.tflite"
        to_tflite(model, path, **options, representative_data=images, images=images, classes=CLASSES)
        segmenter = load_segmenter(path) if name == "uint8" else KerasSegmenter(model)
        expected[f"{name}_probabilities"] = segmenter.run(images)
    expected["large_label"] = label_by_mediapipes_rule(model, large)
    np.savez(folder / "expected.npz", **expected)


def label_by_mediapipes_rule(model, image):
    """Neighbouring pixels are interpolated on the way in; on the way out corners lie on corners."""
    (height, width), (rows, columns) = SIZE, image.shape[:2]
    corners = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]])
    matrix = cv2.getPerspectiveTransform(corners * np.float32([columns, rows]), corners * np.float32([width, height]))
    small = cv2.warpPerspective(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    probabilities = KerasSegmenter(model).run(small[None])[0]
    x, y = np.meshgrid(np.linspace(0, width - 1, columns), np.linspace(0, height - 1, rows))
    large = cv2.remap(probabilities, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    return large.argmax(axis=-1)


if __name__ == "__main__":
    main(sys.argv[1])
