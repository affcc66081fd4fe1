"""Images that do not fit into memory before they have the network's size are an error before the training."""

from gluon_classics.data import memory, statistics, stored_images
from gluon_classics.data.datasets import embedded_sample, load_dataset
from gluon_classics.errors import DataError, MemoryTooSmall, SettingsError
from gluon_classics.experiment import build, image_memory
from gluon_classics.experiment.build import load_data, loaders, prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import predictor
from gluon_classics.utils.group import Group
from gluon_classics.utils.loader import DataLoader
import mxnet as mx
from pictures import write_pictures
import pytest

CPU = [mx.cpu()]


class OfTwo(Group):
    """The first of two workers, both on this machine, which is never connected to the other."""

    size = on_machine = 2


def limit(monkeypatch, free):
    """Make `free` bytes available to images."""
    monkeypatch.setattr(image_memory, "available_memory", lambda processes=1: free)


@pytest.fixture
def zoo(tmp_path):
    """Return a folder with images of two classes, which have 20 to 22 rows and 16 columns."""
    for part in ("train", "test"):
        write_pictures(tmp_path / "zoo" / part, {"ant": 4, "bee": 4})
    return str(tmp_path / "zoo")


@pytest.mark.parametrize(
    ("options", "group", "at_once", "of_image", "more"),
    [
        ({}, Group(), 100, 28**2 + 64**2, 0),
        ({"resize_in": "float32"}, Group(), 100, 28**2 + 4 * 64**2, 0),
        ({"fit": "pad", "resize_in": "float32"}, Group(), 100, 28**2 + 64**2, 0),
        ({"micro_batch_size": 30}, Group(), 30, 28**2 + 64**2, 0),
        ({"augment": "crop:3"}, Group(), 100, 28**2 + 64**2, 70**2),
        ({"augment": "flip color"}, Group(), 100, 28**2 + 64**2, 4 * 64**2),
        ({}, OfTwo(), 50, 28**2 + 64**2, 0),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_two_batches_are_prepared_in_the_size_from_which_crops_are_cut(
    options, group, at_once, of_image, more, monkeypatch
):
    monkeypatch.setattr(build, "_trainer", lambda *_: None)
    settings, data = Settings("lenet", batch_size=100, image_size=64, **options), embedded_sample()
    needed = 2 * (at_once * of_image + more)
    limit(monkeypatch, needed)
    prepare(settings, CPU, data, group=group)
    limit(monkeypatch, needed - 1)
    most = (at_once - 1) * group.size
    words = rf"batches of {at_once} images of 64x64 needs .* use a smaller batch size, {most} at most, .*--image-size"
    with pytest.raises(MemoryTooSmall, match=words):
        prepare(settings, CPU, data, group=group)
    limit(monkeypatch, 2 * of_image - 1)
    with pytest.raises(MemoryTooSmall, match=r"are available: use smaller images \(--image-size\)$"):
        prepare(settings, CPU, data, group=group)


def test_images_on_the_disk_are_also_decoded_in_threads(zoo, monkeypatch):
    monkeypatch.setattr(image_memory, "usable_cores", lambda: 3)
    settings = Settings("lenet", data=zoo, batch_size=4, image_size=64)
    data = load_data(settings, in_memory=False)
    limit(monkeypatch, (2 * 4 + 3) * 64 * 64 * 3)
    prepare(settings, CPU, data)
    limit(monkeypatch, (2 * 4 + 3) * 64 * 64 * 3 - 1)
    with pytest.raises(MemoryTooSmall, match="a smaller batch size, 3 at most"):
        prepare(settings, CPU, data)


@pytest.mark.parametrize(("augment", "of_value"), [("scale:28:90", 1), ("color scale:28:90", 4)])
@pytest.mark.parametrize("in_memory", [True, False])
def test_the_largest_images_of_scale_must_fit_into_memory(zoo, augment, of_value, in_memory, monkeypatch):
    monkeypatch.setattr(image_memory, "usable_cores", lambda: 3)
    settings = Settings("lenet", data=zoo, batch_size=6, augment=augment)
    data = load_dataset(zoo, 28) if in_memory else load_data(settings)
    together, width = (2, 90) if in_memory else (3, 124)
    needed = together * 90 * width * 3 * of_value
    limit(monkeypatch, needed)
    loaders(settings, data).check()
    limit(monkeypatch, needed - 1)
    words = rf"scale makes images of 90x{width}, {together} at a time, which need .*: use sizes up to 89"
    with pytest.raises(MemoryTooSmall, match=words):
        loaders(settings, data).check()


def test_a_scale_that_no_image_can_have_is_refused_before_the_training(zoo):
    settings = Settings("lenet", data=zoo, augment="scale:28:32000")
    with pytest.raises(DataError, match=r"images of 32000x44000, and .* 32,767 pixels .*: use sizes up to 23,830"):
        loaders(settings, load_data(settings)).check()


def test_a_border_as_wide_as_the_crop_is_refused():
    Settings("lenet", augment="crop:27")
    for border in (28, 32767):
        with pytest.raises(SettingsError, match=f"border of the augmentation crop is {border}, "):
            Settings("lenet", augment=f"crop:{border}")
    DataLoader(embedded_sample().train, 8, True, augment="crop:27")
    with pytest.raises(DataError, match="the border of the augmentation crop is 28"):
        DataLoader(embedded_sample().train, 8, True, augment="crop:28")


def test_augmented_images_do_not_keep_what_was_around_them(monkeypatch):
    loader = DataLoader(embedded_sample().train, 4, True, augment="crop:20")
    seen = []
    monkeypatch.setattr("numpy.stack", lambda images: seen.extend(images) or images[0][None])
    loader._augmented([0, 1, 2], [1, 2])
    assert len(seen) == 3
    assert all(image.base is None for image in seen)


def test_an_evaluation_is_refused_with_the_batch_size_that_fits_and_a_report_takes_it(monkeypatch):
    net, data = build.build("lenet", 10), embedded_sample()
    net.initialize()
    network = predictor.Trained(Settings("lenet", image_size=64), data.classes, (28, 28, 1), net, CPU)
    of_image = 28**2 + 64**2
    limit(monkeypatch, 2 * 20 * of_image)
    with pytest.raises(MemoryTooSmall, match=r"batches of 64 images .*: use a smaller batch size, 20 at most$"):
        network.test_probabilities(data, 64)
    sizes = []
    monkeypatch.setattr(predictor, "predict_probabilities", lambda loader, *_: sizes.append(loader.batch_size))
    network.test_probabilities(data)
    assert sizes == [16]
    limit(monkeypatch, of_image)
    with pytest.raises(MemoryTooSmall, match="free memory, or use another machine"):
        network.test_probabilities(data)


def test_image_files_are_predicted_in_batches_that_fit(monkeypatch, trained_run, tmp_path):
    network = predictor.from_run(trained_run)
    write_pictures(tmp_path, {"files": 5}, channels=1)
    paths = sorted((tmp_path / "files").iterdir())
    expected = network.predict(paths)
    read, make = [], predictor.image_batch
    monkeypatch.setattr(predictor, "image_batch", lambda images, *more: read.append(len(images)) or make(images, *more))
    monkeypatch.setattr(predictor, "available_memory", lambda: 3 * 3 * 28 * 28)
    assert [[entry["class"] for entry in each["top"]] for each in network.predict(paths)] == [
        [entry["class"] for entry in each["top"]] for each in expected
    ]
    assert read == [2, 2, 1]
    monkeypatch.setattr(predictor, "available_memory", lambda: 3 * 28 * 28 - 1)
    with pytest.raises(MemoryTooSmall, match="reading an image at 28x28"):
        network.predict(paths)


@pytest.mark.parametrize(
    "options",
    [
        ["--image-size", "20000", "--from-disk", "--batch-size", "4"],
        ["--image-size", "20000", "--in-memory"],
        ["--augment", "scale:28:20000"],
        ["--augment", "scale:28:32767"],
        ["--augment", "crop:32767"],
        ["--image-size", "99999"],
    ],
)
@pytest.mark.parametrize("plan", [[], ["--dry-run"]])
def test_the_command_writes_nothing_and_ends_in_one_line(options, plan, zoo, invoke, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_address_space", lambda: 2 * 10**9)
    result = invoke("train", "lenet", "--data", zoo, "--resize", "28", *options, "--out", tmp_path / "run", *plan)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Training lenet" not in result.stderr
    error = result.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert ": " in error[7:]
    assert not (tmp_path / "run").exists()


def test_statistics_of_images_that_do_not_fit_name_the_size(zoo, invoke, monkeypatch):
    monkeypatch.setattr(memory, "_address_space", lambda: 2 * 10**9)
    result = invoke("statistics", zoo, "--image-size", "20000")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "an image of 20000x20000 needs 21.6 GB of memory, but 2.0 GB are available: use a smaller size\n" in (
        result.stderr
    )
    assert "is not in the range" in invoke("statistics", zoo, "--image-size", "99999").stderr


def test_statistics_read_few_large_images_at_a_time(zoo, monkeypatch):
    data = load_dataset(zoo, 16, in_memory=False)
    expected, counts, read = statistics.pixel_statistics(data.train), [], stored_images.StoredImages.read_into
    monkeypatch.setattr(statistics, "CHUNK_BYTES", 3 * 16 * 16 * 3)
    monkeypatch.setattr(
        stored_images.StoredImages,
        "read_into",
        lambda self, images, numbers: counts.append(len(numbers)) or read(self, images, numbers),
    )
    assert statistics.pixel_statistics(data.train) == expected
    assert counts == [3, 3, 2]
