"""Find which parameter of a file belongs to which parameter of a network if their names differ.

Other programs number the layers of the same network differently: those of "Dive into Deep Learning" have no layer that
flattens, `save_params` writes names such as lenet0_conv0_weight, and `export` puts "arg:" and "aux:" in front.
"""

from __future__ import annotations

import re
from typing import Mapping, Sequence, Tuple

Shape = Tuple[int, ...]
_ROLE = re.compile(r"(.*?)_?(weight|bias|gamma|beta|(?:running|moving)_(?:mean|var))$")


def without_kind(name: str) -> str:
    """Return the name of a parameter without the "arg:" or "aux:" of an exported model."""
    return name[4:] if name.startswith(("arg:", "aux:")) else name


def match(own: Mapping[str, Shape], found: Mapping[str, Shape]) -> dict[str, str] | None:
    """Return the name in the file for each parameter of the network; None unless there is exactly one sensible way.

    Parameters belong together if they have the same role (weight, bias, ...) and shape. Where several have, the numbers
    in their names must have the order of the file. The parameters of a layer must belong to one layer.

    Args:
        own: Shapes of the network's parameters by name, in its order.
        found: Shapes of the file's parameters by name, in its order.
    """
    groups, others = _groups(own), _groups(found)
    if {kind: len(names) for kind, names in groups.items()} != {kind: len(names) for kind, names in others.items()}:
        return None
    if any(sorted(names, key=_natural) != names for names in others.values()):
        return None
    names = {name: other for kind in groups for name, other in zip(groups[kind], others[kind])}
    layers = {(_layer(name), _layer(other)) for name, other in names.items()}
    if any(len(dict(pairs)) < len(layers) for pairs in (layers, [pair[::-1] for pair in layers])):
        return None
    return {name: names[name] for name in own}


def first_difference(own: Mapping[str, Shape], found: Mapping[str, Shape]) -> tuple[str | None, str | None]:
    """Return the first parameter of the network and of the file, in order, that differ in role or shape."""
    mine, theirs = list(own), list(found)
    for name, other in zip(mine, theirs):
        if (_role(name), own[name]) != (_role(other), found[other]):
            return name, other
    length = min(len(mine), len(theirs))
    return next(iter(mine[length:]), None), next(iter(theirs[length:]), None)


def last_layers(names: Sequence[str], own: Sequence[str]) -> list[str] | None:
    """Return the last parameters of the file if they have the roles of the network's parameters `own`, in order."""
    last = list(names)[-len(own) :]
    return last if list(map(_role, last)) == list(map(_role, own)) else None


def _groups(shapes):
    groups: dict = {}
    for name, shape in shapes.items():
        groups.setdefault((_role(name), shape), []).append(name)
    return groups


def _role(name):
    match = _ROLE.match(name)
    return match[2].replace("moving", "running") if match else name.rpartition(".")[2]


def _layer(name):
    match = _ROLE.match(name)
    return match[1] if match else name.rpartition(".")[0]


def _natural(name):
    """Return a key that sorts conv10 after conv9."""
    words = re.split(r"(\d+)", name)
    return [(len(word.lstrip("0")), word.lstrip("0")) if index % 2 else word for index, word in enumerate(words)]
