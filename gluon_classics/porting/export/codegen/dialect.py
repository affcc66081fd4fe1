"""What a framework must say for its source files, and what the files consist of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
import re
from typing import Any

from gluon_classics.errors import ClassicsError

from ...graph import Operation, Parameter, Shape
from .text import Argument, Call, Expression, Node, skeleton

INPUT = "x"
TABLE = "connected"


class ExportError(ClassicsError):
    """A network cannot be written as a source file of a framework."""


@dataclass(frozen=True)
class Entry:
    """A statement of a constructor: an attribute, or a call alone if the name is "".

    Attributes:
        name: Name of the attribute.
        node: Its value.
        comment: Comment on the line.
        condition: Expression that must be true. If it is false, the attribute is None.
    """

    name: str
    node: Node
    comment: str = ""
    condition: str = ""


@dataclass(frozen=True)
class BlockClass:
    """A class of the generated file.

    Attributes:
        name: Its name.
        summary: First line of its docstring.
        arguments: Name, default (None if there is none) and description of each argument.
        entries: Statements of its constructor.
        forward: Statements of its forward pass. None if its children run one after another.
        inputs: Number of inputs of the forward pass.
    """

    name: str
    summary: str
    arguments: tuple[tuple[str, Any, str], ...]
    entries: tuple[Entry, ...]
    forward: tuple[str, ...] | None
    inputs: int = 1

    @property
    def numbered(self) -> bool:
        """Whether the children are numbered layers that run one after another."""
        return self.forward is None and all(row.name.isdigit() for row in self.entries)

    @property
    def keeps_list(self) -> bool:
        """Whether the constructor passes its layers on to a base class, which keeps them in a list."""
        return any("super().__init__" in skeleton(row.node) for row in self.entries)


class Dialect(ABC):
    """How a framework writes layers and expressions.

    Attributes:
        in_prediction: Condition that holds in prediction mode.
        reserved: Names of the classes that a generated file may define besides those of blocks.
    """

    in_prediction: str
    reserved: frozenset[str]

    @abstractmethod
    def layer(self, operation: Operation, input_shape: Shape, activation: str) -> Node | None:
        """Return the expression that creates a layer, or None if the framework lacks the layer.

        Args:
            operation: The operation of the layer.
            input_shape: Shape of its input.
            activation: Kind of the activation that follows within the layer, or "".
        """

    @abstractmethod
    def identity(self) -> Node:
        """Return the expression that creates a layer without an operation."""

    @abstractmethod
    def chain(self, children: list[tuple[str, Node]]) -> Call:
        """Return the call that chains layers, which have names or numbers."""

    @abstractmethod
    def numbered(self, children: list[Node]) -> Entry:
        """Return the statement that keeps numbered layers, over which the block iterates."""

    @abstractmethod
    def parameter(self, name: str, parameter: Parameter) -> Entry:
        """Return the statement that makes a parameter of a block."""

    @abstractmethod
    def table(self, operation: Operation) -> Entry:
        """Return the statement that keeps the table of a "scatter" operation as the attribute `TABLE`."""

    @abstractmethod
    def expression(self, operation: Operation, inputs: list[Expression], shapes: list[Shape]) -> Expression:
        """Return the expression of an operation between the layers.

        Args:
            operation: The operation.
            inputs: Its inputs and then its parameters.
            shapes: Their shapes.
        """

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a value in the framework."""
        return shape

    def own(self, name: str) -> str:
        """Return the expression of a parameter of the block."""
        return f"self.{name}"

    def common(self, entries: list[Entry]) -> tuple[Argument, ...]:
        """Return the arguments that a class with these statements takes in addition to its settings."""
        return ()


def check_last_window(operation: Operation, input_shape: Shape) -> None:
    """Raise an error if the last window is in the padding alone, which holds no value.

    MXNet has such windows where it rounds up.
    """
    row = operation.settings
    count = len(row["kernel"])
    windows = zip(input_shape[2:], operation.output_shape[2:], row["stride"], row["padding"][:count])
    if any((outputs - 1) * stride - padding >= size for size, outputs, stride, padding in windows):
        raise ExportError(f"the last window of {operation.name} is outside of its input: choose another input size")


def table_of(scatter: Operation) -> list[list[int]]:
    """Return the table of a "scatter" operation: 1 for each kernel that is connected, in rows of output channels."""
    outputs, inputs = scatter.settings["shape"][:2]
    numbers = [int(value) for value in scatter.settings["connected"]]
    return [numbers[row * inputs : (row + 1) * inputs] for row in range(outputs)]


def input_names(count: int) -> list[str]:
    """Return the names of the inputs of a forward pass."""
    return [INPUT, *(f"{INPUT}{number}" for number in range(2, count + 1))]


def identifier(name: str) -> str:
    """Return a class name that is made from a name."""
    if name.islower():
        name = re.sub(r"[\W_]+", " ", name).title()
    name = re.sub(r"\W", "", name)
    return name if name[:1].isalpha() else f"Network{name}"


def shape_text(shape: Shape) -> str:
    """Return a shape as in (N, 3, 224, 224)."""
    return f"({', '.join('N' if size is None else str(size) for size in shape)})"
