"""Output for users: tables and results on standard output, everything else on standard error.

Names of classes and files can hold any character. All of this output writes control characters as escapes (`visible`),
since a terminal obeys them: they can hide text, move the cursor or change the title of the window.
"""

from __future__ import annotations

import atexit
import contextlib
import csv
import os
import sys
import textwrap
import threading
import warnings

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from ._format import to_json, visible

for _name in ("COLUMNS", "LINES"):  # rich fails on some values, such as 0 or superscript digits
    _size = os.environ.get(_name, "1")
    if not (_size.isascii() and _size.isdigit() and len(_size) < 5 and int(_size)):
        del os.environ[_name]


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


def prepare_streams() -> None:
    """Prepare standard output and error for a command.

    They write a character that their encoding lacks as an escape, instead of failing. What OpenCV logs and what Pillow
    warns about is not shown: it does not name the file, and our messages do. Standard error gets another descriptor, so
    that `quiet_libraries` hides nothing of ours.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    warnings.filterwarnings("ignore", module=r"PIL\b")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    _libraries.separate()
    atexit.unregister(_drop_messages)
    atexit.register(_drop_messages)


def _drop_messages():
    """Drop messages that nobody can read: Python would end with status 120, although the work is done."""
    try:
        sys.stderr.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


class _Libraries:
    """Standard error of C libraries. Our own is `sys.stderr`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._quiet = 0  # threads that want it
        self._is_separate = False

    def separate(self) -> None:
        if self._is_separate:
            return
        try:
            ours = sys.stderr.fileno()
        except (AttributeError, OSError):  # not a file, as in tests
            return
        if ours == STDERR:
            copy, encoding = os.dup(STDERR), sys.stderr.encoding
            sys.stderr = os.fdopen(copy, "w", buffering=1, encoding=encoding, errors="backslashreplace")
            self._is_separate = True

    @contextlib.contextmanager
    def quiet(self):
        if not self._is_separate:
            yield
            return
        with self._lock:
            if not self._quiet:
                self._kept = os.dup(STDERR)
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, STDERR)
                os.close(nowhere)
            self._quiet += 1
        try:
            yield
        finally:
            with self._lock:
                self._quiet -= 1
                if not self._quiet:
                    os.dup2(self._kept, STDERR)
                    os.close(self._kept)


STDERR = 2  # the descriptor that C libraries write to
_libraries = _Libraries()
quiet_libraries = _libraries.quiet  # context in which they do not, if a command runs; for any number of threads


def echo(line: str) -> None:
    """Print one line of a result on standard output."""
    print(visible(line))


def echo_json(value) -> None:
    """Print JSON on standard output. Numbers that JSON lacks, such as NaN, become null."""
    print(to_json(value))


def echo_json_list(values) -> None:
    """Print a list as JSON on standard output, each value when the next one is there."""
    texts = (textwrap.indent(to_json(value), "  ") for value in values)
    previous = next(texts, None)
    if previous is None:
        print("[]")
        return
    print("[")
    for text in texts:
        print(f"{previous},", flush=True)
        previous = text
    print(f"{previous}\n]")


def echo_csv(titles, rows) -> None:
    """Print rows as CSV on standard output. Line breaks and tabs in cells are kept, in quotes if needed."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(titles)
    for row in rows:
        writer.writerow([visible(str(cell), kept="\n\t") for cell in row])


def be_quiet() -> None:
    """Print only results, warnings and errors from now on."""
    err.quiet = True


def say(line: str) -> None:
    """Print one line about the progress of the work, unless quiet."""
    err.print(Text(visible(line)), soft_wrap=True)


def warn(line: str) -> None:
    """Print one line as a warning, even when quiet."""
    quiet, err.quiet = err.quiet, False
    err.print(Text(visible(line)), soft_wrap=True, style="bold yellow")
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

    def cell(value):
        return Text(visible(str(value)).encode(out.encoding, "backslashreplace").decode(out.encoding))

    grid = Table(box=box.SIMPLE_HEAD, show_footer=total is not None)
    footers = list(map(cell, total or [""] * len(titles)))
    for title, footer in zip(titles, footers):
        grid.add_column(
            cell(title.rstrip(":")), footer, justify="right" if title.endswith(":") else "left", overflow="fold"
        )
    cells = [tuple(map(cell, row)) for row in rows]
    names = [cell(titles[0].rstrip(":")), footers[0], *(row[0] for row in cells)]
    grid.columns[0].width = min(max(name.cell_len for name in names), out.width // 2)
    for row in cells:
        grid.add_row(*row)
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
