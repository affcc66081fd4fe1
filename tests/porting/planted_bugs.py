"""Mistakes to plant in ports of LeNet, ResNet-18 and GoogLeNet, with the place and the words that must be reported."""

from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

from gluon_classics.porting.replay import replay
import numpy as np
import numpy_port
from numpy_port import forward_port, training_port

LENET, RESNET, GOOGLENET = "lenet", "resnet18_v1", "googlenet_v1"


class Bug(NamedTuple):
    """A planted mistake.

    Attributes:
        network: Network of the port.
        place: Name that must be reported.
        words: Words that the cause must contain; empty for a mistake without a variant.
        port: Function from the trace to the tensors of the port.
        steps: Number of steps of the trace.
    """

    network: str
    place: str
    words: str
    port: Any
    steps: int = 3


def _settings(**settings):
    return lambda case: replace(case.operation, settings={**case.operation.settings, **settings})


def _kind(kind, **settings):
    return lambda case: replace(case.operation, kind=kind, settings={**case.operation.settings, **settings})


def _forward(network, place, words, plant, modes=None, drop=()):
    modes = modes or (("eval", "train") if network == LENET else ("eval",))
    return Bug(network, place, words, lambda trace: forward_port(trace, {place: plant}, modes=modes, drop=drop))


def _weight(network, name, words, change):
    def port(trace):
        arrays, _, _ = numpy_port.start(trace)
        return forward_port(trace, parameters={name: change(arrays[name], arrays)}, modes=("eval",))

    return Bug(network, name, words, port)


def _input(words, change, network=LENET):
    def port(trace):
        _, images, _ = numpy_port.start(trace)
        return forward_port(trace, images=np.ascontiguousarray(change(images)), modes=("eval",))

    return Bug(network, "input", words, port)


def _fresh(scale, uniform):
    def change(array, _arrays):
        generator = np.random.RandomState(7)
        if uniform:
            return generator.uniform(-scale(array), scale(array), array.shape)
        return scale(array) * generator.normal(size=array.shape)

    return change


C1, C2, FC1, FC2 = "0", "2", "5", "6"
RC, RBN = "conv3_x.0.body.3", "conv3_x.0.body.4"

WEIGHTS = [
    _weight(LENET, "2.weight", "kernel is flipped", lambda w, _: w[:, :, ::-1, ::-1]),
    _weight(RESNET, f"{RC}.weight", "height and width of the kernel are swapped", lambda w, _: w.swapaxes(2, 3)),
    _weight(
        GOOGLENET,
        "conv2.weight",
        "(height, width, in, out) are reshaped",
        lambda w, _: w.transpose(2, 3, 1, 0).reshape(w.shape),
    ),
    _weight(LENET, "2.weight", "kernel is mirrored left to right", lambda w, _: w[..., ::-1]),
    _weight(LENET, "5.weight", "(in, out) are reshaped", lambda w, _: w.T.reshape(w.shape)),
    _weight(RESNET, f"{RC}.weight", "input and output channels are swapped", lambda w, _: w.swapaxes(0, 1)),
    _weight(RESNET, "conv1.0.weight", "BGR", lambda w, _: w[:, ::-1]),
    _weight(
        RESNET,
        f"{RC}.weight",
        "another layer's parameter: conv3_x.1.body.0.weight",
        lambda _, arrays: arrays["conv3_x.1.body.0.weight"],
    ),
    _weight(RESNET, f"{RBN}.gamma", "value of beta", lambda _, arrays: arrays[f"{RBN}.beta"]),
    _weight(RESNET, f"{RBN}.beta", "value of gamma", lambda _, arrays: arrays[f"{RBN}.gamma"]),
    _weight(RESNET, f"{RBN}.running_mean", "value of running_var", lambda _, arrays: arrays[f"{RBN}.running_var"]),
    _weight(LENET, "2.bias", "not loaded", lambda b, _: 0 * b),
    _weight(RESNET, f"{RBN}.running_var", "not loaded", lambda v, _: np.ones_like(v)),
    _weight(RESNET, f"{RBN}.running_var", "square root", lambda v, _: np.sqrt(v)),
    _weight(
        LENET,
        "5.weight",
        "freshly initialized: PyTorch's default",
        _fresh(lambda w: w.shape[1] ** -0.5, True),
    ),
    _weight(
        RESNET,
        f"{RC}.weight",
        "freshly initialized: He, normal",
        _fresh(lambda w: np.sqrt(2 / np.prod(w.shape[1:])), False),
    ),
    _weight(LENET, "6.weight", "half precision", lambda w, _: w.astype(np.float16).astype(float)),
    _weight(
        LENET,
        "5.weight",
        "order height, width, channel",
        lambda w, _: w.reshape(128, 50, 5, 5).transpose(0, 2, 3, 1).reshape(w.shape),
    ),
    _weight(LENET, "2.weight", "output channels are in another order", lambda w, _: np.roll(w, 1, axis=0)),
    _weight(LENET, "6.weight", "multiplied by 0.5", lambda w, _: w / 2),
]

