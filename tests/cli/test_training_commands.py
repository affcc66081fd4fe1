"""The commands train, evaluate and predict, and their errors."""

import csv
import io
import json
import os
from pathlib import Path
import pty
import re
import resource
import shutil
import struct
import subprocess
import sys
import zlib

import mxnet as mx
import pytest

pytestmark = pytest.mark.short

EXAMPLES = Path(__file__).parents[2] / "examples"
QUICK = ["--epochs", "1", "--batch-size", "64"]


def test_a_run_folder_contains_parameters_record_checkpoint_and_curves(trained_run):
    assert sorted(path.name for path in trained_run.iterdir()) == [
        "checkpoint-00002-00000000.ckpt",
        "curves.png",
        "net.params",
        "points.json",
        "run.json",
    ]
    record = json.loads((trained_run / "run.json").read_text())
    assert record["status"] == "done"
    assert record["settings"]["learning_rate"] == 0.05
    assert record["data"]["train_images"] == 320
    assert record["data"]["is_sample"] is False
    assert record["provenance"]["devices"] == ["cpu(0)"]
    assert [row["epoch"] for row in record["epochs"]] == [0, 1]
    assert (record["trained_images"], record["tested_images"], record["parameters"]) == (320, 100, 170_988)
    assert record["recipe"] is None
    assert (trained_run / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_training_prints_epochs_and_no_messages_of_mxnet(command):
    result = command("train", "lenet", *QUICK, new_process=True)
    assert result.returncode == 0
    assert re.search(r"epoch 1/1: loss [\d.]+, train accuracy [\d.]+, test accuracy [\d.]+, .* images/s", result.stderr)
    assert "src/" not in result.stderr
    assert "MKLDNN" not in result.stderr


def test_quiet_training_prints_nothing(command, tmp_path):
    result = command("train", "lenet", *QUICK, "--quiet", "--out", "run")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (tmp_path / "run" / "net.params").exists()


def test_a_quiet_plan_is_printed_only_as_json(command):
    result = command("train", "lenet", *QUICK, "--quiet", "--dry-run")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    result = command("train", "lenet", *QUICK, "--quiet", "--dry-run", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)


def test_the_same_seed_gives_the_same_parameters(command, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert command("train", "lenet", *QUICK, "--seed", seed, "--out", name).returncode == 0
    a, b, c = ((tmp_path / name / "net.params").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_terminal_shows_a_progress_bar_with_speed_and_remaining_time(environment, tmp_path):
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-m", "gluon_classics", "train", "lenet", "--epochs", "3", "--batch-size", "4"]
    environment = {**environment, "TERM": "xterm", "COLUMNS": "160"}
    with subprocess.Popen(arguments, env=environment, cwd=tmp_path, stderr=theirs, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the terminal is gone with the process
                break
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    assert "━" in text
    assert re.search(r"[\d,]+ images/s, \d+ s left, loss [\d.]+", text)


def test_without_matplotlib_training_finishes_without_a_picture(command, environment, tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('no matplotlib here', name='matplotlib')\n")
    result = command("train", "lenet", *QUICK, "--out", "run", env={**environment, "PYTHONPATH": str(tmp_path)})
    assert result.returncode == 0
    assert "gluon-classics[plot]" in result.stderr
    assert not list((tmp_path / "run").glob("*.png"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "done"


@pytest.mark.parametrize(
    ("learning_rate", "what"), [("1e10", "the training loss became"), ("1e30", "parameters became infinite")]
)
def test_diverging_training_ends_with_a_one_line_error(command, tmp_path, learning_rate, what):
    result = command("train", "lenet", "--lr", learning_rate, "--out", "run")
    assert_one_line_error(result, what, f"below {float(learning_rate):g}")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "diverged"


def test_a_full_disk_ends_training_with_a_one_line_error_and_no_partial_file(command, tmp_path):
    limit = 100_000  # bytes per file; LeNet's parameters take 684,000
    result = command(
        "train", "lenet", *QUICK, "--out", "run",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert_one_line_error(result, "net.params", "disk full")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def test_evaluate_gives_the_test_accuracy_of_the_last_epoch(command, trained_run):
    result = json.loads(command("evaluate", trained_run, "--json").stdout)
    record = json.loads((trained_run / "run.json").read_text())
    assert result["images"] == 100
    assert result["accuracy"] == pytest.approx(record["epochs"][-1]["test_accuracy"])
    assert sum(row["images"] for row in result["classes"]) == 100


def test_evaluate_gives_the_same_accuracy_from_a_parameter_file(command, trained_run):
    of_file = command("evaluate", trained_run / "net.params", "--model", "lenet", "--json", "--batch-size", "7")
    of_run = command("evaluate", trained_run, "--json")
    assert json.loads(of_file.stdout)["accuracy"] == json.loads(of_run.stdout)["accuracy"]


def test_evaluate_refuses_the_parameter_file_of_a_run_with_other_pixels(command, trained_run, tmp_path):
    run = tmp_path / "run"
    assert command("train", "lenet", "--foreground", "-1", "--epochs", "1", "--out", run).returncode == 0
    result = command("evaluate", run / "net.params", "--model", "lenet")
    assert_one_line_error(result, f"net.params is of a run with other settings for images: name the run folder {run}")
    shutil.copy(run / "net.params", tmp_path / "alone.params")
    assert command("evaluate", tmp_path / "alone.params", "--model", "lenet").returncode == 0


def test_evaluate_shows_the_accuracy_of_each_class(command, trained_run):
    shown = command("evaluate", trained_run).stdout
    assert "Ankle boot" in shown
    assert re.search(r"all\s+0\.\d{4}\s+100", shown)


def test_predict_lists_classes_from_the_most_probable_one_down(command, trained_run):
    result = command("predict", trained_run, EXAMPLES / "trouser.png", EXAMPLES / "ankle-boot.png", "--json")
    trouser, boot = json.loads(result.stdout)
    assert trouser["top"][0]["class"] == "Trouser"
    assert boot["image"].endswith("ankle-boot.png")
    probabilities = [entry["probability"] for entry in boot["top"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1


def test_predict_shows_the_requested_number_of_classes(command, trained_run):
    shown = command("predict", trained_run, EXAMPLES / "trouser.png", "--top", "2").stdout
    assert shown.count("0.") == 2


@pytest.fixture
def predicted(invoke, trained_run, tmp_path, monkeypatch):
    """Return a function that runs `predict` in this process, on a folder with two images and a text, and files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name, copy in (("trouser.png", "a,b\nc.png"), ("ankle-boot.png", "d\x1b[31m.png")):
        (tmp_path / "folder" / copy).write_bytes((EXAMPLES / name).read_bytes())
    (tmp_path / "folder" / "notes.txt").write_text("")
    (tmp_path / "bad.png").write_text("not an image")

    return lambda *arguments: invoke("predict", trained_run, *arguments)


def test_predict_classifies_folders_and_says_what_it_leaves_out(predicted):
    result = predicted("folder")
    assert result.exit_code == 0
    assert result.stderr == "folder: files that are not images are left out (1 .txt)\n"
    assert all(name in result.stdout for name in (r"folder/a,b\nc.png", r"folder/d\x1b[31m.png", "Trouser"))
    assert "\x1b" not in result.output


def test_predict_reports_bad_files_and_classifies_the_others(predicted):
    result = predicted("bad.png", "folder", "missing.png", "--json")
    assert result.exit_code == 1
    entries = json.loads(result.stdout)
    assert ["error" in entry for entry in entries] == [True, False, False, True]
    assert entries[1]["image"] == "folder/a,b\nc.png"
    lines = result.stderr.splitlines()
    assert "cannot read bad.png (not an image" in lines[1]
    assert "cannot read missing.png" in lines[2]
    assert lines[3:] == ["Error: 2 of 4 images could not be classified: see the messages above"]


def test_predict_prints_csv(predicted):
    result = predicted("folder", "bad.png", "--csv", "--top", "2")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["image"] for row in rows] == [*2 * ["folder/a,b\nc.png"], *2 * [r"folder/d\x1b[31m.png"], "bad.png"]
    assert [row["rank"] for row in rows] == ["1", "2", "1", "2", ""]
    assert (rows[0]["class"], rows[0]["error"]) == ("Trouser", "")
    assert 1 > float(rows[0]["probability"]) >= float(rows[1]["probability"]) > 0
    assert "cannot read bad.png (not an image" in rows[4]["error"]


def test_predict_prints_one_format(predicted):
    assert predicted("bad.png", "--csv", "--json").exit_code == 2


def test_a_folder_without_images_is_an_error(predicted, tmp_path):
    (tmp_path / "empty").mkdir()
    result = predicted("empty")
    assert result.exit_code == 1
    assert "empty" in result.stderr


def test_training_works_on_several_devices(command, tmp_path):
    result = command("train", "lenet", *QUICK, "--ctx", "cpu:0,cpu:1", "--out", "run")
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["provenance"]["devices"] == ["cpu(0)", "cpu(1)"]


def test_training_on_the_embedded_sample_warns_and_takes_10_epochs(command, tmp_path):
    """LeNet on 12x12 images, its smallest, takes a tenth of the time."""
    result = command("train", "lenet", "--batch-size", "200", "--resize", "12", "--out", "run", home=tmp_path / "empty")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("EMBEDDED SAMPLE: ") == 1
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["data"]["is_sample"] is True
    assert record["settings"]["epochs"] == 10
    assert len(record["epochs"]) == 10


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["train", "lenett"], 2, ["unknown network 'lenett'", "did you mean 'lenet'"]),
        (["train", "lenet", "--data", "nowhere"], 1, ["there is no folder", "nowhere"]),
        (["train", "lenet", "--optimizer", "sdg"], 1, ["unknown optimizer 'sdg'", "sgd"]),
        (["train", "lenet", "--optimizer", "adam", "--momentum", "0.9"], 1, ["adam takes no momentum"]),
        (["train", "lenet", "--batch-size", "0"], 2, ["--batch-size"]),
        (["train", "lenet", "--lr", "0"], 2, ["--lr"]),
        (["train", "lenet", "--lr", "nan"], 2, ["nan is not a finite number"]),
        (["train", "lenet", "--checkpoint-minutes", "inf"], 2, ["inf is not a finite number"]),
        (["train", "lenet", "--ctx", "tpu"], 1, ["unknown device 'tpu'"]),
        (["train", "lenet", "--ctx", "gpu:7"], 1, ["gpu(7) cannot be used"]),
        (["train", "alexnet", "--resize", "40"], 1, ["AlexNet cannot take 40x40", "67x67"]),
        (["train", "lenet", "--init-from", "nothing.params"], 1, ["there is no parameter file", "nothing.params"]),
        (["train", "lenet", "--out", "/proc/run"], 1, ["cannot write the run folder /proc/run"]),
        (["train", "lenet", "--batch-size", "1000", "--last-batch", "discard"], 1, ["no examples"]),
        (["evaluate", "nothing"], 1, ["--model"]),
        (["evaluate", "nothing.params", "--model", "lenet"], 1, ["no parameter file nothing.params"]),
        (["predict", "nothing", "image.png"], 1, ["nothing is not a run folder"]),
        (["predict", "nothing"], 2, ["Missing argument"]),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(command, arguments, status, words):
    result = command(*arguments)
    assert result.returncode == status
    assert_one_line_error(result, *words)


def test_a_run_folder_is_never_overwritten(command, trained_run):
    before = (trained_run / "net.params").read_bytes()
    assert_one_line_error(command("train", "lenet", "--out", trained_run), "is not empty", "--out")
    assert (trained_run / "net.params").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("run.json", "{", ["run.json cannot be used"]),
        ("run.json", '{"format": 99}', ["has format 99"]),
        ("run.json", '{"format": 2, "settings": {"model": "lenet", "color": 1}}', ["unknown setting 'color'"]),
        ("run.json", '{"format": 2, "settings": {"model": "oldnet"}}', ["run.json cannot be used", "oldnet"]),
        ("net.params", "not parameters", ["net.params is damaged, or of another run"]),
        ("net.params", "", ["net.params is damaged, or of another run"]),
    ],
)
def test_the_error_names_the_damaged_file_of_a_run_folder(command, trained_run, tmp_path, name, content, words):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in trained_run.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / name).write_text(content)
    assert_one_line_error(command("predict", folder, EXAMPLES / "trouser.png"), *words)


def test_the_error_names_a_truncated_parameter_file(command, trained_run, tmp_path):
    content = (trained_run / "net.params").read_bytes()
    (tmp_path / "cut.params").write_bytes(content[: len(content) // 2])
    result = command("evaluate", "cut.params", "--model", "lenet")
    assert_one_line_error(result, "cut.params is not a parameter file, or it is damaged")


def test_parameters_of_another_network_or_input_size_are_rejected(command, trained_run):
    other = command("evaluate", trained_run / "net.params", "--model", "nin")
    assert_one_line_error(other, "does not hold the parameters of NiNNet")
    larger = command("evaluate", trained_run / "net.params", "--model", "lenet", "--resize", "32")
    assert_one_line_error(larger, "does not hold the parameters of LeNet")


def test_a_file_of_unnamed_arrays_is_not_a_parameter_file(command, tmp_path):
    mx.nd.save(str(tmp_path / "list.params"), [mx.nd.ones(2)])
    assert_one_line_error(command("evaluate", "list.params", "--model", "lenet"), "its arrays have no names")


def test_a_run_can_be_evaluated_from_any_folder(command, small_home, tmp_path):
    (tmp_path / "images").symlink_to(small_home / "datasets" / "fashion-mnist")
    assert command("train", "lenet", *QUICK, "--data", "images", "--out", "run").returncode == 0
    elsewhere = command("evaluate", tmp_path / "run", "--json", cwd="/")
    assert json.loads(elsewhere.stdout)["images"] == 100


def test_the_error_names_an_image_that_cannot_be_read(command, trained_run, tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    assert_one_line_error(command("predict", trained_run, "text.png"), "text.png", "not an image")
    assert_one_line_error(command("predict", trained_run, "missing.png"), "cannot read missing.png")


def test_an_odd_environment_is_one_line_or_works(command, environment, trained_run, tmp_path):
    """Each case is a process, because it decides how Python or MXNet starts."""
    image = tmp_path / "profile.png"
    content = (EXAMPLES / "trouser.png").read_bytes()
    gamma = b"gAMA" + bytes(4)  # libpng prints a warning about it
    chunk = struct.pack(">I", 4) + gamma + struct.pack(">I", zlib.crc32(gamma))
    image.write_bytes(content[:33] + chunk + content[33:])
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    record = (run / "run.json").read_text()
    (run / "run.json").write_text(record.replace('"Trouser"', r'"\u88e4\u5b50\u001b[31m"'))
    call = ["predict", run, image, "--top", "1"]

    def end(limit=None, **variables):
        set_limit = (lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) if limit else None
        return command(*call, env={**environment, **variables}, preexec_fn=set_limit)

    works = end(PYTHONIOENCODING="ascii", TERM="nonsense", TMPDIR="/nonexistent", LC_ALL="C")
    assert (works.returncode, works.stderr) == (0, "")
    assert r"\u88e4\u5b50\x1b[31m" in works.stdout
    assert_one_line_error(end(MXNET_CPU_WORKER_NTHREADS="abc"), "MXNET_CPU_WORKER_NTHREADS=abc")
    assert_one_line_error(end(OMP_NUM_THREADS="2147483647"), "OMP_NUM_THREADS=2147483647")
    assert_one_line_error(end(PYTHONOPTIMIZE="2"), "PYTHONOPTIMIZE=1")
    assert_one_line_error(end(limit=800 * 2**20), "limited to 800 MiB", "ulimit")


def assert_one_line_error(result, *words):
    """Check that the process failed, and that its last line is its only error, without a traceback."""
    assert result.returncode not in (0, None)
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("Error: ")
    assert sum(line.startswith("Error") for line in lines) == 1
    for word in words:
        assert word in lines[-1]
