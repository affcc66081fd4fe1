"""Records of the blog's and D2L's programs are filed under the recipe with their settings."""

import json
import shlex

import blog
import era
from gluon_classics.data.catalogue import KNOWN
from gluon_classics.reproduction.recipes import ORIGINAL
import make_original
import networks
import networks_d2l
import pytest
import run

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
BY_HAND = {"lr": 1.0, "network": "lenet_bn_scratch_first"}
ENGLISH = {"lr": 1.0, "network": "lenet_bn_scratch_first_english"}
RECORDS = sorted(make_original.RESULTS.glob("*/*.json"))


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
        ({**FIRST, **BY_HAND}, "lenet_bn_scratch_first-fashion-mnist-d2l-first-unseeded"),
        ({**D2L, **ENGLISH}, "lenet_bn_scratch_first-fashion-mnist-d2l-0.17-unseeded"),
        ({**FIRST, "network": "googlenet_d2l", "resize": 96, "batch_size": 128, "lr": 0.1},
         "googlenet_d2l-fashion-mnist-d2l-first"),
    ],
)  # fmt: skip
def test_a_run_belongs_to_the_recipe_with_its_settings(settings, name):
    assert make_original.recipe_of(record(settings)).name == name


def test_a_run_with_other_settings_or_other_data_belongs_to_no_recipe():
    with pytest.raises(ValueError, match="no recipe has its settings"):
        make_original.recipe_of(record({**BLOG, "lr": 0.02}))
    with pytest.raises(ValueError, match="not the published one"):
        make_original.recipe_of(record(BLOG, digest="0" * 64))


@pytest.mark.parametrize(
    "settings",
    [
        {**D2L, **BY_HAND},  # the first edition's epsilon in a later build
        {**FIRST, **ENGLISH},
        {**D2L, "numpy_mode": False},  # other weights than those of the builds
        {**FIRST, "numpy_mode": True},
    ],
)
def test_a_run_of_another_editions_program_belongs_to_no_recipe(settings):
    with pytest.raises(ValueError, match="no recipe has its settings"):
        make_original.recipe_of(record(settings))


def test_the_networks_by_hand_have_the_constants_of_their_edition():
    """D2L: 1e-5 and zeros in the first edition, 1e-12 and zeros in English to 0.15.1, 1e-12 and ones since 0.16.0."""
    wanted = {
        "lenet_bn_scratch_first": (1e-5, "zeros"),
        "lenet_bn_scratch_first_english": (1e-12, "zeros"),
        "lenet_bn_scratch": (1e-12, "ones"),
    }
    for name, constants in wanted.items():
        layers = [
            layer for layer in networks_d2l.NETWORKS[name](None) if isinstance(layer, networks_d2l.BatchNormByHand)
        ]
        assert {(layer._eps, layer.var.init) for layer in layers} == {constants}
        assert len(layers) == 4


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


def test_a_run_with_mkl_names_it_and_its_command_repeats_it_there(tmp_path, monkeypatch):
    monkeypatch.setattr(make_original, "RESULTS", tmp_path / "results")
    content = record(BLOG)
    content["environment"]["package"] = "mxnet-mkl"
    make_original.add(folder_of(tmp_path, content))
    (run,) = json.loads(make_original.content())["lenet-fashion-mnist-blog"]
    assert run["source"] == "MXNet 1.1.0-mkl"
    assert "python tools/era.py 1.1.0-mkl original/run.py lenet --batch-size 64" in make_original.commands()


def test_the_values_in_the_package_are_those_of_the_records():
    assert ORIGINAL.read_text(encoding="utf-8") == make_original.content(), "run python tools/make_original.py"


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_record_is_in_the_folder_of_its_recipe_and_its_command_has_its_settings(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert make_original.recipe_of(content).name == path.parent.name
    number = make_original.number_of(content)
    assert path.stem == "-".join(map(str, number))
    args = parsed(make_original.command(content["settings"], make_original.era_of(content), "run", number))
    assert blog.settings(args) == content["settings"]
    assert content["order_seed"] == (args.order_seed if args.seed is None else args.seed)


def parsed(line):
    """Return the options of a command of the table."""
    python, tool, version, program, *arguments = shlex.split(line)
    assert (python, tool, program) == ("python", "tools/era.py", "original/run.py")
    assert version in era.ERAS
    return run.parse(arguments)


def test_the_table_has_each_record_and_the_command_of_its_recipe():
    text = make_original.README.read_text(encoding="utf-8")
    assert make_original.with_commands(text) == text, "run python tools/make_original.py"
    lines = text.partition(make_original.START)[2].partition(make_original.END)[0].splitlines()[2:]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines]
    assert len({row[3].rpartition(" -o ")[2] for row in rows}) == len(rows), "two runs have the same folder"
    listed = set()
    for name, runs, _, line in rows:
        args = parsed(line)
        settings = blog.settings(args)
        assert make_original.recipe_of(record(settings)).name == name
        if runs != "none":
            kind, numbers = runs.split(" ", 1)
            listed |= {(name, f"{kind}-{number}") for number in numbers.split(", ")}
    assert listed == {(path.parent.name, path.stem) for path in RECORDS}
    shown = {blog.settings(parsed(row[3]))["network"] for row in rows}
    assert shown == {*networks.NETWORKS, *networks_d2l.NETWORKS}
