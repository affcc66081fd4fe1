"""MXNet's operators in the neutral terms of `operators`.

Each translation takes the attributes of a node, the shapes of its inputs and the shape of its output. It returns one
(kind, roles, settings) for each output of the node, or None if the node passes its input on. `roles` are the positions,
roles and axes of the inputs that are parameters.
"""

from __future__ import annotations

import ast
from typing import Callable, Optional


class Unsupported(Exception):
    """The settings of an operator have no neutral form."""


Translation = Callable[[dict, list, tuple], Optional[list]]
TRANSLATIONS: dict[str, Translation] = {}
LOSS_LAYERS = ("SoftmaxOutput", "Softmax")  # their second input is the label
FIRST_INPUT_ONLY = (*LOSS_LAYERS, "reshape_like")  # the second input of the last one only gives the shape

_DIMENSIONS = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_CHANNEL = ("channel",)


def axes_of(shape) -> tuple[str, ...]:
    """Return names for the axes of a parameter without a role."""
    return tuple(f"axis {number}" for number in range(len(shape)))


def _translates(*operators):
    def enter(function):
        TRANSLATIONS.update(dict.fromkeys(operators, function))
        return function

    return enter


def _value(attributes, name, default):
    text = attributes.get(name)
    if text is None:
        return default
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _sizes(attributes, name, default, count):
    """Return an attribute for each spatial axis."""
    value = _value(attributes, name, None)
    if value is None or value == ():
        return [default] * count
    return [value] * count if isinstance(value, int) else list(value)


def _both_sides(pad):
    """Return symmetric padding as [top, left, bottom, right]."""
    return [*pad, *pad]


def _plain(kind, **settings):
    return [(kind, (), settings)]


@_translates("Convolution", "Convolution_v1")
def _convolution(attributes, _inputs, _output):
    kernel = list(_value(attributes, "kernel", ()))
    count = len(kernel)
    if attributes.get("layout", "None") not in ("None", "NCW", "NCHW", "NCDHW"):
        raise Unsupported
    settings = {
        "channels": _value(attributes, "num_filter", None),
        "kernel": kernel,
        "stride": _sizes(attributes, "stride", 1, count),
        "padding": _both_sides(_sizes(attributes, "pad", 0, count)),
        "dilation": _sizes(attributes, "dilate", 1, count),
        "groups": _value(attributes, "num_group", 1),
    }
    roles = [(1, "weight", ("out", "in", *_DIMENSIONS[count])), (2, "bias", ("out",))]
    return [("convolution", roles, settings)]


@_translates("Deconvolution")
def _deconvolution(attributes, inputs, output):
    kernel = list(_value(attributes, "kernel", ()))
    count = len(kernel)
    if attributes.get("layout", "None") not in ("None", "NCW", "NCHW", "NCDHW") or _value(
        attributes, "target_shape", ()
    ):
        raise Unsupported
    settings = {
        "channels": _value(attributes, "num_filter", None),
        "kernel": kernel,
        "stride": _sizes(attributes, "stride", 1, count),
        "padding": _both_sides(_sizes(attributes, "pad", 0, count)),
        "output_padding": _sizes(attributes, "adj", 0, count),
        "dilation": _sizes(attributes, "dilate", 1, count),
        "groups": _value(attributes, "num_group", 1),
    }
    roles = [(1, "weight", ("in", "out", *_DIMENSIONS[count])), (2, "bias", ("out",))]
    return [("transposed_convolution", roles, settings)]


@_translates("FullyConnected")
def _dense(attributes, inputs, _output):
    flatten = bool(_value(attributes, "flatten", True))
    roles = [(1, "weight", ("out", "in")), (2, "bias", ("out",))]
    settings = {"units": _value(attributes, "num_hidden", None), "flatten": flatten}
    if flatten and len(inputs[0]) > 2:
        settings["flattened"] = list(inputs[0][1:])
    return [("dense", roles, settings)]


