"""Weights and data for which the usual mistakes of a port show: no default values, a quiet channel per convolution."""

from gluon_classics import get_model, model_info
from gluon_classics.porting.network.capture import capture
from gluon_classics.porting.operators import MASKED
from gluon_classics.porting.replay import replay
from mxnet import nd
import numpy as np

SMALL_INPUTS = {
    **{"resnet18_v1": (3, 64, 64), "resnet50_v1": (3, 64, 64), "efficientnet_b0": (3, 64, 64)},
    **{"googlenet_v1": (3, 96, 96), "vgg11": (3, 32, 32), "densenet_d2l": (1, 64, 64), "nin": (3, 67, 67)},
}


def network(name):
    """Return a network and its graph, at a small input size where the network has one."""
    info = model_info(name)
    shape = SMALL_INPUTS.get(name, info.input_shape)
    net = get_model(name, **info.trained_as)
    return net, capture(net, shape, name)


def data(graph, rng, batch=2):
    """Return images, labels and dropout masks."""
    (shape,) = graph.inputs.values()
    images = rng.normal(0.2, 1, (batch, *shape[1:])).astype(np.float32).astype(np.float64)
    classes = graph.operation(graph.outputs[0]).output_shape[-1]
    masks = {}
    for row in graph.operations:
        if row.kind in MASKED:
            sizes = [
                1 if axis in row.settings["shared_axes"] else size or batch
                for axis, size in enumerate(row.output_shape)
            ]
            masks[row.name] = (rng.uniform(size=sizes) >= row.settings["drop"]).astype(np.float64)
            masks[row.name].flat[0], masks[row.name].flat[-1] = 0, 1
    return images, rng.permutation(classes)[:batch] if classes >= batch else rng.randint(classes, size=batch), masks


def parameters(graph, images, masks, rng):
    """Return parameters by name. Running statistics are those of the images, and a little off."""
    found = {}
    for row in graph.parameters:
        if row.role in ("gamma", "running_var"):
            array = 1 + 0.2 * rng.normal(size=row.shape)
        elif row.role == "constant" or not row.trainable:
            array = np.where(rng.uniform(size=row.shape) < 0.5, -1.0, 1.0)
        elif row.role == "weight" or len(row.shape) > 1:
            fan_in = np.prod(row.shape[1:])
            array = rng.normal(0, np.sqrt(2 / fan_in), row.shape)
            if len(row.shape) == 4:
                array[row.shape[0] // 2] *= 3e-3
        else:
            array = 0.1 * rng.normal(size=row.shape)
        found[row.name] = array.astype(np.float32).astype(np.float64)
    (name,) = graph.inputs
    values = {**found, name: images}
    for row in graph.operations:
        if row.kind == "batch_norm":
            mean, variance = replay.batch_statistics(row, values)
            jitter = 1 + 0.1 * rng.uniform(-1, 1, (2, *mean.shape))
            for role, array in zip(("running_mean", "running_var"), (mean * jitter[0], variance * jitter[1])):
                found[row.parameters[role]] = values[row.parameters[role]] = np.float64(np.float32(array))
        values[row.name] = replay.forward(row, values, True, masks.get(row.name))
    return found


def load(net, arrays, dtype="float64"):
    """Give an MXNet network these parameters."""
    net.initialize()
    net.cast(dtype)
    for path, parameter in net._collect_params_with_prefix().items():
        if path in arrays:
            parameter.shape = arrays[path].shape
            parameter.set_data(nd.array(arrays[path], dtype=dtype))
