"""Image folders with one subfolder per class, single image files, and show_images."""

import os

import cv2
from gluon_classics import utils
from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.data.images import Images, read_image, resize_image
from gluon_classics.errors import SettingsError
import mxnet as mx
import numpy as np
from PIL import Image
import pytest

RED, BLUE = (255, 0, 0), (0, 0, 255)
SUFFIXES = "gif jfif jpe jpg jpeg ppm pgm pbm pnm jp2 j2k png apng bmp tif tiff webp pcx sgi ico qoi JPG Tiff"


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
    with data_error(tmp_path, f"b only in {tmp_path / 'train'}", f"c only in {tmp_path / 'test'}"):
        load_dataset(str(tmp_path))


def test_color_channels_are_red_green_and_blue(tmp_path):
    for name, color in (("blue", BLUE), ("red", RED)):
        for number in range(5):
            save(tmp_path / name / f"{number}.png", np.full((4, 6, 3), color, np.uint8))
    data = load_dataset(str(tmp_path))
    assert data.train.images.shape == (8, 4, 6, 3)
    np.testing.assert_array_equal(data.train.images[data.train.labels == 0], np.full((4, 4, 6, 3), BLUE))
    np.testing.assert_array_equal(data.test.images[1], np.full((4, 6, 3), RED))


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


def test_the_error_names_a_damaged_image(zoo, data_error, rng):
    broken = save(zoo / "cat" / "3.png", rng.randint(0, 256, (32, 32)))
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    with data_error(broken, "damaged"):
        load_dataset(str(zoo))


# ---------------------------------------------------------------- gray and color


def test_one_color_image_makes_all_images_color_images(zoo, capsys):
    save(zoo / "cat" / "4.png", np.full((8, 8, 3), RED, np.uint8))
    data = load_dataset(str(zoo))
    assert data.train.images.shape == (11, 8, 8, 3)
    np.testing.assert_array_equal(data.test.images[1, 0, 0], RED)
    np.testing.assert_array_equal(data.train.images[0, 0, 0], [100, 100, 100])
    assert "Colored images: 1. Grayscale images: 12." in capsys.readouterr().err


def test_a_color_image_among_the_test_images_makes_all_images_color_images(tmp_path):
    for part in ("train", "test"):
        for name in ("a", "b"):
            save(tmp_path / part / name / "1.png", gray(1))
    save(tmp_path / "test" / "b" / "2.png", np.full((8, 8, 3), BLUE, np.uint8))
    data = load_dataset(str(tmp_path))
    assert (data.train.images.shape, data.test.images.shape) == ((2, 8, 8, 3), (3, 8, 8, 3))
    np.testing.assert_array_equal(data.test.images[2, 0, 0], BLUE)


@pytest.mark.parametrize("kind", ["jpeg", "palette", "alpha", "gif", "1 bit"])
def test_gray_images_of_all_kinds_stay_gray(zoo, kind, capsys):
    image = Image.fromarray(gray(50))
    variants = {
        "jpeg": (image, "x.jpg"),
        "palette": (image.convert("P"), "x.png"),
        "alpha": (image.convert("LA"), "x.png"),
        "gif": (image, "x.gif"),
        "1 bit": (image.convert("1"), "x.png"),
    }
    written, name = variants[kind]
    written.save(zoo / "cat" / name)
    assert load_dataset(str(zoo)).train.images.shape[3] == 1
    assert "Colored" not in capsys.readouterr().err


@pytest.mark.parametrize("transparent_as", ["white", "#ff0000"])
def test_transparent_pixels_show_the_color_that_was_asked_for(zoo, transparent_as, capsys):
    Image.new("LA", (8, 8), (7, 0)).save(zoo / "cat" / "0.png")
    pixel = load_dataset(str(zoo), transparent_as=transparent_as).train.images[6, 0, 0]
    assert pixel.tolist() == ([255] if transparent_as == "white" else [255, 0, 0])
    assert f"Images with transparency: 1. They are shown on {transparent_as}." in capsys.readouterr().err


