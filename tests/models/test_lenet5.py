"""LeNet-5 of 1998: the paper's arithmetic, layers and losses against plain NumPy, initial weights and step sizes."""

import re

from arrays import assert_close, terms_of
from gluon_classics import get_model, model_info, utils
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment import diagonal_lm
from gluon_classics.models import registry
from gluon_classics.models.lenet5 import (
    C3,
    FULL,
    PAPER,
    EuclideanRBF,
    FanInUniform,
    MAPLoss,
    PartialConvolution,
    Squash,
    Subsampling,
    TargetDistanceLoss,
    codes,
    count,
)
from gluon_classics.models.objective import objective_of
import mxnet as mx
from mxnet import autograd, gluon, nd
import numpy as np
import pytest

pytestmark = pytest.mark.numeric

# label: shape out of the layer, trainable parameters, connections, as the paper prints them
PUBLISHED = {
    "C1": ((6, 28, 28), 156, 122_304),
    "S2": ((6, 14, 14), 12, 5_880),
    "C3": ((16, 10, 10), 1_516, 151_600),
    "S4": ((16, 5, 5), 32, 2_000),
    "C5": ((120, 1, 1), 48_120, 48_120),
    "F6": ((84,), 10_164, 10_164),
    "output": ((10,), 0, 840),
}
# table I of the paper, a row for each map of S2: X where the map of C3 sees it
TABLE_I = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""
EDITIONS = ["lenet5", "lenet5_full"]
FACTS = {"lenet5": (60_000, 840), "lenet5_full": (61_750, 0)}  # trained parameters, fixed ones


def ready(name="lenet5", batch=2, classes=10):
    net = get_model(name, classes)
    net.initialize(mx.init.Xavier())
    x = nd.random.normal(shape=(batch, 1, 32, 32))
    net(x)  # completes the deferred shapes
    return net, x, nd.array(np.arange(batch) % classes)


# --- the paper's arithmetic


@pytest.mark.parametrize("label", PUBLISHED)
def test_a_layer_has_the_papers_shape_parameters_and_connections(label):
    row = {row.label: row for row in count(PAPER)}[label]
    assert (row.shape, row.params, row.connections) == PUBLISHED[label]


def test_the_network_has_the_papers_parameters_and_connections():
    rows = count(PAPER)
    assert [row.label for row in rows] == list(PUBLISHED)
    assert (sum(row.params for row in rows), sum(row.connections for row in rows)) == (60_000, 340_908)


def test_the_full_table_has_its_parameters():
    rows = {row.label: row.params for row in count(FULL)}
    assert rows == {"C1": 156, "S2": 12, "C3": 2_416, "S4": 32, "C5": 48_120, "F6": 10_164, "output": 850}


@pytest.mark.parametrize(("name", "table"), [("lenet5", PAPER), ("lenet5_full", FULL)])
def test_the_layers_are_those_that_are_counted(name, table):
    rows = [row for row in utils.summarize(get_model(name), (1, 32, 32)).rows if not row.layer.startswith("Squash")]
    assert [(row.output_shape, row.params) for row in rows] == [(row.shape, row.params) for row in count(table)]


@pytest.mark.parametrize("name", EDITIONS)
def test_the_registry_states_the_facts_of_the_network(name):
    info, summary = registry._infos[name], utils.summarize(get_model(name), (1, 32, 32))
    assert (summary.params, summary.running) == FACTS[name]
    assert (info.params, info.macs, info.input_shape) == (summary.params, summary.macs, (1, 32, 32))


@pytest.mark.parametrize(("name", "macs"), [("lenet5", 325_680), ("lenet5_full", 416_520)])
def test_each_weight_is_multiplied_once_at_each_position(name, macs):
    """The connections of C1, C3, C5, F6 and of a dense output, without those of biases."""
    summary = utils.summarize(get_model(name), (1, 32, 32))
    own = 25 * 6 * 28**2 + 25 * (60 if name == "lenet5" else 96) * 10**2 + 400 * 120 + 120 * 84
    assert summary.macs == own + (0 if name == "lenet5" else 84 * 10) == macs


@pytest.mark.parametrize("name", EDITIONS)
def test_images_must_have_32_pixels_a_side(name):
    with pytest.raises(utils.ClassicsError, match="the smallest it takes is 32x32"):
        utils.summarize(get_model(name), (1, 31, 31))


