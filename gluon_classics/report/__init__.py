"""Reports about runs: an HTML page and TensorBoard event files."""

from gluon_classics._lazy import public_names

_HOMES = {"write_report": ".report"}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