def test_an_unknown_color_is_refused(zoo):
    with pytest.raises(SettingsError, match="'transparent' is not a color"):
        load_dataset(str(zoo), transparent_as="transparent")


# ---------------------------------------------------------------- files that are used, and those left out


def test_images_at_any_depth_below_a_class_are_read(tmp_path):
    for name in ("a", "b"):
        for number in range(5):
            save(tmp_path / name / f"session {number}" / "raw" / "1.png", gray(number))
        save(tmp_path / name / "top.png", gray(9))
    data = load_dataset(str(tmp_path))
    assert len(data.train) == 10
    assert data.test.images[:, 0, 0, 0].tolist() == [4, 4]


@pytest.mark.parametrize(
    "suffix",
    SUFFIXES.split(),
)
def test_every_suffix_that_can_be_read_is_used(zoo, suffix):
    formats = {"pbm": "PPM", "pgm": "PPM", "pnm": "PPM", "j2k": "JPEG2000", "jp2": "JPEG2000", "qoi": "PNG"}
    image = Image.fromarray(gray(50, side=16))
    image.save(zoo / "cat" / f"x.{suffix}", **({"format": formats[suffix]} if suffix in formats else {}))
    assert len(load_dataset(str(zoo), size=8).train) == 12


def test_files_that_are_left_out_are_counted_by_class_and_reason(zoo, capsys):
    load_dataset(str(zoo))
    assert "not used" not in capsys.readouterr().err
    for name in ("._0.png", "a.HEIC", "b.heic", "c.txt", "README", ".hidden/1.png", "Thumbs.db"):
        (zoo / "cat" / name).parent.mkdir(exist_ok=True)
        (zoo / "cat" / name).write_bytes(b"x")
    (zoo / "cat" / "empty.png").write_bytes(b"")
    (zoo / "cat" / "page.jpg").write_bytes(b"<html>not found</html>")
    os.mkfifo(zoo / "ant" / "pipe.png")
    (zoo / "ant" / "gone.png").symlink_to(zoo / "nothing.png")
    save(zoo / "stray.png", gray(1))
    assert len(load_dataset(str(zoo)).train) == 11
    message = capsys.readouterr().err
    assert f"11 files in {zoo} are not used" in message
    for part in (
        "outside of the class folders (1 images)",
        "ant (1 no such file or directory, 1 not a regular file)",
        "2 hidden",
        "2 .heic",
        "1 .txt",
        "1 without suffix",
        "1 empty",
        "1 not an image or of an unknown kind",
    ):
        assert part in message


def test_a_class_of_files_that_cannot_be_read_says_why(zoo, data_error):
    for number in range(3):
        (zoo / "dog").mkdir(exist_ok=True)
        (zoo / "dog" / f"{number}.heic").write_bytes(b"x")
    with data_error(zoo / "dog", "no images", "3 .heic"):
        load_dataset(str(zoo))


def test_links_that_lead_back_end(zoo, capsys):
    (zoo / "cat" / "self").symlink_to(zoo / "cat")
    (zoo / "cat" / "all").symlink_to(zoo)
    (zoo / "ant" / "loop").symlink_to(zoo / "ant" / "loop")
    data = load_dataset(str(zoo))
    assert (data.classes, len(data.train)) == (("ant", "cat"), 11)
    assert "ant (1 without suffix), cat (2 linked folder)" in capsys.readouterr().err


def test_a_linked_class_is_read(zoo, tmp_path):
    (zoo / "cat").rename(tmp_path / "elsewhere")
    (zoo / "cat").symlink_to(tmp_path / "elsewhere")
    assert len(load_dataset(str(zoo)).train) == 11


def test_several_images_in_one_file_are_mentioned_once(zoo, capsys):
    for number in range(3):
        frames = [Image.fromarray(gray(value)) for value in (1, 200)]
        frames[0].save(zoo / "cat" / f"x{number}.gif", save_all=True, append_images=frames[1:])
    load_dataset(str(zoo))
    assert f"{zoo / 'cat' / 'x0.gif'} and 2 more: several images" in capsys.readouterr().err.replace("\n", " ")


