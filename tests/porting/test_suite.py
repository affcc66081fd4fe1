"""Test the conformance suite: its traces hold what clean ports compute, and mistakes are found with them."""

import io
import json
import subprocess
import sys
import zipfile

import gluon_classics
from gluon_classics.errors import ClassicsError
from gluon_classics.porting.comparison import reference_trace
from gluon_classics.porting.comparison.compare_port import show_comparison
from gluon_classics.porting.comparison.comparison import assert_conforms, compare
from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
from gluon_classics.porting.comparison.suite import Suite
from gluon_classics.porting.comparison.tensor_file import PortError
from gluon_classics.porting.network.sources import from_block, source
from gluon_classics.porting.operators import KINDS
from gluon_classics.porting.probe import QUIET
from gluon_classics.porting.reference import suite, trace
from gluon_classics.porting.reference.operation_cases import OPERATIONS, operation_source
from gluon_classics.porting.reference.values import TraceOptions, compute, prepared
from mxnet.gluon import nn
import numpy as np
import pytest

NAMES = ("lenet_bn", "operation_max_pool_padded_ceil", "operation_dropout_of_channels")
FEW_OPERATIONS = (
    *("convolution_groups", "transposed_convolution_stride_2", "batch_norm_fixed_gamma", "instance_norm", "selu"),
    *("dropout_of_images", "average_pool_padded_ceil", "add_repeated"),
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Return the folder of a small suite."""
    folder = tmp_path_factory.mktemp("suite") / "suite"
    assert [written.path.stem for written in suite.write_suite(folder, NAMES)] == list(NAMES)
    return folder


def port_of(case):
    """Return what MXNet computes for a trace of the suite, as a clean port."""
    network = case.network()
    options = case.options(network)
    tensors = dict(compute(network.graph, prepared(network, "probe", options), options.dtype))
    return {key: array for key, array in tensors.items() if not key.startswith("step/") or "/optim/" not in key}


def test_the_suite_has_every_network_and_every_kind_of_operation():
    cases = suite.cases()
    assert set(gluon_classics.list_models()) <= set(cases)
    kinds = {row.kind for name in OPERATIONS for row in operation_source(name).graph.operations}
    assert kinds == set(KINDS) - {"drop_block"}  # several operators of MXNet, known as one only as GluonCV's block
    assert len(cases) == len(gluon_classics.list_models()) + len(OPERATIONS) + len(suite.LONG)
    assert len({case.file for case in cases.values()}) == len(cases)


@pytest.mark.parametrize("name", ["vgg11", "resnet18_v1", "resnet18_tutorial"])
def test_the_small_image_leaves_the_parameters_as_they_are(name):
    small, own = suite.cases()[name].network(), source(name)
    assert [(row.name, row.shape) for row in small.graph.parameters] == [
        (row.name, row.shape) for row in own.graph.parameters
    ]
    assert small.input_shape == {"resnet18_v1": (3, 64, 64)}.get(name, own.input_shape)


@pytest.mark.parametrize(("name", "batch"), [("vgg11", 2), ("resnet18_v1", 4), ("lenet_bn", 16)])
def test_batch_normalization_gets_enough_values(name, batch):
    case = suite.cases()[name]
    assert case.options(case.network()).batch == batch


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_port_reaches_level_s(folder, name):
    report = compare(Suite.load(folder).path(name), port_of(suite.cases()[name]))
    assert report.conforms, report.text(True)
    assert report.level == "FTGS"


@pytest.mark.slow
@pytest.mark.parametrize("name", suite.LONG)
def test_a_clean_port_reaches_level_d(tmp_path, name):
    (written,) = suite.write_suite(tmp_path / "suite", [f"{name}_100_steps"])
    assert compare(written.path, port_of(suite.cases()[f"{name}_100_steps"])).level == "FTGSD"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FEW_OPERATIONS else pytest.mark.slow) for name in OPERATIONS]
)
def test_a_clean_port_of_each_operation_reaches_level_s(tmp_path, name):
    network = operation_source(name)
    options = TraceOptions(level="compact")
    trace.trace(network, tmp_path / "operation.zip", "probe", options)
    tensors = dict(compute(network.graph, prepared(network, "probe", options), "float32"))
    report = assert_conforms(tmp_path / "operation.zip", tensors, "S")
    assert report.conforms, report.text(True)
    operation = next(row for row in network.graph.operations if row.name != "dense")
    tensors[f"train/{operation.name}"] = tensors[f"train/{operation.name}"] * np.float32(1.001) + np.float32(1e-3)
    report = compare(tmp_path / "operation.zip", tensors)
    assert (report.first.phase, report.first.layer) == ("train", operation.name)


def test_a_compact_trace_holds_what_the_folder_of_the_same_trace_does(tmp_path):
    network = source("lenet5")
    trace.trace(network, tmp_path / "folder")
    trace.trace(network, tmp_path / "file.zip", options=TraceOptions(level="compact"))
    small, compact = ReferenceTrace.load(tmp_path / "folder"), ReferenceTrace.load(tmp_path / "file.zip")
    assert compact.graph == small.graph
    assert compact.layout == small.layout
    for key, array in small.tensors.items():
        np.testing.assert_array_equal(compact.tensors[key], array)
        assert compact.tensors[key].dtype == array.dtype
    assert {"eval/C1", "grad/C1.weight", "step/3/param/C1.weight", "step/2/loss"} <= set(compact.fingerprints)
    for key, row in compact.fingerprints.items():
        np.testing.assert_allclose(row.sums, small.fingerprints[key].sums, rtol=1e-6, atol=1e-7 * row.l2)


class Frozen(nn.HybridSequential):
    """A network whose convolution is not trained."""

    def __init__(self):
        super().__init__()
        self.add(nn.Conv2D(4, 3), nn.Dense(3))
        self[0].weight.grad_req = "null"


def test_a_weight_that_is_not_trained_keeps_its_value_in_a_compact_trace(tmp_path):
    net = Frozen()
    net.initialize()
    network = from_block(net, (2, 8, 8))
    own = network.parameters()["0.weight"].copy()
    trace.trace(network, tmp_path / "file.zip", "probe", TraceOptions(level="compact"))
    found = ReferenceTrace.load(tmp_path / "file.zip").tensors["param/0.weight"]
    changed = (found != own).reshape(4, -1).any(axis=1)  # one channel is made quiet, once
    assert changed.sum() == 1
    np.testing.assert_allclose(found[changed], QUIET * own[changed], rtol=1e-6)
    np.testing.assert_array_equal(network.parameters()["0.weight"], own)


def test_the_same_trace_is_the_same_file(folder, tmp_path):
    list(suite.write_suite(tmp_path / "again", ["lenet_bn"]))
    file = "networks/lenet_bn.zip"
    with zipfile.ZipFile(folder / file) as one, zipfile.ZipFile(tmp_path / "again" / file) as other:
        assert one.namelist() == other.namelist()
        assert one.read("graph.json") == other.read("graph.json")
        assert {member.date_time for member in one.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_interrupted_suite_is_finished(folder):
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.zip")}
    (folder / "networks" / "lenet_bn.zip").write_bytes(b"PK half a file")
    assert [written.path.stem for written in suite.write_suite(folder, NAMES)] == ["lenet_bn"]
    changed = [path.stem for path, before in times.items() if path.stat().st_mtime_ns != before]
    assert changed == ["lenet_bn"]
    assert sorted(Suite.load(folder).files) == sorted(NAMES)


def test_weights_that_are_drawn_otherwise_are_refused(folder, tmp_path):
    with zipfile.ZipFile(folder / "networks" / "lenet_bn.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    recipe = json.loads(files["recipe.json"])
    files["recipe.json"] = json.dumps({**recipe, "weights": {"kind": "probe", "seed": 1}}).encode()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(PortError, match="is not what was drawn"):
        ReferenceTrace.load(tmp_path / "other.zip")


def with_recipe(data, **changes):
    """Return a trace with other values in its recipe."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(stream, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "recipe.json":
                content = json.dumps({**json.loads(content), **changes}).encode()
            other.writestr(name, content)
    return stream.getvalue()


DAMAGE = (
    "shortened",
    "changed",
    "a file left out",
    "encrypted",
    "too large",
    "compressed in another way",
    "huge batch",
)


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_traces_are_refused_with_one_line(folder, tmp_path, kind, monkeypatch, capsys):
    data = (folder / "operations" / "operation_max_pool_padded_ceil.zip").read_bytes()
    damaged = []
    if kind == "shortened":
        damaged = [data[:size] for size in np.linspace(1, len(data) - 1, 40, dtype=int)]
    if kind == "changed":
        for place in np.linspace(0, len(data) - 1, 60, dtype=int):
            damaged.append(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
    if kind == "encrypted":
        damaged = [data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")]
        assert damaged != [data]
    if kind == "compressed in another way":
        for method in (9, 12, 14, 97):  # deflate64, bzip2, LZMA, WavPack
            for start in (b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x03\x04\x14\x00\x00\x00"):
                damaged.append(data.replace(start + b"\x08\x00", start + bytes([method, 0])))
        assert data not in damaged
    if kind == "huge batch":
        damaged = [with_recipe(data, batch=batch) for batch in (10**10, 10**6, 3, -1, "two", None)]
    if kind == "too large":
        monkeypatch.setattr(reference_trace, "MOST_BYTES", 1000)
        damaged = [data]
    if kind == "a file left out":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for missing in archive.namelist():
                stream = io.BytesIO()
                with zipfile.ZipFile(stream, "w") as other:
                    for name in archive.namelist():
                        if name != missing:
                            other.writestr(name, archive.read(name))
                damaged.append(stream.getvalue())
    np.savez(tmp_path / "port.npz", input=np.zeros((2, 6, 9, 8)))
    for content in damaged:
        (tmp_path / "trace.zip").write_bytes(content)
        status = show_comparison(tmp_path / "trace.zip", tmp_path / "port.npz")
        captured = capsys.readouterr()
        assert status == 2
        assert captured.err.startswith("Error: ")
        assert captured.err.count("\n") == 1


def test_the_file_in_the_suite_compares_with_numpy_alone(folder, tmp_path):
    name = "operation_max_pool_padded_ceil"
    np.savez(tmp_path / "port.npz", **port_of(suite.cases()[name]))
    code = "import sys; sys.modules['mxnet'] = None; import runpy; sys.argv = sys.argv[1:]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(folder / "compare_port.py")]
    result = subprocess.run([*command, name, str(tmp_path / "port.npz")], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("conforms: ")
    result = subprocess.run([*command, "nothing", "port.npz"], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: the suite ")


def test_the_traces_of_a_suite_are_found_by_group(folder):
    found = Suite.load(folder)
    assert found.names() == ["lenet_bn"]
    assert found.names("long") == []
    assert found.names("operations") == list(NAMES[1:])
    assert found.trace("lenet_bn").graph.network == "lenet_bn"
    with pytest.raises(PortError, match="has no trace 'vgg'"):
        found.path("vgg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "does not describe a suite"),
        ('{"schema": "gluon-classics suite", "version": 9}', "has version '9'"),
        ('{"schema": "gluon-classics suite", "version": 1, "traces": [{}]}', "is damaged"),
    ],
)
def test_a_damaged_list_of_traces_is_refused(tmp_path, text, message):
    (tmp_path / "suite.json").write_text(text)
    with pytest.raises(PortError, match=message):
        Suite.load(tmp_path)


def test_the_folder_of_a_suite_is_not_taken_for_a_trace(folder, tmp_path):
    with pytest.raises(PortError, match="is a suite"):
        ReferenceTrace.load(folder)
    np.savez(tmp_path / "port.npz", x=np.ones(2))
    with zipfile.ZipFile(tmp_path / "port.npz") as archive, zipfile.ZipFile(tmp_path / "port.zip", "w") as other:
        other.writestr("x.npy", archive.read("x.npy"))
    with pytest.raises(PortError, match=r"is not a trace: graph\.json is missing"):
        ReferenceTrace.load(tmp_path / "port.zip")


def test_the_trace_of_another_network_is_not_replaced(tmp_path):
    options = TraceOptions(steps=1)
    for _ in range(2):
        trace.trace(source("lenet"), tmp_path / "trace", options=options)
    with pytest.raises(ClassicsError, match="is a trace of lenet, not of lenet_d2l"):
        trace.trace(source("lenet_d2l"), tmp_path / "trace", options=options)


def test_other_folders_and_unknown_traces_are_refused(tmp_path):
    with pytest.raises(ClassicsError, match="has no trace 'lenet6'"):
        next(suite.write_suite(tmp_path, ["lenet6"]))
    (tmp_path / "thesis.txt").write_text("text")
    with pytest.raises(ClassicsError, match="not a suite"):
        next(suite.write_suite(tmp_path))
    with pytest.raises(PortError, match="does not exist"):
        Suite.load(tmp_path)
    with pytest.raises(ClassicsError, match="holds no weights"):
        trace.trace(source("lenet"), tmp_path / "x.zip", "initial", TraceOptions(level="compact"))
    with pytest.raises(ClassicsError, match=r"ends in \.zip"):
        trace.trace(source("lenet"), tmp_path / "x", None, TraceOptions(level="compact"))
