"""The published settings fit the images and sizes of the user, and what the user chose is never changed."""

from dataclasses import replace
import math

from gluon_classics import get_model, list_models, model_info
from gluon_classics.data import datasets
from gluon_classics.data.images import Images
from gluon_classics.errors import DataError, SettingsError
from gluon_classics.experiment.build import loaders
from gluon_classics.experiment.initializers import initialize
from gluon_classics.experiment.published_training import SETTLED_BY, for_images, not_done, published_settings
from gluon_classics.experiment.settings import Settings
from gluon_classics.utils.seeding import seed_everything
import mxnet as mx
import numpy as np
import pytest

# What the papers, their authors' code or the examples print; where they print nothing, what the docstrings say.
# Networks, optimizer, batch size, rate, momentum, weight decay, epochs, schedule, initial weights, augmentation.
# Where a source counts batches or images, the epochs are those of its data.
PRINTED = [
    ("lenet_scratch_straight_dope", "sgd", 64, 0.64, 0, 0, 10, "", "published", "none"),
    ("lenet_bn_scratch_straight_dope", "sgd", 64, 0.064, 0, 0, 10, "", "published", "none"),
    ("lenet_cifar10", "adam", 100, 0.001, 0, 0, 200, "74:0.5 149:0.25", "pytorch", "flip"),
    ("lenet_caffe", "sgd", 64, 0.01, 0.9, 5e-4, math.ceil(10_000 * 64 / 60_000), "", "xavier", "none"),
    ("lenet_slim", "sgd", 50, 0.01, 0, 0, math.ceil(20_000 * 50 / 60_000), "", "xavier", "none"),
    ("lenet_pytorch_2017 lenet_pytorch_2018", "sgd", 64, 0.01, 0.5, 0, 10, "", "pytorch", "none"),
    ("lenet_pytorch", "adadelta", 64, None, 0, 0, 14, "", "pytorch", "none"),
    ("lenet_1989", "sgd", 1, 0.03, 0, 0, 23, "", "published", "none"),
    ("lenet1", "sgd", 1, 0.03, 0, 0, 30, "", "published", "none"),
    ("lenet5", "diagonallm", 1, 5e-4, 0, 0, 20, "2:0.4 5:0.2 8:0.1 12:0.02", "published", "none"),
    ("lenet5_full", "sgd", 64, 0.01, 0, 0, 1, "", "published", "none"),
    ("alexnet_2012", "sgd", 128, 0.01, 0.9, 5e-4, 90, "plateau:0.1:5:3", "published", "crop flip lighting:0.1"),
    (
        *("vgg11 vgg11_lrn vgg13", "sgd", 256, 0.01, 0.9, 5e-4, 74),
        *("plateau:0.1:5:3", "xavier", "scale:256:256 flip lighting:0.1"),
    ),
    (
        *("vgg16_c vgg16 vgg19", "sgd", 256, 0.01, 0.9, 5e-4, 74),
        *("plateau:0.1:5:3", "xavier", "scale:256:512 flip lighting:0.1"),
    ),
    (
        *("vgg11_bn vgg13_bn vgg16_bn vgg19_bn", "sgd", 256, 0.1, 0.9, 1e-4, 90),
        *("30:0.1 60:0.01", "xavier", "resized-crop:0.08:0.75 flip"),
    ),
    ("nin_cifar10 nin_cifar10_caffe", "sgd", 128, 0.1, 0.9, 1e-4, 260, "200:0.1 230:0.01", "published", "none"),
    ("nin_imagenet", "sgd", 64, 0.01, 0.9, 5e-4, 22, "10:0.1 20:0.01", "xavier", "crop flip"),
    (
        *("googlenet_v1", "sgd", 64, 0.01, 0.9, 0, 1),
        *("decay:0.96:8", "xavier", "resized-crop:0.08:0.75 color:0.5:0.5:0.5 lighting:0.1"),
    ),
    ("inception_bn", "sgd", 32, 0.045, 0, 0, 150, "", "xavier", "none"),
    (
        *("inception_v3", "tfrmsprop", 32, 0.045, 0, 0, 100),
        *("decay:0.94:2", "xavier", "resized-crop:0.05:0.75 flip"),
    ),
    (
        *("resnet18_v1 resnet34_v1 resnet50_v1 resnet101_v1 resnet152_v1", "sgd", 256, 0.1, 0.9, 1e-4, 120),
        *("plateau:0.1:5", "he", "scale:256:480 flip lighting:0.1"),
    ),
    (
        *("resnet20_cifar10 resnet32_cifar10 resnet44_cifar10 resnet56_cifar10", "sgd", 128, 0.1, 0.9, 1e-4, 164),
        *("82:0.1 123:0.01", "he", "crop:4 flip"),
    ),
    ("resnet110_cifar10", "sgd", 128, 0.1, 0.9, 1e-4, 164, "0:0.1 1:1 82:0.1 123:0.01", "he", "crop:4 flip"),
    ("squeezenet1_0 squeezenet1_1", "sgd", 512, 0.04, 0.9, 2e-4, 68, "", "xavier", "crop"),
    (
        *("resnet18_v2 resnet34_v2 resnet50_v2 resnet101_v2 resnet152_v2 resnet200_v2", "sgd", 256, 0.1, 0.9, 1e-4, 90),
        *("30:0.1 60:0.01", "he", "scale:256:480 flip lighting:0.1"),
    ),
    (
        *("densenet121 densenet169 densenet201", "nag", 256, 0.1, 0.9, 1e-4, 90),
        *("30:0.1 60:0.01", "he", "resized-crop:0.08:0.75 color:0.4:0.4:0.4 lighting:0.1 flip"),
    ),
    (
        *("densenet161", "nag", 128, 0.1, 0.9, 1e-4, 100),
        *("30:0.1 60:0.01 90:0.001", "he", "resized-crop:0.08:0.75 color:0.4:0.4:0.4 lighting:0.1 flip"),
    ),
    (
        *("resnext50_32x4d resnext101_32x4d resnext101_64x4d", "nag", 256, 0.1, 0.9, 1e-4, 100),
        *("30:0.1 60:0.01 90:0.001", "he", "resized-crop:0.08:0.75 color:0.4:0.4:0.4 lighting:0.1 flip"),
    ),
    (
        *("mobilenet_v2", "tfrmsprop", 96, 0.045, 0.9, 4e-5, 412),
        *("decay:0.98:1", "xavier", "resized-crop:0.05:0.75 flip"),
    ),
    (
        *("se_resnet18 se_resnet50 se_resnet101 se_resnet152", "sgd", 1024, 0.6, 0.9, 0, 100),
        *("30:0.1 60:0.01 90:0.001", "he", "resized-crop:0.08:0.75 flip"),
    ),
    (
        "regnetx_200mf regnetx_400mf regnetx_800mf regnety_200mf regnety_400mf regnety_600mf regnety_800mf",
        *("nag", 1024, 0.8, 0.9, 5e-5, 100),
        *("cosine warmup:5", "xavier", "resized-crop:0.08:0.75 flip lighting:0.1"),
    ),
    (
        " ".join(f"efficientnet_b{number}" for number in range(8)),
        *("tfrmsprop", 4096, 0.256, 0.9, 1e-5, 350),
        *("decay:0.97:2.4 warmup:5", "xavier", "resized-crop:0.08:0.75 flip"),
    ),
]
OF_PAPERS = [name for name in list_models() if model_info(name).training.get("augment")]
LABELS = np.arange(600) % 10
GRAYSCALE = "Grayscale images: the published mean, std and changes of colors are left out."