def test_digits_have_codes_of_7_by_12_pixels_that_differ():
    table = np.array(codes())
    assert table.shape == (10, 84)
    assert set(table.ravel()) == {-1, 1}
    distances = ((table[:, None] - table[None]) ** 2).sum(axis=2)
    assert distances[~np.eye(10, dtype=bool)].min() > 0
    one = table[1].reshape(12, 7)
    assert "".join("#" if pixel > 0 else "." for pixel in one[9]) == ".######"  # its foot


def test_fewer_classes_have_the_first_codes_and_more_are_refused():
    net, x, _ = ready(classes=4)
    assert net(x).shape == (2, 4)
    np.testing.assert_array_equal(net.output.codes.data().asnumpy(), codes()[:4])
    with pytest.raises(ValueError, match=r"codes for 10 classes, not for 11\. Use lenet5_full"):
        get_model("lenet5", 11)
    assert ready("lenet5_full", classes=11)[0](x).shape == (2, 11)


@pytest.mark.parametrize("name", EDITIONS)
def test_images_may_have_other_channels(name):
    assert utils.summarize(get_model(name), (3, 32, 32)).rows[-1].output_shape == (10,)


# --- plain NumPy


def squash(a):
    return 1.7159 * np.tanh(2 * a / 3)


def convolve(x, kernels, bias):
    """Each map of `kernels`, a list of dictionaries from the map that is seen to its kernel."""
    side = x.shape[2] - 4
    out = np.empty((len(x), len(kernels), side, side))
    for number, seen in enumerate(kernels):
        out[:, number] = bias[number]
        for source, kernel in seen.items():
            for row in range(5):
                for column in range(5):
                    out[:, number] += kernel[row, column] * x[:, source, row : row + side, column : column + side]
    return out


def subsample(x, coefficient, bias):
    sums = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
    return sums * coefficient[:, None, None] + bias[:, None, None]


def numpy_lenet5(x, p):
    """`p` has the parameters by the names of the network's parameter file."""
    x = squash(convolve(x, [{0: kernel[0]} for kernel in p["C1.weight"]], p["C1.bias"]))
    x = squash(subsample(x, p["S2.coefficient"], p["S2.bias"]))
    by_map = iter(p["C3.weight"])
    x = squash(convolve(x, [{source: next(by_map) for source in seen} for seen in C3], p["C3.bias"]))
    x = squash(subsample(x, p["S4.coefficient"], p["S4.bias"]))
    x = squash(convolve(x, [dict(enumerate(kernels)) for kernels in p["C5.weight"]], p["C5.bias"]))
    x = squash(x.reshape(len(x), 120) @ p["F6.weight"].T + p["F6.bias"])
    return ((x[:, None] - np.array(codes())) ** 2).sum(axis=2)


def numbers_of(net):
    return {name: p.data().asnumpy().astype(np.float64) for name, p in net._collect_params_with_prefix().items()}


@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize(
    "way", [lambda net: net, utils.hybridized, utils.for_inference], ids=["eager", "compiled", "inference"]
)
def test_the_network_computes_what_the_paper_says(way, batch, rng):
    net, x, _ = ready(batch=batch)
    for parameter in net.collect_params().values():  # larger weights, so that all units matter
        if parameter.grad_req != "null":
            parameter.set_data(nd.array(rng.uniform(-0.3, 0.3, parameter.shape)))
    run = way(net)
    expected = numpy_lenet5(x.asnumpy().astype(np.float64), numbers_of(net))
    for _ in range(2):  # the first call compiles
        assert_close(run(x).asnumpy(), expected, terms_of(net))


def test_c3_is_connected_as_in_table_i():
    table = [[row[number] == "X" for row in TABLE_I.split()] for number in range(16)]
    assert [[source in seen for source in range(6)] for seen in C3] == table


def test_a_map_of_c3_sees_the_maps_of_its_row_only():
    layer = PartialConvolution(C3)
    layer.initialize()
    x = nd.random.normal(shape=(1, 6, 5, 5))
    before = layer(x).asnumpy()
    for source in range(6):
        changed = x.copy()
        changed[:, source] += 1
        sees = (layer(changed).asnumpy() != before).any(axis=(0, 2, 3))
        assert list(sees) == [source in seen for seen in C3]


