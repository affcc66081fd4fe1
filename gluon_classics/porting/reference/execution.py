"""Compute a graph with MXNet, one operation at a time, in float32 or float64.

Each operation gets its inputs from NumPy and is differentiated alone, so that the gradient of every output is known.
This also avoids two faults of MXNet's graphs on the CPU: a wrong gradient of LRN behind a pool, and masks of dropout
that cannot be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from mxnet import autograd, nd
import numpy as np

from ..graph import Graph, Loss, Operation
from ..operators import MASKED
from ..replay import replay
from ..replay.formulas import SELU_SCALE, SELU_SLOPE, mask_factor
from ..replay.window_formulas import interpolation_matrix


@dataclass(frozen=True)
class Pass:
    """A forward and a backward pass in training mode.

    Attributes:
        outputs: Output of each operation, by name.
        loss: The mean over the batch of the loss per example.
        gradients: Gradient of the mean loss with respect to each trainable parameter, by name.
        output_gradients: The same with respect to the output of each operation that has one.
        running: Running statistics after the pass, by name.
    """

    outputs: dict[str, np.ndarray]
    loss: np.ndarray
    gradients: dict[str, np.ndarray]
    output_gradients: dict[str, np.ndarray]
    running: dict[str, np.ndarray]


def predict(graph: Graph, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the output of each operation in prediction mode.

    Args:
        graph: The network.
        values: Inputs and parameters by name, all of one type.
    """
    values = dict(values)
    for operation in graph.operations:
        values[operation.name] = forward(operation, values)
    return {operation.name: values[operation.name] for operation in graph.operations}


def train(graph: Graph, values: dict[str, np.ndarray], label: np.ndarray, masks: dict[str, np.ndarray]) -> Pass:
    """Return a forward and a backward pass in training mode.

    Args:
        graph: The network.
        values: Inputs and parameters by name, all of one type.
        label: (N,) class numbers.
        masks: Keep mask of each dropout and drop block, by the operation's name.
    """
    values = dict(values)
    for operation in graph.operations:
        values[operation.name] = forward(operation, values, True, masks.get(operation.name))
    loss, gradients = _loss(graph.loss, values, label)
    trainable = {parameter.name for parameter in graph.parameters if parameter.trainable}
    wanted = trainable | {operation.name for operation in graph.operations}
    running = {}
    for operation in reversed(graph.operations):
        if operation.name in gradients:
            given = gradients[operation.name]
            found, moved = _backward(operation, values, given, wanted, masks.get(operation.name))
            running.update(moved)
            for name, gradient in found.items():
                gradients[name] = gradients[name] + gradient if name in gradients else gradient
    outputs = {operation.name: values[operation.name] for operation in graph.operations}
    zeros = {name: np.zeros_like(values[name]) for name in trainable - set(gradients)}
    return Pass(
        outputs,
        loss,
        {name: gradients.get(name, zeros.get(name)) for name in values if name in trainable},
        {name: gradients[name] for name in outputs if name in gradients},
        running,
    )


def forward(operation: Operation, values: dict[str, np.ndarray], training: bool = False, mask=None) -> np.ndarray:
    """Return the output of an operation; see `replay.forward`. Its type is that of the values."""
    arrays = {name: _array(values[name]) for name in (*operation.inputs, *operation.parameters.values())}
    with autograd.train_mode() if training else autograd.predict_mode():
        return _compute(operation, arrays, training, mask).asnumpy()


def sgd_step(weight, gradient, state, learning_rate: float, momentum: float, weight_decay: float):
    """Return a parameter and its momentum buffer after a step of MXNet's SGD with momentum."""
    weight, state = _array(weight), _array(state)
    settings = {"lr": learning_rate, "momentum": momentum, "wd": weight_decay}
    nd.sgd_mom_update(weight, _array(gradient), state, out=weight, **settings)
    return weight.asnumpy(), state.asnumpy()


def _array(value):
    return nd.array(value, dtype=value.dtype)


def _backward(operation, values, output_gradient, wanted, mask):
    """Return the gradients with respect to the inputs and parameters, and the running statistics afterwards."""
    arrays = {name: _array(values[name]) for name in (*operation.inputs, *operation.parameters.values())}
    leaves = {name: array for name, array in arrays.items() if name in wanted}
    if not leaves or operation.kind in ("zeros_like", "ones_like", "stop_gradient"):
        return {}, {}
    for leaf in leaves.values():
        leaf.attach_grad()
    with autograd.record():
        output = _compute(operation, arrays, True, mask)
    output.backward(_array(output_gradient))
    gradients = {name: leaf.grad.asnumpy() for name, leaf in leaves.items()}
    if operation.kind == "batch_norm" and output.dtype == np.float64 and not operation.settings["use_running"]:
        return gradients, _running(operation, values)
    names = [name for role, name in operation.parameters.items() if role.startswith("running_")]
    return gradients, {name: arrays[name].asnumpy() for name in names}


