"""The program in export/README.md runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from keras_segnet import build_segnet_basic
from keras_segnet.exporting import to_tflite

README = Path(__file__).parents[2] / "export" / "README.md"


def test_the_program_for_boards(tmp_path: Path) -> None:
    programs = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (program,) = [text for text in programs if "ai_edge_litert" in text]
    model = build_segnet_basic(3, (24, 32, 3), width=0.05)
    to_tflite(model, tmp_path / "segnet.tflite")
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "street.jpg"), image)
    program += "np.save('label.npy', label)\n"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)

    seen = cv2.cvtColor(cv2.imread(str(tmp_path / "street.jpg")), cv2.COLOR_BGR2RGB)
    small = cv2.resize(seen, (32, 24), interpolation=cv2.INTER_AREA)
    expected = model.predict(small[None], verbose=0)[0].argmax(axis=-1)
    assert (np.load(tmp_path / "label.npy") == expected).mean() >= 0.999