INPUT = [
    _input("multiplied by 255", lambda x: 255 * x),
    _input("divided by 255", lambda x: x / 255),
    _input("mean 0.1307, standard deviation 0.3081", lambda x: (x - 0.1307) / 0.3081),
    _input(
        "mean 0.485, 0.456, 0.406, standard deviation 0.229, 0.224, 0.225",
        lambda x: (
            (x - np.reshape([0.485, 0.456, 0.406], (1, 3, 1, 1))) / np.reshape([0.229, 0.224, 0.225], (1, 3, 1, 1))
        ),
        RESNET,
    ),
    _input("blue, green, red", lambda x: x[:, ::-1], RESNET),
    _input("reshaped, not transposed", lambda x: x.transpose(0, 2, 3, 1).reshape(x.shape), RESNET),
    _input("height and width are swapped", lambda x: x.swapaxes(2, 3)),
    _input("mirrored", lambda x: x[..., ::-1]),
    _input("rounded to whole numbers of 1/255", lambda x: np.round(x * 255) / 255),
    _input("upside down", lambda x: x[:, :, ::-1]),
]


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


def _softmax(x):
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
    _forward(LENET, FC2, "softmax is applied to the output", lambda c: _softmax(c.right())),
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


# --- training: running statistics, loss, gradients, optimizer


def _training(network, place, words, **changes):
    return Bug(network, place, words, lambda trace: training_port(trace, **changes))


def _loss(network, words, change):
    """Plant a loss; `change` is a function of (logits, labels)."""

    def port(trace):
        output = trace.graph.outputs[0]
        return training_port(trace, loss=lambda values, label: change(values[output], label))

    return Bug(network, "loss", words, port)


def _cross_entropy(x, y):
    shifted = x - x.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(x)), y]


def _smoothed(x, y):
    logarithms = np.log(_softmax(x))
    return (0.9 * _cross_entropy(x, y) - 0.1 * logarithms.mean(axis=1)).mean()


def _with_auxiliary(factor):
    def port(trace):
        tensors = forward_port(trace, modes=("train",))
        terms = [_cross_entropy(tensors[f"train/{name}"], tensors["label"]).mean() for name in trace.graph.outputs]
        return {**tensors, "loss": terms[0] + factor * sum(terms[1:])}

    return Bug(GOOGLENET, "loss", f"factor of the auxiliary losses is {factor:g}", port)


def _norm(arrays):
    return np.sqrt(sum((array**2).sum() for array in arrays))


LOSS = [
    _loss(LENET, "summed over the batch", lambda x, y: _cross_entropy(x, y).sum()),
    _loss(LENET, "softmax is applied twice", lambda x, y: _cross_entropy(_softmax(x), y).mean()),
    _loss(LENET, "1 too large", lambda x, y: _cross_entropy(x, (y + 1) % 10).mean()),
    _loss(LENET, "1 too small", lambda x, y: _cross_entropy(x, (y - 1) % 10).mean()),
    _loss(LENET, "smoothed by 0.1", _smoothed),
    _loss(LENET, "base 10", lambda x, y: _cross_entropy(x, y).mean() / np.log(10)),
    _loss(
        LENET,
        "squared error of the probabilities, summed",
        lambda x, y: ((_softmax(x) - np.eye(10)[y]) ** 2).sum(axis=1).mean(),
    ),
    _loss(LENET, "averaged over the classes", lambda x, y: _cross_entropy(x, y).mean() / 10),
    _loss(LENET, "taken for log-probabilities", lambda x, y: -x[np.arange(len(x)), y].mean()),
    _with_auxiliary(1.0),
    _with_auxiliary(0.0),
]

