"""Tables of the editions from ResNet on: the stages, parameters, multiply-accumulates and biases of each."""

COLOR_224 = (3, 224, 224)


def stages(classifier, classes, **channels_and_sides):
    """The names of the stages, in order, and the shapes of their outputs: feature maps, then the logits."""
    return {
        **{name: (channels, side, side) for name, (channels, side) in channels_and_sides.items()},
        classifier: classes,
    }


def blog_blocks(*channels_and_sides):
    """Blocks b1 to b6, of which the last one is the classifier."""
    names = [f"b{number}" for number in range(1, 6)]
    return stages("b6", (10,), **dict(zip(names, channels_and_sides)))


def paper_resnet(conv2_x, conv3_x, conv4_x, conv5_x):
    """Table 1; its pools have the names of the authors' models."""
    convolutions = {
        "conv2_x": (conv2_x, 56),
        "conv3_x": (conv3_x, 28),
        "conv4_x": (conv4_x, 14),
        "conv5_x": (conv5_x, 7),
    }
    return COLOR_224, stages("fc", (1000,), conv1=(64, 112), pool1=(64, 56), **convolutions, pool5=(conv5_x, 1))


def cifar_resnet():
    """Section 4.2: the paper gives sides and channels of its stages, and no names."""
    shapes = {"conv1": (16, 32), "stage1": (16, 32), "stage2": (32, 16), "stage3": (64, 8), "pool": (64, 1)}
    return (3, 32, 32), stages("fc", (10,), **shapes)


def resnet_with_pre_activation(*channels):
    """The same stages, and the activation of the last sum before the global pool."""
    shape, found = paper_resnet(*channels)
    last = {name: found.pop(name) for name in ("pool5", "fc")}
    return shape, {**found, "activation": found["conv5_x"], **last}


def squeezenet_stages(conv1, *pooled):
    """Table 1: the output of conv1, then the number of the stage before each pool and the side after it."""
    found, (channels, side) = {"conv1": conv1}, conv1
    pools = dict(pooled)
    fires = dict(zip(range(2, 10), (128, 128, 256, 256, 384, 384, 512, 512)))
    for number in range(1, 10):
        if number in fires:
            channels = fires[number]
            found[f"fire{number}"] = (channels, side)
        if number in pools:
            side = pools[number]
            found[f"pool{number}"] = (channels, side)
    found.update(dropout9=(512, side), conv10=(1000, side), pool10=(1000, 1))
    return (3, 227, 227), stages("flatten", (1000,), **found)


def paper_mobilenet(conv1, *others, **last):
    """`others` are the channels and sides of the blocks, by the beginning of their names."""
    return COLOR_224, stages("fc", (1000,), conv1=conv1, **dict(others), **last)


