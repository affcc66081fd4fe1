"""Runs whose images stay on the disk give the same bits as those in memory, also when they are resumed."""

import json

from pictures import write_pictures
import pytest

pytestmark = pytest.mark.short

OPTIONS = ["--batch-size", "8", "--lr", "0.05", "--augment", "flip", "--momentum", "0.9"]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data") / "zoo", {"ant": 20, "bee": 25, "cat": 20})


@pytest.fixture
def train(command, tmp_path):
    """Return a function that trains LeNet and returns its parameters and its record."""

    def run(name, *options, resumed=()):
        results = [command("train", "lenet", *OPTIONS, *options, "--out", tmp_path / name)]
        if resumed:
            results.append(command("resume", tmp_path / name, *resumed))
        assert all(result.returncode == 0 for result in results), results[-1].stderr
        record = json.loads((tmp_path / name / "run.json").read_text())
        return (tmp_path / name / "net.params").read_bytes(), record, "".join(result.stderr for result in results)

    return run


def test_training_from_the_disk_gives_the_same_bits(train, zoo):
    data = ["--data", zoo, "--epochs", "2"]
    whole, in_memory, _ = train("memory", *data, "--in-memory")
    stored, from_disk, said = train("disk", *data, "--from-disk")
    assert stored == whole
    assert [epoch["train_loss"] for epoch in from_disk["epochs"]] == [
        epoch["train_loss"] for epoch in in_memory["epochs"]
    ]
    assert from_disk["data"]["sha256"] is None
    assert from_disk["data"]["files_sha256"] == in_memory["data"]["files_sha256"]
    assert "52 color images of 28x28" in said


@pytest.mark.parametrize(("first", "then"), [("--in-memory", "--from-disk"), ("--from-disk", "--in-memory")])
def test_a_run_is_resumed_either_way(train, zoo, first, then):
    whole, _, _ = train("whole", "--data", zoo, "--epochs", "2")
    resumed, _, _ = train("resumed", "--data", zoo, "--epochs", "1", first, resumed=["--epochs", "2", then])
    assert resumed == whole


def test_records_are_packed_trained_on_and_evaluated(command, train, zoo, tmp_path):
    packed = command("pack", zoo, "-o", tmp_path / "zoo.rec")
    assert packed.returncode == 0, packed.stderr
    for words in ("zoo.rec", "zoo_test.rec", "52", "13"):
        assert words in packed.stdout
    data = ["--data", tmp_path / "zoo.rec", "--epochs", "1"]
    whole, _, _ = train("memory", *data, "--in-memory")
    stored, record, _ = train("disk", *data, "--from-disk")
    assert stored == whole
    assert record["data"]["classes"] == ["ant", "bee", "cat"]
    evaluated = command("evaluate", tmp_path / "disk", "--json")
    assert json.loads(evaluated.stdout)["images"] == 13


def test_a_run_on_changed_files_is_not_resumed(command, train, zoo, tmp_path):
    train("run", "--data", zoo, "--epochs", "1", "--from-disk")
    other = write_pictures(tmp_path / "zoo", {"ant": 20, "bee": 25, "cat": 21})
    for option in ("--from-disk", "--in-memory"):
        result = command("resume", tmp_path / "run", "--epochs", "2", "--data", other, option)
        assert result.returncode == 1
        assert "was trained on other images" in result.stderr


def test_a_damaged_image_ends_the_training_with_its_name(command, tmp_path):
    zoo = write_pictures(tmp_path / "zoo", {"ant": 300, "bee": 300})
    (zoo / "bee" / "002.png").write_bytes((zoo / "bee" / "002.png").read_bytes()[:-100])
    result = command("train", "lenet", *OPTIONS, "--data", zoo, "--from-disk", "--out", tmp_path / "run")
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith(f"Error: cannot read {zoo}/bee/002.png (damaged)")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def test_quiet_packing_prints_nothing(command, zoo, tmp_path):
    result = command("pack", zoo, "-o", tmp_path / "zoo.rec", "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (tmp_path / "zoo_test.rec").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing", "-o", "a.rec"], "there is no folder missing"),
        (["zoo", "-o", "a.zip"], "a.zip must end with .rec"),
        (["zoo", "-o", "no/a.rec"], "there is no folder no"),
        (["zoo", "-o", "a.rec", "--test-share", "0.001"], "fewer than 1000 images"),
        (["zoo", "-o", "a.rec", "--transparent-as", "blueish"], "blueish"),
    ],
)
def test_what_cannot_be_packed_is_one_line(command, zoo, arguments, words):
    result = command("pack", *arguments, cwd=zoo.parent)
    assert result.returncode == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in zoo.parent.iterdir()) == ["zoo"]