@_translates("BatchNorm", "BatchNorm_v1", "SyncBatchNorm", "_contrib_SyncBatchNorm")
def _batch_norm(attributes, _inputs, _output):
    roles = [
        (position, role, _CHANNEL)
        for position, role in enumerate(("gamma", "beta", "running_mean", "running_var"), start=1)
    ]
    settings = {
        "eps": _value(attributes, "eps", 1e-3),
        "momentum_keep": _value(attributes, "momentum", 0.9),
        "variance": "biased",
        "use_running": bool(_value(attributes, "use_global_stats", False)),
        "fixed_gamma": bool(_value(attributes, "fix_gamma", True)),
        "axis": _value(attributes, "axis", 1),
    }
    return [("batch_norm", roles, settings)]


@_translates("LayerNorm")
def _layer_norm(attributes, inputs, _output):
    axis = _value(attributes, "axis", -1) % len(inputs[0])
    roles = [(1, "gamma", _CHANNEL), (2, "beta", _CHANNEL)]
    return [("layer_norm", roles, {"axis": axis, "eps": _value(attributes, "eps", 1e-5)})]


@_translates("InstanceNorm")
def _instance_norm(attributes, _inputs, _output):
    return [
        ("instance_norm", [(1, "gamma", _CHANNEL), (2, "beta", _CHANNEL)], {"eps": _value(attributes, "eps", 1e-3)})
    ]


@_translates("GroupNorm")
def _group_norm(attributes, _inputs, _output):
    settings = {"groups": _value(attributes, "num_groups", 1), "eps": _value(attributes, "eps", 1e-5)}
    return [("group_norm", [(1, "gamma", _CHANNEL), (2, "beta", _CHANNEL)], settings)]


@_translates("Pooling", "Pooling_v1")
def _pooling(attributes, inputs, _output):
    kind = {"max": "max_pool", "avg": "average_pool"}.get(attributes.get("pool_type", "max"))
    if kind is None or attributes.get("layout", "None") not in ("None", "NCW", "NCHW", "NCDHW"):
        raise Unsupported
    if _value(attributes, "global_pool", False):
        return _plain(f"global_{kind}")
    kernel = list(_value(attributes, "kernel", ()))
    count = len(kernel)
    rounding = {"valid": "floor", "full": "ceil"}.get(attributes.get("pooling_convention", "valid"))
    if rounding is None:
        raise Unsupported
    settings = {
        "kernel": kernel,
        "stride": _sizes(attributes, "stride", 1, count),
        "padding": _both_sides(_sizes(attributes, "pad", 0, count)),
        "rounding": rounding,
    }
    if kind == "average_pool":
        settings["include_pad"] = bool(_value(attributes, "count_include_pad", True))
    return [(kind, (), settings)]


@_translates("_contrib_AdaptiveAvgPooling2D")
def _adaptive_pooling(attributes, inputs, _output):
    size = _value(attributes, "output_size", 1)
    size = [size, size] if isinstance(size, int) else list(size) * (2 if len(size) == 1 else 1)
    if size == [1, 1]:
        return _plain("global_average_pool")
    return _plain("adaptive_average_pool", size=size)


@_translates("LRN")
def _local_response_norm(attributes, _inputs, _output):
    return _plain(
        "local_response_norm",
        size=_value(attributes, "nsize", None),
        alpha=float(_value(attributes, "alpha", 1e-4)),
        beta=float(_value(attributes, "beta", 0.75)),
        k=float(_value(attributes, "knorm", 2)),
        alpha_divided_by_size=True,
    )


@_translates("Dropout")
def _dropout(attributes, _inputs, _output):
    if attributes.get("mode", "training") != "training":
        raise Unsupported
    drop = float(_value(attributes, "p", 0.5))
    if drop == 0:
        return None
    return _plain("dropout", drop=drop, shared_axes=list(_value(attributes, "axes", ())))


_ACTIVATIONS = {
    **{"relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh"},
    **{"softrelu": "softplus", "softsign": "softsign"},
}


@_translates("Activation")
def _activation(attributes, _inputs, _output):
    if attributes["act_type"] not in _ACTIVATIONS:
        raise Unsupported
    return _plain(_ACTIVATIONS[attributes["act_type"]])


@_translates("LeakyReLU")
def _leaky_relu(attributes, _inputs, _output):
    form = attributes.get("act_type", "leaky")
    slope = float(_value(attributes, "slope", 0.25))
    if form in ("leaky", "elu"):
        return _plain({"leaky": "leaky_relu", "elu": "elu"}[form], slope=slope)
    if form in ("selu", "gelu"):
        return _plain(form)
    if form == "prelu":
        return [("prelu", [(1, "slope", _CHANNEL)], {})]
    raise Unsupported


