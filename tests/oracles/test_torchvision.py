"""Our editions compared with torchvision's networks: without the stated differences both compute the same."""

from functools import partial
import importlib.util

from comparison import BATCH, SEED, Counterpart, agree, assert_differences_are_stated, filled
from gluon_classics import get_model, list_models, model_info
import gluon_layers
from known_differences import NORMS, ONE_TOWER, SMALLER_KERNELS
from layer_values import fold_norms
import numpy as np
import pytest

if importlib.util.find_spec("torchvision") is None:
    pytest.skip("needs torchvision: tox -e oracle-torchvision", allow_module_level=True)

import torch
from torch import nn
import torch_layers
from torch_layers import layers_of, redefine
from torchvision import models
from torchvision.models.regnet import BlockParams, RegNet
from torchvision.models.resnet import Bottleneck, ResNet

GRADIENT_TOLERANCE = 0.1  # relative to the norm of a tensor's gradient
WITH_GRADIENTS = (
    "alexnet_2012",
    "vgg11_tutorial",
    "vgg11_bn",
    "resnet18_v1",
    "resnet50_v1",
    "densenet121",
    "regnetx_200mf",
    "efficientnet_b0",
    "regnety_200mf",
    "resnext50_32x4d",
    "mobilenet_v2",
    "squeezenet1_1",
)
PIXELS = 100.0  # standard deviation as in photographs: local response normalization hardly changes small values


def counterpart(edition, build, last=(), rewire=None, **stated):
    """Return a counterpart in torchvision, in prediction mode. Adapting it gives its layers our settings.

    Args:
        edition: Name of our network.
        build: Returns torchvision's network.
        last: See `layers_of`.
        rewire: Called with the network to remove differences that are not settings of a layer.
        stated: Other fields of `Counterpart`.
    """

    def read(net, _input_shape):
        return layers_of(net, last)

    def adapt(net, our_layers):
        if rewire is not None:
            rewire(net)
        redefine(layers_of(net, last), our_layers)

    return Counterpart(edition, lambda: build().eval(), read, adapt=adapt, **stated)


# --- differences that are not settings of a layer


def without_adaptive_pool(net):
    """Remove the pooling to 6x6 maps (AlexNet) or 7x7 maps (VGG), which ours do not have."""
    net.avgpool = nn.Identity()


def local_response_norm():
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)  # PyTorch divides alpha by the size


def with_response_norm_in_alexnet(net):
    """Add it after the ReLU of convolutions 1 and 2, as in the paper."""
    first, second, rest = net.features[:2], net.features[2:5], net.features[5:]
    net.features = nn.Sequential(*first, local_response_norm(), *second, local_response_norm(), *rest)


def with_response_norm_in_vgg(net):
    """Add it after the ReLU of the first convolution, as in column A-LRN of table 1."""
    without_adaptive_pool(net)
    net.features = nn.Sequential(*net.features[:2], local_response_norm(), *net.features[2:])


def with_response_norm_in_googlenet(net):
    """Add it after the first pool and before the second, as in figure 3 of the paper."""
    net.maxpool1 = nn.Sequential(net.maxpool1, local_response_norm())
    net.maxpool2 = nn.Sequential(local_response_norm(), net.maxpool2)


def with_auxiliary_logits(net):
    """Return auxiliary logits in prediction, too, in our order, after the paper's 5x5 pool with stride 3.

    Torchvision averages to 4x4 maps, which does not change maps that are 4x4 already.
    """
    with_response_norm_in_googlenet(net)
    net.training = True  # of the network only: its layers stay in prediction mode
    net.register_forward_hook(lambda _net, _images, logits: (logits.logits, logits.aux_logits1, logits.aux_logits2))
    for head in (net.aux1, net.aux2):
        head.register_forward_pre_hook(lambda _head, maps: nn.functional.avg_pool2d(maps[0], 5, 3))


def with_the_tutorials_second_stage_and_end(net):
    """Remove the ReLUs of the second stage, and use 2x2 average pooling before the classifier."""
    net.conv2, net.conv3 = net.conv2.conv, net.conv3.conv
    net.avgpool = nn.AvgPool2d(2)


def without_norm_on_projections(net):
    for stage in (net.layer2, net.layer3, net.layer4):
        stage[0].downsample[1] = nn.Identity()


def with_the_blogs_stem_and_end(net):
    """Use one convolution as the stem, no batch normalization on projections, and 3x3 average pooling at the end."""
    without_norm_on_projections(net)
    net.bn1 = net.relu = nn.Identity()
    net.avgpool = nn.AvgPool2d(3)


