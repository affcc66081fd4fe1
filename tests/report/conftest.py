"""Fixtures of the report's tests: run folders and the pages on them."""

from dataclasses import replace

import cv2
from gluon_classics.report import report
from gluon_classics.reproduction.recipes import list_recipes
from gluon_classics.runs import train
from gluon_classics.runs.record import Processor
from gluon_classics.utils.history import METRICS, EpochRecord
import numpy as np
import pytest

pytest.register_assert_rewrite("pages")  # a failing check there shows its values, as in a test file

from pages import NASTY, Elements, changed, record_of  # noqa: E402  after the line above


@pytest.fixture(scope="session")
def recipe():
    """Return a recipe of LeNet with published values after several epochs."""
    return next(
        recipe
        for recipe in list_recipes()
        if recipe.settings.model == "lenet" and len({run.epoch for run in recipe.runs}) > 1 and recipe.metrics
    )


@pytest.fixture(scope="session")
def recipe_run(trained_run, recipe, tmp_path_factory):
    """Return the folder of a run with the settings of the recipe and the published results."""
    of_last_epoch = [run for run in recipe.runs if run.epoch == recipe.settings.epochs]
    metrics = {metric: float(np.mean([getattr(run, metric) for run in of_last_epoch])) for metric in METRICS}
    epochs = [
        EpochRecord(epoch, **metrics, seconds=61.5 + epoch, images_per_second=1000.0)
        for epoch in range(recipe.settings.epochs)
    ]
    epochs[0] = replace(epochs[0], train_loss=2.25)
    record = record_of(trained_run)
    processor = Processor("a processor", 6, 85, flags=("avx2", "avx512f"), onednn_isa="AVX512_CORE")
    return changed(
        trained_run,
        tmp_path_factory.mktemp("recipe") / "by recipe",
        recipe=recipe.name,
        settings=recipe.settings,
        data=replace(record.data, is_published=True),
        provenance=replace(record.provenance, processor=processor),
        epochs=tuple(epochs),
        seconds=7384.2,
    )


@pytest.fixture(scope="session")
def page_file(trained_run, recipe_run, small_home, tmp_path_factory):
    """Return the path of the report on both runs."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MXNET_HOME", str(small_home))
        report.write_report([trained_run, recipe_run], path)
    return path


@pytest.fixture(scope="session")
def page(page_file):
    return Elements(page_file.read_text(encoding="utf-8"))


@pytest.fixture
def at_home(monkeypatch, small_home):
    """Make the package find the small Fashion-MNIST."""
    monkeypatch.setenv("MXNET_HOME", str(small_home))


@pytest.fixture(scope="session")
def nasty_page(tmp_path_factory):
    """Return the path of a report whose classes and folder have names with special characters."""
    home = tmp_path_factory.mktemp("nasty")
    rng = np.random.RandomState(20180306)
    for number, name in enumerate(NASTY):
        folder = home / "images" / name
        folder.mkdir(parents=True)
        for image in range(10):
            pixels = rng.randint(0, 60, (28, 28)) + 40 * number
            cv2.imwrite(str(folder / f"{image}.png"), pixels.astype(np.uint8))
    run = home / '"><img src=x onerror=alert(1)>'
    train.train("lenet", "cpu", run, str(home / "images"), checkpoint_minutes=10, batch_size=16)
    report.write_report([run], home / "page.html")
    return home / "page.html"
