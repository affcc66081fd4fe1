"""The networks of 1989: the papers' arithmetic, plain NumPy versions, connections, loss and initial weights."""

import math

from arrays import assert_close, terms_of
from gluon_classics import get_model, model_info, utils
from gluon_classics.errors import InputSizeError
from gluon_classics.experiment.published_training import published_settings
from gluon_classics.models.early_lenet import H2, H3, LENET1, SquaredErrorLoss, subsampled_convolution
from gluon_classics.models.lenet5 import count
from gluon_classics.models.objective import objective_of
import mxnet as mx
from mxnet import autograd, gluon, nd
import numpy as np
import pytest

pytestmark = pytest.mark.numeric

EDITIONS = ["lenet_1989", "lenet1"]
# units, connections and free parameters, as the first paper prints them. H1 has a bias for each of its 768 units
PAPER_1989 = {
    "H1": (768, 19_968, 1_068),
    "H2": (192, 38_592, 2_592),
    "H3": (30, 5_790, 5_790),
    "output": (10, 310, 310),
}
# table 1 of the second paper, a row for each feature map of H2: X where the feature map of H3 sees it
TABLE_1 = """
XXX.XX......
.XXXXX......
......XXX.XX
.......XXXXX
"""


def ready(name, batch=2, classes=10, rng=None):
    """Return a network and images. With `rng` its weights are larger than usual, so that all units matter."""
    net = get_model(name, classes)
    net.initialize(mx.init.Xavier())
    x = nd.random.uniform(-1, 1, shape=(batch, *model_info(name).input_shape))
    net(x)  # completes the deferred shapes
    if rng is not None:
        for parameter in net.collect_params().values():
            parameter.set_data(nd.array(rng.uniform(-0.3, 0.3, parameter.shape)))
    return net, x, nd.array(np.arange(batch) % classes)


# --- the papers' arithmetic


def test_lenet_1989_has_the_papers_units_connections_and_parameters():
    rows = {row.path: row for row in utils.summarize(get_model("lenet_1989"), (1, 16, 16)).rows}
    found = {}
    for label in PAPER_1989:
        units = math.prod(rows[label].output_shape)
        found[label] = (units, rows[label].macs + units, rows[label].params)  # each unit has a bias
    assert found == PAPER_1989
    totals = tuple(map(sum, zip(*found.values())))
    assert (16 * 16 + totals[0], *totals[1:]) == (1_256, 64_660, 9_760)


def test_lenet1_has_the_papers_units_connections_and_parameters():
    """The paper counts the constant input of the biases as a unit."""
    rows = count(LENET1, side=28)
    units = 28 * 28 + sum(math.prod(row.shape) for row in rows) + 1
    totals = (units, sum(row.connections for row in rows), sum(row.params for row in rows))
    assert totals == (4_635, 98_442, 2_578)
    summary = [row for row in utils.summarize(get_model("lenet1"), (1, 28, 28)).rows if row.layer != "Squash"]
    assert [(row.output_shape, row.params) for row in summary] == [(row.shape, row.params) for row in rows]


@pytest.mark.parametrize("name", EDITIONS)
def test_the_registry_states_the_facts_of_the_network(name):
    info = model_info(name)
    summary = utils.summarize(get_model(name), info.input_shape)
    assert (info.params, info.macs, 0) == (summary.params, summary.macs, summary.running)
    assert summary.rows[-1].output_shape == (info.classes,) == (10,)


@pytest.mark.parametrize("name", EDITIONS)
def test_images_may_have_other_channels_and_classes_another_number(name):
    _, *sides = model_info(name).input_shape
    assert utils.summarize(get_model(name, 7), (3, *sides)).rows[-1].output_shape == (7,)


@pytest.mark.parametrize("side", [8, 28])
def test_lenet_1989_takes_the_size_that_its_biases_are_for(side):
    with pytest.raises(InputSizeError, match=f"cannot take {side}x{side} images: the largest it takes is 16x16$"):
        utils.summarize(get_model("lenet_1989"), (1, side, side))


