"""The published settings fit the images and sizes of the user, and what the user chose is never changed."""

from dataclasses import replace

from gluon_classics import get_model, list_models, model_info
from gluon_classics.data import datasets
from gluon_classics.data.images import Images
from gluon_classics.errors import DataError, SettingsError
from gluon_classics.experiment.build import loaders
from gluon_classics.experiment.initializers import initialize
from gluon_classics.experiment.published_training import for_images, published_settings
from gluon_classics.experiment.settings import Settings
from gluon_classics.utils.seeding import seed_everything
import mxnet as mx
import numpy as np
import pytest

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
        assert published_settings(name) == Settings.of(name)


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
    assert Settings.of("vgg11").init == "xavier"


@pytest.mark.parametrize(("init", "low", "high"), [("normal(0.1)", 1e6, np.inf), (None, 0, 1e3)])
def test_with_the_variance_that_vggs_paper_prints_the_first_logits_are_too_large_to_train(init, low, high):
    seed_everything(0)
    net = get_model("vgg11")
    initialize(net, Settings.of("vgg11", init=init), [mx.cpu()], (3, 32, 32))
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
