"""VGG (Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", arXiv:1409.1556).

Source    `vgg`: the blog; `VGGNet` takes any architecture, and the printed one is configuration B (VGG-13).
          `vgg11`, `vgg11_lrn`, `vgg13`, `vgg16_c`, `vgg16`, `vgg19`: configurations A, A-LRN, B, C, D and E of the
          paper's table 1. `vgg11_bn`, `vgg13_bn`, `vgg16_bn`, `vgg19_bn`: A, B, D and E with batch normalization (Ioffe
          & Szegedy 2015, arXiv:1502.03167), as in MXNet's model zoo and in torchvision.
          Training: the paper's section 3.1; configurations A, A-LRN and B with images whose shorter side has 256
          pixels, the others with 256 to 512 (table 3). MXNet's zoo prints none for `vgg*_bn`; theirs is torchvision's
          (references/classification, README.md and presets.py, of github.com/pytorch/vision in November 2021).
          `vgg11_tutorial`: the Gluon tutorials of early 2018. `vgg11_d2l`: Dive into Deep Learning (D2L).
          `vgg_straight_dope`: "MXNet: the straight dope" (2017), the forerunner of D2L, at 95847d1.
Departs   From the paper: the caller's initializer sets the initial weights. The paper draws those of configuration A
          from a normal distribution with a variance of .01, and starts deeper networks from its trained weights. Its
          authors found later that Xavier initialization makes this needless; `train` uses it for all.
          `vgg`, `vgg11_tutorial`, `vgg11_d2l`, `vgg_straight_dope`: 1 input channel and 10 classes.
          `vgg11_tutorial`: 96x96 images. `vgg11_d2l`: convolutions of a quarter of the width. `vgg_straight_dope`:
          28x28 images, four blocks, and 512 hidden units. `vgg*_bn`: batch normalization between each
          convolution and its ReLU.
Open      - `vgg11`, `vgg11_lrn`: the paper prints a variance of .01, which is a standard deviation of .1. With pixels
            of 0..255, the first logits are then about 1e9, and a few updates make the weights not a number. A
            standard deviation of .01, as in AlexNet's paper, may be meant.
"""

from functools import partial
from typing import NamedTuple

from mxnet.gluon import nn

from ._blocks import LocalResponseNorm, chain, dense_head
from ._pixels import CENTERED, NORMALIZED, PATIENCE, RESIZED_CROP, SHORTER_256
from .network import Network
from .registry import register


class Block(NamedTuple):
    """Convolutions of one width with ReLU, then 2x2 max pooling.

    All convolutions are 3x3 but the last one, whose kernel is `last_kernel`. `response_norm` adds local response
    normalization before the pooling.
    """

    convolutions: int
    channels: int
    last_kernel: int = 3
    response_norm: bool = False


# table 1, column B                    # shape after the block at 224
ARCHITECTURE = (
    Block(convolutions=2, channels=64),  # (N, 64, 112, 112)
    Block(convolutions=2, channels=128),  # (N, 128, 56, 56)
    Block(convolutions=2, channels=256),  # (N, 256, 28, 28)
    Block(convolutions=2, channels=512),  # (N, 512, 14, 14)
    Block(convolutions=2, channels=512),  # (N, 512, 7, 7)
)
A = (Block(1, 64), Block(1, 128), Block(2, 256), Block(2, 512), Block(2, 512))  # VGG-11
A_LRN = (Block(1, 64, response_norm=True), *A[1:])
B = ARCHITECTURE  # VGG-13
C = (*B[:2], Block(3, 256, last_kernel=1), Block(3, 512, last_kernel=1), Block(3, 512, last_kernel=1))  # VGG-16
D = (Block(2, 64), Block(2, 128), Block(3, 256), Block(3, 512), Block(3, 512))  # VGG-16
E = (Block(2, 64), Block(2, 128), Block(4, 256), Block(4, 512), Block(4, 512))  # VGG-19
QUARTER_A = (Block(1, 16), Block(1, 32), Block(2, 64), Block(2, 128), Block(2, 128))


