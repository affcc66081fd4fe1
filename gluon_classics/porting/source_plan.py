"""The classes of a generated source file: which blocks become classes, with which arguments and which forward pass.

A framework's exporter has a `Dialect`, which knows how the framework writes a layer and an expression. Everything else
is the same for all frameworks and is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field, replace
import re
from typing import Any, Callable

from gluon_classics.errors import ClassicsError

from .graph import Graph, Operation, Parameter, Shape
from .source_text import (
    Argument,
    Call,
    Code,
    Expression,
    Literal,
    Node,
    compressed,
    literals,
    map_literals,
    skeleton,
)

INPUT = "x"
TABLE = "connected"

_CHAINS = ("Sequential", "HybridSequential")
_LAYER = "Layer"  # the kind of a block that was made for an operation of a model of symbols
_ACTIVATION = "act"  # the child of a layer that is its activation
_KEEP_CLASSES = ("relu", "sigmoid", "tanh", "flatten", "dropout", "global_average_pool", "global_max_pool")
_CHANNELS, _IN_CHANNELS = ("channels", "width", "hidden"), "in_channels"
_DEFAULTS = {"stride": 1, "groups": 1, "padding": 0, "dilation": 1, "bias": True}
_NESTED = 3  # calls within one another in a statement of a block
_NO_VALUE = object()
_HELP = {
    _IN_CHANNELS: "Channels of the input.",
    "channels": "Channels of the output.",
    "width": "Channels within the block.",
    "kernel_size": "Kernel.",
    "stride": "Stride.",
    "groups": "Groups of the convolution.",
    "layers": "Number of layers.",
    "bias": "Whether the convolutions have biases.",
}


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
        """Return what makes a layer, or None if the framework has no such layer.

        Args:
            operation: The operation of the layer.
            input_shape: Shape of its input.
            activation: Kind of the activation that follows within the layer, or "".
        """

    @abstractmethod
    def identity(self) -> Node:
        """Return what makes a layer without an operation."""

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


# --- what the graph is made into first


def with_layers(graph: Graph, is_layer: Callable[[Operation], bool]) -> Graph:
    """Return a model of symbols with a block for each operation that is a layer.

    Args:
        graph: The network. If it has blocks already, it is returned as it is.
        is_layer: Whether an operation is a layer.
    """
    if graph.block_kinds:
        return graph
    names: dict[str, str] = {}
    for row in graph.operations:
        name = re.sub(r"\W", "_", row.name)
        name = f"layer_{name}" if name[:1].isdigit() else name
        while name in names.values():
            name += "_"
        names[row.name] = name
    layers = {row.name for row in graph.operations if is_layer(row)}
    operations = tuple(
        replace(
            row,
            name=names[row.name],
            inputs=tuple(names.get(name, name) for name in row.inputs),
            block=names[row.name] if row.name in layers else "",
        )
        for row in graph.operations
    )
    blocks = {names[name]: names[name] for name in layers}
    return replace(
        graph,
        operations=operations,
        outputs=tuple(names.get(name, name) for name in graph.outputs),
        blocks=blocks,
        block_kinds={"": graph.network, **dict.fromkeys((row.block for row in operations if row.block), _LAYER)},
    )


def with_scatters(graph: Graph) -> Graph:
    """Return the graph with one operation "scatter" for each array that is pieced together from rows and zeros.

    LeNet-5's partial convolution does so: its weight has one kernel for each connected pair of feature maps.
    """
    by_name = {row.name: row for row in graph.operations}
    operations = []
    for row in graph.operations:
        made = by_name.get(row.inputs[0]) if row.kind == "reshape" and row.inputs else None
        runs = made and made.kind == "concat" and _runs(made, by_name)
        if runs:
            source, connected = runs
            settings = {"connected": connected, "shape": list(row.output_shape)}
            row = replace(row, kind="scatter", inputs=(source,), settings=settings)
        operations.append(row)
    needed = set(graph.outputs)
    for row in reversed(operations):
        if row.name in needed:
            needed.update((*row.inputs, *row.parameters.values()))
    return replace(graph, operations=tuple(row for row in operations if row.name in needed))


def _runs(concat, by_name):
    """Return the source of the rows of a concatenation and for each row whether it is from there, or None."""
    source, connected, begin = None, [], 0
    for name in concat.inputs:
        piece = by_name.get(name)
        if piece is None or concat.settings["axis"] != 0:
            return None
        if piece.kind == "zeros_like":
            connected += [False] * piece.output_shape[0]
        elif piece.kind == "slice" and piece.settings["axis"] == 0 and piece.settings["begin"] == begin:
            if source not in (None, piece.inputs[0]):
                return None
            source, begin = piece.inputs[0], piece.settings["end"]
            connected += [True] * piece.output_shape[0]
        else:
            return None
    return (source, connected) if source else None


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


# --- the forward pass of a block


@dataclass(frozen=True)
class _Step:
    """A call of a child, or an operation of the block itself."""

    inputs: tuple[str, ...]
    output: str
    child: str = ""
    operation: Operation | None = None


@dataclass
class _Block:
    """A block that becomes an instance of a class."""

    path: str
    entries: list[Entry]
    steps: list[_Step]
    inputs: list[str]
    outputs: list[str]
    own: dict[str, str]  # attribute of each parameter
    calls: dict[str, str] = field(default_factory=dict)  # expressions of children that have no attribute
    loop: tuple[_Step, ...] = ()


class _Writer:
    """Writes the statements of a forward pass.

    Args:
        plan: The plan.
        block: The block.
        nested: Number of calls within one another in a statement.
        name: Name of the variable of intermediate values.
        calls: Expressions of children that are not attributes.
        absent: Child that is left out, so that its input passes.
        optional: Child that may be None, in which case its input passes.
    """

    def __init__(self, plan, block, nested=_NESTED, name="out", calls=None, absent="", optional=""):
        self.plan, self.block, self.nested, self.name = plan, block, nested, name
        self.calls, self.absent, self.optional = calls or {}, absent, optional
        self.lines: list[str] = []
        self.variables = dict(zip(block.inputs, input_names(len(block.inputs))))
        self.pending: dict[str, Expression] = {}
        self.uses: Counter = Counter()

    def statements(self, steps, outputs):
        self._count(steps, outputs)
        for step in steps:
            self._step(step)
        return [*self.lines, f"return {self._take(outputs[0]).text}"]

    def statements_by_mode(self, steps, outputs):
        """Write a pass with more outputs in training than in prediction."""
        self._count(steps, outputs)
        needed = set(outputs[:1])
        for step in reversed(steps):
            if step.output in needed:
                needed.update(step.inputs)
        always = [step for step in steps if step.output in needed]
        for step in always:
            self._step(step)
        if outputs[0] in self.pending:
            self._assign(outputs[0], self.name)
        self.lines.append(f"if {self.plan.dialect.in_prediction}:")
        self.lines.append(f"    return {self.variables[outputs[0]]}")
        for step in steps:
            if step.output not in needed:
                self._step(step)
        return [*self.lines, f"return {', '.join(self._take(name).text for name in outputs)}"]

    def loop_body(self, steps):
        """Write the body of a loop over the children, which gives its input variable a new value."""
        self._count(steps, [steps[-1].output])
        for step in steps:
            self._step(step)
        return [*self.lines, f"{INPUT} = {self._take(steps[-1].output).text}"]

    def _count(self, steps, outputs):
        self.uses.update(outputs)
        for step in steps:
            self.uses.update(step.inputs)

    def _take(self, value):
        self.uses[value] -= 1
        if value in self.block.own:
            return Expression(self.plan.dialect.own(self.block.own[value]))
        if value in self.variables:
            return Expression(self.variables[value])
        return self.pending.pop(value)

    def _step(self, step):
        depth = max((self.pending[name].depth for name in step.inputs if name in self.pending), default=0)
        branches = [name for name in step.inputs if name in self.pending]
        if step.operation is not None and step.operation.kind == "concat" and len(branches) > 2:
            for name in branches:
                self._assign(name, self._branch_names(branches)[name])
        elif depth >= self.nested:
            for name in branches:
                if self.pending[name].depth == depth:
                    self._assign(name, self.name)
        inputs = [self._take(name) for name in step.inputs]
        if step.child:
            expression = self._call(step.child, inputs)
        else:
            shapes = [self.plan.shapes[name] for name in step.inputs]
            expression = self.plan.dialect.expression(step.operation, inputs, shapes)
        self.pending[step.output] = expression
        if step.child and step.child == self.optional:
            added = any(row.operation and row.operation.kind == "add" for row in self.block.steps)
            self._assign(step.output, "shortcut" if added else self.name)
        elif step.operation and step.operation.kind == "scatter":
            self._assign(step.output, "weight")
        elif self.uses[step.output] > 1:
            self._assign(step.output, self.name)

    def _call(self, child, inputs):
        text = ", ".join(row.text for row in inputs)
        if child == self.absent:
            return inputs[0]
        called = self.calls.get(child, f"self.{child}")
        if child == self.optional:
            return Expression(f"{text} if {called} is None else {called}({text})", 1, 0)
        return Expression(f"{called}({text})", 1 + max(row.depth for row in inputs))

    def _branch_names(self, values):
        children = {step.output: step.child for step in self.block.steps}
        first = {value: children.get(value, "").split("_")[0] for value in values}
        if len(set(first.values())) == len(values) and all(name.isidentifier() for name in first.values()):
            return first
        return {value: f"path_{number}" for number, value in enumerate(values, start=1)}

    def _assign(self, value, preferred):
        expression = self.pending.pop(value)
        taken = {name for other, name in self.variables.items() if self.uses[other] > 0}
        for other in self.pending.values():
            taken.update(re.findall(r"\w+", other.text))
        child = next((step.child for step in self.block.steps if step.output == value), "")
        names = [preferred, child] if child.isidentifier() and len(self.block.outputs) > 1 else [preferred]
        if self.uses[value] > 1 and len(names) > 1:
            names.reverse()  # it is kept for longer
        number = 2
        while names[0] in taken:
            names = names[1:] or [f"{preferred}{number}"]
            number += 1
        self.variables = {other: name for other, name in self.variables.items() if name != names[0]}
        self.variables[value] = names[0]
        self.lines.append(f"{names[0]} = {expression.text}")


# --- the plan


class Plan:
    """The classes of a network, each after those that it uses. The last one is the network.

    Args:
        graph: The network in training mode.
        dialect: How the framework writes layers and expressions.

    Raises:
        ExportError: The network cannot be written.
    """

    def __init__(self, graph: Graph, dialect: Dialect):
        uses = Counter(name for row in graph.operations for name in row.parameters.values())
        shared = [name for name, count in uses.items() if count > 1]
        if shared:
            raise ExportError(f"{shared[0]} is used more than once, which cannot be written: port the network by hand")
        self.dialect = dialect
        self.shapes = _shapes(graph)
        self.graph = graph = with_scatters(with_layers(graph, self._has_layer))
        self.shapes = _shapes(graph)
        self.parameters = {row.name: row for row in graph.parameters}
        self.under: dict[str, list[Operation]] = {}
        for row in graph.operations:
            for path in _with_parents(row.block):
                self.under.setdefault(path, []).append(row)
        self.children: dict[str, list[str]] = {}
        for path in graph.block_kinds:
            if path:
                parent, _, name = path.rpartition(".")
                self.children.setdefault(parent, []).append(name)
        self.classifiers: set[str] = set()
        self.classes: list[BlockClass] = []
        self.calls: dict[str, Call] = {}
        self.heights: dict[str, int] = {}
        for path in reversed(list(graph.block_kinds)):  # children before their parents
            below = [self.heights[f"{path}.{n}" if path else n] for n in self.children.get(path, ())]
            self.heights[path] = max(below, default=0) + self._is_composite(path)
        self.classifiers = self._classifiers()
        self._make_classes()

    def _make_classes(self):
        groups: dict[tuple[int, str], list[str]] = {}
        for path, kind in self.graph.block_kinds.items():
            if path and self._is_composite(path):
                groups.setdefault((self.heights[path], kind), []).append(path)
        for (_, kind), paths in sorted(groups.items(), key=lambda row: row[0][0]):
            _KindOfBlock(self, kind, [self._block(path) for path in paths]).add()
        self._add_network()

    def _add_network(self):
        name = self.unused_name(identifier(self.graph.block_kinds[""]))
        classes = {self.shapes[output][-1] for output in self.graph.outputs}
        arguments = (("classes", *classes, "Number of classes."),) if self.classifiers and len(classes) == 1 else ()
        shapes = ", ".join(self._shape_text(name) for name in self.graph.inputs)
        summary = f"The network: {shapes} to {self._shape_text(self.graph.outputs[0])}."
        if self._is_chain("") or self._is_linear(""):
            calls = [(child, self.node(child)) for child in self.children[""]]
            entries = [Entry(child, call, self._shape_comment(child)) for child, call in calls]
            self.classes.append(BlockClass(name, summary, arguments, tuple(entries), None))
            return
        block = self._block("")
        writer = _Writer(self, block, nested=1, name=INPUT, calls=block.calls)
        several = len(block.outputs) > 1
        forward = (writer.statements_by_mode if several else writer.statements)(block.steps, block.outputs)
        commented = tuple(replace(row, comment=self._shape_comment(row.name)) for row in block.entries)
        self.classes.append(BlockClass(name, summary, arguments, commented, tuple(forward), len(block.inputs)))

    def unused_name(self, name: str) -> str:
        """Return a class name that is not in use, made from `name`."""
        used = {row.name for row in self.classes} | self.dialect.reserved
        number, unused = 1, name
        while unused in used:
            number += 1
            unused = f"{name}{number}"
        return unused

    def _shape_comment(self, path):
        output = self.graph.blocks.get(path)
        return self._shape_text(output) if output in self.shapes else ""

    def _shape_text(self, name):
        return shape_text(self.dialect.shape(self.shapes[name]))

    # what a block is

    def _has_layer(self, row):
        return len(row.inputs) == 1 and self.dialect.layer(row, self.shapes[row.inputs[0]], "") is not None

    def _own(self, path):
        return [row for row in self.under.get(path, ()) if row.block == path]

    def _layer(self, path):
        """Return the operation and the activation of a layer, or None if the block is not a layer."""
        rows = self.under.get(path, [])
        if path not in self.graph.blocks or not 1 <= len(rows) <= 2 or rows[0].block != path:
            return None
        own = all(name.startswith(f"{path}.") for name in rows[0].parameters.values())
        if len(rows[0].inputs) != 1 or not (own or self.graph.block_kinds[path] == _LAYER):
            return None
        if len(rows) == 1:
            return (rows[0], "") if not self.children.get(path) else None
        joined = rows[1].block == f"{path}.{_ACTIVATION}" and rows[1].inputs == (rows[0].name,)
        return (rows[0], rows[1].kind) if joined and rows[1].kind in ("relu", "sigmoid", "tanh") else None

    def _layer_call(self, path):
        found = self._layer(path)
        if found is None:
            return None
        operation, activation = found
        call = self.dialect.layer(operation, self.shapes[operation.inputs[0]], activation)
        if call is not None and operation.name in self.classifiers:
            call = map_literals(call, lambda row: Literal(Code("classes")) if row.hint == "channels" else row)
        return call

    def _is_linear(self, path):
        """Whether the block does nothing but to run its children one after another."""
        children = [f"{path}.{name}" if path else name for name in self.children.get(path, ())]
        if not children or self._own(path) or not all(child in self.graph.blocks for child in children):
            return False
        inputs, _ = self._interface(path)
        if len(inputs) != 1 or (not path and len(self.graph.outputs) > 1):
            return False
        value = inputs[0]
        for child in children:
            if child in self.under and self._interface(child)[0] != [value]:
                return False
            value = self.graph.blocks[child]
        return True

    def _is_chain(self, path):
        kind, names = self.graph.block_kinds[path], self.children.get(path, ())
        return self._is_linear(path) and (kind in _CHAINS or all(name.isdigit() for name in names))

    def _is_composite(self, path):
        return path in self.under and self._layer_call(path) is None and not self._is_chain(path)

    def _interface(self, path):
        """Return the names of the inputs and outputs of a block."""
        rows = self.under.get(path, [])
        inside = {row.name for row in rows}
        inputs = [
            name
            for row in rows
            for name in (*row.inputs, *row.parameters.values())
            if name not in inside and name not in self.parameters
        ]
        if not path:
            return list(dict.fromkeys(inputs)), list(self.graph.outputs)
        outside = [row for row in self.graph.operations if row.name not in inside]
        used = {name for row in outside for name in (*row.inputs, *row.parameters.values())} | set(self.graph.outputs)
        return list(dict.fromkeys(inputs)), [row.name for row in rows if row.name in used]

    def _classifiers(self):
        """Return the names of the layers whose channels are the classes."""
        by_name = {row.name: row for row in self.graph.operations}
        found = set()
        for output in self.graph.outputs:
            row = by_name.get(output)
            while row is not None and row.kind in _KEEP_CLASSES:
                if row.kind == "flatten" and self.shapes[row.inputs[0]][1] != row.output_shape[1]:
                    break
                row = by_name.get(row.inputs[0])
            if row is not None and row.kind in ("dense", "convolution"):
                found.add(row.name)
        parents = {parent for path in found for parent in _with_parents(by_name[path].block)[1:-1]}
        return found if not any(self._is_composite(path) for path in parents) else set()

    # what a block is made of

    def node(self, path: str) -> Node:
        """Return what makes a block."""
        if path in self.calls:
            return self.calls[path]
        if path not in self.under:
            return self.dialect.identity()
        call = self._layer_call(path)
        if call is None:
            call = self.dialect.chain([(name, self.node(f"{path}.{name}")) for name in self.children[path]])
        return call

    def _block(self, path):
        steps = self._steps(path)
        inputs, outputs = self._interface(path)
        prefix = f"{path}." if path else ""
        own = {}
        for name in dict.fromkeys(name for step in steps for name in step.inputs):
            if name in self.parameters:
                own[name] = name[len(prefix) :] if name.startswith(prefix) else ""
                if not own[name].isidentifier():
                    raise ExportError(f"the parameter {name} is shared between blocks: port it by hand")
        children = self.children.get(path, [])
        if not all(name.isdigit() for name in children):  # numbers count layers without an operation too
            children = [name for name in children if any(step.child == name for step in steps)]
        entries = [self.dialect.parameter(attribute, self.parameters[name]) for name, attribute in own.items()]
        scatters = [step.operation for step in steps if step.operation and step.operation.kind == "scatter"]
        entries += [self.dialect.table(operation) for operation in scatters]
        block = _Block(path, entries, steps, inputs, outputs, own)
        calls = [self.node(prefix + name) for name in children]
        if children and all(name.isdigit() for name in children):
            block.loop = self._loop(block)
            block.calls = {name: f"self[{number}]" for number, name in enumerate(children)}
            entries.append(self.dialect.numbered(compressed(calls)))
        elif any(name.isdigit() for name in children):
            raise ExportError(f"the block {path} has layers with names and others with numbers: port it by hand")
        else:
            entries += [Entry(name, call) for name, call in zip(children, calls)]
        return block

    def _steps(self, path):
        prefix = f"{path}." if path else ""
        last = {row.block[len(prefix) :].split(".")[0]: row for row in self.under[path] if row.block != path}
        steps = []
        for row in self.under[path]:
            if row.block == path:
                steps.append(_Step((*row.inputs, *row.parameters.values()), row.name, operation=row))
                continue
            child = row.block[len(prefix) :].split(".")[0]
            if last[child] is row:
                inputs, outputs = self._interface(prefix + child)
                if len(outputs) != 1:
                    raise ExportError(f"the block {prefix}{child} has several outputs: port it by hand")
                steps.append(_Step(tuple(inputs), outputs[0], child))
        return steps

    def _loop(self, block):
        """Return the steps of the first repeat if all children are used alike, each one on what the last one gave."""
        parts: list[list[_Step]] = []
        for step in block.steps:
            if step.child:
                parts.append([])
            if not parts:
                return ()
            parts[-1].append(step)
        value, forms = block.inputs[0], set()
        for part in parts:
            numbers = {value: 0, **{step.output: number for number, step in enumerate(part, start=1)}}
            if len(block.inputs) > 1 or not all(name in numbers for step in part for name in step.inputs):
                return ()
            kinds = [step.operation and (step.operation.kind, repr(step.operation.settings)) for step in part]
            wires = [tuple(numbers[name] for name in step.inputs) for step in part]
            forms.add((*kinds, *wires))
            value = part[-1].output
        return tuple(parts[0]) if len(forms) == 1 and [value] == block.outputs else ()

    def channels(self, block: _Block) -> tuple[int, int]:
        """Return the channels of a block's input and output."""
        return self.shapes[block.inputs[0]][1], self.shapes[block.outputs[0]][1]

    def forward(self, block: _Block, absent: str = "", optional: str = "") -> tuple[str, ...]:
        """Return the statements of a block's forward pass; see `_Writer`."""
        if len(block.outputs) != 1:
            raise ExportError(f"the block {block.path} has several outputs: port it by hand")
        if block.loop:
            writer = _Writer(self, block, calls={block.loop[0].child: "layer"})
            body = writer.loop_body(list(block.loop))
            return ("for layer in self:", *(f"    {line}" for line in body), f"return {INPUT}")
        writer = _Writer(self, block, calls=block.calls, absent=absent, optional=optional)
        return tuple(writer.statements(block.steps, block.outputs))


