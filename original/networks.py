"""The blog's six networks for the software of its time: MXNet 1.1 to 1.9, Python 3.6 or newer.

They are written from the layer tables of the blog, independently of `gluon_classics.models`, so that each of the two
can be checked with the other. Only MXNet is imported.
"""

import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn


def chain(*layers):
    """Return the layers one after the other."""
    net = nn.Sequential()
    with net.name_scope():
        for layer in layers:
            net.add(layer)
    return net


def conv(channels, kernel, **kwargs):
    """Return a convolution with ReLU."""
    return nn.Conv2D(channels, kernel_size=kernel, activation="relu", **kwargs)


def classifier(dropout):
    """Return the three dense layers of AlexNet and VGG. `dropout` makes a dropout layer."""
    hidden = [layer for _ in range(2) for layer in (nn.Dense(4096, activation="relu"), dropout())]
    return [nn.Flatten(), *hidden, nn.Dense(10)]


def lenet(dropout):
    layers = [conv(20, 5), nn.MaxPool2D(2, 2), conv(50, 3), nn.MaxPool2D(2, 2)]
    return chain(*layers, nn.Flatten(), nn.Dense(128, activation="relu"), nn.Dense(10))


def alexnet(dropout):
    return chain(
        *(conv(96, 11, strides=4), nn.MaxPool2D(3, 2)),
        *(conv(256, 5, padding=2), nn.MaxPool2D(3, 2)),
        *(conv(384, 3, padding=1), conv(384, 3, padding=1), conv(256, 3, padding=1), nn.MaxPool2D(3, 2)),
        *classifier(dropout),
    )


def vgg(dropout):
    def block(channels):
        return chain(conv(channels, 3, padding=1), conv(channels, 3, padding=1), nn.MaxPool2D(2, 2))

    return chain(chain(*map(block, (64, 128, 256, 512, 512))), *classifier(dropout))


def nin(dropout):
    def block(channels, kernel, padding, strides=1, pool=True):
        layers = [conv(channels, kernel, padding=padding, strides=strides), conv(channels, 1), conv(channels, 1)]
        return chain(*layers, *([nn.MaxPool2D(3, 2)] if pool else []))

    return chain(
        *(block(96, 11, 0, strides=4), block(256, 5, 2), block(384, 3, 1), dropout()),
        *(block(10, 3, 1, pool=False), nn.GlobalAvgPool2D(), nn.Flatten()),
    )


class Inception(nn.Block):
    """Four paths, concatenated on the channels. The blog prints kernel 1 for the 3x3 and 5x5 convolutions."""

    def __init__(self, path1, path2, path3, path4, kernels=(1, 1), **kwargs):
        super().__init__(**kwargs)

        def padded(channels, kernel):
            return conv(channels, kernel, padding=kernel // 2)

        with self.name_scope():
            self.path1 = chain(conv(path1, 1))
            self.path2 = chain(conv(path2[0], 1), padded(path2[1], kernels[0]))
            self.path3 = chain(conv(path3[0], 1), padded(path3[1], kernels[1]))
            self.path4 = chain(nn.MaxPool2D(3, 1, padding=1), conv(path4, 1))

    def forward(self, x):
        outputs = [path(x) for path in (self.path1, self.path2, self.path3, self.path4)]
        if type(x) is nd.NDArray:
            return nd.concat(*outputs, dim=1)
        return mx.np.concatenate(outputs, axis=1)


def googlenet(dropout):
    return chain(
        chain(conv(64, 7, strides=2, padding=3), nn.MaxPool2D(3, 2)),
        chain(nn.Conv2D(64, 1), nn.Conv2D(192, 3, padding=1), nn.MaxPool2D(3, 2)),
        chain(
            Inception(64, (96, 128), (16, 32), 32),
            Inception(128, (128, 192), (32, 96), 64),
            nn.MaxPool2D(3, 2),
        ),
        chain(
            Inception(192, (96, 208), (16, 48), 64),
            Inception(160, (112, 224), (24, 64), 64),
            Inception(128, (128, 256), (24, 64), 64),
            Inception(112, (144, 288), (32, 64), 64),
            Inception(256, (160, 320), (32, 128), 128),
            nn.MaxPool2D(3, 2),
        ),
        chain(
            Inception(256, (160, 320), (32, 128), 128),
            Inception(384, (192, 384), (48, 128), 128),
            nn.AvgPool2D(2),
        ),
        chain(nn.Flatten(), nn.Dense(10)),
    )


class Residual(nn.HybridBlock):
    """Two 3x3 convolutions with batch normalization, and a shortcut."""

    def __init__(self, channels, halve=False, **kwargs):
        super().__init__(**kwargs)
        strides = 2 if halve else 1
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, 3, padding=1, strides=strides)
            self.bn1 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(channels, 3, padding=1)
            self.bn2 = nn.BatchNorm()
            self.conv3 = nn.Conv2D(channels, 1, strides=strides) if halve else None

    def hybrid_forward(self, F, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (self.conv3(x) if self.conv3 else x))


def resnet(dropout):
    return chain(
        chain(nn.Conv2D(64, 7, strides=2)),
        chain(nn.MaxPool2D(3, 2), Residual(64), Residual(64)),
        *[chain(Residual(channels, halve=True), Residual(channels)) for channels in (128, 256, 512)],
        chain(nn.AvgPool2D(3), nn.Dense(10)),
    )


NETWORKS = {net.__name__: net for net in (lenet, alexnet, vgg, nin, googlenet, resnet)}
