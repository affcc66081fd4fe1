"""Stages have the names of the papers and of the blog, and the shapes of their tables."""

from gluon_classics import get_model, model_info, utils
import pytest

# GoogLeNet's table 1 by the height of the feature maps: its own, and those of the editions' own images
INCEPTION_CHANNELS = {
    "3a": 256,
    "3b": 480,
    "4a": 512,
    "4b": 512,
    "4c": 512,
    "4d": 528,
    "4e": 832,
    "5a": 832,
    "5b": 1024,
}
GOOGLENET_SIDES = {
    # conv1, pool1, inception 3, 4, 5, pool5
    "googlenet": (112, 55, 27, 13, 6, 3),
    "googlenet_tutorial": (48, 23, 11, 5, 2, 1),
    "googlenet_d2l": (48, 24, 12, 6, 3, 1),
    "googlenet_v1": (112, 56, 28, 14, 7, 1),
}
BLOG_BLOCKS = {
    "b1": ("conv1", "pool1"),
    "b2": ("conv2_reduce", "conv2", "pool2"),
    "b3": ("inception_3a", "inception_3b", "pool3"),
    "b4": ("inception_4a", "inception_4b", "inception_4c", "inception_4d", "inception_4e", "pool4"),
    "b5": ("inception_5a", "inception_5b", "pool5"),
    "b6": ("flatten", "linear"),
}


def googlenet_table(name):
    conv1, pool1, third, fourth, fifth, last = GOOGLENET_SIDES[name]
    sides = {"3": third, "4": fourth, "5": fifth}
    inceptions = {f"inception_{block}": (n, sides[block[0]]) for block, n in INCEPTION_CHANNELS.items()}
    table = {"conv1": (64, conv1), "pool1": (64, pool1), "conv2_reduce": (64, pool1), "conv2": (192, pool1)}
    table.update({"pool2": (192, third), **inceptions, "pool3": (480, fourth), "pool4": (832, fifth)})
    return {**table, "pool5": (1024, last)}


def rows_of(name):
    return utils.summarize(get_model(name), model_info(name).input_shape).rows


@pytest.mark.parametrize("name", GOOGLENET_SIDES)
def test_googlenets_stages_have_the_names_and_shapes_of_the_paper(name):
    shapes = {row.path.rpartition(".")[2]: row.output_shape for row in rows_of(name)}
    expected = {stage: (channels, side, side) for stage, (channels, side) in googlenet_table(name).items()}
    assert {stage: shapes.get(stage) for stage in expected} == expected


@pytest.mark.parametrize("name", ["googlenet", "googlenet_tutorial", "googlenet_d2l"])
def test_googlenets_stages_stand_in_the_blogs_six_blocks(name):
    net = get_model(name)
    assert {block: tuple(getattr(net, block)._children) for block in net._children} == BLOG_BLOCKS


def test_the_papers_googlenet_chains_its_stages_in_order():
    blog = [stage for block in BLOG_BLOCKS.values() for stage in block]
    without_norms = [
        stage for stage in get_model("googlenet_v1")._children if not stage.startswith(("norm", "dropout"))
    ]
    assert without_norms == blog


VGG = {"block1": (64, 112), "block2": (128, 56), "block3": (256, 28), "block4": (512, 14), "block5": (512, 7)}
DENSE_HEAD = ["flatten", "fc6", "dropout6", "fc7", "dropout7", "fc8"]
# edition -> its stages in order, and the shapes of those that give feature maps
STAGES = {
    "lenet_caffe": {
        **{"conv1": (20, 24), "pool1": (20, 12), "conv2": (50, 8), "pool2": (50, 4)},
        **dict.fromkeys(("flatten", "ip1", "ip2")),
    },
    "lenet_slim": {
        **{"conv1": (32, 28), "pool1": (32, 14), "conv2": (64, 14), "pool2": (64, 7)},
        **dict.fromkeys(("flatten", "fc3", "dropout3", "fc4")),
    },
    "lenet_pytorch_2017": {
        **{"conv1": (10, 24), "pool1": (10, 12), "conv2": (20, 8), "conv2_drop": (20, 8), "pool2": (20, 4)},
        **dict.fromkeys(("flatten", "fc1", "dropout", "fc2")),
    },
    "lenet_pytorch": {
        **{"conv1": (32, 26), "conv2": (64, 24), "pool": (64, 12), "dropout1": (64, 12)},
        **dict.fromkeys(("flatten", "fc1", "dropout2", "fc2")),
    },
    "lenet_1989": {
        **{f"H{number}{end}": (12, side) for number, side in ((1, 8), (2, 4)) for end in ("", "_squash")},
        **dict.fromkeys(("H3", "H3_squash", "output", "output_squash")),
    },
    "lenet1": {
        **{f"H{number}{end}": (4, side) for number, side in ((1, 24), (2, 12)) for end in ("", "_squash")},
        **{f"H{number}{end}": (12, side) for number, side in ((3, 8), (4, 4)) for end in ("", "_squash")},
        **dict.fromkeys(("output", "output_squash")),
    },
    "alexnet": {
        **{"conv1": (96, 54), "pool1": (96, 26), "conv2": (256, 26), "pool2": (256, 12), "conv3": (384, 12)},
        **{"conv4": (384, 12), "conv5": (256, 12), "pool5": (256, 5), **dict.fromkeys(DENSE_HEAD)},
    },
    "alexnet_2012": {
        **{"conv1": (96, 55), "norm1": (96, 55), "pool1": (96, 27)},
        **{"conv2": (256, 27), "norm2": (256, 27), "pool2": (256, 13)},
        **{"conv3": (384, 13), "conv4": (384, 13), "conv5": (256, 13), "pool5": (256, 6), **dict.fromkeys(DENSE_HEAD)},
    },
    "vgg": {**VGG, **dict.fromkeys(DENSE_HEAD)},
    "vgg16": {**VGG, **dict.fromkeys(DENSE_HEAD)},
    "vgg11_lrn": {**VGG, **dict.fromkeys(DENSE_HEAD)},
    "vgg16_c": {**VGG, **dict.fromkeys(DENSE_HEAD)},
    "vgg19_bn": {**VGG, **dict.fromkeys(DENSE_HEAD)},
    "nin": {
        **{"mlpconv1": (96, 26), "mlpconv2": (256, 12), "mlpconv3": (384, 5), "dropout3": (384, 5)},
        **{"mlpconv4": (10, 5), "global_pool": (10, 1), "flatten": None},
    },
    "nin_cifar10": {
        **{"mlpconv1": (96, 16), "dropout1": (96, 16), "mlpconv2": (192, 8), "dropout2": (192, 8)},
        **{"mlpconv3": (10, 8), "global_pool": (10, 1), "flatten": None},
    },
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_have_their_names_and_shapes(name):
    rows = [row for row in rows_of(name) if row.depth == 0]
    assert [row.path for row in rows] == list(STAGES[name])
    shapes = {stage: (channels, side, side) for stage, (channels, side) in maps_of(STAGES[name]).items()}
    assert {row.path: row.output_shape for row in rows if len(row.output_shape) == 3} == shapes


def maps_of(stages):
    return {stage: shape for stage, shape in stages.items() if shape}


@pytest.mark.parametrize("name", ["googlenet", "alexnet", "resnet18_v1", "lenet5"])
def test_parameters_keep_the_names_of_their_stages_in_a_compiled_twin(name):
    net = get_model(name)
    own, twins = (network._collect_params_with_prefix() for network in (net, utils.hybridized(net)))
    assert list(own) == list(twins)
    assert not next(iter(own))[0].isdigit()
    assert all(own[key] is twins[key] for key in own)
