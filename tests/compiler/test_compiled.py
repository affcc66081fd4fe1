"""The compiled twin computes the same function and keeps parameters, files and exports. See also `test_numeric`."""

import json

from arrays import assert_all_close, assert_gradients_close, terms_of, terms_of_gradients
from chains import needs_rewriting
from gluon_classics import get_model, utils
import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest

SIDES = {"lenet": 12, "resnet": 75}
BATCH = 8


def ready(name="lenet"):
    """Return a network with random biases, and images for it."""
    net, side = get_model(name), SIDES[name]
    net.initialize(mx.init.Xavier())
    x = nd.random.normal(shape=(BATCH, 1, side, side))
    net(x)  # completes the deferred shapes
    for parameter in net.collect_params().values():
        if parameter.name.endswith("bias"):
            parameter.set_data(nd.random.uniform(0.1, 1, parameter.shape))
    return net, x


def values(net, ctx=None):
    return [p.data(ctx).asnumpy() for p in net.collect_params().values()]


def gradients(net, ctx=None):
    return [p.grad(ctx).asnumpy() for p in net.collect_params().values() if p.grad_req != "null"]


def trained(forward, net, *batches):
    """Return outputs, gradients of the batches and gradients of `net`, for one training pass over all batches."""
    for x in batches:
        x.attach_grad()
    with autograd.record():
        outputs = [forward(x) for x in batches]
        losses = [(output**2).sum() for output in outputs]
    autograd.backward(losses)
    return [a.asnumpy() for a in (*outputs, *(x.grad for x in batches))] + gradients(net)


def assert_predicts_alike(one, net, x):
    assert_all_close([one(x).asnumpy()], [net(x).asnumpy()], terms_of(net))


def filters(symbol):
    nodes = json.loads(symbol.tojson())["nodes"]
    return [int(node["attrs"]["num_filter"]) for node in nodes if node["op"] == "Convolution"]


# --- batches and updates


def test_batches_of_different_sizes_can_alternate():
    net, _ = ready()
    twin = utils.hybridized(net)

    def drawn():
        batches = [nd.random.normal(shape=(size, 1, 12, 12)) for size in (BATCH, 1, BATCH - 1, BATCH + 5, BATCH)]
        for x in batches:
            assert_predicts_alike(twin, net, x)
        return trained(twin, net, *batches), trained(net, net, *batches)

    every_image = nd.zeros((4 * BATCH + 5, 1, 12, 12))
    assert_gradients_close(drawn, terms_of_gradients(net, every_image))


def test_gradients_can_be_accumulated():
    net, x = ready()
    net.collect_params().setattr("grad_req", "add")
    twin = utils.hybridized(net)

    def drawn():
        images = nd.random.normal(shape=x.shape)
        net.collect_params().zero_grad()
        trained(net, net, images)
        once = gradients(net)
        net.collect_params().zero_grad()
        for _ in range(2):
            trained(twin, net, images)
        return gradients(net), [2 * gradient for gradient in once]

    assert_gradients_close(drawn, terms_of_gradients(net, x))


def train_step(net, twin, x, _folder):
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    with autograd.record():
        loss = (twin(x) ** 2).mean()
    loss.backward()
    trainer.step(1)


def set_data(net, _twin, _x, _folder):
    for parameter in net.collect_params().values():
        parameter.set_data(parameter.data() + 0.1)


def in_place(net, _twin, _x, _folder):
    for parameter in net.collect_params().values():
        parameter.data()[:] += 0.1


def load_parameters(net, _twin, _x, folder):
    other, _ = ready()
    other.save_parameters(str(folder / "other"))
    net.load_parameters(str(folder / "other"))


def initialize_again(net, _twin, _x, _folder):
    net.initialize(mx.init.Normal(0.2), force_reinit=True)


@pytest.mark.parametrize(
    "update", [train_step, set_data, in_place, load_parameters, initialize_again], ids=lambda update: update.__name__
)
def test_predictions_of_the_twin_follow_every_update(update, tmp_path):
    net, x = ready()
    twin = utils.hybridized(net)
    for _ in range(2):
        before = twin(x).asnumpy()
        update(net, twin, x, tmp_path)
        assert_predicts_alike(twin, net, x)
        assert np.abs(twin(x).asnumpy() - before).max() > 1e-2 * np.abs(before).max()


# --- parameters, files and exports


