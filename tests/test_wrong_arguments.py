"""Wrong arguments from Python: every call ends in one line that says what is wrong, not in MXNet's words."""

import re

from gluon_classics import get_model, model_info, utils
from gluon_classics.data.images import Images
from gluon_classics.errors import ClassicsError
from gluon_classics.inspection.diff import compare
from gluon_classics.inspection.summary import summarize
from gluon_classics.utils.context import parse_contexts
from gluon_classics.utils.evaluation import predict_probabilities
from gluon_classics.utils.preprocess import Preprocess
import mxnet as mx
from mxnet import gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest

CPU = mx.cpu()
LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
X = nd.ones((4, 1, 12, 12))
Y = nd.array([0, 1, 2, 2])
PIXELS = np.zeros((4, 12, 12, 1), np.uint8)
NUMBERS = np.array([0, 1, 2, 2])
OF_MXNET = re.compile(r"\.cc\b|Check failed|Traceback|MXNetError|Block\.params|dshp|HybridBlock")


def network(ctx=CPU, used=True):
    """Return a LeNet for 12x12 images and 3 classes."""
    net = get_model("lenet", 3)
    net.initialize(mx.init.Xavier(), ctx=ctx)
    if used:
        net(nd.zeros((1, 1, 12, 12), ctx))
    return net


def own_network(*layers):
    """Return a network that is not of this package."""
    net = nn.HybridSequential()
    net.add(*layers)
    net.initialize()
    return net


NET = network()
COMPILED = utils.hybridized(NET)
PREDICT = utils.for_inference(NET)
FRESH = get_model("lenet", 3)
OTHER = own_network(nn.Dense(3, in_units=144))
COLOR = get_model("resnet20_cifar10")
COLOR.initialize()
COLOR(nd.zeros((1, 3, 32, 32)))
SCRATCH_NORM = get_model("lenet_bn_scratch")  # is run eagerly
SCRATCH_NORM.initialize()
SCRATCH_NORM(nd.zeros((1, 1, 28, 28)))


def train(data=((X, Y),), test=((X, Y),), net=None, loss=LOSS, trainer=None, ctx=CPU, epochs=1, **options):
    net = net or network()
    if trainer is None:
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    return utils.train(data, test, net, loss, trainer, ctx, epochs, **options)


def loader(images=PIXELS, labels=NUMBERS, batch_size=2, shuffle=False, transform=None, **options):
    return utils.DataLoader((images, labels), batch_size, shuffle, transform, **options)


