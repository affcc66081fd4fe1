"""The settings of a run. They are checked when they are made, without loading MXNet."""

from dataclasses import dataclass, fields
import math
import re
from typing import Any, Dict, NamedTuple, Optional, Tuple

import gluon_classics
from gluon_classics._format import format_value, is_utf8
from gluon_classics.data import AUGMENT, FIT, LAST_BATCH, RESIZE_IN
from gluon_classics.data.colors import TRANSPARENT_AS, parse_color
from gluon_classics.errors import SettingsError

WEIGHTS = ("seeded", "unseeded", "unseeded-numpy")
PUBLISHED = "published"  # the initializer that a network was published with
INITIALIZERS = ("xavier", "normal", "uniform")  # these may have a number
PYTORCH = "pytorch"
WITHOUT_NUMBER = ("he", PYTORCH)
REPORTED = ("last", "best")
WARM_UP_FROM = 0.1  # factor of the first epoch of a warm-up, as in pycls, the code of RegNet's authors
DIAGONAL_LM = "diagonallm"
_WITHOUT_MOMENTUM = (
    *("adadelta", "adagrad", "adam", "adamax", "ftml", "ftrl"),
    *("groupadagrad", "lamb", "nadam", "rmsprop", "sgld"),
)
# MXNet's optimizers and ours, and whether they take a momentum
OPTIMIZERS = {
    **dict.fromkeys(("dcasgd", "lars", "lbsgd", "nag", "sgd", "signum", "tfrmsprop"), True),
    **dict.fromkeys(_WITHOUT_MOMENTUM, False),
    DIAGONAL_LM: False,
}


