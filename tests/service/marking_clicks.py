"""Clicks into the marking page, at pixels of the still and places on the map."""

import numpy as np
from marking_samples import garage_site, true_pixels

from geoloc.scene.sitemap import ControlPoint

CAMERA = "p1-ramp-foot"


def at(page, which, place):
    """Window position of a pixel of the still, or of a place (m) on the map."""
    code = "p => stillPane.view.ofPixel(...p)" if which == "still" else "p => mapPane.view.toScreen(...p)"
    x, y = page.evaluate(code, list(place))
    box = page.locator(f"#{which}").bounding_box()
    return box["x"] + x, box["y"] + y


def click(page, which, place):
    page.mouse.click(*at(page, which, place))


def settled(page):
    """After what was asked is saved and its residuals are shown."""
    page.wait_for_function("() => !waiting && now.verdict && now.verdict.revision === now.state.revision")


def zoom_to(page, pixel):
    """Show the still at its own size around a pixel, so that a click is as exact as on a large screen."""
    there = "Object.assign(stillPane.view, { x: u, y: -v, scale: 2, fitted: false })"
    page.evaluate(f"([u, v]) => {{ {there}; repaint(); }}", list(pixel))


def show_level(page, point: ControlPoint):
    page.evaluate("name => setLevel(now.points.find(point => point.name === name).level)", point.name)


def mark(page, name, pixel):
    """Mark a control point: its spot in the still, then it on the map."""
    point = next(point for point in garage_site().site_map.control_points if point.name == name)
    show_level(page, point)
    zoom_to(page, pixel)
    click(page, "still", pixel)
    click(page, "map", point.xyz[:2])
    settled(page)


def spread(site, n):
    """Names and pixels of `n` control points that lie apart in the still."""
    pixels = true_pixels(site.camera(CAMERA), site)
    names = sorted(pixels, key=lambda name: (np.round(pixels[name][0], -2), pixels[name][1]))
    chosen = [names[i] for i in np.linspace(0, len(names) - 1, n).astype(int)]
    return {name: pixels[name] for name in chosen}
