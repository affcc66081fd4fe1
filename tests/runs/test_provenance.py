"""A record contains the code version and the processor of a run."""

import os
from pathlib import Path
import re
import subprocess
import sys

import gluon_classics
from gluon_classics.compiler.processor import onednn_isa
from gluon_classics.runs import provenance
import pytest


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return the folder of a clean repository with one commit, which replaces the package's own."""
    for folder in ("gluon_classics", "utils", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "gluon_classics" / "__init__.py").write_text("")
    (tmp_path / "gluon_classics" / "utils").symlink_to("../utils")
    (tmp_path / "utils" / "training.py").write_text("")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        git(tmp_path, *arguments)
    monkeypatch.setattr(gluon_classics, "__file__", str(tmp_path / "gluon_classics" / "__init__.py"))
    provenance.code.cache_clear()
    yield tmp_path
    provenance.code.cache_clear()


def git(folder, *arguments):
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(
        ["git", *identity, "-C", folder, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_code_of_a_clean_checkout_is_its_commit(checkout):
    assert provenance.code() == (git(checkout, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("file", ["utils/training.py", "gluon_classics/__init__.py", "utils/new.py"])
def test_a_changed_or_new_file_of_the_package_makes_the_checkout_dirty(checkout, file):
    (checkout / file).write_text("changed = True")
    assert provenance.code()[1] is True


@pytest.mark.parametrize("file", ["results/seed-0.json", "report.html"])
def test_files_outside_the_package_do_not_make_the_checkout_dirty(checkout, file):
    (checkout / file).write_text("")
    assert provenance.code()[1] is False


def test_outside_a_checkout_the_code_is_unknown(checkout):
    git(checkout, "rm", "-q", "--cached", "gluon_classics/__init__.py")
    assert provenance.code() == (None, None)


def test_a_commit_made_while_a_process_runs_does_not_change_its_code(checkout):
    first = provenance.code()
    (checkout / "utils" / "training.py").write_text("changed = True")
    git(checkout, "commit", "-qam", "second")
    assert provenance.code() == first


CPUINFO = """\
processor\t: 0
cpu family\t: 6
model\t\t: 85
model name\t: A processor
stepping\t: 7
flags\t\t: fpu sse4_1 sse4_2 avx2 avx avx512f avx512bw avx512vl avx512dq avx512_vnni

processor\t: 1
model name\t: Another one
"""
FLAGS = ("avx", "avx2", "avx512_vnni", "avx512bw", "avx512dq", "avx512f", "avx512vl", "sse4_1")


@pytest.fixture
def cpuinfo(tmp_path, monkeypatch):
    """Return the path of a file that is read instead of /proc/cpuinfo."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(provenance, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    return tmp_path / "cpuinfo"


def test_a_processor_has_the_name_numbers_and_vector_instructions_of_cpuinfo(cpuinfo):
    cpuinfo.write_text(CPUINFO)
    found = provenance.processor()
    assert (found.name, found.family, found.model, found.stepping) == ("A processor", 6, 85, 7)
    assert found.flags == FLAGS
    assert found.onednn_isa == "AVX512_CORE_VNNI"


def test_on_another_architecture_unknown_facts_are_empty(cpuinfo):
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")
    found = provenance.processor()
    assert (found.family, found.flags, found.onednn_isa) == (None, (), None)


@pytest.mark.parametrize(
    ("limit", "isa"),
    [
        ("AVX2", "AVX2"),
        ("sse41", "SSE41"),
        ("AVX512_CORE_AMX", "AVX512_CORE_VNNI"),
        ("no such set", "AVX512_CORE_VNNI"),
    ],
)
def test_the_instruction_set_of_onednn_is_limited_by_the_environment(cpuinfo, monkeypatch, limit, isa):
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", limit)
    assert onednn_isa(FLAGS) == isa


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="reads /proc/cpuinfo")
@pytest.mark.parametrize("limit", [None, "AVX2", "SSE41"])
def test_the_recorded_instruction_set_is_the_one_that_onednn_reports(limit):
    code = (
        "from gluon_classics.runs.provenance import processor; import mxnet as mx\n"
        "x = mx.nd.ones((1, 8, 8, 8)); w = mx.nd.ones((8, 8, 3, 3))\n"
        "mx.nd.Convolution(x, w, no_bias=True, kernel=(3, 3), num_filter=8).wait_to_read()\n"
        "print('recorded', processor().onednn_isa)"
    )
    environment = {**os.environ, "DNNL_VERBOSE": "1", **({"DNNL_MAX_CPU_ISA": limit} if limit else {})}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    reported = re.search(r"cpu,isa:(?:Intel )?(.*)", result.stdout)[1]
    names = {"SSE41": "SSE4.1", "AVX2": "AVX2", "AVX512_CORE": "AVX-512 with AVX512BW, AVX512VL, and AVX512DQ"}
    recorded = re.search(r"recorded (\w+)", result.stdout)[1]
    assert reported.startswith(names.get(recorded, "AVX-512"))
