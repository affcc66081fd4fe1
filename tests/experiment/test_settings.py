"""Settings are checked when they are made, from Python as from the command line."""

import dataclasses
import inspect
import math
import subprocess
import sys

from gluon_classics.errors import SettingsError
from gluon_classics.experiment import optimizers
from gluon_classics.experiment.settings import DIAGONAL_LM, OPTIMIZERS, WITHOUT_RATE, Settings, parse_schedule
import mxnet as mx
import numpy as np
import pytest

WRONG = [
    ("model", "resnet19", "unknown network"),
    ("epochs", 0, "1 or more"),
    ("epochs", -3, "1 or more"),
    ("epochs", 1.5, "a whole number"),
    ("epochs", True, "a whole number"),
    ("batch_size", 0, "1 or more"),
    ("subset", 0, "1 or more"),
    ("validation_share", 0, "more than 0 and less than 1"),
    ("validation_share", 1.0, "more than 0 and less than 1"),
    ("test_share", 0, "more than 0 and less than 1"),
    ("test_share", 1.0, "more than 0 and less than 1"),
    ("test_share", math.nan, "a finite number"),
    ("transparent_as", "red", "use white, black"),
    ("transparent_as", "#fff", "use white, black"),
    ("transparent_as", 255, "text"),
    ("batch_size", 2**31, "below 2"),
    ("epochs", 10**400, "epochs is a number beyond 2.64"),
    ("seed", 2**63, "below 2"),
    ("seed", [3], "a whole number"),
    ("learning_rate", 10**400, "that float32 can hold"),
    ("foreground", 1e39, "that float32 can hold"),
    ("data", "d\udce9j\udce0", "not UTF-8"),
    ("init", "normal(1e999)", "use xavier"),
    ("init", "uniform(99999999999999999999999999999999999999999)", "use xavier"),
    ("resize", -28, "1 or more"),
    ("seed", -1, "0 or more"),
    ("learning_rate", 0, "greater than 0"),
    ("learning_rate", math.nan, "a finite number"),
    ("learning_rate", "0.1", "a finite number"),
    ("momentum", 1, "less than 1"),
    ("momentum", -0.1, "at least 0"),
    ("weight_decay", -1e-4, "0 or more"),
    ("background", math.inf, "a finite number"),
    ("foreground", 0.0, "background and foreground are nearly equal"),
    ("foreground", 1e-30, "background and foreground are nearly equal"),
    ("foreground", 1e30, "it must be from -100,000 to 100,000"),
    ("background", -1e30, "it must be from -100,000 to 100,000"),
    ("fit", "stretch", "use one of resize, pad, crop"),
    ("resize_in", "float16", "use one of uint8, float32, published"),
    ("augment", "flop", "use none, or one or more of flip, crop"),
    ("augment", "scale:27:50", "smallest size of the augmentation scale is 27, less than the network's 28"),
    ("augment", None, "text"),
    ("mean", "a", "one for each channel"),
    *(("mean", text, "one for each channel") for text in (",", "0.5,", ",0.5", "0.5,,0.5", " ", "0.5 0.5,0.5")),
    ("mean", "0_5", "one for each channel"),
    ("std", "0.5,0.5, ", "one for each channel"),
    ("mean", "nan", "one for each channel"),
    *(("std", text, "from 0.0001 to 1") for text in ("0", "0.5,-0.5,0.5", "1e-30", "1e-40", "0.00009")),
    ("std", "58.4,57.1,57.4", "of pixels divided by 255"),
    ("mean", "123.68", "of pixels divided by 255"),
    ("augment", "flip crop", "has nothing to cut from images of 28: give it a border"),
    ("image_size", 27, "less than the network's 28"),
    ("image_size", 0, "1 or more"),
    ("test_crops", "five", "use one of center, ten"),
    ("test_crops", "ten", "ten crops need images larger than the network's 28"),
    ("micro_batch_size", 0, "1 or more"),
    ("micro_batch_size", 65, "more than the batch size 64"),
    ("patience", 0, "1 or more"),
    ("freeze", "head", "use one of none, body"),
    ("freeze", "body", "use it with new_head"),
    ("schedule", "plateau:0.1", "is not a schedule"),
    ("schedule", "plateau:0.1:0", "is not a schedule"),
    ("schedule", "plateau:0:5", "is not a schedule"),
    ("schedule", "plateau:0.1:5:0", "is not a schedule"),
    ("schedule", "plateau:0.1:5 plateau:0.1:5", "repeats plateau"),
    ("reported", "mean", "use one of last, best"),
    ("last_batch", "damp", "use one of keep, discard, scale"),
    ("weights", "seed", "use one of seeded, unseeded"),
    ("optimizer", "SGD", "use one of"),
    ("optimizer", "diagonallm", "works with lenet5 only"),
    ("init", "kaiming", "use xavier"),
    ("init", "he(2)", "use xavier"),
    ("init", "normal(0)", "use xavier"),
    ("init", "published", "was published without its own initializer"),
    *(("schedule", text, "is not a schedule") for text in ("2", " ", "2:", ":0.5", "2::0.5", "2:0.5,", "cosine:")),
    *(("schedule", text, "is not a schedule") for text in ("2:0_4", "1_0:0.4", "warmup:1_0", "decay:0.9:1_0")),
    ("schedule", "plateau:0.1:1_0", "is not a schedule"),
    ("schedule", "plateau:2:5", "the factor of plateau in the schedule 'plateau:2:5' is 2: use one .* below 1"),
    ("schedule", "plateau:1:5", "below 1, as in plateau:0.1:5"),
    ("schedule", "cosine plateau:1e-30:5", "use one from 1e-06 and below 1"),
    ("schedule", "decay:1e300:1", "the factor of decay .* is 1e.300: use one .* below 1, as in decay:0.96:8"),
    ("schedule", "decay:1:8", "below 1"),
    *(("schedule", f"decay:0.9:{every}", "use a number from 0.01 to 2,147,483,647") for every in ("1e-300", "1e300")),
    *(("schedule", f"0:1 5:{factor}", "from 1e-06 to 1,000") for factor in ("1e300", "1e-300")),
    ("schedule", "1:0.5 1:0.1", "names an epoch twice"),
    ("schedule", "cosine cosine", "repeats cosine"),
    ("schedule", "warmup:5 warmup:5", "repeats warmup"),
    ("data", "", "name a data set or a folder"),
    ("data", None, "text"),
    ("new_head", True, "name one with init_from"),
    ("new_head", 1, "true or false"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG, ids=lambda value: str(value)[:20])
def test_a_wrong_setting_is_refused_with_the_allowed_values(name, value, words):
    with pytest.raises(SettingsError, match=words) as caught:
        dataclasses.replace(Settings("lenet"), **{name: value})
    assert "\n" not in str(caught.value)


def test_every_setting_has_a_wrong_value_that_is_refused():
    assert {name for name, _, _ in WRONG} == {field.name for field in dataclasses.fields(Settings)} - {"init_from"}


@pytest.mark.parametrize("weights", ["unseeded", "unseeded-numpy"])
@pytest.mark.parametrize(("model", "init"), [("lenet5", "published"), ("lenet", "pytorch")])
def test_unseeded_weights_are_refused_with_an_initializer_that_no_notebook_uses(model, init, weights):
    with pytest.raises(SettingsError, match=f"never {init}: use xavier"):
        Settings(model, init=init, weights=weights)


def test_momentum_is_refused_for_an_optimizer_without_it():
    with pytest.raises(SettingsError, match="adam takes no momentum"):
        Settings("lenet", optimizer="adam", momentum=0.9)


def test_the_known_optimizers_are_those_of_mxnet():
    registered = mx.optimizer.Optimizer.opt_registry
    left_out = {"test", "ccsgd", "adamax", "groupadagrad"}  # for MXNet's own tests, an alias of sgd, and two that fail
    assert set(OPTIMIZERS) == set(registered) - left_out
    for name, takes_momentum in OPTIMIZERS.items():
        has_momentum = "momentum" in inspect.signature(registered[name].__init__).parameters
        assert has_momentum == takes_momentum or name == "dcasgd"


def test_what_is_left_out_of_mxnets_optimizers_fails():
    """If one of these works in another version of MXNet, it can be offered."""
    weight, gradient = mx.nd.ones((2, 3)), mx.nd.array([[0, 1, 2], [3, 4, 5]])
    cases = (("adamax", {}, (2, 3)), ("groupadagrad", {}, (6,)), ("dcasgd", {"momentum": 0.5}, (2, 3)))
    for name, options, shape in cases:
        optimizer = mx.optimizer.create(name, learning_rate=0.1, **options)
        updated = weight.reshape(shape).copy()
        try:
            optimizer.update(0, updated, gradient.reshape(shape), optimizer.create_state(0, updated))
        except (AssertionError, ValueError):
            continue
        assert np.isnan(updated.asnumpy()).any(), name


@pytest.mark.parametrize("name", [name for name, takes_momentum in OPTIMIZERS.items() if takes_momentum])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_every_optimizer_has_the_momentum_of_the_settings(name, momentum):
    assert optimizers.make_optimizer(Settings("lenet", optimizer=name, momentum=momentum)).momentum == momentum


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_an_optimizer_has_the_rate_momentum_and_decay_of_the_settings(momentum):
    optimizer = optimizers.make_optimizer(Settings("lenet", learning_rate=0.3, momentum=momentum, weight_decay=5e-4))
    assert type(optimizer) is mx.optimizer.SGD
    assert (optimizer.learning_rate, optimizer.momentum, optimizer.wd) == (0.3, momentum, 5e-4)


def updated(name, rate):
    """Return a weight after two updates by an optimizer."""
    mx.random.seed(0)  # SGLD adds noise
    update = mx.optimizer.get_updater(optimizers.make_optimizer(Settings("lenet", optimizer=name, learning_rate=rate)))
    weight = mx.nd.array([[1.0, -2.0]])
    for gradient in ([[3.0, 0.5]], [[-1.0, 2.0]]):
        update(0, mx.nd.array(gradient), weight)
    return weight.asnumpy()


def test_an_optimizer_is_said_to_have_no_learning_rate_if_its_updates_do_not_depend_on_it():
    names = set(OPTIMIZERS) - {DIAGONAL_LM}  # its rates are those of lenet5
    assert {name for name in names if (updated(name, 0.01) == updated(name, 0.02)).all()} == set(WITHOUT_RATE)
    assert [Settings("lenet", optimizer=name).has_rate for name in ("sgd", "adadelta")] == [True, False]


def test_mxnets_adadelta_is_as_described():
    expected, g, d = np.array([[1.0, -2.0]]), np.zeros((1, 2)), np.zeros((1, 2))
    for gradient in (np.array([[3.0, 0.5]]), np.array([[-1.0, 2.0]])):
        g = 0.9 * g + 0.1 * gradient**2
        step = np.sqrt(d + 1e-5) / np.sqrt(g + 1e-5) * gradient
        d = 0.9 * d + 0.1 * step**2
        expected = expected - step
    np.testing.assert_allclose(updated("adadelta", 0.01), expected, rtol=40 * 2**-24)  # two updates of 16 operations


def test_tensorflows_rmsprop_follows_its_formula():
    """Mean squares start from 1, epsilon is under the root, and the momentum accumulates the divided gradients."""
    settings = Settings("lenet", optimizer="tfrmsprop", learning_rate=0.5, momentum=0.9, weight_decay=0.25)
    optimizer = optimizers.make_optimizer(settings)
    weight = mx.nd.array([1.0, -2.0])
    state = optimizer.create_state(0, weight)
    expected, mean_square, step = np.array([1.0, -2.0]), np.ones(2), np.zeros(2)
    for grad in (np.array([3.0, 0.5]), np.array([-1.0, 2.0])):
        optimizer.update(0, weight, mx.nd.array(grad), state)
        grad = grad + 0.25 * expected
        mean_square = 0.9 * mean_square + 0.1 * grad**2
        step = 0.9 * step + 0.5 * grad / np.sqrt(mean_square + 0.001)
        expected = expected - step
    np.testing.assert_allclose(weight.asnumpy(), expected, rtol=20 * 2**-24)  # two updates of ten operations


def test_weight_decay_is_0_unless_it_is_set():
    assert optimizers.make_optimizer(Settings("lenet")).wd == 0


def test_settings_are_checked_without_loading_mxnet():
    code = "import sys; from gluon_classics.experiment.settings import Settings; Settings('lenet5', init='normal(1)')"
    result = subprocess.run([sys.executable, "-c", f"{code}; print('mxnet' in sys.modules)"], capture_output=True)
    assert result.stdout.split() == [b"False"]


def test_mean_and_std_are_the_values_of_the_pixels_0_and_255():
    settings = Settings("lenet", mean="0.5, 0.25 ,0", std="0.5 0.25 1")
    assert settings.pixels == ((-1.0, -1.0, 0.0), (1.0, 3.0, 1.0))
    assert Settings("lenet", mean="0.5").pixels == ((-0.5,), (0.5,))
    assert Settings("lenet", mean="0.5", std="0.5,1").pixels == ((-1.0, -0.5), (1.0, 0.5))
    assert Settings("lenet", background=-0.1, foreground=1.175).pixels == ((-0.1,), (1.175,))


def test_mean_and_background_exclude_each_other():
    for one, other in (({"mean": "0.5"}, {"background": -1.0}), ({"std": "0.5"}, {"foreground": 2.0})):
        with pytest.raises(SettingsError, match="take the place of background and foreground"):
            Settings("lenet", **one, **other)


def test_mean_and_std_of_different_numbers_of_channels_are_refused():
    with pytest.raises(SettingsError, match="mean has 2 numbers and std has 3"):
        Settings("lenet", mean="0,0", std="1,1,1")


def test_a_plateau_is_part_of_a_schedule():
    assert parse_schedule("plateau:0.1:5").plateau == (0.1, 5, None)
    assert parse_schedule("warmup:2 plateau:0.5:3:2").plateau == (0.5, 3, 2)
    assert parse_schedule("cosine").plateau is None


def test_padding_and_crops_of_the_original_image_exclude_each_other():
    with pytest.raises(SettingsError, match="fit pad and the augmentation resized-crop exclude each other"):
        Settings("lenet", fit="pad", augment="flip resized-crop")