def test_squashing_leaves_1_and_minus_1_where_they_are():
    x = np.array([-5, -1, -0.5, 0, 1, 2])
    actual = Squash()(nd.array(x)).asnumpy()
    assert_close(actual, squash(x), terms=2)
    np.testing.assert_allclose(actual[[1, 4]], [-1, 1], atol=0.00005)  # A = 1.7159 has four places


def test_subsampling_sums_four_pixels(rng):
    layer = Subsampling(3)
    layer.initialize()
    x = rng.normal(size=(2, 3, 4, 6))
    expected = subsample(x, layer.coefficient.data().asnumpy(), layer.bias.data().asnumpy())
    assert_close(layer(nd.array(x)).asnumpy(), expected, terms=4 + 1)


def test_the_codes_are_not_trained_and_no_initialiser_changes_them():
    layer = EuclideanRBF(10)
    layer.initialize(mx.init.Zero())
    layer.initialize(mx.init.One(), force_reinit=True)
    np.testing.assert_array_equal(layer.codes.data().asnumpy(), codes())
    assert layer.codes.grad_req == "null"


# --- losses


def numpy_map_loss(distances, labels, j):
    target = distances[np.arange(len(labels)), labels]
    return target + np.log(np.exp(-j) + np.exp(-distances).sum(axis=1))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("j", [0.1, 1, 20])
def test_the_map_loss_is_the_papers(j, compiled, rng):
    distances, labels = rng.uniform(0, 10, (6, 10)), np.array([0, 9, 3, 3, 5, 1])
    loss = MAPLoss(j)
    if compiled:
        loss.hybridize()
    actual = loss(nd.array(distances, dtype="float64"), nd.array(labels))  # oneDNN's float32 log is coarse near 1
    assert actual.shape == (6,)
    assert_close(actual.asnumpy(), numpy_map_loss(distances, labels, j), terms=10 + 2)


def test_the_map_loss_holds_far_from_all_codes():
    """exp(-y) is 0 in float32 there; the loss is y_D - j."""
    distances = nd.array([[300.0, 400.0], [500.0, 200.0]])
    assert_close(MAPLoss(1)(distances, nd.array([0, 0])).asnumpy(), [299, 499], terms=2 + 2)


def test_the_plain_loss_is_the_distance_to_the_target(rng):
    distances, labels = rng.uniform(0, 10, (4, 10)), np.array([0, 9, 3, 3])
    actual = TargetDistanceLoss()(nd.array(distances), nd.array(labels)).asnumpy()
    assert_close(actual, distances[np.arange(4), labels], terms=1)


@pytest.mark.parametrize(
    "loss", [MAPLoss(), *(pytest.param(loss, marks=pytest.mark.slow) for loss in (MAPLoss(30), TargetDistanceLoss()))]
)
def test_gradients_are_the_slopes_of_the_loss(loss, rng):
    """A step along the gradient changes the loss, as NumPy computes it, by the gradient's squared length."""
    net, x, labels = ready(batch=3)
    twin = utils.hybridized(net)
    with autograd.record():
        value = loss(twin(x), labels).mean()
    value.backward()
    trained = {k: p for k, p in net._collect_params_with_prefix().items() if p.grad_req != "null"}
    gradients = {name: parameter.grad().asnumpy().astype(np.float64) for name, parameter in trained.items()}
    weights, images, targets = numbers_of(net), x.asnumpy().astype(np.float64), labels.asnumpy().astype(int)

    def numpy_loss(name, step):
        moved = {**weights, name: weights[name] + step * gradients[name]}
        distances = numpy_lenet5(images, moved)
        if isinstance(loss, TargetDistanceLoss):
            return distances[np.arange(len(targets)), targets].mean()
        return numpy_map_loss(distances, targets, loss.j).mean()

    for name, gradient in gradients.items():
        length = (gradient**2).sum()
        assert length > 0, name
        step = 1e-4 / np.sqrt(length)
        slope = (numpy_loss(name, step) - numpy_loss(name, -step)) / (2 * step)
        assert slope == pytest.approx(length, rel=1e-3), name


# --- initial weights


