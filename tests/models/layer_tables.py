"""Tables of the later editions of LeNet, AlexNet, VGG, NiN and GoogLeNet: each layer, and the published counts."""

from typing import NamedTuple

from gluon_classics import get_model, utils


class Layer(NamedTuple):
    shape: tuple
    params: int = 0
    running: int = 0
    macs: int = 0


def conv(inputs, kernel, channels, side, groups=1):
    """Each of the output's values takes kernel * kernel * inputs / groups products; each map has one bias."""
    weights = kernel * kernel * inputs // groups * channels
    return Layer((channels, side, side), weights + channels, 0, weights * side * side)


def dense(inputs, units):
    return Layer((units,), inputs * units + units, 0, inputs * units)


def maps(channels, side):
    """A layer without parameters, on maps: pooling, dropout, local response normalization."""
    return Layer((channels, side, side))


def units(count):
    """A layer without parameters, on features: flattening, dropout."""
    return Layer((count,))


def norm(*shape):
    """Batch normalization: gamma and beta are trained; the running mean and variance are not."""
    return Layer(shape, 2 * shape[0], 2 * shape[0], 0)


def inception(inputs, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, side):
    convs = [(inputs, 1, n1_1), (inputs, 1, n2_1), (n2_1, 3, n2_3), (inputs, 1, n3_1), (n3_1, 5, n3_5)]
    parts = [conv(*each, side) for each in (*convs, (inputs, 1, n4_1))]
    return Layer((n1_1 + n2_3 + n3_5 + n4_1, side, side), *(sum(part[field] for part in parts) for field in (1, 2, 3)))


def vgg(
    convolutions,
    inputs=3,
    side=224,
    widths=(64, 128, 256, 512, 512),
    classes=1000,
    hidden=4096,
    normed=False,
    last=(3,) * 5,
):
    """`last` has the kernel of the last convolution of each block."""
    rows = []
    for number, width, last_kernel in zip(convolutions, widths, last):
        for kernel in (*[3] * (number - 1), last_kernel):
            rows.append(conv(inputs, kernel, width, side))
            rows += [norm(width, side, side)] * normed
            inputs = width
        side //= 2
        rows.append(maps(width, side))
    return [*rows, *dense_head(width * side * side, classes, hidden)]


def dense_head(inputs, classes, hidden=4096):
    wide = [dense(inputs, hidden), units(hidden), dense(hidden, hidden), units(hidden)]
    return [units(inputs), *wide, dense(hidden, classes)]


def inceptions(sides):
    return [
        inception(192, 64, 96, 128, 16, 32, 32, sides[0]),
        inception(256, 128, 128, 192, 32, 96, 64, sides[0]),
        maps(480, sides[1]),
        inception(480, 192, 96, 208, 16, 48, 64, sides[1]),
        inception(512, 160, 112, 224, 24, 64, 64, sides[1]),
        inception(512, 128, 128, 256, 24, 64, 64, sides[1]),
        inception(512, 112, 144, 288, 32, 64, 64, sides[1]),
        inception(528, 256, 160, 320, 32, 128, 128, sides[1]),
        maps(832, sides[2]),
        inception(832, 256, 160, 320, 32, 128, 128, sides[2]),
        inception(832, 384, 192, 384, 48, 128, 128, sides[2]),
    ]


LENET_BN = [
    *(conv(1, 5, 6, 24), norm(6, 24, 24), maps(6, 12)),
    *(conv(6, 5, 16, 8), norm(16, 8, 8), maps(16, 4)),
    *(units(256), dense(256, 120), norm(120), dense(120, 84), norm(84), dense(84, 10)),
]

TWENTY_AND_FIFTY = (conv(1, 5, 20, 24), maps(20, 12), conv(20, 5, 50, 8), maps(50, 4))

LENET_BN_TUTORIAL = [
    *(conv(1, 5, 20, 24), norm(20, 24, 24), maps(20, 12), conv(20, 3, 50, 10), norm(50, 10, 10), maps(50, 5)),
    *(units(1250), dense(1250, 128), dense(128, 10)),
]

