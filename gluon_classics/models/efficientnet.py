"""EfficientNet (Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks",
arXiv:1905.11946).

Source    `efficientnet_b0`: the paper's table 1; swish, stochastic depth with a survival of .8, dropout of .2 and the
          momentum of batch normalisation from its section 5. Where the paper is silent, the authors' code: squeeze
          and excitation at a quarter of a block's input maps, the epsilon of batch normalisation, no biases in the
          other convolutions, survival that falls from 1 by .2 / 16 a block.
Departs   from the authors' code: padding is the same on both sides where TensorFlow's "SAME" puts it on one for
          stride 2 (sizes are equal); the initial weights are the user's (authors: normal, by the fan out).
Open      - `efficientnet_b0`: whether what is from the authors' code alone is what the paper's results are of.
"""

from mxnet.gluon import nn

from ._blocks import chain
from .registry import register
from .senet import SqueezeExcitation

# table 1, stages 2 to 8: expansion, channels, layers, kernel, strides of the first    # out of the stage at 224
STAGES = (
    (1, 16, 1, 3, 1),  # (N, 16, 112, 112)
    (6, 24, 2, 3, 2),  # (N, 24, 56, 56)
    (6, 40, 2, 5, 2),  # (N, 40, 28, 28)
    (6, 80, 3, 3, 2),  # (N, 80, 14, 14)
    (6, 112, 3, 5, 1),  # (N, 112, 14, 14)
    (6, 192, 4, 5, 2),  # (N, 192, 7, 7)
    (6, 320, 1, 3, 1),  # (N, 320, 7, 7)
)
STEM_WIDTH, HEAD_WIDTH = 32, 1280  # stages 1 and 9
DROPOUT = 0.2
DROPPED = 0.2  # of the examples, in the residual path of a 17th block; from 0 in the first, in equal steps


class Swish(nn.HybridBlock):
    """x times its sigmoid: what `nn.Swish` computes, in operators that are faster on the CPU."""

    def hybrid_forward(self, F, x):
        return x * F.Activation(x, act_type="sigmoid")


def conv_norm(channels, kernel_size=1, strides=1, groups=1):
    """Layers (N, C, H, W) to (N, channels, H / strides, W / strides), rounded up: convolution, batch normalisation."""
    return (
        nn.Conv2D(channels, kernel_size, strides, padding=kernel_size // 2, groups=groups, use_bias=False),
        nn.BatchNorm(momentum=0.99, epsilon=1e-3),
    )


class MBConv(nn.HybridBlock):
    """Mobile inverted bottleneck: (N, inputs, H, W) to (N, channels, H / strides, W / strides), rounded up.

    Where the shape stays, the input is added; in training the rest is then left out for a fraction `dropped` of the
    examples, at random, and scaled up for the others, so that its expectation stays.
    """

    def __init__(self, inputs, channels, expansion, kernel_size, strides=1, dropped=0.0, **kwargs):
        super().__init__(**kwargs)
        width = expansion * inputs
        with self.name_scope():
            self.body = nn.HybridSequential()
            if expansion > 1:
                self.body.add(*conv_norm(width), Swish())
            self.body.add(
                *conv_norm(width, kernel_size, strides, groups=width),
                Swish(),
                SqueezeExcitation(width, inputs // 4, Swish()),
                *conv_norm(channels),
            )
            # one draw for all maps and pixels of an example
            self.drop = nn.Dropout(dropped, axes=(1, 2, 3)) if strides == 1 and inputs == channels else None

    def hybrid_forward(self, F, x):
        out = self.body(x)
        return out if self.drop is None else x + self.drop(out)


class EfficientNet(nn.Sequential):
    """(N, 3, 224, 224) images to (N, classes) logits."""

    def __init__(self, classes=1000, **kwargs):
        super().__init__(**kwargs)
        total = sum(layers for _, _, layers, _, _ in STAGES)
        with self.name_scope():
            self.add(chain(*conv_norm(STEM_WIDTH, 3, strides=2), Swish()))
            inputs, number = STEM_WIDTH, 0
            for expansion, channels, layers, kernel_size, strides in STAGES:
                stage = chain()
                for layer in range(layers):
                    first = layer == 0
                    dropped = DROPPED * number / total
                    stage.add(MBConv(inputs, channels, expansion, kernel_size, strides if first else 1, dropped))
                    inputs, number = channels, number + 1
                self.add(stage)
            self.add(
                chain(*conv_norm(HEAD_WIDTH), Swish(), nn.GlobalAvgPool2D(), nn.Dropout(DROPOUT), nn.Dense(classes))
            )


@register(
    source="arXiv:1905.11946, table 1, and the authors' code",
    input_shape=(3, 224, 224),
    classes=1000,
    params=5_288_548,
    macs=385_814_752,
    departures=(
        "the same padding on both sides (authors: TensorFlow's, on one side for stride 2)",
        "the initial weights are the user's (authors: normal, by the fan out)",
    ),
)
def efficientnet_b0(classes=1000, **kwargs):
    """The paper's EfficientNet-B0."""
    return EfficientNet(classes, **kwargs)
