"""The arguments of a class of the generated file."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from .dialect import Entry
from .text import Argument, Code, Literal, literals, map_literals

_CHANNELS, _IN_CHANNELS = ("channels", "width", "hidden"), "in_channels"
_DEFAULTS = {"stride": 1, "groups": 1, "padding": 0, "dilation": 1, "bias": True}
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


class Arguments:
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
        """Return the condition for the optional attribute: a separate argument, or one that is always given with it."""
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
