"""Expressions that are the same in every framework: arithmetic, and calls of functions."""

from __future__ import annotations

import re

from .text import Expression, scalar

# Functions that make the `Expression` of an operation take the operation, the expressions and shapes of its inputs, and
# the depth of the expression


def function(text):
    """Return the maker of a call, in which {} stands for each input."""
    return lambda operation, inputs, shapes, depth: Expression(text.format(*(row.text for row in inputs)), depth)


def settings(pattern):
    """Return the maker of a call, in which {x} stands for the input, and {NAME} for a setting."""

    def make(operation, inputs, _shapes, depth):
        return Expression(pattern.format(x=inputs[0].text, **operation.settings), depth)

    return make


def with_scalar(pattern, needs, level):
    """Return the maker of an operation with a number.

    Args:
        pattern: The code, in which {0} stands for the input, and {1} for the number.
        needs: Level that the input needs to go without parentheses.
        level: Level of the result.
    """

    def make(operation, inputs, _shapes, depth):
        number = scalar(operation.settings["scalar"])
        if " " in number and operation.kind != "multiply_scalar":
            number = f"({number})"
        return Expression(pattern.format(inputs[0].within(needs), number), depth, level)

    return make


def cropped(axes, begins, ends, count):
    """Return the index that takes a part of an array.

    Args:
        axes: Axes that become shorter.
        begins: First position along each of them.
        ends: Position after the last one.
        count: Number of axes that the index names, more than the largest of `axes`.
    """
    parts = [":"] * count
    for axis, begin, end in zip(axes, begins, ends):
        parts[axis] = f"{begin or ''}:{end}"
    return ", ".join(parts)


def _operator(symbol, level):
    def make(_operation, inputs, _shapes, depth):
        first, second = inputs
        return Expression(f"{first.within(level)} {symbol} {second.within(level + (symbol in '-/'))}", depth, level)

    return make


def _joined(_operation, inputs, _shapes, depth):
    return Expression(" + ".join(row.within(0) for row in inputs), depth, 0)


def _power(operation, inputs, _shapes, depth):
    base, number = inputs[0].within(2), scalar(operation.settings["scalar"])
    if " " in number:
        number = f"({number})"
    is_simple = re.fullmatch(r"[A-Za-z_][\w.]*", base) and re.fullmatch(r"-?[\w.]+", number)
    return Expression(f"{base}**{number}" if is_simple else f"{base} ** {number}", depth, 1)


ARITHMETIC = {
    "add": _operator("+", 0),
    "subtract": _operator("-", 0),
    "multiply": _operator("*", 1),
    "divide": _operator("/", 1),
    "sum_of_inputs": _joined,
    "add_scalar": with_scalar("{0} + {1}", 0, 0),
    "subtract_scalar": with_scalar("{0} - {1}", 0, 0),
    "subtract_from_scalar": with_scalar("{1} - {0}", 1, 0),
    "multiply_scalar": with_scalar("{1} * {0}", 1, 1),
    "divide_scalar": with_scalar("{0} / {1}", 1, 1),
    "divide_scalar_by": with_scalar("{1} / {0}", 2, 1),
    "power_scalar": _power,
}
