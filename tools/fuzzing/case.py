"""A fuzz case, what came of it, and the verdict on that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import re
import traceback
from typing import Any, Callable

from gluon_classics.errors import ClassicsError

ERROR, ACCEPTED = "clean error", "accepted"
TRACEBACK, SILENT, REFUSED = "traceback", "silent", "refused"
CRASH, HANG, LEFT, MEMORY = "crash", "hang", "half-written", "memory"
# the verdicts, each with what it means
VERDICTS = {
    ERROR: "one clear line, and no more",
    ACCEPTED: "and what was accepted equals what an independent computation says",
    TRACEBACK: "a traceback, a raw error of a library, more than one line, or raw control characters on the terminal",
    SILENT: "accepted although it is wrong, or another result than the independent computation's",
    REFUSED: "refused although it is right",
    CRASH: "the process ended with a signal",
    HANG: "no answer within the time limit",
    LEFT: "a temporary file was left, or a file of the user was changed",
    MEMORY: "more memory than the limit",
}
FAILURES = tuple(VERDICTS)[2:]

MEMORY_LIMIT = 600 << 20  # bytes; the largest correct cases take about 100 MB
SIGNALLED = (128 + 6, 128 + 11, 255)  # aborted, segmentation fault; MXNet ends itself with 255
_OUR_FOLDERS = ("gluon_classics", "utils")
# what libraries print themselves: OpenCV, libpng, libjpeg, libtiff, MXNet, and Python's warnings
_FOREIGN = re.compile(
    r"^\[ ?(WARN|ERROR|INFO)|^libpng|^Corrupt JPEG|^Premature end|^TIFF|^\[\d\d:\d\d:\d\d\] |^\w*Warning: |"
    r":\d+: \w*Warning: |^OpenCV|^Traceback |^Exception ignored|^imread_|^terminate called|^OMP: |"
    r"^libgomp(?!: Invalid value for environment variable)"  # which it then ignores
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LONGEST = 700  # characters of an error; longer ones quote their input in full


@dataclass(frozen=True)
class Place:
    """Where a case happens.

    Attributes:
        folder: New, empty folder of the case.
        world: Folder of the shared files, see `world.py`; no case changes it.
    """

    folder: Path
    world: Path


@dataclass(frozen=True)
class Answer:
    """What came of a case.

    Attributes:
        value: What a function returned, or what a command printed.
        error: What a function raised, or a command let escape.
        status: Exit status of a command; None for a function.
        said: What was written to standard error.
    """

    value: Any = None
    error: BaseException | None = None
    status: int | None = None
    said: str = ""


@dataclass(frozen=True)
class Case:
    """An input and what is right about it.

    Attributes:
        what: The input in a few words.
        act: What to do with it: `Call` or `Command`.
        wrong: True if it must be refused, False if it must be accepted, None if both are right.
        check: Function that compares an accepted answer with an independent computation, and returns what is wrong with
            it, or None.
        kept: Files that must not change.
        memory: Bytes that it may add to the memory of the process.
        types: Types of errors that are clean for a function, besides ClassicsError and ValueError.
    """

    what: str
    act: Any
    wrong: bool | None = None
    check: Callable[[Answer], str | None] = lambda answer: None
    kept: tuple[Path, ...] = ()
    memory: int = MEMORY_LIMIT
    types: tuple[type, ...] = ()


@dataclass(frozen=True)
class Call:
    """A call of a function of the package without arguments."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Command:
    """A run of `gluon-classics` in this process."""

    arguments: tuple[str, ...]

    @classmethod
    def of(cls, *arguments) -> Command:
        return cls(tuple(map(str, arguments)))


@dataclass(frozen=True)
class Process:
    """A run of programs in their own processes, for what this process cannot have: other variables or descriptors."""

    run: Callable[[], Answer]


def verdict(case: Case, answer: Answer) -> tuple[str, str]:
    """Return the verdict on an answer, except for hang, half-written and memory, and its reason."""
    if answer.status is not None and (answer.status < 0 or answer.status in SIGNALLED):
        return CRASH, f"the process ended with status {answer.status}: {answer.said[-200:]!r}"
    unclear = _unclear(case, answer)
    if unclear:
        return TRACEBACK, unclear
    if answer.error is not None or answer.status:
        if case.wrong is False:
            return REFUSED, error_line(answer)
        return ERROR, error_line(answer)
    if case.wrong:
        return SILENT, f"accepted: {case.what}"
    wrong = case.check(answer)
    return (SILENT, wrong) if wrong else (ACCEPTED, "")


def _unclear(case, answer):
    """Return what is unclear about an answer, or None."""
    error = answer.error
    if error is not None and (answer.status is not None or not _is_ours(error, case.types)):
        return raw_error(error)
    foreign = [line for line in answer.said.splitlines() if _FOREIGN.search(line)]
    if foreign:
        return f"a library wrote: {foreign[0][:160]}"
    text = answer.said + (answer.value if isinstance(answer.value, str) else "")
    control = _CONTROL.search(text)
    if control:
        return f"a raw {control[0]!r} reached the terminal"
    if error is not None:  # a name in it may have control characters: only what is printed must not
        return _unclear_line(_CONTROL.sub("?", str(error)))
    if answer.status:
        # after an error of usage, click lists the choices in lines of their own
        said = "\n".join(line for line in answer.said.rstrip().splitlines() if not line.startswith("\t"))
        lines = [line for line in said.splitlines() if line.startswith("Error: ")]
        if len(lines) != 1 or not said.endswith(lines[0]):
            return f"status {answer.status}, but not one line that starts with Error: {answer.said[-160:]!r}"
        if answer.status not in (1, 2):
            return f"status {answer.status}"
        line = lines[0]
        for argument in case.act.arguments if isinstance(case.act, Command) else ():
            line = line.replace(argument, "...") if len(argument) > 100 else line  # the user's own words
        return _unclear_line(line)
    return None


def _unclear_line(text):
    if not text.strip() or "\n" in text.strip():
        return f"the error is not one line: {text[:160]!r}"
    if len(text) > _LONGEST:
        return f"the error has {len(text)} characters: {text[:100]!r}"
    control = _CONTROL.search(text)
    return f"the error has a raw {control[0]!r}" if control else None


def _is_ours(error, types):
    """Return whether our code raised the error for the user to read."""
    if isinstance(error, ClassicsError):
        return True
    if isinstance(error, types) and str(error).startswith("expected str, bytes or os.PathLike object, not "):
        return True  # Python's own words for a path, which name both types
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return isinstance(error, (ValueError, *types)) and any(f"/{folder}/" in last for folder in _OUR_FOLDERS)


def raw_error(error: BaseException) -> str:
    """Return an error's type, its text, and the innermost line of the package that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if any(f"/{folder}/" in frame.filename for folder in _OUR_FOLDERS)]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "?"
    text = (str(error).strip().splitlines() or [""])[-1]
    return f"{type(error).__name__} in {place}: {text[:160]}"


def error_line(answer: Answer) -> str:
    """Return the line of a clean error."""
    return str(answer.error) if answer.error is not None else (answer.said.strip().splitlines() or [""])[-1]
