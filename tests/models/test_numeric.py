"""What the networks compute: eager against compiled, against plain NumPy, and how they are initialized."""

from functools import partial

from arrays import assert_all_close, assert_close, assert_gradients_close, terms_of, terms_of_gradients
from gluon_blocks import LOSS, backpropagated, filled, formula, trained_parameters
from gluon_classics import get_model, model_info, utils
from gluon_classics.data import datasets, images
from gluon_classics.experiment import build
from gluon_classics.models.googlenet import Inception
from gluon_classics.models.nin import mlpconv
from gluon_classics.models.resnet import Residual
import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn
import numpy as np
from numpy_layers import Plain, max_pool, mean_pool, response_norm
import pytest

pytestmark = pytest.mark.numeric

# the side of the smallest image each network takes
SMALLEST = {"lenet": 12, "alexnet": 67, "vgg": 32, "nin": 67, "googlenet": 93, "resnet": 75}

every_network = pytest.mark.parametrize("name", SMALLEST)


def built(name, batch=2):
    """A network with the blog's initial weights, and images and labels for it."""
    net = get_model(name)
    net.initialize(mx.init.Xavier())
    side = SMALLEST[name]
    data, labels = nd.random.normal(shape=(batch, 1, side, side)), nd.arange(3, 3 + batch)
    net(data)  # completes the deferred shapes
    return net, data, labels


@every_network
def test_the_compiled_twin_predicts_what_the_network_predicts(name):
    net, data, _ = built(name)
    expected = net(data).asnumpy()
    twin = utils.hybridized(net)
    for _ in range(2):  # the first call compiles
        assert_close(twin(data).asnumpy(), expected, terms_of(net))


@every_network
def test_the_compiled_twin_trains_as_the_network_trains(name):
    net, data, labels = built(name)
    twin = utils.hybridized(net)
    terms = terms_of_gradients(net, data)

    def drawn():
        images = nd.random.normal(shape=data.shape)
        output, running, gradients = backpropagated(net, net, images, labels)
        twin_output, twin_running, twin_gradients = backpropagated(twin, net, images, labels)
        assert_all_close([twin_output, *twin_running], [output, *running], terms)
        assert len(running) == (2 * 16 if name == "resnet" else 0)
        assert all((statistic != 1).any() for statistic in running)  # a training pass moves them
        return twin_gradients, gradients

    for _ in range(2):  # the first call compiles
        assert_gradients_close(drawn, terms)


def biases_before_batch_norm(net):
    found = []

    def look(block):
        if isinstance(block, Residual):
            found.extend([block.conv1.bias, block.conv2.bias])

    net.apply(look)
    return found


@every_network
def test_every_parameter_gets_a_finite_gradient_that_is_not_zero(name):
    net, data, labels = built(name)
    backpropagated(net, net, data, labels)
    useless = {id(p) for p in biases_before_batch_norm(net)}
    for parameter in trained_parameters(net):
        gradient = parameter.grad().asnumpy()
        assert np.isfinite(gradient).all(), parameter.name
        if id(parameter) not in useless:
            assert np.abs(gradient).max() > 1e-5, parameter.name


def test_the_biases_before_batch_norm_are_useless():
    """Batch normalization subtracts them again: in float64 only rounding is left, below half of the digits."""
    net, data, labels = built("resnet")
    net.cast("float64")
    data = data.astype("float64")
    half = np.sqrt(np.finfo(np.float64).eps)
    backpropagated(net, net, data, labels)
    biases = biases_before_batch_norm(net)
    assert len(biases) == 16
    weights = [p for p in trained_parameters(net) if p.shape[1:]]
    smallest = min(np.abs(weight.grad().asnumpy()).max() for weight in weights)
    assert all(np.abs(bias.grad().asnumpy()).max() < half * smallest for bias in biases)

    mx.random.seed(1)
    with autograd.train_mode():
        before = net(data).asnumpy()
        for bias in biases:
            bias.set_data(nd.full(bias.shape, 0.5))
        np.testing.assert_allclose(net(data).asnumpy(), before, rtol=0, atol=half * np.abs(before).max())