@pytest.mark.parametrize("name", SIDES)
def test_the_graph_has_the_same_parameters_in_the_same_order(name, graphs):
    net, x = ready(name)
    own = net(mx.sym.var("data"))
    utils.hybridized(net)(x)
    assert graphs[-1].list_inputs() == own.list_inputs()
    assert graphs[-1].list_arguments() == own.list_arguments()
    assert graphs[-1].list_auxiliary_states() == own.list_auxiliary_states()


@needs_rewriting
def test_parameters_and_gradients_keep_their_shapes(graphs):
    def shapes(block):
        return [(p.name, p.shape, p.data().shape, p.grad().shape) for p in block.collect_params().values()]

    net, x = ready()
    before = shapes(net)
    twin = utils.hybridized(net)
    trained(twin, net, x)
    assert filters(graphs[-1]) != [20, 50]
    assert shapes(net) == shapes(twin) == before


def test_a_network_and_its_twin_write_the_same_parameter_file(tmp_path):
    net, x = ready()
    twin = utils.hybridized(net)
    expected = twin(x).asnumpy()
    net.save_parameters(str(tmp_path / "net"))
    twin.save_parameters(str(tmp_path / "twin"))
    assert (tmp_path / "net").read_bytes() == (tmp_path / "twin").read_bytes()

    back, other = get_model("lenet"), utils.hybridized(get_model("lenet"))
    other.load_parameters(str(tmp_path / "net"))
    np.testing.assert_array_equal(other(x).asnumpy(), expected)
    back.load_parameters(str(tmp_path / "twin"))
    np.testing.assert_array_equal(back(x).asnumpy(), net(x).asnumpy())


def operators(text):
    return [(node["op"], node.get("attrs")) for node in json.loads(text)["nodes"]]


