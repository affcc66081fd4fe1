"""Compare an edition with its counterpart in another library.

`library` is the module that reads and fills the library's networks: `torch_layers` or `gluon_layers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple

from gluon_classics import get_model, model_info
import gluon_layers
from layer_lists import Layer, count, differences
from layer_values import Values, fill, random_images
import numpy as np

TOLERANCE = 1e-4  # relative to the largest logit
BATCH = 2
SEED = 20151210


@dataclass(frozen=True)
class Counterpart:
    """The network of a library that is closest to an edition, and all differences between their layers.

    Attributes:
        edition: Name of our network.
        build: Returns the library's network.
        read: Called with a network and its input shape, lists its layers in our order.
        differences: The result of `layer_lists.differences`.
        more_parameters: Number of parameters of the library's network minus that of ours.
        adapt: Called with the library's network and our layers, removes the differences that `rules` do not handle.
        rules: Translate values of the library's layers to values of ours.
        build_ours: Called with the edition, returns our network.
        width: Standard deviation of the images.
    """

    edition: str
    build: Callable[[], Any]
    read: Callable[[Any, tuple[int, int, int]], list[Layer]]
    differences: dict[Any, Any] = field(default_factory=dict)
    more_parameters: int = 0
    adapt: Callable[[Any, list[Layer]], None] = lambda net, our_layers: None
    rules: tuple[Callable[[list[Values]], list[Values]], ...] = ()
    build_ours: Callable[..., Any] = get_model
    width: float = 1.0

    def __str__(self):
        return self.edition

    @property
    def input_shape(self):
        return model_info(self.edition).input_shape

    def ours(self):
        """Return our network and its layers."""
        net = self.build_ours(self.edition)
        return net, gluon_layers.layers_of(net, self.input_shape)


class Pair(NamedTuple):
    """Both networks and their layers, with the same parameters, and images."""

    net: Any
    layers: list[Layer]
    theirs: Any
    their_layers: list[Layer]
    images: np.ndarray


def assert_differences_are_stated(library, counterpart):
    """Check that the layers have exactly the stated differences, and that every parameter belongs to a layer."""
    net, layers = counterpart.ours()
    theirs = counterpart.build()
    their_layers = counterpart.read(theirs, counterpart.input_shape)
    assert differences(layers, their_layers) == counterpart.differences
    assert gluon_layers.count(net) == count(layers)
    assert library.count(theirs) == count(their_layers) == count(layers) + counterpart.more_parameters


def filled(library, counterpart):
    """Return both networks with the same random values, after adapting the library's network."""
    rng = np.random.default_rng(SEED)
    net, layers = counterpart.ours()
    theirs = counterpart.build()
    counterpart.adapt(theirs, layers)
    their_layers = counterpart.read(theirs, counterpart.input_shape)
    images = random_images(rng, (BATCH, *counterpart.input_shape)) * np.float32(counterpart.width)
    values = fill(library, theirs, their_layers, images, rng)
    for rule in counterpart.rules:
        values = rule(values)
    gluon_layers.put(layers, values)
    return Pair(net, layers, theirs, their_layers, images)


def agree(ours, theirs):
    """Return whether logits, (N, classes), are equal up to 1e-4 of the largest."""
    assert ours.shape == theirs.shape
    scale = np.abs(theirs).max()
    assert np.ptp(theirs, axis=0).max() > 0.01 * scale, "the logits do not depend on the images"
    return bool(np.abs(ours - theirs).max() <= TOLERANCE * scale)
