"""Expressions of a generated source file, and their layout within 120 columns, as `ruff format` leaves them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Callable, Iterable, NamedTuple, Union

WIDTH = 120
INDENT = "    "
COUNTER = "i"
LIST = "["  # the function of a `Call` that makes a list


class Code(str):
    """Code that stands for a value, such as the name of an argument."""

    def __repr__(self):
        return str(self)


class Expression(NamedTuple):
    """An expression of a forward pass.

    Attributes:
        text: Its code.
        depth: Number of nested calls.
        level: 0 for a sum, 1 for a product, 2 for anything that needs no parentheses.
    """

    text: str
    depth: int = 0
    level: int = 2

    def within(self, level: int) -> str:
        """Return the code as an operand of an operator of this level, in parentheses if needed."""
        return self.text if self.level >= level else f"({self.text})"


# --- how a layer is made


@dataclass(frozen=True)
class Literal:
    """A setting.

    Attributes:
        value: Its value.
        hint: What it is, such as "channels". An argument that replaces it gets this name.
    """

    value: Any
    hint: str = ""


@dataclass(frozen=True)
class Progression:
    """A setting that grows by `step` from one repeat to the next."""

    start: Literal
    step: Literal


@dataclass(frozen=True)
class Argument:
    """An argument of a call. It is left out if its value is `default`."""

    node: Node
    keyword: str = ""
    default: Any = None


@dataclass(frozen=True)
class Call:
    """The call that makes a layer."""

    function: str
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True)
class Repeat:
    """The same call several times, as arguments of another call."""

    node: Node
    count: Literal


Node = Union[Literal, Progression, Call, Repeat]


def make_call(function: str, *positional: Any, **keywords: tuple[Any, Any]) -> Call:
    """Return a call.

    Args:
        function: The function.
        *positional: Values, or literals with a hint.
        **keywords: Value and default of each keyword argument. By default its name is the hint.
    """
    rows = [Argument(_node(value, "")) for value in positional]
    rows += [Argument(_node(value, name), name, default) for name, (value, default) in keywords.items()]
    return Call(function, tuple(rows))


def _node(value, hint):
    return value if isinstance(value, (Literal, Call)) else Literal(value, hint)


def made_list(nodes: Iterable[Node]) -> Call:
    """Return the list of the nodes."""
    return Call(LIST, tuple(map(Argument, nodes)))


def size(values: list[int]) -> Any:
    """Return one number for equal sizes, and otherwise a tuple."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def scalar(value: float) -> str:
    """Return the code of a number: a fraction if that is exact and shorter."""
    fraction = Fraction(value).limit_denominator(99)
    if len(repr(value)) > 9 and fraction.numerator / fraction.denominator == value:
        return f"{fraction.numerator} / {fraction.denominator}"
    return repr(int(value) if value == int(value) else value)


def map_literals(node: Node, change: Callable[[Literal], Literal]) -> Node:
    """Return the node with each literal changed."""
    if isinstance(node, Literal):
        return change(node)
    if isinstance(node, Progression):
        return Progression(change(node.start), change(node.step))
    if isinstance(node, Repeat):
        return Repeat(map_literals(node.node, change), change(node.count))
    return replace(
        node,
        arguments=tuple(replace(argument, node=map_literals(argument.node, change)) for argument in node.arguments),
    )


def literals(node: Node) -> list[Literal]:
    """Return the literals of a node in order."""
    found: list[Literal] = []

    def enter(literal):
        found.append(literal)
        return literal

    map_literals(node, enter)
    return found


def skeleton(node: Node) -> str:
    """Return a text that is the same for nodes that differ in the values of literals only."""
    return repr(map_literals(node, lambda literal: Literal(None, literal.hint)))


def compressed(nodes: list[Node]) -> list[Node]:
    """Return the calls with each run of like ones as a `Repeat`.

    Two or more equal calls are a run, and so are three or more whose whole numbers grow by constant steps.
    """
    found: list[Node] = []
    start = 0
    while start < len(nodes):
        end = start + 1
        while end < len(nodes) and nodes[end] == nodes[start]:
            end += 1
        steps = None
        if end == start + 1:
            steps, end = _progression(nodes, start)
        if end - start == 1:
            found.append(nodes[start])
        else:
            found.append(Repeat(_template(nodes[start], steps), Literal(end - start, "layers")))
        start = end
    return found


