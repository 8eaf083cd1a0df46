"""The street's ground plan, and the ground: road, kerbs, pavements and markings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from keras_segnet.streets.camera import FAR, NEAR, flat, strip
from keras_segnet.streets.canvas import Canvas, Class, fractal_noise, tint


@dataclass(frozen=True)
class Street:
    """What lies where across the street. A side is -1 (left) or 1."""

    kerbs: dict[int, float]  # x of the kerb on each side
    pavement: float  # width in metres
    leafiness: float  # 0..1, from high street to garden suburb

    def building_line(self, side: int) -> float:
        """Where the pavement ends and the plots begin."""
        return self.kerbs[side] + side * self.pavement


@dataclass(frozen=True)
class Plot:
    """A stretch of one side of the street."""

    side: int
    z0: float
    z1: float
    kind: str  # "house", "garden" or "side street"
    height: float  # of the house, to the eaves

    @property
    def near(self) -> float:
        """Where it begins to be seen."""
        return max(self.z0, NEAR)


def plan_plots(rng: np.random.Generator, leafiness: float) -> list[Plot]:
    """Divide both sides of the street, as far as one can see."""
    plots = []
    odds = (0.82 - 0.45 * leafiness, 0.08 + 0.45 * leafiness, 0.1)
    for side in (-1, 1):
        z, usual_height = rng.uniform(-6, 2), rng.uniform(5.5, 10)
        while z < FAR:
            kind = rng.choice(["house", "garden", "side street"], p=odds)
            z1 = z + (8.0 if kind == "side street" else rng.uniform(7, 16) * (1 + max(z, 0) / FAR))
            if z1 > 4:
                plots.append(Plot(side, z, z1, kind, usual_height * rng.uniform(0.75, 1.3)))
            z = z1
    return plots


def draw_ground(canvas: Canvas, street: Street, plots: Sequence[Plot]) -> None:
    """Paint all that is flat, from the horizon to the camera."""
    grey = canvas.rng.uniform(88, 122)
    asphalt = (grey, grey * 1.01, grey * canvas.rng.uniform(1.0, 1.06))
    paving = canvas.pick([(160, 156, 148), (146, 146, 146), (164, 150, 138)])
    canvas.paint(strip(-200, 200), paving, Class.PAVEMENT)
    canvas.paint(strip(street.kerbs[-1], street.kerbs[1]), asphalt, Class.ROAD)
    for side, kerb in street.kerbs.items():
        joints = [flat(kerb, street.building_line(side), z, z + 0.04) for z in np.arange(3, 20, 0.8)]
        rows = kerb + side * np.arange(0.8, street.pavement, 0.8)
        lines = [flat(x, x + side * 0.03, NEAR, 30) for x in rows]
        for slabs in (joints, lines):
            canvas.paint(slabs, tint(paving, 0.9), Class.PAVEMENT)
        canvas.paint(strip(kerb, kerb + side * 0.16), tint(paving, 1.16), Class.PAVEMENT)
        canvas.paint(strip(kerb - side * 0.3, kerb), tint(asphalt, 0.84), Class.ROAD)
    for plot in plots:
        if plot.kind == "side street":
            gutter = street.kerbs[plot.side] - plot.side * 0.3
            canvas.paint(flat(gutter, plot.side * 90, plot.z0, plot.z1), asphalt, Class.ROAD)
    _draw_markings(canvas, street)
    _texture_ground(canvas)


def _draw_markings(canvas: Canvas, street: Street) -> None:
    rng, left, right = canvas.rng, street.kerbs[-1], street.kerbs[1]
    middle = (left + right) / 2
    white, yellow = tint((214, 214, 208), rng.uniform(0.85, 1.08)), (204, 168, 62)
    period, dash = rng.uniform(5, 8), rng.uniform(2, 4)
    dashes = [flat(middle - 0.07, middle + 0.07, z, z + dash) for z in np.arange(-dash, 70, period)]
    canvas.paint(dashes, white, Class.ROAD)
    if rng.random() < 0.5:
        # One by one, since far away they fall into the same pixels.
        for side, kerb in street.kerbs.items():
            for x in (kerb - side * 0.4, kerb - side * 0.62):
                canvas.paint(strip(x - 0.05, x + 0.05), yellow, Class.ROAD)
    if rng.random() < 0.3:
        z = rng.uniform(7, 26)
        crossing = [flat(x, x + 0.5, z, z + 2.6) for x in np.arange(left + 0.3, right - 0.5, 1.0)]
        canvas.paint(crossing, white, Class.ROAD)
    if rng.random() < 0.25:
        z = rng.uniform(7, 14)
        arrow = [(-0.1, 0), (-0.1, 2), (-0.4, 2), (0, 4), (0.4, 2), (0.1, 2), (0.1, 0)]
        canvas.paint([(x, 0, z + dz) for x, dz in arrow], white, Class.ROAD)


def _texture_ground(canvas: Canvas) -> None:
    """Grain and stains that lie on the ground, hence foreshortened as it is, fading with distance."""
    tile = fractal_noise(canvas.rng, [(8, 8), (32, 32), (128, 128)])
    top, x, z = canvas.camera.ground()
    texels_per_metre = 12.0
    map_x = (x * texels_per_metre).astype(np.float32)
    map_y = np.broadcast_to(z * texels_per_metre, x.shape).astype(np.float32)
    grain = cv2.remap(tile, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    gain = 1 + grain * (0.1 * np.minimum(14 / z, 1.0)).astype(np.float32)
    canvas.image[top:] = np.minimum(canvas.image[top:] * gain[..., None], 255)
