"""Save and restore the exact state of a training between two batches, as numbers and arrays.

The state is the parameters, the running statistics, and the optimizer's states and counts. A parameter whose values
differ between contexts, such as a running statistic, is saved once for each context of each worker. MXNet's
`Trainer.save_states` is not used because it pickles the optimizer.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Sequence

from gluon_classics._format import first_line
from gluon_classics.distributed.server_trainer import ServerTrainer
from gluon_classics.errors import ClassicsError, RunError, TrainingDiverged
from gluon_classics.experiment.build import Experiment
from gluon_classics.utils.history import EpochRecord
from gluon_classics.utils.metrics import RunningMetrics
from gluon_classics.utils.training import TrainingPosition
from mxnet import gluon, nd
import numpy as np

from .checkpoint import Damaged
from .checkpoint_facts import CheckpointFacts, MetricsFacts
from .record import check_validation

# attributes of an optimizer that its trainer sets, and an alias of an entry of _all_index_update_counts
_NOT_STATE = ("param_dict", "sym_info", "idx2name", "lr_scheduler", "_index_update_count")
# attributes that a training changes; the others follow from the settings, or from environment variables
_CHANGING = (
    *("lr", "rescale_grad", "num_update", "_all_index_update_counts", "scales"),
    *("skip", "last_lr", "cur_lr", "lbmult", "admult", "cumgrads", "weight_previous", "m_schedule"),
)
_LARGEST = 3.4e38  # a number of an optimizer, which float32 must hold
_FROM_ENVIRONMENT = ("aggregate_num", "allow_np_array")


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
    held = _held_by(trainer)
    of_all_workers = held.copies()
    for name, parameter in parameters.items():
        copies = of_all_workers.get(parameter.name) or parameter.list_data()
        alike = all(np.array_equal(copies[0].asnumpy(), copy.asnumpy(), equal_nan=True) for copy in copies[1:])
        for number, copy in enumerate(copies[:1] if alike else copies):
            arrays[_key(name, number)] = copy
    optimizer, scheduler = trainer.optimizer, trainer.optimizer.lr_scheduler
    try:
        facts = {
            "parameters": list(parameters),
            "devices": held.devices,
            "optimizer": _pack(_own(optimizer), arrays),
            "scheduler": _pack(vars(scheduler), arrays) if scheduler else None,
            "states": [_pack(states, arrays) for states in held.states()],
        }
    except TypeError as error:
        raise ClassicsError(f"the optimizer {type(optimizer).__name__} cannot be checkpointed: {error}") from error
    return facts, arrays


def restore_trainer(net: gluon.nn.Block, trainer: gluon.Trainer, facts: dict, arrays: dict[str, np.ndarray]) -> None:
    """Restore a captured state. Everything is checked before anything is changed.

    Args:
        net: A network with the same parameters.
        trainer: Its new trainer.
        facts: Facts from `capture_trainer`.
        arrays: Arrays from `capture_trainer`, as NumPy arrays.

    Raises:
        RunError: The state belongs to another network, or to another number of contexts.
        Damaged: The state is not one that a training can have.
    """
    parameters = net._collect_params_with_prefix()
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    held = _held_by(trainer)
    optimizer, scheduler = trainer.optimizer, trainer.optimizer.lr_scheduler
    try:
        shapes = [(name, parameter.shape) for name, parameter in parameters.items()]
        if [(name, arrays[_key(name, 0)].shape) for name in facts["parameters"]] != shapes:
            raise RunError("it holds the parameters of another network")
        if facts["devices"] != held.devices:
            raise RunError("it was written with another number of devices or workers")
        copies = {name: _copies(name, parameter, arrays, held.devices) for name, parameter in parameters.items()}
        attributes = _unpack(facts["optimizer"], arrays)
        _check_attributes(attributes, _own(optimizer))
        schedule = _unpack(facts["scheduler"], arrays)
        if (schedule is None) != (scheduler is None) or (scheduler and set(schedule) != set(vars(scheduler))):
            raise ValueError("its learning-rate schedule is not that of the settings")
        states = [_unpack(state, arrays) for state in facts["states"]]
        if len(states) != len(held.states()):
            raise ValueError("it has the states of another number of optimizers")
        _check_updates(attributes, states, trainer)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise Damaged(first_line(error)) from error
    _set_parameters(parameters, copies)
    vars(optimizer).update({name: value for name, value in attributes.items() if name not in _FROM_ENVIRONMENT})
    if scheduler:
        vars(scheduler).update(schedule)
    held.restore({parameter.name: copies[name] for name, parameter in parameters.items()}, states)


def _held_by(trainer):
    """Return what holds the parameters and states of a trainer on all devices: one on servers, or this process."""
    return trainer if isinstance(trainer, ServerTrainer) else _InThisProcess(trainer)


class _InThisProcess:
    """The methods of `ServerTrainer` that a checkpoint needs, for a trainer of Gluon.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: gluon.Trainer) -> None:
        self._trainer = trainer
        self.devices = len(trainer._contexts)

    def copies(self):
        """Return the values that other processes hold: none."""
        return {}

    def states(self):
        """Return the states of each of the trainer's optimizers."""
        return [updater.states for updater in self._updaters()]

    def restore(self, copies, states):
        """Set the values of each parameter on all devices, and the states."""
        # with several contexts this hands the parameters to the key-value store, and copies the first context's to all
        self._trainer._init_params()
        _set_parameters({parameter.name: parameter for parameter in self._trainer._params}, copies)
        for updater, state in zip(self._updaters(), states):
            updater.states = state
            updater.states_synced = dict.fromkeys(state, False)  # so that the updater moves them to their contexts

    def _updaters(self):
        trainer = self._trainer
        return [trainer._kvstore._updater] if trainer._update_on_kvstore else trainer._updaters


