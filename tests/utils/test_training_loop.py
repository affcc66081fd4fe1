"""The training loop and the evaluation, on synthetic images."""

import re

from gluon_classics import AlexNet, LeNet, ResNet, VGGNet, utils
from gluon_classics.errors import ClassicsError, DataError, TrainingDiverged
from gluon_classics.models.googlenet import Inception
from gluon_classics.models.nin import mlpconv
from gluon_classics.models.resnet import Residual
from gluon_classics.utils.training import TrainingLoop
import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
HALF = np.sqrt(np.finfo(np.float64).eps)  # several updates in float64 leave half of the digits right


def layers(*blocks):
    net = nn.Sequential()
    net.add(*blocks)
    return net


def softmax_regression(classes=3):
    return layers(nn.Flatten(), nn.Dense(classes))


def trainer_of(net, rate=0.1, optimizer="sgd", **options):
    return gluon.Trainer(net.collect_params(), optimizer, {"learning_rate": rate, **options})


def batches(images, labels, *sizes):
    """Split the examples into batches of these sizes."""
    ends = np.cumsum(sizes)
    assert ends[-1] == len(images)
    return [(nd.array(images[end - size : end]), nd.array(labels[end - size : end])) for size, end in zip(sizes, ends)]


def doubles(data):
    """Convert the images to float64: rounding is too small there to change a ReLU, a pool or the comparison."""
    return [(images.astype("float64"), labels) for images, labels in data]


def values(net, ctx=None):
    return [p.data(ctx).asnumpy() for p in net.collect_params().values()]


@pytest.fixture
def examples(rng):
    """Return 11 random images and labels 0 to 2."""
    return rng.randn(11, 1, 12, 12).astype(np.float32), rng.randint(0, 3, 11).astype(np.float32)


# --- memorizing