def dataset(channels, count=4, side=28):
    """Return a data set of random images, two of each class."""
    pixels = np.random.RandomState(0).randint(0, 256, (count, side, side, channels)).astype(np.uint8)
    images = Images(pixels, np.arange(count) % 2)
    return datasets.DataSet("random", images, images, ("a", "b"), "random numbers")


def test_without_options_they_are_the_published_ones():
    for name in list_models():
        assert published_settings(name) == Settings(name, **model_info(name).training)


@pytest.mark.parametrize("row", PRINTED, ids=lambda row: row[0].partition(" ")[0])
def test_the_default_settings_are_the_printed_ones(row):
    names, *printed = row
    for name in names.split():
        own = published_settings(name)
        rate = own.learning_rate if own.has_rate else None
        numbers = (own.optimizer, own.batch_size, rate, own.momentum, own.weight_decay, own.epochs)
        assert [*numbers, own.schedule, own.init, own.augment] == printed, name


def test_the_table_of_printed_settings_has_each_network_with_settings_once():
    rows = [name for names, *_ in PRINTED for name in names.split()]
    assert sorted(rows) == sorted(name for name in list_models() if model_info(name).training)


def test_only_these_networks_with_settings_leave_nothing_of_the_published_training_undone():
    whole = [name for name in list_models() if model_info(name).training and not model_info(name).not_done]
    straight_dope = ["lenet_scratch_straight_dope", "lenet_bn_scratch_straight_dope"]
    assert whole == [*straight_dope, "lenet_cifar10", "lenet_pytorch_2017", "lenet_pytorch_2018", "lenet5_full"]


