"""What `describe` says of a network, as JSON and in words."""

import importlib.util
import json
from pathlib import Path

from editions import EVERY_NETWORK
from gluon_classics.porting.graph import Graph
from gluon_classics.porting.network import describe
from gluon_classics.porting.network.sources import from_block, source
from gluon_classics.porting.network.training_facts import training_facts
from mxnet.gluon import nn
import pytest
from schema import errors

CHECKOUT = Path(__file__).parents[2]

SCHEMA = json.loads((CHECKOUT / "docs" / "graph.schema.json").read_text())


def document(name):
    network = source(name)
    return json.loads(describe.description(network.graph, training_facts(network.graph, network.settings)))


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_the_description_fits_its_schema(name):
    assert errors(document(name), SCHEMA) == []


def test_the_schema_fits_the_operator_table():
    path = CHECKOUT / "tools" / "make_graph_schema.py"
    spec = importlib.util.spec_from_file_location("make_graph_schema", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.text() == tool.FILE.read_text(), "run python tools/make_graph_schema.py"


@pytest.mark.parametrize(
    ("kind", "setting", "wrong"),
    [
        ("max_pool", "rounding", "up"),
        ("convolution", "groups", 1.5),
        ("local_response_norm", "alpha_divided_by_size", False),
        ("dropout", "drop", None),
    ],
)
def test_a_wrong_or_missing_setting_does_not_fit_the_schema(kind, setting, wrong):
    content = document("alexnet_2012")
    row = next(row for row in content["operations"] if row["kind"] == kind)
    row["settings"][setting] = wrong
    assert len(errors(content, SCHEMA)) == 1
    del row["settings"][setting]
    (message,) = errors(content, SCHEMA)
    assert message.endswith(f"lacks {setting}")


def test_a_graph_is_read_back_from_its_description():
    network = source("googlenet_v1")
    text = describe.description(network.graph, training_facts(network.graph, network.settings))
    assert Graph.from_json(text) == network.graph


def training_lines(name):
    network = source(name)
    return describe.training_lines(network.graph, training_facts(network.graph, network.settings))


def test_schedules_augmentation_and_pytorchs_initial_values_are_in_words():
    lines = training_lines("lenet_cifar10")
    assert any("learning rate 0.001, times the factors 74:0.5 149:0.25 (epoch:factor)" in line for line in lines)
    assert "augmentation of each training image: mirrored left to right with probability 1/2" in lines
    uniform = "uniform within +-1 / sqrt(fan_in)"
    assert f"initial weights: {uniform}; biases {uniform}, of their layer" in lines
    cosine = "times (1 + cos(pi * epoch / epochs)) / 2, times 0.1 + 0.9 * epoch / 5 in the first 5 epochs"
    assert any(cosine in line for line in training_lines("regnetx_200mf"))
    assert any("times 0.96 ** floor(epoch / 8)" in line for line in training_lines("googlenet_v1"))
    assert any("standard deviation sqrt(2 / fan_in)" in line for line in training_lines("resnet18_v1"))
    assert not any("augmentation" in line for line in training_lines("lenet"))


def test_adadelta_is_described_without_a_learning_rate_and_with_mxnets_constants():
    lines = training_lines("lenet_pytorch")
    assert any(line.startswith("optimizer: adadelta, without a learning rate, momentum 0, ") for line in lines)
    assert any(line.startswith("update: ") and "sqrt(d + 1e-5) / sqrt(g + 1e-5)" in line for line in lines)


def words(name):
    graph = source(name).graph
    return {row.name: row for row in describe.table_rows(graph)}, describe.conventions(graph)


def test_rounding_padding_branches_and_the_order_of_a_concat_are_in_words():
    rows, lines = words("googlenet_v1")
    assert rows["pool1"].what == "max pool, kernel 3x3, stride 2, no padding, rounds up"
    assert rows["inception_3a.p4_pool_3"].what == "max pool, kernel 3x3, stride 1, padding 1, rounds down"
    assert rows["inception_3a.p2_conv_1"].inputs == "pool2"
    paths = ("p1_conv_1.act", "p2_conv_3.act", "p3_conv_5.act", "p4_conv_1.act")
    assert rows["inception_3a:concat"].inputs == ", ".join(f"inception_3a.{path}" for path in paths)
    assert (rows["flatten"].what, rows["linear"].what) == ("flatten", "dense, 1000 units")
    assert any("padding counts as -infinity" in line for line in lines)


def test_lrn_is_shown_with_the_division_by_the_size():
    rows, lines = words("alexnet_2012")
    assert rows["norm1"].what == "local response norm, size 5, alpha 0.0005 / size, beta 0.75, k 2"
    assert rows["conv2"].what.endswith("padding 2, 2 groups")
    assert rows["dropout6"].what == "dropout, drops with probability 0.5"
    assert any("alpha / size * sum of x^2" in line for line in lines)


def test_batch_norm_is_shown_in_both_conventions_and_drop_path_per_image():
    rows, lines = words("efficientnet_b0")
    assert rows["stage1.1"].what == "batch norm, eps 0.001, running statistics keep 0.99"
    assert any("kept is momentum 0.01 in PyTorch and 0.99 in Keras" in line for line in lines)
    assert "drops whole images (drop path) with probability 0.025" in rows["stage3.1.drop"].what


def test_a_sum_names_its_inputs_and_comes_before_its_relu():
    rows, _ = words("resnet18_v1")
    assert rows["fc"].what == "dense, 1000 units, flattens 512x1x1 in C, H, W order"
    assert rows["conv2_x.0:add"].inputs == "conv2_x.0.body.4, pool1"
    assert list(rows).index("conv2_x.0:relu") == list(rows).index("conv2_x.0:add") + 1


def test_operations_that_arrange_one_layers_weights_share_a_row():
    rows, _ = words("lenet5")
    assert rows["C3:reshape"].what.startswith("48 operations on parameters: slice")
    assert rows["C3:convolution"].parameters == "weight = C3:reshape, bias 16"


def test_the_facts_of_the_training_are_in_words():
    network = source("googlenet_v1")
    lines = describe.training_lines(network.graph, training_facts(network.graph, network.settings))
    assert "loss: 0.3 times -log(softmax(x)[label]) of x = auxiliary_4a.linear" in lines
    assert "loss of a batch: mean over the batch of the per-example loss" in lines
    black, white = "-123.68 -116.78 -103.938", "131.32 138.22 151.062"
    assert f"pixels: 0..255 become {black}..{white}; channels red, green, blue; layout (N, C, H, W)" in lines
    assert "its middle of 224x224 is cut out" in next(line for line in lines if line.startswith("image: "))
    network = source("lenet5")
    facts = training_facts(network.graph, network.settings)
    assert facts["preprocessing"]["pixel_0_becomes"] == -0.1
    assert facts["loss"]["terms"][0]["j"] == 1


def test_unsupported_operators_are_named_with_their_layers():
    class Sorting(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.sort(x)

    net = nn.HybridSequential()
    net.add(nn.Dense(4), Sorting(), nn.Dense(2))
    graph = from_block(net, (1, 4, 4), partial=True).graph
    assert describe.unsupported(graph) == "1 (sort)"
    assert [row.name for row in describe.table_rows(graph)] == ["0", "1", "2"]
