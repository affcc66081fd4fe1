"""The settings of a run. They are checked when they are made, without loading MXNet."""

from dataclasses import dataclass, fields
import math
import re
from typing import Any, Dict, NamedTuple, Optional, Tuple

import gluon_classics
from gluon_classics._format import format_value, is_utf8
from gluon_classics._numbers import read_number
from gluon_classics.data import FIT, LAST_BATCH, RESIZE_IN, TEST_CROPS
from gluon_classics.data.augment_words import LARGEST_SIDE, NONE, border_problem, parse_augment
from gluon_classics.data.colors import TRANSPARENT_AS, parse_color
from gluon_classics.errors import SettingsError

WEIGHTS = ("seeded", "unseeded", "unseeded-numpy")
PUBLISHED = "published"  # the initializer that a network was published with
INITIALIZERS = ("xavier", "normal", "uniform")  # these may have a number
PYTORCH = "pytorch"
WITHOUT_NUMBER = ("he", PYTORCH)
REPORTED = ("last", "best")
FREEZE = ("none", "body")
WARM_UP_FROM = 0.1  # factor of the first epoch of a warm-up, as in pycls, the code of RegNet's authors
DIAGONAL_LM = "diagonallm"
_WITHOUT_MOMENTUM = (
    *("adadelta", "adagrad", "adam", "dcasgd", "ftml", "ftrl"),
    *("lamb", "nadam", "rmsprop", "sgld"),
)
# MXNet's optimizers and ours, and whether they take a momentum. That of DCASGD does not work in MXNet. AdaMax is left
# out because it divides 0 by 0 where a gradient is 0, and GroupAdaGrad because it updates matrices only.
OPTIMIZERS = {
    **dict.fromkeys(("lars", "lbsgd", "nag", "sgd", "signum", "tfrmsprop"), True),
    **dict.fromkeys(_WITHOUT_MOMENTUM, False),
    DIAGONAL_LM: False,
}
WITHOUT_RATE = ("adadelta",)  # MXNet's AdaDelta ignores the learning rate, and so the schedule

# those that update each number by itself, and keep nothing but arrays and the count of updates: servers can run them
ON_SERVERS = (
    *("adadelta", "adagrad", "adam", "ftml", "ftrl"),
    *("nag", "rmsprop", "sgd", "signum", "tfrmsprop"),
)