# --- plain NumPy


def squash(a):
    return 1.7159 * np.tanh(2 * a / 3)


def convolve(x, kernels, bias, stride):
    """Each map of `kernels`, a list of dictionaries from the map that is seen to its kernel."""
    side = (x.shape[2] - 5) // stride + 1
    out = np.empty((len(x), len(kernels), side, side))
    for number, seen in enumerate(kernels):
        out[:, number] = bias[number]
        for source, kernel in seen.items():
            for row, column in np.ndindex(5, 5):
                end = stride * side
                out[:, number] += (
                    kernel[row, column] * x[:, source, row : row + end : stride, column : column + end : stride]
                )
    return out


def with_border(x):
    return np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=-1)


def partial(weights, table):
    by_pair = iter(weights)
    return [{source: next(by_pair) for source in seen} for seen in table]


def numpy_lenet_1989(x, p):
    x = squash(convolve(with_border(x), [{0: k[0]} for k in p["H1.convolution.weight"]], p["H1.bias.bias"], 2))
    x = squash(convolve(with_border(x), partial(p["H2.convolution.weight"], H2), p["H2.bias.bias"], 2))
    x = squash(x.reshape(len(x), -1) @ p["H3.weight"].T + p["H3.bias"])
    return squash(x @ p["output.weight"].T + p["output.bias"])


def subsample(x, coefficient, bias):
    sums = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
    return sums * coefficient[:, None, None] + bias[:, None, None]


def numpy_lenet1(x, p):
    x = squash(convolve(x, [{0: k[0]} for k in p["H1.weight"]], p["H1.bias"], 1))
    x = squash(subsample(x, p["H2.coefficient"], p["H2.bias"]))
    x = squash(convolve(x, partial(p["H3.weight"], H3), p["H3.bias"], 1))
    x = squash(subsample(x, p["H4.coefficient"], p["H4.bias"]))
    return squash(x.reshape(len(x), -1) @ p["output.weight"].T + p["output.bias"])


@pytest.mark.parametrize(
    "way", [lambda net: net, utils.hybridized, utils.for_inference], ids=["eager", "compiled", "inference"]
)
@pytest.mark.parametrize(("name", "formula"), [("lenet_1989", numpy_lenet_1989), ("lenet1", numpy_lenet1)])
def test_a_network_computes_what_its_paper_says(name, formula, way, rng):
    net, x, _ = ready(name, batch=3, rng=rng)
    p = {key: value.data().asnumpy().astype(np.float64) for key, value in net._collect_params_with_prefix().items()}
    expected = formula(x.asnumpy().astype(np.float64), p)
    run = way(net)
    for _ in range(2):  # the first call compiles
        assert_close(run(x).asnumpy(), expected, terms_of(net))


def test_h3_is_connected_as_in_table_1():
    table = [[row[number] == "X" for row in TABLE_1.split()] for number in range(12)]
    assert [[source in seen for source in range(4)] for seen in H3] == table
    assert sum(map(sum, table)) == 20


def test_each_map_of_h2_sees_eight_maps_of_h1_and_each_map_of_h1_is_seen_by_eight():
    assert [len(set(seen)) for seen in H2] == [8] * 12
    assert [sum(source in seen for seen in H2) for source in range(12)] == [8] * 12


def test_a_map_of_h2_sees_the_maps_of_its_group_only():
    layer = subsampled_convolution(H2, side=4)
    layer.initialize()
    x = nd.random.normal(shape=(1, 12, 8, 8))
    before = layer(x).asnumpy()
    for source in range(12):
        changed = x.copy()
        changed[:, source] += 1
        sees = (layer(changed).asnumpy() != before).any(axis=(0, 2, 3))
        assert list(sees) == [source in seen for seen in H2]


