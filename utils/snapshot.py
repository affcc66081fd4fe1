"""A training between two batches, as facts and arrays for a checkpoint, and back."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from .errors import RunError
from .experiment import Experiment
from .metrics import Tally
from .training import EpochResult, Position
from .training_state import capture, restore


def take(experiment: Experiment, position: Position, results: list[EpochResult]) -> tuple[dict, dict]:
    """All that the rest of the training depends on, where it stands now and after these results.

    Raises ClassicsError for an optimizer whose state cannot be written.
    """
    state, arrays = capture(experiment.net, experiment.trainer)
    facts = {
        "settings": asdict(experiment.settings),
        "network": experiment.graph_digest,
        "epoch": position.epoch,
        "batches": position.batches,
        "tally": position.tally.state(),
        "seconds": position.seconds,
        "results": [asdict(result) for result in results],
        "state": state,
    }
    return facts, arrays


def put_back(experiment: Experiment, facts: dict, arrays: dict[str, np.ndarray]) -> tuple[Position, list[EpochResult]]:
    """Give a new experiment a state that was taken; returns where it stands, and the results so far.

    Raises RunError if it is that of another network, or of another number of devices.
    """
    if facts["network"] != experiment.graph_digest:
        raise RunError("its network has other layers than this version's")
    restore(experiment.net, experiment.trainer, facts["state"], arrays)
    position = Position(facts["epoch"], facts["batches"], Tally.of_state(facts["tally"]), facts["seconds"])
    results = [EpochResult(**{**row, "curve": tuple(map(tuple, row["curve"]))}) for row in facts["results"]]
    return position, results
