"""Each augmentation: its distribution, its borders, and that it follows from the key and the number of the image."""

import itertools
import subprocess
import sys

from gluon_classics.data.augment_words import parse_augment
from gluon_classics.data.augmentation import (
    COMPONENTS,
    SPREADS,
    augmented,
    check_operations,
    draw_key,
    generator_of,
)
from gluon_classics.data.images import center_crop, with_shorter_side
import numpy as np
import pytest

KEY = np.array([3, 5], np.uint64)


def draws(text, image, height, width, count=200):
    """Return the image after an augmentation, with different generators."""
    operations = parse_augment(text)
    return [augmented(image, operations, generator_of(KEY, number), height, width) for number in range(count)]


def coordinates(height, width):
    """Return an image (H, W, 2) float32 whose values are the row and the column of a pixel, from 1."""
    return np.stack(np.meshgrid(np.arange(1, height + 1), np.arange(1, width + 1), indexing="ij"), axis=-1).astype(
        np.float32
    )


@pytest.fixture
def photo(rng):
    """Return an image (30, 40, 3) uint8, smooth enough to be resized."""
    small = rng.randint(40, 200, (6, 8, 3), np.uint8)
    return np.repeat(np.repeat(small, 5, axis=0), 5, axis=1)


# ---------------------------------------------------------------- generators


def test_the_generator_of_an_image_follows_from_key_and_number_on_every_machine():
    first = [
        generator_of(np.array(key, np.uint64), number).randint(10**6) for key in ((1, 2), (1, 3)) for number in (0, 1)
    ]
    code = (
        "import numpy as np; from gluon_classics.data.augmentation import generator_of\n"
        "print([int(generator_of(np.array(k, np.uint64), n).randint(10**6)) for k in ((1, 2), (1, 3)) for n in (1, 0)])"
    )
    other = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE).stdout.decode()
    a, b, c, d = first
    assert other.strip() == str([int(number) for number in (b, a, d, c)])
    assert len(set(first)) == 4
    assert first == PINNED


PINNED = [224009, 862503, 346553, 208374]


def test_neighboring_images_have_independent_numbers():
    numbers = np.array([generator_of(KEY, number).random_sample(4) for number in range(4000)])
    assert np.abs(np.corrcoef(numbers[:-1].T, numbers[1:].T)[:4, 4:]).max() < 5 / np.sqrt(4000)
    assert np.allclose(numbers.mean(axis=0), 0.5, atol=5 * np.sqrt(1 / 12 / 4000))


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng], ids=["old", "new"])
def test_keys_are_drawn_from_both_kinds_of_generators(make):
    key, again, other = draw_key(make(1)), draw_key(make(1)), draw_key(make(2))
    assert key.shape == (2,)
    assert key.dtype == np.uint64
    assert key.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("text", ["flip", "crop:2", "resized-crop", "scale:30:60", "color", "lighting", "affine"])
@pytest.mark.parametrize("number_type", [np.uint8, np.float32])
def test_each_augmentation_gives_the_size_and_leaves_its_input_alone(photo, text, number_type):
    image = photo[:30, :30].astype(number_type)
    before = image.copy()
    results = draws(text, image, 30, 30, 50)
    assert {result.shape for result in results} == {(30, 30, 3)}
    changes_colors = text in ("color", "lighting")
    assert {result.dtype for result in results} == {np.dtype(np.float32 if changes_colors else number_type)}
    assert len({result.tobytes() for result in results}) > (1 if text == "flip" else 20)
    assert (image == before).all()


def test_augmentations_are_applied_in_their_order():
    image = coordinates(6, 6)
    border_last = draws("flip crop:3", image, 6, 6, 64)
    border_first = draws("crop:3 flip", image, 6, 6, 64)
    assert any((one != other).any() for one, other in zip(border_last, border_first))


def test_without_a_crop_the_middle_of_a_larger_image_remains():
    image = coordinates(9, 8)
    assert (augmented(image, (), generator_of(KEY, 0), 4, 4) == image[2:6, 2:6]).all()


# ---------------------------------------------------------------- flips and crops


def test_half_of_the_images_are_mirrored():
    image = coordinates(2, 3)
    results = draws("flip", image, 2, 3, 2000)
    mirrored = sum((result == image[:, ::-1]).all() for result in results)
    assert mirrored + sum((result == image).all() for result in results) == 2000
    assert abs(mirrored - 1000) < 5 * np.sqrt(2000) / 2


