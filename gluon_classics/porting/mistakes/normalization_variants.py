"""Mistakes in normalizations: batch normalization and local response normalization."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from ..replay import replay
from .variants import Variant, other_settings

# --- normalization


def _batch_norm(change):
    """Make the result of a batch normalization by a function of (x, mean, variance, gamma, beta, eps)."""

    def result(case):
        mean, variance = _statistics(case)
        shape = [1] * case.x.ndim
        shape[case.operation.settings["axis"]] = -1
        gamma, beta = case.parameter("gamma"), case.parameter("beta")
        if case.operation.settings["fixed_gamma"]:
            gamma = np.ones_like(gamma)
        arrays = (array.reshape(shape) for array in (mean, variance, gamma, beta))
        return change(case.x, *arrays, case.operation.settings["eps"])

    return result


def _statistics(case):
    if case.training and not case.operation.settings["use_running"]:
        return replay.batch_statistics(case.operation, case.values)
    return case.parameter("running_mean"), case.parameter("running_var")


def _plain(x, mean, variance, gamma, beta, eps):
    return (x - mean) / np.sqrt(variance + eps) * gamma + beta


def _bessel(x, variance):
    n = x.size / variance.size
    return variance * n / (n - 1) if n > 1 else variance


def _over(*axes):
    def change(x, _mean, _variance, gamma, beta, eps):
        if x.ndim != 4:
            return None
        return _plain(x, x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True), gamma, beta, eps)

    return change


def _wrong_mode(training):
    def result(case):
        if case.training == training or case.operation.settings["use_running"]:
            return None
        return replay.forward(case.operation, case.values, training)

    return result


def _relu_first(case):
    if any(row.kind == "relu" for row in case.consumers()):
        return case.with_input(np.maximum(case.x, 0))
    return None


def _not_fixed(own, _case):
    return False if own["fixed_gamma"] else None


_BN = ("batch_norm",)
_EPSILONS = (1e-5, 1e-3, 1e-6, 2e-5, 1e-4, 1e-7, 1e-8, 1e-12, 1e-2, 0.0)
_APPLIED = "gamma is applied, although it is fixed at 1"
_NORMALIZATION = [
    Variant("it takes the statistics of the batch in prediction mode", _BN, _wrong_mode(True)),
    Variant("it takes the running statistics in training mode", _BN, _wrong_mode(False)),
    *(
        other_settings(f"eps is {eps:g}", ("batch_norm", "layer_norm", "instance_norm", "group_norm"), eps=eps)
        for eps in _EPSILONS
    ),
    other_settings(_APPLIED, _BN, fixed_gamma=_not_fixed),
    *(other_settings(f"{_APPLIED}, and eps is {eps:g}", _BN, fixed_gamma=_not_fixed, eps=eps) for eps in _EPSILONS),
    Variant("the ReLU comes before the batch normalization", _BN, _relu_first),
    Variant("gamma is missing", _BN, _batch_norm(lambda x, m, v, g, b, eps: _plain(x, m, v, 1, b, eps))),
    Variant("beta is missing", _BN, _batch_norm(lambda x, m, v, g, b, eps: _plain(x, m, v, g, 0, eps))),
    Variant("gamma and beta are missing", _BN, _batch_norm(lambda x, m, v, g, b, eps: _plain(x, m, v, 1, 0, eps))),
    Variant("gamma and beta are swapped", _BN, _batch_norm(lambda x, m, v, g, b, eps: _plain(x, m, v, b, g, eps))),
    Variant("1 + gamma is the factor", _BN, _batch_norm(lambda x, m, v, g, b, eps: _plain(x, m, v, 1 + g, b, eps))),
    Variant(
        "mean and variance are swapped", _BN, _batch_norm(lambda x, m, v, g, b, eps: _plain(x, v, abs(m), g, b, eps))
    ),
    Variant("the mean is not subtracted", _BN, _batch_norm(lambda x, m, v, g, b, eps: _plain(x, 0, v, g, b, eps))),
    Variant(
        "the variance is unbiased (n - 1)",
        _BN,
        _batch_norm(lambda x, m, v, g, b, eps: _plain(x, m, _bessel(x, v), g, b, eps)),
    ),
    Variant(
        "eps is added after the square root",
        _BN,
        _batch_norm(lambda x, m, v, g, b, eps: (x - m) / (np.sqrt(v) + eps) * g + b),
    ),
    Variant(
        "it divides by the variance without a square root",
        _BN,
        _batch_norm(lambda x, m, v, g, b, eps: (x - m) / (v + eps) * g + b),
    ),
    Variant("it is an instance normalization", _BN, _batch_norm(_over(2, 3))),
    Variant("it is a layer normalization over channels, height and width", _BN, _batch_norm(_over(1, 2, 3))),
    Variant("it is a layer normalization over channels", _BN, _batch_norm(_over(1))),
]


# --- local response normalization


def _over_space(case):
    """Return the normalization by the neighbors in height and width."""
    s = case.operation.settings
    half = s["size"] // 2
    squares = np.pad(case.x**2, [(0, 0), (0, 0), (half, half), (half, half)])
    height, width = case.x.shape[2:]
    sums = sum(squares[:, :, i : i + height, j : j + width] for i, j in product(range(s["size"]), repeat=2))
    divisor = s["size"] ** 2 if s["alpha_divided_by_size"] else 1
    return case.x * (s["k"] + s["alpha"] / divisor * sums) ** -s["beta"]


def _response(**changes):
    """Make the result with other constants; "alpha" is a factor or "size" or "1/size"."""

    def result(case):
        own = case.operation.settings
        settings = {key: value for key, value in changes.items() if key != "alpha"}
        if "radius" in settings:
            settings["size"] = 2 * own["size"] + 1
            del settings["radius"]
        if "alpha" in changes:
            settings["alpha_divided_by_size"] = False
            settings["alpha"] = _alpha(own, changes["alpha"])
        if all(own.get(key) == value for key, value in settings.items()):
            return None
        return case.with_settings(**settings)

    return result


def _alpha(own, rule):
    divided = own["alpha"] / own["size"] if own["alpha_divided_by_size"] else own["alpha"]
    factors = {"not divided": own["size"], "divided twice": 1 / own["size"]}
    return divided * factors.get(rule, rule if isinstance(rule, (int, float)) else 1)


_CONSTANTS: list[tuple[str, dict]] = [
    *(
        ("alpha is not divided by the size", {"alpha": "not divided"}),
        ("alpha is divided twice", {"alpha": "divided twice"}),
    ),
    *((f"k is {k:g}", {"k": float(k)}) for k in (1, 2, 0)),
    *((f"beta is {beta:g}", {"beta": beta}) for beta in (0.75, 0.5, 1.0)),
    *((f"the size is {size}", {"size": size}) for size in (5, 3, 7, 9)),
    ("the size is taken for the radius", {"radius": True}),
    *((f"alpha is {factor:g} times as large", {"alpha": factor}) for factor in (10.0, 0.1, 2.0, 0.5)),
]
_LRN = ("local_response_norm",)
_RESPONSE = [
    *(Variant(name, _LRN, _response(**changes)) for name, changes in _CONSTANTS),
    Variant("it sums over neighbors in height and width", _LRN, _over_space),
]

NORMALIZATION_VARIANTS = [*_NORMALIZATION, *_RESPONSE]
# two mistakes at once, which are tried last
COMBINED_VARIANTS = [
    *(
        Variant(f"{first} and {second}", _LRN, _response(**changes, **others))
        for (first, changes), (second, others) in permutations(_CONSTANTS, 2)
        if list(changes) < list(others)
    ),
]