# --- against NumPy: weights and images from formulas


def plain_lenet(net, x, **settings):
    x = max_pool(net.conv(x, **settings), 2, 2)
    x = max_pool(net.conv(x, **settings), 2, 2)
    return net.dense(net.dense(x, relu=True))


def plain_lenet_bn(net, x):
    x = max_pool(net.relu_of_norm(net.conv(x, relu=False)), 2, 2)
    x = max_pool(net.relu_of_norm(net.conv(x, relu=False)), 2, 2)
    return net.dense(net.dense(x, relu=True))


def plain_lenet_pytorch(net, x):
    x = max_pool(net.conv(net.conv(x)), 2, 2)
    return net.dense(net.dense(x, relu=True))


def plain_vgg11_lrn(net, x):
    x = max_pool(response_norm(net.conv(x, pad=1)), 2, 2)
    for convolutions in (1, 2, 2, 2):
        for _ in range(convolutions):
            x = net.conv(x, pad=1)
        x = max_pool(x, 2, 2)
    return net.dense(net.dense(net.dense(x, relu=True), relu=True))


def plain_vgg16_c(net, x):
    for block in range(5):
        x = net.conv(net.conv(x, pad=1), pad=1)
        x = max_pool(net.conv(x) if block > 1 else x, 2, 2)
    return net.dense(net.dense(net.dense(x, relu=True), relu=True))


def plain_vgg11_bn(net, x):
    for convolutions in (1, 1, 2, 2, 2):
        for _ in range(convolutions):
            x = net.relu_of_norm(net.conv(x, pad=1, relu=False))
        x = max_pool(x, 2, 2)
    return net.dense(net.dense(net.dense(x, relu=True), relu=True))


def plain_alexnet(net, x):
    x = max_pool(net.conv(x, stride=4), 3, 2)
    x = max_pool(net.conv(x, pad=2), 3, 2)
    x = net.conv(net.conv(net.conv(x, pad=1), pad=1), pad=1)
    return net.dense(net.dense(net.dense(max_pool(x, 3, 2), relu=True), relu=True))


def plain_vgg(net, x):
    for _ in range(5):
        x = max_pool(net.conv(net.conv(x, pad=1), pad=1), 2, 2)
    return net.dense(net.dense(net.dense(x, relu=True), relu=True))


def plain_nin(net, x):
    x = net.mlpconv(net.mlpconv(net.mlpconv(x, stride=4), pad=2), pad=1)
    return net.mlpconv(x, pad=1, pooled=False).mean(axis=(2, 3))


def plain_googlenet(net, x):
    x = max_pool(net.conv(x, stride=2, pad=3), 3, 2)
    x = max_pool(net.conv(net.conv(x, relu=False), pad=1, relu=False), 3, 2)
    x = max_pool(net.inception(net.inception(x)), 3, 2)
    for _ in range(5):
        x = net.inception(x)
    x = net.inception(net.inception(max_pool(x, 3, 2)))
    return net.dense(mean_pool(x, 2))


def plain_resnet(net, x):
    x = max_pool(net.conv(x, stride=2, relu=False), 3, 2)
    x = net.residual(net.residual(x))
    for _ in range(3):
        x = net.residual(net.residual(x, halve=True))
    return net.dense(mean_pool(x, 3))


PLAIN = {
    "lenet": plain_lenet,
    "alexnet": plain_alexnet,
    "vgg": plain_vgg,
    "nin": plain_nin,
    "googlenet": plain_googlenet,
    "resnet": plain_resnet,
}


