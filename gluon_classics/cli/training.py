"""Subcommands that train networks and use trained ones: train, resume, evaluate, predict, report."""

from __future__ import annotations

import click
from gluon_classics import _console
from gluon_classics._format import to_json
from gluon_classics.experiment.settings import AUGMENT, FIT, LAST_BATCH, REPORTED, RESIZE_IN, WEIGHTS

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
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="Number of passes over the training images.  [default: 1; 10 on the embedded sample]",
)
@setting("batch_size", type=click.IntRange(1), help="Images per batch.")
@setting("learning_rate", "--lr", type=FiniteRange(0, min_open=True), help="Learning rate.")
@setting(
    "schedule",
    help='Learning-rate schedule, such as "2:0.4 5:0.2": use 0.4 times the learning rate from epoch 2 on and 0.2 times '
    "from epoch 5 on. Epochs count from 0. cosine: fall along half a cosine. "
    "decay:0.96:8: fall by 4 % every 8 epochs. warmup:5: rise linearly for 5 epochs.",
    shown="constant",
)
@setting(
    "resize",
    type=click.IntRange(1),
    help="Height and width of the network's input in pixels.",
    shown="the network's own",
)
@setting("fit", type=click.Choice(FIT), help="Resize or pad images to the size of --resize.")
@setting("background", type=Finite(), help="Network input for the pixel value 0.")
@setting("foreground", type=Finite(), help="Network input for the pixel value 255.")
@setting(
    "augment",
    type=click.Choice(AUGMENT),
    help="flip: mirror each training image left to right with probability 1/2, each time it is used.",
)
@setting(
    "optimizer",
    help="Optimizer of MXNet (sgd, adam, ...), tfrmsprop (RMSProp of TensorFlow), or diagonallm (for lenet5 only).",
)
@setting("momentum", type=FiniteRange(0, 1, max_open=True), help="Momentum of the optimizer.")
@setting("weight_decay", type=FiniteRange(0), help="Weight decay.")
@setting("seed", type=click.IntRange(0), help="Seed for initial weights, shuffling, augmentation and dropout.")
@setting("data", help=DATA_HELP)
@setting(
    "resize_in",
    type=click.Choice(RESIZE_IN),
    help="Pixel type in which images are resized. published: float32 for training and uint8 for test images, "
    "as in the blog's code.",
)
@setting(
    "last_batch",
    type=click.Choice(LAST_BATCH),
    help="What to do with a last partial batch. keep: train on it. discard: leave it out, as the blog's code does. "
    "scale: train on it, but divide its gradients by the full batch size.",
)
@setting(
    "init",
    help="Weight initializer, such as xavier, xavier(2.24), normal(0.01) or uniform(0.07). "
    "he: He initialization. pytorch: PyTorch's default, for biases too. "
    "published: the network's own, if it has one.",
)
@setting(
    "weights",
    type=click.Choice(WEIGHTS),
    help="seeded: draw the initial weights from the seed. "
    "unseeded: use the same initial weights for every seed, as if MXNet were not seeded. "
    "unseeded-numpy: the same in MXNet's NumPy mode.",
)
@setting(
    "reported",
    type=click.Choice(REPORTED),
    help="Epoch whose test accuracy is the result: the last one, or the best of all epochs, as some sources report it.",
)
@click.option("--init-from", help="Run folder or parameter file with the initial weights, instead of random weights.")
@click.option(
    "--new-head",
    is_flag=True,
    default=None,
    help="With --init-from: draw the weights of the last layer, for data with other classes.",
)
@ctx_option
@click.option("--out", help="Run folder to write.  [default: a new folder in runs/]")
@checkpoint_option
@quiet_option
def train(name, ctx, out, quiet, **options):
    """Train a network and write a run folder.

    The run folder contains the parameters, the metrics of each epoch (run.json), a picture of the curves, and
    checkpoints.

    The defaults below are the settings of the blog post that the first networks come from. For some networks, such as
    lenet5 and those of papers, other settings were published. For these networks, the published settings are the
    defaults. What of a published training cannot be done is printed.
    """
    from gluon_classics.runs import train as command

    if quiet:
        _console.be_quiet()
    command.train(name, ctx, out, **options)


@click.command()
@click.argument("run")
@click.option("--epochs", type=click.IntRange(1), help="Total number of epochs, old and new.  [default: the run's]")
@click.option("--data", help="Folder or name of the run's data, if it has moved.  [default: where the run found it]")
@checkpoint_option
@quiet_option
def resume(run, epochs, data, checkpoint_minutes, quiet):
    """Resume an interrupted run.

    RUN is a run folder. The result is bit-identical to that of an uninterrupted run with the same processor, number
    of threads and package versions.
    """
    from gluon_classics.runs import resume as command

    if quiet:
        _console.be_quiet()
    command.resume(run, epochs, checkpoint_minutes, data)


@click.command()
@click.argument("target")
@click.option("--model", callback=known_model, help="Name of the network, if TARGET is a parameter file.")
@click.option("--data", help=f"{DATA_HELP}  [default: the run's, or fashion-mnist]")
@click.option(
    "--resize",
    type=click.IntRange(1),
    help="Height and width of the network's input in pixels, if TARGET is a parameter file.  "
    "[default: the network's own]",
)
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images per batch.")
@ctx_option
@json_option
def evaluate(target, model, data, resize, batch_size, ctx, as_json):
    """Measure the accuracy of a trained network on all test images.

    TARGET is a run folder or a parameter file. With a parameter file, --model is required.
    """
    from gluon_classics.runs import predictor

    network, test_data = predictor.with_test_data(target, model, data, resize, ctx)
    result = network.evaluate(test_data, batch_size)
    if as_json:
        click.echo(to_json(result))
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
@click.option(
    "--top", type=click.IntRange(1), default=3, show_default=True, help="Number of most probable classes to show."
)
@ctx_option
@json_option
def predict(run, images, top, ctx, as_json):
    """Classify image files with a trained network.

    RUN is a run folder. IMAGES are files in PNG, JPEG or a similar format. They should look like the training images:
    Fashion-MNIST shows light clothes on a black background.
    """
    from gluon_classics.runs import predictor

    results = predictor.from_run(run, ctx).predict(images, top)
    if as_json:
        click.echo(to_json(results))
        return
    rows = [
        (result["image"] if rank == 0 else "", entry["class"], f"{entry['probability']:.3f}")
        for result in results
        for rank, entry in enumerate(result["top"])
    ]
    _console.table(["image", "class", "probability:"], rows)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-o", "--out", type=click.Path(), default="report.html", show_default=True, help="HTML file to write.")
@click.option(
    "--tensorboard", type=click.Path(), help="Also write the metrics as TensorBoard event files to this folder."
)
@click.option("--data", help="Folder or name of the runs' data, if it has moved.  [default: where each run found it]")
@ctx_option
def report(runs, out, tensorboard, data, ctx):
    """Write an HTML report about one or more run folders.

    The report shows the curves with the published values, misclassified images, the confusion matrix, the filters of
    the first layer, the settings and the verdict. The file can be read without an internet connection.
    """
    from gluon_classics.report.report import write_report

    write_report(runs, out, ctx, tensorboard, data)
    click.echo(out)


COMMANDS = (train, resume, evaluate, predict, report)
