"""What ends the process inside MXNet, with an abort or a crash, before it could raise an error.

MXNet's library reads most of its environment variables as numbers while it loads or when the first operator runs. It
aborts the process if one is malformed, divides by a count of 0 and waits forever for 0 threads. It crashes if its
threads cannot be created. `problem` finds this before MXNet loads.
"""

from __future__ import annotations

import re
import sys
from typing import Mapping

MOST_THREADS = 1024
MIB = 2**20
LARGEST_STACK = 1024 * MIB
_UNITS = {"B": 1, "": 2**10, "K": 2**10, "M": MIB, "G": 2**30}  # of a size for OpenMP
NEEDED, NEEDED_PER_THREAD = 1536 * MIB, 16 * MIB  # addresses for a small network; measured with 1 to 16 threads


def _named(names):
    return ["MXNET_" + name for name in names.split()]


# The smallest and the largest value of MXNet's variables that are whole numbers
_NUMBERS = {
    **dict.fromkeys(
        _named(
            "CPU_PARALLEL_RAND_COPY CPU_PRIORITY_NTHREADS CPU_TEMP_COPY CPU_WORKER_NTHREADS GPU_COPY_NTHREADS "
            "GPU_PARALLEL_RAND_COPY GPU_TEMP_COPY GPU_WORKER_NTHREADS"
        ),
        (1, MOST_THREADS),
    ),
    **dict.fromkeys(
        _named("MP_OPENCV_NUM_THREADS MP_WORKER_NTHREADS OMP_MAX_THREADS USE_NUM_CORES_OPERATOR_TUNING"),
        (0, MOST_THREADS),
    ),
    **dict.fromkeys(
        _named(
            "CPU_PARALLEL_SIZE DISABLE_MKLDNN_CONV_OPT DISABLE_MKLDNN_FC_OPT DISABLE_MKLDNN_FUSE_CONV_BN "
            "DISABLE_MKLDNN_FUSE_CONV_RELU DISABLE_MKLDNN_FUSE_CONV_SUM DISABLE_MKLDNN_TRANSFORMER_OPT ENABLE_CYTHON "
            "ENFORCE_CYTHON EXEC_BULK_EXEC_MAX_NODE_TRAIN EXEC_BULK_EXEC_MAX_NODE_TRAIN_BWD "
            "EXEC_BULK_EXEC_MAX_NODE_TRAIN_FWD EXEC_INPLACE_GRAD_SUM_CAP OPTIMIZER_AGGREGATION_SIZE "
            "PROFILER_AUTOSTART PROFILER_MODE SUBGRAPH_VERBOSE UPDATE_ON_KVSTORE"
        ),
        (0, 2**31 - 1),
    ),
    "MXNET_MKLDNN_CACHE_NUM": (-1, 2**31 - 1),
}
_WORDS = {
    **dict.fromkeys(
        _named(
            "DISABLE_MKLDNN_FUSE_FC_ELTWISE DISABLE_MKLDNN_QEM_FLOAT_OUTPUT DISABLE_MKLDNN_QEM_FUSE_ALL "
            "DISABLE_MKLDNN_QFC_FLOAT_OUTPUT DISABLE_MKLDNN_QFC_FUSE_ALL DISABLE_MKLDNN_QTRANSFORMER_FLOAT_OUTPUT "
            "DISABLE_MKLDNN_QTRANSFORMER_FUSE_ALL ELIMINATE_COMMON_EXPR ENGINE_INFO EXEC_BULK_EXEC_INFERENCE "
            "EXEC_BULK_EXEC_TRAIN INFER_STORAGE_TYPE_VERBOSE_LOGGING KVSTORE_LOGTREE MEM_PLAN_VERBOSE_LOGGING "
            "MKLDNN_DEBUG MKLDNN_ENABLED MKLDNN_FORCE_FC_AB_FORMAT OUTPUT_TUNING_DATA VERBOSE_TUNING_INFO"
        ),
        ("0", "1", "false", "true"),
    ),
    "MXNET_ENGINE_TYPE": ("NaiveEngine", "ThreadedEngine", "ThreadedEnginePerDevice"),
}


def problem(variables: Mapping[str, str], threads: int) -> str:
    """Return in one line what MXNet would end the process for, and what to do; empty if nothing was found.

    Args:
        variables: The environment variables.
        threads: The number of threads that MXNet will use.
    """
    for name, (smallest, largest) in _NUMBERS.items():
        value = variables.get(name, "")
        if value and not is_whole_number(value, smallest, largest):
            numbers = f"a number from {smallest} to {largest}"
            return f"{name}={value:.40} is not {numbers}, which MXNet needs. Change or unset it"
    for name, words in _WORDS.items():
        value = variables.get(name, "")
        if value and value not in words and value.lower() not in words:
            return f"{name}={value:.40} is not one of {', '.join(words)}, which MXNet needs. Change or unset it"
    scale = variables.get("MXNET_TUNING_WEIGHT_SCALE", "")
    if scale and not re.fullmatch(r"\d+(\.\d*)?", scale, re.ASCII):
        return (
            f"MXNET_TUNING_WEIGHT_SCALE={scale:.40} is not a number such as 0.5, which MXNet needs. Change or unset it"
        )
    for name in ("OMP_STACKSIZE", "GOMP_STACKSIZE"):
        size = re.fullmatch(r"\s*(\d+)\s*([BKMG]?)\s*", variables.get(name, ""), re.ASCII | re.IGNORECASE)
        if size and int(size[1][:20]) * _UNITS[size[2].upper()] > LARGEST_STACK:
            return f"{name}={size[0]:.40} is more than {LARGEST_STACK // MIB} MiB for each thread. Change or unset it"
    if sys.flags.optimize > 1:
        return "MXNet needs docstrings, which PYTHONOPTIMIZE=2 (-OO) removes: use PYTHONOPTIMIZE=1, or unset it"
    limit, needed = _address_space(), NEEDED + threads * NEEDED_PER_THREAD
    if limit is not None and limit < needed:
        return (
            f"the address space of this process is limited to {limit // MIB:,} MiB, and MXNet needs "
            f"{needed // MIB:,} MiB for {threads} threads. Raise the limit (ulimit -v, ulimit -d)"
        )
    return ""


def is_whole_number(text: str, smallest: int, largest: int) -> bool:
    """Return whether `text` is a whole number in a range, in the digits that C reads."""
    digits = text[1:] if text.startswith("-") else text
    return digits.isascii() and digits.isdigit() and len(digits) <= 10 and smallest <= int(text) <= largest


def _address_space() -> int | None:
    """Return the smallest limit for the memory of this process in bytes, or None without one."""
    try:
        import resource
    except ImportError:  # as on Windows
        return None
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    limits = [limit for limit, _ in map(resource.getrlimit, kinds) if limit != resource.RLIM_INFINITY]
    return min(limits, default=None)
