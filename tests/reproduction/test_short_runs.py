"""Short runs on real images land in the bands of their networks (`short_runs.py` measures them)."""

import json

from gluon_classics import list_models, model_info
import pytest
import short_runs

BANDS = json.loads(short_runs.BANDS.read_text())
WIDTH = 4  # standard deviations to either side: about one false alarm in 300 figures, from 10 runs
CHANCE = 0.1
SEED = 0


@pytest.mark.short
@pytest.mark.parametrize("name", list(short_runs.SHORT_RUNS))
def test_a_short_run_lands_in_its_band(name):
    result = short_runs.short_run(short_runs.SHORT_RUNS[name], SEED)
    assert result.test_accuracy > 3 * CHANCE
    for figure in ("train_loss", "test_accuracy"):
        band = BANDS[name][figure]
        assert getattr(result, figure) == pytest.approx(band["mean"], abs=WIDTH * band["sd"])


@pytest.mark.short
def test_nin_stays_near_chance_at_the_blogs_learning_rate():
    result = short_runs.short_run(short_runs.NIN_AT_THE_BLOGS_RATE, SEED)
    assert result.train_loss == pytest.approx(2.303, abs=0.02)


def test_every_network_of_the_blog_has_a_short_run_and_a_band_of_ten_runs():
    blogs = [name for name in list_models() if "the blog" in model_info(name).source]
    assert list(short_runs.SHORT_RUNS) == blogs
    for name in blogs:
        assert BANDS[name]["n"] >= 10
        assert BANDS[name]["test_accuracy"]["mean"] - BANDS[name]["test_accuracy"]["sd"] > 3 * CHANCE
