"""Our editions compared with GluonCV's networks: without the stated differences both compute the same."""

from functools import partial

from comparison import Counterpart, agree, assert_differences_are_stated, filled
from gluon_classics import model_info
import gluon_layers
from gluon_layers import layers_of, pixels_as_convolutions
from gluoncv_or_skip import VGG, model_zoo, with_old_names
from known_differences import NORMS, ONE_TOWER, SMALLER_KERNELS
from layer_values import fold_biases, zero_biases
from mxnet.gluon import nn
import pytest

pytestmark = with_old_names


def with_pixels(net, input_shape):
    """Return the layers of a network whose squeeze and excitation consists of dense layers."""
    return pixels_as_convolutions(layers_of(net, input_shape))


def counterpart(edition, build, **stated):
    classes = model_info(edition).classes
    return Counterpart(edition, partial(build, classes=classes), **{"read": layers_of, **stated})


# biases before batch normalization, without effect, in both 1x1 convolutions of each bottleneck
USELESS_BIASES = ("convolution", "bias", False, True)
# no biases in squeeze and excitation
NO_BIASES = ("convolution", "bias", True, False)


def resnet(layers, **stated):
    return counterpart(f"resnet{layers}_v1", getattr(model_zoo, f"resnet{layers}_v1"), rules=(fold_biases,), **stated)


class PaddedShortcut(nn.HybridBlock):
    """A shortcut without parameters: every second pixel, and channels of zeros."""

    def hybrid_forward(self, F, x):
        kept = F.slice(x, begin=(None, None, None, None), end=(None, None, None, None), step=(1, 1, 2, 2))
        return F.concat(kept, 0 * kept, dim=1)


def with_option_a_and_first_relu(net):
    """Replace the projections, the paper's option B, and add the ReLU of the first convolution."""
    convolution, norm, *others = net.features
    net.features._children.clear()
    net.features.add(convolution, norm, nn.Activation("relu"), *others)

    def replace(block):
        if getattr(block, "downsample", None) is not None:
            del block._children["downsample"]
            object.__setattr__(block, "downsample", PaddedShortcut())

    net.apply(replace)


def cifar_resnet(layers):
    return counterpart(
        f"resnet{layers}_cifar10",
        getattr(model_zoo, f"cifar_resnet{layers}_v1"),
        # both projections
        differences={"convolution": (layers - 1, layers + 1), "norm": (layers - 1, layers + 1)},
        more_parameters=16 * 32 + 2 * 32 + 32 * 64 + 2 * 64,
        adapt=lambda net, _our_layers: with_option_a_and_first_relu(net),
    )


def se_resnet(layers, blocks, useless, missing):
    return counterpart(
        f"se_resnet{layers}",
        getattr(model_zoo, f"se_resnet{layers}_v1"),
        read=with_pixels,
        differences={USELESS_BIASES: 2 * blocks, NO_BIASES: 2 * blocks},
        more_parameters=useless - missing,
        rules=(fold_biases, zero_biases),
    )


COUNTERPARTS = [
    counterpart("vgg", model_zoo.vgg13),
    counterpart("vgg11", model_zoo.vgg11),
    counterpart("vgg13", model_zoo.vgg13),
    counterpart("vgg16", model_zoo.vgg16),
    counterpart("vgg19", model_zoo.vgg19),
    *(counterpart(f"vgg{depth}_bn", getattr(model_zoo, f"vgg{depth}_bn")) for depth in (11, 13, 16, 19)),
    counterpart("vgg11_tutorial", model_zoo.vgg11),
    counterpart("vgg11_d2l", partial(VGG, [1, 1, 2, 2, 2], [16, 32, 64, 128, 128])),
    resnet(18),
    resnet(34),
    resnet(50, differences={USELESS_BIASES: 32}, more_parameters=18_880),
    resnet(101, differences={USELESS_BIASES: 66}, more_parameters=40_640),
    resnet(152, differences={USELESS_BIASES: 100}, more_parameters=59_840),
    counterpart("densenet121", model_zoo.densenet121),
    counterpart("densenet161", model_zoo.densenet161),
    counterpart("densenet169", model_zoo.densenet169),
    counterpart("densenet201", model_zoo.densenet201),
    counterpart(
        "se_resnet18",
        model_zoo.se_resnet18_v1,
        read=with_pixels,
        differences={NO_BIASES: 16},
        more_parameters=-2_040,
        rules=(zero_biases,),
    ),
    se_resnet(50, 16, 18_880, 16_048),
    se_resnet(101, 33, 40_640, 34_544),
    se_resnet(152, 50, 59_840, 50_864),
    cifar_resnet(20),
    cifar_resnet(56),
    cifar_resnet(110),
    counterpart("resnext50_32x4d", model_zoo.resnext50_32x4d),
    counterpart("resnext101_32x4d", model_zoo.resnext101_32x4d),
    counterpart("resnext101_64x4d", model_zoo.resnext101_64x4d),
]
# Too different to compare logits: here only the differences are checked, and test_torchvision.py compares the logits.
DISTANT = [
    counterpart(
        "alexnet",
        model_zoo.alexnet,
        differences={**ONE_TOWER, ("dense", "inputs", 6400, 9216): 1},
        more_parameters=10_264_576,
    ),
    counterpart(
        "alexnet_2012",
        model_zoo.alexnet,
        differences={**ONE_TOWER, ("convolution", "groups", 2, 1): 3, "response norm": (2, 0)},
        more_parameters=135_616,
    ),
    counterpart(
        "googlenet_v1",
        model_zoo.googlenet,
        differences={**NORMS, **SMALLER_KERNELS, ("max pool", "rounds_up", True, False): 1, "response norm": (2, 0)},
        more_parameters=-373_648,
    ),
]


@pytest.mark.parametrize("counterpart", [*COUNTERPARTS, *DISTANT], ids=str)
def test_definitions_have_exactly_the_stated_differences(counterpart):
    assert_differences_are_stated(gluon_layers, counterpart)


@pytest.mark.parametrize("counterpart", COUNTERPARTS, ids=str)
def test_without_these_differences_the_logits_are_equal(counterpart):
    pair = filled(gluon_layers, counterpart)
    assert agree(gluon_layers.predict(pair.net, pair.images), gluon_layers.predict(pair.theirs, pair.images))
