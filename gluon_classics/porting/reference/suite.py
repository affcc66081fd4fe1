"""Write a conformance suite: compact traces of all networks, of operations alone, and of long trainings in float64.

The folder holds

    suite.json            the traces
    networks/NAME.zip     every network of the package, with the smallest image that leaves its parameters' shapes
    operations/NAME.zip   networks of one operation
    long/NAME.zip         100 steps in float64
    compare_port.py       the comparison, in one file that needs only NumPy
"""

from __future__ import annotations

from dataclasses import asdict, replace
import json
import math
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import gluon_classics
from gluon_classics._files import write_errors, write_text
from gluon_classics.errors import ClassicsError
from gluon_classics.models.registry import suggestion

from ..comparison.comparison import LONG_RUN
from ..comparison.reference_trace import COMPACT, ReferenceTrace
from ..comparison.suite import SUITE, SUITE_SCHEMA, SUITE_VERSION
from ..comparison.tensor_file import PortError
from ..graph import graph_digest
from ..network.sources import Source, source
from .one_file import FILE, joined
from .operation_cases import OPERATIONS, operation_source
from .trace import Written, trace
from .values import PROBE, TraceOptions

BATCHES = (2, 4, 8, 16)  # images per step, the first one that gives each batch normalization enough values
VALUES = 16  # of a channel in a batch: with 2, normalized values are +-1, and all gradients before them are rounding
SIDES = (64, 96, 128)  # of images, tried in this order before a network's own
LONG = ("lenet_d2l", "lenet_bn_first")  # without and with batch normalization
_SHORT_RUN = TraceOptions(level=COMPACT)
_LONG_RUN = replace(_SHORT_RUN, steps=LONG_RUN, dtype="float64")


class Case(NamedTuple):
    """A trace of the suite.

    Attributes:
        name: Its name.
        file: Its path in the folder.
        network: Function that returns the network.
        run: What the trace contains, apart from the number of images.
    """

    name: str
    file: str
    network: Callable[[], Source]
    run: TraceOptions

    def options(self, network: Source) -> TraceOptions:
        """Return what the trace contains."""
        shapes = [row.output_shape for row in network.graph.operations if row.kind == "batch_norm"]
        fewest = min((math.prod(shape[2:]) for shape in shapes), default=VALUES)
        return replace(self.run, batch=next((n for n in BATCHES if n * fewest >= VALUES), BATCHES[-1]))


def cases() -> dict[str, Case]:
    """Return the traces of the suite by name."""
    rows = [Case(name, f"networks/{name}.zip", _smallest(name), _SHORT_RUN) for name in gluon_classics.list_models()]
    rows += [
        Case(f"{name}_{LONG_RUN}_steps", f"long/{name}_{LONG_RUN}_steps.zip", _smallest(name), _LONG_RUN)
        for name in LONG
    ]
    rows += [
        Case(f"operation_{name}", f"operations/operation_{name}.zip", _operation(name), _SHORT_RUN)
        for name in OPERATIONS
    ]
    return {row.name: row for row in rows}


def write_suite(folder, names=()) -> Iterator[Written]:
    """Write the suite, or some of its traces into the folder of a suite. Yield each trace after it is written.

    A trace that is there and still right is kept, so that an interrupted suite can be finished.

    Args:
        folder: The folder.
        names: Names of the traces; by default all.

    Raises:
        ClassicsError: The suite does not define a trace with this name, or a file cannot be written.
    """
    folder, known = Path(folder), cases()
    for name in names:
        if name not in known:
            raise ClassicsError(f"the suite has no trace {name!r}: {suggestion(name, known, 'gluon-classics list')}")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SUITE).is_file():
        raise ClassicsError(f"{folder} is not empty and not a suite: choose another folder")
    with write_errors(folder, "choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / FILE, joined())
    _write_list(folder, known)
    for name in names or known:
        path, network = folder / known[name].file, known[name].network()
        options = known[name].options(network)
        if not _is_current(path, network, options):
            yield trace(network, path, PROBE, options)
            _write_list(folder, known)


def _write_list(folder, known):
    """Write the list of the traces that are there."""
    traces = [{"name": case.name, "file": case.file} for case in known.values() if (folder / case.file).is_file()]
    document = {
        "schema": SUITE_SCHEMA,
        "version": SUITE_VERSION,
        "gluon_classics": gluon_classics.__version__,
        "traces": traces,
    }
    with write_errors(folder, "choose another folder"):
        write_text(folder / SUITE, json.dumps(document, indent=1) + "\n")


def _is_current(path, network, options):
    """Return whether a trace is there, of this release, of the same network and with the same options."""
    if not path.is_file():
        return False
    try:
        found = ReferenceTrace.load(path)
    except PortError:
        return False
    wanted = {**asdict(options), "gluon_classics": gluon_classics.__version__}
    is_same = {**found.recipe, "steps": len(found.recipe["steps"])}.items() >= wanted.items()
    return is_same and graph_digest(found.graph) == graph_digest(network.graph)


def _smallest(name):
    """Return a function that returns a network with the smallest image that leaves its parameters' shapes."""

    def build():
        own = source(name)
        channels, side, _ = own.input_shape
        shapes = {row.name: row.shape for row in own.graph.parameters}
        for smaller in (smaller for smaller in SIDES if smaller < side):
            try:
                found = source(name, (channels, smaller, smaller))
            except ClassicsError:  # too small
                continue
            if {row.name: row.shape for row in found.graph.parameters} == shapes:
                return found
        return own

    return build


def _operation(name):
    return lambda: operation_source(name)
