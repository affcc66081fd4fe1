"""Constants that neither shapes nor counts show: rates of dropout, settings of normalization, the paper's codes."""

import json

from arrays import rounding
from gluon_classics import get_model, list_models, utils
from gluon_classics.models.lenet5 import MAPLoss, codes
import mxnet as mx
import numpy as np
import pytest

EFFICIENTNETS = [f"efficientnet_b{number}" for number in range(8)]


@pytest.fixture(scope="module")
def operators():
    """Name of an operator -> edition -> the settings of each such operator in its graph."""

    def read(name):
        return json.loads(get_model(name)(mx.sym.var("data")).tojson())["nodes"]

    graphs = {name: read(name) for name in list_models()}
    return lambda kind: {
        name: [node["attrs"] for node in nodes if node["op"] == kind]
        for name, nodes in graphs.items()
        if any(node["op"] == kind for node in nodes)
    }


def test_dropout_has_the_rates_of_the_sources(operators):
    rates = {
        name: [float(settings["p"]) for settings in found if settings["axes"] == "()"]
        for name, found in operators("Dropout").items()
    }
    of_maps = [(settings["p"], settings["axes"]) for settings in operators("Dropout")["lenet_pytorch_2017"]]
    assert of_maps == [("0.5", "(2, 3)"), ("0.5", "()")]
    halves = [name for name in list_models() if name.startswith(("alexnet", "vgg", "nin_cifar10"))]
    one_half = ("nin", "nin_imagenet", "lenet_slim", "lenet_pytorch_2017", "squeezenet1_0", "squeezenet1_1")
    efficientnet = zip(EFFICIENTNETS, (0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5))
    assert rates == {
        **{name: [0.5, 0.5] for name in halves},
        **{name: [0.5] for name in one_half},
        **{name: [rate] for name, rate in efficientnet},
        "lenet_pytorch": [0.25, 0.5],
        "googlenet_v1": [0.4],
        "inception_v3": [0.2],
    }


def test_batch_normalization_has_the_momentum_and_epsilon_of_the_sources(operators):
    """Gluon's defaults; EfficientNet's are the paper's momentum and the epsilon of the authors' code.

    Inception v3 has that epsilon too. Inception-BN's is slightly larger than the default, as in MXNet's example.
    """
    settings = {
        name: {(float(node["momentum"]), float(node["eps"])) for node in found}
        for name, found in operators("BatchNorm").items()
    }
    assert all(settings.pop(name) == {(0.99, 1e-3)} for name in EFFICIENTNETS)
    assert settings.pop("inception_v3") == {(0.9, 1e-3)}
    assert settings.pop("inception_bn") == {(0.9, 1e-10 + 1e-5)}
    assert set(settings) >= {
        "lenet_bn",
        "lenet_bn_tutorial",
        "vgg16_bn",
        "resnet",
        "resnet50_v1",
        "densenet121",
        "se_resnet50",
        "regnetx_200mf",
    }
    assert settings == {name: {(0.9, 1e-5)} for name in settings}


def test_local_response_normalization_has_the_settings_of_alexnets_paper(operators):
    """k = 2, n = 5, alpha = 1e-4 and beta = .75; MXNet divides alpha by n."""
    paper = {"knorm": 2, "nsize": 5, "alpha": 5e-4, "beta": 0.75}
    found = operators("LRN")
    numbers = {name: len(settings) for name, settings in found.items()}
    assert numbers == {"alexnet_2012": 2, "vgg11_lrn": 1, "googlenet_v1": 2}
    for settings in (row for rows in found.values() for row in rows):
        assert {key: float(value) for key, value in settings.items()} == pytest.approx(paper)


def test_the_tutorials_densenet_pools_single_pixels():
    """A global pool would leave 1024 features at 64x64 too; 1x1 pooling leaves 2x2 times as many."""
    rows = utils.summarize(get_model("densenet_tutorial"), (1, 64, 64)).rows
    assert rows[-1].params == 4 * 1024 * 10 + 10


def test_the_map_loss_takes_1_for_the_constant_that_the_paper_does_not_print():
    distances = np.array([[0.5, 2.0, 3.0]])
    expected = 2.0 + np.log(np.exp(-1) + np.exp(-distances).sum())
    actual = MAPLoss()(mx.nd.array(distances, dtype="float64"), mx.nd.array([1])).asscalar()
    assert actual == pytest.approx(expected, rel=rounding(3 + 2, np.float64))