@every_network
def test_a_network_computes_what_its_table_says(name):
    """All of it in NumPy: activations, kinds of pooling and orders, which shapes and counts do not show."""
    side = {"lenet": 15, "nin": 131}.get(name, SMALLEST[name])  # with a rest for windows, and 3x3 maps for NiN to pool
    x = formula(2, 1, side, side)
    net = filled(get_model(name), x)
    plain = Plain(net)
    expected = PLAIN[name](plain, x)
    assert plain.is_done()
    assert expected.shape == (2, 10)
    assert np.count_nonzero(expected) >= 8  # NiN's logits are never negative, and many are 0
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.ptp(expected)  # images, not biases, decide
    assert_close(net(nd.array(x)).asnumpy(), expected, terms_of(net))


# edition -> its definition, and the height of its images
EDITIONS = {
    "lenet_bn_tutorial": (plain_lenet_bn, 28),
    "lenet_bn_scratch_tutorial": (plain_lenet_bn, 28),
    "lenet_caffe": (partial(plain_lenet, relu=False), 28),
    "lenet_slim": (partial(plain_lenet, pad=2), 28),
    "lenet_pytorch_2017": (plain_lenet, 28),  # ReLU and max pooling can change places
    "lenet_pytorch_2018": (plain_lenet, 28),
    "lenet_pytorch": (plain_lenet_pytorch, 28),
    "vgg11_lrn": (plain_vgg11_lrn, 32),
    "vgg16_c": (plain_vgg16_c, 32),
    "vgg11_bn": (plain_vgg11_bn, 32),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "vgg16_c" else ()) for name in EDITIONS]
)
def test_an_edition_computes_what_its_source_says(name):
    definition, side = EDITIONS[name]
    x = formula(2, model_info(name).input_shape[0], side, side) * (100 if name == "vgg11_lrn" else 1)
    net = filled(get_model(name, classes=10), x)
    plain = Plain(net)
    expected = definition(plain, x)
    assert plain.is_done()
    assert expected.shape == (2, 10)
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.ptp(expected)  # images, not biases, decide
    assert_close(net(nd.array(x)).asnumpy(), expected, terms_of(net))