class _KindOfBlock:
    """All blocks of one class in the network, which become one class or several.

    Args:
        plan: The plan.
        kind: Name of the class in the network.
        blocks: The blocks.
    """

    def __init__(self, plan, kind, blocks):
        self.plan, self.kind = plan, identifier(kind)
        variants: dict[tuple, list[_Block]] = {}
        for block in blocks:
            entries = tuple((row.name, skeleton(row.node)) for row in block.entries)
            variants.setdefault((entries, plan.forward(block)), []).append(block)
        self.variants = [list(rows) for rows in variants.values()]
        self.optional: dict[int, str] = {}  # the child that only some blocks of a variant have, by the variant's id

    def add(self):
        """Add the classes to the plan, and the call of each block."""
        merged = True
        while merged:
            merged = any(self._merge(a, b) for a in self.variants for b in self.variants if a is not b)
        most = max(self.variants, key=len)
        for rows in self.variants:
            stage = re.sub(r"\W", "_", rows[0].path.split(".")[0]).title().replace("_", "")
            self._add_class(rows, self.kind if rows is most else f"{self.kind}{stage}")

    def _merge(self, rich, poor):
        """Make one variant of two, if the first one has one child more and is the same apart from that."""
        if id(rich) in self.optional or id(poor) in self.optional:
            return False
        more = {row.name: skeleton(row.node) for row in rich[0].entries}
        fewer = {row.name: skeleton(row.node) for row in poor[0].entries}
        extra = set(more) - set(fewer)
        if len(extra) != 1 or "" in extra or {**more, **fewer} != more:
            return False
        self.optional[id(rich)] = extra.pop()
        rich.extend(poor)
        self.variants.remove(poor)
        return True

    def _add_class(self, rows, name):
        plan, optional = self.plan, self.optional.get(id(rows), "")
        name = plan.unused_name(name)
        arguments = _Arguments([row.entries for row in rows], optional, [plan.channels(row) for row in rows])
        plan.classes.append(
            BlockClass(
                name,
                self._summary(rows),
                arguments.signature(),
                arguments.constructor(),
                self._forward(rows, optional),
                len(rows[0].inputs),
            )
        )
        for number, block in enumerate(rows):
            common = plan.dialect.common(rows[0].entries)
            plan.calls[block.path] = Call(name, (*arguments.given(number), *common))

    def _forward(self, rows, optional):
        plan, rich = self.plan, rows[0]
        if not optional:
            return plan.forward(rich)
        poor = next(row for row in rows if all(entry.name != optional for entry in row.entries))
        if plan.forward(rich, absent=optional) == plan.forward(poor):
            return plan.forward(rich, optional=optional)
        without = (f"    {line}" for line in plan.forward(poor))
        return (f"if self.{optional} is None:", *without, *plan.forward(rich))

    def _summary(self, rows):
        paths = sorted((row.path for row in rows), key=list(self.plan.graph.block_kinds).index)
        names = " and ".join(f"`{path}`" for path in paths) if len(paths) < 3 else f"`{paths[0]}` to `{paths[-1]}`"
        return f"{'The block' if len(paths) == 1 else 'The blocks'} {names} of the network."