# --- the codes of LeNet-5: black pixels of each digit in the 12 rows and the 7 columns of its bitmap

ROWS = {
    0: (5, 0, 3, 4, 4, 4, 4, 4, 4, 3, 0, 0),
    1: (2, 3, 4, 2, 2, 2, 2, 2, 2, 6, 0, 0),
    2: (5, 0, 5, 4, 3, 2, 3, 2, 2, 7, 0, 0),
    3: (7, 2, 2, 2, 4, 2, 2, 2, 4, 5, 0, 0),
    4: (5, 0, 0, 4, 4, 5, 4, 4, 5, 6, 2, 2),
    5: (5, 0, 7, 2, 2, 4, 4, 2, 4, 5, 0, 0),
    6: (4, 2, 2, 2, 6, 5, 4, 4, 5, 5, 0, 0),
    7: (7, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0),
    8: (5, 4, 4, 4, 5, 4, 4, 4, 4, 5, 0, 0),
    9: (5, 5, 4, 4, 5, 6, 2, 2, 2, 4, 0, 0),
}
COLUMNS = {
    0: (4, 7, 5, 3, 5, 7, 4),
    1: (0, 2, 3, 10, 10, 1, 1),
    2: (4, 6, 5, 4, 5, 6, 3),
    3: (2, 3, 3, 4, 5, 9, 6),
    4: (4, 8, 5, 2, 3, 10, 9),
    5: (4, 7, 5, 5, 5, 6, 3),
    6: (7, 9, 6, 3, 3, 7, 4),
    7: (1, 1, 5, 7, 4, 4, 3),
    8: (7, 10, 3, 3, 3, 10, 7),
    9: (4, 7, 3, 3, 6, 9, 7),
}


@pytest.fixture
def bitmaps():
    """(10, 12, 7): whether a pixel is black."""
    return np.array(codes()).reshape(10, 12, 7) == 1


@pytest.mark.parametrize("digit", range(10))
def test_a_code_has_the_black_pixels_of_its_bitmap_in_each_row_and_column(digit, bitmaps):
    assert tuple(bitmaps[digit].sum(axis=1)) == ROWS[digit]
    assert tuple(bitmaps[digit].sum(axis=0)) == COLUMNS[digit]


def test_codes_have_the_symmetries_of_their_digits(bitmaps):
    """0 and 8 are their own mirror images, and 9 is 6 turned upside down; the two lowest rows are for descenders."""
    for digit in (0, 8):
        np.testing.assert_array_equal(bitmaps[digit], bitmaps[digit][:, ::-1])
    np.testing.assert_array_equal(bitmaps[9][:10], bitmaps[6][:10][::-1, ::-1])
    assert list(bitmaps[:, 10:].any(axis=(1, 2)).nonzero()[0]) == [4]


# github.com/mattwang44/LeNet-from-Scratch at 399c0a9, utils/RBF_initial_weight.py: each row of a digit as a number
INDEPENDENT = """
3e 00 1c 36 63 63 63 63 36 1c 00 00
0c 1c 3c 0c 0c 0c 0c 0c 0c 3f 00 00
3e 00 3e 63 43 06 1c 30 60 7f 00 00
7f 03 06 0c 1e 03 03 03 63 3e 00 00
3e 00 00 33 33 73 63 63 67 3f 03 03
3e 00 7f 60 60 3c 1e 03 63 3e 00 00
1e 30 60 60 7e 73 63 63 73 3e 00 00
7f 03 03 06 0c 0c 18 18 18 18 00 00
3e 63 63 63 3e 63 63 63 63 3e 00 00
3e 67 63 63 67 3f 03 03 06 3c 00 00
"""


def test_the_codes_equal_an_independent_transcription_in_all_840_pixels(bitmaps):
    rows = [[int(row, 16) for row in line.split()] for line in INDEPENDENT.strip().splitlines()]
    pixels = np.array(rows)[:, :, None] >> np.arange(6, -1, -1) & 1
    np.testing.assert_array_equal(bitmaps, pixels == 1)
