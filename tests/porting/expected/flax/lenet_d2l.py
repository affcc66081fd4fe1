"""`lenet_d2l` of gluon-classics in Flax.

Source: D2L, second edition.
Input: (N, 28, 28, 1), float32. Output: (N, 10).

Blocks, layers and parameters have the names of the MXNet network.
Channels are the last axis.
"""

from pathlib import Path

from flax import nnx
from safetensors.flax import load_file

WEIGHTS = Path(__file__).with_suffix(".safetensors")


class LinearSigmoid(nnx.Linear):
    """A dense layer, then its activation."""

    def __call__(self, x):
        return nnx.sigmoid(super().__call__(x))


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


class ConvSigmoid(nnx.Conv):
    """A convolution, then its activation."""

    def __call__(self, x):
        return nnx.sigmoid(super().__call__(x))


class Sequential(nnx.List):
    """Layers that run one after another."""

    def __call__(self, x):
        for layer in self:
            x = layer(x)
        return x


class LeNetEdition(Sequential):
    """The network: (N, 28, 28, 1) to (N, 10).

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10, *, rngs):
        layers = [
            ConvSigmoid(1, 6, (5, 5), padding=2, rngs=rngs),  # (N, 28, 28, 6)
            AvgPool((2, 2), (2, 2)),  # (N, 14, 14, 6)
            ConvSigmoid(6, 16, (5, 5), padding=0, rngs=rngs),  # (N, 10, 10, 16)
            AvgPool((2, 2), (2, 2)),  # (N, 5, 5, 16)
            flatten,  # (N, 400)
            LinearSigmoid(400, 120, rngs=rngs),  # (N, 120)
            LinearSigmoid(120, 84, rngs=rngs),  # (N, 84)
            nnx.Linear(84, classes, rngs=rngs),  # (N, 10)
        ]
        super().__init__(layers)


def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = nnx.eval_shape(lambda: LeNetEdition(rngs=nnx.Rngs(0)))  # shapes alone, no weights
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
