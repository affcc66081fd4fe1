"""What decides a run; known without loading MXNet."""

from __future__ import annotations

from dataclasses import dataclass

import gluon_classics

RESIZE_IN = ("uint8", "float32", "published")
LAST_BATCH = ("keep", "discard")


@dataclass(frozen=True)
class Settings:
    """The settings of a run. The defaults are the blog's `do_exp`, at the network's own input size.

    `resize` is the side of the images in pixels; None means the network's own input.
    `resize_in` and `last_batch` are explained in `loader`; `init_from` is a parameter file to start from.
    """

    model: str
    data: str = "fashion-mnist"
    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 0.01
    optimizer: str = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    resize: int | None = None
    resize_in: str = RESIZE_IN[0]
    last_batch: str = LAST_BATCH[0]
    init_from: str | None = None
    seed: int = 0

    @property
    def size(self) -> int:
        """Side of the network's input in pixels."""
        return self.resize or gluon_classics.model_info(self.model).input_shape[1]
