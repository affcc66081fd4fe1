"""Test that ports in PyTorch and Flax are recorded completely, and that their mistakes are named."""

from dataclasses import replace

from gluon_classics.porting.comparison.comparison import compare
from gluon_classics.porting.comparison.module_calls import ModuleCalls, operation_outputs
from gluon_classics.porting.comparison.recorder import Recorder
from gluon_classics.porting.comparison.tensor_file import PortError, read_tensors
import numpy as np
import pytest
import small_network

NAMES = {"features.0": "conv", "features.1": "bn", "features.2": "relu", "features.3": "pool", "drop": "drop"}
UNBIASED = ("bn", "the running variance is unbiased (n - 1)")
MOMENTUM, DECAY = float(np.float32(0.9)), float(np.float32(0.01))


# --- PyTorch


def _torch():
    return pytest.importorskip("torch")


def _loaded(model, trace, conv, bn, fc):
    """Return a PyTorch model with the parameters of the trace in three of its modules."""
    torch = _torch()
    leaves = {"gamma": "weight", "beta": "bias"}
    with torch.no_grad():
        for row in trace.graph.parameters:
            module, _, role = row.name.partition(".")
            own = {"conv": conv, "bn": bn, "fc": fc}[module]
            getattr(own, leaves.get(role, role)).copy_(torch.tensor(trace.tensors[f"param/{row.name}"]))
    return model


def _torch_model(trace, momentum=0.1, eps=1e-5):
    nn = _torch().nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 6, 3, padding=1),
                nn.BatchNorm2d(6, eps=eps, momentum=momentum),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            )
            self.drop = nn.Dropout(0.25)
            self.fc = nn.Linear(96, 5)

        def forward(self, x):
            return self.fc(self.drop(self.features(x).flatten(1)))

    model = Model()
    return _loaded(model, trace, *model.features[:2], model.fc)


class _Sgd:
    """SGD with the learning rate inside the momentum."""

    def __init__(self, model):
        self.parameters = list(model.parameters())
        self.param_groups = [{"lr": 0.0}]
        self.states = [0] * len(self.parameters)

    def step(self):
        with _torch().no_grad():
            for number, parameter in enumerate(self.parameters):
                decayed = parameter.grad + DECAY * parameter
                self.states[number] = MOMENTUM * self.states[number] - self.param_groups[0]["lr"] * decayed
                parameter += self.states[number]


def _recorded(trace, model, optimizer=None, names=NAMES, steps=3):
    recorder = Recorder(trace, names)
    recorder.torch(model)
    for _ in range(steps):
        recorder.torch_step(model, _torch().nn.functional.cross_entropy, optimizer)
    return recorder


def test_clean_pytorch_port_conforms_except_for_the_unbiased_variance(tmp_path):
    trace = small_network.trace()
    model = _torch_model(trace)
    recorder = _recorded(trace, model, _Sgd(model))
    recorder.save(tmp_path / "port.npz")
    report = compare(trace, tmp_path / "port.npz")
    assert [(finding.layer, finding.cause) for finding in report.findings] == [UNBIASED]
    assert report.level == "FTG"
    recorded = {key.partition("/")[0] for key in read_tensors(tmp_path / "port.npz")}
    assert recorded == {"input", "label", "param", "eval", "train", "loss", "grad", "grad_out", "step"}


def test_mistakes_of_a_pytorch_port_are_named():
    trace = small_network.trace()
    model = _torch_model(trace, momentum=0.9, eps=1e-3)
    optimizer = _torch().optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    report = compare(trace, _recorded(trace, model, optimizer).tensors)
    causes = [finding.cause for finding in report.findings]
    assert causes[0] == "eps is 0.001"
    assert "momentum has the other convention" in causes[1]
    assert causes[2] == "the learning rate is outside the momentum, as in PyTorch"
    assert len(causes) == 3


def _torch_layers(style):
    """Return a convolution with its ReLU in some style, as a module, and the module with its parameters."""
    nn = _torch().nn
    relu = nn.functional.relu

    class OfTwoMethods(nn.Conv2d):  # as exported files have it
        def forward(self, x):
            return relu(super().forward(x), inplace=True)

    class OfOneMethod(nn.Conv2d):
        def forward(self, x):
            return relu(nn.functional.conv2d(x, self.weight, self.bias, padding=1))

    class Padded(nn.Conv2d):  # the convolution alone
        def forward(self, x):
            return nn.functional.conv2d(nn.functional.pad(x, [1] * 4), self.weight, self.bias)

    class OfTwoModules(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 6, 3, padding=1)

        def forward(self, x):
            return relu(self.layer(x))

    if style == "of two modules":
        module = OfTwoModules()
        return module, module.layer
    classes = {"of two methods": OfTwoMethods, "of one method": OfOneMethod, "padded": Padded, "plain": nn.Conv2d}
    module = classes[style](3, 6, 3, padding=1)
    return module, module


