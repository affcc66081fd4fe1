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


def symbol():
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=4, name="conv0")
    x = mx.sym.BatchNorm(x, fix_gamma=True, eps=1e-3, name="bn0")
    left = mx.sym.Activation(x, act_type="relu", name="relu0")
    right = mx.sym.LeakyReLU(x, slope=0.1, name="leaky0")
    x = mx.sym.Pooling(left + right, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool0")
    return mx.sym.FullyConnected(x, num_hidden=3, name="fc0")


CUSTOM = {
    "branches": lambda: capture(branched(), (2, 8, 8), "branches"),
    "concurrent": lambda: capture(concurrent(), (2, 8, 8), "concurrent"),
    "symbol": lambda: capture_symbol(symbol(), {"data": (2, 8, 8)}, "symbol"),
}
