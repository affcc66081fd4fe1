"""The record of a run, run.json: its fields, how it is written and how it is read."""

from dataclasses import asdict, dataclass, fields, replace
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from gluon_classics.data.record import DataRecord
from gluon_classics.errors import RunError
from gluon_classics.experiment.settings import REPORTED, Settings
from gluon_classics.utils.history import EpochRecord
import msgspec

FORMAT = 2
PARAMETERS, RECORD, POINTS, CURVES = "net.params", "run.json", "points.json", "curves.png"
STATUSES = ("running", "done", "interrupted", "diverged", "failed")


@dataclass(frozen=True)
class Processor:
    """A processor, in enough detail to explain differences in the last digits.

    Attributes:
        flags: CPU flags of the vector instructions.
        onednn_isa: Instruction set that oneDNN used; DNNL_MAX_CPU_ISA may limit it.
    """

    name: str
    family: Optional[int] = None
    model: Optional[int] = None
    stepping: Optional[int] = None
    flags: Tuple[str, ...] = ()
    onednn_isa: Optional[str] = None


@dataclass(frozen=True)
class Provenance:
    """What the last digits of a result may depend on besides its settings and data.

    Attributes:
        commit: Commit of the checkout; None without a checkout.
        dirty: Whether the package's files differed from the commit; None without a checkout.
        threads: OMP_NUM_THREADS; None if it was not set.
        devices: MXNet's names of the devices.
    """

    commit: Optional[str]
    dirty: Optional[bool]
    processor: Processor
    threads: Optional[str]
    devices: Tuple[str, ...]
    gluon_classics: Optional[str] = None
    python: Optional[str] = None
    mxnet: Optional[str] = None
    numpy: Optional[str] = None
    opencv: Optional[str] = None
    platform: Optional[str] = None

    def changes(self, now: "Provenance") -> Dict[str, List[Any]]:
        """Return what may change the last digits between this and `now`: [before, now] by name."""
        before, after = asdict(self), asdict(now)
        return {name: [before[name], after[name]] for name in _DECISIVE if before[name] != after[name]}


_DECISIVE = ("gluon_classics", "commit", "dirty", "mxnet", "numpy", "opencv", "processor", "threads")


@dataclass(frozen=True)
class Resumption:
    """When and where a run was resumed, and what of its provenance had changed: [before, now] by name."""

    at: str
    epoch: int
    batches: int
    changed: Dict[str, List[Any]]


@dataclass(frozen=True)
class RunRecord:
    """The settings, the data, the provenance and the results of a run.

    Attributes:
        recipe: Name of the recipe; None for a run without a recipe.
        settings: Settings of the run.
        data: Data set of the run.
        parameters: Number of trainable parameters.
        tested_images: Number of test images in each evaluation.
        provenance: What the last digits may depend on.
        started: UTC time in ISO 8601.
        status: One of `STATUSES`.
        seconds: Time since the start, without pauses.
        epochs: Metrics of the finished epochs.
        trained_images: Number of training images in each epoch; None in older records.
        resumed: When and where the run was resumed.
    """

    recipe: Optional[str]
    settings: Settings
    data: DataRecord
    parameters: int
    tested_images: int
    provenance: Provenance
    started: str
    status: str
    seconds: float
    epochs: Tuple[EpochRecord, ...]
    trained_images: Optional[int] = None
    resumed: Tuple[Resumption, ...] = ()

    def __post_init__(self):
        if [epoch.epoch for epoch in self.epochs] != list(range(len(self.epochs))):
            raise ValueError("the epochs are not numbered 0, 1, 2, ...")
        if self.status not in STATUSES:
            raise ValueError(f"unknown status {self.status!r}")

    @property
    def last(self) -> EpochRecord:
        """The last epoch."""
        return self.epochs[-1]

    @property
    def result(self) -> EpochRecord:
        """The last epoch; its test accuracy is the highest of all epochs if the settings report the best one."""
        if self.settings.reported == REPORTED[0]:
            return self.last
        return replace(self.last, test_accuracy=max(epoch.test_accuracy for epoch in self.epochs))

    def to_json(self) -> str:
        """Return the content of run.json. The points along an epoch are in a separate file."""
        content = {"format": FORMAT, **asdict(self)}
        for epoch in content["epochs"]:
            del epoch["curve"]
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunRecord":
        """Read the content of a run.json, of this or an older format. Raises ValueError for anything else."""
        try:
            content = msgspec.json.decode(text)
            if not isinstance(content, dict) or "format" not in content:
                raise ValueError("it has no format number")
            number = content.pop("format")
            if number == 1:
                content = _from_format_1(content)
            elif number != FORMAT:
                raise ValueError(f"it has format {number}, this version reads {FORMAT}: update the package")
            unknown = set(content["settings"]) - {field.name for field in fields(Settings)}
            if unknown:
                raise ValueError(f"unknown setting {min(unknown)!r}")
            return msgspec.convert(content, cls)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it is not the record of a run") from error


def _from_format_1(content):
    """Translate the content of format 1 to the current names."""
    environment = dict(content.pop("environment"))
    settings = dict(content["settings"])
    if settings.get("last_batch") == "damp":
        settings["last_batch"] = "scale"
    if settings.get("weights") == "notebook":
        settings["weights"] = "unseeded"
    recipe = content["recipe"] and content["recipe"].replace("-notebook", "-unseeded")
    return {
        **content,
        "recipe": recipe,
        "settings": settings,
        "provenance": {**environment, "processor": {"name": environment["processor"]}},
    }


@dataclass(frozen=True)
class Run:
    """A run as read from its folder."""

    path: Path
    record: RunRecord

    @property
    def parameters(self) -> Path:
        """The parameter file."""
        return self.path / PARAMETERS


def read_run(path) -> Run:
    """Read the run in a folder. Raises RunError if it is not a run folder or its record cannot be used."""
    path = Path(path)
    try:
        record = RunRecord.from_json((path / RECORD).read_text(encoding="utf-8"))
    except OSError as error:
        runs = sorted(path.glob(f"*/{RECORD}"))
        what = (
            f"name one of the runs in it, such as {runs[0].parent}"
            if runs
            else f"cannot read {path / RECORD} ({error.strerror})"
        )
        raise RunError(f"{path} is not a run folder: {what}") from error
    except ValueError as error:
        raise RunError(f"{path / RECORD} cannot be used ({error}): train again") from error
    curves = _curves(path / POINTS)
    epochs = [replace(epoch, curve=curve) for epoch, curve in zip(record.epochs, curves)]
    return Run(path, replace(record, epochs=(*epochs, *record.epochs[len(epochs) :])))


def _curves(path):
    """Return the points along each epoch. A missing or damaged file gives none: they are only drawn."""
    try:
        curves = msgspec.json.decode(path.read_text(encoding="utf-8"), type=List[Tuple[Tuple[int, float, float], ...]])
    except (OSError, ValueError, msgspec.MsgspecError):
        return []
    return [] if any(images < 1 for curve in curves for images, _, _ in curve) else curves
