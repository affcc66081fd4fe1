"""Layers in NumPy, each operation written out."""

import numpy as np


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu6(x):
    return np.clip(x, 0, 6)


def swish(x):
    return x * sigmoid(x)


def windows(x, size, stride, pad=0, fill=-np.inf):
    """For each place (i, j) in a window: the values that stand there, in all windows at once."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=fill)
    height, width = ((side - size) // stride + 1 for side in x.shape[2:])
    for i in range(size):
        for j in range(size):
            yield (i, j), x[:, :, i : i + stride * height : stride, j : j + stride * width : stride]


def max_pool(x, size, stride, pad=0):
    return np.max([window for _, window in windows(x, size, stride, pad)], axis=0)


def mean_pool(x, size):
    return np.mean([window for _, window in windows(x, size, size)], axis=0)


def response_norm(x, size=5, k=2, alpha=1e-4, beta=0.75):
    squares = np.pad(x**2, ((0, 0), (size // 2, size // 2), (0, 0), (0, 0)))
    sums = sum(squares[:, start : start + x.shape[1]] for start in range(size))
    return x / (k + alpha * sums) ** beta


class Plain:
    """The layers in NumPy, with the parameters of `block` in the order of their definition.

    Each layer takes the next parameters, so that a network is the sequence of its calls.
    """

    def __init__(self, block, training=False):
        self._parameters = iter([p.data().asnumpy().astype(np.float64) for p in block.collect_params().values()])
        self._training = training

    def is_done(self):
        return next(self._parameters, None) is None

    def conv(self, x, stride=1, pad=0, relu=True):
        weight, bias = next(self._parameters), next(self._parameters)
        out = sum(
            np.tensordot(weight[:, :, i, j], window, axes=([1], [1])).swapaxes(0, 1)
            for (i, j), window in windows(x, weight.shape[2], stride, pad, fill=0)
        )
        out = out + bias[:, None, None]
        return np.maximum(out, 0) if relu else out

    def dense(self, x, relu=False):
        weight, bias = next(self._parameters), next(self._parameters)
        out = x.reshape(len(x), -1) @ weight.T + bias
        return np.maximum(out, 0) if relu else out

    def norm(self, x):
        gamma, beta, mean, variance = (next(self._parameters)[:, None, None] for _ in range(4))
        if self._training:
            mean = x.mean(axis=(0, 2, 3), keepdims=True)[0]
            variance = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)[0]
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta

    def relu_of_norm(self, x):
        return np.maximum(self.norm(x), 0)

    def mlpconv(self, x, stride=1, pad=0, pooled=True):
        x = self.conv(self.conv(self.conv(x, stride, pad)))
        return max_pool(x, 3, 2) if pooled else x

    def inception(self, x, pads=(0, 0)):
        first = self.conv(x)
        second = self.conv(self.conv(x), pad=pads[0])
        third = self.conv(self.conv(x), pad=pads[1])
        fourth = self.conv(max_pool(x, 3, 1, pad=1))
        return np.concatenate([first, second, third, fourth], axis=1)

    def residual(self, x, halve=False):
        stride = 2 if halve else 1
        out = np.maximum(self.norm(self.conv(x, stride, pad=1, relu=False)), 0)
        out = self.norm(self.conv(out, pad=1, relu=False))
        return np.maximum(out + (self.conv(x, stride, relu=False) if halve else x), 0)
