"""Compare the speed of each network with the blog's way and with PyTorch.

    pip install -e '.[cpu,bench]'
    python benchmarks/speed.py [--networks NAME ...] [--rounds N] [--seconds N] [--json FILE] [--publish]

The contestants have the same layers, use float32 and, except for the blog's way, the same number of threads. Each
runs in its own process. Later turns start new processes because speed differs between processes, except for modes with
torch.compile, which would compile again for minutes:

ours     the compiled network with the package's loader and training loop
blog     the blog's loop, rewritten: eager, images resized one by one, every batch waited for, MXNet's default settings
torch    PyTorch in both memory formats, and in channels_last with torch.compile; the fastest mode counts. For
         predictions, torch.compile treats the weights as constants, as our package does. Modes that are clearly slower
         in the first turn are not measured again. Its threads spin or sleep while they wait: a first test chooses the
         faster way. torch.compile in the plain format is left out: it takes minutes, loses gradients of AlexNet and
         VGG (see torch_gradient.py), and had .97 of the speed in channels_last on the four others (see NOTES.md).

First each contestant must compute the same function: the same outputs from the same weights, and the same loss after
three updates. A compiled mode of PyTorch that does not is left out. Then they take turns, the first of them in the same
processes, which have compiled already:

step     training steps on one batch, each waited for      epoch   an epoch with loader and metrics, compiled before
predict  batches of the training's size, 64 at most, and single images

Each turn also measures the peak of a dense convolution, to express training speed as a share of it. A step counts as
three times the operations of the forward pass. This includes the gradient of the images, which is never computed: 7 %
of the operations of LeNet, 1 % of those of AlexNet. Ratios are within a turn, and their median and range are reported.
Memory is measured in further processes of training steps, for PyTorch without torch.compile and in the memory format
that needs less. --json FILE also has the seconds that each part of the benchmark took. --publish writes a file for this
processor's instruction set, such as benchmarks/speed-avx2.json, and the README's table of all of them. With
DNNL_MAX_CPU_ISA=AVX2, PyTorch is limited alike.
"""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import replace
import importlib.util
import json
import os
from pathlib import Path
import shutil
import statistics
import sys
import tempfile
import time

from cases import CASES
from gluon_classics import _console, _files, _runtime
from gluon_classics.compiler.processor import AVX2, instruction_set
from gluon_classics.data.datasets import load_dataset
import numpy as np
import turns

