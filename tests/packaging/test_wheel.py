"""The content of the sdist and the wheel, and the names under which the installed modules are found."""

import os
from pathlib import Path
import subprocess
import sys
import tarfile
import zipfile

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """Return a folder into which pip installed the wheel."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(wheel)]
    subprocess.run(pip, check=True)
    return folder


def test_the_only_top_level_package_of_the_wheel_is_gluon_classics(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gluon_classics"}


def test_the_wheel_contains_every_file_of_the_package_as_a_regular_file(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    package = CHECKOUT / "gluon_classics"
    files = [path for path in [*package.rglob("*"), *package.glob("utils/*")] if path.is_file()]
    wanted = {str(path.relative_to(CHECKOUT)): path.stat().st_size for path in files if path.suffix != ".pyc"}
    assert {name: size for name, size in sizes.items() if name.startswith("gluon_classics/")} == wanted


def test_the_wheel_declares_the_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "gluon-classics = gluon_classics.cli:main" in archive.read(name).decode()


def test_the_sdist_contains_utils_and_the_license(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
    assert {"LICENSE", "setup.cfg", "gluon_classics/utils/loader.py"} <= names
    assert members["gluon_classics/utils/loader.py"].isfile()


def test_only_extras_require_mxnet(wheel):
    """Two packages provide MXNet, and the user must choose one."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        needs = [line for line in archive.read(name).decode().splitlines() if line.startswith("Requires-Dist: mxnet")]
    assert len(needs) == 2
    assert all("extra ==" in need for need in needs)


def python(code, cwd, *paths):
    """Return the output of a Python process that starts in `cwd` and looks for modules in `paths` first."""
    path = ":".join(map(str, paths))
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_installed_package_does_not_hide_another_utils(site, tmp_path):
    (tmp_path / "utils.py").write_text("WHOSE = 'theirs'\n", encoding="utf-8")
    code = (
        "import utils; from gluon_classics import utils as ours, LeNet\n"
        "import gluon_classics; print(utils.WHOSE, callable(ours.train), gluon_classics.__file__)"
    )
    whose, ours, place = python(code, tmp_path, site).rsplit(" ", 2)
    assert (whose, ours) == ("theirs", "True")
    assert place.startswith(str(site))


def test_both_names_of_utils_are_the_same_module_in_the_checkout(tmp_path):
    code = (
        "import utils; from gluon_classics import utils as ours; import gluon_classics.utils\n"
        "from utils import train; from gluon_classics.utils import train as same\n"
        "print(utils is ours is gluon_classics.utils, train is same)"
    )
    assert python(code, CHECKOUT) == "True True"
    assert python(code, tmp_path, CHECKOUT) == "True True"


def test_modules_of_utils_are_the_same_under_both_names():
    code = (
        "import utils.metrics; from utils.loader import DataLoader; import gluon_classics.utils.loader as loader\n"
        "import gluon_classics.utils.metrics as metrics; import utils\n"
        "print(utils.metrics is metrics, DataLoader is loader.DataLoader, metrics.__spec__.name)"
    )
    assert python(code, CHECKOUT) == "True True gluon_classics.utils.metrics"


def test_the_installed_command_runs_without_the_checkout(site, tmp_path):
    code = "from gluon_classics.cli import main; main(['summary', 'vgg'])"
    assert "128,990,666" in python(code, tmp_path, site)


def test_the_installed_package_contains_its_sample(site, tmp_path):
    code = (
        "from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset\n"
        "print(len(load_dataset(str(SAMPLE_FOLDER)).train), SAMPLE_FOLDER)"
    )
    count, place = python(code, tmp_path, site).split()
    assert count == "6000"
    assert place.startswith(str(site))
