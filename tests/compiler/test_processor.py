"""What the compiler chooses follows from the instruction set that MXNet's kernels use."""

from types import SimpleNamespace

from gluon_classics.compiler import processor
from gluon_classics.compiler.processor import AVX2, AVX512
import pytest

WITH, WITHOUT = "fma avx2 avx512f avx512dq", "sse4_2 avx avx2 bmi2"


@pytest.mark.parametrize(
    ("flags", "limit", "expected"),
    [
        (WITH, None, AVX512),
        (WITH, "AVX512_CORE", AVX512),
        (WITH, "ALL", AVX512),
        (WITH, "AVX2", AVX2),
        (WITH, "sse41", AVX2),
        (WITHOUT, None, AVX2),
        (WITHOUT, "AVX512_CORE", AVX2),
        (None, None, AVX2),  # a system without /proc
    ],
)
def test_the_instruction_set_is_the_processors_as_far_as_dnnl_max_cpu_isa_allows(flags, limit, expected, monkeypatch):
    def read_text():
        if flags is None:
            raise FileNotFoundError
        return f"processor : 0\nflags : fpu {flags} rdseed\n"

    monkeypatch.setattr(processor, "Path", lambda path: SimpleNamespace(read_text=read_text))
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    if limit is not None:
        monkeypatch.setenv("DNNL_MAX_CPU_ISA", limit)
    assert processor.instruction_set.__wrapped__() == expected


def test_a_block_is_the_float32_numbers_in_one_vector():
    assert (AVX512.block, AVX2.block) == (512 // 32, 256 // 32)