def test_the_memory_of_a_folder_is_checked_before_an_image_is_decoded(zoo, data_error, monkeypatch):
    monkeypatch.setattr("gluon_classics.data.memory.available_memory", lambda: 10**6)
    monkeypatch.setattr("gluon_classics.data.image_folder.read_pixels", None)
    with data_error("13 images", "0.1 GB"):
        load_dataset(str(zoo), size=2500)


# ---------------------------------------------------------------- layouts


@pytest.fixture
def tree(tmp_path):
    """Return a function that writes one image for each of the given paths, such as "train/a/1"."""

    def write(*paths):
        for number, path in enumerate(paths):
            save(tmp_path / "data" / f"{path}.png", gray(number))
        return tmp_path / "data"

    return write


def both(*folders):
    """Return paths of an image of each of the classes a and b in these folders."""
    return [f"{folder}/{name}/1" for folder in folders for name in "ab"]


@pytest.mark.parametrize(
    ("folders", "line"),
    [
        (("train", "val"), "Training images from {}/train, test images from {}/val."),
        (("Train", "Test"), "Training images from {}/Train, test images from {}/Test."),
        (("training", "testing"), "Training images from {}/training, test images from {}/testing."),
        (("train", "validation"), "Training images from {}/train, test images from {}/validation."),
        (("TRAIN", "VALID"), "Training images from {}/TRAIN, test images from {}/VALID."),
        (("training_set", "test_set"), "Training images from {}/training_set, test images from {}/test_set."),
        (("train", "test", "val"), "Training images from {}/train, test images from {}/test (val/ is not used)."),
        (("train", "test", "valid"), "Training images from {}/train, test images from {}/test (valid/ is not used)."),
        (("x/train", "x/dev"), "Training images from {}/x/train, test images from {}/x/dev."),
        (("train2017", "val2017"), "Training images from {}/train2017, test images from {}/val2017."),
        (("Training Images", "test_stg1"), "Training images from {}/Training Images, test images from {}/test_stg1."),
        (("x/y/train/train", "x/y/test"), "Training images from {}/x/y/train, test images from {}/x/y/test."),
        (("seg_train", "seg_test"), "Training images from {}/seg_train, test images from {}/seg_test."),
        (("My-Train", "my-val"), "Training images from {}/My-Train, test images from {}/my-val."),
        (("x train images", "x test"), "Training images from {}/x train images, test images from {}/x test."),
        (("train_x", "dev_x"), "Training images from {}/train_x, test images from {}/dev_x."),
        (
            ("i/seg_train/seg_train", "i/seg_test/seg_test"),
            "Training images from {}/i/seg_train, test images from {}/i/seg_test.",
        ),
        (
            ("x_train", "x_test", "x_valid"),
            "Training images from {}/x_train, test images from {}/x_test (x_valid/ is not used).",
        ),
    ],
)
def test_training_and_test_folders_of_all_usual_names_are_found(tree, folders, line, capsys):
    folder = tree(*both(*folders))
    (folder / "__MACOSX" / "train").mkdir(parents=True)
    (folder / "README.md").write_text("not an image")
    data = load_dataset(str(folder))
    assert data.classes == ("a", "b")
    assert data.train.images[:, 0, 0, 0].tolist() == [0, 1]
    assert data.test.images[:, 0, 0, 0].tolist() == [2, 3]
    assert line.replace("{}", str(folder)) in capsys.readouterr().err.splitlines()


def test_images_are_found_at_any_depth_next_to_other_files(tree):
    folder = tree(*(f"a/b/c/d/{path}/e/f" for path in both("train", "test")))
    (folder / "README.md").write_text("not an image")
    data = load_dataset(str(folder))
    assert (data.classes, len(data.train), len(data.test)) == (("a", "b"), 2, 2)


