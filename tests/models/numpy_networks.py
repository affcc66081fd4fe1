"""Networks from ResNet on, in NumPy: activations and orders, which shapes and counts do not show."""

from functools import partial

import numpy as np
from numpy_layers import max_pool, mean_pool, relu, relu6, swish


def plain_resnet18_d2l(net, x):
    x = max_pool(relu(net.conv_norm(x, 2, bias=True)), 3, 2, pad=1)
    x = net.residual(net.residual(x))
    for _ in range(3):
        x = net.residual(net.residual(x, halve=True))
    return net.dense(x.mean(axis=(2, 3)))


def plain_resnet18(net, x, excited=False):
    x = max_pool(relu(net.conv_norm(x, 2)), 3, 2, pad=1)
    for stage in range(4):
        stride = 2 if stage else 1
        x = net.building_block(x, stride, projected=stage > 0, excited=excited)
        x = net.building_block(x, excited=excited)
    return net.dense(x.mean(axis=(2, 3)))


def plain_resnet20_cifar10(net, x):
    x = relu(net.conv_norm(x))
    for stride in (1, 2, 2):
        x = net.padded_block(net.padded_block(net.padded_block(x, stride)))
    return net.dense(x.mean(axis=(2, 3)))


def plain_resnet18_v2(net, x):
    x = max_pool(relu(net.conv_norm(x, 2)), 3, 2, pad=1)
    x = net.pre_activated(net.pre_activated(x, activated=False))
    for _ in range(3):
        x = net.pre_activated(net.pre_activated(x, 2, projected=True))
    return net.dense(relu(net.norm(x)).mean(axis=(2, 3)))


def plain_squeezenet1_1(net, x):
    """Pools round up: the last window may reach over the border."""
    x = net.conv(x, stride=2)
    for fires in (2, 2, 4):
        x = max_pool(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-np.inf), 3, 2)
        for _ in range(fires):
            x = net.fire(x)
    return relu(net.convolve(x, bias=True)).mean(axis=(2, 3))


def plain_mobilenet_v1(net, x):
    x = relu(net.conv_norm(x, 2))
    for stride in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1):
        x = net.separable(x, stride)
    return net.dense(x.mean(axis=(2, 3)))


def plain_mobilenet_v2(net, x):
    x = relu6(net.conv_norm(x, 2))
    x = net.inverted_residual(x, 1)
    for stride, repeats in [(2, 1), (2, 2), (2, 3), (1, 2), (2, 2), (1, 0)]:
        x = net.inverted_residual(x, 6, stride)
        for _ in range(repeats):
            x = net.inverted_residual(x, 6, added=True)
    return net.dense(relu6(net.conv_norm(x)).mean(axis=(2, 3)))


def plain_densenet(net, x, blocks, bottleneck):
    x = max_pool(relu(net.conv_norm(x, 2, bias=not bottleneck)), 3, 2, pad=1)
    for count in blocks[:-1]:
        x = net.dense_block(x, count, bottleneck)
        x = mean_pool(net.convolve(relu(net.norm(x)), bias=not bottleneck), 2)
    x = relu(net.norm(net.dense_block(x, blocks[-1], bottleneck)))
    return net.dense(x.mean(axis=(2, 3)))


def plain_regnet(net, x, stages, group_width, bias=False, excited=False):
    x = relu(net.conv_norm(x, 2, bias=bias))
    for depth, width in stages:
        for block in range(depth):
            x = net.x_block(x, width // group_width, stride=1 if block else 2, bias=bias, excited=excited)
    return net.dense(x.mean(axis=(2, 3)))


def plain_efficientnet_b0(net, x):
    """Its 16 blocks by their strides and expansion: the kernels stand in the parameters."""
    x = swish(net.norm(net.convolve(x, 2), epsilon=1e-3))
    x = net.inverted(x, expansion=1)
    for stride, repeats in [(2, 1), (2, 1), (2, 2), (1, 2), (2, 3), (1, 0)]:
        x = net.inverted(x, 6, stride)
        for _ in range(repeats):
            x = net.inverted(x, 6, added=True)
    x = swish(net.norm(net.convolve(x), epsilon=1e-3))
    return net.dense(x.mean(axis=(2, 3)))


# edition -> shape of its input here (odd maps on the way, more than one pixel at the end), and its layers in NumPy
PLAIN = {
    "resnet18_d2l": ((1, 48, 48), plain_resnet18_d2l),
    "resnet18_v1": ((3, 48, 48), plain_resnet18),
    "densenet_d2l": ((1, 72, 72), partial(plain_densenet, blocks=(4, 4, 4, 4), bottleneck=False)),
    "densenet121": ((3, 72, 72), partial(plain_densenet, blocks=(6, 12, 24, 16), bottleneck=True)),
    "se_resnet18": ((3, 48, 48), partial(plain_resnet18, excited=True)),
    "regnetx32_d2l": ((1, 36, 36), partial(plain_regnet, stages=((4, 32), (6, 80)), group_width=16, bias=True)),
    "regnetx_200mf": (
        (3, 48, 48),
        partial(plain_regnet, stages=((1, 24), (1, 56), (4, 152), (7, 368)), group_width=8),
    ),
    "efficientnet_b0": ((3, 48, 48), plain_efficientnet_b0),
    "resnet20_cifar10": ((3, 14, 14), plain_resnet20_cifar10),
    "resnet18_v2": ((3, 48, 48), plain_resnet18_v2),
    "squeezenet1_1": ((3, 41, 41), plain_squeezenet1_1),
    "mobilenet_v1": ((3, 48, 48), plain_mobilenet_v1),
    "mobilenet_v2": ((3, 48, 48), plain_mobilenet_v2),
    "regnety_200mf": (
        (3, 48, 48),
        partial(plain_regnet, stages=((1, 24), (1, 56), (4, 152), (7, 368)), group_width=8, excited=True),
    ),
}
