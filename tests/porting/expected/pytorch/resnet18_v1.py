"""`resnet18_v1` of gluon-classics in PyTorch.

Source: arXiv:1512.03385, table 1.
Input: (N, 3, 224, 224), float32. Output: (N, 1000).

Blocks, layers and parameters have the names of the MXNet network.
"""

from pathlib import Path

from safetensors.torch import load_file
import torch
from torch import nn
import torch.nn.functional as F

WEIGHTS = Path(__file__).with_suffix(".safetensors")


class Dense(nn.Linear):
    """A dense layer that flattens its input first, in C, H, W order."""

    def forward(self, x):
        return super().forward(torch.flatten(x, 1))


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization of (N, C) or (N, C, H, W), with the running variance of MXNet."""

    def forward(self, x):
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        # PyTorch would multiply the variance of the batch by n / (n - 1) before it enters the running variance
        axes = [0, *range(2, x.dim())]
        variance, mean = torch.var_mean(x.detach(), dim=axes, correction=0)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)


class WithShortcut(nn.Module):
    """The blocks `conv2_x.0` to `conv5_x.1` of the network.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        stride: Stride.
        with_projection: Whether there is a `projection`.
    """

    def __init__(self, in_channels, channels, stride=1, with_projection=False):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False),
            BatchNorm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            BatchNorm(channels),
        )
        if with_projection:
            self.projection = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), BatchNorm(channels)
            )
        else:
            self.projection = None

    def forward(self, x):
        shortcut = x if self.projection is None else self.projection(x)
        return F.relu(self.body(x) + shortcut)


class ResNetV1(nn.Sequential):
    """The network: (N, 3, 224, 224) to (N, 1000). The layers run in this order.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=1000):
        super().__init__()
        self.conv1 = nn.Sequential(  # (N, 64, 112, 112)
            nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), BatchNorm(64), nn.ReLU()
        )
        self.pool1 = nn.MaxPool2d(3, 2, padding=1)  # (N, 64, 56, 56)
        self.conv2_x = nn.Sequential(*[WithShortcut(64, 64) for _ in range(2)])  # (N, 64, 56, 56)
        self.conv3_x = nn.Sequential(  # (N, 128, 28, 28)
            WithShortcut(64, 128, stride=2, with_projection=True), WithShortcut(128, 128)
        )
        self.conv4_x = nn.Sequential(  # (N, 256, 14, 14)
            WithShortcut(128, 256, stride=2, with_projection=True), WithShortcut(256, 256)
        )
        self.conv5_x = nn.Sequential(  # (N, 512, 7, 7)
            WithShortcut(256, 512, stride=2, with_projection=True), WithShortcut(512, 512)
        )
        self.pool5 = nn.AdaptiveAvgPool2d(1)  # (N, 512, 1, 1)
        self.fc = Dense(512, classes)  # (N, 1000)


def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = ResNetV1()
    network.load_state_dict(load_file(path))
    return network.eval()
