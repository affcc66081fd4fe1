"""Pictures of networks: no layer is missing, nothing overlaps, and repeats are drawn once."""

import functools

from editions import EVERY_NETWORK, REPRESENTATIVES
from gluon_classics import get_model, model_info
from gluon_classics.errors import ClassicsError
from gluon_classics.inspection.diagram.nesting import Box, Branches, Repeat, arrange, shape_text
from gluon_classics.inspection.layer_graph import layers
from mxnet.gluon import nn
import pytest

canvas = pytest.importorskip("gluon_classics.inspection.diagram.canvas", reason="pip install 'gluon-classics[plot]'")
picture = pytest.importorskip("gluon_classics.inspection.diagram.layout")


@functools.lru_cache(maxsize=None)
def arranged(name):
    shape = model_info(name).input_shape
    return arrange(layers(get_model(name), shape), shape)


def boxes(sequence):
    """Yield each box and the number of times it occurs in the network."""
    for part in sequence:
        if isinstance(part, Box):
            yield part, 1
        elif isinstance(part, Repeat):
            yield from ((box, part.times * times) for box, times in boxes(part.sequence))
        else:
            for inner in part.sequences:
                yield from boxes(inner)


def count(sequence, words):
    return sum(times * sum(words in word for word in box.words) for box, times in boxes(sequence))


def repeats(sequence):
    return [part for part in sequence if isinstance(part, Repeat)]


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_every_convolution_dense_layer_and_pool_is_in_the_picture(name):
    sequence = arranged(name)
    kinds = [layer.kind for layer in layers(get_model(name), model_info(name).input_shape)]
    convolutions = count(sequence, "conv ") + count(sequence, "depthwise ")
    assert convolutions == kinds.count("Conv2D")
    assert count(sequence, "dense") == kinds.count("Dense")
    assert count(sequence, "pool") == sum("Pool" in kind for kind in kinds)
    assert count(sequence, "BN") == sum(kind.endswith("BatchNorm") for kind in kinds)


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_a_repeated_box_has_the_shape_of_each_repeat(name):
    assert all(len(box.shapes) == times for box, times in boxes(arranged(name)) if len(set(box.shapes)) > 1)


def test_inception_blocks_have_four_branches():
    (first, second, third) = repeats(arranged("googlenet_v1"))
    assert (first.times, second.times, third.times) == (2, 5, 2)
    branches, join = second.sequence
    assert [[box.words[0] for box in branch] for branch in branches.sequences] == [
        ["conv 1×1"],  # noqa: RUF001
        ["conv 1×1", "conv 3×3"],  # noqa: RUF001
        ["conv 1×1", "conv 5×5"],  # noqa: RUF001
        ["max pool 3×3", "conv 1×1"],  # noqa: RUF001
    ]
    assert join.words == ("concatenate",)
    assert shape_text(branches.sequences[0][0].shapes) == "192, 160, 128, 112, 256 × 14 × 14"  # noqa: RUF001


def test_resnet_152_is_drawn_as_eight_blocks():
    sequence = arranged("resnet152_v1")
    assert [part.times for part in repeats(sequence)] == [2, 7, 35, 2]
    assert sum(isinstance(part, Branches) for part in sequence) == 4
    body, shortcut = repeats(sequence)[0].sequence[0].sequences
    assert len(body) == 3
    assert shortcut == ()


def test_a_dense_block_is_drawn_as_one_repeated_layer():
    blocks = repeats(arranged("densenet121"))
    assert [block.times for block in blocks] == [6, 12, 24, 16]
    branches, join = blocks[0].sequence
    assert branches.sequences[1] == ()
    assert shape_text(join.shapes) == "96 to 256 × 56 × 56"  # noqa: RUF001


def test_blocks_at_different_resolutions_are_drawn_separately():
    assert [part.times for part in repeats(arranged("resnet"))] == [2]


def test_equal_convolutions_in_a_row_are_drawn_once():
    assert [part.times for part in repeats(arranged("vgg19"))] == [2, 2, 4, 4, 4]


