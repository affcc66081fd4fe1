"""Random arrays, and when two count as the same."""

import mxnet as mx
import numpy as np


def numbers(rng, *shape, scale=1.0):
    """Normal random numbers in float32."""
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def rounding(terms, dtype=np.float32):
    """Return how far two results of `terms` additions may be apart, as a share of the largest entry.

    Each addition rounds by at most u times its sum, u = eps / 2. The roundings are independent and uniform: after n of
    them the standard deviation is below u * sqrt(n / 3), and that of the difference of two results, added up in
    different orders, below u * sqrt(2 n / 3). Five of these are 4 u * sqrt(n).
    """
    return 4 * np.finfo(dtype).eps / 2 * np.sqrt(terms)


def terms_of(net):
    """Return how many terms an output of the network sums up, over all layers: a weight's inputs, 1 for a vector."""
    return sum(int(np.prod(parameter.shape[1:])) for parameter in net.collect_params().values())


def terms_of_gradients(net, x):
    """Return how many terms a gradient sums up: forward, back over each weight's outputs, and over all pixels of x."""
    weights = [parameter.shape for parameter in net.collect_params().values() if len(parameter.shape) > 1]
    back = sum(int(np.prod(shape)) // shape[1] for shape in weights)
    return terms_of(net) + back + x.size // x.shape[1]


def assert_close(actual, expected, terms):
    """Assert equality up to the rounding of `terms` additions in the type of `actual`, scaled by the largest entry."""
    assert np.ptp(expected) > 0
    atol = rounding(terms, actual.dtype) * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def assert_all_close(actual, expected, terms):
    """Assert that each array of one sequence is close to its counterpart and has its type."""
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        assert a.dtype == b.dtype
        assert_close(a, b, terms)


def assert_gradients_close(draw, terms, draws=8):
    """Assert that the gradients are close in one of several draws.

    `draw()` draws images with MXNet and returns two lists of arrays. Where two inputs of a max pool, or an input of a
    ReLU and 0, differ by no more than rounding, the result depends on the order of the additions, and gradients jump.
    That depends on the images; a fault of the network shows in every draw.
    """
    for number in range(draws):
        mx.random.seed(number)  # `draw` may seed MXNet, so that all further images would be the same
        actual, expected = draw()
        try:
            assert_all_close(actual, expected, terms)
            return
        except AssertionError:
            if number == draws - 1:
                raise