def _own(optimizer):
    return {name: value for name, value in vars(optimizer).items() if name not in _NOT_STATE}


def _copies(name, parameter, arrays, devices):
    """Return the saved values of a parameter for each device. Raises ValueError if they are not possible."""
    first = arrays[_key(name, 0)]
    copies = [arrays.get(_key(name, number), first) for number in range(devices)]
    for copy in copies:
        if copy.shape != parameter.shape or copy.dtype != np.dtype(parameter.dtype) or not np.isfinite(copy).all():
            raise ValueError(f"{name} has another shape or type, or values that are not finite")
    return copies


def _set_parameters(parameters, copies):
    for name, parameter in parameters.items():
        for array, copy in zip(parameter.list_data(), copies[name]):
            array[:] = copy


def _check_attributes(saved, fresh):
    """Raise ValueError if the attributes of an optimizer cannot follow from those that it has before training."""
    if set(saved) != set(fresh):
        raise ValueError("its optimizer has other attributes")
    for name, value in saved.items():
        if name not in (*_CHANGING, *_FROM_ENVIRONMENT) and repr(value) != repr(fresh[name]):
            raise ValueError(f"{name} of its optimizer is {value!r:.40}, not {fresh[name]!r:.40}")
        numbers = value is None or isinstance(value, (int, float))
        if numbers != (fresh[name] is None or isinstance(fresh[name], (int, float))):
            raise ValueError(f"{name} of its optimizer is a {type(value).__name__}")
        if numbers and not (value is None or 0 <= value <= _LARGEST or value == fresh[name]):
            raise ValueError(f"{name} of its optimizer is {value!r:.40}")


def _check_updates(saved, states, trainer):
    """Raise ValueError unless each parameter was updated as often as the others, and has its state."""
    trained = {index for index, parameter in enumerate(trainer._params) if parameter.grad_req != "null"}
    number = saved["num_update"]
    expected = dict.fromkeys(trained, number)
    counts = [count for count in saved["_all_index_update_counts"].values() if count]
    if not isinstance(number, int) or any(count != expected for count in counts) or bool(counts) != (number > 0):
        raise ValueError(f"its parameters were not all updated {number!r:.40} times")
    for device, state in enumerate(states):
        if set(state) != (trained if number else set()):
            raise ValueError("some parameters have no state of the optimizer")
        for index, value in state.items():
            weight = trainer._params[index].list_data()[device]
            form = _form(trainer.optimizer.create_state_multi_precision(index, weight))
            if _form(value) != form:
                raise ValueError(f"the state of {trainer._params[index].name} is {_form(value)}, not {form}")


def _form(state):
    """Return what must be equal in all states of a parameter: the kinds, shapes and types, without values."""
    if isinstance(state, (tuple, list)):
        return tuple(map(_form, state))
    return (state.shape, np.dtype(state.dtype).name) if isinstance(state, nd.NDArray) else type(state).__name__


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
        if len(dict(content)) < len(content):
            raise ValueError("two entries have the same key")
        return {key: _unpack(entry, arrays) for key, entry in content}
    return {"tuple": tuple, "list": list}[kind](_unpack(entry, arrays) for entry in content)


def capture(experiment: Experiment, position: TrainingPosition, epochs: Sequence[EpochRecord]) -> tuple[dict, dict]:
    """Return everything that the rest of the training depends on.

    Args:
        experiment: The experiment.
        position: Position of the training.
        epochs: Metrics of the finished epochs.

    Returns:
        Facts for JSON, and the arrays that they name.

    Raises:
        ClassicsError: The optimizer holds something other than numbers, text and arrays.
        TrainingDiverged: A parameter is infinite or not a number. Then an earlier checkpoint is worth more.
    """
    state, arrays = capture_trainer(experiment.net, experiment.trainer)
    for name in state["parameters"]:
        if not nd.all_finite(arrays[_key(name, 0)]).asscalar():
            raise TrainingDiverged(
                f"{name} became infinite or not a number in epoch {position.epoch}, after {position.batches:,} "
                f"batches: try a learning rate below {experiment.trainer.learning_rate:g}"
            )
    facts = CheckpointFacts(
        settings=asdict(experiment.settings),
        network=experiment.graph_digest,
        epoch=position.epoch,
        batches=position.batches,
        metrics=MetricsFacts(**position.metrics.state()),
        seconds=position.seconds,
        epochs=list(epochs),
        state=state,
    )
    return asdict(facts), arrays


def restore(
    experiment: Experiment, facts: CheckpointFacts, arrays: dict[str, np.ndarray]
) -> tuple[TrainingPosition, list[EpochRecord]]:
    """Restore a captured state in a new experiment.

    Returns:
        The position of the training, and the metrics of the finished epochs.

    Raises:
        RunError: The state belongs to another network, or to another number of devices.
        Damaged: The state is not one that this training can have.
    """
    if facts.network != experiment.graph_digest:
        raise RunError("its network has other layers than this version's")
    metrics = RunningMetrics.of_state(asdict(facts.metrics))
    if not experiment.streams.is_fixed_point(facts.batches) or metrics.examples > experiment.train_data.examples:
        raise Damaged(f"no training stops after {facts.batches} batches of {metrics.examples} images")
    try:
        check_validation(facts.epochs, experiment.settings)
    except ValueError as error:
        raise Damaged(str(error)) from error
    restore_trainer(experiment.net, experiment.trainer, facts.state, arrays)
    return TrainingPosition(facts.epoch, facts.batches, metrics, facts.seconds), facts.epochs
