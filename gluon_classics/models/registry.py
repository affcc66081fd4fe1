"""The registry: one row of facts beside each builder, recounted by the tests.

Questions are answered from `facts.json`, which `tools/make_facts.py` writes from those rows, so that asking about a
network does not load MXNet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import difflib
import functools
from importlib import import_module
import json
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterable

from gluon_classics import _runtime

if TYPE_CHECKING:
    from mxnet.gluon import nn

FAMILIES = (
    *("lenet", "lenet5", "alexnet", "vgg", "nin", "googlenet", "resnet"),
    *("densenet", "senet", "regnet", "efficientnet"),
)
SUGGESTED = 6  # names at most
FACTS = Path(__file__).with_name("facts.json")


@dataclass(frozen=True)
class ModelInfo:
    """Facts of one edition, for its own input and number of classes.

    `family` is the module that builds it; `input_shape` is (C, H, W); `params` counts trainable parameters (the
    running statistics of batch normalisation are not); `macs` counts the multiply-accumulates of convolutions and
    dense layers for one image; `departures` says where the edition differs from the paper that gave the network its
    name. `training` has the settings of its published training that differ from the blog's (fields of
    `utils.settings.Settings`), `trained_as` the builder's arguments for the network as it is trained.
    """

    name: str
    family: str
    source: str
    input_shape: tuple[int, int, int]
    classes: int
    params: int
    macs: int
    departures: tuple[str, ...]
    training: dict[str, Any] = field(default_factory=dict, hash=False)
    trained_as: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def gmac(self) -> float:
        """Multiply-accumulates for one image, in units of 1e9."""
        return self.macs / 1e9


_builders: dict[str, Callable[..., nn.Block]] = {}
_infos: dict[str, ModelInfo] = {}


def register(*, source, input_shape, classes, params, macs, departures=(), training=None, trained_as=None):
    """Decorator: enter a builder under its own name. Raises ValueError if the name is taken."""
    facts = (source, input_shape, classes, params, macs, tuple(departures), training or {}, trained_as or {})

    def enter(builder):
        name = builder.__name__
        if name in _builders:
            raise ValueError(f"a network named {name!r} is registered already")
        _builders[name] = builder
        family = builder.__module__.rpartition(".")[2]
        _infos[name] = ModelInfo(name, family, *facts)
        return builder

    return enter


def get_model(name: str, classes: int | None = None, **kwargs) -> nn.Block:
    """A new, uninitialised network: (N, C, H, W) images to (N, classes) logits.

    `classes` defaults to the edition's own number (10 for the blog's); other arguments go to the builder.
    Raises ValueError for an unknown name or a number of classes that none can have, ModuleNotFoundError where MXNet is
    not installed.
    """
    info = model_info(name)
    if classes is not None and (not isinstance(classes, Integral) or isinstance(classes, bool) or classes < 1):
        raise ValueError(f"classes must be a whole number from 1 on, not {classes!r}")
    with _runtime.missing_modules_explained():
        import_module(f".{info.family}", __package__)
    return _builders[name](classes=info.classes if classes is None else classes, **kwargs)


def list_models() -> list[str]:
    """Names of all networks, family by family, in the order of their history."""
    return list(_facts())


def model_info(name: str) -> ModelInfo:
    """Facts of the network `name`. Raises ValueError for an unknown name."""
    facts = _facts()
    if name not in facts:
        raise ValueError(f"unknown network {name!r}: {suggestion(name, facts, 'gluon-classics list')}")
    return facts[name]


def suggestion(name: str, names: Iterable[str], command: str) -> str:
    """What to say of an unknown name: those of `names` that begin with it, or the nearest one; or what lists them."""
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
    """The facts as they stand beside the builders, in the order of history: what `facts.json` has to say.

    Raises ModuleNotFoundError where MXNet is not installed.
    """
    with _runtime.missing_modules_explained():
        for family in FAMILIES:
            import_module(f".{family}", __package__)
    return sorted(_infos.values(), key=lambda info: FAMILIES.index(info.family))


@functools.lru_cache(maxsize=None)
def _facts() -> dict[str, ModelInfo]:
    facts = {}
    for row in json.loads(FACTS.read_text(encoding="utf-8")):
        lists = {key: tuple(row[key]) for key in ("input_shape", "departures")}
        facts[row["name"]] = ModelInfo(**{**row, **lists})
    return facts
