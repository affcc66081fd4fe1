"""Port a network to another framework: descriptions, exported files, reference traces, and comparison of a port."""

from gluon_classics._lazy import public_names

_HOMES = {
    "Graph": ".graph",
    "Recorder": ".recorder",
    "ReferenceTrace": ".reference_trace",
    "assert_conforms": ".comparison",
    "compare": ".comparison",
}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