class _Arguments:
    """The arguments of a class: one for each setting that differs between its instances.

    Args:
        instances: Statements of the constructor of each instance.
        optional: Attribute that only some instances have, or "".
        channels: Channels of the input and the output of each instance.
    """

    def __init__(self, instances, optional, channels):
        self.optional = optional
        self.fullest = instances[0]
        self.inputs, self.outputs = zip(*channels)
        self.keys = list(self._literals(self.fullest))
        self.hints = {key: literal.hint for key, literal in self._literals(self.fullest).items()}
        tables = [self._literals(instance) for instance in instances]
        self.columns = {
            key: tuple(table[key].value if key in table else _NO_VALUE for table in tables) for key in self.keys
        }
        self.present = [any(row.name == optional for row in instance) for instance in instances]
        self.names: dict[str, tuple] = {}  # the values of each argument
        self.values: dict[tuple, Any] = {}  # the code or the constant of each literal
        self._name_all()

    @staticmethod
    def _literals(entries):
        """Return the literals of a constructor by the attribute and their number among those of this attribute."""
        found: dict[tuple, Literal] = {}
        counts: Counter = Counter()
        for row in entries:
            for literal in literals(row.node):
                found[row.name, counts[row.name]] = literal
                counts[row.name] += 1
        return found

    def _name_all(self):
        varying = [key for key in self.keys if len({repr(v) for v in self.columns[key] if v is not _NO_VALUE}) > 1]
        columns = [self.columns[key] for key in varying]
        if self.inputs == self.outputs and self.outputs in columns:
            self._enter("channels", self.outputs)
        elif self.inputs in columns:
            self._enter(_IN_CHANNELS, self.inputs)
        widths = [key for key in varying if self.hints[key] in _CHANNELS and key[0] != self.optional]
        if self.outputs in columns:
            self._enter("channels", self.outputs)
        elif self._several_widths(widths):
            for key in widths:
                if not self._derived(key):
                    self._enter(key[0], self.columns[key])
        for key in varying:
            if self._derived(key) is None:
                self._enter(self._unused(self.hints[key] or "value"), self.columns[key])
        for key in self.keys:
            column = self.columns[key]
            constant = next(value for value in column if value is not _NO_VALUE)
            self.values[key] = self._derived(key) if key in varying else self._given_already(key) or constant

    def _given_already(self, key):
        """Return the argument of the same name if the optional attribute always has its value, such as a stride."""
        column, name = self.columns[key], self.hints[key]
        present = [n for n, value in enumerate(column) if value is not _NO_VALUE]
        same = key[0] == self.optional and name in self.names
        return Code(name) if same and all(column[n] == self.names[name][n] for n in present) else None

    def _several_widths(self, widths):
        """Whether each of three or more named children has its own number of channels."""
        names = [key[0] for key in widths]
        columns = [self.columns[key] for key in widths]
        return len(set(columns)) > 2 and len(set(names)) == len(names) and all(name.isidentifier() for name in names)

    def _unused(self, hint):
        hint = "width" if hint in _CHANNELS or hint == _IN_CHANNELS else hint
        options = (hint, *(f"{hint}_{number}" for number in range(2, 99)))
        return next(name for name in options if name not in self.names)

    def _enter(self, name, column):
        if column not in self.names.values():
            self.names[name] = column

    def _derived(self, key):
        """Return the code of a setting in terms of the arguments, or None."""
        column = self.columns[key]
        where = [number for number, value in enumerate(column) if value is not _NO_VALUE]
        whole = all(type(column[number]) is int for number in where)
        for name, other in self.names.items():
            if all(repr(column[n]) == repr(other[n]) for n in where):
                return Code(name)
        for name, other in self.names.items():
            if not whole or not all(type(other[n]) is int and other[n] > 0 for n in where):
                continue
            if self.hints[key] == "padding" and all(column[n] == other[n] // 2 for n in where):
                return Code(f"{name} // 2")
            ratios = {column[n] / other[n] for n in where}
            ratio = ratios.pop()
            if not ratios and ratio >= 2 and ratio == int(ratio):
                return Code(f"{int(ratio)} * {name}")
            if not ratios and 0 < ratio <= 0.5 and 1 / ratio == int(1 / ratio):
                return Code(f"{name} // {int(1 / ratio)}")
        return None

    def _default(self, name):
        """Return the default of an argument as (value,), or () if it has none."""
        column = self.names[name]
        if _NO_VALUE in column:
            return (None,)
        default = _DEFAULTS.get(name, _NO_VALUE)
        return (default,) if default in column else ()

    def _order(self):
        return sorted(self.names, key=lambda name: bool(self._default(name)))

    def flag(self):
        """Return the condition for the optional attribute: an argument of its own, or one that is given with it."""
        if not self.optional:
            return ""
        given = [name for name, column in self.names.items() if _NO_VALUE in column]
        return f"{given[0]} is not None" if given else f"with_{self.optional}"

    def signature(self):
        """Return name, default and description of each argument."""
        rows = []
        for name in self._order():
            default = self._default(name)
            rows.append((name, Code(repr(default[0])) if default else None, _HELP.get(name, self._help(name))))
        if self.flag().startswith("with_"):
            rows.append((self.flag(), Code("False"), f"Whether there is a `{self.optional}`."))
        return tuple(rows)

    def _help(self, name):
        if any(key[0] == name for key in self.keys):
            return f"Channels of `{name}`."
        attribute = next(key[0] for key in self.keys if self.values[key] == name and isinstance(self.values[key], Code))
        return f"The {name.replace('_', ' ')} of `{attribute}`." if attribute else f"The {name.replace('_', ' ')}."

    def constructor(self):
        """Return the statements with the arguments for the settings."""
        remaining = {name: iter([self.values[key] for key in self.keys if key[0] == name]) for name, _ in self.keys}
        flag = self.flag()

        def constructed(row):
            values = remaining.get(row.name, iter(()))
            node = map_literals(row.node, lambda literal: replace(literal, value=next(values)))
            return Entry(row.name, node, condition=flag if row.name == self.optional else "")

        return tuple(map(constructed, self.fullest))

    def given(self, number):
        """Return the arguments that one instance gives."""
        rows = []
        for name in self._order():
            default, value = self._default(name), self.names[name][number]
            value = default[0] if value is _NO_VALUE else value
            hint = name if name in (*_DEFAULTS, _IN_CHANNELS, "layers", "kernel_size") else self._hint(name)
            rows.append(Argument(Literal(value, hint), name if default else "", default[0] if default else _NO_VALUE))
        if self.flag().startswith("with_"):
            rows.append(Argument(Literal(self.present[number], self.flag()), self.flag(), False))
        return tuple(rows)

    def _hint(self, name):
        key = next(key for key in self.keys if isinstance(self.values[key], Code) and self.values[key] == name)
        return self.hints[key]


def _shapes(graph):
    """Return the shape of each value by its name."""
    return {
        **graph.inputs,
        **{row.name: row.shape for row in graph.parameters},
        **{row.name: row.output_shape for row in graph.operations},
    }


def _with_parents(path):
    parts = path.split(".") if path else []
    return ["", *(".".join(parts[: number + 1]) for number in range(len(parts)))]


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
