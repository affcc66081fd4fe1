"""Subcommands that train networks and use trained ones: train, resume, evaluate, predict, report."""

from __future__ import annotations

import itertools

import click
from gluon_classics import _console, _runtime
from gluon_classics.errors import DataError
from gluon_classics.experiment.settings import FIT, FREEZE, LAST_BATCH, REPORTED, RESIZE_IN, TEST_CROPS, WEIGHTS

from .options import (
    DATA_HELP,
    PLACEMENT_NAMES,
    TRANSPARENT_HELP,
    Count,
    Finite,
    FiniteRange,
    Seed,
    UserPath,
    checkpoint_option,
    ctx_option,
    dry_run_option,
    in_memory_option,
    json_option,
    known_model,
    not_empty,
    placement_options,
    quiet_option,
    setting,
    show_plan,
)


@click.command()
@click.argument("name", callback=known_model)
@click.option(
    "--epochs",
    type=Count(),
    help="Number of passes over the training images.  [default: 1; 10 on the embedded sample]",
)
@setting("batch_size", type=Count(), help="Images per batch.")
@setting(
    "micro_batch_size",
    type=Count(),
    help="Images to compute at a time, for batches that do not fit into memory: the gradients of the parts are added.",
    shown="the whole batch",
)
@setting("learning_rate", "--lr", type=FiniteRange(0, min_open=True), help="Learning rate.")
@setting(
    "schedule",
    callback=not_empty,
    help='Learning-rate schedule, such as "2:0.4 5:0.2": use 0.4 times the learning rate from epoch 2 on and 0.2 times '
    "from epoch 5 on. Epochs count from 0. cosine: fall along half a cosine. "
    "decay:0.96:8: fall by 4 % every 8 epochs. warmup:5: rise linearly from 0.1 to 1 during 5 epochs. "
    "plateau:0.1:5: use 0.1 times the learning rate each time that 5 epochs have not raised the accuracy; "
    "plateau:0.1:5:3 does so 3 times at most. 0:1: stay constant.",
    shown="constant",
)
@setting(
    "patience",
    type=Count(),
    help="Stop when this many epochs have not raised the accuracy.",
    shown="train all epochs",
)
@setting(
    "resize",
    type=Count(),
    help="Height and width of the network's input in pixels.",
    shown="the network's own",
)
@setting(
    "image_size",
    type=Count(),
    help="Height and width to which images are brought before a crop of the network's size is cut from them: "
    "by --augment for the training, from the center for tests.",
    shown="the network's, without a crop",
)
@setting(
    "fit",
    type=click.Choice(FIT),
    help="How images get that size. resize: change the proportions. pad: add background. "
    "crop: resize the shorter side and cut the longer one.",
)
@setting("background", type=Finite(), help="Network input for the pixel value 0.")
@setting("foreground", type=Finite(), help="Network input for the pixel value 255.")
@setting(
    "mean",
    callback=not_empty,
    help="Mean of the pixels, 0 to 1, to subtract: one number, or one for each channel.",
    shown="0",
)
@setting(
    "std",
    callback=not_empty,
    help="Standard deviation to divide the pixels by. 'gluon-classics statistics' computes both from images.",
    shown="1",
)
@setting(
    "augment",
    metavar="NAMES",
    help='Random changes of the training images, such as "crop:4 flip". flip: mirror. crop:N: cut the network\'s size '
    "out of images padded by N pixels. resized-crop: cut and resize a random part. scale:256:512: resize the shorter "
    "side to a random length and cut. color, lighting: change colors. affine: move, scale and shear.",
)
@setting(
    "test_crops",
    type=click.Choice(TEST_CROPS),
    help="Part of a test image that is classified, if --image-size is larger than the network's input: the center, or "
    "ten crops whose probabilities are averaged.",
)
@setting(
    "optimizer",
    help="Optimizer of MXNet (sgd, adam, ...), tfrmsprop (RMSProp of TensorFlow), or diagonallm (for lenet5 only).",
)
@setting("momentum", type=FiniteRange(0, 1, max_open=True), help="Momentum of the optimizer.")
@setting("weight_decay", type=FiniteRange(0), help="Weight decay.")
@setting("seed", type=Seed(), help="Seed for initial weights, shuffling, augmentation and dropout.")
@setting("data", type=UserPath(), help=DATA_HELP)
@setting(
    "test_share",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Share of the images of each class that are test images, for a folder of images without test images.",
    shown="0.2, every fifth image",
)
@setting(
    "validation_share",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Share of the training images of each class to hold out. Their accuracy is used instead of the test accuracy "
    "in --schedule, --patience and --reported.",
    shown="none",
)
@in_memory_option
@setting("transparent_as", metavar="COLOR", help=TRANSPARENT_HELP)
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
    help="Epoch whose parameters are kept and whose test accuracy is the result: the last one, or the best one.",
)
@click.option(
    "--init-from",
    type=UserPath(),
    help="Run folder or parameter file with the initial weights, instead of random weights.",
)
@click.option(
    "--new-head",
    is_flag=True,
    default=None,
    help="With --init-from: draw random weights for the last layer, for data with other classes.",
)
@setting("freeze", type=click.Choice(FREEZE), help="With --new-head, body: train the new last layer only.")
@ctx_option
@click.option(
    "--workers",
    type=Count(),
    default=1,
    show_default=True,
    help="Processes that train together: each batch is divided among them.",
)
@placement_options
@click.option("--out", type=UserPath(), help="Run folder to write.  [default: a new folder in runs/]")
@checkpoint_option
@dry_run_option
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print JSON instead of a table.")
def train(name, ctx, workers, placement, out, dry_run, quiet, as_json, **options):
    """Train a network and write a run folder.

    The run folder contains the parameters, the metrics of each epoch (run.json), a picture of the curves, and
    checkpoints.

    The defaults below are the settings of the blog post that the first networks come from. For some networks, such as
    lenet5 and those of papers, other settings were published. For these networks, the published settings are the
    defaults. The command prints which parts of a published training it does not do.
    """
    if as_json and not dry_run:
        raise click.UsageError("--json is for --dry-run: the metrics of a run are in its run.json.")
    if quiet:
        _console.be_quiet()
    if placement.is_given and workers == 1:
        raise click.UsageError(f"{PLACEMENT_NAMES} are for several workers: use them with --workers.")
    if dry_run and workers > 1:
        raise click.UsageError("--dry-run plans the training of one process: leave --workers out.")
    if workers > 1:
        _runtime.require()
        from gluon_classics.runs.launch import launch_training

        launch_training(placement.of(workers), name, options.pop("data"), {"ctx": ctx, "out": out, **options})
        return
    if not dry_run:
        from gluon_classics.runs import train as command

        command.train(name, ctx, out, **options)
        return
    from gluon_classics.runs.plan import plan_training

    del options["checkpoint_minutes"]
    plan = plan_training(name, ctx, out, **options)
    if as_json or not quiet:
        show_plan(plan, as_json)