def _model_with_activation(trace, style):
    """Return a PyTorch model for the network whose convolution has a built-in ReLU."""
    nn = _torch().nn
    conv, layer = _torch_layers(style)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn, self.relu, self.fc = conv, nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Linear(96, 5)

        def forward(self, x):
            x = self.conv(x)
            x = self.relu(x) if style in ("plain", "padded") else x
            x = nn.functional.max_pool2d(self.relu(self.bn(x)), 2)
            return self.fc(nn.functional.dropout(x.flatten(1), 0.25, self.training))

    model = Model()
    return _loaded(model, trace, layer, model.bn, model.fc)


@pytest.mark.parametrize("style", ["of two methods", "of one method", "of two modules", "plain", "padded"])
def test_a_layer_is_told_from_its_built_in_activation(style):
    trace = small_network.trace(activation=True)
    recorder = _recorded(trace, _model_with_activation(trace, style), names={"conv.layer": "conv"}, steps=1)
    found = {name for name in ("conv", "conv.act") if f"train/{name}" in recorder.tensors}
    wanted = {"of one method": {"conv.act"}, "plain": {"conv"}, "padded": {"conv"}}
    assert found == wanted.get(style, {"conv", "conv.act"})
    assert found == {name for name in ("conv", "conv.act") if f"grad_out/{name}" in recorder.tensors}
    report = compare(trace, recorder.tensors)
    assert report.conforms, report.text(True)
    assert report.level == "FTG"


def test_a_module_that_is_called_several_times_may_have_several_names():
    trace = small_network.trace(activation=True)
    recorder = _recorded(trace, _model_with_activation(trace, "plain"), names={"relu": ["conv.act", "relu"]}, steps=1)
    assert {"eval/conv.act", "eval/relu", "grad_out/conv.act", "grad_out/relu"} <= set(recorder.tensors)
    report = compare(trace, recorder.tensors)
    assert report.conforms, report.text(True)


def test_the_prediction_is_the_first_of_several_outputs():
    torch = _torch()
    trace = small_network.trace()

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = _torch_model(trace)

        def forward(self, x):
            return self.model(x), x

    recorder = Recorder(trace)
    recorder.torch(Wrapped())
    assert {key for key in recorder.tensors if key.startswith("eval/")} == {"eval/fc"}


class _OwnDropout:
    """Dropout with random numbers that cannot be replaced."""

    def __new__(cls):
        torch = _torch()

        class Dropout(torch.nn.Module):
            drop_prob = 0.25

            def forward(self, x):
                return x * (torch.rand_like(x) >= 0.25) / 0.75 if self.training else x

        return Dropout()


@pytest.mark.parametrize("style", ["module", "own module", "function"])
def test_dropouts_of_a_pytorch_port_take_the_masks_of_the_trace(style):
    torch = _torch()
    trace = small_network.trace()
    model, function = _torch_model(trace), torch.nn.functional.dropout
    if style == "own module":
        model.drop = _OwnDropout()
    elif style == "function":
        del model.drop
        model.drop = lambda x: function(x, 0.25, model.training)
    report = compare(trace, _recorded(trace, model, _Sgd(model)).tensors)
    assert [(finding.layer, finding.cause) for finding in report.findings] == [UNBIASED]


def test_a_dropout_without_a_mask_is_an_error():
    torch = _torch()
    trace = small_network.trace()
    model = _torch_model(trace)
    model.features.append(torch.nn.Dropout(0.25))  # it takes the only mask
    recorder = Recorder(trace, {**NAMES, "drop": "second"})
    with pytest.raises(PortError, match="more dropouts than the trace"):
        recorder.torch_step(model, torch.nn.functional.cross_entropy)
    model = _torch_model(trace)
    model.features.insert(0, torch.nn.Dropout(0.25))
    with pytest.raises(PortError, match=r"drop has a mask of \[4, 96\], and the port draws \[4, 3, 8, 8\]"):
        Recorder(trace, {"drop": "drop"}).torch_step(model, torch.nn.functional.cross_entropy)


