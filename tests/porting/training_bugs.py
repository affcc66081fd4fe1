"""Mistakes in the training of a port: loss, gradients, running statistics and optimizer."""

from bug import GOOGLENET, LENET, RESNET, Bug
from forward_bugs import softmax
import numpy as np
from numpy_port import forward_port, training_port


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
    logarithms = np.log(softmax(x))
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
    _loss(LENET, "softmax is applied twice", lambda x, y: _cross_entropy(softmax(x), y).mean()),
    _loss(LENET, "1 too large", lambda x, y: _cross_entropy(x, (y + 1) % 10).mean()),
    _loss(LENET, "1 too small", lambda x, y: _cross_entropy(x, (y - 1) % 10).mean()),
    _loss(LENET, "smoothed by 0.1", _smoothed),
    _loss(LENET, "base 10", lambda x, y: _cross_entropy(x, y).mean() / np.log(10)),
    _loss(
        LENET,
        "squared error of the probabilities, summed",
        lambda x, y: ((softmax(x) - np.eye(10)[y]) ** 2).sum(axis=1).mean(),
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

# --- mistakes without a variant

UNKNOWN_TRAINING = [
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
