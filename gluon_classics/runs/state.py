"""Save and restore the exact state of a training between two batches, as numbers and arrays.

The state is the parameters, the running statistics, and the optimizer's states and counts. A parameter whose values
differ between contexts, such as a running statistic, is saved once for each context. MXNet's `Trainer.save_states` is
not used because it pickles the optimizer.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, List, Sequence

from gluon_classics.errors import ClassicsError, RunError
from gluon_classics.experiment.build import Experiment
from gluon_classics.utils.history import EpochRecord
from gluon_classics.utils.metrics import RunningMetrics
from gluon_classics.utils.training import TrainingPosition
import msgspec
from mxnet import gluon, nd
import numpy as np

# attributes of an optimizer that its trainer sets, and an alias of an entry of _all_index_update_counts
_NOT_STATE = ("param_dict", "sym_info", "idx2name", "lr_scheduler", "_index_update_count")


def capture_trainer(net: gluon.nn.Block, trainer: gluon.Trainer) -> tuple[dict, dict]:
    """Return the state of a network and its trainer.

    Args:
        net: The network.
        trainer: Its trainer. It must have got the parameters as a list, in the order of the network.

    Returns:
        Facts for JSON, and the arrays that they name.

    Raises:
        ClassicsError: The optimizer holds something other than numbers, text and arrays.
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


def restore_trainer(net: gluon.nn.Block, trainer: gluon.Trainer, facts: dict, arrays: dict[str, np.ndarray]) -> None:
    """Restore a captured state.

    Args:
        net: A network with the same parameters.
        trainer: Its new trainer.
        facts: Facts from `capture_trainer`.
        arrays: Arrays from `capture_trainer`, as NumPy arrays.

    Raises:
        RunError: The state belongs to another network, or to another number of contexts.
    """
    parameters = net._collect_params_with_prefix()
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    if {name: arrays[_key(name, 0)].shape for name in facts["parameters"]} != shapes:
        raise RunError("it holds the parameters of another network")
    if facts["devices"] != len(trainer._contexts):
        raise RunError("it was written with another number of devices")
    _set_parameters(parameters, arrays)
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    # with several contexts this hands the parameters to the key-value store, and copies the first context's to all
    trainer._init_params()
    _set_parameters(parameters, arrays)
    optimizer, updaters = trainer.optimizer, _updaters(trainer)
    vars(optimizer).update(_unpack(facts["optimizer"], arrays))
    if optimizer.lr_scheduler:
        vars(optimizer.lr_scheduler).update(_unpack(facts["scheduler"], arrays))
    for updater, states in zip(updaters, facts["states"]):
        updater.states = _unpack(states, arrays)
        updater.states_synced = dict.fromkeys(updater.states, False)  # so that the updater moves them to their contexts


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
    """Return `value` for JSON and move its NDArrays to `arrays`. Raises TypeError for anything else."""
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


def capture(
    experiment: Experiment, position: TrainingPosition, epochs: Sequence[EpochRecord]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return everything that the rest of the training depends on.

    Args:
        experiment: The experiment.
        position: Position of the training.
        epochs: Metrics of the finished epochs.

    Returns:
        Facts for JSON, and the arrays that they name.

    Raises:
        ClassicsError: The optimizer holds something other than numbers, text and arrays.
    """
    state, arrays = capture_trainer(experiment.net, experiment.trainer)
    facts = {
        "settings": asdict(experiment.settings),
        "network": experiment.graph_digest,
        "epoch": position.epoch,
        "batches": position.batches,
        "metrics": position.metrics.state(),
        "seconds": position.seconds,
        "epochs": [asdict(epoch) for epoch in epochs],
        "state": state,
    }
    return facts, arrays


def restore(
    experiment: Experiment, facts: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[TrainingPosition, list[EpochRecord]]:
    """Restore a captured state in a new experiment.

    Returns:
        The position of the training, and the metrics of the finished epochs.

    Raises:
        RunError: The state belongs to another network, or to another number of devices.
    """
    if facts["network"] != experiment.graph_digest:
        raise RunError("its network has other layers than this version's")
    restore_trainer(experiment.net, experiment.trainer, facts["state"], arrays)
    metrics = RunningMetrics.of_state(facts["metrics"])
    position = TrainingPosition(facts["epoch"], facts["batches"], metrics, facts["seconds"])
    return position, msgspec.convert(facts["epochs"], List[EpochRecord])
