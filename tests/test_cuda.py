"""The CUDA libraries of mxnet-cu112 come from packages of pip, and `doctor` names what is missing."""

import configparser
from pathlib import Path
import re
import sys
from types import SimpleNamespace

from gluon_classics import _cuda
from gluon_classics.diagnostics import doctor
import pytest

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture
def libraries(tmp_path, monkeypatch):
    """Replace the packages of pip and the system's libraries: `install(name)`, `system`, and `loaded` in order."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)  # it remembers the folders of an earlier test
    found = SimpleNamespace(system=set(), loaded=[])

    def install(library):
        folder = tmp_path / "nvidia" / library.folder / "lib"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / library.name).touch()

    def load(name, mode=None):
        loaded = {Path(path).name for path, _ in found.loaded}
        if "/" not in name and name not in found.system | loaded:
            raise OSError(f"{name}: cannot open shared object file")
        found.loaded.append((name, mode))

    monkeypatch.setattr(_cuda.ctypes, "CDLL", load)
    found.install = install
    return found


def test_the_libraries_of_packages_are_loaded_for_all_in_order(libraries):
    for library in _cuda.LIBRARIES:
        libraries.install(library)
    _cuda.preload()
    assert [Path(path).name for path, _ in libraries.loaded] == [library.name for library in _cuda.LIBRARIES]
    assert {mode for _, mode in libraries.loaded} == {_cuda.ctypes.RTLD_GLOBAL}
    assert _cuda.missing() == []


def test_what_no_package_has_is_left_to_the_system(libraries):
    first, second, *others = _cuda.LIBRARIES
    libraries.install(first)
    libraries.system = {library.name for library in others}
    _cuda.preload()
    assert [Path(path).name for path, _ in libraries.loaded] == [first.name]
    assert _cuda.missing() == [second]


def test_a_library_that_does_not_load_is_left_to_the_system(libraries, monkeypatch):
    libraries.install(_cuda.LIBRARIES[0])
    monkeypatch.setattr(_cuda.ctypes, "CDLL", lambda name, mode=None: (_ for _ in ()).throw(OSError("damaged")))
    _cuda.preload()
    assert _cuda.missing() == list(_cuda.LIBRARIES)


def test_the_extra_installs_every_package():
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    extra = set(re.findall(r"^(nvidia-[\w-]+)==", setup["options.extras_require"]["cuda"], re.MULTILINE))
    assert extra == {library.package for library in _cuda.LIBRARIES}


@pytest.fixture
def gpu_check(libraries, monkeypatch):
    """Return a function that runs doctor's check with the given state."""

    def check(installed=True, driver=True, packages=_cuda.LIBRARIES, gpus=""):
        libraries.system = {_cuda.DRIVER} if driver else set()
        for library in packages:
            libraries.install(library)
        monkeypatch.setattr(_cuda, "is_installed", lambda: installed)
        monkeypatch.setattr(doctor.subprocess, "run", lambda *_args, **_options: SimpleNamespace(stdout=gpus))
        return doctor._gpu()

    return check


@pytest.mark.parametrize(
    ("state", "ok", "words"),
    [
        ({"installed": False, "driver": False, "packages": ()}, True, "the extra cu112"),
        ({"driver": False}, False, "install the driver"),
        ({"packages": _cuda.LIBRARIES[:-1]}, False, "nvidia-cudnn-cu11"),
        ({"packages": ()}, False, "nvidia-cublas-cu11"),
        ({"gpus": "NVIDIA A100-SXM4-40GB, 8.0\n"}, True, "NVIDIA A100-SXM4-40GB"),
        ({"gpus": "NVIDIA GeForce RTX 4090, 8.9\n"}, True, "4090"),
        ({"gpus": "NVIDIA H100 PCIe, 9.0\n"}, False, "NVIDIA H100 PCIe (9.0)"),
        ({"gpus": "NVIDIA B200, 10.0\nTesla K80, 3.7\n"}, False, "Tesla K80 (3.7)"),
        ({"gpus": "No devices were found\n"}, True, "no GPU that nvidia-smi shows"),
    ],
)
def test_doctor_says_what_keeps_a_gpu_from_being_used(gpu_check, state, ok, words):
    check = gpu_check(**state)
    assert check.ok == ok
    assert words in f"{check.found} {check.fix}"
    assert bool(check.fix) or ok
