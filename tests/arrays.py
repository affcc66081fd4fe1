"""Random arrays, and when two count as the same."""

import numpy as np


def numbers(rng, *shape, scale=1.0):
    """Normal random numbers in float32."""
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def assert_close(actual, expected, tolerance=1e-5):
    """Equal up to float32 rounding, measured against the largest entry (single ones may cancel out)."""
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def assert_all_close(actual, expected, tolerance=1e-5):
    """Each array of one sequence close to its counterpart, and of its type."""
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        assert a.dtype == b.dtype
        assert_close(a, b, tolerance)
