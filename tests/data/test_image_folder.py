"""A user's own images: folders with a subfolder a class, single image files, and drawing them."""

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
    """Write (H, W), or (H, W, 3 or 4) in red, green, blue, as an image file; OpenCV wants blue first."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def grey(value, side=8):
    return np.full((side, side), value, np.uint8)


@pytest.fixture
def zoo(tmp_path):
    """Two classes: six cats with pixels 0 to 5, and seven ants with pixels 100 to 106."""
    for name, first, count in (("cat", 0, 6), ("ant", 100, 7)):
        for number in range(count):
            save(tmp_path / "zoo" / name / f"{number}.png", grey(first + number))
    return tmp_path / "zoo"


# ---------------------------------------------------------------- a subfolder a class


def test_subfolders_are_the_classes_in_sorted_order(zoo):
    data = load_dataset(str(zoo))
    assert (data.name, data.classes, data.origin) == ("zoo", ("ant", "cat"), str(zoo))
    assert not data.is_sample


def test_every_fifth_image_of_each_class_is_held_out_for_testing(zoo):
    data = load_dataset(str(zoo))
    assert data.test.images[:, 0, 0, 0].tolist() == [104, 4]
    assert data.test.labels.tolist() == [0, 1]
    assert data.train.images[:, 0, 0, 0].tolist() == [100, 101, 102, 103, 105, 106, 0, 1, 2, 3, 5]
    assert data.train.labels.tolist() == [0] * 6 + [1] * 5


def test_with_train_and_test_folders_nothing_is_held_out(tmp_path):
    for part, values in (("train", range(6)), ("test", range(10, 13))):
        for number, name in enumerate(("b", "a")):
            for value in values:
                save(tmp_path / part / name / f"{value}.png", grey(value + 100 * number))
    data = load_dataset(str(tmp_path))
    assert data.classes == ("a", "b")
    np.testing.assert_array_equal(data.train.images[:, 0, 0, 0], [*range(100, 106), *range(6)])
    np.testing.assert_array_equal(data.test.images[:, 0, 0, 0], [110, 111, 112, 10, 11, 12])
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_train_and_test_folders_may_hold_a_single_image_a_class(tmp_path):
    for part in ("train", "test"):
        for name in ("a", "b"):
            save(tmp_path / part / name / "1.png", grey(1))
    data = load_dataset(str(tmp_path))
    assert (len(data.train), len(data.test)) == (2, 2)


def test_train_and_test_folders_with_other_classes_are_refused(tmp_path, data_error):
    for name in ("train/a", "train/b", "test/a", "test/c"):
        save(tmp_path / name / "1.png", grey(1))
    with data_error(tmp_path, "(b, c)"):
        load_dataset(str(tmp_path))


def test_colours_come_as_red_green_blue(tmp_path):
    for name, colour in (("blue", BLUE), ("red", RED)):
        for number in range(5):
            save(tmp_path / name / f"{number}.png", np.full((4, 6, 3), colour, np.uint8))
    data = load_dataset(str(tmp_path))
    assert data.train.images.shape == (8, 4, 6, 3)
    np.testing.assert_array_equal(data.train.images[data.train.labels == 0], np.full((4, 4, 6, 3), BLUE))
    np.testing.assert_array_equal(data.test.images[1], np.full((4, 6, 3), RED))


@pytest.mark.parametrize(("first", "channels"), [("grey", 1), ("colour", 3)])
def test_grey_and_colour_mixed_get_the_channels_of_the_first_image(tmp_path, first, channels):
    for name in ("a", "b"):
        for number in range(5):
            is_grey = (name == "a") == (first == "grey")
            pixels = grey(128) if is_grey else np.full((8, 8, 3), 128, np.uint8)
            save(tmp_path / name / f"{number}.png", pixels)
    data = load_dataset(str(tmp_path))
    assert data.train.images.shape == (8, 8, 8, channels)
    assert (data.train.images == 128).all()


def test_jpeg_files_and_capital_suffixes_are_images_other_files_are_not(tmp_path):
    for name in ("a", "b"):
        for number in range(4):
            save(tmp_path / name / f"{number}.jpg", grey(200))
        save(tmp_path / name / "4.PNG", grey(200))
        (tmp_path / name / "notes.txt").write_text("not an image")
    (tmp_path / "readme.md").write_text("not a class")
    (tmp_path / ".cache").mkdir()
    data = load_dataset(str(tmp_path))
    assert data.classes == ("a", "b")
    assert (len(data.train), len(data.test)) == (8, 2)


def test_hidden_files_are_not_taken_for_images(zoo):
    # macOS puts a ._NAME beside every file on a foreign disk
    (zoo / "cat" / "._0.png").write_bytes(b"\x00\x05\x16\x07")
    assert len(load_dataset(str(zoo)).train) == 11


def test_images_of_any_size_are_resized_when_a_size_is_given(tmp_path, rng):
    for name in ("a", "b"):
        for number in range(5):
            save(tmp_path / name / f"{number}.png", rng.randint(0, 256, (10 + number, 20)).astype(np.uint8))
    data = load_dataset(str(tmp_path), size=16)
    assert data.train.images.shape == (8, 16, 16, 1)
    assert data.test.images.shape == (2, 16, 16, 1)
    np.testing.assert_array_equal(data.train.images[1], read_image(tmp_path / "a" / "1.png", size=16))


def test_images_of_differing_sizes_are_refused_without_a_size(zoo, data_error):
    odd = save(zoo / "cat" / "2.png", grey(2, side=9))
    with data_error(odd, "9x9", "size"):
        load_dataset(str(zoo))


def test_training_and_test_images_of_differing_sizes_are_refused_without_a_size(tmp_path, data_error):
    for name in ("a", "b"):
        save(tmp_path / "train" / name / "1.png", grey(1, side=8))
        save(tmp_path / "test" / name / "1.png", grey(1, side=9))
    with data_error(tmp_path / "test" / "a" / "1.png", "size"):
        load_dataset(str(tmp_path))


def test_a_corrupt_image_is_an_error_that_names_it(zoo, data_error):
    broken = zoo / "cat" / "3.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    with data_error(broken, "not an image"):
        load_dataset(str(zoo))


def test_a_corrupt_first_image_is_an_error_that_names_it(zoo, data_error):
    (zoo / "ant" / "0.png").write_bytes(b"")
    with data_error(zoo / "ant" / "0.png", "not an image"):
        load_dataset(str(zoo))


def test_an_empty_class_is_refused(zoo, data_error):
    (zoo / "dog").mkdir()
    with data_error(zoo / "dog", "no images"):
        load_dataset(str(zoo))


def test_a_single_class_is_refused(tmp_path, data_error):
    for number in range(5):
        save(tmp_path / "only" / f"{number}.png", grey(1))
    with data_error(tmp_path, "two or more"):
        load_dataset(str(tmp_path))


def test_a_class_of_fewer_than_five_images_is_refused_where_some_must_be_held_out(zoo, data_error):
    for number in range(4):
        save(zoo / "eel" / f"{number}.png", grey(1))
    with data_error(zoo / "eel", "fewer than 5"):
        load_dataset(str(zoo))
    save(zoo / "eel" / "4.png", grey(1))
    assert load_dataset(str(zoo)).classes == ("ant", "cat", "eel")


# ---------------------------------------------------------------- one image


@pytest.fixture
def picture(rng):
    """(5, 7, 3) pixels, none like another's neighbour."""
    return rng.randint(0, 256, (5, 7, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_a_colour_image_is_read_as_it_was_saved_in_red_green_blue(tmp_path, picture, suffix):
    np.testing.assert_array_equal(read_image(save(tmp_path / f"a{suffix}", picture)), picture)


def test_a_jpeg_is_read_with_its_colours_in_order(tmp_path):
    pixels = read_image(save(tmp_path / "a.jpg", np.full((16, 16, 3), RED, np.uint8)))
    np.testing.assert_allclose(pixels.mean((0, 1)), RED, atol=3)  # JPEG is lossy


def test_a_grey_image_has_one_channel(tmp_path, picture):
    pixels = read_image(save(tmp_path / "a.png", picture[..., 0]))
    np.testing.assert_array_equal(pixels, picture[..., :1])


def test_transparency_is_dropped(tmp_path, picture, rng):
    alpha = rng.randint(0, 256, (5, 7, 1)).astype(np.uint8)
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", np.concatenate([picture, alpha], 2))), picture)


def test_sixteen_bits_become_the_upper_eight(tmp_path, picture):
    wide = picture.astype(np.uint16) * 256 + 99
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", wide)), picture)
    np.testing.assert_array_equal(read_image(save(tmp_path / "b.png", wide[..., 0])), picture[..., :1])


def test_colour_is_made_grey_by_the_luma_weights_when_one_channel_is_asked_for(tmp_path, picture):
    pixels = read_image(save(tmp_path / "a.png", picture), channels=1)
    assert pixels.shape == (5, 7, 1)
    # ITU-R BT.601; with red and blue exchanged it would be far off
    np.testing.assert_allclose(pixels[..., 0], picture @ [0.299, 0.587, 0.114], atol=1)


def test_grey_is_repeated_when_three_channels_are_asked_for(tmp_path, picture):
    pixels = read_image(save(tmp_path / "a.png", picture[..., 0]), channels=3)
    np.testing.assert_array_equal(pixels, np.stack([picture[..., 0]] * 3, 2))


def test_an_image_that_has_the_channels_asked_for_stays_as_it_is(tmp_path, picture):
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", picture), channels=3), picture)
    np.testing.assert_array_equal(read_image(save(tmp_path / "b.png", picture[..., 0]), channels=1), picture[..., :1])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_read_image_is_resized_as_mxnet_does(tmp_path, picture, channels):
    path = save(tmp_path / "a.png", picture)
    expected = mx.image.imresize(mx.nd.array(read_image(path, channels=channels), dtype="uint8"), 12, 12)
    np.testing.assert_array_equal(read_image(path, size=12, channels=channels), expected.asnumpy())


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [4, 28, 31, 32, 96, 224])
def test_resizing_keeps_the_type_and_equals_mxnets_bit_for_bit(rng, dtype, size):
    image = rng.randint(0, 256, (9, 13, 3)).astype(dtype)
    resized = resize_image(image, size)
    assert resized.dtype == dtype
    np.testing.assert_array_equal(resized, mx.image.imresize(mx.nd.array(image, dtype=dtype), size, size).asnumpy())


def test_a_missing_image_is_an_error_that_names_it(tmp_path, data_error):
    with data_error(tmp_path / "no.png", "no such file"):
        read_image(tmp_path / "no.png")


def test_a_folder_is_no_image(tmp_path, data_error):
    with data_error(tmp_path, "directory"):
        read_image(tmp_path)


def png_that_claims(width, height):
    """A PNG with one row's worth of content and a header that claims more."""

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
def test_what_is_no_image_is_an_error_that_says_so(tmp_path, data_error, content):
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with data_error(file, "not an image"):
        read_image(file)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_an_image_cut_short_is_refused(tmp_path, data_error, suffix, rng):
    file = save(tmp_path / f"a{suffix}", rng.randint(0, 256, (32, 32, 3)).astype(np.uint8))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with data_error(file, "not an image"):
        read_image(file)


def test_pixels_that_are_no_whole_numbers_are_refused(tmp_path, data_error):
    file = save(tmp_path / "a.tiff", np.full((4, 4), 0.5, np.float32))
    with data_error(file, "float32", "8 bits"):
        read_image(file)


# ---------------------------------------------------------------- Images


def test_a_slice_of_images_is_the_pair_of_images_and_labels():
    images = Images(np.arange(24).reshape(6, 2, 2, 1), np.arange(6))
    pixels, labels = images[2:4]
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], [8, 12])
    np.testing.assert_array_equal(labels, [2, 3])
    assert len(images) == 6
    assert len(images.subset(4)) == 4
    np.testing.assert_array_equal(images.subset(4).labels, [0, 1, 2, 3])


# ---------------------------------------------------------------- drawing


@pytest.fixture
def pyplot(monkeypatch):
    """matplotlib without a screen."""
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="pip install 'gluon-classics[plot]'")
    pyplot.switch_backend("Agg")
    # Agg warns that it shows nothing
    shown = []
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


def test_show_images_takes_a_single_row_and_the_size_of_the_figure(pyplot):
    grid = utils.show_images(np.zeros((4, 5, 5)), 1, 4, figsize=(8, 2))
    assert grid.shape == (1, 4)
    assert grid[0, 0].figure.get_size_inches().tolist() == [8, 2]


def test_show_images_leaves_places_empty_for_which_there_is_no_image(pyplot):
    grid = utils.show_images(np.zeros((3, 5, 5)), 2, 2)
    assert [len(axes.images) for axes in grid.flat] == [1, 1, 1, 0]
