"""What stands in the street: lamps, signs, bins, cars and people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keras_segnet.streets.camera import DETAILED, Floats, ellipse, limb, rectangle
from keras_segnet.streets.canvas import BLACK, GLASS, PAINTS, Canvas, Class, Colour, tint

_Parts = list[tuple[npt.ArrayLike, Colour]]

_METAL: Colour = (112, 116, 116)
_CLOTHES: tuple[Colour, ...] = (
    (40, 44, 62), (30, 30, 32), (138, 40, 44), (62, 84, 130), (196, 190, 178), (92, 76, 60), (70, 98, 70),
    (206, 150, 50), (120, 60, 110),
)  # fmt: skip
_SKINS: tuple[Colour, ...] = ((226, 182, 152), (190, 138, 104), (122, 82, 60))


def _pole(height: float, girth: float, sun_side: int) -> _Parts:
    lit, edge = sun_side * girth / 5, sun_side * girth / 2
    return [
        (rectangle(-girth / 2, girth / 2, 0, height), tint(_METAL, 0.8)),
        (rectangle(lit, edge, 0, height), tint(_METAL, 1.35 * 0.8)),
    ]


def draw_lamp(canvas: Canvas, x: float, z: float, towards: int) -> None:
    """Draw a street lamp that reaches to the left (`towards` of -1) or to the right (1)."""
    height, reach = canvas.rng.uniform(6, 8.5), towards * 1.6
    arm = limb(0, height, reach, height + 0.4, 0.12)
    head = limb(reach * 0.75, height + 0.28, reach * 1.3, height + 0.42, 0.22)
    glow: Colour = (255, 236, 180) if canvas.weather.windows_lit else (206, 206, 200)
    parts = [*_pole(height, 0.11, canvas.sun_side), (arm, tint(_METAL, 0.8)), (head, glow)]
    canvas.paint_boards(x, z, Class.POLE, parts)


def draw_sign(canvas: Canvas, x: float, z: float) -> None:
    """Draw a traffic sign of any shape on its pole."""
    y, size = canvas.rng.uniform(2.3, 3.0), canvas.rng.uniform(0.34, 0.5)

    def shrunk(shape: Floats, factor: float, lift: float) -> Floats:
        return (shape - (0, y)) * factor + (0, y + size * lift)

    disc = ellipse(0, y, size, size), ellipse(0, y, size * 0.72, size * 0.72)
    triangle = np.array([(-size, y - size * 0.7), (0, y + size), (size, y - size * 0.7)])
    panel = rectangle(-size, size, y - size, y + size * 1.5)
    faces: list[tuple[Floats, Floats, Colour, Colour]] = [
        (*disc, (196, 34, 36), (232, 230, 226)),
        (*disc, (36, 78, 164), (52, 96, 186)),
        (triangle, shrunk(triangle, 0.62, -0.04), (200, 36, 36), (236, 232, 224)),
        (panel, shrunk(panel, 0.8, 0.05), (232, 232, 228), (34, 92, 170)),
        (panel, shrunk(panel, 0.8, 0.05), (222, 190, 60), (206, 60, 44)),
    ]
    face, centre, rim, fill = faces[canvas.rng.integers(len(faces))]
    canvas.paint_boards(x, z, Class.POLE, _pole(y + size, 0.08, canvas.sun_side))
    canvas.paint_boards(x, z, Class.SIGN, [(face, rim), (centre, fill)])


def draw_traffic_light(canvas: Canvas, x: float, z: float) -> None:
    """Draw a traffic light with one of its lamps on."""
    parts: _Parts = [(rectangle(-0.3, 0.3, 2.4, 3.7), BLACK)]
    shining = canvas.rng.integers(3)
    for row, lamp in enumerate(((255, 60, 44), (255, 190, 50), (70, 255, 150))):
        parts.append((ellipse(0, 3.44 - 0.39 * row, 0.15, 0.15), lamp if row == shining else tint(lamp, 0.25)))
    canvas.paint_boards(x, z, Class.POLE, _pole(3.4, 0.12, canvas.sun_side))
    canvas.paint_boards(x, z, Class.SIGN, parts)


def draw_bin(canvas: Canvas, x: float, z: float) -> None:
    """Draw a litter bin, which CamVid's classes leave out."""
    paint = canvas.pick([(44, 66, 54), (52, 54, 60), (100, 74, 50)])
    body, lid = rectangle(-0.28, 0.28, 0, 1.0), rectangle(-0.32, 0.32, 0.9, 1.08)
    canvas.paint_boards(x, z, Class.VOID, [(body, paint), (lid, tint(paint, 1.4))])


