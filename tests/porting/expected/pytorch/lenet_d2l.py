"""`lenet_d2l` of gluon-classics in PyTorch.

Source: D2L, second edition.
Input: (N, 1, 28, 28), float32. Output: (N, 10).

Blocks, layers and parameters have the names of the MXNet network.
"""

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

WEIGHTS = Path(__file__).with_suffix(".safetensors")


class LinearSigmoid(nn.Linear):
    """A dense layer, then its activation."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.act = nn.Sigmoid()

    def forward(self, x):
        return self.act(super().forward(x))


class ConvSigmoid(nn.Conv2d):
    """A convolution, then its activation."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.act = nn.Sigmoid()

    def forward(self, x):
        return self.act(super().forward(x))


class LeNetEdition(nn.Sequential):
    """The network: (N, 1, 28, 28) to (N, 10).

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10):
        super().__init__(
            ConvSigmoid(1, 6, 5, padding=2),  # (N, 6, 28, 28)
            nn.AvgPool2d(2, 2),  # (N, 6, 14, 14)
            ConvSigmoid(6, 16, 5),  # (N, 16, 10, 10)
            nn.AvgPool2d(2, 2),  # (N, 16, 5, 5)
            nn.Flatten(),  # (N, 400)
            LinearSigmoid(400, 120),  # (N, 120)
            LinearSigmoid(120, 84),  # (N, 84)
            nn.Linear(84, classes),  # (N, 10)
        )


def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = LeNetEdition()
    network.load_state_dict(load_file(path))
    return network.eval()