def without_padding_in_averages(net):
    """Average the pixels inside the maps, as TensorFlow does: undo the division by 9 at the borders."""

    def divide_again(_module, inputs):
        (averages,) = inputs
        return averages / nn.functional.avg_pool2d(torch.ones_like(averages), 3, stride=1, padding=1)

    for block in net.children():
        if hasattr(block, "branch_pool"):
            block.branch_pool.register_forward_pre_hook(divide_again)


# --- the table: editions, the closest networks, and all differences of their layers

GRAY = {("convolution", "inputs", 1, 3): 1}
QUARTER = {
    ("convolution", "channels", 16, 64): 1,
    ("convolution", "channels", 32, 128): 1,
    ("convolution", "channels", 64, 256): 2,
    ("convolution", "channels", 128, 512): 4,
    ("convolution", "inputs", 16, 64): 1,
    ("convolution", "inputs", 32, 128): 1,
    ("convolution", "inputs", 64, 256): 2,
    ("convolution", "inputs", 128, 512): 3,
    ("dense", "inputs", 6272, 25088): 1,
}
NARROW_HEAD = {
    ("dense", "units", 512, 4096): 2,
    ("dense", "inputs", 512, 25088): 1,
    ("dense", "inputs", 512, 4096): 2,
}
# configuration C ends its last three blocks with a 1x1 convolution
SMALL_THIRD = {("convolution", "kernel", 1, 3): 3, ("convolution", "padding", 0, 1): 3}
# all pools of GoogLeNet round up
ALL_ROUND_UP = {("max pool", "rounds_up", False, True): 13}
INNER_ROUND_UP = {("max pool", "rounds_up", False, True): 9}  # in pools with stride 1, without effect
# the blog's ResNet has biases in all convolutions
BIASES = {("convolution", "bias", True, False): 20}
PLAIN_STEM = {("convolution", "padding", 0, 3): 1, ("max pool", "padding", 0, 1): 1, "norm": (16, 20)}
# "version 1.5" of a bottleneck: the 3x3 convolution has the stride, not the 1x1 convolution before it
STRIDE_LATER = {("convolution", "stride", 2, 1): 3, ("convolution", "stride", 1, 2): 3}
# 392 channels are 24.5 groups of 16: the authors' code rounds to even, 24, and torchvision rounds up to 25
WIDER_STAGE = {
    ("convolution", "channels", 384, 400): 37,
    ("convolution", "inputs", 384, 400): 35,
    ("convolution", "groups", 24, 25): 12,
    ("dense", "inputs", 384, 400): 1,
    ("norm", "channels", 384, 400): 37,
}


# the same for 136 channels, 8.5 groups, and 776, 48.5 groups; squeeze and excitation has a quarter of these channels
WIDER_Y_STAGES = {
    ("convolution", "channels", 128, 144): 13,
    ("convolution", "inputs", 128, 144): 13,
    ("convolution", "groups", 8, 9): 3,
    ("convolution", "channels", 32, 36): 3,
    ("convolution", "inputs", 32, 36): 3,
    ("convolution", "channels", 768, 784): 9,
    ("convolution", "inputs", 768, 784): 7,
    ("convolution", "groups", 48, 49): 2,
    ("convolution", "channels", 192, 196): 1,
    ("convolution", "inputs", 192, 196): 1,
    ("dense", "inputs", 768, 784): 1,
    ("norm", "channels", 128, 144): 10,
    ("norm", "channels", 768, 784): 7,
}


def alexnet(edition, rewire, differences, more_parameters, **stated):
    build = partial(models.alexnet, num_classes=model_info(edition).classes)
    differences = {**ONE_TOWER, **differences}
    return counterpart(
        edition, build, rewire=rewire, differences=differences, more_parameters=more_parameters, **stated
    )


def vgg(edition, layers, rewire=without_adaptive_pool, **stated):
    build = partial(getattr(models, f"vgg{layers}"), num_classes=model_info(edition).classes)
    return counterpart(edition, build, rewire=rewire, **stated)


def vgg11_without_fifth_block():
    net = models.vgg11(num_classes=10)
    net.features = net.features[:-5]
    return net


def googlenet(edition, rewire=None, differences=(), aux_logits=False, **stated):
    classes = model_info(edition).classes
    build = partial(models.googlenet, aux_logits=aux_logits, init_weights=False, num_classes=classes)
    differences = {**NORMS, **dict(differences)}
    return counterpart(edition, build, rewire=rewire, differences=differences, rules=(fold_norms,), **stated)


def blogs_resnet(edition, differences, more_parameters, rewire=with_the_blogs_stem_and_end):
    build = partial(models.resnet18, num_classes=10)
    differences = {**GRAY, **BIASES, **differences}
    return counterpart(edition, build, rewire=rewire, differences=differences, more_parameters=more_parameters)


