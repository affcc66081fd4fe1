"""`googlenet` of gluon-classics in PyTorch.

Source: the blog (March 2018), as printed.
Input: (N, 1, 224, 224), float32. Output: (N, 10).

Blocks, layers and parameters have the names of the MXNet network.
"""

from collections import OrderedDict
from pathlib import Path

from safetensors.torch import load_file
import torch
from torch import nn

WEIGHTS = Path(__file__).with_suffix(".safetensors")


class ConvReLU(nn.Conv2d):
    """A convolution, then its activation."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(super().forward(x))


class Inception(nn.Module):
    """The blocks `b3.inception_3a` to `b5.inception_5b` of the network.

    Args:
        in_channels: Channels of the input.
        p1_conv_1: Channels of `p1_conv_1`.
        p2_conv_1: Channels of `p2_conv_1`.
        p2_conv_3: Channels of `p2_conv_3`.
        p3_conv_1: Channels of `p3_conv_1`.
        p3_conv_5: Channels of `p3_conv_5`.
        p4_conv_1: Channels of `p4_conv_1`.
    """

    def __init__(self, in_channels, p1_conv_1, p2_conv_1, p2_conv_3, p3_conv_1, p3_conv_5, p4_conv_1):
        super().__init__()
        self.p1_conv_1 = ConvReLU(in_channels, p1_conv_1, 1)
        self.p2_conv_1 = ConvReLU(in_channels, p2_conv_1, 1)
        self.p2_conv_3 = ConvReLU(p2_conv_1, p2_conv_3, 1)
        self.p3_conv_1 = ConvReLU(in_channels, p3_conv_1, 1)
        self.p3_conv_5 = ConvReLU(p3_conv_1, p3_conv_5, 1)
        self.p4_pool_3 = nn.MaxPool2d(3, 1, padding=1)
        self.p4_conv_1 = ConvReLU(in_channels, p4_conv_1, 1)

    def forward(self, x):
        p1 = self.p1_conv_1(x)
        p2 = self.p2_conv_3(self.p2_conv_1(x))
        p3 = self.p3_conv_5(self.p3_conv_1(x))
        p4 = self.p4_conv_1(self.p4_pool_3(x))
        return torch.cat([p1, p2, p3, p4], dim=1)


class GoogLeNet(nn.Sequential):
    """The network: (N, 1, 224, 224) to (N, 10). The layers run in this order.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10):
        super().__init__()
        self.b1 = nn.Sequential(  # (N, 64, 55, 55)
            OrderedDict(conv1=ConvReLU(1, 64, 7, stride=2, padding=3), pool1=nn.MaxPool2d(3, 2))
        )
        self.b2 = nn.Sequential(  # (N, 192, 27, 27)
            OrderedDict(
                conv2_reduce=nn.Conv2d(64, 64, 1), conv2=nn.Conv2d(64, 192, 3, padding=1), pool2=nn.MaxPool2d(3, 2)
            ),
        )
        self.b3 = nn.Sequential(  # (N, 480, 13, 13)
            OrderedDict(
                inception_3a=Inception(192, 64, 96, 128, 16, 32, 32),
                inception_3b=Inception(256, 128, 128, 192, 32, 96, 64),
                pool3=nn.MaxPool2d(3, 2),
            ),
        )
        self.b4 = nn.Sequential(  # (N, 832, 6, 6)
            OrderedDict(
                inception_4a=Inception(480, 192, 96, 208, 16, 48, 64),
                inception_4b=Inception(512, 160, 112, 224, 24, 64, 64),
                inception_4c=Inception(512, 128, 128, 256, 24, 64, 64),
                inception_4d=Inception(512, 112, 144, 288, 32, 64, 64),
                inception_4e=Inception(528, 256, 160, 320, 32, 128, 128),
                pool4=nn.MaxPool2d(3, 2),
            ),
        )
        self.b5 = nn.Sequential(  # (N, 1024, 3, 3)
            OrderedDict(
                inception_5a=Inception(832, 256, 160, 320, 32, 128, 128),
                inception_5b=Inception(832, 384, 192, 384, 48, 128, 128),
                pool5=nn.AvgPool2d(2, 2),
            ),
        )
        self.b6 = nn.Sequential(OrderedDict(flatten=nn.Flatten(), linear=nn.Linear(9216, classes)))  # (N, 10)


def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = GoogLeNet()
    network.load_state_dict(load_file(path))
    return network.eval()
