"""The layers of a network's graph: their order, inputs, settings and counts."""

from editions import EVERY_NETWORK
from gluon_classics import get_model, model_info, utils
from gluon_classics.errors import InputSizeError
from gluon_classics.inspection.layer_graph import IMAGE, layers
import pytest


def read(name):
    return layers(get_model(name), model_info(name).input_shape)


@pytest.fixture(scope="module", params=EVERY_NETWORK)
def network(request):
    return request.param, read(request.param)


def test_the_counts_of_the_layers_add_up_to_those_of_the_network(network):
    name, found = network
    total = utils.summarize(get_model(name), model_info(name).input_shape)
    assert (sum(layer.params for layer in found), sum(layer.macs for layer in found)) == (total.params, total.macs)


def test_every_layer_comes_after_its_inputs_and_is_an_input_of_another(network):
    _, found = network
    assert all(IMAGE <= source < number for number, layer in enumerate(found) for source in layer.inputs)
    assert all(layer.inputs for layer in found)
    used = {source for layer in found for source in layer.inputs}
    assert used == {IMAGE, *range(len(found) - 1)}


def test_an_inception_block_concatenates_four_paths_in_order():
    found = read("googlenet")
    joins = [layer for layer in found if layer.kind == "Concat"]
    assert len(joins) == 9
    ends = [found[source] for source in joins[0].inputs]
    assert [end.path for end in ends] == [
        f"b3.inception_3a.{path}" for path in ("p1_conv_1", "p2_conv_3", "p3_conv_5", "p4_conv_1")
    ]
    assert joins[0].path == "b3.inception_3a"
    assert joins[0].output_shape == (256, 27, 27)


def test_a_residual_block_adds_its_input_or_a_projection_of_it():
    found = read("resnet18_v1")
    adds = [layer for layer in found if layer.kind == "Add"]
    shortcuts = [found[add.inputs[1]] for add in adds]
    assert [layer.text for layer in shortcuts[:2]] == ["MaxPool2D 3x3 /2 pad 1", "Activation relu"]
    assert [layer.path for layer in shortcuts[2::2]] == [f"conv{number}_x.0.projection.1" for number in (3, 4, 5)]


def test_each_layer_of_a_dense_block_is_concatenated_with_all_feature_maps_before_it():
    found = read("densenet_d2l")
    first, second = [layer for layer in found if layer.kind == "Concat"][:2]
    assert [found[source].kind for source in first.inputs] == ["MaxPool2D", "Conv2D"]
    assert [found[source].kind for source in second.inputs] == ["Concat", "Conv2D"]


def test_both_operators_for_relu_are_one_kind_of_layer():
    blog, paper = ([layer for layer in read(name) if layer.kind == "Activation"] for name in ("resnet", "resnet18_v1"))
    assert (len(blog), len(paper)) == (16, 17)
    assert {(layer.text, *layer.settings.items()) for layer in blog + paper} == {
        ("Activation relu", ("Activation act_type", "relu"))
    }


def test_a_layer_written_out_by_hand_counts_as_one_layer():
    kinds = [layer.kind for layer in read("lenet_bn_scratch")]
    assert kinds == [kind.replace("BatchNorm", "ScratchBatchNorm") for kind in [x.kind for x in read("lenet_bn")]]


def test_settings_are_the_attributes_of_mxnets_operators():
    stem = read("resnet18_v1")[0].settings
    assert stem["Convolution no_bias"] == "True"
    assert [stem[f"Convolution {name}"] for name in ("kernel", "stride", "pad")] == ["(7, 7)", "(2, 2)", "(3, 3)"]
    assert read("efficientnet_b0")[1].settings["BatchNorm eps"] == "0.001"
    assert read("alexnet_2012")[0].settings["Activation act_type"] == "relu"


def test_the_error_of_a_too_small_image_gives_the_smallest_size():
    with pytest.raises(InputSizeError, match="the smallest it takes is 12x12"):
        layers(get_model("lenet"), (1, 5, 5))
