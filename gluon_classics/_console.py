"""Output for users: tables and results on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text


class _Forgiving:
    """A stream for messages. What cannot be written is dropped: the reader is gone, or the disk of the log is full."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self):
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name):
        return getattr(self._stream, name)


class _Messages(Console):
    """Standard error. Work that takes hours does not end because nobody can read about it any more."""

    @property  # type: ignore[misc]  # nobody sets it
    def file(self):
        return _Forgiving(super().file)


err = _Messages(stderr=True, highlight=False)
PIPE_WIDTH = 200  # columns of a table if standard output is not a terminal


def be_quiet() -> None:
    """Print only results, warnings and errors from now on."""
    err.quiet = True


def say(line: str) -> None:
    """Print one line about the progress of the work, unless quiet."""
    err.print(line, markup=False, soft_wrap=True)


def warn(line: str) -> None:
    """Print one line as a warning, even when quiet."""
    quiet, err.quiet = err.quiet, False
    err.print(line, markup=False, soft_wrap=True, style="bold yellow")
    err.quiet = quiet


def table(titles, rows, total=None) -> None:
    """Print a table on standard output.

    The first column holds names that users copy, so it is only wrapped if it is wider than half of the table.

    Args:
        titles: The titles of the columns. A title that ends in ":" aligns its column to the right.
        rows: The rows, each with one cell per column.
        total: The cells of a last row of totals.
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
    """Show a progress bar for a download, or one plain line if standard error is not a terminal.

    Args:
        name: The file, as shown to the user.
        size: The size of the file in bytes.

    Yields:
        A function that takes the number of bytes received so far.
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
