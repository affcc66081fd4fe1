"""Building blocks that several families share."""

from mxnet import autograd, nd
from mxnet.gluon import nn

from .network import ExplainedCalls


def chain(*layers, **stages):
    """Chain layers one after another.

    Args:
        *layers: Blocks without a name; Gluon numbers them.
        **stages: Blocks by name, which become attributes of the chain. They follow `layers`.

    Returns:
        The layers as one `nn.Sequential`.
    """
    block = nn.Sequential()
    block.add(*layers)
    for name, stage in stages.items():
        setattr(block, name, stage)
    return block


def hybrid_chain(*layers):
    """Chain layers one after another within a `HybridBlock`.

    Args:
        *layers: Hybrid blocks; Gluon numbers them.

    Returns:
        The layers as one `nn.HybridSequential`.
    """
    block = nn.HybridSequential()
    block.add(*layers)
    return block


def conv_norm(channels, kernel_size=1, strides=1, groups=1, use_bias=False, **norm):
    """Make a convolution and its batch normalization: (N, C, H, W) to (N, channels, H / strides, W / strides).

    Args:
        channels: Channels of the output.
        kernel_size: Kernel; the padding is half of it, so sizes are divided by the stride and rounded up.
        strides: Stride.
        groups: Groups of the convolution.
        use_bias: Whether the convolution has a bias.
        **norm: Arguments of the batch normalization.

    Returns:
        A tuple of layers.
    """
    return (
        nn.Conv2D(channels, kernel_size, strides, padding=kernel_size // 2, groups=groups, use_bias=use_bias),
        nn.BatchNorm(**norm),
    )


def dense_head(classes, units=4096):
    """Return AlexNet's classifier, which VGG took over.

    Args:
        classes: Number of classes.
        units: Units of each hidden layer.

    Returns:
        Layers by name, in order: (N, C, H, W) feature maps to (N, classes) logits.
    """
    return {
        "flatten": nn.Flatten(),
        "fc6": nn.Dense(units, activation="relu"),
        "dropout6": nn.Dropout(0.5),
        "fc7": nn.Dense(units, activation="relu"),
        "dropout7": nn.Dropout(0.5),
        "fc8": nn.Dense(classes),
    }


class ByMode(ExplainedCalls):
    """Run one network in training mode and another in prediction mode; they share their layers.

    Two networks are needed because a compiled graph keeps the mode of the call that traced it.

    Args:
        training: Network that runs in training mode, as within `autograd.record()`.
        prediction: Network that runs in all other calls.
        layers: All layers of `training` by name. They become the children of this block.
    """

    def __init__(self, training, prediction, layers, **kwargs):
        super().__init__(**kwargs)
        for name, network in (("training", training), ("prediction", prediction)):
            object.__setattr__(self, name, network)  # Gluon would register them as children
        for name, layer in layers.items():
            self.register_child(layer, name)

    def forward(self, x):
        return (self.training if autograd.is_training() else self.prediction)(x)


class LocalResponseNorm(nn.HybridBlock):
    """Divide each value by (k + alpha * sum of squares)^beta: (N, C, H, W) to the same shape.

    The sum runs over neighboring channels at the same position, and over fewer of them at the first and last
    channels. It ignores the split into two towers. Source: section 3.3 of AlexNet's paper.

    Args:
        size: Number of neighboring channels in the sum; odd.
        alpha: Factor of the sum. MXNet divides it by `size`, the paper does not; this block follows the paper.
        beta: Exponent.
        k: Constant that is added to the sum.
    """

    def __init__(self, size=5, alpha=1e-4, beta=0.75, k=2, **kwargs):
        super().__init__(**kwargs)
        self._settings = {"nsize": size, "alpha": alpha * size, "beta": beta, "knorm": k}

    def hybrid_forward(self, F, x):
        out = F.LRN(x, **self._settings)
        # MXNet 1.9.1 computes wrong gradients on the CPU if they reach LRN in oneDNN's memory layout, as from a pool
        # or a convolution. The gradient of a slice, here of everything, has the plain layout.
        return F.slice_axis(out, axis=0, begin=0, end=None)


def print_output_shapes(blocks):
    """Print the output shape of each block in every later forward pass.

    Only eager execution prints: a compiled graph does not call the blocks.

    Args:
        blocks: Blocks, numbered from 1 in what is printed.
    """
    for number, block in enumerate(blocks, start=1):
        block.register_forward_hook(lambda _block, _inputs, output, number=number: _print_shape(number, output))


def _print_shape(number, output):
    if isinstance(output, nd.NDArray):
        print(f"Block {number} output: {output.shape}")