ROOT = Path(__file__).parents[1]
PUBLISHED = Path(__file__).with_name(f"speed-{instruction_set().name.lower()}.json")
MODES = ("eager", "channels_last", "channels_last compile")
KINDS = ("step", "epoch", "predict", "predict 1")
STEP_AFTER_EPOCH = "step after epoch"  # our steps again, since speed drifts by some percent within minutes
CLEARLY_BEHIND = 0.9  # of the fastest mode's speed
QUIET = 0.5  # load average per core; above it, nothing is published
WAITING_SECONDS = 15  # spent at most on PyTorch's way of waiting, after the first turn
# maximum difference: of outputs, relative to the largest output; of losses, relative to the change of the loss
SAME = {"outputs": 1e-4, "loss": 1e-2}
CORES = _runtime.usable_cores()
THREADS = {"OMP_NUM_THREADS": str(CORES)}
# what limits PyTorch to AVX2, if the user limits MXNet to it
LIMITED = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
WAITING = {"asleep": {"OMP_WAIT_POLICY": "passive"}, "spinning": {"OMP_WAIT_POLICY": None}}
ENVIRONMENTS = {
    "ours": {**THREADS, **WAITING["asleep"]},
    # MXNet's defaults: half of the processors, OpenMP's threads spin, four scratch areas, four parameters updated
    # together. The process also loads our package, which sets a waiting policy unless it finds one, even an empty one.
    "blog": {
        "OMP_NUM_THREADS": str(max(1, CORES // 2)),
        "OMP_WAIT_POLICY": "",
        "MXNET_CPU_TEMP_COPY": "4",
        "MXNET_OPTIMIZER_AGGREGATION_SIZE": "4",
    },
}


def make(case, name):
    """Return the contestant `name`. Runs in its own process."""
    if name in ENVIRONMENTS:
        import mxnet_contestants

        return getattr(mxnet_contestants, name.capitalize())(case)
    import torch_contestant

    return torch_contestant.Torch(case, name)


def contestants():
    """Return the names of the available contestants, and a message for each reason why others are missing."""
    if importlib.util.find_spec("torch") is None:
        return ["ours", "blog"], ["PyTorch is not installed: pip install -e '.[cpu,bench]'"]
    if shutil.which("c++") is None and shutil.which("g++") is None:
        return ["ours", "blog", *MODES[:2]], ["there is no C++ compiler, so torch.compile is left out"]
    return ["ours", "blog", *MODES], []


def environment_of(name, waiting):
    """Return the environment variables of a contestant; `waiting` applies to PyTorch."""
    limits = LIMITED if "DNNL_MAX_CPU_ISA" in os.environ and instruction_set() == AVX2 else {}
    return ENVIRONMENTS.get(name, {**THREADS, **WAITING[waiting or "asleep"], **limits})


class Stopwatch:
    """Notes how long the parts of a measurement take.

    Attributes:
        seconds: Seconds by the name of the part.
    """

    def __init__(self):
        self.seconds = {}
        self._last = time.monotonic()

    def lap(self, part):
        """End a part and begin the next."""
        now = time.monotonic()
        self.seconds[part] = round(now - self._last, 1)
        self._last = now


@contextlib.contextmanager
def processes(case, names, waiting):
    """Start a process for each contestant, and end them afterwards."""
    workers = {name: turns.Worker(make, (case, name), environment_of(name, waiting)) for name in names}
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def renewed(stack, case, workers, names, waiting):
    """Return the processes of these contestants for another turn: new ones, except for modes that have compiled."""
    kept = {name: worker for name, worker in workers.items() if "compile" in name and name in names}
    for name in workers.keys() - kept.keys():
        workers[name].close()
    return {**kept, **stack.enter_context(processes(case, [name for name in names if name not in kept], waiting))}


def faster_waiting(case, names, seconds):
    """Return the way of waiting with which PyTorch trains faster in up to three turns; None without PyTorch."""
    if MODES[1] not in names:
        return None
    rates = {way: [] for way in WAITING}
    start = time.monotonic()
    for number in range(3):
        if number and time.monotonic() - start > WAITING_SECONDS:
            break
        for way in WAITING:
            with processes(case, [MODES[1]], way) as workers:
                rates[way].append(workers[MODES[1]].ask("steps", seconds))
    return max(WAITING, key=lambda way: statistics.median(rates[way]))


def measure(case, names, options):
    """Return all measurements of one network. The first turn uses the processes of the checks, which have compiled."""
    stopwatch = Stopwatch()
    waiting = faster_waiting(case, names, options.seconds)
    stopwatch.lap("way of waiting")
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(processes(case, names, waiting))
        facts = {name: worker.ask("facts") for name, worker in workers.items()}
        weights = workers["ours"].ask("weights")
        right = workers["ours"].ask("check", weights)
        differences = {name: difference(right, workers[name].ask("check", weights)) for name in names if name != "ours"}
        names = [name for name in names if is_same(name, differences.get(name))]
        rates = {kind: {name: [] for name in names} for kind in KINDS}
        rates[STEP_AFTER_EPOCH] = {"ours": []}
        stopwatch.lap("checks")
        peaks = [take_turn(case, workers, rates, options.seconds)]
        stopwatch.lap("turn 1")
        for number in range(1, options.rounds):
            still = [name for name in names if any(name in still_in(names, rates[kind], number) for kind in KINDS)]
            workers = renewed(stack, case, workers, still, waiting)
            peaks.append(take_turn(case, workers, rates, options.seconds))
            stopwatch.lap(f"turn {number + 1}")
    memory = {name: [memory_of(case, name, waiting)] for name in ("ours", *MODES[:2]) if name in names}
    stopwatch.lap("memory")
    return {
        "size": case.size,
        "batch_size": case.batch_size,
        "epoch_batches": case.epoch_batches,
        "macs": facts["ours"]["macs"],
        "versions": {key: value for fact in facts.values() for key, value in fact["versions"].items()},
        "differences": differences,
        "images_per_second": rates,
        "peak_memory_mb": memory,
        "convolution_peak_gflops": peaks,
        "torch": {kind: fastest(rates[kind]) for kind in KINDS},
        "torch waits": waiting,
        "ratios": ratios(rates, memory, peaks, facts["ours"]["macs"]),
        "seconds": stopwatch.seconds,
    }


def take_turn(case, workers, rates, seconds):
    """Add the measurements of a turn to the rates, None for a mode that is left out. Return the convolution's peak."""
    for kind in KINDS:
        number = len(rates[kind]["ours"])
        contestants_now = still_in(list(rates[kind]), rates[kind], number)
        for name, measured in rates[kind].items():
            measured.append(ask(workers[name], kind, case, seconds) if name in contestants_now else None)
            if (kind, name) == ("epoch", "ours"):
                rates[STEP_AFTER_EPOCH][name].append(ask(workers[name], "step", case, seconds))
    return workers["ours"].ask("convolution_peak", seconds / 2)


def memory_of(case, name, waiting):
    """Return the peak memory of training steps in a new process, in megabytes."""
    with processes(case, [name], waiting) as workers:
        workers[name].ask("steps", 1)
        return workers[name].ask("memory")


def ask(worker, kind, case, seconds):
    if kind.startswith("predict"):
        return worker.ask("predict", 1 if kind.endswith("1") else min(64, case.batch_size), seconds)
    return worker.ask("steps" if kind == "step" else kind, seconds)


def difference(ours, theirs):
    """Return the difference of outputs and of losses after three updates, relative as in `SAME`."""
    (outputs, losses), (their_outputs, their_losses) = ours, theirs
    return {
        "outputs": float(np.abs(outputs - their_outputs).max() / np.abs(outputs).max()),
        "loss": abs(losses[-1] - their_losses[-1]) / abs(losses[-1] - losses[0]),
    }


def is_same(name, apart):
    """Return whether a contestant computes the same function as ours.

    Args:
        name: Name of the contestant.
        apart: Its difference to ours; None for our own.

    Raises:
        SystemExit: If the function differs and the contestant is not a compiled mode of PyTorch.
    """
    if apart is None or all(apart[figure] < limit for figure, limit in SAME.items()):
        return True
    if name in (*ENVIRONMENTS, *MODES[:2]):
        sys.exit(f"{name} does not compute the same function as ours, so nothing was measured: {apart}")
    _console.warn(f"{name} is left out because it does not compute the same function as ours: {apart}")
    return False


def still_in(names, rates, number):
    """Return the contestants of a turn. After the first one, clearly slower modes of PyTorch are left out."""
    best = rates[fastest(rates)][0] if number and fastest(rates) else 0
    return [name for name in names if name in ENVIRONMENTS or not number or rates[name][0] >= CLEARLY_BEHIND * best]


def fastest(rates):
    """Return the mode of PyTorch with the highest median among those in all turns; None if there is none."""
    medians = {name: statistics.median(rates[name]) for name in MODES if rates.get(name) and None not in rates[name]}
    return max(medians, key=medians.get) if medians else None


def leanest(memory):
    """Return the mode of PyTorch that used the least memory; None without PyTorch."""
    return min(
        (name for name in MODES if name in memory), key=lambda name: statistics.median(memory[name]), default=None
    )


def ratios(rates, memory, peaks, macs):
    """Return all ratios, each with its median and range over the turns."""
    step = rates["step"]["ours"]
    found = {
        "train / blog": turns.ratio(step, rates["step"]["blog"]),
        "epoch / blog's epoch": turns.ratio(rates["epoch"]["ours"], rates["epoch"]["blog"]),
        "epoch / step": turns.ratio(rates["epoch"]["ours"], rates[STEP_AFTER_EPOCH]["ours"]),
        "predict / blog": turns.ratio(rates["predict"]["ours"], rates["predict"]["blog"]),
        "train / convolution peak": turns.ratio([rate * 3 * 2 * macs / 1e9 for rate in step], peaks),
    }
    if fastest(rates["step"]):
        for kind, name in (("step", "train"), ("epoch", "epoch"), ("predict", "predict"), ("predict 1", "predict 1")):
            found[f"{name} / torch"] = turns.ratio(rates[kind]["ours"], rates[kind][fastest(rates[kind])])
        found["torch's memory / ours"] = turns.ratio(memory[leanest(memory)], memory["ours"])
    return found


def write(path, result):
    _files.write_text(path, json.dumps(result, indent=1) + "\n")


def measured_before(path, result):
    """Return the networks in a file that were measured in the same way by the same commit, to continue with others."""
    if not path or not Path(path).exists():
        return {}
    before = json.loads(Path(path).read_text(encoding="utf-8"))
    same = ("options", "commit", "lacking", "instruction_set", "limited_by", "cores", "threads", "data")
    return before["networks"] if all(before[name] == result[name] for name in same) else {}


def show(result):
    """Print one row for each ratio and network."""
    rows = [
        (network, name, f"{r['median']:.2f}", f"{r['low']:.2f} to {r['high']:.2f}")
        for network, figures in result["networks"].items()
        for name, r in figures["ratios"].items()
    ]
    _console.table(["network", "ratio", "median:", "of turns:"], rows)


def refuse_half_a_table(parser, options, lacking):
    """Exit with an error if the README's table would be incomplete or cannot be written, or if the machine is busy."""
    if lacking or set(options.networks) != set(CASES):
        parser.error("--publish needs all networks, PyTorch and a C++ compiler")
    if importlib.util.find_spec("scipy") is None:
        parser.error("--publish writes all tables of the README, which needs SciPy: pip install -e '.[reproduce]'")
    load = turns.machine()["load"]
    if load > QUIET * CORES:
        parser.error(f"--publish needs an idle machine, but its load is {load:.1f}: wait, or use --json instead")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--rounds", type=turns.at_least(1), default=3, help="number of turns (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=turns.at_least(0.1, float), default=0.8, help="of each measurement (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="FILE", help="write all measurements to FILE, and continue with it")
    parser.add_argument("--publish", action="store_true", help=f"write {PUBLISHED.name} and the README's table")
    options = parser.parse_args()
    names, lacking = contestants()
    for line in lacking:
        _console.warn(line)
    if options.publish:
        refuse_half_a_table(parser, options, lacking)
    data = load_dataset("fashion-mnist")
    result = {
        "options": {"rounds": options.rounds, "seconds": options.seconds},
        "commit": turns.commit(),
        "lacking": lacking,
        "instruction_set": instruction_set().name,
        "limited_by": os.environ.get("DNNL_MAX_CPU_ISA"),  # None if the processor has no more
        "machine": turns.machine(),
        "cores": CORES,
        "threads": {name: environment_of(name, None)["OMP_NUM_THREADS"] for name in names},
        "data": data.origin,
        "networks": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        # a cache of another run may be for other instructions, with which LeNet's graph destroyed PyTorch's memory
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(folder, "cache"))
        file = str(Path(folder, "images.npz"))
        np.savez(file, images=data.train.images[:], labels=data.train.labels[:])
        result["networks"] = measured_before(options.json, result)
        for network in options.networks:
            if network in result["networks"]:
                continue
            _console.say(f"{network}: measuring {', '.join(names)}")
            result["networks"][network] = measure(replace(CASES[network], images_file=file), names, options)
            if options.json:  # after each network, because the others take many minutes
                write(options.json, result)
    show(result)
    if options.publish:
        write(PUBLISHED, result)
        sys.path.insert(0, str(ROOT / "tools"))
        import make_tables

        make_tables.main()


if __name__ == "__main__":
    main()