@pytest.mark.parametrize("name", EDITIONS)
def test_weights_start_within_2_4_by_the_inputs_of_their_unit(name):
    net, _, _ = ready(name)
    by_kernel = [25 * len(seen) for seen in C3 for _ in seen]
    c3 = {"weight": by_kernel, "bias": [25 * len(seen) for seen in C3]} if name == "lenet5" else 150
    inputs = {"C1": 25, "S2": 4, "C3": c3, "S4": 4, "C5": 400, "F6": 120}
    if name == "lenet5_full":
        inputs["output"] = 84
    for label, fan_in in inputs.items():
        for kind, parameter in getattr(net, label)._reg_params.items():
            of_rows = np.array(fan_in[kind] if isinstance(fan_in, dict) else fan_in)
            array = parameter.data().asnumpy()
            share = np.abs(array) * of_rows.reshape(-1, *[1] * (array.ndim - 1)) / 2.4
            assert 0.3 < share.max() <= 1 + 1e-6, (label, kind)
            if array.size > 1000:
                # five standard deviations of means of uniform numbers from 0 to 1 and from -1 to 1
                assert share.mean() == pytest.approx(0.5, abs=5 / np.sqrt(12 * array.size))
                assert abs(array.mean()) < 5 / np.sqrt(3 * array.size) * np.abs(array).max()


def test_the_four_inputs_of_a_subsampling_unit_bound_its_coefficient_and_bias():
    """Of many maps: the few of S2 and S4 do not reach the bound."""
    layer = Subsampling(2000)
    layer.initialize()
    for parameter in (layer.coefficient, layer.bias):
        # fails by chance with probability 2 e^-15, for two parameters
        assert np.abs(parameter.data().asnumpy()).max() == pytest.approx(2.4 / 4, rel=15 / 2000)


def test_rows_may_have_their_own_number_of_inputs():
    array = nd.zeros((2, 1000))
    FanInUniform([4, 400])._init_weight("weight", array)
    # fails by chance with probability 2 e^-15
    assert np.abs(array.asnumpy()).max(axis=1) == pytest.approx([0.6, 0.006], rel=15 / 1000)


# --- what the network says of itself


def test_the_smallest_distance_has_the_best_score():
    net, x, _ = ready(batch=5)
    scores = objective_of(net).scores(net(x))
    np.testing.assert_array_equal(scores.argmax(axis=1).asnumpy(), net(x).argmin(axis=1).asnumpy())
    assert isinstance(objective_of(net).loss(), MAPLoss)


def test_evaluation_counts_the_smallest_distance():
    net, x, _ = ready(batch=20)
    answers = net(x).argmin(axis=1)
    labels = nd.concat(answers[:15], (answers[15:] + 1) % 10, dim=0)
    assert utils.evaluate_accuracy([(x, labels)], net) == 0.75
    assert utils.evaluate_accuracy([(x, labels)], utils.hybridized(net)) == 0.75


def test_training_memorises_a_batch_and_counts_the_smallest_distance():
    net, x, labels = ready(batch=10)
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.003})
    history = utils.train([(x, labels)] * 70, [(x, labels)], net, MAPLoss(), trainer, mx.cpu(), num_epochs=3)
    assert history[-1].train_accuracy > 0.9
    assert history[-1].test_accuracy == 1


# --- step sizes


def numpy_curvatures(x, p, at_output):
    """Appendix C by hand, for the last two layers: squared weights, inputs and slopes, added up over connections."""
    a = squash(convolve(x, [{0: kernel[0]} for kernel in p["C1.weight"]], p["C1.bias"]))
    a = squash(subsample(a, p["S2.coefficient"], p["S2.bias"]))
    by_map = iter(p["C3.weight"])
    a = squash(convolve(a, [{source: next(by_map) for source in seen} for seen in C3], p["C3.bias"]))
    s4 = squash(subsample(a, p["S4.coefficient"], p["S4.bias"]))
    sums_c5 = convolve(s4, [dict(enumerate(kernels)) for kernels in p["C5.weight"]], p["C5.bias"]).reshape(len(x), 120)
    sums_f6 = squash(sums_c5) @ p["F6.weight"].T + p["F6.bias"]

    def slope(sums):
        return 1.7159 * 2 / 3 * (1 - np.tanh(2 * sums / 3) ** 2)

    f6 = slope(sums_f6) ** 2 * at_output(squash(sums_f6))
    c5 = slope(sums_c5) ** 2 * (f6 @ p["F6.weight"] ** 2)
    return {
        "F6.weight": (f6.T @ squash(sums_c5) ** 2) / len(x),
        "F6.bias": f6.mean(axis=0),
        "C5.weight": (c5.T @ s4.reshape(len(x), 400) ** 2).reshape(120, 16, 5, 5) / len(x),
        "C5.bias": c5.mean(axis=0),
    }


