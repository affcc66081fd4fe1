"""The classes of a generated source file: which blocks become classes, with which arguments and which forward pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
import re

from ...graph import Graph, Operation
from .arguments import Arguments
from .dialect import INPUT, BlockClass, Dialect, Entry, ExportError, identifier, shape_text
from .forward import Block, ForwardWriter, Step
from .rewrite import LAYER, with_layers, with_scatters
from .text import Call, Code, Literal, Node, compressed, map_literals, skeleton

_CHAINS = ("Sequential", "HybridSequential")
_ACTIVATION = "act"  # the child of a layer that is its activation
_KEEP_CLASSES = ("relu", "sigmoid", "tanh", "flatten", "dropout", "global_average_pool", "global_max_pool")


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
        writer = ForwardWriter(self, block, nested=1, name=INPUT, calls=block.calls)
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
        if len(rows[0].inputs) != 1 or not (own or self.graph.block_kinds[path] == LAYER):
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
        block = Block(path, entries, steps, inputs, outputs, own)
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
                steps.append(Step((*row.inputs, *row.parameters.values()), row.name, operation=row))
                continue
            child = row.block[len(prefix) :].split(".")[0]
            if last[child] is row:
                inputs, outputs = self._interface(prefix + child)
                if len(outputs) != 1:
                    raise ExportError(f"the block {prefix}{child} has several outputs: port it by hand")
                steps.append(Step(tuple(inputs), outputs[0], child))
        return steps

    def _loop(self, block):
        """Return the steps of the first repeat if all children are used alike, each one on what the last one gave."""
        parts: list[list[Step]] = []
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

    def channels(self, block: Block) -> tuple[int, int]:
        """Return the channels of a block's input and output, or 0 for a value without channels."""
        given, found = (self.shapes[names[0]] for names in (block.inputs, block.outputs))
        return given[1] if len(given) > 1 else 0, found[1] if len(found) > 1 else 0

    def forward(self, block: Block, absent: str = "", optional: str = "") -> tuple[str, ...]:
        """Return the statements of a block's forward pass; see `ForwardWriter`."""
        if len(block.outputs) != 1:
            raise ExportError(f"the block {block.path} has several outputs: port it by hand")
        if block.loop:
            writer = ForwardWriter(self, block, calls={block.loop[0].child: "layer"})
            body = writer.loop_body(list(block.loop))
            return ("for layer in self:", *(f"    {line}" for line in body), f"return {INPUT}")
        writer = ForwardWriter(self, block, calls=block.calls, absent=absent, optional=optional)
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
        variants: dict[tuple, list[Block]] = {}
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
        arguments = Arguments([row.entries for row in rows], optional, [plan.channels(row) for row in rows])
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