@click.command()
@click.argument("run", type=UserPath())
@click.option("--epochs", type=Count(), help="Total number of epochs, old and new.  [default: the run's]")
@click.option(
    "--data",
    type=UserPath(),
    help="Folder or name of the run's data, if it has moved.  [default: where the run found it]",
)
@in_memory_option
@placement_options
@checkpoint_option
@quiet_option
def resume(run, placement, quiet, **options):
    """Resume an interrupted run.

    RUN is a run folder. The result is bit-identical to that of an uninterrupted run with the same processor, number
    of threads and package versions. A run that several workers trained gets as many again.
    """
    _runtime.require()
    from gluon_classics.runs.launch import launch_resuming, workers_of

    if quiet:
        _console.be_quiet()
    workers = workers_of(run)
    if workers > 1:
        launch_resuming(placement.of(workers), run, options)
        return
    if placement.is_given:
        raise click.UsageError(f"{run} was trained by one process: leave {PLACEMENT_NAMES} out.")
    from gluon_classics.runs import resume as command

    command.resume(run, **options)


@click.command()
@click.argument("target", type=UserPath())
@click.option("--model", callback=known_model, help="Name of the network, if TARGET is a parameter file.")
@click.option("--data", type=UserPath(), help=f"{DATA_HELP}  [default: the run's, or fashion-mnist]")
@click.option(
    "--resize",
    type=Count(),
    help="Height and width of the network's input in pixels, if TARGET is a parameter file.  "
    "[default: the network's own]",
)
@click.option("--batch-size", type=Count(), default=64, show_default=True, help="Images per batch.")
@click.option(
    "--test-crops",
    type=click.Choice(TEST_CROPS),
    help="Classify the center of each image, or ten crops, whose probabilities are averaged.  [default: the run's]",
)
@ctx_option
@json_option
def evaluate(target, model, data, resize, batch_size, test_crops, ctx, as_json):
    """Measure the accuracy of a trained network on all test images.

    TARGET is a run folder or a parameter file. With a parameter file, --model is required.
    """
    from gluon_classics.runs import predictor

    network, test_data = predictor.with_test_data(target, model, data, resize, ctx)
    result = network.with_settings(test_crops=test_crops).evaluate(test_data, batch_size)
    if as_json:
        _console.echo_json(result)
        return
    rows = [
        (row["class"], f"{row['right'] / row['images']:.3f}" if row["images"] else "", f"{row['images']:,}")
        for row in result["classes"]
    ]
    total = ("all", f"{result['accuracy']:.4f}", f"{result['images']:,}")
    _console.table(["class", "accuracy:", "images:"], rows, total)
    if result["top_5"] is not None:
        _console.echo(f"among the 5 most probable classes: {result['top_5']:.4f}")