def test_a_gate_is_one_box_next_to_a_plain_line():
    (gate, line) = next(part for part in arranged("efficientnet_b0") if isinstance(part, Branches)).sequences
    assert [box.kind for box in gate] == ["gate"]
    assert [word.split()[0] for word in gate[0].words] == ["global", "conv", "swish", "conv", "sigmoid"]
    assert line == ()


class Crossed(nn.HybridBlock):
    """Two layers whose outputs are both used by two other layers."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Conv2D(1, 1) for _ in range(4))

    def hybrid_forward(self, F, x):
        a, b = self.a(x), self.b(x)
        return self.c(a + b) * self.d(F.concat(a, b, dim=1))


def test_branches_that_cross_are_rejected():
    with pytest.raises(ClassicsError, match="branches cross"):
        arrange(layers(Crossed(), (1, 4, 4)), (1, 4, 4))


class Recorder:
    """A replacement for the canvas that records what is drawn."""

    def __init__(self, width, height):
        self.size = (width, height)
        self.frames, self.boxes, self.lines, self.words = [], [], [], []

    def box(self, left, top, width, height, fill, border, dashed=False):
        (self.frames if dashed else self.boxes).append((left, top, left + width, top + height))

    def line(self, points, color, arrow=False):
        self.lines += zip(points, points[1:])

    def text(self, x, y, words, size, color, align="center", bold=False):
        width = canvas.text_width(words, size, bold)
        left = x - width / 2 if align == "center" else x
        self.words.append((left, y - size / 2, left + width, y + size / 2))


def overlap(one, other):
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


def inside(one, other):
    return other[0] <= one[0] and other[1] <= one[1] and one[2] <= other[2] and one[3] <= other[3]


def crosses(line, box):
    """Return whether a vertical or horizontal line crosses the inside of a box."""
    (x1, y1), (x2, y2) = line
    return (
        min(x1, x2) < box[2] - 1 and max(x1, x2) > box[0] + 1 and min(y1, y2) < box[3] - 1 and max(y1, y2) > box[1] + 1
    )


@pytest.fixture(scope="module", params=EVERY_NETWORK)
def page(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "Canvas", Recorder)
        return picture.picture(request.param, "1 x 2 x 3 input", arranged(request.param))


def test_boxes_and_texts_do_not_overlap_and_lines_do_not_cross_them(page):
    things = page.boxes + [words for words in page.words if not any(inside(words, box) for box in page.boxes)]
    assert not [pair for number, one in enumerate(things) for pair in things[:number] if overlap(one, pair)]
    assert not [line for line in page.lines for thing in things if crosses(line, thing)]


def test_a_frame_never_cuts_a_box(page):
    assert all(inside(box, frame) or not overlap(box, frame) for box in page.boxes for frame in page.frames)


def test_everything_is_on_the_page(page):
    paper = (0, 0, *page.size)
    ends = [(*point, *point) for line in page.lines for point in line]
    assert all(inside(thing, paper) for thing in [*page.boxes, *page.frames, *page.words, *ends])


def test_text_is_at_least_4_points_when_printed(page, request):
    """Text of 8 points keeps at least half of its size on a page of 7 x 9.5 inches.

    Three networks have too many different blocks or sizes, and are drawn with 3.6 points.
    """
    smaller = ("inception_v3", "efficientnet_b6", "efficientnet_b7")
    smallest = 0.45 if request.node.callspec.params["page"] in smaller else 0.5
    assert max(min(504 / page.size[0], 684 / page.size[1]), min(684 / page.size[0], 504 / page.size[1])) > smallest


def test_every_kind_of_box_has_a_color():
    """The representatives have all kinds; a kind without a color fails when its network is drawn."""
    kinds = {box.kind for name in REPRESENTATIVES for box, _ in boxes(arranged(name))}
    assert kinds <= set(picture.COLORS)
    assert len(kinds) >= 7