@dataclass(frozen=True)
class Settings:
    """The settings of a run. The defaults are those of the blog's `do_exp`, at the network's own input size.

    Attributes:
        model: Name of the network.
        data: Name of a known data set, or a folder.
        test_share: Share of the images of each class that are test images, more than 0 and less than 1, for a folder of
            images without test images; None is every fifth image.
        validation_share: Share of the training images of each class, more than 0 and less than 1, that are not trained
            on but measure each epoch; None holds none out. Schedules, `patience` and `reported` use their accuracy
            instead of the test accuracy.
        transparent_as: Color that shows through transparent pixels of image files: "white", "black" or "#rrggbb".
        subset: Number of training images to use, the first ones; None uses all.
        epochs: Passes over the training images.
        batch_size: Images per update.
        learning_rate: Learning rate. The optimizer adadelta has none.
        schedule: Learning-rate schedule: epochs (from 0) and the factor from each one on, as in "2:0.4 5:0.2";
            "cosine", half a cosine over all epochs; "decay:0.96:8", the factor 0.96 after every 8 epochs; "warmup:5",
            a linear rise for 5 epochs; "plateau:0.1:5:3", the factor 0.1 each time that 5 epochs have not raised the
            accuracy, three times at most. These factors multiply. Those of decay and plateau are less than 1.
        patience: Number of epochs without a higher accuracy after which the training stops; None never stops it early.
        optimizer: MXNet's name of the optimizer, "tfrmsprop" for TensorFlow's RMSProp, or "diagonallm" for LeNet-5.
        momentum: 0..1, for optimizers that take one.
        weight_decay: Weight decay, 0 or more.
        micro_batch_size: Number of images that are computed at a time. The gradients of the parts of a batch are added
            up before the update; None computes the whole batch at once. Batch normalization sees the parts.
        resize: Side of the network's input in pixels; None is the network's own.
        image_size: Side in pixels to which images are brought before a crop of the network's size is cut from them;
            None is the network's size, without a crop.
        fit: How images get that size: "resize", "pad" with background around them, or "crop", which resizes the shorter
            side and cuts the longer one.
        resize_in: Number type in which images are resized; see `utils.loader.load_data_fashion_mnist`.
        background: Value of the pixel 0.
        foreground: Value of the pixel 255.
        mean: Mean of the pixels, in 0..1, that is subtracted: one number, or one for each channel, as in
            "0.485,0.456,0.406". With `std`, it takes the place of `background` and `foreground`.
        std: Standard deviation that pixels are divided by, in the same form.
        augment: Augmentations of the training images in their order, such as "crop:4 flip"; "none" has none. See
            `data.augmentation`.
        test_crops: How images larger than the network's input are evaluated: by their "center", or by the mean
            probabilities of "ten" crops: the corners and the center, each also mirrored.
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
        freeze: "body" trains only the last layers that `new_head` draws; "none" trains all.
        seed: Seed of the weights, the order of the images, their augmentation and dropout, 0 or more.
        reported: The epoch whose parameters are kept and whose test accuracy is the result of the run: "last", or
            "best", the one with the highest validation accuracy. Without validation images it is the one with the
            highest test accuracy, as some sources report it.

    Raises:
        SettingsError: A value is unknown, out of range, or impossible together with another.
    """

    model: str
    data: str = "fashion-mnist"
    test_share: Optional[float] = None
    validation_share: Optional[float] = None
    transparent_as: str = TRANSPARENT_AS
    subset: Optional[int] = None
    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 0.01
    micro_batch_size: Optional[int] = None
    schedule: str = ""
    patience: Optional[int] = None
    optimizer: str = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    resize: Optional[int] = None
    image_size: Optional[int] = None
    fit: str = FIT[0]
    resize_in: str = RESIZE_IN[0]
    background: float = 0.0
    foreground: float = 1.0
    mean: str = ""
    std: str = ""
    augment: str = NONE
    test_crops: str = TEST_CROPS[0]
    last_batch: str = LAST_BATCH[0]
    init: str = "xavier"
    weights: str = WEIGHTS[0]
    init_from: Optional[str] = None
    new_head: bool = False
    freeze: str = FREEZE[0]
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
        self._check_pixels()
        self._check_sizes()
        if self.init == PUBLISHED and info.training.get("init") != PUBLISHED:
            raise SettingsError(
                f"{self.model} was published without its own initializer: use xavier, normal, uniform, he or pytorch"
            )
        if self.weights != WEIGHTS[0] and self.init in (PUBLISHED, PYTORCH):
            raise SettingsError(f"{self.weights} weights are never {self.init}: use xavier, normal, uniform or he")
        for name in ("test_share", "validation_share"):
            share = getattr(self, name)
            if share is not None and not 0 < share < 1:
                raise SettingsError(f"{name} is {share:g}: it must be more than 0 and less than 1")
        parse_color(self.transparent_as)
        if self.new_head and not self.init_from:
            raise SettingsError("new_head is for parameters from a file: name one with init_from")
        if self.freeze != FREEZE[0] and not self.new_head:
            raise SettingsError("freeze body is for a new last layer: use it with new_head")
        if self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            raise SettingsError(
                f"micro_batch_size is {self.micro_batch_size}, more than the batch size {self.batch_size}: use less"
            )
        if not self.data:
            raise SettingsError("data is empty: name a data set or a folder")
        parse_initializer(self.init)
        parse_schedule(self.schedule)

    def _check_pixels(self):
        for name in ("background", "foreground"):
            if not abs(getattr(self, name)) <= _LARGEST_INPUT:
                what = f"it must be from {-_LARGEST_INPUT:,} to {_LARGEST_INPUT:,}"
                raise SettingsError(f"{name} is {getattr(self, name):g}: {what}")
        if abs(self.background - self.foreground) < _SMALLEST_CONTRAST:
            raise SettingsError(
                "background and foreground are nearly equal, so all images would be the same: change one"
            )
        mean, std = parse_channels("mean", self.mean), parse_channels("std", self.std)
        if not all(_SMALLEST_STD <= spread <= 1 for spread in std):
            raise SettingsError(f"std is {self.std}: it must be from {_SMALLEST_STD} to 1, of pixels divided by 255")
        if not all(0 <= center <= 1 for center in mean):
            raise SettingsError(f"mean is {self.mean}: it must be from 0 to 1, of pixels divided by 255")
        if len({len(numbers) for numbers in (mean, std)} - {0, 1}) > 1:
            raise SettingsError(f"mean has {len(mean)} numbers and std has {len(std)}: use one for each channel")
        if (mean or std) and self.pixels_differ:
            raise SettingsError("mean and std take the place of background and foreground: leave those out")

    def _check_sizes(self):
        for name in ("resize", "image_size"):
            side = getattr(self, name)
            if side is not None and side > LARGEST_SIDE:
                raise SettingsError(f"{name} is {side:,}: images can have {LARGEST_SIDE:,} pixels per side at most")
        if self.image_size is not None and self.image_size < self.size:
            raise SettingsError(f"image_size is {self.image_size}, less than the network's {self.size}: use more")
        is_cut = self.image_size not in (None, self.size)
        for operation in parse_augment(self.augment):
            if operation.name == "scale" and operation.numbers[0] < self.size:
                least = f"{operation.numbers[0]:g}, less than the network's {self.size}"
                raise SettingsError(f"the smallest size of the augmentation scale is {least}: use more")
            problem = border_problem(operation, self.size)
            if problem:
                raise SettingsError(problem)
            if operation.from_original and self.fit == "pad":
                raise SettingsError(f"fit pad and the augmentation {operation.name} exclude each other: use fit crop")
            if operation.name == "crop" and operation.numbers == (0,) and not is_cut:
                remedy = "give it a border, as in crop:4, or set image_size"
                raise SettingsError(f"the augmentation crop has nothing to cut from images of {self.size}: {remedy}")
        if self.test_crops == "ten" and not is_cut:
            raise SettingsError(f"ten crops need images larger than the network's {self.size}: set image_size")

    @property
    def pixels_differ(self) -> bool:
        """Whether `background` and `foreground` are not 0 and 1."""
        return (self.background, self.foreground) != (0.0, 1.0)

    @property
    def pixels(self) -> Tuple[Tuple[float, ...], Tuple[float, ...]]:
        """Values of the pixel 0 and of the pixel 255: one number each, or one for each channel."""
        if not (self.mean or self.std):
            return (self.background,), (self.foreground,)
        mean, std = parse_channels("mean", self.mean) or (0.0,), parse_channels("std", self.std) or (1.0,)
        count = max(len(mean), len(std))
        pairs = list(zip(mean * (count // len(mean)), std * (count // len(std))))
        return tuple(-center / spread for center, spread in pairs), tuple(
            (1 - center) / spread for center, spread in pairs
        )

    @property
    def has_rate(self) -> bool:
        """Whether the optimizer has a learning rate, which the schedule changes."""
        return self.optimizer not in WITHOUT_RATE

    @property
    def metric(self) -> str:
        """Name of the accuracy that schedules, `patience` and `reported` use."""
        return "test_accuracy" if self.validation_share is None else "validation_accuracy"

    @property
    def size(self) -> int:
        """Side of the network's input in pixels."""
        return self.resize or gluon_classics.model_info(self.model).input_shape[1]


_CHOICES = {
    "fit": FIT,
    "resize_in": RESIZE_IN,
    "test_crops": TEST_CROPS,
    "freeze": FREEZE,
    "last_batch": LAST_BATCH,
    "weights": WEIGHTS,
    "optimizer": tuple(OPTIMIZERS),
    "reported": REPORTED,
}
_LOWEST = {
    **dict.fromkeys(
        ("epochs", "batch_size", "micro_batch_size", "patience", "subset", "resize", "image_size"), (1, "1 or more")
    ),
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
_SMALLEST_STD = 0.0001  # of pixels in 0..1; `gluon-classics statistics` prints no smaller one
_LARGEST_INPUT = 100_000  # network inputs beyond this are a mistake; raw pixels of 16 bits have up to 65,535
_SMALLEST_FACTOR, _LARGEST_FACTOR = 1e-6, 1000  # of a learning rate; warm-ups and restarts raise it
_SHORTEST_DECAY = 0.01  # epochs
_SMALLEST_CONTRAST = 1e-6  # of the network inputs for black and white


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
        plateau: A factor, the number of epochs without a higher accuracy after which it applies again, and how often it
            does at most (None: always); None without one.
    """

    steps: Tuple[Tuple[int, float], ...]
    cosine: bool
    decay: Optional[Tuple[float, float]]
    warm_up: int
    plateau: Optional[Tuple[float, int, Optional[int]]]


def parse_schedule(schedule: str) -> Schedule:
    """Return the parts of a learning-rate schedule. Raises SettingsError for a malformed schedule."""
    found: Dict[str, Any] = {"cosine": [], "decay": [], "warmup": [], "plateau": [], "step": []}
    try:
        if schedule.isspace():
            raise ValueError
        for word in schedule.split():
            name, *numbers = word.split(":")
            if name == "cosine" and not numbers:
                found[name].append(True)
            elif name == "decay":
                decay, every = map(read_number, numbers)
                found[name].append((decay, every))
            elif name == "warmup":
                (epochs,) = (read_number(number, int) for number in numbers)
                found[name].append(epochs)
            elif name == "plateau":
                fall, waited, *most = numbers
                (limit,) = (read_number(number, int) for number in most) if most else (None,)
                found[name].append((read_number(fall), read_number(waited, int), limit))
            else:
                (factor,) = map(read_number, numbers)
                found["step"].append((read_number(name, int), factor))
        positive = [*(number for pair in found["decay"] for number in pair), *(factor for _, factor in found["step"])]
        counts = [*found["warmup"], *(count for _, *each in found["plateau"] for count in each if count is not None)]
        if any(start < 0 for start, _ in found["step"]) or any(count < 1 for count in counts):
            raise ValueError
        if not all(0 < number < math.inf for number in (*positive, *(fall for fall, *_ in found["plateau"]))):
            raise ValueError
    except ValueError:
        raise SettingsError(
            f"{schedule!r} is not a schedule: list epochs (from 0) and the factor from each one on, as in 2:0.4 5:0.2, "
            "or use cosine, decay:0.96:8, warmup:5 and plateau:0.1:5"
        ) from None
    for factor in (factor for _, factor in found["step"]):
        if not _SMALLEST_FACTOR <= factor <= _LARGEST_FACTOR:
            what = f"a factor of the schedule {format_value(schedule)} is {factor:g}"
            raise SettingsError(f"{what}: it must be from {_SMALLEST_FACTOR:g} to {_LARGEST_FACTOR:,}")
    for name, example in (("decay", "decay:0.96:8"), ("plateau", "plateau:0.1:5")):
        for factor, *_ in found[name]:
            if not _SMALLEST_FACTOR <= factor < 1:
                what = f"the factor of {name} in the schedule {format_value(schedule)} is {factor:g}"
                raise SettingsError(f"{what}: use one from {_SMALLEST_FACTOR:g} and below 1, as in {example}")
    for _, every in found["decay"]:
        if not _SHORTEST_DECAY <= every <= _LARGEST_SIZE:
            what = f"decay in the schedule {format_value(schedule)} applies after every {every:g} epochs"
            raise SettingsError(f"{what}: use a number from {_SHORTEST_DECAY:g} to {_LARGEST_SIZE:,}")
    steps = tuple(sorted(found.pop("step")))
    if len(dict(steps)) < len(steps):
        raise SettingsError(f"the schedule {schedule!r} names an epoch twice: give each epoch one factor")
    for name, values in found.items():
        if len(values) > 1:
            raise SettingsError(f"the schedule {schedule!r} repeats {name}: use it once")
    first = {name: next(iter(values), None) for name, values in found.items()}
    return Schedule(steps, bool(first["cosine"]), first["decay"], first["warmup"] or 0, first["plateau"])


def parse_channels(name: str, text: str) -> Tuple[float, ...]:
    """Return the numbers in a text such as "0.485,0.456,0.406". Raises SettingsError, with `name`, for another text."""
    try:
        words = text.split(",") if "," in text else text.split()
        numbers = tuple(read_number(word.strip()) for word in words)
        if not all(abs(number) <= _LARGEST_FLOAT for number in numbers) or (text and not numbers):
            raise ValueError
    except ValueError:
        raise SettingsError(
            f"{name} is {format_value(text)}: write one number, or one for each channel, as in 0.485,0.456,0.406"
        ) from None
    return numbers


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
