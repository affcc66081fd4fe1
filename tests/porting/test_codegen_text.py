"""Layout of generated expressions, and loops for repeated calls."""

from gluon_classics.porting.export.codegen.text import (
    Bracket,
    Code,
    Literal,
    compressed,
    document,
    flat,
    laid_out,
    made_list,
    make_call,
    scalar,
)
import pytest


def layers(*widths):
    return [make_call("Layer", Literal(width), Literal(width + 1)) for width in widths]


def code(nodes):
    return flat(document(made_list(nodes)))


def test_equal_calls_become_a_loop():
    assert code(compressed(layers(8, 8, 8))) == "[Layer(8, 9) for _ in range(3)]"


def test_numbers_that_grow_evenly_become_a_loop_with_a_counter():
    assert code(compressed(layers(8, 10, 12))) == "[Layer(8 + 2 * i, 9 + 2 * i) for i in range(3)]"


def test_two_calls_with_different_numbers_stay():
    assert code(compressed(layers(8, 10))) == "[Layer(8, 9), Layer(10, 11)]"


def test_a_loop_ends_where_the_pattern_ends():
    assert code(compressed(layers(1, 2, 3, 7, 7))) == (
        "[*[Layer(1 + i, 2 + i) for i in range(3)], *[Layer(7, 8) for _ in range(2)]]"
    )


def test_an_argument_with_its_default_is_left_out():
    call = make_call("Layer", 3, stride=(1, 1), padding=(Code("kernel // 2"), 0))
    assert flat(document(call)) == "Layer(3, padding=kernel // 2)"


def test_text_has_double_quotes():
    assert flat(document(make_call("name", "codes"))) == 'name("codes")'


@pytest.mark.parametrize(("value", "text"), [(2 / 3, "2 / 3"), (1.7159, "1.7159"), (4.0, "4"), (0.1 + 0.2, "3 / 10")])
def test_a_fraction_is_written_as_such_only_if_it_is_exact(value, text):
    written = scalar(value)
    assert eval(written) == value
    assert (written == text) == (eval(text) == value)


def test_a_long_call_breaks_at_its_arguments():
    call = Bracket("outer(", ("a" * 60, Bracket("inner(", ("b" * 60,), ")")), ")")
    assert laid_out(call, "    ", comment="shape") == [
        "    outer(  # shape",
        "        " + "a" * 60 + ",",
        "        inner(" + "b" * 60 + "),",
        "    )",
    ]