def _running(operation, values):
    """Return the running statistics after a pass in float64. MXNet rounds the share that is kept to float32."""
    keep, result = operation.settings["momentum_keep"], {}
    for role, batch in zip(("running_mean", "running_var"), replay.batch_statistics(operation, values)):
        name = operation.parameters[role]
        result[name] = keep * values[name] + (1 - keep) * batch
    return result


def _compute(operation, arrays, training, mask):
    inputs = [arrays[name] for name in operation.inputs]
    if operation.kind in MASKED:
        if not training:
            return inputs[0].copy()
        scaled = mask * mask_factor(operation.kind, operation.settings, mask)
        return nd.broadcast_mul(inputs[0], nd.array(scaled, dtype=inputs[0].dtype))
    parameters = {role: arrays[name] for role, name in operation.parameters.items()}
    return COMPUTE[operation.kind](operation.settings, inputs, parameters)


def _loss(terms: tuple[Loss, ...], values, label):
    """Return the mean loss, and its gradient with respect to each output that it takes."""
    outputs = {term.output: _array(values[term.output]) for term in terms}
    first = next(iter(outputs.values()))
    label = nd.array(label, dtype=first.dtype)
    for output in outputs.values():
        output.attach_grad()
    with autograd.record():
        losses = [term.factor * _LOSSES[term.kind](outputs[term.output], label, term.settings) for term in terms]
        mean = nd.add_n(*losses).mean()
    mean.backward()
    return mean.asnumpy().reshape(()), {name: output.grad.asnumpy() for name, output in outputs.items()}


def _softmax_cross_entropy(logits, label, _settings):
    return -nd.pick(nd.log_softmax(logits, axis=1), label, axis=1)


def _map(distances, label, settings):
    """LeNet-5's maximum a posteriori loss: j is the distance of an additional class."""
    others = nd.ones_like(nd.slice_axis(distances, axis=1, begin=0, end=1)) * settings["j"]
    return _softmax_cross_entropy(-nd.concat(distances, others, dim=1), label, settings)


def _squared_error(outputs, label, _settings):
    """The loss of the early LeNets: the target is 1 for the label and -1 for all other classes."""
    signs = 2 * nd.one_hot(label, outputs.shape[1], dtype=outputs.dtype) - 1
    return nd.square(outputs - signs).mean(axis=1)


_LOSSES = {"softmax_cross_entropy": _softmax_cross_entropy, "map": _map, "squared_error": _squared_error}


# --- the operators. Each function takes the settings, the inputs, and the parameters by role

Compute = Callable[["dict[str, Any]", "list[nd.NDArray]", "dict[str, nd.NDArray]"], nd.NDArray]


def _one_side(padding):
    """Return symmetric padding as MXNet has it, one number for each axis."""
    half = len(padding) // 2
    if padding[:half] != padding[half:]:
        raise ValueError(f"MXNet cannot pad {padding} within an operation")
    return tuple(padding[:half])


def _convolve(settings, inputs, parameters):
    bias = [parameters["bias"]] if "bias" in parameters else []
    transposed = "output_padding" in settings
    more = {"adj": tuple(settings["output_padding"])} if transposed else {}
    return (nd.Deconvolution if transposed else nd.Convolution)(
        inputs[0],
        parameters["weight"],
        *bias,
        no_bias=not bias,
        num_filter=settings["channels"],
        kernel=tuple(settings["kernel"]),
        stride=tuple(settings["stride"]),
        pad=_one_side(settings["padding"]),
        dilate=tuple(settings["dilation"]),
        num_group=settings["groups"],
        **more,
    )


def _dense(settings, inputs, parameters):
    bias = [parameters["bias"]] if "bias" in parameters else []
    size = {"num_hidden": settings["units"], "flatten": settings["flatten"]}
    return nd.FullyConnected(inputs[0], parameters["weight"], *bias, no_bias=not bias, **size)