# edition -> its layers on its own input (an inception block is one layer here; activations are none), in order
TABLES = {
    "lenet_bn_scratch_tutorial": LENET_BN_TUTORIAL,
    "lenet_bn_tutorial": LENET_BN_TUTORIAL,
    "lenet_slides": [
        *TWENTY_AND_FIFTY,
        *(units(800), dense(800, 500), dense(500, 10)),
    ],
    "lenet_straight_dope": [*TWENTY_AND_FIFTY, units(800), dense(800, 512), dense(512, 10)],
    "lenet_bn_straight_dope": [
        *(conv(1, 5, 20, 24), norm(20, 24, 24), maps(20, 12), conv(20, 5, 50, 8), norm(50, 8, 8), maps(50, 4)),
        *(units(800), dense(800, 512), norm(512), dense(512, 10)),
    ],
    "lenet_scratch_straight_dope": [
        *(conv(1, 3, 20, 26), maps(20, 13), conv(20, 5, 50, 9), maps(50, 4)),
        *(units(800), dense(800, 128), dense(128, 10)),
    ],
    "lenet_bn_scratch_straight_dope": [
        *(conv(1, 3, 20, 26), norm(20, 26, 26), maps(20, 13), conv(20, 5, 50, 9), norm(50, 9, 9), maps(50, 4)),
        *(units(800), dense(800, 128), norm(128), dense(128, 10)),
    ],
    "lenet_d2l_first": [
        *(conv(1, 5, 6, 24), maps(6, 12), conv(6, 5, 16, 8), maps(16, 4)),
        *(units(256), dense(256, 120), dense(120, 84), dense(84, 10)),
    ],
    "lenet_d2l": [
        *(conv(1, 5, 6, 28), maps(6, 14), conv(6, 5, 16, 10), maps(16, 5)),
        *(units(400), dense(400, 120), dense(120, 84), dense(84, 10)),
    ],
    "lenet_bn_scratch_first": LENET_BN,
    "lenet_bn_first": LENET_BN,
    "lenet_bn_scratch": LENET_BN,
    "lenet_bn": LENET_BN,
    "lenet_conv3": [
        *(conv(1, 5, 6, 28), maps(6, 14), conv(6, 5, 16, 10), maps(16, 5), conv(16, 5, 120, 1)),
        *(units(120), dense(120, 84), dense(84, 10)),
    ],
    "lenet_cifar10": [
        *(conv(3, 5, 6, 28), maps(6, 14), conv(6, 5, 16, 10), maps(16, 5)),
        *(units(400), dense(400, 120), dense(120, 84), dense(84, 10)),
    ],
    "lenet_caffe": [*TWENTY_AND_FIFTY, units(800), dense(800, 500), dense(500, 10)],
    "lenet_slim": [
        *(conv(1, 5, 32, 28), maps(32, 14), conv(32, 5, 64, 14), maps(64, 7)),
        *(units(3136), dense(3136, 1024), units(1024), dense(1024, 10)),
    ],
    "lenet_pytorch_2017": [
        *(conv(1, 5, 10, 24), maps(10, 12), conv(10, 5, 20, 8), maps(20, 8), maps(20, 4)),
        *(units(320), dense(320, 50), units(50), dense(50, 10)),
    ],
    "lenet_pytorch_2018": [*TWENTY_AND_FIFTY, units(800), dense(800, 500), dense(500, 10)],
    "lenet_pytorch": [
        *(conv(1, 3, 32, 26), conv(32, 3, 64, 24), maps(64, 12), maps(64, 12)),
        *(units(9216), dense(9216, 128), units(128), dense(128, 10)),
    ],
    "alexnet_2012": [
        *(conv(3, 11, 96, 55), maps(96, 55), maps(96, 27)),
        *(conv(96, 5, 256, 27, groups=2), maps(256, 27), maps(256, 13)),
        conv(256, 3, 384, 13),
        conv(384, 3, 384, 13, groups=2),
        *(conv(384, 3, 256, 13, groups=2), maps(256, 6)),
        *dense_head(9216, 1000),
    ],
    "vgg11": vgg((1, 1, 2, 2, 2)),
    "vgg13": vgg((2, 2, 2, 2, 2)),
    "vgg16": vgg((2, 2, 3, 3, 3)),
    "vgg19": vgg((2, 2, 4, 4, 4)),
    "vgg11_lrn": [conv(3, 3, 64, 224), maps(64, 224), *vgg((1, 1, 2, 2, 2))[1:]],
    "vgg16_c": vgg((2, 2, 3, 3, 3), last=(3, 3, 1, 1, 1)),
    "vgg11_bn": vgg((1, 1, 2, 2, 2), normed=True),
    "vgg13_bn": vgg((2, 2, 2, 2, 2), normed=True),
    "vgg16_bn": vgg((2, 2, 3, 3, 3), normed=True),
    "vgg19_bn": vgg((2, 2, 4, 4, 4), normed=True),
    "vgg11_tutorial": vgg((1, 1, 2, 2, 2), inputs=1, side=96, classes=10),
    "vgg11_d2l": vgg((1, 1, 2, 2, 2), inputs=1, widths=(16, 32, 64, 128, 128), classes=10),
    "vgg_straight_dope": vgg((1, 1, 2, 2), inputs=1, side=28, classes=10, hidden=512),
    "nin_cifar10": [
        *(conv(3, 5, 192, 32), conv(192, 1, 160, 32), conv(160, 1, 96, 32), maps(96, 16), maps(96, 16)),
        *(conv(96, 5, 192, 16), conv(192, 1, 192, 16), conv(192, 1, 192, 16), maps(192, 8), maps(192, 8)),
        *(conv(192, 3, 192, 8), conv(192, 1, 192, 8), conv(192, 1, 10, 8), maps(10, 1), units(10)),
    ],
    "nin_imagenet": [
        *(conv(3, 11, 96, 54), conv(96, 1, 96, 54), conv(96, 1, 96, 54), maps(96, 27)),
        *(conv(96, 5, 256, 27), conv(256, 1, 256, 27), conv(256, 1, 256, 27), maps(256, 13)),
        *(conv(256, 3, 384, 13), conv(384, 1, 384, 13), conv(384, 1, 384, 13), maps(384, 6), maps(384, 6)),
        *(conv(384, 3, 1024, 6), conv(1024, 1, 1024, 6), conv(1024, 1, 1000, 6), maps(1000, 1), units(1000)),
    ],
    "googlenet_tutorial": [
        *(conv(1, 7, 64, 48), maps(64, 23), conv(64, 1, 64, 23), conv(64, 3, 192, 23), maps(192, 11)),
        *(*inceptions((11, 5, 2)), maps(1024, 1), units(1024), dense(1024, 10)),
    ],
    "googlenet_d2l": [
        *(conv(1, 7, 64, 48), maps(64, 24), conv(64, 1, 64, 24), conv(64, 3, 192, 24), maps(192, 12)),
        *(*inceptions((12, 6, 3)), maps(1024, 1), units(1024), dense(1024, 10)),
    ],
    "googlenet_v1": [
        *(conv(3, 7, 64, 112), maps(64, 56), maps(64, 56)),
        *(conv(64, 1, 64, 56), conv(64, 3, 192, 56), maps(192, 56), maps(192, 28)),
        *(*inceptions((28, 14, 7)), maps(1024, 1), units(1024), units(1024), dense(1024, 1000)),
    ],
}
TABLES["nin_cifar10_caffe"] = TABLES["nin_cifar10"]  # other layers of the same shapes

