"""The layout of a network's picture. All lengths are in points.

Each block has a vertical axis. A line enters the block on its axis at the top and leaves it at the bottom. `left` and
`right` are the widths of the block on both sides of the axis, and `height` is its height. `pointed` is whether the
line that enters the block ends in an arrow.
"""

from __future__ import annotations

from .canvas import Canvas, text_width
from .nesting import TIMES, Box, Branches, Repeat, Sequence, shape_text

COLORS = {  # fill and border of each kind of box, in the order of the legend
    "input": ("#ffffff", "#666666"),
    "convolution": ("#d3e3f5", "#3b6ea8"),
    "pool": ("#d6ecd2", "#4b8b40"),
    "dense": ("#f8dcc6", "#bf6516"),
    "normalization": ("#fbf0c4", "#a88c1a"),
    "gate": ("#e6dcf2", "#75529f"),
    "join": ("#e8e8e8", "#666666"),
    "other": ("#f5d5df", "#b0476b"),
}
INK, GREY, LINE = "#111111", "#555555", "#444444"
TEXT, SMALL, TITLE = 8.0, 7.0, 12.0  # font sizes
LINE_HEIGHT, WIDEST_LINE = 11.0, 130.0
SMALLEST_BOX, PADDING = 64.0, 6.0
FRAME_PADDING = 8.0
GAP = 14.0  # vertical, between blocks
SIDE = 12.0  # horizontal, between branches
BUS = 6.0  # from a box to the point where its line branches
COLUMN_GAP = 36.0
MARGIN, SWATCH = 12.0, 9.0
PAGE = (504.0, 684.0)  # 7 x 9.5 inches, portrait or landscape
REPEATED = f"{TIMES} n: repeated n times; different sizes are listed in order, or as the smallest and the largest"


def picture(title: str, subtitle: str, sequence: Sequence) -> Canvas:
    """Draw a sequence with a title and a legend.

    Args:
        title: The title.
        subtitle: One line below the title.
        sequence: The parts to draw. They are split into the number of columns that can be printed largest.
    """
    columns = _columns([_block(part) for part in sequence])
    kinds = set(_kinds(sequence))
    legend = [kind for kind in COLORS if kind in kinds and kind != "input"]
    notes = [REPEATED] if "repeat" in kinds else []
    widths = [text_width(title, TITLE, bold=True), text_width(_listed(legend), SMALL), _width(columns)]
    inner = max(*widths, *(text_width(line, SMALL) for line in [subtitle, *notes]))
    top = MARGIN + 2 * GAP + BUS + (GAP if len(columns) > 1 else 0)  # lines between columns turn above them
    below = top + max(column.height for column in columns) + GAP + BUS
    canvas = Canvas(inner + 2 * MARGIN, below + (1 + len(notes)) * GAP + MARGIN)
    canvas.text(MARGIN, MARGIN + TITLE / 2, title, TITLE, INK, align="left", bold=True)
    canvas.text(MARGIN, MARGIN + TITLE + GAP / 2, subtitle, SMALL, GREY, align="left")
    _paint_columns(canvas, columns, MARGIN + (inner - _width(columns)) / 2, top)
    _paint_legend(canvas, legend, below + GAP / 2)
    for note in notes:
        canvas.text(MARGIN, below + 3 * GAP / 2, note, SMALL, GREY, align="left")
    return canvas


# --- blocks


class _BoxBlock:
    pointed = True

    def __init__(self, box: Box):
        self.colors = COLORS[box.kind]
        self.lines = [*((line, TEXT, INK) for line in _wrapped(box.words)), (shape_text(box.shapes), SMALL, GREY)]
        widest = max(text_width(line, size) for line, size, _ in self.lines)
        self.left = self.right = max(widest + 2 * PADDING, SMALLEST_BOX) / 2
        self.height = LINE_HEIGHT * len(self.lines) + PADDING

    def paint(self, canvas, axis, top):
        canvas.box(axis - self.left, top, self.left + self.right, self.height, *self.colors)
        for number, (line, size, color) in enumerate(self.lines):
            canvas.text(axis, top + PADDING / 2 + LINE_HEIGHT * (number + 0.5), line, size, color)


def _wrapped(words):
    """Return the words, separated by commas, in lines that are at most `WIDEST_LINE` wide if possible."""
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]}, {word}"
        if text_width(longer, TEXT) > WIDEST_LINE:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


class _Stack:
    """Blocks below each other."""

    def __init__(self, blocks):
        self.blocks = blocks
        self.pointed = bool(blocks) and blocks[0].pointed
        self.left = max((block.left for block in blocks), default=SIDE / 2)
        self.right = max((block.right for block in blocks), default=SIDE / 2)
        self.height = sum(block.height for block in blocks) + GAP * max(0, len(blocks) - 1)

    def paint(self, canvas, axis, top):
        for number, block in enumerate(self.blocks):
            if number:
                canvas.line([(axis, top), (axis, top + GAP)], LINE, arrow=block.pointed)
                top += GAP
            block.paint(canvas, axis, top)
            top += block.height


