"""Errors for users: one line that says what is wrong, then what to do."""

import contextlib


class ClassicsError(Exception):
    """An error that the user can fix. The command prints its message and exits with status 1."""


class DataError(ClassicsError, ValueError):
    """A data set is missing, empty, damaged or of the wrong kind."""


class SettingsError(ClassicsError, ValueError):
    """A setting is unknown, out of range, or cannot be combined with another."""


class InputError(ClassicsError, ValueError):
    """An array does not fit a network: its shape, type or device, or the network is not initialized."""


class InputSizeError(InputError):
    """Images are too small for a network."""


class RunError(ClassicsError):
    """A run folder or a parameter file cannot be written, read or used."""


class TrainingDiverged(ClassicsError):
    """The training loss, the parameters or the outputs became infinite or not a number."""


class Interrupted(Exception):
    """A signal stopped a run, which can be resumed. `status` is the exit status that a shell expects."""

    def __init__(self, status: int) -> None:
        super().__init__(f"stopped by signal {status - 128}")
        self.status = status


@contextlib.contextmanager
def require_extra(name: str, what: str):
    """Turn an ImportError in the `with` block into a ClassicsError that names the extra to install.

    Args:
        name: The extra of this package that installs the module.
        what: The feature that needs it, as the subject of the message.

    Raises:
        ClassicsError: A module could not be imported.
    """
    try:
        yield
    except ImportError as error:
        raise ClassicsError(f"{what} needs the extra {name}: pip install 'gluon-classics[{name}]' ({error})") from error
