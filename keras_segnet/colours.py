"""Colours of classes that have none of their own."""

from __future__ import annotations

import colorsys


def distinct_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """As many colours as there are classes, told apart by hue and, in turn, by brightness."""
    colours = []
    for i in range(count):
        red, green, blue = colorsys.hsv_to_rgb(i * 0.618034 % 1, 0.75, (0.95, 0.7, 0.5)[i % 3])
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colours)
