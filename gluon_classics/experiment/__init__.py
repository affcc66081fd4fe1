"""An experiment, from its settings to a network, data loaders and a trainer that are ready to train."""

from gluon_classics._lazy import public_names

_HOMES = {"Experiment": ".build", "Settings": ".settings", "prepare": ".build"}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
