"""Reference traces: probe weights, the files of the folder, and what happens to a folder that is there."""

import json
from pathlib import Path
import subprocess
import sys

from gluon_classics.errors import ClassicsError
from gluon_classics.porting.comparison.comparison import compare
from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
from gluon_classics.porting.comparison.tensor_file import read_safetensors
from gluon_classics.porting.network.sources import source
from gluon_classics.porting.probe import QUIET, probe_batch
from gluon_classics.porting.reference import execution, trace
import mxnet as mx
import numpy as np
import pytest
from traces import probe_weights

SIZES = {"resnet18_v1": (3, 64, 64), "efficientnet_b0": (3, 64, 64), "lenet5": None}


@pytest.fixture(scope="session")
def lenet(tmp_path_factory):
    """Return the folder of a full trace of LeNet."""
    folder = tmp_path_factory.mktemp("traces") / "lenet"
    trace.trace(source("lenet"), folder, options=trace.TraceOptions(level="full"))
    return folder


@pytest.mark.parametrize("name", SIZES)
def test_the_recipe_gives_the_same_probe_weights_without_mxnet(name):
    network = source(name, SIZES[name])
    graph = network.graph
    images = probe_batch(graph, 0, 1, 2).images
    constants = network.parameters()
    by_mxnet = probe_weights(graph, 0, images, constants, execution.forward)
    by_numpy = probe_weights(graph, 0, images, constants)
    assert [row.name for row in graph.parameters] == list(by_numpy)
    for path, array in by_numpy.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, by_mxnet[path])


def test_probe_weights_leave_no_parameter_at_its_usual_value():
    network = source("resnet18_v1", (3, 64, 64))
    batch = probe_batch(network.graph, 0, 1, 2)
    weights = probe_weights(network.graph, 0, batch.images, {})
    for row in network.graph.parameters:
        assert not np.isin(weights[row.name], (0, 1)).any(), row.name
    convolutions = [row.parameters["weight"] for row in network.graph.operations if row.kind == "convolution"]
    for name in convolutions:
        sizes = np.sort(np.abs(weights[name]).reshape(len(weights[name]), -1).max(axis=1))
        assert sizes[0] < 2 * QUIET * sizes[1], name
    outputs = execution.predict(network.graph, {"data": batch.images, **weights})
    assert all(0.01 < np.abs(output).max() < 1000 for output in outputs.values())
    other = probe_weights(network.graph, 1, batch.images, {})
    assert all((weights[name] != other[name]).any() for name in convolutions)


def test_constants_keep_their_values():
    network = source("lenet5")
    own = network.parameters()
    weights = probe_weights(network.graph, 0, probe_batch(network.graph, 0, 1, 2).images, own)
    np.testing.assert_array_equal(weights["output.codes"], own["output.codes"])


def test_the_images_of_each_step_differ_and_fill_the_range_of_the_pixels():
    graph = source("lenet5").graph
    batches = [probe_batch(graph, 0, step, 2, (-0.1, 1.175)) for step in (1, 2)]
    assert (batches[0].images != batches[1].images).any()
    assert -0.1 <= batches[0].images.min() < batches[0].images.max() <= 1.175
    assert len(set(batches[0].label)) == 2


def test_a_trace_conforms_to_itself(lenet):
    tensors, _ = read_safetensors(lenet / "trace.safetensors")
    weights, _ = read_safetensors(lenet / "weights.safetensors")
    report = compare(lenet, {**tensors, **{f"param/{name}": array for name, array in weights.items()}})
    assert report.text().splitlines()[0].startswith("conforms: ")
    assert report.level == "FTGSP"


def test_a_full_trace_has_every_value_and_a_fingerprint_of_it(lenet):
    reference = ReferenceTrace.load(lenet)
    keys = set(reference.tensors)
    assert keys == set(reference.fingerprints)
    for row in reference.graph.operations:
        assert {f"eval/{row.name}", f"train/{row.name}", f"grad_out/{row.name}"} <= keys
    for row in reference.graph.parameters:
        names = {f"param/{row.name}", f"grad/{row.name}", f"step/3/param/{row.name}", f"step/3/optim/{row.name}"}
        assert names <= keys
    assert {"input", "label", "loss", "step/2/input", "step/3/label", "step/3/loss", "raw", "preprocessed"} <= keys
    assert 0 < reference.rounding("grad/0.weight") < 1e-5


def test_the_recipe_changes_the_learning_rate_and_rounds_its_scalars(lenet):
    recipe = json.loads((lenet / "recipe.json").read_text())
    rates = [step["learning_rate"] for step in recipe["steps"]]
    assert len(set(rates)) == 3
    numbers = [*rates, recipe["optimizer"]["momentum"], *recipe["weight_decay"].values()]
    assert all(number == float(np.float32(number)) for number in numbers)
    assert recipe["optimizer"]["momentum"] == np.float32(0.9)
    assert set(recipe["weight_decay"]) == {f"{layer}.{role}" for layer in (0, 2, 5, 6) for role in ("weight", "bias")}


