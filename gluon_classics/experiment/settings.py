"""What decides a run; known without loading MXNet."""

from __future__ import annotations

from dataclasses import dataclass

import gluon_classics
from gluon_classics.data import FIT, LAST_BATCH, RESIZE_IN

WEIGHTS = ("seeded", "notebook")


@dataclass(frozen=True)
class Settings:
    """The settings of a run. The defaults are the blog's `do_exp`, at the network's own input size.

    `subset` is the number of training images that are used, the first ones; None means all. `resize` is the side of
    the images in pixels; None means the network's own input.
    `resize_in` is explained in `loader`, `init` in `initialisers`; `init_from` is a parameter file to start from.
    `last_batch` is for the examples that do not fill a batch: "keep" trains on them as on any batch, "discard" leaves
    them out, of the test images too (see `loader`), "damp" divides the sum of their gradients by the whole batch size,
    so that the last step of an epoch is a small one.
    `fit` says how images come to their size: "pad" leaves them as they are, in the middle of a background. The pixels
    0 and 255 become `background` and `foreground`. `schedule` is explained in `schedule`. `weights` "notebook" are the
    initial weights of every run of a notebook that does not seed MXNet (see `networks`): `seed` has no say in them.
    """

    model: str
    data: str = "fashion-mnist"
    subset: int | None = None
    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 0.01
    schedule: str = ""
    optimizer: str = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    resize: int | None = None
    fit: str = FIT[0]
    resize_in: str = RESIZE_IN[0]
    background: float = 0.0
    foreground: float = 1.0
    last_batch: str = LAST_BATCH[0]
    init: str = "xavier"
    weights: str = WEIGHTS[0]
    init_from: str | None = None
    seed: int = 0

    @classmethod
    def of(cls, model: str, **given) -> Settings:
        """What is `given` and not None; the rest as the network was published to be trained, or by default."""
        chosen = {name: value for name, value in given.items() if value is not None}
        return cls(model, **{**gluon_classics.model_info(model).training, **chosen})

    @property
    def pixels(self) -> tuple[float, float]:
        """What the pixels 0 and 255 become."""
        return self.background, self.foreground

    @property
    def size(self) -> int:
        """Side of the network's input in pixels."""
        return self.resize or gluon_classics.model_info(self.model).input_shape[1]
