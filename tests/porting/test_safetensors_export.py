"""Test the weights of a network in safetensors, and their layout."""

from __future__ import annotations

import json

import gluon_classics
from gluon_classics.errors import ClassicsError
from gluon_classics.porting.comparison.tensor_file import read_safetensors
from gluon_classics.porting.export import export
from gluon_classics.porting.network.sources import source
import numpy as np
import pytest


@pytest.fixture(scope="module")
def lenet():
    found = source("lenet_bn", seed=3)
    return found.graph, found.parameters(), found.predict


def test_a_folder_gets_weights_under_neutral_names_and_their_layout(lenet, tmp_path):
    graph, parameters, _ = lenet
    export.write(graph, parameters, "safetensors", tmp_path / "new")
    tensors, metadata = read_safetensors(tmp_path / "new" / "weights.safetensors")
    assert set(tensors) == {row.name for row in graph.parameters}
    for name, tensor in tensors.items():
        assert tensor.dtype == np.float32
        np.testing.assert_array_equal(tensor, parameters[name])
    described = json.loads((tmp_path / "new" / "layout.json").read_text())
    assert metadata["network"] == described["network"] == "lenet_bn"
    assert metadata["gluon_classics"] == described["gluon_classics"] == gluon_classics.__version__
    assert metadata["graph_sha256"] == described["graph_sha256"]


def test_a_file_gets_a_layout_with_its_name(lenet, tmp_path):
    graph, parameters, _ = lenet
    export.write(graph, parameters, "safetensors", tmp_path / "net.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.layout.json", "net.safetensors"]


def test_the_training_heads_are_written_too(tmp_path):
    found = source("googlenet_v1", (3, 96, 96))
    export.write(found.graph, found.parameters(), "safetensors", tmp_path)
    tensors, _ = read_safetensors(tmp_path / "weights.safetensors")
    assert {row.name for row in found.graph.parameters} - {row.name for row in found.graph.for_prediction().parameters}
    assert set(tensors) == {row.name for row in found.graph.parameters}


def test_the_weights_of_the_file_predict_as_mxnet_does(lenet, tmp_path):
    graph, parameters, predict = lenet
    export.write(graph, parameters, "safetensors", tmp_path)
    assert export.verify("safetensors", tmp_path, graph, predict).passed
    assert not export.verify("safetensors", tmp_path, graph, lambda images: predict(images)[:1]).passed
    wrong = {**parameters, "15.bias": parameters["15.bias"] + 0.01}
    export.write(graph, wrong, "safetensors", tmp_path)
    assert not export.verify("safetensors", tmp_path, graph, predict).passed


def test_an_interrupted_export_leaves_the_old_files(lenet, tmp_path):
    graph, parameters, _ = lenet
    export.write(graph, parameters, "safetensors", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    broken = {name: array + 1 for name, array in parameters.items()}
    del broken["15.bias"]
    with pytest.raises(KeyError):
        export.write(graph, broken, "safetensors", tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unknown_target_is_an_error(lenet, tmp_path):
    with pytest.raises(ClassicsError, match="unknown target 'caffe': use one of safetensors, onnx"):
        export.write(*lenet[:2], "caffe", tmp_path)


def test_a_file_in_the_place_of_a_folder_is_an_error(lenet, tmp_path):
    (tmp_path / "weights").write_text("mine")
    with pytest.raises(ClassicsError, match=r"cannot write .*weights"):
        export.write(*lenet[:2], "safetensors", tmp_path / "weights")
    assert (tmp_path / "weights").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_an_error(lenet, tmp_path):
    with pytest.raises(ClassicsError, match=r"cannot write .*folder \(No such file or directory\): choose another"):
        export.write(*lenet[:2], "safetensors", tmp_path / "no" / "folder")