def test_unlabeled_test_images_are_not_used(tree, capsys):
    folder = tree("test/1", "test/2", *both("train", "val"))
    assert load_dataset(str(folder)).test.images[:, 0, 0, 0].tolist() == [4, 5]
    assert "test images from" in (message := capsys.readouterr().err)
    assert "test/ has no subfolders of classes" in message


@pytest.mark.parametrize("wrappers", ["", "photos/", "photos/all/"])
@pytest.mark.parametrize("split", ["", "train/", "Training/"])
def test_without_test_images_a_share_of_the_others_is_used(tree, wrappers, split, capsys):
    folder = tree(*(f"{wrappers}{split}{name}/{number}" for name in "ab" for number in range(10)))
    data = load_dataset(str(folder))
    assert data.test.images[:, 0, 0, 0].tolist() == [4, 9, 14, 19]
    assert "20 % of each class are test images" in capsys.readouterr().err
    assert load_dataset(str(folder), test_share=0.3).test.images[:10, 0, 0, 0].tolist() == [3, 6, 9, 13, 16, 19]


@pytest.mark.parametrize(("share", "count"), [(0.29, 29), (0.57, 57), (0.999, 99)])
def test_the_share_is_exact(tree, share, count):
    folder = tree(*(f"{name}/{number:03}" for name in "ab" for number in range(100)))
    assert len(load_dataset(str(folder), test_share=share).test) == 2 * count


def test_a_share_that_leaves_a_class_without_test_images_is_refused(tree, data_error):
    folder = tree(*(f"{name}/{number}" for name in "ab" for number in range(9)))
    with data_error(folder / "a", "fewer than 10", "10 %"):
        load_dataset(str(folder), test_share=0.1)


def test_a_share_of_a_folder_with_test_images_is_refused(tree, data_error):
    folder = tree(*both("train", "test"))
    with data_error(folder / "test", "leave the test share out"):
        load_dataset(str(folder), test_share=0.1)


@pytest.mark.parametrize("data", ["fashion-mnist", str(SAMPLE_FOLDER)])
def test_a_share_of_data_that_are_no_image_files_is_refused(data, data_error):
    with data_error(data, "leave the test share out"):
        load_dataset(data, test_share=0.1)


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["train/cat.1", "train/dog.1", "test1/1"], ["train must have two or more subfolders"]),
        (["train/1", "test/1"], ["train must have two or more subfolders"]),
        (both("test", "val"), ["no train/"]),
        (both("test"), ["no train/"]),
        (both("train", "Train"), ["both", "Train/"]),
        (both("train", "test", "testing", "x"), ["both", "testing/"]),
        (["a/train/1", "a/test/1", "b/train/1", "b/test/1"], ["a has test/ and train/"]),
        ([*both("train"), "a/1", "b/1"], ["classes in train/ and next to it"]),
        (["a/1", "b/1", *both("test")], ["no train/"]),
        ([*both("train", "test"), "test/c/1"], ["c only in", "test"]),
        ([*both("train", "val"), "train/c/1"], ["c only in", "train"]),
        (["1", "2"], ["two or more subfolders"]),
    ],
)
def test_folders_whose_meaning_is_not_clear_are_refused(tree, data_error, paths, words):
    folder = tree(*paths)
    with data_error(folder, *words):
        load_dataset(str(folder))


def test_a_class_may_be_called_train(tree):
    folder = tree(*(f"{name}/{number}" for name in ("car", "train") for number in range(5)))
    assert load_dataset(str(folder)).classes == ("car", "train")


@pytest.mark.parametrize("pred", ["seg_pred/1", "seg_pred/seg_pred/1"])
def test_folders_next_to_a_pair_of_training_and_test_folders_are_not_used(tree, pred, capsys):
    folder = tree(*both("seg_train/seg_train", "seg_test/seg_test"), pred)
    data = load_dataset(str(folder))
    assert (data.classes, len(data.train), len(data.test)) == (("a", "b"), 2, 2)
    assert f"test images from {folder / 'seg_test'} (seg_pred/ is not used)." in capsys.readouterr().err