GRADIENTS = [
    _training(
        LENET, "6.weight", "summed over the batch", change_gradients=lambda g, _: {n: 2 * a for n, a in g.items()}
    ),
    _training(
        LENET,
        "6.weight",
        "clipped to the norm 0.5",
        change_gradients=lambda g, _: {n: a * min(1, 0.5 / _norm(g.values())) for n, a in g.items()},
    ),
    _training(
        LENET,
        "6.weight",
        "weight decay is included",
        change_gradients=lambda g, w: {n: a + 1e-2 * w[n] for n, a in g.items()},
    ),
    _training(LENET, "6.weight", "opposite sign", change_gradients=lambda g, _: {n: -a for n, a in g.items()}),
    _training(
        LENET, "2.weight", "detached or frozen", change_gradients=lambda g, _: {**g, "2.weight": 0 * g["2.weight"]}
    ),
    _training(
        LENET,
        "2.weight",
        "kernel is mirrored top to bottom",
        change_gradients=lambda g, _: {**g, "2.weight": g["2.weight"][..., ::-1, :]},
    ),
]


def _at(place, change):
    """Plant other running statistics in one layer."""

    def running(name, old, batch, keep, count):
        right = keep * old + (1 - keep) * batch
        return change(old, batch, keep, count) if name == place else right

    return running


def _unbiased(batch, count):
    return batch * np.array([[1], [count / (count - 1)]])


STATISTICS = [
    _training(RESNET, "conv4_x.0.body.1", words, running=_at("conv4_x.0.body.1", change))._replace(steps=1)
    for words, change in (
        ("other convention", lambda old, batch, keep, n: (1 - keep) * old + keep * batch),
        ("running variance is unbiased", lambda old, batch, keep, n: keep * old + (1 - keep) * _unbiased(batch, n)),
        ("not updated", lambda old, batch, keep, n: old),
        ("those of the last batch", lambda old, batch, keep, n: batch),
        ("keep 0.99", lambda old, batch, keep, n: 0.99 * old + 0.01 * batch),
        (
            "convention, and the running variance is unbiased",
            lambda old, batch, keep, n: (1 - keep) * old + keep * _unbiased(batch, n),
        ),
    )
]


def _sgd(state, w, g, lr, momentum, decay):
    """SGD of PyTorch: the learning rate is outside the momentum."""
    g = g + decay * w
    state["b"] = momentum * state["b"] + g if "b" in state else g
    return -lr * state["b"]


def _inside(state, g, lr, momentum):
    state["v"] = momentum * state.get("v", 0) - lr * g
    return state["v"]


def _nesterov(n, w, g, lr, m, wd, s, norm):
    velocity = _inside(s, g + wd * w, lr, m)
    return m * velocity - lr * (g + wd * w)


def _torch_nesterov(n, w, g, lr, m, wd, s, norm):
    _sgd(s, w, g, lr, m, wd)
    return -lr * (g + wd * w + m * s["b"])


def _adam(n, w, g, lr, m, wd, s, norm):
    g = g + wd * w
    s["t"] = s.get("t", 0) + 1
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["s"] = 0.999 * s.get("s", 0) + 0.001 * g * g
    return -lr * s["m"] / (1 - 0.9 ** s["t"]) / (np.sqrt(s["s"] / (1 - 0.999 ** s["t"])) + 1e-8)


