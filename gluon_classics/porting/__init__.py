"""Port a network to another framework: descriptions, exported files, reference traces, and comparison of a port."""

from gluon_classics._lazy import public_names

_HOMES = {
    **dict.fromkeys(("assert_conforms", "compare"), ".comparison.comparison"),
    "Graph": ".graph",
    "PortError": ".comparison.tensor_file",
    "Recorder": ".comparison.recorder",
    "ReferenceTrace": ".comparison.reference_trace",
    "Suite": ".comparison.suite",
    # these need MXNet
    "TraceOptions": ".reference.values",
    "capture": ".network.capture",
    "trace": ".reference.trace",
    **dict.fromkeys(("from_block", "from_symbol", "source"), ".network.sources"),
}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
