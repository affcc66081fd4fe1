"""Records of the blog's and D2L's programs are filed under the recipe with their settings."""

import json

from gluon_classics.data.catalogue import KNOWN
from gluon_classics.reproduction.recipes import ORIGINAL
import make_original
import pytest

BLOG = {
    "network": "lenet",
    "resize": 224,
    "batch_size": 64,
    "lr": 0.01,
    "last_batch": "discard",
    "epochs": 1,
    "numpy_mode": False,
    "seed": 0,
}
D2L = {
    "network": "lenet_d2l",
    "resize": 0,
    "batch_size": 256,
    "lr": 0.9,
    "last_batch": "keep",
    "epochs": 10,
    "numpy_mode": True,
    "seed": None,
}
FIRST = {**D2L, "network": "lenet_d2l_first", "last_batch": "scale", "epochs": 5, "numpy_mode": False}


def record(settings, digest=KNOWN["fashion-mnist"].sha256):
    epoch = {"train_loss": 0.6, "train_accuracy": 0.78, "test_accuracy": 0.8, "seconds": 9.0}
    return {
        "settings": settings,
        "data": {"name": "fashion-mnist", "sha256": digest},
        "environment": {"mxnet": "1.1.0"},
        "order_seed": 7,
        "epochs": [epoch] * settings["epochs"],
    }


def folder_of(tmp_path, content):
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / "record.json").write_text(json.dumps(content))
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (BLOG, "lenet-fashion-mnist-blog"),
        ({**BLOG, "network": "resnet"}, "resnet-fashion-mnist-blog"),
        (D2L, "lenet_d2l-fashion-mnist-d2l-0.17-unseeded"),
        (FIRST, "lenet_d2l_first-fashion-mnist-d2l-first-unseeded"),
        ({**D2L, "seed": 0}, "lenet_d2l-fashion-mnist-d2l-0.17"),
    ],
)
def test_a_run_belongs_to_the_recipe_with_its_settings(settings, name):
    assert make_original.recipe_of(record(settings)).name == name


def test_a_run_with_other_settings_or_other_data_belongs_to_no_recipe():
    with pytest.raises(ValueError, match="no recipe has its settings"):
        make_original.recipe_of(record({**BLOG, "lr": 0.02}))
    with pytest.raises(ValueError, match="not the published one"):
        make_original.recipe_of(record(BLOG, digest="0" * 64))


def test_added_runs_become_values_of_their_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(make_original, "RESULTS", tmp_path / "results")
    for settings in (BLOG, D2L):
        make_original.add(folder_of(tmp_path, record(settings)))
    files = sorted(path.name for path in (tmp_path / "results").glob("*/*.json"))
    assert files == ["order-7.json", "seed-0.json"]
    runs = json.loads(make_original.content())
    assert runs["lenet-fashion-mnist-blog"] == [
        {"source": "MXNet 1.1.0", "epoch": 1, "train_loss": 0.6, "train_accuracy": 0.78, "test_accuracy": 0.8}
    ]
    with pytest.raises(ValueError, match="another run with this seed"):
        make_original.add(folder_of(tmp_path, {**record(BLOG), "resumed": [1]}))


def test_the_values_in_the_package_are_those_of_the_records():
    assert ORIGINAL.read_text(encoding="utf-8") == make_original.content(), "run python tools/make_original.py"
