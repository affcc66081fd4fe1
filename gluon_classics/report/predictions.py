"""A network's predictions of its test images and its first filters, as numbers and pictures for a report."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np

MISTAKES = 24  # pictures of a report
CONFUSIONS = 8  # lines of a report


@dataclass(frozen=True)
class Mistake:
    """A test image that was classified wrongly.

    Attributes:
        index: Number of the image, counted from 0.
        picture: The image as the address of a PNG picture.
        true: Its true class.
        predicted: Its predicted class.
        probability: Probability of the predicted class, 0..1.
    """

    index: int
    picture: str
    true: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class Findings:
    """What a network says of its test images.

    Attributes:
        confusion: Numbers of test images, (classes, classes), by true class (row) and predicted class (column).
        mistakes: The most confident mistakes.
        filters: Pictures of the filters of the first layer; empty if it has none.
        filter_shape: Their shape, (C, H, W).
    """

    confusion: np.ndarray
    mistakes: list[Mistake]
    filters: list[str]
    filter_shape: tuple[int, ...] | None

    @property
    def images(self) -> int:
        """Number of test images."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """Number of test images that were classified correctly."""
        return int(self.confusion.trace())

    @property
    def heat_map(self) -> str:
        """The confusion matrix as a picture. A lighter pixel is a larger share of its row."""
        shares = self.confusion / np.maximum(self.confusion.sum(axis=1, keepdims=True), 1)
        return png(np.round(255 * np.sqrt(shares))[..., None].astype(np.uint8))

    def confusions(self) -> list[tuple[int, int, int]]:
        """Return the most frequent mistakes as true class, predicted class and number of images."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
        pairs = (np.unravel_index(position, wrong.shape) for position in order)
        return [
            (int(true), int(predicted), int(wrong[true, predicted]))
            for true, predicted in pairs
            if wrong[true, predicted]
        ]


def find(net, images, probabilities: np.ndarray) -> Findings:
    """Return what a report shows of a network.

    Args:
        net: The network.
        images: Its test images.
        probabilities: Its predictions of them, (N, classes).
    """
    weights = first_filters(net, images.images.shape[3])
    return Findings(
        confusion=confusion_matrix(probabilities, images.labels),
        mistakes=most_confident_mistakes(probabilities, images),
        filters=[] if weights is None else [png(_as_picture(weight)) for weight in weights],
        filter_shape=None if weights is None else weights.shape[1:],
    )


def confusion_matrix(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the number of images, (classes, classes), by true class (row) and predicted class (column)."""
    classes = probabilities.shape[1]
    pairs = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def most_confident_mistakes(probabilities: np.ndarray, images, count: int = MISTAKES) -> list[Mistake]:
    """Return the `count` wrong predictions with the highest probabilities, in descending order."""
    predicted = probabilities.argmax(axis=1)
    highest = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != images.labels)
    chosen = wrong[np.argsort(-highest[wrong], kind="stable")][:count]
    return [
        Mistake(int(i), png(images.images[i]), int(images.labels[i]), int(predicted[i]), float(highest[i]))
        for i in chosen
    ]


def first_filters(net, channels: int) -> np.ndarray | None:
    """Return the weights of the first convolution, (N, C, H, W); None if its input is not the image."""
    for parameter in net.collect_params().values():
        if len(parameter.shape) == 4:
            return parameter.list_data()[0].asnumpy() if parameter.shape[1] == channels else None
    return None


def png(image: np.ndarray) -> str:
    """Return an image as the address of a PNG picture. It is (H, W, C), uint8, C being 1 (grey) or 3 (RGB)."""
    _, content = cv2.imencode(".png", image[..., ::-1])  # OpenCV expects BGR
    return "data:image/png;base64," + base64.b64encode(content.tobytes()).decode("ascii")


def _as_picture(weight):
    """Weights (C, H, W) as an image. Zero is mid-grey; the largest weight is white or black."""
    largest = np.abs(weight).max() or 1
    return np.round(127.5 + 127.5 * weight.transpose(1, 2, 0) / largest).astype(np.uint8)
