"""Data sets in CSV files, as Kaggle has them."""

import csv
import gzip

from gluon_classics.data.datasets import load_dataset
import numpy as np
import pytest

SIDE = 5
PIXELS = SIDE * SIDE


def some_images(count, first=0):
    return (np.arange(count * PIXELS) * 3 + first).reshape(count, SIDE, SIDE) % 256


def write(path, images, labels=None, header=True, last=False, number=False, delimiter=",", quoting=csv.QUOTE_MINIMAL):
    """Write a table with the csv module: the label first or last, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
        titles = [f"pixel{place}" for place in range(PIXELS)]
        rows = [list(image.ravel()) for image in images]
        if labels is not None:
            titles = [*titles, "class"] if last else ["label", *titles]
            rows = [[*row, label] if last else [label, *row] for row, label in zip(rows, labels)]
        if number:
            titles, rows = ["id", *titles], [[place, *row] for place, row in enumerate(rows)]
        writer.writerows([titles, *rows] if header else rows)
    return path


def write_pair(folder, train="mnist_train.csv", test="mnist_test.csv", **options):
    write(folder / train, some_images(40), np.arange(40) % 4, **options)
    write(folder / test, some_images(20, 7), np.arange(20) % 4, **options)
    return folder


def assert_is_the_pair(data):
    np.testing.assert_array_equal(data.train.images[..., 0], some_images(40))
    np.testing.assert_array_equal(data.train.labels, np.arange(40) % 4)
    np.testing.assert_array_equal(data.test.images[..., 0], some_images(20, 7))


FORMS = {
    "a header": {},
    "no header": {"header": False},
    "the label last": {"last": True},
    "a number in each line": {"number": True},
    "semicolons": {"delimiter": ";"},
    "tabs": {"delimiter": "\t"},
    "quotes": {"quoting": csv.QUOTE_ALL},
}


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_the_common_forms_of_tables_are_read(tmp_path, options):
    assert_is_the_pair(load_dataset(str(write_pair(tmp_path / "set", "train.csv", "test.csv", **options))))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train.csv", "test.csv"),
        ("mnist_train.csv", "mnist_test.csv"),
        ("my-digits-train.csv", "my-digits-test.csv"),
        ("MNIST_TRAIN.CSV", "MNIST_TEST.CSV"),
        ("training.csv", "validation.csv"),
        ("archive/mnist_train.csv", "archive/mnist_test.csv"),
    ],
)
def test_the_names_of_the_files_say_what_they_are(tmp_path, train, test):
    assert_is_the_pair(load_dataset(str(write_pair(tmp_path / "set", train, test))))


def test_a_known_name_gives_the_classes(tmp_path):
    data = load_dataset(str(write_pair(tmp_path, "fashion-mnist_train.csv", "fashion-mnist_test.csv")))
    assert (data.name, data.classes[0]) == ("fashion-mnist", "T-shirt/top")
    assert data.record().is_published is False


def test_one_file_stands_for_the_pair(tmp_path):
    write_pair(tmp_path)
    write_pair(tmp_path, "fashion-mnist_train.csv", "fashion-mnist_test.csv")
    data = load_dataset(str(tmp_path / "mnist_test.csv"))
    assert data.name == "mnist"
    assert_is_the_pair(data)


def test_gzipped_tables_are_read(tmp_path):
    for path in list(write_pair(tmp_path).iterdir()):
        path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert_is_the_pair(load_dataset(str(tmp_path)))


def test_a_test_file_without_labels_is_not_used_and_every_fifth_image_is_a_test_image(tmp_path, capsys):
    # as in Kaggle's Digit Recognizer
    write(tmp_path / "train.csv", some_images(40), np.arange(40) % 4)
    write(tmp_path / "test.csv", some_images(20))
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n2,0\n")
    data = load_dataset(str(tmp_path))
    assert (len(data.train), len(data.test)) == (32, 8)
    np.testing.assert_array_equal(data.test.images[..., 0], some_images(40)[[*range(16, 20), *range(36, 40)]])
    printed = capsys.readouterr().err
    assert "test.csv has no labels" in printed
    assert "20 % of each class" in printed


def test_training_images_without_labels_are_an_error(tmp_path, data_error):
    write(tmp_path / "train.csv", some_images(40))
    with data_error("train.csv", "no column of labels"):
        load_dataset(str(tmp_path))


def test_a_table_of_file_names_is_not_taken_for_images(tmp_path, data_error):
    (tmp_path / "labels.csv").write_text("file,label\na.mat,0\n")
    with data_error(tmp_path, "1 .csv file", "what is read"):
        load_dataset(str(tmp_path))


def test_emnists_tables_are_turned_upright(tmp_path):
    options = {"header": False}
    write_pair(tmp_path, "emnist-digits-train.csv", "emnist-digits-test.csv", **options)
    data = load_dataset(str(tmp_path))
    np.testing.assert_array_equal(data.train.images[..., 0], some_images(40).transpose(0, 2, 1))


def test_fractions_are_read_as_pixels(tmp_path):
    for name, count in (("train", 40), ("test", 20)):
        write(tmp_path / f"{name}.csv", some_images(count) / 255, np.arange(count) % 4)
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).train.images[..., 0], some_images(40))


def write_titled(folder, titles, order):
    """Write the pair with these names of the pixels, row by row, and its columns in another order."""
    for path in write_pair(folder).iterdir():
        lines = [line.split(",") for line in path.read_text().splitlines()]
        lines[0][1:] = titles
        path.write_text("".join(",".join([line[0], *(line[1 + place] for place in order)]) + "\n" for line in lines))
    return folder


TITLES = {
    "pixels from 0": [f"pixel{place}" for place in range(PIXELS)],
    "pixels from 1": [f"pixel {place + 1}" for place in range(PIXELS)],
    "zeros": [f"p{place:04}" for place in range(PIXELS)],
    "numbers": [f"{place}" for place in range(PIXELS)],
    "rows and columns": [f"{row + 8}x{column + 8}" for row in range(SIDE) for column in range(SIDE)],
    "words and numbers": [f"r{row}_c{column}" for row in range(SIDE) for column in range(SIDE)],
    "a number before": [f"28px_{place}" for place in range(PIXELS)],
    "several words": [f"{'left' if place % 2 else 'right2'}_{place}" for place in range(PIXELS)],
}


@pytest.mark.parametrize("titles", TITLES.values(), ids=TITLES)
def test_the_numbers_in_the_names_of_the_columns_give_their_order(tmp_path, titles, capsys):
    assert_is_the_pair(load_dataset(str(write_titled(tmp_path / "in_order", titles, range(PIXELS)))))
    assert "order" not in capsys.readouterr().err.replace("in_order", "")
    by_name = sorted(range(PIXELS), key=lambda place: titles[place])
    for number, order in enumerate((by_name, range(PIXELS)[::-1])):
        assert_is_the_pair(load_dataset(str(write_titled(tmp_path / f"{number}", titles, order))))
    assert "put into the order of their numbers" in capsys.readouterr().err


def test_columns_whose_names_do_not_all_end_in_numbers_keep_their_order(tmp_path):
    titles = [f"pixel{PIXELS - place}" for place in range(PIXELS - 1)] + ["last"]
    assert_is_the_pair(load_dataset(str(write_titled(tmp_path / "set", titles, range(PIXELS)))))


@pytest.mark.parametrize("repeated", ["pixel3", "pixel03"])
def test_columns_with_the_same_number_are_rejected(tmp_path, data_error, repeated):
    titles = [f"pixel{place}" for place in range(PIXELS - 1)] + [repeated]
    folder = write_titled(tmp_path / "set", titles, range(PIXELS))
    with data_error(folder / "mnist_train.csv", f"pixel3 and {repeated}", "a different number"):
        load_dataset(str(folder))


LINES = {
    "a word": ("1,2", "1,x", "numbers in line"),
    "an empty field": ("1,2", ",2", "numbers in line"),
    "a missing field": ("0,0", "0", "columns in line 3"),
    "one field more": ("0,0", "0,0,0", "columns in line 3"),
    "256": ("255", "256", "to 256"),
    "a negative pixel": ("255", "-1", "-1 to"),
    "infinity": ("255", "inf", "finite"),
    "an open quote": ("0,0", '"0,0', "columns"),
}


@pytest.mark.parametrize(("old", "new", "reason"), LINES.values(), ids=LINES)
def test_damaged_lines_are_rejected(tmp_path, data_error, old, new, reason):
    path = write_pair(tmp_path) / "mnist_train.csv"
    image = np.zeros((1, SIDE, SIDE), int)
    image[0, 0, :3] = 1, 2, 255
    write(path, np.repeat(image, 40, 0), np.arange(40) % 4)
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace(old, new, 1)
    path.write_text("\n".join(lines))
    with data_error(path, reason):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("label", ["1.5", "-1", "nan", "cat", "1e30", "1e400"])
def test_labels_that_are_not_whole_numbers_are_rejected(tmp_path, data_error, label):
    path = write_pair(tmp_path) / "mnist_train.csv"
    write(path, some_images(40), [label, *np.arange(39) % 4])
    with data_error(path):
        load_dataset(str(tmp_path))


def test_a_line_without_an_end_is_rejected(tmp_path, data_error):
    path = write_pair(tmp_path) / "mnist_train.csv"
    with open(path, "a", encoding="utf-8") as file:
        file.write("0," * 2_000_000)
    with data_error(path, "line"):
        load_dataset(str(tmp_path))


def test_a_table_with_only_a_header_is_rejected(tmp_path, data_error):
    path = write_pair(tmp_path) / "mnist_train.csv"
    write(path, [], [])
    with data_error(path, "0 images"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\n", b"\n0,1,2\n", b"\xff\xfe0", b'"', b"0" * 3_000_000])
def test_other_content_in_a_csv_file_ends_in_one_line(tmp_path, data_error, content):
    path = write_pair(tmp_path) / "mnist_train.csv"
    path.write_bytes(content)
    with data_error(tmp_path):
        load_dataset(str(tmp_path))
