"""The statements of a forward pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
import re

from ...graph import Operation
from .dialect import INPUT, Entry, input_names
from .text import Expression

_NESTED = 3  # calls within one another in a statement of a block


@dataclass(frozen=True)
class Step:
    """A call of a child, or an operation of the block itself."""

    inputs: tuple[str, ...]
    output: str
    child: str = ""
    operation: Operation | None = None


@dataclass
class Block:
    """A block that becomes an instance of a class."""

    path: str
    entries: list[Entry]
    steps: list[Step]
    inputs: list[str]
    outputs: list[str]
    own: dict[str, str]  # attribute of each parameter
    calls: dict[str, str] = field(default_factory=dict)  # expressions of children that have no attribute
    loop: tuple[Step, ...] = ()


class ForwardWriter:
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
