"""Write a self-contained page about runs: what `gluon-classics report` does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from gluon_classics import _console
from gluon_classics._files import atomic_path, write_errors
from gluon_classics.errors import ClassicsError, RunError, require_extra
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.reproduction.verdict import judge, require_statistics
from gluon_classics.runs.predictor import from_run
from gluon_classics.runs.record import Run, read_run
from gluon_classics.runs.run_data import data_of

from .page import Section, render
from .predictions import find
from .tensorboard import check_free, write_events


def write_report(folders, output, ctx: str = "auto", tensorboard=None, data: str | None = None) -> None:
    """Write the page about runs, whose networks predict all their test images for it. It replaces an old page at once.

    Args:
        folders: Run folders.
        output: Page to write, which ends in .html.
        ctx: Devices, as `parse_contexts` takes them.
        tensorboard: Folder for the same metrics as event files; None writes none.
        data: Name of a known data set, or a folder, if the data of the runs has moved.

    Raises:
        RunError: A run cannot be reported on.
        DataError: The data of a run was not found.
        ClassicsError: An extra is not installed, or a file cannot be written.
    """
    with require_extra("plot", "a report"):
        import jinja2  # noqa: F401

        if importlib.util.find_spec("matplotlib") is None:  # not imported: it may be installed and yet be of no use
            raise ImportError("No module named 'matplotlib'")
    runs = _labelled([read_run(folder) for folder in folders])
    for run in runs.values():
        if not run.record.epochs:
            raise RunError(f"{run.path} has not finished an epoch: there is nothing to report yet")
        if run.record.recipe:
            require_statistics(get_recipe(run.record.recipe))
    if tensorboard:
        check_free(runs, tensorboard)
    if Path(output).is_dir():
        raise ClassicsError(f"{output} is a folder: name a file with -o")
    if Path(output).suffix.lower() not in (".html", ".htm"):
        raise ClassicsError(f"{output} is not a name for a page: name a file that ends in .html with -o")
    # the file comes first, so that a page that cannot be written fails at once
    with write_errors(output, "choose another file with -o"), atomic_path(output) as temporary:
        sections = [_section(number, label, run, ctx, data) for number, (label, run) in enumerate(runs.items())]
        Path(temporary).write_text(render(sections), encoding="utf-8")
    if tensorboard:  # after the page, which is complete without it
        write_events(runs, tensorboard)


def _labelled(runs) -> dict[str, Run]:
    """The runs by the shortest ends of their paths that differ. A run that was given twice counts once."""
    runs = list({run.path.resolve(): run for run in runs}.values())
    length = 0
    labels: set = set()
    while len(labels) < len(runs):
        length += 1
        ends = ["/".join(run.path.resolve().parts[-length:]).lstrip("/") for run in runs]
        labels = set(ends)
    return dict(zip(ends, runs))


def _section(number, label, run, ctx, data):
    network = from_run(run.path, ctx)
    record = run.record
    images = data_of(run, data)
    _console.say(f"{run.path}: predicting {len(images.test):,} test images")
    findings = find(network.net, images.test, network.test_probabilities(images))
    verdict = judge(get_recipe(record.recipe), [record]) if record.recipe else None
    return Section(number, label, str(run.path), record, findings, verdict)
