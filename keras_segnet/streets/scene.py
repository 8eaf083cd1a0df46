"""Composes a scene: plans a street, furnishes and peoples it, and photographs it."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import cv2
import numpy as np

from keras_segnet.streets.buildings import build_plots, draw_backdrop, draw_railings, draw_tree
from keras_segnet.streets.camera import Camera, flat
from keras_segnet.streets.canvas import PAINTS, WEATHERS, Canvas, Class, Pixels, fractal_noise, tint
from keras_segnet.streets.objects import (
    CAR_BODIES,
    Car,
    draw_bicyclist,
    draw_bin,
    draw_car,
    draw_lamp,
    draw_pedestrian,
    draw_sign,
    draw_traffic_light,
)
from keras_segnet.streets.road import Street, draw_ground, plan_plots

_MIN_SIZE = 8


def draw_street_scene(seed: int, size: tuple[int, int] = (360, 480)) -> tuple[Pixels, Pixels]:
    """Draw a street scene and its labels.

    The same seed and size always give the same arrays. The same seed at another size gives the same street,
    stretched to the frame as a resized photograph would be.

    Args:
        seed: Which street to draw, a non-negative integer.
        size: Height and width in pixels, each at least 8.

    Returns:
        image: uint8 of shape (height, width, 3), RGB.
        label: uint8 of shape (height, width), each pixel's class: 0 Sky, 1 Building, 2 Pole, 3 Road,
            4 Pavement, 5 Tree, 6 SignSymbol, 7 Fence, 8 Car, 9 Pedestrian, 10 Bicyclist, and 11 for
            void, which training ignores.

    Raises:
        ValueError: If `size` is not two integers of at least 8.
    """
    canvas, street = _new_scene(np.random.default_rng(seed), *_checked_size(size))
    plots = plan_plots(canvas.rng, street.leafiness)
    _draw_sky(canvas)
    draw_ground(canvas, street, plots)
    draw_backdrop(canvas)
    # Shadows fall on the bare ground as things are placed, before anything is drawn that stands on it.
    build_plots(canvas, street, plots)
    _place_furniture(canvas, street)
    _place_cars(canvas, street)
    _place_people(canvas, street)
    canvas.paint_standing()
    if canvas.rng.random() < 0.7:
        _draw_bonnet(canvas)
    return _develop(canvas), canvas.label


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    valid = isinstance(size, Sequence) and len(size) == 2
    if not valid or not all(isinstance(n, Integral) and n >= _MIN_SIZE for n in size):
        raise ValueError(f"size must be (height, width), two integers of at least {_MIN_SIZE}, found {size!r}")
    return int(size[0]), int(size[1])


def _new_scene(rng: np.random.Generator, height: int, width: int) -> tuple[Canvas, Street]:
    weather = WEATHERS[rng.choice(len(WEATHERS), p=[weather.odds for weather in WEATHERS])]
    road, driving_side, near_kerb = rng.uniform(6.6, 9.5), int(rng.choice([-1, 1])), rng.uniform(2.0, 2.8)
    sun_side = int(rng.choice([-1, 1]))
    camera = Camera(
        height,
        width,
        horizon=rng.uniform(0.4, 0.52),
        vanishing_x=rng.uniform(0.38, 0.62),
        eye=rng.uniform(1.35, 2.1),
        bend=rng.normal(0, 0.0012),
    )
    kerbs = {driving_side: driving_side * near_kerb, -driving_side: -driving_side * (road - near_kerb)}
    street = Street(kerbs, pavement=rng.uniform(1.7, 3.6), leafiness=rng.uniform(0, 1))
    return Canvas(camera, weather, sun_side, rng), street


def _draw_sky(canvas: Canvas) -> None:
    weather, rows = canvas.weather, int(canvas.camera.horizon * canvas.camera.height) + 2
    blend = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None] ** 1.3
    sky = np.array(weather.zenith, np.float32) * (1 - blend) + np.array(weather.horizon, np.float32) * blend
    tile = fractal_noise(canvas.rng, [(4, 4), (9, 8), (20, 16), (44, 32)])
    noise = cv2.resize(tile, (canvas.camera.width, rows), interpolation=cv2.INTER_LINEAR)[..., None]
    density = np.clip((noise + 2.4 * weather.cloud_cover - 1.2) * 1.3, 0, 0.92)
    # Thick parts of a cloud let less light through, which is what gives clouds their body.
    cloud = np.array(weather.cloud, np.float32) * (1.0 - 0.16 * np.clip(noise, 0, 1))
    canvas.image[:rows] = sky * (1 - density) + cloud * density


def _shade_feet(canvas: Canvas, x: float, z: float, width: float, length: float) -> None:
    """The shadow of something narrow, thrown away from the sun."""
    tip, far = x - canvas.sun_side * length, z + length * 0.3
    canvas.cast_shadow(np.array([(x - width, 0, z), (tip - width, 0, far), (tip + width, 0, far), (x + width, 0, z)]))


def _place_furniture(canvas: Canvas, street: Street) -> None:
    rng = canvas.rng
    for side, kerb in street.kerbs.items():
        x = kerb + side * 0.5
        for z in np.arange(rng.uniform(11, 30), 70, rng.uniform(24, 36)):
            _shade_feet(canvas, x, z, 0.1, 4)
            canvas.stand(z, draw_lamp, x, z, -side)
        for z in rng.uniform(7, 45, rng.poisson(1.2)):
            canvas.stand(z, draw_sign, x, z)
        if rng.random() < 0.2:
            canvas.stand(z := rng.uniform(9, 24), draw_traffic_light, x, z)
        if rng.random() < 0.14:
            start = rng.uniform(5, 20)
            end = start + rng.uniform(6, 14)
            canvas.stand(end, draw_railings, kerb + side * 0.3, start, end)
        for z in rng.uniform(9, 30, rng.poisson(0.5)):
            canvas.stand(z, draw_bin, x + side * 0.4, z)
        for z in np.arange(rng.uniform(9, 18), 60, rng.uniform(9, 16)):
            if rng.random() < 0.6 * street.leafiness:
                _shade_feet(canvas, x + side * 0.6, z, 1.2, 4)
                canvas.stand(z, draw_tree, x + side * 0.6, z)


def _place_cars(canvas: Canvas, street: Street) -> None:
    rng, left, right = canvas.rng, street.kerbs[-1], street.kerbs[1]
    spots: list[tuple[float, float, str]] = []
    for side, kerb in street.kerbs.items():
        if rng.random() < 0.5:
            parked = rng.uniform(6, 30) + np.arange(rng.integers(2, 7)) * 6.2
            spots += [(kerb - side * 1.05, z, rng.choice(["away", "towards"])) for z in parked]
    other_lane = right - 1.9 if right > -left else left + 1.9
    for lane, heading in ((0.0, "away"), (other_lane, "towards")):
        z = rng.uniform(8, 30)
        while z < 70:
            if rng.random() < 0.6:
                spots.append((lane + rng.uniform(-0.3, 0.3), z, heading))
            z += rng.uniform(9, 30)
    if rng.random() < 0.12:
        spots.append((rng.uniform(left, right), rng.uniform(11, 20), "across"))
    taken: list[tuple[float, float]] = []
    for x, z, heading in spots:
        if any(abs(x - other_x) <= 2.0 and abs(z - other_z) <= 5.5 for other_x, other_z in taken):
            continue
        taken.append((x, z))
        body = CAR_BODIES[rng.choice(3, p=[0.5, 0.35, 0.15])]
        half, depth = (body.length / 2, 1.8) if heading == "across" else (0.95, body.length)
        canvas.cast_shadow(flat(x - half, x + half, z - 0.1, z + depth) - (canvas.sun_side * 0.35, 0, 0))
        canvas.stand(z, draw_car, Car(body, canvas.pick(PAINTS), x, z, heading))


def _place_people(canvas: Canvas, street: Street) -> None:
    rng = canvas.rng
    for _ in range(rng.poisson(3.2)):
        side, z = rng.choice([-1, 1]), rng.uniform(7, 40)
        x = street.kerbs[side] + side * rng.uniform(0.4, street.pavement - 0.3)
        if rng.random() < 0.12:  # crosses the road
            x = rng.uniform(street.kerbs[-1], street.kerbs[1])
        _shade_feet(canvas, x, z, 0.2, 1.6)
        canvas.stand(z, draw_pedestrian, x, z)
    for _ in range(rng.poisson(0.62)):
        side, z = rng.choice([-1, 1]), rng.uniform(7, 24)
        x = street.kerbs[side] - side * rng.uniform(0.7, 1.6)
        _shade_feet(canvas, x, z, 0.25, 1.4)
        canvas.stand(z - 0.5, draw_bicyclist, x, z, rng.uniform(0.2, 1.0) * rng.choice([-1, 1]))


def _draw_bonnet(canvas: Canvas) -> None:
    """The bonnet of the car that carries the camera, in the frame's own units."""
    height, width = canvas.label.shape
    paint, top = canvas.pick(PAINTS), canvas.rng.uniform(0.93, 0.96)
    across = np.linspace(-0.1, 1.1, 16)
    for drop, tone in ((0.0, 0.55), (0.025, 0.4)):
        edge = np.stack([across, top + drop + 0.25 * (across - 0.5) ** 2], -1)
        outline = np.concatenate([edge, [(1.1, 1.2), (-0.1, 1.2)]])
        canvas.fill(outline[None] * (width, height), tint(paint, tone), Class.VOID)


def _develop(canvas: Canvas) -> Pixels:
    """What the camera makes of the scene: exposure and colour cast, a soft lens, vignetting and noise."""
    rng, weather = canvas.rng, canvas.weather
    height, width = canvas.label.shape
    gain = np.array(weather.exposure, np.float32) * rng.uniform(0.88, 1.1)
    softness = rng.uniform(0.5, 1.0) * height / 360
    image = cv2.GaussianBlur(canvas.image, (0, 0), max(softness, 0.3)).astype(np.float32)
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    image *= (1 - 0.1 * (y[:, None] ** 2 + x**2))[..., None] * gain
    image += rng.standard_normal((height, width, 1), np.float32) * weather.noise
    return np.clip(image, 0, 255).astype(np.uint8)
