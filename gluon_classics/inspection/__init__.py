"""What a network consists of: summary, graph of layers, difference between two networks, and diagram."""

from gluon_classics._lazy import public_names

_HOMES = {"compare": ".diff", "draw": ".diagram.draw", "layers": ".layer_graph", "summarize": ".summary"}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
