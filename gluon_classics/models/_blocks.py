"""What the networks of several families share."""

from mxnet import autograd, nd
from mxnet.gluon import nn


def chain(*layers):
    """The layers, one after another, as `nn.Sequential`."""
    block = nn.Sequential()
    with block.name_scope():
        block.add(*layers)
    return block


def dense_head(classes):
    """AlexNet's three dense layers, which VGG took over: (N, C, H, W) to (N, classes)."""
    return (
        nn.Flatten(),
        nn.Dense(4096, activation="relu"),
        nn.Dropout(0.5),
        nn.Dense(4096, activation="relu"),
        nn.Dropout(0.5),
        nn.Dense(classes),
    )


class ByMode(nn.Block):
    """`training` in training mode, as within `autograd.record()`, else `prediction`: both of the same layers.

    Not one compiled graph that asks for the mode: it would be traced once, in whatever mode comes first. `layers` are
    the children of this block, by their names: all layers of `training`.
    """

    def __init__(self, training, prediction, layers, **kwargs):
        super().__init__(**kwargs)
        for name, network in (("training", training), ("prediction", prediction)):
            object.__setattr__(self, name, network)  # Gluon would take them for children
        for name, layer in layers.items():
            self.register_child(layer, name)

    def forward(self, x):
        return (self.training if autograd.is_training() else self.prediction)(x)


class LocalResponseNorm(nn.HybridBlock):
    """Each value divided by (k + alpha * sum of squares)^beta, (N, C, H, W) to the same.

    The sum is over `size` neighbouring maps at the same place, fewer at the first and the last map; it knows no
    towers. Source: section 3.3 of AlexNet's paper.
    """

    def __init__(self, size=5, alpha=1e-4, beta=0.75, k=2, **kwargs):
        super().__init__(**kwargs)
        # MXNet divides alpha by the size, which that paper does not
        self._settings = {"nsize": size, "alpha": alpha * size, "beta": beta, "knorm": k}

    def hybrid_forward(self, F, x):
        out = F.LRN(x, **self._settings)
        # MXNet 1.9.1 computes wrong gradients on the CPU where those that reach LRN are in oneDNN's memory layout, as
        # from a pool or a convolution. From a slice, here of everything, they come in the plain one.
        return F.slice_axis(out, axis=0, begin=0, end=None)


def print_output_shapes(blocks):
    """From now on a forward pass prints the output shape of each of `blocks`, numbered from 1.

    Printed in eager execution only: in a compiled graph there are no blocks left to speak.
    """
    for number, block in enumerate(blocks, start=1):
        block.register_forward_hook(lambda _block, _inputs, output, number=number: _print_shape(number, output))


def _print_shape(number, output):
    if isinstance(output, nd.NDArray):
        print(f"Block {number} output: {output.shape}")
