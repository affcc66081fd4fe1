"""Test the report: clean ports, layouts, names, missing and damaged tensors, levels."""

from dataclasses import replace
import json
import os
from pathlib import Path
import subprocess
import sys

from custom_networks import drop_block
from gluon_classics.porting.comparison import gradient_comparison
from gluon_classics.porting.comparison.causes import MOST_LEFT, REPLAY_LIMIT, Best
from gluon_classics.porting.comparison.comparison import assert_conforms, compare
from gluon_classics.porting.comparison.findings import UNKNOWN, Report
from gluon_classics.porting.comparison.fingerprint import fingerprint
from gluon_classics.porting.comparison.port_tensors import PortTensors
from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
from gluon_classics.porting.comparison.tensor_file import PortError
from gluon_classics.porting.comparison.update_comparison import compare_free_run
from gluon_classics.porting.network.sources import from_block, source
from gluon_classics.porting.reference import values
from gluon_classics.porting.reference.trace import trace as write_trace
import numpy as np
from numpy_port import channels_last, forward_port, training_port
import pytest
import small_network
import traces

QUICK = ("lenet", "lenet_1989", "lenet5", "nin_cifar10", "lenet_bn")
SLOW = ("resnet18_v1", "googlenet_v1", "densenet_d2l", "efficientnet_b0", "se_resnet18", "regnetx_200mf", "vgg11")
NETWORKS = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.fixture(scope="module")
def trace():
    """Return the trace of a small network."""
    return small_network.trace()


@pytest.fixture
def port(trace):
    """Return all tensors of a clean port of it."""
    return {**training_port(trace), **forward_port(trace)}


@pytest.mark.parametrize("name", NETWORKS)
def test_clean_port_conforms_also_with_channels_last(name):
    trace, port = traces.trace_and_port(name)
    reports = compare(trace, dict(port)), compare(trace, channels_last(trace.graph, port))
    for report in reports:
        assert report.conforms, report.text(everything=True)
        assert report.level == "FTGS"
        assert not report.unchecked
    assert any("channels last" in notice for notice in reports[1].notices)


@pytest.mark.parametrize(
    ("planted", "cause"),
    [
        (None, None),
        (lambda case: case.x if case.training else None, "does not drop anything"),
        (lambda case: case.x * case.mask if case.training else None, "not divided by the mean of the mask"),
        (lambda case: case.x * case.mask / 0.7 if case.training else None, "divided by 1 - drop"),
    ],
)
def test_a_port_of_drop_block_takes_the_mask_of_the_trace(tmp_path, planted, cause):
    net = drop_block(drop=0.3)
    net.initialize()
    write_trace(from_block(net, (2, 8, 8)), tmp_path / "trace", "probe")
    trace = ReferenceTrace.load(tmp_path / "trace")
    report = compare(trace, forward_port(trace, {"1": planted} if planted else None))
    if planted is None:
        assert report.conforms, report.text(everything=True)
    else:
        assert (report.first.phase, report.first.layer) == ("train", "1")
        assert cause in report.first.cause