class _BranchesBlock:
    """Stacks side by side. The first one of two is on the axis; three or more are centered on it."""

    pointed = False

    def __init__(self, branches: Branches):
        self.stacks = [_stack(sequence) for sequence in branches.sequences]
        self.inner = max(stack.height for stack in self.stacks)
        self.height = 2 * BUS + GAP + self.inner
        self.places = [0.0]
        for stack, following in zip(self.stacks, self.stacks[1:]):
            self.places.append(self.places[-1] + stack.right + SIDE + following.left)
        if len(self.stacks) > 2:
            middle = (self.places[0] - self.stacks[0].left + self.places[-1] + self.stacks[-1].right) / 2
            self.places = [place - middle for place in self.places]
        self.left = self.stacks[0].left - self.places[0]
        self.right = self.stacks[-1].right + self.places[-1]

    def paint(self, canvas, axis, top):
        fork, join = top + BUS, top + self.height
        ends = (min(0.0, *self.places), max(0.0, *self.places))
        canvas.line([(axis, top), (axis, fork)], LINE)
        for height in (fork, join):
            canvas.line([(axis + end, height) for end in ends], LINE)
        for stack, place in zip(self.stacks, self.places):
            start = fork + GAP + (self.inner - stack.height) / 2
            if stack.blocks:
                canvas.line([(axis + place, fork), (axis + place, start)], LINE, arrow=stack.pointed)
                stack.paint(canvas, axis + place, start)
            else:
                start = fork
            canvas.line([(axis + place, start + stack.height), (axis + place, join)], LINE)


class _RepeatBlock:
    """A stack with the number of repeats next to it, and with a frame if it has more than one block."""

    def __init__(self, repeat: Repeat):
        self.stack = _stack(repeat.sequence)
        self.words = f"{TIMES} {repeat.times}"
        self.framed = len(self.stack.blocks) > 1
        self.pointed = not self.framed
        padding = FRAME_PADDING if self.framed else 0
        self.head = GAP if self.framed and self.stack.pointed else padding
        self.height = self.head + self.stack.height + padding
        self.left = self.stack.left + padding
        self.label = self.stack.right + padding + PADDING / 2
        self.right = self.label + text_width(self.words, TEXT, bold=True)

    def paint(self, canvas, axis, top):
        start, bottom = top + self.head, top + self.height
        if self.framed:
            right = self.stack.right + FRAME_PADDING
            canvas.box(axis - self.left, top, self.left + right, self.height, "none", LINE, dashed=True)
            canvas.line([(axis, top), (axis, start)], LINE, arrow=self.stack.pointed)
            canvas.line([(axis, start + self.stack.height), (axis, bottom)], LINE)
        self.stack.paint(canvas, axis, start)
        canvas.text(axis + self.label, (top + bottom) / 2, self.words, TEXT, INK, align="left", bold=True)


def _block(part):
    return {Box: _BoxBlock, Branches: _BranchesBlock, Repeat: _RepeatBlock}[type(part)](part)


def _stack(sequence):
    return _Stack([_block(part) for part in sequence])


# --- columns


def _columns(blocks):
    """Split the blocks into the number of columns that can be printed largest; the smallest number if several can."""
    possible = [_split(blocks, count) for count in range(1, len(blocks) + 1)]
    return max(possible, key=lambda columns: (_scale(columns), -len(columns)))


def _scale(columns):
    """Return the scale, at most 1, at which the columns fit on a page."""
    size = (_width(columns), max(column.height for column in columns))
    return max(min(1, *(room / length for room, length in zip(page, size))) for page in (PAGE, PAGE[::-1]))


def _split(blocks, count):
    """Split the blocks into at most `count` stacks, so that the tallest stack is as short as possible."""
    low, high = max(block.height for block in blocks), _Stack(blocks).height
    columns = [_Stack(blocks)]
    while high - low > 1:
        limit = (low + high) / 2
        filled = _filled(blocks, limit)
        if len(filled) <= count:
            high, columns = limit, filled
        else:
            low = limit
    return columns


def _filled(blocks, limit):
    """Fill stacks up to the height `limit`. Branches and the box that joins them stay in one stack."""
    columns: list[list] = [[]]
    for block in blocks:
        joins = bool(columns[-1]) and isinstance(columns[-1][-1], _BranchesBlock)
        if columns[-1] and not joins and _Stack([*columns[-1], block]).height > limit:
            columns.append([])
        columns[-1].append(block)
    return [_Stack(column) for column in columns]


def _width(columns):
    return sum(column.left + column.right for column in columns) + COLUMN_GAP * (len(columns) - 1)


def _paint_columns(canvas, columns, left, top):
    end = None  # the point where the line leaves the column before
    for column in columns:
        axis = left + column.left
        if end:
            between, turn = left - COLUMN_GAP / 2, top - GAP
            points = [end, (end[0], end[1] + BUS), (between, end[1] + BUS), (between, turn), (axis, turn), (axis, top)]
            canvas.line(points, LINE, arrow=column.pointed)
        column.paint(canvas, axis, top)
        end = (axis, top + column.height)
        left += column.left + column.right + COLUMN_GAP


# --- legend


def _kinds(sequence):
    """Yield the kinds of the boxes in the sequence, and "repeat" for repeats."""
    for part in sequence:
        if isinstance(part, Box):
            yield part.kind
        elif isinstance(part, Repeat):
            yield "repeat"
            yield from _kinds(part.sequence)
        else:
            for inner in part.sequences:
                yield from _kinds(inner)


def _listed(kinds):
    """Return a text that is as wide as the legend."""
    return "mmm".join(["", *kinds])


def _paint_legend(canvas, kinds, middle):
    left = MARGIN
    for kind in kinds:
        canvas.box(left, middle - SWATCH / 2, SWATCH, SWATCH, *COLORS[kind])
        canvas.text(left + SWATCH + PADDING / 2, middle, kind, SMALL, GREY, align="left")
        left += text_width(_listed([kind]), SMALL)
