"""What the settings behind the speed are worth: each one changed alone, beside the package as it is.

    python benchmarks/knobs.py [--networks NAME ...] [--knobs NAME ...] [--rounds N] [--seconds N]

Prints, for training steps, prediction in batches and prediction of single images, the speed with the knob turned as a
ratio to the package as it is, within a turn: below 1 the knob is right where it stands.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import importlib

from cases import CASES
from gluon_classics.utils import console
import speed
import turns

AS_IT_IS = "as it is"
AT_ONCE = 8  # knobs: their processes hold up to a gigabyte each
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


# a name in a module of `gluon_classics.utils`, and what takes its place
REPLACED = {
    "graph not rewritten": ("hybrid", "rewritten", lambda graph, shapes, widen, sink: graph),
    "relu not sunk": ("graph", "_sunk", lambda nodes, heads: set()),
    "never widened": ("hybrid", "WIDEN_FROM", float("inf")),
    "always widened": ("hybrid", "WIDEN_FROM", 1),
    "predictions by prediction's kernels": ("hybrid", "mostly_narrow", lambda graph, shape, data: False),
    "predictions by training's kernels": ("hybrid", "mostly_narrow", lambda graph, shape, data: True),
    "batch normalisation not folded": ("hybrid", "folded", lambda graph, arrays: (graph, {})),
}


def replace(name):
    """Turn one of these knobs. Raises AttributeError if there is nothing of that name to replace."""
    module, attribute, value = REPLACED[name]
    module = importlib.import_module(f"gluon_classics.utils.{module}")
    getattr(module, attribute)
    setattr(module, attribute, value)


def compiled_with(*flags):
    """What is compiled from now on has these of MXNet's flags alone."""
    from gluon_classics.utils import hybrid

    class Compiled(hybrid._Compiled):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self._flags = [(flag, True) for flag in flags]

    hybrid._Compiled = Compiled


def without_fusion():
    import mxnet_contestants

    mxnet_contestants.frozen = mxnet_contestants.utils.hybridized


def keeping_memory():
    """glibc's allocator gives nothing back to the system: M_MMAP_MAX 0, M_TRIM_THRESHOLD at its largest."""
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
    """In a process of its own: our contestant with the knob turned."""
    import mxnet_contestants

    CODE.get(name, lambda: None)()
    return mxnet_contestants.Ours(case)


def measure(case, names, options):
    """Images/s of each kind and knob, turn by turn."""
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
    parser.add_argument("--rounds", type=turns.at_least(1), default=5, help="turns (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn (default: %(default)s)")
    options = parser.parse_args()
    rows = []
    for network in options.networks:
        console.say(network)
        for first in range(0, len(options.knobs), AT_ONCE):
            names = options.knobs[first : first + AT_ONCE]
            rates = measure(CASES[network], [AS_IT_IS, *names], options)
            for name in names:
                ratios = [turns.ratio(of_kind[name], of_kind[AS_IT_IS]) for of_kind in rates.values()]
                told = [f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})" for r in ratios]
                rows.append((network, name, *told))
    console.table(["network", "knob", "step:", "predict:", "predict 1:"], rows)


if __name__ == "__main__":
    main()
