"""The Python API with wrong shapes, number types and types, held against NumPy."""

from __future__ import annotations

import itertools
import math
import typing

import numpy as np

from . import records
from .case import Call, Case

CASES = 460
CLASSES, IMAGES = 4, 6
# (name, function from right labels, whether they are wrong), of labels (N,) below CLASSES
LABELS = (
    ("right", lambda labels: labels, False),
    ("int32", lambda labels: labels.astype(np.int32), False),
    ("uint8", lambda labels: labels.astype(np.uint8), False),
    ("int64", lambda labels: labels.astype(np.int64), False),
    ("float64", lambda labels: labels.astype(np.float64), False),
    ("(N, 1)", lambda labels: labels[:, None], True),
    ("(1, N)", lambda labels: labels[None], True),
    ("one-hot", lambda labels: np.eye(CLASSES, dtype=np.float32)[labels.astype(int)], True),
    ("(N, 1, 1)", lambda labels: labels[:, None, None], True),
    ("one", lambda labels: labels[0], True),
    ("one less", lambda labels: labels[:-1], True),
    ("one more", lambda labels: np.append(labels, 0), True),
    ("none", lambda labels: labels[:0], True),
    ("from 1", lambda labels: labels + 1, True),
    ("-1", lambda labels: np.where(labels == 0, -1, labels), True),
    ("99", lambda labels: np.where(labels == 0, 99, labels), True),
    ("fractions", lambda labels: labels + 0.5, True),
    ("NaN", lambda labels: np.where(labels == 0, np.nan, labels), True),
    ("infinite", lambda labels: np.where(labels == 0, np.inf, labels), True),
    ("255 as uint8", lambda labels: np.where(labels == 0, 255, labels).astype(np.uint8), True),
    ("10**10", lambda labels: np.where(labels == 0, 1e10, labels).astype(np.float64), True),
)
# the same of images (N, 1, 28, 28)
PICTURES = (
    ("right", lambda images: images, False),
    ("NaN", lambda images: np.where(images > 0.9, np.nan, images), True),
    ("infinite", lambda images: np.where(images > 0.9, np.inf, images), True),
    ("(N, H, W, C)", lambda images: images.transpose(0, 2, 3, 1), True),
    ("(N, H, W)", lambda images: images[:, 0], True),
    ("three channels", lambda images: np.repeat(images, 3, axis=1), True),
    ("one image", lambda images: images[0], True),
    ("other size", lambda images: images[:, :, :20, :20], True),
    ("none", lambda images: images[:0], True),
    ("one less", lambda images: images[:-1], True),
    ("float64", lambda images: images.astype(np.float64), None),
    ("uint8", lambda images: (images * 255).astype(np.uint8), None),
    ("(N, 784)", lambda images: images.reshape(len(images), -1), True),
)
AUGMENTATIONS = ("none", "flip", "crop:2 flip", "resized-crop color", "affine", "lighting", "x", "", "crop:x", None, 3)
ODD = (None, -1, 0, 1.5, math.nan, "x", "", b"x", [], {}, (), True, 2**31, 2**63, 10**400, object, np.zeros(0), "2")


def _labels(rng):
    return np.array([*range(CLASSES), *(rng.randrange(CLASSES) for _ in range(IMAGES - CLASSES))], np.float32)


def _images(rng):
    return np.random.RandomState(rng.getrandbits(32)).random_sample((IMAGES, 1, 28, 28)).astype(np.float32)


def _nd(array):
    import mxnet as mx

    return mx.nd.array(array, dtype=np.asarray(array).dtype)


def _net(rng, classes=CLASSES):
    from mxnet import gluon, init

    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(2, 5, in_channels=1), gluon.nn.Flatten(), gluon.nn.Dense(classes, in_units=1152))
    net.initialize(init.Normal(0.1 + rng.random()))
    return net