WRONG_INPUTS = {
    "channels": nd.ones((2, 3, 12, 12)),
    "larger": nd.ones((2, 1, 20, 20)),
    "smaller": nd.ones((2, 1, 4, 4)),
    "channels last": nd.ones((2, 12, 12, 1)),
    "one image": nd.ones((12, 12)),
    "flat": nd.ones((2, 144)),
    "five axes": nd.ones((2, 1, 12, 12, 1)),
    "uint8": nd.ones((2, 1, 12, 12), dtype="uint8"),
    "int32": nd.ones((2, 1, 12, 12), dtype="int32"),
    "float16": nd.ones((2, 1, 12, 12), dtype="float16"),
    "float64": nd.ones((2, 1, 12, 12), dtype="float64"),
    "context": nd.ones((2, 1, 12, 12), ctx=mx.cpu(1)),
    "mx.np": mx.np.ones((2, 1, 12, 12)),
    "numpy": np.ones((2, 1, 12, 12), np.float32),
    "list": [[1.0]],
    "none": None,
    "text": "image.png",
}
WRONG_BATCHES = {
    "not batches": 3,
    "none": None,
    "text": "mnist",
    "numbers": [1, 2],
    "no labels": [(X,)],
    "three arrays": [(X, Y, Y)],
    "one array": X,
    "labels none": [(X, None)],
    "labels text": [(X, list("abcd"))],
    "labels of objects": [(X, np.array([0, 1, None, 2]))],
    "labels of truth values": [(X, np.array([True, False, True, True]))],
    "label a number": [(X, 3)],
    "label rows of different lengths": [(X, [[1], [1, 2], [3], [4]])],
    "labels column": [(X, Y.expand_dims(1))],
    "labels one-hot": [(X, Y.one_hot(3))],
    "labels fewer": [(X, Y[:3])],
    "labels more": [(X, nd.concat(Y, Y, dim=0))],
    "labels empty": [(X, [])],
    "labels negative": [(X, Y - 1)],
    "labels from one": [(X, Y + 1)],
    "labels far out": [(X, Y + 99)],
    "labels fractions": [(X, Y + 0.5)],
    "labels nan": [(X, Y * np.nan)],
    "labels infinite": [(X, Y + np.inf)],
    "images nan": [(X * np.nan, Y)],
    "images infinite": [(X / 0, Y)],
    "images of text": [(np.full((4, 1, 12, 12), "1"), Y)],
    "images channels": [(nd.ones((4, 3, 12, 12)), Y)],
    "images larger": [(nd.ones((4, 1, 16, 16)), Y)],
    "images uint8": [(X.astype("uint8"), Y)],
    "images without axes": [(Y, Y)],
    "iterator without labels": mx.io.NDArrayIter(X, batch_size=4),
    "iterator with one-hot labels": mx.io.NDArrayIter(X, Y.one_hot(3), batch_size=4),
    "a later batch": [(X, Y), (X, Y.expand_dims(1))],
}
CASES = {
    **{f"network, {name}": lambda x=x: NET(x) for name, x in WRONG_INPUTS.items()},
    **{f"compiled, {name}": lambda x=x: COMPILED(x) for name, x in WRONG_INPUTS.items()},
    **{f"for_inference, {name}": lambda x=x: PREDICT(x) for name, x in WRONG_INPUTS.items()},
    "color network, gray": lambda: COLOR(nd.ones((1, 1, 32, 32))),
    "batch norm from scratch, color": lambda: SCRATCH_NORM(nd.ones((1, 3, 28, 28))),
    "network, before initialize": lambda: FRESH(X),
    "compiled, before initialize": lambda: utils.hybridized(FRESH)(X),
    "network, first call too small": lambda: network(used=False)(nd.ones((1, 1, 4, 4))),
    "network, first call without axes": lambda: network(used=False)(nd.ones((12, 12))),
    "network, no argument": lambda: NET(),
    "network, two arguments": lambda: NET(X, Y),
    **{f"train, {name}": lambda data=data: train(data) for name, data in WRONG_BATCHES.items()},
    "train, test labels column": lambda: train(test=[(X, Y.expand_dims(1))]),
    "train, test labels from one": lambda: train(test=[(X, Y + 1)]),
    "train, test images nan": lambda: train(test=[(X * np.nan, Y)]),
    **{
        f"evaluate, {name}": lambda data=data: utils.evaluate_accuracy(data, NET)
        for name, data in WRONG_BATCHES.items()
    },
    "train, no network": lambda: train(net="lenet", trainer=gluon.Trainer(NET.collect_params(), "sgd")),
    "train, not initialized": lambda: train(net=FRESH, trainer=gluon.Trainer(NET.collect_params(), "sgd")),
    "train, another context": lambda: train(ctx=mx.cpu(1)),
    "train, context in words": lambda: train(ctx="cpu"),
    "train, no context": lambda: train(ctx=None),
    "train, context twice": lambda: train(ctx=[CPU, CPU]),
    "train, no loss": lambda: train(loss=None),
    "train, mean loss": lambda: train(loss=lambda x, y: LOSS(x, y).mean()),
    "train, loss of the scores' shape": lambda: train(loss=lambda x, y: x),
    "train, loss for one-hot labels": lambda: train(loss=gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)),
    "train, loss for pairs": lambda: train(loss=gluon.loss.L2Loss()),
    "train, no trainer": lambda: train(trainer="sgd"),
    "train, trainer of another network": lambda: train(trainer=gluon.Trainer(OTHER.collect_params(), "sgd")),
    "train, negative rate": lambda: train(trainer=gluon.Trainer(NET.collect_params(), "sgd", {"learning_rate": -1})),
    "train, rate nan": lambda: train(trainer=gluon.Trainer(NET.collect_params(), "sgd", {"learning_rate": np.nan})),
    "train, half an epoch": lambda: train(epochs=0.5),
    "train, epochs in words": lambda: train(epochs="3"),
    "train, negative epochs": lambda: train(epochs=-1),
    "train, a line after no batch": lambda: train(print_batches=0),
    "train, scores with four axes": lambda: train(net=own_network(nn.Conv2D(3, 1))),
    "train, own network, channels": lambda: train([(nd.ones((4, 100)), Y)], net=own_network(nn.Dense(3, in_units=144))),
    "evaluate, no network": lambda: utils.evaluate_accuracy([(X, Y)], None),
    "evaluate, not initialized": lambda: utils.evaluate_accuracy([(X, Y)], FRESH),
    "evaluate, another context": lambda: utils.evaluate_accuracy([(X, Y)], NET, mx.cpu(1)),
    "evaluate, context in words": lambda: utils.evaluate_accuracy([(X, Y)], NET, "cpu"),
    "evaluate, no contexts": lambda: utils.evaluate_accuracy([(X, Y)], NET, []),
    "evaluate, one output": lambda: utils.evaluate_accuracy([(X, Y)], own_network(nn.Flatten(), nn.Dense(1))),
    "predict, images nan": lambda: predict_probabilities([(X * np.nan, Y)], OTHER, CPU),
    "predict, nothing": lambda: predict_probabilities([], NET, CPU),
    "accuracy, labels column": lambda: utils.accuracy(nd.ones((4, 3)), Y.expand_dims(1)),
    "accuracy, labels one-hot": lambda: utils.accuracy(nd.ones((4, 3)), nd.ones((4, 3))),
    "accuracy, labels from one": lambda: utils.accuracy(nd.ones((4, 3)), Y + 1),
    "accuracy, labels nan": lambda: utils.accuracy(nd.ones((4, 3)), Y * np.nan),
    "accuracy, fewer labels": lambda: utils.accuracy(nd.ones((4, 3)), Y[:3]),
    "accuracy, no labels": lambda: utils.accuracy(nd.ones((4, 3)), None),
    "accuracy, classes as output": lambda: utils.accuracy(Y, Y),
    "accuracy, no outputs": lambda: utils.accuracy((), ()),
    "accuracy, a number as label": lambda: utils.accuracy(nd.ones((4, 3)), mx.np.array(1)),
    "accuracy, output of text": lambda: utils.accuracy("text", Y),
    "accuracy, output nan": lambda: utils.accuracy(nd.ones((4, 3)) * np.nan, Y),
    "loader, labels column": lambda: loader(labels=NUMBERS[:, None]),
    "loader, labels one-hot": lambda: loader(labels=np.eye(3)[NUMBERS]),
    "loader, labels negative": lambda: loader(labels=NUMBERS - 1),
    "loader, fewer labels": lambda: loader(labels=NUMBERS[:3]),
    "loader, no images": lambda: loader(PIXELS[:0], NUMBERS[:0]),
    "loader, images nan": lambda: loader(PIXELS * np.float32(np.nan)),
    "loader, images of objects": lambda: loader(PIXELS.astype(object)),
    "loader, images without channels": lambda: loader(PIXELS[..., 0], transform=Preprocess()),
    "loader, scaled images": lambda: loader(PIXELS + np.float32(0.5), transform=Preprocess()),
    "loader, images int64": lambda: loader(PIXELS.astype("int64"), transform=Preprocess()),
    "loader, rows of different lengths": lambda: loader([[1], [1, 2]], [0, 1]),
    "loader, no pair": lambda: utils.DataLoader(PIXELS, 2, False),
    "loader, nothing": lambda: utils.DataLoader(None, 2, False),
    "loader, a mapping": lambda: utils.DataLoader({"images": PIXELS}, 2, False),
    "loader, size 0": lambda: loader(batch_size=0),
    "loader, size in words": lambda: loader(batch_size="2"),
    "loader, size 2.5": lambda: loader(batch_size=2.5),
    "loader, no size": lambda: loader(batch_size=None),
    "loader, last_batch": lambda: loader(last_batch="rollover"),
    "loader, augment": lambda: loader(augment="flop"),
    "loader, augment none": lambda: loader(augment=None),
    "loader, lighting of gray images": lambda: loader(augment="lighting"),
    "loader, scale below the size": lambda: loader(augment="scale:20:30", transform=Preprocess(28)),
    "preprocess, resize 0": lambda: Preprocess(0),
    "preprocess, resize in words": lambda: Preprocess("28"),
    "preprocess, fit": lambda: Preprocess(28, fit="stretch"),
    "preprocess, image_size": lambda: Preprocess(28, image_size=27),
    "preprocess, image_size alone": lambda: Preprocess(image_size=27),
    "preprocess, ten crops of the whole": lambda: Preprocess(28, crops="ten"),
    "preprocess, crops": lambda: Preprocess(28, image_size=32, crops="five"),
    "preprocess, resize_in": lambda: Preprocess(28, "int8"),
    "preprocess, int64": lambda: Preprocess(28)(nd.array(PIXELS, dtype="int64"), Y),
    "preprocess, scaled": lambda: Preprocess(28)(nd.array(PIXELS + 0.5), Y),
    "preprocess, labels column": lambda: Preprocess(28)(nd.array(PIXELS, dtype="uint8"), Y.expand_dims(1)),
    "seed, negative": lambda: utils.seed_everything(-1),
    "seed, in words": lambda: utils.seed_everything("one"),
    "seed, none": lambda: utils.seed_everything(None),
    "devices, a context": lambda: parse_contexts(CPU),
    "devices, unknown": lambda: parse_contexts("tpu"),
    "fashion-mnist, resize -1": lambda: utils.load_data_fashion_mnist(2, resize=-1),
    "images, labels column": lambda: Images(PIXELS, NUMBERS[:, None]),
    "images, without channels": lambda: Images(PIXELS[..., 0], NUMBERS),
    "get_model, unknown": lambda: get_model("lenet6"),
    "get_model, a list": lambda: get_model(["lenet"]),
    "get_model, no classes": lambda: get_model("lenet", 0),
    "get_model, classes in words": lambda: get_model("lenet", "ten"),
    "get_model, too many classes": lambda: get_model("lenet", 10**12),
    "get_model, unknown argument": lambda: get_model("lenet", depth=3),
    "model_info, none": lambda: model_info(None),
    "summarize, no network": lambda: summarize(None, (1, 28, 28)),
    "summarize, its name": lambda: summarize("lenet", (1, 28, 28)),
    "summarize, no channels": lambda: summarize(NET, (28, 28)),
    "summarize, a batch": lambda: summarize(NET, (1, 1, 28, 28)),
    "summarize, negative": lambda: summarize(NET, (1, -28, 28)),
    "summarize, fractions": lambda: summarize(NET, (1, 28.0, 28)),
    "summarize, in words": lambda: summarize(NET, "1x28x28"),
    "summarize, a number": lambda: summarize(NET, 28),
    "summarize, nothing": lambda: summarize(NET, None),
    "summarize, too small": lambda: summarize(NET, (1, 4, 4)),
    "summarize, huge": lambda: summarize(NET, (1, 2**40, 2**40)),
    "compare, unknown": lambda: compare("lenet", "lenet6"),
    "compare, none": lambda: compare("lenet", None),
    "compare, too small": lambda: compare("lenet", "lenet_d2l", (1, 2, 2)),
    "compare, no channels": lambda: compare("lenet", "lenet_d2l", (28, 28)),
    "hybridized, none": lambda: utils.hybridized(None),
    "hybridized, name": lambda: utils.hybridized("lenet"),
    "for_inference, number": lambda: utils.for_inference(3),
    "for_inference, not initialized": lambda: utils.for_inference(FRESH)(X),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_argument_ends_in_one_clear_line(case):
    with pytest.raises((ClassicsError, TypeError, ValueError)) as error:
        CASES[case]()
    message = str(error.value)
    assert 15 < len(message) < 300
    assert "\n" not in message
    assert not OF_MXNET.search(message)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (nd.ones((2, 3, 12, 12)), r"\(2, 3, 12, 12\): it takes C = 1, and these have C = 3"),
        (nd.ones((2, 1, 20, 20)), r"\(2, 1, 20, 20\): .* shape \(128, 50\), and these images need \(128, 450\)"),
        (nd.ones((2, 12, 12, 1)), r"\(2, 12, 12, 1\): it takes C = 1, .* use \(N, C, H, W\)"),
    ],
)
@pytest.mark.parametrize("net", [NET, COMPILED], ids=["eager", "compiled"])
def test_the_message_names_both_shapes(net, images, message):
    with pytest.raises(ClassicsError, match=message):
        net(images)


def test_an_error_that_is_not_of_mxnet_is_left_alone():
    def hook(*_):
        raise ValueError("of the user")

    net = network()
    net.register_forward_hook(hook)
    with pytest.raises(ValueError, match=r"^of the user$") as error:
        net(X)
    assert not isinstance(error.value, ClassicsError)


def test_a_wrong_label_changes_no_parameter():
    net = network()
    before = [parameter.data().asnumpy() for parameter in net.collect_params().values()]
    with pytest.raises(ClassicsError, match="a label is 3, but there are 3 classes, 0 to 2"):
        train([(X, Y + 1)], net=net)
    for old, parameter in zip(before, net.collect_params().values()):
        np.testing.assert_array_equal(old, parameter.data().asnumpy())
