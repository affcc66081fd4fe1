"""Read and fill networks of torchvision as lists of layers, and give them our settings."""

from layer_lists import STATISTICS, Layer, of_kind, pairs
from layer_values import fitted
import torch
from torch import nn

# our names of the kinds of layers, of their settings and their tensors, and PyTorch's
KINDS = {
    nn.Conv2d: "convolution",
    nn.Linear: "dense",
    nn.BatchNorm2d: "norm",
    nn.MaxPool2d: "max pool",
    nn.LocalResponseNorm: "response norm",
}
SETTINGS = {
    "convolution": {
        "channels": "out_channels",
        "inputs": "in_channels",
        "kernel": "kernel_size",
        "stride": "stride",
        "padding": "padding",
        "groups": "groups",
    },
    "dense": {"units": "out_features", "inputs": "in_features"},
    "norm": {"channels": "num_features", "epsilon": "eps"},
    "max pool": {"size": "kernel_size", "stride": "stride", "padding": "padding", "rounds_up": "ceil_mode"},
    "response norm": {},
}
TENSORS = {
    "convolution": {"weight": "weight", "bias": "bias"},
    "dense": {"weight": "weight", "bias": "bias"},
    "norm": {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"},
    "max pool": {},
    "response norm": {},
}


def layers_of(net, last=()):
    """Return the layers of `net` in the order of their definition, with modules named in `last` after their siblings.

    `last` is for modules that torchvision defines before the rest of a block or a network, and we after it.
    """
    if type(net) in KINDS:
        return [_described(net, KINDS[type(net)])]
    children = sorted(net.named_children(), key=lambda child: child[0] in last)
    return [layer for _, child in children for layer in layers_of(child, last)]


def _described(module, kind):
    settings = {setting: _one(getattr(module, name)) for setting, name in SETTINGS[kind].items()}
    tensors = {role: getattr(module, name) for role, name in TENSORS[kind].items()}
    if "bias" in tensors:
        settings["bias"] = tensors["bias"] is not None
    tensors = {role: tensor for role, tensor in tensors.items() if tensor is not None}
    return Layer(kind, settings, tensors, {role: tuple(tensor.shape) for role, tensor in tensors.items()}, module)


def _one(setting):
    """Return the side of a square, both sides, or a setting that has no sides."""
    return setting[0] if isinstance(setting, tuple) and len(set(setting)) == 1 else setting


def count(net):
    """Return the number of parameters of a PyTorch network."""
    return sum(parameter.numel() for parameter in net.parameters())


def redefine(layers, ours):
    """Give each layer the settings of our corresponding layer. Connections and activations do not change.

    Kinds of layers whose numbers differ do not change.
    """
    for its, mine in pairs(layers, ours):
        module = its.at
        for setting, name in SETTINGS[its.kind].items():
            value = mine.settings[setting]
            is_pair = isinstance(getattr(module, name), tuple) and not isinstance(value, tuple)
            setattr(module, name, (value, value) if is_pair else value)
        for role, shape in mine.shapes.items():
            if its.shapes.get(role) != shape:
                tensor = torch.empty(shape)
                setattr(module, TENSORS[its.kind][role], tensor if role in STATISTICS else nn.Parameter(tensor))


def put(layers, values):
    """Set the tensors of the layers to these values."""
    for layer, of_layer in fitted(layers, values):
        for role, array in of_layer.arrays.items():
            layer.tensors[role].data.copy_(torch.from_numpy(array))


def get(layer, role):
    return layer.tensors[role].numpy()


def measure_statistics(net, layers, images):
    """Set the running statistics to those of the images, without dropout."""
    for layer in of_kind(layers, "norm"):
        layer.at.train().momentum = 1.0
    predict(net, images)
    for layer in of_kind(layers, "norm"):
        layer.at.eval()


def predict(net, images):
    """Return the logits of (N, C, H, W) images as a NumPy array; those of several heads are concatenated."""
    with torch.no_grad():
        logits = net(torch.from_numpy(images))
    return (torch.cat(logits, dim=1) if isinstance(logits, tuple) else logits).numpy()


def gradients(net, layers, images, direction):
    """Return the gradients of the sum of `direction` times logits, in training mode without dropout."""
    for layer in of_kind(layers, "norm"):
        layer.at.train()
    (net(torch.from_numpy(images)) * torch.from_numpy(direction)).sum().backward()
    return [tensor.grad.numpy() for layer in layers for role, tensor in layer.tensors.items() if role not in STATISTICS]
