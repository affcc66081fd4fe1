"""Image folders with one subfolder per class, single image files, and show_images."""

import struct
import zlib

import cv2
from gluon_classics import utils
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.images import Images, read_image, resize_image
import mxnet as mx
import numpy as np
import pytest

RED, BLUE = (255, 0, 0), (0, 0, 255)


def save(path, pixels):
    """Write an image file from (H, W), or from (H, W, 3 or 4) in the order red, green, blue, alpha."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]  # OpenCV's order is blue, green, red
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def gray(value, side=8):
    return np.full((side, side), value, np.uint8)


@pytest.fixture
def zoo(tmp_path):
    """Return a folder with two classes: six cats with pixel values 0 to 5, and seven ants with 100 to 106."""
    for name, first, count in (("cat", 0, 6), ("ant", 100, 7)):
        for number in range(count):
            save(tmp_path / "zoo" / name / f"{number}.png", gray(first + number))
    return tmp_path / "zoo"


# ---------------------------------------------------------------- one subfolder per class


def test_subfolders_are_the_classes_in_sorted_order(zoo):
    data = load_dataset(str(zoo))
    assert (data.name, data.classes, data.origin) == ("zoo", ("ant", "cat"), str(zoo))
    assert not data.is_sample


def test_every_fifth_image_of_each_class_is_a_test_image(zoo):
    data = load_dataset(str(zoo))
    assert data.test.images[:, 0, 0, 0].tolist() == [104, 4]
    assert data.test.labels.tolist() == [0, 1]
    assert data.train.images[:, 0, 0, 0].tolist() == [100, 101, 102, 103, 105, 106, 0, 1, 2, 3, 5]
    assert data.train.labels.tolist() == [0] * 6 + [1] * 5


def test_train_and_test_folders_are_used_as_they_are(tmp_path):
    for part, values in (("train", range(6)), ("test", range(10, 13))):
        for number, name in enumerate(("b", "a")):
            for value in values:
                save(tmp_path / part / name / f"{value}.png", gray(value + 100 * number))
    data = load_dataset(str(tmp_path))
    assert data.classes == ("a", "b")
    np.testing.assert_array_equal(data.train.images[:, 0, 0, 0], [*range(100, 106), *range(6)])
    np.testing.assert_array_equal(data.test.images[:, 0, 0, 0], [110, 111, 112, 10, 11, 12])
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_train_and_test_folders_may_have_one_image_per_class(tmp_path):
    for part in ("train", "test"):
        for name in ("a", "b"):
            save(tmp_path / part / name / "1.png", gray(1))
    data = load_dataset(str(tmp_path))
    assert (len(data.train), len(data.test)) == (2, 2)


def test_train_and_test_folders_with_different_classes_are_rejected(tmp_path, data_error):
    for name in ("train/a", "train/b", "test/a", "test/c"):
        save(tmp_path / name / "1.png", gray(1))
    with data_error(tmp_path, "b, c only in one of them"):
        load_dataset(str(tmp_path))


def test_color_channels_are_red_green_and_blue(tmp_path):
    for name, color in (("blue", BLUE), ("red", RED)):
        for number in range(5):
            save(tmp_path / name / f"{number}.png", np.full((4, 6, 3), color, np.uint8))
    data = load_dataset(str(tmp_path))
    assert data.train.images.shape == (8, 4, 6, 3)
    np.testing.assert_array_equal(data.train.images[data.train.labels == 0], np.full((4, 4, 6, 3), BLUE))
    np.testing.assert_array_equal(data.test.images[1], np.full((4, 6, 3), RED))


@pytest.mark.parametrize(("first", "channels"), [("grayscale", 1), ("color", 3)])
def test_mixed_grayscale_and_color_images_get_the_channels_of_the_first_image(tmp_path, first, channels):
    for name in ("a", "b"):
        for number in range(5):
            is_gray = (name == "a") == (first == "grayscale")
            pixels = gray(128) if is_gray else np.full((8, 8, 3), 128, np.uint8)
            save(tmp_path / name / f"{number}.png", pixels)
    data = load_dataset(str(tmp_path))
    assert data.train.images.shape == (8, 8, 8, channels)
    assert (data.train.images == 128).all()


def test_jpeg_files_and_uppercase_suffixes_are_read_and_other_files_are_ignored(tmp_path):
    for name in ("a", "b"):
        for number in range(4):
            save(tmp_path / name / f"{number}.jpg", gray(200))
        save(tmp_path / name / "4.PNG", gray(200))
        (tmp_path / name / "notes.txt").write_text("not an image")
    (tmp_path / "readme.md").write_text("not a class")
    (tmp_path / ".cache").mkdir()
    data = load_dataset(str(tmp_path))
    assert data.classes == ("a", "b")
    assert (len(data.train), len(data.test)) == (8, 2)


def test_hidden_files_are_ignored(zoo):
    # macOS writes a ._NAME next to every file on a disk of another system
    (zoo / "cat" / "._0.png").write_bytes(b"\x00\x05\x16\x07")
    assert len(load_dataset(str(zoo)).train) == 11


def test_images_of_different_sizes_are_resized_if_a_size_is_given(tmp_path, rng):
    for name in ("a", "b"):
        for number in range(5):
            save(tmp_path / name / f"{number}.png", rng.randint(0, 256, (10 + number, 20)).astype(np.uint8))
    data = load_dataset(str(tmp_path), size=16)
    assert data.train.images.shape == (8, 16, 16, 1)
    assert data.test.images.shape == (2, 16, 16, 1)
    np.testing.assert_array_equal(data.train.images[1], read_image(tmp_path / "a" / "1.png", size=16))


def test_images_of_different_sizes_are_rejected_without_a_size(zoo, data_error):
    odd = save(zoo / "cat" / "2.png", gray(2, side=9))
    with data_error(odd, "9x9", "size"):
        load_dataset(str(zoo))


def test_training_and_test_images_of_different_sizes_are_rejected_without_a_size(tmp_path, data_error):
    for name in ("a", "b"):
        save(tmp_path / "train" / name / "1.png", gray(1, side=8))
        save(tmp_path / "test" / name / "1.png", gray(1, side=9))
    with data_error(tmp_path / "test" / "a" / "1.png", "size"):
        load_dataset(str(tmp_path))


def test_the_error_names_a_damaged_image(zoo, data_error):
    broken = zoo / "cat" / "3.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    with data_error(broken, "not an image"):
        load_dataset(str(zoo))


def test_the_error_names_a_damaged_first_image(zoo, data_error):
    (zoo / "ant" / "0.png").write_bytes(b"")
    with data_error(zoo / "ant" / "0.png", "not an image"):
        load_dataset(str(zoo))


def test_a_class_without_images_is_rejected(zoo, data_error):
    (zoo / "dog").mkdir()
    with data_error(zoo / "dog", "no images"):
        load_dataset(str(zoo))


def test_a_single_class_is_rejected(tmp_path, data_error):
    for number in range(5):
        save(tmp_path / "only" / f"{number}.png", gray(1))
    with data_error(tmp_path, "two or more"):
        load_dataset(str(tmp_path))


def test_a_class_with_fewer_than_five_images_is_rejected_without_a_test_folder(zoo, data_error):
    for number in range(4):
        save(zoo / "eel" / f"{number}.png", gray(1))
    with data_error(zoo / "eel", "fewer than 5"):
        load_dataset(str(zoo))
    save(zoo / "eel" / "4.png", gray(1))
    assert load_dataset(str(zoo)).classes == ("ant", "cat", "eel")


# ---------------------------------------------------------------- one image


@pytest.fixture
def picture(rng):
    """Return random pixels (5, 7, 3)."""
    return rng.randint(0, 256, (5, 7, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_a_color_image_is_read_in_red_green_blue_order(tmp_path, picture, suffix):
    np.testing.assert_array_equal(read_image(save(tmp_path / f"a{suffix}", picture)), picture)


def test_a_jpeg_is_read_in_red_green_blue_order(tmp_path):
    pixels = read_image(save(tmp_path / "a.jpg", np.full((16, 16, 3), RED, np.uint8)))
    np.testing.assert_allclose(pixels.mean((0, 1)), RED, atol=3)  # JPEG is lossy


def test_a_grayscale_image_has_one_channel(tmp_path, picture):
    pixels = read_image(save(tmp_path / "a.png", picture[..., 0]))
    np.testing.assert_array_equal(pixels, picture[..., :1])


def test_the_alpha_channel_is_dropped(tmp_path, picture, rng):
    alpha = rng.randint(0, 256, (5, 7, 1)).astype(np.uint8)
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", np.concatenate([picture, alpha], 2))), picture)


def test_sixteen_bit_images_keep_their_upper_eight_bits(tmp_path, picture):
    wide = picture.astype(np.uint16) * 256 + 99
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", wide)), picture)
    np.testing.assert_array_equal(read_image(save(tmp_path / "b.png", wide[..., 0])), picture[..., :1])


def test_a_color_image_read_with_one_channel_is_converted_with_the_luma_weights(tmp_path, picture):
    pixels = read_image(save(tmp_path / "a.png", picture), channels=1)
    assert pixels.shape == (5, 7, 1)
    # weights of ITU-R BT.601; the test would fail if red and blue were swapped
    np.testing.assert_allclose(pixels[..., 0], picture @ [0.299, 0.587, 0.114], atol=1)


def test_a_grayscale_image_read_with_three_channels_has_three_equal_channels(tmp_path, picture):
    pixels = read_image(save(tmp_path / "a.png", picture[..., 0]), channels=3)
    np.testing.assert_array_equal(pixels, np.stack([picture[..., 0]] * 3, 2))


def test_an_image_with_the_requested_channels_is_unchanged(tmp_path, picture):
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", picture), channels=3), picture)
    np.testing.assert_array_equal(read_image(save(tmp_path / "b.png", picture[..., 0]), channels=1), picture[..., :1])


@pytest.mark.parametrize("channels", [1, 3])
def test_read_image_resizes_as_mxnet_does(tmp_path, picture, channels):
    path = save(tmp_path / "a.png", picture)
    expected = mx.image.imresize(mx.nd.array(read_image(path, channels=channels), dtype="uint8"), 12, 12)
    np.testing.assert_array_equal(read_image(path, size=12, channels=channels), expected.asnumpy())


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [4, 28, 31, 32, 96, 224])
def test_resizing_keeps_the_type_and_is_bit_identical_to_mxnets(rng, dtype, size):
    image = rng.randint(0, 256, (9, 13, 3)).astype(dtype)
    resized = resize_image(image, size)
    assert resized.dtype == dtype
    np.testing.assert_array_equal(resized, mx.image.imresize(mx.nd.array(image, dtype=dtype), size, size).asnumpy())


def test_the_error_names_a_missing_image(tmp_path, data_error):
    with data_error(tmp_path / "no.png", "no such file"):
        read_image(tmp_path / "no.png")


def test_a_folder_is_not_an_image(tmp_path, data_error):
    with data_error(tmp_path, "directory"):
        read_image(tmp_path)


def png_that_claims(width, height):
    """Return a PNG whose header has this size, but which has almost no content."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"<svg></svg>", b"\x89PNG\r\n\x1a\n", png_that_claims(100_000, 100_000)],
    ids=["empty", "text", "svg", "only a signature", "larger than any picture"],
)
def test_a_file_that_is_not_an_image_is_rejected(tmp_path, data_error, content):
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with data_error(file, "not an image"):
        read_image(file)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_is_rejected(tmp_path, data_error, suffix, rng):
    file = save(tmp_path / f"a{suffix}", rng.randint(0, 256, (32, 32, 3)).astype(np.uint8))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with data_error(file, "not an image"):
        read_image(file)


