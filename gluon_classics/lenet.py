"""LeNet.

Source    `lenet`: the blog; its network is the one of the Gluon tutorials of early 2018. The name is that of
          LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition" (1998).
Departs   from the paper: 20 and 50 maps in place of 6 and 16, a 3x3 second convolution, full connections, ReLU for
          scaled tanh, plain max pooling for trainable subsampling, one hidden layer of 128, softmax logits for the
          RBF output, 28x28 input without padding.
"""

from mxnet.gluon import nn

from ._registry import register


class LeNet(nn.Sequential):
    """(N, 1, 28, 28) images, or larger, to (N, classes) logits."""

    def __init__(self, classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                nn.Conv2D(channels=20, kernel_size=5, activation="relu"),
                nn.MaxPool2D(pool_size=2, strides=2),
                nn.Conv2D(channels=50, kernel_size=3, activation="relu"),
                nn.MaxPool2D(pool_size=2, strides=2),
                nn.Flatten(),
                nn.Dense(128, activation="relu"),
                nn.Dense(classes),
            )


@register(
    source="the blog (March 2018), after the Gluon tutorial",
    input_shape=(1, 28, 28),
    classes=10,
    params=170_988,
    macs=1_349_280,
    departures=(
        "20 and 50 maps (paper: 6 and 16), the second convolution 3x3 (paper: 5x5, partial connections)",
        "ReLU, max pooling and softmax (paper: scaled tanh, trainable subsampling, RBF output)",
        "one hidden layer of 128 (paper: C5 of 120 maps and F6 of 84 units)",
    ),
)
def lenet(classes=10, **kwargs):
    """The blog's LeNet."""
    return LeNet(classes, **kwargs)
