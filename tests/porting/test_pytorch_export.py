"""Generated PyTorch files: their text, their parameters, and what they compute where PyTorch is installed."""

from __future__ import annotations

from custom_networks import CUSTOM, attention, drop_block, resized
from editions import EVERY_NETWORK
from generated import EXPECTED, SNAPSHOTS, check_recording, check_results, needs, source
from gluon_classics.porting.comparison.tensor_file import read_tensors
from gluon_classics.porting.export import pytorch_export
from gluon_classics.porting.export.codegen.dialect import ExportError
from gluon_classics.porting.network.capture import capture
from mxnet.gluon import nn
import numpy as np
import probe
import pytest
from source_files import assert_formatted


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_file_reads_as_expected(name):
    assert source("pytorch", name) == (EXPECTED / "pytorch" / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_a_file_is_formatted_python(name):
    assert_formatted(source("pytorch", name))


def test_parameters_have_pytorch_names(tmp_path, rng):
    _, graph = probe.network("lenet_bn")
    images, _, masks = probe.data(graph, rng)
    parameters = probe.parameters(graph, images, masks, rng)
    pytorch_export.write(graph, parameters, tmp_path / "lenet.py")
    tensors = read_tensors(tmp_path / "lenet.safetensors")
    names = {"1.weight": "1.gamma", "1.bias": "1.beta", "1.running_var": "1.running_var", "9.weight": "9.weight"}
    assert len(tensors) == len(parameters)
    for theirs, ours in names.items():
        np.testing.assert_array_equal(tensors[theirs], parameters[ours].astype(np.float32))


def test_blocks_of_one_class_become_one_class_with_arguments():
    text = source("pytorch", "regnetx_400mf")
    assert text.count("class WithShortcut(") == 1
    assert "groups=channels // 16" in text
    assert "WithShortcut(64, 160, stride=2, with_projection=True), *[WithShortcut(160, 160) for _ in range(6)]" in text


def test_dense_blocks_are_loops():
    text = source("pytorch", "densenet121")
    assert "for i in range(layers)" in text
    assert "for layer in self:\n            x = torch.cat([x, layer(x)], dim=1)" in text


def test_auxiliary_classifiers_run_in_training_only():
    text = source("pytorch", "googlenet_v1")
    before, after = text.split("        if not self.training:\n            return x\n")
    assert "x = self.linear(x)" in before
    assert "return x, self.auxiliary_4a(inception_4a), self.auxiliary_4d(inception_4d)" in after


def test_the_class_that_keeps_the_running_variance_is_there_only_if_needed():
    assert "class BatchNorm" in source("pytorch", "resnet18_v1")
    assert "class BatchNorm" not in source("pytorch", "vgg11")


def test_a_file_must_be_a_python_file(tmp_path):
    _, graph = probe.network("lenet")
    with pytest.raises(ExportError, match=r"end it in \.py"):
        pytorch_export.write(graph, {}, tmp_path / "lenet.safetensors")
    assert not list(tmp_path.iterdir())


def pooled(**settings):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 1), nn.MaxPool2D(**settings), nn.Flatten(), nn.Dense(3))
    return net


def test_a_window_in_the_padding_alone_is_an_error():
    graph = capture(pooled(pool_size=2, strides=2, padding=1, ceil_mode=True), (1, 5, 5))
    with pytest.raises(ExportError, match="last window of 1"):
        pytorch_export.source_code(graph)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Avg", "Max"])
def test_a_global_pool_has_the_dimensions_of_its_input(axes, kind):
    net = nn.HybridSequential()
    net.add(getattr(nn, f"Conv{axes}D")(4, 1), getattr(nn, f"Global{kind}Pool{axes}D")(), nn.Dense(3))
    assert f"nn.Adaptive{kind}Pool{axes}d(1)" in pytorch_export.source_code(capture(net, (2, *[3] * axes)))


@pytest.mark.parametrize("slopes", [1, 4])
def test_prelu_has_mxnets_number_of_slopes(slopes):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 1), nn.PReLU(in_channels=slopes), nn.Dense(3))
    assert f"nn.PReLU({slopes})" in pytorch_export.source_code(capture(net, (2, 3, 3)))


