"""Subcommands for porting a network to another framework: describe, trace, compare."""

from __future__ import annotations

from pathlib import Path
import sys

import click
from gluon_classics import _console
from gluon_classics._format import format_shape

from .options import Count, UserPath, json_option, shape_option

SOURCE_HELP = (
    "NAME is a network of this package, a run folder, an exported MXNet model (NAME-symbol.json with its .params "
    "file), or gluoncv: and the name of a model of GluonCV."
)


@click.command(
    short_help="Describe a network for porting.",
    help=f"""Describe a network for porting to another framework.

    The table has each operation in order, with every setting that decides its result. Below are the formulas, and the
    loss, optimizer, initial values and preprocessing of the training.

    {SOURCE_HELP}
    """,
)
@click.argument("name", type=UserPath())
@shape_option("the network's own; required for an exported model that does not record it")
@json_option
def describe(name, input_shape, as_json):
    from gluon_classics.porting.network import describe as words
    from gluon_classics.porting.network.sources import source
    from gluon_classics.porting.network.training_facts import training_facts

    network = source(name, input_shape, partial=True)
    facts = training_facts(network.graph, network.settings)
    if as_json:
        click.echo(words.description(network.graph, facts), nl=False)  # JSON, in ASCII
        return
    shape = format_shape(network.input_shape)
    _console.table(["operation", "kind and settings", "input", "output", "parameters"], words.table_rows(network.graph))
    _console.echo(f"input: {', '.join(network.graph.inputs)}, {shape}; output: {', '.join(network.graph.outputs)}")
    for line in words.conventions(network.graph):
        _console.echo(line)
    for line in words.training_lines(network.graph, facts):
        _console.echo(line)
    unsupported = words.unsupported(network.graph)
    if unsupported:
        _console.warn(f"no formula for {unsupported}: port them by hand")


@click.command(
    short_help="Write what a correct port computes.",
    help=f"""Write a reference trace: what a correct port of a network computes.

    The folder gets the weights to start from, the data, and the values of each layer in prediction and training, the
    loss, the gradients, and the parameters after each step. The learning rate changes from step to step. A compact
    trace is a .zip file instead, and contains neither weights nor data.

    {SOURCE_HELP}

    With --suite, write the conformance suite: a compact trace of each network of this package and of each kind of
    operation. Each NAME is then the name of a trace of the suite. Traces that are already in the folder are kept.
    """,
)
@click.argument("names", metavar="NAME", nargs=-1, type=UserPath())
@click.option("-o", "--out", required=True, type=UserPath(), help="Folder to write; a .zip file for --level compact.")
@shape_option("the network's own")
@click.option("--batch", type=Count(2), default=2, show_default=True, help="Images per step.")
@click.option("--steps", type=Count(), default=3, show_default=True, help="Training steps.")
@click.option(
    "--weights",
    type=UserPath(),
    help="Weights to start from: probe (random, with no parameter at its usual initial value, so that mistakes show), "
    "initial, or a run folder or exported model.  [default: probe; for a run or exported model, its own]",
)
@click.option(
    "--level",
    type=click.Choice(["small", "full", "compact"]),
    default="small",
    show_default=True,
    help="small: a fingerprint of each value. full: also the values themselves. compact: one small file, for which the "
    "weights and data are drawn again from a seed.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Number type of the values.",
)
@click.option("--suite", is_flag=True, help="Write the conformance suite, or the traces of it that are named.")
@click.pass_context
def trace(context, names, out, input_shape, weights, suite, **options):
    if suite:
        given = [
            parameter.opts[0]
            for parameter in context.command.params
            if parameter.name not in ("names", "out", "suite")
            and context.get_parameter_source(parameter.name) is not click.core.ParameterSource.DEFAULT
        ]
        if given:
            raise click.UsageError(f"{given[0]} cannot be used with --suite.")
        _write_suite(out, names)
        return
    if len(names) != 1:
        raise click.UsageError("Name one network." if not names else "Name one network, not several.")
    from gluon_classics.porting.network.sources import source
    from gluon_classics.porting.reference.trace import trace
    from gluon_classics.porting.reference.values import TraceOptions

    network = source(names[0], input_shape)
    written = trace(network, out, weights, TraceOptions(**options))
    _console.echo(_of_trace(written, network.name, format_shape(network.input_shape)))
    if written.path.is_dir():
        _console.echo(f"Compare a port with: python {written.path}/compare_port.py PORT.npz")
    else:
        _console.echo(f"Compare a port with: gluon-classics compare {written.path} PORT.npz")


def _write_suite(folder, names):
    from gluon_classics.porting.comparison.suite import Suite
    from gluon_classics.porting.reference.suite import write_suite

    for written in write_suite(folder, names):
        _console.echo(_of_trace(written, written.path.stem))
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in paths)
    _console.echo(f"Wrote {folder}: {len(Suite.load(folder).files)} traces, {size / 1e6:.1f} MB")
    _console.echo(f"Compare a port with: python {folder}/compare_port.py NAME PORT.npz")


def _of_trace(written, name, shape=""):
    at = f" at {shape}" if shape else ""
    size = f"{written.size / 1e6:.1f} MB" if written.size > 1e6 else f"{written.size / 1e3:.0f} kB"
    return f"Wrote {written.path}: {name}{at}, {written.tensors} tensors, {size}, {written.seconds:.0f} s"


@click.command(short_help="Find where a port first differs, and why.")
@click.argument("trace", type=UserPath())
@click.argument("port", type=UserPath())
@click.option("--map", "names", type=UserPath(), help="JSON file with the trace's name of each name in the port.")
@click.option("--all", "everything", is_flag=True, help="Describe every divergence, not only the first one.")
@json_option
def compare(trace, port, names, everything, as_json):
    """Compare a port of a network with a reference trace.

    TRACE is the folder or .zip file of a trace. PORT is a .npz or .safetensors file with the tensors that the port
    computed, under the names of the trace; `Recorder` of gluon_classics.porting writes it. The first line says where
    the port first differs, and names the mistake. MXNet is not needed.

    The exit status is 0 if the port conforms, 1 if it diverges, and 2 if a file cannot be used.
    """
    from gluon_classics.porting.comparison.compare_port import show_comparison

    sys.exit(show_comparison(trace, port, names, everything, as_json))


COMMANDS = (describe, trace, compare)
