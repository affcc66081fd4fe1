"""The command `gluon-classics`. Each subcommand imports what it needs when it runs, so that --help is fast."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys

import click
import gluon_classics
from gluon_classics import _console, _runtime
from gluon_classics._signals import KILLED_BY
from gluon_classics.errors import (
    ClassicsError,
    Interrupted,
    MemoryTooSmall,
    SettingsError,
    library_reason,
    memory_explained,
)

from . import data, export, networks, porting, recipes, training
from .options import json_option, with_options

LIBRARIES = {"mxnet": "MXNet", "cv2": "OpenCV"}
NO_ARGUMENTS = getattr(click.exceptions, "NoArgsIsHelpError", ())  # its message is the help; new in click 8.2
NO_HOME = "/nonexistent"  # as Debian names it
LONGEST = 600  # characters of an error; a number or a path in it can have any length


class _Commands(click.Group):
    """A group that reports an error in one line and exits with status 1, or 2 if the command was misused."""

    def main(self, *args, **options):
        _console.prepare_streams()
        if os.path.expanduser("~") == "~":  # Python's and Matplotlib's functions fail without a home folder
            os.environ["HOME"] = NO_HOME
        return super().main(*args, **options)

    def parse_args(self, ctx, args):
        with errors_in_one_line(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx):
        with errors_in_one_line(ctx):
            return super().invoke(ctx)


@contextlib.contextmanager
def errors_in_one_line(ctx):
    """Inside the context, an error that the user can fix becomes one of click, with one line."""
    try:
        with _runtime.missing_modules_explained(), memory_explained():
            yield
    except (ClassicsError, ImportError) as error:
        if isinstance(error, MemoryTooSmall) and _library(error.__cause__) == "MXNet":
            atexit.register(_leave)
        text = with_options(str(error)) if isinstance(error, SettingsError) else error
        raise click.ClickException(_shown(text)) from error
    except NO_ARGUMENTS:
        raise
    except click.UsageError as error:
        message = error.format_message()
        shown = "\n\t".join(map(_shown, message.split("\n\t")))  # click lists choices on lines
        if shown != message:
            raise click.UsageError(shown, error.ctx) from error
        raise
    except BrokenPipeError:
        raise
    except Interrupted as interrupted:  # the run has said how to resume
        ctx.exit(interrupted.status)
    except KeyboardInterrupt:  # outside of training
        click.echo("\nInterrupted.", err=True)
        ctx.exit(KILLED_BY + signal.SIGINT)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise click.ClickException(_shown(f"{error.strerror or error}{place}")) from error
    except UnicodeEncodeError as error:
        what = f"{error.object!r} cannot be written as {error.encoding}: rename it, or use LC_ALL=C.UTF-8"
        raise click.ClickException(_shown(what)) from error
    except Exception as error:
        if _library(error) is None:
            raise
        raise click.ClickException(_shown(f"{_library(error)}: {library_reason(error)}")) from error


def _library(error):
    """Return the name of the library whose error this is, or None. It may not be loaded."""
    return LIBRARIES.get(type(error).__module__.partition(".")[0])


def _leave():
    """End the process now. MXNet's engine can abort when it shuts down after it could not allocate memory."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(1)


def _shown(message):
    text = _console.visible(str(message))
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(gluon_classics.__version__, prog_name="gluon-classics")
def main():
    """Train classic convolutional networks and reproduce published results."""


@main.command()
@json_option
def doctor(as_json):
    """Check this installation and show how to fix problems."""
    from gluon_classics.diagnostics.doctor import examine

    checks = examine()
    if as_json:
        _console.echo_json([vars(check) for check in checks])
    else:
        for check in checks:
            _console.echo(f"{'ok   ' if check.ok else 'WRONG'} {check.name}: {check.found}{_hint(check)}")
    if not all(check.ok for check in checks):
        sys.exit(1)


def _hint(check):
    if not check.fix:
        return ""
    return f" ({check.fix})" if check.ok else f" -> {check.fix}"


for _module in (networks, training, data, recipes, porting, export):
    for _command in _module.COMMANDS:
        main.add_command(_command)
