"""The six networks in PyTorch, with the same layers as in `gluon_classics`, to compare the speed.

PyTorch's lazy layers take the width of their input from the first batch. Layers are defined in the same order as ours,
so parameters correspond by position. This module does not import `gluon_classics`, which would load MXNet.
"""

import torch
from torch import nn

INCEPTION_3 = ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64))
INCEPTION_4 = (
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
)
INCEPTION_5 = ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))


def conv_relu(channels, kernel_size, **options):
    return nn.Sequential(nn.LazyConv2d(channels, kernel_size, **options), nn.ReLU(inplace=True))


def dense_relu(units, *after):
    return nn.Sequential(nn.LazyLinear(units), nn.ReLU(inplace=True), *after)


def dense_head():
    return nn.Sequential(
        nn.Flatten(), dense_relu(4096, nn.Dropout(0.5)), dense_relu(4096, nn.Dropout(0.5)), nn.LazyLinear(10)
    )


def lenet():
    return nn.Sequential(
        conv_relu(20, 5),
        nn.MaxPool2d(2),
        conv_relu(50, 3),
        nn.MaxPool2d(2),
        nn.Flatten(),
        dense_relu(128),
        nn.LazyLinear(10),
    )


def alexnet():
    return nn.Sequential(
        conv_relu(96, 11, stride=4),
        nn.MaxPool2d(3, 2),
        conv_relu(256, 5, padding=2),
        nn.MaxPool2d(3, 2),
        conv_relu(384, 3, padding=1),
        conv_relu(384, 3, padding=1),
        conv_relu(256, 3, padding=1),
        nn.MaxPool2d(3, 2),
        dense_head(),
    )


def vgg():
    blocks = []
    for width in (64, 128, 256, 512, 512):
        blocks += [conv_relu(width, 3, padding=1), conv_relu(width, 3, padding=1), nn.MaxPool2d(2)]
    return nn.Sequential(*blocks, dense_head())


def nin():
    def mlpconv(channels, kernel_size, **options):
        return nn.Sequential(
            conv_relu(channels, kernel_size, **options), conv_relu(channels, 1), conv_relu(channels, 1)
        )

    return nn.Sequential(
        mlpconv(96, 11, stride=4),
        nn.MaxPool2d(3, 2),
        mlpconv(256, 5, padding=2),
        nn.MaxPool2d(3, 2),
        mlpconv(384, 3, padding=1),
        nn.MaxPool2d(3, 2),
        nn.Dropout(0.5),
        mlpconv(10, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class Inception(nn.Module):
    def __init__(self, n1, n2_in, n2, n3_in, n3, n4):
        super().__init__()
        self.paths = nn.ModuleList(
            [
                conv_relu(n1, 1),
                nn.Sequential(conv_relu(n2_in, 1), conv_relu(n2, 1)),  # 1x1, as the blog prints it
                nn.Sequential(conv_relu(n3_in, 1), conv_relu(n3, 1)),
                nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv_relu(n4, 1)),
            ]
        )

    def forward(self, x):
        return torch.cat([path(x) for path in self.paths], dim=1)


def googlenet():
    def stage(widths, pool):
        return nn.Sequential(*(Inception(*row) for row in widths), pool)

    return nn.Sequential(
        conv_relu(64, 7, stride=2, padding=3),
        nn.MaxPool2d(3, 2),
        nn.LazyConv2d(64, 1),
        nn.LazyConv2d(192, 3, padding=1),
        nn.MaxPool2d(3, 2),
        stage(INCEPTION_3, nn.MaxPool2d(3, 2)),
        stage(INCEPTION_4, nn.MaxPool2d(3, 2)),
        stage(INCEPTION_5, nn.AvgPool2d(2)),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


class Residual(nn.Module):
    def __init__(self, channels, halve=False):
        super().__init__()
        stride = 2 if halve else 1
        self.conv1 = nn.LazyConv2d(channels, 3, stride=stride, padding=1)
        self.bn1 = nn.LazyBatchNorm2d()
        self.conv2 = nn.LazyConv2d(channels, 3, padding=1)
        self.bn2 = nn.LazyBatchNorm2d()
        self.conv3 = nn.LazyConv2d(channels, 1, stride=stride) if halve else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        shortcut = x if self.conv3 is None else self.conv3(x)
        return self.relu(out + shortcut)


def resnet():
    stages = [nn.Sequential(Residual(width, halve=True), Residual(width)) for width in (128, 256, 512)]
    return nn.Sequential(
        nn.LazyConv2d(64, 7, stride=2),
        nn.MaxPool2d(3, 2),
        Residual(64),
        Residual(64),
        *stages,
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.LazyLinear(10),
    )