def test_crops_have_every_position_equally_often():
    image = coordinates(7, 6)
    results = draws("crop", image, 5, 5, 3000)
    corners = [tuple(result[0, 0] - 1) for result in results]
    for (top, left), result in zip(corners, results):
        assert (result == image[int(top) : int(top) + 5, int(left) : int(left) + 5]).all()
    counts = np.array([corners.count(place) for place in itertools.product(range(3), range(2))])
    assert counts.sum() == 3000
    assert np.abs(counts - 500).max() < 5 * np.sqrt(3000 / 6 * 5 / 6)


def test_a_border_of_zeros_is_around_padded_crops():
    image = coordinates(5, 5)
    results = draws("crop:2", image, 5, 5, 500)
    padded = np.pad(image, [(2, 2), (2, 2), (0, 0)])
    windows = {padded[top : top + 5, left : left + 5].tobytes() for top in range(5) for left in range(5)}
    assert {result.tobytes() for result in results} == windows


def test_resized_crops_have_the_areas_and_aspect_ratios_of_the_numbers():
    # upscaled, so that the coordinates of most pixels are exact; those at the edge repeat it, and size them is left out
    image = coordinates(64, 64)
    operations = parse_augment("resized-crop:0.25:0.5")
    shares, aspects = [], []
    for number in range(1500):
        result = augmented(image, operations, generator_of(KEY, number), 256, 256)
        rows, columns = (result[192, 192] - result[64, 64]) / 128 * 256
        shares.append(rows * columns / 64**2)
        aspects.append(columns / rows)
    assert 0.24 < min(shares) < 0.3
    assert 0.9 < max(shares) < 1.02
    assert 0.48 < min(aspects) < 0.56
    assert 1.8 < max(aspects) < 2.08
    assert abs(np.log(aspects).mean()) < 5 * np.log(2) / np.sqrt(3 * 1500)


def test_a_part_that_never_fits_is_the_middle_with_the_nearest_aspect_ratio():
    narrow = coordinates(200, 10)
    (result,) = draws("resized-crop:1:0.75", narrow, 8, 8, 1)
    rows = result[:, 0, 0]
    assert abs(rows.mean() - 100.5) < 1  # the middle of 200 rows
    assert 8 < rows.max() - rows.min() < 10 / 0.75
    assert np.ptp(result[..., 1]) > 6  # all columns


def test_the_shorter_side_has_every_length_of_the_range():
    image = coordinates(40, 60)
    found = set()
    for result in draws("scale:80:83", image, 80, 80, 400):
        step = (result[60, 60, 0] - result[20, 20, 0]) / 40
        found.add(round(40 / step))
    assert found == {80, 81, 82, 83}


def test_the_crop_of_a_scaled_image_keeps_its_proportions_and_may_be_anywhere(photo):
    results = draws("scale:30:30", photo, 30, 30, 100)
    wide = with_shorter_side(photo, 30)
    windows = {np.ascontiguousarray(wide[:, left : left + 30]).tobytes() for left in range(11)}
    assert {result.tobytes() for result in results} == windows


# ---------------------------------------------------------------- colors


def test_brightness_multiplies_all_values_by_a_factor_in_the_range(photo):
    image = photo[:30, :30]
    ratios = [result / image for result in draws("color:0.2:0:0", image, 30, 30)]
    factors = [ratio.mean() for ratio in ratios]
    assert all(np.ptp(ratio) < 1e-5 for ratio in ratios)
    assert 0.8 - 1e-6 <= min(factors) < 0.82
    assert 1.18 < max(factors) <= 1.2 + 1e-6


def gray(image):
    return image @ np.array([0.299, 0.587, 0.114])


def test_contrast_keeps_the_mean_gray_and_changes_the_distance_from_it(photo):
    image = photo[:30, :30].astype(np.float64)
    mean = gray(image).mean()
    for result in draws("color:0:0.3:0", photo[:30, :30], 30, 30, 50):
        factor = (result - mean).ravel() @ (image - mean).ravel() / ((image - mean) ** 2).sum()
        assert 0.7 - 1e-5 <= factor <= 1.3 + 1e-5
        assert np.allclose(result, mean + factor * (image - mean), atol=1e-3)


