"""Find the data of a run again: where the run found it, or where it is now."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from gluon_classics._files import user_path
from gluon_classics.data.catalogue import KNOWN
from gluon_classics.data.datasets import DataSet, embedded_sample
from gluon_classics.errors import DataError, RunError
from gluon_classics.experiment.build import limited, load_data

from .record import Run


def absolute_data(data: str) -> str:
    """Return the name of a known data set as it is, and a folder's path as an absolute one."""
    return data if data in KNOWN else str(Path(user_path(data)).resolve())


def data_of(run: Run, data: str | None = None, in_memory: bool | None = None) -> DataSet:
    """Load the data that a run was trained on, limited to its subset.

    A run that was trained on the embedded sample finds it again, also after the full data set was installed.

    Args:
        run: The run.
        data: Name of a known data set, or a folder, if the data has moved; None is where the run found it.
        in_memory: Whether all images are read now; see `load_dataset`.

    Raises:
        RunError: The images or labels are not those of the run.
        DataError: The data was not found, or cannot be used.
    """
    settings, record = run.record.settings, run.record.data
    if data is not None:
        found = load_data(replace(settings, data=absolute_data(data)), in_memory)
    elif record.is_sample:
        found = limited(embedded_sample(), settings)
    else:
        try:
            found = load_data(settings, in_memory)
        except DataError as error:
            what = f"the data of {run.path} cannot be loaded: {error}"
            raise DataError(f"{what}; if it has moved, name the folder with --data") from error
    if not is_data_of(run, found):
        what = f"{run.path} was trained on other images than those in {found.origin}"
        raise RunError(f"{what}: restore its data, or name the folder with --data")
    return named_as_in(run, found)


def load_other(run: Run, data: str) -> DataSet:
    """Load other data for a network of a run, read as the run's data was.

    If the run's test images are a share of its data, so are those of the other data, unless it has test images.
    """
    settings = replace(run.record.settings, data=absolute_data(data), subset=None)
    if settings.test_share is not None:
        with contextlib.suppress(DataError):
            return load_data(settings)
    return load_data(replace(settings, test_share=None))


def is_data_of(run: Run, data: DataSet) -> bool:
    """Return whether a run was trained on these images and labels, or on its subset of them, by their checksum."""
    subset = run.record.settings.subset
    data = replace(data, train=data.train.subset(subset)) if subset else data
    return named_as_in(run, data).record().is_same_data(run.record.data)


def named_as_in(run: Run, data: DataSet) -> DataSet:
    """Return the data of a run with the names in its record: those of IDX files follow from the name of the folder."""
    return replace(data, name=run.record.data.name, classes=run.record.data.classes)
