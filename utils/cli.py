"""The command `gluon-classics`. What a subcommand needs loads when it runs, so that --help is quick."""

from __future__ import annotations

import json
import sys

import click
import gluon_classics
from gluon_classics import _runtime

from . import console
from .errors import ClassicsError
from .settings import FIT, LAST_BATCH, RESIZE_IN, WEIGHTS, Settings


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


def _known_recipe(_ctx, _param, name):
    from .recipes import get_recipe

    try:
        return get_recipe(name)
    except ClassicsError as error:
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
_checkpoint_option = click.option(
    "--checkpoint-minutes",
    type=click.FloatRange(0),
    default=10,
    show_default=True,
    help="Time between checkpoints; one also follows every epoch.",
)
_quiet_option = click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")


def _setting(field, *flags, help="", shown=None, **options):
    """An option for a field of `Settings`, None unless it is given: then the network's own default holds."""
    default = getattr(Settings, field) if shown is None else shown
    flags = flags or ("--" + field.replace("_", "-"),)
    return click.option(*flags, field, help=f"{help}  [default: {default}]", **options)


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
        click.echo(f"and {counts.running:,} running statistics or constants, which are not trained")
    for departure in info.departures:
        click.echo(f"differs from the paper: {departure}")


@main.command()
@click.argument("first", metavar="NAME", callback=_known_model)
@click.argument("second", metavar="NAME", callback=_known_model)
@click.option("--input", "input_shape", callback=_image_shape, help="Channels x height x width, as in 1x224x224.")
@_json_option
def diff(first, second, input_shape, as_json):
    """Show what two networks differ in: facts, layers, output shapes, parameters and multiply-accumulates.

    Layers are compared for the first network's images, if both networks take them.
    """
    from . import diff_command
    from .diff import compare

    comparison = compare(first, second, input_shape)
    if as_json:
        click.echo(json.dumps(diff_command.as_dict(comparison), indent=2))
    else:
        diff_command.show(comparison)


@main.command()
@click.argument("name", callback=_known_model)
@click.option("-o", "--out", required=True, type=click.Path(), help="Picture to write, as .svg or .png.")
@click.option("--input", "input_shape", callback=_image_shape, help="Channels x height x width, as in 1x224x224.")
def draw(name, out, input_shape):
    """Draw the architecture of network NAME: its layers with their output shapes, and its branches."""
    from . import drawing

    drawing.draw(name, out, input_shape)


@main.command()
@click.argument("name", callback=_known_model)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the images.  [default: 1; 10 on the sample]")
@_setting("batch_size", type=click.IntRange(1))
@_setting("learning_rate", "--lr", type=click.FloatRange(0, min_open=True), help="Learning rate.")
@_setting("schedule", help='Its factor from some epochs on, as in "2:0.4 5:0.2".', shown="constant")
@_setting("resize", type=click.IntRange(1), help="Side of the images in pixels.", shown="the network's own")
@_setting("fit", type=click.Choice(FIT), help="How images come to that size.")
@_setting("background", type=float, help="What the pixel 0 becomes.")
@_setting("foreground", type=float, help="What the pixel 255 becomes.")
@_setting("optimizer", help="One of MXNet's: sgd, adam, ..., or diagonallm, which is LeNet-5's.")
@_setting("momentum", type=click.FloatRange(0, 1, max_open=True))
@_setting("weight_decay", type=click.FloatRange(0))
@_setting("seed", type=click.IntRange(0), help="Of weights, order and dropout.")
@_setting("data", help=_DATA_HELP)
@_setting(
    "resize_in",
    type=click.Choice(RESIZE_IN),
    help="Where resized pixels are rounded; published: as the blog's code does.",
)
@_setting("last_batch", type=click.Choice(LAST_BATCH), help="A last partial batch; discard: as the blog's code does.")
@_setting("init", help="Of weights: xavier, xavier(2.24), normal(0.01), uniform(0.07).")
@_setting("weights", type=click.Choice(WEIGHTS), help="notebook: the same for every seed, as if MXNet were not seeded.")
@click.option("--init-from", help="Run folder or parameter file to start from, in place of random weights.")
@_ctx_option
@click.option("--out", help="Run folder to write.  [default: a new one in runs/]")
@_checkpoint_option
@_quiet_option
def train(name, ctx, out, quiet, **options):
    """Train network NAME; the defaults are the settings of the blog.

    Networks that were published with a training of their own, as lenet5, have its settings as their defaults.

    Writes a run folder: parameters, run.json with the metrics of each epoch, a picture of the curves, checkpoints.
    """
    from . import train_command

    if quiet:
        console.be_quiet()
    train_command.run(name, ctx, out, **options)