FAMILIES = {
    # a small member of each family, side of its images, number of images, epochs, learning rate
    "lenet": (LeNet, 12, 6, 20, 0.01),
    "alexnet": (AlexNet, 67, 2, 30, 0.0001),  # there is no smaller AlexNet
    "vgg": (lambda: VGGNet(architecture=((1, 8), (1, 16))), 8, 6, 15, 0.0003),
    "nin": (
        lambda: layers(
            mlpconv(32, kernel_size=3, padding=1),
            mlpconv(32, kernel_size=3, padding=1, max_pooling=False),
            nn.GlobalAvgPool2D(),
            nn.Dense(10),  # instead of NiN's last block, whose last ReLU sometimes outputs 0 for a class forever
        ),
        *(12, 6, 40, 0.005),
    ),
    "googlenet": (
        lambda: layers(
            nn.Conv2D(8, kernel_size=3, activation="relu"),
            Inception(8, 8, 8, 8, 8, 8),
            nn.MaxPool2D(pool_size=3, strides=2),
            Inception(8, 8, 8, 8, 8, 8),
            nn.Dense(10),
        ),
        *(12, 6, 30, 0.005),
    ),
    "resnet": (
        lambda: layers(
            nn.Conv2D(8, kernel_size=3), Residual(8), Residual(16, halve=True), nn.AvgPool2D(3), nn.Dense(10)
        ),
        *(12, 6, 30, 0.01),
    ),
}


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[pytest.mark.slow] * (name == "alexnet")) for name in FAMILIES]
)
def test_every_family_memorizes_a_batch_of_random_images(family, rng):
    build, side, count, epochs, rate = FAMILIES[family]
    # blocks of a few pixels, because pooling layers would average out pixel noise
    images = np.kron(2 * rng.randn(count, 1, 4, 4), np.ones((1, 1, side // 4 + 1, side // 4 + 1)))[..., :side, :side]
    batch = batches(images, np.arange(count), count)
    net = build()
    net.initialize(mx.init.Xavier())
    history = utils.train(batch, batch, net, LOSS, trainer_of(net, rate, "adam"), mx.cpu(), epochs)
    assert len(history) == epochs
    assert history[-1].test_accuracy == 1.0
    assert history[-1].train_loss < history[0].train_loss / 3


# --- printed lines and returned metrics

NUMBER = r"\d+\.\d{6}"
EPOCH_LINE = re.compile(
    r"Epoch (\d+)\. Loss: (\d+\.\d{3}), Train acc (\d\.\d\d), Test acc (\d\.\d\d), Time (\d+\.\d) sec"
)
BATCH_LINE = re.compile(rf"Batch (\d+)\. Loss: ({NUMBER}), Train acc ({NUMBER})")


def test_each_epoch_prints_the_blogs_line(examples, capsys):
    net = LeNet(3)
    net.initialize()
    history = utils.train(
        batches(*examples, 4, 4, 3), batches(*examples, 11), net, LOSS, trainer_of(net), mx.cpu(), num_epochs=3
    )
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "Start training on  cpu(0)"
    assert len(lines) == len(history) == 3
    for line, result in zip(lines, history):
        assert EPOCH_LINE.fullmatch(line).groups() == (
            str(result.epoch),
            f"{result.train_loss:.3f}",
            f"{result.train_accuracy:.2f}",
            f"{result.test_accuracy:.2f}",
            f"{result.seconds:.1f}",
        )
    assert [result.epoch for result in history] == [0, 1, 2]
    assert all(result.seconds > 0 and result.images_per_second > 11 / result.seconds for result in history)


def test_print_batches_prints_the_blogs_line_of_a_batch(examples, capsys):
    """Each line has the number of examples so far and the means over them. The last one covers the epoch."""
    net = LeNet(3)
    net.initialize()
    history = utils.train(
        *(batches(*examples, 2, 2, 2, 2, 2, 1), batches(*examples, 11), net, LOSS, trainer_of(net)),
        *([mx.cpu(0)], 2),
        print_batches=2,
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * (3 + 1)
    for epoch, result in enumerate(history):
        *progress, last = lines[1 + 4 * epoch : 5 + 4 * epoch]
        assert EPOCH_LINE.fullmatch(last)
        found = [BATCH_LINE.fullmatch(line).groups() for line in progress]
        assert [int(examples) for examples, _, _ in found] == [4, 8, 11]
        assert found[-1][1:] == (f"{result.train_loss:f}", f"{result.train_accuracy:f}")
        assert len({loss for _, loss, _ in found}) == 3


def test_contexts_are_printed_as_they_are_given(examples, capsys):
    net = softmax_regression()
    net.initialize(ctx=[mx.cpu(0), mx.cpu(1)])
    whole = batches(*examples, 11)
    utils.train(whole, whole, net, LOSS, trainer_of(net), [mx.cpu(0), mx.cpu(1)], 1)
    assert capsys.readouterr().out.splitlines()[0] == "Start training on  [cpu(0), cpu(1)]"


# --- data iterators of mx.io


def iterator_of(examples, batch_size, **options):
    images, labels = examples
    return mx.io.NDArrayIter(np.float32(images), np.float32(labels), batch_size, **options)


def test_an_iterator_of_mx_io_trains_as_the_same_batches(examples):
    """11 examples in batches of 4: the iterator fills its last batch up with the first example."""
    histories = []
    for make in (lambda: batches(*examples, 4, 4, 3), lambda: iterator_of(examples, 4)):
        mx.random.seed(1)
        net = softmax_regression()
        net.initialize()
        histories.append(utils.train(make(), make(), net, LOSS, trainer_of(net), mx.cpu(), 3))
    pairs, iterators = ([(row.train_loss, row.test_accuracy) for row in history] for history in histories)
    assert iterators == pairs
    assert len({loss for loss, _ in iterators}) == 3  # the iterator was reset


def test_an_exhausted_iterator_is_evaluated_from_its_start(examples):
    net = softmax_regression()
    net.initialize()
    data = iterator_of(examples, 4)
    expected = utils.evaluate_accuracy(batches(*examples, 11), net)
    assert [utils.evaluate_accuracy(data, net) for _ in range(2)] == [expected] * 2


@pytest.mark.parametrize("contexts", [mx.cpu(0), [mx.cpu(0), mx.cpu(1)]], ids=["one", "two"])
def test_get_batch_splits_a_pair_or_a_batch_of_an_iterator(contexts, examples):
    images, labels = examples
    data = iterator_of(examples, 8)
    data.next()
    count = 1 if isinstance(contexts, mx.Context) else 2
    for batch, size in (((nd.array(images), nd.array(labels)), 11), (data.next(), 3)):
        xs, ys, found = utils._get_batch(batch, contexts)
        assert found == size
        assert [x.context for x in xs] == [y.context for y in ys] == [mx.cpu(0), mx.cpu(1)][:count]
        np.testing.assert_array_equal(np.concatenate([x.asnumpy() for x in xs]), np.float32(images[-size:]))
        np.testing.assert_array_equal(np.concatenate([y.asnumpy() for y in ys]), labels[-size:])


# --- metrics


def log_likelihoods(net, images):
    """Return the log-probabilities, (N, classes), computed by NumPy from the network's outputs."""
    outputs = net(nd.array(images, dtype="float64")).asnumpy()
    return outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))


def test_training_metrics_are_means_over_all_examples(examples):
    """With a learning rate of 0 they are those of the initial network, for batches of any size."""
    images, labels = examples
    net = LeNet(3)
    net.initialize(mx.init.Xavier())
    net.cast("float64")
    logs = log_likelihoods(net, images)
    data = doubles(batches(*examples, 5, 5, 1)), doubles(batches(*examples, 11))
    [result] = utils.train(*data, net, LOSS, trainer_of(net, 0), mx.cpu(), 1)
    assert result.train_loss == pytest.approx(-logs[np.arange(11), labels.astype(int)].mean(), rel=HALF)
    assert result.train_accuracy == pytest.approx((logs.argmax(axis=1) == labels).mean())
    assert result.test_accuracy == pytest.approx(result.train_accuracy)


def test_each_batch_is_measured_before_its_update(examples):
    images, labels = examples
    whole = doubles(batches(*examples, 11))
    net = softmax_regression()
    net.initialize(mx.init.Normal(0.1))
    net.cast("float64")
    logs = log_likelihoods(net, images)
    first, second = utils.train(whole, whole, net, LOSS, trainer_of(net, 0.1), mx.cpu(), 2)
    assert first.train_loss == pytest.approx(-logs[np.arange(11), labels.astype(int)].mean(), rel=HALF)
    assert first.train_accuracy == pytest.approx((logs.argmax(axis=1) == labels).mean())
    # the test accuracy, on the same images, is measured after the update, before the next epoch
    assert second.train_loss < 0.7 * first.train_loss
    assert second.train_accuracy == pytest.approx(first.test_accuracy)


def test_training_uses_training_mode_and_evaluation_does_not(examples):
    """With strong dropout, the training loss differs in each epoch, and the test accuracy does not."""
    images, _ = examples
    net = layers(nn.Flatten(), nn.Dropout(0.9), nn.Dense(3))
    net.initialize(mx.init.Normal(1))
    net.cast("float64")
    logs = log_likelihoods(net, images)
    certain = doubles(batches(images, logs.argmax(axis=1), 11))
    results = utils.train(certain, certain, net, LOSS, trainer_of(net, 0), mx.cpu(), 3)
    assert len({result.train_loss for result in results}) == 3
    assert [result.test_accuracy for result in results] == [1.0, 1.0, 1.0]


# --- the update


@pytest.mark.parametrize("step_size", [None, 8])
def test_an_update_is_the_mean_over_its_batch(step_size, examples):
    """Equal to softmax regression in NumPy, with a batch of 8 examples and one of 3.

    The sum of the gradients is divided by the number of examples in the batch, or by the step size if it is given.
    """
    images, labels = examples
    net = softmax_regression()
    net.initialize(mx.init.Normal(0.1))
    net.cast("float64")
    net(nd.array(images, dtype="float64"))
    weight, bias = values(net)
    flat, one_hot = images.reshape(11, -1).astype(np.float64), np.eye(3)[labels.astype(int)]
    for part in (slice(0, 8), slice(8, 11)):
        outputs = flat[part] @ weight.T + bias
        error = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True) - one_hot[part]
        weight = weight - 0.5 * error.T @ flat[part] / (step_size or len(error))
        bias = bias - 0.5 * error.sum(axis=0) / (step_size or len(error))

    data = doubles(batches(*examples, 8, 3)), doubles(batches(*examples, 11))
    TrainingLoop(net, LOSS, trainer_of(net, 0.5), mx.cpu(), step_size=step_size).run(*data, 1)
    for value, by_hand in zip(values(net), (weight, bias)):
        # MXNet rounds the step, by a third of the sum, to float32
        np.testing.assert_allclose(value, by_hand, rtol=0, atol=2**-24 * np.abs(by_hand).max())


def trained(seed):
    """Return the parameters of a tiny VGG with dropout after training on shuffled random images."""
    utils.seed_everything(seed)
    images = np.random.RandomState(0).randint(0, 256, (11, 8, 8, 1)).astype(np.uint8)

    class Data:
        def __getitem__(self, index):
            return images[index], np.arange(11)[index]

    def pixels(images, labels):
        return images.astype("float32").transpose((0, 3, 1, 2)) / 255, labels

    net = VGGNet(((1, 4), (1, 8)), classes=11)
    net.initialize(mx.init.Xavier())
    data = utils.DataLoader(Data(), 4, True, pixels)
    utils.train(data, data, net, LOSS, trainer_of(net, 0.1, momentum=0.9), mx.cpu(), 2)
    return values(net)


def test_training_with_the_same_seed_is_bit_identical():
    first, second, other = trained(1), trained(1), trained(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other) if a.ndim > 1)


