"""ResNet, ResNet v2 and ResNeXt: where the strides are, the shortcuts, the groups, and the blocks in NumPy."""

from functools import partial

from arrays import assert_close, terms_of
from gluon_blocks import computed, filled, formula, in_both_modes, of_kind
from gluon_classics import get_model, model_info, utils
from gluon_classics.models import _blocks, resnet, resnet_v2, resnext, senet
from mxnet import autograd, nd
from mxnet.gluon import nn
import numpy as np
from numpy_blocks import PlainBlocks
import pytest
from stage_tables import COLOR_224

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("name", ["resnet50_v1", "resnet101_v1", "resnet152_v1", "se_resnet50"])
def test_the_first_convolution_of_a_bottleneck_has_the_stride(name):
    blocks = of_kind(get_model(name), resnet.WithShortcut)
    strides = [[conv._kwargs["stride"][0] for conv in of_kind(block.body, nn.Conv2D)[:3]] for block in blocks]
    halving = [number for number, block in enumerate(strides) if block != [1, 1, 1]]
    first, second, third, _ = resnet.BLOCKS[int(name[:-3].partition("resnet")[2] if name.endswith("v1") else 50)]
    assert halving == [first, first + second, first + second + third]
    assert [strides[number] for number in halving] == [[2, 1, 1]] * 3


# network -> additional parameters: the bias of ResNet-50's first convolution
@pytest.mark.parametrize(
    ("name", "more"),
    [
        *(("resnet50_v1", 64), ("resnet101_v1", 0), ("resnet152_v1", 0)),
        *(("se_resnet50", 0), ("se_resnet101", 0), ("se_resnet152", 0)),
    ],
)
def test_released_networks_have_the_stem_of_the_authors_models(name, more):
    """The pool of the authors' prototxts has no padding and rounds up, which leaves 56x56 feature maps as well."""
    ours, released = (utils.summarize(get_model(name, **kind), COLOR_224) for kind in ({}, {"released": True}))
    assert released.params == ours.params + more
    assert [row.output_shape for row in released.rows] == [row.output_shape for row in ours.rows]
    different = [pair for pair in zip(ours.rows, released.rows) if pair[0].layer != pair[1].layer]
    assert [tuple(row.layer for row in pair) for pair in different] == [
        ("MaxPool2D 3x3 /2 pad 1", "MaxPool2D 3x3 /2 ceil")
    ]
    biases = [row.path for row, plain in zip(released.rows, ours.rows) if row.params != plain.params]
    assert biases == ["conv1", "conv1.0"][: 2 * (more > 0)]
    departures = model_info(name).departures
    assert resnet.POOL_1 in departures
    assert (resnet.STEM_BIAS in departures) == (more > 0)


def test_option_a_keeps_every_second_pixel_and_appends_channels_of_zeros():
    x = formula(2, 3, 5, 4)
    shortcut = nn.HybridSequential()
    shortcut.add(*resnet.padded_identity(strides=2))
    assert len(shortcut.collect_params().keys()) == 0
    data = nd.array(x)
    data.attach_grad()
    with autograd.record():
        out = shortcut(data)
    assert out.shape == (2, 6, 3, 2)
    np.testing.assert_array_equal(out[:, :3].asnumpy(), x[:, :, ::2, ::2])
    assert not out[:, 3:].asnumpy().any()
    out.backward(out)
    kept = np.zeros_like(x)
    kept[:, :, ::2, ::2] = x[:, :, ::2, ::2]
    np.testing.assert_array_equal(data.grad.asnumpy(), kept)


@in_both_modes
@pytest.mark.parametrize("excited", [False, True], ids=["plain", "excited"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_bottleneck_is_three_convolutions_beside_a_shortcut(stride, excited, training):
    x = formula(2, 64, 7, 5)
    body = partial(senet.excited, resnet.bottleneck, 4) if excited else resnet.bottleneck
    # with a stride the block projects, without it the input is added as it is
    projection = _blocks.conv_norm(64, 1, strides=2) if stride == 2 else ()
    block = filled(resnet.WithShortcut(body(16, stride), projection), x)
    plain = PlainBlocks(block, training)
    expected = plain.bottleneck(x, stride, projected=stride == 2, excited=excited)
    assert plain.is_done()
    assert expected.shape == ((2, 64, 4, 3) if stride == 2 else x.shape)
    assert_close(computed(block, x, training), expected, terms_of(block))


@pytest.mark.parametrize(
    ("name", "kind"), [("resnet50_v2", resnet_v2.PreActivation), ("resnext50_32x4d", resnet.WithShortcut)]
)
def test_the_3x3_convolution_of_a_later_bottleneck_has_the_stride(name, kind):
    blocks = of_kind(get_model(name), kind)
    settings = [[conv._kwargs for conv in of_kind(block.body, nn.Conv2D)] for block in blocks]
    assert all([conv["kernel"][0] for conv in block] == [1, 3, 1] for block in settings)
    strides = [[conv["stride"][0] for conv in block] for block in settings]
    assert [number for number, block in enumerate(strides) if block == [1, 2, 1]] == [3, 7, 13]
    assert strides.count([1, 1, 1]) == 13


def test_the_first_unit_of_resnet_v2_does_not_repeat_the_activation_of_conv1():
    for name, projected in (("resnet50_v2", [0, 3, 7, 13]), ("resnet34_v2", [3, 7, 13])):
        units = of_kind(get_model(name), resnet_v2.PreActivation)
        assert [unit.activation is None for unit in units] == [True] + 15 * [False]
        assert [number for number, unit in enumerate(units) if unit.projection is not None] == projected


@in_both_modes
@pytest.mark.parametrize("bottleneck", [False, True], ids=["two", "three"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_unit_with_pre_activation_adds_its_input_as_it_is_or_projects_the_activated_one(stride, bottleneck, training):
    x = formula(2, 64, 7, 5)
    body = resnet_v2.bottleneck(16, stride) if bottleneck else resnet_v2.building_block(64, stride)
    projection = [resnet_v2.conv(64, 1, 2)] if stride == 2 else []
    block = filled(resnet_v2.PreActivation(body, projection), x)
    plain = PlainBlocks(block, training)
    expected = plain.pre_activated(x, stride, projected=stride == 2, bottleneck=bottleneck)
    assert plain.is_done()
    assert expected.shape == ((2, 64, 4, 3) if stride == 2 else x.shape)
    assert_close(computed(block, x, training), expected, terms_of(block))


@pytest.mark.parametrize(("name", "groups"), [("resnext50_32x4d", 32), ("resnext101_64x4d", 64)])
def test_the_width_of_resnexts_groups_grows_with_the_channels(name, groups):
    blocks = of_kind(get_model(name), resnet.WithShortcut)
    convolutions = [of_kind(block.body, nn.Conv2D)[1]._kwargs for block in blocks]
    assert {conv["num_group"] for conv in convolutions} == {groups}
    widths = [conv["num_filter"] // groups for conv in convolutions]
    assert list(dict.fromkeys(widths)) == [4, 8, 16, 32]


@in_both_modes
@pytest.mark.parametrize("stride", [1, 2])
def test_a_resnext_block_is_a_bottleneck_with_groups(stride, training):
    x = formula(2, 256, 5, 3)
    projection = _blocks.conv_norm(256, 1, strides=2) if stride == 2 else ()
    block = filled(resnet.WithShortcut(resnext.aggregated(32, 4, 64, stride), projection), x)
    plain = PlainBlocks(block, training)
    expected = plain.x_block(x, 32, stride)
    assert plain.is_done()
    assert_close(computed(block, x, training), expected, terms_of(block))