@dataclass(frozen=True)
class CarBody:
    """A car's outline seen from its left, from the rear bumper over the roof to the front, in metres."""

    outline: tuple[tuple[float, float], ...]
    panes: tuple[int, int]  # which segments of the outline hold the rear window and the windscreen
    side_window: tuple[tuple[float, float], ...]

    @property
    def length(self) -> float:
        """From bumper to bumper."""
        return self.outline[-1][0]


# A hatchback, a saloon and a van.
CAR_BODIES = (
    CarBody(((0, 0.3), (0.02, 0.92), (0.5, 1.46), (2.2, 1.46), (3.0, 0.98), (3.9, 0.8), (4.0, 0.3)), (1, 3),
            ((0.45, 0.96), (0.72, 1.36), (2.1, 1.36), (2.7, 0.96))),
    CarBody(((0, 0.3), (0, 0.88), (0.7, 1.0), (1.2, 1.42), (2.5, 1.42), (3.3, 0.96), (4.4, 0.8), (4.5, 0.3)),
            (2, 4), ((1.0, 0.97), (1.35, 1.34), (2.4, 1.34), (2.95, 0.97))),
    CarBody(((0, 0.35), (0, 1.1), (0.08, 2.1), (3.6, 2.1), (4.3, 1.25), (4.9, 1.0), (5.0, 0.35)), (1, 3),
            ((3.0, 1.25), (3.0, 1.85), (3.6, 1.85), (4.1, 1.25))),
)  # fmt: skip


@dataclass(frozen=True)
class Car:
    """A car standing on the road: `x` is its middle, `z` its near end."""

    body: CarBody
    paint: Colour
    x: float
    z: float
    heading: str  # "away", "towards" or "across"

    def at(self, outline: npt.ArrayLike, across: float) -> Floats:
        """Points of a shape in the outline's plane; `across` is -1 at the left flank, 1 at the other."""
        along, y = np.asarray(outline, np.float64).T
        # Cabins taper towards the roof.
        sideways = across * (0.88 - 0.2 * np.maximum(y - 0.95, 0))
        if self.heading == "across":
            return np.stack([self.x + along - self.body.length / 2, y, self.z + 0.9 + sideways], -1)
        ahead = along if self.heading == "away" else self.body.length - along
        return np.stack([self.x + sideways, y, self.z + ahead], -1)

    def cross(self, start: tuple[float, float], end: tuple[float, float], left: float, right: float) -> Floats:
        """A quad across the car between two points of its outline."""
        return np.concatenate([self.at([start, end], left), self.at([end, start], right)])

    def flanks(self) -> list[float]:
        """The flanks that the camera can see."""
        if self.heading == "across":
            return [-1.0]
        return [side for side in (-1.0, 1.0) if (self.x + side * 0.88) * side < 0]


def draw_car(canvas: Canvas, car: Car) -> None:
    """Draw a car: what is seen from its end, then the flanks in sight."""
    outline = car.body.outline
    if car.z < DETAILED:
        _draw_underside(canvas, car)
    segments = range(len(outline) - 1)
    for index in segments if car.heading == "towards" else reversed(segments):
        lower, upper = outline[index], outline[index + 1]
        tone = 0.8 if index in (segments[0], segments[-1]) else 1.15
        canvas.paint(car.cross(lower, upper, -1, 1), tint(car.paint, tone), Class.CAR)
        if index in car.body.panes:
            canvas.paint(car.cross(lower, upper, -0.86, 0.86), GLASS, Class.CAR)
    if car.z < DETAILED:
        _draw_end(canvas, car)
    for flank in car.flanks():
        _draw_flank(canvas, car, flank)


def _draw_underside(canvas: Canvas, car: Car) -> None:
    for end in (0.15, car.body.length - 0.15):
        canvas.paint(car.cross((end, 0.12), (end, 0.4), -0.9, 0.9), BLACK, Class.CAR)
        tyres = [car.cross((end, 0.0), (end, 0.4), left, left + 0.3) for left in (-0.95, 0.65)]
        canvas.paint(tyres, BLACK, Class.CAR)


def _draw_end(canvas: Canvas, car: Car) -> None:
    end, lights, plate = 0.0, (176, 28, 30), (218, 192, 70)
    if car.heading == "towards":
        end, lights, plate = car.body.length - 0.02, (244, 242, 226), (226, 226, 222)
    lamps = [car.cross((end, 0.6), (end, 0.76), left, left + 0.34) for left in (-0.96, 0.62)]
    canvas.paint(lamps, lights, Class.CAR)
    canvas.paint(car.cross((end, 0.3), (end, 0.44), -0.98, 0.98), tint(car.paint, 0.45), Class.CAR)
    canvas.paint(car.cross((end, 0.5), (end, 0.61), -0.3, 0.3), plate, Class.CAR)


