"""`googlenet` of gluon-classics in Flax.

Source: the blog (March 2018), as printed.
Input: (N, 224, 224, 1), float32. Output: (N, 10).

Blocks, layers and parameters have the names of the MXNet network.
Channels are the last axis.
"""

from pathlib import Path

from flax import nnx
import jax.numpy as jnp
from safetensors.flax import load_file

WEIGHTS = Path(__file__).with_suffix(".safetensors")


def flatten(x):
    """Return (N, H, W, C) as (N, H W C)."""
    return x.reshape(len(x), -1)


class AvgPool(nnx.Module):
    """Average pooling, with the arguments of `nnx.avg_pool`."""

    def __init__(self, window_shape, strides, padding="VALID", count_include_pad=True):
        self.window_shape, self.strides, self.padding = window_shape, strides, padding
        self.count_include_pad = count_include_pad

    def __call__(self, x):
        return nnx.avg_pool(x, self.window_shape, self.strides, self.padding, self.count_include_pad)


class ConvReLU(nnx.Conv):
    """A convolution, then its activation."""

    def __call__(self, x):
        return nnx.relu(super().__call__(x))


class MaxPool(nnx.Module):
    """Max pooling, with the arguments of `nnx.max_pool`."""

    def __init__(self, window_shape, strides, padding="VALID"):
        self.window_shape, self.strides, self.padding = window_shape, strides, padding

    def __call__(self, x):
        return nnx.max_pool(x, self.window_shape, self.strides, self.padding)


class Chain(nnx.Module):
    """Named layers that run one after another."""

    def __init__(self, **layers):
        self.names = tuple(layers)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def __call__(self, x):
        for name in self.names:
            x = getattr(self, name)(x)
        return x


class Inception(nnx.Module):
    """The blocks `b3.inception_3a` to `b5.inception_5b` of the network.

    Args:
        in_channels: Channels of the input.
        p1_conv_1: Channels of `p1_conv_1`.
        p2_conv_1: Channels of `p2_conv_1`.
        p2_conv_3: Channels of `p2_conv_3`.
        p3_conv_1: Channels of `p3_conv_1`.
        p3_conv_5: Channels of `p3_conv_5`.
        p4_conv_1: Channels of `p4_conv_1`.
    """

    def __init__(self, in_channels, p1_conv_1, p2_conv_1, p2_conv_3, p3_conv_1, p3_conv_5, p4_conv_1, *, rngs):
        self.p1_conv_1 = ConvReLU(in_channels, p1_conv_1, (1, 1), padding=0, rngs=rngs)
        self.p2_conv_1 = ConvReLU(in_channels, p2_conv_1, (1, 1), padding=0, rngs=rngs)
        self.p2_conv_3 = ConvReLU(p2_conv_1, p2_conv_3, (1, 1), padding=0, rngs=rngs)
        self.p3_conv_1 = ConvReLU(in_channels, p3_conv_1, (1, 1), padding=0, rngs=rngs)
        self.p3_conv_5 = ConvReLU(p3_conv_1, p3_conv_5, (1, 1), padding=0, rngs=rngs)
        self.p4_pool_3 = MaxPool((3, 3), (1, 1), padding=((1, 1), (1, 1)))
        self.p4_conv_1 = ConvReLU(in_channels, p4_conv_1, (1, 1), padding=0, rngs=rngs)

    def __call__(self, x):
        p1 = self.p1_conv_1(x)
        p2 = self.p2_conv_3(self.p2_conv_1(x))
        p3 = self.p3_conv_5(self.p3_conv_1(x))
        p4 = self.p4_conv_1(self.p4_pool_3(x))
        return jnp.concatenate([p1, p2, p3, p4], axis=-1)


class GoogLeNet(nnx.Module):
    """The network: (N, 224, 224, 1) to (N, 10).

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10, *, rngs):
        self.b1 = Chain(  # (N, 55, 55, 64)
            conv1=ConvReLU(1, 64, (7, 7), strides=2, padding=3, rngs=rngs), pool1=MaxPool((3, 3), (2, 2))
        )
        self.b2 = Chain(  # (N, 27, 27, 192)
            conv2_reduce=nnx.Conv(64, 64, (1, 1), padding=0, rngs=rngs),
            conv2=nnx.Conv(64, 192, (3, 3), padding=1, rngs=rngs),
            pool2=MaxPool((3, 3), (2, 2)),
        )
        self.b3 = Chain(  # (N, 13, 13, 480)
            inception_3a=Inception(192, 64, 96, 128, 16, 32, 32, rngs=rngs),
            inception_3b=Inception(256, 128, 128, 192, 32, 96, 64, rngs=rngs),
            pool3=MaxPool((3, 3), (2, 2)),
        )
        self.b4 = Chain(  # (N, 6, 6, 832)
            inception_4a=Inception(480, 192, 96, 208, 16, 48, 64, rngs=rngs),
            inception_4b=Inception(512, 160, 112, 224, 24, 64, 64, rngs=rngs),
            inception_4c=Inception(512, 128, 128, 256, 24, 64, 64, rngs=rngs),
            inception_4d=Inception(512, 112, 144, 288, 32, 64, 64, rngs=rngs),
            inception_4e=Inception(528, 256, 160, 320, 32, 128, 128, rngs=rngs),
            pool4=MaxPool((3, 3), (2, 2)),
        )
        self.b5 = Chain(  # (N, 3, 3, 1024)
            inception_5a=Inception(832, 256, 160, 320, 32, 128, 128, rngs=rngs),
            inception_5b=Inception(832, 384, 192, 384, 48, 128, 128, rngs=rngs),
            pool5=AvgPool((2, 2), (2, 2)),
        )
        self.b6 = Chain(flatten=flatten, linear=nnx.Linear(9216, classes, rngs=rngs))  # (N, 10)

    def __call__(self, x):
        x = self.b1(x)
        x = self.b2(x)
        x = self.b3(x)
        x = self.b4(x)
        x = self.b5(x)
        return self.b6(x)


def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = nnx.eval_shape(lambda: GoogLeNet(rngs=nnx.Rngs(0)))  # shapes alone, no weights
    weights = load_file(path)
    state = nnx.state(network, nnx.Not(nnx.RngState))
    variables = {".".join(map(str, name)): variable for name, variable in nnx.to_flat_state(state)}
    if {name: row.shape for name, row in variables.items()} != {name: row.shape for name, row in weights.items()}:
        raise ValueError(f"{path} does not have the parameters of this network")
    for name, variable in variables.items():
        variable.set_value(weights[name])
    nnx.update(network, state)
    network.eval()
    return network
