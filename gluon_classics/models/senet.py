"""SENet (Hu, Shen & Sun 2017, "Squeeze-and-excitation networks", arXiv:1709.01507).

Source    `se_resnet50`: the paper's table 1, the middle column; block as in its figure 3, reduction ratio 16.
          Equation 3 shows no biases in the two dense layers. The published number of parameters, 28,088,024, includes
          them; without biases it would be 16,048 less. `se_resnet101`, `se_resnet152`: the same block in the deeper
          networks of table 2. `se_resnet18`: the same block in ResNet-18; the paper's tables begin at 50 layers.
          The authors' models (github.com/hujie-frank/SENet at 0262d43, models/SE-ResNet-50.prototxt, and those of 101
          and 152 layers) have these biases too; the first, 1x1 convolution of a bottleneck has the stride, and no other
          convolution has a bias. Training: the paper's section 5.1. The README confirms batches of 1024 and a rate of
          .6, and says that the released weights are from another training, with batches of 256 and a rate of .1. It has
          crops of 8 to 100 % with aspect ratios of 3/4 to 4/3, and tests on the middle of images of 256 pixels.
Departs   From the paper: the caller's initializer sets the initial weights (paper: He initialization). From the
          authors' models: pool1 has a padding of 1; theirs has none and rounds up, which gives the same sizes from
          other windows. `released=True` builds the networks of their weights, of 50 layers and more.
Open      - `se_resnet50`: equation 3 has no biases, but the published number of parameters and the authors' model
            include them. We follow these.
          - `se_resnet*`: neither the paper nor the README prints a weight decay. We use none.
          - `se_resnet*`: the README lists random rotations and shifts of pixels, too. The paper does not, so they may
            belong to the training of the released weights only.
"""

from functools import partial

from mxnet.gluon import nn

from ._pixels import CENTERED, RESIZED_CROP, SHORTER_256
from .registry import register
from .resnet import BLOCKS, BOTTLENECK_EXPANSION, POOL_1, ResNetV1, bottleneck, building_block

REDUCTION = 16


class SqueezeExcitation(nn.HybridBlock):
    """Scale each channel by a factor from 0 to 1, computed from the means of all channels: the shape stays.

    Args:
        channels: Channels of the input.
        hidden: Units of the first of the two dense layers that compute the factors.
        activation: Layer between the two dense layers.
    """

    def __init__(self, channels, hidden, activation, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.squeeze = nn.GlobalAvgPool2D()
            # dense layers, written as 1x1 convolutions of 1x1 feature maps
            self.reduce = nn.Conv2D(hidden, kernel_size=1)
            self.activation = activation
            self.expand = nn.Conv2D(channels, kernel_size=1, activation="sigmoid")

    def hybrid_forward(self, F, x):
        return F.broadcast_mul(x, self.expand(self.activation(self.reduce(self.squeeze(x)))))


def excited(body, expansion, channels, strides):
    """Make a residual path that ends in squeeze and excitation.

    Args:
        body: Function from channels and a stride to the layers of a residual path.
        expansion: Channels of the output of `body`, divided by `channels`.
        channels: Channels that `body` is given.
        strides: Stride that `body` is given.

    Returns:
        A tuple of layers.
    """
    outputs = expansion * channels
    return (*body(channels, strides), SqueezeExcitation(outputs, outputs // REDUCTION, nn.Activation("relu")))


# section 5.1
paper = partial(
    register,
    input_shape=(3, 224, 224),
    classes=1000,
    training={
        **{"epochs": 100, "batch_size": 1024, "learning_rate": 0.6, "schedule": "30:0.1 60:0.01 90:0.001"},
        **{"momentum": 0.9, "init": "he", "augment": f"{RESIZED_CROP} flip"},
        **SHORTER_256,
        **CENTERED,
    },
    not_done=("batches that are drawn with a balance of the classes",),
)
INITIALIZATION = "the caller's initializer sets the initial weights (paper: He initialization)"


@paper(
    source="arXiv:1709.01507, figure 3, in arXiv:1512.03385's ResNet-18",
    params=11_778_592,
    macs=1_814_160_384,
    departures=(INITIALIZATION, "18 layers (paper: 50 and more)"),
)
def se_resnet18(classes=1000, **kwargs):
    """Build ResNet-18 with squeeze and excitation in each block."""
    return ResNetV1(partial(excited, building_block, 1), 1, BLOCKS[18], classes, **kwargs)


@paper(
    source="arXiv:1709.01507, table 1",
    params=28_088_024,
    macs=3_860_488_192,
    departures=(INITIALIZATION, POOL_1),
)
def se_resnet50(classes=1000, released=False, **kwargs):
    """Build the paper's SE-ResNet-50; `released=True` builds the network of the authors' weights."""
    body = partial(excited, bottleneck, BOTTLENECK_EXPANSION)
    return ResNetV1(body, BOTTLENECK_EXPANSION, BLOCKS[50], classes, released, **kwargs)


@paper(
    source="arXiv:1709.01507, table 2",
    params=49_326_872,
    macs=7_574_937_600,
    departures=(INITIALIZATION, POOL_1),
)
def se_resnet101(classes=1000, released=False, **kwargs):
    """Build the paper's SE-ResNet-101; `released=True` builds the network of the authors' weights."""
    body = partial(excited, bottleneck, BOTTLENECK_EXPANSION)
    return ResNetV1(body, BOTTLENECK_EXPANSION, BLOCKS[101], classes, released, **kwargs)


@paper(
    source="arXiv:1709.01507, table 2",
    params=66_821_848,
    macs=11_288_993_792,
    departures=(INITIALIZATION, POOL_1),
)
def se_resnet152(classes=1000, released=False, **kwargs):
    """Build the paper's SE-ResNet-152; `released=True` builds the network of the authors' weights."""
    body = partial(excited, bottleneck, BOTTLENECK_EXPANSION)
    return ResNetV1(body, BOTTLENECK_EXPANSION, BLOCKS[152], classes, released, **kwargs)
