"""Training runs: run folder, record, checkpoints, training, resuming, and prediction with a trained network."""

from gluon_classics._lazy import public_names

_HOMES = {
    "EpochRecord": "gluon_classics.utils.history",
    "Run": ".record",
    "RunFolder": ".folder",
    "RunRecord": ".record",
    "read_run": ".record",
    "run_training": ".runner",
}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