def test_beyond_the_border_is_background():
    """On background alone all units of a feature map see the same; they differ by their biases."""
    layer = subsampled_convolution(((0,),) * 3, side=8)
    layer.initialize()
    sums = layer(-nd.ones((1, 1, 16, 16))).asnumpy()[0] - layer.bias.bias.data().asnumpy()
    expected = -layer.convolution.weight.data().asnumpy().sum(axis=(1, 2, 3))
    assert_close(sums, np.broadcast_to(expected[:, None, None], sums.shape), terms=26)


# --- loss


@pytest.mark.parametrize("classes", [4, 10])
def test_the_loss_is_the_mean_squared_difference_to_1_and_minus_1(classes, rng):
    outputs, labels = rng.uniform(-1.7, 1.7, (5, classes)), np.array([0, 3, 1, 2, 3])
    targets = np.where(np.arange(classes) == labels[:, None], 1, -1)
    actual = SquaredErrorLoss(classes)(nd.array(outputs, dtype="float64"), nd.array(labels)).asnumpy()
    assert_close(actual, ((outputs - targets) ** 2).mean(axis=1), terms=classes + 4)


def test_the_loss_is_0_at_the_targets():
    assert SquaredErrorLoss(3)(nd.array([[1, -1, -1], [-1, -1, 1]]), nd.array([0, 2])).asnumpy().tolist() == [0, 0]


@pytest.mark.parametrize("way", [lambda net: net, utils.hybridized], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", EDITIONS)
def test_a_network_is_trained_with_the_loss_for_its_number_of_classes(name, way):
    net, _, _ = ready(name, classes=4)
    loss = objective_of(way(net)).loss()
    assert isinstance(loss, SquaredErrorLoss)
    assert loss.classes == 4


@pytest.mark.parametrize("name", EDITIONS)
def test_training_memorises_a_batch(name):
    net, x, labels = ready(name, batch=10)
    loss = objective_of(net).loss()
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.01})
    history = utils.train([(x, labels)] * 70, [(x, labels)], net, loss, trainer, mx.cpu(), num_epochs=3)
    assert history[-1].train_accuracy > 0.9
    assert history[-1].test_accuracy == 1


@pytest.mark.parametrize("name", EDITIONS)
def test_every_parameter_gets_a_gradient(name):
    net, x, labels = ready(name, batch=4)
    with autograd.record():
        loss = objective_of(net).loss()(net(x), labels)
    loss.backward()
    for parameter in net.collect_params().values():
        gradient = parameter.grad().asnumpy()
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


# --- initial weights and settings

INPUTS = {
    "lenet_1989": {"H1": 25, "H2": 200, "H3": 192, "output": 30},
    "lenet1": {"H1": 25, "H2": 4, "H4": 4, "output": 192},
}


@pytest.mark.parametrize("name", EDITIONS)
def test_weights_start_within_2_4_by_the_inputs_of_their_unit(name):
    net, _, _ = ready(name)
    for label, fan_in in INPUTS[name].items():
        arrays = [parameter.data().asnumpy() for parameter in getattr(net, label).collect_params().values()]
        assert len(arrays) == 2
        for array in arrays:
            share = np.abs(array) * fan_in / 2.4
            # fails by chance with probability (1 / 2)^(number of values), of four at least, in a layer
            assert share.max() <= 1 + 1e-6
            assert array.size < 100 or share.max() > 0.9  # by chance with probability .9^100 = 3e-5


def test_a_feature_map_of_h3_starts_from_the_inputs_that_it_has():
    net, _, _ = ready("lenet1")
    limits = np.array([2.4 / (25 * len(seen)) for seen in H3 for _ in seen])
    share = np.abs(net.H3.weight.data().asnumpy()).max(axis=(1, 2)) / limits
    assert share.max() <= 1 + 1e-6
    assert share.min() > 0.5  # of 25 values each, 20 times: by chance with probability 20 / 2^25


@pytest.mark.parametrize("name", EDITIONS)
def test_pixels_are_between_minus_1_and_1(name):
    settings = published_settings(name)
    assert settings.pixels == ((-1,), (1,))
    assert settings.init == "published"
