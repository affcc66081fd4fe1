"""The recipes of the ImageNet papers prepare images as they say, and their networks train on a small folder."""

from dataclasses import replace
import math
import re

from gluon_classics import model_info
from gluon_classics.data.augment_words import parse_augment
from gluon_classics.experiment.build import load_data, loaders
from gluon_classics.experiment.settings import parse_channels
from gluon_classics.reproduction.equivalence import NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED
from gluon_classics.reproduction.recipes import get_recipe, list_recipes
from gluon_classics.reproduction.reproduce import reproduce
from gluon_classics.reproduction.verdict import judge
import numpy as np
from PIL import Image
import pytest

RECIPES = {recipe.name: recipe for recipe in list_recipes() if recipe.settings.data == "imagenet"}
CLASSES, TRAINING, TESTS = 3, 4, 2  # classes, and images of each
MEAN = (124, 117, 104)  # the mean color of ImageNet, rounded
BATCH = 4
NOISE, SIDE = 40, 48  # standard deviation of the pixels around it, and the side of the grid on which they are drawn
# Levels that the mean of the test images may differ from the recipe's. The mean color, JPEG and resizing each round by
# half a level at most. A crop of 224 from 384 pixels has 28 x 28 of the pixels that were drawn; 4 standard errors.
LEVELS = 3 * 0.5 + 4 * NOISE / math.sqrt(28 * 28 * CLASSES * TESTS)
# networks that are trained, one of a family; the others take minutes
LIGHT = ("alexnet_2012", "resnet18_v1", "regnetx_200mf", "efficientnet_b0")
SLOW = ("vgg11", "googlenet_v1", "densenet121", "resnext50_32x4d", "se_resnet50")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with ImageNet's layout: images of 300 to 500 pixels whose mean color is that of ImageNet."""
    rng = np.random.RandomState(0)
    folder = tmp_path_factory.mktemp("images") / "imagenet"
    for part, count in (("train", TRAINING), ("val", TESTS)):
        for name in range(CLASSES):
            (folder / part / f"n{name:08}").mkdir(parents=True)
            for number in range(count):
                noise = rng.normal(0, NOISE, (SIDE, SIDE, 3)).clip(-100, 100)
                pixels = np.rint(noise - noise.mean(axis=(0, 1)) + MEAN).astype(np.uint8)
                size = tuple(int(side) for side in rng.randint(300, 501, 2))
                image = Image.fromarray(pixels).resize(size, Image.BILINEAR)
                image.save(folder / part / f"n{name:08}" / f"{number}.jpg", quality=95)
    return folder


def prepared(recipe, folder):
    """Return the recipe's settings on the folder in small batches, and the loaders."""
    changes = {"batch_size": BATCH, "micro_batch_size": None}
    if recipe.settings.validation_share:
        changes["validation_share"] = 0.25
    settings = replace(recipe.settings, data=str(folder), **changes)
    return settings, loaders(settings, load_data(settings))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_prepares_images_as_it_says(name, folder):
    settings, made = prepared(RECIPES[name], folder)
    size, key = settings.size, np.array([1, 2], np.uint64)
    numbers = np.arange(BATCH)
    images, labels = (array.asnumpy() for array in made.train.batch(numbers, key))
    assert images.shape == (BATCH, 3, size, size)
    assert images.dtype == np.float32
    assert np.isfinite(images).all()
    again = made.train.batch(numbers, key)[0].asnumpy()
    assert np.array_equal(images, again), "the same key gives the same images"
    other = made.train.batch(numbers, key + np.uint64(1))[0].asnumpy()
    assert not np.array_equal(images, other), "images are augmented"
    assert set(labels) <= set(range(CLASSES))

    tests = np.arange(CLASSES * TESTS)
    images, labels = (array.asnumpy() for array in made.test.batch(tests))
    crops = (10,) if settings.test_crops == "ten" else ()
    assert images.shape == (len(tests), *crops, 3, size, size)
    assert labels.tolist() == [label for label in range(CLASSES) for _ in range(TESTS)]
    assert np.array_equal(images, made.test.batch(tests)[0].asnumpy())
    std = np.array(parse_channels("std", settings.std))
    per_channel = images.mean(axis=tuple(axis for axis in range(images.ndim) if axis != images.ndim - 3))
    assert np.abs(per_channel * std * 255).max() < LEVELS, "the mean color becomes 0"
    assert np.abs(images * std.reshape(-1, 1, 1)).max() <= 1, "the rest of the scale is that of std"


