"""Errors for users: one line that says what is wrong, then what to do."""

import contextlib

from ._format import visible


class ClassicsError(Exception):
    """An error that the user can fix. The command prints its message and exits with status 1.

    Control characters in names are shown as escapes, so that the message is one line and harmless for a terminal.
    """

    def __str__(self) -> str:
        return visible(super().__str__())


class DataError(ClassicsError, ValueError):
    """A data set is missing, empty, damaged or of the wrong kind."""


class SettingsError(ClassicsError, ValueError):
    """A setting is unknown, out of range, or cannot be combined with another."""


class InputError(ClassicsError, ValueError):
    """An array does not fit a network: its shape, type or device, or the network is not initialized."""


class InputSizeError(InputError):
    """Images are too small or too large for a network."""


class RunError(ClassicsError):
    """A run folder or a parameter file cannot be written, read or used."""


class TrainingDiverged(ClassicsError):
    """The training loss, the parameters or the outputs became infinite or not a number."""


class MemoryTooSmall(ClassicsError, MemoryError):
    """More memory was asked for than there is."""


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


@contextlib.contextmanager
def memory_explained(remedy: str = "use a smaller batch size, or smaller images"):
    """Turn an error about missing memory in the `with` block into a MemoryTooSmall that says what to do.

    Python's, NumPy's, MXNet's and OpenCV's errors count. NumPy's has the size that was asked for.

    Args:
        remedy: What to do.
    """
    try:
        yield
    except MemoryTooSmall:
        raise
    except Exception as error:
        text = library_reason(error) or "an array cannot be allocated"
        is_memory = isinstance(error, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS)
        if not is_memory or isinstance(error, ClassicsError):
            raise
        raise MemoryTooSmall(f"not enough memory ({text}): {remedy}") from error


def library_reason(error: BaseException) -> str:
    """Return the line of a library's error that says what is wrong, without its stack. MXNet 1.6 has it first."""
    first, *_, last = str(error).strip().splitlines() * 2 or ["", ""]
    return (first if "Stack trace:" in str(error) else last).rpartition("MXNetError: ")[2]


# MXNet's storage, its limit of 2^31 values, C++, OpenCV and CUDA
_MEMORY_SIGNS = (
    *("Failed to allocate", "Memory allocate failed", "AlignedMallocPitch failed", "larger than 2^31", "bad_alloc"),
    *("trying to allocate", "Insufficient memory", "out of memory"),
)
