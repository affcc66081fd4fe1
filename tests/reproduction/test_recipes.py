"""The recipes agree with each other and with the reasons that they give."""

from dataclasses import FrozenInstanceError, replace
import json
import math

from gluon_classics.errors import ClassicsError
from gluon_classics.reproduction.equivalence import Range, Spread
from gluon_classics.reproduction.formatting import as_dict
from gluon_classics.reproduction.recipes import LEAST_MARGIN, Builds, get_recipe, list_recipes
from gluon_classics.utils.history import METRICS
import pytest

RECIPES = {recipe.name: recipe for recipe in list_recipes()}
D = "fashion-mnist"
CHANCE = math.log(10)  # loss of a network that has learned nothing; its accuracy is .1


def test_names_are_unique():
    assert len(RECIPES) == len(list_recipes())


@pytest.mark.parametrize(
    ("suffix", "changes"), [("keep", {"last_batch": "keep"}), ("unseeded", {"weights": "unseeded"})]
)
def test_our_variants_of_a_recipe_differ_in_one_setting(suffix, changes):
    variants = [name for name in RECIPES if name.endswith(f"-{suffix}")]
    assert variants
    for name in variants:
        original, variant = RECIPES[name[: -len(suffix) - 1]], RECIPES[name]
        assert variant.settings == replace(original.settings, **changes) != original.settings
        assert (variant.runs, variant.builds, variant.widening) == (original.runs, original.builds, original.widening)


def test_the_train_loss_decides_where_it_is_published_and_the_test_accuracy_elsewhere():
    for recipe in RECIPES.values():
        if recipe.target("train_loss"):
            assert recipe.deciding == "train_loss"
        elif recipe.target("test_accuracy"):
            assert recipe.deciding == "test_accuracy"
        else:
            assert not any(map(recipe.target, METRICS))
            assert "no published result is known; ours is the first" in recipe.notes


def test_every_range_of_single_runs_has_a_reason():
    for recipe in RECIPES.values():
        for target in filter(None, map(recipe.target, METRICS)):
            if isinstance(target, Range):
                assert target.low < target.high
                assert recipe.widening.why


@pytest.mark.parametrize(("sd", "margin"), [(0.001, 0.005), (0.0025, 0.005), (0.01, 0.02)])
def test_a_mean_may_be_two_standard_deviations_from_the_builds_but_at_least_half_a_percent(sd, margin):
    assert Builds("somebody", 10, train_loss=(0.4, sd)).spread("train_loss") == Spread(10, 0.4, sd, margin)


def test_a_network_that_learns_nothing_reproduces_no_recipe():
    for recipe in RECIPES.values():
        loss, accuracy = recipe.target("train_loss"), recipe.target("test_accuracy")
        if loss:
            assert (loss.high if isinstance(loss, Range) else loss.mean + loss.margin) < CHANCE
        if accuracy:
            assert (accuracy.low if isinstance(accuracy, Range) else accuracy.mean - accuracy.margin) > 0.1


def test_every_published_value_names_its_source():
    for recipe in RECIPES.values():
        assert recipe.edition
        for entry in (*recipe.runs, *filter(None, [recipe.builds])):
            assert entry.source


def published(recipe, metric):
    """The values of single runs after the last epoch."""
    values = [getattr(run, metric) for run in recipe.runs if run.epoch == recipe.settings.epochs]
    return [value for value in values if value is not None]


def span(values):
    return max(values) - min(values)


REASONS = {  # how much of the loss a reason for widening its range means, from the published values
    "less than the losses of the": None,  # the range is widened by its length
    "half of what the four runs span": lambda recipe: (
        span([run.train_loss for run in RECIPES[f"lenet-{D}-gluon"].runs if run.epoch == 5]) / 2
    ),
    "one run: 1.3 % of the loss": lambda recipe: 0.013 * published(recipe, "train_loss")[0],
    "one run: twice the 1.8 %": lambda recipe: 2 * 0.018 * published(recipe, "train_loss")[0],
    "10 % of the loss": lambda recipe: 0.1 * published(recipe, "train_loss")[0],
    "half of the way to chance": lambda recipe: (CHANCE - published(recipe, "train_loss")[0]) / 2,
    "four fifths of the way to chance": lambda recipe: 0.8 * (CHANCE - published(recipe, "train_loss")[0]),
    "about what the three runs span": lambda recipe: span(published(recipe, "train_loss")),
    "one run of another framework: about 12 %": lambda recipe: 0.12 * published(recipe, "train_loss")[0],
    "rounding, and what other versions": lambda recipe: LEAST_MARGIN,
    "no spread is published; what the three builds": lambda recipe: span(
        published(RECIPES[f"nin-{D}-d2l-first"], "train_loss")
    ),
}


@pytest.mark.parametrize("name", [name for name in RECIPES if isinstance(RECIPES[name].target("train_loss"), Range)])
def test_the_range_of_the_loss_is_widened_as_its_reason_says(name):
    """The values are rounded to two digits or so, hence the tolerance."""
    recipe = RECIPES[name]
    (expected,) = [rule for reason, rule in REASONS.items() if recipe.widening.why.startswith(reason)]
    if expected is None:
        assert recipe.widening.train_loss < span(published(recipe, "train_loss"))
    else:
        assert recipe.widening.train_loss == pytest.approx(expected(recipe), rel=0.12)


ACCURACY_REASONS = {  # the same for the test accuracy, where it decides
    "one run: two standard deviations of the share of 10,000 images, at 99 %": 2 * math.sqrt(0.99 * 0.01 / 10_000),
    "the paper gives about .1 % as the uncertainty": 0.001,
    "the best of an unknown number of runs: .02 is a guess": 0.02,
}


@pytest.mark.parametrize(
    "name", [name for name, recipe in RECIPES.items() if recipe.runs and recipe.deciding == "test_accuracy"]
)
def test_the_range_of_a_deciding_accuracy_is_widened_as_its_reason_says(name):
    recipe = RECIPES[name]
    (expected,) = [value for reason, value in ACCURACY_REASONS.items() if recipe.widening.why.startswith(reason)]
    assert recipe.widening.accuracy == pytest.approx(expected, rel=0.01)


def test_the_error_of_an_unknown_recipe_names_similar_ones():
    with pytest.raises(ClassicsError, match=r"did you mean 'nin-fashion-mnist-tutorial' or .*'nin-fashion-mnist-d2l"):
        get_recipe("nin")
    with pytest.raises(ClassicsError, match=r"did you mean 'lenet_d2l-fashion-mnist-d2l-1\.0'"):
        get_recipe("lenet_d2l-fashion-mnist-d2l-1.1")
    with pytest.raises(
        ClassicsError, match=r"did you mean 'lenet_d2l-fashion-mnist-d2l-0\.17' or .*recipes' shows all$"
    ):
        get_recipe("lenet_d2l")
    with pytest.raises(ClassicsError, match=r"did you mean 'nin-fashion-mnist"):
        get_recipe("nin-blog")
    with pytest.raises(ClassicsError, match=r"^unknown recipe '\?': 'gluon-classics recipes' shows all$"):
        get_recipe("?")


def test_a_recipe_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        RECIPES[f"lenet-{D}-scratch"].variant = "other"


def test_a_recipe_can_be_written_as_json():
    said = json.loads(json.dumps(as_dict(RECIPES[f"lenet_d2l-{D}-d2l-0.17"])))
    assert said["targets"]["train_loss"] == {"kind": "spread", "n": 87, "mean": 0.472, "sd": 0.002, "margin": 0.005}
    assert said["deciding"] == "train_loss"
    assert said["settings"]["learning_rate"] == 0.9