def _batch_norm(settings, inputs, parameters):
    roles = ("gamma", "beta", "running_mean", "running_var")
    return nd.BatchNorm(
        inputs[0],
        *(parameters[role] for role in roles),
        eps=settings["eps"],
        momentum=settings["momentum_keep"],
        use_global_stats=settings["use_running"],
        fix_gamma=settings["fixed_gamma"],
        axis=settings["axis"],
    )


def _pool(kind):
    def compute(settings, inputs, _parameters):
        more = {"count_include_pad": settings["include_pad"]} if "include_pad" in settings else {}
        return nd.Pooling(
            inputs[0],
            pool_type=kind,
            kernel=tuple(settings["kernel"]),
            stride=tuple(settings["stride"]),
            pad=_one_side(settings["padding"]),
            pooling_convention={"floor": "valid", "ceil": "full"}[settings["rounding"]],
            **more,
        )

    return compute


def _global_pool(kind):
    def compute(_settings, inputs, _parameters):
        (x,) = inputs
        return nd.Pooling(x, pool_type=kind, global_pool=True, kernel=(1,) * (x.ndim - 2))  # its size is not used

    return compute


def _local_response_norm(settings, inputs, _parameters):
    (x,) = inputs
    size, alpha, beta, k = (settings[name] for name in ("size", "alpha", "beta", "k"))
    if x.dtype == np.float32:
        return nd.LRN(x, nsize=size, alpha=alpha, beta=beta, knorm=k)
    # MXNet's LRN fails in float64
    images, channels, *place = x.shape
    border = nd.zeros((images, size // 2, *place), dtype=x.dtype)
    squares = nd.concat(border, nd.square(x), border, dim=1)
    total = nd.add_n(*[nd.slice_axis(squares, axis=1, begin=i, end=i + channels) for i in range(size)])
    return x / (k + alpha / size * total) ** beta


def _instance_norm(settings, inputs, parameters):
    (x,), (gamma, beta), eps = inputs, (parameters["gamma"], parameters["beta"]), settings["eps"]
    if x.dtype == np.float32:
        return nd.InstanceNorm(x, gamma, beta, eps=eps)
    # MXNet's InstanceNorm fails in float64
    places = tuple(range(2, x.ndim))
    centered = nd.broadcast_sub(x, nd.mean(x, axis=places, keepdims=True))
    variance = nd.mean(nd.square(centered), axis=places, keepdims=True)
    shape = (1, -1, *[1] * len(places))
    scaled = nd.broadcast_mul(nd.broadcast_div(centered, nd.sqrt(variance + eps)), gamma.reshape(shape))
    return nd.broadcast_add(scaled, beta.reshape(shape))


def _selu(_settings, inputs, _parameters):
    # the gradient of MXNet's own selu is wrong: it takes the output for the input
    return SELU_SCALE * nd.LeakyReLU(inputs[0], act_type="elu", slope=SELU_SLOPE)


def _resize_bilinear(x, size, align_corners):
    if x.dtype == np.float32:
        return nd.contrib.BilinearResize2D(x, height=size[0], width=size[1], align_corners=align_corners)
    # MXNet computes the places in float32 even for float64 values
    rows, columns = (
        nd.array(interpolation_matrix(before, after, align_corners).T, dtype=x.dtype)
        for before, after in zip(x.shape[2:], size)
    )
    return nd.dot(nd.dot(x.swapaxes(2, 3), rows).swapaxes(2, 3), columns)


def _pad(settings, inputs, _parameters):
    widths = [width for pair in settings["widths"] for width in pair]
    return nd.pad(inputs[0], mode=settings["mode"], pad_width=widths, constant_value=settings.get("value", 0))


def _crop(settings, inputs, _parameters):
    (x,) = inputs
    for axis, begin, end in zip(settings["axes"], settings["begins"], settings["ends"]):
        x = nd.slice_axis(x, axis=axis, begin=begin, end=end)
    return x


def _reshape(settings, inputs, _parameters):
    return nd.reshape(inputs[0], shape=[-1 if size is None else size for size in settings["shape"]])


def _of_input(function, **fixed) -> Compute:
    return lambda _settings, inputs, _parameters: function(inputs[0], **fixed)


def _of_two(function) -> Compute:
    return lambda _settings, inputs, _parameters: function(*inputs)


def _with_scalar(function) -> Compute:
    return lambda settings, inputs, _parameters: function(inputs[0], settings["scalar"])


def _over_axes(function) -> Compute:
    return lambda settings, inputs, _parameters: function(
        inputs[0], axis=tuple(settings["axes"]), keepdims=settings["keepdims"]
    )


def _with_settings(function, **names) -> Compute:
    """Return the computation of an operator that has the same settings, under the `names` that MXNet gives them."""

    def compute(settings, inputs, parameters):
        given = {names.get(name, name): value for name, value in settings.items()}
        return function(*inputs, *parameters.values(), **given)

    return compute


COMPUTE: dict[str, Compute] = {
    "convolution": _convolve,
    "transposed_convolution": _convolve,
    "dense": _dense,
    "batch_norm": _batch_norm,
    "layer_norm": _with_settings(nd.LayerNorm),
    "instance_norm": _instance_norm,
    "group_norm": _with_settings(nd.GroupNorm, groups="num_groups"),
    "prelu": lambda _settings, inputs, parameters: nd.LeakyReLU(inputs[0], parameters["slope"], act_type="prelu"),
    "max_pool": _pool("max"),
    "average_pool": _pool("avg"),
    "global_max_pool": _global_pool("max"),
    "global_average_pool": _global_pool("avg"),
    "adaptive_average_pool": lambda settings, inputs, _: nd.contrib.AdaptiveAvgPooling2D(
        inputs[0], output_size=tuple(settings["size"])
    ),
    "local_response_norm": _local_response_norm,
    "relu": _of_input(nd.relu),
    "sigmoid": _of_input(nd.sigmoid),
    "tanh": _of_input(nd.tanh),
    "softplus": _of_input(nd.Activation, act_type="softrelu"),
    "softsign": _of_input(nd.softsign),
    "leaky_relu": _with_settings(lambda x, slope: nd.LeakyReLU(x, act_type="leaky", slope=slope)),
    "elu": _with_settings(lambda x, slope: nd.LeakyReLU(x, act_type="elu", slope=slope)),
    "selu": _selu,
    "gelu": _of_input(nd.LeakyReLU, act_type="gelu"),
    "hard_sigmoid": _with_settings(nd.hard_sigmoid),
    "softmax": _with_settings(nd.softmax),
    "clip": _with_settings(nd.clip, low="a_min", high="a_max"),
    "pad": _pad,
    "upsample_nearest": _with_settings(lambda x, scale: nd.UpSampling(x, scale=scale, sample_type="nearest")),
    "resize_bilinear": _with_settings(_resize_bilinear),
    "concat": lambda settings, inputs, _parameters: nd.concat(*inputs, dim=settings["axis"]),
    "add": _of_two(nd.broadcast_add),
    "subtract": _of_two(nd.broadcast_sub),
    "multiply": _of_two(nd.broadcast_mul),
    "divide": _of_two(nd.broadcast_div),
    "maximum": _of_two(nd.broadcast_maximum),
    "matrix_product": _with_settings(
        lambda x, y, transposed: nd.batch_dot(x, y, transpose_a=transposed[0], transpose_b=transposed[1])
    ),
    "sum_of_inputs": _of_two(nd.add_n),
    "flatten": _of_input(nd.flatten),
    "reshape": _reshape,
    "slice": _with_settings(nd.slice_axis),
    "crop": _crop,
    "expand_dims": _with_settings(nd.expand_dims),
    "transpose": _with_settings(nd.transpose, order="axes"),
    "square": _of_input(nd.square),
    "sqrt": _of_input(nd.sqrt),
    "exp": _of_input(nd.exp),
    "abs": _of_input(nd.abs),
    "zeros_like": _of_input(nd.zeros_like),
    "ones_like": _of_input(nd.ones_like),
    "stop_gradient": _of_input(nd.stop_gradient),
    "mean": _over_axes(nd.mean),
    "sum": _over_axes(nd.sum),
    "max": _over_axes(nd.max),
    "add_scalar": _with_scalar(lambda x, scalar: x + scalar),
    "subtract_scalar": _with_scalar(lambda x, scalar: x - scalar),
    "subtract_from_scalar": _with_scalar(lambda x, scalar: scalar - x),
    "multiply_scalar": _with_scalar(lambda x, scalar: x * scalar),
    "divide_scalar": _with_scalar(lambda x, scalar: x / scalar),
    "divide_scalar_by": _with_scalar(lambda x, scalar: scalar / x),
    "power_scalar": _with_scalar(lambda x, scalar: x**scalar),
    "maximum_scalar": _with_scalar(nd.maximum),
    "minimum_scalar": _with_scalar(nd.minimum),
}