def regnet(edition, build, **stated):
    return counterpart(edition, build, last=("proj",), **stated)


def efficientnet(number, differences=()):
    name = f"efficientnet_b{number}"
    return counterpart(name, getattr(models, name), differences=dict(differences))


EPSILON_1E_5 = (49, 69, 69, 78, 96)  # batch normalizations of B0 to B4
COUNTERPARTS = [
    alexnet("alexnet", without_adaptive_pool, {**GRAY, ("dense", "inputs", 6400, 9216): 1}, 10_280_064),
    alexnet(
        "alexnet_2012",
        with_response_norm_in_alexnet,
        {("convolution", "groups", 2, 1): 3, "response norm": (2, 0)},
        135_616,
        width=PIXELS,
    ),
    vgg("vgg", 13, differences=GRAY, more_parameters=1_152),
    vgg("vgg11", 11),
    vgg("vgg13", 13),
    vgg("vgg16", 16),
    vgg("vgg19", 19),
    vgg("vgg11_lrn", 11, with_response_norm_in_vgg, differences={"response norm": (1, 0)}, width=PIXELS),
    vgg("vgg16_c", 16, differences=SMALL_THIRD, more_parameters=4_718_592),
    *(vgg(f"vgg{layers}_bn", f"{layers}_bn") for layers in (11, 13, 16, 19)),
    vgg("vgg11_tutorial", 11, differences={**GRAY, ("dense", "inputs", 4608, 25088): 1}, more_parameters=83_887_232),
    vgg("vgg11_d2l", 11, differences={**GRAY, **QUARTER}, more_parameters=85_713_984),
    counterpart(
        "vgg_straight_dope",
        vgg11_without_fifth_block,
        rewire=without_adaptive_pool,
        differences={**GRAY, **NARROW_HEAD},
        more_parameters=119_057_536,
    ),
    googlenet(
        "googlenet",
        with_the_tutorials_second_stage_and_end,
        {
            **GRAY,
            ("convolution", "kernel", 1, 3): 18,
            ("convolution", "padding", 0, 1): 18,
            ("max pool", "size", 3, 2): 1,
            **ALL_ROUND_UP,
            ("dense", "inputs", 9216, 1024): 1,
        },
        more_parameters=2_780_400,
    ),
    googlenet(
        "googlenet_tutorial",
        with_the_tutorials_second_stage_and_end,
        {**GRAY, **SMALLER_KERNELS, **ALL_ROUND_UP},
        more_parameters=-367_376,
    ),
    googlenet(
        "googlenet_d2l",
        differences={**GRAY, **SMALLER_KERNELS, **ALL_ROUND_UP, ("max pool", "padding", 1, 0): 4},
        more_parameters=-367_376,
    ),
    googlenet(
        "googlenet_v1",
        with_response_norm_in_googlenet,
        {**SMALLER_KERNELS, **INNER_ROUND_UP, "response norm": (2, 0)},
        more_parameters=-373_648,
        width=PIXELS,
    ),
    blogs_resnet("resnet", {**PLAIN_STEM, ("dense", "inputs", 2048, 512): 1}, -11_968),
    blogs_resnet("resnet18_tutorial", PLAIN_STEM, 3_392),
    blogs_resnet("resnet18_d2l", {"norm": (17, 20)}, 3_264, without_norm_on_projections),
    counterpart("resnet18_v1", models.resnet18),
    counterpart("resnet34_v1", models.resnet34),
    counterpart("resnet50_v1", models.resnet50, differences=STRIDE_LATER),
    counterpart("resnet101_v1", models.resnet101, differences=STRIDE_LATER),
    counterpart("resnet152_v1", models.resnet152, differences=STRIDE_LATER),
    counterpart("densenet121", models.densenet121),
    counterpart("densenet161", models.densenet161),
    counterpart("densenet169", models.densenet169),
    counterpart("densenet201", models.densenet201),
    regnet(
        "regnetx32_d2l",
        lambda: RegNet(BlockParams([4, 6], [32, 80], [16, 16], [1.0, 1.0], [2, 2]), num_classes=10),
        differences={**GRAY, ("convolution", "bias", True, False): 33},
        more_parameters=-1_392,
    ),
    regnet("regnetx_200mf", lambda: RegNet(BlockParams.from_init_params(13, 24, 36.44, 2.49, 8))),
    regnet("regnetx_400mf", models.regnet_x_400mf, differences=WIDER_STAGE, more_parameters=338_464),
    regnet("regnetx_800mf", models.regnet_x_800mf),
    regnet("regnety_200mf", lambda: RegNet(BlockParams.from_init_params(13, 24, 36.44, 2.49, 8, se_ratio=0.25))),
    regnet("regnety_400mf", models.regnet_y_400mf),
    regnet("regnety_600mf", lambda: RegNet(BlockParams.from_init_params(15, 48, 32.54, 2.32, 16, se_ratio=0.25))),
    regnet("regnety_800mf", models.regnet_y_800mf, differences=WIDER_Y_STAGES, more_parameters=169_344),
    # the authors' code has an epsilon of .001
    *(efficientnet(number, {("norm", "epsilon", 1e-3, 1e-5): norms}) for number, norms in enumerate(EPSILON_1E_5)),
    *(efficientnet(number) for number in (5, 6, 7)),
    counterpart(
        "inception_v3",
        partial(models.inception_v3, aux_logits=False, init_weights=False),
        rewire=without_padding_in_averages,
        # two pools are functions, not modules
        differences={"max pool": (4, 2)},
    ),
    counterpart("squeezenet1_0", models.squeezenet1_0),
    counterpart("squeezenet1_1", models.squeezenet1_1),
    counterpart("resnext50_32x4d", models.resnext50_32x4d),
    counterpart("resnext101_32x4d", lambda: ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=4)),
    counterpart("resnext101_64x4d", models.resnext101_64x4d),
    counterpart("mobilenet_v2", models.mobilenet_v2),
]
IN_TRAINING = googlenet(
    "googlenet_v1",
    with_auxiliary_logits,
    {
        **SMALLER_KERNELS,
        **INNER_ROUND_UP,
        ("convolution", "bias", True, False): 59,
        "norm": (0, 59),
        "response norm": (2, 0),
    },
    aux_logits=True,
    last=("aux1", "aux2"),
    build_ours=lambda edition: get_model(edition, auxiliary=True).training,
    more_parameters=-373_392,
    width=PIXELS,
)
every_counterpart = pytest.mark.parametrize(
    "counterpart", [*COUNTERPARTS, pytest.param(IN_TRAINING, id="googlenet_v1, in training")], ids=str
)


