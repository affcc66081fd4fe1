"""The recipes agree with each other, and what they are compared with follows from their published values."""

from dataclasses import FrozenInstanceError, replace
import json
import math
import re
import statistics

from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.optimizers import rate_factor
from gluon_classics.reproduction.equivalence import Target
from gluon_classics.reproduction.formatting import as_dict
from gluon_classics.reproduction.recipes import NOT_PUBLISHED, Builds, PublishedRun, at_chance, get_recipe, list_recipes
from gluon_classics.utils.history import METRICS
import pytest

RECIPES = {recipe.name: recipe for recipe in list_recipes()}
D = "fashion-mnist"
CHANCE = math.log(10)  # loss of a network that has learned nothing; its accuracy is .1
LENET = RECIPES[f"lenet_d2l-{D}-d2l-0.17"]


def test_names_are_unique():
    assert len(RECIPES) == len(list_recipes())


@pytest.mark.parametrize(
    ("suffix", "changes"),
    [
        ("-keep", {"last_batch": "keep"}),
        ("-first-unseeded", {"weights": "unseeded"}),
        ("-0.17-unseeded", {"weights": "unseeded-numpy"}),
    ],
)
def test_our_variants_of_a_recipe_differ_in_one_setting(suffix, changes):
    variants = [name for name in RECIPES if name.endswith(suffix)]
    assert variants
    for name in variants:
        original, variant = RECIPES[name.rpartition("-")[0]], RECIPES[name]
        assert variant.settings == replace(original.settings, **changes) != original.settings
        assert (variant.runs, variant.builds) == (original.runs, original.builds)


def test_recipes_without_a_published_value_say_so():
    for recipe in RECIPES.values():
        assert bool(recipe.published()) == (not any(note.startswith(NOT_PUBLISHED) for note in recipe.notes))


NOT_TRACED = {  # published results whose repository or commit we do not know
    *("a public run, repository not known", "an exercise with this code, authors unknown"),
    *("build A, January 2019", "build B, March 2020", "build C, December 2020"),
    "the paper, section III, test error .95 % without distortions",
}


def test_published_results_name_a_repository_and_a_commit_except_for_known_ones():
    """Those on ImageNet may name a table of a paper."""
    recipes = [recipe for recipe in RECIPES.values() if recipe.settings.data != "imagenet"]
    sources = {run.source for recipe in recipes for run in recipe.runs}
    sources |= {recipe.builds.source for recipe in recipes if recipe.builds}
    assert {source for source in sources if not re.search(r" (at|to) [0-9a-f]{7,8}\b", source)} == NOT_TRACED


def with_runs(*runs, builds=None):
    """A recipe of ten epochs with other published results."""
    return replace(LENET, runs=runs, builds=builds)


def test_single_runs_from_several_sources_are_one_sample():
    recipe = with_runs(
        PublishedRun("the authors", 10, 0.40, 0.82, 0.85),
        PublishedRun("the original software, seed 0", 10, 0.44, 0.83),
        PublishedRun("the original software, seed 0", 5, 0.60),
    )
    assert recipe.target("train_loss") == Target(2, pytest.approx(0.42), pytest.approx(0.02828, abs=1e-5), 0.01, 0.0005)
    assert (recipe.target("train_accuracy").n, recipe.target("test_accuracy").n) == (2, 1)
    assert recipe.target("test_accuracy").sd is None


def test_builds_are_compared_instead_of_single_runs_where_they_have_the_metric():
    recipe = with_runs(PublishedRun("somebody", 10, 0.4, 0.8, 0.8), builds=Builds("builds", 11, (0.45, None)))
    assert recipe.target("train_loss") == Target(11, 0.45, None, 0.01, 0.0005)
    assert recipe.target("train_accuracy").n == 1


@pytest.mark.parametrize(("decimals", "rounding"), [(2, 0.005), (3, 0.0005), (4, 0.00005)])
def test_the_rounding_of_accuracies_is_that_of_the_coarsest_source(decimals, rounding):
    fine, coarse = PublishedRun("a", 10, 0.4, 0.82, decimals=5), PublishedRun("b", 10, 0.4, 0.83, decimals=decimals)
    recipe = with_runs(fine, coarse)
    assert recipe.target("train_accuracy").rounding == pytest.approx(rounding)
    assert recipe.target("train_loss").rounding == 0.0005, "losses have three decimals or more"


def test_sources_that_round_to_two_decimals_are_known():
    by_source = {}
    for recipe in RECIPES.values():
        for run in recipe.runs:
            known = [value for value in (run.train_accuracy, run.test_accuracy) if value is not None]
            by_source.setdefault((run.source, run.decimals), []).extend(known)
    for (source, decimals), values in by_source.items():
        is_coarse = all(value == round(value, 2) for value in values)
        assert is_coarse or decimals > 2, f"{source} has more than two decimals"
        assert not is_coarse or decimals == 2 or len(values) < 4, f"{source} has two decimals"