def _scores(net, images):
    """Return what the network computes, by NumPy."""
    weight, bias, dense, offset = (parameter.data().asnumpy() for parameter in net.collect_params().values())
    windows = np.lib.stride_tricks.sliding_window_view(images[:, 0], (5, 5), axis=(1, 2))
    maps = np.einsum("nyxij,oij->noyx", windows, weight[:, 0]) + bias[:, None, None]
    return maps.reshape(len(images), -1) @ dense.T + offset


def _close(answer, expected):
    """Return what is wrong with a fraction; a tie may fall either way, and random scores have none."""
    if isinstance(answer.value, (float, int, np.floating)) and abs(answer.value - expected) < 1e-6:
        return None
    return f"{answer.value} instead of {expected}"


def _call(what, function, wrong=None, check=lambda answer: None):
    return Case(what, Call(function), wrong, check, types=(TypeError,))


def _batch(rng):
    """Return images and labels, odd or right, with their names and whether they are wrong."""
    images, labels = _images(rng), _labels(rng)
    picture, target = rng.choice(PICTURES), rng.choice(LABELS)
    if rng.random() < 0.5:
        picture = PICTURES[0]
    elif rng.random() < 0.7:
        target = LABELS[0]
    wrong = True if picture[2] or target[2] else picture[2] if picture[2] is None else target[2]
    return f"images {picture[0]}, labels {target[0]}", picture[1](images), target[1](labels), wrong


# --- metrics, evaluation and training


def accuracy(rng, place):
    from gluon_classics.utils import accuracy

    name, change, wrong = rng.choice(LABELS)
    labels = _labels(rng)
    scores = np.random.RandomState(rng.getrandbits(32)).normal(size=(IMAGES, CLASSES)).astype(np.float32)
    shape = rng.choice(("(N, C)",) * 4 + ("(N,)", "(N, C, 1)", "NaN", "list"))
    given: typing.Any = _nd({"(N,)": scores[:, 0], "(N, C, 1)": scores[..., None]}.get(shape, scores))
    if shape == "NaN":
        given = _nd(np.where(scores > 0.5, np.nan, scores))
    if shape == "list":
        given = [given, given]
    wrong = wrong or shape not in ("(N, C)", "list") or False
    expected = float((scores.argmax(axis=1) == labels).mean())
    target = _nd(change(labels))
    return _call(
        f"accuracy of {shape}, labels {name}", lambda: accuracy(given, target), wrong, lambda a: _close(a, expected)
    )


def accuracy_of_types(rng, place):
    from gluon_classics.utils import accuracy

    given = [rng.choice((*ODD, _nd(np.eye(3)), np.eye(3))) for _ in range(2)]
    return _call(f"accuracy({given[0]!r:.40}, {given[1]!r:.40})", lambda: accuracy(*given))


def evaluation(rng, place):
    from gluon_classics.utils import evaluate_accuracy

    what, images, labels, wrong = _batch(rng)
    net = _net(rng)
    expected = math.nan if wrong else float((_scores(net, images).argmax(axis=1) == labels).mean())
    data = [(_nd(images), _nd(labels))]
    check = (lambda answer: _close(answer, expected)) if wrong is False else (lambda answer: None)
    return _call(f"evaluate_accuracy: {what}", lambda: evaluate_accuracy(data, net), wrong, check)


def evaluation_of_types(rng, place):
    from gluon_classics.utils import evaluate_accuracy

    net = _net(rng)
    data = [(_nd(_images(rng)), _nd(_labels(rng)))]
    which = rng.randrange(3)
    odd = rng.choice(ODD)
    given = [data, net, None]
    given[which] = rng.choice((odd, [odd], [(odd, odd)], [data[0][0]], [(*data[0], 1)])) if which == 0 else odd
    wrong = None if which == 2 and odd in (None, [], (), {}, "", 0) else True
    return _call(
        f"evaluate_accuracy with {['data', 'net', 'ctx'][which]} {given[which]!r:.60}",
        lambda: evaluate_accuracy(*given),
        wrong,
    )