def test_unlabeled_images_in_a_folder_of_the_same_name_are_not_used(tree, capsys):
    trained = (f"x_train/x_train/{name}/{number}" for name in "ab" for number in range(5))
    assert len(load_dataset(str(tree(*trained, "x_test/x_test/A_test"))).test) == 2
    assert "x_test/ has no subfolders of classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (both("a_train", "a_test", "b_train", "b_test"), ["both a_test/ and b_test/"]),
        (both("x/a_train", "x/a_test", "y"), ["x has a_test/ and a_train/"]),
        (["x_train/1", "x_train/2", "x_test/1"], ["x_train must have two or more subfolders"]),
    ],
)
def test_folders_that_are_parts_of_a_data_set_are_not_taken_for_classes(tree, data_error, paths, words):
    folder = tree(*paths)
    with data_error(folder, *words):
        load_dataset(str(folder))


@pytest.mark.parametrize(
    "paths",
    [
        both("fold1", "fold2"),
        [*both("x_train", "y_test"), "pred/1"],
        both("images", "masks/masks"),
        [*both("color", "gray"), "color/c/1", "gray/d/1"],
    ],
)
def test_a_warning_says_which_folders_with_the_same_subfolders_are_classes(tree, paths, capsys):
    folder = tree(*paths, *(f"{path}{number}" for path in paths for number in range(5)))
    one, other = (name for name in load_dataset(str(folder)).classes if name != "pred")
    assert f"{one}/ and {other}/ are read as classes, although both have a/ and b/." in capsys.readouterr().err


def test_classes_with_the_same_subfolders_are_read_from_a_training_folder(tree):
    shared = tree(*(f"train/{name}/{side}/{number}" for name in "ab" for side in "lr" for number in range(5)))
    assert load_dataset(str(shared)).classes == ("a", "b")


def test_classes_that_share_one_subfolder_or_have_images_of_their_own_are_read(tree):
    folder = tree(*(f"{name}/{part}/{number}" for name in "ab" for part in ("raw", name) for number in range(5)))
    assert load_dataset(str(folder)).classes == ("a", "b")
    tree(*both("a", "b", "c"), "a/1", *(f"c/{number}" for number in range(5)))
    assert load_dataset(str(folder)).classes == ("a", "b", "c")


def test_words_that_begin_or_end_like_a_split_are_classes(tree):
    names = ("bullet-train", "bus-test", "test_tube", "train_station", "trainer", "valley")
    folder = tree(*(f"{name}/{number}" for name in names for number in range(5)))
    assert load_dataset(str(folder)).classes == names


def test_a_folder_around_everything_that_links_to_itself_ends(tmp_path, data_error):
    (tmp_path / "x").symlink_to(tmp_path)
    with data_error(tmp_path, "no images"):
        load_dataset(str(tmp_path))


# ---------------------------------------------------------------- one image


@pytest.fixture
def picture(rng):
    """Return random pixels (5, 7, 3)."""
    return rng.randint(0, 256, (5, 7, 3)).astype(np.uint8)


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
    resized = resize_image(image, size, size)
    assert resized.dtype == dtype
    np.testing.assert_array_equal(resized, mx.image.imresize(mx.nd.array(image, dtype=dtype), size, size).asnumpy())


def test_the_error_names_a_missing_image(tmp_path, data_error):
    with data_error(tmp_path / "no.png", "no such file"):
        read_image(tmp_path / "no.png")


def test_a_folder_is_not_an_image(tmp_path, data_error):
    with data_error(tmp_path, "directory"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"hello", b"<svg></svg>", b"\x89PNG\r\n\x1a\n"],
    ids=["text", "svg", "only a signature"],
)
def test_a_file_that_is_not_an_image_is_rejected(tmp_path, data_error, content):
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with data_error(file, "not an image"):
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
