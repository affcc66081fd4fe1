"""The record of a run, run.json: its fields, how it is written and how it is read."""

from dataclasses import asdict, dataclass, fields, replace
import json
import math
from pathlib import Path
import re
import time
from typing import Any, Dict, Iterable, List, Optional, Tuple

from gluon_classics import _console
from gluon_classics._files import read_text, sha256_of
from gluon_classics._format import first_line, is_utf8
from gluon_classics.data.record import DataRecord
from gluon_classics.errors import RunError
from gluon_classics.experiment.settings import REPORTED, Settings
from gluon_classics.utils.history import EpochRecord, best_epoch, has_stopped
import msgspec

FORMAT = 3
PARAMETERS, RECORD, POINTS, CURVES = "net.params", "run.json", "points.json", "curves.png"
TIME = "%Y-%m-%dT%H:%M:%SZ"  # of `started`
LARGEST_LOSS = 3.4028234663852886e38  # of float32, in which losses are computed
OPTIONAL_ACCURACIES = ("validation_accuracy", "test_top_5_accuracy")  # of epochs
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
        devices: MXNet's names of the devices of the first worker.
        workers: Number of processes that trained together.
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
    workers: int = 1

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

    def __post_init__(self):
        if self.epoch < 0 or self.batches < 0:
            raise ValueError(f"it was resumed in epoch {self.epoch}, after {self.batches} batches")


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
        parameters_sha256: SHA-256 of net.params. There are two while the file is replaced, and none in older records
            and before the first epoch.
        parameters_epoch: Number of the epoch whose parameters net.params has, counted from 0; None in older records,
            before the first epoch, and within an epoch.
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
    parameters_sha256: Tuple[str, ...] = ()
    parameters_epoch: Optional[int] = None

    def __post_init__(self):
        check_epochs(self.epochs)
        check_validation(self.epochs, self.settings)
        if self.status not in STATUSES:
            raise ValueError(f"unknown status {self.status!r}")
        counts = {
            "parameters": (self.parameters, 0),
            "tested_images": (self.tested_images, 1),
            "trained_images": (self.trained_images, 1),
            "data.train_images": (self.data.train_images, 1),
            "data.test_images": (self.data.test_images, 0),
            "seconds": (self.seconds, 0),
            "parameters_epoch": (self.parameters_epoch, 0),
            "provenance.workers": (self.provenance.workers, 1),
        }
        for name, (count, lowest) in counts.items():
            if count is not None and not lowest <= count < math.inf:
                raise ValueError(f"{name} is {count}: it must be {lowest} or more")
        if not all(1 <= size < 2**31 for size in self.data.image_shape):
            raise ValueError(f"data.image_shape is {self.data.image_shape}: each size must be 1 or more")
        if not self.data.classes:
            raise ValueError("data.classes is empty: it must name the classes")
        for text in (self.data.name, self.data.origin or "", *self.data.classes):
            if not is_utf8(text):
                raise ValueError(f"{text!r} of the data is not UTF-8: rename it")
        if not self.provenance.devices or not all(map(_DEVICE.fullmatch, self.provenance.devices)):
            raise ValueError(f"provenance.devices is {self.provenance.devices}: it must name devices, such as cpu(0)")
        try:
            time.strptime(self.started, TIME)
        except ValueError:
            raise ValueError(f"started is {self.started!r}: it must be a time as in 2018-03-06T12:00:00Z") from None

    @property
    def last(self) -> EpochRecord:
        """The last epoch."""
        return self.epochs[-1]

    @property
    def accuracies(self) -> Tuple[float, ...]:
        """The accuracy after each epoch that schedules, `patience` and `reported` use."""
        return tuple(getattr(epoch, self.settings.metric) for epoch in self.epochs)

    @property
    def reported_epoch(self) -> int:
        """The number of the epoch whose parameters are kept: the last one or the best one, as the settings say."""
        return len(self.epochs) - 1 if self.settings.reported == REPORTED[0] else best_epoch(self.accuracies)

    @property
    def result(self) -> EpochRecord:
        """The last epoch, with the test accuracies of the reported one."""
        reported = self.epochs[self.reported_epoch]
        return replace(
            self.last, test_accuracy=reported.test_accuracy, test_top_5_accuracy=reported.test_top_5_accuracy
        )

    @property
    def has_stopped(self) -> bool:
        """Whether the training is over after these epochs, because the last ones have not raised the accuracy."""
        return has_stopped(self.accuracies, self.settings.patience)

    def to_json(self) -> str:
        """Return the content of run.json. The points along an epoch are in a separate file."""
        content = {"format": FORMAT, **asdict(self)}
        for epoch in content["epochs"]:
            del epoch["curve"]
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunRecord":
        """Read the content of a run.json, of this or an older format. Raises ValueError for anything else."""
        try:
            content = _decode(text)
            if not isinstance(content, dict) or "format" not in content:
                raise ValueError("it has no format number")
            number = content.pop("format")
            if number == 1:
                content = _from_format_1(content)
            if number in (1, 2):
                content = {**content, "settings": with_current_names(content["settings"])}
            elif number != FORMAT:
                raise ValueError(f"it has format {number}, this version reads {FORMAT}: update the package")
            _check_size(content)
            unknown = set(content["settings"]) - {field.name for field in fields(Settings)}
            if unknown:
                raise ValueError(f"unknown setting {min(unknown)!r}")
            return msgspec.convert(content, cls)
        except msgspec.MsgspecError as error:
            raise ValueError(first_line(error)) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it is not the record of a run") from error


