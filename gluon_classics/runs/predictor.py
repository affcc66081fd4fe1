"""Load a trained network from a run folder or a parameter file, to evaluate it and to predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
import functools
import itertools
from pathlib import Path
from typing import Any, Iterator

from gluon_classics import _console
from gluon_classics.data.augment_words import NONE
from gluon_classics.data.datasets import DataSet
from gluon_classics.data.images import read_image
from gluon_classics.data.memory import available_memory
from gluon_classics.errors import DataError, MemoryTooSmall, RunError, memory_explained
from gluon_classics.experiment.batch_memory import check_batch
from gluon_classics.experiment.build import build, evaluation_preprocess, load_data, loaders
from gluon_classics.experiment.image_memory import check_images
from gluon_classics.experiment.parameter_files import load_parameters
from gluon_classics.experiment.published_training import for_images, published_settings
from gluon_classics.experiment.settings import Settings
from gluon_classics.inspection.summary import summarize
from gluon_classics.utils.context import parse_contexts
from gluon_classics.utils.evaluation import accuracy_by_class, predict_probabilities, top_accuracy
from gluon_classics.utils.metrics import BEST
import mxnet as mx
import numpy as np

from .record import PARAMETERS, RECORD, read_run
from .run_data import data_of, is_data_of, load_other, named_as_in

BATCH = 64  # images that are classified together
COPIES = 3  # of the pixels of image files: alone, in a batch, and as an array of MXNet
CHUNK = 8 * BATCH  # image files whose results are returned together


@dataclass(frozen=True)
class Trained:
    """A trained network with what its input needs.

    Attributes:
        settings: Settings of the training; for a parameter file, those that the network was published with.
        classes: Names of the classes, in the order of the outputs.
        image_shape: (H, W, C) of the training images before they were resized.
        net: The network, with its parameters.
        contexts: Devices that the network is on.
    """

    settings: Settings
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    net: mx.gluon.nn.Block
    contexts: list[mx.Context]

    def with_settings(self, **changes) -> Trained:
        """Return the same network with other settings of its input; None keeps one.

        Raises:
            RunError: The network was trained on whole images, so that there are no crops.
        """
        if changes.get("test_crops") == "ten" and self.settings.image_size in (None, self.settings.size):
            raise RunError("the network was trained without --image-size, so images have no ten crops: leave them out")
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, settings=replace(self.settings, **given))

    @memory_explained()
    def test_probabilities(self, data: DataSet, batch_size: int | None = None) -> np.ndarray:
        """Return (N, classes): the probabilities of the classes for all test images of `data`.

        Args:
            data: The data set.
            batch_size: Number of images per batch; None is `BATCH`, or as many as fit into memory.

        Raises:
            DataError: `data` has other classes or channels than the training data.
            MemoryTooSmall: A batch does not fit into memory.
        """
        if data.classes != self.classes or data.test.images.shape[3] != self.image_shape[2]:
            raise DataError(f"{data.origin} has other classes or channels than the network was trained on")
        if batch_size is None:
            batch_size = self._that_fits(data)
        else:
            self._check(batch_size, data)
        test_data = self._test_loader(data, batch_size)
        return predict_probabilities(test_data, self.net, self.contexts, test_data.crops)

    def _that_fits(self, data=None):
        """Return the number of images that `_check` lets pass: `BATCH`, halved as often as it must be."""
        size = BATCH
        while True:
            try:
                self._check(size, data)
            except MemoryTooSmall:
                if size == 1:
                    raise
                size //= 2
            else:
                return size

    @functools.cached_property
    def _counts(self):
        return summarize(self.net, (self.image_shape[2], self.settings.size, self.settings.size))

    def _check(self, batch_size, data=None):
        """Raise a MemoryTooSmall if a batch of test images of `data`, or of image files, does not fit into memory."""
        if data is None:
            check_batch(batch_size, self._counts, self.contexts)
            _check_files(batch_size, self.image_shape, self.settings)
            return
        check_batch(min(batch_size, len(data.test)), self._counts, self.contexts)
        test_data = self._test_loader(data, batch_size)
        check_images(test_data, test_data.batch_size)

    def _test_loader(self, data, batch_size):
        settings = replace(
            self.settings,
            batch_size=batch_size,
            micro_batch_size=batch_size,  # otherwise small batches are enlarged
            last_batch="keep",
            augment=NONE,
            validation_share=None,
        )
        return loaders(settings, data).test

    def evaluate(self, data: DataSet, batch_size: int | None = None) -> dict:
        """Evaluate the network on all test images of `data`.

        Returns:
            The network, the data, the number of images, the accuracy as a fraction 0..1, the fraction of images whose
            class is among the 5 most probable ones (None with no more classes), and for each class the number of
            its images and of correct predictions.

        Raises:
            DataError: `data` has other classes or channels than the training data.
        """
        probabilities = self.test_probabilities(data, batch_size)
        counts = accuracy_by_class(probabilities, data.test.labels, len(data.classes))
        return {
            "model": self.settings.model,
            "data": data.origin,
            "is_sample": data.is_sample,
            "images": len(data.test),
            "accuracy": sum(right for right, _ in counts) / len(data.test),
            "top_5": top_accuracy(probabilities, data.test.labels, BEST) if len(data.classes) > BEST else None,
            "classes": [
                {"class": name, "right": right, "images": images} for name, (right, images) in zip(self.classes, counts)
            ],
        }

    @memory_explained()
    def predict(self, paths, top: int = 3, invert: bool = False) -> list[dict]:
        """Predict the classes of image files.

        Args:
            paths: Image files.
            top: Number of classes to return for each image.
            invert: Whether to swap light and dark first.

        Returns:
            For each image its path and its `top` classes, most probable first, with probabilities 0..1.

        Raises:
            DataError: A file is not an image, or the network was trained on images that are not square.
        """
        results = []
        for result in self.predictions(paths, top, invert):
            if "error" in result:
                raise DataError(result["error"])
            results.append(result)
        return results

    def predictions(self, paths, top: int = 3, invert: bool = False) -> Iterator[dict]:
        """Yield what `predict` returns, image by image. The images are not all in memory at a time.

        If a file cannot be read, its dictionary has the message as `error`, and no `top`.

        Raises:
            DataError: The network was trained on images that are not square.
        """
        height, width, _ = self.image_shape
        if height != width:
            raise DataError(f"the run was trained on images of {height}x{width}: only square images can be predicted")
        size = self._that_fits()
        for start in range(0, len(paths), CHUNK):
            yield from self._predictions_at_once(paths[start : start + CHUNK], top, invert, size)

    def _predictions_at_once(self, paths, top, invert, size):
        results: list[dict[str, Any]] = [{"image": str(path)} for path in paths]
        batches = self._batches(results, invert, size)
        first = next(batches, None)
        if first is not None:
            crops = evaluation_preprocess(self.settings).crops_per_image
            rows = predict_probabilities(itertools.chain([first], batches), self.net, self.contexts, crops)
            readable = (result for result in results if "error" not in result)
            for result, row in zip(readable, rows):
                best = np.argsort(-row, kind="stable")[:top]
                result["top"] = [{"class": self.classes[i], "probability": float(row[i])} for i in best]
        return results

    def _batches(self, results, invert, size):
        """Yield batches of at most `size` crops of the images that can be read. The others get their error."""
        size = max(1, size // evaluation_preprocess(self.settings).crops_per_image)
        for start in range(0, len(results), size):
            images = []
            for result in results[start : start + size]:
                try:
                    with memory_explained("use smaller images"):
                        images.append(read_input(result["image"], self.image_shape, self.settings, invert))
                except MemoryTooSmall as error:
                    result["error"] = f"{result['image']}: {error}"
                except DataError as error:
                    result["error"] = str(error)
            if images:
                yield image_batch(images, self.settings)


@memory_explained()
def from_run(path, ctx: str = "auto") -> Trained:
    """Load the network of a run folder. Raises RunError if it is not a run folder or its files are damaged."""
    run = read_run(path)
    record = run.record
    return _load(record.settings, record.data.classes, record.data.image_shape, run.parameters, ctx)


@memory_explained()
def with_test_data(target, model=None, data=None, resize=None, ctx: str = "auto") -> tuple[Trained, DataSet]:
    """Load a trained network and the data to evaluate it on.

    Args:
        target: Run folder or parameter file.
        model: Name of the network; required for a parameter file, not allowed for a run folder.
        data: Name of a known data set, or a folder; None is the data of the run, or Fashion-MNIST for a parameter file.
        resize: Side of the images in pixels, for a parameter file; None is the network's own input.
        ctx: Devices, as `parse_contexts` takes them.

    Raises:
        RunError: `target` cannot be used, or does not fit the other arguments.
        DataError: The data cannot be used.
    """
    if Path(target).is_dir():
        if model or resize:
            raise RunError(f"{target} is a run folder, with its own network and size: leave --model and --resize out")
        network, run = from_run(target, ctx), read_run(target)
        if data is None:
            return network, data_of(run)
        given = load_other(run, data)
        if is_data_of(run, given):
            return network, named_as_in(run, given)
        _console.say(f"{given.origin} is not the data that {target} was trained on.")
        return network, given
    if model is None:
        raise RunError(f"{target} is not a run folder; if it is a parameter file, name its network with --model")
    settings = published_settings(model, data=data, resize=resize)
    dataset = load_data(settings)
    settings, left_out = for_images(settings, dataset.train.images.shape[3], dataset.train.labels, {})
    if left_out:
        _console.say(left_out)
    network = _load(settings, dataset.classes, dataset.train.images.shape[1:], Path(target), ctx)
    _check_inputs(Path(target), settings)
    return network, dataset


def _check_inputs(parameters, settings):
    """Raise RunError if a parameter file is that of a run which makes other network inputs of the same images."""
    folder = parameters.parent
    if parameters.name != PARAMETERS or not (folder / RECORD).is_file():
        return
    of_run = read_run(folder).record.settings
    if any(getattr(of_run, name) != getattr(settings, name) for name in ("size", "image_size", "fit", "pixels")):
        raise RunError(f"{parameters} is of a run with other settings for images: name the run folder {folder} instead")


def _load(settings, classes, image_shape, parameters, ctx):
    net = build(settings.model, len(classes))
    contexts = parse_contexts(ctx)
    input_shape = (image_shape[2], settings.size, settings.size)
    summarize(net, input_shape)  # fails now if images are too small
    load_parameters(net, parameters, contexts, input_shape)
    return Trained(settings, classes, image_shape, net, contexts)


def _check_files(count, image_shape, settings):
    """Raise a MemoryTooSmall if this number of image files, read and resized, does not fit into memory."""
    side, channels = image_shape[0], image_shape[2]
    wanted = settings.image_size or settings.size
    needed = count * channels * (COPIES * side**2 + (wanted**2 if wanted != side else 0))
    available = available_memory()
    if available is not None and needed > available:
        sizes = f"{needed / 1e9:,.1f} GB of memory or more, and {available / 1e9:,.1f} GB are available"
        largest = max(side, wanted)
        what = f"reading an image at {largest}x{largest}, as in the training, needs {sizes}"
        raise MemoryTooSmall(f"{what}: free memory, or use another machine")


def read_input(path, image_shape, settings: Settings, invert: bool = False) -> np.ndarray:
    """Read an image file in the shape of the training images.

    Args:
        path: Image file.
        image_shape: (H, W, C) of the training images before they were resized, with H = W.
        settings: Settings of the training.
        invert: Whether to swap light and dark.

    Raises:
        DataError: The file is not an image.
    """
    size, _, channels = image_shape
    image = read_image(path, size, channels, settings.transparent_as, shorter_side=settings.fit == "crop")
    return 255 - image if invert else image


def image_batch(images, settings: Settings):
    """Return images of `read_input` as one batch for a trained network, resized as the test images were.

    Args:
        images: (H, H, C) uint8 each.
        settings: Settings of the training.

    Returns:
        Images, (N, C, size, size), or (N, 10, C, size, size) for ten crops, and labels of 0, (N,).
    """
    stacked = np.stack(images)
    return evaluation_preprocess(settings)(mx.nd.array(stacked, dtype=np.uint8), mx.nd.zeros(len(stacked)))
