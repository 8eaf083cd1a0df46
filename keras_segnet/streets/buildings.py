"""What stands beside the street: houses, gardens with their trees and fences, and the backdrop far away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from keras_segnet.streets.camera import DETAILED, FAR, NEAR, Floats, board, flat, panels, rectangle, wall
from keras_segnet.streets.canvas import GLASS, PAINTS, Canvas, Class, Colour, tint
from keras_segnet.streets.road import Plot, Street

_FACADES: tuple[Colour, ...] = (
    (150, 84, 66), (172, 110, 82), (126, 76, 64), (196, 170, 128), (206, 196, 172), (222, 216, 206),
    (168, 160, 148), (182, 176, 186), (196, 150, 118), (150, 166, 176), (214, 186, 130), (120, 112, 108),
)  # fmt: skip
_ROOFS: tuple[Colour, ...] = ((92, 84, 86), (124, 74, 60), (104, 98, 96), (78, 80, 90))
_LEAVES: tuple[Colour, ...] = ((62, 92, 40), (78, 104, 46), (48, 78, 44), (104, 108, 44), (138, 100, 44))

_Paint = Callable[..., None]  # Canvas.paint with a house's class and light


def draw_backdrop(canvas: Canvas) -> None:
    """Paint what closes the street in the distance: roofs and trees across the whole horizon."""
    rng = canvas.rng
    canvas.paint(board(0, FAR, rectangle(-150, 150, -1, 3)), canvas.pick(_LEAVES), Class.TREE, 0.8)
    for x in np.arange(-90, 90, 9.0):
        top, wide = rng.uniform(4, 13), rng.uniform(9, 14)
        if rng.random() < 0.6:
            house = [(0, -1), (0, top), (wide / 2, top + rng.uniform(0, 4)), (wide, top), (wide, -1)]
            canvas.paint(board(x, FAR, house), canvas.pick(_FACADES), Class.BUILDING, 0.85)
        else:
            crown = _crown(rng, top * 0.45, top * 0.5)
            canvas.paint(board(x, FAR, crown), canvas.pick(_LEAVES), Class.TREE, 0.85)


def build_plots(canvas: Canvas, street: Street, plots: Sequence[Plot]) -> None:
    """Stand houses and gardens on their plots; shadows fall at once."""
    for plot in plots:
        line = street.building_line(plot.side)
        if plot.kind == "garden":
            _lay_out_garden(canvas, plot, line)
        elif plot.kind == "house":
            canvas.stand(plot.z1, _draw_house, plot, line + plot.side * canvas.rng.uniform(0, 0.8))
            if plot.side == canvas.sun_side and canvas.weather.sun >= 0.5:
                canvas.cast_shadow(flat(line, line - plot.side * plot.height * 0.55, plot.near, plot.z1))


def _lay_out_garden(canvas: Canvas, plot: Plot, line: float) -> None:
    rng, side = canvas.rng, plot.side
    if rng.random() < 0.6:
        canvas.stand(plot.z1 + 1, _draw_house, plot, line + side * rng.uniform(7, 12))
    for z in np.arange(max(plot.z0, 7.0) + 1.5, min(plot.z1, 60) - 1, 5.0):
        if rng.random() < 0.75:
            canvas.stand(z, draw_tree, line + side * rng.uniform(1.5, 6), z + rng.uniform(-1, 1))
    boundary = (_draw_planks, draw_railings, _draw_hedge)[rng.choice(3, p=[0.4, 0.25, 0.35])]
    canvas.stand(plot.z1, boundary, line + side * 0.3, plot.near, plot.z1)


def _draw_house(canvas: Canvas, plot: Plot, x: float) -> None:
    rng, height, z0, z1 = canvas.rng, plot.height, plot.near, plot.z1
    paint = partial(canvas.paint, cls=Class.BUILDING, light=canvas.facing_light(plot.side))
    facade, depth = canvas.pick(_FACADES), plot.side * rng.uniform(7, 10)
    gable = rng.uniform(1.6, 3.2) if rng.random() < 0.65 else 0.0
    middle, top = x + depth / 2, height + gable
    if gable:
        paint([(x, height, z0), (x, height, z1), (middle, top, z1), (middle, top, z0)], canvas.pick(_ROOFS))
        if rng.random() < 0.6:
            chimney = board(middle, rng.uniform(z0, z1), rectangle(-0.5, 0.5, top - 1, top + 1.2))
            paint(chimney, tint(facade, 0.8), light=1.0)
    end = board(x, z0, [(0, 0), (0, height), (depth / 2, top), (depth, height), (depth, 0)])
    paint(end, tint(facade, 0.9), light=1.0)
    paint(wall(x, z0, z1, 0, height), facade)
    if z0 < DETAILED:
        for gain in (0.9, 1.09):
            bricks = _scattered(rng, 36, x, (z0, z1 - 0.5), height - 0.5, 0.5, 0.17)
            paint(bricks, tint(facade, gain))
    paint(wall(x, z0, z1, height - 0.3, height), tint(facade, 0.7 if rng.random() < 0.5 else 1.25))
    _draw_windows(canvas, paint, plot, x)
    if z0 < DETAILED:
        _draw_ground_floor(canvas, paint, plot, x)


def _draw_windows(canvas: Canvas, paint: _Paint, plot: Plot, x: float) -> None:
    rng = canvas.rng
    wide, tall = rng.uniform(0.8, 1.5), rng.uniform(1.2, 1.8)
    columns = plot.z0 + 0.8 + np.arange(0, plot.z1 - plot.z0 - wide - 0.8, wide + rng.uniform(0.9, 1.8))
    floors = np.arange(3.6, plot.height - tall - 0.3, 2.9)
    z, y = (grid.ravel() for grid in np.meshgrid(_visible(columns), floors))
    panes = panels(x, z, y, wide, tall)
    lit = rng.random(len(panes)) < canvas.weather.windows_lit
    curtained = ~lit & (rng.random(len(panes)) < 0.25)
    if plot.z0 < DETAILED:
        frames = panels(x, z - 0.12, y - 0.15, wide + 0.24, tall + 0.27)
        paint(frames, canvas.pick([(226, 222, 212), (190, 182, 166), (92, 84, 78)]))
    paint(panes, canvas.pick([GLASS, (84, 100, 116), (44, 50, 56)]))
    paint(panes[curtained], (150, 146, 140))
    paint(panes[lit], (255, 226, 150), light=1.2)


def _draw_ground_floor(canvas: Canvas, paint: _Paint, plot: Plot, x: float) -> None:
    rng, z0, z1 = canvas.rng, plot.z0, plot.z1
    if rng.random() < 0.4:  # a shop
        paint(wall(x, plot.near, z1, 0, 3.3), canvas.pick(PAINTS))
        glass = (250, 224, 168) if rng.random() < 2 * canvas.weather.windows_lit else GLASS
        paint(panels(x, _visible(np.arange(z0 + 0.3, z1 - 2, 2.2)), 0.6, 1.9, 1.9), glass)
        return
    door = z0 + rng.uniform(0.5, 2.5)
    paint(panels(x, _visible(np.arange(door + 2, z1 - 1.5, 2.6)), 1.0, 1.2, 1.5), GLASS)
    if door > NEAR:
        paint(wall(x, door - 0.15, door + 1.15, 0, 2.35), (206, 200, 190))
        paint(wall(x, door, door + 1.0, 0, 2.2), canvas.pick(PAINTS))


def _visible(z: Floats) -> Floats:
    return z[z > NEAR]


def _scattered(
    rng: np.random.Generator, number: int, x: float, z: tuple[float, float], top: float, length: float, height: float
) -> Floats:
    """Equal quads in random places on a wall."""
    near, y = rng.uniform((z[0], 0), (z[1], top), (number, 2)).T
    return panels(x, near, y, length, height)


def _crown(rng: np.random.Generator, radius: float, middle: float) -> Floats:
    """A bumpy outline around (0, middle)."""
    turn = np.linspace(0, 2 * np.pi, 44, endpoint=False)
    bumps = np.abs(np.sin(rng.integers(4, 8) / 2 * turn + rng.uniform(0, np.pi)))
    reach = radius * (0.8 + 0.2 * bumps + rng.normal(0, 0.04, turn.shape))
    return np.stack([reach * np.cos(turn), middle + 1.15 * reach * np.sin(turn)], -1)


def draw_tree(canvas: Canvas, x: float, z: float) -> None:
    """Draw a tree of any kind and size."""
    rng = canvas.rng
    radius, trunk, green = rng.uniform(1.2, 2.5), rng.uniform(1.8, 3.2), canvas.pick(_LEAVES)
    middle, girth = trunk + radius, radius * 0.09
    stem = [(-girth, 0), (girth, 0), (girth * 0.6, middle), (-girth * 0.6, middle)]
    bark, crown = canvas.pick([(84, 68, 54), (98, 90, 78)]), _crown(rng, radius, middle)
    canvas.paint_boards(x, z, Class.TREE, [(stem, bark), (crown, tint(green, 0.7))])
    # Leaves hang in clumps, each brighter at its top and on the sun's side.
    clumps = rng.normal((0, middle), (radius * 0.38, radius * 0.44), (9, 1, 2))
    leaves_each = 14 if z < DETAILED else 6
    offsets = rng.normal(0, radius * 0.22, (9, leaves_each, 2))
    towards_sun = np.array([0.4 * canvas.sun_side, 1.0])
    brightness = (offsets + 0.3 * clumps) @ towards_sun + rng.normal(0, radius * 0.15, (9, leaves_each))
    spots = (clumps + offsets).reshape(-1, 1, 2)[np.argsort(brightness, axis=None)]
    leaves = np.array_split(spots + rng.normal(0, radius * 0.065, (len(spots), 4, 2)), 4)
    contrast = 0.6 + 0.5 * canvas.weather.sun
    greens = [tint(green, 1 + (gain - 1) * contrast) for gain in (0.55, 0.8, 1.1, 1.45)]
    canvas.paint_boards(x, z, Class.TREE, list(zip(leaves, greens, strict=True)))


def _draw_hedge(canvas: Canvas, x: float, z0: float, z1: float) -> None:
    height, green = canvas.rng.uniform(1.0, 2.0), canvas.pick(_LEAVES)
    canvas.paint(wall(x, z0, z1, 0, height), tint(green, 0.9), Class.TREE)
    for gain in (0.7, 1.25):
        twigs = _scattered(canvas.rng, 60, x, (z0, z1 - 0.4), height, 0.4, 0.15)
        canvas.paint(twigs, tint(green, gain), Class.TREE)


def _draw_planks(canvas: Canvas, x: float, z0: float, z1: float) -> None:
    height = canvas.rng.uniform(1.2, 1.9)
    wood = canvas.pick([(142, 108, 76), (122, 112, 100), (96, 112, 104)])
    gaps = np.arange(z0, min(z1, DETAILED), 0.45)
    canvas.paint(wall(x, z0, z1, 0, height), wood, Class.FENCE)
    canvas.paint(panels(x, gaps, 0, 0.05, height), tint(wood, 0.66), Class.FENCE)
    canvas.paint(wall(x, z0, z1, height - 0.1, height), tint(wood, 1.2), Class.FENCE)


def draw_railings(canvas: Canvas, x: float, z0: float, z1: float) -> None:
    """Draw a metal fence along the street, from z0 to z1."""
    paint = canvas.pick([(60, 64, 66), (150, 154, 156), (44, 70, 60)])
    # CamVid's annotators count what shows between the bars as fence: label the panel, then paint the bars.
    canvas.paint(wall(x, z0, z1, 0, 1.12), None, Class.FENCE)
    bars, posts = np.arange(z0, min(z1, DETAILED), 0.22), np.arange(z0, z1, 2.0)
    rails = [wall(x, z0, z1, y, y + 0.07) for y in (0.15, 1.05)]
    for part in (panels(x, bars, 0.1, 0.05, 0.95), panels(x, posts, 0, 0.1, 1.12), *rails):
        canvas.paint(part, paint, Class.FENCE)