_DEVICE = re.compile(r"[a-z_]+\(\d{1,6}\)", re.ASCII)


def check_epochs(epochs: Iterable[EpochRecord]) -> None:
    """Raise ValueError if metrics of epochs are not possible, such as an accuracy of 350 %."""
    for number, epoch in enumerate(epochs):
        if epoch.epoch != number:
            raise ValueError("the epochs are not numbered 0, 1, 2, ...")
        for name in ("train_accuracy", "test_accuracy", *OPTIONAL_ACCURACIES):
            accuracy = getattr(epoch, name)
            if not (0 <= accuracy <= 1 if accuracy is not None else name in OPTIONAL_ACCURACIES):
                raise ValueError(f"{name} of epoch {number} is {accuracy}: it must be between 0 and 1")
        if epoch.test_top_5_accuracy is not None and epoch.test_top_5_accuracy < epoch.test_accuracy:
            what = f"test_top_5_accuracy of epoch {number} is {epoch.test_top_5_accuracy}"
            raise ValueError(f"{what}: it must not be below test_accuracy, {epoch.test_accuracy}")
        for name in ("seconds", "images_per_second"):
            if not 0 <= getattr(epoch, name) < math.inf:
                raise ValueError(f"{name} of epoch {number} is {getattr(epoch, name)}: it must be 0 or more")
        if not abs(epoch.train_loss) <= LARGEST_LOSS:
            raise ValueError(f"train_loss of epoch {number} is {epoch.train_loss}: float32 cannot hold it")
        check_curve(epoch.curve)


def check_validation(epochs: Iterable[EpochRecord], settings: Settings) -> None:
    """Raise ValueError unless the epochs have a validation accuracy if, and only if, the run has validation images."""
    for epoch in epochs:
        if (epoch.validation_accuracy is None) != (settings.validation_share is None):
            what = f"validation_accuracy of epoch {epoch.epoch} is {epoch.validation_accuracy}"
            raise ValueError(f"{what}, but validation_share is {settings.validation_share}")


def check_curve(curve: Iterable[Tuple[int, float, float]]) -> None:
    """Raise ValueError if points along an epoch are not possible: images seen, loss and accuracy."""
    seen = 0
    for images, loss, accuracy in curve:
        if images <= seen or not abs(loss) <= LARGEST_LOSS or not 0 <= accuracy <= 1:
            raise ValueError(f"the point ({images}, {loss}, {accuracy}) is not possible after {seen} images")
        seen = images


def _decode(text, kind: Any = Any):
    """Return the content of JSON. Raises ValueError or MsgspecError, also for lists in lists that exhaust the stack."""
    try:
        return msgspec.json.decode(text, type=kind)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _check_size(content):
    """Raise ValueError for whole numbers so large that they cannot be counts. Python does not even print some."""
    if isinstance(content, (dict, list)):
        for entry in content.values() if isinstance(content, dict) else content:
            _check_size(entry)
    elif isinstance(content, int) and content.bit_length() > 63:
        raise ValueError("a number is larger than 2^63")


def with_current_names(settings: Dict[str, Any]) -> Dict[str, Any]:
    """Return settings of format 1 or 2 with the current names: the share of the test images was `validation_share`."""
    if "test_share" in settings or "validation_share" not in settings:
        return settings
    others = {name: value for name, value in settings.items() if name != "validation_share"}
    return {**others, "test_share": settings["validation_share"]}


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
        """The parameter file. Raises RunError if it is not the one that the run wrote."""
        path = self.path / PARAMETERS
        known = self.record.parameters_sha256
        if known and path.is_file() and sha256_of(path) not in known:
            raise RunError(f"{path} is damaged, or of another run: its checksum is not that in {RECORD}; restore it")
        return path


def read_run(path) -> Run:
    """Read the run in a folder. Raises RunError if it is not a run folder or its record cannot be used."""
    path = Path(path)
    try:
        record = RunRecord.from_json(read_text(path / RECORD))
    except OSError as error:
        runs = sorted(path.glob(f"*/{RECORD}"))
        what = (
            f"name one of the runs in it, such as {runs[0].parent}"
            if runs
            else f"cannot read {path / RECORD} ({error.strerror})"
        )
        raise RunError(f"{path} is not a run folder: {what}") from error
    except ValueError as error:
        raise RunError(f"{path / RECORD} cannot be used ({first_line(error)}): train again") from error
    curves = _curves(path / POINTS)
    epochs = [replace(epoch, curve=curve) for epoch, curve in zip(record.epochs, curves)]
    return Run(path, replace(record, epochs=(*epochs, *record.epochs[len(epochs) :])))


def _curves(path):
    """Return the points along each epoch. A missing or damaged file gives none: they are only drawn."""
    try:
        curves = _decode(read_text(path), List[Tuple[Tuple[int, float, float], ...]])
        for curve in curves:
            check_curve(curve)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        _console.warn(f"{path} cannot be used ({first_line(error)}): the points along the epochs are left out")
        return []
    return curves