def training(rng, place):
    from gluon_classics.utils import train
    import mxnet as mx
    from mxnet import gluon

    what, images, labels, wrong = _batch(rng)
    net = _net(rng)
    kind = rng.choice(("each", "each", "each", "mean", "sum", "column"))
    softmax = gluon.loss.SoftmaxCrossEntropyLoss()
    loss = {
        "each": softmax,
        "mean": lambda output, label: softmax(output, label).mean(),
        "sum": lambda output, label: softmax(output, label).sum(),
        "column": lambda output, label: softmax(output, label).expand_dims(1),
    }[kind]
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01})
    data = [(_nd(images), _nd(labels))]
    if kind != "each":
        wrong = True
    return _call(f"train: {what}, loss {kind}", lambda: train(data, data, net, loss, trainer, mx.cpu(), 1), wrong)


def training_of_types(rng, place):
    from gluon_classics.utils import train
    import mxnet as mx
    from mxnet import gluon

    net = _net(rng)
    data = [(_nd(_images(rng)), _nd(_labels(rng)))]
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01})
    given = [data, data, net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer, mx.cpu(), 1]
    which = rng.randrange(7)
    given[which] = rng.choice([odd for odd in ODD if which != 6 or odd not in (2**31, 2**63, 10**400)])
    names = ["train_data", "test_data", "net", "loss", "trainer", "ctx", "num_epochs"]
    return _call(f"train with {names[which]} {given[which]!r:.60}", lambda: train(*given))


# --- loaders


def loader(rng, place):
    from gluon_classics.utils import DataLoader

    images = np.random.RandomState(rng.getrandbits(32)).randint(256, size=(IMAGES, 5, 5, 1)).astype(np.uint8)
    labels = _labels(rng)
    name, change, wrong = rng.choice(LABELS)
    target = change(labels)
    size, shuffle = rng.choice((1, 2, 4, 6, 100)), rng.random() < 0.5
    # without the number of classes, a label above them is not known to be wrong
    wrong = None if name in ("from 1", "99", "10**10", "255 as uint8") else wrong

    class Pairs:
        def __getitem__(self, index):
            return images[index], target[index]

    def load():
        return [(x.asnumpy(), y.asnumpy()) for x, y in DataLoader(Pairs(), size, shuffle)]

    def check(answer):
        seen = sorted((x.tobytes(), float(y)) for part in answer.value for x, y in zip(*part))
        expected = sorted((x.tobytes(), float(y)) for x, y in zip(images, target))
        return None if seen == expected or wrong is None else "other examples than the data set has"

    return _call(f"DataLoader, labels {name}, batches of {size}", load, wrong, check)


def loader_of_types(rng, place):
    from gluon_classics.utils import DataLoader

    images, labels = np.zeros((IMAGES, 5, 5, 1), np.uint8), _labels(rng)
    dataset = rng.choice(
        (
            *((images, labels), (images, labels[:-1]), (images[0], labels), (images[:0], labels[:0]), images, [], None),
            *("x", 3, {"images": images}, [(images[0], 0)], (images.astype(object), labels), (list(images), labels)),
        )
    )

    class Odd:
        def __getitem__(self, index):
            return dataset

    options = {"last_batch": rng.choice(("keep", "x", None, 3)), "augment": rng.choice(AUGMENTATIONS)}
    size = rng.choice((*ODD, 2, 2, 2))
    source = rng.choice((Odd(), dataset))
    return _call(
        f"DataLoader of {type(dataset).__name__}, {size!r:.20}, {options}",
        lambda: list(DataLoader(source, size, rng.choice((True, False)), **options)),
    )


