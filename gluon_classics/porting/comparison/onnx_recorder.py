"""Record what an ONNX file computes, with onnxruntime. `recorder.Recorder` is the public class."""

from __future__ import annotations

import numpy as np


def record(recorder, path) -> None:
    """Record the initializers of an ONNX file as parameters, and its outputs and inner values.

    Args:
        recorder: The `Recorder`.
        path: The file. It must have one input.
    """
    import onnx
    from onnx import numpy_helper
    import onnxruntime

    model = onnx.load(str(path))
    names = {row.name for row in model.graph.output}
    inner = [name for node in model.graph.node for name in node.output if name and name not in names]
    known = [name for name in inner if recorder.name_of(name)]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in known)
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    del data
    initial = {row.name for row in model.graph.initializer}
    (given,) = [row.name for row in session.get_inputs() if row.name not in initial]
    images = np.asarray(recorder.tensors["input"], np.float32)
    found = [row.name for row in model.graph.output]
    for name, value in zip(found, session.run(found, {given: images})):
        if recorder.name_of(name):
            recorder.put(f"eval/{recorder.name_of(name)}", value)
    parameters = {row.name for row in recorder.trace.graph.parameters}
    for row in model.graph.initializer:
        name = recorder.names.get(row.name, row.name)
        if name in parameters:
            recorder.put(f"param/{name}", numpy_helper.to_array(row))
