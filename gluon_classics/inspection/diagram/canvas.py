"""Boxes, lines and words on a page, written as SVG or PNG. Lengths are in points, from the upper left corner down."""

from __future__ import annotations

import functools

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import TextPath

POINTS_PER_INCH = 72
DOTS_PER_INCH = 200  # of a PNG
LINES, BOXES, WORDS = 1, 2, 3  # what hides what
# the font comes with matplotlib; identifiers in an SVG follow from its content and this word alone
SETTINGS = {"font.family": "DejaVu Sans", "svg.fonttype": "path", "svg.hashsalt": "gluon-classics"}


class Canvas:
    """A page of `width` x `height` points to draw on."""

    def __init__(self, width: float, height: float):
        with rc_context(SETTINGS):
            self._figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH))
            self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)

    def box(self, left, top, width, height, fill, border, dashed=False) -> None:
        """A rectangle with rounded corners; a dashed one frames what is drawn inside."""
        style = {"linestyle": (0, (4, 3)), "zorder": LINES} if dashed else {"zorder": BOXES}
        shape = FancyBboxPatch(
            (left, top), width, height, "round,pad=0,rounding_size=3", fc=fill, ec=border, linewidth=0.8, **style
        )
        self._axes.add_patch(shape)

    def line(self, points, colour, arrow=False) -> None:
        """Straight lines from point to point, with the head of an arrow at the last one."""
        self._axes.plot(*zip(*points), color=colour, linewidth=0.9, solid_joinstyle="round", zorder=LINES)
        if arrow:
            x, y = points[-1]
            self._axes.fill([x, x - 2.4, x + 2.4], [y, y - 5, y - 5], color=colour, linewidth=0, zorder=LINES)

    def text(self, x, y, words, size, colour, align="center", bold=False) -> None:
        """Words whose middle line is at `y`."""
        style = {"size": size, "color": colour, "weight": "bold" if bold else "normal", "zorder": WORDS}
        with rc_context(SETTINGS):
            self._axes.text(x, y, words, ha=align, va="center_baseline", **style)

    def save(self, path, title: str) -> None:
        """Write SVG or PNG, by the ending of `path`; the same content gives the same bytes."""
        svg = str(path).lower().endswith(".svg")
        metadata = {"Title": title, "Date": None, "Creator": None} if svg else {"Title": title, "Software": None}
        with rc_context(SETTINGS):
            self._figure.savefig(path, dpi=DOTS_PER_INCH, facecolor="white", metadata=metadata)


@functools.lru_cache(maxsize=None)
def text_width(words: str, size: float, bold: bool = False) -> float:
    """The width of `words` on a canvas."""
    font = FontProperties(family=SETTINGS["font.family"], weight="bold" if bold else "normal")
    return TextPath((0, 0), words, size=size, prop=font).get_extents().width
