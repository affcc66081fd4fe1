"""Talking to people: tables and results on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def be_quiet() -> None:
    """From now on only errors and the results that were asked for are printed."""
    err.quiet = True


def say(line: str) -> None:
    """One line about what goes on."""
    err.print(line, markup=False)


def warn(line: str) -> None:
    """One line that must not be missed; it is printed even when quiet."""
    quiet, err.quiet = err.quiet, False
    err.print(line, markup=False, style="bold yellow")
    err.quiet = quiet


@contextlib.contextmanager
def transfer_bar(name: str, size: int):
    """A progress bar for `size` bytes; yields a function that takes the bytes received so far.

    Without a terminal it is one plain line.
    """
    if not err.is_terminal:
        say(f"Downloading {name} ({size / 1e6:.1f} MB)")
        yield lambda received: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(f"Downloading {name}", total=size)
        yield lambda received: progress.update(task, completed=min(received, size))
