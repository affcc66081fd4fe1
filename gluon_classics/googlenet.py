"""GoogLeNet (Szegedy et al. 2014, "Going deeper with convolutions", arXiv:1409.4842).

Source    `googlenet`: the blog, as printed.
Departs   from the tutorial it follows: the convolutions that the source calls 3x3 and 5x5 are printed with kernel 1
          and no padding, so no inception block sees a neighbourhood except through its pooling path.
          From the paper: no ReLU in the second stage and 64 maps in its 1x1 convolution without local response
          normalisation, pools rounded down, 2x2 average pooling before the classifier (paper: global), no dropout,
          no auxiliary classifiers, 1 input channel and 10 classes.
"""

from mxnet.gluon import nn

from ._blocks import chain, print_output_shapes
from ._registry import register

# Widths of the paths of inception blocks 3a to 5b:
# 1x1, then 1x1 before "3x3", "3x3", 1x1 before "5x5", "5x5", 1x1 after the pool    # out
INCEPTION_3 = (
    (64, 96, 128, 16, 32, 32),  # 256
    (128, 128, 192, 32, 96, 64),  # 480
)
INCEPTION_4 = (
    (192, 96, 208, 16, 48, 64),  # 512
    (160, 112, 224, 24, 64, 64),  # 512
    (128, 128, 256, 24, 64, 64),  # 512
    (112, 144, 288, 32, 64, 64),  # 528
    (256, 160, 320, 32, 128, 128),  # 832
)
INCEPTION_5 = (
    (256, 160, 320, 32, 128, 128),  # 832
    (384, 192, 384, 48, 128, 128),  # 1024
)


class Inception(nn.HybridBlock):
    """Four paths joined on the channels: (N, C, H, W) to (N, n1_1 + n2_3 + n3_5 + n4_1, H, W).

    `kernels` are those of the second convolution in paths 2 and 3: the blog prints (1, 1).
    """

    def __init__(self, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, kernels=(1, 1), **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.p1_conv_1 = _conv(n1_1, 1)
            self.p2_conv_1 = _conv(n2_1, 1)
            self.p2_conv_3 = _conv(n2_3, kernels[0])
            self.p3_conv_1 = _conv(n3_1, 1)
            self.p3_conv_5 = _conv(n3_5, kernels[1])
            self.p4_pool_3 = nn.MaxPool2D(pool_size=3, padding=1, strides=1)
            self.p4_conv_1 = _conv(n4_1, 1)

    def hybrid_forward(self, F, x):
        p1 = self.p1_conv_1(x)
        p2 = self.p2_conv_3(self.p2_conv_1(x))
        p3 = self.p3_conv_5(self.p3_conv_1(x))
        p4 = self.p4_conv_1(self.p4_pool_3(x))
        return F.concat(p1, p2, p3, p4, dim=1)


def _conv(channels, kernel_size):
    return nn.Conv2D(channels, kernel_size, padding=kernel_size // 2, activation="relu")


class GoogLeNet(nn.Sequential):
    """(N, 1, 224, 224) images to (N, num_class) logits; `verbose` prints each block's output shape (eagerly only)."""

    def __init__(self, num_class=10, verbose=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                chain(
                    nn.Conv2D(64, kernel_size=7, strides=2, padding=3, activation="relu"),
                    nn.MaxPool2D(pool_size=3, strides=2),
                ),
                chain(
                    nn.Conv2D(64, kernel_size=1),  # no ReLU here and below, as printed
                    nn.Conv2D(192, kernel_size=3, padding=1),
                    nn.MaxPool2D(pool_size=3, strides=2),
                ),
                chain(*(Inception(*widths) for widths in INCEPTION_3), nn.MaxPool2D(pool_size=3, strides=2)),
                chain(*(Inception(*widths) for widths in INCEPTION_4), nn.MaxPool2D(pool_size=3, strides=2)),
                chain(*(Inception(*widths) for widths in INCEPTION_5), nn.AvgPool2D(pool_size=2)),
                chain(nn.Flatten(), nn.Dense(num_class)),
            )
        if verbose:
            print_output_shapes(self)


@register(
    source="the blog (March 2018), as printed",
    input_shape=(1, 224, 224),
    classes=10,
    params=2_829_754,
    macs=758_419_712,
    departures=(
        "the 3x3 and 5x5 convolutions of the inception blocks are 1x1, as the blog prints them",
        "no ReLU after the two convolutions of the second stage",
        "2x2 average pooling, so that 9216 features reach the classifier (paper: global, 1024, with dropout)",
        "no local response normalisation, no auxiliary classifiers, pools rounded down",
    ),
)
def googlenet(classes=10, **kwargs):
    """The blog's GoogLeNet."""
    return GoogLeNet(classes, **kwargs)
