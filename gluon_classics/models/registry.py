"""The registry: facts next to each builder, which the tests recount.

`tools/make_facts.py` writes these facts to `facts.json`, so that `list_models` and `model_info` need not load MXNet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import difflib
import functools
from importlib import import_module
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterable

from gluon_classics import _runtime
from gluon_classics._numbers import is_whole

if TYPE_CHECKING:
    from mxnet.gluon import nn

FAMILIES = (
    *("lenet", "early_lenet", "lenet5", "alexnet", "vgg", "nin", "googlenet", "inception", "resnet"),
    *("squeezenet", "resnet_v2", "densenet", "resnext", "mobilenet", "senet", "regnet", "efficientnet"),
)
MOST_CLASSES = 2**31  # MXNet's layers have 32-bit numbers of units
SUGGESTED = 6  # largest number of names in a suggestion
GLUONCV = "gluoncv:"  # in front of the name of a model of GluonCV
FACTS = Path(__file__).with_name("facts.json")


@dataclass(frozen=True)
class ModelInfo:
    """Facts of one edition, for its own input and number of classes.

    Attributes:
        name: Name for `get_model`.
        family: Module that builds the network.
        source: Where the edition is published.
        input_shape: (C, H, W) of one image.
        classes: Number of classes.
        params: Number of trainable parameters, without the running statistics of batch normalization; None for a model
            of GluonCV.
        macs: Multiply-accumulates of convolutions and dense layers for one image; None for a model of GluonCV.
        departures: Differences from the paper that gave the network its name.
        training: Settings of the published training that differ from the blog's (see `experiment.settings`).
        trained_as: Arguments for the builder that give the network as it is trained.
        not_done: What of the published training no setting describes.
    """

    name: str
    family: str
    source: str
    input_shape: tuple[int, int, int]
    classes: int
    params: int | None
    macs: int | None
    departures: tuple[str, ...]
    training: dict[str, Any] = field(default_factory=dict, hash=False)
    trained_as: dict[str, Any] = field(default_factory=dict, hash=False)
    not_done: tuple[str, ...] = ()

    @property
    def gmac(self) -> float | None:
        """Multiply-accumulates for one image, in billions (1e9)."""
        return None if self.macs is None else self.macs / 1e9


_builders: dict[str, Callable[..., nn.Block]] = {}
_infos: dict[str, ModelInfo] = {}


def register(*, source, input_shape, classes, params, macs, departures=(), training=None, trained_as=None, not_done=()):
    """Make a decorator that registers a builder under the builder's name.

    Args:
        source: Where the edition is published.
        input_shape: (C, H, W) of one image.
        classes: Number of classes.
        params: Number of trainable parameters.
        macs: Multiply-accumulates for one image.
        departures: Differences from the paper.
        training: Settings of the published training, by name.
        trained_as: Arguments for the builder, by name.
        not_done: What of the published training no setting describes.

    Raises:
        ValueError: The name is already registered. The decorator raises it.
    """
    trained = (training or {}, trained_as or {}, tuple(not_done))
    facts = (source, input_shape, classes, params, macs, tuple(departures), *trained)

    def enter(builder):
        name = builder.__name__
        if name in _builders:
            raise ValueError(f"a network named {name!r} is already registered")
        _builders[name] = builder
        family = builder.__module__.rpartition(".")[2]
        _infos[name] = ModelInfo(name, family, *facts)
        return builder

    return enter


def get_model(name: str, classes: int | None = None, **kwargs) -> nn.Block:
    """Build a network without initializing it: (N, C, H, W) images to (N, classes) logits.

    Args:
        name: Name of the network; see `list_models`. "gluoncv:NAME" is a model of GluonCV, with the extra gluoncv.
        classes: Number of classes, at least 1 (default: the edition's own, 10 for the blog's).
        **kwargs: Further arguments for the builder.

    Raises:
        ValueError: The name is unknown, or `classes` is not a positive integer.
        ModuleNotFoundError: MXNet is not installed.
        ClassicsError: GluonCV is not installed, or cannot build the model.
    """
    info = model_info(name)
    if classes is not None and not (is_whole(classes) and classes < MOST_CLASSES):
        raise ValueError(f"classes must be a positive integer below 2**31, not {classes!r:.40}")
    if name.startswith(GLUONCV):
        return _gluoncv().build(name, classes, **kwargs)
    with _runtime.missing_modules_explained():
        import_module(f".{info.family}", __package__)
    return _builders[name](classes=info.classes if classes is None else classes, **kwargs)


def list_models() -> list[str]:
    """Return the names of all networks, family by family, in historical order."""
    return list(_facts())


def model_info(name: str) -> ModelInfo:
    """Return the facts of a network.

    Args:
        name: Name of the network; see `get_model`.

    Raises:
        ValueError: The name is unknown.
        ClassicsError: GluonCV is not installed.
    """
    if isinstance(name, str) and name.startswith(GLUONCV):
        return _gluoncv().info(name)
    facts = _facts()
    if not isinstance(name, str) or name not in facts:
        raise ValueError(f"unknown network {name!r}: {suggestion(name, facts, 'gluon-classics list')}")
    return facts[name]


def _gluoncv():
    with _runtime.missing_modules_explained():
        return import_module("._gluoncv", __package__)


def suggestion(name: str, names: Iterable[str], command: str) -> str:
    """Return a hint for an unknown name: the names that begin with it, or the most similar one.

    Args:
        name: The unknown name.
        names: The known names.
        command: Command that lists all names. The hint mentions it if there is no such name, or too many.
    """
    wanted, names = str(name).lower().strip(), list(names)
    near = [known for known in names if _plain(wanted) and _plain(known).startswith(_plain(wanted))]
    near.sort(key=lambda known: (known != wanted, not known.startswith(f"{wanted}-")))
    near = near[:1] if wanted in near else near
    near = near or difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    questions = [f"did you mean {' or '.join(map(repr, near[:SUGGESTED]))}?"] if near else []
    others = [] if 0 < len(near) <= SUGGESTED else [f"{command!r} shows all"]
    return " ".join(questions + others)


def _plain(name):
    return name.replace("-", "").replace("_", "")


def registered() -> list[ModelInfo]:
    """Return the facts next to the builders, in historical order. `facts.json` must hold the same.

    Raises:
        ModuleNotFoundError: MXNet is not installed.
    """
    with _runtime.missing_modules_explained():
        for family in FAMILIES:
            import_module(f".{family}", __package__)
    return sorted(_infos.values(), key=lambda info: FAMILIES.index(info.family))


@functools.lru_cache(maxsize=None)
def _facts() -> dict[str, ModelInfo]:
    facts = {}
    for row in json.loads(FACTS.read_text(encoding="utf-8")):
        lists = {key: tuple(row[key]) for key in ("input_shape", "departures", "not_done")}
        facts[row["name"]] = ModelInfo(**{**row, **lists})
    return facts