@_translates("hard_sigmoid")
def _hard_sigmoid(attributes, _inputs, _output):
    alpha, beta = float(_value(attributes, "alpha", 0.2)), float(_value(attributes, "beta", 0.5))
    return _plain("hard_sigmoid", alpha=alpha, beta=beta)


@_translates("softmax")
def _softmax(attributes, inputs, _output):
    if attributes.get("temperature", "None") != "None" or _value(attributes, "use_length", False):
        raise Unsupported
    return _plain("softmax", axis=_value(attributes, "axis", -1) % len(inputs[0]))


@_translates("SoftmaxActivation")
def _softmax_of_channels(attributes, inputs, _output):
    if attributes.get("mode", "instance") != "channel" and len(inputs[0]) != 2:
        raise Unsupported
    return _plain("softmax", axis=1)


@_translates("SoftmaxOutput", "Softmax")
def _softmax_and_its_loss(attributes, inputs, _output):
    if len(inputs[0]) != 2 and not _value(attributes, "multi_output", False):
        raise Unsupported
    return _plain("softmax", axis=1)


@_translates("clip")
def _clip(attributes, _inputs, _output):
    return _plain("clip", low=float(_value(attributes, "a_min", None)), high=float(_value(attributes, "a_max", None)))


@_translates("Pad", "pad")
def _pad(attributes, _inputs, _output):
    mode = {"constant": "constant", "edge": "edge", "reflect": "reflect"}[attributes["mode"]]
    flat = _value(attributes, "pad_width", ())
    value = {"value": float(_value(attributes, "constant_value", 0))} if mode == "constant" else {}
    return _plain("pad", mode=mode, widths=[list(pair) for pair in zip(flat[::2], flat[1::2])], **value)


@_translates("UpSampling")
def _upsample(attributes, _inputs, _output):
    if attributes.get("sample_type") != "nearest" or _value(attributes, "num_args", 1) != 1:
        raise Unsupported
    return _plain("upsample_nearest", scale=_value(attributes, "scale", None))


@_translates("_contrib_BilinearResize2D")
def _resize(attributes, inputs, output):
    if len(inputs) != 1:
        raise Unsupported
    aligned = bool(_value(attributes, "align_corners", True))
    return _plain("resize_bilinear", size=list(output[2:]), align_corners=aligned)


@_translates("batch_dot")
def _batch_dot(attributes, _inputs, _output):
    transposed = [bool(_value(attributes, f"transpose_{side}", False)) for side in "ab"]
    return _plain("matrix_product", transposed=transposed)


@_translates("Concat", "concat")
def _concat(attributes, _inputs, _output):
    return _plain("concat", axis=_value(attributes, "dim", 1))


@_translates("Flatten", "flatten")
def _flatten(_attributes, inputs, _output):
    return None if len(inputs[0]) == 2 else _plain("flatten")


@_translates("Reshape", "reshape", "reshape_like")
def _reshape(_attributes, _inputs, output):
    return _plain("reshape", shape=list(output))


@_translates("slice_axis")
def _slice_axis(attributes, inputs, _output):
    axis = _value(attributes, "axis", 0) % len(inputs[0])
    size = inputs[0][axis]
    begin, end = _value(attributes, "begin", 0), _value(attributes, "end", None)
    if begin == 0 and (end is None or end == size):
        return None
    if size is None:
        raise Unsupported
    begin = begin + size if begin < 0 else begin
    end = size if end is None else end + size if end < 0 else end
    return _plain("slice", axis=axis, begin=begin, end=end)


