"""Scripts run on old versions of MXNet with the variables that make these fast on the processor."""

from types import SimpleNamespace

import era
import pytest

AVX2 = {"avx2", "fma", "sse4_1"}
KERNELS = {"OPENBLAS_CORETYPE", "MKL_DEBUG_CPU_TYPE"}


@pytest.fixture
def variables(monkeypatch):
    """Return a function that runs a script, and returns the environment variables that it gets."""
    for name in (*KERNELS, *era.KEEP_MEMORY, "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)

    def of(version, flags=AVX2, vendor="AuthenticAMD", threads=None):
        given = []
        monkeypatch.setattr(era, "python_of", lambda _: "python")
        monkeypatch.setattr(era, "_processor", {"flags": flags, "vendor_id": {vendor}}.get)
        monkeypatch.setattr(era.subprocess, "run", lambda _, env: given.append(env) or SimpleNamespace(returncode=0))
        era.run(version, "script.py", threads=threads)
        return given[0]

    return of


@pytest.mark.parametrize(
    ("version", "flags", "vendor", "expected"),
    [
        ("1.1.0", AVX2, "AuthenticAMD", {"OPENBLAS_CORETYPE": "Haswell"}),
        ("1.1.0", AVX2, "GenuineIntel", {"OPENBLAS_CORETYPE": "Haswell"}),
        ("1.1.0", {"sse4_1"}, "GenuineIntel", {}),
        ("1.1.0-mkl", AVX2, "AuthenticAMD", {"MKL_DEBUG_CPU_TYPE": "5"}),
        ("1.1.0-mkl", AVX2, "GenuineIntel", {}),
        ("1.1.0-mkl", {"sse4_1"}, "AuthenticAMD", {}),
        ("1.7.0", AVX2, "AuthenticAMD", {}),
    ],
)
def test_old_libraries_are_told_of_avx2_where_they_do_not_know_the_processor(
    version, flags, vendor, expected, variables
):
    given = variables(version, flags, vendor)
    assert {name: value for name, value in given.items() if name in KERNELS} == expected


def test_versions_before_1_6_keep_memory(variables):
    assert variables("1.5.1").items() >= era.KEEP_MEMORY.items()
    assert not era.KEEP_MEMORY.keys() & variables("1.6.0").keys()


def test_variables_of_the_user_win_except_for_the_threads_of_a_call(variables, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Zen")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert variables("1.1.0")["OPENBLAS_CORETYPE"] == "Zen"
    assert variables("1.1.0")["OMP_NUM_THREADS"] == "7"
    assert variables("1.1.0", threads=1)["OMP_NUM_THREADS"] == "1"