def test_networks_that_were_published_without_settings_have_the_blogs_on_any_images():
    for name in list_models():
        if not model_info(name).training:
            settings = published_settings(name, resize=32)
            assert for_images(settings, 1, LABELS[:3], {}) == (Settings(name, resize=32), "")


def test_train_says_which_initial_weights_it_does_not_have():
    """Unless an edition's training sets them, what its departures say of them is also in what is not done."""
    for name in list_models():
        info = model_info(name)
        differ = any(words in part for part in info.departures for words in ("initial weights (", "trained weights ("))
        if differ and "init" not in info.training:
            assert any(part.startswith("initial weights: ") for part in info.not_done), name
    (weights,) = (part for part in model_info("vgg11").not_done if part.startswith("initial weights"))
    assert "normal, with a variance of .01 (here: Xavier" in weights
    assert published_settings("vgg11").init == "xavier"


@pytest.mark.parametrize(("init", "low", "high"), [("normal(0.1)", 1e6, np.inf), (None, 0, 1e3)])
def test_with_the_variance_that_vggs_paper_prints_the_first_logits_are_too_large_to_train(init, low, high):
    seed_everything(0)
    net = get_model("vgg11")
    initialize(net, published_settings("vgg11", init=init), [mx.cpu()], (3, 32, 32))
    pixels = mx.nd.random.normal(0, 60, (1, 3, 32, 32))  # 0..255 minus their mean
    assert low < abs(net(pixels).asnumpy()).max() < high


def test_on_grayscale_images_settings_for_colors_are_left_out_and_this_is_said():
    settings, said = for_images(published_settings("densenet121"), 1, LABELS, {})
    assert (settings.mean, settings.std, settings.augment) == ("", "", "resized-crop:0.08:0.75 flip")
    assert said == GRAYSCALE
    assert settings.image_size == 256


def test_one_number_for_all_channels_stays_on_grayscale_images():
    settings, said = for_images(published_settings("mobilenet_v2"), 1, LABELS, {})
    assert (settings.mean, settings.std, said) == ("0.5", "0.5", "")


def test_nothing_is_left_out_on_color_images():
    for name in OF_PAPERS:
        settings = published_settings(name)
        assert for_images(settings, 3, LABELS, {}) == (settings, "")


@pytest.mark.parametrize(
    ("option", "value"), [("mean", "0.5,0.5,0.5"), ("std", "0.2,0.2,0.2"), ("augment", "lighting:0.1")]
)
def test_what_the_user_chose_stays_and_is_an_error_on_grayscale_images(option, value):
    given = {option: value, "std" if option == "mean" else "mean": None}
    settings, _ = for_images(published_settings("vgg16", **given), 1, LABELS, given)
    assert getattr(settings, option) == value
    with pytest.raises(DataError, match=r"1 channel:|color images"):
        loaders(replace(settings, batch_size=2), dataset(1))