def curvatures(net, loss, x):
    names = {parameter.name: name for name, parameter in net._collect_params_with_prefix().items()}
    return {names[name]: value.asnumpy() for name, value in diagonal_lm.curvatures(net, loss, x).items()}


def test_curvatures_are_propagated_as_in_appendix_c(rng):
    net, x, _ = ready(batch=4)
    before = numbers_of(net)
    actual = curvatures(net, TargetDistanceLoss(), x)
    assert len(actual) == 12
    for name, expected in numpy_curvatures(x.asnumpy().astype(np.float64), before, lambda _: 2.0).items():
        assert_close(actual[name], expected, terms_of(net))
    for name, value in numbers_of(net).items():  # the weights are as they were
        np.testing.assert_array_equal(value, before[name])


def test_curvatures_of_shared_weights_add_up_over_their_connections(rng):
    """One image, one pass by hand through S4: each unit of a map adds its own squared inputs and signal."""
    net, x, _ = ready(batch=1)
    p, images = numbers_of(net), x.asnumpy().astype(np.float64)
    actual = curvatures(net, TargetDistanceLoss(), x)
    a = squash(convolve(images, [{0: kernel[0]} for kernel in p["C1.weight"]], p["C1.bias"]))
    a = squash(subsample(a, p["S2.coefficient"], p["S2.bias"]))
    by_map = iter(p["C3.weight"])
    c3 = squash(convolve(a, [{source: next(by_map) for source in seen} for seen in C3], p["C3.bias"]))
    sums = subsample(c3, p["S4.coefficient"], p["S4.bias"])
    # C5's own bias has the signal that arrives at its units
    at_s4 = np.einsum("m,mcij->cij", actual["C5.bias"], p["C5.weight"] ** 2)
    signal = (1.7159 * 2 / 3 * (1 - np.tanh(2 * sums[0] / 3) ** 2)) ** 2 * at_s4
    squares = subsample(c3**2, np.ones(16), np.zeros(16))[0]
    assert_close(actual["S4.bias"], signal.sum(axis=(1, 2)), terms_of(net))
    assert_close(actual["S4.coefficient"], (signal * squares).sum(axis=(1, 2)), terms_of(net))


@pytest.mark.parametrize("j", [0.5, 84, 90])
def test_the_curvature_of_the_map_loss_at_its_input_is_exact(j, rng):
    """Against differences of the loss, computed in float64."""
    table = np.array(codes(), dtype=np.float64)
    states = rng.uniform(-0.2, 0.2, (2, 84))
    actual = diagonal_lm._output_curvature(MAPLoss(j), nd.array(states), nd.array(table)).asnumpy()

    def loss(x):
        return numpy_map_loss(((x[:, None] - table) ** 2).sum(axis=2), np.array([3, 7]), j)

    for unit in (0, 17, 83):
        step = np.zeros(84)
        step[unit] = 1e-3
        expected = (loss(states + step) - 2 * loss(states) + loss(states - step)) / 1e-6
        np.testing.assert_allclose(actual[:, unit], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_step_is_the_gradient_by_the_curvature_plus_the_documented_mu(decay):
    (mu,) = re.findall(r"step size \(here: (\.[0-9]+)\)", " ".join(model_info("lenet5").not_done))
    net, x, labels = ready(batch=4)
    loss = MAPLoss()
    options = {"learning_rate": 0.3, "wd": decay}
    trainer = gluon.Trainer(list(net.collect_params().values()), "diagonallm", options)
    trainer.optimizer.estimate(net, loss, x)
    h, before = curvatures(net, loss, x), numbers_of(net)
    with autograd.record():
        value = loss(net(x), labels)
    value.backward()
    trainer.step(4)
    after = numbers_of(net)
    for name, parameter in net._collect_params_with_prefix().items():
        if parameter.grad_req == "null":
            np.testing.assert_array_equal(after[name], before[name])
        else:
            gradient = parameter.grad().asnumpy().astype(np.float64) / 4
            expected = before[name] - 0.3 * (gradient / (float(mu) + h[name]) + decay * before[name])
            assert_close(parameter.data().asnumpy(), expected, terms=11)  # six operations, five constants


def test_step_sizes_are_for_lenet5_only():
    with pytest.raises(ClassicsError, match="can be estimated for lenet5 only"):
        diagonal_lm.curvatures(get_model("lenet5_full"), MAPLoss(), nd.zeros((1, 1, 32, 32)))
