"""Rebuild public reports of conversions that gave other numbers: the comparison must name the fault of each.

Each network is as small as the fault allows. The port has the fault of the report; the right port must conform.
"""

from gluon_classics.porting.comparison.comparison import compare
from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
from gluon_classics.porting.network.sources import from_block, from_symbol
from gluon_classics.porting.reference.values import TraceOptions, prepared
import mxnet as mx
from mxnet.gluon import nn
import numpy as np
from numpy_port import forward_port, training_port


def _trace(network, weights="probe", steps=1):
    """Return the trace of a network without its values."""
    start = prepared(network, weights, TraceOptions(steps=steps))
    tensors = {f"param/{name}": array for name, array in start.parameters.items()}
    for step, batch in enumerate(start.batches, start=1):
        prefix = "" if step == 1 else f"step/{step}/"
        tensors.update({f"{prefix}input": batch.images, f"{prefix}label": batch.label})
    return ReferenceTrace(network.graph, start.recipe, tensors)


def _with_ones(symbol, shape):
    """Return a model of symbols as a network. Its weights do not matter, as those of the trace are drawn."""
    shapes, _, running = symbol.infer_shape(data=(1, *shape))
    arguments = {name: mx.nd.ones(size) for name, size in zip(symbol.list_arguments(), shapes) if name != "data"}
    states = {name: mx.nd.ones(size) for name, size in zip(symbol.list_auxiliary_states(), running)}
    return from_symbol(symbol, {**arguments, **states}, shape)


def _sequence(*layers):
    net = nn.HybridSequential()
    net.add(*layers)
    return net


def _first(trace, planted, **more):
    """Return the place and the cause that are reported first for a port with a fault in its outputs."""
    assert compare(trace, forward_port(trace, modes=("eval",))).conforms
    finding = compare(trace, forward_port(trace, planted, modes=("eval",), **more)).first
    return finding.layer, finding.cause


def test_gamma_of_a_batch_normalization_is_fixed():
    """apache/incubator-mxnet#15717: all values of a batch normalization are the same, its outputs in PyTorch are not.

    The report's own code has fix_gamma=True and MXNet's default eps, .001, on one side, and PyTorch's BatchNorm1d with
    its gamma and its default eps, .00001, on the other. Both differences are planted.
    """
    x = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=6, name="fc6")
    x = mx.sym.FullyConnected(mx.sym.BatchNorm(x, fix_gamma=True, name="bn6_3"), num_hidden=3, name="fc7")
    shapes, _, running = x.infer_shape(data=(1, 2, 3, 3))
    names = [*zip(x.list_arguments(), shapes), *zip(x.list_auxiliary_states(), running)]
    generator = np.random.RandomState(0)
    file = {name: mx.nd.array(generator.uniform(0.5, 1.5, shape)) for name, shape in names if name != "data"}
    network = from_symbol(x, file, (2, 3, 3))
    trace = _trace(network, "own")
    gamma = file["bn6_3_gamma"].asnumpy()
    applied = {"bn6_3": lambda case: case.with_settings(fixed_gamma=False, eps=1e-5)}
    port = forward_port(trace, applied, parameters={"bn6_3_gamma": gamma}, modes=("eval",))
    weights, output = compare(trace, port).findings
    assert weights.line().startswith("weights: bn6_3_gamma: it is fixed at 1, whatever the file of the weights has")
    assert output.line().startswith("eval: bn6_3: gamma is applied, although it is fixed at 1, and eps is 1e-05")
    # the same with weights that were exported, in which gamma is 1: only eps is left
    assert _first(trace, applied) == ("bn6_3", "eps is 1e-05")


def test_padding_counts_in_the_mean():
    """apache/incubator-mxnet#14345: the outputs of a gender and age model differ after its conversion to ONNX.

    The maintainers asked for the result with and without count_include_pad; the report itself names no cause.
    The default of MXNet counts the padding, and that of ONNX does not. This is the difference that is planted.
    """
    net = _sequence(nn.Conv2D(4, 3), nn.BatchNorm(), nn.Activation("relu"), nn.AvgPool2D(3, 2, 1), nn.Dense(3))
    trace = _trace(from_block(net, (3, 9, 9)))
    planted = {"3": lambda case: case.with_settings(include_pad=False)}
    assert _first(trace, planted) == ("3", "the padding does not count in the mean")


def test_padding_counts_in_the_mean_of_a_branch():
    """microsoft/MMdnn#909: an Inception network that was converted from MXNet to PyTorch lost precision.

    The reporter found count_include_pad=False in the generated file, and a maintainer confirmed the fault.
    """
    data = mx.sym.var("data")
    pool = mx.sym.Pooling(data, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type="avg", name="avg_pool_3a_pool")
    branches = mx.sym.concat(mx.sym.Convolution(data, kernel=(1, 1), num_filter=2, name="conv_3a"), pool, dim=1)
    symbol = mx.sym.FullyConnected(branches, num_hidden=3, name="fc")
    trace = _trace(_with_ones(symbol, (3, 6, 6)))
    planted = {"avg_pool_3a_pool": lambda case: case.with_settings(include_pad=False)}
    assert _first(trace, planted) == ("avg_pool_3a_pool", "the padding does not count in the mean")


