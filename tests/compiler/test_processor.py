"""What the compiler chooses follows from the instruction set that MXNet's kernels use."""

from types import SimpleNamespace

from gluon_classics.compiler import processor
from gluon_classics.compiler.processor import AVX2, AVX512
import pytest

WITHOUT = "sse4_1 sse4_2 avx avx2 bmi2"
WITH = f"{WITHOUT} avx512f avx512dq avx512bw avx512vl"
PHI = f"{WITHOUT} avx512f avx512cd avx512er"  # has AVX-512, but not what oneDNN's kernels for it need


@pytest.mark.parametrize(
    ("flags", "limit", "expected"),
    [
        (WITH, None, AVX512),
        (WITH, "AVX512_CORE", AVX512),
        (WITH, "ALL", AVX512),
        (WITH, "AVX2", AVX2),
        (WITH, "sse41", AVX2),
        (WITH, "AVX2_VNNI", AVX2),
        (PHI, None, AVX2),
        (WITHOUT, None, AVX2),
        (WITHOUT, "AVX512_CORE", AVX2),
        (None, None, AVX2),  # a system without /proc
    ],
)
def test_the_instruction_set_is_the_processors_as_far_as_dnnl_max_cpu_isa_allows(flags, limit, expected, monkeypatch):
    def read_text(encoding):
        if flags is None:
            raise FileNotFoundError
        return f"processor : 0\nflags : fpu {flags} rdseed\n"

    monkeypatch.setattr(processor, "Path", lambda path: SimpleNamespace(read_text=read_text))
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    if limit is not None:
        monkeypatch.setenv("DNNL_MAX_CPU_ISA", limit)
    assert processor.instruction_set.__wrapped__() == expected
