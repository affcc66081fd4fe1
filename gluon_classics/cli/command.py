"""The command `gluon-classics`. Each subcommand imports what it needs when it runs, so that --help is fast."""

from __future__ import annotations

import signal
import sys

import click
import gluon_classics
from gluon_classics import _runtime
from gluon_classics._format import to_json
from gluon_classics.errors import ClassicsError, Interrupted
from gluon_classics.runs.interrupts import KILLED_BY

from . import export, networks, porting, recipes, training
from .options import json_option


class _Commands(click.Group):
    """A group that reports an error in one line and exits with status 1."""

    def invoke(self, ctx):
        try:
            with _runtime.missing_modules_explained():
                return super().invoke(ctx)
        except (ClassicsError, ImportError) as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            raise
        except Interrupted as interrupted:  # the run has said how to resume
            ctx.exit(interrupted.status)
        except KeyboardInterrupt:  # outside of training
            click.echo("\nInterrupted.", err=True)
            ctx.exit(KILLED_BY + signal.SIGINT)
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            raise click.ClickException(f"{error.strerror or error}{place}") from error
        except RuntimeError as error:
            if type(error).__name__ != "MXNetError":  # compare the name: MXNet may not be loaded
                raise
            raise click.ClickException(f"MXNet: {str(error).strip().splitlines()[-1]}") from error


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
        click.echo(to_json([vars(check) for check in checks]))
    else:
        for check in checks:
            click.echo(f"{'ok   ' if check.ok else 'WRONG'} {check.name}: {check.found}{_hint(check)}")
    if not all(check.ok for check in checks):
        sys.exit(1)


def _hint(check):
    if not check.fix:
        return ""
    return f" ({check.fix})" if check.ok else f" -> {check.fix}"


for _command in (*networks.COMMANDS, *training.COMMANDS, *recipes.COMMANDS, *porting.COMMANDS, *export.COMMANDS):
    main.add_command(_command)
