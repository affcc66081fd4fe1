"""The errors that are for people: one line that says what was wrong and what to do."""


class ClassicsError(Exception):
    """Something the user can put right. The command prints its message and exits with status 1."""


class DataError(ClassicsError, ValueError):
    """A data set is missing, empty, corrupt or of another kind than asked for."""


class InputSizeError(ClassicsError):
    """Images are too small for a network."""


class RunError(ClassicsError):
    """A run folder or a parameter file cannot be written, read or used."""


class TrainingDiverged(ClassicsError):
    """The training loss or the parameters became infinite or not a number."""