def preprocessing(rng, place):
    from gluon_classics.utils.preprocess import Preprocess

    images = np.random.RandomState(rng.getrandbits(32)).randint(256, size=(IMAGES, 9, 9, 1))
    dtype = rng.choice((np.uint8, np.float32, np.float64, np.int32, np.int64, np.float16, np.int8))
    shape = rng.choice(("(N, H, W, C)",) * 4 + ("(N, H, W)", "(H, W, C)", "none"))
    given = {"(N, H, W)": images[..., 0], "(H, W, C)": images[0], "none": images[:0]}.get(shape, images).astype(dtype)
    resize = rng.choice((None, None, 9, 12, *ODD[:10], 2**31))
    fit = rng.choice(("resize", "resize", "pad", "crop", "x"))
    labels = _labels(rng)
    wrong = True if shape in ("(N, H, W)", "(H, W, C)") or (fit == "x" and resize) else None

    def check(answer):
        if resize is not None or dtype not in (np.uint8, np.float32) or not len(given):
            return None
        expected = (given / np.float32(255)).transpose(0, 3, 1, 2)
        # one division in float32
        return None if np.allclose(answer.value[0].asnumpy(), expected, rtol=2e-7, atol=0) else "other values"

    return _call(
        f"Preprocess({resize!r}, fit={fit}) of {shape} {np.dtype(dtype).name}",
        lambda: Preprocess(resize, None, fit)(_nd(given), _nd(labels)),
        wrong,
        check,
    )


def blog_loader(rng, place):
    from gluon_classics.utils import load_data_fashion_mnist

    size, resize = rng.choice((8, *ODD)), rng.choice((None, None, 30, *ODD))
    options = {"resize_in": rng.choice(("uint8", "x", None, 3)), "last_batch": rng.choice(("keep", "scale", None, 3))}

    def load():
        train, _ = load_data_fashion_mnist(size, resize, **options)
        return next(iter(train))

    return Case(
        f"load_data_fashion_mnist({size!r:.20}, {resize!r:.20}, {options})",
        Call(load),
        types=(TypeError,),
        memory=4 << 30,  # images of the size that was asked for
    )


# --- networks and files


def networks(rng, place):
    from gluon_classics import get_model, list_models, model_info

    name = rng.choice((rng.choice(list_models()), "LeNet", *ODD))
    if rng.random() < 0.5:
        return _call(f"model_info({name!r:.40})", lambda: model_info(name))
    classes = rng.choice((*ODD, np.int64(3), np.float32(3)))
    return _call(f"get_model({name!r:.40}, {classes!r:.40})", lambda: get_model(name, classes))


def summaries(rng, place):
    from gluon_classics import get_model
    from gluon_classics.utils import summarize

    net = rng.choice((get_model("lenet"), get_model("lenet"), get_model("lenet"), *ODD))
    shape = rng.choice(
        (
            *((1, 28, 28), (1, 28), (28, 28), (1, 1, 28, 28), (0, 28, 28), (1, -1, 28), (1, 28.0, 28), ("1", 28, 28)),
            *((1, 2**31, 28), (1, 2**16, 2**16), (2**63, 1, 1), (None, 28, 28), (1, 1, 1), [1, 28, 28], (True, 28, 28)),
            *ODD,
        )
    )
    return _call(f"summarize({type(net).__name__}, {shape!r:.40})", lambda: summarize(net, shape))


def compiled(rng, place):
    from gluon_classics.utils import for_inference, hybridized

    function = rng.choice((for_inference, hybridized))
    net = _net(rng)
    images = _images(rng)
    given = rng.choice((net, *ODD))
    twin = function(net)
    if given is not net:
        return _call(f"{function.__name__}({given!r:.40})", lambda: function(given), True)

    def check(answer):
        expected = _scores(net, images)
        # sums of 1,152 products in float32, in another order
        return None if np.allclose(answer.value, expected, rtol=1e-4, atol=1e-3) else "other scores than NumPy's"

    return _call(f"{function.__name__} of a network", lambda: twin(_nd(images)).asnumpy(), False, check)


def seeds(rng, place):
    from gluon_classics.utils import seed_everything

    seed = rng.choice((*ODD, 3, np.int64(3), np.uint8(3), np.float64(3)))
    return _call(f"seed_everything({seed!r:.40})", lambda: seed_everything(seed))