def test_saturation_keeps_the_gray_of_each_pixel(photo):
    image = photo[:30, :30].astype(np.float64)
    results = draws("color:0:0:0.2", photo[:30, :30], 30, 30, 50)
    for result in results:
        assert np.allclose(gray(result.astype(np.float64)), gray(image), atol=1e-2)
    assert max(np.abs(result - image).max() for result in results) > 5


def test_changed_colors_stay_in_0_to_255():
    image = np.array([0, 255], np.uint8).reshape(1, 2, 1).repeat(3, axis=2)
    results = np.stack(draws("color:1:1:1", image, 1, 2))
    assert results.min() == 0
    assert results.max() == 255


def test_gray_images_have_brightness_and_contrast_but_no_saturation(photo):
    image = photo[:30, :30, :1]
    assert all(np.allclose(result, image) for result in draws("color:0:0:1", image, 30, 30, 20))
    assert len({result.tobytes() for result in draws("color:0:1:0", image, 30, 30, 20)}) == 20


def test_lighting_adds_the_same_to_all_pixels_with_the_covariance_of_imagenets_colors(photo):
    image = photo[:30, :30].astype(np.float32)
    offsets = []
    for result in draws("lighting:0.1", image, 30, 30, 4000):
        offset = result - image
        assert np.ptp(offset, axis=(0, 1)).max() < 1e-4
        offsets.append(offset[0, 0])
    expected = COMPONENTS @ np.diag((0.1 * SPREADS) ** 2) @ COMPONENTS.T
    # the relative error of a variance of n normal numbers is sqrt(2 / n)
    assert np.abs(np.cov(np.transpose(offsets)) - expected).max() < 5 * np.sqrt(2 / 4000) * expected.max()


def test_the_components_are_orthogonal_directions():
    assert np.abs(COMPONENTS.T @ COMPONENTS - np.eye(3)).max() < 1e-3


# ---------------------------------------------------------------- affine maps


def test_an_affine_map_of_0_changes_nothing(photo):
    assert all((result == photo).all() for result in draws("affine:0", photo, 30, 40, 5))


def test_affine_maps_move_scale_squeeze_and_shear_within_the_share():
    image = coordinates(41, 31)
    found = []
    for result in draws("affine:0.1", image, 41, 31, 300):
        inner = result[12:29, 10:21].astype(np.float64)
        rows, columns = np.meshgrid(np.arange(12, 29) - 20, np.arange(10, 21) - 15, indexing="ij")
        known = np.stack([rows.ravel(), columns.ravel(), np.ones(rows.size)], axis=1)
        source = inner.reshape(-1, 2) - 1 - (20, 15)  # where each pixel comes from, in rows and columns from the middle
        solution, residuals, *_ = np.linalg.lstsq(known, source, rcond=None)
        assert residuals.max() < 0.05 * rows.size  # OpenCV rounds positions to 1/32 of a pixel
        inverse = np.linalg.inv(solution[:2].T)
        moved = -inverse @ solution[2]
        down, across = moved / (41, 31)
        scale = np.sqrt(inverse[0, 0] * inverse[1, 1])
        found.append((down, across, scale, inverse[0, 0] / scale, inverse[1, 0] / scale, inverse[0, 1]))
    down, across, scale, squeeze, shear, other = np.array(found).T
    for values in (down, across):
        assert 0.09 < np.abs(values).max() < 0.105
    assert 0.88 < scale.min() < 0.92
    assert 1.08 < scale.max() < 1.12
    assert 1.08 < squeeze.max() < 1.12
    assert 0.09 < np.abs(shear).max() < 0.115
    assert np.abs(other).max() < 0.01


def test_zeros_are_around_a_moved_image():
    results = draws("affine:0.5", np.full((20, 20, 1), 200, np.uint8), 20, 20, 50)
    assert any((result == 0).any() for result in results)


# ---------------------------------------------------------------- what does not fit


def test_lighting_of_gray_images_is_refused(data_error):
    with data_error("lighting is for color images", "leave it out"):
        check_operations(parse_augment("flip lighting"), 1, 28, 28)
    check_operations(parse_augment("flip lighting"), 3, 28, 28)


def test_a_scale_below_the_size_of_the_result_is_refused(data_error):
    with data_error("smallest size of the augmentation scale is 100, less than the 128"):
        check_operations(parse_augment("scale:100:200"), 3, 128, 160)


def test_a_middle_that_is_not_exactly_in_the_middle_is_above_and_left():
    assert (center_crop(coordinates(4, 7), 3, 4)[0, 0] == (1, 2)).all()
