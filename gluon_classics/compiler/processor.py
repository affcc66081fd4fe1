"""What the compiler chooses for each instruction set. No choice is timed: equal processors compute equal bits.

`benchmarks/NOTES.md` has the measurements behind the table.
"""

from __future__ import annotations

from dataclasses import dataclass
import functools
import os
from pathlib import Path


@dataclass(frozen=True)
class InstructionSet:
    """An instruction set, and what follows from it.

    Attributes:
        name: As people write it.
        block: Channels in a block of oneDNN's layout: the float32 numbers in one vector.
        has_grayscale_gradient: Whether oneDNN has a convolution kernel for the gradient of weights that have one input
            channel. Without it, oneDNN multiplies matrices, image by image.
    """

    name: str
    block: int
    has_grayscale_gradient: bool


AVX512 = InstructionSet("AVX-512", block=16, has_grayscale_gradient=True)
AVX2 = InstructionSet("AVX2", block=8, has_grayscale_gradient=False)
# oneDNN 2.4's names of instruction sets, weakest first, and the flags that each needs
ISAS = (
    ("SSE41", {"sse4_1"}),
    ("AVX", {"avx"}),
    ("AVX2", {"avx2"}),
    ("AVX512_CORE", {"avx512f", "avx512bw", "avx512vl", "avx512dq"}),
    ("AVX512_CORE_VNNI", {"avx512_vnni"}),
    ("AVX512_CORE_BF16", {"avx512_bf16"}),
    ("AVX512_CORE_AMX", {"amx_tile", "amx_int8", "amx_bf16"}),
)

# Predictions with less work run on one thread: waking a second one takes longer than half of the work.
# Multiplications of convolutions and dense layers, in a batch, for each operator of the graph. The same on both sets.
ONE_THREAD_MACS = 2e6
ONE_THREAD_VALUES = 2**18  # of the images; the calling thread copies them, and a copy is kept


@functools.lru_cache(maxsize=None)
def instruction_set() -> InstructionSet:
    """Return the instruction set that MXNet's kernels use in this process."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\nflags")[2].partition("\n")[0].split()
    except OSError:
        return AVX2
    return AVX512 if (onednn_isa(flags) or "").startswith("AVX512") else AVX2


def onednn_isa(flags) -> str | None:
    """Return the instruction set that oneDNN uses with these CPU flags, None below SSE4.1.

    DNNL_MAX_CPU_ISA limits it, if it is set to one of these names.
    """
    limit = os.environ.get("DNNL_MAX_CPU_ISA", "").upper()
    limit = {"AVX2_VNNI": "AVX2"}.get(limit, limit)  # they differ in integers only
    best = None
    for name, needed in ISAS:
        if not needed <= set(flags):
            break
        best = name
        if name == limit:
            break
    return best
