"""A folder of drawn streets as somebody's own data."""

from pathlib import Path

import cv2

from keras_segnet.data.streets import draw_street_scene

SIZE = (48, 64)


def write_folder(folder: Path, count: int = 12) -> Path:
    """Writes images/ and labels/ of drawn streets, and classes.txt; void is 255."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for seed in range(count):
        image, label = draw_street_scene(seed, SIZE)
        label[label == 11] = 255
        cv2.imwrite(str(folder / "images" / f"street{seed}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / "labels" / f"street{seed}.png"), label)
    (folder / "classes.txt").write_text("\n".join(f"thing {i}" for i in range(11)))
    return folder
