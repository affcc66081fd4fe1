"""Find the data of a run again: where the run found it, or where it is now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gluon_classics.data.catalogue import KNOWN
from gluon_classics.data.datasets import DataSet, embedded_sample
from gluon_classics.errors import DataError, RunError
from gluon_classics.experiment.build import limited, load_data

from .record import Run


def absolute_data(data: str) -> str:
    """Return the name of a known data set as it is, and a folder's path as an absolute one."""
    return data if data in KNOWN else str(Path(data).expanduser().resolve())


def data_of(run: Run, data: str | None = None) -> DataSet:
    """Load the data that a run was trained on, limited to its subset.

    A run that was trained on the embedded sample finds it again, also after the full data set was installed.

    Args:
        run: The run.
        data: Name of a known data set, or a folder, if the data has moved; None is where the run found it.

    Raises:
        RunError: The images or labels are not those of the run.
        DataError: The data was not found, or cannot be used.
    """
    settings, record = run.record.settings, run.record.data
    if data is not None:
        found = load_data(replace(settings, data=absolute_data(data)))
    elif record.is_sample:
        found = limited(embedded_sample(), settings)
    else:
        try:
            found = load_data(settings)
        except DataError as error:
            what = f"the data of {run.path} cannot be loaded: {error}"
            raise DataError(f"{what}; if it has moved, name the folder with --data") from error
    if not is_data_of(run, found):
        what = f"{run.path} was trained on other images than those in {found.origin}"
        raise RunError(f"{what}: restore its data, or name the folder with --data")
    return named_as_in(run, found)


def is_data_of(run: Run, data: DataSet) -> bool:
    """Return whether a run was trained on these images and labels, or on its subset of them, by their checksum."""
    subset = run.record.settings.subset
    data = replace(data, train=data.train.subset(subset)) if subset else data
    return data.record().sha256 == run.record.data.sha256


def named_as_in(run: Run, data: DataSet) -> DataSet:
    """Return the data of a run with the names in its record: those of IDX files follow from the name of the folder."""
    return replace(data, name=run.record.data.name, classes=run.record.data.classes)