def test_more_steps_than_the_trace_has_are_an_error():
    trace = small_network.trace(steps=1)
    model = _torch_model(trace)
    with pytest.raises(PortError, match="the trace has 1 steps"):
        _recorded(trace, model, _Sgd(model), steps=2)


# --- Flax


def _cross_entropy(output, label):
    jax = pytest.importorskip("jax")
    return -jax.numpy.mean(jax.nn.log_softmax(output)[jax.numpy.arange(len(label)), label])


class _FlaxSgd:
    """SGD with the learning rate inside or outside the momentum."""

    def __init__(self, outside=False):
        self.states, self.outside = None, outside

    def parameters(self, parameters, gradients, learning_rate):
        jax = pytest.importorskip("jax")
        inside, factor = (1, learning_rate) if self.outside else (learning_rate, 1)
        if self.states is None:
            self.states = jax.tree.map(jax.numpy.zeros_like, parameters)
        self.states = jax.tree.map(
            lambda state, gradient, weight: MOMENTUM * state - inside * (gradient + DECAY * weight),
            *(self.states, gradients, parameters),
        )
        return jax.tree.map(lambda weight, state: weight + factor * state, parameters, self.states)

    def model(self, model, gradients, learning_rate):
        nnx = pytest.importorskip("flax.nnx")
        nnx.update(model, self.parameters(nnx.state(model, nnx.Param), gradients, learning_rate))


def _variables(trace):
    """Return the parameters of the trace in Flax's layout, by layer and name, and the running statistics."""
    arrays = {key[len("param/") :]: array for key, array in trace.tensors.items() if key.startswith("param/")}
    columns = arrays["fc.weight"].reshape(5, 6, 4, 4).transpose(0, 2, 3, 1).reshape(5, -1)
    parameters = {
        "conv": {"kernel": arrays["conv.weight"].transpose(2, 3, 1, 0), "bias": arrays["conv.bias"]},
        "bn": {"scale": arrays["bn.gamma"], "bias": arrays["bn.beta"]},
        "fc": {"kernel": columns.T, "bias": arrays["fc.bias"]},
    }
    return parameters, {"bn": {"mean": arrays["bn.running_mean"], "var": arrays["bn.running_var"]}}


def _dropout_function():
    """Return a dropout that is not a module."""
    jax = pytest.importorskip("jax")

    def dropout(x, train):
        return x * jax.random.bernoulli(jax.random.key(0), 0.75, x.shape) / 0.75 if train else x

    return dropout


def _linen(trace, activation=False, function=False, transformed=False):
    nn = pytest.importorskip("flax").linen

    class Layer(nn.Conv):
        def __call__(self, x):
            return nn.relu(super().__call__(x))

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            layer = Layer if activation else nn.Conv
            x = (nn.remat(layer) if transformed else layer)(6, (3, 3), name="conv")(x)
            x = nn.BatchNorm(not train, momentum=0.9, name="bn")(x)
            x = nn.max_pool(nn.relu(x), (2, 2), (2, 2)).reshape(len(x), -1)
            x = _dropout_function()(x, train) if function else nn.Dropout(0.25, deterministic=not train, name="drop")(x)
            return nn.Dense(5, name="fc")(x)

    parameters, statistics = _variables(trace)
    return Model(), {"params": parameters, "batch_stats": statistics}


def _nnx(trace, activation=False, function=False, momentum=0.9, epsilon=1e-5):
    nnx = pytest.importorskip("flax.nnx")
    from jax import numpy as jnp

    class Layer(nnx.Conv):
        def __call__(self, x):
            return nnx.relu(super().__call__(x))

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.conv = (Layer if activation else nnx.Conv)(3, 6, (3, 3), rngs=rngs)
            self.bn = nnx.BatchNorm(6, momentum=momentum, epsilon=epsilon, rngs=rngs)
            self.drop = nnx.Dropout(0.25, rngs=rngs)
            self.fc = nnx.Linear(96, 5, rngs=rngs)

        def __call__(self, x):
            x = nnx.relu(self.bn(self.conv(x)))
            x = nnx.max_pool(x, (2, 2), (2, 2)).reshape(len(x), -1)
            return self.fc(_dropout_function()(x, not self.drop.deterministic) if function else self.drop(x))

    model = Model(nnx.Rngs(0))
    for layers in _variables(trace):
        for layer, arrays in layers.items():
            for name, array in arrays.items():
                getattr(getattr(model, layer), name).set_value(jnp.asarray(array))
    return model


