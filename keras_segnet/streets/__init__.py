"""Procedural street scenes with pixel-perfect labels, for demos, tests and benchmarks without a download.

A scene is a small three-dimensional street, measured in metres and seen by a pinhole camera behind a
windscreen: a road that may bend, pavements with kerbs, plots with houses, gardens or side streets on both
sides, and cars, people, trees and street furniture standing on the ground plane. Everything is projected
through the same camera, so size follows from distance, and is painted far to near, so near things hide far
ones. Weather and time of day set the sky, the light, the haze and the sensor noise.

The classes are the eleven of CamVid as SegNet uses them, plus void (11). Their shares of the pixels are
close to CamVid's. Image and label are always filled from the same outline; only the image is anti-aliased,
blurred and noisy, the label has hard edges.
"""

from keras_segnet.streets.scene import draw_street_scene

__all__ = ["draw_street_scene"]
