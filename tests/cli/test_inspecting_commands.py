"""The commands list, summary and doctor, and what all commands have in common."""

import json
from pathlib import Path
import re
import shutil
import subprocess
import sys

from click.testing import CliRunner
import gluon_classics
from gluon_classics import _runtime
from gluon_classics.cli import command
from gluon_classics.diagnostics import doctor
import pytest


def lacking(module, environment, folder):
    """Return `environment` for a child process in which `module` is not installed. Write a helper to `folder`."""
    (folder / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "found = PathFinder.find_spec\n"
        "PathFinder.find_spec = classmethod(\n"
        f"    lambda cls, name, *rest: None if name == {module!r} else found(name, *rest)\n"
        ")\n"
    )
    return {**environment, "PYTHONPATH": str(folder)}


def test_list_shows_every_network_of_the_registry(command):
    shown = command("list").stdout
    for name in gluon_classics.list_models():
        info = gluon_classics.model_info(name)
        (line,) = [line for line in shown.splitlines() if line.split()[:1] == [name]]
        assert f"{info.params:,}" in line
        assert info.source in line


def test_list_json_contains_the_facts_of_the_registry(command):
    facts = {fact["name"]: fact for fact in json.loads(command("list", "--json").stdout)}
    assert list(facts) == gluon_classics.list_models()
    assert facts["vgg"]["params"] == 128_990_666
    assert facts["vgg"]["input_shape"] == [1, 224, 224]


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "--json"]], ids=" ".join)
def test_help_and_list_load_neither_mxnet_nor_numpy(arguments):
    script = (
        "import sys; from gluon_classics.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as end: print(end.code, 'mxnet' in sys.modules, 'numpy' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "list" in result.stdout or "vgg" in result.stdout
    assert result.stdout.splitlines()[-1] == "0 False False"


def test_list_works_without_mxnet(command, environment, tmp_path):
    without_mxnet = lacking("mxnet", environment, tmp_path)
    assert command("list", env=without_mxnet).stdout == command("list").stdout != ""


@pytest.mark.parametrize(
    "arguments",
    [["summary", "vgg"], ["train", "vgg"], ["evaluate", "run"], ["predict", "run", "image.png"]],
    ids=lambda arguments: arguments[0],
)
def test_without_mxnet_the_error_names_the_extra_to_install(command, environment, tmp_path, arguments):
    result = command(*arguments, env=lacking("mxnet", environment, tmp_path))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.endswith(_runtime.no_mxnet())


def test_summary_shows_layers_and_totals(command):
    shown = command("summary", "lenet").stdout
    assert "20x24x24" in shown
    assert "160,128" in shown
    assert "170,988" in shown


@pytest.mark.parametrize(("size", "params"), [("1x28x28", 170_988), ("1x224x224", 18_673_388)])
def test_summary_counts_for_the_given_input_size(command, size, params):
    assert json.loads(command("summary", "lenet", "--input", size, "--json").stdout)["params"] == params


def test_summary_counts_running_statistics_separately(command):
    shown = command("summary", "resnet").stdout
    assert "11,193,610" in shown
    assert "7,680 running statistics" in shown


@pytest.mark.parametrize("size", ["28", "1x28", "0x28x28", "1xAx28"])
def test_summary_rejects_a_malformed_input_size(command, size):
    result = command("summary", "lenet", "--input", size)
    assert result.returncode == 2
    assert "channels x height x width" in result.stderr


@pytest.mark.parametrize(
    "subcommand", ["list", "summary", "describe", "trace", "train", "evaluate", "predict", "report", "doctor"]
)
def test_help_does_not_load_mxnet(subcommand):
    script = (
        "import sys; from gluon_classics.cli import main\n"
        f"try: main(['{subcommand}', '--help'])\n"
        "except SystemExit: print('mxnet' in sys.modules, 'cv2' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("Usage:")
    assert result.stdout.splitlines()[-1] == "False False"


def test_no_description_of_a_command_is_cut_at_80_columns():
    result = CliRunner().invoke(command.main, ["--help"], terminal_width=80)
    descriptions = result.output.partition("Commands:\n")[2].splitlines()
    assert len(descriptions) == len(command.main.commands)
    assert all(description.endswith(".") and not description.endswith("...") for description in descriptions)


def test_the_command_is_installed_under_its_name():
    script = Path(sys.executable).with_name("gluon-classics")
    result = subprocess.run([str(script), "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"gluon-classics, version {gluon_classics.__version__}\n"


def test_a_closed_pipe_ends_the_command_without_a_traceback(environment):
    listing = f"{sys.executable} -m gluon_classics summary googlenet | true"
    result = subprocess.run(["bash", "-c", listing], env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_any_command_in_one_line(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(gluon_classics, "list_models", interrupted)
    result = CliRunner().invoke(command.main, ["list"])
    assert (result.exit_code, result.output) == (130, "\nInterrupted.\n")


def test_doctor_finds_no_problem_in_this_installation(command):
    result = command("doctor")
    assert result.returncode == 0, result.stdout
    assert "WRONG" not in result.stdout
    assert "MXNet loads: yes, and computes" in result.stdout
    memory = re.search(r"Memory: main memory [\d,.]+ GB free, a batch of ([\d,]+)", result.stdout)
    batch = int(memory[1].replace(",", ""))
    assert batch & (batch - 1) == 0


def test_doctor_reports_a_problem_on_one_line_and_exits_with_an_error(command, environment, tmp_path):
    broken = tmp_path / "mxnet"
    broken.mkdir()
    message = "libquadmath.so.0: cannot open shared object file: No such file or directory"
    (broken / "__init__.py").write_text(f"raise OSError({message!r})\n")
    result = command("doctor", "--json", env={**environment, "PYTHONPATH": str(tmp_path)})
    assert result.returncode == 1
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert not checks["MXNet loads"]["ok"]
    assert "libquadmath.so.0" in checks["MXNet loads"]["found"]
    assert checks["MXNet loads"]["fix"].startswith("apt-get install libquadmath0")


@pytest.mark.parametrize(
    ("hidden", "names"),
    [("mxnet", ["MXNet loads"]), ("cv2", ["OpenCV", "Fashion-MNIST"])],
)
def test_doctor_runs_all_checks_if_a_module_is_missing(command, environment, tmp_path, hidden, names):
    result = command("doctor", "--json", env=lacking(hidden, environment, tmp_path))
    assert result.returncode == 1
    checks = json.loads(result.stdout)
    assert len(checks) == 12
    assert [check["name"] for check in checks if not check["ok"]] == names


@pytest.mark.parametrize(("version", "ok"), [(None, False), ("9.5.0", False), ("10.3.0", True), ("13.0.0", True)])
def test_doctor_checks_the_version_of_pillow(monkeypatch, version, ok):
    monkeypatch.setattr(doctor, "_version", {"pillow": version, "mxnet": "1.9.1"}.get)
    check = doctor._pillow()
    assert check.ok == ok
    assert ("runtime" in check.fix) != ok


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ("AttributeError: module 'numpy' has no attribute 'NaN'", "pip install 'numpy<"),
        ("ImportError: OMP_NUM_THREADS=4,2 is not a number that MXNet can read", "see Threads"),
        ("OSError: libmxnet.so: file too short", "--force-reinstall"),
        ("ImportError: libgomp.so.1: cannot open shared object file", "apt-get install libgomp1"),
        ("OSError: libcudnn.so.8: cannot open shared object file", "see GPU"),
        ("OSError: libcuda.so.1: cannot open shared object file", "see GPU"),
        ("ImportError: libGL.so.1: cannot open shared object file", "apt-get install libgl1"),
        ("OSError: libsomething.so.2: cannot open", "libsomething"),
        ("Segmentation fault", "--force-reinstall"),
    ],
)
def test_doctor_names_the_package_of_a_missing_library(message, fix):
    assert fix in doctor._library_fix(message)


@pytest.mark.parametrize(
    ("system", "machine", "ok"),
    [
        ("Linux", "x86_64", True),
        ("Linux", "aarch64", True),
        ("Darwin", "x86_64", True),
        ("Darwin", "arm64", False),
        ("Windows", "AMD64", False),
        ("Linux", "riscv64", False),
    ],
)
def test_doctor_accepts_only_systems_that_mxnet_supports(monkeypatch, system, machine, ok):
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    check = doctor._system()
    assert check.ok == ok
    assert bool(check.fix) != ok


@pytest.mark.parametrize(
    ("versions", "ok", "fix"),
    [
        ({"mxnet": "1.9.1"}, True, ""),
        ({"mxnet-cu112": "1.9.1"}, True, ""),
        ({}, False, "pip install"),
        ({"mxnet": "1.9.1", "mxnet-cu112": "1.9.1"}, False, "uninstall both"),
        ({"mxnet": "1.6.0"}, True, "mxnet==1.9.1"),
        ({"mxnet": "1.5.1"}, False, "not supported"),
        ({"mxnet": "2.0.0b1"}, False, "not supported"),
    ],
)
def test_doctor_accepts_exactly_one_mxnet_package_of_a_tested_version(monkeypatch, versions, ok, fix):
    monkeypatch.setattr(doctor, "_version", versions.get)
    check = doctor._mxnet_package()
    assert check.ok == ok
    assert fix in check.fix


def test_doctor_names_the_extra_for_curves_and_reports(monkeypatch):
    monkeypatch.setattr(doctor, "_version", {"matplotlib": "3.9"}.get)
    check = doctor._plots()
    assert (check.ok, check.found) == (True, "matplotlib 3.9, jinja2 not installed")
    assert "gluon-classics[plot]" in check.fix


@pytest.mark.parametrize("mxnet", [{}, {"mxnet": "1.9.1"}, {"mxnet-cu112": "1.9.1"}], ids=str)
def test_doctor_rejects_a_new_python_only_with_mxnet(monkeypatch, mxnet):
    monkeypatch.setattr(doctor, "_version", mxnet.get)
    monkeypatch.setattr(sys, "version_info", (3, 15, 0, "final", 0))
    check = doctor._python()
    assert check.ok == (not mxnet)
    assert check.fix.startswith("MXNet ")


@pytest.mark.parametrize(("numpy", "ok"), [("1.20.0", True), ("2.5.5", True), (None, False)])
def test_doctor_accepts_every_numpy(monkeypatch, numpy, ok):
    monkeypatch.setattr(doctor, "_version", {"numpy": numpy, "mxnet": "1.9.1"}.get)
    assert doctor._numpy().ok == ok


@pytest.mark.parametrize(("mxnet", "fix"), [("1.9.1", "gluon-classics[runtime]"), (None, "see MXNet package")])
def test_doctor_names_the_extra_that_installs_opencv(monkeypatch, mxnet, fix):
    monkeypatch.setattr(doctor, "_version", {"mxnet": mxnet}.get)
    monkeypatch.setattr(doctor, "_missing", {"cv2": True}.get)
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    check = doctor._opencv()
    assert (check.ok, check.found) == (False, "not installed")
    assert fix in check.fix


def test_doctor_rejects_a_thread_count_that_mxnet_cannot_read(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert not doctor._threads().ok


def test_doctor_reports_a_data_folder_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    check = doctor._data()
    assert not check.ok
    assert "MXNET_HOME" in check.fix


def test_python_m_gluon_classics_is_the_command(environment):
    arguments = [sys.executable, "-m", "gluon_classics", "--version"]
    result = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("gluon-classics, version ")
