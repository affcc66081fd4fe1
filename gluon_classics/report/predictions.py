"""What a trained network says of its test images, and its first filters: numbers and pictures for a report."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np

MISTAKES = 24  # pictures of a report
CONFUSIONS = 8  # lines of a report


@dataclass(frozen=True)
class Mistake:
    """A test image, counted from 0, that got a wrong class, with the probability of that class, 0..1."""

    index: int
    picture: str
    true: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class Findings:
    """`confusion` (classes, classes) counts test images by their true class (row) and their predicted one (column).

    `filters` are pictures of the first layer's filters, `filter_shape` is their (C, H, W), None where it has none.
    """

    confusion: np.ndarray
    mistakes: list[Mistake]
    filters: list[str]
    filter_shape: tuple[int, ...] | None

    @property
    def images(self) -> int:
        """The number of test images."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """How many of them were classified correctly."""
        return int(self.confusion.trace())

    @property
    def heat_map(self) -> str:
        """The confusion matrix as a picture: the lighter, the larger the share of the row."""
        shares = self.confusion / np.maximum(self.confusion.sum(axis=1, keepdims=True), 1)
        return png(np.round(255 * np.sqrt(shares))[..., None].astype(np.uint8))

    def confusions(self) -> list[tuple[int, int, int]]:
        """True class, predicted class and number of images of the most frequent kinds of mistakes."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
        pairs = (np.unravel_index(position, wrong.shape) for position in order)
        return [
            (int(true), int(predicted), int(wrong[true, predicted]))
            for true, predicted in pairs
            if wrong[true, predicted]
        ]


def find(net, images, probabilities: np.ndarray) -> Findings:
    """What to report of `net`, whose `probabilities`, (N, classes), are of the test images `images`."""
    weights = first_filters(net, images.images.shape[3])
    return Findings(
        confusion=confusion_matrix(probabilities, images.labels),
        mistakes=most_confident_mistakes(probabilities, images),
        filters=[] if weights is None else [png(_as_picture(weight)) for weight in weights],
        filter_shape=None if weights is None else weights.shape[1:],
    )


def confusion_matrix(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(classes, classes): the number of images of each true class (row) and predicted class (column)."""
    classes = probabilities.shape[1]
    pairs = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def most_confident_mistakes(probabilities: np.ndarray, images, count: int = MISTAKES) -> list[Mistake]:
    """The `count` wrong predictions with the highest probabilities, the most confident first."""
    predicted = probabilities.argmax(axis=1)
    highest = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != images.labels)
    chosen = wrong[np.argsort(-highest[wrong], kind="stable")][:count]
    return [
        Mistake(int(i), png(images.images[i]), int(images.labels[i]), int(predicted[i]), float(highest[i]))
        for i in chosen
    ]


def first_filters(net, channels: int) -> np.ndarray | None:
    """(N, C, H, W): the weights of the first convolution; None if `net` starts with none that sees the image."""
    for parameter in net.collect_params().values():
        if len(parameter.shape) == 4:
            return parameter.list_data()[0].asnumpy() if parameter.shape[1] == channels else None
    return None


def png(image: np.ndarray) -> str:
    """An image (H, W, C), uint8, C being 1 for grey or 3 for red, green and blue, as the address of a PNG picture."""
    _, content = cv2.imencode(".png", image[..., ::-1])  # OpenCV wants blue, green, red
    return "data:image/png;base64," + base64.b64encode(content.tobytes()).decode("ascii")


def _as_picture(weight):
    """(C, H, W) weights as an image: zero is mid-grey, the largest is white or black."""
    largest = np.abs(weight).max() or 1
    return np.round(127.5 + 127.5 * weight.transpose(1, 2, 0) / largest).astype(np.uint8)
