"""Test that ONNX files are recorded layer by layer, and that their mistakes are found."""

from gluon_classics.porting.comparison.comparison import compare
from gluon_classics.porting.comparison.recorder import Recorder
from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
from gluon_classics.porting.comparison.tensor_file import PortError
from gluon_classics.porting.export import onnx_export
from gluon_classics.porting.network.sources import source
from gluon_classics.porting.reference import trace
import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import numpy_helper  # noqa: E402  after the check that it is there


def test_an_onnx_file_is_recorded_layer_by_layer(tmp_path):
    trace.trace(source("lenet"), tmp_path / "trace")
    reference = ReferenceTrace.load(tmp_path / "trace")
    parameters = {row.name: reference.tensors[f"param/{row.name}"] for row in reference.graph.parameters}
    onnx_export.write(reference.graph, parameters, tmp_path / "lenet.onnx")
    recorder = Recorder(reference)
    recorder.onnx(tmp_path / "lenet.onnx")
    report = compare(reference, recorder.tensors)
    assert report.conforms, report.text(True)
    assert report.level == "F"
    assert (report.checked["weights"], report.checked["eval"]) == (8, len(reference.graph.operations))
    model = onnx.load(tmp_path / "lenet.onnx")
    (bias,) = [row for row in model.graph.initializer if row.name == "6.bias"]
    bias.CopyFrom(numpy_helper.from_array(np.zeros(10, np.float32), "6.bias"))
    for node in model.graph.node:  # the names of another converter
        node.input[:] = ["bias" if name == "6.bias" else name for name in node.input]
    bias.name = "bias"
    onnx.save(model, tmp_path / "other.onnx")
    recorder = Recorder(reference, {"bias": "6.bias"})
    recorder.onnx(tmp_path / "other.onnx")
    finding = compare(reference, recorder.tensors).first
    assert (finding.phase, finding.layer, finding.named) == ("weights", "6.bias", True)


def test_a_model_with_two_inputs_is_not_recorded(tmp_path):
    trace.trace(source("lenet"), tmp_path / "trace")
    info = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "abc"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["a", "b"], ["c"])], "two", info[:2], info[2:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(PortError, match="has the inputs a, b"):
        Recorder(tmp_path / "trace").onnx(tmp_path / "two.onnx")