_ON_OTHER_PROCESSORS = """
import sys
sys.path.insert(0, {folder!r})
from gluon_classics.porting.comparison.comparison import compare
import numpy_port, traces
trace, port = traces.trace_and_port({name!r})
both = [compare(trace, port), compare(trace, numpy_port.channels_last(trace.graph, port))]
print(*(report.level for report in both), traces.digest(port))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet_bn", "resnet18_v1"])
def test_clean_ports_conform_on_another_instruction_set(name):
    """Compute the trace and the port in a process that may use SSE4.1 only."""
    code = _ON_OTHER_PROCESSORS.format(folder=str(Path(__file__).parent), name=name)
    found = []
    for limit in ({}, {"DNNL_MAX_CPU_ISA": "SSE41", "OPENBLAS_CORETYPE": "Nehalem"}):
        environment = {**os.environ, **limit}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        *levels, digest = run.stdout.split()
        assert levels == ["FTGS", "FTGS"]
        found.append(digest)
    if found[0] == found[1]:
        pytest.skip("the libraries use the same instructions without the limits")


def test_rounding_of_means_that_are_far_from_0_is_no_mistake():
    network = source("lenet_bn")
    start = values.prepared(network, None, values.TraceOptions(batch=16, steps=1))
    start.parameters["0.bias"][:] = 1
    tensors = {f"param/{name}": array for name, array in start.parameters.items()}
    tensors.update(input=start.batches[0].images, label=start.batches[0].label)

    def added_one_after_another(case):
        x = np.float32(case.x).swapaxes(0, 1).reshape(case.x.shape[1], -1)
        mean = np.float64(np.cumsum(x, axis=1, dtype=np.float32)[:, -1] / np.float32(x.shape[1]))
        scale = case.parameter("gamma") / np.sqrt(x.var(axis=1, dtype=np.float64) + case.operation.settings["eps"])
        shape = (1, -1, 1, 1)
        return (case.x - mean.reshape(shape)) * scale.reshape(shape) + case.parameter("beta").reshape(shape)

    trace = ReferenceTrace(network.graph, start.recipe, tensors)
    report = compare(trace, forward_port(trace, {"1": added_one_after_another}, modes=("train",)))
    assert report.conforms, report.text(everything=True)
    assert report.differences["train"] > 2 * REPLAY_LIMIT


def test_variance_in_one_pass_is_no_mistake():
    """Flax computes it as E[x^2] - E[x]^2 by default, in float32."""
    trace, _ = traces.trace_and_port("lenet_bn")

    def in_one_pass(case):
        x = np.float32(case.x)
        axes = (0, *range(2, x.ndim))
        mean, square = (array.mean(axis=axes, keepdims=True) for array in (x, x * x))
        gamma, beta = (case.parameter(role).reshape(mean.shape) for role in ("gamma", "beta"))
        return (x - mean) / np.sqrt(square - mean * mean + case.operation.settings["eps"]) * gamma + beta

    layers = [row.name for row in trace.graph.operations if row.kind == "batch_norm"]
    report = compare(trace, forward_port(trace, dict.fromkeys(layers, in_one_pass), modes=("train",)))
    assert report.conforms, report.text(everything=True)


def test_missing_decay_is_named_where_biases_have_no_gradient():
    """A bias before batch normalization has the gradient 0, so that its change is the decay or rounding."""
    trace, _ = traces.trace_and_port("lenet_bn")

    def without_decay(name, weight, gradient, rate, momentum, decay, state, norm):
        state["v"] = momentum * state.get("v", 0) - rate * gradient
        return state["v"]

    finding = compare(trace, training_port(trace, rule=without_decay)).first
    assert (finding.phase, finding.cause) == ("optimizer", "the weight decay is missing")


def test_port_of_another_trace_is_told_so(trace, port):
    port["input"] = np.concatenate([port["input"], port["input"]])
    assert "record the port with this trace" in compare(trace, port).first.cause
    port["input"] = np.random.RandomState(0).uniform(size=trace.tensors["input"].shape)
    assert "perhaps the port was recorded with another trace" in compare(trace, port).first.notes
    port["input"] = trace.tensors["input"]
    port["step/2/input"] = np.float32(1)  # without any axis
    assert compare(trace, port).first.phase == "input"


def test_clean_port_of_the_small_network_conforms(trace, port):
    report = compare(trace, port)
    assert report.conforms, report.text(everything=True)
    assert report.text().startswith("conforms: weights 8, input 9, eval 7, train 7, loss 1")
    assert report.level == "FTGS"


def test_mistake_of_a_channels_last_port_is_named(trace):
    port = forward_port(trace, {"bn": lambda case: case.with_settings(eps=1e-3)}, modes=("eval",))
    finding = compare(trace, channels_last(trace.graph, port)).first
    assert (finding.layer, finding.cause) == ("bn", "eps is 0.001")


def test_losses_of_another_shape_are_averaged(trace, port):
    port["step/1/loss"] = port["loss"].reshape(1)
    trace = replace(trace, fingerprints={**trace.fingerprints, "step/1/loss": fingerprint(port["loss"])})
    port["loss"] = port["loss"] + np.array([-0.1, 0.1, -0.2, 0.2])  # of each example
    report = compare(trace, port)
    assert report.conforms, report.text(everything=True)
    assert "not a single number, its mean was taken: loss, step/1/loss" in report.notices


def test_names_are_mapped(trace, port):
    names = {"features.0": "conv", "head": "fc"}
    back = {name: key for key, name in names.items()}
    renamed = {}
    for key, array in port.items():
        place, _, name = key.rpartition("/")
        renamed[f"{place}/{back[name]}" if name in back else key] = array
    assert any(key == "eval/head" for key in renamed)
    assert compare(trace, renamed, names).level == "FTGS"
    assert any("unknown names were ignored: " in notice for notice in compare(trace, renamed).notices)


def test_missing_tensors_are_reported_not_guessed(trace, port):
    report = compare(trace, {"input": port["input"], "eval/fc": port["eval/fc"]})
    assert report.conforms
    assert report.level == "F"
    assert report.checked["eval"] == 1
    text = "\n".join(report.unchecked)
    for phrase in ("weights: conv.weight", "the port recorded no training"):
        assert phrase in text
    without_output = {key: array for key, array in port.items() if key != "eval/fc"}
    report = compare(trace, without_output)
    assert report.level == ""
    assert any("what follows drop" in text for text in report.unchecked)


@pytest.mark.parametrize("keys", [(), ("label",), ("eval/no_such_layer", "outputs")])
def test_a_port_without_a_tensor_to_compare_is_an_error(keys, trace, port):
    with pytest.raises(PortError, match=r"no tensor that can be compared.*eval/fc"):
        compare(trace, {"input": port["input"], **dict.fromkeys(keys, port["label"])})


def test_weights_alone_conform_only_as_far_as_they_were_recorded(trace, port):
    weights = {key: array for key, array in port.items() if key.startswith("param/") or key == "input"}
    report = compare(trace, weights)
    assert report.text().startswith("conforms as far as it was recorded")
    assert report.level == ""


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"input": None}, "no tensor 'input'"),
        ({"input": np.zeros((4, 3, 9, 8), np.float32)}, "shape"),
        ({"input": np.zeros(3, np.float32)}, "shape"),
        ({"eval/fc": np.array([{}], object)}, "numbers"),
        ({"eval/fc": np.array(["x"])}, "numbers"),
    ],
)
def test_unusable_port_is_one_clear_error(trace, port, damage, words):
    changed = {key: array for key, array in {**port, **damage}.items() if array is not None}
    with pytest.raises(PortError, match=words) as caught:
        compare(trace, changed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("names", [["conv"], {"conv": 3}])
def test_unusable_names_are_one_clear_error(trace, port, names):
    with pytest.raises(PortError, match="map of names"):
        compare(trace, port, names)


def _odd_arrays(array):
    yield np.zeros((0,), np.float32)
    yield np.float32(np.nan)
    yield np.full(array.shape, np.nan, np.float32)
    yield np.full(array.shape, np.inf, np.float32)
    yield np.ravel(array)
    yield np.stack([array, array])
    yield np.zeros(array.shape, np.int8)
    yield np.full(array.shape, 1e38, np.float32)


@pytest.mark.parametrize("share", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_every_odd_tensor_is_a_finding_at_its_place(trace, port, share):
    """Replace each tensor by odd ones: the comparison never fails, and never says that the port conforms."""
    keys = [key for key in port if key != "input" and not key.startswith(("step/2", "step/3"))]
    for key in keys[::share]:
        for odd in _odd_arrays(port[key]):
            if odd.shape == port[key].shape and np.allclose(odd, port[key], atol=1e-6):
                continue  # the gradient of a bias before batch normalization is 0
            report = compare(trace, {**port, key: odd})
            remarks = [*report.unchecked, *report.notices]
            is_told = any(word in remark for remark in remarks for word in ("labels", "empty", "its mean"))
            assert report.findings or is_told, (key, odd.shape)
            assert json.loads(report.to_json())["conforms"] is report.conforms


def test_infinite_output_is_reported(trace, port):
    port["eval/bn"] = np.where(port["eval/bn"] > 2, np.inf, port["eval/bn"])
    assert compare(trace, port).first.cause == "the output is not finite"


def test_report_is_json(trace):
    report = compare(trace, forward_port(trace, {"conv": lambda case: case.x[:, :1] * 1e3}, modes=("eval",)))
    document = json.loads(report.to_json())
    assert document["findings"][0]["layer"] == "conv"
    assert document["findings"][0]["residual"] is None  # other shapes are infinitely far


def test_text_begins_with_the_first_divergence(trace):
    plants = {"relu": lambda case: case.x, "fc": lambda case: case.right() * 2}
    text = compare(trace, forward_port(trace, plants, modes=("eval",))).text()
    assert text.startswith("eval: relu: it is missing (relative error ")
    assert "1 more: eval: fc: " in text
    everything = compare(trace, forward_port(trace, plants, modes=("eval",))).text(everything=True)
    assert "eval: fc: the output is multiplied by a constant: 2" in everything


def test_assert_conforms_prints_the_level(trace, port, capsys):
    assert_conforms(trace, port, "S")
    assert capsys.readouterr().out.startswith("level reached: F (forward), T ")
    port["grad/fc.bias"] = -port["grad/fc.bias"]
    assert_conforms(trace, port, "T")
    with pytest.raises(AssertionError, match="gradients: fc"):
        assert_conforms(trace, port, "G")
    with pytest.raises(PortError, match="not a level"):
        assert_conforms(trace, port, "X")


def test_trace_is_read_from_a_folder(trace, port, tmp_path):
    small_network.write(trace, tmp_path)
    np.savez(tmp_path / "port.npz", **port)
    assert compare(tmp_path, tmp_path / "port.npz").level == "FTGS"
    with np.load(tmp_path / "port.npz") as arrays:
        assert compare(tmp_path, arrays).level == "FTGS"
    (tmp_path / "recipe.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PortError, match="not a recipe"):
        ReferenceTrace.load(tmp_path)
    (tmp_path / "graph.json").write_text("{", encoding="utf-8")
    with pytest.raises(PortError, match="damaged"):
        ReferenceTrace.load(tmp_path)
    with pytest.raises(PortError, match="not a trace"):
        ReferenceTrace.load(tmp_path / "missing")


def test_comparison_imports_with_numpy_alone():
    code = (
        "import sys\n"
        "for name in ('mxnet', 'msgspec', 'click', 'rich', 'torch', 'jax', 'flax'): sys.modules[name] = None\n"
        "from gluon_classics.porting import Recorder, ReferenceTrace, assert_conforms, compare\n"
        "print(callable(compare), callable(assert_conforms), Recorder.__name__, ReferenceTrace.__name__)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout == "True True Recorder ReferenceTrace\n", result.stderr


def test_a_mistaken_loss_of_many_outputs_takes_no_long_time(trace, port, monkeypatch):
    """The derivatives of a mistaken loss are found one by one; for many images and classes that is left out."""
    monkeypatch.setattr(gradient_comparison, "MOST_SLOPES", 4 * small_network.CLASSES - 1)
    wrong = training_port(trace, change_gradients=lambda gradients, _: {n: 4 * g for n, g in gradients.items()})
    report = compare(trace, {**wrong, "loss": 4 * port["loss"]})
    assert report.first.line().startswith("loss: loss: the loss is summed over the batch")
    assert any("gradients of the mistaken loss" in text for text in report.unchecked)
    assert not report.of_phases("gradients")


def _bent(case):
    """Return the right output with its values bent, a mistake without a name."""
    right = case.right()
    return np.sign(right) * np.abs(right) ** 1.3


def test_optimizer_is_not_blamed_for_an_unknown_mistake_in_an_operation(trace):
    """The gradients of later steps follow from the outputs, which cannot be computed then."""
    plants = {"conv": _bent}
    report = compare(trace, {**training_port(trace, planted=plants), **forward_port(trace, plants)})
    assert [(finding.phase, finding.layer, finding.cause) for finding in report.findings] == [("eval", "conv", UNKNOWN)]
    assert "train: conv" in report.first.also
    assert any(text.startswith("optimizer: steps after 1") for text in report.unchecked)
    assert report.checked["optimizer"] == sum(row.trainable for row in trace.graph.parameters)


def test_nothing_is_blamed_for_an_unknown_mistake_behind_unrecorded_outputs(trace):
    """Running statistics, loss and gradients that depend on the suspects are not checked."""
    plants = {"conv": _bent}
    port = {**training_port(trace, planted=plants), **forward_port(trace, plants)}
    for hidden in ("conv", "bn"):
        for place in ("eval", "train", "grad_out"):
            del port[f"{place}/{hidden}"]
    report = compare(trace, port)
    assert [(finding.phase, finding.layer, finding.cause) for finding in report.findings] == [("eval", "relu", UNKNOWN)]
    assert report.first.suspects == ["bn", "conv"]
    assert any(text.startswith("running statistics: 1 of them, such as bn") for text in report.unchecked)
    assert report.checked["loss"] == 1
    without_training = {key: array for key, array in port.items() if not key.startswith(("train/", "grad_out/"))}
    report = compare(trace, without_training)
    assert [(finding.phase, finding.layer) for finding in report.findings] == [("eval", "relu")]
    assert "loss: it depends on a mistake found before" in report.unchecked


def test_optimizer_is_checked_if_the_mistake_is_in_prediction_only(trace):
    def without_decay(name, weight, gradient, rate, momentum, decay, state, norm):
        state["v"] = momentum * state.get("v", 0) - rate * gradient
        return state["v"]

    port = {**training_port(trace, rule=without_decay), **forward_port(trace, {"bn": _bent}, modes=("eval",))}
    report = compare(trace, port)
    found = [(finding.phase, finding.cause) for finding in report.findings]
    assert found == [("eval", UNKNOWN), ("optimizer", "the weight decay is missing")]
    assert report.checked["optimizer"] == 3 * sum(row.trainable for row in trace.graph.parameters)


def _in_one_pass(case):
    x = np.float32(case.x)
    axes = (0, *range(2, x.ndim))
    mean, square = (array.mean(axis=axes, keepdims=True) for array in (x, x * x))
    gamma, beta = (np.float32(case.parameter(role)).reshape(mean.shape) for role in ("gamma", "beta"))
    return (x - mean) / np.sqrt(square - mean * mean + np.float32(case.operation.settings["eps"])) * gamma + beta


def _bias_gradient_in_one_pass(port, graph, operation):
    """Return the gradient of a bias before batch normalization, derived from E[x^2] - E[x]^2 in float32."""
    x, given = np.float32(port[f"train/{operation.inputs[0]}"]), np.float32(port[f"grad_out/{operation.name}"])
    axes = (0, *range(2, x.ndim))
    count = np.float32(x.size // x.shape[1])
    mean, square = (array.mean(axis=axes, keepdims=True) for array in (x, x * x))
    scale = 1 / np.sqrt(square - mean * mean + np.float32(operation.settings["eps"]))
    slopes = given * np.float32(port[f"param/{operation.parameters['gamma']}"]).reshape(mean.shape)
    of_square = -(slopes * (x - mean)).sum(axis=axes, keepdims=True) * scale**3 / 2
    of_mean = -(slopes * scale).sum(axis=axes, keepdims=True) - 2 * mean * of_square
    return (slopes * scale + (2 * x * of_square + of_mean) / count).sum(axis=axes)


def test_gradients_that_are_rounding_are_no_mistake():
    """The gradient of a bias before batch normalization is 0; Flax's variance leaves much rounding in it."""
    trace, _ = traces.trace_and_port("lenet_bn")
    layers = [row for row in trace.graph.operations if row.kind == "batch_norm"]
    port = training_port(trace, planted={row.name: _in_one_pass for row in layers})
    for row in layers:
        name = trace.graph.operation(row.inputs[0]).parameters["bias"]
        port[f"grad/{name}"] = _bias_gradient_in_one_pass(port, trace.graph, row)
    port = {key: array for key, array in port.items() if not key.startswith(("grad_out/", "step/"))}
    report = compare(trace, port)
    assert report.conforms, report.text(everything=True)
    assert report.checked["gradients"] == sum(row.trainable for row in trace.graph.parameters)
    negative = {key: -array if key.startswith("grad/") else array for key, array in port.items()}
    finding = compare(trace, negative).first
    assert (finding.phase, finding.cause) == ("gradients", "the gradients have the opposite sign")
    assert finding.variant_residual <= MOST_LEFT


def test_steps_of_a_port_with_more_rounding_are_no_mistake(trace, port):
    """The rounding of an operation, where it conforms, is carried to the parameters."""
    key = "step/1/param/conv.weight"
    tensors = PortTensors({**port, key: port[key] * (1 + 3e-4)}, trace.graph, None, trace.tensors)
    reason = "depend on rounding, or are not finite in the trace"
    for rounding, places in ((REPLAY_LIMIT, [key]), (5 * REPLAY_LIMIT, [])):
        report = Report()
        report.note_error("train", rounding)
        compare_free_run(tensors, trace, report)
        assert [finding.layer for finding in report.findings] == places
        assert report.unchecked == [f"free run: 1 values, such as {key}, {reason}"] * (not places)


def test_a_cause_that_leaves_a_large_error_is_not_named():
    best = Best(1.8e10, 9e9)
    best.add(2.1, "the gradient is multiplied by 8e9", "fc", is_fitted=True)
    assert not best.fits()
    best.add(0.09, "the gradient is multiplied by 9e9", "fc", is_fitted=True)
    assert [row[1] for row in best.fits()] == ["the gradient is multiplied by 9e9"]
