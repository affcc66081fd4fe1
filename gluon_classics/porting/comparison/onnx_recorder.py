"""Record what an ONNX file computes, with onnxruntime. `recorder.Recorder` is the public class."""

from __future__ import annotations

import numpy as np

from .tensor_file import PortError


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
    named = {name: recorder._operation_or_block(name, 0) for node in model.graph.node for name in node.output}
    named = {name: operation for name, operation in named.items() if operation}
    outputs = {row.name for row in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in named if name not in outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    parameters = {row.name for row in recorder.trace.graph.parameters}
    initial = {row.name: recorder.names.get(row.name, row.name) for row in model.graph.initializer}
    given = [row.name for row in session.get_inputs() if row.name not in initial]
    if len(given) != 1:
        raise PortError(f"{path} has the inputs {', '.join(given)}. Record a model with one input")
    images = np.asarray(recorder.tensors["input"], np.float32)
    for name, value in zip(named, session.run(list(named), {given[0]: images})):
        recorder.put(f"eval/{named[name]}", value)
    for row in model.graph.initializer:
        if initial[row.name] in parameters:
            recorder.put(f"param/{initial[row.name]}", numpy_helper.to_array(row))