@pytest.mark.parametrize(
    "sizes",
    [
        (8, 3),  # 4 + 4, then 2 + 1
        (5, 5, 1),  # the last batch uses one context only
        (1,) * 11,
    ],
)
def test_training_on_two_contexts_equals_training_on_one(sizes, examples, tmp_path):
    data = doubles(batches(*examples, *sizes))
    start = LeNet(3)
    start.initialize(mx.init.Xavier())
    start.cast("float64")
    start(data[0][0])
    start.save_parameters(str(tmp_path / "start.params"))

    def train_on(contexts):
        net = LeNet(3)
        net.cast("float64")
        net.load_parameters(str(tmp_path / "start.params"), ctx=contexts)
        history = utils.train(data, data, net, LOSS, trainer_of(net, 0.05, momentum=0.9), contexts, 3)
        return net, history

    contexts = [mx.cpu(0), mx.cpu(1)]
    one, history_of_one = train_on([mx.cpu(0)])
    two, history_of_two = train_on(contexts)
    for alone, *copies in zip(values(one, mx.cpu(0)), *(values(two, ctx) for ctx in contexts)):
        np.testing.assert_array_equal(*copies)
        np.testing.assert_allclose(copies[0], alone, rtol=0, atol=HALF * np.abs(alone).max())
    assert [r.train_loss for r in history_of_two] == pytest.approx([r.train_loss for r in history_of_one], rel=HALF)
    moved = [np.abs(a - b).max() for a, b in zip(values(one), values(start))]
    assert min(moved) > 1e-3


