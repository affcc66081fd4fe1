"""Talking to people: tables and results on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

err = Console(stderr=True, highlight=False)
PIPE_WIDTH = 200  # columns for tables where there is no terminal to fit


def be_quiet() -> None:
    """From now on only errors and the results that were asked for are printed."""
    err.quiet = True


def say(line: str) -> None:
    """One line about what goes on."""
    err.print(line, markup=False, soft_wrap=True)


def warn(line: str) -> None:
    """One line that must not be missed; it is printed even when quiet."""
    quiet, err.quiet = err.quiet, False
    err.print(line, markup=False, soft_wrap=True, style="bold yellow")
    err.quiet = quiet


def table(titles, rows, total=None) -> None:
    """Print rows of strings under their titles on standard output; a title ending in ":" aligns right.

    The first column, which names the row and may be there to be copied, is not broken within half of the width.
    """
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=PIPE_WIDTH)
    grid = Table(box=box.SIMPLE_HEAD, show_footer=total is not None)
    footers = total or [""] * len(titles)
    for title, footer in zip(titles, footers):
        grid.add_column(title.rstrip(":"), footer, justify="right" if title.endswith(":") else "left", overflow="fold")
    cells = [tuple(map(str, row)) for row in rows]
    names = [titles[0].rstrip(":"), footers[0], *(row[0] for row in cells)]
    grid.columns[0].width = min(max(map(len, names)), out.width // 2)
    for row in cells:
        grid.add_row(*map(Text, row))
    out.print(grid)


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
