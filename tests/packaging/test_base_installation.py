"""The wheel without extras, next to NumPy 2, can list networks, but not run them.

The tests install it in a new environment. They import nothing of the package and also run without MXNet: `tox -e base`.
"""

import json
import os
from pathlib import Path
import subprocess
import sys
import venv

import pytest

pytestmark = pytest.mark.slow
NUMPY = "numpy>=2" if sys.version_info >= (3, 9) else "numpy"  # NumPy 2 has no release for Python 3.8
NEEDS_MXNET = [
    ["summary", "lenet"],
    ["diff", "lenet", "lenet_d2l"],
    ["draw", "lenet", "-o", "lenet.svg"],
    ["certify", "lenet"],
    ["train", "lenet"],
    ["train", "lenet", "--workers", "2"],
    ["resume", "run"],
    ["evaluate", "run"],
    ["predict", "run", "image.png"],
    ["report", "run"],
    ["reproduce", "lenet-fashion-mnist-blog"],
]


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Return a function that runs the Python of a base installation in an empty folder."""
    folder = tmp_path_factory.mktemp("base")
    venv.create(folder / "environment", with_pip=True)
    interpreter = folder / "environment" / "bin" / "python"
    subprocess.run([interpreter, "-m", "pip", "install", "--quiet", NUMPY], check=True)
    subprocess.run([interpreter, "-m", "pip", "install", "--quiet", wheel], check=True)
    (folder / "empty").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments):
        return subprocess.run(
            [interpreter, *arguments],
            cwd=folder / "empty",
            env=environment,
            capture_output=True,
            text=True,
        )

    return run


def answer(finished):
    """Return the JSON that a process printed."""
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_the_base_installation_keeps_numpy_2_and_does_not_install_opencv(python):
    packages = {package["name"]: package["version"] for package in answer(python("-m", "pip", "list", "--format=json"))}
    assert packages["numpy"].startswith("2." if sys.version_info >= (3, 9) else "1.")
    assert not {"mxnet", "opencv-python-headless", "opencv-python"} & set(packages)
    assert python("-m", "pip", "check").returncode == 0


def test_networks_can_be_listed(python):
    code = (
        "import json, numpy, gluon_classics; from gluon_classics import utils\n"
        "names = gluon_classics.list_models()\n"
        "print(json.dumps({name: gluon_classics.model_info(name).params for name in names}))"
    )
    parameters = answer(python("-W", "error", "-c", code))
    assert parameters["vgg"] == 128_990_666
    rows = answer(python("-m", "gluon_classics", "list", "--json"))
    assert {row["name"]: row["params"] for row in rows} == parameters
    lines = [line.split() for line in python("-m", "gluon_classics", "list").stdout.splitlines()]
    assert {line[0] for line in lines if line} >= set(parameters)


def advice_of(error):
    """Return the last line of an error, which must say what to install."""
    line = error.strip().splitlines()[-1]
    extra = "cpu" if sys.version_info < (3, 13) else "runtime"
    advice = f"pip install 'gluon-classics[{extra}]'" if sys.version_info < (3, 15) else "Python 3.8 to 3.14"
    assert advice in line
    return line


@pytest.mark.parametrize("arguments", NEEDS_MXNET, ids=" ".join)
def test_the_error_of_a_command_that_needs_mxnet_is_one_line_with_what_to_install(python, arguments):
    finished = python("-m", "gluon_classics", *arguments)
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.strip() == advice_of(finished.stderr)


@pytest.mark.parametrize(
    "wish",
    [
        "from gluon_classics import LeNet",
        "from gluon_classics import get_model; get_model('vgg')",
        "from gluon_classics import utils; utils.DataLoader",
        "from gluon_classics import utils; utils.train",
    ],
)
def test_the_error_of_a_name_that_needs_mxnet_says_what_to_install(python, wish):
    finished = python("-c", wish)
    assert finished.returncode == 1
    assert advice_of(finished.stderr).startswith("ModuleNotFoundError: ")


def test_doctor_reports_only_what_is_missing(python):
    finished = python("-m", "gluon_classics", "doctor", "--json")
    assert finished.returncode == 1, finished.stderr
    checks = {check["name"]: check for check in json.loads(finished.stdout)}
    wrong = [name for name, check in checks.items() if not check["ok"]]
    assert wrong == ["MXNet package", "MXNet loads", "OpenCV", "Pillow", "Fashion-MNIST"]
    advice_of(checks["MXNet package"]["fix"])
    assert checks["OpenCV"]["fix"] == checks["Pillow"]["fix"] == "see MXNet package"


def test_the_command_is_installed(python):
    script = Path(answer(python("-c", "import json, sys; print(json.dumps(sys.executable))"))).with_name(
        "gluon-classics"
    )
    assert subprocess.run([script, "list"], stdout=subprocess.DEVNULL).returncode == 0