def densenet_stages(classes, stem, blocks, side):
    """Table 1; `side` is that of the feature maps in the first dense block. Transitions halve them and the channels."""
    found = {"convolution": (stem, 2 * side), "pooling": (stem, side)}
    for number, channels in enumerate(blocks, start=1):
        found[f"dense_block_{number}"] = (channels, side)
        if number < len(blocks):
            side //= 2
            found[f"transition_{number}"] = (channels // 2, side)
    return stages("classification", classes, **found)


def paper_densenet(stem, *blocks):
    return COLOR_224, densenet_stages((1000,), stem, blocks, side=56)


def paper_regnet(*channels):
    bodies = {f"stage{number}": each for number, each in enumerate(zip(channels, (56, 28, 14, 7)), start=1)}
    return COLOR_224, stages("head", (1000,), stem=(32, 112), **bodies)


def paper_efficientnet(side, *channels):
    """Table 1: stages 1, 3, 4, 5 and 7 halve the sides, rounding up."""
    found = {}
    for number, each in enumerate(channels, start=1):
        side = -(-side // 2) if number in (1, 3, 4, 5, 7) else side
        found[f"stage{number}"] = (each, side)
    return stages("stage9", (1000,), **found)


MOBILENET_V1 = (64, 112), (128, 56), (128, 56), (256, 28), (256, 28), *[(512, 14)] * 6, (1024, 7), (1024, 7)
MOBILENET_V2 = (16, 112), (24, 56), (32, 28), (64, 14), (96, 14), (160, 7), (320, 7)
INCEPTION_BN = {
    **{"conv1": (64, 112), "pool1": (64, 55), "conv2_reduce": (64, 55), "conv2": (192, 55), "pool2": (192, 27)},
    **{"inception_3a": (256, 27), "inception_3b": (320, 27), "inception_3c": (576, 14)},
    **{"inception_4a": (576, 14), "inception_4b": (576, 14), "inception_4c": (608, 14), "inception_4d": (608, 14)},
    **{"inception_4e": (1056, 7), "inception_5a": (1024, 7), "inception_5b": (1024, 7), "global_pool": (1024, 1)},
}
INCEPTION_V3 = {
    **{"conv2d_1a": (32, 149), "conv2d_2a": (32, 147), "conv2d_2b": (64, 147), "maxpool_3a": (64, 73)},
    **{"conv2d_3b": (80, 73), "conv2d_4a": (192, 71), "maxpool_5a": (192, 35)},
    **{"mixed_5b": (256, 35), "mixed_5c": (288, 35), "mixed_5d": (288, 35)},
    **{f"mixed_6{letter}": (768, 17) for letter in "abcde"},
    **{"mixed_7a": (1280, 8), "mixed_7b": (2048, 8), "mixed_7c": (2048, 8)},
}
EFFICIENTNET_SIDES = (224, 240, 260, 300, 380, 456, 528, 600)
# stages 1 to 8
EFFICIENTNET_CHANNELS = (
    (32, 16, 24, 40, 80, 112, 192, 320),
    (32, 16, 24, 40, 80, 112, 192, 320),
    (32, 16, 24, 48, 88, 120, 208, 352),
    (40, 24, 32, 48, 96, 136, 232, 384),
    (48, 24, 32, 56, 112, 160, 272, 448),
    (48, 24, 40, 64, 128, 176, 304, 512),
    (56, 32, 40, 72, 144, 200, 344, 576),
    (64, 32, 48, 80, 160, 224, 384, 640),
)

# edition -> its own input, and its stages
STAGES = {
    "resnet18_tutorial": ((1, 96, 96), blog_blocks((64, 45), (64, 22), (128, 11), (256, 6), (512, 3))),
    "resnet18_d2l": ((1, 96, 96), blog_blocks((64, 24), (64, 24), (128, 12), (256, 6), (512, 3))),
    "resnet18_v1": paper_resnet(64, 128, 256, 512),
    "resnet34_v1": paper_resnet(64, 128, 256, 512),
    "resnet50_v1": paper_resnet(256, 512, 1024, 2048),
    "resnet101_v1": paper_resnet(256, 512, 1024, 2048),
    "resnet152_v1": paper_resnet(256, 512, 1024, 2048),
    "densenet_tutorial": ((1, 32, 32), densenet_stages((10,), 64, (256, 512, 1024, 1024), side=8)),
    "densenet_d2l": ((1, 96, 96), densenet_stages((10,), 64, (192, 224, 240, 248), side=24)),
    "densenet121": paper_densenet(64, 256, 512, 1024, 1024),
    "densenet161": paper_densenet(96, 384, 768, 2112, 2208),
    "densenet169": paper_densenet(64, 256, 512, 1280, 1664),
    "densenet201": paper_densenet(64, 256, 512, 1792, 1920),
    "se_resnet18": paper_resnet(64, 128, 256, 512),
    "se_resnet50": paper_resnet(256, 512, 1024, 2048),
    "regnetx32_d2l": ((1, 96, 96), stages("head", (10,), stem=(32, 48), stage1=(32, 24), stage2=(80, 12))),
    "regnetx_200mf": paper_regnet(24, 56, 152, 368),
    "regnetx_400mf": paper_regnet(32, 64, 160, 384),
    "regnetx_800mf": paper_regnet(64, 128, 288, 672),
    **{
        f"efficientnet_b{number}": ((3, side, side), paper_efficientnet(side, *channels))
        for number, (side, channels) in enumerate(zip(EFFICIENTNET_SIDES, EFFICIENTNET_CHANNELS))
    },
    **{f"resnet{layers}_cifar10": cifar_resnet() for layers in (20, 32, 44, 56, 110)},
    **{f"resnet{layers}_v2": resnet_with_pre_activation(64, 128, 256, 512) for layers in (18, 34)},
    **{f"resnet{layers}_v2": resnet_with_pre_activation(256, 512, 1024, 2048) for layers in (50, 101, 152, 200)},
    "squeezenet1_0": squeezenet_stages((96, 111), (1, 55), (4, 27), (8, 13)),
    "squeezenet1_1": squeezenet_stages((64, 113), (1, 56), (3, 28), (5, 14)),
    "resnext50_32x4d": paper_resnet(256, 512, 1024, 2048),
    "resnext101_32x4d": paper_resnet(256, 512, 1024, 2048),
    "resnext101_64x4d": paper_resnet(256, 512, 1024, 2048),
    "mobilenet_v1": paper_mobilenet(
        (32, 112),
        *((f"conv{number}", each) for number, each in enumerate(MOBILENET_V1, start=2)),
        pool=(1024, 1),
    ),
    "mobilenet_v2": paper_mobilenet(
        (32, 112),
        *((f"bottleneck{number}", each) for number, each in enumerate(MOBILENET_V2, start=1)),
        conv2=(1280, 7),
        pool=(1280, 1),
    ),
    "inception_bn": (COLOR_224, {**stages("flatten", (1024,), **INCEPTION_BN), "fc1": (1000,)}),
    "inception_v3": ((3, 299, 299), stages("logits", (1000,), **INCEPTION_V3)),
    "se_resnet101": paper_resnet(256, 512, 1024, 2048),
    "se_resnet152": paper_resnet(256, 512, 1024, 2048),
    "regnety_200mf": paper_regnet(24, 56, 152, 368),
    "regnety_400mf": paper_regnet(48, 104, 208, 440),
    "regnety_600mf": paper_regnet(48, 112, 256, 608),
    "regnety_800mf": paper_regnet(64, 128, 320, 768),
}

# trainable parameters
PARAMS = {
    "resnet18_tutorial": 11_178_250,
    "resnet18_d2l": 11_178_378,
    "resnet18_v1": 11_689_512,
    "resnet34_v1": 21_797_672,
    "resnet50_v1": 25_557_032,
    "resnet101_v1": 44_549_160,
    "resnet152_v1": 60_192_808,
    "densenet_tutorial": 9_850_890,
    "densenet_d2l": 758_226,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "se_resnet18": 11_778_592,
    "se_resnet50": 28_088_024,
    "regnetx32_d2l": 179_290,
    "regnetx_200mf": 2_684_792,
    "regnetx_400mf": 5_157_512,
    "regnetx_800mf": 7_259_656,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    "resnet20_cifar10": 269_722,
    "resnet32_cifar10": 464_154,
    "resnet44_cifar10": 658_586,
    "resnet56_cifar10": 853_018,
    "resnet110_cifar10": 1_727_962,
    "resnet18_v2": 11_687_720,
    "resnet34_v2": 21_795_880,
    "resnet50_v2": 25_549_352,
    "resnet101_v2": 44_541_480,
    "resnet152_v2": 60_185_128,
    "resnet200_v2": 64_666_152,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x4d": 44_177_704,
    "resnext101_64x4d": 83_455_272,
    "inception_bn": 11_295_240,
    "inception_v3": 23_834_568,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "se_resnet101": 49_326_872,
    "se_resnet152": 66_821_848,
    "regnety_200mf": 3_162_996,
    "regnety_400mf": 4_344_144,
    "regnety_600mf": 6_055_160,
    "regnety_800mf": 6_263_168,
}
# the numbers that papers print, in millions
PRINTED = {
    **{"resnet20_cifar10": 0.27, "resnet32_cifar10": 0.46, "resnet44_cifar10": 0.66, "resnet56_cifar10": 0.85},
    **{"resnet110_cifar10": 1.7, "resnext50_32x4d": 25.0, "mobilenet_v1": 4.2},
    **{"regnety_200mf": 3.2, "regnety_400mf": 4.3, "regnety_600mf": 6.1, "regnety_800mf": 6.3},
    **{"efficientnet_b1": 7.8, "efficientnet_b3": 12, "efficientnet_b4": 19, "efficientnet_b5": 30},
    **{"efficientnet_b6": 43, "efficientnet_b7": 66},
}
# Multiply-accumulates of convolutions and dense layers, in units of 1e9. A published 3.878 for ResNet-50 and .203, .403
# and .809 for RegNetX count each value out of batch normalization and ReLU as one more.
GMAC = {
    "resnet18_v1": 1.814,
    "resnet34_v1": 3.664,
    "resnet50_v1": 3.858,
    "regnetx_200mf": 0.199,
    "regnetx_400mf": 0.398,
    "regnetx_800mf": 0.800,
    "efficientnet_b0": 0.386,
    "efficientnet_b1": 0.687,
    "efficientnet_b3": 1.827,
    "efficientnet_b4": 4.394,
    "efficientnet_b5": 10.266,
    "efficientnet_b6": 19.068,
    "efficientnet_b7": 37.746,
    "inception_bn": 1.987,
    "inception_v3": 5.713,
    "mobilenet_v1": 0.569,
    "mobilenet_v2": 0.301,
    "resnext50_32x4d": 4.230,
    "resnext101_64x4d": 15.460,
    "regnety_400mf": 0.402,
}

# Parameters named bias: of the classifier; of all convolutions; of the two dense layers of each squeeze and excitation.
BIASES = {
    "resnet18_tutorial": 1 + 20,
    "resnet18_d2l": 1 + 20,
    "densenet_tutorial": 1 + (1 + 58 + 3),
    "densenet_d2l": 1 + (1 + 16 + 3),
    "se_resnet18": 1 + 2 * 8,
    "se_resnet50": 1 + 2 * 16,
    "regnetx32_d2l": 1 + (1 + 3 * 10 + 2),
    **{f"efficientnet_b{n}": 1 + 2 * blocks for n, blocks in enumerate((16, 23, 23, 26, 32, 39, 45, 55))},
    "squeezenet1_0": 2 + 3 * 8,
    "squeezenet1_1": 2 + 3 * 8,
    "inception_bn": 1 + (3 + 8 * 7 + 2 * 5),
    "se_resnet101": 1 + 2 * 33,
    "se_resnet152": 1 + 2 * 50,
    "regnety_200mf": 1 + 2 * 13,
    "regnety_400mf": 1 + 2 * 16,
    "regnety_600mf": 1 + 2 * 15,
    "regnety_800mf": 1 + 2 * 14,
}