def test_floating_point_pixels_are_rejected(tmp_path, data_error):
    file = save(tmp_path / "a.tiff", np.full((4, 4), 0.5, np.float32))
    with data_error(file, "float32", "8 bits"):
        read_image(file)


# ---------------------------------------------------------------- Images


def test_a_slice_of_images_is_the_pair_of_images_and_labels():
    images = Images(np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1), np.arange(6))
    pixels, labels = images[2:4]
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], [8, 12])
    np.testing.assert_array_equal(labels, [2, 3])
    assert len(images) == 6
    assert len(images.subset(4)) == 4
    np.testing.assert_array_equal(images.subset(4).labels, [0, 1, 2, 3])


# ---------------------------------------------------------------- show_images


@pytest.fixture
def pyplot(monkeypatch):
    """Return matplotlib's pyplot, set up to work without a screen."""
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="pip install 'gluon-classics[plot]'")
    pyplot.switch_backend("Agg")
    shown = []  # replaces show(), which warns without a screen
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(True))
    pyplot.shown = shown
    yield pyplot
    pyplot.close("all")


@pytest.mark.parametrize("shape", [(6, 5, 5), (6, 5, 5, 1), (6, 5, 5, 3)], ids=["NHW", "NHW1", "NHW3"])
@pytest.mark.parametrize("make", [np.asarray, mx.nd.array], ids=["numpy", "ndarray"])
def test_show_images_draws_the_images_row_by_row_and_returns_the_axes(pyplot, rng, shape, make):
    images = rng.rand(*shape).astype(np.float32)
    grid = utils.show_images(make(images), 2, 3)
    assert grid.shape == (2, 3)
    for image, axes in zip(images, grid.flat):
        np.testing.assert_array_equal(axes.images[0].get_array(), image.squeeze())
        assert not axes.get_xaxis().get_visible()
        assert not axes.get_yaxis().get_visible()
    assert pyplot.shown


def test_show_images_accepts_a_single_row_and_a_figure_size(pyplot):
    grid = utils.show_images(np.zeros((4, 5, 5)), 1, 4, figsize=(8, 2))
    assert grid.shape == (1, 4)
    assert grid[0, 0].figure.get_size_inches().tolist() == [8, 2]


def test_show_images_leaves_the_rest_of_the_grid_empty(pyplot):
    grid = utils.show_images(np.zeros((3, 5, 5)), 2, 2)
    assert [len(axes.images) for axes in grid.flat] == [1, 1, 1, 0]