def _draw_flank(canvas: Canvas, car: Car, flank: float) -> None:
    length, window = car.body.length, car.body.side_window
    canvas.paint(car.at(rectangle(0.1, length - 0.1, 0.15, 0.4), flank), BLACK, Class.CAR)
    canvas.paint(car.at(car.body.outline, flank), car.paint, Class.CAR, canvas.facing_light(flank))
    canvas.paint(car.at(window, flank), GLASS, Class.CAR)
    if car.z > DETAILED:
        return
    pillar = window[0][0] * 0.45 + window[-1][0] * 0.55
    seam = [(pillar, 0.4), (pillar, 1.4), (pillar + 0.06, 1.4), (pillar + 0.06, 0.4)]
    canvas.paint(car.at(seam, flank), tint(car.paint, 0.8), Class.CAR)
    for radius, colour in ((0.33, BLACK), (0.19, (150, 152, 156))):
        wheels = [car.at(ellipse(hub, 0.33, radius, radius), flank) for hub in (0.75, length - 0.8)]
        canvas.paint(wheels, colour, Class.CAR)


def draw_pedestrian(canvas: Canvas, x: float, z: float) -> None:
    """Draw someone who walks towards or away from the camera, perhaps with a bag."""
    rng = canvas.rng
    size, stride, facing = rng.uniform(0.9, 1.08), rng.uniform(0.05, 0.3), rng.choice([-1, 1])
    hair = canvas.pick([(50, 38, 30), (30, 28, 28), (150, 120, 80)])
    trousers, coat, skin = canvas.pick(_CLOTHES), canvas.pick(_CLOTHES), canvas.pick(_SKINS)
    torso = [(-0.2, 0.78), (-0.25, 1.4), (-0.1, 1.48), (0.1, 1.48), (0.25, 1.4), (0.2, 0.78)]
    parts: _Parts = [
        (limb(-stride, 0, -0.06, 0.88, 0.17), tint(trousers, 0.8)),
        (limb(stride, 0, 0.06, 0.88, 0.17), trousers),
        (torso, coat),
        (limb(-0.24, 1.38, -0.26 - stride * 0.4, 0.8, 0.11), tint(coat, 0.8)),
        (limb(0.24, 1.38, 0.26 + stride * 0.4, 0.8, 0.11), tint(coat, 1.15)),
        (ellipse(0, 1.6, 0.11, 0.14), skin),
        (ellipse(-0.02 * facing, 1.67, 0.12, 0.09), hair),
    ]
    if rng.random() < 0.3:
        parts.append((limb(0.3 * facing, 0.45, 0.3 * facing, 0.8, 0.26), canvas.pick(_CLOTHES)))
    canvas.paint_boards(x, z, Class.PEDESTRIAN, [(np.asarray(shape) * size, colour) for shape, colour in parts])


def draw_bicyclist(canvas: Canvas, x: float, z: float, turn: float) -> None:
    """Draw a rider seen from behind (`turn` of 0.2) to side on (1, or -1 for riding to the left)."""
    cloth, skin, frame = canvas.pick(_CLOTHES), canvas.pick(_SKINS), canvas.pick(PAINTS)
    tyre, broad = 0.35 * abs(turn) + 0.03, 0.2 + 0.1 * (1 - abs(turn))
    parts: _Parts = []
    for hub in (-0.52 * turn, 0.52 * turn):
        parts.append((ellipse(hub, 0.35, tyre, 0.35), BLACK))
        parts.append((ellipse(hub, 0.35, tyre * 0.8, 0.28), (128, 128, 130)))
    parts += [
        (limb(-0.5 * turn, 0.36, 0.35 * turn, 0.85, 0.06), frame),
        (limb(-0.2 * turn, 0.9, 0.05 * turn, 0.3, 0.06), frame),
        (limb(0.35 * turn, 1.0, 0.5 * turn, 0.36, 0.06), frame),
        (limb(-0.12 * turn - 0.08, 1.0, 0.1 * turn - 0.1, 0.3, 0.17), tint(cloth, 0.55)),
        (limb(-0.12 * turn + 0.08, 1.0, 0.16 * turn + 0.1, 0.42, 0.17), tint(cloth, 0.7)),
        (limb(-0.18 * turn, 0.92, 0.16 * turn, 1.5, broad * 1.7), cloth),
        (limb(0.14 * turn + 0.05, 1.42, 0.42 * turn + 0.05, 1.02, 0.1), tint(cloth, 1.2)),
        (ellipse(0.26 * turn, 1.65, 0.11, 0.14), skin),
        (ellipse(0.24 * turn, 1.73, 0.14, 0.09), canvas.pick(PAINTS)),
    ]
    canvas.paint_boards(x, z, Class.BICYCLIST, parts)
