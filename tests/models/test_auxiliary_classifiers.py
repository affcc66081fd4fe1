"""The paper's GoogLeNet with its auxiliary classifiers."""

from arrays import assert_close, numbers, terms_of
from gluon_classics import utils
from gluon_classics.experiment import parameter_files
from gluon_classics.inspection import summary as counting
from gluon_classics.models.googlenet import AuxiliaryLoss, googlenet_v1
from gluon_classics.models.objective import objective_of
import mxnet as mx
from mxnet import autograd, nd
import numpy as np
import pytest

pytestmark = pytest.mark.numeric

AUXILIARY_SIDE = 80  # 5x5 maps reach the auxiliary classifiers


@pytest.fixture(scope="module")
def with_auxiliary():
    """The network with Xavier's weights, and images and labels for it."""
    net = googlenet_v1(classes=10, auxiliary=True)
    net.initialize(mx.init.Xavier())
    x = nd.random.normal(shape=(2, 3, AUXILIARY_SIDE, AUXILIARY_SIDE))
    net.training(x)  # completes the deferred shapes
    return net, x, nd.arange(2)


def test_auxiliary_classifiers_bring_the_published_number_of_parameters():
    summary = utils.summarize(googlenet_v1(auxiliary=True), (3, 224, 224))
    assert (summary.params, summary.running) == (13_378_280, 0)
    assert [(row.path, row.output_shape) for row in summary.rows if row.depth == 0][-3:] == [
        *(("linear", (1000,)), ("auxiliary_4a", (1000,)), ("auxiliary_4d", (1000,))),
    ]


def test_images_too_small_for_the_auxiliary_classifiers_are_refused():
    """Their 5x5 pools need 5x5 maps, behind four halvings that round up: 5 <- 10 <- 20 <- 40 <- 79."""
    net = googlenet_v1(auxiliary=True)
    assert counting.smallest_input(net, 3) == 79
    with pytest.raises(utils.ClassicsError, match="cannot take 78x78 images: the smallest it takes is 79x79"):
        utils.summarize(net, (3, 78, 78))


def test_auxiliary_classifiers_stand_behind_4a_and_4d():
    """Their input has the 512 and 528 channels of these blocks, at 14x14."""
    net = googlenet_v1(auxiliary=True)
    seen = []
    for block in (net.training.inception_4a, net.training.inception_4d):
        block.register_forward_hook(lambda _block, _inputs, output: seen.append(output.name))
    heads = [net.auxiliary_4a, net.auxiliary_4d]
    fed = []
    for head in heads:
        head.register_forward_pre_hook(lambda _block, inputs: fed.append(inputs[0].name))
    with autograd.train_mode():
        net(mx.sym.var("data"))
    assert fed == seen
    for head, channels, params in ((heads[0], 512, 3_188_840), (heads[1], 528, 3_190_888)):
        summary = utils.summarize(head, (channels, 14, 14))
        assert summary.params == params
        assert summary.rows[0].output_shape == (channels, 4, 4)
        assert [row.layer for row in summary.rows] == [
            *("AvgPool2D 5x5 /3", "Conv2D 128 @1x1 relu", "Flatten"),
            *("Dense 1024 relu", "Dropout 0.7", "Dense 1000"),
        ]


def test_the_compiled_network_with_auxiliary_classifiers_computes_the_same(with_auxiliary):
    net, x, _ = with_auxiliary
    outputs, twins = net.training(x), utils.hybridized(net).training
    for _ in range(2):  # the first call compiles
        for own, other in zip(outputs, twins(x)):
            assert other.shape == (2, 10)
            assert_close(other.asnumpy(), own.asnumpy(), terms_of(net))


@pytest.mark.parametrize("first", [True, False], ids=["training first", "prediction first"])
@pytest.mark.parametrize(
    "way", [lambda net: net, utils.hybridized, utils.for_inference], ids=["eager", "compiled", "inference"]
)
def test_auxiliary_classifiers_vanish_in_prediction(with_auxiliary, way, first):
    """Whichever mode a graph was compiled in first."""
    net, x, _ = with_auxiliary
    run = way(net)
    expected = net.prediction(x).asnumpy()
    for training in (first, not first, first):
        if training:
            with autograd.record():
                assert [output.shape for output in run(x)] == [(2, 10)] * 3
        else:
            assert_close(run(x).asnumpy(), expected, terms_of(net))
    with pytest.warns(RuntimeWarning, match="max pooling"), autograd.record(train_mode=False):
        assert run(x).shape == (2, 10)


