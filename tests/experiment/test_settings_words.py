"""Every setting that decides a run is in its words."""

from dataclasses import fields, replace

from gluon_classics.experiment.settings import Settings
from gluon_classics.experiment.settings_words import schedule_words, settings_words
import pytest

BASE = Settings("lenet", resize=20)
CHANGES = {
    "validation_share": (0.1, "10 % held out for validation"),
    "micro_batch_size": (8, "8 images computed at a time"),
    "patience": (5, "stop after 5 epochs without a higher accuracy"),
    "schedule": ("plateau:0.1:5:3", "(0.1 times the rate after 5 epochs without a higher accuracy, 3 times at most)"),
    "image_size": (24, "cut from images of 24x24"),
    "fit": ("crop", "fit crop"),
    "mean": ("0.5,0.4,0.3", "pixels minus 0.5,0.4,0.3"),
    "std": ("0.2", "pixels divided by 0.2"),
    "augment": ("crop:4 flip", "random crops of images padded by 4, random flips"),
    "reported": ("best", "best test accuracy"),
    "momentum": (0.9, "momentum 0.9"),
    "weight_decay": (1e-4, "weight decay 0.0001"),
    "last_batch": ("scale", "last batch scale"),
    "resize_in": ("float32", "resizing float32"),
}
# not shown: what follows from the rest, names what is trained on, or has its own place in a recipe
NOT_SHOWN = {
    *("model", "data", "subset", "seed", "test_share", "transparent_as", "background", "foreground", "init_from"),
    *("test_crops", "new_head", "freeze"),  # need other settings; tested below
    *("resize", "batch_size", "learning_rate", "optimizer", "init", "weights", "epochs"),  # always shown
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_that_is_not_the_default_is_shown_in_words(name):
    value, words = CHANGES[name]
    assert words in settings_words(replace(BASE, **{name: value}))
    assert words not in settings_words(BASE)


def test_every_setting_is_shown_or_known_not_to_be():
    assert {field.name for field in fields(Settings)} == {*CHANGES} | NOT_SHOWN


def test_settings_that_need_others_are_shown():
    crops = settings_words(replace(BASE, image_size=24, fit="crop", test_crops="ten"))
    assert "cut from images whose shorter side has 24 pixels, ten crops in tests" in crops
    frozen = settings_words(replace(BASE, init_from="a.params", new_head=True, freeze="body"))
    assert "new last layer, only the last layer trained" in frozen
    held_out = settings_words(replace(BASE, validation_share=0.1, reported="best"))
    assert "best validation accuracy" in held_out


@pytest.mark.parametrize(
    ("augment", "words"),
    [
        ("flip", "random flips"),
        ("crop:4", "random crops of images padded by 4"),
        ("resized-crop:0.08:0.75", "random crops of 8 to 100 % of the area with aspect ratios of 0.75 to 1.33"),
        ("scale:256:480", "random crops of images whose shorter side has 256 to 480 pixels"),
        ("scale:256:256", "random crops of images whose shorter side has 256 pixels"),
        ("color:0.4:0.4:0.4", "random brightness, contrast and saturation (up to 40 %)"),
        ("color:0.1:0.2:0.3", "random brightness, contrast and saturation (up to 10 %, 20 %, 30 %)"),
        ("lighting:0.1", "random lighting (standard deviation 0.1)"),
        ("affine:0.1", "random shifts, scales and shears (up to 10 %)"),
    ],
)
def test_every_augmentation_has_words(augment, words):
    assert f", {words}, 1 epoch" in settings_words(replace(BASE, augment=augment))


def test_an_optimizer_without_a_learning_rate_is_shown_without_one():
    settings = replace(BASE, optimizer="adadelta", schedule="2:0.5")
    assert settings_words(settings) == settings_words(replace(settings, learning_rate=0.5, schedule=""))
    assert settings_words(settings) == "20x20, batch 64, adadelta, xavier, 1 epoch"
    assert settings_words(settings, ("optimizer",)) == "20x20, batch 64, xavier, 1 epoch"
    shown = settings_words(replace(BASE, learning_rate=0.5), ("optimizer",))
    assert shown == "20x20, batch 64, lr 0.5, xavier, 1 epoch"


def test_other_parts_of_a_schedule_stay_as_they_are():
    assert schedule_words("2:0.4 5:0.2") == "2:0.4 5:0.2"
    words = schedule_words("warmup:5 plateau:0.5:2")
    assert words == "warmup:5; 0.5 times the rate after 2 epochs without a higher accuracy"
