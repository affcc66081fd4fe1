"""Write a network as an ONNX model, and run it with onnxruntime.

The model computes the prediction for any number of images. Its values have the names of the graph's operations and
parameters. The parameters are inside the file, as initializers.
"""

from __future__ import annotations

import os

import gluon_classics
from gluon_classics._files import atomic_path
from gluon_classics.errors import ClassicsError, require_extra
import numpy as np

from ..graph import Graph, Operation, graph_digest
from .onnx_operators import OPSET, WRITERS

IR_VERSION = 8  # onnxruntime reads it from 1.10 on
IMAGES = "N"  # name of the free axis
LARGEST = 2**31 - 2**24  # bytes of parameters; a protobuf message has less than 2 GiB, and the nodes are in it too


def write(graph: Graph, parameters: dict[str, np.ndarray], path: str | os.PathLike) -> None:
    """Write the prediction of a network as an ONNX file, atomically, after ONNX's checker has read it.

    Args:
        graph: The network.
        parameters: Value of each parameter, by name.
        path: The file.

    Raises:
        ClassicsError: The package onnx is missing, or ONNX cannot express an operation.
        OSError: The file cannot be written.
    """
    with require_extra("onnx", "an ONNX file"):
        import onnx
        import onnx.checker
    model = _Model(graph.for_prediction(), parameters).build(graph_digest(graph))
    with atomic_path(path) as temporary:
        onnx.save(model, temporary)
        onnx.checker.check_model(temporary, full_check=True)


def predict(path: str | os.PathLike, graph: Graph, images: np.ndarray) -> np.ndarray:
    """Return the first output for float32 images, (N, C, H, W), computed by onnxruntime with an ONNX file.

    Raises:
        ClassicsError: onnxruntime is missing.
    """
    with require_extra("onnx", "running an ONNX file"):
        import onnxruntime
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (output,) = session.run(list(graph.outputs[:1]), dict.fromkeys(graph.inputs, images))
    return output


def content(graph: Graph) -> list[tuple]:
    """Return what the ONNX file of a network holds apart from the parameters.

    Returns:
        Its nodes, as (operator, inputs, outputs, attributes), and its constants, as (name, value).
    """
    from onnx import helper

    graph = graph.for_prediction()
    model = _Model(graph, {row.name: np.broadcast_to(np.float32(0), row.shape) for row in graph.parameters})
    nodes: list[tuple] = [
        (
            node.op_type,
            tuple(node.input),
            tuple(node.output),
            tuple((row.name, helper.get_attribute_value(row)) for row in node.attribute),
        )
        for node in model.nodes()
    ]
    return nodes + [(name, array.tolist()) for name, array in model.constants().items()]


class _Model:
    """The parts of an ONNX model, which `onnx_operators` adds.

    Args:
        graph: The graph of the prediction.
        parameters: Value of each parameter, by name.

    Attributes:
        shapes: Shape of each value, by name.
    """

    def __init__(self, graph, parameters):
        from onnx import helper

        self._helper = helper
        self._graph = graph
        self._initializers = {
            parameter.name: np.asarray(parameters[parameter.name], dtype=np.float32) for parameter in graph.parameters
        }
        self._nodes: list = []
        self._operation: Operation
        self.shapes = {
            **graph.inputs,
            **{parameter.name: parameter.shape for parameter in graph.parameters},
            **{operation.name: operation.output_shape for operation in graph.operations},
        }

    def build(self, digest):
        """Return the ONNX model, with the digest of the graph that it comes from. Raises ClassicsError."""
        size = sum(array.nbytes for array in self._initializers.values())
        if size > LARGEST:
            raise ClassicsError(f"the parameters have {size / 2**30:.1f} GiB: an ONNX file holds less than 2 GiB")
        from onnx import numpy_helper

        helper, nodes = self._helper, self.nodes()
        used = {name for node in nodes for name in node.input}  # not a gamma that is fixed to 1
        inner = [operation.name for operation in self._graph.operations if operation.name not in self._graph.outputs]
        graph = helper.make_graph(
            nodes,
            self._graph.network,
            [self._info(name) for name in self._graph.inputs],
            [self._info(name) for name in self._graph.outputs],
            [numpy_helper.from_array(array, name) for name, array in self._initializers.items() if name in used],
            value_info=[self._info(name) for name in inner],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="gluon-classics",
            producer_version=gluon_classics.__version__,
        )
        helper.set_model_props(model, {"network": self._graph.network, "graph_sha256": digest})
        return model

    def nodes(self) -> list:
        """Return the nodes, and add the constants that they need. Raises ClassicsError."""
        for operation in self._graph.operations:
            self._operation = operation
            if operation.kind not in WRITERS:
                raise ClassicsError(
                    f"ONNX opset {OPSET} cannot express the layer {operation.name} ({operation.kind}): replace it"
                )
            WRITERS[operation.kind](self, operation)
        return self._nodes

    def constants(self) -> dict[str, np.ndarray]:
        """Return the values that are not parameters, by name. `nodes` adds them."""
        parameters = {parameter.name for parameter in self._graph.parameters}
        return {name: array for name, array in self._initializers.items() if name not in parameters}

    def _info(self, name):
        from onnx import TensorProto

        shape = [IMAGES if size is None else size for size in self.shapes[name]]
        return self._helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def node(self, kind, inputs, step="", **attributes):
        """Add a node. Return the name of its output: the operation's name, and the step unless it is the last one."""
        name = self._name(step)
        self._nodes.append(self._helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, step, value, dtype=np.float32):
        """Add a constant for a step of the operation, and return its name."""
        name = self._name(step)
        self._initializers[name] = np.asarray(value, dtype=dtype)
        return name

    def _name(self, step):
        return f"{self._operation.name}/{step}" if step else self._operation.name
