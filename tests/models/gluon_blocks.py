"""Blocks of Gluon with parameters from a formula, what they compute, and their gradients."""

import mxnet as mx
from mxnet import autograd, gluon, nd
import numpy as np
import pytest

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()

in_both_modes = pytest.mark.parametrize("training", [False, True], ids=["predicting", "training"])


def formula(*shape, phase=0):
    """Numbers from -1 to 1, scattered like random ones, so that a wrong axis, order or activation shows."""
    scattered = np.sin(np.arange(np.prod(shape)) * 12.9898 + 78.233 * phase) * 43758.5453
    return (2 * (scattered % 1) - 1).reshape(shape).astype(np.float32)


def filled(block, x):
    """The block with parameters from a formula, such that outputs are of the size of inputs."""
    block.initialize()
    block(nd.array(x))  # completes the deferred shapes
    for number, parameter in enumerate(block.collect_params().values(), start=1):
        values = formula(*parameter.shape, phase=number)
        if len(parameter.shape) > 1:
            values *= np.sqrt(6 / np.prod(parameter.shape[1:]))  # He's bound, for ReLU
        elif parameter.name.endswith(("gamma", "var")):  # scales and variances are positive
            values = 1 + 0.5 * values
        else:
            values *= 0.1
        parameter.set_data(nd.array(values))
    return block


def trained_parameters(net):
    return [p for p in net.collect_params().values() if p.grad_req != "null"]


def of_kind(net, kind):
    """All blocks of one class in `net`, in the order of their definition."""
    found = []
    net.apply(lambda block: found.append(block) if isinstance(block, kind) else None)
    return found


def computed(block, x, training):
    with autograd.train_mode() if training else autograd.predict_mode():
        return block(nd.array(x)).asnumpy()


def backpropagated(forward, net, data, labels):
    """Output, running statistics and all gradients (the images' first) of one training pass, as NumPy arrays.

    Dropout draws the same mask whenever it is called: MXNet's generators start from the same seed.
    """
    running = [p for p in net.collect_params().values() if p.grad_req == "null"]
    for parameter in running:
        parameter.set_data(nd.ones(parameter.shape))
    data.attach_grad()
    mx.random.seed(1234)
    with autograd.record():
        output = forward(data)
        loss = LOSS(output, labels)
    loss.backward()
    gradients = [data.grad.asnumpy(), *(p.grad().asnumpy() for p in trained_parameters(net))]
    return output.asnumpy(), [p.data().asnumpy() for p in running], gradients