def test_equal_rounded_values_may_differ_by_their_rounding():
    recipe = with_runs(PublishedRun("a", 10, 0.108), PublishedRun("b", 10, 0.108))
    assert recipe.target("train_loss").sd == pytest.approx(0.0005 / math.sqrt(3))


def test_published_runs_at_chance_are_counted_and_not_averaged():
    stuck, learned = PublishedRun("a", 10, 2.303, 0.1, 0.1), PublishedRun("b", 10, 0.4, 0.8, 0.8)
    recipe = with_runs(stuck, learned, builds=Builds("builds", 60, failed=4))
    assert recipe.target("train_loss").mean == 0.4
    assert recipe.published_failures() == (5, 62)


@pytest.mark.parametrize(
    ("train", "test", "stuck"),
    [(0.098, 0.1, True), (0.104, None, True), (0.102, 0.186, False), (0.17, 0.10, False), (None, None, False)],
)
def test_a_run_is_at_chance_if_no_known_accuracy_is_better_than_guessing(train, test, stuck):
    """The mean accuracy of an epoch in which the network leaves its plateau late may be that of guessing."""
    assert at_chance(PublishedRun("somebody", 1, 2.302, train, test)) == stuck


def test_no_published_run_of_a_recipe_is_at_chance():
    """NiN with the blog's learning rate ends at a loss of 2.290, but an accuracy of .17."""
    for recipe in RECIPES.values():
        assert recipe.published_failures()[0] == (recipe.builds.failed if recipe.builds else 0)
        for run in recipe.runs:
            assert not at_chance(run) or run.epoch < recipe.settings.epochs


def test_a_network_that_learns_nothing_reproduces_no_recipe():
    for recipe in RECIPES.values():
        loss, accuracy = recipe.target("train_loss"), recipe.target("test_accuracy")
        if loss:
            assert loss.mean + loss.margin < CHANCE
        if accuracy:
            assert accuracy.mean - accuracy.margin > 0.1


def test_every_published_value_names_its_source():
    for recipe in RECIPES.values():
        assert recipe.edition
        for entry in (*recipe.runs, *filter(None, [recipe.builds])):
            assert entry.source


def test_all_published_metrics_are_listed():
    recipe = RECIPES[f"lenet-{D}-scratch"]
    points = [point for point in recipe.published() if point.metric == "train_loss"]
    assert [(point.epochs, point.value, point.sd) for point in points] == [
        (1, 2.302478, 0), (5, 0.463232, 0), (5, 0.520524, 0), (5, 0.461873, 0),
    ]  # fmt: skip
    assert statistics.mean(point.value for point in points[1:]) == recipe.target("train_loss").mean
    spreads = {point.metric: point.sd for point in LENET.published()}
    assert spreads == dict(zip(METRICS, (0.002, 0.001, 0.024)))


def test_the_lenet_for_cifar10_is_trained_as_in_main_py_of_its_source():
    """Rates of README.md, whose epochs count from 1: 1e-3 to epoch 74, 5e-4 to 149, then 2.5e-4."""
    settings = RECIPES["lenet_cifar10-cifar10-pytorch-cifar10"].settings
    rates = [settings.learning_rate * rate_factor(settings.schedule, epoch - 1, 200) for epoch in (1, 74, 75, 149, 150)]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4])
    others = (settings.optimizer, settings.batch_size, settings.epochs, settings.init, settings.augment)
    assert others == ("adam", 100, 200, "pytorch", "flip")
    assert settings.reported == "best"


def test_the_recipes_with_pytorchs_builds_draw_weights_as_these_builds_do():
    """RegNet's notebook applies Xavier initialization before the first forward pass, when its layers are still lazy."""
    found = {name: recipe.settings.init for name, recipe in RECIPES.items() if recipe.edition == "D2L 1.0, PyTorch"}
    assert found == {
        "lenet_bn_scratch-fashion-mnist-d2l-1.0-xavier": "xavier",
        "lenet_bn-fashion-mnist-d2l-1.0-xavier": "xavier",
        "regnetx32_d2l-fashion-mnist-d2l-1.0": "pytorch",
    }
    assert {RECIPES[name].builds.source for name in found} == {
        "11 official builds, d2l-ai/d2l-pytorch-colab to f854371"
    }


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
    said = json.loads(json.dumps(as_dict(LENET)))
    assert said["targets"]["train_loss"] == {"n": 87, "mean": 0.472, "sd": 0.002, "margin": 0.01, "rounding": 0.0005}
    assert said["settings"]["learning_rate"] == 0.9