# MXNet does not know the type of the input before it has read the parameters
@pytest.mark.filterwarnings("ignore:Cannot decide type for the following arguments:UserWarning")
@pytest.mark.parametrize(("name", "sizes"), [("lenet", [BATCH]), ("lenet", [1, BATCH]), ("resnet", [1])])
def test_an_export_is_the_network_as_it_is_defined(name, sizes, tmp_path):
    net, x = ready(name)
    twin = utils.hybridized(net)
    for size in sizes:
        twin(x[:size])
    twin.export(str(tmp_path / "net"))
    text = (tmp_path / "net-symbol.json").read_text()
    own = net(mx.sym.var("data"))
    assert operators(text) == operators(own.tojson())
    assert mx.sym.load_json(text).list_inputs() == own.list_inputs()
    assert not any(word in text for word in ("_padded", "_unpadded", "sg_mkldnn"))

    imported = gluon.SymbolBlock.imports(str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params"))
    assert_predicts_alike(imported, net, x)
    assert_predicts_alike(utils.hybridized(imported), net, x)
    assert utils.evaluate_accuracy([(x, net(x).argmax(axis=1))], imported) == 1


def test_a_twin_that_is_no_longer_hybridized_runs_its_layers():
    net = nn.Sequential()
    net.add(nn.Dense(3), nn.Dense(2))
    net.initialize()
    twin = utils.hybridized(net)
    x, seen = nd.ones((1, 4)), []
    twin[1].register_forward_hook(lambda _layer, _inputs, output: seen.append(type(output)))
    twin(x)
    twin.hybridize(False)
    seen.clear()
    for _ in range(2):
        twin(x)
    assert seen == [nd.NDArray, nd.NDArray]


def test_layers_keep_their_hybridize_flags():
    net, x = ready()
    net[0].hybridize()
    net[2].hybridize(static_alloc=True)
    before = [(layer._active, list(layer._flags)) for layer in net]
    twin = utils.hybridized(net)
    assert_predicts_alike(twin, net, x)
    assert [(layer._active, list(layer._flags)) for layer in net] == before
    assert [layer._active for layer in net] == [True, False, True, False, False, False, False]


# --- types, deferred shapes, contexts


def test_a_float64_network_is_not_padded(graphs):
    net, x = ready()
    net.cast("float64")
    x = x.astype("float64")
    twin = utils.hybridized(net)
    assert_predicts_alike(twin, net, x)
    assert_all_close(trained(twin, net, x), trained(net, net, x), terms_of_gradients(net, x))
    assert filters(graphs[0]) == [20, 50]


@pytest.mark.parametrize("cast", ["twin", "net"])
def test_a_network_can_be_cast_after_compilation(cast):
    net, x = ready()
    twin = utils.hybridized(net)
    twin(x)
    {"net": net, "twin": twin}[cast].cast("float64")
    assert_predicts_alike(twin, net, x.astype("float64"))


@needs_rewriting
def test_a_cast_to_the_same_type_changes_nothing(graphs):
    net, x = ready()
    net.cast("float32")
    utils.hybridized(net)(x)
    assert filters(graphs[-1]) != [20, 50]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_the_first_call_of_the_twin_completes_deferred_shapes(count, training):
    """Also on several contexts, starting with the last one."""
    contexts = [mx.cpu(i) for i in range(count)]
    net = get_model("lenet")
    net.initialize(mx.init.Xavier(), ctx=contexts)
    twin = utils.hybridized(net)
    images = [nd.random.normal(shape=(BATCH, 1, 12, 12), ctx=context) for context in reversed(contexts)]
    with autograd.record() if training else autograd.pause():
        outputs = [twin(x) for x in images]
    for x, output in zip(images, outputs):
        assert output.context == x.context
        assert_all_close([output.asnumpy()], [net(x).asnumpy()], terms_of(net))


def test_a_twin_computes_the_same_on_every_context():
    contexts = [mx.cpu(0), mx.cpu(1)]
    net, x = ready()
    twin = utils.hybridized(net)

    def drawn():
        images = nd.random.normal(shape=x.shape)
        net.collect_params().reset_ctx(mx.cpu(0))
        expected = trained(net, net, images)
        net.collect_params().reset_ctx(contexts)
        *outputs, first, second = trained(twin, net, *(images.as_in_context(context) for context in contexts))[:4]
        np.testing.assert_array_equal(*outputs)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(*([gradient.tobytes() for gradient in gradients(net, ctx)] for ctx in contexts))
        return [outputs[0], first, *gradients(net, contexts[0])], expected

    assert_gradients_close(drawn, terms_of_gradients(net, x))


# --- other blocks


class Relu(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return F.relu(x)


def test_relu_computes_the_same_bits():
    x = nd.concat(nd.random.normal(shape=(99,)), nd.array([np.inf, -np.inf, 0.0, -0.0]), dim=0)
    found = []
    for forward in (Relu(), utils.hybridized(Relu())):
        x.attach_grad()
        with autograd.record():
            output = forward(x)
        output.backward(nd.arange(len(x)))
        found.append((output.asnumpy().tobytes(), x.grad.asnumpy().tobytes()))
    assert found[0] == found[1]


@needs_rewriting
def test_compiled_relu_turns_nan_into_0_as_activation_layers_do():
    assert utils.hybridized(Relu())(nd.array([np.nan])).asnumpy() == 0
    assert nn.Activation("relu")(nd.array([np.nan])).asnumpy() == 0


def test_relu_of_integers_can_be_compiled():
    x = nd.array([-1, 0, 2], dtype="int32")
    assert utils.hybridized(Relu())(x).asnumpy().tolist() == Relu()(x).asnumpy().tolist() == [0, 0, 2]


class Loop(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return F.contrib.foreach(lambda row, sums: (row + sums[0], [row + sums[0]]), x, [F.zeros((3,))])[0]


def test_a_loop_can_be_compiled():
    x = nd.random.normal(shape=(4, 3))
    assert_all_close([utils.hybridized(Loop())(x).asnumpy()], [np.cumsum(x.asnumpy(), axis=0)], terms=len(x))


class Nested(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return x + 1, (x * 2, [x * 3])


class OneInAList(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return [x + 1]


class Sum(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return x[0] + x[1]


def shape_of(outputs):
    return [shape_of(output) for output in outputs] if isinstance(outputs, (list, tuple)) else outputs.shape


@pytest.mark.parametrize("block", [Nested, OneInAList])
def test_outputs_keep_their_structure(block):
    x = nd.ones(2)
    assert shape_of(utils.hybridized(block())(x)) == shape_of(block()(x))


def test_an_input_can_be_a_list_of_arrays():
    assert utils.hybridized(Sum())([nd.ones(2), nd.ones(2)]).asnumpy().tolist() == [2, 2]


def test_a_slice_of_the_twin_has_the_same_layers():
    net, _ = ready()
    assert list(utils.hybridized(net)[1:3]) == list(net)[1:3]