@_translates("slice", "crop")
def _crop(attributes, inputs, _output):
    if any(step not in (None, 1) for step in _value(attributes, "step", ())):
        raise Unsupported
    begins, ends = ((list(_value(attributes, name, ())) + [None] * 9) for name in ("begin", "end"))
    rows = []
    for axis, (size, begin, end) in enumerate(zip(inputs[0], begins, ends)):
        begin = begin or 0
        if begin == 0 and end in (None, size):
            continue
        if size is None:
            raise Unsupported
        end = size if end is None else min(end, size)
        rows.append([axis, begin + size if begin < 0 else begin, end + size if end < 0 else end])
    if not rows:
        return None
    axes, starts, stops = map(list, zip(*rows))
    if len(axes) == 1:
        return _plain("slice", axis=axes[0], begin=starts[0], end=stops[0])
    return _plain("crop", axes=axes, begins=starts, ends=stops)


@_translates("SliceChannel", "split")
def _split(attributes, inputs, _output):
    parts, axis = _value(attributes, "num_outputs", None), _value(attributes, "axis", 1) % len(inputs[0])
    if _value(attributes, "squeeze_axis", False) or inputs[0][axis] is None:
        raise Unsupported
    size = inputs[0][axis] // parts
    return [("slice", (), {"axis": axis, "begin": part * size, "end": (part + 1) * size}) for part in range(parts)]


@_translates("expand_dims")
def _expand_dims(attributes, _inputs, output):
    return _plain("expand_dims", axis=_value(attributes, "axis", 0) % len(output))


@_translates("squeeze")
def _squeeze(_attributes, _inputs, output):
    return _plain("reshape", shape=list(output))


@_translates("transpose", "SwapAxis", "swapaxes")
def _transpose(attributes, inputs, _output):
    order = list(range(len(inputs[0])))
    if "dim1" in attributes or "dim2" in attributes:
        first, second = _value(attributes, "dim1", 0), _value(attributes, "dim2", 0)
        order[first], order[second] = order[second], order[first]
    else:
        order = list(_value(attributes, "axes", ())) or order[::-1]
    return _plain("transpose", order=order)


def _reduces(kind):
    def translate(attributes, inputs, _output):
        axes = _value(attributes, "axis", None)
        if _value(attributes, "exclude", False):
            raise Unsupported
        axes = list(range(len(inputs[0]))) if axes in (None, ()) else [axes] if isinstance(axes, int) else list(axes)
        axes = [axis % len(inputs[0]) for axis in axes]
        return _plain(kind, axes=axes, keepdims=bool(_value(attributes, "keepdims", False)))

    return translate


def _computes(kind):
    return lambda _attributes, _inputs, _output: _plain(kind)


def _with_scalar(kind):
    return lambda attributes, _inputs, _output: _plain(kind, scalar=float(_value(attributes, "scalar", None)))


TRANSLATIONS.update(
    {
        **{
            name: _reduces(kind)
            for name, kind in (("mean", "mean"), ("sum", "sum"), ("sum_axis", "sum"), ("max", "max"))
        },
        **{
            name: _computes(kind)
            for kind, names in {
                "add": ("elemwise_add", "broadcast_add", "_plus", "_Plus"),
                "subtract": ("elemwise_sub", "broadcast_sub", "_minus"),
                "multiply": ("elemwise_mul", "broadcast_mul", "_mul"),
                "divide": ("elemwise_div", "broadcast_div", "_div"),
                "maximum": ("broadcast_maximum", "_maximum"),
                "sum_of_inputs": ("add_n", "ElementWiseSum"),
                **{
                    kind: (kind,)
                    for kind in (
                        *("relu", "sigmoid", "tanh", "softsign", "square", "sqrt", "exp", "abs"),
                        *("zeros_like", "ones_like"),
                    )
                },
                "stop_gradient": ("BlockGrad", "stop_gradient"),
            }.items()
            for name in names
        },
        **{
            name: _with_scalar(kind)
            for name, kind in (
                ("_plus_scalar", "add_scalar"),
                ("_minus_scalar", "subtract_scalar"),
                ("_rminus_scalar", "subtract_from_scalar"),
                ("_mul_scalar", "multiply_scalar"),
                ("_div_scalar", "divide_scalar"),
                ("_rdiv_scalar", "divide_scalar_by"),
                ("_power_scalar", "power_scalar"),
                ("_maximum_scalar", "maximum_scalar"),
                ("_minimum_scalar", "minimum_scalar"),
            )
        },
        **dict.fromkeys(("identity", "_copy", "Cast", "cast", "_np_copy"), lambda *_: None),
    }
)
