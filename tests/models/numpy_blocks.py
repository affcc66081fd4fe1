"""Blocks of the networks from ResNet on, in NumPy, with the parameters of a Gluon block."""

from functools import partial

import numpy as np
from numpy_layers import Plain, relu, relu6, sigmoid, swish, windows


class PlainBlocks(Plain):
    """Blocks, and convolutions that keep the size of their maps, in groups, most of them without bias."""

    def convolve(self, x, stride=1, groups=1, bias=False):
        weight = next(self._parameters)
        outputs, inputs, size, _ = weight.shape
        weight = weight.reshape(groups, outputs // groups, inputs, size, size)
        out = 0
        for (i, j), window in windows(x, size, stride, pad=size // 2, fill=0):
            n, _, height, width = window.shape
            grouped = window.reshape(n, groups, inputs, height * width)
            out = out + (weight[..., i, j] @ grouped).reshape(n, outputs, height, width)
        return out + next(self._parameters)[:, None, None] if bias else out

    def norm(self, x, epsilon=1e-5):
        gamma, beta, mean, variance = (next(self._parameters)[:, None, None] for _ in range(4))
        if self._training:
            mean = x.mean(axis=(0, 2, 3), keepdims=True)[0]
            variance = x.var(axis=(0, 2, 3), keepdims=True)[0]
        return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta

    def conv_norm(self, x, stride=1, groups=1, bias=False):
        return self.norm(self.convolve(x, stride, groups, bias))

    def excite(self, x, activation):
        means = x.mean(axis=(2, 3), keepdims=True)
        return x * sigmoid(self.convolve(activation(self.convolve(means, bias=True)), bias=True))

    def add(self, x, out, stride, projected, bias=False):
        return relu(out + (self.conv_norm(x, stride, bias=bias) if projected else x))

    def padded_block(self, x, stride=1):
        """A building block with option A."""
        out = self.conv_norm(relu(self.conv_norm(x, stride)))
        kept = x[:, :, ::stride, ::stride]
        return relu(out + (np.concatenate([kept, 0 * kept], axis=1) if stride > 1 else kept))

    def pre_activated(self, x, stride=1, projected=False, activated=True, bottleneck=False):
        activation = relu(self.norm(x)) if activated else x
        if bottleneck:
            out = self.convolve(relu(self.norm(self.convolve(activation))), stride)
        else:
            out = self.convolve(activation, stride)
        out = self.convolve(relu(self.norm(out)))
        return out + (self.convolve(activation, stride) if projected else x)

    def separable(self, x, stride=1):
        return relu(self.conv_norm(relu(self.conv_norm(x, stride, groups=x.shape[1]))))

    def inverted_residual(self, x, expansion, stride=1, added=False):
        out = x if expansion == 1 else relu6(self.conv_norm(x))
        out = self.conv_norm(relu6(self.conv_norm(out, stride, groups=out.shape[1])))
        return x + out if added else out

    def fire(self, x):
        x = relu(self.convolve(x, bias=True))
        return np.concatenate([relu(self.convolve(x, bias=True)) for _ in range(2)], axis=1)

    def building_block(self, x, stride=1, projected=False, excited=False):
        out = self.conv_norm(relu(self.conv_norm(x, stride)))
        return self.add(x, self.excite(out, relu) if excited else out, stride, projected)

    def bottleneck(self, x, stride=1, projected=False, excited=False):
        out = self.conv_norm(relu(self.conv_norm(relu(self.conv_norm(x, stride)))))
        return self.add(x, self.excite(out, relu) if excited else out, stride, projected)

    def x_block(self, x, groups, stride=1, bias=False, excited=False, projected=None):
        out = relu(self.conv_norm(x, bias=bias))
        out = relu(self.conv_norm(out, stride, groups, bias))
        out = self.conv_norm(self.excite(out, relu) if excited else out, bias=bias)
        return self.add(x, out, stride, projected=stride > 1 if projected is None else projected, bias=bias)

    def dense_block(self, x, count, bottleneck):
        for _ in range(count):
            out = self.convolve(relu(self.norm(x))) if bottleneck else x
            out = self.convolve(relu(self.norm(out)), bias=not bottleneck)
            x = np.concatenate([x, out], axis=1)
        return x

    def inverted(self, x, expansion, stride=1, added=False):
        norm = partial(self.norm, epsilon=1e-3)
        out = x if expansion == 1 else swish(norm(self.convolve(x)))
        out = swish(norm(self.convolve(out, stride, groups=out.shape[1])))
        out = norm(self.convolve(self.excite(out, swish)))
        return x + out if added else out
