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
LIMITED = ("SSE41", "AVX", "AVX2", "AVX2_VNNI")  # values of DNNL_MAX_CPU_ISA without AVX-512

# Predictions with less work run on one thread: waking a second one takes longer than half of the work.
# Multiplications of convolutions and dense layers, in a batch, for each operator of the graph. The same on both sets.
ONE_THREAD_MACS = 2e6
ONE_THREAD_VALUES = 2**18  # of the images; the calling thread copies them, and a copy is kept


@functools.lru_cache(maxsize=None)
def instruction_set() -> InstructionSet:
    """Return the instruction set that MXNet's kernels use in this process."""
    if os.environ.get("DNNL_MAX_CPU_ISA", "").upper() in LIMITED:
        return AVX2
    try:
        return AVX512 if " avx512f " in Path("/proc/cpuinfo").read_text() else AVX2
    except OSError:
        return AVX2
