"""A page with boxes, lines and text, written as SVG or PNG.

Lengths are in points. The origin is the upper left corner, and y grows downward.
"""

from __future__ import annotations

import functools

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import TextPath

POINTS_PER_INCH = 72
DOTS_PER_INCH = 200  # of a PNG
LINES, BOXES, WORDS = 1, 2, 3  # z-order: higher numbers are drawn on top
# The font is part of matplotlib. With a fixed hashsalt, the identifiers in an SVG depend only on its content.
SETTINGS = {"font.family": "DejaVu Sans", "svg.fonttype": "path", "svg.hashsalt": "gluon-classics"}


class Canvas:
    """A page of `width` x `height` points."""

    def __init__(self, width: float, height: float):
        with rc_context(SETTINGS):
            self._figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH))
            self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)

    def box(self, left, top, width, height, fill, border, dashed=False) -> None:
        """Draw a rectangle with rounded corners. A dashed one is drawn below other boxes, as a frame."""
        style = {"linestyle": (0, (4, 3)), "zorder": LINES} if dashed else {"zorder": BOXES}
        shape = FancyBboxPatch(
            (left, top), width, height, "round,pad=0,rounding_size=3", fc=fill, ec=border, linewidth=0.8, **style
        )
        self._axes.add_patch(shape)

    def line(self, points, color, arrow=False) -> None:
        """Draw straight lines from point to point. `arrow` adds an arrowhead that points down at the last point."""
        self._axes.plot(*zip(*points), color=color, linewidth=0.9, solid_joinstyle="round", zorder=LINES)
        if arrow:
            x, y = points[-1]
            self._axes.fill([x, x - 2.4, x + 2.4], [y, y - 5, y - 5], color=color, linewidth=0, zorder=LINES)

    def text(self, x, y, words, size, color, align="center", bold=False) -> None:
        """Write one line of text, vertically centered at `y`."""
        style = {"size": size, "color": color, "weight": "bold" if bold else "normal", "zorder": WORDS}
        with rc_context(SETTINGS):
            self._axes.text(x, y, words, ha=align, va="center_baseline", **style)

    def save(self, path, title: str) -> None:
        """Write the page as SVG or PNG, depending on the suffix of `path`. The same content gives the same bytes."""
        svg = str(path).lower().endswith(".svg")
        metadata = {"Title": title, "Date": None, "Creator": None} if svg else {"Title": title, "Software": None}
        with rc_context(SETTINGS):
            self._figure.savefig(path, dpi=DOTS_PER_INCH, facecolor="white", metadata=metadata)


@functools.lru_cache(maxsize=None)
def text_width(words: str, size: float, bold: bool = False) -> float:
    """Return the width of `words` on a canvas, in points."""
    font = FontProperties(family=SETTINGS["font.family"], weight="bold" if bold else "normal")
    return TextPath((0, 0), words, size=size, prop=font).get_extents().width