# edition -> (C, H, W) and classes of the source, trainable parameters
PUBLISHED = {
    "lenet_bn_scratch_tutorial": ((1, 28, 28), 10, 171_128),
    "lenet_bn_tutorial": ((1, 28, 28), 10, 171_128),
    "lenet_slides": ((1, 28, 28), 10, 431_080),
    "lenet_straight_dope": ((1, 28, 28), 10, 440_812),
    "lenet_bn_straight_dope": ((1, 28, 28), 10, 441_976),
    "lenet_scratch_straight_dope": ((1, 28, 28), 10, 129_068),
    "lenet_bn_scratch_straight_dope": ((1, 28, 28), 10, 129_464),
    "lenet_d2l_first": ((1, 28, 28), 10, 44_426),
    "lenet_d2l": ((1, 28, 28), 10, 61_706),
    "lenet_bn_scratch_first": ((1, 28, 28), 10, 44_878),
    "lenet_bn_first": ((1, 28, 28), 10, 44_878),
    "lenet_bn_scratch": ((1, 28, 28), 10, 44_878),
    "lenet_bn": ((1, 28, 28), 10, 44_878),
    "lenet_conv3": ((1, 32, 32), 10, 61_706),
    "lenet_cifar10": ((3, 32, 32), 10, 62_006),
    "lenet_caffe": ((1, 28, 28), 10, 431_080),
    "lenet_slim": ((1, 28, 28), 10, 3_274_634),
    "lenet_pytorch_2017": ((1, 28, 28), 10, 21_840),
    "lenet_pytorch_2018": ((1, 28, 28), 10, 431_080),
    "lenet_pytorch": ((1, 28, 28), 10, 1_199_882),
    "alexnet_2012": ((3, 227, 227), 1000, 60_965_224),
    "vgg11": ((3, 224, 224), 1000, 132_863_336),
    "vgg13": ((3, 224, 224), 1000, 133_047_848),
    "vgg16": ((3, 224, 224), 1000, 138_357_544),
    "vgg19": ((3, 224, 224), 1000, 143_667_240),
    "vgg11_lrn": ((3, 224, 224), 1000, 132_863_336),
    "vgg16_c": ((3, 224, 224), 1000, 133_638_952),
    "vgg11_bn": ((3, 224, 224), 1000, 132_868_840),
    "vgg13_bn": ((3, 224, 224), 1000, 133_053_736),
    "vgg16_bn": ((3, 224, 224), 1000, 138_365_992),
    "vgg19_bn": ((3, 224, 224), 1000, 143_678_248),
    "vgg11_tutorial": ((1, 96, 96), 10, 44_920_074),
    "vgg11_d2l": ((1, 224, 224), 10, 43_093_322),
    "vgg_straight_dope": ((1, 28, 28), 10, 5_030_154),
    "nin_cifar10": ((3, 32, 32), 10, 966_986),
    "nin_cifar10_caffe": ((3, 32, 32), 10, 966_986),
    "nin_imagenet": ((3, 224, 224), 1000, 7_595_176),
    "googlenet_tutorial": ((1, 96, 96), 10, 5_977_530),
    "googlenet_d2l": ((1, 96, 96), 10, 5_977_530),
    "googlenet_v1": ((3, 224, 224), 1000, 6_998_552),
}
D2L_BN = ("lenet_bn", "lenet_bn_scratch", "lenet_bn_first", "lenet_bn_scratch_first")
TUTORIAL_BN = ("lenet_bn_tutorial", "lenet_bn_scratch_tutorial")
RUNNING = {
    **dict.fromkeys(D2L_BN, 452),
    **dict.fromkeys(TUTORIAL_BN, 2 * (20 + 50)),
    "lenet_bn_straight_dope": 1164,
    "lenet_bn_scratch_straight_dope": 396,
    **{"vgg11_bn": 5_504, "vgg13_bn": 5_888, "vgg16_bn": 8_448, "vgg19_bn": 11_008},
}
# edition -> published billions of multiply-accumulates, as many digits as are published
GMAC = {
    "alexnet_2012": "0.7244",
    "vgg11": "7.609",
    "vgg13": "11.308",
    "vgg16": "15.470",
    "vgg19": "19.632",
    "vgg11_bn": "7.609",
    "vgg13_bn": "11.308",
    "vgg16_bn": "15.470",
    "vgg19_bn": "19.632",
    "nin_imagenet": "1.10",
    "googlenet_v1": "1.583",
}


def layers(summary):
    """The rows that are one line of a table: no chains, and nothing from inside an inception block."""
    found = []
    for row in summary.rows:
        within = any(row.path.startswith(block + ".") for block in found)
        if not within and (row.leaf or not row.layer.startswith("Sequential")):
            found.append(row.path)
    return [row for row in summary.rows if row.path in found]


def summary_of(name):
    return utils.summarize(get_model(name), PUBLISHED[name][0])