def _recorded_linen(trace, **choices):
    recorder, (model, variables), optimizer = Recorder(trace), _linen(trace, **choices), _FlaxSgd()
    recorder.flax(model, variables)
    for _ in trace.recipe["steps"]:
        variables = recorder.flax_step(model, variables, _cross_entropy, optimizer.parameters, train=True)
    return recorder


def _recorded_nnx(trace, outside=False, **choices):
    recorder, model, optimizer = Recorder(trace), _nnx(trace, **choices), _FlaxSgd(outside)
    recorder.nnx(model)
    for _ in trace.recipe["steps"]:
        recorder.nnx_step(model, _cross_entropy, optimizer.model)
    return recorder


RECORDED = {"linen": _recorded_linen, "nnx": _recorded_nnx}


@pytest.mark.parametrize("function", [False, True], ids=["module", "function"])
@pytest.mark.parametrize("interface", RECORDED)
def test_clean_flax_port_conforms(interface, function):
    trace = small_network.trace()
    recorder = RECORDED[interface](trace, function=function)
    outputs = {"conv", "bn", "fc", *([] if function else ["drop"])}
    for place in ("eval", "train", "grad_out"):
        assert {key.partition("/")[2] for key in recorder.tensors if key.startswith(f"{place}/")} == outputs
    report = compare(trace, recorder.tensors)
    assert report.conforms, report.text(True)
    assert report.level == "FTGS"
    assert report.checked["weights"] == len(trace.graph.parameters)


def test_mistakes_of_an_nnx_port_are_named():
    trace = small_network.trace()
    report = compare(trace, _recorded_nnx(trace, outside=True, momentum=0.1, epsilon=1e-3).tensors)
    causes = [finding.cause for finding in report.findings]
    assert causes[0] == "eps is 0.001"
    assert "momentum has the other convention" in causes[1]
    assert causes[2] == "the learning rate is outside the momentum, as in PyTorch"
    assert len(causes) == 3


@pytest.mark.parametrize("interface", RECORDED)
def test_a_flax_layer_is_told_from_its_built_in_activation(interface):
    trace = small_network.trace(steps=1, activation=True)
    recorder = RECORDED[interface](trace, activation=True)
    for place in ("eval", "train", "grad_out"):
        assert {f"{place}/conv", f"{place}/conv.act"} <= set(recorder.tensors)
    report = compare(trace, recorder.tensors)
    assert report.conforms, report.text(True)


def test_what_a_transformation_hides_is_left_out():
    trace = small_network.trace(steps=1)
    recorder = _recorded_linen(trace, transformed=True)
    for place in ("eval", "train", "grad_out"):
        assert {key.partition("/")[2] for key in recorder.tensors if key.startswith(f"{place}/")} == {
            "bn",
            "drop",
            "fc",
        }
    report = compare(trace, recorder.tensors)
    assert report.conforms, report.text(True)


def test_of_nested_blocks_with_one_output_the_innermost_is_recorded():
    graph = replace(small_network.graph(), blocks={"stage": "relu", "stage.block": "relu"})
    calls = ModuleCalls(graph, lambda path, _number: path)
    inner, outer = ("stage.block", 0, True), ("stage", 0, True)
    calls.kinds = dict.fromkeys((inner, outer), "composite")
    assert operation_outputs(calls, dict.fromkeys((outer, inner), np.zeros(1))) == {"relu": inner}


@pytest.mark.parametrize("name", ["port.npz", "port.safetensors"])
def test_a_failed_save_leaves_the_file_before(name, tmp_path, monkeypatch):
    recorder = Recorder(small_network.trace())
    recorder.save(tmp_path / name)
    before = (tmp_path / name).read_bytes()

    def replace_file(*_):
        raise OSError("disk full")

    monkeypatch.setattr("gluon_classics.porting.comparison.recorder.os.replace", replace_file)
    with pytest.raises(OSError, match="disk full"):
        recorder.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before


def test_other_file_formats_are_refused(tmp_path):
    with pytest.raises(PortError, match="npz"):
        Recorder(small_network.trace()).save(tmp_path / "port.pt")
