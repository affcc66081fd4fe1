"""Subcommand that writes a network for another framework: export."""

from __future__ import annotations

import click
from gluon_classics import _console
from gluon_classics._format import format_shape
from gluon_classics.errors import ClassicsError
from gluon_classics.porting.export.export import TARGETS

from .options import Seed, UserPath, shape_option


@click.command()
@click.argument("network", metavar="NAME|RUN", type=UserPath())
@click.option("--to", "target", required=True, type=click.Choice(list(TARGETS)), help="Format to write.")
@click.option("-o", "--out", required=True, type=UserPath(), help="File or folder to write. A file is replaced.")
@shape_option("the network's own, or the run's")
@click.option("--seed", type=Seed(), help="Seed of the initial weights.  [default: 0]")
@click.option("--verify", is_flag=True, help="Run what was written, and compare its prediction with MXNet's.")
def export(network, target, out, input_shape, seed, verify):
    """Write a network with its weights for another framework.

    NAME is a network, which gets initial weights. RUN is a run folder, whose trained weights are written. Models that
    MXNet exported (NAME-symbol.json next to its .params file) and models of GluonCV (gluoncv:NAME) can be written too.

    \b
    safetensors  A folder with weights.safetensors and layout.json, or a file
                 NAME.safetensors next to NAME.layout.json. The layout has the
                 name and the axes of each parameter in PyTorch, Flax and Keras.
    onnx         A file of opset 13, for any number of images.
    pytorch      A readable source file NAME.py next to NAME.safetensors with
                 its weights. Its function load() returns the network.
    flax         The same for Flax.
    """
    from gluon_classics.porting.export import export
    from gluon_classics.porting.network.sources import source

    found = source(network, input_shape, seed=seed)
    export.write(found.graph, found.parameters(), target, out)
    _console.echo(f"{found.name} ({found.weights}, {format_shape(found.input_shape)} input) written to {out}")
    if not verify:
        return
    check = export.verify(target, out, found.graph, found.predict)
    _console.table(
        ["output", "relative error:", "limit:"], [(check.output, f"{check.error:.1e}", f"{check.limit:.1e}")]
    )
    if not check.passed:
        raise ClassicsError(f"{out} does not compute what MXNet computes: do not use it, and report this")


COMMANDS = (export,)
