"""The command `gluon-classics`. What a subcommand needs loads when it runs, so that --help is quick."""

from __future__ import annotations

import json
import sys

import click
import gluon_classics
from gluon_classics import _runtime

from . import console
from .errors import ClassicsError
from .settings import LAST_BATCH, RESIZE_IN, Settings


class _Commands(click.Group):
    """A group whose errors end in one line and a status of 1."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (ClassicsError, ImportError) as error:
            no_mxnet = isinstance(error, ModuleNotFoundError) and error.name == "mxnet"
            raise click.ClickException(_runtime.NO_MXNET if no_mxnet else str(error)) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            raise click.ClickException(f"{error.strerror or error}{place}") from error
        except RuntimeError as error:
            if type(error).__name__ != "MXNetError":  # by name: MXNet may not be loaded
                raise
            raise click.ClickException(f"MXNet: {str(error).strip().splitlines()[-1]}") from error


def _known_model(_ctx, _param, name):
    if name is None:
        return None
    try:
        return gluon_classics.model_info(name).name
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _image_shape(_ctx, _param, text):
    if text is None:
        return None
    sizes = text.lower().split("x")
    if len(sizes) != 3 or not all(size.isdecimal() and int(size) for size in sizes):
        raise click.BadParameter(f"{text!r} is not channels x height x width, as in 1x224x224")
    return tuple(map(int, sizes))


_ctx_option = click.option(
    "--ctx", default="auto", show_default=True, help="auto, cpu, gpu, gpu:1, or a list as in gpu:0,gpu:1."
)
_DATA_HELP = "fashion-mnist, mnist, cifar10, or a folder: IDX files, CIFAR-10 binaries, a subfolder a class."
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(gluon_classics.__version__, prog_name="gluon-classics")
def main():
    """Classic convolutional networks as published, in MXNet Gluon."""


@main.command("list")
@_json_option
def list_networks(as_json):
    """List the networks."""
    infos = [gluon_classics.model_info(name) for name in gluon_classics.list_models()]
    if as_json:
        facts = [{**vars(info), "gmac": info.gmac} for info in infos]
        click.echo(json.dumps(facts, indent=2))
        return
    rows = [
        (info.name, _times(info.input_shape), info.classes, f"{info.params:,}", f"{info.gmac:.3f}", info.source)
        for info in infos
    ]
    console.table(["network", "input", "classes:", "parameters:", "GMAC:", "source"], rows)


@main.command()
@click.argument("name", callback=_known_model)
@click.option("--input", "input_shape", callback=_image_shape, help="Channels x height x width, as in 1x224x224.")
@click.option("--classes", type=click.IntRange(1), help="Number of classes.")
@_json_option
def summary(name, input_shape, classes, as_json):
    """Show the layers of network NAME with output shapes, parameters and multiply-accumulates."""
    from dataclasses import asdict

    from .summary import summarize

    info = gluon_classics.model_info(name)
    counts = summarize(gluon_classics.get_model(name, classes), input_shape or info.input_shape)
    if as_json:
        click.echo(json.dumps(asdict(counts), indent=2))
        return
    rows = [
        (
            "  " * row.depth + f"{row.path} {row.layer}",
            _times(row.output_shape),
            f"{row.params:,}" if row.params else "",
            f"{row.macs:,}" if row.macs else "",
        )
        for row in counts.rows
    ]
    total = (f"total, {_times(counts.input_shape)} input", "", f"{counts.params:,}", f"{counts.macs:,}")
    console.table(["layer", "output", "parameters:", "MAC:"], rows, total)
    if counts.running:
        click.echo(f"and {counts.running:,} running statistics, which are not trained")
    for departure in info.departures:
        click.echo(f"differs from the paper: {departure}")


@main.command()
@click.argument("name", callback=_known_model)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the images.  [default: 1; 10 on the sample]")
@click.option("--batch-size", type=click.IntRange(1), default=Settings.batch_size, show_default=True)
@click.option(
    "--lr",
    "learning_rate",
    type=click.FloatRange(0, min_open=True),
    default=Settings.learning_rate,
    show_default=True,
    help="Learning rate.",
)
@click.option("--resize", type=click.IntRange(1), help="Side of the images in pixels.  [default: the network's own]")
@click.option("--optimizer", default=Settings.optimizer, show_default=True, help="One of MXNet's: sgd, adam, ...")
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), default=Settings.momentum, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(0), default=Settings.weight_decay, show_default=True)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=Settings.seed,
    show_default=True,
    help="Of weights, order and dropout.",
)
@click.option("--data", default=Settings.data, show_default=True, help=_DATA_HELP)
@click.option(
    "--resize-in",
    type=click.Choice(RESIZE_IN),
    default=Settings.resize_in,
    show_default=True,
    help="Where resized pixels are rounded; published: as the blog's code does.",
)
@click.option(
    "--last-batch",
    type=click.Choice(LAST_BATCH),
    default=Settings.last_batch,
    show_default=True,
    help="A last partial batch; discard: as the blog's code does.",
)
@click.option("--init-from", help="Run folder or parameter file to start from, in place of random weights.")
@_ctx_option
@click.option("--out", help="Run folder to write.  [default: a new one in runs/]")
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def train(name, ctx, out, quiet, **options):
    """Train network NAME; the defaults are the settings of the blog.

    Writes a run folder: parameters, run.json, metrics of each epoch and a picture of the curves.
    """
    from . import train_command

    if quiet:
        console.be_quiet()
    train_command.run(name, ctx, out, **options)


@main.command()
@click.argument("target")
@click.option("--model", callback=_known_model, help="Network, where TARGET is a parameter file.")
@click.option("--data", help=f"{_DATA_HELP}  [default: the run's, or fashion-mnist]")
@click.option("--resize", type=click.IntRange(1), help="Side of the images, where TARGET is a parameter file.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@_ctx_option
@_json_option
def evaluate(target, model, data, resize, batch_size, ctx, as_json):
    """Test accuracy of TARGET, a run folder or a parameter file, over all test images."""
    from . import trained

    network, test_data = trained.with_test_data(target, model, data, resize, ctx)
    result = network.evaluate(test_data, batch_size)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    rows = [
        (row["class"], f"{row['right'] / row['images']:.3f}" if row["images"] else "", f"{row['images']:,}")
        for row in result["classes"]
    ]
    total = ("all", f"{result['accuracy']:.4f}", f"{result['images']:,}")
    console.table(["class", "accuracy:", "images:"], rows, total)


@main.command()
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Number of classes to show.")
@_ctx_option
@_json_option
def predict(run, images, top, ctx, as_json):
    """Classify IMAGES (PNG, JPEG, ...) with the network of a RUN folder.

    They should look as the training images do: Fashion-MNIST shows light articles on black.
    """
    from . import trained

    results = trained.from_run(run, ctx).predict(images, top)
    if as_json:
        click.echo(json.dumps(results, indent=2))
        return
    rows = [
        (result["image"] if rank == 0 else "", entry["class"], f"{entry['probability']:.3f}")
        for result in results
        for rank, entry in enumerate(result["top"])
    ]
    console.table(["image", "class", "probability:"], rows)


@main.command()
@_json_option
def doctor(as_json):
    """Find what is wrong with this installation, and the fix."""
    from .doctor import examine

    checks = examine()
    if as_json:
        click.echo(json.dumps([vars(check) for check in checks], indent=2))
    else:
        for check in checks:
            click.echo(f"{'ok   ' if check.ok else 'WRONG'} {check.name}: {check.found}{_hint(check)}")
    if not all(check.ok for check in checks):
        sys.exit(1)


def _hint(check):
    if not check.fix:
        return ""
    return f" ({check.fix})" if check.ok else f" -> {check.fix}"


def _times(shape):
    return "x".join(map(str, shape))
