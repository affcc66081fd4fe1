"""Measure what each setting behind the speed gains: change one at a time and compare with the package as it is.

    python benchmarks/knobs.py [--networks NAME ...] [--knobs NAME ...] [--rounds N] [--seconds N]

Prints the speed with the changed setting relative to the package as it is, for training steps, prediction in batches
and prediction of single images. Ratios are taken within a turn. A ratio below 1 means that the package is faster.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import importlib

from cases import CASES
from gluon_classics import _console
import speed
import turns

AS_IT_IS = "as it is"
AT_ONCE = 8  # knobs measured together: each has a process that holds up to a gigabyte
ENVIRONMENT = {
    "updates 4 at once": {"MXNET_OPTIMIZER_AGGREGATION_SIZE": "4"},
    "updates 45 at once": {"MXNET_OPTIMIZER_AGGREGATION_SIZE": "45"},
    "scratch for 4 operators": {"MXNET_CPU_TEMP_COPY": "4"},
    "threads bound": {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"},
    "threads spin briefly": {"GOMP_SPINCOUNT": "50000"},
    "threads spin": {"OMP_WAIT_POLICY": ""},
    "kernels of AVX-512F alone": {"DNNL_MAX_CPU_ISA": "AVX512_MIC"},
    "huge pages": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "no bulks": {"MXNET_EXEC_BULK_EXEC_TRAIN": "0", "MXNET_EXEC_BULK_EXEC_INFERENCE": "0"},
    "bulks of 60": {
        "MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN_FWD": "60",
        "MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN_BWD": "60",
    },
    "half of the threads": {"OMP_NUM_THREADS": str(max(1, speed.CORES // 2))},
}

# a module of `gluon_classics.compiler`, a name in it, and the value that replaces it
REPLACED = {
    "graph not rewritten": ("compiled", "rewritten", lambda graph, *_: (graph, {})),
    "relu not deferred": ("rewrite", "_deferred", lambda nodes, heads: set()),
    "channels not padded": ("rewrite", "_convolutions_before_a_pool", lambda nodes: set()),
    "images not widened": ("compiled", "to_widen", lambda *_: frozenset()),
    "never on one thread": ("compiled", "ONE_THREAD_MACS", 0),
}


def replace(name):
    """Apply one of the replacements. Raises AttributeError if the module has no such name."""
    module, attribute, value = REPLACED[name]
    module = importlib.import_module(f"gluon_classics.compiler.{module}")
    getattr(module, attribute)
    setattr(module, attribute, value)


def compiled_with(*flags):
    """Compile with only these flags of MXNet from now on."""
    from gluon_classics.compiler import compiled

    class Compiled(compiled._Compiled):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self._flags = [(flag, True) for flag in flags]

    compiled._Compiled = Compiled


def without_fusion():
    import mxnet_contestants

    mxnet_contestants.for_inference = mxnet_contestants.utils.hybridized


def keeping_memory():
    """Make glibc's allocator return no memory to the system: M_MMAP_MAX 0, M_TRIM_THRESHOLD at its maximum."""
    libc = ctypes.CDLL(None)
    if not (libc.mallopt(-4, 0) and libc.mallopt(-1, 2**31 - 1)):
        raise OSError("mallopt failed")


CODE = {
    **{name: functools.partial(replace, name) for name in REPLACED},
    "memory not static": compiled_with,
    "shapes not static": functools.partial(compiled_with, "static_alloc"),
    "predictions not fused": without_fusion,
    "allocator keeps memory": keeping_memory,
}


def make(case, name):
    """Return our contestant with the knob turned. Runs in a new process."""
    import mxnet_contestants

    CODE.get(name, lambda: None)()
    return mxnet_contestants.Ours(case)


def measure(case, names, options):
    """Return the images/s of each kind and knob, one value per turn."""
    ours = speed.environment_of("ours", None)
    workers = {name: turns.Worker(make, (case, name), {**ours, **ENVIRONMENT.get(name, {})}) for name in names}
    kinds = [kind for kind in speed.KINDS if kind != "epoch"]
    rates = {kind: {name: [] for name in names} for kind in kinds}
    try:
        for _ in range(options.rounds):
            for kind in kinds:
                for name, worker in workers.items():
                    rates[kind][name].append(speed.ask(worker, kind, case, options.seconds))
    finally:
        for worker in workers.values():
            worker.close()
    return rates


def main():
    knobs = [*ENVIRONMENT, *CODE]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=CASES, default=["lenet", "resnet", "alexnet"], metavar="NAME")
    parser.add_argument("--knobs", nargs="+", choices=knobs, default=knobs, metavar="NAME", help="; ".join(knobs))
    parser.add_argument("--rounds", type=turns.at_least(1), default=5, help="number of turns (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="seconds of each measurement (default: %(default)s)")
    options = parser.parse_args()
    rows = []
    for network in options.networks:
        _console.say(network)
        for first in range(0, len(options.knobs), AT_ONCE):
            names = options.knobs[first : first + AT_ONCE]
            rates = measure(CASES[network], [AS_IT_IS, *names], options)
            for name in names:
                ratios = [turns.ratio(of_kind[name], of_kind[AS_IT_IS]) for of_kind in rates.values()]
                told = [f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})" for r in ratios]
                rows.append((network, name, *told))
    _console.table(["network", "knob", "step:", "predict:", "predict 1:"], rows)


if __name__ == "__main__":
    main()