def test_auxiliary_classifiers_are_not_computed_in_prediction(with_auxiliary, monkeypatch):
    net, x, _ = with_auxiliary
    monkeypatch.setattr(net.auxiliary_4a, "forward", None)
    assert net(x).shape == (2, 10)
    names = net.prediction(mx.sym.var("data")).list_arguments()
    assert not set(names) & set(net.auxiliary_4a.collect_params())


def test_the_network_with_auxiliary_classifiers_is_trained_on_their_losses_and_judged_by_its_own_logits(
    with_auxiliary,
):
    net, x, labels = with_auxiliary
    for network in (net, utils.hybridized(net), utils.for_inference(net)):
        assert isinstance(objective_of(network).loss(), AuxiliaryLoss)
    right = float((net(x).argmax(axis=1) == labels).mean().asscalar())
    assert utils.evaluate_accuracy([(x, labels)], net) == right


def test_files_of_a_compiled_network_with_auxiliary_classifiers_interchange(with_auxiliary, tmp_path):
    net, _, _ = with_auxiliary
    for name, network in (("own", net), ("twin", utils.hybridized(net))):
        network.save_parameters(str(tmp_path / name))
    own, twin = (mx.nd.load(str(tmp_path / name)) for name in ("own", "twin"))
    assert set(own) == set(twin)


def test_a_file_with_auxiliary_classifiers_serves_the_network_that_predicts(with_auxiliary, tmp_path):
    net, x, _ = with_auxiliary
    net.save_parameters(str(tmp_path / "with"))
    plain = googlenet_v1(classes=10)
    parameter_files.load_parameters(plain, tmp_path / "with", [mx.cpu()], x.shape[1:])
    np.testing.assert_array_equal(plain(x).asnumpy(), net(x).asnumpy())
    plain.save_parameters(str(tmp_path / "without"))
    back = googlenet_v1(classes=10, auxiliary=True)
    with pytest.raises(utils.ClassicsError, match=r"Auxiliary .*; it lacks auxiliary_4a\.conv\.bias and 11 more"):
        parameter_files.load_parameters(back, tmp_path / "without", [mx.cpu()], x.shape[1:])


def test_the_network_predicts_alike_with_and_without_auxiliary_classifiers(with_auxiliary, tmp_path):
    net, x, _ = with_auxiliary
    file = str(tmp_path / "with.params")
    net.save_parameters(file)
    plain = googlenet_v1(classes=10)
    plain.load_parameters(file, ignore_extra=True)
    np.testing.assert_array_equal(plain(x).asnumpy(), net(x).asnumpy())

    names = set(mx.nd.load(file))
    plain.save_parameters(file)
    extra = names - set(mx.nd.load(file))
    assert {name.partition(".")[0] for name in extra} == {"auxiliary_4a", "auxiliary_4d"}
    back = googlenet_v1(classes=10, auxiliary=True)
    back.initialize()
    back.load_parameters(file, allow_missing=True)
    np.testing.assert_array_equal(back(x).asnumpy(), plain(x).asnumpy())


def cross_entropy(logits, labels):
    """Return the loss of each example. Compare in float64: oneDNN's float32 logarithm is coarse near 1."""
    logits = logits.astype(np.float64)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_auxiliary_losses_count_three_tenths(compiled, rng):
    outputs, labels = [numbers(rng, 4, 5) for _ in range(3)], np.array([0, 4, 2, 2])
    main, *auxiliary = (cross_entropy(output, labels) for output in outputs)
    loss = AuxiliaryLoss()
    if compiled:
        loss.hybridize()
    actual = loss(tuple(nd.array(output, dtype="float64") for output in outputs), nd.array(labels))
    assert_close(actual.asnumpy(), main + 0.3 * (auxiliary[0] + auxiliary[1]), terms=3 * 5)


def test_logits_alone_have_their_cross_entropy(rng):
    logits, labels = numbers(rng, 4, 5), np.array([0, 4, 2, 2])
    loss = AuxiliaryLoss()(nd.array(logits, dtype="float64"), nd.array(labels))
    assert_close(loss.asnumpy(), cross_entropy(logits, labels), terms=5)


def test_the_auxiliary_loss_trains_all_of_the_network(with_auxiliary):
    net, x, labels = with_auxiliary
    twin, loss = utils.hybridized(net), AuxiliaryLoss()
    with autograd.record():
        losses = loss(twin(x), labels)
    losses.backward()
    assert losses.shape == (2,)
    for parameter in net.collect_params().values():
        gradient = parameter.grad().asnumpy()
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0, parameter.name