@pytest.mark.parametrize("name", OF_PAPERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_become_inputs_of_every_network(name, channels):
    """The published data is larger than the input: crops of 224x224, for example, are cut from 256x256."""
    data = dataset(channels)
    settings, _ = for_images(published_settings(name), channels, data.train.labels, {})
    made = loaders(replace(settings, batch_size=2), data)
    key = np.array([1, 2], np.uint64)
    for images, labels in (made.train.batch(np.arange(2), key), made.test.batch(np.arange(2))):
        assert images.shape == (2, channels, settings.size, settings.size)
        assert np.isfinite(images.asnumpy()).all()
        assert labels.asnumpy().tolist() == [0, 1]


def test_another_size_changes_the_sizes_of_the_images_in_proportion():
    settings = published_settings("resnet18_v1", resize=112)
    assert (settings.size, settings.image_size) == (112, 128)
    assert settings.augment == "scale:128:240 flip lighting:0.1"
    assert published_settings("vgg16", resize=448).image_size == 512


def test_sizes_that_the_user_chose_are_not_changed():
    settings = published_settings("resnet18_v1", resize=112, image_size=200, augment="crop")
    assert (settings.image_size, settings.augment) == (200, "crop")
    with pytest.raises(SettingsError, match="resize is 0"):
        published_settings("resnet18_v1", resize=0)


@pytest.mark.parametrize("given", [{"background": 1.0, "foreground": 0.0}, {"foreground": 2.0}])
def test_background_and_foreground_replace_the_published_mean(given):
    settings = published_settings("resnet18_v1", **given)
    assert (settings.mean, settings.std) == ("", "")
    assert (settings.background, settings.foreground) == (given.get("background", 0.0), given["foreground"])


def test_no_images_are_held_out_of_a_small_class_and_this_is_said():
    settings = published_settings("efficientnet_b0")
    assert (settings.validation_share, settings.reported) == (0.0195, "best")
    assert for_images(settings, 3, LABELS, {}) == (settings, "")
    small, said = for_images(settings, 3, LABELS[:510], {})
    assert (small.validation_share, small.reported) == (None, "last")
    assert said == (
        "A class has only 51 training images, so none are held out for validation (published: 1.95 %), and the last "
        "epoch is reported."
    )
    assert for_images(settings, 3, LABELS[:510], {"validation_share": 0.0195}) == (settings, "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["how long", "tests on", "initial weights"]),
        ({"init": "normal(0.1)"}, ["how long", "tests on"]),
        ({"schedule": "30:0.1", "test_crops": "ten"}, ["initial weights"]),
        ({"learning_rate": 0.1}, ["how long", "tests on", "initial weights"]),
    ],
)
def test_what_is_not_done_is_without_what_a_setting_changes(changes, words):
    parts = not_done(published_settings("vgg11", **changes))
    assert [next((word for word in words if part.startswith(word)), part) for part in parts] == words


def test_every_setting_that_settles_a_part_is_named_by_a_network():
    every = [part for name in list_models() for part in model_info(name).not_done]
    for words, groups in SETTLED_BY.items():
        assert any(part.startswith(words) for part in every), words
        assert {name for group in groups for name in group} <= set(Settings.__dataclass_fields__)


def test_another_size_settles_nothing():
    for name in list_models():
        doubled = published_settings(name, resize=2 * model_info(name).input_shape[1])
        assert not_done(doubled) == model_info(name).not_done, name


@pytest.mark.parametrize(
    ("changes", "settled"), [({"batch_size": 32}, 0), ({"batch_size": 32, "learning_rate": 0.1, "epochs": 64}, 1)]
)
def test_settings_that_belong_together_are_settled_together(changes, settled):
    parts = not_done(published_settings("googlenet_v1", **changes))
    assert len(parts) == len(model_info("googlenet_v1").not_done) - settled


@pytest.mark.parametrize("given", [{"learning_rate": 0.5}, {"schedule": "1:0.5"}])
def test_a_learning_rate_is_refused_for_an_optimizer_without_one(given):
    with pytest.raises(SettingsError, match="adadelta has no learning rate: leave out the learning rate"):
        published_settings("lenet", optimizer="adadelta", **given)
    with pytest.raises(SettingsError, match="adadelta has no learning rate"):
        published_settings("lenet_pytorch", **given)
    assert published_settings("lenet_pytorch", optimizer="sgd", **given).has_rate


@pytest.mark.parametrize("given", [{"init": "xavier"}, {"weights": "unseeded"}])
def test_an_initializer_is_refused_if_a_file_sets_all_weights(given):
    with pytest.raises(SettingsError, match="init_from sets all weights: leave out the initializer"):
        published_settings("lenet", init_from="net.params", **given)
    assert published_settings("lenet", init_from="net.params", new_head=True, **given).new_head


def test_what_is_not_used_is_not_said_to_be_left_out():
    settings = published_settings("lenet", mean="0.1,0.2,0.3")
    assert for_images(settings, 1, LABELS, {"mean": "0.1,0.2,0.3"}) == (settings, "")
