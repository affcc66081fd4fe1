"""Compiled twins of networks: one static graph with the same parameters, rewritten to run faster on the CPU."""

from gluon_classics._lazy import public_names

_HOMES = {"for_inference": ".compiled", "hybridized": ".compiled"}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