_RULES = (
    ("weight decay is missing", lambda n, w, g, lr, m, wd, s, norm: _inside(s, g, lr, m)),
    (
        "weight decay is missing (only for bias)",
        lambda n, w, g, lr, m, wd, s, norm: _inside(s, g + wd * w * ("weight" in n), lr, m),
    ),
    ("weight decay is halved", lambda n, w, g, lr, m, wd, s, norm: _inside(s, g + wd / 2 * w, lr, m)),
    ("decoupled from the momentum, times", lambda n, w, g, lr, m, wd, s, norm: _inside(s, g, lr, m) - lr * wd * w),
    ("learning rate is outside the momentum", lambda n, w, g, lr, m, wd, s, norm: _sgd(s, w, g, lr, m, wd)),
    ("dampened by 1 - momentum", lambda n, w, g, lr, m, wd, s, norm: _inside(s, (1 - m) * (g + wd * w), lr, m)),
    ("momentum is Nesterov's", _nesterov),
    ("Nesterov's, with the learning rate outside", _torch_nesterov),
    ("momentum is missing", lambda n, w, g, lr, m, wd, s, norm: -lr * (g + wd * w)),
    ("stays that of the first step", lambda n, w, g, lr, m, wd, s, norm: _inside(s, g + wd * w, 1e-3, m)),
    ("learning rate is 4 times", lambda n, w, g, lr, m, wd, s, norm: _inside(s, g + wd * w, 4 * lr, m)),
    ("clipped to the norm 0.5", lambda n, w, g, lr, m, wd, s, norm: _inside(s, g * min(1, 0.5 / norm) + wd * w, lr, m)),
    ("moving average with the share 0.99", lambda n, w, g, lr, m, wd, s, norm: 0.01 * _inside(s, g + wd * w, lr, m)),
    ("divided by the batch size once more", lambda n, w, g, lr, m, wd, s, norm: _inside(s, g / 2 + wd * w, lr, m)),
    ("not updated", lambda n, w, g, lr, m, wd, s, norm: 0 * w),
    ("Adam", _adam),
    ("times as large", lambda n, w, g, lr, m, wd, s, norm: _inside(s, g + wd * w, -lr, m)),
)
OPTIMIZER = [
    _training(LENET, "0.bias" if "only for bias" in words else "0.weight", words, rule=rule) for words, rule in _RULES
]

# --- mistakes that nobody gave a name


def _zero_row(case):
    weight = case.parameter("weight").copy()
    weight[:, :, 0] = 0
    return case.with_parameters(weight=weight)


def _noisy(array, _arrays):
    return array * (1 + 0.01 * np.random.RandomState(5).normal(size=array.shape))


def _one_element(array, _arrays):
    changed = array.copy()
    changed.flat[7] += 1
    return changed


def _blurred(x):
    return (x + np.roll(x, 1, axis=3)) / 2


UNKNOWN = [
    _weight(LENET, "2.weight", "", _noisy),
    _weight(LENET, "5.weight", "", _one_element),
    _input("", lambda x: np.sign(x) * abs(x) ** 0.45),
    _input("", _blurred),
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
    _loss(LENET, "", lambda x, y: (_cross_entropy(x, y) * (1 - np.exp(-_cross_entropy(x, y))) ** 2).mean()),
    _training(
        RESNET, "conv4_x.0.body.1", "", running=_at("conv4_x.0.body.1", lambda old, b, k, n: 0.83 * old + 0.17 * b)
    ),
    _training(LENET, "0.weight", "", rule=lambda n, w, g, lr, m, wd, s, norm: _inside(s, g + wd * w, 1.3 * lr, m)),
    _training(
        LENET,
        "5.weight",
        "",
        change_gradients=lambda g, _: {**g, "5.weight": g["5.weight"] + 0.01 * abs(g["5.weight"])},
    ),
]


def _kinds_mean(case):
    return replay.forward(_kind("average_pool", include_pad=True)(case), case.values)


NAMED = [*WEIGHTS, *INPUT, *FORWARD, *LOSS, *GRADIENTS, *STATISTICS, *OPTIMIZER]

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
    "6": ("softmax is applied to the output", lambda c: _softmax(c.right())),
}
PAIRS = list(combinations(_PLANTS, 2))


def pair(places):
    """Return two mistakes, and what to plant for both."""
    first, second = (Bug(LENET, place, _PLANTS[place][0], None) for place in places)
    return first, second, {place: _PLANTS[place][1] for place in places}
