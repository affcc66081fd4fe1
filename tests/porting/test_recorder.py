"""Test that ports in PyTorch and Flax are recorded completely, and that their mistakes are named."""

from gluon_classics.porting.comparison.comparison import compare
from gluon_classics.porting.comparison.recorder import Recorder
from gluon_classics.porting.comparison.tensor_file import PortError, read_tensors
import numpy as np
import pytest
import small_network

NAMES = {"features.0": "conv", "features.1": "bn", "features.2": "relu", "features.3": "pool", "drop": "drop"}


def _torch_model(trace, momentum=0.1, eps=1e-5):
    torch = pytest.importorskip("torch")
    nn = torch.nn

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
    own = {"conv": model.features[0], "bn": model.features[1], "fc": model.fc}
    leaves = {"gamma": "weight", "beta": "bias"}
    with torch.no_grad():
        for row in trace.graph.parameters:
            module, _, role = row.name.partition(".")
            getattr(own[module], leaves.get(role, role)).copy_(torch.tensor(trace.tensors[f"param/{row.name}"]))
    return torch, model


class _Sgd:
    """SGD with the learning rate inside the momentum."""

    def __init__(self, model, trace):
        self.parameters, self.recipe = list(model.parameters()), trace.recipe
        self.param_groups = [{"lr": 0.0}]
        self.states = [0] * len(self.parameters)

    def step(self):
        import torch

        with torch.no_grad():
            for number, parameter in enumerate(self.parameters):
                decayed = parameter.grad + 0.01 * parameter
                state = float(np.float32(0.9)) * self.states[number] - self.param_groups[0]["lr"] * decayed
                self.states[number] = state
                parameter += state


def _recorded(trace, torch, model, optimizer):
    recorder = Recorder(trace, NAMES)
    recorder.torch(model)
    for _ in range(3):
        recorder.torch_step(model, torch.nn.functional.cross_entropy, optimizer)
    return recorder


def test_clean_pytorch_port_conforms_except_for_the_unbiased_variance(tmp_path):
    trace = small_network.trace()
    torch, model = _torch_model(trace)
    recorder = _recorded(trace, torch, model, _Sgd(model, trace))
    recorder.save(tmp_path / "port.npz")
    report = compare(trace, tmp_path / "port.npz")
    assert [(finding.layer, finding.cause) for finding in report.findings] == [
        ("bn", "the running variance is unbiased (n - 1)")
    ]
    assert report.level == "FTG"
    recorded = {key.partition("/")[0] for key in read_tensors(tmp_path / "port.npz")}
    assert recorded == {"input", "label", "param", "eval", "train", "loss", "grad", "grad_out", "step"}


def test_mistakes_of_a_pytorch_port_are_named():
    trace = small_network.trace()
    torch, model = _torch_model(trace, momentum=0.9, eps=1e-3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    report = compare(trace, _recorded(trace, torch, model, optimizer).tensors)
    causes = [finding.cause for finding in report.findings]
    assert causes[0] == "eps is 0.001"
    assert "momentum has the other convention" in causes[1]
    assert causes[2] == "the learning rate is outside the momentum, as in PyTorch"
    assert len(causes) == 3


def test_flax_port_is_recorded_channels_last():
    flax = pytest.importorskip("flax")
    nn = flax.linen
    trace = small_network.trace()

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            x = nn.Conv(6, (3, 3), name="conv")(x)
            x = nn.BatchNorm(not train, momentum=0.9, name="bn")(x)
            x = nn.max_pool(nn.relu(x), (2, 2), (2, 2))
            return nn.Dense(5, name="fc")(x.reshape(len(x), -1))

    arrays = {key[len("param/") :]: array for key, array in trace.tensors.items() if key.startswith("param/")}
    columns = arrays["fc.weight"].reshape(5, 6, 4, 4).transpose(0, 2, 3, 1).reshape(5, -1)
    variables = {
        "params": {
            "conv": {"kernel": arrays["conv.weight"].transpose(2, 3, 1, 0), "bias": arrays["conv.bias"]},
            "bn": {"scale": arrays["bn.gamma"], "bias": arrays["bn.beta"]},
            "fc": {"kernel": columns.T, "bias": arrays["fc.bias"]},
        },
        "batch_stats": {"bn": {"mean": arrays["bn.running_mean"], "var": arrays["bn.running_var"]}},
    }
    recorder = Recorder(trace)
    recorder.flax(Model(), variables)
    assert {key for key in recorder.tensors if key.startswith("eval/")} == {"eval/conv", "eval/bn", "eval/fc"}
    report = compare(trace, recorder.tensors)
    assert report.conforms, report.text(True)
    assert report.level == "F"
    assert report.checked["weights"] == len(trace.graph.parameters)


def test_other_file_formats_are_refused(tmp_path):
    with pytest.raises(PortError, match="npz"):
        Recorder(small_network.trace()).save(tmp_path / "port.pt")