def test_every_edition_of_a_family_in_torchvision_has_a_counterpart():
    """Torchvision has no DenseNet without bottlenecks. Other oracles have the rest that it lacks."""
    families = {model_info(row.edition).family for row in COUNTERPARTS}
    editions = {edition for edition in list_models() if model_info(edition).family in families}
    without = {"densenet_tutorial", "densenet_d2l", "mobilenet_v1", "inception_bn"}
    without |= {edition for edition in list_models() if edition.endswith("_cifar10") and "resnet" in edition}
    assert editions - {row.edition for row in COUNTERPARTS} == without


@every_counterpart
def test_definitions_have_exactly_the_stated_differences(counterpart):
    assert_differences_are_stated(torch_layers, counterpart)


@every_counterpart
def test_without_these_differences_the_logits_are_equal(counterpart):
    pair = filled(torch_layers, counterpart)
    assert agree(gluon_layers.predict(pair.net, pair.images), torch_layers.predict(pair.theirs, pair.images))


@pytest.mark.parametrize("counterpart", [row for row in COUNTERPARTS if row.edition in WITH_GRADIENTS], ids=str)
def test_the_gradients_of_all_parameters_are_equal(counterpart):
    """Rounding can switch ReLUs whose input is close to 0. In PyTorch, float32 and float64 also differ by up to 2%."""
    pair = filled(torch_layers, counterpart)
    direction = np.random.default_rng(SEED).standard_normal((BATCH, model_info(counterpart.edition).classes), "float32")
    ours = gluon_layers.gradients(pair.net, pair.layers, pair.images, direction)
    theirs = torch_layers.gradients(pair.theirs, pair.their_layers, pair.images, direction)
    largest = max(map(np.linalg.norm, theirs))
    assert len(ours) == len(theirs)
    for mine, its in zip(ours, theirs):
        # some gradients are 0: what one batch normalization adds, the next one removes
        assert np.linalg.norm(mine - its) <= GRADIENT_TOLERANCE * max(np.linalg.norm(its), 1e-3 * largest)


def test_a_change_of_five_percent_in_any_tensor_is_detected():
    """Otherwise equal logits would prove little. Each tensor of a network is changed in turn."""
    (counterpart,) = (row for row in COUNTERPARTS if row.edition == "regnetx_200mf")
    pair = filled(torch_layers, counterpart)
    theirs = torch_layers.predict(pair.theirs, pair.images)
    for layer in pair.their_layers:
        for tensor in layer.tensors.values():
            tensor.data.mul_(1.05)
            assert not agree(torch_layers.predict(pair.theirs, pair.images), theirs)
            tensor.data.div_(1.05)
    assert agree(torch_layers.predict(pair.theirs, pair.images), theirs)
