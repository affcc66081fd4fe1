"""The knobs of `benchmarks/knobs.py` change the compiled graph, not its results. Their speed is not tested."""

import importlib
import json
import mmap
from pathlib import Path

from cases import CASES
from gluon_classics import _runtime, utils
from gluon_classics.compiler import compiled as compiling
from gluon_classics.compiler import rewrite
from gluon_classics.compiler.compiled import for_inference
from gluon_classics.compiler.processor import AVX2
import knobs
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn
import pytest

# knobs that change what is compiled: the module and the name to restore after a test
OF_COMPILING = {
    **{name: knobs.REPLACED[name][:2] for name in knobs.REPLACED},
    "memory not static": ("compiled", "_Compiled"),
    "shapes not static": ("compiled", "_Compiled"),
}


@pytest.fixture
def knob(monkeypatch):
    """Turn a knob until the end of the test."""

    def turn(name):
        module, attribute = OF_COMPILING[name]
        module = importlib.import_module(f"gluon_classics.compiler.{module}")
        monkeypatch.setattr(module, attribute, getattr(module, attribute))
        knobs.CODE[name]()

    return turn


@pytest.fixture
def compiled(monkeypatch):
    """Record what MXNet compiles: for each graph, the operators with their attributes, and the flags.

    The processor has AVX2 and two threads, where every choice of the compiler matters. Short work is recorded, too.
    """
    given = []
    monkeypatch.setattr(rewrite, "instruction_set", lambda: AVX2)
    monkeypatch.setattr(_runtime, "given_threads", lambda: "2")
    monkeypatch.setattr(compiling, "one_thread_context", lambda context: given.append("one thread") or context)
    cached_op = mx.nd.CachedOp

    def record(graph, flags):
        nodes = json.loads(graph.tojson())["nodes"]
        given.append(([(node["op"], node.get("attrs")) for node in nodes], [flag for flag in flags if flag[1] is True]))
        return cached_op(graph, flags)

    monkeypatch.setattr(mx.nd, "CachedOp", record)
    return given


@pytest.fixture
def net():
    """Return a network to which every step of the rewriting applies."""
    net = nn.Sequential()
    net.add(nn.Conv2D(20, 3, activation="relu"), nn.MaxPool2D())
    net.add(nn.Conv2D(4, 2), nn.BatchNorm(), nn.GlobalAvgPool2D(), nn.Dense(3))
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 8, 8)))
    return net


def used(net, compiled):
    """Return the outputs of training and predicting, for several batch and image sizes, and what was compiled."""
    compiled.clear()
    outputs = []
    mx.random.seed(1)
    for side in (8, 28):
        x = nd.random.normal(shape=(16, 1, side, side))
        for images in (x, x[:4]):
            net[3].running_mean.set_data(nd.zeros(4))
            net[3].running_var.set_data(nd.ones(4))
            outputs.append(for_inference(net)(images).asnumpy())
            with autograd.train_mode():
                outputs.append(utils.hybridized(net)(images).asnumpy())
    return outputs, list(compiled)


@pytest.mark.parametrize("name", OF_COMPILING)
def test_a_knob_changes_the_compiled_graph_and_not_its_results(name, knob, net, compiled):
    expected, before = used(net, compiled)
    assert used(net, compiled)[1] == before
    knob(name)
    outputs, after = used(net, compiled)
    assert after != before
    terms = 9 + 20 * 4 + 4 + 16 * 12 * 12  # three layers, and the pixels that batch normalization averages
    for one, other in zip(outputs, expected):
        assert abs(one - other).max() < 4 * 2**-24 * terms**0.5 * abs(other).max()


def test_without_a_knob_memory_and_shapes_are_static(net, compiled):
    _, given = used(net, compiled)
    graphs = [entry for entry in given if entry != "one thread"]
    assert graphs
    assert all(flags == [("static_alloc", True), ("static_shape", True)] for _, flags in graphs)


def test_a_knob_for_a_missing_name_is_an_error(monkeypatch):
    monkeypatch.setitem(knobs.REPLACED, "gone", ("compiled", "gone", None))
    with pytest.raises(AttributeError, match="gone"):
        knobs.replace("gone")


def test_without_fusion_predictions_use_the_twin_for_training(monkeypatch):
    import mxnet_contestants

    monkeypatch.setattr(mxnet_contestants, "for_inference", mxnet_contestants.for_inference)
    assert mxnet_contestants.Ours(CASES["lenet"]).predictor().fused
    knobs.CODE["predictions not fused"]()
    assert not mxnet_contestants.Ours(CASES["lenet"]).predictor().fused


def test_all_knobs_are_measured_in_groups(monkeypatch, capsys):
    groups = []

    def measured(case, names, options):
        groups.append(names)
        return {"step": {name: [2.0 if name == knobs.AS_IT_IS else 1.0] for name in names}}

    monkeypatch.setattr(knobs, "measure", measured)
    monkeypatch.setattr("sys.argv", ["knobs.py", "--networks", "lenet"])
    knobs.main()
    assert all(names[0] == knobs.AS_IT_IS and len(names) <= 1 + knobs.AT_ONCE for names in groups)
    assert [name for names in groups for name in names[1:]] == [*knobs.ENVIRONMENT, *knobs.CODE]
    assert capsys.readouterr().out.count("0.50 (0.50 to 0.50)") == len([*knobs.ENVIRONMENT, *knobs.CODE])


def test_mxnet_reads_the_environment_variables():
    """Their names occur in its library or in its optimizers."""
    names = {name for variables in knobs.ENVIRONMENT.values() for name in variables if name.startswith("MXNET_")}
    assert "MXNET_CPU_TEMP_COPY" in names
    optimizers = Path(mx.optimizer.optimizer.__file__).read_bytes()
    with open(mx.libinfo.find_lib_path()[0], "rb") as file:
        library = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        unknown = {name for name in names if library.find(name.encode()) < 0 and name.encode() not in optimizers}
    assert unknown == set()
