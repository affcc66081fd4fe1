"""Arguments and options that several subcommands share."""

from __future__ import annotations

import math

import click
import gluon_classics
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.settings import Settings


def known_model(_ctx, _param, name):
    if name is None:
        return None
    try:
        return gluon_classics.model_info(name).name
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def known_recipe(_ctx, _param, name):
    from gluon_classics.reproduction.recipes import get_recipe

    try:
        return get_recipe(name)
    except ClassicsError as error:
        raise click.BadParameter(str(error)) from error


def image_shape(_ctx, _param, text):
    if text is None:
        return None
    sizes = text.lower().split("x")
    if len(sizes) != 3 or not all(size.isdecimal() and int(size) for size in sizes):
        raise click.BadParameter(f"{text!r} is not channels x height x width, as in 1x224x224")
    return tuple(map(int, sizes))


ctx_option = click.option(
    "--ctx", default="auto", show_default=True, help="auto, cpu, gpu, gpu:1, or a list as in gpu:0,gpu:1."
)
DATA_HELP = "fashion-mnist, mnist, cifar10, or a folder: IDX files, CIFAR-10 binaries, a subfolder a class."


class _Finite(click.ParamType):
    """Refuses nan and infinity, which lie in every range of click's."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


class Finite(_Finite, click.types.FloatParamType):
    """A number."""


class FiniteRange(_Finite, click.FloatRange):
    """A number in a range."""


checkpoint_option = click.option(
    "--checkpoint-minutes",
    type=FiniteRange(0),
    default=10,
    show_default=True,
    help="Time between checkpoints; one also follows every epoch.",
)
quiet_option = click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")


def setting(field, *flags, help="", shown=None, **options):
    """An option for a field of `Settings`, None unless it is given: then the network's own default holds."""
    default = getattr(Settings, field) if shown is None else shown
    flags = flags or ("--" + field.replace("_", "-"),)
    return click.option(*flags, field, help=f"{help}  [default: {default}]", **options)
