"""Test that fingerprints estimate distances and survive JSON."""

import json

from gluon_classics.porting.fingerprint import Fingerprint, estimated_error, fingerprint
import numpy as np
import pytest


@pytest.mark.parametrize("difference", ["everywhere", "one image", "shifted"])
def test_error_is_estimated_within_a_factor_of_two(rng, difference):
    ratios = []
    for _ in range(40):
        reference = rng.normal(size=(2, 30, 12, 12))
        port = reference.copy()
        if difference == "everywhere":
            port += 1e-3 * rng.normal(size=port.shape)
        elif difference == "one image":
            port[1] *= 1.01
        else:
            port = np.roll(port, 1, axis=3)
        true = np.linalg.norm(port - reference) / np.linalg.norm(reference)
        ratios.append(estimated_error(fingerprint(port), fingerprint(reference)) / true)
    # the standard deviation of one estimate is 9 %: a factor of 2 is more than five of them, either way
    assert min(ratios) > 0.5
    assert max(ratios) < 2
    assert 0.9 < np.median(ratios) < 1.1


def test_permutation_changes_the_fingerprint_but_not_the_norm(rng):
    array = rng.normal(size=(2, 8, 4, 4))
    before, after = fingerprint(array), fingerprint(array[:, ::-1])
    assert before.l2 == pytest.approx(after.l2)
    assert estimated_error(after, before) > 0.5
    np.testing.assert_allclose(before.channel_means, after.channel_means[::-1])


def test_other_shape_is_infinitely_far():
    assert estimated_error(fingerprint(np.ones((2, 3))), fingerprint(np.ones((3, 2)))) == float("inf")


@pytest.mark.parametrize("array", [np.float32(2.5), np.zeros((2, 0, 3)), np.array([1, -5]), np.zeros(3)])
def test_odd_tensors_have_fingerprints(array):
    found = fingerprint(array, 1e-6)
    assert found.l2 == pytest.approx(np.linalg.norm(np.asarray(array, float)))
    back = Fingerprint.from_json(json.loads(json.dumps(found.to_json())))
    assert estimated_error(back, found) == 0
    assert back.rounding == 1e-6


def test_large_tensor_is_hashed_like_its_parts(rng):
    array = rng.normal(size=(1 << 20) + 5)
    last = array.copy()
    last[:-5] = 0
    assert fingerprint(last).l2 == pytest.approx(np.linalg.norm(array[-5:]))
    assert estimated_error(fingerprint(array - last), fingerprint(array)) == pytest.approx(
        np.linalg.norm(fingerprint(last).sums) / np.linalg.norm(array)
    )


def test_damaged_fingerprint_is_refused():
    row = fingerprint(np.ones(3)).to_json()
    for damage in ({"sums": "!"}, {"sums": "AAAA"}, {"shape": None}, {"l2": "x"}):
        with pytest.raises(ValueError, match="not a fingerprint"):
            Fingerprint.from_json({**row, **damage})
