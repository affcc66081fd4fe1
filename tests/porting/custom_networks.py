"""Small networks that are not of this package."""

from gluon_classics.porting.network.capture import capture, capture_symbol
import mxnet as mx
from mxnet.gluon import nn
from mxnet.gluon.contrib import nn as contrib


class Branches(nn.HybridBlock):
    """A block with operations of many kinds between its layers."""

    def __init__(self, channels):
        super().__init__()
        with self.name_scope():
            self.left = nn.Conv2D(channels, 3, padding=1, activation="tanh")
            self.right = nn.Conv2D(channels, 1, use_bias=False)
            self.scale = self.params.get("scale", shape=(channels,))

    def hybrid_forward(self, F, x, scale):
        left, right = self.left(x), self.right(x)
        gate = F.sigmoid(F.mean(left, axis=(2, 3), keepdims=True))
        scaled = F.broadcast_mul(right - 0.5, F.reshape(scale, (1, -1, 1, 1)))
        return F.concat(F.broadcast_mul(left, gate), F.relu(scaled), F.square(left) / 2, dim=1)


def branched():
    net = nn.HybridSequential()
    net.add(Branches(4), Branches(6), nn.AvgPool2D(3, 2, ceil_mode=True, count_include_pad=False), nn.Dense(3))
    return net


def concurrent():
    net = nn.HybridSequential()
    for channels in (4, 6):
        block = contrib.HybridConcurrent(axis=1)
        block.add(nn.Conv2D(channels, 1), contrib.Identity(), nn.Conv2D(channels, 3, padding=1))
        net.add(block)
    net.add(nn.GlobalAvgPool2D(), nn.Dense(3))
    return net


class Cropped(nn.HybridBlock):
    """A block without the borders of its input."""

    def hybrid_forward(self, F, x):
        inner = F.slice(x, begin=(None, None, 1, 2), end=(None, None, None, -1))
        return inner * 2 + F.ones_like(inner)


def cropped():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), Cropped(), nn.Dense(3))
    return net


class Padded(nn.HybridBlock):
    """A block that continues its input beyond the border in three ways, and has a parameter for each place."""

    def __init__(self, shape):
        super().__init__()
        with self.name_scope():
            self.shift = self.params.get("shift", shape=shape)

    def hybrid_forward(self, F, x, shift):
        widths = (0, 0, 0, 0, 1, 2, 2, 0)
        constant = F.pad(x, mode="constant", constant_value=-1.5, pad_width=widths)
        edge, reflected = (F.pad(x, mode=mode, pad_width=widths) for mode in ("edge", "reflect"))
        return F.broadcast_add(constant + 2 * edge + reflected * reflected, F.expand_dims(shift, axis=0))


def padded():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), Padded((4, 9, 8)), nn.Dense(3))
    return net


class Attention(nn.HybridBlock):
    """A non-local block: each place takes what all places of a smaller map hold, by their similarity."""

    def __init__(self, channels):
        super().__init__()
        with self.name_scope():
            self.query = nn.Conv2D(channels, 1)

    def hybrid_forward(self, F, x):
        query = F.reshape(self.query(x), (0, 0, -1))
        key = F.reshape(F.slice(x, begin=(None, None, 1, 1), end=(None, None, -1, None)), (0, 0, -1))
        weights = F.softmax(F.batch_dot(query, key, transpose_a=True), axis=-1)
        found = F.batch_dot(key, weights, transpose_b=True)
        return F.concat(F.mean(found, axis=2), F.mean(query, axis=2), dim=1)


def attention():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), Attention(4), nn.Dense(3))
    return net


class Resized(nn.HybridBlock):
    """A block that makes maps larger and smaller."""

    def hybrid_forward(self, F, x):
        larger = F.contrib.BilinearResize2D(x, height=9, width=7)
        return F.contrib.BilinearResize2D(larger, height=4, width=3, align_corners=False)


def resized():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), Resized(), nn.Dense(3))
    return net


class DropBlock(nn.HybridBlock):
    """GluonCV's layer of this name, whose module it has too."""

    __module__ = "gluoncv.nn.dropblock"

    def __init__(self, drop_prob, block_size, c, h, w):
        super().__init__()
        self.drop_prob, self.block_size, self.shape = drop_prob, block_size, (c, h, w)

    def hybrid_forward(self, F, x):
        if not mx.autograd.is_training() or self.drop_prob <= 0:
            return x
        size, (c, h, w) = self.block_size, self.shape
        gamma = self.drop_prob * (h * w) / size**2 / ((w - size + 1) * (h - size + 1))
        mask = F.random.uniform(0, 1, shape=(1, c, h, w)) < gamma
        mask = 1 - F.Pooling(mask, pool_type="max", kernel=(size, size), pad=(size // 2, size // 2))
        total = mask.sum(axis=0, exclude=True).expand_dims(1).expand_dims(1).expand_dims(1)
        return F.broadcast_mul(F.broadcast_mul(x, mask), 1.0 * c * h * w / total)


def drop_block(drop=0.1):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, activation="relu"), DropBlock(drop, 3, 4, 6, 6), nn.Dense(3))
    return net


def symbol():
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=4, name="conv0")
    x = mx.sym.BatchNorm(x, fix_gamma=True, eps=1e-3, name="bn0")
    left = mx.sym.Activation(x, act_type="relu", name="relu0")
    right = mx.sym.LeakyReLU(x, slope=0.1, name="leaky0")
    x = mx.sym.Pooling(left + right, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool0")
    return mx.sym.FullyConnected(x, num_hidden=3, name="fc0")


class Arithmetic(nn.HybridBlock):
    """A block of operations whose code needs parentheses in one another."""

    def hybrid_forward(self, F, x):
        nested = (1 - x) * x - (2 - (x**2 + 1) ** 0.5)
        return nested + F.hard_sigmoid(x + 0.3) + 1 / (2 / (x * x + 1)) + F.maximum(x + 1, 0.3) * 2


def arithmetic():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), Arithmetic(), nn.Dense(3))
    return net


CUSTOM = {
    "arithmetic": lambda: capture(arithmetic(), (2, 8, 8), "arithmetic"),
    "branches": lambda: capture(branched(), (2, 8, 8), "branches"),
    "concurrent": lambda: capture(concurrent(), (2, 8, 8), "concurrent"),
    "cropped": lambda: capture(cropped(), (2, 8, 8), "cropped"),
    "padded": lambda: capture(padded(), (2, 8, 8), "padded"),
    "symbol": lambda: capture_symbol(symbol(), {"data": (2, 8, 8)}, "symbol"),
}
