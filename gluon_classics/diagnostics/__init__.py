"""Checks of the installation (doctor) and of bit-identical training (certify)."""

from gluon_classics._lazy import public_names

_HOMES = {"certify": ".determinism", "examine": ".doctor"}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