@dataclass(frozen=True)
class Settings:
    """The settings of a run. The defaults are those of the blog's `do_exp`, at the network's own input size.

    Attributes:
        model: Name of the network.
        data: Name of a known data set, or a folder.
        validation_share: Share of the images of each class that are test images, more than 0 and less than 1, for a
            folder of images without test images; None is every fifth image.
        transparent_as: Color that shows through transparent pixels of image files: "white", "black" or "#rrggbb".
        subset: Number of training images to use, the first ones; None uses all.
        epochs: Passes over the training images.
        batch_size: Images per update.
        learning_rate: Learning rate.
        schedule: Learning-rate schedule: epochs (from 0) and the factor from each one on, as in "2:0.4 5:0.2";
            "cosine", half a cosine over all epochs; "decay:0.96:8", the factor 0.96 after every 8 epochs; "warmup:5",
            a linear rise for 5 epochs. These factors multiply.
        optimizer: MXNet's name of the optimizer, "tfrmsprop" for TensorFlow's RMSProp, or "diagonallm" for LeNet-5.
        momentum: 0..1, for optimizers that take one.
        weight_decay: Weight decay, 0 or more.
        resize: Side of the images in pixels; None is the network's own input.
        fit: How images get that size: "resize", or "pad" with background around them.
        resize_in: Number type in which images are resized; see `utils.loader.load_data_fashion_mnist`.
        background: Value of the pixel 0.
        foreground: Value of the pixel 255.
        augment: "flip" mirrors each training image left to right with probability 1/2; "none" does not.
        last_batch: What to do with the examples that do not fill a batch. "keep" trains on them as on any batch,
            "discard" leaves them out (of the test images too), "scale" divides the sum of their gradients by the full
            batch size, so that the last step of an epoch is smaller.
        init: Initializer: "xavier", "normal" or "uniform", with a number as in "xavier(2.24)", "he", "pytorch", or
            "published"; see `experiment.initializers`.
        weights: "seeded" draws the initial weights from `seed`. "unseeded" draws those that MXNet draws in a new
            process that does not seed it, the same for every seed, and "unseeded-numpy" those that it draws in NumPy
            mode; see `experiment.notebook_weights`.
        init_from: Parameter file to start from instead of random weights.
        new_head: Whether the last layers, whose shapes depend on the number of classes, get random weights instead of
            those of `init_from`.
        seed: Seed of the weights, the order of the images, their augmentation and dropout, 0 or more.
        reported: The epoch whose test accuracy is the result of the run: "last", or "best", the highest of all epochs,
            as some sources report it.

    Raises:
        SettingsError: A value is unknown, out of range, or impossible together with another.
    """

    model: str
    data: str = "fashion-mnist"
    validation_share: Optional[float] = None
    transparent_as: str = TRANSPARENT_AS
    subset: Optional[int] = None
    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 0.01
    schedule: str = ""
    optimizer: str = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    resize: Optional[int] = None
    fit: str = FIT[0]
    resize_in: str = RESIZE_IN[0]
    background: float = 0.0
    foreground: float = 1.0
    augment: str = AUGMENT[0]
    last_batch: str = LAST_BATCH[0]
    init: str = "xavier"
    weights: str = WEIGHTS[0]
    init_from: Optional[str] = None
    new_head: bool = False
    seed: int = 0
    reported: str = REPORTED[0]

    def __post_init__(self):
        for field in fields(self):
            _check_type(field, getattr(self, field.name))
        try:
            info = gluon_classics.model_info(self.model)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingsError(f"unknown {name} {getattr(self, name)!r}: use one of {', '.join(choices)}")
        for name, (lowest, what) in _LOWEST.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise SettingsError(f"{name} is {format_value(value)}: it must be {what}")
        if self.learning_rate <= 0:
            raise SettingsError(f"learning_rate is {self.learning_rate:g}: it must be greater than 0")
        if not 0 <= self.momentum < 1:
            raise SettingsError(f"momentum is {self.momentum:g}: it must be at least 0 and less than 1")
        if self.momentum and not OPTIMIZERS[self.optimizer]:
            raise SettingsError(f"the optimizer {self.optimizer} takes no momentum: leave momentum out")
        if self.optimizer == DIAGONAL_LM and self.model != "lenet5":
            raise SettingsError(f"the optimizer {DIAGONAL_LM} works with lenet5 only: choose another optimizer")
        if self.background == self.foreground:
            raise SettingsError("background and foreground are equal, so all images would be the same: change one")
        if self.init == PUBLISHED and info.training.get("init") != PUBLISHED:
            raise SettingsError(
                f"{self.model} was published without its own initializer: use xavier, normal, uniform, he or pytorch"
            )
        if self.weights != WEIGHTS[0] and self.init in (PUBLISHED, PYTORCH):
            raise SettingsError(f"{self.weights} weights are never {self.init}: use xavier, normal, uniform or he")
        if self.validation_share is not None and not 0 < self.validation_share < 1:
            raise SettingsError(
                f"validation_share is {self.validation_share:g}: it must be more than 0 and less than 1"
            )
        parse_color(self.transparent_as)
        if self.new_head and not self.init_from:
            raise SettingsError("new_head is for parameters from a file: name one with init_from")
        if not self.data:
            raise SettingsError("data is empty: name a data set or a folder")
        parse_initializer(self.init)
        parse_schedule(self.schedule)

    @classmethod
    def of(cls, model: str, **given) -> "Settings":
        """Return the settings that the network was published with, changed by what is `given` and not None."""
        chosen = {name: value for name, value in given.items() if value is not None}
        return cls(model, **{**gluon_classics.model_info(model).training, **chosen})

    @property
    def pixels(self) -> Tuple[float, float]:
        """Values of the pixels 0 and 255."""
        return self.background, self.foreground

    @property
    def size(self) -> int:
        """Side of the network's input in pixels."""
        return self.resize or gluon_classics.model_info(self.model).input_shape[1]


_CHOICES = {
    "fit": FIT,
    "resize_in": RESIZE_IN,
    "augment": AUGMENT,
    "last_batch": LAST_BATCH,
    "weights": WEIGHTS,
    "optimizer": tuple(OPTIMIZERS),
    "reported": REPORTED,
}
_LOWEST = {
    **dict.fromkeys(("epochs", "batch_size", "subset", "resize"), (1, "1 or more")),
    **dict.fromkeys(("seed", "weight_decay"), (0, "0 or more")),
}


