"""Subcommands that train, and that use what was trained: train, resume, evaluate, predict, report."""

from __future__ import annotations

import json

import click
from gluon_classics import _console
from gluon_classics.experiment.settings import FIT, LAST_BATCH, RESIZE_IN, WEIGHTS

from .options import (
    DATA_HELP,
    Finite,
    FiniteRange,
    checkpoint_option,
    ctx_option,
    json_option,
    known_model,
    quiet_option,
    setting,
)


@click.command()
@click.argument("name", callback=known_model)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the images.  [default: 1; 10 on the sample]")
@setting("batch_size", type=click.IntRange(1))
@setting("learning_rate", "--lr", type=FiniteRange(0, min_open=True), help="Learning rate.")
@setting("schedule", help='Its factor from some epochs on, as in "2:0.4 5:0.2".', shown="constant")
@setting("resize", type=click.IntRange(1), help="Side of the images in pixels.", shown="the network's own")
@setting("fit", type=click.Choice(FIT), help="How images come to that size.")
@setting("background", type=Finite(), help="What the pixel 0 becomes.")
@setting("foreground", type=Finite(), help="What the pixel 255 becomes.")
@setting("optimizer", help="One of MXNet's: sgd, adam, ..., or diagonallm, which is LeNet-5's.")
@setting("momentum", type=FiniteRange(0, 1, max_open=True))
@setting("weight_decay", type=FiniteRange(0))
@setting("seed", type=click.IntRange(0), help="Of weights, order and dropout.")
@setting("data", help=DATA_HELP)
@setting(
    "resize_in",
    type=click.Choice(RESIZE_IN),
    help="Where resized pixels are rounded; published: as the blog's code does.",
)
@setting(
    "last_batch",
    type=click.Choice(LAST_BATCH),
    help="A last partial batch; discard: as the blog's code does; damp: a step as much smaller as it is.",
)
@setting("init", help="Of weights: xavier, xavier(2.24), normal(0.01), uniform(0.07).")
@setting("weights", type=click.Choice(WEIGHTS), help="notebook: the same for every seed, as if MXNet were not seeded.")
@click.option("--init-from", help="Run folder or parameter file to start from, in place of random weights.")
@ctx_option
@click.option("--out", help="Run folder to write.  [default: a new one in runs/]")
@checkpoint_option
@quiet_option
def train(name, ctx, out, quiet, **options):
    """Train network NAME; the defaults are the settings of the blog.

    Networks that were published with a training of their own, as lenet5, have its settings as their defaults.

    Writes a run folder: parameters, run.json with the metrics of each epoch, a picture of the curves, checkpoints.
    """
    from gluon_classics.runs import train as command

    if quiet:
        _console.be_quiet()
    command.train(name, ctx, out, **options)


@click.command()
@click.argument("run")
@click.option("--epochs", type=click.IntRange(1), help="Epochs in all, to train longer.  [default: the run's]")
@checkpoint_option
@quiet_option
def resume(run, epochs, checkpoint_minutes, quiet):
    """Go on with an interrupted RUN, to the very bits that it would have had without a break."""
    from gluon_classics.runs import resume as command

    if quiet:
        _console.be_quiet()
    command.resume(run, epochs, checkpoint_minutes)


@click.command()
@click.argument("target")
@click.option("--model", callback=known_model, help="Network, where TARGET is a parameter file.")
@click.option("--data", help=f"{DATA_HELP}  [default: the run's, or fashion-mnist]")
@click.option("--resize", type=click.IntRange(1), help="Side of the images, where TARGET is a parameter file.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@ctx_option
@json_option
def evaluate(target, model, data, resize, batch_size, ctx, as_json):
    """Test accuracy of TARGET, a run folder or a parameter file, over all test images."""
    from gluon_classics.runs import predictor

    network, test_data = predictor.with_test_data(target, model, data, resize, ctx)
    result = network.evaluate(test_data, batch_size)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    rows = [
        (row["class"], f"{row['right'] / row['images']:.3f}" if row["images"] else "", f"{row['images']:,}")
        for row in result["classes"]
    ]
    total = ("all", f"{result['accuracy']:.4f}", f"{result['images']:,}")
    _console.table(["class", "accuracy:", "images:"], rows, total)


@click.command()
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Number of classes to show.")
@ctx_option
@json_option
def predict(run, images, top, ctx, as_json):
    """Classify IMAGES (PNG, JPEG, ...) with the network of a RUN folder.

    They should look as the training images do: Fashion-MNIST shows light articles on black.
    """
    from gluon_classics.runs import predictor

    results = predictor.from_run(run, ctx).predict(images, top)
    if as_json:
        click.echo(json.dumps(results, indent=2))
        return
    rows = [
        (result["image"] if rank == 0 else "", entry["class"], f"{entry['probability']:.3f}")
        for result in results
        for rank, entry in enumerate(result["top"])
    ]
    _console.table(["image", "class", "probability:"], rows)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-o", "--out", type=click.Path(), default="report.html", show_default=True, help="Page to write.")
@click.option("--tensorboard", type=click.Path(), help="Folder for the metrics as TensorBoard's event files, too.")
@ctx_option
def report(runs, out, tensorboard, ctx):
    """Make a page about one run folder or several, which can be read without a network.

    Curves against published values, mistakes, confusion matrix, first filters, settings and verdict.
    """
    from gluon_classics.report.report import write_report

    write_report(runs, out, ctx, tensorboard)
    click.echo(out)


COMMANDS = (train, resume, evaluate, predict, report)
