"""A run finds its data again, after it has moved and after the full data set was installed, and no other data."""

from dataclasses import replace
import shutil

from gluon_classics.data import datasets
from gluon_classics.errors import DataError, RunError
from gluon_classics.experiment.build import load_data, prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.report.report import write_report
from gluon_classics.reproduction import reproduce
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.runs import predictor, resume
from gluon_classics.runs.folder import RunFolder
from gluon_classics.runs.record import RunRecord, read_run
from gluon_classics.runs.run_data import data_of
from gluon_classics.runs.runner import run_training
import mxnet as mx
import pytest

RECIPE = "lenet-fashion-mnist-blog"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_DATA_DIRS", "/x")


@pytest.fixture
def run_on_the_sample(tmp_path, small_home, monkeypatch):
    """Return a run on 320 images of the sample; after that, another data set is installed as Fashion-MNIST."""
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "empty"))
    made = prepare(Settings("lenet", subset=320, batch_size=160), [mx.cpu()])
    with RunFolder.claim(tmp_path / "run") as folder:
        folder.start(made)
        run_training(made, folder, 10)
    monkeypatch.setenv("MXNET_HOME", str(small_home))
    return tmp_path / "run"


def moved(trained_run, small_home, tmp_path):
    """Return a copy of a run that says it was trained on a folder that does not exist, and a copy of its data."""
    shutil.copytree(trained_run, tmp_path / "run")
    record = RunRecord.from_json((trained_run / "run.json").read_text())
    record = replace(record, settings=replace(record.settings, data="/nowhere"))
    (tmp_path / "run" / "run.json").write_text(record.to_json())
    shutil.copytree(small_home / "datasets" / "fashion-mnist", tmp_path / "new place")
    return tmp_path / "run", tmp_path / "new place"


def test_a_run_on_the_sample_finds_it_after_other_data_was_installed(run_on_the_sample, tmp_path):
    run = read_run(run_on_the_sample)
    assert not load_data(replace(run.record.settings, subset=None)).is_sample
    assert data_of(run).is_sample
    write_report([run_on_the_sample], tmp_path / "page.html", "cpu")
    network, data = predictor.with_test_data(run_on_the_sample, ctx="cpu")
    assert network.evaluate(data)["is_sample"]
    resume.resume(run_on_the_sample, 2, 10)
    assert len(read_run(run_on_the_sample).record.epochs) == 2


def test_a_finished_run_gets_the_new_place_of_its_data_but_no_other_data(trained_run, small_home, tmp_path, capsys):
    run, place = moved(trained_run, small_home, tmp_path)
    before = read_run(run).record
    with pytest.raises(RunError, match="was trained on other images"):
        resume.resume(run, None, 10, str(datasets.SAMPLE_FOLDER))
    assert read_run(run).record == before
    resume.resume(run, None, 10, str(place))
    assert f"run now finds its data in {place}" in capsys.readouterr().err
    after = read_run(run).record
    assert after == replace(before, settings=replace(before.settings, data=str(place)))
    assert data_of(read_run(run)).train.images.shape[1:3] == (28, 28)


def test_data_that_moved_is_named_and_its_new_place_is_recorded(trained_run, small_home, tmp_path):
    run, place = moved(trained_run, small_home, tmp_path)
    for use in (
        lambda: data_of(read_run(run)),
        lambda: resume.resume(run, 3, 10),
        lambda: predictor.with_test_data(run),
    ):
        with pytest.raises(DataError, match=r"the data of .*run cannot be loaded: .*--data"):
            use()
    write_report([run], tmp_path / "page.html", "cpu", data=str(place))
    resume.resume(run, 3, 10, str(place))
    record = read_run(run).record
    assert (len(record.epochs), record.settings.data) == (3, str(place))
    network, data = predictor.with_test_data(run, data=str(place))
    assert network.evaluate(data)["classes"][0]["class"] == "T-shirt/top"
    resume.resume(run, 4, 10)
    assert len(read_run(run).record.epochs) == 4


def test_other_data_is_refused_but_can_be_evaluated_on(trained_run, tmp_path, capsys):
    other = str(datasets.SAMPLE_FOLDER)
    before = (trained_run / "run.json").read_bytes()
    for use in (
        lambda: data_of(read_run(trained_run), other),
        lambda: resume.resume(trained_run, 3, 10, other),
        lambda: write_report([trained_run], tmp_path / "page.html", "cpu", data=other),
    ):
        with pytest.raises(RunError, match="was trained on other images than those in"):
            use()
    assert (trained_run / "run.json").read_bytes() == before
    _, data = predictor.with_test_data(trained_run, data=other)
    assert len(data.test) == 1000
    assert "is not the data that" in capsys.readouterr().err


def test_an_interrupted_run_of_a_recipe_is_resumed_on_its_moved_data_only(
    trained_run, small_home, tmp_path, monkeypatch
):
    run, place = moved(trained_run, small_home, tmp_path)
    recipe = get_recipe(RECIPE)
    record = read_run(run).record
    wanted = replace(recipe.settings, epochs=3, data=str(place))
    record = replace(record, recipe=RECIPE, settings=replace(wanted, data="/nowhere"), status="interrupted")
    (run / "run.json").write_text(record.to_json())
    resumed = []
    monkeypatch.setattr(reproduce, "resume", lambda *arguments: resumed.append(arguments))
    reproduce._finish(run, recipe, wanted, 10)
    assert resumed == [(run, None, 10, str(place))]
    with pytest.raises(RunError, match="was trained on other images"):
        reproduce._finish(run, recipe, replace(wanted, data=str(datasets.SAMPLE_FOLDER)), 10)
