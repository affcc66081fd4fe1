"""Arguments and options that more than one subcommand uses."""

from __future__ import annotations

import functools
import math
import re
from typing import NamedTuple

import click
import gluon_classics
from gluon_classics import _console
from gluon_classics._files import user_path
from gluon_classics.distributed.hosts import read_hosts
from gluon_classics.distributed.launcher import REMOTE_SHELL, RESTARTS, Placement
from gluon_classics.errors import ClassicsError, SettingsError
from gluon_classics.experiment.settings import Settings

LARGEST, LARGEST_SEED = 2**31 - 1, 2**63 - 1  # MXNet counts with 32 bits
LARGEST_FLOAT = 3.4028234663852886e38  # of 32 bits
DIGITS = len(str(LARGEST))
_NAMES = {"init_from": "--init-from", "new_head": "--new-head"}  # fields of `Settings` and their options
PLACEMENT_NAMES = "--hosts, --port, --remote-shell and --restarts"


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


def not_empty(_ctx, param, text):
    if text is not None and not text.strip():
        raise SettingsError(f"{param.name} is empty: write a value, or leave the option out")
    return text


def image_shape(_ctx, _param, text):
    if text is None:
        return None
    sizes = text.lower().split("x")
    if len(sizes) != 3 or not all(size.isdecimal() and len(size) <= DIGITS and int(size) for size in sizes):
        raise click.BadParameter(f"{text!r} is not channels x height x width: write it as in 1x224x224")
    shape = tuple(map(int, sizes))
    if math.prod(shape) > LARGEST:
        raise click.BadParameter(f"{text} has more than {LARGEST:,} values: MXNet's arrays can have no more")
    return shape


ctx_option = click.option(
    "--ctx",
    default="auto",
    show_default=True,
    help="Device: auto (all GPUs, or the CPU), cpu, gpu, gpu:1, or a list such as gpu:0,gpu:1.",
)
DATA_HELP = (
    "Data set: fashion-mnist, mnist, cifar10 or another name in docs/data-files.md; a folder, archive or file of IDX, "
    "CIFAR, .npz, CSV or RecordIO files; or a folder with one subfolder of images per class."
)
TRANSPARENT_HELP = (
    "Color that shows through transparent pixels of image files: white, black, or a color such as #ff8000."
)


class Count(click.IntRange):
    """A whole number of things, from 1 or `lowest` on, that fits into MXNet's sizes of 32 bits."""

    def __init__(self, lowest: int = 1) -> None:
        super().__init__(lowest, LARGEST)


class Seed(click.IntRange):
    """A whole number, 0 or more."""

    def __init__(self) -> None:
        super().__init__(0, LARGEST_SEED)


class UserPath(click.ParamType):
    """A path from a user. A leading ~ becomes the home folder, also after "=", where shells keep it."""

    name = "path"

    def convert(self, value, param, ctx):
        if value == "":
            self.fail("the path is empty: name a file or a folder, or leave the option out.", param, ctx)
        try:
            return user_path(value)
        except ClassicsError as error:
            self.fail(str(error), param, ctx)


class _Finite(click.ParamType):
    """A number type that rejects nan, infinity and what MXNet's 32 bits cannot hold: click's ranges accept them."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not abs(number) <= LARGEST_FLOAT:
            self.fail(f"{value} is not a finite number, or too large.", param, ctx)
        return number


class Finite(_Finite, click.types.FloatParamType):
    """A finite number."""


class FiniteRange(_Finite, click.FloatRange):
    """A finite number in a range."""


checkpoint_option = click.option(
    "--checkpoint-minutes",
    type=FiniteRange(0),
    default=10,
    show_default=True,
    help="Minutes between checkpoints. Each epoch also ends with a checkpoint.",
)
in_memory_option = click.option(
    "--in-memory/--from-disk",
    default=None,
    help="For image files: read all of them before the training, or each one when it is used.  "
    "[default: in memory, unless they would take more than half of the available memory]",
)
dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Print what would be done, and the expected time, memory and space on the disk. Train and write nothing.",
)
quiet_option = click.option("--quiet", is_flag=True, help="Print only errors and warnings.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class PlacementOptions(NamedTuple):
    """The options of `placement_options`, as they were given."""

    hosts: str | None
    port: int | None
    remote_shell: str
    restarts: int

    @property
    def is_given(self) -> bool:
        """Whether one of them was given."""
        return self != PlacementOptions(None, None, REMOTE_SHELL, RESTARTS)

    def of(self, workers: int) -> Placement:
        """Return the placement of a number of workers. Raises ClassicsError."""
        return Placement(read_hosts(self.hosts, workers), self.port, self.remote_shell, self.restarts)


def placement_options(command):
    """Add the options of several workers to a command, which gets them as one argument, `placement`."""

    @click.option(
        "--hosts",
        type=UserPath(),
        help="File with one host per line, this machine first, each optionally followed by its maximum number of "
        "workers.  [default: all workers on this machine]",
    )
    @click.option(
        "--port",
        type=click.IntRange(1024, 65535),
        help="Port of the scheduler, which connects the workers.  [default: any]",
    )
    @click.option(
        "--remote-shell",
        default=REMOTE_SHELL,
        show_default=True,
        metavar="COMMAND",
        help="Command that runs another command on a host. {host} stands for the host's name.",
    )
    @click.option(
        "--restarts",
        type=Count(0),
        default=RESTARTS,
        show_default=True,
        help="Maximum number of restarts in a row without a new checkpoint, if a process is killed.",
    )
    @functools.wraps(command)
    def with_placement(hosts, port, remote_shell, restarts, **others):
        return command(placement=PlacementOptions(hosts, port, remote_shell, restarts), **others)

    return with_placement


def shape_option(default="the network's own"):
    """Return the option --input, with the words of its help for the default."""
    words = f"Input size as channels x height x width, such as 1x224x224.  [default: {default}]"
    return click.option("--input", "input_shape", callback=image_shape, help=words)


def setting(field, *flags, help="", shown=None, **options):
    """Return an option for a field of `Settings`. If it is not given, it is None, and the network's default is used."""
    default = getattr(Settings, field) if shown is None else shown
    flags = flags or ("--" + field.replace("_", "-"),)
    if "_" in field:
        _NAMES[field] = flags[0]
    return click.option(*flags, field, help=f"{help}  [default: {default}]", **options)


def with_options(text: str) -> str:
    """Return an error about settings with the options in it instead of Python's names, such as `image_size`.

    Names without an underscore are words. Text that a user wrote is in quotes or in paths, and stays as it is.
    """
    return re.sub(r"(?<![\w'\"/.-])\w+(?![\w'\"/.-])", lambda word: _NAMES.get(word[0], word[0]), text)


def show_plan(plan, as_json: bool) -> None:
    """Print a plan of `runs.plan` as a table or as JSON."""
    if as_json:
        _console.echo_json(plan.as_dict())
    else:
        _console.table(["plan", ""], plan.rows())