def test_same_padding_is_larger_at_the_start():
    """apache/incubator-mxnet#17694: a LeNet on Fashion-MNIST says "Bag" in MXNet, "Ankle boot" in TensorFlow and CNTK.

    The reporter saw that one Conv2D and all layers after it differ; the report is open. The MXNet backend of Keras
    pads both sides alike and cuts the end off. So if the number of rows to pad is odd, it pads more at the start, and
    the other two backends pad more at the end. This is the likeliest cause, and it is planted.
    """
    padded = mx.sym.pad(mx.sym.var("data"), mode="constant", pad_width=(0, 0, 0, 0, 1, 2, 1, 2), name="pad")
    x = mx.sym.Convolution(padded, kernel=(5, 5), stride=(2, 2), num_filter=6, name="conv2d_1")
    x = mx.sym.Pooling(mx.sym.Activation(x, act_type="relu"), kernel=(2, 2), stride=(2, 2), pool_type="max")
    symbol = mx.sym.FullyConnected(x, num_hidden=10, name="dense_1")
    trace = _trace(_with_ones(symbol, (1, 28, 28)))
    images = np.float64(trace.tensors["input"])

    def backend(case):
        both = np.pad(images, [(0, 0), (0, 0), (2, 2), (2, 2)])
        return case.with_input(both)[:, :, :14, :14]

    # the backend pads inside the convolution, so that only its output can be recorded
    swapped = "the padding of the start and that of the end are swapped"
    assert _first(trace, {"conv2d_1": backend}, drop=("pad",)) == ("pad", swapped)


def test_same_padding_of_a_strided_convolution():
    """keras-team/keras#16363: the weights of a ResNet from PyTorch give other outputs in Keras where the stride is 2.

    The author found that padding="same" pads the other side than PyTorch's padding of 1 does.
    """
    net = _sequence(nn.Conv2D(4, 3, padding=1), nn.Conv2D(5, 3, strides=2, padding=1), nn.Dense(3))
    trace = _trace(from_block(net, (3, 8, 8)))

    def same(case):
        return case.with_settings(padding=[0, 0, 1, 1])

    assert _first(trace, {"1": same}) == ("1", 'the padding is "same" as in TensorFlow, larger at the end')


def test_flatten_takes_channels_last():
    """gzuidhof/nn-transfer#16: dense layers of a model from Keras give other outputs in PyTorch.

    The reporter found the cause: Flatten goes through height, width, channel, and view through channel, height, width.
    """
    net = _sequence(nn.Conv2D(4, 3), nn.MaxPool2D(), nn.Flatten(), nn.Dense(3))
    trace = _trace(from_block(net, (2, 8, 8)))
    planted = {"2": lambda case: case.x.transpose(0, 2, 3, 1).reshape(len(case.x), -1)}
    assert _first(trace, planted) == ("2", "the elements are in the order height, width, channel")
    # a dense layer that flattens by itself
    net = _sequence(nn.Conv2D(4, 3), nn.Dense(3))
    trace = _trace(from_block(net, (2, 6, 6)))
    planted = {"1": lambda case: case.with_input(case.x.transpose(0, 2, 3, 1).reshape(len(case.x), -1))}
    assert _first(trace, planted) == ("1", "the input is flattened in the order height, width, channel")


def test_alpha_is_divided_by_the_size():
    """vlfeat/matconvnet#339: a local response normalization of a converted model gives other outputs in cuDNN.

    The reporter had to multiply alpha by the size, 5: one library divides alpha by it, and the other one does not.
    """
    x = mx.sym.LRN(mx.sym.var("data"), nsize=5, alpha=1e-4, beta=0.75, knorm=1, name="norm1")
    symbol = mx.sym.FullyConnected(x, num_hidden=3, name="fc")
    trace = _trace(_with_ones(symbol, (32, 3, 3)))
    trace.tensors["input"] = np.float32(41 + 90 * np.random.RandomState(1).normal(size=(2, 32, 3, 3)))
    planted = {"norm1": lambda case: case.with_settings(alpha_divided_by_size=False)}
    assert _first(trace, planted) == ("norm1", "alpha is not divided by the size")


def test_momentum_has_the_other_convention():
    """huggingface/transformers#19454: models in TensorFlow predict as those in PyTorch do until they are trained.

    The authors found that the momentum of batch normalization is the share of the old value in TensorFlow, and that of
    the new one in PyTorch.
    """
    net = _sequence(nn.Conv2D(4, 3), nn.BatchNorm(), nn.Activation("relu"), nn.Dense(3))
    trace = _trace(from_block(net, (3, 8, 8)))
    assert compare(trace, training_port(trace)).conforms
    port = training_port(trace, running=lambda name, old, batch, keep, count: (1 - keep) * old + keep * batch)
    finding = compare(trace, port).first
    assert (finding.phase, finding.layer) == ("running statistics", "1")
    assert finding.cause == "momentum has the other convention: the share of the batch is kept"


def test_a_port_need_not_have_a_fixed_gamma():
    """A port of a network with fix_gamma may keep gamma at 1, or have none: that is no fault."""
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=4, name="conv")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=True, name="bn"), act_type="relu")
    trace = _trace(_with_ones(mx.sym.FullyConnected(x, num_hidden=3, name="fc"), (3, 8, 8)), steps=2)
    port = {**training_port(trace), **forward_port(trace, modes=("eval",))}
    assert (port["param/bn_gamma"] == 1).all()
    for tensors in (port, {key: array for key, array in port.items() if not key.endswith("bn_gamma")}):
        report = compare(trace, tensors)
        assert report.conforms, report.text(everything=True)
        assert report.checked["optimizer"] == 10