@click.command()
@click.argument("run", type=UserPath())
@click.argument("images", nargs=-1, required=True, type=UserPath())
@click.option("--top", type=Count(), default=3, show_default=True, help="Number of most probable classes to show.")
@click.option("--invert", is_flag=True, help="Swap light and dark, for dark objects on a light background.")
@click.option("--transparent-as", metavar="COLOR", help=f"{TRANSPARENT_HELP}  [default: the run's]")
@ctx_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table, with a row for each class shown.")
@json_option
def predict(run, images, top, invert, transparent_as, ctx, as_csv, as_json):
    """Classify image files with a trained network.

    RUN is a run folder. IMAGES are files in PNG, JPEG or a similar format, or folders with such files, also in their
    subfolders. They should look like the training images: Fashion-MNIST shows light clothes on a black background.

    A file that cannot be read is reported, and the others are classified. The exit status is then 1.
    """
    from gluon_classics.runs import predictor
    from gluon_classics.runs.image_files import image_files

    if as_csv and as_json:
        raise click.UsageError("--csv cannot be used with --json.")
    paths, others = image_files(images)
    for folder, left_out in others.items():
        words = ", ".join(f"{count} {kind}" for kind, count in left_out.most_common())
        _console.warn(f"{folder}: files that are not images are left out ({words})")
    errors = []

    def reported(results):
        for result in results:
            if "error" in result:
                errors.append(result["error"])
                if len(paths) > 1:
                    _console.warn(result["error"])
            yield result

    network = predictor.from_run(run, ctx).with_settings(transparent_as=transparent_as)
    results = reported(network.predictions(paths, top, invert))
    if as_json:
        _console.echo_json_list(results)
    elif as_csv:
        _console.echo_csv(["image", "rank", "class", "probability", "error"], itertools.chain(*map(_csv_rows, results)))
    else:
        for start in range(0, len(paths), predictor.CHUNK):
            shown = itertools.islice(results, min(predictor.CHUNK, len(paths) - start))
            rows = [row for result in shown for row in _table_rows(result)]
            if rows:
                _console.table(["image", "class", "probability:"], rows)
    if errors:
        many = f"{len(errors):,} of {len(paths):,} images could not be classified: see the messages above"
        raise DataError(many if len(paths) > 1 else errors[0])


def _csv_rows(result):
    if "error" in result:
        yield result["image"], "", "", "", result["error"]
    for rank, entry in enumerate(result.get("top", []), 1):
        yield result["image"], rank, entry["class"], entry["probability"], ""


def _table_rows(result):
    for rank, entry in enumerate(result.get("top", [])):
        yield result["image"] if rank == 0 else "", entry["class"], f"{entry['probability']:.3f}"


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=UserPath())
@click.option("-o", "--out", type=UserPath(), default="report.html", show_default=True, help="HTML file to write.")
@click.option(
    "--tensorboard", type=UserPath(), help="Also write the metrics as TensorBoard event files to this folder."
)
@click.option(
    "--data",
    type=UserPath(),
    help="Folder or name of the runs' data, if it has moved.  [default: where each run found it]",
)
@ctx_option
def report(runs, out, tensorboard, data, ctx):
    """Write an HTML report about one or more run folders.

    The report shows the curves with the published values, misclassified images, the confusion matrix, the filters of
    the first layer, the settings and the verdict. The file can be read without an internet connection.
    """
    from gluon_classics.report.report import write_report

    write_report(runs, out, ctx, tensorboard, data)
    _console.echo(out)


COMMANDS = (train, resume, evaluate, predict, report)