@pytest.mark.parametrize("kernels", [(1, 1), (3, 5)], ids=["as-printed", "3x3-and-5x5"])
def test_an_inception_block_is_four_paths_side_by_side(kernels):
    x = formula(2, 3, 6, 5)
    block = filled(Inception(4, 2, 5, 3, 6, 7, kernels=kernels), x)
    expected = Plain(block).inception(x, pads=[kernel // 2 for kernel in kernels])
    assert expected.shape == (2, 4 + 5 + 6 + 7, 6, 5)
    assert_close(block(nd.array(x)).asnumpy(), expected, terms_of(block))


def test_an_inception_block_is_as_printed_unless_told():
    """Kernels of 1: except for the pooling path no output value depends on a neighbour."""
    x = formula(1, 3, 7, 7)
    block = filled(Inception(4, 2, 5, 3, 6, 7), x)
    before = block(nd.array(x)).asnumpy()
    x[:, :, 3, 3] += 1
    changed = (block(nd.array(x)).asnumpy() != before).any(axis=0)
    convolved, pooled = changed[:15].any(axis=0), changed[15:].any(axis=0)
    assert np.argwhere(convolved).tolist() == [[3, 3]]
    assert pooled.sum() > 1


@pytest.mark.parametrize("training", [False, True], ids=["predicting", "training"])
@pytest.mark.parametrize("halve", [False, True], ids=["same-size", "halved"])
def test_a_residual_block_is_two_convolutions_beside_a_shortcut(halve, training):
    x = formula(2, 4, 7, 6)
    block = filled(Residual(6 if halve else 4, halve=halve), x)
    expected = Plain(block, training).residual(x, halve)
    assert expected.shape == ((2, 6, 4, 3) if halve else x.shape)
    with autograd.train_mode() if training else autograd.predict_mode():
        assert_close(block(nd.array(x)).asnumpy(), expected, terms_of(block))


def test_batch_norm_remembers_a_tenth_of_each_batch():
    """MXNet keeps the biased variance, and moves both statistics in the backward pass only."""
    x = formula(2, 4, 7, 6)
    block = filled(Residual(4), x)
    statistics = block.bn1.running_mean, block.bn1.running_var
    old = [statistic.data().asnumpy() for statistic in statistics]
    normalised = Plain(block).conv(x, pad=1, relu=False)
    batch = normalised.mean(axis=(0, 2, 3)), normalised.var(axis=(0, 2, 3))
    with autograd.record():
        output = block(nd.array(x))
    output.backward()
    nd.waitall()  # MXNet's engine does not know that the backward pass writes running statistics
    for statistic, before, now in zip(statistics, old, batch):
        assert_close(statistic.data().asnumpy(), 0.9 * before + 0.1 * now, terms_of(block) + normalised[:, 0].size)


@pytest.mark.parametrize("max_pooling", [True, False])
def test_an_mlpconv_is_three_convolutions_and_a_pool(max_pooling):
    x = formula(2, 3, 12, 11)
    block = filled(mlpconv(5, kernel_size=3, padding=1, strides=2, max_pooling=max_pooling), x)
    expected = Plain(block).mlpconv(x, stride=2, pad=1, pooled=max_pooling)
    assert expected.shape == ((2, 5, 2, 2) if max_pooling else (2, 5, 6, 6))
    assert_close(block(nd.array(x)).asnumpy(), expected, terms_of(block))


@pytest.mark.parametrize(("name", "count"), [("alexnet", 2), ("vgg", 2), ("nin", 1)])
def test_dropout_drops_half(name, count):
    layers = [row.layer for row in utils.summarize(get_model(name), (1, 224, 224)).rows]
    assert [layer for layer in layers if layer.startswith("Dropout")] == ["Dropout 0.5"] * count


# --- initial weights


@every_network
def test_experiments_start_from_xaviers_weights(name, rng):
    """Uniform within +-sqrt(3 / ((fan in + fan out) / 2)), biases 0, scales of batch normalization 1."""
    side = SMALLEST[name]
    few = images.Images(rng.randint(0, 256, (10, side, side, 1)).astype(np.uint8), np.arange(10))
    data = datasets.DataSet("random", few, few, tuple("0123456789"), "this test")
    settings = build.Settings(name, resize=side)
    net = build.prepare(settings, [mx.cpu()], data).net
    net(nd.zeros((1, 1, side, side))).wait_to_read()  # a convolution reorders its weights in the background
    for parameter in trained_parameters(net):
        values = parameter.data().asnumpy()
        if values.ndim == 1:
            assert (values == (1 if parameter.name.endswith("gamma") else 0)).all()
            continue
        outputs, inputs = values.shape[:2]
        window = np.prod(values.shape[2:])
        bound = np.sqrt(3 / ((inputs * window + outputs * window) / 2))
        n = values.size
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > bound * (1 - 15 / n)  # fails by chance with probability e^-15
        # five standard deviations of a mean and of a mean square of n uniform numbers
        assert abs(values.mean()) < 5 * bound / np.sqrt(3 * n)
        assert (values**2).mean() == pytest.approx(bound**2 / 3, rel=5 * 0.9 / np.sqrt(n))


# --- the compiled twin


def test_the_twin_shares_the_parameters_of_the_network():
    net, _, _ = built("resnet")
    own, twins = net.collect_params(), utils.hybridized(net).collect_params()
    assert list(own) == list(twins)
    assert all(own[key] is twins[key] for key in own)


def test_an_update_through_the_twin_reaches_the_network():
    net, data, labels = built("lenet")
    twin = utils.hybridized(net)
    before = net(data).asnumpy()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    with autograd.record():
        loss = LOSS(twin(data), labels)
    loss.backward()
    trainer.step(len(data))
    assert np.abs(net(data).asnumpy() - before).max() > 1e-3
    assert_close(twin(data).asnumpy(), net(data).asnumpy(), terms_of(net))


def test_an_uninitialised_network_gets_its_shapes_through_the_twin():
    net = get_model("nin")
    twin = utils.hybridized(net)
    net.initialize()
    data = nd.random.normal(shape=(2, 1, 67, 67))
    assert_close(twin(data).asnumpy(), net(data).asnumpy(), terms_of(net))


@pytest.mark.parametrize("name", ["lenet", "resnet"])
def test_parameter_files_interchange_between_network_and_twin(name, tmp_path):
    net, data, _ = built(name)
    file = str(tmp_path / "net.params")
    expected = net(data).asnumpy()
    net.save_parameters(file)
    other = utils.hybridized(get_model(name))
    other.load_parameters(file)
    assert_close(other(data).asnumpy(), expected, terms_of(net))

    other.save_parameters(file)
    back = get_model(name)
    back.load_parameters(file)
    np.testing.assert_array_equal(back(data).asnumpy(), expected)


# MXNet warns that the hooks below fall silent in a compiled graph, which is what this test looks for
@pytest.mark.filterwarnings("ignore:.*is being hybridized while still having forward hook:UserWarning")
def test_the_network_stays_eager_beside_its_twin():
    """A block that runs eagerly calls its children with arrays; a compiled graph has no children to call."""
    net, data, _ = built("googlenet")
    seen = []

    def watch(block):
        if not block._children:
            block.register_forward_hook(lambda _block, inputs, _output: seen.append(type(inputs[0])))

    net.apply(watch)
    net(data)
    calls = len(seen)
    assert calls > 6 * 9

    twin = utils.hybridized(net)
    twin(data)
    seen.clear()
    twin(data)
    assert seen == []
    for _ in range(2):
        seen.clear()
        net(data)
        assert seen == [nd.NDArray] * calls


@pytest.mark.parametrize("name", ["googlenet", "resnet"])
def test_a_verbose_network_compiles_without_a_warning(name, capsys):
    """Its hooks are left behind, as promised; that is nothing to warn the blog's readers of."""
    net = get_model(name, verbose=True)
    net.initialize()
    twin = utils.hybridized(net)
    data = nd.zeros((1, 1, SMALLEST[name], SMALLEST[name]))
    twin(data)
    assert capsys.readouterr().out == ""
    net(data)
    assert capsys.readouterr().out.count("output: ") == 6


class OwnForward(nn.Block):
    def forward(self, x):
        return x + 1


class OwnSequence(nn.Sequential):
    def forward(self, x):
        return super().forward(x) * 2


@pytest.mark.parametrize("block", [OwnForward, OwnSequence])
@pytest.mark.parametrize("nested", [False, True])
def test_only_the_block_itself_knows_its_own_forward(block, nested):
    """The message names the block, wherever it stands; the network works as before."""
    net = block()
    if isinstance(net, nn.Sequential):
        net.add(nn.Dense(3))
    if nested:
        outer, inner = nn.Sequential(), nn.Sequential()
        inner.add(net)
        outer.add(nn.Flatten(), inner)
        net = outer
    with pytest.raises(TypeError, match=f"^{block.__name__} cannot be compiled"):
        utils.hybridized(net)
    net.initialize()
    assert net(nd.ones((2, 3))).shape == (2, 3)


def test_a_sequence_without_its_own_forward_can_be_compiled():
    """Subclasses that only add layers, as the networks do."""

    class Layers(nn.Sequential):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.add(nn.Dense(4, activation="relu"), OwnHybrid())

    class OwnHybrid(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.concat(x, x * 2, dim=1)

    net = Layers()
    net.initialize()
    x = nd.array(formula(2, 3))
    twin = utils.hybridized(net)
    twin(x)
    assert twin(x).shape == (2, 8)
    assert_close(twin(x).asnumpy(), net(x).asnumpy(), terms_of(net))


def test_a_single_hybrid_block_can_be_compiled():
    block = filled(Residual(4), formula(2, 4, 5, 5))
    x = nd.array(formula(2, 4, 5, 5))
    twin = utils.hybridized(block)
    twin(x)
    assert_close(twin(x).asnumpy(), block(x).asnumpy(), terms_of(block))