def vgg_block(convolutions, channels, last_kernel=3, response_norm=False, batch_norm=False):
    """Build a block: (N, C, H, W) to (N, channels, H/2, W/2), rounded down.

    Args:
        convolutions: Number of convolutions before the 2x2 max pooling.
        channels: Channels of each convolution.
        last_kernel: Kernel of the last convolution, 1 or 3; all others are 3x3.
        response_norm: Whether local response normalization precedes the pooling.
        batch_norm: Whether batch normalization follows each convolution.
    """
    layers = []
    for number in range(convolutions):
        kernel = 3 if number < convolutions - 1 else last_kernel
        if batch_norm:
            layers += [nn.Conv2D(channels, kernel, padding=kernel // 2), nn.BatchNorm(), nn.Activation("relu")]
        else:
            layers.append(nn.Conv2D(channels, kernel, padding=kernel // 2, activation="relu"))
    layers += [LocalResponseNorm()] if response_norm else []
    return chain(*layers, nn.MaxPool2D(pool_size=2, strides=2))


class VGGNet(Network):
    """VGG of any depth: (N, C, 224, 224) images to (N, classes) logits.

    Args:
        architecture: A pair (number of convolutions, channels), or a `Block`, for each block.
        classes: Number of classes.
        batch_norm: Whether batch normalization follows each convolution.
        units: Units of each hidden dense layer.
    """

    def __init__(self, architecture=ARCHITECTURE, classes=10, batch_norm=False, units=4096, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            for number, row in enumerate(architecture, start=1):
                setattr(self, f"block{number}", vgg_block(**Block(*row)._asdict(), batch_norm=batch_norm))
            for name, layer in dense_head(classes, units).items():
                setattr(self, name, layer)


DRAWN = "the caller's initializer sets the initial weights (paper: normal, with a variance of .01)"
FROM_A = "no layer starts from trained weights (paper: some start from configuration A's)"
XAVIER = "(here: Xavier initialization, which the paper names, too)"
WEIGHTS = f"initial weights: normal, with a variance of .01 {XAVIER}"
WEIGHTS_FROM_A = f"initial weights: some of a trained configuration A, others normal, with a variance of .01 {XAVIER}"
# section 3.1
TRAINING = {
    **{"epochs": 74, "batch_size": 256, "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 5e-4},
    "schedule": "plateau:0.1:5:3",
    **SHORTER_256,
    **CENTERED,
}
NOT_DONE = (
    PATIENCE.format("validation accuracy"),
    "tests on the whole image, with convolutions instead of dense layers (here: the middle of the image)",
)
paper = partial(
    register,
    input_shape=(3, 224, 224),
    classes=1000,
    training={**TRAINING, "augment": "scale:256:256 flip lighting:0.1"},
    not_done=(*NOT_DONE, WEIGHTS_FROM_A),
)
smallest = partial(paper, departures=(DRAWN,), not_done=(*NOT_DONE, WEIGHTS))
jittered = partial(
    paper,
    training={**TRAINING, "augment": "scale:256:512 flip lighting:0.1"},
    not_done=(
        *NOT_DONE,
        WEIGHTS_FROM_A,
        "weights of a network that was trained on images of 384 pixels to start from",
    ),
)
WITH_BN = "batch normalization between each convolution and its ReLU (later than the paper)"
# torchvision: its defaults, of 8 processes with 32 images each; only networks without batch normalization start at .01
zoo = partial(
    register,
    source="MXNet's model zoo; torchvision",
    input_shape=(3, 224, 224),
    classes=1000,
    training={
        **{"epochs": 90, "batch_size": 256, "learning_rate": 0.1, "schedule": "30:0.1 60:0.01"},
        **{"momentum": 0.9, "weight_decay": 1e-4, "augment": f"{RESIZED_CROP} flip"},
        **SHORTER_256,
        **NORMALIZED,
    },
    not_done=("initial weights: normal, by fan-out in convolutions, with a standard deviation of .01 in dense layers",),
)


@register(
    source="the blog (March 2018); arXiv:1409.1556, table 1, column B",
    input_shape=(1, 224, 224),
    classes=10,
    params=128_990_666,
    macs=11_246_608_384,
    departures=("1 input channel and 10 classes (paper: 3 and 1000)",),
)
def vgg(classes=10, architecture=ARCHITECTURE, **kwargs):
    """Build the blog's VGG; as printed it is VGG-13.

    Args:
        classes: Number of classes.
        architecture: A pair (number of convolutions, channels) for each block.
    """
    return VGGNet(architecture, classes, **kwargs)


@smallest(source="arXiv:1409.1556, table 1, column A", params=132_863_336, macs=7_609_090_048)
def vgg11(classes=1000, **kwargs):
    """Build the paper's configuration A."""
    return VGGNet(A, classes, **kwargs)


@smallest(source="arXiv:1409.1556, table 1, column A-LRN", params=132_863_336, macs=7_609_090_048)
def vgg11_lrn(classes=1000, **kwargs):
    """Build the paper's configuration A-LRN: A with local response normalization."""
    return VGGNet(A_LRN, classes, **kwargs)


@paper(
    source="arXiv:1409.1556, table 1, column B",
    params=133_047_848,
    macs=11_308_466_176,
    departures=(FROM_A,),
)
def vgg13(classes=1000, **kwargs):
    """Build the paper's configuration B."""
    return VGGNet(B, classes, **kwargs)


@jittered(
    source="arXiv:1409.1556, table 1, column C",
    params=133_638_952,
    macs=11_770_888_192,
    departures=(FROM_A,),
)
def vgg16_c(classes=1000, **kwargs):
    """Build the paper's configuration C, whose last three blocks end with a 1x1 convolution."""
    return VGGNet(C, classes, **kwargs)


@jittered(
    source="arXiv:1409.1556, table 1, column D",
    params=138_357_544,
    macs=15_470_264_320,
    departures=(FROM_A,),
)
def vgg16(classes=1000, **kwargs):
    """Build the paper's configuration D."""
    return VGGNet(D, classes, **kwargs)


@jittered(
    source="arXiv:1409.1556, table 1, column E",
    params=143_667_240,
    macs=19_632_062_464,
    departures=(FROM_A,),
)
def vgg19(classes=1000, **kwargs):
    """Build the paper's configuration E."""
    return VGGNet(E, classes, **kwargs)


@zoo(
    params=132_868_840,
    macs=7_609_090_048,
    departures=(WITH_BN,),
)
def vgg11_bn(classes=1000, **kwargs):
    """Build configuration A with batch normalization."""
    return VGGNet(A, classes, batch_norm=True, **kwargs)


@zoo(
    params=133_053_736,
    macs=11_308_466_176,
    departures=(WITH_BN,),
)
def vgg13_bn(classes=1000, **kwargs):
    """Build configuration B with batch normalization."""
    return VGGNet(B, classes, batch_norm=True, **kwargs)


@zoo(
    params=138_365_992,
    macs=15_470_264_320,
    departures=(WITH_BN,),
)
def vgg16_bn(classes=1000, **kwargs):
    """Build configuration D with batch normalization."""
    return VGGNet(D, classes, batch_norm=True, **kwargs)


@zoo(
    params=143_678_248,
    macs=19_632_062_464,
    departures=(WITH_BN,),
)
def vgg19_bn(classes=1000, **kwargs):
    """Build configuration E with batch normalization."""
    return VGGNet(E, classes, batch_norm=True, **kwargs)


@register(
    source="the Gluon tutorial (early 2018)",
    input_shape=(1, 96, 96),
    classes=10,
    params=44_920_074,
    macs=1_399_955_456,
    departures=("1 input channel, 96x96 images and 10 classes (paper: 3, 224x224 and 1000)",),
)
def vgg11_tutorial(classes=10, **kwargs):
    """Build configuration A, as for Fashion-MNIST at 96x96."""
    return VGGNet(A, classes, **kwargs)


@register(
    source="D2L",
    input_shape=(1, 224, 224),
    classes=10,
    params=43_093_322,
    macs=512_155_648,
    departures=(
        "16 to 128 channels (paper: 64 to 512); the dense layers have the paper's width",
        "1 input channel and 10 classes (paper: 3 and 1000)",
    ),
)
def vgg11_d2l(classes=10, **kwargs):
    """Build configuration A with convolutions of a quarter of the width."""
    return VGGNet(QUARTER_A, classes, **kwargs)


@register(
    source="MXNet: the straight dope (2017)",
    input_shape=(1, 28, 28),
    classes=10,
    params=5_030_154,
    macs=90_634_240,
    departures=(
        "four of configuration A's five blocks, 28x28 images and 512 hidden units (paper: 224x224 and 4096)",
        "1 input channel and 10 classes (paper: 3 and 1000)",
    ),
)
def vgg_straight_dope(classes=10, **kwargs):
    """Build the straight dope's VGG for 28x28 images."""
    return VGGNet(A[:4], classes, units=512, **kwargs)