_TYPES: Dict[Any, Tuple[Tuple[type, ...], str]] = {
    str: ((str,), "text"),
    Optional[str]: ((str, type(None)), "text"),
    int: ((int,), "a whole number below 2^31 (a seed: 2^63)"),
    Optional[int]: ((int, type(None)), "a whole number below 2^31"),
    float: ((int, float), "a finite number that float32 can hold"),
    Optional[float]: ((int, float, type(None)), "a finite number that float32 can hold"),
    bool: ((bool,), "true or false"),
}
_LARGEST = {"seed": 2**63 - 1}  # others: what MXNet's sizes and numbers can hold
_LARGEST_SIZE, _LARGEST_FLOAT = 2**31 - 1, 3.4028234663852886e38


def _check_type(field, value):
    types, what = _TYPES[field.type]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise SettingsError(f"{field.name} is {format_value(value)}: it must be {what}")
    if isinstance(value, str) and not is_utf8(value):
        raise SettingsError(f"{field.name} is {value!r}, which is not UTF-8: rename it")
    largest = _LARGEST_FLOAT if field.type is float else _LARGEST.get(field.name, _LARGEST_SIZE)
    if isinstance(value, (int, float)) and not abs(value) <= largest:  # also for NaN
        raise SettingsError(f"{field.name} is {format_value(value)}: it must be {what}")


class Schedule(NamedTuple):
    """A learning-rate schedule.

    Attributes:
        steps: Epoch, and the factor from there on; sorted.
        cosine: Whether the factor also falls along half a cosine.
        decay: A factor, and the number of epochs after each of which it applies again; None without one.
        warm_up: Number of epochs at the beginning in which the factor rises.
    """

    steps: Tuple[Tuple[int, float], ...]
    cosine: bool
    decay: Optional[Tuple[float, float]]
    warm_up: int


def parse_schedule(schedule: str) -> Schedule:
    """Return the parts of a learning-rate schedule. Raises SettingsError for a malformed schedule."""
    found: Dict[str, Any] = {"cosine": [], "decay": [], "warmup": [], "step": []}
    try:
        for word in schedule.split():
            name, *numbers = word.split(":")
            if name == "cosine" and not numbers:
                found[name].append(True)
            elif name == "decay":
                decay, every = map(float, numbers)
                found[name].append((decay, every))
            elif name == "warmup":
                (epochs,) = map(int, numbers)
                found[name].append(epochs)
            else:
                (factor,) = map(float, numbers)
                found["step"].append((int(name), factor))
        positive = [*(number for pair in found["decay"] for number in pair), *(factor for _, factor in found["step"])]
        if any(start < 0 for start, _ in found["step"]) or any(epochs < 1 for epochs in found["warmup"]):
            raise ValueError
        if not all(0 < number < math.inf for number in positive):
            raise ValueError
    except ValueError:
        raise SettingsError(
            f"{schedule!r} is not a schedule: list epochs (from 0) and the factor from each one on, as in 2:0.4 5:0.2, "
            "or use cosine, decay:0.96:8 and warmup:5"
        ) from None
    steps = tuple(sorted(found.pop("step")))
    if len(dict(steps)) < len(steps):
        raise SettingsError(f"the schedule {schedule!r} names an epoch twice: give each epoch one factor")
    for name, values in found.items():
        if len(values) > 1:
            raise SettingsError(f"the schedule {schedule!r} repeats {name}: use it once")
    first = {name: next(iter(values), None) for name, values in found.items()}
    return Schedule(steps, bool(first["cosine"]), first["decay"], first["warmup"] or 0)


def parse_initializer(text: str) -> Tuple[str, Optional[float]]:
    """Return the name of an initializer and its number, None without one. Raises SettingsError for unknown ones."""
    match = re.fullmatch(r"(\w+)(?:\((\d*\.?\d+(?:e-?\d+)?)\))?", text)
    name = match[1] if match else ""
    number = float(match[2]) if match and match[2] else None
    if text == PUBLISHED or text in WITHOUT_NUMBER:
        return text, None
    if name not in INITIALIZERS or (number is not None and not 0 < number <= _LARGEST_FLOAT):
        raise SettingsError(
            f"unknown initializer {text!r}: use xavier, xavier(2.24), normal(0.01), uniform(0.07), he or pytorch"
        )
    return name, number
