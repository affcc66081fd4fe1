"""The package for GPUs works on a machine with nothing but a driver. Run by `tox -e cu112`, which downloads 2 GB.

The driver here is a stub without a device, so networks run on the CPU.
"""

import importlib.util
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

from gluon_classics import _cuda
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _cuda.is_installed(), reason="needs mxnet-cu112: tox -e cu112"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc, for a stub of the driver"),
]
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Return a folder with a stub of libcuda.so.1, whose functions all say that there is no GPU."""
    folder = tmp_path_factory.mktemp("driver")
    library = Path(importlib.util.find_spec("mxnet").submodule_search_locations[0], "libmxnet.so")
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True
    ).stdout
    names = sorted({"cuInit", "cuDriverGetVersion", *re.findall(r"\bU (cu[A-Z]\w*)$", symbols, re.MULTILINE)})
    names = [name for name in names if not name.startswith(("cuda", "cublas", "cudnn", "cufft", "curand", "cusolver"))]
    source = folder / "stub.c"
    source.write_text("".join(f"int {name}(void) {{ return {NO_DEVICE}; }}\n" for name in names))
    target = folder / _cuda.DRIVER
    subprocess.run(["gcc", "-shared", "-fPIC", f"-Wl,-soname,{_cuda.DRIVER}", "-o", target, source], check=True)
    return folder


@pytest.fixture
def run(driver, tmp_path):
    """Return a function that runs Python, with the stub of the driver unless told otherwise."""

    def start(*arguments, with_driver=True, **variables):
        environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        if with_driver:
            environment["LD_LIBRARY_PATH"] = str(driver)
        return subprocess.run(
            [sys.executable, *arguments],
            env={**environment, **variables},
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )

    return start


def gpu_line(result):
    """Return what `doctor` says about the GPU."""
    return next(line for line in result.stdout.splitlines() if " GPU: " in line)


def test_mxnet_loads_and_computes(run):
    script = "import gluon_classics, mxnet; print(mxnet.nd.ones(3).sum().asscalar(), mxnet.context.num_gpus())"
    result = run("-c", script)
    assert result.stdout.split() == ["3.0", "0"], result.stderr


def test_a_network_is_trained_on_the_cpu(run):
    result = run("-m", "gluon_classics", "train", "lenet", "--epochs", "1", "--out", "run")
    assert result.returncode == 0, result.stderr
    assert "cpu(0)" in result.stderr


def test_a_missing_gpu_is_one_line(run):
    result = run("-m", "gluon_classics", "train", "lenet", "--ctx", "gpu", "--out", "run")
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: gpu(0) cannot be used")
    assert "Traceback" not in result.stderr


def test_doctor_finds_the_driver_without_a_gpu(run):
    assert gpu_line(run("-m", "gluon_classics", "doctor")).startswith("ok ")


def test_doctor_says_that_the_driver_is_missing(run):
    result = run("-m", "gluon_classics", "doctor", with_driver=False)
    assert result.returncode == 1
    assert "no NVIDIA driver" in gpu_line(result)
    assert "see GPU" in result.stdout


def test_doctor_names_a_gpu_that_is_too_new(run, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 PCIe, 9.0'\n")
    program.chmod(0o755)
    result = run("-m", "gluon_classics", "doctor", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert "NVIDIA H100 PCIe (9.0)" in gpu_line(result)
    assert "--ctx cpu" in gpu_line(result)


def test_doctor_names_a_missing_library_and_its_package(run):
    library = _cuda.LIBRARIES[-1]
    path = _cuda._path(library)
    hidden = path.with_name(f"{path.name}.hidden")
    path.rename(hidden)
    try:
        result = run("-m", "gluon_classics", "doctor")
    finally:
        hidden.rename(path)
    assert library.name in gpu_line(result)
    assert library.package in gpu_line(result)