@main.command()
@click.argument("run")
@click.option("--epochs", type=click.IntRange(1), help="Epochs in all, to train longer.  [default: the run's]")
@_checkpoint_option
@_quiet_option
def resume(run, epochs, checkpoint_minutes, quiet):
    """Go on with an interrupted RUN, to the very bits that it would have had without a break."""
    from . import resume_command

    if quiet:
        console.be_quiet()
    resume_command.run(run, epochs, checkpoint_minutes)


@main.command()
@_json_option
def recipes(as_json):
    """List the recipes: settings with the results that were published for them."""
    from . import recipe_words
    from .recipes import list_recipes

    if as_json:
        click.echo(json.dumps([recipe_words.as_dict(recipe) for recipe in list_recipes()], indent=2))
        return
    rows = [
        (
            recipe.name,
            recipe_words.settings_words(recipe.settings),
            recipe_words.target_words(recipe),
            recipe_words.source_words(recipe),
        )
        for recipe in list_recipes()
    ]
    console.table(["recipe", "settings", "target", "source"], rows)


@main.command()
@click.argument("recipe", callback=_known_recipe)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="Number of independent runs.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first run; it counts on.")
@click.option("--subset", type=click.IntRange(1), help="Train on the first so many images; not comparable then.")
@click.option("--epochs", type=click.IntRange(1), help="Other than the recipe's; not comparable then.")
@click.option("--data", type=click.Path(), help="Folder of the recipe's data set, where it is not found by name.")
@_ctx_option
@click.option("--out", type=click.Path(), help="Folder for the run folders seed-N.  [default: runs/RECIPE]")
@click.option("--publish", is_flag=True, help="Enter the runs in results/, if they are comparable.")
@_checkpoint_option
@_json_option
def reproduce(recipe, publish, as_json, **options):
    """Run RECIPE, print target and result side by side, and say whether it is reproduced.

    Started again, it goes on: finished runs are not repeated, an interrupted one is resumed.
    """
    from . import reproduce_command, results
    from .verdict import judge

    if publish:
        results.refuse_code_that_nobody_knows()
    runs = reproduce_command.run(recipe, **options)
    verdict = judge(recipe, [run.record for run in runs])
    if as_json:
        click.echo(json.dumps(verdict.as_dict(), indent=2))
    else:
        reproduce_command.show(verdict)
    if publish:
        results.add(runs)


@main.command("results")
@click.option("--add", "added", multiple=True, metavar="RUN", help="Enter a run folder first; may be repeated.")
@click.option("--results", "folder", type=click.Path(), help="Folder of results.  [default: the checkout's]")
@_json_option
def show_results(added, folder, as_json):
    """Show what was reproduced: the table of all results, made from the records of their runs."""
    from . import results

    if added:
        from .runs import read_run

        results.add([read_run(run) for run in added], folder)
    verdicts = results.read(folder)
    if as_json:
        click.echo(json.dumps([verdict.as_dict() for verdict in verdicts], indent=2))
    elif not verdicts:
        click.echo(results.NONE)
    else:
        console.table(results.TITLES, results.rows(verdicts))


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
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-o", "--out", type=click.Path(), default="report.html", show_default=True, help="Page to write.")
@click.option("--tensorboard", type=click.Path(), help="Folder for the metrics as TensorBoard's event files, too.")
@_ctx_option
def report(runs, out, tensorboard, ctx):
    """Make a page about one run folder or several, which can be read without a network.

    Curves against published values, mistakes, confusion matrix, first filters, settings and verdict.
    """
    from .report import write_report

    write_report(runs, out, ctx, tensorboard)
    click.echo(out)


@main.command()
@click.argument("name", callback=_known_model)
@click.option("--steps", type=click.IntRange(2), default=3, show_default=True, help="Batches of 8 images.")
@_json_option
def certify(name, steps, as_json):
    """Compare trainings of network NAME, to the bit, that differ only in how they are run.

    Threads, compiled or eager, devices, another process, and a break with a checkpoint; on made-up images.
    """
    from .certify import certify

    rows = certify(name, steps)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    cells = [
        (
            str(row["threads"]),
            "compiled" if row["compiled"] else "eager",
            str(row["devices"]),
            row["note"],
            "" if row["note"] == "reference" else row["verdict"],
            row["worst"] or "",
        )
        for row in rows
    ]
    console.table(["threads:", "network", "devices:", "run", "parameters, outputs and loss", "worst"], cells)


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