def contexts(rng, place):
    from gluon_classics.utils.context import parse_contexts

    text = rng.choice(
        (*ODD, "cpu", "gpu", "cpu:-1", "cpu:" + "9" * 40, "cpu:²", "cpu,cpu", "auto,cpu", " cpu ", "cpu:")
    )
    return _call(f"parse_contexts({text!r:.40})", lambda: parse_contexts(text))


def images_and_sets(rng, place):
    from gluon_classics.data import load_dataset
    from gluon_classics.data.images import read_image

    path = rng.choice((place.world / "images" / "1.png", str(place.world / "images" / "1.png"), *ODD))
    size = rng.choice((None, 5, *ODD))
    if rng.random() < 0.4:
        where = rng.choice((str(place.world / "data"), place.world / "data", *ODD))
        return _call(f"load_dataset({where!r:.60}, {size!r:.20})", lambda: load_dataset(where, size))
    channels = rng.choice((None, 1, 3, *ODD))
    return _call(f"read_image({path!r:.30}, {size!r:.20}, {channels!r:.20})", lambda: read_image(path, size, channels))


def settings(rng, place):
    from gluon_classics.experiment.settings import Settings

    types = typing.get_type_hints(Settings)
    name = rng.choice(list(types))
    value = rng.choice((*ODD, -1.0, 1e-320, "adam", "lenet", "flip", 1, 3, 0.5))
    right = {"model": "lenet", "optimizer": "sgd"}
    wrong = None
    if not records.fits(value, types[name]) or not _in_range(name, value):
        wrong = True
    return _call(f"Settings({name}={value!r:.40})", lambda: Settings(**{**right, name: value}), wrong)


def _in_range(name, value):
    return not isinstance(value, (int, float)) or name not in records.RANGES or bool(records.RANGES[name](value))


def predictions(rng, place):
    from gluon_classics.runs.predictor import from_run

    trained = from_run(place.world / "whole")
    paths = [rng.choice((place.world / "images" / "0.png", place.world / "images" / "2.png", *ODD)) for _ in range(2)]
    top = rng.choice((3, 3, *ODD))
    given = rng.choice((paths, paths, paths, *ODD))
    return _call(f"predict({given!r:.60}, {top!r:.20})", lambda: trained.predict(given, top))


def numpy_mode(rng, place):
    """What D2L's notebooks do first: npx.set_np()."""
    from gluon_classics.utils import accuracy, evaluate_accuracy, load_data_fashion_mnist, summarize
    import mxnet as mx

    net = _net(rng)
    images, labels = _images(rng), _labels(rng)
    which = rng.choice(("accuracy", "evaluate_accuracy", "load_data_fashion_mnist", "summarize"))

    def act():
        mx.npx.set_np()
        try:
            if which == "accuracy":
                return accuracy(mx.np.array(np.eye(CLASSES, dtype=np.float32)[labels.astype(int)]), mx.np.array(labels))
            if which == "evaluate_accuracy":
                return evaluate_accuracy([(mx.np.array(images), mx.np.array(labels))], net)
            if which == "summarize":
                return summarize(net, (1, 28, 28)).params
            return [x.shape for x, _ in itertools.islice(load_data_fashion_mnist(8)[0], 1)]
        finally:
            mx.npx.reset_np()

    expected = {
        "accuracy": lambda: 1.0,
        "evaluate_accuracy": lambda: float((_scores(net, images).argmax(axis=1) == labels).mean()),
        "load_data_fashion_mnist": lambda: [(8, 1, 28, 28)],
        "summarize": lambda: 2 * 25 + 2 + CLASSES * 1152 + CLASSES,
    }[which]()

    def check(answer):
        return None if answer.value == expected else f"{answer.value} instead of {expected}"

    return _call(f"{which} in NumPy mode", act, None, check)


KINDS = (
    *(accuracy, evaluation, training, loader, accuracy_of_types, evaluation_of_types, training_of_types),
    *(loader_of_types, preprocessing, blog_loader, networks, summaries, compiled, seeds, contexts, images_and_sets),
    *(settings, predictions, numpy_mode, accuracy, evaluation, training),
)
