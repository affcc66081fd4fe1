"""Mistakes in what a port copies: its weights and its images."""

from bug import GOOGLENET, LENET, RBN, RC, RESNET, Bug
import numpy as np
import numpy_port
from numpy_port import forward_port


def _weight(network, name, words, change):
    def port(trace):
        arrays, _, _ = numpy_port.start(trace)
        return forward_port(trace, parameters={name: change(arrays[name], arrays)}, modes=("eval",))

    return Bug(network, name, words, port)


def _input(words, change, network=LENET):
    def port(trace):
        _, images, _ = numpy_port.start(trace)
        return forward_port(trace, images=np.ascontiguousarray(change(images)), modes=("eval",))

    return Bug(network, "input", words, port)


def _fresh(scale, uniform):
    def change(array, _arrays):
        generator = np.random.RandomState(7)
        if uniform:
            return generator.uniform(-scale(array), scale(array), array.shape)
        return scale(array) * generator.normal(size=array.shape)

    return change


WEIGHTS = [
    _weight(LENET, "2.weight", "kernel is flipped", lambda w, _: w[:, :, ::-1, ::-1]),
    _weight(RESNET, f"{RC}.weight", "height and width of the kernel are swapped", lambda w, _: w.swapaxes(2, 3)),
    _weight(
        GOOGLENET,
        "conv2.weight",
        "(height, width, in, out) are reshaped",
        lambda w, _: w.transpose(2, 3, 1, 0).reshape(w.shape),
    ),
    _weight(LENET, "2.weight", "kernel is mirrored left to right", lambda w, _: w[..., ::-1]),
    _weight(LENET, "5.weight", "(in, out) are reshaped", lambda w, _: w.T.reshape(w.shape)),
    _weight(RESNET, f"{RC}.weight", "input and output channels are swapped", lambda w, _: w.swapaxes(0, 1)),
    _weight(RESNET, "conv1.0.weight", "BGR", lambda w, _: w[:, ::-1]),
    _weight(
        RESNET,
        f"{RC}.weight",
        "another layer's parameter: conv3_x.1.body.0.weight",
        lambda _, arrays: arrays["conv3_x.1.body.0.weight"],
    ),
    _weight(RESNET, f"{RBN}.gamma", "value of beta", lambda _, arrays: arrays[f"{RBN}.beta"]),
    _weight(RESNET, f"{RBN}.beta", "value of gamma", lambda _, arrays: arrays[f"{RBN}.gamma"]),
    _weight(RESNET, f"{RBN}.running_mean", "value of running_var", lambda _, arrays: arrays[f"{RBN}.running_var"]),
    _weight(LENET, "2.bias", "not loaded", lambda b, _: 0 * b),
    _weight(RESNET, f"{RBN}.running_var", "not loaded", lambda v, _: np.ones_like(v)),
    _weight(RESNET, f"{RBN}.running_var", "square root", lambda v, _: np.sqrt(v)),
    _weight(
        LENET,
        "5.weight",
        "freshly initialized: PyTorch's default",
        _fresh(lambda w: w.shape[1] ** -0.5, True),
    ),
    _weight(
        RESNET,
        f"{RC}.weight",
        "freshly initialized: He, normal",
        _fresh(lambda w: np.sqrt(2 / np.prod(w.shape[1:])), False),
    ),
    _weight(LENET, "6.weight", "half precision", lambda w, _: w.astype(np.float16).astype(float)),
    _weight(
        LENET,
        "5.weight",
        "order height, width, channel",
        lambda w, _: w.reshape(128, 50, 5, 5).transpose(0, 2, 3, 1).reshape(w.shape),
    ),
    _weight(LENET, "2.weight", "output channels are in another order", lambda w, _: np.roll(w, 1, axis=0)),
    _weight(LENET, "6.weight", "multiplied by 0.5", lambda w, _: w / 2),
]

INPUT = [
    _input("multiplied by 255", lambda x: 255 * x),
    _input("divided by 255", lambda x: x / 255),
    _input("mean 0.1307, standard deviation 0.3081", lambda x: (x - 0.1307) / 0.3081),
    _input(
        "mean 0.485, 0.456, 0.406, standard deviation 0.229, 0.224, 0.225",
        lambda x: (
            (x - np.reshape([0.485, 0.456, 0.406], (1, 3, 1, 1))) / np.reshape([0.229, 0.224, 0.225], (1, 3, 1, 1))
        ),
        RESNET,
    ),
    _input("blue, green, red", lambda x: x[:, ::-1], RESNET),
    _input("reshaped, not transposed", lambda x: x.transpose(0, 2, 3, 1).reshape(x.shape), RESNET),
    _input("height and width are swapped", lambda x: x.swapaxes(2, 3)),
    _input("mirrored", lambda x: x[..., ::-1]),
    _input("rounded to whole numbers of 1/255", lambda x: np.round(x * 255) / 255),
    _input("upside down", lambda x: x[:, :, ::-1]),
]

# --- mistakes without a variant


def _noisy(array, _arrays):
    return array * (1 + 0.01 * np.random.RandomState(5).normal(size=array.shape))


def _one_element(array, _arrays):
    changed = array.copy()
    changed.flat[7] += 1
    return changed


def _blurred(x):
    return (x + np.roll(x, 1, axis=3)) / 2


UNKNOWN_COPIES = [
    _weight(LENET, "2.weight", "", _noisy),
    _weight(LENET, "5.weight", "", _one_element),
    _input("", lambda x: np.sign(x) * abs(x) ** 0.45),
    _input("", _blurred),
]
