"""Write docs/editions.md from the registry and the docstrings of the families: python tools/make_editions.py"""

from importlib import import_module
from itertools import groupby
from pathlib import Path
import re
import textwrap

import gluon_classics
from gluon_classics import _files
from gluon_classics._format import format_shape
from gluon_classics.experiment.published_training import published_settings
from gluon_classics.experiment.settings_words import settings_words
from gluon_classics.inspection.layer_graph import IMAGE, layers
from gluon_classics.models.registry import FAMILIES

PAGE = Path(__file__).parents[1] / "docs" / "editions.md"
HEAD = """# Editions

<!-- written by python tools/make_editions.py -->

An edition is one published definition of a network. These sources have many of them:

- the blog: a post of March 2018 with `lenet`, `alexnet`, `vgg`, `nin`, `googlenet` and `resnet`;
- the Gluon tutorials of early 2018, which the blog follows: [d2l-zh](https://github.com/d2l-ai/d2l-zh);
- D2L: the book [Dive into Deep Learning](https://d2l.ai), which grew out of the tutorials;
- the paper that gave the network its name.

`train` uses the settings that an edition was published with. Where none are listed, they are the blog's: batches of 64,
SGD with a rate of .01, Xavier initialization and 1 epoch.

Only trainable parameters are counted. MAC is the number of multiply-accumulates of convolutions and dense layers for
one image of the edition's input size. "Layers" is the number of convolutions and dense layers, "depth" the number of
those on the longest path from the image to the logits. Tests recount all of these numbers. `gluon-classics diff`
compares two editions layer by layer, and `gluon-classics draw` draws one.
"""


def page() -> str:
    """Return the content of docs/editions.md."""
    return "\n".join([HEAD, *map(section, FAMILIES)])


def section(family: str) -> str:
    """Return the section of a family: a table of its editions, sources, departures from the paper, open questions."""
    about = docstring(family)
    infos = editions(family)
    rows = [
        "| network | input | classes | parameters | MAC | layers | depth | source |",
        "|---|---|--:|--:|--:|--:|--:|---|",
        *map(row, infos),
    ]
    departures = [
        f"- {', '.join(f'`{info.name}`' for info in group)}: {'; '.join(departures)}."
        for departures, group in groupby(infos, key=lambda info: info.departures)
        if departures
    ]
    trained = [
        f"- {', '.join(f'`{info.name}`' for info in group)}: {settings}."
        for settings, group in groupby(infos, key=training)
        if settings
    ]
    parts = [
        f"## {title(family)}",
        about["paper"],
        "\n".join(rows),
        "### Sources",
        about["Source"],
        *(["### Differs from the paper", "\n".join(departures)] if departures else []),
        *(["### Default settings of `train`", "\n".join(trained)] if trained else []),
        "### Open questions",
        about.get("Open", "None noted."),
    ]
    return "\n\n".join(parts) + "\n"


def row(info) -> str:
    """Return the row of an edition in the table of its family."""
    count, depth = layers_and_depth(info)
    shape = format_shape(info.input_shape)
    return (
        f"| `{info.name}` | {shape} | {info.classes} | {info.params:,} | {info.macs:,} "
        f"| {count} | {depth} | {info.source} |"
    )


def training(info) -> str:
    """Return the published settings of an edition's training in words; empty if they are the blog's."""
    if not (info.training or info.not_done):
        return ""
    words = settings_words(published_settings(info.name), ("resize",))
    return f"{words}. Not done as published: {'; '.join(info.not_done)}" if info.not_done else words


def layers_and_depth(info) -> tuple:
    """Return the number of convolutions and dense layers, in all and on the longest path from image to logits."""
    network = layers(gluon_classics.get_model(info.name), info.input_shape)
    depths = {IMAGE: 0}
    for number, layer in enumerate(network):
        depths[number] = max(depths[source] for source in layer.inputs) + (layer.macs > 0)
    return sum(layer.macs > 0 for layer in network), max(depths.values())


def editions(family: str) -> list:
    """Return the registry's facts of the editions of a family."""
    infos = map(gluon_classics.model_info, gluon_classics.list_models())
    return [info for info in infos if info.family == family]


def title(family: str) -> str:
    """Return the title of a family's section, which is the beginning of its docstring."""
    return docstring(family)["paper"].partition(" (")[0]


def anchor(family: str) -> str:
    """Return the anchor of a family's section."""
    return re.sub(r"[^\w-]", "", title(family).lower().replace(" ", "-"))


def docstring(family: str) -> dict:
    """Return the parts of a family's docstring: "paper" (the first sentence), "Source", "Departs" and maybe "Open"."""
    paper, _, rest = import_module(f"gluon_classics.models.{family}").__doc__.partition("\n\n")
    found = re.findall(r"^(\w+) +(.*(?:\n .*)*)", rest, re.MULTILINE)
    return {"paper": paper, **{heading: textwrap.dedent(" " * 10 + body) for heading, body in found}}


def main():
    _files.write_text(PAGE, page())


if __name__ == "__main__":
    main()
