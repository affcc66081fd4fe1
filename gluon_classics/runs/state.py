"""What a network and its trainer know between two batches, as plain arrays and back, to the bit.

Parameters with all running statistics, and the optimizer's states and counts. A parameter is kept once for each context
where the contexts differ, as running statistics do. MXNet's own `Trainer.save_states` would pickle the optimizer.
"""

from __future__ import annotations

from dataclasses import asdict

from gluon_classics.errors import ClassicsError, RunError
from gluon_classics.experiment.build import Experiment
from gluon_classics.utils.metrics import Tally
from gluon_classics.utils.training import EpochResult, Position
from mxnet import gluon, nd
import numpy as np

# Of an optimizer: what its trainer gives it, and another name of what stands in _all_index_update_counts.
_NOT_STATE = ("param_dict", "sym_info", "idx2name", "lr_scheduler", "_index_update_count")


def capture(net: gluon.nn.Block, trainer: gluon.Trainer) -> tuple[dict, dict]:
    """The state as facts for JSON, and the arrays that they name.

    `trainer` must have its parameters in the order of the network, as a list. Raises ClassicsError for an optimizer
    that keeps something else than numbers and arrays.
    """
    nd.waitall()  # MXNet's engine does not know that the backward pass writes running statistics
    arrays: dict = {}
    parameters = net._collect_params_with_prefix()
    for name, parameter in parameters.items():
        copies = parameter.list_data()
        alike = all(np.array_equal(copies[0].asnumpy(), copy.asnumpy(), equal_nan=True) for copy in copies[1:])
        for number, copy in enumerate(copies[:1] if alike else copies):
            arrays[_key(name, number)] = copy
    optimizer, scheduler = trainer.optimizer, trainer.optimizer.lr_scheduler
    try:
        facts = {
            "parameters": list(parameters),
            "devices": len(trainer._contexts),
            "optimizer": _pack(_own(optimizer), arrays),
            "scheduler": _pack(vars(scheduler), arrays) if scheduler else None,
            "states": [_pack(updater.states, arrays) for updater in _updaters(trainer)],
        }
    except TypeError as error:
        raise ClassicsError(f"the optimizer {type(optimizer).__name__} cannot be checkpointed: {error}") from error
    return facts, arrays


def restore(net: gluon.nn.Block, trainer: gluon.Trainer, facts: dict, arrays: dict[str, np.ndarray]) -> None:
    """Put a captured state into a network that has its shapes, and into its new trainer.

    Raises RunError if it is the state of another network, or of another number of contexts.
    """
    parameters = net._collect_params_with_prefix()
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    if {name: arrays[_key(name, 0)].shape for name in facts["parameters"]} != shapes:
        raise RunError("it holds the parameters of another network")
    if facts["devices"] != len(trainer._contexts):
        raise RunError("it is of another number of devices")
    _set_parameters(parameters, arrays)
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    trainer._init_params()  # with several contexts the trainer keeps parameters too, and gives all the first one's
    _set_parameters(parameters, arrays)
    optimizer, updaters = trainer.optimizer, _updaters(trainer)
    vars(optimizer).update(_unpack(facts["optimizer"], arrays))
    if optimizer.lr_scheduler:
        vars(optimizer.lr_scheduler).update(_unpack(facts["scheduler"], arrays))
    for updater, states in zip(updaters, facts["states"]):
        updater.states = _unpack(states, arrays)
        updater.states_synced = dict.fromkeys(updater.states, False)  # they move to their contexts when used


def _updaters(trainer):
    return [trainer._kvstore._updater] if trainer._update_on_kvstore else trainer._updaters


def _own(optimizer):
    return {name: value for name, value in vars(optimizer).items() if name not in _NOT_STATE}


def _set_parameters(parameters, arrays):
    for name, parameter in parameters.items():
        for number, copy in enumerate(parameter.list_data()):
            copy[:] = arrays.get(_key(name, number), arrays[_key(name, 0)])


def _key(name, number):
    return f"{name}@{number}"


def _pack(value, arrays):
    """`value` as JSON can say it; NDArrays go to `arrays`. Raises TypeError for what is neither."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, nd.NDArray):
        name = f"state {len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(entry, arrays)] for key, entry in value.items()]}
    if isinstance(value, (tuple, list)):
        return {type(value).__name__: [_pack(entry, arrays) for entry in value]}
    raise TypeError(f"it keeps a {type(value).__name__}")


def _unpack(packed, arrays):
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "array":
        return nd.array(arrays[content], dtype=arrays[content].dtype)
    if kind == "dict":
        return {key: _unpack(entry, arrays) for key, entry in content}
    return {"tuple": tuple, "list": list}[kind](_unpack(entry, arrays) for entry in content)


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
