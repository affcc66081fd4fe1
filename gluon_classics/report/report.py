"""`gluon-classics report`: one page about one run or several, which needs nothing but itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from gluon_classics import _console
from gluon_classics._files import atomic_path
from gluon_classics.errors import ClassicsError, RunError, require_extra
from gluon_classics.experiment.build import load_data
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.reproduction.verdict import judge
from gluon_classics.runs.predictor import from_run
from gluon_classics.runs.record import Run, read_run

from .page import Section, render
from .predictions import find
from .tensorboard import check_free, write_events


def write_report(folders, output, ctx: str = "auto", tensorboard=None) -> None:
    """Write the page about the runs in `folders` to the file `output`, atomically.

    The networks predict all their test images for it. `tensorboard` is a folder for the same metrics as event files.
    Raises RunError for a folder that cannot be reported on, DataError if its data cannot be had, ClassicsError
    without the extras that are needed or where something cannot be written.
    """
    with require_extra("plot", "a report"):
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    runs = _labelled([read_run(folder) for folder in folders])
    for run in runs.values():
        if not run.record["epochs"]:
            raise RunError(f"{run.path} has not finished an epoch: there is nothing to report yet")
    if tensorboard:
        check_free(runs, tensorboard)
    if Path(output).is_dir():
        raise ClassicsError(f"{output} is a folder: name a file with -o")
    if Path(output).suffix.lower() not in (".html", ".htm"):
        raise ClassicsError(f"{output} is no name for a page: name a file that ends in .html with -o")
    try:
        with atomic_path(output) as temporary:  # first of all, so that a page that cannot be written costs no time
            sections = [_section(number, label, run, ctx) for number, (label, run) in enumerate(runs.items())]
            Path(temporary).write_text(render(sections), encoding="utf-8")
            if tensorboard:
                write_events(runs, tensorboard)
    except OSError as error:
        raise ClassicsError(f"cannot write {output} ({error.strerror}): choose another file with -o") from error


def _labelled(runs) -> dict[str, Run]:
    """The runs by as much of the ends of their paths as tells them apart; a run given twice counts once."""
    runs = list({run.path.resolve(): run for run in runs}.values())
    length = 0
    labels: set = set()
    while len(labels) < len(runs):
        length += 1
        ends = ["/".join(run.path.resolve().parts[-length:]).lstrip("/") for run in runs]
        labels = set(ends)
    return dict(zip(ends, runs))


def _section(number, label, run, ctx):
    network = from_run(run.path, ctx)
    data = load_data(run.settings)
    if data.record()["sha256"] != run.record["data"]["sha256"]:
        raise RunError(f"{run.path} was trained on other images than {data.origin} holds now: bring its data back")
    _console.say(f"{run.path}: predicting {len(data.test):,} test images")
    findings = find(network.net, data.test, network.test_probabilities(data))
    record = {**run.record, "settings": asdict(run.settings)}  # with those that its version did not have yet
    verdict = judge(get_recipe(record["recipe"]), [record]) if record["recipe"] else None
    return Section(number, label, str(run.path), record, run.points(), findings, verdict)
