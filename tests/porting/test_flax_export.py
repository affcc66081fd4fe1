"""Generated Flax files: their text, their parameters, and what they compute where Flax is installed."""

from __future__ import annotations

from custom_networks import CUSTOM
from editions import EVERY_NETWORK
from generated import EXPECTED, SNAPSHOTS, check_recording, check_results, needs, source
from gluon_classics.porting.comparison.tensor_file import read_tensors
from gluon_classics.porting.export import flax_export
from gluon_classics.porting.export.codegen.dialect import ExportError
from gluon_classics.porting.network.capture import capture
from mxnet.gluon import nn
import numpy as np
import probe
import pytest
from source_files import assert_formatted


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_file_reads_as_expected(name):
    assert source("flax", name) == (EXPECTED / "flax" / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_a_file_is_formatted_python(name):
    assert_formatted(source("flax", name))


def test_kernels_are_transposed_and_dense_kernels_behind_a_map_are_permuted(tmp_path, rng):
    _, graph = probe.network("lenet_d2l")
    images, _, masks = probe.data(graph, rng)
    parameters = probe.parameters(graph, images, masks, rng)
    flax_export.write(graph, parameters, tmp_path / "lenet.py")
    tensors = read_tensors(tmp_path / "lenet.safetensors")
    assert tensors["0.kernel"][1, 2, 0, 3] == np.float32(parameters["0.weight"][3, 0, 1, 2])
    row, column, channel, unit = 1, 2, 3, 4
    theirs = tensors["5.kernel"][(row * 5 + column) * 16 + channel, unit]
    assert theirs == np.float32(parameters["5.weight"][unit, (channel * 5 + row) * 5 + column])


def test_shapes_have_the_channels_last():
    assert "Input: (N, 224, 224, 3), float32." in source("flax", "resnet18_v1")
    assert "self.pool1 = MaxPool((3, 3), (2, 2), padding=((1, 1), (1, 1)))  # (N, 56, 56, 64)" in source(
        "flax", "resnet18_v1"
    )


def test_auxiliary_classifiers_run_in_training_only():
    text = source("flax", "googlenet_v1")
    assert "self.deterministic = False" in text
    assert "        if self.deterministic:\n            return x\n" in text


class OverHeight(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return F.flatten(F.sum(x, axis=2))


def test_an_operation_without_an_expression_is_an_error():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 1), OverHeight(), nn.Dense(3))
    with pytest.raises(ExportError, match=r"1:sum \(sum\) has no Flax function here"):
        flax_export.source_code(capture(net, (1, 5, 5)))


@pytest.mark.parametrize("name", CUSTOM)
def test_networks_of_others_give_formatted_python(name):
    assert_formatted(flax_export.source_code(CUSTOM[name]()))


@pytest.mark.parametrize("name", CUSTOM)
def test_networks_of_others_compute_the_same(name, tmp_path, rng):
    needs("flax")
    check_results("flax", CUSTOM[name](), tmp_path / "port.py", rng)


@pytest.mark.parametrize(
    "name",
    [
        *("lenet_1989", "lenet5", "lenet_bn", "lenet_pytorch_2017", "nin_cifar10_caffe"),
        *("googlenet_v1", "resnet18_v1", "densenet_d2l", "efficientnet_b0"),
    ],
)
def test_a_network_computes_the_same(name, tmp_path, rng):
    needs("flax")
    _, graph = probe.network(name)
    check_results("flax", graph, tmp_path / "port.py", rng)


def test_a_recorded_file_conforms(tmp_path):
    needs("flax")
    report = check_recording("flax", "lenet_d2l", tmp_path)
    assert report.conforms, report.text(True)
    assert report.level.startswith("FTG")