def test_there_is_a_recipe_for_each_family_of_papers():
    families = {model_info(recipe.settings.model).family for recipe in RECIPES.values()}
    expected = {"alexnet", "vgg", "googlenet", "resnet", "densenet", "resnext", "senet", "regnet", "efficientnet"}
    assert families == expected
    assert {model_info(name).family for name in (*LIGHT, *SLOW)} == expected


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_the_settings_of_its_edition_and_says_what_differs(name):
    recipe = RECIPES[name]
    settings, info = recipe.settings, model_info(recipe.settings.model)
    changed = {
        key: (value, getattr(settings, key)) for key, value in info.training.items() if value != getattr(settings, key)
    }
    allowed = {"googlenet_v1": {"weight_decay"}}.get(info.name, set()) | {"image_size"}
    assert set(changed) <= allowed
    assert any(operation.crops for operation in parse_augment(settings.augment))
    told = " ".join(recipe.notes)
    for part in info.not_done:
        assert part in told or part.startswith(("tests on", "batch size"))
    assert recipe.short is None


@pytest.mark.parametrize("name", RECIPES)
def test_a_target_is_the_published_error_of_its_source(name):
    recipe = RECIPES[name]
    (source,) = [run.source for run in recipe.runs] or [recipe.builds.source]
    place, _, percents = source.rpartition(": ")
    assert re.search(r"(arXiv:\d{4}\.\d{4,5}|NIPS 2012), table \d|README\.md|MODEL_ZOO\.md", place)
    found = dict(map(target_of, percents.split(", ")))
    assert recipe.metrics == tuple(found)
    if recipe.metrics != ("test_accuracy", "test_top_5_accuracy"):
        assert (len(found), "test_accuracy" in found) == (1, name != "googlenet_v1-imagenet-paper")
    for metric, (share, rounding) in found.items():
        target = recipe.target(metric)
        assert (target.mean, target.rounding) == (pytest.approx(share), pytest.approx(rounding))


def target_of(words):
    """Return metric, fraction and half a unit of the last place of words such as "24.52 % top-1 error"."""
    percent, number, what = re.fullmatch(r"([\d.]+) % top-([15]) (error|accuracy)", words).groups()
    share = float(percent) / 100
    rounding = 0.5 * 10 ** -(len(percent.partition(".")[2]) + 2)
    return {"1": "test_accuracy", "5": "test_top_5_accuracy"}[number], (
        share if what == "accuracy" else 1 - share,
        rounding,
    )


def test_the_top_5_accuracies_of_runs_are_compared(make_record):
    """GoogLeNet's paper prints nothing else: 10.07 % top-5 error."""
    recipe = get_recipe("googlenet_v1-imagenet-paper")
    runs = [make_record(recipe.name, seed, test=0.7) for seed in range(5)]
    spread = (0.899, 0.8993, 0.8995, 0.8990, 0.9)
    runs = [replace(run, epochs=with_top_5(run, value)) for run, value in zip(runs, spread)]
    verdict = judge(recipe, runs)
    assert list(verdict.comparisons) == ["test_top_5_accuracy"]
    assert verdict.statement.startswith("test top-5 accuracy: ")
    assert verdict.as_dict()["metrics"]["test_top_5_accuracy"]["values"] == list(spread)
    worse = [replace(run, epochs=with_top_5(run, value - 0.1)) for run, value in zip(runs, spread)]
    assert (verdict.verdict, judge(recipe, worse).verdict) == (REPRODUCED, NOT_REPRODUCED)


def test_a_run_whose_top_5_accuracy_an_older_version_has_not_recorded_is_not_comparable(make_record):
    recipe = get_recipe("googlenet_v1-imagenet-paper")
    verdict = judge(recipe, [make_record(recipe.name)])
    assert verdict.verdict == NOT_COMPARABLE
    assert verdict.reasons == ("an older version of the package has not recorded its top-5 accuracy",)
    assert verdict.values("test_top_5_accuracy") == []


def with_top_5(run, accuracy):
    return tuple(replace(epoch, test_top_5_accuracy=accuracy) for epoch in run.epochs)


def trained(model, folder, tmp_path):
    """Train one epoch of a recipe on the folder in small batches. Return the recipe and the run."""
    recipe = get_recipe(f"{model}-imagenet-paper")
    changes = {"epochs": 1, "batch_size": BATCH, "micro_batch_size": 2, "learning_rate": 1e-3}
    if recipe.settings.validation_share:
        changes["validation_share"] = 0.25
    (run,) = reproduce(recipe, 1, 0, "cpu", tmp_path, str(folder), 10, **changes)
    return recipe, run


@pytest.mark.short
@pytest.mark.parametrize("model", [*LIGHT, *(pytest.param(model, marks=pytest.mark.slow) for model in SLOW)])
def test_a_recipe_trains_on_a_small_folder(model, folder, tmp_path):
    recipe, run = trained(model, folder, tmp_path)
    record = run.record
    assert record.status == "done"
    held_out = CLASSES if recipe.settings.validation_share else 0
    assert (record.trained_images, record.tested_images) == (CLASSES * TRAINING - held_out, CLASSES * TESTS)
    assert math.isfinite(record.result.train_loss)
    assert record.data.name == recipe.settings.data
    verdict = judge(recipe, [record])
    assert verdict.verdict == NOT_COMPARABLE
    assert "whether the data is the published imagenet is unknown, as it has no checksum" in verdict.reasons