def test_a_step_of_the_trace_follows_the_formula_of_its_recipe(lenet):
    reference = ReferenceTrace.load(lenet)
    step, momentum = reference.recipe["steps"][0], reference.recipe["optimizer"]["momentum"]
    for row in reference.graph.parameters:
        before = reference.tensors[f"param/{row.name}"].astype(np.float64)
        gradient = reference.tensors[f"grad/{row.name}"].astype(np.float64)
        decay = reference.recipe["weight_decay"][row.name]
        state = momentum * 0 - step["learning_rate"] * (gradient + decay * before)
        # float32 rounds the three products and two sums
        np.testing.assert_allclose(reference.tensors[f"step/1/optim/{row.name}"], state, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(reference.tensors[f"step/1/param/{row.name}"], before + state, rtol=0, atol=1e-6)


def test_the_preprocessed_image_is_the_raw_image_divided_by_255(lenet):
    tensors = ReferenceTrace.load(lenet).tensors
    assert tensors["raw"].dtype == np.uint8
    np.testing.assert_array_equal(tensors["preprocessed"][0], tensors["raw"][..., 0] / np.float32(255))


def test_a_small_trace_has_data_and_fingerprints_but_no_activations(lenet, tmp_path):
    written = trace.trace(source("lenet"), tmp_path / "small")
    small, full = (ReferenceTrace.load(folder) for folder in (written.path, lenet))
    assert small.fingerprints.keys() == full.fingerprints.keys()
    assert not any(key.startswith(("eval/", "train/", "grad")) or "/optim/" in key for key in small.tensors)
    assert {"input", "label", "loss", "step/2/input", "raw"} <= small.tensors.keys()
    np.testing.assert_array_equal(small.tensors["input"], full.tensors["input"])
    assert written.size == sum(path.stat().st_size for path in written.path.iterdir())


def test_a_float64_trace_holds_float64(tmp_path):
    options = trace.TraceOptions(steps=1, level="full", dtype="float64")
    written = trace.trace(source("lenet"), tmp_path / "double", options=options)
    tensors = ReferenceTrace.load(written.path).tensors
    assert tensors["eval/6"].dtype == tensors["step/1/param/0.weight"].dtype == np.float64


def test_initial_weights_and_trained_ones_can_be_traced(trained_run, tmp_path):
    stored = mx.nd.load(str(trained_run / "net.params"))
    options = trace.TraceOptions(steps=1)
    for number, (network, weights) in enumerate((("lenet", str(trained_run)), (str(trained_run), None))):
        written = trace.trace(source(network), tmp_path / str(number), weights, options)
        found, _ = read_safetensors(written.path / "weights.safetensors")
        np.testing.assert_array_equal(found["0.weight"], stored["0.weight"].asnumpy())
    written = trace.trace(source("lenet"), tmp_path / "initial", "initial", options)
    found, _ = read_safetensors(written.path / "weights.safetensors")
    np.testing.assert_array_equal(found["0.weight"], source("lenet").parameters()["0.weight"])


def test_weights_of_another_network_are_rejected(trained_run, tmp_path):
    with pytest.raises(ClassicsError, match="does not hold the parameters of lenet_d2l"):
        trace.trace(source("lenet_d2l"), tmp_path / "trace", str(trained_run))
    with pytest.raises(ClassicsError, match="leave --weights out"):
        trace.trace(source(str(trained_run)), tmp_path / "trace", "initial")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_trace_is_replaced_and_other_folders_are_not(tmp_path, monkeypatch):
    folder = tmp_path / "trace"
    options = trace.TraceOptions(steps=1)
    trace.trace(source("lenet"), folder, options=options)
    before = (folder / "recipe.json").read_bytes()
    trace.trace(source("lenet"), folder, options=trace.TraceOptions(steps=2))
    assert (folder / "recipe.json").read_bytes() != before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ClassicsError, match="is not empty and not a trace"):
        trace.trace(source("lenet"), tmp_path / "other", options=options)
    monkeypatch.setattr(trace, "write_safetensors", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(ClassicsError, match="No space left"):
        trace.trace(source("lenet"), folder, options=options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "trace"]
    assert ReferenceTrace.load(folder).recipe["steps"][1]


def test_the_comparison_runs_in_one_file_without_this_package(lenet, tmp_path):
    tensors, _ = read_safetensors(lenet / "trace.safetensors")
    tensors["eval/0"] = tensors["eval/0"] + 1
    np.savez(tmp_path / "port.npz", **tensors)
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['compare_port.py', {str(tmp_path / 'port.npz')!r}]\n"
        "sys.modules['mxnet'] = sys.modules['gluon_classics'] = None\n"
        f"runpy.run_path({str(lenet / 'compare_port.py')!r}, run_name='__main__')\n"
    )
    result = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.startswith("eval: 0: ")
    (tmp_path / "port.npz").write_bytes(b"")
    result = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("Error: port.npz is not a .npz file")
    assert len(result.stderr.splitlines()) == 1


def test_a_port_is_recorded_and_tested_with_the_one_file_alone(lenet):
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(lenet)!r})\n"
        "sys.modules['mxnet'] = sys.modules['gluon_classics'] = None\n"
        "from compare_port import FOLDER, Recorder, ReferenceTrace, assert_conforms\n"
        "trace = ReferenceTrace.load(FOLDER)\n"
        "recorder = Recorder(trace)\n"
        "for key, array in trace.tensors.items():\n"
        "    recorder.put(key, array)\n"
        "assert_conforms(trace, recorder.tensors, 'S')\n"
    )
    result = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("level reached: F (forward), T ")


@pytest.mark.slow
def test_resnet_18_at_64_pixels_takes_less_than_30_seconds(tmp_path):
    written = trace.trace(source("resnet18_v1", (3, 64, 64)), Path(tmp_path, "trace"))
    assert written.seconds < 30
    assert written.size < 60e6


@pytest.mark.parametrize("wrong", [{"batch": 1}, {"steps": 0}, {"level": "medium"}, {"dtype": "float16"}])
def test_impossible_options_are_rejected(wrong):
    with pytest.raises(ClassicsError):
        trace.TraceOptions(**wrong)
