"""Each array has its own key, and related arrays are on the same server."""

import itertools

from gluon_classics.distributed.keys import (
    BOXES,
    GRADIENT,
    STATE,
    TURNS,
    WEIGHT,
    Keys,
    Place,
    box,
    first_after_boxes,
)
import pytest

SLOTS = 4  # arrays of an optimizer's state, more than any has

SIZES = [(1, 1, 0), (2, 1, 5), (2, 2, 5), (3, 2, 4), (3, 4, 10), (5, 3, 62), (16, 7, 161)]
with_sizes = pytest.mark.parametrize(("workers", "servers", "parameters"), SIZES)
MXNET_FACTOR = 9973  # MXNet's server of a small array is (key * 9973) % servers


def places_of(keys):
    """Return what each key stands for; the number after the parameters is that of the metrics."""
    numbers = range(keys.parameters + 1)
    return [
        *((keys.weight(index), Place(WEIGHT, 0, index)) for index in numbers),
        *(
            (keys.gradient(worker, index), Place(GRADIENT, worker, index))
            for worker, index in itertools.product(range(keys.workers), numbers)
        ),
        *(
            (keys.state(slot, index), Place(STATE, slot, index))
            for slot, index in itertools.product(range(SLOTS), numbers)
        ),
    ]


def boxes_of(workers):
    return [
        box(worker, workers, size, turn)
        for worker, size, turn in itertools.product(range(workers), BOXES, range(TURNS))
    ]


@with_sizes
def test_all_arrays_have_different_keys(workers, servers, parameters):
    keys = Keys(workers, servers, parameters)
    used = [key for key, _ in places_of(keys)] + boxes_of(workers)
    assert len(used) == (parameters + 1) * (1 + workers + SLOTS) + len(BOXES) * TURNS * workers
    assert len(set(used)) == len(used)


@with_sizes
def test_a_key_leads_back_to_what_it_stands_for(workers, servers, parameters):
    keys = Keys(workers, servers, parameters)
    for key, place in places_of(keys):
        assert keys.place(key) == place


@with_sizes
def test_mailboxes_come_before_all_other_keys_and_leave_no_gap(workers, servers, parameters):
    """A server tells them apart by this limit, also before it knows the number of servers and parameters."""
    assert sorted(boxes_of(workers)) == list(range(first_after_boxes(workers)))
    assert min(key for key, _ in places_of(Keys(workers, servers, parameters))) >= first_after_boxes(workers)


@with_sizes
def test_all_arrays_of_a_parameter_are_on_one_server(workers, servers, parameters):
    for factor in (1, MXNET_FACTOR):
        used = {}
        for key, place in places_of(Keys(workers, servers, parameters)):
            used.setdefault(place.parameter, set()).add(key * factor % servers)
        assert {len(found) for found in used.values()} == {1}


def test_small_arrays_are_spread_over_all_servers():
    keys = Keys(2, 4, 8)
    assert {keys.weight(index) * MXNET_FACTOR % 4 for index in range(8)} == set(range(4))