def test_a_hybridized_network_is_trained_and_stays_hybridized(examples):
    net = nn.HybridSequential()
    net.add(nn.Flatten(), nn.Dense(3))
    net.initialize()
    net.hybridize()
    whole = batches(*examples, 11)
    history = utils.train(whole, whole, net, LOSS, trainer_of(net, 0.1), mx.cpu(), 20)
    assert history[-1].train_loss < history[0].train_loss
    assert net._active


class OwnForward(nn.Block):
    """A block that reads values in its forward pass and can therefore only run eagerly."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.dense = nn.Dense(3)

    def forward(self, x):
        return self.dense(x if x.max().asscalar() > 0 else -x)


@pytest.mark.parametrize("wrap", [lambda block: block, layers], ids=["itself", "in-a-sequence"])
def test_a_block_with_its_own_forward_is_trained_eagerly_with_a_warning(wrap, examples):
    net = wrap(OwnForward())
    net.initialize()
    whole = batches(*examples, 11)
    with pytest.warns(RuntimeWarning, match="running eagerly: OwnForward cannot be compiled") as warnings:
        history = utils.train(whole, whole, net, LOSS, trainer_of(net), mx.cpu(), 10)
    assert len(warnings) == 1
    assert history[-1].train_loss < history[0].train_loss
    with pytest.warns(RuntimeWarning, match="running eagerly"):
        assert utils.evaluate_accuracy(whole, net) == history[-1].test_accuracy


def test_a_verbose_network_is_trained_without_a_warning(rng):
    net = ResNet(10, verbose=True)
    net.initialize(mx.init.Xavier())
    one = batches(rng.randn(1, 1, 75, 75), np.zeros(1), 1)
    assert len(utils.train(one, one, net, LOSS, trainer_of(net), mx.cpu(), 1)) == 1


# --- errors


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("number", [3, 7])  # in the first and in a later batch
def test_an_image_that_is_not_finite_is_named_as_the_cause(value, number, examples):
    """Also with a network whose ReLU turns NaN into 0, and finds the other images by their own losses."""
    images, labels = examples
    images[number] = value
    data = batches(images, labels, 4, 4, 3)
    for net in (softmax_regression(), layers(nn.Conv2D(2, 3, activation="relu"), nn.Dense(3))):
        net.initialize()
        message = f"^batch {number // 4}, counted from 0, has images that are infinite or not a number"
        with pytest.raises(DataError, match=message):
            utils.train(data, [], net, LOSS, trainer_of(net), mx.cpu(), 1)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_parameter_that_is_not_finite_before_training_is_named_as_the_cause(value, examples):
    net = layers(nn.Dense(4, activation="relu", in_units=144), nn.Dense(3, in_units=4))
    net.initialize()
    net[0].weight.data()[2, 5] = value
    before = values(net)
    whole = batches(*examples, 11)
    with pytest.raises(ClassicsError, match=f"^parameter {net[0].weight.name} is infinite or not a number"):
        utils.train(whole, [], net, LOSS, trainer_of(net), mx.cpu(), 1)
    with pytest.raises(ClassicsError, match=f"^parameter {net[0].weight.name} is infinite or not a number"):
        utils.evaluate_accuracy(whole, net)
    for old, new in zip(before, values(net)):
        np.testing.assert_array_equal(old, new)


def test_a_loss_that_is_infinite_before_any_update_is_not_blamed_on_the_learning_rate(examples):
    net = softmax_regression()
    net.initialize(mx.init.Constant(3e38))
    whole = batches(*examples, 11)
    with pytest.raises(TrainingDiverged, match=r"^the loss of the first batch is infinite") as error:
        utils.train(whole, [], net, LOSS, trainer_of(net), mx.cpu(), 1)
    assert "learning rate" not in str(error.value)


class RootOfZero(gluon.loss.Loss):
    """A finite loss whose gradient is not a number: the derivative of a square root at 0, times 0."""

    def __init__(self):
        super().__init__(weight=None, batch_axis=0)

    def hybrid_forward(self, F, x, labels):
        return F.sqrt((0 * x).square().sum(axis=1)) + LOSS(x, labels)


def test_a_gradient_that_is_not_finite_is_not_blamed_on_the_learning_rate(examples):
    net = softmax_regression()
    net.initialize()
    whole = batches(*examples, 11)
    message = r"^the gradient of \w+ is infinite or not a number in the first batch, but the loss is finite"
    with pytest.raises(TrainingDiverged, match=message) as error:
        utils.train(whole, [], net, RootOfZero(), trainer_of(net), mx.cpu(), 1)
    assert "learning rate" not in str(error.value)


def test_a_loss_that_had_not_risen_is_not_blamed_on_the_learning_rate_alone(examples):
    net = softmax_regression()
    net.initialize()
    calls = []

    def loss(outputs, labels):
        calls.append(1)
        return LOSS(outputs, labels) / (1 if len(calls) < 5 else 0)

    same = 6 * batches(*examples, 11)
    with pytest.raises(TrainingDiverged, match=r"below 0\.1, or check the gradient of the loss"):
        utils.train(same, [], net, loss, trainer_of(net), mx.cpu(), 1)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda x, y: LOSS(x, y).mean(), "one value for 11 examples: return one per example"),
        (lambda x, y: LOSS(x, y).sum(), "one value for 11 examples: return one per example"),
        (lambda x, y: LOSS(x, y).expand_dims(1), r"an array of shape \(11, 1\) for 11 examples"),
        (lambda x, y: x.log_softmax(), r"an array of shape \(11, 3\) for 11 examples"),
        (lambda x, y: [LOSS(x, y)], "list for 11 examples"),
        (lambda x, y: None, "NoneType for 11 examples"),
        (lambda x, y: LOSS(x, y).mean().asscalar(), "numpy.float32 for 11 examples"),
    ],
)
def test_a_loss_that_does_not_return_one_value_per_example_is_an_error_before_any_update(loss, message, examples):
    """A mean would be divided by the batch size once more in the update, without a word."""
    net = softmax_regression()
    net.initialize()
    whole = batches(*examples, 11)
    utils.evaluate_accuracy(whole, net)  # fixes the shapes
    before = values(net)
    with pytest.raises(ClassicsError, match=f"^the loss returns {message}"):
        utils.train(whole, [], net, loss, trainer_of(net), mx.cpu(), 1)
    for old, new in zip(before, values(net)):
        np.testing.assert_array_equal(old, new)


def test_a_batch_of_one_example_may_have_a_mean_loss(examples):
    net = softmax_regression()
    net.initialize()
    one = batches(examples[0][:1], examples[1][:1], 1)
    expected = LOSS(net(one[0][0]), one[0][1]).asscalar()
    (epoch,) = utils.train(one, one, net, lambda x, y: LOSS(x, y).mean(), trainer_of(net), mx.cpu(), 1)
    assert epoch.train_loss == pytest.approx(expected, rel=1e-5)


def test_an_iterator_that_is_used_up_is_named_as_the_cause(examples):
    net = softmax_regression()
    net.initialize()
    whole = batches(*examples, 11)
    with pytest.raises(DataError, match="an iterator ends after one pass"):
        utils.train(iter(whole), whole, net, LOSS, trainer_of(net), mx.cpu(), 2)
    with pytest.raises(DataError, match="an iterator ends after one pass"):
        utils.train(whole, iter(whole), net, LOSS, trainer_of(net), mx.cpu(), 2)


def test_training_stops_a_few_batches_after_the_loss_is_nan():
    """The sums are read a few batches late, but not only at the end of the epoch."""
    given = []

    def endless():
        while len(given) < 100:
            given.append(1)
            yield nd.full((2, 1, 12, 12), 1e30 if len(given) > 2 else 1), nd.array([0, 1])

    net = softmax_regression()
    net.initialize()
    with pytest.raises(TrainingDiverged):
        utils.train(endless(), [], net, LOSS, trainer_of(net), mx.cpu(), 1)
    assert len(given) < 10


@pytest.mark.parametrize("sizes", [(11,), (4, 4, 3), (1,) * 11])
def test_the_error_for_a_diverged_training_names_epoch_and_learning_rate(sizes, examples, capsys):
    """With one batch per epoch, the loss is that of the initial network and finite, but the outputs are not."""
    net = softmax_regression()
    net.initialize(mx.init.Normal(1))
    data = batches(*examples, *sizes)
    # after the first update the loss is infinite, but the parameters are finite
    with pytest.raises(TrainingDiverged, match=r" in epoch 0, after \d+ images: .* below 1e\+38$"):
        utils.train(data, data, net, LOSS, trainer_of(net, 1e38), mx.cpu(), 3)
    assert "Epoch" not in capsys.readouterr().out


def test_infinite_parameters_stop_the_training_at_the_end_of_the_epoch(examples, capsys):
    """The loss of the only batch is computed before the update and is finite."""
    images, labels = examples
    net = softmax_regression()
    net.initialize(mx.init.Normal(0.001))
    whole = batches(1000 * images, labels, 11)
    message = r"^parameters became infinite or not a number in epoch 0, after 11 images: .* below 1e\+38$"
    with pytest.raises(TrainingDiverged, match=message):
        utils.train(whole, whole, net, LOSS, trainer_of(net, 1e38), mx.cpu(), 1)
    assert "Epoch" not in capsys.readouterr().out


def test_training_or_evaluating_without_examples_is_an_error(examples):
    net = softmax_regression()
    net.initialize()
    whole = batches(*examples, 11)
    with pytest.raises(ValueError, match="no examples to train on"):
        utils.train([], whole, net, LOSS, trainer_of(net), mx.cpu(), 1)
    with pytest.raises(ValueError, match="no examples to evaluate on"):
        utils.train(whole, [], net, LOSS, trainer_of(net), mx.cpu(), 1)
    with pytest.raises(ValueError, match="no examples to evaluate on"):
        utils.evaluate_accuracy([], net)


# --- evaluation


@pytest.mark.parametrize("sizes", [(11,), (4, 4, 3), (5, 5, 1), (1,) * 11], ids=str)
@pytest.mark.parametrize("count", [None, 1, 2, 3])
def test_evaluation_sees_every_example(sizes, count, examples):
    """Also with several contexts, of which some get no example of a small batch."""
    contexts = None if count is None else [mx.cpu(i) for i in range(count)]
    net = LeNet(3)
    net.initialize(mx.init.Xavier(magnitude=6), ctx=contexts or mx.cpu())
    images, _ = examples
    predicted = net(nd.array(images)).asnumpy().argmax(axis=1)
    # correct for all examples except the last; a dropped or repeated example changes the accuracy
    labels = np.append(predicted[:-1], (predicted[-1] + 1) % 3)
    assert utils.evaluate_accuracy(batches(images, labels, *sizes), net, contexts) == pytest.approx(10 / 11)


def test_evaluation_sees_every_example_of_a_loader():
    """Also the last ones, which do not fill a batch."""
    numbers = np.arange(11)

    class Data:
        def __getitem__(self, index):
            return numbers[:, None].astype(np.float32)[index], numbers[index]

    class Guess(nn.HybridBlock):
        """Predict the number in the image, except 0 for 10."""

        def hybrid_forward(self, F, x):
            return F.one_hot(F.where(x < 10, x, F.zeros_like(x)).reshape(-1), 11)

    net = layers(Guess())
    for batch_size in (1, 2, 4, 11, 64):
        loader = utils.DataLoader(Data(), batch_size, shuffle=False)
        assert utils.evaluate_accuracy(loader, net) == pytest.approx(10 / 11)
    assert utils.evaluate_accuracy(utils.DataLoader(Data(), 4, False, last_batch="discard"), net) == 1.0


def test_accuracy_equals_that_of_numpy(rng):
    """For a batch and for a data set. Of equal outputs the first counts."""
    outputs = rng.randint(0, 4, (50, 5)).astype(np.float32)
    labels = rng.randint(0, 5, 50).astype(np.float32)
    expected = np.mean([np.argmax(row) == label for row, label in zip(outputs, labels)])
    assert 0 < expected < 1
    assert utils.accuracy(nd.array(outputs), nd.array(labels)) == pytest.approx(expected)

    identity = layers(nn.Flatten())
    assert utils.evaluate_accuracy(batches(outputs, labels, 20, 20, 10), identity) == pytest.approx(expected)


def test_evaluation_of_a_network_equals_that_of_numpy(examples):
    images, labels = examples
    net = softmax_regression()
    net.initialize(mx.init.Normal(1))
    net(nd.array(images))
    weight, bias = values(net)
    expected = ((images.reshape(11, -1) @ weight.T + bias).argmax(axis=1) == labels).mean()
    assert utils.evaluate_accuracy(batches(*examples, 4, 4, 3), net) == pytest.approx(expected)


def test_evaluation_does_not_use_dropout(examples):
    images, _ = examples
    net = layers(nn.Flatten(), nn.Dropout(0.9), nn.Dense(3))
    net.initialize(mx.init.Normal(1))
    predicted = net(nd.array(images)).asnumpy().argmax(axis=1)
    for around in (autograd.predict_mode, autograd.train_mode):
        with around():  # the caller's mode does not matter
            assert utils.evaluate_accuracy(batches(images, predicted, 4, 4, 3), net) == 1.0


def active(*blocks):
    net = nn.HybridSequential()
    net.add(*blocks)
    net.hybridize()
    return net


class Eager(nn.Sequential):
    """A chain that cannot be compiled because it overrides forward()."""

    def forward(self, x):
        return super().forward(x)


def eager(*blocks):
    net = Eager()
    net.add(*blocks)
    return net


@pytest.mark.filterwarnings("ignore:running eagerly:RuntimeWarning")
@pytest.mark.parametrize("build", [layers, active, eager])
@pytest.mark.parametrize("contexts", [1, 2])
def test_test_accuracy_is_measured_with_the_weights_after_the_epoch(build, contexts, rng):
    """Each epoch teaches another class. The test labels are the predictions of the layers, run one by one."""
    contexts = [mx.cpu(i) for i in range(contexts)]
    net = build(
        nn.Conv2D(20, kernel_size=3, use_bias=False, activation="relu"),
        nn.MaxPool2D(),
        nn.Dense(3, use_bias=False),
    )
    net.initialize(mx.init.Xavier(), ctx=contexts)
    images = nd.array(rng.rand(16, 1, 8, 8))
    lessons, predicted = iter([0, 1, 2, 0, 1]), []

    class Lessons:
        def __iter__(self):
            return iter([(images, nd.full(16, next(lessons)))] * 20)

    class Predicted:
        def __iter__(self):
            maps = images
            for layer in net:
                maps = layer(maps)
            predicted.append(maps.argmax(axis=1))
            yield images, predicted[-1]

    history = utils.train(Lessons(), Predicted(), net, LOSS, trainer_of(net, 0.1), contexts, 5)
    assert [result.test_accuracy for result in history] == [1.0] * 5
    assert [set(labels.asnumpy()) for labels in predicted] == [{0}, {1}, {2}, {0}, {1}]


def test_evaluation_does_not_change_parameters_or_running_statistics(examples):
    images, _ = examples
    net = layers(nn.Conv2D(4, kernel_size=3), nn.BatchNorm(), nn.Dense(3))
    net.initialize(mx.init.Normal(1))
    whole = batches(*examples, 11)
    utils.train(whole, whole, net, LOSS, trainer_of(net, 0.01), mx.cpu(), 2)  # running statistics other than 0 and 1
    before = values(net)
    predicted = net(nd.array(images)).asnumpy().argmax(axis=1)
    # with running statistics a prediction does not depend on the other images of its batch
    assert utils.evaluate_accuracy(batches(images, predicted, *(1,) * 11), net) == 1.0
    assert all(np.array_equal(a, b) for a, b in zip(before, values(net)))