def _progression(nodes, start):
    """Return the steps of the longest progression from `start` on, and its end."""
    if start + 2 >= len(nodes) or skeleton(nodes[start]) != skeleton(nodes[start + 1]):
        return None, start + 1
    first, second = (_values(node) for node in nodes[start : start + 2])
    steps = [b - a if type(a) is type(b) is int else 0 for a, b in zip(first, second)]
    end = start + 1
    while end < len(nodes) and skeleton(nodes[end]) == skeleton(nodes[start]):
        expected = [a + step * (end - start) if step else a for a, step in zip(first, steps)]
        if _values(nodes[end]) != expected:
            break
        end += 1
    return (steps, end) if end - start >= 3 else (None, start + 1)


def _values(node):
    return [literal.value for literal in literals(node)]


def _template(node, steps):
    if not steps or not any(steps):
        return node
    remaining = iter(steps)

    def change(node):
        if isinstance(node, Literal):
            step = next(remaining)
            return Progression(node, Literal(step, f"{node.hint}_step")) if step else node
        return replace(node, arguments=tuple(replace(row, node=change(row.node)) for row in node.arguments))

    return change(node)


# --- layout


@dataclass(frozen=True)
class Bracket:
    """Items in brackets, one on each line if they do not fit on one.

    Attributes:
        opening: Code up to the opening bracket.
        items: What is in the brackets.
        closing: The closing bracket.
        commas: Whether commas separate the items. A comprehension has none.
    """

    opening: str
    items: tuple[Document, ...]
    closing: str
    commas: bool = True


Document = Union[str, Bracket]


def document(node: Node, prefix: str = "") -> Document:
    """Return the layout of a node, after a prefix such as "stride="."""
    if isinstance(node, Literal):
        return prefix + _text(node.value)
    if isinstance(node, Progression):
        return prefix + _progress(node)
    if isinstance(node, Repeat):
        counter = COUNTER if any(isinstance(row.node, Progression) for row in _all_arguments(node.node)) else "_"
        return Bracket("*[", (document(node.node), f"for {counter} in range({node.count.value!r})"), "]", commas=False)
    items = []
    for row in node.arguments:
        if isinstance(row.node, Literal) and row.keyword and row.node.value == row.default:
            continue
        items.append(document(row.node, f"{row.keyword}=" if row.keyword else ""))
    if node.function == LIST:
        if len(items) == 1 and isinstance(items[0], Bracket) and not items[0].commas:  # a comprehension makes a list
            return replace(items[0], opening=f"{prefix}[")
        return Bracket(f"{prefix}[", tuple(items), "]")
    return Bracket(f"{prefix}{node.function}(", tuple(items), ")")


def _text(value):
    return f'"{value}"' if type(value) is str else repr(value)


def _progress(node):
    step = f"{node.step.value!r} * {COUNTER}" if node.step.value != 1 else COUNTER
    return step if node.start.value == 0 else f"{node.start.value!r} + {step}"


def _all_arguments(node):
    for row in node.arguments if isinstance(node, Call) else ():
        yield row
        yield from _all_arguments(row.node)


def flat(doc: Document) -> str:
    """Return a document on one line."""
    if isinstance(doc, str):
        return doc
    return doc.opening + (", " if doc.commas else " ").join(map(flat, doc.items)) + doc.closing


def laid_out(doc: Document, indent: str, after: str = "", comment: str = "") -> list[str]:
    """Return the lines of a document.

    Args:
        doc: The document.
        indent: Spaces before it.
        after: Code after it, such as a comma.
        comment: Comment at the end of the first line.
    """
    comment = comment and f"  # {comment}"
    line = f"{indent}{flat(doc)}{after}"
    if len(line + comment) <= WIDTH or isinstance(doc, str) or not doc.items:
        return [line + comment]
    separator = "," if doc.commas else ""
    inner = indent + INDENT
    one = inner + (separator + " ").join(map(flat, doc.items))
    if len(one) <= WIDTH and "\n" not in one:
        body = [one]
    else:
        body = [text for item in doc.items for text in laid_out(item, inner, separator)]
    return [f"{indent}{doc.opening}{comment}", *body, f"{indent}{doc.closing}{after}"]
