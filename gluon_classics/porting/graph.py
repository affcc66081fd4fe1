"""A network as a list of operations in neutral terms, without MXNet.

`capture` makes it from a network. Exporters, traces and comparisons use nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
import hashlib
import json
from typing import Any

SCHEMA = "gluon-classics graph"
VERSION = 1

Shape = tuple  # of the sizes of a tensor's axes; None is the number of images


@dataclass(frozen=True)
class Operation:
    """One operation. It has one output, which has the operation's name.

    Attributes:
        name: Path of the layer in the tree of blocks, such as "1.0.body.3". An operation between the layers has the
            path of its block and its kind, such as "4.1:add". In a model of symbols: the name of the node.
        kind: What is computed; see `operators`.
        inputs: Names of the operations, inputs of the network or parameters whose values it takes, in order.
        parameters: Names of its parameters by role: "weight", "bias", "gamma", "beta", "running_mean", "running_var".
        settings: Every other fact that decides the result; see `operators`.
        output_shape: Shape of the output.
        block: Path of the innermost block that does the operation.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    parameters: dict[str, str]
    settings: dict[str, Any]
    output_shape: Shape
    block: str = ""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a network.

    Attributes:
        name: Path of its layer and its role, such as "1.0.body.3.weight".
        role: "weight", "bias", "gamma", "beta", "running_mean", "running_var" or "constant".
        shape: Shape.
        axes: What each axis is, such as ("out", "in", "height", "width").
        trainable: Whether training changes it by its gradient. Running statistics are not trainable.
        initializer: The initial value that the network sets, such as "ones", or "" if the training settings decide.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    trainable: bool
    initializer: str = ""


@dataclass(frozen=True)
class Loss:
    """A term of the training loss of one example. The loss is the sum of the terms.

    Attributes:
        kind: "softmax_cross_entropy" of logits, "map" of squared distances (LeNet-5), or "squared_error" of outputs
            with the targets 1 and -1 (early LeNets).
        output: Name of the operation whose output it takes.
        factor: Factor of the term.
        settings: Constants of the formula.
    """

    kind: str
    output: str
    factor: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A network: operations in an order in which they can be computed.

    Attributes:
        network: Name of the network.
        inputs: Shape of each input, by name.
        operations: Operations, each one after those whose outputs it takes.
        parameters: Parameters in the network's own order.
        outputs: Names of the outputs in training. The first one is the prediction.
        loss: Terms of the training loss.
        blocks: Name of the operation or input that is the output of each block, by the block's path.
        block_kinds: Class name of each block by its path, parents before their children. The network's path is "".
            A model of symbols has none.
    """

    network: str
    inputs: dict[str, Shape]
    operations: tuple[Operation, ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    loss: tuple[Loss, ...]
    blocks: dict[str, str]
    block_kinds: dict[str, str] = field(default_factory=dict)

    def operation(self, name: str) -> Operation:
        """Return the operation with this name. Raises KeyError."""
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise KeyError(name)

    def for_prediction(self) -> Graph:
        """Return the graph of the first output alone, with the operations and parameters that it needs."""
        needed = set(self.outputs[:1])
        for operation in reversed(self.operations):
            if operation.name in needed:
                needed.update(operation.inputs, operation.parameters.values())
        return Graph(
            self.network,
            self.inputs,
            tuple(operation for operation in self.operations if operation.name in needed),
            tuple(parameter for parameter in self.parameters if parameter.name in needed),
            self.outputs[:1],
            tuple(term for term in self.loss if term.output == self.outputs[0]),
            {path: name for path, name in self.blocks.items() if name in needed},
            self.block_kinds,
        )

    def to_json(self) -> str:
        """Return the graph as JSON text."""
        return json.dumps({"schema": SCHEMA, "version": VERSION, **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """Return the graph of a JSON text.

        Raises:
            ValueError: The text is not a graph, or its version is not supported.
        """
        try:
            document = json.loads(text)
            schema, version = document["schema"], document["version"]
            if schema != SCHEMA:
                raise ValueError(f"its schema is {schema!r}")
            if version != VERSION:
                raise ValueError(f"its version is {version!r}, and this release reads version {VERSION}")
            return cls(
                document["network"],
                {name: tuple(shape) for name, shape in document["inputs"].items()},
                tuple(Operation(**{**row, **_tuples(row, "inputs", "output_shape")}) for row in document["operations"]),
                tuple(Parameter(**{**row, **_tuples(row, "shape", "axes")}) for row in document["parameters"]),
                tuple(document["outputs"]),
                tuple(Loss(**row) for row in document["loss"]),
                dict(document["blocks"]),
                dict(document["block_kinds"]),
            )
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"it is not a graph: {error}") from error


def graph_digest(graph: Graph) -> str:
    """Return the SHA-256 of a graph's JSON text, which ties weights to the network that they are for."""
    return hashlib.sha256(graph.to_json().encode()).hexdigest()


def _tuples(row, *names):
    return {name: tuple(row[name]) for name in names}
