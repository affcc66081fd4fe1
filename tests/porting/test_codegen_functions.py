"""Generated expressions have the parentheses that they need."""

import itertools

from gluon_classics.porting.export.codegen.functions import ARITHMETIC
from gluon_classics.porting.export.codegen.text import Expression
from gluon_classics.porting.graph import Operation
from gluon_classics.porting.replay import replay
import numpy as np
import pytest

VALUES = {"x": np.float64(1.7), "y": np.float64(0.6)}
TWO = ("add", "subtract", "multiply", "divide", "sum_of_inputs")


def made(kind, inputs):
    """Return the expression of an operation, and its value by its formula, given those of its inputs."""
    names = [str(number) for number in range(len(inputs))]
    operation = Operation("out", kind, tuple(names), {}, {"scalar": 0.3}, ())
    expression = ARITHMETIC[kind](operation, [row[0] for row in inputs], [(), ()], 1)
    return expression, replay.forward(operation, {name: row[1] for name, row in zip(names, inputs)})


def pairs(kind, input_):
    """Return what an operation makes of one input, at each of its places."""
    other = (Expression("y"), VALUES["y"])
    return [made(kind, row) for row in ([(input_, other), (other, input_)] if kind in TWO else [(input_,)])]


@pytest.mark.parametrize("outer", ARITHMETIC)
def test_nested_arithmetic_is_what_its_formulas_give(outer):
    start = (Expression("x"), VALUES["x"])
    with np.errstate(invalid="ignore"):  # a negative number to the power of .3 is not a number in both
        for inner, innermost in itertools.product(ARITHMETIC, repeat=2):
            for first in pairs(innermost, start):
                for second in pairs(inner, first):
                    for expression, value in pairs(outer, second):
                        found = eval(expression.text, {}, dict(VALUES))
                        np.testing.assert_allclose(found, value, rtol=1e-12, err_msg=expression.text)
