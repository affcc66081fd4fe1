"""Mistakes in layers with weights and in pooling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..replay.window_formulas import output_sizes, pad_space
from .variants import Variant, other_settings

_CONVOLUTIONS = ("convolution", "transposed_convolution")
_POOLS = ("max_pool", "average_pool")
_WEIGHTED = (*_CONVOLUTIONS, "dense")


def _two(number):
    return lambda own, _case: [number] * len(own["kernel"])


def _padding(number):
    return lambda own, _case: [number] * len(own["padding"])


def _shifted_padding(step):
    return lambda own, _case: [p + step for p in own["padding"]] if min(own["padding"]) + step >= 0 else None


def _same(at_start):
    """Return the padding of TensorFlow's SAME, with the odd row at the end or at the start."""

    def padding(own, case):
        begins, ends = [], []
        dilation = own.get("dilation") or [1] * len(own["kernel"])
        for size, kernel, stride, step in zip(case.x.shape[2:], own["kernel"], own["stride"], dilation):
            total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * step + 1 - size)
            small = total // 2
            begins.append(total - small if at_start else small)
            ends.append(small if at_start else total - small)
        return [*begins, *ends]

    return padding


def _at_one_end(own, _case):
    count = len(own["kernel"])
    total = [own["padding"][axis] + own["padding"][count + axis] for axis in range(count)]
    return [0] * count + total


_WINDOW_SETTINGS = [
    *(
        other_settings(f"the stride is {number}", (*_CONVOLUTIONS, *_POOLS), stride=_two(number))
        for number in (1, 2, 3, 4)
    ),
    other_settings("the padding is missing", (*_CONVOLUTIONS, *_POOLS), padding=_padding(0)),
    other_settings(
        'the padding is "same" as in TensorFlow, larger at the end', ("convolution", *_POOLS), padding=_same(False)
    ),
    other_settings(
        "the padding is as large as the output needs, larger at the start", ("convolution",), padding=_same(True)
    ),
    other_settings("all padding is at the end", (*_CONVOLUTIONS, *_POOLS), padding=_at_one_end),
    *(
        other_settings(f"the padding is {what} by 1", (*_CONVOLUTIONS, *_POOLS), padding=_shifted_padding(step))
        for step, what in ((1, "larger"), (-1, "smaller"))
    ),
    *(other_settings(f"the dilation is {number}", ("convolution",), dilation=_two(number)) for number in (1, 2)),
]


def _other_padding(mode):
    def result(case):
        s = case.operation.settings
        if not any(s["padding"]):
            return None
        count = len(s["kernel"])
        widths = [(0, 0), (0, 0), *((s["padding"][a], s["padding"][count + a]) for a in range(count))]
        return case.with_input(np.pad(case.x, widths, mode=mode), case.with_settings(padding=[0] * len(s["padding"])))

    return result


def _without(role):
    def result(case):
        if role not in case.operation.parameters:
            return None
        parameters = {key: name for key, name in case.operation.parameters.items() if key != role}
        return replace(case.operation, parameters=parameters)

    return result


def _with_weight(change):
    def result(case):
        weight = change(case.parameter("weight"))
        return None if weight is None else case.with_parameters(weight=weight)

    return result


def flipped(weight):
    """Return a kernel turned by 180 degrees."""
    return np.flip(weight, tuple(range(2, weight.ndim))) if weight.ndim > 2 else None


def _reversed_axis(axis):
    return lambda weight: np.flip(weight, axis) if weight.ndim > 2 else None


def _swapped(first, second):
    def change(weight):
        if weight.ndim <= max(first, second) or weight.shape[first] != weight.shape[second]:
            return None
        return weight.swapaxes(first, second)

    return change


def reshaped(order):
    """Make the function that stores weights in another order of axes and then reshapes them instead of transposing."""

    def change(weight):
        if weight.ndim != len(order) or sorted(weight.shape) == [1] * (weight.ndim - 1) + [weight.size]:
            return None
        return weight.transpose(order).reshape(weight.shape)

    return change


def _bias_twice(case):
    bias = case.parameter("bias")
    return None if bias is None else case.with_parameters(bias=2 * bias)


