"""Running generated files, and the classes of blocks that they are made from."""

import sys

from gluon_classics.errors import ClassicsError
from gluon_classics.porting.export import pytorch_export
from gluon_classics.porting.export.codegen.file import require_modules
from gluon_classics.porting.graph import Graph
import numpy as np
import probe
import pytest


def test_a_missing_package_is_an_error_that_names_it_and_the_variable(monkeypatch):
    monkeypatch.setenv("PORT_PYTHON", sys.executable)
    with pytest.raises(ClassicsError, match=r"pip install no_such_framework.*PORT_PYTHON"):
        require_modules(("numpy", "no_such_framework"))


def test_a_python_that_does_not_exist_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PORT_PYTHON", str(tmp_path / "python"))
    with pytest.raises(ClassicsError, match="cannot be run"):
        require_modules(("numpy",))


def test_an_error_of_the_generated_file_is_shown(monkeypatch, tmp_path):
    monkeypatch.setattr(pytorch_export, "MODULES", ("numpy",))
    monkeypatch.setenv("PORT_PYTHON", sys.executable)
    (tmp_path / "port.py").write_text("raise RuntimeError('no weights')\n")
    with pytest.raises(ClassicsError, match="no weights"):
        pytorch_export.predict(tmp_path / "port.py", None, np.zeros((1, 1, 2, 2), np.float32))


def test_a_graph_keeps_the_class_of_each_block():
    _, graph = probe.network("resnet18_v1")
    assert graph.block_kinds[""] == "ResNetV1"
    assert graph.block_kinds["conv2_x.0"] == "WithShortcut"
    assert list(graph.block_kinds)[:3] == ["", "conv1", "conv1.0"]
    assert Graph.from_json(graph.to_json()) == graph
