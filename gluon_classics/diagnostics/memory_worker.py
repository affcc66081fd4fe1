"""Print the free memory of each device in JSON, and the largest batch that `train` would accept. `doctor` runs it."""

from __future__ import annotations

import json

from gluon_classics import model_info
from gluon_classics.experiment.batch_memory import training_room
from gluon_classics.experiment.build import build
from gluon_classics.inspection.summary import summarize
from gluon_classics.utils.context import try_all_gpus
import mxnet as mx

from .doctor import EXAMPLE_NETWORK


def rooms(contexts: list[mx.Context]) -> list[dict]:
    """Return the room of each device; see `doctor.memory_check`.

    Args:
        contexts: The devices.
    """
    info = model_info(EXAMPLE_NETWORK)
    counts = summarize(build(EXAMPLE_NETWORK, info.classes, trained=True), info.input_shape)
    found = []
    for ctx in contexts:
        try:
            room = training_room(counts, [ctx])._asdict()
        except (AttributeError, mx.base.MXNetError):  # this MXNet, or the driver, does not tell
            room = {"images": None, "available": None}
        found.append({"device": "main memory" if ctx.device_type == "cpu" else str(ctx), **room})
    return found


if __name__ == "__main__":
    print(json.dumps(rooms(list(dict.fromkeys([mx.cpu(), *try_all_gpus()])))))
