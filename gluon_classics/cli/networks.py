"""Subcommands about networks, without trained weights: list, summary, diff, draw, certify."""

from __future__ import annotations

import click
import gluon_classics
from gluon_classics import _console
from gluon_classics._format import format_shape

from .options import Count, UserPath, json_option, known_model, shape_option


@click.command("list")
@json_option
def list_networks(as_json):
    """List the networks with their sizes and sources."""
    infos = [gluon_classics.model_info(name) for name in gluon_classics.list_models()]
    if as_json:
        facts = [{**vars(info), "gmac": info.gmac} for info in infos]
        _console.echo_json(facts)
        return
    rows = [
        (info.name, format_shape(info.input_shape), info.classes, f"{info.params:,}", f"{info.gmac:#.3g}", info.source)
        for info in infos
    ]
    _console.table(["network", "input", "classes:", "parameters:", "GMAC:", "source"], rows)


@click.command()
@click.argument("name", callback=known_model)
@shape_option()
@click.option("--classes", type=Count(), help="Number of classes.  [default: the network's own]")
@json_option
def summary(name, input_shape, classes, as_json):
    """Show the layers of a network.

    The table has the output shape, the parameters and the multiply-accumulates (MAC) of each layer of network NAME.
    """
    from dataclasses import asdict

    from gluon_classics.experiment.build import build
    from gluon_classics.inspection.summary import summarize

    info = gluon_classics.model_info(name)
    counts = summarize(build(name, classes), input_shape or info.input_shape)
    if as_json:
        _console.echo_json(asdict(counts))
        return
    rows = [
        (
            "  " * row.depth + f"{row.path} {row.layer}",
            format_shape(row.output_shape),
            f"{row.params:,}" if row.params else "",
            f"{row.macs:,}" if row.macs else "",
        )
        for row in counts.rows
    ]
    total = (f"total, {format_shape(counts.input_shape)} input", "", f"{counts.params:,}", f"{counts.macs:,}")
    _console.table(["layer", "output", "parameters:", "MAC:"], rows, total)
    if counts.running:
        _console.echo(f"In addition: {counts.running:,} running statistics or constants, which are not trained")
    for departure in info.departures:
        _console.echo(f"differs from the paper: {departure}")


@click.command()
@click.argument("first", metavar="NAME", callback=known_model)
@click.argument("second", metavar="NAME", callback=known_model)
@shape_option("see above")
@json_option
def diff(first, second, input_shape, as_json):
    """Show the differences between two networks.

    The tables compare the facts, layers, output shapes, parameters and multiply-accumulates (MAC) of both networks.

    By default, both networks get the first network's input size. If it is too small for the second network, both get
    the second network's input size.
    """
    from gluon_classics.inspection.diff import compare

    from . import diff_table

    comparison = compare(first, second, input_shape)
    if as_json:
        _console.echo_json(diff_table.as_dict(comparison))
    else:
        diff_table.show(comparison)


@click.command()
@click.argument("name", callback=known_model)
@click.option("-o", "--out", required=True, type=UserPath(), help="Picture to write (.svg or .png).")
@shape_option()
def draw(name, out, input_shape):
    """Draw the architecture of a network.

    The picture shows the layers of network NAME with their output shapes, and its branches.
    """
    from gluon_classics.inspection.diagram import draw

    draw.draw(name, out, input_shape)


@click.command()
@click.argument("name", callback=known_model)
@click.option(
    "--steps",
    type=Count(2),
    default=3,
    show_default=True,
    help="Training steps with batches of 8 images, divided into 3 epochs of at least 2 steps.",
)
@json_option
def certify(name, steps, as_json):
    """Check whether training is bit-identical in different setups.

    Network NAME is trained several times on random images: with 1 and 2 threads, with 1 and 2 devices, compiled and
    eager, with images on the disk, repeated, and resumed from a checkpoint. The learning rate changes between the
    epochs, and also depends on the accuracy. The parameters, outputs and loss are compared with those of the first run.
    Then a new last layer is trained on the first run's parameters, repeated and resumed in the same way.
    """
    from gluon_classics.diagnostics.determinism import certify

    rows = certify(name, steps)
    if as_json:
        _console.echo_json(rows)
        return
    cells = [
        (
            str(row["threads"]),
            "compiled" if row["compiled"] else "eager",
            str(row["devices"]),
            row["note"],
            "" if row["is_reference"] else row["verdict"],
            row["worst"] or "",
        )
        for row in rows
    ]
    _console.table(["threads:", "network", "devices:", "run", "parameters, outputs and loss", "worst array"], cells)


COMMANDS = (list_networks, summary, diff, draw, certify)
