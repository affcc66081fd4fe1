"""ResNet (He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", arXiv:1512.03385).

Source    `resnet`: the blog; its network is the ResNet-18 of the Gluon tutorials of early 2018.
Departs   from the paper: the stem has no padding, no batch normalisation and no ReLU; every convolution keeps its
          bias, which batch normalisation makes useless; the projection has no batch normalisation; 3x3 average
          pooling in place of global (2048 features reach the classifier at 224, 512 at 96); 1 input channel.
"""

from mxnet.gluon import nn

from ._blocks import chain, print_output_shapes
from ._registry import register


class Residual(nn.HybridBlock):
    """Two 3x3 convolutions beside a shortcut: (N, C, H, W) to (N, channels, H, W).

    With `halve` the first convolution and the shortcut's 1x1 convolution have stride 2, and H and W are halved,
    rounded up. Without it the input must have `channels` channels.
    """

    def __init__(self, channels, halve=False, **kwargs):
        super().__init__(**kwargs)
        strides = 2 if halve else 1
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, kernel_size=3, padding=1, strides=strides)
            self.bn1 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(channels, kernel_size=3, padding=1)
            self.bn2 = nn.BatchNorm()
            self.conv3 = nn.Conv2D(channels, kernel_size=1, strides=strides) if halve else None

    def hybrid_forward(self, F, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x if self.conv3 is None else self.conv3(x)
        return F.relu(out + shortcut)


class ResNet(nn.Sequential):
    """(N, 1, 224, 224) images to (N, num_classes) logits; `verbose` prints each block's output shape (eagerly only)."""

    def __init__(self, num_classes=10, verbose=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                chain(nn.Conv2D(64, kernel_size=7, strides=2)),
                chain(nn.MaxPool2D(pool_size=3, strides=2), Residual(64), Residual(64)),
                chain(Residual(128, halve=True), Residual(128)),
                chain(Residual(256, halve=True), Residual(256)),
                chain(Residual(512, halve=True), Residual(512)),
                chain(nn.AvgPool2D(pool_size=3), nn.Dense(num_classes)),
            )
        if verbose:
            print_output_shapes(self)


@register(
    source="the blog (March 2018), after the Gluon tutorial",
    input_shape=(1, 224, 224),
    classes=10,
    params=11_193_610,
    macs=1_671_550_528,
    departures=(
        "the stem has no padding, no batch normalisation and no ReLU",
        "convolutions keep their biases; no batch normalisation on the projections",
        "3x3 average pooling: 2048 features reach the classifier (paper: global, 512)",
    ),
)
def resnet(classes=10, **kwargs):
    """The blog's ResNet-18."""
    return ResNet(classes, **kwargs)
