"""Augmentations as users write them."""

from gluon_classics.data.augment_words import Operation, parse_augment
from gluon_classics.errors import SettingsError
import pytest


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("none", ()),
        ("flip", (("flip", ()),)),
        ("crop:4 flip", (("crop", (4,)), ("flip", ()))),
        ("flip crop", (("flip", ()), ("crop", (0,)))),
        ("  resized-crop \n color:0.1 ", (("resized-crop", (0.08, 0.75)), ("color", (0.1, 0.4, 0.4)))),
        ("scale lighting", (("scale", (256, 512)), ("lighting", (0.1,)))),
        ("scale:224:224 affine:0.2", (("scale", (224, 224)), ("affine", (0.2,)))),
    ],
)
def test_augmentations_keep_their_order_and_have_default_numbers(text, operations):
    assert parse_augment(text) == tuple(Operation(*operation) for operation in operations)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "augment is empty"),
        ("  ", "augment is empty"),
        ("none flip", "unknown augmentation 'none'"),
        ("flop", "unknown augmentation 'flop': use none, or one or more of flip, crop"),
        ("Flip", "unknown augmentation"),
        ("flip flip", "repeats flip"),
        ("crop resized-crop", r"crops twice \(crop and resized-crop\)"),
        ("flip:1", "'flip:1' is not an augmentation: write it as in flip"),
        ("crop:4:4", "write it as in crop:4"),
        ("crop:", "write it as in crop:4"),
        ("crop:1.5", "write it as in crop:4"),
        ("crop:x", "write it as in crop:4"),
        ("crop:4:", "write it as in crop:4"),
        ("crop::4", "write it as in crop:4"),
        ("crop:1_0", "write it as in crop:4"),
        ("crop:٤", "write it as in crop:4"),
        (":4", "unknown augmentation"),
        ("affine:0_1", "write it as in affine:0.1"),
        ("crop:-1", "out of range: use 0 to 32767"),
        ("crop:99999", "out of range"),
        ("resized-crop:0", "out of range"),
        ("resized-crop:1.5", "out of range"),
        ("resized-crop:0.1:2", "out of range"),
        ("color:nan", "out of range: use 0 to 1"),
        ("color:inf", "out of range"),
        ("lighting:-0.1", "out of range"),
        ("affine:1", "out of range: use 0 to 0.9"),
        ("scale:512:256", "write the smaller one first"),
    ],
)
def test_what_is_no_augmentation_is_refused(text, message):
    with pytest.raises(SettingsError, match=message):
        parse_augment(text)


def test_only_crops_of_random_size_come_from_the_original_image():
    from_original = [
        name for name in ("flip", "crop", "color", "lighting", "affine") if parse_augment(name)[0].from_original
    ]
    assert not from_original
    assert all(operation.from_original for name in ("resized-crop", "scale") for operation in parse_augment(name))
