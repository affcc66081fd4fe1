"""Images and labels are checked before anything is computed from them."""

from gluon_classics.data.examples import check_data_set, check_labels, check_pixels, check_shapes
from gluon_classics.data.images import Images
from gluon_classics.errors import DataError
import numpy as np
import pytest

PIXELS = np.zeros((6, 4, 4, 1), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
WRONG_LABELS = {
    "column": (LABELS[:, None], r"labels have shape \(6, 1\): .* labels\.reshape\(-1\)"),
    "row": (LABELS[None], r"labels have shape \(1, 6\)"),
    "one-hot": (np.eye(3)[LABELS], r"labels have shape \(6, 3\): .* labels\.argmax\(axis=1\)"),
    "scalar": (np.array(1), r"labels have shape \(\)"),
    "too few": (LABELS[:5], "6 images, but 5 labels"),
    "too many": (np.append(LABELS, 0), "6 images, but 7 labels"),
    "none": (LABELS[:0], "6 images, but 0 labels"),
    "negative": (LABELS - 1, "a label is -1"),
    "fractions": (LABELS / 2, r"a label is 0\.5"),
    "nan": (np.where(LABELS == 2, np.nan, LABELS), "a label is nan"),
    "infinite": (np.where(LABELS == 2, np.inf, LABELS), "a label is inf"),
    "text": (LABELS.astype(str), "labels have type <U"),
    "objects": (LABELS.astype(object), "labels have type object"),
    "truth values": (LABELS > 0, "labels have type bool"),
    "complex": (LABELS + 0j, "labels have type complex128"),
    "dates": (LABELS.astype("datetime64[s]"), "labels have type datetime64"),
}


@pytest.mark.parametrize("name", WRONG_LABELS)
def test_labels_that_are_not_one_class_number_per_image_are_refused(name):
    labels, message = WRONG_LABELS[name]
    for check in (check_data_set, Images):
        with pytest.raises(DataError, match=message):
            check(PIXELS, labels)


@pytest.mark.parametrize("kind", ["uint8", "int8", "int64", "uint64", "float16", "float32", "float64"])
def test_whole_numbers_of_any_type_are_labels(kind):
    check_data_set(PIXELS, LABELS.astype(kind))
    check_labels(LABELS.astype(kind), classes=3)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS + 1, "a label is 3, but there are 3 classes, 0 to 2: subtract 1 if they are counted from 1"),
        (LABELS * 50, "a label is 100, but there are 3 classes, 0 to 2: build the network with more classes"),
        (LABELS.astype("float32") + 1, "a label is 3, but there are 3 classes"),
        (np.array([0, 2**63], np.uint64), "a label is 9223372036854775808, but"),
        (np.array([255, 0], np.uint8), "a label is 255, but"),
    ],
)
def test_labels_above_the_classes_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        check_labels(labels, classes=3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((6, 4, 4, 1), np.nan), "infinite or not a number"),
        (np.where(np.arange(96).reshape(6, 4, 4, 1) == 50, -np.inf, 0.0), "infinite or not a number"),
        (PIXELS.astype(object), "images have type object"),
        (PIXELS.astype(str), "images have type <U"),
        (PIXELS > 0, "images have type bool"),
        (np.zeros(6), r"images have shape \(6,\)"),
        (PIXELS[:, :0], r"images have shape \(6, 0, 4, 1\)"),
        (PIXELS[:0], "0 images, but 6 labels"),
    ],
)
def test_images_that_are_not_finite_numbers_are_refused(images, message):
    with pytest.raises(DataError, match=message):
        check_data_set(images, LABELS)


def test_a_data_set_without_images_is_refused():
    with pytest.raises(DataError, match=r"images have shape \(0, 4, 4, 1\)"):
        check_data_set(PIXELS[:0], LABELS[:0])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (PIXELS[..., 0], r"use \(N, H, W, C\)"),
        (PIXELS.astype("int64"), "use pixels 0..255, of type uint8"),
        (PIXELS + np.float32(0.5), r"from 0\.5 to 0\.5: use pixels 0..255, not scaled"),
        (PIXELS.astype("float32") - 1, "from -1 to -1"),
        (PIXELS + 256.0, "from 256 to 256"),
    ],
)
def test_pixels_that_would_be_scaled_wrongly_are_refused(images, message):
    with pytest.raises(DataError, match=message):
        check_pixels(images)


def test_shapes_of_a_batch_are_checked_without_its_values():
    check_shapes((64, 784), (64,))
    with pytest.raises(DataError, match="labels have shape"):
        check_shapes((64, 784), (64, 10))
