"""`resnet18_v1` of gluon-classics in Flax.

Source: arXiv:1512.03385, table 1.
Input: (N, 224, 224, 3), float32. Output: (N, 1000).

Blocks, layers and parameters have the names of the MXNet network.
Channels are the last axis.
"""

from functools import partial
from pathlib import Path

from flax import nnx
import jax.numpy as jnp
from safetensors.flax import load_file

WEIGHTS = Path(__file__).with_suffix(".safetensors")


def flatten(x):
    """Return (N, H, W, C) as (N, H W C)."""
    return x.reshape(len(x), -1)


class Dense(nnx.Linear):
    """A dense layer that flattens its input first, in H, W, C order."""

    def __call__(self, x):
        return super().__call__(flatten(x))


def global_average_pool(x):
    """Return the means of the channels: (N, H, W, C) to (N, 1, 1, C)."""
    return jnp.mean(x, axis=(1, 2), keepdims=True)


# `momentum` is the share that a step keeps. The fast formula of the variance would lose digits
BatchNorm = partial(nnx.BatchNorm, momentum=0.9, use_fast_variance=False)


class MaxPool(nnx.Module):
    """Max pooling, with the arguments of `nnx.max_pool`."""

    def __init__(self, window_shape, strides, padding="VALID"):
        self.window_shape, self.strides, self.padding = window_shape, strides, padding

    def __call__(self, x):
        return nnx.max_pool(x, self.window_shape, self.strides, self.padding)


class Sequential(nnx.List):
    """Layers that run one after another."""

    def __call__(self, x):
        for layer in self:
            x = layer(x)
        return x


class WithShortcut(nnx.Module):
    """The blocks `conv2_x.0` to `conv5_x.1` of the network.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        stride: Stride.
        with_projection: Whether there is a `projection`.
    """

    def __init__(self, in_channels, channels, stride=1, with_projection=False, *, rngs):
        self.body = Sequential(
            [
                nnx.Conv(in_channels, channels, (3, 3), strides=stride, padding=1, use_bias=False, rngs=rngs),
                BatchNorm(channels, rngs=rngs),
                nnx.relu,
                nnx.Conv(channels, channels, (3, 3), padding=1, use_bias=False, rngs=rngs),
                BatchNorm(channels, rngs=rngs),
            ],
        )
        if with_projection:
            self.projection = Sequential(
                [
                    nnx.Conv(in_channels, channels, (1, 1), strides=stride, padding=0, use_bias=False, rngs=rngs),
                    BatchNorm(channels, rngs=rngs),
                ],
            )
        else:
            self.projection = None

    def __call__(self, x):
        shortcut = x if self.projection is None else self.projection(x)
        return nnx.relu(self.body(x) + shortcut)


class ResNetV1(nnx.Module):
    """The network: (N, 224, 224, 3) to (N, 1000).

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=1000, *, rngs):
        self.conv1 = Sequential(  # (N, 112, 112, 64)
            [
                nnx.Conv(3, 64, (7, 7), strides=2, padding=3, use_bias=False, rngs=rngs),
                BatchNorm(64, rngs=rngs),
                nnx.relu,
            ],
        )
        self.pool1 = MaxPool((3, 3), (2, 2), padding=((1, 1), (1, 1)))  # (N, 56, 56, 64)
        self.conv2_x = Sequential([WithShortcut(64, 64, rngs=rngs) for _ in range(2)])  # (N, 56, 56, 64)
        self.conv3_x = Sequential(  # (N, 28, 28, 128)
            [WithShortcut(64, 128, stride=2, with_projection=True, rngs=rngs), WithShortcut(128, 128, rngs=rngs)]
        )
        self.conv4_x = Sequential(  # (N, 14, 14, 256)
            [WithShortcut(128, 256, stride=2, with_projection=True, rngs=rngs), WithShortcut(256, 256, rngs=rngs)]
        )
        self.conv5_x = Sequential(  # (N, 7, 7, 512)
            [WithShortcut(256, 512, stride=2, with_projection=True, rngs=rngs), WithShortcut(512, 512, rngs=rngs)]
        )
        self.pool5 = global_average_pool  # (N, 1, 1, 512)
        self.fc = Dense(512, classes, rngs=rngs)  # (N, 1000)

    def __call__(self, x):
        x = self.conv1(x)
        x = self.pool1(x)
        x = self.conv2_x(x)
        x = self.conv3_x(x)
        x = self.conv4_x(x)
        x = self.conv5_x(x)
        x = self.pool5(x)
        return self.fc(x)


def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = nnx.eval_shape(lambda: ResNetV1(rngs=nnx.Rngs(0)))  # shapes alone, no weights
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
