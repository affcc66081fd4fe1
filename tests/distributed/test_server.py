"""The servers update the parameters as a trainer in one process does, and give and take the optimizer's states."""

from dataclasses import asdict

from gluon_classics.distributed.keys import Keys, first_after_boxes
from gluon_classics.distributed.server import Server
from gluon_classics.distributed.server_trainer import arrays_of
from gluon_classics.experiment.optimizers import make_optimizer
from gluon_classics.experiment.settings import ON_SERVERS, OPTIMIZERS, Settings
from mxnet import autograd, gluon, nd
import numpy as np
import pytest

WORKERS, STEPS = 3, 4
SHAPES = {"weight": (4, 3), "bias": (5,)}


def settings_of(optimizer):
    momentum = 0.9 if OPTIMIZERS[optimizer] else 0.0
    return Settings("lenet", optimizer=optimizer, learning_rate=0.01, momentum=momentum, weight_decay=0.1)


class Parameters:
    """The parameters of a trainer in one process, which updates them with the sum of the gradients."""

    def __init__(self, settings):
        self.all = gluon.ParameterDict()
        for name, shape in SHAPES.items():
            self.all.get(name, shape=shape)
        self.all.initialize()
        self.trainer = gluon.Trainer(list(self.all.values()), make_optimizer(settings))

    def step(self, gradients, size):
        with autograd.record():
            losses = [(p.data() * gradient).sum() for p, gradient in zip(self.all.values(), gradients)]
        autograd.backward(losses)
        self.trainer.step(size)


def started(settings, values, multipliers=None):
    """Return a server with these parameters, as the workers start it."""
    server = Server(None, lambda given: make_optimizer(Settings(**given)))
    given = {"optimizer": asdict(settings), "lr_mult": {}, "wd_mult": {}, **(multipliers or {})}
    server.command({"do": "optimize", "workers": WORKERS, "servers": 1, "parameters": len(values), **given})
    stored = [value.copy() for value in values]
    for index, value in enumerate(values):
        server.receive(KEYS.weight(index), value, stored[index])
    return server, stored


KEYS = Keys(WORKERS, 1, len(SHAPES))


def send(server, gradients, workers):
    """Send the gradients of these workers, in this order; `gradients` has a list of arrays for each worker."""
    for worker in workers:
        for index, gradient in enumerate(gradients[worker]):
            server.receive(KEYS.gradient(worker, index), gradient.reshape(-1), nd.zeros(gradient.size))


def drawn(step):
    rng = np.random.RandomState(step)
    return [[nd.array(rng.standard_normal(shape)) for shape in SHAPES.values()] for _ in range(WORKERS)]


def trained(optimizer, orders, multipliers=None, resumed_after=None):
    """Return the parameters of a server and those of one process after some steps."""
    settings = settings_of(optimizer)
    alone = Parameters(settings)
    for name, factors in (multipliers or {}).items():
        for parameter, factor in zip(alone.all.values(), factors):
            setattr(parameter, name, factor)
    by_number = {name: dict(enumerate(factors)) for name, factors in (multipliers or {}).items()}
    server, stored = started(settings, [p.data().reshape(-1) for p in alone.all.values()], by_number)
    for step in range(STEPS):
        size, rate = 10 + step, 0.01 / (1 + step)
        if step == resumed_after:
            server, stored = moved(server, stored, settings, by_number, step)
        server.command({"do": "rates", "learning_rate": rate, "rescale_grad": 1 / size})
        alone.trainer.set_learning_rate(rate)
        gradients = drawn(step)
        send(server, gradients, orders[step % len(orders)])
        totals = [a + b + c for a, b, c in zip(*gradients)]
        alone.step(totals, size)
    return stored, [p.data().reshape(-1) for p in alone.all.values()]


def moved(server, stored, settings, multipliers, step):
    """Return a new server with the parameters and the states of another one, as after a restart."""
    server.command({"do": "read states"})
    states = {}
    for index, state in server._updater.states.items():
        for slot, array in enumerate(arrays_of(state)):
            states[slot, index] = nd.zeros_like(array)
            server.receive(KEYS.state(slot, index), nd.zeros_like(array), states[slot, index])
    other, values = started(settings, stored, multipliers)
    other.command({"do": "write states", "updates": step})
    for (slot, index), array in states.items():
        other.receive(KEYS.state(slot, index), array, nd.zeros_like(array))
    return other, values


@pytest.mark.parametrize("resumed_after", [None, 2])
@pytest.mark.parametrize("optimizer", ON_SERVERS)
def test_a_server_updates_as_one_process_does(optimizer, resumed_after):
    """The sum of the gradients is the same exactly, and so is the update."""
    for ours, theirs in zip(*trained(optimizer, [(0, 1, 2)], resumed_after=resumed_after)):
        assert np.array_equal(ours.asnumpy(), theirs.asnumpy())


@pytest.mark.parametrize("orders", [[(2, 1, 0)], [(1, 0, 2), (2, 0, 1), (0, 2, 1)]])
def test_the_order_in_which_gradients_arrive_does_not_matter(orders):
    for ours, theirs in zip(*trained("sgd", orders)):
        assert np.array_equal(ours.asnumpy(), theirs.asnumpy())


def test_the_multipliers_of_parameters_reach_the_server():
    multipliers = {"lr_mult": (2.0, 1.0), "wd_mult": (1.0, 0.0)}
    changed, alone = trained("sgd", [(0, 1, 2)], multipliers)
    plain, _ = trained("sgd", [(0, 1, 2)])
    for ours, theirs, without in zip(changed, alone, plain):
        assert np.array_equal(ours.asnumpy(), theirs.asnumpy())
        assert not np.array_equal(ours.asnumpy(), without.asnumpy())


def test_nothing_is_updated_before_all_gradients_are_there():
    settings = settings_of("sgd")
    server, stored = started(settings, [nd.ones(12), nd.ones(5)])
    server.command({"do": "rates", "learning_rate": 0.1, "rescale_grad": 1.0})
    send(server, drawn(0), (0, 2))
    assert all((value.asnumpy() == 1).all() for value in stored)
    send(server, drawn(0), (1,))
    assert not any((value.asnumpy() == 1).any() for value in stored)


def test_the_sums_of_the_metrics_are_added_and_not_trained():
    server, _ = started(settings_of("adam"), [nd.ones(12), nd.ones(5)])
    sums = nd.zeros(2)
    server.receive(KEYS.weight(len(SHAPES)), nd.zeros(2), sums)
    for worker in range(WORKERS):
        server.receive(KEYS.gradient(worker, len(SHAPES)), nd.array([worker, 1]), nd.zeros(2))
    assert sums.asnumpy().tolist() == [3, 3]


def test_messages_are_stored_as_they_are():
    server, _ = started(settings_of("sgd"), [nd.ones(12), nd.ones(5)])
    stored = nd.zeros(3)
    server.receive(first_after_boxes(WORKERS) - 1, nd.array([1, 2, 3]), stored)
    assert stored.asnumpy().tolist() == [1, 2, 3]


def test_other_optimizers_are_not_for_servers():
    """They draw random numbers, need whole layers, or keep more than arrays between the updates."""
    others = ("dcasgd", "diagonallm", "lamb", "lars", "lbsgd", "nadam", "sgld")
    assert set(OPTIMIZERS) - set(ON_SERVERS) == set(others)
