"""Mistakes in the outputs of a port's layers."""

from dataclasses import replace
from itertools import combinations

from bug import C1, C2, FC1, FC2, GOOGLENET, LENET, RESNET, Bug
from gluon_classics.porting.replay import replay
import numpy as np
from numpy_port import forward_port


def _settings(**settings):
    return lambda case: replace(case.operation, settings={**case.operation.settings, **settings})


def _kind(kind, **settings):
    return lambda case: replace(case.operation, kind=kind, settings={**case.operation.settings, **settings})


def _forward(network, place, words, plant, modes=None, drop=()):
    modes = modes or (("eval", "train") if network == LENET else ("eval",))
    return Bug(network, place, words, lambda trace: forward_port(trace, {place: plant}, modes=modes, drop=drop))


def _same_padding(x, kernel, stride):
    """Pad as TensorFlow's SAME does."""
    widths = [(0, 0), (0, 0)]
    for size in x.shape[2:]:
        total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        widths.append((total // 2, total - total // 2))
    return np.pad(x, widths)


def _no_bias(case):
    return replace(case.operation, parameters={"weight": case.operation.parameters["weight"]})


def _same(case):
    padded = _same_padding(case.x, case.operation.settings["kernel"][0], case.operation.settings["stride"][0])
    return case.with_input(padded, _settings(padding=[0, 0, 0, 0])(case))


def _reflected(mode):
    def plant(case):
        widths = [(0, 0), (0, 0), (1, 1), (1, 1)]
        return case.with_input(np.pad(case.x, widths, mode=mode), _settings(padding=[0, 0, 0, 0])(case))

    return plant


def _normalized(case, **changes):
    """Batch normalization written out."""
    mean, variance = (
        replay.batch_statistics(case.operation, case.values)
        if case.training
        else (case.parameter("running_mean"), case.parameter("running_var"))
    )
    rows = {
        "mean": mean,
        "variance": variance,
        "gamma": case.parameter("gamma"),
        "beta": case.parameter("beta"),
        **changes,
    }
    a = {key: np.reshape(value, (1, -1, 1, 1)) for key, value in rows.items()}
    return (case.x - a["mean"]) / np.sqrt(a["variance"] + 1e-5) * a["gamma"] + a["beta"]


def _relu(x):
    return np.maximum(x, 0)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _tf32(case):
    names = (*case.operation.inputs, *case.operation.parameters.values())
    mantissa = {}
    for name in names:
        part, exponent = np.frexp(case.values[name])
        mantissa[name] = np.ldexp(np.round(part * 2**11) / 2**11, exponent)
    return mantissa


def _instance(case):
    x = case.x
    normalized = (x - x.mean(axis=(2, 3), keepdims=True)) / np.sqrt(x.var(axis=(2, 3), keepdims=True) + 1e-5)
    return normalized * case.parameter("gamma").reshape(1, -1, 1, 1) + case.parameter("beta").reshape(1, -1, 1, 1)


def _before_pool(case):
    pool = case.producer()
    return replay.forward(pool, {pool.inputs[0]: case.with_input(case.values[pool.inputs[0]])})


def _dropped(case):
    kept = np.random.RandomState(3).uniform(size=case.x.shape) < 0.5
    return case.x * kept / (1 - case.operation.settings["drop"])


def _over_space(case):
    x, s = case.x, case.operation.settings
    squares = np.pad(x**2, [(0, 0), (0, 0), (2, 2), (2, 2)])
    height, width = x.shape[2:]
    sums = sum(squares[:, :, i : i + height, j : j + width] for i in range(5) for j in range(5))
    return x / (s["k"] + s["alpha"] / 25 * sums) ** s["beta"]


def _same_pool(case):
    padded = np.where(np.isnan(_same_padding(case.x, 3, 2)), 0, _same_padding(case.x - 1e9, 3, 2))
    padded = np.where(padded == 0, -np.inf, padded + 1e9)
    return case.with_input(padded, _settings(padding=[0, 0, 0, 0])(case))


FORWARD = [
    _forward(LENET, C1, "bias is missing", _no_bias),
    _forward(LENET, FC1, "bias is missing", _no_bias),
    _forward(
        LENET, C1, "kernel is flipped", lambda c: c.with_parameters(weight=c.parameter("weight")[..., ::-1, ::-1])
    ),
    _forward(
        LENET,
        C2,
        "height and width of the kernel",
        lambda c: c.with_parameters(weight=c.parameter("weight").swapaxes(2, 3)),
    ),
    _forward(LENET, "0.act", "it is missing", lambda c: c.x),
    _forward(LENET, "2.act", "tanh", lambda c: np.tanh(c.x)),
    _forward(LENET, "2.act", "leaky ReLU with slope 0.01", lambda c: np.where(c.x > 0, c.x, 0.01 * c.x)),
    _forward(LENET, "5.act", "sigmoid", lambda c: 1 / (1 + np.exp(-c.x))),
    _forward(
        LENET, "5.act", "GELU", lambda c: 0.5 * c.x * (1 + np.tanh(np.sqrt(2 / np.pi) * (c.x + 0.044715 * c.x**3)))
    ),
    _forward(LENET, "1", "average pooling", _kind("average_pool", include_pad=True)),
    _forward(LENET, "4", "height, width, channel", lambda c: c.x.transpose(0, 2, 3, 1).reshape(len(c.x), -1)),
    _forward(LENET, FC2, "softmax is applied to the output", lambda c: softmax(c.right())),
    _forward(LENET, FC2, "ReLU is applied to the output", lambda c: _relu(c.right())),
    _forward(LENET, FC1, "TF32", lambda c: replay.forward(c.operation, _tf32(c))),
    _forward(LENET, FC1, "output is rounded to half", lambda c: c.right().astype(np.float16)),
    _forward(LENET, C2, "input channels are in reverse order", lambda c: c.with_input(c.x[:, ::-1])),
    _forward(RESNET, "conv1.1", "eps is 0.001", _settings(eps=1e-3)),
    _forward(RESNET, "conv2_x.0.body.1", "eps is 1e-06", _settings(eps=1e-6)),
    _forward(
        RESNET,
        "conv1.1",
        "statistics of the batch in prediction",
        lambda c: replay.forward(c.operation, c.values, True),
    ),
    _forward(RESNET, "conv2_x.0.body.4", "it is missing", lambda c: c.x),
    _forward(RESNET, "conv2_x.0.body.4", "gamma is missing", lambda c: _normalized(c, gamma=np.ones(64))),
    _forward(RESNET, "conv2_x.0.body.4", "beta is missing", lambda c: _normalized(c, beta=np.zeros(64))),
    _forward(RESNET, "conv2_x.0.body.4", "mean is not subtracted", lambda c: _normalized(c, mean=np.zeros(64))),
    _forward(
        RESNET,
        "conv3_x.0.body.1",
        "variance is unbiased",
        lambda c: _normalized(c, variance=c.x.var(axis=(0, 2, 3), ddof=1)),
        modes=("train",),
    ),
    _forward(RESNET, "conv1.1", "ReLU comes before the batch", lambda c: c.with_input(_relu(c.x))),
    _forward(
        RESNET,
        "conv2_x.0.body.1",
        "running statistics in training",
        lambda c: replay.forward(c.operation, c.values, False),
        modes=("train",),
    ),
    Bug(
        RESNET,
        "conv3_x.0.body.0",
        "stride is 1",
        lambda trace: forward_port(
            trace, {"conv3_x.0.body.0": _settings(stride=[1, 1]), "conv3_x.0.body.3": _settings(stride=[2, 2])}
        ),
    ),
    _forward(RESNET, "conv1.0", "padding is larger by 1", _settings(padding=[4, 4, 4, 4])),
    _forward(RESNET, "conv1.0", "padding is missing", _settings(padding=[0, 0, 0, 0])),
    _forward(RESNET, "conv1.0", "dilation is 2", _settings(dilation=[2, 2])),
    _forward(RESNET, "pool1", "stride is 1", _settings(stride=[1, 1])),
    _forward(RESNET, "pool1", "kernel is 2", _settings(kernel=[2, 2])),
    _forward(RESNET, "pool1", "rounded up", _settings(rounding="ceil")),
    _forward(RESNET, "conv3_x.0:add", "second term is missing", lambda c: c.x),
    _forward(RESNET, "conv3_x.1:add", "first term is missing", lambda c: c.values[c.operation.inputs[1]]),
    _forward(
        RESNET,
        "conv4_x.0:relu",
        "ReLU comes before the sum",
        lambda c: np.add(*(f(c.values[n]) for f, n in zip((_relu, lambda x: x), c.producer().inputs))),
    ),
    _forward(RESNET, "conv3_x.1:relu", "it is missing", lambda c: c.x, drop=("conv3_x.1:add",)),
    _forward(RESNET, "conv3_x.0.body.0", '"same"', _same),
    _forward(RESNET, "conv1.0", '"same"', _same),
    _forward(RESNET, "pool1", '"same"', _same_pool),
    _forward(RESNET, "conv2_x.0.body.0", "reflection", _reflected("reflect")),
    _forward(RESNET, "conv2_x.0.body.0", "edge repeated", _reflected("edge")),
    _forward(RESNET, "conv2_x.0.body.3", "circular", _reflected("wrap")),
    _forward(RESNET, "pool5", "max pooling", lambda c: c.x.max(axis=(2, 3), keepdims=True)),
    _forward(RESNET, "pool1", "average pooling", _kind("average_pool", include_pad=True)),
    _forward(RESNET, "conv5_x.0.body.1", "instance normalization", lambda c: _instance(c)),
    _forward(RESNET, "conv2_x.0:add", "mean", lambda c: c.right() / 2),
    _forward(
        RESNET,
        "conv3_x.0:add",
        "ReLU is applied to the second term",
        lambda c: c.x + _relu(c.values[c.operation.inputs[1]]),
    ),
    _forward(
        RESNET,
        "conv3_x.0.body.1",
        "gamma and beta are swapped",
        lambda c: _normalized(c, gamma=c.parameter("beta"), beta=c.parameter("gamma")),
    ),
    _forward(GOOGLENET, "norm1", "alpha is not divided by the size", _settings(alpha_divided_by_size=False)),
    _forward(GOOGLENET, "norm1", "k is 1", _settings(k=1.0)),
    _forward(
        GOOGLENET, "norm1", "alpha is not divided by the size and k is 1", _settings(alpha_divided_by_size=False, k=1.0)
    ),
    _forward(GOOGLENET, "norm2", "size is 3", _settings(size=3)),
    _forward(GOOGLENET, "norm2", "beta is 0.5", _settings(beta=0.5)),
    _forward(GOOGLENET, "norm2", "neighbors in height and width", lambda c: _over_space(c)),
    _forward(GOOGLENET, "norm2", "it is missing", lambda c: c.x),
    _forward(GOOGLENET, "pool2", "rounded down", _settings(rounding="floor"), modes=("eval",)),
    _forward(
        GOOGLENET,
        "inception_3a:concat",
        "reverse order",
        lambda c: replace(c.operation, inputs=c.operation.inputs[::-1]),
    ),
    _forward(
        GOOGLENET,
        "inception_4b:concat",
        "order 2, 1, 3, 4",
        lambda c: replace(c.operation, inputs=tuple(c.operation.inputs[i] for i in (1, 0, 2, 3))),
    ),
    _forward(GOOGLENET, "inception_3a.p4_pool_3", "average pooling", _kind("average_pool", include_pad=True)),
    _forward(GOOGLENET, "norm1", "previous operation", lambda c: _before_pool(c)),
    _forward(
        GOOGLENET,
        "dropout",
        "not divided by 1 - drop",
        lambda c: c.x * c.mask if c.training else None,
        modes=("train",),
    ),
    _forward(
        GOOGLENET,
        "dropout",
        "swapped",
        lambda c: c.x * c.mask / c.operation.settings["drop"] if c.training else None,
        modes=("train",),
    ),
    _forward(GOOGLENET, "dropout", "active in prediction", lambda c: None if c.training else _dropped(c)),
    _forward(GOOGLENET, "dropout", "does not drop", lambda c: c.x if c.training else None, modes=("train",)),
    _forward(GOOGLENET, "dropout", "draws a new mask", lambda c: _dropped(c) if c.training else None, modes=("train",)),
    _forward(
        GOOGLENET,
        "dropout",
        "multiplies by 1 - drop",
        lambda c: None if c.training else c.x * (1 - c.operation.settings["drop"]),
    ),
]

# --- mistakes without a variant


def _zero_row(case):
    weight = case.parameter("weight").copy()
    weight[:, :, 0] = 0
    return case.with_parameters(weight=weight)


def _kinds_mean(case):
    return replay.forward(_kind("average_pool", include_pad=True)(case), case.values)


UNKNOWN_FORWARD = [
    _forward(LENET, C2, "", _zero_row),
    _forward(LENET, "2.act", "", lambda c: np.maximum(c.x, 0.1)),
    _forward(LENET, "0.act", "", lambda c: np.where(c.x > 0, c.x, 0.37 * c.x)),
    _forward(LENET, FC1, "", lambda c: c.right() + 0.05 * c.right() ** 2),
    _forward(LENET, "1", "", lambda c: (_kinds_mean(c) + c.right()) / 2),
    _forward(LENET, FC2, "", lambda c: np.where(np.arange(10) == 3, 0, c.right())),
    _forward(RESNET, "conv2_x.0:add", "", lambda c: c.x + 0.8 * c.values[c.operation.inputs[1]]),
    _forward(RESNET, "conv1.1", "", lambda c: _normalized(c) + 0.02 * c.x),
    _forward(RESNET, "conv2_x.0.body.1", "", _settings(eps=7e-4)),
    _forward(GOOGLENET, "norm1", "", lambda c: c.x / (2 + 1e-4 * abs(c.x)) ** 0.75),
    _forward(GOOGLENET, "inception_3a:concat", "", lambda c: np.roll(c.right(), 5, axis=1)),
]

# --- pairs

# mistakes of LeNet's forward pass by their place, for pairs
_PLANTS = {
    "0": ("bias is missing", _no_bias),
    "0.act": ("it is missing", lambda c: c.x),
    "1": ("average pooling", _kind("average_pool", include_pad=True)),
    "2": ("input channels are in reverse order", lambda c: c.with_input(c.x[:, ::-1])),
    "2.act": ("tanh", lambda c: np.tanh(c.x)),
    "4": ("height, width, channel", lambda c: c.x.transpose(0, 2, 3, 1).reshape(len(c.x), -1)),
    "5": ("bias is missing", _no_bias),
    "5.act": ("sigmoid", lambda c: 1 / (1 + np.exp(-c.x))),
    "6": ("softmax is applied to the output", lambda c: softmax(c.right())),
}
PAIRS = list(combinations(_PLANTS, 2))


def pair(places):
    """Return two mistakes, and what to plant for both."""
    first, second = (Bug(LENET, place, _PLANTS[place][0], None) for place in places)
    return first, second, {place: _PLANTS[place][1] for place in places}