def _grouped_alike(case):
    """Return a grouped convolution whose groups take interleaved channels."""
    groups = case.operation.settings["groups"]
    if groups in (1, case.x.shape[1]):
        return None
    n, channels = case.x.shape[:2]
    parts = case.x.reshape(n, channels // groups, groups, *case.x.shape[2:])
    return case.with_input(parts.swapaxes(1, 2).reshape(case.x.shape))


def _first_group_only(case):
    """Return a grouped convolution all of whose groups take the channels of the first one."""
    groups = case.operation.settings["groups"]
    if groups == 1:
        return None
    width = case.x.shape[1] // groups
    return case.with_input(np.concatenate([case.x[:, :width]] * groups, axis=1))


_CONVOLUTION = [
    Variant("the bias is missing", _WEIGHTED, _without("bias")),
    Variant("the bias is added twice", _WEIGHTED, _bias_twice),
    Variant("the kernel is flipped", _CONVOLUTIONS, _with_weight(flipped)),
    Variant("the kernel is mirrored left to right", _CONVOLUTIONS, _with_weight(_reversed_axis(3))),
    Variant("the kernel is mirrored top to bottom", _CONVOLUTIONS, _with_weight(_reversed_axis(2))),
    Variant("height and width of the kernel are swapped", _CONVOLUTIONS, _with_weight(_swapped(2, 3))),
    Variant("input and output channels of the weights are swapped", _WEIGHTED, _with_weight(_swapped(0, 1))),
    Variant("the input channels are in reverse order", _CONVOLUTIONS, lambda case: case.with_input(case.x[:, ::-1])),
    *(
        Variant(f"the padding is {mode} instead of zeros", ("convolution",), _other_padding(key))
        for key, mode in (("reflect", "a reflection"), ("edge", "the edge repeated"), ("wrap", "circular"))
    ),
    Variant("the groups take interleaved channels", ("convolution",), _grouped_alike),
    Variant("all groups take the channels of the first one", ("convolution",), _first_group_only),
]


def _flattened(order):
    """Make the result of a dense layer whose input was flattened in another order, (0, ...) with the batch first."""

    def result(case):
        if case.x.ndim != 4 or not case.operation.settings["flatten"] or case.x.shape[2:] == (1, 1):
            return None
        return case.with_input(case.x.transpose(order).reshape(case.x.shape[0], -1))

    return result


def _reordered(order):
    """Make the result of a flatten or reshape of an image whose axes were in another order."""

    def result(case):
        if case.x.ndim != 4 or case.x.shape[2:] == (1, 1):
            return None
        return case.x.transpose(order).reshape(case.right().shape)

    return result


_ORDERS = (
    ("height, width, channel", (0, 2, 3, 1)),
    ("channel, width, height", (0, 1, 3, 2)),
    ("width, height, channel", (0, 3, 2, 1)),
)
_DENSE = [
    *(Variant(f"the input is flattened in the order {name}", ("dense",), _flattened(order)) for name, order in _ORDERS),
    *(
        Variant(f"the elements are in the order {name}", ("flatten", "reshape"), _reordered(order))
        for name, order in _ORDERS
    ),
    Variant("the weights are reshaped instead of transposed", ("dense",), _with_weight(reshaped((1, 0)))),
]


# --- pooling


def _kind(kind, **settings):
    return lambda case: replace(case.operation, kind=kind, settings={**case.operation.settings, **settings})


def _padded_with_zeros(case):
    s = case.operation.settings
    if not any(s["padding"]):
        return None
    return case.with_input(pad_space(case.x, s["padding"]), case.with_settings(padding=[0] * len(s["padding"])))


def _padded_for_ceil(case):
    """Return the pooling of a map that zeros make large enough for rounding up."""
    s = case.operation.settings
    if s["rounding"] != "ceil":
        return None
    count = len(s["kernel"])
    sizes = case.x.shape[2:]
    outputs = output_sizes(sizes, s["kernel"], s["stride"], s["padding"], rounding="ceil")
    ends = [
        max(0, (outputs[a] - 1) * s["stride"][a] + s["kernel"][a] - sizes[a] - s["padding"][a]) for a in range(count)
    ]
    padded = pad_space(case.x, [*s["padding"][:count], *ends])
    return case.with_input(padded, case.with_settings(padding=[0] * 2 * count, rounding="floor"))


def _include_pad(own, _case):
    return not own["include_pad"]


def _whole_map(function):
    return lambda case: function(case.x, axis=tuple(range(2, case.x.ndim)), keepdims=True)


_POOLING = [
    Variant("it is an average pooling", ("max_pool",), _kind("average_pool", include_pad=True)),
    Variant(
        "it is an average pooling that leaves out the padding", ("max_pool",), _kind("average_pool", include_pad=False)
    ),
    Variant("it is a max pooling", ("average_pool",), _kind("max_pool")),
    other_settings("the output size is rounded down", _POOLS, rounding="floor"),
    other_settings("the output size is rounded up", _POOLS, rounding="ceil"),
    other_settings("the padding counts in the mean", ("average_pool",), include_pad=True),
    other_settings("the padding does not count in the mean", ("average_pool",), include_pad=False),
    Variant("the padding is zero instead of -infinity", ("max_pool",), _padded_with_zeros),
    Variant("the map is padded with zeros so that the size need not be rounded up", _POOLS, _padded_for_ceil),
    *(other_settings(f"the kernel is {number}", _POOLS, kernel=_two(number)) for number in (2, 3)),
    Variant("it is a max pooling", ("global_average_pool",), _whole_map(np.max)),
    Variant("it is a sum instead of a mean", ("global_average_pool",), _whole_map(np.sum)),
    Variant("it is an average pooling", ("global_max_pool",), _whole_map(np.mean)),
]


# --- padding


def _widths(change):
    """Make the operation that pads each axis by other widths, a function of the right ones."""

    def result(case):
        widths = [list(change(*pair)) for pair in case.operation.settings["widths"]]
        return case.with_settings(widths=widths) if widths != case.operation.settings["widths"] else None

    return result


_PADDING = [
    Variant("the padding of the start and that of the end are swapped", ("pad",), _widths(lambda a, b: (b, a))),
    Variant("all padding is at the start", ("pad",), _widths(lambda a, b: (a + b, 0))),
    Variant("all padding is at the end", ("pad",), _widths(lambda a, b: (0, a + b))),
    *(other_settings(f"the mode is {mode}", ("pad",), mode=mode) for mode in ("constant", "edge", "reflect")),
]


OPERATION_VARIANTS = [*_CONVOLUTION, *_WINDOW_SETTINGS, *_DENSE, *_POOLING, *_PADDING]
