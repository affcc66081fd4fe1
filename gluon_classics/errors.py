"""The errors that are for people: one line that says what was wrong and what to do."""

import contextlib


class ClassicsError(Exception):
    """Something the user can put right. The command prints its message and exits with status 1."""


class DataError(ClassicsError, ValueError):
    """A data set is missing, empty, corrupt or of another kind than asked for."""


class SettingsError(ClassicsError, ValueError):
    """A setting is unknown, out of range, or impossible together with another."""


class InputSizeError(ClassicsError):
    """Images are too small for a network."""


class RunError(ClassicsError):
    """A run folder or a parameter file cannot be written, read or used."""


class TrainingDiverged(ClassicsError):
    """The training loss or the parameters became infinite or not a number."""


@contextlib.contextmanager
def require_extra(name: str, what: str):
    """Within, a module that cannot be imported becomes a ClassicsError: `what` needs the extra of this name."""
    try:
        yield
    except ImportError as error:
        raise ClassicsError(f"{what} needs the extra {name}: pip install 'gluon-classics[{name}]' ({error})") from error