@pytest.mark.parametrize(("groups", "layer"), [(2, " GroupNorm(2, 4)"), (4, " nn.GroupNorm(4, 4)")])
def test_group_normalization_has_mxnets_number_of_factors(groups, layer):
    """MXNet has a factor for each group, PyTorch for each channel."""
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 1), nn.GroupNorm(groups), nn.Dense(3))
    text = pytorch_export.source_code(capture(net, (2, 3, 3)))
    assert layer in text
    assert ("nn.Parameter(torch.ones(groups))" in text) == (groups == 2)


class Shared(nn.HybridBlock):
    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.layer = nn.Dense(4, in_units=4)

    def hybrid_forward(self, F, x):
        return self.layer(self.layer(x))


def test_a_layer_that_runs_twice_is_an_error():
    with pytest.raises(ExportError, match=r"layer\.weight is used more than once"):
        pytorch_export.source_code(capture(Shared(), (4,)))


class DroppedMaps(nn.HybridBlock):
    def __init__(self, axes):
        super().__init__()
        self.axes = axes

    def hybrid_forward(self, F, x):
        return F.Dropout(F.Dropout(x, p=0.25) * 2, p=0.5, axes=self.axes)


def test_dropout_of_whole_feature_maps_keeps_its_name_in_pytorch(tmp_path, rng):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), nn.Dropout(0.3, axes=(2, 3)), DroppedMaps((2, 3)), nn.Dense(3))
    graph = capture(net, (2, 6, 6))
    text = pytorch_export.source_code(graph)
    assert "nn.Dropout2d(0.3)" in text
    assert "F.dropout2d(2 * F.dropout(x, 0.25, self.training), 0.5, self.training)" in text
    needs("pytorch")
    check_results("pytorch", graph, tmp_path / "port.py", rng)


def test_dropout_with_another_shared_mask_is_an_error():
    with pytest.raises(ExportError, match=r"dropout.* shares its mask along the axes \[1\]: port it by hand"):
        pytorch_export.source_code(capture(DroppedMaps((1,)), (2, 6, 6)))


class Dense(nn.HybridBlock):
    """A block whose class has the name of one that generated files define."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.inner = nn.Dense(4)

    def hybrid_forward(self, F, x):
        return F.relu(self.inner(x))


def test_the_class_of_a_block_never_replaces_another_one():
    net = nn.HybridSequential()
    net.add(nn.Dense(3), Dense())
    text = pytorch_export.source_code(capture(net, (1, 4, 4)))
    assert "class Dense(nn.Linear)" in text
    assert "class Dense2(nn.Module)" in text


@pytest.mark.parametrize("name", CUSTOM)
def test_networks_of_others_give_formatted_python(name):
    assert_formatted(pytorch_export.source_code(CUSTOM[name]()))


@pytest.mark.parametrize("name", CUSTOM)
def test_networks_of_others_compute_the_same(name, tmp_path, rng):
    needs("pytorch")
    check_results("pytorch", CUSTOM[name](), tmp_path / "port.py", rng)


@pytest.mark.parametrize("make", [attention, resized, drop_block])
def test_operations_that_flax_lacks_compute_the_same(make, tmp_path, rng):
    needs("pytorch")
    check_results("pytorch", capture(make(), (2, 8, 8)), tmp_path / "port.py", rng)


@pytest.mark.parametrize(
    "name",
    [
        *("lenet_1989", "lenet5", "lenet_bn", "lenet_pytorch_2017", "nin_cifar10_caffe"),
        *("googlenet_v1", "resnet18_v1", "densenet_d2l", "efficientnet_b0"),
    ],
)
def test_a_network_computes_the_same(name, tmp_path, rng):
    needs("pytorch")
    _, graph = probe.network(name)
    check_results("pytorch", graph, tmp_path / "port.py", rng)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("googlenet_v1", "efficientnet_b0")]


@pytest.mark.parametrize("name", ["lenet_d2l", *SLOW])
def test_a_recorded_file_conforms(name, tmp_path):
    needs("pytorch")
    report = check_recording("pytorch", name, tmp_path)
    assert report.conforms, report.text(True)
    assert report.level.startswith("FTG")
