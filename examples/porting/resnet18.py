"""A port of `resnet18_v1` to PyTorch, written by hand, with three mistakes. The guide docs/porting.md finds them.

python resnet18.py TRACE PORT.npz
"""

import sys

from gluon_classics.porting import Recorder, ReferenceTrace
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels, momentum=0.9)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels, momentum=0.9)
        self.projection = nn.Identity()
        if stride > 1:
            convolution = nn.Conv2d(inputs, channels, 1, stride, bias=False)
            self.projection = nn.Sequential(convolution, nn.BatchNorm2d(channels, momentum=0.9))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return out + self.projection(x)


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64, momentum=0.9)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        widths = (64, 64, 128, 256, 512)
        self.stages = nn.ModuleList(
            nn.Sequential(Block(inputs, channels, 1 + (channels > 64)), Block(channels, channels, 1))
            for inputs, channels in zip(widths, widths[1:])
        )
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = stage(x)
        return self.fc(x.mean(dim=(2, 3)))


def names():
    """Return the trace's name of each module whose output is recorded."""
    result = {"conv1": "conv1.0", "bn1": "conv1.1", "pool": "pool1", "fc": "fc"}
    parts = {"conv1": "body.0", "bn1": "body.1", "conv2": "body.3", "bn2": "body.4"}
    parts.update({"projection.0": "projection.0", "projection.1": "projection.1"})
    for stage in range(4):
        for block in range(2):
            module, name = f"stages.{stage}.{block}", f"conv{stage + 2}_x.{block}"
            result[module] = name
            result.update({f"{module}.{part}": f"{name}.{its_name}" for part, its_name in parts.items()})
    return result


def load_weights(model, trace):
    """Copy the parameters of the trace. Its layout has PyTorch's name of each one."""
    modules = {name: module for module, name in names().items()}
    state = {}
    for row in trace.layout["parameters"]:
        path, _, leaf = row["pytorch"]["name"].rpartition(".")
        state[f"{modules[path]}.{leaf}"] = torch.tensor(trace.tensors[f"param/{row['name']}"])
    model.load_state_dict(state, strict=False)  # PyTorch also counts batches


if __name__ == "__main__":
    folder, port = sys.argv[1:]
    trace = ReferenceTrace.load(folder)
    model = ResNet18()
    load_weights(model, trace)
    decay = next(iter(trace.recipe["weight_decay"].values()))
    momentum = trace.recipe["optimizer"]["momentum"]
    optimizer = torch.optim.SGD(model.parameters(), lr=1, momentum=momentum, weight_decay=decay)
    recorder = Recorder(trace, names())
    recorder.torch(model)
    for _ in trace.recipe["steps"]:
        recorder.torch_step(model, F.cross_entropy, optimizer)
    recorder.save(port)
