"""Where the parts of a network stand in its picture, and how they are painted. All lengths are in points.

Every block is entered at the top and left at the bottom, on a vertical axis; it knows how far it reaches to the left
and to the right of this axis, and how high it is. `pointed` says that the line that enters it ends in an arrow.
"""

from __future__ import annotations

from .canvas import Canvas, text_width
from .nesting import TIMES, Box, Branches, Repeat, Sequence, shape_text

COLOURS = {  # within and at the border, by the kind of a box; in the order of the legend
    "input": ("#ffffff", "#666666"),
    "convolution": ("#d3e3f5", "#3b6ea8"),
    "pool": ("#d6ecd2", "#4b8b40"),
    "dense": ("#f8dcc6", "#bf6516"),
    "normalisation": ("#fbf0c4", "#a88c1a"),
    "gate": ("#e6dcf2", "#75529f"),
    "join": ("#e8e8e8", "#666666"),
    "other": ("#f5d5df", "#b0476b"),
}
INK, GREY, LINE = "#111111", "#555555", "#444444"
TEXT, SMALL, TITLE = 8.0, 7.0, 12.0  # sizes of type
LINE_HEIGHT, WIDEST_LINE = 11.0, 130.0
SMALLEST_BOX, PADDING = 64.0, 6.0
FRAME_PADDING = 8.0
GAP = 14.0  # between what stands one below the other
SIDE = 12.0  # between branches
BUS = 6.0  # from a box to where its line branches
COLUMN_GAP = 36.0
MARGIN, SWATCH = 12.0, 9.0
PAGE = (504.0, 684.0)  # 7 x 9.5 inches, upright or turned
REPEATED = f"{TIMES} n: n times in a row; differing sizes are listed in that order, or as the smallest to the largest"


def picture(title: str, subtitle: str, sequence: Sequence) -> Canvas:
    """The sequence under its title and over a legend, in as many columns as let it be printed largest."""
    columns = _columns([_block(part) for part in sequence])
    kinds = set(_kinds(sequence))
    legend = [kind for kind in COLOURS if kind in kinds and kind != "input"]
    notes = [REPEATED] if "repeat" in kinds else []
    widths = [text_width(title, TITLE, bold=True), text_width(_listed(legend), SMALL), _width(columns)]
    inner = max(*widths, *(text_width(line, SMALL) for line in [subtitle, *notes]))
    top = MARGIN + 2 * GAP + BUS + (GAP if len(columns) > 1 else 0)  # above columns lines turn
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
        self.colours = COLOURS[box.kind]
        self.lines = [*((line, TEXT, INK) for line in _wrapped(box.words)), (shape_text(box.shapes), SMALL, GREY)]
        widest = max(text_width(line, size) for line, size, _ in self.lines)
        self.left = self.right = max(widest + 2 * PADDING, SMALLEST_BOX) / 2
        self.height = LINE_HEIGHT * len(self.lines) + PADDING

    def paint(self, canvas, axis, top):
        canvas.box(axis - self.left, top, self.left + self.right, self.height, *self.colours)
        for number, (line, size, colour) in enumerate(self.lines):
            canvas.text(axis, top + PADDING / 2 + LINE_HEIGHT * (number + 0.5), line, size, colour)


def _wrapped(words):
    """The words with commas between them, in lines that are not wider than `WIDEST_LINE` if they have several."""
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
    """Blocks one below the other."""

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
    """Stacks side by side: of two the first stands on the axis, more of them around it."""

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
    """A stack with its number beside it, and a frame around it unless it is a single box."""

    def __init__(self, repeat: Repeat):
        self.stack = _stack(repeat.sequence)
        self.words = f"{TIMES} {repeat.times}"
        self.framed = len(self.stack.blocks) > 1
        self.pointed = not self.framed
        padding = FRAME_PADDING if self.framed else 0
        self.head = GAP if self.framed and self.stack.pointed else padding
        self.height = self.head + self.stack.height + padding
        self.left = self.stack.left + padding
        self.beside = self.stack.right + padding + PADDING / 2
        self.right = self.beside + text_width(self.words, TEXT, bold=True)

    def paint(self, canvas, axis, top):
        start, bottom = top + self.head, top + self.height
        if self.framed:
            right = self.stack.right + FRAME_PADDING
            canvas.box(axis - self.left, top, self.left + right, self.height, "none", LINE, dashed=True)
            canvas.line([(axis, top), (axis, start)], LINE, arrow=self.stack.pointed)
            canvas.line([(axis, start + self.stack.height), (axis, bottom)], LINE)
        self.stack.paint(canvas, axis, start)
        canvas.text(axis + self.beside, (top + bottom) / 2, self.words, TEXT, INK, align="left", bold=True)


def _block(part):
    return {Box: _BoxBlock, Branches: _BranchesBlock, Repeat: _RepeatBlock}[type(part)](part)


def _stack(sequence):
    return _Stack([_block(part) for part in sequence])


# --- columns


def _columns(blocks):
    """The blocks in the number of columns that can be printed largest on a page; the fewest, if several can."""
    possible = [_split(blocks, count) for count in range(1, len(blocks) + 1)]
    return max(possible, key=lambda columns: (_scale(columns), -len(columns)))


def _scale(columns):
    """By how much the columns have to shrink to fit on a page, at most 1."""
    size = (_width(columns), max(column.height for column in columns))
    return max(min(1, *(room / length for room, length in zip(page, size))) for page in (PAGE, PAGE[::-1]))


def _split(blocks, count):
    """At most `count` stacks, the highest of which is as low as it can be."""
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
    """Stacks that are not higher than `limit`, except that branches and the box that joins them stay together."""
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
    end = None  # where the line that leaves a column is
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
    """The kinds of the boxes that occur, and "repeat"."""
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
    """Words as wide as the legend."""
    return "mmm".join(["", *kinds])


def _paint_legend(canvas, kinds, middle):
    left = MARGIN
    for kind in kinds:
        canvas.box(left, middle - SWATCH / 2, SWATCH, SWATCH, *COLOURS[kind])
        canvas.text(left + SWATCH + PADDING / 2, middle, kind, SMALL, GREY, align="left")
        left += text_width(_listed([kind]), SMALL)
